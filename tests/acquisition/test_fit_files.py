"""`cryoscan fit` on files of other programs: table, plots, remarks, and what cannot be read."""

import csv
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from acquisition.cli import app
from acquisition.fits import fit_files
from acquisition.fits.fit_files import SpectraToFit, fit_file, measured_file
from acquisition.fits.fit_options import FileFitOptions, parse_windows
from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.noise_estimate import estimate_noise
from analysis.estimation.cramer_rao import bound_of_lines, expected_electrons
from analysis.estimation.verdict import Verdict
from analysis.readers.read_any import read_any
from analysis.spectra.spectrum_fit import SpectrumFit, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import air_from_vacuum_nm, wavelength_from_energy_nm

FIELD_SWEEP = Path(__file__).parents[3] / "shared/data/mose2ws2_bias/electric_field.zip"

WAVELENGTH = np.linspace(515.0, 525.0, 600)
ENERGIES = (2.3765, 2.3880)


def spectrum(seed: int, *, area: float = 2e4) -> np.ndarray:
    line = {"width_eV": 0.6e-3, "background_0": 20.0}
    for k, energy in enumerate(ENERGIES, start=1):
        line |= {f"energy_{k}_eV": energy, f"area_{k}_counts": area / k}
    rng = np.random.default_rng(seed)
    expected = expected_electrons(energy_edges_eV(WAVELENGTH), line, shape="gauss")
    return rng.poisson(expected) + 600.0 + 5.0 * rng.standard_normal(expected.size)


def written(path: Path, *columns: np.ndarray, header: str = "") -> Path:
    np.savetxt(path, np.column_stack(columns), header=header, comments="", delimiter="\t")
    return path


def fit(*arguments: object) -> tuple[int, list[dict[str, str]], str]:
    """Run the command; return exit code, table and remarks."""
    result = CliRunner().invoke(app, ["fit", *(str(argument) for argument in arguments)])
    return result.exit_code, list(csv.DictReader(io.StringIO(result.stdout))), result.stderr


WINDOWS = ("--window", "2.374:2.379", "--window", "2.385:2.391")


def test_every_spectrum_and_window_of_every_file_is_a_row(tmp_path: Path) -> None:
    one = written(tmp_path / "one.txt", WAVELENGTH, spectrum(1))
    three = written(tmp_path / "three.txt", WAVELENGTH, *(spectrum(s) for s in (2, 3, 4)))

    code, table, _ = fit(one, three, *WINDOWS)

    assert code == 0
    assert [Path(row["file"]).name for row in table] == ["one.txt"] * 2 + ["three.txt"] * 6
    assert [row["spectrum"] for row in table[2::2]] == ["column 2", "column 3", "column 4"]
    bound = bound_of_lines(
        energy_edges_eV(WAVELENGTH),
        {"width_eV": 0.6e-3, "energy_1_eV": 2.3765, "area_1_counts": 2e4, "background_0": 20.0},
        read_noise_e=5.0,
    )["energy_1_eV"]
    for row, expected in zip(table, ENERGIES * 4, strict=True):
        error = float(row["energy_1_eV_error"])
        assert row["verdict"] == "converged", row["reason"]
        assert float(row["energy_1_eV"]) == pytest.approx(expected, abs=5.0 * error)
        assert bound * 0.9 < error < 2.0 * bound
        assert float(row["width_eV"]) == pytest.approx(0.6e-3, rel=0.05)


def test_without_a_window_the_strongest_line_is_found(tmp_path: Path) -> None:
    _, table, _ = fit(written(tmp_path / "s.txt", WAVELENGTH, spectrum(5)))

    assert float(table[0]["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=1e-4)


def test_air_is_told_apart_from_vacuum_and_an_unknown_axis_is_remarked(tmp_path: Path) -> None:
    in_air = written(tmp_path / "s.txt", air_from_vacuum_nm(WAVELENGTH), spectrum(6))
    said = written(
        tmp_path / "t.txt", air_from_vacuum_nm(WAVELENGTH), spectrum(6), header="nm air\tA"
    )

    _, (right,), quiet = fit(in_air, "--medium", "air")
    _, (wrong,), remark = fit(in_air)
    _, (known,), _ = fit(said)

    assert float(right["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=5e-5)
    assert float(known["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=5e-5)
    assert float(wrong["energy_1_eV"]) - ENERGIES[0] == pytest.approx(0.66e-3, abs=5e-5)
    assert "taken as vacuum" in remark
    assert "taken as vacuum" not in quiet


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_fitted(
    tmp_path: Path,
) -> None:
    good = written(tmp_path / "good.txt", WAVELENGTH, spectrum(7))
    bad = tmp_path / "bad.txt"
    bad.write_text("no spectrum\n")

    code, table, remarks = fit(bad, good, tmp_path / "absent.txt")

    assert code == 1
    assert len(table) == 1
    assert "bad.txt: holds no table of numbers" in remarks
    assert "absent.txt" in remarks


def test_a_folder_without_a_run_does_not_keep_the_others_from_being_fitted(tmp_path: Path) -> None:
    good = written(tmp_path / "good.txt", WAVELENGTH, spectrum(7))
    (tmp_path / "empty").mkdir()

    code, table, remarks = fit(tmp_path / "empty", good)

    assert code == 1
    assert len(table) == 1
    assert "empty: holds no journal.sqlite" in remarks


def test_table_and_plots_go_where_they_are_wanted(tmp_path: Path) -> None:
    file = written(tmp_path / "s.txt", WAVELENGTH, spectrum(8))

    result = CliRunner().invoke(
        app,
        [
            "fit",
            str(file),
            "--out",
            str(tmp_path / "t.csv"),
            "--plot",
            str(tmp_path / "plots"),
            *WINDOWS,
        ],
    )

    assert result.exit_code == 0
    assert "2 fits written to" in result.stdout
    assert (tmp_path / "t.csv").read_text().count("\n") == 3
    drawn = sorted((tmp_path / "plots").iterdir())
    assert len(drawn) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_spectra_of_one_name_in_two_folders_have_two_pictures(tmp_path: Path) -> None:
    files = []
    for k, folder in enumerate((tmp_path / "monday", tmp_path / "tuesday")):
        folder.mkdir()
        files.append(written(folder / "s.txt", WAVELENGTH, spectrum(8 + k)))

    code, table, _ = fit(*files, "--plot", tmp_path / "plots", *WINDOWS)

    assert code == 0
    pictures = [path.name for path in (tmp_path / "plots").iterdir()]
    assert len(pictures) == len(table) == 4
    assert sum(name.endswith("eV_2.png") for name in pictures) == 2


def test_the_table_as_hdf5_has_units_and_whole_covariances(tmp_path: Path) -> None:
    file = written(tmp_path / "s.txt", WAVELENGTH, spectrum(8), 600.0 + np.zeros(600))

    _, rows, _ = fit(file, *WINDOWS)
    result = CliRunner().invoke(app, ["fit", str(file), "--out", str(tmp_path / "t.h5"), *WINDOWS])

    assert result.exit_code == 0
    with h5py.File(tmp_path / "t.h5") as table:
        fits = table["fits"]
        assert list(fits.attrs["columns"]) == list(rows[0])
        assert list(fits["verdict"].asstr()) == [row["verdict"] for row in rows]
        assert fits["energy_1_eV"].attrs["units"] == "eV"
        np.testing.assert_allclose(fits["energy_1_eV"][:2], ENERGIES, atol=1e-4)
        assert np.isnan(fits["energy_1_eV"][2:]).all()
        names = list(fits["covariance"].attrs["parameters"])
        diagonal = np.sqrt(fits["covariance"][0].diagonal())
        np.testing.assert_allclose(diagonal[names.index("width_eV")], fits["width_eV_error"][0])


def test_every_peak_is_fitted_where_that_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path / "s.txt", WAVELENGTH, spectrum(11), header="nm vacuum\tA")

    code, rows, _ = fit(file, "--window", "peaks")
    _, none, told = fit(
        written(tmp_path / "dark.txt", WAVELENGTH, 600.0 + np.zeros(600)), "--window", "peaks"
    )

    assert code == 0
    for row, energy in zip(rows, ENERGIES, strict=True):
        for name in ("peak_eV", "energy_1_eV"):
            assert float(row[name]) == pytest.approx(energy, abs=4 * float(row[f"{name}_error"]))
    assert none == []
    assert "no peak in 1 spectra" in told


def test_only_the_spectra_asked_for_are_fitted(tmp_path: Path) -> None:
    file = written(tmp_path / "s.txt", WAVELENGTH, *(spectrum(s) for s in (12, 13, 14)))

    _, rows, _ = fit(file, "--spectrum", "column 3")
    code, _, refused = fit(file, "--spectrum", "column 9")

    assert [row["spectrum"] for row in rows] == ["column 3"]
    assert code == 1
    assert "no spectrum 'column 9'; it has 'column 2', 'column 3', 'column 4'" in " ".join(
        refused.split()
    )


def test_a_lamp_on_other_pixels_calibrates_nothing(tmp_path: Path) -> None:
    lines_nm = np.array([517.0, 518.1, 519.7, 521.2, 523.3])
    axis = np.linspace(515.0, 525.0, 400)
    light = 100.0 + 2e4 * np.exp(-0.5 * ((axis[:, None] - lines_nm) / 0.04) ** 2).sum(axis=1)
    light = np.random.default_rng(16).poisson(light).astype(float)
    lamp = written(tmp_path / "lamp.txt", axis + 0.3, light, header="nm vacuum\tA")
    listed = tmp_path / "lines.csv"
    listed.write_text("".join(f"{10 * nm},1000,XI\n" for nm in lines_nm))
    given = ("--lamp", lamp, "--lamp-lines", listed)

    code, (row, *_), told = fit(lamp, *given, "--window", "peaks")
    refused_code, _, refused = fit(written(tmp_path / "s.txt", WAVELENGTH, spectrum(15)), *given)

    assert code == 0
    assert "off by +0.300" in told or "off by +0.299" in told
    assert float(row["peak_eV"]) == pytest.approx(1239.841984 / lines_nm[-1], abs=2e-5)
    assert refused_code == 1
    assert "has 600 pixels with a wavelength, the lamp has 400" in " ".join(refused.split())


def test_an_empty_spectrum_is_a_row_with_a_verdict_and_can_be_drawn(tmp_path: Path) -> None:
    flat = written(tmp_path / "flat.txt", WAVELENGTH, 600.0 + np.zeros(600))

    code, (row,), _ = fit(flat, "--plot", tmp_path)

    assert code == 0
    assert row["verdict"] == "no signal"
    assert row["energy_1_eV"] == row["energy_1_eV_error"] == ""
    assert list(tmp_path.glob("*.png"))


def test_cosmic_rays_in_one_of_several_spectra_are_masked_and_counted(tmp_path: Path) -> None:
    spectra = [spectrum(s) for s in range(10, 15)]
    line = int(np.argmax(spectra[2]))
    spectra[2][line + 150] += 9000.0
    file = written(tmp_path / "series.txt", WAVELENGTH, *spectra)

    said: list[str] = []
    fits = list(fit_file(file, FileFitOptions(), tell=said.append))

    assert any("1 pixels of 1 spectra masked as cosmic rays" in text for text in said)
    assert np.flatnonzero(np.isnan(fits[2].counts)).tolist() == [line + 150]


@pytest.mark.parametrize("number", [1, 2])
def test_a_hit_in_a_single_spectrum_is_masked_and_said(tmp_path: Path, number: int) -> None:
    spectra = [spectrum(30 + k) for k in range(number)]
    at = int(np.argmin(np.abs(WAVELENGTH - 521.6)))  # in the flank of the line
    spectra[0][at] += 30_000.0
    file = written(tmp_path / "s.txt", WAVELENGTH, *spectra)

    code, table, remarks = fit(file, "--window", "2.374:2.379")

    assert code == 0
    assert "1 pixels of 1 spectra masked as cosmic rays" in " ".join(remarks.split())
    assert table[0]["verdict"] == "converged", table[0]["reason"]
    assert float(table[0]["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=1e-5)


def test_the_number_of_lines_of_a_whole_spectrum_is_found_and_each_group_named(
    tmp_path: Path,
) -> None:
    at, width = 2.3880, 0.5e-3
    lines = [(at, 2e4), (at + 1.5e-3, 1.2e4), (at + 0.75e-3 - 11e-3, 8e3)]  # X, X, T
    rng = np.random.default_rng(40)
    values = {"width_eV": width, "background_0": 20.0}
    for k, (energy, area) in enumerate(sorted(lines), start=1):
        values |= {f"energy_{k}_eV": energy, f"area_{k}_counts": area}
    expected = expected_electrons(energy_edges_eV(WAVELENGTH), values, shape="gauss")
    counts = rng.poisson(expected) + 600.0 + 5.0 * rng.standard_normal(expected.size)
    file = written(tmp_path / "s.txt", WAVELENGTH, counts)
    options = ("--model", "exciton+trion", "--lines", "auto")

    code, (row,), _ = fit(file, *options)
    fit(file, *options, "--out", tmp_path / "t.h5", "--plot", tmp_path / "plots")

    assert code == 0
    assert row["lines"] == "2"
    assert float(row["energy_1_eV"]) == pytest.approx(at, abs=2e-5)
    assert float(row["trion_binding_eV"]) == pytest.approx(11e-3, abs=5e-5)
    assert row["labels"] == "X; T"
    assert "T at 2.37775 eV: a single line 11.00 meV below X" in row["label_reasons"]
    assert "a line that jumps" in row["reason"] or "shape not known" in row["reason"]
    with h5py.File(tmp_path / "t.h5") as table:
        assert table["fits/labels"].asstr()[0] == "X; T"
    assert list((tmp_path / "plots").glob("*.png"))


def test_numbers_that_no_detector_delivers_are_refused(tmp_path: Path) -> None:
    code, table, remarks = fit(written(tmp_path / "s.txt", WAVELENGTH, spectrum(41) * 1e200))

    assert code == 1
    assert table == []
    assert "no detector's" in remarks


def test_a_replica_behind_lost_pixels_spoils_nothing_else(tmp_path: Path) -> None:
    counts = spectrum(42)
    counts[WAVELENGTH > 522.0] = np.nan  # where the replica of the lower line would be
    file = written(tmp_path / "s.txt", WAVELENGTH, counts)
    model = ("--model", "exciton+replicas", "--phonon", "13.5", "--window", "2.362:2.380")

    code, (row,), _ = fit(file, *model)

    assert code == 0
    assert row["verdict"] == "ill-determined"
    assert row["coupling_1_error"] == ""
    assert float(row["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=2e-5)
    assert 0 < float(row["energy_1_eV_error"]) < 2e-5


def test_saturated_pixels_are_left_out_where_saturation_is_given(tmp_path: Path) -> None:
    clipped = np.minimum(spectrum(9, area=4e5), 4000.0)
    file = written(tmp_path / "s.txt", WAVELENGTH, clipped)

    _, (blind,), _ = fit(file)
    _, (told,), _ = fit(file, "--saturation", 4000)

    assert float(told["width_eV"]) == pytest.approx(0.6e-3, rel=0.05)
    assert float(blind["width_eV"]) > 0.7e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lines", "4"), "lines '4': expected 1, 2, 3 or auto"),
        (("--shape", "box"), "shape 'box': expected gauss, lorentz or voigt"),
        (("--medium", "water"), "medium 'water': expected air or vacuum"),
        (("--window", "2.4"), "expected LOW:HIGH"),
        (("--window", "2.4:2.3"), "must be above 0 and below"),
        (("--window", "a:b"), "expected LOW:HIGH"),
        (("--window", "peaks", "--window", "2.3:2.4"), "peaks alone"),
        (("--out", "t.xls"), "expected a name ending in .csv, .h5, .hdf5"),
        (("--model", "trion"), "expected exciton, and after a + each any of trion, biexciton"),
        (("--model", "exciton+polaron"), "expected exciton"),
        (("--model", "exciton+replicas"), "need the energy of a phonon"),
        (("--profile", "--lines", "2"), "the instrument profile (--profile) needs a lamp"),
        (("--model", "exciton+replicas", "--phonon", "-3"), "must be positive"),
        (("--lamp", "l.txt"), "a lamp needs both its spectrum"),
        (("--window", "2.38eV:525nm"), "expected both ends in nm, or both in eV"),
        (("--saturation", "nan"), "saturation nan: expected counts above 0"),
        (("--saturation", "-1"), "saturation -1: expected counts above 0"),
        (("--gain", "inf"), "gain inf: expected a finite number"),
        (("--out", "nowhere/t.csv"), "there is no folder 'nowhere'"),
        (("--plot", __file__), "expected a folder, found a file"),
    ],
)
def test_an_option_that_is_none_is_refused_before_anything_is_read(
    tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    code, table, remarks = fit(tmp_path / "absent.txt", *options)

    assert code == 2
    assert table == []
    assert message in " ".join(remarks.replace("│", " ").split())


def test_a_window_in_nanometres_is_one_in_electronvolts() -> None:
    assert parse_windows(["515nm:525nm"]) == (pytest.approx((2.361604, 2.407460), abs=1e-6),)
    assert parse_windows(["2.36:2.41eV", "1:2"]) == ((2.36, 2.41), (1.0, 2.0))


def test_noise_and_offset_are_read_off_the_dark_stretches() -> None:
    found = estimate_noise(spectrum(30))
    of_gain_2 = estimate_noise(spectrum(30), gain_e_per_count=2.0, offset_counts=600.0)

    assert found.offset_counts == pytest.approx(620.0, abs=4.0)
    assert found.read_noise_e == pytest.approx(np.sqrt(20.0 + 25.0), rel=0.2)
    assert of_gain_2.read_noise_e == pytest.approx(2.0 * found.read_noise_e)
    assert of_gain_2.offset_counts == 600.0
    with pytest.raises(ValueError, match="no stretch of the spectra has finite counts"):
        estimate_noise(np.full(600, np.nan))


@pytest.mark.skipif(not FIELD_SWEEP.exists(), reason="measured spectra (../shared/data) not here")
def test_a_line_that_a_field_does_not_move_as_found_independently() -> None:
    options = FileFitOptions(windows_eV=parse_windows(["752nm:757nm"]))

    fits = {one.spectrum: one.fit for one in fit_file(FIELD_SWEEP, options)}

    assert len(fits) == 161
    still = [fit for label, fit in fits.items() if -4.0 <= float(label.removesuffix(" V")) <= 1.0]
    energies = np.array([fit["energy_1_eV"] for fit in still])
    assert all(fit.verdict in (Verdict.CONVERGED, Verdict.POOR_FIT) for fit in still)
    assert np.median(energies) == pytest.approx(1.6430, abs=0.0002)
    assert np.std(energies) < 0.1e-3
    assert 2.3e-3 < np.median([fit["width_eV"] for fit in still]) < 2.7e-3


def test_a_whole_spectrum_with_trion_and_replicas_is_fitted_from_nothing(tmp_path: Path) -> None:
    wavelength = wavelength_from_energy_nm(2.395 - 0.05e-3 * np.arange(700))
    exciton, areas = (2.3920, 2.3930), (6e4, 4e4)
    energies = [*exciton, *(e - 3.5e-3 for e in exciton), 2.3925 - 15e-3]
    line = {"width_eV": 0.4e-3, "background_0": 10.0}
    for k, (energy, area) in enumerate(
        zip(energies, (*areas, *(0.1 * a for a in areas), 3e4), strict=True), start=1
    ):
        line |= {f"energy_{k}_eV": energy, f"area_{k}_counts": area}
    expected = expected_electrons(energy_edges_eV(wavelength), line, shape="gauss")
    rng = np.random.default_rng(40)
    counts = rng.poisson(expected) + 600.0 + 4.0 * rng.standard_normal(expected.size)
    file = written(tmp_path / "s.txt", wavelength, counts, header="nm vacuum\tA")

    code, (row,), _ = fit(
        file, "--lines", "2", "--model", "exciton+trion+biexciton+replicas", "--phonon", "3.5",
        "--plot", tmp_path / "plots",
    )  # fmt: skip

    assert code == 0
    assert row["verdict"] == "converged", row["reason"]
    for name, truth in (
        ("energy_1_eV", exciton[0]), ("energy_2_eV", exciton[1]), ("coupling_1", 0.1),
        ("trion_binding_eV", 15e-3), ("trion_area_counts", 3e4), ("width_eV", 0.4e-3),
    ):  # fmt: skip
        assert float(row[name]) == pytest.approx(truth, abs=5.0 * float(row[f"{name}_error"]))
    assert not row.get("biexciton_binding_eV")
    assert len(list((tmp_path / "plots").iterdir())) == 1

    _, (even,), _ = fit(
        file, "--lines", "2", "--model", "exciton+trion+biexciton+replicas", "--phonon", "3.5",
        "--response-error", "0",
    )  # fmt: skip

    for name in ("coupling_1", "coupling_1_error", "area_1_counts_error"):
        added = np.sqrt(2.0) * 0.018 * 0.1 * (name == "coupling_1_error")
        whole = np.hypot(float(even[name]), added)
        assert float(row[name]) == pytest.approx(whole, rel=0.02 if added else 1e-6)


def test_each_peak_is_fitted_in_its_own_pixels_as_it_would_be_in_the_whole_spectrum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hundreds of peaks in a million pixels took minutes where each fit looked at all of them."""
    wavelength, pixel = np.linspace(500.0, 560.0, 20_000), np.arange(20_000)
    comb = np.exp(-0.5 * ((pixel % 1000 - 500) / 5.0) ** 2)
    counts = np.random.default_rng(43).poisson(20.0 + 2000.0 * comb).astype(float)
    spectra = SpectraToFit("comb", ("A",), wavelength, counts[None], DetectorNoise(1.0, 4.0))
    fitted: list[int] = []

    def counted(wavelength_nm: np.ndarray, *rest: Any, **options: Any) -> SpectrumFit:
        fitted.append(len(wavelength_nm))
        return fit_spectrum(wavelength_nm, *rest, **options)

    monkeypatch.setattr(fit_files, "fit_spectrum", counted)
    (found,) = spectra.fits(FileFitOptions(windows_eV="peaks"))
    pixels = sum(fitted)
    windows = tuple(one.peak.window_eV for one in found if one.peak)
    (whole,) = spectra.fits(FileFitOptions(windows_eV=windows))

    assert len(found) == len(whole) == 20
    assert pixels < wavelength.size
    for one, other in zip(found, whole, strict=True):
        assert one.fit.verdict is other.fit.verdict is Verdict.CONVERGED
        np.testing.assert_allclose(one.fit.values, other.fit.values, rtol=1e-9)
        assert one.fit.window_eV == pytest.approx(other.fit.window_eV, rel=1e-12)


def run_file(path: Path, counts: np.ndarray, wavelength: np.ndarray = WAVELENGTH) -> Path:
    """Write what a run's HDF5 file has of a temperature sweep."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry["title"] = "night"
        group = entry.create_group("data")
        group.attrs.update(axes=["temperature", "wavelength"], readings=[])
        group["spectra"] = counts.astype(np.int32)
        group["temperature"] = np.arange(5.0, 5.0 + len(counts))
        group["wavelength"], group["pixel"] = wavelength, np.arange(WAVELENGTH.size)
        group["wavelength"].attrs["medium"] = "vacuum"
        group["attempt"] = group["frames"] = np.ones(len(counts), np.int32)
        group["exposure"], group["time"] = np.ones(len(counts)), np.arange(float(len(counts)))
    return path


def test_a_run_is_fitted_with_a_model_given_from_its_final_file_else_its_live_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    live = run_file(folder / "live.h5", np.array([spectrum(41)]))
    assert measured_file(folder) == live
    final = run_file(folder / "run.nxs", np.array([spectrum(41), spectrum(42)]))

    code, rows, _ = fit(folder, "--shape", "voigt", "--window", "2.374:2.379")

    assert measured_file(folder) == final
    assert code == 0
    assert [row["spectrum"] for row in rows] == ["temperature 5", "temperature 6"]
    for row in rows:
        error = float(row["energy_1_eV_error"])
        assert float(row["energy_1_eV"]) == pytest.approx(ENERGIES[0], abs=5.0 * error)


def test_a_folder_without_a_run_is_refused_by_name(tmp_path: Path) -> None:
    code, rows, told = fit(tmp_path, "--lines", "2")

    assert (code, rows) == (1, [])
    assert "holds no live.h5 and no final file" in told


def test_a_run_through_two_gratings_is_fitted_on_both_axes(tmp_path: Path) -> None:
    axes = np.array([WAVELENGTH, WAVELENGTH + 1.0, WAVELENGTH])
    file = run_file(tmp_path / "r.nxs", np.array([spectrum(s) for s in (43, 44, 45)]), axes)

    code, rows, _ = fit(file, "--window", "2.371:2.379")
    _, one, _ = fit(file, "--window", "2.371:2.379", "--spectrum", "temperature 6")

    found = {row["spectrum"]: float(row["energy_1_eV"]) for row in rows}
    moved = 1239.841984 / (1239.841984 / ENERGIES[0] + 1.0)
    assert code == 0
    assert found["temperature 5"] == pytest.approx(ENERGIES[0], abs=5e-5)
    assert found["temperature 6"] == pytest.approx(moved, abs=5e-5)
    assert found["temperature 7"] == pytest.approx(ENERGIES[0], abs=5e-5)
    assert [row["spectrum"] for row in one] == ["temperature 6"]
    with pytest.raises(ValueError, match="its points have 2 different wavelength axes"):
        read_any(file)

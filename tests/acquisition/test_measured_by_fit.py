"""`cryoscan fit` on the measured spectra of ../shared/data, from the raw files, without any start.

Figures and their errors are those of that folder's README; where it gives a position without an
error, that of the highest pixel of a noisy spectrum is taken, which is one pixel.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from acquisition.cli import app
from analysis.estimation.weighted_least_squares import solve_with_scatter
from analysis.wavelength.units import HC_EV_NM, air_from_vacuum_nm

MEASURED = Path(__file__).parents[3] / "shared/data"
FIELD_SWEEP = MEASURED / "mose2ws2_bias/electric_field.zip"
pytestmark = pytest.mark.skipif(
    not MEASURED.exists(), reason="the measured spectra (../shared/data) are not here"
)

Rows = list[dict[str, str]]


def fitted(*arguments: object) -> tuple[Rows, str]:
    """Run the command; return its table and its remarks in one line each."""
    result = CliRunner().invoke(app, ["fit", *(str(argument) for argument in arguments)])
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout))), " ".join(result.stderr.split())


def column(rows: Rows, name: str) -> np.ndarray:
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


@pytest.fixture(scope="module")
def sweep() -> dict[str, Rows]:
    """The field sweep: narrow, main and tunable line at the voltages that are judged."""
    at = [*range(-40, 11, 2), *range(46, 64), 70, 75, 80]
    some = [word for v in at for word in ("--spectrum", f"{v / 10:g} V")]
    gauss, _ = fitted(FIELD_SWEEP, *some, "--window", "752nm:757nm", "--window", "1.59:1.612")
    tunable, _ = fitted(FIELD_SWEEP, *some, "--shape", "lorentz", "--window", "1.528:1.59")
    return {"narrow": gauss[::2], "main": gauss[1::2], "tunable": tunable}


def between(rows: Rows, low_V: float, high_V: float) -> tuple[np.ndarray, Rows]:
    volt = np.array([float(row["spectrum"].removesuffix(" V")) for row in rows])
    inside = np.flatnonzero((volt > low_V - 0.05) & (volt < high_V + 0.05))
    return volt[inside], [rows[i] for i in inside]


@pytest.mark.parametrize(
    ("low_V", "high_V", "slope_meV_per_V", "sigma"),
    [(4.6, 6.3, -22.5, 0.5), (4.6, 5.4, -17.8, 0.7), (5.4, 6.2, -24.8, 0.4)],
)
def test_the_tunable_line_of_the_field_sweep_moves_as_published(
    sweep: dict[str, Rows], low_V: float, high_V: float, slope_meV_per_V: float, sigma: float
) -> None:
    volt, rows = between(sweep["tunable"], low_V, high_V)
    energy, error = column(rows, "energy_1_eV"), column(rows, "energy_1_eV_error")

    line = solve_with_scatter(np.column_stack([np.ones(volt.size), volt]), energy, error**2)

    slope, slope_error = 1e3 * line.coefficients[1], 1e3 * float(line.covariance[1, 1] ** 0.5)
    assert {row["verdict"] for row in rows} <= {"converged", "poor fit"}
    assert abs(slope - slope_meV_per_V) < 2.0 * np.hypot(sigma, slope_error)
    assert slope_error < 1.5 * sigma
    assert energy[0] == pytest.approx(1.5740, abs=5e-4) or low_V != 4.6


def test_the_narrow_line_stands_still_and_the_main_line_is_where_it_was_found(
    sweep: dict[str, Rows],
) -> None:
    _, narrow = between(sweep["narrow"], -4.0, 1.0)
    energy, width = column(narrow, "energy_1_eV"), column(narrow, "width_eV")

    assert np.median(energy) == pytest.approx(1.6430, abs=2e-4)
    assert (
        np.abs(energy - np.median(energy)).max()
        < 0.1e-3 + 3 * column(narrow, "energy_1_eV_error").max()
    )
    assert energy.std() < 0.1e-3
    assert 2.3e-3 < np.median(width) < 2.7e-3
    for volt, published in ((-4.0, 1.60015), (1.0, 1.60111)):
        _, (row,) = between(sweep["main"], volt, volt)
        error = float(row["energy_1_eV_error"])
        assert float(row["energy_1_eV"]) == pytest.approx(published, abs=2 * np.hypot(1e-4, error))
        assert 4.3e-3 < float(row["width_eV"]) < 4.8e-3
        assert error < 1.5e-4


def test_a_line_that_left_the_detector_is_not_reported_inside(sweep: dict[str, Rows]) -> None:
    _, rows = between(sweep["tunable"], 7.0, 8.0)

    inside = [
        row
        for row in rows
        if row["verdict"] == "converged" and 1.530 < float(row["energy_1_eV"]) < 1.588
    ]
    assert not inside


def test_the_four_lines_without_field() -> None:
    rows, _ = fitted(FIELD_SWEEP, "--spectrum", "0 V", "--window", "peaks")
    found_nm = HC_EV_NM / column(rows, "peak_eV")
    error_nm = found_nm * column(rows, "peak_eV_error") / column(rows, "peak_eV")
    pixel_nm = 0.063

    for line_nm in (754.77, 765.70, 767.51, 774.04):
        nearest = int(np.argmin(np.abs(found_nm - line_nm)))
        assert abs(found_nm[nearest] - line_nm) < 2.0 * np.hypot(pixel_nm, error_nm[nearest])
        # 767.51 nm is a shoulder between the main line and 765.70: seen, though not how bright.
        assert rows[nearest]["verdict"] != "no signal"
    assert len(rows) <= 6
    assert np.median(error_nm) < 1.5 * pixel_nm


def test_a_shoulder_is_determined_in_one_window_with_its_neighbour() -> None:
    (row,), _ = fitted(
        FIELD_SWEEP, "--spectrum", "0 V", "--window", "764.5nm:770nm", "--lines", "2"
    )

    for name, line_nm in (("energy_1_eV", 767.51), ("energy_2_eV", 765.70)):
        assert HC_EV_NM / float(row[name]) == pytest.approx(line_nm, abs=0.3)
    assert float(row["area_1_counts"]) > 5.0 * float(row["area_1_counts_error"])


def test_the_cosmic_pixels_of_the_gate_sweep_are_masked_and_no_others() -> None:
    _, told = fitted(MEASURED / "mose2ws2_bias/charge_density.zip", "--spectrum", "0 V")

    assert "8 pixels of 3 spectra masked as cosmic rays" in told
    assert re.search(r"-4\.25 V \(734\.0", told)
    assert re.search(r"[ (]3\.4 V \([^)]*791\.7", told)


def test_the_delivered_axis_of_the_neon_lamp() -> None:
    lamp = MEASURED / "neon_lamp/NeonSNQ043_iR532_Probe_100msx2.txt"

    rows, told = fitted(
        lamp, "--lamp", lamp, "--lamp-lines", MEASURED / "neon_lamp/lines_vacuum_ne.csv",
        "--window", "peaks",
    )  # fmt: skip

    found = re.search(
        r"off by (\S+) nm \(scatter (\S+) nm\).* (\S+) pm rms, leave-one-out (\S+) pm, "
        r"(\S+) nm per pixel",
        told,
    )
    assert found is not None, told
    offset, scatter, rms, left_out, dispersion = (float(group) for group in found.groups())
    assert abs(offset + 0.042) < 2.0 * np.hypot(0.015, scatter)
    assert scatter < 1.5 * 0.015
    assert rms < 1.5 * 10.9
    assert left_out < 1.5 * 15.1
    assert dispersion == pytest.approx(0.077, abs=0.002)
    assert "57 pixels at 65535 in 'Raw data #1' are saturated" in told
    # Ne I 640.40180 nm in vacuum, the strongest that is not saturated there, on the new axis
    fitted_nm = HC_EV_NM / column(rows, "energy_1_eV")
    for line_nm in (621.90019, 653.46870, 665.39272):
        assert np.nanmin(np.abs(fitted_nm - line_nm)) < 0.05


# The lines of the discharge that stand alone, in air: argon from the list of the folder (NIST).
DISCHARGE_AIR_NM = (
    434.0472, 486.1350, 696.5431, 706.7218, 727.2936, 738.3980, 750.3869, 751.4652, 763.5106,
    772.3761, 794.8176, 801.4786, 826.4522, 842.4648,
)  # fmt: skip


def test_the_discharge_is_a_nanometre_too_long_by_binary_and_by_text() -> None:
    files = [MEASURED / f"andor/step_and_glue.{suffix}" for suffix in ("sif", "asc")]

    rows, _ = fitted(*files, "--window", "peaks", "--medium", "air")

    offsets = []
    for file in files:
        own = [row for row in rows if row["file"] == str(file) and row["energy_1_eV"]]
        found = air_from_vacuum_nm(HC_EV_NM / column(own, "energy_1_eV"))
        near = [found[np.argmin(np.abs(found - 1.07 - line))] - line for line in DISCHARGE_AIR_NM]
        offsets.append(np.array(near))
    assert (offsets[0] > 0.97).all()
    assert (offsets[0] < 1.17).all()
    assert np.abs(offsets[0] - offsets[1]).max() < 2e-5 + 2.0**-15 + 1e-4


def test_the_spike_of_the_kinetic_series_is_masked() -> None:
    _, told = fitted(MEASURED / "andor/kinetic_series.sif")

    # pixel 800 of the axis from 529.9998 to 592.8413 nm
    assert re.search(r"frame 19 \(579\.\d", told)


def test_raman_and_princeton_files_are_fitted_to_what_they_hold() -> None:
    rows, _ = fitted(
        MEASURED / "andor/raman1.sif",
        MEASURED / "andor/raman1.asc",
        MEASURED / "princeton/one_dimensional_spectrum.spe",
        "--window",
        "peaks",
    )
    raman_sif, raman_asc, princeton = (
        [row for row in rows if row["file"].endswith(name)] for name in ("sif", "asc", "spe")
    )

    assert len(raman_sif) == len(raman_asc) > 0
    np.testing.assert_allclose(
        column(raman_sif, "peak_eV"), column(raman_asc, "peak_eV"), rtol=1e-7
    )
    highest = max(princeton, key=lambda row: float(row["area_1_counts"] or 0))
    assert HC_EV_NM / float(highest["peak_eV"]) == pytest.approx(611.2, abs=0.3)

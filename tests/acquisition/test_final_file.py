import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from acquisition.planning.point_table import Point, PointKind, PointTable
from acquisition.storage import final_file
from acquisition.storage.final_file import build_final, final_files, verify_final
from acquisition.storage.journal import Calibration, Journal, JournalReader
from acquisition.storage.run_folder import writer_lock
from acquisition.storage.storage_errors import RunLocked, StorageError, StorageFull
from analysis.readers.run_file import RunFile


@pytest.fixture
def recorded(made_up_run, tmp_path) -> Path:
    return made_up_run().record(tmp_path)


def entry_of(path: Path, name: str) -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file[f"entry/{name}"][...]


# --- what is in it


def test_every_accepted_spectrum_lies_in_its_cell_with_its_conditions(made_up_run, recorded):
    run, final = made_up_run(), build_final(recorded)

    assert final == recorded / (recorded.name + ".nxs")
    with h5py.File(final, "r") as file:
        data = file["entry/data"]
        for point in run.table().points[2:]:
            expected = run.attempt(point.index)
            np.testing.assert_array_equal(data["spectra"][point.cell], expected.counts[0])
            assert data["time"][point.cell] == expected.start_s
            assert data["angle_deg"][point.cell] == expected.readings["angle_deg"]
        assert data["gap_voltage_V"].attrs["units"] == "V"
        assert data["temperature"][:].tolist() == [5.5, 15.5, 25.5]
        assert data["status"][...].tolist() == [[1, 1], [2, 1], [1, 1]]  # point 4 carries a flag


def test_every_single_frame_of_every_attempt_is_kept_with_its_time(made_up_run, tmp_path):
    run = made_up_run(frames=4)
    final = build_final(run.record(tmp_path))

    state = entry_of(final, "attempts/state").astype(str).tolist()
    assert state == ["ok"] * 3 + ["rejected"] + ["ok"] * 5
    rejected, accepted = run.attempt(3, attempt=1), run.attempt(3)
    raw = entry_of(final, "instrument/detector_ccd/raw_data/raw")
    start = entry_of(final, "instrument/detector_ccd/raw_data/start")
    np.testing.assert_array_equal(raw[12:20], [*rejected.counts, *accepted.counts])
    np.testing.assert_array_equal(start[12:20], [*rejected.frame_start_s, *accepted.frame_start_s])
    np.testing.assert_array_equal(
        entry_of(final, "data/spectra")[0, 1], accepted.counts.sum(axis=0, dtype=np.int64)
    )
    assert entry_of(final, "attempts/note").astype(str)[3] == "drifted"


def test_backgrounds_lie_apart_from_the_sample(made_up_run, recorded):
    final = build_final(recorded)

    assert entry_of(final, "backgrounds/kind").astype(str).tolist() == ["dark", "blocked"]
    for point in (0, 1):
        np.testing.assert_array_equal(
            entry_of(final, "backgrounds/spectra")[point], made_up_run().attempt(point).counts[0]
        )


def test_what_is_needed_to_do_the_analysis_again_is_in_the_file(made_up_run, recorded):
    run, final = made_up_run(), build_final(recorded)

    with h5py.File(final, "r") as file:
        entry = file["entry"]
        provenance = {
            name: item.asstr()[()]
            for name, item in entry["provenance"].items()
            if isinstance(item, h5py.Dataset) and item.shape == ()
        }
        assert PointTable.from_json(provenance["plan_json"]) == run.table()
        assert provenance["sweep_toml"] == run.meta().sweep_toml
        assert provenance["station_toml"] == run.meta().station_toml
        assert entry["provenance/packages"].asstr()[:].tolist() == ["numpy 2.4"]
        assert entry["start_time"].asstr()[()] == "2026-11-22T22:15:30+00:00"
        assert entry["sample/name"].asstr()[()] == "NC #7"
        assert entry["events/text"].asstr()[2] == "point 2, 5 µm"
        log = entry["instrument/temperature_sensor/value_log"]
        assert log["time"].shape == (24,)
        assert log["time"].attrs["start"] == "2026-11-22T22:15:30+00:00"
        axis = entry["calibrations/wavelength_1"]
        np.testing.assert_array_equal(axis["value"], run.wavelength_nm(0))
        assert json.loads(axis["details"].asstr()[()]) == {"medium": "air"}


def test_fits_are_laid_out_like_the_spectra_with_their_covariance(recorded):
    final = build_final(recorded)

    centre = entry_of(final, "fit_one_line_v1/result/line1_centre_eV")
    np.testing.assert_allclose(centre, 2.4 + 1e-3 * np.arange(2, 8).reshape(3, 2), rtol=0)
    assert (entry_of(final, "fit_one_line_v1/result/line1_centre_eV_errors") == 1e-4).all()
    covariance = entry_of(final, "fit_one_line_v1/rows/covariance")
    np.testing.assert_array_equal(covariance, np.broadcast_to(np.diag([1e-8, 9.0]), (6, 2, 2)))


# --- wavelength


def test_the_wavelength_ascends_and_the_medium_is_said(made_up_run, tmp_path):
    run = made_up_run(wavelength_falls=True)
    final = build_final(run.record(tmp_path))

    wavelength_nm = entry_of(final, "data/wavelength")
    np.testing.assert_array_equal(wavelength_nm, run.wavelength_nm(0)[::-1])
    np.testing.assert_array_equal(
        entry_of(final, "data/spectra")[0, 0], run.attempt(2).counts[0, ::-1]
    )
    with h5py.File(final, "r") as file:
        assert file["entry/data/wavelength"].attrs["medium"] == "air"


def test_the_energy_axis_accounts_for_air(made_up_run, tmp_path):
    run = made_up_run()
    with run.create(tmp_path) as journal:
        axis = np.linspace(546.0750, 556.0, 48)
        key = journal.calibrate(Calibration("wavelength", 0.0, axis, {"medium": "air"}))
        journal.put(run.attempt(2, calibration=key), accept=True)

    final = build_final(journal.folder)

    # Hg 546.0750 nm in air: 546.22676 nm in vacuum
    assert entry_of(final, "data/energy")[0] == pytest.approx(2.269830, abs=5e-6)


def test_several_settings_give_each_spectrum_its_own_wavelengths(made_up_run, tmp_path):
    run = made_up_run(settings=2)
    final = build_final(run.record(tmp_path))

    run_file = RunFile.open(final)

    assert run_file.wavelength_nm.shape == (3, 2, 48)
    for temperature, setting in enumerate((0, 1, 0)):
        np.testing.assert_array_equal(
            run_file.wavelength_nm[temperature, 1], run.wavelength_nm(setting)
        )
    assert entry_of(final, "data/setting").tolist() == [0, 1]


def test_equal_calibrations_of_two_segments_are_one_axis(made_up_run, tmp_path):
    run = made_up_run()
    folder = run.record(tmp_path, points=4)
    with Journal.open(folder) as journal:
        axis = Calibration("wavelength", 50.0, run.wavelength_nm(0), {"medium": "air"})
        again = journal.calibrate(axis)
        for point in journal.todo():
            journal.put(run.attempt(point.index, calibration=again), accept=True)

    assert entry_of(build_final(folder), "data/wavelength").shape == (48,)


def test_a_run_without_calibration_has_the_pixel_as_axis(made_up_run, tmp_path):
    with made_up_run().create(tmp_path) as journal:
        journal.put(made_up_run().attempt(2), accept=True)

    run_file = RunFile.open(build_final(journal.folder))

    assert np.isnan(run_file.wavelength_nm).all()
    np.testing.assert_array_equal(run_file.spectra[0, 0], made_up_run().attempt(2).counts[0])


# --- other shapes


def test_a_run_that_fills_no_grid_is_a_list_with_its_setpoints(made_up_run, tmp_path):
    with made_up_run().create(tmp_path) as journal:
        journal.append_points([Point(8, PointKind.SAMPLE, 1.0, 1, temperature_K=77.0)])
        for point in journal.todo():
            journal.put(made_up_run().attempt(point.index), accept=True)

    final = build_final(journal.folder)

    assert entry_of(final, "data/point").tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert entry_of(final, "data/temperature").tolist() == [5.5, 5.5, 15.5, 15.5, 25.5, 25.5, 77.0]
    np.testing.assert_array_equal(
        entry_of(final, "data/spectra")[6], made_up_run().attempt(8).counts[0]
    )


def test_a_run_that_measured_nothing_still_gives_a_file(made_up_run, tmp_path):
    made_up_run().create(tmp_path).close()
    (folder,) = tmp_path.glob("*/*/*")

    run_file = RunFile.open(build_final(folder))

    assert not run_file.is_measured.any()


def test_finished_and_live_file_show_the_same(made_up_run, tmp_path):
    run = made_up_run(frames=3, wavelength_falls=True)
    folder = run.record(tmp_path)

    finished, live = RunFile.open(build_final(folder)), RunFile.open(folder / "live.h5")

    np.testing.assert_array_equal(finished.attempt, live.attempt)
    np.testing.assert_array_equal(finished.spectra, live.spectra[..., ::-1])
    np.testing.assert_array_equal(finished.wavelength_nm, live.wavelength_nm[::-1])
    np.testing.assert_array_equal(finished.exposure_s, live.exposure_s)
    np.testing.assert_array_equal(finished.backgrounds.is_dark, live.backgrounds.is_dark)
    for name in ("temperature_K", "gap_voltage_V", "angle_deg"):
        np.testing.assert_array_equal(finished.readings[name], live.readings[name])
    key = int(finished.attempt[1, 1])
    np.testing.assert_array_equal(
        finished.frames_of(key).counts, live.frames_of(key).counts[:, ::-1]
    )
    np.testing.assert_array_equal(finished.frames_of(key).start_s, run.attempt(5).frame_start_s)


# --- how it comes about


def test_the_file_is_read_only_and_has_its_checksum_beside_it(recorded):
    final = build_final(recorded)

    assert final.stat().st_mode & 0o222 == 0
    digest = hashlib.sha256(final.read_bytes()).hexdigest()
    beside = final.with_name(final.name + ".sha256")
    assert beside.read_text() == f"{digest}  {final.name}\n"
    assert not list(recorded.glob("*.tmp"))


def test_building_again_changes_nothing(recorded):
    final = build_final(recorded)
    content = final.read_bytes()

    assert build_final(recorded) == final
    assert final_files(recorded) == (final,)
    assert final.read_bytes() == content


def test_the_same_journal_gives_the_same_bytes(recorded):
    first = build_final(recorded)
    content = first.read_bytes()
    first.unlink()

    assert build_final(recorded).read_bytes() == content


def test_a_complete_runs_journal_becomes_one_read_only_file(recorded):
    build_final(recorded)

    names = {path.name for path in recorded.iterdir()}
    assert not names & {"journal.sqlite-wal", "journal.sqlite-shm", "journal.sqlite-journal"}
    assert (recorded / "journal.sqlite").stat().st_mode & 0o222 == 0


def test_an_interrupted_run_is_built_and_goes_on_to_its_next_revision(made_up_run, tmp_path):
    run = made_up_run()
    folder = run.record(tmp_path, points=5)
    first = build_final(folder)
    assert entry_of(first, "data/status").tolist() == [[1, 1], [2, 0], [0, 0]]

    with Journal.open(folder) as journal:
        for point in journal.todo():
            journal.put(run.attempt(point.index), accept=True)
    second = build_final(folder)

    assert second.name == f"{folder.name}_r2.nxs"
    assert final_files(folder) == (first, second)
    assert (entry_of(second, "data/status") > 0).all()


def test_later_fits_of_a_complete_run_give_a_new_revision(recorded, made_up_run):
    build_final(recorded)
    with Journal.open(recorded) as journal:
        old = journal.fits()[0]
        journal.note(fits=[replace(old, version="2")])

    final = build_final(recorded)

    assert final.name.endswith("_r2.nxs")
    assert entry_of(final, "fit_one_line_v2/rows/point").tolist() == [old.point]
    assert (recorded / "journal.sqlite").stat().st_mode & 0o222 == 0


def test_a_running_run_is_not_finalised(recorded):
    with writer_lock(recorded), pytest.raises(RunLocked, match="being written by another"):
        build_final(recorded)

    assert final_files(recorded) == ()


def test_a_journal_that_changed_under_its_checksum_is_not_passed_on(recorded):
    with Journal.open(recorded) as journal:
        journal._db.execute("UPDATE attempt SET counts=zeroblob(length(counts)) WHERE id=4")

    with pytest.raises(StorageError, match=r"attempt 4 \(point 3\): the journal holds checksum"):
        build_final(recorded)

    assert final_files(recorded) == ()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("instrument/detector_ccd/raw_data/raw", "attempt 1 does not have the journal's checksum"),
        ("instrument/detector_ccd/raw_data/start", "attempt 1 does not have the journal's"),
        ("attempts/readings", "attempt 1 does not have the journal's checksum"),
        ("backgrounds/spectra", "the spectrum of attempt 1 is not its frames"),
        ("data/spectra", "the spectrum of attempt 3 is not its frames"),
        ("data/attempt", "the spectrum of attempt 3 is not its frames"),
        ("attempts/id", "holds other attempts than the journal"),
    ],
)
def test_a_file_that_reads_back_differently_is_never_given_its_name(
    recorded, monkeypatch, place, message
):
    write = final_file._write_file

    def write_badly(path, root):
        write(path, root)
        with h5py.File(path, "r+") as file:
            dataset = file[f"entry/{place}"]
            dataset[0] = dataset[0] + 1

    monkeypatch.setattr(final_file, "_write_file", write_badly)

    with pytest.raises(StorageError, match=message):
        build_final(recorded)

    assert not list(recorded.glob("*.nxs*"))
    monkeypatch.undo()
    assert build_final(recorded).exists()


def test_too_little_room_is_said_before_hdf5_meets_it(recorded, monkeypatch):
    def full(root: Path, needed: int) -> int:
        raise StorageFull(f"{root}: 0.00 GB free, the run may need {needed / 1e9:.2f} GB")

    monkeypatch.setattr(final_file, "check_free_disk", full)

    with pytest.raises(StorageFull):
        build_final(recorded)

    assert not list(recorded.glob("*.nxs*"))


def test_an_error_of_hdf5_is_told_with_the_file(recorded, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("file write failed: errno = 28")

    monkeypatch.setattr(final_file, "_write_members", fail)

    with pytest.raises(StorageError, match=r"\.nxs\.tmp: could not be written: file write failed"):
        build_final(recorded)


# --- other programs


@pytest.mark.skipif(not importlib.util.find_spec("pynxtools"), reason="pynxtools is not installed")
def test_the_file_is_a_valid_nexus_file(recorded):
    final = build_final(recorded)

    script = "from pynxtools.cli import pynx; pynx()"
    command = [sys.executable, "-c", script, "validate", "--ignore-undocumented", str(final)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    assert "is valid according to the `NXoptical_spectroscopy`" in output
    assert "WARNING" not in output


def test_xarray_finds_axes_and_coordinates_by_name(recorded, made_up_run):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")

    with xarray.open_dataset(build_final(recorded), engine="h5netcdf", group="entry/data") as data:
        spectrum = data.spectra.sel(temperature=15.5, repeat=1)

        assert dict(data.sizes) == {"temperature": 3, "repeat": 2, "wavelength": 48}
        np.testing.assert_array_equal(spectrum, made_up_run().attempt(5).counts[0])


def test_the_snippets_of_the_page_on_files_run(recorded, capsys):
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    page = Path(__file__).parents[2] / "docs" / "reference" / "files.md"
    snippets = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)

    for snippet in snippets:
        exec(snippet, {"path": build_final(recorded)})  # noqa: S102 - our own page

    assert len(snippets) == 2
    printed = capsys.readouterr().out
    assert "{'temperature': 3, 'repeat': 2, 'wavelength': 48}" in printed
    assert "(3, 2) (48,) ['temperature_K', 'gap_voltage_V', 'angle_deg']" in printed


def test_silx_finds_the_default_plot(recorded):
    nxdata = pytest.importorskip("silx.io.nxdata")

    with h5py.File(build_final(recorded), "r") as file:
        plot = nxdata.get_default(file)

        assert plot.is_valid
        assert plot.axes_dataset_names == ["temperature", "repeat", "wavelength"]
        assert plot.interpretation == "spectrum"


def test_the_reader_of_the_journal_agrees_that_the_file_is_right(recorded):
    final = build_final(recorded)

    with JournalReader(recorded) as journal:
        verify_final(final, journal)

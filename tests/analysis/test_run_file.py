"""Files written here by hand after the documented layout, not by the program itself."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.readers.run_file import RunFile

COUNTS = np.arange(2 * 3 * 4, dtype=np.int32).reshape(2, 3, 4) - 5
ATTEMPT = np.array([[1, 2, 0], [4, 5, 6]])


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of 2 temperatures x 3 repeats and 4 pixels; attempt 3 was rejected."""
    path = tmp_path / "run.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry["title"] = "a night"
        data = entry.create_group("data")
        data.attrs.update(axes=["temperature", "repeat", "wavelength"], readings=["temperature_K"])
        data["spectra"] = COUNTS
        data["temperature"], data["repeat"] = [5.5, 10.0], [0, 1, 2]
        data["temperature"].attrs["units"] = "K"
        data["wavelength"] = [500.0, 501.0, 502.0, 503.0]
        data["wavelength"].attrs["medium"] = "vacuum"
        data["pixel"] = [3, 2, 1, 0]
        data["attempt"] = ATTEMPT
        data["frames"] = np.where(ATTEMPT > 0, 1, 0)
        data["exposure"] = np.full((2, 3), 0.5)
        data["time"] = np.arange(6.0).reshape(2, 3)
        data["temperature_K"] = np.full((2, 3), 5.6)
        data["temperature_K"].attrs["units"] = "K"
        entry["attempts/id"] = [1, 2, 3, 4, 5, 6]
        entry["attempts/first_frame"], entry["attempts/frames"] = (
            [0, 1, 2, 4, 5, 6],
            [1, 1, 2, 1, 1, 1],
        )
        raw = entry.create_group("instrument/detector_ccd/raw_data")
        raw["raw"] = np.arange(7 * 4, dtype=np.int32).reshape(7, 4)
        raw["start"] = np.arange(7.0)
    return path


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A running run of 3 points and 4 pixels; the second one is not measured yet."""
    path = tmp_path / "live.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry["title"] = "a night"
        data = entry.create_group("data")
        data.attrs["axes"] = ["point", "wavelength"]
        data["point"], data["wavelength"] = [0, 1, 2], np.zeros(4)
        data["spectra"] = COUNTS[0].astype(np.int64)
        columns = ["point", "segment", "frames", "start_s", "end_s", "exposure_s", "current_A"]
        row = [0.0, 1.0, 1.0, 7.0, 8.0, 0.5, 1e-9]
        data["conditions"] = np.array([row, np.zeros(7), [2.0, 1.0, 3.0, 9.0, 9.5, 0.5, 2e-9]])
        units = ["", "", "", "s", "s", "s", "A"]
        data["conditions"].attrs.update(columns=columns, units=units)
        data["attempt"] = [1, 0, 2]
        data["frames"] = np.stack([np.full((3, 4), i) for i in range(3)])
        data["crc32"] = np.zeros(3, np.uint32)
    return path


def test_a_finished_run_opens_as_plain_arrays(finished):
    run = RunFile.open(finished)

    assert run.title == "a night"
    assert run.shape == (2, 3)
    assert {name: values.tolist() for name, values in run.axes.items()} == {
        "temperature": [5.5, 10.0],
        "repeat": [0.0, 1.0, 2.0],
    }
    assert run.units == {"temperature": "K", "repeat": "", "temperature_K": "K"}
    np.testing.assert_array_equal(run.spectra, COUNTS)
    assert run.wavelength_nm.tolist() == [500.0, 501.0, 502.0, 503.0]
    assert run.medium == "vacuum"
    assert run.is_measured.tolist() == [[True, True, False], [True, True, True]]
    assert run.exposure_s.tolist() == [[0.5] * 3] * 2
    assert run.readings["temperature_K"].shape == (2, 3)


def test_single_frames_are_ordered_like_the_spectra(finished):
    frames = RunFile.open(finished).frames_of(3)

    assert frames.counts.tolist() == [[11, 10, 9, 8], [15, 14, 13, 12]]
    assert frames.start_s.tolist() == [2.0, 3.0]


def test_a_run_without_backgrounds_has_empty_ones(finished):
    backgrounds = RunFile.open(finished).backgrounds

    assert backgrounds.spectra.shape == (0, 4)
    assert backgrounds.is_dark.shape == backgrounds.exposure_s.shape == (0,)


def test_backgrounds_say_which_shutter_was_closed(finished):
    with h5py.File(finished, "r+") as file:
        group = file.create_group("entry/backgrounds")
        group.attrs["readings"] = []
        group["kind"] = ["blocked", "dark"]
        group["spectra"] = COUNTS[0, :2]
        group["frames"], group["exposure"] = [1, 2], [0.5, 1.0]
        group["time"], group["attempt"] = [0.0, 1.0], [7, 8]

    backgrounds = RunFile.open(finished).backgrounds

    assert backgrounds.is_dark.tolist() == [False, True]
    assert backgrounds.frames.tolist() == [1, 2]
    assert backgrounds.exposure_s.tolist() == [0.5, 1.0]
    np.testing.assert_array_equal(backgrounds.spectra, COUNTS[0, :2])


def test_each_spectrum_gets_the_wavelengths_of_its_setting(finished):
    with h5py.File(finished, "r+") as file:
        data = file["entry/data"]
        data["wavelength_by_setting"] = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
        data["wavelength_by_setting"].attrs["medium"] = "air"
        data["spectrograph_setting"] = [[0, 1, -1], [1, 1, 0]]
        del data["wavelength"]

    run = RunFile.open(finished)

    assert run.wavelength_nm.shape == (2, 3, 4)
    assert run.wavelength_nm[0, 1].tolist() == [5.0, 6.0, 7.0, 8.0]
    assert np.isnan(run.wavelength_nm[0, 2]).all()
    assert run.medium == "air"


def test_a_running_run_shows_what_is_measured_and_nan_for_the_rest(live):
    run = RunFile.open(live)

    assert run.is_measured.tolist() == [True, False, True]
    np.testing.assert_array_equal(run.time_s, [7.0, np.nan, 9.0])
    np.testing.assert_array_equal(run.readings["current_A"], [1e-9, np.nan, 2e-9])
    assert list(run.readings) == ["current_A"]
    assert run.units["current_A"] == "A"
    assert run.frames.tolist() == [1, 0, 3]
    assert np.isnan(run.wavelength_nm).all()


def test_single_frames_of_a_running_run_are_found(live):
    run = RunFile.open(live)

    assert run.frames_of(1).counts.tolist() == [COUNTS[0, 0].tolist()]
    assert run.frames_of(1).start_s.tolist() == [7.0]
    assert run.frames_of(2).counts.tolist() == [[2] * 4] * 3


def test_frames_that_only_the_finished_file_will_hold_are_not_made_up(live):
    with h5py.File(live, "r+") as file:
        del file["entry/data/frames"]

    with pytest.raises(LookupError, match="holds sums only; the single frames come with the"):
        RunFile.open(live).frames_of(2)


def test_an_unknown_attempt_is_said_in_both_kinds_of_file(finished, live):
    for path in (finished, live):
        with pytest.raises(LookupError, match="has no attempt 99"):
            RunFile.open(path).frames_of(99)


@pytest.mark.parametrize(
    "lost",
    ["data/temperature", "data/attempt", "data/frames", "data/exposure", "data/time", "title"],
)
def test_a_finished_run_that_lacks_something_is_refused_by_name(finished, lost):
    with h5py.File(finished, "r+") as file:
        del file[f"entry/{lost}"]

    with pytest.raises(ValueError, match=r"run\.nxs: no run as cryoscan writes it: "):
        RunFile.open(finished)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("spectra", COUNTS[:, :, :3], r"pixel of shape \(4,\), expected \(3,\)"),
        ("spectra", COUNTS[:1], r"spectra of shape \(1, 3, 4\), expected \(2, 3, 4\)"),
        ("spectra", "none", "no run as cryoscan writes it"),
        ("attempt", ATTEMPT[:1], r"attempt of shape \(1, 3\), expected \(2, 3\)"),
        ("wavelength", [500.0, 501.0], r"wavelength of shape \(2,\), expected \(4,\)"),
        ("temperature", ["warm", "cold"], "no run as cryoscan writes it: could not convert"),
        ("temperature_K", [5.6], r"temperature_K of shape \(1,\), expected \(2, 3\)"),
    ],
)
def test_arrays_of_a_run_that_do_not_fit_together_are_refused(finished, name, value, message):
    with h5py.File(finished, "r+") as file:
        data = file["entry/data"]
        kept = dict(data[name].attrs)
        del data[name]
        data[name] = value
        data[name].attrs.update(kept)

    with pytest.raises(ValueError, match=rf"run\.nxs: {message}"):
        RunFile.open(finished)


def test_a_file_that_is_no_run_is_said(tmp_path):
    h5py.File(tmp_path / "other.h5", "w").close()
    (tmp_path / "text.h5").write_text("no HDF5")

    with pytest.raises(ValueError, match="holds no run: /entry/data/spectra is missing"):
        RunFile.open(tmp_path / "other.h5")
    with pytest.raises(OSError, match="Unable to"):
        RunFile.open(tmp_path / "text.h5")

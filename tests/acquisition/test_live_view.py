import io
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np
import pytest

from acquisition.planning.point_table import Point, PointKind
from acquisition.storage.journal import Calibration, Journal
from acquisition.storage.live_view import LiveView
from acquisition.storage.record import Attempt, Event, Level

RELEASED = Event(0.0, 1.8e9, Level.INFO, "released", "measured again as a whole")


def show(journal: Journal, view: LiveView, attempt: Attempt) -> int:
    key = journal.put(attempt, accept=True)
    view.update(key, attempt)
    return key


@pytest.fixture
def view(journal: Journal):
    with LiveView(journal) as opened:
        yield opened


def read(journal: Journal, name: str) -> np.ndarray:
    with h5py.File(journal.folder / "live.h5", "r") as file:
        return file[f"entry/{name}"][...]


def test_a_row_is_there_for_any_program_as_soon_as_it_was_committed(made_up_run, journal, view):
    assert read(journal, "data/attempt").tolist() == [[0, 0], [0, 0], [0, 0]]
    attempt = made_up_run().attempt(5)  # temperature 1, repeat 1

    key = show(journal, view, attempt)

    assert read(journal, "data/attempt").tolist() == [[0, 0], [0, key], [0, 0]]
    np.testing.assert_array_equal(read(journal, "data/spectra")[1, 1], attempt.counts[0])
    assert read(journal, "data/temperature").tolist() == [5.5, 15.5, 25.5]
    assert view.is_alive


def test_the_conditions_of_a_row_are_named_in_its_columns(made_up_run, journal, view):
    attempt = made_up_run().attempt(5)

    show(journal, view, attempt)

    with h5py.File(journal.folder / "live.h5", "r") as file:
        conditions = file["entry/data/conditions"]
        row = dict(zip(conditions.attrs["columns"], conditions[1, 1], strict=True))
        units = dict(zip(conditions.attrs["columns"], conditions.attrs["units"], strict=True))
        whole = file["entry/data/spectra"][1, 1].tobytes() + conditions[1, 1].tobytes()
        assert file["entry/data/crc32"][1, 1] == crc32(whole)
    times = {"point": 5, "segment": 1, "frames": 1, "start_s": 15.0, "end_s": 16.5}
    assert row == {**times, "exposure_s": 1.0, **attempt.readings}
    assert units["gap_voltage_V"] == "V"


def test_backgrounds_have_rows_of_their_own(made_up_run, journal, view):
    show(journal, view, made_up_run().attempt(0))
    blocked = show(journal, view, made_up_run().attempt(1))

    assert read(journal, "backgrounds/attempt")[1] == blocked
    assert read(journal, "backgrounds/kind").tolist() == [b"dark", b"blocked"]
    assert not read(journal, "data/attempt").any()


def test_the_file_has_no_consistency_flags_and_every_byte_its_place(journal):
    LiveView(journal).close()

    with h5py.File(journal.folder / "live.h5", "r") as file:
        datasets = [file["entry/data"][name] for name in ("spectra", "conditions", "attempt")]
        assert all(dataset.id.get_offset() is not None for dataset in datasets)
        assert all(dataset.chunks is None for dataset in datasets)
    # byte 8 of an HDF5 file is the version of its superblock; flags came with version 3
    assert (journal.folder / "live.h5").read_bytes()[8] == 2


WATCH = """
import sys
import h5py
import numpy as np
from zlib import crc32

rows = opens = 0
while rows < 6:
    with h5py.File(sys.argv[1], "r") as file:
        data = file["entry/data"]
        attempt = data["attempt"][...]
        spectra, conditions, crc = (data[n][...] for n in ("spectra", "conditions", "crc32"))
    assert np.count_nonzero(attempt) >= rows
    for row in zip(*np.nonzero(attempt), strict=True):
        assert crc[row] == crc32(conditions[row].tobytes(), crc32(spectra[row].tobytes()))
    rows, opens = np.count_nonzero(attempt), opens + 1
print(opens)
"""


def test_a_reader_in_another_process_finds_whole_rows_only(made_up_run, journal, view):
    path = journal.folder / "live.h5"
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(path)], stdout=subprocess.PIPE, text=True
    )

    for point in range(8):
        show(journal, view, made_up_run().attempt(point))

    output, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert int(output) >= 1


def test_the_wavelength_appears_with_the_first_spectrum(made_up_run, journal, view):
    axis = np.linspace(500.0, 520.0, 48)
    key = journal.calibrate(Calibration("wavelength", 0.0, axis))

    show(journal, view, made_up_run().attempt(2, calibration=key))

    np.testing.assert_array_equal(read(journal, "data/wavelength"), axis)


def test_several_spectrograph_settings_leave_the_pixel_as_axis(made_up_run, tmp_path):
    run = made_up_run(settings=2)
    with run.create(tmp_path) as journal, LiveView(journal) as view:
        key = journal.calibrate(Calibration("wavelength", 0.0, run.wavelength_nm(1)))

        show(journal, view, run.attempt(4, calibration=key))

        assert view.is_alive
        with h5py.File(journal.folder / "live.h5", "r") as file:
            assert list(file["entry/data"].attrs["axes"]) == ["temperature", "repeat", "pixel"]


def test_frames_of_a_point_are_added_up_and_kept_while_they_are_few(made_up_run, tmp_path):
    run = made_up_run(frames=5, dtype="u2")
    with run.create(tmp_path) as journal, LiveView(journal) as view:
        attempt = run.attempt(4)

        show(journal, view, attempt)

        np.testing.assert_array_equal(read(journal, "data/frames")[1, 0], attempt.counts)
        total = attempt.counts.astype(np.int64).sum(axis=0)
        np.testing.assert_array_equal(read(journal, "data/spectra")[1, 0], total)


def test_a_long_kinetic_series_is_shown_as_its_sum_alone(made_up_run, tmp_path):
    run = made_up_run(frames=10_000, pixels=512)
    with run.create(tmp_path) as journal, LiveView(journal) as view:
        counts = np.full((10_000, 512), 300_000, np.int32)
        attempt = replace(run.attempt(4), counts=counts, frame_start_s=np.zeros(10_000))

        show(journal, view, attempt)

        # 3e9 does not fit into i4
        assert (read(journal, "data/spectra")[1, 0] == 3_000_000_000).all()
        with h5py.File(journal.folder / "live.h5", "r") as file:
            assert "frames" not in file["entry/data"]


# --- the view fails, the run does not


def test_a_view_that_can_not_be_written_is_given_up_with_a_word(made_up_run, journal, caplog, view):
    view._file.close()
    view._file = io.FileIO(journal.folder / "live.h5", "r")

    with caplog.at_level(logging.WARNING):
        show(journal, view, made_up_run().attempt(2))
        show(journal, view, made_up_run().attempt(3))

    assert not view.is_alive
    assert caplog.text.count("no longer kept up, the run goes on and nothing is lost") == 1


def test_a_disk_that_takes_only_part_of_a_row_ends_the_view_not_the_run(made_up_run, journal, view):
    class Full(io.FileIO):
        def write(self, payload):
            return super().write(payload[:100])

    view._file.close()
    view._file = Full(journal.folder / "live.h5", "r+")

    show(journal, view, made_up_run().attempt(2))

    assert not view.is_alive
    assert read(journal, "data/attempt").sum() == 0
    view.reconcile()
    assert read(journal, "data/attempt").sum() == 1


def test_a_stranger_who_truncates_the_file_does_not_stop_the_run(
    made_up_run, journal, caplog, view
):
    show(journal, view, made_up_run().attempt(2))
    h5py.File(journal.folder / "live.h5", "w").close()

    show(journal, view, made_up_run().attempt(3))

    assert not view.is_alive
    assert "another program has cut or replaced the file" in caplog.text
    view.reconcile()
    assert view.is_alive
    assert read(journal, "data/attempt").tolist() == [[1, 2], [0, 0], [0, 0]]
    assert (journal.folder / "live.h5.bad").exists()
    show(journal, view, made_up_run().attempt(4))
    assert read(journal, "data/attempt")[1, 0] == 3


def test_a_file_that_was_removed_is_built_anew(made_up_run, journal, view):
    show(journal, view, made_up_run().attempt(2))
    (journal.folder / "live.h5").unlink()

    show(journal, view, made_up_run().attempt(3))
    assert not view.is_alive
    view.reconcile()

    assert read(journal, "data/attempt").tolist() == [[1, 2], [0, 0], [0, 0]]


def test_a_folder_that_takes_no_file_gives_no_view_and_no_error(made_up_run, journal, monkeypatch):
    monkeypatch.setattr(h5py, "File", lambda *_, **__: (_ for _ in ()).throw(OSError("no room")))

    view = LiveView(journal)

    assert not view.is_alive
    assert show(journal, view, made_up_run().attempt(2)) == 1


@pytest.mark.parametrize("writes", range(6))
def test_a_row_written_over_is_void_until_it_is_whole_again(made_up_run, journal, view, writes):
    class Dying(io.FileIO):
        left = writes

        def write(self, payload):
            self.left -= 1
            if self.left < 0:
                raise OSError("the process ends here")
            return super().write(payload)

    first, again = made_up_run().attempt(2), made_up_run().attempt(2, attempt=1)
    show(journal, view, first)
    view._file.close()
    view._file = Dying(journal.folder / "live.h5", "r+")

    show(journal, view, again)

    found = read(journal, "data/attempt")[0, 0]
    spectrum = read(journal, "data/spectra")[0, 0]
    assert found == {0: 1, 5: 2}.get(writes, 0)
    if found:
        np.testing.assert_array_equal(spectrum, {1: first, 2: again}[found].counts[0])


# --- resume


def resume(folder: Path) -> tuple[Journal, LiveView]:
    journal = Journal.open(folder)
    return journal, LiveView(journal)


def test_rows_that_do_not_hold_the_journals_bytes_are_written_again(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path)
    before = (folder / "live.h5").read_bytes()
    with h5py.File(folder / "live.h5", "r+") as file:
        file["entry/data/spectra"][1, 0, 7] += 1
        file["entry/data/conditions"][0, 1, 0] = 99.0
        file["entry/data/attempt"][2, 1] = 0
        file["entry/backgrounds/spectra"][1] = 0

    journal, view = resume(folder)

    assert (folder / "live.h5").read_bytes() == before
    view.close()
    journal.close()


def test_rows_that_are_no_longer_accepted_are_cleared(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path)
    with Journal.open(folder) as journal, LiveView(journal) as view:
        journal.release_block(2, RELEASED)

        view.reconcile()

        assert (read(journal, "data/attempt") > 0).tolist() == [[1, 1], [0, 0], [1, 1]]


def test_a_point_measured_again_shows_its_new_attempt(made_up_run, journal, view):
    show(journal, view, made_up_run().attempt(2))
    again = made_up_run().attempt(2, attempt=1)

    key = show(journal, view, again)

    assert read(journal, "data/attempt")[0, 0] == key
    np.testing.assert_array_equal(read(journal, "data/spectra")[0, 0], again.counts[0])


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 100])
def test_an_unreadable_view_is_put_aside_and_built_anew(made_up_run, tmp_path, content):
    folder = made_up_run().record(tmp_path)
    (folder / "live.h5").write_bytes(content)

    journal, view = resume(folder)

    assert (folder / "live.h5.bad").read_bytes() == content
    assert (read(journal, "data/attempt") > 0).all()
    view.close()
    journal.close()


def test_appended_points_get_rows_with_room_for_more(made_up_run, journal, view):
    for point in range(8):
        show(journal, view, made_up_run().attempt(point))

    for point in range(8, 40):
        journal.append_points([Point(point, PointKind.SAMPLE, 1.0, 1, temperature_K=77.0)])
        show(journal, view, made_up_run().attempt(point))

    assert view.is_alive
    attempt = read(journal, "data/attempt")
    assert attempt[:38].tolist() == list(range(3, 41))
    assert len(attempt) > 38
    np.testing.assert_array_equal(
        read(journal, "data/spectra")[37], made_up_run().attempt(39).counts[0]
    )

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.storage.journal import Calibration, Journal, JournalReader, seal_journal
from acquisition.storage.journal_rows import AttemptRows
from acquisition.storage.record import Attempt, AttemptState, Event, FitRow, Level, StreamBatch
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.storage_errors import RunLocked, SchemaError, StorageError, StorageFull

NOTE = Event(1.0, 1.8e9, Level.INFO, "note", "the laser was realigned", {"by": "A. Person"})


def assert_equal_attempts(found: Attempt, expected: Attempt) -> None:
    plain = {"counts": None, "frame_start_s": None, "readings": None}
    assert replace(found, **plain) == replace(expected, **plain)
    assert found.counts.dtype == expected.counts.dtype
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.frame_start_s, expected.frame_start_s)
    np.testing.assert_equal(dict(found.readings), dict(expected.readings))


def edit(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "journal.sqlite", isolation_level=None)) as db:
        db.execute(statement, values)


# --- what is put in comes out


def test_a_new_journal_holds_the_frozen_plan_and_circumstances(made_up_run, journal):
    with JournalReader(journal.folder) as reader:
        assert reader.table() == made_up_run().table()
        assert reader.meta == made_up_run().meta()
        assert reader._meta_value("plan_sha256") == made_up_run().table().sha256()
        assert list(reader.meta.readings) == ["temperature_K", "gap_voltage_V", "angle_deg"]
        assert [point.index for point in reader.todo()] == list(range(8))


def test_an_attempt_is_read_back_by_another_connection_as_soon_as_put_returns(made_up_run, journal):
    attempt = replace(made_up_run().attempt(2), flags=("saturated", "drift"), note="Ä")

    key = journal.put(attempt, accept=True)

    with JournalReader(journal.folder) as reader:
        stored = reader.attempt(key)
        assert_equal_attempts(stored.attempt, attempt)
        assert stored.is_accepted
        assert reader.latest_attempt().id == reader.accepted_attempt(2).id == key
        assert [point.index for point in reader.todo()] == [0, 1, 3, 4, 5, 6, 7]


@settings(max_examples=40, deadline=None)
@given(
    counts=hnp.arrays(np.int32, st.tuples(st.integers(1, 4), st.just(5))),
    readings=st.dictionaries(st.sampled_from(["a_K", "b_V"]), st.floats(width=64)),
    exposure_s=st.floats(0, 1e6),
)
def test_any_counts_and_readings_survive_the_way_through_a_row(counts, readings, exposure_s):
    meta = RunMeta("t", "s", "0" * 8, 0.0, 5, "i4", {"a_K": "K", "b_V": "V"}, "", "", "0")
    start = np.linspace(0.0, 1.0, len(counts))
    attempt = Attempt(0, AttemptState.OK, 1, 0.0, 1.0, exposure_s, counts, start, readings)

    row = [bytes(v) if isinstance(v, np.ndarray) else v for v in AttemptRows(meta).encode(attempt)]
    found = AttemptRows(meta).decode([7, 7, *row]).attempt

    expected = replace(attempt, readings={"a_K": np.nan, "b_V": np.nan} | readings)
    assert_equal_attempts(found, expected)


def test_u2_counts_and_a_kinetic_series_are_stored_as_delivered(made_up_run, tmp_path):
    run = made_up_run(dtype="u2", frames=2000)
    with run.create(tmp_path) as journal:
        attempt = run.attempt(2)

        stored = journal.attempt(journal.put(attempt, accept=True))

        assert stored.attempt.counts.dtype == np.uint16
        assert_equal_attempts(stored.attempt, attempt)


def test_negative_counts_and_the_largest_ones_are_kept(made_up_run, journal):
    counts = np.resize(np.array([-32, 0, 53_562, 2**31 - 1, -(2**31)], np.int32), (1, 48))

    key = journal.put(replace(made_up_run().attempt(2), counts=counts), accept=True)

    np.testing.assert_array_equal(journal.attempt(key).attempt.counts, counts)


def test_events_streams_and_fits_come_with_the_point_or_between_points(made_up_run, journal):
    batch = StreamBatch("current_A", "A", np.array([0.0, 1.0]), np.array([np.nan, 1e-9]))
    key = journal.put(made_up_run().attempt(2), accept=True, events=[NOTE], streams=[batch])
    fit = fit_of(2, key, values=[2.4, 7.0])

    journal.note(events=[replace(NOTE, code="paused")], fits=[fit])

    with JournalReader(journal.folder) as reader:
        (first, event), (second, paused) = reader.events()
        assert event == NOTE
        assert paused.code == "paused"
        assert reader.events(since=first) == ((second, paused),)
        ((stream, found),) = reader.streams(channel="current_A")
        np.testing.assert_array_equal(found.value, batch.value)
        assert reader.streams(since=stream) == reader.streams(channel="other") == ()
        (stored,) = reader.fits("lines")
        np.testing.assert_array_equal(stored.covariance, fit.covariance)
        assert replace(stored, values=0, errors=0, covariance=0) == replace(
            fit, values=0, errors=0, covariance=0
        )


def test_the_fits_of_some_attempts_come_in_their_order(made_up_run, journal):
    keys = [journal.put(made_up_run().attempt(point), accept=True) for point in (2, 3, 4)]
    journal.note(
        fits=[fit_of(p, k, values=[1.0, 2.0]) for p, k in zip((2, 3, 4), keys, strict=True)]
    )

    with JournalReader(journal.folder) as reader:
        assert [fit.point for fit in reader.fits_of([keys[2], keys[0]])] == [2, 4]
        assert reader.fits_of([]) == ()
        assert reader.fits_of([99]) == ()


def test_a_fit_without_degrees_of_freedom_comes_back_as_nan(made_up_run, journal):
    key = journal.put(made_up_run().attempt(2), accept=True)

    journal.note(fits=[replace(fit_of(2, key, values=[1.0, 2.0]), chi2_per_dof=float("nan"))])

    assert np.isnan(journal.fits()[0].chi2_per_dof)


def test_calibrations_and_segments_are_numbered_from_one(journal):
    axis = Calibration("wavelength", 0.0, np.linspace(500, 520, 48), {"medium": "vacuum"})

    assert [journal.calibrate(axis), journal.calibrate(axis)] == [1, 2]
    assert [journal.begin_segment(0.0, 1.8e9), journal.begin_segment(50.0, 1.9e9)] == [1, 2]

    np.testing.assert_array_equal(journal.calibrations()[2].value, axis.value)
    assert journal.calibrations()[2].details == {"medium": "vacuum"}
    assert journal.segments()[1].utc == 1.9e9
    assert journal.last_time_s() == 50.0


# --- which attempt counts


def test_a_repeat_is_a_new_attempt_and_the_old_one_stays(made_up_run, journal):
    rejected = replace(made_up_run().attempt(2), state=AttemptState.REJECTED, note="T left")
    first = journal.put(rejected, accept=False)
    assert 2 in [point.index for point in journal.todo()]

    second = journal.put(made_up_run().attempt(2, attempt=1), accept=True)
    third = journal.put(made_up_run().attempt(2, attempt=2), accept=True)

    history = [(stored.id, stored.is_accepted) for stored in journal.attempts_of(2)]
    assert history == [(first, False), (second, False), (third, True)]
    assert journal.accepted() == {2: third}


@pytest.mark.parametrize(
    "state", [AttemptState.REJECTED, AttemptState.ABORTED, AttemptState.REFERENCE]
)
def test_only_a_good_attempt_can_be_accepted(made_up_run, journal, state):
    with pytest.raises(ValueError, match=f"point 2: an attempt that is '{state.value}' can't"):
        journal.put(replace(made_up_run().attempt(2), state=state), accept=True)

    assert journal.progress().attempts == 0


def test_releasing_a_block_lets_it_be_measured_again_and_keeps_its_history(made_up_run, journal):
    for point in range(5):
        journal.put(made_up_run().attempt(point), accept=True)

    released = journal.release_block(1, NOTE)

    assert [point.index for point in released] == [2, 3]
    assert [point.index for point in journal.todo()] == [2, 3, 5, 6, 7]
    assert journal.progress().attempts == 5
    assert journal.events()[-1][1] == NOTE


def test_appended_points_are_planned_before_they_run_and_survive_reopening(made_up_run, tmp_path):
    with made_up_run().create(tmp_path) as journal:
        folder = journal.folder
        journal.append_points([Point(8, PointKind.SAMPLE, 2.0, 1, temperature_K=77.0)])

    with Journal.open(folder) as journal:
        assert journal.todo()[-1].temperature_K == 77.0
        assert len(journal.table().points) == 9
        with pytest.raises(ValueError, match="row 9 has index 5"):
            journal.append_points([Point(5, PointKind.SAMPLE, 2.0, 1)])


def test_the_fit_backlog_is_the_accepted_spectra_without_a_fit_newest_first(made_up_run, journal):
    keys = [journal.put(made_up_run().attempt(point), accept=True) for point in range(5)]
    journal.note(fits=[fit_of(3, keys[3], values=[1.0, 2.0])])

    with JournalReader(journal.folder) as reader:
        assert reader.fit_backlog("lines", "1") == (keys[4], keys[2])
        assert reader.fit_backlog("lines", "2") == (keys[4], keys[3], keys[2])
        assert reader.fit_backlog("lines", "2", limit=1) == (keys[4],)


def test_a_fit_of_the_same_attempt_and_version_replaces_the_old_one(made_up_run, journal):
    key = journal.put(made_up_run().attempt(2), accept=True)

    journal.note(fits=[fit_of(2, key, values=[1.0, 2.0])])
    journal.note(fits=[fit_of(2, key, values=[3.0, 4.0])])

    (stored,) = journal.fits()
    assert stored.values.tolist() == [3.0, 4.0]


# --- nothing half done


def test_a_transaction_that_fails_stores_nothing_and_the_next_one_works(made_up_run, journal):
    stranger = fit_of(2, 4711, values=[1.0, 2.0])

    with pytest.raises(StorageError, match=r"FOREIGN KEY.*nothing of this step was stored"):
        journal.put(made_up_run().attempt(2), accept=True, events=[NOTE], fits=[stranger])

    assert journal.progress().attempts == 0
    assert journal.events() == ()
    assert journal.put(made_up_run().attempt(2), accept=True) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.zeros((1, 47), np.int32)}, r"counts int32 \(1, 47\), the run was frozen"),
        ({"counts": np.zeros(48, np.int32)}, r"counts int32 \(48,\)"),
        ({"counts": np.zeros((1, 48), np.uint16)}, r"counts uint16 .* frozen with int32"),
        ({"counts": np.zeros((2, 48), np.int32)}, r"\(1,\) start times for 2 frames"),
        ({"readings": {"pressure_mbar": 1.0}}, r"readings \['pressure_mbar'\] are not among"),
    ],
)
def test_an_attempt_of_another_shape_than_the_run_is_refused(made_up_run, journal, change, message):
    with pytest.raises(ValueError, match=f"point 2: .*{message}"):
        journal.put(replace(made_up_run().attempt(2), **change), accept=True)

    assert journal.progress().attempts == 0


def test_a_monitor_batch_whose_arrays_do_not_pair_is_refused(journal):
    with pytest.raises(ValueError, match=r"current_A: times \(2,\) and values \(1,\) must pair"):
        journal.note(streams=[StreamBatch("current_A", "A", np.zeros(2), np.zeros(1))])


def test_a_fit_whose_covariance_has_another_size_is_refused(made_up_run, journal):
    key = journal.put(made_up_run().attempt(2), accept=True)
    bad = replace(fit_of(2, key, values=[1.0, 2.0]), covariance=np.eye(3))

    with pytest.raises(ValueError, match=r"fit lines of point 2: 2 names.*covariance \(3, 3\)"):
        journal.note(fits=[bad])


def test_a_table_whose_rows_are_not_numbered_in_order_is_refused(made_up_run, tmp_path):
    table = PointTable((), (Point(1, PointKind.SAMPLE, 1.0, 1),))

    with pytest.raises(ValueError, match="point table: row 0 has index 1"):
        Journal.create(tmp_path, table, made_up_run().meta())


# --- opening


def test_every_writing_connection_syncs_each_commit(made_up_run, tmp_path):
    with made_up_run().create(tmp_path) as journal:
        folder = journal.folder

    with Journal.open(folder) as journal:
        found = [
            journal._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "fullfsync")
        ]

    assert found == ["wal", 2, 1, 1]  # 2 is FULL


def test_a_folder_without_a_journal_says_that_nothing_was_measured(tmp_path):
    with pytest.raises(StorageError, match=r"holds no journal\.sqlite: nothing was measured"):
        Journal.open(tmp_path)
    with pytest.raises(StorageError, match=r"holds no run: there is no journal\.sqlite"):
        JournalReader(tmp_path)


def test_a_journal_is_never_created_over_another(made_up_run, journal):
    with pytest.raises(StorageError, match="exists already"):
        Journal.create(journal.folder, made_up_run().table(), made_up_run().meta())


def test_a_creation_that_was_cut_short_leaves_no_journal_and_can_be_repeated(made_up_run, tmp_path):
    (tmp_path / "journal.sqlite.tmp").write_bytes(b"half a journal")

    Journal.create(tmp_path, made_up_run().table(), made_up_run().meta()).close()

    assert not (tmp_path / "journal.sqlite.tmp").exists()
    with JournalReader(tmp_path) as reader:
        assert len(reader.todo()) == 8


def test_a_second_writer_is_refused_while_readers_are_welcome(made_up_run, journal):
    with pytest.raises(RunLocked, match="is being written by another process"):
        Journal.open(journal.folder)

    with JournalReader(journal.folder) as one, JournalReader(journal.folder) as other:
        journal.put(made_up_run().attempt(2), accept=True)
        assert one.progress() == other.progress() == journal.progress()


def test_a_reader_can_not_write(journal):
    with JournalReader(journal.folder) as reader, pytest.raises(sqlite3.OperationalError):
        reader._db.execute("DELETE FROM plan")


def test_a_journal_of_a_newer_program_is_refused(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, points=3, view=False)
    edit(folder, "UPDATE meta SET value='2' WHERE key='schema'")

    with pytest.raises(SchemaError, match="journal of version 2, this program knows versions up"):
        JournalReader(folder)
    with pytest.raises(SchemaError, match="use the newer program"):
        Journal.open(folder)


def test_a_journal_of_an_older_program_is_read_but_not_continued(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, points=3, view=False)
    edit(folder, "UPDATE meta SET value='0' WHERE key='schema'")

    with JournalReader(folder) as reader:
        assert reader.progress().accepted == 3
    with pytest.raises(SchemaError, match="version 0 can be read, but only one of version 1"):
        Journal.open(folder)


def test_a_plan_that_was_tampered_with_is_refused(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, points=3, view=False)
    edit(folder, "UPDATE plan SET setpoints=replace(setpoints,'5.5','9.5')")

    with pytest.raises(SchemaError, match="is not the one frozen with it"):
        Journal.open(folder)


def test_a_damaged_journal_is_refused_and_the_run_is_free_again(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, points=8, view=False)
    path = folder / "journal.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 : 5 * 4096] = bytes(4 * 4096)
    path.write_bytes(content)

    for _ in range(2):
        with pytest.raises(StorageError, match=r"journal\.sqlite"):
            Journal.open(folder)


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"not a database at all" * 1000)

    with pytest.raises(StorageError, match="file is not a database"):
        Journal.open(tmp_path)
    with pytest.raises(StorageError, match="can't be read: file is not a database"):
        JournalReader(tmp_path)


def test_closing_leaves_one_file_and_closing_twice_is_harmless(made_up_run, tmp_path):
    journal = made_up_run().create(tmp_path)
    journal.put(made_up_run().attempt(2), accept=True)

    journal.close()
    journal.close()

    names = sorted(path.name for path in journal.folder.iterdir())
    assert names == [".writer", "journal.sqlite"]


def test_a_sealed_journal_is_one_read_only_file_that_can_be_opened_again(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, view=False)

    assert seal_journal(folder)

    path = folder / "journal.sqlite"
    assert path.stat().st_mode & 0o222 == 0
    with JournalReader(folder) as reader:
        assert reader.progress().accepted == 8
        assert sorted(p.name for p in folder.iterdir()) == [".writer", "journal.sqlite"]
    with Journal.open(folder) as journal:
        journal.note(events=[NOTE])
        assert journal.events()[-1][1] == NOTE


def test_a_reader_elsewhere_keeps_a_journal_from_being_sealed_without_harm(made_up_run, tmp_path):
    folder = made_up_run().record(tmp_path, view=False)
    with JournalReader(folder) as reader:
        reader._db.execute("BEGIN")
        reader.progress()

        assert not seal_journal(folder)

    with JournalReader(folder) as reader:
        assert reader.progress().accepted == 8


def test_a_journal_whose_shared_memory_file_is_lost_is_read_with_its_log(made_up_run, tmp_path):
    run = made_up_run()
    with run.create(tmp_path / "a") as journal:
        journal.put(run.attempt(2), accept=True)
        copied = tmp_path / "copied"
        copied.mkdir()
        for name in ("journal.sqlite", "journal.sqlite-wal"):
            shutil.copy(journal.folder / name, copied)

    with JournalReader(copied) as reader:
        assert reader.progress().accepted == 1
    with Journal.open(copied) as resumed:
        assert [point.index for point in resumed.todo()] == [0, 1, 3, 4, 5, 6, 7]


# --- the digest


def digest_of(run, root: Path) -> str:
    with JournalReader(run.record(root, view=False)) as reader:
        return reader.digest()


def test_runs_that_went_the_same_way_have_one_digest(made_up_run, tmp_path):
    first = digest_of(made_up_run(), tmp_path / "a")
    later = digest_of(made_up_run(uuid="f" * 32), tmp_path / "b")

    assert first == later
    assert first != digest_of(made_up_run(seed=2), tmp_path / "c")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempt SET counts=zeroblob(192) WHERE id=1",
        "UPDATE attempt SET readings=zeroblob(24) WHERE id=1",
        "UPDATE attempt SET end_s=end_s+1e-9 WHERE id=1",
        "UPDATE attempt SET state='aborted' WHERE id=1",
        "DELETE FROM accepted WHERE point=1",
        "UPDATE event SET text='other' WHERE id=1",
        "UPDATE event SET time_s=0.5 WHERE id=1",
        "UPDATE stream SET value=zeroblob(24) WHERE id=1",
        "UPDATE plan SET setpoints=replace(setpoints,'5.5','9.5')",
        "UPDATE calibration SET value=zeroblob(384)",
    ],
)
def test_the_digest_changes_with_everything_measured(made_up_run, tmp_path, statement):
    folder = made_up_run().record(tmp_path, view=False)
    with JournalReader(folder) as reader:
        before = reader.digest()

    edit(folder, statement)

    with JournalReader(folder) as reader:
        assert reader.digest() != before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET utc=utc+1",
        "UPDATE segment SET utc=utc+1",
        "DELETE FROM fit",
        "UPDATE meta SET value='\"elsewhere\"' WHERE key='host'",
    ],
)
def test_wall_clock_place_and_fits_leave_the_digest_alone(made_up_run, tmp_path, statement):
    folder = made_up_run().record(tmp_path, view=False)
    with JournalReader(folder) as reader:
        digest, fingerprint = reader.digest(), reader.fingerprint()

    edit(folder, statement)

    with JournalReader(folder) as reader:
        assert reader.digest() == digest
        assert reader.fingerprint() != fingerprint


# --- a full disk


def test_a_full_disk_is_said_and_the_same_call_succeeds_when_there_is_room(made_up_run, tmp_path):
    run = made_up_run(pixels=4096)
    with run.create(tmp_path) as journal:
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count={pages + 2}")

        with pytest.raises(StorageFull, match=r"the disk is full .*Make room, then continue"):
            journal.put(run.attempt(0), accept=True, events=[NOTE])
        assert journal.progress().attempts == 0
        assert journal.events() == ()
        with pytest.raises(StorageFull):
            journal.put(run.attempt(0), accept=True, events=[NOTE])

        journal._db.execute("PRAGMA max_page_count=1000000")
        assert journal.put(run.attempt(0), accept=True, events=[NOTE]) == 1
        assert journal.progress().accepted == 1


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from acquisition.storage.journal import Journal
from acquisition.storage.record import Attempt, AttemptState
from acquisition.storage.storage_errors import StorageError

journal = Journal.open(Path(sys.argv[1]))
failures = 0
for point in range(8):
    counts = np.full((100, 48), point, np.int32)
    attempt = Attempt(point, AttemptState.OK, 1, 0.0, 1.0, 1.0, counts, np.zeros(100), {})
    resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, resource.RLIM_INFINITY))
    try:
        journal.put(attempt, accept=True)
    except StorageError as error:
        failures += 1
        assert "nothing of this step was stored" in str(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        journal.put(attempt, accept=True)
print(failures, len(journal.todo()), journal._db.execute("PRAGMA integrity_check").fetchone()[0])
journal.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit of POSIX")
def test_a_write_that_the_system_refuses_loses_nothing(made_up_run, tmp_path):
    made_up_run().create(tmp_path).close()
    (folder,) = tmp_path.glob("*/*/*")

    command = [sys.executable, "-c", LIMITED, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())

    failures, left, integrity = result.stdout.split()
    assert int(failures) >= 4
    assert (left, integrity) == ("0", "ok")


# --- readers in other processes


WATCH = """
import sys
from pathlib import Path
from acquisition.storage.journal import JournalReader

seen, cycles = 0, 0
with JournalReader(Path(sys.argv[1])) as reader:
    while seen < 300:
        latest = reader.latest_attempt()
        now = reader.progress().attempts
        assert now >= seen
        if latest is not None:
            assert latest.id >= seen
            assert (latest.attempt.counts == latest.attempt.start_s).all()
        seen, cycles = now, cycles + 1
print(cycles)
"""


def test_a_reader_in_another_process_sees_whole_attempts_in_order(made_up_run, journal):
    command = [sys.executable, "-c", WATCH, str(journal.folder)]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    attempt = made_up_run().attempt(2)

    for i in range(300):
        counts = np.full((1, 48), i, np.int32)
        journal.put(replace(attempt, start_s=float(i), counts=counts), accept=True)

    output, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert int(output) > 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_put_reaches_the_disk_before_it_returns(made_up_run, tmp_path):
    made_up_run().create(tmp_path).close()
    (folder,) = tmp_path.glob("*/*/*")
    script = LIMITED.replace("90_000", "90_000_000")

    trace = tmp_path / "trace"
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fdatasync,fsync"]
    run = [*command, sys.executable, "-c", script, str(folder)]
    result = subprocess.run(run, capture_output=True, text=True, cwd=Path.cwd(), check=False)
    if "ptrace" in result.stderr:
        pytest.skip("strace may not trace here")

    assert result.stdout.split() == ["0", "0", "ok"]
    assert trace.read_text().count("sync(") >= 8


def fit_of(point: int, attempt: int, *, values: list[float]) -> FitRow:
    return FitRow(
        point=point,
        attempt=attempt,
        model="lines",
        version="1",
        verdict="one line",
        reason="",
        names=("centre_eV", "area"),
        values=np.array(values),
        errors=np.array([0.1, 0.2]),
        covariance=np.array([[0.01, 0.001], [0.001, 0.04]]),
        chi2_per_dof=1.2,
    )


def test_a_table_with_whole_numbers_on_its_axes_is_frozen_as_it_is_read_back(made_up_run, tmp_path):
    table = PointTable(
        (AxisColumn("repeat", "", (0, 1)),),
        tuple(Point(i, PointKind.SAMPLE, 1, 1, repeat=i, cell=(i,)) for i in range(2)),
    )

    Journal.create(tmp_path, table, made_up_run().meta()).close()

    with Journal.open(tmp_path) as journal:
        assert journal.table() == table

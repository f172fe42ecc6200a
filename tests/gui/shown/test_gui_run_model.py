"""The run that is shown, against what was written into journals and files."""

import hashlib
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from acquisition.planning.point_table import AxisColumn, Point, PointKind
from acquisition.storage.record import AttemptState, Event, Level
from gui.shown import row_counts
from gui.shown.run_rows import RowState
from gui.shown.shown_run import RunPhase

LONGEST_ms = 20_000


def test_a_run_is_shown_as_it_was_written(opened, whole_run, made_up):
    made = made_up()

    model = opened(whole_run)

    rows = model.rows
    assert model.phase is RunPhase.COMPLETE
    assert model.head.title == "made up"
    assert model.head.sample == "NC 7"
    assert len(rows) == made.points
    for i in range(made.points):
        assert rows.counts[i].tolist() == made.counts(i)[0].tolist()
    assert rows.setpoint("field_kV_per_cm").tolist() == made.values.tolist()
    assert rows.reading("temperature_K").tolist() == [5.5] * made.points
    assert rows.start_s.tolist() == [10.0 * i for i in range(made.points)]
    assert set(rows.state.tolist()) == {RowState.GOOD}
    assert [event.code for event in model.events] == ["segment", "finished", "safe state"]
    np.testing.assert_allclose(
        model.energy_eV(0), 1239.8419843320026 / made.wavelength_nm, rtol=1e-12
    )


def test_fits_and_streams_come_with_the_run_and_what_is_missing_is_nan(opened, whole_run, made_up):
    made = made_up()

    model = opened(whole_run)

    values, errors = model.rows.parameter("energy_1_eV")
    assert values.tolist() == [made.fit(i, i + 1).values[0] for i in range(made.points)]
    assert set(errors.tolist()) == {1e-6}
    time_s, temperature = model.streams.of("temperature_K")
    assert time_s.tolist() == [10.0 * i + j for i in range(made.points) for j in (0.0, 5.0)]
    assert np.isnan(temperature).sum() == len(range(4, made.points, 5))
    assert model.fit(3).reason == "reason 3"


def test_showing_a_run_changes_nothing_on_the_disk(opened, model, measured, qtbot):
    before = _content(measured.folder)

    opened(measured.folder)
    with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms):
        model.ask_detail(5)
    model.close()

    assert _content(measured.folder) == before


def _content(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def test_frames_are_added_up_and_shown_per_frame(opened, made_up, tmp_path):
    made = made_up(points=3, frames=4)

    model = opened(made.write(tmp_path / "run"))

    assert model.counts(1).tolist() == made.counts(1).sum(axis=0).tolist()
    assert model.counts_per_frame(1).tolist() == made.counts(1).mean(axis=0).tolist()


def test_fits_that_come_when_the_run_is_over_are_shown(opened, made_up, tmp_path, qtbot):
    """A run waits for its last fits after its last point; `cryoscan fit` comes later still."""
    made = made_up()
    journal = made.begin(tmp_path / "run")
    keys = [journal.put(made.attempt(i), accept=True) for i in range(4)]
    journal.note([Event(1e4, 0.0, Level.INFO, "finished", "completed")])
    model = opened(tmp_path / "run")
    assert model.phase is not RunPhase.RUNNING
    assert len(model.rows.fits) == 0

    for last in (2, 4):
        journal.note(fits=[made.fit(i, keys[i]) for i in range(last)])
        model.look()
        qtbot.waitUntil(lambda last=last: len(model.rows.fits) == last, timeout=LONGEST_ms)

    journal.close()
    assert model.fit(3).reason == "reason 3"


def test_a_run_that_was_broken_off_is_called_interrupted(opened, made_up, tmp_path):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(8))
    journal.close()
    (tmp_path / "run" / ".writer").write_text("pid 4194305 on nowhere\n")

    model = opened(tmp_path / "run")

    assert model.phase is RunPhase.INTERRUPTED
    assert model.rows.is_measured.tolist() == [True] * 8 + [False] * 13
    assert np.isnan(model.rows.exposure_s[8:]).all()


def test_a_run_that_ended_early_is_incomplete(opened, made_up, tmp_path):
    assert opened(made_up().write(tmp_path / "run", range(5))).phase is RunPhase.INCOMPLETE


def test_a_running_run_grows_while_it_is_shown(opened, made_up, tmp_path, qtbot):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3))
    model = opened(tmp_path / "run")
    assert model.phase is RunPhase.RUNNING
    assert int(model.rows.is_measured.sum()) == 3

    came = []
    model.rows_changed.connect(came.extend)
    made.measure(journal, range(3, 6))
    model.look()
    qtbot.waitUntil(lambda: len(model.rows.fits) == 6, timeout=LONGEST_ms)
    with qtbot.waitSignal(model.phase_changed, timeout=LONGEST_ms) as ended:
        made.end(journal)

    assert sorted(came) == [3, 4, 5]
    assert model.counts(5).tolist() == made.counts(5)[0].tolist()
    assert ended.args == [RunPhase.INCOMPLETE]


def test_a_rejected_attempt_is_shown_until_one_is_accepted(opened, made_up, tmp_path, qtbot):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    rejected = made.attempt(0, AttemptState.REJECTED, flags=("temperature drifted",))
    journal.put(rejected, accept=False)
    journal.put(made.attempt(1, AttemptState.ABORTED), accept=False)
    model = opened(tmp_path / "run")
    assert model.rows.state[:3].tolist() == [
        RowState.REJECTED,
        RowState.ABORTED,
        RowState.NOT_MEASURED,
    ]
    assert model.rows.flags[0] == ("temperature drifted",)

    made.measure(journal, [0], flags=("probe",))
    journal.put(made.attempt(0, AttemptState.REJECTED), accept=False)
    made.measure(journal, [1])
    model.look()

    qtbot.waitUntil(lambda: model.rows.state[1] == RowState.GOOD, timeout=LONGEST_ms)
    assert model.rows.state[0] == RowState.FLAGGED
    assert model.rows.flags[0] == ("probe",)
    journal.close()


def test_what_was_accepted_stays_shown_when_a_later_attempt_is_rejected(opened, made_up, tmp_path):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0])
    journal.put(made.attempt(0, AttemptState.REJECTED, counts=made.counts(9)), accept=False)

    model = opened(tmp_path / "run")

    assert model.rows.state[0] == RowState.GOOD
    assert model.counts(0).tolist() == made.counts(0)[0].tolist()
    journal.close()


def test_a_reference_of_a_resume_does_not_replace_the_point(opened, made_up, tmp_path, qtbot):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0])
    other = made.attempt(0, AttemptState.REFERENCE, counts=made.counts(9))

    journal.put(other, accept=False)
    made.measure(journal, [1])
    model = opened(tmp_path / "run")

    assert model.counts(0).tolist() == made.counts(0)[0].tolist()
    assert model.fit(0) is not None
    journal.close()


def test_a_block_that_resume_takes_back_is_no_longer_accepted(opened, made_up, tmp_path, qtbot):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3))
    model = opened(tmp_path / "run")

    journal.release_block(0, _segment(journal))
    model.look()

    qtbot.waitUntil(
        lambda: model.rows.state[:3].tolist() == [RowState.REJECTED] * 3, timeout=LONGEST_ms
    )
    journal.close()


def _segment(journal):
    return next(event for _, event in journal.events() if event.code == "segment")


def test_points_that_are_appended_make_room_for_themselves(opened, made_up, tmp_path, qtbot):
    made = made_up(points=3)
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3))
    model = opened(tmp_path / "run")
    values = (*made.values.tolist(), 120.0)

    more = Point(3, PointKind.SAMPLE, 1.0, 1, field_kV_per_cm=120.0, cell=(3,))
    journal.append_points([more], (AxisColumn("field_kV_per_cm", "kV/cm", values),))
    journal.put(made.attempt(2, point=3), accept=True)
    model.look()

    qtbot.waitUntil(lambda: model.size == 4 and model.holds(3), timeout=LONGEST_ms)
    assert model.rows.setpoint("field_kV_per_cm").tolist() == list(values)
    assert model.fit(1).reason == "reason 1"
    assert model.counts(3).tolist() == made.counts(2)[0].tolist()
    journal.close()


def test_the_finished_file_shows_what_the_journal_shows(opened, measured):
    def columns(path):
        model = opened(path)
        order = np.argsort(model.wavelength_nm(model.size - 1))
        return {
            "counts": model.rows.counts.of(np.arange(model.size))[:, order].tolist(),
            "state": model.rows.state.tolist(),
            "frames": model.rows.frames.tolist(),
            "angle": model.rows.setpoint("angle_deg").tolist(),
            "kind": list(model.rows.plan.kind),
            "energy": model.rows.parameter("energy_1_eV")[0].tolist(),
            "verdict": [fit.verdict for _, fit in sorted(model.rows.fits.items())],
            "events": [event.text for event in model.events],
            "temperature": sorted(model.streams.of("temperature_K")[1].tolist()),
            "where": np.sort(model.wavelength_nm(model.size - 1)).tolist(),
        }

    journal, file = columns(measured.folder), columns(measured.final)

    assert len(journal["verdict"]) >= 7
    for name in journal:
        np.testing.assert_equal(file[name], journal[name], err_msg=name)


def test_the_detail_of_a_row_is_the_same_from_file_and_journal(opened, measured, qtbot):
    details = []
    for path in (measured.folder, measured.final):
        model = opened(path)
        with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms) as came:
            model.ask_detail(model.size - 1)
        details.append(came.args[0])

    journal, file = details
    order = slice(None) if np.array_equal(journal.frames, file.frames) else slice(None, None, -1)
    assert np.array_equal(file.frames[:, order], journal.frames)
    np.testing.assert_allclose(file.background[order], journal.background)
    np.testing.assert_allclose(file.fit.total[order], journal.fit.total, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "spectra", "pixels"),
    [
        ("andor/kinetic_series.sif", 20, 1024),
        ("andor/raman1.asc", 1, 1024),
        ("princeton/one_dimensional_spectrum.spe", 1, 1024),
    ],
)
def test_a_file_of_another_program_is_shown(opened, shared, name, spectra, pixels):
    model = opened(shared / name)

    assert model.phase is RunPhase.FILE
    assert model.rows.counts.shape == (spectra, pixels)
    assert model.holds(spectra - 1)
    assert model.energy_eV(0) is not None
    assert model.label(0)


def test_a_bias_series_is_ordered_by_its_voltages(opened, shared):
    model = opened(shared / "mose2ws2_bias" / "electric_field.zip")

    assert model.rows.counts.shape == (161, 1340)
    assert model.quantities == ("voltage_V",)
    np.testing.assert_allclose(
        np.sort(model.rows.setpoint("voltage_V")), np.arange(-80, 81) / 10.0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.txt", b""),
        ("noise.sif", bytes(range(256)) * 40),
        ("words.txt", b"this is no spectrum\n"),
        ("cut.nxs", b"\x89HDF\r\n\x1a\n" + b"\0" * 500),
    ],
)
def test_a_file_that_is_none_is_named_and_what_was_shown_stays(
    opened, whole_run, tmp_path, qtbot, name, content
):
    model = opened(whole_run)
    (tmp_path / name).write_bytes(content)

    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms) as failed:
        model.open(tmp_path / name)

    assert name in failed.args[0]
    assert model.path == whole_run
    assert model.size == 21


def test_a_folder_without_a_run_says_so(model, tmp_path, qtbot):
    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms) as failed:
        model.open(tmp_path)

    assert "holds no run" in failed.args[0]
    assert not model.is_open


def test_a_file_that_is_not_there_says_so(model, tmp_path, qtbot):
    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms) as failed:
        model.open(tmp_path / "nowhere.spe")

    assert "nowhere.spe" in failed.args[0]


@pytest.mark.parametrize("at", [0, 100, 5000])
def test_a_damaged_journal_says_so_and_ends_nothing(model, made_up, tmp_path, qtbot, at):
    folder = made_up(points=60).write(tmp_path / "run")
    journal = folder / "journal.sqlite"
    content = bytearray(journal.read_bytes())
    content[at : at + 3000] = b"\xff" * 3000
    journal.write_bytes(content)

    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms) as failed:
        model.open(folder)

    assert str(folder) in failed.args[0]


def test_another_run_takes_the_place_of_the_first(opened, model, whole_run, measured):
    opened(whole_run)

    opened(measured.folder)

    assert model.quantities == ("angle_deg",)
    assert model.head.sample == "CS-03"
    assert "field_kV_per_cm" not in model.rows.plan.setpoints


def test_closing_shows_nothing_and_says_it_once(opened, model, whole_run, qtbot):
    opened(whole_run)
    told = []
    model.closed.connect(lambda: told.append(True))

    model.close()
    model.close()

    assert told == [True]
    assert model.size == 0
    assert not model.is_open


def test_a_run_whose_files_are_elsewhere_is_shown_without_its_model(opened, measured, tmp_path):
    copy = tmp_path / "copy"
    copytree(measured.folder, copy)
    _break_configuration(copy)

    model = opened(copy)

    assert model.configuration is None
    assert "not valid here" in model.head.notes[0]
    assert model.holds(model.size - 1)


def _break_configuration(folder: Path):
    from acquisition.storage.journal import Journal

    (folder / "journal.sqlite").chmod(0o644)
    with Journal.open(folder) as journal:
        journal._db.execute("UPDATE meta SET value='\"nonsense\"' WHERE key='sweep_toml'")


def test_counts_beyond_the_limit_lie_in_a_file_and_are_the_same(
    opened, whole_run, made_up, monkeypatch
):
    monkeypatch.setattr(row_counts, "IN_MEMORY_BYTES", 1000)

    model = opened(whole_run)

    assert model.rows.counts.is_on_disk
    assert model.counts(20).tolist() == made_up().counts(20)[0].tolist()


@pytest.mark.parametrize("points", [1500, pytest.param(10_000, marks=pytest.mark.campaign)])
def test_a_long_run_is_opened_and_browsed(opened, made_up, tmp_path, qtbot, points):
    made = made_up(points=points, pixels=8)

    model = opened(made.write(tmp_path / "run"))
    for point in (0, points // 2, points - 1):
        with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms) as came:
            model.ask_detail(point)
        assert came.args[0].frames.tolist() == made.counts(point).tolist()

    assert model.phase is RunPhase.COMPLETE
    assert len(model.rows.fits) == points
    assert model.series("field_kV_per_cm", 0).tolist() == list(range(points))

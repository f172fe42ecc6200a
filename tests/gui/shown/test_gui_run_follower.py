"""Which run a window opens by itself."""

import pytest

from acquisition.channel.messages import Mode, Snapshot
from gui.link.engine_link import EngineLink
from gui.shown.run_follower import RunFollower

UTC = 1.8e9


@pytest.fixture
def link(qapp):
    one = EngineLink("tester")
    yield one
    one.leave()
    one.deleteLater()


@pytest.fixture
def follower(link, model, cursor):
    return RunFollower(link, model, cursor, link)


@pytest.mark.parametrize("mode", [Mode.RUNNING, Mode.ALIGNING])
def test_a_window_that_comes_shows_the_engines_run_also_when_it_is_over(
    qtbot, link, model, follower, whole_run, mode
):
    with qtbot.waitSignal(model.loaded, timeout=20_000):
        link.snapshot.emit(Snapshot(mode, UTC, run_folder=str(whole_run)))

    assert model.path == whole_run
    assert model.size == 21


def test_what_the_user_opened_stays_when_a_run_is_over(
    qtbot, link, model, follower, whole_run, made_up, tmp_path
):
    chosen = made_up(points=3).write(tmp_path / "chosen")
    with qtbot.waitSignal(model.loaded, timeout=20_000):
        follower.open(chosen)
    link.snapshot.emit(Snapshot(Mode.ALIGNING, UTC, run_folder=str(whole_run)))
    assert model.path == chosen

    with qtbot.waitSignal(model.loaded, timeout=20_000):  # one that begins is shown
        link.snapshot.emit(Snapshot(Mode.RUNNING, UTC, run_folder=str(whole_run)))
    assert model.path == whole_run


def test_a_file_that_cannot_be_read_leaves_the_run_shown_and_followed(
    qtbot, link, model, cursor, follower, made_up, tmp_path
):
    made = made_up(points=5)
    folder = made.write(tmp_path / "run", range(3))
    with qtbot.waitSignal(model.loaded, timeout=20_000):
        link.snapshot.emit(Snapshot(Mode.RUNNING, UTC, run_folder=str(folder)))
    before = cursor.point
    nonsense = tmp_path / "nonsense.spe"
    nonsense.write_bytes(bytes(range(256)))

    with qtbot.waitSignals([model.failed, model.loaded], timeout=20_000):
        follower.open(nonsense)

    assert (model.path, cursor.point, follower.is_following) == (folder, before, True)
    assert model.holds(before)


def test_a_run_that_was_closed_stays_closed(qtbot, link, model, follower, whole_run):
    over = Snapshot(Mode.ALIGNING, UTC, run_folder=str(whole_run))
    with qtbot.waitSignal(model.loaded, timeout=20_000):
        link.snapshot.emit(over)
    model.close()

    link.snapshot.emit(over)
    qtbot.wait(50)

    assert not model.is_open

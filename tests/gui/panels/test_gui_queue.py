"""The queue and the notes against a real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from acquisition.channel.engine_status import EngineState, EngineStatus
from acquisition.channel.messages import Mode, QueuedSweep, Snapshot, Verb
from acquisition.channel.watcher_link import WatcherLink
from acquisition.storage.journal import JournalReader
from gui.link.engine_link import EngineLink
from gui.look.theme import Tone
from gui.look.wording import span
from gui.panels.queue import QueuePanel, QueueTable

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def short_sweep(name: str, fields: int = 3) -> str:
    text = (EXAMPLES / "stark.toml").read_text(encoding="utf-8")
    step = 200 // (fields - 1)
    for old, new in (
        ('name = "Stark effect"', f'name = "{name}"'),
        ("points = 3", "points = 1"),
        ("step = 10", f"step = {step}"),
        ('time = "2 s"', 'time = "50 ms"'),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def held(watching) -> Iterator[str]:
    """A queue that is held, with one sweep that stays; the folder of the run that was stopped."""
    if not watching.latest.queue:
        before = watching.latest.run_folder
        watching.sent(Verb.SWEEP, short_sweep("stopped", 41), str(EXAMPLES))
        watching.until(lambda: watching.latest.run_folder not in ("", before), 30_000)
        watching.until(lambda: watching.latest.mode is Mode.RUNNING, 30_000)
        watching.sent(Verb.SWEEP, short_sweep("anchor"), str(EXAMPLES))
        watching.sent(Verb.STOP_NOW)
        watching.until(lambda: watching.latest.mode is Mode.ALIGNING, 60_000)
    yield watching.latest.run_folder
    for sweep in watching.latest.queue:
        if sweep.name != "anchor":
            watching.sent(Verb.UNQUEUE, sweep.identity)


@pytest.fixture
def panel(watching, held: str, shown) -> QueuePanel:
    panel = shown(QueuePanel(watching.link))
    watching.until(lambda: names(panel) == ["anchor"])
    return panel


@pytest.fixture
def three(watching, panel) -> None:
    """Two more sweeps behind the one that waits."""
    for name in ("second", "third"):
        watching.sent(Verb.SWEEP, short_sweep(name), str(EXAMPLES))
    watching.until(lambda: names(panel) == ["anchor", "second", "third"])


@pytest.fixture(scope="module", autouse=True)
def _nothing_waits_afterwards(engine) -> Iterator[None]:
    yield
    link = WatcherLink.connect(engine.address, "afterwards")
    try:
        snapshots = []
        while not snapshots:
            snapshots = [m for m, _ in link.receive(1.0) if isinstance(m, Snapshot)]
        for sweep in snapshots[-1].queue:
            link.request(Verb.UNQUEUE, text=sweep.identity)
        link.receive(1.0)
    finally:
        link.close()


def names(panel: QueuePanel) -> list[str]:
    return [sweep.name for sweep in panel.table.sweeps]


def cell(table: QueueTable, row: int, column: int) -> object:
    return table.data(table.index(row, column))


def test_the_queue_shows_names_points_and_how_long_each_takes(panel) -> None:
    table = panel.table
    # -100, 0, 100 kV/cm once, zeros between and at the end, dark and blocked
    assert (cell(table, 0, 0), cell(table, 0, 1)) == ("anchor", "7")
    assert cell(table, 0, 2) == span(table.sweeps[0].duration_s)
    assert "stopped" in cell(table, 0, 4)
    assert cell(table, 0, 3) == "not known"
    assert panel.view.isVisible()
    assert not panel.empty.isVisible()


def test_a_sweep_moves_up_by_keys_and_stays_chosen(panel, three, watching, qtbot: QtBot) -> None:
    panel.view.setFocus()
    panel.view.selectRow(2)
    assert panel.up.isEnabled()
    qtbot.keyClick(panel.view, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)

    watching.until(lambda: names(panel) == ["anchor", "third", "second"])
    assert panel.view.currentIndex().row() == 1
    panel.up.click()
    watching.until(lambda: names(panel) == ["third", "anchor", "second"])
    watching.until(lambda: not panel.up.isEnabled())  # it is the first


def test_a_sweep_is_taken_out_by_the_delete_key(panel, three, watching, qtbot: QtBot) -> None:
    panel.view.setFocus()
    panel.view.selectRow(1)
    qtbot.keyClick(panel.view, Qt.Key.Key_Delete)

    watching.until(lambda: names(panel) == ["anchor", "third"])


def test_a_stopped_run_is_queued_again_to_be_completed(panel, held: str, watching) -> None:
    panel.resume_run(Path(held))

    watching.until(lambda: names(panel) == ["anchor", "stopped (resumed)"])
    assert panel.note.tone is Tone.NEUTRAL


def test_the_queue_goes_on_when_it_is_told_to_and_takes_notes(panel, watching, qtbot) -> None:
    watching.sent(Verb.SWEEP, short_sweep("next"), str(EXAMPLES))
    before = watching.latest.run_folder
    watching.until(panel.go_on.isEnabled)
    panel.go_on.click()
    watching.until(lambda: watching.latest.run_folder not in ("", before), 30_000)
    watching.until(lambda: names(panel) == ["next"])
    running = Path(watching.latest.run_folder)

    watching.until(panel.note_down.isEnabled)
    panel.text.setText("the cryostat was refilled")
    qtbot.keyClick(panel.text, Qt.Key.Key_Return)
    watching.until(lambda: panel.note.tone is Tone.GOOD)
    assert panel.text.text() == ""
    for sweep in watching.latest.queue:
        watching.sent(Verb.UNQUEUE, sweep.identity)
    watching.sent(Verb.STOP_NOW)
    watching.until(lambda: watching.latest.mode is Mode.ALIGNING, 60_000)
    with JournalReader(running) as reader:
        notes = [event.text for _, event in reader.events() if event.code == "note"]
    assert notes == ["the cryostat was refilled"]


def test_what_can_not_be_resumed_is_said(watching, shown, tmp_path: Path) -> None:
    panel = shown(QueuePanel(watching.link))
    panel.resume_run(tmp_path)

    watching.until(lambda: panel.note.tone is Tone.BAD)
    assert str(tmp_path) in panel.note.said


def test_when_each_sweep_begins_follows_from_those_before_it() -> None:
    table = QueueTable()
    waiting = (QueuedSweep("a", "A", 10, 600.0), QueuedSweep("b", "B", 5, 7200.0))
    table.show_queue(waiting, 90.0)

    assert [cell(table, row, 2) for row in range(2)] == ["10 min", "2 h 0 min"]
    assert [cell(table, row, 3) for row in range(2)] == ["1 min 30 s", "11 min"]
    held = (QueuedSweep("a", "A", 10, 600.0, "the disk is full"), waiting[1])
    table.show_queue(held, 0.0)
    assert [cell(table, row, 3) for row in range(2)] == ["not known", "not known"]
    assert table.headerData(0, Qt.Orientation.Horizontal) == "sweep"


def test_a_queue_that_stays_the_same_is_not_built_anew(qtbot: QtBot) -> None:
    table = QueueTable()
    table.show_queue((QueuedSweep("a", "A", 10, 600.0),), 0.0)
    with qtbot.assertNotEmitted(table.modelReset):
        table.show_queue((QueuedSweep("a", "A", 10, 600.0),), 30.0)


def test_without_an_engine_nothing_can_be_asked(shown, qtbot: QtBot) -> None:
    panel = shown(QueuePanel(EngineLink()))

    buttons = (panel.up, panel.out, panel.hold, panel.go_on, panel.resume, panel.note_down)
    assert not any(button.isEnabled() for button in buttons)
    assert panel.empty.isVisible()


def test_the_dialog_for_a_folder_blocks_nothing(watching, shown, qtbot: QtBot) -> None:
    panel = shown(QueuePanel(watching.link))
    watching.until(panel.resume.isEnabled)
    panel.resume.click()
    dialog = panel.findChild(QFileDialog)
    assert not dialog.isModal()
    dialog.close()
    qtbot.waitUntil(lambda: panel.findChild(QFileDialog) is None)


def test_while_a_run_goes_on_the_first_begins_when_it_ends(shown) -> None:
    panel = shown(QueuePanel(EngineLink()))
    status = EngineStatus(EngineState.MEASURING, "r", 1, 1, 9, "", 0.0, 0.0, remaining_s=120.0)
    waiting = (QueuedSweep("a", "A", 10, 600.0),)
    panel._on_snapshot(Snapshot(Mode.RUNNING, 0.0, status=status, queue=waiting))

    assert cell(panel.table, 0, 3) == "2 min 0 s"

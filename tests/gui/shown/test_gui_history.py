"""The runs on the disk: found, opened, and written notes into."""

import pytest
from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtTest import QTest

from acquisition.channel.commands import Command
from acquisition.channel.messages import Hello
from acquisition.storage.journal import JournalReader
from acquisition.storage.record import Event, Level
from gui.panels.history import HistoryPanel
from gui.shown.runs_on_disk import RunsOnDisk
from gui.shown.shown_run import RunPhase

LONGEST_ms = 20_000


@pytest.fixture
def runs(tmp_path, made_up):
    """A folder with a complete, an incomplete, an interrupted and a damaged run."""
    root = tmp_path / "runs"
    day = root / "2026" / "2026-11-22"
    made_up(points=5).write(day / "20261122T220000Z_a")
    made_up(points=5).write(day / "20261122T230000Z_b", range(2))
    journal = made_up(points=5).begin(root / "2026" / "2026-11-23" / "20261123T010000Z_c")
    journal.close()
    (journal.folder / ".writer").write_text("pid 4194305 on nowhere\n")
    damaged = root / "2026" / "2026-11-23" / "20261123T020000Z_d"
    damaged.mkdir()
    (damaged / "journal.sqlite").write_bytes(b"no database" * 100)
    return root


@pytest.fixture
def panel(model, shown, runs, qtbot):
    panel = shown(HistoryPanel(None, model), 800, 400)
    with qtbot.waitSignal(panel._looks.done, timeout=LONGEST_ms):
        panel.look_into(runs)
    return panel


def _names(panel):
    return [folder.name[-1] for folder in panel.shown]


def _choose(panel, name):
    for row in range(panel.list.topLevelItemCount()):
        item = panel.list.topLevelItem(row)
        if item.data(0, Qt.ItemDataRole.UserRole).endswith(name):
            panel.list.setCurrentItem(item)


def test_runs_are_listed_newest_first_with_their_states(panel):
    states = [panel.list.topLevelItem(row).text(0) for row in range(4)]
    points = [panel.list.topLevelItem(row).text(4) for row in range(4)]

    assert _names(panel) == ["d", "c", "b", "a"]
    assert states == ["✗ unreadable", "△ interrupted", "■ incomplete", "✓ complete"]
    assert points == ["–", "0 / 5", "2 / 5", "5 / 5"]


def test_a_safe_state_that_was_not_confirmed_is_said_in_the_list(
    model, shown, made_up, tmp_path, qtbot
):
    journal = made_up(points=2).begin(tmp_path / "20261122T220000Z_a")
    text = "NOT CONFIRMED: the bias supply does not answer"
    journal.note([Event(1.0, 1.0, Level.ERROR, code, text) for code in ("safe state", "finished")])
    journal.close()
    panel = shown(HistoryPanel(None, model))

    panel.look_into(tmp_path)
    qtbot.waitUntil(lambda: len(panel.entries) == 1, timeout=LONGEST_ms)

    assert "△ safe state NOT CONFIRMED" in panel.list.topLevelItem(0).text(0)
    assert "the bias supply does not answer" in panel.notes.text()
    panel.typed.setText("not confirmed")
    assert len(panel.shown) == 1


def test_what_is_typed_hides_what_does_not_match(panel):
    panel.typed.setText("complete nc 7")
    assert _names(panel) == ["b", "a"]

    panel.typed.setText("INTERRUPTED")
    assert _names(panel) == ["c"]
    panel.typed.setText("nothing like it")
    assert _names(panel) == []
    panel.typed.setText("")

    assert _names(panel) == ["d", "c", "b", "a"]


def test_enter_opens_the_first_that_matches(panel, model, qtbot):
    panel.typed.setText("23")
    panel.typed.setText("220000Z")

    with qtbot.waitSignal(model.loaded, timeout=LONGEST_ms):
        QTest.keyClick(panel.typed, Qt.Key.Key_Return)

    assert model.path.name.endswith("_a")


def test_a_damaged_run_says_why_it_cannot_be_opened(panel, model, qtbot):
    _choose(panel, "d")

    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms):
        panel.open_chosen()

    assert "20261123T020000Z_d" in panel.said.said


def test_a_note_is_written_into_a_run_that_has_ended_and_shown(panel, runs, qtbot):
    _choose(panel, "a")
    panel.note.setText("  two crystals?  ")

    QTest.keyClick(panel.note, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: panel.chosen is not None and bool(panel.chosen.notes), timeout=LONGEST_ms
    )

    with JournalReader(panel.chosen.folder) as reader:
        event = reader.events()[-1][1]
    assert (event.code, event.text) == ("note", "two crystals?")
    assert event.details["sender"] == "window"
    assert panel.chosen.notes[0].text == "two crystals?"
    assert "two crystals?" in panel.notes.text()
    assert panel.note.text() == ""
    panel.typed.setText("crystals")
    assert _names(panel) == ["a"]


def test_a_note_for_a_run_that_goes_on_is_left_in_its_inbox(panel, runs, made_up, qtbot, model):
    journal = made_up(points=5).begin(runs / "2026" / "2026-11-24" / "20261124T000000Z_e")
    panel.look()
    qtbot.waitUntil(lambda: len(panel.entries) == 5, timeout=LONGEST_ms)
    assert panel.entries[0].phase is RunPhase.RUNNING

    _choose(panel, "e")
    with qtbot.waitSignal(panel._writes.done, timeout=LONGEST_ms):
        panel.add_note("the laser was touched")

    (letter,) = (journal.folder / "inbox").glob("*.json")
    command = Command.from_json(letter.read_text())
    assert (command.verb.value, command.text) == ("note", "the laser was touched")
    journal.close()


def test_a_note_that_cannot_be_written_is_kept_in_the_field(panel, qtbot):
    _choose(panel, "d")
    panel.note.setText("lost?")

    with qtbot.waitSignal(panel._writes.done, timeout=LONGEST_ms):
        panel.add_note("lost?")

    assert "not noted" in panel.said.said
    assert panel.note.text() == "lost?"


def test_an_empty_note_and_a_note_for_nothing_are_not_written(model, shown, qtbot):
    panel = shown(HistoryPanel(None, model))

    panel.add_note("   ")
    assert panel.said.said == ""
    panel.add_note("for whom?")

    assert "choose a run" in panel.said.said


def test_the_runs_folder_of_the_stations_file_is_looked_into(model, shown, runs, qtbot):
    link = _Link()
    panel = shown(HistoryPanel(link, model))
    toml = '[station]\nname = "x"\nruns = "runs"\n'

    link.said_hello.emit(Hello(station_path=str(runs.parent / "station.toml"), station_toml=toml))
    qtbot.waitUntil(lambda: len(panel.entries) == 4, timeout=LONGEST_ms)

    assert panel.where.text() == str(runs)


class _Link(QObject):
    said_hello = pyqtSignal(object)
    hello = None


def test_the_run_that_is_shown_is_bold(panel, model, qtbot):
    _choose(panel, "b")

    with qtbot.waitSignal(model.loaded, timeout=LONGEST_ms):
        panel.open_chosen()

    bold = [panel.list.topLevelItem(row).font(3).bold() for row in range(4)]
    assert bold == [False, False, True, False]


def test_a_panel_that_is_made_later_lists_the_runs_beside_the_one_that_is_open(
    opened, model, shown, runs, qtbot
):
    (folder,) = runs.glob("*/*/*_a")
    opened(folder)

    panel = shown(HistoryPanel(None, model))

    qtbot.waitUntil(lambda: len(panel.entries) == 4, timeout=LONGEST_ms)
    assert panel.list.topLevelItem(3).font(3).bold()


def test_only_what_has_changed_is_read_again(runs, made_up, monkeypatch):
    from gui.shown import runs_on_disk

    disk = RunsOnDisk()
    disk.look(runs)
    read = []
    whole = runs_on_disk._read
    monkeypatch.setattr(runs_on_disk, "_read", lambda folder: read.append(folder) or whole(folder))

    disk.look(runs)
    assert read == []
    made_up(points=3).write(runs / "2026" / "2026-11-24" / "20261124T000000Z_e")
    entries = disk.look(runs)

    assert [folder.name[-1] for folder in read] == ["e"]
    assert entries[0].accepted == 3


def test_a_folder_that_is_not_there_holds_no_runs(tmp_path):
    assert RunsOnDisk().look(tmp_path / "nowhere") == ()

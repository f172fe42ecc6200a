"""The sweep editor: every field, every finding in its place, axes by keyboard, nothing lost."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from acquisition.channel.messages import Mode, QueuedSweep, Snapshot, Verb
from acquisition.configuration.axis_config import AXIS_KINDS
from gui.link.engine_link import EngineLink
from gui.panels.sweep_editor import SweepEditor
from gui.sweep_text.sweep_draft import SweepDraft
from gui.sweep_text.toml_text import Place

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SWEEPS = sorted(path for path in EXAMPLES.glob("*.toml") if "station" not in path.name)
OVERNIGHT = EXAMPLES / "overnight.toml"


@pytest.fixture
def editor(qtbot: QtBot) -> Iterator[SweepEditor]:
    """An editor that holds the overnight sweep, checked, with no engine about."""
    editor = SweepEditor(EngineLink())
    editor._pause.setInterval(1)
    qtbot.addWidget(editor)
    editor.resize(1200, 700)
    editor.show()
    editor.activateWindow()
    editor.open(OVERNIGHT)
    qtbot.waitUntil(lambda: editor.verdict is not None, timeout=20_000)
    yield editor
    for thread in threading.enumerate():
        if thread.name == "check the sweep":
            thread.join(20)


@pytest.fixture
def judged(editor: SweepEditor, qtbot: QtBot) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: editor.verdict is not None, timeout=10_000)

    return wait


def typed(qtbot: QtBot, editor: SweepEditor, place: Place, text: str) -> None:
    field = editor.form.fields[place]
    editor.form.go_to(place)
    field.editor.selectAll()
    qtbot.keyClick(field.editor, Qt.Key.Key_Delete)
    qtbot.keyClicks(field.editor, text)


def chosen(editor: SweepEditor, place: Place, text: str) -> None:
    box = editor.form.fields[place].editor
    box.activated.emit(box.findText(text))


def line(editor: SweepEditor, label: str) -> str:
    return editor.findings.lines[label].text()


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_an_example_opened_and_saved_unedited_is_the_same_to_the_byte(
    path: Path, editor: SweepEditor, tmp_path: Path, judged
) -> None:
    editor.open(path)
    judged()
    for place, field in editor.form.fields.items():
        editor.form.go_to(place)
        field.finished.emit()
    editor.save_to(tmp_path / "copy.toml")

    assert (tmp_path / "copy.toml").read_bytes() == path.read_bytes()


def test_points_duration_and_disk_follow_while_it_is_typed(editor, qtbot: QtBot, judged) -> None:
    assert line(editor, "points").startswith("246:")
    before = line(editor, "duration")

    typed(qtbot, editor, ("axis", 0, "points"), "5.5, 10..40 step 10")
    judged()

    assert line(editor, "points").startswith("42: 35 + 5 checks + 2 backgrounds")
    assert line(editor, "duration") != before
    assert "GB needed" in line(editor, "disk")
    assert editor.form.fields["axis", 0, "points"].label.text() == "points: 5"


MISTAKES: list[tuple[Place, str, Place, str]] = [
    (("sweep", "name"), "", ("sweep", "name"), "required"),
    (("axis", 0, "points"), "5.5, 10..400 step 10", ("axis", 0, "points"), "5.2 to 305 K"),
    (("axis", 0, "points"), "10..35 step 10", ("axis", 0, "points"), "a step that ends at 35"),
    (("axis", 0, "unit"), "mm", ("axis", 0, "unit"), "converts to K"),
    (("axis", 1, "points"), "0..720 step 90", ("axis", 1, "points"), "0 to 360 deg"),
    (("axis", 0, "settle", "tolerance"), "cold", ("axis", 0, "settle"), "converts to K"),
    (("exposure", 0, "time"), "12", ("exposure", 0, "time"), "converts to s"),
    (("exposure", 1, "frames"), "0", ("exposure", 1, "frames"), "greater than or equal to 1"),
    (("exposure", 1, "up_to"), "90 K", ("exposure",), "none in the last"),
    (("optics", "spectrograph", 1, "grating"), "7", ("optics", "spectrograph", 1), "one of 0, 1"),
    (("optics", "numerical_aperture"), "big", ("optics", "numerical_aperture"), "number"),
    (("fit", "model", 0, "window"), "2.3 eV, 2.2 eV", ("fit", "model", 0, "window"), "lower"),
    (("background", "kinds"), "dark, dark", ("background", "kinds"), "each kind once"),
    (("limits", "retries"), "99", ("limits", "retries"), "20"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "text", "shown_at", "words"), MISTAKES, ids=lambda value: str(value)[:40]
)
def test_a_finding_stands_at_its_field(
    editor, qtbot: QtBot, judged, place: Place, text: str, shown_at: Place, words: str
) -> None:
    typed(qtbot, editor, place, text)
    judged()

    at = {p: "\n".join(f.troubles) for p, f in editor.form.fields.items() if f.troubles}
    at |= {p: note.said for p, note in editor.form.headings.items() if note.said}
    near = {p: said for p, said in at.items() if p[: len(shown_at)] == shown_at}
    assert any(words in said for said in near.values()), at
    assert set(at) == set(near)
    assert editor.findings.findings.count() >= 1
    assert editor.findings.pill.text().endswith(("finding", "findings"))
    assert "findings to be mended" in editor.why_not_start()


def test_a_section_that_lacks_something_says_so_at_its_heading(editor, judged) -> None:
    chosen(editor, ("sample", "electrodes"), "coplanar")
    judged()

    assert "gap and max_field" in editor.form.headings["sample",].said


def test_a_finding_chosen_in_the_list_leads_to_its_field(editor, qtbot: QtBot, judged) -> None:
    typed(qtbot, editor, ("limits", "retries"), "99")
    judged()
    findings = editor.findings.findings
    findings.setFocus()
    findings.setCurrentRow(0)
    qtbot.keyClick(findings, Qt.Key.Key_Return)

    assert QApplication.focusWidget() is editor.form.fields["limits", "retries"].editor


def test_a_folded_field_unfolds_when_a_finding_leads_there(editor) -> None:
    row = editor.form.axes["axis", 0]
    assert not row.more.isChecked()

    editor.form.go_to(("axis", 0, "settle", "inside"))

    assert row.more.isChecked()
    assert editor.form.fields["axis", 0, "settle", "inside"].isVisibleTo(editor)


def quantities(editor: SweepEditor) -> list[str]:
    return [axis["quantity"] for axis in editor.draft.value(("axis",))]


def test_an_axis_moves_by_alt_and_arrow_and_the_focus_goes_with_it(editor, qtbot: QtBot) -> None:
    editor.form.go_to(("axis", 0, "points"))

    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)

    assert quantities(editor) == ["polarization", "temperature"]
    assert QApplication.focusWidget() is editor.form.fields["axis", 1, "points"].editor
    assert "settle = {" in editor.draft.text
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert editor.draft.text == OVERNIGHT.read_text(encoding="utf-8")


def test_an_axis_at_the_end_stays_there(editor, qtbot: QtBot) -> None:
    editor.form.go_to(("axis", 1, "unit"))
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)

    assert not editor.draft.is_changed


def test_an_axis_is_dragged_by_its_grip(editor, qtbot: QtBot) -> None:
    first, second = editor.form.axes["axis", 0], editor.form.axes["axis", 1]
    grip = first.findChildren(type(first.note).__mro__[1])
    handle = next(label for label in grip if label.toolTip() == "drag to another place")
    below = second.mapToGlobal(second.rect().center())

    qtbot.mousePress(handle, Qt.MouseButton.LeftButton)
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=handle.mapFromGlobal(below))

    assert quantities(editor) == ["polarization", "temperature"]


def test_axes_are_added_and_removed(editor, judged) -> None:
    editor.form.added.emit(("axis",), {"quantity": "repeat"})
    judged()
    assert quantities(editor) == ["temperature", "polarization", "repeat"]
    assert any("required" in t for t in editor.form.fields["axis", 2, "points"].troubles)

    editor.form.removed.emit(("axis", 2))
    judged()
    assert editor.draft.text == OVERNIGHT.read_text(encoding="utf-8")


def test_every_quantity_that_can_be_swept_is_offered(editor) -> None:
    button = next(b for b in editor.form.findChildren(QPushButton) if b.menu())

    assert [a.text() for a in button.menu().actions()] == [q.value for q in AXIS_KINDS]
    assert {a.text() for a in button.menu().actions()} == {
        "temperature", "field", "bias", "polarization", "repeat",
    }  # fmt: skip
    button.menu().actions()[1].trigger()
    assert editor.draft.value(("axis", 2)) == {"quantity": "field", "unit": "kV/cm"}


def test_another_quantity_brings_its_unit_as_one_change(editor) -> None:
    chosen(editor, ("axis", 1, "quantity"), "bias")
    assert editor.draft.value(("axis", 1, "unit")) == "V"
    chosen(editor, ("axis", 1, "quantity"), "repeat")
    assert editor.draft.value(("axis", 1, "unit")) is None

    editor.undo()
    editor.undo()
    assert editor.draft.text == OVERNIGHT.read_text(encoding="utf-8")


def test_undo_and_redo_by_the_windows_keys_also_from_within_a_field(editor, qtbot: QtBot) -> None:
    for keys, act in (("Ctrl+Z", editor.undo), ("Ctrl+Shift+Z", editor.redo)):
        QShortcut(QKeySequence(keys), editor).activated.connect(act)  # as the window has them
    typed(qtbot, editor, ("sample", "name"), "FA-08")
    field = editor.form.fields["sample", "name"].editor
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    assert field.text() == "FA-07"
    assert not editor.draft.is_changed
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(field, Qt.Key.Key_Z, modifiers)
    assert field.text() == "FA-08"


def test_escape_gives_back_what_the_field_held(editor, qtbot: QtBot) -> None:
    typed(qtbot, editor, ("sample", "name"), "FA-08")
    qtbot.keyClick(editor.form.fields["sample", "name"].editor, Qt.Key.Key_Escape)

    assert editor.draft.value(("sample", "name")) == "FA-07"


def test_a_choice_that_is_taken_back_leaves_the_key_out(editor) -> None:
    chosen(editor, ("axis", 1, "order"), "(up)")

    assert "order" not in editor.draft.value(("axis", 1))


def test_a_file_may_say_what_is_none_of_the_choices(editor, judged) -> None:
    editor.draft.set(("axis", 1, "order"), "sideways")
    editor._show()
    judged()
    field = editor.form.fields["axis", 1, "order"]

    assert field.text == "sideways"
    assert any("'snake'" in t or "snake" in t for t in field.troubles)


def test_a_row_is_added_to_a_table_over_temperature_and_taken_away(editor, judged) -> None:
    editor.open(EXAMPLES / "stark.toml")
    judged()
    editor.form.added.emit(("exposure",), {"time": "9 s"})

    assert [row["time"] for row in editor.draft.value(("exposure",))] == ["2 s", "9 s"]
    judged()
    assert "up_to rising" in "".join(note.said for note in editor.form.headings.values())
    editor.form.removed.emit(("exposure", 1))
    assert [row["time"] for row in editor.draft.value(("exposure",))] == ["2 s"]


def test_the_text_is_the_same_file(editor, qtbot: QtBot, judged) -> None:
    editor.tabs.setCurrentIndex(1)
    editor.text.setPlainText(editor.draft.text.replace("FA-07", "FA-09"))
    assert editor.draft.value(("sample", "name")) == "FA-09"

    editor.tabs.setCurrentIndex(0)
    assert editor.form.fields["sample", "name"].text == "FA-09"


def test_what_is_no_toml_is_said_with_its_line_and_the_form_waits(editor, judged) -> None:
    editor.text.setPlainText(editor.draft.text.replace("[sample]", "[sample"))
    judged()

    assert editor.verdict.problems[0].key == "TOML syntax"
    assert not editor._scroll.isEnabled()
    assert len(editor.text.extraSelections()) == 1
    marked = editor.text.extraSelections()[0].cursor.block().text()
    assert marked == "[sample"
    editor.undo()
    assert editor._scroll.isEnabled()


def test_the_lines_of_findings_are_marked_in_the_text(editor, qtbot: QtBot, judged) -> None:
    typed(qtbot, editor, ("limits", "retries"), "99")
    judged()

    marked = [mark.cursor.block().text() for mark in editor.text.extraSelections()]
    assert marked == ["retries = 99"]


def test_a_comment_within_a_value_is_not_lost_but_told(
    editor, tmp_path: Path, qtbot: QtBot
) -> None:
    text = OVERNIGHT.read_text(encoding="utf-8")
    inside = "points = [\n  0, # along the axis\n  90,\n]"
    path = tmp_path / "commented.toml"
    path.write_text(text.replace('points = "0..180 step 30"', inside), encoding="utf-8")
    editor.open(path)

    typed(qtbot, editor, ("axis", 1, "points"), "0..180 step 45")

    assert "# along the axis" in editor.draft.text
    assert "would be lost" in editor.note.said


def test_unsaved_changes_are_asked_about_in_place_before_another_file(
    editor, tmp_path: Path
) -> None:
    editor.draft.set(("sample", "name"), "FA-08")
    editor.open(EXAMPLES / "stark.toml")

    assert editor.question.isVisible()
    assert "not saved" in editor.question.text.said
    assert [b.text() for b in editor.question.buttons] == ["Save", "Discard the changes", "Cancel"]
    editor.question.buttons[2].click()
    assert editor.draft.path == OVERNIGHT
    editor.open(EXAMPLES / "stark.toml")
    editor.question.buttons[1].click()
    assert editor.draft.path == EXAMPLES / "stark.toml"
    assert not editor.question.isVisible()


def test_unsaved_changes_are_saved_first_where_that_is_wanted(editor, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    editor.save_to(path)
    editor.draft.set(("sample", "name"), "FA-08")
    editor.new()
    editor.question.buttons[0].click()

    assert SweepDraft.load(path).value(("sample", "name")) == "FA-08"
    assert editor.draft.path is None


def test_a_file_that_can_not_be_opened_is_said_and_nothing_is_lost(editor, tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.toml", "binary.toml"):
        editor.open(tmp_path / name)
        assert name in editor.note.said
    editor.save_to(tmp_path / "no" / "such" / "folder.toml")
    assert "not saved" in editor.note.said
    assert editor.draft.path == OVERNIGHT


def test_the_file_dialogs_block_nothing(editor, qtbot: QtBot) -> None:
    for act in (editor.ask_open, editor.save_as):
        act()
        dialog = editor.findChild(QFileDialog)
        assert dialog.isVisible()
        assert not dialog.isModal()
        dialog.close()
        qtbot.waitUntil(lambda: editor.findChild(QFileDialog) is None)


def test_a_new_sweep_says_what_it_lacks(editor, judged) -> None:
    editor.new()
    judged()

    for place in (("sweep", "name"), ("sample", "material"), ("nanocrystal", "id")):
        assert editor.form.fields[place].troubles, place


def test_without_an_engine_nothing_starts_and_it_says_why(editor) -> None:
    assert editor.why_not_start() == "no engine is connected"
    editor.start()
    assert editor.note.said == "not started: no engine is connected"


def test_names_for_everybody(editor) -> None:
    for place, field in editor.form.fields.items():
        assert field.editor.accessibleName(), place
        assert field.editor.toolTip(), place
        assert field.label.buddy() is field.editor
    assert editor.form.fields["axis", 0, "points"].editor.accessibleName() == "axis 1 points"


def test_the_engine_takes_the_sweep_and_measures_it(watching, qtbot: QtBot, engine) -> None:
    editor = SweepEditor(watching.link)
    qtbot.addWidget(editor)
    editor.show()
    text = (EXAMPLES / "stark.toml").read_text(encoding="utf-8")
    text = text.replace("points = 3", "points = 1").replace("step = 10", "step = 100")
    text = text.replace('time = "2 s"', 'time = "50 ms"')
    path = engine.folder / "short.toml"
    path.write_text(text, encoding="utf-8")
    editor.open(path)
    watching.until(lambda: editor.why_not_start() == "")
    assert editor.buttons["start"].isEnabled()

    with qtbot.waitSignal(editor.started, timeout=10_000):
        editor.start()
    assert "Stark effect" in editor.note.said
    watching.until(lambda: watching.latest.mode is Mode.RUNNING, 20_000)
    watching.until(lambda: editor.buttons["start"].text() == "Add to the queue")
    assert watching.asked(Verb.STOP_NOW).ok
    watching.until(lambda: watching.latest.mode is Mode.ALIGNING, 60_000)


def test_what_the_engine_refuses_is_said(editor, judged) -> None:
    editor._link._latest = Snapshot(Mode.DISCONNECTED, 0.0, trouble="the camera is off")
    assert "the camera is off" in editor.why_not_start()
    editor._link._latest = Snapshot(Mode.ALIGNING, 0.0, commander="window 9")
    assert editor.why_not_start() == "window 9 is in command"
    waiting = (QueuedSweep("a", "night", 3, 10.0),)
    editor._link._latest = Snapshot(Mode.RUNNING, 0.0, queue=waiting)
    editor._show_start()
    assert editor.buttons["start"].isEnabled()
    editor._link._latest = None


def test_a_narrow_editor_needs_no_more_than_a_dock_has(editor, qtbot: QtBot) -> None:
    editor.resize(420, 600)
    assert editor.width() == 420
    assert editor.minimumSizeHint().width() <= 370
    assert editor._scroll.widget().minimumSizeHint().width() <= 370
    assert editor._halves.orientation() is Qt.Orientation.Vertical

    editor.form.go_to(("axis", 0, "settle", "inside"))
    editor.resize(1200, 700)
    assert editor._halves.orientation() is Qt.Orientation.Horizontal
    assert editor.form.axes["axis", 0].more.isChecked()
    assert editor.form.fields["axis", 0, "settle", "inside"].text == "3 min"


@pytest.mark.parametrize("width", [420, 500, 620, 700, 759, 760, 900, 1300])
def test_the_form_never_needs_more_than_the_width_there_is(editor, width: int) -> None:
    editor.resize(width, 700)
    QApplication.processEvents()

    assert editor.form.minimumSizeHint().width() <= editor._scroll.viewport().width()

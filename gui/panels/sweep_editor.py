"""Where a sweep is made: form and text of the same file, checked while it is written."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PyQt6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.messages import Answer, Mode, Verb
from acquisition.configuration.axis_config import AXIS_KINDS, AxisQuantity
from acquisition.configuration.config_error import Problem
from gui.link.engine_link import EngineLink
from gui.link.hands_off import not_in_command
from gui.link.requests import Requests
from gui.look.theme import Tone, text_scale
from gui.look.wording import homely
from gui.panels.sweep_form import SweepForm
from gui.panels.sweep_text import SweepText
from gui.panels.sweep_verdict import SweepVerdict
from gui.sweep_text.sweep_draft import SweepDraft
from gui.sweep_text.sweep_findings import StationText, Verdict, field_of, judge, places_of
from gui.sweep_text.toml_text import EditError, Place
from gui.threads.latest_wins import LatestWins
from gui.widgets.compact_button import CompactButton
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.note import Note
from gui.widgets.question import Question

__all__ = ["SweepEditor"]

PAUSE_ms = 150  # after the last key stroke, before the check
SIGHT_px = 60  # seen above and below a field that was gone to
WIDE_px = 760  # from where on the findings stand beside the form
FILTER = "Sweep (*.toml);;All files (*)"


class SweepEditor(QWidget):
    """One sweep file; whatever is changed is checked, priced and can be taken back.

    started: the engine has taken the sweep.
    """

    title = "Sweep"
    started = pyqtSignal()

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.draft = SweepDraft()
        self.verdict: Verdict | None = None  # of the text as it is; None while it is checked
        self._link = link
        self._requests = Requests(link, self)
        self._checks = LatestWins("check the sweep", self)
        self._checks.done.connect(self._on_verdict)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_ms)
        self._pause.timeout.connect(self.check)
        self.form, self.text, self.findings = SweepForm(), SweepText(), SweepVerdict()
        self.file = ElidedLabel("", Qt.TextElideMode.ElideMiddle)
        self.note, self.question = Note(), Question()
        self.buttons = self._make_buttons()
        self._scroll, self.tabs = QScrollArea(), QTabWidget()
        self._halves = QSplitter()
        self._halves.setSizes([700, 300])
        self._lay_out()
        self._listen()
        self._show()
        self.check()

    # --- what a user does

    def new(self) -> None:
        """Begin another sweep."""
        self._after_saving(lambda: self._take(SweepDraft()))

    def open(self, path: Path) -> None:
        """Load a file; what is wrong with it is said in place."""
        self._after_saving(lambda: self._load(path))

    def save(self) -> None:
        """Write the file, or ask for its name where it has none."""
        if self.draft.path is None:
            self.save_as()
        else:
            self.save_to(self.draft.path)

    def save_as(self) -> None:
        dialog = self._dialog("Save sweep", QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("toml")
        dialog.fileSelected.connect(lambda path: self.save_to(Path(path)))
        dialog.show()

    def ask_open(self) -> None:
        dialog = self._dialog("Open sweep", QFileDialog.AcceptMode.AcceptOpen)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.open(Path(path)))
        dialog.show()

    def undo(self) -> None:
        self.draft.undo()
        self._show()

    def redo(self) -> None:
        self.draft.redo()
        self._show()

    def start(self) -> None:
        """Give the sweep to the engine: it starts at once, or waits for its turn."""
        why_not = self.why_not_start()
        if why_not:
            self.note.say(f"not started: {why_not}", Tone.BAD)
            return
        self.note.say("asked the engine to take it")
        folder = str(self._folder().absolute())
        self._requests.ask(Verb.SWEEP, self._on_start, text=self.draft.text, quantity=folder)

    def why_not_start(self) -> str:
        """Return what holds the sweep back, "" if nothing does."""
        if self.verdict is None:
            return "it is being checked"
        if self.verdict.result is None:
            return f"findings to be mended first: {len(self.verdict.problems)}"
        if not self.verdict.result.disk_suffices:
            return "there is not enough free disk"
        return not_in_command(self._link)

    def check(self) -> None:
        """Check the text now, in a thread beside."""
        self._pause.stop()
        hello = self._link.hello
        station = None
        if hello is not None and hello.station_toml:
            station = StationText(hello.station_toml, Path(hello.station_path).parent)
        self._checks.ask(partial(judge, self.draft.text, self._folder(), station))

    def memory(self) -> dict[str, object]:
        """Return which file it holds."""
        return {"path": str(self.draft.path.absolute()) if self.draft.path else ""}

    def recall(self, remembered: Mapping[str, object]) -> None:
        """Hold the same file again, if it is still there and nothing else was begun."""
        path = Path(str(remembered.get("path") or "."))
        if path.is_file() and not self.draft.is_changed and self.draft.path is None:
            self.open(path)

    # --- building

    def _make_buttons(self) -> dict[str, CompactButton]:
        acts: tuple[tuple[str, str, str, Callable[[], None]], ...] = (
            ("new", "&New", "begin another sweep", self.new),
            ("open", "&Open…", "open a sweep file", self.ask_open),
            ("save", "&Save", "save the sweep file (Ctrl+S)", self.save),
            ("save as", "Save &as…", "save under another name", self.save_as),
            ("undo", "↶", "", self.undo),
            ("redo", "↷", "", self.redo),
            ("start", "Start (F5)", "", self.start),
        )
        buttons = {}
        for name, text, hint, act in acts:
            button = buttons[name] = CompactButton(text, hint)
            button.setAccessibleName(name)
            button.clicked.connect(lambda _checked, act=act: act())
        return buttons

    def _lay_out(self) -> None:
        tools, below = QHBoxLayout(), QHBoxLayout()
        tools.setSpacing(3)
        for name, button in self.buttons.items():
            if name != "start":
                tools.addWidget(button)
        tools.addStretch(1)
        below.addWidget(self.file, 1)
        below.addWidget(self.buttons["start"])
        self._scroll.setWidget(self.form)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tabs.addTab(self._scroll, "&Form")
        self.tabs.addTab(self.text, "&Text")
        self.tabs.setDocumentMode(True)
        self._halves.addWidget(self.tabs)
        self._halves.addWidget(self.findings)
        self._halves.setStretchFactor(0, 3)
        self._halves.setStretchFactor(1, 1)
        self._halves.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(4)
        column.addLayout(tools)
        column.addLayout(below)
        column.addWidget(self.question)
        column.addWidget(self.note)
        column.addWidget(self._halves, 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """A narrow editor has its findings below and one field in a line."""
        super().resizeEvent(event)
        is_wide = self.width() >= WIDE_px * text_scale(self)
        way = Qt.Orientation.Horizontal if is_wide else Qt.Orientation.Vertical
        if way is not self._halves.orientation():
            self._halves.setOrientation(way)
            self._halves.setSizes([700, 300])
        self.form.set_width(self.width() * 7 // 10 if is_wide else self.width())

    def _listen(self) -> None:
        self.form.typed.connect(self._on_typed)
        self.form.finished.connect(self._end_typing)
        self.form.added.connect(
            lambda place, entry: self._edit(place, self.draft.add, place, entry)
        )
        self.form.removed.connect(lambda place: self._edit(place, self.draft.remove, place))
        self.form.moved.connect(self._on_moved)
        self.form.went_to.connect(self._bring_into_sight)
        self.text.typed.connect(self._on_text)
        self.tabs.currentChanged.connect(lambda _index: self._end_typing())
        self.findings.chosen.connect(self._go_to)
        self._link.said_hello.connect(self.check)
        self._link.snapshot.connect(self._show_start)
        self._link.lost.connect(self._show_start)
        for keys, act in (
            (QKeySequence.StandardKey.Save, self.save),
            (QKeySequence.StandardKey.SaveAs, self.save_as),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _dialog(self, title: str, mode: QFileDialog.AcceptMode) -> QFileDialog:
        """Return a dialog that blocks nothing: the stop key works while it is open."""
        dialog = QFileDialog(self, title, str(self.draft.path or self._folder()), FILTER)
        dialog.setAcceptMode(mode)
        dialog.setWindowModality(Qt.WindowModality.NonModal)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog

    # --- files

    def _folder(self) -> Path:
        return self.draft.path.parent if self.draft.path else Path.cwd()

    def _after_saving(self, act: Callable[[], None]) -> None:
        """Act at once, or after somebody has decided what becomes of unsaved changes."""
        if not self.draft.is_changed:
            act()
            return
        name = self.draft.path.name if self.draft.path else "the new sweep"

        def save_first() -> None:
            if self.draft.path is None:
                self.save_as()
            elif self.save_to(self.draft.path):
                act()

        self.question.ask(
            f"{name} has changes that are not saved",
            {"Save": save_first, "Discard the changes": act, "Cancel": lambda: None},
        )

    def _load(self, path: Path) -> None:
        try:
            self._take(SweepDraft.load(path))
        except (OSError, UnicodeDecodeError) as error:
            self.note.say(f"{path.name} can't be opened: {error}", Tone.BAD)

    def save_to(self, path: Path) -> bool:
        """Write the file there; return whether it could be."""
        try:
            self.draft.save(path)
        except OSError as error:
            self.note.say(f"not saved: {error}", Tone.BAD)
            return False
        self.note.say(f"saved {homely(str(path))}", Tone.GOOD)
        self._show()
        return True

    def _take(self, draft: SweepDraft) -> None:
        self.draft = draft
        self.note.say("")
        self.question.dismiss()
        self._show()
        self.check()

    # --- edits

    def _on_typed(self, place: Place, value: object) -> None:
        if place[-1] == "quantity" and isinstance(value, str):
            self._edit(place, self._set_quantity, place, value)
        else:
            self._edit(place, lambda: self.draft.set(place, value, is_typing=True))

    def _set_quantity(self, place: Place, value: str) -> None:
        """Another quantity has another unit."""
        unit = AXIS_KINDS[AxisQuantity(value)].unit
        self.draft.set_all({place: value, (*place[:-1], "unit"): unit or None}, "quantity")

    def _on_moved(self, place: Place, number: int, to: int) -> None:
        count = len(self.draft.value(place) or ())
        to = min(max(to, 0), count - 1)
        focused = next((p for p, f in self.form.fields.items() if f.editor.hasFocus()), None)
        self._edit((*place, number), self.draft.move, place, number, to)
        if focused is not None and focused[: len(place) + 1] == (*place, number):
            self.form.go_to((*place, to, *focused[len(place) + 1 :]))

    def _on_text(self, text: str) -> None:
        self.draft.write(text)
        self._show()

    def _edit(self, place: Place, change: Callable[..., None], *values: object) -> None:
        """Change the draft; what can't be done is said at its place."""
        try:
            change(*values)
        except EditError as error:
            self._show()
            self.form.show_troubles({field_of(place, self.form.places()): [str(error)]})
            self.note.say(f"{error}: use the Text tab", Tone.BAD)
            return
        self._show()

    def _end_typing(self) -> None:
        self.draft.end_typing()

    # --- showing

    def _show(self) -> None:
        document = self.draft.document
        self._scroll.setEnabled(document is not None)
        if document is not None:
            self.form.show_document(document)
        self.text.show_text(self.draft.text)
        self.verdict = None
        self.findings.show_checking()
        self._pause.start()
        self._show_file()
        self._show_start()

    def _show_file(self) -> None:
        name = homely(str(self.draft.path)) if self.draft.path else "new sweep"
        self.file.setText(f"{name} (not saved)" if self.draft.is_changed else name)
        undo, redo = self.draft.undo_change, self.draft.redo_change
        for button, change, words in (
            (self.buttons["undo"], undo, "take back"),
            (self.buttons["redo"], redo, "make again"),
        ):
            button.setEnabled(bool(change))
            button.setToolTip(f"{words}: {change}" if change else f"nothing to {words}")

    def _show_start(self) -> None:
        button, why_not = self.buttons["start"], self.why_not_start()
        latest = self._link.latest
        is_busy = latest is not None and latest.mode is Mode.RUNNING
        button.setText("Add to the queue" if is_busy else "Start (F5)")
        button.setEnabled(not why_not)
        button.setToolTip(why_not or "start the sweep, or queue it behind the one that runs")

    def _on_verdict(self, verdict: object) -> None:
        assert isinstance(verdict, Verdict)  # noqa: S101
        if self._pause.isActive():
            return  # it is about a text that has changed since
        self.verdict = verdict
        self.findings.show_verdict(verdict)
        self.form.show_troubles(self._troubles(verdict.problems))
        axes = verdict.result.axes if verdict.result else ()
        self.form.show_counts({axis.quantity: axis.points for axis in axes})
        self.text.mark([place for p in verdict.problems for place in self._places(p)])
        self._show_start()

    def _troubles(self, problems: Sequence[Problem]) -> dict[Place, list[str]]:
        troubles: dict[Place, list[str]] = defaultdict(list)
        for problem in problems:
            for place in self._places(problem):
                near = field_of(place, self.form.places())
                rest = ".".join(str(step) for step in place[len(near) :])
                what = f"{rest}: {problem.found}" if rest else problem.found
                troubles[near].append(f"{what}; allowed: {problem.allowed}")
        return troubles

    def _places(self, problem: Problem) -> Sequence[Place]:
        return places_of(problem.key, self.draft.document) if problem.file == "sweep" else ()

    def _bring_into_sight(self, field: QWidget) -> None:
        self._scroll.ensureWidgetVisible(field, 0, SIGHT_px)

    def _go_to(self, problem: object) -> None:
        assert isinstance(problem, Problem)  # noqa: S101
        for place in self._places(problem)[:1]:
            if self.tabs.currentIndex() == 0 and self.draft.document is not None:
                self.form.go_to(field_of(place, self.form.places()))
            else:
                self.text.go_to(place)

    def _on_start(self, answer: Answer) -> None:
        if answer.ok:
            self.note.say(answer.text or "the engine has taken the sweep", Tone.GOOD)
            self.started.emit()
        else:
            self.note.say(f"not started: {answer.text}", Tone.BAD)

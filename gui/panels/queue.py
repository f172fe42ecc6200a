"""What is measured next, what was broken off, and notes on what goes on."""

from pathlib import Path

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.messages import Answer, Mode, QueuedSweep, Snapshot, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import not_in_command
from gui.link.requests import Requests
from gui.look.theme import Tone
from gui.look.wording import span
from gui.widgets.compact_button import CompactButton
from gui.widgets.note import Note

__all__ = ["QueuePanel", "QueueTable"]

COLUMNS = ("sweep", "points", "takes", "begins in", "held back by")


class QueueTable(QAbstractTableModel):
    """The sweeps that wait, in their order; a run that goes on is before them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sweeps: tuple[QueuedSweep, ...] = ()
        self._before_s = 0.0

    def show_queue(self, sweeps: tuple[QueuedSweep, ...], before_s: float) -> None:
        """Show these; before_s: what the run before them still takes."""
        before_s = round(before_s)
        if (sweeps, before_s) == (self.sweeps, self._before_s):
            return
        if [s.identity for s in sweeps] == [s.identity for s in self.sweeps]:
            self.sweeps, self._before_s = sweeps, before_s
            if sweeps:
                last = self.index(len(sweeps) - 1, len(COLUMNS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.sweeps, self._before_s = sweeps, before_s
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.sweeps)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return COLUMNS[section] if orientation is Qt.Orientation.Horizontal else section + 1

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        sweep = self.sweeps[index.row()]
        begins_s = self._before_s + sum(s.duration_s for s in self.sweeps[: index.row()])
        is_held = any(s.text for s in self.sweeps[: index.row() + 1])
        return (
            sweep.name,
            f"{sweep.points}",
            span(sweep.duration_s),
            "not known" if is_held else (span(begins_s) if begins_s else "now"),
            sweep.text,
        )[index.column()]


class QueuePanel(QWidget):
    """Ctrl+Up moves the chosen sweep up, Delete takes it out."""

    title = "Queue and notes"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._requests = Requests(link, self)
        self.table, self.view = QueueTable(self), QTableView()
        self.up, self.out = CompactButton("Move &up"), CompactButton("Take &out")
        self.hold, self.go_on = CompactButton("&Hold"), CompactButton("&Go on")
        self.resume = CompactButton("&Resume a run…")
        self.text, self.note_down = QLineEdit(), CompactButton("&Note")
        self.empty, self.note = QLabel("No sweep waits"), Note()
        self._lay_out()
        self._listen()
        self._show()

    # --- what a user does

    def move_up(self) -> None:
        """Let the chosen sweep go before the one above it."""
        self._ask_chosen(Verb.QUEUE_UP)

    def take_out(self) -> None:
        """Take the chosen sweep out of the queue."""
        self._ask_chosen(Verb.UNQUEUE)

    def resume_run(self, folder: Path) -> None:
        """Queue what a stopped, failed or killed run lacks."""
        self._requests.ask(Verb.RESUME_RUN, self._on_answer, text=str(folder))

    def write_note(self) -> None:
        """Write the line into the run's log book, with the time."""
        text = self.text.text().strip()
        if text:
            self._requests.ask(Verb.NOTE, self._on_noted, text=text)

    # --- inside

    def _lay_out(self) -> None:
        view = self.view
        view.setModel(self.table)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setTabKeyNavigation(False)
        view.setAccessibleName("queue of sweeps")
        header = view.horizontalHeader()
        assert header is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.text.setPlaceholderText("a note for the log book of the run, with the time")
        self.text.setAccessibleName("note for the run")
        buttons, further, notes = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for button in (self.up, self.out, self.hold, self.go_on):
            buttons.addWidget(button)
        buttons.addStretch(1)
        further.addWidget(self.resume)
        further.addStretch(1)
        notes.addWidget(self.text, 1)
        notes.addWidget(self.note_down)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(buttons)
        column.addLayout(further)
        column.addWidget(self.empty)
        column.addWidget(view, 1)
        column.addLayout(notes)
        column.addWidget(self.note)

    def _listen(self) -> None:
        for button, act in (
            (self.up, self.move_up),
            (self.out, self.take_out),
            (self.hold, lambda: self._ask(Verb.PAUSE)),
            (self.go_on, lambda: self._ask(Verb.RESUME)),
            (self.resume, self._ask_folder),
            (self.note_down, self.write_note),
        ):
            button.clicked.connect(lambda _checked, act=act: act())
        self.text.returnPressed.connect(self.write_note)
        for keys, act in (("Ctrl+Up", self.move_up), ("Del", self.take_out)):
            shortcut = QShortcut(QKeySequence(keys), self.view)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(act)
        selection = self.view.selectionModel()
        assert selection is not None  # noqa: S101 - it has a model
        selection.selectionChanged.connect(lambda *_: self._show())
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._show)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        chosen = self._chosen()
        is_running = snapshot.mode is Mode.RUNNING and snapshot.status is not None
        before_s = snapshot.status.remaining_s if is_running and snapshot.status else 0.0
        self.table.show_queue(snapshot.queue, before_s)
        self._choose(chosen)
        self._show()

    def _chosen(self) -> str:
        row = self.view.currentIndex().row()
        return self.table.sweeps[row].identity if 0 <= row < len(self.table.sweeps) else ""

    def _choose(self, identity: str) -> None:
        """Keep the choice where the sweep has moved."""
        for row, sweep in enumerate(self.table.sweeps):
            if sweep.identity == identity and row != self.view.currentIndex().row():
                self.view.selectRow(row)

    def _show(self) -> None:
        latest, why_not = self._link.latest, not_in_command(self._link)
        sweeps = self.table.sweeps
        is_held = any(sweep.text for sweep in sweeps)
        is_running = latest is not None and latest.mode is Mode.RUNNING
        chosen, row = self._chosen(), self.view.currentIndex().row()
        self.empty.setVisible(not sweeps)
        self.view.setVisible(bool(sweeps))
        self.up.setEnabled(not why_not and bool(chosen) and row > 0)
        self.out.setEnabled(not why_not and bool(chosen))
        self.hold.setEnabled(not why_not and bool(sweeps) and not is_running and not is_held)
        self.go_on.setEnabled(not why_not and is_held and not is_running)
        self.resume.setEnabled(not why_not)
        has_run = latest is not None and bool(latest.run_folder)
        self.note_down.setEnabled(not why_not and has_run)
        self.text.setEnabled(has_run)

    def _ask_chosen(self, verb: Verb) -> None:
        if chosen := self._chosen():
            self._ask(verb, chosen)

    def _ask(self, verb: Verb, text: str = "") -> None:
        self._requests.ask(verb, self._on_answer, text=text)

    def _ask_folder(self) -> None:
        latest = self._link.latest
        dialog = QFileDialog(
            self, "Folder of the run to resume", latest.run_folder if latest else ""
        )
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setWindowModality(Qt.WindowModality.NonModal)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda folder: self.resume_run(Path(folder)))
        dialog.show()

    def _on_answer(self, answer: Answer) -> None:
        self.note.say(answer.text, Tone.NEUTRAL if answer.ok else Tone.BAD)

    def _on_noted(self, answer: Answer) -> None:
        self.note.say(answer.text, Tone.GOOD if answer.ok else Tone.BAD)
        if answer.ok:
            self.text.clear()

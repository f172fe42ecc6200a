"""The runs on this disk, newest first: find one by typing, open it, read and add notes."""

import tomllib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices, QHideEvent, QKeyEvent, QShowEvent
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.commands import Command, Verb
from acquisition.channel.messages import Hello
from acquisition.storage.storage_errors import StorageError
from gui.link.engine_link import EngineLink
from gui.look.theme import Tone
from gui.look.wording import homely
from gui.shown.run_model import RunModel
from gui.shown.runs_on_disk import RunEntry, RunsOnDisk
from gui.shown.shown_run import RunPhase
from gui.threads.latest_wins import LatestWins
from gui.views.row_look import DASH
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.file_question import ask_folder, ask_open
from gui.widgets.note import Note

__all__ = ["HistoryPanel"]

LOOK_AGAIN_ms = 10_000
SENDER = "window"
_STATES = {
    RunPhase.RUNNING: "▶ running",
    RunPhase.INTERRUPTED: "△ interrupted",
    RunPhase.INCOMPLETE: "■ incomplete",
    RunPhase.COMPLETE: "✓ complete",
    None: "✗ unreadable",
}
_UNSAFE = "  △ safe state NOT CONFIRMED"
_HEADS = ("state", "begun (UTC)", "sample", "title", "points", "last note")


class HistoryPanel(QWidget):
    """Looks into the runs folder of the engine's station, or one that was chosen.

    Enter opens the chosen run; a note goes into the journal with its time, also while the run is
    on. Everything is read and written by a thread.
    """

    title = "Runs"

    def __init__(
        self, link: EngineLink | None, model: RunModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._root: Path | None = None
        self._opened: Path | None = None
        self._entries: tuple[RunEntry, ...] = ()
        self._disk = RunsOnDisk()
        self._looks = LatestWins("look for runs", self)
        self._writes = LatestWins("write a note", self)
        self._again = QTimer(self)
        self._again.setInterval(LOOK_AGAIN_ms)
        self._make_fields()
        self._lay_out()
        self._looks.done.connect(self._on_entries)
        self._writes.done.connect(self._on_written)
        self._again.timeout.connect(self.look)
        model.opened.connect(self._on_opened)
        model.phase_changed.connect(lambda _: self.look())
        model.failed.connect(lambda why: self.said.say(homely(why), Tone.BAD))
        if link is not None:
            link.said_hello.connect(self._on_hello)
            if link.hello is not None:
                self._on_hello(link.hello)
        if model.is_open:
            self._on_opened()

    @property
    def entries(self) -> tuple[RunEntry, ...]:
        """The runs that were found, whatever is typed."""
        return self._entries

    @property
    def shown(self) -> tuple[Path, ...]:
        """The folders that match what is typed, from top to bottom."""
        items = (self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount()))
        return tuple(_folder(item) for item in items if item is not None and not item.isHidden())

    @property
    def chosen(self) -> RunEntry | None:
        item = self.list.currentItem()
        folder = None if item is None else _folder(item)
        return next((entry for entry in self._entries if entry.folder == folder), None)

    def look_into(self, root: Path) -> None:
        """List the runs of this folder."""
        self._root = root
        self.where.setText(homely(str(root)))
        self.look()

    def look(self) -> None:
        """Read what has changed on the disk."""
        if self._root is not None:
            self._looks.ask(partial(self._disk.look, self._root))

    def open_chosen(self) -> None:
        """Show the chosen run in all views."""
        if (entry := self.chosen) is not None:
            self.said.say("")
            self._model.open(entry.folder)

    def add_note(self, text: str) -> None:
        """Write a note into the chosen run, else into the one that is shown."""
        folder = self._note_folder()
        if not text.strip():
            return
        if folder is None:
            self.said.say("choose a run: a note belongs to one", Tone.CAUTION)
            return
        self._writes.ask(partial(_write_note, folder, text.strip()))

    # --- inside

    def _make_fields(self) -> None:
        self.typed = QLineEdit()
        self.typed.setPlaceholderText("type to find: sample, title, note, state, date")
        self.typed.setClearButtonEnabled(True)
        self.typed.setAccessibleName("Find a run")
        self.list = QTreeWidget()
        self.list.setHeaderLabels(list(_HEADS))
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setAlternatingRowColors(True)
        self.list.setAccessibleName("Runs, newest first")
        self.notes = ElidedLabel("")
        self.note = QLineEdit()
        self.note.setPlaceholderText("add a note, Enter writes it with the time")
        self.note.setAccessibleName("Note for the chosen run")
        self.said = Note()
        self.where = ElidedLabel(
            "no engine is watched: choose a folder", Qt.TextElideMode.ElideLeft
        )
        self.open = QPushButton("&Open")
        self.open.setToolTip("Show the chosen run (Enter)")
        self.open_file = QPushButton("Open &file…")
        self.open_file.setToolTip("Show a finished .nxs or spectra of another program")
        self.folder = QPushButton("F&older")
        self.folder.setToolTip("Open the folder of the chosen run")
        self.other = QPushButton("Other runs…")
        self.other.setToolTip("Look for runs in another folder")

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.open, self.open_file, self.folder, self.other):
            buttons.addWidget(button)
        header = self.list.header()
        assert header is not None  # noqa: S101 - a tree has one
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        column = QVBoxLayout(self)
        for shown in (self.typed, self.list, self.notes, self.note, self.said, self.where):
            column.addWidget(shown)
        column.setStretchFactor(self.list, 1)
        column.addLayout(buttons)
        self.typed.textChanged.connect(lambda _: self._filter())
        self.typed.returnPressed.connect(self.open_chosen)
        self.list.itemActivated.connect(lambda *_: self.open_chosen())
        self.list.currentItemChanged.connect(lambda *_: self._show_notes())
        self.note.returnPressed.connect(lambda: self.add_note(self.note.text()))
        self.open.clicked.connect(lambda _: self.open_chosen())
        self.open_file.clicked.connect(lambda _: self._ask_file())
        self.folder.clicked.connect(lambda _: self._open_folder())
        self.other.clicked.connect(lambda _: self._ask_root())

    def _on_hello(self, hello: Hello) -> None:
        try:
            runs = tomllib.loads(hello.station_toml)["station"]["runs"]
        except (tomllib.TOMLDecodeError, KeyError, TypeError):
            return  # an engine without a station file of its own has no runs folder
        if self._root is None:
            self.look_into(Path(hello.station_path).parent / runs)

    def _on_opened(self) -> None:
        folder = self._model.path
        if folder != self._opened:  # else it is back behind a file that could not be read
            self.said.say("; ".join(self._model.head.notes) if self._model.head else "")
        self._opened = folder
        is_run = folder is not None and self._model.has_journal
        if self._root is None and folder is not None and is_run and len(folder.parents) > 2:
            self.look_into(folder.parents[2])  # year, day, run
        self._mark_shown()

    def _on_entries(self, entries: object) -> None:
        assert isinstance(entries, tuple)  # noqa: S101 - what RunsOnDisk.look returns
        if entries == self._entries:
            return
        before = self.chosen
        self._entries = entries
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addTopLevelItems([_item(entry) for entry in entries])
        self.list.blockSignals(False)
        self._filter()
        self._choose(None if before is None else before.folder)
        self._mark_shown()

    def _choose(self, folder: Path | None) -> None:
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            is_it = item is not None and (folder is None or _folder(item) == folder)
            if item is not None and is_it and not item.isHidden():
                self.list.setCurrentItem(item)
                return
        self._show_notes()

    def _filter(self) -> None:
        typed = self.typed.text()
        first: QTreeWidgetItem | None = None
        for row, entry in enumerate(self._entries):
            item = self.list.topLevelItem(row)
            if item is not None:
                item.setHidden(not entry.matches(typed))
                if first is None and not item.isHidden():
                    first = item
        current = self.list.currentItem()
        if current is None or current.isHidden():
            self.list.setCurrentItem(first)

    def _mark_shown(self) -> None:
        """Write the run that is shown in bold."""
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            if item is None:
                continue
            font = self.font()
            font.setBold(_folder(item) == self._model.path)
            for column in range(len(_HEADS)):
                item.setFont(column, font)

    def _show_notes(self) -> None:
        entry = self.chosen
        if entry is None:
            self.notes.setText("")
            return
        said = [f"{_when(note.utc)}  {note.text}" for note in entry.notes]
        end = "; ".join(part for part in (entry.ended, entry.safe, entry.trouble) if part)
        self.notes.setText("   ".join([part for part in (end, *reversed(said)) if part]) or DASH)
        self.notes.setToolTip("\n".join(part for part in (end, *said) if part))

    def _note_folder(self) -> Path | None:
        entry = self.chosen
        if entry is not None:
            return entry.folder
        return self._model.path if self._model.has_journal else None

    def _on_written(self, trouble: object) -> None:
        if trouble:
            self.said.say(str(trouble), Tone.BAD)
            return
        entry = self.chosen
        waits = entry is not None and entry.phase is RunPhase.INTERRUPTED
        self.note.clear()
        self.said.say("left for the run: written when it goes on" if waits else "noted", Tone.GOOD)
        self.look()

    def _ask_file(self) -> None:
        kinds = "Spectra (*.nxs *.h5 *.sif *.asc *.spe *.txt *.csv *.dat *.zip)"
        ask_open(self, "Open spectra", (kinds,), self._open_file)

    def _open_file(self, path: Path) -> None:
        self.said.say("")
        self._model.open(path)

    def _ask_root(self) -> None:
        ask_folder(self, "Folder with runs", self._root or Path.cwd(), self.look_into)

    def _open_folder(self) -> None:
        if (folder := self._note_folder()) is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up) and self.typed.hasFocus():
            self.list.setFocus()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._again.start()
        self.look()

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self._again.stop()


def _item(entry: RunEntry) -> QTreeWidgetItem:
    points = DASH if entry.phase is None else f"{entry.accepted} / {entry.planned}"
    note = entry.notes[-1].text if entry.notes else ""
    begun = DASH if entry.phase is None else _when(entry.created_utc)
    item = QTreeWidgetItem(
        [
            _STATES[entry.phase] + (_UNSAFE if entry.is_unsafe else ""),
            begun,
            entry.sample,
            entry.title or entry.folder.name,
            points,
            note,
        ]
    )
    item.setData(0, Qt.ItemDataRole.UserRole, str(entry.folder))
    item.setToolTip(0, entry.trouble or entry.ended or str(entry.folder))
    return item


def _folder(item: QTreeWidgetItem) -> Path:
    return Path(item.data(0, Qt.ItemDataRole.UserRole))


def _when(utc: float) -> str:
    return f"{datetime.fromtimestamp(utc, UTC):%Y-%m-%d %H:%M}"


def _write_note(folder: Path, text: str) -> str:
    """Write the note; return why that was not possible, "" where it was."""
    from acquisition.channel.inbox import deliver  # noqa: PLC0415 - starts faster without

    try:
        deliver(folder, Command(Verb.NOTE, text, SENDER))
    except (OSError, ValueError, StorageError) as error:
        return f"not noted: {error}"
    return ""

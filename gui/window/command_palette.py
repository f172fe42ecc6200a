"""Ctrl+K: everything that can be done, found by a few letters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QBrush, QKeyEvent
from PyQt6.QtWidgets import QHeaderView, QLineEdit, QTreeWidget, QTreeWidgetItem, QWidget

from gui.widgets.overlay import Overlay
from gui.window.fuzzy import likeness

__all__ = ["Command", "CommandPalette"]

MOST_SHOWN = 14
_MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the palette. why_not: why it can't be done now, "" if it can."""

    text: str
    run: Callable[[], None]
    group: str = ""
    keys: str = ""
    why_not: str = ""


class CommandPalette(Overlay):
    """Lists the commands of the moment; what can't be done now stays listed and says why."""

    def __init__(self, over: QWidget, commands: Callable[[], Iterable[Command]]) -> None:
        super().__init__(over, width=640)
        self._commands = commands
        self._all: tuple[Command, ...] = ()
        self._shown: list[Command] = []
        self._field = QLineEdit(self)
        self._field.setPlaceholderText("Type a few letters; Enter does it, Esc closes")
        self._field.setAccessibleName("Command")
        self._field.textChanged.connect(self._search)
        self._field.installEventFilter(self)
        self._list = QTreeWidget(self)
        self._list.setAccessibleName("Commands")
        self._list.setColumnCount(2)
        self._list.setHeaderHidden(True)
        self._list.setRootIsDecorated(False)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setUniformRowHeights(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self._list.header()
        assert header is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._list.itemClicked.connect(lambda _item, _column: self._run())
        self.content.addWidget(self._field)
        self.content.addWidget(self._list)
        self.setFocusProxy(self._field)

    @property
    def shown(self) -> list[Command]:
        """The commands listed, the best first."""
        return self._shown

    def open(self) -> None:
        self._all = tuple(self._commands())
        self._field.clear()
        self._search("")
        rows = MOST_SHOWN * (self.fontMetrics().height() + 6)
        self._list.setFixedHeight(rows)
        super().open()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._field and event is not None:
            if event.type() == QEvent.Type.FocusOut:
                self.hide()
            elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                return self._takes(event)
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and self.isVisible():
            self._search(self._field.text())

    def _takes(self, event: QKeyEvent) -> bool:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._run()
        elif event.key() in _MOVES:
            self._list.keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            return False
        return True

    def _search(self, wanted: str) -> None:
        scored = [
            (bool(command.why_not), -score, len(command.text) if wanted else 0, place)
            for place, command in enumerate(self._all)
            if (score := likeness(wanted, f"{command.text} {command.group}")) is not None
        ]
        self._shown = [self._all[place] for *_, place in sorted(scored)]
        self._list.clear()
        for command in self._shown:
            self._list.addTopLevelItem(self._item(command))
        if self._shown:
            self._list.setCurrentItem(self._list.topLevelItem(0))

    def _item(self, command: Command) -> QTreeWidgetItem:
        right = command.why_not or command.keys
        item = QTreeWidgetItem([command.text, right])
        item.setToolTip(0, command.group)
        item.setToolTip(1, right)
        ink = QBrush(self.palette().placeholderText().color())
        item.setForeground(1, ink)
        if command.why_not:
            item.setForeground(0, ink)
        return item

    def _run(self) -> None:
        current = self._list.currentItem()
        row = self._list.indexOfTopLevelItem(current) if current is not None else -1
        if row < 0 or self._shown[row].why_not:
            return
        self.dismiss()
        self._shown[row].run()

"""The rows of a sweep's form: one axis, or one zone of a table over temperature."""

from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeySequence, QMouseEvent, QShortcut
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.panels.sweep_field import SweepField
from gui.sweep_text.sweep_fields import Field, Section
from gui.sweep_text.toml_text import Place
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.note import Note

__all__ = ["WIDE", "AxisRow", "ZoneRow", "tool"]

WIDE = frozenset({"points", "note", "filters", "laws", "window"})
ALWAYS_SHOWN = ("quantity", "unit", "points", "order")  # the rest of an axis folds away

MakeField = Callable[[Place, Field], SweepField]


class ZoneRow(QWidget):
    """All fields of a row beside each other."""

    removed = pyqtSignal()

    def __init__(
        self, section: Section, place: Place, count: int, make: MakeField, per_line: int
    ) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addLayout(_beside(section.fields, place, make, per_line), 1)
        if count > 1:
            button = tool("✕", f"remove {section.key} {_number(place)}")
            button.clicked.connect(lambda _checked: self.removed.emit())
            line.addWidget(button)


class AxisRow(QFrame):
    """One axis; moved by Alt+Up, Alt+Down, its arrows, or by its grip.

    moved: to which position, counted from 0. dragged: to which height on the screen.
    """

    removed = pyqtSignal()
    moved = pyqtSignal(int)
    dragged = pyqtSignal(int)

    def __init__(
        self, section: Section, place: Place, count: int, make: MakeField, per_line: int
    ) -> None:
        super().__init__()
        self._per_line = per_line
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._number = _number(place) - 1
        self._count = count
        self.note = Note()
        self.more = tool("settle, block …", f"axis {self._number + 1}: settle, block and more")
        self.more.setCheckable(True)
        self._folded = self._fold(section, place, make)
        self.more.toggled.connect(self._folded.setVisible)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 3, 6, 4)
        column.setSpacing(2)
        column.addLayout(self._head())
        column.addWidget(self.note)
        shown = [field for field in section.fields if field.key in ALWAYS_SHOWN]
        column.addLayout(_beside(shown, place, make, per_line))
        column.addWidget(self._folded)

    def unfold(self, inside: QWidget) -> None:
        """Show everything if the widget is among what is folded away."""
        if self._folded.isAncestorOf(inside):
            self.more.setChecked(True)

    def _head(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.addWidget(_Grip(self))
        line.addWidget(ElidedLabel(f"axis {self._number + 1}{self._position()}"), 1)
        line.addWidget(self.more)
        line.addWidget(self._arrow("▲", "outwards", "Alt+Up", self._number - 1))
        line.addWidget(self._arrow("▼", "inwards", "Alt+Down", self._number + 1))
        remove = tool("✕", f"remove axis {self._number + 1}")
        remove.clicked.connect(lambda _checked: self.removed.emit())
        line.addWidget(remove)
        return line

    def _position(self) -> str:
        if self._count == 1:
            return ""
        if self._number == 0:
            return ", outermost: changes least often"
        return ", innermost: changes most often" if self._number == self._count - 1 else ""

    def _arrow(self, text: str, way: str, keys: str, to: int) -> QToolButton:
        button = tool(text, f"move axis {self._number + 1} {way} ({keys})")
        button.setEnabled(0 <= to < self._count)
        button.clicked.connect(lambda _checked: self.moved.emit(to))
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(lambda: self.moved.emit(to))
        return button

    def _fold(self, section: Section, place: Place, make: MakeField) -> QWidget:
        folded = QWidget()
        column = QVBoxLayout(folded)
        column.setContentsMargins(0, 0, 0, 0)
        rest = [field for field in section.fields if field.key not in ALWAYS_SHOWN]
        column.addLayout(_beside(rest, place, make, self._per_line))
        for inner in section.sections:
            column.addLayout(_beside(inner.fields, (*place, inner.key), make, self._per_line))
        folded.hide()
        return folded


class _Grip(QLabel):
    """Where the mouse takes hold of an axis."""

    def __init__(self, row: AxisRow) -> None:
        super().__init__("⠿")
        self._row = row
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setToolTip("drag to another place")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None  # noqa: S101
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self._row.dragged.emit(round(event.globalPosition().y()))


def tool(text: str, hint: str) -> QToolButton:
    """Return a small button that the keyboard reaches."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(hint)
    button.setAccessibleName(hint)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def _beside(fields: Sequence[Field], place: Place, make: MakeField, per_line: int) -> QGridLayout:
    """Return the fields beside each other, their names above them."""
    grid = QGridLayout()
    grid.setVerticalSpacing(0)
    for index, field in enumerate(fields):
        entry = make(place, field)
        line, column = divmod(index, per_line)
        grid.addWidget(entry.label, 2 * line, column)
        grid.addWidget(entry, 2 * line + 1, column, Qt.AlignmentFlag.AlignTop)
        if line == 0:
            grid.setColumnStretch(column, 4 if field.key in WIDE and per_line >= len(fields) else 2)
    return grid


def _number(place: Place) -> int:
    return next((step + 1 for step in reversed(place) if isinstance(step, int)), 1)

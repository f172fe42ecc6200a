"""One key of a sweep file: label, field, and what the check says of it."""

from collections.abc import Sequence

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFocusEvent, QKeyEvent, QKeySequence, QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from gui.look.theme import Tone, theme_of
from gui.sweep_text.sweep_fields import Field, Kind, shown, written
from gui.sweep_text.toml_text import Place
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.note import Note

__all__ = ["SweepField"]


class SweepField(QWidget):
    """typed: the place and the value that stands there now, None for none; at every key stroke.

    finished: somebody has left the field or pressed Enter.
    """

    typed = pyqtSignal(tuple, object)
    finished = pyqtSignal()

    def __init__(self, place: Place, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.place = place
        self.field = field
        self._troubles: tuple[str, ...] = ()
        self._value: object = None
        self.label = QLabel(field.key.replace("_", " "))
        self.editor: _Line | ChoiceBox = (
            self._choice_box() if field.kind is Kind.CHOICE else self._line()
        )
        self.editor.setAccessibleName(_spoken(place))
        self.editor.setToolTip(_hint(field))
        self.label.setBuddy(self.editor)
        self.note = Note()
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.editor, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addLayout(line)
        column.addWidget(self.note)
        self.setFocusProxy(self.editor)

    @property
    def text(self) -> str:
        is_choice = isinstance(self.editor, ChoiceBox)
        return self.editor.currentText() if is_choice else self.editor.text()  # type: ignore[union-attr]

    @property
    def troubles(self) -> tuple[str, ...]:
        """What the check says of this field."""
        return self._troubles

    def show_value(self, value: object) -> None:
        """Show what the file says; what is being typed and means the same is left alone."""
        self._value = value
        if isinstance(self.editor, ChoiceBox):
            self._show_choice(self.editor, value)
        elif not _is_same(written(self.editor.text(), self.field), value):
            self.editor.setText(shown(value, self.field))
            self.editor.setCursorPosition(0)

    def show_troubles(self, troubles: Sequence[str]) -> None:
        """Show what is wrong here, under the field."""
        if tuple(troubles) == self._troubles:
            return
        self._troubles = tuple(troubles)
        self.note.say("\n".join(troubles), Tone.BAD)
        self.editor.setAccessibleDescription("; ".join(troubles))
        self._dress()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if (
            event is not None
            and event.type() == QEvent.Type.PaletteChange
            and hasattr(self, "note")
        ):
            self._dress()

    def _line(self) -> "_Line":
        line = _Line(self)
        line.setPlaceholderText(_placeholder(self.field))
        line.textEdited.connect(lambda text: self.typed.emit(self.place, written(text, self.field)))
        line.editingFinished.connect(self.finished)
        line.gave_up.connect(self._take_back)
        return line

    def _choice_box(self) -> ChoiceBox:
        box = ChoiceBox(self)
        default = f"({self.field.default})" if self.field.default else "(not given)"
        box.addItem("" if self.field.is_required else default, None)
        for text, value in self.field.choices.items():
            box.addItem(text, value)
        box.activated.connect(self._choose)
        return box

    def _choose(self, index: int) -> None:
        self.typed.emit(self.place, self.editor.itemData(index))  # type: ignore[union-attr]
        self.finished.emit()

    def _show_choice(self, box: ChoiceBox, value: object) -> None:
        known = len(self.field.choices) + 1
        while box.count() > known:
            box.removeItem(known)
        text = shown(value, self.field)
        index = 0 if value is None else box.findText(text)
        if index < 0:  # a file may say what is none of the choices
            box.addItem(text, value)
            index = known
        box.setCurrentIndex(index)

    def _take_back(self) -> None:
        """Esc: as it was when somebody began to type."""
        line = self.editor
        if isinstance(line, _Line) and line.text() != line.before:
            line.setText(line.before)
            self.typed.emit(self.place, written(line.before, self.field))

    def _dress(self) -> None:
        palette = QPalette()
        if self._troubles:
            palette.setColor(QPalette.ColorRole.Base, QColor(theme_of(self).refused))
        self.editor.setPalette(palette)


class _Line(QLineEdit):
    """A line whose undo is the editor's, and which knows what it held when it got the focus."""

    gave_up = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.before = ""
        self.setMinimumWidth(60)

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == _OVERRIDE and _is_undo(event):
            event.ignore()
            return False
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        self.before = self.text()
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() == Qt.Key.Key_Escape:
            self.gave_up.emit()
        super().keyPressEvent(event)


_OVERRIDE = QEvent.Type.ShortcutOverride
_UNDO = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)


def _is_undo(event: QKeyEvent) -> bool:
    return any(event.matches(key) for key in _UNDO)


def _is_same(first: object, second: object) -> bool:
    return first == second and type(first) is type(second)


def _placeholder(field: Field) -> str:
    if field.is_required:
        return f"required, in {field.unit}" if field.unit else "required"
    if field.default:
        return f"({field.default})"
    return f"in {field.unit}" if field.unit else ""


def _hint(field: Field) -> str:
    parts = ["must be given" if field.is_required else f"without it: {field.default or 'nothing'}"]
    if field.unit:
        parts.append(f"written with its unit, such as 1 {field.unit}")
    if field.options:
        parts.append(f"of {', '.join(field.options)}, with commas between")
    return "; ".join(parts)


def _spoken(place: Place) -> str:
    return " ".join(str(step + 1) if isinstance(step, int) else step for step in place)

"""The text of a sweep file, with the lines marked of which the check says something."""

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QColor, QFontDatabase, QTextCursor, QTextFormat
from PyQt6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from gui.look.theme import theme_of
from gui.sweep_text.toml_layout import EditError, Layout
from gui.sweep_text.toml_text import Place

__all__ = ["SweepText"]


class SweepText(QPlainTextEdit):
    """typed: the whole text, as somebody has changed it. Undo belongs to the editor around it."""

    typed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setUndoRedoEnabled(False)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTabChangesFocus(True)
        self.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.setAccessibleName("text of the sweep file")
        self._newline = "\n"
        self.textChanged.connect(self._on_change)

    def show_text(self, text: str) -> None:
        """Show the text; the cursor stays where it is."""
        self._newline = "\r\n" if "\r\n" in text else "\n"
        if text == self._text():
            return
        position = self.textCursor().position()
        self.blockSignals(True)
        self.setPlainText(text)
        self.blockSignals(False)
        cursor = self.textCursor()
        cursor.setPosition(min(position, len(self.toPlainText())))
        self.setTextCursor(cursor)

    def mark(self, places: Sequence[Place]) -> None:
        """Mark the lines that hold these places."""
        marks = []
        for line in {self._line_of(place) for place in places}:
            mark = QTextEdit.ExtraSelection()
            mark.format.setBackground(QColor(theme_of(self).refused))
            mark.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            mark.cursor = self._cursor_at(line)
            marks.append(mark)
        self.setExtraSelections(marks)

    def go_to(self, place: Place) -> None:
        """Put the cursor on the line of the place."""
        self.setTextCursor(self._cursor_at(self._line_of(place)))
        self.setFocus()

    def _line_of(self, place: Place) -> int:
        """Return the line, counted from 0, of the assignment or header nearest to the place."""
        text = self.toPlainText()
        try:
            layout = Layout(text)
        except EditError as error:
            return error.line - 1 if error.line else 0
        for end in range(len(place), 0, -1):
            found = layout.assignment(place[:end]) or layout.header(place[:end])
            if found is not None:
                return text.count("\n", 0, found.start)
        return 0

    def _cursor_at(self, line: int) -> QTextCursor:
        document = self.document()
        assert document is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        return QTextCursor(document.findBlockByNumber(line))

    def _text(self) -> str:
        return self.toPlainText().replace("\n", self._newline)

    def _on_change(self) -> None:
        self.typed.emit(self._text())

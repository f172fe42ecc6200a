"""A sentence in its place: what is wrong with the field above, what a button did."""

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

from gui.look.theme import Tone, theme_of

__all__ = ["Note"]

_MARKS = {Tone.BAD: "✗ ", Tone.CAUTION: "△ ", Tone.GOOD: "✓ "}


class Note(QLabel):
    """Wrapped text in the colour of its tone, with a mark that says the same; gone when empty.

    always_there: it keeps its line, so that nothing jumps.
    """

    def __init__(self, parent: QWidget | None = None, *, always_there: bool = False) -> None:
        super().__init__(parent)
        self._tone = Tone.NEUTRAL
        self._always_there = always_there
        self._said = ""
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        if not always_there:
            self.hide()  # only ever hidden here: shown without a parent it would be a window

    @property
    def said(self) -> str:
        """The text without its mark."""
        return self._said

    @property
    def tone(self) -> Tone:
        return self._tone

    def say(self, text: str, tone: Tone = Tone.NEUTRAL) -> None:
        """Show the text, or go away where it is empty."""
        if (text, tone) == (self._said, self._tone):
            return
        self._said, self._tone = text, tone
        self.setText(f"{_MARKS.get(tone, '')}{text}" if text else "")
        self.setVisible(self._always_there or bool(text))
        self._dress()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._dress()

    def _dress(self) -> None:
        theme = theme_of(self)
        plain = self._tone is Tone.NEUTRAL
        colour = QColor(theme.muted if plain else theme.tone(self._tone))
        palette = self.palette()
        if palette.color(QPalette.ColorRole.WindowText) != colour:  # else this would go on for ever
            palette.setColor(QPalette.ColorRole.WindowText, colour)
            self.setPalette(palette)

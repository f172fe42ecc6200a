"""A question in its place, answered by a button: nothing is blocked while it waits."""

from collections.abc import Callable, Mapping

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from gui.look.theme import Tone
from gui.widgets.compact_button import CompactButton
from gui.widgets.note import Note

__all__ = ["Question"]


class Question(QFrame):
    """Hidden until something is asked; Esc is the last answer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = Note()
        self.buttons: list[QPushButton] = []
        self._line = QHBoxLayout(self)
        self._line.setContentsMargins(8, 4, 8, 4)
        self._line.addWidget(self.text, 1)
        self.hide()

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask, in place of what was asked before; the first answer gets the focus."""
        self.dismiss()
        self.text.say(text, Tone.CAUTION)
        for words, act in answers.items():
            button = CompactButton(words)
            button.clicked.connect(lambda _checked, act=act: self._answer(act))
            self._line.addWidget(button)
            self.buttons.append(button)
        self.show()
        self.buttons[0].setFocus()

    def dismiss(self) -> None:
        """Ask no more."""
        for button in self.buttons:
            button.hide()
            button.deleteLater()
        self.buttons = []
        self.hide()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() == Qt.Key.Key_Escape and self.buttons:
            self.buttons[-1].click()
        else:
            super().keyPressEvent(event)

    def _answer(self, act: Callable[[], None]) -> None:
        self.dismiss()
        act()

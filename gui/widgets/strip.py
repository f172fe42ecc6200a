"""A line across the window that says something and offers buttons: what dialogs are elsewhere."""

from collections.abc import Callable

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui.look.theme import theme_of
from gui.widgets.compact_button import CompactButton
from gui.widgets.status_pill import Look, draw_shape

__all__ = ["Strip"]

LEAST_WIDTH_px = 480


class Strip(QFrame):
    """Shows a Look's shape and tone, one line of text, details that unfold, and buttons."""

    closed = pyqtSignal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setMinimumWidth(LEAST_WIDTH_px)  # else its height at no width counts
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._details = QLabel(self)
        self._details.setTextFormat(Qt.TextFormat.PlainText)
        self._details.setWordWrap(True)
        self._details.setMinimumWidth(LEAST_WIDTH_px)
        self._details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._details.hide()
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(6)
        line = QHBoxLayout()
        line.addWidget(self._text, 1)
        line.addLayout(self._buttons)
        column = QVBoxLayout(self)
        indent = self.fontMetrics().height() + 18
        column.setContentsMargins(indent, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self._details)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setAccessibleName(look.text)
        self.hide()

    def text(self) -> str:
        return self._text.text()

    def details(self) -> str:
        return self._details.text()

    def say(self, text: str, details: str = "") -> None:
        """Show this text; details are folded away."""
        self._text.setText(text)
        self._details.setText(details)
        if not details:
            self._details.hide()
        self.setAccessibleDescription(text)
        self.show()

    def offer(self, text: str, act: Callable[[], None], hint: str = "") -> QPushButton:
        """Add a button; an ampersand marks its accelerator."""
        button = CompactButton(text, hint, self)
        button.clicked.connect(lambda _checked: act())
        self._buttons.addWidget(button)
        return button

    def offer_details(self) -> QPushButton:
        """Add the button that unfolds the details."""
        return self.offer("Detai&ls", self._flip_details)

    def dismiss(self) -> None:
        self.hide()
        self.closed.emit()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        tone = QColor(theme.tone(self._look.tone))
        ground = QColor(tone)
        ground.setAlphaF(0.14)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Window))
        painter.fillRect(self.rect(), ground)
        painter.fillRect(0, 0, 4, self.height(), tone)
        side = self.fontMetrics().height() * 0.8
        draw_shape(painter, self._look.shape, QRectF(12, 8, side, side), tone)

    def _flip_details(self) -> None:
        self._details.setVisible(self._details.isHidden() and bool(self._details.text()))

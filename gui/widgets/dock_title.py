"""The line above a panel: its title in the window's text size, to be dragged, and two buttons."""

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QDockWidget, QHBoxLayout, QToolButton, QWidget

from gui.widgets.elided_label import ElidedLabel

__all__ = ["DockTitle"]


class DockTitle(QWidget):
    """Qt's own is drawn in the text size of the first start, whatever is chosen later.

    The keyboard has both buttons in the View menu.
    """

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self.buttons: tuple[QToolButton, ...] = ()
        self.label = ElidedLabel(dock.windowTitle())
        line = QHBoxLayout(self)
        line.setContentsMargins(5, 1, 3, 0)
        line.setSpacing(2)
        line.addWidget(self.label, 1)
        float_it = self._button(
            "❐", f"Let {dock.windowTitle()} float, or stand in the window again"
        )
        float_it.clicked.connect(lambda _: dock.setFloating(not dock.isFloating()))
        close = self._button("✕", f"Close {dock.windowTitle()}; the View menu brings it back")
        close.clicked.connect(lambda _: dock.close())
        self.buttons = (float_it, close)
        for button in self.buttons:
            line.addWidget(button)
        self._size()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._size()

    def _size(self) -> None:
        """Stay as low as the text: every line counts on a small screen."""
        side = self.fontMetrics().height()
        for button in self.buttons:
            button.setFixedSize(side + 4, side)

    def _button(self, text: str, hint: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return button

"""Align, Sweep, Browse: what the window is used for."""

from collections.abc import Callable, Mapping

from PyQt6.QtGui import QAction, QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from gui.look.theme import theme_of

__all__ = ["PerspectiveSwitch"]

BAR_px = 3


class PerspectiveSwitch(QWidget):
    """A row of buttons, one of them down; each is the action of its name."""

    def __init__(self, actions: Mapping[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 1, 0, 1)
        line.setSpacing(0)
        for name, action in actions.items():
            button = _Underlined(f"{action.text()} {action.shortcut().toString()}")
            button.setCheckable(True)
            button.setToolTip(action.toolTip())
            button.clicked.connect(_trigger(action))
            self._group.addButton(button)
            self._buttons[name] = button
            line.addWidget(button)

    def show_chosen(self, name: str) -> None:
        self._buttons[name].setChecked(True)


class _Underlined(QPushButton):
    """Has a bar below while it is down: a shade alone is not seen on a dark ground."""

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if self.isChecked():
            bar = self.rect().adjusted(2, self.height() - BAR_px, -2, 0)
            QPainter(self).fillRect(bar, QColor(theme_of(self).accent))


def _trigger(action: QAction) -> Callable[[bool], None]:
    return lambda _checked: action.trigger()

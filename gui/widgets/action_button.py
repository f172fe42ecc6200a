"""A button that is an action of the window: same text, shortcut, and reason why it is grey."""

from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import QAction, QColor, QIcon, QPainter, QPalette, QPixmap
from PyQt6.QtWidgets import QPushButton, QWidget

from gui.look.theme import Theme, Tone, theme_of
from gui.widgets.status_pill import Shape, draw_shape

__all__ = ["ActionButton"]


class ActionButton(QPushButton):
    """Follows one action after another: Pause and Resume share a button."""

    def __init__(
        self,
        action: QAction,
        shape: Shape,
        tone: Tone = Tone.NEUTRAL,
        *,
        is_filled: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._action = action
        self._shape = shape
        self._tone = tone
        self._is_filled = is_filled
        self._worn: Theme | None = None
        self.clicked.connect(lambda _checked: self._action.trigger())
        action.changed.connect(self._follow)
        self._follow()

    @property
    def action(self) -> QAction:
        return self._action

    def follow(self, action: QAction, shape: Shape) -> None:
        """Be another action from now on."""
        if action is self._action:
            return
        self._action.changed.disconnect(self._follow)
        self._action, self._shape = action, shape
        action.changed.connect(self._follow)
        self._follow()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        is_palette = event is not None and event.type() == QEvent.Type.PaletteChange
        if is_palette and self._worn is not theme_of(self):  # its own palette comes here too
            self._dress()

    def _follow(self) -> None:
        keys = self._action.shortcut().toString()
        self.setText(f"{self._action.text()}   {keys}" if keys else self._action.text())
        self.setToolTip(self._action.toolTip())
        self.setAccessibleName(self._action.text().replace("&", ""))
        self.setAccessibleDescription(self._action.toolTip())
        self.setEnabled(self._action.isEnabled())
        self._dress()

    def _dress(self) -> None:
        self._worn = theme = theme_of(self)
        tone = theme.tone(self._tone)
        palette = QPalette()
        if self._is_filled and self.isEnabled():
            palette.setColor(QPalette.ColorRole.Button, QColor(tone))
            palette.setColor(QPalette.ColorRole.ButtonText, QColor(theme.on_tone))
            ink = theme.on_tone
        else:
            ink = tone if self.isEnabled() else theme.disabled
        self.setPalette(palette)
        self.setIcon(self._icon(QColor(ink)))

    def _icon(self, ink: QColor) -> QIcon:
        side = self.fontMetrics().height()
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(QSize(side, side) * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_shape(
            painter, self._shape, QRectF(side * 0.15, side * 0.15, side * 0.7, side * 0.7), ink
        )
        painter.end()
        icon = QIcon()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Active):
            icon.addPixmap(pixmap, mode)
        return icon

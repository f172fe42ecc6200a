"""A field for a physical quantity: typed with its unit, applied by Enter, never by accident."""

from math import isfinite

from pydantic_core import PydanticCustomError
from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QWheelEvent,
)
from PyQt6.QtWidgets import QLineEdit, QWidget

from acquisition.configuration.quantity import parse_quantity
from gui.look.theme import Theme, theme_of

__all__ = ["QuantityEdit"]


class QuantityEdit(QLineEdit):
    """Holds a float in one unit; "10 mV" is understood where it is V, and a bare number is in it.

    What is typed is pending, and looks so, until Enter applies it; Esc takes it back. What can't be
    is refused in place and says the allowed range. Up and Down step a pending value (with Shift ten
    times as far); the wheel never does.
    """

    applied = pyqtSignal(float)
    refused = pyqtSignal(str)

    def __init__(
        self,
        unit: str,
        lower: float = float("-inf"),
        upper: float = float("inf"),
        *,
        value: float | None = None,
        limits_from: str = "",
        step: float = 0.0,
        digits: int = 6,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._unit = unit
        self._lower = lower
        self._upper = upper
        self._limits_from = limits_from
        self._step = step
        self._digits = digits
        self._value = value
        self._trouble = ""
        self._worn: Theme | None = None
        self.textEdited.connect(self._judge)
        self.returnPressed.connect(self.apply)
        self._show_value()

    @property
    def unit(self) -> str:
        return self._unit

    @property
    def value(self) -> float | None:
        """The applied value."""
        return self._value

    @property
    def is_pending(self) -> bool:
        """Whether something is typed that Enter has not applied."""
        return self.text() != self._written(self._value)

    @property
    def trouble(self) -> str:
        """Why what is typed can't be applied; "" where it can."""
        return self._trouble

    def set_value(self, value: float | None) -> None:
        """Show an applied value, unless somebody is typing."""
        pending = self.is_pending
        self._value = value
        if not pending:
            self._show_value()

    def set_limits(self, lower: float, upper: float, limits_from: str = "") -> None:
        """Allow lower to upper; limits_from says where that is decided."""
        self._lower, self._upper, self._limits_from = lower, upper, limits_from
        self._judge()

    def set_unit(self, unit: str, value: float | None) -> None:
        """Hold a value in another unit from now on."""
        self._unit, self._value = unit, value
        self._show_value()

    def set_step(self, step: float) -> None:
        """Let Up and Down change the value by `step`."""
        self._step = step

    def range_text(self) -> str:
        """Return the allowed range in words, with where it is decided."""
        low, high = isfinite(self._lower), isfinite(self._upper)
        source = f" ({self._limits_from})" if self._limits_from else ""
        if low and high:
            return f"{self._number(self._lower)} to {self._written(self._upper)}{source}"
        if low:
            return f"{self._written(self._lower)} or more{source}"
        if high:
            return f"at most {self._written(self._upper)}{source}"
        return f"a quantity in {self._unit}" if self._unit else "a number"

    def apply(self) -> None:
        """Take what is typed; nothing happens but a message where it can't be."""
        value = self._typed()
        if value is None:
            self.refused.emit(self._trouble)
            return
        self._value = value
        self._show_value()
        self.applied.emit(value)

    def take_back(self) -> None:
        """Show the applied value again."""
        self._show_value()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        key = event.key()
        if key == Qt.Key.Key_Escape and self.is_pending:
            self.take_back()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self._step:
            far = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            self._step_by(far if key == Qt.Key.Key_Up else -far)
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        assert event is not None  # noqa: S101
        event.ignore()  # the page below scrolls; a value never changes by the wheel

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        if event is not None and event.reason() in _BY_KEYBOARD:
            self.selectAll()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if not (self.is_pending or self._trouble):
            return
        theme = theme_of(self)
        painter = QPainter(self)
        ink = QColor(theme.bad if self._trouble else theme.caution)
        painter.setPen(ink)
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.drawRect(self.rect().adjusted(1, 1, -2, -2))
        mark = "✕" if self._trouble else "↵"
        painter.drawText(self.rect().adjusted(0, 0, -6, 0), _RIGHT, mark)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        is_palette = event is not None and event.type() == QEvent.Type.PaletteChange
        if is_palette and self._worn is not theme_of(self):  # its own palette comes here too
            self._dress()

    def _typed(self) -> float | None:
        """Return what is typed, None with the trouble set where it can't be."""
        self._trouble = ""
        text = self.text().strip()
        try:
            value = float(text.replace(",", ".")) if self._is_bare(text) else self._parsed(text)
        except (PydanticCustomError, ValueError):
            example = f'"{self._number(self._example())} {self._unit}"'.replace(' "', '"')
            self._trouble = f"{text!r} is not {self._kind()}, such as {example}"
            return None
        if not isfinite(value) or not self._lower <= value <= self._upper:
            self._trouble = f"{self._written(value)} is outside {self.range_text()}"
            return None
        return value

    def _parsed(self, text: str) -> float:
        if not self._unit:
            raise ValueError("a bare number is expected")
        return parse_quantity(text.replace("−", "-"), self._unit)

    def _kind(self) -> str:
        return f"a quantity that converts to {self._unit}" if self._unit else "a number"

    def _example(self) -> float:
        inside = [v for v in (self._value, self._lower, self._upper, 1.0) if v is not None]
        return next(v for v in inside if isfinite(v))

    @staticmethod
    def _is_bare(text: str) -> bool:
        return (
            bool(text) and not any(c.isalpha() and c not in "eE" for c in text) and "°" not in text
        )

    def _judge(self) -> None:
        if self.is_pending:
            self._typed()
        else:
            self._trouble = ""
        self._dress()

    def _step_by(self, steps: int) -> None:
        value = self._typed()
        if value is None:
            return
        stepped = min(max(value + steps * self._step, self._lower), self._upper)
        self.setText(self._written(stepped))
        self._judge()

    def _show_value(self) -> None:
        self.setText(self._written(self._value))
        self._trouble = ""
        self._dress()

    def _dress(self) -> None:
        self._worn = theme = theme_of(self)
        palette = QPalette()
        if self._trouble:
            palette.setColor(QPalette.ColorRole.Base, QColor(theme.refused))
        elif self.is_pending:
            palette.setColor(QPalette.ColorRole.Base, QColor(theme.pending))
        self.setPalette(palette)
        self.setToolTip(self._trouble or f"{self.range_text()}; Enter applies, Esc takes back")
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def _number(self, value: float) -> str:
        return f"{value:.{self._digits}g}"

    def _written(self, value: float | None) -> str:
        return "" if value is None else f"{self._number(value)} {self._unit}".rstrip()


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_BY_KEYBOARD = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)

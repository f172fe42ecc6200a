"""Along which axis of a sweep a view looks."""

import numpy as np
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QWidget

from gui.shown.run_model import RunModel
from gui.widgets.choice_box import ChoiceBox

__all__ = ["AS_MEASURED", "AxisChoice", "quantity_words"]

AS_MEASURED = "as measured"

_WORDS = {
    "temperature_K": "temperature",
    "field_kV_per_cm": "electric field",
    "voltage_V": "voltage",
    "angle_deg": "polarization angle",
    "repeat": "repeat",
    "spectrum": "spectrum",
}


def quantity_words(quantity: str) -> str:
    """Return the name of an axis for people."""
    return _WORDS.get(quantity, quantity)


class AxisChoice(ChoiceBox):
    """The axes of the run that is open, the longest first; a run of another shape resets it."""

    changed = pyqtSignal()

    def __init__(
        self, model: RunModel, *, as_measured: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model, self._as_measured = model, as_measured
        self._chosen = ""  # by a person, for all runs that have it
        self.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        self.setAccessibleName("Axis of the sweep")
        self.setToolTip("Along which axis of the sweep; all else as in the row at the cursor")
        self.activated.connect(lambda _: self._on_chosen())
        model.opened.connect(self._fill)
        model.closed.connect(self._fill)
        self._fill()

    @property
    def quantity(self) -> str:
        found = self.currentData()
        return found if isinstance(found, str) else AS_MEASURED

    @property
    def axis_title(self) -> tuple[str, str]:
        """The words and the unit for the axis of a plot."""
        if self.quantity == AS_MEASURED:
            return "row, as measured", ""
        return quantity_words(self.quantity), self._model.unit(self.quantity)

    def choose(self, quantity: str) -> None:
        """Look along this axis. Raises KeyError if the run has none such."""
        place = self.findData(quantity)
        if place < 0:
            raise KeyError(f"no axis {quantity} in this run")
        if place != self.currentIndex():
            self.setCurrentIndex(place)
            self._on_chosen()

    def through(self, point: int) -> int:
        """Return the row whose slice is shown: the given one, or the first of the sample."""
        sample = np.flatnonzero(self._model.rows.is_sample)
        if not sample.size or (0 <= point < self._model.size and point in sample):
            return point
        return int(sample[0])

    def text(self, point: int | None) -> str:
        """Return where a row lies along the axis, in words."""
        if point is None:
            return ""
        if self.quantity == AS_MEASURED:
            return str(point)
        return f"{self._model.rows.setpoint(self.quantity)[point]:g}"

    def _on_chosen(self) -> None:
        self._chosen = self.quantity
        self.changed.emit()

    def _fill(self) -> None:
        self.blockSignals(True)
        self.clear()
        for quantity in self._model.quantities:
            self.addItem(quantity_words(quantity), quantity)
        if self._as_measured:
            self.addItem(AS_MEASURED, AS_MEASURED)
        self.setCurrentIndex(max(self.findData(self._chosen), 0))
        self.blockSignals(False)

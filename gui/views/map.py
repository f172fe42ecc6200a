"""All spectra of a sweep as a map: axis value upwards, energy across, counts in colour."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from gui.look.theme import Role
from gui.plotting.plots import Plot
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel
from gui.shown.run_rows import RowState
from gui.views.axis_choice import AS_MEASURED, AxisChoice
from gui.views.map_image import MapImage
from gui.views.redraw import Redraw
from gui.views.row_look import NO_RUN
from gui.views.spectral_unit import SpectralUnit
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.elided_label import ElidedLabel

__all__ = ["MapView"]


class MapView(QWidget):
    """Rows of equal height in the order of an axis, or as they were measured.

    Along an axis only the rows are shown that share everything else with the row at the cursor. A
    click chooses row and energy; the colours' ends are dragged at the bar.
    """

    title = "Map"

    def __init__(self, model: RunModel, cursor: Cursor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._unit = SpectralUnit.EV
        self._is_log = False
        self._image: MapImage | None = None
        self._logarithms: NDArray[np.floating[Any]] = np.empty((0, 0))
        self._is_other = True  # the colours stand for something else than before
        self._changed: list[int] = []
        self.plot = _MapPlot(model, self)
        self.plot.offer_log(False)
        self.plot.item.showGrid(x=False, y=False)
        self.picture = self.plot.image("counts", unit="per frame")
        self._doubtful = self.plot.curve("flagged", Role.CURSOR, marker="triangle", line=False)
        self._rejected = self.plot.curve("rejected", Role.CURSOR, marker="cross", line=False)
        self._choice = AxisChoice(model, as_measured=True)
        self._words = ElidedLabel("")
        self._lay_out()
        self.plot.item.getAxis("left").tickStrings = self._tick_texts
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._begin()

    @property
    def order(self) -> NDArray[np.intp]:
        """The rows of the run from bottom to top."""
        return np.empty(0, np.intp) if self._image is None else self._image.order

    def set_quantity(self, quantity: str) -> None:
        """Order the rows by this axis, or AS_MEASURED."""
        self._choice.choose(quantity)

    def set_unit(self, unit: SpectralUnit) -> None:
        """Show photon energies or wavelengths; the view starts anew."""
        self._unit = unit
        self._units.setCurrentText(unit.value)
        self._begin_picture()

    def set_log(self, is_log: bool) -> None:
        """Let the colours stand for the logarithm of the counts."""
        self._is_log = is_log
        self._log.setChecked(is_log)
        self.picture.set_title("log10 counts" if is_log else "counts per frame")
        self.picture.restore_levels()
        self._is_other = True
        self._redraw.now()

    # --- inside

    def _lay_out(self) -> None:
        self._units = ChoiceBox()
        self._units.addItems([unit.value for unit in SpectralUnit])
        self._units.setAccessibleName("Unit of the spectral axis")
        self._units.activated.connect(
            lambda _: self.set_unit(SpectralUnit(self._units.currentText()))
        )
        self._log = QToolButton()
        self._log.setText("log")
        self._log.setCheckable(True)
        self._log.setAutoRaise(True)
        self._log.setToolTip("Logarithmic colours")
        self._log.clicked.connect(lambda checked: self.set_log(bool(checked)))
        above = QHBoxLayout()
        above.addWidget(self._choice)
        above.addWidget(self._units)
        above.addWidget(self._log)
        self.plot.tools.insertLayout(0, above)
        self.plot.tools.insertWidget(1, self._words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot)

    def _listen(self) -> None:
        model, cursor = self._model, self._cursor
        model.opened.connect(self._begin)
        model.closed.connect(self._begin)
        model.rows_changed.connect(self._on_rows)
        model.loaded.connect(self._redraw.soon)
        cursor.point_changed.connect(self._on_point)
        cursor.energy_changed.connect(lambda _: self._show_cross())
        self._choice.changed.connect(self._begin_picture)
        self.plot.clicked.connect(self._on_click)
        self.plot.double_clicked.connect(self._on_double_click)
        self.plot.hovered.connect(self._read_out)
        self.plot.left.connect(lambda: self._words.setText(""))

    def _begin(self) -> None:
        self.picture.restore_levels()
        self._begin_picture()

    def _begin_picture(self) -> None:
        self._image = None
        self._changed.clear()
        self.plot.restore_auto()
        self._redraw.soon()

    def _on_rows(self, points: list[int]) -> None:
        self._changed.extend(points)
        self._redraw.soon(within_ms=self._model.patience_ms)

    def _on_point(self, point: int) -> None:
        if self._image is not None and np.isnan(self._image.position(point)):
            new = self._order()
            if new.size and not np.array_equal(new, self._image.order):
                self._image = None  # another slice of the sweep
                self._redraw.soon(is_awaited=True)
        if not self._redraw.is_due:  # else it comes with that: one painting a row, not two
            self._show_cross()

    def _order(self) -> NDArray[np.intp]:
        quantity = self._choice.quantity
        if quantity == AS_MEASURED:
            return np.flatnonzero(self._model.rows.is_sample)
        return self._model.series(quantity, self._choice.through(self._cursor.point))

    def _draw(self) -> None:
        model = self._model
        if not model.size or not model.wavelengths:
            self._changed.clear()
            self._image = None
            self.plot.invite("The map grows with each point" if model.is_open else NO_RUN)
            self.picture.show(np.full((1, 1), np.nan, np.float32), (0.0, 1.0), (0.0, 1.0))
            return
        changed = self._bring_up_to_date()
        image = self._image
        assert image is not None  # noqa: S101 - just made
        self.plot.show_rows(image.order)
        self.plot.set_x_axis(self._unit.label, self._unit.value)
        self.plot.set_y_axis(*self._choice.axis_title)
        self.picture.show(self._heights(image, changed), image.x, image.y, changed=changed)
        self._mark(image)
        self._show_cross()

    def _heights(
        self, image: MapImage, changed: NDArray[np.intp] | None
    ) -> NDArray[np.floating[Any]]:
        """Return what the colours stand for."""
        if not self._is_log:
            return image.values
        lines = slice(None) if changed is None else changed
        if changed is None:
            self._logarithms = np.empty_like(image.values)
        self._logarithms[lines] = np.log10(np.maximum(image.values[lines], 1.0))
        return self._logarithms

    def _bring_up_to_date(self) -> NDArray[np.intp] | None:
        """Draw the next of the rows that have changed, as many as can be drawn at once.

        Returns the lines that have changed; None: all of the picture may have.
        """
        rows, image, is_same = self._model.rows, self._image, not self._is_other
        new_axes = set(np.unique(rows.axis[self._changed]).tolist()) if self._changed else set()
        if image is None or not image.is_for(self._model) or not new_axes <= image.axes:
            image = self._image = MapImage(self._model, self._order(), self._unit)
            self._changed = image.order[rows.state[image.order] > 0].tolist()
            is_same = False
        lines = image.add(self._changed[: image.rows_at_once])
        self._changed = self._changed[image.rows_at_once :]
        if self._changed:
            self._redraw.soon()
        self._is_other = False
        return lines if is_same else None

    def _mark(self, image: MapImage) -> None:
        state = self._model.rows.state[image.order]
        for curve, states in (
            (self._doubtful, (RowState.FLAGGED,)),
            (self._rejected, (RowState.REJECTED, RowState.ABORTED)),
        ):
            at = np.flatnonzero(np.isin(state, states))
            curve.show(np.full(at.size, image.x[0]), at)

    def _show_cross(self) -> None:
        image = self._image
        y = np.nan if image is None else image.position(self._cursor.point)
        self.plot.show_cross(self._unit.of_eV(self._cursor.energy_eV), y)

    def _row_at(self, y: float) -> int | None:
        row = round(y)
        return int(self.order[row]) if 0 <= row < self.order.size else None

    def _on_click(self, x: float, y: float) -> None:
        point = self._row_at(y)
        if point is not None:
            self._cursor.set_point(point)
            self._cursor.set_energy(self._unit.to_eV(x))

    def _on_double_click(self, x: float, y: float) -> None:
        point = self._row_at(y)
        if point is not None:
            self._cursor.set_energy(self._unit.to_eV(x))
            self._cursor.ask_to_go(point)

    def _read_out(self, x: float, y: float) -> None:
        point = self._row_at(y)
        if point is not None:
            self._words.setText(f"{self._model.label(point)}   {x:.5g} {self._unit.value}")

    def _tick_texts(self, values: list[float], _scale: float, _spacing: float) -> list[str]:
        return [self._choice.text(self._row_at(v)) if v == round(v) else "" for v in values]

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        step = (event.key() == Qt.Key.Key_Up) - (event.key() == Qt.Key.Key_Down)
        if step and self.order.size and self._image is not None:
            here = self._image.position(self._cursor.point)
            row = 0 if np.isnan(here) else min(max(int(here) + step, 0), self.order.size - 1)
            self._cursor.set_point(int(self.order[row]))
        else:
            super().keyPressEvent(event)


class _MapPlot(Plot):
    """Gives away the rows as they were measured, not the picture of them."""

    def __init__(self, model: RunModel, parent: QWidget) -> None:
        super().__init__("photon energy", "eV", "", "", name="map", parent=parent)
        self._model = model
        self._order: NDArray[np.intp] = np.empty(0, np.intp)

    def show_rows(self, order: NDArray[np.intp]) -> None:
        self._order = order

    def save_numbers(self, path: Path) -> None:
        """Write all rows of the map as CSV: counts as they are stored, one row each.

        A new axis of wavelengths stands before the first row that has it.
        """
        model, quantities = self._model, [axis.quantity for axis in self._model.axes]
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            axis = -1
            for point in self._order.tolist():
                if not model.holds(point):
                    continue
                if model.rows.axis[point] != axis:
                    axis = int(model.rows.axis[point])
                    wavelength_nm = model.wavelength_nm(point)
                    pixels = range(model.rows.plan.pixels)
                    heads = pixels if wavelength_nm is None else wavelength_nm.tolist()
                    table.writerow(["row", *quantities, "frames", "wavelength_nm:", *heads])
                setpoints = (model.rows.setpoint(name)[point] for name in quantities)
                written = ["" if np.isnan(value) else f"{value:.9g}" for value in setpoints]
                counts = model.counts(point).tolist()
                table.writerow([point, *written, int(model.rows.frames[point]), "", *counts])

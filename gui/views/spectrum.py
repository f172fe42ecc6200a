"""One spectrum: data, fit with its lines, and what is left over, in eV or nm."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from analysis.wavelength.units import HC_EV_NM
from gui.look.theme import Role
from gui.plotting.plots import Curve, Plot
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel
from gui.shown.run_rows import RowState
from gui.shown.shown_run import Detail
from gui.views.redraw import Redraw
from gui.views.row_look import DASH, NO_RUN, row_look, verdict_look
from gui.views.spectral_unit import SpectralUnit
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.file_question import ask_save
from gui.widgets.status_pill import StatusPill
from gui.widgets.text_width import TextWidth

if TYPE_CHECKING:
    from analysis.spectra.fit_curve import FitCurve

__all__ = ["SpectrumView"]

Array = NDArray[np.float64]

DETAIL_ms = 20  # the fit of a row is mostly here by then: one drawing for both


class SpectrumView(QWidget):
    """The spectrum at the cursor, in counts of one frame: the mean where there are several.

    The stored fit is drawn, not fitted again; a trial of the fit panel goes before it. The arrows
    step from point to point, with Shift from pixel to pixel.
    """

    title = "Spectrum"

    def __init__(self, model: RunModel, cursor: Cursor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._detail: Detail | None = None
        self._unit = SpectralUnit.EV
        self.plot = Plot("photon energy", "eV", "counts per frame", name="spectrum")
        self.residuals = Plot("photon energy", "eV", "residual", name="residuals")
        self.residuals.offer_log(False)
        self.residuals.view.setXLink(self.plot.view)
        self._data = self.plot.curve("data", Role.DATA)
        self._floor = self.plot.curve("background", Role.REFERENCE)
        self._fit = self.plot.curve("fit", Role.FIT)
        self._lines: list[Curve] = []
        self.labels = self.plot.words()
        self._left_over = self.residuals.curve("data - fit", Role.RESIDUAL)
        self._zero = self.residuals.curve("zero", Role.REFERENCE)
        for long in (self._data, self._left_over):  # a million pixels, of which peaks are kept
            long.item.setDownsampling(auto=True, method="peak")
        self.residuals.invite("no fit of this spectrum")
        self._row = ElidedLabel("No run is open")
        self._state, self._verdict = StatusPill(), StatusPill()
        self._readout = ElidedLabel("", Qt.TextElideMode.ElideLeft)
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._begin()

    @property
    def row_text(self) -> str:
        """Which row is shown, in words."""
        return self._row.text()

    def set_unit(self, unit: SpectralUnit) -> None:
        """Show photon energies or wavelengths; the view of the axis starts anew."""
        self._unit = unit
        self._units.setCurrentText(unit.value)
        for plot in (self.plot, self.residuals):
            plot.set_x_axis(unit.label, unit.value)
            plot.restore_auto()
        self._redraw.now()

    def save_spectrum(self, path: Path) -> None:
        """Write the row at the cursor as CSV: every pixel, counts as stored. Raises OSError."""
        point = self._cursor.point
        wavelength_nm, energy_eV = self._axes(point)
        fit = np.full(wavelength_nm.size, np.nan)
        if (curve := self._curve()) is not None:
            fit[curve.pixels] = curve.total
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow([f"# {self._model.label(point)}; {self._model.path}"])
            table.writerow(["pixel", "wavelength_nm", "energy_eV", "counts", "fit_per_frame"])
            columns = (wavelength_nm, energy_eV, self._model.counts(point), fit)
            for pixel, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
                table.writerow([pixel, *("" if value != value else value for value in row)])  # noqa: PLR0124

    # --- inside

    def _lay_out(self) -> None:
        self._units = ChoiceBox()
        self._units.addItems([unit.value for unit in SpectralUnit])
        self._units.setAccessibleName("Unit of the spectral axis")
        self._units.setToolTip("Photon energy or wavelength in vacuum")
        self._units.activated.connect(
            lambda _: self.set_unit(SpectralUnit(self._units.currentText()))
        )
        save = QToolButton()
        save.setText("CSV…")
        save.setToolTip("Save this spectrum: every pixel, counts as they are stored")
        save.clicked.connect(self._ask_path)
        above = QHBoxLayout()
        above.setContentsMargins(6, 2, 6, 0)
        above.setSpacing(6)
        above.addWidget(self._row, 1)
        above.addWidget(self._state)
        above.addWidget(self._verdict)
        self.plot.tools.insertWidget(0, self._units)
        self.plot.tools.insertWidget(1, save)
        self.plot.tools.insertWidget(2, self._readout, 8)
        self.residuals.put_tools_beside()
        self.residuals.hide_x_axis()
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.plot)
        split.addWidget(self.residuals)
        TextWidth(self.residuals, lines=4)
        split.setStretchFactor(0, 4)
        split.setStretchFactor(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(above)
        column.addWidget(split, 1)
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _listen(self) -> None:
        model, cursor = self._model, self._cursor
        model.opened.connect(self._begin)
        model.closed.connect(self._begin)
        model.rows_changed.connect(self._on_rows)
        model.fits_changed.connect(self._on_rows)
        model.detail_came.connect(self._on_detail)
        model.trial_changed.connect(self._redraw.soon)
        cursor.point_changed.connect(self._on_point)
        cursor.energy_changed.connect(self._show_cross)
        for plot in (self.plot, self.residuals):
            plot.hovered.connect(self._read_out)
            plot.left.connect(lambda: self._readout.setText(""))
            plot.clicked.connect(lambda x, _: cursor.set_energy(self._unit.to_eV(x)))

    def _begin(self) -> None:
        self._detail = None
        self.plot.restore_auto()
        self.residuals.restore_auto()
        if self._model.holds(self._cursor.point):
            self._model.ask_detail(self._cursor.point)
        self._redraw.soon()

    def _on_point(self, point: int) -> None:
        self._model.ask_detail(point)
        self._redraw.soon(within_ms=DETAIL_ms, is_awaited=True)

    def _on_rows(self, points: list[int]) -> None:
        if self._cursor.point in points:
            self._model.ask_detail(self._cursor.point)
            self._redraw.soon(within_ms=DETAIL_ms)

    def _on_detail(self, detail: Detail) -> None:
        self._detail = detail
        if detail.point == self._cursor.point:
            self._redraw.soon(is_awaited=True)

    def _draw(self) -> None:
        point = self._cursor.point
        if not self._model.holds(point):
            self._draw_nothing(point)
            return
        x, counts = self._place(point), self._model.counts_per_frame(point)
        self._data.show(x, counts)
        self._name(point)
        self._draw_fit(x, counts, self._curve())
        for pill in (self._state, self._verdict):
            pill.show()
        self._show_cross(self._cursor.energy_eV)
        self.plot.settle()
        self.residuals.settle()

    def _draw_nothing(self, point: int) -> None:
        for curve in (self._data, self._left_over, self._zero):
            curve.clear()
        self._draw_fit(np.empty(0), np.empty(0), None)
        if 0 <= point < self._model.size:
            self.plot.invite("This point is not measured yet")
            self._name(point)
        else:
            is_open = self._model.is_open
            self.plot.invite("Click a row of the map to see its spectrum" if is_open else NO_RUN)
            self._row.setText("No spectrum is chosen" if is_open else "No run is open")
        for pill in (self._state, self._verdict):
            pill.setVisible(0 <= point < self._model.size)

    def _name(self, point: int) -> None:
        rows = self._model.rows
        flags = "; ".join(rows.flags.get(point, ()))
        fit = self._model.fit(point)
        exposure = f"{rows.frames[point]} x {rows.exposure_s[point]:g} s"
        known = np.isfinite(rows.exposure_s[point])
        parts = (f"point {point + 1}", self._model.label(point), exposure if known else DASH, flags)
        self._row.setText("   ".join(part for part in parts if part))
        self._state.show_look(row_look(RowState(rows.state[point])), flags)
        self._verdict.show_look(
            verdict_look(None if fit is None else fit.verdict), "" if fit is None else fit.reason
        )

    def _curve(self) -> "FitCurve | None":
        if self._model.trial is not None:
            return self._model.trial
        detail = self._detail
        is_shown = (
            detail is not None
            and detail.point == self._cursor.point
            and detail.attempt == self._model.rows.attempt[detail.point]
        )
        return detail.fit if is_shown and detail is not None else None

    def _draw_fit(self, x: Array, counts: Array, curve: "FitCurve | None") -> None:
        while curve is not None and len(self._lines) < len(curve.lines):
            number = len(self._lines) + 1
            self._lines.append(self.plot.curve(f"line {number}", Role.COMPONENT))
        if curve is None or curve.pixels.stop > x.size:
            for drawn in (*self._lines, self._fit, self._floor, self._left_over, self._zero):
                drawn.clear()
            self.labels.show(())
            return
        inside = x[curve.pixels]
        self._fit.show(inside, curve.total)
        self._floor.show(inside, curve.floor)
        for i, line in enumerate(self._lines):
            if i < len(curve.lines) > 1:
                line.show(inside, curve.lines[i])
            else:
                line.clear()
        places = [
            ("?" if word == "unassigned" else word, self._unit.of_eV(energy))
            for word, energy in curve.labels
        ]
        self.labels.show([(word, x, _top(inside, curve.total, x)) for word, x in places])
        self._left_over.show(inside, counts[curve.pixels] - curve.expected)
        self._zero.show([inside[0], inside[-1]], [0.0, 0.0])

    def _axes(self, point: int) -> tuple[Array, Array]:
        """Return wavelength and energy of each pixel, NaN where they are not known."""
        return (
            self._or_unknown(self._model.wavelength_nm(point)),
            self._or_unknown(self._model.energy_eV(point)),
        )

    def _or_unknown(self, axis: Array | None) -> Array:
        return np.full(self._model.rows.plan.pixels, np.nan) if axis is None else axis

    def _place(self, point: int) -> Array:
        """Return where the pixels lie on the axis; their numbers where nothing is known."""
        wavelength_nm, energy_eV = self._axes(point)
        place = energy_eV if self._unit is SpectralUnit.EV else wavelength_nm
        if np.isfinite(place).all():
            return place
        return np.arange(float(place.size))

    def _show_cross(self, energy_eV: float) -> None:
        x = self._unit.of_eV(energy_eV)
        self.plot.show_cross(x)
        self.residuals.show_cross(x)

    def _read_out(self, x: float, _y: float) -> None:
        if not self._data.x.size or not x > 0:
            return
        nearest = int(np.argmin(np.abs(self._data.x - x)))
        at, counts = self._data.x[nearest], self._data.y[nearest]
        other = f"  {HC_EV_NM / at:.3f} {self._unit.other.value}"
        self._readout.setText(f"{at:.5g} {self._unit.value}{other}  {counts:.6g} ct")

    def _ask_path(self) -> None:
        if not self._model.holds(self._cursor.point):
            return
        name = f"spectrum_{self._cursor.point + 1}.csv"
        ask_save(self, "Save spectrum", name, ("CSV (*.csv)",), self.save_spectrum)

    def _step_energy(self, step: int) -> None:
        """Lead the cursor's energy to the next pixel on that side of the plot."""
        x = self._data.x
        if not x.size:
            return
        here = self._unit.of_eV(self._cursor.energy_eV)
        along = np.sort(x)
        if np.isfinite(here):
            pixel = int(np.argmin(np.abs(along - here))) + step
        else:
            pixel = along.size // 2
        at = along[min(max(pixel, 0), along.size - 1)]
        self._cursor.set_energy(self._unit.to_eV(float(at)))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        step = (event.key() == Qt.Key.Key_Right) - (event.key() == Qt.Key.Key_Left)
        if step and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._step_energy(step)
        elif step and self._model.size:
            self._cursor.set_point(min(max(self._cursor.point + step, 0), self._model.size - 1))
        else:
            super().keyPressEvent(event)


_NEAR_px = 12  # lines of one label stand so near


def _top(x: Array, y: Array, place: float) -> float:
    """Return how high the curve is around a place, NaN off its ends."""
    if not x.size or not x.min() <= place <= x.max():
        return float("nan")
    nearest = int(np.argmin(np.abs(x - place)))
    return float(np.max(y[max(0, nearest - _NEAR_px) : nearest + _NEAR_px + 1]))

"""Fitted parameters and readings along an axis of the sweep, with the physics law over them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from acquisition.fits.law_overlay import LawOverlay
from analysis.estimation.verdict import Verdict
from gui.shown.cursor import Cursor
from gui.shown.law_follower import LawFollower, areas_per_share
from gui.shown.laws_at_hand import LawsAtHand
from gui.shown.run_model import RunModel
from gui.shown.run_rows import RowState
from gui.threads.latest_wins import LatestWins
from gui.views.axis_choice import AS_MEASURED, AxisChoice
from gui.views.law_label import LawLabel
from gui.views.observables import Observable, observables_of
from gui.views.parameter_plot import MOST_POINTS, ParameterPlot
from gui.views.parameter_points import ParameterPoints, write_points
from gui.views.redraw import Redraw
from gui.views.row_look import NO_RUN, verdict_look
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.status_pill import StatusPill

__all__ = ["ALL_FRAMES", "NO_LAW", "ParametersView"]

Array = NDArray[np.float64]

NO_LAW, ALL_FRAMES = "no law", "all frames"
FITS_TO_COME = "Points appear here as they are measured and fitted"
_SWEEP_LAWS = {("field_kV_per_cm", "energy_eV"): "parabola", ("angle_deg", "area_counts"): "cos2"}


class ParametersView(QWidget):
    """Points with error bars along one axis; all else is as in the row at the cursor.

    Discs are sound, triangles doubtful (a flag, or a verdict that is not "converged"), crosses were
    rejected. The law is either one of the fits shown, or the sweep's own, fitted to all frames.
    """

    title = "Parameters"

    def __init__(self, model: RunModel, cursor: Cursor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._observables: tuple[Observable, ...] = ()
        self._chosen = ""  # title of the observable, by a person
        self._chosen_law = ""
        self._is_law_due = False  # the points have changed since it was fitted
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self._slice = self._order  # the same with what is still to be measured
        self._points: list[ParameterPoints] = []
        self._laws: tuple[LawOverlay, ...] = ()
        self.plot = ParameterPlot(self.write_table, self)
        self._choice = AxisChoice(model, as_measured=True)
        self._what, self._law = ChoiceBox(), ChoiceBox()
        self._words, self._verdict = LawLabel(), StatusPill()
        self._readout = ElidedLabel("")
        self._fitting = LatestWins("fit a law", self)
        self._follower = LawFollower.of(model)
        self._at_hand = LawsAtHand.of(model)
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._offer_laws()
        self._begin()

    # --- what is chosen

    @property
    def observable(self) -> Observable | None:
        place = self._what.currentIndex()
        return self._observables[place] if 0 <= place < len(self._observables) else None

    @property
    def law(self) -> str:
        """NO_LAW, ALL_FRAMES, or the name of a law of the fits shown."""
        found = self._law.currentData()
        return found if isinstance(found, str) else NO_LAW

    @property
    def law_text(self) -> str:
        """What the law says, in words."""
        return self._words.text()

    @property
    def order(self) -> NDArray[np.intp]:
        """The rows shown, along the axis."""
        return self._order

    @property
    def quantity(self) -> str:
        return self._choice.quantity

    def set_quantity(self, quantity: str) -> None:
        self._choice.choose(quantity)

    def choose(self, title: str) -> None:
        """Show this observable. Raises KeyError if the run has none such."""
        place = self._what.findText(title)
        if place < 0:
            raise KeyError(f"no {title} in this run")
        self._what.setCurrentIndex(place)
        self._on_what()

    def set_law(self, law: str) -> None:
        """Draw this law. Raises KeyError if it does not belong to what is shown."""
        place = self._law.findData(law)
        if place < 0:
            raise KeyError(f"no {law} for what is shown")
        self._law.setCurrentIndex(place)
        self._on_law()

    def write_table(self, path: Path) -> None:
        """Write every point that is shown, and what the law says, as CSV. Raises OSError."""
        unit = "" if self.observable is None else self.observable.unit
        x = self._x(self._order)
        write_points(
            path,
            self._model.rows,
            self._points,
            self._order,
            x,
            quantity=self._choice.quantity,
            unit=unit,
            said=self.law_text,
        )

    # --- inside

    def _lay_out(self) -> None:
        for box, name in ((self._what, "What is drawn"), (self._law, "Law drawn over it")):
            box.setAccessibleName(name)
            box.setToolTip(name)
            box.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        self._what.setEnabled(False)
        above = QHBoxLayout()
        for box in (self._what, self._choice, self._law):
            above.addWidget(box)
        self.plot.tools.insertLayout(0, above)
        self.plot.tools.insertWidget(1, self._readout, 1)
        below = QHBoxLayout()
        below.setContentsMargins(6, 2, 6, 2)
        below.setSpacing(6)
        below.addWidget(self._verdict)
        below.addWidget(self._words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.plot, 1)
        column.addLayout(below)

    def _listen(self) -> None:
        model, cursor = self._model, self._cursor
        model.opened.connect(self._begin)
        model.closed.connect(self._begin)
        model.rows_changed.connect(self._on_news)
        model.fits_changed.connect(self._on_news)
        model.loaded.connect(self._redraw.soon)
        cursor.point_changed.connect(self._on_point)
        self._choice.changed.connect(self._on_choice)
        self._what.activated.connect(lambda _: self._on_what())
        self._law.activated.connect(lambda _: self._on_law())
        self._fitting.done.connect(self._on_laws)
        self._at_hand.came.connect(self._on_laws_here)
        self._follower.changed.connect(self._on_all_frames)
        self._follower.failed.connect(self._words.setText)
        self.plot.clicked.connect(self._on_click)
        self.plot.hovered.connect(self._read_out)
        self.plot.left.connect(lambda: self._readout.setText(""))
        self.plot.view.sigXRangeChanged.connect(lambda *_: self._on_range())

    def _begin(self) -> None:
        self._laws = ()
        self._is_law_due = True
        self._fitting.forget()
        self.plot.restore_auto()
        self._offer()
        self._redraw.soon()

    def _on_news(self, _points: list[int]) -> None:
        self._offer()
        self._is_law_due = True
        self._redraw.soon(within_ms=self._model.patience_ms)

    def _on_point(self, point: int) -> None:
        if self._choice.quantity != AS_MEASURED and point not in self._slice:
            self._is_law_due = True
            self._redraw.soon(is_awaited=True)
        if not self._redraw.is_due:  # else it comes with that
            self._show_cross()

    def _on_choice(self) -> None:
        self.plot.restore_auto()
        self._offer_laws()
        self._show_law()

    def _on_what(self) -> None:
        self._chosen = self._what.currentText()
        self._on_choice()

    def _on_law(self) -> None:
        self._chosen_law = self.law
        self._show_law()

    def _show_law(self) -> None:
        self._laws = ()
        self._is_law_due = True
        self._redraw.now()

    def _on_range(self) -> None:
        if self._order.size > MOST_POINTS:
            self._redraw.soon()

    def _offer(self) -> None:
        """Fill the choice of what to draw; what was chosen stays chosen."""
        found = observables_of(self._model.rows)
        if [one.title for one in found] != [one.title for one in self._observables]:
            self._observables = found
            self._what.clear()
            self._what.addItems([one.title for one in found])
            chosen = self._what.findText(self._chosen)
            self._what.setCurrentIndex(chosen if chosen >= 0 else self._likeliest())
            self._what.setEnabled(bool(found))
            self._offer_laws()
        else:
            self._observables = found

    def _on_laws_here(self) -> None:
        self._offer_laws()
        self._show_law()

    def _likeliest(self) -> int:
        """Return which observable to begin with: what turns with the angle, else the energy."""
        columns = [one.law_column for one in self._observables]
        wanted = "area_counts" if self._choice.quantity == "angle_deg" else "energy_eV"
        return columns.index(wanted) if wanted in columns else 0

    def _offer_laws(self) -> None:
        observable = self.observable
        self._law.clear()
        self._law.addItem(NO_LAW, NO_LAW)
        if observable is not None and observable.law_column and not self._at_hand.are_here:
            self._at_hand.load()
        elif observable is not None and observable.law_column:
            from gui.views.point_law import law_title, laws_of  # noqa: PLC0415 - see LawsAtHand

            key = (self._choice.quantity, observable.law_column)
            if _SWEEP_LAWS.get(key) in self._asked_laws():
                self._law.addItem(f"{law_title(_SWEEP_LAWS[key])}, {ALL_FRAMES}", ALL_FRAMES)
            for name, title in laws_of(*key):
                self._law.addItem(f"{title}, of the fits", name)
        again = self._law.findData(self._chosen_law)
        self._law.setCurrentIndex(again if again >= 0 else self._likeliest_law())

    def _likeliest_law(self) -> int:
        """Return the law to begin with; over temperature none, since a transition fits none."""
        is_doubtful = self._choice.quantity == "temperature_K"
        return 0 if is_doubtful else min(1, self._law.count() - 1)

    def _asked_laws(self) -> tuple[str, ...]:
        configuration = self._model.configuration
        if configuration is None or configuration.sweep.fit is None:
            return ()
        return configuration.sweep.fit.laws if self._model.has_journal else ()

    def _draw(self) -> None:
        observable = self.observable
        self.plot.invite(FITS_TO_COME if self._model.is_open else NO_RUN)
        self._order = self._rows_along()
        if observable is None:
            self._show_points([])
            self._show_laws(())
            return
        self.plot.set_x_axis(*self._choice.axis_title)
        self.plot.set_y_axis(observable.title, observable.unit)
        self._show_points([self._points_of(observable, name) for name in observable.names])
        if self._is_law_due:
            self._is_law_due = False
            self._ask_law()
        self._show_laws(self._laws)
        self._show_cross()

    def _rows_along(self) -> NDArray[np.intp]:
        rows, quantity = self._model.rows, self._choice.quantity
        if quantity == AS_MEASURED:
            return np.flatnonzero(rows.is_measured & rows.is_sample)
        self._slice = self._model.series(quantity, self._choice.through(self._cursor.point))
        return self._slice[rows.state[self._slice] > 0]

    def _x(self, order: NDArray[np.intp]) -> Array:
        if self._choice.quantity == AS_MEASURED:
            return order.astype(float)
        return self._model.rows.position(self._choice.quantity)[order]

    def _points_of(self, observable: Observable, name: str) -> ParameterPoints:
        rows, order = self._model.rows, self._order
        if observable.is_reading:
            value = rows.reading(name)[order]
            error = None
            sound = np.ones(order.size, bool)
        else:
            columns = rows.parameter(name)
            value, error = columns[0][order], columns[1][order] * observable.scale
            sound = rows.fits.has_verdict(Verdict.CONVERGED.value)[order]
        state = rows.state[order]
        return ParameterPoints(
            name=name,
            row=order,
            x=self._x(order),
            y=value * observable.scale,
            error=error,
            is_sound=sound & (state == RowState.GOOD),
            is_rejected=np.isin(state, (RowState.REJECTED, RowState.ABORTED)),
        )

    def _show_points(self, points: list[ParameterPoints]) -> None:
        self._points = points
        self.plot.show_points(points)

    # --- laws

    def _ask_law(self) -> None:
        if self.law == NO_LAW:
            self._fitting.forget()
        elif self.law == ALL_FRAMES:
            self._on_all_frames()
            self._follower.ask()
        elif self._points:
            from gui.views.point_law import law_work  # noqa: PLC0415 - see LawsAtHand

            self._fitting.ask(law_work(self.law, self._points, self._law_scale()))

    def _law_scale(self) -> float:
        return 1.0 if self.observable is None else self.observable.scale

    def _on_laws(self, laws: object) -> None:
        assert isinstance(laws, tuple)  # noqa: S101 - what _law_work returns
        if self.law not in (NO_LAW, ALL_FRAMES):
            self._laws = laws
            self._redraw.soon()

    def _on_all_frames(self) -> None:
        if self.law != ALL_FRAMES or self.observable is None:
            return
        wanted = _SWEEP_LAWS.get((self._choice.quantity, self.observable.law_column), "")
        through = self._choice.through(self._cursor.point)
        self._laws = self._follower.matching(wanted, through)
        self._redraw.soon()

    def _show_laws(self, laws: tuple[LawOverlay, ...]) -> None:
        self.plot.show_laws([self._in_units(law) for law in laws if law.x], self._law_points(laws))
        if laws:
            self._words.setText("; ".join(law.text for law in laws))
            self._words.setToolTip("\n".join(f"{law.text}: {law.reason}" for law in laws))
            worst = next((law for law in laws if law.verdict != Verdict.CONVERGED.value), laws[0])
            self._verdict.show_look(verdict_look(worst.verdict), worst.reason)
        elif self.law == NO_LAW:
            self._words.setText("")
        else:
            self._words.setText("the law is being fitted" if self._is_fitting else "no law yet")
        self._verdict.setVisible(bool(laws))

    @property
    def _is_fitting(self) -> bool:
        return self._follower.is_busy if self.law == ALL_FRAMES else self._fitting.is_busy

    def _in_units(self, law: LawOverlay) -> tuple[Array, Array]:
        return np.array(law.x), np.array(law.y) * self._law_unit(law)

    def _law_unit(self, law: LawOverlay) -> float:
        """Return what a law's values are multiplied with to stand among the points."""
        if not law.is_relative or not self._points:
            return self._law_scale()
        total = np.sum([points.y for points in self._points], axis=0)
        return areas_per_share(self._laws, self._points[0].x, total)

    def _law_points(self, laws: tuple[LawOverlay, ...]) -> tuple[Array, Array, Array]:
        """Return the points that a law of all frames goes through: means over the lines."""
        own = [law for law in laws if law.at and self.law == ALL_FRAMES]
        if not own:
            return np.empty(0), np.empty(0), np.empty(0)
        scale = self._law_scale()
        law = own[0]
        return np.array(law.at), scale * np.array(law.value), scale * np.array(law.error)

    # --- the cursor

    def _show_cross(self) -> None:
        here = np.flatnonzero(self._order == self._cursor.point)
        self.plot.show_cross(float(self._x(self._order[here])[0]) if here.size else None)

    def _on_click(self, x: float, y: float) -> None:
        if (found := self.plot.nearest(x, y)) is not None:
            self._cursor.set_point(int(found[0].row[found[1]]))

    def _read_out(self, x: float, y: float) -> None:
        found = self.plot.nearest(x, y)
        observable = self.observable
        if found is None or observable is None:
            return
        points, place = found
        error = "" if points.error is None else f" ± {points.error[place]:.2g}"
        self._readout.setText(
            f"row {points.row[place]}   {points.x[place]:.6g}   {points.name} "
            f"{points.y[place]:.7g}{error} {observable.unit}"
        )

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        step = (event.key() == Qt.Key.Key_Right) - (event.key() == Qt.Key.Key_Left)
        if step and self._order.size:
            here = np.flatnonzero(self._order == self._cursor.point)
            row = int(np.clip(here[0] + step, 0, self._order.size - 1)) if here.size else 0
            self._cursor.set_point(int(self._order[row]))
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and self._points:
            self._redraw.soon()

"""The light of each line over the polarization angle, as a polar plot with its cos² law."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from acquisition.fits.law_overlay import LawOverlay
from analysis.estimation.verdict import Verdict
from gui.look.theme import Role, theme_of
from gui.plotting.plots import Curve, Plot
from gui.shown.cursor import Cursor
from gui.shown.law_follower import LawFollower, areas_per_share
from gui.shown.laws_at_hand import LawsAtHand
from gui.shown.run_model import RunModel
from gui.shown.run_rows import RowState
from gui.views.law_label import LawLabel
from gui.views.redraw import Redraw
from gui.views.row_look import NO_RUN, verdict_look
from gui.widgets.status_pill import StatusPill

if TYPE_CHECKING:
    from analysis.laws.polarization import PolarizationFit

__all__ = ["PolarView"]

Array = NDArray[np.float64]

ANGLE = "angle_deg"
_ROUND = np.linspace(0.0, 360.0, 361)
_FEWEST = 4  # angles, for a law
NO_ANGLES = "The light over the angle, of a run with an axis of the polarization angle"


class PolarView(QWidget):
    """Area of each line as the distance from the middle; all else as in the row at the cursor.

    The law is the sweep's own, of all frames, where it has one; else it is fitted to the areas
    shown. What it says stands below, a sentence for each line.
    """

    title = "Polarization"

    def __init__(self, model: RunModel, cursor: Cursor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self._laws: dict[str, PolarizationFit] = {}
        self._asked = (0, 0)  # rows and fits when the sweep's laws were asked for
        self._own: tuple[LawOverlay, ...] = ()  # the sweep's
        self._follower = LawFollower.of(model)
        self._at_hand = LawsAtHand.of(model)
        self.plot = _PolarPlot(self)
        self._sound: list[Curve] = []
        self._doubtful: list[Curve] = []
        self._law_curves: list[Curve] = []
        self._words, self._verdict = LawLabel(), StatusPill()
        below = QHBoxLayout()
        below.setContentsMargins(6, 2, 6, 2)
        below.setSpacing(6)
        below.addWidget(self._verdict)
        below.addWidget(self._words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot, 1)
        column.addLayout(below)
        self._redraw = Redraw(self, self._draw)
        for signal in (model.opened, model.closed, model.rows_changed, model.fits_changed):
            signal.connect(lambda *_: self._redraw.soon(within_ms=model.patience_ms))
        model.loaded.connect(self._redraw.soon)
        model.opened.connect(self.plot.restore_auto)
        self._follower.changed.connect(self._redraw.soon)
        self._at_hand.came.connect(self._redraw.soon)
        cursor.point_changed.connect(lambda _: self._redraw.soon())
        self.plot.clicked.connect(self._on_click)
        self._redraw.soon()

    @property
    def laws(self) -> "dict[str, PolarizationFit]":
        """The laws fitted to the areas shown, by their names; none where the sweep has its own."""
        return self._laws

    @property
    def law_text(self) -> str:
        return self._words.text()

    def write_table(self, path: Path) -> None:
        """Write angle and area of each line as CSV, with verdict. Raises OSError."""
        rows, names = self._model.rows, self._names()
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow([f"# {self.law_text}"])
            heads = [head for name in names for head in (name, f"{name} error")]
            table.writerow(["row", ANGLE, *heads, "verdict"])
            for point in self._order.tolist():
                pairs = [column[point] for name in names for column in rows.parameter(name)]
                cells = ["" if np.isnan(value) else repr(float(value)) for value in pairs]
                fit = rows.fits.get(point)
                angle = rows.position(ANGLE)[point]
                table.writerow([point, repr(float(angle)), *cells, fit.verdict if fit else ""])

    # --- inside

    def _names(self) -> list[str]:
        return sorted(name for name in self._model.rows.parameters if name.startswith("area_"))

    def _draw(self) -> None:
        model = self._model
        names = self._names()
        self._order = self._rows_around()
        self._laws = {}
        self._own = self._sweeps_laws(names)
        self._make_curves(max(len(names), len(self._own)))
        series = theme_of(self).series
        largest = 0.0
        for number in range(len(self._sound)):
            curves = (self._sound[number], self._doubtful[number], self._law_curves[number])
            for curve in curves:
                curve.set_role(series[number % len(series)])
            if number < len(names) and self._order.size:
                largest = max(largest, self._draw_line(names[number], curves))
            else:
                for curve in curves:
                    curve.clear()
        self.plot.invite(NO_ANGLES if model.is_open else NO_RUN)
        self.plot.show_rings(largest, self._cursor_angle())
        self._say(names, has_angles=ANGLE in model.quantities)

    def _sweeps_laws(self, names: list[str]) -> tuple[LawOverlay, ...]:
        """Return the laws of all frames; ask for them where what is shown has changed."""
        configuration = self._model.configuration
        fit = None if configuration is None else configuration.sweep.fit
        if fit is None or "cos2" not in fit.laws or not self._order.size or not names:
            return ()
        shown = (int(self._order.size), len(self._model.rows.fits))
        if shown != self._asked and self._model.has_journal:
            self._asked = shown
            self._follower.ask()
        return self._follower.matching("cos2", int(self._order[0]))

    def _rows_around(self) -> NDArray[np.intp]:
        model = self._model
        if ANGLE not in model.quantities:
            return np.empty(0, np.intp)
        sample = np.flatnonzero(model.rows.is_sample)
        at = self._cursor.point
        through = at if at in sample or not sample.size else int(sample[0])
        found = model.series(ANGLE, through)
        return found[model.rows.state[found] > 0]

    def _draw_line(self, name: str, curves: tuple[Curve, Curve, Curve]) -> float:
        """Draw one line of the spectrum; return how far out it reaches."""
        rows, order = self._model.rows, self._order
        angle = rows.position(ANGLE)[order]
        area, error = (column[order] for column in rows.parameter(name))
        usable = np.isfinite(angle) & np.isfinite(area) & (error > 0)
        sound = usable & (rows.state[order] == RowState.GOOD) & _has_converged(self._model, order)
        for curve, chosen in ((curves[0], sound), (curves[1], usable & ~sound)):
            curve.name = name
            curve.show(*_place(angle[chosen], area[chosen]))
        curves[2].name = f"{name}, law"
        if not self._at_hand.are_here:
            self._at_hand.load()
        is_possible = not self._own and self._at_hand.are_here
        law = None if not is_possible else _law(angle[usable], area[usable], error[usable])
        if self._own:
            self._draw_own(name, curves[2])
        elif law is None:
            curves[2].clear()
        else:
            self._laws[name] = law
            from analysis.laws.law_curve import law_curve  # noqa: PLC0415 - see LawsAtHand

            angles, areas = law_curve("cos2", law, angle[usable], area[usable])
            curves[2].show(*_place(angles, areas))
        return float(area[usable].max(initial=0.0))

    def _draw_own(self, name: str, curve: Curve) -> None:
        rows, names = self._model.rows, self._names()
        total = np.sum([rows.parameter(one)[0][self._order] for one in names], axis=0)
        unit = areas_per_share(self._own, rows.position(ANGLE)[self._order], total)
        number = names.index(name) + 1
        law = next((one for one in self._own if one.line == number and one.x), None)
        if law is None:
            curve.clear()
        else:
            curve.show(*_place(np.array(law.x), unit * np.array(law.y)))

    def _make_curves(self, lines: int) -> None:
        while len(self._sound) < lines:
            self._law_curves.append(self.plot.curve("", Role.LAW))
            self._sound.append(self.plot.curve("", Role.DATA, marker="disc", line=False))
            self._doubtful.append(self.plot.curve("", Role.DATA, marker="triangle", line=False))

    def _say(self, names: list[str], *, has_angles: bool) -> None:
        self._verdict.setVisible(bool(self._laws or self._own))
        if self._own:
            self._words.setText("; ".join(law.text for law in self._own))
            verdicts = [(law.verdict, law.reason) for law in self._own]
            bad = next((one for one in verdicts if one[0] != "converged"), verdicts[0])
            self._verdict.show_look(verdict_look(bad[0]), bad[1])
            return
        if not self._laws:
            self._words.setText(
                ("no line is fitted yet" if not names else f"fewer than {_FEWEST} angles yet")
                if has_angles
                else "this run has no polarization axis"
                if self._model.is_open
                else ""
            )
            return
        from analysis.laws.law_curve import law_words  # noqa: PLC0415 - see LawsAtHand

        said = [f"line {names.index(n) + 1}: {law_words(law)}" for n, law in self._laws.items()]
        self._words.setText("; ".join(said))
        laws = self._laws.values()
        worst = next((law for law in laws if law.verdict is not Verdict.CONVERGED), None)
        shown = worst or next(iter(laws))
        self._verdict.show_look(verdict_look(shown.verdict.value), shown.reason)

    def _cursor_angle(self) -> float:
        at = self._cursor.point
        return float(self._model.rows.position(ANGLE)[at]) if at in self._order else np.nan

    def _on_click(self, x: float, y: float) -> None:
        if not self._order.size:
            return
        angle = np.rad2deg(np.arctan2(y, x))
        away = (self._model.rows.position(ANGLE)[self._order] - angle + 180.0) % 360.0 - 180.0
        self._cursor.set_point(int(self._order[np.argmin(np.abs(away))]))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        step = (event.key() == Qt.Key.Key_Left) - (event.key() == Qt.Key.Key_Right)
        if step and self._order.size:
            here = np.flatnonzero(self._order == self._cursor.point)
            row = (int(here[0]) + step) % self._order.size if here.size else 0
            self._cursor.set_point(int(self._order[row]))
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and self._sound:
            self._redraw.soon()


def _has_converged(model: RunModel, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    return model.rows.fits.has_verdict(Verdict.CONVERGED.value)[order]


def _law(angle_deg: Array, area: Array, error: Array) -> "PolarizationFit | None":
    if np.unique(angle_deg % 180.0).size < _FEWEST:
        return None
    from analysis.laws.polarization import fit_polarization  # noqa: PLC0415 - see LawsAtHand

    return fit_polarization(angle_deg, area, error)


def _place(angle_deg: Array, distance: Array) -> tuple[Array, Array]:
    """Return x and y; 0 deg to the right, counted against the clock."""
    angle = np.deg2rad(angle_deg)
    return distance * np.cos(angle), distance * np.sin(angle)


class _PolarPlot(Plot):
    """Rings and spokes instead of axes."""

    SPOKES_deg = (0, 30, 60, 90, 120, 150)

    def __init__(self, view: PolarView) -> None:
        super().__init__(name="polarization", parent=view)
        self._view = view
        self.offer_log(False)
        self.view.setAspectLocked(True)
        self.item.showGrid(x=False, y=False)
        for side in ("left", "bottom"):
            self.item.hideAxis(side)
        self._grid = self.curve("rings", Role.REFERENCE)
        self._spoke = self.curve("cursor", Role.CURSOR)
        self._texts = [pg.TextItem(anchor=(0.5, 0.5)) for _ in range(13)]
        for text in self._texts:
            self.item.addItem(text, ignoreBounds=True)
        self._largest = -1.0

    def show_rings(self, largest: float, cursor_deg: float) -> None:
        """Show rings up to a distance, and where the cursor is."""
        if not largest > 0:
            self._largest = -1.0
            self._grid.clear()
            self._spoke.clear()
            return
        outer = _round_up(largest)
        if outer != self._largest:
            self._largest = outer
            self._draw_rings(outer)
        colour = theme_of(self).muted
        for text in self._texts:
            text.setColor(colour)
        if np.isnan(cursor_deg):
            self._spoke.clear()
        else:
            self._spoke.show(*_place(np.array([cursor_deg, cursor_deg]), np.array([0.0, outer])))

    def _draw_rings(self, outer: float) -> None:
        x, y = [], []
        for share in (0.25, 0.5, 0.75, 1.0):
            ring = _place(_ROUND, np.full(_ROUND.size, share * outer))
            x += [*ring[0].tolist(), np.nan]
            y += [*ring[1].tolist(), np.nan]
        for angle in self.SPOKES_deg:
            spoke = _place(np.array([angle, angle]), np.array([-outer, outer]))
            x += [*spoke[0].tolist(), np.nan]
            y += [*spoke[1].tolist(), np.nan]
        corner = 1.15 * outer  # room for the texts
        self._grid.show([*x, -corner, np.nan, corner], [*y, -corner, np.nan, corner])
        for text, angle in zip(self._texts, range(0, 360, 30), strict=False):
            at = _place(np.array([angle]), np.array([1.08 * outer]))
            text.setText(f"{angle}°")
            text.setPos(float(at[0][0]), float(at[1][0]))
        self._texts[-1].setText(f"{outer:g} counts per frame")
        at = _place(np.array([315.0]), np.array([1.04 * outer]))
        self._texts[-1].setAnchor((0.0, 0.0))
        self._texts[-1].setPos(float(at[0][0]), float(at[1][0]))

    def save_numbers(self, path: Path) -> None:
        """Write angle and area of each line as CSV. Raises OSError."""
        self._view.write_table(path)


def _round_up(value: float) -> float:
    """Return the next number that reads well on a ring."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * decade for step in (1, 1.5, 2, 3, 4, 6, 8, 10) if step * decade >= value)
    )

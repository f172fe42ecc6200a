"""Follow a nanocrystal through frames or along a sweep, from each good spectrum to the next.

A spectrum is fitted from where the last good ones say it should be; where that fit does not hold,
from a guess of its own. A jump, an off frame and a lost line are told apart by what the spectrum
shows, never by a fit that merely failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from analysis.detector.hits import narrow_outliers
from analysis.estimation.verdict import Verdict
from analysis.spectra.matched_filter import floor_of, significance
from analysis.spectra.model_fit import HITS_BELOW_PX, ModelFit, ModelFitter, narrowest_fwhm_px
from analysis.spectra.spectrum_window import Window

__all__ = ["Course", "Tracked", "Tracker", "track"]

Array = NDArray[np.float64]

_LEAST_LIGHT = 5.0  # sigma, below which a frame is off
_LEAST_AREA = 4.0  # sigma of the exciton's light
_LARGEST_STEP_EV = 1e-3  # that a fit from the last frame is trusted with
_REMEMBERED = 3  # good spectra from which the next one is predicted


class Course(Enum):
    FOLLOWED = "followed"  # fitted from the last good one
    STARTED = "started"  # fitted from a guess, near where it was expected or as the first
    JUMPED = "jumped"  # found elsewhere
    CHARGED = "charged"  # light only where the trion is
    OFF = "off"  # no light
    LOST = "lost"  # light, but no fit that holds


@dataclass(frozen=True, slots=True)
class Tracked:
    """One spectrum of a series: its fit, how it was found and why that way."""

    fit: ModelFit
    course: Course
    reason: str

    @property
    def is_good(self) -> bool:
        return self.course in (Course.FOLLOWED, Course.STARTED, Course.JUMPED)


@dataclass(slots=True)
class Tracker:
    """Fits spectra one after the other; keeps the last good state through dark and bad ones."""

    fitter: ModelFitter
    _last: ModelFit | None = None
    _known: list[tuple[float, float]] = field(default_factory=list)  # coordinate and energy

    def feed(self, whole: Window, *, at: float | None = None) -> Tracked:
        """Fit the next spectrum. at: its coordinate in the sweep; without one, lines stay put."""
        tracked = self._found(whole, at)
        if tracked.is_good:
            self._last = tracked.fit
            if at is not None:
                self._known = [*self._known, (at, _energy(tracked.fit))][-_REMEMBERED:]
        return tracked

    def _found(self, whole: Window, at: float | None) -> Tracked:
        narrowest = HITS_BELOW_PX if self._last is None else narrowest_fwhm_px(self._last, whole)
        window = self.fitter.cut(whole, narrowest_fwhm_px=narrowest)
        if isinstance(window, str):
            return Tracked(self.fitter.fit_window(whole), Course.LOST, window)
        z = _light(window, narrowest)
        if z < _LEAST_LIGHT:
            fit = self.fitter.fit_window(whole)
            return Tracked(fit, Course.OFF, f"the best line has {z:.1f} sigma, needed are 5")
        if self._last is None:
            cold = self.fitter.fit_window(whole)
            course = Course.STARTED if _is_sound(cold) else Course.LOST
            return Tracked(cold, course, f"the first spectrum: {cold.fit.reason}")
        moved = self._predicted(at, self._last) - _energy(self._last)
        warm = self.fitter.follow(whole, self._last, moved_eV=moved)
        doubt = _doubt(warm, _energy(self._last) + moved)
        if not doubt:
            return Tracked(warm, Course.FOLLOWED, "from the last good spectrum")
        cold = self.fitter.fit_window(whole, narrowest_fwhm_px=narrowest)
        return _restarted(warm, cold, self._last, doubt)

    def _predicted(self, at: float | None, last: ModelFit) -> float:
        """Return the first line's energy, extrapolated along the sweep if it has a coordinate."""
        if at is None or len(self._known) < _REMEMBERED:
            return _energy(last)
        places, energies = (np.array(column) for column in zip(*self._known, strict=True))
        if np.ptp(places) == 0.0:
            return _energy(last)
        slope, level = np.polyfit(places - places[-1], energies, 1)
        return float(level + slope * (at - places[-1]))


def track(
    fitter: ModelFitter, windows: Iterable[Window], at: Iterable[float] | None = None
) -> Iterator[Tracked]:
    """Yield the tracked spectra of a series, at these coordinates of the sweep where given."""
    tracker = Tracker(fitter)
    if at is None:
        for window in windows:
            yield tracker.feed(window)
        return
    for window, place in zip(windows, at, strict=True):
        yield tracker.feed(window, at=place)


def _doubt(fit: ModelFit, expected_eV: float) -> str:
    """Return why a warm fit is not to be trusted, or ""."""
    if fit.fit.verdict is not Verdict.CONVERGED:
        return f"from the last one: {fit.fit.verdict.value}, {fit.fit.reason}"
    area, error = fit["area_1_counts"], fit.error("area_1_counts")
    if area < _LEAST_AREA * error:
        return f"from the last one, line 1 has {area / max(error, 1e-300):.1f} sigma"
    step = _energy(fit) - expected_eV
    if abs(step) > _LARGEST_STEP_EV:
        return f"from the last one, it would have moved by {1e3 * step:.2f} meV"
    left_over = _left_over(fit)
    return f"from the last one, {left_over}" if left_over else ""


def _left_over(fit: ModelFit) -> str:
    """Return where a line stands out of the residuals, or ""."""
    z, place, _ = significance(fit.residual_sigma, np.ones(fit.residual_sigma.size))
    return f"a line at {fit.middle_eV[place]:.6g} eV is left over" if z > _LEAST_LIGHT else ""


def _restarted(warm: ModelFit, cold: ModelFit, last: ModelFit, why: str) -> Tracked:
    """Return the better of the two fits and what it says of the spectrum."""
    if _is_better(warm, cold):
        return Tracked(warm, Course.FOLLOWED, f"{why}; a fresh start is no better")
    if _is_charged(warm) or _is_where_the_trion_was(cold, last):
        return Tracked(warm, Course.CHARGED, f"{why}; light only where the trion is")
    if not _is_sound(cold):
        return Tracked(cold, Course.LOST, f"{why}; afresh: {cold.fit.reason}")
    step = _energy(cold) - _energy(last)
    if abs(step) < _LARGEST_STEP_EV:
        return Tracked(cold, Course.STARTED, why)
    return Tracked(cold, Course.JUMPED, f"{why}; found {1e3 * step:+.2f} meV away")


def _is_sound(fit: ModelFit) -> bool:
    return fit.fit.verdict in (Verdict.CONVERGED, Verdict.ILL_DETERMINED)


def _is_better(warm: ModelFit, cold: ModelFit) -> bool:
    """Return whether the fit from the last spectrum holds and explains it no worse."""
    if warm.fit.verdict is not Verdict.CONVERGED:
        return False
    if cold.fit.verdict is not Verdict.CONVERGED:
        return True
    more = len(cold.fit.names) - len(warm.fit.names)
    return warm.fit.deviance <= cold.fit.deviance + more * float(np.log(warm.fit.pixels))


def _is_charged(warm: ModelFit) -> bool:
    """Return whether the trion of the last good spectrum is all there is."""
    name = "trion_area_counts"
    if name not in warm.fit.names or not np.isfinite(warm.fit.values).all():
        return False
    lines = [n for n in warm.fit.names if n.startswith("area_")]
    is_dark = all(warm[n] < _LEAST_AREA * warm.error(n) for n in lines)
    return is_dark and warm[name] > _LEAST_LIGHT * warm.error(name) and not _left_over(warm)


def _is_where_the_trion_was(fit: ModelFit, last: ModelFit) -> bool:
    """Return whether a fit's exciton is the trion of the last good spectrum, with nothing else."""
    binding = "trion_binding_eV"
    if binding not in last.fit.names or fit.place is None:
        return False
    lines = [n for n in last.fit.names if n.startswith("energy_") and n in fit.fit.names]
    lower = float(np.mean([last[n] - fit[n] for n in lines]))
    return abs(lower - last[binding]) < _LARGEST_STEP_EV


def _energy(fit: ModelFit) -> float:
    return fit["energy_1_eV"]


def _light(window: Window, narrowest_px: float) -> float:
    """Return the significance of the best line; where lines are known to be wide, hits are none."""
    counts = window.counts
    good = counts.good[0] > 0
    floor = floor_of(counts.electrons[0][good])
    deviation = np.sqrt(counts.shift[0] + max(floor, 0.0))
    spectrum = np.where(good, counts.electrons[0] - floor, 0.0)
    if narrowest_px > _WIDER_THAN_HITS_PX:
        spectrum[narrow_outliers(spectrum / deviation, clip=_FAINT_HIT)] = 0.0
    return significance(spectrum, deviation)[0]


_WIDER_THAN_HITS_PX = 3.0
_FAINT_HIT = (
    4.5  # sigma; a line of known width with so little in its 3 highest pixels is hardly one
)

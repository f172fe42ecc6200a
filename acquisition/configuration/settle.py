"""When a moved quantity counts as settled, and when waiting for it is in vain.

Rule 1  Inside is a finite reading within the tolerance. NaN and infinity are never inside.
Rule 2  Settled needs inside_s of time inside during the last two such spans, in one piece or not,
        a last reading inside, and a slope over the readings inside that is small enough.
Rule 3  Progress is a distance to the setpoint that shrinks by a tenth or by five tolerances, or
        the first reading inside. Without any for progress_timeout_s the wait has timed out.
Rule 4  A setpoint is unreachable if there was no progress for a third of that time, and the slope
        since then promises none: a whole progress_timeout_s would bring the value neither half the
        way nor five tolerances closer. It has come to rest elsewhere. While the instrument still
        ramps to the setpoint, nothing has come to rest.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

__all__ = ["OnTimeout", "SettleCriterion", "SettleOutcome", "Settling", "robust_slope"]

PROGRESS_FRACTION = 0.1  # of the best distance so far
PROGRESS_TOLERANCES = 5.0
REST_FRACTION = 1 / 3  # of the progress timeout, over which a value must have come to rest
REST_LOOKS = 8  # in that time
FEWEST_FOR_SLOPE = 3
MOST_FOR_SLOPE = 40  # readings; more cost time and add little


class OnTimeout(Enum):
    """What becomes of a point whose setpoint was not reached."""

    FLAG = "flag"  # measure it and say so
    SKIP = "skip"  # leave out every point of this setpoint
    STOP = "stop"  # end the run in the safe state


class SettleOutcome(Enum):
    PENDING = "pending"
    SETTLED = "settled"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class SettleCriterion:
    """Tolerance and drift are in the unit of the axis.

    inside_s: total time within the tolerance, not necessarily in one piece.
    drift_per_min: largest slope over the readings inside; inf: not asked for.
    progress_timeout_s: how long the value may fail to come closer.
    """

    tolerance: float
    inside_s: float = 0.0
    drift_per_min: float = inf
    progress_timeout_s: float = 60.0
    on_timeout: OnTimeout = OnTimeout.FLAG


class Settling:
    """One wait for one setpoint. Fed with readings, free of clocks and instruments."""

    def __init__(self, criterion: SettleCriterion, setpoint: float, start_s: float) -> None:
        self.setpoint = setpoint
        self.outcome = SettleOutcome.PENDING
        self.reason = "no reading yet"
        self._criterion = criterion
        self._readings: deque[tuple[float, float]] = deque()  # time, error; error NaN if bad
        self._span_s = max(2 * criterion.inside_s, REST_FRACTION * criterion.progress_timeout_s)
        self._progress_s = self._looked_s = self._ramped_s = start_s
        self._best = inf
        self._entered = False

    def feed(self, time_s: float, value: float, *, ramps: bool = False) -> SettleOutcome:
        """Take one reading and return how the wait stands; a final outcome stays.

        A reading that is not later than the last one is ignored. ramps: the instrument is still
        on its way to the setpoint by itself.
        """
        if ramps:
            self._ramped_s = time_s
        is_new = not self._readings or time_s > self._readings[-1][0]
        if is_new and self.outcome is SettleOutcome.PENDING:
            self._remember(time_s, value - self.setpoint)
            self._note_progress(time_s, value - self.setpoint)
            self.outcome, self.reason = self._judge(time_s, value)
        return self.outcome

    def _remember(self, time_s: float, error: float) -> None:
        self._readings.append((time_s, error))
        while self._readings[0][0] < time_s - self._span_s:
            self._readings.popleft()

    def _note_progress(self, time_s: float, error: float) -> None:
        if not isfinite(error):
            return
        if not self._entered and self._is_inside(error):
            self._entered, self._progress_s = True, time_s
        elif not self._entered and abs(error) <= self._best - self._step(self._best):
            self._best, self._progress_s = abs(error), time_s

    def _step(self, distance: float, fraction: float = PROGRESS_FRACTION) -> float:
        """Return how much closer counts as progress, from this distance."""
        if distance == inf:
            return 0.0  # the first reading is the first distance
        return min(fraction * distance, PROGRESS_TOLERANCES * self._criterion.tolerance)

    def _judge(self, time_s: float, value: float) -> tuple[SettleOutcome, str]:
        inside_s, needed_s = self._inside_s(time_s), self._criterion.inside_s
        here = f"at {value:.6g}, {value - self.setpoint:+.3g} from {self.setpoint:.6g}"
        if self._is_inside(self._readings[-1][1]) and inside_s >= needed_s:
            drift = self._drift_per_min(time_s)
            if drift <= self._criterion.drift_per_min:
                return SettleOutcome.SETTLED, f"{here}, inside for {inside_s:.0f} s"
            here += f", drifting {drift:.3g} per min (allowed {self._criterion.drift_per_min:g})"
        waited_s = time_s - self._progress_s
        if waited_s > self._patience_s():
            return SettleOutcome.TIMED_OUT, f"{here}: no progress for {waited_s:.0f} s"
        if self._has_come_to_rest(time_s):
            return SettleOutcome.UNREACHABLE, f"{here}: the value has come to rest there"
        return SettleOutcome.PENDING, f"{here}, inside for {inside_s:.0f} of {needed_s:.0f} s"

    def _is_inside(self, error: float) -> bool:
        return abs(error) <= self._criterion.tolerance  # False for NaN

    def _inside_s(self, now_s: float) -> float:
        """Return the time between neighbouring readings that are both inside, lately."""
        since_s = now_s - 2 * self._criterion.inside_s
        total_s, last_s = 0.0, inf
        for time_s, error in self._readings:
            inside = self._is_inside(error)
            if inside and last_s >= since_s and last_s < time_s:
                total_s += time_s - last_s
            last_s = time_s if inside else inf
        return total_s

    def _patience_s(self) -> float:
        allowance_s = 2 * self._criterion.inside_s if self._entered else 0.0
        return self._criterion.progress_timeout_s + allowance_s

    def _drift_per_min(self, now_s: float) -> float:
        """Return the size of the slope over the readings inside; infinite for too few."""
        if self._criterion.drift_per_min == inf:
            return 0.0
        inside = [reading for reading in self._readings if self._is_inside(reading[1])]
        lately = [reading for reading in inside if reading[0] >= now_s - self._criterion.inside_s]
        chosen = max(lately, inside[-FEWEST_FOR_SLOPE:], key=len)
        return 60.0 * abs(_slope(chosen)) if len(chosen) >= FEWEST_FOR_SLOPE else inf

    def _has_come_to_rest(self, now_s: float) -> bool:
        span_s = REST_FRACTION * self._criterion.progress_timeout_s
        if self._entered or now_s - max(self._progress_s, self._ramped_s) < span_s:
            return False
        if now_s - self._looked_s < span_s / REST_LOOKS:
            return False
        self._looked_s = now_s
        return self._rests([r for r in self._readings if r[0] >= now_s - span_s and isfinite(r[1])])

    def _rests(self, readings: list[tuple[float, float]]) -> bool:
        if len(readings) < FEWEST_FOR_SLOPE:
            return False
        distance = float(np.median([error for _, error in readings]))
        if self._is_inside(distance):
            return False
        approach_per_s = -np.sign(distance) * _slope(readings)
        approach = float(approach_per_s) * self._criterion.progress_timeout_s
        return approach < self._step(abs(distance), fraction=0.5)


def _slope(readings: list[tuple[float, float]]) -> float:
    stride = -(-len(readings) // MOST_FOR_SLOPE)
    times, errors = np.array(readings[::-stride]).T
    return robust_slope(times, errors)


def robust_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the median slope over all pairs of points, x all different, shape (n,), n >= 2.

    Up to 29 % of the points may lie anywhere.
    Source: P. K. Sen, J. Am. Stat. Assoc. 63, 1379 (1968).
    """
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))

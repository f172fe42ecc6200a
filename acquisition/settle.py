"""When a moved quantity counts as settled."""

from dataclasses import dataclass
from enum import Enum
from math import inf

__all__ = ["OnTimeout", "SettleCriterion"]


class OnTimeout(Enum):
    """What becomes of a point whose setpoint was not reached."""

    FLAG = "flag"  # measure it and say so
    SKIP = "skip"  # leave out every point of this setpoint
    STOP = "stop"  # end the run in the safe state


@dataclass(frozen=True, slots=True)
class SettleCriterion:
    """Tolerance and drift are in the unit of the axis.

    inside_s: total time within the tolerance, not necessarily in one piece.
    drift_per_min: largest slope over the time inside; inf: not asked for.
    progress_timeout_s: how long the value may lag behind the way it should have come.
    """

    tolerance: float
    inside_s: float = 0.0
    drift_per_min: float = inf
    progress_timeout_s: float = 60.0
    on_timeout: OnTimeout = OnTimeout.FLAG

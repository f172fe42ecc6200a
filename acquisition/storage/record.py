"""What goes into the journal: attempts, events, monitor batches, fits. Values only.

All times are run time: seconds since the start of the run, monotonic within a segment. A segment
is one stretch of execution; resume opens the next, and its opening event says at which UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["FITS", "Attempt", "AttemptState", "Event", "FitRow", "Level", "StreamBatch"]

FITS = "fits"  # code of the events that say what fits: not part of what was measured


class AttemptState(Enum):
    OK = "ok"
    REJECTED = "rejected"  # measured, but its conditions did not hold: kept, not accepted
    ABORTED = "aborted"  # the exposure was broken off: kept as far as it came
    REFERENCE = "reference"  # a repeat taken by resume to see whether the sample is the same


class Level(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of one row of the point table.

    counts: raw, as delivered, shape (frames, pixels), i4 or u2; never rewritten.
    frame_start_s: shape (frames,), run time at which each frame's exposure began.
    readings: verified conditions, taken after the exposure, keyed by channel with unit; NaN where
    a channel does not exist.
    """

    point: int
    state: AttemptState
    segment: int
    start_s: float
    end_s: float
    exposure_s: float
    counts: NDArray[np.int32] | NDArray[np.uint16]
    frame_start_s: NDArray[np.float64]
    readings: Mapping[str, float]
    calibration: int = 0  # row of the calibration (wavelength axis) in force
    flags: tuple[str, ...] = ()  # reasons for doubt; an accepted attempt may carry some
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something an experimenter would note in the lab book."""

    time_s: float
    utc: float
    level: Level
    code: str  # stable, for programs: "settled", "paused", "note"
    text: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """Monitor readings of one channel since the last batch; times are run time."""

    channel: str
    unit: str
    time_s: NDArray[np.float64]
    value: NDArray[np.float64]  # NaN where the reading was not good


@dataclass(frozen=True, slots=True)
class FitRow:
    """The result of one model on one attempt."""

    point: int
    attempt: int  # journal id
    model: str
    version: str  # of the code that made it
    verdict: str
    reason: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2_per_dof: float

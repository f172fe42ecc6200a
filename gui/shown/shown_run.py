"""What a source of spectra hands over to the window: how a run begins, and what came since.

Plain values, made in the thread that reads, never changed afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.journal_columns import FitColumns
from acquisition.storage.record import Event, StreamBatch
from gui.shown.run_rows import RowBatch, RowPlan

if TYPE_CHECKING:
    from acquisition.configuration.config import Configuration
    from analysis.spectra.fit_curve import FitCurve

__all__ = ["Detail", "RunHead", "RunNews", "RunPhase"]

Array = NDArray[np.float64]


class RunPhase(Enum):
    """What became of a run, as far as its folder tells."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"  # broken off, can be resumed
    INCOMPLETE = "incomplete"  # ended in good order before its last point
    COMPLETE = "complete"
    FILE = "file"  # nothing that could go on


@dataclass(frozen=True, slots=True)
class RunHead:
    """What is known of a run or file when it is opened.

    configuration: None for a foreign file. utc_s: of run time 0. notes: what must be said of it.
    """

    path: Path
    title: str
    sample: str
    plan: RowPlan
    phase: RunPhase
    configuration: "Configuration | None" = None
    utc_s: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunNews:
    """What was read since the last news; axes: number -> wavelength of each pixel in nm, vacuum.

    plan: where it has become longer. is_all: nothing that was there before is still to be read.
    """

    plan: RowPlan | None = None
    rows: RowBatch | None = None
    axes: Mapping[int, Array] = field(default_factory=dict)
    fits: tuple[FitColumns, ...] = ()
    streams: tuple[StreamBatch, ...] = ()
    events: tuple[Event, ...] = ()
    phase: RunPhase | None = None
    is_all: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """All of one row that lies too deep for every row: single frames, background, fit curve.

    frames: raw, (frames, pixels). background: counts of one frame without the sample's light.
    """

    point: int
    attempt: int
    frames: NDArray[np.generic]
    background: Array | None = None
    fit: "FitCurve | None" = None

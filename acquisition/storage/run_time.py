"""Run time: seconds since the start of the run, across all its segments."""

from drivers.clock import Clock

__all__ = ["RunTime"]


class RunTime:
    """Converts clock time to run time.

    Within a segment run time is monotonic; the first segment starts at 0, a resumed one as many
    seconds later as the wall clock says.
    """

    def __init__(self, clock: Clock, *, segment_start_s: float = 0.0) -> None:
        self._zero_s = clock.now() - segment_start_s
        self._clock = clock

    def now(self) -> float:
        return self._clock.now() - self._zero_s

    def of(self, clock_s: float) -> float:
        """Return the run time of a clock time."""
        return clock_s - self._zero_s

"""One stretch of execution of a run."""

from acquisition.storage.journal import Journal
from acquisition.storage.run_time import RunTime
from drivers.clock import Clock

__all__ = ["Segment"]


class Segment:
    """Opens the next segment in the journal: its number and its run time.

    Run time goes on where the wall clock says, never before what the journal knows already.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        elapsed_s = clock.utc() - journal.meta.created_utc
        start_s = max(journal.last_time_s(), elapsed_s) if journal.segments() else 0.0
        self.run_time = RunTime(clock, segment_start_s=start_s)
        self.number = journal.begin_segment(start_s, clock.utc())

    @property
    def is_resumed(self) -> bool:
        return self.number > 1

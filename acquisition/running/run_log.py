"""Events and monitor batches on their way into the journal."""

from collections.abc import Callable

from acquisition.instruments.monitors import Monitors
from acquisition.storage.journal import Journal
from acquisition.storage.record import Attempt, Event, FitRow, Level
from acquisition.storage.run_time import RunTime

__all__ = ["RunLog"]

FLUSH_S = 10.0  # of run time, between transactions that carry monitors only


class RunLog:
    """Collects what happens and hands it to the journal with the next point, or every 10 s.

    hear: is told of each event at once; it must not wait.
    """

    def __init__(
        self,
        journal: Journal,
        monitors: Monitors,
        run_time: RunTime,
        utc: Callable[[], float],
        hear: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._monitors = monitors
        self._run_time = run_time
        self._utc = utc
        self._hear = hear
        self._events: list[Event] = []
        self._fits: list[FitRow] = []
        self._next_flush_s = 0.0
        self.warnings = 0

    def event(self, level: Level, code: str, text: str, **details: object) -> None:
        """Note something an experimenter would note."""
        if level in (Level.WARNING, Level.ERROR):
            self.warnings += 1
        event = Event(self._run_time.now(), self._utc(), level, code, text, dict(details))
        self._events.append(event)
        self._hear(event)

    def fits(self, rows: "list[FitRow] | tuple[FitRow, ...]") -> None:
        self._fits.extend(rows)

    def put(self, attempt: Attempt, *, accept: bool) -> int:
        """Commit the attempt with everything that was collected. Raises StorageError."""
        events, fits = tuple(self._events), tuple(self._fits)
        batches = self._monitors.batches(self._run_time.of)
        key = self._journal.put(attempt, accept=accept, events=events, streams=batches, fits=fits)
        self._stored(len(events), len(fits))
        return key

    def flush_if_due(self) -> None:
        """Commit what was collected if the last commit is long enough ago."""
        if self._run_time.now() >= self._next_flush_s:
            self.flush()

    def flush(self) -> None:
        """Commit what was collected. Raises StorageError; then nothing is lost."""
        events, fits = tuple(self._events), tuple(self._fits)
        batches = self._monitors.batches(self._run_time.of)
        if events or fits or batches:
            self._journal.note(events=events, streams=batches, fits=fits)
        self._stored(len(events), len(fits))

    def _stored(self, events: int, fits: int) -> None:
        del self._events[:events]
        del self._fits[:fits]
        self._monitors.forget_batches()
        self._next_flush_s = self._run_time.now() + FLUSH_S

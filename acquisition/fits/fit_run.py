"""Fitting what a run has and its live fits did not reach."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from acquisition.fits.point_fitter import PointFitter, open_fitter
from acquisition.storage.journal import Journal
from acquisition.storage.record import FITS, Event, FitRow, Level
from analysis.estimation import kernels
from drivers.clock import RealClock

__all__ = ["fit_run"]

THREADS = 2
LONGEST_LOAD_S = 10.0  # of kernels that were compiled before


def fit_run(folder: Path, console: Console | None = None) -> int:
    """Fit every accepted point without a fit and store the results; return how many.

    console: shows a bar there, and what fits.

    Raises StorageError, RunLocked while the run goes on.
    """
    journal = Journal.open(folder)
    try:
        fitter = open_fitter(folder)
        backlog = fitter.backlog()
        hidden = console is None or not console.is_terminal
        if backlog:
            code = kernels.settle(longest_s=LONGEST_LOAD_S)
            text = f"{len(backlog)} points fitted later, by {code.in_words}"
            at = (journal.last_time_s(), RealClock().utc())
            journal.note(events=(Event(*at, Level.INFO, FITS, text),))
            if console is not None:
                console.print(kernels.status(), markup=False)
        for row in track(
            _rows(fitter, backlog), "fitting", len(backlog), console=console, disable=hidden
        ):
            journal.note(fits=(row,))
        return len(backlog)
    finally:
        journal.close()


def _rows(fitter: PointFitter, backlog: tuple[int, ...]) -> Iterator[FitRow]:
    """Yield the fits in order; threads fit while this one reads ahead a little."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fit") as pool:
        waiting: deque[tuple[int, Future[FitRow]]] = deque()
        for key in backlog:
            waiting.append((key, pool.submit(fitter.prepared(key))))
            if len(waiting) > 2 * THREADS:
                yield _result(fitter, *waiting.popleft())
        while waiting:
            yield _result(fitter, *waiting.popleft())


def _result(fitter: PointFitter, key: int, fit: Future[FitRow]) -> FitRow:
    try:
        return fit.result()
    except ValueError as error:
        return fitter.failed(key, str(error))

"""Fitting what a run has and its live fits did not reach."""

from pathlib import Path

from rich.console import Console
from rich.progress import track

from acquisition.journal import Journal
from acquisition.point_fitter import open_fitter

__all__ = ["fit_run"]


def fit_run(folder: Path, console: Console | None = None) -> int:
    """Fit every accepted point without a fit and store the results; return how many.

    console: shows a bar there.

    Raises StorageError, RunLocked while the run goes on.
    """
    journal = Journal.open(folder)
    try:
        fitter = open_fitter(folder)
        backlog = fitter.backlog()
        hidden = console is None or not console.is_terminal
        for key in track(backlog, "fitting", console=console, disable=hidden):
            try:
                row = fitter.fit(key)
            except ValueError as error:
                row = fitter.failed(key, str(error))
            journal.note(fits=(row,))
        return len(backlog)
    finally:
        journal.close()

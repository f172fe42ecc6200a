"""The door for Python scripts; it does what the command line does, and returns values."""

from pathlib import Path

from acquisition.planning.check import CheckResult, check
from acquisition.running.doors import Ended, Watcher, go_on, start
from acquisition.running.run import RunOptions
from acquisition.simulated_laboratory import in_process

__all__ = ["check_sweep", "resume_run", "start_run"]


def check_sweep(sweep: Path | str, station: Path | str | None = None) -> CheckResult:
    """Return what the sweep will measure and cost. Raises ConfigError with every mistake."""
    return check(Path(sweep), None if station is None else Path(station))


def start_run(
    sweep: Path | str,
    station: Path | str | None = None,
    *,
    live_fit: bool = True,
    final: bool = True,
    seed: int | None = None,
    watcher: Watcher | None = None,
) -> Ended:
    """Measure a sweep into a new run folder and return how that ended.

    seed: of a simulated world. watcher: hears of the progress. Raises ConfigError before any
    instrument is touched, DeviceError and StorageError before anything is moved.
    """
    return start(
        Path(sweep),
        None if station is None else Path(station),
        in_process,
        options=RunOptions(live_fit=live_fit),
        watcher=watcher or Watcher(),
        seed=seed,
        final=final,
    )


def resume_run(
    folder: Path | str,
    station: Path | str | None = None,
    *,
    live_fit: bool = True,
    final: bool = True,
    accept_changed: bool = False,
    watcher: Watcher | None = None,
) -> Ended:
    """Measure what the run in this folder lacks. Raises as start_run does."""
    return go_on(
        Path(folder),
        None if station is None else Path(station),
        in_process,
        options=RunOptions(live_fit=live_fit, accept_changed=accept_changed),
        watcher=watcher or Watcher(),
        final=final,
    )

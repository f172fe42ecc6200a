"""Starting and resuming a run: what the command line, a script and the window have in common."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from acquisition.channel.commands import CommandQueue
from acquisition.channel.engine_status import EngineStatus, FinishReason
from acquisition.channel.station_claim import claimed
from acquisition.configuration.config import Configuration, load
from acquisition.fits.fit_run import fit_run
from acquisition.instruments.laboratory import InProcess, Laboratory, open_laboratory
from acquisition.instruments.served_station import with_simulation
from acquisition.planning.check import summarise
from acquisition.planning.expand import expand
from acquisition.running.engine import Outcome
from acquisition.running.execution import execute, interruptible
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.running.run_server import served
from acquisition.storage.final_file import build_final
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_folder import writer_lock
from drivers.errors import DeviceError

__all__ = ["Ended", "Watcher", "finish_run", "go_on", "start"]


@dataclass(frozen=True, slots=True)
class Watcher:
    """How a door follows a run: a word now and then, and a snapshot ten times a second."""

    say: Callable[[str], None] = lambda _: None
    show: Callable[[EngineStatus], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Ended:
    """Where the run lies, how it ended, and its final file if that was built."""

    folder: Path
    outcome: Outcome
    final: Path | None

    @property
    def is_complete(self) -> bool:
        """Return whether every planned point is accepted."""
        complete = (FinishReason.COMPLETED, FinishReason.COMPLETED_WITH_FLAGS)
        return self.outcome.reason in complete


def start(
    sweep_path: Path,
    station_path: Path | None,
    in_process: InProcess,
    *,
    options: RunOptions,
    watcher: Watcher,
    seed: int | None = None,
    final: bool = True,
) -> Ended:
    """Check the files, create the run's folder, and measure the sweep.

    in_process: builds simulated instruments for sim:// addresses. seed: of the simulated world,
    instead of the station's. Raises ConfigError before any instrument is touched, StationTaken if
    another process owns one; DeviceError and StorageError before anything is moved.
    """
    configuration = _seeded(load(sweep_path, station_path), seed)
    table = expand(configuration.sweep, configuration.station)
    _warn_of_little_disk(configuration, watcher)
    with claimed(configuration.station, "run", configuration.sweep.sweep.name):
        laboratory = open_laboratory(configuration.station, in_process)
        folder = create_run(configuration, table, laboratory.clock.utc())
        watcher.say(f"run folder: {folder}")
        try:
            outcome = _execute(folder, configuration, laboratory, options, watcher)
        except (DeviceError, LookupError, ValueError):
            _remove_if_empty(folder)
            raise
    return _ended(folder, configuration, outcome, options, watcher, final=final)


def go_on(
    folder: Path,
    station_path: Path | None,
    in_process: InProcess,
    *,
    options: RunOptions,
    watcher: Watcher,
    final: bool = True,
) -> Ended:
    """Measure what the run in this folder lacks; with another station file if one is named.

    Raises as start does.
    """
    with JournalReader(folder) as reader:
        configuration = configuration_of(reader.meta, station_path)
    with writer_lock(folder):  # whoever measures this very run is told of first
        pass
    with claimed(configuration.station, "run", configuration.sweep.sweep.name):
        laboratory = open_laboratory(configuration.station, in_process)
        outcome = _execute(folder, configuration, laboratory, options, watcher)
    return _ended(folder, configuration, outcome, options, watcher, final=final)


def _execute(
    folder: Path,
    configuration: Configuration,
    laboratory: Laboratory,
    options: RunOptions,
    watcher: Watcher,
) -> Outcome:
    commands = CommandQueue()
    with served(folder, configuration, laboratory.clock, commands) as channel:
        run = Run(
            folder,
            configuration,
            clock=laboratory.clock,
            connections=laboratory.connections,
            commands=commands,
            options=options,
            publish=None if channel is None else channel.publish,
        )
        if channel is not None:
            channel.follow(run)
        with interruptible(commands, watcher.say):
            return execute(run, watcher.show)


def _ended(
    folder: Path,
    configuration: Configuration,
    outcome: Outcome,
    options: RunOptions,
    watcher: Watcher,
    *,
    final: bool,
) -> Ended:
    ended = Ended(folder, outcome, None)
    if final and ended.is_complete:
        has_fits = options.live_fit and configuration.sweep.fit is not None
        ended = replace(ended, final=finish_run(folder, has_fits=has_fits, say=watcher.say))
    return ended


def finish_run(
    folder: Path, *, has_fits: bool, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Fit what the live fits did not reach, and build the final file of a complete run."""
    if has_fits:
        say("fitting what the live fits did not reach")
        fit_run(folder)
    say("building the final file")
    return build_final(folder)


def _warn_of_little_disk(configuration: Configuration, watcher: Watcher) -> None:
    """Say that the disk will probably fill up; a full disk then loses nothing, but a night."""
    result = summarise(configuration)
    if not result.disk_suffices:
        watcher.say(f"the disk: {dict(result.lines())['disk']}")


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a run that never began: an instrument could not be opened."""
    with JournalReader(folder) as reader:
        began = bool(reader.segments())
    if not began:
        shutil.rmtree(folder)


def _seeded(configuration: Configuration, seed: int | None) -> Configuration:
    if seed is None:
        return configuration
    simulation = configuration.station.simulation.model_copy(update={"seed": seed})
    station = configuration.station.model_copy(update={"simulation": simulation})
    text = with_simulation(configuration.station_text, "seed", seed)
    return replace(configuration, station=station, station_text=text)

"""Load a sweep and its station, and report every mistake of both files at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from acquisition.configuration.config_error import ConfigError, Problem
from acquisition.configuration.limits import FILE_CHECKS, STATION_CHECKS, SWEEP_CHECKS, SweepCheck
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.configuration.toml_file import Parsed, parse_toml, read_toml

__all__ = ["ConfigError", "Configuration", "Problem", "load", "load_station", "load_texts"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a run is made from. The texts are what a journal keeps; load_texts reads them again."""

    sweep: SweepConfig
    station: StationConfig
    sweep_text: str
    station_text: str
    folder: Path  # where relative paths of the sweep file start
    station_folder: Path


def load(sweep_path: Path, station_path: Path | None = None) -> Configuration:
    """Read both files; without a station path, the sweep names its station.

    Raises ConfigError with every mistake of both files. No instrument is touched.
    """
    sweep = read_toml(sweep_path, SweepConfig)
    named = station_path or _named_station(sweep)
    if named is None:
        raise ConfigError([*sweep.problems, *_no_station(sweep, sweep_path.name)])
    station = read_toml(named, StationConfig)
    return _joined(sweep, station, sweep_path, named)


def load_texts(
    sweep_text: str,
    station_text: str,
    *,
    folder: Path,
    station_folder: Path,
    is_frozen: bool = False,
) -> Configuration:
    """Read the texts of both files, whose relative paths start at these folders.

    is_frozen: with a run, which has kept what it needs of other files, such as a lamp's spectrum.
    """
    sweep = parse_toml(sweep_text, SweepConfig, file="sweep", folder=folder)
    station = parse_toml(station_text, StationConfig, file="station", folder=station_folder)
    sweep_path, station_path = folder / "sweep", station_folder / "station"
    return _joined(sweep, station, sweep_path, station_path, is_frozen=is_frozen)


def load_station(path: Path) -> StationConfig:
    """Read a station file by itself. Raises ConfigError."""
    station = read_toml(path, StationConfig)
    problems = [*station.problems, *_station_conflicts(station, path.name)]
    if problems:
        raise ConfigError(problems)
    return station.content


def _joined(
    sweep: Parsed[SweepConfig],
    station: Parsed[StationConfig],
    sweep_path: Path,
    station_path: Path,
    *,
    is_frozen: bool = False,
) -> Configuration:
    checks = SWEEP_CHECKS if is_frozen else (*SWEEP_CHECKS, *FILE_CHECKS)
    problems = [
        *sweep.problems,
        *_sweep_conflicts(sweep, station, sweep_path.name, checks),
        *station.problems,
        *_station_conflicts(station, station_path.name),
    ]
    if problems:
        raise ConfigError(problems)
    return Configuration(
        sweep=sweep.content,
        station=station.content,
        sweep_text=sweep.text,
        station_text=station.text,
        folder=sweep_path.parent,
        station_folder=station_path.parent,
    )


def _named_station(sweep: Parsed[SweepConfig]) -> Path | None:
    return sweep.content.sweep.station if "sweep" in sweep.sound else None


def _no_station(sweep: Parsed[SweepConfig], file: str) -> Iterator[Problem]:
    if "sweep" in sweep.sound:
        yield Problem(file, "sweep.station", "nothing", "a station file, here or with the command")


def _sweep_conflicts(
    sweep: Parsed[SweepConfig],
    station: Parsed[StationConfig],
    file: str,
    checks: Iterable[SweepCheck],
) -> Iterator[Problem]:
    for check in checks:
        if check.every_axis and "axis" not in sweep.sound:
            continue
        known = sweep.sound | (sweep.present & {"axis"})
        if check.sweep_sections <= known and check.station_sections <= station.sound:
            for conflict in check.find(sweep.content, station.content):
                yield Problem(file, *conflict)


def _station_conflicts(station: Parsed[StationConfig], file: str) -> Iterator[Problem]:
    for check in STATION_CHECKS:
        if check.sections <= station.sound:
            for conflict in check.find(station.content):
                yield Problem(file, *conflict)

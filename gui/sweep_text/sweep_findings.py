"""What the check says of a sweep's text, and which of its fields each finding belongs to."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.configuration.config import load_texts
from acquisition.configuration.config_error import ConfigError, Problem
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.configuration.toml_file import parse_toml
from acquisition.planning.check import CheckResult, summarise
from gui.sweep_text.toml_text import Place, value_at

__all__ = ["StationText", "Verdict", "field_of", "judge", "places_of"]

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class StationText:
    """A station file's text and where its relative paths start."""

    text: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """Either what the sweep would do, or why it can't be run."""

    problems: tuple[Problem, ...] = ()
    result: CheckResult | None = None


def judge(text: str, folder: Path, station: StationText | None) -> Verdict:
    """Check the text as the command line would a file in that folder.

    station: of the engine; without one the sweep's own is read.
    """
    try:
        found = station or _named_station(text, folder)
        configuration = load_texts(text, found.text, folder=folder, station_folder=found.folder)
        return Verdict(result=summarise(configuration))
    except ConfigError as error:
        return Verdict(error.problems)


def _named_station(text: str, folder: Path) -> StationText:
    """Return the station that the sweep names. Raises ConfigError with every other mistake too."""
    sweep = parse_toml(text, SweepConfig, file="sweep", folder=folder)
    path = sweep.content.sweep.station if "sweep" in sweep.sound else None
    try:
        if path is not None:
            return StationText(path.read_text(encoding="utf-8"), path.parent)
        found, allowed = "nothing", "a station file here, or a connected engine"
    except (OSError, UnicodeDecodeError) as error:
        found, allowed = f"{path}: {error}", "an existing, readable station file"
    missing = [Problem("sweep", "sweep.station", found, allowed)]
    raise ConfigError([*sweep.problems, *(missing if "sweep" in sweep.sound else [])])


def places_of(key: str, document: Mapping[str, Any] | None) -> tuple[Place, ...]:
    """Return where in the file a finding's key points; several where an axis is there twice."""
    if document is None:
        return ((),)
    places: list[Place] = [()]
    for name, entry in _STEP.findall(key):
        if name:
            places = [(*place, name) for place in places]
        else:
            places = [inner for place in places for inner in _entries(document, place, entry)]
    return tuple(places)


def _entries(document: Mapping[str, Any], place: Place, entry: str) -> Iterator[Place]:
    """A list's entries are named by their quantity or counted from 1; a single section is meant
    by its first row."""
    node = value_at(document, place)
    if not isinstance(node, list):
        yield place
        return
    named = [
        index
        for index, item in enumerate(node)
        if isinstance(item, Mapping) and item.get("quantity") == entry
    ]
    if not named and entry.isdigit():
        named = [int(entry) - 1]
    for index in named:
        yield (*place, index)


def field_of(place: Place, fields: Sequence[Place]) -> Place:
    """Return the field or section nearest to a place: the longest that the place lies in, () if
    there is none."""
    around = [field for field in fields if place[: len(field)] == field]
    return max(around, key=len, default=())

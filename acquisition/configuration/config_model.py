"""What every section of a station or sweep file has in common."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from acquisition.configuration.quantity import Positive, key_of
from acquisition.configuration.refusal import refusal

__all__ = ["ConfigModel", "ExistingFile", "LocalPath", "OneOrMore", "Zone", "at_temperature"]


class ConfigModel(BaseModel):
    """A frozen section; keys that it does not know are mistakes.

    independent_entries: keys of lists whose entries make sense without each other.
    """

    independent_entries: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=key_of, allow_inf_nan=False
    )


class Zone(ConfigModel):
    """One row of a table over temperature: holds up to and including this temperature."""

    up_to_K: Positive = inf


ZoneT = TypeVar("ZoneT", bound=Zone)


def at_temperature(zones: Sequence[ZoneT], temperature_K: float | None) -> ZoneT:
    """Return the first zone that holds at this temperature; the last one where none is swept."""
    if temperature_K is None:
        return zones[-1]
    return next((zone for zone in zones if temperature_K <= zone.up_to_K), zones[-1])


def _zones_in_order(zones: tuple[ZoneT, ...]) -> tuple[ZoneT, ...]:
    ends = [zone.up_to_K for zone in zones]
    if sorted(set(ends)) != ends or ends[-1:] != [inf]:
        found = ", ".join("none" if end == inf else f"{end:g} K" for end in ends)
        raise refusal("up_to rising from row to row, and none in the last", found)
    return zones


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


# A table over temperature; `[exposure]` alone is a table of one row.
OneOrMore = Annotated[tuple[ZoneT, ...], BeforeValidator(_as_list), AfterValidator(_zones_in_order)]


def _beside_its_file(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise refusal("an existing file", str(path))
    return path


# Relative paths start at the folder of the file in which they are written.
LocalPath = Annotated[Path, AfterValidator(_beside_its_file)]
ExistingFile = Annotated[LocalPath, AfterValidator(_existing)]

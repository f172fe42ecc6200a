"""Levels that must hold at all times; checked as levels, before every action, never as edges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf

from drivers.roles import Reading

__all__ = ["Consequence", "Interlock", "Trip", "first_trip"]


class Consequence(Enum):
    """What a trip does beyond ending the run in the safe state."""

    STOP = "stop"  # heater holds
    STOP_AND_HEATER_OFF = "stop and heater off"  # sensor fault, over-temperature


@dataclass(frozen=True, slots=True)
class Interlock:
    """A channel, the band it must stay in, and how old its reading may be."""

    channel: str
    low: float = -inf
    high: float = inf
    max_age_s: float = inf
    consequence: Consequence = Consequence.STOP


@dataclass(frozen=True, slots=True)
class Trip:
    """An interlock that does not hold, why, and what that does."""

    interlock: Interlock
    reason: str
    consequence: Consequence = Consequence.STOP


def first_trip(
    interlocks: Iterable[Interlock],
    latest: Mapping[str, Reading],
    now: float,
    *,
    since_s: float = -inf,
) -> Trip | None:
    """Return the first interlock that does not hold, None if all do.

    A missing or stale reading, NaN and a flagged reading are trips. One that is missing or stale
    only stops: a controller that can't be reached regulates on by itself.
    since_s: when reading began; until then a missing reading is as old as the time since.
    """
    for interlock in interlocks:
        reading = latest.get(interlock.channel)
        if reason := _absence(interlock, reading, now, since_s):
            return Trip(interlock, f"{interlock.channel}: {reason}")
        if reading is not None and (reason := _violation(interlock, reading)):
            return Trip(interlock, f"{interlock.channel}: {reason}", interlock.consequence)
    return None


def _absence(interlock: Interlock, reading: Reading | None, now: float, since_s: float) -> str:
    if reading is None:
        return "" if now - since_s <= interlock.max_age_s < inf else "no reading yet"
    if not now - reading.time_s <= interlock.max_age_s:
        return f"last reading {now - reading.time_s:.1f} s old, allowed {interlock.max_age_s:.1f} s"
    return ""


def _violation(interlock: Interlock, reading: Reading) -> str:
    if not reading.is_good:
        return f"{reading.value} {reading.unit}, {reading.status.value} {reading.note}".strip()
    if not interlock.low <= reading.value <= interlock.high:
        return (
            f"{reading.value:.6g} {reading.unit} is outside "
            f"{interlock.low:.6g} to {interlock.high:.6g}"
        )
    return ""

"""Values that no garbled digit falsifies, from lines without a checksum.

On RS-232 a digit may arrive as another one, and no reply can be told from a true one by its form.
So what is stored, or decides something, is looked at twice; where the two differ a third look
decides: the middle one of three is right unless two of them are wrong. A value that moves by itself
costs that third look, and nothing else.

An instrument that takes several questions in one message is asked twice in one (Line.ask_twice,
Line.ask_both): a few more bytes instead of another round trip.
"""

from collections.abc import Callable, Mapping
from math import isclose
from types import MappingProxyType
from typing import TypeVar

from drivers.errors import ReplyError
from drivers.roles import Reading, Setting

__all__ = ["confirmed_number", "confirmed_readings", "confirmed_settings"]

Number = TypeVar("Number", int, float)
SAME = 2e-3  # of a value; what differs by less is noise
# or by so much, near zero
SLACK: Mapping[str, float] = MappingProxyType({"K": 0.02, "%": 0.5, "deg": 0.01, "nm": 0.002})
LOOKS = 4


def confirmed_number(look: Callable[[], Number]) -> Number:
    """Return a number that was read twice, or the middle one of three."""
    first, second = look(), look()
    return second if first == second else sorted((first, second, look()))[1]


def confirmed_readings(look: Callable[[], Mapping[str, Reading]]) -> Mapping[str, Reading]:
    """Return readings that were taken twice, or the middle ones of three. Raises DeviceError."""
    first, second = look(), look()
    if all(_agree(first.get(channel), reading) for channel, reading in second.items()):
        return second
    third = look()
    return {
        channel: _middle([taken[channel] for taken in (first, second, third) if channel in taken])
        for channel in third
    }


def confirmed_settings(
    device: str, look: Callable[[], Mapping[str, Setting]]
) -> Mapping[str, Setting]:
    """Return settings that were read alike twice in a row. Raises ReplyError, DeviceError."""
    before = look()
    for _ in range(LOOKS - 1):
        found = look()
        different = [key for key in found if not _is_same(before.get(key), found[key])]
        if not different:
            return found
        before = found
    raise ReplyError(device, f"{', '.join(different)}: never read alike twice in {LOOKS} times")


def _agree(one: Reading | None, other: Reading) -> bool:
    if one is None or one.is_good != other.is_good:
        return False
    return not one.is_good or isclose(
        one.value, other.value, rel_tol=SAME, abs_tol=SLACK.get(one.unit, 0.0)
    )


def _middle(taken: list[Reading]) -> Reading:
    """Return the reading in the middle of those whose kind, good or not, is the more frequent."""
    good = [reading for reading in taken if reading.is_good]
    if 2 * len(good) <= len(taken):
        return next(reading for reading in reversed(taken) if not reading.is_good)
    return sorted(good, key=lambda reading: reading.value)[len(good) // 2]


def _is_same(one: Setting | None, other: Setting) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=SAME, abs_tol=1e-12)
    return one == other

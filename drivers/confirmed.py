"""Values that no garbled digit falsifies, from lines without a checksum.

On RS-232 a digit may arrive as another one, and no reply can be told from a true one by its form.
So what is stored, or decides something, is looked at until two looks agree: two, unless one was
garbled or the value moves by itself. Only the same wrong digit at the same place in two replies
could pass.

An instrument that takes several questions in one message is asked twice in one (Line.ask_twice,
Line.ask_both): a few more bytes instead of another round trip.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
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
LOOKS = 5


def confirmed_number(device: str, look: Callable[[], Number], slack: float = 0.0) -> Number:
    """Return the first number that was read twice within the slack. Raises ReplyError if none."""
    seen: list[Number] = []
    for _ in range(LOOKS):
        found = look()
        if any(abs(found - old) <= slack for old in seen):
            return found
        seen.append(found)
    raise ReplyError(device, f"no two of {seen} agree")


def confirmed_readings(
    device: str, look: Callable[[], Mapping[str, Reading]]
) -> Mapping[str, Reading]:
    """Return for each channel the first reading that agrees with an earlier one.

    Where none does, but all rise or all fall, the value runs, and the last one is returned. Raises
    ReplyError where they do neither, and what looking raises.
    """
    seen: list[Mapping[str, Reading]] = []
    sure: dict[str, Reading] = {}
    for _ in range(LOOKS):
        found = look()
        for channel, reading in found.items():
            if channel not in sure and any(_agree(old.get(channel), reading) for old in seen):
                sure[channel] = reading
        if found.keys() <= sure.keys():
            return {channel: sure[channel] for channel in found}
        seen.append(found)
    running = {
        channel: _end_of_run(device, channel, [old[channel] for old in seen if channel in old])
        for channel in found.keys() - sure.keys()
    }
    return {**sure, **running}


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


def _end_of_run(device: str, channel: str, taken: list[Reading]) -> Reading:
    values = [reading.value for reading in taken]
    steps = [after - before for before, after in pairwise(values)]
    if all(step > 0 for step in steps) or all(step < 0 for step in steps):
        return taken[-1]
    raise ReplyError(device, f"{channel}: no two of {values} agree")


def _is_same(one: Setting | None, other: Setting) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=SAME, abs_tol=1e-12)
    return one == other

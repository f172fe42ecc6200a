"""The values of an axis, however they are written.

A list:      [5.5, 10, 20] or ["5.5 K", "10 K"]
A range:     {start = -100, stop = 100, step = 10}
Segments:    "5.5, 10..100 step 10, 105..170 step 5"
A number:    5, for an axis that only counts
"""

import re
from collections import Counter
from collections.abc import Iterable
from math import ceil, isfinite, log10

from acquisition.configuration.quantity import parse_quantity
from acquisition.configuration.refusal import refusal

__all__ = ["read_points"]

LONGEST_AXIS = 100_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SEGMENT = re.compile(rf"\s*({_NUMBER})\s*(?:\.\.\s*({_NUMBER})\s+step\s+({_NUMBER})\s*)?")
_FORMS = (
    'a list, a range {start, stop, step}, or segments such as "5.5, 10..100 step 10"; '
    "plain numbers are in the unit of the axis"
)


def read_points(written: object, unit: str) -> tuple[float, ...]:
    """Return the values in that unit, in the order in which they are written.

    Raises a refusal for every other form, an empty axis, a value that is not finite or
    occurs twice, and a step that misses the end.
    """
    values = tuple(value + 0.0 for value in _values(written, unit))  # -0.0 becomes 0.0
    if not values:
        raise refusal("at least one value")
    if len(values) > LONGEST_AXIS:
        raise refusal(f"at most {LONGEST_AXIS} values")
    if not all(isfinite(value) for value in values):
        raise refusal("finite values only")
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise refusal(f"every value once, but {twice[0]:g} occurs twice: repeat by a repeat axis")
    return values


def _values(written: object, unit: str) -> Iterable[float]:
    match written:
        case bool():
            raise refusal(_FORMS)
        case int() if unit == "":
            if written > LONGEST_AXIS:  # never counted out: 10^9 of them fill the memory
                raise refusal(f"at most {LONGEST_AXIS} values")
            return (float(index) for index in range(written))
        case str():
            return _segments(written)
        case list() | tuple():
            return [_value(entry, unit) for entry in written]
        case {"start": start, "stop": stop, "step": step, **rest} if not rest:
            return _range(_value(start, unit), _value(stop, unit), _value(step, unit))
        case _:
            raise refusal(_FORMS)


def _value(written: object, unit: str) -> float:
    if isinstance(written, int | float) and not isinstance(written, bool):
        return float(written)
    return parse_quantity(written, unit)


def _segments(text: str) -> Iterable[float]:
    for segment in text.split(","):
        match = _SEGMENT.fullmatch(segment)
        if match is None:
            raise refusal(_FORMS)
        first, last, step = match.groups()
        if last is None:
            yield float(first)
        else:
            yield from _range(float(first), float(last), float(step))


def _range(start: float, stop: float, step: float) -> Iterable[float]:
    if not all(isfinite(value) for value in (start, stop, step)):
        raise refusal("finite values only")
    steps = (stop - start) / step if step else -1.0
    if steps < 0 or steps > LONGEST_AXIS:
        raise refusal(
            f"a step that leads from {start:g} to {stop:g} in at most {LONGEST_AXIS} steps"
        )
    if abs(steps - round(steps)) > 1e-6:
        raise refusal(f"a step that ends at {stop:g}: {step:g} from {start:g} does not")
    # 3 * 0.1 is 0.30000000000000004, and -0.3 + 3 * 0.1 is not quite 0
    decimals = 12 - ceil(log10(max(abs(start), abs(stop), abs(step))))
    return (round(start + index * step, decimals) for index in range(round(steps) + 1))

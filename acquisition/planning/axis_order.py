"""The order in which one pass through an axis takes its values."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from acquisition.configuration.axis_config import AxisConfig, Order

__all__ = ["Step", "pass_through"]


@dataclass(frozen=True, slots=True)
class Step:
    """One value of a pass. A check repeats a value only to see whether anything drifted."""

    value: float
    is_check: bool = False


def pass_through(axis: AxisConfig, number: int, seed: int) -> list[list[Step]]:
    """Return the steps of the pass with that number, in stretches that belong together.

    Every value of the axis occurs once, besides checks. A pass is one stretch, except that each
    amplitude of a return-to-zero order is one: 0, +a, 0, -a (and the last 0 of the pass).
    """
    if axis.order is Order.RETURN_TO_ZERO:
        return _return_to_zero(axis.points)
    steps = [Step(value) for value in _ordered(axis, number, seed)]
    if axis.repeats_first:
        steps.append(Step(steps[0].value, is_check=True))
    return [steps]


def _ordered(axis: AxisConfig, number: int, seed: int) -> Sequence[float]:
    up = sorted(axis.points)
    match axis.order:
        case Order.DOWN:
            return up[::-1]
        case Order.SNAKE:
            return up if number % 2 == 0 else up[::-1]
        case Order.INTERLEAVED:
            return up[::2] + up[1::2]
        case Order.RANDOM:
            return _shuffled(axis, up, random.Random(f"{seed} {axis.quantity.value} {number}"))  # noqa: S311
        case _:
            return up


def _shuffled(axis: AxisConfig, up: list[float], chance: random.Random) -> list[float]:
    """Shuffle; where the first value comes again at the end, that is 0 if the axis has it."""
    first = [0.0 if 0.0 in up else up[0]] if axis.repeats_first else []
    rest = [value for value in up if value not in first]
    chance.shuffle(rest)
    return first + rest


def _return_to_zero(points: Sequence[float]) -> list[list[Step]]:
    present = set(points)
    amplitudes = sorted({abs(value) for value in points} - {0.0}) or [0.0]
    stretches: list[list[Step]] = []
    for amplitude in amplitudes:
        steps: list[Step] = []
        for value in sorted({amplitude, -amplitude} & present - {0.0}, reverse=True):
            steps += [Step(0.0, is_check=True), Step(value)]
        stretches.append(steps)
    if 0.0 in present:
        stretches[0][:1] = [Step(0.0)]
    if amplitudes != [0.0]:
        stretches[-1].append(Step(0.0, is_check=True))
    return stretches

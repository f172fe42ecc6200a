"""What commands of a Lake Shore 33x are made of: handlers, numbers, and the unit's settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Entry", "Handler", "LakeShoreSettings", "integer", "number"]

Handler = Callable[..., str | None]
Entry = tuple[Handler, int, int]  # handler, fewest and most parameters


@dataclass(frozen=True, slots=True)
class LakeShoreSettings:
    """What differs from unit to unit, and what is disputed about them.

    setpoint_query: whether SETP? during a ramp returns the target or the working setpoint.
    setpoint_update_s: for that long after SETP the old value is still returned.
    min_gap_s: a message that comes sooner than this after the last command or reply is lost
        (the manual asks for 50 ms); 0 loses none.
    """

    serial: str = "LSA24K7"
    option_serial: str = "2136045"
    firmware: str = "2.9"
    reply_s: float = 0.004
    boot_s: float = 8.0
    setpoint_query: Literal["target", "working"] = "target"
    setpoint_update_s: float = 0.0
    min_gap_s: float = 0.0
    setpoint_limit_K: float = 400.0
    sensor_range_K: tuple[float, float] = (1.4, 420.0)
    proportional: float = 10.0  # PID as its user tuned it to the simulated cryostat
    integral: float = 50.0
    derivative: float = 0.0
    max_current_code: int = 4  # 2 A: 100 W in 25 ohm


def number(text: str, low: float, high: float) -> float:
    """Return the number; ValueError when it is none, not finite or out of bounds."""
    value = float(text)
    if "_" in text or not low <= value <= high:
        raise ValueError(f"{text} is outside {low}..{high}")
    return value


def integer(text: str, low: int, high: int) -> int:
    """Return the whole part of the number; ValueError as above."""
    return int(number(text, low, high))

"""Lake Shore 336: temperature controller."""

from dataclasses import dataclass
from math import inf

__all__ = ["LakeShore336Config"]


@dataclass(frozen=True, slots=True)
class LakeShore336Config:
    """What the station says about the controller.

    heater_ranges: (highest setpoint in K, heater range 1 low, 2 medium, 3 high), ascending; the
    last one reaches as far as the limit. ramp_K_per_min 0 sends setpoints without a ramp.
    temperature_limit_K and heater_on_after_power_up are written only by `apply_protection`.
    """

    serial: str = ""  # refuse any other instrument; empty: take whichever answers
    pacing_s: float = 0.05  # Lake Shore asks for 50 ms between messages
    timeout_s: float = 0.5
    control_input: str = "A"
    sample_input: str = "B"
    output: int = 1
    max_temperature_K: float = 325.0
    ramp_K_per_min: float = 0.0  # 0.1 to 100
    heater_ranges: tuple[tuple[float, int], ...] = ((10.0, 1), (40.0, 2), (inf, 3))
    temperature_limit_K: float | None = None
    heater_on_after_power_up: bool | None = None

"""One control output of a Lake Shore 336 as its firmware regulates it: setpoint ramp and PID.

The output is a percentage of full scale of the range in force; what that is in watts, the core
knows.
Source: Model 336 manual, chapter 2 (control equation, tuning) and 4.5 (ramping).
"""

from dataclasses import dataclass
from enum import IntEnum
from math import copysign

__all__ = ["ControlLoop", "Mode"]


class Mode(IntEnum):
    """Second field of OUTMODE."""

    OFF = 0
    CLOSED_LOOP = 1
    ZONE = 2
    OPEN_LOOP = 3
    MONITOR_OUT = 4
    WARMUP = 5


@dataclass(slots=True)
class ControlLoop:
    """Settings and state of one output.

    The setpoint moves from `start_K` at `start_s` towards `target_K` while ramping is on.
    """

    target_K: float
    proportional: float = 50.0
    integral: float = 20.0
    derivative: float = 0.0
    mode: Mode = Mode.OFF
    input: int = 0  # 0 none, 1-4 = A-D
    stays_on_at_power_up: bool = False
    heater_range: int = 0
    manual_percent: float = 0.0
    ramp_on: bool = False
    ramp_rate_K_per_min: float = 0.0
    start_K: float = 0.0
    start_s: float = 0.0
    is_moving: bool = False
    percent: float = 0.0
    integral_percent: float = 0.0
    last_error_K: float | None = None

    def set_target(self, target_K: float, now: float) -> None:
        """Start a ramp from the present control setpoint if ramping is on, else step."""
        self.start_K, self.start_s = self.setpoint_K(now), now
        self.target_K = target_K
        self.is_moving = self.ramp_on and self.ramp_rate_K_per_min > 0

    def set_ramp(self, is_on: bool, rate_K_per_min: float, now: float) -> None:
        """Change the ramp; by itself that moves nothing, but a ramp under way goes on or ends.

        Rate 0 is an infinite rate. Switched off on the way, the setpoint is at its target [mem].
        """
        self.start_K, self.start_s = self.setpoint_K(now), now
        self.ramp_on, self.ramp_rate_K_per_min = is_on, rate_K_per_min
        self.is_moving = self.is_moving and is_on and rate_K_per_min > 0

    def setpoint_K(self, now: float) -> float:
        """Return the setpoint that the loop regulates to at this moment."""
        if not self.is_moving:
            return self.target_K
        way_K = self.target_K - self.start_K
        moved_K = self.ramp_rate_K_per_min / 60.0 * (now - self.start_s)
        if moved_K >= abs(way_K):
            self.is_moving = False
            return self.target_K
        return self.start_K + copysign(moved_K, way_K)

    def is_ramping(self, now: float) -> bool:
        self.setpoint_K(now)
        return self.is_moving

    def regulate(self, temperature_K: float, now: float, dt: float) -> float:
        """Return the output in percent: P * (e + I/1000 * integral of e dt + D * de/dt).

        The derivative time at D = 100 % is a quarter of the integral time, 1000 s / I (Zeigler
        and Nichols, as the manual counts it). The integral stops where the output is at its end.
        """
        error_K = self.setpoint_K(now) - temperature_K
        proportional = self.proportional * error_K
        gain_per_s = self.proportional * self.integral / 1000.0
        drive = self.manual_percent + proportional
        if self.derivative > 0 and self.last_error_K is not None and dt > 0:
            time_s = self.derivative / 100.0 * 250.0 / self.integral
            drive += self.proportional * time_s * (error_K - self.last_error_K) / dt
        self.last_error_K = error_K
        integral = self.integral_percent + gain_per_s * error_K * dt
        output = drive + integral
        if 0.0 <= output <= 100.0 or (output > 100.0) != (error_K > 0):
            self.integral_percent = integral
        self.percent = min(max(output, 0.0), 100.0)
        return self.percent

    def open_loop(self) -> float:
        self.percent = self.manual_percent
        return self.percent

    def switch_off(self) -> None:
        """Range off; the integral starts afresh with the next range."""
        self.heater_range = 0
        self.percent = self.integral_percent = 0.0
        self.last_error_K = None

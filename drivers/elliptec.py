"""Thorlabs Elliptec: rotation stage ELL14 and shutter ELL6 on one bus."""

from dataclasses import dataclass

__all__ = ["ELL6Config", "ELL14Config"]


@dataclass(frozen=True, slots=True)
class ELL14Config:
    """What the station says about the rotation stage."""

    serial: str = ""
    bus_address: str = "0"  # 0 to F
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    tolerance_deg: float = 0.1  # between target and final position; repeatability 0.05 to 0.1
    move_timeout_s: float = 5.0
    home_clockwise: bool = True
    home_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ELL6Config:
    """What the station says about the shutter."""

    serial: str = ""
    bus_address: str = "1"
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    open_is_forward: bool = True  # which end of the slide lets the light through
    move_timeout_s: float = 3.0

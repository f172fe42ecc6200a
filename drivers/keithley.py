"""Keithley 2410: bias supply up to 1100 V."""

from dataclasses import dataclass

__all__ = ["Keithley2410Config"]


@dataclass(frozen=True, slots=True)
class Keithley2410Config:
    """What the station says about the supply; the sample's own limits come with BiasSettings."""

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    max_voltage_V: float = 1100.0
    integration_plc: float = 1.0  # of a measurement, in periods of the mains; 0.01 to 10

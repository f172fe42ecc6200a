"""Reading every condition back after the exposure, before a point is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from acquisition.monitors import Monitors
from acquisition.point_table import Point
from acquisition.station import Station

__all__ = ["READING_UNITS", "Tolerances", "Verifier", "Violation"]

NAN = float("nan")

READING_UNITS: Mapping[str, str] = {
    "temperature_K": "K",
    "temperature_min_K": "K",
    "temperature_max_K": "K",
    "sample_temperature_K": "K",
    "heater_percent": "%",
    "voltage_V": "V",
    "gap_voltage_V": "V",
    "current_A": "A",
    "leakage_A": "A",
    "field_kV_per_cm": "kV/cm",
    "angle_deg": "deg",
    "wavelength_nm": "nm",
    "detector_temperature_C": "degC",
    "laser_open_s": "s",
}
"""The verified conditions of every attempt, in the order in which they are stored."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far from its setpoint a condition may have been during the exposure."""

    temperature_K: float
    voltage_V: float
    angle_deg: float


@dataclass(frozen=True, slots=True)
class Violation:
    """A condition that did not hold, and the quantity to move again before a repeat."""

    quantity: str
    reason: str


class Verifier:
    """Reads the conditions of one row back and judges them against its setpoints.

    to_field_kV_per_cm: voltage across the gap -> nominal field; to_angle_deg: mechanical angle ->
    polarization angle, 0 to 360.
    """

    def __init__(
        self,
        station: Station,
        monitors: Monitors,
        tolerances: Tolerances,
        *,
        to_field_kV_per_cm: Callable[[float], float],
        to_angle_deg: Callable[[float], float],
    ) -> None:
        self._station = station
        self._monitors = monitors
        self._tolerances = tolerances
        self._to_field_kV_per_cm = to_field_kV_per_cm
        self._to_angle_deg = to_angle_deg

    def read(self, *, laser_open_s: float) -> dict[str, float]:
        """Return every reading of READING_UNITS, NaN where there is no such instrument."""
        readings = dict.fromkeys(READING_UNITS, NAN)
        readings["laser_open_s"] = laser_open_s
        self._read_cryostat(readings)
        self._read_bias(readings)
        self._read_rest(readings)
        return readings

    def violations(self, point: Point, readings: Mapping[str, float]) -> tuple[Violation, ...]:
        """Return what did not hold. NaN never holds."""
        found = []
        if point.temperature_K is not None:
            found.append(self._temperature(point.temperature_K, readings))
        if point.voltage_V is not None:
            deviation_V = readings["gap_voltage_V"] - point.voltage_V
            found.append(
                _beyond("bias", "gap voltage", deviation_V, self._tolerances.voltage_V, "V")
            )
        if point.angle_deg is not None:
            turned_deg = (readings["angle_deg"] - point.angle_deg + 180.0) % 360.0 - 180.0
            found.append(
                _beyond("polarization", "angle", turned_deg, self._tolerances.angle_deg, "deg")
            )
        return tuple(violation for violation in found if violation is not None)

    def _temperature(self, setpoint_K: float, readings: Mapping[str, float]) -> Violation | None:
        tolerance_K = self._tolerances.temperature_K
        for channel in ("temperature_K", "temperature_min_K", "temperature_max_K"):
            violation = _beyond(
                "temperature", channel, readings[channel] - setpoint_K, tolerance_K, "K"
            )
            if violation is not None:
                return violation
        return None

    def _read_cryostat(self, readings: dict[str, float]) -> None:
        if self._station.cryostat is None:
            return
        reading = self._station.cryostat.read_temperature()
        temperature_K = reading.value if reading.is_good else NAN
        low_K, high_K = self._monitors.extremes("temperature_K")
        readings["temperature_K"] = temperature_K
        readings["temperature_min_K"] = min(low_K, temperature_K)
        readings["temperature_max_K"] = max(high_K, temperature_K)
        for channel in ("sample_temperature_K", "heater_percent"):
            readings[channel] = self._monitors.value(channel)

    def _read_bias(self, readings: dict[str, float]) -> None:
        if self._station.bias is None:
            return
        status = self._station.bias.measure()
        readings["voltage_V"] = status.voltage_V
        readings["gap_voltage_V"] = status.gap_voltage_V
        readings["current_A"] = status.current_A
        readings["leakage_A"] = status.leakage_A
        readings["field_kV_per_cm"] = self._to_field_kV_per_cm(status.gap_voltage_V)

    def _read_rest(self, readings: dict[str, float]) -> None:
        if self._station.polarizer is not None:
            reading = self._station.polarizer.read()["angle_deg"]
            readings["angle_deg"] = self._to_angle_deg(reading.value) if reading.is_good else NAN
        readings["wavelength_nm"] = self._monitors.value("wavelength_nm")
        readings["detector_temperature_C"] = self._monitors.value("detector_temperature_C")


def _beyond(
    quantity: str, what: str, deviation: float, tolerance: float, unit: str
) -> Violation | None:
    if abs(deviation) <= tolerance:
        return None
    return Violation(
        quantity, f"{what} is off by {deviation:.4g} {unit}, allowed {tolerance:.4g} {unit}"
    )

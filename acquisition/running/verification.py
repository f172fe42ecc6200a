"""Reading every condition back after the exposure, before a point is stored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan

from acquisition.instruments.monitors import Monitors
from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointKind
from drivers.roles import Reading

__all__ = [
    "READING_UNITS",
    "Tolerances",
    "Verifier",
    "Violation",
    "read_units",
    "reading_units",
]

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
    "grating": "",
    "shutter_open": "",
    "detector_temperature_C": "degC",
    "laser_open_s": "s",
}
"""The verified conditions of every attempt, in the order in which they are stored."""

_READ_FROM: Mapping[str, str] = {
    "temperature_K": "cryostat",
    "temperature_min_K": "cryostat",
    "temperature_max_K": "cryostat",
    "sample_temperature_K": "cryostat",
    "heater_percent": "cryostat",
    "voltage_V": "bias",
    "gap_voltage_V": "bias",
    "current_A": "bias",
    "leakage_A": "bias",
    "field_kV_per_cm": "bias",
    "angle_deg": "polarizer",
    "wavelength_nm": "spectrograph",
    "grating": "spectrograph",
    "shutter_open": "shutter",
    "laser_open_s": "shutter",
}

MONITORED_UNITS: Mapping[str, tuple[str, str]] = {
    "gauge": ("pressure_mbar", "mbar"),
    "power_meter": ("laser_power_W", "W"),
}
"""Further readings where the station has the instrument: its latest, flagged ones as NaN."""


def reading_units(station: object) -> dict[str, str]:
    """Return the readings of a station, open or as configured, with their units."""
    further = dict(
        reading
        for role, reading in MONITORED_UNITS.items()
        if getattr(station, role, None) is not None
    )
    return {**READING_UNITS, **further}


def read_units(station: object) -> dict[str, str]:
    """Return those of the readings that come from an instrument which the station has."""
    return {
        channel: unit
        for channel, unit in reading_units(station).items()
        if getattr(station, _READ_FROM.get(channel, "camera"), None) is not None
    }


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far from its setpoint a condition may have been during the exposure."""

    temperature_K: float
    voltage_V: float
    angle_deg: float
    wavelength_nm: float = 0.1


@dataclass(frozen=True, slots=True)
class Violation:
    """A condition that did not hold, and the quantity to move again before a repeat."""

    quantity: str
    reason: str


class Verifier:
    """Reads the conditions of one row back and judges them against its setpoints.

    to_field_kV_per_cm: voltage across the gap -> nominal field; to_angle_deg: mechanical angle ->
    polarization angle, 0 to 360. channels: which readings the run keeps, fixed when it began;
    those of the station by default.
    """

    def __init__(
        self,
        station: Station,
        monitors: Monitors,
        tolerances: Tolerances,
        *,
        to_field_kV_per_cm: Callable[[float], float],
        to_angle_deg: Callable[[float], float],
        channels: Iterable[str] | None = None,
    ) -> None:
        self._station = station
        self._monitors = monitors
        self._tolerances = tolerances
        self._to_field_kV_per_cm = to_field_kV_per_cm
        self._to_angle_deg = to_angle_deg
        self._channels = tuple(reading_units(station) if channels is None else channels)

    def read_angle(self) -> dict[str, float]:
        """Return what must be read before the stage may turn on to the next row."""
        polarizer = self._station.polarizer
        if polarizer is None:
            return {}
        return {"angle_deg": self._to_angle_deg(_good(polarizer.read(), "angle_deg"))}

    def read(self, point: Point) -> dict[str, float]:
        """Return every other reading that the run keeps, NaN where nothing is known.

        laser_open_s is left to whoever exposes.
        """
        readings = dict.fromkeys(self._channels, NAN)
        self._read_cryostat(readings)
        self._read_bias(readings)
        self._read_optics(point, readings)
        for channel in ("detector_temperature_C", *(readings.keys() - READING_UNITS.keys())):
            readings[channel] = self._monitors.value(channel)
        return readings

    def angle_holds(self, point: Point, readings: Mapping[str, float]) -> bool:
        """Return whether the angle is the row's. NaN never is."""
        return point.angle_deg is None or self._angle(point.angle_deg, readings) is None

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
            found.append(self._angle(point.angle_deg, readings))
        if self._station.spectrograph is not None:
            found += self._spectrograph(point, readings)
        if self._station.shutter is not None and point.kind is not PointKind.SAMPLE:
            found.append(_beyond("shutter", "laser shutter", readings["shutter_open"], 0.0, ""))
        return tuple(violation for violation in found if violation is not None)

    def read_shutter(self, point: Point) -> dict[str, float]:
        """Return the laser shutter after a row with light; for the others it was read before."""
        if self._station.shutter is None or point.kind is not PointKind.SAMPLE:
            return {}
        return {"shutter_open": _good(self._station.shutter.read(), "is_open")}

    def light_leaks(self, after: Mapping[str, float]) -> tuple[Violation, ...]:
        """Return whether the laser shutter, closed after a row with light, was read otherwise."""
        if "shutter_open" not in after:
            return ()
        is_open = after["shutter_open"]
        leak = _beyond("shutter", "laser shutter after the exposure", is_open, 0.0, "")
        return () if leak is None else (leak,)

    def _temperature(self, setpoint_K: float, readings: Mapping[str, float]) -> Violation | None:
        tolerance_K = self._tolerances.temperature_K
        for channel in ("temperature_K", "temperature_min_K", "temperature_max_K"):
            violation = _beyond(
                "temperature", channel, readings[channel] - setpoint_K, tolerance_K, "K"
            )
            if violation is not None:
                return violation
        return None

    def _angle(self, angle_deg: float, readings: Mapping[str, float]) -> Violation | None:
        turned_deg = (readings["angle_deg"] - angle_deg + 180.0) % 360.0 - 180.0
        return _beyond("polarization", "angle", turned_deg, self._tolerances.angle_deg, "deg")

    def _spectrograph(
        self, point: Point, readings: Mapping[str, float]
    ) -> tuple[Violation | None, ...]:
        off_nm = readings["wavelength_nm"] - point.centre_nm
        tolerance_nm = self._tolerances.wavelength_nm
        return (
            _beyond("spectrograph", "centre wavelength", off_nm, tolerance_nm, "nm"),
            _beyond("spectrograph", "grating", readings["grating"] - point.grating, 0.0, "places"),
        )

    def _read_cryostat(self, readings: dict[str, float]) -> None:
        if self._station.cryostat is None:
            return
        reading = self._station.cryostat.read_temperature()
        temperature_K = reading.value if reading.is_good else NAN
        low_K, high_K = self._monitors.extremes("temperature_K")
        is_known = not any(map(isnan, (low_K, high_K, temperature_K)))
        readings["temperature_K"] = temperature_K
        readings["temperature_min_K"] = min(low_K, temperature_K) if is_known else NAN
        readings["temperature_max_K"] = max(high_K, temperature_K) if is_known else NAN
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

    def _read_optics(self, point: Point, readings: dict[str, float]) -> None:
        station = self._station
        if station.spectrograph is not None:
            found = station.spectrograph.read()
            readings["wavelength_nm"] = _good(found, "wavelength_nm")
            readings["grating"] = _good(found, "grating")
        if station.shutter is not None and point.kind is not PointKind.SAMPLE:
            readings["shutter_open"] = _good(station.shutter.read(), "is_open")


def _good(readings: Mapping[str, Reading], channel: str) -> float:
    """Return a value, NaN if the instrument did not say or does not trust it."""
    reading = readings.get(channel)
    return reading.value if reading is not None and reading.is_good else NAN


def _beyond(
    quantity: str, what: str, deviation: float, tolerance: float, unit: str
) -> Violation | None:
    if abs(deviation) <= tolerance:
        return None
    return Violation(
        quantity, f"{what} is off by {deviation:.4g} {unit}, allowed {tolerance:.4g} {unit}"
    )

"""The inputs of a Lake Shore 33x: sensors, their readings and flags, over-temperature limits."""

import math
from typing import Final

from simulators.lakeshore_command import Entry, LakeShoreSettings, integer, number
from simulators.lakeshore_unit import LakeShoreUnit
from simulators.world import World

__all__ = [
    "INPUTS",
    "ReadingFlag",
    "SensorInputs",
    "sensor_ohm",
    "sensor_temperature_K",
    "six_digits",
]

INPUTS: Final = "ABCD"
ZERO_CELSIUS_K: Final = 273.15
INITIAL_TYPE: Final = {"A": "3,1,0,1,1", "B": "3,1,0,1,1", "C": "3,1,0,1,1", "D": "0,0,0,0,1"}
INITIAL_NAME: Final = {"A": "Cold finger", "B": "Sample", "C": "Cold stage", "D": "Input D"}

# Cernox-like: falls monotonically from about 50 kohm at 1.4 K to some 60 ohm at 300 K.
SENSOR_OHM_AT_1_K: Final = 7.4e4
SENSOR_POWER: Final = -1.25


class ReadingFlag:
    """Bits of RDGST?."""

    INVALID, UNDER_RANGE, OVER_RANGE, UNITS_ZERO, UNITS_OVER_RANGE = 1, 16, 32, 64, 128


def sensor_ohm(temperature_K: float) -> float:
    """Return the resistance of the simulated sensors."""
    return SENSOR_OHM_AT_1_K * math.pow(max(temperature_K, 0.01), SENSOR_POWER)


def sensor_temperature_K(resistance_ohm: float) -> float:
    """Return the temperature at which the simulated sensors have this resistance."""
    return math.pow(resistance_ohm / SENSOR_OHM_AT_1_K, 1.0 / SENSOR_POWER)


def six_digits(value: float) -> str:
    """Return a sign, six digits and the point where the size of the value leaves it."""
    whole = len(str(int(abs(value))))
    return f"{value:+08.{max(6 - whole, 0)}f}"[:8]


class SensorInputs:
    """Inputs A cold finger, B sample, C cold stage of the World; D is not connected.

    A unit with fewer inputs has the first of them.

    forced_status: flags that a test adds to RDGST?.
    """

    def __init__(self, world: World, settings: LakeShoreSettings, unit: LakeShoreUnit) -> None:
        self._letters = unit.inputs
        self._reads_all = unit.reads_all_inputs
        self._cryostat = world.cryostat
        self._range_K = settings.sensor_range_K
        sensors_K = (
            world.cryostat.control_sensor_K,
            world.cryostat.sample_sensor_K,
            world.cryostat.cold_stage_K,
        )
        self._sensors_K = dict(zip(unit.inputs, sensors_K, strict=False))
        self.forced_status = dict.fromkeys(unit.inputs, 0)
        self._type = {letter: INITIAL_TYPE[letter] for letter in unit.inputs}
        self._name = {letter: INITIAL_NAME[letter] for letter in unit.inputs}
        self._curve = dict.fromkeys(unit.inputs, 21)
        self._limit_K = dict.fromkeys(unit.inputs, 0.0)
        self._limited: list[tuple[str, float]] = []

    def commands(self) -> dict[str, Entry]:
        return {
            "KRDG?": (self._kelvin, 1, 1),
            "CRDG?": (self._celsius, 1, 1),
            "SRDG?": (self._sensor_units, 1, 1),
            "TEMP?": (lambda: "+296.150", 0, 0),
            "RDGST?": (lambda channel: f"{self.read(self._checked(channel))[1]:03d}", 1, 1),
            "ALARMST?": (lambda channel: "0,0" if self._checked(channel) else None, 1, 1),
            "ALMRST": (lambda: None, 0, 0),
            "MNMXRST": (lambda: None, 0, 0),
            "MDAT?": (lambda channel: ",".join([self._kelvin(channel)] * 2), 1, 1),
            "TLIMIT": (self._set_limit, 2, 2),
            "TLIMIT?": (lambda channel: f"{self._limit_K[self._checked(channel)]:+05.0f}", 1, 1),
            "INTYPE": (self._set_type, 6, 6),
            "INTYPE?": (lambda channel: self._type[self._checked(channel)], 1, 1),
            "INNAME": (self._set_name, 2, 2),
            "INNAME?": (lambda channel: f"{self._name[self._checked(channel)]:<15}", 1, 1),
            "INCRV": (self._set_curve, 2, 2),
            "INCRV?": (lambda channel: f"{self._curve[self._checked(channel)]:02d}", 1, 1),
            "CRVHDR?": (self._curve_header, 1, 1),
        }

    def read(self, channel: str) -> tuple[float, int]:
        """Return temperature in K and reading status; a reading with a flag is 0."""
        status = self.forced_status[channel]
        if channel not in self._sensors_K or self._type[channel][0] == "0":
            return 0.0, status | ReadingFlag.INVALID
        if channel == "A" and self._cryostat.sensor_open:
            return 0.0, status | ReadingFlag.UNITS_OVER_RANGE
        temperature_K = self._sensors_K[channel]()
        low_K, high_K = self._range_K
        if temperature_K > high_K:
            status |= ReadingFlag.OVER_RANGE
        elif temperature_K < low_K:
            status |= ReadingFlag.UNDER_RANGE
        return (0.0 if status else temperature_K), status

    def is_over_limit(self) -> bool:
        """Return whether an input is above its TLIMIT."""
        return any(self.read(channel)[0] > limit_K for channel, limit_K in self._limited)

    def is_overloaded(self) -> bool:
        """Return whether a connected sensor is out of range."""
        return any(self.read(channel)[1] & ~ReadingFlag.INVALID for channel in self._sensors_K)

    def from_preferred(self, value: float, channel: str) -> float:
        """Return in K what is given in the preferred units of an input."""
        units = self._units(channel)
        if units == "2":
            return value + ZERO_CELSIUS_K
        return sensor_temperature_K(value) if units == "3" and value > 0 else value

    def in_preferred(self, temperature_K: float, channel: str) -> str:
        """Return a temperature in the preferred units of an input."""
        units = self._units(channel)
        if units == "2":
            return f"{temperature_K - ZERO_CELSIUS_K:+08.3f}"
        return six_digits(sensor_ohm(temperature_K)) if units == "3" else f"{temperature_K:+08.3f}"

    def _units(self, channel: str) -> str:
        """Return the last field of INTYPE: 1 K, 2 C, 3 sensor; K where there is no input."""
        return self._type[channel][-1] if channel else "1"

    def _kelvin(self, channel: str) -> str:
        return ",".join(f"{self.read(each)[0]:+08.3f}" for each in self._channels(channel))

    def _celsius(self, channel: str) -> str:
        readings = (self.read(each) for each in self._channels(channel))
        return ",".join(f"{0.0 if flag else K - ZERO_CELSIUS_K:+08.3f}" for K, flag in readings)

    def _sensor_units(self, channel: str) -> str:
        readings = (self.read(each) for each in self._channels(channel))
        return ",".join(six_digits(0.0 if flag else sensor_ohm(K)) for K, flag in readings)

    def _set_limit(self, channel: str, limit: str) -> None:
        self._limit_K[self._checked(channel)] = number(limit, 0.0, 9999.0)
        self._limited = [(each, limit_K) for each, limit_K in self._limit_K.items() if limit_K]

    def _set_type(self, channel: str, *values: str) -> None:
        sensor, autorange, span, compensation, units = (int(value) for value in values)
        valid = 0 <= sensor <= 4 and 0 <= span <= 9 and 1 <= units <= 3
        if not valid or {autorange, compensation} - {0, 1}:
            raise ValueError(f"INTYPE {values}")
        fields = (sensor, autorange, span, compensation, units)
        self._type[self._checked(channel)] = ",".join(map(str, fields))

    def _set_name(self, channel: str, name: str) -> None:
        self._name[self._checked(channel)] = name.strip('"')[:15]

    def _set_curve(self, channel: str, curve: str) -> None:
        self._curve[self._checked(channel)] = integer(curve, 0, 59)

    def _curve_header(self, curve: str) -> str:
        integer(curve, 1, 59)
        return "CX-1050-SD     ,X123456   ,4,+325.000,1"

    def _checked(self, channel: str) -> str:
        channel = channel.upper()
        if channel not in tuple(self._letters):
            raise ValueError(f"input {channel}")
        return channel

    def _channels(self, channel: str) -> str:
        """Return the inputs that a query is about; 0 is all."""
        return self._letters if channel == "0" and self._reads_all else self._checked(channel)

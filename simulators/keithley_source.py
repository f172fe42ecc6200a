"""How the settings of a Keithley 2410 act on the circuit: ranges, limits, protection, off-state.

Page numbers: 2400 series manual, as in the reference of this project.
"""

from typing import Final

from simulators.bias_circuit import OffState
from simulators.keithley_settings import CURRENT_RANGES_A, VOLTAGE_RANGES_V, Header
from simulators.scpi import ScpiError
from simulators.scpi_settings import OUT_OF_RANGE, Stored
from simulators.world import World

__all__ = ["PROTECTION_STEPS_V", "SETTINGS_CONFLICT", "SourceUnit", "range_for", "top_of"]

OVER_RANGE: Final = 1.05
HIGH_RANGE_TOP_V: Final = 1100.0
HIGH_RANGE_TOP_A: Final = 0.021  # 21 mA at 1100 V, 1.05 A below
PROTECTION_STEPS_V: Final = (20.0, 40.0, 100.0, 200.0, 300.0, 400.0, 500.0)
PROTECTION_TOLERANCE: Final = 0.05  # 18-81
LEAST_LIMIT: Final = 1e-3  # of the measuring range, 18-68
SETTINGS_CONFLICT = ScpiError(-221, "Settings conflict")
BEYOND_COMPLIANCE = ScpiError(824, "Cannot exceed compliance range")
OFF_STATES: Final = {
    "GUAR": OffState.GUARD,
    "HIMP": OffState.HIGH_IMPEDANCE,
    "NORM": OffState.NORMAL,
    "ZERO": OffState.NORMAL,
}


def top_of(range_V: float) -> float:
    """Return the largest level of a source range."""
    return HIGH_RANGE_TOP_V if range_V == VOLTAGE_RANGES_V[-1] else OVER_RANGE * range_V


def range_for(value: float, ranges: tuple[float, ...]) -> float:
    """Return the smallest range that holds a value; ranges reach 5 % beyond their name."""
    return next(
        (each for each in ranges if abs(value) <= OVER_RANGE * each * (1 + 1e-9)), ranges[-1]
    )


class SourceUnit:
    """The electrical side. `values` are the settings of the instrument, which it reads only.

    protection_V None is no protection.
    """

    def __init__(self, world: World, values: dict[str, Stored]) -> None:
        self._bias = world.bias
        self._values = values
        self.protection_V: float | None = None

    def apply(self) -> None:
        """Put the present settings on the circuit."""
        if self._is_voltage_source:
            voltage_V, limit_A = self.level_V, self.limit_A
        else:  # a current source is a voltage source at its limit, with that current as limit
            current_A = self._number(Header.CURRENT_LEVEL)
            voltage_V = abs(self._number(Header.VOLTAGE_LIMIT)) * (1.0 if current_A > 0 else -1.0)
            limit_A = abs(current_A)
        self._bias.set_source(
            self._protected(voltage_V),
            bool(self._values[Header.OUTPUT]),
            limit_A,
            self.range_V,
            OFF_STATES[str(self._values[Header.OFF_STATE])],
        )

    @property
    def level_V(self) -> float:
        return self._number(Header.LEVEL)

    @property
    def range_V(self) -> float:
        if self._values[Header.SOURCE_AUTO]:
            return range_for(self.level_V, VOLTAGE_RANGES_V)
        return self._number(Header.SOURCE_RANGE)

    @property
    def measuring_range_A(self) -> float | None:
        """The fixed measuring range; None while it is chosen by itself."""
        if self._values[Header.CURRENT_AUTO]:
            return None
        return range_for(self._number(Header.CURRENT_RANGE), CURRENT_RANGES_A)

    @property
    def limit_A(self) -> float:
        """The limit that acts: the compliance, or the end of a fixed measuring range."""
        compliance_A = abs(self._number(Header.CURRENT_LIMIT))
        fixed_A = self.measuring_range_A
        return compliance_A if fixed_A is None else min(compliance_A, OVER_RANGE * fixed_A)

    @property
    def is_range_limited(self) -> bool:
        return self.limit_A < abs(self._number(Header.CURRENT_LIMIT))

    @property
    def is_protecting(self) -> bool:
        """Whether the over-voltage protection holds the output down."""
        return bool(self._values[Header.OUTPUT]) and self._protected(self.level_V) != self.level_V

    def set_protection(self, volts: float) -> None:
        """Take the step at or below; above 500 V there is no protection (18-81)."""
        if abs(volts) > PROTECTION_STEPS_V[-1]:
            self.protection_V = None
        else:
            steps = [step for step in PROTECTION_STEPS_V if step <= abs(volts)]
            self.protection_V = steps[-1] if steps else PROTECTION_STEPS_V[0]

    def check_level(self, level_V: Stored) -> float:
        """Return a level that fits. Raises ScpiError beyond a fixed range."""
        level_V = float(level_V)
        if not self._values[Header.SOURCE_AUTO] and abs(level_V) > top_of(self.range_V):
            raise OUT_OF_RANGE
        self._check_power(range_for(level_V, VOLTAGE_RANGES_V))
        return level_V

    def check_range(self, wanted_V: Stored) -> float:
        """Return the source range for a value. Raises ScpiError where the level does not fit."""
        range_V = range_for(float(wanted_V), VOLTAGE_RANGES_V)
        if abs(self.level_V) > top_of(range_V):
            raise SETTINGS_CONFLICT
        self._check_power(range_V)
        return range_V

    def check_limit(self, limit_A: Stored) -> float:
        """Return a compliance that is possible. Raises ScpiError otherwise."""
        limit_A = abs(float(limit_A))
        least_A = LEAST_LIMIT * (self.measuring_range_A or CURRENT_RANGES_A[0])
        if limit_A < least_A * (1 - 1e-9):
            raise OUT_OF_RANGE
        if self.range_V == VOLTAGE_RANGES_V[-1] and limit_A > HIGH_RANGE_TOP_A:
            raise OUT_OF_RANGE
        return limit_A

    def check_measuring_range(self, wanted_A: Stored) -> float:
        """Return the measuring range for a value. Raises ScpiError beyond the compliance range."""
        range_A = range_for(float(wanted_A), CURRENT_RANGES_A)
        if range_A > range_for(self._number(Header.CURRENT_LIMIT), CURRENT_RANGES_A):
            raise BEYOND_COMPLIANCE
        return range_A

    @property
    def _is_voltage_source(self) -> bool:
        return self._values[Header.SOURCE] != "CURR"

    def _check_power(self, range_V: float) -> None:
        limit_A = abs(self._number(Header.CURRENT_LIMIT))
        if range_V == VOLTAGE_RANGES_V[-1] and limit_A > HIGH_RANGE_TOP_A:
            raise SETTINGS_CONFLICT

    def _protected(self, voltage_V: float) -> float:
        if self.protection_V is None:
            return voltage_V
        most_V = self.protection_V * (1.0 + PROTECTION_TOLERANCE)
        return min(max(voltage_V, -most_V), most_V)

    def _number(self, header: str) -> float:
        return float(self._values[header])

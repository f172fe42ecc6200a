"""The measuring side of a Keithley 2410: functions, readings, their elements, the buffer."""

from collections.abc import Callable
from statistics import fmean, stdev
from typing import Final

from simulators.keithley_settings import Header
from simulators.keithley_source import SourceUnit
from simulators.scpi_settings import ILLEGAL, MISSING, Stored, real
from simulators.world import World

__all__ = ["FUNCTIONS", "Meter", "StatusBit"]

NOT_A_NUMBER: Final = 9.91e37
ELEMENTS: Final = ("VOLT", "CURR", "RES", "TIME", "STAT")
LONG_ELEMENTS: Final = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT"}
FUNCTIONS: Final = {"VOLT": '"VOLT:DC"', "CURR": '"CURR:DC"', "RES": '"RES"'}
AUTO_DELAY_S: Final = 0.001

Reading = dict[str, float]


class StatusBit:
    """Bits of the element STAT of a reading."""

    OVERFLOW, FILTER, FRONT, COMPLIANCE, PROTECTION = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
    MEASURES_V, MEASURES_I, SOURCES_V, SOURCES_I = 1 << 11, 1 << 12, 1 << 14, 1 << 15
    RANGE_COMPLIANCE, FOUR_WIRE = 1 << 16, 1 << 22


def _spread(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


STATISTICS: Final[dict[str, Callable[[list[float]], float]]] = {
    "MEAN": fmean,
    "SDEV": _spread,
    "MAX": max,
    "MIN": min,
    "PKPK": lambda values: max(values) - min(values),
}


class Meter:
    """Measures the bias circuit. `values` are the settings of the instrument, shared with it."""

    def __init__(
        self, world: World, values: dict[str, Stored], source: SourceUnit, overhead_s: float
    ) -> None:
        self._world = world
        self._values = values
        self._source = source
        self._overhead_s = overhead_s
        self.power_up()

    def power_up(self) -> None:
        self._zero_s = self._world.now
        self.buffer: list[Reading] = []
        self.reset()

    def reset(self) -> None:
        self.functions = {"VOLT", "CURR"}
        self.elements = set(ELEMENTS)
        self.readings: list[Reading] = []

    @property
    def time_s(self) -> float:
        return self._world.now - self._zero_s

    def restart_time(self) -> None:
        self._zero_s = self._world.now

    @property
    def count(self) -> int:
        """How many readings one trigger takes."""
        return int(self._values[Header.TRIGGER_COUNT]) * int(self._values[Header.ARM_COUNT])

    @property
    def duration_s(self) -> float:
        """One reading: each function integrates, twice with auto-zero, after the source delay."""
        values = self._values
        period_s = float(values[Header.CURRENT_NPLC]) / float(values[Header.LINE_FREQUENCY])
        repeats = int(values[Header.FILTER_COUNT]) if values[Header.FILTER] else 1
        phases = 2 if values[Header.AUTO_ZERO] else 1
        delay_s = AUTO_DELAY_S if values[Header.DELAY_AUTO] else float(values[Header.DELAY])
        functions = max(len(self.functions & {"VOLT", "CURR"}), 1)
        return delay_s + self._overhead_s + repeats * functions * phases * period_s

    def take_readings(self) -> bool:
        """Measure as often as asked for; return whether that filled the buffer."""
        self.readings = [self._measure() for _ in range(self.count)]
        if self._values[Header.BUFFER_CONTROL] != "NEXT":
            return False
        points = int(self._values[Header.BUFFER_POINTS])
        self.buffer = (self.buffer + self.readings)[:points]
        if len(self.buffer) < points:
            return False
        self._values[Header.BUFFER_CONTROL] = "NEV"
        return True

    def show(self, readings: list[Reading]) -> str:
        return ",".join(
            real(reading[element])
            for reading in readings
            for element in ELEMENTS
            if element in self.elements
        )

    def show_statistics(self) -> str:
        """Return the statistic chosen over the buffer, for each of VOLT, CURR, RES."""
        of = STATISTICS[str(self._values[Header.STATISTIC])]
        shown = [element for element in ELEMENTS[:3] if element in self.elements]
        columns = [[reading[element] for reading in self.buffer] for element in shown]
        return ",".join(real(of(column)) if column else real(NOT_A_NUMBER) for column in columns)

    def show_functions(self, *, on: bool) -> str:
        names = [name for short, name in FUNCTIONS.items() if (short in self.functions) == on]
        return ",".join(names) or '""'

    def show_elements(self) -> str:
        return ",".join(element for element in ELEMENTS if element in self.elements)

    def set_functions(self, names: tuple[str, ...], *, on: bool) -> None:
        wanted = {_function(name) for name in names}
        if not wanted:
            raise MISSING
        self.functions = self.functions | wanted if on else self.functions - wanted

    def set_elements(self, names: tuple[str, ...]) -> None:
        wanted = {LONG_ELEMENTS.get(name.upper(), name.upper()) for name in names}
        if not wanted:
            raise MISSING
        if wanted - set(ELEMENTS):
            raise ILLEGAL
        self.elements = wanted

    def _measure(self) -> Reading:
        bias = self._world.bias
        voltage_V = bias.measured_voltage_V() if "VOLT" in self.functions else self._source.level_V
        current_A = bias.measured_current_A() if "CURR" in self.functions else NOT_A_NUMBER
        measures_ohm = "RES" in self.functions and current_A != 0.0
        return {
            "VOLT": voltage_V,
            "CURR": current_A,
            "RES": voltage_V / current_A if measures_ohm else NOT_A_NUMBER,
            "TIME": self.time_s,
            "STAT": float(self._status_word()),
        }

    def _status_word(self) -> int:
        values = self._values
        word = StatusBit.FILTER if values[Header.FILTER] else 0
        word |= StatusBit.FRONT if values[Header.TERMINALS] == "FRON" else 0
        if self._world.bias.in_compliance():
            is_range = self._source.is_range_limited
            word |= StatusBit.RANGE_COMPLIANCE if is_range else StatusBit.COMPLIANCE
        word |= StatusBit.PROTECTION if self._source.is_protecting else 0
        word |= StatusBit.MEASURES_V if "VOLT" in self.functions else 0
        word |= StatusBit.MEASURES_I if "CURR" in self.functions else 0
        sources_V = values[Header.SOURCE] != "CURR"
        word |= StatusBit.SOURCES_V if sources_V else StatusBit.SOURCES_I
        return word | (StatusBit.FOUR_WIRE if values[Header.REMOTE_SENSE] else 0)


def _function(text: str) -> str:
    """Return VOLT, CURR or RES for a quoted function name such as 'VOLTage:DC'."""
    name = text.strip("\"'").upper().partition(":")[0]
    short = LONG_ELEMENTS.get(name, name)
    if short not in FUNCTIONS:
        raise ILLEGAL
    return short

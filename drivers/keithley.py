"""Keithley 2410: bias supply up to 1100 V."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drivers import keithley_scpi as scpi
from drivers.clock import Clock
from drivers.errors import LimitError, ReplyError, StateError
from drivers.keithley_supply import KeithleySupply
from drivers.line import Line
from drivers.link import AnyNewline
from drivers.registry import register
from drivers.roles import BiasMeasurement, BiasSettings, BiasSupply, Setting

__all__ = ["Keithley2410Config", "Keithley2410Supply"]

# :FETC? shows the same reading again, so that no garbled digit passes
READ = ":READ?;:SENS:CURR:PROT:TRIP?;:FETC?;:SENS:CURR:PROT:TRIP?"
ELEMENTS = "VOLT,CURR,RES,TIME,STAT"
NORMAL = "NORM"  # V source at 0 V while off, so that the gap discharges; the 2410 starts in GUAR
SETTINGS = {
    "source_function": ":SOUR:FUNC?",
    "source_mode": ":SOUR:VOLT:MODE?",
    "off_state": ":OUTP:SMOD?",
    "source_range_V": ":SOUR:VOLT:RANG?",
    "source_auto_range": ":SOUR:VOLT:RANG:AUTO?",
    "protection_V": ":SOUR:VOLT:PROT?",
}
MORE_SETTINGS = {
    "current_limit_A": ":SENS:CURR:PROT?",
    "current_range_A": ":SENS:CURR:RANG?",
    "current_auto_range": ":SENS:CURR:RANG:AUTO?",
    "interlock_in_use": ":OUTP:INT:STAT?",
    "output_on": ":OUTP?",
    "level_V": ":SOUR:VOLT:LEV?",
    "elements": ":FORM:ELEM?",
}


@dataclass(frozen=True, slots=True)
class Keithley2410Config:
    """What the station says about the supply; the sample's own limits come with BiasSettings."""

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    max_voltage_V: float = 1100.0
    integration_plc: float = 1.0  # of a measurement, in periods of the mains; 0.01 to 10

    def __post_init__(self) -> None:
        if not 0 < self.max_voltage_V <= scpi.MAX_VOLTAGE_V:
            raise ValueError(f"{self.max_voltage_V} V: allowed 0 to {scpi.MAX_VOLTAGE_V} V")
        if not 0.01 <= self.integration_plc <= 10:
            raise ValueError(f"integration {self.integration_plc} periods: allowed 0.01 to 10")


@register(
    "keithley.2410",
    BiasSupply,
    config=Keithley2410Config,
    framing=AnyNewline(),  # its terminator is set at the front panel; CR at first
    line=Line.configured,
)
class Keithley2410Supply(KeithleySupply):
    """A Keithley 2410 as bias supply (roles.BiasSupply). Only a BiasPort talks to it."""

    def __init__(self, name: str, line: Line, clock: Clock, config: Keithley2410Config) -> None:
        # pymeasure's keithley package imports pandas: 0.4 s that only a running station pays
        from drivers.adapter import LineAdapter  # noqa: PLC0415
        from drivers.pymeasure_keithley import Keithley2410  # noqa: PLC0415

        super().__init__(name, line, clock, config, Keithley2410(LineAdapter(line), name))

    def measure(self) -> BiasMeasurement:
        """Measure the terminals.

        Raises StateError while the output is off: the instrument would not answer, only note an
        error. Raises ReplyError for not-a-number.
        """
        if not self.is_output_on():
            raise StateError(self.name, "nothing is measured while the output is off")
        text = self._line.ask(READ, scpi.MEASUREMENT_TWICE)
        try:
            found = scpi.parse_measurement(text[: len(text) // 2])
        except ValueError as error:
            raise ReplyError(self.name, str(error)) from error
        return BiasMeasurement(
            voltage_V=found.voltage_V,
            current_A=found.current_A,
            in_compliance=found.is_limiting,
            over_voltage=bool(found.status & scpi.MeasurementStatus.OVER_VOLTAGE),
            time_s=self._clock.now(),
        )

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes; protection_V is "NONE" above 500 V."""
        texts = {**self._ask_all(SETTINGS), **self._ask_all(MORE_SETTINGS)}
        protection_V = self._protection_V(texts["protection_V"])
        found: dict[str, Setting] = {
            key: text if re.fullmatch(scpi.NUMBER, text) is None else float(text)
            for key, text in texts.items()
        }
        found["protection_V"] = "NONE" if protection_V is None else protection_V
        return found

    def _wanted(self, settings: BiasSettings) -> dict[str, Setting]:
        self._check_voltage(settings)
        try:
            source_V = scpi.source_range_V(settings.max_voltage_V)
            current_A = scpi.current_range_A(settings.current_limit_A)
            protection_V = scpi.protection_step(settings.protection_V)
        except ValueError as error:
            raise LimitError(self.name, str(error)) from error
        self._check_current(settings, source_V, scpi.max_current_A(source_V))
        return {
            "source_function": "VOLT",
            "source_mode": "FIX",
            "off_state": NORMAL,
            "source_range_V": source_V,
            "source_auto_range": 0,
            "protection_V": "NONE" if protection_V is None else protection_V,
            "current_limit_A": settings.current_limit_A,
            "current_range_A": current_A,
            "current_auto_range": 0,
            "output_on": 0,
            "level_V": 0.0,
            "elements": ELEMENTS,
        }

    def _send_settings(self, wanted: Mapping[str, Setting]) -> None:
        self._send_source(wanted)
        self._send_limit(wanted)

    def _send_source(self, wanted: Mapping[str, Setting]) -> None:
        protection = wanted["protection_V"]
        step = protection if isinstance(protection, str) else scpi.format_voltage(protection)
        source_range = scpi.format_voltage(float(wanted["source_range_V"]))
        for command in (
            ":SOUR:FUNC VOLT",
            ":SOUR:VOLT:MODE FIX",
            ":SOUR:VOLT:LEV 0.000000",
            f":OUTP:SMOD {NORMAL}",
            ":SOUR:CLE:AUTO 0",  # else the output goes off after each measurement
            f":SOUR:VOLT:RANG {source_range}",
            f":SOUR:VOLT:PROT {step}",
        ):
            self._instrument.write(command)

    def _send_limit(self, wanted: Mapping[str, Setting]) -> None:
        """Set current limit and range in the order that never passes through a forbidden pair.

        The limit may not fall below 0.1 % of the measure range, the range not exceed the limit's.
        """
        limit = f":SENS:CURR:PROT {scpi.format_current(float(wanted['current_limit_A']))}"
        new_A = float(wanted["current_range_A"])
        span = f":SENS:CURR:RANG {scpi.format_current(new_A)}"
        lowers = new_A < self._instrument.current_range
        for command in (
            ":SENS:FUNC:CONC 1",
            ":SENS:FUNC 'VOLT','CURR'",
            *((span, limit) if lowers else (limit, span)),
            f":SENS:CURR:NPLC {self._config.integration_plc:.2f}",
            f":FORM:ELEM {ELEMENTS}",
            ":ARM:COUN 1",
            ":TRIG:COUN 1",  # else one :READ? returns several readings
        ):
            self._instrument.write(command)

    def _check_interlock(self) -> None:
        if self._instrument.is_interlock_in_use and not self._instrument.is_output_allowed:
            raise StateError(self.name, "the interlock is open and blocks the output")

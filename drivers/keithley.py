"""Keithley 2410: bias supply up to 1100 V."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Any

from drivers import keithley_scpi as scpi
from drivers.clock import Clock
from drivers.errors import InstrumentError, LimitError, ReplyError, StateError
from drivers.line import Line
from drivers.link import AnyNewline
from drivers.registry import register
from drivers.roles import (
    BiasMeasurement,
    BiasSettings,
    BiasSupply,
    Identity,
    Reading,
    ReadingStatus,
    Setting,
)

__all__ = ["Keithley2410Config", "Keithley2410Supply"]

logger = logging.getLogger(__name__)

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
FULL_SCALE_EXCESS = 0.11  # of a range: 5 %, 10 % in the largest
LEVEL_SLACK_V = 0.05  # of a level that was measured; the step of the largest range


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
class Keithley2410Supply:
    """A Keithley 2410 as bias supply (roles.BiasSupply). Only a BiasPort talks to it."""

    def __init__(self, name: str, line: Line, clock: Clock, config: Keithley2410Config) -> None:
        # pymeasure's keithley package imports pandas: 0.4 s that only a running station pays
        from drivers.adapter import LineAdapter  # noqa: PLC0415
        from drivers.pymeasure_keithley import Keithley2410  # noqa: PLC0415

        self.name = name
        self._line = line
        self._clock = clock
        self._config = config
        self._instrument: Any = Keithley2410(LineAdapter(line), name)
        self._configured_V: float | None = None
        self._level_step_V = LEVEL_SLACK_V

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def configure(self, settings: BiasSettings) -> None:
        """Fix ranges, limits, protection and off-state with the output off, and read them back.

        Raises StateError if the output is on, LimitError before anything is sent, InstrumentError
        if the instrument refused something or reads back something else.
        """
        wanted = self._wanted(settings)
        if self.is_output_on():
            raise StateError(self.name, "ranges and limits are only set with the output off")
        self._configured_V = None
        for entry in self._instrument.drain_errors():
            logger.warning("%s: old error %d %s", self.name, entry.code, entry.text)
        self._send_source(wanted)
        self._send_limit(wanted)
        self._instrument.check_errors()
        self._verify(wanted)
        self._configured_V = settings.max_voltage_V
        self._level_step_V = scpi.source_resolution_V(float(wanted["source_range_V"]))

    def set_level(self, voltage_V: float) -> None:
        """Program the level at once, and read it back. Raises LimitError before the wire.

        Before `configure`, only a level no larger than the present one is accepted: enough to
        bring down what an earlier run left.
        """
        bound_V = self._configured_V
        if bound_V is None:
            bound_V = abs(self.read_level()) + LEVEL_SLACK_V
        if not (isfinite(voltage_V) and abs(voltage_V) <= bound_V):
            raise LimitError(self.name, f"level {voltage_V} V: allowed up to +-{bound_V} V")
        level = scpi.format_voltage(voltage_V)
        answer = self._line.ask(
            f":SOUR:VOLT:LEV {level};:SOUR:VOLT:LEV?;:SYST:ERR?",
            re.compile(rf"({scpi.NUMBER});{scpi.ERROR.pattern}"),
            retries=0,  # whether it arrived is the port's question, which reads the level
        )
        found, error = answer.split(";", 1)
        self._raise_errors(error)
        if abs(scpi.parse_number(found) - voltage_V) > self._level_step_V:
            raise InstrumentError(self.name, f"level reads back {found} V, not {level} V")

    def read_level(self) -> float:
        """Return the programmed level in V."""
        return float(self._instrument.source_voltage)

    def switch_output(self, on: bool) -> None:
        """Switch the output and verify it.

        On: only after `configure`, if the interlock allows it, and from a level of 0 V; an output
        that is on already stays as it is. Off is immediate, whatever the voltage.
        """
        if on:
            self._prepare_output()
            if self.is_output_on():
                return
            self.set_level(0.0)
        self._instrument.write(f":OUTP {int(on)}")
        self._instrument.check_errors()
        if self.is_output_on() is not on:
            raise InstrumentError(self.name, f"the output is not {'on' if on else 'off'}")

    def is_output_on(self) -> bool:
        """Ask whether the output is on."""
        return bool(self._instrument.is_output_on)

    def measure(self) -> BiasMeasurement:
        """Measure the terminals.

        Raises StateError while the output is off: the instrument would not answer, only note an
        error. Raises ReplyError for not-a-number.
        """
        if not self.is_output_on():
            raise StateError(self.name, "nothing is measured while the output is off")
        text = self._line.ask(":READ?;:SENS:CURR:PROT:TRIP?", scpi.MEASUREMENT)
        try:
            found = scpi.parse_measurement(text)
        except ValueError as error:
            raise ReplyError(self.name, str(error)) from error
        return BiasMeasurement(
            voltage_V=found.voltage_V,
            current_A=found.current_A,
            in_compliance=found.is_limiting,
            over_voltage=bool(found.status & scpi.MeasurementStatus.OVER_VOLTAGE),
            time_s=self._clock.now(),
        )

    def read(self) -> Mapping[str, Reading]:
        """Measure voltage and current; nothing while the output is off."""
        if not self.is_output_on():
            return {}
        found = self.measure()
        status = ReadingStatus.FAULT if found.over_voltage else ReadingStatus.OK
        note = "over-voltage protection" if found.over_voltage else ""
        return {
            "voltage_V": Reading(found.voltage_V, "V", found.time_s, status, note),
            "current_A": Reading(found.current_A, "A", found.time_s, status, note),
        }

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes; protection_V is "NONE" above 500 V."""
        texts = {**self._ask_all(SETTINGS), **self._ask_all(MORE_SETTINGS)}
        protection_V = scpi.parse_protection(texts["protection_V"])
        found: dict[str, Setting] = {
            key: text if re.fullmatch(scpi.NUMBER, text) is None else float(text)
            for key, text in texts.items()
        }
        found["protection_V"] = "NONE" if protection_V is None else protection_V
        return found

    def close(self) -> None:
        """Let go of the line; the output stays as it is."""
        self._line.close()

    def _wanted(self, settings: BiasSettings) -> dict[str, Setting]:
        limit_V = self._config.max_voltage_V
        if not 0 < settings.max_voltage_V <= limit_V:
            raise LimitError(self.name, f"{settings.max_voltage_V} V: allowed up to {limit_V} V")
        try:
            source_V = scpi.source_range_V(settings.max_voltage_V)
            current_A = scpi.current_range_A(settings.current_limit_A)
            protection_V = scpi.protection_step(settings.protection_V)
        except ValueError as error:
            raise LimitError(self.name, str(error)) from error
        if settings.current_limit_A > scpi.max_current_A(source_V):
            raise LimitError(
                self.name,
                f"current limit {settings.current_limit_A} A: at most "
                f"{scpi.max_current_A(source_V)} A in the {source_V} V range",
            )
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

    def _verify(self, wanted: Mapping[str, Setting]) -> None:
        found = self.settings()
        wrong = {key: found[key] for key in wanted if not _agrees(key, found[key], wanted[key])}
        if wrong:
            expected = {key: wanted[key] for key in wrong}
            raise InstrumentError(self.name, f"reads back {wrong}, not {expected}")

    def _prepare_output(self) -> None:
        if self._configured_V is None:
            raise StateError(self.name, "configure the supply before switching its output on")
        if self._instrument.is_interlock_in_use and not self._instrument.is_output_allowed:
            raise StateError(self.name, "the interlock is open and blocks the output")

    def _ask_all(self, questions: Mapping[str, str]) -> dict[str, str]:
        pattern = re.compile(";".join(["[^;]+"] * len(questions)))
        answers = self._line.ask(";".join(questions.values()), pattern).split(";")
        return dict(zip(questions, answers, strict=True))

    def _raise_errors(self, first: str) -> None:
        entry = scpi.parse_error(first)
        if entry.code == 0:
            return
        entries = [entry, *self._instrument.drain_errors()]
        raise InstrumentError(self.name, "; ".join(f"{e.code} {e.text}" for e in entries))


def _agrees(key: str, found: Setting, wanted: Setting) -> bool:
    if isinstance(found, str) or isinstance(wanted, str):
        return str(found).upper() == str(wanted).upper()
    if key.endswith(("range_V", "range_A")):  # read back as nominal or as full scale
        return wanted * (1 - 1e-5) <= found <= wanted * (1 + FULL_SCALE_EXCESS)
    return isclose(found, wanted, rel_tol=1e-5, abs_tol=1e-12)

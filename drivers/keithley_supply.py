"""What the Keithley supplies have in common: the role, its safeguards and their order."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isclose, isfinite
from typing import Any, Protocol

from drivers import keithley_scpi as scpi
from drivers.clock import Clock
from drivers.errors import InstrumentError, LimitError, ReplyError, StateError
from drivers.line import Line
from drivers.roles import (
    BiasMeasurement,
    BiasSettings,
    Identity,
    Reading,
    ReadingStatus,
    Setting,
)

__all__ = ["KeithleySupply", "SupplyConfig"]

logger = logging.getLogger(__name__)

FULL_SCALE_EXCESS = 0.11  # of a range: 5 %, 10 % in the largest
LEVEL, OUTPUT = re.compile(scpi.NUMBER), re.compile(scpi.BOOLEAN)
LEVEL_SLACK_V = 0.05  # of a level that was measured; the step of the largest range


class SupplyConfig(Protocol):
    """What every supply's configuration says."""

    @property
    def max_voltage_V(self) -> float: ...
    @property
    def integration_plc(self) -> float: ...


class KeithleySupply(ABC):
    """A Keithley SMU as bias supply (roles.BiasSupply). Only a BiasPort talks to it.

    instrument: the model's pymeasure class, with drain_errors and check_errors.
    """

    def __init__(
        self, name: str, line: Line, clock: Clock, config: SupplyConfig, instrument: Any
    ) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        self._config = config
        self._instrument = instrument
        self._configured_V: float | None = None
        self._level_step_V = LEVEL_SLACK_V

    @abstractmethod
    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes; protection_V is "NONE" above 500 V."""

    @abstractmethod
    def measure(self) -> BiasMeasurement:
        """Measure the terminals. Raises StateError while the output is off."""

    @abstractmethod
    def _wanted(self, settings: BiasSettings) -> dict[str, Setting]:
        """Return what `settings` shall read back after. Raises LimitError."""

    @abstractmethod
    def _send_settings(self, wanted: Mapping[str, Setting]) -> None:
        """Send them in an order that never passes through a forbidden pair."""

    @abstractmethod
    def _check_interlock(self) -> None:
        """Raise StateError if the interlock would hold the output back."""

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
        self._send_settings(wanted)
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
        if not abs(self._number(found) - voltage_V) <= self._level_step_V:
            raise InstrumentError(self.name, f"level reads back {found} V, not {level} V")

    def read_level(self) -> float:
        """Return the programmed level in V. Raises ReplyError for the instrument's not-a-number."""
        return self._number(self._line.ask_twice(":SOUR:VOLT:LEV?", LEVEL))

    def switch_output(self, on: bool) -> None:
        """Switch the output and verify it.

        On: only after `configure`, if the interlock allows it, and from a level of 0 V; an output
        that is on already stays as it is. Off is immediate, whatever the voltage.
        """
        if on:
            if self._configured_V is None:
                raise StateError(self.name, "configure the supply before switching its output on")
            self._check_interlock()
            if self.is_output_on():
                return
            self.set_level(0.0)
        self._instrument.write(f":OUTP {int(on)}")
        self._instrument.check_errors()
        if self.is_output_on() is not on:
            raise InstrumentError(self.name, f"the output is not {'on' if on else 'off'}")

    def is_output_on(self) -> bool:
        """Ask whether the output is on."""
        return self._line.ask_twice(":OUTP?", OUTPUT) == "1"

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

    def close(self) -> None:
        """Let go of the line; the output stays as it is."""
        self._line.close()

    def _check_voltage(self, settings: BiasSettings) -> None:
        limit_V = self._config.max_voltage_V
        if not 0 < settings.max_voltage_V <= limit_V:
            raise LimitError(self.name, f"{settings.max_voltage_V} V: allowed up to {limit_V} V")

    def _check_current(self, settings: BiasSettings, source_V: float, most_A: float) -> None:
        if settings.current_limit_A > most_A:
            raise LimitError(
                self.name,
                f"current limit {settings.current_limit_A} A: at most "
                f"{most_A} A in the {source_V} V range",
            )

    def _verify(self, wanted: Mapping[str, Setting]) -> None:
        found = self.settings()
        wrong = {key: found[key] for key in wanted if not _agrees(key, found[key], wanted[key])}
        if wrong:
            expected = {key: wanted[key] for key in wrong}
            raise InstrumentError(self.name, f"reads back {wrong}, not {expected}")

    def _number(self, text: str) -> float:
        try:
            return scpi.parse_number(text)
        except ValueError as error:
            raise ReplyError(self.name, str(error)) from error

    def _protection_V(self, text: str) -> float | None:
        try:
            return scpi.parse_protection(text)
        except ValueError as error:
            raise ReplyError(self.name, str(error)) from error

    def _ask_all(self, questions: Mapping[str, str]) -> dict[str, str]:
        pattern = re.compile(";".join(["[^;]+"] * len(questions)))
        answers = self._line.ask_twice(";".join(questions.values()), pattern).split(";")
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

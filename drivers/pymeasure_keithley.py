"""The Keithley 2410 and 2470 in pymeasure's own style, safe to build on.

pymeasure's Keithley2400 and Keithley2450 with ranges up to 1100 V (their own end at 210 V), numbers
with all their digits, whole replies checked, errors that raise, no auto-range, and nothing sent at
construction.
"""

import re
from typing import Any

from pymeasure.instruments import Instrument
from pymeasure.instruments.keithley.keithley2400 import Keithley2400
from pymeasure.instruments.keithley.keithley2450 import Keithley2450
from pymeasure.instruments.validators import strict_discrete_set, strict_range

from drivers import keithley_scpi as scpi
from drivers.adapter import FullMatch
from drivers.errors import InstrumentError, LimitError

__all__ = ["Keithley2410", "Keithley2470"]

QUEUE_LENGTH = 10

ONE_NUMBER = {"reply": re.compile(scpi.NUMBER)}
ONE_FLAG = {"reply": re.compile(scpi.BOOLEAN)}
ONE_ERROR = {"reply": scpi.ERROR}


def voltage_property(command: str, docs: str, limit_V: float = scpi.MAX_VOLTAGE_V) -> Any:
    """Return a property in V within +-limit_V."""
    return Instrument.control(
        f"{command}?",
        f"{command} %s",
        docs,
        validator=strict_range,
        values=(-limit_V, limit_V),
        set_process=scpi.format_voltage,
        check_set_errors=True,
        values_kwargs=ONE_NUMBER,
    )


def current_property(command: str, docs: str) -> Any:
    """Return a property in A."""
    return Instrument.control(
        f"{command}?",
        f"{command} %s",
        docs,
        validator=strict_range,
        values=(0.0, 1.05),
        set_process=scpi.format_current,
        check_set_errors=True,
        values_kwargs=ONE_NUMBER,
    )


def auto_range_property(command: str, docs: str) -> Any:
    """Return a property that can be switched off but not on."""
    return Instrument.control(
        f"{command}?",
        f"{command} %d",
        docs,
        validator=strict_discrete_set,
        values=(False,),
        cast=int,
        check_set_errors=True,
        values_kwargs=ONE_FLAG,
    )


class RaisingErrors(FullMatch):
    """Mixin for Keithley's supplies: an error that the instrument noted is raised."""

    name: str

    is_output_on = Instrument.measurement(
        ":OUTP?",
        """Get whether the output is on (int, 1 or 0).""",
        cast=int,
        values_kwargs=ONE_FLAG,
    )
    next_error = Instrument.measurement(
        ":SYST:ERR?",
        """Get the next entry of the error queue (str).""",
        cast=str,
        maxsplit=0,
        values_kwargs=ONE_ERROR,
    )

    def drain_errors(self) -> list[scpi.ErrorEntry]:
        """Empty the error queue and return what was in it."""
        found = []
        for _ in range(QUEUE_LENGTH + 1):
            entry = scpi.parse_error(self.next_error)
            if entry.code == 0:
                break
            found.append(entry)
        return found

    def check_errors(self) -> list[scpi.ErrorEntry]:
        """Empty the error queue. Raises InstrumentError with all of it."""
        found = self.drain_errors()
        if found:
            texts = "; ".join(f"{entry.code} {entry.text}" for entry in found)
            raise InstrumentError(self.name, texts)
        return found

    def auto_range_source(self) -> None:
        """Refuse: a range that changes with the output on makes a spike."""
        raise LimitError(self.name, "auto-range of the source is never switched on")


class Keithley2410(RaisingErrors, Keithley2400):  # type: ignore[misc] # pymeasure is untyped
    """A Keithley 2410."""

    source_voltage = voltage_property(
        ":SOUR:VOLT:LEV", """Control the programmed voltage in V (float, -1100 to 1100)."""
    )
    source_voltage_range = voltage_property(
        ":SOUR:VOLT:RANG",
        """Control the source range in V (float); the smallest that holds the value is taken.""",
    )
    source_voltage_range_auto_enabled = auto_range_property(
        ":SOUR:VOLT:RANG:AUTO",
        """Control whether the source chooses its range, which makes spikes (int, only off).""",
    )
    compliance_current = current_property(
        ":SENS:CURR:PROT", """Control the current limit in A (float)."""
    )
    current_range = current_property(
        ":SENS:CURR:RANG",
        """Control the measure range in A (float); the smallest that holds the value is taken.""",
    )
    current_range_auto_enabled = auto_range_property(
        ":SENS:CURR:RANG:AUTO",
        """Control whether the ammeter chooses its range (int, only off).""",
    )
    is_interlock_in_use = Instrument.measurement(
        ":OUTP:INT:STAT?",
        """Get whether the interlock line is heeded (int, 1 or 0).""",
        cast=int,
        values_kwargs=ONE_FLAG,
    )
    is_output_allowed = Instrument.measurement(
        ":OUTP:INT:TRIP?",
        """Get whether the interlock lets the output on (int, 1 or 0).""",
        cast=int,
        values_kwargs=ONE_FLAG,
    )

    def reset_data_format(self) -> None:
        """Send nothing: connecting changes nothing on an instrument."""


class Keithley2470(RaisingErrors, Keithley2450):  # type: ignore[misc] # pymeasure is untyped
    """A Keithley 2470 with the command set SCPI."""

    source_voltage = voltage_property(
        ":SOUR:VOLT:LEV", """Control the programmed voltage in V (float, -1100 to 1100)."""
    )
    source_voltage_range = voltage_property(
        ":SOUR:VOLT:RANG",
        """Control the source range in V (float); the smallest that holds the value is taken.""",
    )
    compliance_current = current_property(
        ":SOUR:VOLT:ILIM", """Control the current limit in A (float)."""
    )
    current_range = current_property(
        ":SENS:CURR:RANG",
        """Control the measure range in A (float); the smallest that holds the value is taken.""",
    )
    is_interlock_closed = Instrument.measurement(
        ":OUTP:INT:TRIP?",
        """Get whether the interlock lets high voltages out (int, 1 or 0).""",
        cast=int,
        values_kwargs=ONE_FLAG,
    )
    command_set = Instrument.measurement(
        "*LANG?",
        """Get which command set the instrument speaks (str, SCPI, TSP or SCPI2400).""",
        cast=str,
        values_kwargs={"reply": re.compile("SCPI|TSP|SCPI2400")},
    )

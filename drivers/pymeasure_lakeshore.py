"""The Lake Shore 335, 336 and 350 in pymeasure's own style, safe to build on.

pymeasure's LakeShore3xx with whole replies checked, the status of a reading read together with
the reading, ramps, output modes and limits, and errors that raise. Source: Model 336 manual,
chapter 6; the drivers of Lake Shore, qcodes and frappy where the manual is silent.
"""

import logging
import re
from typing import Any

from pymeasure.instruments import Instrument
from pymeasure.instruments.lakeshore.lakeshore3xx import LakeShore3xx
from pymeasure.instruments.lakeshore.lakeshore_base import (
    LakeShoreHeaterChannel,
    LakeShoreTemperatureChannel,
)

from drivers.adapter import FullMatch
from drivers.errors import InstrumentError

__all__ = ["LakeShore335", "LakeShore336", "LakeShore350"]

logger = logging.getLogger(__name__)

NUMBER = r"[+-]?\d+\.?\d*"
BITS = r"\d{1,3}"

# Standard event register
EVENTS = {4: "query error", 16: "value not allowed", 32: "command unknown"}
POWER_ON = 128


def reply(*fields: str, separator: str = ";") -> dict[str, Any]:
    """Return what a property says about the form of its reply."""
    return {"reply": re.compile(separator.join(fields))}


class CheckedInput(FullMatch, LakeShoreTemperatureChannel):  # type: ignore[misc] # untyped
    """A sensor input, A to D."""

    kelvin_and_status = Instrument.measurement(
        "KRDG? {ch};RDGST? {ch}",
        """Measure the temperature in K and the status of this very reading (tuple of float).

        Status is a sum: 1 invalid, 16 and 32 temperature under and over range, 64 and 128 sensor
        units zero and over range; 0 is good. An overrange reads 0 K.""",
        separator=";",
        values_kwargs=reply(NUMBER, BITS),
    )

    limit_K = Instrument.control(
        "TLIMIT? {ch}",
        "TLIMIT {ch},%.0f",
        """Control the temperature above which all outputs switch off (float in K, 0 never).""",
        values_kwargs=reply(NUMBER),
    )


class CheckedOutput(FullMatch, LakeShoreHeaterChannel):  # type: ignore[misc] # untyped
    """A heater output, 1 to 4."""

    setpoint = Instrument.control(
        "SETP? {ch}",
        "SETP {ch},%.3f",
        """Control the setpoint (float in the units of the control input).

        Read early or during a ramp it may be the old or the working setpoint.""",
        values_kwargs=reply(NUMBER),
    )

    ramp = Instrument.control(
        "RAMP? {ch}",
        "RAMP {ch},%d,%.3f",
        """Control whether the setpoint ramps and how fast (tuple of bool and K/min).""",
        values_kwargs=reply("[01]", NUMBER, separator=","),
    )

    ramping_and_setpoint = Instrument.measurement(
        "RAMPST? {ch};SETP? {ch}",
        """Measure whether the setpoint is ramping (1 or 0), and the setpoint.""",
        separator=";",
        values_kwargs=reply("[01]", NUMBER),
    )

    mode = Instrument.control(
        "OUTMODE? {ch}",
        "OUTMODE {ch},%d,%d,%d",
        """Control mode (1 closed loop), input (1 to 4: A to D) and whether the heater stays on
        after a power cycle (1 or 0), as a tuple of int.""",
        cast=int,
        values_kwargs=reply(r"\d", r"\d", "[01]", separator=","),
    )

    heater_range = Instrument.control(
        "RANGE? {ch}",
        "RANGE {ch},%d",
        """Control the heater range: 0 off, 1 low, 2 medium, 3 high; 1 to 5 on a 350 (int).""",
        cast=int,
        values_kwargs=reply(r"\d"),
    )


class LakeShore336(FullMatch, LakeShore3xx):  # type: ignore[misc] # pymeasure is untyped
    """A Lake Shore 336."""

    input_A = Instrument.ChannelCreator(CheckedInput, "A")
    input_B = Instrument.ChannelCreator(CheckedInput, "B")
    input_C = Instrument.ChannelCreator(CheckedInput, "C")
    input_D = Instrument.ChannelCreator(CheckedInput, "D")
    output_1 = Instrument.ChannelCreator(CheckedOutput, 1)
    output_2 = Instrument.ChannelCreator(CheckedOutput, 2)
    output_3 = Instrument.ChannelCreator(CheckedOutput, 3)
    output_4 = Instrument.ChannelCreator(CheckedOutput, 4)
    _has_looked = False  # what happened before we came is nobody's fault

    def write(self, command: str, **how: Any) -> None:
        """Send a query as it is, and a command between two looks at the event register.

        The register keeps an error until somebody reads it, whoever caused it: the first look
        clears what is not ours, the second shows what this command did. Raises InstrumentError.
        """
        if "?" in command:
            super().write(command, **how)
            return
        looks = self.ask(f"*ESR?;{command};*ESR?", **reply(BITS, BITS))
        before, after = (int(bits) for bits in looks.split(";"))
        if before & ~1:
            level = logging.WARNING if self._has_looked else logging.INFO
            logger.log(level, "%s: %s before %r", self.name, _events(before), command)
        self._has_looked = True
        if after & ~1:
            raise InstrumentError(self.name, f"{command!r}: {_events(after)}")


class LakeShore335(LakeShore336):
    """A Lake Shore 335: inputs A and B, outputs 1 and 2."""

    input_C = input_D = None
    output_3 = output_4 = None


class LakeShore350(LakeShore336):
    """A Lake Shore 350, which differs by its heater ranges, 1 to 5."""


def _events(bits: int) -> str:
    known = {**EVENTS, POWER_ON: "power was off"}
    named = [text for bit, text in known.items() if bits & bit]
    return f"{', '.join(named) or 'event'} (*ESR {bits})"

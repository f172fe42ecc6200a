"""The SCPI dialects of the Keithley 2400 series and of the 2470: texts and numbers, no I/O.

Used by the drivers and by everything else that must bring a supply to zero without them.
Sources: Series 2400 SourceMeter User's Manual, sections 3, 14, 15, 18 and appendix B; 2470
Reference Manual 2470-901-01, section 12 (its ranges and steps: from memory, not verified).

- Numbers go out with fixed digits: `%g` has six and would send 1000.004 V as 1000.
- What is not finite, or is the instrument's own not-a-number +9.91E37, is refused in both ways.
- Over-voltage protection exists in steps up to 500 V; a value between two steps takes the lower.
- :OUTP:INT:TRIP? reads the other way round: 1 means that the output is allowed.
- The 2470 names its protection steps PROT20 to PROT500, and its errors carry severity and time.
"""

import re
from dataclasses import dataclass
from enum import IntFlag
from math import isfinite

__all__ = [
    "BOOLEAN",
    "CURRENT_RANGES_2470_A",
    "CURRENT_RANGES_A",
    "ERROR",
    "MAX_VOLTAGE_V",
    "MEASUREMENT",
    "MEASUREMENT_TWICE",
    "NUMBER",
    "PROTECTION_STEPS_V",
    "READING_2470",
    "READING_2470_TWICE",
    "SOURCE_RANGES_2470_V",
    "SOURCE_RANGES_V",
    "ErrorEntry",
    "Measurement",
    "MeasurementStatus",
    "Reading2470",
    "current_range_A",
    "format_current",
    "format_voltage",
    "max_current_2470_A",
    "max_current_A",
    "name_protection",
    "parse_error",
    "parse_measurement",
    "parse_number",
    "parse_protection",
    "parse_reading_2470",
    "protection_step",
    "source_range_V",
    "source_resolution_V",
]

SOURCE_RANGES_V = (0.2, 2.0, 20.0, 1000.0)
MAX_VOLTAGE_V = 1100.0
CURRENT_RANGES_A = (1e-6, 1e-5, 1e-4, 1e-3, 2e-2, 1e-1, 1.0)
PROTECTION_STEPS_V = (20.0, 40.0, 100.0, 200.0, 300.0, 400.0, 500.0)
SOURCE_RANGES_2470_V = (0.2, 2.0, 20.0, 200.0, 1000.0)
CURRENT_RANGES_2470_A = (1e-8, 1e-7, *CURRENT_RANGES_A[:4], 1e-2, 1e-1, 1.0)
LOWEST_LIMIT_OF_RANGE = 1e-3  # the current limit is at least this part of the measure range
NOT_A_NUMBER = 9.9e37

NUMBER = r"[+-]?\d+(?:\.\d*)?(?:[Ee][+-]?\d+)?"
BOOLEAN = "[01]"
# :READ? with VOLT,CURR,RES,TIME,STAT, and :SENS:CURR:PROT:TRIP? in the same message
MEASUREMENT = re.compile(rf"{NUMBER}(?:,{NUMBER}){{4}};{BOOLEAN}")
# :READ? with source and reading, then current limit, protection and output in the same message
READING_2470 = re.compile(rf"{NUMBER},{NUMBER}(?:;{BOOLEAN}){{3}}")
# and each a second time, from the instrument's memory
MEASUREMENT_TWICE = re.compile(rf"({MEASUREMENT.pattern});\1")
READING_2470_TWICE = re.compile(rf"({READING_2470.pattern});\1")
ERROR = re.compile(r'([+-]?\d+),"([^"]*)"')


class MeasurementStatus(IntFlag):
    """Bits of the status element of a reading."""

    OVERFLOW = 1 << 0
    COMPLIANCE = 1 << 3
    OVER_VOLTAGE = 1 << 4
    RANGE_COMPLIANCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading of the terminals."""

    voltage_V: float
    current_A: float
    status: MeasurementStatus
    is_limiting: bool  # the current limit holds the voltage down


@dataclass(frozen=True, slots=True)
class Reading2470:
    """One reading of the terminals of a 2470, and whether it means something."""

    voltage_V: float
    current_A: float
    is_limiting: bool
    is_protecting: bool
    is_output_on: bool


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One entry of the error queue; code 0 is the end of it."""

    code: int
    text: str


def format_voltage(voltage_V: float) -> str:
    """Return a voltage with microvolts. Raises ValueError if it is not finite."""
    return f"{_finite(voltage_V):.6f}"


def format_current(current_A: float) -> str:
    """Return a current with seven significant digits. Raises ValueError if it is not finite."""
    return f"{_finite(current_A):.6E}"


def parse_number(text: str) -> float:
    """Return the number. Raises ValueError for anything else, and for not-a-number."""
    if re.fullmatch(NUMBER, text) is None:
        raise ValueError(f"{text!r} is not a number")
    number = float(text)
    if abs(number) >= NOT_A_NUMBER:
        raise ValueError(f"{text!r} is the instrument's not-a-number")
    return number


def parse_measurement(text: str) -> Measurement:
    """Return the reading of `:READ?;:SENS:CURR:PROT:TRIP?`. Raises ValueError.

    The resistance may be not-a-number: nobody asked for it.
    """
    if MEASUREMENT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a reading of five elements and a trip flag")
    elements, tripped = text.split(";")
    voltage, current, _, _, status = elements.split(",")
    bits = MeasurementStatus(int(parse_number(status)))
    limiting = MeasurementStatus.COMPLIANCE | MeasurementStatus.RANGE_COMPLIANCE
    return Measurement(
        parse_number(voltage), parse_number(current), bits, tripped == "1" or bool(bits & limiting)
    )


def parse_reading_2470(text: str) -> Reading2470:
    """Return the reading and the three flags that come with it. Raises ValueError."""
    if READING_2470.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not source, reading and three flags")
    values, *flags = text.split(";")
    voltage, current = values.split(",")
    return Reading2470(
        parse_number(voltage), parse_number(current), *(flag == "1" for flag in flags)
    )


def parse_error(text: str) -> ErrorEntry:
    """Return one answer to :SYST:ERR?. Raises ValueError."""
    match = ERROR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an error entry")
    return ErrorEntry(int(match[1]), match[2])


def parse_protection(text: str) -> float | None:
    """Return the over-voltage protection in V, None where there is none. Raises ValueError."""
    text = text.upper().removeprefix("PROT")
    if text.startswith("NONE"):
        return None
    if re.fullmatch(NUMBER, text) is None:
        raise ValueError(f"{text!r} is neither a number nor NONE")
    voltage_V = abs(float(text))
    return voltage_V if voltage_V <= PROTECTION_STEPS_V[-1] else None


def name_protection(step_V: float | None) -> str:
    """Return the 2470's name of a protection step, as in PROT20; NONE for no protection."""
    return "NONE" if step_V is None else f"PROT{_finite(step_V):.0f}"


def source_range_V(max_voltage_V: float, ranges_V: tuple[float, ...] = SOURCE_RANGES_V) -> float:
    """Return the smallest source range that holds a voltage. Raises ValueError above 1100 V."""
    voltage_V = abs(_finite(max_voltage_V))
    if voltage_V > MAX_VOLTAGE_V:
        raise ValueError(f"{max_voltage_V} V: the source ends at {MAX_VOLTAGE_V} V")
    return next((r for r in ranges_V if voltage_V <= r), ranges_V[-1])


def source_resolution_V(source_range: float) -> float:
    """Return the step of the programmed level in a source range: 5e-5 of it, 50 mV at 1000 V."""
    return 5e-5 * source_range


def current_range_A(limit_A: float, ranges_A: tuple[float, ...] = CURRENT_RANGES_A) -> float:
    """Return the smallest measure range that holds a current limit.

    Raises ValueError for a limit that is not positive, above 1 A, or below 0.1 % of any range.
    """
    if not CURRENT_RANGES_A[0] * LOWEST_LIMIT_OF_RANGE <= limit_A <= CURRENT_RANGES_A[-1]:
        raise ValueError(f"current limit {limit_A} A: allowed 1 nA to {CURRENT_RANGES_A[-1]} A")
    return next(r for r in ranges_A if limit_A <= r)


def max_current_A(source_range: float) -> float:
    """Return the largest current limit in a source range: 22 W at most."""
    return 0.02 if source_range > 20.0 else 1.0


def max_current_2470_A(source_range: float) -> float:
    """Return the largest current limit in a source range of the 2470: 22 W at most."""
    return {1000.0: 0.02, 200.0: 0.1}.get(source_range, 1.0)


def protection_step(voltage_V: float | None) -> float | None:
    """Return the lowest protection step that lets a voltage through, None above the last."""
    if voltage_V is None:
        return None
    if not isfinite(voltage_V):
        raise ValueError(f"protection {voltage_V} V: allowed are {PROTECTION_STEPS_V} V or none")
    return next((step for step in PROTECTION_STEPS_V if step >= abs(voltage_V)), None)


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"{value} is not finite")
    return value

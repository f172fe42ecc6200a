"""What a SCPI setting accepts and how it is given back."""

from dataclasses import dataclass
from math import isnan
from typing import Protocol, TypeVar

from simulators.scpi import ScpiError

__all__ = ["Choice", "Real", "Setting", "Switch", "Whole", "real"]

OUT_OF_RANGE = ScpiError(-222, "Parameter data out of range")
ILLEGAL = ScpiError(-224, "Illegal parameter value")
NOT_A_NUMBER = ScpiError(-104, "Data type error")
MISSING = ScpiError(-109, "Missing parameter")
NOT_ALLOWED = ScpiError(-108, "Parameter not allowed")

Value = TypeVar("Value")
Stored = float | int | bool | str


class Setting(Protocol):
    """One setting: its value after *RST, and how it is written and read."""

    @property
    def default(self) -> Stored: ...

    def parse(self, text: str) -> Stored:
        """Return the value of a parameter. Raises ScpiError."""
        ...

    def show(self, value: Stored) -> str: ...


def real(value: float) -> str:
    """Return a number as the instrument writes it, as in +1.000206E+00."""
    return f"{value:+.6E}"


def _number(text: str, low: float, high: float, default: float) -> float:
    word = text.upper()
    if word in ("MIN", "MINIMUM"):
        return low
    if word in ("MAX", "MAXIMUM"):
        return high
    if word in ("DEF", "DEFAULT"):
        return default
    try:
        value = float(text)
    except ValueError:
        raise NOT_A_NUMBER from None
    if isnan(value) or "_" in text:
        raise NOT_A_NUMBER
    if not low <= value <= high:
        raise OUT_OF_RANGE
    return value


@dataclass(frozen=True, slots=True)
class Real:
    """A real number within bounds."""

    default: float
    low: float
    high: float

    def parse(self, text: str) -> float:
        return _number(text, self.low, self.high, self.default)

    def show(self, value: Stored) -> str:
        return real(float(value))


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    default: int
    low: int
    high: int

    def parse(self, text: str) -> int:
        return round(_number(text, self.low, self.high, self.default))

    def show(self, value: Stored) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """ON or OFF, 1 or 0."""

    default: bool

    def parse(self, text: str) -> bool:
        word = text.upper()
        if word in ("ON", "1"):
            return True
        if word in ("OFF", "0"):
            return False
        raise ILLEGAL

    def show(self, value: Stored) -> str:
        return "1" if value else "0"


class Choice:
    """One of some words, spelled in full or by their capitals; kept in the short form."""

    def __init__(self, *words: str) -> None:
        self._short = {}
        for word in words:
            short = "".join(letter for letter in word if not letter.islower())
            self._short[short] = self._short[word.upper()] = short
        self.default: Stored = next(iter(self._short.values()))

    def parse(self, text: str) -> str:
        try:
            return self._short[text.strip("\"'").upper()]
        except KeyError:
            raise ILLEGAL from None

    def show(self, value: Stored) -> str:
        return str(value)

"""What the boards of an Oxford Mercury are made of: leaves that are read and set, and units.

Every value travels as text with its unit, signals with an SI prefix where the unit says so
(n, u, m, none, k, M).
"""

from collections.abc import Callable
from dataclasses import dataclass
from re import compile as regex
from typing import Final

__all__ = ["Board", "Denied", "Leaf", "parse_number", "plain", "scaled", "switch"]

Read = Callable[[], str]
Write = Callable[[str], None]

_NUMBER = regex(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
PREFIXES: Final = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}


class Denied(Exception):  # noqa: N818 - the instrument's word
    """There is such a leaf, and it is not to be set."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a board; one without `write` can only be read."""

    read: Read
    write: Write | None = None

    def set(self, text: str) -> None:
        """Raises ValueError for what the leaf can't be, Denied where it can't be set."""
        if self.write is None:
            raise Denied
        self.write(text)


@dataclass(frozen=True, slots=True)
class Board:
    """One entry of the catalogue: address such as DEV:MB1.T1:TEMP, leaves such as LOOP:TSET."""

    address: str
    leaves: dict[str, Leaf]

    def find(self, words: list[str]) -> tuple[str, list[str]]:
        """Return the group and the names of leaves that the words mean: LOOP, [P, I, D].

        A group alone means all its leaves. Raises LookupError.
        """
        for split in range(len(words)):
            group, names = words[:split], words[split:]
            if all(":".join((*group, name)) in self.leaves for name in names):
                return ":".join(group), names
        prefix = ":".join(words) + ":" if words else ""
        names = [key.removeprefix(prefix) for key in self.leaves if key.startswith(prefix)]
        if not names:
            raise LookupError(words)
        return ":".join(words), names

    def pairs(self, words: list[str]) -> tuple[str, list[tuple[str, str]]]:
        """Return the group and the (name, value) pairs of a SET. Raises LookupError."""
        for split in range(len(words) - 1):
            group, rest = words[:split], words[split:]
            names = rest[::2]
            if len(rest) % 2 == 0 and all(":".join((*group, n)) in self.leaves for n in names):
                return ":".join(group), list(zip(names, rest[1::2], strict=True))
        raise LookupError(words)


def plain(value: float, unit: str = "", digits: int = 4) -> str:
    return f"{value:.{digits}f}{unit}"


def scaled(value: float, unit: str) -> str:
    """Return the value with the SI prefix that leaves one to three digits before the point."""
    for prefix, factor in reversed(PREFIXES.items()):
        if abs(value) >= factor:
            return f"{value / factor:.4f}{prefix}{unit}"
    return f"{value:.4f}{unit}" if value == 0.0 else f"{value / 1e-9:.4f}n{unit}"


def parse_number(text: str, unit: str, low: float, high: float) -> float:
    """Return the number, written with or without its unit. Raises ValueError."""
    number = text.removesuffix(unit) if unit else text
    prefix = number[-1:] if number != text and number[-1:] in PREFIXES else ""
    number = number.removesuffix(prefix)
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{text} is no number in {unit}")
    value = float(number) * PREFIXES[prefix]
    if not low <= value <= high:
        raise ValueError(f"{text} is outside {low} to {high} {unit}")
    return value


def switch(text: str) -> bool:
    """Return whether ON; ValueError for anything but ON and OFF."""
    if text not in ("ON", "OFF"):
        raise ValueError(text)
    return text == "ON"

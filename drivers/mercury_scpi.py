"""What an Oxford Mercury may answer to a message, as pure functions.

Its commands only look like SCPI: READ:<address>:<leaf> is answered STAT:<address>:<leaf>:<value>,
SET:<address>:<leaf>:<value> is answered STAT:SET:<address>:<leaf>:<value>:VALID. The reply
repeats the address, so that a late one is told from the right one. Errors are appended.
"""

import re
from functools import lru_cache
from itertools import pairwise

__all__ = ["error_in", "expected_reply", "quantity", "values_in"]

ERRORS = ("INVALID", "NOT_FOUND", "DENIED", "N/A")
KEYWORD = re.compile(r"[A-Z]{1,4}")
WORDS_THAT_ARE_VALUES = ("ON", "OFF", "FIX", "SWP")
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|inf|nan))([numkM]?)")
PREFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}
VALUE = "[^:]*"


@lru_cache(maxsize=256)
def expected_reply(message: str) -> re.Pattern[str]:
    """Return what a message may be answered, errors included. A bus address is left out.

    Groups of the pattern are the values, in the order of the leaves asked for.
    """
    message = re.sub(r"^@\d", "", message)
    if message == "*IDN?":
        return re.compile(r"IDN:(.*)")
    verb, *words = message.split(":")
    address, rest = (words[:1], words[1:]) if words[:1] == ["SYS"] else (words[:3], words[3:])
    error = "|".join(ERRORS)
    if verb == "SET":
        begin = "STAT:SET:" + re.escape(":".join(address))
        good = begin + "".join(
            f":{word}" if _is_keyword(word) else f":({VALUE}):(?:VALID|{error})" for word in rest
        )
    else:
        begin = "STAT:" + re.escape(":".join(address))
        last = ".*" if address == ["SYS"] else VALUE
        good = begin + _read_reply(rest, last)
    return re.compile(rf"{good}|{begin}(?::{VALUE})*:(?:{error})|{verb}(?::{words[0]})?:INVALID")


def _read_reply(words: list[str], last: str) -> str:
    """Return the leaves with their values; every word may be a leaf but the group before them."""
    *earlier, final = words
    told = "".join(f":{re.escape(word)}(?::({VALUE}))??" for word in earlier)
    return f"{told}:{re.escape(final)}:({last})"


def _is_keyword(word: str) -> bool:
    return KEYWORD.fullmatch(word) is not None and word not in WORDS_THAT_ARE_VALUES


def error_in(reply: str) -> str:
    """Return the error that a reply reports, "" if none."""
    return next((word for word in ERRORS if f":{word}" in reply), "")


def values_in(reply: str, *leaves: str) -> list[str]:
    """Return the values of these leaves, in this order. Raises LookupError for one not told."""
    words = reply.split(":")
    found = dict(pairwise(words))
    return [found[leaf] for leaf in leaves]


def quantity(text: str, unit: str = "") -> float:
    """Return the number with its SI prefix applied. Raises ValueError for anything else."""
    body = text.removesuffix(unit) if unit else text
    match = NUMBER.fullmatch(body)
    if match is None or (match[2] and body == text):
        raise ValueError(f"{text!r} is not a number in {unit or 'no unit'}")
    return float(match[1]) * PREFIXES[match[2]]

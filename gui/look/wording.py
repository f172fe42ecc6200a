"""Numbers and times as the panels say them."""

from datetime import datetime
from math import isfinite, log10
from pathlib import Path

from acquisition.configuration.quantity import key_of

__all__ = ["DASH", "ago", "at_time", "homely", "plain_name", "span", "value_text"]

DASH = "–"
# to the last place that such an instrument resolves, always as many: nothing jumps while it changes
_DECIMALS = {
    "K": 3,
    "degC": 1,
    "V": 3,
    "kV/cm": 2,
    "deg": 3,
    "nm": 3,
    "um": 3,
    "steps": 0,
    "%": 1,
}
_LEAST = {"A": 1e-13, "W": 1e-12}  # these span nine decades, and have prefixes
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))


def value_text(value: float | None, unit: str) -> str:
    """Return the value with its unit and the digits that mean something; a dash without one."""
    if value is None or not isfinite(value):
        return DASH
    if unit in _LEAST:
        return _prefixed(value, unit)
    if unit not in _DECIMALS:
        return f"{value:.6g} {unit}".rstrip()
    return f"{_fixed(value, _DECIMALS[unit])} {unit}"


def _prefixed(value: float, unit: str) -> str:
    """Return three digits with a prefix, and none that is below what can be measured."""
    size, prefix = next((one for one in _PREFIXES if abs(value) >= 0.9995 * one[0]), _PREFIXES[-1])
    finest = max(_LEAST[unit], abs(value) / 1000)
    decimals = min(2, max(0, round(-log10(finest / size))))
    return f"{_fixed(value / size, decimals)} {prefix}{unit}"


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def ago(seconds: float) -> str:
    """Return how old something is."""
    return "now" if seconds < 1.0 else f"{span(seconds)} ago"


def at_time(utc: float) -> str:
    """Return a moment as the clock on the wall shows it."""
    return datetime.fromtimestamp(utc).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """Return a length of time in at most two units."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{rest} s"


def homely(text: str) -> str:
    """Return a text in which the user's home folder is ~: shorter, and whose it is matters not."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def plain_name(channel: str) -> str:
    """Return a channel's name in words, without the unit at its end."""
    return key_of(channel).replace("_", " ")

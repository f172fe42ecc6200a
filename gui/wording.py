"""Numbers and times as the panels say them."""

from math import isfinite

from acquisition.configuration.quantity import key_of

__all__ = ["DASH", "ago", "plain_name", "span", "value_text"]

DASH = "–"


def value_text(value: float | None, unit: str, digits: int = 6) -> str:
    """Return the value with its unit; a dash where there is none."""
    if value is None or not isfinite(value):
        return DASH
    return f"{value:.{digits}g} {unit}".rstrip()


def ago(seconds: float) -> str:
    """Return how old something is."""
    return "now" if seconds < 1.0 else f"{span(seconds)} ago"


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


def plain_name(channel: str) -> str:
    """Return a channel's name in words, without the unit at its end."""
    return key_of(channel).replace("_", " ")

"""A law of a sweep as it is drawn over the parameters: plain values, JSON-serialisable."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

__all__ = ["LawOverlay", "overlays_from_json", "overlays_to_json"]


@dataclass(frozen=True, slots=True)
class LawOverlay:
    """One law of one series.

    same: the setpoints that the series shares. text: what was found, in words. line: which one, 0
    for all. x, y: the curve; at, value, error: the points it goes through. is_relative: y is in
    units of the mean area of line 1.
    """

    law: str
    same: Mapping[str, float]
    text: str
    verdict: str
    reason: str
    line: int = 0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    at: tuple[float, ...] = ()
    value: tuple[float, ...] = ()
    error: tuple[float, ...] = ()
    is_relative: bool = False


def overlays_to_json(overlays: tuple[LawOverlay, ...]) -> str:
    return json.dumps([asdict(overlay) for overlay in overlays])


def overlays_from_json(document: str) -> tuple[LawOverlay, ...]:
    """Return what overlays_to_json wrote. Raises ValueError for anything else."""
    return _OVERLAYS.validate_json(document)


_OVERLAYS = TypeAdapter(tuple[LawOverlay, ...])

"""What a fit is worth, in one word; each result carries the reason in words beside it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Verdict"]


class Verdict(Enum):
    CONVERGED = "converged"
    AT_A_BOUND = "at a bound"
    ILL_DETERMINED = "ill-determined"
    POOR_FIT = "poor fit"
    NO_SIGNAL = "no signal"
    FAILED = "failed"

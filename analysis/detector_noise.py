"""How the counts of a detector come from electrons, and with what noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["DetectorNoise"]


@dataclass(frozen=True, slots=True)
class DetectorNoise:
    """How counts come from electrons.

    gain_e_per_count: electrons per count. read_noise_e: standard deviation of one pixel as read.
    offset_counts: level of an unexposed pixel. saturation_counts: pixels at or above are masked.
    """

    gain_e_per_count: float = 1.0
    read_noise_e: float = 0.0
    offset_counts: float = 0.0
    saturation_counts: float = np.inf

    def __post_init__(self) -> None:
        if not (np.isfinite(self.gain_e_per_count) and self.gain_e_per_count > 0):
            raise ValueError(f"gain_e_per_count {self.gain_e_per_count} must be positive")
        if not (np.isfinite(self.read_noise_e) and self.read_noise_e >= 0):
            raise ValueError(f"read_noise_e {self.read_noise_e} must not be negative")

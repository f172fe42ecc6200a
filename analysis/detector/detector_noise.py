"""How the counts of a detector come from electrons, and with what noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["UNEVEN_RESPONSE", "DetectorNoise"]

UNEVEN_RESPONSE = 0.018  # 5 % of ripple from top to bottom: usual for a window without a flat field


@dataclass(frozen=True, slots=True)
class DetectorNoise:
    """How counts come from electrons.

    gain_e_per_count: electrons per count. read_noise_e: standard deviation of one pixel as read.
    offset_counts: level of an unexposed pixel. saturation_counts: pixels at or above are masked.
    response_error: rms of what a flat field would even out, such as the ripple of a window, as a
    share of the light; smaller where the response is known. What it could feign is no further line.
    """

    gain_e_per_count: float = 1.0
    read_noise_e: float = 0.0
    offset_counts: float = 0.0
    saturation_counts: float = np.inf
    response_error: float = UNEVEN_RESPONSE

    def __post_init__(self) -> None:
        if not (np.isfinite(self.gain_e_per_count) and self.gain_e_per_count > 0):
            raise ValueError(f"gain_e_per_count {self.gain_e_per_count} must be positive")
        if not (np.isfinite(self.read_noise_e) and self.read_noise_e >= 0):
            raise ValueError(f"read_noise_e {self.read_noise_e} must not be negative")
        if not (np.isfinite(self.response_error) and 0 <= self.response_error < 1):
            raise ValueError(f"response_error {self.response_error} must be from 0 to below 1")

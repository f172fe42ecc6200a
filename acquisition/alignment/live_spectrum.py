"""The spectrum that was seen last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.messages import LiveExposure

__all__ = ["LiveSpectrum"]


@dataclass(frozen=True, slots=True)
class LiveSpectrum:
    """Counts and wavelengths in vacuum, (pixels,) both; how and when it was taken."""

    counts: NDArray[np.generic]
    wavelength_nm: NDArray[np.float64]
    exposure: LiveExposure
    utc: float

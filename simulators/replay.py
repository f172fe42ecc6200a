"""Measured spectra in place of the nanocrystal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A measured bias series that the camera shows by the voltage across the gap.

    voltage_V: (n,); counts: (n, pixels), int32, shown unchanged; wavelength_nm: (pixels,).
    Raises ValueError when the shapes do not fit, or when counts are not whole numbers.
    """

    voltage_V: NDArray[np.float64]
    counts: NDArray[np.int32]
    wavelength_nm: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.counts.dtype != np.int32:
            raise ValueError(f"replay: counts are {self.counts.dtype}, not int32")
        expected = (self.voltage_V.size, self.wavelength_nm.size)
        if self.counts.shape != expected or not all(expected):
            raise ValueError(
                f"replay: counts of shape {self.counts.shape} do not fit {expected[0]} voltages "
                f"and {expected[1]} wavelengths"
            )
        if not np.all(np.isfinite(self.voltage_V)):
            raise ValueError("replay: voltage_V holds values that are not finite")

    @property
    def pixels(self) -> int:
        """The number of pixels of each spectrum."""
        return int(self.wavelength_nm.size)

    def counts_at(self, gap_voltage_V: float) -> NDArray[np.int32]:
        """Return a copy of the spectrum whose voltage is nearest."""
        nearest = int(np.argmin(np.abs(self.voltage_V - gap_voltage_V)))
        return np.array(self.counts[nearest])

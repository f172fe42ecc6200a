"""A spectrum to compare with: one that was seen before, or one from a file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.readers.read_any import read_any
from analysis.wavelength.units import HC_EV_NM
from gui.live.live_frames import LiveSpectrum

__all__ = ["Reference", "reference_from", "reference_in"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """wavelength_nm: in vacuum. values: counts per second above the offset, or of unknown scale
    where is_scaled is not set: then they are drawn as high as the live spectrum."""

    name: str
    wavelength_nm: Array
    values: Array
    has_scale: bool

    @property
    def energy_eV(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.wavelength_nm > 0, HC_EV_NM / self.wavelength_nm, np.nan)

    def beside(self, live: LiveSpectrum, offset_counts: float) -> Array:
        """Return its counts on the scale of a live spectrum."""
        if self.has_scale:
            return self.values * live.exposure_s + offset_counts
        low, high = np.nanmin(self.values), np.nanmax(self.values)
        floor, peak = float(np.median(live.counts)), float(live.counts.max())
        return floor + (self.values - low) * (peak - floor) / max(high - low, 1e-12)


def reference_from(live: LiveSpectrum, offset_counts: float) -> Reference:
    """Keep what is seen now."""
    values = (live.counts - offset_counts) / live.exposure_s
    return Reference("kept", live.wavelength_nm, values, has_scale=True)


def reference_in(path: Path) -> Reference:
    """Return the first spectrum of any known file. Raises OSError, ValueError."""
    measured = read_any(path)
    counts = np.asarray(measured.counts, dtype=np.float64)
    first = counts.reshape(-1, counts.shape[-1])[0]
    wavelength_nm = np.asarray(measured.wavelength_nm, dtype=np.float64)
    return Reference(path.name, wavelength_nm.reshape(-1, first.size)[0], first, has_scale=False)

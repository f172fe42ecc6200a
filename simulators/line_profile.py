"""Spectra of many lines, synthesised in Fourier space and integrated over pixels.

There a line is a phase, a Lorentzian an exponential, the ladder of phonon replicas an exponential
of exponentials, and the instrument profile a factor; all of it is exact, and any sub-pixel shift
of the finished spectrum is one interpolation of its cumulative integral.
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from simulators.truth import ProfileTruth

__all__ = ["EnergyGrid", "PixelSpectrum", "instrument_transfer", "lorentzian_transfer"]

Transfer = NDArray[np.complex128]
FWHM_PER_SIGMA = sqrt(8.0 * log(2.0))


@dataclass(frozen=True, slots=True)
class EnergyGrid:
    """Energies from -size/2 to size/2 steps around a line, and the conjugate frequencies."""

    step_meV: float
    size: int = 16384

    def frequencies_per_meV(self) -> NDArray[np.float64]:
        """Return the angular frequencies of the real transform."""
        return np.asarray(2.0 * np.pi * np.fft.rfftfreq(self.size, self.step_meV))


def lorentzian_transfer(k: NDArray[np.float64], fwhm_meV: float) -> NDArray[np.float64]:
    """Return the transform of a Lorentzian of area 1."""
    return np.asarray(np.exp(-0.5 * fwhm_meV * np.abs(k)))


def instrument_transfer(
    k: NDArray[np.float64], profile: ProfileTruth, core_fwhm_meV: float
) -> Transfer:
    """Return the transform of the instrument profile of area 1, its core at 0.

    The tail falls exponentially to the red, the wings are Lorentzian; both are images of the core.
    """
    core = np.exp(-0.5 * (core_fwhm_meV / FWHM_PER_SIGMA * k) ** 2)
    tail = 1.0 / (1.0 - 1j * k * profile.tail_length_cores * core_fwhm_meV)
    wings = lorentzian_transfer(k, profile.wings_fwhm_cores * core_fwhm_meV)
    rest = 1.0 - profile.tail_weight - profile.wings_weight
    return np.asarray(core * (rest + profile.tail_weight * tail + profile.wings_weight * wings))


class PixelSpectrum:
    """A spectrum on an energy grid that can be laid on pixels at any energy."""

    def __init__(self, grid: EnergyGrid, transfer: Transfer) -> None:
        """transfer: Fourier transform of the density at the grid's frequencies, offset 0."""
        k = grid.frequencies_per_meV()
        size, step = grid.size, grid.step_meV
        centred = np.array(transfer)
        centred[1::2] *= -1.0  # energy 0 at the middle of the grid
        self._step_meV = step
        self._middle = size // 2
        self._last = size - 2
        self._density = np.fft.irfft(centred, size)  # per step
        integral = np.zeros_like(centred)
        integral[1:] = centred[1:] / (1j * k[1:] * step)
        mean = float(centred[0].real) / size
        self._cumulative = np.fft.irfft(integral, size) + mean * np.arange(size)

    def electrons(
        self,
        edges_meV: NDArray[np.float64],
        shifts_meV: NDArray[np.float64],
        amounts: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return what each pixel receives from copies of the spectrum.

        edges_meV: (pixels + 1,), falling; shifts_meV and amounts: (copies,).
        """
        position = (edges_meV - shifts_meV[:, None]) / self._step_meV + self._middle
        np.clip(position, 0.0, self._last, out=position)
        cell = position.astype(np.intp)
        np.minimum(cell, self._last - 1, out=cell)
        t = position - cell
        lower, upper = self._cumulative[cell], self._cumulative[cell + 1]
        d0, d1 = self._density[cell], self._density[cell + 1]
        rise = upper - lower
        # Hermite's cubic: the density is the slope of the cumulative integral
        cumulative = lower + t * (
            d0 + t * (3.0 * rise - 2.0 * d0 - d1 + t * (d0 + d1 - 2.0 * rise))
        )
        along = amounts @ cumulative
        return np.maximum(along[:-1] - along[1:], 0.0)

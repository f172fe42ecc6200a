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

Floats = NDArray[np.float64]
Transfer = NDArray[np.complex128]
ONE_COMPONENT = np.ones(1)
FWHM_PER_SIGMA = sqrt(8.0 * log(2.0))


@dataclass(frozen=True, slots=True)
class EnergyGrid:
    """Energies from -size/2 to size/2 steps around a line, and the conjugate frequencies."""

    step_meV: float
    size: int = 16384

    def frequencies_per_meV(self) -> Floats:
        """Return the angular frequencies of the real transform."""
        return np.asarray(2.0 * np.pi * np.fft.rfftfreq(self.size, self.step_meV))


def lorentzian_transfer(k: Floats, fwhm_meV: float) -> Floats:
    """Return the transform of a Lorentzian of area 1."""
    return np.asarray(np.exp(-0.5 * fwhm_meV * np.abs(k)))


def instrument_transfer(k: Floats, profile: ProfileTruth, core_fwhm_meV: float) -> Transfer:
    """Return the transform of the instrument profile of area 1, its core at 0.

    The tail falls exponentially to the red, the wings are Lorentzian; both are images of the core.
    """
    core = np.exp(-0.5 * (core_fwhm_meV / FWHM_PER_SIGMA * k) ** 2)
    tail = 1.0 / (1.0 - 1j * k * profile.tail_length_cores * core_fwhm_meV)
    wings = lorentzian_transfer(k, profile.wings_fwhm_cores * core_fwhm_meV)
    rest = 1.0 - profile.tail_weight - profile.wings_weight
    return np.asarray(core * (rest + profile.tail_weight * tail + profile.wings_weight * wings))


class PixelSpectrum:
    """A spectrum of one or several components that can be laid on pixels at any energy."""

    def __init__(self, grid: EnergyGrid, transfer: Transfer) -> None:
        """transfer: Fourier transforms of the densities at the grid's frequencies, offset 0,
        (frequencies,) or (components, frequencies).
        """
        k = grid.frequencies_per_meV()
        size, step = grid.size, grid.step_meV
        centred = np.array(np.atleast_2d(transfer))
        centred[:, 1::2] *= -1.0  # energy 0 at the middle of the grid
        self._step_meV = step
        self._middle = size // 2
        self._density = np.fft.irfft(centred, size)  # per step
        self._density[:, [0, -1]] = 0.0  # beyond the grid there is no light
        integral = np.zeros_like(centred)
        integral[:, 1:] = centred[:, 1:] / (1j * k[1:] * step)
        mean = centred[:, :1].real / size
        self._cumulative = np.fft.irfft(integral, size) + mean * np.arange(size)

    def electrons(
        self,
        edges_meV: Floats,
        shifts_meV: Floats,
        amounts: Floats,
        shares: Floats = ONE_COMPONENT,
    ) -> Floats:
        """Return what each pixel receives from copies of the spectrum.

        edges_meV: (pixels + 1,), falling; shifts_meV and amounts: (copies,); shares: how much of
        each component is in the light, (components,).
        """
        position = (edges_meV - shifts_meV[0]) / self._step_meV
        first, last = int(np.floor(position[-1])) - 2, int(np.floor(position[0])) + 3
        offsets = (shifts_meV[0] - shifts_meV) / self._step_meV
        cumulative = self._sum_of_copies(first, last, offsets, amounts, shares)
        along = _interpolated(cumulative, position - first)
        return np.maximum(along[:-1] - along[1:], 0.0)

    def _sum_of_copies(
        self, first: int, last: int, offsets: Floats, amounts: Floats, shares: Floats
    ) -> Floats:
        """Return the cumulative integral of all copies at the grid's points first to last.

        Each copy is Hermite's cubic between two points of the grid, which is linear in the values
        there: all copies are one correlation with the weights they give to the points.
        """
        cell = np.floor(offsets)
        t = offsets - cell
        place = (cell - cell.min()).astype(np.intp)
        width = int(place.max()) + 2
        start = first + int(cell.min()) + self._middle
        points = np.arange(start, start + last - first + width)
        rise = t * t * (3.0 - 2.0 * t)
        weights = _deposited(place, width, amounts * (1.0 - rise), amounts * rise)
        slopes = _deposited(place, width, amounts * t * (1.0 - t) ** 2, amounts * t * t * (t - 1.0))
        cumulative = shares @ self._cumulative.take(points, axis=1, mode="clip")
        density = shares @ self._density.take(points, axis=1, mode="clip")
        return np.correlate(cumulative, weights) + np.correlate(density, slopes)


def _deposited(place: NDArray[np.intp], width: int, here: Floats, following: Floats) -> Floats:
    return np.asarray(
        np.bincount(place, here, width) + np.bincount(place + 1, following, width), float
    )


def _interpolated(values: Floats, position: Floats) -> Floats:
    """Return a smooth function between its values on a grid, by Hermite's cubic.

    Slopes are central differences of fourth order: positions keep 2 points from either end.
    """
    slopes = np.zeros_like(values)
    slopes[2:-2] = (8.0 * (values[3:-1] - values[1:-3]) - values[4:] + values[:-4]) / 12.0
    cell = position.astype(np.intp)
    t = position - cell
    lower, d0, d1 = values[cell], slopes[cell], slopes[cell + 1]
    rise = values[cell + 1] - lower
    return np.asarray(
        lower + t * (d0 + t * (3.0 * rise - 2.0 * d0 - d1 + t * (d0 + d1 - 2.0 * rise)))
    )

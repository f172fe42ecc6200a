"""A spectrum model as a table of lines: what each line's centre, width and area are made of.

Fine structure, mirrored lines, copies at fixed offsets and profile tails are rows of this table,
not code. The expected counts are the integral of each line over each pixel, so that neither the
change from wavelength to energy nor the finite pixel needs a correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["Line", "LineTable", "Shape"]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))


class Shape(Enum):
    GAUSS = "gauss"
    LORENTZ = "lorentz"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the names of the parameters that make up this line.

    centre: parameters in eV that are added, each with a factor; offset_eV is added too.
    width: one parameter, the full width at half maximum in eV.
    area: parameters that are multiplied, at most three; the result is in electrons.
    """

    centre: tuple[tuple[str, float], ...]
    width: str
    area: tuple[str, ...]
    shape: Shape = Shape.GAUSS
    offset_eV: float = 0.0


class LineTable:
    """Lines and a polynomial background, ready to be evaluated for many spectra at once.

    names: every parameter once, in order of appearance, then background_0 (counts per pixel in the
    middle of the window), background_1 (added linearly towards its ends), ...
    """

    def __init__(self, lines: Sequence[Line], *, background_order: int) -> None:
        named = [
            name
            for line in lines
            for name in (*(name for name, _ in line.centre), line.width, *line.area)
        ]
        background = [f"background_{k}" for k in range(background_order + 1)]
        self.lines = tuple(lines)
        self.names = (*dict.fromkeys(named), *background)
        place = {name: i for i, name in enumerate(self.names)}
        size = (len(lines), len(self.names))
        self._first_background = len(self.names) - len(background)
        self._centre, self._width = np.zeros(size), np.zeros(size)
        # Factors beyond a line's own point at the 1 that is appended to the parameters.
        self._factors = np.full((len(lines), 3), len(self.names))
        for row, line in enumerate(lines):
            for name, factor in line.centre:
                self._centre[row, place[name]] += factor
            self._width[row, place[line.width]] = 1.0
            self._factors[row, : len(line.area)] = [place[name] for name in line.area]
        self._offset = np.array([line.offset_eV for line in lines])
        self._is_gauss = np.array([line.shape is Shape.GAUSS for line in lines])

    def evaluate(
        self, parameters: NDArray[np.float64], edges_eV: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return expected counts per pixel and their derivatives.

        parameters: shape (spectra, parameters); edges_eV: shape (pixels + 1,), or with its own
        window for each spectrum (spectra, pixels + 1); rising or falling.
        Result: shapes (spectra, pixels) and (spectra, parameters, pixels).
        """
        direction = float(np.sign(edges_eV.flat[edges_eV.shape[-1] - 1] - edges_eV.flat[0]))
        centre = parameters @ self._centre.T + self._offset
        width = (parameters @ self._width.T)[..., None]
        place = (edges_eV[..., None, :] - centre[..., None]) / width
        below, density = self._cumulated(place)
        factors = np.concatenate([parameters, np.ones((len(parameters), 1))], axis=1)[
            :, self._factors
        ]
        area = factors.prod(axis=2)[..., None]
        part = direction * np.diff(below)
        slope = (-direction * area / width) * np.diff(density)
        stretch = (-direction * area / width) * np.diff(density * place)
        jacobian = self._centre.T @ slope + self._width.T @ stretch
        jacobian += self._area_derivatives(factors) @ part
        powers = _background_basis(edges_eV.shape[-1] - 1, len(self.names) - self._first_background)
        jacobian[:, self._first_background :, :] = powers
        counts = (area * part).sum(axis=1) + parameters[:, self._first_background :] @ powers
        return counts, jacobian

    def _cumulated(
        self, place: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the part of each line below each edge and its derivative; place in FWHM."""
        if self._is_gauss.all():
            return _gauss(place)
        if not self._is_gauss.any():
            return _lorentz(place)
        below, density = _lorentz(place)
        below[:, self._is_gauss], density[:, self._is_gauss] = _gauss(place[:, self._is_gauss])
        return below, density

    def _area_derivatives(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        spectra, lines, _ = factors.shape
        derivative = np.zeros((spectra, len(self.names) + 1, lines))
        for row in range(lines):
            for k in range(3):
                others = factors[:, row, (k + 1) % 3] * factors[:, row, (k + 2) % 3]
                derivative[:, self._factors[row, k], row] += others
        return derivative[:, :-1, :]


@lru_cache(maxsize=64)
def _background_basis(pixels: int, orders: int) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.linspace(-1.0, 1.0, pixels) ** np.arange(orders)[:, None]
    powers.flags.writeable = False
    return powers


def _gauss(place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sigmas = _SIGMAS_PER_FWHM * place
    density = (_SIGMAS_PER_FWHM / np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * sigmas**2)
    return ndtr(sigmas), density


def _lorentz(place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return 0.5 + np.arctan(2.0 * place) / np.pi, (2.0 / np.pi) / (1.0 + 4.0 * place**2)

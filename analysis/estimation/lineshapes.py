"""Line shapes of unit area and their derivatives: at points, and integrated over pixels.

Widths are full widths at half maximum, the unit is that of the axis. A Voigt profile is the real
part of the Faddeeva function w, and w' = -2 z w + 2i/sqrt(pi) gives every derivative with it.
Sources: G. P. M. Poppe and C. M. J. Wijers, ACM Trans. Math. Softw. 16, 38 (1990), for w near the
origin, by way of scipy; its asymptotic series beyond |z| = 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, wofz

__all__ = [
    "PixelShape",
    "gauss",
    "gauss_in_pixels",
    "lorentz",
    "lorentz_in_pixels",
    "voigt",
    "voigt_at_edges",
    "voigt_fwhm",
    "voigt_in_pixels",
]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_ROOT_PI, _ROOT_2 = float(np.sqrt(np.pi)), float(np.sqrt(2.0))


@dataclass(frozen=True, slots=True)
class PixelShape:
    """A line of unit area: what falls at each place, or into each pixel, and its derivatives.

    by_width: with respect to each width, in the order of the arguments.
    """

    part: Array
    by_centre: Array
    by_width: tuple[Array, ...]


def gauss(place: ArrayLike, *, centre: float, fwhm: float) -> PixelShape:
    """Return a Gaussian at each place."""
    sigma = _positive(fwhm, "fwhm") / _SIGMAS_PER_FWHM
    u = (np.asarray(place, dtype=np.float64) - centre) / sigma
    value = np.exp(-0.5 * u**2) / (sigma * _ROOT_2 * _ROOT_PI)
    return PixelShape(value, value * u / sigma, (value * (u**2 - 1.0) / fwhm,))


def lorentz(place: ArrayLike, *, centre: float, fwhm: float) -> PixelShape:
    """Return a Lorentzian at each place."""
    half = 0.5 * _positive(fwhm, "fwhm")
    u = (np.asarray(place, dtype=np.float64) - centre) / half
    value = 1.0 / (np.pi * half * (1.0 + u**2))
    by_centre = 2.0 * value * u / (half * (1.0 + u**2))
    return PixelShape(value, by_centre, (value * (u**2 - 1.0) / (fwhm * (1.0 + u**2)),))


def voigt(place: ArrayLike, *, centre: float, gauss_fwhm: float, lorentz_fwhm: float) -> PixelShape:
    """Return a Voigt profile at each place; one of the widths may be 0."""
    scale = _VoigtScale.of(gauss_fwhm, lorentz_fwhm)
    w = _faddeeva(scale.argument(np.asarray(place, dtype=np.float64) - centre), order=2)
    value, slope, curvature = (scale.derivative(w, n) for n in range(3))
    # V obeys the heat equation in sigma^2 / 2, and is a harmonic function of place and gamma.
    by_gauss = scale.sigma * curvature / _SIGMAS_PER_FWHM
    by_lorentz = -0.5 * scale.derivative(w, 1, of_real_part=False)
    return PixelShape(value, -slope, (by_gauss, by_lorentz))


def gauss_in_pixels(edges: ArrayLike, *, centre: float, fwhm: float) -> PixelShape:
    """Return the part of a Gaussian in each pixel; edges: shape (pixels + 1,), rising or falling.

    Raises ValueError for fewer than two edges or edges that are not in order.
    """
    place, direction = _edges(edges)
    at_edge = gauss(place, centre=centre, fwhm=fwhm)
    u = (place - centre) * _SIGMAS_PER_FWHM / fwhm
    # Both tails from the side on which they are small: a difference near 1 would lose digits.
    tail = ndtr(-np.abs(u))
    mixed = u[1:] * u[:-1] < 0
    part = np.where(mixed, 1.0 - tail[1:] - tail[:-1], np.abs(np.diff(tail)))
    density = at_edge.part
    by_width = -direction * np.diff(density * (place - centre)) / fwhm
    return PixelShape(part, -direction * np.diff(density), (by_width,))


def lorentz_in_pixels(edges: ArrayLike, *, centre: float, fwhm: float) -> PixelShape:
    """Return the part of a Lorentzian in each pixel; see gauss_in_pixels."""
    place, direction = _edges(edges)
    density = lorentz(place, centre=centre, fwhm=fwhm).part
    u = 2.0 * (place - centre) / fwhm
    # arctan of the quotient, since far from the line the difference of two would lose digits.
    opened = np.arctan2(np.abs(np.diff(u)), 1.0 + u[1:] * u[:-1]) / np.pi
    by_width = -direction * np.diff(density * (place - centre)) / fwhm
    return PixelShape(opened, -direction * np.diff(density), (by_width,))


def voigt_in_pixels(
    edges: ArrayLike, *, centre: float, gauss_fwhm: float, lorentz_fwhm: float
) -> PixelShape:
    """Return the part of a Voigt profile in each pixel; one width may be 0; see gauss_in_pixels.

    Derivatives are exact. The part comes from value and three derivatives at the edges (two-point
    Hermite quadrature), of pixels divided until they are narrow enough for 1e-9 of the peak.
    """
    place, direction = _edges(edges)
    scale = _VoigtScale.of(gauss_fwhm, lorentz_fwhm)
    part, by_centre, by_gauss, by_lorentz = _voigt_in_pixels(place - centre, scale)
    return PixelShape(
        direction * part, direction * by_centre, (direction * by_gauss, direction * by_lorentz)
    )


def voigt_at_edges(
    place: Array, gauss_fwhm: Array, lorentz_fwhm: Array
) -> tuple[Array, Array, Array, Array]:
    """Return what voigt_in_pixels does, for many lines at once and unchecked.

    place: of the edges from each line's centre, (..., pixels + 1), rising; falling turns the sign
    of everything. Widths: (..., 1); those that no line can have give numbers that are not finite.
    Result: part, by_centre, by_gauss, by_lorentz.
    """
    gamma = 0.5 * lorentz_fwhm
    sigma = np.maximum(gauss_fwhm / _SIGMAS_PER_FWHM, _LEAST_SIGMA * gamma)
    return _voigt_in_pixels(place, _VoigtScale(sigma, gamma))


_MOST_PIECES = 64


def _voigt_in_pixels(place: Array, scale: _VoigtScale) -> tuple[Array, Array, Array, Array]:
    narrowest = np.min(np.maximum(0.5 * scale.sigma, 0.35 * scale.gamma))
    widest = float(np.abs(np.diff(place)).max())
    pieces = int(np.clip(np.ceil(widest / max(narrowest, 1e-300)), 1, _MOST_PIECES))
    fine = _divided(place, pieces)
    w = _faddeeva(scale.argument(fine), order=3)
    f0, f1, f2, f3 = (scale.derivative(w, n) for n in range(4))
    h = np.diff(fine)
    integral = 0.5 * h * (f0[..., 1:] + f0[..., :-1]) - (3.0 / 28.0) * h**2 * np.diff(f1)
    integral += h**3 / 84.0 * (f2[..., 1:] + f2[..., :-1]) - h**4 / 1680.0 * np.diff(f3)
    part = integral.reshape(*integral.shape[:-1], -1, pieces).sum(axis=-1)
    f0, f1 = f0[..., ::pieces], f1[..., ::pieces]
    conjugate = scale.derivative(w, 0, of_real_part=False)[..., ::pieces]
    by_gauss = scale.sigma * np.diff(f1) / _SIGMAS_PER_FWHM
    return part, -np.diff(f0), by_gauss, -0.5 * np.diff(conjugate)


def voigt_fwhm(gauss_fwhm: float, lorentz_fwhm: float) -> float:
    """Return the full width at half maximum of a Voigt profile, to 1e-12."""
    if lorentz_fwhm == 0.0:
        return _positive(gauss_fwhm, "gauss_fwhm")
    # Start: J. J. Olivero and R. L. Longbothum, J. Quant. Spectrosc. 17, 233 (1977), good to 2e-4.
    width = 0.5346 * lorentz_fwhm + np.sqrt(0.2166 * lorentz_fwhm**2 + gauss_fwhm**2)
    for _ in range(4):
        at = voigt([0.0, 0.5 * width], centre=0.0, gauss_fwhm=gauss_fwhm, lorentz_fwhm=lorentz_fwhm)
        width += 2.0 * (at.part[1] - 0.5 * at.part[0]) / at.by_centre[1]
    return float(width)


_LEAST_SIGMA = 1e-6  # of gamma: a Lorentzian is the Voigt profile of this much Gaussian, to 1e-11


@dataclass(frozen=True, slots=True)
class _VoigtScale:
    """Standard deviation of the Gaussian and half width of the Lorentzian, of one line or many."""

    sigma: float | Array
    gamma: float | Array

    @classmethod
    def of(cls, gauss_fwhm: float, lorentz_fwhm: float) -> _VoigtScale:
        for name, width in (("gauss_fwhm", gauss_fwhm), ("lorentz_fwhm", lorentz_fwhm)):
            if not (np.isfinite(width) and width >= 0.0):
                raise ValueError(f"{name} {width} must be finite and not negative")
        if gauss_fwhm == lorentz_fwhm == 0.0:
            raise ValueError("gauss_fwhm and lorentz_fwhm are both 0: that line has no shape")
        gamma = 0.5 * lorentz_fwhm
        return cls(max(gauss_fwhm / _SIGMAS_PER_FWHM, _LEAST_SIGMA * gamma), gamma)

    def argument(self, place: Array) -> Complex:
        z = (place + 1j * self.gamma) / (self.sigma * _ROOT_2)
        return np.asarray(z, dtype=np.complex128)

    def derivative(self, w: list[Complex], order: int, *, of_real_part: bool = True) -> Array:
        """Return the derivative with respect to place of V, or of its conjugate function."""
        factor = 1.0 / (self.sigma * _ROOT_2) ** (order + 1) / _ROOT_PI
        return np.asarray(factor * (w[order].real if of_real_part else w[order].imag))


_FAR = 8.0
_SERIES = (1.0, 0.5, 0.75, 1.875, 6.5625, 29.53125, 162.421875, 1055.7421875)  # (2k-1)!!/2^k


def _faddeeva(z: Complex, *, order: int) -> list[Complex]:
    """Return w and its derivatives up to an order, z in the upper half plane."""
    near = z.real**2 + z.imag**2 < _FAR**2
    derivatives = [np.empty_like(z) for _ in range(order + 1)]
    for out, far in zip(derivatives, _far(z[~near], order), strict=True):
        out[~near] = far
    for out, close in zip(derivatives, _near(z[near], order), strict=True):
        out[near] = close
    return derivatives


def _near(z: Complex, order: int) -> list[Complex]:
    w = [np.asarray(wofz(z))]
    w.append(-2.0 * z * w[0] + 2j / _ROOT_PI)
    for n in range(2, order + 1):
        w.append(-2.0 * z * w[n - 1] - 2.0 * (n - 1) * w[n - 2])
    return w[: order + 1]


def _far(z: Complex, order: int) -> list[Complex]:
    """Return the asymptotic series, derived term by term: the recurrence loses digits out here."""
    inverse = 1.0 / z
    square = inverse * inverse
    power = (1j / _ROOT_PI) * inverse
    coefficients = list(_SERIES)
    w = []
    for n in range(order + 1):
        total = np.full_like(z, coefficients[-1])
        for c in reversed(coefficients[:-1]):
            total = total * square + c
        w.append(total * power)
        power = power * inverse
        coefficients = [-c * (2 * k + 1 + n) for k, c in enumerate(coefficients)]
    return w


def _divided(edges: Array, pieces: int) -> Array:
    if pieces == 1:
        return edges
    fraction = np.arange(pieces) / pieces
    inner = edges[..., :-1, None] + np.diff(edges)[..., None] * fraction
    flat = inner.reshape(*edges.shape[:-1], -1)
    return np.concatenate([flat, edges[..., -1:]], axis=-1)


def _edges(edges: ArrayLike) -> tuple[Array, float]:
    place = np.asarray(edges, dtype=np.float64)
    if place.ndim != 1 or place.size < 2:
        raise ValueError(f"pixel edges of shape {place.shape}: needs one row of 2 or more")
    direction = 1.0 if place[-1] > place[0] else -1.0
    wrong = np.flatnonzero(~(np.diff(place) * direction > 0))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"pixel edges {i} and {i + 1} are {place[i]} and {place[i + 1]}: no order")
    return place, direction


def _positive(width: float, name: str) -> float:
    if not (np.isfinite(width) and width > 0.0):
        raise ValueError(f"{name} {width} must be finite and positive")
    return float(width)

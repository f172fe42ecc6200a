"""The compiled fit: line table, likelihood and climb of fisher_scoring.py, for numba.

The same algorithm as LineTable.evaluate and maximise_likelihood, which stay its reference; only
where pixels are summed differs. Gaussians live within 6.5 sigma of their centre, so that a block of
pixels holds few lines and few parameters; Lorentzian parts reach everywhere.
All compiled functions stand in this file, since numba's cache notices only changes of the file of
the function it keeps. They hold no GIL and allocate once per call.
Sources: J. A. C. Weideman, SIAM J. Numer. Anal. 31, 1497 (1994), for w(z) as a rational function,
whose integral over a pixel is again one, and an arc tangent; beyond |z| = 8 Laplace's continued
fraction (Abramowitz and Stegun 7.1.15).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from analysis.estimation.kernel_cache import cache_folder
from analysis.estimation.line_table import Line, LineTable

__all__ = ["Climbed", "LineArrays", "climb", "line_arrays", "plain", "slopes", "warm_up"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])

# No "nnan" and "ninf": a trial step out of the numbers' range must be seen as such.
_FAST: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
}
# For what allocates nothing: counting references to each slice would take a quarter of the time.
_UNCOUNTED: dict[str, Any] = {"_nrt": False}


def _part(function: F) -> F:
    return cast(F, numba.njit(**_FAST, **_UNCOUNTED)(function))


def _in_order(function: F) -> F:
    """Compile what must not be rearranged: adding and subtracting a large number rounds."""
    return cast(F, numba.njit(**{**_FAST, "fastmath": {"contract"}}, **_UNCOUNTED)(function))


def _allocating(function: F) -> F:
    return cast(F, numba.njit(**_FAST)(function))


def _entry(function: F) -> F:
    """Compile what Python calls, kept in the cache folder of this version of the package."""
    settings = cast(Any, numba.config)
    elsewhere, settings.CACHE_DIR = settings.CACHE_DIR, str(cache_folder())
    try:
        return cast(F, numba.njit(**_FAST, cache=True)(function))
    finally:
        settings.CACHE_DIR = elsewhere


class LineArrays(NamedTuple):
    """A line table as arrays: rows, their parts, and the instrument profile.

    active: parameters of each row, as many as active_count says. gauss, lorentz: index of the
    width, -1 for none.
    """

    first_background: int
    centre: Array
    offset: Array
    factor: Array
    factors: Indices
    gauss: Indices
    lorentz: Indices
    active: Indices
    active_count: Indices
    row: Indices
    component: Indices
    through: Indices
    has_gauss: Indices
    has_lorentz: Indices
    places: Array
    share: Array
    shift: Array
    wide: Array
    wing: Array


@lru_cache(maxsize=256)
def line_arrays(table: LineTable) -> LineArrays:
    """Return the table as the kernels take it."""
    rows, names = table.centre.shape
    uses = (table.centre != 0) | (table.gauss != 0) | (table.lorentz != 0)
    for row, factors in enumerate(table.factors):
        uses[row, factors[factors < names]] = True
    active = np.zeros((rows, max(1, int(uses.sum(axis=1).max(initial=1)))), dtype=np.int64)
    for row, used in enumerate(uses):
        active[row, : used.sum()] = np.flatnonzero(used)
    nothing = np.zeros((1, 1))
    profile = table.profile
    return LineArrays(
        table.first_background,
        plain(table.centre),
        plain(table.offset),
        plain(table.factor),
        _whole(table.factors),
        _whole(np.where(table.gauss.any(axis=1), table.gauss.argmax(axis=1), -1)),
        _whole(np.where(table.lorentz.any(axis=1), table.lorentz.argmax(axis=1), -1)),
        active,
        _whole(uses.sum(axis=1)),
        _whole(table.parts.row),
        _whole(table.parts.component),
        _whole(table.parts.through),
        _whole(table.parts.has_gauss),
        _whole(table.parts.has_lorentz),
        plain(np.zeros(1) if profile is None else profile.energy_eV),
        plain(nothing if profile is None else profile.share),
        plain(nothing if profile is None else profile.offset_eV),
        plain(nothing if profile is None else profile.gauss_fwhm_eV),
        plain(nothing if profile is None else profile.lorentz_fwhm_eV),
    )


def plain(values: NDArray[Any]) -> Array:
    """Return a contiguous, writable copy: numba compiles anew for every other kind of array."""
    return np.array(values, dtype=np.float64, order="C")


def _whole(values: NDArray[Any]) -> Indices:
    return np.array(values, dtype=np.int64, order="C")


class Climbed(NamedTuple):
    """Where the climb writes to; expected may have no rows, if nobody asks for it.

    wants_covariance: the inverse of the information is written in its place.
    """

    parameters: Array
    deviance: Array
    chi2: Array
    score: Array
    information: Array
    converged: Indices
    evaluations: Indices
    expected: Array
    wants_covariance: bool

    @classmethod
    def of(
        cls,
        spectra: int,
        parameters: int,
        pixels: int,
        *,
        expected: bool,
        covariance: bool = False,
    ) -> Climbed:
        """Return room for so many spectra."""
        return cls(
            np.zeros((spectra, parameters)),
            np.zeros(spectra),
            np.zeros(spectra),
            np.zeros((spectra, parameters)),
            np.zeros((spectra, parameters, parameters)),
            np.zeros(spectra, dtype=np.int64),
            np.zeros(spectra, dtype=np.int64),
            np.zeros((spectra if expected else 0, pixels)),
            covariance,
        )


_SIGMAS_PER_FWHM = math.sqrt(8.0 * math.log(2.0))
_ROOT_2, _ROOT_PI = math.sqrt(2.0), math.sqrt(math.pi)
_SIGMAS = 6.5  # a Gaussian has 7e-10 of its height there
_BLOCK = 256  # pixels; their derivatives stay in the near caches
_SLOPE, _BY_GAUSS, _BY_LORENTZ, _AREA = 0, 1, 2, 3
_BASES = 4


def _weideman(order: int) -> tuple[float, Array]:
    """Return L and the coefficients of Q, whose derivative is Weideman's polynomial of Z."""
    half = 2 * order
    L = math.sqrt(order / _ROOT_2)
    t = L * np.tan(np.arange(-half + 1, half) * np.pi / (2 * half))
    values = np.concatenate([[0.0], np.exp(-(t**2)) * (L**2 + t**2)])
    coefficients = np.real(np.fft.fft(np.fft.fftshift(values)))[1 : order + 1] / (2 * half)
    return L, np.concatenate([[0.0], coefficients / np.arange(1, order + 1)])


def _laplace(order: int) -> tuple[Array, Array, Array, Array]:
    """Return a, b, d and e in powers of z^2, of which w = i/sqrt(pi) a / (z b) and its derivatives
    w' = 2i/sqrt(pi) d / b and w'' = -2i/sqrt(pi) e / (z b) are made; order is odd.
    """
    below, above = [np.array([1.0]), np.array([1.0, 0.0])], [np.array([0.0]), np.array([1.0])]
    for n in range(1, order):
        for terms in (below, above):
            terms.append(np.polysub(np.append(terms[-1], 0.0), 0.5 * n * terms[-2]))
    b, a = below[-1][::-1][1::2], above[-1][::-1][::2]
    d = (b - a)[:-1]
    e = a + 2.0 * np.concatenate([[0.0], d])
    return a, b, d, e[:-1]


_L, _Q = _weideman(28)
_A0, _A1, _A2, _A3 = _laplace(7)[0].tolist()
_B0, _B1, _B2, _B3 = _laplace(7)[1].tolist()
_D0, _D1, _D2 = _laplace(7)[2].tolist()
_E0, _E1, _E2 = _laplace(7)[3].tolist()
_FAR = 8.0
_PIXELS_NEAR = 15.0


@_part
def _interpolate(places: Array, table: Array, component: int, at: float) -> tuple[float, float]:
    """Return the value of one component at this energy and its slope."""
    last = places.size - 1
    if at < places[0] or last == 0:
        return table[0, component], 0.0
    if at > places[last]:
        return table[last, component], 0.0
    left = 0
    while left < last - 1 and at >= places[left + 1]:
        left += 1
    run = places[left + 1] - places[left]
    slope = (table[left + 1, component] - table[left, component]) / run
    return table[left, component] + slope * (at - places[left]), slope


@_part
def _through_profile(
    lines: LineArrays, component: int, centre: float, gauss: float, lorentz: float
) -> tuple[float, float, float, tuple[float, float, float, float, float, float]]:
    """Return centre and widths as one component of the profile shows them, and how they change.

    The changes: share of the area and its slope along the axis; of the part's centre with the
    line's; of its Gaussian width with the line's, and with the line's centre; of its Lorentzian
    width with the line's centre.
    """
    share, share_slope = _interpolate(lines.places, lines.share, component, centre)
    shift, shift_slope = _interpolate(lines.places, lines.shift, component, centre)
    wide, wide_slope = _interpolate(lines.places, lines.wide, component, centre)
    wing, wing_slope = _interpolate(lines.places, lines.wing, component, centre)
    total = math.sqrt(gauss * gauss + wide * wide)
    divisor = total if total > 0.0 else 1.0
    changes = (
        share,
        share_slope,
        1.0 + shift_slope,
        gauss / divisor,
        wide * wide_slope / divisor,
        wing_slope,
    )
    return centre + shift, total, lorentz + wing, changes


@_part
def _set_parts(lines: LineArrays, theta: Array, seen: Array, gains: Array) -> None:
    """Write centre, widths, area of each part, and what each parameter of its row does to it.

    seen: (parts, 4). gains: (parts, active, bases): factor of each basis in the derivative.
    """
    for part in range(lines.row.size):
        row, component = lines.row[part], lines.component[part]
        centre = lines.offset[row]
        for p in range(theta.size):
            centre += lines.centre[row, p] * theta[p]
        gauss = theta[lines.gauss[row]] if lines.gauss[row] >= 0 else 0.0
        lorentz = theta[lines.lorentz[row]] if lines.lorentz[row] >= 0 else 0.0
        area = lines.factor[row]
        for k in range(3):
            if lines.factors[row, k] < theta.size:
                area *= theta[lines.factors[row, k]]
        changed = (1.0, 0.0, 1.0, 1.0, 0.0, 0.0)
        if lines.through[part]:
            centre, gauss, lorentz, changed = _through_profile(
                lines, component, centre, gauss, lorentz
            )
        share, share_slope, drift, gauss_share, gauss_drift, lorentz_drift = changed
        area_drift, area = area * share_slope, area * share
        seen[part, 0], seen[part, 1] = centre, gauss
        seen[part, 2], seen[part, 3] = lorentz, area
        for k in range(lines.active_count[row]):
            p = lines.active[row, k]
            along = lines.centre[row, p]
            by_area = 0.0
            for j in range(3):
                if lines.factors[row, j] == p:
                    product = lines.factor[row]
                    for other in range(3):
                        if other != j and lines.factors[row, other] < theta.size:
                            product *= theta[lines.factors[row, other]]
                    by_area += product
            gains[part, k, _SLOPE] = area * drift * along
            gains[part, k, _BY_GAUSS] = area * gauss_drift * along
            gains[part, k, _BY_LORENTZ] = area * lorentz_drift * along
            gains[part, k, _AREA] = area_drift * along + share * by_area
            if lines.gauss[row] == p:
                gains[part, k, _BY_GAUSS] += area * gauss_share
            if lines.lorentz[row] == p:
                gains[part, k, _BY_LORENTZ] += area


@_part
def _edge_beyond(edges: Array, direction: float, place: float) -> int:
    """Return how many edges lie before this place, going along the axis."""
    low, high = 0, edges.size
    while low < high:
        middle = (low + high) // 2
        if direction * (edges[middle] - place) < 0.0:
            low = middle + 1
        else:
            high = middle
    return low


@_part
def _set_ranges(
    lines: LineArrays, seen: Array, edges: Array, direction: float, ranges: Indices
) -> None:
    """Write first and last pixel + 1 of each part: where it has light, shape (parts, 2)."""
    pixels = edges.size - 1
    for part in range(ranges.shape[0]):
        ranges[part, 0], ranges[part, 1] = 0, pixels
        if not lines.has_lorentz[part]:
            reach = direction * _SIGMAS * seen[part, 1] / _SIGMAS_PER_FWHM
            first = _edge_beyond(edges, direction, seen[part, 0] - reach) - 1
            last = _edge_beyond(edges, direction, seen[part, 0] + reach)
            ranges[part, 0], ranges[part, 1] = max(first, 0), min(last, pixels)


# Loops over few arrays each: the checks whether many of them overlap would keep them scalar.


@_part
def _difference(values: Array, factor: float, out: Array) -> None:
    for i in range(out.size):
        out[i] = factor * (values[i + 1] - values[i])


@_part
def _angles(place: Array, reach: float, factor: float, out: Array) -> None:
    """Write what the arc tangent of each edge's place gains over each pixel, times a factor.

    Beyond the reach a series does, which needs gains below 0.2: to 1e-11.
    """
    for i in range(out.size):
        t = (place[i + 1] - place[i]) / (1.0 + place[i] * place[i + 1])
        s = t * t
        series = s * (-1.0 / 7.0 + s * (1.0 / 9.0 + s * (-1.0 / 11.0 + s / 13.0)))
        out[i] = factor * t * (1.0 + s * (-1.0 / 3.0 + s * (1.0 / 5.0 + series)))
    direction = 1.0 if place[place.size - 1] > place[0] else -1.0
    first = max(_edge_beyond(place, direction, -direction * reach) - 1, 0)
    last = min(_edge_beyond(place, direction, direction * reach) + 1, out.size)
    for i in range(first, last):
        out[i] = factor * (math.atan(place[i + 1]) - math.atan(place[i]))


_GAIN = 0.2


@_part
def _gauss(
    edges: Array, centre: float, gauss: float, widest: float, bases: Array, scratch: Array
) -> None:
    """Write the bases of a Gaussian of unit area."""
    n = edges.size
    sigma = gauss / _SIGMAS_PER_FWHM
    direction = 1.0 if edges[n - 1] > edges[0] else -1.0
    place, height, moment = scratch[0, :n], scratch[1, :n], scratch[2, :n]
    second, third, fourth, fifth = scratch[3, :n], scratch[4, :n], scratch[5, :n], scratch[6, :n]
    for i in range(n):
        place[i] = (edges[i] - centre) / sigma
    for i in range(n):
        height[i] = max(-0.5 * place[i] * place[i], -700.0)
    _exp(height, moment)
    for i in range(n):
        height[i] /= _ROOT_2 * _ROOT_PI
        moment[i] = place[i] * height[i]
    slope, by_gauss, area = bases[_SLOPE, : n - 1], bases[_BY_GAUSS, : n - 1], bases[_AREA, : n - 1]
    _difference(height, -direction / sigma, slope)
    _difference(moment, -direction / gauss, by_gauss)
    if widest > 0.9 * sigma:
        for i in range(n - 1):
            step = math.erf(place[i + 1] / _ROOT_2) - math.erf(place[i] / _ROOT_2)
            area[i] = 0.5 * direction * step
        return
    # Two-point Hermite quadrature from the value and five derivatives: to 3e-10 of the area.
    for i in range(n):
        second[i] = place[i] * moment[i] - height[i]
        third[i] = place[i] * second[i] - 2.0 * moment[i]
    for i in range(n):
        fourth[i] = place[i] * third[i] - 3.0 * second[i]
        fifth[i] = place[i] * fourth[i] - 4.0 * third[i]
    for i in range(n - 1):
        h = place[i + 1] - place[i]
        high = (fourth[i] + fourth[i + 1]) / 15840.0 + h * (fifth[i + 1] - fifth[i]) / 665280.0
        high = (third[i + 1] - third[i]) / 792.0 + h * high
        high = (second[i] + second[i + 1]) / 66.0 + h * high
        high = (moment[i + 1] - moment[i]) * (5.0 / 44.0) + h * high
        area[i] = direction * h * (0.5 * (height[i] + height[i + 1]) + h * high)


@_part
def _lorentz(
    edges: Array, centre: float, lorentz: float, widest: float, bases: Array, scratch: Array
) -> None:
    """Write the bases of a Lorentzian of unit area."""
    n = edges.size
    direction = 1.0 if edges[n - 1] > edges[0] else -1.0
    place, height = scratch[0, :n], scratch[1, :n]
    for i in range(n):
        place[i] = 2.0 * (edges[i] - centre) / lorentz
        height[i] = direction / (math.pi * lorentz) / (1.0 + place[i] * place[i])
    slope, by_lorentz, area = (
        bases[_SLOPE, : n - 1],
        bases[_BY_LORENTZ, : n - 1],
        bases[_AREA, : n - 1],
    )
    _difference(height, -2.0, slope)
    for i in range(n):
        height[i] *= place[i]
    _difference(height, -1.0, by_lorentz)
    step = 2.0 * widest / lorentz
    _angles(place, math.sqrt(step / _GAIN) + step, direction / math.pi, area)


@_part
def _w_near(x: Array, y: float, first: int, out: Array, scratch: Array) -> None:
    """Write Re w, Im w, Re w', Re w'' and the rational part of the integral of Re w at x + iy."""
    n = x.size
    end = first + n
    zr, zi, qr, qi = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n]
    pr, pi = scratch[4, :n], scratch[5, :n]
    for i in range(n):
        # Z = (L + iz) / (L - iz)
        below = (_L + y) * (_L + y) + x[i] * x[i]
        zr[i] = ((_L - y) * (_L + y) - x[i] * x[i]) / below
        zi[i] = 2.0 * _L * x[i] / below
        qr[i], qi[i], pr[i], pi[i] = _Q[_Q.size - 1], 0.0, 0.0, 0.0
    for k in range(_Q.size - 2, -1, -1):
        coefficient = _Q[k]
        for i in range(n):
            tr = pr[i] * zr[i] - pi[i] * zi[i] + qr[i]
            pi[i] = pr[i] * zi[i] + pi[i] * zr[i] + qi[i]
            pr[i] = tr
            tr = qr[i] * zr[i] - qi[i] * zi[i] + coefficient
            qi[i] = qr[i] * zi[i] + qi[i] * zr[i]
            qr[i] = tr
    real, imaginary = out[0, first:end], out[1, first:end]
    slope, bend, integral = out[2, first:end], out[3, first:end], out[4, first:end]
    for i in range(n):
        below = (_L + y) * (_L + y) + x[i] * x[i]
        ur, ui = (_L + y) / below, x[i] / below  # 1 / (L - iz)
        vr = 2.0 * (pr[i] * ur - pi[i] * ui) + 1.0 / _ROOT_PI
        vi = 2.0 * (pr[i] * ui + pi[i] * ur)
        real[i], imaginary[i] = vr * ur - vi * ui, vr * ui + vi * ur
        integral[i] = qi[i] / _L
    for i in range(n):
        slope[i] = -2.0 * (x[i] * real[i] - y * imaginary[i])
        turned = 2.0 / _ROOT_PI - 2.0 * (x[i] * imaginary[i] + y * real[i])
        bend[i] = -2.0 * (x[i] * slope[i] - y * turned + real[i])


@_part
def _w_far(x: Array, y: float, first: int, out: Array) -> None:
    """Write Re w, Im w, Re w' and Re w'' at x + iy, which is far from the origin."""
    end = first + x.size
    real, imaginary = out[0, first:end], out[1, first:end]
    slope, bend = out[2, first:end], out[3, first:end]
    for i in range(x.size):
        sr, si = x[i] * x[i] - y * y, 2.0 * x[i] * y
        ar, ai = _A3 * sr + _A2, _A3 * si
        ar, ai = ar * sr - ai * si + _A1, ar * si + ai * sr
        ar, ai = ar * sr - ai * si + _A0, ar * si + ai * sr
        br, bi = _B3 * sr + _B2, _B3 * si
        br, bi = br * sr - bi * si + _B1, br * si + bi * sr
        br, bi = br * sr - bi * si + _B0, br * si + bi * sr
        dr, di = _D2 * sr + _D1, _D2 * si
        dr, di = dr * sr - di * si + _D0, dr * si + di * sr
        er, ei = _E2 * sr + _E1, _E2 * si
        er, ei = er * sr - ei * si + _E0, er * si + ei * sr
        size = 1.0 / ((br * br + bi * bi) * (x[i] * x[i] + y * y))
        below = size * (x[i] * x[i] + y * y)
        qr, qi = (ar * br + ai * bi) / _ROOT_PI, (ai * br - ar * bi) / _ROOT_PI  # |b|^2 a / b
        real[i] = size * (y * qr - x[i] * qi)
        imaginary[i] = size * (y * qi + x[i] * qr)
        slope[i] = -2.0 / _ROOT_PI * (di * br - dr * bi) * below
        qr, qi = er * br + ei * bi, ei * br - er * bi
        bend[i] = -2.0 / _ROOT_PI * size * (y * qr - x[i] * qi)


@_part
def _voigt(
    edges: Array,
    centre: float,
    gauss: float,
    lorentz: float,
    widest: float,
    bases: Array,
    scratch: Array,
) -> None:
    """Write the bases of a Voigt profile of unit area."""
    n = edges.size
    sigma = max(gauss / _SIGMAS_PER_FWHM, 1e-6 * 0.5 * lorentz)
    unit = sigma * _ROOT_2
    y = 0.5 * lorentz / unit
    direction = 1.0 if edges[n - 1] > edges[0] else -1.0
    place, out, rest = scratch[0, :n], scratch[1:6], scratch[6:]
    for i in range(n):
        place[i] = (edges[i] - centre) / unit
    step = widest / unit
    reach2 = max(_FAR, _PIXELS_NEAR * step) ** 2 - y * y
    first, last = 0, 0  # of the edges, between which w is not yet in its far form
    if reach2 > 0.0:
        reach = direction * math.sqrt(reach2)
        first = max(_edge_beyond(place, direction, -reach) - 1, 0)
        last = min(_edge_beyond(place, direction, reach) + 1, n)
    near, end = last - first > 1, n - 1
    area = bases[_AREA, :end]
    if not near:
        first = last = n
    if first > 0:
        _w_far(place[:first], y, 0, out)
    if last < n:
        _w_far(place[last:], y, last, out)
    if near:
        _w_near(place[first:last], y, first, out, rest)
    real, imaginary, first_slope, bend = out[0, :n], out[1, :n], out[2, :n], out[3, :n]
    integral = out[4, :n]
    slope, by_gauss, by_lorentz = (
        bases[_SLOPE, :end],
        bases[_BY_GAUSS, :end],
        bases[_BY_LORENTZ, :end],
    )
    scale = direction / (unit * _ROOT_PI)
    _difference(real, -scale, slope)
    _difference(imaginary, -0.5 * scale, by_lorentz)
    _difference(first_slope, scale / (_ROOT_2 * _SIGMAS_PER_FWHM), by_gauss)
    # Two-point Hermite quadrature from the value and two derivatives.
    for i in range(end):
        h = place[i + 1] - place[i]
        high = h * ((bend[i] + bend[i + 1]) / 120.0) - (first_slope[i + 1] - first_slope[i]) / 10.0
        area[i] = direction / _ROOT_PI * h * (0.5 * (real[i] + real[i + 1]) + h * high)
    if near:
        inner = area[first : last - 1]
        for i in range(first, last):
            place[i] /= _L + y
        tall = step / (_L + y)
        _angles(place[first:last], 0.0 if tall < _GAIN / 2 else 1e300, direction / math.pi, inner)
        for i in range(inner.size):
            inner[i] += direction / _ROOT_PI * (integral[first + i + 1] - integral[first + i])


class _Work(NamedTuple):
    """Scratch of one thread.

    seen, gains, ranges: of the parts. jacobian: (parameters, pixels); in each block of pixels only
    the rows of used parameters hold. pixel: variance, its logarithm, weighted residual, weight,
    scratch.
    """

    seen: Array
    gains: Array
    ranges: Indices
    bases: Array
    scratch: Array
    jacobian: Array
    pixel: Array
    is_used: Indices
    used: Indices
    scale: Array


_APART = 24  # more numbers than pixels in a row: rows 4096 bytes apart crowd each other out


@_allocating
def _work(lines: LineArrays, powers: Array, parameters: int) -> _Work:
    parts, pixels = lines.row.size, powers.shape[1]
    jacobian = np.zeros((parameters, pixels + _APART))
    for k in range(powers.shape[0]):
        for i in range(pixels):
            jacobian[lines.first_background + k, i] = powers[k, i]
    return _Work(
        np.zeros((parts, 4)),
        np.zeros((parts, lines.active.shape[1], _BASES)),
        np.zeros((parts, 2), dtype=np.int64),
        np.zeros((_BASES, _BLOCK)),
        np.zeros((12, _BLOCK + 1)),
        jacobian,
        np.zeros((5, pixels + _APART)),
        np.zeros(parameters, dtype=np.int64),
        np.zeros(parameters, dtype=np.int64),
        np.zeros((3, parameters)),
    )


@_part
def _add_line(
    lines: LineArrays, part: int, edges: Array, widest: float, first: int, mu: Array, work: _Work
) -> None:
    """Add one part to the counts and derivatives of the pixels between the edges."""
    centre, gauss, lorentz, area = work.seen[part]
    bases, scratch = work.bases, work.scratch
    if not lines.has_lorentz[part]:
        _gauss(edges, centre, gauss, widest, bases, scratch)
    elif not lines.has_gauss[part]:
        _lorentz(edges, centre, lorentz, widest, bases, scratch)
    else:
        _voigt(edges, centre, gauss, lorentz, widest, bases, scratch)
    n = edges.size - 1
    one = bases[_AREA, :n]
    for i in range(n):
        mu[i] += area * one[i]
    row = lines.row[part]
    for k in range(lines.active_count[row]):
        derivative = work.jacobian[lines.active[row, k], first : first + n]
        for base in range(_BASES):
            gain = work.gains[part, k, base]
            if gain != 0.0:
                one = bases[base, :n]
                for i in range(n):
                    derivative[i] += gain * one[i]


_MANTISSA, _ONE, _HALF_BITS = (1 << 52) - 1, 1023 << 52, 0x3FE6A09E667F3BCD  # sqrt(1/2)
_SHIFTER = 1.5 * 2.0**52  # added to a double, its lowest bits hold the number rounded
_LOG_2 = math.log(2.0)


@_part
def _log(values: Array, out: Array, scratch: Array) -> None:
    """Write logarithms of positive numbers: unlike the libraries' own, vectorised.

    2 artanh((m - 1) / (m + 1)) for m between the roots of 1/2 and 2; to 1e-15.
    """
    n = values.size
    bits, whole, exponent = values.view(np.int64), out.view(np.int64), scratch[:n].view(np.int64)
    for i in range(n):
        high = (bits[i] - _HALF_BITS) >> 52
        exponent[i] = high
        whole[i] = bits[i] - (high << 52)
    power = scratch[:n]
    for i in range(n):
        s = (out[i] - 1.0) / (out[i] + 1.0)
        t = s * s
        series = t * (
            1.0 / 3.0
            + t
            * (
                1.0 / 5.0
                + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t / 15.0))))
            )
        )
        out[i] = 2.0 * s * (1.0 + series)
    for i in range(n):
        power[i] = float(exponent[i])
    for i in range(n):
        out[i] += _LOG_2 * power[i]


@_in_order
def _exp(values: Array, scratch: Array) -> None:
    """Replace numbers between -700 and 0 by their exponentials: vectorised; to 1e-12."""
    n = values.size
    power = scratch[:n]
    for i in range(n):
        shifted = values[i] / _LOG_2 + _SHIFTER
        power[i] = shifted
        r = values[i] - (shifted - _SHIFTER) * _LOG_2
        low = 1.0 + r * (1.0 + r * (1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0))))
        high = 1.0 / 120.0 + r * (
            1.0 / 720.0
            + r * (1.0 / 5040.0 + r * (1.0 / 40320.0 + r * (1.0 / 362880.0 + r / 3628800.0)))
        )
        r2 = r * r
        values[i] = low + r2 * r2 * r * high
    bits = power.view(np.int64)
    for i in range(n):
        bits[i] = (bits[i] << 52) + _ONE
    for i in range(n):
        values[i] *= power[i]


_CHI2_PER_PIXEL_OF_A_MISFIT, _REST_OF_A_MISFIT = 2.0, 0.5


@_part
def _slope(
    lines: LineArrays,
    theta: Array,
    edges: Array,
    powers: Array,
    electrons: Array,
    shift: Array,
    good: Array,
    last_chi2: float,
    expected: Array,
    score: Array,
    information: Array,
    curvature: Array,
    work: _Work,
) -> tuple[float, float]:
    """Write expected counts, score and both matrices as fisher_scoring.slope_at does.

    Returns deviance and chi2.
    """
    pixels = electrons.size
    direction = 1.0 if edges[pixels] > edges[0] else -1.0
    widest = abs(edges[pixels] - edges[0]) / pixels
    widest = max(widest, abs(edges[1] - edges[0]), abs(edges[pixels] - edges[pixels - 1]))
    _set_parts(lines, theta, work.seen, work.gains)
    _set_ranges(lines, work.seen, edges, direction, work.ranges)
    _set_background(lines, theta, powers, expected)
    end = 0
    while end < pixels:
        begin, end = end, _block_end(work.ranges, end, pixels)
        _clear_lines(lines, begin, end, work)
        for part in range(work.ranges.shape[0]):
            low, high = max(work.ranges[part, 0], begin), min(work.ranges[part, 1], end)
            if low < high:
                axis = edges[low : high + 1]
                _add_line(lines, part, axis, widest, low, expected[low:high], work)
    deviance, chi2, kept = _weigh(expected, electrons, shift, good, work.pixel)
    _gather(lines, pixels, work, score, information)
    if chi2 > max(_CHI2_PER_PIXEL_OF_A_MISFIT * kept, _REST_OF_A_MISFIT * last_chi2):
        _weigh_misfit(electrons, shift, work.pixel)
        _gather(lines, pixels, work, work.scale[0], curvature)
    else:
        _copy(information, curvature)
    return (deviance if math.isfinite(deviance) else math.inf), chi2


# Element by element: numba compiles an assignment of whole arrays for seconds.


@_part
def _clear(matrix: Array) -> None:
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = 0.0


@_part
def _copy(matrix: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = matrix[i, j]


@_part
def _fill(matrix: Array) -> None:
    """Make a matrix symmetric whose lower half is known."""
    for i in range(matrix.shape[0]):
        for j in range(i):
            matrix[j, i] = matrix[i, j]


@_part
def _set_background(lines: LineArrays, theta: Array, powers: Array, mu: Array) -> None:
    """Begin the counts with the background alone."""
    for i in range(mu.size):
        mu[i] = 0.0
    for k in range(powers.shape[0]):
        height, power = theta[lines.first_background + k], powers[k]
        for i in range(mu.size):
            mu[i] += height * power[i]


@_part
def _block_end(ranges: Indices, begin: int, pixels: int) -> int:
    """Return where a block ends: with the light of the lines that begin in it, or before others."""
    end, until, grown = begin, pixels, True
    while grown:
        grown = False
        for part in range(ranges.shape[0]):
            if ranges[part, 0] <= end and ranges[part, 1] > end and ranges[part, 1] > begin:
                end, grown = ranges[part, 1], True
            elif ranges[part, 0] > begin:
                until = min(until, ranges[part, 0])
    return min(end if end > begin else until, begin + _BLOCK, pixels)


@_part
def _use(lines: LineArrays, begin: int, end: int, work: _Work) -> int:
    """List the parameters that matter in this block; return how many."""
    is_used, count = work.is_used, 0
    for p in range(is_used.size):
        is_used[p] = p >= lines.first_background
    for part in range(work.ranges.shape[0]):
        if work.ranges[part, 0] < end and work.ranges[part, 1] > begin:
            row = lines.row[part]
            for k in range(lines.active_count[row]):
                is_used[lines.active[row, k]] = 1
    for p in range(is_used.size):
        if is_used[p]:
            work.used[count] = p
            count += 1
    return count


@_part
def _clear_lines(lines: LineArrays, begin: int, end: int, work: _Work) -> None:
    """Begin the block's derivatives; those of the background never change."""
    for a in range(_use(lines, begin, end, work)):
        if work.used[a] < lines.first_background:
            derivative = work.jacobian[work.used[a], begin:end]
            for i in range(derivative.size):
                derivative[i] = 0.0


@_part
def _weigh(
    mu: Array, electrons: Array, shift: Array, good: Array, pixel: Array
) -> tuple[float, float, float]:
    """Write weights and weighted residuals; return deviance, chi2 and number of good pixels."""
    n = mu.size
    variance, logarithm, residual = pixel[0, :n], pixel[1, :n], pixel[2, :n]
    weight, scratch = pixel[3, :n], pixel[4, :n]
    deviance, chi2, pixels, negative = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        variance[i] = max(mu[i], 0.0) + shift[i]
        negative += 1.0 if mu[i] < 0.0 else 0.0
    _log(variance, logarithm, scratch)
    for i in range(n):
        weight[i] = good[i] / variance[i]
        pixels += good[i]
    for i in range(n):
        miss = electrons[i] - mu[i]
        residual[i] = weight[i] * miss
        chi2 += residual[i] * miss
    for i in range(n):
        deviance += good[i] * (variance[i] - (electrons[i] + shift[i]) * logarithm[i])
    if negative > 0.0:
        for i in range(n):
            below = min(mu[i], 0.0)
            deviance += good[i] * below * (0.5 * below - electrons[i]) / shift[i]
    return 2.0 * deviance, chi2, pixels


@_part
def _weigh_misfit(electrons: Array, shift: Array, pixel: Array) -> None:
    """Replace the weights by those that the counts have, where they are above expectation."""
    n = electrons.size
    variance, weight = pixel[0, :n], pixel[3, :n]
    for i in range(n):
        weight[i] *= max(1.0, (electrons[i] + shift[i]) / variance[i])


@_part
def _gather(lines: LineArrays, pixels: int, work: _Work, score: Array, matrix: Array) -> None:
    """Write the score and the matrix that derivatives, residuals and weights make."""
    for p in range(score.size):
        score[p] = 0.0
    _clear(matrix)
    end = 0
    while end < pixels:
        begin, end = end, _block_end(work.ranges, end, pixels)
        used = work.used[: _use(lines, begin, end, work)]
        residual, weight = work.pixel[2, begin:end], work.pixel[3, begin:end]
        weighted = work.pixel[4, begin:end]
        for a in range(used.size):
            derivative = work.jacobian[used[a], begin:end]
            total = 0.0
            for i in range(weight.size):
                weighted[i] = derivative[i] * weight[i]
                total += derivative[i] * residual[i]
            score[used[a]] += total
            for b in range(a + 1):
                other = work.jacobian[used[b], begin:end]
                total = 0.0
                for i in range(weight.size):
                    total += weighted[i] * other[i]
                matrix[used[a], used[b]] += total
    _fill(matrix)


_LEAST_DAMPING, _MOST_DAMPING = 1e-8, 1e8
_DISTANCE2_AT_STOP = 1e-4
_CLOSE2, _LEAST_OF_PROMISED = 25.0, 0.25


@_part
def _decomposed(matrix: Array) -> bool:
    """Replace the lower half of a matrix by its Cholesky factor; False where there is none."""
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            elif total > 0.0:
                matrix[i, i] = math.sqrt(total)
            else:
                return False
    return True


@_part
def _damped_step(
    place: Array,
    lower: Array,
    upper: Array,
    step_share: Array,
    score: Array,
    curvature: Array,
    damping: float,
    matrix: Array,
    step: Array,
    work: _Work,
) -> tuple[float, float]:
    """Write the damped step and return the squared distance to the optimum, NaN where lost, and
    how many times the largest step the undivided one would have been."""
    n = place.size
    scale, free, pull = work.scale[0], work.scale[1], work.scale[2]
    for p in range(n):
        held = (place[p] <= lower[p] and score[p] <= 0) or (place[p] >= upper[p] and score[p] >= 0)
        free[p] = 0.0 if held else 1.0
        diagonal = curvature[p, p]
        scale[p] = math.sqrt(diagonal) if diagonal > 0 and not held else 1.0
        pull[p] = free[p] * score[p] / scale[p]
    for p in range(n):
        for q in range(p):
            matrix[p, q] = curvature[p, q] * free[p] * free[q] / (scale[p] * scale[q])
        matrix[p, p] = 1.0 + damping
    if not _decomposed(matrix):
        return math.nan, 1.0
    for p in range(n):
        total = pull[p]
        for q in range(p):
            total -= matrix[p, q] * step[q]
        step[p] = total / matrix[p, p]
    for p in range(n - 1, -1, -1):
        total = step[p]
        for q in range(p + 1, n):
            total -= matrix[q, p] * step[q]
        step[p] = total / matrix[p, p]
    distance2, excess = 0.0, 1.0
    for p in range(n):
        step[p] *= free[p]
        distance2 += pull[p] * step[p]
        step[p] /= scale[p]
        largest = 0.0
        for q in range(n):
            largest += step_share[p, q] * abs(place[q])
        if largest > 0.0:
            excess = max(excess, abs(step[p]) / largest)
    for p in range(n):
        step[p] /= excess
    return distance2, excess


@_part
def _invert(
    information: Array, place: Array, lower: Array, upper: Array, matrix: Array, out: Array
) -> None:
    """Write the covariance: 0 for what is fixed or at a bound, NaN where there is none."""
    n = place.size
    for p in range(n):
        for q in range(p + 1):
            scale = math.sqrt(information[p, p] * information[q, q])
            matrix[p, q] = information[p, q] / scale
            if not (lower[p] < place[p] < upper[p] and lower[q] < place[q] < upper[q]):
                matrix[p, q] = 1.0 if p == q else 0.0
    is_known = _decomposed(matrix)
    for column in range(n):  # of the inverse of the Cholesky factor, kept in out's upper half
        for p in range(column, n):
            total = 1.0 if p == column else 0.0
            for q in range(column, p):
                total -= matrix[p, q] * out[column, q]
            out[column, p] = total / matrix[p, p]
    for p in range(n):
        for q in range(p, n):
            total = 0.0
            for r in range(q, n):
                total += out[p, r] * out[q, r]
            matrix[p, q] = total
    for p in range(n):
        for q in range(p, n):
            value = matrix[p, q] / math.sqrt(information[p, p] * information[q, q])
            if not (lower[p] < place[p] < upper[p] and lower[q] < place[q] < upper[q]):
                value = 0.0
            out[p, q] = out[q, p] = value if is_known else math.nan


@_entry
def climb(
    lines: LineArrays,
    edges: Array,
    powers: Array,
    electrons: Array,
    shift: Array,
    good: Array,
    lower: Array,
    upper: Array,
    step_share: Array,
    most_steps: int,
    out: Climbed,
) -> None:
    """Climb from out.parameters to the optimum of each spectrum.

    edges, electrons, shift, good, lower, upper: one row for all or one for each. step_share: see
    fisher_scoring.StepCap.
    """
    spectra, parameters = out.parameters.shape
    pixels = electrons.shape[1]
    work = _work(lines, powers, parameters)
    expected = np.zeros((2, pixels))
    score = np.zeros((2, parameters))
    information = np.zeros((2, parameters, parameters))
    curvature = np.zeros((2, parameters, parameters))
    matrix = np.zeros((parameters, parameters))
    step, trial = np.zeros(parameters), np.zeros(parameters)
    for s in range(spectra):
        axis = edges[s if edges.shape[0] > 1 else 0]
        dark = shift[s if shift.shape[0] > 1 else 0]
        kept = good[s if good.shape[0] > 1 else 0]
        low, high = lower[s if lower.shape[0] > 1 else 0], upper[s if upper.shape[0] > 1 else 0]
        counts = electrons[s if electrons.shape[0] > 1 else 0]
        place = out.parameters[s]
        here, deviance, chi2 = 0, math.inf, math.inf
        damping, distance2, excess, evaluations = 1e-2, math.inf, 1.0, 0
        step[:] = 0.0
        converged = lost = False
        # The first evaluation, at the start, is taken whatever it is.
        while True:
            for p in range(parameters):
                trial[p] = min(max(place[p] + step[p], low[p]), high[p])
            there = 1 - here
            new, new_chi2 = _slope(
                lines, trial, axis, powers, counts, dark, kept, chi2, expected[there],
                score[there], information[there], curvature[there], work,
            )  # fmt: skip
            evaluations += 1
            near = distance2 < _DISTANCE2_AT_STOP and damping <= 1.0
            gain, promised = deviance - new, distance2 / excess
            overshoots = distance2 < _CLOSE2 and not gain > _LEAST_OF_PROMISED * promised
            if new <= deviance + (_DISTANCE2_AT_STOP if near else 0.0):
                for p in range(parameters):
                    place[p] = trial[p]
                deviance, chi2, here = new, new_chi2, there
                damping *= 0.1
            else:
                damping *= 10.0
            damping = max(damping, 1.0 if overshoots else 0.0)
            converged = near
            lost = not math.isfinite(deviance) or (damping > _MOST_DAMPING and not converged)
            damping = min(max(damping, _LEAST_DAMPING), _MOST_DAMPING)
            if converged or lost or evaluations > most_steps:
                break
            distance2, excess = _damped_step(
                place, low, high, step_share, score[here], curvature[here], damping,
                matrix, step, work,
            )  # fmt: skip
        out.deviance[s], out.chi2[s] = deviance, chi2
        out.converged[s], out.evaluations[s] = converged, evaluations
        if out.wants_covariance:
            _invert(information[here], place, low, high, matrix, out.information[s])
        else:
            _copy(information[here], out.information[s])
        for p in range(parameters):
            out.score[s, p] = score[here, p]
        if s < out.expected.shape[0]:
            for i in range(pixels):
                out.expected[s, i] = expected[here, i]


@_entry
def slopes(
    lines: LineArrays,
    edges: Array,
    powers: Array,
    electrons: Array,
    shift: Array,
    good: Array,
    curvature: Array,
    out: Climbed,
) -> None:
    """Write the likelihood about out.parameters of each spectrum, as slope_at returns it."""
    spectra, parameters = out.parameters.shape
    work = _work(lines, powers, parameters)
    for s in range(spectra):
        out.deviance[s], out.chi2[s] = _slope(
            lines,
            out.parameters[s],
            edges[s if edges.shape[0] > 1 else 0],
            powers,
            electrons[s],
            shift[s],
            good[s],
            0.0,
            out.expected[s],
            out.score[s],
            out.information[s],
            curvature[s],
            work,
        )


def warm_up() -> None:
    """Compile everything, or load it from the cache."""
    table = LineTable([Line((("e", 1.0),), "w", ("a",))], background_order=0)
    lines, at = line_arrays(table), np.array([0.0, 1.0, 1.0, 1.0])
    edges, powers, ones = np.linspace(-4.0, 4.0, 9)[None], np.ones((1, 8)), np.ones((1, 8))
    out = Climbed.of(1, 4, 8, expected=True)
    out.parameters[:] = at
    bound, free = np.full((1, 4), np.inf), np.zeros((4, 4))
    climb(lines, edges, powers, ones, ones, ones, -bound, bound, free, 3, out)
    slopes(lines, edges, powers, ones, ones, ones, np.zeros((1, 4, 4)), out)

"""A spectrum model as a table of lines: what each line's centre, widths and area are made of.

Fine structure, mirrored lines, copies at fixed offsets and profile tails are rows of this table,
not code. The expected counts are the integral of each line over each pixel, so that neither the
change from wavelength to energy nor the finite pixel needs a correction: from the cumulated
Gaussian and Lorentzian, and for Voigt profiles by Hermite quadrature to 1e-9 of the peak
(lineshapes.py). A line seen through a measured instrument profile becomes several parts, one for
each component of the profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.lineshapes import voigt_at_edges

__all__ = ["Line", "LineTable", "Shape"]

Array = NDArray[np.float64]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))


class Shape(Enum):
    GAUSS = "gauss"
    LORENTZ = "lorentz"
    VOIGT = "voigt"
    PROFILE = "profile"  # seen through the table's instrument profile


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the names of the parameters that make up this line.

    centre: parameters in eV that are added, each with a factor; offset_eV is added too.
    width: one parameter, the full width at half maximum in eV: of the Lorentzian where the shape
    is LORENTZ, else of the Gaussian. lorentz_width: of the Lorentzian in a VOIGT profile, and where
    the line behind a PROFILE has one; there width may be "" for a line that is Lorentzian.
    area: parameters that are multiplied, at most three, and factor; the result is in electrons.
    """

    centre: tuple[tuple[str, float], ...]
    width: str
    area: tuple[str, ...]
    shape: Shape = Shape.GAUSS
    offset_eV: float = 0.0
    factor: float = 1.0
    lorentz_width: str = ""

    def __post_init__(self) -> None:
        if len(self.area) > 3:
            raise ValueError(f"area {self.area}: a product of more than three parameters")
        if (self.shape is Shape.VOIGT) > bool(self.lorentz_width):
            raise ValueError("a Voigt profile needs a lorentz_width")
        if self.lorentz_width and self.shape in (Shape.GAUSS, Shape.LORENTZ):
            raise ValueError(f"lorentz_width {self.lorentz_width!r} in a {self.shape.value} line")
        if not (self.width or (self.shape is Shape.PROFILE and self.lorentz_width)):
            raise ValueError(f"a {self.shape.value} line needs a width")

    @property
    def gauss_fwhm(self) -> str:
        """The parameter of the Gaussian width, or ""."""
        return "" if self.shape is Shape.LORENTZ else self.width

    @property
    def lorentz_fwhm(self) -> str:
        """The parameter of the Lorentzian width, or ""."""
        return self.width if self.shape is Shape.LORENTZ else self.lorentz_width

    @property
    def names(self) -> tuple[str, ...]:
        named = (*(name for name, _ in self.centre), self.width, self.lorentz_width, *self.area)
        return tuple(name for name in named if name)


class LineTable:
    """Lines and a polynomial background, ready to be evaluated for many spectra at once.

    names: every parameter once, in order of appearance, then background_0 (counts per pixel in the
    middle of the window), background_1 (added linearly towards its ends), ...
    profile: what PROFILE lines are seen through.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        *,
        background_order: int,
        profile: InstrumentProfile | None = None,
    ) -> None:
        background = [f"background_{k}" for k in range(background_order + 1)]
        self.lines = tuple(lines)
        self.profile = profile
        self.names = (*dict.fromkeys(n for line in lines for n in line.names), *background)
        self.first_background = len(self.names) - len(background)
        place = {name: i for i, name in enumerate(self.names)}
        size = (len(lines), len(self.names))
        self.centre = np.zeros(size)
        self.gauss, self.lorentz = np.zeros(size), np.zeros(size)
        # Factors beyond a line's own point at the 1 that is appended to the parameters.
        self.factors = np.full((len(lines), 3), len(self.names))
        for row, line in enumerate(lines):
            for name, coefficient in line.centre:
                self.centre[row, place[name]] += coefficient
            for name, width in ((line.gauss_fwhm, self.gauss), (line.lorentz_fwhm, self.lorentz)):
                if name:
                    width[row, place[name]] = 1.0
            self.factors[row, : len(line.area)] = [place[name] for name in line.area]
        self.offset = np.array([line.offset_eV for line in lines])
        self.factor = np.array([line.factor for line in lines])
        self.parts = _parts(self.lines, profile)

    def evaluate(self, parameters: Array, edges_eV: Array) -> tuple[Array, Array]:
        """Return expected counts per pixel and their derivatives.

        parameters: shape (spectra, parameters); edges_eV: shape (pixels + 1,), or with its own
        window for each spectrum (spectra, pixels + 1); rising or falling.
        Result: shapes (spectra, pixels) and (spectra, parameters, pixels).
        """
        seen = self._seen(parameters)
        part, slope, by_gauss, by_lorentz = self._in_pixels(seen, edges_eV)
        direction = float(np.sign(edges_eV.flat[edges_eV.shape[-1] - 1] - edges_eV.flat[0]))
        area = direction * seen.area[..., None]
        row = self.parts.row
        jacobian = self.centre.T[:, row] @ (area * slope * seen.drift[..., None])
        if self.parts.has_gauss.any():
            jacobian += self.gauss.T[:, row] @ (area * by_gauss * seen.gauss_share[..., None])
        if self.parts.has_lorentz.any():
            jacobian += self.lorentz.T[:, row] @ (area * by_lorentz)
        by_area = self._area_derivatives(parameters)[:, :, row]
        jacobian += (direction * by_area * seen.share[:, None]) @ part
        if self.parts.varies:
            varied = seen.gauss_drift[..., None] * by_gauss + seen.lorentz_drift[..., None] * (
                by_lorentz
            )
            varied = area * varied + direction * seen.area_drift[..., None] * part
            jacobian += self.centre.T[:, row] @ varied
        powers = background_basis(edges_eV.shape[-1] - 1, len(self.names) - self.first_background)
        jacobian[:, self.first_background :, :] = powers
        counts = (area * part).sum(axis=1) + parameters[:, self.first_background :] @ powers
        return counts, jacobian

    def _seen(self, parameters: Array) -> _Seen:
        """Return the parts at these parameters, shapes (spectra, parts)."""
        row, component = self.parts.row, self.parts.component
        centre = (parameters @ self.centre.T + self.offset)[:, row]
        gauss = (parameters @ self.gauss.T)[:, row]
        lorentz = (parameters @ self.lorentz.T)[:, row]
        area = (self._factor_values(parameters).prod(axis=2) * self.factor)[:, row]
        one, nought = np.ones_like(area), np.zeros_like(area)
        if self.profile is None or not self.parts.through.any():
            return _Seen(centre, gauss, lorentz, area, one, one, one, nought, nought, nought)
        through = self.parts.through
        (share, share_slope), (offset, offset_slope), (wide, wide_slope), (wing, wing_slope) = (
            _interpolated(self.profile.energy_eV, table[:, component], centre)
            for table in (
                self.profile.share,
                self.profile.offset_eV,
                self.profile.gauss_fwhm_eV,
                self.profile.lorentz_fwhm_eV,
            )
        )
        total = np.hypot(gauss, np.where(through, wide, 0.0))
        divisor = np.where(total > 0, total, 1.0)
        return _Seen(
            centre=centre + np.where(through, offset, 0.0),
            gauss=total,
            lorentz=lorentz + np.where(through, wing, 0.0),
            area=area * np.where(through, share, 1.0),
            share=np.where(through, share, 1.0),
            drift=1.0 + np.where(through, offset_slope, 0.0),
            gauss_share=np.where(through, gauss / divisor, 1.0),
            gauss_drift=np.where(through, wide * wide_slope / divisor, 0.0),
            lorentz_drift=np.where(through, wing_slope, 0.0),
            area_drift=area * np.where(through, share_slope, 0.0),
        )

    def _in_pixels(self, seen: _Seen, edges_eV: Array) -> tuple[Array, Array, Array, Array]:
        """Return what falls into each pixel and its derivatives, for parts of unit area.

        On a falling axis all have the other sign.
        """
        place = edges_eV[..., None, :] - seen.centre[..., None]
        parts = self.parts
        shape = (*seen.area.shape, edges_eV.shape[-1] - 1)
        out = [np.zeros(shape) for _ in range(4)]
        for kind, integrated in (
            (parts.has_gauss & ~parts.has_lorentz, _gauss),
            (~parts.has_gauss & parts.has_lorentz, _lorentz),
            (parts.has_gauss & parts.has_lorentz, voigt_at_edges),
        ):
            if not kind.any():
                continue
            if kind.all():
                found = integrated(place, seen.gauss[..., None], seen.lorentz[..., None])
                return found[0], found[1], found[2], found[3]
            found = integrated(
                place[:, kind], seen.gauss[:, kind, None], seen.lorentz[:, kind, None]
            )
            for whole, of_kind in zip(out, found, strict=True):
                whole[:, kind] = of_kind
        return out[0], out[1], out[2], out[3]

    def _factor_values(self, parameters: Array) -> Array:
        with_one = np.concatenate([parameters, np.ones((len(parameters), 1))], axis=1)
        return with_one[:, self.factors]

    def _area_derivatives(self, parameters: Array) -> Array:
        factors = self._factor_values(parameters)
        spectra, lines, _ = factors.shape
        derivative = np.zeros((spectra, len(self.names) + 1, lines))
        rows = np.arange(lines)
        for k in range(3):
            others = factors[:, :, (k + 1) % 3] * factors[:, :, (k + 2) % 3]
            derivative[:, self.factors[:, k], rows] += self.factor * others
        return derivative[:, :-1, :]


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows, those seen through the profile once for each of its components."""

    row: NDArray[np.intp]
    component: NDArray[np.intp]
    through: NDArray[np.bool_]
    has_gauss: NDArray[np.bool_]
    has_lorentz: NDArray[np.bool_]
    varies: bool


def _parts(lines: tuple[Line, ...], profile: InstrumentProfile | None) -> Parts:
    rows: list[tuple[int, int, bool, bool, bool]] = []
    for row, line in enumerate(lines):
        if line.shape is not Shape.PROFILE:
            rows.append((row, 0, False, bool(line.gauss_fwhm), bool(line.lorentz_fwhm)))
            continue
        if profile is None:
            raise ValueError("a line of shape PROFILE needs the instrument profile of the table")
        for k in range(profile.share.shape[1]):
            has_gauss = bool(line.gauss_fwhm) or bool(profile.gauss_fwhm_eV[:, k].any())
            has_lorentz = bool(line.lorentz_fwhm) or bool(profile.lorentz_fwhm_eV[:, k].any())
            rows.append((row, k, True, has_gauss, has_lorentz))
    columns = np.array(rows, dtype=np.intp).reshape(-1, 5).T
    through, gauss, lorentz = columns[2:] > 0
    varies = bool(through.any()) and profile is not None and profile.energy_eV.size > 1
    return Parts(columns[0], columns[1], through, gauss, lorentz, varies)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Parts at given parameters: centre, widths and area, and what moves them with the centre.

    share: of the line's area. drift: of the part's centre with the line's. gauss_share: of the
    part's Gaussian width with the line's; the others: with the line's centre.
    """

    centre: Array
    gauss: Array
    lorentz: Array
    area: Array
    share: Array
    drift: Array
    gauss_share: Array
    gauss_drift: Array
    lorentz_drift: Array
    area_drift: Array


def _interpolated(places: Array, table: Array, at: Array) -> tuple[Array, Array]:
    """Return the values at each part's centre and their slopes; table: (places, parts)."""
    part = np.arange(table.shape[1])
    if places.size == 1:
        return np.broadcast_to(table[0], at.shape), np.zeros_like(at)
    left = np.clip(np.searchsorted(places, at, side="right") - 1, 0, places.size - 2)
    slope = np.diff(table, axis=0)[left, part] / np.diff(places)[left]
    inside = np.clip(at, places[0], places[-1])
    return table[left, part] + slope * (inside - places[left]), np.where(inside == at, slope, 0.0)


@lru_cache(maxsize=64)
def background_basis(pixels: int, orders: int) -> Array:
    """Return the powers of the place in the window, from -1 to 1, shape (orders, pixels)."""
    powers: Array = np.linspace(-1.0, 1.0, pixels) ** np.arange(orders)[:, None]
    powers.flags.writeable = False
    return powers


# Part in each pixel and derivatives with respect to centre and both widths; place: of the edges.


def _gauss(place: Array, gauss: Array, _: Array) -> tuple[Array, Array, Array, Array]:
    relative = place / gauss
    sigmas = _SIGMAS_PER_FWHM * relative
    # Numbers near the smallest there are take three times as long.
    density = (_SIGMAS_PER_FWHM / np.sqrt(2.0 * np.pi)) * np.exp(np.maximum(-0.5 * sigmas**2, -700))
    part = np.diff(ndtr(sigmas))
    return part, -np.diff(density) / gauss, -np.diff(density * relative) / gauss, _NOTHING


def _lorentz(place: Array, _: Array, lorentz: Array) -> tuple[Array, Array, Array, Array]:
    relative = place / lorentz
    density = (2.0 / np.pi) / (1.0 + 4.0 * relative**2)
    part = np.diff(np.arctan(2.0 * relative)) / np.pi
    return part, -np.diff(density) / lorentz, _NOTHING, -np.diff(density * relative) / lorentz


_NOTHING = np.zeros(1)

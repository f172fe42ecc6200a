"""How dipoles lie in a nanocrystal, from the polarization of their lines through a high aperture.

A lens of aperture sin(alpha) = NA collects, of a dipole at TH from the optical axis and azimuth PH,
I(theta) = A + B sin^2 TH + C sin^2 TH cos 2(theta - PH) behind an analyser at theta. So a dipole
along the axis shines too, unpolarised, and the visibility of a line tells how its dipole is tilted.
Source: J. T. Fourkas, Opt. Lett. 26, 211 (2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.polarization import PolarizationFit

__all__ = [
    "Aperture",
    "DipoleAngle",
    "TiltedDipole",
    "angles_between",
    "intensity_of_dipole",
    "tilted_dipole",
]

Array = NDArray[np.float64]

_VERTICAL_VISIBILITY = 1e-3  # below it the azimuth of a dipole means nothing


@dataclass(frozen=True, slots=True)
class Aperture:
    """The three collection factors of a lens in vacuum, (a, b, c) above."""

    numerical_aperture: float

    def __post_init__(self) -> None:
        if not 0.0 < self.numerical_aperture < 1.0:
            raise ValueError(
                f"numerical aperture {self.numerical_aperture} must be between 0 and 1"
            )

    @property
    def factors(self) -> tuple[float, float, float]:
        cosine = float(np.sqrt(1.0 - self.numerical_aperture**2))
        return (
            1.0 / 6.0 - cosine / 4.0 + cosine**3 / 12.0,
            (cosine - cosine**3) / 8.0,
            7.0 / 48.0 - cosine / 16.0 - cosine**2 / 16.0 - cosine**3 / 48.0,
        )

    @property
    def highest_visibility(self) -> float:
        """Return that of a dipole across the axis."""
        a, b, c = self.factors
        return c / (a + b)

    @property
    def axial_light(self) -> float:
        """Return what a dipole along the axis shines, of the mean light of one across it."""
        a, b, _ = self.factors
        return a / (a + b)


def intensity_of_dipole(
    analyser_deg: ArrayLike, *, tilt_deg: float, azimuth_deg: float, aperture: Aperture
) -> Array:
    """Return the light behind an analyser; a dipole across the axis has 1 on average.

    tilt_deg: from the optical axis, 0 to 90.
    """
    a, b, c = aperture.factors
    across = float(np.sin(np.deg2rad(tilt_deg)) ** 2)
    turn = np.deg2rad(2.0 * (np.asarray(analyser_deg, dtype=np.float64) - azimuth_deg))
    return np.asarray((a + b * across + c * across * np.cos(turn)) / (a + b))


@dataclass(frozen=True, slots=True)
class TiltedDipole:
    """tilt_deg: from the optical axis, 0 to 90 (towards or away cannot be told); errors 1 sigma.

    strength: of the dipole, relative to others measured alike: what the line would shine on average
    if it lay across the axis.
    """

    tilt_deg: float
    tilt_error_deg: float
    azimuth_deg: float
    azimuth_error_deg: float
    strength: float


def tilted_dipole(line: PolarizationFit, aperture: Aperture) -> TiltedDipole:
    """Return how the dipole of a line is tilted, going by its visibility.

    A visibility above what the aperture allows is a dipole across the axis; what else depolarises
    (optics, background) looks like a tilt. Raises ValueError for a line without light.
    """
    if not line.coefficients[0] > 0:
        raise ValueError(f"a line of mean intensity {line.coefficients[0]:.3g} has no dipole")
    a, b, c = aperture.factors
    seen = line.visibility_debiased

    def across(visibility: float) -> float:
        return float(np.clip(visibility * a / max(c - visibility * b, 1e-12), 0.0, 1.0))

    def tilt(visibility: float) -> float:
        return float(np.rad2deg(np.arcsin(np.sqrt(across(visibility)))))

    error = line.visibility_error
    ends = tilt(max(seen - error, 0.0)), tilt(min(seen + error, aperture.highest_visibility))
    return TiltedDipole(
        tilt_deg=tilt(seen),
        tilt_error_deg=max(0.5 * (ends[1] - ends[0]), tilt(seen) - ends[0], 1e-9),
        azimuth_deg=line.axis_deg,
        azimuth_error_deg=line.axis_error_deg if seen > _VERTICAL_VISIBILITY else 52.0,
        strength=float(line.coefficients[0] * (a + b) / (a + b * across(seen))),
    )


@dataclass(frozen=True, slots=True)
class DipoleAngle:
    """The angle between two dipoles in space, nearest to 90 of the two that the data allow.

    sigmas_from_90: how many errors it is away from a right angle.
    """

    first: int
    second: int
    angle_deg: float
    error_deg: float

    @property
    def sigmas_from_90(self) -> float:
        return abs(self.angle_deg - 90.0) / self.error_deg


def angles_between(dipoles: Sequence[TiltedDipole]) -> tuple[DipoleAngle, ...]:
    """Return the angle of every pair of two or three dipoles, so that orthogonality is tested.

    It is never assumed: the projections of orthogonal dipoles are not orthogonal. Raises ValueError
    for fewer than two.
    """
    if len(dipoles) < 2:
        raise ValueError(f"{len(dipoles)} dipoles have no angle between them")
    return tuple(
        _angle(i, k, dipoles[i], dipoles[k]) for i, k in combinations(range(len(dipoles)), 2)
    )


def _angle(i: int, k: int, one: TiltedDipole, other: TiltedDipole) -> DipoleAngle:
    at = np.array([one.tilt_deg, other.tilt_deg, one.azimuth_deg, other.azimuth_deg])
    errors = (
        one.tilt_error_deg,
        other.tilt_error_deg,
        one.azimuth_error_deg,
        other.azimuth_error_deg,
    )
    angle, sign = min(
        ((_between(at, sign), sign) for sign in (1.0, -1.0)), key=lambda pair: abs(pair[0] - 90.0)
    )
    variance = 0.0
    for place, error in enumerate(errors):
        step = np.zeros(4)
        step[place] = min(error, 1.0)
        slope = (_between(at + step, sign) - _between(at - step, sign)) / (2.0 * step[place])
        variance += (slope * error) ** 2
    return DipoleAngle(i, k, angle, float(np.sqrt(max(variance, 1e-18))))


def _between(at: Array, sign: float) -> float:
    """Return the angle between directions at (tilt, tilt, azimuth, azimuth), in degrees."""
    tilt_1, tilt_2, azimuth_1, azimuth_2 = np.deg2rad(at)
    cosine = np.sin(tilt_1) * np.sin(tilt_2) * np.cos(azimuth_1 - azimuth_2)
    cosine += sign * np.cos(tilt_1) * np.cos(tilt_2)
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))))

"""Dipoles seen through a high aperture: acceptance check 10, and orthogonality that is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.spatial.transform import Rotation

from analysis.laws.dipoles import (
    Aperture,
    TiltedDipole,
    angles_between,
    intensity_of_dipole,
    tilted_dipole,
)
from analysis.laws.polarization import fit_polarization

if TYPE_CHECKING:
    from conftest import MakeRng

ANGLE = np.arange(0.0, 180.0, 10.0)


def collected(dipole: np.ndarray, analyser_deg: float, aperture: float) -> float:
    """Return the light behind lens and analyser by integration over the directions of emission.

    The lens turns the field of each ray about the axis perpendicular to its plane of incidence,
    until it travels along the optical axis.
    """
    analyser = np.array([np.cos(np.deg2rad(analyser_deg)), np.sin(np.deg2rad(analyser_deg)), 0.0])

    def ray(polar: float, azimuth: float) -> float:
        away = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        along = np.sin(polar) * away + np.cos(polar) * np.array([0.0, 0.0, 1.0])
        field = dipole - along * (along @ dipole)
        turned = Rotation.from_rotvec(polar * np.array([np.sin(azimuth), -np.cos(azimuth), 0.0]))
        return float((turned.apply(field) @ analyser) ** 2 * np.sin(polar))

    total, _ = dblquad(ray, 0.0, 2.0 * np.pi, 0.0, np.arcsin(aperture), epsabs=1e-7, epsrel=1e-6)
    return float(total)


def test_acceptance_10_visibility_and_axial_light_at_an_aperture_of_0_8() -> None:
    assert Aperture(0.8).highest_visibility == pytest.approx(0.984, abs=0.005)
    assert Aperture(0.8).axial_light == pytest.approx(0.419, abs=0.005)
    axial = intensity_of_dipole(ANGLE, tilt_deg=0.0, azimuth_deg=33.0, aperture=Aperture(0.8))
    across = intensity_of_dipole(ANGLE, tilt_deg=90.0, azimuth_deg=33.0, aperture=Aperture(0.8))
    np.testing.assert_allclose(axial, 0.419, atol=0.005)
    assert np.ptp(axial) == 0.0
    assert np.mean(across) == pytest.approx(1.0)
    assert fit_polarization(ANGLE, across, np.full(18, 1e-3)).axis_deg == pytest.approx(33.0)


@pytest.mark.parametrize(
    ("aperture", "visibility", "axial"),
    [(0.42, 0.999, 0.094), (0.7, 0.992, 0.297), (0.9, 0.966, 0.594)],
)
def test_other_apertures_as_tabulated(aperture: float, visibility: float, axial: float) -> None:
    assert Aperture(aperture).highest_visibility == pytest.approx(visibility, abs=1e-3)
    assert Aperture(aperture).axial_light == pytest.approx(axial, abs=1e-3)


def test_the_closed_form_is_the_integral_over_the_lens() -> None:
    tilt, azimuth = 50.0, 20.0
    dipole = np.array(
        [
            np.sin(np.deg2rad(tilt)) * np.cos(np.deg2rad(azimuth)),
            np.sin(np.deg2rad(tilt)) * np.sin(np.deg2rad(azimuth)),
            np.cos(np.deg2rad(tilt)),
        ]
    )
    angles = [0.0, 65.0, 110.0]

    integrated = np.array([collected(dipole, angle, 0.8) for angle in angles])
    closed = intensity_of_dipole(angles, tilt_deg=tilt, azimuth_deg=azimuth, aperture=Aperture(0.8))

    np.testing.assert_allclose(integrated / integrated[0], closed / closed[0], rtol=1e-4)


def seen_dipoles(
    rotation: Rotation, rng: np.random.Generator, relative_error: float
) -> list[TiltedDipole]:
    """Return the three orthogonal dipoles of a nanocrystal as measured at an aperture of 0.8."""
    found = []
    for x, y, z in rotation.as_matrix().T:
        tilt = float(np.rad2deg(np.arccos(min(abs(z), 1.0))))
        azimuth = float(np.rad2deg(np.arctan2(y, x)))
        light = 1e4 * intensity_of_dipole(
            ANGLE, tilt_deg=tilt, azimuth_deg=azimuth, aperture=Aperture(0.8)
        )
        error = relative_error * light
        fit = fit_polarization(ANGLE, light + error * rng.standard_normal(18), error)
        found.append(tilted_dipole(fit, Aperture(0.8)))
    return found


def test_orthogonal_dipoles_are_found_orthogonal_though_their_projections_are_not(
    make_rng: MakeRng,
) -> None:
    rotation = Rotation.from_euler("ZYZ", [20.0, 35.0, 10.0], degrees=True)

    found = seen_dipoles(rotation, make_rng("orthogonal"), 0.003)

    tilts = np.rad2deg(np.arccos(np.abs(rotation.as_matrix()[2])))
    np.testing.assert_allclose([one.tilt_deg for one in found], tilts, atol=3.0)
    np.testing.assert_allclose([one.azimuth_deg for one in found], [32.15, 118.22, 20.0], atol=1.0)
    np.testing.assert_allclose([one.strength for one in found], 1e4, rtol=0.05)
    for pair in angles_between(found):
        assert pair.angle_deg == pytest.approx(90.0, abs=5.0)
        assert pair.sigmas_from_90 < 5.5


def test_the_error_of_the_angle_is_that_of_many_nanocrystals(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 10])
    pulls = []
    while len(pulls) < 120:
        rotation = Rotation.random(random_state=int(rng.integers(2**31)))
        if (
            np.abs(rotation.as_matrix()[2]).max() > 0.85
            or np.abs(rotation.as_matrix()[2]).min() < 0.3
        ):
            continue  # an upright dipole has no azimuth, one across has tilts to one side only
        found = seen_dipoles(rotation, rng, 0.01)
        pulls += [(p.angle_deg - 90.0) / p.error_deg for p in angles_between(found)]
    assert np.mean(np.abs(pulls) < 1.0) > 0.5
    assert np.mean(np.abs(pulls) < 3.0) > 0.95


def test_two_dipoles_that_are_not_orthogonal_are_told(commit_seed: int) -> None:
    one = TiltedDipole(90.0, 1.0, 10.0, 0.5, 1.0)
    other = TiltedDipole(90.0, 1.0, 60.0, 0.5, 1.0)

    (pair,) = angles_between([one, other])

    assert pair.angle_deg == pytest.approx(50.0, abs=1e-6)
    assert pair.sigmas_from_90 > 20.0
    with pytest.raises(ValueError, match="1 dipoles have no angle"):
        angles_between([one])


@pytest.mark.parametrize("aperture", [0.0, 1.0, -0.5, np.nan])
def test_an_aperture_that_is_none_is_refused(aperture: float) -> None:
    with pytest.raises(ValueError, match="numerical aperture"):
        Aperture(aperture)


def test_a_line_without_light_has_no_dipole() -> None:
    dark = fit_polarization(ANGLE, np.zeros(18), np.ones(18))

    with pytest.raises(ValueError, match="has no dipole"):
        tilted_dipole(dark, Aperture(0.8))

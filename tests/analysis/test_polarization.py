"""The polarization law: axes of tilted dipoles, coverage, and what is said of too little light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from analysis.estimation.verdict import Verdict
from analysis.laws.polarization import angle_between_deg, fit_polarization

if TYPE_CHECKING:
    from conftest import MakeRng

Array = NDArray[np.float64]
ANGLE = np.arange(0.0, 180.0, 10.0)


def dipoles() -> Array:
    """Return the dipoles of acceptance check 9 as columns, by scipy's rotations."""
    return np.asarray(Rotation.from_euler("ZYZ", [20.0, 35.0, 10.0], degrees=True).as_matrix())


def test_acceptance_9_axes_and_amplitudes_of_a_tilted_nanocrystal() -> None:
    theta = np.deg2rad(ANGLE)
    fits = []
    for x, y, _ in dipoles().T:
        intensity = (x * np.cos(theta) + y * np.sin(theta)) ** 2
        fits.append(fit_polarization(ANGLE, intensity, np.full(ANGLE.size, 1e-3)))

    axes = [fit.axis_deg for fit in fits]
    np.testing.assert_allclose(axes, [32.15, 118.22, 20.00], atol=0.5)
    np.testing.assert_allclose([fit.amplitude for fit in fits], [0.6809, 0.9901, 0.3290], atol=0.01)
    assert angle_between_deg(axes[0], axes[1]) == pytest.approx(86.07, abs=0.1)
    assert all(fit.visibility == pytest.approx(1.0, abs=1e-6) for fit in fits)


def test_axis_and_visibility_are_unbiased_and_their_errors_right(make_rng: MakeRng) -> None:
    rng = make_rng("axis and visibility")
    true = 100.0 + 400.0 * np.cos(np.deg2rad(ANGLE - 178.0)) ** 2
    sigma = np.sqrt(true)

    fits = [
        fit_polarization(ANGLE, true + rng.normal(0.0, sigma), sigma, add_scatter=False)
        for _ in range(1500)
    ]

    # Bands of 5 standard deviations of 1500 fits.
    miss = np.array([(fit.axis_deg - 178.0 + 90.0) % 180.0 - 90.0 for fit in fits])
    pull = miss / [fit.axis_error_deg for fit in fits]
    assert abs(pull.mean()) < 0.15
    assert pull.std() == pytest.approx(1.0, abs=0.1)
    seen = np.array([(f.visibility - 400.0 / 600.0) / f.visibility_error for f in fits])
    assert abs(seen.mean()) < 0.15
    assert seen.std() == pytest.approx(1.0, abs=0.1)
    assert fits[0].verdict is Verdict.CONVERGED


def test_unpolarized_light_has_no_axis_and_its_visibility_is_debiased(make_rng: MakeRng) -> None:
    rng = make_rng("unpolarized")
    sigma = np.full(ANGLE.size, 10.0)

    fits = [
        fit_polarization(ANGLE, 100.0 + rng.normal(0.0, sigma), sigma, add_scatter=False)
        for _ in range(200)
    ]

    assert np.mean([fit.verdict is Verdict.ILL_DETERMINED for fit in fits]) > 0.95
    raw = np.mean([fit.visibility**2 for fit in fits])
    debiased = np.mean([fit.visibility_debiased**2 for fit in fits])
    assert debiased < 0.7 * raw
    assert all(fit.axis_error_deg <= 180.0 / np.sqrt(12.0) for fit in fits)


def test_blinking_between_angles_enlarges_the_errors(make_rng: MakeRng) -> None:
    rng = make_rng("blinking")
    true = 1000.0 * np.cos(np.deg2rad(ANGLE - 30.0)) ** 2 + 100.0

    fits = [
        fit_polarization(ANGLE, true + rng.normal(0.0, 60.0, 18), np.full(18, 10.0))
        for _ in range(600)
    ]

    pull = [(fit.axis_deg - 30.0) / fit.axis_error_deg for fit in fits]
    assert np.std(pull) == pytest.approx(1.07, abs=0.18)  # 5 standard deviations of 600 fits
    assert np.median([fit.scatter for fit in fits]) == pytest.approx(59.0, rel=0.1)


def test_angles_that_hide_the_modulation_are_said_to() -> None:
    angle = np.array([10.0, 100.0, 190.0, 280.0, 10.0])

    fit = fit_polarization(angle, [1.0, 2.0, 1.0, 2.0, 1.0], np.full(5, 0.1))

    assert fit.verdict is Verdict.ILL_DETERMINED
    assert "do not determine" in fit.reason


def test_darkness_is_no_signal() -> None:
    fit = fit_polarization(ANGLE, np.zeros(18), np.ones(18))

    assert fit.verdict is Verdict.NO_SIGNAL


@pytest.mark.parametrize(
    ("angle", "intensity", "message"),
    [
        ([0.0, 30.0, 60.0], [1.0] * 3, "3 angles leave no residual"),
        ([0.0, 30.0, 60.0, 90.0], [1.0, np.inf, 1.0, 1.0], "intensity: point 1 is inf"),
    ],
)
def test_points_that_determine_no_law_are_refused(
    angle: list[float], intensity: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_polarization(angle, intensity, np.ones(len(angle)))

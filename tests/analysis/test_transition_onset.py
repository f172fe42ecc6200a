"""The onset of a redshift: on and off the grid, its errors, and where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from analysis.estimation.verdict import Verdict
from analysis.laws.transition_onset import below_the_onset, fit_transition_onset

if TYPE_CHECKING:
    from conftest import MakeRng

CHANCE = 1e-6  # that a check fails though what it asks for is met
GRID = np.arange(100.0, 170.1, 5.0)
SIGMA = np.full(GRID.size, 0.1e-3)


def hinge(onset_K: float, temperatures: np.ndarray = GRID) -> np.ndarray:
    below = 0.36e-3 * (temperatures - 100.0)
    return 2.29 + below - 0.56e-3 * np.maximum(temperatures - onset_K, 0.0)


def noise(rng: np.random.Generator) -> np.ndarray:
    return SIGMA * rng.standard_normal(GRID.size)


@pytest.mark.parametrize("onset_K", [130.0, 127.3])
def test_acceptance_17_onset_on_and_off_the_grid(onset_K: float, make_rng: MakeRng) -> None:
    rng = make_rng("acceptance 17", onset_K)
    found = [fit_transition_onset(GRID, hinge(onset_K) + noise(rng), SIGMA) for _ in range(130)]

    onsets = np.array([one.onset_K for one in found])
    assert all(one.is_detected for one in found)
    # 0.6 K are 3.1 standard deviations: 1 of 500 is farther off.
    assert (np.abs(onsets - onset_K) < 0.6).mean() >= 0.94
    assert np.std(onsets) == pytest.approx(0.19, abs=0.065)
    assert all(one.error_K == 2.5 for one in found)  # half a step, whatever the profile says
    assert np.median([one.profile_error_K for one in found]) == pytest.approx(0.19, abs=0.06)
    below = np.array([one.slope_below for one in found])
    above = np.array([one.slope_above for one in found])
    # The bands are 6 and 7 standard deviations; one fit of some thousand has its hinge elsewhere.
    assert (np.abs(below - 0.36e-3) < 0.03e-3).mean() >= 0.96
    assert (np.abs(above + 0.2e-3) < 0.02e-3).mean() >= 0.96
    assert "half the temperature step" in found[0].reason


def test_acceptance_17_without_a_hinge_there_is_no_onset(make_rng: MakeRng) -> None:
    rng = make_rng("acceptance 17 without")
    straight = 2.29 + 0.36e-3 * GRID

    found = [fit_transition_onset(GRID, straight + noise(rng), SIGMA) for _ in range(120)]

    absent = [one for one in found if not one.is_detected]
    assert len(absent) >= 114
    assert absent[0].verdict is Verdict.NO_SIGNAL
    assert absent[0].reason.startswith("not detected: a falling slope lowers chi2 by")
    assert np.isnan(absent[0].onset_K)
    assert np.isnan(absent[0].error_K)


def test_a_slope_that_rises_is_no_redshift() -> None:
    blue = 2.29 + 0.4e-3 * np.maximum(GRID - 130.0, 0.0)

    found = fit_transition_onset(GRID, blue, SIGMA)

    assert not found.is_detected
    assert found.gain < 9.2


def test_a_faint_bend_has_an_interval_that_covers_the_truth(make_rng: MakeRng) -> None:
    rng = make_rng("faint bend")
    covered, detected = 0, 0
    for _ in range(200):
        energies = hinge(130.0) + 12.0 * noise(rng)
        one = fit_transition_onset(GRID, energies, 12.0 * SIGMA)
        if one.is_detected:
            detected += 1
            low, high = one.interval_95_K
            covered += low <= 130.0 <= high

    assert detected > 100
    assert detected - covered <= stats.binom.isf(CHANCE, detected, 0.05)


def test_errors_given_too_small_do_not_make_an_onset_of_noise(make_rng: MakeRng) -> None:
    rng = make_rng("errors too small")
    straight = 2.29 + 0.36e-3 * GRID

    found = [
        fit_transition_onset(GRID, straight + noise(rng), 0.2 * SIGMA).is_detected
        for _ in range(60)
    ]

    assert sum(found) <= stats.binom.isf(CHANCE, len(found), 0.05)


def test_the_midpoint_needs_a_sweep_that_goes_beyond_the_redshift(make_rng: MakeRng) -> None:
    wide = np.arange(90.0, 200.1, 5.0)
    energies = hinge(130.0, wide) + 0.6e-3 * np.maximum(wide - 165.0, 0.0)
    scatter = 1e-4 * make_rng("midpoint").standard_normal(wide.size)

    whole = fit_transition_onset(wide, energies + scatter, np.full(wide.size, 1e-4))
    part = fit_transition_onset(GRID, hinge(130.0), SIGMA)

    # 5 standard deviations of such sweeps: 0.2, 0.22 and 0.11 K, 4.5 ueV/K
    assert whole.onset_K == pytest.approx(130.0, abs=1.0)
    assert whole.end_K == pytest.approx(165.0, abs=1.1)
    assert whole.midpoint_K == pytest.approx(147.5, abs=0.6)
    assert whole.slope_above == pytest.approx(-0.2e-3, abs=0.0225e-3)
    assert np.isnan(part.midpoint_K)


@pytest.mark.parametrize(
    ("temperatures", "energies", "message"),
    [
        ([100.0, 105.0, 110.0], [2.0, 2.0, 2.0], "needs 6 temperatures, got 3"),
        (GRID, hinge(130.0)[:-1], "energy_eV has shape"),
        (GRID, np.where(GRID == 120.0, np.inf, 2.0), "energy_eV: point 4 is inf"),
    ],
)
def test_points_without_an_onset_to_find_are_refused(
    temperatures: np.ndarray, energies: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_transition_onset(temperatures, energies, np.full(len(temperatures), 1e-4))


def from_the_cold(onset_K: float, temperatures: np.ndarray) -> np.ndarray:
    """Return a sweep that a phonon of 16 meV bends, with a redshift of 15 meV over 25 K."""
    occupied = 1.0 / np.expm1(16e-3 / (8.617333e-5 * temperatures))
    redshift = np.clip((temperatures - onset_K) / 25.0, 0.0, 1.0)
    return 2.28 + 0.18e-3 * temperatures + 36e-3 * occupied - 15e-3 * redshift


NIGHT = np.concatenate([np.arange(5.0, 101.0, 10.0), np.arange(105.0, 201.0, 5.0)])


def test_an_onset_in_a_sweep_from_the_cold_is_not_moved_by_its_bend(commit_seed: int) -> None:
    rng = np.random.default_rng(commit_seed)
    sigma = np.full(NIGHT.size, 0.1e-3)
    energy = from_the_cold(132.0, NIGHT) + sigma * rng.standard_normal(NIGHT.size)

    found = fit_transition_onset(NIGHT, energy, sigma)

    assert found.is_detected
    assert found.onset_K == pytest.approx(132.0, abs=1.5)  # straight lines put it at 136 K
    assert found.end_K == pytest.approx(157.0, abs=1.5)
    assert found.chi2_per_dof < 5.0  # straight lines leave 58


def test_points_below_an_onset_are_told_from_those_above() -> None:
    sigma = np.full(NIGHT.size, 0.1e-3)

    below, said = below_the_onset(NIGHT, from_the_cold(132.0, NIGHT), sigma)
    everything, nothing = below_the_onset(NIGHT, 2.28 + 0.3e-3 * NIGHT, sigma)

    assert NIGHT[below].max() == 125.0
    assert said == "of 15 points below 132 K, where a transition sets in"
    assert everything.all()
    assert nothing == ""


def gentle(onset_K: float, temperatures: np.ndarray) -> np.ndarray:
    """Return a sweep with a redshift of 20 meV over 30 K whose slope is half a sine."""
    passed = np.clip((temperatures - onset_K) / 30.0, 0.0, 1.0)
    return 2.28 + 0.36e-3 * temperatures - 10e-3 * (1.0 - np.cos(np.pi * passed))


def test_a_redshift_that_begins_gently_is_found_where_it_begins(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 2])
    sigma = np.full(NIGHT.size, 0.05e-3)
    energy = gentle(127.0, NIGHT) + sigma * rng.standard_normal(NIGHT.size)

    found = fit_transition_onset(NIGHT, energy, sigma)

    assert found.is_gentle
    assert found.onset_K == pytest.approx(127.0, abs=2.5)  # a hinge lies at 132 K
    assert found.end_K == pytest.approx(157.0, abs=2.5)
    assert "it begins gently: a hinge would lie at 13" in found.reason


def test_an_onset_whose_shape_the_points_leave_open_says_so_in_its_error() -> None:
    sigma = np.full(NIGHT.size, 0.6e-3)

    found = fit_transition_onset(NIGHT, gentle(127.0, NIGHT), sigma)

    assert found.error_K > 3.0
    assert found.interval_95_K[0] < 127.0 < found.interval_95_K[1]
    assert "other beginnings would move it by up to" in found.reason


def test_errors_of_the_temperature_are_in_the_onset() -> None:
    exact = fit_transition_onset(GRID, hinge(130.0), SIGMA)
    # 1 K on slopes of 0.36 and 0.2 meV/K is some three times 0.1 meV.
    unsure = fit_transition_onset(GRID, hinge(130.0), SIGMA, sigma_temperature_K=1.0)

    ratio = unsure.profile_error_K / exact.profile_error_K
    assert np.hypot(1.0, 2.0) < ratio < np.hypot(1.0, 3.6)
    with pytest.raises(ValueError, match="sigma_temperature_K must be finite and not negative"):
        fit_transition_onset(GRID, hinge(130.0), SIGMA, sigma_temperature_K=-1.0)

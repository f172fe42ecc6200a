"""The Stark parabola: known answers, coverage of the vertex, drift, and what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import drift
from analysis.laws.stark import fit_stark_parabola

if TYPE_CHECKING:
    from conftest import MakeRng

CHANCE = 1e-6  # that a check fails though what it asks for is met
Array = NDArray[np.float64]
FIELD = np.linspace(-100.0, 100.0, 21)
UEV = 1e-6


def energy_eV(field: Array, vertex: float = 230.0, half_polarizability_ueV: float = 0.05) -> Array:
    return 2.39 - UEV * half_polarizability_ueV * ((field - vertex) ** 2 - vertex**2)


def test_acceptance_13_internal_field_of_an_extrapolated_vertex(make_rng: MakeRng) -> None:
    rng = make_rng("acceptance 13")
    sigma = np.full(21, 10.0 * UEV)

    fits = [
        fit_stark_parabola(FIELD, energy_eV(FIELD) + rng.normal(0.0, sigma), sigma)
        for _ in range(400)
    ]

    internal = np.array([fit.internal_field_kV_per_cm for fit in fits])
    assert internal.mean() == pytest.approx(-230.0, abs=1.0)
    assert internal.std() == pytest.approx(3.1, abs=0.6)
    assert np.median([fit.internal_field_error for fit in fits]) == pytest.approx(3.1, rel=0.3)
    assert all(fit.extrapolated for fit in fits)
    times = [
        re.search(r"the vertex is (.+) times the largest applied field", fit.reason) for fit in fits
    ]
    assert np.median([float(found[1]) for found in times if found]) == pytest.approx(2.3, abs=0.05)
    # Chi-squared by itself passes the limit of the verdict in 1 of 10000.
    assert sum(found is not None for found in times) >= 395
    assert sum(fit.verdict is Verdict.CONVERGED for fit in fits) >= 395
    # Zero-field slope 23 ueV per kV/cm = 0.23 e nm, upwards: mu is negative.
    assert fits[0].dipole_e_nm == pytest.approx(-0.23, abs=0.01)
    shift = energy_eV(np.array([100.0, -100.0])) - energy_eV(np.zeros(1))
    np.testing.assert_allclose(1e3 * shift, [1.80, -2.80], atol=1e-9)


def test_the_sign_of_the_internal_field_follows_the_vertex() -> None:
    fit = fit_stark_parabola(FIELD, energy_eV(FIELD, vertex=-40.0), np.full(21, UEV))

    assert fit.internal_field_kV_per_cm == pytest.approx(40.0, abs=1e-6)
    assert not fit.extrapolated
    assert fit.half_polarizability == pytest.approx(0.05 * UEV, rel=1e-6)
    assert fit.vertex_energy_eV == pytest.approx(energy_eV(np.array([-40.0]), -40.0)[0], abs=1e-12)


def test_the_parabola_agrees_with_polyfit() -> None:
    rng = np.random.default_rng(1)
    sigma = UEV * rng.uniform(5.0, 30.0, 21)
    observed = energy_eV(FIELD) + rng.normal(0.0, sigma)

    fit = fit_stark_parabola(FIELD, observed, sigma, add_scatter=False)

    expected, covariance = np.polyfit(FIELD, observed, 2, w=1.0 / sigma, cov="unscaled")
    np.testing.assert_allclose(fit.coefficients[::-1], expected, rtol=1e-6)
    np.testing.assert_allclose(fit.covariance[::-1, ::-1], covariance, rtol=1e-6)


@pytest.mark.parametrize("curvature_in_sigmas", [4.0, 10.0])
def test_fieller_interval_covers_the_vertex_where_the_curvature_is_weak(
    curvature_in_sigmas: float, make_rng: MakeRng
) -> None:
    rng = make_rng("fieller", curvature_in_sigmas)
    unit = fit_stark_parabola(FIELD, energy_eV(FIELD), np.full(21, UEV), add_scatter=False)
    noise = 0.05 * UEV / (unit.half_polarizability_error * curvature_in_sigmas) * UEV
    sigma = np.full(21, noise)

    inside = 0
    for _ in range(1500):
        observed = energy_eV(FIELD) + rng.normal(0.0, sigma)
        low, high = fit_stark_parabola(
            FIELD, observed, sigma, add_scatter=False
        ).internal_field_interval_kV_per_cm
        inside += low <= -230.0 <= high

    # F(1, 18): 0.683 at most slightly more; 5 standard deviations of 1500
    assert inside / 1500 == pytest.approx(0.70, abs=0.06)


def test_a_straight_line_has_no_vertex_and_says_so(make_rng: MakeRng) -> None:
    rng = make_rng("straight line")
    sigma = np.full(21, 10.0 * UEV)

    fits = [
        fit_stark_parabola(FIELD, 2.39 + 2e-5 * FIELD + rng.normal(0.0, sigma), sigma)
        for _ in range(100)
    ]

    told = [fit for fit in fits if fit.verdict is Verdict.ILL_DETERMINED]
    # A curvature of 2 standard deviations and more is taken for one: 5 of 100 by chance.
    assert len(told) >= 100 - stats.binom.isf(CHANCE, 100, 0.05)
    for fit in told:
        assert "the vertex is not determined" in fit.reason
        high = fit.internal_field_interval_kV_per_cm[1]
        assert high == np.inf or fit.internal_field_error > 500.0


def test_scatter_beyond_the_errors_is_found_and_enlarges_them(make_rng: MakeRng) -> None:
    rng = make_rng("scatter")
    given, true = np.full(21, 2.0 * UEV), 20.0 * UEV

    fits = [
        fit_stark_parabola(FIELD, energy_eV(FIELD) + rng.normal(0.0, true, 21), given)
        for _ in range(600)
    ]

    assert np.median([fit.scatter_eV for fit in fits]) == pytest.approx(20.0 * UEV, rel=0.1)
    pull = [(fit.coefficients[1] - 23.0 * UEV) / fit.dipole_error for fit in fits]
    assert np.std(pull) == pytest.approx(1.06, abs=0.17)  # Student's t with 18 degrees, 600 fits
    assert "of scatter beyond the given errors" in fits[0].reason
    silent = fit_stark_parabola(
        FIELD, energy_eV(FIELD) + rng.normal(0.0, true, 21), given, add_scatter=False
    )
    assert silent.verdict is Verdict.POOR_FIT


def diffusing(rng: np.random.Generator, time_s: Array, duration_s: float, memory_s: float) -> Array:
    """Return means over duration_s of an Ornstein-Uhlenbeck process, stepped finely."""
    steps = 10
    fine = (time_s[:, None] + duration_s * ((np.arange(steps) + 0.5) / steps - 0.5)).ravel()
    keep = np.exp(-np.diff(fine, prepend=fine[0]) / memory_s)
    value, values = rng.normal(), []
    for k in keep:
        value = k * value + np.sqrt(1.0 - k**2) * rng.normal()
        values.append(value)
    return np.array(values).reshape(-1, steps).mean(axis=1)


def test_a_drift_that_neighbours_share_is_used_and_its_error_is_right(make_rng: MakeRng) -> None:
    rng = make_rng("drift")
    field = np.concatenate([[0.0, f, 0.0, -f] for f in np.arange(10.0, 101.0, 10.0)])
    time_s = 10.0 * np.arange(field.size) + 5.0
    given = np.full(field.size, 1.0 * UEV)

    pulls, errors, without = [], [], []
    for _ in range(80):
        observed = energy_eV(field) + 200.0 * UEV * diffusing(rng, time_s, 10.0, 30.0)
        aware = fit_stark_parabola(
            field, observed, given, light_time_s=time_s, light_duration_s=10.0
        )
        pulls.append((aware.coefficients[1] - 23.0 * UEV) / aware.dipole_error)
        errors.append(aware.dipole_error)
        without.append(fit_stark_parabola(field, observed, given).dipole_error)

    assert np.std(pulls) == pytest.approx(1.05, abs=0.45)  # 5 standard deviations of 80 fits
    assert np.median(errors) < 0.7 * np.median(without)


def test_the_covariance_of_a_drift_is_that_of_its_means(make_rng: MakeRng) -> None:
    rng = make_rng("means of a drift")
    time_s = np.array([5.0, 15.0, 40.0])

    seen = np.cov(np.array([diffusing(rng, time_s, 10.0, 20.0) for _ in range(20_000)]).T)

    np.testing.assert_allclose(drift(time_s, 10.0, 20.0), seen, atol=0.05)


def test_blocks_take_up_a_displacement_of_the_zero_field_energy() -> None:
    block = np.repeat([0, 1, 2], 7)
    moved = energy_eV(FIELD) + np.array([0.0, 3e-4, -2e-4])[block]

    fit = fit_stark_parabola(FIELD, moved, np.full(21, UEV), block=block)

    assert fit.internal_field_kV_per_cm == pytest.approx(-230.0, abs=1e-5)
    np.testing.assert_allclose(fit.coefficients[3:], [3e-4, -2e-4], atol=1e-10)


def test_a_cubic_term_shows_as_a_shift_of_the_vertex() -> None:
    bent = energy_eV(FIELD) + 1e-11 * FIELD**3

    cubic = fit_stark_parabola(FIELD, bent, np.full(21, 10.0 * UEV))
    straight = fit_stark_parabola(FIELD, energy_eV(FIELD), np.full(21, 10.0 * UEV))

    assert abs(cubic.cubic_shift_kV_per_cm[0]) > 3.0
    assert abs(straight.cubic_shift_kV_per_cm[0]) < 1e-5
    assert straight.cubic_shift_kV_per_cm[1] > 0.0


@pytest.mark.parametrize(
    ("field", "energy", "sigma", "message"),
    [
        ([0.0, 1.0], [1.0, 1.0], [1.0, 1.0], "needs 3 different fields, got 2"),
        ([0.0, 1.0, 2.0], [1.0] * 3, [1.0] * 3, "3 points for 3 parameters leave no residual"),
        ([0.0, 1.0, 2.0, np.nan], [1.0] * 4, [1.0] * 4, "field_kV_per_cm: point 3 is nan"),
        ([0.0, 1.0, 2.0, 3.0], [1.0] * 4, [1.0, 1.0, 0.0, 1.0], "sigma_eV: point 2 is not pos"),
        ([0.0, 1.0, 2.0, 3.0], [1.0] * 3, [1.0] * 4, "energy_eV has shape"),
    ],
)
def test_points_that_determine_nothing_are_refused(
    field: list[float], energy: list[float], sigma: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_stark_parabola(field, energy, sigma)


def test_a_drift_without_its_times_is_refused() -> None:
    with pytest.raises(ValueError, match=r"light_duration_s is 0\.0 and must be positive"):
        fit_stark_parabola(FIELD, energy_eV(FIELD), np.full(21, UEV), light_time_s=FIELD)


def test_errors_of_the_field_are_in_the_errors_of_the_vertex(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 13])
    sigma, off = np.full(21, UEV), 2.0
    pulls: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(300):
        energies = energy_eV(FIELD + off * rng.standard_normal(21)) + rng.normal(0.0, sigma)
        for told, seen in pulls.items():
            fit = fit_stark_parabola(
                FIELD,
                energies,
                sigma,
                add_scatter=False,
                sigma_field_kV_per_cm=off if told else None,
            )
            seen.append((fit.internal_field_kV_per_cm + 230.0) / fit.internal_field_error)

    # 68 % within the error; far fewer where the errors of the field are left out.
    assert np.mean(np.abs(pulls[True]) < 1.0) == pytest.approx(0.683, abs=0.1)
    assert np.mean(np.abs(pulls[False]) < 1.0) < 0.25


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_an_error_of_the_field_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="sigma_field_kV_per_cm must be finite"):
        fit_stark_parabola(FIELD, energy_eV(FIELD), np.full(21, UEV), sigma_field_kV_per_cm=wrong)


def test_a_significant_cubic_term_is_said_with_what_it_does_to_the_field() -> None:
    rng = np.random.default_rng(7)
    sigma = np.full(21, 2.0 * UEV)
    bent = energy_eV(FIELD) + 3e-10 * FIELD**3 + rng.normal(0.0, sigma)

    assert "a cubic term is there" in fit_stark_parabola(FIELD, bent, sigma).reason
    plain = fit_stark_parabola(FIELD, energy_eV(FIELD) + rng.normal(0.0, sigma), sigma)
    assert "cubic" not in plain.reason

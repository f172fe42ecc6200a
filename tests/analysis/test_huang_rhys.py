"""Phonon replicas: the law, and the factor from spectra and their covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats
from scipy.stats import poisson

from analysis.estimation.cramer_rao import expected_electrons
from analysis.estimation.fisher_scoring import Box, Counts, maximise_likelihood
from analysis.estimation.line_table import Line, LineTable
from analysis.estimation.verdict import Verdict
from analysis.laws.huang_rhys import compare_couplings, fit_huang_rhys, replica_weights
from analysis.spectra.thermal_occupation import thermal_occupation

if TYPE_CHECKING:
    from conftest import MakeRng


def test_at_zero_temperature_replicas_are_poissonian() -> None:
    np.testing.assert_allclose(replica_weights(np.arange(6), 0.3), poisson(0.3).pmf(np.arange(6)))
    assert replica_weights(-1, 0.3) == 0.0


def test_acceptance_12_ratios_of_areas() -> None:
    line, first, second = replica_weights([0, 1, 2], 0.10)

    assert first / line == pytest.approx(0.100, abs=1e-9)
    assert second / line == pytest.approx(0.0050, abs=1e-9)


def test_thermal_replicas_add_up_and_keep_detailed_balance() -> None:
    occupation = float(thermal_occupation(3.5e-3, 50.0))
    orders = np.arange(-30, 60)

    weights = replica_weights(orders, 0.8, occupation)

    assert occupation == pytest.approx(0.80, abs=0.01)
    assert weights.sum() == pytest.approx(1.0, abs=1e-10)
    assert weights @ orders == pytest.approx(0.8, rel=1e-9)  # mean energy given to phonons
    stokes, anti = weights[orders == 1][0], weights[orders == -1][0]
    assert anti / stokes == pytest.approx(occupation / (occupation + 1.0), rel=1e-10)
    np.testing.assert_allclose(
        replica_weights([0, 1, 2], 0.3, 1e-12), replica_weights([0, 1, 2], 0.3), rtol=1e-5
    )


# Two lines of 0.5 meV, 1 meV apart, with replicas 3.5 and 7 meV below; areas are fitted freely.
EDGES = 2.38 + 0.05e-3 * np.arange(401)
CENTRES = {
    f"{name}{m}": 2.3925 + shift - 3.5e-3 * m
    for name, shift in (("a", 0.0), ("b", 1e-3))
    for m in range(3)
}
REPLICAS = LineTable(
    [Line((("energy", 1.0),), "width", (name,), offset_eV=e) for name, e in CENTRES.items()],
    background_order=0,
)


def areas_of_a_spectrum(rng: np.random.Generator) -> tuple[dict[str, float], np.ndarray]:
    """Return fitted areas of a spectrum with S = 0.1 in both lines, and their covariance."""
    truth = {"a": 1e5, "b": 6e4}
    lines = {"width_eV": 0.5e-3, "background_0": 5.0}
    for k, (name, energy) in enumerate(CENTRES.items(), start=1):
        lines[f"energy_{k}_eV"] = energy
        lines[f"area_{k}_counts"] = truth[name[0]] * [1.0, 0.1, 0.005][int(name[1])]
    expected = expected_electrons(EDGES, lines, shape="gauss")
    counts = rng.poisson(expected) + 4.0 * rng.standard_normal(expected.size)
    start = np.array([[0.0, 0.6e-3, *[2e4] * 6, 0.0]])
    start = start[
        :, [("energy", "width", *CENTRES, "background_0").index(n) for n in REPLICAS.names]
    ]
    free = np.full_like(start, np.inf)
    box = Box(-free, free, lambda place: np.full_like(place, np.inf))
    optimum = maximise_likelihood(
        lambda place: REPLICAS.evaluate(place, EDGES),
        Counts(counts[None], np.full((1, counts.size), 16.0), np.ones((1, counts.size))),
        start=start,
        box=box,
    )
    assert optimum.converged.all()
    covariance = np.linalg.inv(optimum.information[0])
    at = [REPLICAS.names.index(name) for name in CENTRES]
    values = dict(zip(CENTRES, optimum.parameters[0, at].tolist(), strict=True))
    return values, covariance[np.ix_(at, at)]


def test_acceptance_12_factor_from_a_spectrum_is_right_and_the_same_for_both_lines(
    make_rng: MakeRng,
) -> None:
    rng = make_rng("acceptance 12")
    pulls, good = [], 0
    for _ in range(100):
        areas, covariance = areas_of_a_spectrum(rng)
        a = fit_huang_rhys([0, 1, 2], [areas[f"a{m}"] for m in range(3)], covariance[:3, :3])
        b = fit_huang_rhys([0, 1, 2], [areas[f"b{m}"] for m in range(3)], covariance[3:, 3:])
        good += a.verdict is Verdict.CONVERGED
        assert a["coupling"] == pytest.approx(0.100, abs=0.006)  # 5.9 standard deviations
        assert (
            compare_couplings(
                [a["coupling"], b["coupling"]], [a.error("coupling"), b.error("coupling")]
            ).probability
            > 1e-8
        )
        pulls.append((a["coupling"] - 0.1) / a.error("coupling"))

    assert np.std(pulls) == pytest.approx(1.0, abs=0.36)  # 5 standard deviations of 100 fits
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.5)
    assert good >= 93  # chi-squared of one degree passes the limit of the verdict in 1 of 270


def test_at_50_K_the_occupation_is_part_of_the_law() -> None:
    weights = replica_weights([-1, 0, 1, 2], 0.2, float(thermal_occupation(3.5e-3, 50.0)))
    sigma = np.full(4, 10.0)

    warm = fit_huang_rhys([-1, 0, 1, 2], 1e5 * weights, sigma, phonon_eV=3.5e-3, temperature_K=50.0)
    as_if_cold = fit_huang_rhys([0, 1, 2], 1e5 * weights[1:], sigma[1:])

    assert warm["coupling"] == pytest.approx(0.2, rel=1e-4)
    assert as_if_cold["coupling"] > 0.3
    assert as_if_cold.verdict is Verdict.POOR_FIT


def test_a_replica_lost_in_noise_is_not_determined() -> None:
    fit = fit_huang_rhys([0, 1], [1000.0, 20.0], [40.0, 40.0])

    assert fit.verdict is Verdict.ILL_DETERMINED
    assert "coupling" in fit.reason


def test_different_factors_are_told_apart() -> None:
    assert compare_couplings([0.10, 0.15], [0.005, 0.005]).probability < 1e-6
    same = compare_couplings([0.10, 0.11], [0.01, 0.02])
    assert same.mean == pytest.approx(0.102)
    assert same.error == pytest.approx(0.00894, abs=1e-5)


@pytest.mark.parametrize(
    ("order", "temperature", "message"),
    [([1, 2], 0.0, "must contain 0 and 1"), ([0, 1], 50.0, "phonon energy must be given")],
)
def test_a_factor_without_its_line_or_phonon_is_refused(
    order: list[int], temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_huang_rhys(order, [10.0, 1.0], [1.0, 1.0], temperature_K=temperature)


def test_a_mean_of_factors_is_no_better_than_the_response_that_all_were_read_with() -> None:
    own, response = 1e-4, np.sqrt(2.0) * 0.018
    factors = 0.1 + own * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    differing = np.array([0.1, 0.102])

    mean = compare_couplings(factors, np.hypot(own, response * factors), response_error=0.018)
    apart = compare_couplings(differing, np.hypot(own, response * differing), response_error=0.018)

    assert mean.error == pytest.approx(np.hypot(own / np.sqrt(6.0), response * 0.1), rel=1e-6)
    assert mean.probability == pytest.approx(stats.chi2.sf(6.0, 5), rel=1e-6)
    assert apart.probability < 1e-6  # the response cannot have done that


@pytest.mark.parametrize("couplings", [[0.1], [0.1, 0.2, 0.3]])
def test_factors_without_errors_are_not_compared(couplings: list[float]) -> None:
    with pytest.raises(ValueError, match="needs 2 each"):
        compare_couplings(couplings, [0.01, 0.01])

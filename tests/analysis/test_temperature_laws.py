"""Energy and width over temperature: known answers, errors of both axes, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.estimation.verdict import Verdict
from analysis.laws.energy_of_temperature import energy_at_temperature_eV, fit_energy_of_temperature
from analysis.laws.linewidth_of_temperature import fit_linewidth_of_temperature, linewidth_eV
from analysis.spectra.thermal_occupation import thermal_occupation

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeRng

    from analysis.laws.law_fit import LawFit

RUDIN = np.array([2e-3, 0.01e-3, 50e-3, 16e-3])
TEMPERATURES = np.linspace(5.5, 200.0, 21)


def test_occupation_of_a_16_meV_phonon_as_tabulated() -> None:
    occupied = thermal_occupation(16e-3, [0.0, 0.1, 50.0, 100.0, 130.0, 150.0, 200.0])

    np.testing.assert_allclose(occupied, [0, 0, 0.0250, 0.1851, 0.3153, 0.4085, 0.6534], atol=6e-5)


def test_acceptance_15_width_at_given_temperatures() -> None:
    width = linewidth_eV([5.5, 50.0, 100.0, 130.0, 150.0, 200.0], RUDIN)

    np.testing.assert_allclose(
        1e3 * width, [2.055, 3.750, 12.255, 19.066, 23.924, 36.672], atol=0.002
    )


def test_acceptance_15_phonon_energy_and_its_correlation_from_21_temperatures(
    make_rng: MakeRng,
) -> None:
    truth = linewidth_eV(TEMPERATURES, RUDIN)
    rng = make_rng("acceptance 15")
    fits = [
        fit_linewidth_of_temperature(
            TEMPERATURES, truth * (1.0 + 0.02 * rng.standard_normal(21)), 0.02 * truth
        )
        for _ in range(150)
    ]

    energies = np.array([fit["energy_lo_eV"] for fit in fits])
    errors = np.array([fit.error("energy_lo_eV") for fit in fits])
    correlations = [fit.correlation("gamma_lo_eV", "energy_lo_eV") for fit in fits]
    warned = [
        any("gamma_lo_eV and energy_lo_eV are correlated" in w for w in f.warnings) for f in fits
    ]
    # Bands of 5 standard deviations of 150 fits.
    assert np.mean(energies) == pytest.approx(16e-3, abs=0.2e-3)
    assert np.std(energies) == pytest.approx(0.43e-3, rel=0.3)
    assert np.median(errors) == pytest.approx(0.4e-3, rel=0.25)
    assert np.median(correlations) == pytest.approx(0.94, abs=0.03)
    assert np.mean(warned) > 0.95
    assert np.mean(np.abs(energies - 16e-3) < errors) == pytest.approx(0.66, abs=0.2)


def test_a_sweep_to_60_K_does_not_determine_the_phonon_unless_it_is_given() -> None:
    cold = np.linspace(5.0, 60.0, 20)
    truth = linewidth_eV(cold, RUDIN)
    observed = truth * (1.0 + 0.02 * np.random.default_rng(8).standard_normal(20))

    free = fit_linewidth_of_temperature(cold, observed, 0.02 * truth)
    given = fit_linewidth_of_temperature(
        cold, observed, 0.02 * truth, fixed={"energy_lo_eV": 16e-3}
    )

    assert free.error("gamma_lo_eV") > 5.0 * given.error("gamma_lo_eV")
    assert given.error("gamma_lo_eV") == pytest.approx(0.036 * 50e-3, rel=0.25)
    assert given.error("energy_lo_eV") == 0.0


def test_errors_of_the_temperature_are_in_the_errors_of_the_law(make_rng: MakeRng) -> None:
    truth = linewidth_eV(TEMPERATURES, RUDIN)
    rng = make_rng("errors of the temperature")
    sigma_K = 0.5 + 0.01 * TEMPERATURES
    pulls = []
    for _ in range(120):
        read_K = TEMPERATURES + sigma_K * rng.standard_normal(21)
        observed = truth * (1.0 + 0.02 * rng.standard_normal(21))
        fit = fit_linewidth_of_temperature(
            read_K, observed, 0.02 * truth, sigma_temperature_K=sigma_K
        )
        pulls.append((fit["gamma_lo_eV"] - 50e-3) / fit.error("gamma_lo_eV"))

    assert np.std(pulls) == pytest.approx(1.0, abs=0.36)  # 5 standard deviations of 120 fits


def test_energy_over_temperature_comes_back_with_its_errors(make_rng: MakeRng) -> None:
    truth = np.array([2.28, 0.1e-3, -8e-3, 16e-3])
    temperatures = np.linspace(5.0, 300.0, 40)
    energies = energy_at_temperature_eV(temperatures, truth)
    observed = energies + 1e-5 * make_rng("energy").standard_normal(40)

    fit = fit_energy_of_temperature(temperatures, observed, np.full(40, 1e-5))

    assert fit.verdict is Verdict.CONVERGED or fit.probability < 1e-3, fit.reason
    assert (np.abs(fit.values - truth) < 5.5 * fit.errors).all()
    assert fit.probability > 1e-6


def test_a_straight_line_does_not_determine_a_phonon(make_rng: MakeRng) -> None:
    temperatures = np.linspace(150.0, 300.0, 16)
    noise = 2e-4 * make_rng("straight line").standard_normal(16)

    fit = fit_energy_of_temperature(
        temperatures, 2.3 + 3e-4 * temperatures + noise, np.full(16, 2e-4)
    )

    assert fit.verdict is Verdict.ILL_DETERMINED


def test_a_law_that_bends_where_the_points_do_not_is_noticed() -> None:
    temperatures = np.linspace(20.0, 200.0, 40)
    bump = 2e-3 * np.exp(-(((temperatures - 120.0) / 20.0) ** 2))
    width = linewidth_eV(temperatures, RUDIN) + bump

    fit = fit_linewidth_of_temperature(temperatures, width, np.full(40, 1e-4))

    assert fit.verdict is Verdict.POOR_FIT
    assert any("residuals keep their sign" in warning for warning in fit.warnings)
    assert (fit.errors_with_misfit > 2.0 * fit.errors).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"temperature_K": [5.0, 10.0]}, r"width_eV has shape \(21,\)"),
        ({"sigma_eV": np.zeros(21)}, "sigma_eV: point 0 is not positive"),
        ({"width_eV": np.full(21, np.nan)}, "width_eV: point 0 is nan"),
        ({"fixed": {"e_lo": 0.016}}, "'e_lo' is no parameter"),
        ({"sigma_temperature_K": -1.0}, "sigma_x must be finite and not negative"),
    ],
)
def test_points_that_are_none_are_refused(changed: dict[str, object], message: str) -> None:
    points = {
        "temperature_K": TEMPERATURES,
        "width_eV": linewidth_eV(TEMPERATURES, RUDIN),
        "sigma_eV": np.full(21, 1e-4),
    } | changed

    with pytest.raises(ValueError, match=message):
        fit_linewidth_of_temperature(**points)


@pytest.mark.parametrize(
    ("fit_law", "phonon"),
    [
        (fit_linewidth_of_temperature, "energy_lo_eV"),
        (fit_energy_of_temperature, "phonon_eV"),
    ],
)
def test_points_that_leave_the_phonon_open_are_fitted_with_it_held_and_say_so(
    fit_law: Callable[..., LawFit], phonon: str
) -> None:
    # A straight line over a small range: any phonon, however soft, will do.
    temperature = np.array([30.0, 60.0, 90.0, 95.0, 100.0, 105.0, 110.0, 120.0])
    seen = 1e-3 + 3e-5 * temperature + 1e-3 * (temperature > 50.0) + 2e-4 * np.cos(temperature)

    fit = fit_law(temperature, seen, np.full(8, 2e-5))

    assert fit.verdict is Verdict.ILL_DETERMINED
    assert f"do not determine {phonon}" in fit.reason
    assert fit.error(phonon) == 0.0
    assert np.isfinite(fit.values).all()


def test_an_error_that_all_widths_share_is_in_those_of_the_law() -> None:
    truth = linewidth_eV(TEMPERATURES, RUDIN)
    own, shared = np.diag((0.01 * truth) ** 2), np.outer(0.05 * truth, 0.05 * truth)

    alone = fit_linewidth_of_temperature(TEMPERATURES, truth, own)
    both = fit_linewidth_of_temperature(TEMPERATURES, truth, own + shared)

    # A factor common to all widths is one on every Gamma, and none on the phonon.
    assert both.error("gamma_lo_eV") == pytest.approx(
        np.hypot(alone.error("gamma_lo_eV"), 0.05 * 50e-3), rel=0.02
    )
    assert both.error("energy_lo_eV") == pytest.approx(alone.error("energy_lo_eV"), rel=0.02)

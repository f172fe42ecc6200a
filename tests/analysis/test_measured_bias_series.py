"""The measured bias series of a MoSe2/WS2 heterobilayer, against an independent fit of it.

The data and the figures stand in ../shared/data/README.md; without them the tests are skipped.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import solve_with_scatter
from analysis.readers.bias_series import BiasSeries, read_bias_zip
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_fit import DetectorNoise, SpectrumFit, fit_spectrum

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "mose2ws2_bias" / "electric_field.zip"
CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.5, offset_counts=-1.0)
SEEN = (Verdict.CONVERGED, Verdict.POOR_FIT)


@pytest.fixture(scope="module")
def series() -> BiasSeries:
    if not ARCHIVE.exists():
        pytest.skip("../shared/data/mose2ws2_bias/electric_field.zip is not here")
    return read_bias_zip(ARCHIVE)


def fit_at(series: BiasSeries, volt: float, model: FitModel) -> SpectrumFit:
    row = int(np.argmin(np.abs(series.voltage_V - volt)))
    return fit_spectrum(series.wavelength_nm, series.counts[row], model=model, noise=CCD)


def test_the_archive_is_read_whole_and_in_order_of_the_voltage(series: BiasSeries) -> None:
    np.testing.assert_allclose(series.voltage_V, np.arange(-80, 81) / 10.0, atol=1e-9)
    assert series.counts.shape == (161, 1340)
    assert series.counts.max() == 53562.0
    assert (series.counts < 0).any()
    assert series.wavelength_nm[0] == pytest.approx(728.10, abs=0.01)
    assert series.wavelength_nm[-1] == pytest.approx(811.45, abs=0.01)


@pytest.mark.parametrize(
    ("low_V", "high_V", "slope_meV_per_V", "sigma"),
    [(4.6, 6.3, -22.5, 0.5), (4.6, 5.4, -17.8, 0.7), (5.4, 6.2, -24.8, 0.4)],
)
def test_the_tunable_line_moves_as_an_independent_fit_says(
    series: BiasSeries, low_V: float, high_V: float, slope_meV_per_V: float, sigma: float
) -> None:
    model = FitModel(lines=1, shape="lorentz", window_eV=(1.528, 1.59))
    volt = series.voltage_V[(series.voltage_V > low_V - 0.05) & (series.voltage_V < high_V + 0.05)]
    fits = [fit_at(series, v, model) for v in volt]
    energy = np.array([fit["energy_1_eV"] for fit in fits])
    error = np.array([fit.errors_with_misfit[fit.names.index("energy_1_eV")] for fit in fits])

    line = solve_with_scatter(np.column_stack([np.ones(volt.size), volt]), energy, error**2)

    slope, slope_error = 1e3 * line.coefficients[1], 1e3 * float(np.sqrt(line.covariance[1, 1]))
    assert all(fit.verdict in SEEN for fit in fits)
    assert abs(slope - slope_meV_per_V) < 2.0 * np.hypot(sigma, slope_error)
    assert slope_error < 1.5 * sigma


def test_the_tunable_line_begins_and_ends_where_it_should(series: BiasSeries) -> None:
    model = FitModel(lines=1, shape="lorentz", window_eV=(1.528, 1.59))

    assert fit_at(series, 4.6, model)["energy_1_eV"] == pytest.approx(1.5740, abs=5e-4)
    assert fit_at(series, 6.3, model)["energy_1_eV"] == pytest.approx(1.5370, abs=5e-4)


@pytest.mark.parametrize(
    ("volt", "shape", "window_eV", "energy_eV", "within_eV", "least_eV", "most_eV"),
    [
        (-4.0, "gauss", (1.59, 1.612), 1.60015, 2e-4, 4.3e-3, 4.8e-3),
        (1.0, "gauss", (1.59, 1.612), 1.60111, 2e-4, 4.3e-3, 4.8e-3),
        (-2.0, "lorentz", (1.638, 1.648), 1.6430, 2e-4, 2.2e-3, 2.8e-3),
        (0.0, "lorentz", (1.638, 1.648), 1.6430, 2e-4, 2.2e-3, 2.8e-3),
    ],
)
def test_the_main_and_the_narrow_line_are_where_they_should_be(
    series: BiasSeries,
    volt: float,
    shape: Literal["gauss", "lorentz"],
    window_eV: tuple[float, float],
    energy_eV: float,
    within_eV: float,
    least_eV: float,
    most_eV: float,
) -> None:
    model = FitModel(lines=1, shape=shape, window_eV=window_eV)

    fit = fit_at(series, volt, model)

    assert fit.verdict in SEEN, fit.reason
    assert fit["energy_1_eV"] == pytest.approx(energy_eV, abs=within_eV)
    assert least_eV < fit["width_eV"] < most_eV

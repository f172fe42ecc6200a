"""A line over temperature with phonons beneath it: the ladder, and what is left when it is off."""

import numpy as np
import pytest
from scipy.special import ive

from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.verdict import Verdict
from analysis.series.warming_series import WarmingSeries, WarmPoint, fit_warming_series
from analysis.spectra.phonon_ladder import Mode, phonon_ladder
from analysis.spectra.spectrum_window import Window

BOLTZMANN_EV_PER_K = 8.617333e-5
MODE = Mode(4.5e-3, 0.3, 1e-3)
EDGES_EV = np.linspace(2.22, 2.36, 281)
TEMPERATURES = np.array([5.0, 12.0, 40.0, 70.0, 100.0])
WIDTHS_EV = np.array([2.0e-3, 2.1e-3, 2.8e-3, 6.4e-3, 12.2e-3])


def occupation(temperature_K: float) -> float:
    return float(1.0 / np.expm1(MODE.energy_eV / (BOLTZMANN_EV_PER_K * temperature_K)))


@pytest.mark.parametrize("temperature_K", [5.0, 60.0, 150.0])
def test_a_ladder_has_the_weights_of_huang_and_rhys(temperature_K: float) -> None:
    n = occupation(temperature_K)
    order = np.arange(-3, 6)
    product = 2.0 * MODE.coupling * np.sqrt(n * (n + 1.0))
    tilt = ((n + 1.0) / n) ** (0.5 * order)
    weight = tilt * ive(np.abs(order), product)
    weight *= np.exp(product - MODE.coupling * (2.0 * n + 1.0))

    found = phonon_ladder([MODE], temperature_K)

    lost = np.rint(-found.offset_eV[0] / MODE.energy_eV)
    shares = [found.share[0, lost == m].sum() for m in order]
    np.testing.assert_allclose(shares, weight, atol=4e-3)  # small steps are left out


def test_phonons_move_the_mean_by_their_coupling_at_every_temperature() -> None:
    other = Mode(17e-3, 0.1, 2e-3)

    for temperature_K in (5.0, 100.0):
        ladder = phonon_ladder([MODE, other], temperature_K)
        mean_eV = float(ladder.share[0] @ ladder.offset_eV[0])
        assert mean_eV == pytest.approx(-0.3 * 4.5e-3 - 0.1 * 17e-3, abs=0.15e-3)


def spectrum(width_eV: float, temperature_K: float, gauss_eV: float = 0.8e-3) -> np.ndarray:
    """Return a line of area 1 at 0 with its ladder in cells of 0.05 meV, by Fourier's transform."""
    size, step_eV = 16384, 0.05e-3
    k = 2.0 * np.pi * np.fft.rfftfreq(size, step_eV)
    n = occupation(temperature_K)
    broad = np.exp(-0.5 * MODE.width_eV * k)
    loss, gain = (np.exp(s * 1j * k * MODE.energy_eV) * broad for s in (1.0, -1.0))
    ladder = np.exp(MODE.coupling * ((n + 1.0) * loss + n * gain - 2.0 * n - 1.0))
    line = np.exp(-0.5 * width_eV * k - 0.5 * (gauss_eV / 2.3548 * k) ** 2)
    return np.fft.fftshift(np.fft.irfft(ladder * line, size))


def points(rng: np.random.Generator, temperatures: np.ndarray = TEMPERATURES) -> list[WarmPoint]:
    """Return two spectra of each temperature, of 10^6 electrons and with read noise."""
    grid_eV = 2.29 + 0.05e-3 * (np.arange(16384) - 8192.0)
    found = []
    for temperature_K, width_eV in zip(temperatures, WIDTHS_EV, strict=False):
        cumulative = np.cumsum(spectrum(width_eV, temperature_K))
        light = 1e6 * np.diff(np.interp(EDGES_EV, grid_eV + 0.025e-3, cumulative))
        for _ in range(2):
            seen = rng.poisson(light) + 10.0 * rng.standard_normal(light.size)
            counts = Counts(seen[None], np.full((1, light.size), 100.0), np.ones((1, light.size)))
            found.append(WarmPoint(float(temperature_K), 0.01, Window(EDGES_EV, counts)))
    return found


@pytest.fixture(scope="module")
def series(commit_seed: int) -> WarmingSeries:
    return fit_warming_series(
        points(np.random.default_rng(commit_seed)), phonons_eV=[MODE.energy_eV]
    )


def test_cold_spectra_tell_how_strongly_and_how_widely_a_mode_couples(
    series: WarmingSeries,
) -> None:
    (mode,) = series.modes

    assert series.verdict is Verdict.CONVERGED, series.reason
    assert abs(mode.coupling - 0.3) < 5.0 * series.coupling_errors[0] < 0.05
    assert abs(mode.width_eV - 1e-3) < 5.0 * series.mode_width_error_eV < 0.5e-3
    assert "4.5 meV couples by 0." in series.reason


def test_energies_and_widths_are_those_of_the_line_without_phonons(series: WarmingSeries) -> None:
    np.testing.assert_allclose(series.temperature_K, TEMPERATURES)
    width_error = np.sqrt(np.diag(series.width_covariance))
    energy_error = np.sqrt(np.diag(series.energy_covariance))
    assert (np.abs(series.width_eV - WIDTHS_EV) < 5.0 * width_error + 0.02 * WIDTHS_EV).all()
    assert (np.abs(series.energy_eV - 2.29) < 5.0 * energy_error + 20e-6).all()
    # The whole peak of the warmest is 5 meV wider, and 1 meV lower.
    assert width_error[-1] < 1e-3


def test_what_is_not_known_of_the_mode_is_an_error_of_all_widths_together(
    series: WarmingSeries,
) -> None:
    shared = series.width_covariance - np.diag(series.own_width_errors_eV**2)

    warm = shared[2:, 2:]
    errors = np.sqrt(np.diag(warm))
    assert (warm / errors / errors[:, None] > 0.5).all()


def test_without_a_cold_spectrum_there_is_nothing_to_take_off() -> None:
    warm = points(np.random.default_rng(1), np.array([40.0, 70.0]))

    with pytest.raises(ValueError, match=r"at 40\.0 K, is too warm to show replicas of 4\.5 meV"):
        fit_warming_series(warm, phonons_eV=[4.5e-3])

"""A wandering line: the error of its mean, and the sum of registered frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.estimation.cramer_rao import expected_electrons
from analysis.estimation.verdict import Verdict
from analysis.laws.spectral_diffusion import fit_spectral_diffusion, registered_sum
from analysis.spectra.spectrum_fit import DetectorNoise, FitModel, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

EXPOSURE_S, FRAMES = 10.0, 100
TIMES = EXPOSURE_S * (np.arange(FRAMES) + 0.5)
Array = NDArray[np.float64]


def wandering(rng: np.random.Generator, *, sigma: float = 0.2e-3, memory_s: float = 30.0) -> Array:
    """Return an Ornstein-Uhlenbeck process, seen at the middle of each frame."""
    kept = np.exp(-EXPOSURE_S / memory_s)
    values = [sigma * rng.standard_normal()]
    for step in rng.standard_normal(FRAMES - 1):
        values.append(kept * values[-1] + sigma * np.sqrt(1.0 - kept**2) * step)
    return np.array(values)


def test_acceptance_19_error_of_the_mean_from_the_scatter_of_frames(make_rng: MakeRng) -> None:
    rng = make_rng("acceptance 19")
    sigma = np.full(FRAMES, 10e-6)
    kept = np.exp(-EXPOSURE_S / 30.0)
    expected = 0.2e-3 / np.sqrt(FRAMES * (1.0 - kept) / (1.0 + kept))
    found = [
        fit_spectral_diffusion(
            TIMES,
            2.39 + wandering(rng) + sigma * rng.standard_normal(FRAMES),
            sigma,
        )
        for _ in range(80)
    ]

    # Bands of 5 standard deviations of 80 series.
    assert np.median([one.error_eV for one in found]) == pytest.approx(expected, rel=0.3)
    assert np.median([one.scatter_eV for one in found]) == pytest.approx(0.2e-3, rel=0.2)
    assert np.std([one.mean_eV for one in found]) == pytest.approx(expected, rel=0.4)
    assert all(one.verdict is not Verdict.NO_SIGNAL for one in found)
    assert np.median([one.error_eV / one.photon_error_eV for one in found]) > 10.0


def test_a_line_that_stands_still_does_not_wander(make_rng: MakeRng) -> None:
    rng = make_rng("still")
    sigma = np.full(FRAMES, 10e-6)

    found = [
        fit_spectral_diffusion(TIMES, 2.39 + sigma * rng.standard_normal(FRAMES), sigma)
        for _ in range(40)
    ]

    assert all(one.verdict is Verdict.NO_SIGNAL for one in found)
    # 100 frames; by chance a series seems to wander a little, which is in its error
    assert np.median([one.error_eV for one in found]) == pytest.approx(1e-6, rel=0.25)
    assert min(one.error_eV for one in found) >= 1e-6


def test_a_drift_longer_than_the_series_is_said() -> None:
    energies = 2.39 + 0.3e-3 * np.sin(np.pi * TIMES / TIMES[-1] - 1.0)
    energies = energies + 1e-5 * np.random.default_rng(2).standard_normal(FRAMES)

    found = fit_spectral_diffusion(TIMES, energies, np.full(FRAMES, 1e-5))

    assert found.verdict is Verdict.ILL_DETERMINED
    assert "too short to see it forget" in found.reason


WAVELENGTH = wavelength_from_energy_nm(2.39 + 0.05e-3 * np.arange(-120, 121))
EDGES = energy_edges_eV(WAVELENGTH)


def width_of(wavelength_nm: Array, counts: Array) -> float:
    noise = DetectorNoise(read_noise_e=10.0)
    model = FitModel(window_eV=(2.386, 2.394))
    return fit_spectrum(wavelength_nm, counts, model=model, noise=noise)["width_eV"]


def test_acceptance_19_registered_frames_add_up_to_a_narrower_line(make_rng: MakeRng) -> None:
    rng = make_rng("acceptance 19 registered")
    energies = 2.39 + wandering(rng)
    line = {"width_eV": 0.25e-3, "area_1_counts": 2000.0, "background_0": 1.0}
    frames = np.array(
        [
            rng.poisson(expected_electrons(EDGES, line | {"energy_1_eV": energy}, shape="gauss"))
            for energy in energies
        ]
    )

    registered = registered_sum(WAVELENGTH, frames, energies, reach_eV=3e-3)

    own_axis = wavelength_from_energy_nm(2.39 + registered.offset_eV)
    plain = width_of(WAVELENGTH, frames.sum(axis=0).astype(float))
    narrow = width_of(own_axis, registered.counts)
    assert plain > 1.2 * narrow  # twice as wide on average, as far as these frames wandered
    assert narrow == pytest.approx(0.25e-3, rel=0.06)
    assert registered.counts.sum() == pytest.approx(frames.sum(), rel=0.1)
    np.testing.assert_allclose(registered.frames, FRAMES, rtol=0.03)


def test_frames_without_a_line_are_left_out_of_the_sum() -> None:
    frames = np.ones((3, WAVELENGTH.size))

    found = registered_sum(WAVELENGTH, frames, [2.39, np.nan, 2.39], reach_eV=1e-3)

    np.testing.assert_allclose(found.frames, 2.0, rtol=0.01)
    np.testing.assert_allclose(found.counts, found.frames)


@pytest.mark.parametrize(
    ("energies", "reach", "message"),
    [
        ([2.39, 2.39], 1e-3, r"frames of shape \(3, 241\) for 2 energies"),
        ([np.nan] * 3, 1e-3, "no frame has a line energy"),
        ([2.39] * 3, 1e-6, "below a pixel"),
    ],
)
def test_frames_that_cannot_be_registered_are_refused(
    energies: list[float], reach: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        registered_sum(WAVELENGTH, np.ones((3, 241)), energies, reach_eV=reach)


def test_four_frames_say_nothing_about_wandering() -> None:
    with pytest.raises(ValueError, match="needed are 5"):
        fit_spectral_diffusion(TIMES[:4], np.full(4, 2.39), np.full(4, 1e-5))

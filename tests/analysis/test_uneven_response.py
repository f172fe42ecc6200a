"""Ratios of light at different places, read by a detector whose response is not even."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from analysis.detector.detector_noise import UNEVEN_RESPONSE, DetectorNoise
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.uneven_response import response_covariance

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals

CHANCE = 1e-6

pytestmark = pytest.mark.usefixtures("compiled_if_ready")


def test_huang_rhys_factors_behind_a_ripple_are_as_uncertain_as_is_said(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    """5 % from top to bottom, of a period several times that of the line, very bright."""
    rng = make_rng("rippled ratios")
    phonons = tuple(Phonon(energy) for energy in nanocrystals.phonons_eV)
    emitter = Emitter({"replicas": Presence.ALWAYS}, phonons)
    fitter = ModelFitter(SpectrumModel((emitter,)), DetectorNoise(read_noise_e=4.0))
    middle = 0.5 * (nanocrystals.edges_eV[1:] + nanocrystals.edges_eV[:-1])
    pulls = []
    for _ in range(100):
        truth = nanocrystals.one(200_000, rng, lines=1, absent=("trion", "biexciton"))
        wave = np.cos(2.0 * np.pi * middle / rng.uniform(1.5e-3, 3.0e-3) + rng.uniform(0.0, 6.3))
        expected = truth.expected(nanocrystals.edges_eV) * (1.0 + 0.025 * wave)
        fit = fitter.fit(nanocrystals.wavelength_nm, nanocrystals.measured(expected, rng)).fit
        response = response_covariance(fit.names, fit.values, UNEVEN_RESPONSE)
        at = fit.names.index("coupling_2")
        off = fit.values[at] - truth.parameters["coupling_2"]
        pulls.append(
            (off / fit.errors[at], off / np.hypot(fit.errors[at], response[at, at] ** 0.5))
        )

    photon, whole = (np.abs(pulls) < 1.0).sum(axis=0)

    # 0.65 of such sums of two cosines, and 0.09 of them within what photons alone allow.
    assert stats.binom.ppf(CHANCE, 100, 0.62) <= whole <= stats.binom.isf(CHANCE, 100, 0.72)
    assert photon <= stats.binom.isf(CHANCE, 100, 0.14)


def test_replicas_share_what_their_own_line_is_read_wrong_by() -> None:
    names = ("energy_1_eV", "coupling_1", "area_1_counts", "coupling_2", "trion_coupling_1")

    covariance = response_covariance(names, [2.37, 0.1, 1e5, 0.2, 0.3], 0.02)

    expected = np.zeros((5, 5))
    expected[1, 1], expected[3, 3], expected[4, 4] = 2 * 0.002**2, 2 * 0.004**2, 2 * 0.006**2
    expected[1, 3] = expected[3, 1] = 0.002 * 0.004
    np.testing.assert_allclose(covariance, expected, atol=1e-18)

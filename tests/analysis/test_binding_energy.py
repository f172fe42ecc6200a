"""Binding energies from unweighted middles: acceptance check 11, and lines that are no mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.cramer_rao import expected_electrons
from analysis.estimation.verdict import Verdict
from analysis.laws.binding_energy import biexciton_binding, trion_binding
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_fit import SpectrumFit, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0)
CENTRE = 2.392
DELTA = np.array([-0.8e-3, 0.1e-3, 0.7e-3])
BINDING = 30e-3
WAVELENGTH = wavelength_from_energy_nm(CENTRE + 0.05e-3 * np.arange(-750, 150))


def spectrum(
    populations: tuple[float, float, float],
    branching: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    mirrored: bool = True,
) -> np.ndarray:
    lower = CENTRE - BINDING - (DELTA if mirrored else -DELTA)
    energies = [*(CENTRE + DELTA), *lower]
    areas = [4e5 * p for p in populations] + [2e5 * b for b in branching]
    line = {"width_eV": 0.25e-3, "background_0": 5.0}
    for k, (energy, area) in enumerate(zip(energies, areas, strict=True), start=1):
        line |= {f"energy_{k}_eV": energy, f"area_{k}_counts": area}
    expected = expected_electrons(energy_edges_eV(WAVELENGTH), line, shape="gauss")
    return rng.poisson(expected) + 4.0 * rng.standard_normal(expected.size)


def fits(counts: np.ndarray, lines: tuple[int, int] = (3, 3)) -> tuple[SpectrumFit, SpectrumFit]:
    windows = ((2.390, 2.394), (2.360, 2.364))
    exciton, biexciton = (
        fit_spectrum(WAVELENGTH, counts, model=FitModel(lines=number, window_eV=window), noise=CCD)
        for number, window in zip(lines, windows, strict=True)
    )
    return exciton, biexciton


@pytest.mark.parametrize(
    "populations", [(0.34, 0.33, 0.33), (0.7, 0.2, 0.1), (0.1, 0.2, 0.7), (0.2, 0.1, 0.7)]
)
@pytest.mark.parametrize("branching", [(0.3, 0.4, 0.3), (0.15, 0.25, 0.6)])
def test_acceptance_11_biexciton_lines_mirror_the_exciton_whatever_its_populations(
    populations: tuple[float, float, float],
    branching: tuple[float, float, float],
    make_rng: MakeRng,
) -> None:
    rng = make_rng("acceptance 11", populations, branching)

    exciton, biexciton = fits(spectrum(populations, branching, rng))
    found = biexciton_binding(exciton, biexciton)

    lower = [1e3 * (biexciton[f"energy_{k}_eV"] - CENTRE) for k in (1, 2, 3)]
    np.testing.assert_allclose(lower, [-30.7, -30.1, -29.2], atol=0.02)
    assert 1e3 * found.binding_eV == pytest.approx(30.00, abs=0.05)
    assert found.error_eV < 0.01e-3
    assert abs(found.binding_eV - BINDING) < 6.0 * found.error_eV
    assert found.mirror_probability > 1e-8
    # 1 in 1000 is called no mirror by chance.
    assert found.verdict is Verdict.CONVERGED or found.mirror_probability < 1e-3
    weighted = np.dot(populations, DELTA) / sum(populations)
    assert abs(weighted) > 0.05e-3 or populations[0] == 0.34  # what light-weighting would cost


def test_lines_that_are_a_copy_and_no_mirror_are_told() -> None:
    counts = spectrum((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), np.random.default_rng(1), mirrored=False)

    found = biexciton_binding(*fits(counts))

    assert found.mirror_probability < 1e-6
    assert found.verdict is Verdict.POOR_FIT
    assert "no mirror" in found.reason


def test_multiplets_of_different_numbers_and_fits_of_nothing_have_no_binding() -> None:
    counts = spectrum((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), np.random.default_rng(2))
    exciton, lower = fits(counts, (3, 2))
    nothing, _ = fits(np.random.default_rng(3).normal(0.0, 4.0, WAVELENGTH.size), (3, 3))

    uneven = biexciton_binding(exciton, lower)
    dark = biexciton_binding(nothing, fits(counts)[1])

    assert uneven.verdict is dark.verdict is Verdict.ILL_DETERMINED
    assert "3 lines of the exciton and 2 of the biexciton" in uneven.reason
    assert "no signal" in dark.reason
    assert np.isnan(uneven.binding_eV)
    assert "a trion has one" in trion_binding(exciton, lower).reason


def test_a_trion_is_measured_from_the_middle_of_the_multiplet() -> None:
    rng = np.random.default_rng(4)
    line = {"width_eV": 0.25e-3, "background_0": 5.0, "energy_4_eV": CENTRE - 18e-3,
            "area_4_counts": 5e4}  # fmt: skip
    for k, delta in enumerate(DELTA, start=1):
        line |= {f"energy_{k}_eV": CENTRE + delta, f"area_{k}_counts": 1e5 / k}
    expected = expected_electrons(energy_edges_eV(WAVELENGTH), line, shape="gauss")
    counts = rng.poisson(expected) + 4.0 * rng.standard_normal(expected.size)
    exciton, _ = fits(counts)
    trion = fit_spectrum(
        WAVELENGTH, counts, model=FitModel(lines=1, window_eV=(2.372, 2.376)), noise=CCD
    )

    found = trion_binding(exciton, trion)

    assert found.binding_eV == pytest.approx(18e-3, abs=5.0 * found.error_eV)
    assert np.isnan(found.mirror_probability)

"""Cosmic hits in a single spectrum: marked before and after the fit, and no line is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.hits import lone_pixels, narrow_outliers, spikes
from analysis.estimation.verdict import Verdict
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.presence import Residual, sight_mirrored, sight_single
from analysis.spectra.spectrum_model import SpectrumModel

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals

Array = NDArray[np.float64]


def line(fwhm_px: float, height: float, centre: float = 200.0) -> Array:
    return height * np.exp(-4.0 * np.log(2.0) * ((np.arange(400) - centre) / fwhm_px) ** 2)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("where", [60, 290])
def test_a_hit_beside_the_lines_is_marked_with_all_its_pixels(
    width: int, where: int, make_rng: MakeRng
) -> None:
    rng = make_rng("hit", width, where)
    electrons = rng.poisson(line(6.0, 500.0) + 5.0) + rng.normal(0.0, 4.0, 400)
    electrons[where : where + width] += 900.0

    marked = np.flatnonzero(spikes(electrons, np.full(400, 16.0), narrowest_fwhm_px=2.0))

    assert set(range(where, where + width)) <= set(marked)
    assert marked.size <= width + 1


@pytest.mark.parametrize("fwhm_px", [2.0, 2.6, 4.0, 8.0])
@pytest.mark.parametrize("height", [100.0, 2e4])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_a_sharp_line_is_never_marked(
    fwhm_px: float, height: float, shift: float, make_rng: MakeRng
) -> None:
    rng = make_rng("sharp", fwhm_px, height, shift)
    electrons = rng.poisson(line(fwhm_px, height, 200.0 + shift) + 5.0) + rng.normal(0.0, 4.0, 400)

    assert not spikes(electrons, np.full(400, 16.0), narrowest_fwhm_px=2.0).any()


def test_only_narrow_outliers_are_hits() -> None:
    residual = np.zeros(50)
    residual[10:13] = 8.0  # three pixels: a hit
    residual[30:34] = 8.0  # four: a line that jumped
    residual[45] = -20.0  # nothing takes light away

    assert list(np.flatnonzero(narrow_outliers(residual))) == [10, 11, 12]


def test_a_hit_on_the_exciton_does_not_move_it(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("hit on exciton")
    truth = nanocrystals.one(1000, rng)
    electrons = nanocrystals.measured(truth.expected(nanocrystals.edges_eV), rng)
    middle = 0.5 * (nanocrystals.edges_eV[1:] + nanocrystals.edges_eV[:-1])
    pixel = int(np.argmin(np.abs(middle - truth.parameters["energy_1_eV"])))
    electrons[pixel + 2 : pixel + 4] += 2500.0
    emitter = Emitter(
        dict.fromkeys(("replicas", "trion", "biexciton"), Presence.ALWAYS),
        tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        windows_eV=nanocrystals.windows_eV,
    )
    fitter = ModelFitter(SpectrumModel((emitter,), lines=2), DetectorNoise(read_noise_e=4.0))

    fit = fitter.fit(nanocrystals.wavelength_nm, electrons)

    assert fit.fit.verdict is Verdict.CONVERGED
    assert (fit.good == 0).sum() >= 2
    for name in ("energy_1_eV", "energy_2_eV", "area_1_counts"):
        assert abs(fit[name] - truth.parameters[name]) < 5.0 * fit.error(name), name


def a_residual(lines: list[tuple[float, float]], rng: np.random.Generator) -> Residual:
    """Return noise of one electron per pixel and lines of 0.4 meV: energy and height."""
    middle = 2.34 + 0.06e-3 * np.arange(600)
    electrons = rng.normal(0.0, 1.0, 600)
    for energy, height in lines:
        electrons += height * np.exp(-4.0 * np.log(2.0) * ((middle - energy) / 0.4e-3) ** 2)
    return Residual(middle, electrons, np.ones(600))


def test_a_trion_is_sighted_where_it_is_and_noise_stays_below_the_threshold(
    make_rng: MakeRng,
) -> None:
    rng = make_rng("sightings")
    found = sight_single(a_residual([(2.352, 5.0)], rng), 2.367, (9e-3, 17e-3), 0.4e-3)
    chances = [sight_single(a_residual([], rng), 2.367, (9e-3, 17e-3), 0.4e-3) for _ in range(200)]

    assert found is not None
    assert found.z > 8.0
    assert found.binding_eV == pytest.approx(15e-3, abs=0.1e-3)
    # One in 1700 windows of noise exceeds 4.5 by chance.
    assert sum(one is not None and one.z > 4.5 for one in chances) <= 4


def test_a_mirrored_pair_is_sighted_with_its_areas_exchanged(make_rng: MakeRng) -> None:
    exciton = np.array([2.3690, 2.3705])
    pair = [(2.36975 - 20e-3 + 0.75e-3, 40.0), (2.36975 - 20e-3 - 0.75e-3, 80.0)]

    found = sight_mirrored(a_residual(pair, make_rng("mirrored")), exciton, (15e-3, 25e-3), 0.4e-3)

    assert found is not None
    assert found.binding_eV == pytest.approx(20e-3, abs=0.1e-3)
    # The lower exciton line leaves the upper of the mirrored lines. A height of 40 is known to
    # 1 / sqrt(5) in a line of 5 effective pixels, so the ratio to 0.025.
    assert found.area_e[1] / found.area_e[0] == pytest.approx(2.0, abs=0.2)


def test_a_window_off_the_axis_sights_nothing(make_rng: MakeRng) -> None:
    residual = a_residual([], make_rng("off"))

    assert sight_single(residual, 2.30, (9e-3, 17e-3), 0.4e-3) is None
    assert sight_mirrored(residual, np.array([2.30, 2.301]), (9e-3, 17e-3), 0.4e-3) is None


SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
LINES = 3000


def in_pixels(fwhm_px: float, centre: float, wing: float) -> Array:
    """Return a line of unit area in 60 pixels: a Gaussian, and a share in Lorentzian wings."""
    edges = np.arange(61) - 0.5
    core = np.diff(ndtr((edges - centre) * SIGMAS_PER_FWHM / fwhm_px))
    wings = np.diff(np.arctan(2.0 * (edges - centre) / fwhm_px) / np.pi)
    return (1.0 - wing) * core + wing * wings


def test_no_line_of_a_pixel_or_more_stands_alone_wherever_it_is(make_rng: MakeRng) -> None:
    rng = make_rng("lone lines")
    fwhm_px = np.where(rng.random(LINES) < 0.3, 1.0, rng.uniform(1.0, 4.0, LINES))
    height = 10.0 ** rng.uniform(1.5, 6.0, LINES)
    centre, wing = rng.uniform(29.0, 31.0, LINES), rng.uniform(0.0, 1.0, LINES) ** 2

    marked = 0
    for width, high, place, share in zip(fwhm_px, height, centre, wing, strict=True):
        shape = in_pixels(width, place, share)
        expected = high * shape / shape.max() + 10.0
        electrons = rng.poisson(expected) + rng.normal(0.0, 4.0, 60)
        marked += int(lone_pixels(electrons, np.full(60, 16.0))[25:36].sum())

    assert marked == 0


def test_a_pixel_alone_is_marked_on_the_dark_and_on_a_broad_line(make_rng: MakeRng) -> None:
    rng = make_rng("lone pixel")
    electrons = rng.poisson(line(60.0, 2000.0) + 5.0) + rng.normal(0.0, 4.0, 400)
    electrons[[80, 195]] += (400.0, 4000.0)

    marked = np.flatnonzero(lone_pixels(electrons, np.full(400, 16.0)))

    assert list(marked) == [80, 195]


def test_noise_that_nobody_told_is_hardly_ever_a_hit(make_rng: MakeRng) -> None:
    """Of 8 million such pixels 92 were taken for hits; more than 5 of these are so once in 10^6."""
    electrons = 2e6 + 12e3 * make_rng("told nothing").standard_normal(20_000)

    assert lone_pixels(electrons, np.ones(electrons.size)).sum() <= 5

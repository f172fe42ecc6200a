"""Corrections of raw frames: electrons, background, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from analysis.detector.corrections import (
    cosmic_ray_mask,
    dead_pixel_mask,
    electrons_with_variance,
    saturation_mask,
    subtract_background,
)
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.cramer_rao import expected_electrons
from analysis.spectra.spectrum_fit import FitModel, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV

if TYPE_CHECKING:
    from conftest import MakeRng

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=1000.0)
PIXELS = 1024


def test_counts_become_electrons_with_the_variance_of_photons_and_reading() -> None:
    noise = DetectorNoise(2.0, 3.0, 100.0)

    electrons, variance = electrons_with_variance([90.0, 100.0, 600.0], noise)

    np.testing.assert_allclose(electrons, [-20.0, 0.0, 1000.0])
    np.testing.assert_allclose(variance, [9.0, 9.0, 1009.0])


def test_the_variance_after_background_subtraction_is_the_scatter_that_is_seen() -> None:
    rng = np.random.default_rng(1)

    def frames(light: float, number: int) -> NDArray[np.float64]:
        return rng.poisson(light, (number, 4000)) + rng.normal(1000.0, 4.0, (number, 4000))

    electrons, variance = subtract_background(frames(300.0, 1)[0], frames(200.0, 5), CCD)

    assert electrons.mean() == pytest.approx(100.0, abs=1.0)
    assert electrons.var() == pytest.approx(variance.mean(), rel=0.1)
    with pytest.raises(ValueError, match="background of 3 pixels for 4"):
        subtract_background(np.zeros(4), np.zeros(3), CCD)


def test_saturated_pixels_and_their_neighbours_are_marked() -> None:
    counts = np.array([10.0, 20.0, 65535.0, 65000.0, 30.0, 10.0])

    assert saturation_mask(counts, 65535.0).tolist() == [0, 0, 1, 0, 0, 0]
    assert saturation_mask(counts, 65535.0, reach=1).tolist() == [0, 1, 1, 1, 0, 0]


def test_hot_dead_and_flickering_pixels_are_found_and_no_others() -> None:
    rng = np.random.default_rng(2)
    darks = rng.normal(1000.0, 4.0, (20, PIXELS))
    darks[:, 100] += 60.0
    darks[:, 300] = 0.0
    darks[:, 500] += rng.normal(0.0, 200.0, 20)
    darks[3, 700] = np.nan

    assert np.flatnonzero(dead_pixel_mask(darks)).tolist() == [100, 300, 500, 700]
    with pytest.raises(ValueError, match="needed are 5 or more"):
        dead_pixel_mask(darks[:4])


def hits(
    rng: np.random.Generator, frames: int, per_frame: float, fixed_length: int | None = None
) -> NDArray[np.float64]:
    """Return electrons that particles leave: 1 to 4 pixels, log-normal 500 to 5000 in all."""
    left = np.zeros((frames, PIXELS))
    for frame in range(frames):
        for _ in range(rng.poisson(per_frame)):
            length = fixed_length or int(rng.integers(1, 5))
            pixel = int(rng.integers(0, PIXELS - 4))
            left[frame, pixel : pixel + length] += 1500.0 * np.exp(0.6 * rng.normal()) / length
    return left


HITS_OF_ACCEPTANCE_18 = 12_000
WAVELENGTH_NM = np.linspace(517.0, 531.0, PIXELS)
SHARP_LINE_PX = 399.5


def a_sharp_line() -> dict[str, float]:
    """Return a line of 2 pixels and 20 000 electrons on a background of 20."""
    edges = energy_edges_eV(WAVELENGTH_NM)
    pixel_eV = abs(edges[1] - edges[0])
    return {
        "energy_1_eV": float(edges[400]) + 0.3 * pixel_eV,
        "width_eV": 2.0 * pixel_eV,
        "area_1_counts": 2e4,
        "background_0": 20.0,
    }


def frames_with_hits(
    rng: np.random.Generator, expected: NDArray[np.float64], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frames of one minute with 1.3 hits each, and what the hits left in them."""
    struck = hits(rng, frames, 1.3)
    clean = rng.poisson(expected, struck.shape) + rng.normal(1000.0, 4.0, struck.shape)
    return np.rint(clean + struck), struck


def test_acceptance_18_of_100_cosmic_rays_99_are_masked_and_the_sharp_line_is_not(
    make_rng: MakeRng,
) -> None:
    """Of 21 353 hits in frames compared by tens 99.41 % were found, so 99 % are 5 sigma away.

    Hits within 12 pixels of the line, which may hide them, are left to the residuals of the fit.
    """
    rng = make_rng("acceptance 18")
    expected = expected_electrons(energy_edges_eV(WAVELENGTH_NM), a_sharp_line(), shape="gauss")
    from_the_line = np.abs(np.arange(PIXELS) - SHARP_LINE_PX)
    seen = missed = good_pixels = lost = 0

    while seen < HITS_OF_ACCEPTANCE_18:
        frames, struck = frames_with_hits(rng, expected, 10)
        mask = cosmic_ray_mask(frames, CCD, narrowest_fwhm_px=2.0)
        hit, _ = label(struck > 0, structure=[[0, 0, 0], [1, 1, 1], [0, 0, 0]])
        strong = (struck > 10.0 * np.sqrt(expected + 16.0)) & (from_the_line > 12)
        seen += np.unique(hit[strong]).size
        missed += np.unique(hit[strong & ~mask]).size
        good_pixels += (struck == 0).sum()
        lost += (mask & (struck == 0)).sum()
        assert not (mask & (struck == 0))[:, from_the_line <= 4].any()

    assert missed <= 0.01 * seen
    assert lost < 1e-3 * good_pixels


def test_acceptance_18_cosmic_rays_do_not_move_the_sharp_line(make_rng: MakeRng) -> None:
    line = a_sharp_line()
    expected = expected_electrons(energy_edges_eV(WAVELENGTH_NM), line, shape="gauss")
    frames, _ = frames_with_hits(make_rng("acceptance 18, energy"), expected, 300)

    mask = np.concatenate(
        [cosmic_ray_mask(part, CCD, narrowest_fwhm_px=2.0) for part in np.split(frames, 30)]
    )

    model = FitModel(lines=1, window_eV=(line["energy_1_eV"] - 2e-3, line["energy_1_eV"] + 2e-3))
    miss = [
        fit_spectrum(WAVELENGTH_NM, one, model=model, noise=CCD)["energy_1_eV"]
        - line["energy_1_eV"]
        for one in np.where(mask, np.nan, frames)
    ]
    assert abs(np.nanmean(miss)) < 1e-6


@pytest.mark.parametrize("apart_px", [3, 5, 7])
def test_a_hit_beside_a_stronger_one_is_found_too(apart_px: int, make_rng: MakeRng) -> None:
    frames = make_rng("two hits", apart_px).poisson(20.0, (5, PIXELS)) + 1000.0
    frames[2, 300] += 4000.0
    frames[2, 300 + apart_px : 302 + apart_px] += 500.0

    mask = cosmic_ray_mask(frames, CCD)

    frame, pixel = np.nonzero(mask)
    assert set(frame) == {2}
    assert pixel.tolist() == [300, 300 + apart_px, 301 + apart_px]


def test_hits_at_one_place_of_several_frames_do_not_vouch_for_each_other(make_rng: MakeRng) -> None:
    """The faint one is found once the two strong ones, which look like light there, are masked."""
    frames = make_rng("three hits").poisson(20.0, (8, PIXELS)) + 1000.0
    frames[1, 300] += 4000.0
    frames[4, 301:303] += 3000.0
    frames[6, 302] += 900.0

    mask = cosmic_ray_mask(frames, CCD)

    assert list(zip(*np.nonzero(mask), strict=True)) == [(1, 300), (4, 301), (4, 302), (6, 302)]


def test_a_line_that_jumps_or_appears_in_one_frame_only_is_never_a_cosmic_ray() -> None:
    rng = np.random.default_rng(3)
    edges = energy_edges_eV(np.linspace(517.0, 531.0, PIXELS))
    pixel_eV = abs(edges[1] - edges[0])
    flagged = 0
    for _ in range(60):
        height = 10.0 ** rng.uniform(2.0, 4.5)
        places = rng.integers(300, 700, 6)
        frames = [
            expected_electrons(
                edges,
                {
                    "energy_1_eV": float(edges[place]) + rng.uniform(0, 1) * pixel_eV,
                    "width_eV": 2.0 * pixel_eV,
                    "area_1_counts": height,
                    "background_0": 10.0,
                },
                shape="gauss",
            )
            for place in places
        ]
        counts = rng.poisson(frames) + rng.normal(1000.0, 4.0, (6, PIXELS))
        flagged += int(cosmic_ray_mask(counts, CCD, narrowest_fwhm_px=2.0).sum())

    assert flagged == 0


def test_a_line_that_jumps_about_is_no_hit_where_it_cuts_into_what_others_show(
    make_rng: MakeRng,
) -> None:
    """Of 1600 such frames one lost pixels of its line; more than 5 of 400 do so once in 10^7."""
    rng = make_rng("jumps nearby")
    edges = energy_edges_eV(WAVELENGTH_NM)
    pixel_eV = abs(edges[1] - edges[0])

    def jumped() -> NDArray[np.float64]:
        energy = float(edges[400]) + rng.uniform(-20.0, 20.0) * pixel_eV
        area = 10.0 ** rng.uniform(2.5, 4.5)
        line = {**a_sharp_line(), "energy_1_eV": energy, "area_1_counts": area}
        return expected_electrons(edges, line, shape="gauss")

    flagged = 0
    for _ in range(40):
        counts = rng.poisson([jumped() for _ in range(10)]) + rng.normal(1000.0, 4.0, (10, PIXELS))
        flagged += int(cosmic_ray_mask(counts, CCD, narrowest_fwhm_px=2.0).any(axis=1).sum())

    assert flagged <= 5


def test_a_single_frame_loses_its_sharp_hits_only() -> None:
    rng = np.random.default_rng(4)
    struck = hits(rng, 50, 2.0, fixed_length=1)
    frames = rng.poisson(30.0 + struck) + rng.normal(1000.0, 4.0, struck.shape)

    mask = np.concatenate([cosmic_ray_mask(one, CCD) for one in frames])

    strong = struck > 10.0 * np.sqrt(46.0)
    assert (mask & strong).sum() >= 0.98 * strong.sum()
    assert (mask & (struck == 0)).sum() < 1e-3 * mask.size

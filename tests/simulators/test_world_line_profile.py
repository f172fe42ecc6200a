"""Lines are laid on pixels exactly, with the core, tail and wings they were given."""

from math import log, sqrt

import numpy as np
import pytest
from scipy.special import voigt_profile

from simulators.line_profile import (
    EnergyGrid,
    PixelSpectrum,
    instrument_transfer,
    lorentzian_transfer,
)
from simulators.truth import ProfileTruth

GAUSSIAN = ProfileTruth(tail_weight=0.0, wings_weight=0.0)
GRID = EnergyGrid(step_meV=0.02)
ONE_COPY = np.array([1.0])


def laid_on(edges_meV, shift_meV=0.0, *, profile=GAUSSIAN, core_meV=0.2, lorentz_meV=0.0):
    k = GRID.frequencies_per_meV()
    transfer = instrument_transfer(k, profile, core_meV) * lorentzian_transfer(k, lorentz_meV)
    return PixelSpectrum(GRID, transfer).electrons(edges_meV, np.array([shift_meV]), ONE_COPY)


def falling_edges(half_width_meV=20.0, pixel_meV=0.066):
    return np.arange(half_width_meV, -half_width_meV, -pixel_meV)


def fwhm(energies, density):
    above = np.flatnonzero(density >= density.max() / 2)
    first, last = above[0], above[-1]

    def crossing(a, b):
        share = (density.max() / 2 - density[a]) / (density[b] - density[a])
        return energies[a] + share * (energies[b] - energies[a])

    return abs(crossing(last + 1, last) - crossing(first - 1, first))


def test_a_voigt_line_of_equal_widths_is_1_6376_wide():
    edges = falling_edges(10.0, 0.01)

    pixels = laid_on(edges, core_meV=1.0, lorentz_meV=1.0)

    assert fwhm(0.5 * (edges[1:] + edges[:-1]), pixels) == pytest.approx(1.6376, abs=5e-4)


def test_pixels_hold_the_integral_of_the_voigt_profile():
    edges = falling_edges(3.0, 0.066)
    sigma = 0.2 / sqrt(8.0 * log(2.0))

    pixels = laid_on(edges, 0.0137, lorentz_meV=0.05)

    nodes, weights = np.polynomial.legendre.leggauss(9)
    centres, half = 0.5 * (edges[1:] + edges[:-1]), 0.033
    samples = voigt_profile(centres[:, None] + half * nodes - 0.0137, sigma, 0.025)
    # the grid repeats after 328 meV, which leaves 1e-6 of a Lorentzian of 0.05 meV
    assert pixels == pytest.approx(half * samples @ weights, abs=3e-6)


@pytest.mark.parametrize("shift_meV", [0.0, 0.003, 0.0171, -4.96])
def test_any_sub_pixel_shift_is_exact(shift_meV):
    edges = falling_edges(8.0)

    shifted = laid_on(edges, shift_meV)

    assert shifted == pytest.approx(laid_on(edges - shift_meV), abs=1e-9)
    centres = 0.5 * (edges[1:] + edges[:-1])
    assert shifted @ centres == pytest.approx(shift_meV, abs=1e-5)


def test_copies_add_up_with_their_amounts():
    edges = falling_edges()
    k = GRID.frequencies_per_meV()
    spectrum = PixelSpectrum(GRID, instrument_transfer(k, ProfileTruth(), 0.2))

    together = spectrum.electrons(edges, np.array([0.0, 0.5]), np.array([100.0, 30.0]))

    apart = 100.0 * spectrum.electrons(edges, np.array([0.0]), ONE_COPY)
    apart += 30.0 * spectrum.electrons(edges, np.array([0.5]), ONE_COPY)
    assert together == pytest.approx(apart)
    assert together.sum() == pytest.approx(130.0, rel=1e-3)


@pytest.mark.parametrize(("core_meV", "lorentz_meV"), [(0.2, 0.05), (0.2, 2.0)])
def test_many_copies_are_the_sum_of_each(core_meV, lorentz_meV):
    edges = falling_edges()
    grid = EnergyGrid(step_meV=0.022 if lorentz_meV < 1.0 else 0.09)
    k = grid.frequencies_per_meV()
    transfer = instrument_transfer(k, ProfileTruth(), core_meV)
    spectrum = PixelSpectrum(grid, transfer * lorentzian_transfer(k, lorentz_meV))
    rng = np.random.default_rng(2)
    shifts_meV, amounts = rng.normal(0.0, 0.3, 32), rng.random(32)

    together = spectrum.electrons(edges, shifts_meV, amounts)

    apart = sum(
        amount * spectrum.electrons(edges, np.array([shift]), ONE_COPY)
        for shift, amount in zip(shifts_meV, amounts, strict=True)
    )
    assert together == pytest.approx(apart, abs=1e-4 * apart.max())


def test_components_share_the_light():
    edges = falling_edges()
    k = GRID.frequencies_per_meV()
    transfers = np.array([instrument_transfer(k, ProfileTruth(), width) for width in (0.2, 0.5)])
    both = PixelSpectrum(GRID, transfers)

    mixed = both.electrons(edges, np.array([0.1]), ONE_COPY, np.array([0.7, 0.3]))

    apart = [PixelSpectrum(GRID, t).electrons(edges, np.array([0.1]), ONE_COPY) for t in transfers]
    assert mixed == pytest.approx(0.7 * apart[0] + 0.3 * apart[1])


def test_the_tail_falls_to_the_red_and_the_wings_to_both_sides():
    edges = falling_edges(60.0, 0.1)
    beyond_meV = 0.6  # three core widths

    pixels = laid_on(edges, profile=ProfileTruth())

    red = pixels[edges[:-1] < -beyond_meV + 1e-9].sum()
    blue = pixels[edges[1:] > beyond_meV - 1e-9].sum()
    wings = 0.01 * (np.arctan(60.0) - np.arctan(beyond_meV)) / np.pi
    tail = 0.10 * np.exp(-beyond_meV / 0.2 + 0.5 * (1.0 / 2.354820) ** 2)
    assert blue == pytest.approx(wings, rel=0.01)
    assert red == pytest.approx(wings + tail, rel=0.01)
    assert pixels.sum() == pytest.approx(1.0, abs=2e-3)


def test_light_beyond_the_pixels_is_lost_and_none_is_invented():
    edges = falling_edges(5.0)

    assert laid_on(edges, 60.0) == pytest.approx(np.zeros(edges.size - 1), abs=1e-12)
    assert laid_on(edges, 1e6) == pytest.approx(np.zeros(edges.size - 1), abs=1e-12)

"""The curve of a stored fit, against integrals by the error function of the standard library."""

from math import erf, sqrt

import numpy as np
import pytest

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import Shape
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.fit_curve import fit_curve
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_model import SpectrumModel

HC = 1239.8419843320026  # eV nm, exact in the SI of 2019
NOISE = DetectorNoise(gain_e_per_count=1.3, read_noise_e=3.0, offset_counts=100.0)
MODEL = FitModel(lines=2, window_eV=(2.385, 2.400))
NAMES = (
    "energy_1_eV",
    "width_eV",
    "area_1_counts",
    "energy_2_eV",
    "area_2_counts",
    "background_0",
    "background_1",
)
VALUES = np.array([2.3905, 8e-4, 4000.0, 2.3925, 1500.0, 20.0, 6.0])
SIGMAS_PER_FWHM = 2.0 * sqrt(2.0 * np.log(2.0))


def edges_eV(wavelength_nm):
    middle = 0.5 * (wavelength_nm[1:] + wavelength_nm[:-1])
    first, last = 2 * wavelength_nm[0] - middle[0], 2 * wavelength_nm[-1] - middle[-1]
    return HC / np.concatenate([[first], middle, [last]])


def line(edges, energy, area):
    scaled = (edges - energy) * SIGMAS_PER_FWHM / VALUES[1] / sqrt(2.0)
    below = np.array([0.5 * erf(x) for x in scaled])
    return area * np.abs(np.diff(below))


@pytest.fixture(params=["rising", "falling"])
def measured(request):
    """Wavelength, frames, and in each pixel of the window the two lines and the background."""
    wavelength = np.linspace(515.0, 522.0, 512)
    if request.param == "falling":
        wavelength = wavelength[::-1]
    edges = edges_eV(wavelength)
    middle = 0.5 * (edges[1:] + edges[:-1])
    inside = np.flatnonzero((middle >= 2.385) & (middle <= 2.400))
    lines = [line(edges, 2.3905, 4000.0)[inside], line(edges, 2.3925, 1500.0)[inside]]
    floor = 20.0 + 6.0 * np.linspace(-1.0, 1.0, inside.size)
    counts = np.full(512, 100.0)
    counts[inside] += sum(lines) + floor
    return wavelength, np.tile(counts, (3, 1)), inside, lines, floor


def test_total_lines_and_floor_are_the_integrals_over_each_pixel(measured):
    wavelength, frames, inside, lines, floor = measured

    curve = fit_curve(
        wavelength, frames, model=MODEL, noise=NOISE, background=None, names=NAMES, values=VALUES
    )

    assert (curve.pixels.start, curve.pixels.stop) == (inside[0], inside[-1] + 1)
    np.testing.assert_allclose(curve.floor, 100.0 + floor, atol=1e-9)
    for drawn, expected in zip(curve.lines, lines, strict=True):
        np.testing.assert_allclose(drawn - curve.floor, expected, atol=1e-6)
    np.testing.assert_allclose(curve.total, 100.0 + floor + sum(lines), atol=1e-6)
    np.testing.assert_allclose(curve.expected, curve.total)


def test_a_background_that_was_counted_the_other_way_is_turned(measured):
    wavelength, frames, _, lines, floor = measured
    turned = VALUES * np.array([1, 1, 1, 1, 1, 1, -1])

    curve = fit_curve(
        wavelength, frames, model=MODEL, noise=NOISE, background=None, names=NAMES, values=turned
    )

    np.testing.assert_allclose(curve.total, 100.0 + floor + sum(lines), atol=1e-6)


def test_what_is_drawn_stands_on_the_mean_of_the_background_frame_and_what_is_compared_on_itself(
    measured, commit_seed
):
    wavelength, frames, inside, lines, floor = measured
    noise = np.random.default_rng(commit_seed).normal(0.0, 3.0, 512)
    background = 100.0 + noise

    curve = fit_curve(
        wavelength,
        frames + noise,
        model=MODEL,
        noise=NOISE,
        background=background,
        names=NAMES,
        values=VALUES,
    )

    level = background[inside].mean()
    np.testing.assert_allclose(curve.total, level + floor + sum(lines), atol=1e-6)
    np.testing.assert_allclose(curve.expected, background[inside] + floor + sum(lines), atol=1e-6)


@pytest.mark.parametrize(
    ("names", "values"),
    [((), ()), (NAMES, np.full(7, np.nan)), (NAMES, np.where(np.arange(7) == 2, np.inf, VALUES))],
)
def test_where_there_are_no_values_there_is_no_curve(measured, names, values):
    wavelength, frames, *_ = measured

    assert (
        fit_curve(
            wavelength,
            frames,
            model=MODEL,
            noise=NOISE,
            background=None,
            names=names,
            values=values,
        )
        is None
    )


def test_where_the_window_holds_no_light_there_is_no_curve(measured):
    wavelength, frames, *_ = measured
    dark = FitModel(lines=2, window_eV=(2.402, 2.406))

    assert (
        fit_curve(
            wavelength, frames, model=dark, noise=NOISE, background=None, names=NAMES, values=VALUES
        )
        is None
    )


def test_an_axis_that_is_none_is_refused(measured):
    _, frames, *_ = measured

    with pytest.raises(ValueError, match="finite"):
        fit_curve(
            np.full(512, np.nan),
            frames,
            model=MODEL,
            noise=NOISE,
            background=None,
            names=NAMES,
            values=VALUES,
        )


def through(edges, energy, area, share):
    """Return a line through a core of 0.5 meV and a tail, 1 meV wide and 0.6 meV lower."""
    own = VALUES[1]
    total = np.zeros(edges.size - 1)
    for part, offset, wide in ((1.0 - share, 0.0, 5e-4), (share, -6e-4, 1e-3)):
        width = np.hypot(own, wide)
        below = [
            0.5 * erf((e - energy - offset) * SIGMAS_PER_FWHM / width / sqrt(2.0)) for e in edges
        ]
        total += part * area * np.abs(np.diff(below))
    return total


def test_a_whole_spectrum_is_drawn_with_its_components_through_the_profile():
    share, trion, below = 0.2, 1200.0, 8e-3
    profile = InstrumentProfile(
        np.array([2.39]),
        np.array([[1.0 - share, share]]),
        np.array([[0.0, -6e-4]]),
        np.array([[5e-4, 1e-3]]),
        np.zeros((1, 2)),
    )
    emitter = Emitter(
        {"trion": Presence.IF_SEEN, "replicas": Presence.ALWAYS},
        (Phonon(3.5e-3),),
        shape=Shape.PROFILE,
    )
    whole = SpectrumModel((emitter,), window_eV=(2.378, 2.400), profile=profile)
    names = ("energy_1_eV", "width_eV", "area_1_counts", "coupling_1", "trion_binding_eV",
             "trion_width_eV", "trion_area_counts", "background_0")  # fmt: skip
    values = [2.3905, VALUES[1], 4000.0, 0.1, below, VALUES[1], trion, 20.0]
    wavelength = np.linspace(515.0, 522.0, 512)
    edges = edges_eV(wavelength)
    exciton, single, copy = (
        through(edges, energy, area, share)
        for energy, area in ((2.3905, 4000.0), (2.3905 - below, trion), (2.387, 400.0))
    )
    reason = "chi2/dof 1; X at 2.39050 eV: the strongest; T at 2.38250 eV: a single line"

    curve = fit_curve(
        wavelength,
        (120.0 + exciton + single + copy)[None],
        model=FitModel(window_eV=(2.378, 2.400)),
        noise=NOISE,
        background=None,
        names=names,
        values=values,
        whole=whole,
        reason=reason,
    )

    for seen, expected in zip(curve.lines, (exciton, single, copy), strict=True):
        np.testing.assert_allclose(seen - curve.floor, expected[curve.pixels], atol=4e-3)
    together = (exciton + single + copy)[curve.pixels]
    np.testing.assert_allclose(curve.total - curve.floor, together, atol=1e-2)
    assert curve.labels == (("X", 2.3905), ("T", 2.3825))


def test_a_component_that_was_not_found_is_not_drawn():
    whole = SpectrumModel((Emitter({"trion": Presence.IF_SEEN}),), window_eV=(2.378, 2.400))
    wavelength = np.linspace(515.0, 522.0, 512)

    curve = fit_curve(
        wavelength,
        120.0 + line(edges_eV(wavelength), 2.3905, 4000.0)[None],
        model=FitModel(window_eV=(2.378, 2.400)),
        noise=NOISE,
        background=None,
        names=("energy_1_eV", "width_eV", "area_1_counts", "background_0"),
        values=[2.3905, VALUES[1], 4000.0, 20.0],
        whole=whole,
    )

    assert len(curve.lines) == 1
    assert curve.labels == ()

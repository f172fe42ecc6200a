"""The axis from a lamp whose delivered axis is displaced, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.estimation.lineshapes import gauss_in_pixels
from analysis.lamp.lamp_axis import calibrate_axis
from analysis.lamp.lamp_lines import LineList, merged
from analysis.readers.measured_spectra import MeasuredSpectra, Medium
from analysis.wavelength.units import air_from_vacuum_nm

# Ne I in vacuum, Angstrom over ten (NIST), with rough relative strengths
NEON = LineList(
    np.array([585.41101, 588.35200, 594.64816, 597.71900, 603.16675, 607.60185, 609.78500,
              614.47630, 616.53000, 621.90019, 626.82290, 630.65330, 633.61790, 638.47560,
              640.40180, 650.83280]),
    np.array([20000.0, 10000, 5000, 3000, 10000, 10000, 3000, 10000, 10000, 10000, 10000, 1000,
              10000, 10000, 20000, 15000]),
    "vacuum",
)  # fmt: skip
PIXELS = 1024


def true_vacuum_nm(pixel: np.ndarray) -> np.ndarray:
    return 580.0 + 0.078 * pixel - 2.5e-6 * (pixel - 512.0) ** 2


def lamp(seed: int, *, displaced_nm: float, medium: Medium = "unknown") -> MeasuredSpectra:
    place = np.interp(NEON.wavelength_nm, true_vacuum_nm(np.arange(PIXELS)), np.arange(PIXELS))
    edges = np.arange(PIXELS + 1) - 0.5
    expected = np.full(PIXELS, 100.0)
    for at, strength in zip(place, NEON.strength, strict=True):
        expected += strength * gauss_in_pixels(edges, centre=float(at), fwhm=2.8).part
    rng = np.random.default_rng(seed)
    vacuum = true_vacuum_nm(np.arange(PIXELS))
    own = vacuum if medium == "vacuum" else air_from_vacuum_nm(vacuum)
    counts = rng.poisson(expected)[None].astype(float)
    return MeasuredSpectra("neon.txt", "text", own + displaced_nm, counts, ("",), medium)


@pytest.mark.parametrize("displaced_nm", [0.0, -0.42, 1.07, 1.9])
@pytest.mark.parametrize("medium", ["unknown", "air", "vacuum"])
def test_the_axis_is_found_again_however_far_it_was_displaced(
    commit_seed: int, displaced_nm: float, medium: Medium
) -> None:
    found = calibrate_axis(lamp(commit_seed, displaced_nm=displaced_nm, medium=medium), NEON)

    inner = slice(80, 950)
    off = found.vacuum_nm - true_vacuum_nm(np.arange(PIXELS))
    assert found.offset_nm == pytest.approx(displaced_nm, abs=0.003)
    assert np.abs(off[inner]).max() < 0.004
    assert found.nm_per_px == pytest.approx(0.078, abs=2e-4)
    assert found.calibration.pixel.size >= NEON.wavelength_nm.size - 2
    assert f"{found.calibration.pixel.size} lamp lines" in found.described()


def test_saturated_pixels_cost_their_line_only(commit_seed: int) -> None:
    whole = lamp(commit_seed, displaced_nm=0.0)
    counts = whole.counts.copy()
    counts[0, np.argmax(counts[0])] = np.nan

    found = calibrate_axis(replace(whole, counts=counts), NEON)

    assert "saturated" in [why for _, why in found.calibration.excluded]
    assert found.offset_nm == pytest.approx(0.0, abs=0.003)


def test_what_is_no_lamp_is_refused_naming_the_file(commit_seed: int) -> None:
    whole = lamp(commit_seed, displaced_nm=0.0)
    dark = replace(whole, counts=np.full((1, PIXELS), 100.0))
    red = LineList(np.array([700.0, 710.0, 720.0]), np.ones(3), "vacuum")

    with pytest.raises(ValueError, match=r"neon.txt: no usable peak"):
        calibrate_axis(dark, NEON)
    with pytest.raises(
        ValueError, match=r"neon.txt: (no usable peak|counts of shape).*|one row of finite"
    ):
        calibrate_axis(replace(whole, counts=np.full((1, PIXELS), np.nan)), NEON)
    with pytest.raises(ValueError, match=r"neon.txt: no line of the list is on the detector"):
        calibrate_axis(whole, red)


def test_lists_of_several_lamps_are_merged_in_order_and_one_medium() -> None:
    air = LineList(air_from_vacuum_nm([546.22676]), np.array([5.0]), "air")

    both = merged([NEON, air])

    assert both.medium == "vacuum"
    assert both.wavelength_nm[0] == pytest.approx(546.22676, abs=1e-5)
    assert both.strength[0] == 5.0

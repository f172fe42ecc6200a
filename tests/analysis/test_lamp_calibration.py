"""Lamp lines to a wavelength axis: a simulated spectrograph, and a measured neon lamp."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.estimation.lineshapes import gauss_in_pixels
from analysis.estimation.verdict import Verdict
from analysis.lamp.lamp_calibration import Grating, calibrate_by_grating, calibrate_by_polynomial
from analysis.lamp.lamp_lines import (
    LineList,
    Pairing,
    identify_lines,
    measure_lines,
    read_line_list,
)
from analysis.wavelength.axis import grating_wavelength_nm

MEASURED = Path(__file__).parents[3] / "shared/data/neon_lamp"
needs_lamp = pytest.mark.skipif(
    not MEASURED.exists(), reason="the measured lamp (../shared/data) is not here"
)
Array = NDArray[np.float64]

TRUTH = Grating(1800.0, 500.0, 26.0, 511.5, -11.5, 512.0)
# Argon in air between 498 and 526 nm, from the physics brief.
ARGON = LineList(
    np.array([500.93344, 506.20371, 513.0, 513.03, 514.17827, 514.53083, 515.13907, 518.77462]),
    np.array([500.0, 800.0, 300.0, 300.0, 1000.0, 500.0, 100.0, 400.0]),
    "air",
)


def axis_nm(grating: Grating = TRUTH) -> Array:
    return grating_wavelength_nm(
        np.arange(1024.0),
        centre_nm=grating.centre_nm,
        grooves_per_mm=grating.grooves_per_mm,
        focal_length_mm=grating.focal_length_mm,
        pixel_um=grating.pixel_um,
        centre_pixel=grating.centre_pixel,
        half_included_angle_deg=grating.half_included_angle_deg,
    )


def lamp_spectrum(seed: int = 1, *, brightest: float = 30000.0) -> Array:
    edges, expected = np.arange(1025) - 0.5, np.full(1024, 600.0)
    for wavelength, strength in zip(ARGON.wavelength_nm, ARGON.strength, strict=True):
        pixel = float(np.interp(wavelength, axis_nm(), np.arange(1024)))
        area = 3.0 * brightest * strength / 1000.0
        expected = expected + area * gauss_in_pixels(edges, centre=pixel, fwhm=2.6).part
    rng = np.random.default_rng(seed)
    return np.minimum(rng.poisson(expected) + 5.0 * rng.standard_normal(1024), 65535.0)


def pairing() -> Pairing:
    lines = measure_lines(lamp_spectrum(), saturation_counts=65000.0)
    return identify_lines(lines, axis_nm() + 0.12, ARGON, tolerance_nm=0.3)


def test_the_grating_equation_gives_the_axis_back_between_and_beyond_the_lines() -> None:
    start = replace(TRUTH, focal_length_mm=480.0, half_included_angle_deg=-9.0, centre_nm=515.0)

    found = calibrate_by_grating(pairing(), start)

    assert found.verdict is Verdict.CONVERGED
    assert found.medium == "air"
    assert found.rms_nm < 1e-3
    off = np.abs(found.wavelength_nm(np.arange(1024)) - axis_nm())
    assert off[150:650].max() < 1.5e-3
    assert (off < 5.0 * found.error_nm(np.arange(1024)) + 2e-4).all()
    assert found.nm_per_pixel(511.5) == pytest.approx(0.0276, rel=0.1)


def test_a_cubic_through_few_lines_is_worse_beyond_them_and_says_so() -> None:
    cubic = calibrate_by_polynomial(pairing(), 3)
    grating = calibrate_by_grating(pairing(), TRUTH)

    assert cubic.error_nm(1020)[0] > 1.5 * grating.error_nm(1020)[0]
    assert cubic.left_out_rms_nm > cubic.rms_nm


def test_blended_and_saturated_lines_are_named_and_not_used() -> None:
    lines = measure_lines(lamp_spectrum(brightest=90000.0), saturation_counts=65000.0)

    found = identify_lines(lines, axis_nm(), ARGON, tolerance_nm=0.3)

    reasons = [why for _, why in found.excluded]
    assert "saturated" in reasons
    assert any("blended" in why or "no Gaussian" in why or "px wide" in why for why in reasons)
    for blended in (513.0, 513.03, 514.17827):
        assert blended not in found.wavelength_nm


def test_positions_are_as_good_as_their_errors_say() -> None:
    pulls = []
    for seed in range(12):
        found = identify_lines(
            measure_lines(lamp_spectrum(seed)), axis_nm(), ARGON, tolerance_nm=0.3
        )
        truth = np.interp(found.wavelength_nm, axis_nm(), np.arange(1024))
        pulls.append((found.pixel - truth) / found.error_px)

    # errors come from a handful of residuals: Student's t, median 0.74 of its modulus
    assert np.median(np.abs(np.concatenate(pulls))) == pytest.approx(0.74, abs=0.25)


def test_a_line_that_is_wrong_in_the_list_is_left_out() -> None:
    moved = np.sort(np.where(ARGON.wavelength_nm == 506.20371, 506.26, ARGON.wavelength_nm))
    lines = measure_lines(lamp_spectrum())
    extra = LineList(moved, ARGON.strength, "air")

    found = calibrate_by_grating(identify_lines(lines, axis_nm(), extra, tolerance_nm=0.3), TRUTH)

    assert any("pm off the others" in why for _, why in found.excluded)
    assert found.rms_nm < 1e-3


def test_air_and_vacuum_are_a_sixth_of_a_nanometre_apart() -> None:
    vacuum = ARGON.to_medium("vacuum")

    assert vacuum.medium == "vacuum"
    np.testing.assert_allclose(vacuum.wavelength_nm - ARGON.wavelength_nm, 0.142, atol=0.003)
    np.testing.assert_allclose(vacuum.to_medium("air").wavelength_nm, ARGON.wavelength_nm)
    with pytest.raises(ValueError, match="medium 'water' must be"):
        LineList(ARGON.wavelength_nm, ARGON.strength, "water")  # type: ignore[arg-type]


def test_a_guess_in_the_wrong_place_is_refused() -> None:
    lines = measure_lines(lamp_spectrum())

    with pytest.raises(ValueError, match="right medium"):
        identify_lines(lines, axis_nm() + 50.0, ARGON, tolerance_nm=0.1)
    with pytest.raises(ValueError, match="no two pixels have a wavelength"):
        identify_lines(lines, np.full(1024, np.nan), ARGON, tolerance_nm=0.1)


def test_too_few_lines_and_counts_that_are_none_are_refused() -> None:
    two = replace(pairing(), pixel=np.array([10.0, 90.0]), wavelength_nm=np.array([500.0, 505.0]))

    with pytest.raises(ValueError, match="2 usable lines are too few for degree 3"):
        calibrate_by_polynomial(two, 3)
    with pytest.raises(ValueError, match="2 usable lines are too few for 2 parameters"):
        calibrate_by_grating(two, TRUTH)
    with pytest.raises(ValueError, match="degree 9 must be"):
        calibrate_by_polynomial(pairing(), 9)
    with pytest.raises(ValueError, match="one row of finite values"):
        measure_lines(np.full(100, np.nan))


def test_a_line_list_says_where_it_is_wrong(tmp_path: Path) -> None:
    good, bad, empty = (tmp_path / name for name in ("good.csv", "bad.csv", "empty.csv"))
    good.write_text("# Peak,Strength,Lamp\n5854.1101,20000,NeI\n5402.0631,20000,NeI\n")
    bad.write_text("5854.1101,20000,NeI\nNeI\n")
    empty.write_text("# nothing\n")

    np.testing.assert_allclose(
        read_line_list(good, medium="vacuum").wavelength_nm, [540.20631, 585.41101]
    )
    with pytest.raises(ValueError, match="line 2: 'NeI'"):
        read_line_list(bad, medium="vacuum")
    with pytest.raises(ValueError, match="holds no lines"):
        read_line_list(empty, medium="vacuum")


def measured_neon() -> tuple[Array, Array]:
    """Return delivered wavelengths (NaN where there are none) and dark-subtracted counts."""
    text = (MEASURED / "NeonSNQ043_iR532_Probe_100msx2.txt").read_text(encoding="latin-1")
    rows = [line.split(";") for line in text.splitlines()]
    first = next(i for i, row in enumerate(rows) if row[0] == "Pixel") + 1
    number = [
        [float(cell.replace(",", ".")) if cell.strip() else np.nan for cell in row[:8]]
        for row in rows[first:]
        if len(row) > 7
    ]
    table = np.array(number)
    saturated = table[:, 6] >= 65535.0
    assert saturated.sum() == 57
    return table[:, 1], np.where(saturated, 65535.0, table[:, 7])


@needs_lamp
def test_the_delivered_axis_of_a_neon_lamp_is_off_as_found_independently() -> None:
    delivered_nm, counts = measured_neon()
    neon = read_line_list(MEASURED / "lines_vacuum_ne.csv", medium="vacuum").to_medium("air")
    visible = neon.strength >= 100.0
    neon = LineList(neon.wavelength_nm[visible], neon.strength[visible], "air")
    lines = measure_lines(counts, saturation_counts=60000.0)

    found = identify_lines(lines, delivered_nm, neon, tolerance_nm=0.3)
    cubic = calibrate_by_polynomial(found, 3)

    inside = (found.wavelength_nm > 540.0) & (found.wavelength_nm < 668.0)
    known = np.flatnonzero(np.isfinite(delivered_nm))
    delivered = np.interp(found.pixel, known, delivered_nm[known])
    off = (delivered - found.wavelength_nm)[inside]
    assert inside.sum() >= 24
    assert np.mean(off) == pytest.approx(-0.042, abs=0.015)
    assert np.std(off) < 1.5 * 0.015
    assert 1e3 * cubic.rms_nm < 10.9
    assert 1e3 * cubic.left_out_rms_nm < 15.1
    assert cubic.nm_per_pixel(1100) == pytest.approx(0.077, abs=0.0025)

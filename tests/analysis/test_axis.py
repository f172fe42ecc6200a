"""The detector's axis: dispersion against published figures, and what is refused."""

import numpy as np
import pytest

from analysis.wavelength.axis import (
    check_wavelength_axis,
    energy_edges_eV,
    grating_wavelength_nm,
    pixel_edges_nm,
)


@pytest.mark.parametrize(
    ("focal_mm", "grooves", "pixel_um", "pm_per_pixel"),
    [
        (300, 1200, 26.0, 72.0),
        (500, 1800, 26.0, 27.6),
        (500, 2400, 26.0, 19.2),
        (750, 1800, 20.0, 13.9),
        (750, 1800, 13.5, 9.4),
        (750, 2400, 20.0, 9.6),
    ],
)
def test_dispersion_of_common_spectrographs_at_512_nm(
    focal_mm: float, grooves: float, pixel_um: float, pm_per_pixel: float
) -> None:
    wavelength_nm = grating_wavelength_nm(
        np.arange(1024),
        centre_nm=512.0,
        grooves_per_mm=grooves,
        focal_length_mm=focal_mm,
        pixel_um=pixel_um,
        centre_pixel=511.5,
        half_included_angle_deg=-11.5,
    )

    # The figures of the physics brief hold for 8 to 15 degrees, incidence the larger angle.
    assert 1e3 * np.diff(wavelength_nm)[511] == pytest.approx(pm_per_pixel, rel=0.1)
    assert np.interp(511.5, np.arange(1024), wavelength_nm) == pytest.approx(512.0, abs=1e-4)


def test_a_grating_that_cannot_reach_the_wavelength_says_so() -> None:
    with pytest.raises(ValueError, match="2400 lines/mm in order 1 cannot reach 900"):
        grating_wavelength_nm(
            0,
            centre_nm=900.0,
            grooves_per_mm=2400,
            focal_length_mm=500,
            pixel_um=20,
            centre_pixel=0,
            half_included_angle_deg=10,
        )


def test_edges_lie_between_pixels_and_half_a_pixel_outside() -> None:
    np.testing.assert_allclose(pixel_edges_nm([500.0, 501.0, 503.0]), [499.5, 500.5, 502.0, 504.0])
    assert (np.diff(energy_edges_eV([500.0, 501.0, 503.0])) < 0).all()
    assert (np.diff(energy_edges_eV([503.0, 501.0, 500.0])) > 0).all()


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ([500.0], "2 or more pixels"),
        ([[500.0, 501.0]], "one row"),
        ([500.0, np.nan, 502.0], "pixel 1 is nan"),
        ([-500.0, -499.0, -498.0], "pixel 0 is -500"),
        ([500.0, 501.0, 501.0, 502.0], "pixels 1 and 2 are at 501.0 and 501.0"),
        ([500.0, 502.0, 501.0, 503.0], "pixels 1 and 2"),
    ],
)
def test_an_axis_that_is_none_is_refused_naming_the_pixel(axis: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_wavelength_axis(axis)

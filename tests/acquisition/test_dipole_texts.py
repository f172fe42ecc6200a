"""What `cryoscan show --laws` says of the dipoles of a polarization sweep."""

import re

import numpy as np
import pytest

from acquisition.fits.run_laws import dipole_texts
from analysis.laws.dipoles import Aperture, intensity_of_dipole
from analysis.laws.polarization import PolarizationFit, fit_polarization

ANGLE = np.arange(0.0, 180.0, 10.0)


def line(tilt_deg: float, azimuth_deg: float, light: float = 1e4) -> PolarizationFit:
    seen = light * intensity_of_dipole(
        ANGLE, tilt_deg=tilt_deg, azimuth_deg=azimuth_deg, aperture=Aperture(0.7)
    )
    return fit_polarization(ANGLE, seen, np.full(18, 20.0))


def test_tilts_and_right_angles_of_three_orthogonal_dipoles_are_said() -> None:
    # Rz(20) Ry(35) Rz(10): tilts from the axis, by the third row of the rotation matrix
    lines = [line(55.607, 32.15), line(84.284, 118.22), line(35.0, 20.0)]

    said = list(dipole_texts(lines, 0.7))

    tilts = [float(re.search(r": (\S+) \+-", text)[1]) for text in said[:3]]  # type: ignore[index]
    angles = [float(re.search(r": (\S+) \+-", text)[1]) for text in said[3:]]  # type: ignore[index]
    assert tilts == pytest.approx([55.6, 84.3, 35.0], abs=1.5)
    assert angles == pytest.approx([90.0, 90.0, 90.0], abs=2.0)
    assert said[3].startswith("dipoles 1 and 2")
    assert "sigma from a right angle" in said[5]


def test_lines_without_light_or_axis_are_left_out_and_immersion_says_nothing() -> None:
    dark = fit_polarization(ANGLE, np.zeros(18), np.full(18, 20.0))
    lines = [line(80.0, 10.0), dark, line(80.0, 100.0)]

    said = list(dipole_texts(lines, 0.7))

    assert [text.split(":")[0] for text in said] == ["dipole 1", "dipole 3", "dipoles 1 and 3"]
    assert list(dipole_texts(lines, 1.3)) == []
    assert list(dipole_texts(lines, float("nan"))) == []
    assert len(list(dipole_texts([line(80.0, 10.0)], 0.7))) == 1

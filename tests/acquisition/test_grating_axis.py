"""The axis from the station file's grating equation, against the world's own optics."""

from types import SimpleNamespace

import numpy as np
import pytest

from acquisition.configuration.config_error import ConfigError
from acquisition.configuration.detector_range import detector_range
from acquisition.configuration.station_file import GeometryConfig, StationConfig
from acquisition.instruments.grating_axis import grating_axis
from acquisition.instruments.open_station import _camera
from analysis.wavelength.units import HC_EV_NM, vacuum_from_air_nm
from simulators.truth import Truth
from simulators.world import World

CAMERA = {
    "model": "horiba.ccd",
    "address": "sim://icl",
    "pixels": 1024,
    "rows": [118, 20],
    "electrons_per_count": 1.0,
    "read_noise_electrons": 4.0,
    "offset_counts": 1000,
    "saturation_counts": 65535,
    "readout": "0.1 s",
}
GEOMETRY = {"focal_length": "750 mm", "half_included_angle": "-8 deg", "pixel": "20 um"}


def station(**geometry: object) -> StationConfig:
    spectrograph = {
        "model": "acton.spectrapro",
        "address": "sim://spectrograph",
        "min": "0 nm",
        "max": "900 nm",
        "grating": [
            {"number": 1, "grooves_per_mm": 1800},
            {"number": 3, "grooves_per_mm": 300},
        ],
    }
    if geometry:
        spectrograph["geometry"] = geometry
    return StationConfig.model_validate(
        {
            "station": {"name": "test", "runs": "."},
            "camera": CAMERA,
            "spectrograph": spectrograph,
        }
    )


@pytest.mark.parametrize(("grating", "centre_nm"), [(1, 518.3), (3, 545.0), (1, 700.0)])
def test_it_agrees_with_the_optics_of_the_world(grating: int, centre_nm: float) -> None:
    optics = World(Truth(), seed=1).optics
    optics.grating, optics.centre_nm = grating - 1, centre_nm
    axis = grating_axis(station(**GEOMETRY))

    assert axis is not None
    found_nm = axis(SimpleNamespace(grating=grating, centre_nm=centre_nm))
    np.testing.assert_allclose(found_nm, optics.nominal_wavelengths_nm(), rtol=1e-12)


def test_the_centre_may_lie_beside_the_middle() -> None:
    axis = grating_axis(station(**GEOMETRY, centre_pixel=500.0))

    assert axis is not None
    assert axis(SimpleNamespace(grating=1, centre_nm=518.3))[500] == pytest.approx(518.3)


def test_without_geometry_the_axis_comes_from_the_camera() -> None:
    assert grating_axis(station()) is None
    assert _camera(station())["monochromator_index"] == 0


def test_with_geometry_no_other_monochromator_calibrates_the_camera() -> None:
    assert _camera(station(**GEOMETRY))["monochromator_index"] is None


def test_a_geometry_without_a_focal_length_is_refused() -> None:
    with pytest.raises((ConfigError, ValueError), match="focal_length"):
        GeometryConfig.model_validate({"half_included_angle": "8 deg", "pixel": "20 um"})


@pytest.mark.parametrize("grating", [1, 3])
def test_the_range_of_the_detector_is_that_of_the_axis(grating: int) -> None:
    axis = grating_axis(station(**GEOMETRY))
    assert axis is not None
    pixels_nm = axis(SimpleNamespace(grating=grating, centre_nm=518.3))
    energies = HC_EV_NM / vacuum_from_air_nm(pixels_nm)

    exact = detector_range(station(**GEOMETRY), grating=grating, centre_nm=518.3)
    unknown = detector_range(station(), grating=grating, centre_nm=518.3)

    assert exact is not None
    assert unknown is not None
    assert exact.is_exact
    assert not unknown.is_exact
    pixel = abs(np.diff(energies)).max()
    assert exact.low_eV == pytest.approx(energies.min(), abs=pixel)
    assert exact.high_eV == pytest.approx(energies.max(), abs=pixel)
    assert unknown.low_eV < exact.low_eV
    assert exact.high_eV < unknown.high_eV
    assert exact.overlaps(exact.high_eV - 1e-3, 3.0)
    assert not exact.overlaps(exact.high_eV + 1e-3, 3.0)
    assert detector_range(station(), grating=7, centre_nm=518.3) is None

"""What the station file says of a camera is what the fits count with."""

import pytest
from pydantic import ValidationError

from acquisition.configuration.station_file import CameraConfig
from acquisition.fits.point_fitter import detector_noise

CAMERA = {
    "model": "horiba.ccd",
    "address": "sim://icl",
    "pixels": 1024,
    "rows": [118, 20],
    "electrons_per_count": 1.5,
    "read_noise_electrons": 4.0,
    "offset_counts": 1000,
    "saturation_counts": 65535,
    "readout": "0.5 s",
}


def test_gain_noise_offset_full_scale_and_ripple_reach_the_fit() -> None:
    noise = detector_noise(CameraConfig.model_validate({**CAMERA, "response_error": 0.018}))

    assert noise.gain_e_per_count == 1.5
    assert noise.read_noise_e == 4.0
    assert noise.offset_counts == 1000
    assert noise.saturation_counts == 65535
    assert noise.response_error == 0.018
    assert detector_noise(CameraConfig.model_validate(CAMERA)).response_error == 0.018


@pytest.mark.parametrize("wrong", [-0.1, 1.0])
def test_a_ripple_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValidationError, match="response_error"):
        CameraConfig.model_validate({**CAMERA, "response_error": wrong})

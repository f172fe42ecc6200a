"""The noise of the station's camera, as the fits count it."""

from acquisition.configuration.station_file import CameraConfig
from analysis.detector.detector_noise import DetectorNoise

__all__ = ["detector_noise"]


def detector_noise(camera: CameraConfig) -> DetectorNoise:
    return DetectorNoise(
        gain_e_per_count=camera.electrons_per_count,
        read_noise_e=camera.read_noise_electrons,
        offset_counts=camera.offset_counts,
        saturation_counts=camera.saturation_counts,
        response_error=camera.response_error,
    )

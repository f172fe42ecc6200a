"""The wavelength axis of a camera that no spectrograph calibrates: from the grating equation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.station_file import StationConfig
from acquisition.planning.point_table import Point
from analysis.wavelength.axis import grating_wavelength_nm

__all__ = ["GratingAxis", "grating_axis"]

GratingAxis = Callable[[Point], NDArray[np.float64]]


def grating_axis(station: StationConfig) -> GratingAxis | None:
    """Return what gives the wavelength of each pixel at a point, in nm, in the medium of the
    station file; None where the station leaves the axis to the camera.
    """
    spectrograph, camera = station.spectrograph, station.camera
    if spectrograph is None or spectrograph.geometry is None:
        return None
    geometry = spectrograph.geometry
    grooves_per_mm = {grating.number: grating.grooves_per_mm for grating in spectrograph.grating}
    middle = (camera.pixels - 1) / 2.0
    centre_pixel = middle if geometry.centre_pixel is None else geometry.centre_pixel

    def axis(point: Point) -> NDArray[np.float64]:
        return grating_wavelength_nm(
            np.arange(camera.pixels),
            centre_nm=point.centre_nm,
            grooves_per_mm=grooves_per_mm[point.grating],
            focal_length_mm=geometry.focal_length_um * 1e-3,
            pixel_um=geometry.pixel_um,
            centre_pixel=centre_pixel,
            half_included_angle_deg=geometry.half_included_angle_deg,
            detector_tilt_deg=geometry.detector_tilt_deg,
        )

    return axis

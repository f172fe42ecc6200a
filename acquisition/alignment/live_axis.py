"""The wavelengths of what is seen live, in vacuum, and a number for each set of them."""

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.messages import Axis
from acquisition.configuration.station_file import StationConfig
from acquisition.instruments.grating_axis import grating_axis
from acquisition.instruments.monitors import Monitors
from acquisition.planning.point_table import Point, PointKind
from analysis.wavelength.units import vacuum_from_air_nm
from drivers.errors import StateError
from drivers.roles import Camera

__all__ = ["LiveAxis"]

SHORTEST_IN_AIR_NM = 185.0


class LiveAxis:
    """Follows the spectrograph; `number` is that of the axis in force, 0 before the first."""

    def __init__(self, camera: Camera, config: StationConfig, monitors: Monitors) -> None:
        self._camera = camera
        self._computed = grating_axis(config)
        self._monitors = monitors
        spectrograph = config.spectrograph
        self._in_air = spectrograph is not None and spectrograph.wavelengths == "air"
        self.number = 0
        self.wavelength_nm: NDArray[np.float64] = np.full(camera.pixels, np.nan)

    def renew(self) -> Axis | None:
        """Look at the wavelengths that came with the last frame; return the axis if it is new."""
        wavelength_nm = self._present_nm()
        if self.number and np.array_equal(wavelength_nm, self.wavelength_nm, equal_nan=True):
            return None
        self.number += 1
        self.wavelength_nm = wavelength_nm
        return Axis(self.number, wavelength_nm.shape)

    def _present_nm(self) -> NDArray[np.float64]:
        try:
            delivered_nm = self._delivered_nm()
        except StateError:  # a camera that nobody calibrates has pixels only
            return np.full(self._camera.pixels, np.nan)
        wavelength_nm = np.array(delivered_nm, dtype=np.float64)
        if self._in_air:
            in_air = wavelength_nm > SHORTEST_IN_AIR_NM  # at zero order there is no wavelength
            wavelength_nm[in_air] = vacuum_from_air_nm(wavelength_nm[in_air])
        return wavelength_nm

    def _delivered_nm(self) -> NDArray[np.float64]:
        if self._computed is None:
            return self._camera.wavelengths_nm()
        centre_nm = self._monitors.value("wavelength_nm")
        grating = self._monitors.value("grating")
        if not np.isfinite(centre_nm + grating):
            return np.full(self._camera.pixels, np.nan)
        return self._computed(
            Point(-1, PointKind.SAMPLE, 0.0, 0, grating=int(grating), centre_nm=centre_nm)
        )

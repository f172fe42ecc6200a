"""Between nanocrystal and detector: rotating element, laser shutter, spectrograph.

The instrument cores set the attributes of Optics; each change first collects the light that came
before it.
"""

from collections.abc import Callable
from functools import lru_cache
from math import asin, cos, exp, radians, sin

import numpy as np
from numpy.typing import NDArray

from simulators.truth import CameraTruth, OpticsTruth

__all__ = ["Optics", "air_to_vacuum_nm", "grating_wavelengths_nm", "vacuum_to_air_nm"]

HC_EV_NM = 1239.841984
LEAST_nm = 1e-9


class Optics:
    """What can be turned, opened and moved between the nanocrystal and the detector."""

    def __init__(
        self, truth: OpticsTruth, camera: CameraTruth, before_change: Callable[[], None]
    ) -> None:
        self._truth = truth
        self._camera = camera
        self._before_change = before_change
        self._polarizer_deg = 0.0
        self._shutter_open = False
        self._calibration_port = False
        self._line_lamp_on = False
        self._white_lamp_on = False
        self._laser_power = 1.0
        self._sample_um = (0.0, 0.0, 0.0)
        self._overlap = 1.0
        self._grating = truth.start_grating
        self._centre_nm = truth.start_centre_nm

    @property
    def polarizer_mechanical_deg(self) -> float:
        """The angle of the rotating mount."""
        return self._polarizer_deg

    @polarizer_mechanical_deg.setter
    def polarizer_mechanical_deg(self, angle_deg: float) -> None:
        if angle_deg != self._polarizer_deg:
            self._before_change()
            self._polarizer_deg = angle_deg

    @property
    def shutter_open(self) -> bool:
        """Whether the laser reaches the nanocrystal."""
        return self._shutter_open

    @shutter_open.setter
    def shutter_open(self, is_open: bool) -> None:
        if is_open != self._shutter_open:
            self._before_change()
            self._shutter_open = is_open

    @property
    def calibration_port(self) -> bool:
        """Whether the flip mirror sends the lamps into the spectrometer, and not the sample."""
        return self._calibration_port

    @calibration_port.setter
    def calibration_port(self, is_chosen: bool) -> None:
        if is_chosen != self._calibration_port:
            self._before_change()
            self._calibration_port = is_chosen

    @property
    def line_lamp_on(self) -> bool:
        """Whether the neon-argon lamp at the calibration port burns."""
        return self._line_lamp_on

    @line_lamp_on.setter
    def line_lamp_on(self, on: bool) -> None:
        if on != self._line_lamp_on:
            self._before_change()
            self._line_lamp_on = on

    @property
    def white_lamp_on(self) -> bool:
        """Whether the white lamp at the calibration port burns."""
        return self._white_lamp_on

    @white_lamp_on.setter
    def white_lamp_on(self, on: bool) -> None:
        if on != self._white_lamp_on:
            self._before_change()
            self._white_lamp_on = on

    @property
    def laser_power(self) -> float:
        """The power relative to the standard power, before the shutter."""
        return self._laser_power

    @laser_power.setter
    def laser_power(self, power: float) -> None:
        if power != self._laser_power:
            self._before_change()
            self._laser_power = power

    @property
    def grating(self) -> int:
        """The index of the grating in the light."""
        return self._grating

    @grating.setter
    def grating(self, index: int) -> None:
        if not 0 <= index < len(self._truth.gratings_per_mm):
            raise ValueError(
                f"optics: grating {index} is not one of 0 to {len(self._truth.gratings_per_mm) - 1}"
            )
        if index != self._grating:
            self._before_change()
            self._grating = index

    @property
    def centre_nm(self) -> float:
        """The wavelength the spectrograph says to be at the centre of the detector."""
        return self._centre_nm

    @centre_nm.setter
    def centre_nm(self, centre_nm: float) -> None:
        if centre_nm != self._centre_nm:
            self._before_change()
            self._centre_nm = centre_nm

    @property
    def overlap(self) -> float:
        """Share of the laser that the nanocrystal gets, and of its light that is gathered."""
        return self._overlap

    def move_sample(self, axis: int, position_um: float) -> None:
        """Put the nanocrystal beside the spot; axis 0 and 1 across it, 2 out of focus."""
        place = list(self._sample_um)
        place[axis] = position_um
        self._before_change()
        self._sample_um = (place[0], place[1], place[2])
        x, y, z = self._sample_um
        across = exp(-2.0 * (x * x + y * y) / self._truth.spot_um**2)
        self._overlap = across / (1.0 + (z / self._truth.depth_um) ** 2)

    @property
    def excitation(self) -> float:
        """The power at the nanocrystal, relative to the standard power."""
        return self._laser_power if self._shutter_open else 0.0

    def analyser_deg(self) -> float:
        """Return the angle of the polarization that passes; a half-wave plate counts twice."""
        truth = self._truth
        turned_deg = truth.polarizer_sense * (self._polarizer_deg - truth.polarizer_zero_deg)
        return 2.0 * turned_deg if truth.rotating_element == "half_wave_plate" else turned_deg

    def transmission(self) -> float:
        """Return what the grating's preference makes of the analysed light, mean 1.

        With a half-wave plate the field on the grating is always that of the fixed analyser.
        """
        truth = self._truth
        if truth.rotating_element == "half_wave_plate":
            return 1.0
        angle = 2.0 * radians(self.analyser_deg() - truth.grating_axis_deg)
        return 1.0 + truth.grating_anisotropy * cos(angle)

    def nominal_wavelengths_nm(self) -> NDArray[np.float64]:
        """Return the wavelength of each pixel as the instrument itself calibrates it."""
        camera = self._camera
        pixels = np.arange(camera.pixels, dtype=float) - (camera.pixels - 1) / 2.0
        return self._dispersed(self._centre_nm, pixels)

    def edges_eV(self) -> NDArray[np.float64]:
        """Return the true photon energies at the pixel edges, (pixels + 1,), falling."""
        return _edges_eV(self._truth, self._camera, self._grating, self._centre_nm)

    def _dispersed(self, centre_nm: float, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        return grating_wavelengths_nm(
            centre_nm,
            pixels * self._camera.pixel_um,
            per_mm=self._truth.gratings_per_mm[self._grating],
            focal_length_mm=self._truth.focal_length_mm,
            half_included_angle_deg=self._truth.half_included_angle_deg,
        )


@lru_cache(maxsize=16)
def _edges_eV(
    truth: OpticsTruth, camera: CameraTruth, grating: int, centre_nm: float
) -> NDArray[np.float64]:
    wavelengths_nm = grating_wavelengths_nm(
        centre_nm + truth.wavelength_error_nm,
        (np.arange(camera.pixels + 1, dtype=float) - camera.pixels / 2.0) * camera.pixel_um,
        per_mm=truth.gratings_per_mm[grating],
        focal_length_mm=truth.focal_length_mm,
        half_included_angle_deg=truth.half_included_angle_deg,
    )
    wavelengths_nm[wavelengths_nm == 0.0] = LEAST_nm  # an edge in zero order has no energy
    vacuum_nm = air_to_vacuum_nm(wavelengths_nm) if truth.in_air else wavelengths_nm
    return np.asarray(HC_EV_NM / vacuum_nm)


def grating_wavelengths_nm(
    centre_nm: float,
    position_um: NDArray[np.float64],
    *,
    per_mm: float,
    focal_length_mm: float,
    half_included_angle_deg: float,
) -> NDArray[np.float64]:
    """Return the wavelength at each position on the detector, from sin a + sin b = G lambda.

    Position 0 receives centre_nm under a constant angle between the arms (Czerny-Turner), the
    light falling in more steeply than it leaves.
    """
    lines_per_nm = per_mm * 1e-6
    half = radians(half_included_angle_deg)
    sine = lines_per_nm * centre_nm / (2.0 * cos(half))
    if not 0.0 <= sine < 1.0:
        raise ValueError(
            f"optics: {centre_nm} nm is beyond a grating of {per_mm} lines/mm "
            f"(up to {2.0 * cos(half) / lines_per_nm:.0f} nm)"
        )
    tilt = asin(sine)
    leaving = tilt - half + np.arctan(position_um * 1e-3 / focal_length_mm)
    return np.asarray((sin(tilt + half) + np.sin(leaving)) / lines_per_nm)


def vacuum_to_air_nm(vacuum_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return wavelengths in standard air. Source: Ciddor, Appl. Opt. 35, 1566 (1996)."""
    square = (1e3 / np.asarray(vacuum_nm, float)) ** 2
    excess = 0.05792105 / (238.0185 - square) + 0.00167917 / (57.362 - square)
    return np.asarray(vacuum_nm / (1.0 + excess))


def air_to_vacuum_nm(air_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return wavelengths in vacuum, the inverse of vacuum_to_air_nm to 1e-9 nm."""
    vacuum_nm = np.asarray(air_nm, float)
    for _ in range(3):
        vacuum_nm = air_nm * (vacuum_nm / vacuum_to_air_nm(vacuum_nm))
    return vacuum_nm

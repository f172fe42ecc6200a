"""What the engine asks of an instrument, whatever its make.

Small Protocols of three sets of verbs: readable (read, describe), movable (set, stop), detector
(trigger, collect). `set` and `trigger` only start something; the Status they return advances when
it is polled, and no call blocks longer than one I/O timeout (0.5 s).

Connecting and closing change nothing on an instrument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.status import Status

__all__ = [
    "BiasMeasurement",
    "BiasSettings",
    "BiasSupply",
    "Camera",
    "Counts",
    "Device",
    "ExposureSettings",
    "Frame",
    "Identity",
    "PowerMeter",
    "PressureGauge",
    "Reading",
    "ReadingStatus",
    "RotationStage",
    "Selector",
    "Setting",
    "Shutter",
    "Spectrograph",
    "Switch",
    "TemperatureController",
]

Setting = float | int | str | bool
Counts = NDArray[np.int32] | NDArray[np.uint16]


class ReadingStatus(Enum):
    """Whether the instrument itself trusts the value."""

    OK = "ok"
    OUT_OF_RANGE = "out of range"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Reading:
    """One value from one channel, with the clock time at which it was taken."""

    value: float
    unit: str
    time_s: float
    status: ReadingStatus = ReadingStatus.OK
    note: str = ""

    @property
    def is_good(self) -> bool:
        """False for NaN, infinity and everything the instrument flags."""
        return self.status is ReadingStatus.OK and isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: manufacturer, model, serial number, firmware."""

    manufacturer: str
    model: str
    serial: str
    firmware: str


class Device(Protocol):
    """What every instrument can do."""

    @property
    def name(self) -> str: ...

    def identify(self) -> Identity:
        """Ask the instrument who it is."""
        ...

    def settings(self) -> Mapping[str, Setting]:
        """Read back every setting that a reboot or a turned knob would change."""
        ...

    def read(self) -> Mapping[str, Reading]:
        """Read all channels, keyed by channel name with unit, such as temperature_K."""
        ...

    def close(self) -> None:
        """Let go of the line; change nothing. Closing twice is harmless."""
        ...


class TemperatureController(Device, Protocol):
    """Channels: temperature_K (control sensor), sample_temperature_K, heater_percent."""

    def set(self, temperature_K: float) -> Status:
        """Send the setpoint, with ramp and heater range of the station; done when it is accepted
        and its ramp, if any, has ended. Settling is the engine's business."""
        ...

    def read_temperature(self) -> Reading: ...

    def read_sample_temperature(self) -> Reading: ...

    def hold(self) -> None:
        """Stop a running ramp: regulate at the present temperature. The heater stays on."""
        ...

    def heater_off(self) -> None:
        """Switch every heater off and verify it by reading back."""
        ...


class Spectrograph(Device, Protocol):
    """Channels: wavelength_nm, grating."""

    def set(self, wavelength_nm: float, grating: int) -> Status:
        """Move the turret if needed and then the centre wavelength; verified when done."""
        ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ExposureSettings:
    """Everything that makes two frames comparable.

    rows: (first, number) binned into one spectrum; None: the whole image is delivered.
    frames: number of exposures that one trigger takes, a kinetic series if above 1.
    """

    exposure_s: float
    frames: int = 1
    rows: tuple[int, int] | None = None
    gain: int = 0
    speed: int = 0
    open_shutter: bool = True  # the camera's own; closed for detector-dark frames


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure as the detector delivered it: raw counts, (pixels,) or (rows, pixels)."""

    counts: Counts
    start_s: float  # clock time at which the exposure began
    exposure_s: float


class Camera(Device, Protocol):
    """Channels: detector_temperature_C."""

    @property
    def pixels(self) -> int: ...

    @property
    def rows(self) -> int:
        """Return the number of rows of the chip."""
        ...

    def arm(self, settings: ExposureSettings) -> None:
        """Send what differs from the settings in force, and verify."""
        ...

    def trigger(self) -> Status:
        """Start the exposure; done when every frame is read out."""
        ...

    def is_exposed(self) -> bool:
        """Return whether no more light is being collected: readout may still go on."""
        ...

    def collect(self) -> tuple[Frame, ...]:
        """Fetch the frames of the last trigger, in the order of exposure."""
        ...

    def wavelengths_nm(self) -> NDArray[np.float64]:
        """Return the wavelength of each pixel as the instrument calibrates it, shape (pixels,)."""
        ...

    def abort(self) -> None:
        """End a running exposure; harmless when none runs."""
        ...


class RotationStage(Device, Protocol):
    """Channels: angle_deg, the mechanical angle."""

    @property
    def is_homed(self) -> bool: ...

    def home(self) -> Status: ...

    def set(self, angle_deg: float) -> Status:
        """Rotate; done and verified within the repeatability. Raises StateError before homing."""
        ...

    def stop(self) -> None: ...


class Shutter(Device, Protocol):
    """Channels: is_open (1 or 0)."""

    def set(self, is_open: bool) -> Status: ...


class PressureGauge(Device, Protocol):
    """Channels: pressure_mbar. Below its range it reads its lower end, and says so in the note."""

    def read_pressure(self) -> Reading: ...


class PowerMeter(Device, Protocol):
    """Channels: laser_power_W, corrected for the wavelength of the station."""

    def read_power(self) -> Reading: ...

    def apply_wavelength(self) -> None:
        """Tell the meter the wavelength of the station and read it back."""
        ...


class Selector(Device, Protocol):
    """Lets through one of several things, such as the light of the sample or of a lamp.

    Channels: position, counted from 0, its name in the note."""

    @property
    def positions(self) -> tuple[str, ...]: ...

    def set(self, position: str) -> Status:
        """Go to a position by name; done when it was found there. Raises LimitError."""
        ...

    def stop(self) -> None: ...


class Switch(Device, Protocol):
    """A lamp, or what else is on or off. Channels: is_on (1 or 0)."""

    def set(self, on: bool) -> Status: ...


class Positioner(Device, Protocol):
    """Moves the sample by steps whose length nobody knows exactly. Channels: steps_<axis>, counted
    since the connection was made, and no position.

    thermometer: reads the temperature of the piezos before every move; without it the strictest
    limits hold."""

    thermometer: Callable[[], Reading] | None

    @property
    def axes(self) -> tuple[str, ...]: ...

    def move_by(self, axis: str, steps: int) -> Status:
        """Step forward, or backward if negative; done when as many steps were made.

        Raises LimitError for what the drive may not do at the present temperature."""
        ...

    def limit_drive(self, temperature_K: float) -> None:
        """Bring the drive below the limits of all temperatures from here to that one, and read it
        back; call before the temperature moves."""
        ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BiasSettings:
    """What is fixed once, output off, for the largest voltage of a run."""

    max_voltage_V: float  # the source range is the smallest that holds it
    current_limit_A: float  # never called compliance voltage: it is a current
    protection_V: float | None  # over-voltage protection; None where the hardware has none so high


@dataclass(frozen=True, slots=True)
class BiasMeasurement:
    """One measurement of the supply's terminals."""

    voltage_V: float
    current_A: float
    in_compliance: bool  # the current limit holds the voltage down
    over_voltage: bool
    time_s: float


class BiasSupply(Device, Protocol):
    """The bare supply. Only a BiasPort talks to it. Channels: voltage_V, current_A."""

    def configure(self, settings: BiasSettings) -> None:
        """Fix ranges, limits, protection and off-state with the output off, and read them back.

        Raises StateError if the output is on."""
        ...

    def set_level(self, voltage_V: float) -> None:
        """Program the level at once: ramping is the port's business. Raises LimitError."""
        ...

    def read_level(self) -> float:
        """Return the programmed level in V."""
        ...

    def switch_output(self, on: bool) -> None: ...

    def is_output_on(self) -> bool: ...

    def measure(self) -> BiasMeasurement:
        """Measure the terminals. Raises StateError while the output is off."""
        ...

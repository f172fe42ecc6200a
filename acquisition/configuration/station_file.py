"""The station file: which instruments a laboratory has, where they answer, what they may do.

An instrument whose section is missing is not there, and an axis that needs it is refused. Units
are written with every quantity and are the end of the field's name here
(acquisition.configuration.quantity).
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from acquisition.configuration.config_model import (
    ConfigModel,
    ExistingFile,
    LocalPath,
    OneOrMore,
    Zone,
)
from acquisition.configuration.quantity import NotNegative, Positive, Quantity
from acquisition.configuration.refusal import refusal
from analysis.detector.detector_noise import UNEVEN_RESPONSE

__all__ = [
    "BiasConfig",
    "CameraConfig",
    "CryostatConfig",
    "CryostatZone",
    "DiskConfig",
    "GaugeConfig",
    "GeometryConfig",
    "Grating",
    "InstrumentConfig",
    "PolarizerConfig",
    "PositionerConfig",
    "PowerMeterConfig",
    "SelectorConfig",
    "ShutterConfig",
    "SimulationConfig",
    "SpectrographConfig",
    "StationConfig",
    "StationHead",
    "SwitchConfig",
]

ADDRESS = re.compile(r"sim://\w+|(tcp|ws)://[^\s/:]+:\d+(/\S*)?|(serial|visa)://\S+|process://\w+")


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise refusal(
            "one of sim://NAME, tcp://HOST:PORT, ws://HOST:PORT, serial://, visa://, process://"
        )
    return text


Address = Annotated[str, AfterValidator(_address)]
BusAddress = Annotated[int, Field(ge=0, le=15)]
Sign = Literal[1, -1]
SensorInput = Literal["A", "B", "C", "D"]


class InstrumentConfig(ConfigModel):
    """Which instrument it is and where it answers.

    model: as the drivers register it. serial: refuse any other one. simulated: marks a simulator
    behind a real address. options: further settings of the model's own driver.
    """

    model: Annotated[str, Field(min_length=1)]
    address: Address
    serial: str = ""
    simulated: bool = False
    options: dict[str, object] = Field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        return self.simulated or self.address.startswith("sim://")


class CryostatZone(Zone):
    """Controller settings up to a temperature; without PID values the controller's own stay.

    settling_s: what a step usually needs there beyond its ramp; for the price only.
    """

    heater_range: Literal["low", "medium", "high"]
    proportional: float | None = Field(None, ge=0.1, le=1000)
    integral: float | None = Field(None, ge=0.1, le=1000)
    derivative: float | None = Field(None, ge=0, le=200)
    settling_s: NotNegative = 0.0

    @model_validator(mode="after")
    def _pid_is_complete(self) -> "CryostatZone":
        given = [value is not None for value in self.pid]
        if any(given) and not all(given):
            raise refusal("proportional, integral and derivative together, or none of them")
        return self

    @property
    def pid(self) -> tuple[float | None, float | None, float | None]:
        return self.proportional, self.integral, self.derivative


class CryostatConfig(InstrumentConfig):
    """trip_K: above it the controller itself switches every heater off (TLIMIT).

    cooling_K_per_min: how fast the cryostat cools without heat; for the price only.
    """

    control_sensor: SensorInput = "A"
    sample_sensor: SensorInput = "B"
    output: Literal[1, 2] = 1
    min_K: Positive
    max_K: Positive
    trip_K: Positive
    ramp_K_per_min: Annotated[Quantity, Field(ge=0.1, le=100)] = 10.0
    cooling_K_per_min: Positive = 3.0
    pacing_s: NotNegative = 0.05
    monitor_interval_s: Positive = 2.0
    zone: OneOrMore[CryostatZone]

    @model_validator(mode="after")
    def _limits_in_order(self) -> "CryostatConfig":
        if not self.min_K < self.max_K < self.trip_K:
            found = f"{self.min_K:g} K, {self.max_K:g} K, {self.trip_K:g} K"
            raise refusal("min below max below trip", found)
        return self


class Grating(ConfigModel):
    """One place of the turret; zero-order mirrors have 0 grooves."""

    number: int = Field(ge=0)
    grooves_per_mm: int = Field(ge=0, le=4000)


class GeometryConfig(ConfigModel):
    """The spectrograph as its maker drew it, for the grating equation.

    half_included_angle: half the angle between incident and diffracted light at the centre pixel;
    negative where the light falls in more steeply than it leaves.
    pixel: the camera's pitch. centre_pixel: where the wavelength of the spectrograph falls, the
    middle if not given.
    """

    focal_length_um: Positive
    half_included_angle_deg: Quantity
    pixel_um: Positive
    centre_pixel: float | None = None
    detector_tilt_deg: Quantity = 0.0


class SpectrographConfig(InstrumentConfig):
    """wavelengths: in which medium the instrument's own calibration is meant.

    geometry: the axis follows from the grating equation, for a camera that the spectrograph's maker
    does not calibrate; without it the axis comes with the camera's frames.
    The two times are what a move usually takes; for the price only.
    """

    mono_index: int = Field(0, ge=0)
    min_nm: NotNegative
    max_nm: Positive
    wavelengths: Literal["air", "vacuum"] = "air"
    grating: Annotated[tuple[Grating, ...], Field(min_length=1)]
    geometry: GeometryConfig | None = None
    centre_move_s: NotNegative = 5.0
    grating_move_s: NotNegative = 30.0
    monitor_interval_s: Positive = 60.0


class CameraConfig(InstrumentConfig):
    """rows: (first, number) binned on the chip into one spectrum. response_error:
    rms of what a flat field would even out, as a share of the light.
    A warmer detector than max_detector_C is an interlock.
    """

    ccd_index: int = Field(0, ge=0)
    pixels: int = Field(ge=1, le=20_000)
    rows: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
    gain: int = Field(0, ge=0)
    speed: int = Field(0, ge=0)
    electrons_per_count: float = Field(gt=0)
    read_noise_electrons: float = Field(ge=0)
    offset_counts: float
    saturation_counts: int = Field(gt=0)
    response_error: float = Field(UNEVEN_RESPONSE, ge=0, lt=1)
    readout_s: NotNegative
    min_exposure_s: Positive = 0.001
    max_exposure_s: Positive = 3600.0
    max_detector_C: Quantity = -50.0
    has_shutter: bool = True
    monitor_interval_s: Positive = 10.0


class PolarizerConfig(InstrumentConfig):
    """rotates: which element sits on the stage; a half-wave plate turns light by twice its angle.

    zero_deg: mechanical angle at polarization 0; sense: -1 where the stage turns the other way.
    overshoot_deg: every angle is approached from below by this much, against backlash.
    speed_deg_per_s: for the price only.
    """

    bus_address: BusAddress = 0
    rotates: Literal["analyser", "half-wave plate"]
    zero_deg: Quantity = 0.0
    sense: Sign = 1
    overshoot_deg: NotNegative = 2.0
    tolerance_deg: Positive = 0.1
    speed_deg_per_s: Positive = 300.0

    def mechanical_deg(self, angle_deg: float) -> float:
        """Return the stage angle, 0 to 360, that passes this polarization angle."""
        turned = angle_deg if self.rotates == "analyser" else angle_deg / 2
        return (self.zero_deg + self.sense * turned) % 360.0


class ShutterConfig(InstrumentConfig):
    """The laser shutter, a two-position slider. move_s: for the price only."""

    bus_address: BusAddress = 1
    open_position: Literal[0, 1] = 1
    move_s: NotNegative = 0.2


class BiasConfig(InstrumentConfig):
    """polarity: sign of the field for a positive voltage, as the sample is wired.

    current_limit_A is what the supply never exceeds; leakage above current_trip_A ends the run.
    """

    max_voltage_V: Annotated[Quantity, Field(gt=0, le=1100)]
    current_limit_A: Annotated[Quantity, Field(gt=0, le=0.02)]
    current_trip_A: Positive
    series_ohm: NotNegative
    sweep_slew_V_per_s: Positive = 5.0
    emergency_slew_V_per_s: Positive = 50.0
    polarity: Sign = 1
    monitor_interval_s: Positive = 1.0

    @model_validator(mode="after")
    def _safe_order(self) -> "BiasConfig":
        if self.emergency_slew_V_per_s < self.sweep_slew_V_per_s:
            found = f"{self.emergency_slew_V_per_s:g} V/s"
            raise refusal(
                f"emergency_slew not below sweep_slew, {self.sweep_slew_V_per_s:g} V/s", found
            )
        if self.current_trip_A > self.current_limit_A:
            found = f"{self.current_trip_A:g} A"
            raise refusal(
                f"current_trip not above current_limit, {self.current_limit_A:g} A", found
            )
        return self


class GaugeConfig(InstrumentConfig):
    """The pressure around the sample; above max_pressure_mbar the run ends, bias to 0 first."""

    max_pressure_mbar: Positive
    monitor_interval_s: Positive = 2.0


class PowerMeterConfig(InstrumentConfig):
    """The laser's power, recorded with every point.

    wavelength_nm: of the laser; the power counts only while the meter corrects for it.
    factor: power at the sample per power at the meter.
    """

    wavelength_nm: Positive | None = None
    factor: float = Field(1.0, gt=0)
    monitor_interval_s: Positive = 2.0


class SelectorConfig(InstrumentConfig):
    """What goes to the spectrograph: the light of the sample or of a lamp. positions: their names,
    in the instrument's own order."""

    positions: Annotated[tuple[str, ...], Field(min_length=2)] = ("sample", "calibration")


class SwitchConfig(InstrumentConfig):
    """A lamp, or what else is on or off. relay: counted from 0, of a module that has several."""

    relay: int = Field(0, ge=0)


class PositionerConfig(InstrumentConfig):
    """The sample's piezo steppers; their drive and its limits are options of the model.

    step_um: mean length of one step where the maps are made; without it, moves are in steps.
    step_back_um: of one backward, where that differs.
    travel_um: how far each axis goes, end to end.
    """

    step_um: Positive | None = None
    step_back_um: Positive | None = None
    travel_um: Positive = 5000.0


class SimulationConfig(ConfigModel):
    """Only read where an instrument is simulated.

    scale: seconds of experiment per second of life, of simulators in another process.
    truth: parameters of the simulated world that differ from its defaults.
    replay: measured spectra that the camera shows instead of the nanocrystal.
    """

    seed: int = Field(1, ge=0)
    scale: float = Field(1.0, gt=0)
    truth: dict[str, object] = Field(default_factory=dict)
    replay: ExistingFile | None = None


class DiskConfig(ConfigModel):
    """A run starts only with margin x its size + reserve free."""

    margin: float = Field(2.5, ge=1)
    reserve_GB: float = Field(1.0, ge=0)


class StationHead(ConfigModel):
    """runs: the folder, on a local disk, that gets one folder per run."""

    name: str = Field(min_length=1)
    runs: LocalPath


class StationConfig(ConfigModel):
    """A whole station file."""

    station: StationHead
    cryostat: CryostatConfig | None = None
    spectrograph: SpectrographConfig | None = None
    camera: CameraConfig
    polarizer: PolarizerConfig | None = None
    shutter: ShutterConfig | None = None
    bias: BiasConfig | None = None
    gauge: GaugeConfig | None = None
    power_meter: PowerMeterConfig | None = None
    selector: SelectorConfig | None = None
    switch: SwitchConfig | None = None
    positioner: PositionerConfig | None = None
    simulation: SimulationConfig = SimulationConfig.model_validate({})
    disk: DiskConfig = DiskConfig.model_validate({})

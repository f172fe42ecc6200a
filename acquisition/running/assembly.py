"""Putting an engine together from a configuration, open instruments and a journal."""

from collections.abc import Callable, Sequence
from math import inf

from acquisition.configuration.axis_config import AXIS_KINDS, AxisQuantity
from acquisition.configuration.electrodes import electrodes_of
from acquisition.configuration.settle import SettleCriterion
from acquisition.configuration.station_file import PolarizerConfig, StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.instruments.monitors import Monitor, Monitors
from acquisition.instruments.movers import (
    AngleMover,
    BiasMover,
    Mover,
    SpectrographMover,
    TemperatureMover,
)
from acquisition.instruments.station import Station
from acquisition.running.exposure import DetectorSetup
from acquisition.running.verification import Tolerances
from acquisition.safety.interlocks import Consequence, Interlock
from drivers.clock import Clock

__all__ = [
    "detector_setup",
    "interlocks_of",
    "monitors_of",
    "movers_of",
    "to_field",
    "to_polarization",
    "tolerances_of",
]

STALE_PERIODS = 5.0  # of a monitor, after which its reading is a trip
SHORTEST_STALE_S = 60.0  # time in which a lost line may come back
ANGLE_MARGIN = 2.0  # of the stage's own tolerance, in the polarization angle


def monitors_of(station: Station, config: StationConfig) -> list[Monitor]:
    """Return what is read while everything else waits, each at the period of the station file."""
    monitors = [Monitor("camera", config.camera.monitor_interval_s, station.camera.read)]
    if station.cryostat is not None and config.cryostat is not None:
        monitors.append(
            Monitor("cryostat", config.cryostat.monitor_interval_s, station.cryostat.read)
        )
    if station.spectrograph is not None and config.spectrograph is not None:
        monitors.append(
            Monitor(
                "spectrograph", config.spectrograph.monitor_interval_s, station.spectrograph.read
            )
        )
    if station.bias is not None and config.bias is not None:
        monitors.append(Monitor("bias", config.bias.monitor_interval_s, station.bias.read))
    if station.gauge is not None and config.gauge is not None:
        monitors.append(Monitor("gauge", config.gauge.monitor_interval_s, station.gauge.read))
    if station.power_meter is not None and config.power_meter is not None:
        monitors.append(
            Monitor("power_meter", config.power_meter.monitor_interval_s, station.power_meter.read)
        )
    return monitors


def interlocks_of(
    station: Station, config: StationConfig, clock: Clock, *, longest_series_s: float
) -> list[Interlock]:
    """Return the levels that must hold; leakage is judged by the bias port itself.

    longest_series_s: for which a camera may be unable to tell its temperature: it exposes.
    """
    interlocks = [
        Interlock(
            "detector_temperature_C",
            high=config.camera.max_detector_C,
            max_age_s=_stale_s(config.camera.monitor_interval_s, clock) + longest_series_s,
        )
    ]
    if station.cryostat is not None and config.cryostat is not None:
        interlocks.append(
            Interlock(
                "temperature_K",
                high=config.cryostat.trip_K,
                max_age_s=_stale_s(config.cryostat.monitor_interval_s, clock),
                consequence=Consequence.STOP_AND_HEATER_OFF,
            )
        )
    if station.gauge is not None and config.gauge is not None:
        interlocks.append(
            Interlock(
                "pressure_mbar",
                high=config.gauge.max_pressure_mbar,
                max_age_s=_stale_s(config.gauge.monitor_interval_s, clock),
            )
        )
    return interlocks


def movers_of(
    station: Station,
    config: StationConfig,
    sweep: SweepConfig,
    monitors: Monitors,
    clock: Clock,
) -> Sequence[Mover]:
    """Return a mover for everything a row of this sweep can ask for, slowest first."""
    movers: list[Mover] = []
    if station.cryostat is not None:
        criterion = _criterion(sweep, AxisQuantity.TEMPERATURE)
        movers.append(TemperatureMover(station.cryostat, criterion, monitors, clock))
    if station.spectrograph is not None:
        movers.append(SpectrographMover(station.spectrograph))
    if station.bias is not None:
        field = AxisQuantity.FIELD if sweep.axis_of(AxisQuantity.FIELD) else AxisQuantity.BIAS
        movers.append(BiasMover(station.bias, _criterion(sweep, field), clock))
    if station.polarizer is not None and config.polarizer is not None:
        movers.append(
            AngleMover(
                station.polarizer,
                config.polarizer.mechanical_deg,
                overshoot_deg=config.polarizer.overshoot_deg,
            )
        )
    return movers


def tolerances_of(config: StationConfig, sweep: SweepConfig) -> Tolerances:
    """Return how far each condition may have been off, in the unit of its reading."""
    polarizer = config.polarizer
    return Tolerances(
        temperature_K=_criterion(sweep, AxisQuantity.TEMPERATURE).tolerance,
        voltage_V=_voltage_tolerance_V(config, sweep),
        angle_deg=inf
        if polarizer is None
        else ANGLE_MARGIN * _turned(polarizer, polarizer.tolerance_deg),
    )


def detector_setup(config: StationConfig, sweep: SweepConfig) -> DetectorSetup:
    camera = config.camera
    return DetectorSetup(
        rows=camera.rows,
        gain=camera.gain,
        speed=camera.speed,
        readout_s=camera.readout_s,
        saturation_counts=int(sweep.limits.saturation_fraction * camera.saturation_counts),
        offset_counts=camera.offset_counts,
    )


def to_field(config: StationConfig, sweep: SweepConfig) -> Callable[[float], float]:
    """Return the function from gap voltage to nominal field; NaN without electrodes."""
    electrodes = electrodes_of(sweep.sample, config.bias)
    if electrodes is None:
        return lambda _: float("nan")
    return electrodes.field_kV_per_cm


def to_polarization(config: StationConfig) -> Callable[[float], float]:
    """Return the function from mechanical to polarization angle, 0 to 360."""
    polarizer = config.polarizer
    if polarizer is None:
        return lambda _: float("nan")
    return lambda mechanical_deg: (
        polarizer.sense * _turned(polarizer, mechanical_deg - polarizer.zero_deg) % 360.0
    )


def _stale_s(interval_s: float, clock: Clock) -> float:
    return max(STALE_PERIODS * interval_s, clock.patience_s(SHORTEST_STALE_S))


def _turned(polarizer: PolarizerConfig, mechanical_deg: float) -> float:
    """A half-wave plate turns the polarization by twice its own angle."""
    return mechanical_deg * (1.0 if polarizer.rotates == "analyser" else 2.0)


def _criterion(sweep: SweepConfig, quantity: AxisQuantity) -> SettleCriterion:
    axis = sweep.axis_of(quantity)
    return AXIS_KINDS[quantity].settle if axis is None else axis.criterion


def _voltage_tolerance_V(config: StationConfig, sweep: SweepConfig) -> float:
    electrodes = electrodes_of(sweep.sample, config.bias)
    if sweep.axis_of(AxisQuantity.FIELD) is not None and electrodes is not None:
        return abs(electrodes.voltage_V(_criterion(sweep, AxisQuantity.FIELD).tolerance))
    return _criterion(sweep, AxisQuantity.BIAS).tolerance

"""From the station file to open instruments: which driver, at which address, with which settings.

Opening changes nothing on any instrument; a wrong instrument at an address is refused.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, cast

from acquisition.bias.bias_core import BiasRules
from acquisition.bias.bias_port import LocalBiasPort
from acquisition.configuration.electrodes import voltage_limit
from acquisition.configuration.station_file import (
    BiasConfig,
    CameraConfig,
    CryostatConfig,
    InstrumentConfig,
    PolarizerConfig,
    PowerMeterConfig,
    SelectorConfig,
    ShutterConfig,
    SpectrographConfig,
    StationConfig,
    SwitchConfig,
)
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.piezo_safe_cryostat import PiezoSafeCryostat
from acquisition.instruments.station import Station
from drivers.clock import Clock
from drivers.connections import Connections
from drivers.errors import LinkClosed, LinkError, StateError
from drivers.registry import model
from drivers.roles import (
    BiasSettings,
    BiasSupply,
    Camera,
    Device,
    Identity,
    Positioner,
    PowerMeter,
    PressureGauge,
    RotationStage,
    Selector,
    Shutter,
    Spectrograph,
    Switch,
    TemperatureController,
)

__all__ = [
    "answers_as",
    "instruments_of",
    "open_bias",
    "open_instrument",
    "open_station",
    "section_of",
]

logger = logging.getLogger(__name__)

LEASE_S = 5.0  # of silence, after which the engine counts as dead
PROTECTION_STEPS_V = (20.0, 40.0, 100.0, 200.0, 300.0, 400.0, 500.0)


def open_station(
    config: StationConfig,
    sample: SampleConfig,
    connections: Connections,
    clock: Clock,
    *,
    largest_voltage_V: float | None,
) -> Station:
    """Open every instrument of the station file.

    largest_voltage_V: of the run, which fixes the supply's range; None leaves the supply alone.
    Raises DeviceError, AddressError, LookupError.
    """
    try:
        station = Station(
            camera=cast("Camera", _open(connections, "camera", config.camera, _camera(config))),
            cryostat=cast(
                "TemperatureController | None",
                _open_if(connections, "cryostat", config.cryostat, _cryostat),
            ),
            spectrograph=cast(
                "Spectrograph | None",
                _open_if(connections, "spectrograph", config.spectrograph, _spectrograph),
            ),
            polarizer=cast(
                "RotationStage | None",
                _open_if(connections, "polarizer", config.polarizer, _polarizer),
            ),
            shutter=cast(
                "Shutter | None", _open_if(connections, "shutter", config.shutter, _shutter)
            ),
            bias=(
                open_bias(config.bias, sample, connections, clock, largest_voltage_V)
                if config.bias is not None and largest_voltage_V is not None
                else None
            ),
            gauge=cast(
                "PressureGauge | None", _open_if(connections, "gauge", config.gauge, _nothing)
            ),
            power_meter=cast(
                "PowerMeter | None",
                _open_if(connections, "power_meter", config.power_meter, _power_meter),
            ),
            selector=cast(
                "Selector | None", _open_if(connections, "selector", config.selector, _selector)
            ),
            switch=cast("Switch | None", _open_if(connections, "switch", config.switch, _switch)),
            positioner=cast(
                "Positioner | None",
                _open_if(connections, "positioner", config.positioner, _nothing),
            ),
            closers=(connections.close,),
        )
    except BaseException:
        connections.close()
        raise
    if station.positioner is not None and station.cryostat is not None:
        # a drive that is right at 4 K destroys a warm piezo
        station.positioner.thermometer = station.cryostat.read_sample_temperature
        return replace(station, cryostat=PiezoSafeCryostat(station.cryostat, station.positioner))
    return station


def open_bias(
    config: BiasConfig,
    sample: SampleConfig,
    connections: Connections,
    clock: Clock,
    largest_voltage_V: float,
) -> LocalBiasPort:
    """Open the supply behind a port that knows the sample's limit.

    The range, the current limit and the protection follow from the largest voltage of the run and
    the sample's limit; they are set when the port is armed.
    """
    limit = voltage_limit(sample, config)
    if largest_voltage_V > limit.volts:
        raise StateError(
            "bias", f"{largest_voltage_V} V is beyond the limit of {limit.volts} V: {limit.reason}"
        )
    supply = _open(connections, "bias", config, _bias(config))
    rules = BiasRules(
        max_voltage_V=max(largest_voltage_V, 1.0),
        current_trip_A=config.current_trip_A,
        sweep_slew_V_per_s=config.sweep_slew_V_per_s,
        emergency_slew_V_per_s=config.emergency_slew_V_per_s,
        lease_s=clock.patience_s(LEASE_S),
    )
    settings = BiasSettings(
        max_voltage_V=rules.max_voltage_V,
        current_limit_A=config.current_limit_A,
        protection_V=_protection_V(rules.max_voltage_V),
    )
    return LocalBiasPort(
        cast("BiasSupply", supply), clock, rules, settings, series_ohm=config.series_ohm
    )


def open_instrument(config: StationConfig, name: str, connections: Connections) -> Device:
    """Open one instrument by its section, the supply without its port: for a look, not for a run.

    Raises DeviceError, AddressError, LookupError, also if the station has no such section.
    """
    section: Any = section_of(config, name)
    settings = _camera(config) if name == "camera" else SETTINGS[name](section)
    return _open(connections, name, section, settings)


def section_of(config: StationConfig, name: str) -> InstrumentConfig:
    """Return the section of one instrument. Raises LookupError with those there are."""
    there = instruments_of(config)
    if name not in there:
        raise LookupError(f"the station file has no instrument {name!r}: {', '.join(there)}")
    return there[name]


def instruments_of(config: StationConfig) -> dict[str, InstrumentConfig]:
    """Return the sections that are instruments, by name, in the order of the model."""
    sections = ((name, getattr(config, name)) for name in type(config).model_fields)
    return {name: section for name, section in sections if isinstance(section, InstrumentConfig)}


def _protection_V(largest_V: float) -> float | None:
    """Return the lowest protection step that the run doesn't reach, None above the last step."""
    return next((step for step in PROTECTION_STEPS_V if step > 1.05 * largest_V), None)


def _open_if(
    connections: Connections,
    name: str,
    config: InstrumentConfig | None,
    settings: Any,
) -> Device | None:
    return None if config is None else _open(connections, name, config, settings(config))


def _open(
    connections: Connections, name: str, config: InstrumentConfig, settings: Mapping[str, object]
) -> Device:
    kind = model(config.model).config
    known = {field.name for field in fields(kind)}
    wanted = {**settings, "serial": config.serial, **config.options}
    driver_config = kind(**{key: value for key, value in wanted.items() if key in known})
    try:
        device = connections.connect(name, config.model, config.address, driver_config)
    except LinkError as error:
        why = str(error).removeprefix(f"{config.address}: ")  # the line names itself too
        raise LinkClosed(name, f"at {config.address}: {why}") from error
    identity = device.identify()
    _refuse_another_model(name, config.model, identity)
    logger.info("%s: %s", name, identity)
    return device


def answers_as(expected: str, identity: Identity) -> bool:
    """Return whether the instrument calls itself by the number in the name of a model.

    A family without a number, such as horiba.ccd, is for its own driver to recognise.
    """
    number = expected.partition(".")[2]
    has_digits = any(letter.isdigit() for letter in number)
    return not has_digits or number.lower() in identity.model.lower()


def _refuse_another_model(name: str, expected: str, identity: Identity) -> None:
    """Raise StateError unless the instrument calls itself by the number in its model's name."""
    if not answers_as(expected, identity):
        answers = f"{identity.manufacturer} {identity.model}, serial {identity.serial}"
        raise StateError(name, f"{answers} answers where the station file has {expected}")


def _cryostat(config: CryostatConfig) -> dict[str, object]:
    return {
        "pacing_s": config.pacing_s,
        "control_input": config.control_sensor,
        "sample_input": config.sample_sensor,
        "output": config.output,
        "max_temperature_K": config.max_K,
        "ramp_K_per_min": config.ramp_K_per_min,
        "heater_ranges": tuple((zone.up_to_K, zone.heater_range) for zone in config.zone),
        "pid_zones": tuple(
            (zone.up_to_K, *zone.pid) for zone in config.zone if zone.proportional is not None
        ),
    }


def _spectrograph(config: SpectrographConfig) -> dict[str, object]:
    return {
        "index": config.mono_index,
        "min_wavelength_nm": config.min_nm,
        "max_wavelength_nm": config.max_nm,
        "gratings": tuple(grating.number for grating in config.grating),
    }


def _camera(config: StationConfig) -> dict[str, object]:
    camera: CameraConfig = config.camera
    mono = config.spectrograph.mono_index if config.spectrograph is not None else 0
    is_calibrated_by_mono = config.spectrograph is None or config.spectrograph.geometry is None
    return {
        "index": camera.ccd_index,
        "monochromator_index": mono if is_calibrated_by_mono else None,
        "frame_readout_s": camera.readout_s,
    }


def _polarizer(config: PolarizerConfig) -> dict[str, object]:
    return {"bus_address": f"{config.bus_address:X}", "tolerance_deg": config.tolerance_deg}


def _bias(config: BiasConfig) -> dict[str, object]:
    return {"max_voltage_V": config.max_voltage_V}


def _nothing(_: InstrumentConfig) -> dict[str, object]:
    return {}


def _power_meter(config: PowerMeterConfig) -> dict[str, object]:
    return {"wavelength_nm": config.wavelength_nm, "factor": config.factor}


def _selector(config: SelectorConfig) -> dict[str, object]:
    return {"positions": config.positions}


def _switch(config: SwitchConfig) -> dict[str, object]:
    return {"relay": config.relay}


def _shutter(config: ShutterConfig) -> dict[str, object]:
    return {
        "bus_address": f"{config.bus_address:X}",
        "open_is_forward": config.open_position == 1,
    }


SETTINGS: Mapping[str, Callable[[Any], dict[str, object]]] = {
    "cryostat": _cryostat,
    "spectrograph": _spectrograph,
    "polarizer": _polarizer,
    "shutter": _shutter,
    "bias": _bias,
    "gauge": _nothing,
    "power_meter": _power_meter,
    "selector": _selector,
    "switch": _switch,
    "positioner": _nothing,
}

"""What a sweep asks for, against what its station and its sample allow.

A check names the sections that it needs and is left out while one of them is faulty. What it
finds is (key in its file, what was found, what is allowed).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import prod

from acquisition.configuration.axis_config import AxisConfig, AxisQuantity
from acquisition.configuration.config_model import at_temperature
from acquisition.configuration.detector_range import detector_range
from acquisition.configuration.electrodes import electrodes_of, voltage_limit
from acquisition.configuration.lamp_profiles import lamp_conflicts
from acquisition.configuration.station_file import InstrumentConfig, StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from drivers import registry, roles

__all__ = [
    "FILE_CHECKS",
    "STATION_CHECKS",
    "SWEEP_CHECKS",
    "Conflict",
    "StationCheck",
    "SweepCheck",
]

MOST_POINTS = 1_000_000
ROUNDING = 1e-9  # by which a converted value may exceed a limit

Conflict = tuple[str, str, str]
ROLES = {
    "cryostat": roles.TemperatureController,
    "spectrograph": roles.Spectrograph,
    "camera": roles.Camera,
    "polarizer": roles.RotationStage,
    "shutter": roles.Shutter,
    "bias": roles.BiasSupply,
    "gauge": roles.PressureGauge,
    "power_meter": roles.PowerMeter,
}


@dataclass(frozen=True, slots=True)
class SweepCheck:
    """A check of a sweep against its station.

    every_axis: it can't be judged while any axis is faulty; else it judges those that are sound.
    """

    find: Callable[[SweepConfig, StationConfig], Iterator[Conflict]]
    sweep_sections: frozenset[str]
    station_sections: frozenset[str] = frozenset()
    every_axis: bool = False


@dataclass(frozen=True, slots=True)
class StationCheck:
    """A check of a station by itself."""

    find: Callable[[StationConfig], Iterator[Conflict]]
    sections: frozenset[str] = frozenset()


def instruments(station: StationConfig) -> dict[str, InstrumentConfig]:
    """Return the instruments that the station has, by section."""
    found = {role: getattr(station, role, None) for role in ROLES}
    return {role: config for role, config in found.items() if config is not None}


def _models(station: StationConfig) -> Iterator[Conflict]:
    for role, config in instruments(station).items():
        try:
            model = registry.model(config.model)
        except LookupError as error:
            _, _, known_models = str(error).partition(": ")
            yield f"{role}.model", f'"{config.model}"', f"a model that has a driver; {known_models}"
            continue
        if model.role is not ROLES[role]:
            yield f"{role}.model", f'"{config.model}"', f"a model that is a {ROLES[role].__name__}"
        known = [field.name for field in fields(model.config)]
        for option in sorted(set(config.options) - set(known)):
            yield f"{role}.options.{option}", "an unknown option", f"one of {', '.join(known)}"


def _bus_addresses(station: StationConfig) -> Iterator[Conflict]:
    polarizer, shutter = station.polarizer, station.shutter
    if polarizer is None or shutter is None or polarizer.address != shutter.address:
        return
    if polarizer.bus_address == shutter.bus_address:
        found = f"{shutter.bus_address}, which is the polarizer's"
        yield "shutter.bus_address", found, "a bus address of its own"


def _gratings_once(station: StationConfig) -> Iterator[Conflict]:
    if station.spectrograph is None:
        return
    numbers = Counter(grating.number for grating in station.spectrograph.grating)
    for number in (number for number, times in numbers.items() if times > 1):
        yield "spectrograph.grating", f"number {number} twice", "every number once"


def _spectrograph_range(station: StationConfig) -> Iterator[Conflict]:
    spectrograph = station.spectrograph
    if spectrograph is not None and not spectrograph.min_nm < spectrograph.max_nm:
        yield "spectrograph.max", f"{spectrograph.max_nm:g} nm", f"above {spectrograph.min_nm:g} nm"


def _exposure_range(station: StationConfig) -> Iterator[Conflict]:
    camera = station.camera
    if not camera.min_exposure_s < camera.max_exposure_s:
        found = f"{camera.max_exposure_s:g} s"
        yield "camera.max_exposure", found, f"above {camera.min_exposure_s:g} s"


def _axes_once(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    quantities = Counter(axis.quantity.value for axis in sweep.axis)
    for quantity in (quantity for quantity, times in quantities.items() if times > 1):
        yield f"axis[{quantity}]", f"{quantities[quantity]} times", "one axis per quantity"
    if {"field", "bias"} <= set(quantities):
        yield "axis[bias]", "beside a field axis", "either field or bias: both set the voltage"


def _axes_have_instruments(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    for axis in sweep.axis:
        section = axis.kind.needs
        if section is not None and getattr(station, section, "faulty, but there") is None:
            yield _key(axis), "this axis", f"none: the station has no [{section}]"


def _temperatures(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    axis, cryostat = sweep.axis_of(AxisQuantity.TEMPERATURE), station.cryostat
    if axis is None or cryostat is None:
        return
    yield from _outside(axis, cryostat.min_K, cryostat.max_K, "the cryostat's limits")


def _angles(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    axis = sweep.axis_of(AxisQuantity.POLARIZATION)
    if axis is not None:
        yield from _outside(axis, 0.0, 360.0, "polarization angles")


def _voltages(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    if station.bias is None:
        return
    limit = voltage_limit(sweep.sample, station.bias)
    axis = sweep.axis_of(AxisQuantity.BIAS)
    if axis is not None:
        yield from _outside(axis, -limit.volts, limit.volts, limit.reason)
    axis, electrodes = sweep.axis_of(AxisQuantity.FIELD), electrodes_of(sweep.sample, station.bias)
    if axis is None:
        return
    if electrodes is None:
        yield _key(axis), "a field axis", "only with electrodes in [sample]; else use a bias axis"
        return
    bound = abs(electrodes.field_kV_per_cm(limit.volts))
    yield from _outside(axis, -bound, bound, f"{limit.volts:g} V, {limit.reason}")


def _exposures(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    camera = station.camera
    low_s, high_s = camera.min_exposure_s, camera.max_exposure_s
    room = sweep.limits.saturation_fraction * camera.saturation_counts - camera.offset_counts
    for number, zone in enumerate(sweep.exposure, start=1):
        key = f"exposure[{number}]"
        for exposure_s in zone.possible_s:
            if not low_s <= exposure_s <= high_s:
                allowed = f"{low_s:g} to {high_s:g} s, the camera's limits"
                yield key, f"{exposure_s:g} s", allowed
        if zone.target_counts is not None and zone.target_counts > room:
            allowed = f"up to {room:g}, {sweep.limits.saturation_fraction:g} of the full scale"
            yield f"{key}.target_counts", f"{zone.target_counts:g}", allowed


def _optics(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    spectrograph = station.spectrograph
    if spectrograph is None:
        if len(sweep.optics.spectrograph) > 1:
            allowed = "a single row: the station has no [spectrograph]"
            yield "optics.spectrograph", f"{len(sweep.optics.spectrograph)} rows", allowed
        return
    gratings = sorted(grating.number for grating in spectrograph.grating)
    for number, zone in enumerate(sweep.optics.spectrograph, start=1):
        key = f"optics.spectrograph[{number}]"
        if zone.grating not in gratings:
            yield f"{key}.grating", str(zone.grating), f"one of {', '.join(map(str, gratings))}"
        if not spectrograph.min_nm <= zone.centre_nm <= spectrograph.max_nm:
            allowed = f"{spectrograph.min_nm:g} to {spectrograph.max_nm:g} nm"
            yield f"{key}.centre", f"{zone.centre_nm:g} nm", allowed


def _lamps(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    yield from lamp_conflicts(sweep.optics, station.camera)


def _exposure_table(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    yield from _table_without_temperature(sweep, "exposure", len(sweep.exposure))


def _optics_table(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    yield from _table_without_temperature(
        sweep, "optics.spectrograph", len(sweep.optics.spectrograph)
    )


def _fit_table(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    if sweep.fit is not None:
        yield from _table_without_temperature(sweep, "fit.model", len(sweep.fit.model))


def _fit_windows(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    if sweep.fit is None or station.spectrograph is None:
        return
    axis = sweep.axis_of(AxisQuantity.TEMPERATURE)
    found: dict[str, Conflict] = {}
    for temperature_K in (None,) if axis is None else axis.points:
        zone = at_temperature(sweep.fit.model, temperature_K)
        optics = at_temperature(sweep.optics.spectrograph, temperature_K)
        if not station.spectrograph.min_nm <= optics.centre_nm <= station.spectrograph.max_nm:
            continue  # a mistake of its own
        seen = detector_range(station, grating=optics.grating, centre_nm=optics.centre_nm)
        if seen is not None and not seen.overlaps(*zone.window_eV):
            low, high = zone.window_eV
            allowed = f"within {seen}, which the detector sees at {optics.centre_nm:g} nm"
            key = f"fit.model[{sweep.fit.model.index(zone) + 1}].window"
            found.setdefault(key, (key, f"{low:g} to {high:g} eV", allowed))
    yield from found.values()


def _table_without_temperature(sweep: SweepConfig, key: str, rows: int) -> Iterator[Conflict]:
    if rows > 1 and sweep.axis_of(AxisQuantity.TEMPERATURE) is None:
        yield key, f"{rows} rows", "a single row: there is no temperature axis"


def _backgrounds(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    kinds = sweep.background.kinds
    if "blocked" in kinds and station.shutter is None:
        yield "background.kinds", '"blocked"', "only with a laser [shutter] in the station"
    if "dark" in kinds and not station.camera.has_shutter:
        yield "background.kinds", '"dark"', "only with a camera that has a shutter"


def _end(sweep: SweepConfig, station: StationConfig) -> Iterator[Conflict]:
    if sweep.end.cryostat != "hold" and station.cryostat is None:
        yield "end.cryostat", f'"{sweep.end.cryostat}"', '"hold": the station has no [cryostat]'


def _number_of_points(sweep: SweepConfig, _: StationConfig) -> Iterator[Conflict]:
    points = prod(len(axis.points) for axis in sweep.axis)
    if points > MOST_POINTS:
        yield "axis", f"{points} points", f"at most {MOST_POINTS}"


def _key(axis: AxisConfig) -> str:
    return f"axis[{axis.quantity.value}]"


def _needs(*sections: str) -> frozenset[str]:
    return frozenset(sections)


def _outside(axis: AxisConfig, low: float, high: float, reason: str) -> Iterator[Conflict]:
    margin = ROUNDING * max(abs(low), abs(high))
    outside = [value for value in axis.points if not low - margin <= value <= high + margin]
    if outside:
        unit = axis.kind.unit
        shown = ", ".join(f"{value:g}" for value in outside[:3])
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        yield (
            f"{_key(axis)}.points",
            f"{shown}{more} {unit}",
            f"{low:g} to {high:g} {unit} ({reason})",
        )


STATION_CHECKS = (
    StationCheck(_models),
    StationCheck(_bus_addresses, sections=frozenset({"polarizer", "shutter"})),
    StationCheck(_gratings_once, sections=frozenset({"spectrograph"})),
    StationCheck(_spectrograph_range, sections=frozenset({"spectrograph"})),
    StationCheck(_exposure_range, sections=frozenset({"camera"})),
)
SWEEP_CHECKS = (
    SweepCheck(_axes_once, _needs("axis")),
    SweepCheck(_number_of_points, _needs("axis")),
    SweepCheck(_axes_have_instruments, _needs("axis")),
    SweepCheck(_temperatures, _needs("axis"), _needs("cryostat")),
    SweepCheck(_angles, _needs("axis")),
    SweepCheck(_voltages, _needs("axis", "sample"), _needs("bias")),
    SweepCheck(_exposures, _needs("exposure", "limits"), _needs("camera")),
    SweepCheck(_optics, _needs("optics"), _needs("spectrograph")),
    SweepCheck(_exposure_table, _needs("axis", "exposure"), every_axis=True),
    SweepCheck(_optics_table, _needs("axis", "optics"), every_axis=True),
    SweepCheck(_fit_table, _needs("axis", "fit"), every_axis=True),
    SweepCheck(
        _fit_windows,
        _needs("axis", "optics", "fit"),
        _needs("camera", "spectrograph"),
        every_axis=True,
    ),
    SweepCheck(_backgrounds, _needs("background"), _needs("camera", "shutter")),
    SweepCheck(_end, _needs("end"), _needs("cryostat")),
)
# What other files hold that a sweep names; a run has kept it.
FILE_CHECKS = (SweepCheck(_lamps, _needs("optics"), _needs("camera")),)

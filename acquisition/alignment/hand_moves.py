"""Everything of a station that may be moved by hand, each with its limits and whence they come."""

from collections.abc import Callable, Iterator
from functools import partial
from math import isnan
from typing import TypeGuard

from acquisition.alignment.dead_reckoning import DeadReckoning
from acquisition.alignment.hand_move import HandMove
from acquisition.bias.bias_core import BiasState
from acquisition.bias.bias_port import BiasPort
from acquisition.channel.messages import Movable
from acquisition.configuration.electrodes import electrodes_of, voltage_limit
from acquisition.configuration.settle import SettleOutcome
from acquisition.configuration.station_file import (
    BiasConfig,
    CryostatConfig,
    PolarizerConfig,
    PositionerConfig,
    SpectrographConfig,
    StationConfig,
)
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.monitors import Monitors
from acquisition.instruments.movers import AngleMover
from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointKind
from acquisition.running.assembly import to_polarization
from drivers.errors import InstrumentError
from drivers.roles import Positioner, RotationStage, Shutter, Spectrograph, TemperatureController
from drivers.status import Status

__all__ = ["hand_moves", "has_electrodes"]

MOST_STEPS = 1e6
AT_TEMPERATURE_K = 0.1  # from where on a temperature counts as reached


def hand_moves(
    station: Station, config: StationConfig, sample: SampleConfig | None, monitors: Monitors
) -> list[HandMove]:
    """Return a move for everything that can be moved.

    sample: whose limit holds for the bias; without electrodes nobody moves the bias by hand.
    """
    return list(_moves(station, config, sample, monitors))


def _moves(
    station: Station, config: StationConfig, sample: SampleConfig | None, monitors: Monitors
) -> Iterator[HandMove]:
    if station.cryostat is not None and config.cryostat is not None:
        yield _temperature(station.cryostat, config.cryostat, monitors)
    if station.polarizer is not None and config.polarizer is not None:
        yield _angle(station.polarizer, config, config.polarizer, monitors)
    if station.bias is not None and config.bias is not None and has_electrodes(sample):
        yield from _bias(station.bias, config.bias, sample, monitors)
    if station.spectrograph is not None and config.spectrograph is not None:
        yield from _spectrograph(station.spectrograph, config.spectrograph, monitors)
    if station.shutter is not None:
        yield _shutter(station.shutter, monitors)
    if station.positioner is not None and config.positioner is not None:
        for axis in station.positioner.axes:
            yield _position(station.positioner, axis, config.positioner, monitors)


def has_electrodes(sample: SampleConfig | None) -> TypeGuard[SampleConfig]:
    """Return whether the card says what the sample bears: without, no bias by hand."""
    return sample is not None and sample.electrodes != "none"


def _temperature(
    cryostat: TemperatureController, config: CryostatConfig, monitors: Monitors
) -> HandMove:
    def begin(temperature_K: float) -> Status:
        ramp = cryostat.set(temperature_K)

        def is_there() -> bool:
            if not ramp.poll():
                return False
            ramp.check()
            return abs(monitors.value("temperature_K") - temperature_K) <= AT_TEMPERATURE_K

        return Status("ramps and settles", is_there)

    movable = Movable(
        quantity="temperature_K",
        label="temperature",
        unit="K",
        lower=config.min_K,
        upper=config.max_K,
        limits_from="station file, cryostat.min and cryostat.max",
    )
    return HandMove(
        movable, cryostat.name, begin, halt=cryostat.hold, read=_latest(monitors, "temperature_K")
    )


def _angle(
    stage: RotationStage, station: StationConfig, config: PolarizerConfig, monitors: Monitors
) -> HandMove:
    mover = AngleMover(stage, config.mechanical_deg, overshoot_deg=config.overshoot_deg)
    polarization_deg = to_polarization(station)

    def begin(angle_deg: float) -> Status:
        row = Point(-1, PointKind.SAMPLE, 0.0, 0, angle_deg=angle_deg)
        homing = None if stage.is_homed else stage.home()
        if homing is None:
            mover.start(row)

        def is_there() -> bool:
            nonlocal homing
            if homing is None:
                return mover.advance() is SettleOutcome.SETTLED
            if homing.poll():
                homing.check()
                homing = None
                mover.start(row)
            return False

        return Status("rotates" if homing is None else "homes first, then rotates", is_there)

    def halt() -> None:
        stage.stop()
        mover.forget()

    def read() -> float | None:
        reading = monitors.latest.get("angle_deg")
        return None if reading is None or not reading.is_good else polarization_deg(reading.value)

    movable = Movable(
        quantity="angle_deg",
        label="polarization angle",
        unit="deg",
        lower=-360.0,
        upper=720.0,
        limits_from="two turns",
    )
    return HandMove(movable, stage.name, begin, halt=halt, read=read)


def _bias(
    port: BiasPort, config: BiasConfig, sample: SampleConfig, monitors: Monitors
) -> Iterator[HandMove]:
    """Yield the voltage, and the field where the electrodes are known; both move the same port."""
    limit = voltage_limit(sample, config)
    voltage = Movable(
        quantity="voltage_V",
        label="bias",
        unit="V",
        lower=-limit.volts,
        upper=limit.volts,
        limits_from=limit.reason,
    )
    begin, halt = partial(_ramp, port), partial(_hold, port, limit.volts)
    yield HandMove(
        voltage, port.name, begin, halt=halt, read=_zero_if_off(port, monitors, "voltage_V")
    )
    electrodes = electrodes_of(sample, config)
    if electrodes is None:
        return
    gap_voltage_V = _zero_if_off(port, monitors, "gap_voltage_V")

    def read_field() -> float | None:
        volts = gap_voltage_V()
        return None if volts is None else electrodes.field_kV_per_cm(volts)

    most = abs(electrodes.field_kV_per_cm(limit.volts))
    field = Movable(
        quantity="field_kV_per_cm",
        label="field",
        unit="kV/cm",
        lower=-most,
        upper=most,
        limits_from=limit.reason,
    )
    yield HandMove(
        field,
        port.name,
        lambda field_kV_per_cm: begin(electrodes.voltage_V(field_kV_per_cm)),
        halt=halt,
        read=read_field,
    )


def _zero_if_off(port: BiasPort, monitors: Monitors, channel: str) -> Callable[[], float | None]:
    measured = _latest(monitors, channel)
    return lambda: 0.0 if port.status().is_zero else measured()


def _ramp(port: BiasPort, voltage_V: float) -> Status:
    """Ramp to a voltage; what is found on goes to zero first, then the port is armed at 0 V."""
    is_armed = port.status().state in (BiasState.AT_TARGET, BiasState.RAMPING)
    if is_armed:
        port.ask(voltage_V)
    elif not port.status().is_moving:
        port.take_over()

    def is_there() -> bool:
        nonlocal is_armed
        status = port.status()
        if status.trip_reason:
            raise InstrumentError(port.name, f"tripped: {status.trip_reason}")
        if not is_armed:
            if not status.is_moving:
                port.arm()
                port.ask(voltage_V)
                is_armed = True
            return False
        return status.is_settled

    return Status(f"ramps to {voltage_V:.6g} V", is_there)


def _hold(port: BiasPort, most_V: float) -> None:
    """Stay at the voltage that was measured last; go to zero where there is none."""
    status = port.status()
    if status.state is BiasState.RAMPING:
        volts = 0.0 if isnan(status.voltage_V) else status.voltage_V
        port.ask(max(-most_V, min(volts, most_V)))


def _spectrograph(
    spectrograph: Spectrograph, config: SpectrographConfig, monitors: Monitors
) -> Iterator[HandMove]:
    centre_nm, grating = _latest(monitors, "wavelength_nm"), _latest(monitors, "grating")

    def known(read: Callable[[], float | None], what: str) -> float:
        value = read()
        if value is None:
            raise InstrumentError(spectrograph.name, f"its {what} is not known")
        return value

    wavelength = Movable(
        quantity="centre_nm",
        label="centre wavelength",
        unit="nm",
        lower=config.min_nm,
        upper=config.max_nm,
        limits_from="station file, spectrograph.min and spectrograph.max",
    )
    yield HandMove(
        wavelength,
        spectrograph.name,
        lambda nm: spectrograph.set(nm, int(known(grating, "grating"))),
        halt=spectrograph.stop,
        read=centre_nm,
    )
    numbers = {f"{g.grooves_per_mm}/mm (no. {g.number})": float(g.number) for g in config.grating}
    turret = Movable(
        quantity="grating",
        label="grating",
        unit="",
        lower=min(numbers.values()),
        upper=max(numbers.values()),
        limits_from="station file, spectrograph.grating",
        choices=numbers,
    )
    yield HandMove(
        turret,
        spectrograph.name,
        lambda number: spectrograph.set(known(centre_nm, "centre wavelength"), int(number)),
        halt=spectrograph.stop,
        read=grating,
    )


def _shutter(shutter: Shutter, monitors: Monitors) -> HandMove:
    movable = Movable(
        quantity="shutter",
        label="laser shutter",
        unit="",
        lower=0.0,
        upper=1.0,
        choices={"closed": 0.0, "open": 1.0},
    )
    return HandMove(
        movable,
        shutter.name,
        lambda is_open: shutter.set(bool(is_open)),
        halt=lambda: None,  # it takes less than one I/O timeout
        read=_latest(monitors, "is_open"),
    )


def _position(
    positioner: Positioner, axis: str, config: PositionerConfig, monitors: Monitors
) -> HandMove:
    """Return the move of one axis: in micrometres by dead reckoning, in steps without a length."""
    forward = config.step_um or 1.0
    backward = (config.step_back_um if config.step_um else None) or forward
    unit = "um" if config.step_um else "steps"
    most = config.travel_um if config.step_um else MOST_STEPS
    reckoning = DeadReckoning(positioner, axis, forward=forward, backward=backward)
    movable = Movable(
        quantity=f"position_{axis}_{unit}",
        label=f"position {axis}",
        unit=unit,
        lower=-most,
        upper=most,
        limits_from="station file, positioner.travel",
        is_relative=True,
    )
    return HandMove(
        movable,
        positioner.name,
        reckoning.begin,
        halt=reckoning.halt,
        read=lambda: reckoning.place if f"steps_{axis}" in monitors.latest else None,
    )


def _latest(monitors: Monitors, channel: str) -> Callable[[], float | None]:
    def read() -> float | None:
        reading = monitors.latest.get(channel)
        return reading.value if reading is not None and reading.is_good else None

    return read

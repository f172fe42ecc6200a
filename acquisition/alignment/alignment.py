"""Alignment: the instruments are open, no sweep runs, and a person looks and moves by hand.

One turn after the other, each as long as an I/O timeout at most: what is under way is polled, the
monitors and interlocks are looked at, requests are taken between turns. No thread, no wait.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from acquisition.alignment.hand_move import Refused
from acquisition.alignment.hand_moves import hand_moves, has_electrodes
from acquisition.alignment.live_axis import LiveAxis
from acquisition.alignment.live_exposures import LiveExposures
from acquisition.alignment.live_spectrum import LiveSpectrum
from acquisition.alignment.nanocrystal_file import Fingerprint, write_nanocrystal
from acquisition.alignment.raster import Raster, RasterPlan, raster_exposure
from acquisition.bias.bias_core import BiasState
from acquisition.bias.bias_port import BiasPort
from acquisition.channel.channel_readings import channel_readings, seconds_since
from acquisition.channel.engine_status import Safety
from acquisition.channel.messages import (
    ChannelReading,
    FrameArrived,
    FrameSource,
    LiveExposure,
    Movable,
    MoveStatus,
    RasterProgress,
    Request,
    Verb,
)
from acquisition.channel.voice import Publish, Voice
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.monitors import Monitor, Monitors
from acquisition.instruments.station import Station
from acquisition.running.assembly import interlocks_of, monitors_of
from acquisition.safety.interlocks import Consequence, Trip, first_trip
from acquisition.safety.safe_state import SafeReport, make_safe
from acquisition.storage.record import Level
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.roles import Device, Frame, Reading

__all__ = ["Alignment", "AlignmentView"]

logger = logging.getLogger(__name__)

MONITOR_S = 2.0  # the longest period while somebody watches
SILENT_S = 10.0  # between two tries to read an instrument that does not answer
SAFE_DEADLINE_S = 600.0  # for a ramp to zero, as at the end of a run
UNSEEN_S = 0.3  # that the way to the safe state may take before it is shown
FRESH_S = 5.0  # for which a spectrum counts as that of what is under the spot
STOPS = frozenset({Verb.STOP_NOW, Verb.STOP_MOVES, Verb.LIVE_STOP})
DETECTOR = "detector_temperature_C"


@dataclass(frozen=True, slots=True)
class AlignmentView:
    """How everything stands, for a snapshot; made and read without any instrument."""

    readings: tuple[ChannelReading, ...] = ()
    moves: tuple[MoveStatus, ...] = ()
    live: LiveExposure | None = None
    raster: RasterProgress | None = None
    trouble: str = ""
    safety: Safety = Safety.NOT_ASKED  # of the latest stop


class Alignment:
    """What may be done by hand with an open station; used from one thread.

    sample: whose limit holds for the bias; without it the bias stays at 0 V.
    """

    def __init__(
        self,
        station: Station,
        config: StationConfig,
        sample: SampleConfig | None,
        clock: Clock,
        publish: Publish,
        *,
        first_number: int = 0,
    ) -> None:
        self._station = station
        self._config = config
        self._clock = clock
        self._publish = publish
        self._say = Voice(logger, clock, publish)
        self._monitors = Monitors(_monitors(station, config, clock))
        self._monitors.report = lambda text: self._say(Level.WARNING, text, code="monitor")
        self._interlocks = interlocks_of(station, config, clock, longest_series_s=inf)
        self._moves = {
            move.movable.quantity: move
            for move in hand_moves(station, config, sample, self._monitors)
        }
        self._has_electrodes = has_electrodes(sample)
        self._live = LiveExposures(station.camera, config.camera, clock)
        self._axis = LiveAxis(station.camera, config, self._monitors)
        self._raster: Raster | None = None
        self._before_raster: LiveExposure | None = None
        self._frames = first_number
        self._since_s = clock.now()
        self._trip: Trip | None = None
        self._warned: set[str] = set()
        self._found_on = ""
        self._safing_until_s: float | None = None
        self._safety = Safety.NOT_ASKED
        self._safing_since_s: float | None = None  # make_safe() is at work
        self._delay = ""  # of it
        self.spectrum: LiveSpectrum | None = None
        self._deeds: Mapping[Verb, Callable[[Request], str]] = {
            Verb.LIVE: self._look,
            Verb.IMAGE: self._look,
            Verb.LIVE_STOP: self._stop_looking,
            Verb.MOVE: self._move,
            Verb.JOG: self._move,
            Verb.STOP_MOVES: self._stop_moves,
            Verb.STOP_NOW: self._stop_everything,
            Verb.RASTER: self._begin_raster,
            Verb.SAVE_NANOCRYSTAL: self._save_nanocrystal,
        }
        self._look_at_bias()

    @property
    def frames(self) -> int:
        """Return the number of the latest frame."""
        return self._frames

    @property
    def movables(self) -> tuple[Movable, ...]:
        return tuple(move.movable for move in self._moves.values())

    @property
    def channels(self) -> dict[str, str]:
        """Return the unit of every channel read so far."""
        return {name: reading.unit for name, reading in self._monitors.latest.copy().items()}

    @property
    def readings(self) -> Mapping[str, Reading]:
        return self._monitors.latest.copy()

    @property
    def is_bias_on(self) -> bool:
        """Return whether the output of the supply is on, or was found on or silent and left so."""
        bias = self._station.bias
        if bias is None:
            return False
        status = bias.status()
        return status.is_settled or status.is_moving or bool(self._bias_found_on)

    @property
    def _bias_found_on(self) -> str:
        """Return what was found at the supply; "" from when on its port has taken it over."""
        bias = self._station.bias
        is_left = bias is not None and bias.status().state is BiasState.DISARMED
        return self._found_on if is_left else ""

    def view(self) -> AlignmentView:
        """Return how everything stands; callable from any thread."""
        raster = self._raster
        return AlignmentView(
            readings=channel_readings(self._monitors.latest.copy(), self._clock),
            moves=tuple(move.report() for move in self._moves.values()),
            live=self._live.wanted,
            raster=None if raster is None else raster.progress(),
            trouble=self._trouble(),
            safety=self._safety,
        )

    def _trouble(self) -> str:
        since_s = self._safing_since_s
        if since_s is not None and self._clock.now() - since_s > self._clock.patience_s(UNSEEN_S):
            return self._delay or "on the way to the safe state"
        return self._bias_found_on if self._trip is None else self._trip.reason

    # -- requests ----------------------------------------------------------------------------

    def take(self, request: Request) -> str:
        """Begin what was asked and return the words of the answer. Raises Refused, DeviceError."""
        verb = request.verb
        deed = self._deeds.get(verb)
        if deed is None:
            raise Refused(f"{verb.value}: not while nothing is being measured")
        if self._trip is not None and verb not in STOPS:
            raise Refused(f"{verb.value}: not while an interlock trips: {self._trip.reason}")
        return deed(request)

    def _stop_looking(self, _: Request) -> str:
        self._end_raster()
        self._live.wanted = None
        return "no more exposures"

    def _stop_everything(self, _: Request) -> str:
        self.stop_now()
        return "everything stops; laser blocked, bias to 0 V"

    def _look(self, request: Request) -> str:
        numbers = request.numbers
        if self._raster is not None:
            raise Refused("a map is under way; stop it first")
        first, number = self._config.camera.rows
        is_image = request.verb is Verb.IMAGE
        source = FrameSource.IMAGE if is_image else FrameSource.LIVE
        asked = LiveExposure(
            exposure_s=_number(numbers, "exposure_s"),
            source=source,
            first_row=round(_number(numbers, "first_row", first)),
            last_row=round(_number(numbers, "last_row", first + number - 1)),
        )
        self._live.wanted = exposure = self._live.checked(asked)
        return (
            f"exposes {exposure.exposure_s:g} s, rows {exposure.first_row} to {exposure.last_row}"
        )

    def _move(self, request: Request) -> str:
        quantity, is_jog = request.quantity, request.verb is Verb.JOG
        move = self._moves.get(quantity)
        if move is None:
            raise Refused(self._why_not(quantity))
        if self._raster is not None and quantity.startswith("position_"):
            raise Refused("a map is under way; stop it first")
        for other in self._moves.values():
            if other is not move and other.device == move.device and other.is_moving:
                raise Refused(f"{move.movable.label}: {other.movable.label} still moves; stop it")
        value = _number(request.numbers, "value")
        if is_jog:
            move.jog(value)
        else:
            move.go(value)
        unit = move.movable.unit
        return f"{move.movable.label} {'by' if is_jog else 'to'} {value:g} {unit}".strip()

    def _why_not(self, quantity: str) -> str:
        is_bias = quantity in ("voltage_V", "field_kV_per_cm")
        if is_bias and self._config.bias is not None and not self._has_electrodes:
            return (
                f"{quantity}: no sample card with electrodes, so the limit is not known; start the "
                "engine with --sample SWEEP, or measure a sweep of this sample"
            )
        return f"{quantity!r} can't be moved here; there are {', '.join(self._moves) or 'none'}"

    def _stop_moves(self, request: Request) -> str:
        quantity = request.quantity
        self._end_raster()
        wanted = [quantity] if quantity else list(self._moves)
        unknown = [name for name in wanted if name not in self._moves]
        if unknown:
            raise Refused(self._why_not(unknown[0]))
        for name in wanted:
            self._moves[name].stop()
        return "stopped"

    def _begin_raster(self, request: Request) -> str:
        numbers = request.numbers
        if self._raster is not None:
            raise Refused("a map is under way; stop it first")
        axes = [self._moves.get(f"position_{axis}_um") for axis in "xy"]
        x, y = axes
        if x is None or y is None:
            raise Refused(
                "a map needs a positioner with axes x and y, and the length of its step "
                "(station file, positioner.step)"
            )
        shutter = self._monitors.latest.get("is_open")
        if self._station.shutter is not None and (shutter is None or shutter.value != 1.0):
            raise Refused("a map without light: open the laser shutter first")
        exposure = raster_exposure(_number(numbers, "exposure_s"), self._config.camera.rows)
        plan = RasterPlan(
            columns=round(_number(numbers, "columns")),
            rows=round(_number(numbers, "rows")),
            step_um=_number(numbers, "step_um"),
            exposure=self._live.checked(exposure),
        )
        self._raster = Raster(plan, x, y)
        self._before_raster, self._live.wanted = self._live.wanted, None
        return f"maps {plan.columns} x {plan.rows} places, {plan.step_um:g} um apart"

    def _end_raster(self) -> None:
        if self._raster is not None:
            self._raster, self._live.wanted = None, self._before_raster

    def _save_nanocrystal(self, request: Request) -> str:
        identity, spectrum = request.text, self.spectrum
        if spectrum is None:
            raise Refused("no spectrum of it yet: start the live view")
        age_s = self._clock.utc() - spectrum.utc
        if age_s > FRESH_S + 2 * spectrum.exposure.exposure_s:
            raise Refused(f"the last spectrum is {age_s:.0f} s old: start the live view")
        axes = ("x", "y", "z")
        places = {axis: self._moves.get(f"position_{axis}_um") for axis in axes}
        known = {axis: move.report().readback for axis, move in places.items() if move is not None}
        seen = Fingerprint(
            spectrum,
            channel_readings(self._monitors.latest.copy(), self._clock),
            {axis: place for axis, place in known.items() if place is not None},
        )
        path = write_nanocrystal(self._config.station.runs, identity, seen)
        self._say(Level.INFO, f"{identity} is in {path}", code="nanocrystal")
        return str(path)

    # -- one turn ----------------------------------------------------------------------------

    def advance(self) -> None:
        """Take one turn. Never raises DeviceError: what an instrument refuses is said."""
        now = self._clock.now()
        bias = self._station.bias
        if bias is not None:
            self._shielded(bias, bias.advance)
        self._advance_moves()
        self._advance_raster()
        self._advance_live()
        self._monitors.poll(now)
        self._check_levels(now)
        self._check_safety(now)

    def _advance_moves(self) -> None:
        has_ended = [move for move in self._moves.values() if move.advance()]
        for move in has_ended:
            report = move.report()
            if report.text:
                self._say(Level.WARNING, f"{move.movable.label}: {report.text}", code="move")
        if has_ended:  # the watchers shall see at once where it stands
            self._monitors.read_now(self._clock.now())

    def _advance_raster(self) -> None:
        raster = self._raster
        if raster is None:
            return
        try:
            raster.advance()
        except Refused as why:
            self._say(Level.WARNING, str(why), code="raster")
            self._end_raster()
            return
        if raster.is_done:
            self._say(Level.INFO, "the map is complete", code="raster")
            self._end_raster()
        else:
            self._live.wanted = raster.plan.exposure if raster.wants_frame else None

    def _advance_live(self) -> None:
        try:
            arrived = self._live.advance()
            if arrived is not None:
                self._show(*arrived)
        except DeviceError as error:
            self._live.wanted = None
            self._end_raster()
            self._say(
                Level.ERROR,
                str(error),
                code="camera",
                device=error.device,
                done="no more exposures",
                advice="start the live view again",
            )

    def _show(self, exposure: LiveExposure, frame: Frame) -> None:
        axis = self._axis.renew()
        if axis is not None:
            self._publish(axis, self._axis.wavelength_nm)
        self._frames += 1
        utc = self._clock.utc()
        arrived = FrameArrived(
            source=exposure.source,
            number=self._frames,
            exposure_s=exposure.exposure_s,
            start_utc=utc - seconds_since(frame.start_s, self._clock),
            utc=utc,
            shape=frame.counts.shape,
            dtype=frame.counts.dtype.newbyteorder("<").str,
            axis=self._axis.number,
            position_um=self._position_um(),
        )
        if self._raster is not None:
            arrived = replace(arrived, point=self._raster.index)
            self._raster.measured()
        self._publish(arrived, frame.counts)
        if exposure.source is not FrameSource.IMAGE:
            self.spectrum = LiveSpectrum(frame.counts, self._axis.wavelength_nm, exposure, utc)

    def _position_um(self) -> tuple[float, ...]:
        places = [
            move.report().readback
            for quantity, move in self._moves.items()
            if quantity.startswith("position_")
        ]
        return tuple(place for place in places if place is not None)

    # -- safety ------------------------------------------------------------------------------

    def stop_now(self) -> None:
        """Bring the bias to 0 V, block the laser, stop everything that moves and exposes.

        An exposure that is nearly over ends by itself: to abort it can take seconds.
        """
        if self._station.bias is not None:
            self._station.bias.safe()
        if (shutter := self._moves.get("shutter")) is not None:
            self._shielded(self._station.shutter, lambda: shutter.go(0.0))
        self._end_raster()
        self._live.wanted = None
        for move in self._moves.values():
            if move.movable.quantity not in ("voltage_V", "field_kV_per_cm", "shutter"):
                self._shielded(None, move.stop)
        self._safety = Safety.NOT_ASKED
        self._safing_until_s = self._clock.now() + self._clock.patience_s(SAFE_DEADLINE_S)

    def make_safe(self) -> SafeReport:
        """Go to the safe state and wait for it: before a run, and before the lines are closed."""
        self._end_raster()
        self._live.wanted = None
        is_ramping = "temperature_K" in self._moves and self._moves["temperature_K"].is_moving
        self._safing_since_s = self._clock.now()
        report = make_safe(
            self._station, self._clock, hold_temperature=is_ramping, tell=self._tell_of_delay
        )
        self._safety, self._safing_until_s = report.safety, None
        self._safing_since_s, self._delay = None, ""
        return report

    def _tell_of_delay(self, text: str) -> None:
        self._delay = text
        self._say(Level.WARNING, text, code="safe state delayed")

    def bias_to_zero(self) -> None:
        """Begin the way to 0 V and off."""
        if self._station.bias is not None:
            self._station.bias.safe()

    def _check_levels(self, now: float) -> None:
        self._hear_bias()
        trip = self._present_trip(now)
        if trip is None:
            if self._trip is not None:
                self._say(Level.INFO, f"holds again: {self._trip.reason}", code="interlock")
            self._trip = None
            return
        if self._trip is None:
            self.stop_now()
            heater_off = trip.consequence is Consequence.STOP_AND_HEATER_OFF
            if heater_off and self._station.cryostat is not None:
                self._shielded(self._station.cryostat, self._station.cryostat.heater_off)
            self._say(
                Level.ERROR,
                trip.reason,
                code="interlock",
                done="everything stopped, laser blocked, bias to 0 V"
                + (", heater off" if heater_off else ""),
                advice="nothing can be moved until it holds again",
            )
        self._trip = trip

    def _look_at_bias(self) -> None:
        """Say if a voltage is on already; a port whose output is off knows so from now on."""
        bias = self._station.bias
        if bias is None:
            return
        try:
            bias.confirm_zero()
            bias.take_over()
        except DeviceError as error:
            text, advice = f"bias found on or silent: {error}", "stop now brings it to 0 V and off"
            self._found_on = f"{text}; {advice}"
            self._say(
                Level.WARNING,
                text,
                code="bias found on",
                device=bias.name,
                done="nothing was changed",
                advice=advice,
            )

    def _hear_bias(self) -> None:
        """Say that the bias has tripped, once; its port is on the way to zero by itself."""
        bias = self._station.bias
        reason = "" if bias is None else bias.status().trip_reason
        if reason and "bias" not in self._warned:
            self._warned.add("bias")
            self._say(
                Level.ERROR,
                f"bias tripped: {reason}",
                code="interlock",
                device="bias",
                done="goes to 0 V and off",
                advice="find the cause; the next move of the bias arms it again",
            )
        elif not reason:
            self._warned.discard("bias")

    def _present_trip(self, now: float) -> Trip | None:
        """Return the level that does not hold; a warm or silent detector is only said."""
        latest = self._monitors.latest
        for interlock in self._interlocks:
            trip = first_trip([interlock], latest, now, since_s=self._since_s)
            if trip is None:
                self._warned.discard(interlock.channel)
            elif interlock.channel not in latest:
                continue  # it has not been read yet; the monitor says if it can't be
            elif interlock.channel != DETECTOR:
                return trip
            elif interlock.channel not in self._warned:
                self._warned.add(interlock.channel)
                self._say(
                    Level.WARNING, trip.reason, code="interlock", advice="no sweep would start so"
                )
        return None

    def _check_safety(self, now: float) -> None:
        """Find out whether what stop_now() began has happened."""
        if self._safing_until_s is None:
            return
        missing = list(self._not_safe_yet())
        if missing and now < self._safing_until_s and not self._has_failed():
            return
        self._safing_until_s = None
        self._safety = Safety.NOT_CONFIRMED if missing else Safety.CONFIRMED
        if missing:
            text = f"safe state NOT CONFIRMED: {', '.join(missing)}"
            self._say(Level.ERROR, text, code="safe state", advice="look at the instruments")
        else:
            self._say(Level.INFO, "safe state confirmed", code="safe state")

    def _not_safe_yet(self) -> Iterator[str]:
        shutter, bias = self._moves.get("shutter"), self._station.bias
        if shutter is not None and (shutter.is_moving or shutter.report().readback != 0.0):
            yield f"laser shutter ({shutter.report().text or 'not seen closed'})"
        if bias is not None and not self._is_zero(bias):
            yield f"bias ({bias.status().state.value})"

    def _is_zero(self, bias: BiasPort) -> bool:
        if bias.status().is_moving or bias.status().is_settled:
            return False
        try:
            bias.confirm_zero()
        except DeviceError:
            return False
        return True

    def _has_failed(self) -> bool:
        shutter = self._moves.get("shutter")
        return shutter is not None and shutter.report().state.value == "failed"

    def _shielded(self, device: Device | None, action: Callable[[], None]) -> None:
        """Do what one instrument may refuse, and say so; the others shall have their chance."""
        try:
            action()
        except (DeviceError, Refused) as error:
            name = "" if device is None else device.name
            self._say(Level.WARNING, str(error), code="stop", device=name)


def _monitors(station: Station, config: StationConfig, clock: Clock) -> list[Monitor]:
    """Return what is read: all that a run reads, and where everything movable stands."""
    further = (station.polarizer, station.shutter, station.positioner)
    monitors = monitors_of(station, config)
    monitors += [Monitor(d.name, MONITOR_S, d.read) for d in further if d is not None]
    return [
        Monitor(m.name, min(m.period_s, MONITOR_S), _seldom_in_vain(m.read, clock))
        for m in monitors
    ]


def _seldom_in_vain(
    read: Callable[[], Mapping[str, Reading]], clock: Clock
) -> Callable[[], Mapping[str, Reading]]:
    """Return a reading that asks a silent instrument only now and then: each try takes a while,
    in which nothing else is moved or stopped."""
    silence: DeviceError | None = None
    again_s = -inf

    def read_patiently() -> Mapping[str, Reading]:
        nonlocal silence, again_s
        if silence is not None and clock.now() < again_s:
            raise silence
        try:
            readings = read()
        except DeviceError as error:
            silence, again_s = error, clock.now() + clock.patience_s(SILENT_S)
            raise
        silence = None
        return readings

    return read_patiently


def _number(numbers: Mapping[str, float], name: str, default: float | None = None) -> float:
    value = numbers.get(name, default)
    if value is None or not np.isfinite(value):
        raise Refused(f"{name}: found {'nothing' if value is None else value}, expected a number")
    return float(value)

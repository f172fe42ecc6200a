"""The engine: one loop that owns the instruments and works through the rows of the point table.

For each row: gate -> move what differs -> settle -> gate -> expose -> verify and read back ->
start moving for the next row where that can't touch this one -> read out -> commit -> publish.
A pause takes effect at gates only; nothing is ever replayed. Which rows are left follows from the
journal alone. Publishing may fail or lag; it never delays or ends a run.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from acquisition.channel.channel_readings import AT_POINT
from acquisition.channel.commands import Command, Verb
from acquisition.channel.engine_status import (
    TRANSITIONS,
    EngineState,
    EngineStatus,
    FinishReason,
    Safety,
)
from acquisition.configuration.settle import OnTimeout, SettleOutcome
from acquisition.instruments.movers import Mover
from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointKind
from acquisition.running.exposure import DetectorSetup, Exposed, Exposer, is_saturated, peak_rate
from acquisition.running.exposure_choice import ExposureChoice
from acquisition.running.run_log import RunLog
from acquisition.running.verification import Verifier, Violation, read_units
from acquisition.safety.interlocks import Consequence
from acquisition.safety.safe_state import SafeReport, make_safe
from acquisition.safety.vigil import InterlockTripped, StopRequested, Vigil
from acquisition.storage.record import Attempt, AttemptState, FitRow, Level
from acquisition.storage.run_time import RunTime
from acquisition.storage.storage_errors import StorageError, StorageFull
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.roles import Reading

__all__ = ["Engine", "EnginePolicy", "Follower", "Outcome"]

logger = logging.getLogger(__name__)

RETRY_FULL_DISK_S = 10.0
MOST_FAILURES = 3  # of instruments at one row; the rows' own retries are for conditions


class Follower(Protocol):
    """Someone who is told of each committed attempt and may have results to store."""

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None: ...

    def results(self) -> Sequence[FitRow]:
        """Return finished fits, never waiting."""
        ...


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """What the sweep file decides about the run as a whole.

    retries: further attempts at a row whose conditions did not hold.
    full_disk_patience_s: how long the run waits for room, light blocked, before it ends.
    """

    retries: int = 2
    end_temperature_K: float | None = None  # to go to when every row is done
    heater_off_at_end: bool = False
    full_disk_patience_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, in one place."""

    reason: FinishReason
    text: str
    safe: SafeReport


class _Skipped(Exception):  # noqa: N818 - the policy of an axis, not an error
    """The row's setpoint can't be reached, and its axis says to leave such rows out."""


class Engine:
    """Executes rows; `run` returns how it ended, always in the safe state or saying why not."""

    def __init__(
        self,
        *,
        run: str,
        station: Station,
        movers: Sequence[Mover],
        vigil: Vigil,
        verifier: Verifier,
        detector: DetectorSetup,
        choice: ExposureChoice,
        log: RunLog,
        run_time: RunTime,
        segment: int,
        calibration_of: Callable[[Point], int],
        policy: EnginePolicy,
        followers: Sequence[Follower] = (),
        recover: Callable[[DeviceError], Collection[str]] | None = None,
    ) -> None:
        self._run = run
        self._station = station
        self._movers = tuple(movers)
        self._vigil = vigil
        self._verifier = verifier
        self._detector = detector
        self._choice = choice
        self._log = log
        self._run_time = run_time
        self._segment = segment
        self._calibration_of = calibration_of
        self._policy = policy
        self._followers = list(followers)
        self._recover = recover
        self._left_s = 0.0
        self._exposer = Exposer(station, detector, vigil)
        self._moving: set[Mover] = set()
        self._unsettled: dict[str, str] = {}  # quantity -> how it stands, for rows measured anyway
        self._unreachable: set[tuple[str, float]] = set()  # quantity and setpoint left out
        self._state = EngineState.IDLE
        self._point = -1
        self._done = self._total = 0
        self._latest_fit = ""
        self._flagged = self._skipped = 0
        self._end_trouble = ""
        self._outcome: Outcome | None = None
        self._verified: dict[str, Reading] = {}  # of the latest row

    @property
    def clock(self) -> Clock:
        return self._vigil.clock

    def run(
        self,
        points: Sequence[Point],
        *,
        done: int = 0,
        prices_s: Sequence[float] = (),
        prepare: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Measure these rows in order and end in the safe state.

        done: rows of the run that were accepted before; prices_s: expected time of each row; both
        for the progress only.
        prepare: arming, homing, reference; under the same protection as the rows.
        """
        self._done, self._total = done, done + len(points)
        heater_off = False
        try:
            self._enter(EngineState.PREPARING)
            prepare()
            self._vigil.await_readings()
            self._measure_all(points, prices_s)
            self._go_to_end_temperature()
            reason, text = self._completed()
            heater_off = self._policy.heater_off_at_end
        except StopRequested as stop:
            reason, text = FinishReason.STOPPED, str(stop)
        except InterlockTripped as tripped:
            reason, text = FinishReason.INTERLOCK, str(tripped)
            heater_off = tripped.trip.interlock.consequence is Consequence.STOP_AND_HEATER_OFF
        except Exception as error:  # whatever it is, the sample comes first
            _complain("the run failed", error)
            reason, text = FinishReason.FAILED, _words(error)
        except BaseException as error:  # Ctrl-C in a script, or the interpreter ends
            self._finish(FinishReason.FAILED, f"broken off by {error!r}", heater_off=False)
            raise
        self._outcome = self._finish(reason, text, heater_off=heater_off)
        return self._outcome

    def status(self) -> EngineStatus:
        """Return a snapshot; callable from any thread."""
        outcome = self._outcome
        return EngineStatus(
            state=self._state,
            run=self._run,
            point=self._point,
            done=self._done,
            total=self._total,
            awaited=self._vigil.awaited,
            awaited_since_s=self._run_time.of(self._vigil.awaited_since_s),
            time_s=self._run_time.now(),
            remaining_s=self._left_s,
            readings={
                c: r.value for c, r in self._vigil.monitors.latest.copy().items() if r.is_good
            },
            latest_fit=self._latest_fit,
            finish=outcome.reason if outcome else None,
            finish_text=outcome.text if outcome else "",
            safety=outcome.safe.safety if outcome else Safety.NOT_ASKED,
        )

    def latest_readings(self) -> dict[str, Reading]:
        """Return what every channel read last, good or not: monitors, and what only rows read.

        Callable from any thread."""
        return {**self._verified, **self._vigil.monitors.latest.copy()}

    def take_note(self, command: Command) -> None:
        """Write a command into the run's events; called by the vigil."""
        text = command.text or command.verb.value
        code = "note" if command.verb is Verb.NOTE else "command"
        self._log.event(Level.INFO, code, text, sender=command.sender, verb=command.verb.value)

    def collect_results(self) -> None:
        """Take over finished fits and flush what is due; called by the vigil once per tick."""
        for follower in tuple(self._followers):
            try:
                rows = follower.results()
            except Exception as error:  # a follower never ends a run
                self._switch_off(follower, error)
                continue
            if rows:
                self._log.fits(tuple(rows))
                self._latest_fit = _fit_text(rows[-1])
        try:
            self._log.flush_if_due()
        except StorageFull as full:  # the next row waits for room, and ends the run if none comes
            logger.error("%s", full)  # noqa: TRY400 - the message says it all

    def reference(self, point: Point) -> Attempt | None:
        """Measure a row again only to see whether the sample is still the same; stored so.

        None: its setpoint can't be reached.
        """
        return self._measure(point, None, as_reference=True)

    # -- rows --------------------------------------------------------------------------------

    def _measure_all(self, points: Sequence[Point], prices_s: Sequence[float]) -> None:
        self._enter(EngineState.SETTLING)
        self._left_s = sum(prices_s)
        for place, point in enumerate(points):
            following = points[place + 1] if place + 1 < len(points) else None
            if self._is_unreachable(point):
                self._skipped += 1
            else:
                self._measure(point, following)
            self._left_s -= prices_s[place] if prices_s else 0.0

    def _measure(
        self, point: Point, following: Point | None, *, as_reference: bool = False
    ) -> Attempt | None:
        """Repeat the row until an attempt is good, the last one with its flags; None: skipped."""
        self._point = point.index
        self._choice.saturated_s = None
        left = self._policy.retries + 1 + self._choice.is_probe(point)
        failures = 0
        while True:
            try:
                attempt, is_good = self._try(
                    point, following, is_last=left <= 1, as_reference=as_reference
                )
            except _Skipped:
                self._skipped += 1
                return None
            except DeviceError as error:
                failures += 1
                self._break_off(point, error, is_last=failures > MOST_FAILURES)
            else:
                if is_good:
                    return attempt
                left -= 1

    def _try(
        self, point: Point, following: Point | None, *, is_last: bool, as_reference: bool
    ) -> tuple[Attempt, bool]:
        """Make one attempt, store it, and return it and whether it is good enough."""
        self._gate()
        flags = self._move_to(point)
        attempt, violations, wants_repeat = self._attempt(point, following)
        # what did not settle in the first place is measured all the same, once
        unexpected = [v for v in violations if v.quantity not in self._unsettled]
        is_good = is_last or not (unexpected or wants_repeat)
        state = AttemptState.OK if is_good else AttemptState.REJECTED
        attempt = replace(
            attempt,
            state=AttemptState.REFERENCE if as_reference else state,
            flags=(*attempt.flags, *flags, *(violation.reason for violation in violations)),
        )
        accept = is_good and not as_reference
        key = self._patiently(partial(self._log.put, attempt, accept=accept))
        self._publish(key, point, attempt, accepted=accept)
        if accept:
            self._done += 1
            self._flagged += bool(attempt.flags)
        self._move_again(unexpected)
        return attempt, is_good

    def _attempt(
        self, point: Point, following: Point | None
    ) -> tuple[Attempt, tuple[Violation, ...], bool]:
        self._enter(EngineState.MEASURING)
        start_s = self._run_time.now()
        exposure_s = self._choice.exposure_s(point)
        probe = self._choice.is_probe(point)
        self._vigil.monitors.mark()
        angle: dict[str, float] = {}
        self._exposer.expose(point, exposure_s, lambda: angle.update(self._verifier.read_angle()))
        if self._verifier.angle_holds(point, angle):
            self._premove(following)
        readings = {**self._verifier.read(point), **angle}
        after = self._verifier.read_shutter(point)
        self._say_read({**readings, **after, "laser_open_s": self._exposer.laser_open_s})
        violations = self._verifier.violations(point, readings) + self._verifier.light_leaks(after)
        exposed = self._exposer.read_out(meanwhile=self._advance_moves)
        readings["laser_open_s"] = exposed.laser_open_s
        wants_repeat, flags = self._judge_counts(point, exposed, exposure_s)
        attempt = Attempt(
            point=point.index,
            state=AttemptState.OK,
            segment=self._segment,
            start_s=start_s,
            end_s=self._run_time.now(),
            exposure_s=exposure_s,
            counts=exposed.counts,
            frame_start_s=np.array([self._run_time.of(t) for t in exposed.start_s]),
            readings=readings,
            calibration=self._patiently(partial(self._calibration_of, point)),
            flags=(*flags, *(("probe",) if probe else ())),
        )
        return attempt, violations, wants_repeat or probe

    def _say_read(self, readings: Mapping[str, float]) -> None:
        """Keep for the watchers what was read with a row, of the instruments there are."""
        time_s = self.clock.now()
        self._verified = {
            channel: Reading(readings[channel], unit, time_s, note=AT_POINT)
            for channel, unit in read_units(self._station).items()
            if channel in readings
        }

    def _judge_counts(
        self, point: Point, exposed: Exposed, exposure_s: float
    ) -> tuple[bool, tuple[str, ...]]:
        if is_saturated(exposed.counts, self._detector):
            self._choice.saturated(exposure_s)
            return point.target_counts is not None, ("saturated",)
        if point.target_counts is not None:
            self._choice.learn(peak_rate(exposed, exposure_s, self._detector))
        return False, ()

    # -- moving ------------------------------------------------------------------------------

    def _move_to(self, point: Point) -> tuple[str, ...]:
        """Move what differs and settle; return flags for what did not. Raises _Skipped."""
        self._enter(EngineState.SETTLING)
        for mover in self._movers:
            if mover.differs(point):
                self._exposer.block_light()
                self._unsettled.pop(mover.quantity, None)
                mover.start(point)
                self._moving.add(mover)
        for mover in self._movers:
            if mover in self._moving:
                self._arrive(mover, point)
        self._gate()
        return tuple(self._unsettled.values())

    def _arrive(self, mover: Mover, point: Point) -> None:
        outcome = self._settle(mover)
        self._moving.discard(mover)
        if outcome is not SettleOutcome.SETTLED:
            self._not_settled(mover, point, outcome)

    def _settle(self, mover: Mover) -> SettleOutcome:
        outcome = mover.advance()

        def is_over() -> bool:
            nonlocal outcome
            self._vigil.check_stop()  # no point has begun: there is nothing to finish
            outcome = mover.advance()
            return outcome is not SettleOutcome.PENDING

        if outcome is SettleOutcome.PENDING:
            self._vigil.until(mover.awaited, is_over, poll_s=mover.poll_s)
        return outcome

    def _not_settled(self, mover: Mover, point: Point, outcome: SettleOutcome) -> None:
        """Apply the axis' policy."""
        criterion = mover.criterion
        policy = criterion.on_timeout if criterion is not None else OnTimeout.STOP
        text = f"{mover.awaited()} ({outcome.value})"
        self._log.event(Level.WARNING, "not settled", text, point=point.index, policy=policy.value)
        match policy:
            case OnTimeout.STOP:
                raise StopRequested(f"not settled: {text}")
            case OnTimeout.SKIP:
                if (setpoint := _setpoint(mover.quantity, point)) is not None:
                    self._unreachable.add((mover.quantity, setpoint))
                raise _Skipped
            case OnTimeout.FLAG:
                self._unsettled[mover.quantity] = f"not settled: {text}"

    def _is_unreachable(self, point: Point) -> bool:
        return any(_setpoint(quantity, point) == value for quantity, value in self._unreachable)

    def _premove(self, following: Point | None) -> None:
        """Start what may move while this row is read out; a failure is the next row's."""
        if following is None or not self._exposer.blocks_light:
            return
        for mover in self._movers:
            if mover.overlaps_readout and mover.differs(following):
                self._moving.add(mover)
                try:
                    mover.start(following)
                except DeviceError as error:
                    logger.warning("%s will be moved again: %s", mover.quantity, error)
                    self._moving.discard(mover)
                    mover.forget()

    def _advance_moves(self) -> None:
        for mover in tuple(self._moving):
            try:
                mover.advance()
            except DeviceError as error:
                logger.warning("%s will be moved again: %s", mover.quantity, error)
                self._moving.discard(mover)
                mover.forget()

    def _move_again(self, violations: Sequence[Violation]) -> None:
        wrong = {violation.quantity for violation in violations}
        for mover in self._movers:
            if mover.quantity in wrong:
                mover.forget()

    def _go_to_end_temperature(self) -> None:
        """Let the cryostat go where the sweep wants it to end; bias at zero, light blocked.

        Every row is done: what goes wrong here is said, but it does not undo the run.
        """
        target_K = self._policy.end_temperature_K
        mover = next((m for m in self._movers if m.quantity == "temperature"), None)
        if target_K is None or mover is None:
            return
        self._enter(EngineState.SETTLING)
        if self._station.bias is not None:
            self._station.bias.safe()
        try:
            self._exposer.block_light()
            mover.start(Point(-1, PointKind.DARK, 0.0, 0, temperature_K=target_K))
            self._moving.add(mover)
            outcome = self._settle(mover)
        except (DeviceError, StopRequested) as error:
            self._end_trouble = f"not at the end temperature: {error}"
        else:
            self._moving.discard(mover)
            if outcome is not SettleOutcome.SETTLED:
                self._end_trouble = f"not at the end temperature: {mover.awaited()}"

    # -- committing --------------------------------------------------------------------------

    def _patiently(self, store: Callable[[], int]) -> int:
        """Store something; with a full disk wait for room, light blocked, and then store it."""
        give_up_s = self.clock.now() + self.clock.patience_s(self._policy.full_disk_patience_s)
        while True:
            try:
                return store()
            except StorageFull as full:
                if self.clock.now() >= give_up_s:
                    raise
                logger.error("point %d is not stored yet: %s", self._point, full)  # noqa: TRY400
                self._exposer.block_light()
                self._vigil.pass_time("room on the disk", RETRY_FULL_DISK_S)

    def _publish(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        for follower in tuple(self._followers):
            try:
                follower.on_point(key, point, attempt, accepted=accepted)
            except Exception as error:  # a follower never ends a run
                self._switch_off(follower, error)

    def _switch_off(self, follower: Follower, error: Exception) -> None:
        logger.error("a follower failed and is switched off", exc_info=error)
        name = type(follower).__name__
        self._log.event(Level.WARNING, "follower off", f"{name}: {type(error).__name__}: {error}")
        self._followers.remove(follower)

    def _break_off(self, point: Point, error: DeviceError, *, is_last: bool) -> None:
        """End a broken attempt cleanly and mend the instrument; raise if that is not possible."""
        self._log.event(
            Level.WARNING,
            "attempt broken off",
            str(error),
            point=point.index,
            laser_open_s=self._exposer.laser_open_s,
        )
        self._shielded(self._exposer.block_light)
        if is_last or self._recover is None:
            raise error
        mended = self._recover(error)
        if self._exposer.is_busy:
            self._shielded(self._exposer.abort)
        for mover in self._movers:
            if mover.device in mended:
                self._moving.discard(mover)
                mover.forget()

    def _shielded(self, action: Callable[[], None]) -> None:
        """Do what an instrument that has just failed may refuse; the next attempt finds out."""
        try:
            action()
        except DeviceError as error:
            logger.warning("%s", error)

    # -- state -------------------------------------------------------------------------------

    def _gate(self) -> None:
        self._vigil.gate()
        if self._vigil.is_pause_wanted:
            self._enter(EngineState.PAUSED)
            self._exposer.block_light()
            self._log.event(Level.INFO, "paused", "paused at a gate")
            self._vigil.wait_while_paused()
            self._log.event(Level.INFO, "resumed", "goes on")
            self._enter(EngineState.SETTLING)

    def _enter(self, state: EngineState) -> None:
        if state is not self._state:
            assert state in TRANSITIONS[self._state], (self._state, state)  # noqa: S101
            self._state = state

    def _completed(self) -> tuple[FinishReason, str]:
        troubles = [
            *([f"{self._skipped} points skipped"] if self._skipped else []),
            *([f"{self._flagged} points carry flags"] if self._flagged else []),
            *([self._end_trouble] if self._end_trouble else []),
        ]
        if troubles:
            return FinishReason.COMPLETED_WITH_FLAGS, "; ".join(troubles)
        return FinishReason.COMPLETED, "every planned point is accepted"

    def _tell_of_delay(self, text: str) -> None:
        """Let whoever watches see why the safe state takes longer."""
        self._vigil.await_now(text)
        self._log.event(Level.WARNING, "safe state delayed", text)

    def _finish(self, reason: FinishReason, text: str, *, heater_off: bool) -> Outcome:
        self._enter(EngineState.FINISHING)
        self._vigil.await_now("the safe state")
        if self._exposer.is_busy:
            dose_s = self._exposer.laser_open_s
            self._log.event(Level.WARNING, "exposure aborted", text, laser_open_s=dose_s)
        safe = make_safe(
            self._station,
            self.clock,
            emergency=reason in (FinishReason.INTERLOCK, FinishReason.FAILED),
            hold_temperature=any(mover.quantity == "temperature" for mover in self._moving),
            heater_off=heater_off,
            tell=self._tell_of_delay,
        )
        self._log.event(
            _LEVELS[reason],
            "finished",
            f"{reason.value}: {text}",
            reason=reason.value,
            safety=safe.safety.value,
        )
        is_safe = safe.safety is Safety.CONFIRMED
        self._log.event(Level.INFO if is_safe else Level.ERROR, "safe state", str(safe))
        try:
            self._log.flush()
        except Exception as error:  # the sample is safe; what is lost is only the last remark
            _complain("the end of the run is not in the journal", error)
            reason, text = FinishReason.FAILED, f"{text}; not noted in the journal: {error}"
        self._enter(EngineState.IDLE)
        return Outcome(reason, text, safe)


def _complain(what: str, error: Exception) -> None:
    """Log an error, with its traceback only if nobody foresaw it."""
    is_foreseen = isinstance(error, DeviceError | StorageError)
    logger.error("%s: %s", what, error, exc_info=None if is_foreseen else error)


_LEVELS = {
    FinishReason.COMPLETED: Level.INFO,
    FinishReason.COMPLETED_WITH_FLAGS: Level.WARNING,
    FinishReason.STOPPED: Level.INFO,
    FinishReason.INTERLOCK: Level.ERROR,
    FinishReason.FAILED: Level.ERROR,
}


def _words(error: Exception) -> str:
    """Return what is said of foreseen errors; of another one its kind as well."""
    is_foreseen = isinstance(error, DeviceError | StorageError)
    return str(error) if is_foreseen else f"{type(error).__name__}: {error}"


def _setpoint(quantity: str, point: Point) -> float | None:
    return {
        "temperature": point.temperature_K,
        "bias": point.voltage_V,
        "polarization": point.angle_deg,
    }.get(quantity)


def _fit_text(row: FitRow) -> str:
    if not row.names:
        return f"point {row.point}: {row.verdict}"
    return f"point {row.point}: {row.names[0]} {row.values[0]:.6g} +- {row.errors[0]:.2g}"

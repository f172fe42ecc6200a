"""The engine: one loop that owns the instruments and works through the rows of the point table.

For each row: gate -> move what differs -> settle -> gate -> expose -> verify and read back ->
start moving for the next row where that can't touch this one -> read out -> commit -> publish.
A pause takes effect at gates only; nothing is ever replayed. Which rows are left follows from the
journal alone. Publishing may fail or lag; it never delays or ends a run.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from acquisition.commands import Command, Verb
from acquisition.engine_status import (
    TRANSITIONS,
    EngineState,
    EngineStatus,
    FinishReason,
    Safety,
)
from acquisition.exposure import DetectorSetup, Exposed, Exposer, is_saturated, peak_rate
from acquisition.exposure_choice import ExposureChoice
from acquisition.interlocks import Consequence
from acquisition.movers import Mover
from acquisition.point_table import Point, PointKind
from acquisition.record import Attempt, AttemptState, FitRow, Level
from acquisition.run_log import RunLog
from acquisition.run_time import RunTime
from acquisition.safe_state import SafeReport, make_safe
from acquisition.settle import OnTimeout, SettleOutcome
from acquisition.station import Station
from acquisition.storage_errors import StorageFull
from acquisition.verification import Verifier, Violation
from acquisition.vigil import InterlockTripped, StopRequested, Vigil
from drivers.clock import Clock
from drivers.errors import DeviceError

__all__ = ["Engine", "EnginePolicy", "Follower", "Outcome"]

logger = logging.getLogger(__name__)

RETRY_FULL_DISK_S = 10.0


class Follower(Protocol):
    """Someone who is told of each committed attempt and may have results to store."""

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None: ...

    def results(self) -> Sequence[FitRow]:
        """Return finished fits, never waiting."""
        ...


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """What the sweep file decides about the run as a whole.

    retries: further attempts at a row whose conditions did not hold or whose instrument failed.
    full_disk_patience_s: how long the run waits for room, 0 V and light blocked, before it ends.
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
        recover: Callable[[DeviceError], None] | None = None,
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
        self._skipped: dict[str, float] = {}
        self._state = EngineState.IDLE
        self._point = -1
        self._done = self._total = 0
        self._latest_fit = ""
        self._flagged = 0
        self._outcome: Outcome | None = None

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
            self._vigil.look()
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
            logger.exception("the run failed")
            reason, text = FinishReason.FAILED, f"{type(error).__name__}: {error}"
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
            readings={c: r.value for c, r in tuple(self._vigil.monitors.latest.items())},
            latest_fit=self._latest_fit,
            finish=outcome.reason if outcome else None,
            finish_text=outcome.text if outcome else "",
            safety=outcome.safe.safety if outcome else Safety.NOT_ASKED,
        )

    def take_note(self, command: Command) -> None:
        """Write a command into the run's events; called by the vigil."""
        text = command.text or command.verb.value
        code = "note" if command.verb is Verb.NOTE else "command"
        self._log.event(Level.INFO, code, text, sender=command.sender, verb=command.verb.value)

    def collect_results(self) -> None:
        """Take over finished fits and flush what is due; called by the vigil once per tick."""
        for follower in self._followers:
            rows = follower.results()
            if rows:
                self._log.fits(tuple(rows))
                self._latest_fit = _fit_text(rows[-1])
        self._log.flush_if_due()

    def reference(self, point: Point) -> Attempt:
        """Measure a row again only to see whether the sample is still the same; stored so."""
        self._move_to(point)
        attempt = self._attempt(point, None, AttemptState.REFERENCE)[0]
        self._commit(point, attempt, accept=False)
        return attempt

    # -- rows --------------------------------------------------------------------------------

    def _measure_all(self, points: Sequence[Point], prices_s: Sequence[float]) -> None:
        self._left_s = sum(prices_s)
        for place, point in enumerate(points):
            following = points[place + 1] if place + 1 < len(points) else None
            if not self._is_skipped(point):
                self._measure(point, following)
            self._left_s -= prices_s[place] if prices_s else 0.0

    def _go_to_end_temperature(self) -> None:
        if self._policy.end_temperature_K is not None:
            self._move_to(Point(-1, PointKind.DARK, 0.0, 0, self._policy.end_temperature_K))

    def _measure(self, point: Point, following: Point | None) -> None:
        """Repeat the row until one attempt is accepted, the last one with its flags."""
        self._point = point.index
        self._choice.saturated_s = None
        attempts = self._policy.retries + 1 + self._choice.is_probe(point)
        for left in range(attempts - 1, -1, -1):
            try:
                accepted = self._try(point, following, is_last=left == 0)
            except DeviceError as error:
                self._break_off(point, error)
                if left == 0:
                    raise
            else:
                if accepted is not False:
                    return

    def _try(self, point: Point, following: Point | None, *, is_last: bool) -> bool | None:
        """Make one attempt; True: accepted, False: try again, None: the row is skipped."""
        self._gate()
        flags = self._move_to(point)
        if flags is None:
            return None
        attempt, violations, wants_repeat = self._attempt(point, following, AttemptState.OK)
        flags += tuple(violation.reason for violation in violations)
        accept = is_last or not (violations or wants_repeat)
        attempt = _judged(attempt, flags, accept=accept)
        key = self._commit(point, attempt, accept=accept)
        self._publish(key, point, attempt, accepted=accept)
        if accept:
            self._done += 1
            self._flagged += bool(attempt.flags)
        else:
            self._move_again(violations)
        return accept

    def _attempt(
        self, point: Point, following: Point | None, state: AttemptState
    ) -> tuple[Attempt, tuple[Violation, ...], bool]:
        self._enter(EngineState.MEASURING)
        start_s = self._run_time.now()
        exposure_s = self._choice.exposure_s(point)
        probe = self._choice.is_probe(point)
        self._vigil.monitors.mark()
        self._exposer.expose(point, exposure_s)
        readings = self._verifier.read(laser_open_s=0.0)
        violations = self._verifier.violations(point, readings)
        if following is not None and self._exposer.blocks_light:
            self._premove(following)
        exposed = self._exposer.read_out()
        readings["laser_open_s"] = exposed.laser_open_s
        wants_repeat, flags = self._judge_counts(point, exposed, exposure_s)
        attempt = Attempt(
            point=point.index,
            state=state,
            segment=self._segment,
            start_s=start_s,
            end_s=self._run_time.now(),
            exposure_s=exposure_s,
            counts=exposed.counts,
            frame_start_s=np.array([self._run_time.of(t) for t in exposed.start_s]),
            readings=readings,
            calibration=self._calibration_of(point),
            flags=(*flags, *(("probe",) if probe else ())),
        )
        return attempt, violations, wants_repeat or probe

    def _judge_counts(
        self, point: Point, exposed: Exposed, exposure_s: float
    ) -> tuple[bool, tuple[str, ...]]:
        if is_saturated(exposed.counts, self._detector):
            self._choice.saturated(exposure_s)
            return point.target_counts is not None, ("saturated",)
        if point.kind is PointKind.SAMPLE:
            self._choice.learn(peak_rate(exposed, exposure_s, self._detector))
        return False, ()

    # -- moving ------------------------------------------------------------------------------

    def _move_to(self, point: Point) -> tuple[str, ...] | None:
        """Move what differs and settle; return flags, None if the row is to be skipped."""
        self._enter(EngineState.SETTLING)
        for mover in self._movers:
            if mover.differs(point):
                self._exposer.block_light()
                mover.start(point)
                self._moving.add(mover)
        flags: tuple[str, ...] = ()
        for mover in [m for m in self._movers if m in self._moving]:
            outcome = self._settle(mover)
            self._moving.discard(mover)
            if outcome is not SettleOutcome.SETTLED:
                if self._not_settled(mover, point, outcome):
                    return None
                flags += (f"{mover.quantity} not settled: {mover.awaited()}",)
        self._gate()
        return flags

    def _settle(self, mover: Mover) -> SettleOutcome:
        outcome = mover.advance()
        if outcome is SettleOutcome.PENDING:

            def is_over() -> bool:
                nonlocal outcome
                outcome = mover.advance()
                return outcome is not SettleOutcome.PENDING

            self._vigil.until(mover.awaited(), is_over, poll_s=mover.poll_s)
        return outcome

    def _not_settled(self, mover: Mover, point: Point, outcome: SettleOutcome) -> bool:
        """Apply the axis' policy; return whether the row is skipped."""
        criterion = mover.criterion
        policy = criterion.on_timeout if criterion is not None else OnTimeout.STOP
        text = f"{mover.awaited()} ({outcome.value})"
        self._log.event(Level.WARNING, "not settled", text, point=point.index, policy=policy.value)
        if policy is OnTimeout.STOP:
            raise StopRequested(f"not settled: {text}")
        if policy is OnTimeout.SKIP:
            self._skip(mover, point)
        return policy is OnTimeout.SKIP

    def _skip(self, mover: Mover, point: Point) -> None:
        setpoint = _setpoint(mover.quantity, point)
        if setpoint is not None:
            self._skipped[mover.quantity] = setpoint
        self._flagged += 1

    def _is_skipped(self, point: Point) -> bool:
        return any(_setpoint(q, point) == value for q, value in self._skipped.items())

    def _premove(self, following: Point) -> None:
        for mover in self._movers:
            if mover.overlaps_readout and mover.differs(following):
                mover.start(following)
                self._moving.add(mover)

    def _move_again(self, violations: Sequence[Violation]) -> None:
        wrong = {violation.quantity for violation in violations}
        for mover in self._movers:
            if mover.quantity in wrong:
                mover.forget()

    # -- committing --------------------------------------------------------------------------

    def _commit(self, point: Point, attempt: Attempt, *, accept: bool) -> int:
        """Store the attempt; with a full disk wait in safety for room, then store it."""
        give_up_s = self.clock.now() + self._policy.full_disk_patience_s
        while True:
            try:
                return self._log.put(attempt, accept=accept)
            except StorageFull as full:
                if self.clock.now() >= give_up_s:
                    raise
                logger.error("point %d is not stored yet: %s", point.index, full)  # noqa: TRY400
                self._exposer.block_light()
                self.clock.wait(RETRY_FULL_DISK_S)
                if self._station.bias is not None:
                    self._station.bias.advance()

    def _publish(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        for follower in tuple(self._followers):
            try:
                follower.on_point(key, point, attempt, accepted=accepted)
            except Exception as error:  # a follower never ends a run
                logger.exception("a follower failed and is switched off")
                self._log.event(Level.WARNING, "follower off", f"{follower!r}: {error}")
                self._followers.remove(follower)

    def _break_off(self, point: Point, error: DeviceError) -> None:
        """End a broken attempt cleanly and mend the instrument if that is possible."""
        self._log.event(Level.WARNING, "attempt broken off", str(error), point=point.index)
        self._moving.clear()
        for mover in self._movers:
            mover.forget()
        if self._recover is None:
            raise error
        self._recover(error)
        self._exposer.abort()

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
        if self._flagged:
            return FinishReason.COMPLETED_WITH_FLAGS, f"{self._flagged} points carry flags"
        return FinishReason.COMPLETED, "every planned point is accepted"

    def _finish(self, reason: FinishReason, text: str, *, heater_off: bool) -> Outcome:
        self._enter(EngineState.FINISHING)
        emergency = reason in (FinishReason.INTERLOCK, FinishReason.FAILED)
        safe = make_safe(self._station, self.clock, emergency=emergency, heater_off=heater_off)
        level = (
            Level.INFO if reason in (FinishReason.COMPLETED, FinishReason.STOPPED) else Level.ERROR
        )
        self._log.event(level, "finished", f"{reason.value}: {text}", reason=reason.value)
        self._log.event(
            Level.INFO if safe.safety is Safety.CONFIRMED else Level.ERROR, "safe state", str(safe)
        )
        try:
            self._log.flush()
        except Exception as error:  # the sample is safe; what is lost is only the last remark
            logger.exception("the end of the run could not be noted in the journal")
            reason, text = FinishReason.FAILED, f"{text}; not noted in the journal: {error}"
        self._enter(EngineState.IDLE)
        return Outcome(reason, text, safe)


def _setpoint(quantity: str, point: Point) -> float | None:
    return {
        "temperature": point.temperature_K,
        "bias": point.voltage_V,
        "polarization": point.angle_deg,
    }.get(quantity)


def _judged(attempt: Attempt, flags: tuple[str, ...], *, accept: bool) -> Attempt:
    if accept and not flags:
        return attempt
    state = AttemptState.OK if accept else AttemptState.REJECTED
    return replace(attempt, flags=(*attempt.flags, *flags), state=state)


def _fit_text(row: FitRow) -> str:
    if not row.names:
        return f"point {row.point}: {row.verdict}"
    return f"point {row.point}: {row.names[0]} {row.values[0]:.6g} +- {row.errors[0]:.2g}"

"""What happens between opening the instruments and the first row of a segment."""

from collections.abc import Callable
from dataclasses import replace

from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointKind
from acquisition.running.engine import Engine
from acquisition.running.recovery import Recovery
from acquisition.running.run_log import RunLog
from acquisition.running.sample_change import compare
from acquisition.running.segment import Segment
from acquisition.safety.vigil import StopRequested, Vigil
from acquisition.storage.journal import Journal
from acquisition.storage.record import Attempt, Event, Level
from drivers.errors import DeviceError, InstrumentError, StateError
from drivers.status import Status

__all__ = ["Preparation", "release_broken_blocks"]

POLL_S = 0.05
TRIES = 3
MOST_EARLIER = 20  # attempts that say how the crystal wanders


def release_broken_blocks(journal: Journal, event_at: tuple[float, float]) -> None:
    """Give back what was accepted in a block that was broken off: it is repeated as a whole.

    event_at: run time and UTC of the events that say so.
    """
    accepted = journal.accepted()
    blocks: dict[int, list[int]] = {}
    for point in journal.table().points:
        if point.repeats_block:
            blocks.setdefault(point.block, []).append(point.index)
    for block, points in blocks.items():
        done = sum(point in accepted for point in points)
        if 0 < done < len(points):
            text = f"block {block} was broken off after {done} of {len(points)} points"
            journal.release_block(block, Event(*event_at, Level.INFO, "block released", text))


class Preparation:
    """Arms and homes, and looks whether a resumed run still has the same sample."""

    def __init__(
        self,
        journal: Journal,
        station: Station,
        segment: Segment,
        engine: Engine,
        vigil: Vigil,
        log: RunLog,
        recovery: Recovery,
        *,
        electrons_per_count: float,
        accept_changed: bool,
    ) -> None:
        self._journal = journal
        self._station = station
        self._segment = segment
        self._engine = engine
        self._vigil = vigil
        self._log = log
        self._recovery = recovery
        self._electrons_per_count = electrons_per_count
        self._accept_changed = accept_changed

    def __call__(self) -> None:
        """Run every step; leave a sample alone that needs nothing more.

        Raises DeviceError, StopRequested.
        """
        self._log.event(Level.INFO, "segment", f"segment {self._segment.number} begins")
        self._insist(self._bring_bias_to_zero)
        self._insist(self._close_shutter)
        self._insist(self._check_pixels)
        self._insist(self._note_instruments)
        self._vigil.await_readings()
        if not self._journal.todo():
            return
        self._insist(self._arm_bias)
        self._insist(self._home_polarizer)
        if self._segment.is_resumed:
            self._look_at_reference()

    def _insist(self, step: Callable[[], None]) -> None:
        """Take a step, again if an instrument failed and could be mended; all can be repeated."""
        for left in range(TRIES - 1, -1, -1):
            try:
                return step()
            except DeviceError as error:
                if left == 0:
                    raise
                if not isinstance(error, InstrumentError):
                    self._recovery(error)

    def _close_shutter(self) -> None:
        if self._station.shutter is not None:
            self._until("laser shutter closes", self._station.shutter.set(False))

    def _bring_bias_to_zero(self) -> None:
        """First of all: what is really on the sample?"""
        bias = self._station.bias
        if bias is None or (found_V := bias.take_over()) is None:
            return
        text = f"{found_V:.3f} V found at the terminals, goes to 0 V"
        self._log.event(Level.WARNING, "bias found on", text)
        self._vigil.until(f"bias from {found_V:.3f} V to 0 V", self._is_zero, poll_s=POLL_S)

    def _is_zero(self) -> bool:
        bias = self._station.bias
        return bias is None or bias.status().is_zero

    def _check_pixels(self) -> None:
        camera, expected = self._station.camera, self._journal.meta.pixels
        if camera.pixels != expected:
            raise StateError(
                camera.name, f"has {camera.pixels} pixels, [camera] pixels says {expected}"
            )

    def _note_instruments(self) -> None:
        for device in self._station.devices():
            identity = device.identify()
            text = f"{device.name}: {identity.manufacturer} {identity.model} {identity.serial}"
            settings = self._recovery.remember(device)
            self._log.event(Level.INFO, "instrument", text, settings=settings)

    def _arm_bias(self) -> None:
        bias = self._station.bias
        if bias is not None:
            bias.safe()  # an arming that failed halfway has left the output on, at 0 V
            self._vigil.until("bias off", self._is_zero, poll_s=POLL_S)
            self._vigil.await_now("bias is armed: limits set, its cable measured")
            capacitance_F = bias.arm()
            text = f"bias armed at 0 V; cable and gap have {1e12 * capacitance_F:.0f} pF"
            self._log.event(Level.INFO, "bias armed", text)

    def _home_polarizer(self) -> None:
        polarizer = self._station.polarizer
        needed = any(point.angle_deg is not None for point in self._journal.table().points)
        if polarizer is not None and needed and not polarizer.is_homed:
            self._until("polarizer homes", polarizer.home())
            self._recovery.remember(polarizer)

    def _look_at_reference(self) -> None:
        """Measure the last accepted sample row again; stop if it is not what it was."""
        before = self._last_sample_attempt()
        if before is None:
            return
        now = self._engine.reference(self._journal.table().points[before.point])
        if now is None:
            self._judge_reference("can't be measured: its setpoint is not reached")
        elif doubt := self._doubt(before, now):
            self._judge_reference(doubt)
        else:
            text = "agrees with what was measured there before"
            self._log.event(Level.INFO, "reference", text)

    def _judge_reference(self, trouble: str) -> None:
        """Stop here, before the sweep goes on with another sample, unless that was allowed."""
        self._log.event(Level.WARNING, "reference", trouble)
        if not self._accept_changed:
            raise StopRequested(f"the reference {trouble}. Resume with --accept-changed")

    def _doubt(self, before: Attempt, now: Attempt) -> str:
        """Return what speaks against the reference; one under other conditions says nothing."""
        if new_flags := sorted(set(now.flags) - set(before.flags)):
            return f"was not measured under the same conditions: {'; '.join(new_flags)}"
        changes = compare(
            before,
            now,
            electrons_per_count=self._electrons_per_count,
            earlier=self._measured_like(before),
        )
        return f"differs: {'; '.join(map(str, changes))}" if changes else ""

    def _measured_like(self, reference: Attempt) -> list[Attempt]:
        """Return the latest other accepted attempts under the same conditions as this one."""
        points = self._journal.table().points
        conditions = _conditions(points[reference.point])
        alike = [
            key
            for index, key in self._journal.accepted().items()
            if index != reference.point and _conditions(points[index]) == conditions
        ]
        return [self._journal.attempt(key).attempt for key in sorted(alike)[-MOST_EARLIER:]]

    def _last_sample_attempt(self) -> Attempt | None:
        points = self._journal.table().points
        accepted = self._journal.accepted()
        keys = [key for p, key in accepted.items() if points[p].kind is PointKind.SAMPLE]
        return self._journal.attempt(max(keys)).attempt if keys else None

    def _until(self, awaited: str, status: Status) -> None:
        self._vigil.until(awaited, status.poll, poll_s=POLL_S)
        status.check()


def _conditions(point: Point) -> Point:
    """Return the row without what does not change what is seen there."""
    return replace(point, index=0, repeat=0, cell=(), block=0, repeats_block=False)

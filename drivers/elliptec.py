"""Thorlabs Elliptec: rotation stage ELL14 and shutter ELL6 on one bus."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, ClassVar

from drivers.clock import Clock
from drivers.confirmed import confirmed_number
from drivers.elliptec_bus import WHO, ElliptecBus, ElliptecLink
from drivers.errors import (
    InstrumentError,
    LimitError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import register
from drivers.roles import Identity, Reading, ReadingStatus, RotationStage, Setting, Shutter
from drivers.status import Status

__all__ = ["ELL6Config", "ELL6Shutter", "ELL14Config", "ELL14Stage"]

logger = logging.getLogger(__name__)

STATUS_TEXTS = {
    1: "communication timeout",
    2: "mechanical timeout",
    3: "command not known",
    4: "value out of range",
    5: "module isolated",
    6: "module out of isolation",
    7: "initialisation error",
    8: "thermal error",
    9: "busy",
    10: "sensor error",
    11: "motor error",
    12: "out of range",
    13: "over-current",
}
BUSY = "GS09"
SLOWEST_DEG_PER_S = 100.0  # a quarter of the usual speed
FRESH_S = 0.5  # a place read so lately need not be asked for again before a move
MAX_ANGLE_DEG = 3.6e5


@dataclass(frozen=True, slots=True)
class ELL14Config:
    """What the station says about the rotation stage."""

    serial: str = ""
    bus_address: str = "0"  # 0 to F
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    tolerance_deg: float = 0.1  # between target and final position; repeatability 0.05 to 0.1
    move_timeout_s: float = 5.0
    home_clockwise: bool = True
    home_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ELL6Config:
    """What the station says about the shutter."""

    serial: str = ""
    bus_address: str = "1"
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    open_is_forward: bool = True  # which end of the slide lets the light through
    move_timeout_s: float = 3.0


class _Movement:
    """A movement under way, whose answer means done.

    arrived: called with the final position; raises if that is not where the movement should end.
    lost: called when no answer came in time, to find out what happened.
    """

    def __init__(
        self,
        line: Line,
        clock: Clock,
        timeout_s: float,
        arrived: Callable[[int], None],
        lost: Callable[[], int],
    ) -> None:
        self.is_done = False
        self._line = line
        self._clock = clock
        self._deadline_s = clock.now() + clock.patience_s(timeout_s)
        self._arrived = arrived
        self._lost = lost

    def __call__(self) -> bool:
        return self.advance(0.0)

    def advance(self, timeout_s: float) -> bool:
        """Return whether the movement has ended where it should. Raises DeviceError."""
        if self.is_done:
            raise StateError(self._line.name, "the movement was stopped")
        try:
            packet = self._line.poll(timeout_s)
        except LinkClosed:
            self.is_done = True  # its answer is lost; the next command finds out what happened
            raise
        if packet == BUSY or (packet is None and self._clock.now() < self._deadline_s):
            return False
        self.is_done = True
        self._arrived(self._lost() if packet is None else self._position(packet))
        return True

    def _position(self, packet: str) -> int:
        from drivers.pymeasure_elliptec import POSITION, decode_position  # noqa: PLC0415

        if POSITION.fullmatch(packet):
            return decode_position(packet)
        if packet.startswith("GS"):
            raise InstrumentError(self._line.name, f"movement failed: {_status_text(packet)}")
        raise ReplyError(self._line.name, f"a movement was answered {packet!r}")


class _Module:
    """What stage and shutter have in common."""

    DITHER: ClassVar[int] = 0  # pulses by which two readings at rest may differ

    def __init__(
        self,
        name: str,
        bus: ElliptecBus,
        clock: Clock,
        config: "ELL14Config | ELL6Config",
        vocabulary: str,
    ) -> None:
        # pymeasure takes 0.2 s to import, and who only checks a station shall not wait for it
        from drivers import pymeasure_elliptec  # noqa: PLC0415
        from drivers.adapter import LineAdapter  # noqa: PLC0415

        self.name = name
        self._clock = clock
        self._link: ElliptecLink = bus.link(config.bus_address)
        self._line = Line.configured(name, self._link, clock, config, terminator=b"", who=WHO)
        every_message_is_answered = LineAdapter(self._line, lambda message: True)
        instrument = getattr(pymeasure_elliptec, vocabulary)
        self._instrument: Any = instrument(every_message_is_answered, name)
        self._movement: _Movement | None = None

    def identify(self) -> Identity:
        """Ask who answers."""
        self._require_rest()
        return self._line.identify()

    def stop(self) -> None:
        """Stop where it is; harmless when nothing moves."""
        with suppress(LinkClosed):  # `start` connects again
            self._line.receive(0.0)  # an answer that came just now belongs to the movement
        self._line.start("st")
        self._line.poll(self._line.timeout_s)
        if self._movement is not None:
            self._movement.is_done = True

    def close(self) -> None:
        """Let go of the bus; nothing moves."""
        self._link.close()

    @property
    def _is_moving(self) -> bool:
        return self._movement is not None and not self._movement.is_done

    def _require_rest(self) -> None:
        if self._is_moving:
            raise StateError(self.name, "still moving")

    def _started(
        self, action: str, timeout_s: float, arrived: Callable[[int], None], lost: Callable[[], int]
    ) -> Status:
        self._movement = _Movement(self._line, self._clock, timeout_s, arrived, lost)
        return Status(action, self._movement)

    def _read_position(self) -> int:
        return confirmed_number(self.name, lambda: int(self._instrument.position), self.DITHER)


@register(
    "elliptec.ell14",
    RotationStage,
    config=ELL14Config,
    framing=Terminated(b"\r\n"),
    line=ElliptecBus.configured,
    shared=True,
)
class ELL14Stage(_Module):
    """An ELL14 as rotation stage (roles.RotationStage).

    Angles are not wrapped: -5 deg and 355 deg are a turn apart, so that a target is approached from
    the side its user means. The module itself counts within a turn, hence relative moves.
    """

    DITHER = 4

    def __init__(self, name: str, bus: ElliptecBus, clock: Clock, config: ELL14Config) -> None:
        super().__init__(name, bus, clock, config, "ELL14")
        self._config = config
        self._pulses_per_turn = 0
        self._is_homed = False
        self._why_not_homed = "not homed: its angles mean nothing yet"
        self._position = 0  # pulses, not wrapped
        self._found_s = -inf  # when it was last asked where it stands
        self._left_between = (0, 0)  # where it must be found: at rest one place, else the path

    @property
    def is_homed(self) -> bool:
        """Return whether the module was homed since we know it; it can't say so itself."""
        return self._is_homed

    def home(self) -> Status:
        """Search the reference."""
        self._require_rest()
        self._ask_pulses_per_turn()
        self._is_homed = False
        self._instrument.start_home(self._config.home_clockwise)
        return self._started(
            f"{self.name} home", self._config.home_timeout_s, self._homed_at, self._home_failed
        )

    def set(self, angle_deg: float) -> Status:
        """Rotate to an angle; done when the module stands within the tolerance.

        Raises StateError before homing, while still moving, and when the module no longer stands
        where it was left (a power cycle loses the reference).
        """
        if not (isfinite(angle_deg) and abs(angle_deg) <= MAX_ANGLE_DEG):
            raise LimitError(self.name, f"angle {angle_deg} deg: allowed +-{MAX_ANGLE_DEG} deg")
        self._require_rest()
        if self._clock.now() - self._found_s > FRESH_S:
            self._find_position()
        if not self._is_homed:
            raise StateError(self.name, self._why_not_homed)
        target = round(angle_deg / 360.0 * self._pulses_per_turn)
        turn = target - self._position
        self._left_between = min(self._position, target), max(self._position, target)
        self._instrument.start_turn(turn)
        timeout_s = self._config.move_timeout_s + abs(self._degrees(turn)) / SLOWEST_DEG_PER_S
        return self._started(
            f"{self.name} to {angle_deg} deg",
            timeout_s,
            lambda position: self._arrived(position, target),
            self._found_after_silence,
        )

    def read(self) -> Mapping[str, Reading]:
        """Read the mechanical angle; nothing while moving."""
        if self._is_moving:
            return {}
        self._find_position()
        status, note = ReadingStatus.OK, ""
        if not self._is_homed:
            status, note = ReadingStatus.FAULT, self._why_not_homed
        angle_deg = self._degrees(self._position)
        return {"angle_deg": Reading(angle_deg, "deg", self._clock.now(), status, note)}

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle changes: whether angles mean something."""
        if not self._is_moving:
            self._find_position()
        return {"is_homed": self._is_homed, "pulses_per_turn": self._ask_pulses_per_turn()}

    def _ask_pulses_per_turn(self) -> int:
        if not self._pulses_per_turn:
            self._pulses_per_turn = confirmed_number(
                self.name, lambda: int(self._instrument.pulses_per_travel)
            )
        return self._pulses_per_turn

    def _degrees(self, pulses: int) -> float:
        return pulses * 360.0 / self._ask_pulses_per_turn()

    def _in_turn_from(self, position: int, lowest: int) -> int:
        """Return the position, which the module counts within a turn, as first met from lowest."""
        return lowest + (position - lowest) % self._ask_pulses_per_turn()

    def _nearest(self, position: int, expected: int) -> int:
        return self._in_turn_from(position, expected - self._ask_pulses_per_turn() // 2)

    def _find_position(self) -> None:
        """Learn where the module stands, and whether it still has its reference."""
        position = self._read_position()
        self._found_s = self._clock.now()
        lowest, highest = self._left_between
        slack = round(self._config.tolerance_deg / 360.0 * self._ask_pulses_per_turn())
        found = self._in_turn_from(position, lowest - slack)
        is_where_left = found <= highest + slack
        moved_by_hand = self._link.was_moved_by_hand()
        self._stand_at(found if is_where_left else self._nearest(position, self._position))
        if self._is_homed and not is_where_left and not moved_by_hand:
            self._lose_reference(
                f"found at {self._degrees(self._position):.3f} deg, left at "
                f"{self._degrees(highest):.3f} deg: it lost power or slipped, home it again"
            )

    def _lose_reference(self, why: str) -> None:
        self._is_homed, self._why_not_homed = False, why
        logger.warning("%s: %s", self.name, why)

    def _stand_at(self, position: int) -> None:
        self._position = position
        self._left_between = position, position

    def _arrived(self, position: int, target: int) -> None:
        """Take note of the end of a move; beside its target it may count from a new zero."""
        found = self._nearest(position, target)
        if abs(self._degrees(found - target)) > self._config.tolerance_deg:
            where = (
                f"stands at {self._degrees(found):.3f} deg, not at {self._degrees(target):.3f} deg"
            )
            self._lose_reference(f"{where}: it lost power or slipped, home it again")
            raise InstrumentError(self.name, where)
        self._stand_at(found)

    def _found_after_silence(self) -> int:
        """Return where a move ended that was never answered; 0 may be the zero of a power cycle."""
        position = self._read_position()
        if abs(self._degrees(self._nearest(position, 0))) <= self._config.tolerance_deg:
            self._lose_reference("no answer to a move, and then 0 deg: it may have lost power")
            raise InstrumentError(self.name, self._why_not_homed)
        return position

    def _homed_at(self, position: int) -> None:
        self._stand_at(position)
        self._is_homed = True

    def _home_failed(self) -> int:
        raise LinkTimeout(self.name, f"not homed after {self._config.home_timeout_s} s")


@register(
    "elliptec.ell6",
    Shutter,
    config=ELL6Config,
    framing=Terminated(b"\r\n"),
    line=ElliptecBus.configured,
    shared=True,
)
class ELL6Shutter(_Module):
    """An ELL6 as laser shutter (roles.Shutter)."""

    def __init__(self, name: str, bus: ElliptecBus, clock: Clock, config: ELL6Config) -> None:
        super().__init__(name, bus, clock, config, "ELL6")
        self._config = config
        self._travel: int | None = None

    def set(self, is_open: bool) -> Status:
        """Open or close; done when the module answered that the slide stands where it should."""
        self._await_rest()
        far_end = self._far_end()  # asked before the movement, whose answer comes by itself
        goes_forward = is_open is self._config.open_is_forward
        if goes_forward:
            self._instrument.start_forward()
        else:
            self._instrument.start_backward()
        target = far_end if goes_forward else 0
        return self._started(
            f"{self.name} {'open' if is_open else 'closed'}",
            self._config.move_timeout_s,
            lambda position: self._verify(position, target),
            self._read_position,
        )

    def read(self) -> Mapping[str, Reading]:
        """Read whether the shutter is open; nothing while moving."""
        if self._is_moving:
            return {}
        return {"is_open": self._opening(self._read_position())}

    def settings(self) -> Mapping[str, Setting]:
        """Read back where the slide stands."""
        self._await_rest()
        return {"position": self._read_position()}

    def _await_rest(self) -> None:
        # To close must be possible at any moment; a slide takes less than one I/O timeout
        if self._movement is not None and not self._movement.is_done:
            self._movement.advance(self._line.timeout_s)
        self._require_rest()

    def _far_end(self) -> int:
        if self._travel is None:
            self._travel = confirmed_number(self.name, lambda: int(self._instrument.travel))
        return self._travel

    def _verify(self, position: int, target: int) -> None:
        if position != target:
            raise InstrumentError(self.name, f"stands at {position}, not at {target}")

    def _opening(self, position: int) -> Reading:
        ends = {0: not self._config.open_is_forward, self._far_end(): self._config.open_is_forward}
        if position in ends:
            return Reading(float(ends[position]), "", self._clock.now())
        note = f"between the ends, at {position}"
        return Reading(float("nan"), "", self._clock.now(), ReadingStatus.FAULT, note)


def _status_text(packet: str) -> str:
    code = int(packet[2:], 16)
    return f"{STATUS_TEXTS.get(code, 'error')} ({packet})"

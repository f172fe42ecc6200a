"""Thorlabs K10CR1: a motorised rotation mount, which turns the polarizing element of the World.

Rules (APT protocol issue 29; pylablib)
1. 409600/3 counts per degree, rotation without end; the counter has 32 bits and wraps.
2. At power-up it counts from where it stands. Moves before homing are allowed.
3. The end of a move, of homing and of a stop comes unasked, with the status.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from struct import error as StructError  # noqa: N812
from struct import pack, unpack_from
from typing import Final

import numpy as np

from simulators.apt import CHANNEL, AptCore
from simulators.core import RESOLUTION_S
from simulators.world import World

__all__ = ["COUNTS_PER_DEG", "K10CR1", "K10CR1Settings"]

COUNTS_PER_DEG: Final = 409600 / 3
VELOCITY_PER_DEG: Final = 7_329_109.0
ACCELERATION_PER_DEG: Final = 1502.0
FOLLOW_S: Final = 0.05  # how finely the world follows a movement
MOST_STEPS: Final = 1000
FOR_EVER_DEG: Final = 1e6

SET_COUNTER, REQ_COUNTER, GET_COUNTER = 0x0410, 0x0411, 0x0412
SET_VELOCITY, REQ_VELOCITY, GET_VELOCITY = 0x0413, 0x0414, 0x0415
HOME, HOMED = 0x0443, 0x0444
MOVE_RELATIVE, MOVE_ABSOLUTE, MOVE_VELOCITY, JOG = 0x0448, 0x0453, 0x0457, 0x046A
COMPLETED, STOP, STOPPED = 0x0464, 0x0465, 0x0466
SUSPEND_END_OF_MOVE, RESUME_END_OF_MOVE = 0x046B, 0x046C
REQ_DC_STATUS, GET_DC_STATUS = 0x0490, 0x0491
MOVING_FORWARD, MOVING_REVERSE, HOMING, IS_HOMED = 0x10, 0x20, 0x200, 0x400
IS_ENABLED: Final = 0x80000000

# set, request, answer: what is stored and given back as it came
STORED: Final = {
    0x0416: (0x0417, 0x0418, pack("<HHiiiiH", CHANNEL, 2, 682667, 0, 15020, 73291090, 2)),
    0x0423: (0x0424, 0x0425, pack("<HHHIIH", CHANNEL, 4, 1, 0, 0, 1)),
    0x043A: (0x043B, 0x043C, pack("<Hi", CHANNEL, 136533)),
    0x0440: (0x0441, 0x0442, pack("<HHHii", CHANNEL, 2, 1, 73291090, 546133)),
    0x0445: (0x0446, 0x0447, pack("<Hi", CHANNEL, 0)),
    0x0450: (0x0451, 0x0452, pack("<Hi", CHANNEL, 0)),
}


@dataclass(frozen=True, slots=True)
class K10CR1Settings:
    """What differs from unit to unit.

    start_deg: where the mount really stands at power-up, while it counts from 0.
    repeatability_deg: standard deviation of where it really stops, which it does not see.
    """

    serial: int = 55_000_123
    start_deg: float = 211.0
    speed_deg_per_s: float = 10.0
    acceleration_deg_per_s2: float = 10.0
    repeatability_deg: float = 0.005
    reply_s: float = 0.002
    boot_s: float = 2.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Motion:
    """From start to end, in counts; `message` is what is said at the end."""

    start: float
    end: float
    begin_s: float
    end_s: float
    message: int = COMPLETED

    def position(self, now: float) -> float:
        """Return where it is: half of the way is passed in half of the time."""
        if now >= self.end_s - RESOLUTION_S:
            return self.end
        way = max(now - self.begin_s, 0.0) / (self.end_s - self.begin_s)
        return self.start + (self.end - self.start) * way


class K10CR1(AptCore):
    """The mount. Its truth is world.optics.polarizer_mechanical_deg."""

    model, kind = b"K10CR1\0\0", 16

    def __init__(self, world: World, settings: K10CR1Settings | None = None) -> None:
        self.settings = settings = settings or K10CR1Settings()
        super().__init__(world, settings.serial, settings.reply_s, settings.boot_s)
        self._random = np.random.default_rng(settings.seed)
        self._zero_deg = settings.start_deg  # true angle where the counter says 0
        self._unseen_deg = 0.0
        self.slip_deg = 0.0  # of the optics in its mount: a fault nobody reports
        self._handlers |= {
            SET_COUNTER: self._set_counter,
            REQ_COUNTER: lambda *_: self.reply(GET_COUNTER, data=pack("<Hi", CHANNEL, self._count)),
            SET_VELOCITY: self._set_velocity,
            REQ_VELOCITY: lambda *_: self._reply_velocity(),
            HOME: lambda *_: self._home(),
            MOVE_RELATIVE: self._relative(MOVE_RELATIVE, 0x0445),
            MOVE_ABSOLUTE: self._relative(MOVE_ABSOLUTE, 0x0450),
            MOVE_VELOCITY: lambda _, way, __: self._move_by(_sign(way) * FOR_EVER_DEG),
            JOG: lambda _, way, __: self._jog(_sign(way)),
            STOP: lambda *_: self._stop(),
            SUSPEND_END_OF_MOVE: lambda *_: self._tell_ends(False),
            RESUME_END_OF_MOVE: lambda *_: self._tell_ends(True),
            REQ_DC_STATUS: lambda *_: self.reply(GET_DC_STATUS, data=self.status()),
        }
        for setter, (request, answer, _) in STORED.items():
            self._handlers[setter] = self._store(setter)
            self._handlers[request] = self._recall(setter, answer)
        self._start_afresh()
        self._follow()

    def status_bits(self) -> int:
        motion = self._motion
        bits = IS_ENABLED if self._is_enabled else 0
        bits |= IS_HOMED if self._is_homed else 0
        if motion is not None:
            bits |= MOVING_FORWARD if motion.end >= motion.start else MOVING_REVERSE
            bits |= HOMING if motion.message == HOMED else 0
        return bits

    def status(self) -> bytes:
        return pack("<HiiI", CHANNEL, self._count, 0, self.status_bits())

    def power_cycle(self, now: float) -> None:
        """Count from here on: the reference is lost."""
        self.world.advance(now)
        stands_deg = self._true_deg() - self.slip_deg
        super().power_cycle(now)
        self._start_afresh()
        self._zero_deg, self._unseen_deg = stands_deg, 0.0
        self._follow()

    def stall(self, now: float, duration_s: float) -> None:
        """Block the movement under way."""
        motion = self._motion
        if motion is None:
            super().stall(now, duration_s)
        else:
            here = motion.position(now)
            end_s = motion.end_s + duration_s
            self._begin(replace(motion, start=here, begin_s=now + duration_s, end_s=end_s))

    def next_event_s(self) -> float | None:
        if self._motion is None or not self._tells_ends:
            return None
        return self._motion.end_s + self._reply_s

    def _start_afresh(self) -> None:
        self._position = 0.0
        self._motion: _Motion | None = None
        self._is_homed = False
        self._tells_ends = True
        self._speed = self.settings.speed_deg_per_s
        self._acceleration = self.settings.acceleration_deg_per_s2
        self._stored = {setter: value for setter, (_, _, value) in STORED.items()}

    @property
    def _here(self) -> float:
        return self._motion.position(self.world.now) if self._motion else self._position

    @property
    def _count(self) -> int:
        return (round(self._here) + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000

    def _true_deg(self) -> float:
        turned_deg = self._here / COUNTS_PER_DEG
        return (self._zero_deg + self._unseen_deg + turned_deg + self.slip_deg) % 360.0

    def _follow(self) -> None:
        self.world.optics.polarizer_mechanical_deg = self._true_deg()

    def _tell_ends(self, tells: bool) -> None:
        self._tells_ends = tells

    # -- movements ----------------------------------------------------------------------------

    def _duration_s(self, counts: float) -> float:
        """Return the time of a ramp up, an even part and a ramp down."""
        way_deg = abs(counts) / COUNTS_PER_DEG
        ramps_deg = self._speed**2 / self._acceleration
        if way_deg < ramps_deg:
            return float(2.0 * (way_deg / self._acceleration) ** 0.5)
        return way_deg / self._speed + self._speed / self._acceleration

    def _move_to(self, target: float, message: int = COMPLETED) -> None:
        now, here = self.world.now, self._here
        end_s = now + max(self._duration_s(target - here), 1e-3)
        self._begin(_Motion(here, target, now, end_s, message))

    def _move_by(self, degrees: float) -> None:
        self._move_to(self._here + degrees * COUNTS_PER_DEG)

    def _begin(self, motion: _Motion) -> None:
        """Let the world follow the movement, and end it."""
        self._motion = motion
        self._follow_later(motion, MOST_STEPS)
        self.world.at(motion.end_s, lambda: self._end(motion))

    def _follow_later(self, motion: _Motion, left: int) -> None:
        step_s = max(FOLLOW_S, (motion.end_s - motion.begin_s) / MOST_STEPS)
        time_s = max(self.world.now, motion.begin_s) + step_s

        def follow() -> None:
            if self._motion is motion:
                self._follow()
                self._follow_later(motion, left - 1)

        if left and time_s < motion.end_s:
            self.world.at(time_s, follow)

    def _end(self, motion: _Motion) -> None:
        if self._motion is not motion:
            return
        self._motion, self._position = None, motion.end
        if motion.message == HOMED:
            self._is_homed, self._zero_deg, self._position = True, 0.0, 0.0
        self._unseen_deg = float(self._random.normal(0.0, self.settings.repeatability_deg))
        self._follow()
        self._say_end(motion.message)

    def _say_end(self, message: int) -> None:
        if not self._tells_ends:
            return
        if message == HOMED:
            self.reply(HOMED, CHANNEL)
        else:
            self.reply(message, data=self.status())

    def _home(self) -> None:
        """Turn to the reference in the direction of falling angles."""
        self._is_homed = False
        way_deg = (self._true_deg() - self.slip_deg) % 360.0
        self._move_to(self._here - way_deg * COUNTS_PER_DEG, HOMED)

    def _relative(self, message: int, stored: int) -> Callable[[int, int, bytes], None]:
        """Return the handler of a move, whose data may also be what was stored before."""

        def move(_: int, __: int, data: bytes) -> None:
            value = _unpack("<Hi", data or self._stored[stored])
            if value is not None:
                is_relative = message == MOVE_RELATIVE
                self._move_to(value[1] + (self._here if is_relative else 0.0))

        return move

    def _jog(self, sign: float) -> None:
        step = _unpack("<HHi", self._stored[0x0416])
        self._move_to(self._here + sign * (step[2] if step else 0))

    def _stop(self) -> None:
        self._position, self._motion = self._here, None
        self._follow()
        self._say_end(STOPPED)

    # -- settings -----------------------------------------------------------------------------

    def _set_counter(self, _: int, __: int, data: bytes) -> None:
        """Call the present place by another number; nothing moves, but the reference does."""
        value = _unpack("<Hi", data)
        if value is not None and self._motion is None:
            self._zero_deg += (self._position - value[1]) / COUNTS_PER_DEG
            self._position = float(value[1])

    def _set_velocity(self, _: int, __: int, data: bytes) -> None:
        value = _unpack("<Hiii", data)
        if value is not None:
            self._acceleration = min(max(value[2] / ACCELERATION_PER_DEG, 0.1), 20.0)
            self._speed = min(max(value[3] / VELOCITY_PER_DEG, 0.1), 20.0)

    def _reply_velocity(self) -> None:
        acceleration = round(self._acceleration * ACCELERATION_PER_DEG)
        velocity = round(self._speed * VELOCITY_PER_DEG)
        self.reply(GET_VELOCITY, data=pack("<Hiii", CHANNEL, 0, acceleration, velocity))

    def _store(self, setter: int) -> Callable[[int, int, bytes], None]:
        def store(_: int, __: int, data: bytes) -> None:
            if len(data) == len(self._stored[setter]):
                self._stored[setter] = data

        return store

    def _recall(self, setter: int, answer: int) -> Callable[[int, int, bytes], None]:
        return lambda *_: self.reply(answer, data=self._stored[setter])


def _sign(way: int) -> float:
    """Return the sense of rotation: 1 is forward, 2 reverse."""
    return -1.0 if way == 2 else 1.0


def _unpack(layout: str, data: bytes) -> tuple[int, ...] | None:
    """Return the fields, None where the data is too short."""
    try:
        return unpack_from(layout, data)
    except StructError:
        return None

"""The modules on an Elliptec bus: rotation stage ELL14 and two-position shutter ELL6.

A module answers a move once, at its end; what it says and where it really stands are two things,
for a stage that was not homed, slipped, or stopped a little beside its target.
Source: ELLx modules protocol manual; drivers named in elliptec.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from math import fmod
from typing import Final, Protocol

import numpy as np

from simulators.core import RESOLUTION_S

__all__ = [
    "PULSES_PER_TURN",
    "SHUTTER_TRAVEL",
    "ElliptecSettings",
    "ElliptecStatus",
    "Module",
    "ModuleHost",
    "RotationStage",
    "TwoPositionShutter",
]

PULSES_PER_TURN: Final = 143_360
SHUTTER_TRAVEL: Final = 31


class ElliptecStatus(IntEnum):
    """Codes of GS."""

    OK = 0
    COMMUNICATION_TIMEOUT = 1
    MECHANICAL_TIMEOUT = 2
    COMMAND_ERROR = 3
    VALUE_OUT_OF_RANGE = 4
    ISOLATED = 5
    BUSY = 9
    BEYOND_TRAVEL = 12


@dataclass(frozen=True, slots=True)
class ElliptecSettings:
    """What differs from bus to bus.

    start_deg: where the stage really stands at power-up, while it reports 0.
    move_start_s: from the command until something moves.
    busy_interval_s: a move longer than this sends GS09 on its way, once per interval.
    stop_error_deg: standard deviation of where a move ends, as the encoder sees it;
    repeatability_deg: and of what the encoder does not see. turns_polarizer: False where another
    stage does.
    """

    stage_address: str = "0"
    shutter_address: str = "1"
    stage_serial: str = "11400517"
    shutter_serial: str = "10600218"
    start_deg: float = 73.4
    speed_deg_per_s: float = 430.0
    move_start_s: float = 0.03
    shutter_move_s: float = 0.15
    busy_interval_s: float = 2.5
    reply_s: float = 0.012  # a dozen characters at 9600 baud
    stop_error_deg: float = 0.005
    repeatability_deg: float = 0.02
    mechanical_timeout_s: float = 2.0
    turns_polarizer: bool = True


@dataclass(frozen=True, slots=True)
class _Motion:
    """A movement in units of the module, from start at begin_s to end at end_s."""

    start: float
    end: float
    begin_s: float
    end_s: float
    answer: ElliptecStatus = ElliptecStatus.OK
    homes: bool = False
    answers_as: str = "PO"

    def position(self, now: float) -> float:
        if now <= self.begin_s:
            return self.start
        if now >= self.end_s - RESOLUTION_S:
            return self.end
        return self.start + (self.end - self.start) * (now - self.begin_s) / (
            self.end_s - self.begin_s
        )


Action = Callable[[str, float], None]
FOLLOW_S: Final = 0.01  # how finely the world follows a movement


class ModuleHost(Protocol):
    """What a module needs of its bus."""

    def post(self, due: float, message: bytes) -> None:
        """Send a reply at that time."""
        ...

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Do something when the world's time is that."""
        ...

    def follow(self) -> None:
        """Show the world where the modules are now."""
        ...


class Module(ABC):
    """What every module does: identity, status, one movement at a time."""

    kind: str
    travel: int
    pulses: int

    def __init__(
        self,
        address: str,
        serial: str,
        settings: ElliptecSettings,
        host: ModuleHost,
    ) -> None:
        self.address = address
        self.serial = serial
        self.settings = settings
        self._host = host
        self._status = ElliptecStatus.OK
        self._position = 0.0
        self._motion: _Motion | None = None
        self._next_busy_s = float("inf")
        self._isolated_until = float("-inf")
        self._actions: dict[str, Action] = {
            "in": lambda _, now: self.reply(now, "IN" + self._identity()),
            "gs": self._get_status,
            "us": self._accept,
            "gp": lambda _, now: self._reply_position(now),
            "st": self._stop,
            "is": self._isolate,
            "i1": lambda _, now: self.reply(now, "I1100FFFFFFFFFF00B200A2"),
            "i2": lambda _, now: self.reply(now, "I2100FFFFFFFFFF00B200A2"),
            "om": self._take_a_while,
            "cm": self._take_a_while,
        }
        for mnemonic in ("f1", "b1", "f2", "b2", "s1", "s2"):  # resonance periods
            self._actions[mnemonic] = self._accept

    @abstractmethod
    def truth(self, now: float) -> float:
        """Return where the module really stands, in its own unit of truth."""

    def handle(self, mnemonic: str, text: str, now: float) -> None:
        """Carry out one message; text are the characters after the mnemonic."""
        action = self._actions.get(mnemonic)
        if action is None:
            self.fail(ElliptecStatus.COMMAND_ERROR, now)
        elif now < self._isolated_until and mnemonic not in ("gs", "is"):
            self.fail(ElliptecStatus.ISOLATED, now)
        elif self._motion is not None and mnemonic not in ("gs", "gp", "in", "st"):
            self.reply(now, f"GS{ElliptecStatus.BUSY:02X}")
        else:
            self._try(action, text, now)

    def fail(self, status: ElliptecStatus, now: float) -> None:
        """Answer with an error, which stays until it is read."""
        self._status = status
        self.reply(now, f"GS{status:02X}")

    def reply(self, now: float, text: str) -> None:
        self._host.post(now + self.settings.reply_s, f"{self.address}{text}\r\n".encode("ascii"))

    def next_reply_s(self) -> float | None:
        """Return when the movement under way is next heard of: busy, or done."""
        if self._motion is None:
            return None
        return min(self._motion.end_s, self._next_busy_s) + self.settings.reply_s

    def encoder(self, now: float) -> float:
        """Return the position as the module knows it."""
        return self._motion.position(now) if self._motion else self._position

    @property
    def is_moving(self) -> bool:
        return self._motion is not None

    def stall(self, now: float, duration_s: float) -> None:
        """Block the movement under way; longer than the mechanical timeout ends it with GS02."""
        motion = self._motion
        if motion is None:
            return
        here = motion.position(now)
        limit_s = self.settings.mechanical_timeout_s
        if duration_s > limit_s:
            self._begin(
                _Motion(here, here, now, now + limit_s, answer=ElliptecStatus.MECHANICAL_TIMEOUT)
            )
        else:
            end_s = motion.end_s + duration_s
            self._begin(replace(motion, start=here, begin_s=now + duration_s, end_s=end_s))

    def power_cycle(self, now: float) -> None:
        self._position, self._motion = self.encoder(now), None
        self._status = ElliptecStatus.OK
        self._isolated_until = float("-inf")

    def _move(
        self,
        target: float,
        moving_s: float,
        now: float,
        *,
        homes: bool = False,
        answers_as: str = "PO",
    ) -> None:
        begin_s = now + self.settings.move_start_s
        here = self.encoder(now)
        self._begin(
            _Motion(here, target, begin_s, begin_s + moving_s, homes=homes, answers_as=answers_as)
        )
        self._say_busy_at(now + self.settings.busy_interval_s)

    def _begin(self, motion: _Motion) -> None:
        """Let the world follow the movement, and end it."""
        self._motion = motion
        steps = min(int((motion.end_s - motion.begin_s) / FOLLOW_S), 1000)
        for step in range(1, steps):
            self._host.at(motion.begin_s + step * FOLLOW_S, self._host.follow)
        self._host.at(motion.end_s, lambda: self._end(motion))

    def _end(self, motion: _Motion) -> None:
        if self._motion is motion:
            self._motion, self._position = None, motion.end
            self._arrive(motion)
            self._host.follow()

    def _say_busy_at(self, time_s: float) -> None:
        def say() -> None:
            if self._motion is not None and self._motion.end_s > time_s == self._next_busy_s:
                self.reply(time_s, f"GS{ElliptecStatus.BUSY:02X}")
                self._say_busy_at(time_s + self.settings.busy_interval_s)

        self._next_busy_s = time_s
        self._host.at(time_s, say)

    def _arrive(self, motion: _Motion) -> None:
        if motion.answer is ElliptecStatus.OK:
            self._reply_position(motion.end_s, motion.answers_as)
        else:
            self.fail(motion.answer, motion.end_s)

    def _try(self, action: Action, text: str, now: float) -> None:
        try:
            action(text, now)
        except ValueError:  # not hexadecimal
            self.fail(ElliptecStatus.COMMAND_ERROR, now)

    def _accept(self, text: str, now: float) -> None:
        int(text or "0", 16)
        self.reply(now, "GS00")

    def _identity(self) -> str:
        return f"{self.kind}{self.serial:>08}2024" + f"1700{self.travel:04X}{self.pulses:08X}"

    def _get_status(self, _: str, now: float) -> None:
        status = ElliptecStatus.BUSY if self.is_moving else self._status
        self._status = ElliptecStatus.OK
        self.reply(now, f"GS{status:02X}")

    def _reply_position(self, now: float, name: str = "PO") -> None:
        self.reply(now, f"{name}{round(self.encoder(now)) & 0xFFFFFFFF:08X}")

    def _stop(self, _: str, now: float) -> None:
        self._position, self._motion = self.encoder(now), None
        self._reply_position(now)

    def _isolate(self, text: str, now: float) -> None:
        self._isolated_until = now + 60.0 * int(text, 16)
        self.reply(now, "GS00")

    def _take_a_while(self, _: str, now: float) -> None:
        """Optimise or clean the motors: minutes, with the position as it was at the end."""
        self._move(self.encoder(now), 120.0, now)


def _signed(text: str) -> int:
    value = int(text, 16)
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def _within_a_turn(pulses: float) -> float:
    """Wrap what is beyond a turn; just below 0 and just above a turn stay as they are."""
    return fmod(pulses, PULSES_PER_TURN) if abs(pulses) > PULSES_PER_TURN + 100 else pulses


class RotationStage(Module):
    """ELL14. Its truth is the mechanical angle in degrees."""

    kind, travel, pulses = "0E", 360, PULSES_PER_TURN

    def __init__(
        self,
        settings: ElliptecSettings,
        host: ModuleHost,
        random: np.random.Generator,
    ) -> None:
        super().__init__(settings.stage_address, settings.stage_serial, settings, host)
        self._random = random
        self._zero_deg = settings.start_deg  # true angle where the encoder counts 0
        self._unseen_deg = 0.0
        self._velocity_percent = 100
        self._jog = PULSES_PER_TURN // 8
        self._home_offset = 0
        self.slip_deg = 0.0  # of the optics in its mount: a fault nobody reports
        self._actions |= {
            "ma": self._move_absolute,
            "mr": lambda text, now: self._turn(_signed(text), now),
            "fw": lambda _, now: self._turn(self._jog, now),
            "bw": lambda _, now: self._turn(-self._jog, now),
            "ho": self._home,
            "gj": lambda _, now: self.reply(now, f"GJ{self._jog & 0xFFFFFFFF:08X}"),
            "sj": self._set_jog,
            "go": lambda _, now: self.reply(now, f"HO{self._home_offset & 0xFFFFFFFF:08X}"),
            "so": self._set_home_offset,
            "gv": lambda _, now: self.reply(now, f"GV{self._velocity_percent:02X}"),
            "sv": self._set_velocity,
        }

    def truth(self, now: float) -> float:
        turned_deg = self.encoder(now) * 360.0 / PULSES_PER_TURN
        return (self._zero_deg + self._unseen_deg + turned_deg + self.slip_deg) % 360.0

    def turn_by_hand(self, pulses: int, now: float) -> None:
        """Turn as the handset does: nobody asked, and the position comes as BO."""
        self._turn(pulses, now, answers_as="BO")

    def power_cycle(self, now: float) -> None:
        """Count from here on: the reference is lost."""
        stands_deg = self.truth(now) - self.slip_deg
        super().power_cycle(now)
        self._zero_deg, self._unseen_deg, self._position = stands_deg, 0.0, 0.0
        self._velocity_percent = 100

    def _seconds(self, pulses: float) -> float:
        speed = self.settings.speed_deg_per_s * self._velocity_percent / 100.0
        return abs(pulses) * 360.0 / PULSES_PER_TURN / speed

    def _move_absolute(self, text: str, now: float) -> None:
        target = _signed(text)
        if not 0 <= target <= PULSES_PER_TURN:
            self.fail(ElliptecStatus.BEYOND_TRAVEL, now)
        else:
            self._turn(target - self.encoder(now), now)

    def _turn(self, pulses: float, now: float, answers_as: str = "PO") -> None:
        error = self._random.normal(0.0, self.settings.stop_error_deg) * PULSES_PER_TURN / 360.0
        target = round(self.encoder(now) + pulses + error)
        self._move(target, self._seconds(pulses), now, answers_as=answers_as)

    def _home(self, text: str, now: float) -> None:
        clockwise = int(text, 16) == 0
        index_deg = self._home_offset * 360.0 / PULSES_PER_TURN
        way_deg = (index_deg - self.truth(now) + self.slip_deg) % 360.0
        pulses = (way_deg if clockwise else way_deg - 360.0) * PULSES_PER_TURN / 360.0
        self._move(self.encoder(now) + pulses, self._seconds(pulses) + 0.2, now, homes=True)

    def _arrive(self, motion: _Motion) -> None:
        if motion.homes:
            self._zero_deg, self._position = self._home_offset * 360.0 / PULSES_PER_TURN, 0.0
        elif motion.answer is ElliptecStatus.OK:
            self._position = _within_a_turn(self._position)
        self._unseen_deg = self._random.normal(0.0, self.settings.repeatability_deg)
        super()._arrive(motion)

    def _set_jog(self, text: str, now: float) -> None:
        self._jog = _signed(text)
        self.reply(now, "GS00")

    def _set_home_offset(self, text: str, now: float) -> None:
        self._home_offset = _signed(text)
        self.reply(now, "GS00")

    def _set_velocity(self, text: str, now: float) -> None:
        percent = int(text, 16)
        if not 1 <= percent <= 100:
            self.fail(ElliptecStatus.VALUE_OUT_OF_RANGE, now)
            return
        self._velocity_percent = percent
        self.reply(now, "GS00")


class TwoPositionShutter(Module):
    """ELL6. Backward is position 0 and blocks the light; its truth is 1 while light passes."""

    kind, travel, pulses = "06", SHUTTER_TRAVEL, 1

    def __init__(self, settings: ElliptecSettings, host: ModuleHost) -> None:
        super().__init__(settings.shutter_address, settings.shutter_serial, settings, host)
        self.stuck_open: bool | None = None  # a fault nobody reports: the blade came off
        self._actions |= {
            "fw": lambda _, now: self._slide(SHUTTER_TRAVEL, now),
            "bw": lambda _, now: self._slide(0, now),
            "ho": lambda _, now: self._slide(0, now),
            "ma": self._move_absolute,
        }

    def truth(self, now: float) -> float:
        if self.stuck_open is not None:
            return float(self.stuck_open)
        return float(self.encoder(now) > SHUTTER_TRAVEL / 2)

    def _move_absolute(self, text: str, now: float) -> None:
        target = _signed(text)
        if target in (0, SHUTTER_TRAVEL):
            self._slide(target, now)
        else:
            self.fail(ElliptecStatus.BEYOND_TRAVEL, now)

    def _slide(self, target: int, now: float) -> None:
        is_there = self.encoder(now) == target
        self._move(target, 0.0 if is_there else self.settings.shutter_move_s, now)

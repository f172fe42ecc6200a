"""Thorlabs MFF101: a flip mount with two positions, over APT.

It decides whether light of the sample or of the calibration port reaches the spectrometer.

Rules (APT protocol issue 29, "filter flipper"; qmi, odemis; [mem]: from memory)
1. MOVE_JOG with direction 1 or 2 goes to that position; 0.5 s by default.
2. The limit switch bits 0x1 and 0x2 tell the position, neither while it moves; nothing is said at
   the end of a move [mem].
3. It stays where it is when power goes.
"""

from dataclasses import dataclass
from struct import pack
from typing import Final

from simulators.apt import CHANNEL, AptCore
from simulators.world import World

__all__ = ["MFF101", "MFF101Settings"]

JOG: Final = 0x046A
SET_PARAMETERS, REQ_PARAMETERS, GET_PARAMETERS = 0x0510, 0x0511, 0x0512
MOVING: Final = {1: 0x20, 2: 0x10}
IS_ENABLED: Final = 0x80000000


@dataclass(frozen=True, slots=True)
class MFF101Settings:
    """What differs from unit to unit, and which position lets the calibration port's light in."""

    serial: int = 37_000_456
    transit_s: float = 0.5
    calibration_position: int = 2
    reply_s: float = 0.002
    boot_s: float = 1.0


class MFF101(AptCore):
    """The flip mount; its truth is world.optics.calibration_port."""

    model, kind = b"MFF002\0\0", 16

    def __init__(self, world: World, settings: MFF101Settings | None = None) -> None:
        self.settings = settings = settings or MFF101Settings()
        super().__init__(world, settings.serial, settings.reply_s, settings.boot_s)
        self._position = 1
        self._target: int | None = None
        self._arrives_s = float("-inf")
        self._handlers |= {
            JOG: lambda _, position, __: self._flip(position),
            SET_PARAMETERS: lambda *_: None,
            REQ_PARAMETERS: lambda *_: self.reply(GET_PARAMETERS, data=self._parameters()),
        }

    def status_bits(self) -> int:
        bits = IS_ENABLED if self._is_enabled else 0
        return bits | (self._position if self._target is None else MOVING[self._target])

    def status(self) -> bytes:
        return pack("<HiiI", CHANNEL, 0, 0, self.status_bits())

    def stall(self, now: float, duration_s: float) -> None:
        """Hold the mount where it is; without a move, hold the answers back."""
        if self._target is None:
            super().stall(now, duration_s)
        else:
            self._arrive_at(self._arrives_s + duration_s)

    def _parameters(self) -> bytes:
        transit_ms = round(self.settings.transit_s * 1e3)
        values = (CHANNEL, transit_ms, transit_ms * 10, 1, 1, 200, 1, 1, 200, 0, 0)
        return pack("<HIIHHIHHIII", *values)

    def _flip(self, position: int) -> None:
        if position in (1, 2) and position != (self._target or self._position):
            self._target = position
            self._arrive_at(self.world.now + self.settings.transit_s)

    def _arrive_at(self, time_s: float) -> None:
        self._arrives_s = time_s

        def arrive() -> None:
            if self._arrives_s == time_s and self._target is not None:
                self._position, self._target = self._target, None
                optics = self.world.optics
                optics.calibration_port = self._position == self.settings.calibration_position

        self.world.at(time_s, arrive)

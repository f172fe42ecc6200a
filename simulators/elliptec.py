"""The Thorlabs Elliptec bus: several modules on one serial line.

Rules of the wire (ELLx modules protocol manual; elliptec, thorlabs-elliptec, pylablib)
1. Host: address (one hex digit), a mnemonic of two characters, upper-case hex of a length that
   the mnemonic fixes. No terminator is needed; CR and LF between messages are skipped.
2. Module: address, two upper-case letters, hex, CR LF. An absent address is silent.
3. A move answers once, when it is done: PO and the position, or GS and an error. A longer one
   sends GS09 on the way. At power-up positions count from wherever the stage stands.
4. Bytes missing for 2 s: what came is dropped, and the module it was for says GS01 [mem].
5. What follows an unknown mnemonic in the same burst is dropped with it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from simulators.core import InstrumentCore
from simulators.elliptec_modules import (
    ElliptecSettings,
    ElliptecStatus,
    Module,
    RotationStage,
    TwoPositionShutter,
)
from simulators.world import World

__all__ = ["ElliptecBus"]

BYTE_TIMEOUT_S: Final = 2.0
HEADER: Final = 3  # address and mnemonic
ADDRESSES: Final = b"0123456789ABCDEF"
BETWEEN_MESSAGES: Final = b"\r\n"

# mnemonic -> number of characters that follow it
PARAMETER_LENGTH: Final = {
    b"in": 0, b"gs": 0, b"us": 0, b"ca": 1, b"ga": 1, b"i1": 0, b"i2": 0, b"f1": 4, b"b1": 4,
    b"f2": 4, b"b2": 4, b"s1": 0, b"s2": 0, b"is": 2, b"gj": 0, b"sj": 8, b"go": 0, b"so": 8,
    b"gp": 0, b"ho": 1, b"ma": 8, b"mr": 8, b"fw": 0, b"bw": 0, b"gv": 0, b"sv": 2, b"st": 0,
    b"om": 0, b"cm": 0,
}  # fmt: skip


class ElliptecBus(InstrumentCore):
    """The bus with its stage and its shutter; their truth is kept in world.optics."""

    def __init__(self, world: World, seed: int, settings: ElliptecSettings | None = None) -> None:
        super().__init__(world)
        self._turns_polarizer = settings is None or settings.turns_polarizer
        settings = settings or ElliptecSettings()
        self.stage = RotationStage(settings, self, np.random.default_rng(seed))
        self.shutter = TwoPositionShutter(settings, self)
        self.modules: list[Module] = [self.stage, self.shutter]
        self._groups: dict[str, list[Module]] = {}
        self._buffer = bytearray()
        self._gives_up_s: float | None = None
        self._skips_burst_at: float | None = None
        self.follow()

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        if self._skips_burst_at is not None and now > self._skips_burst_at:
            self._skips_burst_at = None
        requests: list[bytes] = []
        for byte in fragment:
            self._take(byte, now, requests)
        if self._buffer and self._gives_up_s is None:
            self._wait_for_rest(now + BYTE_TIMEOUT_S)
        return requests

    def execute(self, request: bytes, now: float) -> bool:
        address, mnemonic = request[:1].decode("ascii"), request[1:HEADER]
        if mnemonic in {b"ca", b"ga"}:
            return self._readdress(address, request, now)
        modules = self._at(address)
        for module in modules:
            module.handle(mnemonic.decode("latin-1"), request[HEADER:].decode("latin-1"), now)
        self.follow()
        return bool(modules)

    def next_due(self) -> float | None:
        times = [module.next_reply_s() for module in self.modules]
        times += [self.outbox.next_due(), self._gives_up_s]
        return min((time for time in times if time is not None), default=None)

    def verbs(self, request: bytes) -> Sequence[str]:
        return (request[1:HEADER].decode("latin-1"),)

    def answers(self, request: bytes, reply: bytes) -> bool:
        """A reply belongs to its address; a group answers under its members' own."""
        return reply[:1] == request[:1] or request[:1].decode("latin-1") in self._groups

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._buffer.clear()
        self._gives_up_s = None
        self._groups.clear()
        for module in self.modules:
            module.power_cycle(now)

    def stall(self, now: float, duration_s: float) -> None:
        moving = [module for module in self.modules if module.is_moving]
        for module in moving:
            module.stall(now, duration_s)
        if not moving:
            super().stall(now, duration_s)

    def hang_up(self) -> None:
        super().hang_up()
        self._buffer.clear()
        self._gives_up_s = None

    def impersonate(self) -> None:
        self.stage.serial = "11499999"

    def press_handset(self, now: float, pulses: int) -> None:
        """Turn the stage by its buttons: BO and the position come unasked."""
        self.world.advance(now)
        self.stage.turn_by_hand(pulses, now)

    def post(self, due: float, message: bytes) -> None:
        self.outbox.post(due, message)

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        self.world.at(time_s, action)

    def follow(self) -> None:
        """Put angle and shutter of the world where the modules really are."""
        now = self.world.now
        if self._turns_polarizer:
            self.world.optics.polarizer_mechanical_deg = self.stage.truth(now)
        self.world.optics.shutter_open = self.shutter.truth(now) > 0.5

    def _take(self, byte: int, now: float, requests: list[bytes]) -> None:
        buffer = self._buffer
        if byte in BETWEEN_MESSAGES:
            self._skips_burst_at = None
            return
        if self._skips_burst_at is not None or (not buffer and byte not in ADDRESSES):
            return
        buffer.append(byte)
        if len(buffer) < HEADER:
            return
        length = PARAMETER_LENGTH.get(bytes(buffer[1:HEADER]))
        if length is None:
            self._skips_burst_at = now
            length = 0
        if len(buffer) == HEADER + length:
            requests.append(bytes(buffer))
            buffer.clear()
            self._gives_up_s = None

    def _wait_for_rest(self, until_s: float) -> None:
        def give_up() -> None:
            if self._gives_up_s == until_s:
                address = chr(self._buffer[0])
                self._buffer.clear()
                self._gives_up_s = None
                for module in self._at(address):
                    module.fail(ElliptecStatus.COMMUNICATION_TIMEOUT, until_s)

        self._gives_up_s = until_s
        self.at(until_s, give_up)

    # -- addresses ------------------------------------------------------------------------------

    def _at(self, address: str) -> list[Module]:
        own = [module for module in self.modules if module.address == address]
        return own or self._groups.get(address, [])

    def _readdress(self, address: str, request: bytes, now: float) -> bool:
        """Change the address, or join the group, at once; the answer comes from the new one."""
        modules, new = self._at(address), chr(request[HEADER])
        for module in modules:
            if request[HEADER] not in ADDRESSES:
                module.fail(ElliptecStatus.VALUE_OUT_OF_RANGE, now)
            elif request[1:HEADER] == b"ga":
                group = self._groups.setdefault(new, [])
                if module not in group:
                    group.append(module)
                module.reply(now, "GS00")
            else:
                module.address = new
                module.reply(now, "GS00")
        return bool(modules)

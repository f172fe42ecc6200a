"""Thorlabs APT: the binary protocol of the stages and flippers behind an FTDI chip.

Rules of the wire (APT communications protocol, issue 29; pylablib; [mem]: from memory)
1. Header of 6 bytes, little endian: id, two parameters, destination, source. With data, the second
   word is its length and 0x80 is set in the destination. Host 0x01, device 0x50, channel 1.
2. REQ_INFO is answered with 84 bytes of data.
3. What is not known is not answered.
4. Messages that nobody asked for come at any time: the end of a move, status updates ten times a
   second once they were started, fifty of them unless they are acknowledged.
5. A header or data that stays incomplete for 0.5 s is dropped [mem].
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from struct import Struct, pack, unpack_from
from typing import Final

from simulators.core import InstrumentCore
from simulators.world import World

__all__ = ["CHANNEL", "DEVICE", "HOST", "AptCore", "frame"]

HOST, DEVICE, CHANNEL = 0x01, 0x50, 1
HAS_DATA: Final = 0x80
HEADER: Final = 6
MAX_DATA: Final = 255
PATIENCE_S: Final = 0.5
UPDATE_S: Final = 0.1
UNACKNOWLEDGED: Final = 50
INFO: Final = Struct("<I8sH4B60sHHH")

HW_REQ_INFO, HW_GET_INFO = 0x0005, 0x0006
START_UPDATES, STOP_UPDATES, KEEP_ALIVE = 0x0011, 0x0012, 0x0492
SET_ENABLED, REQ_ENABLED, GET_ENABLED = 0x0210, 0x0211, 0x0212
REQ_STATUS_BITS, GET_STATUS_BITS = 0x0429, 0x042A
REQ_STATUS, GET_STATUS = 0x0480, 0x0481
SILENT: Final = (0x0002, 0x0223, 0x0018)  # disconnect, identify, no flash programming

Handler = Callable[[int, int, bytes], None]  # both parameters, data


def frame(message: int, first: int = 0, second: int = 0, data: bytes | None = None) -> bytes:
    """Return a message from the device to the host."""
    if data is None:
        return pack("<HBBBB", message, first, second, HOST, DEVICE)
    return pack("<HHBB", message, len(data), HOST | HAS_DATA, DEVICE) + data


class AptCore(InstrumentCore):
    """What every APT unit does; a unit adds its handlers by message number."""

    model: bytes
    kind: int

    def __init__(self, world: World, serial: int, reply_s: float, boot_s: float) -> None:
        super().__init__(world)
        self.serial = serial
        self._reply_s = reply_s
        self._boot_s = boot_s
        self._boot_until = float("-inf")
        self._buffer = bytearray()
        self._last_byte_s = 0.0
        self._is_enabled = True
        self._updates_left = 0
        self._update_chain = 0
        self._handlers: dict[int, Handler] = {
            HW_REQ_INFO: lambda *_: self.reply(HW_GET_INFO, data=self._information()),
            START_UPDATES: lambda *_: self._start_updates(),
            STOP_UPDATES: lambda *_: self._stop_updates(),
            KEEP_ALIVE: lambda *_: self._keep_alive(),
            SET_ENABLED: self._set_enabled,
            REQ_ENABLED: lambda *_: self.reply(GET_ENABLED, CHANNEL, 1 if self._is_enabled else 2),
            REQ_STATUS_BITS: lambda *_: self.reply(
                GET_STATUS_BITS, data=pack("<HI", CHANNEL, self.status_bits())
            ),
            REQ_STATUS: lambda *_: self.reply(GET_STATUS, data=self.status()),
            **dict.fromkeys(SILENT, _ignore),
        }

    @abstractmethod
    def status_bits(self) -> int:
        """Return the status bits now."""

    @abstractmethod
    def status(self) -> bytes:
        """Return channel, position, encoder and status bits now."""

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        if self._buffer and now > self._last_byte_s + PATIENCE_S:
            self._buffer.clear()
        self._last_byte_s = now
        self._buffer += fragment
        requests = []
        while (length := self._length()) is not None and len(self._buffer) >= length:
            requests.append(bytes(self._buffer[:length]))
            del self._buffer[:length]
        return requests

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        message, first, second, destination = unpack_from("<HBBB", request)
        handler = self._handlers.get(message)
        if destination & ~HAS_DATA != DEVICE or handler is None:
            return False
        posted = self.outbox.posted
        handler(first, second, request[HEADER:])
        return self.outbox.posted > posted

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the message number, as in 0453."""
        return (f"{unpack_from('<H', request)[0]:04X}",)

    def answers(self, request: bytes, reply: bytes) -> bool:
        """The answer to a question has the next number."""
        return bool(unpack_from("<H", reply)[0] == unpack_from("<H", request)[0] + 1)

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._buffer.clear()
        self._stop_updates()
        self._is_enabled = True
        self._boot_until = now + self._boot_s

    def hang_up(self) -> None:
        super().hang_up()
        self._buffer.clear()
        self._stop_updates()

    def impersonate(self) -> None:
        self.serial = self.serial // 100_000 * 100_000 + 99_999

    def reply(
        self, message: int, first: int = 0, second: int = 0, data: bytes | None = None
    ) -> None:
        """Send a message a moment from now."""
        self.outbox.post(self.world.now + self._reply_s, frame(message, first, second, data))

    def _length(self) -> int | None:
        """Return the length of the message that the buffer begins with, None if unknown yet."""
        if len(self._buffer) < HEADER:
            return None
        if not self._buffer[4] & HAS_DATA:
            return HEADER
        return HEADER + min(int(unpack_from("<H", self._buffer, 2)[0]), MAX_DATA)

    def _information(self) -> bytes:
        return INFO.pack(
            self.serial, self.model, self.kind, 3, 0, 1, 0, self.model + b" simulated", 1, 0, 1
        )

    def _set_enabled(self, _: int, state: int, __: bytes) -> None:
        self._is_enabled = state == 1

    def _start_updates(self) -> None:
        self._updates_left = UNACKNOWLEDGED
        self._update_chain += 1
        self._update_later(self._update_chain)

    def _stop_updates(self) -> None:
        self._updates_left = 0
        self._update_chain += 1

    def _keep_alive(self) -> None:
        if self._updates_left:
            self._updates_left = UNACKNOWLEDGED

    def _update_later(self, chain: int) -> None:
        def update() -> None:
            if chain == self._update_chain and self._updates_left:
                self._updates_left -= 1
                self.reply(GET_STATUS, data=self.status())
                self._update_later(chain)

        self._updates_at_s = self.world.now + UPDATE_S
        self.world.at(self._updates_at_s, update)

    def next_due(self) -> float | None:
        times = [self.outbox.next_due(), self.next_event_s()]
        if self._updates_left:
            times.append(self._updates_at_s + self._reply_s)
        return min((time for time in times if time is not None), default=None)

    def next_event_s(self) -> float | None:
        """Return when the next message comes that nobody asks for, None if none is foreseen."""
        return None


def _ignore(_: int, __: int, ___: bytes) -> None:
    pass

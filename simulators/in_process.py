"""The shell without a wire: a link into a simulated instrument of the same process."""

from collections import deque
from typing import Protocol

from simulators.core import RESOLUTION_S
from simulators.faults import Line

__all__ = ["Framing", "InProcessLink", "Waiter"]


class Waiter(Protocol):
    """The part of a clock that a link needs."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> None: ...


class Framing(Protocol):
    """How a stream of bytes splits into replies."""

    def split(self, buffer: bytearray) -> bytes | None: ...


class InProcessLink:
    """Send a message; poll for a complete reply; start afresh.

    Polling lets the clock pass up to the due time of the next reply, and no longer than asked.
    Raises ConnectionResetError while the line is down, as a broken socket would; `reset` connects
    again and raises ConnectionRefusedError as long as that is in vain.
    """

    def __init__(self, line: Line, clock: Waiter, framing: Framing) -> None:
        self._line = line
        self._clock = clock
        self._framing = framing
        self._arrived: deque[bytes] = deque()
        self._buffer = bytearray()
        self._is_connected = True

    def send(self, message: bytes) -> None:
        now = self._clock.now()
        self._check(now)
        self._line.receive(message, now)

    def poll(self, timeout_s: float) -> bytes | None:
        clock, line = self._clock, self._line
        now = clock.now()
        deadline = now + timeout_s
        while True:
            self._check(now)
            self._arrived.extend(line.transmit(now))
            reply = self._next_reply()
            if reply is not None or now >= deadline - RESOLUTION_S:
                return reply
            due = line.next_due()
            clock.wait((deadline if due is None else min(due, deadline)) - now)
            now = clock.now()

    def reset(self) -> None:
        """Throw away everything received, and connect again if the line was lost."""
        now = self._clock.now()
        if not self._line.is_open(now):
            raise ConnectionRefusedError(f"{self._line.device}: the line is down")
        self._line.transmit(now)
        self._arrived.clear()
        self._buffer.clear()
        self._is_connected = True

    def close(self) -> None:
        self._is_connected = False

    def _check(self, now: float) -> None:
        if not self._line.is_open(now):
            self._is_connected = False
        if not self._is_connected:
            raise ConnectionResetError(f"{self._line.device}: the line is closed")

    def _next_reply(self) -> bytes | None:
        """Return the next complete reply; each message joins the buffer only when it is needed."""
        reply = self._framing.split(self._buffer)
        while reply is None and self._arrived:
            self._buffer += self._arrived.popleft()
            reply = self._framing.split(self._buffer)
        return reply

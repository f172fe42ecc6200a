"""What every instrument core is: bytes and time in, bytes and due times out.

Rules
1. A core does no I/O and knows no clock. Time comes with every call and never runs backwards.
2. `receive` takes any fragment of the stream; websocket cores take one whole message per call.
3. Nothing is transmitted before it is due; a reply that is due is transmitted once.
4. Every call first brings the world to `now`, so that physics and answers belong together.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final, Protocol

from simulators.world import World

__all__ = ["RESOLUTION_S", "Core", "InstrumentCore", "LineBuffer", "Outbox"]


class Core(Protocol):
    """A simulated instrument as its shell sees it."""

    def receive(self, message: bytes, now: float) -> None:
        """Take a fragment of the byte stream (websocket: a whole message)."""
        ...

    def transmit(self, now: float) -> list[bytes]:
        """Return everything due until now, in order."""
        ...

    def next_due(self) -> float | None:
        """Return when the next reply is due that was not yet transmitted, None if none is."""
        ...


RESOLUTION_S: Final = 1e-9  # due is due, whatever a sum of floats says


class Outbox:
    """Replies waiting for the time they are due."""

    __slots__ = ("_count", "_held_until", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._held_until = float("-inf")

    def post(self, due: float, message: bytes) -> None:
        self._count += 1
        heappush(self._waiting, (due, self._count, message))

    def take(self, now: float) -> list[tuple[float, bytes]]:
        """Remove and return what is due until now, with its due time, in that order."""
        taken: list[tuple[float, bytes]] = []
        now += RESOLUTION_S
        if now < self._held_until:
            return taken
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            due, _, message = heappop(waiting)
            taken.append((max(due, self._held_until), message))
        return taken

    def next_due(self) -> float | None:
        return max(self._waiting[0][0], self._held_until) if self._waiting else None

    @property
    def posted(self) -> int:
        """How many replies were posted so far."""
        return self._count

    def hold(self, until: float) -> None:
        """Keep every reply back until then."""
        self._held_until = max(self._held_until, until)

    def clear(self) -> None:
        self._waiting.clear()


class LineBuffer:
    """Cuts a byte stream into lines at any of the terminator bytes; empty lines are skipped.

    A line longer than max_length is thrown away up to its end, and counted in `overruns`.
    """

    __slots__ = ("_buffer", "_max_length", "_skipping", "_terminators", "overruns")

    def __init__(self, terminators: bytes, max_length: int) -> None:
        self._buffer = bytearray()
        self._terminators = terminators
        self._max_length = max_length
        self._skipping = False
        self.overruns = 0

    def feed(self, fragment: bytes) -> list[bytes]:
        """Return the lines that this fragment completes, without terminators."""
        first, *rest = self._terminators
        for other in rest:
            fragment = fragment.replace(bytes((other,)), bytes((first,)))
        *complete, tail = fragment.split(bytes((first,)))
        lines = [line for piece in complete if (line := self._finish(piece))]
        self._extend(tail)
        return lines

    def clear(self) -> None:
        self._buffer.clear()
        self._skipping = False

    def _finish(self, piece: bytes) -> bytes:
        self._extend(piece)
        line = b"" if self._skipping else bytes(self._buffer)
        self.clear()
        return line

    def _extend(self, piece: bytes) -> None:
        if not self._skipping:
            self._buffer += piece
            if len(self._buffer) > self._max_length:
                self._buffer.clear()
                self._skipping = True
                self.overruns += 1


class InstrumentCore(ABC):
    """The common part of the cores: `receive` is unpacking, then executing each message.

    The two steps are public because faults happen between them (see faults.py).
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.outbox = Outbox()

    def receive(self, message: bytes, now: float) -> None:
        for request in self.unpack(message, now):
            self.execute(request, now)

    def transmit(self, now: float) -> list[bytes]:
        return [message for _, message in self.arrivals(now)]

    def arrivals(self, now: float) -> list[tuple[float, bytes]]:
        """Bring the world to now, and return what is due with its due time."""
        self.world.advance(now)
        return self.outbox.take(now)

    def next_due(self) -> float | None:
        return self.outbox.next_due()

    @abstractmethod
    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        """Bring the world to now and return the requests that this fragment completes."""

    @abstractmethod
    def execute(self, request: bytes, now: float) -> bool:
        """Carry out one request; return whether a reply to it will come."""

    @abstractmethod
    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the names of the commands in a request, in the instrument's own spelling."""

    def answers(self, request: bytes, reply: bytes) -> bool:
        """Return whether this reply may belong to that request."""
        return True

    @abstractmethod
    def power_cycle(self, now: float) -> None:
        """Switch off and on: what is not in non-volatile memory is lost, and so are replies."""

    def stall(self, now: float, duration_s: float) -> None:
        """Hang: answers, or the action under way, come that much later."""
        self.outbox.hold(now + duration_s)

    def hang_up(self) -> None:
        """Forget what a client that is gone had half sent, and what it will not read."""
        self.outbox.clear()

    @abstractmethod
    def impersonate(self) -> None:
        """Answer identity queries from now on as another unit of the same make."""

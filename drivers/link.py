"""The line to an instrument, as every driver sees it.

A Link carries messages; it knows nothing of any instrument. Its shells (socket, serial, VISA,
websocket; in-process in the simulators) all satisfy this one Protocol.
"""

from typing import Protocol

__all__ = ["AnyNewline", "Framing", "Link", "Terminated", "Whole"]


class Framing(Protocol):
    """How a stream of bytes splits into replies."""

    def split(self, buffer: bytearray) -> bytes | None:
        """Remove the first complete reply from the buffer and return it without its terminator."""
        ...


class Terminated:
    """Replies that end with a terminator."""

    def __init__(self, terminator: bytes) -> None:
        self.terminator = terminator

    def split(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(self.terminator)
        if end < 0:
            return None
        reply = bytes(buffer[:end])
        del buffer[: end + len(self.terminator)]
        return reply


class AnyNewline:
    """Replies that end with CR, LF, CR LF or LF CR, as the user set it; none is empty."""

    def split(self, buffer: bytearray) -> bytes | None:
        skipped = len(buffer) - len(buffer.lstrip(b"\r\n"))
        del buffer[:skipped]
        ends = [end for end in (buffer.find(b"\r"), buffer.find(b"\n")) if end >= 0]
        if not ends:
            return None
        reply = bytes(buffer[: min(ends)])
        del buffer[: min(ends) + 1]
        return reply


class Whole:
    """Messages that the transport already delivers whole, such as websocket frames."""

    def split(self, buffer: bytearray) -> bytes | None:
        reply = bytes(buffer) or None
        buffer.clear()
        return reply


class Link(Protocol):
    """Send a message; poll for a complete reply; start afresh."""

    def send(self, message: bytes) -> None:
        """Send the bytes. Raises LinkClosed if the peer is gone."""
        ...

    def poll(self, timeout_s: float) -> bytes | None:
        """Return the next complete reply, or None if none came in time (0: only what is there).

        Raises LinkClosed if the peer closed.
        """
        ...

    def reset(self) -> None:
        """Throw away everything received, and connect again if the line was lost."""
        ...

    def close(self) -> None:
        """Close the line; closing twice is harmless."""
        ...

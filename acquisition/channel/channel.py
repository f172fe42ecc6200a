"""A channel between processes of one user on one machine: packets over loopback TCP, a token first.

Rule 1  A packet is two lengths of 4 bytes, most significant first, then a document and a body of so
        many bytes. What they mean is for both ends to agree; nothing received is ever executed.
Rule 2  The first packet of a client is its greeting: the token, a line feed, the client's name.
        Until it was right the client gets no answer, may send 512 bytes and has 5 s.
Rule 3  Whatever a client does wrong closes that client, with a reason in the log, and nothing else.
Rule 4  Nobody waits for a client: every socket is non-blocking, what can't be sent yet is kept in
        bounds, and of two packets in one slot only the later one is sent.

Why TCP and a token, and not a pipe: the path that is tested is the one that Windows uses too.
"""

import hmac
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

__all__ = [
    "GREETING_BYTES",
    "LOOPBACK",
    "ChannelAbused",
    "ChannelClosed",
    "Outbox",
    "Packet",
    "Peer",
    "Unpacker",
    "greeting",
    "listen",
    "name_in_greeting",
    "new_token",
    "pack",
]

LOOPBACK = "127.0.0.1"
LENGTHS = struct.Struct(">II")
GREETING_BYTES = 512
DOCUMENT_BYTES = 8 << 20
BODY_BYTES = 128 << 20  # an image of 4096 x 4096 pixels takes 64 MB
READ_BYTES = 1 << 18
MOST_READS = 16  # of one client in a row, so that a busy one starves nobody
KERNEL_BYTES = 1 << 17  # kept on the way, out of date when a client that hung reads on
ONE_GO_BYTES = 1 << 15
MOST_UNSENT = 2000
TOKEN_BYTES = 32


class ChannelClosed(Exception):  # noqa: N818 - as often an end as an error
    """The other side is gone."""


class ChannelAbused(ChannelClosed):
    """What the other side sends, or leaves unread, is not of this channel."""


@dataclass(frozen=True, slots=True)
class Packet:
    document: bytes
    body: bytes = b""


def new_token() -> str:
    """Return 32 random bytes in hexadecimal digits."""
    return secrets.token_hex(TOKEN_BYTES)


def pack(document: bytes, body: bytes | memoryview = b"") -> bytes:
    """Return a packet as it goes over the wire."""
    return b"".join((LENGTHS.pack(len(document), len(body)), document, body))


def greeting(token: str, name: str) -> bytes:
    """Return the packet with which a client begins."""
    return pack(f"{token}\n{name}".encode())


def name_in_greeting(packet: Packet, token: str) -> str:
    """Return the client's name. Raises ChannelAbused unless its token is the right one."""
    found, _, name = packet.document.partition(b"\n")
    if not hmac.compare_digest(found, token.encode()):
        raise ChannelAbused("its token is wrong")
    readable = "".join(c for c in name.decode(errors="replace") if c.isprintable())
    return readable[:80] or "somebody"


def listen() -> socket.socket:
    """Return a non-blocking socket that listens on a free port of this machine only."""
    listener = socket.create_server((LOOPBACK, 0), backlog=16)
    listener.setblocking(False)
    return listener


class Unpacker:
    """Bytes in, packets out."""

    def __init__(self, document_bytes: int = DOCUMENT_BYTES, body_bytes: int = BODY_BYTES) -> None:
        self.document_bytes, self.body_bytes = document_bytes, body_bytes
        self._buffer = bytearray()

    @property
    def most_bytes(self) -> int:
        """Return the length of the longest packet that the caps allow."""
        return LENGTHS.size + self.document_bytes + self.body_bytes

    def feed(self, received: bytes) -> None:
        self._buffer += received

    def packets(self) -> Iterator[Packet]:
        """Yield what is complete. Raises ChannelAbused for a length beyond the caps."""
        while (lengths := self._lengths()) is not None:
            document, body = lengths
            end = LENGTHS.size + document + body
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                packet = Packet(
                    bytes(view[LENGTHS.size : LENGTHS.size + document]),
                    bytes(view[LENGTHS.size + document : end]),
                )
            del self._buffer[:end]
            yield packet

    def _lengths(self) -> tuple[int, int] | None:
        if len(self._buffer) < LENGTHS.size:
            return None
        document, body = LENGTHS.unpack_from(self._buffer)
        if document > self.document_bytes or body > self.body_bytes:
            raise ChannelAbused(
                f"announces {document} + {body} bytes, allowed {self.document_bytes} + "
                f"{self.body_bytes}"
            )
        return document, body


class Outbox:
    """Packets that wait for a client to read, the oldest first; bounded."""

    def __init__(self, most: int = MOST_UNSENT) -> None:
        self._most = most
        self._waiting: dict[str | int, tuple[bytes, bool]] = {}
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, packet: bytes, *, slot: str = "", is_kept: bool = False) -> None:
        """Append a packet, in place of the one in the same slot if there is one.

        is_kept: it is never dropped to make room. Raises ChannelAbused where only such are left.
        """
        self._number += 1
        key = slot or self._number
        self._waiting.pop(key, None)
        self._waiting[key] = packet, is_kept
        if len(self._waiting) > self._most:
            self._drop_oldest()

    def take(self) -> bytes:
        """Remove and return the oldest packets, as many as are sent in one go; empty if none."""
        taken: list[bytes] = []
        size = 0
        for packet, _ in self._waiting.values():
            if taken and size + len(packet) > ONE_GO_BYTES:
                break
            taken.append(packet)
            size += len(packet)
        for key in list(islice(self._waiting, len(taken))):
            del self._waiting[key]
        return b"".join(taken)

    def _drop_oldest(self) -> None:
        for key, (_, is_kept) in self._waiting.items():
            if not is_kept:
                del self._waiting[key]
                return
        raise ChannelAbused(f"has not read {self._most} packets that must not be lost")


class Peer:
    """One end of one connection; no call ever blocks."""

    def __init__(self, connection: socket.socket, unpacker: Unpacker | None = None) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self.unpacker = unpacker or Unpacker()
        self.outbox = Outbox()
        self._connection = connection
        self._unsent = memoryview(b"")

    @property
    def is_behind(self) -> bool:
        """Return whether something waits for the other side to read."""
        return bool(self._unsent) or bool(self.outbox)

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive(self) -> list[Packet]:
        """Return the packets that have arrived. Raises ChannelClosed at their end.

        No more than one longest packet is read in a row: a stranger has only its greeting to say.
        """
        packets: list[Packet] = []
        left_bytes = min(MOST_READS * READ_BYTES, self.unpacker.most_bytes)
        while left_bytes > 0:
            try:
                received = self._connection.recv(min(READ_BYTES, left_bytes))
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not received:
                if packets:
                    break  # the next call finds the end again
                raise ChannelClosed("closed by the other side")
            left_bytes -= len(received)
            self.unpacker.feed(received)
            packets.extend(self.unpacker.packets())
        return packets

    def send(self) -> int:
        """Send what goes at once of what waits; return the bytes. Raises ChannelClosed."""
        total = 0
        while self._unsent or self.outbox:
            if not self._unsent:
                self._unsent = memoryview(self.outbox.take())
            try:
                sent = self._connection.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            self._unsent = self._unsent[sent:]
            total += sent
        return total

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

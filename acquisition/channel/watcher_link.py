"""A watcher's end of the channel: what an engine says, and what is asked of it."""

import select
import socket
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.channel import ChannelClosed, Packet, Peer, greeting, pack
from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.messages import (
    PROTOCOL,
    Axis,
    FrameArrived,
    Hello,
    Message,
    MessageError,
    Request,
    Verb,
    decode,
    encode,
)
from drivers.clock import Clock, RealClock

__all__ = ["Arrival", "LinkLost", "WatcherLink"]

Arrival = tuple[Message, NDArray[np.generic] | None]


class LinkLost(Exception):  # noqa: N818 - the engine may be well
    """The engine can't be reached any more, or never could."""


class WatcherLink:
    """A connection to one engine; used from one thread.

    hello: what the engine said first.
    """

    def __init__(self, peer: Peer, hello: Hello, early: Iterable[Packet] = ()) -> None:
        self.hello = hello
        self._peer = peer
        self._early = list(early)
        self._requests = 0

    @classmethod
    def connect(cls, address: EngineAddress, name: str, timeout_s: float = 5.0) -> "WatcherLink":
        """Return a link to an engine that knows us by this name. Raises LinkLost."""
        clock = RealClock()
        end_s = clock.now() + timeout_s
        try:
            connection = socket.create_connection((address.host, address.port), timeout_s)
        except OSError as error:
            raise LinkLost(f"no engine at {address.host}:{address.port}: {error}") from error
        peer = Peer(connection)
        try:
            peer.outbox.put(greeting(address.token, name))
            peer.send()
            packets = _first_packets(peer, clock, end_s)
            if not packets:
                raise LinkLost(f"{address}: does not answer within {timeout_s:g} s")  # noqa: TRY301
            return cls(peer, _hello(packets[0], address), packets[1:])
        except ChannelClosed as error:
            peer.close()
            raise LinkLost(f"{address}: does not let us in: {error}") from error
        except LinkLost:
            peer.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something arrives."""
        return self._peer.fileno()

    def request(self, verb: Verb, *, text: str = "", quantity: str = "", **numbers: float) -> int:
        """Ask something and return its number, which the Answer repeats. Raises LinkLost."""
        self._requests += 1
        asked = Request(self._requests, verb, text, quantity, numbers)
        try:
            self._peer.outbox.put(pack(encode(asked)), is_kept=True)
            self._peer.send()
        except ChannelClosed as error:
            raise LinkLost(str(error)) from error
        return self._requests

    def receive(self, timeout_s: float = 0.0) -> list[Arrival]:
        """Return what has arrived, with its counts or wavelengths; wait at most that long.

        Raises LinkLost when the engine is gone, after everything it said before was returned.
        """
        packets, self._early = self._early, []
        try:
            self._peer.send()
            packets += _read(self._peer, 0.0 if packets else timeout_s)
        except ChannelClosed as error:
            if not packets:
                raise LinkLost(str(error)) from error
        return [_arrival(packet) for packet in packets]

    def close(self) -> None:
        """Leave; the engine goes on. Closing twice is harmless."""
        self._peer.close()


def _first_packets(peer: Peer, clock: Clock, end_s: float) -> list[Packet]:
    """Return what comes first; nothing if the time is over before."""
    packets: list[Packet] = []
    while not packets and (left_s := end_s - clock.now()) > 0:
        packets = _read(peer, left_s)
    return packets


def _read(peer: Peer, timeout_s: float) -> list[Packet]:
    """Return what has arrived or arrives within the time, and send what still waits meanwhile."""
    writers = [peer] if peer.is_behind else []
    try:
        readable, writable, _ = select.select([peer], writers, [], timeout_s)
    except (OSError, ValueError) as error:
        raise ChannelClosed(f"the link is closed: {error}") from error
    if writable:
        peer.send()
    return peer.receive() if readable else []


def _hello(packet: Packet, address: EngineAddress) -> Hello:
    message, _ = _arrival(packet)
    if not isinstance(message, Hello):
        raise LinkLost(f"{address}: begins with {message.kind}, expected hello")
    if message.protocol != PROTOCOL:
        raise LinkLost(
            f"{address}: version {message.version} speaks protocol {message.protocol}, this "
            f"program {PROTOCOL}; use the same version for both"
        )
    return message


def _arrival(packet: Packet) -> Arrival:
    try:
        message = decode(packet.document)
    except MessageError as error:
        raise LinkLost(str(error)) from error
    if not isinstance(message, FrameArrived | Axis):
        return message, None
    try:
        values = np.frombuffer(packet.body, dtype=np.dtype(message.dtype))
        return message, values.reshape(message.shape)
    except (TypeError, ValueError) as error:
        raise LinkLost(f"a {message.kind} that does not fit its description: {error}") from error

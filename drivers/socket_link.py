"""Instruments on a TCP socket."""

import socket

from drivers.link import Framing
from drivers.stream_link import StreamLink

__all__ = ["SocketLink"]

TIMEOUT_S = 0.5  # to connect and to send


class SocketLink(StreamLink):
    """A TCP connection, opened at once. Raises LinkClosed if nobody listens."""

    def __init__(self, host: str, port: int, framing: Framing) -> None:
        super().__init__(f"tcp://{host}:{port}", framing)
        self._peer = (host, port)
        self.open()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._peer, TIMEOUT_S)
        # Without it the second of two short messages waits 40 ms for the peer's acknowledgement
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _disconnect(self) -> None:
        self._socket.close()

    def _write(self, message: bytes) -> None:
        self._socket.settimeout(TIMEOUT_S)
        self._socket.sendall(message)

    def _read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        try:
            arrived = self._socket.recv(65536)
        except (BlockingIOError, TimeoutError):
            return b""
        if not arrived:
            raise ConnectionResetError("the peer closed the connection")
        return arrived

"""Instruments behind a websocket server."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from drivers.errors import LinkClosed
from drivers.line_lock import LineLock

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["WebsocketLink"]

OPEN_TIMEOUT_S = 0.5


class WebsocketLink:
    """A websocket, opened at once; messages are text and arrive whole. Raises LinkClosed."""

    def __init__(self, uri: str) -> None:
        self.address = uri
        self._socket: ClientConnection | None = None
        self._closers = ExitStack()
        self._lock = LineLock(uri)
        self._open()

    def send(self, message: bytes) -> None:
        """Send one text frame. Raises LinkClosed."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            self._connection().send(message, text=True)
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from error

    def poll(self, timeout_s: float) -> bytes | None:
        """Return the next frame, or None if none came in time. Raises LinkClosed."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            return self._connection().recv(timeout_s, decode=False)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from error

    def reset(self) -> None:
        """Forget what was received; connect again if the line was lost. Raises LinkClosed."""
        if self._socket is None:
            self._open()
        while self.poll(0.0) is not None:
            pass

    def close(self) -> None:
        """Let go of the line; closing twice is harmless."""
        if self._socket is not None:
            self._socket = None
            try:
                self._closers.close()
            finally:
                self._lock.release()

    def _open(self) -> None:
        from websockets.exceptions import WebSocketException  # noqa: PLC0415
        from websockets.sync.client import connect  # noqa: PLC0415

        self._lock.acquire()
        try:
            # A kinetic series is one message of a hundred megabytes: packing it would take longer,
            # and a server busy with it may answer no ping. Our questions tell a dead line as well
            connection = connect(
                self.address,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=OPEN_TIMEOUT_S,
                compression=None,
                max_size=None,
                ping_interval=None,
                proxy=None,
            )
            self._socket = self._closers.enter_context(connection)
        except (WebSocketException, OSError) as error:
            self._lock.release()
            raise LinkClosed(self.address, f"cannot connect: {error}") from error

    def _connection(self) -> "ClientConnection":
        if self._socket is None:
            raise LinkClosed(self.address, "not connected")
        return self._socket

    def _lost(self, error: Exception) -> LinkClosed:
        self.close()
        return LinkClosed(self.address, str(error))

"""The TCP shell: raw bytes on a loopback socket, as instruments and serial bridges speak.

It leaves the kernel's delayed acknowledgements on: a client that forgets TCP_NODELAY waits 40 ms
for a query after a command, as it does with the real thing.
"""

import asyncio
from typing import Final

from simulators.faults import Line
from simulators.pump import Pump
from simulators.shell_clock import ShellClock

__all__ = ["LOOPBACK", "TcpShell"]

LOOPBACK: Final = "127.0.0.1"
READ_SIZE: Final = 1 << 16


class TcpShell:
    """Serves one line; replies go to the client that sent last."""

    def __init__(self, line: Line, clock: ShellClock, port: int = 0) -> None:
        self._pump = Pump(line, clock, self._deliver)
        self._port = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._latest: asyncio.StreamWriter | None = None

    async def start(self) -> str:
        """Listen, and return the address as in tcp://127.0.0.1:40123."""
        self._server = await asyncio.start_server(self._talk, LOOPBACK, self._port)
        return f"tcp://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._pump.stop()
        if self._server is not None:
            self._server.close()
        self._hang_up()
        if self._server is not None:
            await self._server.wait_closed()

    def tick(self) -> None:
        """Deliver what nobody asked for, and hang up while the line is down."""
        if not self._pump.is_up():
            self._hang_up()
        self._pump.flush()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._pump.is_up():
            writer.transport.abort()
            return
        self._clients.add(writer)
        try:
            while message := await reader.read(READ_SIZE):
                self._latest = writer
                self._pump.feed(message)
                if not self._pump.is_up():
                    self._hang_up()
        except ConnectionError:  # a client that was killed
            pass
        finally:
            self._forget(writer)

    def _deliver(self, reply: bytes) -> None:
        if self._latest is not None:
            self._latest.write(reply)

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._clients.discard(writer)
        if self._latest is writer:
            self._latest = None
            self._pump.line.hang_up()
        writer.close()

    def _hang_up(self) -> None:
        for writer in self._clients:
            writer.transport.abort()

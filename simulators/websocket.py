"""The websocket shell: one text message per JSON reply, one binary message per binary frame."""

import asyncio

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from simulators.faults import Line
from simulators.pump import Pump
from simulators.shell_clock import ShellClock
from simulators.tcp import LOOPBACK

__all__ = ["WebsocketShell"]


class WebsocketShell:
    """Serves one line; replies go to the client that sent last."""

    def __init__(self, line: Line, clock: ShellClock, port: int = 0) -> None:
        self._pump = Pump(line, clock, self._deliver)
        self._port = port
        self._server: Server | None = None
        self._clients: set[ServerConnection] = set()
        self._outgoing: asyncio.Queue[bytes] | None = None

    async def start(self) -> str:
        """Listen, and return the address as in ws://127.0.0.1:40125."""
        self._server = await serve(
            self._talk, LOOPBACK, self._port, compression=None, ping_interval=None
        )
        return f"ws://{LOOPBACK}:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def stop(self) -> None:
        self._pump.stop()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def tick(self) -> None:
        """Deliver what nobody asked for, and hang up while the line is down."""
        if not self._pump.is_up():
            self._hang_up()
        self._pump.flush()

    async def _talk(self, client: ServerConnection) -> None:
        if not self._pump.is_up():
            client.transport.abort()
            return
        outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        sender = asyncio.create_task(_send_all(client, outgoing))
        self._clients.add(client)
        try:
            async for message in client:
                self._outgoing = outgoing
                self._pump.feed(message.encode() if isinstance(message, str) else message)
                if not self._pump.is_up():
                    self._hang_up()
        except ConnectionClosed:  # a client that was killed
            pass
        finally:
            sender.cancel()
            self._forget(client, outgoing)

    def _deliver(self, reply: bytes) -> None:
        if self._outgoing is not None:
            self._outgoing.put_nowait(reply)

    def _forget(self, client: ServerConnection, outgoing: asyncio.Queue[bytes]) -> None:
        self._clients.discard(client)
        if self._outgoing is outgoing:
            self._outgoing = None
            self._pump.line.hang_up()

    def _hang_up(self) -> None:
        for client in self._clients:
            client.transport.abort()


async def _send_all(client: ServerConnection, outgoing: asyncio.Queue[bytes]) -> None:
    while True:
        reply = await outgoing.get()
        is_text = reply.startswith(b"{")
        try:
            await client.send(reply.decode(errors="replace") if is_text else reply)
        except ConnectionClosed:
            return

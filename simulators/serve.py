"""Serves a whole simulated setup to real clients, on loopback only, in scaled real time."""

import asyncio
import contextlib
import logging
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, Protocol

from simulators.faults import Line
from simulators.pty import PtyShell
from simulators.setup import SimulatedSetup
from simulators.shell_clock import ShellClock
from simulators.supply_log import SupplyLog
from simulators.tcp import TcpShell
from simulators.websocket import WebsocketShell

__all__ = ["TRANSPORTS", "Transport", "serve"]

logger = logging.getLogger(__name__)

Transport = Literal["tcp", "serial", "ws"]
TRANSPORTS: Final[dict[str, tuple[Transport, ...]]] = {  # the first is the default
    "cryostat": ("tcp",),
    "bias": ("tcp", "serial"),
    "elliptec": ("serial", "tcp"),
    "icl": ("ws",),
    "gauge": ("tcp", "serial"),
    "power_meter": ("tcp",),
    "spectrograph": ("serial", "tcp"),
    "rotator": ("serial", "tcp"),
    "flip": ("serial", "tcp"),
    "relay": ("serial", "tcp"),
    "positioner": ("tcp",),
}
TICK_S: Final = 0.05  # real time between two looks at a world that nobody asks


class Shell(Protocol):
    """What serves one line."""

    async def start(self) -> str: ...

    async def stop(self) -> None: ...

    def tick(self) -> None: ...


def serve(
    setup: SimulatedSetup,
    scale: float = 1.0,
    *,
    transports: Mapping[str, Transport] | None = None,
    ports: Mapping[str, int] | None = None,
    directory: Path | None = None,
    supply_log: Path | None = None,
    ready: Callable[[Mapping[str, str]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until `stop` says so.

    scale: simulated seconds in one real second. transports: per port, other than the default.
    ports: TCP port numbers; a free one is taken where none is named. directory: where the names
    of pseudo-terminals go, one of its own by default. supply_log: file that the supply's own log
    is appended to. ready: gets the addresses, such as {"cryostat": "tcp://127.0.0.1:40123"}.
    Raises ValueError for a transport that a port does not have, OSError for a port in use.
    """
    served = {port: known for port, known in TRANSPORTS.items() if port in setup.lines}
    chosen = _choose(transports or {}, served)
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cryoscan-")))
        clock = ShellClock(scale, setup.world.now)
        shells = {
            port: _shell(setup.line(port), transport, clock, (ports or {}).get(port, 0), directory)
            for port, transport in chosen.items()
        }
        if supply_log is not None:
            setup.world.bias.log = log = SupplyLog(supply_log, setup.world.bias.log)
            stack.callback(log.close)
        asyncio.run(_run(setup, clock, shells, ready, stop))


def _choose(
    transports: Mapping[str, Transport], served: Mapping[str, tuple[Transport, ...]]
) -> dict[str, Transport]:
    chosen: dict[str, Transport] = {port: known[0] for port, known in served.items()}
    for port, transport in transports.items():
        if transport not in served.get(port, ()):
            allowed = ", ".join(f"{name}: {' or '.join(known)}" for name, known in served.items())
            raise ValueError(f"no {transport!r} at port {port!r}; there is {allowed}")
        chosen[port] = transport
    return chosen


def _shell(line: Line, transport: Transport, clock: ShellClock, port: int, names: Path) -> Shell:
    match transport:
        case "tcp":
            return TcpShell(line, clock, port)
        case "ws":
            return WebsocketShell(line, clock, port)
        case "serial":
            return PtyShell(line, clock, names / line.device)


async def _run(
    setup: SimulatedSetup,
    clock: ShellClock,
    shells: Mapping[str, Shell],
    ready: Callable[[Mapping[str, str]], None] | None,
    stop: Callable[[], bool] | None,
) -> None:
    stopped = asyncio.Event()
    _stop_on_signals(stopped)
    try:
        addresses = {port: await shell.start() for port, shell in shells.items()}
        if ready is not None:
            ready(addresses)
        while not stopped.is_set() and not (stop and stop()):
            setup.world.advance(clock.now())
            for shell in shells.values():
                shell.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), TICK_S)
    finally:
        for shell in shells.values():
            await shell.stop()


def _stop_on_signals(stopped: asyncio.Event) -> None:
    """Stop cleanly on SIGTERM and SIGINT; signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows: the loop has no signal handlers
            signal.signal(number, lambda *_: stopped.set())

"""The serial shell: a pseudo-terminal in raw mode under a stable name (POSIX only).

Both ends are raw, and the slave stays open here, or the line would fail whenever a client leaves.
While the line is down the terminal is gone, like an unplugged USB adapter; afterwards the same
name leads to a new one.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from simulators.faults import Line
from simulators.pump import Pump
from simulators.shell_clock import ShellClock

__all__ = ["PtyShell"]

logger = logging.getLogger(__name__)
READ_SIZE: Final = 1 << 16


class PtyShell:
    """Serves one line at a symbolic link. Raises OSError where there are no pseudo-terminals."""

    def __init__(self, line: Line, clock: ShellClock, link: Path) -> None:
        self._pump = Pump(line, clock, self._deliver)
        self._link = link
        self._ends: tuple[int, int] | None = None

    async def start(self) -> str:
        """Plug in, and return the address as in serial:///tmp/cryoscan-x/elliptec."""
        self._plug_in()
        return f"serial://{self._link}"

    async def stop(self) -> None:
        self._pump.stop()
        self._unplug()

    def tick(self) -> None:
        """Deliver what nobody asked for, and be unplugged while the line is down."""
        if not self._pump.is_up():
            self._unplug()
        elif self._ends is None:
            self._plug_in()
        self._pump.flush()

    def _plug_in(self) -> None:
        if not hasattr(os, "openpty"):
            raise OSError("this system has no pseudo-terminals: serve the port over tcp")
        import tty  # noqa: PLC0415 - exists on POSIX only

        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._ends = master, slave
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        asyncio.get_running_loop().add_reader(master, self._read)

    def _unplug(self) -> None:
        if self._ends is not None:
            asyncio.get_running_loop().remove_reader(self._ends[0])
            for end in self._ends:
                os.close(end)
            self._ends = None
            self._link.unlink(missing_ok=True)

    def _read(self) -> None:
        if self._ends is not None:
            self._pump.feed(os.read(self._ends[0], READ_SIZE))
            if not self._pump.is_up():
                self._unplug()

    def _deliver(self, reply: bytes) -> None:
        if self._ends is None:
            return
        try:
            os.write(self._ends[0], reply)
        except BlockingIOError:  # nobody reads: a serial line forgets, too
            logger.debug("%s: %d bytes lost, the client does not read", self._link, len(reply))

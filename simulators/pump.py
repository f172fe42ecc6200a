"""Moves messages between one line and the client of a shell, in scaled real time."""

import asyncio
from collections.abc import Callable

from simulators.faults import Line
from simulators.shell_clock import ShellClock

__all__ = ["Pump"]


class Pump:
    """Feeds a line, and delivers what it answers when that is due.

    Runs inside one asyncio loop, which all lines of a world share: the world has one thread.
    """

    def __init__(self, line: Line, clock: ShellClock, deliver: Callable[[bytes], None]) -> None:
        self.line = line
        self._clock = clock
        self._deliver = deliver
        self._alarm: asyncio.TimerHandle | None = None

    def is_up(self) -> bool:
        """Whether the line works; a shell hangs up, and refuses, while it does not."""
        return self.line.is_open(self._clock.now())

    def feed(self, message: bytes) -> None:
        self.line.receive(message, self._clock.now())
        self.flush()

    def flush(self) -> None:
        """Deliver everything due by now, and come back when the next reply is due."""
        now = self._clock.now()
        for reply in self.line.transmit(now):
            self._deliver(reply)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self.line.next_due()
        if due is not None:
            delay_s = self._clock.real_s(due - now)
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self.flush)

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

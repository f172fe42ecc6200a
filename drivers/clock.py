"""The one place where time comes from.

All waiting goes through a Clock: real for the laboratory, scaled for a simulated setup in another
process that runs k times faster, paced for one in this process that a person sits at, virtual for a
whole night in seconds.
"""

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "PacedClock", "RealClock", "ScaledClock", "VirtualClock"]

MOST_LATE_S = 0.25  # of life, that a paced clock makes up for


class Clock(Protocol):
    """Monotonic experiment time, and the only way to let it pass."""

    def now(self) -> float:
        """Return the experiment time in s; monotonic, its zero is arbitrary."""
        ...

    def utc(self) -> float:
        """Return the wall clock in s since 1970-01-01 UTC; it may step."""
        ...

    def wait(self, seconds: float) -> None:
        """Let that much experiment time pass; zero or negative returns at once."""
        ...

    def patience_s(self, seconds: float) -> float:
        """Return the experiment time to grant to what should take no longer than that.

        Never less than so many seconds of life: computer and lines are not faster than real.
        """
        ...


class ScaledClock:
    """Real time multiplied: `factor` seconds of experiment pass in one second of life."""

    def __init__(self, factor: float = 1.0) -> None:
        if not factor > 0:
            raise ValueError(f"clock factor {factor} must be positive")
        self.factor = factor

    def now(self) -> float:
        return time.monotonic() * self.factor

    def utc(self) -> float:
        return time.time()

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds / self.factor)

    def patience_s(self, seconds: float) -> float:
        return seconds * max(1.0, self.factor)


class RealClock(ScaledClock):
    """Experiment time is real time."""

    def __init__(self) -> None:
        super().__init__(1.0)


class PacedClock(ScaledClock):
    """Scaled time for simulators in this process: it passes in waits only, each as long as in life.

    A computer that is busy makes the experiment late, never impatient: no reply of a simulator
    comes too late because nobody had time to look. What was late is made up for, a little.
    """

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__(factor)
        self._now_s = 0.0
        self._began_s = time.monotonic()

    def now(self) -> float:
        return self._now_s

    def wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self._now_s += seconds
        early_s = self._began_s + self._now_s / self.factor - time.monotonic()
        if early_s > 0:
            time.sleep(early_s)
        elif -early_s > MOST_LATE_S:
            self._began_s -= early_s + MOST_LATE_S


class VirtualClock:
    """Time that jumps: a wait returns at once, with the clock later by that much.

    `on_advance` is called with the new time after each jump, so that a simulated world keeps up.
    """

    def __init__(self, start_utc: float = 1_800_000_000.0) -> None:
        self._now = 0.0
        self._start_utc = start_utc
        self.on_advance: list[Callable[[float], None]] = []

    def now(self) -> float:
        return self._now

    def utc(self) -> float:
        return self._start_utc + self._now

    def wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self._now += seconds
        for follow in self.on_advance:
            follow(self._now)

    def patience_s(self, seconds: float) -> float:
        return seconds

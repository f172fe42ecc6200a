"""Readings that go on while everything else waits."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from acquisition.storage.record import StreamBatch
from drivers.errors import DeviceError
from drivers.roles import Reading

__all__ = ["Monitor", "Monitors"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Monitor:
    """One read of one or several channels, repeated at its own period."""

    name: str
    period_s: float
    read: Callable[[], Mapping[str, Reading]]


class Monitors:
    """Polls what is due, remembers the latest reading of each channel, and keeps the streams.

    report: hears of a monitor that fails, once, and when it reads again.
    """

    def __init__(self, monitors: Iterable[Monitor]) -> None:
        self.report: Callable[[str], None] = logger.warning
        self._monitors = tuple(monitors)
        self._due_s = [0.0] * len(self._monitors)
        self.latest: dict[str, Reading] = {}
        self._times: dict[str, list[float]] = {}
        self._values: dict[str, list[float]] = {}
        self._failing: set[str] = set()
        self._next_s = 0.0
        self._extremes: dict[str, tuple[float, float]] = {}

    @property
    def next_due_s(self) -> float:
        """Return the clock time of the next reading; infinity without monitors."""
        return self._next_s

    def poll(self, now: float) -> None:
        """Read every channel that is due. A reading that fails is absent, never the last one."""
        if now < self._next_s:
            return
        for place, monitor in enumerate(self._monitors):
            if self._due_s[place] <= now:
                self._read(monitor)
                self._due_s[place] = now + monitor.period_s
        self._next_s = min(self._due_s, default=float("inf"))

    def read_now(self, now: float) -> Mapping[str, Reading]:
        """Read every channel whatever its period and return the latest readings."""
        self._due_s = [now] * len(self._monitors)
        self._next_s = now
        self.poll(now)
        return self.latest

    def value(self, channel: str) -> float:
        """Return the latest value, NaN if there is none or it is not good."""
        reading = self.latest.get(channel)
        return reading.value if reading is not None and reading.is_good else float("nan")

    def mark(self) -> None:
        """Begin to collect extremes anew."""
        self._extremes.clear()

    def extremes(self, channel: str) -> tuple[float, float]:
        """Return the lowest and highest value since mark(); NaN if one reading was not good.

        Without a reading since then they are inf and -inf.
        """
        return self._extremes.get(channel, (float("inf"), float("-inf")))

    def batches(self, to_run_time: Callable[[float], float]) -> tuple[StreamBatch, ...]:
        """Return the readings since forget_batches()."""
        return tuple(
            StreamBatch(
                channel,
                self.latest[channel].unit,
                np.array([to_run_time(t) for t in times]),
                np.array(self._values[channel]),
            )
            for channel, times in self._times.items()
            if times
        )

    def forget_batches(self) -> None:
        """Forget the readings: they are stored."""
        self._times.clear()
        self._values.clear()

    def _read(self, monitor: Monitor) -> None:
        try:
            readings = monitor.read()
        except DeviceError as error:
            if monitor.name not in self._failing:
                self.report(f"monitor {monitor.name} fails: {error}")
            self._failing.add(monitor.name)
            return
        if monitor.name in self._failing:
            self._failing.remove(monitor.name)
            self.report(f"monitor {monitor.name} reads again")
        for channel, reading in readings.items():
            self.latest[channel] = reading
            value = reading.value if reading.is_good else float("nan")
            self._times.setdefault(channel, []).append(reading.time_s)
            self._values.setdefault(channel, []).append(value)
            low, high = self.extremes(channel)
            # compared such that a NaN, once in, stays in
            self._extremes[channel] = (
                low if isnan(low) or low <= value else value,
                high if isnan(high) or high >= value else value,
            )

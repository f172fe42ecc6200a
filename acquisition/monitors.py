"""Readings that go on while everything else waits."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from acquisition.record import StreamBatch
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
    """Polls what is due, remembers the latest reading of each channel, and keeps the streams."""

    def __init__(self, monitors: Iterable[Monitor]) -> None:
        self._due = [[0.0, monitor] for monitor in monitors]
        self.latest: dict[str, Reading] = {}
        self._times: dict[str, list[float]] = {}
        self._values: dict[str, list[float]] = {}
        self._failing: set[str] = set()
        self._next_s = 0.0

    @property
    def next_due_s(self) -> float:
        """Return the clock time of the next reading; infinity without monitors."""
        return self._next_s

    def poll(self, now: float) -> None:
        """Read every channel that is due. A reading that fails is absent, never the last one."""
        if now < self._next_s:
            return
        for entry in self._due:
            if entry[0] <= now:
                monitor = entry[1]
                assert isinstance(monitor, Monitor)  # noqa: S101
                self._read(monitor)
                entry[0] = now + monitor.period_s
        self._next_s = min((float(entry[0]) for entry in self._due), default=float("inf"))

    def read_now(self, now: float) -> Mapping[str, Reading]:
        """Read every channel whatever its period and return the latest readings."""
        for entry in self._due:
            entry[0] = now
        self._next_s = now
        self.poll(now)
        return self.latest

    def take_batches(self, to_run_time: Callable[[float], float]) -> tuple[StreamBatch, ...]:
        """Return and forget the readings since the last call."""
        batches = tuple(
            StreamBatch(
                channel,
                self.latest[channel].unit,
                np.array([to_run_time(t) for t in times]),
                np.array(self._values[channel]),
            )
            for channel, times in self._times.items()
            if times
        )
        self._times.clear()
        self._values.clear()
        return batches

    def _read(self, monitor: Monitor) -> None:
        try:
            readings = monitor.read()
        except DeviceError as error:
            if monitor.name not in self._failing:
                logger.warning("monitor %s: %s", monitor.name, error)
            self._failing.add(monitor.name)
            return
        self._failing.discard(monitor.name)
        for channel, reading in readings.items():
            self.latest[channel] = reading
            self._times.setdefault(channel, []).append(reading.time_s)
            self._values.setdefault(channel, []).append(
                reading.value if reading.is_good else float("nan")
            )

"""Our instruments as Bluesky's RunEngine expects its own: structural, without importing Bluesky.

A RunEngine only waits for callbacks, and our Status advances only when it is polled: `Polled` polls
it in a thread of its own. As long as a RunEngine runs, nothing else may talk to the instrument.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any

from drivers.clock import Clock
from drivers.roles import Device, Reading
from drivers.status import Status

__all__ = ["Detector", "Movable", "Polled", "Readable"]

INTERVAL_S = 0.02


class Polled:
    """A Status that advances by itself (bluesky.protocols.Status).

    interval_s: experiment time between polls.
    """

    def __init__(self, status: Status, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._status = status
        self._finished = Event()
        self._thread = Thread(target=self._advance, args=(clock, interval_s), daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return self._finished.is_set()

    @property
    def success(self) -> bool:
        return self.done and self._status.success

    def exception(self, timeout: float | None = 0.0) -> Exception | None:
        """Return what went wrong, None after success. Raises TimeoutError if not done in time."""
        if not self._finished.wait(timeout):
            raise TimeoutError(f"{self._status.action}: not done in {timeout} s")
        return self._status.exception()

    def add_callback(self, callback: Callable[["Polled"], None]) -> None:
        """Call back with this status when it is done; at once if it is already."""
        self._status.add_callback(lambda _: callback(self))

    def _advance(self, clock: Clock, interval_s: float) -> None:
        # Before the callbacks of the RunEngine, which look at `done`
        self._status.add_callback(lambda _: self._finished.set())
        while not self._status.poll():
            clock.wait(interval_s)


class Readable:
    """An instrument whose channels are read (bluesky.protocols.Readable)."""

    parent = None

    def __init__(self, device: Device, clock: Clock) -> None:
        self.name = device.name
        self._device = device
        self._clock = clock

    def read(self) -> dict[str, dict[str, Any]]:
        """Return value and timestamp (s since 1970) of each channel, as name_channel."""
        readings = self._device.read()
        return {self._key(channel): self._event(reading) for channel, reading in readings.items()}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return source, type, shape and unit of each channel."""
        return {
            self._key(channel): {
                "source": f"cryoscan:{self.name}.{channel}",
                "dtype": "number",
                "shape": [],
                "units": reading.unit,
            }
            for channel, reading in self._device.read().items()
        }

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        now = self._clock.utc()
        return {
            self._key(name): {"value": setting, "timestamp": now}
            for name, setting in self._device.settings().items()
        }

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        return {
            self._key(name): {"source": f"cryoscan:{self.name}", "dtype": _kind(value), "shape": []}
            for name, value in self._device.settings().items()
        }

    def _key(self, channel: str) -> str:
        return f"{self.name}_{channel}"

    def _event(self, reading: Reading) -> dict[str, Any]:
        taken_s = self._clock.utc() + reading.time_s - self._clock.now()
        return {"value": reading.value, "timestamp": taken_s}


class Movable(Readable):
    """An instrument with one quantity to set (bluesky.protocols.Movable).

    channel: the one that says where it is. start: begins a move, such as a stage's `set`.
    """

    def __init__(
        self, device: Device, clock: Clock, channel: str, start: Callable[[float], Status]
    ) -> None:
        super().__init__(device, clock)
        self._channel = channel
        self._start = start
        self.hints: Mapping[str, Any] = {"fields": [self._key(channel)]}

    @property
    def position(self) -> float:
        return self._device.read()[self._channel].value

    def set(self, value: float) -> Polled:
        """Start to move; the status is done when the instrument is."""
        return Polled(self._start(float(value)), self._clock)


class Detector(Readable):
    """An instrument that is triggered (bluesky.protocols.Triggerable).

    start: begins an exposure. result: what came of it, a number per name; units: their units.
    """

    def __init__(
        self,
        device: Device,
        clock: Clock,
        start: Callable[[], Status],
        result: Callable[[], Mapping[str, float]],
        units: Mapping[str, str],
    ) -> None:
        super().__init__(device, clock)
        self._start = start
        self._result = result
        self._units = units
        self._found: dict[str, dict[str, Any]] = {}
        self.hints: Mapping[str, Any] = {"fields": [self._key(name) for name in units]}

    def trigger(self) -> Polled:
        """Start an exposure; the status is done when it is read out."""
        self._found = {}
        return Polled(self._start(), self._clock)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the result of the last trigger and the instrument's own channels."""
        if not self._found:
            now = self._clock.utc()
            self._found = {
                self._key(name): {"value": value, "timestamp": now}
                for name, value in self._result().items()
            }
        return {**self._found, **super().read()}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return source, type, shape and unit of result and channels."""
        result = {
            self._key(name): {
                "source": f"cryoscan:{self.name}.{name}",
                "dtype": "number",
                "shape": [],
                "units": unit,
            }
            for name, unit in self._units.items()
        }
        return {**result, **super().describe()}


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"

"""A look at one instrument: who it is, what its channels say, how fast it answers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from acquisition.instruments.devices_list import told
from drivers.clock import Clock, RealClock, VirtualClock
from drivers.roles import Device, Identity, Reading, Setting

__all__ = ["Health", "Latency", "examine"]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the same question took, in s."""

    question: str
    times_s: tuple[float, ...]

    def __str__(self) -> str:
        low, middle, high = (
            f"{1000 * time_s:.3g}"
            for time_s in (min(self.times_s), self.median_s, max(self.times_s))
        )
        number = len(self.times_s)
        return f"{self.question}: {low} ms shortest, {middle} median, {high} longest of {number}"

    @property
    def median_s(self) -> float:
        return median(self.times_s)


@dataclass(frozen=True, slots=True)
class Health:
    """What one instrument answered."""

    identity: Identity
    channels: Mapping[str, Reading]
    settings: Mapping[str, Setting]
    latencies: tuple[Latency, ...]

    @property
    def is_good(self) -> bool:
        """False if a channel has no value to trust."""
        return all(reading.is_good for reading in self.channels.values())

    def lines(self) -> Iterator[str]:
        """Yield all of it as text."""
        yield told(self.identity)
        if not self.channels:
            yield "no channel can be read at present"
        for name, reading in self.channels.items():
            said = f"{reading.status.value}  {reading.note}".rstrip()
            yield f"channel  {name} = {reading.value:g} {reading.unit}  {said}"
        for name, setting in self.settings.items():
            yield f"setting  {name} = {setting}"
        for latency in self.latencies:
            yield f"latency  {latency}"


def examine(device: Device, clock: Clock, queries: int) -> Health:
    """Ask an instrument everything it can be asked; change nothing. Raises DeviceError.

    Times are those of life, but of the simulated world where that is in this process.
    """
    watch = clock if isinstance(clock, VirtualClock) else RealClock()
    identity = device.identify()
    channels = device.read()
    settings = device.settings()
    latencies = tuple(
        Latency(question, tuple(_timed(ask, watch) for _ in range(queries)))
        for question, ask in (("name", device.identify), ("all channels", device.read))
    )
    return Health(identity, channels, settings, latencies)


def _timed(ask: Callable[[], object], watch: Clock) -> float:
    start_s = watch.now()
    ask()
    return watch.now() - start_s

"""What every channel read last, with when that was, as a watcher hears of it."""

from collections.abc import Mapping

from acquisition.channel.messages import ChannelReading
from drivers.clock import Clock, ScaledClock
from drivers.roles import Reading

__all__ = ["AT_POINT", "channel_readings", "seconds_since"]

AT_POINT = "at the latest point"
"""The text of a reading that is taken with each point only."""


def channel_readings(latest: Mapping[str, Reading], clock: Clock) -> tuple[ChannelReading, ...]:
    """Return each reading with its time; one that is not good has no value, but says why."""
    utc = clock.utc()
    return tuple(
        ChannelReading(
            channel=channel,
            unit=reading.unit,
            value=reading.value if reading.is_good else None,
            utc=utc - seconds_since(reading.time_s, clock),
            text=reading.note or ("" if reading.is_good else reading.status.value),
        )
        for channel, reading in latest.items()
    )


def seconds_since(time_s: float, clock: Clock) -> float:
    """Return the seconds of life since a moment of the experiment."""
    factor = clock.factor if isinstance(clock, ScaledClock) else 1.0
    return (clock.now() - time_s) / factor

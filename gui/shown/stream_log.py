"""Monitor readings over time, channel by channel, as they come."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import StreamBatch

__all__ = ["StreamLog"]

Array = NDArray[np.float64]
FIRST_ROOM = 256


class StreamLog:
    """Run time in s and value of each channel; NaN where a reading was not good."""

    def __init__(self) -> None:
        self._room: dict[str, Array] = {}  # (2, room): time, value
        self._used: dict[str, int] = {}
        self._units: dict[str, str] = {}

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of each channel, in order of appearance."""
        return self._units

    def put(self, batch: StreamBatch) -> None:
        """Add readings that are later than all before."""
        channel, new = batch.channel, batch.time_s.size
        self._units.setdefault(channel, batch.unit)
        used = self._used.get(channel, 0)
        room = self._room.get(channel, np.empty((2, FIRST_ROOM)))
        if used + new > room.shape[1]:
            larger = np.empty((2, 2 * (used + new)))
            larger[:, :used] = room[:, :used]
            room = larger
        room[0, used : used + new], room[1, used : used + new] = batch.time_s, batch.value
        self._room[channel], self._used[channel] = room, used + new

    def forget_before(self, time_s: float) -> None:
        """Drop the older half of a channel once all of it is older than this."""
        for channel, room in self._room.items():
            used = self._used[channel]
            half = used // 2
            if used > FIRST_ROOM and room[0, half] < time_s:
                room[:, : used - half] = room[:, half:used].copy()
                self._used[channel] = used - half

    def of(self, channel: str) -> tuple[Array, Array]:
        """Return run time in s and value; empty where nothing was read."""
        if channel not in self._room:
            return np.empty(0), np.empty(0)
        time_s, value = self._room[channel][:, : self._used[channel]]
        return time_s, value

"""Sweeps that wait for their turn, in order; filled by watchers, emptied by the bench."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from acquisition.alignment.hand_move import Refused
from acquisition.channel.messages import QueuedSweep
from acquisition.configuration.config import Configuration, load_texts
from acquisition.planning.check import summarise
from acquisition.planning.expand import expand
from acquisition.planning.point_table import PointTable
from acquisition.planning.price import price
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of

__all__ = ["SweepQueue", "WaitingSweep", "resumed_sweep", "waiting_sweep"]


@dataclass(frozen=True, slots=True)
class WaitingSweep:
    """A sweep that was checked; folder: of a run to be resumed, None for a new one."""

    listed: QueuedSweep
    configuration: Configuration
    table: PointTable
    folder: Path | None = None


def waiting_sweep(text: str, folder: Path, station_text: str, station_folder: Path) -> WaitingSweep:
    """Check a sweep file against this station.

    Raises ConfigError with every mistake; Refused where the disk would not do.
    """
    configuration = load_texts(text, station_text, folder=folder, station_folder=station_folder)
    result = summarise(configuration)
    if not result.disk_suffices:
        raise Refused(f"{result.name}: the disk: {dict(result.lines())['disk']}")
    table = expand(configuration.sweep, configuration.station)
    listed = QueuedSweep(
        identity=uuid.uuid4().hex[:8],
        name=result.name,
        points=len(table.points),
        duration_s=result.price.duration.total_s,
    )
    return WaitingSweep(listed, configuration, table)


def resumed_sweep(folder: Path, station_path: Path) -> WaitingSweep:
    """Look at a run that is to go on with this station.

    Raises StorageError, ConfigError; Refused for one that lacks nothing.
    """
    with JournalReader(folder) as reader:
        configuration = configuration_of(reader.meta, station_path)
        table, left = reader.table(), reader.todo()
    if not left:
        raise Refused(f"{folder.name}: every planned point is accepted already")
    cost = price(PointTable(table.axes, left), configuration.sweep, configuration.station)
    listed = QueuedSweep(
        identity=uuid.uuid4().hex[:8],
        name=f"{configuration.sweep.sweep.name} (resumed)",
        points=len(left),
        duration_s=cost.duration.total_s,
    )
    return WaitingSweep(listed, configuration, table, folder)


class SweepQueue:
    """First come, first served, unless somebody moves one up; safe in any thread.

    hold: why nothing begins although something waits; "" where it may.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[WaitingSweep] = []
        self._hold = ""

    @property
    def hold(self) -> str:
        return self._hold

    def listed(self) -> tuple[QueuedSweep, ...]:
        """Return what waits, the next first, each with what holds it back."""
        with self._lock:
            return tuple(
                QueuedSweep(
                    sweep.listed.identity,
                    sweep.listed.name,
                    sweep.listed.points,
                    sweep.listed.duration_s,
                    self._hold,
                )
                for sweep in self._waiting
            )

    def append(self, sweep: WaitingSweep) -> None:
        """Append a sweep; in an empty queue it is meant to begin, whatever held the ones before."""
        with self._lock:
            if not self._waiting:
                self._hold = ""
            self._waiting.append(sweep)

    def take(self) -> WaitingSweep | None:
        """Remove and return the next one, None if nothing may begin."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting and not self._hold else None

    def put_back(self, sweep: WaitingSweep) -> None:
        """Put a sweep that could not begin back to the front."""
        with self._lock:
            self._waiting.insert(0, sweep)

    def move_up(self, identity: str) -> None:
        """Let a sweep be one place earlier. Raises Refused."""
        with self._lock:
            place = self._place(identity)
            self._waiting.insert(max(0, place - 1), self._waiting.pop(place))

    def remove(self, identity: str) -> None:
        """Forget a sweep. Raises Refused."""
        with self._lock:
            del self._waiting[self._place(identity)]

    def hold_back(self, why: str) -> None:
        """Let nothing begin until go_on."""
        with self._lock:
            self._hold = why

    def go_on(self) -> None:
        with self._lock:
            self._hold = ""

    def _place(self, identity: str) -> int:
        for place, sweep in enumerate(self._waiting):
            if sweep.listed.identity == identity:
                return place
        raise Refused(f"no sweep {identity!r} waits; it may have begun already")

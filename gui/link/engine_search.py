"""Which engine the window watches: that of its station, else the one that runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from acquisition.channel.engine_address import EngineAddress, list_engines
from gui.link.engine_link import EngineLink
from gui.link.engine_start import EngineStart

__all__ = ["EngineSearch"]

ListEngines = Callable[[], Sequence[EngineAddress]]


class EngineSearch(QObject):
    """Finds the engine, and starts one where a station is known and none runs.

    wanted: the station file; None: whichever engine was started last.
    """

    _missing = pyqtSignal()  # from the greeting thread

    def __init__(
        self,
        link: EngineLink,
        station: Path | None = None,
        parent: QObject | None = None,
        *,
        engines: ListEngines = list_engines,
    ) -> None:
        super().__init__(parent)
        self._link = link
        self._station = station.resolve() if station is not None else None
        self._engines = engines
        self._starts_missing = False
        self.engine_start = EngineStart(self)
        link.said_hello.connect(self._on_hello)
        self._missing.connect(self.start)

    @property
    def station(self) -> Path | None:
        return self._station

    def watch(self, *, start_missing: bool = False) -> None:
        """Look for the engine from now on; start_missing: the station's is started if need be."""
        self._starts_missing = start_missing and self._station is not None
        self._link.follow(self._find)

    def choose(self, station: Path) -> None:
        """Watch this station's engine, started if need be."""
        self._station = station.resolve()
        self.watch(start_missing=True)

    def start(self) -> None:
        """Start an engine for the station."""
        if self._station is not None:
            self.engine_start.start(self._station)

    def _find(self) -> EngineAddress | None:
        """Return the engine's address; called in the thread that greets."""
        engines = self._engines()
        if self._station is None:
            return next(iter(engines), None)
        found = next((one for one in engines if Path(one.station_path) == self._station), None)
        if found is None and engines:
            found = _owner(self._station, engines)
        if found is None and self._starts_missing:
            self._starts_missing = False
            self._missing.emit()
        return found

    def _on_hello(self) -> None:
        self._starts_missing = False
        self.engine_start.settle()


def _owner(station: Path, engines: Sequence[EngineAddress]) -> EngineAddress | None:
    """Return the engine, or the run, that owns instruments of the station by another file."""
    # imported here, in the greeting thread: the window is usable before all of it is loaded
    from acquisition.channel.station_claim import holders_of  # noqa: PLC0415
    from acquisition.configuration.config import ConfigError, load_station  # noqa: PLC0415

    try:
        owners = {holder.pid for holder in holders_of(load_station(station))}
    except (ConfigError, OSError):  # its own engine will say what is wrong
        return None
    return next((one for one in engines if one.pid in owners), None)

"""One engine for a station: it holds a lock for each address of its instruments, and its file.

The operating system frees the locks when their holder ends, however it ends. What a lock file says
of its holder is true as long as the lock is held. Simulated instruments of the same process are
nobody else's and not locked.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from acquisition.channel.engine_address import runtime_folder
from acquisition.configuration.station_file import InstrumentConfig, StationConfig
from acquisition.storage.run_folder import lock_file
from drivers.clock import RealClock

__all__ = ["Holder", "StationClaim", "StationTaken", "claimed", "holders_of"]

LONGEST_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class Holder:
    """Who owns a station's instruments: "engine" or "run", and what of."""

    what: str
    of: str
    pid: int
    since_utc: float

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_utc, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"the {self.what} of {self.of}, pid {self.pid}, since {since}"


class StationTaken(ValueError):  # noqa: N818 - what is so, not what went wrong
    """Another process owns instruments of this station."""

    def __init__(self, what: str, holder: Holder | None) -> None:
        super().__init__(
            f"{what} belongs to {holder or 'another process'}; attach to it with `cryoscan gui` or "
            "`cryoscan watch`, or let it end first"
        )
        self.holder = holder


class StationClaim:
    """The right to a station's instruments, until released or until this process ends."""

    def __init__(
        self, station: StationConfig, what: str, of: str, file: Path | None = None
    ) -> None:
        """Take it. Raises StationTaken, naming the holder; OSError without a place for locks.

        file: the station's, which is taken too, so that it has one engine whatever it names.
        """
        holder = Holder(what, of, os.getpid(), RealClock().utc())
        self._files: list[int] = []
        try:
            for place, words in _places(station, file).items():
                self._files.append(_taken(place, words, holder))
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give it back; twice is harmless."""
        while self._files:
            file = self._files.pop()
            os.truncate(file, 0)
            os.close(file)


@contextmanager
def claimed(station: StationConfig, what: str, of: str) -> Iterator[None]:
    """Own the instruments of a station while the block runs. Raises as StationClaim does."""
    claim = StationClaim(station, what, of)
    try:
        yield
    finally:
        claim.release()


def holders_of(station: StationConfig) -> tuple[Holder, ...]:
    """Return who took instruments of this station last; whether they still run is not asked."""
    found = []
    for place in _places(station, None):
        with suppress(FileNotFoundError):
            file = os.open(_path(place), os.O_RDONLY)
            found.append(_read(file))
            os.close(file)
    return tuple(holder for holder in found if holder is not None)


def _places(station: StationConfig, file: Path | None) -> Mapping[str, str]:
    """Return what is locked, each with the words for a message."""
    places = {} if file is None else {f"file {file.resolve()}": f"the station {file}"}
    for name in type(station).model_fields:
        section = getattr(station, name)
        if isinstance(section, InstrumentConfig) and not section.address.startswith("sim://"):
            places.setdefault(_place(section.address), f"{name} at {section.address}")
    return places


def _place(address: str) -> str:
    """Return the same text for the same line, without baud rates and through links of names."""
    body = address.strip().partition("?")[0]
    scheme, _, rest = body.partition("://")
    if scheme == "serial" and rest.startswith("/"):
        return f"serial://{os.path.realpath(rest)}"
    return body.casefold().replace("//localhost", "//127.0.0.1")


def _taken(place: str, words: str, holder: Holder) -> int:
    """Return the open, locked file of a place."""
    file = os.open(_path(place), os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        lock_file(file)
    except OSError as error:
        found = _read(file)
        os.close(file)
        raise StationTaken(words, found) from error
    os.truncate(file, 0)
    os.write(file, json.dumps(asdict(holder)).encode())
    return file


def _path(place: str) -> Path:
    # never removed: who removes a lock file may remove one that another process has just locked
    readable = re.sub(r"\W+", "_", place)[-60:]
    return runtime_folder() / f"station-{readable}-{sha256(place.encode()).hexdigest()[:12]}.lock"


def _read(file: int) -> Holder | None:
    """Return who holds a file; None where that is being written at this moment."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        return Holder(**json.loads(os.read(file, LONGEST_BYTES)))
    except (ValueError, TypeError):
        return None

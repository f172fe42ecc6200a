"""Where the running engines of this user can be reached: one owner-only file for each.

The file holds the token: whoever can read it may command the engine. It disappears with the engine;
what a killed one has left behind is removed by whoever looks.
"""

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from warnings import catch_warnings, simplefilter

import platformdirs

__all__ = ["EngineAddress", "announced", "list_engines", "runtime_folder"]

logger = logging.getLogger(__name__)

RUNTIME = "CRYOSCAN_RUNTIME"
PROBE_S = 0.5
LONGEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """One engine. run_folder is empty unless it serves one run only."""

    host: str
    port: int
    token: str
    pid: int
    station: str
    station_path: str
    run_folder: str
    started_utc: float

    def __repr__(self) -> str:
        """Leave the token out of logs."""
        return f"EngineAddress({self.host}:{self.port}, pid {self.pid}, {self.station})"


def runtime_folder() -> Path:
    """Return this user's folder for addresses; CRYOSCAN_RUNTIME overrides it.

    Raises PermissionError if it belongs to somebody else.
    """
    chosen = os.environ.get(RUNTIME)
    folder = Path(chosen) if chosen else _own_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32":
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder}: belongs to another user")
        folder.chmod(0o700)
    return folder


def _own_folder() -> Path:
    with catch_warnings():  # without a session it is one in /tmp, which nobody needs to be told
        simplefilter("ignore")
        return platformdirs.user_runtime_path("cryoscan", ensure_exists=True)


@contextmanager
def announced(address: EngineAddress) -> Iterator[Path]:
    """Let others find this engine as long as the block runs. Raises OSError."""
    file = runtime_folder() / f"engine-{address.pid}-{address.port}.json"
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(address), stream)
    unfinished.replace(file)
    try:
        yield file
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def list_engines() -> list[EngineAddress]:
    """Return the engines that run, the youngest first; forget those that died."""
    engines = []
    for file in runtime_folder().glob("engine-*.json"):
        address = _read(file)
        if address is not None and _is_alive(address):
            engines.append(address)
        elif address is not None:
            with suppress(OSError):
                file.unlink(missing_ok=True)
    return sorted(engines, key=lambda engine: -engine.started_utc)


def _read(file: Path) -> EngineAddress | None:
    try:
        with file.open(encoding="utf-8") as stream:
            fields = json.loads(stream.read(LONGEST_BYTES))
        return EngineAddress(**fields)
    except FileNotFoundError:
        return None  # it ended this moment
    except (OSError, ValueError, TypeError) as error:
        logger.warning("%s is not the address of an engine: %s", file, error)
        return None


def _is_alive(address: EngineAddress) -> bool:
    """Return whether the process exists and its port is open, even if nobody looks after it."""
    if sys.platform != "win32":
        try:
            os.kill(address.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return False  # the number went to a process of another user
    try:
        socket.create_connection((address.host, address.port), PROBE_S).close()
    except TimeoutError:
        return True  # its backlog is full: it hangs, but is there
    except OSError:
        return False
    return True

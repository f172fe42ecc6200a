"""One program per line: a lock file for each address, which tells who holds it.

The operating system frees the lock when its holder ends, however it ends. On Windows, where serial
ports are exclusive by themselves, there is none.
"""

import os
import re
import sys
from hashlib import sha256
from pathlib import Path
from warnings import catch_warnings, simplefilter

from platformdirs import user_runtime_path

from drivers.errors import LinkClosed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LineLock"]


class LineLock:
    """The right to talk at one address, for one program of this user at a time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; twice is harmless. Raises LinkClosed with the holder's name."""
        if self._file is not None or fcntl is None:
            return
        file = os.open(_path(self.address), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 1000).decode(errors="replace") or "another program"
            os.close(file)
            raise LinkClosed(self.address, f"in use by {holder}") from error
        os.truncate(file, 0)
        os.write(file, f"{_program()} (process {os.getpid()})".encode())
        self._file = file

    def release(self) -> None:
        """Give the lock back; twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def __del__(self) -> None:
        """Give the lock back with a link that nobody closed, as the system does with its line."""
        self.release()


def _path(address: str) -> Path:
    # Never removed: who removes a lock file may remove one that another program has just locked
    readable = re.sub(r"\W+", "_", address)[-80:]
    digest = sha256(address.encode()).hexdigest()[:12]
    return _folder() / f"{readable}-{digest}.lock"


def _folder() -> Path:
    with catch_warnings():  # without a session there is no runtime folder but one in /tmp
        simplefilter("ignore")
        return user_runtime_path("cryoscan", ensure_exists=True)


def _program() -> str:
    """Return the program's name and first argument, such as "cryoscan run"."""
    file = Path(sys.argv[0])
    name = file.parent.name if file.name == "__main__.py" else file.name
    return " ".join([name or "python", *sys.argv[1:2]])

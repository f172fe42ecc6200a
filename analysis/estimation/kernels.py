"""Which code fits: the compiled kernels, or numpy until they are ready.

Loading kernels that were compiled before takes half a second, in a thread; compiling them takes a
quarter of a minute, once for each version of the package, in a process of its own that outlives
this one and leaves the cores to others. Whoever must not change the code midway settles first.
The environment variable CRYOSCAN_KERNELS decides beforehand: numpy keeps numba out altogether,
compiled waits for the kernels.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import subprocess
import sys
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock, Thread

from analysis.estimation.kernel_cache import cache_folder

__all__ = ["VARIABLE", "FitCode", "code_in_use", "prepare", "settle", "status"]

logger = logging.getLogger(__name__)

COMPILATION_S = 300.0  # longer than any lasts: after that another one is tried
POLL_S = 0.5
VARIABLE = "CRYOSCAN_KERNELS"


class FitCode(Enum):
    NUMPY = "numpy"
    COMPILED = "compiled"

    @property
    def in_words(self) -> str:
        return "numpy" if self is FitCode.NUMPY else "compiled kernels"


class _Kernels:
    """The state of this process."""

    def __init__(self) -> None:
        self.code = FitCode.NUMPY
        self.text = "fits by numpy"
        self.is_settled = False
        self.loaded = Event()
        self.lock = Lock()
        self.thread: Thread | None = None

    def begin(self) -> None:
        with self.lock:
            if self.thread is None and _asked_for() is not FitCode.NUMPY:
                self.thread = Thread(target=self._prepare, name="fit kernels", daemon=True)
                self.thread.start()

    def _prepare(self) -> None:
        try:
            if not _ready_mark().exists():
                self.text = "fits by numpy while the kernels compile, once for this version"
                logger.info(self.text)
                _compile_elsewhere()
            _load()
        except (ImportError, OSError, subprocess.SubprocessError) as error:
            self.text = f"fits by numpy: no compiled kernels ({error})"
            logger.warning(self.text)
            return
        with self.lock:
            self.loaded.set()
            if not self.is_settled:
                self._use(FitCode.COMPILED)

    def settle(self, longest_s: float) -> FitCode:
        self.begin()
        if self.thread and (_asked_for() is FitCode.COMPILED or _ready_mark().exists()):
            self.loaded.wait(longest_s)
        with self.lock:
            self.is_settled = True
            self._use(FitCode.COMPILED if self.loaded.is_set() else FitCode.NUMPY)
            return self.code

    def _use(self, code: FitCode) -> None:
        self.code = code
        if code is FitCode.COMPILED:
            self.text = "fits by compiled kernels"


_KERNELS = _Kernels()


def code_in_use() -> FitCode:
    """Return what the next fit of this process runs on."""
    return _KERNELS.code


def status() -> str:
    """Return in words what fits, and why."""
    return _KERNELS.text


def prepare() -> None:
    """Load the kernels in the background, compiled first if need be; fits use them from then on."""
    _KERNELS.begin()


def settle(*, longest_s: float) -> FitCode:
    """Decide once for this process and return what fits.

    Waits for kernels that are compiled already; for a compilation only where CRYOSCAN_KERNELS asks
    for compiled ones. Raises ValueError if that names anything else.
    """
    return _KERNELS.settle(longest_s)


def _asked_for() -> FitCode | None:
    name = os.environ.get(VARIABLE)
    return FitCode(name) if name else None


def _load() -> None:
    from analysis.estimation import fit_kernel  # noqa: PLC0415 - numba is slow to import

    fit_kernel.warm_up()


def _ready_mark() -> Path:
    """Return the file that says that this source was compiled, for this interpreter and host."""
    source = Path(__file__).with_name("fit_kernel.py").stat()
    made_of = (
        source.st_size,
        source.st_mtime_ns,
        sys.version,
        version("numba"),
        version("numpy"),
        platform.node(),
        platform.machine(),
    )
    return cache_folder() / f"ready-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]}"


def _compile_elsewhere() -> None:
    """Compile in another process and wait for it, or for one that does so already."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "compilation.log"
    waited_s = 0.0
    while _is_going_on(folder) and not _ready_mark().exists() and waited_s < COMPILATION_S:
        Event().wait(POLL_S)
        waited_s += POLL_S
    if _ready_mark().exists():
        return
    with log.open("w") as output:
        subprocess.run(
            [sys.executable, "-P", "-m", "analysis.estimation.kernels"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            start_new_session=True,  # goes on when this process ends
        )


def _is_going_on(folder: Path) -> bool:
    """Return whether a compilation was begun and has neither ended nor been forgotten."""
    sign, now = folder / "compiling", folder / f"now-{os.getpid()}"
    now.touch()
    try:
        age_s = now.stat().st_mtime - sign.stat().st_mtime
    except FileNotFoundError:
        return False
    finally:
        now.unlink()
    return age_s < COMPILATION_S


def main() -> None:
    """Compile, and leave the sign that it is done."""
    sign = cache_folder() / "compiling"
    sign.parent.mkdir(parents=True, exist_ok=True)
    sign.touch()
    try:
        if hasattr(os, "nice"):
            os.nice(10)
        mark = _ready_mark()
        _load()
        mark.touch()
    finally:
        sign.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

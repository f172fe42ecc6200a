"""What holds for every test: seeds from the commit, no screen, nothing left running."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FAREWELL_S = 2.0  # for threads that were told to end
ONCE = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # for the whole session

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CRYOSCAN_KERNELS", "numpy")  # nothing compiles in the background
# engines of the tests and those of whoever runs them shall not find one another
RUNTIME = Path(tempfile.gettempdir()) / f"cryoscan-tests-{os.getpid()}"
os.environ.setdefault("CRYOSCAN_RUNTIME", str(RUNTIME))
settings.register_profile("cryoscan", deadline=None, print_blob=True)
settings.load_profile("cryoscan")


@cache
def seed_of_the_commit() -> int:
    """Return 32 bits of the checked-out commit's hash; of the sources where git knows none."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    digest = head.stdout.strip() if head.returncode == 0 else _digest_of_sources()
    return int(digest[:8], 16)


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for source in sorted(ROOT.glob("[a-z]*/**/*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let CI try another order and other examples with each commit, and the same ones again."""
    if os.environ.get("CI"):
        if config.getoption("randomly_seed", None) == "default":
            config.option.randomly_seed = seed_of_the_commit()
        if config.getoption("hypothesis_seed", "") is None:
            config.option.hypothesis_seed = str(seed_of_the_commit())


def pytest_unconfigure() -> None:
    shutil.rmtree(RUNTIME, ignore_errors=True)


@pytest.fixture(scope="session")
def commit_seed() -> int:
    """A seed that changes with the commit; numpy.random.SeedSequence(commit_seed) makes more."""
    return seed_of_the_commit()


@pytest.fixture(autouse=True)
def _leaves_nothing_running() -> Iterator[None]:
    """Fail a test that leaves a thread or a process behind."""
    threads, processes = set(threading.enumerate()), _children()

    yield

    for thread in set(threading.enumerate()) - threads:
        thread.join(LONGEST_FAREWELL_S)
        assert not thread.is_alive(), f"the thread {thread.name!r} is still running"
    left = {pid: name for pid, name in _children().items() if pid not in processes}
    assert not left, f"processes are still there: {left}"


def _children() -> dict[int, str]:
    """Return the command lines of this process's children; none where /proc is missing."""
    found = {}
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids = task.read_text().split()
        except OSError:  # that thread has just ended
            continue
        for pid in pids:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:  # that process has just ended
                continue
            found[int(pid)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
    return {pid: line for pid, line in found.items() if not any(own in line for own in ONCE)}

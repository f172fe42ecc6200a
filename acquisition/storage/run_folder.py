"""The folder of a run: its name, its one writer, the disk it lies on.

    <root>/2026/2026-11-22/20261122T221530Z_<sample>_<slug>_<8 hex of the run's uuid>/
      journal.sqlite       the truth
      live.h5              disposable view of the accepted points
      <folder name>.nxs    final file, with <folder name>.nxs.sha256
      .writer              locked by the one process that writes; freed by the system at its death

The folder is the unit that is copied, moved and backed up; it is never reused and never renamed.
"""

import os
import re
import shutil
import socket
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from acquisition.planning.point_table import PointTable
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.storage_errors import RunLocked, StorageError, StorageFull

__all__ = [
    "FINAL_SUFFIX",
    "JOURNAL",
    "LIVE",
    "WriterLock",
    "check_free_disk",
    "create_run_folder",
    "disk_needed_bytes",
    "lock_file",
    "network_filesystem",
    "refuse_network_drive",
    "run_folder_name",
    "sync_folder",
    "writer_lock",
]

JOURNAL = "journal.sqlite"
LIVE = "live.h5"
FINAL_SUFFIX = ".nxs"
_LOCK = ".writer"
# Windows locks bytes, not files: this one lies far behind the holder's pid, which stays readable
_LOCKED_BYTE = 1 << 20
_NETWORK = re.compile(
    r"9p|afs|beegfs|ceph|cifs|davfs|glusterfs|gpfs|lustre|ncpfs|nfs4?|smb3|smbfs|vboxsf"
    r"|fuse\.(ceph|davfs|glusterfs|rclone|s3fs|sshfs)"
)
_DRIVE_REMOTE = 4  # GetDriveTypeW, winbase.h


def run_folder_name(meta: RunMeta) -> str:
    """Return the name of the run's folder: UTC, sample, title, and 8 digits of its uuid."""
    stamp = datetime.fromtimestamp(meta.created_utc, UTC).strftime("%Y%m%dT%H%M%SZ")
    digits = re.sub(r"[^0-9a-f]", "", meta.run_uuid.lower())[:8]
    if len(digits) < 8:
        raise ValueError(f"run_uuid {meta.run_uuid!r} must hold at least 8 hexadecimal digits")
    return "_".join((stamp, _slug(meta.sample, "sample"), _slug(meta.title, "run"), digits))


def create_run_folder(root: Path, meta: RunMeta) -> Path:
    """Create the run's folder below `root`, durably, and return it.

    Raises StorageError if it exists or lies on a network drive.
    """
    day = datetime.fromtimestamp(meta.created_utc, UTC)
    folder = root / day.strftime("%Y") / day.strftime("%Y-%m-%d") / run_folder_name(meta)
    folder.parent.mkdir(parents=True, exist_ok=True)
    refuse_network_drive(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise StorageError(f"{folder}: exists already; a run never reuses a folder") from error
    for parent in (folder, folder.parent, folder.parent.parent, root):
        sync_folder(parent)
    return folder


def sync_folder(folder: Path) -> None:
    """Make names created in `folder` survive a power cut; Windows does so by itself."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_network_drive(folder: Path) -> None:
    """Raise StorageError if the folder is known to lie on a network drive."""
    found = network_filesystem(folder)
    if found is not None:
        raise StorageError(
            f"{folder}: lies on a network drive ({found}); the journal of a run needs a local "
            "disk. Give a local folder and copy the finished .nxs afterwards"
        )


def network_filesystem(folder: Path, mounts: str | None = None) -> str | None:
    """Return the type of network filesystem the folder lies on; None if local or unknown.

    mounts: the text of /proc/self/mounts, for tests. Known on Linux and Windows only.
    """
    if sys.platform == "win32":
        return _windows_network_drive(folder)
    if mounts is None:
        table = Path("/proc/self/mounts")
        mounts = table.read_text(encoding="utf-8", errors="replace") if table.exists() else ""
    kind = _mount_type(folder.resolve(), mounts)
    return kind if kind and _NETWORK.fullmatch(kind) else None


def disk_needed_bytes(table: PointTable, pixels: int, bytes_per_pixel: int = 4) -> int:
    """Forecast what a run takes: journal and its log, view, final file, and 1 GB to spare."""
    per_frame = pixels * bytes_per_pixel + 8
    counted = sum(point.frames * per_frame + 512 for point in table.points)
    return int(2.5 * counted) + 1_000_000_000


def check_free_disk(root: Path, needed_bytes: int) -> int:
    """Return the free bytes on the disk of `root`. Raises StorageFull if they are too few."""
    existing = next(place for place in (root, *root.resolve().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise StorageFull(
            f"{root}: {free / 1e9:.2f} GB free, the run may need {needed_bytes / 1e9:.2f} GB"
        )
    return free


class WriterLock:
    """The right to write a run, held by one process and freed by the system at its death.

    The lock belongs to the open file: a process forked (not spawned) from the holder shares it.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises RunLocked, naming the holder, if another has it."""
        self._file = open(folder / _LOCK, "a+b", buffering=0)  # noqa: SIM115 - held until release
        try:
            lock_file(self._file.fileno())
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(200).decode(errors="replace").strip() or "unknown"
            self._file.close()
            raise RunLocked(f"{folder}: is being written by another process ({holder})") from error
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Let another process write. Releasing twice is harmless."""
        self._file.close()


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the right to write the run for a while."""
    lock = WriterLock(folder)
    try:
        yield
    finally:
        lock.release()


def _slug(text: str, default: str) -> str:
    """Return the text as [a-z0-9-], at most 32 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:32].strip("-") or default


def _mount_type(folder: Path, mounts: str) -> str | None:
    best, kind = -1, None
    for line in mounts.splitlines():
        place, found = line.split()[1:3]
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place)
        # of two mounts on one place the later hides the earlier
        if folder.is_relative_to(place) and len(place) >= best:
            best, kind = len(place), found
    return kind


if sys.platform == "win32":
    import ctypes
    import msvcrt

    def lock_file(descriptor: int) -> None:
        """Lock an open file until it is closed. Raises OSError if another process has."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _windows_network_drive(folder: Path) -> str | None:
        anchor = folder.resolve().anchor
        remote = ctypes.windll.kernel32.GetDriveTypeW(anchor) == _DRIVE_REMOTE
        return "network drive" if remote or anchor.startswith("\\\\") else None
else:
    import fcntl

    def lock_file(descriptor: int) -> None:
        """Lock an open file until it is closed. Raises OSError if it is locked already."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _windows_network_drive(folder: Path) -> str | None:
        raise AssertionError(folder)

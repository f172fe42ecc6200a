import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acquisition.planning.point_table import Point, PointKind, PointTable
from acquisition.storage.run_folder import (
    WriterLock,
    check_free_disk,
    create_run_folder,
    disk_needed_bytes,
    network_filesystem,
    run_folder_name,
    writer_lock,
)
from acquisition.storage.storage_errors import RunLocked, StorageError, StorageFull


def test_a_run_folder_is_named_by_utc_sample_title_and_uuid(made_up_run, tmp_path):
    meta = made_up_run().meta()

    folder = create_run_folder(tmp_path, meta)

    expected = "2026/2026-11-22/20261122T221530Z_nc-7_overnight-5-5-200-k_0a1b2c3d"
    assert folder.relative_to(tmp_path).as_posix() == expected
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("sample", "slug"),
    [
        ("CsPbBr3 / Fläche Ü", "cspbbr3-flache-u"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON.", "con"),
        ("纳米晶", "sample"),
        ("", "sample"),
        ("a" * 200, "a" * 32),
        ('nul\0\n\t:*?"<>|', "nul"),
    ],
)
def test_any_sample_name_gives_a_plain_folder_name(made_up_run, sample, slug):
    name = run_folder_name(replace(made_up_run().meta(), sample=sample))

    assert name.split("_")[1] == slug
    assert re.fullmatch(r"[0-9TZ]{16}_[a-z0-9-]+_[a-z0-9-]+_[0-9a-f]{8}", name)


def test_a_uuid_too_short_to_tell_runs_apart_is_refused(made_up_run):
    with pytest.raises(ValueError, match="run_uuid 'abc' must hold at least 8"):
        run_folder_name(replace(made_up_run().meta(), run_uuid="abc"))


def test_a_folder_is_never_used_twice(made_up_run, tmp_path):
    meta = made_up_run().meta()
    create_run_folder(tmp_path, meta)

    with pytest.raises(StorageError, match="exists already; a run never reuses a folder"):
        create_run_folder(tmp_path, meta)


HOLD = """
import sys
from pathlib import Path
from acquisition.storage.run_folder import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def hold_lock_elsewhere(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_writer_is_refused_and_told_who_holds_the_run(tmp_path):
    holder = hold_lock_elsewhere(tmp_path)
    try:
        with pytest.raises(RunLocked, match=f"another process \\(pid {holder.pid} on "):
            WriterLock(tmp_path)
    finally:
        holder.communicate("")


def test_a_killed_writer_frees_the_run(tmp_path):
    holder = hold_lock_elsewhere(tmp_path)

    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    WriterLock(tmp_path).release()


def test_a_released_lock_can_be_taken_again_and_released_twice(tmp_path):
    lock = WriterLock(tmp_path)
    with pytest.raises(RunLocked):
        WriterLock(tmp_path)

    lock.release()
    lock.release()

    with writer_lock(tmp_path), pytest.raises(RunLocked):
        WriterLock(tmp_path)
    WriterLock(tmp_path).release()


MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local ext4 rw 0 0
//nas/lab /mnt/lab\040share cifs rw 0 0
user@host:/ /mnt/ssh fuse.sshfs rw 0 0
tmpfs /over tmpfs rw 0 0
nas:/over /over nfs rw 0 0
""".strip()


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/var/runs", None),
        ("/home/user/runs", "nfs4"),
        ("/home/local/runs", None),
        ("/homestead", None),
        ("/mnt/lab share/runs", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/over/x", "nfs"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths and mounts of Linux")
def test_network_drives_are_recognised_by_the_mount_they_lie_on(folder, expected):
    assert network_filesystem(Path(folder), MOUNTS) == expected


def test_the_temporary_folder_of_this_test_is_local(tmp_path):
    assert network_filesystem(tmp_path) is None


def test_a_run_is_forecast_to_need_two_and_a_half_times_its_counts_and_a_gigabyte():
    points = tuple(Point(i, PointKind.SAMPLE, 1.0, 2) for i in range(100))

    needed = disk_needed_bytes(PointTable((), points), pixels=1024)

    counts = 100 * 2 * 1024 * 4
    assert 1e9 + 2.5 * counts < needed < 1e9 + 3 * counts


def test_too_little_room_is_refused_before_the_folder_exists(tmp_path):
    with pytest.raises(StorageFull, match=r"GB free, the run may need 1000000000\.00 GB"):
        check_free_disk(tmp_path / "not" / "yet", 10**18)

    assert check_free_disk(tmp_path / "not" / "yet", 1) > 1

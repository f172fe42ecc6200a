"""A recorder with the real journal, live view and final file, ended in every way and resumed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".." / "shared" / "tools"
RECORD = "py:recorder_for_killtest record {dir}"
CHECK = "py:recorder_for_killtest check {dir} {acked}"

pytestmark = [
    pytest.mark.skipif(not (TOOLS / "killtest.py").exists(), reason="no killtest.py beside us"),
    pytest.mark.skipif(sys.platform != "linux", reason="ends processes the way Linux does"),
]


def kill_test(work: Path, *options: object, preload: Path | None = None) -> dict[str, int]:
    """Run killtest.py on the recorder and return what it counted over all runs."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE), str(HERE.parents[1])]))
    if preload is not None:
        environment["LD_PRELOAD"] = str(preload)
    command = [sys.executable, str(TOOLS / "killtest.py"), "--cmd", RECORD, "--check", CHECK]
    result = subprocess.run(
        [*command, "--work", str(work), *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["fails"] == []
    counted: dict[str, int] = report["totals"]
    return counted


def assert_nothing_lost(counted: dict[str, int]) -> None:
    wrong = ("lost", "resume_lost", "measured_twice", "circumstances_missing", "view_unreadable")
    assert {name: counted[name] for name in wrong} == dict.fromkeys(wrong, 0)


@pytest.fixture
def crash_at_call(tmp_path: Path) -> Path:
    """The library that ends a process at its k-th write, sync or rename."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = tmp_path / "crashat.so"
    source = str(TOOLS / "crashat.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_resume_goes_on(
    tmp_path, commit_seed
):
    options = ("--runs", 16, "--rounds", 4, "--tmin", 0, "--tmax", 0.15, "--seed", commit_seed)
    counted = kill_test(tmp_path / "work", *options)

    assert_nothing_lost(counted)
    assert counted["view_wrong"] == 0
    assert counted["resume_checked"] > 0
    assert counted["ended_by_itself"] < counted["runs"]


@pytest.mark.parametrize("torn", [0, 1])
def test_ended_within_any_write_nothing_acknowledged_is_lost(
    tmp_path, crash_at_call, torn, commit_seed
):
    options = ("--runs", 14, "--rounds", 4, "--kmax", 900, "--torn", torn, "--seed", commit_seed)
    counted = kill_test(tmp_path / "work", "--how", "syscall", *options, preload=crash_at_call)

    assert_nothing_lost(counted)
    assert counted["ended_by_itself"] < counted["runs"]


def recorder(verb: str, run: Path, *arguments: str, **extra: str) -> tuple[int, str]:
    """Run the recorder by itself; return how it ended and what it printed last."""
    command = [sys.executable, str(HERE / "recorder_for_killtest.py"), verb, str(run), *arguments]
    environment = dict(os.environ, PYTHONPATH=str(HERE.parents[1]), **extra)
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return result.returncode, result.stdout.strip().rpartition("\n")[2]


def test_ended_within_the_finalisation_the_final_file_is_absent_or_whole(tmp_path, crash_at_call):
    measured = tmp_path / "measured"
    measured.mkdir()
    recorder("measure", measured)
    deaths = 0

    # while HDF5 writes; between the renames of file and checksum; while the journal is sealed
    for call in (60, 124, 146):
        run = Path(shutil.copytree(measured, tmp_path / str(call) / "run"))
        fatal = {"LD_PRELOAD": str(crash_at_call), "CRASH_AT": str(call), "CRASH_DIR": str(run)}
        deaths += recorder("finalise", run, **fatal)[0] == 137
        ended, counted = recorder("check", run, "59")  # verifies every final file there is
        assert (ended, json.loads(counted)["lost"]) == (0, 0)

        assert recorder("finalise", run) == (0, "E")

        assert len(list(run.glob("*.nxs"))) == len(list(run.glob("*.sha256"))) == 1
        assert not list(run.glob("*.tmp"))
    assert deaths >= 2


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_campaign_of_kills(tmp_path, commit_seed):
    options = ("--runs", 400, "--rounds", 5, "--tmin", 0, "--tmax", 0.15, "--seed", commit_seed)
    counted = kill_test(tmp_path / "work", *options)

    assert_nothing_lost(counted)
    assert counted["view_wrong"] == 0


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("torn", [0, 1])
def test_campaign_of_deaths_within_a_write(tmp_path, crash_at_call, torn, commit_seed):
    options = ("--runs", 600, "--rounds", 4, "--kmax", 900, "--torn", torn, "--seed", commit_seed)
    counted = kill_test(tmp_path / "work", "--how", "syscall", *options, preload=crash_at_call)

    assert_nothing_lost(counted)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_campaign_of_power_cuts(tmp_path):
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root, a loop device and mkfs.ext4")
    mounted = subprocess.run(["losetup", "--find"], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("there is no free loop device")
    options = ("--size", "64M", "--runs", 100, "--rounds", 5, "--tmin", 0, "--tmax", 0.2)
    counted = kill_test(
        tmp_path / "work", "--how", "power", "--image", tmp_path / "disk.img", *options
    )

    # rows of the view may be old or torn until resume has compared them
    assert_nothing_lost(counted)


def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3M", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        command = [sys.executable, str(HERE / "recorder_on_a_full_disk.py"), str(disk)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["umount", str(disk)], check=True)

    assert result.returncode == 0, result.stdout + result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["full"] > 0
    assert outcome["message"].count("the disk is full") == 1
    assert outcome["lost"] == outcome["wrong"] == 0
    assert outcome["integrity"] == "ok"

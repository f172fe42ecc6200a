"""The disk fills up in a run: a clear message, nothing lost, and resume once there is room."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from acquisition.storage.journal import JournalReader

SLEW_V_PER_S = 5.0
EMERGENCY_SLEW_V_PER_S = 50.0
SCALE = 200
ROOM_BYTES = 24_000_000

AXES = """
[[axis]]
quantity = "bias"
unit = "V"
points = [-2, 2]
settle = { tolerance = "0.1 V", inside = "0.5 s" }

[[axis]]
quantity = "polarization"
unit = "deg"
points = "0..180 step 30"

[exposure]
time = "1 s"
frames = 20

[background]
kinds = []
"""


@pytest.fixture
def small_disk(cryoscan, tmp_path):
    """A file system of a few megabytes below the folder of runs."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "runs"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    cryoscan.end_all()
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    with open(disk / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            return


def checksums(folder: Path) -> dict[int, int]:
    with JournalReader(folder) as journal:
        return journal.checksums()


def test_a_disk_that_fills_up_loses_nothing_and_the_run_is_resumed_when_there_is_room(
    small_disk, serve, cryoscan, wait_until, check_supply
):
    setup = serve(SCALE)
    station = ("--station", setup.station, "--no-fit", "--json")
    engine = cryoscan.start("run", setup.write_sweep(AXES), *station)
    folder = engine.run_folder()
    wait_until(lambda: len(checksums(folder)) >= 2)

    fill(small_disk)
    engine.await_text("the disk is full")
    stored = checksums(folder)
    engine.send(signal.SIGTERM)

    assert engine.wait() == 1
    assert "the disk is full" in engine.report["text"]
    assert "Make room" in engine.report["text"]
    assert "bias 0 V and off" in engine.report["safe"]
    assert "Traceback" not in engine.err
    check_supply(setup.supply_log, SLEW_V_PER_S)
    assert checksums(folder) == stored

    (small_disk / "ballast").unlink()
    resumed = cryoscan("resume", folder, *station)

    assert resumed.wait() == 0, resumed.err
    assert stored.items() <= checksums(folder).items()
    with JournalReader(folder) as journal:
        assert not journal.todo()
    check_supply(setup.supply_log, SLEW_V_PER_S)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits other processes")
def test_a_journal_that_can_no_longer_be_written_ends_the_run_safely(
    serve, cryoscan, wait_until, check_supply
):
    setup = serve(SCALE)
    station = ("--station", setup.station, "--no-fit", "--json")
    engine = cryoscan.start("run", setup.write_sweep(AXES), *station)
    folder = engine.run_folder()
    wait_until(lambda: len(checksums(folder)) >= 2)

    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (4096, 4096))

    assert engine.wait() == 1
    assert engine.report["finish"] == "failed"
    assert str(folder) in engine.report["text"]
    assert "bias 0 V and off" in engine.report["safe"]
    check_supply(setup.supply_log, EMERGENCY_SLEW_V_PER_S)
    stored = checksums(folder)

    assert cryoscan("resume", folder, *station).wait() == 0
    assert stored.items() <= checksums(folder).items()
    with JournalReader(folder) as journal:
        assert not journal.todo()
    check_supply(setup.supply_log, EMERGENCY_SLEW_V_PER_S)

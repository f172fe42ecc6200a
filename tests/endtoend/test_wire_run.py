"""The same sweep against simulators in another process, over TCP, pseudo-terminal, websocket."""

import ipaddress
from pathlib import Path

import numpy as np
import pytest

from acquisition.planning.point_table import PointKind
from acquisition.storage.journal import JournalReader
from analysis.readers.run_file import RunFile

SLEW_V_PER_S = 5.0
LISTEN = "0A"  # in /proc/net/tcp

AXES = """
[[axis]]
quantity = "temperature"
unit = "K"
points = [5.5, 6.5]
settle = { tolerance = "0.1 K", inside = "20 s", on_timeout = "stop" }

[[axis]]
quantity = "field"
unit = "kV/cm"
points = [-4, 0, 8]

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 90]
repeat_first = false

[exposure]
time = "2 s"
frames = 2

[background]
frames = 2
"""


def assert_everything_was_measured(folder: Path) -> None:
    """Every planned point is accepted without flags, and was where it should have been."""
    with JournalReader(folder) as journal:
        points = journal.table().points
        assert sorted(journal.accepted()) == [point.index for point in points]
        for point in points:
            stored = journal.accepted_attempt(point.index)
            assert stored is not None
            readings, counts = stored.attempt.readings, stored.attempt.counts
            assert stored.attempt.flags == ()
            assert counts.shape == (point.frames, 1024)
            if point.kind is PointKind.SAMPLE:
                assert readings["temperature_K"] == pytest.approx(point.temperature_K, abs=0.1)
                assert readings["gap_voltage_V"] == pytest.approx(point.voltage_V, abs=0.5)
                turned_deg = (readings["angle_deg"] - point.angle_deg + 180) % 360 - 180
                assert turned_deg == pytest.approx(0, abs=0.2)
                # the strongest line stands clear of the offset of 1000 counts
                assert counts.max(axis=1).min() > 1200
                assert readings["laser_open_s"] >= point.frames * point.exposure_s


@pytest.mark.parametrize("bias", ["tcp", "serial"])
def test_a_sweep_over_the_wire_measures_what_it_measures_in_process(
    serve, cryoscan, check_supply, bias
):
    elliptec = {"tcp": "serial", "serial": "tcp"}[bias]
    setup = serve(200, "--transport", f"bias={bias}", "--transport", f"elliptec={elliptec}")
    sweep = setup.write_sweep(AXES)
    schemes = {
        line.split('"')[1].partition(":")[0]
        for line in setup.station.read_text().splitlines()
        if line.startswith("address")
    }
    assert schemes == {"tcp", "serial", "ws"}

    over_wire = cryoscan.start("run", sweep, "--station", setup.station, "--no-fit", "--json")
    in_process = cryoscan.start("run", sweep, "--no-fit", "--json")

    for run in (over_wire, in_process):
        assert run.wait() == 0, run.err
        assert run.report["finish"] == "completed"
        assert_everything_was_measured(setup.folder / run.report["folder"])
    check_supply(setup.supply_log, SLEW_V_PER_S)
    wire, inside = (
        RunFile.open(setup.folder / run.report["final"]) for run in (over_wire, in_process)
    )
    assert {name: axis.tolist() for name, axis in wire.axes.items()} == {
        name: axis.tolist() for name, axis in inside.axes.items()
    }
    assert wire.spectra.shape == inside.spectra.shape == (2, 3, 2, 1024)
    assert wire.readings.keys() == inside.readings.keys()
    np.testing.assert_allclose(wire.wavelength_nm, inside.wavelength_nm, rtol=0, atol=1e-3)


def test_simulators_listen_on_loopback_only(serve):
    setup = serve(1, "--transport", "elliptec=tcp")

    listening = listening_addresses(setup.simulators.pid)

    assert len(listening) == 4  # cryostat, bias, elliptec, icl
    assert all(ipaddress.ip_address(address).is_loopback for address in listening)


def listening_addresses(pid: int) -> list[str]:
    """Return the local address of each socket on which this process listens."""
    mine = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("socket:["):
            mine.add(target.removeprefix("socket:[").removesuffix("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTEN and inode in mine:
                words = bytes.fromhex(local.partition(":")[0])
                in_order = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.append(str(ipaddress.ip_address(in_order)))
    return found

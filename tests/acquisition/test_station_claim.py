"""Whose instruments they are: within a process here, between processes in the end-to-end tests."""

import os
import re
from pathlib import Path

import pytest

from acquisition.channel.station_claim import StationClaim, StationTaken, claimed, holders_of
from acquisition.configuration.config import load_station
from acquisition.configuration.station_file import StationConfig

SIMULATED = Path(__file__).parents[2] / "examples" / "station_simulated.toml"


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    return tmp_path / "runtime"


def station(tmp_path: Path, **addresses: str) -> StationConfig:
    """Return the simulated station with some instruments elsewhere."""
    text = SIMULATED.read_text(encoding="utf-8")
    for simulated, address in addresses.items():
        text = text.replace(f"sim://{simulated}", address)
    (tmp_path / "station.toml").write_text(text, encoding="utf-8")
    return load_station(tmp_path / "station.toml")


def test_instruments_of_an_engine_are_refused_to_whoever_names_one_of_them(tmp_path: Path) -> None:
    ours = station(tmp_path, cryostat="tcp://127.0.0.1:7777", bias="visa://GPIB0::24::INSTR")
    claim = StationClaim(ours, "engine", "our laboratory")

    theirs = station(tmp_path, bias="visa://gpib0::24::instr")
    with pytest.raises(StationTaken) as refused, claimed(theirs, "run", "overnight"):
        pass

    assert re.fullmatch(
        r"bias at visa://gpib0::24::instr belongs to the engine of our laboratory, "
        rf"pid {os.getpid()}, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC; attach to it with "
        r"`cryoscan gui` or `cryoscan watch`, or let it end first",
        str(refused.value),
    )
    assert {holder.of for holder in holders_of(theirs)} == {"our laboratory"}
    claim.release()
    with claimed(theirs, "run", "overnight"):
        assert [holder.what for holder in holders_of(theirs)] == ["run"]
    assert holders_of(theirs) == ()


def test_what_was_taken_before_a_refusal_is_given_back(tmp_path: Path) -> None:
    taken = station(tmp_path, bias="visa://GPIB0::24::INSTR")
    both = station(tmp_path, cryostat="tcp://127.0.0.1:7777", bias="visa://GPIB0::24::INSTR")
    cryostat = station(tmp_path, cryostat="tcp://localhost:7777")

    with claimed(taken, "run", "first"), pytest.raises(StationTaken):
        StationClaim(both, "run", "second")
    with claimed(cryostat, "run", "third"):
        pass

    with claimed(cryostat, "run", "third"), pytest.raises(StationTaken, match="cryostat at tcp"):
        StationClaim(both, "run", "fourth")


def test_a_serial_line_is_the_same_by_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    plain = station(tmp_path, bias=f"serial://{tmp_path}/ttyUSB0?baud=9600")
    linked = station(tmp_path, bias=f"serial://{tmp_path}/by-id?baud=57600")

    with claimed(plain, "run", "first"), pytest.raises(StationTaken, match="bias at serial"):
        StationClaim(linked, "run", "second")


def test_instruments_simulated_in_the_process_are_its_own(tmp_path: Path) -> None:
    simulated = station(tmp_path)

    with claimed(simulated, "run", "first"), claimed(simulated, "run", "second"):
        assert holders_of(simulated) == ()
    file = tmp_path / "station.toml"
    engine = StationClaim(simulated, "engine", "simulated", file)
    with pytest.raises(StationTaken, match=r"the station .*station\.toml belongs to the engine"):
        StationClaim(simulated, "engine", "simulated", tmp_path / "." / "station.toml")
    engine.release()
    engine.release()


def test_lock_files_are_for_their_owner_and_damaged_ones_harmless(
    tmp_path: Path, runtime: Path
) -> None:
    config = station(tmp_path, cryostat="tcp://127.0.0.1:7777")
    with claimed(config, "run", "first"):
        (file,) = runtime.glob("station-*.lock")
        assert (file.stat().st_mode & 0o777, runtime.stat().st_mode & 0o777) == (0o600, 0o700)
        file.write_bytes(b"{nonsense")
        assert holders_of(config) == ()
        with pytest.raises(StationTaken, match="belongs to another process"):
            StationClaim(config, "run", "second")
    with claimed(config, "run", "third"):
        assert [holder.of for holder in holders_of(config)] == ["third"]

"""Finding an engine, starting one, and hearing why it could not begin."""

import os
from pathlib import Path

import pytest

from gui.app import station_and_file
from gui.link.engine_link import EngineLink
from gui.link.engine_search import EngineSearch
from gui.link.engine_start import EngineStart

SIMULATED = Path(__file__).parents[3] / "examples" / "station_simulated.toml"


def test_an_engine_that_ends_at_once_leaves_its_last_words(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    station = tmp_path / "station.toml"
    station.write_text('[station]\nname = "none"\n[cryostat]\nmodel = "nonsense"\n')
    start = EngineStart()

    with qtbot.waitSignal(start.ended, timeout=30_000) as ended:
        start.start(station)

    assert "station.toml: cryostat.address: found nothing; allowed: required" in ended.args[0]
    assert str(tmp_path) in ended.args[0]  # where all of it can be read
    start.deleteLater()


def test_the_engine_of_the_station_is_found_among_others(qtbot, engine, tmp_path):
    from dataclasses import replace

    station = tmp_path / "station.toml"
    station.write_text("[station]\n")
    (address,) = engine.addresses()
    ours = replace(address, station_path=str(station.resolve()))
    link = EngineLink()

    search = EngineSearch(link, station, engines=lambda: [address, ours])
    anyone = EngineSearch(link, None, engines=lambda: [address, ours])
    nobody = EngineSearch(link, tmp_path / "other.toml", engines=lambda: [address, ours])

    assert search._find() is ours
    assert anyone._find() is address
    assert nobody._find() is None
    for one in (search, anyone, nobody, link):
        one.deleteLater()


def test_an_engine_that_owns_the_instruments_by_another_file_is_found(
    qtbot, engine, tmp_path, monkeypatch
):
    from dataclasses import replace

    from acquisition.channel.station_claim import claimed
    from acquisition.configuration.config import load_station

    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    text = SIMULATED.read_text().replace("sim://cryostat", "tcp://127.0.0.1:7777")
    station, other = tmp_path / "station.toml", tmp_path / "other.toml"
    station.write_text(text)
    other.write_text(text)
    (address,) = engine.addresses()
    ours = replace(address, station_path=str(other), pid=os.getpid())
    theirs = replace(address, pid=1)
    link = EngineLink()
    search = EngineSearch(link, station, engines=lambda: [theirs, ours])

    before = search._find()
    with claimed(load_station(other), "run", "overnight"):
        found = search._find()

    assert (before, found) == (None, ours)
    assert search._find() is None
    for one in (search, link):
        one.deleteLater()


def test_a_missing_engine_is_started_once(qtbot, tmp_path):
    station = tmp_path / "station.toml"
    station.write_text("[station]\n")
    link = EngineLink()
    search = EngineSearch(link, station, engines=list)
    started = []
    search.engine_start.start = started.append

    search.watch(start_missing=True)
    qtbot.waitUntil(lambda: started == [station.resolve()], timeout=5000)
    qtbot.wait(1200)  # two more looks

    assert started == [station.resolve()]
    link.leave()
    for one in (search, link):
        one.deleteLater()


def test_the_arguments_say_what_is_the_station_and_what_is_shown(tmp_path):
    station, sweep, run = (tmp_path / name for name in ("s.toml", "sweep.toml", "run"))
    station.write_text("# ours\n[station]  # the laboratory\n")
    sweep.write_text("[sweep]\n")
    run.mkdir()

    assert station_and_file([station]) == (station.resolve(), None)
    assert station_and_file([run, station]) == (station.resolve(), run.resolve())
    assert station_and_file([sweep]) == (None, sweep.resolve())
    with pytest.raises(ValueError, match="one station at a time"):
        station_and_file([station, station])
    with pytest.raises(ValueError, match="one file at a time"):
        station_and_file([run, sweep])
    with pytest.raises(ValueError, match=r"gone\.toml: there is no such file"):
        station_and_file([tmp_path / "gone.toml"])

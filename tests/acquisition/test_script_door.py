from pathlib import Path
from shutil import copytree

import pytest

import acquisition
from acquisition import check_sweep, start_run
from acquisition.channel.commands import Command, Verb
from acquisition.channel.inbox import deliver
from acquisition.configuration.config_error import ConfigError
from acquisition.fits.point_fitter import FIT_VERSION
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.storage_errors import StorageError
from drivers.errors import LinkClosed

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def sweep(tmp_path):
    copytree(EXAMPLES, tmp_path / "examples", ignore=lambda *_: {"runs"})
    path = tmp_path / "examples" / "polarization.toml"
    text = path.read_text().replace('"0..180 step 10"', "[0, 90]").replace('"2 s"', '"1 s"')
    path.write_text(text.replace("frames = 10", "frames = 2"))
    return path


def test_a_script_checks_and_measures_a_sweep_without_the_command_line(sweep):
    said = []

    price = check_sweep(sweep).price
    ended = start_run(sweep, watcher=acquisition.running.doors.Watcher(say=said.append))

    with JournalReader(ended.folder) as reader:
        assert len(reader.accepted()) == price.rows
        assert not reader.fit_backlog("exciton: 3 gauss", FIT_VERSION)
    assert ended.is_complete
    assert ended.final is not None
    assert any("run folder" in text for text in said)


def test_a_mistake_in_a_file_is_an_exception_of_its_own(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        start_run(tmp_path / "nowhere.toml")


def test_a_run_that_never_began_leaves_no_folder_and_names_the_instrument(sweep):
    station = sweep.with_name("station_simulated.toml")
    text = (
        station.read_text()
        .replace("sim://icl", "ws://127.0.0.1:9")
        .replace("sim://", "tcp://127.0.0.1:9/")
    )
    station.write_text(text)

    with pytest.raises(LinkClosed, match=r"camera: at ws://127\.0\.0\.1:9"):
        start_run(sweep)

    assert not list((sweep.parent / "runs").rglob("journal.sqlite"))


def test_a_run_that_has_ended_takes_a_note_and_no_other_command(sweep):
    folder = start_run(sweep, live_fit=False, final=False).folder

    deliver(folder, Command(Verb.NOTE, "the cryostat was refilled", "test"))

    with JournalReader(folder) as reader:
        assert reader.events()[-1][1].text == "the cryostat was refilled"
    with pytest.raises(ValueError, match="has ended: nobody would pause"):
        deliver(folder, Command(Verb.PAUSE))


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(StorageError, match="holds no run"):
        deliver(tmp_path, Command(Verb.NOTE, "hello"))


def test_the_package_offers_its_door_and_nothing_else():
    with pytest.raises(AttributeError, match="has no attribute 'sweep_now'"):
        _ = acquisition.sweep_now


def test_the_seed_of_a_run_is_kept_for_its_resume(sweep):
    folder = start_run(sweep, live_fit=False, final=False, seed=77).folder

    with JournalReader(folder) as reader:
        assert configuration_of(reader.meta).station.simulation.seed == 77

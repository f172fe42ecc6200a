"""What `cryoscan run` lets others see, and that it never needs them."""

import threading
from pathlib import Path

import numpy as np
import pytest

from acquisition.channel.commands import CommandQueue
from acquisition.channel.commands import Verb as RunVerb
from acquisition.channel.engine_address import list_engines
from acquisition.channel.engine_status import FinishReason
from acquisition.channel.messages import (
    Answer,
    Axis,
    Committed,
    Fitted,
    FrameArrived,
    FrameSource,
    Mode,
    Said,
    Snapshot,
    Verb,
)
from acquisition.channel.watcher_link import WatcherLink
from acquisition.configuration.config import load
from acquisition.instruments.laboratory import open_laboratory
from acquisition.planning.expand import expand
from acquisition.running.doors import Watcher, start
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.running.run_server import served
from acquisition.simulated_laboratory import in_process
from acquisition.storage.journal import JournalReader
from drivers.clock import RealClock, VirtualClock

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A short Stark sweep at the simulated laboratory, its runs below tmp_path."""
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    for name in ("station_simulated.toml", "stark.toml"):
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        text = text.replace("step = 10", "step = 100").replace("points = 3", "points = 1")
        (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / "stark.toml")


def test_everything_that_is_published_is_what_the_journal_holds(configuration) -> None:
    laboratory = open_laboratory(configuration.station, in_process)
    table = expand(configuration.sweep, configuration.station)
    published: list = []
    folder = create_run(configuration, table, laboratory.clock.utc())
    run = Run(
        folder,
        configuration,
        clock=laboratory.clock,
        connections=laboratory.connections,
        commands=CommandQueue(),
        options=RunOptions(live_fit=True, fit_wait_s=60.0),
        publish=lambda message, values: published.append((message, values)),
    )
    run.execute()

    with JournalReader(folder) as reader:
        attempts = list(reader.attempts())
        axes = {m.number: v for m, v in published if isinstance(m, Axis)}
        frames = [(m, v) for m, v in published if isinstance(m, FrameArrived)]
        assert [message.key for message, _ in frames] == [stored.id for stored in attempts]
        for (message, counts), stored in zip(frames, attempts, strict=True):
            attempt = stored.attempt
            np.testing.assert_array_equal(counts, attempt.counts)
            assert (message.source, message.point) == (FrameSource.POINT, attempt.point)
            calibration = reader.calibrations()[attempt.calibration]
            np.testing.assert_array_equal(axes[message.axis], calibration.value)
        committed = [m for m, _ in published if isinstance(m, Committed)]
        assert [c.key for c in committed] == [stored.id for stored in attempts]
        assert (committed[-1].done, committed[-1].total) == (len(table.points),) * 2
        events = [
            f"safe state: {event.text}" if event.code == "safe state" else event.text
            for _, event in reader.events()
        ]
        assert [m.text for m, _ in published if isinstance(m, Said)] == events
        fitted = {m.key: m for m, _ in published if isinstance(m, Fitted)}
        rows = {row.attempt: row for row in reader.fits()}
        assert fitted.keys() == rows.keys() != set()
        for key, row in rows.items():
            assert fitted[key].values == dict(zip(row.names, row.values, strict=True))


def test_a_run_without_a_channel_is_measured_all_the_same(
    configuration, tmp_path, monkeypatch, caplog
) -> None:
    def refuse() -> None:
        raise OSError("no port is free")

    monkeypatch.setattr("acquisition.channel.engine_server.listen", refuse)

    ended = start(
        tmp_path / "stark.toml",
        None,
        in_process,
        options=RunOptions(live_fit=False),
        watcher=Watcher(),
        final=False,
    )

    assert ended.outcome.reason is FinishReason.COMPLETED
    assert any("nobody can watch this run: no channel" in text for text in caplog.messages)


def test_a_run_that_can_not_be_announced_is_measured_all_the_same(
    configuration, tmp_path, monkeypatch, caplog
) -> None:
    (tmp_path / "runtime").write_text("no folder")

    ended = start(
        tmp_path / "stark.toml",
        None,
        in_process,
        options=RunOptions(live_fit=False),
        watcher=Watcher(),
        final=False,
    )

    assert ended.outcome.reason is FinishReason.COMPLETED
    assert any("nobody can find this run" in text for text in caplog.messages)


def test_a_watcher_of_a_run_pauses_and_stops_it_through_the_commands(
    configuration, tmp_path
) -> None:
    commands = CommandQueue()
    with served(tmp_path, configuration, VirtualClock(), commands):
        (address,) = list_engines()
        assert address.run_folder == str(tmp_path.resolve())
        link = WatcherLink.connect(address, "window")
        numbers = [
            link.request(verb, text="why")
            for verb in (Verb.PAUSE, Verb.STOP_NOW, Verb.NOTE, Verb.QUIT, Verb.MOVE)
        ]
        answers: dict[int, Answer] = {}
        snapshots: list[Snapshot] = []
        clock = RealClock()
        end_s = clock.now() + 10.0
        while (len(answers) < 5 or not snapshots) and clock.now() < end_s:
            for message, _ in link.receive(0.1):
                if isinstance(message, Answer):
                    answers[message.request] = message
                elif isinstance(message, Snapshot):
                    snapshots.append(message)
        link.close()

    assert [answers[number].ok for number in numbers] == [True, True, True, True, False]
    assert "measures one run and does nothing else" in answers[numbers[-1]].text
    assert snapshots[0].mode is Mode.RUNNING
    taken = [commands.take() for _ in range(4)]
    assert [command.verb for command in taken] == [
        RunVerb.PAUSE, RunVerb.STOP_NOW, RunVerb.NOTE, RunVerb.STOP_NOW,
    ]  # fmt: skip
    assert {command.sender for command in taken} == {"window 1"}
    assert list_engines() == []


def test_a_run_is_announced_while_it_goes_on(configuration, tmp_path) -> None:
    seen: list = []

    def show(_: object) -> None:
        seen.extend(list_engines())

    ended = start(
        tmp_path / "stark.toml",
        None,
        in_process,
        options=RunOptions(live_fit=False),
        watcher=Watcher(show=show),
        final=False,
    )

    assert {engine.run_folder for engine in seen} == {str(ended.folder.resolve())}
    assert list_engines() == []
    assert "engine server" not in {thread.name for thread in threading.enumerate()}

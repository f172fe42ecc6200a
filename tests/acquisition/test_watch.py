"""What a watching terminal shows, and the commands `watch` and `gui`."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acquisition import cli
from acquisition.alignment.hand_move import Refused
from acquisition.channel.engine_address import announced
from acquisition.channel.engine_server import EngineServer
from acquisition.channel.engine_status import EngineState, EngineStatus, FinishReason, Safety
from acquisition.channel.messages import (
    ChannelReading,
    Fitted,
    Hello,
    Mode,
    MoveState,
    MoveStatus,
    QueuedSweep,
    Snapshot,
)
from acquisition.workbench.watch import Watched, find_engine

STATUS = EngineStatus(
    state=EngineState.MEASURING,
    run="20261124T1_cs_stark",
    point=41,
    done=41,
    total=210,
    awaited="exposure 5 x 2 s",
    awaited_since_s=100.0,
    time_s=103.0,
    remaining_s=760.0,
    readings={"temperature_K": 5.5},
)
RUNNING = Snapshot(
    Mode.RUNNING,
    0.0,
    run_folder="/runs/stark",
    status=STATUS,
    readings=(ChannelReading("temperature_K", "K", 5.5, 0.0),),
    queue=(QueuedSweep("1", "night", 1296, 44_000.0, "held by window 1"),),
    watchers=2,
    commander="window 1",
)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineServer]:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    server = EngineServer(
        station="bench",
        station_path="",
        hello=lambda: Hello(station="bench", pid=7, is_simulated=True),
        snapshot=lambda: RUNNING,
        take=lambda *_: None,
    )
    with announced(server.address):
        yield server
    server.close()


def shown(snapshot: Snapshot, *further) -> str:
    watched = Watched(Hello(station="bench"))
    for message in (snapshot, *further):
        watched.take(message)
    return "\n".join(watched.lines())


def test_a_run_shows_point_state_readings_fit_and_queue() -> None:
    values, errors = {"energy_1_eV": 2.3911}, {"energy_1_eV": 2e-6}
    fit = Fitted(40, 40, "3 gauss", "converged", "", values, errors, 1.0)

    text = shown(RUNNING, fit)

    assert "run 20261124T1_cs_stark: point 41 of 210" in text
    assert "exposure 5 x 2 s (since 0m03s)" in text
    assert "about 12m40s left" in text
    assert "temperature_K 5.5 K" in text
    assert "last fit: point 40: energy_1_eV 2.3911 +- 2e-06, converged" in text
    assert "queued: night, 1296 points, 12h13m (held by window 1)" in text
    assert "2 watching, window 1 in command" in text


def test_a_safe_state_that_is_not_confirmed_comes_first() -> None:
    lines = shown(Snapshot(Mode.ALIGNING, 0.0, unacknowledged=Safety.NOT_CONFIRMED)).splitlines()

    assert "NOT CONFIRMED" in lines[1]


def test_alignment_shows_what_moves_and_a_missing_value_as_a_dash() -> None:
    text = shown(
        Snapshot(
            Mode.ALIGNING,
            0.0,
            readings=(ChannelReading("temperature_K", "K", None, 0.0, "sensor fault"),),
            moves=(
                MoveStatus("angle_deg", MoveState.MOVING, 30.0, 12.0, "rotates"),
                MoveStatus("grating", MoveState.RESTING),
            ),
        )
    )

    assert "temperature_K -\n" in text
    assert "angle_deg moving to 30.0: rotates" in text
    assert "grating" not in text


def test_the_end_of_a_run_says_how_it_ended_and_whether_it_is_safe() -> None:
    ended = replace(
        STATUS,
        state=EngineState.IDLE,
        finish=FinishReason.INTERLOCK,
        finish_text="pressure",
        safety=Safety.CONFIRMED,
    )

    assert "interlock: pressure; safe state confirmed" in shown(
        Snapshot(Mode.ALIGNING, 0.0, status=ended)
    )


def test_watch_once_prints_the_engine_and_json_is_one_document(engine) -> None:
    text = CliRunner().invoke(cli.app, ["watch", "--once"])
    document = CliRunner().invoke(cli.app, ["watch", "--once", "--json"])

    assert text.exit_code == document.exit_code == 0
    assert "bench (SIMULATED), engine pid 7" in text.stdout
    found = json.loads(document.stdout)
    assert (found["hello"]["station"], found["snapshot"]["status"]["done"]) == ("bench", 41)


def test_watch_without_an_engine_says_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path))

    result = CliRunner().invoke(cli.app, ["watch", "--once"])

    assert result.exit_code == 1
    assert "no engine is running; begin with cryoscan run, or cryoscan engine" in result.stderr


def test_an_engine_is_found_by_the_run_it_works_on(engine, tmp_path) -> None:
    assert find_engine(Path("/runs/stark")) == engine.address
    with pytest.raises(Refused, match="no engine works on this run"):
        find_engine(tmp_path)


def test_the_window_without_qt_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    result = CliRunner().invoke(cli.app, ["gui"])

    assert result.exit_code == 1
    assert "the window needs PyQt6 and pyqtgraph: pip install 'cryoscan[gui]'" in result.stderr


def test_the_window_is_a_program_of_its_own_that_no_file_here_can_shadow(monkeypatch) -> None:
    started: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        started.append(command)
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(subprocess, "run", run)

    result = CliRunner().invoke(cli.app, ["gui", "station.toml", "run", "--screenshot", "x.png"])

    assert result.exit_code == 5
    assert started == [
        [sys.executable, "-P", "-m", "gui.app", "station.toml", "run", "--screenshot", "x.png"]
    ]

"""A real engine in its own process, with a simulated station, shared by all tests of the panels."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from acquisition.channel.engine_address import RUNTIME, EngineAddress, list_engines
from acquisition.channel.messages import Answer, Mode, MoveState, Snapshot, Verb
from gui.link.engine_link import EngineLink

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
STATION = """
[positioner]
model = "attocube.anc300"
address = "sim://positioner"
step = "0.1 um"
options = { drive_V = 50.0 }
"""
SCALE = "[simulation]\nscale = 20.0\n"
START_ms = 20_000
ANSWER_ms = 10_000


@dataclass(frozen=True, slots=True)
class EngineOfTests:
    process: "subprocess.Popen[bytes]"
    address: EngineAddress
    folder: Path  # of its station file


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineOfTests]:
    """A station of the examples with a positioner, twenty times as fast as life."""
    folder = tmp_path_factory.mktemp("engine")
    text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    station = folder / "station.toml"
    station.write_text(text.replace("[simulation]\n", SCALE) + STATION, encoding="utf-8")
    before = os.environ.get(RUNTIME)
    os.environ[RUNTIME] = str(folder / "runtime")
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-c", "from acquisition.cli import main; main()"),
            *("engine", str(station), "--sample", str(EXAMPLES / "stark.toml")),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield EngineOfTests(process, _announced(process), folder)
    finally:
        process.terminate()
        process.wait(30)
        os.environ.pop(RUNTIME)
        if before is not None:
            os.environ[RUNTIME] = before


def _announced(process: "subprocess.Popen[bytes]") -> EngineAddress:
    """Wait until the engine can be found."""
    import time

    end_s = time.monotonic() + START_ms / 1000
    while time.monotonic() < end_s:
        for address in list_engines():
            if address.pid == process.pid:
                return address
        assert process.poll() is None, f"the engine ended with {process.returncode}"
        time.sleep(0.05)
    raise AssertionError("the engine did not announce itself")


@dataclass
class Watching:
    """A connected link, and waiting for what the engine says."""

    link: EngineLink
    qtbot: QtBot

    def until(self, is_so: Callable[[], bool], timeout_ms: int = ANSWER_ms) -> None:
        self.qtbot.waitUntil(is_so, timeout=timeout_ms)

    @property
    def latest(self) -> Snapshot:
        assert self.link.latest is not None
        return self.link.latest

    def asked(self, verb: Verb, text: str = "", quantity: str = "", **numbers: float) -> Answer:
        """Ask and return the answer."""
        answers: dict[int, Answer] = {}
        taken = self.link.answered.connect(lambda answer: answers.update({answer.request: answer}))
        number = self.link.ask(verb, text, quantity, **numbers)
        self.until(lambda: number in answers)
        self.link.answered.disconnect(taken)
        return answers[number]

    def sent(self, verb: Verb, text: str = "", quantity: str = "", **numbers: float) -> None:
        """Ask, and insist that it is taken."""
        answer = self.asked(verb, text, quantity, **numbers)
        assert answer.ok, answer.text

    def is_there(self, quantity: str, value: float, within: float = 0.1) -> bool:
        """Whether it was sent to that value and rests there."""
        move = next(move for move in self.latest.moves if move.quantity == quantity)
        places = [place for place in (move.target, move.readback) if place is not None]
        is_near = len(places) == 2 and all(abs(place - value) <= within for place in places)
        return is_near and move.state is MoveState.RESTING

    def until_there(self, quantity: str, value: float, within: float = 0.1) -> None:
        self.until(lambda: self.is_there(quantity, value, within), 30_000)

    def readback(self, quantity: str) -> float | None:
        found = (move.readback for move in self.latest.moves if move.quantity == quantity)
        return next(found, None)


@pytest.fixture
def watching(engine: EngineOfTests, qtbot: QtBot) -> Iterator[Watching]:
    """A window's link to the engine, in alignment; whatever was begun is ended afterwards."""
    link = EngineLink("test")
    link.follow(lambda: engine.address)
    here = Watching(link, qtbot)
    here.until(lambda: link.latest is not None and link.latest.mode is Mode.ALIGNING, START_ms)
    here.until(lambda: link.hello is not None and bool(link.hello.movables))
    yield here
    if link.latest is not None:
        here.asked(Verb.LIVE_STOP)
        here.asked(Verb.STOP_MOVES)
        here.asked(Verb.RELEASE_COMMAND)
    link.leave()
    link.deleteLater()


@pytest.fixture
def shown(qtbot: QtBot) -> Iterator[Callable[[QWidget], QWidget]]:
    """Shows a panel and holds on to it until the end: what Python collects Qt may still draw."""
    held: list[QWidget] = []

    def show(panel: QWidget) -> QWidget:
        held.append(panel)
        qtbot.addWidget(panel)
        panel.resize(700, 500)
        panel.show()
        panel.activateWindow()
        return panel

    yield show
    held.clear()

"""kill -9 and SIGSTOP of watchers in the middle of a sweep, and kill -9 of the engine itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acquisition.channel.engine_address import EngineAddress, list_engines
from acquisition.channel.messages import Answer, Committed, FrameArrived, Mode, Snapshot, Verb
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from acquisition.storage.journal import JournalReader
from acquisition.storage.record import Level

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="there is no SIGSTOP here")

EXAMPLES = Path(__file__).parents[2] / "examples"
SCALE = 20
AXES = """
[[axis]]
quantity = "repeat"
points = {points}

[exposure]
time = "1 s"

[background]
kinds = []
"""
WATCHER = """
import sys
from acquisition.channel.engine_address import list_engines
from acquisition.channel.messages import Committed, Verb
from acquisition.channel.watcher_link import WatcherLink
link = WatcherLink.connect(list_engines()[0], sys.argv[1])
link.request(Verb.TAKE_COMMAND)
print("watching", flush=True)
while True:
    link.receive(1.0)
"""


class Engine:
    """`cryoscan engine` in a process of its own, and its watchers in others."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._environment = environment
        self.log = folder / "engine.log"
        self.processes: list[subprocess.Popen] = []
        with self.log.open("w") as log:
            self.process = self._start(
                "-c", "from acquisition.cli import main; main()", "engine", folder / "station.toml",
                "--no-fit", "--no-final", stderr=log,
            )  # fmt: skip

    def watcher(self, name: str) -> subprocess.Popen:
        process = self._start("-c", WATCHER, name, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "watching\n"
        return process

    def _start(self, *arguments, **streams) -> subprocess.Popen:
        command = [sys.executable, "-P", *map(str, arguments)]
        self.processes.append(subprocess.Popen(command, env=self._environment, **streams))
        return self.processes[-1]

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    runtime = str(tmp_path / "runtime")
    monkeypatch.setenv("CRYOSCAN_RUNTIME", runtime)
    text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    text = text.replace("[simulation]\n", f"[simulation]\nscale = {SCALE}\n")
    (tmp_path / "station.toml").write_text(text, encoding="utf-8")
    engine = Engine(tmp_path, {**os.environ, "CRYOSCAN_RUNTIME": runtime})
    yield engine
    engine.end()


@pytest.fixture
def found(engine: Engine, wait_until: Callable[..., None]) -> EngineAddress:
    wait_until(list_engines)
    return list_engines()[0]


class Window:
    def __init__(self, address: EngineAddress) -> None:
        self.link = WatcherLink.connect(address, "window")
        self.heard: list = []

    def until(self, kind: type, condition: Callable = lambda _: True):
        """Return the first message heard from now on that is as wanted."""
        end_s = time.monotonic() + 60.0
        while time.monotonic() < end_s:
            arrived = [message for message, _ in self.link.receive(0.2)]
            self.heard += arrived
            for message in arrived:
                if isinstance(message, kind) and condition(message):
                    return message
        raise AssertionError(f"no {kind.__name__} as wanted; last heard {self.heard[-3:]}")

    def begin(self, text: str, folder: Path) -> None:
        self.until(Snapshot, lambda s: s.mode is Mode.ALIGNING)
        number = self.link.request(Verb.SWEEP, text=text, quantity=str(folder))
        answer = self.until(Answer, lambda a: a.request == number)
        assert answer.ok, answer.text
        self.until(Committed)


def test_the_engine_does_not_notice_watchers_that_are_killed_or_stopped(
    engine, found, common_sweep, tmp_path, wait_until
) -> None:
    points = 40
    window = Window(found)
    window.begin(common_sweep + AXES.format(points=points), tmp_path)
    killed, stopped = engine.watcher("killed"), engine.watcher("stopped")

    killed.kill()
    stopped.send_signal(signal.SIGSTOP)
    window.until(Committed, lambda c: c.done == points)
    ended = window.until(Snapshot, lambda s: s.mode is Mode.ALIGNING)
    stopped.send_signal(signal.SIGCONT)
    window.link.close()

    with JournalReader(Path(ended.run_folder)) as reader:
        assert sorted(reader.accepted()) == list(range(points))
        assert len(list(reader.attempts())) == points
        troubled = [e.text for _, e in reader.events() if e.level in (Level.WARNING, Level.ERROR)]
        assert troubled == []
    late = Window(found)  # a new window sees the run's end, and may take command
    snapshot = late.until(Snapshot)
    assert snapshot.status.done == points
    assert snapshot.watchers == 2
    engine.process.send_signal(signal.SIGTERM)
    with pytest.raises(LinkLost):
        late.until(type(None))
    late.link.close()
    assert engine.process.wait(30) == 0
    assert [line for line in engine.log.read_text().splitlines() if "pid" not in line] == []


def test_a_killed_engine_is_lost_at_once_forgotten_and_its_run_goes_on_elsewhere(
    engine, found, common_sweep, tmp_path
) -> None:
    from acquisition.running.doors import Watcher, go_on
    from acquisition.running.run import RunOptions
    from acquisition.simulated_laboratory import in_process

    window = Window(found)
    window.begin(common_sweep + AXES.format(points=120), tmp_path)
    window.until(FrameArrived)
    folder = Path(window.until(Snapshot).run_folder)

    engine.process.kill()
    with pytest.raises(LinkLost):
        window.until(type(None))
    window.link.close()
    assert engine.process.wait(10) == -signal.SIGKILL

    assert list_engines() == []
    with JournalReader(folder) as reader:
        done = len(reader.accepted())
        assert 0 < done < 120
    ended = go_on(
        folder,
        None,
        in_process,
        options=RunOptions(live_fit=False, accept_changed=True),
        watcher=Watcher(),
        final=False,
    )
    assert ended.is_complete
    with JournalReader(folder) as reader:
        assert sorted(reader.accepted()) == list(range(120))

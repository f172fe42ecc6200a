"""The engine's process as its watchers meet it: a simulated laboratory in scaled real time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread, current_thread

import pytest

from acquisition.channel.engine_address import list_engines
from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.channel.messages import (
    Answer,
    Committed,
    Fitted,
    FrameArrived,
    FrameSource,
    Hello,
    Message,
    Mode,
    MoveState,
    Said,
    Snapshot,
    Verb,
)
from acquisition.channel.station_claim import StationTaken
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from acquisition.running.run import RunOptions, create_run
from acquisition.safety.safe_state import SafeReport
from acquisition.simulated_laboratory import in_process
from acquisition.storage.journal import JournalReader
from acquisition.workbench.engine_process import EngineProcess, open_engine
from acquisition.workbench.sweep_queue import SweepQueue, WaitingSweep
from drivers.clock import RealClock
from drivers.errors import LinkClosed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCALE = 20.0
PATIENCE_S = 30.0
SWEEP = """
[sweep]
name = "{name}"
user = "A. Person"

[sample]
name = "CS"
material = "CsPbBr3"
electrodes = "parallel plate"
gap = "10 um"
max_field = "50 kV/cm"
gas = "vacuum"

[nanocrystal]
id = "CS/1"

[optics]
laser_wavelength = "450 nm"
laser_power = "1 uW"
slit = "60 um"
objective = "0.7 NA"
numerical_aperture = 0.7

[optics.spectrograph]
grating = 0
centre = "518.3 nm"

[[axis]]
quantity = "repeat"
points = {points}

[exposure]
time = "1 s"

[background]
kinds = []

[fit.model]
lines = 3
shape = "gauss"
window = ["2.384 eV", "2.399 eV"]
"""


def sweep(name: str = "short", points: int = 3) -> str:
    return SWEEP.format(name=name, points=points)


@dataclass
class Window:
    """A watcher, and everything it heard."""

    link: WatcherLink
    heard: list[tuple[Message, object]] = field(default_factory=list)

    def listen(self) -> None:
        self.heard += self.link.receive(0.05)

    def until(self, done: Callable[[], object], longest_s: float = PATIENCE_S) -> object:
        clock = RealClock()
        end_s = clock.now() + longest_s
        while not (found := done()):
            assert clock.now() < end_s, f"not within {longest_s} s: {self.said()} {self.latest}"
            self.listen()
        return found

    def all(self, kind: type) -> list:
        return [message for message, _ in self.heard if isinstance(message, kind)]

    @property
    def latest(self) -> Snapshot | None:
        snapshots = self.all(Snapshot)
        return snapshots[-1] if snapshots else None

    def said(self) -> list[str]:
        return [said.text for said in self.all(Said)]

    def reach(self, mode: Mode) -> Snapshot:
        """Wait until a snapshot that is still to come shows this mode."""
        before = len(self.all(Snapshot))
        self.until(lambda: len(self.all(Snapshot)) > before + 1 and self.latest.mode is mode)
        return self.latest

    def ask(self, verb: Verb, **what) -> Answer:
        number = self.link.request(verb, **what)
        answered = lambda: [a for a in self.all(Answer) if a.request == number]  # noqa: E731
        return self.until(answered)[0]


@dataclass
class Running:
    process: EngineProcess
    thread: Thread
    results: list[bool]

    def end(self) -> bool:
        self.process.quit()
        self.thread.join()
        return self.results[0]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    started: list[Running] = []

    def start_it(
        *, with_sample: bool = False, live_fit: bool = False, edit: Callable[[str], str] = str
    ) -> Running:
        text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
        text = text.replace("[simulation]\n", f"[simulation]\nscale = {SCALE}\n")
        (tmp_path / "station.toml").write_text(edit(text), encoding="utf-8")
        (tmp_path / "sample.toml").write_text(sweep(), encoding="utf-8")
        process = open_engine(
            tmp_path / "station.toml",
            in_process,
            sample=tmp_path / "sample.toml" if with_sample else None,
            seed=7,
            options=RunOptions(live_fit=live_fit),
            final=False,
            say=lambda _: None,
        )
        results: list[bool] = []
        thread = Thread(target=lambda: results.append(process.run()), name="engine process")
        thread.start()
        started.append(Running(process, thread, results))
        return started[-1]

    yield start_it
    for running in started:
        running.end()


@pytest.fixture
def attach() -> Iterator[Callable[..., Window]]:
    links: list[WatcherLink] = []

    def attach_it(running: Running, name: str = "window") -> Window:
        links.append(WatcherLink.connect(running.process.address, name))
        return Window(links[-1], [(links[-1].hello, None)])

    yield attach_it
    for link in links:
        link.close()


def test_a_window_finds_the_engine_aligning_and_sees_live_light(start, attach) -> None:
    running = start()
    window = attach(running)
    window.until(lambda: list_engines() == [running.process.address])

    window.reach(Mode.ALIGNING)
    assert window.ask(Verb.MOVE, quantity="shutter", value=1.0).ok
    assert window.ask(Verb.LIVE, exposure_s=1.0).text.startswith("exposes 1 s")
    window.until(lambda: len(window.all(FrameArrived)) >= 3)

    hello = window.all(Hello)[-1]
    assert (hello.is_simulated, hello.time_scale, hello.rows, hello.pixels) == (
        True,
        SCALE,
        256,
        1024,
    )
    assert {m.quantity for m in hello.movables} == {
        "temperature_K", "angle_deg", "centre_nm", "grating", "shutter",
    }  # fmt: skip
    frame, counts = next((m, v) for m, v in window.heard if isinstance(m, FrameArrived))
    assert (frame.source, counts.shape) == (FrameSource.LIVE, (1024,))
    window.until(lambda: window.latest.commander == window.link.hello.watcher)


def test_a_move_is_seen_moving_then_stopped(start, attach) -> None:
    window = attach(start())
    window.reach(Mode.ALIGNING)

    assert window.ask(Verb.MOVE, quantity="temperature_K", value=100.0).ok
    moving = lambda: window.latest.moves[0].state is MoveState.MOVING  # noqa: E731
    window.until(moving)
    assert window.latest.moves[0].target == 100.0
    assert window.ask(Verb.STOP_MOVES, quantity="temperature_K").ok
    window.until(lambda: window.latest.moves[0].state is MoveState.STOPPED)

    refused = window.ask(Verb.MOVE, quantity="temperature_K", value=410.0)
    assert (refused.ok, refused.text) == (
        False,
        "temperature 410 K: allowed 5.2 to 305 K (station file, cryostat.min and cryostat.max)",
    )


def test_sweeps_run_one_after_the_other_and_alignment_comes_back(start, attach, tmp_path) -> None:
    window = attach(start())
    window.reach(Mode.ALIGNING)

    first = window.ask(Verb.SWEEP, text=sweep("first", 3), quantity=str(tmp_path))
    second = window.ask(Verb.SWEEP, text=sweep("second", 2), quantity=str(tmp_path))
    assert first.text.startswith("first: 3 points, queued as ")
    assert second.ok
    window.reach(Mode.RUNNING)
    refused = window.ask(Verb.MOVE, quantity="shutter", value=1.0)
    window.until(lambda: len(window.all(Committed)) == 5)
    window.reach(Mode.ALIGNING)

    assert (refused.ok, "a sweep is running" in refused.text) == (False, True)
    assert [(c.point, c.done, c.total) for c in window.all(Committed)] == [
        (0, 1, 3), (1, 2, 3), (2, 3, 3), (0, 1, 2), (1, 2, 2),
    ]  # fmt: skip
    safe = [text for text in window.said() if text.startswith("safe state: confirmed: ")]
    assert len(safe) == 4  # before and after each, once
    assert window.latest.status.finish is FinishReason.COMPLETED
    runs = sorted((tmp_path / "runs").glob("*/*/*"))
    assert [run.name.split("_")[2] for run in runs] == ["first", "second"]
    assert window.latest.run_folder == str(runs[1])
    for run in runs:
        with JournalReader(run) as reader:
            assert reader.todo() == ()


def test_while_a_run_is_being_created_nothing_of_the_run_before_is_shown(
    start, attach, tmp_path, monkeypatch
) -> None:
    running = start()
    window = attach(running)
    window.reach(Mode.ALIGNING)
    seen: list[Snapshot] = []

    def create(*args: object) -> Path:
        seen.append(running.process._bench.snapshot())
        if len(seen) == 3:
            raise OSError("no room")
        return create_run(*args)

    monkeypatch.setattr("acquisition.workbench.bench.create_run", create)
    for number, name in enumerate(("first", "second", "third"), start=1):
        assert window.ask(Verb.SWEEP, text=sweep(name, 1), quantity=str(tmp_path)).ok
        window.until(lambda number=number: len(seen) == number)
        window.reach(Mode.ALIGNING)

    assert [(s.mode, s.run_folder, s.status) for s in seen] == [(Mode.RUNNING, "", None)] * 3
    assert "_second_" in window.latest.run_folder  # the third has not begun
    assert window.latest.status.finish is FinishReason.COMPLETED


@pytest.mark.parametrize("live_fit", [True, False])
def test_what_fits_is_loaded_while_a_person_aligns_and_not_by_the_bench(
    start, attach, monkeypatch, live_fit: bool
) -> None:
    loaded: list[tuple[str, str]] = []

    def load(module: str) -> None:
        loaded.append((module, current_thread().name))

    monkeypatch.setattr("acquisition.workbench.engine_process.import_module", load)

    window = attach(start(live_fit=live_fit))
    window.reach(Mode.ALIGNING)
    assert window.ask(Verb.NOTE, text="the desk is through").text.startswith(
        "note: there is no run"
    )

    assert loaded == [("acquisition.fits.fit_worker", "engine process")] * live_fit


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[sweep]\n", "sweep: sample: found nothing; allowed: required"),
        ("not toml", "TOML syntax"),
        (sweep().replace('"1 s"', '"1 K"'), 'exposure.time: found "1 K"'),
    ],
)
def test_a_sweep_with_mistakes_is_refused_with_all_of_them(
    start, attach, tmp_path, text: str, why: str
) -> None:
    window = attach(start())

    answer = window.ask(Verb.SWEEP, text=text, quantity=str(tmp_path))

    assert not answer.ok
    assert why in answer.text
    assert not (tmp_path / "runs").exists()


def test_a_stopped_run_holds_the_queue_and_can_be_resumed(start, attach, tmp_path) -> None:
    running = start()
    window, other = attach(running), attach(running, "other")
    window.reach(Mode.ALIGNING)
    window.ask(Verb.SWEEP, text=sweep("long", 60), quantity=str(tmp_path))
    window.ask(Verb.SWEEP, text=sweep("next", 2), quantity=str(tmp_path))
    window.until(lambda: window.all(Committed))
    assert window.ask(Verb.NOTE, text="it blinks").ok

    assert other.ask(Verb.STOP_NOW).ok  # whoever watches may stop
    snapshot = window.reach(Mode.ALIGNING)

    assert snapshot.status.finish is FinishReason.STOPPED
    assert snapshot.status.safety is Safety.CONFIRMED
    assert [q.text for q in snapshot.queue] == ["the run before it ended: stopped"]
    folder = snapshot.run_folder
    assert window.ask(Verb.UNQUEUE, text=snapshot.queue[0].identity).ok
    assert not window.ask(Verb.UNQUEUE, text="gone").ok
    assert not window.ask(Verb.RESUME_RUN, text=str(tmp_path)).ok
    answer = window.ask(Verb.RESUME_RUN, text=folder)
    assert "points left" in answer.text
    window.until(lambda: window.latest.mode is Mode.RUNNING and window.latest.run_folder == folder)
    window.ask(Verb.STOP_AFTER_POINT)
    window.reach(Mode.ALIGNING)
    with JournalReader(Path(folder)) as reader:
        assert len(reader.segments()) == 2
        notes = [event.text for _, event in reader.events() if event.code == "note"]
        assert notes == ["it blinks"]


def test_pause_and_order_of_the_queue(start, attach, tmp_path) -> None:
    window = attach(start())
    window.reach(Mode.ALIGNING)
    window.ask(Verb.SWEEP, text=sweep("running", 60), quantity=str(tmp_path))
    window.until(lambda: window.latest.mode is Mode.RUNNING)
    for name in ("a", "b"):
        window.ask(Verb.SWEEP, text=sweep(name, 1), quantity=str(tmp_path))
    window.until(lambda: len(window.latest.queue) == 2)

    assert window.ask(Verb.QUEUE_UP, text=window.latest.queue[1].identity).ok
    window.until(lambda: [q.name for q in window.latest.queue] == ["b", "a"])
    assert window.ask(Verb.PAUSE).ok
    window.until(lambda: window.latest.status and window.latest.status.state.value == "paused")
    assert window.ask(Verb.RESUME).ok
    window.until(lambda: window.latest.status.state.value != "paused")


def test_an_engine_asked_to_quit_while_it_takes_a_sweep_does_not_measure_it(
    start, attach, monkeypatch, tmp_path
) -> None:
    running = start()
    window = attach(running)
    window.reach(Mode.ALIGNING)
    take = SweepQueue.take

    def take_and_be_asked(queue: SweepQueue) -> WaitingSweep | None:
        waiting = take(queue)
        if waiting is not None:
            running.process._bench.quit()  # what the desk does with a quit, at once
        return waiting

    monkeypatch.setattr(SweepQueue, "take", take_and_be_asked)
    window.link.request(Verb.SWEEP, text=sweep("too late", 60), quantity=str(tmp_path / "runs"))
    running.thread.join(PATIENCE_S)

    assert not running.thread.is_alive()
    assert not list(tmp_path.glob("runs/**/journal*"))


def test_a_bias_left_on_goes_to_zero_when_nobody_is_in_command(start, attach, monkeypatch) -> None:
    monkeypatch.setattr("acquisition.workbench.bench.LEASE_S", 0.5)
    running = start(with_sample=True)
    one, other = attach(running, "one"), attach(running, "other")
    one.reach(Mode.ALIGNING)
    refused = one.ask(Verb.MOVE, quantity="field_kV_per_cm", value=60.0)
    assert "allowed -50 to 50 kV/cm" in refused.text
    assert one.ask(Verb.MOVE, quantity="voltage_V", value=20.0).ok

    def voltage(window: Window) -> float:
        moves = {move.quantity: move for move in window.latest.moves}
        return moves["voltage_V"].readback if "voltage_V" in moves else None

    one.until(lambda: voltage(one) == pytest.approx(20.0, abs=0.2))
    one.link.close()
    other.until(lambda: any("nobody has been in command for 0.5 s" in t for t in other.said()))
    other.until(lambda: voltage(other) == 0.0)


def test_a_safe_state_that_was_not_confirmed_stays_in_view_until_a_person_says_so(
    start, attach, monkeypatch, tmp_path
) -> None:
    report = SafeReport((), ("bias 0 V and off (no answer)",))
    window = attach(running := start())
    window.reach(Mode.ALIGNING)
    with monkeypatch.context() as broken:
        broken.setattr("acquisition.alignment.alignment.make_safe", lambda *_, **__: report)
        assert window.ask(Verb.DISCONNECT).ok
    assert window.reach(Mode.DISCONNECTED).unacknowledged is Safety.NOT_CONFIRMED
    assert any("NOT CONFIRMED: bias 0 V and off (no answer)" in text for text in window.said())

    assert window.ask(Verb.CONNECT).ok
    assert window.reach(Mode.ALIGNING).unacknowledged is Safety.NOT_CONFIRMED
    assert window.ask(Verb.SWEEP, text=sweep(), quantity=str(tmp_path)).ok
    window.until(lambda: window.latest.queue and "NOT CONFIRMED" in window.latest.queue[0].text)

    assert window.ask(Verb.ACKNOWLEDGE).ok
    window.until(lambda: window.latest.unacknowledged is Safety.NOT_ASKED)
    assert window.ask(Verb.RESUME).ok
    window.until(lambda: len(window.all(Committed)) == 3)
    window.reach(Mode.ALIGNING)
    assert running.end()


def test_an_instrument_that_is_not_there_leaves_the_engine_disconnected_and_saying_why(
    start, attach
) -> None:
    edit = lambda text: text.replace("sim://bias", "tcp://127.0.0.1:1")  # noqa: E731
    window = attach(start(edit=edit))

    window.until(lambda: "bias" in (window.latest.trouble if window.latest else ""))
    assert window.latest.mode is Mode.DISCONNECTED
    answer = window.ask(Verb.CONNECT)
    assert (answer.ok, "127.0.0.1:1" in answer.text) == (False, True)
    refused = window.ask(Verb.LIVE, exposure_s=1.0)
    assert "not connected" in refused.text


def test_quitting_ends_safe_and_the_last_words_are_heard(start, attach) -> None:
    running = start()
    window = attach(running)
    window.reach(Mode.ALIGNING)
    window.ask(Verb.MOVE, quantity="shutter", value=1.0)

    assert window.ask(Verb.QUIT).ok
    with pytest.raises(LinkLost):
        window.until(lambda: False)
    running.thread.join()

    assert running.results == [True]
    assert any("laser shutter closed" in text for text in window.said())
    assert list_engines() == []


def test_quitting_in_a_run_stops_it_so_that_it_can_be_resumed(start, attach, tmp_path) -> None:
    running = start()
    window = attach(running)
    window.reach(Mode.ALIGNING)
    window.ask(Verb.SWEEP, text=sweep("long", 200), quantity=str(tmp_path))
    window.until(lambda: window.all(Committed))

    assert running.end()

    (run,) = (tmp_path / "runs").glob("*/*/*")
    with JournalReader(run) as reader:
        ends = [event.text for _, event in reader.events() if event.code == "finished"]
        assert ends == ["stopped: the engine was asked to quit"]
        assert 0 < len(reader.todo()) < 200


def test_what_nobody_foresaw_ends_a_request_or_the_alignment_but_in_the_safe_state(
    start, attach, monkeypatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    running = start()
    window = attach(running)
    window.reach(Mode.ALIGNING)
    assert window.ask(Verb.MOVE, quantity="shutter", value=1.0).ok
    with monkeypatch.context() as broken:
        broken.setattr("acquisition.alignment.hand_move.HandMove.jog", fail)
        answer = window.ask(Verb.JOG, quantity="angle_deg", value=1.0)
    assert answer.text == "RuntimeError: nobody foresaw this"

    with monkeypatch.context() as broken:
        broken.setattr("acquisition.alignment.live_exposures.LiveExposures.advance", fail)
        snapshot = window.reach(Mode.DISCONNECTED)
    assert snapshot.trouble == (
        "the alignment failed: an error of the program, RuntimeError: nobody foresaw this"
    )
    (failed,) = [said for said in window.all(Said) if said.code == "alignment"]
    assert failed.text == snapshot.trouble
    assert failed.done == ("live and moves have ended, every line is closed; safe state confirmed")
    assert failed.advice == "look at the instruments, then connect again"
    assert any("laser shutter closed" in text for text in window.said())
    assert window.ask(Verb.CONNECT).ok
    window.reach(Mode.ALIGNING)


def test_an_alignment_that_an_instrument_ends_names_the_instrument(
    start, attach, monkeypatch
) -> None:
    def fail(*_: object) -> None:
        raise LinkClosed("camera", "line lost")

    window = attach(start())
    window.reach(Mode.ALIGNING)
    with monkeypatch.context() as broken:
        broken.setattr("acquisition.alignment.alignment.Alignment.advance", fail)
        snapshot = window.reach(Mode.DISCONNECTED)
    assert snapshot.trouble == "the alignment failed: camera: line lost"
    assert [s.device for s in window.all(Said) if s.code == "alignment"] == ["camera"]


def test_a_station_has_one_engine(start, attach, tmp_path) -> None:
    running = start()
    attach(running).until(list_engines)

    with pytest.raises(
        StationTaken,
        match=r"the station .*station\.toml belongs to the engine of simulated .*, pid \d+, "
        r"since 20\d\d-.* UTC; attach to it with `cryoscan gui`",
    ):
        start()
    assert running.end()
    start()  # now it is free


def test_fits_are_published_as_they_are_finished(start, attach, tmp_path) -> None:
    window = attach(start(live_fit=True))
    window.reach(Mode.ALIGNING)
    window.ask(Verb.SWEEP, text=sweep("fitted", 3), quantity=str(tmp_path))

    window.until(lambda: len(window.all(Fitted)) == 3)

    fits = window.all(Fitted)
    assert sorted(fit.point for fit in fits) == [0, 1, 2]
    assert set(fits[0].values) == set(fits[0].errors) != set()
    window.reach(Mode.ALIGNING)

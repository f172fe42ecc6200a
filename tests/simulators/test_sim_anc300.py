"""The simulated ANC300: its console, pymeasure's own client, and where the sample really goes."""

import pytest
from pymeasure.adapters import Adapter
from pymeasure.instruments.attocube import ANC300Controller

from simulators.anc300 import ANC300, GREETING, ANC300Settings
from simulators.positioner_stage import PositionerStage, StageProperties
from simulators.truth import CryostatTruth, Truth
from simulators.world import World


class Bench:
    """A rack at some temperature, the password given."""

    def __init__(self, start_K: float = 4.8, *, log_in: bool = True) -> None:
        self.world = World(Truth(cryostat=CryostatTruth(start_K=start_K)), seed=1)
        self.core = ANC300(self.world, ANC300Settings(stage=StageProperties(spread=0.0)))
        self.now = 0.0
        if log_in:
            self.core.transmit(0.0)
            self.ask("123456")

    def ask(self, line: str, wait_s: float = 0.01) -> str:
        self.core.receive(line.encode() + b"\r\n", self.now)
        self.now += wait_s
        return b"".join(self.core.transmit(self.now)).decode("latin-1")

    def position_um(self, axis: str = "1") -> float:
        return self.core.stage(axis).position_um(self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_answered_before_the_password() -> None:
    bench = Bench(log_in=False)

    assert bench.core.transmit(0.0) == [GREETING]
    assert bench.ask("getv 1").endswith("Authorization failed\r\n")
    assert bench.ask("123456") == "******\r\nAuthorization success\r\n"
    assert bench.ask("getv 1") == "getv 1\r\nvoltage = 30.000000 V\r\nOK\r\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("getm 1", "mode = gnd\r\nOK"),
        ("getf 2", "frequency = 200 Hz\r\nOK"),
        ("setf 2 1000.7", "OK"),
        ("setv 3 45.5", "OK"),
        ("geta 1", "voltage = 0.000000 V\r\nOK"),
        ("geto 1", "voltage = 0.000000 V\r\nOK"),
        ("getc 1", "capacitance = 0.000000 nF\r\nOK"),
        ("stop 1", "OK"),
        ("stepw 1", "OK"),
        ("getcser", "ANC300B-C-4711\r\nOK"),
        ("stepu 1 10", "Axis in wrong mode\r\nERROR"),
        ("setv 1 151", "Parameter out of range\r\nERROR"),
        ("setv 1 nan", "Parameter out of range\r\nERROR"),
        ("setv 1", "Wrong parameter\r\nERROR"),
        ("getv 4", "Wrong axis type\r\nERROR"),
        ("setm 1 fly", "Unknown mode\r\nERROR"),
        ("foo", "Unknown command: foo\r\nERROR"),
    ],
)
def test_each_line_is_echoed_and_answered(bench: Bench, line: str, answer: str) -> None:
    assert bench.ask(line) == f"{line}\r\n{answer}\r\n"


def test_the_echo_can_be_switched_off(bench: Bench) -> None:
    bench.ask("echo off")

    assert bench.ask("getm 1") == "mode = gnd\r\nOK\r\n"


def test_steps_return_at_once_and_take_their_time(bench: Bench) -> None:
    bench.ask("setm 1 stp")
    bench.ask("setv 1 60")
    assert bench.ask("stepu 1 200").endswith("OK\r\n")
    assert bench.ask("geto 1").startswith("geto 1\r\nvoltage = 60.0")
    assert bench.ask("stepw 1", wait_s=0.5) == ""

    bench.now += 0.6
    assert b"".join(bench.core.transmit(bench.now)) == b"stepw 1\r\nOK\r\n"
    assert bench.position_um() > 1.0


def test_an_endless_movement_goes_on_until_stopped(bench: Bench) -> None:
    bench.ask("setm 1 stp")
    bench.ask("setv 1 60")
    bench.ask("stepd 1 c", wait_s=2.0)
    bench.ask("stop 1")
    stopped_um = bench.position_um()

    bench.now += 1.0
    assert stopped_um < -1.0
    assert bench.position_um() == pytest.approx(stopped_um, rel=0.01)


def test_it_does_not_move_below_its_threshold(bench: Bench) -> None:
    bench.ask("setm 1 stp")
    bench.ask("setv 1 20")
    bench.ask("stepu 1 100", wait_s=1.0)

    assert bench.position_um() == 0.0


def test_steps_differ_with_temperature_direction_and_chance() -> None:
    import numpy as np

    stage = PositionerStage(StageProperties(), np.random.default_rng(1))

    assert stage.step_um(60.0, 300.0) > 3 * stage.step_um(60.0, 5.0) > 0.0
    forth, back = [], []
    for _ in range(20):
        before_um = stage.position_um(0.0)
        stage.step(100, 60.0, 5.0, 0.0)
        middle_um = stage.position_um(0.0)
        stage.step(-100, 60.0, 5.0, 0.0)
        forth.append(middle_um - before_um)
        back.append(middle_um - stage.position_um(0.0))
    assert np.mean(back) == pytest.approx(0.85 * np.mean(forth), rel=0.05)
    assert np.std(forth) > 0.0


def test_it_creeps_after_a_movement() -> None:
    import numpy as np

    stage = PositionerStage(StageProperties(spread=0.0), np.random.default_rng(1))
    stage.step(1000, 60.0, 5.0, now=0.0)

    at_once_um, later_um = stage.position_um(0.0), stage.position_um(100.0)

    assert 0.02 < (later_um - at_once_um) / at_once_um < 0.1


def test_stepping_warms_a_cold_sample() -> None:
    still, moving = Bench(), Bench()
    moving.ask("setm 1 stp")
    moving.ask("setv 1 60")
    moving.ask("setf 1 1000")
    moving.ask("stepu 1 c")
    for bench in (still, moving):
        bench.world.advance(120.0)

    warmer_K = moving.world.cryostat.true_sample_K - still.world.cryostat.true_sample_K
    assert warmer_K > 0.5


def test_the_capacitance_falls_in_the_cold_and_takes_a_second_to_measure() -> None:
    found = {}
    for start_K in (4.8, 290.0):
        bench = Bench(start_K)
        bench.ask("setm 1 cap")
        assert bench.ask("capw 1", wait_s=0.5) == ""
        bench.now += 1.0
        bench.core.transmit(bench.now)
        assert "mode = gnd" in bench.ask("getm 1")
        found[start_K] = float(bench.ask("getc 1").split()[4])

    assert 200.0 < found[4.8] < 0.4 * found[290.0]


def test_power_grounds_every_axis_and_asks_for_the_password_again(bench: Bench) -> None:
    bench.ask("setm 1 stp")
    bench.core.power_cycle(bench.now)

    assert bench.ask("getm 1", wait_s=9.0) == ""
    bench.now += 2.0
    assert bench.core.transmit(bench.now) == [GREETING]
    bench.ask("123456")
    assert "mode = gnd" in bench.ask("getm 1")


class ConsoleAdapter(Adapter):
    """A third party's view: lines out, lines in."""

    def __init__(self, core: ANC300) -> None:
        super().__init__()
        self.core, self.now, self.arrived = core, 0.0, b""

    def _write(self, command: str, **_: object) -> None:
        self.core.receive(command.encode() + b"\r\n", self.now)

    def _read(self, **_: object) -> str:
        for _ in range(1000):
            line, end, rest = self.arrived.partition(b"\r\n")
            if end:
                self.arrived = rest
                return line.decode("latin-1")
            self.now += 0.01
            self.arrived += b"".join(self.core.transmit(self.now))
        raise TimeoutError(f"no reply until {self.now} s")

    def flush_read_buffer(self) -> None:
        self.now += 0.05
        self.core.transmit(self.now)
        self.arrived = b""


def test_pymeasures_own_class_logs_in_and_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Truth(), seed=1)
    core = ANC300(world)
    adapter = ConsoleAdapter(core)
    monkeypatch.setattr(ANC300Controller, "wait_for", lambda self, delay=None: None)

    rack = ANC300Controller(adapter, axisnames=["x", "y", "z"], passwd="123456", query_delay=0.0)  # noqa: S106
    rack.x.voltage = 60
    rack.x.frequency = 1000
    monkeypatch.setattr(type(rack.x), "wait_for", lambda self, delay=None: None)
    rack.x.move(500)

    assert (rack.x.voltage, rack.x.frequency, rack.x.mode) == (60.0, 1000, "gnd")
    assert core.stage("1").position_um(adapter.now) > 5.0
    assert rack.y.measure_capacity() > 100.0
    rack.stop_all()
    rack.ground_all()

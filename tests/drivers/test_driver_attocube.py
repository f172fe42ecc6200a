"""The driver of the ANC300: drive limits over temperature, the password, counted steps."""

from math import nan

import pytest

from drivers.attocube import ANC300Config, ANC300Positioner, ConsoleFraming, _line
from drivers.clock import VirtualClock
from drivers.errors import DeviceError, InstrumentError, LimitError, LinkTimeout, StateError
from drivers.registry import model
from drivers.roles import Positioner, Reading, ReadingStatus
from simulators.anc300 import ANC300Settings
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

COLD_DRIVE = {"drive_V": 60.0, "frequency_Hz": 1000.0}


class Bench:
    def __init__(self, faults: Faults | None = None, kelvin: float | None = 5.0, **options) -> None:
        self.clock = VirtualClock()
        password = options.pop("console_password", "123456")
        settings = SimulatorSettings(
            models={"positioner": "attocube.anc300"},
            others={"positioner": ANC300Settings(password=password)},
        )
        self.setup = SimulatedSetup(Truth(), 1, settings=settings, faults=faults)
        self.core = self.setup.cores["positioner"]
        config = ANC300Config(**options)
        link = self.setup.link("positioner", self.clock, ConsoleFraming())
        self.line = _line("stage", link, self.clock, config)
        self.device = ANC300Positioner("stage", self.line, self.clock, config)
        if kelvin is not None:
            self.device.thermometer = lambda: Reading(kelvin, "K", self.clock.now())

    def wait_for(self, status) -> None:
        for _ in range(2000):
            if status.poll():
                break
            self.clock.wait(0.05)
        status.check()

    def position_um(self, axis: str = "1") -> float:
        return self.core.stage(axis).position_um(self.clock.now())


@pytest.fixture
def bench():
    return Bench(**COLD_DRIVE)


def test_it_is_a_positioner_found_by_name():
    found = model("attocube.anc300")

    assert (found.role, found.driver) == (Positioner, ANC300Positioner)


def test_a_reply_ends_with_ok_error_or_about_the_password():
    buffer = bytearray(
        b"\xff\xfbhello\r\nAuthorization required\r\ngetv 1\r\nvoltage = 1 V\r\nOK\r\nERROR\r\nOK"
    )
    framing = ConsoleFraming()

    assert framing.split(buffer) == b"\xff\xfbhello\r\nAuthorization required"
    assert framing.split(buffer) == b"getv 1\r\nvoltage = 1 V\r\nOK"
    assert framing.split(buffer) == b"ERROR"
    assert framing.split(buffer) is None


def test_connecting_and_closing_change_nothing(bench):
    assert bench.device.identify().serial == "ANC300B-C-4711"
    found = bench.device.settings()
    bench.device.read()
    bench.device.close()

    assert (found["mode_x"], found["drive_x_V"], found["frequency_x_Hz"]) == ("gnd", 30.0, 200.0)
    assert bench.core._echoes
    assert bench.position_um() == 0.0
    assert bench.line.anomalies == 0


def test_a_wrong_password_is_said(bench):
    with pytest.raises(StateError, match="password"):
        Bench(console_password="secret").device.identify()  # noqa: S106


def test_a_console_that_is_open_already_needs_no_password(bench):
    """A serial line does not hang up with its client, so that the next one is inside at once."""
    bench.device.identify()
    link = bench.setup.link("positioner", bench.clock, ConsoleFraming())

    line = _line("stage", link, bench.clock, ANC300Config())

    assert line.identify().serial == "ANC300B-C-4711"


def test_it_steps_counts_and_grounds(bench):
    bench.wait_for(bench.device.move_by("x", 500))
    forth_um = bench.position_um()
    bench.wait_for(bench.device.move_by("x", -500))

    assert forth_um > 5.0
    assert 0.05 * forth_um < bench.position_um() < 0.3 * forth_um  # backward steps are shorter
    assert bench.device.read()["steps_x"].value == 0.0  # so that a count is no position
    assert bench.device.settings()["mode_x"] == "gnd"
    assert bench.device.read()["steps_y"].is_good


@pytest.mark.parametrize(
    ("kelvin", "options"),
    [
        (5.0, {"drive_V": 61.0}),
        (30.1, {"drive_V": 40.0}),
        (300.0, {"drive_V": 40.0}),
        (5.0, {"drive_V": 30.0, "frequency_Hz": 1001.0}),
        (nan, {"drive_V": 40.0}),
        (None, {"drive_V": 40.0}),
        (310.1, {"drive_V": 30.0}),
    ],
)
def test_a_drive_that_the_temperature_forbids_is_refused_before_the_wire(kelvin, options):
    bench = Bench(kelvin=kelvin, **options)

    with pytest.raises(LimitError):
        bench.device.move_by("x", 10)
    assert bench.core._is_authorized is False  # nothing was sent at all


def test_a_reading_that_is_not_trusted_counts_as_not_known(bench):
    bench.device.thermometer = lambda: Reading(5.0, "K", 0.0, ReadingStatus.FAULT)

    with pytest.raises(LimitError, match="not known"):
        bench.device.move_by("x", 10)


def test_the_temperature_is_looked_up_before_every_move(bench):
    kelvin = [5.0]
    bench.device.thermometer = lambda: Reading(kelvin[0], "K", 0.0)
    bench.wait_for(bench.device.move_by("x", 10))
    kelvin[0] = 40.0

    with pytest.raises(LimitError, match=r"at 40\.0 K"):
        bench.device.move_by("x", 10)


@pytest.mark.parametrize(("axis", "steps"), [("w", 1), ("x", 5001), ("x", -5001), ("x", 1.5)])
def test_unknown_axes_and_too_many_steps_are_refused(bench, axis, steps):
    with pytest.raises(LimitError):
        bench.device.move_by(axis, steps)


def test_one_axis_moves_at_a_time(bench):
    bench.device.move_by("x", 1000)

    with pytest.raises(StateError, match="moving"):
        bench.device.move_by("y", 10)


@pytest.mark.parametrize("way", [+1, -1])
def test_a_stopped_movement_is_counted_by_the_time_it_had(bench, way):
    stage = bench.core.stage("1")
    status = bench.device.move_by("x", way * 5000)
    assert not bench.device.read()["steps_x"].is_good
    bench.clock.wait(1.0)
    bench.device.stop()
    bench.device.stop()

    assert status.poll()
    with pytest.raises(StateError, match="stopped"):
        status.check()
    count = bench.device.read()["steps_x"]
    assert count.is_good
    assert "by time" in count.note
    # 1000 steps a second, and a reply takes 4 ms; the stage came as far, and creeps by 2 %
    assert count.value == pytest.approx(way * 1000, abs=8)
    shorter = 0.0 if way > 0 else stage.properties.asymmetry
    step_um = stage.step_um(60.0, bench.core._temperature_K) * (1.0 - shorter)
    assert bench.position_um() == pytest.approx(count.value * step_um, rel=0.1)
    stopped_um = bench.position_um()
    bench.clock.wait(5.0)
    assert bench.position_um() == pytest.approx(stopped_um, rel=0.05)


def test_the_capacitance_shows_a_piezo(bench):
    bench.wait_for(bench.device.measure_capacitance("y"))

    assert 200.0 < bench.device.read_capacitance_nF("y") < 400.0


def test_what_the_console_refuses_is_an_error(bench):
    bench.device._tell("setm 1 gnd")

    with pytest.raises(InstrumentError, match="wrong mode"):
        bench.device._tell("stepu 1 10")


def test_after_a_broken_connection_it_logs_in_again(bench):
    bench.device.identify()
    bench.setup.faults.script("positioner", "getm", 1, Fault(FaultKind.REBOOT))
    with pytest.raises(DeviceError):
        bench.device.settings()
    bench.clock.wait(12.0)

    found = {}
    for _ in range(3):
        try:
            found = bench.device.settings()
            break
        except DeviceError:
            bench.clock.wait(1.0)

    assert found["mode_x"] == "gnd"


def test_an_axis_that_hangs_is_a_timeout(bench):
    status = bench.device.move_by("x", 100)
    bench.core._axes["1"].left = 10_000_000  # a module that goes on

    with pytest.raises(LinkTimeout, match="still moving"):
        bench.wait_for(status)


@pytest.mark.parametrize(
    "options",
    [
        {"drive_V": 151.0},
        {"drive_V": nan},
        {"frequency_Hz": 0.5},
        {"limits": ()},
        {"limits": ((300.0, 30.0, 100.0),)},
        {"limits": ((300.0, nan, 100.0, 10.0),)},
        {"limits": ((300.0, 30.0, 100.0, 10.0), (30.0, 60.0, 100.0, 10.0))},
        {"axes": (("x", 1), ("x", 2))},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match=r"allowed|limits|axes"):
        ANC300Config(**options)


@pytest.mark.parametrize("seed", range(3))
def test_under_faults_what_is_counted_was_stepped(seed):
    kinds = tuple(kind for kind in FaultKind if kind is not FaultKind.WRONG_IDENTITY)
    faults = Faults(FaultRate(seed, 0.04, kinds, duration_s=(0.3, 1.0)))
    bench = Bench(faults, **COLD_DRIVE)
    done = 0

    for _ in range(40):
        bench.clock.wait(2.0)
        before_um = bench.position_um()
        try:
            bench.wait_for(bench.device.move_by("x", 200))
        except DeviceError:
            bench.clock.wait(3.0)
            continue
        assert bench.position_um() - before_um > 1.0
        done += 1

    assert len(faults.fired) >= 5
    assert done >= 15

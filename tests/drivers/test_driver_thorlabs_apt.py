"""The drivers of the K10CR1 and the MFF101 on the simulated units, and on a noisy line."""

from math import inf, nan
from struct import pack

import pytest
import thorlabs_apt_protocol as apt
from hypothesis import given
from hypothesis import strategies as st

from drivers.clock import VirtualClock
from drivers.errors import DeviceError, InstrumentError, LimitError, LinkTimeout, StateError
from drivers.registry import model
from drivers.roles import RotationStage, Selector
from drivers.thorlabs_apt import AptClient, AptFraming
from drivers.thorlabs_k10cr1 import K10CR1Config, K10CR1Stage
from drivers.thorlabs_mff101 import MFF101Config, MFF101Selector
from simulators.apt import frame
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

MODELS = {"rotator": "thorlabs.k10cr1", "flip": "thorlabs.mff101"}
DRIVERS = {
    "rotator": (K10CR1Stage, K10CR1Config),
    "flip": (MFF101Selector, MFF101Config),
}


class Bench:
    def __init__(self, port: str, faults: Faults | None = None, **options) -> None:
        self.clock = VirtualClock()
        settings = SimulatorSettings(models=MODELS)
        self.setup = SimulatedSetup(Truth(), 1, settings=settings, faults=faults)
        self.core = self.setup.cores[port]
        self.optics = self.setup.world.optics
        driver, config = DRIVERS[port]
        link = self.setup.link(port, self.clock, AptFraming())
        self.client = AptClient.configured(port, link, self.clock, config(**options))
        self.device = driver(port, self.client, self.clock, config(**options))

    def wait_for(self, status) -> None:
        for _ in range(3000):
            if status.poll():
                break
            self.clock.wait(0.05)
        status.check()

    def true_error_deg(self, angle_deg: float) -> float:
        wrong = self.optics.polarizer_mechanical_deg - angle_deg
        return abs((wrong + 180.0) % 360.0 - 180.0)


@pytest.fixture
def stage():
    bench = Bench("rotator")
    bench.wait_for(bench.device.home())
    return bench


@pytest.fixture
def flipper():
    return Bench("flip")


# Framing


@given(st.lists(st.binary(max_size=5), max_size=4))
def test_messages_are_found_between_noise(noise):
    wanted = [frame(0x0444, 1), frame(0x0412, data=pack("<Hi", 1, 4711)), frame(0x0464, 1)]
    stream = bytearray()
    for number, message in enumerate(wanted):
        stream += (noise[number] if number < len(noise) else b"").replace(b"P", b"") + message

    framing = AptFraming()
    found = []
    while (message := framing.split(stream)) is not None:
        found.append(message)

    assert found == wanted


def test_an_incomplete_message_waits_for_its_rest():
    buffer = bytearray(frame(0x0412, data=pack("<Hi", 1, 4711))[:-1])

    assert AptFraming().split(buffer) is None
    assert len(buffer) == 11


# K10CR1


def test_both_are_found_by_name():
    assert (model("thorlabs.k10cr1").role, model("thorlabs.mff101").role) == (
        RotationStage,
        Selector,
    )
    assert model("thorlabs.k10cr1").serial.baud_rate == 115200


def test_connecting_and_closing_change_nothing():
    bench = Bench("rotator")
    before = dict(vars(bench.core))

    found = bench.device.identify()
    bench.device.settings()
    bench.device.read()
    bench.device.close()

    assert (found.model, found.serial, found.firmware) == ("K10CR1", "55000123", "1.0.3")
    changed = {key for key, value in vars(bench.core).items() if value != before[key]}
    assert changed <= {"_last_byte_s", "_buffer"}
    assert bench.client.anomalies == 0


def test_it_refuses_to_move_before_homing_which_the_stage_would_not():
    bench = Bench("rotator")

    with pytest.raises(StateError, match="not homed"):
        bench.device.set(45.0)
    assert not bench.device.read()["angle_deg"].is_good


@pytest.mark.parametrize("angle_deg", [45.0, -5.0, 365.0, 30.001])
def test_it_turns_where_it_was_told_and_does_not_wrap(stage, angle_deg):
    stage.wait_for(stage.device.set(angle_deg))

    assert stage.true_error_deg(angle_deg) < 0.03
    assert stage.device.read()["angle_deg"].value == pytest.approx(angle_deg, abs=1e-5)
    assert stage.client.anomalies == 0


@pytest.mark.parametrize("angle_deg", [nan, inf, 15_480.1, -15_480.1])
def test_what_the_counter_can_t_hold_is_refused_before_the_wire(stage, angle_deg):
    with pytest.raises(LimitError, match="15480"):
        stage.device.set(angle_deg)
    assert not stage.core._motion


def test_a_lost_end_of_a_move_is_looked_for(stage):
    status = stage.device.set(90.0)
    stage.core._tells_ends = False

    stage.wait_for(status)

    assert stage.true_error_deg(90.0) < 0.03


def test_a_lost_order_is_an_error_not_a_wrong_angle(stage):
    stage.setup.faults.script("rotator", "0453", 1, Fault(FaultKind.LOST_REQUEST))

    with pytest.raises(InstrumentError, match=r"stands at 0\.0000 deg, not at 20"):
        stage.wait_for(stage.device.set(20.0))


def test_a_blocked_stage_is_a_timeout(stage):
    status = stage.device.set(20.0)
    stage.clock.wait(0.5)
    stage.core.stall(stage.clock.now(), 1000.0)

    with pytest.raises(LinkTimeout, match="still moving"):
        stage.wait_for(status)


def test_a_stopped_movement_ends_as_an_error_and_stop_is_idempotent(stage):
    status = stage.device.set(180.0)
    stage.clock.wait(2.0)
    stage.device.stop()
    stage.device.stop()
    stage.clock.wait(1.0)

    assert status.poll()
    with pytest.raises(StateError, match="stopped"):
        status.check()
    assert 5.0 < stage.device.read()["angle_deg"].value < 40.0
    stage.wait_for(stage.device.set(10.0))


def test_nothing_else_moves_while_it_moves(stage):
    stage.device.set(180.0)

    with pytest.raises(StateError, match="still moving"):
        stage.device.set(10.0)
    with pytest.raises(StateError, match="still moving"):
        stage.device.home()


def test_a_reboot_costs_the_reference_and_is_noticed(stage):
    stage.core.power_cycle(stage.clock.now())
    stage.clock.wait(3.0)

    assert stage.device.settings()["is_homed"] is False
    with pytest.raises(StateError, match="not homed"):
        stage.device.set(10.0)


def test_updates_that_another_program_started_disturb_nothing(stage):
    stage.core.receive(apt.hw_start_updatemsgs(0x50, 0x01), stage.clock.now())

    stage.wait_for(stage.device.set(45.0))

    assert stage.true_error_deg(45.0) < 0.03


def test_another_unit_is_refused():
    with pytest.raises(StateError, match="55000123, not 55000999"):
        Bench("rotator", serial="55000999").device.identify()


@pytest.mark.parametrize("seed", range(3))
def test_under_faults_it_stands_where_it_says_or_raises(seed):
    faults = Faults()
    bench = Bench("rotator", faults)
    bench.wait_for(bench.device.home())
    faults.rate = FaultRate(seed, 0.06, duration_s=(0.3, 1.0))
    reached = 0

    for step in range(60):
        angle_deg = 7.0 * (step % 11)
        bench.clock.wait(1.0)
        try:
            bench.wait_for(bench.device.set(angle_deg))
        except StateError:
            if bench.device._movement and not bench.device._movement.is_done:
                raise
            faults.rate, rate = None, faults.rate
            bench.clock.wait(3.0)
            bench.client.known.forget()  # another unit, which the operator accepts
            bench.wait_for(bench.device.home())
            faults.rate = rate
            continue
        except DeviceError:
            continue
        assert bench.true_error_deg(angle_deg) < 0.1
        reached += 1

    assert len(faults.fired) >= 5
    assert reached >= 25


# MFF101


def test_it_flips_and_lets_the_lamp_s_light_in(flipper):
    assert flipper.device.read()["position"].note == "sample"

    flipper.wait_for(flipper.device.set("calibration"))

    assert flipper.optics.calibration_port
    assert flipper.device.settings() == {"position": "calibration"}
    flipper.wait_for(flipper.device.set("calibration"))
    flipper.wait_for(flipper.device.set("sample"))
    assert not flipper.optics.calibration_port


def test_between_its_ends_it_is_nowhere(flipper):
    status = flipper.device.set("calibration")
    flipper.clock.wait(0.2)

    assert not status.poll()
    assert not flipper.device.read()["position"].is_good
    assert flipper.device.settings() == {"position": "between"}


def test_an_unknown_position_is_refused(flipper):
    with pytest.raises(LimitError, match="'lamp'"):
        flipper.device.set("lamp")


def test_a_mount_that_is_held_is_a_timeout(flipper):
    status = flipper.device.set("calibration")
    flipper.core.stall(flipper.clock.now(), 1000.0)

    with pytest.raises(LinkTimeout, match="not at 'calibration'"):
        flipper.wait_for(status)


@pytest.mark.parametrize("positions", [("a",), ("a", "a"), ("a", "b", "c")])
def test_a_flip_mount_has_two_positions(positions):
    with pytest.raises(ValueError, match="two"):
        MFF101Config(positions=positions)

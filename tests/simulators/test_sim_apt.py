"""The simulated K10CR1 and MFF101, seen by thorlabs_apt_protocol, which we did not write."""

import io
from collections.abc import Callable
from math import isclose

import pytest
import thorlabs_apt_protocol as apt
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.apt import AptCore
from simulators.k10cr1 import COUNTS_PER_DEG, K10CR1, K10CR1Settings
from simulators.mff101 import MFF101
from simulators.truth import Truth
from simulators.world import World

DEVICE, HOST, CHANNEL = 0x50, 0x01, 1
REQ_STATUS_BITS = b"\x29\x04\x01\x00\x50\x01"  # the package has no function for it


class Bench:
    """One unit; what it sends is decoded by the independent client."""

    def __init__(self, make: Callable[[World], AptCore]) -> None:
        self.world = World(Truth(), seed=1)
        self.core = make(self.world)
        self.now = 0.0

    def ask(self, message: bytes, wait_s: float = 0.05) -> list[dict[str, object]]:
        self.core.receive(message, self.now)
        return self.wait(wait_s)

    def wait(self, seconds: float) -> list[dict[str, object]]:
        self.now += seconds
        sent = b"".join(self.core.transmit(self.now))
        return [message._asdict() for message in apt.Unpacker(io.BytesIO(sent), on_error="raise")]

    def status(self) -> dict[str, object]:
        return self.ask(apt.mot_req_statusupdate(DEVICE, HOST, CHANNEL))[-1]

    def angle_deg(self) -> float:
        return float(str(self.status()["position"])) / COUNTS_PER_DEG


@pytest.fixture
def mount() -> Bench:
    return Bench(lambda world: K10CR1(world, K10CR1Settings(repeatability_deg=0.0)))


@pytest.fixture
def flipper() -> Bench:
    return Bench(MFF101)


def test_it_says_who_it_is_in_84_bytes(mount: Bench) -> None:
    mount.core.receive(apt.hw_req_info(DEVICE, HOST), 0.0)
    (sent,) = mount.core.transmit(0.1)

    assert len(sent) == 6 + 84
    (info,) = apt.Unpacker(io.BytesIO(sent))
    assert (info.serial_number, info.model_number[:6]) == (55000123, b"K10CR1")


def test_it_counts_from_where_it_stands_and_is_not_homed(mount: Bench) -> None:
    status = mount.status()

    assert (status["position"], status["homed"], status["channel_enabled"]) == (0, False, True)
    assert mount.world.optics.polarizer_mechanical_deg == 211.0


def test_homing_says_when_it_is_done(mount: Bench) -> None:
    assert mount.ask(apt.mot_move_home(DEVICE, HOST, CHANNEL)) == []
    assert mount.status()["homing"]

    (homed,) = mount.wait(30.0)

    assert homed["msg"] == "mot_move_homed"
    assert mount.status()["homed"]
    assert mount.world.optics.polarizer_mechanical_deg == pytest.approx(0.0, abs=1e-9)


def test_a_move_takes_its_time_and_ends_with_the_status(mount: Bench) -> None:
    target = round(45.0 * COUNTS_PER_DEG)
    assert mount.ask(apt.mot_move_absolute(DEVICE, HOST, CHANNEL, target)) == []
    assert mount.status()["moving_forward"]
    assert mount.wait(5.3) == []  # 4.5 s at 10 deg/s, 1 s for both ramps, less what has passed

    (completed,) = mount.wait(0.2)

    assert (completed["msg"], completed["position"]) == ("mot_move_completed", target)
    assert isclose(mount.world.optics.polarizer_mechanical_deg, 256.0, abs_tol=1e-4)


def test_the_world_follows_a_movement(mount: Bench) -> None:
    mount.ask(apt.mot_move_relative(DEVICE, HOST, CHANNEL, round(100 * COUNTS_PER_DEG)))
    mount.wait(5.0)

    assert 240.0 < mount.world.optics.polarizer_mechanical_deg < 280.0


def test_a_stop_is_answered_where_it_stands(mount: Bench) -> None:
    mount.ask(apt.mot_move_velocity(DEVICE, HOST, CHANNEL, 1), wait_s=3.0)

    (stopped,) = mount.ask(apt.mot_move_stop(DEVICE, HOST, CHANNEL, 2))

    assert stopped["msg"] == "mot_move_stopped"
    here_deg = mount.angle_deg()
    mount.wait(3.0)
    assert mount.angle_deg() == here_deg > 10.0


def test_it_turns_without_end_and_the_counter_wraps(mount: Bench) -> None:
    mount.ask(apt.mot_set_poscounter(DEVICE, HOST, CHANNEL, 2**31 - 1000))
    mount.ask(apt.mot_move_relative(DEVICE, HOST, CHANNEL, 2000), wait_s=2.0)

    assert mount.status()["position"] == -(2**31) + 1000


def test_parameters_are_set_and_given_back(mount: Bench) -> None:
    mount.ask(apt.mot_set_velparams(DEVICE, HOST, CHANNEL, 0, 15020, 36645545))
    (velocity,) = mount.ask(apt.mot_req_velparams(DEVICE, HOST, CHANNEL))
    assert (velocity["acceleration"], velocity["max_velocity"]) == (15020, 36645545)

    mount.ask(apt.mot_set_genmoveparams(DEVICE, HOST, CHANNEL, 4711))
    (backlash,) = mount.ask(apt.mot_req_genmoveparams(DEVICE, HOST, CHANNEL))
    assert backlash["backlash_distance"] == 4711
    for request in (
        apt.mot_req_jogparams,
        apt.mot_req_homeparams,
        apt.mot_req_limswitchparams,
        apt.mot_req_poscounter,
        apt.mod_req_chanenablestate,
    ):
        assert len(mount.ask(request(DEVICE, HOST, CHANNEL))) == 1


def test_updates_come_ten_times_a_second_until_nobody_acknowledges(mount: Bench) -> None:
    mount.ask(apt.hw_start_updatemsgs(DEVICE, HOST))

    assert len(mount.wait(2.0)) == pytest.approx(20, abs=1)
    assert len(mount.wait(60.0)) == pytest.approx(30, abs=1)
    mount.ask(apt.hw_start_updatemsgs(DEVICE, HOST))
    mount.ask(apt.hw_stop_updatemsgs(DEVICE, HOST))
    assert mount.wait(2.0) == []


def test_what_is_not_known_is_not_answered_and_noise_ends_with_silence(mount: Bench) -> None:
    assert mount.ask(b"\xff\x7f\x01\x00\x50\x01") == []
    assert mount.ask(b"\x05\x00") == []
    mount.wait(1.0)  # what was incomplete is dropped

    assert len(mount.ask(apt.hw_req_info(DEVICE, HOST))) == 1


def test_a_power_cycle_loses_the_reference_but_turns_nothing(mount: Bench) -> None:
    mount.ask(apt.mot_move_home(DEVICE, HOST, CHANNEL), wait_s=30.0)
    mount.ask(apt.mot_move_absolute(DEVICE, HOST, CHANNEL, 1_000_000), wait_s=30.0)
    before_deg = mount.world.optics.polarizer_mechanical_deg

    mount.core.power_cycle(mount.now)

    assert mount.ask(apt.hw_req_info(DEVICE, HOST), wait_s=2.0) == []
    status = mount.status()
    assert (status["position"], status["homed"]) == (0, False)
    assert mount.world.optics.polarizer_mechanical_deg == pytest.approx(before_deg)


def test_the_flipper_tells_its_ends_and_neither_between_them(flipper: Bench) -> None:
    request = REQ_STATUS_BITS
    assert flipper.ask(request)[0]["forward_limit_switch"]

    (between,) = flipper.ask(apt.mot_move_jog(DEVICE, HOST, CHANNEL, 2) + request)
    assert not between["forward_limit_switch"]
    assert not between["reverse_limit_switch"]
    assert not flipper.world.optics.calibration_port
    flipper.wait(0.5)

    assert flipper.ask(request)[0]["reverse_limit_switch"]
    assert flipper.world.optics.calibration_port
    (parameters,) = flipper.ask(apt.mot_req_mmf_operparams(DEVICE, HOST, CHANNEL))
    assert parameters["msg"] == "mot_get_mmf_operparams"


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_noise_never_raises_and_fills_nothing(pieces: list[bytes]) -> None:
    core = K10CR1(World(Truth(), seed=1))

    for number, piece in enumerate(pieces):
        core.receive(piece, 0.1 * number)
        core.transmit(0.1 * number)
    assert len(core._buffer) < 300
    core.receive(apt.hw_req_info(DEVICE, HOST), 10.0)

    assert any(message[:2] == b"\x06\x00" for message in core.transmit(10.1))

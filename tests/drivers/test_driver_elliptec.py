from math import inf, nan

import pytest
from pymeasure.test import expected_protocol

from drivers.clock import VirtualClock
from drivers.connections import Connections
from drivers.elliptec import ELL6Config, ELL6Shutter, ELL14Config, ELL14Stage
from drivers.elliptec_bus import ElliptecBus
from drivers.errors import InstrumentError, LimitError, LinkTimeout, ReplyError, StateError
from drivers.pymeasure_elliptec import ELL6, ELL14
from drivers.roles import ReadingStatus
from simulators.elliptec_modules import ElliptecSettings
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

STAGE = ("0in", "0IN0E11400517202417000168" + "00023000")
SHUTTER = ("1in", "1IN06106002182024" + "1700001F00000001")
HOME = ("0ho0", "0PO00000000")
AT_ZERO = 2 * (("0gp", "0PO00000000"),)  # where it stands is asked twice, like all that decides
HOMED = (STAGE, STAGE, HOME, *AT_ZERO)
TURN = 143360


def found_at(packet):
    return 2 * ((f"{packet[0]}gp", packet),)


def po(pulses, address="0"):
    return f"{address}PO{pulses & 0xFFFFFFFF:08X}"


@pytest.fixture
def bus(scripted):
    def make(*script):
        link = scripted(*script, terminator="")
        return ElliptecBus("elliptec", link), link

    return make


@pytest.fixture
def stage(bus, clock):
    def make(*script, **options):
        line, link = bus(*script)
        return ELL14Stage("polarizer", line, clock, ELL14Config(**options)), link

    return make


@pytest.fixture
def shutter(bus, clock):
    def make(*script, **options):
        line, link = bus(*script)
        return ELL6Shutter("shutter", line, clock, ELL6Config(**options)), link

    return make


def finish(status):
    assert status.poll()
    status.check()


def home(device):
    finish(device.home())


# The vocabulary, as pymeasure's own tests have it


def test_the_stage_speaks_as_the_manual_says():
    with expected_protocol(
        ELL14,
        [
            ("gp", "POFFFFFE70"),  # -400
            ("gs", "GS09"),
            ("in", "IN0E1140051720241700016800023000"),
            ("in", "IN0E1140051720241700016800023000"),
            ("ho1", None),
            ("mrFFFFFE70", None),
        ],
    ) as instrument:
        assert instrument.position == -400
        assert instrument.status_code == 9
        assert (instrument.travel, instrument.pulses_per_travel) == (360, TURN)
        instrument.start_home(clockwise=False)
        instrument.start_turn(-400)


def test_the_shutter_speaks_as_the_manual_says():
    with expected_protocol(ELL6, [("fw", None), ("bw", None)]) as instrument:
        instrument.start_forward()
        instrument.start_backward()


# The stage


def test_connecting_sends_nothing(stage):
    stage()


def test_the_module_says_who_it_is(stage):
    identity = stage(STAGE)[0].identify()

    assert (identity.model, identity.serial) == ("ELL14", "11400517")


def test_another_serial_number_is_refused(stage):
    with pytest.raises(StateError, match="11400517, not 12345678"):
        stage(STAGE, serial="12345678")[0].identify()


def test_nothing_turns_before_homing(stage):
    device, _ = stage(*found_at(po(5000)), STAGE, STAGE)

    with pytest.raises(StateError, match="not homed"):
        device.set(30.0)


@pytest.mark.parametrize("angle_deg", [nan, inf, -inf, 1e9])
def test_an_angle_that_is_none_never_reaches_the_wire(stage, angle_deg):
    with pytest.raises(LimitError):
        stage()[0].set(angle_deg)


def test_pulses_are_rounded_not_truncated(stage):
    # 30 deg are 11946.67 pulses: truncated they are 29.998 deg
    device, _ = stage(*HOMED, ("0mr00002EAB", po(11947)))
    home(device)

    finish(device.set(30.0))


def test_a_target_below_zero_is_reached_from_above_and_not_round_the_other_way(stage):
    back = po(-1991)
    device, _ = stage(*HOMED, ("0mrFFFFF839", back), *found_at(back), *found_at(po(TURN - 1991)))
    home(device)

    finish(device.set(-5.0))

    assert device.read()["angle_deg"].value == pytest.approx(-5.0, abs=0.002)
    assert device.read()["angle_deg"].value == pytest.approx(-5.0, abs=0.002)  # counted in a turn


def test_a_move_takes_its_time_and_says_busy_on_the_way(stage):
    device, link = stage(*HOMED, ("0mr00011800", None))
    home(device)

    status = device.set(180.0)
    assert not status.poll()
    link.replies.append(b"0GS09")
    assert not status.poll()
    link.replies.append(po(71680).encode())

    finish(status)
    assert link.clock.now() == 0.0  # nothing waited


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        ("0GS02", "mechanical timeout"),
        ("0GS0C", "out of range"),
        ("0GS0D", "over-current"),
        ("0GS01", "communication timeout"),
    ],
)
def test_a_move_that_fails_says_why(stage, packet, text):
    device, _ = stage(*HOMED, ("0mr00011800", packet))
    home(device)
    status = device.set(180.0)

    assert status.poll()
    with pytest.raises(InstrumentError, match=text):
        status.check()


def test_a_move_that_ends_beside_its_target_is_an_error(stage):
    device, _ = stage(*HOMED, ("0mr00011800", po(71600)))  # 0.2 deg off
    home(device)
    status = device.set(180.0)

    assert status.poll()
    with pytest.raises(InstrumentError, match=r"stands at 179\.799 deg, not at 180\.000 deg"):
        status.check()


def test_a_lost_answer_is_replaced_by_the_position(stage, clock):
    device, _ = stage(*HOMED, ("0mr00011800", None), *found_at(po(71680)))
    home(device)
    status = device.set(180.0)
    clock.wait(7.0)

    finish(status)


def test_a_stall_without_answer_is_an_error_after_the_time_of_the_move(stage, clock):
    device, _ = stage(*HOMED, ("0mr00011800", None), *found_at(po(100)))
    home(device)
    status = device.set(180.0)
    clock.wait(6.7)
    assert not status.poll()
    clock.wait(0.2)

    assert status.poll()
    with pytest.raises(InstrumentError, match=r"not at 180\.000 deg"):
        status.check()


def test_a_move_that_ends_elsewhere_makes_the_reference_doubtful(stage):
    device, _ = stage(*HOMED, ("0mr00011800", po(20000)))
    home(device)
    status = device.set(180.0)
    assert status.poll()

    assert not device.is_homed


def test_a_move_that_was_never_answered_does_not_trust_a_count_of_zero(stage, clock):
    turn_back = ("0mrFFFEE800", None)  # 180 deg back to 0: on the way it may have lost power
    device, _ = stage(*HOMED, ("0mr00011800", po(71680)), *found_at(po(71680)), turn_back, *AT_ZERO)
    home(device)
    finish(device.set(180.0))
    clock.wait(1.0)
    status = device.set(0.0)
    clock.wait(7.0)

    assert status.poll()
    with pytest.raises(InstrumentError, match="may have lost power"):
        status.check()
    assert not device.is_homed


def test_nonsense_for_an_answer_is_an_error(stage):
    device, _ = stage(*HOMED, ("0mr00011800", "0PO0001180"))
    home(device)
    status = device.set(180.0)

    assert status.poll()
    with pytest.raises(ReplyError):
        status.check()


def test_homing_that_never_answers_is_an_error(stage, clock):
    device, _ = stage(STAGE, STAGE, ("0ho0", None))
    status = device.home()
    clock.wait(10.1)

    assert status.poll()
    with pytest.raises(LinkTimeout, match="not homed after"):
        status.check()
    assert not device.is_homed


def test_a_stage_that_is_elsewhere_than_it_was_left_has_lost_its_reference(stage, clock):
    target = po(71680)
    device, _ = stage(*HOMED, ("0mr00011800", target), *found_at(po(0)), *found_at(po(0)))
    home(device)
    finish(device.set(180.0))
    clock.wait(1.0)

    with pytest.raises(StateError, match="lost power or slipped"):
        device.set(90.0)
    assert device.read()["angle_deg"].status is ReadingStatus.FAULT


def test_a_stage_that_was_turned_with_the_handset_keeps_its_reference(stage):
    device, link = stage(*HOMED, ("0mr00002EAB", po(11947)), *found_at(po(17920)))
    home(device)
    finish(device.set(30.0))
    link.replies += [b"0BS01", b"0BO00004600"]

    reading = device.read()["angle_deg"]

    assert (reading.value, reading.is_good) == (45.0, True)


def test_a_second_move_must_wait_for_the_first(stage):
    device, _ = stage(*HOMED, ("0mr00011800", None))
    home(device)
    device.set(180.0)

    with pytest.raises(StateError, match="still moving"):
        device.set(90.0)
    assert device.read() == {}


def test_a_stopped_move_fails_and_the_stage_is_found_where_it_stopped(stage):
    device, _ = stage(*HOMED, ("0mr00011800", None), ("0st", po(35840)), *found_at(po(35840)))
    home(device)
    status = device.set(180.0)

    device.stop()

    assert status.poll()
    with pytest.raises(StateError, match="stopped"):
        status.check()
    assert device.read()["angle_deg"].value == 90.0
    assert device.is_homed


def test_an_absent_module_is_a_timeout(stage):
    with pytest.raises(LinkTimeout, match="polarizer: no identity"):
        stage(("0in", None), ("0in", None))[0].identify()


# The bus


def test_packets_of_other_addresses_find_their_own_module(bus, clock):
    line, link = bus(("0in", None), ("1in", None))
    stage, shutter = line.link("0"), line.link("1")
    stage.send(b"in")
    shutter.send(b"in")
    link.replies += [b"1IN06", b"0IN0E"]

    assert stage.poll(0.0) == b"IN0E"
    assert shutter.poll(0.0) == b"IN06"


def test_packets_that_nobody_waits_for_are_dropped(bus, caplog):
    line, link = bus()
    stage = line.link("0")
    link.replies += [b"7PO00000000", b"\x00garbage", b"0PO00000001"]

    assert stage.poll(0.0) == b"PO00000001"
    assert caplog.text.count("dropped") == 2


def test_to_start_one_module_afresh_leaves_the_mail_of_the_others(bus):
    line, link = bus()
    stage, shutter = line.link("0"), line.link("1")
    link.replies += [b"1PO0000001F", b"0PO00000001"]

    stage.reset()

    assert stage.poll(0.0) is None
    assert shutter.poll(0.0) == b"PO0000001F"
    assert link.resets == 0


def test_a_lost_bus_is_connected_again_by_whoever_uses_it_next(bus):
    line, link = bus()
    poll, stage = link.poll, line.link("0")

    def fail(_):
        raise ConnectionResetError

    link.poll = fail
    stage.reset()
    link.poll = poll

    assert link.resets == 1


@pytest.mark.parametrize("address", ["", "G", "a", "10"])
def test_an_address_is_one_upper_case_hex_digit(bus, address):
    with pytest.raises(ValueError, match="expected 0 to F"):
        bus()[0].link(address)


# The shutter


def test_the_answer_of_the_shutter_says_where_it_stands(shutter):
    device, _ = shutter(SHUTTER, SHUTTER, ("1fw", po(31, "1")), *found_at(po(31, "1")))

    finish(device.set(True))

    assert device.read()["is_open"].value == 1.0


def test_which_end_is_open_is_the_station_s_choice(shutter):
    device, _ = shutter(
        SHUTTER,
        SHUTTER,
        ("1bw", po(0, "1")),
        *found_at(po(0, "1")),
        open_is_forward=False,
    )

    finish(device.set(True))

    assert device.read()["is_open"].value == 1.0


def test_a_shutter_that_did_not_close_is_an_error(shutter):
    device, _ = shutter(SHUTTER, SHUTTER, ("1bw", po(31, "1")))
    status = device.set(False)

    assert status.poll()
    with pytest.raises(InstrumentError, match="stands at 31, not at 0"):
        status.check()


def test_a_shutter_that_slides_back_is_found_open(shutter):
    device, _ = shutter(SHUTTER, SHUTTER, ("1bw", po(0, "1")), *found_at(po(31, "1")))

    finish(device.set(False))

    assert device.read()["is_open"].value == 1.0


def test_between_its_ends_a_shutter_is_neither_open_nor_closed(shutter):
    reading = shutter(*found_at(po(12, "1")), SHUTTER, SHUTTER)[0].read()["is_open"]

    assert not reading.is_good
    assert "at 12" in reading.note


def test_a_shutter_can_be_closed_while_it_opens(shutter):
    device, link = shutter(SHUTTER, SHUTTER, ("1fw", None), ("1bw", po(0, "1")))
    opening = device.set(True)
    assert not opening.poll()
    link.replies.append(po(31, "1").encode())

    finish(device.set(False))


# On the simulated bus


class Bench:
    def __init__(self, **settings) -> None:
        self.clock = VirtualClock()
        self.setup = SimulatedSetup(
            Truth(), 1, settings=SimulatorSettings(elliptec=ElliptecSettings(**settings))
        )
        opener = {"sim": lambda _, framing, __: self.setup.link("elliptec", self.clock, framing)}
        connections = Connections(self.clock, opener)
        self.stage = connections.connect("polarizer", "elliptec.ell14", "sim://elliptec")
        self.shutter = connections.connect("shutter", "elliptec.ell6", "sim://elliptec")

    def finish(self, *statuses):
        while sum(status.poll() for status in statuses) < len(statuses):
            self.clock.wait(0.005)
        for status in statuses:
            status.check()


def test_the_simulated_stage_goes_where_it_is_told():
    bench = Bench(speed_deg_per_s=90.0)  # slow enough for busy packets
    bench.finish(bench.stage.home())

    for angle_deg in (30.0, 179.9, -5.0, 0.0, 359.0, 365.0):
        bench.finish(bench.stage.set(angle_deg))

        read = bench.stage.read()["angle_deg"].value
        true_deg = bench.setup.elliptec.stage.truth(bench.clock.now())
        assert read == pytest.approx(angle_deg, abs=0.1)
        assert (true_deg - angle_deg + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.2)


def test_stage_and_shutter_move_at_the_same_time():
    bench = Bench(speed_deg_per_s=90.0)
    bench.finish(bench.stage.home())
    begin = bench.clock.now()

    bench.finish(bench.stage.set(90.0), bench.shutter.set(True))

    assert bench.clock.now() - begin < 1.2
    assert bench.shutter.read()["is_open"].value == 1.0


def test_a_power_cycle_of_the_simulated_stage_is_noticed():
    bench = Bench()
    bench.finish(bench.stage.home())
    bench.finish(bench.stage.set(90.0))

    bench.setup.elliptec.power_cycle(bench.clock.now())
    bench.clock.wait(1.0)

    with pytest.raises(StateError, match="home it again"):
        bench.stage.set(45.0)


def test_the_simulated_handset_does_not_confuse_the_stage():
    bench = Bench()
    bench.finish(bench.stage.home())
    bench.setup.elliptec.stage.turn_by_hand(1000, bench.clock.now())
    bench.clock.wait(1.0)

    bench.finish(bench.stage.set(10.0))

    assert bench.stage.read()["angle_deg"].value == pytest.approx(10.0, abs=0.1)


def test_a_blocked_stage_is_an_error():
    bench = Bench(speed_deg_per_s=90.0)
    bench.finish(bench.stage.home())
    status = bench.stage.set(90.0)
    bench.clock.wait(0.2)
    bench.setup.world.advance(bench.clock.now())
    bench.setup.elliptec.stage.stall(bench.clock.now(), 100.0)

    with pytest.raises(InstrumentError, match="mechanical timeout"):
        bench.finish(status)
    bench.finish(bench.stage.set(90.0))

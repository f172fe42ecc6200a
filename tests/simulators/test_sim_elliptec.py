"""The simulated Elliptec bus against its protocol manual and what its drivers expect."""

import pytest

from simulators.elliptec import ElliptecBus
from simulators.elliptec_modules import PULSES_PER_TURN, ElliptecSettings
from simulators.truth import Truth
from simulators.world import World

EXACT = ElliptecSettings(stop_error_deg=0.0, repeatability_deg=0.0)


class Bench:
    """One bus on a world, asked over and over."""

    def __init__(self, settings: ElliptecSettings = EXACT) -> None:
        self.world = World(Truth(), seed=1)
        self.bus = ElliptecBus(self.world, 1, settings)
        self.now = 0.0

    def send(self, message: str) -> None:
        self.bus.receive(message.encode(), self.now)

    def listen(self, seconds: float) -> list[str]:
        self.now += seconds
        return [reply.decode() for reply in self.bus.transmit(self.now)]

    def ask(self, message: str, seconds: float = 0.1) -> str | None:
        self.send(message)
        replies = self.listen(seconds)
        assert len(replies) <= 1
        return replies[0].removesuffix("\r\n") if replies else None

    def home(self) -> None:
        assert self.ask("0ho0", 3.0) == "0PO00000000"

    @property
    def angle_deg(self) -> float:
        return self.world.optics.polarizer_mechanical_deg


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_info_has_thirty_three_characters_and_its_fields_in_place(bench: Bench) -> None:
    info = bench.ask("0in")

    assert info is not None
    assert len(info) == 33
    assert info[:5] == "0IN0E"
    assert info[5:13] == "11400517"
    assert (int(info[21:25], 16), int(info[25:], 16)) == (360, PULSES_PER_TURN)
    assert (bench.ask("1in") or "")[:5] == "1IN06"


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("0gs", "0GS00"),
        ("0gp", "0PO00000000"),
        ("0gj", "0GJ00004600"),
        ("0sj00002300", "0GS00"),
        ("0go", "0HO00000000"),
        ("0so00000010", "0GS00"),
        ("0gv", "0GV64"),
        ("0sv32", "0GS00"),
        ("0sv65", "0GS04"),
        ("0us", "0GS00"),
        ("0st", "0PO00000000"),
        ("0f18FFF", "0GS00"),
        ("0xx", "0GS03"),
        ("0ma0000GGGG", "0GS03"),
        ("0ma00023001", "0GS0C"),
        ("1gs", "1GS00"),
        ("1gp", "1PO00000000"),
        ("1gv", "1GS03"),
        ("1ma00000010", "1GS0C"),
    ],
)
def test_each_message_has_its_answer(bench: Bench, message: str, reply: str) -> None:
    assert bench.ask(message) == reply


def test_an_absent_address_is_silent(bench: Bench) -> None:
    assert bench.ask("2in", 10.0) is None
    assert bench.ask("Agp", 10.0) is None
    assert bench.ask("0gs") == "0GS00"


def test_terminators_between_messages_are_skipped_and_none_is_needed(bench: Bench) -> None:
    bench.send("0gs\r\n0gp\r1gs\n1gp")

    assert bench.listen(0.1) == ["0GS00\r\n", "0PO00000000\r\n", "1GS00\r\n", "1PO00000000\r\n"]


def test_an_error_stays_until_it_is_read(bench: Bench) -> None:
    bench.ask("0xx")

    assert [bench.ask("0gs"), bench.ask("0gs")] == ["0GS03", "0GS00"]


def test_missing_bytes_time_out_after_two_seconds(bench: Bench) -> None:
    bench.send("0ma0000")

    assert bench.listen(1.9) == []
    assert bench.listen(0.2) == ["0GS01\r\n"]
    assert bench.ask("0gp") == "0PO00000000"


def test_missing_bytes_that_come_in_time_complete_the_message(bench: Bench) -> None:
    bench.send("0g")
    bench.listen(1.5)

    assert bench.ask("p") == "0PO00000000"
    assert bench.listen(5.0) == []


def test_what_follows_an_unknown_message_in_its_burst_is_dropped(bench: Bench) -> None:
    assert bench.ask("0zz0123ABCD") == "0GS03"
    assert bench.ask("0gp") == "0PO00000000"


def test_before_homing_the_stage_counts_from_where_it_stands(bench: Bench) -> None:
    assert bench.ask("0gp") == "0PO00000000"
    assert bench.angle_deg == pytest.approx(73.4)

    assert bench.ask("0ma00004600", 1.0) == "0PO00004600"
    assert bench.angle_deg == pytest.approx(73.4 + 45.0)


def test_after_homing_the_position_is_the_angle(bench: Bench) -> None:
    bench.home()
    assert bench.angle_deg == pytest.approx(0.0, abs=1e-9)

    assert bench.ask("0ma00008C00", 1.0) == "0PO00008C00"
    assert bench.angle_deg == pytest.approx(90.0, abs=1e-9)


def test_a_move_answers_once_when_it_is_done_at_the_real_speed(bench: Bench) -> None:
    """90 deg at 430 deg/s, after 30 ms, and 12 ms on the line."""
    bench.home()
    done_s = 0.03 + 90.0 / 430.0 + 0.012
    bench.send("0ma00008C00")

    assert bench.bus.next_due() == pytest.approx(bench.now + done_s)
    assert bench.listen(done_s - 0.001) == []
    assert bench.listen(0.002) == ["0PO00008C00\r\n"]
    assert bench.listen(10.0) == []


def test_velocity_slows_the_move(bench: Bench) -> None:
    bench.home()
    bench.ask("0sv32")  # 50 %
    bench.send("0ma00008C00")

    assert bench.bus.next_due() == pytest.approx(bench.now + 0.042 + 90.0 / 215.0)


def test_the_light_follows_the_stage_on_its_way(bench: Bench) -> None:
    bench.home()
    bench.send("0ma00011800")  # 180 deg

    bench.world.advance(bench.now + 0.03 + 90.0 / 430.0)

    assert bench.angle_deg == pytest.approx(90.0, abs=5.0)


def test_relative_moves_and_jogs_wrap_at_a_turn(bench: Bench) -> None:
    bench.home()
    assert bench.ask("0mr00020D00", 2.0) == "0PO00020D00"  # 337.5 deg

    assert bench.ask("0fw", 2.0) == "0PO00002300"  # and 45 deg more
    assert bench.ask("0bw", 2.0) == "0POFFFFDD00"
    assert bench.ask("0mrFFFFFFFF", 2.0) == "0POFFFFDCFF"


def test_a_long_move_says_busy_on_its_way() -> None:
    bench = Bench(ElliptecSettings(stop_error_deg=0.0, busy_interval_s=0.3))
    bench.send("0ma00011800")  # 180 deg, 0.45 s

    assert bench.listen(0.32) == ["0GS09\r\n"]
    assert bench.listen(1.0) == ["0PO00011800\r\n"]


def test_commands_during_a_move_are_refused_and_queries_answered(bench: Bench) -> None:
    bench.home()
    bench.send("0ma00023000")

    assert bench.ask("0ma00000000", 0.05) == "0GS09"
    assert bench.ask("0gs", 0.05) == "0GS09"
    assert (bench.ask("0gp", 0.05) or "").startswith("0PO0000")
    assert bench.ask("1fw", 0.2) == "1PO0000001F"  # the other module is free
    assert bench.listen(1.0) == ["0PO00023000\r\n"]


def test_stop_ends_a_move_where_it_is(bench: Bench) -> None:
    bench.home()
    bench.send("0ma00011800")
    bench.listen(0.03 + 90.0 / 430.0)

    reply = bench.ask("0st")

    assert int((reply or "")[3:], 16) == pytest.approx(PULSES_PER_TURN / 4, rel=0.02)
    assert bench.listen(5.0) == []


def test_the_stage_ends_a_little_beside_its_target() -> None:
    bench = Bench(ElliptecSettings(stop_error_deg=0.01, repeatability_deg=0.05))
    bench.home()
    seen, unseen = [], []
    for _ in range(50):
        for target in ("00008C00", "00004600"):
            pulses = int((bench.ask(f"0ma{target}", 1.0) or "")[3:], 16)
            seen.append(pulses - int(target, 16))
            unseen.append(bench.angle_deg - pulses * 360.0 / PULSES_PER_TURN)

    assert 0.5 < max(map(abs, seen)) < 25  # 0.01 deg are 4 pulses
    assert 0.02 < max(map(abs, unseen)) < 0.3


def test_a_stalled_stage_resumes_or_reports_a_mechanical_timeout(bench: Bench) -> None:
    bench.home()
    bench.send("0ma00008C00")
    bench.bus.stall(bench.now, 1.0)
    assert bench.listen(1.2) == []
    assert bench.listen(0.1) == ["0PO00008C00\r\n"]

    bench.send("0ma00000000")
    bench.bus.stall(bench.now, 60.0)

    assert bench.listen(2.1) == ["0GS02\r\n"]
    assert bench.angle_deg == pytest.approx(90.0)


def test_power_cycle_loses_the_reference(bench: Bench) -> None:
    bench.home()
    bench.ask("0ma00008C00", 1.0)

    bench.bus.power_cycle(bench.now)

    assert bench.ask("0gp") == "0PO00000000"
    assert bench.angle_deg == pytest.approx(90.0)


def test_a_slipped_optic_is_reported_by_nobody(bench: Bench) -> None:
    bench.home()
    bench.bus.stage.slip_deg = 5.0

    assert bench.ask("0ma00008C00", 1.0) == "0PO00008C00"
    assert bench.angle_deg == pytest.approx(95.0)


def test_the_shutter_opens_forward_and_closes_backward(bench: Bench) -> None:
    assert bench.world.optics.shutter_open is False

    assert bench.ask("1fw", 0.3) == "1PO0000001F"
    assert bench.world.optics.shutter_open is True
    assert bench.ask("1ma00000000", 0.3) == "1PO00000000"
    assert bench.world.optics.shutter_open is False
    bench.ask("1ma0000001F", 0.3)
    assert bench.ask("1bw", 0.3) == "1PO00000000"
    assert bench.world.optics.shutter_open is False


def test_the_shutter_answers_when_the_blade_has_moved(bench: Bench) -> None:
    bench.send("1fw")

    assert bench.listen(0.03 + 0.15 + 0.011) == []
    assert bench.listen(0.002) == ["1PO0000001F\r\n"]


def test_a_blade_that_came_off_is_reported_by_nobody(bench: Bench) -> None:
    bench.bus.shutter.stuck_open = False

    assert bench.ask("1fw", 0.3) == "1PO0000001F"
    assert bench.world.optics.shutter_open is False


def test_addresses_can_be_changed_and_the_answer_comes_from_the_new_one(bench: Bench) -> None:
    assert bench.ask("0ca5") == "5GS00"
    assert bench.ask("0gs", 3.0) is None
    assert bench.ask("5gs") == "5GS00"


def test_the_handset_turns_the_stage_unasked(bench: Bench) -> None:
    bench.home()
    bench.bus.press_handset(bench.now, 1000)

    assert bench.listen(1.0) == ["0BO000003E8\r\n"]


def test_an_isolated_module_says_so_for_its_minutes(bench: Bench) -> None:
    assert bench.ask("0is01") == "0GS00"
    assert bench.ask("0gp") == "0GS05"
    bench.listen(60.0)
    assert bench.ask("0gp") == "0PO00000000"

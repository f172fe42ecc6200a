"""The simulated Lake Shore 336 against the manual's command table and what clients rely on."""

from collections.abc import Callable

import pytest

from simulators.control_loop import ControlLoop
from simulators.lakeshore import LakeShore336
from simulators.lakeshore_command import LakeShoreSettings
from simulators.lakeshore_inputs import sensor_ohm, sensor_temperature_K
from simulators.truth import CryostatTruth, Truth
from simulators.world import World

LATER_S = 0.1


class Bench:
    """One controller on a world, asked over and over, a little later each time."""

    def __init__(self, settings: LakeShoreSettings | None = None, start_K: float = 4.8) -> None:
        quiet = CryostatTruth(start_K=start_K, sensor_noise_K=0.0, sensor_noise_K_per_K=0.0)
        self.world = World(Truth(cryostat=quiet), seed=1)
        self.core = LakeShore336(self.world, settings)
        self.now = 0.0

    def ask(self, message: str) -> str | None:
        self.core.receive(message.encode() + b"\n", self.now)
        return self.listen()

    def listen(self) -> str | None:
        self.now += LATER_S
        replies = b"".join(self.core.transmit(self.now)).decode()
        assert replies == "" or replies.endswith("\r\n")
        return replies.removesuffix("\r\n") if replies else None

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.world.advance(self.now)

    def errors(self) -> int:
        return int(self.ask("*ESR?") or "-1")


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.errors()  # the power-on bit
    return bench


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "LSCI,MODEL336,LSA24K7/2136045,2.9"),
        ("RDGST? A", "000"),
        ("SETP 1,12.5;SETP? 1", "+012.500"),
        ("SETP 1,120;SETP? 1", "+120.000"),
        ("RAMP 1,1,2.5;RAMP? 1", "1,+002.5"),
        ("RAMPST? 1", "0"),
        ("RANGE 1,2;RANGE? 1", "2"),
        ("RANGE 3,1;RANGE? 3", "1"),
        ("HTR? 1", "+000.0"),
        ("AOUT? 3", "+000.0"),
        ("HTRST? 1", "0"),
        ("HTRSET 1,1,2,0,1;HTRSET? 1", "1,2,+0.000,1"),
        ("OUTMODE 1,1,2,1;OUTMODE? 1", "1,2,1"),
        ("PID 1,22.5,30,10;PID? 1", "+0022.5,+0030.0,+0010"),
        ("MOUT 1,12.5;MOUT? 1", "+012.50"),
        ("TLIMIT A,330;TLIMIT? A", "+0330"),
        ("INTYPE A,3,1,2,1,1;INTYPE? A", "3,1,2,1,1"),
        ('INNAME B,"Crystal";INNAME? B', "Crystal        "),
        ("INCRV A,22;INCRV? A", "22"),
        ("LOCK 1,456;LOCK? ", "1,456"),
        ("MODE 2;MODE?", "2"),
        ("*OPC?", "1"),
        ("*TST?", "0"),
        ("*ESE 48;*ESE?", "048"),
        ("*SRE 32;*SRE?", "032"),
    ],
)
def test_each_command_of_the_manual_answers_in_its_format(
    bench: Bench, message: str, reply: str
) -> None:
    assert bench.ask(message) == reply
    assert bench.errors() == 0


def test_readings_have_a_sign_and_six_digits_and_channel_zero_gives_all(bench: Bench) -> None:
    kelvin = bench.ask("KRDG? 0")

    assert kelvin is not None
    values = kelvin.split(",")
    assert len(values) == 4
    assert all(len(value) == 8 and value[0] == "+" and value[4] == "." for value in values)
    assert values[3] == "+000.000"  # nothing is connected to input D
    assert float(bench.ask("CRDG? B") or "") == pytest.approx(float(values[1]) - 273.15, abs=2e-3)
    ohm = float(bench.ask("SRDG? B") or "")
    assert sensor_temperature_K(ohm) == pytest.approx(float(values[1]), abs=2e-3)


def test_replies_of_one_message_are_joined_and_both_separators_work(bench: Bench) -> None:
    assert bench.ask("RANGE? 1;RAMPST? 1;:HTRST? 1") == "0;0;0"


@pytest.mark.parametrize("message", ["KRDG?A", "krdg? a", "  KRDG?  A  ", "KRDG? A\r"])
def test_spaces_case_and_carriage_return_do_not_matter(bench: Bench, message: str) -> None:
    assert bench.ask(message) == bench.ask("KRDG? A")


def test_set_commands_need_no_space(bench: Bench) -> None:
    assert bench.ask("SETP1,9;TLIMITB,310;SETP? 1;TLIMIT? B") == "+009.000;+0310"
    assert bench.errors() == 0


def test_unknown_commands_are_silent_and_set_32_until_read(bench: Bench) -> None:
    assert bench.ask("FOO 1") is None
    assert bench.ask("KRDG?") is None  # too few parameters

    assert bench.ask("RANGE? 1") == "0"  # an innocent query does not clear it
    assert bench.errors() == 32
    assert bench.errors() == 0


@pytest.mark.parametrize(
    "message",
    [
        "SETP 1,nan", "SETP 1,inf", "SETP 1,-5", "SETP 1,1000", "SETP 5,10", "SETP 1,abc",
        "RAMP 1,1,0.05", "RAMP 1,1,101", "RAMP 1,2,5", "RANGE 1,4", "RANGE 3,2", "PID 1,0,1,1",
        "PID 1,10,10,201", "MOUT 1,101", "OUTMODE 1,5,1,0", "OUTMODE 1,9,1,0", "OUTMODE 1,1,5,0",
        "TLIMIT E,300", "KRDG? E", "HTR? 3", "AOUT? 1", "INTYPE A,9,1,1,1,1", "*ESE 256",
    ],
)  # fmt: skip
def test_bad_values_are_silent_change_nothing_and_set_16(bench: Bench, message: str) -> None:
    before = bench.ask("SETP? 1;RAMP? 1;RANGE? 1;PID? 1;MOUT? 1;OUTMODE? 1;TLIMIT? A")

    assert bench.ask(message) is None

    assert bench.errors() == 16
    assert bench.ask("SETP? 1;RAMP? 1;RANGE? 1;PID? 1;MOUT? 1;OUTMODE? 1;TLIMIT? A") == before


def test_power_on_bit_is_there_after_power_up_and_cleared_by_reading() -> None:
    bench = Bench()

    assert bench.errors() == 128
    assert bench.errors() == 0


def test_clear_status_forgets_errors(bench: Bench) -> None:
    bench.ask("FOO")
    bench.ask("*CLS")

    assert bench.errors() == 0


def test_status_byte_sums_up_events_that_are_enabled(bench: Bench) -> None:
    bench.ask("*ESE 32;*SRE 32")
    assert bench.ask("*STB?") == "000"

    bench.ask("FOO")

    assert bench.ask("*STB?") == "096"  # event summary and service request


def test_setpoint_with_ramp_moves_at_its_rate_and_says_so(bench: Bench) -> None:
    bench.ask("SETP 1,10")
    bench.ask("RAMP 1,1,6")
    assert bench.ask("RAMPST? 1") == "0"  # turning it on moves nothing

    bench.ask("SETP 1,20")
    bench.wait(50.0)
    assert bench.ask("RAMPST? 1") == "1"
    bench.wait(51.0)

    assert bench.ask("RAMPST? 1") == "0"
    assert bench.ask("OPSTR?") == "024"  # ramp of loop 1 done, new reading
    assert bench.ask("OPSTR?") == "000"


@pytest.mark.parametrize(("what", "expected"), [("target", "+020.000"), ("working", "+015.000")])
def test_setpoint_query_during_a_ramp_is_switchable(what: str, expected: str) -> None:
    bench = Bench(LakeShoreSettings(setpoint_query=what))  # type: ignore[arg-type]
    bench.ask("SETP 1,10;RAMP 1,1,6")

    bench.ask("SETP 1,20")
    bench.wait(50.0 - LATER_S)

    assert bench.ask("SETP? 1") == expected


def test_early_setpoint_query_can_return_the_old_value() -> None:
    bench = Bench(LakeShoreSettings(setpoint_update_s=0.5))
    bench.ask("SETP 1,10")
    bench.wait(1.0)

    bench.ask("SETP 1,11")

    assert bench.ask("SETP? 1") == "+010.000"
    bench.wait(1.0)
    assert bench.ask("SETP? 1") == "+011.000"


def test_messages_that_come_too_fast_are_lost_where_pacing_is_asked_for() -> None:
    bench = Bench(LakeShoreSettings(min_gap_s=0.05))

    bench.core.receive(b"RANGE? 1\n", 0.0)
    bench.core.receive(b"RANGE? 1\n", 0.03)
    bench.core.receive(b"RANGE? 1\n", 0.06)

    assert len(bench.core.transmit(1.0)) == 2


def test_setpoint_is_in_the_preferred_units_of_the_control_input(bench: Bench) -> None:
    bench.ask("SETP 1,100;INTYPE A,3,1,0,1,2")
    assert bench.ask("SETP? 1") == "-173.150"

    bench.ask("SETP 1,-263.15;INTYPE A,3,1,0,1,3")
    ohm = float(bench.ask("SETP? 1") or "")

    assert ohm == pytest.approx(sensor_ohm(10.0), rel=1e-4)


def test_loop_reaches_its_setpoint_and_holds_it() -> None:
    bench = Bench()
    bench.ask("RAMP 1,1,3;SETP 1,20;RANGE 1,2")

    bench.wait(900.0)

    assert float(bench.ask("KRDG? A") or "") == pytest.approx(20.0, abs=0.02)
    percent = float(bench.ask("HTR? 1") or "")
    assert 0.0 < percent < 100.0
    assert bench.world.cryostat.heater_W == pytest.approx(10.0 * percent / 100.0, rel=0.05)


def test_a_range_too_small_for_the_setpoint_saturates_and_never_settles() -> None:
    bench = Bench()
    bench.ask("SETP 1,60;RANGE 1,1")

    bench.wait(3000.0)

    assert bench.ask("HTR? 1") == "+100.0"
    assert float(bench.ask("KRDG? A") or "") < 40.0


def test_ranges_are_decades_of_full_power(bench: Bench) -> None:
    bench.ask("OUTMODE 1,3,0,0;MOUT 1,50;HTRSET 1,1,2,0,2")  # 1 A in 25 ohm

    powers = []
    for level in "0123":
        bench.ask(f"RANGE 1,{level}")
        powers.append(bench.world.cryostat.heater_W)

    assert powers == pytest.approx([0.0, 0.125, 1.25, 12.5])


def test_all_off_is_one_message(bench: Bench) -> None:
    bench.ask("OUTMODE 1,3,0,0;MOUT 1,50;RANGE 1,3")

    bench.ask("RANGE 1,0;RANGE 2,0;RANGE 3,0;RANGE 4,0")

    assert bench.world.cryostat.heater_W == 0.0
    assert bench.ask("RANGE? 1;RANGE? 2;RANGE? 3;RANGE? 4") == "0;0;0;0"


def test_over_temperature_switches_every_output_off(bench: Bench) -> None:
    bench.ask("OUTMODE 1,3,0,0;MOUT 1,50;RANGE 1,3;RANGE 2,1;TLIMIT A,6")

    bench.wait(60.0)

    assert bench.ask("RANGE? 1;RANGE? 2") == "0;0"
    assert bench.world.cryostat.heater_W == 0.0


def test_an_open_sensor_reads_zero_flags_it_and_stops_the_heat(bench: Bench) -> None:
    bench.ask("SETP 1,20;RANGE 1,2")
    bench.wait(30.0)

    bench.world.cryostat.sensor_open = True
    bench.wait(2.0)

    assert bench.ask("KRDG? A") == "+000.000"
    assert bench.ask("RDGST? A") == "128"
    assert bench.ask("RANGE? 1") == "0"
    assert bench.world.cryostat.heater_W == 0.0


@pytest.mark.parametrize(("limits_K", "flag"), [((1.4, 4.0), "032"), ((10.0, 300.0), "016")])
def test_out_of_range_reads_zero_and_says_which_way(
    limits_K: tuple[float, float], flag: str
) -> None:
    bench = Bench(LakeShoreSettings(sensor_range_K=limits_K))

    assert bench.ask("KRDG? A;RDGST? A") == f"+000.000;{flag}"


def test_an_input_without_sensor_is_invalid(bench: Bench) -> None:
    assert bench.ask("RDGST? D") == "001"


def test_an_open_heater_forces_the_output_off_and_latches_an_error(bench: Bench) -> None:
    bench.ask("SETP 1,20;RANGE 1,2")

    bench.world.cryostat.heater_open = True
    bench.wait(2.0)

    assert bench.ask("RANGE? 1") == "0"
    assert bench.ask("HTRST? 1") == "1"
    assert bench.ask("HTRST? 1") == "0"  # reading clears it


def test_power_cycle_is_silent_while_booting_and_leaves_the_heater_off(bench: Bench) -> None:
    bench.ask("SETP 1,20;RANGE 1,2;TLIMIT A,300;RAMP 1,1,5")
    bench.core.receive(b"KRDG? A\n", bench.now)

    bench.core.power_cycle(bench.now)

    assert bench.listen() is None  # the pending reply is gone
    assert bench.ask("KRDG? A") is None
    bench.wait(bench.core.settings.boot_s)
    assert bench.ask("RANGE? 1;TLIMIT? A;RAMP? 1") == "0;+0300;0,+005.0"
    assert bench.errors() == 128
    assert bench.world.cryostat.heater_W == 0.0


def test_an_output_set_to_stay_on_survives_the_power_cycle(bench: Bench) -> None:
    bench.ask("OUTMODE 1,1,1,1;SETP 1,20;RANGE 1,2")

    bench.core.power_cycle(bench.now)
    bench.wait(bench.core.settings.boot_s)

    assert bench.ask("RANGE? 1") == "2"


def test_replies_come_when_they_are_due_and_not_before() -> None:
    bench = Bench(LakeShoreSettings(reply_s=0.02))

    bench.core.receive(b"*IDN?\n", 0.0)

    assert bench.core.next_due() == pytest.approx(0.02)
    assert bench.core.transmit(0.019) == []
    assert len(bench.core.transmit(0.02)) == 1
    assert bench.core.next_due() is None


def test_a_line_that_never_ends_is_thrown_away(bench: Bench) -> None:
    for _ in range(100):
        bench.core.receive(b"X" * 100, bench.now)
    assert bench.ask("") is None

    assert bench.errors() & 32
    assert bench.ask("RANGE? 1") == "0"


def unlimited(loop: ControlLoop) -> Callable[[float], float]:
    return lambda error_K: loop.regulate(loop.target_K - error_K, 0.0, 1.0)


def test_control_equation_is_that_of_the_manual() -> None:
    loop = ControlLoop(10.0, proportional=20.0, integral=50.0, derivative=0.0)
    respond = unlimited(loop)

    # P (e + I/1000 * integral of e dt): 20 * (1 + 0.05 * 1), then * (1 + 0.05 * 2)
    assert respond(1.0) == pytest.approx(21.0)
    assert respond(1.0) == pytest.approx(22.0)


def test_the_integral_does_not_wind_up_at_the_end_of_the_range() -> None:
    loop = ControlLoop(10.0, proportional=50.0, integral=100.0)
    respond = unlimited(loop)
    for _ in range(1000):
        assert respond(5.0) == 100.0

    assert respond(0.0) < 50.0

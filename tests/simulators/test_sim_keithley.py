"""The simulated Keithley 2410 against its manual, on the circuit of the world."""

from math import isclose

import pytest

from simulators.bias_circuit import OffState
from simulators.keithley import Keithley2410, KeithleySettings
from simulators.keithley_meter import StatusBit
from simulators.truth import BiasTruth, Truth
from simulators.world import World

LATER_S = 0.2
NO_ERROR = '0,"No error"'
OUT_OF_RANGE = '-222,"Parameter data out of range"'


class Bench:
    """One supply on a world, asked over and over, a little later each time."""

    def __init__(self, settings: KeithleySettings | None = None, **bias: float) -> None:
        quiet = BiasTruth(voltage_noise_V=0.0, current_noise_A=0.0, **bias)
        self.world = World(Truth(bias=quiet), seed=1)
        self.settings = settings or KeithleySettings()
        self.core = Keithley2410(self.world, self.settings)
        self.now = 0.0

    def ask(self, message: str, wait_s: float = LATER_S) -> str | None:
        self.core.receive(message.encode() + b"\r", self.now)
        self.now += wait_s
        replies = b"".join(self.core.transmit(self.now))
        assert replies == b"" or replies.endswith(self.settings.terminator)
        return replies.removesuffix(self.settings.terminator).decode() if replies else None

    def error(self) -> str | None:
        return self.ask(":SYST:ERR?")

    def switch_on(self, volts: float, *, limit_A: float = 1e-6) -> None:
        self.ask(f":OUTP:SMOD NORM;:SOUR:VOLT:RANG {volts};:SOUR:VOLT:LEV {volts}")
        self.ask(f":SENS:CURR:PROT {limit_A};:SENS:CURR:RANG {limit_A};:OUTP ON")
        assert self.error() == NO_ERROR

    def reading(self) -> list[float]:
        reply = self.ask(":READ?")
        assert reply is not None
        return [float(item) for item in reply.split(",")]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", f"KEITHLEY INSTRUMENTS INC.,MODEL 2410,1402736,{KeithleySettings().firmware}"),
        (":SOUR:FUNC?", "VOLT"),
        (":SOUR:VOLT:MODE?", "FIX"),
        (":SOUR:VOLT:LEV?", "+0.000000E+00"),
        (":SOUR:VOLT 12.5;:SOUR:VOLT?", "+1.250000E+01"),
        (":SENS:CURR:PROT?", "+1.050000E-04"),
        (":SENS:VOLT:PROT?", "+2.100000E+01"),
        (":SENS:CURR:NPLC?", "+1.000000E+00"),
        (":SENS:CURR:NPLC 0.1;:SENS:VOLT:NPLC?", "+1.000000E-01"),
        (":SENS:FUNC?", '"VOLT:DC","CURR:DC"'),
        (":OUTP?", "0"),
        (":OUTP:SMOD?", "GUAR"),
        (":OUTP:SMOD NORM;SMOD?", "NORM"),
        (":OUTP:INT:STAT?;TRIP?", "0;1"),
        (":SOUR:VOLT:PROT?", "NONE"),
        (":ROUT:TERM?", "FRON"),
        (":FORM:ELEM?", "VOLT,CURR,RES,TIME,STAT"),
        (":FORM:ELEM TIME,VOLTAGE;:FORM:ELEM?", "VOLT,TIME"),
        (":SYST:AZER OFF;:SYST:AZER?;:SYST:LFR?", "0;50"),
        (":SYST:ERR?", NO_ERROR),
        (":SYST:ERR:COUN?", "0"),
        ("*OPC?", "1"),
        ("*ESR?", "128"),
        (":TRIG:COUN 5;:TRIG:COUN?", "5"),
    ],
)  # fmt: skip
def test_each_command_answers_in_its_format(bench: Bench, message: str, reply: str) -> None:
    assert bench.ask(message) == reply
    assert bench.error() == NO_ERROR


@pytest.mark.parametrize("terminator", [b"\r", b"\n", b"\r\n", b"\n\r"])
def test_replies_end_with_the_terminator_selected(terminator: bytes) -> None:
    bench = Bench(KeithleySettings(terminator=terminator))

    bench.core.receive(b"*IDN?\r\n", 0.0)

    (reply,) = bench.core.transmit(1.0)
    assert reply.endswith(b"/J/K" + terminator)


def test_reading_with_the_output_off_is_an_error_and_never_answered(bench: Bench) -> None:
    assert bench.ask(":READ?", wait_s=10.0) is None

    assert bench.error() == '+803,"Not permitted with OUTPUT off"'
    assert bench.error() == NO_ERROR


def test_errors_queue_up_in_order_and_overflow_with_a_message(bench: Bench) -> None:
    bench.ask(":FOO")
    bench.ask(":SOUR:VOLT 2000")
    assert bench.ask(":SYST:ERR:COUN?") == "2"
    assert [bench.error(), bench.error()] == ['-113,"Undefined header"', OUT_OF_RANGE]

    for _ in range(20):
        bench.ask(":FOO")

    assert bench.ask(":SYST:ERR:COUN?") == "10"
    assert [bench.error() for _ in range(10)][-1] == '-350,"Queue overflow"'
    bench.ask("*CLS")
    assert bench.error() == NO_ERROR


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (":SOUR:VOLT nan", '-104,"Data type error"'),
        (":SOUR:VOLT 1100.1", OUT_OF_RANGE),
        (":SOUR:VOLT", '-109,"Missing parameter"'),
        (":SOUR:VOLT 1,2", '-108,"Parameter not allowed"'),
        (":OUTP MAYBE", '-224,"Illegal parameter value"'),
        (":OUTP:SMOD OFF", '-224,"Illegal parameter value"'),
        (":FORM:ELEM VOLT,FOO", '-224,"Illegal parameter value"'),
        (":SENS:CURR:PROT 1.1", OUT_OF_RANGE),
        (":SENS:CURR:NPLC 11", OUT_OF_RANGE),
        (":SOUR:VOLT:LEV:FOO 1", '-113,"Undefined header"'),
    ],
)
def test_bad_commands_change_nothing_and_say_why(bench: Bench, message: str, error: str) -> None:
    assert bench.ask(message) is None

    assert bench.error() == error
    assert bench.ask(":SOUR:VOLT?;:OUTP?;:OUTP:SMOD?") == "+0.000000E+00;0;GUAR"


def test_a_reading_has_five_elements_and_its_status_word(bench: Bench) -> None:
    bench.switch_on(100.0)
    bench.now += 1.0

    volts, amperes, ohm, seconds, status = bench.reading()

    assert volts == pytest.approx(100.0, abs=1e-3)
    assert abs(amperes) < 1e-9
    assert ohm == 9.91e37
    assert seconds == pytest.approx(bench.now, abs=LATER_S)
    expected = StatusBit.FRONT | StatusBit.MEASURES_V | StatusBit.MEASURES_I | StatusBit.SOURCES_V
    assert int(status) == expected


def test_a_reading_takes_its_integration_time_and_later_commands_wait(bench: Bench) -> None:
    bench.switch_on(1.0)
    bench.ask(":SENS:CURR:NPLC 5")

    assert bench.ask(":READ?;:OUTP?", wait_s=0.05) is None
    assert bench.ask(":SOUR:VOLT?", wait_s=0.05) is None
    bench.now += 1.0

    replies = b"".join(bench.core.transmit(bench.now)).split(b"\r")
    assert replies[0].endswith(b";1")
    assert replies[1] == b"+1.000000E+00"


def test_control_c_aborts_a_measurement_and_throws_output_away(bench: Bench) -> None:
    bench.switch_on(1.0)
    bench.core.receive(b":READ?\r", bench.now)

    bench.core.receive(b"\x03", bench.now + 0.01)
    bench.now += 1.0

    assert bench.core.transmit(bench.now) == []
    assert bench.ask(":OUTP?") == "1"


def test_the_smallest_source_range_that_fits_is_taken_and_read_back(bench: Bench) -> None:
    for volts, expected in [(0.1, "+2.000000E-01"), (15, "+2.000000E+01"), (30, "+1.000000E+03")]:
        assert bench.ask(f":SOUR:VOLT:RANG {volts};:SOUR:VOLT:RANG?") == expected
    assert bench.ask(":SOUR:VOLT:RANG:AUTO?") == "0"


def test_a_fixed_range_refuses_a_level_beyond_it_and_auto_range_does_not(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:RANG 20;:SOUR:VOLT 22")
    assert bench.error() == OUT_OF_RANGE

    bench.ask(":SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT 22")

    assert bench.error() == NO_ERROR
    assert bench.ask(":SOUR:VOLT:RANG?") == "+1.000000E+03"


def test_a_range_change_with_the_output_on_sends_a_spike(bench: Bench) -> None:
    bench.ask(":OUTP:SMOD NORM;:SOUR:VOLT 5;:OUTP ON")
    bench.now += 1.0
    assert not any("spike" in event for *_, event in bench.world.log)

    bench.ask(":SOUR:VOLT:RANG 1000")

    spikes = [volts for _, _, volts, event in bench.world.log if "spike" in event]
    assert len(spikes) == 1
    assert abs(spikes[0]) > 10.0


def test_the_current_limit_is_bounded_by_both_ranges(bench: Bench) -> None:
    bench.ask(":SENS:CURR:PROT 1e-3;:SENS:CURR:RANG 1e-3")
    bench.ask(":SENS:CURR:PROT 0.9e-6")  # below 0.1 % of the measuring range
    assert bench.error() == OUT_OF_RANGE
    bench.ask(":SENS:CURR:PROT 1e-6")
    assert bench.error() == NO_ERROR

    bench.ask(":SOUR:VOLT:RANG 1000;:SENS:CURR:PROT 0.022")  # beyond 21 mA
    assert bench.error() == OUT_OF_RANGE


def test_the_measuring_range_cannot_exceed_the_compliance_range(bench: Bench) -> None:
    bench.ask(":SENS:CURR:PROT 1e-6;:SENS:CURR:RANG 1e-3")

    assert bench.error() == '+824,"Cannot exceed compliance range"'


def test_a_large_compliance_keeps_the_high_range_out(bench: Bench) -> None:
    bench.ask(":SENS:CURR:PROT 0.1;:SOUR:VOLT 100")

    assert bench.error() == '-221,"Settings conflict"'
    assert bench.ask(":SOUR:VOLT?") == "+0.000000E+00"


def test_compliance_shows_in_trip_query_status_word_and_event_register() -> None:
    bench = Bench(leakage_cold_ohm=1e6, series_ohm=1e3)  # a shorted gap
    bench.switch_on(100.0)
    bench.now += 5.0

    volts, amperes, *_, status = bench.reading()

    assert bench.ask(":SENS:CURR:PROT:TRIP?") == "1"
    assert int(status) & StatusBit.COMPLIANCE
    assert not int(status) & StatusBit.RANGE_COMPLIANCE
    assert amperes == pytest.approx(1e-6, rel=1e-3)
    assert volts < 2.0
    assert int(bench.ask(":STAT:MEAS?") or "0") & (1 << 14)


def test_a_fixed_measuring_range_below_the_limit_gives_range_compliance() -> None:
    bench = Bench(leakage_cold_ohm=1e6, series_ohm=1e3)
    bench.switch_on(100.0, limit_A=1e-4)
    bench.ask(":SENS:CURR:RANG 1e-6")
    bench.now += 5.0

    _, amperes, *_, status = bench.reading()

    assert int(status) & StatusBit.RANGE_COMPLIANCE
    assert amperes == pytest.approx(1.05e-6, rel=1e-3)


@pytest.mark.parametrize(
    ("asked", "step"),
    [
        ("20", 20),
        ("39.9", 20),
        ("250", 200),
        ("500", 500),
        ("5", 20),
        ("501", None),
        ("NONE", None),
    ],
)
def test_protection_knows_its_steps_only(bench: Bench, asked: str, step: float | None) -> None:
    reply = bench.ask(f":SOUR:VOLT:PROT {asked};PROT?")

    assert reply == "NONE" if step is None else isclose(float(reply or "nan"), step)


def test_protection_holds_the_output_within_five_percent(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:PROT 40")
    bench.switch_on(100.0)
    bench.now += 1.0

    volts, *_, status = bench.reading()

    assert volts == pytest.approx(42.0, abs=0.01)
    assert int(status) & StatusBit.PROTECTION
    assert bench.ask(":SOUR:VOLT:PROT:TRIP?") == "1"


def test_off_state_guard_leaves_the_gap_charged_and_normal_discharges_it(bench: Bench) -> None:
    bench.switch_on(100.0)
    bench.ask(":OUTP:SMOD GUAR")
    bench.now += 1.0

    bench.ask(":OUTP OFF", wait_s=1.0)
    assert bench.world.bias.off_state is OffState.GUARD
    assert bench.world.bias.gap_voltage_V() == pytest.approx(100.0, abs=1.0)

    bench.ask(":OUTP:SMOD NORM", wait_s=1.0)
    assert bench.world.bias.gap_voltage_V() == pytest.approx(0.0, abs=0.1)


def test_an_open_interlock_acts_only_where_it_is_heeded(bench: Bench) -> None:
    bench.switch_on(10.0)
    bench.core.set_interlock(False, bench.now)
    assert bench.ask(":OUTP?;:OUTP:INT:TRIP?") == "1;1"

    bench.ask(":OUTP:INT:STAT ON")

    assert bench.ask(":OUTP?;:OUTP:INT:TRIP?") == "0;0"
    bench.ask(":OUTP ON")
    assert (bench.error() or "").startswith("+802,")
    bench.core.set_interlock(True, bench.now)
    assert bench.ask(":OUTP ON;:OUTP?") == "1"


def test_changing_the_terminals_turns_the_output_off(bench: Bench) -> None:
    bench.switch_on(10.0)

    assert bench.ask(":ROUT:TERM REAR;:OUTP?") == "0"


def test_reset_restores_every_default_with_the_output_off(bench: Bench) -> None:
    bench.switch_on(100.0)
    bench.ask(":SOUR:VOLT:PROT 200;:FORM:ELEM VOLT")

    bench.ask("*RST")

    asked = ":OUTP?;:SOUR:VOLT?;:SENS:CURR:PROT?;:SOUR:VOLT:PROT?;:OUTP:SMOD?;:FORM:ELEM?"
    assert bench.ask(asked) == ("0;+0.000000E+00;+1.050000E-04;NONE;GUAR;VOLT,CURR,RES,TIME,STAT")
    assert not bench.world.bias.output_on


def test_power_cycle_loses_settings_and_the_reply_under_way(bench: Bench) -> None:
    bench.switch_on(100.0)
    bench.core.receive(b":READ?\r", bench.now)

    bench.core.power_cycle(bench.now)

    assert bench.ask("*IDN?") is None
    bench.now += bench.settings.boot_s
    assert bench.ask(":OUTP?;:SOUR:VOLT?;*ESR?") == "0;+0.000000E+00;128"
    assert not bench.world.bias.output_on


def test_the_supply_charges_the_gap_through_the_resistor(bench: Bench) -> None:
    """10 Mohm and 300 pF: 3 ms."""
    bench.ask(":OUTP:SMOD NORM;:SOUR:VOLT:RANG 10;:SENS:CURR:PROT 1e-4;:OUTP ON")
    bench.ask(":SOUR:VOLT 10", wait_s=3e-3)
    bench.world.advance(bench.now)

    assert bench.world.bias.gap_voltage_V() == pytest.approx(10.0 * (1 - 0.36788), rel=1e-3)


def test_both_counts_together_are_at_most_what_the_buffer_holds(bench: Bench) -> None:
    bench.ask(":TRIG:COUN 2500;:ARM:COUN 2")

    assert bench.error() == '-221,"Settings conflict"'
    assert bench.ask(":ARM:COUN?") == "1"


def test_what_a_lost_client_asked_for_is_done_and_not_answered_to_the_next(bench: Bench) -> None:
    bench.switch_on(10.0)
    bench.core.receive(b":READ?\r:OUTP OFF\r*ID", bench.now)

    bench.core.hang_up()

    assert bench.ask(":OUTP?", wait_s=1.0) == "0"


def test_auto_clear_switches_on_for_a_reading_only(bench: Bench) -> None:
    bench.ask(":OUTP:SMOD NORM;:SOUR:VOLT 5;:SOUR:CLE:AUTO ON")

    assert bench.reading()[0] == pytest.approx(5.0, abs=0.01)
    assert bench.ask(":OUTP?") == "0"


def test_the_buffer_fills_and_gives_statistics(bench: Bench) -> None:
    bench.switch_on(10.0)
    bench.ask(":FORM:ELEM VOLT;:TRAC:POIN 3;:TRAC:FEED SENS;:TRAC:FEED:CONT NEXT;:TRIG:COUN 3")

    bench.ask(":STAT:MEAS:ENAB 512;*SRE 1;:INIT", wait_s=1.0)

    assert bench.ask("*STB?") == "65"
    assert (bench.ask(":TRAC:DATA?") or "").count(",") == 2
    assert float(bench.ask(":CALC3:FORM MEAN;:CALC3:DATA?") or "0") == pytest.approx(10.0, abs=0.01)


def test_a_current_source_of_nothing_leaves_the_gap_alone(bench: Bench) -> None:
    bench.ask(":SOUR:FUNC CURR;:SENS:VOLT:PROT 20;:SOUR:CURR 0;:OUTP ON", wait_s=1.0)

    assert bench.world.bias.gap_voltage_V() == 0.0
    bench.ask(":SOUR:CURR 1e-6", wait_s=1.0)
    assert bench.world.bias.gap_voltage_V() == pytest.approx(20.0, abs=0.1)

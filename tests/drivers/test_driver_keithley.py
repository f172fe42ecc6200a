from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import keithley_scpi as scpi
from drivers.clock import VirtualClock
from drivers.errors import InstrumentError, LimitError, LinkTimeout, ReplyError, StateError
from drivers.keithley import Keithley2410Config, Keithley2410Supply
from drivers.line import Line
from drivers.link import AnyNewline
from drivers.roles import BiasSettings, ReadingStatus
from simulators.setup import SimulatedSetup
from simulators.truth import Truth

IDN = ("*IDN?", "KEITHLEY INSTRUMENTS INC.,MODEL 2410,1402736,C34 Sep 21 2016 15:30:00/A02  /J/K")
NO_ERROR = (":SYST:ERR?", '0,"No error"')
OFF, ON = (":OUTP?;:OUTP?", "0;0"), (":OUTP?;:OUTP?", "1;1")
READ = ":READ?;:SENS:CURR:PROT:TRIP?;:FETC?;:SENS:CURR:PROT:TRIP?"
SETTINGS = (
    ":SOUR:FUNC?;:SOUR:VOLT:MODE?;:OUTP:SMOD?;:SOUR:VOLT:RANG?;:SOUR:VOLT:RANG:AUTO?;"
    ":SOUR:VOLT:PROT?"
)
MORE_SETTINGS = (
    ":SENS:CURR:PROT?;:SENS:CURR:RANG?;:SENS:CURR:RANG:AUTO?;:OUTP:INT:STAT?;:OUTP?;"
    ":SOUR:VOLT:LEV?;:FORM:ELEM?"
)


def twice(question, answer):
    """What is asked twice in one message and answered twice, as what decides something is."""
    return f"{question};{question}", f"{answer};{answer}"


# The dialect


@pytest.mark.parametrize(
    ("voltage_V", "text"),
    [
        (1000.004, "1000.004000"),  # %g sends 1000
        (1099.9996, "1099.999600"),  # %g sends 1100
        (-0.000001, "-0.000001"),
        (0.0, "0.000000"),
    ],
)
def test_a_voltage_goes_out_with_all_its_digits(voltage_V, text):
    assert scpi.format_voltage(voltage_V) == text


@given(st.floats(-1100.0, 1100.0))
def test_no_voltage_is_off_by_more_than_half_a_microvolt(voltage_V):
    assert abs(scpi.parse_number(scpi.format_voltage(voltage_V)) - voltage_V) <= 0.51e-6


@given(st.floats(1e-9, 1.05))
def test_no_current_is_off_by_more_than_its_seventh_digit(current_A):
    assert scpi.parse_number(scpi.format_current(current_A)) == pytest.approx(current_A, rel=5.1e-7)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_has_no_text(value):
    with pytest.raises(ValueError, match="not finite"):
        scpi.format_voltage(value)
    with pytest.raises(ValueError, match="not finite"):
        scpi.format_current(value)


@pytest.mark.parametrize(
    "text", ["+9.91E37", "+9.910000E+37", "-9.9E37", "", "1.0.0", "nan", "1_0"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"not"):
        scpi.parse_number(text)


def test_a_reading_is_taken_apart():
    # bits 3 (compliance), 11, 12, 14 of the status word
    text = "+1.000206E+01,-1.050000E-06,+9.910000E+37,+7.282600E+01,+2.254400E+04;0"

    found = scpi.parse_measurement(text)

    assert (found.voltage_V, found.current_A) == (10.00206, -1.05e-6)
    assert not found.is_limiting
    assert scpi.parse_measurement(text[:-1] + "1").is_limiting


@pytest.mark.parametrize(
    ("bits", "limiting", "over_voltage"),
    [(0, False, False), (8, True, False), (16, False, True), (1 << 16, True, False)],
)
def test_the_status_word_tells_compliance_and_over_voltage(bits, limiting, over_voltage):
    found = scpi.parse_measurement(f"+1.0E+00,+1.0E-09,+9.91E+37,+1.0E+00,{bits:+.6E};0")

    assert found.is_limiting is limiting
    assert bool(found.status & scpi.MeasurementStatus.OVER_VOLTAGE) is over_voltage


@pytest.mark.parametrize(
    "text",
    [
        "+9.910000E+37,+1.0E-09,+9.91E+37,+1.0E+00,+0.0E+00;0",
        "+1.0E+00,+9.910000E+37,+9.91E+37,+1.0E+00,+0.0E+00;0",
        "+1.0E+00,+1.0E-09;0",
        "+1.0E+00,+1.0E-09,+9.91E+37,+1.0E+00,+0.0E+00",
    ],
)
def test_a_reading_without_voltage_or_current_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        scpi.parse_measurement(text)


@pytest.mark.parametrize(
    ("max_voltage_V", "range_V"),
    [(0.1, 0.2), (0.2, 0.2), (0.201, 2.0), (8.0, 20.0), (20.5, 1000.0), (1000.0, 1000.0),
     (1100.0, 1000.0)],
)  # fmt: skip
def test_the_source_range_is_the_smallest_that_holds_the_voltage(max_voltage_V, range_V):
    assert scpi.source_range_V(max_voltage_V) == range_V


def test_no_source_range_holds_more_than_1100_V():
    with pytest.raises(ValueError, match="1100"):
        scpi.source_range_V(1100.1)


@pytest.mark.parametrize(
    ("limit_A", "range_A"), [(1e-6, 1e-6), (1.05e-4, 1e-3), (2e-2, 2e-2), (1.0, 1.0), (1e-9, 1e-6)]
)
def test_the_current_range_is_the_smallest_that_holds_the_limit(limit_A, range_A):
    assert scpi.current_range_A(limit_A) == range_A


@pytest.mark.parametrize("limit_A", [0.0, -1e-6, 0.9e-9, 1.1, nan])
def test_a_current_limit_below_a_thousandth_of_every_range_is_refused(limit_A):
    with pytest.raises(ValueError, match="allowed 1 nA"):
        scpi.current_range_A(limit_A)


@pytest.mark.parametrize(
    ("voltage_V", "step_V"),
    [(5.0, 20.0), (20.0, 20.0), (20.1, 40.0), (150.0, 200.0), (500.0, 500.0), (501.0, None),
     (None, None)],
)  # fmt: skip
def test_protection_takes_the_step_above_and_none_beyond_500_V(voltage_V, step_V):
    assert scpi.protection_step(voltage_V) == step_V


@pytest.mark.parametrize(
    ("text", "protection_V"),
    [("+2.000000E+01", 20.0), ("NONE", None), ("none", None), ("+1.100000E+03", None)],
)
def test_protection_reads_back_as_a_step_or_as_none(text, protection_V):
    assert scpi.parse_protection(text) == protection_V


def test_an_entry_of_the_error_queue_is_taken_apart():
    assert scpi.parse_error('-222,"Parameter data out of range"') == scpi.ErrorEntry(
        -222, "Parameter data out of range"
    )
    with pytest.raises(ValueError, match="not an error entry"):
        scpi.parse_error("0")


# The driver, against transcripts


@pytest.fixture
def supply(scripted, clock):
    def make(*script, **options):
        config = Keithley2410Config(**options)
        line = Line.configured("bias", scripted(*script), clock, config)
        return Keithley2410Supply("bias", line, clock, config)

    return make


def configuration(
    settings_answer="VOLT;FIX;NORM;+2.000000E+01;0;+2.000000E+01",
    present_range="+1.050000E-04",
):
    """Return the transcript for 8 V, 10 uA, protection 20 V."""
    range_then_limit = [
        (":SENS:CURR:RANG 1.000000E-05", None),
        (":SENS:CURR:PROT 1.000000E-05", None),
    ]
    lowers = float(present_range) > 1e-5
    return [
        OFF,
        NO_ERROR,
        (":SOUR:FUNC VOLT", None),
        (":SOUR:VOLT:MODE FIX", None),
        (":SOUR:VOLT:LEV 0.000000", None),
        (":OUTP:SMOD NORM", None),
        (":SOUR:CLE:AUTO 0", None),
        (":SOUR:VOLT:RANG 20.000000", None),
        (":SOUR:VOLT:PROT 20.000000", None),
        (":SENS:CURR:RANG?", present_range),
        (":SENS:FUNC:CONC 1", None),
        (":SENS:FUNC 'VOLT','CURR'", None),
        *(range_then_limit if lowers else reversed(range_then_limit)),
        (":SENS:CURR:NPLC 1.00", None),
        (":FORM:ELEM VOLT,CURR,RES,TIME,STAT", None),
        (":ARM:COUN 1", None),
        (":TRIG:COUN 1", None),
        NO_ERROR,
        twice(SETTINGS, settings_answer),
        twice(
            MORE_SETTINGS,
            "+1.000000E-05;+1.050000E-05;0;1;0;+0.000000E+00;VOLT,CURR,RES,TIME,STAT",
        ),
    ]


RUN = BiasSettings(max_voltage_V=8.0, current_limit_A=1e-5, protection_V=10.0)


def set_level(text, answer=None, error='0,"No error"'):
    answer = text if answer is None else answer
    return (f":SOUR:VOLT:LEV {text};:SOUR:VOLT:LEV?;:SYST:ERR?", f"{answer};{error}")


def test_connecting_sends_nothing(supply):
    supply()


@pytest.mark.parametrize("present_range", ["+1.050000E+00", "+1.050000E-06"])
def test_everything_is_fixed_with_the_output_off_and_read_back(supply, present_range):
    supply(*configuration(present_range=present_range)).configure(RUN)


def test_nothing_is_configured_while_the_output_is_on(supply):
    with pytest.raises(StateError, match="output off"):
        supply(ON).configure(RUN)


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("VOLT;FIX;GUAR;+2.000000E+01;0;+2.000000E+01", "off_state"),
        ("VOLT;FIX;NORM;+2.000000E+01;1;+2.000000E+01", "source_auto_range"),
        ("VOLT;FIX;NORM;+1.000000E+03;0;+2.000000E+01", "source_range_V"),
        ("VOLT;FIX;NORM;+2.000000E+01;0;NONE", "protection_V"),
        ("CURR;FIX;NORM;+2.000000E+01;0;+2.000000E+01", "source_function"),
    ],
)
def test_a_setting_that_reads_back_wrong_is_named_and_the_output_stays_off(supply, answer, wrong):
    device = supply(*configuration(answer))

    with pytest.raises(InstrumentError, match=f"reads back .*{wrong}"):
        device.configure(RUN)
    with pytest.raises(StateError, match="configure the supply"):
        device.switch_output(True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (BiasSettings(1101.0, 1e-5, None), "allowed up to 1100"),
        (BiasSettings(nan, 1e-5, None), "allowed up to 1100"),
        (BiasSettings(0.0, 1e-5, None), "allowed up to 1100"),
        (BiasSettings(8.0, 0.0, None), "current limit 0.0 A"),
        (BiasSettings(100.0, 0.05, None), r"at most 0\.02 A in the 1000.0 V range"),
    ],
)
def test_what_the_supply_can_t_do_is_refused_before_the_wire(supply, settings, message):
    with pytest.raises(LimitError, match=message):
        supply().configure(settings)


@pytest.mark.parametrize("voltage_V", [nan, inf, -inf, 8.001, -8.001, 1e6])
def test_a_level_above_the_configured_one_never_reaches_the_wire(supply, voltage_V):
    device = supply(*configuration())
    device.configure(RUN)

    with pytest.raises(LimitError, match="allowed up to"):
        device.set_level(voltage_V)


def test_a_level_is_sent_read_back_and_checked_in_one_message(supply):
    device = supply(*configuration(), set_level("-7.999999", "-7.999999E+00"))
    device.configure(RUN)

    device.set_level(-7.999999)


def test_a_level_that_reads_back_wrong_is_an_error(supply):
    device = supply(*configuration(), set_level("8.000000", "+2.100000E+00"))
    device.configure(RUN)

    with pytest.raises(InstrumentError, match="reads back"):
        device.set_level(8.0)


def test_every_error_of_the_queue_is_raised(supply):
    device = supply(
        *configuration(),
        set_level("8.000000", "+0.000000E+00", '-222,"Parameter data out of range"'),
        (":SYST:ERR?", '+802,"OUTPUT blocked by output enable"'),
        NO_ERROR,
    )
    device.configure(RUN)

    with pytest.raises(InstrumentError, match=r"-222 .*; 802 "):
        device.set_level(8.0)


def test_a_level_whose_reply_is_lost_is_not_sent_again(supply):
    device = supply(*configuration(), (":SOUR:VOLT:LEV 8.000000;:SOUR:VOLT:LEV?;:SYST:ERR?", None))
    device.configure(RUN)

    with pytest.raises(LinkTimeout):
        device.set_level(8.0)


def test_what_an_earlier_run_left_can_only_be_brought_down(supply):
    device = supply(
        twice(":SOUR:VOLT:LEV?", "+3.000000E+02"),
        set_level("299.000000"),
        twice(":SOUR:VOLT:LEV?", "+2.990000E+02"),
    )
    device.set_level(299.0)

    with pytest.raises(LimitError, match=r"299\.05"):
        device.set_level(300.0)


def test_the_output_goes_on_from_zero_volts_and_only_where_the_interlock_allows_it(supply):
    device = supply(
        *configuration(),
        (":OUTP:INT:STAT?", "1"),
        (":OUTP:INT:TRIP?", "1"),  # 1: allowed
        OFF,
        set_level("0.000000"),
        (":OUTP 1", None),
        NO_ERROR,
        ON,
    )
    device.configure(RUN)

    device.switch_output(True)


def test_an_open_interlock_blocks_the_output(supply):
    device = supply(*configuration(), (":OUTP:INT:STAT?", "1"), (":OUTP:INT:TRIP?", "0"))
    device.configure(RUN)

    with pytest.raises(StateError, match="interlock is open"):
        device.switch_output(True)


def test_an_output_that_is_on_keeps_its_level(supply):
    device = supply(*configuration(), (":OUTP:INT:STAT?", "0"), ON)
    device.configure(RUN)

    device.switch_output(True)


def test_an_output_that_stays_on_is_an_error(supply):
    with pytest.raises(InstrumentError, match="the output is not off"):
        supply((":OUTP 0", None), NO_ERROR, ON).switch_output(False)


def test_nothing_is_read_while_the_output_is_off(supply):
    with pytest.raises(StateError, match="output is off"):
        supply(OFF).measure()


def test_nothing_is_shown_while_the_output_is_off(supply):
    assert supply(OFF).read() == {}


def test_a_measurement_has_voltage_current_and_compliance(supply, clock):
    answer = "+8.000206E+00,-1.050000E-09,+9.910000E+37,+7.282600E+01,+2.150400E+04;1"

    found = supply(ON, (READ, f"{answer};{answer}")).measure()

    assert (found.voltage_V, found.current_A, found.in_compliance) == (8.000206, -1.05e-9, True)


def test_not_a_number_is_no_measurement(supply):
    answer = "+9.910000E+37,+9.910000E+37,+9.910000E+37,+7.282600E+01,+2.150400E+04;0"

    with pytest.raises(ReplyError, match="not-a-number"):
        supply(ON, (READ, f"{answer};{answer}")).measure()


def test_over_voltage_is_a_fault_of_the_reading(supply):
    answer = "+2.100000E+01,+1.000000E-09,+9.910000E+37,+7.282600E+01,+1.600000E+01;0"

    reading = supply(ON, ON, (READ, f"{answer};{answer}")).read()["voltage_V"]

    assert reading.status is ReadingStatus.FAULT


def test_auto_range_is_refused(supply):
    instrument = supply()._instrument

    with pytest.raises(LimitError, match="auto-range"):
        instrument.auto_range_source()
    with pytest.raises(ValueError, match="not in the discrete set"):
        instrument.source_voltage_range_auto_enabled = True
    with pytest.raises(ValueError, match="not in the discrete set"):
        instrument.current_range_auto_enabled = True


def test_the_instrument_class_reaches_1100_V_with_all_digits(supply):
    device = supply((":SOUR:VOLT:LEV 1099.999600", None), NO_ERROR)

    device._instrument.source_voltage = 1099.9996

    with pytest.raises(ValueError, match="range"):
        device._instrument.source_voltage = 1100.1


@pytest.mark.parametrize(
    "options", [{"max_voltage_V": 1100.1}, {"max_voltage_V": nan}, {"integration_plc": 0.0}]
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="allowed"):
        Keithley2410Config(**options)


# The driver on the simulated supply


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.setup = SimulatedSetup(Truth(), 1)
        link = self.setup.link("bias", self.clock, AnyNewline())
        config = Keithley2410Config()
        self.line = Line.configured("bias", link, self.clock, config)
        self.supply = Keithley2410Supply("bias", self.line, self.clock, config)


@pytest.fixture
def bench():
    return Bench()


def test_the_simulated_supply_takes_the_whole_configuration(bench):
    assert bench.supply.settings()["off_state"] == "GUAR"  # as the 2410 wakes up

    bench.supply.configure(RUN)

    found = bench.supply.settings()
    assert (found["off_state"], found["protection_V"], found["source_auto_range"]) == (
        "NORM",
        20,
        0,
    )
    assert bench.line.anomalies == 0


@pytest.mark.parametrize(
    ("settings", "level_V"),
    [
        (BiasSettings(0.15, 1e-8, 20.0), 0.15),
        (BiasSettings(8.0, 1e-5, 10.0), -8.0),
        (BiasSettings(300.0, 1e-3, 300.0), 300.0),
        (BiasSettings(1100.0, 2e-2, None), -1100.0),
    ],
)
def test_every_range_brings_its_largest_voltage_to_the_terminals(bench, settings, level_V):
    bench.supply.configure(settings)
    bench.supply.switch_output(True)

    bench.supply.set_level(level_V)
    bench.clock.wait(60.0)

    assert bench.supply.measure().voltage_V == pytest.approx(level_V, rel=2e-3, abs=1e-3)
    assert bench.supply.read_level() == pytest.approx(level_V)


def test_two_runs_with_different_limits_reconfigure_in_both_directions(bench):
    for limit_A in (1e-5, 2e-2, 1e-6, 1e-3, 1e-9):
        bench.supply.configure(BiasSettings(8.0, limit_A, 20.0))

        assert bench.supply.settings()["current_limit_A"] == pytest.approx(limit_A)


def test_the_simulated_supply_never_hears_read_with_the_output_off(bench):
    bench.supply.configure(RUN)
    with pytest.raises(StateError):
        bench.supply.measure()
    assert bench.supply.read() == {}

    assert bench.supply._instrument.drain_errors() == []


def test_an_interlock_that_opens_is_seen_on_the_next_measurement(bench):
    bench.supply.configure(RUN)
    bench.supply._instrument.write(":OUTP:INT:STAT 1")
    bench.supply.switch_output(True)

    bench.setup.bias.set_interlock(False, bench.clock.now())

    with pytest.raises(StateError, match="output is off"):
        bench.supply.measure()
    with pytest.raises(StateError, match="interlock is open"):
        bench.supply.switch_output(True)


def test_a_supply_that_lost_power_is_noticed(bench):
    bench.supply.configure(RUN)
    bench.supply.switch_output(True)

    bench.setup.bias.power_cycle(bench.clock.now())
    bench.clock.wait(10.0)

    assert not bench.supply.is_output_on()
    assert bench.supply.settings()["off_state"] == "GUAR"

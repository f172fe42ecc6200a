"""The driver of the Keithley 2470: its own dialect, and its safeguards on the simulated supply."""

from math import inf, nan

import pytest

from drivers import keithley_scpi as scpi
from drivers.clock import VirtualClock
from drivers.errors import DeviceError, InstrumentError, LimitError, ReplyError, StateError
from drivers.keithley_2470 import READ, Keithley2470Config, Keithley2470Supply
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import model
from drivers.roles import BiasSettings, BiasSupply
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

RUN = BiasSettings(8.0, 1e-5, 20.0)
NO_ERROR = '0,"No error;0,0,0"'


class Bench:
    def __init__(self, faults: Faults | None = None) -> None:
        self.clock = VirtualClock()
        models = SimulatorSettings(models={"bias": "keithley.2470"})
        self.setup = SimulatedSetup(Truth(), 1, settings=models, faults=faults)
        config = Keithley2470Config()
        link = self.setup.link("bias", self.clock, model("keithley.2470").framing)
        self.line = Line.configured("bias", link, self.clock, config)
        self.supply = Keithley2470Supply("bias", self.line, self.clock, config)

    def levels(self) -> list[float]:
        return [programmed_V for _, programmed_V, _, _ in self.setup.world.bias.log]


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def supply(scripted, clock):
    def make(*script):
        config = Keithley2470Config()
        line = Line.configured("bias", scripted(*script), clock, config)
        return Keithley2470Supply("bias", line, clock, config)

    return make


# The dialect


@pytest.mark.parametrize(
    ("limit_A", "range_A"), [(5e-9, 1e-8), (1e-7, 1e-7), (2e-3, 1e-2), (2e-2, 1e-1), (1.0, 1.0)]
)
def test_the_current_range_is_the_smallest_that_holds_the_limit(limit_A, range_A):
    assert scpi.current_range_A(limit_A, scpi.CURRENT_RANGES_2470_A) == range_A


@pytest.mark.parametrize(("voltage_V", "range_V"), [(20.0, 20.0), (20.5, 200.0), (201.0, 1000.0)])
def test_the_source_range_is_the_smallest_that_holds_the_voltage(voltage_V, range_V):
    assert scpi.source_range_V(voltage_V, scpi.SOURCE_RANGES_2470_V) == range_V


@pytest.mark.parametrize(
    ("text", "volts"), [("PROT20", 20.0), ("PROT500", 500.0), ("NONE", None), ("20", 20.0)]
)
def test_a_protection_step_is_named_and_read(text, volts):
    assert scpi.parse_protection(text) == volts
    assert text == "20" or scpi.name_protection(volts) == text


def test_a_reading_comes_with_its_flags():
    found = scpi.parse_reading_2470("1.000206E+01,-1.05E-06;1;0;1")

    assert (found.voltage_V, found.current_A) == (10.00206, -1.05e-6)
    assert (found.is_limiting, found.is_protecting, found.is_output_on) == (True, False, True)


@pytest.mark.parametrize("text", ["1.0,2.0;0;0", "9.91E+37,1.0;0;0;1", "1.0;0;0;1", "nan,1;0;0;1"])
def test_what_is_no_reading_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        scpi.parse_reading_2470(text)


# Transcripts


def test_a_level_is_sent_with_all_digits_and_read_back_in_the_same_message(supply):
    device = supply(
        (":SOUR:VOLT:LEV?;:SOUR:VOLT:LEV?", "1.100000E+03;1.100000E+03"),
        (
            ":SOUR:VOLT:LEV 1099.999600;:SOUR:VOLT:LEV?;:SYST:ERR?",
            f"1.100000E+03;{NO_ERROR}",
        ),
    )

    device.set_level(1099.9996)


def test_an_error_of_the_instrument_is_raised_with_its_time(supply):
    error = '-222,"Parameter data out of range;1;2026/05/06 12:57:04.484"'
    device = supply(
        (":SOUR:VOLT:LEV?;:SOUR:VOLT:LEV?", "5.0;5.0"),
        (":SOUR:VOLT:LEV 5.000000;:SOUR:VOLT:LEV?;:SYST:ERR?", f"5.0;{error}"),
        (":SYST:ERR?", NO_ERROR),
    )

    with pytest.raises(InstrumentError, match=r"-222 Parameter .* 12:57:04"):
        device.set_level(5.0)


def test_a_reading_with_the_output_off_is_no_measurement(supply):
    device = supply((READ, "4.9E-04,2.2E-11;0;0;0;4.9E-04,2.2E-11;0;0;0"))

    with pytest.raises(StateError, match="off"):
        device.measure()


def test_not_a_number_is_no_measurement(supply):
    device = supply((READ, "9.91E+37,2.2E-11;0;0;1;9.91E+37,2.2E-11;0;0;1"))

    with pytest.raises(ReplyError, match="not-a-number"):
        device.measure()


def test_another_command_set_is_refused_before_anything_is_set(supply):
    device = supply(("*LANG?", "TSP"))

    with pytest.raises(StateError, match="speaks TSP"):
        device.configure(RUN)


@pytest.mark.parametrize(
    "settings",
    [
        BiasSettings(1100.1, 1e-5, None),
        BiasSettings(nan, 1e-5, 20.0),
        BiasSettings(8.0, nan, 20.0),
        BiasSettings(8.0, inf, 20.0),
        BiasSettings(8.0, 1e-12, 20.0),
        BiasSettings(8.0, 1e-5, nan),
        BiasSettings(300.0, 0.03, 400.0),
        BiasSettings(150.0, 0.2, 200.0),
    ],
)
def test_impossible_settings_are_refused_before_the_wire(supply, settings):
    device = supply()

    with pytest.raises(LimitError):
        device.configure(settings)


@pytest.mark.parametrize(
    "options", [{"max_voltage_V": 1100.1}, {"max_voltage_V": nan}, {"integration_plc": 0.0}]
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="allowed"):
        Keithley2470Config(**options)


# The driver on the simulated supply


def test_it_is_a_bias_supply_found_by_name():
    found = model("keithley.2470")

    assert (found.role, found.driver) == (BiasSupply, Keithley2470Supply)
    assert isinstance(found.framing, Terminated)


def test_connecting_and_closing_change_nothing(bench):
    before, log = dict(bench.setup.bias._values), list(bench.setup.world.bias.log)

    bench.supply.identify()
    bench.supply.settings()
    bench.supply.read()
    bench.supply.close()

    assert bench.setup.bias._values == before
    assert bench.setup.world.bias.log == log


@pytest.mark.parametrize(
    ("settings", "level_V"),
    [
        (BiasSettings(0.15, 1e-8, 20.0), 0.15),
        (BiasSettings(8.0, 1e-5, 10.0), -8.0),
        (BiasSettings(150.0, 0.1, 200.0), 150.0),
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


def test_runs_with_different_limits_reconfigure_in_both_directions(bench):
    for max_V, limit_A in ((8.0, 1.0), (1000.0, 1e-8), (8.0, 1e-3), (1000.0, 0.02), (150.0, 0.1)):
        bench.supply.configure(BiasSettings(max_V, limit_A, None))

    assert bench.line.anomalies == 0


def test_nothing_is_set_while_the_output_is_on(bench):
    bench.supply.configure(RUN)
    bench.supply.switch_output(True)

    with pytest.raises(StateError, match="output off"):
        bench.supply.configure(RUN)
    assert bench.setup.world.bias.range_V == 20.0


def test_the_level_never_leaves_the_run_s_limit(bench):
    bench.supply.configure(RUN)

    for level_V in (8.001, -8.001, nan, inf):
        with pytest.raises(LimitError):
            bench.supply.set_level(level_V)
    assert set(bench.levels()) <= {0.0}


def test_a_high_voltage_is_not_switched_on_with_the_interlock_open(bench):
    bench.setup.bias.set_interlock(is_closed=False, now=0.0)
    bench.supply.configure(BiasSettings(100.0, 1e-5, None))

    with pytest.raises(StateError, match="interlock is open"):
        bench.supply.switch_output(True)
    bench.supply.configure(RUN)  # up to 21 V it does not matter
    bench.supply.switch_output(True)
    assert bench.supply.is_output_on()


def test_an_interlock_that_opens_later_shows_as_protection(bench):
    bench.supply.configure(BiasSettings(100.0, 1e-5, None))
    bench.supply.switch_output(True)
    bench.supply.set_level(100.0)
    bench.clock.wait(10.0)

    bench.setup.bias.set_interlock(is_closed=False, now=bench.clock.now())
    bench.clock.wait(10.0)

    found = bench.supply.measure()
    assert found.over_voltage
    assert found.voltage_V == pytest.approx(42.0, abs=0.1)


def test_a_reboot_is_seen_in_the_settings(bench):
    bench.supply.configure(RUN)
    configured = bench.supply.settings()

    bench.setup.bias.power_cycle(bench.clock.now())
    bench.clock.wait(30.0)

    found = bench.supply.settings()
    assert found["current_limit_A"] != configured["current_limit_A"]
    assert found["protection_V"] == "NONE"


def test_a_lost_reply_to_a_level_is_the_port_s_question(bench):
    bench.setup.faults.script("bias", "SOUR:VOLT", 2, Fault(FaultKind.LOST_REPLY))
    bench.supply.configure(RUN)

    with pytest.raises(DeviceError, match="no reply"):
        bench.supply.set_level(5.0)
    assert bench.supply.read_level() == 5.0
    assert bench.setup.faults.not_fired() == []


@pytest.mark.parametrize("seed", range(2))
def test_no_fault_makes_the_supply_source_more_than_was_asked(seed):
    faults = Faults()
    bench = Bench(faults)
    bench.supply.configure(RUN)
    bench.supply.switch_output(True)
    faults.rate = FaultRate(seed, 0.1)

    for step in range(120):
        bench.clock.wait(0.2)
        asked_V = 8.0 * ((step % 21) - 10) / 10
        try:
            bench.supply.set_level(asked_V)
            measured = bench.supply.measure()
        except DeviceError:
            continue
        if not faults.fired or faults.fired[-1].time_s < bench.clock.now() - 1.0:
            assert measured.voltage_V == pytest.approx(asked_V, abs=0.1)

    assert len(faults.fired) > 10
    assert max(abs(level_V) for level_V in bench.levels()) <= 8.0

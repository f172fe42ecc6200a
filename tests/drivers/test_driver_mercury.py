import re
from math import inf, isnan, nan

import pytest

from drivers.errors import DeviceError, InstrumentError, LimitError, ReplyError, StateError
from drivers.link import Terminated
from drivers.mercury_scpi import error_in, expected_reply, quantity, values_in
from drivers.oxford import MercuryConfig, MercuryController, mercury_line
from drivers.registry import model
from drivers.roles import ReadingStatus
from drivers.serial_format import SerialFormat
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.mercury import MercurySettings
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import CryostatTruth, Truth

LOOP = "DEV:MB1.T1:TEMP:LOOP"
NO_ALARM = ("READ:SYS:ALRM", "STAT:SYS:ALRM:")
TEMPERATURE = "READ:DEV:MB1.T1:TEMP:SIG:TEMP"


def answered(message, value):
    """Return an exchange as the manual writes it."""
    return message, f"STAT:{message.removeprefix('READ:')}:{value}"


def valid(leaves, told=None):
    return f"SET:{LOOP}:{leaves}", f"STAT:SET:{LOOP}:{told or leaves}:VALID"


def progress(enabled, setpoint_K):
    return f"READ:{LOOP}:ENAB:TSET", f"STAT:{LOOP}:ENAB:{enabled}:TSET:{setpoint_K:.4f}K"


@pytest.fixture
def controller(scripted, clock):
    def make(*script, **options):
        config = MercuryConfig(**options)
        line = mercury_line("cryostat", scripted(*script), clock, config)
        return MercuryController("cryostat", line, clock, config)

    return make


def test_it_is_found_by_name_and_connecting_sends_nothing(controller):
    assert model("oxford.mercuryitc").serial == SerialFormat(9600, 8, "N", 1)
    controller()


@pytest.mark.parametrize(
    ("text", "kelvin"), [("4.2031K", 4.2031), ("850.5mK", 0.8505), ("0.0772kK", 77.2)]
)
def test_a_temperature_is_read_with_any_prefix(controller, text, kelvin):
    device = controller(*2 * [answered(TEMPERATURE, text)], sensor_range_K=(0.1, 420.0))

    assert device.read_temperature().value == pytest.approx(kelvin)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("infK", ReadingStatus.OUT_OF_RANGE), ("0.0000K", ReadingStatus.OUT_OF_RANGE),
        ("900.0K", ReadingStatus.OUT_OF_RANGE), ("N/A", ReadingStatus.FAULT),
    ],
)  # fmt: skip
def test_what_is_no_temperature_is_flagged_and_not_a_number(controller, text, status):
    reading = controller(*2 * [answered(TEMPERATURE, text)]).read_temperature()

    assert isnan(reading.value)
    assert reading.status is status
    assert not reading.is_good


def test_all_channels_and_an_alarm_on_the_heater(controller):
    script = (
        ("READ:SYS:ALRM", "STAT:SYS:ALRM:MB0.H1\tOpen Circuit;"),
        answered(TEMPERATURE, "10.0010K"),
        answered("READ:DEV:DB6.T1:TEMP:SIG:TEMP", "9.7500K"),
        answered(f"READ:{LOOP}:HSET", "23.4000"),
        answered("READ:DEV:DB4.G1:AUX:SIG:PERC", "50.0%"),
    )
    found = controller(*2 * script).read()

    assert {name: reading.value for name, reading in found.items()} == {
        "temperature_K": 10.001,
        "sample_temperature_K": 9.75,
        "heater_percent": 23.4,
        "flow_percent": 50.0,
    }
    assert found["heater_percent"].note == "alarm: MB0.H1\tOpen Circuit;"
    assert found["heater_percent"].status is ReadingStatus.FAULT
    assert found["temperature_K"].is_good


def test_a_reply_of_another_address_is_never_taken(controller):
    late = "STAT:DEV:DB6.T1:TEMP:SIG:TEMP:9.7500K"
    identity = "IDN:OXFORD INSTRUMENTS:MERCURY iTC:131450095:2.4.07.000"
    device = controller(
        (TEMPERATURE, late), ("*IDN?", identity), *2 * [answered(TEMPERATURE, "10.0010K")]
    )

    assert device.read_temperature().value == 10.001


@pytest.mark.parametrize("text", ["4.2,5.3K", "K", "4.2.1K", "--1K", "1e999,K"])
def test_a_value_that_is_no_number_is_a_reply_error(controller, text):
    told = answered("READ:DEV:MB0.H1:HTR:VLIM", text)
    device = controller(told)

    with pytest.raises(ReplyError, match=r"cryostat: MB0\.H1 voltage_limit"):
        device._number(device._heater, "voltage_limit")


def test_a_setpoint_with_ramp_begins_where_a_working_loop_is_and_takes_the_flow_along(
    controller, clock
):
    device = controller(
        NO_ALARM,
        progress("ON", 10.0),
        valid(
            "RSET:3.0000:RENA:ON:TSET:50.000",
            "RSET:3.0000K/m:VALID:RENA:ON:VALID:TSET:10.0000K",
        ),
        valid("FAUT:OFF:FSET:50.00", "FAUT:OFF:VALID:FSET:50.0000"),
        progress("ON", 30.0),
        valid("FAUT:OFF:FSET:35.00", "FAUT:OFF:VALID:FSET:35.0000"),
        progress("ON", 50.0),
        valid("FAUT:OFF:FSET:25.00", "FAUT:OFF:VALID:FSET:25.0000"),
        ramp_K_per_min=3.0,
    )

    status = device.set(50.0)

    assert not status.poll()
    clock.wait(400.0)
    assert not status.poll()
    clock.wait(400.0)
    assert status.poll()
    status.check()


def test_a_loop_that_was_off_begins_at_the_measured_temperature(controller):
    controller(
        NO_ALARM,
        progress("OFF", 300.0),
        *2 * [answered(TEMPERATURE, "5.1230K")],
        progress("OFF", 300.0),
        valid("TSET:300.0000", "TSET:300.0000K"),
        valid("RENA:OFF"),
        valid("TSET:5.123", "TSET:5.1230K"),
        progress("OFF", 5.123),
        valid("ENAB:ON"),
        valid("RENA:OFF:TSET:20.000", "RENA:OFF:VALID:TSET:20.0000K"),
        flow="",
    ).set(20.0)


@pytest.mark.parametrize("error", ["INVALID", "DENIED", "N/A"])
def test_a_set_that_is_refused_raises(controller, error):
    refused = f"SET:{LOOP}:ENAB:OFF", f"STAT:SET:{LOOP}:ENAB:OFF:{error}"

    with pytest.raises(InstrumentError, match=error):
        controller(refused).heater_off()


def test_one_refused_leaf_among_good_ones_raises(controller):
    told = "RENA:OFF:DENIED:TSET:20.0000K:VALID"
    script = (
        NO_ALARM,
        progress("ON", 20.0),
        (f"SET:{LOOP}:RENA:OFF:TSET:20.000", f"STAT:SET:{LOOP}:{told}"),
    )

    with pytest.raises(InstrumentError, match="DENIED"):
        controller(*script).set(20.0)


def test_a_board_that_is_not_there_raises(controller):
    missing = f"STAT:{TEMPERATURE.removeprefix('READ:')}:NOT_FOUND"

    with pytest.raises(InstrumentError, match="NOT_FOUND"):
        controller((TEMPERATURE, missing)).read_temperature()


def test_pymeasure_s_own_properties_raise_too(controller):
    bad = f"SET:{LOOP}:P:5", f"STAT:SET:{LOOP}:P:5:DENIED"
    device = controller(bad, answered("READ:DEV:MB0.H1:HTR:SIG:POWR", "12.5mW"))

    with pytest.raises(InstrumentError, match="DENIED"):
        device._control.control_loop_P = 5
    assert device._heater.power == pytest.approx(0.0125)


def test_on_a_bus_every_message_carries_the_address(controller):
    device = controller(
        ("@3*IDN?", "IDN:OXFORD INSTRUMENTS:MERCURY iTC:131450095:2.4.07.000"),
        *2 * [(f"@3{TEMPERATURE}", f"STAT:{TEMPERATURE.removeprefix('READ:')}:4.2K")],
        (f"@3SET:{LOOP}:ENAB:OFF", f"STAT:SET:{LOOP}:ENAB:OFF:VALID"),
        (f"@3SET:{LOOP}:HSET:0", f"STAT:SET:{LOOP}:HSET:0.0000:VALID"),
        (f"@3READ:{LOOP}:ENAB:HSET", f"STAT:{LOOP}:ENAB:OFF:HSET:0.0000"),
        bus_address=3,
    )

    assert device.identify().serial == "131450095"
    assert device.read_temperature().value == 4.2
    device.heater_off()


def test_a_heater_that_stays_on_is_an_error(controller):
    script = (
        valid("ENAB:OFF"),
        valid("HSET:0", "HSET:0.0000"),
        (f"READ:{LOOP}:ENAB:HSET", f"STAT:{LOOP}:ENAB:OFF:HSET:12.0000"),
    )

    with pytest.raises(InstrumentError, match="heater not off: loop OFF, heater at"):
        controller(*script).heater_off()


def test_a_restart_during_a_ramp_fails_it(controller, clock):
    device = controller(
        NO_ALARM,
        progress("ON", 10.0),
        valid(
            "RSET:3.0000:RENA:ON:TSET:50.000", "RSET:3.0000K/m:VALID:RENA:ON:VALID:TSET:10.0000K"
        ),
        progress("OFF", 10.0),
        flow="",
        ramp_K_per_min=3.0,
    )
    status = device.set(50.0)
    clock.wait(10.0)

    assert status.poll()
    with pytest.raises(InstrumentError, match="control loop is off"):
        status.check()


def test_an_alarm_on_the_heater_refuses_a_setpoint(controller):
    with pytest.raises(InstrumentError, match=r"alarm: MB0\.H1"):
        controller(("READ:SYS:ALRM", "STAT:SYS:ALRM:MB0.H1\tOpen Circuit;")).set(20.0)


@pytest.mark.parametrize("temperature_K", [nan, inf, -inf, 0.0, -4.0, 325.001])
def test_a_setpoint_outside_the_limit_never_reaches_the_wire(controller, temperature_K):
    with pytest.raises(LimitError, match="allowed 0 to 325"):
        controller().set(temperature_K)


@pytest.mark.parametrize(
    ("temperature_K", "percent"),
    [(1.0, 70.0), (5.0, 70.0), (7.5, 60.0), (10.0, 50.0), (150.0, 12.5), (300.0, 10.0)],
)
def test_the_flow_is_interpolated_in_its_table(temperature_K, percent):
    assert MercuryConfig().flow_percent(temperature_K) == pytest.approx(percent)


@pytest.mark.parametrize(
    "options",
    [
        {"control_sensor": "A"},
        {"bus_address": 0},
        {"ramp_K_per_min": -1.0},
        {"flow_table": ((10.0, 5.0), (5.0, 50.0))},
        {"flow_table": ((10.0, 101.0),)},
        {"heater_voltage_limit_V": 41.0},
        {"pid_zones": ((50.0, 1.0, 1.0, 0.0), (10.0, 1.0, 1.0, 0.0))},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="expected"):
        MercuryConfig(**options)


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (TEMPERATURE, "STAT:DEV:MB1.T1:TEMP:SIG:TEMP"),
        (TEMPERATURE, "STAT:DEV:MB1.T1:TEMP:SIG:VOLT:4.2K"),
        (f"SET:{LOOP}:TSET:5", f"STAT:SET:{LOOP}:TSET:5.0000K"),
        (f"SET:{LOOP}:TSET:5", f"STAT:SET:{LOOP}:HSET:5.0000:VALID"),
        (f"SET:{LOOP}:TSET:5", f"STAT:{LOOP}:TSET:5.0000K:VALID"),
        ("*IDN?", "STAT:SYS:CAT:DEV"),
        (TEMPERATURE, "STAT:DEV:DB6.T1:TEMP:SIG:TEMP:INVALID"),
    ],
)
def test_replies_to_something_else_do_not_match(message, reply):
    assert expected_reply(message).fullmatch(reply) is None


def test_values_and_errors_are_found_in_replies():
    assert values_in(f"STAT:{LOOP}:P:1.0:I:2.0:D:0.0", "D", "P") == ["0.0", "1.0"]
    assert error_in("READ:INVALID") == "INVALID"
    assert error_in(f"STAT:{LOOP}:P:1.0") == ""
    for text in ("", "K", "4.2mm", "4.2k", "1e"):
        with pytest.raises(ValueError, match="not a number"):
            quantity(text, "K")


class Bench:
    """The controller on the simulated flow cryostat."""

    def __init__(self, clock, settings=None, faults=None, **options) -> None:
        truth = Truth(cryostat=CryostatTruth(cooling="helium_flow"))
        settings = SimulatorSettings(models={"cryostat": "oxford.mercuryitc"}, cryostat=settings)
        self.clock = clock
        self.setup = SimulatedSetup(truth, 1, settings=settings, faults=faults)
        link = self.setup.link("cryostat", clock, Terminated(b"\n"))
        config = MercuryConfig(**options)
        self.line = mercury_line("cryostat", link, clock, config)
        self.controller = MercuryController("cryostat", self.line, clock, config)

    def reach(self, temperature_K: float, settle_s: float = 400.0) -> float:
        status = self.controller.set(temperature_K)
        while not status.poll():
            self.clock.wait(1.0)
        status.check()
        self.clock.wait(settle_s)
        return self.controller.read_temperature().value


@pytest.mark.parametrize("scaled", [False, True])
def test_5_to_200_K_are_held_with_the_flow_of_the_table(clock, scaled):
    bench = Bench(clock, MercurySettings(signals_scaled=scaled), ramp_K_per_min=10.0)

    for temperature_K in (5.5, 60.0, 200.0, 5.5):
        assert bench.reach(temperature_K) == pytest.approx(temperature_K, abs=0.05)
        valve = bench.controller.read()["flow_percent"].value
        assert valve == pytest.approx(MercuryConfig().flow_percent(temperature_K), abs=0.1)
    assert bench.line.anomalies == 0


def test_a_flow_table_that_starves_the_cryostat_does_not_reach_base(clock):
    bench = Bench(clock, flow_table=((5.0, 15.0),))

    assert bench.reach(5.5, settle_s=3000.0) > 10.0


def test_to_hold_ends_a_ramp_where_the_sample_is(clock):
    bench = Bench(clock, ramp_K_per_min=10.0)
    bench.reach(10.0)
    status = bench.controller.set(60.0)
    clock.wait(60.0)

    bench.controller.hold()
    held_K = bench.controller.settings()["setpoint_K"]
    clock.wait(300.0)

    assert status.poll()
    with pytest.raises(StateError, match="superseded"):
        status.check()
    assert 15.0 < held_K < 25.0
    assert bench.controller.read_temperature().value == pytest.approx(held_K, abs=0.02)


def test_a_power_cycle_shows_in_the_settings(clock):
    bench = Bench(clock, MercurySettings(boot_s=0.2))
    bench.reach(12.0, settle_s=1.0)
    assert bench.controller.settings()["loop_enabled"]

    bench.setup.cryostat.power_cycle(clock.now())
    clock.wait(1.0)

    assert bench.controller.settings()["loop_enabled"] is False
    assert bench.controller.settings()["flow_setpoint_percent"] == 0.0


def test_protection_is_written_only_when_asked_and_read_back(clock):
    bench = Bench(clock, heater_voltage_limit_V=20.0)
    assert bench.controller.settings()["heater_voltage_limit_V"] == 28.0

    bench.controller.apply_protection()

    assert bench.controller.settings()["heater_voltage_limit_V"] == 20.0


KINDS = (
    FaultKind.LOST_REQUEST, FaultKind.LOST_REPLY, FaultKind.LATE, FaultKind.DUPLICATED,
    FaultKind.TRUNCATED, FaultKind.SPLIT, FaultKind.DISCONNECT, FaultKind.STUCK,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_under_faults_no_temperature_is_that_of_another_sensor(clock, seed):
    faults = Faults(FaultRate(seed, 0.05, KINDS))
    bench = Bench(clock, faults=faults)
    world, read = bench.setup.world.cryostat, 0

    for _ in range(150):
        for ask, true_K in (
            (bench.controller.read_temperature, world.control_sensor_K),
            (bench.controller.read_sample_temperature, world.sample_sensor_K),
        ):
            clock.wait(0.5)
            try:
                value = ask().value
            except DeviceError:
                continue
            assert value == pytest.approx(true_K(), abs=0.01)
            read += 1

    assert faults.fired
    assert bench.line.anomalies > 3
    assert read > 200


def test_a_late_reply_costs_one_question_and_no_error(clock):
    faults = Faults()
    faults.script("cryostat", "READ:TEMP", 2, Fault(FaultKind.LATE, duration_s=1.2))
    bench = Bench(clock, faults=faults)
    bench.controller.read_temperature()

    reading = bench.controller.read_sample_temperature()

    assert reading.value == pytest.approx(bench.setup.world.cryostat.sample_sensor_K(), abs=0.003)
    assert faults.not_fired() == []


@pytest.mark.parametrize(
    ("channel", "message"), [("HSET", f"READ:{LOOP}:HSET"), ("temperature", TEMPERATURE)]
)
def test_text_where_a_number_should_be_is_an_error_of_ours(controller, channel, message):
    script = [answered(TEMPERATURE, "10.0K"), answered("READ:DEV:DB6.T1:TEMP:SIG:TEMP", "9.0K")]
    script = script if channel == "HSET" else []

    with pytest.raises(ReplyError, match="not a number"):
        controller(NO_ALARM, *script, answered(message, "warm")).read()


def test_garbage_becomes_an_error_that_says_where(controller):
    identity = ("*IDN?", "IDN:OXFORD INSTRUMENTS:MERCURY iTC:131450095:2.4.07.000")
    garbage = (TEMPERATURE, "STAT:DEV:MB1.T1:TEMP:SIG:TEMP:4.2K:4.3K")
    device = controller(garbage, identity, garbage, identity, garbage, identity, garbage)

    with pytest.raises(ReplyError, match=re.escape("cryostat: 'READ:DEV:MB1.T1")):
        device.read_temperature()

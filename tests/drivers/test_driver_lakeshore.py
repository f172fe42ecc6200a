import time
from math import inf, isnan, nan

import pytest

from drivers.clock import VirtualClock
from drivers.errors import InstrumentError, LimitError, LinkTimeout, StateError
from drivers.lakeshore import LakeShore336Config, LakeShore336Controller
from drivers.line import Line
from drivers.link import Terminated
from drivers.roles import ReadingStatus
from simulators.lakeshore import LakeShoreSettings
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

IDN = ("*IDN?", "LSCI,MODEL336,LSA24K7/2136045,2.9")


def twice(question, answer):
    """What is asked twice in one message and answered twice, as what decides something is."""
    return f"{question};{question}", f"{answer};{answer}"


def loop(answer="1,1,0;3,1,0,1,1;2", heater="0"):
    return twice("OUTMODE? 1;INTYPE? A;RANGE? 1", answer), ("HTRST? 1", heater)


READY = loop()


@pytest.fixture
def controller(scripted, clock):
    def make(*script, **options):
        config = LakeShore336Config(**{"pacing_s": 0.0, **options})
        line = Line.configured("cryostat", scripted(*script), clock, config)
        return LakeShore336Controller("cryostat", line, clock, config)

    return make


def sent(command):
    return (f"*ESR?;{command};*ESR?", "000;000")


def test_connecting_sends_nothing(controller):
    controller()


def test_a_temperature_is_read_together_with_its_status(controller, clock):
    reading = controller(twice("KRDG? A;RDGST? A", "+077.350;000")).read_temperature()

    assert (reading.value, reading.unit, reading.status) == (77.35, "K", ReadingStatus.OK)


@pytest.mark.parametrize(
    ("bits", "status", "note"),
    [
        (1, ReadingStatus.FAULT, "invalid reading"),
        (16, ReadingStatus.OUT_OF_RANGE, "temperature under range"),
        (32, ReadingStatus.OUT_OF_RANGE, "temperature over range"),
        (64, ReadingStatus.OUT_OF_RANGE, "sensor units zero"),
        (128, ReadingStatus.OUT_OF_RANGE, "sensor units over range"),
        (96, ReadingStatus.OUT_OF_RANGE, "temperature over range, sensor units zero"),
    ],
)
def test_an_overrange_that_reads_zero_kelvin_is_no_temperature(controller, bits, status, note):
    device = controller(twice("KRDG? B;RDGST? B", f"+000.000;{bits:03d}"))

    reading = device.read_sample_temperature()

    assert isnan(reading.value)
    assert not reading.is_good
    assert (reading.status, reading.note) == (status, note)


def test_all_channels_are_read_in_one_message(controller):
    question = "KRDG? A;RDGST? A;KRDG? B;RDGST? B;HTR? 1;HTRST? 1"

    found = controller(twice(question, "+010.001;000;+009.750;000;+023.4;0")).read()

    assert {name: reading.value for name, reading in found.items()} == {
        "temperature_K": 10.001,
        "sample_temperature_K": 9.75,
        "heater_percent": 23.4,
    }


def test_a_setpoint_is_sent_with_ramp_and_range_between_two_looks_at_the_event_register(
    controller, clock
):
    device = controller(
        *READY,
        sent("RAMP 1,1,2.000;SETP 1,25.500;RANGE 1,2"),
        ("RAMPST? 1;SETP? 1", "1;+025.500"),
        ("RAMPST? 1;SETP? 1", "0;+025.500"),
        ramp_K_per_min=2.0,
    )

    status = device.set(25.5)

    assert not status.poll()  # nothing asked yet: RAMPST? needs its time
    clock.wait(0.5)
    assert not status.poll()
    clock.wait(0.5)
    assert status.poll()
    status.check()


def test_the_pid_of_the_zone_goes_before_the_setpoint(controller, clock):
    zones = ((10.0, 20.0, 200.0, 0.0), (inf, 50.0, 20.0, 5.0))
    device = controller(
        *READY,
        sent("PID 1,50.0,20.0,5;RAMP 1,0,0.000;SETP 1,100.000;RANGE 1,3"),
        pid_zones=zones,
    )

    device.set(100.0)


def test_pid_zones_must_ascend():
    with pytest.raises(ValueError, match=r"PID zones .* expected ascending temperatures"):
        LakeShore336Config(pid_zones=((50.0, 1.0, 1.0, 0.0), (10.0, 1.0, 1.0, 0.0)))


def test_the_old_setpoint_read_early_is_waited_out(controller, clock):
    device = controller(
        *READY,
        sent("RAMP 1,0,0.000;SETP 1,25.500;RANGE 1,2"),
        ("RAMPST? 1;SETP? 1", "0;+010.000"),
        ("RAMPST? 1;SETP? 1", "0;+025.500"),
    )
    status = device.set(25.5)

    assert not status.poll()
    clock.wait(0.5)
    assert status.poll()
    assert status.success


def test_a_working_setpoint_during_a_ramp_is_no_error(controller, clock):
    device = controller(
        *READY,
        sent("RAMP 1,1,2.000;SETP 1,25.500;RANGE 1,2"),
        ("RAMPST? 1;SETP? 1", "1;+011.250"),
        ("RAMPST? 1;SETP? 1", "0;+025.500"),
        ramp_K_per_min=2.0,
    )
    status = device.set(25.5)

    clock.wait(40.0)
    assert not status.poll()
    clock.wait(600.0)
    assert status.poll()
    assert status.success


def test_a_setpoint_that_was_not_taken_is_an_error(controller, clock):
    device = controller(
        *READY,
        sent("RAMP 1,0,0.000;SETP 1,25.500;RANGE 1,2"),
        ("RAMPST? 1;SETP? 1", "0;+010.000"),
    )
    status = device.set(25.5)
    clock.wait(2.1)

    assert status.poll()

    with pytest.raises(InstrumentError, match=r"reads back 10.0 K, not 25.5 K"):
        status.check()


def test_a_setpoint_that_is_superseded_fails(controller):
    script = *READY, sent("RAMP 1,0,0.000;SETP 1,25.500;RANGE 1,2")
    device = controller(*script, *script)

    first = device.set(25.5)
    device.set(25.5)

    assert first.poll()
    with pytest.raises(StateError, match="superseded"):
        first.check()


def test_after_the_heater_was_off_the_ramp_begins_at_the_measured_temperature(controller):
    device = controller(
        *loop("1,1,0;3,1,0,1,1;0"),
        twice("KRDG? A;RDGST? A", "+005.123;000"),
        sent("RAMP 1,0,2.000;SETP 1,5.123"),
        ("SETP? 1", "+005.123"),
        sent("RAMP 1,1,2.000;SETP 1,25.500;RANGE 1,2"),
        ramp_K_per_min=2.0,
    )

    device.set(25.5)


@pytest.mark.parametrize("temperature_K", [nan, inf, -inf, 0.0, -4.0, 325.001, 1e9])
def test_a_setpoint_outside_the_limit_never_reaches_the_wire(controller, temperature_K):
    with pytest.raises(LimitError, match="allowed 0 to 325"):
        controller().set(temperature_K)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("0,1,0;3,1,0,1,1;2", r"output 1 is in mode 0 on input 1, expected mode 1"),
        ("1,2,0;3,1,0,1,1;2", r"on input 2, expected mode 1 \(closed loop\) on input A"),
        ("1,1,0;3,1,0,1,2;2", "does not control in kelvin"),
    ],
)
def test_an_output_that_can_t_regulate_is_named(controller, answer, message):
    with pytest.raises(StateError, match=message):
        controller(loop(answer)[0]).set(25.5)


@pytest.mark.parametrize(("code", "fault"), [(1, "heater open"), (2, "heater short")])
def test_a_faulty_heater_is_an_error(controller, code, fault):
    with pytest.raises(InstrumentError, match=fault):
        controller(*loop(heater=f"{code}")).set(25.5)


def test_a_heater_fault_that_reading_clears_is_remembered(controller):
    question = "KRDG? A;RDGST? A;KRDG? B;RDGST? B;HTR? 1;HTRST? 1"
    readings = "+010.001;000;+009.750;000;+000.0;"
    device = controller(
        (f"{question};{question}", f"{readings}1;{readings}0"), twice(question, f"{readings}0")
    )

    first, second = device.read(), device.read()

    for found in (first, second):
        assert found["heater_percent"].status is ReadingStatus.FAULT
        assert found["heater_percent"].note == "heater open"


def test_an_error_left_by_somebody_else_is_not_blamed_on_an_innocent_command(controller, caplog):
    device = controller(
        ("*ESR?;RANGE 1,0;RANGE 2,0;RANGE 3,0;RANGE 4,0;*ESR?", "032;000"),
        twice("RANGE? 1;RANGE? 2;RANGE? 3;RANGE? 4", "0;0;0;0"),
        ("*ESR?;RANGE 1,0;RANGE 2,0;RANGE 3,0;RANGE 4,0;*ESR?", "016;000"),
        twice("RANGE? 1;RANGE? 2;RANGE? 3;RANGE? 4", "0;0;0;0"),
    )

    device.heater_off()
    device.heater_off()

    assert "value not allowed (*ESR 16) before" in caplog.text


@pytest.mark.parametrize(
    ("bits", "text"), [(16, "value not allowed"), (32, "command unknown"), (4, "query error")]
)
def test_an_error_of_our_own_command_raises(controller, bits, text):
    command = "RAMP 1,0,0.000;SETP 1,25.500;RANGE 1,2"

    with pytest.raises(InstrumentError, match=text):
        controller(*READY, (f"*ESR?;{command};*ESR?", f"000;{bits:03d}")).set(25.5)


def test_heaters_that_stay_on_are_an_error(controller):
    device = controller(
        sent("RANGE 1,0;RANGE 2,0;RANGE 3,0;RANGE 4,0"),
        twice("RANGE? 1;RANGE? 2;RANGE? 3;RANGE? 4", "3;0;0;0"),
    )

    with pytest.raises(InstrumentError, match="heaters not off: ranges 3;0;0;0"):
        device.heater_off()


def test_to_hold_is_to_regulate_where_it_is_with_the_heater_as_it_was(controller):
    device = controller(
        twice("KRDG? A;RDGST? A", "+042.424;000"),
        sent("RAMP 1,0,2.000;SETP 1,42.424"),
        ("SETP? 1", "+100.000"),  # too early
        ("SETP? 1", "+042.424"),
        ramp_K_per_min=2.0,
    )

    device.hold()


def test_without_a_good_reading_there_is_nothing_to_hold(controller):
    with pytest.raises(InstrumentError, match="cannot hold: sensor units over range"):
        controller(twice("KRDG? A;RDGST? A", "+000.000;128")).hold()


def test_protection_is_written_only_when_asked_and_read_back(controller):
    device = controller(
        sent("TLIMIT A,350"),
        ("TLIMIT? A", "+0350"),
        ("OUTMODE? 1", "1,1,0"),
        sent("OUTMODE 1,1,1,1"),
        ("OUTMODE? 1", "1,1,1"),
        temperature_limit_K=350.0,
        heater_on_after_power_up=True,
    )

    device.apply_protection()


def test_protection_that_reads_back_wrong_is_an_error(controller):
    device = controller(sent("TLIMIT A,350"), ("TLIMIT? A", "+0000"), temperature_limit_K=350.0)

    with pytest.raises(InstrumentError, match="temperature limit is not 350 K"):
        device.apply_protection()


def test_settings_are_read_back_in_one_message(controller):
    question = "SETP? 1;RAMP? 1;RANGE? 1;OUTMODE? 1;PID? 1;TLIMIT? A"
    answer = "+010.000;1,+002.0;2;1,1,0;+0050.0,+0020.0,+0000;+0350"

    found = controller(twice(question, answer)).settings()

    assert found["setpoint_K"] == 10.0
    assert found["ramp_on"] is True
    assert found["heater_range"] == 2
    assert found["temperature_limit_K"] == 350.0


@pytest.mark.parametrize(
    ("temperature_K", "heater_range"), [(4.0, 1), (10.0, 1), (10.001, 2), (200.0, 3), (300.0, 3)]
)
def test_the_heater_range_follows_the_setpoint(temperature_K, heater_range):
    assert LakeShore336Config().heater_range(temperature_K) == heater_range


@pytest.mark.parametrize(
    "options",
    [
        {"control_input": "E"},
        {"output": 3},
        {"ramp_K_per_min": 0.05},
        {"ramp_K_per_min": 101.0},
        {"heater_ranges": ()},
        {"heater_ranges": ((40.0, 2), (10.0, 1))},
        {"heater_ranges": ((40.0, 0),)},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match=r"expected|only 1 and 2"):
        LakeShore336Config(**options)


class Bench:
    """The controller on the simulated cryostat."""

    def __init__(self, settings: LakeShoreSettings, **options) -> None:
        self.clock = VirtualClock()
        self.setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(cryostat=settings))
        link = self.setup.link("cryostat", self.clock, Terminated(b"\r\n"))
        config = LakeShore336Config(**options)
        self.line = Line.configured("cryostat", link, self.clock, config)
        self.controller = LakeShore336Controller("cryostat", self.line, self.clock, config)

    def reach(self, temperature_K: float) -> float:
        begin = self.clock.now()
        status = self.controller.set(temperature_K)
        while not status.poll():
            self.clock.wait(0.5)
        status.check()
        return self.clock.now() - begin


@pytest.mark.parametrize("setpoint_query", ["target", "working"])
def test_a_ramp_ends_when_the_simulated_controller_says_so(setpoint_query):
    bench = Bench(
        LakeShoreSettings(setpoint_query=setpoint_query, setpoint_update_s=0.4, min_gap_s=0.049),
        ramp_K_per_min=6.0,
    )
    start_K = bench.controller.read_temperature().value

    taken_s = bench.reach(8.0)

    assert taken_s == pytest.approx((8.0 - start_K) / 6.0 * 60.0, abs=1.5)
    assert bench.line.anomalies == 0


def test_without_pacing_a_controller_that_needs_it_loses_messages():
    bench = Bench(LakeShoreSettings(min_gap_s=0.05), pacing_s=0.0)
    bench.controller.read_temperature()

    with pytest.raises(LinkTimeout):
        bench.controller.read_temperature()


def test_the_simulated_heater_goes_off_and_says_so():
    bench = Bench(LakeShoreSettings())
    bench.reach(100.0)
    bench.clock.wait(1.0)
    assert bench.controller.read()["heater_percent"].value > 0
    assert bench.setup.world.cryostat.heater_W > 0

    bench.controller.heater_off()

    assert bench.setup.world.cryostat.heater_W == 0


def test_an_open_sensor_of_the_simulated_cryostat_is_seen():
    bench = Bench(LakeShoreSettings())
    bench.setup.world.cryostat.sensor_open = True

    assert not bench.controller.read_temperature().is_good
    assert bench.controller.read_sample_temperature().is_good


def test_a_power_cycle_shows_in_the_settings():
    bench = Bench(LakeShoreSettings(boot_s=0.2))
    bench.reach(12.0)
    assert bench.controller.settings()["heater_range"] == 2

    bench.setup.cryostat.power_cycle(bench.clock.now())
    bench.clock.wait(1.0)

    assert bench.controller.settings()["heater_range"] == 0


def test_a_controller_that_is_booting_is_a_timeout():
    bench = Bench(LakeShoreSettings(boot_s=100.0))
    bench.setup.cryostat.power_cycle(bench.clock.now())

    with pytest.raises(LinkTimeout):
        bench.controller.read_temperature()


def test_a_temperature_costs_little_time():
    bench = Bench(LakeShoreSettings(), pacing_s=0.0)
    bench.controller.read_temperature()
    begin = time.process_time()
    for _ in range(300):
        bench.controller.read_temperature()

    assert (time.process_time() - begin) / 300 < 120e-6


def test_the_identity_of_the_transcript_is_the_instrument_s(controller):
    assert controller(IDN).identify().serial == "LSA24K7/2136045"

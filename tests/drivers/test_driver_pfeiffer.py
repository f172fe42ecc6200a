from math import isnan

import pytest

from drivers.errors import DeviceError, InstrumentError, LinkTimeout, StateError
from drivers.link import Terminated
from drivers.pfeiffer import PfeifferConfig, PfeifferGauge, PfeifferLine
from drivers.registry import model
from drivers.roles import ReadingStatus
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth, VacuumTruth

ENQ, ACK, NAK = "\x05", "\x06", "\x15"
AYT = "TPG361,PTG28040,44990000,010100,010100"


def asked(mnemonic, data):
    return (f"{mnemonic}\r\n", ACK), (ENQ, data)


def measured(unit, measurement, channel=1):
    """Unit and pressure, asked twice."""
    return 2 * (asked("UNI", unit), asked(f"PR{channel}", measurement))


@pytest.fixture
def gauge(scripted, clock):
    def make(*script, **options):
        config = PfeifferConfig(**options)
        flat = [step for pair in script for step in pair]
        line = PfeifferLine.configured("gauge", scripted(*flat, terminator=""), clock, config)
        return PfeifferGauge("gauge", line, clock, config)

    return make


def test_it_is_found_by_name_and_connecting_sends_nothing(gauge):
    assert model("pfeiffer.tpg361").driver is PfeifferGauge
    gauge()


def test_identity_and_serial_number(gauge):
    assert gauge(asked("AYT", AYT)).identify().serial == "44990000"
    with pytest.raises(StateError, match="serial number 44990000, not 1"):
        gauge(asked("AYT", AYT), serial="1").identify()


@pytest.mark.parametrize(
    ("unit", "shown", "mbar"),
    [("0", "+2.5000E-06", 2.5e-6), ("1", "+1.0000E+00", 1.333224), ("2", "+1.0000E+05", 1000.0)],
)
def test_pressure_is_in_mbar_whatever_the_display_shows(gauge, unit, shown, mbar):
    reading = gauge(*measured(unit, f"0,{shown}")).read_pressure()

    assert (reading.unit, reading.is_good) == ("mbar", True)
    assert reading.value == pytest.approx(mbar)


@pytest.mark.parametrize(
    ("status", "expected", "note"),
    [
        (2, ReadingStatus.OUT_OF_RANGE, "pressure over range"),
        (3, ReadingStatus.FAULT, "sensor error"),
        (4, ReadingStatus.FAULT, "sensor off"),
        (5, ReadingStatus.FAULT, "no sensor"),
        (6, ReadingStatus.FAULT, "identification error"),
    ],
)
def test_a_flagged_measurement_is_no_pressure(gauge, status, expected, note):
    reading = gauge(*measured("0", f"{status},+2.0000E-02")).read_pressure()

    assert isnan(reading.value)
    assert (reading.status, reading.note) == (expected, note)


def test_below_the_range_the_pressure_is_known_to_be_at_most_that(gauge):
    reading = gauge(*measured("0", "1,+5.0000E-09")).read_pressure()

    assert reading.is_good
    assert (reading.value, reading.note) == (5e-9, "underrange: at most that")


def test_the_second_gauge_of_a_362(gauge):
    device = gauge(*measured("0", "0,+1.0000E-03", 2), gauge=2)

    assert device.read()["pressure_mbar"].value == 1e-3


def test_what_is_not_acknowledged_is_an_error_with_its_reason(gauge):
    device = gauge(asked("UNI", "0"), (("PR2\r\n", NAK), (ENQ, "0001")), gauge=2)

    with pytest.raises(InstrumentError, match="gauge: 'PR2': syntax error"):
        device.read_pressure()


def test_volts_are_no_pressure(gauge):
    with pytest.raises(InstrumentError, match="unit 5 of the controller is no pressure"):
        gauge(asked("UNI", "5")).read_pressure()


class Bench:
    def __init__(self, clock, faults=None) -> None:
        settings = SimulatorSettings(models={"gauge": "pfeiffer.tpg361"})
        vacuum = VacuumTruth(base_mbar=2.5e-6, start_mbar=2.5e-6)
        self.setup = SimulatedSetup(Truth(vacuum=vacuum), 1, settings=settings, faults=faults)
        link = self.setup.link("gauge", clock, Terminated(b"\r\n"))
        config = PfeifferConfig()
        self.line = PfeifferLine.configured("gauge", link, clock, config)
        self.gauge = PfeifferGauge("gauge", self.line, clock, config)


def test_a_leak_of_the_simulated_vacuum_is_seen(clock):
    bench = Bench(clock)
    assert bench.gauge.read_pressure().value == 2.5e-6
    bench.setup.world.vacuum.leak_mbar_per_s = 1e-4
    clock.wait(300.0)

    assert bench.gauge.read_pressure().value == pytest.approx(3e-3, rel=0.01)


@pytest.mark.parametrize("kind", [FaultKind.LOST_REQUEST, FaultKind.LOST_REPLY, FaultKind.LATE])
@pytest.mark.parametrize("verb", ["PR1", "ENQ"])
def test_a_single_fault_costs_one_question_and_no_error(clock, kind, verb):
    faults = Faults()
    faults.script("gauge", verb, 1, Fault(kind, duration_s=1.2))
    bench = Bench(clock, faults)

    assert bench.gauge.read_pressure().value == 2.5e-6
    assert faults.not_fired() == []
    assert bench.line.anomalies == 1


def test_a_gauge_that_talks_on_its_own_is_silenced_and_then_read(clock):
    bench = Bench(clock)
    bench.setup.cores["gauge"].receive(b"COM,1\r", clock.now())
    clock.wait(10.0)

    assert bench.gauge.read_pressure().value == 2.5e-6


@pytest.mark.parametrize("seed", range(3))
def test_under_faults_the_pressure_is_true_or_an_error_of_ours(clock, seed):
    kinds = tuple(set(FaultKind) - {FaultKind.GARBLED, FaultKind.WRONG_IDENTITY})
    faults = Faults(FaultRate(seed, 0.03, sorted(kinds, key=lambda kind: kind.value)))
    bench = Bench(clock, faults)
    read = 0

    for _ in range(120):
        clock.wait(2.0)
        try:
            reading = bench.gauge.read_pressure()
        except DeviceError:
            continue
        assert reading.value == 2.5e-6
        read += 1

    assert faults.fired
    assert read > 80


def test_a_controller_that_is_off_is_a_timeout(clock):
    bench = Bench(clock)
    bench.setup.cores["gauge"].stall(clock.now(), 60.0)

    with pytest.raises(LinkTimeout):
        bench.gauge.read_pressure()

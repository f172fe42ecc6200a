"""Whatever happens on the line, a driver returns the truth or raises one of our errors."""

import pytest

from drivers.clock import VirtualClock
from drivers.errors import DeviceError, LinkClosed
from drivers.keithley import Keithley2410Config, Keithley2410Supply
from drivers.lakeshore import LakeShore336Config, LakeShore336Controller
from drivers.line import Line
from drivers.link import AnyNewline, Terminated
from drivers.roles import BiasSettings
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup
from simulators.truth import Truth

# A digit that turns into another digit can't be told by looking at one reply: GARBLED is judged
# where a reply is compared with something, not here
KINDS = (
    FaultKind.LOST_REQUEST,
    FaultKind.LOST_REPLY,
    FaultKind.LATE,
    FaultKind.DUPLICATED,
    FaultKind.TRUNCATED,
    FaultKind.SPLIT,
    FaultKind.DISCONNECT,
    FaultKind.HALF_OPEN,
    FaultKind.STUCK,
)


def cryostat(faults):
    clock = VirtualClock()
    setup = SimulatedSetup(Truth(), 1, faults=faults)
    config = LakeShore336Config()
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))
    line = Line.configured("cryostat", link, clock, config)
    return setup, clock, line, LakeShore336Controller("cryostat", line, clock, config)


def supply(faults):
    clock = VirtualClock()
    setup = SimulatedSetup(Truth(), 1, faults=faults)
    config = Keithley2410Config()
    link = setup.link("bias", clock, AnyNewline())
    line = Line.configured("bias", link, clock, config)
    return setup, clock, line, Keithley2410Supply("bias", line, clock, config)


@pytest.mark.parametrize("seed", range(4))
def test_no_temperature_is_ever_that_of_another_question(seed):
    faults = Faults(FaultRate(seed, 0.05, KINDS))
    setup, clock, line, controller = cryostat(faults)
    world = setup.world.cryostat
    read = 0

    for _ in range(300):
        for ask, true_K in (
            (controller.read_temperature, world.control_sensor_K),
            (controller.read_sample_temperature, world.sample_sensor_K),
        ):
            clock.wait(0.5)
            try:
                reading = ask()
            except DeviceError:
                continue
            assert reading.value == pytest.approx(true_K(), abs=0.01)  # the sensors differ by 0.027
            read += 1

    assert line.anomalies > 10
    assert read > 400


@pytest.mark.parametrize("kind", [FaultKind.LOST_REPLY, FaultKind.LATE, FaultKind.TRUNCATED])
def test_a_single_fault_costs_one_question_and_no_error(kind):
    faults = Faults()
    faults.script("cryostat", "KRDG?", 2, Fault(kind, duration_s=1.2))
    setup, _, line, controller = cryostat(faults)
    controller.read_temperature()

    reading = controller.read_temperature()

    assert reading.value == pytest.approx(setup.world.cryostat.control_sensor_K(), abs=0.003)
    assert faults.not_fired() == []
    assert line.anomalies == 1


def test_a_broken_connection_is_an_error_once_and_then_works_again():
    faults = Faults()
    faults.script("cryostat", "KRDG?", 1, Fault(FaultKind.DISCONNECT, duration_s=0.2))
    _, clock, _, controller = cryostat(faults)

    with pytest.raises(LinkClosed, match="cryostat: line lost"):
        controller.read_temperature()
    with pytest.raises(LinkClosed):
        controller.read_temperature()
    clock.wait(0.3)

    assert controller.read_temperature().is_good


def test_another_unit_on_the_line_is_noticed_at_the_next_anomaly():
    faults = Faults()
    faults.script("cryostat", "KRDG?", 1, Fault(FaultKind.WRONG_IDENTITY))
    faults.script("cryostat", "KRDG?", 2, Fault(FaultKind.LOST_REPLY))
    _, _, _, controller = cryostat(faults)
    controller.identify()
    controller.read_temperature()

    with pytest.raises(DeviceError, match="answers where"):
        controller.read_temperature()


@pytest.mark.parametrize("seed", range(3))
def test_no_fault_makes_the_supply_source_more_than_was_asked(seed):
    faults = Faults()
    setup, clock, _, bias = supply(faults)
    bias.configure(BiasSettings(8.0, 1e-5, 20.0))
    bias.switch_output(True)
    faults.rate = FaultRate(seed, 0.1, (*KINDS, FaultKind.GARBLED))
    asked_V = 0.0

    for step in range(200):
        clock.wait(0.2)
        asked_V = 8.0 * ((step % 21) - 10) / 10
        try:
            bias.set_level(asked_V)
            measured = bias.measure()
        except DeviceError:
            continue
        if not faults.fired or faults.fired[-1].time_s < clock.now() - 1.0:
            assert measured.voltage_V == pytest.approx(asked_V, abs=0.1)

    assert len(faults.fired) > 20
    assert max(abs(programmed) for _, programmed, _, _ in setup.world.bias.log) <= 8.0

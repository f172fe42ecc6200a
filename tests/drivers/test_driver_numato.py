"""The driver of the Numato relay: each reply repeats its question, and the lamp follows."""

import pytest

from drivers.clock import VirtualClock
from drivers.errors import DeviceError, InstrumentError
from drivers.numato import NumatoConfig, NumatoRelay, _line
from drivers.registry import model
from drivers.roles import Switch
from simulators.faults import FaultRate, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth


class Bench:
    def __init__(self, relay: int = 0, faults: Faults | None = None) -> None:
        self.clock = VirtualClock()
        settings = SimulatorSettings(models={"relay": "numato.relay"})
        self.setup = SimulatedSetup(Truth(), 1, settings=settings, faults=faults)
        config = NumatoConfig(relay=relay)
        link = self.setup.link("relay", self.clock, model("numato.relay").framing)
        self.line = _line("lamp", link, self.clock, config)
        self.lamp = NumatoRelay("lamp", self.line, self.clock, config)
        self.optics = self.setup.world.optics


@pytest.fixture
def relay(scripted, clock):
    def make(*script, **options):
        config = NumatoConfig(**options)
        line = _line("lamp", scripted(*script, terminator="\r"), clock, config)
        return NumatoRelay("lamp", line, clock, config)

    return make


def test_it_is_a_switch_found_by_name():
    assert (model("numato.relay").role, model("numato.relay").driver) == (Switch, NumatoRelay)


def test_a_relay_is_switched_and_read_back(relay):
    device = relay(
        ("relay on 2", "relay on 2\n\r"), ("relay read 2", "relay read 2\n\ron\n\r"), relay=2
    )

    assert device.set(True).success


def test_relays_beyond_9_are_letters(relay):
    assert not relay(("relay read C", "relay read C\n\roff\n\r"), relay=12).is_on()


def test_a_relay_that_does_not_follow_is_an_error(relay):
    device = relay(("relay on 0", "relay on 0\n\r"), ("relay read 0", "relay read 0\n\roff\n\r"))

    with pytest.raises(InstrumentError, match="not on"):
        device.set(True)


def test_the_answer_to_another_question_is_not_taken(relay):
    device = relay(
        ("relay read 0", "relay read 1\n\ron\n\r"),
        ("id get", "id get\n\rRELAY001\n\r"),
        ("relay read 0", "relay read 0\n\roff\n\r"),
    )

    assert device.is_on() is False


@pytest.mark.parametrize("number", [-1, 36])
def test_a_relay_that_can_t_be_named_is_refused(number):
    with pytest.raises(ValueError, match="0 to 35"):
        NumatoConfig(relay=number)


def test_it_lights_the_lamp_and_changes_nothing_else():
    bench = Bench()
    assert bench.lamp.identify().serial == "RELAY001"
    bench.lamp.read()
    assert not bench.optics.line_lamp_on

    bench.lamp.set(True)

    assert (bench.optics.line_lamp_on, bench.optics.white_lamp_on) == (True, False)
    assert bench.lamp.read()["is_on"].value == 1.0
    bench.lamp.close()
    assert bench.optics.line_lamp_on
    assert bench.line.anomalies == 0


def test_a_reboot_shows_in_the_settings():
    bench = Bench(relay=1)
    bench.lamp.set(True)
    bench.setup.cores["relay"].power_cycle(bench.clock.now())
    bench.clock.wait(2.0)

    assert bench.lamp.settings() == {"is_on": False}


@pytest.mark.parametrize("seed", range(2))
def test_under_faults_the_lamp_is_as_it_was_said_to_be(seed):
    bench = Bench(faults=Faults(FaultRate(seed, 0.05, duration_s=(0.3, 0.8))))
    done = 0

    for step in range(80):
        bench.clock.wait(1.5)
        try:
            bench.lamp.set(step % 2 == 0)
        except DeviceError:
            bench.line.known.forget()  # another unit, which the operator accepts
            continue
        assert bench.optics.line_lamp_on is (step % 2 == 0)
        done += 1

    assert len(bench.setup.faults.fired) >= 5
    assert done >= 50

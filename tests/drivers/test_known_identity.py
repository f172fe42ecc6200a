"""Who answers: one garbled name is no other instrument, and after an anomaly everybody is asked."""

from contextlib import suppress

import pytest

from drivers.clock import VirtualClock
from drivers.errors import DeviceError, ReplyError, StateError
from drivers.icl import IclClient, IclModule
from drivers.known_identity import KnownIdentity
from drivers.link import Whole
from drivers.registry import model
from drivers.roles import Identity
from drivers.serial_format import SerialFormat
from drivers.serial_link import SerialLink, pulse_rts
from drivers.thorlabs_apt import AptClient, AptFraming
from simulators.faults import Fault, FaultKind, Faults
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

HERE = Identity("Thorlabs", "K10CR1", "55000123", "1.0.3")
OTHER = Identity("Thorlabs", "K10CR1", "55000128", "1.0.3")


def test_another_instrument_is_believed_when_it_is_heard_twice():
    known = KnownIdentity("rotator")
    known.meet(HERE)
    known.meet(HERE)

    with pytest.raises(ReplyError, match=r"rotator: .*55000128.*55000123.*not believed until"):
        known.meet(OTHER)
    with pytest.raises(StateError, match=r"rotator: .*55000128.*answers where"):
        known.meet(OTHER)


def test_a_name_that_was_garbled_once_is_no_other_instrument():
    known = KnownIdentity("rotator")
    known.meet(HERE)
    known.meet(HERE)
    with pytest.raises(ReplyError):
        known.meet(OTHER)

    assert known.meet(HERE) == HERE
    with pytest.raises(ReplyError):  # its doubt begins anew
        known.meet(OTHER)


def test_a_first_name_that_was_garbled_gives_way_to_one_heard_twice():
    known = KnownIdentity("rotator")
    known.meet(OTHER)
    with pytest.raises(ReplyError):
        known.meet(HERE)

    assert known.meet(HERE) == HERE


def test_who_is_put_there_on_purpose_is_taken():
    known = KnownIdentity("rotator")
    known.meet(HERE)
    known.meet(HERE)
    known.forget()

    assert known.meet(OTHER) == OTHER


def simulated(port: str, name: str, framing, clock, faults: Faults):
    models = {} if port == "icl" else {port: name}
    setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(models=models), faults=faults)
    return setup, setup.link(port, clock, framing)


def test_an_apt_unit_that_was_exchanged_is_refused_after_the_next_anomaly():
    clock, faults = VirtualClock(), Faults()
    setup, link = simulated("rotator", "thorlabs.k10cr1", AptFraming(), clock, faults)
    kind = model("thorlabs.k10cr1")
    client = AptClient("rotator", link, clock)
    device = kind.driver("rotator", client, clock, kind.config())
    for _ in range(2):
        device.identify()
    faults.script("rotator", "*", 1, Fault(FaultKind.LOST_REPLY))
    setup.cores["rotator"].impersonate()

    with pytest.raises(ReplyError, match="not believed until it is heard again"):
        device.read()
    with pytest.raises(StateError, match="answers where"):
        device.read()

    assert faults.not_fired() == []
    assert client.anomalies == 1


def test_an_instrument_of_icl_that_was_exchanged_is_refused_after_the_next_anomaly():
    clock, faults = VirtualClock(), Faults()
    setup, link = simulated("icl", "", Whole(), clock, faults)
    module = IclModule("mono", IclClient("icl", link, clock), "mono", 0, "")
    for _ in range(2):
        module.identify()
    assert module.ask("getPosition")["wavelength"] >= 0.0
    setup.cores["icl"].impersonate()
    assert module.ask("getPosition")["wavelength"] >= 0.0  # nothing odd happened yet
    faults.script("icl", "mono_getPosition", 1, Fault(FaultKind.LOST_REPLY))

    with suppress(DeviceError):  # the question is put again, and answered
        module.ask("getPosition")
    with pytest.raises(ReplyError, match=r"mono: .*not believed until it is heard again"):
        module.ask("getPosition")
    with pytest.raises(StateError, match=r"mono: .*answers where"):
        module.ask("getPosition")

    assert faults.not_fired() == []


def test_after_a_lost_connection_an_instrument_of_icl_is_identified_again():
    clock, faults = VirtualClock(), Faults()
    setup, link = simulated("icl", "", Whole(), clock, faults)
    module = IclModule("ccd", IclClient("icl", link, clock), "ccd", 0, "")
    for _ in range(2):
        module.identify()
    faults.script("icl", "ccd_getGain", 1, Fault(FaultKind.DISCONNECT, duration_s=2.0))
    with pytest.raises(DeviceError, match="line lost"):
        module.ask("getGain")
    clock.wait(3.0)
    setup.cores["icl"].impersonate()

    for expected in (ReplyError, StateError):
        with pytest.raises(expected, match=r"ccd: .*9999"):
            module.ask("getGain")


class Port:
    """A serial port that notes what is done to it, and when."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name == "rts":
            self.done.append(value)

    def reset_input_buffer(self) -> None:
        self.done.append("input dropped")

    def reset_output_buffer(self) -> None:
        self.done.append("output dropped")


def test_an_apt_unit_is_woken_by_rts_with_a_purge_between_two_rests(monkeypatch):
    port = Port()
    waited: list[object] = []
    monkeypatch.setattr(
        "drivers.serial_link.REAL.wait", lambda s: (waited.append(s), port.done.append("rest"))
    )

    pulse_rts(port)

    assert port.done == [True, "rest", "input dropped", "output dropped", "rest", False]
    assert waited == [0.05, 0.05]


def test_only_the_apt_models_ask_for_it_and_a_pseudo_terminal_is_spared(tmp_path):
    import os

    from drivers.addresses import open_link

    assert model("thorlabs.k10cr1").serial.pulses_rts
    assert model("thorlabs.mff101").serial.pulses_rts
    assert not model("elliptec.ell14").serial.pulses_rts
    master, slave = os.openpty()
    try:
        link = open_link(
            f"serial://{os.ttyname(slave)}?baud=9600", AptFraming(), SerialFormat(pulses_rts=True)
        )  # setting RTS there would fail: it has none
        assert isinstance(link, SerialLink)
        link.close()
    finally:
        os.close(master)
        os.close(slave)

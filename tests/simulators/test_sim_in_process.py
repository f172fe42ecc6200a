"""The in-process link: it satisfies the drivers' Link, and lets time pass no longer than needed."""

import json
import time

import pytest

from drivers.clock import VirtualClock
from drivers.link import Link, Terminated, Whole
from simulators.elliptec_modules import ElliptecSettings
from simulators.in_process import InProcessLink
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def setup() -> SimulatedSetup:
    return SimulatedSetup(Truth(), seed=1)


def test_polling_lets_the_clock_pass_to_the_reply_and_no_further(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    link: Link = setup.link("cryostat", clock, Terminated(b"\r\n"))
    link.send(b"*IDN?\n")

    reply = link.poll(0.5)

    assert reply == b"LSCI,MODEL336,LSA24K7/2136045,2.9"
    assert clock.now() == pytest.approx(0.004)


def test_polling_without_a_reply_takes_exactly_its_timeout(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))

    assert link.poll(0.5) is None

    assert clock.now() == pytest.approx(0.5)


def test_polling_with_no_time_returns_only_what_is_there(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))
    link.send(b"*IDN?\n")

    assert link.poll(0.0) is None
    assert clock.now() == 0.0
    clock.wait(0.01)
    assert link.poll(0.0) is not None


def test_a_move_can_be_polled_in_slices(setup: SimulatedSetup, clock: VirtualClock) -> None:
    link = setup.link("elliptec", clock, Terminated(b"\r\n"))
    link.send(b"0ma00011800")  # 180 deg: 0.46 s

    polls = 0
    while (reply := link.poll(0.1)) is None:
        polls += 1

    assert polls == 4
    assert reply.startswith(b"0PO000117") or reply.startswith(b"0PO000118")


def test_replies_that_come_together_are_handed_out_one_by_one(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    link = setup.link("icl", clock, Whole())
    for number in (1, 2, 3):
        link.send(json.dumps({"id": number, "command": "icl_info"}).encode())
    clock.wait(1.0)

    assert [json.loads(link.poll(0.0) or b"")["id"] for _ in range(3)] == [1, 2, 3]
    assert link.poll(0.0) is None


def test_reset_throws_away_what_was_received(setup: SimulatedSetup, clock: VirtualClock) -> None:
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))
    link.send(b"*IDN?\n")
    clock.wait(1.0)

    link.reset()

    assert link.poll(0.5) is None


def test_closing_twice_is_harmless_and_a_closed_link_says_so(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))

    link.close()
    link.close()

    with pytest.raises(ConnectionResetError, match="cryostat"):
        link.send(b"*IDN?\n")


def test_an_unknown_port_is_refused_with_the_known_ones(
    setup: SimulatedSetup, clock: VirtualClock
) -> None:
    with pytest.raises(LookupError, match="'laser'; there are cryostat, bias, elliptec, icl"):
        setup.link("laser", clock, Whole())


def test_one_world_lies_behind_all_ports(setup: SimulatedSetup, clock: VirtualClock) -> None:
    bus = setup.link("elliptec", clock, Terminated(b"\r\n"))
    bus.send(b"1fw")
    assert bus.poll(1.0) == b"1PO0000001F"

    assert setup.world.optics.shutter_open
    assert setup.world.now == pytest.approx(clock.now())


def test_settings_reach_the_instruments(clock: VirtualClock) -> None:
    settings = SimulatorSettings(elliptec=ElliptecSettings(stage_serial="12345678"))
    link = SimulatedSetup(Truth(), 1, settings=settings).link(
        "elliptec", clock, Terminated(b"\r\n")
    )

    link.send(b"0in")

    assert (link.poll(1.0) or b"")[5:13] == b"12345678"


def trace(seed: int) -> list[bytes | None]:
    setup, clock = SimulatedSetup(Truth(), seed), VirtualClock()
    cryostat: InProcessLink = setup.link("cryostat", clock, Terminated(b"\r\n"))
    bias = setup.link("bias", clock, Terminated(b"\r"))
    replies: list[bytes | None] = []
    bias.send(b":OUTP:SMOD NORM;:SOUR:VOLT 5;:OUTP ON\r")
    cryostat.send(b"SETP 1,10;RANGE 1,1\n")
    for _ in range(50):
        clock.wait(5.0)
        cryostat.send(b"KRDG? 0\n")
        bias.send(b":READ?\r")
        replies += [cryostat.poll(0.5), bias.poll(0.5)]
    return replies


def test_one_seed_gives_one_trace_and_another_seed_another() -> None:
    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_a_night_of_queries_is_cheap(setup: SimulatedSetup, clock: VirtualClock) -> None:
    """One query costs some 10 us; the bound leaves room for a busy machine."""
    link = setup.link("cryostat", clock, Terminated(b"\r\n"))
    link.send(b"KRDG? A\n")
    link.poll(0.5)

    start_s = time.process_time()
    for _ in range(2000):
        link.send(b"KRDG? A\n")
        assert link.poll(0.5)
    per_query_s = (time.process_time() - start_s) / 2000

    assert per_query_s < 60e-6

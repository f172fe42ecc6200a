"""Faults on the line: each one fires, is counted, and does what its name says."""

import pytest

from simulators.faults import Fault, FaultKind, FaultRate, Faults, Line
from simulators.in_process import InProcessLink
from simulators.setup import SimulatedSetup
from simulators.truth import Truth

TIMEOUT_S = 0.5


class Clock:
    """Time that jumps."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def wait(self, seconds: float) -> None:
        self.time_s += max(seconds, 0.0)


class Lines:
    """Replies that end with CR LF, or with CR alone."""

    def __init__(self, terminator: bytes = b"\r\n") -> None:
        self.terminator = terminator

    def split(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(self.terminator)
        if end < 0:
            return None
        reply = bytes(buffer[:end])
        del buffer[: end + len(self.terminator)]
        return reply


class Bench:
    """A setup with faults, and a client at one of its ports."""

    def __init__(self, port: str = "cryostat", terminator: bytes = b"\r\n") -> None:
        self.setup = SimulatedSetup(Truth(), seed=1)
        self.faults = self.setup.faults
        self.clock = Clock()
        self.link: InProcessLink = self.setup.link(port, self.clock, Lines(terminator))

    def ask(self, message: bytes, timeout_s: float = TIMEOUT_S) -> bytes | None:
        self.link.send(message + b"\n")
        return self.link.poll(timeout_s)

    def fired(self) -> list[FaultKind]:
        return [fired.fault.kind for fired in self.faults.fired]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def strike(bench: Bench, verb: str, kind: FaultKind, nth: int = 1, **how: float) -> None:
    bench.faults.script("cryostat", verb, nth, Fault(kind, **how))  # type: ignore[arg-type]


def test_a_lost_request_never_reaches_the_instrument(bench: Bench) -> None:
    strike(bench, "SETP", FaultKind.LOST_REQUEST)
    before = bench.ask(b"SETP? 1")

    bench.ask(b"SETP 1,20")

    assert bench.ask(b"SETP? 1") == before
    assert bench.fired() == [FaultKind.LOST_REQUEST]


def test_a_lost_reply_means_the_request_was_carried_out(bench: Bench) -> None:
    strike(bench, "SETP", FaultKind.LOST_REPLY)

    assert bench.ask(b"SETP 1,20;SETP? 1") is None

    assert bench.ask(b"SETP? 1") == b"+020.000"
    assert bench.fired() == [FaultKind.LOST_REPLY]


def test_a_late_reply_shifts_the_ones_after_it(bench: Bench) -> None:
    strike(bench, "RANGE?", FaultKind.LATE, duration_s=0.7)

    assert bench.ask(b"RANGE? 1") is None
    assert bench.ask(b"*IDN?", timeout_s=0.001) is None
    bench.clock.wait(1.0)

    assert bench.link.poll(0.0) == b"LSCI,MODEL336,LSA24K7/2136045,2.9"
    assert bench.link.poll(0.0) == b"0"
    assert bench.fired() == [FaultKind.LATE]


def test_a_duplicated_reply_comes_twice(bench: Bench) -> None:
    strike(bench, "RANGE?", FaultKind.DUPLICATED)

    assert bench.ask(b"RANGE? 1") == b"0"
    assert bench.link.poll(TIMEOUT_S) == b"0"
    assert bench.link.poll(TIMEOUT_S) is None


def test_a_garbled_reply_has_one_wrong_byte(bench: Bench) -> None:
    right = bench.ask(b"SETP? 1")
    strike(bench, "SETP?", FaultKind.GARBLED, nth=1)

    wrong = bench.ask(b"SETP? 1")

    assert right is not None
    assert wrong is not None
    assert len(wrong) == len(right)
    assert sum(a != b for a, b in zip(wrong, right, strict=True)) == 1


def test_a_truncated_reply_has_no_terminator(bench: Bench) -> None:
    strike(bench, "*IDN?", FaultKind.TRUNCATED)

    assert bench.ask(b"*IDN?") is None
    assert bench.ask(b"RANGE? 1") == b"LSC0"  # what came before sticks to the next reply


def test_a_split_reply_comes_in_two_parts(bench: Bench) -> None:
    strike(bench, "*IDN?", FaultKind.SPLIT, duration_s=0.2)

    start_s = bench.clock.now()
    assert bench.ask(b"*IDN?") == b"LSCI,MODEL336,LSA24K7/2136045,2.9"

    assert bench.clock.now() - start_s == pytest.approx(0.204, abs=1e-6)


def test_a_broken_line_refuses_until_it_works_again(bench: Bench) -> None:
    strike(bench, "RANGE?", FaultKind.DISCONNECT, duration_s=5.0)
    bench.link.send(b"RANGE? 1\n")

    with pytest.raises(ConnectionResetError, match="cryostat"):
        bench.link.poll(TIMEOUT_S)
    with pytest.raises(ConnectionResetError):
        bench.link.send(b"*IDN?\n")
    with pytest.raises(ConnectionRefusedError):
        bench.link.reset()

    bench.clock.wait(5.0)
    with pytest.raises(ConnectionResetError):
        bench.link.poll(0.0)  # working again is not connected again
    bench.link.reset()
    assert bench.ask(b"RANGE? 1") == b"0"


def test_a_half_open_line_swallows_everything_and_looks_alive(bench: Bench) -> None:
    strike(bench, "RANGE?", FaultKind.HALF_OPEN, duration_s=3.0)

    assert bench.ask(b"RANGE? 1") is None
    assert bench.ask(b"SETP 1,50;SETP? 1") is None
    bench.clock.wait(3.0)

    assert bench.ask(b"SETP? 1") != b"+050.000"


def test_a_reboot_loses_what_is_not_in_memory(bench: Bench) -> None:
    bench.ask(b"RANGE 1,2;*ESR?")
    strike(bench, "KRDG?", FaultKind.REBOOT)

    assert bench.ask(b"KRDG? A") is None
    bench.clock.wait(bench.setup.cryostat.settings.boot_s)

    assert bench.ask(b"RANGE? 1;*ESR?") == b"0;128"
    assert bench.fired() == [FaultKind.REBOOT]


def test_a_wrong_instrument_answers_from_then_on(bench: Bench) -> None:
    strike(bench, "*IDN?", FaultKind.WRONG_IDENTITY)

    assert bench.ask(b"*IDN?") == b"LSCI,MODEL336,LSA99Z9/2136045,2.9"
    assert bench.ask(b"*IDN?") == b"LSCI,MODEL336,LSA99Z9/2136045,2.9"


def test_a_stuck_controller_answers_later_and_a_stuck_stage_arrives_later() -> None:
    bench = Bench()
    strike(bench, "KRDG?", FaultKind.STUCK, duration_s=2.0)
    assert bench.ask(b"KRDG? A", timeout_s=1.9) is None
    assert bench.link.poll(0.2) is not None

    bench = Bench("elliptec")
    bench.faults.script("elliptec", "fw", 1, Fault(FaultKind.STUCK, duration_s=1.0))
    start_s = bench.clock.now()
    assert bench.ask(b"1fw", timeout_s=3.0) == b"1PO0000001F"
    assert bench.clock.now() - start_s == pytest.approx(1.192, abs=1e-3)


def test_on_a_bus_the_fault_strikes_the_reply_of_its_own_request() -> None:
    bench = Bench("elliptec")
    bench.faults.script("elliptec", "ma", 1, Fault(FaultKind.LOST_REPLY))
    bench.link.send(b"0ma00004600")

    assert bench.ask(b"1gp") == b"1PO00000000"
    assert bench.link.poll(3.0) is None

    assert bench.fired() == [FaultKind.LOST_REPLY]


def test_the_nth_message_with_a_verb_is_struck_and_no_other(bench: Bench) -> None:
    strike(bench, "KRDG?", FaultKind.LOST_REPLY, nth=3)

    answered = [bench.ask(b"KRDG? A") is not None for _ in range(5)]

    assert answered == [True, True, False, True, True]
    (fired,) = bench.faults.fired
    assert (fired.device, fired.verb, fired.nth) == ("cryostat", "KRDG?", 3)


def test_any_verb_counts_all_messages(bench: Bench) -> None:
    strike(bench, "*", FaultKind.LOST_REPLY, nth=2)

    assert bench.ask(b"RANGE? 1") is not None
    assert bench.ask(b"KRDG? A") is None


def test_a_fault_without_effect_is_not_counted_and_is_listed(bench: Bench) -> None:
    strike(bench, "SETP", FaultKind.LOST_REPLY)  # a command that has no reply

    bench.ask(b"SETP 1,20")
    assert bench.ask(b"SETP? 1") == b"+020.000"

    assert bench.faults.fired == []
    assert bench.faults.not_fired() == [("cryostat", "SETP", 1)]


def test_an_impossible_count_is_refused() -> None:
    with pytest.raises(ValueError, match="nth 0"):
        Faults().script("cryostat", "KRDG?", 0, Fault(FaultKind.LATE))


def test_a_rate_strikes_about_as_often_as_it_says_and_repeats_with_its_seed() -> None:
    rate = FaultRate(seed=7, probability=0.05)

    drawn = [rate.draw("bias", "READ?", nth) for nth in range(20_000)]

    struck = [fault for fault in drawn if fault]
    assert len(struck) == pytest.approx(1000, abs=130)  # four sigma
    assert {fault.kind for fault in struck} == set(FaultKind)
    assert all(0.5 <= fault.duration_s <= 2.0 for fault in struck)
    assert drawn == [rate.draw("bias", "READ?", nth) for nth in range(20_000)]
    other = FaultRate(seed=8, probability=0.05)
    assert drawn != [other.draw("bias", "READ?", nth) for nth in range(20_000)]


def test_a_rate_keeps_to_its_devices() -> None:
    rate = FaultRate(seed=7, probability=1.0, devices=("bias",))

    assert rate.draw("cryostat", "KRDG?", 1) is None
    assert rate.draw("bias", "READ?", 1) is not None


def test_a_night_with_faults_of_every_kind_repeats_exactly() -> None:
    def night() -> tuple[list[bytes | None], list[object]]:
        bench = Bench()
        bench.faults.rate = FaultRate(seed=3, probability=0.1, duration_s=(0.1, 0.3))
        replies: list[bytes | None] = []
        for _ in range(1000):
            try:
                replies.append(bench.ask(b"KRDG? A;RDGST? A"))
            except ConnectionError:
                bench.clock.wait(1.0)
                bench.link.reset()
        return replies, list(bench.faults.fired)

    first, second = night(), night()

    assert first == second
    kinds = {fired.fault.kind for fired in second[1]}  # type: ignore[attr-defined]
    assert kinds == set(FaultKind)


def test_without_faults_the_line_is_the_core() -> None:
    setup = SimulatedSetup(Truth(), seed=1)
    line = setup.line("bias")

    line.receive(b"*IDN?\r", 0.0)

    assert isinstance(line, Line)
    assert line.next_due() == setup.bias.next_due()
    assert line.transmit(1.0)[0].startswith(b"KEITHLEY")

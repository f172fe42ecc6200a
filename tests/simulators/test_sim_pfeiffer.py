"""The simulated TPG 361 against the manual's handshake and formats."""

import pytest

from simulators.pfeiffer import PfeifferSettings, PfeifferTPG361
from simulators.truth import Truth, VacuumTruth
from simulators.world import World

ACK, NAK, ENQ = "\x06\r\n", "\x15\r\n", b"\x05"


class Bench:
    def __init__(self, pressure_mbar: float = 2.5e-6, **settings) -> None:
        vacuum = VacuumTruth(base_mbar=pressure_mbar, start_mbar=pressure_mbar)
        self.world = World(Truth(vacuum=vacuum), seed=1)
        self.core = PfeifferTPG361(self.world, PfeifferSettings(**settings))
        self.now = 0.0

    def send(self, message: bytes) -> str:
        self.core.receive(message, self.now)
        self.now += 0.05
        return b"".join(self.core.transmit(self.now)).decode()

    def ask(self, mnemonic: str) -> str:
        assert self.send(mnemonic.encode() + b"\r\n") == ACK
        return self.send(ENQ).removesuffix("\r\n")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("mnemonic", "data"),
    [
        ("PR1", "0,+2.5000E-06"),
        ("PRX", "0,+2.5000E-06,5,+2.0000E-02"),
        ("TID", "PKR"),
        ("UNI", "4"),
        ("UNI,2", "2"),
        ("SEN", "2"),
        ("ERR", "0000"),
        ("PNR", "010100"),
        ("AYT", "TPG361,PTG28040,44990000,010100,010100"),
        ("FIL,2", "2"),
        ("pr1", "0,+2.5000E-06"),
    ],
)
def test_a_mnemonic_is_acknowledged_and_its_data_asked_for(bench, mnemonic, data):
    assert bench.ask(mnemonic) == data


@pytest.mark.parametrize(
    ("unit", "shown"), [(0, "+2.5000E-06"), (1, "+1.8800E-06"), (2, "+2.5000E-04")]
)
def test_values_are_in_the_unit_chosen_with_two_decimals(bench, unit, shown):
    bench.ask(f"UNI,{unit}")

    assert bench.ask("PR1") == f"0,{shown}"


@pytest.mark.parametrize("message", [b"PR1\r", b"PR1\n", b"PR1\r\n", b" PR1 \r"])
def test_carriage_return_and_line_feed_both_end_a_mnemonic(bench, message):
    assert bench.send(message) == ACK


@pytest.mark.parametrize(
    ("message", "word"), [("FOO", "0001"), ("PR2", "0001"), ("UNI,9", "0010"), ("PR1,3", "0001")]
)
def test_what_is_wrong_is_not_acknowledged_and_the_error_word_read_once(bench, message, word):
    assert bench.send(message.encode() + b"\r") == NAK
    assert bench.send(ENQ) == f"{word}\r\n"
    assert bench.ask("ERR") == "0000"


def test_each_enquiry_gives_the_measurement_afresh(bench):
    bench.ask("PR1")
    bench.world.vacuum.pressure_mbar = 1e-3

    assert bench.send(ENQ) == "0,+1.0000E-03\r\n"


@pytest.mark.parametrize(
    ("pressure_mbar", "data"), [(1e-10, "1,+5.0000E-09"), (1013.0, "2,+1.0000E+03")]
)
def test_outside_its_range_the_gauge_shows_the_end_of_it(pressure_mbar, data):
    assert Bench(pressure_mbar).ask("PR1") == data


def test_a_gauge_that_is_off_broken_or_missing_says_so(bench):
    bench.ask("SEN,1")
    assert bench.ask("PR1") == "4,+0.0000E+00"
    bench.ask("SEN,2")
    bench.core.sensor_error = True
    assert bench.ask("PR1").startswith("3,")
    bench.core.sensor_missing = True
    assert bench.ask("PR1") == "5,+2.0000E-02"
    assert bench.ask("TID") == "noSEn"


def test_it_talks_on_its_own_until_something_is_received(bench):
    assert bench.send(b"COM,0\r") == ACK
    bench.now += 0.37

    spoken = b"".join(bench.core.transmit(bench.now)).decode().splitlines()

    assert spoken == ["0,+2.5000E-06,5,+2.0000E-02"] * 4
    bench.send(b"PR1\r")
    bench.now += 5.0
    assert bench.core.transmit(bench.now) == []
    assert bench.core.next_due() is None


def test_while_it_starts_it_is_silent(bench):
    bench.core.power_cycle(bench.now)

    assert bench.send(b"PR1\r") == ""
    bench.now += 6.0
    assert bench.ask("PR1") == "0,+2.5000E-06"

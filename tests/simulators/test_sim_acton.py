"""The simulated SpectraPro against its manual and what other drivers found."""

import pytest

from simulators.acton import ActonSettings, SpectraPro
from simulators.truth import OpticsTruth, Truth
from simulators.world import World


class Bench:
    """One spectrograph at 518.3 nm on the first of three gratings, asked over and over."""

    def __init__(self, settings: ActonSettings | None = None) -> None:
        self.world = World(Truth(optics=OpticsTruth(start_centre_nm=518.3)), seed=1)
        self.core = SpectraPro(self.world, settings or ActonSettings(echoes=False))
        self.now = 0.0

    def ask(self, command: str, wait_s: float = 0.1) -> bytes:
        self.core.receive(command.encode() + b"\r", self.now)
        self.now += wait_s
        return b"".join(self.core.transmit(self.now))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("?NM", b" 518.300 nm  ok\r\n"),
        ("?nm", b" 518.300 nm  ok\r\n"),
        ("?NM/MIN", b" 100.000 nm/min  ok\r\n"),
        ("250.5 NM/MIN ?NM/MIN", b" 250.500 nm/min  ok\r\n"),
        ("?GRATING", b" 1  ok\r\n"),
        ("?TURRET", b" 1  ok\r\n"),
        ("2 TURRET ?TURRET", b" 2  ok\r\n"),
        ("MODEL", b" SP-2-750i  ok\r\n"),
        ("SERIAL", b" 27510347  ok\r\n"),
        ("MONO-?DONE", b" 1  ok\r\n"),
        ("EXIT-MIRROR ?MIRROR", b" front  ok\r\n"),
        ("SIDE-ENT-SLIT ?MICRONS", b" 50 um  ok\r\n"),
        ("FRONT-EXIT-SLIT ?MICRONS", b" no motor  ok\r\n"),
        ("FOO", b" FOO? \r\n"),
        ("GOTO", b" empty stack? \r\n"),
    ],
)
def test_it_answers_as_documented(bench: Bench, command: str, reply: bytes) -> None:
    assert bench.ask(command) == reply


def test_it_echoes_every_character_at_once_until_told_not_to() -> None:
    bench = Bench(ActonSettings(echoes=True))
    bench.core.receive(b"?N", 0.0)

    assert bench.core.transmit(0.0) == [b"?", b"N"]
    bench.core.receive(b"M\r", 0.0)
    assert b"".join(bench.core.transmit(0.1)) == b"M 518.300 nm  ok\r\n"
    bench.now = 0.1
    assert bench.ask("NO-ECHO") == b"NO-ECHO ok\r\n"
    assert bench.ask("?GRATING") == b" 1  ok\r\n"
    assert bench.ask("ECHO") == b" ok\r\n"
    assert bench.ask("?GRATING") == b"?GRATING 1  ok\r\n"


def test_a_move_is_answered_when_it_is_completed(bench: Bench) -> None:
    assert bench.ask("600 GOTO", wait_s=1.0) == b""
    assert bench.world.optics.centre_nm == 518.3

    bench.now = 0.3 + 81.7 / 100.0 + 0.01
    assert bench.core.transmit(bench.now) == [b" ok\r\n"]
    assert bench.world.optics.centre_nm == 600.0


def test_what_is_sent_during_a_move_is_answered_after_it(bench: Bench) -> None:
    bench.ask("600 GOTO", wait_s=0.0)

    assert bench.ask("?NM", wait_s=2.0) == b" ok\r\n 600.000 nm  ok\r\n"


def test_a_move_at_its_rate_can_be_watched_and_stopped(bench: Bench) -> None:
    bench.ask("60 NM/MIN")
    assert bench.ask("530 >NM", wait_s=5.3) == b" ok\r\n"

    assert bench.ask("MONO-?DONE", wait_s=0.0) + bench.ask("MONO-STOP") == b" 0  ok\r\n ok\r\n"
    assert bench.ask("MONO-?DONE") == b" 1  ok\r\n"
    assert bench.world.optics.centre_nm == pytest.approx(518.3 + 5.0, abs=0.2)


@pytest.mark.parametrize(("asked", "found_nm"), [("-5", 0.0), ("2000", 933.333)])
def test_a_wavelength_beyond_the_drive_is_clamped_silently(
    bench: Bench, asked: str, found_nm: float
) -> None:
    assert bench.ask(f"{asked} GOTO", wait_s=20.0) == b" ok\r\n"

    assert bench.world.optics.centre_nm == found_nm


def test_a_turret_takes_its_time_and_a_missing_grating_is_ok_and_nothing(bench: Bench) -> None:
    assert bench.ask("3 GRATING", wait_s=14.0) == b""
    bench.now += 2.0
    assert bench.core.transmit(bench.now) == [b" ok\r\n"]
    assert bench.world.optics.grating == 2

    assert bench.ask("5 GRATING", wait_s=1.0) == b" ok\r\n"
    assert bench.world.optics.grating == 2


def test_the_list_of_gratings_marks_the_one_in_use_with_a_byte_that_is_no_text(
    bench: Bench,
) -> None:
    lines = bench.ask("?GRATINGS").split(b"\r\n")

    assert lines[1] == b"\x1a1  1800 g/mm BLZ=  500NM "
    assert lines[2] == b" 2  2400 g/mm BLZ=  500NM "
    assert lines[4] == b" 4  Not Installed    "
    assert lines[-2:] == [b" ok", b""]


def test_the_dump_holds_what_a_calibration_needs(bench: Bench) -> None:
    dump = bench.ask("MONO-EESTATUS").decode("latin-1")

    assert "focal length  750.0" in dump
    assert "half angle    8.0000" in dump


def test_an_old_unit_knows_lower_case_only_and_leaves_out_the_unit() -> None:
    bench = Bench(ActonSettings(echoes=False, lower_case_only=True, has_unit=False, decimals=2))

    assert bench.ask("?NM") == b" ?NM? \r\n"
    assert bench.ask("?nm") == b" 518.30  ok\r\n"


def test_after_a_power_cycle_it_initialises_silently_to_the_first_grating(bench: Bench) -> None:
    bench.ask("3 GRATING 600 GOTO", wait_s=30.0)
    bench.core.power_cycle(bench.now)

    assert bench.ask("?NM", wait_s=8.0) == b""
    assert bench.ask("?NM ?GRATING") == b" 518.300 nm  1  ok\r\n"


@pytest.mark.parametrize(
    "noise", [b"\xff\x00\r", b"1e309 GOTO\r", b"1 " * 100 + b"\r", b"--1 NM\r"]
)
def test_noise_is_answered_or_dropped(bench: Bench, noise: bytes) -> None:
    bench.core.receive(noise, 0.0)
    bench.core.transmit(1.0)
    bench.now = 30.0

    assert bench.ask("?GRATING").endswith(b" 1  ok\r\n")

"""The driver of the SpectraPro: transcripts, and the simulated instrument with its silences."""

from math import inf, nan

import pytest

from drivers.acton import ActonFraming, SpectraPro, SpectraProConfig, _line
from drivers.clock import VirtualClock
from drivers.errors import DeviceError, InstrumentError, LimitError, LinkTimeout, StateError
from drivers.registry import model
from drivers.roles import Spectrograph
from simulators.acton import ActonSettings
from simulators.acton import SpectraPro as Simulated
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.faults import Line as SimulatedLine
from simulators.in_process import InProcessLink
from simulators.truth import Truth
from simulators.world import World

MODEL = ("model", " SP-2-750i  ok")


@pytest.fixture
def spectrograph(scripted, clock):
    def make(*script, **options):
        config = SpectraProConfig(**options)
        line = _line("mono", scripted(*script, terminator="\r"), clock, config)
        return SpectraPro("mono", line, clock, config)

    return make


class Bench:
    def __init__(self, faults: Faults | None = None, **settings) -> None:
        self.clock = VirtualClock()
        self.world = World(Truth(), 1)
        self.core = Simulated(self.world, ActonSettings(**settings))
        self.faults = faults or Faults()
        line = SimulatedLine("mono", self.core, self.faults)
        config = SpectraProConfig()
        link = InProcessLink(line, self.clock, ActonFraming())
        self.line = _line("mono", link, self.clock, config)
        self.device = SpectraPro("mono", self.line, self.clock, config)

    def wait_for(self, status) -> None:
        for _ in range(2000):
            if status.poll():
                break
            self.clock.wait(0.1)
        status.check()


@pytest.fixture(params=[True, False], ids=["echo", "no echo"])
def bench(request):
    return Bench(echoes=request.param)


# Framing and transcripts


def test_a_reply_ends_with_ok_or_a_question_mark_not_with_every_line():
    buffer = bytearray(b"\r\n\x1a1  1800 g/mm \r\n 2  600 g/mm \r\n ok\r\n FOO? \r\n 500")
    framing = ActonFraming()

    assert framing.split(buffer) == b"\r\n\x1a1  1800 g/mm \r\n 2  600 g/mm \r\n ok"
    assert framing.split(buffer) == b" FOO? "
    assert framing.split(buffer) is None
    assert bytes(buffer) == b" 500"


@pytest.mark.parametrize(
    ("reply", "wavelength_nm"),
    [(" 518.300 nm  ok", 518.3), ("?nm 518.300 nm  ok", 518.3), (" 518.30  ok", 518.3)],
)
def test_a_wavelength_is_read_with_and_without_echo_and_unit(spectrograph, reply, wavelength_nm):
    assert spectrograph(*2 * [("?nm", reply)]).read_wavelength_nm() == wavelength_nm


def test_a_reply_to_another_question_is_not_taken(spectrograph):
    device = spectrograph(("?grating", "?nm 518.300 nm  ok"), MODEL, *2 * [("?grating", " 2  ok")])

    assert device.read_grating() == 2


def test_the_serial_number_is_a_question_of_its_own(spectrograph):
    found = spectrograph(MODEL, ("serial", " 27510347  ok"), serial="27510347").identify()

    assert (found.model, found.serial) == ("SP-2-750i", "27510347")
    with pytest.raises(StateError, match="not 12345"):
        spectrograph(MODEL, ("serial", " 27510347  ok"), serial="12345").identify()


def test_commands_can_be_written_in_capitals(spectrograph):
    assert spectrograph(*2 * [("?GRATING", " 2  ok")], upper_case=True).read_grating() == 2


@pytest.mark.parametrize(
    ("wavelength_nm", "grating"),
    [(nan, 1), (inf, 1), (-0.1, 1), (1400.1, 1), (500.0, 4), (500.0, 0)],
)
def test_what_is_out_of_bounds_never_reaches_the_wire(spectrograph, wavelength_nm, grating):
    with pytest.raises(LimitError):
        spectrograph().set(wavelength_nm, grating)


def test_a_move_that_is_not_understood_is_an_error(spectrograph, clock):
    device = spectrograph(*2 * [("?grating", " 1  ok")], ("600.000 goto", " goto? "))
    status = device.set(600.0, 1)

    status.poll()

    with pytest.raises(InstrumentError, match="goto"):
        status.check()


# On the simulated instrument


def test_it_is_found_by_name():
    assert (model("acton.spectrapro").role, model("acton.spectrapro").driver) == (
        Spectrograph,
        SpectraPro,
    )


def test_it_moves_turret_and_drive_and_verifies(bench):
    status = bench.device.set(545.123, 2)
    assert bench.device.read() == {}
    with pytest.raises(StateError, match="moving"):
        bench.device.set(500.0, 1)

    bench.wait_for(status)

    assert (bench.world.optics.grating, bench.world.optics.centre_nm) == (1, 545.123)
    found = bench.device.read()
    assert (found["wavelength_nm"].value, found["grating"].value) == (545.123, 2.0)
    assert bench.line.anomalies == 0


def test_connecting_and_closing_change_nothing(bench):
    before = (bench.world.optics.grating, bench.world.optics.centre_nm, bench.core._echoes)

    bench.device.identify()
    bench.device.settings()
    bench.device.stop()
    bench.device.close()

    optics = bench.world.optics
    assert (optics.grating, optics.centre_nm, bench.core._echoes) == before


def test_a_clamped_wavelength_is_found_out(bench):
    status = bench.device.set(1200.0, 1)

    with pytest.raises(InstrumentError, match=r"stands at 933\.333 nm"):
        bench.wait_for(status)


def test_a_lost_ok_is_made_good_by_looking(bench):
    bench.faults.script("mono", "GOTO", 1, Fault(FaultKind.LOST_REPLY))

    bench.wait_for(bench.device.set(545.0, 1))

    assert bench.device.read_wavelength_nm() == 545.0
    assert bench.faults.not_fired() == []


def test_a_lost_order_is_an_error_not_a_wrong_wavelength(bench):
    bench.faults.script("mono", "GOTO", 1, Fault(FaultKind.LOST_REQUEST))

    with pytest.raises(InstrumentError, match=r"stands at 518\.3"):
        bench.wait_for(bench.device.set(545.0, 1))


def test_a_unit_that_stays_silent_is_a_timeout(bench):
    status = bench.device.set(545.0, 1)
    bench.core.stall(bench.clock.now(), 1000.0)

    with pytest.raises(LinkTimeout, match="goto"):
        bench.wait_for(status)
    assert bench.clock.now() == pytest.approx(42.0, abs=2.0)


def test_a_reboot_shows_in_the_settings(bench):
    bench.wait_for(bench.device.set(545.0, 3))
    bench.core.power_cycle(bench.clock.now())
    bench.clock.wait(10.0)

    assert bench.device.settings()["grating"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_under_faults_it_says_where_it_is_or_raises(seed):
    bench = Bench(Faults(FaultRate(seed, 0.1, duration_s=(0.3, 1.0))), echoes=bool(seed % 2))
    reached = 0

    for target_nm in (500.0 + step for step in range(40)):
        bench.clock.wait(0.5)
        try:
            bench.wait_for(bench.device.set(target_nm, 1))
        except DeviceError:
            continue
        assert bench.world.optics.centre_nm == pytest.approx(target_nm, abs=0.06)
        reached += 1

    assert len(bench.faults.fired) >= 5
    assert reached >= 15

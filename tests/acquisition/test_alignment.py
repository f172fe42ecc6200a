"""Alignment by hand on the simulated laboratory, in virtual time."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.alignment.alignment import Alignment
from acquisition.alignment.hand_move import Refused
from acquisition.alignment.raster import serpentine
from acquisition.channel.engine_status import Safety
from acquisition.channel.messages import (
    Axis,
    FrameArrived,
    FrameSource,
    MoveState,
    MoveStatus,
    Request,
    Said,
    Verb,
)
from acquisition.configuration.config import load, load_station
from acquisition.configuration.sweep_file import NanocrystalConfig, SampleConfig
from acquisition.instruments.open_station import open_station
from acquisition.simulated_laboratory import simulated_setup
from acquisition.storage.record import Level
from drivers.addresses import OPENERS
from drivers.clock import VirtualClock
from drivers.connections import Connections
from drivers.errors import LinkTimeout
from drivers.horiba import HoribaCamera
from drivers.lakeshore import LakeShore336Controller
from simulators.faults import Line

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
POSITIONER = """
[positioner]
model = "attocube.anc300"
address = "sim://positioner"
step = "0.0252 um" # 50 V at 5 K
step_back = "0.0214 um"
options = { drive_V = 50.0 }
"""
TURN_S = 0.01


@dataclass
class Bench:
    """An alignment with its simulated world, and everything it published."""

    alignment: Alignment
    clock: VirtualClock
    world: object
    published: list = field(default_factory=list)

    def ask(self, verb: Verb, quantity: str = "", **numbers: float) -> str:
        return self.alignment.take(Request(1, verb, "", quantity, numbers))

    def until(self, done: Callable[[], bool], longest_s: float = 60.0) -> None:
        end_s = self.clock.now() + longest_s
        while not done():
            assert self.clock.now() < end_s, f"not within {longest_s} s"
            self.turn()

    def turn(self) -> None:
        self.alignment.advance()
        self.clock.wait(TURN_S)

    def let(self, seconds: float) -> None:
        end_s = self.clock.now() + seconds
        while self.clock.now() < end_s:
            self.turn()

    def move(self, quantity: str) -> MoveStatus:
        return next(m for m in self.alignment.view().moves if m.quantity == quantity)

    def come(self, quantity: str, longest_s: float = 600.0) -> MoveStatus:
        """Let a move end and return how it stands."""
        self.until(lambda: self.move(quantity).state is not MoveState.MOVING, longest_s)
        return self.move(quantity)

    def frames(self, source: FrameSource) -> list[tuple[FrameArrived, np.ndarray]]:
        return [
            (m, v) for m, v in self.published if isinstance(m, FrameArrived) and m.source is source
        ]

    def said(self) -> list[Said]:
        return [message for message, _ in self.published if isinstance(message, Said)]


def sample_card() -> SampleConfig:
    return load(EXAMPLES / "stark.toml").sweep.sample  # 10 um parallel plates, 120 kV/cm


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    opened: list = []

    def open_it(
        *, sample: SampleConfig | None = None, further: str = "", before: Callable = lambda _: None
    ) -> Bench:
        text = (EXAMPLES / "station_simulated.toml").read_text() + further
        (tmp_path / "station.toml").write_text(text)
        config = load_station(tmp_path / "station.toml")
        clock, setup, published = VirtualClock(), simulated_setup(config), []
        before(setup)
        openers = {
            **OPENERS,
            "sim": lambda address, framing, _: setup.link(address[6:], clock, framing),
        }
        station = open_station(
            config,
            sample or SampleConfig.model_validate({"name": "none", "material": "none"}),
            Connections(clock, openers),
            clock,
            largest_voltage_V=120.0 if sample else 1.0,
        )
        opened.append(station)
        publish = lambda message, values: published.append((message, values))  # noqa: E731
        alignment = Alignment(station, config, sample, clock, publish)
        bench = Bench(alignment, clock, setup, published)
        bench.turn()
        return bench

    yield open_it
    for station in opened:
        station.close()


@pytest.fixture
def bench(open_bench) -> Bench:
    return open_bench()


def test_looking_changes_nothing_and_reads_everything(open_bench) -> None:
    bench = open_bench(sample=sample_card(), further=POSITIONER)
    bench.let(10.0)

    readings = {reading.channel: reading for reading in bench.alignment.view().readings}

    assert {
        "detector_temperature_C", "temperature_K", "wavelength_nm", "grating", "is_open",
        "angle_deg", "gap_voltage_V", "steps_x",
    } <= set(readings)  # fmt: skip
    assert readings["angle_deg"].value is None  # not homed: no number that means something
    assert "hom" in readings["angle_deg"].text
    world = bench.world.world
    assert (world.optics.shutter_open, world.optics.centre_nm) == (False, 518.3)
    assert world.bias.gap_voltage_V() == 0.0
    assert bench.said() == []


def test_how_everything_stands_is_told_without_asking_an_instrument(
    open_bench, monkeypatch
) -> None:
    sent: list[bytes] = []
    receive = Line.receive

    def note(line: Line, message: bytes, now: float) -> None:
        sent.append(message)
        receive(line, message, now)

    monkeypatch.setattr(Line, "receive", note)
    bench = open_bench(sample=sample_card(), further=POSITIONER)
    bench.ask(Verb.MOVE, "temperature_K", value=20.0)
    bench.let(5.0)
    assert sent
    sent.clear()

    view = bench.alignment.view()

    assert len(view.moves) == len(bench.alignment.movables) == 10
    assert bench.alignment.channels["temperature_K"] == "K"
    assert sent == []


def test_a_live_view_delivers_one_frame_after_the_other_with_its_axis(bench) -> None:
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")
    bench.ask(Verb.LIVE, exposure_s=1.0)
    bench.let(5.5)

    frames = bench.frames(FrameSource.LIVE)
    assert len(frames) == 4  # exposure, and 0.1 s to read it out
    message, counts = frames[-1]
    assert (message.exposure_s, message.shape, message.dtype) == (1.0, (1024,), "<i4")
    assert message.utc - message.start_utc == pytest.approx(1.1, abs=0.05)
    axes = [(m, v) for m, v in bench.published if isinstance(m, Axis)]
    assert [axis.number for axis, _ in axes] == [message.axis]
    brightest_nm = axes[0][1][int(np.argmax(counts))]
    true_eV = [float(line.energy_eV) for line in bench.world.world.true_lines()]
    assert min(true_eV) - 2e-3 < 1239.841984 / brightest_nm < max(true_eV) + 2e-3


def test_live_stop_ends_the_exposures_and_nothing_late_is_shown(bench) -> None:
    bench.ask(Verb.LIVE, exposure_s=1.0)
    bench.let(0.5)

    bench.ask(Verb.LIVE_STOP)
    bench.let(5.0)

    assert bench.frames(FrameSource.LIVE) == []
    assert bench.alignment.view().live is None


def test_a_long_exposure_is_broken_off_for_a_shorter_one(bench) -> None:
    bench.ask(Verb.LIVE, exposure_s=600.0)
    bench.let(1.0)

    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)), 30.0)

    assert bench.frames(FrameSource.LIVE)[0][0].exposure_s == 0.5


def test_an_image_shows_every_row_and_where_the_light_falls(bench) -> None:
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")
    bench.ask(Verb.IMAGE, exposure_s=2.0)
    bench.until(lambda: bool(bench.frames(FrameSource.IMAGE)))

    message, counts = bench.frames(FrameSource.IMAGE)[0]

    assert message.shape == counts.shape == (256, 1024)
    per_row = counts.sum(axis=1)
    assert abs(int(np.argmax(per_row)) - bench.world.world.truth.camera.spot_row) <= 2


def test_other_rows_are_summed_where_a_person_says_so(bench) -> None:
    bench.ask(Verb.LIVE, exposure_s=0.5, first_row=10, last_row=19)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))

    live = bench.alignment.view().live
    assert (live.first_row, live.last_row) == (10, 19)
    assert bench.frames(FrameSource.LIVE)[0][0].shape == (1024,)


@pytest.mark.parametrize(
    ("verb", "quantity", "numbers", "why"),
    [
        (Verb.MOVE, "temperature_K", {"value": 410.0}, r"410 K: allowed 5\.2 to 305 K .*max"),
        (Verb.MOVE, "temperature_K", {"value": float("nan")}, "expected a number"),
        (Verb.MOVE, "temperature_K", {}, "found nothing"),
        (Verb.MOVE, "centre_nm", {"value": 2000.0}, "allowed 0 to 1500 nm .*spectrograph.max"),
        (Verb.MOVE, "grating", {"value": 7.0}, "1800/mm"),
        (Verb.MOVE, "shutter", {"value": 0.5}, "allowed closed"),
        (Verb.MOVE, "voltage_V", {"value": 5.0}, "no sample card"),
        (Verb.MOVE, "wings", {"value": 1.0}, "can't be moved here; there are temperature_K"),
        (Verb.JOG, "temperature_K", {"value": 1000.0}, "allowed 5.2 to 305"),
        (Verb.LIVE, "", {"exposure_s": 0.0}, "exposure 0 s: allowed 0.001 to 3600 s"),
        (Verb.LIVE, "", {"exposure_s": 1.0, "first_row": 300.0, "last_row": 310.0}, "0 to 255"),
        (Verb.LIVE, "", {"exposure_s": 1.0, "first_row": float("inf")}, "expected a number"),
        (Verb.RASTER, "", {}, "positioner with axes x and y"),
        (Verb.STOP_MOVES, "wings", {}, "can't be moved"),
        (Verb.SAVE_NANOCRYSTAL, "", {}, "no spectrum of it yet"),
        (Verb.PAUSE, "", {}, "not while nothing is being measured"),
    ],
)
def test_what_can_not_be_done_is_refused_with_value_and_bound(
    bench, verb: Verb, quantity: str, numbers: dict, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        bench.ask(verb, quantity, **numbers)

    assert all(move.state is MoveState.RESTING for move in bench.alignment.view().moves)


def test_the_polarizer_homes_first_and_comes_where_it_was_sent(bench) -> None:
    bench.ask(Verb.MOVE, "angle_deg", value=60.0)
    assert "homes first" in bench.move("angle_deg").text

    report = bench.come("angle_deg")

    assert (report.state, report.target) == (MoveState.RESTING, 60.0)
    assert report.readback == pytest.approx(60.0, abs=0.1)
    assert bench.world.world.optics.polarizer_mechanical_deg == pytest.approx(60.0, abs=0.1)
    bench.ask(Verb.JOG, "angle_deg", value=-15.0)
    assert bench.come("angle_deg").readback == pytest.approx(45.0, abs=0.1)


def test_a_temperature_ramps_and_is_held_where_it_is_stopped(bench) -> None:
    bench.let(5.0)
    bench.ask(Verb.MOVE, "temperature_K", value=50.0)
    bench.let(200.0)
    assert bench.move("temperature_K").state is MoveState.MOVING

    bench.ask(Verb.STOP_MOVES, "temperature_K")
    bench.let(300.0)

    report = bench.move("temperature_K")
    assert report.state is MoveState.STOPPED
    assert 8.0 < report.readback < 25.0  # 3 K per minute for 200 s


def test_grating_and_centre_move_the_axis_with_them(bench) -> None:
    bench.ask(Verb.MOVE, "grating", value=2.0)
    with pytest.raises(Refused, match="grating still moves"):
        bench.ask(Verb.MOVE, "centre_nm", value=530.0)
    assert bench.come("grating").readback == 2.0
    bench.ask(Verb.MOVE, "centre_nm", value=530.0)
    assert bench.come("centre_nm").readback == pytest.approx(530.0, abs=0.05)

    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))

    wavelength_nm = next(v for m, v in bench.published if isinstance(m, Axis))
    assert wavelength_nm[511] == pytest.approx(530.15, abs=0.1)  # 530 nm in air, in vacuum


def test_zero_order_can_be_looked_at(bench) -> None:
    bench.ask(Verb.MOVE, "centre_nm", value=0.0)
    bench.come("centre_nm")
    bench.ask(Verb.LIVE, exposure_s=0.5)

    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))

    wavelength_nm = next(v for m, v in bench.published if isinstance(m, Axis))
    assert wavelength_nm.min() < 0 < wavelength_nm.max()


def test_a_field_is_ramped_within_the_limit_of_the_sample_and_stops_on_the_way(open_bench) -> None:
    bench = open_bench(sample=sample_card())
    with pytest.raises(Refused, match=r"150 kV/cm: allowed -120 to 120 kV/cm .*max_field"):
        bench.ask(Verb.MOVE, "field_kV_per_cm", value=150.0)

    bench.ask(Verb.MOVE, "field_kV_per_cm", value=50.0)  # 50 V across 10 um
    report = bench.come("field_kV_per_cm")

    assert report.state is MoveState.RESTING
    assert bench.world.world.field_kV_per_cm() == pytest.approx(50.0, abs=0.5)
    assert report.readback == pytest.approx(50.0, abs=0.5)
    assert bench.alignment.is_bias_on
    bench.ask(Verb.MOVE, "voltage_V", value=-50.0)
    bench.let(10.0)  # of 20 s at 5 V/s
    bench.ask(Verb.STOP_MOVES)
    bench.let(5.0)
    assert bench.world.world.bias.gap_voltage_V() == pytest.approx(0.0, abs=3.0)
    assert bench.move("voltage_V").state is MoveState.STOPPED
    steps_V = np.abs(np.diff([programmed_V for _, programmed_V, *_ in bench.world.world.log]))
    assert steps_V.max() <= 5.0 * 0.2 + 1e-9  # the slew, and the longest step of the core


def test_stop_now_blocks_the_laser_brings_the_bias_to_zero_and_says_so(open_bench) -> None:
    bench = open_bench(sample=sample_card())
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.ask(Verb.MOVE, "voltage_V", value=20.0)
    bench.come("voltage_V")
    bench.ask(Verb.LIVE, exposure_s=100.0)
    bench.let(1.0)

    bench.ask(Verb.STOP_NOW)
    bench.let(1.0)
    assert not bench.world.world.optics.shutter_open
    bench.until(lambda: bench.alignment.view().safety is Safety.CONFIRMED)

    assert bench.world.world.bias.gap_voltage_V() == pytest.approx(0.0, abs=0.01)
    assert not bench.alignment.is_bias_on
    assert bench.alignment.view().live is None
    assert [said.text for said in bench.said()] == ["safe state confirmed"]


def test_leaving_ends_in_the_safe_state(open_bench) -> None:
    bench = open_bench(sample=sample_card())
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.ask(Verb.MOVE, "voltage_V", value=20.0)
    bench.come("voltage_V")

    report = bench.alignment.make_safe()

    assert report.safety is Safety.CONFIRMED
    assert "bias 0 V and off" in report.confirmed
    assert not bench.world.world.optics.shutter_open


def test_on_the_way_to_the_safe_state_that_is_shown_and_what_delays_it(
    open_bench, monkeypatch
) -> None:
    bench = open_bench(sample=sample_card())
    camera, troubles = bench.alignment._station.camera, []

    def abort() -> None:
        bench.clock.wait(0.5)
        troubles.append(bench.alignment.view().trouble)
        raise LinkTimeout("camera", "no reply in 0.5 s")

    monkeypatch.setattr(camera, "abort", abort)

    report = bench.alignment.make_safe()

    text = "exposure ended: camera: no reply in 0.5 s; tried again for 5 s"
    assert (troubles[0], set(troubles[1:])) == (
        "on the way to the safe state",
        {f"on the way to the safe state: {text}"},
    )
    assert [said.text for said in bench.said()] == [f"on the way to the safe state: {text}"]
    assert report.safety is Safety.NOT_CONFIRMED
    assert bench.alignment.view().trouble == ""


def test_an_interlock_stops_everything_and_lets_nothing_move_until_it_holds(open_bench) -> None:
    gauge = (
        '[gauge]\nmodel = "pfeiffer.tpg361"\naddress = "sim://gauge"\nmax_pressure = "1e-4 mbar"\n'
    )
    bench = open_bench(sample=sample_card(), further=gauge)
    bench.let(5.0)
    bench.ask(Verb.MOVE, "voltage_V", value=10.0)
    bench.come("voltage_V")

    bench.world.world.vacuum.pressure_mbar = 1e-2
    bench.until(lambda: bool(bench.said()))

    assert "pressure_mbar" in bench.alignment.view().trouble
    assert "bias to 0 V" in bench.said()[0].done
    with pytest.raises(Refused, match="interlock"):
        bench.ask(Verb.MOVE, "voltage_V", value=5.0)
    bench.until(lambda: bench.alignment.view().safety is Safety.CONFIRMED)
    assert bench.world.world.bias.gap_voltage_V() == pytest.approx(0.0, abs=0.01)


def test_a_camera_that_fails_is_said_and_the_rest_goes_on(bench, monkeypatch) -> None:
    def fail(_: object) -> None:
        raise LinkTimeout("camera", "no answer within 0.5 s")

    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.let(1.0)
    monkeypatch.setattr(HoribaCamera, "trigger", fail)
    bench.let(2.0)
    bench.ask(Verb.MOVE, "shutter", value=1.0)

    assert bench.come("shutter").readback == 1.0
    assert bench.alignment.view().live is None
    (said,) = bench.said()
    assert (said.level, said.device, said.done) == (Level.ERROR, "camera", "no more exposures")
    assert "no answer within 0.5 s" in said.text


def test_a_bias_found_on_is_said_and_left_alone_until_somebody_stops_it(open_bench) -> None:
    def switch_on(setup) -> None:
        for command in (b":SOUR:VOLT:RANG 20", b":SOUR:VOLT 12", b":OUTP ON"):
            setup.line("bias").receive(command + b"\n", 0.0)

    bench = open_bench(sample=sample_card(), before=switch_on)
    bench.let(5.0)
    assert [said.code for said in bench.said()] == ["bias found on"]
    assert bench.world.world.bias.gap_voltage_V() == pytest.approx(12.0, abs=0.5)
    # Who comes later has not heard it, and with nobody in command it may not stay on.
    assert "found on" in bench.alignment.view().trouble
    assert bench.alignment.is_bias_on

    bench.ask(Verb.STOP_NOW)
    bench.until(lambda: bench.alignment.view().safety is Safety.CONFIRMED)

    assert bench.alignment.view().trouble == ""
    assert not bench.alignment.is_bias_on
    assert bench.world.world.bias.gap_voltage_V() == pytest.approx(0.0, abs=0.05)


def test_a_silent_instrument_is_asked_only_now_and_then(open_bench, monkeypatch) -> None:
    asked: list[float] = []
    is_silent = False
    read = LakeShore336Controller.read

    def read_or_not(controller: LakeShore336Controller) -> object:
        if not is_silent:
            return read(controller)
        asked.append(bench.clock.now())
        raise LinkTimeout("cryostat", "no answer within 0.5 s")

    monkeypatch.setattr(LakeShore336Controller, "read", read_or_not)
    bench = open_bench()
    bench.let(5.0)
    is_silent = True
    bench.let(45.0)
    is_silent = False
    bench.let(12.0)

    assert len(asked) == 5  # every 10 s
    assert [said.text for said in bench.said()] == [
        "monitor cryostat fails: cryostat: no answer within 0.5 s",
        "monitor cryostat reads again",
    ]


# -- this is my nanocrystal ----------------------------------------------------------------------


def test_a_nanocrystal_is_saved_as_a_sweep_file_takes_it_and_never_overwritten(
    open_bench, tmp_path: Path
) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    bench.ask(Verb.JOG, "position_x_um", value=2.0)
    bench.come("position_x_um")
    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))
    save = Request(1, Verb.SAVE_NANOCRYSTAL, text='CS-03/"5"\\')

    first, second = (Path(bench.alignment.take(save)) for _ in range(2))

    assert first != second
    card = tomllib.loads(first.read_text(encoding="utf-8"))
    crystal = NanocrystalConfig.model_validate(card["nanocrystal"])
    assert (crystal.id, crystal.y_um) == ('CS-03/"5"\\', 0.0)
    assert crystal.x_um == pytest.approx(2.0, abs=0.013)
    _, counts = bench.frames(FrameSource.LIVE)[-1]
    axis = next(values for message, values in bench.published if isinstance(message, Axis))
    table = np.loadtxt(first.with_suffix(".csv"), delimiter=",", skiprows=1)
    assert card["fingerprint"]["spectrum"] == first.with_suffix(".csv").name
    np.testing.assert_array_equal(table[:, 2], counts)
    np.testing.assert_allclose(table[:, 1], axis, atol=1e-6)
    assert card["fingerprint"]["readings"]["temperature_K"] == pytest.approx(4.8, abs=0.3)
    assert card["fingerprint"]["exposure_s"] == 0.5


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_a_nanocrystal_needs_a_name(bench, name: str) -> None:
    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))

    with pytest.raises(Refused, match="allowed 1 to 100 printable letters"):
        bench.alignment.take(Request(1, Verb.SAVE_NANOCRYSTAL, text=name))


def test_a_spectrum_of_long_ago_is_no_fingerprint(bench) -> None:
    bench.ask(Verb.LIVE, exposure_s=0.5)
    bench.until(lambda: bool(bench.frames(FrameSource.LIVE)))
    bench.ask(Verb.LIVE_STOP)
    bench.let(10.0)

    with pytest.raises(Refused, match="s old: start the live view"):
        bench.alignment.take(Request(1, Verb.SAVE_NANOCRYSTAL, text="CS/1"))


# -- maps ----------------------------------------------------------------------------------------


def test_a_serpentine_visits_every_place_once_by_steps_of_one() -> None:
    places = list(serpentine(4, 3))

    assert places[:6] == [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (2, 1)]
    assert len(set(places)) == 12
    steps = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(places)]
    assert set(steps) == {1}


def test_a_map_measures_every_place_and_comes_back(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")
    bench.ask(Verb.RASTER, columns=3, rows=2, step_um=1.0, exposure_s=0.1)
    progress = bench.alignment.view().raster
    assert (progress.total, progress.left_um, progress.bottom_um) == (6, -1.0, -0.5)

    bench.until(lambda: bench.alignment.view().raster is None, 300.0)

    frames = [message for message, _ in bench.frames(FrameSource.RASTER)]
    assert [frame.point for frame in frames] == [0, 1, 2, 5, 4, 3]
    places = [frame.position_um[:2] for frame in frames]
    expected = [(-1, -0.5), (0, -0.5), (1, -0.5), (1, 0.5), (0, 0.5), (-1, 0.5)]
    np.testing.assert_allclose(places, expected, atol=0.013)
    assert bench.move("position_x_um").readback == pytest.approx(0.0, abs=0.013)
    assert bench.said()[-1].text == "the map is complete"


def test_a_map_shows_where_the_nanocrystal_is(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")
    bench.ask(Verb.RASTER, columns=5, rows=3, step_um=0.5, exposure_s=1.0)

    bench.until(lambda: bench.alignment.view().raster is None, 600.0)

    light = np.zeros(15)
    for message, counts in bench.frames(FrameSource.RASTER):
        light[message.point] = counts.sum() - 1024 * np.median(counts)
    assert np.argmax(light) == 7  # the middle, from which it began
    assert light[7] > 3 * max(light[5], light[9])  # 1 um beside it


def test_a_map_can_be_stopped_and_needs_light(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    with pytest.raises(Refused, match="open the laser shutter"):
        bench.ask(Verb.RASTER, columns=3, rows=3, step_um=1.0, exposure_s=0.1)
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")
    bench.ask(Verb.RASTER, columns=30, rows=30, step_um=1.0, exposure_s=0.1)
    bench.let(5.0)

    bench.ask(Verb.STOP_MOVES)
    bench.let(5.0)

    assert bench.alignment.view().raster is None
    assert len(bench.frames(FrameSource.RASTER)) < 20


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"columns": 0, "rows": 3, "step_um": 1.0}, "0 x 3"),
        ({"columns": 1e6, "rows": 1e6, "step_um": 1.0}, "allowed 250000"),
        ({"columns": 3, "rows": 3, "step_um": -1.0}, "-1.0 um"),
        ({"columns": 3, "rows": 3}, "step_um"),
    ],
)
def test_what_is_no_map_is_refused(open_bench, numbers: dict, why: str) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")

    with pytest.raises(Refused, match=why):
        bench.ask(Verb.RASTER, exposure_s=0.1, **numbers)


def test_a_position_moves_by_steps_of_the_stage(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    stage = bench.world.cores["positioner"].stage("1")

    bench.ask(Verb.JOG, "position_x_um", value=5.0)
    assert bench.come("position_x_um").readback == pytest.approx(5.0, abs=0.013)
    bench.ask(Verb.MOVE, "position_x_um", value=2.0)
    assert bench.come("position_x_um").readback == pytest.approx(2.0, abs=0.013)

    assert stage.position_um(bench.clock.now()) == pytest.approx(2.0, abs=0.15)
    with pytest.raises(Refused, match="steps: allowed"):
        bench.ask(Verb.JOG, "position_x_um", value=1000.0)


def test_a_position_stopped_on_the_way_is_where_the_stage_came(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    stage = bench.world.cores["positioner"].stage("1")
    bench.ask(Verb.JOG, "position_x_um", value=80.0)
    bench.let(1.0)

    bench.ask(Verb.STOP_MOVES)
    bench.let(1.0)

    stopped = bench.move("position_x_um")
    assert (stopped.state, stopped.target) == (MoveState.STOPPED, 80.0)
    assert stopped.readback is not None
    assert 5.0 < stopped.readback < 75.0
    truth_um = stage.position_um(bench.clock.now())
    assert stopped.readback == pytest.approx(truth_um, abs=0.05 * stopped.readback + 0.2)
    bench.ask(Verb.MOVE, "position_x_um", value=0.0)
    assert bench.come("position_x_um").readback == pytest.approx(0.0, abs=0.1)


def test_a_map_may_begin_where_an_axis_was_stopped(open_bench) -> None:
    bench = open_bench(further=POSITIONER)
    bench.let(3.0)
    bench.ask(Verb.JOG, "position_x_um", value=50.0)
    bench.let(0.5)
    bench.ask(Verb.STOP_MOVES)
    bench.ask(Verb.MOVE, "shutter", value=1.0)
    bench.come("shutter")

    bench.ask(Verb.RASTER, columns=2, rows=2, step_um=1.0, exposure_s=0.1)
    bench.until(lambda: bench.alignment.view().raster is None, 120.0)

    assert len(bench.frames(FrameSource.RASTER)) == 4

"""The way to the safe state: order, failures that block nothing, and what is not confirmed."""

from itertools import pairwise

import pytest

from acquisition.channel.engine_status import Safety
from acquisition.safety.safe_state import make_safe
from acquisition.storage.record import Level
from drivers.errors import DeviceError, LinkClosed, LinkTimeout

GONE = LinkClosed("x", "gone")


@pytest.fixture
def station(bench, rows):
    bench.build(rows(1))
    bench.prepare()
    bench.port.ask(50.0)
    while not bench.port.status().is_settled:
        bench.clock.wait(0.1)
        bench.port.advance()
    bench.log.clear()
    return bench.station


def verbs(bench) -> list[tuple]:
    return [entry[1:] for entry in bench.log]


def test_the_bias_starts_first_and_is_awaited_last(bench, station):
    report = make_safe(station, bench.clock)

    assert report.safety is Safety.CONFIRMED
    assert report.confirmed == (
        "laser shutter closed",
        "exposure ended",
        "polarizer stopped",
        "spectrograph stopped",
        "bias 0 V and off",
    )
    first_step_s = bench.calls("bias", "set_level")[0][0]
    assert first_step_s <= bench.calls("camera", "abort")[0][0]
    assert not bench.supply.is_on


def test_the_ramp_goes_on_while_a_shutter_is_waited_for(bench, station):
    bench.shutter.move_s = 4.0

    make_safe(station, bench.clock)

    closed_s = bench.calls("camera", "abort")[0][0]
    steps = [t for t, *_ in bench.calls("bias", "set_level") if t < closed_s]
    assert len(steps) > 25


def test_the_heater_holds(bench, station):
    make_safe(station, bench.clock, emergency=True)

    assert not bench.calls("cryostat", "heater_off")
    assert not bench.calls("cryostat", "hold")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("camera", "exposure ended"),
        ("stage", "polarizer stopped"),
        ("spectrograph", "spectrograph stopped"),
        ("shutter", "laser shutter closed"),
        ("cryostat", "heater off"),
    ],
)
@pytest.mark.parametrize("error", [GONE, RuntimeError("bug"), AttributeError("bug")])
def test_each_step_that_fails_is_named_and_blocks_no_other(bench, station, device, name, error):
    getattr(bench, device).die(error)

    report = make_safe(station, bench.clock, heater_off=True)

    assert report.safety is Safety.NOT_CONFIRMED
    assert [text.split(" (")[0] for text in report.failed] == [name]
    assert len(report.confirmed) == 5
    assert f"NOT CONFIRMED: {name}" in str(report)
    assert not bench.supply.is_on


def test_everything_dead_is_said_in_full_and_raises_nothing(bench, station):
    for device in (bench.camera, bench.stage, bench.spectrograph, bench.shutter, bench.supply):
        device.die(GONE)

    report = make_safe(station, bench.clock)

    assert report.confirmed == ()
    assert len(report.failed) == 5
    assert "not done after 600.0 s" in report.failed[-1]


def test_a_line_that_comes_back_within_seconds_is_enough(bench, station):
    bench.shutter.die(GONE)
    bench.happens(bench.clock.now() + 3.0, lambda: bench.shutter.die(None))

    report = make_safe(station, bench.clock)

    assert report.safety is Safety.CONFIRMED
    assert not bench.shutter.is_open


def test_a_supply_that_comes_back_after_a_minute_is_brought_to_zero(bench, station):
    bench.supply.die(LinkTimeout("bias", "silent"))
    bench.happens(bench.clock.now() + 60.0, lambda: bench.supply.die(None))

    report = make_safe(station, bench.clock, emergency=True)

    assert report.safety is Safety.CONFIRMED
    assert not bench.supply.is_on
    assert bench.supply.largest_step_V() <= 50.0 * 0.2 + 1e-9


def test_a_silent_supply_is_told_of_at_once_and_holds_up_no_other_step(bench, station):
    told = []
    bench.supply.latency_s = 2.0  # until it is known that no answer comes
    bench.supply.die(LinkTimeout("bias", "silent"))
    begun_s = bench.clock.now()

    def tell(text):
        told.append((bench.clock.now() - begun_s, text))

    report = make_safe(station, bench.clock, emergency=True, tell=tell)

    ((told_s, text),) = told
    assert text.startswith("on the way to the safe state: bias 0 V and off: the supply is silent;")
    assert "asked again for 600 s at most" in text
    assert told_s <= 2 * 2.0 + 0.1  # measuring and a step of the ramp
    assert report.confirmed == (
        "laser shutter closed",
        "exposure ended",
        "polarizer stopped",
        "spectrograph stopped",
    )
    ended_s = bench.calls("spectrograph", "stop")[0][0] - begun_s
    assert ended_s <= 2 * 2 * 2.0 + 1.0  # two of the supply's turns
    tries = [t for t, *_ in bench.calls("bias", "measure")]
    assert tries[-1] - begun_s > 590.0
    assert max(b - a for a, b in pairwise(tries[3:])) <= 2 * 2.0 + 0.2


def test_a_step_that_is_tried_again_is_told_once_with_how_long(bench, station):
    told = []
    bench.camera.die(LinkTimeout("camera", "no reply in 0.5 s"))

    def tell(text):
        told.append(text)
        raise ZeroDivisionError  # whoever hears of it can't hinder the way

    report = make_safe(station, bench.clock, tell=tell)

    assert told == [
        "on the way to the safe state: exposure ended: camera: no reply in 0.5 s; "
        "tried again for 5 s"
    ]
    assert [text.split(" (")[0] for text in report.failed] == ["exposure ended"]
    assert len(bench.calls("camera", "abort")) == 11
    assert not bench.supply.is_on


def test_a_run_shows_and_notes_what_delays_its_safe_state(bench, rows):
    seen = []
    bench.build(rows(1))
    bench.stage.stop = lambda: (seen.append(bench.engine.status().awaited), _fail())[0]

    outcome = bench.run(rows(1))

    (delay,) = bench.events("safe state delayed")
    text = "on the way to the safe state: polarizer stopped: x: gone; tried again for 5 s"
    assert (delay.text, delay.level) == (text, Level.WARNING)
    assert (seen[0], set(seen[1:])) == ("the safe state", {text})
    assert outcome.safe.failed == ("polarizer stopped (x: gone)",)


def _fail():
    raise GONE


def test_a_port_that_raises_is_not_confirmed(bench, station):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    bench.port.safe = bench.port.advance = fail

    report = make_safe(station, bench.clock)

    assert [text.split(" (")[0] for text in report.failed] == ["bias 0 V and off"]


def test_an_output_that_says_off_and_is_on_is_not_confirmed(bench, station):
    true_switch = bench.supply.switch_output

    def switch(on: bool) -> None:
        true_switch(on)
        bench.happens(bench.clock.now() + 0.012, lambda: setattr(bench.supply, "is_on", True))

    bench.supply.switch_output = switch

    report = make_safe(station, bench.clock)

    assert report.safety is Safety.NOT_CONFIRMED
    assert "still on" in report.failed[0]


def test_an_emergency_takes_the_faster_slew(bench, station):
    start_s = bench.clock.now()

    make_safe(station, bench.clock, emergency=True)

    assert bench.clock.now() - start_s < 50.0 / 50.0 + 1.0


def test_a_station_with_a_camera_alone_is_safe_too(bench, rows):
    bench.build(rows(1), without=["cryostat", "bias", "polarizer", "shutter", "spectrograph"])

    assert make_safe(bench.station, bench.clock).confirmed == ("exposure ended",)


def test_errors_of_drivers_are_the_ones_tried_again():
    assert issubclass(LinkClosed, DeviceError)

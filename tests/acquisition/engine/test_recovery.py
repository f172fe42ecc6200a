"""Mending an instrument: back-off, identity, settings, budget."""

import itertools

import pytest

from acquisition.channel.commands import Verb
from acquisition.safety.vigil import StopRequested
from drivers.errors import (
    InstrumentError,
    LimitError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)


@pytest.fixture
def recovery(bench, rows):
    bench.build(rows(1))
    for device in bench.station.devices():
        bench.recovery.remember(device)
    bench.vigil.look()
    return bench.recovery


@pytest.mark.parametrize("kind", [LinkClosed, LinkTimeout, ReplyError])
def test_an_instrument_that_answers_is_mended_at_once(bench, recovery, kind):
    recovery(kind("camera", "hiccup"))

    assert bench.clock.now() < 1.0
    bench.run_log.flush()
    assert bench.events("recovered")[0].text == "camera answers again"


@pytest.mark.parametrize(
    "error",
    [
        InstrumentError("cryostat", "heater open"),
        StateError("camera", "an exposure is running"),
        LimitError("polarizer", "angle 1e9"),
        StateError("somebody else", "gone"),
    ],
)
def test_what_must_not_be_retried_is_raised_again(recovery, error):
    with pytest.raises(type(error)) as raised:
        recovery(error)
    assert raised.value is error


def test_a_line_that_instruments_share_brings_all_of_them_back(bench, recovery):
    mended = recovery(LinkClosed("ws://127.0.0.1:25010", "gone"))

    assert mended == {"camera", "cryostat", "spectrograph", "polarizer", "shutter", "bias"}


def test_back_off_grows_and_ends(bench, recovery):
    bench.camera.die(LinkClosed("camera", "unplugged"))

    with pytest.raises(LinkClosed, match="unplugged"):
        recovery(LinkTimeout("camera", "silent"))

    asked = [t for t, *_ in bench.calls("camera", "settings")][1:]
    assert bench.clock.now() == pytest.approx(44.2, abs=0.5)
    assert [b - a for a, b in itertools.pairwise(asked)] == pytest.approx(
        [1.0, 3.0, 10.0, 30.0], abs=0.1
    )


def test_monitors_and_commands_live_on_meanwhile(bench, recovery):
    bench.camera.die(LinkClosed("camera", "unplugged"))
    bench.command(3.0, Verb.STOP_NOW, "enough")

    with pytest.raises(StopRequested, match="enough"):
        recovery(LinkTimeout("camera", "silent"))

    assert bench.clock.now() < 6.0


def test_changed_settings_are_named_but_not_those_of_the_run(bench, recovery):
    bench.camera.own_settings.update(knob=7, exposure_s=3.0)

    recovery(LinkTimeout("camera", "silent"))
    recovery(LinkTimeout("camera", "silent"))

    bench.run_log.flush()
    found = [event.details["changed"] for event in bench.events("recovered")]
    assert found == [{"knob": [1, 7]}, {}]


def test_endless_failing_is_not_mended_for_ever(bench, recovery):
    for _ in range(20):
        recovery(LinkTimeout("camera", "silent"))

    with pytest.raises(StateError, match="failed 20 times within 3600 s"):
        recovery(LinkTimeout("camera", "silent"))


def test_failures_are_forgotten_after_an_hour(bench, recovery):
    for _ in range(20):
        recovery(LinkTimeout("camera", "silent"))
    bench.clock.wait(3700.0)

    recovery(LinkTimeout("camera", "silent"))


def test_each_instrument_has_a_budget_of_its_own(recovery):
    for _ in range(20):
        recovery(LinkTimeout("camera", "silent"))

    recovery(LinkTimeout("cryostat", "silent"))


def test_a_stage_is_stopped_before_it_is_asked(bench, recovery):
    recovery(LinkClosed("polarizer", "gone"))

    verbs = [entry[2] for entry in bench.log if entry[1] == "polarizer"]
    assert verbs.index("stop") < verbs.index("identify")


@pytest.mark.parametrize(("was_homed", "homes"), [(True, 1), (False, 0)])
def test_only_a_stage_that_was_homed_is_homed_again(bench, recovery, was_homed, homes):
    bench.stage.own_settings = {"is_homed": was_homed}
    recovery.remember(bench.stage)
    bench.stage.is_homed = False

    recovery(StateError("polarizer", "home it again"))

    assert len(bench.calls("polarizer", "home")) == homes

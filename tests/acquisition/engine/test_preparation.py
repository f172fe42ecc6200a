"""What happens before the first row: what is really on the sample, homing, the reference."""

import pytest

from acquisition.bias.bias_port import LocalBiasPort
from acquisition.channel.commands import Verb
from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.running.preparation import Preparation, release_broken_blocks
from acquisition.storage.record import AttemptState
from drivers.errors import LinkClosed


@pytest.fixture
def prepared(bench):
    """Return a function that runs rows of a segment behind its real preparation."""

    def run(points, *, journal=None, accept_changed: bool = False, **build):
        bench.build(points, journal=journal, **build)
        preparation = Preparation(
            bench.journal,
            bench.station,
            bench.segment,
            bench.engine,
            bench.vigil,
            bench.run_log,
            bench.recovery,
            electrons_per_count=1.0,
            accept_changed=accept_changed,
        )
        todo = bench.journal.todo()
        return bench.engine.run(todo, prepare=preparation)

    return run


def test_the_bias_is_looked_at_before_anything_else(bench, rows, prepared):
    bench.supply.is_on, bench.supply.level_V = True, 30.0

    outcome = prepared(rows(1, voltage_V=5.0))

    assert outcome.reason is FinishReason.COMPLETED
    assert bench.log[0][1] == "bias"
    assert "30.000 V found at the terminals" in bench.events("bias found on")[0].text
    steps = [
        abs(b - a)
        for (_, a), (_, b) in zip(bench.supply.levels, bench.supply.levels[1:], strict=False)
    ]
    assert max(steps) <= 1.0 + 1e-9


def test_monitors_are_read_while_a_found_voltage_ramps_down(bench, rows, prepared):
    bench.supply.is_on, bench.supply.level_V = True, 100.0  # 20 s at 5 V/s

    prepared(rows(1, voltage_V=5.0))

    times = [t for t, *_ in bench.calls("cryostat", "read") if t < 20.0]
    assert len(times) >= 18


def test_every_instrument_is_noted_with_its_settings(bench, rows, prepared):
    prepared(rows(1, voltage_V=5.0))

    noted = {event.text.split(":")[0]: event.details for event in bench.events("instrument")}
    assert set(noted) == {"camera", "cryostat", "spectrograph", "polarizer", "shutter", "bias"}
    assert noted["camera"]["settings"] == {"knob": 1}


@pytest.mark.parametrize(("angle_deg", "homes"), [(10.0, 1), (None, 0)])
def test_a_stage_is_homed_only_if_the_sweep_turns_it(bench, rows, prepared, angle_deg, homes):
    bench.stage.is_homed = False

    prepared(rows(1, angle_deg=angle_deg), without=["bias"])

    assert len(bench.calls("polarizer", "home")) == homes


def test_while_the_bias_is_armed_that_is_what_is_awaited(bench, rows, prepared, monkeypatch):
    awaited = []
    arm = LocalBiasPort.arm

    def armed(port):
        awaited.append(bench.engine.status().awaited)
        return arm(port)

    monkeypatch.setattr(LocalBiasPort, "arm", armed)

    assert prepared(rows(1, voltage_V=5.0)).reason is FinishReason.COMPLETED

    assert awaited == ["bias is armed: limits set, its cable measured"]


def test_another_number_of_pixels_ends_the_run_before_light(bench, rows, prepared):
    bench.camera.pixels = 99

    outcome = prepared(rows(1), without=["bias"])

    assert outcome.reason is FinishReason.FAILED
    assert "has 99 pixels, [camera] pixels says 16" in outcome.text
    assert not [e for e in bench.calls("shutter", "set") if e[3]]


def test_an_instrument_that_is_dead_at_the_start_leaves_no_voltage_on(bench, rows, prepared):
    bench.supply.is_on, bench.supply.level_V = True, 30.0
    bench.shutter.die(LinkClosed("shutter", "unplugged"))

    outcome = prepared(rows(1, voltage_V=5.0))

    assert outcome.reason is FinishReason.FAILED
    assert outcome.safe.safety is Safety.NOT_CONFIRMED
    assert "bias 0 V and off" in outcome.safe.confirmed
    assert not bench.supply.is_on


@pytest.fixture
def resumed(bench, rows, prepared, tmp_path):
    """Return a function that measures half, changes something, and resumes."""

    def run(change, **options):
        points = rows(2, temperature_K=[5.5, 9.0], frames=8)
        bench.command(20.0, Verb.STOP_NOW)
        bench.camera.rate = 30_000.0
        prepared(points, without=["bias", "polarizer"])
        assert bench.journal.accepted()
        change()
        outcome = prepared(points, journal=bench.journal, without=["bias", "polarizer"], **options)
        return outcome

    return run


def test_a_resumed_run_looks_at_its_reference_first(bench, resumed):
    outcome = resumed(lambda: None)

    assert outcome.reason is FinishReason.COMPLETED
    second = [a.attempt for a in bench.journal.attempts() if a.attempt.segment == 2]
    assert second[0].state is AttemptState.REFERENCE
    assert "agrees" in bench.events("reference")[0].text
    assert len(bench.journal.accepted()) == 2


def test_a_reference_that_disagrees_stops_the_run(bench, resumed):
    outcome = resumed(lambda: setattr(bench.camera, "rate", 3000.0))

    assert outcome.reason is FinishReason.STOPPED
    assert "the reference differs: counts per s" in outcome.text
    assert "--accept-changed" in outcome.text


def test_a_change_may_be_accepted(bench, resumed):
    outcome = resumed(lambda: setattr(bench.camera, "rate", 3000.0), accept_changed=True)

    assert outcome.reason is FinishReason.COMPLETED


def test_a_reference_under_wrong_conditions_is_no_reference(bench, resumed):
    outcome = resumed(lambda: setattr(bench.cryostat, "reaches", lambda kelvin: kelvin + 0.5))

    assert outcome.reason is FinishReason.STOPPED
    assert "was not measured under the same conditions: not settled" in outcome.text
    assert "differs" not in outcome.text


def test_a_reference_survives_a_hiccup_of_the_camera(bench, resumed):
    outcome = resumed(lambda: bench.camera.fail("trigger", LinkClosed("camera", "hiccup")))

    assert outcome.reason is FinishReason.COMPLETED


def test_a_block_that_was_broken_off_is_given_back_as_a_whole(bench, rows):
    bench.build(rows(4, block=[0, 0, 1, 1], repeats_block=True), without=["bias", "cryostat"])
    bench.command(4.0, Verb.STOP_AFTER_POINT)
    bench.run((), arm=False)
    assert set(bench.journal.accepted()) == {0, 1, 2}

    release_broken_blocks(bench.journal, (100.0, 0.0))

    assert set(bench.journal.accepted()) == {0, 1}
    assert "block 1 was broken off after 1 of 2 points" in bench.events("block released")[0].text

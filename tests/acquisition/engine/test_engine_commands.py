"""Pause, resume, stop, notes: when they take effect, and what they leave behind."""

import json

import pytest

from acquisition.channel.commands import Command, Verb
from acquisition.channel.engine_status import EngineState, FinishReason, Safety
from acquisition.storage.record import AttemptState

OPTICS = ("cryostat", "bias", "polarizer")


def test_a_pause_takes_effect_after_the_point_and_goes_on(bench, rows):
    seen = []
    bench.command(2.0, Verb.PAUSE)
    bench.happens(20.0, lambda: seen.append((bench.engine.status().state, bench.shutter.is_open)))
    bench.command(30.0, Verb.RESUME)

    outcome = bench.run(rows(3, exposure_s=5.0), without=OPTICS)

    assert outcome.reason is FinishReason.COMPLETED
    assert seen == [(EngineState.PAUSED, False)]
    attempts = [stored.attempt for stored in bench.journal.attempts()]
    assert [a.state for a in attempts] == [AttemptState.OK] * 3
    assert attempts[1].start_s >= 30.0
    assert [e.code for e in bench.events() if e.code in ("paused", "resumed")] == [
        "paused",
        "resumed",
    ]


def test_the_bias_is_held_during_a_pause(bench, rows):
    volts = []
    bench.command(8.0, Verb.PAUSE)
    bench.happens(60.0, lambda: volts.append(bench.supply.terminal_V))
    bench.command(70.0, Verb.RESUME)

    bench.run(rows(2, voltage_V=10.0, exposure_s=5.0), without=["cryostat"])

    assert volts == [10.0]


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.STOP_AFTER_POINT, Verb.STOP_NOW])
def test_a_command_that_came_before_the_engine_looked_is_heard(bench, rows, verb):
    bench.commands.put(Command(verb))
    bench.command(50.0, Verb.RESUME)

    outcome = bench.run(rows(2), without=OPTICS)

    done = {Verb.PAUSE: FinishReason.COMPLETED}.get(verb, FinishReason.STOPPED)
    assert outcome.reason is done
    assert bench.clock.now() >= 50.0 or verb is not Verb.PAUSE
    assert len(bench.journal.accepted()) == (2 if verb is Verb.PAUSE else 0)


def test_stop_after_the_point_finishes_the_exposure(bench, rows):
    bench.command(3.0, Verb.STOP_AFTER_POINT, "home")

    outcome = bench.run(rows(3, exposure_s=10.0), without=OPTICS)

    assert outcome.reason is FinishReason.STOPPED
    assert outcome.text == "home"
    assert list(bench.journal.accepted()) == [0]
    assert outcome.safe.safety is Safety.CONFIRMED


def test_stop_after_the_point_does_not_wait_for_a_temperature_that_settles(bench, rows):
    bench.cryostat.arrival_s = 3600.0
    bench.command(60.0, Verb.STOP_AFTER_POINT)

    bench.run(rows(2, temperature_K=200.0), without=["bias"])

    assert bench.clock.now() < 65.0


def test_a_temperature_ramp_under_way_is_ended_by_a_stop_and_the_heater_stays_on(bench, rows):
    bench.cryostat.arrival_s = 3600.0
    bench.command(60.0, Verb.STOP_NOW)

    outcome = bench.run(rows(2, temperature_K=200.0), without=["bias"])

    assert "temperature held" in outcome.safe.confirmed
    assert len(bench.calls("cryostat", "hold")) == 1
    assert not bench.calls("cryostat", "heater_off")


def test_a_settled_temperature_is_not_touched_by_the_safe_state(bench, rows):
    bench.command(20.0, Verb.STOP_NOW)

    bench.run(rows(2, temperature_K=9.0, exposure_s=60.0), without=["bias"])

    assert not bench.calls("cryostat", "hold")


def test_stop_now_aborts_the_exposure_and_notes_the_dose(bench, rows):
    bench.command(5.0, Verb.STOP_NOW)

    outcome = bench.run(rows(2, exposure_s=100.0), without=OPTICS)

    assert outcome.reason is FinishReason.STOPPED
    assert bench.clock.now() < 16.0  # at the next tick of a monitor, and the way to safety
    assert bench.calls("camera", "abort")
    assert not bench.shutter.is_open
    dose_s = bench.events("exposure aborted")[0].details["laser_open_s"]
    assert dose_s == pytest.approx(bench.shutter.opened_s, abs=0.15)
    assert not list(bench.journal.attempts())


def test_commands_are_heard_within_the_longest_tick(bench, rows):
    bench.build(rows(1, exposure_s=100.0), without=OPTICS)
    bench.vigil._longest_tick_s = 0.25
    bench.command(5.05, Verb.STOP_NOW)

    bench.engine.run(bench.points)

    assert bench.calls("camera", "abort")[0][0] == pytest.approx(5.4, abs=0.3)


def test_stop_during_a_pause_ends_the_run(bench, rows):
    bench.command(3.0, Verb.PAUSE)
    bench.command(30.0, Verb.STOP_AFTER_POINT)

    outcome = bench.run(rows(3, exposure_s=5.0), without=OPTICS)

    assert outcome.reason is FinishReason.STOPPED
    assert list(bench.journal.accepted()) == [0]


def test_a_note_is_stored_with_its_time_and_sender(bench, rows):
    bench.command(4.0, Verb.NOTE, "laser realigned")

    bench.run(rows(2, exposure_s=10.0), without=OPTICS)

    (note,) = bench.events("note")
    assert note.text == "laser realigned"
    assert note.details["sender"] == "test"
    assert note.time_s == pytest.approx(10.0, abs=6.5)


def test_stopping_while_the_bias_ramps_ends_at_zero(bench, rows):
    bench.command(6.0, Verb.STOP_NOW)

    outcome = bench.run(rows(2, voltage_V=90.0))

    assert outcome.reason is FinishReason.STOPPED
    assert outcome.safe.safety is Safety.CONFIRMED
    assert not bench.supply.is_on
    assert bench.supply.largest_step_V() <= 5.0 * 0.2 + 1e-9


def test_an_interrupt_in_a_script_is_made_safe_and_passed_on(bench, rows):
    def interrupt() -> None:
        raise KeyboardInterrupt

    bench.happens(9.0, interrupt)

    with pytest.raises(KeyboardInterrupt):
        bench.run(rows(2, voltage_V=10.0, exposure_s=10.0))

    assert not bench.supply.is_on
    assert not bench.shutter.is_open
    assert bench.engine.status().state is EngineState.IDLE
    assert "KeyboardInterrupt" in bench.events("finished")[0].text


def test_the_status_can_be_written_as_json_at_any_time(bench, rows):
    documents = []
    for time_s in (0.5, 3.0, 8.0, 12.0):
        bench.happens(time_s, lambda: documents.append(bench.engine.status().to_json()))
    bench.run(rows(2, temperature_K=[5.5, 9.0], voltage_V=5.0, exposure_s=3.0))
    documents.append(bench.engine.status().to_json())

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    statuses = [json.loads(text, parse_constant=refuse) for text in documents]
    assert {s["state"] for s in statuses} >= {"idle"}
    assert statuses[-1]["finish"] == "completed"
    assert statuses[-1]["safety"] == "confirmed"

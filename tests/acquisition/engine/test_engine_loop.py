"""The engine's loop: order, overlap, retries, flags, what is stored."""

from acquisition.engine_status import EngineState, FinishReason, Safety
from acquisition.record import AttemptState


def test_every_row_is_measured_once_and_the_run_ends_safe(bench, rows):
    outcome = bench.run(rows(3, temperature_K=5.5, angle_deg=[0.0, 10.0, 20.0], voltage_V=2.0))

    assert outcome.reason is FinishReason.COMPLETED, outcome
    assert outcome.safe.safety is Safety.CONFIRMED
    assert not bench.supply.is_on
    assert not bench.shutter.is_open
    assert [a.attempt.state for a in bench.journal.attempts()] == [AttemptState.OK] * 3
    assert bench.engine.status().state is EngineState.IDLE

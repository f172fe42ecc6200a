"""Events and monitor batches on their way into the journal; run time and segments."""

import numpy as np
import pytest

from acquisition.running.segment import Segment
from acquisition.storage.record import Attempt, AttemptState, Level


@pytest.fixture
def log(bench, rows):
    bench.build(rows(2), without=["cryostat", "bias"])
    return bench.run_log


def attempt(point: int = 0) -> Attempt:
    return Attempt(
        point=point,
        state=AttemptState.OK,
        segment=1,
        start_s=0.0,
        end_s=1.0,
        exposure_s=1.0,
        counts=np.zeros((1, 16), dtype=np.int32),
        frame_start_s=np.zeros(1),
        readings={},
    )


def test_what_happened_goes_into_the_transaction_of_the_next_point(bench, log):
    bench.monitors.poll(0.0)
    log.event(Level.INFO, "note", "hello")
    assert bench.events() == []

    log.put(attempt(), accept=True)

    assert [event.text for event in bench.events()] == ["hello"]
    assert len(bench.journal.streams()) == 1


def test_without_points_it_is_stored_every_10_s(bench, log):
    for second in range(25):
        log.event(Level.INFO, "tick", str(second))
        log.flush_if_due()
        bench.clock.wait(1.0)

    assert len(bench.events("tick")) == 21


def test_nothing_is_lost_when_storing_fails(bench, log, monkeypatch):
    bench.monitors.poll(0.0)
    log.event(Level.INFO, "note", "hello")
    monkeypatch.setattr(bench.journal, "note", _full)
    with pytest.raises(OSError, match="full"):
        log.flush()
    monkeypatch.undo()

    log.flush()
    log.flush()

    assert [event.text for event in bench.events()] == ["hello"]
    assert len(bench.journal.streams()) == 1


def _full(**_: object) -> None:
    raise OSError("full")


def test_run_time_goes_on_where_the_wall_clock_says(bench, log):
    bench.clock.wait(50.0)
    log.event(Level.INFO, "note", "before the break")
    log.flush()
    bench.clock._now += 1000.0  # nobody was there

    second = Segment(bench.journal, bench.clock)

    assert second.is_resumed
    assert second.number == 2
    assert second.run_time.now() == pytest.approx(1050.0)


def test_run_time_never_goes_back_when_the_wall_clock_does(bench, log):
    bench.clock.wait(50.0)
    log.event(Level.INFO, "note", "before the break")
    log.flush()
    bench.clock._start_utc -= 3600.0

    second = Segment(bench.journal, bench.clock)

    assert second.run_time.now() >= 50.0

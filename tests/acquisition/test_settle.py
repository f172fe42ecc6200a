"""The settle criterion on traces with a closed form, and on those that never settle."""

from collections.abc import Callable
from math import exp, inf, log, nan, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.configuration.settle import SettleCriterion, SettleOutcome, Settling, robust_slope

SETPOINT = 100.0


def run(
    criterion: SettleCriterion,
    trace: Callable[[float], float],
    *,
    step_s: float = 1.0,
    until_s: float = 20_000.0,
) -> tuple[SettleOutcome, float, str]:
    """Feed the trace until the outcome is final; return it with its time and reason."""
    settling = Settling(criterion, SETPOINT, 0.0)
    time_s = 0.0
    while settling.outcome is SettleOutcome.PENDING and time_s < until_s:
        time_s += step_s
        settling.feed(time_s, trace(time_s))
    return settling.outcome, time_s, settling.reason


@pytest.mark.parametrize("tau_s", [30.0, 100.0, 400.0])
@pytest.mark.parametrize("start", [80.0, 130.0])
def test_an_exponential_settles_when_its_closed_form_says(tau_s: float, start: float) -> None:
    criterion = SettleCriterion(tolerance=0.1, inside_s=60.0, progress_timeout_s=900.0)

    outcome, time_s, _ = run(criterion, lambda t: SETPOINT + (start - SETPOINT) * exp(-t / tau_s))

    enters_s = tau_s * log(abs(start - SETPOINT) / 0.1)
    assert outcome is SettleOutcome.SETTLED
    assert enters_s + 60.0 <= time_s <= enters_s + 62.0


def test_drift_is_waited_out_until_the_slope_is_small_enough() -> None:
    tau_s, start = 300.0, 99.5
    criterion = SettleCriterion(0.5, 60.0, drift_per_min=0.01, progress_timeout_s=3600.0)

    outcome, time_s, _ = run(criterion, lambda t: SETPOINT + (start - SETPOINT) * exp(-t / tau_s))

    # the slope 0.5 / 300 exp(-t / 300) per s is 0.01 per min at t = 300 ln 10 = 691 s; the
    # regression looks 30 s back
    assert outcome is SettleOutcome.SETTLED
    assert 300.0 * log(10.0) <= time_s <= 300.0 * log(10.0) + 40.0


def test_time_inside_need_not_be_in_one_piece() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=300.0)

    def with_an_excursion(time_s: float) -> float:
        return SETPOINT + (1.0 if 40 < time_s <= 50 else 0.0)

    outcome, time_s, _ = run(criterion, with_an_excursion)

    assert outcome is SettleOutcome.SETTLED
    assert 70.0 <= time_s <= 73.0  # 39 s inside, 11 s out, 21 s inside


def test_without_time_inside_the_first_reading_inside_settles() -> None:
    outcome, time_s, _ = run(SettleCriterion(0.1), lambda t: 90.0 + 2.0 * t)

    assert (outcome, time_s) == (SettleOutcome.SETTLED, 5.0)


def test_a_ramp_with_progress_is_never_given_up() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=300.0)

    outcome, time_s, _ = run(criterion, lambda t: min(SETPOINT, 5.0 + t / 60.0))  # 1 K/min

    assert outcome is SettleOutcome.SETTLED
    assert time_s == pytest.approx(60.0 * 94.9 + 60.0, abs=2.0)


def test_noise_below_the_tolerance_settles_and_its_slope_is_judged_robustly() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.02, 2000)
    criterion = SettleCriterion(0.1, 180.0, drift_per_min=0.05, progress_timeout_s=600.0)

    outcome, time_s, _ = run(criterion, lambda t: SETPOINT + float(noise[int(t)]), step_s=2.0)

    assert outcome is SettleOutcome.SETTLED
    assert time_s <= 190.0


@pytest.mark.parametrize("tau_s", [20.0, 60.0])
def test_a_value_at_rest_elsewhere_is_recognised_long_before_the_timeout(tau_s: float) -> None:
    criterion = SettleCriterion(0.1, 180.0, 0.05, progress_timeout_s=900.0)

    outcome, time_s, reason = run(criterion, lambda t: 97.0 - 17.0 * exp(-t / tau_s), step_s=2.0)

    assert outcome is SettleOutcome.UNREACHABLE
    assert 300.0 <= time_s <= 675.0
    assert "-3 from 100: the value has come to rest there" in reason


def test_a_value_ahead_of_the_ramp_waits_for_it() -> None:
    """Cooled faster than the ramp, a stage rests where its weakest heater range holds it."""
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=900.0)
    settling = Settling(criterion, SETPOINT, 0.0)

    def trace(time_s: float) -> float:
        return SETPOINT + 20.0 * exp(-max(time_s - 700.0, 0.0) / 60.0)

    time_s = 0.0
    while settling.outcome is SettleOutcome.PENDING:
        time_s += 2.0
        settling.feed(time_s, trace(time_s), ramps=time_s < 700.0)

    assert run(criterion, trace, step_s=2.0)[0] is SettleOutcome.UNREACHABLE
    assert settling.outcome is SettleOutcome.SETTLED


def test_a_value_that_runs_away_is_unreachable() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=600.0)

    outcome, time_s, _ = run(criterion, lambda t: 90.0 - t / 100.0)

    assert outcome is SettleOutcome.UNREACHABLE
    assert time_s <= 300.0


def test_a_slow_approach_is_not_called_unreachable() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=900.0)

    outcome, _, _ = run(criterion, lambda t: SETPOINT - 20.0 * exp(-t / 1200.0))

    assert outcome is SettleOutcome.SETTLED


def test_dead_time_before_the_first_movement_is_granted() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=900.0)

    outcome, _, _ = run(
        criterion, lambda t: 90.0 if t < 250 else SETPOINT - 10.0 * exp(-(t - 250.0) / 100.0)
    )

    assert outcome is SettleOutcome.SETTLED


def test_an_oscillation_through_the_band_times_out() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=300.0)

    outcome, time_s, reason = run(criterion, lambda t: SETPOINT + sin(t / 20.0))

    assert outcome is SettleOutcome.TIMED_OUT
    assert time_s <= 300.0 + 2 * 60.0 + 80.0
    assert "no progress" in reason


def test_an_oscillation_within_the_band_settles() -> None:
    criterion = SettleCriterion(0.1, 60.0, drift_per_min=0.05, progress_timeout_s=300.0)

    outcome, _, _ = run(criterion, lambda t: SETPOINT + 0.05 * sin(t))

    assert outcome is SettleOutcome.SETTLED


def test_a_drift_that_does_not_end_times_out_and_names_the_slope() -> None:
    criterion = SettleCriterion(50.0, 60.0, drift_per_min=0.05, progress_timeout_s=300.0)

    outcome, time_s, reason = run(criterion, lambda t: 99.0 + t / 60.0)

    assert outcome is SettleOutcome.TIMED_OUT
    assert 420.0 <= time_s <= 423.0
    assert "drifting 1 per min (allowed 0.05)" in reason


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_bad_readings_are_never_inside(bad: float) -> None:
    criterion = SettleCriterion(tolerance=1e9, progress_timeout_s=300.0)

    outcome, time_s, _ = run(criterion, lambda _: bad)

    assert outcome is SettleOutcome.TIMED_OUT
    assert time_s == pytest.approx(301.0)


def test_time_between_bad_readings_does_not_count() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=300.0)

    outcome, _, _ = run(criterion, lambda t: nan if t % 2 else SETPOINT)

    assert outcome is SettleOutcome.TIMED_OUT  # no two neighbouring readings are inside


def test_a_bad_reading_between_good_ones_costs_its_own_time_only() -> None:
    criterion = SettleCriterion(0.1, 60.0, progress_timeout_s=300.0)

    outcome, time_s, _ = run(criterion, lambda t: nan if t in (10, 30) else SETPOINT)

    assert (outcome, time_s) == (SettleOutcome.SETTLED, 65.0)


def test_a_final_outcome_stays_and_an_old_reading_is_ignored() -> None:
    settling = Settling(SettleCriterion(0.1, 10.0), SETPOINT, 0.0)
    assert settling.feed(5.0, SETPOINT) is SettleOutcome.PENDING
    assert settling.feed(4.0, nan) is SettleOutcome.PENDING
    assert settling.feed(15.0, SETPOINT) is SettleOutcome.SETTLED

    assert settling.feed(20.0, 0.0) is SettleOutcome.SETTLED
    assert "inside for 10 s" in settling.reason


def test_what_is_awaited_can_be_read() -> None:
    settling = Settling(SettleCriterion(0.1, 60.0), SETPOINT, 0.0)
    assert settling.reason == "no reading yet"

    settling.feed(1.0, 98.5)

    assert settling.reason == "at 98.5, -1.5 from 100, inside for 0 of 60 s"


@settings(derandomize=True, deadline=None)
@given(
    slope=st.floats(-10, 10),
    offset=st.floats(-100, 100),
    spikes=st.lists(st.floats(-1e6, 1e6), max_size=5),
)
def test_the_slope_bears_outliers(slope: float, offset: float, spikes: list[float]) -> None:
    x = np.arange(20.0)
    y = offset + slope * x
    for place, spike in enumerate(spikes):
        y[3 * place] += spike

    assert robust_slope(x, y) == pytest.approx(slope, abs=1e-6)

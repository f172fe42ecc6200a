"""Wandering and blinking have the statistics they were given, whoever looks and when."""

import math
from itertools import pairwise

import numpy as np
import pytest

from simulators.fluctuations import Fluctuations
from simulators.truth import FluctuationTruth

DURATION, ENERGY, FIELD, CHARGED, DIM = range(5)


def columns(moments):
    return np.column_stack(
        [
            np.diff(moments.edges_s),
            moments.energy_meV,
            moments.field_kV_per_cm,
            moments.is_charged,
            moments.is_dim,
        ]
    )


def trace(dose_s, seed=5, **changes):
    fluctuations = Fluctuations(FluctuationTruth(**changes), np.random.SeedSequence(seed))
    return columns(fluctuations.between(0.0, dose_s))


def duty(moments, column):
    return float(np.average(moments[:, column], weights=moments[:, DURATION]))


def test_energy_wanders_with_its_variance_and_correlation_time():
    steady = {"jump_rate_per_s": 0.0, "dim_rate_per_s": 0.0, "trion_fraction": 0.0}

    moments = trace(100_000.0, energy_sigma_meV=0.2, correlation_time_s=20.0, **steady)

    energy_meV = moments[:, ENERGY]
    assert moments[:, DURATION] == pytest.approx(1.0)
    assert np.std(energy_meV) == pytest.approx(0.2, rel=0.04)
    centred = energy_meV - energy_meV.mean()
    for lag in (5, 20, 40):
        correlation = np.mean(centred[lag:] * centred[:-lag]) / np.var(centred)
        assert correlation == pytest.approx(math.exp(-lag / 20.0), abs=0.05)


def test_the_field_wanders_on_its_own():
    moments = trace(60_000.0, jump_rate_per_s=0.0)

    assert np.std(moments[:, FIELD]) == pytest.approx(9.0, rel=0.08)
    assert np.corrcoef(moments[:, FIELD], moments[:, ENERGY])[0, 1] == pytest.approx(0, abs=0.1)


def test_cells_are_a_twentieth_of_the_correlation_time_and_at_most_1_s():
    assert Fluctuations(
        FluctuationTruth(correlation_time_s=2.0), np.random.SeedSequence(1)
    ).cell_s == pytest.approx(0.1)
    assert (
        Fluctuations(FluctuationTruth(correlation_time_s=900.0), np.random.SeedSequence(1)).cell_s
        == 1.0
    )


def test_blinking_and_charging_keep_their_duty():
    moments = trace(60_000.0)

    assert moments[:, DURATION].sum() == pytest.approx(60_000.0)
    assert 1.0 - duty(moments, DIM) == pytest.approx(0.2 / 0.22, abs=0.015)
    assert duty(moments, CHARGED) == pytest.approx(0.05, abs=0.01)


def test_jumps_have_two_levels_and_their_rate():
    still = {"energy_sigma_meV": 0.0, "dim_rate_per_s": 0.0, "trion_fraction": 0.0}

    moments = trace(40_000.0, jump_meV=0.3, jump_rate_per_s=0.02, **still)

    levels = moments[:, ENERGY]
    assert set(np.round(levels, 9)) == {-0.15, 0.15}
    jumps = np.count_nonzero(np.diff(levels))
    assert jumps == pytest.approx(800, abs=4 * math.sqrt(800))


def test_trion_episodes_last_as_long_as_they_should():
    moments = trace(40_000.0, trion_fraction=0.3, trion_episode_s=5.0)

    begins = np.count_nonzero(np.diff(moments[:, CHARGED]) == 1)
    mean_s = duty(moments, CHARGED) * 40_000.0 / begins
    assert mean_s == pytest.approx(5.0, rel=0.1)


def test_the_trace_does_not_depend_on_how_the_dose_is_sliced():
    whole = Fluctuations(FluctuationTruth(), np.random.SeedSequence(9))
    sliced = Fluctuations(FluctuationTruth(), np.random.SeedSequence(9))

    at_once = columns(whole.between(0.0, 600.0))
    edges_s = np.arange(0.0, 600.25, 0.25)
    pieces = np.vstack([columns(sliced.between(a, b)) for a, b in pairwise(edges_s)])

    def states(moments):
        """What held at each half second."""
        ends_s = np.cumsum(moments[:, DURATION])
        return moments[np.searchsorted(ends_s, np.arange(0.1, 599.0, 0.5)), 1:]

    assert np.array_equal(states(pieces), states(at_once))


def test_what_was_not_asked_for_passes_all_the_same():
    whole, hasty = (Fluctuations(FluctuationTruth(), np.random.SeedSequence(9)) for _ in range(2))

    every = columns(whole.between(0.0, 2000.0))
    late = columns(hasty.between(1500.0, 2000.0))

    assert late[1:] == pytest.approx(every[-len(late) + 1 :])
    assert late[:, DURATION].sum() == pytest.approx(500.0)


def test_without_light_nothing_moves():
    fluctuations = Fluctuations(FluctuationTruth(), np.random.SeedSequence(9))

    assert columns(fluctuations.between(3.0, 3.0)).shape == (0, 5)
    assert columns(fluctuations.between(3.0, 3.5))[:, DURATION].sum() == pytest.approx(0.5)

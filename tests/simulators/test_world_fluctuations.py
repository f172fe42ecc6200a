"""Wandering and blinking have the statistics they were given, whoever looks and when."""

import math

import numpy as np
import pytest

from simulators.fluctuations import Fluctuations
from simulators.truth import FluctuationTruth

DURATION, ENERGY, FIELD, CHARGED, DIM = range(5)


def trace(dose_s, seed=5, **changes):
    fluctuations = Fluctuations(FluctuationTruth(**changes), np.random.SeedSequence(seed))
    return np.array(fluctuations.expose(dose_s), float)


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

    at_once = whole.expose(300.0)
    pieces = [moment for _ in range(1200) for moment in sliced.expose(0.25)]

    def states(moments):
        """What held at each half second."""
        times = np.cumsum([moment[DURATION] for moment in moments])
        return [moments[int(np.searchsorted(times, t))][1:] for t in np.arange(0.1, 299.0, 0.5)]

    assert states(pieces) == states(at_once)


def test_without_light_nothing_moves():
    fluctuations = Fluctuations(FluctuationTruth(), np.random.SeedSequence(9))

    assert fluctuations.expose(0.0) == []
    assert fluctuations.dose_s == 0.0

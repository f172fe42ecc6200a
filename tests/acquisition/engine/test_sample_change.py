"""Whether the nanocrystal is still the same."""

import numpy as np
import pytest

from acquisition.running.sample_change import compare
from acquisition.storage.record import Attempt, AttemptState

PIXELS = 200


def measured(rate=2000.0, centre=100.0, frames=8, seed=1, scatter=0.05, exposure_s=1.0) -> Attempt:
    """A line on an offset of 500 counts, with photon noise, read noise and blinking."""
    rng = np.random.default_rng(seed)
    pixels = np.arange(PIXELS)
    line = np.exp(-0.5 * ((pixels - centre) / 3.0) ** 2)
    line /= line.sum()
    factors = np.maximum(0.0, 1.0 + scatter * rng.standard_normal(frames))
    light = rng.poisson(rate * exposure_s * factors[:, None] * line)
    counts = np.rint(500 + light + 3.0 * rng.standard_normal(light.shape)).astype(np.int32)
    return Attempt(
        point=0,
        state=AttemptState.OK,
        segment=1,
        start_s=0.0,
        end_s=1.0,
        exposure_s=exposure_s,
        counts=counts,
        frame_start_s=np.arange(float(frames)),
        readings={},
    )


def changes(before: Attempt, now: Attempt) -> list[str]:
    return [change.what for change in compare(before, now, electrons_per_count=1.0)]


@pytest.mark.parametrize("scatter", [0.05, 0.4])
@pytest.mark.parametrize("frames", [1, 3, 12])
def test_the_same_crystal_is_rarely_called_another(scatter, frames):
    called = [
        bool(
            changes(
                measured(seed=2 * k, frames=frames, scatter=scatter if frames > 1 else 0.02),
                measured(seed=2 * k + 1, frames=frames, scatter=scatter if frames > 1 else 0.02),
            )
        )
        for k in range(100)
    ]

    assert sum(called) <= 5


def test_another_position_of_the_line_is_found():
    assert changes(measured(), measured(centre=110.0, seed=2)) == ["centre of gravity in pixels"]


def test_less_light_is_found():
    assert changes(measured(), measured(rate=1000.0, seed=2)) == ["counts per s"]


def test_a_crystal_that_went_dark_is_found_in_spite_of_blinking():
    dark = measured(rate=0.0, seed=2)

    assert "counts per s" in changes(measured(scatter=0.4, frames=12), dark)


def test_a_single_frame_that_went_dark_is_found():
    assert "counts per s" in changes(measured(frames=1), measured(rate=0.0, seed=2, frames=1))


def test_rates_are_compared_not_counts():
    assert changes(measured(), measured(exposure_s=3.0, seed=2)) == []


def test_a_change_says_both_values():
    (change,) = compare(measured(), measured(rate=1000.0, seed=2), electrons_per_count=1.0)

    assert "before" in str(change)
    assert "sigma" in str(change)
    assert change.before == pytest.approx(2000.0, rel=0.1)
    assert change.now == pytest.approx(1000.0, rel=0.1)

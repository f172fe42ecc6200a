import numpy as np
import pytest

from acquisition.running.sample_change import compare
from acquisition.storage.record import Attempt, AttemptState

PIXELS = 1024
LINES = (-15.0, 0.0, 12.0)  # pixels from the centre


def spectrum(
    seed: int, *, rate: float = 5000.0, centre: float = 520.0, frames: int = 1, cosmic: int = 0
) -> Attempt:
    """Three lines of 4 pixels on an offset of 1000 counts; a cosmic ray of 4 pixels at `cosmic`."""
    random = np.random.default_rng(seed)
    pixels = np.arange(PIXELS)
    shape = sum(np.exp(-0.5 * ((pixels - centre - line) / 1.7) ** 2) for line in LINES)
    light = random.poisson(2.0 * rate * shape / shape.sum(), (frames, PIXELS)).astype(float)
    if cosmic:
        light[0, cosmic : cosmic + 4] += 1000.0
    counts = np.rint(1000.0 + light + random.normal(0.0, 4.0, light.shape)).astype(np.int32)
    return Attempt(0, AttemptState.OK, 1, 0.0, 2.0, 2.0, counts, np.zeros(frames), {})


def changes(before: Attempt, now: Attempt) -> list[str]:
    return [change.what for change in compare(before, now, electrons_per_count=1.0)]


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("seed", range(20))
def test_a_sample_that_stayed_the_same_is_called_the_same(seed, frames):
    assert changes(spectrum(2 * seed, frames=frames), spectrum(2 * seed + 1, frames=frames)) == []


@pytest.mark.parametrize("place", [100, 470, 900])
@pytest.mark.parametrize("in_which", ["before", "now"])
def test_a_cosmic_ray_in_a_single_frame_is_no_change(place, in_which):
    before = spectrum(1, cosmic=place if in_which == "before" else 0)
    now = spectrum(2, cosmic=place if in_which == "now" else 0)

    assert changes(before, now) == []


@pytest.mark.parametrize(
    "other", [{"rate": 2000.0}, {"rate": 9000.0}, {"rate": 0.0}, {"centre": 560.0}]
)
@pytest.mark.parametrize("frames", [1, 5])
def test_another_brightness_or_place_is_a_change(other, frames):
    assert changes(spectrum(1, frames=frames), spectrum(2, frames=frames, **other)) != []


def test_frames_let_a_small_shift_be_seen():
    before, now = spectrum(1, frames=5), spectrum(2, frames=5, centre=523.0)

    assert changes(before, now) == ["centre of gravity in pixels"]


def test_darkness_is_compared_with_darkness():
    assert changes(spectrum(1, rate=0.0), spectrum(2, rate=0.0)) == []


def test_what_the_crystal_does_by_itself_over_minutes_is_no_change():
    before, now = spectrum(1, frames=5), spectrum(2, frames=5, centre=523.0)
    earlier = [spectrum(10 + k, frames=5, centre=520.0 + k) for k in (-3, 0, 3)]

    found = compare(before, now, electrons_per_count=1.0, earlier=earlier)

    assert found == ()


def test_earlier_attempts_that_agree_hide_no_change():
    before, now = spectrum(1, frames=5), spectrum(2, frames=5, centre=560.0)
    earlier = [spectrum(10 + k, frames=5) for k in range(5)]

    (change,) = compare(before, now, electrons_per_count=1.0, earlier=earlier)

    assert change.what == "centre of gravity in pixels"

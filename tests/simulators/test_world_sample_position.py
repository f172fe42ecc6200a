"""Where the sample stands decides how much light its nanocrystal gets and gives."""

from math import exp

import numpy as np
import pytest

from simulators.truth import Truth
from simulators.world import World


def lit_world() -> World:
    world = World(Truth(), seed=1)
    world.optics.shutter_open = True
    return world


def dose_at(*position_um: float) -> float:
    world = lit_world()
    for axis, place_um in enumerate(position_um):
        world.optics.move_sample(axis, place_um)
    world.advance(10.0)
    return world.dose_s


def test_under_the_spot_everything_is_as_without_a_positioner() -> None:
    assert dose_at(0.0, 0.0, 0.0) == dose_at() == pytest.approx(10.0)


@pytest.mark.parametrize("place_um", [(0.3, 0.0), (0.0, -0.3), (0.18, 0.24)])
def test_across_the_spot_the_light_falls_as_a_gaussian(place_um) -> None:
    assert dose_at(*place_um) == pytest.approx(10.0 * exp(-2.0 * (0.3 / 0.6) ** 2))


def test_out_of_focus_by_its_depth_half_is_left() -> None:
    assert dose_at(0.0, 0.0, 1.5) == pytest.approx(5.0)


def test_far_away_the_nanocrystal_rests_in_the_dark_and_is_not_seen() -> None:
    assert dose_at(20.0, 0.0) == 0.0


def test_what_is_seen_falls_twice_as_fast_as_what_is_absorbed() -> None:
    here, beside = lit_world(), lit_world()
    beside.optics.move_sample(0, 0.3)
    share = exp(-2.0 * 0.25)

    light_here = here._seen_with(1.0)
    light_beside = beside._seen_with(beside._absorbed)

    assert light_beside.transmission == pytest.approx(share * light_here.transmission)
    assert light_beside.excitation == pytest.approx(share)
    assert np.isfinite(light_beside.transmission)

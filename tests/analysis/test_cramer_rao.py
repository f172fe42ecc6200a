"""The bound against closed forms and published figures."""

from typing import Literal

import numpy as np
import pytest

from analysis.estimation.cramer_rao import bound_of_lines

UEV = 1e-6


def pixel_edges(pixel_meV: float, window_meV: float = 20.0) -> np.ndarray:
    half = round(0.5 * window_meV / pixel_meV)
    return 2.35 + 1e-3 * pixel_meV * (np.arange(-half, half + 1) + 0.3)


@pytest.mark.parametrize(("shape", "factor"), [("gauss", 0.4247), ("lorentz", 0.7071)])
def test_without_background_the_centre_is_known_to_a_fraction_of_the_width(
    shape: Literal["gauss", "lorentz"], factor: float
) -> None:
    line = {"energy_1_eV": 2.35, "width_eV": 1e-3, "area_1_counts": 1e4, "background_0": 1e-9}

    bound = bound_of_lines(pixel_edges(0.01, 200.0), line, read_noise_e=1e-5, shape=shape)

    assert bound["energy_1_eV"] == pytest.approx(factor * 1e-3 / 100.0, rel=3e-3)


@pytest.mark.parametrize(
    ("shape", "photons", "sigma_ueV"),
    [("gauss", 1e4, 4.78), ("gauss", 1e3, 21.8), ("lorentz", 1e4, 7.72), ("lorentz", 1e3, 35.3)],
)
def test_with_background_and_read_noise_as_in_the_physics_brief(
    shape: Literal["gauss", "lorentz"], photons: float, sigma_ueV: float
) -> None:
    line = {"energy_1_eV": 2.35, "width_eV": 1e-3, "area_1_counts": photons, "background_0": 5.0}

    bound = bound_of_lines(pixel_edges(0.05), line, read_noise_e=4.0, shape=shape)

    assert bound["energy_1_eV"] / UEV == pytest.approx(sigma_ueV, rel=0.01)


def test_two_lines_that_come_near_each_other_lose_their_areas_but_not_their_sum() -> None:
    def area_error(splitting_eV: float) -> float:
        lines = {
            "energy_1_eV": 2.35,
            "energy_2_eV": 2.35 + splitting_eV,
            "width_eV": 1e-3,
            "area_1_counts": 5e3,
            "area_2_counts": 5e3,
            "background_0": 5.0,
        }
        return bound_of_lines(pixel_edges(0.05), lines, read_noise_e=4.0)["area_1_counts"]

    assert area_error(0.5e-3) > 5.0 * area_error(2.0e-3)
    assert area_error(2.0e-3) == pytest.approx(np.sqrt(5e3), rel=0.2)

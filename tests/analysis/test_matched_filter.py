"""The filters that find lines in raw spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.spectra.matched_filter import smoothed

if TYPE_CHECKING:
    from conftest import MakeRng


@pytest.mark.parametrize("pixels", [31, 8192, 30_001])
@pytest.mark.parametrize("kernel_pixels", [1, 41, 4001])
def test_a_long_filter_smooths_as_a_short_one_does(
    pixels: int, kernel_pixels: int, make_rng: MakeRng
) -> None:
    rng = make_rng("filter", pixels, kernel_pixels)
    values, shape = rng.normal(0.0, 1.0, pixels), rng.uniform(0.0, 1.0, kernel_pixels)

    assert smoothed(values, shape) == pytest.approx(np.convolve(values, shape, "same"), abs=1e-9)

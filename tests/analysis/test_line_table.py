"""Lines integrated over pixels, and their derivatives."""

import numpy as np
import pytest
from scipy import stats

from analysis.axis import energy_edges_eV
from analysis.line_table import Line, LineTable, Shape

EDGES = energy_edges_eV(np.linspace(517.0, 519.0, 145))


def mirrored_copies() -> LineTable:
    return LineTable(
        [
            Line((("energy", 1.0),), "width", ("area",)),
            Line((("energy", 1.0), ("splitting", -1.0)), "width", ("area", "ratio")),
            Line((("energy", 1.0),), "wide", ("area", "ratio", "s"), Shape.LORENTZ, offset_eV=1e-3),
        ],
        background_order=2,
    )


START = np.array([2.3925, 4e-4, 900.0, 7e-4, 0.6, 9e-4, 0.3, 5.0, 1.5, -0.5])


def test_names_come_in_order_of_appearance_and_the_background_last() -> None:
    assert mirrored_copies().names == (
        "energy", "width", "area", "splitting", "ratio", "wide", "s",
        "background_0", "background_1", "background_2",
    )  # fmt: skip


def test_counts_are_the_integral_of_each_line_over_each_pixel() -> None:
    counts, _ = mirrored_copies().evaluate(START[None], EDGES)

    sigma = 4e-4 / 2.3548200450309493
    first = 900.0 * stats.norm(2.3925, sigma).cdf(EDGES)
    second = 540.0 * stats.norm(2.3918, sigma).cdf(EDGES)
    third = 162.0 * stats.cauchy(2.3935, 4.5e-4).cdf(EDGES)
    u = np.linspace(-1.0, 1.0, 145)
    expected = -np.diff(first + second + third) + 5.0 + 1.5 * u - 0.5 * u**2
    np.testing.assert_allclose(counts[0], expected, rtol=1e-9)


def test_derivatives_agree_with_differences() -> None:
    table = mirrored_copies()
    _, jacobian = table.evaluate(START[None], EDGES)

    for i, value in enumerate(START):
        step = np.zeros(START.size)
        step[i] = 1e-6 * abs(value) if i else 1e-9
        above, _ = table.evaluate((START + step)[None], EDGES)
        below, _ = table.evaluate((START - step)[None], EDGES)
        difference = (above[0] - below[0]) / (2.0 * step[i])
        scale = np.abs(difference).max()
        np.testing.assert_allclose(jacobian[0, i], difference, atol=2e-5 * scale)


def test_many_spectra_and_windows_of_their_own_give_what_each_gives_alone() -> None:
    table = mirrored_copies()
    other = START * 1.0001
    edges = np.stack([EDGES, EDGES + 2e-4])

    together, slopes = table.evaluate(np.stack([START, other]), edges)

    alone, slope = table.evaluate(other[None], EDGES + 2e-4)
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-14)
    np.testing.assert_allclose(slopes[1], slope[0], rtol=1e-12, atol=1e-9)


def test_the_direction_of_the_axis_does_not_matter() -> None:
    table = mirrored_copies()

    falling, _ = table.evaluate(START[None], EDGES)
    turned = np.array([[*START[:8], -START[8], START[9]]])  # the background's slope turns
    rising, _ = table.evaluate(turned, EDGES[::-1])

    np.testing.assert_allclose(rising[0][::-1], falling[0], rtol=1e-12)


def test_a_line_far_wider_than_its_pixels_keeps_its_area() -> None:
    table = LineTable([Line((("e", 1.0),), "w", ("a",))], background_order=0)

    counts, _ = table.evaluate(np.array([[2.3925, 5e-4, 1234.0, 0.0]]), EDGES)

    assert counts.sum() == pytest.approx(1234.0, rel=1e-9)

"""Lines integrated over pixels, and their derivatives."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.wavelength.axis import energy_edges_eV

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


VOIGT = LineTable(
    [
        Line((("e", 1.0),), "g", ("a",), Shape.VOIGT, lorentz_width="l", factor=0.5),
        Line((("e", 1.0), ("d", -1.0)), "l", ("a", "r"), Shape.LORENTZ),
        Line((("e", 1.0), ("d", 0.5)), "g", ("r",), factor=-30.0),
    ],
    background_order=1,
)
AT_VOIGT = np.array([2.3925, 3e-4, 2e-4, 900.0, 1.1e-3, 0.4, 5.0, 1.0])

PROFILE = InstrumentProfile(
    energy_eV=np.array([2.39, 2.395]),
    share=np.array([[0.8, 0.15, 0.05], [0.7, 0.2, 0.1]]),
    offset_eV=np.array([[0.0, -2e-4, 0.0], [0.0, -3e-4, 1e-5]]),
    gauss_fwhm_eV=np.array([[2e-4, 4e-4, 0.0], [2.2e-4, 5e-4, 0.0]]),
    lorentz_fwhm_eV=np.array([[0.0, 0.0, 3e-4], [0.0, 0.0, 4e-4]]),
)
SEEN = LineTable(
    [
        Line((("e", 1.0),), "w", ("a",), Shape.PROFILE),
        Line((("e", 1.0), ("d", 1.0)), "", ("a", "r"), Shape.PROFILE, lorentz_width="l"),
        Line((("e", 1.0), ("d", -1.0)), "w", ("r",), Shape.PROFILE, factor=80.0, lorentz_width="l"),
        Line((("e", 1.0),), "w", ("r",), factor=40.0),
    ],
    background_order=0,
    profile=PROFILE,
)
AT_SEEN = np.array([2.3925, 1.5e-4, 900.0, 1.1e-3, 1e-4, 0.4, 5.0])


@pytest.mark.parametrize(("table", "at"), [(VOIGT, AT_VOIGT), (SEEN, AT_SEEN)])
def test_derivatives_of_every_shape_agree_with_differences(
    table: LineTable, at: NDArray[np.float64]
) -> None:
    _, jacobian = table.evaluate(at[None], EDGES)

    for i, name in enumerate(table.names):
        step = np.zeros(at.size)
        step[i] = 3e-9 if name in ("e", "w", "d", "g", "l") else 1e-5 * at[i]
        above, _ = table.evaluate((at + step)[None], EDGES)
        below, _ = table.evaluate((at - step)[None], EDGES)
        difference = (above[0] - below[0]) / (2.0 * step[i])
        atol = 1e-6 * np.abs(difference).max()
        np.testing.assert_allclose(jacobian[0, i], difference, atol=atol, err_msg=name)


def test_a_voigt_row_is_the_gaussian_folded_with_the_lorentzian_over_each_pixel() -> None:
    counts, _ = VOIGT.evaluate(AT_VOIGT[None] * np.array([1, 1, 1, 1, 1, 0, 0, 0]), EDGES)

    offset, sigma = np.linspace(-8.0, 8.0, 4001), 3e-4 / 2.3548200450309493
    weight = stats.norm.pdf(offset) * (offset[1] - offset[0])
    folded = sum(
        w * stats.cauchy(2.3925 + sigma * x, 1e-4).cdf(EDGES)
        for x, w in zip(offset, weight, strict=True)
    )
    np.testing.assert_allclose(counts[0], -450.0 * np.diff(folded), rtol=1e-6)


def test_a_line_through_the_profile_is_the_sum_of_its_components_each_as_wide_as_both() -> None:
    counts, _ = SEEN.evaluate(AT_SEEN[None] * np.array([1, 1, 1, 1, 1, 0, 0]), EDGES)

    expected = np.zeros(EDGES.size - 1)
    for k, wing in enumerate((False, False, True)):
        share, offset, gauss, lorentz = (  # half way between the two places
            0.5 * (table[0, k] + table[1, k])
            for table in (
                PROFILE.share, PROFILE.offset_eV, PROFILE.gauss_fwhm_eV, PROFILE.lorentz_fwhm_eV,
            )
        )  # fmt: skip
        width = np.hypot(1.5e-4, gauss)
        row = Line((("e", 1.0),), "g", ("a",), Shape.VOIGT if wing else Shape.GAUSS,
                   lorentz_width="l" if wing else "")  # fmt: skip
        at = [2.3925 + offset, width, *([lorentz] if wing else []), 900.0 * share, 0.0]
        alone, _ = LineTable([row], background_order=0).evaluate(np.array([at]), EDGES)
        expected += alone[0]
    np.testing.assert_allclose(counts[0], expected, rtol=1e-9)


def test_a_lamp_line_of_any_profile_comes_back_as_it_was_counted() -> None:
    edges = np.linspace(-2e-3, 2e-3, 61)
    core = stats.norm(0.0, 1.4e-4).cdf(edges)
    tail = stats.norm(-3e-4, 2.5e-4).cdf(edges)
    lamp = 1e6 * np.diff(0.85 * core + 0.15 * tail)

    profile = InstrumentProfile.from_counts([2.39], edges, lamp)
    table = LineTable(
        [Line((("e", 1.0),), "w", ("a",), Shape.PROFILE)], background_order=0, profile=profile
    )
    seen, _ = table.evaluate(np.array([[2.39, 1e-9, 1e6, 0.0]]), 2.39 + edges)

    np.testing.assert_allclose(seen[0], lamp, atol=2e-3 * lamp.max())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda: Line((), "w", ("a", "b", "c", "d")), "more than three"),
        (lambda: Line((), "w", ("a",), Shape.VOIGT), "needs a lorentz_width"),
        (lambda: Line((), "w", ("a",), lorentz_width="l"), "in a gauss line"),
        (lambda: Line((), "", ("a",)), "needs a width"),
        (
            lambda: LineTable([Line((), "w", ("a",), Shape.PROFILE)], background_order=0),
            "needs the instrument profile",
        ),
    ],
)
def test_a_row_that_makes_no_line_is_refused(row: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": np.array([[0.5, 0.4, 0.05]] * 2)}, "must be 1"),
        ({"energy_eV": np.array([2.4, 2.3])}, "must rise"),
        ({"energy_eV": np.array([2.4])}, "for 1 places"),
        ({"offset_eV": np.zeros((2, 2))}, "offset_eV must be finite numbers of shape"),
        ({"gauss_fwhm_eV": np.zeros((2, 3))}, "every component needs a width"),
    ],
)
def test_a_profile_that_is_none_is_refused(
    change: dict[str, NDArray[np.float64]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PROFILE, **change)


def test_a_lamp_line_without_light_is_no_profile() -> None:
    with pytest.raises(ValueError, match="says nothing of the profile"):
        InstrumentProfile.from_counts([2.39], np.linspace(-1e-3, 1e-3, 21), np.zeros(20))


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

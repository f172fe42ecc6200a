"""Line shapes against scipy's profiles, quadrature and differences."""

import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import voigt_profile

from analysis.estimation.lineshapes import (
    PixelShape,
    gauss,
    gauss_in_pixels,
    lorentz,
    lorentz_in_pixels,
    voigt,
    voigt_fwhm,
    voigt_in_pixels,
)

SIGMA = 1.0 / 2.3548200450309493
WIDTHS = [(1.0, 1.0), (1.0, 0.01), (1.0, 0.1), (0.1, 1.0), (0.01, 1.0), (1.0, 10.0), (1.0, 0.0)]
PLACES = np.concatenate([np.linspace(-60.0, 60.0, 1201), [-1e4, 1e4]])


def exact(gauss_fwhm: float, lorentz_fwhm: float) -> Callable[[NDArray], NDArray]:
    return lambda x: voigt_profile(x, gauss_fwhm * SIGMA, 0.5 * lorentz_fwhm)


@pytest.mark.parametrize(("wide", "narrow"), WIDTHS)
def test_voigt_agrees_with_scipy_to_a_millionth_of_itself(wide: float, narrow: float) -> None:
    shape = voigt(PLACES + 0.3, centre=0.3, gauss_fwhm=wide, lorentz_fwhm=narrow)

    np.testing.assert_allclose(shape.part, exact(wide, narrow)(PLACES), rtol=1e-8, atol=1e-25)


def test_a_voigt_without_gaussian_is_the_lorentzian_and_without_lorentzian_the_gaussian() -> None:
    pure = lorentz(PLACES, centre=0.3, fwhm=0.7)
    limit = voigt(PLACES, centre=0.3, gauss_fwhm=0.0, lorentz_fwhm=0.7)
    np.testing.assert_allclose(limit.part, pure.part, rtol=1e-9)
    np.testing.assert_allclose(limit.by_width[1], pure.by_width[0], rtol=1e-8, atol=1e-18)

    pure = gauss(PLACES, centre=0.3, fwhm=0.7)
    limit = voigt(PLACES, centre=0.3, gauss_fwhm=0.7, lorentz_fwhm=0.0)
    np.testing.assert_allclose(limit.part, pure.part, rtol=1e-9, atol=1e-25)


def test_acceptance_7_width_of_a_voigt_of_equal_parts() -> None:
    assert voigt_fwhm(1.0, 1.0) == pytest.approx(1.6376, abs=0.0005)
    assert voigt_fwhm(1.0, 1.0) == pytest.approx(1.637595, abs=1e-6)
    assert voigt_fwhm(2.0, 0.0) == 2.0
    assert voigt_fwhm(0.0, 2.0) == pytest.approx(2.0, rel=1e-9)


Shaped = Callable[..., PixelShape]
CASES: list[tuple[Shaped, dict[str, float]]] = [
    (gauss, {"fwhm": 0.7}),
    (lorentz, {"fwhm": 0.7}),
    (voigt, {"gauss_fwhm": 0.7, "lorentz_fwhm": 0.2}),
    (voigt, {"gauss_fwhm": 0.1, "lorentz_fwhm": 0.9}),
    (gauss_in_pixels, {"fwhm": 0.7}),
    (lorentz_in_pixels, {"fwhm": 0.7}),
    (voigt_in_pixels, {"gauss_fwhm": 0.7, "lorentz_fwhm": 0.2}),
    (voigt_in_pixels, {"gauss_fwhm": 0.1, "lorentz_fwhm": 0.9}),
    (voigt_in_pixels, {"gauss_fwhm": 0.02, "lorentz_fwhm": 0.01}),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("shape", "widths"), CASES)
def test_derivatives_agree_with_differences(
    shape: Shaped, widths: dict[str, float], turned: bool
) -> None:
    x = np.linspace(-9.0, 9.0, 181)[:: -1 if turned else 1]
    at = shape(x, centre=0.03, **widths)
    step = 1e-4 * min(widths.values())

    def difference(**changed: float) -> NDArray:
        named = {"centre": 0.03, **widths}
        up = shape(x, **{k: v + changed.get(k, 0.0) for k, v in named.items()}).part
        down = shape(x, **{k: v - changed.get(k, 0.0) for k, v in named.items()}).part
        return (up - down) / (2.0 * step)

    scale = np.abs(at.by_centre).max()
    np.testing.assert_allclose(at.by_centre, difference(centre=step), atol=1e-6 * scale)
    for name, derivative in zip(widths, at.by_width, strict=True):
        np.testing.assert_allclose(derivative, difference(**{name: step}), atol=1e-6 * scale)


@pytest.mark.parametrize(
    ("wide", "narrow", "pixel"),
    [
        (1.0, 0.3, 0.1),
        (1.0, 0.3, 1.0),
        (0.3, 1.0, 1.0),
        (0.2, 0.05, 1.0),
        (0.0, 1.0, 1.0),
        (1.0, 0.0, 1.5),
        (0.01, 1.0, 0.5),
    ],
)
def test_pixels_hold_the_integral_of_a_voigt(wide: float, narrow: float, pixel: float) -> None:
    edges = pixel * (np.arange(-12, 13) + 0.37)
    edges[1:] += 0.05 * pixel  # not all of one size

    part = voigt_in_pixels(edges, centre=0.0, gauss_fwhm=wide, lorentz_fwhm=narrow).part

    near = [place for place in (-wide, -narrow, 0.0, narrow, wide) if place]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quad is asked for more digits than it can promise
        expected = [
            quad(
                exact(wide, narrow), low, high, epsabs=1e-14, epsrel=1e-13,
                points=[p for p in [0.0, *near] if low < p < high] or None,
            )[0]
            for low, high in pairwise(edges)
        ]  # fmt: skip
    np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "pixelled"), [(gauss, gauss_in_pixels), (lorentz, lorentz_in_pixels)]
)
def test_pixels_hold_the_integral_of_gauss_and_lorentz(shape: Shaped, pixelled: Shaped) -> None:
    edges = np.linspace(-8.0, 8.0, 33) + 0.11

    part = pixelled(edges, centre=0.0, fwhm=0.8).part

    expected = [
        quad(lambda x: float(shape(x, centre=0.0, fwhm=0.8).part), a, b, epsabs=0.0, epsrel=1e-11)[
            0
        ]
        for a, b in pairwise(edges[8:25])
    ]
    np.testing.assert_allclose(part[8:24], expected, rtol=1e-9)


def test_the_parts_in_all_pixels_make_up_the_line_however_it_falls_on_them() -> None:
    edges = np.linspace(-1e3, 1e3, 2001)

    for centre in (0.0, 0.5, 0.123):
        for shape, widths in CASES[4:]:
            part = shape(edges, centre=centre, **widths).part
            assert part.sum() == pytest.approx(1.0, abs=5e-4)  # a Lorentzian reaches far
            assert (part >= 0.0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gauss([0.0], centre=0.0, fwhm=0.0), "fwhm 0.0 must be finite and positive"),
        (lambda: lorentz([0.0], centre=0.0, fwhm=np.nan), "fwhm nan must be"),
        (lambda: voigt([0.0], centre=0.0, gauss_fwhm=-1.0, lorentz_fwhm=1.0), "gauss_fwhm -1.0"),
        (lambda: voigt([0.0], centre=0.0, gauss_fwhm=0.0, lorentz_fwhm=0.0), "both 0"),
        (lambda: gauss_in_pixels([1.0], centre=0.0, fwhm=1.0), "2 or more"),
        (lambda: lorentz_in_pixels([1.0, 2.0, 1.5], centre=0.0, fwhm=1.0), "edges 1 and 2"),
    ],
)
def test_a_shape_that_is_none_is_refused(call: Callable[[], PixelShape], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Nonlinear least squares against the certified results of NIST, and what it says when it fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy import arctan, cos, exp, pi, sin
from numpy.typing import NDArray

from analysis.estimation.curve_fit import CurveFit, fit_curve
from analysis.estimation.verdict import Verdict

if TYPE_CHECKING:
    from conftest import MakeRng

PROBLEMS = Path(__file__).parents[3] / "shared/data/nist_strd"
Array = NDArray[np.float64]

needs_problems = pytest.mark.skipif(
    not PROBLEMS.exists(), reason="the NIST problems (../shared/data) are not here"
)


def gauss(b: Array, x: Array) -> Array:
    first = b[2] * exp(-((x - b[3]) ** 2) / b[4] ** 2)
    return b[0] * exp(-b[1] * x) + first + b[5] * exp(-((x - b[6]) ** 2) / b[7] ** 2)


def enso(b: Array, x: Array) -> Array:
    year, first, second = 2 * pi * x / 12, 2 * pi * x / b[3], 2 * pi * x / b[6]
    annual = b[0] + b[1] * cos(year) + b[2] * sin(year)
    slow = b[4] * cos(first) + b[5] * sin(first) + b[7] * cos(second) + b[8] * sin(second)
    return annual + slow


def cubic_over_cubic(b: Array, x: Array) -> Array:
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def three_decays(b: Array, x: Array) -> Array:
    return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x)


def decay_over_line(b: Array, x: Array) -> Array:
    return exp(-b[0] * x) / (b[1] + b[2] * x)


# As printed in each file.
CURVES: dict[str, Callable[[Array, Array], Array]] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": lambda b, x: b[0] * (1 - exp(-b[1] * x)),
    "Chwirut1": decay_over_line,
    "Chwirut2": decay_over_line,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": enso,
    "Eckerle4": lambda b, x: b[0] / b[1] * exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Hahn1": cubic_over_cubic,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": three_decays,
    "Lanczos2": three_decays,
    "Lanczos3": three_decays,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4]),
    "Misra1a": lambda b, x: b[0] * (1 - exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * exp(-b[2] * x[1]),
    "Rat42": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - arctan(b[2] / (x - b[3])) / pi,
    "Thurber": cubic_over_cubic,
}


@dataclass(frozen=True)
class Problem:
    name: str
    starts: tuple[Array, Array]
    certified: Array
    certified_errors: Array
    x: Array
    y: Array

    def fit(self, start: int, most_evaluations: int = 20_000) -> CurveFit:
        names = [f"b{k}" for k in range(1, self.certified.size + 1)]
        return fit_curve(
            lambda b: CURVES[self.name](b, self.x),
            self.y,
            start=self.starts[start - 1],
            names=names,
            most_evaluations=most_evaluations,
        )

    def digits(self, fit: CurveFit) -> tuple[float, float]:
        """Return how many digits of all parameters and of all errors are right."""
        off = np.abs(fit.values - self.certified) / np.abs(self.certified)
        error_off = np.abs(fit.errors - self.certified_errors) / self.certified_errors
        tiny = 1e-16
        return -float(np.log10(off.max() + tiny)), -float(np.log10(error_off.max() + tiny))


def problem(name: str) -> Problem:
    text = (PROBLEMS / f"{name}.dat").read_text()
    row = r"^\s*b\d+ =\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)"
    table = np.array(re.findall(row, text, re.MULTILINE), dtype=float)
    points = text[text.rindex("Data:") :].splitlines()[1:]
    y, *x = np.array([line.split() for line in points if line.split()], dtype=float).T
    y = np.log(y) if name == "Nelson" else y
    x = x[0] if len(x) == 1 else np.array(x)
    return Problem(name, (table[:, 0], table[:, 1]), table[:, 2], table[:, 3], x, y)


@needs_problems
@pytest.mark.parametrize("name", sorted(CURVES))
def test_all_nist_problems_from_the_near_start_have_three_digits(name: str) -> None:
    fit = problem(name).fit(2)

    digits, _ = problem(name).digits(fit)
    assert fit.verdict is Verdict.CONVERGED, fit.reason
    assert digits >= 3.0


@needs_problems
@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", ["Gauss1", "Gauss2", "Gauss3", "Eckerle4"])
def test_peaks_have_six_digits_and_four_in_the_errors_from_both_starts(
    name: str, start: int
) -> None:
    digits, error_digits = problem(name).digits(problem(name).fit(start))

    assert digits >= 6.0
    assert error_digits >= 4.0


@needs_problems
@pytest.mark.parametrize("name", sorted(CURVES))
def test_from_the_far_start_the_result_is_right_or_said_to_be_none(name: str) -> None:
    fit = problem(name).fit(1)

    digits, _ = problem(name).digits(fit)
    assert digits >= 3.0 or fit.verdict in (Verdict.FAILED, Verdict.ILL_DETERMINED)


@needs_problems
def test_a_fit_that_ran_out_of_evaluations_is_reported_as_not_converged() -> None:
    fit = problem("MGH17").fit(1, most_evaluations=200)

    digits, _ = problem("MGH17").digits(fit)
    assert digits < 3.0
    assert fit.verdict is Verdict.FAILED
    assert "not converged after 200 evaluations" in fit.reason


@needs_problems
def test_a_fit_that_ended_where_a_parameter_changes_nothing_names_it() -> None:
    fit = problem("BoxBOD").fit(1)

    assert fit.verdict is Verdict.ILL_DETERMINED
    assert fit.reason == "the points do not determine b2"


X = np.linspace(0.0, 5.0, 40)


def decay(b: Array) -> Array:
    return b[0] * exp(-b[1] * X)


def test_errors_given_are_believed_and_judged(make_rng: MakeRng) -> None:
    rng = make_rng("errors given")
    observed = decay(np.array([5.0, 0.7])) + 0.1 * rng.standard_normal(X.size)

    sound = fit_curve(decay, observed, start=[3.0, 1.0], names=("a", "rate"), sigma=0.1)
    optimistic = fit_curve(decay, observed, start=[3.0, 1.0], names=("a", "rate"), sigma=0.02)
    unknown = fit_curve(decay, observed, start=[3.0, 1.0], names=("a", "rate"))

    assert sound.verdict is Verdict.CONVERGED or sound.chi2 > 2.0 * sound.dof  # 1 of 10 000
    assert sound["rate"] == pytest.approx(0.7, abs=5.5 * sound.error("rate"))
    assert 0.0 < sound.correlation("a", "rate") < 1.0
    assert optimistic.verdict is Verdict.POOR_FIT
    assert optimistic.error("a") == pytest.approx(0.2 * sound.error("a"), rel=1e-3)
    scale = np.sqrt(sound.chi2 / sound.dof)
    assert unknown.error("a") == pytest.approx(scale * sound.error("a"), rel=1e-6)


def test_an_analytic_jacobian_gives_the_same_fit() -> None:
    observed = decay(np.array([5.0, 0.7])) + 0.1 * np.sin(40.0 * X)
    settings = {"start": [3.0, 1.0], "names": ("a", "rate")}

    by_differences = fit_curve(decay, observed, **settings)
    analytic = fit_curve(
        decay,
        observed,
        jacobian=lambda b: np.column_stack([exp(-b[1] * X), -b[0] * X * exp(-b[1] * X)]),
        **settings,
    )

    np.testing.assert_allclose(analytic.values, by_differences.values, rtol=1e-8)
    np.testing.assert_allclose(analytic.covariance, by_differences.covariance, rtol=1e-6)


def test_a_parameter_at_its_bound_is_named_and_has_no_error() -> None:
    observed = decay(np.array([5.0, 0.7]))

    fit = fit_curve(
        decay, observed, start=[3.0, 0.4], names=("a", "rate"), bounds=([0, 0], [9, 0.5]), sigma=1.0
    )

    assert fit.verdict is Verdict.AT_A_BOUND
    assert fit.reason == "rate at the end of the allowed range"
    assert fit["rate"] == pytest.approx(0.5)
    assert fit.error("rate") == 0.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"observed": np.full(40, np.nan)}, "one row of finite values"),
        ({"start": [1.0]}, r"start of shape \(1,\) for 2 parameters"),
        ({"observed": np.ones(1)}, "1 points cannot determine 2 parameters"),
        ({"start": [np.nan, 1.0]}, "gives no curve of 40 finite values"),
        ({"sigma": np.where(X > 1.0, 0.0, 1.0)}, "sigma: point 8 is 0.0"),
    ],
)
def test_points_that_cannot_be_fitted_are_refused(changed: dict[str, Array], message: str) -> None:
    settings = {"observed": np.ones(40), "start": [3.0, 1.0], "names": ("a", "rate")} | changed

    with pytest.raises(ValueError, match=message):
        fit_curve(decay, **settings)

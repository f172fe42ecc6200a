"""Errors that a scatter known from the same points leaves: Student's, and of enlarged weights."""

import numpy as np
import pytest
from scipy.stats import t as student

from analysis.laws.law_fit import fit_law
from analysis.laws.uncertain_scatter import interval_95, student_sigmas, uncertain_scatter


def test_points_that_scatter_alike_leave_as_many_degrees_of_freedom_as_residuals() -> None:
    design = np.column_stack([np.ones(9), np.arange(9.0), np.arange(9.0) ** 2])
    scatter = np.eye(9)

    found = uncertain_scatter(design, 4.0 * scatter, [scatter])

    # Ordinary least squares: all weights are equal, whatever the scatter.
    assert found.dofs() == pytest.approx([6.0, 6.0, 6.0])
    assert found.covariance == pytest.approx(4.0 * np.linalg.inv(design.T @ design), rel=1e-9)


def test_two_groups_of_different_scatter_are_worth_what_welch_says() -> None:
    # B. L. Welch, Biometrika 34, 28 (1947): the difference of the means of two samples.
    few, many, little, much = 5, 12, 0.3, 2.0
    first = np.arange(few + many) < few
    design = np.column_stack([np.ones(few + many), ~first])
    parts = [np.diag(first.astype(float)), np.diag((~first).astype(float))]

    found = uncertain_scatter(design, little * parts[0] + much * parts[1], parts)

    a, b = little / few, much / many
    assert found.dof([0.0, 1.0]) == pytest.approx((a + b) ** 2 / (a**2 / 4 + b**2 / 11))


def test_uncertain_weights_enlarge_the_errors() -> None:
    # The mean of points of which some have an error that is known, and some do not.
    known = np.array([1e-3, 1e-3, 1e-3, 4.0, 4.0, 4.0, 9.0, 9.0])
    scatter = np.eye(8)

    found = uncertain_scatter(np.ones((8, 1)), np.diag(known) + scatter, [scatter])

    assert found.covariance[0, 0] > 1.01 * found.plain[0, 0]
    assert 2.0 < found.dof([1.0]) < 7.0


def test_an_error_that_is_known_well_is_a_gaussians() -> None:
    assert student_sigmas(1.0, np.inf) == pytest.approx(1.0)
    assert interval_95(3.0, 0.5, np.inf) == pytest.approx((3.0 - 0.98, 3.0 + 0.98), abs=1e-3)


@pytest.mark.parametrize("dof", [1.0, 4.0, 30.0])
def test_intervals_are_those_of_students_table(dof: float) -> None:
    error = student.ppf(0.841345, dof)

    low, high = interval_95(0.0, error, dof)

    assert (low, high) == pytest.approx((-student.ppf(0.975, dof), student.ppf(0.975, dof)), 1e-4)


def test_a_line_through_few_scattered_points_has_students_errors() -> None:
    x = np.arange(8.0)
    y = 1.0 + 2.0 * x + np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])

    fit = fit_law(
        lambda at, p: p[0] + p[1] * at, x, y, np.full(8, 1e-4), start=[0.0, 1.0], names=("a", "b")
    )

    # Least squares of 8 residuals of 1 about a line with 6 degrees of freedom.
    residual2 = float(np.sum((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2))
    usual = np.sqrt(residual2 / 6.0 / np.sum((x - x.mean()) ** 2))
    assert fit.error("b") == pytest.approx(usual * student.ppf(0.841345, 6), rel=1e-3)
    assert np.ptp(fit.interval_95("b")) == pytest.approx(2 * usual * student.ppf(0.975, 6), 1e-3)
    assert "which 6 degrees of freedom know" in fit.reason

"""Every law of the registry takes the same columns, returns a verdict, and refuses bad points."""

import numpy as np
import pytest

from analysis.estimation.verdict import Verdict
from analysis.laws.laws import LAWS

PLACES = {
    "field_kV_per_cm": np.linspace(-100.0, 100.0, 21),
    "angle_deg": np.linspace(0.0, 180.0, 21),
    "temperature_K": np.linspace(5.0, 200.0, 21),
    "replica_order": np.array([0.0, 1.0, 2.0]),
    "power": np.geomspace(0.01, 1.0, 21),
    "scaled_size": np.linspace(1.0, 4.0, 21),
    "time_s": np.arange(21.0),
}


def points(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = PLACES[LAWS[name].sweep]
    return x, 100.0 + 0.1 * np.sin(np.arange(x.size)), np.full(x.size, 1.0)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_every_law_says_what_it_is_worth(name: str) -> None:
    result = LAWS[name].fit(*points(name))

    assert isinstance(result.verdict, Verdict)
    assert result.reason


@pytest.mark.parametrize("wrong", ["shorter", "not finite", "no error"])
@pytest.mark.parametrize("name", sorted(LAWS))
def test_every_law_refuses_points_that_are_none(name: str, wrong: str) -> None:
    x, y, sigma = points(name)
    if wrong == "shorter":
        y = y[:-1]
    elif wrong == "not finite":
        y = np.where(np.arange(y.size) == 1, np.nan, y)
    else:
        sigma = np.where(np.arange(y.size) == 1, np.nan, sigma)

    with pytest.raises(ValueError, match=r"has shape|point \d+|broadcast"):
        LAWS[name].fit(x, y, sigma)


@pytest.mark.parametrize("name", [n for n, law in LAWS.items() if law.fit_with_x_errors])
def test_errors_of_the_swept_quantity_make_no_law_surer(name: str) -> None:
    x, y, sigma = points(name)
    law = LAWS[name]

    alone = law.fitted(x, y, sigma, np.zeros_like(x))
    both = law.fitted(x, y, sigma, np.full_like(x, 0.02 * np.ptp(x)))

    assert type(both) is type(alone)
    assert both.verdict.value
    for field in ("half_polarizability_error", "errors"):
        if hasattr(alone, field):
            assert np.max(getattr(both, field)) >= 0.9 * np.max(getattr(alone, field))


@pytest.mark.parametrize("name", ["parabola", "cos2", "onset", "energy"])
def test_a_law_that_the_points_do_not_follow_says_that_residuals_keep_their_sign(name: str) -> None:
    law = LAWS[name]
    x = np.linspace(*{"field_kV_per_cm": (-100, 100), "angle_deg": (0, 175)}.get(
        law.sweep, (5, 200)), 40)  # fmt: skip
    phase = 2.0 * np.pi * (x - x[0]) / np.ptp(x)
    curve = {"parabola": 2e-4 * phase**2, "cos2": np.cos(phase), "onset": 0 * x, "energy": 0 * x}
    y = 10.0 + curve[name] + 0.3 * np.sin(3.0 * phase)

    result = law.fit(x, y, np.full(x.size, 0.3))

    said = " ".join((result.reason, *getattr(result, "warnings", ())))
    assert "residuals keep their sign for too long" in said

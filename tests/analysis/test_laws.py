"""Every law of the registry takes the same columns, returns a verdict, and refuses bad points."""

import numpy as np
import pytest

from analysis.laws import LAWS
from analysis.verdict import Verdict

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

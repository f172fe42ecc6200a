"""What a further line has to gain: against chi-square, Hermite polynomials and its limits."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss, hermeval
from scipy import stats

from analysis.spectra.line_evidence import false_rate, feigned_gain, needed_gain, penalised


@pytest.mark.parametrize("period_in_widths", [0.6, 0.9, 1.2, 1.7, 2.5, 4.0])
@pytest.mark.parametrize("phase", [0.0, 0.7, 1.57])
def test_ripple_feigns_at_most_what_third_and_fourth_order_hold(
    period_in_widths: float, phase: float
) -> None:
    place, weight = hermegauss(120)
    weight = weight / weight.sum()
    ripple = np.cos(2.0 * np.pi * place / (period_in_widths * 2.3548) + phase)
    taken = 0.0
    for order, factorial in ((3, 6.0), (4, 24.0)):
        shape = hermeval(place, np.eye(5)[order]) / np.sqrt(factorial)
        taken += float((weight * ripple * shape).sum()) ** 2

    most = feigned_gain(1.0 / np.sqrt(2.0), 1.0)  # rms of a cosine of height 1

    assert taken <= most
    assert most <= 0.23


def test_in_few_pixels_chance_asks_for_more_than_the_criterion_of_bayes() -> None:
    assert needed_gain(2, 47, 0.0) == pytest.approx(stats.chi2.isf(0.0025 / 3.0, 2))
    assert needed_gain(3, 1024, 0.0) == pytest.approx(3.0 * np.log(1024))


def test_a_gain_beyond_what_is_feigned_is_by_chance_once_in_740() -> None:
    assert needed_gain(2, 1024, 100.0) == pytest.approx((10.0 + 3.0) ** 2)
    assert false_rate(169.0, 2, 100.0) == pytest.approx(stats.norm.sf(3.0))
    assert false_rate(50.0, 2, 100.0) > 0.9
    assert false_rate(9.21, 2, 0.0) == pytest.approx(0.03, rel=1e-3)
    assert false_rate(-1.0, 2, 0.0) == 1.0


def test_light_that_is_none_feigns_nothing() -> None:
    assert feigned_gain(0.018, -50.0) == 0.0


def test_a_line_that_gains_too_little_is_made_up_for_by_the_next_one_only_if_both_pay() -> None:
    assert int(np.argmin(penalised([100.0, 95.0, 60.0], [14.0, 14.0]))) == 2
    assert int(np.argmin(penalised([100.0, 95.0, 80.0], [14.0, 14.0]))) == 0
    assert penalised([100.0], [14.0, 14.0]).tolist() == [100.0]

"""Laws to be drawn and read out, from points that lie on them exactly."""

import numpy as np
import pytest

from analysis.estimation.verdict import Verdict
from analysis.laws.law_curve import law_curve, law_words
from analysis.laws.laws import LAWS

K_EV = 8.617333262e-5


def bose(energy_eV, temperature_K):
    return 1.0 / np.expm1(energy_eV / (K_EV * temperature_K))


def test_a_parabola_is_drawn_as_far_as_its_vertex_and_says_its_internal_field():
    field = np.linspace(-100.0, 100.0, 21)
    energy = 2.39 + 1.6e-5 * field - 4e-8 * field**2  # vertex at +200 kV/cm
    wiggle = 1e-6 * (-1.0) ** np.arange(21)

    result = LAWS["parabola"].fit(field, energy + wiggle, np.full(21, 1e-6))
    x, y = law_curve("parabola", result, field, energy)

    assert x[0] == -100.0
    assert x[-1] == pytest.approx(200.0, rel=0.01)
    np.testing.assert_allclose(y, 2.39 + 1.6e-5 * x - 4e-8 * x**2, atol=2e-6)
    assert law_words(result).startswith("internal field -200")
    assert "kV/cm, extrapolated" in law_words(result)


def test_a_parabola_without_curvature_says_that_its_field_is_not_determined():
    field = np.linspace(-100.0, 100.0, 21)
    energy = 2.39 + 1.6e-5 * field + 1e-6 * (-1.0) ** np.arange(21)

    result = LAWS["parabola"].fit(field, energy, np.full(21, 1e-6))
    x, _ = law_curve("parabola", result, field, energy)

    assert result.verdict is Verdict.ILL_DETERMINED
    assert law_words(result) == "internal field not determined"
    assert x[0] >= -450.0
    assert x[-1] <= 450.0


def test_a_polarization_law_goes_once_around():
    angle = np.arange(0.0, 180.0, 10.0)
    light = 300.0 + 700.0 * np.cos(np.deg2rad(angle - 25.0)) ** 2
    wiggle = 1.0 * (-1.0) ** np.arange(18)

    result = LAWS["cos2"].fit(angle, light + wiggle, np.ones(18))
    x, y = law_curve("cos2", result, angle, light)

    assert (x[0], x[-1]) == (0.0, 360.0)
    np.testing.assert_allclose(y, 300.0 + 700.0 * np.cos(np.deg2rad(x - 25.0)) ** 2, atol=2.0)
    assert law_words(result).startswith("axis 25.0")
    assert "visibility 0.538" in law_words(result)


def test_a_linewidth_over_temperature_is_drawn_over_what_was_measured():
    temperature = np.linspace(5.0, 300.0, 40)
    width = 1e-3 + 2e-5 * temperature + 0.04 * bose(0.018, temperature)
    wiggle = 1e-6 * (-1.0) ** np.arange(40)

    result = LAWS["linewidth"].fit(temperature, width + wiggle, np.full(40, 1e-6))
    x, y = law_curve("linewidth", result, temperature, width)

    assert (x[0], x[-1]) == (5.0, 300.0)
    np.testing.assert_allclose(y, 1e-3 + 2e-5 * x + 0.04 * bose(0.018, x), rtol=1e-3)
    assert "gamma 0 1.0" in law_words(result)
    assert "meV" in law_words(result)


def test_an_energy_over_temperature_is_drawn_over_what_was_measured():
    temperature = np.linspace(5.0, 300.0, 40)
    energy = 2.3 + 2e-4 * temperature - 0.02 * (2.0 * bose(0.015, temperature) + 1.0)

    result = LAWS["energy"].fit(
        temperature, energy + 1e-6 * (-1.0) ** np.arange(40), np.full(40, 1e-6)
    )
    x, y = law_curve("energy", result, temperature, energy)

    np.testing.assert_allclose(y, 2.3 + 2e-4 * x - 0.02 * (2.0 * bose(0.015, x) + 1.0), atol=1e-5)
    assert "eV" in law_words(result)


def test_an_onset_is_drawn_through_its_points_and_says_its_temperature():
    temperature = np.arange(100.0, 180.0, 5.0)
    bend = np.maximum(temperature - 140.0, 0.0)
    energy = 2.3 + 3e-4 * temperature - 9e-4 * bend + 1e-5 * (-1.0) ** np.arange(16)

    result = LAWS["onset"].fit(temperature, energy, np.full(16, 1e-5))
    x, y = law_curve("onset", result, temperature[::-1], energy[::-1])

    assert x.tolist() == temperature.tolist()
    np.testing.assert_allclose(y, 2.3 + 3e-4 * x - 9e-4 * np.maximum(x - 140.0, 0.0), atol=3e-5)
    found = float(law_words(result).split("at ")[1].split()[0])
    assert found == pytest.approx(140.0, abs=1.0)


def test_no_onset_is_said():
    temperature = np.arange(100.0, 180.0, 5.0)
    energy = 2.3 + 3e-4 * temperature + 1e-5 * (-1.0) ** np.arange(16)

    result = LAWS["onset"].fit(temperature, energy, np.full(16, 1e-5))

    assert law_words(result) == "no onset of a transition"


POWERS = np.geomspace(0.01, 1.0, 15)


@pytest.mark.parametrize(
    ("law", "x", "curve"),
    [
        ("power", POWERS, lambda p: 1e5 * p**1.5),
        ("exciton_saturation", POWERS, lambda p: 1e5 * (1.0 - np.exp(-p / 0.3))),
        (
            "biexciton_saturation",
            POWERS,
            lambda p: 1e5 * (1.0 - (1.0 + p / 0.3) * np.exp(-p / 0.3)),
        ),
        ("binding", np.linspace(1.0, 4.0, 15), lambda size: 0.25 + 2.6 / size**2),
    ],
)
def test_a_law_is_drawn_as_it_is_written(law, x, curve):
    result = LAWS[law].fit(x, curve(x), np.sqrt(np.maximum(curve(x), 1e-3)))

    place, value = law_curve(law, result, x, curve(x))

    assert (place[0], place[-1]) == pytest.approx((x[0], x[-1]))
    np.testing.assert_allclose(value, curve(place), rtol=2e-3)


def test_replicas_are_drawn_at_whole_orders():
    areas = 1e4 * np.exp(-0.2) * np.array([1.0, 0.2, 0.02])

    result = LAWS["huang_rhys"].fit(np.arange(3.0), areas, np.full(3, 10.0))
    order, area = law_curve("huang_rhys", result, np.arange(3.0), areas)

    assert order.tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(area, areas, rtol=1e-3)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_every_law_of_the_registry_has_a_curve_and_words(law):
    starts = {"field_kV_per_cm": -100.0, "replica_order": 0.0, "angle_deg": 0.0}
    low = starts.get(LAWS[law].sweep, 1.0)
    x = np.arange(3.0) if law == "huang_rhys" else np.linspace(low, 170.0, 18)
    y = 2.35 + 1e-4 * np.sin(np.arange(x.size)) + 1e-4 * x

    result = LAWS[law].fit(x, y, np.full(x.size, 1e-4))
    place, value = law_curve(law, result, x, y)

    assert place.shape == value.shape
    assert place.size >= x.size
    assert np.isfinite(value).all()
    assert law_words(result) or law.startswith("size")

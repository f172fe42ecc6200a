"""Quantities with units, from what a person writes."""

import subprocess
import sys

import pytest
from pydantic_core import PydanticCustomError

from acquisition.configuration.axis_points import read_points
from acquisition.configuration.quantity import key_of, parse_quantity, unit_of


@pytest.mark.parametrize(
    ("written", "unit", "value"),
    [
        ("5.5 K", "K", 5.5),
        ("5500 mK", "K", 5.5),
        ("-270 degC", "K", 3.15),
        ("203.15 K", "degC", -70.0),
        ("100 kV/cm", "kV/cm", 100.0),
        ("10 V/um", "kV/cm", 100.0),
        ("10 MV/m", "kV/cm", 100.0),
        ("10 um", "um", 10.0),
        ("10 µm", "um", 10.0),
        ("0.1mm", "um", 100.0),
        ("50 ms", "s", 0.05),
        ("2 h", "s", 7200.0),
        ("10 K/min", "K/min", 10.0),
        ("0.05 K/s", "K/min", 3.0),
        ("10 Mohm", "ohm", 1e7),
        ("100 nA", "A", 1e-7),
        ("1.5e3 meV", "eV", 1.5),
        ("-.5 V", "V", -0.5),
    ],
)
def test_a_quantity_is_a_float_in_the_unit_asked_for(written: str, unit: str, value: float) -> None:
    assert parse_quantity(written, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "written",
    [
        "5.5", 5.5, 5, True, None, [], {}, "", "K", "5.5 V", "5.5 apples", "nan K", "inf K",
        "1e999 K", "1e308 kK", "5 K K", "5 K/", "5 2*K", "5 __import__('os')", "5 K 'a'", "5,5 K",
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_the_unit_expected(written: object) -> None:
    with pytest.raises(PydanticCustomError, match=r'finite number with a unit.* K, .*"5.5 K"'):
        parse_quantity(written, "K")


def test_the_unit_is_the_end_of_the_field_name() -> None:
    assert (unit_of("ramp_K_per_min"), key_of("ramp_K_per_min")) == ("K/min", "ramp")
    assert (unit_of("max_field_kV_per_cm"), key_of("max_field_kV_per_cm")) == (
        "kV/cm",
        "max_field",
    )
    assert key_of("material") == "material"
    with pytest.raises(KeyError, match="material does not end in a unit"):
        unit_of("material")


def test_pint_is_loaded_only_for_a_conversion() -> None:
    script = (
        "import sys; from acquisition.configuration.quantity import parse_quantity as p; "
        "p('5 K', 'K'); "
        "print('pint' in sys.modules); p('5 mK', 'K'); print('pint' in sys.modules)"
    )

    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert output.stdout.split() == ["False", "True"]


def test_segments_are_values_and_ranges() -> None:
    points = read_points("5.5, 10..40 step 10, 2..1 step -0.5", "K")

    assert points == (5.5, 10, 20, 30, 40, 2, 1.5, 1)


def test_a_range_has_the_decimals_that_a_person_would_write() -> None:
    points = read_points({"start": -0.3, "stop": 0.3, "step": 0.1}, "V")

    assert points == (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    assert str(points[3]) == "0.0"  # not -0.0


def test_a_list_mixes_numbers_and_quantities() -> None:
    assert read_points([5.5, "10 K", "20000 mK"], "K") == (5.5, 10.0, 20.0)


def test_a_count_is_an_axis_without_unit() -> None:
    assert read_points(3, "") == (0.0, 1.0, 2.0)


def test_a_huge_count_is_refused_without_counting_to_it() -> None:
    with pytest.raises(ValueError, match="at most 100000 values"):
        read_points(10**18, "")


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        (5, "a list, a range"),
        (True, "a list, a range"),
        ("5.5; 10", "a list, a range"),
        ("1..10", "a list, a range"),
        ("", "a list, a range"),
        ({"start": 1, "stop": 2}, "a list, a range"),
        ({"start": 1, "stop": 2, "step": 1, "count": 3}, "a list, a range"),
        ([], "at least one value"),
        ([1.0, float("inf")], "finite values only"),
        ({"start": 0, "stop": float("nan"), "step": 1}, "finite values only"),
        ("0..1e9 step 1e-3", "in at most 100000 steps"),
        ("1, 2, 1", "every value once, but 1 occurs twice"),
        ("0..1 step 0.3", "a step that ends at 1: 0.3 from 0 does not"),
        ([None], "a finite number with a unit"),
    ],
)
def test_other_points_are_refused(written: object, allowed: str) -> None:
    with pytest.raises(PydanticCustomError, match=allowed):
        read_points(written, "K")

"""Every condition is read back after the exposure; NaN never holds."""

from math import isnan, nan

import pytest

from acquisition.planning.point_table import PointKind
from acquisition.running.verification import READING_UNITS
from drivers.roles import Reading, ReadingStatus


@pytest.fixture
def verifier(bench, rows):
    bench.build(rows(1, temperature_K=5.5, voltage_V=0.0, angle_deg=0.0))
    bench.prepare()
    bench.spectrograph.place = (510.0, 0)
    bench.vigil.look()
    bench.monitors.mark()
    return bench.engine._verifier


def test_what_holds_has_no_violation(bench, verifier):
    point = bench.points[0]

    readings = {**verifier.read(point), **verifier.read_angle()}

    assert set(readings) == set(READING_UNITS)
    assert verifier.violations(point, readings) == ()


@pytest.mark.parametrize(
    ("channel", "quantity"),
    [
        ("temperature_K", "temperature"),
        ("temperature_min_K", "temperature"),
        ("temperature_max_K", "temperature"),
        ("gap_voltage_V", "bias"),
        ("angle_deg", "polarization"),
        ("wavelength_nm", "spectrograph"),
        ("grating", "spectrograph"),
    ],
)
@pytest.mark.parametrize("value", [nan, 1e9, float("inf")])
def test_each_condition_alone_is_a_violation_of_its_own(bench, verifier, channel, quantity, value):
    point = bench.points[0]
    readings = {**verifier.read(point), **verifier.read_angle(), channel: value}

    violations = verifier.violations(point, readings)

    assert [violation.quantity for violation in violations] == [quantity]


@pytest.mark.parametrize("kind", [PointKind.DARK, PointKind.BLOCKED])
@pytest.mark.parametrize("value", [1.0, nan])
def test_a_background_needs_a_shutter_that_is_closed(bench, verifier, rows, kind, value):
    point = rows(1, kind=kind)[0]
    readings = {**verifier.read(point), "shutter_open": value}

    assert [v.quantity for v in verifier.violations(point, readings)] == ["shutter"]


def test_a_reading_that_is_flagged_is_nan(bench, verifier):
    point = bench.points[0]
    bench.cryostat.status = ReadingStatus.OUT_OF_RANGE
    bench.stage.read = lambda: {"angle_deg": Reading(0.0, "deg", 0.0, ReadingStatus.FAULT)}

    readings = {**verifier.read(point), **verifier.read_angle()}

    for channel in ("temperature_K", "temperature_min_K", "temperature_max_K", "angle_deg"):
        assert isnan(readings[channel]), channel


def test_a_stage_that_still_moves_has_no_angle(bench, verifier):
    bench.stage.read = dict

    assert isnan(verifier.read_angle()["angle_deg"])
    assert not verifier.angle_holds(bench.points[0], verifier.read_angle())


def test_an_angle_is_compared_around_the_circle(bench, verifier, rows):
    point = rows(1, angle_deg=360.0)[0]
    readings = {**verifier.read(point), "angle_deg": 359.8}

    assert verifier.violations(point, readings) == ()


def test_setpoints_that_belong_to_no_axis_are_not_judged(bench, verifier, rows):
    point = rows(1)[0]
    readings = {**verifier.read(point), "temperature_K": nan, "gap_voltage_V": nan}

    assert verifier.violations(point, readings) == ()


def test_a_temperature_without_a_monitor_reading_in_between_is_the_one_after(bench, verifier):
    readings = verifier.read(bench.points[0])

    assert readings["temperature_min_K"] == readings["temperature_max_K"] == 5.5

"""Field, polarizer, wavelengths and dipoles agree with closed forms."""

import math

import numpy as np
import pytest

from simulators.field import field_kV_per_cm
from simulators.optics import (
    Optics,
    air_to_vacuum_nm,
    grating_wavelengths_nm,
    vacuum_to_air_nm,
)
from simulators.polarization import axis_deg, dipole_axes, passed, visibility
from simulators.truth import CameraTruth, ElectrodesTruth, OpticsTruth, Truth
from simulators.world import World


def make_optics(**changes):
    return Optics(OpticsTruth(**changes), CameraTruth(), lambda: None)


def test_parallel_plates_give_voltage_over_gap():
    assert field_kV_per_cm(ElectrodesTruth(gap_um=10.0), 100.0) == pytest.approx(100.0)


def test_coplanar_electrodes_give_less_in_the_middle_and_more_at_the_edge():
    middle = ElectrodesTruth(geometry="coplanar", gap_um=10.0)
    edge = ElectrodesTruth(geometry="coplanar", gap_um=10.0, position_um=4.0)

    assert field_kV_per_cm(middle, 100.0) == pytest.approx(63.66, abs=0.01)
    assert field_kV_per_cm(edge, 100.0) == pytest.approx(1000.0 / (math.pi * 3.0))


def test_wiring_turns_the_sign_of_the_field():
    assert field_kV_per_cm(ElectrodesTruth(polarity=-1), 50.0) == pytest.approx(-50.0)


def test_the_field_follows_the_gap_voltage_of_the_world():
    world = World(Truth(), seed=1)
    world.bias.set_source(100.0, True, 1e-5, 1000.0)

    world.advance(1.0)

    assert world.field_kV_per_cm() == pytest.approx(100.0, abs=0.01)


@pytest.mark.parametrize(
    ("element", "zero_deg", "sense", "mechanical_deg", "expected_deg"),
    [
        ("analyser", 0.0, 1, 30.0, 30.0),
        ("analyser", 12.0, -1, 30.0, -18.0),
        ("half_wave_plate", 12.0, 1, 30.0, 36.0),
        ("half_wave_plate", 0.0, -1, 45.0, -90.0),
    ],
)
def test_the_analysed_angle_knows_element_zero_and_sense(
    element, zero_deg, sense, mechanical_deg, expected_deg
):
    optics = make_optics(
        rotating_element=element, polarizer_zero_deg=zero_deg, polarizer_sense=sense
    )

    optics.polarizer_mechanical_deg = mechanical_deg

    assert optics.analyser_deg() == pytest.approx(expected_deg)


def test_the_grating_prefers_its_axis_unless_a_half_wave_plate_turns_the_light():
    turned = make_optics(grating_anisotropy=0.4, grating_axis_deg=10.0)
    fixed = make_optics(grating_anisotropy=0.4, rotating_element="half_wave_plate")

    def transmissions(optics, angles):
        for angle in angles:
            optics.polarizer_mechanical_deg = angle
            yield optics.transmission()

    assert list(transmissions(turned, [10.0, 55.0, 100.0])) == pytest.approx([1.4, 1.0, 0.6])
    assert list(transmissions(fixed, [10.0, 55.0, 100.0])) == pytest.approx([1.0, 1.0, 1.0])


def test_every_change_first_collects_the_light_before_it():
    changes = []
    optics = Optics(OpticsTruth(), CameraTruth(), lambda: changes.append(optics.excitation))

    optics.shutter_open = True
    optics.shutter_open = True
    optics.laser_power = 0.5
    optics.grating = 1
    optics.centre_nm = 520.0
    optics.polarizer_mechanical_deg = 5.0

    assert changes == [0.0, 1.0, 0.5, 0.5, 0.5]


def test_the_wavelengths_of_the_pixels_satisfy_the_grating_equation():
    position_um = np.linspace(-10_000.0, 10_000.0, 5)

    wavelengths = grating_wavelengths_nm(
        518.0,
        position_um,
        per_mm=1800.0,
        focal_length_mm=750.0,
        half_included_angle_deg=8.0,
    )

    assert wavelengths[2] == pytest.approx(518.0, abs=1e-9)
    tilt = math.asin(1800e-6 * 518.0 / (2.0 * math.cos(math.radians(8.0))))
    incoming = tilt + math.radians(8.0)
    outgoing = tilt - math.radians(8.0) + np.arctan(position_um / 750e3)
    assert 1800e-6 * wavelengths == pytest.approx(math.sin(incoming) + np.sin(outgoing))


@pytest.mark.parametrize(
    ("focal_length_mm", "per_mm", "pixel_um", "pm_per_pixel"),
    [(300, 1200, 26, 72), (500, 1800, 26, 27.6), (750, 1800, 20, 13.9), (750, 2400, 20, 9.6)],
)
def test_the_dispersion_is_that_of_the_table(focal_length_mm, per_mm, pixel_um, pm_per_pixel):
    two = grating_wavelengths_nm(
        512.0,
        np.array([0.0, pixel_um]),
        per_mm=per_mm,
        focal_length_mm=focal_length_mm,
        half_included_angle_deg=8.0,
    )

    assert 1e3 * (two[1] - two[0]) == pytest.approx(pm_per_pixel, rel=0.02)


def test_air_and_vacuum_wavelengths_match_the_reference_lines():
    mercury = air_to_vacuum_nm(np.array([546.0750]))

    assert mercury[0] == pytest.approx(546.22676, abs=1e-3)
    assert 1239.841984 / mercury[0] == pytest.approx(2.269830, abs=5e-6)
    assert air_to_vacuum_nm(np.array([696.54307, 585.24878])) == pytest.approx(
        [696.7352, 585.4110], abs=5e-4
    )
    assert vacuum_to_air_nm(np.array([550.0]))[0] == pytest.approx(549.84723, abs=1e-4)
    assert vacuum_to_air_nm(air_to_vacuum_nm(np.array([518.0])))[0] == pytest.approx(518.0)


def test_the_true_axis_is_the_reported_one_with_its_error_and_in_vacuum():
    optics = make_optics(wavelength_error_nm=0.05)
    middle_nm = 0.5 * np.sum(1239.841984 / optics.edges_eV()[[512, 512]])

    reported_nm = 0.5 * np.sum(optics.nominal_wavelengths_nm()[511:513])

    assert middle_nm == pytest.approx(air_to_vacuum_nm(np.array([reported_nm + 0.05]))[0])
    assert np.all(np.diff(optics.edges_eV()) < 0)


def test_settings_the_spectrograph_does_not_have_are_refused():
    optics = make_optics()

    with pytest.raises(ValueError, match="grating 3 is not one of 0 to 2"):
        optics.grating = 3
    optics.centre_nm = 1200.0
    with pytest.raises(ValueError, match=r"1200.012 nm is beyond a grating of 1800.0 lines/mm"):
        optics.edges_eV()


def test_projected_axes_and_amplitudes_of_a_tilted_nanocrystal():
    axes = dipole_axes(20.0, 35.0, 10.0)

    amplitudes = axes[0] ** 2 + axes[1] ** 2

    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    assert axis_deg(axes) == pytest.approx([32.15, 118.22, 20.00], abs=0.01)
    assert amplitudes == pytest.approx([0.6809, 0.9901, 0.3290], abs=1e-4)
    brightest = axis_deg(axes)[1] - axis_deg(axes)[0]
    assert brightest == pytest.approx(86.07, abs=0.01)


def test_at_low_aperture_light_follows_the_squared_cosine():
    axes = dipole_axes(20.0, 35.0, 10.0)

    for angle in (0.0, 37.0, 118.0):
        amplitudes = axes[0] ** 2 + axes[1] ** 2
        expected = amplitudes * np.cos(np.radians(angle - axis_deg(axes))) ** 2
        assert passed(axes, angle, 0.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("aperture", "in_plane_visibility", "axial_strength"),
    [(0.42, 0.999, 0.094), (0.7, 0.992, 0.297), (0.8, 0.984, 0.419), (0.9, 0.966, 0.594)],
)
def test_a_high_aperture_lets_the_axial_dipole_in_without_polarization(
    aperture, in_plane_visibility, axial_strength
):
    axes = np.eye(3)
    at_0, at_90 = passed(axes, 0.0, aperture), passed(axes, 90.0, aperture)

    seen = (at_0 - at_90) / (at_0 + at_90)

    assert seen == pytest.approx([in_plane_visibility, -in_plane_visibility, 0.0], abs=5e-4)
    assert np.abs(seen) == pytest.approx(visibility(axes, aperture), abs=1e-12)
    mean = 0.5 * (at_0 + at_90)
    assert mean[2] / mean[0] == pytest.approx(axial_strength, abs=5e-4)
    assert at_0[0] == pytest.approx(1.0)

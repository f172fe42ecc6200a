"""Series seen through the profile that a lamp showed, and with errors of what was swept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.verdict import Verdict
from analysis.series.polarization_series import PolarizationSeries, fit_polarization_series
from analysis.series.stark_series import StarkSeries, fit_stark_series
from analysis.spectra.fit_model import FitModel
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

Array = NDArray[np.float64]

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)
WAVELENGTH = wavelength_from_energy_nm(2.392 + 6e-5 * (np.arange(220) - 110))[::-1]
EDGES = energy_edges_eV(WAVELENGTH)
FWHM = float(np.sqrt(8.0 * np.log(2.0)))
# A core with a coma tail: shares, places, widths.
SHARE, OFFSET_EV, FWHM_EV = (0.75, 0.25), (0.0, -0.25e-3), (0.20e-3, 0.35e-3)
LAMP = InstrumentProfile(
    np.array([2.39]), *(np.array([one]) for one in (SHARE, OFFSET_EV, FWHM_EV)), np.zeros((1, 2))
)
SPLITTING_EV = 1.0e-3


def seen(first_eV: Array, area: Array, own_eV: float) -> Array:
    """Return expected electrons of two lines through the lamp's profile, (frames, pixels)."""
    total = np.full((first_eV.size, WAVELENGTH.size), 3.0)
    for line, above_eV in enumerate((0.0, SPLITTING_EV)):
        for share, offset_eV, fwhm_eV in zip(SHARE, OFFSET_EV, FWHM_EV, strict=True):
            place = first_eV[:, None] + above_eV + offset_eV
            part = -np.diff(ndtr((EDGES - place) * FWHM / np.hypot(fwhm_eV, own_eV)))
            total += area[:, [line]] * share * part
    return total


def measured(expected: Array, rng: np.random.Generator) -> Array:
    return np.rint(rng.poisson(expected) + rng.normal(600.0, 4.0, expected.shape))


def stark(rng: np.random.Generator, own_eV: float, **known: object) -> StarkSeries:
    field = np.repeat(np.linspace(-100.0, 100.0, 11), 5)
    first = 2.391 + 23e-6 * field - 0.05e-6 * field**2
    frames = measured(seen(first, np.full((field.size, 2), 3000.0), own_eV), rng)
    point = np.repeat(np.arange(11), 5)
    two = FitModel(lines=2, window_eV=(2.386, 2.398))
    return fit_stark_series(WAVELENGTH, frames, field, model=two, noise=CCD, point=point, **known)


def polarized(rng: np.random.Generator, **known: object) -> PolarizationSeries:
    angle = np.repeat(np.arange(0.0, 180.0, 15.0), 5)
    law = 0.1 + 0.9 * np.cos(np.deg2rad(angle[:, None] - [30.0, 110.0])) ** 2
    first = 2.391 + 0.1e-3 * rng.standard_normal(angle.size)
    frames = measured(seen(first, 3000.0 * law, 0.1e-3), rng)
    two = FitModel(lines=2, window_eV=(2.386, 2.398))
    return fit_polarization_series(WAVELENGTH, frames, angle, model=two, noise=CCD, **known)


def test_a_field_sweep_through_the_lamps_profile_gives_the_lines_own_width_and_place(
    commit_seed: int,
) -> None:
    fit = stark(np.random.default_rng([commit_seed, 31]), 0.12e-3, instrument=LAMP)

    truth = 2.3915 + 23e-6 * fit.field_kV_per_cm - 0.05e-6 * fit.field_kV_per_cm**2
    assert fit.verdict is Verdict.CONVERGED, fit.reason
    assert fit.series.width_eV == pytest.approx(0.12e-3, abs=0.03e-3)
    # The tail of the profile would draw lines that do not know of it 60 ueV away.
    assert np.abs((fit.energy_eV - truth) / fit.photon_errors_eV).max() < 6.0
    assert fit.series.misfit_ratio < 1.3


def test_lines_without_a_width_of_their_own_are_as_wide_as_the_lamps(commit_seed: int) -> None:
    fit = stark(np.random.default_rng([commit_seed, 32]), 0.0, instrument=LAMP)

    assert fit.verdict is Verdict.CONVERGED, fit.reason
    assert fit.series.width_eV.max() < 0.08e-3


def test_a_polarization_series_through_the_lamps_profile_finds_splitting_and_axes(
    commit_seed: int,
) -> None:
    fit = polarized(np.random.default_rng([commit_seed, 33]), instrument=LAMP)

    assert fit.verdict is Verdict.CONVERGED, fit.reason
    assert fit.splitting_eV[0] == pytest.approx(SPLITTING_EV, abs=6 * fit.splitting_errors_eV[0])
    assert not any(name.startswith(("tail", "wing")) for name in fit.series.names)
    for line, axis_deg in zip(fit.lines, (30.0, 110.0), strict=True):
        assert line.axis_deg == pytest.approx(axis_deg, abs=6.0 * line.axis_error_deg)


def test_errors_of_the_angles_are_in_those_of_the_axes() -> None:
    exact, unsure = (
        polarized(np.random.default_rng(4), sigma_angle_deg=error_deg) for error_deg in (0.0, 3.0)
    )

    for one, other in zip(exact.lines, unsure.lines, strict=True):
        added = np.sqrt(other.axis_error_deg**2 - one.axis_error_deg**2)
        # Twelve angles of 3 deg: at best each tells the axis; the lines tell only their ratio.
        assert 3.0 / np.sqrt(12.0) * 0.7 < added < 3.0 / np.sqrt(12.0) * 3.5
    assert unsure.photon_axis_errors_deg == pytest.approx(exact.photon_axis_errors_deg)


def test_axes_of_angles_that_are_off_scatter_as_their_errors_say(make_rng: MakeRng) -> None:
    rng, pulls = make_rng("angles that are off"), []
    for _ in range(15):
        off = np.repeat(3.0 * rng.standard_normal(12), 5)
        angle = np.repeat(np.arange(0.0, 180.0, 15.0), 5)
        law = 0.1 + 0.9 * np.cos(np.deg2rad(angle[:, None] + off[:, None] - [30.0, 110.0])) ** 2
        frames = measured(seen(np.full(60, 2.391), 3000.0 * law, 0.1e-3), rng)
        fit = fit_polarization_series(
            WAVELENGTH,
            frames,
            angle,
            model=FitModel(lines=2, window_eV=(2.386, 2.398)),
            noise=CCD,
            instrument=LAMP,
            sigma_angle_deg=3.0,
        )
        pulls += [
            (line.axis_deg - axis) / line.axis_error_deg
            for line, axis in zip(fit.lines, (30.0, 110.0), strict=True)
        ]

    assert np.std(pulls) == pytest.approx(1.0, abs=0.65)  # 5 standard deviations of 30 pulls


def test_errors_of_the_field_are_in_the_parabola() -> None:
    exact, unsure = (
        stark(np.random.default_rng(5), 0.12e-3, instrument=LAMP, sigma_field_kV_per_cm=error)
        for error in (0.0, 5.0)
    )

    # 5 kV/cm at 23 ueV/(kV/cm) are 115 ueV at every one of 11 fields of +-63 kV/cm rms.
    assert exact.stark.dipole_error < 0.1e-6
    assert unsure.stark.dipole_error == pytest.approx(115e-6 / np.sqrt(11.0) / 63.0, rel=0.2)

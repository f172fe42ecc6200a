"""Flat field, lamp response and rows added up: values and variances against simulated frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.detector_response import correct_response, flat_response, lamp_response
from analysis.detector.row_binning import bin_rows
from analysis.estimation.cramer_rao import expected_electrons
from analysis.spectra.spectrum_fit import FitModel, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import energy_from_wavelength_eV, wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0)
FLAT_CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, response_error=0.0)
UEV = 1e-6


def test_the_response_of_a_flat_is_that_of_the_pixels(make_rng: MakeRng) -> None:
    rng = make_rng("flat")
    response = 1.0 + 0.05 * np.sin(np.arange(500) / 3.0)
    flats = rng.poisson(1e5 * response, size=(20, 500)) + 600.0
    darks = np.full((5, 500), 600.0)

    found = flat_response(flats, darks)

    np.testing.assert_allclose(found, response / response.mean(), atol=6.0 / np.sqrt(2e6))


def test_the_slow_shape_of_the_source_can_be_taken_out_of_a_flat() -> None:
    place = np.arange(2000)
    ripple = 1.0 + 0.03 * np.sin(place)
    source = 1e5 * np.exp(-(((place - 900) / 900.0) ** 2))

    found = flat_response(source * ripple, smooth_px=30.0)

    np.testing.assert_allclose(found[200:-200], ripple[200:-200], atol=3e-3)


def test_a_lamp_of_known_spectrum_gives_the_response_over_wavelength() -> None:
    known, response = np.linspace(1.0, 3.0, 100), np.linspace(0.8, 1.2, 100)

    np.testing.assert_allclose(lamp_response(1e4 * known * response, known), response, rtol=1e-12)


def test_dividing_by_the_response_keeps_signal_to_noise_and_adds_that_of_the_flat() -> None:
    electrons, variance = correct_response([100.0, 200.0], [116.0, 216.0], [0.5, 2.0], 0.1)

    np.testing.assert_allclose(electrons, [200.0, 100.0])
    np.testing.assert_allclose(variance, [116.0 / 0.25 + 400.0, 216.0 / 4.0 + 100.0])


def test_a_dead_pixel_has_no_response_and_no_counts() -> None:
    flat = np.full(50, 1e4)
    flat[7] = 3.0

    electrons, _ = correct_response(np.ones(50), np.ones(50), flat_response(flat))

    assert np.flatnonzero(np.isnan(electrons)).tolist() == [7]


# A detector of 0.03 meV pixels behind a window that ripples by 5 % with a period of 0.85 meV.
WAVELENGTH = wavelength_from_energy_nm(2.39 + 0.03e-3 * np.arange(-200, 201))
ENERGY = energy_from_wavelength_eV(WAVELENGTH)


def etalon(phase: float) -> np.ndarray:
    return 1.0 + 0.025 * np.sin(2.0 * np.pi * ENERGY / 0.85e-3 + phase)


def one_line(photons: float) -> np.ndarray:
    line = {"energy_1_eV": 2.39, "width_eV": 0.5e-3, "area_1_counts": photons, "background_0": 2.0}
    return expected_electrons(energy_edges_eV(WAVELENGTH), line, shape="gauss")


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0, 3.0, 4.5])
def test_acceptance_20_etalon_ripple_is_harmless_and_gone_after_the_flat_field(
    phase: float,
) -> None:
    model = FitModel(window_eV=(2.388, 2.392))
    rippled = one_line(1e5) * etalon(phase)
    flat = flat_response(1e6 * etalon(phase))

    raw = fit_spectrum(WAVELENGTH, rippled, model=model, noise=CCD)
    flattened, _ = correct_response(rippled, rippled, flat)
    corrected = fit_spectrum(WAVELENGTH, flattened, model=model, noise=CCD)

    assert abs(raw["energy_1_eV"] - 2.39) <= 5 * UEV
    assert abs(raw["width_eV"] - 0.5e-3) <= 10 * UEV
    assert abs(corrected["energy_1_eV"] - 2.39) < 1 * UEV
    assert abs(corrected["width_eV"] - 0.5e-3) < 1 * UEV


@pytest.mark.usefixtures("compiled_if_ready")
def test_acceptance_20_one_line_is_chosen_with_the_ripple_and_without(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 20])
    model = FitModel(lines="auto", window_eV=(2.388, 2.392))
    several = np.zeros(2, dtype=int)
    for phase in rng.uniform(0.0, 2.0 * np.pi, 60):
        counts = rng.poisson(one_line(1e5) * etalon(phase)) + 4.0 * rng.standard_normal(401)
        flat = flat_response(rng.poisson(1e6 * etalon(phase)))
        flattened, _ = correct_response(counts, np.ones(401), flat)

        raw = fit_spectrum(WAVELENGTH, counts, model=model, noise=CCD)
        corrected = fit_spectrum(WAVELENGTH, flattened, model=model, noise=FLAT_CCD)

        several += np.array([raw.lines > 1, corrected.lines > 1])
    most = int(stats.binom.isf(1e-6, 60, 0.005))
    assert several[0] <= most
    assert several[1] <= most


def test_a_splitting_beyond_what_ripple_feigns_is_still_found(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 21])
    line = {"energy_1_eV": 2.3898, "energy_2_eV": 2.3902, "width_eV": 0.5e-3,
            "area_1_counts": 1e4, "area_2_counts": 1e4, "background_0": 2.0}  # fmt: skip
    expected = expected_electrons(energy_edges_eV(WAVELENGTH), line, shape="gauss") * etalon(1.0)
    model = FitModel(lines="auto", window_eV=(2.388, 2.392))

    lines = [
        fit_spectrum(WAVELENGTH, rng.poisson(expected), model=model, noise=CCD).lines
        for _ in range(30)
    ]

    assert np.mean(np.array(lines) == 2) >= 0.9


def test_rows_add_up_with_the_variance_that_frames_show(make_rng: MakeRng) -> None:
    rng = make_rng("rows")
    noise = DetectorNoise(gain_e_per_count=2.0, read_noise_e=6.0, offset_counts=500.0)
    expected = np.full((60, 40), 3.0)
    expected[20:30] += np.linspace(0.0, 80.0, 40)
    sums, variances = [], []
    for _ in range(400):
        electrons = rng.poisson(expected) + 6.0 * rng.standard_normal(expected.shape)
        binned = bin_rows(electrons / 2.0 + 500.0, (20, 30), noise, background_rows=(32, 60))
        sums.append(binned.electrons)
        variances.append(binned.variance)

    np.testing.assert_allclose(np.mean(sums, axis=0), np.linspace(0.0, 800.0, 40), atol=11.0)
    assert np.mean(np.var(sums, axis=0) / np.mean(variances, axis=0)) == pytest.approx(
        1.0, abs=0.06
    )


def test_masked_pixels_are_made_up_for_by_the_other_rows() -> None:
    image = np.full((10, 4), 100.0)
    image[3, 1] = 9e4
    masked = np.zeros((10, 4), dtype=bool)
    masked[3, 1] = True
    masked[2:6, 2] = True

    binned = bin_rows(image, (2, 6), CCD, masked=masked)

    assert binned.rows.tolist() == [4, 3, 0, 4]
    np.testing.assert_allclose(binned.electrons[[0, 1, 3]], 400.0)
    assert np.isnan(binned.electrons[2])
    assert binned.variance[0] == pytest.approx(400.0 + 4 * 16.0)
    assert binned.variance[1] == pytest.approx((300.0 + 3 * 16.0) * (4 / 3) ** 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bin_rows(np.ones(5), (0, 1), CCD), "rows and columns"),
        (lambda: bin_rows(np.ones((5, 3)), (2, 9), CCD), "rows 2 to 9 are not on an image of 5"),
        (
            lambda: bin_rows(np.ones((5, 3)), (1, 3), CCD, background_rows=(2, 5)),
            "overlap",
        ),
        (lambda: bin_rows(np.ones((5, 3)), (1, 3), CCD, masked=np.ones(3)), "masked of shape"),
        (lambda: flat_response(np.zeros(9)), "there is no light"),
        (lambda: flat_response(np.ones(9), np.ones(8)), "dark of 8 pixels for 9"),
        (lambda: lamp_response(np.ones(9), np.zeros(9)), "must shine at every pixel"),
        (lambda: lamp_response(np.ones(9), np.ones(8)), "measured of shape"),
        (lambda: lamp_response(np.zeros(9), np.ones(9)), "there is no light"),
        (lambda: correct_response(np.ones(9), np.ones(9), np.ones(8)), "differ"),
    ],
)
def test_frames_that_do_not_belong_together_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

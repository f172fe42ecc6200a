"""Every peak of a spectrum: none missed, none made of noise, and where each is highest."""

import numpy as np
import pytest

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.cramer_rao import expected_electrons
from analysis.spectra.spectrum_peaks import spectrum_peaks
from analysis.wavelength.axis import energy_edges_eV

WAVELENGTH = np.linspace(515.0, 525.0, 1000)
EDGES = energy_edges_eV(WAVELENGTH)
CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)
LINES = (2.3700, 2.3812, 2.3830, 2.3900)
AREAS = (3e3, 2e4, 1e4, 5e4)


def spectrum(rng: np.random.Generator, *, background: float = 20.0) -> np.ndarray:
    line = {"width_eV": 0.5e-3, "background_0": background}
    for k, (energy, area) in enumerate(zip(LINES, AREAS, strict=True), start=1):
        line |= {f"energy_{k}_eV": energy, f"area_{k}_counts": area}
    expected = expected_electrons(EDGES, line, shape="gauss")
    return rng.poisson(expected) + 600.0 + 4.0 * rng.standard_normal(expected.size)


@pytest.mark.parametrize("background", [20.0, 2000.0])
def test_every_line_is_found_once_and_placed_as_well_as_said(
    commit_seed: int, background: float
) -> None:
    rng = np.random.default_rng([commit_seed, 31])
    pulls = []
    for _ in range(60):
        peaks = spectrum_peaks(WAVELENGTH, spectrum(rng, background=background), CCD)
        assert len(peaks) == len(LINES)
        pulls += [(p.energy_eV - e) / p.error_eV for p, e in zip(peaks, LINES, strict=True)]
        assert all(p.window_eV[0] < e < p.window_eV[1] for p, e in zip(peaks, LINES, strict=True))
    # The error holds that of the curve chosen too, so it is rather too large than too small.
    assert 0.3 < np.std(pulls) < 1.3
    assert np.mean(np.abs(pulls) < 3.0) > 0.98


def test_windows_of_neighbours_meet_in_the_valley(commit_seed: int) -> None:
    peaks = spectrum_peaks(WAVELENGTH, spectrum(np.random.default_rng([commit_seed, 32])), CCD)

    _, low, high, _ = peaks
    assert 2.3812 < low.window_eV[1] < 2.3830
    assert high.window_eV[0] == pytest.approx(low.window_eV[1], abs=1e-4)


def test_noise_and_a_broad_slope_hold_no_peak(commit_seed: int) -> None:
    rng = np.random.default_rng([commit_seed, 33])
    slope = np.linspace(100.0, 4000.0, 1000)
    seen = [
        len(
            spectrum_peaks(
                WAVELENGTH, rng.poisson(level) + 600.0 + 4.0 * rng.normal(size=1000), CCD
            )
        )
        for level in (slope, np.full(1000, 5.0))
        for _ in range(60)
    ]

    assert sum(seen) <= 1


def test_a_skewed_peak_is_placed_where_it_is_highest_not_where_its_light_is() -> None:
    pixel = np.arange(1000.0)
    tail = np.where(pixel > 500, np.exp(-(pixel - 500) / 60.0), np.exp((pixel - 500) / 12.0))
    skewed = 600.0 + 2e4 * np.convolve(tail, np.hanning(31) / np.hanning(31).sum(), "same")
    highest = EDGES[[int(np.argmax(skewed)), int(np.argmax(skewed)) + 1]].mean()

    (peak,) = spectrum_peaks(WAVELENGTH, skewed, CCD)

    assert peak.energy_eV == pytest.approx(highest, abs=1.5 * abs(EDGES[1] - EDGES[0]))


def test_pixels_without_counts_and_a_falling_axis_change_nothing(commit_seed: int) -> None:
    counts = spectrum(np.random.default_rng([commit_seed, 34]))
    holes = counts.copy()
    holes[[5, 100, 990]] = np.nan

    whole = spectrum_peaks(WAVELENGTH, counts, CCD)

    assert spectrum_peaks(WAVELENGTH[::-1], counts[::-1], CCD) == whole
    assert [p.energy_eV for p in spectrum_peaks(WAVELENGTH, holes, CCD)] == pytest.approx(
        [p.energy_eV for p in whole], abs=1e-7
    )
    assert spectrum_peaks(WAVELENGTH, np.full(1000, np.nan), CCD) == ()
    with pytest.raises(ValueError, match=r"counts of shape \(3,\) for a wavelength axis of 1000"):
        spectrum_peaks(WAVELENGTH, np.zeros(3), CCD)

"""Single frames of a point: scatter beside photon noise, and frames that do not belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.verdict import Verdict
from analysis.series.frame_series import PointFit, effective_number, fit_frames
from analysis.spectra.fit_model import FitModel
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

Array = NDArray[np.float64]

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)
WAVELENGTH = wavelength_from_energy_nm(2.392 + 6e-5 * (np.arange(240) - 120))[::-1]
EDGES = energy_edges_eV(WAVELENGTH)
WINDOW = FitModel(lines=1, window_eV=(2.386, 2.398))


def lines(shift_eV: Array, area: Array, width_eV: float, above_eV: Array) -> Array:
    """Return expected electrons, (frames, pixels), of Gaussians on 5 electrons per pixel.

    shift_eV: (frames,); area: (frames, lines); above_eV: (lines,), over 2.392 eV.
    """
    centre = 2.392 + shift_eV[:, None] + above_eV
    sigmas = (EDGES - centre[..., None]) * np.sqrt(8.0 * np.log(2.0)) / width_eV
    return np.asarray(5.0 + np.einsum("fl,flp->fp", area, -np.diff(ndtr(sigmas))))


def measured(expected: Array, rng: np.random.Generator) -> Array:
    return np.rint(rng.poisson(expected) + rng.normal(600.0, 4.0, expected.shape))


def diffusion(rng: np.random.Generator, frames: int, sigma: float, memory_frames: float) -> Array:
    keep = np.exp(-1.0 / memory_frames)
    walk = [rng.normal()]
    for _ in range(frames - 1):
        walk.append(keep * walk[-1] + np.sqrt(1.0 - keep**2) * rng.normal())
    return sigma * np.array(walk)


@pytest.mark.usefixtures("compiled_if_ready")
def test_acceptance_19_the_error_of_a_diffusing_line_comes_from_the_scatter_of_its_frames(
    make_rng: MakeRng,
) -> None:
    rng = make_rng("acceptance 19 frames")
    memory, frames = 4.0, 100
    keep = np.exp(-1.0 / memory)
    n_eff = frames * (1.0 - keep) / (1.0 + keep)
    reported, seen, photon, registered = [], [], [], []
    for _ in range(45):
        shift = diffusion(rng, frames, 0.2e-3, memory)
        counts = measured(lines(shift, np.full((frames, 1), 2e3), 0.4e-3, np.zeros(1)), rng)
        fit = fit_frames(WAVELENGTH, counts, model=WINDOW, noise=CCD)
        reported.append(fit.error("energy_1_eV"))
        seen.append(fit["energy_1_eV"] - 2.392)
        photon.append(fit.photon_errors[fit.names.index("energy_1_eV")])
        registered.append(fit["width_eV"])

    # Frames are fitted with energies of their own, so the width is that of the registered sum.
    assert np.median(registered) == pytest.approx(0.4e-3, rel=0.02)
    plain_sum = np.hypot(0.4e-3, 0.2e-3 * np.sqrt(8.0 * np.log(2.0)))
    assert np.median(registered) < 0.75 * plain_sum
    assert np.mean(reported) == pytest.approx(0.2e-3 / np.sqrt(n_eff), rel=0.3)
    # With 12 independent places, the reported error scatters by a third: pulls have wide tails.
    assert np.std(np.array(seen) / reported) == pytest.approx(1.1, abs=0.7)
    assert np.median(photon) < 0.1 * np.median(reported)


def test_a_quiet_line_keeps_its_photon_error(make_rng: MakeRng) -> None:
    rng = make_rng("quiet line")
    still = lines(np.zeros(12), np.full((12, 1), 2e3), 0.4e-3, np.zeros(1))

    fits = [
        fit_frames(WAVELENGTH, measured(still, rng), model=WINDOW, noise=CCD) for _ in range(100)
    ]

    i = fits[0].names.index("energy_1_eV")
    pull = [(fit["energy_1_eV"] - 2.392) / fit.photon_errors[i] for fit in fits]
    assert np.std(pull) == pytest.approx(1.0, abs=0.36)  # 5 standard deviations of 100 fits
    assert np.median([fit.errors[i] / fit.photon_errors[i] for fit in fits]) < 1.6
    # Chance alone ends 1 fit in 1600 otherwise.
    assert sum(fit.verdict is not Verdict.CONVERGED for fit in fits) <= 3


def three_lines(rng: np.random.Generator, frames: int = 20) -> tuple[Array, Array]:
    shift = diffusion(rng, frames, 0.15e-3, 10.0)
    area = np.tile([2500.0, 700.0, 500.0], (frames, 1))
    return lines(shift, area, 0.25e-3, np.array([0.0, 0.9e-3, 1.5e-3])), shift


def splitting(fit: PointFit) -> tuple[float, float]:
    i, j = (fit.names.index(f"energy_{k}_eV") for k in (1, 2))
    c = fit.covariance
    return fit.values[j] - fit.values[i], float(np.sqrt(c[i, i] + c[j, j] - 2.0 * c[i, j]))


def test_lines_that_move_together_keep_a_sharp_splitting(make_rng: MakeRng) -> None:
    rng, errors = make_rng("sharp splitting"), []

    for _ in range(12):
        expected, _ = three_lines(rng)
        fit = fit_frames(
            WAVELENGTH,
            measured(expected, rng),
            model=FitModel(lines=3, window_eV=(2.386, 2.398)),
            noise=CCD,
        )
        value, error = splitting(fit)
        assert abs(value - 0.9e-3) < 5.5 * error
        assert error < 10e-6
        errors.append(fit.error("energy_1_eV"))
        assert abs(fit["area_2_counts"] - 700.0) < 5.5 * fit.error("area_2_counts")

    assert np.median(errors) > 15e-6  # 62 of such series, which scatter by a factor of 2


def test_auto_counts_the_lines_of_all_frames_laid_over_one_another() -> None:
    expected, _ = three_lines(np.random.default_rng(4))

    fit = fit_frames(
        WAVELENGTH,
        measured(expected, np.random.default_rng(5)),
        model=FitModel(lines="auto", window_eV=(2.386, 2.398)),
        noise=CCD,
    )

    assert fit.lines == 3
    assert "splitting not claimed" in fit.reason


def test_dark_dim_jumping_and_struck_frames_are_left_out_or_mended_with_a_reason() -> None:
    rng = np.random.default_rng(6)
    area = np.full((15, 1), 3e3)
    area[3], area[7] = 0.0, 500.0
    expected = lines(np.zeros(15), area, 0.4e-3, np.zeros(1))
    halves = lines(np.full(1, 0.9e-3), np.full((1, 1), 1.5e3), 0.4e-3, np.zeros(1))
    expected[10] = 0.5 * expected[0] + halves[0]
    counts = measured(expected, rng)
    counts[12, 40] += 3000.0

    fit = fit_frames(WAVELENGTH, counts, model=WINDOW, noise=CCD)

    assert fit.excluded.keys() == {3, 7, 10}
    assert "no signal" in fit.excluded[3]
    assert "dim" in fit.excluded[7]
    assert "does not fit" in fit.excluded[10] or "lost" in fit.excluded[10]
    assert abs(fit["energy_1_eV"] - 2.392) < 4.0 * fit.error("energy_1_eV")
    assert fit.frame_energy_eV.shape == fit.frame_area_counts.shape == (12,)
    assert "12 frames" in fit.reason


def test_frames_too_weak_one_by_one_are_fitted_as_their_sum(make_rng: MakeRng) -> None:
    rng = make_rng("weak frames")
    weak = lines(np.zeros(40), np.full((40, 1), 60.0), 0.4e-3, np.zeros(1))

    fit = fit_frames(WAVELENGTH, measured(weak, rng), model=WINDOW, noise=CCD)

    assert fit.verdict is Verdict.CONVERGED
    assert "sum of 40 frames" in fit.reason
    assert abs(fit["energy_1_eV"] - 2.392) < 5.5 * fit.error("energy_1_eV")
    assert fit["area_1_counts"] == pytest.approx(60.0, abs=5.5 * fit.error("area_1_counts"))
    assert np.isnan(fit.scatter_errors).all()


def test_a_warm_line_a_hundred_pixels_wide_is_fitted_too(make_rng: MakeRng) -> None:
    rng = make_rng("warm line")
    wavelength_nm = np.linspace(520.0, 568.0, 1024)
    edges = energy_edges_eV(wavelength_nm)
    law = np.arctan(2.0 * (edges - 2.29) / 36e-3) / np.pi
    expected = 10.0 - 4e4 * np.diff(law)

    fit = fit_frames(
        wavelength_nm,
        measured(np.tile(expected, (8, 1)), rng),
        model=FitModel(lines=1, shape="lorentz", window_eV=(2.19, 2.38)),
        noise=CCD,
    )

    assert fit.verdict is Verdict.CONVERGED, fit.reason
    assert abs(fit["energy_1_eV"] - 2.29) < 5.5 * fit.error("energy_1_eV") < 1.4e-3
    assert abs(fit["width_eV"] - 36e-3) < 5.5 * fit.error("width_eV")


def test_a_single_frame_is_a_point_too() -> None:
    one = measured(
        lines(np.zeros(1), np.full((1, 1), 3e3), 0.4e-3, np.zeros(1)), np.random.default_rng(8)
    )

    fit = fit_frames(WAVELENGTH, one, model=WINDOW, noise=CCD)

    assert fit.verdict is Verdict.CONVERGED
    assert np.isnan(fit.scatter_errors).all()
    assert np.isfinite(fit.errors).all()


@pytest.mark.parametrize("value", [0.0, 600.0, np.nan, 65535.0, -1e5])
@pytest.mark.filterwarnings("error")
def test_frames_without_light_are_no_signal(value: float) -> None:
    fit = fit_frames(WAVELENGTH, np.full((10, 240), value), model=WINDOW, noise=CCD)

    assert fit.verdict is Verdict.NO_SIGNAL
    assert np.isnan(fit.values).all()


def test_what_is_no_series_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="must be \\(frames, pixels\\)"):
        fit_frames(WAVELENGTH, np.zeros((0, 240)), model=WINDOW, noise=CCD)
    with pytest.raises(ValueError, match="7 counts for a wavelength axis of 240"):
        fit_frames(WAVELENGTH, np.zeros((3, 7)), model=WINDOW, noise=CCD)


def test_a_line_that_the_model_does_not_have_is_in_the_errors() -> None:
    rng = np.random.default_rng(9)
    area = np.tile([3e3, 600.0], (20, 1))
    skewed = lines(np.zeros(20), area, 0.4e-3, np.array([0.0, -0.35e-3]))

    fit = fit_frames(WAVELENGTH, measured(skewed, rng), model=WINDOW, noise=CCD)

    i = fit.names.index("energy_1_eV")
    assert fit.verdict is Verdict.POOR_FIT
    assert fit.errors[i] > 2.0 * fit.photon_errors[i]


def test_the_effective_number_of_frames_follows_their_memory() -> None:
    rng = np.random.default_rng(10)
    keep = np.exp(-1.0 / 5.0)
    expected = 400 * (1.0 - keep) / (1.0 + keep)

    seen = [effective_number(diffusion(rng, 400, 1.0, 5.0)) for _ in range(50)]

    assert np.median(seen) == pytest.approx(expected, rel=0.15)
    assert np.median([effective_number(rng.normal(size=400)) for _ in range(50)]) > 350
    assert effective_number(np.ones(10)) == 10.0


@pytest.mark.parametrize("frames", [3, 4])
def test_few_frames_of_a_wandering_line_have_errors_that_cover_and_say_what_they_lack(
    commit_seed: int, frames: int
) -> None:
    rng = np.random.default_rng([commit_seed, 3])
    pulls = []
    for _ in range(400):
        shift = 0.2e-3 * rng.standard_normal(frames)
        counts = measured(lines(shift, np.full((frames, 1), 2e3), 0.4e-3, np.zeros(1)), rng)
        fit = fit_frames(WAVELENGTH, counts, model=WINDOW, noise=CCD)
        pulls.append((fit["energy_1_eV"] - 2.392) / fit.error("energy_1_eV"))
        assert f"{frames} frames: {frames} hardly show how far the line wanders" in fit.reason

    # Of 1000 fits 70 (3 frames) and 74 % (4) are within the error, without Student's factor 57 %;
    # the bounds are 5 standard deviations of 400 fits away.
    assert 0.59 < np.mean(np.abs(pulls) < 1.0) < 0.85


def test_one_frame_says_that_its_error_is_of_photons_alone() -> None:
    counts = measured(lines(np.zeros(1), np.full((1, 1), 2e3), 0.4e-3, np.zeros(1)),
                      np.random.default_rng(1))  # fmt: skip

    fit = fit_frames(WAVELENGTH, counts, model=WINDOW, noise=CCD)

    assert "one frame does not show how far the line wanders" in fit.reason


SLOPE = 6.0  # electrons from the middle of the window to its upper end


@pytest.mark.parametrize("frames", [1, 2, 6])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_background_that_rises_with_energy_has_a_positive_slope(
    frames: int, direction: int
) -> None:
    rng = np.random.default_rng(11)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    tilted = SLOPE * (middle - 2.392) / 6e-3 + 15.0
    expected = lines(np.zeros(frames), np.full((frames, 1), 2e3), 0.4e-3, np.zeros(1)) + tilted
    counts = measured(expected, rng)

    fit = fit_frames(WAVELENGTH[::direction], counts[:, ::direction], model=WINDOW, noise=CCD)

    assert fit["background_1"] == pytest.approx(SLOPE, abs=5 * fit.error("background_1"))


def lorentz_lines(frames: int, area: float) -> Array:
    """Return what a Lorentzian line of 2 meV and a pedestal beside it bring, (frames, pixels)."""
    place = (EDGES - 2.392) / 1e-3
    line = -np.diff(np.arctan(place) / np.pi)
    pedestal = -np.diff(ndtr((place + 1.5) / 0.8))
    return np.tile(5.0 + area * (line + 0.04 * pedestal), (frames, 1))


def test_what_each_frame_hides_and_their_mean_shows_is_a_poor_fit() -> None:
    rng = np.random.default_rng(12)
    model = FitModel(lines=1, shape="lorentz", window_eV=(2.386, 2.398))
    number = 20

    fit = fit_frames(
        WAVELENGTH, measured(lorentz_lines(number, 1.3e4), rng), model=model, noise=CCD
    )

    assert fit.chi2_per_dof < 1.2  # each frame by itself looks well
    assert fit.verdict is Verdict.POOR_FIT
    assert "the mean of the frames misses the fit" in fit.reason
    assert fit.error("width_eV") > 1.2 * fit.photon_errors[fit.names.index("width_eV")]


def test_the_mean_of_few_frames_is_tested_as_well() -> None:
    rng = np.random.default_rng(13)
    model = FitModel(lines=1, shape="lorentz", window_eV=(2.386, 2.398))

    poor = fit_frames(WAVELENGTH, measured(lorentz_lines(3, 2e5), rng), model=model, noise=CCD)

    assert poor.verdict is Verdict.POOR_FIT
    assert poor.error("width_eV") > 1.3 * poor.photon_errors[poor.names.index("width_eV")]

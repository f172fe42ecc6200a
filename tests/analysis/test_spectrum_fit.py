"""The fit of one spectrum: statistics against the Cramer-Rao bound, scipy, and bad input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import curve_fit

from analysis.estimation.cramer_rao import bound_of_lines, expected_electrons
from analysis.estimation.verdict import Verdict
from analysis.spectra.spectrum_fit import DetectorNoise, FitModel, SpectrumFit, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

Array = NDArray[np.float64]
ShapeName = Literal["gauss", "lorentz"]
CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)


def axis(pixel_meV: float, pixels: int, centre_eV: float = 2.35) -> Array:
    """Return wavelengths whose pixels are nearly so wide in energy."""
    energy = centre_eV + 1e-3 * pixel_meV * (np.arange(pixels) - 0.5 * pixels + 0.3)
    return wavelength_from_energy_nm(energy)[::-1]


def measured(expected: Array, rng: np.random.Generator, noise: DetectorNoise = CCD) -> Array:
    electrons = rng.poisson(expected) + rng.normal(0.0, noise.read_noise_e, expected.shape)
    return np.rint(electrons / noise.gain_e_per_count + noise.offset_counts)


def one_line(photons: float, width_eV: float = 1e-3) -> dict[str, float]:
    return {
        "energy_1_eV": 2.35,
        "width_eV": width_eV,
        "area_1_counts": photons,
        "background_0": 5.0,
        "background_1": 0.0,
    }


def two_lines(photons: float, separation_in_widths: float) -> dict[str, float]:
    half = 0.5e-3 * separation_in_widths
    lines = one_line(0.5 * photons) | {"energy_1_eV": 2.35 - half}
    return lines | {"energy_2_eV": 2.35 + half, "area_2_counts": 0.5 * photons}


CHANCE = 1e-6  # that a check fails though what it asks for is met


@pytest.mark.usefixtures("compiled_if_ready")
@pytest.mark.parametrize("spectra", [500, pytest.param(5000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize(
    ("shape", "bound_ueV", "seen_ueV", "within_ueV"),
    [("gauss", 4.78, 4.9, 0.4), ("lorentz", 7.72, 7.9, 0.6)],
)
def test_acceptance_6_a_line_of_ten_thousand_photons_is_placed_at_the_bound(
    shape: ShapeName,
    bound_ueV: float,
    seen_ueV: float,
    within_ueV: float,
    spectra: int,
    make_rng: MakeRng,
) -> None:
    wavelength_nm, rng = axis(0.05, 400), make_rng("acceptance 6", shape, spectra)
    expected = expected_electrons(energy_edges_eV(wavelength_nm), one_line(1e4), shape=shape)
    model = FitModel(lines=1, shape=shape, background_order=1, span_eV=18e-3)

    fits = [
        fit_spectrum(wavelength_nm, measured(expected, rng), model=model, noise=CCD)
        for _ in range(spectra)
    ]

    miss_ueV = 1e6 * np.array([fit["energy_1_eV"] - 2.35 for fit in fits])
    error_ueV = 1e6 * np.array([fit.error("energy_1_eV") for fit in fits])
    # Of 5000 what is asked for, of 500 within their own 5 standard deviations.
    mean, spread = 5.0 * seen_ueV / np.sqrt(spectra), 5.0 / np.sqrt(2 * spectra)
    assert abs(miss_ueV.mean()) < max(0.7, mean)
    assert miss_ueV.std() == pytest.approx(seen_ueV, abs=max(within_ueV, seen_ueV * spread))
    assert (miss_ueV / error_ueV).std() == pytest.approx(1.0, abs=max(0.08, spread))
    assert np.median(error_ueV) == pytest.approx(bound_ueV, rel=0.02)
    # 1 in 1600 fits scatters beyond the limit of chi2 by itself.
    others = sum(fit.verdict is not Verdict.CONVERGED for fit in fits)
    assert others <= stats.binom.isf(CHANCE, spectra, 1.0 / 1600.0)


@pytest.mark.parametrize("photons", [1500, 1e4])
def test_every_parameter_of_two_lines_is_unbiased_and_at_the_bound_and_intervals_cover(
    photons: float, make_rng: MakeRng
) -> None:
    wavelength_nm, rng = axis(0.1, 160), make_rng("two lines", photons)
    truth = two_lines(photons, 1.6)
    edges = energy_edges_eV(wavelength_nm)
    expected = expected_electrons(edges, truth, shape="gauss")
    bound = bound_of_lines(edges, truth, read_noise_e=4.0)
    model = FitModel(lines=2, window_eV=(2.343, 2.357))

    fits = [
        fit_spectrum(wavelength_nm, measured(expected, rng), model=model, noise=CCD)
        for _ in range(800)
    ]

    # Bands of 5 standard deviations of 800 fits.
    for name in ("energy_1_eV", "energy_2_eV", "width_eV", "area_1_counts", "area_2_counts"):
        miss = np.array([fit[name] - truth[name] for fit in fits]) / bound[name]
        pull = np.array([(fit[name] - truth[name]) / fit.error(name) for fit in fits])
        assert abs(miss.mean()) < 0.18, name
        assert miss.var() == pytest.approx(1.0, abs=0.26), name
        assert (np.abs(pull) < 1.0).mean() == pytest.approx(0.683, abs=0.085), name
        assert (np.abs(pull) < 1.96).mean() == pytest.approx(0.95, abs=0.04), name


def test_values_errors_and_covariance_are_those_of_scipy_with_the_same_weights() -> None:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(3)
    edges = energy_edges_eV(wavelength_nm)
    truth = two_lines(2e4, 1.2)
    counts = measured(expected_electrons(edges, truth, shape="gauss"), rng)
    fit = fit_spectrum(wavelength_nm, counts, model=FitModel(lines=2), noise=CCD)
    names = fit.names

    def model(_: object, *values: float) -> Array:
        named = dict(zip(names, values, strict=True))
        return expected_electrons(rising, named, shape="gauss")

    low, high = fit.window_eV
    inside = np.flatnonzero((edges >= low - 1e-12) & (edges <= high + 1e-12))
    # the background's slope is along the energy, whichever way the detector looks
    rising = edges[inside][::-1]
    electrons = counts[inside[:-1]][::-1] - CCD.offset_counts
    values = np.array([truth[name] for name in names])
    scale = np.array([1e-3 if name.endswith("eV") else 100.0 for name in names])
    for _ in range(6):  # weights from the model until they no longer change
        sigma = np.sqrt(model(None, *values) + CCD.read_noise_e**2)
        values, covariance = curve_fit(
            model, None, electrons, values, sigma=sigma, absolute_sigma=True, x_scale=scale,
            method="trf", xtol=1e-12, ftol=1e-12,
        )  # fmt: skip

    np.testing.assert_array_less(np.abs(fit.values - values) / fit.errors, 0.02)
    np.testing.assert_allclose(fit.errors, np.sqrt(np.diag(covariance)), rtol=2e-3)
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(
        fit.covariance / np.outer(fit.errors, fit.errors), correlation, atol=5e-3
    )


def test_acceptance_3_a_broad_line_needs_no_jacobian_since_counts_are_fitted() -> None:
    wavelength_nm = axis(0.5, 1000)
    edges = energy_edges_eV(wavelength_nm)
    line = one_line(1e9, width_eV=60e-3) | {"background_0": 0.0}
    counts = expected_electrons(edges, line, shape="gauss")
    model = FitModel(lines=1, window_eV=(2.15, 2.55))

    fit = fit_spectrum(wavelength_nm, counts + 600.0, model=model, noise=CCD)

    assert abs(fit["energy_1_eV"] - 2.35) < 0.02e-3
    # Counts per nm on an energy axis, without the Jacobian, have their centroid beside it.
    energy = 0.5 * (edges[1:] + edges[:-1])
    per_nm = counts / np.abs(np.diff(1239.841984 / edges))
    weight = np.abs(np.diff(edges))
    moved = (energy * per_nm * weight).sum() / (per_nm * weight).sum() - 2.35
    assert abs(1e3 * moved) == pytest.approx(0.55, abs=0.03)


@pytest.mark.usefixtures("compiled_if_ready")
@pytest.mark.parametrize("spectra", [150, pytest.param(2000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize(("separation", "lines"), [(0.0, 1), (0.3, 1), (0.8, 2)])
def test_acceptance_8_as_many_lines_as_the_light_can_tell_apart(
    separation: float, lines: int, spectra: int, make_rng: MakeRng
) -> None:
    wavelength_nm, rng = axis(0.05, 200), make_rng("acceptance 8", separation, spectra)
    edges = energy_edges_eV(wavelength_nm)
    expected = expected_electrons(edges, two_lines(1e4, separation), shape="gauss")
    model = FitModel(lines="auto", window_eV=(2.34, 2.36))

    fits = [
        fit_spectrum(wavelength_nm, measured(expected, rng), model=model, noise=CCD)
        for _ in range(spectra)
    ]

    others = sum(fit.lines != lines for fit in fits)
    print(f"{others} of {spectra} have not {lines} lines at {separation} FWHM")
    # 5 of 100 are allowed, 2 are expected; of few spectra chance takes more.
    assert others <= stats.binom.isf(CHANCE, spectra, 0.02)
    assert all(len(fit.gains) == 2 for fit in fits)


def test_a_splitting_is_not_claimed_unless_something_else_confirms_it() -> None:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(1)
    edges = energy_edges_eV(wavelength_nm)
    counts = measured(expected_electrons(edges, two_lines(2e4, 1.5), shape="gauss"), rng)

    fit = fit_spectrum(wavelength_nm, counts, model=FitModel(lines=2), noise=CCD)
    confirmed = fit_spectrum(
        wavelength_nm,
        counts,
        model=FitModel(lines=2, confirmed_by=("polarization",)),
        noise=CCD,
    )

    assert "shape not known, splitting not claimed" in fit.reason
    assert not fit.splitting_claimed
    assert "confirmed by polarization" in confirmed.reason
    assert confirmed.splitting_claimed


def test_gain_and_offset_and_background_frames_change_units_not_the_result() -> None:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(2)
    edges = energy_edges_eV(wavelength_nm)
    other = DetectorNoise(gain_e_per_count=2.0, read_noise_e=4.0, offset_counts=1000.0)
    electrons = rng.poisson(expected_electrons(edges, one_line(2e4), shape="gauss"))
    glow = 30.0 + 10.0 * np.sin(np.arange(160) / 5.0)
    model = FitModel(lines=1)

    plain = fit_spectrum(wavelength_nm, electrons + 600.0, model=model, noise=CCD)
    doubled = fit_spectrum(wavelength_nm, electrons / 2.0 + 1000.0, model=model, noise=other)
    lit = fit_spectrum(
        wavelength_nm, electrons + 600.0 + glow, model=model, noise=CCD, background=600.0 + glow
    )

    assert doubled["energy_1_eV"] == pytest.approx(plain["energy_1_eV"], abs=1e-9)
    assert doubled["area_1_counts"] == pytest.approx(0.5 * plain["area_1_counts"], rel=1e-6)
    assert lit["energy_1_eV"] == pytest.approx(plain["energy_1_eV"], abs=plain.error("energy_1_eV"))
    assert lit.error("energy_1_eV") > plain.error("energy_1_eV")


def test_two_runs_give_the_same_bits() -> None:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(5)
    edges = energy_edges_eV(wavelength_nm)
    counts = measured(expected_electrons(edges, two_lines(3e3, 1.3), shape="gauss"), rng)

    first, second = (
        fit_spectrum(wavelength_nm, counts, model=FitModel(lines="auto"), noise=CCD)
        for _ in range(2)
    )

    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.covariance, second.covariance)


def fit_with(model: FitModel, *, photons: float = 2e4, seed: int = 4) -> SpectrumFit:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(seed)
    expected = expected_electrons(energy_edges_eV(wavelength_nm), one_line(photons), shape="gauss")
    return fit_spectrum(wavelength_nm, measured(expected, rng), model=model, noise=CCD)


def test_a_fixed_parameter_stays_and_has_no_error() -> None:
    fit = fit_with(FitModel(lines=1, fixed={"width_eV": 1e-3}))

    assert fit["width_eV"] == 1e-3
    assert fit.error("width_eV") == 0.0
    assert fit.verdict is Verdict.CONVERGED
    assert fit.error("area_1_counts") < fit_with(FitModel(lines=1)).error("area_1_counts")


def test_a_parameter_at_its_bound_is_named() -> None:
    fit = fit_with(FitModel(lines=1, bounds={"width_eV": (1e-4, 8e-4)}))

    assert fit.verdict is Verdict.AT_A_BOUND
    assert "width_eV" in fit.reason
    assert fit["width_eV"] == 8e-4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FitModel(fixed={"energy_7_eV": 2.0}), "'energy_7_eV' is no parameter"),
        (FitModel(bounds={"width_eV": (2e-3, 1e-3)}), "lower bound 0.002 is above"),
    ],
)
def test_a_limit_on_nothing_is_refused(model: FitModel, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_with(model)


def test_three_lines_on_a_single_one_are_not_sold_as_three() -> None:
    fit = fit_with(FitModel(lines=3))

    assert fit.verdict in (Verdict.ILL_DETERMINED, Verdict.AT_A_BOUND, Verdict.FAILED)


def test_a_model_that_misses_the_spectrum_has_the_miss_in_its_errors() -> None:
    wavelength_nm, rng = axis(0.1, 160), np.random.default_rng(4)
    edges = energy_edges_eV(wavelength_nm)
    counts = measured(expected_electrons(edges, two_lines(1e6, 1.5), shape="gauss"), rng)
    model = FitModel(lines=1, window_eV=(2.343, 2.357))

    fit = fit_spectrum(wavelength_nm, counts, model=model, noise=CCD)

    assert fit.verdict is Verdict.POOR_FIT
    assert "electrons rms" in fit.reason
    photons_alone = bound_of_lines(edges, one_line(1e6, 2e-3), read_noise_e=4.0)
    assert fit.error("energy_1_eV") > 5.0 * photons_alone["energy_1_eV"]
    assert fit.chi2_per_dof > 9.0


WAVELENGTH = axis(0.1, 1024)
LINE = expected_electrons(energy_edges_eV(WAVELENGTH), one_line(1e4), shape="gauss") + 600.0
EMPTY = [Verdict.NO_SIGNAL]
NOT_GOOD = [Verdict.NO_SIGNAL, Verdict.FAILED, Verdict.POOR_FIT, Verdict.ILL_DETERMINED]


@pytest.mark.parametrize(
    ("counts", "verdicts"),
    [
        pytest.param(np.zeros(1024), EMPTY, id="all zero"),
        pytest.param(np.full(1024, np.nan), EMPTY, id="all NaN"),
        pytest.param(np.full(1024, -1e4), EMPTY, id="negative"),
        pytest.param(np.full(1024, 65535.0), EMPTY, id="all saturated"),
        pytest.param(np.full(1024, np.inf), EMPTY, id="infinite"),
        pytest.param(600.0 - 10.0 * (LINE - 600.0), EMPTY, id="upside down"),
        pytest.param(np.full(1024, 1e18), EMPTY, id="absurdly bright"),
        pytest.param(np.arange(1024.0) * 1e3, NOT_GOOD, id="a ramp"),
        pytest.param(np.where(np.arange(1024) == 500, 1e9, 600.0), NOT_GOOD, id="one pixel"),
        pytest.param(np.where(np.arange(1024) % 2, 6e4, 0.0), NOT_GOOD, id="every other pixel"),
    ],
)
@pytest.mark.parametrize("lines", [1, 3, "auto"])
@pytest.mark.filterwarnings("error")
def test_counts_that_show_no_line_get_a_verdict(
    counts: Array, verdicts: list[Verdict], lines: int | Literal["auto"]
) -> None:
    fit = fit_spectrum(WAVELENGTH, counts, model=FitModel(lines=lines), noise=CCD)

    assert fit.verdict in [*verdicts, *([Verdict.AT_A_BOUND] if verdicts is NOT_GOOD else [])]
    assert fit.reason
    if fit.verdict in (Verdict.NO_SIGNAL, Verdict.FAILED) and not np.isfinite(fit.values).all():
        assert np.isnan(fit.values).all()
        assert np.isnan(fit.errors).all()


def test_a_window_off_the_axis_or_too_narrow_is_said_in_words() -> None:
    for window in ((1.0, 1.1), (2.35, 2.3501)):
        fit = fit_spectrum(WAVELENGTH, LINE, model=FitModel(window_eV=window), noise=CCD)

        assert fit.verdict is Verdict.NO_SIGNAL
        assert "holds fewer than 11 good pixels" in fit.reason


def test_two_pixels_and_a_million_pixels_are_both_answered() -> None:
    short = fit_spectrum([500.0, 500.1], [700.0, 900.0], model=FitModel(), noise=CCD)
    assert short.verdict is Verdict.NO_SIGNAL

    wavelength_nm = np.linspace(400.0, 700.0, 1_000_000)
    line = one_line(1e5) | {"energy_1_eV": 2.2, "background_0": 0.0}
    expected = expected_electrons(energy_edges_eV(wavelength_nm), line, shape="gauss")
    counts = measured(expected, np.random.default_rng(9))
    long = fit_spectrum(wavelength_nm, counts, model=FitModel(span_eV=8e-3), noise=CCD)
    assert long["energy_1_eV"] == pytest.approx(2.2, abs=5.0 * long.error("energy_1_eV"))


@pytest.mark.parametrize(
    ("wavelength_nm", "counts", "message"),
    [
        (-WAVELENGTH, LINE, "must be finite and positive"),
        (np.where(np.arange(1024) == 7, np.nan, WAVELENGTH), LINE, "pixel 7 is nan"),
        (WAVELENGTH[::-1] * 0 + 500.0, LINE, "the axis must rise or fall"),
        (WAVELENGTH, LINE[:-1], "1023 counts for a wavelength axis of 1024"),
    ],
)
def test_an_axis_that_is_none_is_refused(wavelength_nm: Array, counts: Array, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_spectrum(wavelength_nm, counts, model=FitModel(), noise=CCD)


def test_dead_and_saturated_pixels_are_left_out_of_the_fit(make_rng: MakeRng) -> None:
    noise = DetectorNoise(1.0, 4.0, 600.0, saturation_counts=60000.0)
    rng = make_rng("dead pixels")
    counts = measured(LINE - 600.0, rng)
    spoiled = np.array(counts)
    line = int(np.argmax(counts))
    spoiled[line + 3], spoiled[line - 5] = np.nan, 65535.0

    fit = fit_spectrum(WAVELENGTH, spoiled, model=FitModel(span_eV=8e-3), noise=noise)

    # What was spoiled would make chi2 absurd, not unlikely: 1 fit in 1600 is by itself.
    assert fit.verdict is Verdict.CONVERGED or fit.chi2_per_dof < 1.5, fit.reason
    assert abs(fit["energy_1_eV"] - 2.35) < 5.5 * fit.error("energy_1_eV")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gain_e_per_count": 0.0}, "gain_e_per_count 0.0 must be positive"),
        ({"read_noise_e": -1.0}, "read_noise_e -1.0 must not be negative"),
    ],
)
def test_an_impossible_detector_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectorNoise(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"lines": 4}, "lines 4 must be"), ({"background_order": 9}, "background_order 9")],
)
def test_an_impossible_model_is_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FitModel(**settings)  # type: ignore[arg-type]


def test_a_line_too_wide_for_its_window_is_ill_determined_and_not_called_no_signal(
    make_rng: MakeRng,
) -> None:
    """Its light is anything between little on a high background and much on a low one.

    A straight background alone misses these spectra by 15 sigma, which noise never does.
    """
    wavelength, rng = axis(0.1, 400), make_rng("narrow window")
    line = one_line(170.0 * 30.0 * 1.0645, 3e-3) | {"background_0": 500.0}
    expected = expected_electrons(energy_edges_eV(wavelength), line, shape="gauss")
    model = FitModel(lines=1, window_eV=(2.35 - 2.7e-3, 2.35 + 2.7e-3))

    fits = [
        fit_spectrum(wavelength, measured(expected, rng), model=model, noise=CCD) for _ in range(20)
    ]

    assert Verdict.NO_SIGNAL not in {fit.verdict for fit in fits}
    hardly_known = [fit for fit in fits if fit["area_1_counts"] < 5.0 * fit.error("area_1_counts")]
    assert hardly_known
    for fit in hardly_known:
        assert fit.verdict is Verdict.ILL_DETERMINED
        assert "too narrow to tell its light from the background" in fit.reason

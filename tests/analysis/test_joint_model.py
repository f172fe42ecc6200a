"""A whole spectrum model fitted to many spectra at once, and intervals from the likelihood."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.verdict import Verdict
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.joint_model import JointStart, fit_model_jointly
from analysis.spectra.model_fit import ModelFitter, is_faint
from analysis.spectra.profile_interval import profile_interval, profile_intervals
from analysis.spectra.spectrum_model import Contents, SpectrumModel
from analysis.spectra.spectrum_window import Window

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals, TrueSpectrum

Array = NDArray[np.float64]
CHANCE = 1e-6

pytestmark = pytest.mark.usefixtures("compiled_if_ready")


def model_of(nanocrystals: Nanocrystals) -> SpectrumModel:
    emitter = Emitter(
        dict.fromkeys(("replicas", "trion", "biexciton"), Presence.ALWAYS),
        tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        windows_eV=nanocrystals.windows_eV,
    )
    return SpectrumModel((emitter,), lines=2)


CONTENTS = Contents(2, ("replicas", "trion", "biexciton"))


def window_of(nanocrystals: Nanocrystals, electrons: Array) -> Window:
    shift = np.full((1, electrons.size), nanocrystals.read_noise_e**2)
    counts = Counts(electrons[None], shift, np.ones_like(shift))
    return Window(nanocrystals.edges_eV, counts).rising()


def start_of(truth: TrueSpectrum, spectra: int, *, is_steady: bool = False) -> JointStart:
    """Return start values somewhat beside the truth."""
    p = truth.parameters
    light = p["area_1_counts"]
    values = {n: 1.02 * v if "width" in n or "coupling" in n else v for n, v in p.items()}
    values["splitting_2_eV"] = p["energy_2_eV"] - p["energy_1_eV"] + 0.03e-3
    unit = light if not is_steady else 1.0
    values["share_1"] = light / unit
    values["share_2"] = 1.1 * p["area_2_counts"] / unit
    values["trion_share"] = p["trion_area_counts"] / unit
    for k in (1, 2):
        values[f"biexciton_share_{k}"] = p[f"biexciton_area_{k}_counts"] / unit
    energy = np.full(spectra, p["energy_1_eV"] + 0.02e-3)
    return JointStart(values, energy, np.full(spectra, light))


def test_frames_that_wander_and_blink_share_everything_else(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng, frames = make_rng("joint"), 8
    truth = nanocrystals.one(200, rng)
    moves = rng.normal(0.0, 0.1e-3, frames)
    light = rng.uniform(0.4, 1.6, frames)
    windows = []
    for move, factor in zip(moves, light, strict=True):
        changed = {
            n: v + move if n.startswith("energy") else v * factor if "area" in n else v
            for n, v in truth.parameters.items()
        }
        expected = truth.expected(nanocrystals.edges_eV, changed)
        windows.append(window_of(nanocrystals, nanocrystals.measured(expected, rng)))

    fit = fit_model_jointly(
        model_of(nanocrystals), windows, start_of(truth, frames), contents=CONTENTS
    )

    p = truth.parameters
    wanted = {n: p[n] for n in fit.names if n in p}
    wanted["splitting_2_eV"] = p["energy_2_eV"] - p["energy_1_eV"]
    wanted["share_2"] = p["area_2_counts"] / p["area_1_counts"]
    wanted["trion_share"] = p["trion_area_counts"] / p["area_1_counts"]
    assert fit.converged
    assert len(wanted) >= 10
    for name, value in wanted.items():
        assert abs(fit[name] - value) < 5.0 * fit.error(name), name
    miss = (fit.own["energy_1_eV"] - p["energy_1_eV"] - moves) / fit.own_errors["energy_1_eV"]
    assert np.abs(miss).max() < 5.0
    assert fit.chi2_per_dof == pytest.approx(1.0, abs=0.08)


def test_a_polarization_series_gives_the_law_of_every_line_at_once(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng, angles = make_rng("polarization"), np.deg2rad(np.arange(0.0, 180.0, 15.0))
    truth = nanocrystals.one(200, rng)
    law = np.stack([np.ones(12), np.cos(2.0 * angles), np.sin(2.0 * angles)], axis=1)
    p = truth.parameters
    windows = []
    for angle in angles:
        seen = {1: np.cos(angle - 0.35) ** 2, 2: np.cos(angle - 2.06) ** 2}
        changed = {f"area_{k}_counts": p[f"area_{k}_counts"] * part for k, part in seen.items()}
        changed |= {
            f"biexciton_area_{k}_counts": p[f"biexciton_area_{k}_counts"] * part
            for k, part in seen.items()
        }
        expected = truth.expected(nanocrystals.edges_eV, changed)
        windows.append(window_of(nanocrystals, nanocrystals.measured(expected, rng)))
    shares = [f"{kind}share_{k}" for kind in ("", "biexciton_") for k in (1, 2)]

    fit = fit_model_jointly(
        model_of(nanocrystals),
        windows,
        start_of(truth, 12, is_steady=True),
        contents=CONTENTS,
        laws=dict.fromkeys(shares, law),
        is_steady=True,
    )

    assert fit.converged
    for kind in ("", "biexciton_"):
        for k, axis in ((1, 0.35), (2, 2.06)):
            area = p[f"{kind}area_{k}_counts"]
            wanted = area * 0.5 * np.array([1.0, np.cos(2.0 * axis), np.sin(2.0 * axis)])
            for i, value in enumerate(wanted):
                name = f"{kind}share_{k}[{i}]"
                assert abs(fit[name] - value) < 5.0 * fit.error(name), name
    splitting = p["energy_2_eV"] - p["energy_1_eV"]
    assert abs(fit["splitting_2_eV"] - splitting) < 5.0 * fit.error("splitting_2_eV")


def test_what_cannot_be_fitted_jointly_is_refused_in_words(nanocrystals: Nanocrystals) -> None:
    window = window_of(nanocrystals, np.zeros(nanocrystals.pixels))
    start = JointStart({}, np.zeros(1), np.ones(1))
    model = model_of(nanocrystals)

    with pytest.raises(ValueError, match="2 emitters move each by itself"):
        fit_model_jointly(
            replace(model, emitters=(Emitter(), Emitter())), [window], start, contents=CONTENTS
        )
    second = replace(model, emitters=(replace(model.emitters[0], orders=2),))
    with pytest.raises(ValueError, match="second order can't be fitted jointly"):
        fit_model_jointly(second, [window], start, contents=CONTENTS)
    short = Window(window.edges_eV[:-1], Counts(*(np.zeros((1, 1023)) for _ in range(3))))
    with pytest.raises(ValueError, match=r"spectra of \[1023, 1024\] pixels"):
        fit_model_jointly(model, [window, short], start, contents=CONTENTS)


FAINT_NAMES = ("energy_1_eV", "width_eV", "biexciton_binding_eV", "coupling_1")


def of_faint_ones(
    nanocrystals: Nanocrystals, peak: int, rng: np.random.Generator, *, sound: int, most: int
) -> Counter[str]:
    """Return how often each verdict is given, how many sound fits are wrong all the same, and how
    often their intervals hold the truth; of so many sound fits or of most spectra."""
    fitter = ModelFitter(model_of(nanocrystals), DetectorNoise(read_noise_e=4.0))
    count: Counter[str] = Counter()
    while count["converged"] < sound and count["spectra"] < most:
        truth = nanocrystals.one(peak, rng)
        expected, bound = truth.expected_and_bound(nanocrystals.edges_eV)
        window = window_of(nanocrystals, nanocrystals.measured(expected, rng))
        fit = fitter.fit_window(window)
        assert fit.fit.reason
        count["spectra"] += 1
        count[fit.fit.verdict.value] += 1
        if fit.fit.verdict is not Verdict.CONVERGED:
            continue
        count["told faint"] += is_faint(fit, window) and "profile intervals" in fit.fit.reason
        count["lost"] += any(abs(fit[n] - truth.parameters[n]) > 8.0 * bound[n] for n in bound)
        for name, interval in profile_intervals(fitter, window, fit, FAINT_NAMES).items():
            count[name] += truth.parameters[name] in interval
    return count


def check_faint_ones(count: Counter[str]) -> None:
    sound = count["converged"]
    assert count["told faint"] >= 0.9 * sound
    assert count["lost"] <= stats.binom.ppf(1.0 - CHANCE, sound, 1e-2)
    for name in FAINT_NAMES:
        assert stats.binom.ppf(CHANCE, sound, 0.62) <= count[name], name
        assert count[name] <= stats.binom.ppf(1.0 - CHANCE, sound, 0.74), name


def test_below_fifty_counts_the_verdict_points_to_intervals_that_cover(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    count = of_faint_ones(nanocrystals, 30, make_rng("faint"), sound=20, most=100)

    assert count["converged"] == 20
    check_faint_ones(count)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("peak", [20, 30, 40])
def test_campaign_below_fifty_counts_intervals_cover(
    peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    count = of_faint_ones(nanocrystals, peak, make_rng("faint", peak), sound=400, most=5000)

    print(f"{peak} counts: {dict(count)}")
    check_faint_ones(count)


@pytest.mark.parametrize("peak", [5, 10])
def test_where_the_read_noise_is_as_strong_no_fit_is_called_sound(
    peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    count = of_faint_ones(nanocrystals, peak, make_rng("too faint", peak), sound=100, most=100)

    assert count["spectra"] == 100
    assert count["converged"] <= stats.binom.ppf(1.0 - CHANCE, 100, 1e-2)
    assert count["no signal"] >= stats.binom.ppf(CHANCE, 100, 0.95 if peak == 5 else 0.35)


@pytest.mark.parametrize(
    ("sigmas", "verdict"), [(2.5, Verdict.ILL_DETERMINED), (8.0, Verdict.CONVERGED)]
)
def test_light_too_faint_to_be_placed_is_said_and_may_be_anywhere(
    sigmas: float, verdict: Verdict, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    whole = nanocrystals.one(200, make_rng("faint trion"))
    faint = replace(whole, parameters={**whole.parameters, "trion_area_counts": 1.0})
    area = sigmas * faint.bound(nanocrystals.edges_eV)["trion_area_counts"]
    seen = replace(whole, parameters={**whole.parameters, "trion_area_counts": area})
    window = window_of(nanocrystals, seen.expected(nanocrystals.edges_eV))
    fitter = ModelFitter(model_of(nanocrystals), DetectorNoise(read_noise_e=4.0))

    fit = fitter.fit_window(window)
    interval = profile_interval(fitter, window, fit, "trion_binding_eV")

    is_faint_one = verdict is Verdict.ILL_DETERMINED
    assert fit.fit.verdict is verdict
    assert ("its place is not known: trion (2." in fit.fit.reason) == is_faint_one
    assert interval.is_open_low == interval.is_open_high == is_faint_one
    assert seen.parameters["trion_binding_eV"] in interval
    assert fit["energy_1_eV"] == pytest.approx(seen.parameters["energy_1_eV"], abs=1e-6)


def test_an_interval_is_symmetric_where_light_is_plenty_and_open_at_a_bound(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("plenty")
    fitter = ModelFitter(model_of(nanocrystals), DetectorNoise(read_noise_e=4.0))
    truth = nanocrystals.one(20000, rng)
    window = window_of(
        nanocrystals, nanocrystals.measured(truth.expected(nanocrystals.edges_eV), rng)
    )
    fit = fitter.fit_window(window)
    bounds = {"width_eV": (0.5 * fit["width_eV"], fit["width_eV"] + 0.2 * fit.error("width_eV"))}
    bounded = ModelFitter(replace(fitter.model, bounds=bounds), fitter.noise)

    interval = profile_interval(fitter, window, fit, "energy_1_eV")
    at_bound = profile_interval(bounded, window, bounded.fit_window(window), "width_eV")

    error = fit.error("energy_1_eV")
    assert fit["energy_1_eV"] - interval.low == pytest.approx(error, rel=0.06)
    assert interval.high - fit["energy_1_eV"] == pytest.approx(error, rel=0.06)
    assert at_bound.is_open_high
    assert at_bound.high == pytest.approx(bounds["width_eV"][1])
    with pytest.raises(ValueError, match="'polaron' is no free parameter"):
        profile_interval(fitter, window, fit, "polaron")

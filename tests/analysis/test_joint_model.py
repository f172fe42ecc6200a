"""A whole spectrum model fitted to many spectra at once, and intervals from the likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
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


def covered(nanocrystals: Nanocrystals, rng: np.random.Generator, spectra: int) -> dict[str, int]:
    """Return how often the intervals hold the truth of a nanocrystal of 20 counts."""
    names = ("energy_1_eV", "width_eV", "biexciton_binding_eV", "coupling_1")
    fitter = ModelFitter(model_of(nanocrystals), DetectorNoise(read_noise_e=4.0))
    count = dict.fromkeys((*names, "faint", "fitted"), 0)
    for _ in range(spectra):
        truth = nanocrystals.one(20, rng)
        window = window_of(
            nanocrystals, nanocrystals.measured(truth.expected(nanocrystals.edges_eV), rng)
        )
        fit = fitter.fit_window(window)
        if fit.place is None or not all(n in fit.fit.names and fit.error(n) > 0 for n in names):
            continue
        count["fitted"] += 1
        count["faint"] += is_faint(fit, window) and "profile intervals" in fit.fit.reason
        for name, interval in profile_intervals(fitter, window, fit, names).items():
            count[name] += truth.parameters[name] in interval
    return count


def test_below_fifty_counts_the_verdict_points_to_intervals_that_cover(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    count = covered(nanocrystals, make_rng("faint"), spectra=20)

    fitted = count.pop("fitted")
    assert fitted >= 17
    assert count.pop("faint") >= 0.9 * fitted
    for name, hits in count.items():
        assert stats.binom.ppf(CHANCE, fitted, 0.62) <= hits, name
        assert hits <= stats.binom.ppf(1.0 - CHANCE, fitted, 0.74), name


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_campaign_below_fifty_counts_intervals_cover(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    count = covered(nanocrystals, make_rng("faint campaign"), spectra=1000)

    print(f"profile intervals at 20 counts, of {count['fitted']}: {count}")
    fitted = count.pop("fitted")
    count.pop("faint")
    for name, hits in count.items():
        assert 0.62 < hits / fitted < 0.74, name


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

"""Following a nanocrystal that drifts, jumps, blinks and is hit by cosmic rays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.series.tracking import Course, Tracker, track
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.spectrum_window import Window

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals, TrueSpectrum

Array = NDArray[np.float64]
pytestmark = pytest.mark.usefixtures("compiled_if_ready")

CHANCE = 1e-6


def fitter_for(nanocrystals: Nanocrystals) -> ModelFitter:
    emitter = Emitter(
        dict.fromkeys(("replicas", "trion", "biexciton"), Presence.ALWAYS),
        tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        windows_eV=nanocrystals.windows_eV,
    )
    return ModelFitter(SpectrumModel((emitter,), lines=2), DetectorNoise(read_noise_e=4.0))


def window_of(nanocrystals: Nanocrystals, electrons: Array) -> Window:
    shift = np.full((1, electrons.size), nanocrystals.read_noise_e**2)
    return Window(nanocrystals.edges_eV, Counts(electrons[None], shift, np.ones_like(shift)))


def moved(truth: TrueSpectrum, by_eV: float) -> TrueSpectrum:
    lines = {n: v + by_eV for n, v in truth.parameters.items() if n.startswith("energy")}
    return replace(truth, parameters={**truth.parameters, **lines})


@dataclass(frozen=True)
class Night:
    """Truth of every frame, None where it is off, what was measured, and the bound, which hardly
    depends on where the lines are."""

    truths: list[TrueSpectrum | None]
    windows: list[Window]
    bound: dict[str, float]


def a_night(nanocrystals: Nanocrystals, peak: int, rng: np.random.Generator, frames: int) -> Night:
    """Return frames with drift, 1 % jumps, 8 % off frames, and hits of 200 to 10000 electrons."""
    truth = nanocrystals.one(peak, rng)
    truths: list[TrueSpectrum | None] = []
    windows: list[Window] = []
    place_eV = 0.0
    for _ in range(frames):
        place_eV = float(np.clip(place_eV + rng.normal(0.0, 0.02e-3), -3e-3, 3e-3))
        if rng.random() < 0.01:
            place_eV = rng.uniform(-2.5e-3, 2.5e-3)
        here = moved(truth, place_eV)
        is_off = rng.random() < 0.08
        light = np.full(nanocrystals.pixels, truth.parameters["background_0"])
        electrons = nanocrystals.measured(
            light if is_off else here.expected(nanocrystals.edges_eV), rng
        )
        for _ in range(rng.poisson(0.15)):
            first, width = rng.integers(0, nanocrystals.pixels - 3), rng.integers(1, 4)
            electrons[first : first + width] += 10.0 ** rng.uniform(2.3, 4.0) / width
        truths.append(None if is_off else here)
        windows.append(window_of(nanocrystals, electrons))
    return Night(truths, windows, truth.bound(nanocrystals.edges_eV))


def judged(nanocrystals: Nanocrystals, night: Night) -> Counter[str]:
    """Return how many frames were right, wrong, found off, missed and falsely off."""
    score: Counter[str] = Counter()
    tracker = Tracker(fitter_for(nanocrystals))
    for truth, window in zip(night.truths, night.windows, strict=True):
        tracked = tracker.feed(window)
        assert tracked.reason
        score[tracked.course.value] += 1
        if truth is None:
            score["off found" if tracked.course is Course.OFF else "off missed"] += 1
            continue
        right = tracked.is_good and all(
            name in tracked.fit.fit.names
            and abs(tracked.fit[name] - truth.parameters[name]) < 8.0 * sigma
            for name, sigma in night.bound.items()
        )
        score["right" if right else "wrong"] += 1
        score["falsely off"] += tracked.course is Course.OFF
    return score


def check(score: Counter[str]) -> None:
    on, off = score["right"] + score["wrong"], score["off found"] + score["off missed"]
    assert score["wrong"] <= stats.binom.ppf(1.0 - CHANCE, on, 1e-3)
    assert score["falsely off"] <= stats.binom.ppf(1.0 - CHANCE, on, 5e-3)
    assert score["off missed"] <= stats.binom.ppf(1.0 - CHANCE, off, 1e-2)


@pytest.mark.parametrize("peak", [50, 1000])
def test_frames_are_followed_through_jumps_blinking_and_hits(
    peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    night = a_night(nanocrystals, peak, make_rng("night", peak), frames=150)

    check(judged(nanocrystals, night))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("peak", [50, 200, 1000, 20000])
def test_campaign_frames_are_followed_through_jumps_blinking_and_hits(
    peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng, total = make_rng("nights", peak), Counter[str]()
    for _ in range(40):
        total += judged(nanocrystals, a_night(nanocrystals, peak, rng, frames=500))

    print(f"tracking, {peak}: {dict(total)}")
    check(total)


def test_what_happened_to_a_frame_is_said(nanocrystals: Nanocrystals) -> None:
    rng = np.random.default_rng(2)
    truth = nanocrystals.one(1000, rng)
    charged = {
        n: 0.0 if n.startswith(("area", "biexciton_area")) else v
        for n, v in truth.parameters.items()
    }
    dark = np.full(nanocrystals.pixels, 10.0)
    stages = [
        (truth, Course.STARTED),
        (moved(truth, 0.03e-3), Course.FOLLOWED),
        (None, Course.OFF),
        (truth, Course.FOLLOWED),
        (moved(truth, 2.5e-3), Course.JUMPED),
        (moved(replace(truth, parameters=charged), 2.5e-3), Course.CHARGED),
        (moved(truth, 2.5e-3), Course.FOLLOWED),
    ]
    windows = [
        window_of(
            nanocrystals,
            dark
            if one is None
            else nanocrystals.measured(one.expected(nanocrystals.edges_eV), rng),
        )
        for one, _ in stages
    ]

    courses = [tracked.course for tracked in track(fitter_for(nanocrystals), windows)]

    assert courses == [course for _, course in stages]


def test_along_a_sweep_the_next_energy_is_predicted_from_the_last_ones(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("sweep")
    truth = nanocrystals.one(1000, rng)
    fields = np.linspace(0.0, 1.0, 8)
    windows = [
        window_of(
            nanocrystals,
            nanocrystals.measured(
                moved(truth, 0.9e-3 * 7.0 * field).expected(nanocrystals.edges_eV), rng
            ),
        )
        for field in fields
    ]

    with_place = list(track(fitter_for(nanocrystals), windows, fields))

    # Once three points are known, the step of 0.9 meV is no surprise.
    assert all(tracked.course is Course.FOLLOWED for tracked in with_place[3:])
    slope = np.polyfit(fields, [tracked.fit["energy_1_eV"] for tracked in with_place], 1)[0]
    assert slope == pytest.approx(6.3e-3, abs=0.05e-3)


def test_no_light_at_all_is_off_from_the_first_frame(nanocrystals: Nanocrystals) -> None:
    tracker = Tracker(fitter_for(nanocrystals))

    tracked = tracker.feed(window_of(nanocrystals, np.zeros(nanocrystals.pixels)))

    assert tracked.course is Course.OFF
    assert "needed are 5" in tracked.reason


def test_a_fit_without_a_result_is_no_start(nanocrystals: Nanocrystals) -> None:
    fitter = fitter_for(nanocrystals)
    nothing = window_of(nanocrystals, np.zeros(nanocrystals.pixels))

    with pytest.raises(ValueError, match="no start for another"):
        fitter.follow(nothing, fitter.fit_window(nothing))

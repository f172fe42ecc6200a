"""How many lines an exciton has: one, two or three, from one spectrum or many, and how surely.

A further line is added where it lowers the deviance by more than chance and an uneven response
could; over several spectra the gains add up, since splittings and relative areas are shared. Three
things look like a further line and are none. Ripple of the response raises the gain that is asked
for. A line that jumps while the shutter is open shows in relative areas that change from frame to
frame, or in frames in which it is wider: then fewer lines are chosen. An instrument profile other
than the one assumed, and a jump within the only spectrum there is, can't be told from lines: the
spectrum is described by several, and they are not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.line_table import Shape
from analysis.estimation.verdict import Verdict
from analysis.spectra.joint_model import JointModelFit, JointStart, fit_model_jointly
from analysis.spectra.line_evidence import false_rate, feigned_gain, needed_gain, penalised
from analysis.spectra.model_fit import ModelFit, ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.spectrum_window import Window

__all__ = ["EVIDENCE", "Selection", "select_lines"]

Array = NDArray[np.float64]

EVIDENCE = ("polarization", "biexciton mirror", "replica copy")
_CONSTANT = 6.0  # 2 ln of the odds, 20 to 1, from which relative areas are said to be constant
_SOUND = (Verdict.CONVERGED, Verdict.POOR_FIT, Verdict.ILL_DETERMINED)


@dataclass(frozen=True, slots=True)
class Selection:
    """lines: what the spectra are described by best; is_claimed: whether the exciton has so many.

    gains: drop of the deviance by the second, third line, all spectra together; needed: what each
    had to exceed. false_rate: probability of the last accepted gain if there were one line less,
    with the profile as given. fits: of one spectrum or of the sum of several laid
    over one another, by number of lines. used: the spectra that went into it, with their
    mean energy_eV of lines, and moved_eV, from the fits of the sum to the mean of these.
    """

    lines: int
    is_claimed: bool
    reason: str
    gains: tuple[float, ...]
    needed: tuple[float, ...]
    false_rate: float
    fits: Mapping[int, ModelFit]
    used: tuple[int, ...] = ()
    energy_eV: Array = field(default_factory=lambda: np.empty(0))
    moved_eV: float = 0.0

    @property
    def fit(self) -> ModelFit:
        return self.fits[self.lines]

    @property
    def claimed_lines(self) -> int:
        """How many lines may be said to be there: as many as are claimed, else one."""
        return self.lines if self.is_claimed else 1


def select_lines(
    model: SpectrumModel,
    noise: DetectorNoise,
    windows: Sequence[Window],
    *,
    numbers: Sequence[int] = (1, 2, 3),
    confirmed_by: Sequence[str] = (),
) -> Selection:
    """Return how many lines the exciton has.

    windows: spectra in electrons of one point of a sweep, on one axis. model: its number of lines
    is ignored; with emitters of shape PROFILE and the profile as measured, more than one line can
    be claimed. confirmed_by: of EVIDENCE, what else speaks for several lines.
    Raises ValueError for evidence that is none and for no spectrum.
    """
    unknown = set(confirmed_by) - set(EVIDENCE)
    if unknown or not windows:
        raise ValueError(f"evidence {sorted(unknown)} is none of {EVIDENCE}, or no spectrum at all")
    alone, shown = _each(model, noise, windows, numbers)
    kept = _alike(alone, shown)
    if not kept:
        return Selection(1, False, alone[0].fit.reason, (), (), 1.0, {1: alone[0]})
    lit = [windows[i].rising() for i in kept]
    moved = [_mean_energy_eV(alone[i]) for i in kept]
    whole, moved_eV = _registered(lit, moved)
    fits = _fits(model, noise, whole, numbers)
    joint = {
        n: _jointly(replace(model, lines=n), lit, moved, fit) if len(lit) > 1 else None
        for n, fit in fits.items()
    }
    series = _Series(model, noise, lit, moved, wider=len(shown) - len(kept))
    selection = _decided(series, fits, joint, tuple(confirmed_by))
    return replace(selection, used=tuple(kept), energy_eV=np.array(moved), moved_eV=moved_eV)


def _each(
    model: SpectrumModel, noise: DetectorNoise, windows: Sequence[Window], numbers: Sequence[int]
) -> tuple[list[ModelFit], list[int]]:
    """Fit each spectrum by itself, and return the fits and which of them show the exciton.

    With one line, whose width tells a jump; where one line describes none of the spectra, what it
    does with them is chance, and they are fitted with as few lines as describe any.
    """
    fits: list[ModelFit] = []
    shown: list[int] = []
    for lines in sorted({1, *numbers}):
        fitter = ModelFitter(replace(model, lines=lines), noise)
        more = [fitter.fit_window(window) for window in windows]
        seen = [i for i, one in enumerate(more) if one.place is not None and _is_sound(one)]
        if len(seen) < len(shown):
            break
        fits, shown = more, seen
        if len(windows) == 1 or not all(_misses(_Score.of(fits[i], None), noise) for i in shown):
            break
    return fits, shown


def _is_sound(one: ModelFit) -> bool:
    return one.fit.verdict in _SOUND


def _mean_energy_eV(one: ModelFit) -> float:
    return float(np.mean([one[f"energy_{k}_eV"] for k in range(1, one.fit.lines + 1)]))


_UNLIKE = 4.0  # sigma of a spectrum's width
_USUAL_SCATTER = 0.1  # of the width: lines that wander widen every frame, but not alike


def _alike(alone: Sequence[ModelFit], shown: list[int]) -> list[int]:
    """Return those of the spectra shown that have the exciton as wide as most of them do.

    A line that jumps while the shutter is open is wider in that spectrum alone.
    """
    if len(shown) < _FRAMES_TO_TELL:
        return shown
    width = np.array([alone[i]["width_eV"] for i in shown])
    error = np.array([alone[i].error("width_eV") for i in shown])
    usual = float(np.sort(width)[(len(shown) - 1) // 3])  # jumps only widen
    allowed = np.hypot(_UNLIKE * error, _USUAL_SCATTER * usual)
    return [i for i, ok in zip(shown, np.abs(width - usual) < allowed, strict=True) if ok]


def _registered(windows: Sequence[Window], energies_eV: Sequence[float]) -> tuple[Window, float]:
    """Return the sum of the spectra, laid over one another to the nearest pixel.

    With it comes how far the mean of their energies is from that of the sum.
    """
    first = windows[0]
    middle = 0.5 * (first.edges_eV[1:] + first.edges_eV[:-1])
    pixel = np.array([int(np.argmin(np.abs(middle - energy))) for energy in energies_eV])
    middle_pixel = round(float(np.median(pixel)))
    by = pixel - middle_pixel

    def total(name: str) -> Array:
        rows = [
            np.roll(getattr(window.counts, name)[0], -shift)
            for window, shift in zip(windows, by, strict=True)
        ]
        return np.asarray(np.sum(rows, axis=0) if name != "good" else np.min(rows, axis=0))

    good = total("good")
    reach = int(np.abs(by).max(initial=0))
    if reach:
        good[:reach] = good[-reach:] = 0.0
    counts = Counts(total("electrons")[None], total("shift")[None], good[None])
    moved_eV = float(middle[pixel].mean() - middle[middle_pixel])
    return Window(first.edges_eV, counts), moved_eV


def _fits(
    model: SpectrumModel, noise: DetectorNoise, whole: Window, numbers: Sequence[int]
) -> dict[int, ModelFit]:
    """Fit every number of lines, each from a guess, from the smaller fit with a line split and from
    the larger one with two lines made one: a line too few must not be one at the wrong place.

    The pixels of cosmic hits are those of the largest number for all, so that deviances compare.
    """
    largest = ModelFitter(replace(model, lines=max(numbers)), noise).fit_window(whole)
    seen = largest.good_pixels(whole)
    fitters = {n: ModelFitter(replace(model, lines=n), noise, clips=False) for n in sorted(numbers)}
    fits: dict[int, ModelFit] = {}
    for n, fitter in fitters.items():
        tries = [fitter.fit_window(seen)]
        smaller = fits.get(n - 1)
        if smaller is not None and smaller.place is not None:
            tries += [fitter.split(seen, smaller, line) for line in range(1, n)]
        fits[n] = _likeliest(tries)
    for n in sorted(fits, reverse=True):
        larger = fits.get(n + 1)
        if larger is not None and larger.place is not None:
            merged = [fitters[n].merge(seen, larger, line) for line in range(1, n + 1)]
            fits[n] = _likeliest([fits[n], *merged])
    return fits


def _likeliest(tries: Sequence[ModelFit]) -> ModelFit:
    return min(tries, key=lambda fit: np.nan_to_num(fit.fit.deviance, nan=np.inf))


def _jointly(
    model: SpectrumModel, windows: Sequence[Window], energies_eV: Sequence[float], fit: ModelFit
) -> JointModelFit | None:
    """Fit the spectra with shared splittings and relative areas, from the fit of their sum."""
    if fit.place is None:
        return None
    values = dict(fit.place)
    light = max(values["area_1_counts"], 1.0)
    for k in range(1, model.lines + 1):
        values[f"splitting_{k}_eV"] = values[f"energy_{k}_eV"] - values["energy_1_eV"]
        values[f"share_{k}"] = values[f"area_{k}_counts"] / light
        values[f"biexciton_share_{k}"] = values.get(f"biexciton_area_{k}_counts", 0.0) / light
    values["trion_share"] = values.get("trion_area_counts", 0.0) / light
    values["background_0"] /= len(windows)
    mean_eV = float(np.mean([values[f"energy_{k}_eV"] for k in range(1, model.lines + 1)]))
    centre = float(np.median(energies_eV))
    lowest = values["energy_1_eV"] - mean_eV
    energy = np.array(energies_eV) + lowest + (mean_eV - centre if model.lines == 1 else 0.0)
    try:
        return fit_model_jointly(
            model,
            windows,
            JointStart(values, energy, np.full(len(windows), light / len(windows))),
            contents=fit.contents[0],
        )
    except np.linalg.LinAlgError:
        return None


@dataclass(frozen=True, slots=True)
class _Series:
    """The spectra that are alike, and their mean energies.

    wider: how many more show the exciton, but wider than these.
    """

    model: SpectrumModel
    noise: DetectorNoise
    windows: Sequence[Window]
    energies_eV: Sequence[float]
    wider: int

    def feigned(self, score: _Score) -> float:
        return feigned_gain(self.noise.response_error, score.light_e)


@dataclass(frozen=True, slots=True)
class _Score:
    """light_e: of the exciton and its mirrored biexciton, which bend alike."""

    deviance: float
    chi2_per_dof: float
    parameters: int
    pixels: int
    light_e: float

    @classmethod
    def of(cls, fit: ModelFit, joint: JointModelFit | None) -> _Score:
        assert fit.place is not None  # noqa: S101 - who calls has looked
        light = sum(v for n, v in fit.place.items() if n.startswith(("area_", "biexciton_area_")))
        one = fit.fit
        if joint is None:
            return cls(one.deviance, one.chi2_per_dof, len(one.names), one.pixels, light)
        return cls(joint.deviance, joint.chi2_per_dof, joint.parameters, joint.pixels, light)


def _decided(
    series: _Series,
    fits: Mapping[int, ModelFit],
    joint: Mapping[int, JointModelFit | None],
    confirmed_by: tuple[str, ...],
) -> Selection:
    scores = {
        n: _Score.of(fit, joint[n])
        for n, fit in fits.items()
        if fit.place is not None and (joint[n] is not None or len(series.windows) == 1)
    }
    if not scores:
        first = min(fits)
        return Selection(first, False, fits[first].fit.reason, (), (), 1.0, fits)
    numbers = sorted(scores)
    steps = [(scores[a], scores[b]) for a, b in pairwise(numbers)]
    gains = tuple(a.deviance - b.deviance for a, b in steps)
    more = [b.parameters - a.parameters for a, b in steps]
    feigned = [series.feigned(a) for a, _ in steps]
    needed = tuple(map(needed_gain, more, [b.pixels for _, b in steps], feigned))
    against = ""
    while True:
        deviances = [scores[n].deviance for n in numbers]
        at = int(np.argmin(penalised(deviances, needed)))
        chosen = numbers[at]
        doubt = _against(series, chosen, fits[chosen], joint[chosen]) if chosen > 1 else ""
        if at == 0 or not doubt or _is_confirmed(confirmed_by):
            break
        against, numbers = against or doubt, numbers[:at]
    rate = false_rate(gains[at - 1], more[at - 1], feigned[at - 1]) if at else 0.0
    if chosen == 1:
        is_claimed, reason = False, f"{against}: one line" if against else "one line is enough"
    else:
        doubt = doubt or _doubt(series, chosen, scores[chosen])
        is_claimed, reason = _claim(series.model, chosen, confirmed_by, doubt)
    return Selection(chosen, is_claimed, reason, gains, needed, rate, fits)


def _is_confirmed(confirmed_by: tuple[str, ...]) -> bool:
    """Return whether something confirms the lines that is no copy of the exciton.

    A replica copies the instrument's profile, and jumps, as it copies the exciton.
    """
    return bool(confirmed_by) and confirmed_by != ("replica copy",)


def _claim(
    model: SpectrumModel, lines: int, confirmed_by: tuple[str, ...], doubt: str
) -> tuple[bool, str]:
    if _is_confirmed(confirmed_by):
        return True, f"{lines} lines, confirmed by {', '.join(confirmed_by)}"
    if model.shape is not Shape.PROFILE:
        return False, "shape not known, splitting not claimed"
    if doubt:
        return False, f"{doubt}, splitting not claimed"
    return True, f"{lines} lines with the same splittings and relative areas in every frame"


_FRAMES_TO_TELL = 4


def _against(series: _Series, lines: int, fit: ModelFit, joint: JointModelFit | None) -> str:
    """Return what in the frames speaks against so many lines, or ""."""
    frames = len(series.windows)
    if series.wider and frames < _FRAMES_TO_TELL:
        return f"{series.wider} of {series.wider + frames} frames show a wider line: it jumps"
    if joint is None:
        return ""
    constancy = _constancy(series, lines, fit, joint)
    if not constancy >= (_CONSTANT if frames >= _FRAMES_TO_TELL else 0.0):
        return (
            f"the relative areas of {lines} lines may change from frame to frame "
            f"(2 ln of odds {constancy:.1f}): a line that jumps"
        )
    return ""


def _doubt(series: _Series, lines: int, score: _Score) -> str:
    """Return what keeps lines that nothing speaks against from being claimed, or ""."""
    if len(series.windows) == 1:
        return f"{lines} lines in one spectrum: a line that jumps within it looks the same"
    if len(series.windows) < _FRAMES_TO_TELL:
        return f"{lines} lines in {len(series.windows)} frames: a line that jumps may look the same"
    if _misses(score, series.noise):
        return (
            f"the spectra are not {lines} lines that only move and blink "
            f"(chi2/dof {score.chi2_per_dof:.2f})"
        )
    return ""


def _misses(score: _Score, noise: DetectorNoise) -> bool:
    """Return whether the lines miss the light by more than noise and an uneven response do."""
    rippled = noise.response_error**2 * score.light_e
    excess = (score.chi2_per_dof - 1.0) * score.pixels - rippled
    return excess > 5.0 * float(np.sqrt(2.2 * score.pixels))


def _constancy(series: _Series, lines: int, fit: ModelFit, joint: JointModelFit) -> float:
    """Return 2 ln of the odds of constant relative areas against any in each frame."""
    found = _relative_areas(series, lines, fit, joint)
    if found is None:
        return -np.inf
    share, error = found
    weight = 1.0 / error**2
    mean = (weight * share).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    told = _told(error).sum() - _told(weight.sum(axis=1) ** -0.5).sum()
    return float(told - (weight * (share - mean) ** 2).sum())


def _told(error: Array) -> Array:
    """Return 2 ln of the range from 0 to 1 over what of it such an error leaves."""
    return np.asarray(np.maximum(0.0, -2.0 * np.log(np.sqrt(2.0 * np.pi) * error)))


def _relative_areas(
    series: _Series, lines: int, fit: ModelFit, joint: JointModelFit
) -> tuple[Array, Array] | None:
    """Return the shares of the second, third line in each frame and their errors.

    Shapes (lines - 1, frames); every frame has areas of its own in everything.
    """
    values = {**dict(zip(joint.names, joint.values.tolist(), strict=True)), "share_1": 1.0}
    areas = [name for name in values if "share_" in name or name.endswith("_share")]
    light_e = float(joint.own["brightness_e"].mean())
    values |= {name: values[name] * light_e for name in areas}
    values["background_0"] = float(joint.own["background_0"].mean())
    start = JointStart(values, joint.own["energy_1_eV"], joint.own["brightness_e"])
    model = replace(series.model, lines=lines)
    try:
        free = fit_model_jointly(
            model, series.windows, start, contents=fit.contents[0], own=areas, is_steady=True
        )
    except np.linalg.LinAlgError:
        return None
    if not free.converged:
        return None
    area = np.array([free.own[f"share_{k}"] for k in range(1, lines + 1)])
    error = np.array([free.own_errors[f"share_{k}"] for k in range(1, lines + 1)])
    light = area.sum(axis=0)
    share = area[1:] / light
    others = np.sqrt((error**2).sum(axis=0) - error[1:] ** 2)
    # Areas of close lines are known against each other: what one has the other has not.
    spread = np.abs(1.0 - share) * error[1:] + np.abs(share) * others
    return share, spread / np.abs(light)

"""How many lines an exciton has: one, two or three, from one spectrum or many, and how surely.

The number with the least Bayesian information criterion is chosen; over several spectra the gains
add up, since splittings and relative areas are shared. Three things look like a further line and
are none: an instrument profile that is not the one assumed, ripple of the response, and a line that
jumps while the shutter is open. The first forbids any claim unless the profile was measured, the
second raises the gain that is asked for, and the third shows in relative areas that change from
frame to frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.line_table import Shape
from analysis.estimation.verdict import Verdict
from analysis.spectra.joint_model import JointModelFit, JointStart, fit_model_jointly
from analysis.spectra.model_fit import ModelFit, ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.spectrum_window import Window

__all__ = ["EVIDENCE", "Selection", "select_lines"]

Array = NDArray[np.float64]

EVIDENCE = ("polarization", "biexciton mirror", "replica copy")
_FALSE_RATE_FACTOR = 3.0  # of gains at their best place against those of chi2: from simulations
_CHANGING = 1e-4  # probability below which relative areas are said to change between frames
_SOUND = (Verdict.CONVERGED, Verdict.POOR_FIT, Verdict.ILL_DETERMINED)


@dataclass(frozen=True, slots=True)
class Selection:
    """lines: what the spectra are described by best; is_claimed: whether there are so many.

    gains: drop of the deviance by the second, third line, all spectra together; needed: what each
    had to exceed. false_rate: probability of the last accepted gain if there were one line less,
    with the profile and the response as given. fits: of one spectrum or of the sum of several laid
    over one another, by number of lines. used: the spectra that went into it, with their
    energy_eV as of a single line, and moved_eV, from the fits of the sum to the mean of these.
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
    single = ModelFitter(replace(model, lines=1), noise)
    alone = [single.fit_window(window) for window in windows]
    kept = _alike(alone)
    if not kept:
        return Selection(1, False, alone[0].fit.reason, (), (), 1.0, {1: alone[0]})
    lit = [windows[i].rising() for i in kept]
    moved = [alone[i]["energy_1_eV"] for i in kept]
    whole, moved_eV = _registered(lit, moved)
    fits = _fits(model, noise, whole, numbers)
    joint = {
        n: _jointly(replace(model, lines=n), lit, moved, fit) if len(lit) > 1 else None
        for n, fit in fits.items()
    }
    selection = _decided(model, noise, fits, joint, lit, moved, tuple(confirmed_by))
    return replace(selection, used=tuple(kept), energy_eV=np.array(moved), moved_eV=moved_eV)


_UNLIKE = 4.0  # sigma of a spectrum's width
_USUAL_SCATTER = 0.1  # of the width: lines that wander widen every frame, but not alike


def _alike(alone: Sequence[ModelFit]) -> list[int]:
    """Return the spectra that show the exciton as wide as most of them do.

    A line that jumps while the shutter is open is wider in that spectrum alone.
    """
    lit = [i for i, fit in enumerate(alone) if fit.place is not None and fit.fit.verdict in _SOUND]
    if len(lit) < _FRAMES_TO_TELL:
        return lit
    width = np.array([alone[i]["width_eV"] for i in lit])
    error = np.array([alone[i].error("width_eV") for i in lit])
    usual = float(np.sort(width)[(len(lit) - 1) // 3])  # jumps only widen
    allowed = np.hypot(_UNLIKE * error, _USUAL_SCATTER * usual)
    return [i for i, ok in zip(lit, np.abs(width - usual) < allowed, strict=True) if ok]


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
    """Fit every number of lines, each from a guess and from the smaller fit with a line split.

    The pixels of cosmic hits are those of the largest number for all, so that deviances compare.
    """
    largest = ModelFitter(replace(model, lines=max(numbers)), noise).fit_window(whole)
    seen = largest.good_pixels(whole)
    fits: dict[int, ModelFit] = {}
    for n in sorted(numbers):
        fitter = ModelFitter(replace(model, lines=n), noise, clips=False)
        tries = [fitter.fit_window(seen)]
        smaller = fits.get(n - 1)
        if smaller is not None and smaller.place is not None:
            tries += [fitter.split(seen, smaller, line) for line in range(1, n)]
        fits[n] = min(tries, key=lambda fit: np.nan_to_num(fit.fit.deviance, nan=np.inf))
    return fits


def _jointly(
    model: SpectrumModel,
    windows: Sequence[Window],
    energies_eV: Sequence[float],
    fit: ModelFit,
    *,
    own: Sequence[str] = (),
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
            own=own,
        )
    except np.linalg.LinAlgError:
        return None


def _decided(
    model: SpectrumModel,
    noise: DetectorNoise,
    fits: Mapping[int, ModelFit],
    joint: Mapping[int, JointModelFit | None],
    windows: Sequence[Window],
    energies_eV: Sequence[float],
    confirmed_by: tuple[str, ...],
) -> Selection:
    usable = {n: _Score.of(fit, joint[n]) for n, fit in fits.items() if fit.place is not None}
    if not usable:
        first = min(fits)
        return Selection(first, False, fits[first].fit.reason, (), (), 1.0, fits)
    feigned = {n: _feigned(score, n, noise) for n, score in usable.items()}
    chosen = min(usable, key=lambda n: usable[n].criterion + feigned[n])
    gains, needed = [], []
    for smaller, larger in pairwise(sorted(usable)):
        a, b = usable[smaller], usable[larger]
        gains.append(a.deviance - b.deviance)
        needed.append(b.penalty - a.penalty + feigned[larger] - feigned[smaller])
    rate = 0.0
    if chosen > min(usable):
        below = max(n for n in usable if n < chosen)
        gain = usable[below].deviance - usable[chosen].deviance
        more = usable[chosen].parameters - usable[below].parameters
        rate = min(1.0, _FALSE_RATE_FACTOR * float(chi2.sf(gain, max(more, 1))))
    is_claimed, reason = _claim(
        model, noise, chosen, fits[chosen], joint[chosen], windows, energies_eV, confirmed_by
    )
    return Selection(chosen, is_claimed, reason, tuple(gains), tuple(needed), rate, fits)


@dataclass(frozen=True, slots=True)
class _Score:
    deviance: float
    parameters: int
    pixels: int
    light_e: float

    @classmethod
    def of(cls, fit: ModelFit, joint: JointModelFit | None) -> _Score:
        if joint is not None:
            return cls(joint.deviance, joint.parameters, joint.pixels, joint.light_e)
        assert fit.place is not None  # noqa: S101 - who calls has looked
        light = sum(v for n, v in fit.place.items() if n.startswith("area_"))
        return cls(fit.fit.deviance, len(fit.fit.names), fit.fit.pixels, light)

    @property
    def penalty(self) -> float:
        return self.parameters * float(np.log(self.pixels))

    @property
    def criterion(self) -> float:
        return self.deviance + self.penalty


def _feigned(score: _Score, lines: int, noise: DetectorNoise) -> float:
    """Return what a response wrong by a share r can lower the deviance by: r^2 N for each line."""
    return (lines - 1) * noise.response_error**2 * max(score.light_e, 0.0)


def _feigned_chi2(joint: JointModelFit, noise: DetectorNoise) -> float:
    return noise.response_error**2 * max(joint.light_e, 0.0)


def _claim(
    model: SpectrumModel,
    noise: DetectorNoise,
    lines: int,
    fit: ModelFit,
    joint: JointModelFit | None,
    windows: Sequence[Window],
    energies_eV: Sequence[float],
    confirmed_by: tuple[str, ...],
) -> tuple[bool, str]:
    if lines == 1:
        return False, "one line is enough"
    if confirmed_by and confirmed_by != ("replica copy",):
        return True, f"{lines} lines, confirmed by {', '.join(confirmed_by)}"
    if model.shape is not Shape.PROFILE:
        # A replica copies the instrument's profile as it copies the exciton.
        return False, "shape not known, splitting not claimed"
    doubt = _doubt(model, noise, lines, fit, joint, windows, energies_eV)
    if doubt:
        return False, f"{doubt}, splitting not claimed"
    return True, f"{lines} lines with the same splittings and relative areas in every frame"


def _doubt(
    model: SpectrumModel,
    noise: DetectorNoise,
    lines: int,
    fit: ModelFit,
    joint: JointModelFit | None,
    windows: Sequence[Window],
    energies_eV: Sequence[float],
) -> str:
    """Return what else the spectra may be, or ""."""
    if joint is None or len(windows) < _FRAMES_TO_TELL:
        return f"{lines} lines in one spectrum: a line that jumps within it looks the same"
    excess = (joint.chi2_per_dof - 1.0) * joint.pixels - _feigned_chi2(joint, noise)
    if excess > 5.0 * float(np.sqrt(2.2 * joint.pixels)):
        return (
            f"the spectra are not {lines} lines that only move and blink "
            f"(chi2/dof {joint.chi2_per_dof:.2f})"
        )
    changing = _shares_change(model, lines, fit, joint, windows, energies_eV)
    if changing < _CHANGING:
        return (
            f"the relative areas of {lines} lines change from frame to frame "
            f"(probability {changing:.1g}): a line that jumps"
        )
    return ""


_FRAMES_TO_TELL = 4


def _shares_change(
    model: SpectrumModel,
    lines: int,
    fit: ModelFit,
    joint: JointModelFit,
    windows: Sequence[Window],
    energies_eV: Sequence[float],
) -> float:
    """Return the probability of relative areas that scatter so much though they are constant."""
    shares = [f"share_{k}" for k in range(2, lines + 1)]
    free = _jointly(replace(model, lines=lines), windows, energies_eV, fit, own=shares)
    if free is None:
        return 0.0
    more = len(shares) * (len(windows) - 1)
    return float(chi2.sf(max(joint.deviance - free.deviance, 0.0), more))

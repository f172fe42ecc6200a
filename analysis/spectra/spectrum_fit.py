"""Fit the exciton lines of one spectrum: energies, widths and areas with errors and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import MOST_STEPS, Box, Counts, Optimum, StepCap
from analysis.estimation.line_table import LineTable
from analysis.estimation.table_fit import fit_table
from analysis.estimation.verdict import Verdict
from analysis.spectra.fit_model import FitModel
from analysis.spectra.line_evidence import feigned_gain, needed_gain, penalised
from analysis.spectra.matched_filter import Candidates, find_lines, find_peaks, floor_of, responses
from analysis.spectra.spectrum_window import Window, find_window, in_electrons, mean_above_floor

__all__ = ["DetectorNoise", "FitModel", "SpectrumFit", "fit_spectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SpectrumFit:
    """Fitted parameters with photon errors, and what they are worth.

    names: energy_k_eV (rising), width_eV (FWHM), lorentz_width_eV in Voigt profiles, area_k_counts,
    background_k (counts per pixel).
    values, errors, covariance: NaN throughout where the verdict is NO_SIGNAL or FAILED.
    errors hold photon and read noise alone, and where the model misses the spectrum by far more
    than these, that miss too, as misfit_e electrons rms per pixel; errors_with_misfit always hold
    what the model lacks. chi2_per_dof is against photon and read noise.
    splitting_claimed: whether more than one line is more than a description of the profile.
    gains: drop of the deviance by the second, third line where "auto" tried them.
    """

    names: tuple[str, ...]
    values: Array
    errors: Array
    covariance: Array
    chi2_per_dof: float
    verdict: Verdict
    reason: str
    lines: int
    window_eV: tuple[float, float]
    splitting_claimed: bool = False
    deviance: float = np.nan
    pixels: int = 0
    evaluations: int = 0
    misfit_e: float = 0.0
    gains: tuple[float, ...] = ()

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        """Return the photon error of one parameter."""
        return float(self.errors[self.names.index(name)])

    @property
    def misfit_factor(self) -> float:
        """By how much the residuals exceed the noise in the errors: sqrt(chi2/dof), or 1."""
        if self.misfit_e:
            return 1.0
        return float(np.sqrt(np.fmax(1.0, self.chi2_per_dof)))

    @property
    def errors_with_misfit(self) -> Array:
        return self.errors * self.misfit_factor


def fit_spectrum(
    wavelength_nm: ArrayLike,
    counts: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None = None,
) -> SpectrumFit:
    """Fit one spectrum without any start values.

    wavelength_nm: pixel centres in vacuum, rising or falling; counts: raw, same shape; background:
    one frame with the light off, same exposure, whose own noise is counted.
    Raises ValueError for an axis that is none and for shapes that differ; whatever is wrong with
    the counts themselves is said by the verdict.
    """
    spectra = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    whole = in_electrons(wavelength_nm, spectra, noise=noise, background=background)
    found = find_window(whole, model)
    if isinstance(found, str):
        return without_values(model, Verdict.NO_SIGNAL, found, whole.limits_eV)
    return fit_window(found.rising(), model, noise)


def fit_window(found: Window, model: FitModel, noise: DetectorNoise) -> SpectrumFit:
    """Fit a window of one spectrum with the number of lines asked for, or the likeliest."""
    numbers = (1, 2, 3) if model.lines == "auto" else (model.lines,)
    guess = Guess.of(found)
    climbs = [_climb(found, model, number, noise, guess) for number in numbers]
    likeliest = _likeliest([climb for climb in climbs if climb.has_arrived], noise)
    judged = ((climb, climb.judged(model, noise)) for climb in likeliest)
    sound = next((pair for pair in judged if pair[1].verdict in _SOUND), None)
    climb, fit = sound or (climbs[0], climbs[0].judged(model, noise))
    gains = tuple(a.deviance - b.deviance for a, b in pairwise(climbs))
    return replace(_with_misfit(climb, fit, model, noise, guess), gains=gains)


def _likeliest(climbs: Sequence[_Climb], noise: DetectorNoise) -> list[_Climb]:
    """Return them with the number of lines first that the spectrum tells best."""
    needed = [
        needed_gain(
            len(more.table.names) - len(less.table.names),
            _pixels(more.window),
            feigned_gain(noise.response_error, less.light_e),
        )
        for less, more in pairwise(climbs)
    ]
    order = np.argsort(penalised([climb.deviance for climb in climbs], needed), kind="stable")
    return [climbs[i] for i in order]


_SOUND = (Verdict.CONVERGED, Verdict.POOR_FIT)
_GROSS_MISFIT = 9.0  # chi2/dof above which photon weights would let the faintest pixels decide
_PASSES_WITH_MISFIT = 2


def _with_misfit(
    climb: _Climb, fit: SpectrumFit, model: FitModel, noise: DetectorNoise, guess: Guess
) -> SpectrumFit:
    """Return the fit, repeated with what the model misses as noise where that is gross."""
    if fit.chi2_per_dof < _GROSS_MISFIT or fit.verdict is Verdict.NO_SIGNAL:
        return fit
    window, counts = climb.window, climb.window.counts
    for _ in range(_PASSES_WITH_MISFIT):
        misfit2 = float((counts.good * climb.residual**2).sum() / counts.good.sum())
        blurred = Counts(counts.electrons, counts.shift + misfit2, counts.good)
        climb = _climb(Window(window.edges_eV, blurred), model, fit.lines, noise, guess)
    fit = climb.judged(model, noise)
    return _as_poor(fit, climb.residual, window, model, misfit_e=float(np.sqrt(misfit2)))


def _as_poor(
    fit: SpectrumFit, residual: Array, window: Window, model: FitModel, *, misfit_e: float
) -> SpectrumFit:
    """Return a fit with misfit as noise, its chi2 against photon noise alone and its verdict."""
    if fit.verdict in (Verdict.FAILED, Verdict.NO_SIGNAL):
        return fit
    expected = window.counts.electrons[0] - residual
    chi2 = pearson_chi2(expected, window.counts, 0) / max(1, fit.pixels - len(fit.names))
    fit = replace(fit, chi2_per_dof=chi2, misfit_e=misfit_e)
    if fit.verdict is not Verdict.CONVERGED:
        return fit
    reason = (
        f"the model misses the spectrum by {misfit_e:.3g} electrons rms "
        f"(chi2/dof {chi2:.3g}); the errors count that in"
    )
    return replace(fit, verdict=Verdict.POOR_FIT, reason=_with_claim(reason, fit, model))


@dataclass(frozen=True, slots=True)
class _Climb:
    """Where a number of lines got to in a window, not judged yet."""

    window: Window
    lines: int
    table: LineTable
    box: Box
    optimum: Optimum

    @property
    def has_arrived(self) -> bool:
        return bool(self.optimum.converged[0] and np.isfinite(self.optimum.deviance[0]))

    @property
    def deviance(self) -> float:
        return float(self.optimum.deviance[0]) if self.has_arrived else np.nan

    @property
    def residual(self) -> Array:
        """In electrons."""
        return np.asarray(self.window.counts.electrons[0] - self.optimum.expected[0])

    @property
    def light_e(self) -> float:
        """Of all lines, in electrons."""
        return float(self.optimum.parameters[0, _places_of(self.table.names, "area")].sum())

    def judged(self, model: FitModel, noise: DetectorNoise) -> SpectrumFit:
        return _judged(
            self.optimum,
            self.box,
            window=self.window,
            model=model,
            lines=self.lines,
            noise=noise,
        )


def _pixels(window: Window) -> int:
    return int(window.counts.good[0].sum())


_STEPS_TO_DECIDE = 5


def _climb(
    window: Window, model: FitModel, lines: int, noise: DetectorNoise, guess: Guess
) -> _Climb:
    """Climb from the start that leads highest."""
    table, starts = model.table(lines), guess.starts(window, model, lines)
    counts, box = window.counts, box_of(window, model, table, noise)

    def climbed(places: Array, most_steps: int) -> Optimum:
        return fit_table(
            table, window.edges_eV, counts, start=places, box=box, most_steps=most_steps
        )

    if len(starts) == 1:
        return _Climb(window, lines, table, box, climbed(starts, MOST_STEPS))
    first = climbed(starts, _STEPS_TO_DECIDE)
    optimum = climbed(first.parameters[[int(np.argmin(first.deviance))]], MOST_STEPS)
    optimum = replace(optimum, evaluations=first.evaluations + optimum.evaluations)
    return _Climb(window, lines, table, box, optimum)


@dataclass(frozen=True, slots=True)
class Guess:
    """What is seen in the mean of a window's spectra: candidates for as many lines as asked for."""

    spectrum: Array
    seen: Array
    floor: float
    found: dict[int, Candidates]

    @classmethod
    def of(cls, window: Window) -> Guess:
        spectrum, _ = mean_above_floor(window)
        floor = floor_of(window.counts.electrons.mean(axis=0))
        return cls(spectrum, responses(spectrum), floor, {})

    def candidates(self, lines: int) -> Candidates:
        if lines not in self.found:
            self.found[lines] = find_lines(self.spectrum, lines, seen=self.seen)
        return self.found[lines]

    def starts(self, window: Window, model: FitModel, lines: int) -> Array:
        """Return a few starts, shape (starts, parameters)."""
        tries = [self.candidates(lines)]
        if lines > 1:
            peaks = find_peaks(self.spectrum, lines)
            tries += [_one_divided(self.candidates(lines - 1)), *([peaks] if peaks else [])]
        return np.array([_in_order(window, model, lines, one, self.floor) for one in tries])


def _one_divided(found: Candidates) -> Candidates:
    """Return the candidates with the brightest as two."""
    brightest = int(np.argmax(found.area))
    others = np.arange(found.area.size) != brightest
    halves = found.pixel[brightest] + np.array([-0.4, 0.4]) * found.fwhm_px
    pixel = np.concatenate([found.pixel[others], halves])
    area = np.concatenate([found.area[others], [0.5 * found.area[brightest]] * 2])
    return Candidates(pixel, 0.8 * found.fwhm_px, area, found.gain)


_GAUSS_SHARE, _LORENTZ_SHARE = 0.65, 0.5  # of the FWHM of a Voigt profile, to begin with


def _in_order(
    window: Window, model: FitModel, lines: int, found: Candidates, floor: float
) -> Array:
    """Return start values in the order of the table, lines in rising energy."""
    names, is_voigt = model.table(lines).names, model.shape == "voigt"
    energy = np.interp(found.pixel + 0.5, np.arange(window.edges_eV.size), window.edges_eV)
    width = found.fwhm_px * window.pixel_eV
    rising = np.argsort(energy)
    start = np.zeros(len(names))
    start[_places_of(names, "energy")] = energy[rising]
    start[_places_of(names, "area")] = found.area[rising]
    start[names.index("width_eV")] = width * (_GAUSS_SHARE if is_voigt else 1.0)
    start[_places_of(names, "lorentz")] = width * _LORENTZ_SHARE
    start[names.index("background_0")] = floor
    return start


def box_of(window: Window, model: FitModel, table: LineTable, noise: DetectorNoise) -> Box:
    """Return the bounds: lines inside the window, widths from half a pixel to half the window.

    Either width of a Voigt profile may vanish beside the other.
    """
    low, high = window.limits_eV
    narrowest = 0.05 if model.shape == "voigt" else 0.5
    limits = {
        "energy": (low, high),
        "width": (narrowest * window.pixel_eV, 0.5 * (high - low)),
        "lorentz": (0.0, 0.5 * (high - low)),
    }
    free = (-np.inf, np.inf)
    per_name = [limits.get(name.split("_")[0], free) for name in table.names]
    for name, limit in _user_limits(model, noise, table.names).items():
        per_name[table.names.index(name)] = limit
    bounds = np.array(per_name)
    return Box(bounds[None, :, 0], bounds[None, :, 1], _step_cap(table.names))


@lru_cache(maxsize=64)
def _step_cap(names: tuple[str, ...]) -> StepCap:
    """Return steps of at most 0.7 widths for energies and 0.4 widths for widths."""
    widths = np.array([name.endswith("width_eV") for name in names])
    energies = np.array([name.startswith("energy") for name in names])
    share = np.where(energies, 0.7, np.where(widths, 0.4, 0.0))[:, None] * widths
    return StepCap(share)


def _user_limits(
    model: FitModel, noise: DetectorNoise, names: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    limits = {**model.bounds, **{name: (value, value) for name, value in model.fixed.items()}}
    for name, (lower, upper) in limits.items():
        if name not in names:
            raise ValueError(f"{name!r} is no parameter of this model; it has {', '.join(names)}")
        if not lower <= upper:
            raise ValueError(f"{name}: lower bound {lower} is above upper bound {upper}")
    scale = electrons_per_unit(names, noise)
    return {
        name: (lower * scale[names.index(name)], upper * scale[names.index(name)])
        for name, (lower, upper) in limits.items()
    }


@lru_cache(maxsize=256)
def electrons_per_unit(names: tuple[str, ...], noise: DetectorNoise) -> Array:
    """Return what turns each parameter's unit into the fit's own: counts into electrons."""
    in_counts = [name.startswith(("area", "background")) for name in names]
    scale = np.where(in_counts, noise.gain_e_per_count, 1.0)
    scale.flags.writeable = False
    return scale


_LEAST_SIGNIFICANCE = 5.0
_SURELY_SEEN = 8.0  # sigma, beyond what noise or a background that is no polynomial feigns
_NO_SPLITTING = "shape not known, splitting not claimed"
_MOST_CORRELATION = 0.9995


def _judged(
    optimum: Optimum, box: Box, *, window: Window, model: FitModel, lines: int, noise: DetectorNoise
) -> SpectrumFit:
    """Turn an optimum into values, errors, chi2 and a verdict with its reason."""
    table = model.table(lines)
    if not optimum.converged[0] or not np.isfinite(optimum.deviance[0]):
        return without_values(
            model,
            Verdict.FAILED,
            f"no optimum within {optimum.evaluations} evaluations",
            window.limits_eV,
            lines=lines,
        )
    place = optimum.parameters[0]
    fixed = box.lower[0] == box.upper[0]
    at_bound = ~fixed & ((place <= box.lower[0]) | (place >= box.upper[0]))
    covariance, condition = inverse_information(optimum.information[0], ~fixed)
    pixels = _pixels(window)
    chi2 = pearson_chi2(optimum.expected[0], window.counts, 0)
    dof = max(1, pixels - int((~fixed).sum()))
    scale = electrons_per_unit(table.names, noise)
    order = _rising_energy(table.names, place, lines)
    values = (place / scale)[order]
    covariance = (covariance / scale[:, None] / scale)[order[:, None], order]
    fit = SpectrumFit(
        names=table.names,
        values=values,
        errors=np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        covariance=covariance,
        chi2_per_dof=chi2 / dof,
        verdict=Verdict.CONVERGED,
        reason="",
        lines=lines,
        window_eV=window.limits_eV,
        splitting_claimed=lines > 1 and bool(model.confirmed_by),
        deviance=float(optimum.deviance[0]),
        pixels=pixels,
        evaluations=optimum.evaluations,
    )
    held = [table.names[i] for i in np.flatnonzero(at_bound)]
    pure = [name for name in held if model.shape == "voigt" and _is_pure(fit, name)]
    held = [name for name in held if name not in pure]
    verdict, reason = verdict_of(fit, held, condition=condition, dof=dof, model=model)
    return replace(fit, verdict=verdict, reason="; ".join([reason, *map(_PURE.__getitem__, pure)]))


_PURE = {"lorentz_width_eV": "no Lorentzian in the profile", "width_eV": "no Gaussian in it"}


def _is_pure(fit: SpectrumFit, name: str) -> bool:
    """Return whether this is the width of a part that the profile does not have."""
    return name in _PURE and fit[name] < 0.5 * fwhm_of(fit)[0]


def fwhm_of(fit: SpectrumFit) -> tuple[float, float]:
    """Return the full width at half maximum of the lines and its error, in eV.

    Of a Voigt profile to 0.02 %: J. J. Olivero and R. L. Longbothum, J. Quant. Spectrosc. Radiat.
    Transfer 17, 233 (1977).
    """
    gauss = fit["width_eV"]
    if "lorentz_width_eV" not in fit.names:
        return gauss, fit.error("width_eV")
    lorentz = fit["lorentz_width_eV"]
    root = float(np.hypot(np.sqrt(0.2166) * lorentz, gauss))
    slope = np.array([gauss / root, 0.5346 + 0.2166 * lorentz / root])
    places = [fit.names.index(name) for name in ("width_eV", "lorentz_width_eV")]
    variance = float(slope @ fit.covariance[np.ix_(places, places)] @ slope)
    return 0.5346 * lorentz + root, float(np.sqrt(max(variance, 0.0)))


def verdict_of(
    fit: SpectrumFit,
    held: list[str],
    *,
    condition: float,
    dof: int,
    model: FitModel | None,
    instrument_eV: float = 0.0,
) -> tuple[Verdict, str]:
    """Return verdict and reason of a fit that converged.

    held: parameters at a bound; condition: smallest eigenvalue of the scaled Fisher matrix.
    model: None where what is claimed of several lines is said elsewhere. instrument_eV: width of
    the profile through which the lines are seen, apart from their own.
    """
    verdict, reason = _verdict(fit, held, condition=condition, dof=dof, instrument_eV=instrument_eV)
    return verdict, reason if model is None else _with_claim(reason, fit, model)


def _with_claim(reason: str, fit: SpectrumFit, model: FitModel) -> str:
    if fit.lines == 1:
        return reason
    if model.confirmed_by:
        return f"{reason}; splitting confirmed by {', '.join(model.confirmed_by)}"
    return f"{reason}; {_NO_SPLITTING}"


def _rising_energy(names: tuple[str, ...], place: Array, lines: int) -> NDArray[np.intp]:
    """Return the order of the parameters that numbers the lines in rising energy."""
    order = np.arange(len(names))
    if lines > 1:
        energies, areas = _places_of(names, "energy"), _places_of(names, "area")
        rising = np.argsort(place[energies], kind="stable")
        order[energies], order[areas] = energies[rising], areas[rising]
    return order


@lru_cache(maxsize=256)
def _places_of(names: tuple[str, ...], kind: str) -> NDArray[np.intp]:
    places = np.flatnonzero([name.startswith(kind) for name in names])
    places.flags.writeable = False
    return places


def inverse_information(information: Array, free: NDArray[np.bool_]) -> tuple[Array, float]:
    """Return the covariance (zero where not free) and the smallest scaled eigenvalue.

    A free parameter of which the spectrum says nothing has an infinite error and spoils no other.
    """
    covariance = np.zeros_like(information)
    if not free.any():
        return covariance, 1.0
    if not np.isfinite(information.diagonal()[free]).all():
        return np.full_like(information, np.inf), 0.0
    is_unknown = free & ~(information.diagonal() > 0)
    if is_unknown.any():
        covariance, _ = inverse_information(information, free & ~is_unknown)
        covariance[is_unknown, is_unknown] = np.inf
        return covariance, 0.0
    kept = np.flatnonzero(free)
    part = (kept[:, None], kept)
    scale = np.sqrt(information.diagonal()[kept])
    scaled = information[part] / scale / scale[:, None]
    eigenvalue, vector = np.linalg.eigh(scaled)
    safe = np.maximum(eigenvalue, 1e-14)
    covariance[part] = (vector / safe) @ vector.T / scale / scale[:, None]
    return covariance, float(eigenvalue[0])


def pearson_chi2(expected: Array, counts: Counts, spectrum: int) -> float:
    """Return the sum of squared residuals over their expected variance."""
    residual2 = (counts.electrons[spectrum] - expected) ** 2
    variance = np.maximum(expected, 0.0) + counts.shift[spectrum]
    return float((counts.good[spectrum] * residual2 / variance).sum())


def _verdict(
    fit: SpectrumFit, held: list[str], *, condition: float, dof: int, instrument_eV: float
) -> tuple[Verdict, str]:
    """Return the first thing that is wrong with a converged fit, gravest first."""
    areas = _places_of(fit.names, "area")
    area, area_error = fit.values[areas], fit.errors[areas]
    strongest = int(np.argmax(area))
    z = area[strongest] / max(area_error[strongest], 1e-300)
    total_error = float(np.sqrt(max(0.0, fit.covariance[areas[:, None], areas].sum())))
    if area.sum() < _LEAST_SIGNIFICANCE * total_error or area[strongest] <= 0:
        light = f"{area.sum():.3g} +- {total_error:.2g}"
        if area.sum() > _SURELY_SEEN * _error_at_its_place(fit):
            return Verdict.ILL_DETERMINED, (
                "a line is seen, but the window is too narrow to tell its light from the "
                f"background: {light}"
            )
        return Verdict.NO_SIGNAL, f"the light of all lines is {light}"
    if held:
        return Verdict.AT_A_BOUND, f"{', '.join(held)} at the end of the allowed range"
    width, width_error = fwhm_of(fit)
    width = float(np.hypot(width, instrument_eV))
    energies = _places_of(fit.names, "energy")
    doubtful = [fit.names[i] for i in energies if fit.errors[i] > 0.5 * width] + (
        ["width_eV"] if width_error > width else []
    )
    if condition < 1.0 - _MOST_CORRELATION or doubtful or z < 2.0:
        named = ", ".join(doubtful) or "a combination of the parameters"
        return Verdict.ILL_DETERMINED, f"the spectrum hardly determines {named}"
    excess = fit.chi2_per_dof * dof - dof
    if excess > 5.0 * np.sqrt(2.2 * dof):
        return Verdict.POOR_FIT, f"residuals exceed the noise: chi2/dof {fit.chi2_per_dof:.2f}"
    return Verdict.CONVERGED, f"chi2/dof {fit.chi2_per_dof:.2f}"


def _error_at_its_place(fit: SpectrumFit) -> float:
    """Return the error of all light if energies and widths were known, in units of the areas.

    It tells whether anything is there; in a narrow window a wide line may still be anything between
    faint on a high background and bright on a low one. Holds what the model lacks as well.
    """
    areas = _places_of(fit.names, "area")
    shape = np.array(
        [k for k, name in enumerate(fit.names) if not name.startswith(("area", "background"))]
    )
    if not np.isfinite(fit.covariance).all():
        return np.inf
    along = fit.covariance[areas[:, None], shape].sum(axis=0)
    known = along @ np.linalg.pinv(fit.covariance[shape[:, None], shape], hermitian=True) @ along
    variance = fit.covariance[areas[:, None], areas].sum() - known
    return fit.misfit_factor * float(np.sqrt(max(0.0, variance)))


def without_values(
    model: FitModel,
    verdict: Verdict,
    reason: str,
    window_eV: tuple[float, float],
    *,
    lines: int | None = None,
) -> SpectrumFit:
    number = lines or (1 if model.lines == "auto" else model.lines)
    names = model.table(number).names
    nothing = np.full(len(names), np.nan)
    return SpectrumFit(
        names=names,
        values=nothing,
        errors=nothing,
        covariance=np.full((len(names), len(names)), np.nan),
        chi2_per_dof=np.nan,
        verdict=verdict,
        reason=reason,
        lines=number,
        window_eV=window_eV,
    )

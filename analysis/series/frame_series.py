"""Combine the single frames of one point: error from photons, and from the frames' scatter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.line_table import Shape
from analysis.estimation.verdict import Verdict
from analysis.series.multiplet import Multiplet, find_multiplets
from analysis.series.series_fit import FrameWindows, SeriesFit, SeriesStart, fit_series
from analysis.spectra.fit_model import FitModel
from analysis.spectra.matched_filter import floor_of, kernel, significance
from analysis.spectra.spectrum_fit import (
    SpectrumFit,
    electrons_per_unit,
    fit_window,
    verdict_of,
    without_values,
)
from analysis.spectra.spectrum_window import Window, find_window, in_electrons

__all__ = ["PointFit", "effective_number", "fit_frames"]

Array = NDArray[np.float64]

_LEAST_SIGNIFICANCE = 8.0  # of the light in one frame
_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_DIM = 0.3  # of the median light: blinking, or charged for most of the frame


@dataclass(frozen=True, slots=True)
class PointFit:
    """What the frames of one point say together.

    names, values: as of SpectrumFit, areas and backgrounds in counts per frame, means over the
    frames used. covariance, errors: photon noise, enlarged where the model misses the spectra, plus
    what the frames scatter beyond it. photon_errors: from the counts alone. scatter_errors: from
    the scatter of the frames alone, their correlation in time allowed for; NaN where the frames
    could not be fitted one by one.
    frame_energy_eV: of the lowest line, and frame_area_counts: of all lines, by frame used.
    excluded: by frame, why it was left out.
    """

    names: tuple[str, ...]
    values: Array
    errors: Array
    covariance: Array
    photon_errors: Array
    scatter_errors: Array
    chi2_per_dof: float
    verdict: Verdict
    reason: str
    lines: int
    frame_energy_eV: Array = field(default_factory=lambda: np.empty(0))
    frame_area_counts: Array = field(default_factory=lambda: np.empty(0))
    excluded: Mapping[int, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        """Return the error of one parameter, scatter included."""
        return float(self.errors[self.names.index(name)])


def fit_frames(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None = None,
) -> PointFit:
    """Fit all frames of a point, each with its own energy, width, brightness and background.

    wavelength_nm, background: as for fit_spectrum; frames: raw counts, shape (frames, pixels).
    Splittings are shared by the frames. Cosmic rays are masked; dark and dim frames and those that
    do not fit are left out, with a reason. Frames too weak to be fitted one by one are fitted as
    their sum. Raises ValueError as fit_spectrum does.
    """
    counts = np.atleast_2d(np.asarray(frames, dtype=np.float64))
    if counts.ndim != 2 or counts.shape[0] == 0:
        raise ValueError(f"frames of shape {counts.shape}: must be (frames, pixels)")
    counts = np.where(cosmic_ray_mask(counts, noise), np.nan, counts)
    whole = in_electrons(wavelength_nm, counts, noise=noise, background=background)
    found = find_window(whole, model)
    if isinstance(found, str):
        nothing = without_values(model, Verdict.NO_SIGNAL, found, whole.limits_eV)
        return _from_sum(nothing, frames=len(counts), excluded={})
    found = found.rising()
    excluded, z = _dark_or_dim(found)
    bright = np.array([i for i in range(len(counts)) if i not in excluded], dtype=np.intp)
    # Where frames are left out for their noise, taking the better ones would bias the result.
    if bright.size < 0.5 * len(counts) or np.median(z[bright]) < 1.5 * _LEAST_SIGNIFICANCE:
        return _fit_sum(found, model, noise, excluded={})
    if bright.size < 2 or model.fixed or model.bounds or model.shape == "voigt":
        return _fit_sum(found.only(bright), model, noise, excluded=excluded)
    return _fit_bright(found.only(bright), bright, model, noise, excluded)


def _dark_or_dim(window: Window) -> tuple[dict[int, str], Array]:
    """Return which frames are dark or dim and why, and the significance of the light in each."""
    counts = window.counts
    z, light = np.zeros(len(counts.electrons)), np.zeros(len(counts.electrons))
    above = np.array([one - floor_of(one) for one in counts.electrons])
    for i, (one, shift) in enumerate(zip(above, counts.shift, strict=True)):
        floor = max(float((counts.electrons[i] - one)[0]), 0.0)
        z[i], _, fwhm_px = significance(one, np.sqrt(shift + floor))
        if z[i] == z.max():
            line = kernel(fwhm_px / _SIGMAS_PER_FWHM)
    light = np.array([np.convolve(one, line, "same").max() for one in above])
    lit = z > _LEAST_SIGNIFICANCE
    usual = float(np.median(light[lit])) if lit.any() else np.inf
    reasons = {
        int(i): f"no signal: {z[i]:.1f} sigma, needed are {_LEAST_SIGNIFICANCE:g}"
        if not lit[i]
        else f"dim: {light[i] / usual:.2f} of the usual light, off or charged"
        for i in np.flatnonzero(~lit | (light < _DIM * usual))
    }
    return reasons, z


def _fit_sum(
    window: Window, model: FitModel, noise: DetectorNoise, *, excluded: Mapping[int, str]
) -> PointFit:
    """Fit the sum of the frames: without errors from their scatter."""
    c = window.counts
    total = Counts(
        c.electrons.sum(axis=0)[None], c.shift.sum(axis=0)[None], c.good.min(axis=0)[None]
    )
    fit = fit_window(Window(window.edges_eV, total), model, noise)
    return _from_sum(fit, frames=len(c.electrons), excluded=excluded)


def _from_sum(fit: SpectrumFit, *, frames: int, excluded: Mapping[int, str]) -> PointFit:
    is_summed = [name.startswith(("area", "background")) for name in fit.names]
    per_frame = np.where(is_summed, 1.0 / frames, 1.0)
    errors = fit.errors_with_misfit * per_frame
    return PointFit(
        names=fit.names,
        values=fit.values * per_frame,
        errors=errors,
        covariance=fit.covariance * per_frame * per_frame[:, None] * fit.misfit_factor**2,
        photon_errors=fit.errors * per_frame,
        scatter_errors=np.full(errors.shape, np.nan),
        chi2_per_dof=fit.chi2_per_dof,
        verdict=fit.verdict,
        reason=f"{fit.reason}{_said_of_sum(frames)}",
        lines=fit.lines,
        excluded=excluded,
    )


def _said_of_sum(frames: int) -> str:
    if frames < 2:
        return _said_of_wandering(1)
    return f"; sum of {frames} frames: the error is of photons alone"


def _fit_bright(
    window: Window,
    bright: NDArray[np.intp],
    model: FitModel,
    noise: DetectorNoise,
    excluded: dict[int, str],
) -> PointFit:
    windows = FrameWindows(
        np.tile(window.edges_eV, (bright.size, 1)), window.counts, np.zeros(bright.size, np.intp)
    )
    lines = model.lines if model.lines != "auto" else _number_of_lines(windows, model, noise)
    series = fit_series(
        windows,
        [_start(find_multiplets(windows, lines, sides=(0,))[0])],
        lines=lines,
        profile=False,
        background_order=model.background_order,
        shape=Shape(model.shape),
    )
    excluded |= {int(bright[i]): reason for i, reason in series.excluded.items()}
    if not series.converged or series.used.size < 2:
        return _fit_sum(window, replace(model, lines=lines), noise, excluded={})
    return _combined(series, window, model, noise, lines=lines, excluded=excluded)


def _start(found: Multiplet) -> SeriesStart:
    """Return a start in which every frame has areas of its own."""
    return SeriesStart(
        shared={"width_eV": found.width_eV}
        | {f"splitting_{k}_eV": float(s) for k, s in enumerate(found.splitting_eV, start=2)},
        frames={"energy_1_eV": found.energy_eV}
        | {f"share_{k}": found.light_e * area for k, area in enumerate(found.area_e.T, start=1)},
        laws={},
        fixed={"brightness_e": 1.0},
    )


def _number_of_lines(windows: FrameWindows, model: FitModel, noise: DetectorNoise) -> int:
    """Return what the information criterion wants for the frames laid over one another."""
    shifts = find_multiplets(windows, 1, sides=(0,))[0].energy_eV
    pixel_eV = float(np.diff(windows.edges_eV[0]).mean())
    move = -np.rint((shifts - shifts[0]) / pixel_eV).astype(int)

    def over_one_another(of: Array) -> Array:
        return np.array([np.roll(one, by) for one, by in zip(of, move, strict=True)])

    c = windows.counts
    laid = Counts(
        over_one_another(c.electrons).sum(axis=0)[None],
        over_one_another(c.shift).sum(axis=0)[None],
        over_one_another(c.good).min(axis=0)[None],
    )
    return fit_window(Window(windows.edges_eV[0], laid), model, noise).lines


def _combined(
    series: SeriesFit,
    window: Window,
    model: FitModel,
    noise: DetectorNoise,
    *,
    lines: int,
    excluded: Mapping[int, str],
) -> PointFit:
    """Return means over the frames with photon noise, misfit and scatter."""
    names = model.table(lines).names
    out = _output(names, series) / electrons_per_unit(names, noise)[:, None]
    own, shared = out[:, : len(series.own_names)], out[:, len(series.own_names) :]
    optimum = series.optimum
    of_own = [series.table_names.index(name) for name in series.own_names]
    per_frame = optimum.parameters[:, of_own] @ own.T + series.values @ shared.T
    photon = _photon_covariance(series, own, shared)
    scatter = _scatter_covariance(per_frame)
    excess = _positive_part(scatter - _mean_alone(series, own), np.sqrt(np.diag(scatter)))
    miss = _miss_of_the_mean(series, window.pixel_eV)
    covariance = photon * max(series.misfit_ratio**2, miss.chi2_per_dof) + excess
    point = PointFit(
        names=names,
        values=per_frame.mean(axis=0),
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        photon_errors=np.sqrt(np.diag(photon)),
        scatter_errors=np.sqrt(np.diag(scatter)),
        chi2_per_dof=series.chi2_per_dof,
        verdict=Verdict.CONVERGED,
        reason="",
        lines=lines,
        frame_energy_eV=series.energy_eV,
        frame_area_counts=per_frame[:, [n.startswith("area") for n in names]].sum(axis=1),
        excluded=excluded,
    )
    verdict, reason = _point_verdict(point, series, window, model)
    if verdict is Verdict.CONVERGED and miss.is_gross:
        verdict = Verdict.POOR_FIT
        reason = (
            f"the mean of the frames misses the fit: chi2/dof {miss.chi2_per_dof:.2f}; {reason}"
        )
    return replace(point, verdict=verdict, reason=reason)


@dataclass(frozen=True, slots=True)
class _Miss:
    """How far the mean of the frames is from what the fit expects; 1 where that is noise."""

    chi2_per_dof: float
    is_gross: bool


def _miss_of_the_mean(series: SeriesFit, pixel_eV: float) -> _Miss:
    """Compare the sum of the frames with the fit, laid over one another by their line.

    What every frame misses a little hides in the noise of each and shows in their mean.
    """
    moved = series.energy_eV - np.median(series.energy_eV)
    shift = -np.rint(moved / pixel_eV).astype(np.intp)
    residual, variance = (
        np.sum([np.roll(row, by) for row, by in zip(rows, shift, strict=True)], axis=0)
        for rows in (series.residual_e, series.variance_e2)
    )
    seen = variance > 0
    dof = int(seen.sum()) - len(series.own_names) - series.values.size
    if dof < 1:
        return _Miss(1.0, is_gross=False)
    chi2 = float((residual[seen] ** 2 / variance[seen]).sum())
    is_gross = chi2 - dof > _MOST_EXCESS * float(np.sqrt(2.2 * dof))
    return _Miss(chi2 / dof if is_gross else 1.0, is_gross)


_MOST_EXCESS = 5.0  # sigma of chi2


def _output(names: tuple[str, ...], series: SeriesFit) -> Array:
    """Return the matrix from own and shared parameters of the series to those of the point."""
    place = {name: i for i, name in enumerate((*series.own_names, *series.names))}
    out = np.zeros((len(names), len(place)))
    for row, name in enumerate(names):
        kind, _, rest = name.partition("_")
        if kind == "energy":
            out[row, place["energy_1_eV"]] = 1.0
            splitting = f"splitting_{rest}"
            if splitting in place:
                out[row, place[splitting]] = 1.0
        elif kind == "area":
            out[row, place[f"share_{rest.removesuffix('_counts')}"]] = 1.0
        else:
            out[row, place[name]] = 1.0
    return out


def _photon_covariance(series: SeriesFit, own: Array, shared: Array) -> Array:
    """Return the covariance of the means, what the shared parameters put into all of them too."""
    response = series.optimum.own_response.mean(axis=0)
    through = own @ response + shared
    covariance: Array = _mean_alone(series, own) + through @ series.photon_covariance @ through.T
    return covariance


def _mean_alone(series: SeriesFit, own: Array) -> Array:
    """Return the covariance of the means if the shared parameters were known."""
    optimum = series.optimum
    response = optimum.own_response
    alone = optimum.own_covariance - response @ series.photon_covariance @ response.transpose(
        0, 2, 1
    )
    frames = len(alone)
    mean: Array = own @ (alone.sum(axis=0) / frames**2) @ own.T
    return mean


def _scatter_covariance(per_frame: Array) -> Array:
    """Return the covariance of the mean of frames that remember each other."""
    number = np.array([effective_number(column) for column in per_frame.T])
    matrix: Array = np.cov(per_frame.T) / np.sqrt(number * number[:, None])
    # The scatter of a few frames is itself hardly known: Student's 68 % instead of Gauss's.
    widened: Array = matrix * float(student.ppf(0.8413, len(per_frame) - 1)) ** 2
    return widened


def effective_number(series: Array) -> float:
    """Return how many independent values the frames are worth, from 1 to their number.

    From the correlation of neighbours, corrected for its bias in short series, as if the memory
    were exponential. Source: F. H. C. Marriott and J. A. Pope, Biometrika 41, 390 (1954).
    """
    values = series - series.mean()
    frames = values.size
    power = float(values @ values)
    if frames < 3 or power <= 0.0:
        return float(frames)
    seen = float(values[1:] @ values[:-1]) / power
    neighbour = float(np.clip(seen + (1.0 + 3.0 * seen) / frames, 0.0, 0.99))
    return float(np.clip(frames * (1.0 - neighbour) / (1.0 + neighbour), 1.0, frames))


def _positive_part(matrix: Array, scale: Array) -> Array:
    """Return the nearest covariance matrix, parameters being compared in units of scale."""
    safe = np.where(scale > 0, scale, 1.0)
    eigenvalue, vector = np.linalg.eigh(matrix / safe / safe[:, None])
    positive: Array = (vector * np.maximum(eigenvalue, 0.0)) @ vector.T * safe * safe[:, None]
    return positive


def _point_verdict(
    point: PointFit, series: SeriesFit, window: Window, model: FitModel
) -> tuple[Verdict, str]:
    alike = SpectrumFit(
        names=point.names,
        values=point.values,
        errors=point.photon_errors,
        covariance=point.covariance,
        chi2_per_dof=point.chi2_per_dof,
        verdict=Verdict.CONVERGED,
        reason="",
        lines=point.lines,
        window_eV=window.limits_eV,
    )
    held = [
        name
        for name, value in zip(point.names, point.values, strict=True)
        if (name.startswith("energy") and not window.limits_eV[0] < value < window.limits_eV[1])
        or (name == "width_eV" and not 0.5 * window.pixel_eV < value)
    ]
    pixels = int(window.counts.good[series.used].sum())
    verdict, reason = verdict_of(
        alike,
        held,
        condition=series.optimum.condition,
        dof=pixels - series.values.size,
        model=model,
    )
    return verdict, f"{reason}; {series.used.size} frames{_said_of_wandering(series.used.size)}"


_FRAMES_THAT_SHOW_WANDERING = 5


def _said_of_wandering(frames: int) -> str:
    """Return what must be said of an error that few frames stand behind."""
    if frames >= _FRAMES_THAT_SHOW_WANDERING:
        return ""
    if frames < 2:
        return "; the error is of photons alone: one frame does not show how far the line wanders"
    return f": {frames} hardly show how far the line wanders"

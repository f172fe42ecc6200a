"""Fit a whole spectrum model to the frames of one point of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.verdict import Verdict
from analysis.series.frame_series import PointFit, effective_number
from analysis.spectra.fit_labels import LabelledGroup, in_words, label_fit
from analysis.spectra.line_selection import Selection, select_lines
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.spectrum_window import Window, in_electrons
from analysis.spectra.uneven_response import response_covariance

__all__ = ["beside", "fit_frames_of_model"]

Array = NDArray[np.float64]


def fit_frames_of_model(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    model: SpectrumModel,
    lines: int | Literal["auto"],
    noise: DetectorNoise,
    background: ArrayLike | None = None,
    confirmed_by: Sequence[str] = (),
    only_eV: tuple[float, float] | None = None,
) -> PointFit:
    """Fit all frames of a point laid over one another by their exciton, each with its own energy.

    Arguments and errors as of fit_frames. Frames without light are left out, and those in which
    the exciton is wider than in the others. Energies are means over the frames, with what the
    frames scatter; areas and background are per frame. only_eV: beyond, pixels are not fitted,
    although they are in the model's window.
    """
    counts = np.atleast_2d(np.asarray(frames, dtype=np.float64))
    if counts.ndim != 2 or counts.shape[0] == 0:
        raise ValueError(f"frames of shape {counts.shape}: must be (frames, pixels)")
    counts = np.where(cosmic_ray_mask(counts, noise), np.nan, counts)
    whole = in_electrons(wavelength_nm, counts, noise=noise, background=background)
    if only_eV is not None:
        whole = _without_what_is_beyond(whole, *only_eV)
    numbers = (1, 2, 3) if lines == "auto" else (lines,)
    selection = select_lines(
        model, noise, _single(whole), numbers=numbers, confirmed_by=confirmed_by
    )
    found = label_fit(selection.fit, replace(model, lines=selection.lines))
    labels = found if model.emitters[0].components else ()
    return _point_fit(selection, labels, frames=len(counts), response_error=noise.response_error)


def beside(fit: PointFit, other: PointFit, prefix: str) -> PointFit:
    """Return a fit with the parameters of another of the same light, their names prefixed.

    Correlations between the two are not known and left 0.
    """
    size = len(fit.names)
    covariance = np.zeros((size + len(other.names),) * 2)
    covariance[:size, :size] = fit.covariance
    covariance[size:, size:] = other.covariance
    return replace(
        fit,
        names=(*fit.names, *(prefix + name for name in other.names)),
        values=np.concatenate([fit.values, other.values]),
        errors=np.concatenate([fit.errors, other.errors]),
        covariance=covariance,
        photon_errors=np.concatenate([fit.photon_errors, other.photon_errors]),
        scatter_errors=np.concatenate([fit.scatter_errors, other.scatter_errors]),
        reason=f"{fit.reason}; {prefix.rstrip('_')}: {other.verdict.value}",
    )


def _without_what_is_beyond(whole: Window, low_eV: float, high_eV: float) -> Window:
    middle = 0.5 * (whole.edges_eV[1:] + whole.edges_eV[:-1])
    inside = (middle > low_eV) & (middle < high_eV)
    c = whole.counts
    return Window(whole.edges_eV, Counts(c.electrons, c.shift, c.good * inside))


def _single(whole: Window) -> list[Window]:
    counts = whole.counts
    return [
        Window(
            whole.edges_eV,
            Counts(counts.electrons[[i]], counts.shift[[i]], counts.good[[i]]),
        )
        for i in range(len(counts.electrons))
    ]


def _point_fit(
    selection: Selection, found: Sequence[LabelledGroup], *, frames: int, response_error: float
) -> PointFit:
    fit, used = selection.fit.fit, max(len(selection.used), 1)
    is_summed = np.array([n.endswith("_counts") or n.startswith("background") for n in fit.names])
    per_frame = np.where(is_summed, 1.0 / used, 1.0)
    moves = np.array(["energy_" in name for name in fit.names])
    misfit = fit.misfit_factor
    covariance = fit.covariance * per_frame * per_frame[:, None]
    scatter = _scatter_eV(selection.energy_eV)
    enlarged = covariance * misfit**2 + np.outer(moves, moves) * scatter**2
    enlarged += response_covariance(fit.names, fit.values, response_error)
    excluded = {
        i: "no exciton in it, or wider than in the other frames"
        for i in range(frames)
        if i not in selection.used
    }
    areas = np.array([n.startswith("area_") for n in fit.names])
    has_values = fit.verdict not in (Verdict.NO_SIGNAL, Verdict.FAILED)
    light = float((fit.values * per_frame)[areas].sum()) if has_values else np.nan
    words = [fit.reason.replace("; shape not known, splitting not claimed", ""), selection.reason]
    if used > 1:
        words.append(f"{used} frames laid over one another")
    words.append(in_words(found))
    return PointFit(
        names=fit.names,
        values=fit.values * per_frame + moves * selection.moved_eV,
        errors=np.sqrt(np.maximum(np.diag(enlarged), 0.0)),
        covariance=enlarged,
        photon_errors=fit.errors * per_frame,
        scatter_errors=np.where(moves, scatter, np.nan),
        chi2_per_dof=fit.chi2_per_dof,
        verdict=fit.verdict,
        reason="; ".join(dict.fromkeys(word for word in words if word)),
        lines=selection.lines,
        frame_energy_eV=selection.energy_eV,
        frame_area_counts=np.full(selection.energy_eV.size, light),
        excluded=excluded,
    )


def _scatter_eV(energy_eV: Array) -> float:
    """Return the error of the mean of frames that remember each other, 0 for a single one."""
    if energy_eV.size < 2:
        return 0.0
    return float(energy_eV.std(ddof=1) / np.sqrt(effective_number(energy_eV)))

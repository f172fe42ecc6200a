"""Combine the fits of the single frames of one point: photon error and error from their scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spectrum_fit import DetectorNoise, FitModel, SpectrumFit, fit_spectrum
from analysis.verdict import Verdict

__all__ = ["PointFit", "fit_frames"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PointFit:
    """What the frames of one point say together.

    values: combined over the frames used; errors, covariance: of the values, the larger of photon
    noise and frame scatter. photon_errors: from the counts alone. scatter_errors: from the scatter
    of the frames about their mean, correlation in time allowed for; NaN for a single frame.
    frames: the fit of each frame; excluded: by frame, why it was left out.
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
    frames: tuple[SpectrumFit, ...]
    excluded: dict[int, str]


def fit_frames(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None = None,
) -> PointFit:
    """Fit every frame of a point and combine them.

    frames: raw counts, shape (frames, pixels). Raises ValueError where no frame could be fitted.
    """
    counts = np.atleast_2d(np.asarray(frames, dtype=np.float64))
    fits = tuple(
        fit_spectrum(wavelength_nm, one, model=model, noise=noise, background=background)
        for one in counts
    )
    usable = (Verdict.CONVERGED, Verdict.POOR_FIT)
    used = [f for f in fits if f.verdict in usable]
    excluded = {i: f.reason for i, f in enumerate(fits) if f.verdict not in usable}
    if not used:
        raise ValueError(f"no frame could be fitted: {fits[0].reason}")
    values = np.array([f.values for f in used]).mean(axis=0)
    photon = np.array([f.covariance for f in used]).mean(axis=0) / len(used)
    scatter = np.cov(np.array([f.values for f in used]).T) / len(used)
    covariance = photon + scatter
    return PointFit(
        names=used[0].names,
        values=values,
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        photon_errors=np.sqrt(np.diag(photon)),
        scatter_errors=np.sqrt(np.diag(scatter)),
        chi2_per_dof=float(np.mean([f.chi2_per_dof for f in used])),
        verdict=used[0].verdict,
        reason=used[0].reason,
        frames=fits,
        excluded=excluded,
    )

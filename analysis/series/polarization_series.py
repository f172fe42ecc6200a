"""The dipole axes and splittings of a nanocrystal from all frames of a polarization series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import LinearFit
from analysis.laws.polarization import PolarizationFit, harmonics, interpret, slope_per_deg
from analysis.series.multiplet import Multiplet, find_multiplets, frame_windows
from analysis.series.series_fit import (
    MOST_MISFIT,
    FrameWindows,
    SeriesFit,
    SeriesStart,
    fit_series,
    moved_by,
)
from analysis.spectra.fit_model import FitModel

__all__ = ["PolarizationSeries", "fit_polarization_series"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PolarizationSeries:
    """Splittings above the lowest line and one polarization law per line, in rising energy.

    splitting_errors_eV and the errors in lines hold photon noise, frame scatter and misfit;
    photon_* hold photon and read noise alone. series: everything behind them.
    """

    splitting_eV: Array
    splitting_errors_eV: Array
    photon_splitting_errors_eV: Array
    lines: tuple[PolarizationFit, ...]
    photon_axis_errors_deg: Array
    series: SeriesFit
    verdict: Verdict
    reason: str


def fit_polarization_series(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    angle_deg: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None = None,
    point: ArrayLike | None = None,
    instrument: InstrumentProfile | None = None,
    sigma_angle_deg: float = 0.0,
) -> PolarizationSeries:
    """Fit all frames of all angles together.

    frames: raw counts, (frames, pixels); angle_deg: of the polarization that passes, for each frame
    (twice the turn of a half-wave plate). point: which frames belong together; None: those of one
    angle. model.lines must be a number. instrument: the profile that a lamp showed. sigma_angle:
    error of the angle of each point, which all its frames share.
    Raises ValueError for unequal lengths, fewer than 4 angles or when no frame shows a line.
    """
    angle = np.asarray(angle_deg, dtype=np.float64)
    if np.unique(angle % 180.0).size < 4:
        raise ValueError(f"{np.unique(angle % 180.0).size} different angles, needed are 4")
    if model.lines == "auto":
        raise ValueError("a series is fitted with a given number of lines, not with auto")
    windows, kept, _ = frame_windows(
        wavelength_nm,
        frames,
        point=angle if point is None else point,
        group=np.zeros(angle.size),
        model=model,
        noise=noise,
        background=background,
    )
    columns = harmonics(angle[kept])
    series = fit_series(
        windows,
        [_start(found, columns) for found in find_multiplets(windows, model.lines)],
        lines=model.lines,
        background_order=model.background_order,
        instrument=instrument,
    )
    if sigma_angle_deg > 0:
        by_angle = _moved_by_angles(series, windows, angle[kept], model.lines)
        series = replace(series, covariance=series.covariance + sigma_angle_deg**2 * by_angle)
    return _interpreted(series, model.lines)


def _moved_by_angles(
    series: SeriesFit, windows: FrameWindows, angle_deg: Array, lines: int
) -> Array:
    """Return the covariance of the shared parameters for angles off by 1 deg, point by point."""
    moves = np.zeros_like(series.optimum.parameters)
    for k in range(1, lines + 1):
        slope = slope_per_deg(angle_deg[series.used], _coefficients(series, k))
        moves[:, series.table_names.index(f"share_{k}")] = slope
    by_frame = moved_by(series, windows, moves)
    _, place = np.unique(windows.point[series.used], return_inverse=True)
    by_point = np.zeros((int(place.max()) + 1, by_frame.shape[1]))
    np.add.at(by_point, place, by_frame)
    return np.asarray(by_point.T @ by_point)


def _coefficients(series: SeriesFit, line: int) -> Array:
    """Return mean, cosine and sine of a line; the mean of the first is 1 by definition."""
    names = [f"share_{line}[{k}]" for k in range(2 if line == 1 else 3)]
    found = series.values[[series.names.index(name) for name in names]]
    return np.concatenate([[1.0], found]) if line == 1 else found


def _start(found: Multiplet, columns: Array) -> SeriesStart:
    """Return a start in which every line's area follows its own law of the angle."""
    shares = np.linalg.lstsq(columns, found.area_e, rcond=None)[0]
    shares /= max(shares[0, 0], 1e-2 * shares[0].max())
    law = columns @ shares
    lines = law.shape[1]
    return SeriesStart(
        shared={"width_eV": found.width_eV}
        | {f"splitting_{k}_eV": float(s) for k, s in enumerate(found.splitting_eV, start=2)},
        frames={
            "energy_1_eV": found.energy_eV,
            "brightness_e": found.light_e
            * found.area_e.sum(axis=1)
            / np.maximum(law.sum(axis=1), 0.05),
        }
        | {f"share_{k}": law[:, k - 1] for k in range(1, lines + 1)},
        laws={"share_1": columns[:, 1:]} | {f"share_{k}": columns for k in range(2, lines + 1)},
        fixed={"share_1": 1.0},
    )


def _interpreted(series: SeriesFit, lines: int) -> PolarizationSeries:
    splittings = [series.names.index(f"splitting_{k}_eV") for k in range(2, lines + 1)]
    laws = [_law(series, k, series.covariance) for k in range(1, lines + 1)]
    photon = [_law(series, k, series.photon_covariance) for k in range(1, lines + 1)]
    verdict, reason = _verdict(series, laws)
    return PolarizationSeries(
        splitting_eV=series.values[splittings],
        splitting_errors_eV=np.sqrt(np.diag(series.covariance)[splittings]),
        photon_splitting_errors_eV=np.sqrt(np.diag(series.photon_covariance)[splittings]),
        lines=tuple(laws),
        photon_axis_errors_deg=np.array([law.axis_error_deg for law in photon]),
        series=series,
        verdict=verdict,
        reason=reason,
    )


def _verdict(series: SeriesFit, laws: list[PolarizationFit]) -> tuple[Verdict, str]:
    """Return the verdict of the series; that of each line's law stands in the law."""
    said = (
        f"chi2/dof {series.chi2_per_dof:.2f}, errors enlarged {series.misfit_ratio:.2f} times for "
        f"misfit; {series.used.size} frames"
    )
    if not series.converged:
        return Verdict.FAILED, f"no optimum; {said}"
    distinct = sum(law.verdict is Verdict.CONVERGED for law in laws)
    if series.optimum.condition < _LEAST_CONDITION or not distinct:
        return Verdict.ILL_DETERMINED, f"the angles do not tell the lines apart; {said}"
    if series.misfit_ratio > MOST_MISFIT:
        return Verdict.POOR_FIT, said
    return Verdict.CONVERGED, f"{said}; splitting confirmed by polarization"


_LEAST_CONDITION = 1e-5


def _law(series: SeriesFit, line: int, covariance: Array) -> PolarizationFit:
    """Return the law of one line; the constant of the first is 1 by definition, without error."""
    i = [n for n, name in enumerate(series.names) if name.startswith(f"share_{line}[")]
    part = np.zeros((3, 3))
    part[-len(i) :, -len(i) :] = covariance[np.ix_(i, i)]
    nothing = np.zeros(0)
    values = _coefficients(series, line)
    return interpret(LinearFit(values, part, nothing, series.chi2_per_dof, 1, 0.0, 1.0))

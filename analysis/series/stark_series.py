"""The Stark parabola of a nanocrystal from all frames of a field sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.verdict import Verdict
from analysis.laws.stark import StarkFit, fit_stark_parabola
from analysis.series.multiplet import Multiplet, find_multiplets, frame_windows
from analysis.series.series_fit import MOST_MISFIT, SeriesFit, SeriesStart, fit_series
from analysis.spectra.fit_model import FitModel

__all__ = ["StarkSeries", "fit_stark_series"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StarkSeries:
    """The parabola of the mean energy of all lines, and what it was fitted to.

    photon_internal_field_error: what photon and read noise alone would leave, spectral diffusion
    being none. verdict: of spectra and parabola. field, energy, photon_error: of each point,
    (points,); the mean of its frames.
    """

    stark: StarkFit
    photon_internal_field_error: float
    field_kV_per_cm: Array
    energy_eV: Array
    photon_errors_eV: Array
    series: SeriesFit
    verdict: Verdict
    reason: str


def fit_stark_series(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    field_kV_per_cm: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    point: ArrayLike,
    light_time_s: ArrayLike | None = None,
    light_duration_s: float = 0.0,
    background: ArrayLike | None = None,
    instrument: InstrumentProfile | None = None,
    sigma_field_kV_per_cm: float = 0.0,
) -> StarkSeries:
    """Fit all frames of all fields together, then the parabola through the points.

    frames: raw counts, (frames, pixels); field, point: of each frame, as read back and as numbered
    in the sweep. light_time_s: exposure seen before the middle of each frame, light_duration_s: of
    a whole point, for the memory of spectral diffusion; None: points are taken as independent.
    instrument: the profile that a lamp showed. sigma_field: error of the field of each point.
    The mean of the lines is free of the exchange splitting, which shrinks with the field.
    """
    if model.lines == "auto":
        raise ValueError("a series is fitted with a given number of lines, not with auto")
    field = np.asarray(field_kV_per_cm, dtype=np.float64)
    scale = max(float(np.abs(field).max()), 1e-300)
    windows, kept, _ = frame_windows(
        wavelength_nm,
        frames,
        point=point,
        group=np.rint(20.0 * field / scale),
        model=model,
        noise=noise,
        background=background,
    )
    line = np.column_stack([np.ones(kept.size), field[kept] / scale])
    series = fit_series(
        windows,
        [_start(found, line) for found in find_multiplets(windows, model.lines)],
        lines=model.lines,
        background_order=model.background_order,
        instrument=instrument,
    )
    used = kept[series.used]
    above = sum(
        (
            line[series.used]
            @ series.values[[series.names.index(f"splitting_{k}_eV[{j}]") for j in range(2)]]
            for k in range(2, model.lines + 1)
        ),
        np.zeros(series.used.size),
    )
    energy = series.energy_eV + above / model.lines
    return _through_points(
        series,
        energy,
        field[used],
        np.asarray(point)[used],
        None if light_time_s is None else np.asarray(light_time_s, dtype=np.float64)[used],
        light_duration_s,
        sigma_field_kV_per_cm,
    )


def _start(found: Multiplet, line: Array) -> SeriesStart:
    """Return a start with constant relative areas, and splittings linear in the field."""
    total = found.area_e.sum(axis=0)
    shares = total / max(total[0], 1e-2 * total.max())
    others = range(2, shares.size + 1)
    return SeriesStart(
        shared={"width_eV": found.width_eV}
        | {f"splitting_{k}_eV": float(found.splitting_eV[k - 2]) for k in others}
        | {f"share_{k}": float(shares[k - 1]) for k in others},
        frames={
            "energy_1_eV": found.energy_eV,
            "brightness_e": found.light_e * found.area_e.sum(axis=1) / shares.sum(),
        },
        laws={f"share_{k}": np.ones((len(line), 1)) for k in others}
        | {f"splitting_{k}_eV": line for k in others},
        fixed={"share_1": 1.0},
    )


def _through_points(
    series: SeriesFit,
    energy: Array,
    field: Array,
    point: Array,
    time_s: Array | None,
    light_duration_s: float,
    sigma_field_kV_per_cm: float,
) -> StarkSeries:
    """Average the frames of each point and fit the parabola."""
    _, place = np.unique(point, return_inverse=True)
    number = np.bincount(place)

    def mean(of: Array) -> Array:
        return np.asarray(np.bincount(place, of) / number)

    photon = np.sqrt(np.bincount(place, series.energy_error_eV**2)) / number
    stark = fit_stark_parabola(
        mean(field),
        mean(energy),
        photon,
        light_time_s=None if time_s is None else mean(time_s),
        light_duration_s=light_duration_s,
        sigma_field_kV_per_cm=sigma_field_kV_per_cm,
    )
    photons_only = fit_stark_parabola(mean(field), mean(energy), photon, add_scatter=False)
    return StarkSeries(
        stark,
        photons_only.internal_field_error,
        mean(field),
        mean(energy),
        photon,
        series,
        *_verdict(series, stark),
    )


def _verdict(series: SeriesFit, stark: StarkFit) -> tuple[Verdict, str]:
    """Return what the series of spectra is worth, and if that is good, what the parabola is."""
    said = f"{series.used.size} frames, chi2/dof {series.chi2_per_dof:.2f}"
    if not series.converged:
        return Verdict.FAILED, f"no optimum for the lines of the series; {said}"
    if series.misfit_ratio > MOST_MISFIT:
        return Verdict.POOR_FIT, f"the lines found do not describe the spectra; {said}"
    return stark.verdict, f"{stark.reason}; {said}"

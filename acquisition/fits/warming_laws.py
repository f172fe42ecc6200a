"""The laws of a temperature sweep whose phonons are known: fitted to lines freed of replicas."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.sweep_file import FitConfig
from acquisition.fits.point_fitter import PointFitter, detector_noise
from acquisition.fits.point_laws import in_words
from acquisition.planning.point_table import PointKind
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.run_configuration import configuration_of
from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation import kernels
from analysis.estimation.fisher_scoring import Counts
from analysis.laws.energy_of_temperature import fit_energy_of_temperature
from analysis.laws.laws import LAWS, LawResult
from analysis.laws.linewidth_of_temperature import fit_linewidth_of_temperature
from analysis.laws.transition_onset import below_the_onset, fit_transition_onset
from analysis.series.warming_series import WarmingSeries, WarmPoint, fit_warming_series
from analysis.spectra.spectrum_window import Window, in_electrons

__all__ = ["OF_WARMING", "WarmingLaws", "fitted_laws", "phonons_of"]

OF_WARMING = ("energy", "linewidth", "onset")
_LONGEST_LOAD_S = 10.0
_COMPANIONS = ("trion", "biexciton")


def phonons_of(fit: FitConfig) -> tuple[float, ...]:
    """Return the phonons of the coldest zone that names some; none: replicas are not known of."""
    return next((zone.phonons_eV for zone in fit.model if zone.phonons_eV), ())


@dataclass(slots=True)
class WarmingLaws:
    """The laws of one journal; the spectra are fitted once for all of them."""

    reader: JournalReader
    _series: list[tuple[str, WarmingSeries | str]] | None = None

    def texts(self, law: str) -> Iterator[str]:
        """Yield a sentence per field; what can't be fitted is said, not raised."""
        title = LAWS[law].title
        if self._series is None:
            self._series = list(_fitted(self.reader))
        if not self._series:
            yield f"{title}: not fitted: no spectrum of a known temperature yet"
        for where, series in self._series:
            if isinstance(series, str):
                yield f"{title}{where}: not fitted: {series}"
                continue
            try:
                result, remark = _law(law, series)
            except ValueError as error:
                yield f"{title}{where}: not fitted: {error}"
                continue
            yield f"{title}{where}: {in_words(result)}{remark}; freed of replicas: {series.reason}"


def fitted_laws(reader: JournalReader) -> dict[str, LawResult]:
    """Return the laws of the first field's sweep. Raises ValueError where there is none."""
    found = [series for _, series in _fitted(reader)]
    for series in found:
        if isinstance(series, WarmingSeries):
            return {law: _law(law, series)[0] for law in OF_WARMING}
    raise ValueError(f"no law of a warming: {found or 'no spectrum of a known temperature'}")


def _law(law: str, series: WarmingSeries) -> tuple[LawResult, str]:
    """Fit one law; what it was not fitted to is said beside it."""
    place, error_K = series.temperature_K, series.sigma_temperature_K
    if law == "linewidth":
        return fit_linewidth_of_temperature(
            place, series.width_eV, series.width_covariance, sigma_temperature_K=error_K
        ), ""
    energy, own = series.energy_eV, series.own_energy_errors_eV
    if law == "onset":
        return fit_transition_onset(place, energy, own, sigma_temperature_K=error_K), ""
    below, said = below_the_onset(place, energy, own, sigma_temperature_K=error_K)
    found = fit_energy_of_temperature(
        place[below],
        energy[below],
        series.energy_covariance[np.ix_(below, below)],
        sigma_temperature_K=error_K[below],
    )
    return found, f"; {said}" if said else ""


def _fitted(reader: JournalReader) -> Iterator[tuple[str, WarmingSeries | str]]:
    """Yield the lines of each field with the field in words, or why there are none."""
    configuration = configuration_of(reader.meta)
    fit, camera = configuration.sweep.fit, configuration.station.camera
    if fit is None:
        return
    kernels.settle(longest_s=_LONGEST_LOAD_S)  # some hundred fits of as many lines
    fitter, noise = PointFitter(reader, configuration.sweep, camera), detector_noise(camera)
    window_eV = (
        min(zone.window_eV[0] for zone in fit.model),
        max(zone.window_eV[1] for zone in fit.model),
    )
    points = reader.table().points
    groups: defaultdict[float | None, list[WarmPoint]] = defaultdict(list)
    axes: dict[bytes, int] = {}
    for key in sorted(reader.accepted().values()):
        stored = reader.attempt(key)
        point = points[stored.attempt.point]
        if point.kind is not PointKind.SAMPLE:
            continue
        wavelength_nm = fitter.wavelength_nm(stored)
        axis = axes.setdefault(wavelength_nm.tobytes(), len(axes))
        found = _warm_point(stored, wavelength_nm, fitter.background(stored), noise, window_eV)
        if found is not None:
            groups[point.field_kV_per_cm].append(replace(found, axis=axis))
    for field_kV_per_cm, group in groups.items():
        where = "" if field_kV_per_cm is None else f" at field {field_kV_per_cm:g}"
        try:
            yield (
                where,
                fit_warming_series(group, phonons_eV=phonons_of(fit), companions=_COMPANIONS),
            )
        except ValueError as error:
            yield where, str(error)


def _warm_point(
    stored: StoredAttempt,
    wavelength_nm: NDArray[np.float64],
    background: NDArray[np.float64] | None,
    noise: DetectorNoise,
    window_eV: tuple[float, float],
) -> WarmPoint | None:
    """Return the sum of a point's frames, None without a temperature or pixels in the window."""
    readings = stored.attempt.readings
    temperature_K = readings.get("temperature_K", np.nan)
    counts = stored.attempt.counts.astype(np.float64)
    clean = np.where(cosmic_ray_mask(counts, noise), np.nan, counts)
    whole = in_electrons(wavelength_nm, clean, noise=noise, background=background)
    window = whole.between(*window_eV)
    if window is None or not np.isfinite(temperature_K):
        return None
    # Evenly between the ends that it wandered to while it was exposed.
    ends = [readings.get(f"temperature_{end}_K", np.nan) for end in ("min", "max")]
    wandered_K = (ends[1] - ends[0]) / 12.0**0.5
    edges_eV, frames = window.rising().edges_eV, window.rising().counts
    total = Counts(
        frames.electrons.sum(axis=0)[None],
        frames.shift.sum(axis=0)[None],
        frames.good.min(axis=0)[None],
    )
    single = tuple(window.rising().only(np.array([i])) for i in range(len(counts)))
    return WarmPoint(
        temperature_K,
        wandered_K if np.isfinite(wandered_K) else 0.0,
        Window(edges_eV, total),
        parts=single,
    )

"""Laws over the points of a run: the fits that its journal holds, against what was swept."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.planning.point_table import Point, PointKind
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import FitRow
from analysis.estimation.verdict import Verdict
from analysis.laws.huang_rhys import compare_couplings
from analysis.laws.law_fit import LawFit
from analysis.laws.laws import LAWS, LawResult
from analysis.laws.transition_onset import below_the_onset

__all__ = [
    "PointSeries",
    "coupling_texts",
    "in_words",
    "point_law_texts",
    "point_series",
]

Array = NDArray[np.float64]

SETPOINTS = ("temperature_K", "field_kV_per_cm")  # energy and width know no analyser
WORTH_SOMETHING = (Verdict.CONVERGED.value, Verdict.POOR_FIT.value)


@dataclass(frozen=True, slots=True)
class PointSeries:
    """Points that differ in one setpoint, in its rising order: arrays of shape (points,).

    where: the setpoints they share, in words. left_out: points whose fit is worth nothing.
    """

    where: str
    x: Array
    sigma_x: Array
    y: Array
    sigma: Array
    left_out: int


def point_law_texts(
    reader: JournalReader, name: str, *, shapes: Collection[str] = ()
) -> Iterator[str]:
    """Yield a sentence per series of points; a law that can't be fitted is said, not raised.

    shapes: of the lines, over the sweep; widths of different ones have a step between them.
    """
    law = LAWS[name]
    mixed = law.observable == "width_eV" and len(shapes) > 1 and not _has_voigt(reader)
    remark = f"; widths of {' and '.join(sorted(shapes))} are mixed" if mixed else ""
    if law.observable == "width_eV":
        remark += (
            "; the whole peak's width: replicas beneath it make the phonon look softer than it is, "
            "unless [fit.model] names their phonons"
        )
    found = list(point_series(reader, sweep=law.sweep, observable=law.observable))
    if not found:
        yield f"{law.title}: not fitted: no point has a fit yet (cryoscan fit RUN)"
    for series in found:
        try:
            result, said = _result(name, series)
        except ValueError as error:
            yield f"{law.title}{series.where}: not fitted: {error}"
            continue
        left = f"; {series.left_out} points without a good fit left out" if series.left_out else ""
        yield f"{law.title}{series.where}: {in_words(result)}{said}{left}{remark}"


def _result(name: str, series: PointSeries) -> tuple[LawResult, str]:
    """Fit a law, that of the energy below a transition only, which is then said."""
    if name != "energy":
        return LAWS[name].fitted(series.x, series.y, series.sigma, series.sigma_x), ""
    kept, said = below_the_onset(
        series.x, series.y, series.sigma, sigma_temperature_K=series.sigma_x
    )
    x, y, sigma, sigma_x = (
        column[kept] for column in (series.x, series.y, series.sigma, series.sigma_x)
    )
    return LAWS[name].fitted(x, y, sigma, sigma_x), f"; {said}" if said else ""


def point_series(reader: JournalReader, *, sweep: str, observable: str) -> Iterator[PointSeries]:
    """Yield the accepted sample points with a fit, grouped by equal other setpoints."""
    for where, group in _grouped(reader, [name for name in SETPOINTS if name != sweep]):
        yield _series(group, sweep, observable, where=where)


def coupling_texts(reader: JournalReader, response_error: float) -> Iterator[str]:
    """Yield the Huang-Rhys factors of every mode, mean of the points that share their setpoints.

    response_error: of the camera, as of DetectorNoise.
    Points hold them where the sweep file has replicas among the components.
    """
    title = LAWS["huang_rhys"].title
    found = False
    for where, group in _grouped(reader, list(SETPOINTS)):
        fits = [fit for _, fit in group if fit.verdict in WORTH_SOMETHING]
        for name in dict.fromkeys(n for fit in fits for n in fit.names if _COUPLING.fullmatch(n)):
            found = True
            yield f"{title}{where}: {name} {_mean_coupling(fits, name, response_error)}"
    if not found:
        yield (
            f"{title}: not fitted: no point has a good fit with replicas; the sweep file needs "
            'components = ["replicas"] and phonons in [fit.model]'
        )


_COUPLING = re.compile(r"coupling_\d+")


def _mean_coupling(fits: list[FitRow], name: str, response_error: float) -> str:
    of = [(fit, fit.names.index(name)) for fit in fits if name in fit.names]
    values = np.array([fit.values[i] for fit, i in of])
    errors = np.array([fit.errors[i] for fit, i in of])
    if len(of) == 1:
        return f"{values[0]:.4f} +- {errors[0]:.4f}; {of[0][0].verdict}: {of[0][0].reason}"
    mean = compare_couplings(values, np.maximum(errors, 1e-12), response_error=response_error)
    alike = "alike" if mean.probability > _UNLIKELY else "they differ beyond their errors"
    return (
        f"{mean.mean:.4f} +- {mean.error:.4f}; {len(of)} points, {alike} "
        f"(probability {mean.probability:.2g})"
    )


_UNLIKELY = 1e-3


def _grouped(
    reader: JournalReader, same: list[str]
) -> Iterator[tuple[str, list[tuple[StoredAttempt, FitRow]]]]:
    """Yield accepted sample points with their fits, by equal setpoints, and these in words."""
    points = reader.table().points
    fits = {fit.attempt: fit for fit in reader.fits()}
    groups: defaultdict[tuple[float | None, ...], list[tuple[StoredAttempt, FitRow]]]
    groups = defaultdict(list)
    for index, key in sorted(reader.accepted().items()):
        if points[index].kind is PointKind.SAMPLE and key in fits:
            setpoints = tuple(getattr(points[index], name) for name in same)
            groups[setpoints].append((reader.attempt(key), fits[key]))
    for group in groups.values():
        yield _where(points[group[0][0].attempt.point], same), group


def _has_voigt(reader: JournalReader) -> bool:
    return any("voigt_width_eV" in fit.names for fit in reader.fits())


def in_words(result: LawResult) -> str:
    """Return what a law found: its parameters with errors that hold the misfit, and its verdict."""
    said = f"{result.verdict.value}: {result.reason}"
    if not isinstance(result, LawFit):
        return said
    quantities = zip(result.names, result.values, result.errors_with_misfit, strict=True)
    values = ", ".join(_quantity(name, value, error) for name, value, error in quantities)
    return "; ".join([values, said, *result.warnings])


def _quantity(name: str, value: float, error: float) -> str:
    """Return a parameter in the unit that a person would use, to two digits of its error."""
    word, unit, scale = name, "", 1.0
    for suffix, shown, factor in _UNITS:
        if name.endswith(suffix) and (shown != "eV" or abs(value) >= 1.0):
            word, unit, scale = name.removesuffix(suffix), f" {shown}", factor
            break
    value, error = value * scale, error * scale
    if error == 0:
        return f"{word} {value:.4g}{unit} (held)"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 9)) if 0 < error < np.inf else 4
    return f"{word} {value:.{digits}f} +- {error:.{digits}f}{unit}"


_UNITS = (("_eV_per_K", "ueV/K", 1e6), ("_eV", "eV", 1.0), ("_eV", "meV", 1e3))


def _series(
    group: list[tuple[StoredAttempt, FitRow]], sweep: str, observable: str, *, where: str
) -> PointSeries:
    rows = []
    for stored, fit in group:
        measured = _OBSERVED[observable](fit)
        readings = stored.attempt.readings
        place = readings.get(sweep, np.nan)
        if fit.verdict in WORTH_SOMETHING and np.isfinite([place, *measured]).all():
            # Evenly between the ends that it wandered to while it was exposed.
            base = sweep.removesuffix("_K")
            ends = [readings.get(f"{base}_{end}_K", np.nan) for end in ("min", "max")]
            spread = (ends[1] - ends[0]) / 12.0**0.5
            rows.append((place, spread if np.isfinite(spread) else 0.0, *measured))
    table = np.array(sorted(rows)).reshape(-1, 4)
    x, sigma_x, y, sigma = table.T
    return PointSeries(where, x, sigma_x, y, sigma, len(group) - len(rows))


def _middle_energy(fit: FitRow) -> tuple[float, float]:
    """Return the unweighted middle of the exciton lines, which no population moves."""
    lines = [i for i, name in enumerate(fit.names) if _is_exciton_energy(name)]
    if not lines:
        return np.nan, np.nan
    variance = fit.covariance[np.ix_(lines, lines)].sum() / len(lines) ** 2
    return float(fit.values[lines].mean()), float(np.sqrt(max(variance, 0.0)))


def _is_exciton_energy(name: str) -> bool:
    return name.startswith("energy_") and name.endswith("_eV")


def _width(fit: FitRow) -> tuple[float, float]:
    """Return the whole FWHM, of the Voigt series where there is one."""
    prefix = "voigt_" if "voigt_width_eV" in fit.names else ""
    if f"{prefix}width_eV" not in fit.names:
        return np.nan, np.nan
    at = [fit.names.index(f"{prefix}width_eV")]
    gauss = float(fit.values[at[0]])
    if f"{prefix}lorentz_width_eV" not in fit.names:
        return gauss, float(fit.errors[at[0]])
    at.append(fit.names.index(f"{prefix}lorentz_width_eV"))
    # J. J. Olivero and R. L. Longbothum, J. Quant. Spectrosc. 17, 233 (1977), good to 2e-4.
    lorentz = float(fit.values[at[1]])
    root = float(np.hypot(np.sqrt(0.2166) * lorentz, gauss))
    slopes = np.array([gauss / max(root, 1e-300), 0.5346 + 0.2166 * lorentz / max(root, 1e-300)])
    variance = float(slopes @ fit.covariance[np.ix_(at, at)] @ slopes)
    return 0.5346 * lorentz + root, float(np.sqrt(max(variance, 0.0)))


_OBSERVED = {"energy_eV": _middle_energy, "width_eV": _width}


def _where(point: Point, same: list[str]) -> str:
    named = [
        f"{name.split('_')[0]} {value:g}"
        for name in same
        if (value := getattr(point, name)) is not None
    ]
    return f" at {', '.join(named)}" if named else ""

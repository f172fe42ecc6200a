"""Laws over the points of a run: the fits that its journal holds, against what was swept."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.journal import JournalReader
from acquisition.journal_rows import StoredAttempt
from acquisition.point_table import Point, PointKind
from acquisition.record import FitRow
from analysis.law_fit import LawFit
from analysis.laws import LAWS, LawResult
from analysis.verdict import Verdict

__all__ = ["PointSeries", "can_be_fitted_to_points", "in_words", "point_law_texts", "point_series"]

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


def can_be_fitted_to_points(name: str) -> bool:
    """Return whether a law is one of energies or widths over a setpoint."""
    law = LAWS[name]
    return law.sweep in SETPOINTS and law.observable in _OBSERVED


def point_law_texts(
    reader: JournalReader, name: str, *, shapes: Collection[str] = ()
) -> Iterator[str]:
    """Yield a sentence per series of points; a law that can't be fitted is said, not raised.

    shapes: of the lines, over the sweep; widths of different ones have a step between them.
    """
    law = LAWS[name]
    mixed = law.observable == "width_eV" and len(shapes) > 1
    remark = f"; widths of {' and '.join(sorted(shapes))} are mixed" if mixed else ""
    found = list(point_series(reader, sweep=law.sweep, observable=law.observable))
    if not found:
        yield f"{law.title}: not fitted: no point has a fit yet (cryoscan fit RUN)"
    for series in found:
        try:
            result = law.fitted(series.x, series.y, series.sigma, series.sigma_x)
        except ValueError as error:
            yield f"{law.title}{series.where}: not fitted: {error}"
            continue
        left = f"; {series.left_out} points without a good fit left out" if series.left_out else ""
        yield f"{law.title}{series.where}: {in_words(result)}{left}{remark}"


def point_series(reader: JournalReader, *, sweep: str, observable: str) -> Iterator[PointSeries]:
    """Yield the accepted sample points with a fit, grouped by equal other setpoints."""
    points = reader.table().points
    fits = {fit.attempt: fit for fit in reader.fits()}
    same = [name for name in SETPOINTS if name != sweep]
    groups: defaultdict[tuple[float | None, ...], list[tuple[StoredAttempt, FitRow]]]
    groups = defaultdict(list)
    for index, key in sorted(reader.accepted().items()):
        if points[index].kind is PointKind.SAMPLE and key in fits:
            setpoints = tuple(getattr(points[index], name) for name in same)
            groups[setpoints].append((reader.attempt(key), fits[key]))
    for group in groups.values():
        first = points[group[0][0].attempt.point]
        yield _series(group, sweep, observable, where=_where(first, same))


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
    if "width_eV" not in fit.names:
        return np.nan, np.nan
    i = fit.names.index("width_eV")
    return float(fit.values[i]), float(fit.errors[i])


_OBSERVED = {"energy_eV": _middle_energy, "width_eV": _width}


def _where(point: Point, same: list[str]) -> str:
    named = [
        f"{name.split('_')[0]} {value:g}"
        for name in same
        if (value := getattr(point, name)) is not None
    ]
    return f" at {', '.join(named)}" if named else ""

"""The laws of a sweep, from the fits in its journal: what the sweep file asks for, in words."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from acquisition.journal import JournalReader
from acquisition.point_table import Point, PointKind
from acquisition.record import Attempt, FitRow
from acquisition.run_configuration import configuration_of
from analysis.polarization import PolarizationFit, fit_polarization
from analysis.stark import StarkFit, fit_stark_parabola
from analysis.verdict import Verdict

__all__ = ["law_texts", "polarization_of", "stark_of"]

USABLE = (Verdict.CONVERGED.value, Verdict.POOR_FIT.value)

Measured = tuple[Point, Attempt, FitRow]


def law_texts(reader: JournalReader) -> tuple[str, ...]:
    """Return a sentence per law and group of points; nothing where the sweep asks for none."""
    fit = configuration_of(reader.meta).sweep.fit
    if fit is None:
        return ()
    texts: list[str] = []
    for law in fit.laws:
        texts += _parabola_texts(reader) if law == "parabola" else _cos2_texts(reader)
    return tuple(texts)


def stark_of(measured: list[Measured]) -> StarkFit:
    """Fit the parabola to the mean energy of the lines. Raises ValueError for too few fields."""
    means = [_mean_energy(fit) for _, _, fit in measured]
    return fit_stark_parabola(
        [attempt.readings["field_kV_per_cm"] for _, attempt, _ in measured],
        [energy for energy, _ in means],
        [sigma for _, sigma in means],
    )


def polarization_of(measured: list[Measured], line: int) -> PolarizationFit:
    """Fit cos^2 to the area of one line per second. Raises ValueError for too few angles."""
    name = f"area_{line}_counts"
    at = [fit.names.index(name) for _, _, fit in measured]
    times_s = np.array([attempt.exposure_s for _, attempt, _ in measured])
    return fit_polarization(
        [attempt.readings["angle_deg"] for _, attempt, _ in measured],
        np.array([fit.values[k] for k, (_, _, fit) in zip(at, measured, strict=True)]) / times_s,
        np.array([fit.errors[k] for k, (_, _, fit) in zip(at, measured, strict=True)]) / times_s,
    )


def measured_points(reader: JournalReader) -> list[Measured]:
    """Return the accepted sample points with a usable fit, in measuring order."""
    points = reader.table().points
    accepted = reader.accepted()
    fits = {fit.attempt: fit for fit in reader.fits() if fit.verdict in USABLE}
    return [
        (points[point], reader.attempt(key).attempt, fits[key])
        for point, key in accepted.items()
        if points[point].kind is PointKind.SAMPLE and key in fits
    ]


def _parabola_texts(reader: JournalReader) -> Iterator[str]:
    for where, group in _groups(reader, ("temperature_K", "angle_deg")):
        yield f"Stark parabola{where}: {_parabola_text(group)}"


def _parabola_text(group: list[Measured]) -> str:
    try:
        law = stark_of(group)
    except ValueError as error:
        return f"not fitted: {error}"
    low, high = law.internal_field_interval_kV_per_cm
    return (
        f"internal field {law.internal_field_kV_per_cm:.1f} +- {law.internal_field_error:.1f} "
        f"kV/cm (68 %: {low:.0f} to {high:.0f}), alpha/2 {law.half_polarizability * 1e6:.3f} +- "
        f"{law.half_polarizability_error * 1e6:.3f} ueV/(kV/cm)^2; {law.verdict.value}: {law.reason}"
    )


def _cos2_texts(reader: JournalReader) -> Iterator[str]:
    for where, group in _groups(reader, ("temperature_K", "field_kV_per_cm")):
        lines = min(sum(n.startswith("energy_") for n in fit.names) for _, _, fit in group)
        for line in range(1, lines + 1):
            yield f"cos^2{where}, line {line}: {_cos2_text(group, line)}"


def _cos2_text(group: list[Measured], line: int) -> str:
    try:
        law = polarization_of(group, line)
    except ValueError as error:
        return f"not fitted: {error}"
    return (
        f"axis {law.axis_deg:.1f} +- {law.axis_error_deg:.1f} deg, visibility "
        f"{law.visibility:.2f} +- {law.visibility_error:.2f}; {law.verdict.value}: {law.reason}"
    )


def _groups(reader: JournalReader, by: tuple[str, ...]) -> Iterator[tuple[str, list[Measured]]]:
    """Yield the points that share the setpoints `by`, with a text that says which."""
    groups: defaultdict[tuple[float | None, ...], list[Measured]] = defaultdict(list)
    for measured in measured_points(reader):
        groups[tuple(getattr(measured[0], name) for name in by)].append(measured)
    for key, group in groups.items():
        named = [
            f"{name.split('_')[0]} {value:g}"
            for name, value in zip(by, key, strict=True)
            if value is not None
        ]
        yield f" at {', '.join(named)}" if named else "", group


def _mean_energy(fit: FitRow) -> tuple[float, float]:
    """Return the unweighted mean of the line energies and its error."""
    at = [k for k, name in enumerate(fit.names) if name.startswith("energy_")]
    weights = np.full(len(at), 1.0 / len(at))
    variance = weights @ fit.covariance[np.ix_(at, at)] @ weights
    return float(weights @ fit.values[at]), float(np.sqrt(variance))

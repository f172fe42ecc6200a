"""A run in a few lines and one table, from its journal alone."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

from rich.console import Console
from rich.table import Table

from acquisition.fits.run_laws import law_texts
from acquisition.planning.point_table import Point
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import Event, FitRow
from analysis.estimation.verdict import Verdict

__all__ = ["RunRow", "RunSummary", "print_summary", "summarise"]

COLUMNS = (
    "point",
    "kind",
    "T set",
    "T (K)",
    "V (V)",
    "angle",
    "t (s)",
    "peak",
    "E (eV)",
    "fit",
    "flags",
)
WIDEST_CHARACTERS = 1000
NO_VALUES = (Verdict.NO_SIGNAL.value, Verdict.FAILED.value)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One accepted point: setpoints, readbacks, its fit."""

    point: int
    kind: str
    temperature_K: float | None
    field_kV_per_cm: float | None
    voltage_V: float | None
    angle_deg: float | None
    exposure_s: float
    frames: int
    measured_temperature_K: float
    measured_voltage_V: float
    measured_angle_deg: float
    peak_counts: int
    flags: tuple[str, ...]
    energy_eV: float | None
    energy_error_eV: float | None
    width_eV: float | None
    chi2_per_dof: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What happened in a run."""

    folder: str
    title: str
    sample: str
    planned: int
    accepted: int
    attempts: int
    segments: int
    duration_s: float
    flagged: int
    ended: str
    safe: str
    digest: str | None
    notes: tuple[str, ...]
    laws: tuple[str, ...]
    rows: tuple[RunRow, ...]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def summarise(folder: Path, *, with_digest: bool = False, with_laws: bool = False) -> RunSummary:
    """Read the journal in this folder, running or ended. Raises StorageError.

    with_laws: fits the laws of the sweep to all its frames, which takes some seconds.
    """
    with JournalReader(folder) as reader:
        points = reader.table().points
        accepted = reader.accepted()
        fits = {fit.attempt: fit for fit in reader.fits()}
        attempts = [(points[point], reader.attempt(key)) for point, key in accepted.items()]
        rows = tuple(_row(point, stored, fits.get(stored.id)) for point, stored in attempts)
        progress = reader.progress()
        events = [event for _, event in reader.events()]
        lately = _of_last_segment(events)
        return RunSummary(
            folder=str(folder),
            title=reader.meta.title,
            sample=reader.meta.sample,
            planned=progress.planned,
            accepted=progress.accepted,
            attempts=progress.attempts,
            segments=len(reader.segments()),
            duration_s=reader.last_time_s(),
            flagged=sum(bool(row.flags) for row in rows),
            ended=_last(lately, "finished"),
            safe=_last(lately, "safe state"),
            digest=reader.digest() if with_digest else None,
            notes=tuple(_dated(event) for event in events if event.code == "note"),
            laws=law_texts(reader) if with_laws else (),
            rows=rows,
        )


def print_summary(summary: RunSummary, console: Console, *, with_table: bool) -> None:
    """Print the summary for a person; the table keeps its width, whatever the terminal's."""
    for label, text in _lines(summary):
        console.print(f"{label:>12}  {text}", markup=False)
    if with_table:
        Console(file=console.file, width=WIDEST_CHARACTERS).print(_table(summary.rows))


def _lines(summary: RunSummary) -> Iterator[tuple[str, str]]:
    yield "run", summary.folder
    yield "title", f"{summary.title}, sample {summary.sample}"
    yield (
        "points",
        f"{summary.accepted} of {summary.planned} accepted in {summary.attempts} attempts and "
        f"{summary.segments} segments, {summary.flagged} with flags",
    )
    yield "time", f"{summary.duration_s / 3600:.2f} h"
    yield "ended", summary.ended
    yield "safe state", summary.safe
    if summary.digest:
        yield "digest", summary.digest
    for note in summary.notes:
        yield "note", note
    for law in summary.laws:
        yield "law", law


def _table(rows: tuple[RunRow, ...]) -> Table:
    table = Table(*COLUMNS, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        energy = (
            "" if row.energy_eV is None else f"{row.energy_eV:.6f} +- {row.energy_error_eV:.6f}"
        )
        table.add_row(
            str(row.point),
            row.kind,
            _written(row.temperature_K, "g"),
            _written(row.measured_temperature_K, ".3f"),
            _written(row.measured_voltage_V, ".3f"),
            _written(row.measured_angle_deg, ".2f"),
            f"{row.frames} x {row.exposure_s:g}",
            str(row.peak_counts),
            energy,
            _judged(row),
            "; ".join(row.flags),
        )
    return table


def _judged(row: RunRow) -> str:
    """Return the verdict, and how far the model misses where it does: no error tells that."""
    if row.verdict != Verdict.POOR_FIT.value or row.chi2_per_dof is None:
        return row.verdict
    return f"{row.verdict}: chi2/dof {row.chi2_per_dof:.3g}"


def _written(value: float | None, form: str) -> str:
    return "" if value is None or isnan(value) else format(value, form)


def _row(point: Point, stored: StoredAttempt, fit: FitRow | None) -> RunRow:
    attempt = stored.attempt
    return RunRow(
        point=point.index,
        kind=point.kind.value,
        temperature_K=point.temperature_K,
        field_kV_per_cm=point.field_kV_per_cm,
        voltage_V=point.voltage_V,
        angle_deg=point.angle_deg,
        exposure_s=attempt.exposure_s,
        frames=len(attempt.counts),
        measured_temperature_K=attempt.readings["temperature_K"],
        measured_voltage_V=attempt.readings["gap_voltage_V"],
        measured_angle_deg=attempt.readings["angle_deg"],
        peak_counts=int(attempt.counts.max()),
        flags=attempt.flags,
        energy_eV=_fitted(fit, "energy_1_eV"),
        energy_error_eV=_fitted(fit, "energy_1_eV", error=True),
        width_eV=_fitted(fit, "width_eV"),
        chi2_per_dof=None if fit is None or isnan(fit.chi2_per_dof) else fit.chi2_per_dof,
        verdict="" if fit is None else fit.verdict,
    )


def _fitted(fit: FitRow | None, name: str, *, error: bool = False) -> float | None:
    if fit is None or name not in fit.names or fit.verdict in NO_VALUES:
        return None
    values = fit.errors if error else fit.values
    return float(values[fit.names.index(name)])


def _dated(event: Event) -> str:
    when = datetime.fromtimestamp(event.utc, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC  {event.text}"


def _of_last_segment(events: list[Event]) -> list[Event]:
    """Return what happened since the last segment began: how an earlier one ended is past."""
    begins = [place for place, event in enumerate(events) if event.code == "segment"]
    return events[begins[-1] :] if begins else events


def _last(events: list[Event], code: str) -> str:
    texts = [event.text for event in events if event.code == code]
    return texts[-1] if texts else "still running, or the process died"

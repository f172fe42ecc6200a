"""The components a nanocrystal's spectrum is made of: each is rows of the line table, by name.

A new component is one function that returns its rows and one entry of COMPONENTS.
Sources: K. Huang and A. Rhys, Proc. R. Soc. A 204, 406 (1950), for the replicas; the biexciton's
photons leave the excitons behind, so that its lines are those of the exciton mirrored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from math import factorial, prod

from analysis.estimation.line_table import Line, Shape
from analysis.spectra.emitter import Emitter
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["COMPONENTS", "Component", "rows_of"]

_LEAST_OCCUPATION = 1e-3  # below, a mode has no phonon to give


@dataclass(frozen=True, slots=True)
class Component:
    """rows: of an emitter with so many exciton lines.

    needs: the component without which there is none; "" for those that are looked for by
    themselves, window_eV below the exciton's centre. is_mirrored: one line for each of the
    exciton's, placed by "NAME_binding_eV".
    """

    rows: Callable[[Emitter, int], list[Line]]
    needs: str = ""
    window_eV: tuple[float, float] | None = None
    is_mirrored: bool = False


def rows_of(emitter: Emitter, lines: int, names: Sequence[str]) -> list[Line]:
    """Return the rows of the exciton and of the components named."""
    return [row for name in ("exciton", *names) for row in COMPONENTS[name].rows(emitter, lines)]


def _exciton(emitter: Emitter, lines: int) -> list[Line]:
    return [
        _line(emitter, ((f"energy_{k}_eV", 1.0),), "width_eV", f"area_{k}_counts")
        for k in range(1, lines + 1)
    ]


def _trion(emitter: Emitter, lines: int) -> list[Line]:
    centre = (*_centre_of(lines), ("trion_binding_eV", -1.0))
    return [_line(emitter, centre, "trion_width_eV", "trion_area_counts")]


def _biexciton(emitter: Emitter, lines: int) -> list[Line]:
    """Return the exciton's lines mirrored at their unweighted centre, whatever the populations."""
    mirror = [(name, 2.0 * share) for name, share in _centre_of(lines)]
    return [
        _line(
            emitter,
            (*mirror, (f"energy_{k}_eV", -1.0), ("biexciton_binding_eV", -1.0)),
            "width_eV",
            f"biexciton_area_{k}_counts",
        )
        for k in range(1, lines + 1)
    ]


def _replicas(emitter: Emitter, lines: int) -> list[Line]:
    parents = _exciton(emitter, lines)
    return [row for parent in parents for row in _copies(parent, emitter, "coupling")]


def _trion_replicas(emitter: Emitter, lines: int) -> list[Line]:
    (parent,) = _trion(emitter, lines)
    return list(_copies(parent, emitter, "trion_coupling"))


COMPONENTS: dict[str, Component] = {
    "exciton": Component(_exciton),
    "trion": Component(_trion, window_eV=(5e-3, 25e-3)),
    "biexciton": Component(_biexciton, window_eV=(15e-3, 40e-3), is_mirrored=True),
    "replicas": Component(_replicas, needs="exciton"),
    "trion replicas": Component(_trion_replicas, needs="trion"),
}


def _centre_of(lines: int) -> list[tuple[str, float]]:
    return [(f"energy_{k}_eV", 1.0 / lines) for k in range(1, lines + 1)]


def _line(emitter: Emitter, centre: Sequence[tuple[str, float]], width: str, *area: str) -> Line:
    line = Line(
        centre=tuple(centre),
        width=width,
        area=area,
        shape=emitter.shape,
        lorentz_width=f"lorentz_{width}" if emitter.own_shape is Shape.VOIGT else "",
    )
    return _behind_profile(line, emitter, width)


def _behind_profile(row: Line, emitter: Emitter, width: str) -> Line:
    """Return the row with its one width where a line behind a profile has it."""
    if emitter.shape is Shape.PROFILE and emitter.behind is Shape.LORENTZ:
        return replace(row, width="", lorentz_width=width)
    return replace(row, width=width)


def _copies(parent: Line, emitter: Emitter, coupling: str) -> Iterator[Line]:
    """Yield the parent shifted by every choice of phonons sent out and taken up.

    Each mode sends Poisson numbers of mean S (n + 1) and takes up numbers of mean S n; a choice of
    a sent and b taken weighs (S (n + 1))^a (S n)^b / (a! b!) against none at all, which is what the
    parent's own area counts.
    """
    for number in range(1, emitter.orders + 1):
        for choice in combinations_with_replacement(_events(emitter), number):
            alike = prod(factorial(count) for count in Counter(choice).values())
            row = replace(
                parent,
                area=(*parent.area, *(f"{coupling}_{event.mode}" for event in choice)),
                factor=parent.factor * prod(event.mean_per_coupling for event in choice) / alike,
            )
            for event in choice:
                row = _shifted(row, emitter, event)
            yield row


@dataclass(frozen=True, slots=True)
class _Event:
    """One phonon of a mode (counted from 1) sent out, direction -1, or taken up, +1."""

    mode: int
    direction: int
    mean_per_coupling: float


def _events(emitter: Emitter) -> Iterator[_Event]:
    for mode, phonon in enumerate(emitter.phonons, start=1):
        occupied = float(thermal_occupation(phonon.energy_eV, emitter.temperature_K))
        yield _Event(mode, -1, occupied + 1.0)
        if occupied > _LEAST_OCCUPATION:
            yield _Event(mode, +1, occupied)


def _shifted(row: Line, emitter: Emitter, event: _Event) -> Line:
    phonon = emitter.phonons[event.mode - 1]
    if phonon.is_broad:
        row = _behind_profile(row, emitter, f"replica_{event.mode}_width_eV")
    if phonon.is_free:
        return replace(row, centre=(*row.centre, (f"phonon_{event.mode}_eV", event.direction)))
    return replace(row, offset_eV=row.offset_eV + event.direction * phonon.energy_eV)

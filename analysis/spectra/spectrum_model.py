"""What a spectrum is made of: nanocrystals with their components on a background, as line tables.

Parameters of the first nanocrystal: energy_k_eV (exciton lines, rising), width_eV (FWHM, shared),
area_k_counts, coupling_j (Huang-Rhys factor of mode j), phonon_j_eV where free, trion_binding_eV
and biexciton_binding_eV (below the unweighted centre of the exciton lines), trion_width_eV,
trion_area_counts, biexciton_area_k_counts, trion_coupling_j; further ones carry emitter_2_, ...
before the name. background_k belongs to all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.spectra.components import COMPONENTS, rows_of
from analysis.spectra.emitter import Emitter, Presence

__all__ = ["Contents", "SpectrumModel", "Tie", "prefix_of"]

Tie = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """How many exciton lines an emitter has, and which of its components are there."""

    lines: int
    components: tuple[str, ...]

    def with_components(self, names: Sequence[str]) -> Contents:
        return replace(self, components=(*self.components, *names))


@dataclass(frozen=True, slots=True)
class SpectrumModel:
    """What is looked for.

    lines: of each exciton. window_eV: energies that are fitted; None: the whole spectrum.
    ties: a parameter in place of which a combination of others stands: of centres any sum, of
    areas one product with one factor, of widths another width. fixed, bounds: by parameter, in its
    unit; fixed and bounds hold where the parameter exists.
    widest_splitting_eV: between the outer exciton lines, where a start is looked for.
    profile: of the instrument, through which emitters of shape PROFILE are seen.
    """

    emitters: tuple[Emitter, ...] = (Emitter(),)
    lines: int = 1
    window_eV: tuple[float, float] | None = None
    background_order: int = 0
    ties: Mapping[str, Tie] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    widest_splitting_eV: float = 2.5e-3
    profile: InstrumentProfile | None = None

    def __post_init__(self) -> None:
        if self.lines not in (1, 2, 3):
            raise ValueError(f"lines {self.lines} must be 1, 2 or 3")
        if not self.emitters:
            raise ValueError("a spectrum model without an emitter")
        for emitter in self.emitters:
            for name in emitter.components:
                if name == "exciton" or name not in COMPONENTS:
                    known = ", ".join(k for k in COMPONENTS if k != "exciton")
                    raise ValueError(f"component {name!r} is none of {known}")
            wants = [name for name in emitter.components if name.endswith("replicas")]
            if wants and not emitter.phonons:
                raise ValueError(f"{wants[0]} need the energy of a phonon")
            for name in emitter.components:
                needed = COMPONENTS[name].needs
                if needed not in ("", "exciton", *emitter.components):
                    raise ValueError(f"{name} need the {needed}")
        for name, (lower, upper) in self.bounds.items():
            if not lower <= upper:
                raise ValueError(f"{name}: lower bound {lower} is above upper bound {upper}")

    @property
    def shape(self) -> Shape:
        return self.emitters[0].shape

    def with_shape(self, shape: Shape) -> SpectrumModel:
        """Return the same with lines of another shape."""
        return replace(self, emitters=tuple(replace(e, shape=shape) for e in self.emitters))

    def with_presence(self, presence: Presence) -> SpectrumModel:
        """Return the same with every component that has a window taken so."""
        return replace(
            self,
            emitters=tuple(
                replace(e, components=dict.fromkeys(e.components, presence)) for e in self.emitters
            ),
        )

    def core(self) -> tuple[Contents, ...]:
        """Return what needs no search: the excitons and what is there wherever they are."""
        return tuple(
            Contents(
                self.lines,
                tuple(name for name in emitter.components if COMPONENTS[name].needs == "exciton"),
            )
            for emitter in self.emitters
        )

    def sought(self, emitter: int) -> dict[str, Presence]:
        """Return the components of an emitter that have to be looked for."""
        components = self.emitters[emitter].components
        return {name: p for name, p in components.items() if COMPONENTS[name].window_eV is not None}

    def complete(self) -> tuple[Contents, ...]:
        """Return everything that may be there."""
        return tuple(Contents(self.lines, tuple(e.components)) for e in self.emitters)

    def window_of(self, emitter: int, component: str) -> tuple[float, float]:
        """Return how far below the exciton's centre a component is looked for."""
        own = self.emitters[emitter].windows_eV.get(component)
        window = own or COMPONENTS[component].window_eV
        if window is None:
            raise ValueError(f"{component} is not looked for: it is there wherever the exciton is")
        return window

    def instrument_fwhm_eV(self, emitter: int, energy_eV: float) -> float:
        """Return the width of the profile's main part, 0 where it is not part of the model."""
        if self.profile is None or self.emitters[emitter].shape is not Shape.PROFILE:
            return 0.0
        place = int(np.argmin(np.abs(self.profile.energy_eV - energy_eV)))
        return float(self.profile.gauss_fwhm_eV[place, np.argmax(self.profile.share[place])])

    def table(self, contents: Sequence[Contents]) -> LineTable:
        """Return the line table of these contents, one entry for each emitter."""
        rows: list[Line] = []
        for number, (emitter, what) in enumerate(zip(self.emitters, contents, strict=True)):
            rows += [
                _renamed(row, prefix_of(number))
                for row in rows_of(emitter, what.lines, what.components)
            ]
        tied = [_tied(row, self.ties) for row in rows]
        return LineTable(tied, background_order=self.background_order, profile=self.profile)


def prefix_of(emitter: int) -> str:
    """Return what the names of an emitter's parameters begin with; emitters count from 0."""
    return f"emitter_{emitter + 1}_" if emitter else ""


def _renamed(row: Line, prefix: str) -> Line:
    return replace(
        row,
        centre=tuple((prefix + name, factor) for name, factor in row.centre),
        width=row.width and prefix + row.width,
        lorentz_width=row.lorentz_width and prefix + row.lorentz_width,
        area=tuple(prefix + name for name in row.area),
    )


def _tied(row: Line, ties: Mapping[str, Tie]) -> Line:
    """Return the row with the combinations in place of the parameters they stand for."""
    centre = tuple(
        (other, factor * part)
        for name, factor in row.centre
        for other, part in ties.get(name, ((name, 1.0),))
    )
    areas = [ties.get(name, ((name, 1.0),)) for name in row.area]
    return replace(
        row,
        centre=centre,
        width=row.width and _same_width(row.width, ties),
        lorentz_width=row.lorentz_width and _same_width(row.lorentz_width, ties),
        area=tuple(other for tie in areas for other, _ in tie),
        factor=row.factor * prod(factor for tie in areas for _, factor in tie),
    )


def _same_width(name: str, ties: Mapping[str, Tie]) -> str:
    tie = ties.get(name, ((name, 1.0),))
    if len(tie) != 1 or tie[0][1] != 1.0:
        raise ValueError(f"{name} can only be tied to one other width, not to {tie}")
    return tie[0][0]

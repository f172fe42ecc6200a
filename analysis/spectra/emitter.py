"""One nanocrystal in the spectrum model: which components it has, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from analysis.estimation.line_table import Shape

__all__ = ["Emitter", "Phonon", "Presence"]


class Presence(Enum):
    """Whether a component is taken for granted or has to show itself."""

    ALWAYS = "always"
    IF_SEEN = "if seen"


@dataclass(frozen=True, slots=True)
class Phonon:
    """A mode whose replicas copy the exciton.

    is_free: its energy is fitted, from this value. is_broad: its replicas have a width of their
    own, since the mode has one; shape and splittings stay the exciton's.
    """

    energy_eV: float
    is_free: bool = False
    is_broad: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.energy_eV) and self.energy_eV > 0):
            raise ValueError(f"phonon energy {self.energy_eV} eV must be positive")


@dataclass(frozen=True, slots=True)
class Emitter:
    """One nanocrystal.

    components: by name of analysis.spectra.components.COMPONENTS, whether always there or if
    seen; the exciton itself needs no entry. orders: phonons in a replica at most, 1 or 2,
    combinations of modes among them; temperature_K decides how many are taken up instead of sent
    out.
    windows_eV: by component, how far below the exciton's centre it is looked for, in place of the
    rules of thumb of the registry. behind: shape of the lines themselves where shape is PROFILE.
    """

    components: Mapping[str, Presence] = field(default_factory=dict)
    phonons: tuple[Phonon, ...] = ()
    orders: int = 1
    temperature_K: float = 0.0
    shape: Shape = Shape.GAUSS
    windows_eV: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    behind: Shape = Shape.GAUSS

    def __post_init__(self) -> None:
        if self.orders not in (1, 2):
            raise ValueError(f"orders {self.orders} of replicas must be 1 or 2")
        if len(self.phonons) > 4:
            raise ValueError(f"{len(self.phonons)} phonon modes: at most 4")
        if self.behind is Shape.PROFILE:
            raise ValueError("the line behind a profile is gauss, lorentz or voigt")
        for name, (near, far) in self.windows_eV.items():
            if not 0.0 < near < far:
                raise ValueError(f"window of the {name} {near} to {far} eV: must rise from above 0")

    @property
    def own_shape(self) -> Shape:
        """The shape of the lines without the instrument."""
        return self.behind if self.shape is Shape.PROFILE else self.shape

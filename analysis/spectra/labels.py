"""Name the groups of lines of a spectrum: X, T, Bx, LO_j, a replica of T, or unassigned.

Rules, in order: (1) the strongest multiplet at the highest energy is X; (2) a single line without
X's polarization pattern, not growing as a biexciton does and not brightening with X, in the trion's
window is T; (3) X's splittings mirrored, with the same axes line by line, superlinear in power, in
the biexciton's window is Bx; (4) a copy of X, linear in power, at the energy of a mode is LO_j;
(5) a copy of T at the same energy is a replica of T; (6) everything else stays unassigned: what was
not measured never speaks against a label, but a place alone is not enough for one where two labels
would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNASSIGNED", "Label", "LineGroup", "Rules", "label_groups"]

Array = NDArray[np.float64]

UNASSIGNED = "unassigned"
_AGREEMENT = 4.0  # sigma
_LEAST_DEG = 10.0  # axes are not compared more finely: optics retard and rotate
_SUPERLINEAR = 1.4  # exponent in the power between X (1) and Bx (2)


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines that belong together, in rising energy; errors are one sigma.

    axes_deg: of each line, where a polarization series told. power_exponent: with its error.
    with_exciton: correlation in time of its light with the exciton's, with its error.
    has_shape: whether there is light enough to tell one line from a copy of the exciton's.
    """

    energy_eV: Array
    error_eV: Array
    area_e: Array
    axes_deg: Array | None = None
    power_exponent: tuple[float, float] | None = None
    with_exciton: tuple[float, float] | None = None
    has_shape: bool = True

    @property
    def centre_eV(self) -> float:
        return float(self.energy_eV.mean())

    @property
    def centre_error_eV(self) -> float:
        return float(np.sqrt((self.error_eV**2).sum())) / self.error_eV.size


@dataclass(frozen=True, slots=True)
class Rules:
    """Where labels are looked for, in eV below the exciton.

    phonons_eV: of the modes, with phonon_error_eV. resolution_eV: below which energies agree.
    """

    trion_eV: tuple[float, float] = (5e-3, 25e-3)
    biexciton_eV: tuple[float, float] = (15e-3, 40e-3)
    phonons_eV: tuple[float, ...] = ()
    phonon_error_eV: float = 0.3e-3
    resolution_eV: float = 0.05e-3


@dataclass(frozen=True, slots=True)
class Label:
    """name: "X", "T", "Bx", "LO1", "T-LO1" or "unassigned"; rivals: labels that also fit."""

    name: str
    reason: str
    rivals: tuple[str, ...] = field(default=())


def label_groups(groups: Sequence[LineGroup], rules: Rules) -> tuple[Label, ...]:
    """Return a label with its reason for each group, in their order."""
    if not groups:
        return ()
    exciton = _exciton(groups)
    labels: dict[int, Label] = {
        exciton: Label("X", "the strongest multiplet at the highest energy")
    }
    fitting = {
        i: _fitting(group, groups[exciton], rules) for i, group in enumerate(groups) if i != exciton
    }
    trion = _only("T", fitting, groups)
    if trion is not None:
        for i, names in fitting.items():
            if i == trion:
                continue
            names.pop("T", None)  # there is one, the brightest
            mode = _mode(groups[trion].centre_eV - groups[i].centre_eV, groups[i], rules)
            if mode and groups[i].energy_eV.size == 1:
                names[f"T-{mode}"] = f"a copy of T at the energy of {mode}"
    for i, names in fitting.items():
        labels[i] = _decided(names, groups[i], groups[exciton])
    return tuple(labels[i] for i in range(len(groups)))


def _exciton(groups: Sequence[LineGroup]) -> int:
    """Return the highest group among those a tenth as bright as the brightest, or brighter."""
    light = np.array([group.area_e.sum() for group in groups])
    centre = np.array([group.centre_eV for group in groups])
    return int(np.argmax(np.where(light >= 0.1 * light.max(), centre, -np.inf)))


def _fitting(group: LineGroup, exciton: LineGroup, rules: Rules) -> dict[str, str]:
    """Return the labels that nothing measured speaks against, with what speaks for them."""
    below = exciton.centre_eV - group.centre_eV
    names: dict[str, str] = {}
    window = f"{1e3 * below:.2f} meV below X"
    if rules.trion_eV[0] <= below <= rules.trion_eV[1] and _may_be_trion(group, exciton):
        names["T"] = f"a single line {window}" + _in_words(group)
    if rules.biexciton_eV[0] <= below <= rules.biexciton_eV[1] and _may_be_biexciton(
        group, exciton, rules
    ):
        names["Bx"] = f"X mirrored {window}" + _in_words(group)
    mode = _mode(below, group, rules) or _mode_of_a_part(group, exciton, rules)
    if mode and _may_be_replica(group, exciton, rules):
        names[mode] = f"a copy of X {window}" + _in_words(group)
    return names


def _may_be_trion(group: LineGroup, exciton: LineGroup) -> bool:
    if group.energy_eV.size != 1:
        return False
    if group.with_exciton is not None and _exceeds(group.with_exciton, 0.0):
        return False
    has_pattern = group.axes_deg is not None and exciton.axes_deg is not None
    return not (has_pattern and exciton.energy_eV.size == 1 and _same_axes(group, exciton))


def _may_be_biexciton(group: LineGroup, exciton: LineGroup, rules: Rules) -> bool:
    if group.energy_eV.size != exciton.energy_eV.size:
        return False
    mirrored = _offsets(exciton)
    if not _agree(_offsets(group), -mirrored[::-1], group, exciton, rules):
        return False
    if group.power_exponent is not None and not _exceeds(group.power_exponent, 1.0):
        return False
    return _same_axes(group, exciton, reverse=True)


def _may_be_replica(group: LineGroup, exciton: LineGroup, rules: Rules) -> bool:
    if group.has_shape and not _is_copy(group, exciton, rules):
        return False
    if group.power_exponent is not None and _exceeds(group.power_exponent, _SUPERLINEAR):
        return False
    return _same_axes(group, exciton)


def _is_copy(group: LineGroup, exciton: LineGroup, rules: Rules) -> bool:
    is_alike = group.energy_eV.size == exciton.energy_eV.size
    return is_alike and _agree(_offsets(group), _offsets(exciton), group, exciton, rules)


def _offsets(group: LineGroup) -> Array:
    return np.asarray(group.energy_eV - group.energy_eV.mean())


def _agree(seen: Array, wanted: Array, group: LineGroup, exciton: LineGroup, rules: Rules) -> bool:
    scatter = np.hypot(group.error_eV.max(), exciton.error_eV.max())
    allowed = max(_AGREEMENT * float(scatter), rules.resolution_eV)
    return bool((np.abs(seen - wanted) <= allowed).all())


def _same_axes(group: LineGroup, exciton: LineGroup, *, reverse: bool = False) -> bool:
    """Return whether the axes agree line by line; unmeasured ones don't disagree."""
    if group.axes_deg is None or exciton.axes_deg is None:
        return True
    if not group.has_shape:
        return True  # an axis of light that blurs several
    axes = group.axes_deg[::-1] if reverse else group.axes_deg
    if axes.size != exciton.axes_deg.size:
        return False
    apart = (axes - exciton.axes_deg + 90.0) % 180.0 - 90.0
    return bool((np.abs(apart) <= _LEAST_DEG).all())


def _mode(below_eV: float, group: LineGroup, rules: Rules) -> str:
    """Return the name of the mode whose replica would be there, or ""."""
    allowed = max(_AGREEMENT * group.centre_error_eV, rules.phonon_error_eV)
    for j, phonon in enumerate(rules.phonons_eV, start=1):
        if abs(below_eV - phonon) <= allowed:
            return f"LO{j}"
    return ""


def _mode_of_a_part(group: LineGroup, exciton: LineGroup, rules: Rules) -> str:
    """Return the mode of which this may be part of a copy, none where the shape is told."""
    if group.has_shape:
        return ""
    belows = exciton.energy_eV - group.centre_eV
    modes = [_mode(float(below), group, rules) for below in belows]
    return next((mode for mode in modes if mode), "")


def _exceeds(value: tuple[float, float], limit: float) -> bool:
    return value[0] - 2.0 * value[1] > limit


def _in_words(group: LineGroup) -> str:
    words = []
    if group.axes_deg is not None:
        words.append("axes compared")
    if group.power_exponent is not None:
        words.append(f"grows with power to the {group.power_exponent[0]:.2f}")
    if group.with_exciton is not None:
        words.append(f"correlation with X {group.with_exciton[0]:+.2f}")
    return "".join(f", {word}" for word in words)


def _only(
    name: str, fitting: Mapping[int, dict[str, str]], groups: Sequence[LineGroup]
) -> int | None:
    """Return the brightest group that this label fits and no other."""
    sure = [i for i, names in fitting.items() if list(names) == [name]]
    return max(sure, key=lambda i: float(groups[i].area_e.sum())) if sure else None


def _decided(names: Mapping[str, str], group: LineGroup, exciton: LineGroup) -> Label:
    """Return the one label that fits; of several, what only the place supports is not chosen."""
    if not names:
        below = 1e3 * (exciton.centre_eV - group.centre_eV)
        where = f"{abs(below):.2f} meV {'below' if below > 0 else 'above'} X"
        return Label(UNASSIGNED, f"{where}, where no rule has a place for it")
    if len(names) == 1:
        ((name, reason),) = names.items()
        return Label(name, reason)
    shape_speaks = exciton.energy_eV.size > 1 and group.energy_eV.size > 1
    if shape_speaks and "Bx" in names and len(names) == 2:
        # Mirrored and copied look alike only for symmetric splittings; the power decides.
        exponent = group.power_exponent
        if exponent is not None and _exceeds(exponent, _SUPERLINEAR):
            return Label("Bx", names["Bx"], tuple(n for n in names if n != "Bx"))
    return Label(
        UNASSIGNED, f"{' and '.join(names)} fit alike: {'; '.join(names.values())}", tuple(names)
    )

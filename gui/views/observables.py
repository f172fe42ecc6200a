"""What can be drawn against an axis of the sweep: fitted parameters by family, and readings."""

import re
from dataclasses import dataclass

from gui.shown.run_rows import RunRows

__all__ = ["Observable", "observables_of"]

_NUMBERED = re.compile(r"(energy|area)_(\d+)_(\w+)")


@dataclass(frozen=True, slots=True)
class Observable:
    """names: of the parameters, one for each line, or of one reading; drawn times `scale`.

    law_column: the name under which laws know it.
    """

    title: str
    unit: str
    names: tuple[str, ...]
    scale: float = 1.0
    is_reading: bool = False
    law_column: str = ""


def observables_of(rows: RunRows) -> tuple[Observable, ...]:
    """Return what the rows hold, the energies of the lines first."""
    families: dict[str, list[str]] = {}
    single = []
    for name in rows.parameters:
        if found := _NUMBERED.fullmatch(name):
            families.setdefault(f"{found[1]}_{found[3]}", []).append(name)
        else:
            single.append(name)
    lines = [_family(family, tuple(sorted(names))) for family, names in families.items()]
    others = [_single(name) for name in single]
    readings = [
        Observable(channel.removesuffix(f"_{unit}").replace("_", " "), unit, (channel,), 1.0, True)
        for channel, unit in rows.plan.readings.items()
    ]
    lines.sort(key=lambda one: one.law_column != "energy_eV")
    return (*lines, *others, *readings)


def _family(family: str, names: tuple[str, ...]) -> Observable:
    word, _, unit = family.partition("_")
    if word == "energy":
        return Observable("energy of the lines", unit, names, law_column=family)
    return Observable("area of the lines", f"{unit} per frame", names, law_column=family)


def _single(name: str) -> Observable:
    if name.endswith("width_eV"):
        title = "line width" if name == "width_eV" else name.removesuffix("_eV").replace("_", " ")
        return Observable(title, "meV", (name,), 1e3, law_column=name)
    if name.startswith("background_"):
        return Observable(name.replace("_", " "), "counts", (name,))
    word, _, unit = name.rpartition("_")
    return Observable(word.replace("_", " ") or name, unit, (name,), law_column=name)

"""One parameter of the simulated world: its unit and its bounds, declared where it is defined.

A dataclass field made by `number`, `numbers`, `flag` or `choice` is checked whenever the dataclass
is built and when it is overridden from a mapping.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import inf, isfinite
from typing import Any, Protocol, TypeVar

__all__ = [
    "Parameter",
    "Row",
    "check",
    "choice",
    "flag",
    "number",
    "numbers",
    "optional",
    "override",
    "whole",
]

Tree = TypeVar("Tree")
Row = tuple[float, ...]


class Parameter(Protocol):
    """Decides whether a value may stand."""

    def problem(self, value: object) -> str | None:
        """Return what is wrong with the value and what is allowed, or None."""
        ...


@dataclass(frozen=True, slots=True)
class _Number:
    unit: str
    low: float
    high: float
    optional: bool
    whole: bool

    def problem(self, value: object) -> str | None:
        if value is None and self.optional:
            return None
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"{value!r} is not a {'whole ' if self.whole else ''}number ({self._allowed()})"
        if not isfinite(value):
            return f"{value} is not finite ({self._allowed()})"
        if not self.low <= value <= self.high:
            return f"{value} is out of bounds ({self._allowed()})"
        return None

    def _allowed(self) -> str:
        return f"allowed: {self.low:g} to {self.high:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class _Numbers:
    each: _Number

    def problem(self, value: object) -> str | None:
        if not isinstance(value, tuple | list):
            return f"{value!r} is not a list of numbers"
        found = (self.each.problem(item) for item in value)
        return next((problem for problem in found if problem is not None), None)


@dataclass(frozen=True, slots=True)
class _Choice:
    allowed: tuple[str | bool, ...]

    def problem(self, value: object) -> str | None:
        if any(value is item or (isinstance(item, str) and value == item) for item in self.allowed):
            return None
        return f"{value!r} is not one of {', '.join(map(repr, self.allowed))}"


def number(default: float, unit: str = "", low: float = -inf, high: float = inf) -> float:
    """Declare a finite number within [low, high]."""
    return field(default=default, metadata={"parameter": _Number(unit, low, high, False, False)})


def whole(default: int, unit: str = "", low: float = -inf, high: float = inf) -> int:
    """Declare a whole number within [low, high]."""
    return field(default=default, metadata={"parameter": _Number(unit, low, high, False, True)})


def optional(
    default: float | None, unit: str = "", low: float = -inf, high: float = inf
) -> float | None:
    """Declare a number that may be absent."""
    return field(default=default, metadata={"parameter": _Number(unit, low, high, True, False)})


def numbers(default: Row, unit: str = "", low: float = -inf, high: float = inf) -> Row:
    """Declare a list of numbers, each within [low, high]."""
    each = _Number(unit, low, high, False, False)
    return field(default=default, metadata={"parameter": _Numbers(each)})


def flag(default: bool) -> bool:
    """Declare a switch."""
    return field(default=default, metadata={"parameter": _Choice((True, False))})


def choice(default: str, *others: str) -> str:
    """Declare a word out of a few."""
    return field(default=default, metadata={"parameter": _Choice((default, *others))})


def check(instance: Any) -> None:
    """Raise ValueError naming every parameter of a dataclass that is out of its bounds."""
    problems = []
    for item in fields(instance):
        parameter: Parameter | None = item.metadata.get("parameter")
        problem = parameter and parameter.problem(getattr(instance, item.name))
        if problem:
            problems.append(f"{type(instance).__name__}.{item.name}: {problem}")
    if problems:
        raise ValueError("; ".join(problems))


def override(tree: Tree, mapping: Mapping[str, object], path: str = "") -> Tree:
    """Return the dataclass tree with the values of a nested mapping in place of its own.

    Raises ValueError naming key, value and bound of everything that is wrong, all at once.
    """
    problems: list[str] = []
    result = _overridden(tree, mapping, path, problems)
    if problems:
        raise ValueError("\n".join(problems))
    return result


def _overridden(tree: Tree, mapping: object, path: str, problems: list[str]) -> Tree:
    if not isinstance(mapping, Mapping):
        problems.append(f"{path or 'truth'}: {mapping!r} is not a table")
        return tree
    known = {item.name: item for item in fields(tree)}  # type: ignore[arg-type]
    changes: dict[str, object] = {}
    for key, value in mapping.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in known:
            problems.append(f"{where}: unknown key; known are {', '.join(sorted(known))}")
            continue
        present = getattr(tree, key)
        if is_dataclass(present) and not isinstance(present, type):
            changes[key] = _overridden(present, value, where, problems)
            continue
        problem = known[key].metadata["parameter"].problem(value)
        if problem:
            problems.append(f"{where}: {problem}")
        else:
            changes[key] = tuple(value) if isinstance(value, list) else value
    return tree if problems else _rebuilt(tree, changes, path, problems)


def _rebuilt(tree: Tree, changes: dict[str, Any], path: str, problems: list[str]) -> Tree:
    try:
        return replace(tree, **changes)  # type: ignore[type-var]
    except ValueError as error:  # parameters that are good alone and not together
        problems.append(f"{path or 'truth'}: {error}")
        return tree

"""A NeXus tree as plain values: what will be written, without saying how."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Field", "Group", "Node", "nexus_name"]

Attributes = Mapping[str, str | int | float | list[str] | list[int]]


@dataclass(frozen=True, slots=True)
class Field:
    """One dataset. dims names the fields of the same group that label its dimensions."""

    value: Any
    attrs: Attributes = field(default_factory=dict)
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocks:
    """A dataset too large to be held: blocks() yields (where, values) in the order of writing."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[tuple[tuple[int | slice, ...], NDArray[Any]]]]
    attrs: Attributes = field(default_factory=dict)
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One group, with its NeXus class."""

    nx_class: str
    members: "Mapping[str, Node]"
    attrs: Attributes = field(default_factory=dict)


Node = Field | Blocks | Group


def nexus_name(text: str) -> str:
    """Return the text as a valid NeXus name: letters, digits and underscores."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "unnamed"

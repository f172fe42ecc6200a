"""A sweep file that is being edited: its text, what was before, and where it is saved."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gui.sweep_text.toml_text import (
    Place,
    as_list,
    insert_entry,
    move_entry,
    remove,
    set_value,
    value_at,
)

__all__ = ["NEW_SWEEP", "SweepDraft"]

NEW_SWEEP = """\
[sweep]
name = ""
user = ""

[sample]
name = ""
material = ""

[nanocrystal]
id = ""

[optics]
laser_wavelength = "450 nm"
laser_power = "1 uW"
slit = "60 um"
objective = ""
numerical_aperture = 0.7
spectrograph = { grating = 0, centre = "520 nm" }

[[axis]]
quantity = "temperature"
unit = "K"
points = [5.5]

[exposure]
time = "1 s"
"""
LONGEST_HISTORY = 500


@dataclass(frozen=True, slots=True)
class _Version:
    text: str
    change: str  # what led to it, for the undo button


class SweepDraft:
    """The text of a sweep file with undo and redo; plain values, no Qt.

    path: where it was loaded from or saved to; None for a new one.
    """

    def __init__(self, text: str = NEW_SWEEP, path: Path | None = None) -> None:
        self.path = path
        self._history = [_Version(text, "")]
        self._at = 0
        self._typed: Place | None = None  # where somebody is typing
        self._saved = text

    @classmethod
    def load(cls, path: Path) -> "SweepDraft":
        """Read the file as it is. Raises OSError, UnicodeDecodeError."""
        return cls(path.read_bytes().decode("utf-8"), path)

    def save(self, path: Path | None = None) -> None:
        """Write the text, whole or not at all. Raises OSError; then the draft is still unsaved."""
        target = path or self.path
        if target is None:
            raise ValueError("a new sweep needs a file name")
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(self.text.encode("utf-8"))
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        self.path, self._saved = target, self.text

    @property
    def text(self) -> str:
        return self._history[self._at].text

    @property
    def document(self) -> Mapping[str, Any] | None:
        """What the text says, None while it is no TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError:
            return None

    @property
    def is_changed(self) -> bool:
        return self.text != self._saved

    @property
    def undo_change(self) -> str:
        """What undo would take back, "" if there is nothing."""
        return self._history[self._at].change

    @property
    def redo_change(self) -> str:
        rest = self._history[self._at + 1 :]
        return rest[0].change if rest else ""

    def undo(self) -> None:
        self._at, self._typed = max(0, self._at - 1), None

    def redo(self) -> None:
        self._at, self._typed = min(len(self._history) - 1, self._at + 1), None

    def value(self, place: Place) -> Any:
        """Return what the file says there, None where it says nothing or is no TOML."""
        document = self.document
        return None if document is None else value_at(document, place)

    def set(self, place: Place, value: object, *, is_typing: bool = False) -> None:
        """Write the value there, or take the key away where value is None. Raises EditError.

        is_typing: what is typed into one place until `end_typing` is one change for undo.
        """
        edit = partial(remove, place=place)
        if value is not None:
            edit = partial(set_value, place=place, value=value)
        self._edit(str(place[-1]), edit, typed=place if is_typing else None)

    def set_all(self, values: Mapping[Place, object], change: str) -> None:
        """Write several values as one change. Raises EditError."""

        def with_values(text: str) -> str:
            for place, value in values.items():
                text = remove(text, place) if value is None else set_value(text, place, value)
            return text

        self._edit(change, with_values)

    def write(self, text: str) -> None:
        """Replace the whole text, as somebody who types it does."""
        self._edit("text", lambda _: text, typed=())

    def end_typing(self) -> None:
        """Let what is typed next be a change of its own."""
        self._typed = None

    def add(self, place: Place, entry: Mapping[str, object]) -> None:
        """Put an entry at the end of the list there, which may be a single section so far."""
        is_single = isinstance(self.value(place), Mapping)

        def with_entry(text: str) -> str:
            return insert_entry(as_list(text, place) if is_single else text, place, entry)

        self._edit(f"add {place[-1]}", with_entry)

    def remove(self, place: Place) -> None:
        """Take a section or entry away. Raises EditError."""
        last = place[-1]
        name = f"{place[-2]} {last + 1}" if isinstance(last, int) else last
        self._edit(f"remove {name}", partial(remove, place=place))

    def move(self, place: Place, number: int, to: int) -> None:
        """Move an entry of the list there; positions outside are left alone. Raises EditError."""
        entries = self.value(place) or ()
        if number != to and 0 <= number < len(entries) and 0 <= to < len(entries):
            moved = partial(move_entry, place=place, number=number, to=to)
            self._edit(f"move {place[-1]} {number + 1}", moved)

    def _edit(self, change: str, edit: Callable[[str], str], typed: Place | None = None) -> None:
        goes_on = typed is not None and typed == self._typed and self._at > 0
        kept = self._history[: self._at if goes_on else self._at + 1]
        before, text = kept[-1].text, edit(kept[-1].text)
        if text == before and not goes_on:
            return  # what was undone can still be redone
        if text != before:
            kept.append(_Version(text, change))
        self._history = kept[-LONGEST_HISTORY:]
        self._at = len(self._history) - 1
        self._typed = typed if text != before else None

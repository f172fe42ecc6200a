"""Where things stand in the text of a TOML file: its headers and assignments, in order."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["EditError", "Layout", "Place", "Statement", "comments", "shown", "starts"]

Place = tuple[str | int, ...]  # keys, and positions in lists: ("axis", 0, "points")

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_HEADER = re.compile(rf"(\[\[?)[ \t]*({_KEY.pattern})[ \t]*\]\]?")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_REST_OF_LINE = re.compile(r"[ \t]*(#[^\n]*)?\r?(?:\n|$)")
_STRING = r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\''''
_TOKEN = re.compile(rf"(?P<text>{_STRING})|(?P<comment>#[^\n]*)|(?P<bracket>[\[\]{{}}])", re.DOTALL)
_COMMENT = re.compile(rf"(?:{_STRING})|(#[^\n]*)", re.DOTALL)
_SCALAR = re.compile(r"[^#\r\n]*[^#\s]")
_AT_LINE = re.compile(r"\(at line (\d+),")  # as tomllib says it
_INDENT = re.compile(r"[ \t]*")


class EditError(ValueError):
    """The text cannot be changed this way without harm; it is as it was.

    line: of the mistake, counted from 1, where it is known; else 0.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = _AT_LINE.search(message)
        self.line = int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Statement:
    """A header or an assignment: where it stands and what it is about.

    start, end: whole lines. value: span of what is assigned; () for a header.
    """

    place: Place
    start: int
    end: int
    value: tuple[int, int] | tuple[()] = ()
    comment: str = ""


class Layout:
    """The text of a TOML file, what it says, and where. Raises EditError for what is not TOML."""

    def __init__(self, text: str) -> None:
        try:
            self.document: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise EditError(f"mend the text first: {error}") from error
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.statements = tuple(_statements(text))
        self.headers = tuple(s for s in self.statements if not s.value)

    def assignment(self, place: Place) -> Statement | None:
        """Return the assignment whose value is, or holds, what stands at this place."""
        found = (s for s in self.statements if s.value and starts(place, s.place))
        return next(found, None)

    def header(self, place: Place) -> Statement | None:
        """Return the header of exactly this section."""
        return next((s for s in self.headers if s.place == place), None)

    def end_of(self, place: Place) -> int:
        """Return where the last line of all that belongs to the place ends; 0 without any."""
        return max((s.end for s in self.statements if starts(s.place, place)), default=0)

    def last_of_section(self, header: Statement) -> Statement:
        """Return the last assignment below this header, or the header."""
        last = header
        for statement in self.statements[self.statements.index(header) + 1 :]:
            if not statement.value:
                break
            last = statement
        return last

    def spans(self, place: Place) -> list[tuple[int, int]]:
        """Return the lines of a section or entry, each from the comments right above its header to
        those above the next. Raises EditError if it has no header."""
        borders = [*(self.with_comment_above(s.start) for s in self.headers), len(self.text)]
        found: list[tuple[int, int]] = []
        for header, (start, end) in zip(self.headers, pairwise(borders), strict=True):
            if not starts(header.place, place):
                continue
            if found and found[-1][1] == start:
                start = found.pop()[0]  # noqa: PLW2901 - one span of both
            found.append((start, end))
        if not found:
            raise EditError(f"{shown(place)} has no section of its own")
        return found

    def with_comment_above(self, start: int) -> int:
        """Return where the comment lines begin that stand right above this line."""
        while start > 0:
            above = self.text.rfind("\n", 0, start - 1) + 1
            if not self.text[above:start].lstrip().startswith("#"):
                break
            start = above
        return start


def starts(place: Place, beginning: Place) -> bool:
    return place[: len(beginning)] == beginning


def shown(place: Place) -> str:
    """Return the place as a person counts: axis[2].points."""
    steps = (f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".")


def comments(text: str) -> list[str]:
    """Return every comment of valid TOML, sorted."""
    return sorted(match[1].rstrip() for match in _COMMENT.finditer(text) if match[1] is not None)


def _statements(text: str) -> Iterator[Statement]:
    section: Place = ()
    lengths: dict[Place, int] = {}
    position = 0
    while position < len(text):
        at = _matched(_INDENT, text, position).end()
        header = _HEADER.match(text, at)
        if at >= len(text) or text[at] in "#\r\n":
            position = _end_of_line(text, at)
        elif header is not None:
            section = _opened(header, lengths)
            end = _end_of_line(text, header.end())
            yield Statement(section, position, end)
            position = end
        else:
            statement = _assignment(text, position, at, section)
            yield statement
            position = statement.end


def _opened(header: re.Match[str], lengths: dict[Place, int]) -> Place:
    """Return the section that a header opens; counts the entries of lists."""
    section = _resolved(_names(header[2]), lengths)
    if header[1] == "[":
        return section
    lengths[section] = lengths.get(section, 0) + 1
    return (*section, lengths[section] - 1)


def _resolved(names: tuple[str, ...], lengths: Mapping[Place, int]) -> Place:
    """Return where a header leads: into the last entry of every list on the way."""
    place: Place = ()
    for index, name in enumerate(names):
        place = (*place, name)
        if place in lengths and index < len(names) - 1:
            place = (*place, lengths[place] - 1)
    return place


def _assignment(text: str, start: int, at: int, section: Place) -> Statement:
    key = _matched(_KEY, text, at)
    begin = _matched(_EQUALS, text, key.end()).end()
    stop = _end_of_value(text, begin)
    rest = _matched(_REST_OF_LINE, text, stop)
    comment = (rest[1] or "").rstrip()
    return Statement((*section, *_names(key[0])), start, rest.end(), (begin, stop), comment)


def _names(key: str) -> tuple[str, ...]:
    """Return the names of a dotted key, quotes taken off."""
    node: Any = tomllib.loads(f"{key} = 0")
    names = []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        names.append(name)
    return tuple(names)


def _end_of_line(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _end_of_value(text: str, start: int) -> int:
    first = _TOKEN.match(text, start)
    if first is None:
        return _matched(_SCALAR, text, start).end()
    if first["bracket"] is None:
        return first.end()
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token["bracket"] is not None:
            depth += 1 if token["bracket"] in "[{" else -1
        if depth == 0:
            return token.end()
    raise EditError(f"a bracket stays open at {text[start : start + 40]!r}")


def _matched(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    match = pattern.match(text, at)
    if match is None:
        raise EditError(f"the text at {text[at : at + 40]!r} can only be changed by hand")
    return match

"""Change one thing in the text of a TOML file and leave the rest as the person wrote it.

Text in, text out: comments, blank lines, order and number formats stay. Every result is read again
and compared with what was meant, so an edit does exactly that or is refused with EditError.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date, time
from typing import Any

from gui.sweep_text.toml_layout import EditError, Layout, Place, Statement, comments, shown

__all__ = [
    "EditError",
    "Place",
    "as_list",
    "insert_entry",
    "move_entry",
    "remove",
    "set_value",
    "toml_value",
    "value_at",
]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def value_at(document: Mapping[str, Any], place: Place) -> Any:
    """Return what stands there, None where nothing does."""
    node: Any = document
    for step in place:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def toml_value(value: object) -> str:
    """Return the value as TOML on one line. Raises EditError for what TOML does not know."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case dict():
            inside = ", ".join(f"{_key(key)} = {toml_value(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
    raise EditError(f"TOML has no value for {value!r}")


def set_value(text: str, place: Place, value: object) -> str:
    """Return the text with this value there; a section that is missing is added."""
    layout = Layout(text)
    if _is_same(value_at(layout.document, place), value):
        return text
    expected = deepcopy(layout.document)
    _assign(expected, place, value)
    assignment = layout.assignment(place)
    if assignment is not None:
        new = _with_value(layout, assignment, expected)
    else:
        new = _with_new_key(layout, place, value)
    return _checked(text, new, expected)


def remove(text: str, place: Place) -> str:
    """Return the text without this key, section or entry.

    The comment behind a value stays, on a line of its own; those of a section go with it.
    """
    layout = Layout(text)
    if value_at(layout.document, place) is None:
        return text
    expected = deepcopy(layout.document)
    del value_at(expected, place[:-1])[place[-1]]
    assignment = layout.assignment(place)
    if assignment is None:
        _forget_empty_list(expected, place)
        return _checked(text, _without_section(layout, place), expected, loses_comments=True)
    if assignment.place == place:
        return _checked(text, _without_line(layout, assignment), expected)
    return _checked(text, _with_value(layout, assignment, expected), expected)


def insert_entry(text: str, place: Place, entry: Mapping[str, object]) -> str:
    """Return the text with one more entry at the end of the list there, which may be new."""
    layout = Layout(text)
    expected = deepcopy(layout.document)
    if value_at(expected, place) is None:
        _assign(expected, place, [])
    entries = value_at(expected, place)
    if not isinstance(entries, list):
        raise EditError(f"{shown(place)} is no list")
    entries.append(dict(entry))
    assignment = layout.assignment(place)
    if assignment is not None:
        return _checked(text, _with_value(layout, assignment, expected), expected)
    lines = [f"[[{_dotted(place)}]]"]
    lines += [f"{_key(key)} = {toml_value(value)}" for key, value in entry.items()]
    return _checked(text, _with_section(layout, layout.end_of(place), lines), expected)


def move_entry(text: str, place: Place, number: int, to: int) -> str:
    """Return the text with that entry of a list at another position, its comments with it."""
    layout = Layout(text)
    expected = deepcopy(layout.document)
    entries = value_at(expected, place)
    entries.insert(to, entries.pop(number))
    assignment = layout.assignment(place)
    if assignment is not None:
        return _checked(text, _with_value(layout, assignment, expected), expected)
    spans = [layout.spans((*place, index)) for index in range(len(entries))]
    if any(len(parts) != 1 for parts in spans):
        raise EditError(f"the parts of an entry of {shown(place)} do not stand together")
    order = list(range(len(entries)))
    order.insert(to, order.pop(number))
    return _checked(text, _reordered(layout, [parts[0] for parts in spans], order), expected)


def as_list(text: str, place: Place) -> str:
    """Return the text with the single section there written as a list of one entry."""
    layout = Layout(text)
    expected = deepcopy(layout.document)
    single = value_at(expected, place)
    if isinstance(single, list):
        return text
    _assign(expected, place, [single])
    assignment, header = layout.assignment(place), layout.header(place)
    if assignment is not None:
        return _checked(text, _with_value(layout, assignment, expected), expected)
    if header is None:
        raise EditError(f"{shown(place)} has no section of its own")
    line = text[header.start : header.end]
    doubled = line.replace("[", "[[", 1)[::-1].replace("]", "]]", 1)[::-1]
    return _checked(text, text[: header.start] + doubled + text[header.end :], expected)


def _is_same(present: object, value: object) -> bool:
    """Return whether both are the same TOML: 1, 1.0 and true are not."""
    return present is not None and toml_value(present) == toml_value(value)


def _with_value(layout: Layout, assignment: Statement, expected: Mapping[str, Any]) -> str:
    assert assignment.value  # noqa: S101 - of a header there is none
    start, stop = assignment.value
    value = toml_value(value_at(expected, assignment.place))
    return layout.text[:start] + value + layout.text[stop:]


def _with_new_key(layout: Layout, place: Place, value: object) -> str:
    section, key = place[:-1], place[-1]
    if not isinstance(key, str):
        raise EditError(f"{shown(place)} is not there")
    line = f"{_key(key)} = {toml_value(value)}"
    header = layout.header(section)
    if not section or header is not None:
        end = layout.last_of_section(header).end if header else _end_of_head(layout)
        return _put(layout, end, [line])
    if layout.end_of(section):
        # only its inner sections have headers: its own goes before the first of them
        at = next(start for start, _ in layout.spans(section))
        return _put(layout, at, [f"[{_dotted(section)}]", line, ""])
    if isinstance(section[-1], int):
        raise EditError(f"{shown(section)} is not there")
    if layout.header(section[:-1]) is not None and isinstance(section[-2], int):
        return _with_new_key(layout, section, {key: value})  # inline, within its entry
    at = layout.end_of(section[:-1]) if section[:-1] else 0
    return _with_section(layout, at, [f"[{_dotted(section)}]", line])


def _end_of_head(layout: Layout) -> int:
    """Return where the assignments before the first header end."""
    head = [s.end for s in layout.statements if s.value and len(s.place) == 1]
    first = layout.headers[0].start if layout.headers else len(layout.text)
    return max((end for end in head if end <= first), default=0)


def _with_section(layout: Layout, at: int, lines: Sequence[str]) -> str:
    """Put a section there, or at the end where `at` is 0, a blank line apart from the others."""
    at = at or len(layout.text)
    lead = [""] if layout.text[:at].strip() else []
    below = layout.text[at:]
    tail = [""] if below.strip() and below.lstrip(" \t")[:1] not in "\r\n" else []
    return _put(layout, at, [*lead, *lines, *tail])


def _put(layout: Layout, at: int, lines: Sequence[str]) -> str:
    before = layout.text[:at]
    if before and not before.endswith("\n"):
        before += layout.newline
    return before + "".join(line + layout.newline for line in lines) + layout.text[at:]


def _without_line(layout: Layout, assignment: Statement) -> str:
    kept = assignment.comment + layout.newline if assignment.comment else ""
    return layout.text[: assignment.start] + kept + layout.text[assignment.end :]


def _without_section(layout: Layout, place: Place) -> str:
    text = layout.text
    for start, end in reversed(layout.spans(place)):
        text = text[:start] + text[end:]
    return text


def _reordered(layout: Layout, spans: Sequence[tuple[int, int]], order: Sequence[int]) -> str:
    """Put the blocks into another order; the blank lines between the positions stay."""
    blocks = [layout.text[start:end] for start, end in spans]
    pieces, position = [], 0
    for (start, end), old, index in zip(spans, blocks, order, strict=True):
        gap = old[len(old.rstrip()) :] or layout.newline
        pieces += [layout.text[position:start], blocks[index].rstrip(), gap]
        position = end
    return "".join([*pieces, layout.text[position:]])


def _checked(
    before: str, after: str, expected: Mapping[str, Any], *, loses_comments: bool = False
) -> str:
    try:
        is_meant = tomllib.loads(after) == expected
    except tomllib.TOMLDecodeError:
        is_meant = False
    if not is_meant:
        raise EditError("this file is laid out so that only its text can be edited")
    if not loses_comments and comments(before) != comments(after):
        raise EditError("a comment within this value would be lost: edit the text")
    return after


def _assign(document: dict[str, Any], place: Place, value: object) -> None:
    node: Any = document
    for step in place[:-1]:
        node = node.setdefault(step, {}) if isinstance(node, dict) else _entry(node, step, place)
    last = place[-1]
    if isinstance(node, dict) or _entry(node, last, place) is not None:
        node[last] = value


def _entry(node: object, step: str | int, place: Place) -> Any:
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    raise EditError(f"{shown(place)} is not there")


def _forget_empty_list(document: dict[str, Any], place: Place) -> None:
    """Without its last header a list is not there at all."""
    if value_at(document, place[:-1]) == []:
        del value_at(document, place[:-2])[place[-2]]


def _dotted(place: Place) -> str:
    return ".".join(_key(step) for step in place if isinstance(step, str))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)

"""The fields of a sweep file as its model defines them, and how a person writes each of them.

Nothing about particular keys stands here: a key that the sweep file learns shows in the editor.
"""

import tomllib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from acquisition.configuration.config_model import Zone
from acquisition.configuration.quantity import unit_of
from acquisition.configuration.sweep_file import SweepConfig
from gui.sweep_text.toml_text import EditError, toml_value

__all__ = ["SECTIONS", "Field", "Kind", "Section", "shown", "written"]


class Kind(Enum):
    """How a field is written."""

    TEXT = "text"
    QUANTITY = "quantity"
    NUMBER = "number"
    CHOICE = "choice"
    LIST = "list"
    POINTS = "points"


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a section.

    choices: values by the text that stands for them. options: what a list may hold.
    default: what holds without the key, as it would be written.
    """

    key: str
    kind: Kind
    unit: str
    choices: Mapping[str, object]
    options: tuple[str, ...]
    default: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file; is_rows: may be several, and of_zones: each up to a temperature."""

    key: str
    fields: tuple[Field, ...]
    sections: tuple["Section", ...] = ()
    is_rows: bool = False
    of_zones: bool = False
    is_required: bool = True


def shown(value: object, field: Field) -> str:
    """Return the value as a person writes it into its field; `written` gives the value back."""
    if value is None:
        return ""
    for text, choice in field.choices.items():
        if choice == value and type(choice) is type(value):
            return text
    if isinstance(value, str):
        return value
    if field.kind is Kind.LIST and isinstance(value, list) and value and all(map(_is_plain, value)):
        return ", ".join(map(str, value))
    try:
        return toml_value(value)
    except EditError:
        return repr(value)


def written(text: str, field: Field) -> object:
    """Return the value that the text stands for; None if it is empty: the key is left out.

    What is no value of the field is kept as it is: the check says what is wrong with it.
    """
    text = text.strip()
    if not text:
        return None
    if text in field.choices:
        return field.choices[text]
    match field.kind:
        case Kind.NUMBER:
            return _number(text)
        case Kind.POINTS:
            return _toml(text) if text[0] in "[{" else _whole_number(text, field)
        case Kind.LIST:
            return _toml(text) if text[0] == "[" else [part.strip() for part in text.split(",")]
    return text


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, str)
        and value == value.strip() != ""
        and "," not in value
        and (value[0] not in "[{")
    )


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _whole_number(text: str, field: Field) -> object:
    """An axis without a unit only counts; with one, plain text is a list of segments."""
    return int(text) if field.unit == "" and text.isascii() and text.isdigit() else text


def _toml(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sections(model: type[BaseModel]) -> Iterator[Section]:
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None:
            yield _section(info.alias or name, inner, info)


def _section(key: str, model: type[BaseModel], info: FieldInfo) -> Section:
    of_zones = issubclass(model, Zone)
    return Section(
        key=key,
        fields=tuple(_fields(model)),
        sections=tuple(_sections(model)),
        is_rows=of_zones or get_origin(info.annotation) is tuple,
        of_zones=of_zones,
        is_required=info.is_required(),
    )


def _fields(model: type[BaseModel]) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        if _model_in(info.annotation) is None:
            yield _field(name, info)


def _field(name: str, info: FieldInfo) -> Field:
    kinds = tuple(_plain_types(info.annotation))
    unit, choices, items = _unit(name), _choices(kinds), _items(kinds)
    field = Field(
        key=info.alias or name,
        kind=_kind(name, kinds, unit, choices, info),
        unit=unit,
        choices=choices,
        options=tuple(_choices(items)),
        default="",
        is_required=info.is_required(),
    )
    return replace(field, default=_default(info, field))


def _kind(
    name: str, kinds: tuple[Any, ...], unit: str, choices: Mapping[str, object], info: FieldInfo
) -> Kind:
    if name == "points":
        return Kind.POINTS
    if choices:
        return Kind.CHOICE
    if _items(kinds):
        return Kind.LIST
    if unit or _is_read_from_text((info.annotation, *info.metadata)):
        return Kind.QUANTITY
    return Kind.NUMBER if {int, float} & set(kinds) else Kind.TEXT


def _is_read_from_text(parts: tuple[Any, ...]) -> bool:
    """Return whether a validator reads the value, as it does for quantities in an axis's unit."""
    return any(
        isinstance(part, BeforeValidator)
        or _is_read_from_text((*get_args(part), *getattr(part, "__metadata__", ())))
        for part in parts
    )


def _items(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types of what a list holds."""
    lists = (get_args(kind) for kind in kinds if get_origin(kind) is tuple)
    return tuple(item for items in lists for item in items if item is not ...)


def _default(info: FieldInfo, field: Field) -> str:
    value = info.default
    if info.is_required() or value in (None, "", ()):
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if field.kind is Kind.QUANTITY and isinstance(value, float):
        return f"{value:g} {field.unit}" if value < float("inf") else ""
    return shown(list(value) if isinstance(value, tuple) else value, field)


def _choices(kinds: tuple[Any, ...]) -> dict[str, object]:
    choices: dict[str, object] = {}
    for kind in kinds:
        if get_origin(kind) is Literal:
            choices |= {str(choice): choice for choice in get_args(kind)}
        elif kind is bool:
            choices |= {"yes": True, "no": False}
        elif isinstance(kind, type) and issubclass(kind, Enum):
            choices |= {str(member.value): member.value for member in kind}
    return choices


def _plain_types(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of a type, without None and what is annotated to it."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _plain_types(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _plain_types(get_args(annotation)[0])
    elif annotation is not type(None):
        yield annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation) if not isinstance(part, str))
    return next((model for model in found if model is not None), None)


def _unit(name: str) -> str:
    try:
        return unit_of(name)
    except KeyError:
        return ""


SECTIONS: tuple[Section, ...] = tuple(_sections(SweepConfig))

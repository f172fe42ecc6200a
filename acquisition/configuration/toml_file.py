"""Read one TOML file into its model, and keep what is sound when something is not.

A mistake in one section must not hide the mistakes of the others, nor those that only show when
both files are seen together: so the sections without mistakes are returned beside the problems.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from acquisition.configuration.config_error import Problem
from acquisition.configuration.config_model import ConfigModel

__all__ = ["Parsed", "parse_toml", "read_toml"]

ModelT = TypeVar("ModelT", bound=ConfigModel)
Location = tuple[int | str, ...]
LONGEST_FOUND = 80


@dataclass(frozen=True, slots=True)
class Parsed(Generic[ModelT]):
    """A file's content, without what is faulty.

    sound: sections without a mistake. present: those that the content has at all, so also lists
    of which some entries are sound.
    """

    content: ModelT
    sound: frozenset[str]
    problems: tuple[Problem, ...]
    text: str = ""

    @property
    def present(self) -> frozenset[str]:
        return frozenset(vars(self.content))


def read_toml(path: Path, model: type[ModelT]) -> Parsed[ModelT]:
    """Read the file; a missing or unreadable one is a problem like any other."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        allowed = "an existing, readable TOML file in UTF-8"
        return _nothing(model, Problem(path.name, "the file", f"{path}: {error}", allowed))
    return parse_toml(text, model, file=path.name, folder=path.parent)


def parse_toml(text: str, model: type[ModelT], *, file: str, folder: Path) -> Parsed[ModelT]:
    """Read the text of a file of that name, whose relative paths start at that folder."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _nothing(model, Problem(file, "TOML syntax", str(error), "valid TOML"))
    context = {"folder": folder}
    try:
        content = model.model_validate(document, context=context)
    except ValidationError as error:
        errors = [details for details in error.errors() if not _is_echo(details)]
        problems = tuple(_problem(details, document, model, file) for details in errors)
        return _sound_part(model, document, errors, problems, context)
    return Parsed(content, frozenset(model.model_fields), (), text)


def _nothing(model: type[ModelT], problem: Problem) -> Parsed[ModelT]:
    return Parsed(_partial(model, {}), frozenset(), (problem,))


def _is_echo(error: ErrorDetails) -> bool:
    """A list whose entries are all wrong is also reported as empty; once is enough."""
    return error["type"] == "too_short" and bool(error["input"])


def _problem(
    error: ErrorDetails, document: Mapping[str, Any], model: type[BaseModel], file: str
) -> Problem:
    context = error.get("ctx", {})
    found = context.get("found") or _shown(error["input"])
    allowed = context.get("allowed") or error["msg"].removeprefix("Input should be ")
    if error["type"] == "missing":
        found, allowed = "nothing", "required"
    elif error["type"] == "extra_forbidden":
        found, allowed = "an unknown key", _known_keys(model, error["loc"])
    elif error["type"] == "too_short":
        found, allowed = "an empty list", "at least one"
    elif error["type"] == "string_too_short":
        found, allowed = "nothing", "a text"
    return Problem(file, _key(error["loc"], document), found, allowed)


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_FOUND else text[: LONGEST_FOUND - 3] + "..."


def _known_keys(model: type[BaseModel], location: Location) -> str:
    *sections, key = location
    keys = _keys(_model_at(model, sections))
    meant = get_close_matches(str(key), keys, n=1)
    known = "one of " + ", ".join(keys)
    return f"{known}; did you mean {meant[0]}?" if meant else known


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    for step in location:
        for name, field in model.model_fields.items():
            if step == (field.alias or name):
                model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _key(location: Location, document: Mapping[str, Any]) -> str:
    """Return the place as a person finds it: axis[temperature].points, fit.model[2].lines."""
    key = ""
    node: Any = document
    for step in location:
        if isinstance(step, str):
            key += f".{step}" if key else step
            node = node.get(step) if isinstance(node, dict) else None
        elif isinstance(node, list):
            node = node[step] if step < len(node) else None  # one that is missing
            name = node.get("quantity") if isinstance(node, dict) else None
            key += f"[{name if isinstance(name, str) else step + 1}]"
    return key


def _sound_part(
    model: type[ModelT],
    document: Mapping[str, Any],
    errors: Sequence[ErrorDetails],
    problems: tuple[Problem, ...],
    context: Mapping[str, Any],
) -> Parsed[ModelT]:
    faulty = {str(error["loc"][0]) for error in errors if error["type"] != "extra_forbidden"}
    sections = _without(document, {_smallest_faulty_part(error, model) for error in errors})
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if sections.get(name, []) != []:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            values[name] = adapter.validate_python(sections[name], context=dict(context))
        elif name not in faulty and not field.is_required():
            values[name] = field.get_default(call_default_factory=True, validated_data=values)
    return Parsed(_partial(model, values), frozenset(values) - faulty, problems)


def _partial(model: type[ModelT], sections: Mapping[str, Any]) -> ModelT:
    """Return a model that has these sections and, unlike model_construct's, no others."""
    content = model.model_construct(**sections)
    for name in model.model_fields.keys() - sections.keys():
        vars(content).pop(name, None)
    return content


def _smallest_faulty_part(error: ErrorDetails, model: type[ConfigModel]) -> Location:
    """Return what to leave out so that the rest can be judged: a key, an entry or a section."""
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        return location
    return location[:2] if location[0] in model.independent_entries else location[:1]


def _without(node: Any, parts: set[Location], place: Location = ()) -> Any:
    if isinstance(node, list):
        kept = [(index, entry) for index, entry in enumerate(node) if (*place, index) not in parts]
        return [_without(entry, parts, (*place, index)) for index, entry in kept]
    if not isinstance(node, dict):
        return node
    # (0, key): in a table of one row that is written as a single section
    kept_keys = [key for key in node if not {(*place, key), (*place, 0, key)} & parts]
    return {key: _without(node[key], parts, (*place, key)) for key in kept_keys}

"""The reference names every command, option, key and exit code there is, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import acquisition.cli as command_line
from acquisition.command_line import console
from acquisition.configuration.axis_config import AxisConfig, SettleConfig
from acquisition.configuration.station_file import CryostatZone, Grating, StationConfig
from acquisition.configuration.sweep_file import (
    ExposureZone,
    FitZone,
    SpectrographZone,
    SweepConfig,
)

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
ZONES = (CryostatZone, Grating, ExposureZone, FitZone, SpectrographZone, AxisConfig, SettleConfig)


def words(page: str) -> set[str]:
    """Return what stands in code marks on the page, and each word of it."""
    marked = re.findall(r"`([^`\n]+)`", (REFERENCE / page).read_text(encoding="utf-8"))
    return {word for text in marked for word in re.findall(r"-{0,2}[A-Za-z_][\w-]*", text)}


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the model and all models of its fields."""
    yield model
    for field in model.model_fields.values():
        for part in _models(field.annotation):
            yield from sections(part)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("page", "file"), [("station-file.md", StationConfig), ("sweep-file.md", SweepConfig)]
)
def test_every_key_of_a_file_is_explained(page: str, file: type[BaseModel]) -> None:
    known = {key for section in sections(file) for key in keys(section)}

    assert known - words(page) == set()
    assert len(known) > 30


def test_keys_that_must_be_given_are_bold_and_others_show_what_holds_without_them() -> None:
    texts = {page: (REFERENCE / page).read_text() for page in ("station-file.md", "sweep-file.md")}
    wrong = [
        f"{page}: {key}"
        for page, file in (("station-file.md", StationConfig), ("sweep-file.md", SweepConfig))
        for section in sections(file)
        if section not in (file, *ZONES)
        for key, field in keys(section).items()
        if (f"**`{key}`**" in texts[page]) != field.is_required()
        and not _shares_its_name(key, field, file)
    ]

    assert wrong == []


def _shares_its_name(key: str, field: FieldInfo, file: type[BaseModel]) -> bool:
    """Whether another section has this key and differs in whether it must be given."""
    others = [keys(section)[key] for section in sections(file) if key in keys(section)]
    return len({other.is_required() for other in others}) > 1


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    """Yield all commands by name, those of a group too."""
    for name, command in getattr(group, "commands", {}).items():
        yield name, command
        yield from _commands(command)


def test_every_command_and_option_is_explained_and_none_is_invented() -> None:
    commands = dict(_commands(typer.main.get_command(command_line.app)))
    options = {
        name
        for command in commands.values()
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--") and name != "--help"
    }
    written = words("commands.md")

    assert set(commands) - written == set()
    assert {word for word in written if word.startswith("--")} - {"--help"} == options


def test_every_exit_code_is_explained() -> None:
    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    codes = {value for name, value in vars(console).items() if name.startswith("EXIT_")}

    assert explained == codes | {0}

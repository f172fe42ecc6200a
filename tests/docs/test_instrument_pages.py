"""Every model has a page, with a station entry that its own driver accepts."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from drivers.registry import known_models, model

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "instruments"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
PARTS = ["Wiring", "On the instrument itself", "Station entry", "Limits and traps", "Not tried"]


def named(text: str) -> set[str]:
    return {name for name in re.findall(r"`(\w+\.\w+)`", text) if name in known_models()}


def test_every_model_is_on_one_page_and_in_the_index() -> None:
    introduced = [
        name for page in PAGES for name in named(page.read_text(encoding="utf-8").split("##")[0])
    ]
    assert sorted(introduced) == known_models()
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {name for name in known_models() if name in index} == set(known_models())
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    assert "tried on hardware" in text.rpartition("## Not tried")[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_of_an_entry_are_settings_of_the_driver(page: Path) -> None:
    (entry,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for section in tomllib.loads(entry).values():
        config = model(section["model"]).config
        options = section.get("options", {})
        assert set(options) <= {field.name for field in fields(config)}
        config(**options)

"""The pictures of the window in the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_BYTES = 8_000_000  # all of them, in a clone


def test_every_picture_is_linked_and_every_link_has_its_picture_and_all_are_small() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    linked = {
        (page.parent / name).resolve()
        for page in pages
        for name in re.findall(r"\(([^()\s]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    there = {file.resolve() for file in (ROOT / "docs" / "images").rglob("*.png")}

    assert linked == there
    assert sum(file.stat().st_size for file in there) < MOST_BYTES

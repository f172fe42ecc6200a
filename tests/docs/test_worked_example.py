"""The worked example of adding an instrument: its files, added to a copy of the program, work."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-an-instrument.md"
FILE = re.compile(r"`(\w+/[\w/.]+\.py)`[^`]*```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATCH = re.compile(r"`(\w+/\w+\.py)`:\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"```text\n(\[gauge\]\n.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("acquisition", "analysis", "drivers", "gui", "simulators", "tests/contracts")
SINGLE = ("pyproject.toml", "tests/conftest.py", "tests/drivers/conftest.py")


def patched(text: str, patch: str) -> str:
    """Return a text with a patch: + goes after the line above it, or takes the place of -."""
    above, was = "", ""
    for line in patch.splitlines(keepends=True):
        sign, rest = line[0], line[1:]
        if sign != "+":
            assert text.count(rest) == 1, f"{rest!r} is there {text.count(rest)} times"
            above = rest
        else:
            text = text.replace(above, rest if was == "-" else above + rest)
        was = sign
    return text


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program with the files of the page."""
    for folder in COPIED:
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "tests" / "drivers").mkdir()
    for name in SINGLE:
        shutil.copy(ROOT / name, tmp_path / name)
    page = PAGE.read_text(encoding="utf-8")
    for name, content in FILE.findall(page):
        assert not (ROOT / name).exists()
        (tmp_path / name).write_text(content, encoding="utf-8")
    ((name, patch),) = PATCH.findall(page)
    before = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(patched(before, patch), encoding="utf-8")
    return tmp_path


def python(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=program, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_example_passes_its_own_test_and_all_of_conformance(program: Path) -> None:
    told = python(
        program, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider",
        "tests/drivers/test_driver_mks.py", "tests/contracts", "-k", "mks",
    )  # fmt: skip

    passed = re.search(r"(\d+) passed, \d+ deselected", told)
    assert passed is not None, told
    # its own four, and what runs over every model in process, over TCP and on a pseudo-terminal
    assert int(passed[1]) > 60


def test_the_entry_of_the_example_is_a_station_s_and_the_gauge_answers(program: Path) -> None:
    (entry,) = ENTRY.findall(PAGE.read_text(encoding="utf-8"))
    station = (ROOT / "examples" / "station_simulated.toml").read_text(encoding="utf-8")
    simulated = re.sub(r'address = ".*"', 'address = "sim://gauge"', entry)
    (program / "station.toml").write_text(f"{station}\n{simulated}", encoding="utf-8")

    told = python(
        program, "-c", "from acquisition.cli import main; main()",
        "devices", "test", "gauge", "--station", "station.toml",
    )  # fmt: skip

    assert "MKS Instruments 979B, serial 1100001234" in told
    assert "channel  pressure_mbar = 2e-06 mbar  ok" in told

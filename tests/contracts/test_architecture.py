"""The rules of the house hold, and each of them would be noticed if it did not."""

import ast
import builtins
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Collection, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("acquisition", "analysis", "drivers", "gui", "simulators")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).glob("**/*.py"))

# Where real time may be read: the clock, and the simulators that serve sockets.
CLOCKS = {"drivers/clock.py", "simulators/shell_clock.py"}
CLOCK_CALLS = {
    "time.sleep",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
SEEDED_WHEN_GIVEN_A_SEED = {
    "random.Random",
    "numpy.random.default_rng",
    "numpy.random.SeedSequence",
    "numpy.random.PCG64",
}
SAFE_OF_NUMPY_RANDOM = {"numpy.random.Generator", "numpy.random.BitGenerator"}
CODE_FROM_TEXT = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load"}
CODE_FROM_BYTES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}


def clock_uses(tree: ast.AST) -> list[str]:
    """Return what reads or passes real time."""
    return [name for name, _ in _names(tree) if name in CLOCK_CALLS]


def unseeded_randomness(tree: ast.AST) -> list[str]:
    """Return what draws from a generator that nobody seeded."""
    return [name for name, node in _names(tree) if _is_random(name) and not _is_seeded(name, node)]


def code_from_text(tree: ast.AST) -> list[str]:
    """Return what turns a file into code."""
    called = [name for name, node in _names(tree) if name in CODE_FROM_TEXT and node is not None]
    imported = _imports(tree).values()
    return called + [name for name in imported if name.split(".")[0] in CODE_FROM_BYTES]


def _is_random(name: str) -> bool:
    return re.fullmatch(r"(numpy\.)?random\.\w+", name) is not None


def _is_seeded(name: str, call: ast.Call | None) -> bool:
    if name in SAFE_OF_NUMPY_RANDOM:
        return True
    if name in SEEDED_WHEN_GIVEN_A_SEED:
        return call is None or bool(call.args or call.keywords)
    return False


def _imports(tree: ast.AST) -> dict[str, str]:
    """Return the full name behind every imported one."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _names(tree: ast.AST) -> Iterator[tuple[str, ast.Call | None]]:
    """Yield the full dotted name of everything used, with the call it is the function of."""
    imports = _imports(tree)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            first, *rest = ast.unparse(node).split(".")
            if first in imports or first in dir(builtins):
                yield ".".join([imports.get(first, first), *rest]), calls.get(id(node))


Find = Callable[[ast.AST], list[str]]


def _offenders(find: Find, *, allowed: Collection[str] = ()) -> dict[str, list[str]]:
    found = {path.relative_to(ROOT).as_posix(): find(_parsed(path)) for path in SOURCES}
    return {path: names for path, names in found.items() if names and path not in allowed}


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_real_time_is_read_and_passed_by_the_clock_and_serving_simulators_only() -> None:
    assert _offenders(clock_uses, allowed=CLOCKS) == {}


def test_every_random_number_comes_from_a_seed() -> None:
    assert _offenders(unseeded_randomness) == {}


def test_no_file_is_ever_turned_into_code() -> None:
    assert _offenders(code_from_text) == {}


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (clock_uses, "import time\ntime.sleep(1)"),
        (clock_uses, "import time as t\nnow = t.monotonic"),
        (clock_uses, "from time import time\ntime()"),
        (clock_uses, "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        (unseeded_randomness, "import random\nrandom.random()"),
        (unseeded_randomness, "import random\nrandom.Random()"),
        (unseeded_randomness, "from random import shuffle\nshuffle([])"),
        (unseeded_randomness, "import numpy as np\nnp.random.normal()"),
        (unseeded_randomness, "import numpy as np\nnp.random.default_rng()"),
        (unseeded_randomness, "from numpy.random import default_rng as rng\nrng()"),
        (code_from_text, "eval('1')"),
        (code_from_text, "import yaml\nyaml.load(text)"),
        (code_from_text, "import pickle"),
        (code_from_text, "from shelve import open as shelf"),
    ],
)
def test_a_breach_of_these_rules_is_noticed(find: Find, source: str) -> None:
    assert len(find(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "clock.now()\nclock.wait(1)\nself.time.sleep",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
        "import numpy as np\nnp.random.default_rng(7)\nrandom: np.random.Generator",
        "import random\nrandom.Random(7)",
        "def draw(random):\n    return random.normal()",
        "import re\nre.compile('a')\nmodel.eval()",
    ],
)
def test_what_these_rules_allow_is_not_taken_for_a_breach(source: str) -> None:
    tree = ast.parse(source)

    assert clock_uses(tree) + unseeded_randomness(tree) + code_from_text(tree) == []


def test_every_contract_between_packages_holds() -> None:
    report = _lint_imports(ROOT)

    assert "0 broken" in report, report


def test_every_contract_between_packages_would_be_noticed_if_broken(tmp_path: Path) -> None:
    _copy_of_the_house(tmp_path)
    _add(tmp_path, "drivers", "import analysis.stray\nimport PyQt6\nimport sqlite3\nimport h5py")
    _add(tmp_path, "analysis", "import serial")
    _add(tmp_path, "acquisition", "import simulators.stray")
    _add(tmp_path, "simulators", "")
    _add(tmp_path, "acquisition/planning", "import acquisition.running.run")
    _add(tmp_path, "analysis/spectra", "import analysis.laws.stark")
    _add(tmp_path, "gui/look", "import gui.window.main_window")

    report = _lint_imports(tmp_path)

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    broken = [name for c in contracts["contracts"] if f"{(name := c['name'])} BROKEN" in report]
    assert broken == [contract["name"] for contract in contracts["contracts"]], report


def test_the_wheel_holds_the_five_typed_packages_and_nothing_beside_them(tmp_path: Path) -> None:
    _copy_of_the_house(tmp_path)
    build = "from setuptools.build_meta import build_wheel; build_wheel('out')"
    _run([sys.executable, "-c", build], tmp_path)

    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    shipped = {name for name in names if name.endswith(".py")}
    assert shipped == {path.relative_to(ROOT).as_posix() for path in SOURCES}


def test_the_console_script_starts_the_command_line() -> None:
    (script,) = entry_points(group="console_scripts", name="cryoscan")

    assert callable(script.load())
    installed = Path(sys.executable).parent / "cryoscan"
    assert "simulate" in _run([str(installed), "--help"], ROOT)


def _copy_of_the_house(folder: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )


def _add(folder: Path, package: str, source: str) -> None:
    (folder / package / "stray.py").write_text(source, encoding="utf-8")


def _lint_imports(folder: Path) -> str:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    return _run([sys.executable, "-c", lint, "--no-cache"], folder, check=False)


def _run(command: list[str], folder: Path, *, check: bool = True) -> str:
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )
    printed = result.stdout + result.stderr
    assert result.returncode == 0 or not check, printed
    return re.sub(r"\x1b\[[0-9;]*m", "", printed)

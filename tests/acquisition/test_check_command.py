"""`cryoscan check` refuses a simulated world that cannot be, like any other mistake."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acquisition.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("stark.toml", "station_simulated.toml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    return tmp_path


def checked(folder: Path, *truth: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    station = folder / "station_simulated.toml"
    head = "[simulation.truth.nanocrystal]"
    text = station.read_text()
    assert head in text
    station.write_text(text.replace(head, "\n".join((head, *truth))))
    result = CliRunner().invoke(app, ["check", str(folder / "stark.toml"), *options])
    return result.exit_code, " ".join(result.stderr.split())


def test_the_example_is_without_mistake(folder: Path) -> None:
    assert checked(folder) == (0, "")


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("sise_nm = 8.0", "simulation.truth.nanocrystal.sise_nm: found unknown key; allowed: "),
        (
            "exciton_eV = -1.0",
            "simulation.truth.nanocrystal.exciton_eV: found -1.0 is out of bounds",
        ),
        (
            'exciton_eV = "red"',
            "simulation.truth.nanocrystal.exciton_eV: found 'red' is not a number",
        ),
    ],
)
def test_an_impossible_world_is_refused_with_what_is_allowed(
    folder: Path, truth: str, message: str
) -> None:
    code, told = checked(folder, truth)

    assert code == 2
    assert f"station_simulated.toml: {message}" in told
    assert "allowed: " in told


def test_all_mistakes_of_a_world_are_told_at_once_also_of_a_station_named_by_hand(
    folder: Path,
) -> None:
    station = folder / "station_simulated.toml"

    code, told = checked(folder, "one = 1", "two = 2", options=("--station", str(station)))

    assert code == 2
    assert "nanocrystal.one" in told
    assert "nanocrystal.two" in told

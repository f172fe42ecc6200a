"""Files that hold no good spectrum: each a verdict or a clear message, no warning of numpy."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from acquisition.cli import app

Array = NDArray[np.float64]
WAVELENGTH = np.linspace(515.0, 525.0, 512)
LINE = 600.0 + 5e3 * np.exp(-0.5 * ((WAVELENGTH - 520.0) / 0.05) ** 2)
NOISE = np.random.default_rng(50).normal(600.0, 4.0, 512)
EMPTY = {"no signal", "failed"}
DOUBTFUL = EMPTY | {"ill-determined", "at a bound", "poor fit"}

COUNTS: dict[str, tuple[Array, set[str]]] = {
    "all zero": (np.zeros(512), EMPTY),
    "all the same": (np.full(512, 600.0), EMPTY),
    "all negative": (np.full(512, -1e4), EMPTY),
    "a negative line": (1200.0 - LINE, EMPTY),
    "noise": (NOISE, EMPTY),
    "all saturated": (np.full(512, 65535.0), EMPTY),
    "a saturated line": (np.minimum(LINE * 1e3, 65535.0), DOUBTFUL | {"converged"}),
    "one bright pixel": (np.where(np.arange(512) == 256, 1e9, NOISE), DOUBTFUL | {"converged"}),
    "a ramp": (np.arange(512.0) * 1e3, DOUBTFUL),
    "every other pixel": (np.where(np.arange(512) % 2, 6e4, 0.0), DOUBTFUL),
    "absurdly bright": (np.full(512, 1e18), EMPTY),
    "half of it missing": (np.where(np.arange(512) < 256, np.nan, NOISE), EMPTY),
}
MODES: dict[str, tuple[str, ...]] = {
    "default": (),
    "auto": ("--lines", "auto"),
    "voigt": ("--shape", "voigt"),
    "window": ("--window", "518nm:522nm"),
    "components": ("--model", "exciton+trion+replicas", "--phonon", "3.5", "--lines", "2"),
}


def written(path: Path, *columns: Array) -> Path:
    np.savetxt(path, np.column_stack(columns), header="nm vacuum\tA", comments="", delimiter="\t")
    return path


def fit(*arguments: object) -> tuple[int, list[dict[str, str]], str]:
    result = CliRunner().invoke(
        app, ["fit", *(str(argument) for argument in arguments)], catch_exceptions=False
    )
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    return result.exit_code, rows, " ".join(result.stderr.split())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("kind", list(COUNTS))
def test_counts_without_a_good_line_are_a_row_with_a_verdict(
    tmp_path: Path, kind: str, mode: str
) -> None:
    counts, verdicts = COUNTS[kind]

    code, (row,), _ = fit(written(tmp_path / "s.txt", WAVELENGTH, counts), *MODES[mode])

    assert code == 0
    assert row["verdict"] in verdicts, (kind, row["verdict"], row["reason"])
    assert row["reason"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", list(COUNTS))
def test_every_peak_of_such_a_spectrum_is_a_row_or_there_is_none(tmp_path: Path, kind: str) -> None:
    counts, _ = COUNTS[kind]

    code, rows, told = fit(written(tmp_path / "s.txt", WAVELENGTH, counts), "--window", "peaks")

    assert code == 0
    assert rows or "no peak in 1 spectra" in told
    assert all(row["verdict"] and row["reason"] for row in rows)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((WAVELENGTH, np.full(512, np.nan)), "no count is a finite number"),
        ((-WAVELENGTH, LINE), "pixel 0 is -515"),
        ((WAVELENGTH[:1], LINE[:1]), "single row of numbers|needs one row of 2 or more pixels"),
        ((np.where(np.arange(512) == 7, 519.0, WAVELENGTH), LINE), "must rise or fall throughout"),
        ((np.full(512, 520.0), LINE), "must rise or fall throughout"),
        ((np.arange(512.0), LINE), "pixel 0 is 0"),
        ((np.arange(1.0, 513.0), LINE), "none in nm"),
        ((1239.84 / WAVELENGTH, LINE), "none in nm"),
        ((WAVELENGTH,), "holds no table of numbers"),
    ],
)
def test_an_axis_that_is_none_is_refused_naming_the_file(
    tmp_path: Path, columns: tuple[Array, ...], message: str
) -> None:
    code, rows, told = fit(written(tmp_path / "bad.txt", *columns))

    assert code == 1
    assert rows == []
    assert "bad.txt" in told
    assert any(part in told for part in message.split("|")), told


@pytest.mark.filterwarnings("error")
def test_two_pixels_have_a_verdict(tmp_path: Path) -> None:
    for options in ((), ("--window", "peaks"), ("--lines", "auto"), ("--model", "exciton+trion")):
        code, rows, told = fit(written(tmp_path / "s.txt", WAVELENGTH[:2], LINE[:2]), *options)

        assert code == 0
        assert [row["verdict"] for row in rows] == ["no signal"] or "no peak" in told


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pixels", [30_000, pytest.param(1_000_000, marks=pytest.mark.campaign)])
def test_very_many_pixels_are_fitted(tmp_path: Path, pixels: int) -> None:
    wavelength = np.linspace(400.0, 700.0, pixels)
    step = wavelength[1] - wavelength[0]
    light = 1e4 * np.exp(-0.5 * ((wavelength - 550.0) / (4.0 * step)) ** 2)
    counts = np.random.default_rng(51).poisson(100.0 + light).astype(float)

    code, (row,), _ = fit(written(tmp_path / "long.txt", wavelength, counts))

    assert code == 0
    assert row["verdict"] == "converged", row["reason"]
    assert 1239.841984 / float(row["energy_1_eV"]) == pytest.approx(550.0, abs=step)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "content",
    [
        lambda good: good[: len(good) // 2],
        lambda good: good.replace(b"\t", b" \t \t "),
        lambda good: good + b"\x00" * 5000,
        lambda good: good.replace(b"520", b"5e400", 1),
        lambda good: good.replace(b".", b","),
        lambda good: b"\xff\xfe" + good,
    ],
    ids=["cut", "many blanks", "zeros after it", "beyond all numbers", "commas", "wrong mark"],
)
def test_a_damaged_text_is_read_or_refused_with_its_name(
    tmp_path: Path, content: Callable[[bytes], bytes]
) -> None:
    good = written(tmp_path / "s.txt", WAVELENGTH, LINE).read_bytes()
    (tmp_path / "damaged.txt").write_bytes(content(good))

    code, rows, told = fit(tmp_path / "damaged.txt")

    if code == 0:
        assert rows[0]["verdict"]
    else:
        assert code == 1
        assert "damaged.txt" in told

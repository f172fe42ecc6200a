"""Numbers in text, however separated: tabs, semicolons, commas, blanks; decimal point or comma."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Table", "decoded", "parse_table"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.I)


@dataclass(frozen=True, slots=True)
class Table:
    """numbers: (rows, columns), NaN for empty cells; names: of the columns, empty if not given.

    other: the lines that are no rows. lines: number of each row in the file, from 1. left_out: of
    the lines above the first row that hold numbers too, but not as many.
    """

    numbers: NDArray[np.float64]
    names: tuple[str, ...]
    other: tuple[str, ...]
    lines: tuple[int, ...]
    left_out: tuple[int, ...] = ()


def decoded(content: bytes) -> str:
    """Return the text of a file: UTF-16 where its mark says so, UTF-8, else Latin-1."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_table(text: str, *, source: str) -> Table:
    """Return the lines that hold the commonest number of numeric cells.

    The line above them gives the names of the columns if it has as many cells. Raises ValueError
    for a text without numbers and, naming it, for a line among them that is broken.
    """
    lines = text.lstrip("\ufeff").splitlines()
    separator, decimal = _dialect(lines)
    rows = [_row(line, separator, decimal) for line in lines]
    widths = Counter(len(row) for row in rows if row is not None and len(row) > 1)
    if not widths:
        raise ValueError(f"{source}: holds no table of numbers")
    width = widths.most_common(1)[0][0]
    inside = [i for i, row in enumerate(rows) if row is not None and len(row) == width]
    first, known = inside[0], frozenset(inside)
    last = max(i for i, row in enumerate(rows) if row is not None)
    for i in range(first, last + 1):
        if i not in known and lines[i].strip():
            raise ValueError(f"{source}, line {i + 1}: {lines[i].strip()[:60]!r} is no row of it")
    names = _names([lines[i] for i in range(first) if rows[i] is None], separator)
    return Table(
        numbers=np.array([rows[i] for i in inside], dtype=np.float64),
        names=names if len(names) == width else (),
        other=tuple(line for i, line in enumerate(lines) if line.strip() and i not in known),
        lines=tuple(i + 1 for i in inside),
        left_out=tuple(i + 1 for i in range(first) if rows[i] is not None),
    )


def _names(above: list[str], separator: str | None) -> tuple[str, ...]:
    """Return the cells of the last line above the table."""
    last = next((line for line in reversed(above) if line.strip()), "")
    last = last.strip().lstrip("#")  # as numpy.savetxt writes it
    return tuple(cell.strip(" #") for cell in last.strip(separator or " ").split(separator))


def _dialect(lines: list[str]) -> tuple[str | None, str]:
    """Return the separator (None: blanks) and the decimal mark that make most cells numbers."""
    sample = [line for line in lines if re.match(r"\s*[-+.\d]", line)]
    sample = sample[:: max(1, len(sample) // 50)]
    choices: list[tuple[str | None, str]] = [
        (separator, decimal)
        for separator in ("\t", ";", ",", None)
        for decimal in (".", ",")
        if separator != decimal
    ]

    def numeric(choice: tuple[str | None, str]) -> int:
        rows = [_row(line, *choice) for line in sample]
        wide = [len(row) for row in rows if row is not None and len(row) > 1]
        # Of readings that work for every line, the one with fewer columns: 1,5;2,5 is two numbers.
        return len(wide) * 1000 - (max(wide) if wide else 0)

    return max(choices, key=numeric)


def _row(line: str, separator: str | None, decimal: str) -> list[float] | None:
    """Return the numbers of a line, NaN for empty cells, or None if it holds anything else."""
    cells = [cell.strip() for cell in line.strip(" \r").split(separator)]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()  # a separator at the end of the line
    if not any(cells):
        return None
    plain = [cell.replace(decimal, ".") if decimal != "." else cell for cell in cells]
    if not all(not cell or _NUMBER.fullmatch(cell) for cell in plain):
        return None
    return [float(cell) if cell else np.nan for cell in plain]

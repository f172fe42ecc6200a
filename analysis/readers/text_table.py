"""Numbers in text, however separated: tabs, semicolons, commas, blanks; decimal point or comma."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Table", "decoded", "parse_table"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.I)

_BLOCK = 1 << 18  # characters read at a time


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
    blocks = tuple(_blocks(text.lstrip("\ufeff")))
    separator, decimal = _dialect(blocks)
    widths, numbers = _read(blocks, separator, decimal)
    width = _commonest(widths[widths > 1])
    if not width:
        raise ValueError(f"{source}: holds no table of numbers")
    is_row = widths == width
    inside = np.flatnonzero(is_row)
    first, last = int(inside[0]), int(np.flatnonzero(widths)[-1])
    others = _lines(blocks, np.flatnonzero(~is_row))
    for i, line in others.items():
        if first < i < last + 1 and line.strip():
            raise ValueError(f"{source}, line {i + 1}: {line.strip()[:60]!r} is no row of it")
    names = _names([line for i, line in others.items() if i < first and not widths[i]], separator)
    return Table(
        numbers=numbers[np.repeat(is_row, widths)].reshape(-1, width),
        names=names if len(names) == width else (),
        other=tuple(line for line in others.values() if line.strip()),
        lines=tuple((inside + 1).tolist()),
        left_out=tuple((np.flatnonzero(widths[:first]) + 1).tolist()),
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the text, with the number of its first line from 0.

    By the block nothing takes long at a time: another thread may go on in between.
    """

    first: int
    text: str

    def lines(self) -> list[str]:
        return self.text.splitlines()


def _blocks(text: str) -> Iterator[_Block]:
    start = number = 0
    while start < len(text):
        end = text.find("\n", start + _BLOCK) + 1 or len(text)
        block = _Block(number, text[start:end])
        yield block
        start, number = end, number + len(block.lines())


def _read(
    blocks: Iterable[_Block], separator: str | None, decimal: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how many numbers each line holds, 0 for one that is no row, and all of them."""
    widths: list[NDArray[np.int64]] = []
    numbers: list[NDArray[np.float64]] = []
    for block in blocks:
        rows = [_row(line, separator, decimal) or [] for line in block.lines()]
        widths.append(np.array([len(row) for row in rows], dtype=np.int64))
        numbers.append(np.array(list(chain.from_iterable(rows)), dtype=np.float64))
    if not widths:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate(widths), np.concatenate(numbers)


def _commonest(widths: NDArray[np.int64]) -> int:
    """Return the commonest of some numbers, of several the one that comes first; 0 of none."""
    found, first, times = np.unique(widths, return_index=True, return_counts=True)
    return int(found[np.lexsort((first, -times))[0]]) if found.size else 0


def _lines(blocks: Iterable[_Block], wanted: NDArray[np.intp]) -> dict[int, str]:
    """Return these lines by their numbers, in order."""
    found: dict[int, str] = {}
    for block, following in pairwise((*blocks, None)):
        assert block is not None  # noqa: S101 - only the last following one is
        end = len(wanted) if following is None else np.searchsorted(wanted, following.first)
        own = wanted[np.searchsorted(wanted, block.first) : end].tolist()
        if own:
            lines = block.lines()
            found |= {i: lines[i - block.first] for i in own}
    return found


def _names(above: list[str], separator: str | None) -> tuple[str, ...]:
    """Return the cells of the last line above the table."""
    last = next((line for line in reversed(above) if line.strip()), "")
    last = last.strip().lstrip("#")  # as numpy.savetxt writes it
    return tuple(cell.strip(" #") for cell in last.strip(separator or " ").split(separator))


def _dialect(blocks: Iterable[_Block]) -> tuple[str | None, str]:
    """Return the separator (None: blanks) and the decimal mark that make most cells numbers."""
    sample: list[str] = []
    for block in blocks:
        sample += [line for line in block.lines() if re.match(r"\s*[-+.\d]", line)]
        sample = sample[:: max(1, len(sample) // 50)]  # and of the next ones less and less
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

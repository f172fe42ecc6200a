"""The counts of all rows: in memory while they are few, else in a file that goes with the process.

The file is read and written by the piece, so that a run of any length takes no more memory.
"""

import weakref
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IN_MEMORY_BYTES", "RowCounts"]

IN_MEMORY_BYTES = 64_000_000
_ON_DISK = Path("/var/tmp")  # noqa: S108 - where the system has it: /tmp may itself be memory


class RowCounts:
    """Counts of one row each, zero until they are put; shape (rows, pixels).

    Raises OSError where the file can't be written, as on a full disk.
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> None:
        self.shape, self.dtype = shape, dtype
        self._row_bytes = shape[1] * dtype.itemsize
        self.is_on_disk = shape[0] * self._row_bytes > IN_MEMORY_BYTES
        if self.is_on_disk:
            folder = _ON_DISK if _ON_DISK.is_dir() else None
            self._file = TemporaryFile(prefix="cryoscan-window-", dir=folder, buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)
            self._file.truncate(shape[0] * self._row_bytes)
        else:
            self._array: NDArray[Any] = np.zeros(shape, dtype)

    def __getitem__(self, point: int) -> NDArray[Any]:
        """Return the counts of one row, (pixels,)."""
        spectrum: NDArray[Any] = self.of(np.array([point]))[0]
        return spectrum

    def of(
        self, points: NDArray[np.integer[Any]], pixels: NDArray[np.intp] | None = None
    ) -> NDArray[Any]:
        """Return the counts of these rows, (k, pixels): of all pixels, or of these."""
        if not self.is_on_disk:
            own: NDArray[Any] = self._array[points if pixels is None else np.ix_(points, pixels)]
            return own
        found = np.empty((len(points), self.shape[1]), self.dtype)
        for first, place, length in _stretches(points):
            self._file.seek(first * self._row_bytes)
            self._file.readinto(found[place : place + length].data.cast("B"))
        return found if pixels is None else found[:, pixels]

    def put(self, points: NDArray[np.integer[Any]], counts: NDArray[Any]) -> None:
        """Store the counts of these rows."""
        if not self.is_on_disk:
            self._array[points] = counts
            return
        own = np.ascontiguousarray(counts, self.dtype)
        for first, place, length in _stretches(points):
            self._file.seek(first * self._row_bytes)
            _write(self._file, own[place : place + length].data.cast("B"))


def _stretches(points: NDArray[np.integer[Any]]) -> list[tuple[int, int, int]]:
    """Return first row, its place and the number of rows of each unbroken stretch."""
    if not len(points):
        return []
    place = np.concatenate([[0], np.flatnonzero(np.diff(points) != 1) + 1])
    length = np.diff(np.append(place, len(points)))
    return list(zip(points[place].tolist(), place.tolist(), length.tolist(), strict=True))


def _write(file: Any, content: memoryview) -> None:
    while content:  # an unbuffered file may take a part
        content = content[file.write(content) :]

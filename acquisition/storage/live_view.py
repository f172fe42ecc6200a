"""live.h5: the accepted points of a running run, for any program that opens HDF5 with a plain "r".

A disposable view of the journal, never read back for data. Everything is created once, in full
size, contiguous, superblock 2 (no consistency flags), and closed; afterwards rows are written past
the HDF5 library, at the offsets it gave, in the order spectrum, conditions, crc32, attempt. So a
reader finds a valid file at any moment, and a row whose attempt is above 0 is whole. Readers reopen
the file for each refresh.

    /entry/data         spectra (axes..., pixel): frames added up, in the order of the pixels
                        conditions (axes..., column): times, exposure, readings; names in @columns
                        crc32 (axes...) of spectrum and conditions
                        attempt (axes...): id in the journal, 0 = not measured
                        frames (axes..., frame, pixel): singly, where a point has several and all
                        of them together take 64 MB at most; else the journal alone has them
    /entry/backgrounds  the same for dark and laser-blocked points, one row each

The last axis is the wavelength in force if the run has one spectrograph setting, else the pixel.
"""

import hashlib
import io
import json
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import Struct
from typing import Self
from zlib import crc32

import h5py
import numpy as np

from acquisition.planning.point_table import Point, PointKind, PointTable
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import AttemptRows
from acquisition.storage.record import Attempt
from acquisition.storage.run_array import RunArray
from acquisition.storage.run_folder import LIVE
from acquisition.storage.run_meta import RunMeta

__all__ = ["LiveView"]

logger = logging.getLogger(__name__)

_VERSION = ("v108", "v108")  # superblock 2: later ones have flags that shut plain readers out
_MOST_FRAME_BYTES = 64_000_000
_ID = Struct("<q")
_CRC = Struct("<I")
_TIMES = Struct("<6d")
_TIME_COLUMNS = {
    "point": "",
    "segment": "",
    "frames": "",
    "start_s": "s",
    "end_s": "s",
    "exposure_s": "s",
}


class LiveView:
    """Keeps live.h5 up with the journal. Nothing here raises into the run: on doubt it gives up."""

    def __init__(self, journal: JournalReader) -> None:
        """Create live.h5 beside the journal, or bring the one that is there up to date."""
        self._journal = journal
        self._path = journal.folder / LIVE
        self._file: io.FileIO | None = None
        self._size = 0
        self._rows: dict[int, tuple[_Rows, int]] = {}  # of each point
        self._spare: list[tuple[_Rows, int]] = []
        self._wavelength_at: int | None = None
        self._calibration = 0
        self._shown: set[int] = set()
        self.reconcile()

    @property
    def is_alive(self) -> bool:
        """Whether rows are being written; reconcile revives a view that was given up."""
        return self._file is not None

    def update(self, attempt_id: int, attempt: Attempt) -> None:
        """Show an attempt that was accepted and committed; after an error, log it and give up."""
        if self._file is None:
            return
        try:
            self._check_untouched(self._file)
            if attempt.point not in self._rows:
                self._make_room()
            self._show(self._file, attempt_id, attempt)
        except Exception as error:
            self._give_up(error)

    def reconcile(self) -> None:
        """Compare every row, byte by byte, with the journal and write what differs.

        A file that can't be read is put aside as live.h5.bad and built anew.
        """
        self.close()
        try:
            self._adopt_or_create(_Layout.of(self._journal.table(), self._journal.meta))
            self._repair()
        except Exception as error:
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _make_room(self) -> None:
        """Place points that were appended: in spare rows, or in a file of double the size."""
        points = self._journal.table().points
        appended = points[len(self._rows) :]
        is_sample = all(point.kind is PointKind.SAMPLE for point in appended)
        if is_sample and len(appended) <= len(self._spare):
            rows, self._spare = self._spare[: len(appended)], self._spare[len(appended) :]
            self._rows.update(zip((point.index for point in appended), rows, strict=True))
            return
        self.close()
        self._create(_Layout.of(self._journal.table(), self._journal.meta, spare=len(points)))
        self._repair()

    def _adopt_or_create(self, layout: "_Layout") -> None:
        try:
            if self._path.exists() and layout.is_in(self._path):
                self._adopt(layout)
                return
        except (OSError, KeyError, RuntimeError) as error:
            logger.info("%s is put aside and built anew: %s", self._path, error)
            self._path.replace(self._path.with_suffix(".h5.bad"))
        self._create(layout)

    def _create(self, layout: "_Layout") -> None:
        unfinished = self._path.with_suffix(".h5.tmp")
        layout.write(unfinished)
        unfinished.replace(self._path)
        self._adopt(layout)

    def _adopt(self, layout: "_Layout") -> None:
        """Learn from the file where its rows lie."""
        groups, self._wavelength_at = layout.find(self._path)
        self._rows = {p: (g, row) for g in groups for p, row in g.group.points.items()}
        self._spare = [(groups[0], row) for row in layout.spare]
        self._calibration = 0
        self._shown = set()
        self._file = io.FileIO(self._path, "r+")
        self._size = os.fstat(self._file.fileno()).st_size

    def _repair(self) -> None:
        assert self._file is not None  # noqa: S101 - adopted just before
        accepted = self._journal.accepted()
        for point, (rows, row) in self._rows.items():
            if point in accepted:
                stored = self._journal.attempt(accepted[point])
                if not _holds(self._file, rows.pieces(row, stored.id, stored.attempt)):
                    self._show(self._file, stored.id, stored.attempt)
                self._shown.add(point)
            elif not _holds(self._file, [rows.no_attempt(row)]):
                _write(self._file, rows.no_attempt(row))

    def _show(self, file: io.FileIO, attempt_id: int, attempt: Attempt) -> None:
        rows, row = self._rows[attempt.point]
        if attempt.point in self._shown:
            _write(file, rows.no_attempt(row))
        if attempt.calibration != self._calibration:
            self._show_wavelength(file, attempt.calibration)
        for piece in rows.pieces(row, attempt_id, attempt):
            _write(file, piece)
        self._shown.add(attempt.point)

    def _show_wavelength(self, file: io.FileIO, calibration: int) -> None:
        self._calibration = calibration
        if self._wavelength_at is not None:
            value = self._journal.calibrations()[calibration].value
            _write(file, (self._wavelength_at, value.astype("<f8").tobytes()))

    def _check_untouched(self, file: io.FileIO) -> None:
        status = os.fstat(file.fileno())
        if status.st_size < self._size or status.st_nlink == 0:
            raise OSError(
                f"another program has cut or replaced the file ({status.st_size} bytes, not "
                f"{self._size})"
            )

    def _give_up(self, error: Exception) -> None:
        logger.warning(
            "%s is no longer kept up, the run goes on and nothing is lost: %s", self._path, error
        )
        self.close()


_Piece = tuple[int, bytes]  # where in the file, what


@dataclass(frozen=True, slots=True)
class _Group:
    """One HDF5 group of rows: its datasets, and the bytes of one row in each."""

    path: str
    shape: tuple[int, ...]
    points: Mapping[int, int]  # point -> row
    spectrum_dtype: str
    frame_dtype: str
    frames: int  # kept singly; 0: none
    pixels: int
    rows: AttemptRows

    @property
    def columns(self) -> dict[str, str]:
        return {**_TIME_COLUMNS, **self.rows.units}

    def datasets(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return name -> (shape of one row, type), in the order in which a row is written."""
        kept = {"frames": ((self.frames, self.pixels), self.frame_dtype)} if self.frames else {}
        return {
            **kept,
            "spectra": ((self.pixels,), self.spectrum_dtype),
            "conditions": ((len(self.columns),), "<f8"),
            "crc32": ((), "<u4"),
            "attempt": ((), "<i8"),
        }

    def row(self, attempt_id: int, attempt: Attempt) -> dict[str, bytes]:
        """Return name -> bytes of the attempt's row, in the order in which they are written."""
        count = len(attempt.counts)
        total = attempt.counts[0] if count == 1 else attempt.counts.sum(axis=0, dtype=np.int64)
        spectrum = total.astype(self.spectrum_dtype, casting="safe", copy=False).tobytes()
        times = (attempt.start_s, attempt.end_s, attempt.exposure_s)
        conditions = _TIMES.pack(attempt.point, attempt.segment, count, *times)
        conditions += self.rows.readings_row(attempt)
        row = {
            "spectra": spectrum,
            "conditions": conditions,
            "crc32": _CRC.pack(crc32(conditions, crc32(spectrum))),
            "attempt": _ID.pack(attempt_id),
        }
        return {"frames": attempt.counts.tobytes(), **row} if self.frames else row


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the rows of one group lie in the file."""

    group: _Group
    at: Mapping[str, tuple[int, int]]  # dataset -> (offset of row 0, bytes of a row)

    def pieces(self, row: int, attempt_id: int, attempt: Attempt) -> list[_Piece]:
        found = self.group.row(attempt_id, attempt).items()
        return [(self._offset(name, row), payload) for name, payload in found]

    def no_attempt(self, row: int) -> _Piece:
        return self._offset("attempt", row), _ID.pack(0)

    def _offset(self, name: str, row: int) -> int:
        start, size = self.at[name]
        return start + row * size


@dataclass(frozen=True, slots=True)
class _Layout:
    """The whole file: its groups and axes. Two files with one signature have one layout."""

    title: str
    array: RunArray
    groups: tuple[_Group, ...]
    spare: range  # rows of the sample's array for points to come
    kinds: tuple[str, ...]  # of the background rows
    pixels: int
    has_wavelength: bool

    @classmethod
    def of(cls, table: PointTable, meta: RunMeta, spare: int = 0) -> "_Layout":
        array = RunArray.of(table, spare)
        sample = [p for p in table.points if p.kind is PointKind.SAMPLE]
        other = [p for p in table.points if p.kind is not PointKind.SAMPLE]
        groups = [_group("/entry/data", array.shape, array.sample, sample, meta)]
        if other:
            shape = (len(other),)
            groups.append(_group("/entry/backgrounds", shape, array.backgrounds, other, meta))
        return cls(
            title=meta.title,
            array=array,
            groups=tuple(groups),
            spare=range(len(sample), len(sample) + spare),
            kinds=tuple(point.kind.value for point in other),
            pixels=meta.pixels,
            has_wavelength=len({(p.grating, p.centre_nm) for p in sample}) == 1,
        )

    @property
    def signature(self) -> str:
        groups = [(g.path, g.shape, g.datasets(), g.columns) for g in self.groups]
        axes = [asdict(axis) for axis in self.array.axes]
        text = json.dumps([axes, groups, self.kinds, self.has_wavelength])
        return hashlib.sha256(text.encode()).hexdigest()  # an attribute holds 64 kB at most

    def write(self, path: Path) -> None:
        """Write the file without rows, durably: it may be lost later, but must then be a file."""
        with h5py.File(path, "w", libver=_VERSION) as file:
            file.attrs.update(default="entry", NX_class="NXroot", layout=self.signature)
            entry = file.create_group("entry")
            entry.attrs.update(default="data", NX_class="NXentry")
            entry["title"] = self.title
            for group in self.groups:
                self._write_group(file.create_group(group.path), group)
        with open(path, "rb+") as written:
            os.fsync(written.fileno())

    def _write_group(self, target: h5py.Group, group: _Group) -> None:
        is_data = group is self.groups[0]
        names = self.array.names if is_data else ("background",)
        last = "wavelength" if is_data and self.has_wavelength else "pixel"
        target.attrs.update(
            NX_class="NXdata", signal="spectra", axes=[*names, last], interpretation="spectrum"
        )
        for name, (row, dtype) in group.datasets().items():
            _create_contiguous(target, name, (*group.shape, *row), dtype)
        target["spectra"].attrs.update(units="counts", interpretation="spectrum")
        target["conditions"].attrs.update(columns=[*group.columns], units=[*group.columns.values()])
        if is_data:
            for name, axis in zip(names, self.array.axes, strict=True):
                target[name] = np.array(axis.values)
                target[name].attrs["units"] = axis.unit
        else:
            target["background"] = np.arange(group.shape[0])
            target.create_dataset("kind", data=self.kinds, dtype=h5py.string_dtype())
        if last == "wavelength":
            _create_contiguous(target, last, (self.pixels,), "<f8")
            target[last].attrs["units"] = "nm"
        else:
            target["pixel"] = np.arange(self.pixels)

    def is_in(self, path: Path) -> bool:
        """Return whether the file is laid out like this. Raises OSError or KeyError if broken."""
        with h5py.File(path, "r") as file:
            return bool(file.attrs["layout"] == self.signature)

    def find(self, path: Path) -> tuple[tuple[_Rows, ...], int | None]:
        """Return where the rows lie, and where the wavelengths."""
        with h5py.File(path, "r") as file:
            rows = tuple(_Rows(group, _offsets(file[group.path], group)) for group in self.groups)
            if not self.has_wavelength:
                return rows, None
            return rows, _offset(file["/entry/data/wavelength"])


def _group(
    path: str,
    shape: tuple[int, ...],
    rows: Mapping[int, int],
    points: Sequence[Point],
    meta: RunMeta,
) -> _Group:
    frames = max((point.frames for point in points), default=1)
    size = math.prod(shape) * frames * meta.pixels * meta.dtype.itemsize
    return _Group(
        path=path,
        shape=shape,
        points=rows,
        # the sum of many frames may pass the largest i4
        spectrum_dtype=meta.dtype.str if frames == 1 else "<i8",
        frame_dtype=meta.dtype.str,
        frames=frames if frames > 1 and size <= _MOST_FRAME_BYTES else 0,
        pixels=meta.pixels,
        rows=AttemptRows(meta),
    )


def _create_contiguous(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """Create a dataset whose bytes have their place in the file at once; they read as zeros."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
    h5py.h5d.create(group.id, name.encode(), kind, space, properties)


def _offsets(group: h5py.Group, rows: _Group) -> dict[str, tuple[int, int]]:
    return {
        name: (_offset(group[name]), math.prod(shape) * np.dtype(dtype).itemsize)
        for name, (shape, dtype) in rows.datasets().items()
    }


def _offset(dataset: h5py.Dataset) -> int:
    offset = dataset.id.get_offset()
    if offset is None:
        raise ValueError(f"{dataset.name} has no place in the file")
    return int(offset)


def _write(file: io.FileIO, piece: _Piece) -> None:
    offset, payload = piece
    file.seek(offset)
    if file.write(payload) != len(payload):
        raise OSError(f"only part of {len(payload)} bytes could be written: is the disk full?")


def _holds(file: io.FileIO, pieces: Iterable[_Piece]) -> bool:
    return all(_read(file, offset, len(payload)) == payload for offset, payload in pieces)


def _read(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)

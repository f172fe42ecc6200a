"""The final file of a run: one NeXus file, built whole from the journal, never edited.

It is written beside its final name, read back row by row against the checksums of the journal,
made durable and read-only, and only then given its name. So NAME.nxs is complete and right, or it
does not exist. If the run went on or was fitted again afterwards, the next one is NAME_r2.nxs.
"""

import hashlib
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from acquisition.storage.journal import JournalReader, seal_journal
from acquisition.storage.journal_rows import row_crc32
from acquisition.storage.nexus_tree import Blocks, Field, Group
from acquisition.storage.run_folder import FINAL_SUFFIX, check_free_disk, sync_folder, writer_lock
from acquisition.storage.run_tree import run_tree
from acquisition.storage.storage_errors import StorageError

__all__ = ["build_final", "final_files", "verify_final"]

logger = logging.getLogger(__name__)

_VERSION = ("v108", "v108")  # readable by HDF5 1.8 and later
_CHUNK_BYTES = 65_536
_COMPRESSED = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
_ROWS_AHEAD = 64
_SMALL = 4096  # values; smaller datasets are not worth a filter
_READ_ONLY = 0o444


def build_final(folder: Path) -> Path:
    """Build the final file of the run in `folder` and return it; the one that is there if it is
    up to date.

    A complete run's journal becomes a single read-only file; an interrupted run can go on
    afterwards. Raises RunLocked while the run is on, StorageFull, StorageError if the file does
    not hold what the journal holds.
    """
    with writer_lock(folder):
        with JournalReader(folder) as journal:
            final = _up_to_date(journal) or _build(journal)
            is_complete = not journal.todo()
        if is_complete:
            seal_journal(folder)
    return final


def final_files(folder: Path) -> tuple[Path, ...]:
    """Return the final files of a run, oldest revision first."""
    return tuple(path for path in _revisions(folder) if path.exists())


def verify_final(path: Path, journal: JournalReader) -> None:
    """Compare a file with the journal, row by row. Raises StorageError naming what differs."""
    accepted = set(journal.accepted().values())
    with h5py.File(path, "r") as file:
        entry = file["entry"]
        raw = entry["instrument/detector_ccd/raw_data"]
        frames, start, readings = _Rows(raw["raw"]), raw["start"][:], entry["attempts/readings"][:]
        ends = np.cumsum(entry["attempts/frames"][:])
        spectra = _Spectra(entry)
        expected = journal.checksums()
        if list(expected) != entry["attempts/id"][:].tolist():
            raise StorageError(f"{path}: holds other attempts than the journal")
        first = 0
        for (key, crc), end, reading in zip(expected.items(), ends, readings, strict=True):
            counts = frames.read(first, end)
            if row_crc32(counts, start[first:end], reading.tobytes()) != crc:
                raise StorageError(f"{path}: attempt {key} does not have the journal's checksum")
            if key in accepted and not spectra.is_sum(key, counts):
                raise StorageError(f"{path}: the spectrum of attempt {key} is not its frames")
            first = end


class _Rows:
    """Rows of a compressed dataset, read some at a time: each chunk is unpacked once."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._outer: tuple[int, ...] = ()
        self._first = 0
        self._held: NDArray[Any] = np.zeros((0, dataset.shape[-1]), dataset.dtype)

    def read(self, first: int, end: int, outer: tuple[int, ...] = ()) -> NDArray[Any]:
        """Return rows first to end - 1 of the last but one dimension, at the place `outer`."""
        stop = self._first + len(self._held)
        if outer != self._outer or not self._first <= first <= end <= stop:
            ahead = max(end, first - first % _ROWS_AHEAD + _ROWS_AHEAD)
            self._outer, self._first = outer, first - first % _ROWS_AHEAD
            self._held = self._dataset[(*outer, slice(self._first, ahead))]
        return self._held[first - self._first : end - self._first]


class _Spectra:
    """The spectra in a file, found by the attempt they come from."""

    def __init__(self, entry: h5py.Group) -> None:
        self._place: dict[int, tuple[_Rows, NDArray[np.int64], tuple[int, ...]]] = {}
        for group in (entry[name] for name in ("data", "backgrounds") if name in entry):
            attempt, rows, order = group["attempt"][...], _Rows(group["spectra"]), group["pixel"][:]
            for index in np.argwhere(attempt).tolist():
                self._place[int(attempt[tuple(index)])] = rows, order, tuple(index)

    def is_sum(self, attempt: int, counts: NDArray[Any]) -> bool:
        """Return whether the spectrum of this attempt is the sum of these frames."""
        if attempt not in self._place:
            return False
        rows, order, (*outer, row) = self._place[attempt]
        (spectrum,) = rows.read(row, row + 1, tuple(outer))
        return bool(np.array_equal(spectrum, counts.sum(axis=0, dtype=np.int64)[order]))


def _up_to_date(journal: JournalReader) -> Path | None:
    """Return the newest final file, with its checksum, if it shows the journal as it is."""
    files = final_files(journal.folder)
    if not files:
        return None
    with h5py.File(files[-1], "r") as file:
        shown = file["entry/provenance"].attrs["journal_sha256"]
    if shown != journal.fingerprint():
        return None
    _write_sha256(files[-1])
    return files[-1]


def _build(journal: JournalReader) -> Path:
    folder = journal.folder
    final = next(path for path in _revisions(folder) if not path.exists())
    unfinished = final.with_name(final.name + ".tmp")
    unfinished.unlink(missing_ok=True)
    try:
        tree = run_tree(journal)
        check_free_disk(folder, _most_bytes(tree))
        _write_file(unfinished, tree)
        verify_final(unfinished, journal)
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.chmod(_READ_ONLY)
    unfinished.replace(final)
    sync_folder(folder)
    _write_sha256(final)
    logger.info("%s is written and verified", final)
    return final


def _revisions(folder: Path) -> Iterator[Path]:
    """Yield NAME.nxs, NAME_r2.nxs, ... up to and including the first that does not exist."""
    revision, path = 1, folder / (folder.name + FINAL_SUFFIX)
    yield path
    while path.exists():
        revision += 1
        path = folder / f"{folder.name}_r{revision}{FINAL_SUFFIX}"
        yield path


def _write_sha256(final: Path) -> None:
    """Write the checksum as sha256sum prints it, if it is not there yet."""
    beside = final.with_name(final.name + ".sha256")
    if beside.exists():
        return
    with open(final, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    unfinished = beside.with_name(beside.name + ".tmp")
    unfinished.write_text(f"{digest}  {final.name}\n", encoding="utf-8")
    unfinished.replace(beside)


def _write_file(path: Path, root: Group) -> None:
    try:
        with h5py.File(path, "w", libver=_VERSION) as file:
            _write_members(file, root)
    except (OSError, RuntimeError) as error:  # HDF5 does not say what is wrong with the disk
        raise StorageError(f"{path}: could not be written: {error}") from error


def _most_bytes(group: Group) -> int:
    """Return the size of the file without compression: HDF5 may crash where a disk gets full."""
    sizes = (
        _most_bytes(node)
        if isinstance(node, Group)
        else math.prod(node.shape) * node.dtype.itemsize
        if isinstance(node, Blocks)
        else np.asarray(node.value).nbytes
        for node in group.members.values()
    )
    return 4096 + sum(sizes)


def _write_members(target: h5py.Group, group: Group) -> None:
    target.attrs["NX_class"] = group.nx_class
    target.attrs.update(group.attrs)
    for name, node in group.members.items():
        if isinstance(node, Group):
            _write_members(target.create_group(name), node)
        else:
            dataset = _write_dataset(target, name, node)
            dataset.attrs.update(node.attrs)
    _label_dimensions(target, group)


def _write_dataset(target: h5py.Group, name: str, node: Field | Blocks) -> h5py.Dataset:
    if isinstance(node, Blocks):
        dataset = target.create_dataset(name, node.shape, node.dtype, **_filters(node))
        for where, values in node.blocks():
            dataset[where] = values
        return dataset
    value = node.value
    if isinstance(value, np.ndarray) and value.size >= _SMALL:
        return target.create_dataset(name, data=value, **_COMPRESSED)
    if isinstance(value, list):
        return target.create_dataset(name, data=value, dtype=h5py.string_dtype(), shape=len(value))
    return target.create_dataset(name, data=value)


def _filters(node: Blocks) -> dict[str, Any]:
    """Return chunks of some 64 kB, whole spectra of neighbouring rows, and how to compress them."""
    if 0 in node.shape:
        return {}
    *outer, rows, pixels = node.shape
    most = max(1, _CHUNK_BYTES // (pixels * node.dtype.itemsize))
    return {"chunks": (*(1 for _ in outer), min(rows, most), pixels), **_COMPRESSED}


def _label_dimensions(target: h5py.Group, group: Group) -> None:
    """Attach HDF5 dimension scales: xarray finds the axes by them, NeXus viewers by attributes."""
    labelled: list[tuple[str, tuple[str, ...]]] = [
        (name, node.dims)
        for name, node in group.members.items()
        if not isinstance(node, Group) and node.dims
    ]
    for scale in dict.fromkeys(dim for _, dims in labelled for dim in dims):
        target[scale].make_scale(scale)
    for name, dims in labelled:
        for i, dim in enumerate(dims):
            target[name].dims[i].attach_scale(target[dim])

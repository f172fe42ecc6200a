"""The journal of a run: SQLite, and the only truth. Everything else is a view of it.

A point is complete when, and only when, `put` has returned: one transaction, one synced write.
Attempts are only ever inserted; which of them counts is a table of its own, and its history stands
in the attempts and events. One process writes (Journal), any number read (JournalReader).

NaN in a REAL column is stored as NULL by SQLite, so measured values live in arrays.
"""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from acquisition.planning.point_table import (
    AxisColumn,
    Point,
    PointTable,
    point_from_row,
    point_to_row,
)
from acquisition.storage.journal_columns import JournalColumns
from acquisition.storage.journal_rows import (
    SCHEMA,
    SCHEMA_VERSION,
    AttemptRows,
    Calibration,
    Segment,
    StoredAttempt,
    calibration_from_row,
    calibration_row,
    event_from_row,
    event_row,
    fit_from_row,
    fit_row,
    stream_from_row,
    stream_row,
)
from acquisition.storage.record import FITS, Attempt, AttemptState, Event, FitRow, StreamBatch
from acquisition.storage.run_folder import JOURNAL, WriterLock, refuse_network_drive, sync_folder
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.storage_errors import SchemaError, StorageError, StorageFull

__all__ = [
    "Calibration",
    "Journal",
    "JournalReader",
    "Progress",
    "Segment",
    "StorageError",
    "StorageFull",
    "StoredAttempt",
    "seal_journal",
]

logger = logging.getLogger(__name__)

# Set and read back on every connection: synchronous and foreign_keys are not kept in the file.
# The log is checkpointed at 4 MB: small enough to be written over soon, and a commit that does not
# lengthen the log costs a third less than one that does.
_WRITER_SETTINGS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: NORMAL loses committed points at a power cut
    "foreign_keys": 1,
    "fullfsync": 1,  # macOS: fsync alone does not reach the platter
    "checkpoint_fullfsync": 1,
    "temp_store": 2,  # no temporary files: they would need room on a full disk
    "wal_autocheckpoint": 1000,
    "journal_size_limit": 67_108_864,
}
_BUSY_S = 5.0

_ATTEMPT_COLUMNS = (
    "point,state,segment,start_s,end_s,exposure_s,calibration,flags,note,crc32,readings,"
    "frame_start,counts"
)
_BEGIN = "BEGIN IMMEDIATE"
_COMMIT = "COMMIT"
_PUT_ATTEMPT = f"INSERT INTO attempt({_ATTEMPT_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"
_ACCEPT = "INSERT OR REPLACE INTO accepted(point,attempt) VALUES(?,?)"
_PUT_EVENT = "INSERT INTO event(time_s,utc,level,code,text,details) VALUES(?,?,?,?,?,?)"
_PUT_STREAM = "INSERT INTO stream(channel,unit,end_s,time_s,value) VALUES(?,?,?,?,?)"
_PUT_FIT = "INSERT OR REPLACE INTO fit VALUES(?,?,?,?,?,?,?,?,?,?,?)"
_PUT_PLAN = "INSERT INTO plan(point,kind,block,setpoints) VALUES(?,?,?,?)"
_PUT_CALIBRATION = "INSERT INTO calibration(time_s,kind,details,shape,value) VALUES(?,?,?,?,?)"
_PUT_META = "INSERT OR REPLACE INTO meta(key,value) VALUES(?,?)"
_ATTEMPT = (
    f"SELECT attempt.id,accepted.attempt,attempt.{_ATTEMPT_COLUMNS.replace(',', ',attempt.')} "  # noqa: S608
    "FROM attempt LEFT JOIN accepted ON accepted.attempt=attempt.id "
    "AND accepted.point=attempt.point "
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    planned: int
    accepted: int
    attempts: int
    last_attempt: int  # id; 0: none
    last_event: int


class JournalReader:
    """A read-only connection for any process; every query is short, none holds the writer up."""

    _mode = "ro"

    def __init__(self, folder: Path) -> None:
        """Open the journal in `folder`. Raises StorageError, SchemaError if it is a newer one's."""
        if not (folder / JOURNAL).exists():
            raise StorageError(
                f"{folder}: holds no run: there is no {JOURNAL}, nothing was measured"
            )
        self.folder = folder
        if self._mode == "ro":
            _finish_interrupted_seal(folder)
        self._db = _connect(folder, self._mode)
        try:
            self._load()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._db.close()

    def table(self) -> PointTable:
        """Return the point table as it is now."""
        return PointTable.from_json(self._plan_json())

    def todo(self) -> tuple[Point, ...]:
        """Return the planned points without an accepted attempt, in measuring order."""
        accepted = {row[0] for row in self._all("SELECT point FROM accepted")}
        return tuple(point for point in self._points() if point.index not in accepted)

    def progress(self) -> Progress:
        planned, last_attempt = self.extent()
        accepted, last_event = self._one(
            "SELECT (SELECT COUNT(*) FROM accepted),(SELECT COALESCE(MAX(id),0) FROM event)"
        )
        # attempts are only ever inserted: to count them would be to read the whole journal
        return Progress(planned, accepted, last_attempt, last_attempt, last_event)

    def extent(self) -> tuple[int, int]:
        """Return how many points are planned, and the id of the last attempt, 0 for none."""
        planned, last_attempt = self._one(
            "SELECT (SELECT COALESCE(MAX(point)+1,0) FROM plan),"
            "(SELECT COALESCE(MAX(id),0) FROM attempt)"
        )
        return planned, last_attempt

    def version(self) -> int:
        """Return a number that differs whenever somebody else has committed something since."""
        version: int = self._one("PRAGMA data_version")[0]
        return version

    def axes(self) -> tuple[AxisColumn, ...]:
        """Return the axes of the run's array as they are now."""
        return PointTable.from_json(_table_json(self._meta_value("axes"), ())).axes

    def point(self, index: int) -> Point:
        """Return one planned point. Raises KeyError if there is none."""
        row = self._one("SELECT setpoints FROM plan WHERE point=?", index)
        if row is None:
            raise KeyError(f"{self.folder}: no point {index}")
        return point_from_row(json.loads(row[0]))

    def background_points(self, first: int = 0) -> tuple[int, ...]:
        """Return the planned points from `first` on that are not of the sample."""
        query = "SELECT point FROM plan WHERE point>=? AND kind<>'sample' ORDER BY point"
        return tuple(row[0] for row in self._all(query, first))

    @property
    def columns(self) -> JournalColumns:
        """Queries for many rows at once."""
        return JournalColumns(self._all, self.meta)

    def attempt(self, attempt: int) -> StoredAttempt:
        """Return the attempt with this id. Raises KeyError if there is none."""
        row = self._one(_ATTEMPT + "WHERE attempt.id=?", attempt)
        if row is None:
            raise KeyError(f"{self.folder}: no attempt {attempt}")
        return self._rows.decode(row)

    def latest_attempt(self) -> StoredAttempt | None:
        row = self._one(_ATTEMPT + "ORDER BY attempt.id DESC LIMIT 1")
        return None if row is None else self._rows.decode(row)

    def accepted_attempt(self, point: int) -> StoredAttempt | None:
        """Return the attempt that counts for this point, None if it is still to be measured."""
        row = self._one("SELECT attempt FROM accepted WHERE point=?", point)
        return None if row is None else self.attempt(row[0])

    def accepted(self) -> dict[int, int]:
        """Return point -> id of the attempt that counts."""
        return dict(self._all("SELECT point,attempt FROM accepted ORDER BY point"))

    def accepted_among(self, points: Sequence[int]) -> dict[int, int]:
        """Return the same of these points only."""
        found: dict[int, int] = {}
        for first in range(0, len(points), 500):
            some = points[first : first + 500]
            places = ",".join("?" * len(some))
            query = f"SELECT point,attempt FROM accepted WHERE point IN ({places})"  # noqa: S608
            found |= dict(self._all(query, *some))
        return found

    def checksums(self) -> dict[int, int]:
        """Return id -> crc32 of every attempt, oldest first."""
        return dict(self._all("SELECT id,crc32 FROM attempt ORDER BY id"))

    def attempts_of(self, point: int) -> tuple[StoredAttempt, ...]:
        """Return every attempt at this point, oldest first."""
        rows = self._all(_ATTEMPT + "WHERE attempt.point=? ORDER BY attempt.id", point)
        return tuple(self._rows.decode(row) for row in rows)

    def attempts(self, since: int = 0) -> Iterator[StoredAttempt]:
        """Yield every attempt with an id above `since`, oldest first, one short query each."""
        ids = self._all("SELECT id FROM attempt WHERE id>? ORDER BY id", since)
        return (self.attempt(row[0]) for row in ids)

    def events(self, since: int = 0) -> tuple[tuple[int, Event], ...]:
        """Return (id, event) of the events with an id above `since`, oldest first."""
        query = "SELECT id,time_s,utc,level,code,text,details FROM event WHERE id>? ORDER BY id"
        return tuple((row[0], event_from_row(row[1:])) for row in self._all(query, since))

    def last_code(self, *codes: str) -> str | None:
        """Return which of these codes the latest such event has, None where there is none."""
        places = ",".join("?" * len(codes))
        query = f"SELECT code FROM event WHERE code IN ({places}) ORDER BY id DESC LIMIT 1"  # noqa: S608
        row = self._one(query, *codes)
        return None if row is None else row[0]

    def streams(
        self, since: int = 0, channel: str | None = None
    ) -> tuple[tuple[int, StreamBatch], ...]:
        """Return (id, batch) of the monitor batches with an id above `since`, oldest first."""
        query = (
            "SELECT id,channel,unit,end_s,time_s,value FROM stream "
            "WHERE id>? AND (? IS NULL OR channel=?) ORDER BY id"
        )
        rows = self._all(query, since, channel, channel)
        return tuple((row[0], stream_from_row(row[1:])) for row in rows)

    def calibrations(self) -> dict[int, Calibration]:
        """Return id -> calibration."""
        query = "SELECT id,time_s,kind,details,shape,value FROM calibration ORDER BY id"
        return {row[0]: calibration_from_row(row[1:]) for row in self._all(query)}

    def segments(self) -> tuple[Segment, ...]:
        rows = self._all("SELECT number,start_s,utc FROM segment ORDER BY number")
        return tuple(Segment(*row) for row in rows)

    def last_time_s(self) -> float:
        """Return the latest run time the journal knows of, 0 for a new run."""
        queries = (
            "SELECT end_s FROM attempt ORDER BY id DESC LIMIT 1",
            "SELECT time_s FROM event ORDER BY id DESC LIMIT 1",
            "SELECT end_s FROM stream ORDER BY id DESC LIMIT 1",
            "SELECT start_s FROM segment ORDER BY number DESC LIMIT 1",
        )
        return max((row[0] for query in queries for row in self._all(query)), default=0.0)

    def fit_backlog(self, model: str, version: str, limit: int = -1) -> tuple[int, ...]:
        """Return ids of accepted attempts at the sample without this fit, newest first."""
        query = (
            "SELECT accepted.attempt FROM accepted JOIN plan ON plan.point=accepted.point "
            "LEFT JOIN fit ON fit.attempt=accepted.attempt AND fit.model=? AND fit.version=? "
            "WHERE plan.kind='sample' AND fit.attempt IS NULL "
            "ORDER BY accepted.attempt DESC LIMIT ?"
        )
        return tuple(row[0] for row in self._all(query, model, version, limit))

    def fits(self, model: str | None = None) -> tuple[FitRow, ...]:
        """Return the stored fits, of one model or all, in order of attempt."""
        query = "SELECT * FROM fit WHERE (? IS NULL OR model=?) ORDER BY attempt,model,version"
        return tuple(fit_from_row(row) for row in self._all(query, model, model))

    def fits_of(self, attempts: Sequence[int]) -> tuple[FitRow, ...]:
        """Return the stored fits of these attempts, at most some hundred, in order of attempt."""
        places = ",".join("?" * len(attempts))
        query = f"SELECT * FROM fit WHERE attempt IN ({places}) ORDER BY attempt,model,version"  # noqa: S608
        return tuple(fit_from_row(row) for row in self._all(query, *attempts))

    def digest(self) -> str:
        """Return the sha256 of what was measured: equal for two runs that went the same way.

        Covers plan, attempts (raw counts, readings, run times), what was accepted, calibrations,
        monitor streams and events; not fits and what is said of them, wall clock, uuid, versions
        and places.
        """
        return self._sha256(
            "SELECT point,setpoints FROM plan ORDER BY point",
            f"SELECT id,{_ATTEMPT_COLUMNS} FROM attempt ORDER BY id",  # noqa: S608
            "SELECT point,attempt FROM accepted ORDER BY point",
            "SELECT id,time_s,kind,details,shape,value FROM calibration ORDER BY id",
            "SELECT id,channel,unit,time_s,value FROM stream ORDER BY id",
            f"SELECT time_s,level,code,text,details FROM event WHERE code<>'{FITS}' ORDER BY id",  # noqa: S608
        )

    def fingerprint(self) -> str:
        """Return the sha256 of everything in the journal, byte for byte what a view shows."""
        tables = ("meta", "plan", "segment", "attempt", "accepted", "stream", "event")
        return self._sha256(
            *(f"SELECT * FROM {table} ORDER BY 1" for table in (*tables, "calibration")),  # noqa: S608
            "SELECT * FROM fit ORDER BY attempt,model,version",
        )

    def _sha256(self, *queries: str) -> str:
        sha = hashlib.sha256()
        for query in queries:
            sha.update(b"\0table\0")
            for row in self._db.execute(query):
                for value in row:
                    text = value if isinstance(value, bytes) else repr(value).encode()
                    sha.update(b"%d:" % len(text))
                    sha.update(text)
        return sha.hexdigest()

    def _load(self) -> None:
        try:
            found = self._one("SELECT value FROM meta WHERE key='schema'")
            self.schema = int(found[0]) if found else 0
            if self.schema > SCHEMA_VERSION:
                raise SchemaError(
                    f"{self.folder}: journal of version {self.schema}, this program knows versions "
                    f"up to {SCHEMA_VERSION}: use the newer program that wrote it"
                )
            self.meta = RunMeta.from_rows(dict(self._all("SELECT key,value FROM meta")))
        except sqlite3.Error as error:
            raise StorageError(f"{self.folder / JOURNAL}: can't be read: {error}") from error
        self._rows = AttemptRows(self.meta)

    def _points(self) -> Sequence[Point]:
        return self.table().points

    def _plan_json(self) -> str:
        """Return the plan as PointTable.to_json writes it, character for character."""
        rows = (row[0] for row in self._all("SELECT setpoints FROM plan ORDER BY point"))
        return _table_json(self._meta_value("axes"), rows)

    def _meta_value(self, key: str) -> str:
        value: str = self._one("SELECT value FROM meta WHERE key=?", key)[0]
        return value

    def _all(self, query: str, *values: object) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> Any:
        cursor = self._db.execute(query, values)
        row = cursor.fetchone()
        cursor.close()  # an unfinished query would hold a snapshot, and the log would grow
        return row


class Journal(JournalReader):
    """The one writer of a run; not for use from several threads."""

    _mode = "rw"

    @classmethod
    def create(cls, folder: Path, table: PointTable, meta: RunMeta) -> "Journal":
        """Write the journal of a new run with its plan, durably, and open it.

        Raises StorageError if the folder holds a journal already or lies on a network drive.
        """
        refuse_network_drive(folder)
        _check_indices(table.points, 0)
        journal, unfinished = folder / JOURNAL, folder / (JOURNAL + ".tmp")
        if journal.exists():
            raise StorageError(f"{journal}: exists already; a run never reuses a folder")
        unfinished.unlink(missing_ok=True)
        _write_new(unfinished, table, meta)
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        unfinished.rename(journal)
        sync_folder(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "Journal":
        """Take the right to write and open the journal where the last process left it.

        A sealed journal becomes writable again. Raises RunLocked, SchemaError, StorageError.
        """
        refuse_network_drive(folder)
        if not (folder / JOURNAL).exists():
            raise StorageError(f"{folder}: holds no {JOURNAL}: nothing was measured in this folder")
        return cls(folder)

    def __init__(self, folder: Path) -> None:
        self._lock = WriterLock(folder)
        self._table = PointTable((), ())
        try:
            _make_writable(folder / JOURNAL)
            super().__init__(folder)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Fold the log into the journal and give the right to write back."""
        try:
            super().close()
        finally:
            self._lock.release()

    @property
    def is_complete(self) -> bool:
        """Whether every planned point has an accepted attempt."""
        return not self.todo()

    def put(
        self,
        attempt: Attempt,
        *,
        accept: bool,
        events: Iterable[Event] = (),
        streams: Iterable[StreamBatch] = (),
        fits: Iterable[FitRow] = (),
    ) -> int:
        """Store one attempt with all that happened until now; return its id once it is safe.

        accept: this attempt counts for its point from now on. Only state OK can be accepted.
        Raises StorageFull or StorageError: nothing was stored, the same call may be repeated;
        ValueError where the attempt does not have the shape frozen with the run.
        """
        if accept and attempt.state is not AttemptState.OK:
            raise ValueError(f"point {attempt.point}: an attempt that is {attempt.state.value!r} "
                             "can't be accepted")  # fmt: skip
        row = self._rows.encode(attempt)
        with self._transaction() as db:
            key = db.execute(_PUT_ATTEMPT, row).lastrowid
            if accept:
                db.execute(_ACCEPT, (attempt.point, key))
            _insert(db, events, streams, fits)
        assert key is not None  # noqa: S101 - an insert has a row id
        return key

    def note(
        self,
        events: Iterable[Event] = (),
        streams: Iterable[StreamBatch] = (),
        fits: Iterable[FitRow] = (),
    ) -> None:
        """Store what happened between points. Raises as put does."""
        with self._transaction() as db:
            _insert(db, events, streams, fits)

    def begin_segment(self, time_s: float, utc: float) -> int:
        """Open the next stretch of execution and return its number, 1 for the first."""
        with self._transaction() as db:
            key = db.execute(
                "INSERT INTO segment(start_s,utc) VALUES(?,?)", (time_s, utc)
            ).lastrowid
        assert key is not None  # noqa: S101 - an insert has a row id
        return key

    def calibrate(self, calibration: Calibration) -> int:
        """Store a calibration and return its id, which later attempts name."""
        with self._transaction() as db:
            key = db.execute(_PUT_CALIBRATION, calibration_row(calibration)).lastrowid
        assert key is not None  # noqa: S101 - an insert has a row id
        return key

    def append_points(
        self, points: Iterable[Point], axes: tuple[AxisColumn, ...] | None = None
    ) -> None:
        """Add rows at the end of the plan, durably, before they run.

        axes: the axes of the grown array, where the rows do not fit into the present one.
        """
        points = tuple(points)
        _check_indices(points, len(self._table.points))
        grown = _axes_json(axes or self._table.axes)
        with self._transaction() as db:
            db.executemany(_PUT_PLAN, map(_plan_row, points))
            db.execute(_PUT_META, ("axes", grown))
            text = self._plan_json()
            db.execute(_PUT_META, ("plan_sha256", _text_sha256(text)))
        self._table = PointTable.from_json(text)

    def release_block(self, block: int, event: Event) -> tuple[Point, ...]:
        """Take back what was accepted in this block, so that it is measured again as a whole.

        Returns the points released; the attempts stay, and `event` says why.
        """
        accepted = self.accepted()
        released = tuple(p for p in self._points() if p.block == block and p.index in accepted)
        with self._transaction() as db:
            db.executemany("DELETE FROM accepted WHERE point=?", [(p.index,) for p in released])
            _insert(db, (event,), (), ())
        return released

    def table(self) -> PointTable:
        return self._table

    def _load(self) -> None:
        _check_intact(self._db, self.folder)
        super()._load()
        if self.schema != SCHEMA_VERSION:
            raise SchemaError(
                f"{self.folder}: journal of version {self.schema} can be read, but only one of "
                f"version {SCHEMA_VERSION} can be continued by this program"
            )
        text = self._plan_json()
        if _text_sha256(text) != self._meta_value("plan_sha256"):
            raise SchemaError(
                f"{self.folder}: the plan in the journal is not the one frozen with it"
            )
        self._table = PointTable.from_json(text)

    def _points(self) -> Sequence[Point]:
        return self._table.points

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute(_BEGIN)
            yield self._db
            self._db.execute(_COMMIT)
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _storage_error(self.folder, error) from error
            raise


def seal_journal(folder: Path) -> bool:
    """Make the journal of a complete run one read-only file; return whether that was possible.

    For the holder of the writer's lock, its Journal closed. A reader in another process prevents
    it, which is harmless: the journal then stays as it is.
    """
    db = _connect(folder, "rw", busy_s=1.0)
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        mode = db.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        logger.info("%s: journal not sealed: %s", folder, error)
        return False
    finally:
        db.close()
    if mode == "delete":
        (folder / JOURNAL).chmod(0o444)
    return bool(mode == "delete")


def _connect(folder: Path, mode: str, busy_s: float = _BUSY_S) -> sqlite3.Connection:
    address = f"{(folder / JOURNAL).resolve().as_uri()}?mode={mode}"
    try:
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=busy_s)
    except sqlite3.Error as error:
        raise StorageError(f"{folder / JOURNAL}: can't be opened: {error}") from error


def _finish_interrupted_seal(folder: Path) -> None:
    """Let SQLite undo a change of the file's header that a killed seal_journal left half done.

    It needs to write for that, which a read-only connection can't.
    """
    if (folder / f"{JOURNAL}-journal").exists():
        db = _connect(folder, "rw")
        try:
            db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        finally:
            db.close()


def _apply_settings(db: sqlite3.Connection, folder: Path) -> None:
    for name, wanted in _WRITER_SETTINGS.items():
        db.execute(f"PRAGMA {name}={wanted}").fetchall()
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise StorageError(f"{folder / JOURNAL}: {name} is {found!r}, it must be {wanted!r}")


def _check_intact(db: sqlite3.Connection, folder: Path) -> None:
    """Apply the settings, which also recovers the log, and have SQLite check every page."""
    try:
        _apply_settings(db, folder)
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise _storage_error(folder, error) from error
    if found != "ok":
        raise StorageError(f"{folder / JOURNAL}: is damaged: {found}")


def _write_new(path: Path, table: PointTable, meta: RunMeta) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=OFF").fetchall()  # nobody knows of the file yet
        db.executescript(f"BEGIN;{SCHEMA}")
        rows = [_plan_row(point) for point in table.points]
        axes = _axes_json(table.axes)
        plan_sha256 = _text_sha256(_table_json(axes, (row[-1] for row in rows)))
        db.executemany(_PUT_PLAN, rows)
        db.executemany(_PUT_META, meta.to_rows().items())
        db.execute(_PUT_META, ("schema", str(SCHEMA_VERSION)))
        db.execute(_PUT_META, ("axes", axes))
        db.execute(_PUT_META, ("plan_sha256", plan_sha256))
        db.execute(_COMMIT)
    except sqlite3.Error as error:
        raise _storage_error(path.parent, error) from error
    finally:
        db.close()


def _insert(
    db: sqlite3.Connection,
    events: Iterable[Event],
    streams: Iterable[StreamBatch],
    fits: Iterable[FitRow],
) -> None:
    for event in events:
        db.execute(_PUT_EVENT, event_row(event))
    for batch in streams:
        db.execute(_PUT_STREAM, stream_row(batch))
    for fit in fits:
        db.execute(_PUT_FIT, fit_row(fit))


def _plan_row(point: Point) -> tuple[int, str, int, str]:
    setpoints = json.dumps(point_to_row(point), sort_keys=True)
    return point.index, point.kind.value, point.block, setpoints


def _axes_json(axes: Iterable[AxisColumn]) -> str:
    """Return the axes as JSON, their values as they will be read back: 1 as 1.0."""
    rows = ({**asdict(axis), "values": [float(v) for v in axis.values]} for axis in axes)
    return json.dumps(list(rows), sort_keys=True)


def _table_json(axes: str, points: Iterable[str]) -> str:
    return f'{{"axes": {axes}, "points": [{", ".join(points)}]}}'


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check_indices(points: Sequence[Point], first: int) -> None:
    for index, point in enumerate(points, first):
        if point.index != index:
            raise ValueError(f"point table: row {index} has index {point.index}")


def _make_writable(journal: Path) -> None:
    mode = journal.stat().st_mode
    if not mode & stat.S_IWUSR:
        journal.chmod(mode | stat.S_IWUSR)


def _storage_error(folder: Path, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
        free_MB = shutil.disk_usage(folder).free / 1e6
        return StorageFull(
            f"{folder}: the disk is full ({free_MB:.1f} MB free); nothing of this step was stored. "
            "Make room, then continue: nothing is lost"
        )
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StorageError(f"{folder / JOURNAL}: {error} ({name}); nothing of this step was stored")

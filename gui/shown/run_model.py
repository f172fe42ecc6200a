"""The run that the window shows: its rows, streams and events, wherever they come from.

Reading is done by a thread; this object lives on the main thread, takes the news and tells the
views what has changed. It never touches an instrument, and never waits except when it closes.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from acquisition.planning.point_table import AxisColumn
from acquisition.storage.record import Event, FitRow, StreamBatch
from acquisition.storage.run_folder import JOURNAL
from analysis.wavelength.units import energy_from_wavelength_eV
from gui.link.engine_link import EngineLink
from gui.shown.journal_follower import JournalFollower
from gui.shown.run_rows import NOTHING, RunRows
from gui.shown.shown_run import Detail, RunHead, RunNews, RunPhase
from gui.shown.stream_log import StreamLog
from gui.threads.memory import give_memory_back

if TYPE_CHECKING:
    from acquisition.configuration.config import Configuration
    from analysis.spectra.fit_curve import FitCurve
    from gui.shown.file_source import OpenedFile

__all__ = ["RunModel"]

Array = NDArray[np.float64]

LOADING_ms = 400
LEFT_ms = 1000  # after which no view draws the run before any more


class RunModel(QObject):
    """One run or file at a time; rows are those of the point table.

    rows_changed, fits_changed: lists of rows. failed: why something could not be opened or read;
    what was shown before stays. loaded: everything that was there when it was opened has come.
    """

    opened = pyqtSignal()
    loaded = pyqtSignal()
    rows_changed = pyqtSignal(list)
    fits_changed = pyqtSignal(list)
    streams_changed = pyqtSignal()
    events_changed = pyqtSignal(list)  # of Event
    phase_changed = pyqtSignal(object)  # RunPhase
    detail_came = pyqtSignal(object)  # Detail of the row asked for last
    trial_changed = pyqtSignal()
    failed = pyqtSignal(str)
    closed = pyqtSignal()

    trial: "FitCurve | None"

    _heard = pyqtSignal(int, object)  # from the reading thread: number of the opening, what

    def __init__(self, link: EngineLink | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opening = 0
        self._has_left = False
        self._follower: JournalFollower | None = None
        self._file: _FileReader | None = None
        self._leaving: list[JournalFollower | _FileReader] = []  # told to end, not joined yet
        self._clear()
        self._heard.connect(self._take)
        if link is not None:
            link.committed.connect(lambda _: self.look())
            link.fitted.connect(lambda _: self.look())

    # --- opening

    def open(self, path: Path) -> None:
        """Show a run folder, its journal, or a file; the answer comes by signal."""
        self._stop()
        self._opening += 1
        path = path.parent if path.name == JOURNAL else path
        if path.is_dir():
            hear = self._hearing()
            self._follower = JournalFollower(path, opened=hear, news=hear, detail=hear, failed=hear)
        else:
            self._file = _FileReader(path, self._hearing())

    def close(self) -> None:
        """Show nothing."""
        was_open = self.head is not None
        self._stop()
        for source in self._leaving:
            source.join()
        self._leaving.clear()
        self._clear()
        if was_open:
            self.closed.emit()
            give_memory_back()

    def look(self, *, for_old_fits: bool = False) -> None:
        """Look for news at once; for_old_fits: also where fits were missing long ago."""
        if self._follower is not None:
            self._follower.look(for_old_fits=for_old_fits)

    def ask_detail(self, point: int) -> None:
        """Ask for what lies behind a row; only the last question is answered."""
        if self._follower is not None:
            self._follower.want(point)
        elif self._file is not None:
            self._file.want(point)

    def show_trial(self, curve: "FitCurve | None") -> None:
        """Show a fit that somebody tries out instead of the stored one; None: no longer."""
        if curve is not self.trial:
            self.trial = curve
            self.trial_changed.emit()

    # --- what is shown

    @property
    def is_open(self) -> bool:
        return self.head is not None

    @property
    def patience_ms(self) -> int:
        """How long a view may wait with drawing what came: longer while a run is being loaded."""
        return 0 if self.is_loaded else LOADING_ms

    @property
    def is_running(self) -> bool:
        return self.phase is RunPhase.RUNNING

    @property
    def path(self) -> Path | None:
        """The run folder or file."""
        return None if self.head is None else self.head.path

    @property
    def has_journal(self) -> bool:
        """Whether a run folder is shown, and not a file."""
        return self._follower is not None

    @property
    def configuration(self) -> "Configuration | None":
        return None if self.head is None else self.head.configuration

    @property
    def axes(self) -> tuple[AxisColumn, ...]:
        return self.rows.plan.axes

    @property
    def size(self) -> int:
        return len(self.rows)

    def holds(self, point: int) -> bool:
        """Return whether a row is there and has counts."""
        return 0 <= point < self.size and bool(self.rows.state[point])

    def counts(self, point: int) -> NDArray[np.generic]:
        """Return the frames of a row added up, as stored; (pixels,)."""
        return self.rows.counts[point]

    def counts_per_frame(self, point: int) -> Array:
        """Return the mean of the row's frames, which fits are in units of."""
        mean: Array = self.rows.counts[point] / max(int(self.rows.frames[point]), 1)
        return mean

    def wavelength_nm(self, point: int) -> Array | None:
        """Return the vacuum wavelength of each pixel; None where it is not known."""
        return self.wavelengths.get(int(self.rows.axis[point]))

    def energy_eV(self, point: int) -> Array | None:
        """Return the photon energy of each pixel; None where it is not known."""
        return self.energies.get(int(self.rows.axis[point]))

    def fit(self, point: int) -> FitRow | None:
        return self.rows.fits.get(point)

    def label(self, point: int) -> str:
        """Return what tells this row from the others, in words."""
        plan = self.rows.plan
        if plan.labels and plan.labels[point]:
            return plan.labels[point]
        parts = [
            f"{axis.quantity.split('_')[0]} {plan.setpoints[axis.quantity][point]:g} {axis.unit}"
            for axis in plan.axes
            if axis.quantity in plan.setpoints and np.isfinite(plan.setpoints[axis.quantity][point])
        ]
        kind = plan.kind[point].value
        return ", ".join(part.strip() for part in parts) if kind == "sample" else kind

    @property
    def quantities(self) -> tuple[str, ...]:
        """The axes along which several rows of the sample lie, the longest first."""
        several = [axis for axis in self.axes if len(axis.values) > 1]
        several.sort(key=lambda axis: (axis.quantity == "repeat", -len(axis.values)))
        return tuple(axis.quantity for axis in several) or tuple(
            axis.quantity for axis in self.axes[:1]
        )

    def unit(self, quantity: str) -> str:
        return next((axis.unit for axis in self.axes if axis.quantity == quantity), "")

    def series(self, quantity: str, through: int) -> NDArray[np.intp]:
        """Return the sample's rows along an axis that share all else with the row `through`.

        Repeats count as the same. Measured or not; in order of the axis.
        """
        rows = self.rows
        chosen = rows.is_sample
        for axis in self.axes:
            if axis.quantity not in (quantity, "repeat") and 0 <= through < len(rows):
                column = rows.setpoint(axis.quantity)
                if np.isfinite(column[through]):
                    chosen &= column == column[through]
        found = np.flatnonzero(chosen)
        return found[np.argsort(rows.setpoint(quantity)[found], kind="stable")]

    # --- inside

    def _clear(self) -> None:
        self.head: RunHead | None = None
        self.phase = RunPhase.FILE
        self.rows = RunRows(NOTHING)
        self.wavelengths: dict[int, Array] = {}
        self.energies: dict[int, Array] = {}
        self.streams = StreamLog()
        self.events: list[Event] = []
        self.trial = None
        self.is_loaded = False

    def _stop(self) -> None:
        self._opening += 1  # what is still under way is not heard any more
        for source in (self._follower, self._file):
            if source is not None:
                source.end()
                self._leaving.append(source)
        self._leaving = [source for source in self._leaving if source.is_alive]
        self._follower = self._file = None

    def _hearing(self) -> Callable[[object], None]:
        return partial(self._heard.emit, self._opening)

    def _take(self, number: int, what: object) -> None:
        if number != self._opening:
            return
        match what:
            case RunHead():
                self._begin(what)
            case RunNews():
                self._take_news(what)
            case Detail():
                self.detail_came.emit(what)
            case str():
                self.failed.emit(what)

    def _take_news(self, news: RunNews) -> None:
        try:
            self._merge(news)
        except OSError as error:  # of the file in which the counts of a long run are kept
            self.failed.emit(f"{self.path}: not all of it can be shown: {error}")
        if self._follower is not None:
            self._follower.took()

    def _begin(self, head: RunHead) -> None:
        self._has_left = self.is_open  # another one, which the views forget as they draw
        self._clear()
        self.head, self.phase = head, head.phase
        self.rows = RunRows(head.plan)
        self.opened.emit()

    def _merge(self, news: RunNews) -> None:
        if news.plan is not None:
            self.rows = self.rows.grow(news.plan)
        self._learn_axes(news.axes)
        if news.rows is not None:
            self.rows.put(news.rows)
            self.rows_changed.emit(news.rows.point.tolist())
        if news.fits and (fitted := self.rows.put_fits(news.fits)):
            self.fits_changed.emit(fitted)
        self._log(news.streams)
        if news.events:
            self.events.extend(news.events)
            self.events_changed.emit(list(news.events))
        if news.phase is not None:
            self.phase = news.phase
            self.phase_changed.emit(news.phase)
        if news.is_all:
            self.is_loaded = True
            self.loaded.emit()
            if self._has_left:
                QTimer.singleShot(LEFT_ms, give_memory_back)

    def _log(self, streams: tuple[StreamBatch, ...]) -> None:
        for batch in streams:
            self.streams.put(batch)
        if streams:
            self.streams_changed.emit()

    def _learn_axes(self, axes: Mapping[int, Array]) -> None:
        for number, wavelength_nm in axes.items():
            self.wavelengths[number] = wavelength_nm
            if np.isfinite(wavelength_nm).all() and (wavelength_nm > 0).all():
                self.energies[number] = energy_from_wavelength_eV(wavelength_nm)


class _FileReader:
    """The thread that reads a file whole, and then answers for what lies behind its rows."""

    def __init__(self, path: Path, hear: Callable[[object], None]) -> None:
        self._path, self._hear = path, hear
        self._wanted: deque[int] = deque(maxlen=1)
        self._wake, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"read {path.name}", daemon=True)
        self._thread.start()

    def want(self, point: int) -> None:
        self._wanted.append(point)
        self._wake.set()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._end.set()
        self._wake.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        # imported here: the window is usable before all of the analysis is loaded
        from gui.shown.file_source import open_file  # noqa: PLC0415

        try:
            opened = open_file(self._path)
            self._hear(opened.head)
            for piece in opened.pieces():
                self._hear(piece)
            opened = opened.told()
            self._answer(opened)
        except (OSError, ValueError, LookupError) as error:
            text = str(error)
            self._hear(text if str(self._path) in text else f"{self._path}: {text}")

    def _answer(self, opened: "OpenedFile") -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._wanted and (detail := opened.detail(self._wanted.popleft())) is not None:
                self._hear(detail)

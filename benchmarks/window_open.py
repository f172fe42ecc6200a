"""What the window takes to show a run: opening 10 000 spectra, moving the cursor, keeping up.

    python benchmarks/window_open.py [--points 10000] [--seconds 20] [--file RUN_OR_FILE]

1. A made-up run of so many spectra of 1024 pixels, with fits of two lines, is opened, twice: time
   until all four views have painted every row of it, with the fit of the row at the cursor. The
   first time loads what the window loads beside itself when it starts.
2. The cursor is moved 200 times, to neighbours and all over the run: time until every view is
   painted, with fit, lines and residuals.
3. A run grows by 20 spectra per second with four views open: how long each view draws, how long the
   main thread did not answer, what the memory does.
--file: 1 and 2 with a run or file that is there.

In brackets: processor time of the main thread, which other work on the machine does not lengthen.
Allowed: 2 s to open, 50 ms for the cursor.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep, thread_time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PyQt6.QtCore import QEventLoop, QTimer
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QSplitter, QWidget

from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.storage.journal import Calibration, Journal
from acquisition.storage.record import Attempt, AttemptState, Event, FitRow, Level, StreamBatch
from acquisition.storage.run_meta import RunMeta
from gui.look import theme
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel
from gui.threads.garbage import GarbageHere
from gui.views.map import MapView
from gui.views.parameters import NO_LAW, ParametersView
from gui.views.redraw import Redraw
from gui.views.spectrum import SpectrumView
from gui.views.strips import StripsView

EXAMPLES = Path(__file__).parents[1] / "examples"
PIXELS = 1024
RATE_per_s = 20.0
MOVES = 200
NAMES = (
    "energy_1_eV",
    "energy_2_eV",
    "width_eV",
    "area_1_counts",
    "area_2_counts",
    "background_0",
    "background_1",
)
SPLITTING_eV = 2e-3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    app = QApplication(sys.argv[:1])
    theme.apply(app, theme.LIGHT)
    GarbageHere(app)
    if asked.file is not None:
        _open_and_browse(asked.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        _open_and_browse(_written(Path(folder) / "run", asked.points))
        if asked.seconds > 0:
            _follow(Path(folder) / "growing", asked.seconds)


def _open_and_browse(run: Path) -> None:
    _open(run, "first").close()
    memory_MB = _resident_MB()
    window = _open(run, "again")
    points, pixels = window.model.rows.counts.shape
    counts_MB = points * pixels * window.model.rows.counts.dtype.itemsize / 1e6
    print(
        f"  memory: {memory_MB:.0f} MB, {_resident_MB():.0f} MB (counts alone {counts_MB:.0f} MB)"
    )
    rng = np.random.default_rng(1)
    start = rng.integers(0, points)
    steps = [int(start + step) % points for step in range(MOVES // 2)]
    jumps = rng.integers(0, points, MOVES // 2).tolist()
    for name, rows in (("step", steps), ("jump", jumps)):
        ticks = _Ticks()
        wall, busy = zip(*(_move(window, row) for row in rows), strict=True)
        ms = sorted(1e3 * one for one in wall)
        print(
            f"cursor, {len(rows)} {name}s, until painted with its fit: median {median(ms):.0f} ms "
            f"({1e3 * median(busy):.0f} ms), 95 % {ms[int(0.95 * (len(ms) - 1))]:.0f} ms, longest "
            f"{ms[-1]:.0f} ms ({1e3 * max(busy):.0f} ms); longest without an answer "
            f"{ticks.longest_ms:.0f} ms"
        )
        ticks.stop()
    window.close()


def _open(run: Path, which: str) -> "_Window":
    window = _Window()
    ticks = _Ticks()
    start, busy_s, all_s = perf_counter(), thread_time(), process_time()
    window.model.open(run)
    _until(lambda: window.model.is_loaded)
    middle = int(np.flatnonzero(window.model.rows.is_measured)[window.model.size // 2])
    window.cursor.set_point(middle)
    _until(lambda: window.detailed == middle and window.is_drawn())
    QApplication.processEvents()
    points, pixels = window.model.rows.counts.shape
    print(
        f"open {points} spectra x {pixels} px, {which}, until all is painted: "
        f"{perf_counter() - start:.2f} s ({thread_time() - busy_s:.2f} s; all threads "
        f"{process_time() - all_s:.2f} s); longest without an answer {ticks.longest_ms:.0f} ms"
    )
    ticks.stop()
    return window


def _move(window: "_Window", row: int) -> tuple[float, float]:
    if row == window.cursor.point:
        row = (row + 1) % window.model.size
    start, busy = perf_counter(), thread_time()
    window.detailed = -1
    window.cursor.set_point(row)
    _until(lambda: window.detailed == row and window.is_drawn())
    QApplication.processEvents()
    return perf_counter() - start, thread_time() - busy


def _follow(folder: Path, seconds: float) -> None:
    total = int(seconds * RATE_per_s)
    journal = _begun(folder, total)
    window = _Window()
    window.model.open(folder)
    _until(lambda: window.model.is_loaded)
    drawn = {view: _timed(view) for view in window.views}
    memory_MB, ticks = _resident_MB(), _Ticks()
    journal.close()
    writer = multiprocessing.get_context("spawn").Process(
        target=_write_slowly, args=(folder, total)
    )
    writer.start()
    poke = QTimer()  # as the link's committed signal does
    poke.timeout.connect(window.model.look)
    poke.start(33)
    window.model.rows_changed.connect(lambda rows: window.cursor.set_point(rows[-1]))
    _until(lambda: int(window.model.rows.is_measured.sum()) == total, longest_s=3 * seconds + 60)
    poke.stop()
    writer.join()
    print(f"{RATE_per_s:g} spectra/s for {seconds:g} s, {len(window.views)} views:")
    for view, took in drawn.items():
        ms = sorted(1e3 * one for one in took)
        print(
            f"  {type(view).__name__:<14} drawn {len(ms) / seconds:.1f} times a second, median "
            f"({median(ms):.1f} ms), 99 % below ({ms[int(0.99 * (len(ms) - 1))]:.1f} ms)"
        )
    print(f"  longest time without an answer: {ticks.longest_ms:.0f} ms")
    print(f"  memory: {memory_MB:.0f} MB at first, {_resident_MB():.0f} MB at the end")
    ticks.stop()
    window.close()


class _Window:
    """Four views side by side, as in the window."""

    def __init__(self) -> None:
        self.model, self.cursor = RunModel(), Cursor()
        self.detailed = -1
        self.model.detail_came.connect(self._on_detail)
        parameters = ParametersView(self.model, self.cursor)
        self.views: list[QWidget] = [
            SpectrumView(self.model, self.cursor),
            MapView(self.model, self.cursor),
            parameters,
            StripsView(None, self.model, self.cursor),
        ]
        parameters.set_law(NO_LAW)  # its process is not measured here
        self.shell = QWidget()
        row = QHBoxLayout(self.shell)
        for pair in (self.views[:2], self.views[2:]):
            split = QSplitter()
            for view in pair:
                split.addWidget(view)
            row.addWidget(split)
        self.shell.resize(1920, 1080)
        self.shell.show()
        self._redraws = [redraw for view in self.views for redraw in view.findChildren(Redraw)]

    def _on_detail(self, detail: object) -> None:
        self.detailed = detail.point  # type: ignore[attr-defined]

    def is_drawn(self) -> bool:
        return not any(redraw.is_due for redraw in self._redraws)

    def close(self) -> None:
        self.shell.close()
        self.model.close()
        self.shell.deleteLater()


class _Ticks:
    """A timer of 5 ms on the main thread; the longest gap is when nothing was answered."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._last = perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    def _tick(self) -> None:
        now = perf_counter()
        self.longest_ms = max(self.longest_ms, 1e3 * (now - self._last) - 5.0)
        self._last = now

    def stop(self) -> None:
        self._timer.stop()


def _timed(view: QWidget) -> list[float]:
    """Let a view note how long each of its drawings and paintings takes."""
    took: list[float] = []
    redraw = view.findChildren(Redraw)[0]
    draw = redraw._draw  # noqa: SLF001

    def timed() -> None:
        busy = thread_time()
        draw()
        view.grab()  # paints, which Qt would do a little later
        took.append(thread_time() - busy)

    redraw._draw = timed  # noqa: SLF001
    return took


def _until(is_so: object, longest_s: float = 120.0) -> None:
    end = perf_counter() + longest_s
    while not is_so():  # type: ignore[operator]
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if perf_counter() > end:
            raise SystemExit("that took too long")


def _resident_MB() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1]) / 1024
    return float("nan")


# --- runs


def _values(points: int) -> list[float]:
    return [-100.0 + 200.0 * i / (points - 1) for i in range(points)]


def _begun(folder: Path, points: int) -> Journal:
    folder.mkdir()
    values = _values(points)
    table = PointTable(
        (AxisColumn("field_kV_per_cm", "kV/cm", tuple(values)),),
        tuple(
            Point(i, PointKind.SAMPLE, 1.0, 1, 5.5, field_kV_per_cm=value, cell=(i,))
            for i, value in enumerate(values)
        ),
    )
    meta = RunMeta(
        title="benchmark",
        sample="made up",
        run_uuid="0a1b2c3d" * 4,
        created_utc=1.8e9,
        pixels=PIXELS,
        counts_dtype="i4",
        readings={"temperature_K": "K", "field_kV_per_cm": "kV/cm"},
        sweep_toml=(EXAMPLES / "stark.toml").read_text(),
        station_toml=(EXAMPLES / "station_simulated.toml").read_text(),
        app_version="0",
    )
    journal = Journal.create(folder, table, meta)
    journal._db.execute("PRAGMA synchronous=0")  # noqa: SLF001 - the disk is not measured here
    journal.begin_segment(0.0, 1.8e9)
    journal.note([Event(0.0, 1.8e9, Level.INFO, "segment", "segment 1 begins")])
    axis = np.linspace(515.0, 522.0, PIXELS)
    journal.calibrate(Calibration("wavelength", 0.0, axis, {"medium": "vacuum"}))
    return journal


def _put(journal: Journal, points: int, i: int, noise: np.ndarray) -> None:
    axis = np.linspace(515.0, 522.0, PIXELS)
    field = -100.0 + 200.0 * i / (points - 1)
    energy = 2.392 - 4e-8 * field**2
    lines = (
        height * np.exp(-0.5 * ((axis - 1239.84198 / place) / 0.05) ** 2)
        for place, height in ((energy, 2000.0), (energy + SPLITTING_eV, 1000.0))
    )
    counts = (1000.0 + sum(lines) + noise).astype("<i4")[None]
    values = np.array([energy, energy + SPLITTING_eV, 5.4e-4, 3.67e4, 1.83e4, 0.0, 0.0])
    fit = FitRow(
        i, i + 1, "m", "1", "converged", "", NAMES, values, values * 1e-6 + 1e-9, np.eye(7), 1.0
    )
    attempt = Attempt(
        i,
        AttemptState.OK,
        1,
        float(i),
        i + 1.0,
        1.0,
        counts,
        np.array([float(i)]),
        {"temperature_K": 5.5, "field_kV_per_cm": field},
        1,
    )
    batch = StreamBatch("temperature_K", "K", np.array([i, i + 0.5]), np.array([5.5, 5.51]))
    journal.put(attempt, accept=True, streams=[batch], fits=[fit])


def _written(folder: Path, points: int) -> Path:
    rng = np.random.default_rng(1)
    with _begun(folder, points) as journal:
        for i in range(points):
            _put(journal, points, i, rng.normal(0.0, 30.0, PIXELS))
        journal.note([Event(float(points), 1.8e9, Level.INFO, "finished", "completed")])
    return folder


def _write_slowly(folder: Path, points: int) -> None:
    rng = np.random.default_rng(2)
    with Journal.open(folder) as journal:
        journal._db.execute("PRAGMA synchronous=0")  # noqa: SLF001
        start = perf_counter()
        for i in range(points):
            sleep(max(0.0, start + i / RATE_per_s - perf_counter()))
            _put(journal, points, i, rng.normal(0.0, 30.0, PIXELS))


if __name__ == "__main__":
    main()

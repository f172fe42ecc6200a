"""How smoothly the window draws a run of 20 spectra per second, and how late a spectrum is seen.

    python benchmarks/window_redraw.py [--seconds 40] [--fit] [--start]

One run of 1024 pixels with the real drivers on simulators in another process, watched by the real
window (offscreen, 1920 x 1080) with spectrum, map, parameters and monitors in sight. --fit: every
spectrum is fitted while the run goes on, which needs a third core. A gap is the
time between two paintings of the same plot while spectra come; a stall is the time the window's
event loop does not get round to a timer of 5 ms. Lateness is counted from the end of a spectrum's
exposure to the end of the first painting after its row has come.

--start: also how long a new window takes from nothing to answering its keyboard, with every file
it reads pushed out of the memory first.

Allowed: no gap above 100 ms, lateness at most 100 ms (95 %), start at most 3 s.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import numpy as np
from quick_series import quick_series

from acquisition.channel.messages import Committed, FrameArrived

ALLOWED_S = 0.1
ALLOWED_START_S = 3.0
RUN = ("-P", "-c", "from acquisition.cli import main; main()", "run")
ROWS = 3000
WARM_UP_S = 5.0  # of the run
ROUND_S = 0.1
FEWEST = 10  # paintings of a plot that shows something of the run
TIMED_START = """
import sys
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtTest import QTest
from gui import app
shown = app.open_window
def timed(*args, **options):
    window = shown(*args, **options)
    def answer():
        QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
        if not window.palette_.isVisible():
            QTimer.singleShot(5, answer)
            return
        print("usable", flush=True)
        window.close_for_good()
    QTimer.singleShot(0, answer)
    return window
app.open_window = timed
sys.exit(app.main(["--no-engine"]))
"""


class Painted:
    """When each plot was painted, and how long the event loop stood still."""

    def __init__(self) -> None:
        self.at_s: dict[str, list[float]] = {}
        self.stalls_s: list[float] = []
        self.busy_s: list[float] = []  # computing between two turns of the event loop
        self.ready_s: dict[int, float] = {}  # row -> end of its exposure
        self.late_s: list[float] = []
        self.commits: list[int] = []
        self.came_s: list[float] = []  # when rows were heard of
        self.all_cpu_s = self._all_cpu_s = 0.0  # of the whole process
        self._waiting: list[float] = []
        self._last_s = time.perf_counter()
        self._last_cpu_s = time.thread_time()

    def paint(self, plot: str) -> None:
        self.at_s.setdefault(plot, []).append(time.perf_counter())

    def shown(self) -> None:
        """Take down that the newest spectrum was painted: what waited is seen."""
        now = time.time()
        self.late_s += [now - ready for ready in self._waiting]
        self._waiting.clear()

    def heard(self, rows: list[Committed]) -> None:
        self.commits += [row.point for row in rows]
        self.came_s.append(time.perf_counter())

    def rows(self, rows: list[int]) -> None:
        self._waiting += [self.ready_s.pop(row) for row in rows if row in self.ready_s]

    def begin(self) -> None:
        """Forget what was before."""
        for noted in (
            self.at_s,
            self.stalls_s,
            self.busy_s,
            self.late_s,
            self.commits,
            self.came_s,
        ):
            noted.clear()
        self._waiting.clear()
        self._all_cpu_s = time.process_time()
        self._last_s = time.perf_counter()
        self._last_cpu_s = time.thread_time()

    def end(self) -> None:
        self.all_cpu_s = time.process_time() - self._all_cpu_s

    def tick(self) -> None:
        now = time.perf_counter()
        self.stalls_s.append(now - self._last_s)
        self._last_s = now
        cpu_s = time.thread_time()
        self.busy_s.append(cpu_s - self._last_cpu_s)
        self._last_cpu_s = cpu_s


def watch(seconds: float, settings: Path) -> tuple[Painted, float]:
    """Open the window on the run that goes on; return what was painted, and rows per second."""
    from four_views import four_views
    from PyQt6.QtCore import QEvent, QEventLoop, QObject, QTimer
    from PyQt6.QtWidgets import QApplication, QGraphicsView, QWidget

    from gui.plotting.plots import Plot

    app = QApplication(["benchmark"])  # outlives its window
    window = four_views(app, settings)
    painted = Painted()

    class Eye(QObject):
        """Sees when a plot has been painted."""

        def __init__(self, name: str, of: QWidget) -> None:
            super().__init__(of)
            self._name = name
            of.installEventFilter(self)

        def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
            if event is not None and event.type() == QEvent.Type.Paint:
                painted.paint(self._name)
                if self._name.startswith("spectrum"):
                    QTimer.singleShot(0, painted.shown)
            return False

    def spin(span_s: float) -> None:
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * span_s), loop.quit)
        loop.exec()

    def on_frames(frames: list[tuple[FrameArrived, object, object]]) -> None:
        painted.ready_s.update({f.point: f.start_utc + f.exposure_s for f, _, _ in frames})

    window.link.frames.connect(on_frames)
    window.link.committed.connect(painted.heard)
    window.model.rows_changed.connect(painted.rows)
    while not painted.commits:
        spin(ROUND_S)
    spin(WARM_UP_S)
    for key, widget in window.docks.built.items():
        for number, plot in enumerate(widget.findChildren(Plot)):
            if plot.isVisible():
                graphics = plot.findChild(QGraphicsView)
                assert graphics is not None  # noqa: S101
                Eye(f"{key} {number}", cast(QWidget, graphics.viewport()))
    painted.begin()
    ticking = QTimer()
    ticking.timeout.connect(painted.tick)
    ticking.start(5)
    spin(seconds)
    ticking.stop()
    painted.end()
    rate = len(painted.commits) / seconds
    window.close_for_good()
    return painted, rate


def report(painted: Painted, rate: float, seconds: float) -> bool:
    share = painted.all_cpu_s / seconds
    print(f"{rate:.1f} rows per second; the window takes {100 * share:.0f} % of a core")
    shown = {plot: np.diff(at_s) for plot, at_s in painted.at_s.items() if len(at_s) > FEWEST}
    shown = {"rows come": np.diff(painted.came_s), **dict(sorted(shown.items()))}
    for plot, gaps_s in shown.items():
        print(
            f"{plot:>14}: {len(gaps_s) + 1} times, gaps median {1e3 * np.median(gaps_s):.0f} "
            f"ms, 99 % {1e3 * np.percentile(gaps_s, 99):.0f}, longest {1e3 * gaps_s.max():.0f}"
        )
    worst_s = max(gaps_s.max() for gaps_s in shown.values())
    stall_s = max(painted.stalls_s)
    busy_s = np.array(painted.busy_s)
    print(
        f"the event loop: longest stall {1e3 * stall_s:.0f} ms; computing between two of its turns "
        f"99 % {1e3 * np.percentile(busy_s, 99):.0f} ms, longest {1e3 * busy_s.max():.0f} ms, in "
        f"all {1e3 * busy_s.sum() / max(len(painted.commits), 1):.0f} ms per row"
    )
    middle, most, worst = np.percentile(painted.late_s, [50, 95, 100])
    print(
        f"a spectrum is seen {1e3 * middle:.0f} ms after its exposure (median), 95 % within "
        f"{1e3 * most:.0f} ms, all within {1e3 * worst:.0f} ms, of {len(painted.late_s)}; allowed "
        f"{1e3 * ALLOWED_S:.0f} ms"
    )
    return bool(worst_s <= ALLOWED_S and most <= ALLOWED_S)


def start_s() -> float:
    """Return how long a window takes from nothing to answering its keyboard."""
    _push_out_of_memory()
    began = time.perf_counter()
    command = [sys.executable, "-P", "-c", TIMED_START]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as window:
        assert window.stdout is not None  # noqa: S101
        line = window.stdout.readline()
        took_s = time.perf_counter() - began
    if line.strip() != b"usable":
        raise RuntimeError("the window did not start")
    return took_s


def _push_out_of_memory() -> None:
    """Ask the system to forget the files a window reads, as after a start of the machine."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()
    import PyQt6  # where the packages lie

    for root in (Path(PyQt6.__file__).parents[1], Path(__file__).parents[1] / "gui"):
        for file in root.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    """Serve, run, watch, report; 1 if more than allowed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    is_good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CRYOSCAN_RUNTIME"] = str(folder / "runtime")
        if options.start:
            os.environ["XDG_CONFIG_HOME"] = str(folder)
            took_s = [start_s() for _ in range(5)]
            shown = ", ".join(f"{one:.2f}" for one in took_s)
            print(f"start to usable: {shown} s; allowed {ALLOWED_START_S:g} s")
            is_good = max(took_s) <= ALLOWED_START_S
        with quick_series(folder, ROWS, is_fitted=options.fit) as (sweep, station):
            command = [sys.executable, *RUN, str(sweep), "--station", str(station), "--no-final"]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
                try:
                    is_good &= report(
                        *watch(options.seconds, folder / "window.ini"), options.seconds
                    )
                finally:
                    run.terminate()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the window's memory does over a run of 100 000 spectra that grows while it is watched.

    python benchmarks/window_memory.py [--points 100000] [--at-once 200]

A made-up run of 1024 pixels with fits and a monitor grows by so many rows at a time, as fast as the
window takes them; four views are open, and the cursor follows the newest row. Printed is what the
process holds of memory as the run grows: all of it, and what is left when the run is closed.
What grows with a run at all: setpoints, readings, fits and states, 8 bytes a number, and the
monitors' readings, 16 bytes each; counts lie in a file (see gui/shown/row_counts.py).
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PyQt6.QtWidgets import QApplication
from window_open import PIXELS, _begun, _put, _resident_MB, _until, _Window

from acquisition.storage.journal import Journal
from gui.look import theme
from gui.threads.garbage import GarbageHere


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=200)
    asked = parser.parse_args()
    app = QApplication(sys.argv[:1])
    theme.apply(app, theme.LIGHT)
    GarbageHere(app)
    with tempfile.TemporaryDirectory() as name:
        _watch(Path(name) / "run", asked.points, asked.at_once)


def _watch(folder: Path, points: int, at_once: int) -> None:
    _begun(folder, points).close()
    ours, theirs = multiprocessing.Pipe()
    writer = multiprocessing.get_context("spawn").Process(
        target=_write, args=(folder, points, at_once, theirs)
    )
    writer.start()
    ours.recv()  # it holds the journal: the run is on
    window = _Window()
    window.model.open(folder)
    _until(lambda: window.model.is_loaded)
    window.model.rows_changed.connect(lambda rows: window.cursor.set_point(rows[-1]))
    start_MB = _resident_MB()
    print(f"{points} spectra of {PIXELS} pixels: counts alone are {points * PIXELS * 4e-6:.0f} MB")
    print(f"  before the first: {start_MB:.0f} MB")
    for measured in range(at_once, points + 1, at_once):
        ours.send(measured)
        _until(lambda measured=measured: _shown(window) >= measured, longest_s=600.0)
        _until(window.is_drawn)
        if measured % (points // 10) < at_once:
            print(f"  after {measured}: {_resident_MB():.0f} MB", flush=True)
    print(f"  more than before: {_resident_MB() - start_MB:.0f} MB")
    ours.send(None)
    writer.join()
    window.close()
    QApplication.processEvents()
    print(f"  closed: {_resident_MB():.0f} MB")


def _shown(window: _Window) -> int:
    window.model.look()
    return int(np.count_nonzero(window.model.rows.is_measured))


def _write(folder: Path, points: int, at_once: int, asked: Connection) -> None:
    rng = np.random.default_rng(1)
    with Journal.open(folder) as journal:
        journal._db.execute("PRAGMA synchronous=0")  # noqa: SLF001 - the disk is not measured here
        asked.send("begun")
        while (until := asked.recv()) is not None:
            for i in range(until - at_once, until):
                _put(journal, points, i, rng.normal(0.0, 30.0, PIXELS))


if __name__ == "__main__":
    main()

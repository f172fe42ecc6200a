"""Fits in a process of their own: what they do, take or break costs nothing but the fit.

The worker reads accepted spectra without a fit from the journal, newest first, and prints one JSON
line per fit; the engine writes them. Lines: {"begin": attempt} before each fit, {"idle": true}
when there is nothing to do.
"""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from acquisition.fit_rows import row_from_json, row_to_json
from acquisition.point_fitter import PointFitter
from acquisition.point_table import Point
from acquisition.record import Attempt, FitRow
from drivers.clock import RealClock

__all__ = ["FitWorker", "main"]

logger = logging.getLogger(__name__)

POLL_S = 0.1
LONGEST_FIT_S = 20.0
MOST_RESTARTS = 5


class FitWorker:
    """The engine's side: starts the process, reads its lines, kills it when it hangs."""

    def __init__(self, folder: Path, fitter: PointFitter) -> None:
        self._folder = folder
        self._fitter = fitter
        self._clock = RealClock()
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._busy_with: int | None = None
        self._busy_since_s = 0.0
        self._restarts = 0
        self._unfitted = 0
        self.is_idle = False
        self._process: subprocess.Popen[str] | None = self._start()

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        """Nothing to tell: the worker looks into the journal."""
        self.is_idle = False

    def results(self) -> Sequence[FitRow]:
        """Return what was finished since the last call; never waits."""
        rows: list[FitRow] = []
        while (line := self._next_line()) is not None:
            self._take(line, rows)
        self._watch(rows)
        return rows

    def finish(self, longest_s: float) -> Sequence[FitRow]:
        """Wait until every fit is done, at most that long, and end the process."""
        rows: list[FitRow] = []
        end_s = self._clock.now() + longest_s
        self.is_idle = False
        while not self.is_idle and self._process is not None and self._clock.now() < end_s:
            rows.extend(self.results())
            self._clock.wait(POLL_S / 2)
        self.close()
        return rows

    def close(self) -> None:
        """End the process; closing twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None  # noqa: S101
            process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "acquisition.fit_worker", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        Thread(target=self._read, args=(process,), name="fit worker", daemon=True).start()
        return process

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # noqa: S101
        try:
            for line in process.stdout:
                self._lines.put(line)
        except ValueError:
            logger.debug("the fit worker's pipe was closed")

    def _next_line(self) -> str | None:
        try:
            return self._lines.get_nowait()
        except Empty:
            return None

    def _take(self, line: str, rows: list[FitRow]) -> None:
        message = json.loads(line)
        if "begin" in message:
            self._busy_with, self._busy_since_s = int(message["begin"]), self._clock.now()
            self.is_idle = False
        elif "idle" in message:
            self.is_idle = True
        else:
            self._busy_with = None
            rows.append(row_from_json(line))

    def _watch(self, rows: list[FitRow]) -> None:
        """Replace a worker that died or hangs; the fit that did it is recorded as failed."""
        if self._process is None:
            return
        died = self._process.poll() is not None and self._lines.empty()
        busy_s = self._clock.now() - self._busy_since_s
        hangs = self._busy_with is not None and busy_s > LONGEST_FIT_S
        if not (died or hangs):
            return
        reason = f"hung for {LONGEST_FIT_S:g} s" if hangs else "the fit process died"
        logger.warning("fit of attempt %s: %s", self._busy_with, reason)
        if self._busy_with is not None:
            rows.append(self._fitter.failed(self._busy_with, reason))
            self._busy_with = None
        self.close()
        self._restarts += 1
        if self._restarts <= MOST_RESTARTS:
            self._process = self._start()
        else:
            logger.error("the fit process died %d times: no more live fits", self._restarts)


def main() -> None:
    """Fit the backlog of the run in argv[1] until killed; exit when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from acquisition.point_fitter import open_fitter  # noqa: PLC0415 - after the signal is ignored

    fitter = open_fitter(Path(sys.argv[1]))
    clock = RealClock()
    given: set[int] = set()
    was_idle = False
    while True:
        backlog = [key for key in fitter.backlog() if key not in given]
        if not backlog:
            if not was_idle:
                print('{"idle": true}', flush=True)
            was_idle = True
            clock.wait(POLL_S)
            continue
        was_idle = False
        given.add(backlog[0])
        print(json.dumps({"begin": backlog[0]}), flush=True)
        print(_fit_line(fitter, backlog[0]), flush=True)


def _fit_line(fitter: PointFitter, key: int) -> str:
    try:
        return row_to_json(fitter.fit(key))
    except Exception as error:  # one spectrum must not end the fits of the others
        return row_to_json(fitter.failed(key, f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()

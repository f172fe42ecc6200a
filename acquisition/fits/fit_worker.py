"""Fits in a process of their own: what they do, take or break costs nothing but the fit.

The worker reads accepted spectra without a fit from the journal, newest first, and prints one JSON
line per fit; the engine writes them. Lines: {"begin": attempt} before each fit, and {"idle":
attempt} when nothing is left to do up to this attempt; first of all {"kernels": what fits}, which a
worker that replaces another is made to use as well. The worker ends when its standard input
does: with the engine, however that ends.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from acquisition.fits.fit_rows import row_from_json, row_to_json
from acquisition.fits.point_fitter import PointFitter
from acquisition.planning.point_table import Point
from acquisition.storage.record import Attempt, FitRow
from analysis.estimation import kernels
from drivers.clock import RealClock

__all__ = ["FitWorker", "main"]

logger = logging.getLogger(__name__)

POLL_S = 0.1
LONGEST_FIT_S = 20.0
MOST_RESTARTS = 5
LONGEST_LOAD_S = 10.0  # of kernels that were compiled before
NICENESS = 10  # the engine comes first


class FitWorker:
    """The engine's side: starts the process, reads its lines, kills it when it hangs.

    longest_fit_s: after which a fit hangs. report: is told what does the fits, once it is known.
    """

    def __init__(
        self, folder: Path, fitter: PointFitter, *, longest_fit_s: float = LONGEST_FIT_S
    ) -> None:
        self._folder = folder
        self._fitter = fitter
        self._longest_fit_s = longest_fit_s
        self._clock = RealClock()
        self.report: Callable[[str], None] = logger.info
        self._busy_with: int | None = None
        self._busy_since_s = 0.0
        self._failed: list[int] = []  # attempts that are not tried again
        self._kernels: str | None = None  # a run never changes them midway
        self._restarts = 0
        self._latest = 0  # attempt
        self._idle_at = -1  # attempt up to which the worker had nothing to do
        self._process: _Process | None = self._start()

    @property
    def is_idle(self) -> bool:
        """Return whether every fit that was to be done is done."""
        return self._idle_at >= self._latest

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        """Nothing to tell: the worker looks into the journal."""
        self._latest = key

    def results(self) -> Sequence[FitRow]:
        """Return what was finished since the last call; never waits."""
        rows: list[FitRow] = []
        while self._process is not None and (line := self._process.next_line()) is not None:
            self._take(line, rows)
        self._watch(rows)
        return rows

    def finish(self, longest_s: float) -> Sequence[FitRow]:
        """Wait until every fit is done, at most that long, and end the process."""
        rows: list[FitRow] = []
        end_s = self._clock.now() + longest_s
        while not self.is_idle and self._process is not None and self._clock.now() < end_s:
            self._clock.wait(POLL_S / 4)
            rows.extend(self.results())
        self.close()
        return rows

    def close(self) -> None:
        """End the process; closing twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _start(self) -> "_Process":
        chosen = {kernels.VARIABLE: self._kernels} if self._kernels else {}
        return _Process(_command(self._folder, self._failed), {**os.environ, **chosen})

    def _take(self, line: str, rows: list[FitRow]) -> None:
        match _message(line):
            case {"begin": int(attempt)}:
                self._busy_with, self._busy_since_s = attempt, self._clock.now()
            case {"kernels": str(code)}:
                if code != self._kernels:
                    self.report(f"live fits by {kernels.FitCode(code).in_words}")
                self._kernels = code
            case {"idle": int(attempt)}:
                self._idle_at = attempt
            case {"attempt": int(attempt)} if attempt == self._busy_with:
                self._busy_with = None
                rows.append(row_from_json(line))
            case _:
                logger.warning("the fit process printed %r", line[:200])

    def _watch(self, rows: list[FitRow]) -> None:
        """Replace a worker that died or hangs; the fit that did it is recorded as failed."""
        if self._process is None:
            return
        busy_s = self._clock.now() - self._busy_since_s
        hangs = self._busy_with is not None and busy_s > self._longest_fit_s
        if not (hangs or self._process.has_ended):
            return
        reason = f"hung for {self._longest_fit_s:g} s" if hangs else "the fit process died"
        logger.warning("fit of attempt %s: %s", self._busy_with, reason)
        if self._busy_with is not None:
            rows.append(self._fitter.failed(self._busy_with, reason))
            self._failed.append(self._busy_with)
            self._busy_with = None
        self._replace()

    def _replace(self) -> None:
        self.close()
        self._restarts += 1
        if self._restarts <= MOST_RESTARTS:
            self._process = self._start()
        else:
            logger.error("the fit process died %d times: no more live fits", self._restarts)


class _Process:
    """The process and its lines."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
        self._reader = Thread(target=self._read, name="fit worker", daemon=True)
        self._reader.start()

    @property
    def has_ended(self) -> bool:
        """Return whether the process is gone and everything it printed was taken."""
        return not self._reader.is_alive() and self._lines.empty()

    def next_line(self) -> str | None:
        try:
            return self._lines.get_nowait()
        except Empty:
            return None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101 - both were asked for
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self._lines.put(line)


def _command(folder: Path, failed: Sequence[int]) -> list[str]:
    """Return how the process is started; -P keeps a user's own analysis.py out of its way."""
    worker = ["-P", "-m", "acquisition.fits.fit_worker"]
    return [sys.executable, *worker, str(folder), *map(str, failed)]


def _message(line: str) -> Mapping[str, object]:
    """Return the line as a JSON object, an empty one if it is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def main() -> None:
    """Fit the backlog of the run in argv[1], except for the attempts that follow there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_engine, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    from acquisition.fits.point_fitter import open_fitter  # noqa: PLC0415 - after the signal is ignored

    fitter = open_fitter(Path(sys.argv[1]))
    _say({"kernels": kernels.settle(longest_s=LONGEST_LOAD_S).value})
    clock = RealClock()
    given = set(map(int, sys.argv[2:]))
    idle_at = -1
    while True:
        latest = fitter.latest_attempt()
        key = next((key for key in fitter.backlog() if key not in given), None)
        if key is not None:
            given.add(key)
            _say({"begin": key})
            print(_fit_line(fitter, key), flush=True)
        elif latest != idle_at:
            idle_at = latest
            _say({"idle": latest})
        else:
            clock.wait(POLL_S)


def _end_with_the_engine() -> None:
    """Wait for the end of standard input, which the engine holds open, and leave at once."""
    sys.stdin.buffer.read()
    os._exit(0)


def _say(message: Mapping[str, int | str]) -> None:
    print(json.dumps(message), flush=True)


def _fit_line(fitter: PointFitter, key: int) -> str:
    try:
        return row_to_json(fitter.fit(key))
    except Exception as error:  # one spectrum must not end the fits of the others
        return row_to_json(fitter.failed(key, f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()

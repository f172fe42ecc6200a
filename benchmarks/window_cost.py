"""What a watcher costs the engine: CPU per point with and without one, and how late frames are.

    python benchmarks/window_cost.py [--pairs 20] [--points 40] [--window | --watchers 1] [--quick]

One run of 1024 pixels at about 20 spectra per second, with the real drivers on simulators in
another process. Its points come in blocks, watched and unwatched in turn, the first of each pair
being the other one every time, so that a busy machine is busy for both. The engine's CPU time (user
and system, all threads, the server's too) is taken at each commit. A watcher is a process of its
own that reads everything; --window: it is the whole window (offscreen, 1920 x 1080, four views in
sight), which opens the run anew for each of its blocks.

--quick: with the few instruments of quick_series, whose points cost the engine half as much.

Allowed: the median ratio of CPU per point at most 1.03; 95 % of frames within 100 ms beyond their
exposure (of plain watchers; window_redraw.py times what is painted).
"""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
from quick_series import quick_series
from simulated_run import in_process

from acquisition.channel.commands import CommandQueue
from acquisition.channel.engine_address import list_engines
from acquisition.channel.messages import FrameArrived
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from acquisition.configuration.config import load
from acquisition.instruments.laboratory import open_laboratory
from acquisition.planning.expand import expand
from acquisition.running.doors import Watcher
from acquisition.running.execution import execute
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.running.run_server import served
from acquisition.storage.journal import Journal

ALLOWED_RATIO = 1.03
ALLOWED_S = 0.1
ATTACH, DETACH = b"a", b"d"
SETTLING = 10  # points at the beginning of a block that belong to neither side


def watch() -> None:
    """Attach and detach as standard input says; then print how late each frame was."""
    late_s: list[float] = []
    (address,) = list_engines()
    print("ready", flush=True)
    while os.read(0, 1) == ATTACH:
        link = WatcherLink.connect(address, "benchmark")
        with suppress(LinkLost):  # the run has ended
            while not select.select([0], [], [], 0.0)[0]:
                late_s += _lateness(link)
        os.read(0, 1)
        link.close()
    sys.stdout.buffer.write(np.array(late_s).tobytes())


def watch_by_window() -> None:
    """Open a window; let it watch and leave as standard input says, until that ends."""
    from four_views import four_views  # here: only this process has a window
    from PyQt6.QtCore import QSocketNotifier
    from PyQt6.QtWidgets import QApplication
    from PyQt6.sip import voidptr

    app = QApplication(["benchmark"])
    with tempfile.TemporaryDirectory() as folder:
        window = four_views(app, Path(folder) / "window.ini")
        window.link.leave()

        def obey() -> None:
            match os.read(0, 1):
                case b"a":
                    (engine,) = list_engines()
                    window.link.follow(lambda: engine)
                    window.model.open(Path(engine.run_folder))
                    window.follower.to_latest()
                case b"d":
                    window.link.leave()
                    window.model.close()
                case _:
                    orders.setEnabled(False)
                    window.close_for_good()

        orders = QSocketNotifier(voidptr(0), QSocketNotifier.Type.Read)
        orders.activated.connect(obey)
        print("ready", flush=True)
        app.exec()


def _lateness(link: WatcherLink) -> list[float]:
    arrivals = link.receive(0.02)
    now = time.time()
    return [
        now - message.start_utc - message.exposure_s
        for message, _ in arrivals
        if isinstance(message, FrameArrived)
    ]


class Blocks:
    """Takes the CPU time at each commit, and tells the watchers at the edge of each block."""

    def __init__(self, points: int, pairs: int) -> None:
        self._points = points
        self._is_watched = [(pair + half) % 2 == 1 for pair in range(pairs) for half in range(2)]
        self._cpu_s: list[float] = []
        self.watchers: list[subprocess.Popen[bytes]] = []

    @property
    def total(self) -> int:
        return self._points * len(self._is_watched)

    def committed(self) -> None:
        place = len(self._cpu_s)
        block, within = divmod(place, self._points)
        self._cpu_s.append(time.process_time())
        if within == 0 and block < len(self._is_watched):
            watched, before = self._is_watched[block], block > 0 and self._is_watched[block - 1]
            if watched != before:
                self._tell(ATTACH if watched else DETACH)

    def per_point_s(self) -> tuple[list[float], list[float]]:
        """Return the CPU per point of each pair: watched, unwatched."""
        costs: dict[bool, list[float]] = {True: [], False: []}
        for block, watched in enumerate(self._is_watched):
            first, last = block * self._points + SETTLING, (block + 1) * self._points - 1
            cost_s = self._cpu_s[last] - self._cpu_s[first]
            costs[watched].append(cost_s / (last - first))
        return costs[True], costs[False]

    def _tell(self, what: bytes) -> None:
        for watcher in self.watchers:
            assert watcher.stdin is not None  # noqa: S101
            watcher.stdin.write(what)
            watcher.stdin.flush()


def measure(sweep: Path, station: Path, blocks: Blocks, watchers: list[str]) -> list[float]:
    """Run the sweep with its blocks; return how late every frame was.

    watchers: with which option each of them is started.
    """
    put = Journal.put

    def noted_put(*args: object, **kwargs: object) -> int:
        key = put(*args, **kwargs)  # type: ignore[arg-type]
        blocks.committed()
        return key

    Journal.put = noted_put  # type: ignore[method-assign]
    configuration = load(sweep, station)
    laboratory = open_laboratory(configuration.station, in_process)
    table = expand(configuration.sweep, configuration.station)
    folder, commands = create_run(configuration, table, time.time()), CommandQueue()
    with served(folder, configuration, laboratory.clock, commands) as channel:
        assert channel is not None  # noqa: S101
        run = Run(
            folder,
            configuration,
            clock=laboratory.clock,
            connections=laboratory.connections,
            commands=commands,
            options=RunOptions(live_fit=False),
            publish=channel.publish,
        )
        channel.follow(run)
        blocks.watchers = [_watcher(option) for option in watchers]
        outcome = execute(run, Watcher().show)
    if outcome.reason.value != "completed":
        raise RuntimeError(f"{outcome.reason.value}: {outcome.text}")
    late = [np.frombuffer(watcher.communicate()[0]) for watcher in blocks.watchers]
    return [float(value) for values in late for value in values]


def _watcher(option: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, option]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert watcher.stdout is not None  # noqa: S101
    watcher.stdout.readline()  # it is ready
    return watcher


def report(blocks: Blocks, late_s: list[float]) -> bool:
    watched, unwatched = blocks.per_point_s()
    ratios = np.array(watched) / np.array(unwatched)
    ratio = float(np.median(ratios))
    low, high = np.percentile(ratios, [25, 75])
    without_us, with_us = 1e6 * median(unwatched), 1e6 * median(watched)
    print(
        f"CPU per point: {without_us:.0f} us unwatched, {with_us:.0f} us watched; ratio "
        f"{ratio:.3f} (median of {len(ratios)} pairs, quartiles {low:.3f} to {high:.3f}), allowed "
        f"{ALLOWED_RATIO}"
    )
    if not late_s:
        return ratio <= ALLOWED_RATIO
    middle, most, worst = np.percentile(late_s, [50, 95, 100])
    print(
        f"frames: {len(late_s)}; beyond their exposure: median {1e3 * middle:.1f} ms, 95 % within "
        f"{1e3 * most:.1f} ms, all within {1e3 * worst:.1f} ms; allowed {1e3 * ALLOWED_S:.0f} ms"
    )
    return ratio <= ALLOWED_RATIO and bool(most <= ALLOWED_S)


def main() -> int:
    """Serve, measure, report; 1 if more than allowed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--watchers", type=int, default=1)
    parser.add_argument("--window", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--watch-by-window", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if options.watch or options.watch_by_window:
        (watch if options.watch else watch_by_window)()
        return 0
    blocks = Blocks(options.points, options.pairs)
    watchers = ["--watch-by-window"] if options.window else ["--watch"] * options.watchers
    with tempfile.TemporaryDirectory() as name:
        os.environ["CRYOSCAN_RUNTIME"] = str(Path(name, "runtime"))
        with quick_series(Path(name), blocks.total, has_all=not options.quick) as files:
            began = time.perf_counter()
            late_s = measure(*files, blocks, watchers)
            rate = blocks.total / (time.perf_counter() - began)
    who = "the window" if options.window else f"{options.watchers} watcher(s)"
    print(f"{blocks.total} points at {rate:.1f} per second, {who}")
    return 0 if report(blocks, late_s) else 1


if __name__ == "__main__":
    sys.exit(main())

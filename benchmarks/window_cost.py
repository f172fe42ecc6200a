"""What a watcher costs the engine: CPU per point with and without one, and how late frames are.

    python benchmarks/window_cost.py [--pairs 20] [--points 40] [--watchers 1]

One run of 1024 pixels at about 20 spectra per second, with the real drivers on simulators in
another process. Its points come in blocks, watched and unwatched in turn, the first of each pair
being the other one every time, so that a busy machine is busy for both. The engine's CPU time (user
and system, all threads, the server's too) is taken at each commit. The watcher is a process of its
own that reads everything, as a window does.

Allowed: the median ratio of CPU per point at most 1.03; 95 % of frames within 100 ms beyond their
exposure.
"""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from simulated_run import EXAMPLES, SWEEP, in_process

from acquisition.channel.commands import CommandQueue
from acquisition.channel.engine_address import list_engines
from acquisition.channel.messages import FrameArrived
from acquisition.channel.watcher_link import WatcherLink
from acquisition.configuration.config import load
from acquisition.configuration.simulated_truth import truth_of
from acquisition.instruments.laboratory import open_laboratory
from acquisition.instruments.served_station import served_station
from acquisition.planning.expand import expand
from acquisition.running.doors import Watcher
from acquisition.running.execution import execute
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.running.run_server import served
from acquisition.storage.journal import Journal
from simulators.elliptec_modules import ElliptecSettings
from simulators.icl_device import IclSettings
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import truth_from_mapping

ALLOWED_RATIO = 1.03
ALLOWED_S = 0.1
ATTACH, DETACH = b"a", b"d"
SETTLING = 4  # points at the beginning of a block that belong to neither side
REPEATS = """
[[axis]]
quantity = "repeat"
points = {points}

"""
ELLIPTEC = ElliptecSettings(
    speed_deg_per_s=2000.0, move_start_s=0.001, reply_s=0.001, shutter_move_s=0.004
)
ICL = IclSettings(readout_overhead_s=0.002, line_s=(0.002, 0.002, 0.001))


def serve_simulators(station: Path, served_path: Path) -> None:
    """Serve quick instruments until killed; write how to reach them."""
    configuration = load(station.with_name("sweep.toml"), station)
    setup = SimulatedSetup(
        truth_from_mapping(truth_of(configuration.station)),
        seed=1,
        settings=SimulatorSettings(elliptec=ELLIPTEC, icl=ICL),
    )

    def ready(addresses: "dict[str, str]") -> None:
        text = served_station(station.read_text(encoding="utf-8"), dict(addresses), 1.0)
        unfinished = served_path.with_suffix(".tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(served_path)

    serve(setup, 1.0, transports={"elliptec": "tcp"}, ready=ready)  # type: ignore[arg-type]


def watch() -> None:
    """Attach and detach as standard input says; then print how late each frame was."""
    late_s: list[float] = []
    (address,) = list_engines()
    while os.read(0, 1) == ATTACH:
        link = WatcherLink.connect(address, "benchmark")
        while not select.select([0], [], [], 0.0)[0]:
            late_s += _lateness(link)
        os.read(0, 1)
        link.close()
    sys.stdout.buffer.write(np.array(late_s).tobytes())


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


def measure(sweep: Path, station: Path, blocks: Blocks, watchers: int) -> list[float]:
    """Run the sweep with its blocks; return how late every frame was."""
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
        blocks.watchers = [_watcher() for _ in range(watchers)]
        outcome = execute(run, Watcher().show)
    if outcome.reason.value != "completed":
        raise RuntimeError(f"{outcome.reason.value}: {outcome.text}")
    late = [np.frombuffer(watcher.communicate()[0]) for watcher in blocks.watchers]
    return [float(value) for values in late for value in values]


def _watcher() -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--watch"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


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
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_simulators(*options.serve)
        return 0
    if options.watch:
        watch()
        return 0
    blocks = Blocks(options.points, options.pairs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CRYOSCAN_RUNTIME"] = str(folder / "runtime")
        station, served_path = folder / "station.toml", folder / "served.toml"
        text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
        station.write_text(text.replace('readout = "0.1 s"', 'readout = "5 ms"'), encoding="utf-8")
        sweep = folder / "sweep.toml"
        text = SWEEP.replace('"0..{last} step 0.5"', "[0]").format()
        text = text.replace('time = "10 ms"', 'time = "5 ms"')
        repeats = REPEATS.format(points=blocks.total)
        sweep.write_text(text.replace("[[axis]]", repeats + "[[axis]]"), encoding="utf-8")
        simulators = subprocess.Popen([sys.executable, __file__, "--serve", station, served_path])
        try:
            _await(served_path)
            began = time.perf_counter()
            late_s = measure(sweep, served_path, blocks, options.watchers)
            rate = blocks.total / (time.perf_counter() - began)
        finally:
            simulators.terminate()
            simulators.wait()
    print(f"{blocks.total} points at {rate:.1f} per second, {options.watchers} watcher(s)")
    return 0 if report(blocks, late_s) else 1


def _await(path: Path) -> None:
    deadline = time.monotonic() + 30.0
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())

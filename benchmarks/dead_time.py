"""What one point costs beyond its own time: CPU and wall, synced, beside the alternatives.

    python benchmarks/dead_time.py [--points 500] [--rounds 7] [--peers FOLDER]

Every contender stores a spectrum of 1024 i4 pixels per point from instruments that answer at once.
All run in turn, round after round, on the same disk, so that a busy machine is busy for all. The
table gives the least and the median wall time per point and the least CPU time (user and system,
all threads), and the ratio of each median to that of raw write + fdatasync in the same rounds.

--peers: folder of a separate environment in which PyMeasure, QCoDeS and Bluesky are installed on
demand; without it they are left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from role_stubs import PIXELS, StubRun
from simulated_run import SimulatedRun

HERE = Path(__file__).parent
RAW = "raw write + fdatasync"
PACKAGES = ("bluesky", "h5py", "numpy", "ophyd", "pymeasure>=0.16", "qcodes")
SPECTRUM = np.arange(PIXELS, dtype=np.int32)

Contender = Callable[[Path, int], "Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all points of one round, in s."""

    wall_s: float
    cpu_s: float


@dataclass
class Costs:
    """Of one contender, per point, one entry per round."""

    wall_us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def add(self, cost: Cost, points: int) -> None:
        self.wall_us.append(1e6 * cost.wall_s / points)
        self.cpu_us.append(1e6 * cost.cpu_s / points)


@contextmanager
def measured() -> Iterator[list[Cost]]:
    """Measure what happens inside; the cost is in the list afterwards."""
    found: list[Cost] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))


def raw_write(folder: Path, points: int) -> Cost:
    """Append spectrum and 16 readings to a file, synced for each point."""
    payload = SPECTRUM.tobytes() + np.zeros(16).tobytes()
    with open(folder / "raw", "wb", buffering=0) as file, measured() as cost:
        for _ in range(points):
            file.write(payload)
            os.fdatasync(file.fileno())
    return cost[0]


def h5py_append(folder: Path, points: int) -> Cost:
    """Append to resizable datasets of spectrum and four scalars, flushed for each point."""
    with h5py.File(folder / "append.h5", "w") as file:
        spectra = file.create_dataset(
            "spectra", (0, PIXELS), "<i4", maxshape=(None, PIXELS), chunks=(1, PIXELS)
        )
        scalars = [
            file.create_dataset(name, (0,), "<f8", maxshape=(None,), chunks=(1024,))
            for name in ("temperature", "angle", "time", "exposure")
        ]
        with measured() as cost:
            for k in range(points):
                spectra.resize(k + 1, axis=0)
                spectra[k] = SPECTRUM
                for scalar in scalars:
                    scalar.resize(k + 1, axis=0)
                    scalar[k] = 1.0
                file.flush()
    return cost[0]


def cryoscan_with_stubs(folder: Path, points: int) -> Cost:
    """Run the engine with synced journal and live view on stubs."""
    run = StubRun(folder, points)
    with measured() as cost:
        run.run()
    run.close()
    return cost[0]


def cryoscan_with_drivers(folder: Path, points: int) -> Cost:
    """Run everything with the real drivers on simulated instruments in this process."""
    run = SimulatedRun(folder, points)
    with measured() as cost:
        run.run()
    return cost[0]


CONTENDERS: dict[str, Contender] = {
    RAW: raw_write,
    "h5py append + flush (not synced)": h5py_append,
    "cryoscan: engine, synced journal, live view": cryoscan_with_stubs,
    "cryoscan: the same with drivers and simulators": cryoscan_with_drivers,
}


class Peers:
    """Other packages, each round in a process of another environment."""

    def __init__(self, environment: Path) -> None:
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        self._python = environment / scripts / "python"
        if not self._python.exists():
            venv.create(environment, with_pip=True)
        subprocess.run([self._python, "-m", "pip", "install", "-q", *PACKAGES], check=True)

    def names(self) -> list[str]:
        """Return the peers that can be imported there."""
        return [str(name) for name in self._ask("--list")]

    def contender(self, name: str) -> Contender:
        def run(folder: Path, points: int) -> Cost:
            wall_s, cpu_s = self._ask(name, str(folder), str(points))
            return Cost(float(wall_s), float(cpu_s))

        return run

    def _ask(self, *arguments: str) -> list[float | str]:
        found = subprocess.run(
            [self._python, HERE / "peers.py", *arguments],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        answer: list[float | str] = json.loads(found.stdout.splitlines()[-1])
        return answer


def main() -> None:
    """Run all contenders in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", type=Path, help="environment for the other packages")
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    options = parser.parse_args()
    contenders = dict(CONTENDERS)
    if options.peers is None:
        print("PyMeasure, QCoDeS and Bluesky are left out: name an environment with --peers")
    else:
        peers = Peers(options.peers)
        contenders |= {name: peers.contender(name) for name in peers.names()}
    costs = {name: Costs() for name in contenders}
    with ExitStack() as stack:
        root = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for turn in range(options.rounds):
            for number, (name, contender) in enumerate(contenders.items()):
                folder = root / f"{turn}_{number}"
                folder.mkdir(parents=True)
                costs[name].add(contender(folder, options.points), options.points)
    print_table(costs, options.points, options.rounds)


def print_table(costs: dict[str, Costs], points: int, rounds: int) -> None:
    """Print one line per contender."""
    print(f"{points} points, {rounds} rounds, {PIXELS} pixels i4; us per point")
    print(f"{'':50} {'wall min':>9} {'median':>9} {'x raw':>6} {'CPU':>9}")
    raw_us = costs[RAW].wall_us
    for name, cost in costs.items():
        ratio = median(ours / raw for ours, raw in zip(cost.wall_us, raw_us, strict=True))
        print(
            f"{name:50} {min(cost.wall_us):9.0f} {median(cost.wall_us):9.0f} {ratio:6.2f} "
            f"{min(cost.cpu_us):9.0f}"
        )


if __name__ == "__main__":
    main()

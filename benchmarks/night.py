"""What the overnight example costs: CPU and wall time of the whole command, and where they go.

    python benchmarks/night.py [--nights 3] [--fit]

The command runs in a process of its own, start and imports included, with fits off unless --fit.
The breakdown comes from one more night under cProfile, in this process: shares of CPU time, what
Python's and numpy's own functions take being counted for whoever called them. cProfile makes calls
look dearer than they are, so that only the first table is a measurement.
"""

import argparse
import cProfile
import pstats
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from simulated_run import EXAMPLES, in_process

from acquisition.channel.commands import CommandQueue
from acquisition.configuration.config import load
from acquisition.instruments.laboratory import open_laboratory
from acquisition.planning.expand import expand
from acquisition.running.run import Run, RunOptions, create_run

ROOT = EXAMPLES.parent
GROUPS = {
    "plant, bias, clock of the world": ("world", "cryostat", "bias_circuit", "noise", "field"),
    "light, spectra, frames": (
        *("emitter", "fluctuations", "line_profile", "view", "ccd", "optics", "polarization"),
    ),
    "instruments, simulated": ("",),  # whatever else is in simulators
}
DEEPEST = 8  # callers of callers
NEGLIGIBLE_S = 1e-4  # not followed any further: imports have callers without number

Function = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """One night: s of CPU of the user and of the system, s of wall time."""

    user_s: float
    system_s: float
    wall_s: float


def night(folder: Path, *, fit: bool) -> Cost:
    """Run the example as a user would."""
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    main = "import sys; from acquisition.cli import main; sys.exit(main())"
    options = ("--no-final", "--fit" if fit else "--no-fit")
    subprocess.run(
        [sys.executable, "-c", main, "run", "overnight.toml", *options],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = time.perf_counter() - start_s
    return Cost(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, wall_s)


def profiled(folder: Path) -> pstats.Stats:
    """Run the example in this process, under the profiler."""
    configuration = load(folder / "overnight.toml", None)
    table = expand(configuration.sweep, configuration.station)
    laboratory = open_laboratory(configuration.station, in_process)
    run = Run(
        create_run(configuration, table, laboratory.clock.utc()),
        configuration,
        clock=laboratory.clock,
        connections=laboratory.connections,
        commands=CommandQueue(),
        options=RunOptions(live_fit=False),
    )
    profile = cProfile.Profile(time.process_time)
    profile.runcall(run.execute)
    return pstats.Stats(profile)


def shares(stats: pstats.Stats) -> list[tuple[str, float]]:
    """Return the share of each group in the CPU time, largest first."""
    table = stats.stats  # type: ignore[attr-defined] # as pstats itself keeps it
    total: dict[str, float] = {}

    def charge(function: Function, seconds: float, depth: int) -> None:
        group = _group(function)
        callers = table[function][4]
        whole = sum(caller[2] for caller in callers.values())
        if group or not whole or depth == DEEPEST or seconds < NEGLIGIBLE_S:
            name = group or "elsewhere"
            total[name] = total.get(name, 0.0) + seconds
            return
        for caller, (_, _, its_s, _) in callers.items():
            if its_s > 0.0:
                charge(caller, seconds * its_s / whole, depth + 1)

    for function, (_, _, own_s, _, _) in table.items():
        charge(function, own_s, 0)
    whole_s = sum(total.values())
    largest = sorted(total.items(), key=lambda entry: -entry[1])
    return [(group, seconds / whole_s) for group, seconds in largest if seconds > 0.001 * whole_s]


def _group(function: Function) -> str:
    """Return whose function this is; empty for those of others."""
    path = Path(function[0])
    if path.parent.parent != ROOT:
        return ""
    if path.parent.name == "acquisition":
        is_storage = path.stem.startswith(("journal", "live_view", "run_log"))
        return "storage" if is_storage else "engine, monitors, interlocks"
    if path.parent.name == "simulators":
        return next(g for g, stems in GROUPS.items() if path.stem in stems or "" in stems)
    return path.parent.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--fit", action="store_true")
    wanted = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(shutil.copytree(EXAMPLES, Path(folder) / "examples"))
        costs = [night(home, fit=wanted.fit) for _ in range(wanted.nights)]
        for number, cost in enumerate(costs, start=1):
            print(
                f"night {number}: {cost.user_s:.2f} s user, {cost.system_s:.2f} s system, "
                f"{cost.wall_s:.1f} s wall"
            )
        cpu_s = median(cost.user_s + cost.system_s for cost in costs)
        print(f"median: {cpu_s:.2f} s of CPU (at most 10 s, goal 3 s, with fits off)")
        for group, share in shares(profiled(home)):
            print(f"{100 * share:5.1f} %  {group}")


if __name__ == "__main__":
    main()

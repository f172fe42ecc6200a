"""How much of a polarization sweep is spent beyond what it must take, in real time over loopback.

    python benchmarks/duty_cycle.py [--points 40]

Simulators run in a process of their own and are reached over TCP and websocket, through the real
drivers. Exposure 0.5 s, readout 0.1 s, 10 deg in 0.25 s. The ideal period of a point is

    shutter opens + exposure + shutter closes + max(readout, move) + commit

Times of the shutter and the stage are from command to answer, as a script of three lines sees them:
30 ms until something moves, the movement, 12 ms for an answer at 9600 baud. The shutter's own times
(the light is blocked before anything moves) belong to the ideal, since no program can avoid them;
they are printed apart, as is what the period would be without a shutter.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from simulated_run import EXAMPLES, SWEEP, in_process

from acquisition.channel.commands import CommandQueue
from acquisition.configuration.config import Configuration, load
from acquisition.configuration.simulated_truth import truth_of
from acquisition.instruments.laboratory import open_laboratory
from acquisition.instruments.served_station import served_station
from acquisition.planning.expand import expand
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.storage.journal import Journal, JournalReader
from simulators.elliptec_modules import ElliptecSettings
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import truth_from_mapping

EXPOSURE_S = 0.5
READOUT_S = 0.1
MOVE_S = 0.25
START_S = 0.03  # from a command until something moves
ANSWER_S = 0.012
SHUTTER_S = 0.15
ALLOWED = 0.02


def serve_simulators(station: Path, served: Path) -> None:
    """Serve the instruments of this station file until killed; write how to reach them."""
    configuration = load(station.with_name("sweep.toml"), station)
    elliptec = ElliptecSettings(
        speed_deg_per_s=10.0 / (MOVE_S - START_S - ANSWER_S),
        move_start_s=START_S,
        reply_s=ANSWER_S,
        shutter_move_s=SHUTTER_S,
    )
    setup = SimulatedSetup(
        truth_from_mapping(truth_of(configuration.station)),
        seed=1,
        settings=SimulatorSettings(elliptec=elliptec),
    )

    def ready(addresses: "dict[str, str]") -> None:
        text = served_station(station.read_text(encoding="utf-8"), dict(addresses), 1.0)
        unfinished = served.with_suffix(".tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(served)

    serve(setup, 1.0, transports={"elliptec": "tcp"}, ready=ready)  # type: ignore[arg-type]


def write_files(folder: Path, points: int) -> Path:
    """Write station and sweep; return the station file."""
    text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    station = folder / "station.toml"
    station.write_text(text, encoding="utf-8")
    sweep = SWEEP.format(last=10 * (points - 1)).replace("step 0.5", "step 10")
    sweep = sweep.replace('time = "10 ms"', f'time = "{EXPOSURE_S} s"')
    (folder / "sweep.toml").write_text(sweep, encoding="utf-8")
    return station


def measure(configuration: Configuration) -> tuple[list[float], list[float]]:
    """Run the sweep; return the start of each point and the time of each commit, in s."""
    commits: list[float] = []
    put = Journal.put

    def timed_put(*args: object, **kwargs: object) -> int:
        start = time.perf_counter()
        try:
            return put(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            commits.append(time.perf_counter() - start)

    Journal.put = timed_put  # type: ignore[method-assign]
    laboratory = open_laboratory(configuration.station, in_process)
    table = expand(configuration.sweep, configuration.station)
    folder = create_run(configuration, table, laboratory.clock.utc())
    run = Run(
        folder,
        configuration,
        clock=laboratory.clock,
        connections=laboratory.connections,
        commands=CommandQueue(),
        options=RunOptions(live_fit=False),
    )
    outcome = run.execute()
    if outcome.reason.value != "completed":
        raise RuntimeError(f"{outcome.reason.value}: {outcome.text}")
    with JournalReader(folder) as reader:
        return [stored.attempt.start_s for stored in reader.attempts()], commits


def report(starts_s: list[float], commits_s: list[float]) -> bool:
    """Print what a point takes; return whether it is near enough to the ideal."""
    periods_s = np.diff(starts_s)
    commit_s = median(commits_s)
    shutter_s = 2 * (START_S + SHUTTER_S + ANSWER_S)
    ideal_s = shutter_s + EXPOSURE_S + max(READOUT_S, MOVE_S) + commit_s
    mean_s = float(periods_s.mean())
    print(f"{len(starts_s)} points; period {mean_s:.4f} s (median {np.median(periods_s):.4f} s)")
    print(
        f"ideal {ideal_s:.4f} s = shutter {shutter_s / 2:.3f} + exposure {EXPOSURE_S} + shutter "
        f"{shutter_s / 2:.3f} + max(readout {READOUT_S}, move {MOVE_S}) + commit {commit_s:.4f}"
    )
    excess = mean_s / ideal_s - 1.0
    without = mean_s - shutter_s
    print(f"excess {100 * excess:.2f} %, allowed {100 * ALLOWED:.0f} %")
    print(
        f"without the shutter's own times: {without:.4f} s, ideal {ideal_s - shutter_s:.4f} s, "
        f"excess {100 * (without / (ideal_s - shutter_s) - 1.0):.2f} %"
    )
    return excess <= ALLOWED


def main() -> int:
    """Serve, measure, report; 1 if the excess is larger than allowed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--points", type=int, default=37)
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_simulators(*options.serve)
        return 0
    with tempfile.TemporaryDirectory() as name:
        station = write_files(Path(name), options.points)
        served = station.with_name("served.toml")
        simulators = subprocess.Popen([sys.executable, __file__, "--serve", station, served])
        try:
            deadline = time.monotonic() + 30.0
            while not served.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            starts_s, commits_s = measure(load(station.with_name("sweep.toml"), served))
        finally:
            simulators.terminate()
            simulators.wait()
    return 0 if report(starts_s, commits_s) else 1


if __name__ == "__main__":
    sys.exit(main())

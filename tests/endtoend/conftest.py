"""Real processes for the tests that need them: the command line, and simulators elsewhere."""

import itertools
import json
import multiprocessing
import os
import re
import runpy
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
CHILD = HERE / "cryoscan_in_child.py"
PRELOADED = [
    "acquisition.planning.check",
    "acquisition.cli",
    "acquisition.running.doors",
    "acquisition.workbench.progress",
    "acquisition.instruments.served_station",
    "acquisition.configuration.simulated_truth",
    "acquisition.fits.summary",
    "analysis.readers.bias_series",
    "drivers.elliptec",
    "drivers.horiba",
    "drivers.keithley",
    "drivers.lakeshore",
    "drivers.serial_link",
    "drivers.socket_link",
    "drivers.websocket_link",
    "simulators.serve",
    "simulators.setup",
]
LONGEST_S = 60.0
LOOK_S = 0.01
RESOLUTION_V = 0.005  # with which a resumed run knows where its ramp starts

# a nanocrystal that does not blink or wander, so that a reference can be compared at any time
STEADY = """
[simulation.truth.nanocrystal.fluctuations]
energy_sigma_meV = 0.0
field_sigma_kV_per_cm = 0.0
jump_rate_per_s = 0.0
dim_rate_per_s = 0.0
trion_fraction = 0.0
"""

SWEEP = """
[sweep]
name = "short"
user = "A. Tester"
station = "station.toml"

[sample]
name = "CS-03"
material = "CsPbBr3"
electrodes = "parallel plate"
gap = "10 um"
max_field = "120 kV/cm"
gas = "vacuum"

[nanocrystal]
id = "CS-03/9"

[optics]
laser_wavelength = "450 nm"
laser_power = "1 uW"
slit = "60 um"
objective = "0.7 NA, 100x"
numerical_aperture = 0.7
spectrograph = { grating = 0, centre = "518.3 nm" }
"""


def _wait_until(is_so: Callable[[], object], longest_s: float = LONGEST_S) -> None:
    """Let real time pass until it is so; fail when it takes too long."""
    end_s = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < end_s, f"still not so after {longest_s} s"
        time.sleep(LOOK_S)


@pytest.fixture(scope="session")
def common_sweep() -> str:
    """A sweep file without axes and exposure; its station is station.toml beside it."""
    return SWEEP


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Let real time pass until it is so; fail when it takes too long."""
    return _wait_until


@dataclass
class Running:
    """A `cryoscan` command in a process of its own."""

    process: BaseProcess
    out_path: Path
    err_path: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def out(self) -> str:
        return self.out_path.read_text() if self.out_path.exists() else ""

    @property
    def err(self) -> str:
        return self.err_path.read_text() if self.err_path.exists() else ""

    @property
    def report(self) -> dict[str, str]:
        """The document of --json."""
        document: dict[str, str] = json.loads(self.out)
        return document

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, longest_s: float = LONGEST_S) -> int:
        """Return the exit code, -9 after SIGKILL."""
        self.process.join(longest_s)
        assert self.process.exitcode is not None, f"still running: {self.err}"
        return self.process.exitcode

    def await_text(self, text: str) -> None:
        _wait_until(lambda: text in self.err or not self.is_alive)
        assert text in self.err, self.err + self.out

    def run_folder(self) -> Path:
        """Return the folder of the run once that is announced."""
        self.await_text("run folder: ")
        _wait_until(lambda: re.search("run folder: .*\n", self.err) is not None)
        found = re.search("run folder: (.*)\n", self.err)
        assert found is not None
        return self.out_path.parent / found[1]


@dataclass
class Cryoscan:
    """Starts commands in a folder and ends what is left of them."""

    folder: Path
    context: multiprocessing.context.ForkServerContext
    started: list[Running] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, *arguments: object) -> Running:
        number = next(self.numbers)
        out, err = (self.folder / f"command_{number}.{name}" for name in ("out", "err"))
        command = {
            "arguments": list(map(str, arguments)),
            "folder": str(self.folder),
            "out": str(out),
            "err": str(err),
        }
        process = self.context.Process(
            target=runpy.run_path, args=(str(CHILD), {"COMMAND": command}, "__main__")
        )
        process.start()
        self.started.append(Running(process, out, err))
        return self.started[-1]

    def __call__(self, *arguments: object) -> Running:
        """Run a command to its end."""
        running = self.start(*arguments)
        running.wait()
        return running

    def end_all(self) -> None:
        while self.started:
            running = self.started.pop()
            if running.is_alive:
                running.send(signal.SIGKILL)
            running.process.join()
            running.process.close()


@pytest.fixture(scope="session")
def fork_server() -> multiprocessing.context.ForkServerContext:
    """A process that has imported everything and forks; there once for all tests."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork here")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    first = context.Process(target=int)
    first.start()
    first.join()
    return context


@pytest.fixture
def cryoscan(
    fork_server: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> Iterator[Cryoscan]:
    """The command line, with tmp_path as its folder."""
    cryoscan = Cryoscan(tmp_path, fork_server)
    yield cryoscan
    cryoscan.end_all()


@dataclass(frozen=True)
class Setup:
    """Files of a laboratory, and simulators in another process."""

    cryoscan: Cryoscan
    folder: Path
    station: Path
    supply_log: Path
    simulators: Running | None = None

    def last_supply_entry(self) -> str:
        return self.supply_log.read_text().splitlines()[-1]

    def write_sweep(self, rest: str, name: str = "sweep") -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text(SWEEP + rest, encoding="utf-8")
        return path


@pytest.fixture
def serve(cryoscan: Cryoscan, tmp_path: Path) -> Callable[..., Setup]:
    """Serve the simulated station; returns what reaches it.

    steady: the nanocrystal neither blinks nor wanders. nanocrystal: more lines about it, at the end
    of the file.
    """

    def start(
        scale: float, *options: object, steady: bool = True, seed: int = 1, nanocrystal: str = ""
    ) -> Setup:
        station = tmp_path / "station.toml"
        text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
        station.write_text(text + nanocrystal + (STEADY if steady else ""), encoding="utf-8")
        served, log = tmp_path / "served.toml", tmp_path / "supply.jsonl"
        simulators = cryoscan.start(
            *("simulate", station, "--write", served, "--scale", scale, "--seed", seed),
            *("--supply-log", log, *options),
        )
        simulators.await_text("serving")
        return Setup(cryoscan, tmp_path, served, log, simulators)

    return start


@dataclass(frozen=True)
class SupplyEntry:
    """One line of the simulated supply's own log."""

    time_s: float
    programmed_V: float
    terminal_V: float
    event: str


@pytest.fixture
def check_supply() -> Callable[..., None]:
    """Assert from the supply's own log: never faster than the slew, 0 V and off at the end."""
    return _check_supply


def _check_supply(log: Path, slew_V_per_s: float, longest_step_s: float = 0.2) -> None:
    entries = [SupplyEntry(**json.loads(line)) for line in log.read_text().splitlines()]
    assert max(abs(entry.programmed_V) for entry in entries) > 1.0, "there was no voltage at all"
    for before, after in itertools.pairwise(entries):
        # holds for any two entries, and so over any time, once it holds for neighbours
        took_s = min(after.time_s - before.time_s, longest_step_s)
        step_V = abs(after.programmed_V - before.programmed_V)
        assert step_V <= slew_V_per_s * took_s + RESOLUTION_V, (before, after)
    assert entries[-1].event == "output off"
    assert entries[-1].programmed_V == 0.0
    assert abs(entries[-1].terminal_V) < 1e-3  # what the cable still discharges

"""A whole run of the program, drivers and simulated instruments, in this process."""

from pathlib import Path
from tempfile import TemporaryDirectory

from acquisition.channel.commands import CommandQueue
from acquisition.configuration.config import load
from acquisition.configuration.simulated_truth import truth_of
from acquisition.configuration.station_file import StationConfig
from acquisition.instruments.laboratory import open_laboratory
from acquisition.planning.expand import expand
from acquisition.running.run import Run, RunOptions, create_run
from drivers.addresses import Opener
from drivers.clock import Clock
from drivers.link import Framing, Link
from simulators.setup import SimulatedSetup
from simulators.truth import truth_from_mapping

__all__ = ["SimulatedRun"]

EXAMPLES = Path(__file__).parents[1] / "examples"
SWEEP = """
[sweep]
name = "dead time"
user = "benchmark"
station = "station.toml"

[sample]
name = "none"
material = "CsPbBr3"

[nanocrystal]
id = "none"

[optics]
laser_wavelength = "450 nm"
laser_power = "1 uW"
slit = "60 um"
objective = "none"
numerical_aperture = 0.7
spectrograph = {{ grating = 0, centre = "518.3 nm" }}

[[axis]]
quantity = "polarization"
unit = "deg"
points = "0..{last} step 0.5"
block = false
repeat_first = false

[exposure]
time = "10 ms"

[background]
at_start = false
on_change = false
"""


class SimulatedRun:
    """A polarization sweep of so many points, created and ready to run."""

    def __init__(self, folder: Path, points: int) -> None:
        with TemporaryDirectory() as files:
            station = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
            home = Path(files)
            (home / "station.toml").write_text(
                station.replace('runs = "runs"', f'runs = "{folder.as_posix()}"'), encoding="utf-8"
            )
            (home / "sweep.toml").write_text(SWEEP.format(last=(points - 1) / 2), encoding="utf-8")
            configuration = load(home / "sweep.toml", None)
        table = expand(configuration.sweep, configuration.station)
        laboratory = open_laboratory(configuration.station, in_process)
        self.run_folder = create_run(configuration, table, laboratory.clock.utc())
        self._run = Run(
            self.run_folder,
            configuration,
            clock=laboratory.clock,
            connections=laboratory.connections,
            commands=CommandQueue(),
            options=RunOptions(live_fit=False),
        )

    def run(self) -> None:
        """Measure every row; raise RuntimeError if that did not succeed."""
        outcome = self._run.execute()
        if outcome.reason.value != "completed":
            raise RuntimeError(f"{outcome.reason.value}: {outcome.text}")


def in_process(station: StationConfig, clock: Clock) -> Opener:
    """Open sim:// addresses in a simulated setup of this process."""
    setup = SimulatedSetup(truth_from_mapping(truth_of(station)), station.simulation.seed)

    def open_sim(address: str, framing: Framing, _: object) -> Link:
        return setup.link(address.removeprefix("sim://"), clock, framing)

    return open_sim

"""Seeded faults on every line of a whole run: nothing wrong passes for good, every end is safe.

What is stored is compared with what the simulated world really did, not with what was read.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.planning.point_table import PointKind
from acquisition.running.doors import Watcher, start
from acquisition.running.run import RunOptions
from acquisition.storage.journal import JournalReader
from acquisition.storage.record import AttemptState
from drivers.errors import DeviceError
from simulators.faults import Fault, FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup
from simulators.truth import truth_from_mapping

EXAMPLES = Path(__file__).parents[2] / "examples"
SEEDS = 20
PROBABILITY = 0.01
EMERGENCY_SLEW_V_PER_S = 50.0
LONGEST_STEP_S = 0.2
TOLERANCE_V, TOLERANCE_DEG = 0.1, 0.2

AXES = """
[[axis]]
quantity = "temperature"
unit = "K"
points = [5.5]
settle = { tolerance = "0.1 K", inside = "20 s", on_timeout = "flag" }

[[axis]]
quantity = "bias"
unit = "V"
points = [-3, 3]
settle = { tolerance = "0.1 V", inside = "0.5 s" }

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 60, 120]

[exposure]
time = "2 s"

[background]
frames = 1
"""

# pixels come over a websocket, whose transport has checksums: there bytes don't change
GARBLING = (FaultKind.GARBLED, FaultKind.TRUNCATED)
# and another instrument that took the place of the supply can't be brought to 0 V by anybody
ON_ANY_LINE = tuple(k for k in FaultKind if k not in (*GARBLING, FaultKind.WRONG_IDENTITY))


@dataclass(frozen=True)
class Strikes:
    """Faults at random: bytes change on serial lines only, everything else happens everywhere."""

    anywhere: FaultRate
    on_bytes: FaultRate

    def draw(self, device: str, verb: str, nth: int) -> Fault | None:
        return self.anywhere.draw(device, verb, nth) or self.on_bytes.draw(device, verb, nth)


@dataclass(frozen=True)
class Exposed:
    """What was really there while the camera was exposing, and what it delivered."""

    voltage_V: float
    angle_deg: float
    temperature_K: float
    counts: np.ndarray


class Witness:
    """Looks at the world itself each time the camera hands over frames."""

    def __init__(self, setup: SimulatedSetup) -> None:
        self.exposed: list[Exposed] = []
        self._world = world = setup.world
        begin, deliver = world.camera.start, world.camera.frames

        def started(*arguments, **named):
            self._at_start = self._conditions()
            return begin(*arguments, **named)

        def delivered():
            frames = deliver()
            for _, counts in frames:
                self.exposed.append(Exposed(*self._at_start, counts))
            return frames

        world.camera.start, world.camera.frames = started, delivered

    def _conditions(self) -> tuple[float, float, float]:
        world = self._world
        return (
            world.bias.gap_voltage_V(),
            world.optics.polarizer_mechanical_deg,
            world.cryostat.true_sample_K,
        )

    def of(self, counts: np.ndarray) -> Exposed:
        """Return what belongs to these counts; fails if the camera never delivered them."""
        (found,) = [each for each in self.exposed if np.array_equal(each.counts, counts)]
        return found


@pytest.fixture
def sweep(tmp_path, common_sweep) -> Path:
    station = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    (tmp_path / "station.toml").write_text(station, encoding="utf-8")
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(common_sweep + AXES, encoding="utf-8")
    return sweep


def run_under_faults(sweep: Path, seed: int):
    """Return how the run ended, None if it never began; the setup it ran on; and what happened."""
    kept: list[SimulatedSetup] = []

    def in_process(station, clock):
        faults = Faults(
            rate=Strikes(
                FaultRate(seed, PROBABILITY, ON_ANY_LINE),
                FaultRate(seed + 1, PROBABILITY, GARBLING, ("cryostat", "bias", "elliptec")),
            )
        )
        setup = SimulatedSetup(truth_from_mapping({}), seed, faults=faults)
        kept.append(setup)
        kept.append(Witness(setup))

        def open_sim(address, framing, _):
            return setup.link(address.removeprefix("sim://"), clock, framing)

        return open_sim

    try:
        options = RunOptions(live_fit=False)
        ended = start(sweep, None, in_process, options=options, watcher=Watcher(), final=False)
    except DeviceError:  # an instrument could not even be opened
        ended = None
    return ended, *kept


def assert_stored_is_true(folder: Path, witness: Witness) -> int:
    """Compare each attempt that counts with what really was; return how many there are."""
    with JournalReader(folder) as journal:
        points = journal.table().points
        good = [journal.accepted_attempt(point) for point in journal.accepted()]
    for stored in good:
        attempt, point = stored.attempt, points[stored.attempt.point]
        if attempt.flags or attempt.state is not AttemptState.OK:
            continue  # it says itself that something did not hold
        for counts in attempt.counts:
            true = witness.of(counts)
            if point.kind is PointKind.SAMPLE:
                assert abs(true.voltage_V - point.voltage_V) <= TOLERANCE_V
                turned = (true.angle_deg - point.angle_deg + 180.0) % 360.0 - 180.0
                assert abs(turned) <= TOLERANCE_DEG
                assert attempt.readings["gap_voltage_V"] == pytest.approx(
                    true.voltage_V, abs=TOLERANCE_V
                )
    return len(good)


def assert_safe_end(setup: SimulatedSetup) -> None:
    """The supply ends off, and was never steeper than the emergency slew but when it lost power."""
    log = setup.world.bias.log
    for (before_s, before_V, *_), (after_s, after_V, _, event) in pairwise(log):
        took_s = min(after_s - before_s, LONGEST_STEP_S)
        is_reboot = after_V == 0.0 and "output off" in event
        assert is_reboot or abs(after_V - before_V) <= EMERGENCY_SLEW_V_PER_S * took_s + 0.01
    assert not setup.world.bias.output_on


@pytest.mark.parametrize("number", range(SEEDS))
def test_faults_on_the_line_cost_time_and_never_truth(sweep, commit_seed, number):
    seed = commit_seed % 1_000_000 + 2 * number

    ended, setup, witness = run_under_faults(sweep, seed)

    assert setup.faults.fired
    assert_safe_end(setup)
    if ended is not None:
        assert_stored_is_true(ended.folder, witness)
        assert not any("bias" in failed for failed in ended.outcome.safe.failed)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_campaign_of_faults_on_the_line(sweep, commit_seed):
    faults = accepted = 0
    for number in range(500):
        ended, setup, witness = run_under_faults(sweep, commit_seed % 1_000_000 + 10_000 + number)
        assert_safe_end(setup)
        faults += len(setup.faults.fired)
        if ended is not None:
            accepted += assert_stored_is_true(ended.folder, witness)
    print(f"{faults} faults, {accepted} points accepted")
    assert accepted > 500

"""Whole runs with the real drivers on simulated instruments whose lines fail at random.

The judge is the world itself: the supply's own log, the true temperature and angle, never the
readings that the program took.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from acquisition.channel.commands import CommandQueue
from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.configuration.config import load
from acquisition.configuration.simulated_truth import truth_of
from acquisition.instruments.laboratory import open_laboratory
from acquisition.planning.expand import expand
from acquisition.planning.point_table import PointKind
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.storage.journal import JournalReader
from drivers.errors import DeviceError
from simulators.faults import FaultKind, FaultRate, Faults
from simulators.setup import SimulatedSetup
from simulators.truth import truth_from_mapping

EXAMPLES = Path(__file__).parents[3] / "examples"
SWEEP_SLEW_V_PER_S = 5.0
EMERGENCY_SLEW_V_PER_S = 50.0
LONGEST_STEP_S = 0.2
RESOLUTION_V = 0.06  # of the supply's meter, from which a ramp starts
KINDS = tuple(
    kind for kind in FaultKind if kind not in (FaultKind.WRONG_IDENTITY, FaultKind.REBOOT)
)


class Night:
    """A short map of fields and angles on one simulated setup."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        configuration = load(EXAMPLES / "field_polarization_map.toml", None)
        sweep, station = configuration.sweep, configuration.station
        points = {"temperature": (5.5,), "field": (-20.0, 0.0, 40.0), "polarization": (0.0, 45.0)}
        axes = tuple(
            axis.model_copy(update={"points": points[axis.quantity.value]})
            for axis in sweep.axis
            if axis.quantity.value in points
        )
        exposure = tuple(
            zone.model_copy(update={"frames": 1, "time_s": 2.0}) for zone in sweep.exposure
        )
        sweep = sweep.model_copy(update={"axis": axes, "exposure": exposure})
        head = station.station.model_copy(update={"runs": folder})
        station = station.model_copy(update={"station": head})
        self.configuration = replace(configuration, sweep=sweep, station=station)
        self.setup = SimulatedSetup(truth_from_mapping(truth_of(station)), 1, faults=faults)
        laboratory = open_laboratory(station, self._open)
        table = expand(sweep, station)
        self.folder = create_run(self.configuration, table, laboratory.clock.utc())
        self.run = Run(
            self.folder,
            self.configuration,
            clock=laboratory.clock,
            connections=laboratory.connections,
            commands=CommandQueue(),
            options=RunOptions(live_fit=False),
        )

    def _open(self, _, clock):
        def open_sim(address, framing, __):
            return self.setup.link(address.removeprefix("sim://"), clock, framing)

        return open_sim

    def judge_the_supply(self, *, is_emergency: bool) -> None:
        slew = EMERGENCY_SLEW_V_PER_S if is_emergency else SWEEP_SLEW_V_PER_S
        volts = [terminal_V for _, _, terminal_V, _ in self.setup.world.bias.log]
        steps = [abs(b - a) for a, b in pairwise(volts)]
        assert max(steps, default=0.0) <= slew * LONGEST_STEP_S + RESOLUTION_V
        assert abs(self.setup.world.bias.terminal_voltage_V()) < 1.0


def test_a_map_of_fields_and_angles_keeps_the_slew_and_ends_at_zero(tmp_path):
    night = Night(tmp_path, Faults())

    outcome = night.run.execute()

    assert outcome.reason is FinishReason.COMPLETED, outcome
    night.judge_the_supply(is_emergency=False)
    with JournalReader(night.folder) as reader:
        assert reader.progress().accepted == reader.progress().planned
        assert reader.progress().attempts == reader.progress().planned + 1  # the probe


def run_with_faults(folder: Path, seed: int, probability: float) -> FinishReason:
    """Run under random faults and check what must hold whatever happens."""
    folder.mkdir()
    night = Night(folder, Faults(FaultRate(seed, probability, KINDS)))
    try:
        outcome = night.run.execute()
    except DeviceError:  # an instrument could not be opened: nothing was moved
        assert all(terminal_V == 0.0 for _, _, terminal_V, _ in night.setup.world.bias.log)
        return FinishReason.FAILED
    emergency = outcome.reason in (FinishReason.FAILED, FinishReason.INTERLOCK)
    if outcome.safe.safety is Safety.CONFIRMED:
        night.judge_the_supply(is_emergency=emergency)
    with JournalReader(night.folder) as reader:
        points = reader.table().points
        for index, key in reader.accepted().items():
            attempt = reader.attempt(key).attempt
            assert attempt.point == index
            if points[index].kind is PointKind.SAMPLE and not attempt.flags:
                assert attempt.readings["gap_voltage_V"] == pytest.approx(
                    points[index].voltage_V, abs=0.15
                )
                assert attempt.readings["temperature_K"] == pytest.approx(5.5, abs=0.1)
    return outcome.reason


@pytest.mark.parametrize("number", range(4))
def test_faults_on_every_line_cost_attempts_but_no_rule(tmp_path, number, commit_seed):
    run_with_faults(tmp_path / "run", commit_seed + number, 0.004)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_campaign_of_faults(tmp_path, commit_seed):
    seeds = range(commit_seed, commit_seed + 200)
    reasons = [run_with_faults(tmp_path / str(seed), seed, 0.002) for seed in seeds]

    assert sum(reason is not FinishReason.FAILED for reason in reasons) > 100

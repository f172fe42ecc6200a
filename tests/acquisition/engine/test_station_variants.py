"""Whole runs with other instruments: gauge as interlock, laser power with every point, Mercury."""

from pathlib import Path

import pytest

from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.configuration.simulated_truth import models_of, truth_of
from acquisition.planning.point_table import Point, PointKind
from acquisition.running.doors import Watcher, go_on, start
from acquisition.running.run import RunOptions
from acquisition.storage.journal import JournalReader
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import truth_from_mapping

EXAMPLES = Path(__file__).parents[3] / "examples"
GAUGE = """
[gauge]
model = "pfeiffer.tpg361"
address = "sim://gauge"
max_pressure = "1e-4 mbar"
"""
POWER_METER = """
[power_meter]
model = "thorlabs.pm100d"
address = "sim://power_meter"
wavelength = "405 nm"
factor = 0.5
"""
SWEEP = """
[sweep]
name = "variants"
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
laser_wavelength = "405 nm"
laser_power = "1 uW"
slit = "60 um"
objective = "0.7 NA, 100x"
numerical_aperture = 0.7
spectrograph = { grating = 0, centre = "518.3 nm" }

[exposure]
time = "1 s"
"""
FIELDS = """
[[axis]]
quantity = "field"
unit = "kV/cm"
points = [0, 20, 40]
"""
TEMPERATURES = """
[[axis]]
quantity = "temperature"
unit = "K"
points = [5.5, 30, 12]
"""


class Laboratory:
    """Starts runs in a folder of their own, and keeps the simulated setup of the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.setup: SimulatedSetup | None = None
        self.leak_at_s: float | None = None

    def in_process(self, station, clock):
        settings = SimulatorSettings(models=models_of(station))
        truth = truth_from_mapping(truth_of(station))
        self.setup = setup = SimulatedSetup(truth, 1, settings=settings)
        if self.leak_at_s is not None:
            setup.world.at(self.leak_at_s, self._leak)
        return lambda address, framing, _: setup.link(address[6:], clock, framing)

    def run(self, station: str, sweep: str):
        (self.folder / "station.toml").write_text(station)
        path = self.folder / "sweep.toml"
        path.write_text(sweep)
        options = RunOptions(live_fit=False)
        return start(path, None, self.in_process, options=options, watcher=Watcher(), final=False)

    def _leak(self) -> None:
        assert self.setup is not None
        self.setup.world.vacuum.leak_mbar_per_s = 0.01


@pytest.fixture
def laboratory(tmp_path) -> Laboratory:
    return Laboratory(tmp_path)


@pytest.fixture(scope="module")
def station() -> str:
    return (EXAMPLES / "station_simulated.toml").read_text()


def measured(folder: Path) -> list[tuple[Point, dict[str, float]]]:
    """Return the sample rows of a run with their readings."""
    with JournalReader(folder) as journal:
        return [
            (point, dict(journal.accepted_attempt(point.index).attempt.readings))
            for point in journal.table().points
            if point.kind is PointKind.SAMPLE
        ]


def temperatures_are_right(folder: Path) -> bool:
    rows = measured(folder)
    assert {point.temperature_K for point, _ in rows} == {5.5, 30.0, 12.0}
    return all(abs(each["temperature_K"] - point.temperature_K) < 0.1 for point, each in rows)


def test_pressure_and_laser_power_are_recorded_with_every_point(laboratory, station):
    ended = laboratory.run(station + GAUGE + POWER_METER, SWEEP + FIELDS)

    assert ended.outcome.reason is FinishReason.COMPLETED
    for _, each in measured(ended.folder):
        assert each["pressure_mbar"] == pytest.approx(2e-6)
        assert each["laser_power_W"] == pytest.approx(0.5e-6, rel=0.02)


def test_a_leak_ends_the_run_with_the_bias_at_zero(laboratory, station):
    laboratory.leak_at_s = 40.0

    ended = laboratory.run(station + GAUGE, SWEEP + FIELDS.replace("[0, 20, 40]", "[0, 90, -90]"))

    assert ended.outcome.reason is FinishReason.INTERLOCK
    assert "pressure_mbar" in ended.outcome.text
    assert ended.outcome.safe.safety is Safety.CONFIRMED
    assert ended.outcome.safe.confirmed[-1] == "bias 0 V and off"
    assert laboratory.setup.world.bias.terminal_voltage_V() == pytest.approx(0.0, abs=0.05)


def test_a_run_goes_on_with_an_instrument_that_the_station_has_gained(laboratory, station):
    laboratory.leak_at_s = 40.0
    fields = FIELDS.replace("[0, 20, 40]", "[0, 90, -90]")
    folder = laboratory.run(station + GAUGE, SWEEP + fields).folder
    laboratory.leak_at_s = None
    (laboratory.folder / "more.toml").write_text(station + GAUGE + POWER_METER)

    ended = go_on(
        folder,
        laboratory.folder / "more.toml",
        laboratory.in_process,
        options=RunOptions(live_fit=False),
        watcher=Watcher(),
        final=False,
    )

    assert ended.is_complete
    assert all("laser_power_W" not in readings for _, readings in measured(folder))
    assert all(readings["pressure_mbar"] < 1e-5 for _, readings in measured(folder))


def test_a_gauge_that_is_switched_off_is_no_vacuum(laboratory, station):
    def no_gauge(station_config, clock):
        opener = Laboratory.in_process(laboratory, station_config, clock)
        laboratory.setup.cores["gauge"].sensor_missing = True
        return opener

    laboratory.in_process = no_gauge
    ended = laboratory.run(station + GAUGE, SWEEP + FIELDS)

    assert ended.outcome.reason is FinishReason.INTERLOCK
    assert "no sensor" in ended.outcome.text


def test_a_temperature_sweep_with_a_mercury_and_its_gas_flow(laboratory, station):
    mercury = station.replace('model = "lakeshore.336"', 'model = "oxford.mercuryitc"')

    ended = laboratory.run(mercury, SWEEP + TEMPERATURES)

    assert ended.outcome.reason is FinishReason.COMPLETED
    assert temperatures_are_right(ended.folder)
    assert laboratory.setup.world.cryostat.helium_used_L > 0.1


@pytest.mark.parametrize("model", ["lakeshore.335", "lakeshore.350"])
def test_a_temperature_sweep_with_another_lake_shore(laboratory, station, model):
    ended = laboratory.run(station.replace("lakeshore.336", model), SWEEP + TEMPERATURES)

    assert ended.outcome.reason is FinishReason.COMPLETED
    assert temperatures_are_right(ended.folder)

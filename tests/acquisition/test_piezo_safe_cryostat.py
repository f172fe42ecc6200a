"""Before the temperature moves, the drives of the piezos fit every temperature on the way."""

from pathlib import Path

import pytest

from acquisition.configuration.config import load_station
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.laboratory import open_laboratory
from acquisition.instruments.open_station import open_station
from acquisition.instruments.piezo_safe_cryostat import PiezoSafeCryostat
from acquisition.simulated_laboratory import in_process
from drivers.errors import DeviceError

EXAMPLE = Path(__file__).parents[2] / "examples" / "station_simulated.toml"
POSITIONER = """
[positioner]
model = "attocube.anc300"
address = "sim://positioner"
options.drive_V = 60.0
options.limits = [[30, 60, 1000, 5000], [150, 45, 800, 2000], [310, 35, 500, 9]]
"""


class Laboratory:
    def __init__(self, folder: Path) -> None:
        path = folder / "station.toml"
        path.write_text(EXAMPLE.read_text(encoding="utf-8") + POSITIONER, encoding="utf-8")
        config = load_station(path)
        opened = open_laboratory(config, in_process)
        self.clock = opened.clock
        self.station = open_station(
            config,
            SampleConfig.model_validate({"name": "none", "material": "none"}),
            opened.connections,
            opened.clock,
            largest_voltage_V=None,
        )

    def step(self) -> None:
        status = self.station.positioner.move_by("x", 20)
        while not status.poll():
            self.clock.wait(0.05)
        status.check()

    def drive(self) -> tuple[float, float]:
        found = self.station.positioner.settings()
        return found["drive_x_V"], found["frequency_x_Hz"]


@pytest.fixture
def laboratory(tmp_path):
    made = Laboratory(tmp_path)
    yield made
    made.station.close()


def test_a_drive_for_the_cold_is_lowered_before_the_sample_gets_warm(laboratory):
    laboratory.step()
    assert laboratory.drive()[0] == 60.0

    laboratory.station.cryostat.set(200.0)

    assert laboratory.drive()[0] == 35.0  # of the warmest row on the way
    assert laboratory.station.cryostat.settings()["setpoint_K"] == 200.0


@pytest.mark.parametrize(("target_K", "most_V"), [(20.0, 60.0), (100.0, 45.0), (305.0, 35.0)])
def test_what_is_allowed_on_the_whole_way_stays_as_it_is(laboratory, target_K, most_V):
    laboratory.step()

    laboratory.station.cryostat.set(target_K)

    assert laboratory.drive()[0] == most_V


def test_the_temperature_does_not_move_while_the_piezos_can_t_be_asked(laboratory):
    before = laboratory.station.cryostat.settings()["setpoint_K"]
    laboratory.station.positioner.close()

    with pytest.raises(DeviceError, match=r"^positioner: "):
        laboratory.station.cryostat.set(100.0)

    assert laboratory.station.cryostat.settings()["setpoint_K"] == before


def test_where_no_temperature_is_known_the_strictest_row_holds(laboratory):
    laboratory.step()
    laboratory.station.positioner.thermometer = None

    laboratory.station.cryostat.set(6.0)

    assert laboratory.drive()[0] == 35.0


def test_without_a_positioner_the_cryostat_is_the_instrument_itself(tmp_path):
    config = load_station(EXAMPLE)
    opened = open_laboratory(config, in_process)
    station = open_station(
        config,
        SampleConfig.model_validate({"name": "none", "material": "none"}),
        opened.connections,
        opened.clock,
        largest_voltage_V=None,
    )

    assert not isinstance(station.cryostat, PiezoSafeCryostat)
    station.close()

"""The simulated world is wired as the station file says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from acquisition.cli import app
from acquisition.configuration.config import load_station
from acquisition.configuration.simulated_truth import truth_of
from simulators.truth import truth_from_mapping

SIMULATED = Path(__file__).parents[2] / "examples" / "station_simulated.toml"


def test_the_world_has_the_rotating_element_and_the_wiring_of_the_station(tmp_path: Path) -> None:
    text = SIMULATED.read_text(encoding="utf-8")
    for old, new in (
        ('rotates = "analyser"', 'rotates = "half-wave plate"'),
        ('zero = "0 deg"', 'zero = "17 deg"'),
        ("sense = 1", "sense = -1"),
        ("polarity = 1", "polarity = -1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "station.toml").write_text(text, encoding="utf-8")

    truth = truth_from_mapping(truth_of(load_station(tmp_path / "station.toml")))

    assert truth.optics.rotating_element == "half_wave_plate"
    assert (truth.optics.polarizer_zero_deg, truth.optics.polarizer_sense) == (17.0, -1)
    assert truth.electrodes.polarity == -1


@pytest.mark.parametrize("command", ["run", "simulate"])
def test_a_negative_seed_is_a_mistake_on_the_command_line(command: str) -> None:
    result = CliRunner().invoke(app, [command, str(SIMULATED), "--seed", "-1"])

    assert result.exit_code == 2
    assert "--seed" in result.output

"""The errors of fields and angles follow from what the station and the sweep are content with."""

from pathlib import Path

import pytest

from acquisition.configuration.config import Configuration, load
from acquisition.fits.setting_errors import angle_error_deg, field_error_kV_per_cm

EXAMPLES = Path(__file__).parents[2] / "examples"


def edited(folder: Path, sweep: str, old: str = "", new: str = "") -> Configuration:
    for name in (sweep, "station_simulated.toml"):
        (folder / name).write_text((EXAMPLES / name).read_text("utf-8"), encoding="utf-8")
    if old:
        text = (folder / sweep).read_text("utf-8")
        assert old in text
        (folder / sweep).write_text(text.replace(old, new), encoding="utf-8")
    return load(folder / sweep)


@pytest.mark.parametrize(("rotates", "turned"), [("analyser", 1.0), ("half-wave plate", 2.0)])
def test_an_angle_is_as_exact_as_the_stage(tmp_path: Path, rotates: str, turned: float) -> None:
    station = edited(tmp_path, "polarization.toml").station
    assert station.polarizer is not None
    plate = station.polarizer.model_copy(update={"rotates": rotates, "tolerance_deg": 0.3})

    error_deg = angle_error_deg(station.model_copy(update={"polarizer": plate}))

    # Evenly within +-0.3 deg of the stage; a plate turns light by twice its own angle.
    assert error_deg == pytest.approx(turned * 0.3 / 3.0**0.5)
    assert angle_error_deg(station.model_copy(update={"polarizer": None})) == 0.0


def test_a_field_is_as_exact_as_the_sweep_lets_it_settle(tmp_path: Path) -> None:
    loaded = edited(tmp_path, "stark.toml", 'tolerance = "0.5 kV/cm"', 'tolerance = "0.6 kV/cm"')

    error = field_error_kV_per_cm(loaded.station, loaded.sweep)

    assert error == pytest.approx(0.6 / 3.0**0.5)


def test_without_a_field_in_the_sweep_there_is_no_error(tmp_path: Path) -> None:
    loaded = edited(tmp_path, "polarization.toml")

    assert field_error_kV_per_cm(loaded.station, loaded.sweep) == 0.0

"""A law over what was never read back: said in words, and no other law suffers."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.configuration.config import load
from acquisition.fits.run_laws import law_texts
from acquisition.planning.expand import expand
from acquisition.planning.point_table import PointKind
from acquisition.running.run import create_run
from acquisition.storage.journal import Calibration, Journal, JournalReader
from acquisition.storage.record import Attempt, AttemptState

EXAMPLES = Path(__file__).parents[2] / "examples"
ANGLES = """[[axis]]
quantity = "polarization"
unit = "deg"
points = "0..180 step 10"
order = "random"
"""
REPEATS = """[[axis]]
quantity = "repeat"
points = 4
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of a station without bias supply and polarizer, whose sweep asks for their laws."""
    station = (EXAMPLES / "station_simulated.toml").read_text()
    for section in ("polarizer", "bias"):
        station = re.sub(rf"\[{section}\]\n(?:[^\[\n].*\n|\n)*", "", station)
    (tmp_path / "station_simulated.toml").write_text(station)
    shutil.copy(EXAMPLES / "polarization.toml", tmp_path / "sweep.toml")
    sweep = (tmp_path / "sweep.toml").read_text()
    assert ANGLES in sweep
    laws = '["parabola", "cos2", "diffusion"]'
    sweep = (
        sweep.replace(ANGLES, REPEATS).replace('["cos2"]', laws).replace("lines = 3", "lines = 1")
    )
    (tmp_path / "sweep.toml").write_text(sweep)
    configuration = load(tmp_path / "sweep.toml")
    table = expand(configuration.sweep, configuration.station)
    folder = create_run(configuration, table, 1_800_000_000.0)
    with_light(Journal.open(folder), [p for p in table.points if p.kind is PointKind.SAMPLE])
    return folder


def with_light(journal: Journal, points: list) -> None:  # type: ignore[type-arg]
    axis = Calibration("wavelength", 0.0, np.linspace(515.0, 522.0, 1024), {"medium": "vacuum"})
    calibration = journal.calibrate(axis)
    rng, pixels = np.random.default_rng(6), np.arange(1024)
    for point in points:
        line = np.exp(-0.5 * ((pixels - 440) / 6.0) ** 2)
        light = rng.poisson(20_000.0 * line / line.sum(), size=(point.frames, 1024))
        counts = 1000 + light + np.rint(4 * rng.standard_normal(light.shape))
        attempt = Attempt(
            point=point.index,
            state=AttemptState.OK,
            segment=1,
            start_s=0.0,
            end_s=1.0,
            exposure_s=point.exposure_s,
            counts=counts.astype(np.int32),
            frame_start_s=np.arange(float(point.frames)),
            readings={},
            calibration=calibration,
        )
        journal.put(attempt, accept=True)
    journal.close()


def test_a_law_whose_readings_are_missing_says_so_and_the_others_are_fitted(
    run_folder: Path,
) -> None:
    with JournalReader(run_folder) as reader:
        parabola, cos2, diffusion = law_texts(reader)

    assert "not fitted: 40 of 40 frames have no reading of field_kV_per_cm" in parabola
    assert "not fitted: 40 of 40 frames have no reading of angle_deg" in cos2
    assert "wanders by" in diffusion

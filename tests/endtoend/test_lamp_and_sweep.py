"""The lamp is measured by the command, named in a sweep, and seen in the fits of the final file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from acquisition import start_run
from acquisition.cli import app
from acquisition.fits.fit_run import fit_run
from analysis.readers.run_record import read_record
from simulators.lamps import NEON

EXAMPLES = Path(__file__).parents[2] / "examples"
LAMP = """
[selector]
model = "thorlabs.mff101"
address = "sim://flip"

[switch]
model = "numato.relay"
address = "sim://relay"
"""
# a nanocrystal that does not blink or wander: every frame is used
STEADY = """
[simulation.truth.nanocrystal.fluctuations]
energy_sigma_meV = 0.0
field_sigma_kV_per_cm = 0.0
jump_rate_per_s = 0.0
dim_rate_per_s = 0.0
trion_fraction = 0.0
"""
INDEX_OF_AIR = 1.0002782  # at 519 nm, E. R. Peck and K. Reeder 1972
EDITS = (
    ('centre = "518.3 nm" }', 'centre = "518.3 nm", lamp = "neon.txt", lamp_lines = "neon.csv" }'),
    ('"0..180 step 10"', "[115]"),
    ("frames = 10", "frames = 6"),
    ("lines = 3", 'lines = "auto"'),
    ('laws = ["cos2"]\n', ""),
)
INSTRUMENT_EV = 0.196e-3  # 60 um of 750 mm and 1800 grooves/mm at 518.3 nm: the simulated slit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    station = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    (tmp_path / "station_simulated.toml").write_text(station + LAMP + STEADY, encoding="utf-8")
    shutil.copy(EXAMPLES / "polarization.toml", tmp_path / "sweep.toml")
    text = (tmp_path / "sweep.toml").read_text(encoding="utf-8")
    for old, new in EDITS:
        assert old in text, old
        text = text.replace(old, new)
    (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
    lines = (f"{10.0 * INDEX_OF_AIR * nm:.4f},{strength}\n" for nm, strength in NEON)
    (tmp_path / "neon.csv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def cryoscan(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join((result.stdout + result.stderr).split())


def test_a_measured_lamp_reaches_the_fits_of_the_final_file(folder: Path, commit_seed: int) -> None:
    station = ("--station", folder / "station_simulated.toml")
    exposed = ("--centre", 518.3, "--grating", 0, "--exposure", 10)

    code, said = cryoscan("check", folder / "sweep.toml")
    assert code == 2
    assert "optics.spectrograph[1].lamp" in said
    code, said = cryoscan("devices", "lamp", folder / "neon.txt", *station, *exposed)
    assert code == 0, said
    code, said = cryoscan("check", folder / "sweep.toml")
    assert code == 0, said
    ended = start_run(folder / "sweep.toml", live_fit=False, final=False, seed=commit_seed % 2**32)
    (folder / "neon.txt").unlink()
    (folder / "neon.csv").unlink()
    assert fit_run(ended.folder) == 2  # the angle, and once more at the end
    code, said = cryoscan("finalise", ended.folder)
    assert code == 0, said

    (final,) = ended.folder.glob("*.nxs")
    for fit in read_record(final).fits:
        values = dict(zip(fit.names, fit.values, strict=True))
        assert fit.model.endswith("through the lamp's profile")
        assert "shape not known" not in fit.reason
        assert fit.verdict in ("converged", "poor fit"), fit.reason
        # the world's own lines are narrower than the instrument: the width is theirs alone
        assert 0.05e-3 < values["width_eV"] < INSTRUMENT_EV
        assert np.isfinite(fit.errors).all()

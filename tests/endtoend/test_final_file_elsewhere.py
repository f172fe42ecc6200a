"""The final file of a real map run, field by angle, in the hands of other programs."""

import subprocess
import sys
from pathlib import Path

import pytest

AXES = """
[[axis]]
quantity = "field"
unit = "kV/cm"
points = [-4, 0, 4]

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 45, 90, 135]
order = "snake"
repeat_first = false

[exposure]
time = "1 s"
frames = 2

[background]
frames = 2
"""


@pytest.fixture
def final(cryoscan, common_sweep) -> Path:
    """The final file of a map that was measured in this test, in process."""
    examples = Path(__file__).parents[2] / "examples"
    station = (examples / "station_simulated.toml").read_text(encoding="utf-8")
    (cryoscan.folder / "station.toml").write_text(station, encoding="utf-8")
    (cryoscan.folder / "map.toml").write_text(common_sweep + AXES, encoding="utf-8")
    run = cryoscan("run", "map.toml", "--no-fit", "--json")
    assert run.wait() == 0, run.err
    return cryoscan.folder / run.report["final"]


def test_the_map_of_a_real_run_opens_in_other_programs(final):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    silx_io = pytest.importorskip("silx.io")
    nxdata = pytest.importorskip("silx.io.nxdata")
    pytest.importorskip("pynxtools")

    with xarray.open_dataset(final, engine="h5netcdf", group="entry/data") as data:
        spectra = data["spectra"]
        assert spectra.sizes == {"electric_field": 3, "polarization_angle": 4, "wavelength": 1024}
        assert data["electric_field"].values.tolist() == [-4.0, 0.0, 4.0]
        assert data["polarization_angle"].values.tolist() == [0.0, 45.0, 90.0, 135.0]
        assert spectra.sel(electric_field=4, polarization_angle=45).max() > 1100

    with silx_io.open(str(final)) as file:
        plot = nxdata.get_default(file)
        assert plot.is_valid
        assert plot.signal.shape == (3, 4, 1024)

    script = "from pynxtools.cli import pynx; pynx()"
    command = [sys.executable, "-c", script, "validate", "--ignore-undocumented", str(final)]
    validated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert "is valid according to" in validated.stdout + validated.stderr

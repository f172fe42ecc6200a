"""The same sweep with the second model in every role: what is measured does not depend on it."""

from pathlib import Path

import numpy as np
import pytest

from acquisition.storage.journal import JournalReader
from analysis.readers.run_file import RunFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "station_simulated.toml"
STEADY = """
[simulation.truth.nanocrystal.fluctuations]
energy_sigma_meV = 0.0
field_sigma_kV_per_cm = 0.0
jump_rate_per_s = 0.0
dim_rate_per_s = 0.0
trion_fraction = 0.0
"""
GEOMETRY = """
[spectrograph.geometry]
focal_length = "750 mm"
half_included_angle = "-8 deg"
pixel = "20 um"

[camera]
"""
AXES = """
[[axis]]
quantity = "field"
unit = "kV/cm"
points = [-4, 8]

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 60]
repeat_first = false

[exposure]
time = "5 s"
frames = 2
"""


def other_station() -> str:
    """Return the simulated station with Acton, K10CR1 and 2470, whose gratings count from 1."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in (
        ('model = "horiba.monochromator"\naddress = "sim://icl"',
         'model = "acton.spectrapro"\naddress = "sim://spectrograph"'),
        ('model = "elliptec.ell14"\naddress = "sim://elliptec"',
         'model = "thorlabs.k10cr1"\naddress = "sim://rotator"'),
        ('model = "keithley.2410"', 'model = "keithley.2470"'),
        ('max = "1500 nm"', 'max = "900 nm"'),
        ("number = 2", "number = 3"),
        ("number = 1", "number = 2"),
        ("number = 0", "number = 1"),
        ("\n[camera]\n", GEOMETRY),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    return text + STEADY


def test_other_instruments_measure_the_same(cryoscan, tmp_path, common_sweep):
    stations = {
        "usual": (EXAMPLE.read_text(encoding="utf-8") + STEADY, "grating = 0"),
        "other": (other_station(), "grating = 1"),
    }
    runs = {}
    for name, (station, grating) in stations.items():
        (tmp_path / f"{name}_station.toml").write_text(station, encoding="utf-8")
        sweep = tmp_path / f"{name}.toml"
        text = (common_sweep + AXES).replace("station.toml", f"{name}_station.toml")
        sweep.write_text(text.replace("grating = 0", grating), encoding="utf-8")
        runs[name] = cryoscan.start("run", sweep, "--no-fit", "--json")

    spectra, axes, voltages = {}, {}, {}
    for name, run in runs.items():
        assert run.wait() == 0, run.err
        assert run.report["finish"] == "completed"
        with JournalReader(run.run_folder()) as journal:
            stored = [journal.accepted_attempt(index) for index in sorted(journal.accepted())]
            spectra[name] = np.array([each.attempt.counts.sum() for each in stored])
            voltages[name] = [each.attempt.readings.get("gap_voltage_V", 0.0) for each in stored]
        axes[name] = RunFile.open(next(run.run_folder().glob("*.nxs"))).wavelength_nm

    np.testing.assert_allclose(axes["other"], axes["usual"], atol=1e-6)
    np.testing.assert_allclose(spectra["other"], spectra["usual"], rtol=0.02)
    assert voltages["other"] == pytest.approx(voltages["usual"], abs=0.1)

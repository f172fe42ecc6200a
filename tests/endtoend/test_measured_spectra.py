"""The whole program on real input: measured spectra replayed by the camera, over 161 voltages."""

import re
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.readers.run_file import RunFile

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
MEASURED = HERE.parents[2] / "shared/data/mose2ws2_bias/electric_field.zip"

# window in V: slope of the tunable line and its error in meV/V, from the README of the data,
# by an independent lmfit fit
PUBLISHED_SLOPES = {(4.6, 6.3): (-22.5, 0.5), (4.6, 5.4): (-17.8, 0.7), (5.4, 6.2): (-24.8, 0.4)}

pytestmark = pytest.mark.skipif(
    not MEASURED.exists(), reason="the measured spectra (../shared/data) are not here"
)


@pytest.fixture
def replayed(cryoscan) -> Path:
    """The final file of the replay example, measured, fitted and finalised."""
    for name in ("bias_replay.toml", "station_replay.toml"):
        shutil.copy(EXAMPLES / name, cryoscan.folder)
    shutil.copy(MEASURED, cryoscan.folder)
    run = cryoscan("run", "bias_replay.toml", "--no-fit", "--no-final", "--json")
    assert run.wait() == 0, run.err
    assert run.report["finish"] == "completed"
    fit = cryoscan("fit", run.report["folder"])
    assert fit.wait() == 0, fit.err
    final = cryoscan("finalise", run.report["folder"])
    assert final.wait() == 0, final.err
    return cryoscan.folder / final.out.strip()


def measured_spectra() -> dict[float, np.ndarray]:
    """Read the archive without the program's own reader: voltage -> counts, in pixel order."""
    spectra = {}
    with zipfile.ZipFile(MEASURED) as archive:
        for name in archive.namelist():
            if found := re.search(r"=(-?\d+\.\d+)V", name):
                lines = archive.read(name).decode().splitlines()
                rows = [line.split() for line in lines if re.match(r"-?\d", line)]
                spectra[float(found[1])] = np.array([float(counts) for _, counts in rows])
    return spectra


def slope_meV_per_V(voltage_V, energy_eV, window_V: tuple[float, float]) -> tuple[float, float]:
    inside = (voltage_V > window_V[0] - 0.01) & (voltage_V < window_V[1] + 0.01)
    line, covariance = np.polyfit(voltage_V[inside], 1e3 * energy_eV[inside], 1, cov=True)
    return line[0], np.sqrt(covariance[0, 0])


def test_the_final_file_holds_the_measured_spectra_and_their_tunable_line(replayed):
    measured = measured_spectra()
    run = RunFile.open(replayed)

    voltage_V = run.axes["voltage"]
    assert voltage_V == pytest.approx(sorted(measured), abs=1e-9)
    assert run.readings["gap_voltage_V"] == pytest.approx(voltage_V, abs=0.02)
    in_order = np.array([measured[voltage] for voltage in sorted(measured)])
    np.testing.assert_array_equal(run.spectra, in_order)
    assert run.spectra.shape == (161, 1340)
    assert run.spectra.max() == 53_562
    assert run.spectra.min() < -20  # background was subtracted

    with h5py.File(replayed, "r") as file:
        (fit,) = [name for name in file["entry"] if name.startswith("fit_")]
        energy_eV = file[f"entry/{fit}/result/energy_1_eV"][...]
    for window_V, (published, error) in PUBLISHED_SLOPES.items():
        slope, sigma = slope_meV_per_V(voltage_V, energy_eV, window_V)
        assert abs(slope - published) < 2.0 * np.hypot(sigma, error), (window_V, slope, sigma)
        assert sigma <= 1.5 * error, (window_V, slope, sigma)

"""Measured files of other laboratories (../shared/data): what their README says is found."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.lamp.lamp_lines import LineList, identify_lines, measure_lines, read_line_list
from analysis.laws.stark import fit_stark_parabola
from analysis.readers.read_any import read_any

MEASURED = Path(__file__).parents[3] / "shared/data"
pytestmark = pytest.mark.skipif(
    not MEASURED.exists(), reason="the measured spectra (../shared/data) are not here"
)


@pytest.mark.parametrize(
    # Andor's text comes from single precision: half a unit of it is 3e-5 nm above 512 nm.
    ("name", "pixels", "tolerance_nm"),
    [("raman1", 1024, 2e-5), ("step_and_glue", 4711, 2e-5 + 2.0**-15)],
)
def test_binary_and_text_of_one_andor_spectrum_agree(
    name: str, pixels: int, tolerance_nm: float
) -> None:
    binary = read_any(MEASURED / f"andor/{name}.sif")
    text = read_any(MEASURED / f"andor/{name}.asc")

    assert binary.counts.shape == text.counts.shape == (1, pixels)
    assert np.abs(binary.wavelength_nm - text.wavelength_nm).max() < tolerance_nm
    np.testing.assert_allclose(binary.counts, text.counts, rtol=1e-5)


# Argon in air, from the line list of the folder, and the two hydrogen lines, from NIST.
HYDROGEN_NM = [434.0472, 486.1350]


def test_the_lines_of_a_discharge_are_too_long_by_a_pure_offset() -> None:
    found = read_any(MEASURED / "andor/step_and_glue.sif")
    argon = read_line_list(MEASURED / "neon_lamp/lines_vacuum_ar.csv", medium="vacuum")
    strong = argon.to_medium("air")
    kept = (strong.strength > 5000) & (strong.wavelength_nm > 690) & (strong.wavelength_nm < 850)
    wavelengths = np.concatenate([HYDROGEN_NM, strong.wavelength_nm[kept]])
    strengths = np.concatenate([[20000.0, 20000.0], strong.strength[kept]])
    references = LineList(wavelengths, strengths, "air")

    pairs = identify_lines(
        measure_lines(found.counts[0]), found.wavelength_nm - 1.07, references, tolerance_nm=0.3
    )

    read_nm = np.interp(pairs.pixel, np.arange(found.wavelength_nm.size), found.wavelength_nm)
    offsets = read_nm - pairs.wavelength_nm
    assert offsets.size >= 14
    assert (offsets > 0.97).all()
    assert (offsets < 1.17).all()


def test_the_spike_of_a_kinetic_series_is_masked() -> None:
    found = read_any(MEASURED / "andor/kinetic_series.sif")

    noise = DetectorNoise(read_noise_e=30.0, offset_counts=700.0)
    frame, pixel = np.nonzero(cosmic_ray_mask(found.counts, noise))

    assert found.counts.shape == (20, 1024)
    assert set(pixel[frame == 19].tolist()) <= set(range(798, 808))
    assert (frame == 19).sum() >= 2
    assert frame.size < 10


def test_a_princeton_spectrum() -> None:
    found = read_any(MEASURED / "princeton/one_dimensional_spectrum.spe")

    assert found.counts.shape == (1, 1024)
    assert found.counts.max() == 6473
    np.testing.assert_allclose(found.wavelength_nm[[0, -1]], [567.94, 831.09], atol=0.005)


def test_the_cosmic_pixels_of_a_gate_sweep_are_the_only_ones_masked() -> None:
    found = read_any(MEASURED / "mose2ws2_bias/charge_density.zip")
    hit = []
    for i, label in enumerate(found.labels):
        first = int(np.clip(i - 2, 0, len(found.labels) - 5))
        near = found.counts[first : first + 5]
        mask = cosmic_ray_mask(near, DetectorNoise(read_noise_e=4.5), narrowest_fwhm_px=3.0)
        hit += [(label, found.wavelength_nm[p]) for p in np.flatnonzero(mask[i - first])]

    assert len(hit) == 8
    assert len({label for label, _ in hit}) == 3
    for voltage, wavelength in (("3.4 V", 791.7), ("-4.25 V", 734.0)):
        assert min(abs(nm - wavelength) for label, nm in hit if label == voltage) < 0.05


def test_a_lamp_file_says_what_was_left_out() -> None:
    found = read_any(MEASURED / "neon_lamp/NeonSNQ043_iR532_Probe_100msx2.txt")

    assert found.labels == ("Dark Subtracted #1",)
    assert found.counts.shape == (1, 1801)
    assert any("247 pixels at the ends" in note for note in found.notes)
    np.testing.assert_allclose(found.wavelength_nm[[0, -1]], [536.18, 676.32])


def shifts(name: str) -> np.ndarray:
    """Return the absorption peak in eV at each bias."""
    text = (MEASURED / f"qd_absorption_stark/{name}_shift_200K.txt").read_text()
    return np.array([float(word) for word in re.findall(r"\S+", text)])


def test_absorption_of_quantum_dots_over_bias() -> None:
    undoped, doped = shifts("undoped"), shifts("doped")
    assert undoped.size == doped.size == 6
    bias = np.arange(6.0)

    bent = fit_stark_parabola(bias, undoped, np.full(6, 1e-4))
    straight = np.polyfit(bias, doped, 1)

    assert (np.diff(undoped) < 0).all()
    assert bent.coefficients[0] == pytest.approx(1.00674, abs=2 * 2e-4)
    assert bent.coefficients[1] == pytest.approx(-0.33e-3, abs=2 * 0.12e-3)
    assert bent.coefficients[2] == pytest.approx(-0.104e-3, abs=2 * 0.022e-3)
    assert 1e3 * straight[0] == pytest.approx(-2.64, abs=0.1)


def test_the_field_sweep_has_every_voltage_once_in_order() -> None:
    found = read_any(MEASURED / "mose2ws2_bias/electric_field.zip")
    voltages = [float(label.split()[0]) for label in found.labels]

    assert found.counts.shape == (161, 1340)
    assert all(b - a == pytest.approx(0.1) for a, b in pairwise(voltages))
    assert voltages[0] == -8.0


def test_the_spectrum_without_field_has_its_four_lines() -> None:
    found = read_any(MEASURED / "mose2ws2_bias/electric_field.zip")
    counts = found.counts[found.labels.index("0 V")]

    for line_nm in (754.77, 765.70, 767.51, 774.04):
        near = np.flatnonzero(np.abs(found.wavelength_nm - line_nm) < 1.0)
        highest = found.wavelength_nm[near[np.argmax(counts[near])]]
        assert highest == pytest.approx(line_nm, abs=0.01)

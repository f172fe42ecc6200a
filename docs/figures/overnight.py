"""Draw the overnight sweep from its final file: all spectra over temperature, and the fitted line.

    python docs/figures/overnight.py RUN.nxs overnight.png

Needs nothing but h5py, numpy and matplotlib: it shows how a run is read without cryoscan.
"""

import sys
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

HC_EV_NM = 1239.841984  # vacuum
ENERGIES_EV = np.linspace(2.24, 2.36, 480)

Array = NDArray[np.float64]


def spectra_by_temperature(entry: h5py.Group) -> tuple[Array, Array]:
    """Return the setpoints in K and, for each, counts per eV of all angles together.

    The angles of a temperature are added; counts of different gratings become comparable by
    their dispersion. Shapes (n,) and (n, energies); NaN outside the grating's window.
    """
    data = entry["data"]
    setpoint_K = data["temperature"][...].ravel()
    spectra = data["spectra"][...].reshape(len(setpoint_K), -1) - offset(entry)[:, np.newaxis]
    wavelength_nm = data["wavelength_by_setting"][...][data["spectrograph_setting"][...].ravel()]
    temperatures_K = np.unique(setpoint_K)
    density = np.zeros((len(temperatures_K), len(ENERGIES_EV)))
    for counts, nm, at in zip(spectra, wavelength_nm, setpoint_K, strict=True):
        energy_eV = HC_EV_NM / nm
        per_eV = counts / np.abs(np.gradient(energy_eV))
        order = np.argsort(energy_eV)
        row = np.searchsorted(temperatures_K, at)
        density[row] += np.interp(ENERGIES_EV, energy_eV[order], per_eV[order], np.nan, np.nan)
    return temperatures_K, density


def offset(entry: h5py.Group) -> Array:
    """Return what the detector adds to a pixel of each spectrum, from the laser-blocked frames."""
    backgrounds = entry["backgrounds"]
    blocked = np.array([kind == b"blocked" for kind in backgrounds["kind"][...]])
    counts = backgrounds["spectra"][...][blocked]
    per_frame = np.median(counts / backgrounds["frames"][...][blocked, np.newaxis])
    frames: Array = per_frame * entry["data/frames"][...].ravel()
    return frames


def fitted_energies(entry: h5py.Group) -> tuple[Array, Array, Array]:
    """Return temperature in K, energy and its error in eV of every point with a usable fit."""
    result = next(entry[name]["result"] for name in entry if name.startswith("fit_"))
    energy_eV = result["energy_1_eV"][...].ravel()
    error_eV = result["energy_1_eV_errors"][...].ravel()
    good = np.isfinite(energy_eV) & (error_eV < 1.5e-3)
    temperature_K = entry["data/temperature_K"][...].ravel()
    return temperature_K[good], energy_eV[good], error_eV[good]


def draw(run: Path, picture: Path) -> None:
    with h5py.File(run, "r") as file:
        temperatures_K, density = spectra_by_temperature(file["entry"])
        fits = fitted_energies(file["entry"])
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 4), layout="constrained", sharex=True, sharey=True
    )
    shown = np.sqrt(np.clip(density / np.nanmax(density, axis=1, keepdims=True), 0, 1))
    left.set_facecolor("lightgrey")  # outside the window of the finer grating
    left.pcolormesh(temperatures_K, ENERGIES_EV, shown.T, rasterized=True)
    left.set(ylabel="energy (eV)", xlabel="temperature (K)", title="spectra, angles added")
    right.errorbar(fits[0], fits[1], fits[2], fmt=".", markersize=3, linewidth=0.8)
    right.set(xlabel="temperature (K)", title="fitted line, every angle")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))

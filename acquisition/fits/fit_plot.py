"""Pictures of fits: counts, what the fit expects, and residuals."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.fits.fit_files import FileFit
from analysis.spectra.fit_labels import LabelledGroup
from analysis.spectra.labels import UNASSIGNED
from analysis.wavelength.axis import energy_edges_eV

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_fits"]

Array = NDArray[np.float64]

LONGEST_NAME = 120


def plot_fits(fits: Iterable[FileFit], folder: Path) -> None:
    """Draw every fit into a PNG of its own; the second of one name is NAME_2. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Counter[str]()
    for one in fits:
        name = _name(one)
        drawn[name] += 1
        again = f"_{drawn[name]}" if drawn[name] > 1 else ""
        _draw(one, folder / f"{name}{again}.png")


def _name(one: FileFit) -> str:
    start = re.sub(r"[^\w.+-]+", "_", f"{Path(one.source).stem}_{one.spectrum}")[:LONGEST_NAME]
    return f"{start}_{one.fit.window_eV[0]:.4f}eV"


def _draw(one: FileFit, path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that not everybody needs

    energy, counts, expected = _in_window(one)
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot(energy, counts, ".", markersize=3, color="0.4", label="counts")
    if expected is not None:
        above.plot(energy, expected, "-", linewidth=1, color="C3", label="fit")
        below.plot(energy, counts - expected, ".", markersize=3, color="0.4")
    below.axhline(0.0, linewidth=0.5, color="0.4")
    for label in one.labels:
        _write_label(above, label, energy, counts)
    above.set(ylabel="counts", title=f"{Path(one.source).name} {one.spectrum}".strip())
    below.set(xlabel="photon energy (eV)", ylabel="residual")
    above.legend()
    figure.savefig(path, dpi=120)


def _write_label(axes: "Axes", found: LabelledGroup, energy: Array, counts: Array) -> None:
    """Write the label above the light at its place, where that is in the window."""
    place = found.group.centre_eV
    if not energy.size or not energy.min() < place < energy.max():
        return
    near = np.abs(energy - place) < _NEAR * np.ptp(energy)
    axes.annotate(
        "?" if found.label.name == UNASSIGNED else found.label.name,
        (place, float(np.nanmax(counts[near]))),
        xytext=(0.0, 4.0),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )


_NEAR = 0.01  # of the window


def _in_window(one: FileFit) -> tuple[Array, Array, Array | None]:
    """Return energies, counts and, where there is a fit, what it expects, in the fitted window."""
    edges = energy_edges_eV(one.vacuum_nm)
    middle = 0.5 * (edges[1:] + edges[:-1])
    low, high = one.fit.window_eV
    inside = np.flatnonzero((middle > low) & (middle < high))
    energy, counts = middle[inside], one.counts[inside]
    if not inside.size or not np.isfinite(one.fit.values).all():
        return energy, counts, None
    # As they were fitted, energy rising: a slope of the background would else have the other sign.
    rising = np.sort(edges[inside[0] : inside[-1] + 2])
    expected = one.table.evaluate(one.fit.values[None], rising)[0][0]
    order = np.argsort(np.argsort(energy))
    return energy, counts, expected[order] + one.offset_counts

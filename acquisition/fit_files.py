"""Fitting foreign files with a chosen model: a row of a table for every window of a spectrum."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from analysis.axis import energy_edges_eV
from analysis.corrections import cosmic_ray_mask
from analysis.detector_noise import DetectorNoise
from analysis.measured_spectra import MeasuredSpectra
from analysis.noise_estimate import estimate_noise
from analysis.read_any import read_any
from analysis.spectrum_fit import FitModel, SpectrumFit, fit_spectrum
from analysis.units import energy_from_wavelength_eV, vacuum_from_air_nm

__all__ = [
    "FileFit",
    "FileFitOptions",
    "fit_file",
    "fit_paths",
    "parse_lines",
    "parse_medium",
    "parse_shape",
    "parse_window",
    "plot_fit",
    "table_of",
]

Array = NDArray[np.float64]
Window = tuple[float, float]
Tell = Callable[[str], None]

FRAMES_COMPARED = 5  # neighbouring spectra that show what is a cosmic ray in one of them
FEWEST_FRAMES = 3


@dataclass(frozen=True, slots=True)
class FileFitOptions:
    """What is fitted to every spectrum of every file.

    windows_eV: a fit for each; none: one, around the strongest line. medium: of the wavelengths
    where the file does not say; gain and the others: of the detector, estimated if not given.
    """

    lines: int | Literal["auto"] = 1
    shape: Literal["gauss", "lorentz"] = "gauss"
    windows_eV: tuple[Window, ...] = ()
    medium: Literal["air", "vacuum"] | None = None
    gain_e_per_count: float = 1.0
    read_noise_e: float | None = None
    offset_counts: float | None = None
    saturation_counts: float = np.inf

    def models(self) -> tuple[FitModel, ...]:
        """Return a model for each window. Raises ValueError for what no model can be."""
        windows: tuple[Window | None, ...] = self.windows_eV or (None,)
        return tuple(
            FitModel(lines=self.lines, shape=self.shape, window_eV=window) for window in windows
        )


@dataclass(frozen=True, slots=True)
class FileFit:
    """The fit of one window of one spectrum of a file, with what was fitted."""

    source: str
    spectrum: str
    model: FitModel
    fit: SpectrumFit
    vacuum_nm: Array
    counts: Array
    offset_counts: float


def parse_lines(text: str) -> int | Literal["auto"]:
    """Read 1, 2, 3 or auto. Raises ValueError for anything else."""
    if text == "auto":
        return "auto"
    if text not in ("1", "2", "3"):
        raise ValueError(f"lines {text!r}: expected 1, 2, 3 or auto")
    return int(text)


def parse_shape(text: str) -> Literal["gauss", "lorentz"]:
    """Read the name of a line shape. Raises ValueError for anything else."""
    if text == "gauss":
        return "gauss"
    if text == "lorentz":
        return "lorentz"
    raise ValueError(f"shape {text!r}: expected gauss or lorentz")


def parse_medium(text: str | None) -> Literal["air", "vacuum"] | None:
    """Read air or vacuum, or None for neither. Raises ValueError for anything else."""
    if text is None:
        return None
    if text == "air":
        return "air"
    if text == "vacuum":
        return "vacuum"
    raise ValueError(f"medium {text!r}: expected air or vacuum")


def parse_window(text: str) -> Window:
    """Read LOW:HIGH in eV, or in nm with that unit, as in 2.38:2.40 or 515nm:525nm.

    Raises ValueError for anything else.
    """
    ends = [re.fullmatch(r"\s*(\d+\.?\d*)\s*(nm|eV)?\s*", end) for end in text.split(":")]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        raise ValueError(f"window {text!r}: expected LOW:HIGH in eV, or 515nm:525nm")
    in_nm = "nm" in (ends[0][2], ends[1][2])
    low, high = (float(end[1]) for end in ends if end is not None)
    if not 0 < low < high:
        raise ValueError(f"window {text!r}: {low:g} must be above 0 and below {high:g}")
    if not in_nm:
        return low, high
    energies = energy_from_wavelength_eV([high, low])
    return float(energies[0]), float(energies[1])


def fit_file(
    path: Path, options: FileFitOptions, *, tell: Tell = lambda _: None
) -> Iterator[FileFit]:
    """Yield the fits of one file, spectrum by spectrum.

    tell: gets what a person must know of the file, such as an axis whose medium is assumed. Raises
    OSError, ValueError for a file that cannot be read; what is wrong with one spectrum is in the
    verdict of its fit.
    """
    models = options.models()
    spectra = read_any(path)
    vacuum_nm = _in_vacuum(spectra, options, tell)
    for note in spectra.notes:
        tell(f"{path}: {note}")
    noise = estimate_noise(
        spectra.counts,
        gain_e_per_count=options.gain_e_per_count,
        read_noise_e=options.read_noise_e,
        offset_counts=options.offset_counts,
        saturation_counts=options.saturation_counts,
    )
    counts = _without_cosmic_rays(spectra, noise, tell)
    for label, one in zip(spectra.labels, counts, strict=True):
        for model in models:
            fit = fit_spectrum(vacuum_nm, one, model=model, noise=noise)
            yield FileFit(str(path), label, model, fit, vacuum_nm, one, noise.offset_counts)


def fit_paths(
    paths: Iterable[Path], options: FileFitOptions, *, console: Console
) -> tuple[list[FileFit], list[str]]:
    """Fit many files; return the fits, and a line for each file that could not be read.

    console: gets the remarks, and a bar where it is a terminal.
    """
    fits: list[FileFit] = []
    unread: list[str] = []

    def tell(text: str) -> None:
        console.print(text, markup=False)

    for path in track(
        list(paths), "fitting", console=console, disable=not console.is_terminal, transient=True
    ):
        try:
            fits += fit_file(path, options, tell=tell)
        except (OSError, ValueError) as error:
            unread.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    return fits, unread


def _in_vacuum(spectra: MeasuredSpectra, options: FileFitOptions, tell: Tell) -> Array:
    medium = spectra.medium if spectra.medium != "unknown" else options.medium
    if medium is None:
        tell(
            f"{spectra.source}: does not say whether its wavelengths are those in air; taken as "
            "vacuum (--medium air makes 0.7 meV of difference in the green)"
        )
    return vacuum_from_air_nm(spectra.wavelength_nm) if medium == "air" else spectra.wavelength_nm


def _without_cosmic_rays(spectra: MeasuredSpectra, noise: DetectorNoise, tell: Tell) -> Array:
    """Return the counts with NaN where a particle hit one of several spectra."""
    counts = np.array(spectra.counts)
    number = len(counts)
    if number < FEWEST_FRAMES:
        return counts
    width = min(FRAMES_COMPARED, number)
    hits = np.zeros(counts.shape, dtype=np.bool_)
    for i in range(number):
        first = int(np.clip(i - width // 2, 0, number - width))
        near = np.nan_to_num(spectra.counts[first : first + width])
        hits[i] = cosmic_ray_mask(near, noise)[i - first]
    if hits.any():
        where = int(hits.any(axis=1).sum())
        tell(f"{spectra.source}: {int(hits.sum())} pixels of {where} spectra masked as cosmic rays")
    counts[hits] = np.nan
    return counts


FIRST_COLUMNS = (
    "file",
    "spectrum",
    "window_low_eV",
    "window_high_eV",
    "lines",
    "verdict",
    "chi2_per_dof",
)


def table_of(fits: Sequence[FileFit]) -> str:
    """Return the fits as comma-separated text: a row each, two columns for every parameter.

    The error of a parameter holds what the model lacks as well as photon noise.
    """
    names = list(dict.fromkeys(name for one in fits for name in one.fit.names))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        [
            *FIRST_COLUMNS,
            *(column for name in names for column in (name, f"{name}_error")),
            "reason",
        ]
    )
    for one in fits:
        table.writerow([*_first_cells(one), *_parameter_cells(one.fit, names), one.fit.reason])
    return text.getvalue()


def _first_cells(one: FileFit) -> Iterable[str]:
    low, high = one.fit.window_eV
    yield from (one.source, one.spectrum, f"{low:.7g}", f"{high:.7g}", str(one.fit.lines))
    yield from (one.fit.verdict.value, _written(one.fit.chi2_per_dof))


def _parameter_cells(fit: SpectrumFit, names: Iterable[str]) -> Iterable[str]:
    values = dict(zip(fit.names, zip(fit.values, fit.errors_with_misfit, strict=True), strict=True))
    for name in names:
        value, error = values.get(name, (np.nan, np.nan))
        yield _written(value, digits=9)
        yield _written(error)


def _written(value: float, *, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if np.isfinite(value) else ""


def plot_fit(one: FileFit, folder: Path) -> Path:
    """Draw counts, fit and residuals of a window into a PNG in the folder; return its path."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second that not everybody needs

    energy, counts, expected = _in_window(one)
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot(energy, counts, ".", markersize=3, color="0.4", label="counts")
    if expected is not None:
        above.plot(energy, expected, "-", linewidth=1, color="C3", label="fit")
        below.plot(energy, counts - expected, ".", markersize=3, color="0.4")
    below.axhline(0.0, linewidth=0.5, color="0.4")
    above.set(ylabel="counts", title=f"{Path(one.source).name} {one.spectrum}".strip())
    below.set(xlabel="photon energy (eV)", ylabel="residual")
    above.legend()
    low, _ = one.fit.window_eV
    name = re.sub(r"[^\w.+-]+", "_", f"{Path(one.source).stem}_{one.spectrum}_{low:.4f}eV")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=120)
    return path


def _in_window(one: FileFit) -> tuple[Array, Array, Array | None]:
    """Return energies, counts and, where there is a fit, what it expects, in the fitted window."""
    edges = energy_edges_eV(one.vacuum_nm)
    middle = 0.5 * (edges[1:] + edges[:-1])
    low, high = one.fit.window_eV
    inside = np.flatnonzero((middle > low) & (middle < high))
    energy, counts = middle[inside], one.counts[inside]
    if not inside.size or not np.isfinite(one.fit.values).all():
        return energy, counts, None
    table = one.model.table(one.fit.lines)
    expected, _ = table.evaluate(one.fit.values[None], edges[inside[0] : inside[-1] + 2])
    return energy, counts, expected[0] + one.offset_counts

"""Fitting foreign files with a chosen model: a fit for every window of every spectrum."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.ndimage import maximum_filter1d

from acquisition.fits.fit_options import FileFitOptions
from acquisition.storage.run_folder import FINAL_SUFFIX, LIVE
from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.hits import lone_pixels
from analysis.detector.noise_estimate import estimate_noise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import LineTable
from analysis.lamp.lamp_axis import LampAxis, calibrate_axis
from analysis.lamp.lamp_lines import merged, read_line_list
from analysis.lamp.measured_profile import measured_profile
from analysis.readers.measured_spectra import MeasuredSpectra
from analysis.readers.read_any import read_any, read_groups
from analysis.spectra.fit_labels import LabelledGroup, label_fit
from analysis.spectra.line_selection import select_lines
from analysis.spectra.model_fit import ModelFit, ModelFitter
from analysis.spectra.spectrum_fit import SpectrumFit, fit_spectrum
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.spectra.spectrum_peaks import Peak, spectrum_peaks
from analysis.spectra.spectrum_window import in_electrons
from analysis.wavelength.units import vacuum_from_air_nm, wavelength_from_energy_nm

__all__ = [
    "Calibration",
    "FileFit",
    "SpectraToFit",
    "calibration",
    "fit_file",
    "fit_paths",
    "measured_file",
    "open_spectra",
]

Array = NDArray[np.float64]
Tell = Callable[[str], None]
Window = tuple[float, float]

FRAMES_COMPARED = 5  # neighbouring spectra that show what is a cosmic ray in one of them
FEWEST_FRAMES = 3
_PIXELS_BESIDE = 11  # an edge lies between two of them
HIT_REACH_PX = 2  # nothing is told beside a pixel without a count
UNKNOWN_SHAPE = "; shape not known, splitting not claimed"


@dataclass(frozen=True, slots=True)
class FileFit:
    """The fit of one window of one spectrum of a file, with what was fitted.

    table: the lines that were fitted. peak: around which the window was laid, where every peak was
    asked for. labels: of what a model with components found. response_error: of the detector.
    """

    source: str
    spectrum: str
    table: LineTable
    fit: SpectrumFit
    vacuum_nm: Array
    counts: Array
    offset_counts: float
    peak: Peak | None = None
    labels: tuple[LabelledGroup, ...] = ()
    response_error: float = 0.0


@dataclass(frozen=True, slots=True)
class SpectraToFit:
    """The spectra of one file, (spectra, pixels), NaN where a pixel is not to be used."""

    source: str
    labels: tuple[str, ...]
    vacuum_nm: Array
    counts: Array
    noise: DetectorNoise
    profile: InstrumentProfile | None = None

    def fits(self, options: FileFitOptions) -> Iterator[tuple[FileFit, ...]]:
        """Yield the fits of one spectrum after the other."""
        for label, counts in zip(self.labels, self.counts, strict=True):
            yield tuple(
                replace(self._fitted(label, counts, options, window), peak=peak)
                for window, peak in self._windows(counts, options)
            )

    def _windows(
        self, counts: Array, options: FileFitOptions
    ) -> Iterator[tuple[Window | None, Peak | None]]:
        if options.windows_eV == "peaks":
            peaks = spectrum_peaks(self.vacuum_nm, counts, self.noise)
            yield from ((peak.window_eV, peak) for peak in peaks)
        else:
            yield from ((window, None) for window in options.windows_eV or (None,))

    def _fitted(
        self, label: str, counts: Array, options: FileFitOptions, window: Window | None
    ) -> FileFit:
        def of(
            table: LineTable, fit: SpectrumFit, labels: tuple[LabelledGroup, ...] = ()
        ) -> FileFit:
            return FileFit(
                self.source,
                label,
                table,
                fit,
                self.vacuum_nm,
                counts,
                self.noise.offset_counts,
                labels=labels,
                response_error=self.noise.response_error,
            )

        if options.components or self.profile is not None:
            model = options.spectrum_model(window, self.profile)
            found, model = self._selected(counts, options, model)
            labels = label_fit(found, model) if options.components else ()
            return of(model.table(found.contents), found.fit, labels)
        simple = options.model(window)
        near = self._around(window) if options.windows_eV == "peaks" else slice(None)
        fit = fit_spectrum(self.vacuum_nm[near], counts[near], model=simple, noise=self.noise)
        return of(simple.table(fit.lines), fit)

    def _around(self, window: Window | None) -> slice:
        """Return the pixels of a peak's window and some beside it: spectra may have millions."""
        assert window is not None  # noqa: S101 - a peak has one
        far, near = wavelength_from_energy_nm(window)
        inside = np.flatnonzero((self.vacuum_nm > near) & (self.vacuum_nm < far))
        return slice(max(0, int(inside[0]) - _PIXELS_BESIDE), int(inside[-1]) + _PIXELS_BESIDE + 1)

    def _selected(
        self, counts: Array, options: FileFitOptions, model: SpectrumModel
    ) -> tuple[ModelFit, SpectrumModel]:
        """Return the fit with as many lines as asked for, or as the data want, and its model."""
        whole = in_electrons(self.vacuum_nm, counts[None], noise=self.noise, background=None)
        if options.lines != "auto" and self.profile is None:
            return ModelFitter(model, self.noise).fit_window(whole), model
        selection = select_lines(model, self.noise, [whole], numbers=options.numbers)
        found = selection.fit
        words = [found.fit.reason.replace(UNKNOWN_SHAPE, ""), selection.reason]
        fit = replace(
            found.fit,
            reason="; ".join(dict.fromkeys(word for word in words if word)),
            gains=selection.gains,
            splitting_claimed=selection.is_claimed,
        )
        return replace(found, fit=fit), replace(model, lines=selection.lines)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the lamp of the options says: the axis, and the profile where it is asked for."""

    axis: LampAxis
    profile: InstrumentProfile | None = None


def calibration(options: FileFitOptions) -> Calibration | None:
    """Return what the options' lamp gives, or None without a lamp.

    Raises OSError, ValueError for files that are no lamp or no list of lines, or show no profile.
    """
    if options.lamp is None:
        return None
    lists = [read_line_list(path, medium="vacuum") for path in options.lamp_lines]
    lamp = read_any(options.lamp)
    axis = calibrate_axis(lamp, merged(lists))
    if not options.sees_profile:
        return Calibration(axis)
    noise = estimate_noise(
        lamp.counts[:1],
        gain_e_per_count=options.gain_e_per_count,
        saturation_counts=options.saturation_counts,
    )
    return Calibration(axis, measured_profile(lamp, axis, noise))


def open_spectra(
    path: Path,
    options: FileFitOptions,
    *,
    lamp: Calibration | None = None,
    tell: Tell = lambda _: None,
) -> tuple[SpectraToFit, ...]:
    """Read one file, mask what particles left in its spectra, and estimate their noise.

    One group of spectra, or one for every wavelength axis of a run.
    lamp: gives the axis in place of the file's own. tell: gets what a person must know of the file,
    such as an axis whose medium is assumed. Raises OSError, ValueError for a file that cannot be
    read or has no spectrum of the labels asked for.
    """
    groups = read_groups(measured_file(path))
    for note in dict.fromkeys(note for read in groups for note in read.notes):
        tell(f"{path}: {note}")
    labels = [label for read in groups for label in read.labels]
    unknown = [label for label in options.spectra if label not in labels]
    if unknown:
        some = ", ".join(repr(label) for label in labels[:5])
        raise ValueError(f"{path}: no spectrum {unknown[0]!r}; it has {some}, ...")
    opened = (_opened(path, read, options, lamp, tell) for read in groups)
    return tuple(spectra for spectra in opened if spectra.labels)


def _opened(
    path: Path,
    read: MeasuredSpectra,
    options: FileFitOptions,
    lamp: Calibration | None,
    tell: Tell,
) -> SpectraToFit:
    _insist_on_counts(read)
    vacuum_nm = _in_vacuum(read, options, tell) if lamp is None else _of_lamp(read, lamp.axis)
    noise = estimate_noise(
        read.counts,
        gain_e_per_count=options.gain_e_per_count,
        read_noise_e=options.read_noise_e,
        offset_counts=options.offset_counts,
        saturation_counts=options.saturation_counts,
    )
    noise = replace(noise, response_error=options.response_error)
    counts = _without_cosmic_rays(read, noise, tell)
    chosen = _chosen(read, options)
    labels = tuple(read.labels[i] for i in chosen)
    profile = None if lamp is None else lamp.profile
    return SpectraToFit(str(path), labels, vacuum_nm, counts[chosen], noise, profile)


MOST_COUNTS = 1e30  # far beyond any detector: what is larger overflows when it is squared


def _insist_on_counts(read: MeasuredSpectra) -> None:
    """Raise ValueError for numbers that no detector delivers and whose squares are no numbers."""
    largest = float(np.nanmax(np.abs(read.counts), initial=0.0, where=np.isfinite(read.counts)))
    if largest > MOST_COUNTS:
        raise ValueError(
            f"{read.source}: counts up to {largest:.3g}: no detector's, at most {MOST_COUNTS:g}"
        )


def measured_file(path: Path) -> Path:
    """Return the path itself, or of the folder of a run its newest final file, else its live one.

    Raises FileNotFoundError for a folder that holds neither.
    """
    if not path.is_dir():
        return path
    finals = sorted(path.glob(f"*{FINAL_SUFFIX}"), key=lambda file: file.stat().st_mtime)
    if finals:
        return finals[-1]
    if not (path / LIVE).exists():
        raise FileNotFoundError(f"{path}: holds no {LIVE} and no final file (*{FINAL_SUFFIX})")
    return path / LIVE


def fit_file(
    path: Path, options: FileFitOptions, *, tell: Tell = lambda _: None
) -> Iterator[FileFit]:
    """Yield the fits of one file, spectrum by spectrum. Raises and tells as open_spectra does.

    What is wrong with one spectrum is in the verdict of its fit.
    """
    for spectra in open_spectra(path, options, lamp=calibration(options), tell=tell):
        for fits in spectra.fits(options):
            yield from fits


def fit_paths(
    paths: Iterable[Path], options: FileFitOptions, *, console: Console
) -> tuple[list[FileFit], list[str]]:
    """Fit many files; return the fits, and a line for each file that could not be read.

    console: gets the remarks, and a bar over all spectra where it is a terminal. Raises OSError,
    ValueError for a lamp that is none.
    """
    lamp = calibration(options)
    done: list[FileFit] = []
    unread: list[str] = []

    def tell(text: str) -> None:
        console.print(text, markup=False)

    if lamp is not None:
        tell(f"{options.lamp}: {lamp.axis.described()}")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("fitting", total=0)
        for path in paths:
            try:
                groups = open_spectra(path, options, lamp=lamp, tell=tell)
            except (OSError, ValueError) as error:
                unread.append(str(error) if str(path) in str(error) else f"{path}: {error}")
                continue
            number = sum(len(spectra.labels) for spectra in groups)
            bar.update(task, total=(bar.tasks[0].total or 0) + number)
            for fits in (fits for spectra in groups for fits in spectra.fits(options)):
                done += fits
                bar.advance(task)
            if options.windows_eV == "peaks" and not any(f.source == str(path) for f in done):
                tell(f"{path}: no peak in {number} spectra")
    return done, unread


def _chosen(read: MeasuredSpectra, options: FileFitOptions) -> NDArray[np.intp]:
    wanted = options.spectra or read.labels
    return np.array([i for i, label in enumerate(read.labels) if label in wanted], dtype=np.intp)


def _of_lamp(read: MeasuredSpectra, axis: LampAxis) -> Array:
    if read.wavelength_nm.size != axis.vacuum_nm.size:
        raise ValueError(
            f"{read.source}: has {read.wavelength_nm.size} pixels with a wavelength, the lamp has "
            f"{axis.vacuum_nm.size}: it was not measured on the same axis"
        )
    return axis.vacuum_nm


def _in_vacuum(read: MeasuredSpectra, options: FileFitOptions, tell: Tell) -> Array:
    medium = read.medium if read.medium != "unknown" else options.medium
    if medium is None:
        tell(
            f"{read.source}: does not say whether its wavelengths are those in air; taken as "
            "vacuum (--medium air makes 0.7 meV of difference in the green)"
        )
    return vacuum_from_air_nm(read.wavelength_nm) if medium == "air" else read.wavelength_nm


def _without_cosmic_rays(read: MeasuredSpectra, noise: DetectorNoise, tell: Tell) -> Array:
    """Return the counts with NaN where a particle hit.

    Among three spectra or more the others show what a line is; in a single one only what is
    narrower than any line is taken for a hit.
    """
    counts = np.array(read.counts)
    hits = _among_others(read, noise) if len(counts) >= FEWEST_FRAMES else _alone(read, noise)
    if hits.any():
        where = np.flatnonzero(hits.any(axis=1))
        named = ", ".join(
            f"{read.labels[i]} ({', '.join(f'{nm:.1f}' for nm in read.wavelength_nm[hits[i]])} nm)"
            for i in where[:MOST_NAMED]
        )
        more = ", ..." if where.size > MOST_NAMED else ""
        tell(
            f"{read.source}: {int(hits.sum())} pixels of {where.size} spectra masked as cosmic "
            f"rays: {named}{more}"
        )
    counts[hits] = np.nan
    return counts


MOST_NAMED = 10  # spectra with cosmic rays in one remark


def _alone(read: MeasuredSpectra, noise: DetectorNoise) -> NDArray[np.bool_]:
    """Mark hits in each spectrum by itself, none beside pixels that cannot be used."""
    hits = np.zeros(read.counts.shape, dtype=np.bool_)
    for one, counts in zip(hits, read.counts, strict=True):
        bad = ~(np.isfinite(counts) & (counts < noise.saturation_counts))
        light = noise.gain_e_per_count * (np.nan_to_num(counts) - noise.offset_counts)
        found = lone_pixels(light, np.full(light.shape, noise.read_noise_e**2))
        one[:] = found & ~maximum_filter1d(bad, 2 * HIT_REACH_PX + 1)
    return hits


def _among_others(read: MeasuredSpectra, noise: DetectorNoise) -> NDArray[np.bool_]:
    number = len(read.counts)
    width = min(FRAMES_COMPARED, number)
    hits = np.zeros(read.counts.shape, dtype=np.bool_)
    for i in range(number):
        first = int(np.clip(i - width // 2, 0, number - width))
        near = np.nan_to_num(read.counts[first : first + width])
        hits[i] = cosmic_ray_mask(near, noise, only_frame=i - first)[i - first]
    return hits

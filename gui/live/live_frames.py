"""What has come from the camera without a run: spectrum, image, map of light, counts in a window.

One per link, shared by all panels that show some of it.
"""

from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from acquisition.channel.messages import FrameArrived, FrameSource, Hello, RasterProgress, Snapshot
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.toml_file import parse_toml
from acquisition.fits.point_fitter import detector_noise
from analysis.detector.detector_noise import DetectorNoise
from analysis.wavelength.units import HC_EV_NM
from gui.link.engine_link import EngineLink, Frame

__all__ = ["LightMap", "LiveFrames", "LiveSpectrum", "live_frames"]

Array = NDArray[np.float64]
LONGEST_HISTORY = 36_000  # rates: an hour at ten a second


@dataclass(frozen=True, slots=True)
class LiveSpectrum:
    """Raw counts (pixels,), vacuum wavelengths (NaN where not known), and when."""

    counts: Array
    wavelength_nm: Array
    exposure_s: float
    number: int
    utc: float

    @property
    def energy_eV(self) -> Array:
        """Photon energies; NaN where the wavelength is not known or none, as at zero order."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.wavelength_nm > 0, HC_EV_NM / self.wavelength_nm, nan)


@dataclass(frozen=True, slots=True)
class LightMap:
    """Counts per second at each place, shape (rows, columns), NaN where it was not yet."""

    progress: RasterProgress
    rate_per_s: Array

    @property
    def x_um(self) -> tuple[float, float]:
        """The outer edges."""
        return _edges(self.progress.left_um, self.progress.columns, self.progress.step_um)

    @property
    def y_um(self) -> tuple[float, float]:
        return _edges(self.progress.bottom_um, self.progress.rows, self.progress.step_um)


class LiveFrames(QObject):
    """Signals say what is new; the values are the attributes of the same name.

    window_eV: energies between which photons are counted; None: the whole spectrum.
    rates: utc and counts per second of every spectrum so far, the oldest forgotten first.
    """

    spectrum_came = pyqtSignal()
    image_came = pyqtSignal()
    map_changed = pyqtSignal()
    window_changed = pyqtSignal()

    def __init__(self, link: EngineLink) -> None:
        super().__init__(link)
        self.spectrum: LiveSpectrum | None = None
        self.image: NDArray[np.generic] | None = None
        self.image_exposure_s = nan
        self.map: LightMap | None = None
        self.noise = DetectorNoise()
        self.window_eV: tuple[float, float] | None = None
        self.rates: list[tuple[float, float]] = []
        self._early: list[tuple[int, float]] = []  # places of a map whose size is not known yet
        link.frames.connect(self._take)
        link.snapshot.connect(self._on_snapshot)
        link.said_hello.connect(self._greet)
        if link.hello is not None:
            self._greet(link.hello)

    def set_window(self, window_eV: tuple[float, float] | None) -> None:
        """Count photons between these energies, from the next spectrum on."""
        if window_eV is not None:
            window_eV = (min(window_eV), max(window_eV))
        if window_eV != self.window_eV:
            self.window_eV = window_eV
            self.window_changed.emit()

    def rate_per_s(self, spectrum: LiveSpectrum) -> float:
        """Return counts above the detector's offset per second, within the window."""
        inside = np.ones(spectrum.counts.size, dtype=bool)
        if self.window_eV is not None:
            low, high = self.window_eV
            energy = spectrum.energy_eV
            inside = (energy >= low) & (energy <= high)
        if not inside.any() or not spectrum.exposure_s > 0:
            return nan
        above = spectrum.counts[inside] - self.noise.offset_counts
        return float(above.sum() / spectrum.exposure_s)

    def _greet(self, hello: Hello) -> None:
        self.noise = _noise_of(hello)

    def _take(self, frames: list[Frame]) -> None:
        has_spectrum = has_image = has_place = False
        for arrived, counts, wavelength_nm in frames:
            match arrived.source:
                case FrameSource.LIVE:
                    self._take_spectrum(arrived, counts, wavelength_nm)
                    has_spectrum = True
                case FrameSource.IMAGE:
                    self.image, self.image_exposure_s = np.atleast_2d(counts), arrived.exposure_s
                    has_image = True
                case FrameSource.RASTER:
                    rate = self._take_spectrum(arrived, counts, wavelength_nm)
                    self._early.append((arrived.point, rate))
                    has_spectrum = has_place = True
        if has_place:
            self._fill_map()
        if has_spectrum:
            self.spectrum_came.emit()
        if has_image:
            self.image_came.emit()

    def _take_spectrum(
        self, arrived: FrameArrived, counts: NDArray[np.generic], wavelength_nm: Array
    ) -> float:
        values = np.atleast_2d(counts).sum(axis=0, dtype=np.float64)
        if wavelength_nm.size != values.size:
            wavelength_nm = np.full(values.size, nan)
        self.spectrum = LiveSpectrum(
            values, wavelength_nm, arrived.exposure_s, arrived.number, arrived.utc
        )
        rate = self.rate_per_s(self.spectrum)
        self.rates.append((arrived.utc, rate))
        del self.rates[:-LONGEST_HISTORY]
        return rate

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        progress = snapshot.raster
        if progress is None:
            return
        shown = self.map
        if shown is None or _is_another(shown.progress, progress):
            self.map = LightMap(progress, np.full((progress.rows, progress.columns), nan))
        else:
            self.map = LightMap(progress, shown.rate_per_s)
        self._fill_map()

    def _fill_map(self) -> None:
        """Enter what was measured; what belongs to a map that is not known yet waits for it."""
        if self.map is None:
            return
        rates, waiting = self.map.rate_per_s, []
        for place, rate in self._early:
            if 0 <= place < rates.size and np.isnan(rates.flat[place]):
                rates.flat[place] = rate
            else:  # it is there already: this is the next map
                waiting.append((place, rate))
        self._early = waiting
        self.map_changed.emit()


def live_frames(link: EngineLink) -> LiveFrames:
    """Return what the panels of this link share."""
    return link.findChild(LiveFrames) or LiveFrames(link)


def _noise_of(hello: Hello) -> DetectorNoise:
    """Return the detector of the engine's station; a plain one where its file is not known."""
    station = parse_toml(hello.station_toml, StationConfig, file="station", folder=Path())
    known = "camera" in station.sound
    return detector_noise(station.content.camera) if known else DetectorNoise()


def _is_another(known: RasterProgress, progress: RasterProgress) -> bool:
    """Return whether this is not the map known so far, further on."""
    return progress.done < known.done or replace(known, done=progress.done) != progress


def _edges(first_um: float, count: int, step_um: float) -> tuple[float, float]:
    return first_um - step_um / 2, first_um + (count - 0.5) * step_um

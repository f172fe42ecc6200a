"""The stretch of a spectrum that is fitted: in electrons, with its noise, around the light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.spectra.fit_model import FitModel
from analysis.spectra.matched_filter import floor_of, significance
from analysis.wavelength.axis import energy_edges_eV

__all__ = ["Window", "find_window", "in_electrons", "light_centre_eV", "mean_above_floor"]

Array = NDArray[np.float64]

# Keeps the expectation of an empty pixel of a noiseless detector away from zero.
_LEAST_READ_NOISE_E = 0.1
_LEAST_SIGNIFICANCE = 5.0
_LEAST_PIXELS = 11
_STRONGEST_WIDTHS_IN_WINDOW = 8.0


@dataclass(frozen=True, slots=True)
class Window:
    """The fitted stretch of a spectrum, in electrons; counts of shape (spectra, pixels)."""

    edges_eV: Array
    counts: Counts

    @property
    def limits_eV(self) -> tuple[float, float]:
        low, high = sorted((float(self.edges_eV[0]), float(self.edges_eV[-1])))
        return low, high

    @property
    def pixel_eV(self) -> float:
        return abs(float(self.edges_eV[-1] - self.edges_eV[0])) / (self.edges_eV.size - 1)

    def pixel_eV_at(self, energy_eV: float) -> float:
        """Return the width of the pixel at this energy."""
        middle = 0.5 * (self.edges_eV[1:] + self.edges_eV[:-1])
        return abs(float(np.diff(self.edges_eV)[np.argmin(np.abs(middle - energy_eV))]))

    def without(self, spectra: Mapping[int, str]) -> Window:
        """Return all spectra but some."""
        count = len(self.counts.electrons)
        return self.only(np.array([i for i in range(count) if i not in spectra], dtype=np.intp))

    def between(self, low_eV: float, high_eV: float) -> Window | None:
        """Return the pixels whose middle lies between, or None if too few are good."""
        middle = 0.5 * (self.edges_eV[1:] + self.edges_eV[:-1])
        inside = np.flatnonzero((middle >= low_eV) & (middle <= high_eV))
        if inside.size < _LEAST_PIXELS:
            return None
        part = slice(int(inside[0]), int(inside[-1]) + 1)
        c = self.counts
        cut = Counts(c.electrons[:, part], c.shift[:, part], c.good[:, part])
        if (cut.good.sum(axis=1) < _LEAST_PIXELS).all():
            return None
        return Window(self.edges_eV[part.start : part.stop + 1], cut)

    def rising(self) -> Window:
        """Return the same with energy rising from pixel to pixel."""
        if self.edges_eV[-1] > self.edges_eV[0]:
            return self
        c = self.counts
        turned = Counts(c.electrons[:, ::-1], c.shift[:, ::-1], c.good[:, ::-1])
        return Window(self.edges_eV[::-1], turned)

    def only(self, spectra: NDArray[np.intp]) -> Window:
        """Return some of the spectra."""
        c = self.counts
        return Window(
            self.edges_eV, Counts(c.electrons[spectra], c.shift[spectra], c.good[spectra])
        )


def in_electrons(
    wavelength_nm: ArrayLike,
    counts: Array,
    *,
    noise: DetectorNoise,
    background: ArrayLike | None,
) -> Window:
    """Return whole spectra in electrons with their signal-free variance and good pixels."""
    edges = energy_edges_eV(wavelength_nm)
    if counts.shape[-1] != edges.size - 1:
        raise ValueError(f"{counts.shape[-1]} counts for a wavelength axis of {edges.size - 1}")
    read2 = np.maximum(noise.read_noise_e, _LEAST_READ_NOISE_E) ** 2
    good = np.isfinite(counts) & (counts < noise.saturation_counts)
    electrons = noise.gain_e_per_count * (np.where(good, counts, 0.0) - noise.offset_counts)
    shift = np.full(counts.shape, read2)
    if background is not None:
        dark_counts = np.asarray(background, dtype=np.float64)
        if dark_counts.shape != counts.shape[-1:]:
            raise ValueError(f"background of shape {dark_counts.shape} for {edges.size - 1} pixels")
        good = good & np.isfinite(dark_counts)
        dark = noise.gain_e_per_count * (
            np.where(np.isfinite(dark_counts), dark_counts, 0.0) - noise.offset_counts
        )
        electrons = electrons - dark
        shift = shift + read2 + 2.0 * np.maximum(dark, 0.0)
    return Window(edges, Counts(np.where(good, electrons, 0.0), shift, good.astype(np.float64)))


def find_window(whole: Window, model: FitModel) -> Window | str:
    """Return the stretch to fit around the lines of the mean spectrum, or why there is none."""
    low, high = model.window_eV or whole.limits_eV
    searched = whole.between(low, high)
    if searched is None:
        return (
            f"the window {low:.6g} to {high:.6g} eV holds fewer than {_LEAST_PIXELS} good pixels "
            f"of the axis from {whole.limits_eV[0]:.6g} to {whole.limits_eV[1]:.6g} eV"
        )
    spectrum, deviation = mean_above_floor(searched)
    z, peak, fwhm_px = significance(spectrum, deviation)
    if not z > _LEAST_SIGNIFICANCE:
        return f"no line in {low:.6g} to {high:.6g} eV: the best is {z:.1f} sigma, needed are 5"
    if model.window_eV is not None and model.span_eV is None:
        return searched
    pixel_eV = searched.pixel_eV
    span = model.span_eV or max(
        _STRONGEST_WIDTHS_IN_WINDOW * fwhm_px * pixel_eV, 3 * _LEAST_PIXELS * pixel_eV
    )
    middle = 0.5 * (searched.edges_eV[1:] + searched.edges_eV[:-1])
    centre = _centroid(middle, spectrum, start=float(middle[peak]), span=span)
    return searched.between(centre - 0.5 * span, centre + 0.5 * span) or searched


def light_centre_eV(whole: Window, low_eV: float, high_eV: float, span_eV: float) -> float:
    """Return where a window of this span holds the light of the mean spectrum evenly."""
    searched = whole.between(low_eV, high_eV) or whole
    spectrum, deviation = mean_above_floor(searched)
    _, peak, _ = significance(spectrum, deviation)
    middle = 0.5 * (searched.edges_eV[1:] + searched.edges_eV[:-1])
    return _centroid(middle, spectrum, start=float(middle[peak]), span=span_eV)


def mean_above_floor(window: Window) -> tuple[Array, Array]:
    """Return the mean of the spectra above its floor and the deviation of a pixel without line."""
    counts = window.counts
    weight = counts.good.sum(axis=0)
    mean = (counts.electrons * counts.good).sum(axis=0) / np.maximum(weight, 1.0)
    floor = floor_of(mean[weight > 0])
    variance = (counts.shift.mean(axis=0) + max(floor, 0.0)) / np.maximum(weight, 1.0)
    return np.where(weight > 0, mean - floor, 0.0), np.sqrt(variance)


def _centroid(place: Array, spectrum: Array, *, start: float, span: float) -> float:
    """Return where a window of this span holds the light evenly, climbing from start."""
    centre = start
    light = np.maximum(spectrum - 0.02 * spectrum.max(), 0.0)
    for _ in range(4):
        near = light * (np.abs(place - centre) < 0.5 * span)
        centre = float((near * place).sum() / near.sum()) if near.sum() > 0 else start
    return centre

"""Find a multiplet of fixed splittings in a series of frames that diffuse and blink."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.series.series_fit import FrameWindows
from analysis.spectra.fit_model import FitModel
from analysis.spectra.matched_filter import floor_of, kernel, width_px
from analysis.spectra.spectrum_window import (
    Window,
    in_electrons,
    light_centre_eV,
    mean_above_floor,
)

__all__ = ["Multiplet", "find_multiplets", "frame_windows"]

Array = NDArray[np.float64]

_LEAST_SIGNIFICANCE = 8.0
_WIDTHS_IN_WINDOW = 24.0
_FRAMES_FOR_WIDTH = 21
_CANDIDATES = 4  # for each assumption on the tails
_TAIL = 0.15  # of the light of a line
_LEAST_SEPARATION = 1.5  # in FWHM: nearer, a skewed profile passes for a second line
_MOST_SEPARATION = 12.0  # in FWHM: farther, replicas and other emitters begin
_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))


@dataclass(frozen=True, slots=True)
class Multiplet:
    """Where the lines are, well enough to start a fit from.

    splitting_eV: above the lowest line, (lines - 1,). energy_eV: of the lowest line in each frame.
    area_e: of each line in the mean frame of each frame's point, (frames, lines). light_e: of each
    frame over that of its point's mean frame.
    """

    splitting_eV: Array
    width_eV: float
    energy_eV: Array
    area_e: Array
    light_e: Array


def frame_windows(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    point: ArrayLike,
    group: ArrayLike,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None,
) -> tuple[FrameWindows, NDArray[np.intp], dict[int, str]]:
    """Cut the window out of every frame; rising energy.

    frames: raw counts (frames, pixels). group: frames that share one window around their mean
    light, as all of one field. The window is model.span_eV wide; if that is None, 24 times the
    strongest line, or all of model.window_eV where this is less. Returns the windows, the indices
    of the frames in them, and why the others are not: no signal.
    Raises ValueError if no frame shows any.
    """
    counts = np.atleast_2d(np.array(frames, dtype=np.float64))
    of_point = np.asarray(point)
    for one in np.unique(of_point):
        mine = of_point == one
        counts[mine] = np.where(cosmic_ray_mask(counts[mine], noise), np.nan, counts[mine])
    whole = in_electrons(wavelength_nm, counts, noise=noise, background=background)
    low, high = model.window_eV or whole.limits_eV
    span = model.span_eV or min(high - low, _WIDTHS_IN_WINDOW * _sharpest_eV(whole, low, high))
    pixels = max(11, round(span / whole.pixel_eV_at(0.5 * (low + high))))
    starts = np.zeros(len(counts), dtype=np.intp)
    middle = 0.5 * (whole.edges_eV[1:] + whole.edges_eV[:-1])
    labels = np.asarray(group)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        centre = light_centre_eV(whole.only(mine), low, high, span)
        first = int(np.argmin(np.abs(middle - centre))) - pixels // 2
        starts[mine] = np.clip(first, 0, middle.size - pixels)
    columns = starts[:, None] + np.arange(pixels)
    rows = np.arange(len(counts))[:, None]
    falling = whole.edges_eV[-1] < whole.edges_eV[0]
    turn = slice(None, None, -1) if falling else slice(None)
    edges = whole.edges_eV[starts[:, None] + np.arange(pixels + 1)][:, turn]
    c = whole.counts
    cut = Counts(*(a[rows, columns][:, turn] for a in (c.electrons, c.shift, c.good)))
    excluded = _without_signal(cut)
    if len(excluded) == len(counts):
        raise ValueError(f"none of {len(counts)} frames shows a line in {low:.6g} to {high:.6g} eV")
    used = np.array([i for i in range(len(counts)) if i not in excluded])
    return FrameWindows(edges, cut, of_point).only(used), used, excluded


def _sharpest_eV(whole: Window, low_eV: float, high_eV: float) -> float:
    """Return the usual width of the strongest line in the brightest frames."""
    searched = whole.between(low_eV, high_eV) or whole
    smooth = kernel(1.6)
    light = [float(np.convolve(e, smooth, "same").max()) for e in searched.counts.electrons]
    brightest = np.argsort(light)[-_FRAMES_FOR_WIDTH:]
    widths = [width_px(mean_above_floor(searched.only(np.array([i])))[0]) for i in brightest]
    return float(np.median(widths)) * searched.pixel_eV


def _without_signal(counts: Counts) -> dict[int, str]:
    excluded = {}
    smooth = kernel(1.6)
    for i, (electrons, shift) in enumerate(zip(counts.electrons, counts.shift, strict=True)):
        floor = floor_of(electrons)
        deviation = np.sqrt(shift.mean() + max(floor, 0.0))
        z = float(np.convolve(electrons - floor, smooth, "same").max() / deviation)
        if not z > _LEAST_SIGNIFICANCE:
            excluded[i] = f"no signal: the best line is {z:.1f} sigma, needed are 8"
    return excluded


def find_multiplets(
    windows: FrameWindows, lines: int, *, sides: tuple[int, ...] = (0, -1, 1)
) -> list[Multiplet]:
    """Return a few sets of splittings and positions that explain the means of the points best.

    The frames of a point are laid over one another by correlation; then all splittings are tried
    on all points at once, the lines being free to be bright or dark at each.
    sides: what to assume on the lines' tails: none (0), to lower (-1) or higher (1) energy.
    """
    points, place = np.unique(windows.point, return_inverse=True)
    shifts = np.zeros(place.size, dtype=np.intp)
    means = np.zeros((points.size, windows.counts.electrons.shape[1]))
    light = np.zeros(place.size)
    for k in range(points.size):
        mine = np.flatnonzero(place == k)
        shifts[mine], means[k], light[mine] = _registered(windows.counts.electrons[mine])
    clearest = means[int(np.argmax([m.max() for m in means]))]
    fwhm_px = width_px(clearest)
    sigma = fwhm_px / _SIGMAS_PER_FWHM
    projection = _smoothed(means, sigma)
    pixel_eV = float(np.diff(windows.edges_eV, axis=1).mean())
    middle = 0.5 * (windows.edges_eV[:, 1:] + windows.edges_eV[:, :-1])
    norm = np.sqrt(2.0 * np.sqrt(np.pi) * sigma)
    found = []
    for offsets in _candidates(means, lines, sigma, sides):
        first, height = _lines_at(projection, offsets, sigma)
        at = np.clip(first[place] + shifts, 0, middle.shape[1] - 1)
        found.append(
            Multiplet(
                splitting_eV=np.array(offsets[1:]) * pixel_eV,
                width_eV=fwhm_px * pixel_eV,
                energy_eV=middle[np.arange(place.size), at],
                area_e=height[place] * norm,
                light_e=light,
            )
        )
    return found


def _registered(frames: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Return shift, mean and relative light of frames that show the same lines displaced."""
    above = np.array([f - floor_of(f) for f in frames])
    smooth = kernel(1.6)
    template = above[int(np.argmax([np.convolve(f, smooth, "same").max() for f in above]))]
    shifts = np.zeros(len(frames), dtype=np.intp)
    for _ in range(2):
        probe = np.convolve(template, smooth, "same")
        middle = template.size - 1
        for i, frame in enumerate(above):
            match = np.correlate(frame, probe, "full")
            shifts[i] = int(np.argmax(match)) - middle
        laid = np.array([np.roll(f, -s) for f, s in zip(above, shifts, strict=True)])
        template = laid.mean(axis=0)
    reference = max(float((template**2).sum()), 1e-300)
    light = np.maximum(laid @ template / reference, 0.01)
    return shifts, template, light


def _smoothed(spectra: Array, sigma: float) -> Array:
    return np.array([np.convolve(one, kernel(sigma), "same") for one in spectra])


def _candidates(
    means: Array, lines: int, sigma: float, sides: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Return sets of offsets, some as if every line had a tail to one side or the other.

    A weak line is easily less than the tail of a strong one; which it is, is for a fit to decide.
    """
    found: dict[tuple[int, ...], None] = {}
    step = round(sigma * _SIGMAS_PER_FWHM)
    wide = kernel(sigma * _SIGMAS_PER_FWHM)
    for side in sides:
        tail = np.array(
            [np.roll(np.convolve(m, wide / wide.sum(), "same"), side * step) for m in means]
        )
        without = means - (_TAIL * tail if side else 0.0)
        found |= dict.fromkeys(_best_offsets(_smoothed(without, sigma), lines, sigma))
    return list(found)


def _best_offsets(projection: Array, lines: int, sigma: float) -> list[tuple[int, ...]]:
    """Return the offsets of largest gain over all points that differ by more than their blur."""
    if lines == 1:
        return [(0,)]
    least = max(2, round(_LEAST_SEPARATION * sigma * _SIGMAS_PER_FWHM))
    most = round(min(0.6 * projection.shape[1], _MOST_SEPARATION * sigma * _SIGMAS_PER_FWHM))
    tried = [
        (0, *rest)
        for rest in combinations(range(least, most), lines - 1)
        if all(b - a >= least for a, b in pairwise(rest))
    ]
    totals = _totals(projection, np.array(tried, dtype=np.intp).reshape(-1, lines), sigma)
    best: list[tuple[int, ...]] = []
    for i in np.argsort(totals)[::-1]:
        apart = [np.abs(np.subtract(tried[i], other)).max() for other in best]
        if not apart or min(apart) > 0.5 * least:
            best.append(tried[i])
        if len(best) == _CANDIDATES:
            break
    return best


_MOST_AT_ONCE = 10_000  # numbers: more would not stay in the near cache


def _totals(projection: Array, offsets: NDArray[np.intp], sigma: float) -> Array:
    """Return the largest gain of each set of offsets, summed over the points; see _gains."""
    points, pixels = projection.shape
    sets = max(1, _MOST_AT_ONCE // (points * pixels * max(1, offsets.shape[1])))
    parts = [offsets[first : first + sets] for first in range(0, len(offsets), sets)]
    return np.concatenate([np.zeros(0)] + [_some_totals(projection, part, sigma) for part in parts])


def _some_totals(projection: Array, offsets: NDArray[np.intp], sigma: float) -> Array:
    place = np.arange(projection.shape[1]) + offsets[:, :, None]
    has_room = place[:, -1] < projection.shape[1]
    seen = projection[:, np.where(has_room[:, None], place, 0)]  # (points, sets, lines, places)
    distance = offsets[:, :, None] - offsets[:, None, :]
    overlap = np.exp(-((distance / (2.0 * sigma)) ** 2)) + 1e-6 * np.eye(offsets.shape[1])
    positive = np.maximum(np.linalg.inv(overlap) @ seen, 0.0)
    gain = (positive * (2.0 * seen - overlap @ positive)).sum(axis=2)
    total: Array = np.where(has_room, gain, -np.inf).max(axis=2).sum(axis=0)
    return total


def _lines_at(
    projection: Array, offsets: tuple[int, ...], sigma: float
) -> tuple[NDArray[np.intp], Array]:
    """Return the pixel of the lowest line at each point and the heights there."""
    gain, height = _gains(projection, offsets, sigma)
    first = np.argmax(gain, axis=1)
    return first, np.maximum(height[:, np.arange(len(first)), first].T, 0.0)


def _gains(projection: Array, offsets: tuple[int, ...], sigma: float) -> tuple[Array, Array]:
    """Return gain (points, places) and heights (lines, points, places) of lines at offsets.

    Lines that come out negative are left out of the gain, not of the other heights: near enough.
    """
    room = projection.shape[1] - offsets[-1]
    seen = np.array([projection[:, o : o + room] for o in offsets])
    distance = np.subtract.outer(offsets, offsets)
    overlap = np.exp(-((distance / (2.0 * sigma)) ** 2)) + 1e-6 * np.eye(len(offsets))
    height = np.einsum("kl,lpx->kpx", np.linalg.inv(overlap), seen)
    positive = np.maximum(height, 0.0)
    explained = np.einsum("kpx,kl,lpx->px", positive, overlap, positive)
    gain = 2.0 * (positive * seen).sum(axis=0) - explained
    return gain, height

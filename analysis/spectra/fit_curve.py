"""What a stored fit expects in each pixel: the curve over a spectrum, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_window import find_window, in_electrons

__all__ = ["FitCurve", "fit_curve"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitCurve:
    """Counts of one frame over the fitted pixels, in the order of the detector.

    expected: raw, on the background frame as it was measured, with its noise. The others stand on
    the mean level of that frame, to be drawn. floor: all that is no line. lines: each line on the
    floor. total: all of them.
    """

    pixels: slice
    expected: Array
    total: Array
    floor: Array
    lines: tuple[Array, ...]


def fit_curve(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None,
    names: Sequence[str],
    values: ArrayLike,
) -> FitCurve | None:
    """Return the curve of a fit made with this model; None where there is nothing to draw.

    frames, background: as they were fitted; names, values: as they were found, areas and
    backgrounds in counts per frame. Raises ValueError for an axis that is none.
    """
    lines = sum(name.startswith("energy_") for name in names)
    order = sum(name.startswith("background_") for name in names) - 1
    if not lines or not np.isfinite(values).all():
        return None
    table = replace(model, background_order=order).table(lines)
    by_name = dict(zip(names, np.asarray(values, dtype=np.float64), strict=True))
    fitted = np.array([by_name[name] for name in table.names])
    counts = np.atleast_2d(np.asarray(frames, dtype=np.float64))
    whole = in_electrons(wavelength_nm, counts, noise=noise, background=background)
    window = find_window(whole, model)
    if isinstance(window, str):
        return None
    first = int(np.flatnonzero(whole.edges_eV == window.edges_eV[0])[0])
    pixels = slice(first, first + window.edges_eV.size - 1)
    below = (
        np.full(counts.shape[1], noise.offset_counts)
        if background is None
        else np.asarray(background, dtype=np.float64)
    )[pixels]
    is_area = np.array([name.startswith("area_") for name in table.names])
    is_odd = np.array([name in ("background_1", "background_3") for name in table.names])
    # a background is counted along the window as it was fitted, which may run the other way
    ways = [fitted, np.where(is_odd, -fitted, fitted)]
    both = [table.evaluate(way[None], window.edges_eV)[0][0] for way in ways]
    measured = counts[:, pixels].mean(axis=0) - below
    nearest = int(np.argmin([np.nansum((measured - one) ** 2) for one in both]))
    level = float(np.nanmean(below))

    def drawn(shown: NDArray[np.bool_]) -> Array:
        only = np.where(is_area & ~shown, 0.0, ways[nearest])
        return np.asarray(table.evaluate(only[None], window.edges_eV)[0][0] + level)

    shown = [
        np.array([name == f"area_{k}_counts" for name in table.names]) for k in range(1, lines + 1)
    ]
    return FitCurve(
        pixels=pixels,
        expected=both[nearest] + below,
        total=both[nearest] + level,
        floor=drawn(np.zeros(is_area.size, bool)),
        lines=tuple(drawn(one) for one in shown),
    )

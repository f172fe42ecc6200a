"""What a stored fit expects in each pixel: the curve over a spectrum, line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.spectra.components import COMPONENTS
from analysis.spectra.fit_labels import labels_in
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_model import Contents, SpectrumModel
from analysis.spectra.spectrum_window import find_window, in_electrons

__all__ = ["FitCurve", "fit_curve"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitCurve:
    """Counts of one frame over the fitted pixels, in the order of the detector.

    expected: raw, on the background frame as it was measured, with its noise. The others stand on
    the mean level of that frame, to be drawn. floor: all that is no line. lines: each exciton line
    and then each further component on the floor. total: all of them. labels: of what was found,
    with the energies in eV where they belong.
    """

    pixels: slice
    expected: Array
    total: Array
    floor: Array
    lines: tuple[Array, ...]
    labels: tuple[tuple[str, float], ...] = ()


def fit_curve(
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    model: FitModel,
    noise: DetectorNoise,
    background: ArrayLike | None,
    names: Sequence[str],
    values: ArrayLike,
    whole: SpectrumModel | None = None,
    reason: str = "",
) -> FitCurve | None:
    """Return the curve of a fit made with this model; None where there is nothing to draw.

    frames, background: as they were fitted; names, values: as they were found, areas and
    backgrounds in counts per frame. whole: with which the spectrum was fitted, where that was more
    than exciton lines or through an instrument profile. reason: of the
    fit, in which the labels stand. Raises ValueError for an axis that is none.
    """
    lines = sum(name.startswith("energy_") for name in names)
    order = sum(name.startswith("background_") for name in names) - 1
    if not lines or not np.isfinite(values).all():
        return None
    parts = _components(whole, lines, names)
    table = (
        replace(model, background_order=order).table(lines)
        if whole is None
        else replace(whole, lines=lines, background_order=order).table((Contents(lines, parts),))
    )
    by_name = dict(zip(names, np.asarray(values, dtype=np.float64), strict=True))
    fitted = np.array([by_name[name] for name in table.names])
    counts = np.atleast_2d(np.asarray(frames, dtype=np.float64))
    spectrum = in_electrons(wavelength_nm, counts, noise=noise, background=background)
    window = find_window(spectrum, model)
    if isinstance(window, str):
        return None
    first = int(np.flatnonzero(spectrum.edges_eV == window.edges_eV[0])[0])
    pixels = slice(first, first + window.edges_eV.size - 1)
    below = (
        np.full(counts.shape[1], noise.offset_counts)
        if background is None
        else np.asarray(background, dtype=np.float64)
    )[pixels]
    is_light = np.array([n.endswith("_counts") or "coupling_" in n for n in table.names])
    is_odd = np.array([name in ("background_1", "background_3") for name in table.names])
    # a background is counted along the window as it was fitted, which may run the other way
    ways = [fitted, np.where(is_odd, -fitted, fitted)]
    both = [table.evaluate(way[None], window.edges_eV)[0][0] for way in ways]
    measured = counts[:, pixels].mean(axis=0) - below
    nearest = int(np.argmin([np.nansum((measured - one) ** 2) for one in both]))
    level = float(np.nanmean(below))

    def drawn(shown: Callable[[str], bool]) -> Array:
        dark = is_light & ~np.array([shown(name) for name in table.names])
        only = np.where(dark, 0.0, ways[nearest])
        return np.asarray(table.evaluate(only[None], window.edges_eV)[0][0] + level)

    floor = drawn(lambda _: False)
    exciton = [drawn(f"area_{k}_counts".__eq__) for k in range(1, lines + 1)]
    return FitCurve(
        pixels=pixels,
        expected=both[nearest] + below,
        total=both[nearest] + level,
        floor=floor,
        lines=(*exciton, *(_of_component(part, drawn, floor) for part in parts)),
        labels=labels_in(reason),
    )


def _components(whole: SpectrumModel | None, lines: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return the components of a model that a fit found, going by its parameters."""
    if whole is None:
        return ()
    emitter = whole.emitters[0]
    return tuple(
        name
        for name in emitter.components
        if {n for row in COMPONENTS[name].rows(emitter, lines) for n in row.names} <= set(names)
    )


def _of_component(
    name: str, drawn: Callable[[Callable[[str], bool]], Array], floor: Array
) -> Array:
    """Return the light of a component on the floor; replicas without what they copy."""
    if not name.endswith("replicas"):
        return drawn(lambda n: n.startswith(f"{name}_area_"))
    area = "trion_area_" if name.startswith("trion") else "area_"
    coupling = "trion_coupling_" if name.startswith("trion") else "coupling_"
    copied = drawn(lambda n: n.startswith(area))
    return drawn(lambda n: n.startswith((area, coupling))) - copied + floor

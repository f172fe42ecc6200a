"""The instrument profile from lamp lines with noise: three components that vary along the detector.

A Gaussian core, a Gaussian tail beside it (coma) and Lorentzian wings (scattered light). All lines
are fitted together, each with an energy, a brightness and a background of its own, and shares,
widths and the tail's offset as straight lines in energy: few numbers, so that the noise of the lamp
does not become structure of the profile.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.joint_fit import JointOptimum, Sharing, maximise_jointly
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.estimation.table_fit import slopes_of
from analysis.spectra.matched_filter import floor_of
from analysis.spectra.spectrum_window import Window

__all__ = ["profile_of_lamp"]

Array = NDArray[np.float64]

_REACH_WIDTHS = 6.0  # FWHM to both sides of a line
_LEAST_LINES_TO_VARY = 3
_START = {"tail": 0.08, "tail_offset_eV": -0.8, "tail_width_eV": 1.8, "wing": 0.02}
_WING_WIDTHS = 5.0
_OWN = ("energy_eV", "area_e", "background_0")


def profile_of_lamp(whole: Window, lines_eV: Sequence[float]) -> InstrumentProfile:
    """Return the profile that lamp lines show, at their places along the detector.

    whole: one lamp spectrum in electrons; lines_eV: single lines in it, to within a FWHM, neither
    saturated nor blended. From three lines on the profile may vary along the detector.
    Raises ValueError for no line, for one that is not there, and where the lines do not agree on
    a profile.
    """
    if not lines_eV:
        raise ValueError("no lamp line to take the profile from")
    rising, wanted = whole.rising(), np.sort(np.asarray(lines_eV, dtype=np.float64))
    seen = [_seen(rising, float(energy)) for energy in wanted]
    fwhm = float(np.median([width for _, width, _ in seen]))
    reach = max(6, round(_REACH_WIDTHS * fwhm / rising.pixel_eV))
    places = np.array([place for place, _, _ in seen])
    first = np.clip(places - reach, 0, rising.counts.electrons.shape[1] - 2 * reach - 1)
    pixel = first[:, None] + np.arange(2 * reach + 1)
    c = rising.counts
    counts = Counts(c.electrons[0][pixel], c.shift[0][pixel], c.good[0][pixel])
    edges = rising.edges_eV[first[:, None] + np.arange(2 * reach + 2)]
    peaks = np.array([peak for _, _, peak in seen])
    return _profile(_fitted(edges, counts, wanted, peaks, fwhm, rising.pixel_eV), wanted)


def _seen(window: Window, energy_eV: float) -> tuple[int, float, float]:
    """Return pixel, FWHM in eV and height of the line near an energy."""
    middle = 0.5 * (window.edges_eV[1:] + window.edges_eV[:-1])
    near = int(np.argmin(np.abs(middle - energy_eV)))
    first = max(0, near - 8)
    light = window.counts.electrons[0] - floor_of(window.counts.electrons[0])
    peak = first + int(np.argmax(light[first : near + 9]))
    height, noise = float(light[peak]), float(np.sqrt(np.median(window.counts.shift[0])))
    if not height > 30.0 * noise:
        raise ValueError(
            f"no lamp line at {energy_eV:.6g} eV: {height:.3g} electrons, noise {noise:.2g}"
        )
    below = np.flatnonzero(light < 0.5 * height)
    left, right = below[below < peak], below[below > peak]
    width = (right[0] if right.size else peak + 2) - (left[-1] if left.size else peak - 2) - 1
    return peak, max(float(width), 1.5) * window.pixel_eV, height


def _table() -> LineTable:
    centre = (("energy_eV", 1.0),)
    tail = (*centre, ("tail_offset_eV", 1.0))
    return LineTable(
        [
            Line(centre, "core_width_eV", ("area_e",)),
            Line(tail, "tail_width_eV", ("area_e", "tail")),
            Line(centre, "wing_width_eV", ("area_e", "wing"), Shape.LORENTZ),
        ],
        background_order=0,
    )


def _fitted(
    edges: Array, counts: Counts, wanted: Array, peaks: Array, fwhm: float, pixel_eV: float
) -> tuple[LineTable, JointOptimum]:
    table, lines = _table(), wanted.size
    names = table.names
    place = np.zeros((lines, len(names)))
    begin = {"core_width_eV": 0.9 * fwhm, "wing_width_eV": _WING_WIDTHS * fwhm}
    for name, value in _START.items():
        begin[name] = value * fwhm if name.endswith("_eV") else value
    for name in ("energy_eV", "area_e", "background_0"):
        place[:, names.index(name)] = {
            "energy_eV": 0.5 * (edges[:, 0] + edges[:, -1]),
            "area_e": peaks * 1.06 * fwhm / pixel_eV,
            "background_0": np.percentile(counts.electrons, 10.0, axis=1),
        }[name]
    place[:, names.index("wing_width_eV")] = begin["wing_width_eV"]
    along = (wanted - wanted.mean()) / max(float(np.ptp(wanted)), 1e-12)
    varying = np.stack([np.ones(lines), along], axis=1)
    columns = varying if lines >= _LEAST_LINES_TO_VARY else np.ones((lines, 1))
    shape = ("core_width_eV", *_START)
    sharing = Sharing.of(names, dict.fromkeys(shape, columns), own=_OWN, spectra=lines)
    start = np.concatenate([[begin[name], *np.zeros(columns.shape[1] - 1)] for name in shape])
    widths = np.array([name.endswith("_eV") for name in names])

    def largest_step(at: Array) -> Array:
        cap = np.full(at.shape, np.inf)
        cap[:, widths] = 0.3 * fwhm
        cap[:, [names.index("tail"), names.index("wing")]] = 0.1
        return cap

    optimum = maximise_jointly(
        slopes_of(table, edges, counts),
        sharing,
        shared=start,
        start=place,
        largest_step=largest_step,
    )
    if not optimum.converged:
        raise ValueError(f"the {lines} lamp lines do not agree on a profile")
    return table, optimum


def _profile(fitted: tuple[LineTable, JointOptimum], wanted: Array) -> InstrumentProfile:
    table, optimum = fitted
    of = {name: optimum.parameters[:, i] for i, name in enumerate(table.names)}
    nothing = np.zeros(wanted.size)
    share = np.stack([np.ones(wanted.size), of["tail"], of["wing"]], axis=1)
    return InstrumentProfile(
        wanted,
        share / share.sum(axis=1, keepdims=True),
        np.stack([nothing, of["tail_offset_eV"], nothing], axis=1),
        np.stack([of["core_width_eV"], of["tail_width_eV"], nothing], axis=1),
        np.stack([nothing, nothing, of["wing_width_eV"]], axis=1),
    )

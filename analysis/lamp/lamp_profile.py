"""The instrument profile from lamp lines with noise: three components that vary along the detector.

A Gaussian core, a Gaussian tail beside it (coma), Lorentzian wings (scattered light), and a second,
longer tail where the lamp is bright enough to show one. All lines are fitted together, each with an
energy, a brightness and a background of its own, and shares, widths and the tail's offset constant
or as straight lines in energy: few numbers, so that the noise of the lamp does not become structure
of the profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
_START = {
    "tail": 0.08,
    "tail_offset_eV": -0.8,
    "tail_width_eV": 1.8,
    "wing": 0.02,
    "far_tail": 0.02,
    "far_tail_offset_eV": -1.6,
    "far_tail_width_eV": 3.0,
}
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
    places = edges[np.arange(wanted.size), np.clip(places - first, 0, 2 * reach)]
    lines = _Lines(edges, counts, wanted, places, peaks, fwhm, rising.pixel_eV)
    sound: list[tuple[float, InstrumentProfile]] = []
    for freedom in _FREEDOMS:
        if freedom.varies and wanted.size < _LEAST_LINES_TO_VARY:
            continue
        table, optimum = _fitted(lines, freedom)
        profile = _profile(table, optimum, wanted) if optimum.converged else None
        # A share below nothing is noise, or a tail that is no Gaussian.
        if profile is not None and profile.share.min() >= 0.0:
            penalty = optimum.shared.size * float(np.log(counts.good.sum()))
            sound.append((optimum.deviance + penalty, profile))
    if not sound:
        raise ValueError(f"the {wanted.size} lamp lines do not agree on a profile")
    return min(sound, key=lambda one: one[0])[1]


@dataclass(frozen=True, slots=True)
class _Lines:
    """The stretch around each lamp line; place_eV: of its highest pixel."""

    edges_eV: Array
    counts: Counts
    wanted_eV: Array
    place_eV: Array
    peak_e: Array
    fwhm_eV: float
    pixel_eV: float


@dataclass(frozen=True, slots=True)
class _Freedom:
    """What of the shape is fitted; the rest is not there. varies: along the detector."""

    varies: bool
    shape: tuple[str, ...]


_FAR_TAIL = ("far_tail", "far_tail_offset_eV", "far_tail_width_eV")
_TAIL = ("tail", "tail_offset_eV", "tail_width_eV")
_FREEDOMS = (
    _Freedom(True, ("core_width_eV", *_TAIL, "wing")),
    _Freedom(False, ("core_width_eV", *_TAIL, *_FAR_TAIL, "wing")),
    _Freedom(False, ("core_width_eV", *_TAIL, *_FAR_TAIL)),
    _Freedom(False, ("core_width_eV", *_TAIL, "wing")),
    _Freedom(False, ("core_width_eV", *_TAIL)),
    _Freedom(False, ("core_width_eV", "wing")),
    _Freedom(False, ("core_width_eV",)),
)


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
    far_tail = (*centre, ("far_tail_offset_eV", 1.0))
    return LineTable(
        [
            Line(centre, "core_width_eV", ("area_e",)),
            Line(tail, "tail_width_eV", ("area_e", "tail")),
            Line(centre, "wing_width_eV", ("area_e", "wing"), Shape.LORENTZ),
            Line(far_tail, "far_tail_width_eV", ("area_e", "far_tail")),
        ],
        background_order=0,
    )


def _fitted(lines: _Lines, freedom: _Freedom) -> tuple[LineTable, JointOptimum]:
    table, number, fwhm = _table(), lines.wanted_eV.size, lines.fwhm_eV
    names = table.names
    begin = {"core_width_eV": 0.9 * fwhm, "wing_width_eV": _WING_WIDTHS * fwhm}
    for name, value in _START.items():
        share = value if name in freedom.shape else 0.0
        begin[name] = value * fwhm if name.endswith("_eV") else share
    place = np.zeros((number, len(names)))
    of_line: dict[str, ArrayLike] = {
        "energy_eV": lines.place_eV,
        "area_e": lines.peak_e * 1.06 * fwhm / lines.pixel_eV,
        "background_0": np.percentile(lines.counts.electrons, 10.0, axis=1),
    }
    for name in names:
        if name not in freedom.shape:
            place[:, names.index(name)] = of_line.get(name, begin.get(name, 0.0))
    wanted = lines.wanted_eV
    along = (wanted - wanted.mean()) / max(float(np.ptp(wanted)), 1e-12)
    columns = np.stack([np.ones(number), along], axis=1)[:, : 1 + freedom.varies]
    sharing = Sharing.of(names, dict.fromkeys(freedom.shape, columns), own=_OWN, spectra=number)
    start = np.array([x for n in freedom.shape for x in (begin[n], 0.0)[: 1 + freedom.varies]])
    widths = np.array([name.endswith("_eV") for name in names])

    def largest_step(at: Array) -> Array:
        cap = np.full(at.shape, np.inf)
        cap[:, widths] = 0.3 * fwhm
        cap[:, [names.index(name) for name in ("tail", "wing", "far_tail")]] = 0.1
        return cap

    slopes = slopes_of(table, lines.edges_eV, lines.counts)
    return table, maximise_jointly(
        slopes, sharing, shared=start, start=place, largest_step=largest_step
    )


def _profile(table: LineTable, optimum: JointOptimum, wanted: Array) -> InstrumentProfile:
    of = {name: optimum.parameters[:, i] for i, name in enumerate(table.names)}
    nothing = np.zeros(wanted.size)
    one, wing = np.ones(wanted.size), of["wing_width_eV"]
    share = np.stack([one, of["tail"], of["wing"], of["far_tail"]], axis=1)
    gauss = [of["core_width_eV"], of["tail_width_eV"], nothing, of["far_tail_width_eV"]]
    offset = [nothing, of["tail_offset_eV"], nothing, of["far_tail_offset_eV"]]
    there = share.any(axis=0)
    return InstrumentProfile(
        wanted,
        (share / share.sum(axis=1, keepdims=True))[:, there],
        np.stack(offset, axis=1)[:, there],
        np.abs(np.stack(gauss, axis=1))[:, there],
        np.abs(np.stack([nothing, nothing, wing, nothing], axis=1))[:, there],
    )

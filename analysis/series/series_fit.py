"""Fit the fine structure of one nanocrystal in a whole series of frames at once.

Spectral diffusion moves all lines together and blinking scales them together, so every frame has
its own energy, width, brightness and background; the splittings, the relative areas (as a law of
the sweep) and the line profile are the same throughout. The profile is a Gaussian core with a
Gaussian tail and Lorentzian wings, whose shares, offset and widths the series itself determines:
what a lamp line would tell where none was taken. Where one was, the lines are seen through its
profile, and their own width is the same throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.joint_fit import JointOptimum, Sharing, maximise_jointly
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.estimation.table_fit import slopes_of

__all__ = [
    "MOST_MISFIT",
    "FrameWindows",
    "SeriesFit",
    "SeriesStart",
    "fit_series",
    "moved_by",
    "series_table",
]

Array = NDArray[np.float64]

MOST_MISFIT = 4.0  # of misfit_ratio: beyond, the lines found are not those of the spectra
_BEHIND = ("width_eV", "lorentz_width_eV")  # of a line seen through the lamp's profile
_PROFILE = ("tail", "tail_offset_eV", "tail_width_eV", "wing")
# Of the core's width as first seen; its share alone is fitted, for one valley less.
_WING_WIDTH = 1.5
# In units of the core's width: where a typical coma tail begins.
_PROFILE_START = {
    "tail": 0.1,
    "tail_offset_eV": -0.6,
    "tail_width_eV": 2.0,
    "wing": 0.2,
}


@dataclass(frozen=True, slots=True)
class FrameWindows:
    """The fitted stretch of every frame, in electrons, equally many pixels each.

    edges_eV: shape (frames, pixels + 1). point: of the sweep, for each frame; within one the
    relative areas are the same.
    """

    edges_eV: Array
    counts: Counts
    point: NDArray[np.intp]

    def only(self, kept: NDArray[np.bool_]) -> FrameWindows:
        """Return the frames marked."""
        counts = self.counts
        return FrameWindows(
            self.edges_eV[kept],
            Counts(counts.electrons[kept], counts.shift[kept], counts.good[kept]),
            self.point[kept],
        )


@dataclass(frozen=True, slots=True)
class SeriesFit:
    """Shared parameters of a series with two errors, and the energies of its frames.

    photon_covariance: from photon and read noise. covariance: enlarged where the frames scatter by
    more than that (sandwich over frames) or the mean residual shows what the model lacks.
    scatter_ratio, misfit_ratio: by how much, the first for each parameter.
    energy_eV, energy_error_eV, width_eV, brightness_e: of each frame used. used: which frames these
    are; excluded: why the others are not. residual_e, variance_e2: of their pixels that were
    fitted, (frames used, pixels), 0 elsewhere. optimum, own_names, table, sharing: all else.
    """

    names: tuple[str, ...]
    values: Array
    photon_covariance: Array
    covariance: Array
    scatter_ratio: Array
    misfit_ratio: float
    energy_eV: Array
    energy_error_eV: Array
    width_eV: Array
    brightness_e: Array
    chi2_per_dof: float
    used: NDArray[np.intp]
    excluded: Mapping[int, str]
    converged: bool
    table_names: tuple[str, ...]
    own_names: tuple[str, ...]
    residual_e: Array
    variance_e2: Array
    optimum: JointOptimum
    table: LineTable
    sharing: Sharing

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        """Return the error of one shared parameter, scatter and misfit included."""
        i = self.names.index(name)
        return float(np.sqrt(self.covariance[i, i]))

    def photon_error(self, name: str) -> float:
        """Return the error of one shared parameter from photon and read noise."""
        i = self.names.index(name)
        return float(np.sqrt(self.photon_covariance[i, i]))


def moved_by(series: SeriesFit, windows: FrameWindows, moves: Array) -> Array:
    """Return what displaced parameters of single frames do to the shared ones, (frames, shared).

    windows: as they were given to fit_series. moves: of each frame used from what the laws make of
    it, (frames used, parameters of the table). To first order.
    """
    edges, c = windows.edges_eV[series.used], windows.counts
    kept = Counts(
        c.electrons[series.used],
        c.shift[series.used],
        c.good[series.used] * (series.variance_e2 > 0),
    )
    slope, _ = slopes_of(series.table, edges, kept)(series.optimum.parameters)
    own, matrix = series.sharing.own, slope.information
    mixed = matrix[:, own]
    alone = matrix[:, own[:, None], own]
    score = (matrix @ moves[..., None])[..., 0]
    score -= (mixed.transpose(0, 2, 1) @ np.linalg.solve(alone, mixed @ moves[..., None]))[..., 0]
    pull = np.einsum("fps,fp->fs", series.sharing.design, score)
    return np.asarray(pull @ series.photon_covariance)


def series_table(
    lines: int,
    *,
    profile: bool,
    background_order: int,
    shape: Shape = Shape.GAUSS,
    instrument: InstrumentProfile | None = None,
) -> LineTable:
    """Return the lines of the multiplet; profile: each with core, tail and wings, else a core.

    instrument: the profile that a lamp showed, through which Voigt profiles are seen instead.
    """
    rows: list[Line] = []
    for k in range(1, lines + 1):
        centre = (("energy_1_eV", 1.0),) + (((f"splitting_{k}_eV", 1.0),) if k > 1 else ())
        area = ("brightness_e", f"share_{k}")
        if instrument is not None:
            rows.append(
                Line(centre, "width_eV", area, Shape.PROFILE, lorentz_width="lorentz_width_eV")
            )
            continue
        rows.append(Line(centre, "width_eV", area, shape))
        if profile:
            rows.append(Line((*centre, ("tail_offset_eV", 1.0)), "tail_width_eV", (*area, "tail")))
            rows.append(Line(centre, "wing_width_eV", (*area, "wing"), Shape.LORENTZ))
    return LineTable(rows, background_order=background_order, profile=instrument)


@dataclass(frozen=True, slots=True)
class SeriesStart:
    """Where a fit of a series begins.

    shared: splitting_k_eV and width_eV. frames: energy_1_eV and brightness_e of each frame, and
    share_k. laws: by parameter (share_k, splitting_k_eV), the columns it depends on, shape
    (frames, columns); splittings without a law are constant, shares without one are each frame's
    own. fixed: constants, to which a law is added if there is one; either share_1 or brightness_e
    must be fixed, since only their product is seen.
    """

    shared: Mapping[str, float]
    frames: Mapping[str, Array]
    laws: Mapping[str, Array]
    fixed: Mapping[str, float]

    def only(self, kept: NDArray[np.intp]) -> SeriesStart:
        """Return the start of some of the frames."""
        return SeriesStart(
            self.shared,
            {name: value[kept] for name, value in self.frames.items()},
            {name: column[kept] for name, column in self.laws.items()},
            self.fixed,
        )


def fit_series(
    windows: FrameWindows,
    starts: Sequence[SeriesStart],
    *,
    lines: int,
    profile: bool = True,
    background_order: int = 1,
    shape: Shape = Shape.GAUSS,
    instrument: InstrumentProfile | None = None,
) -> SeriesFit:
    """Fit all frames, leave out those that do not fit, and fit again.

    starts: several where it is not clear which peaks are the lines; a fit of the brightest frames
    of the points decides between them. instrument: the profile that a lamp showed; then no other
    is sought, and widths are those of the lines alone.
    """
    table = series_table(
        lines,
        profile=profile and instrument is None,
        background_order=background_order,
        shape=shape,
        instrument=instrument,
    )
    start = starts[0] if len(starts) == 1 else _most_likely(table, windows, starts)
    used, optimum, sharing, reasons = _without_misfits(table, windows, start)
    for held in _HELD_BEHIND if instrument is not None else (_tail_of(start),) if profile else ():
        if optimum.converged and _has_widths(table, optimum):
            break
        fixed = replace(start, fixed={**held, **start.fixed})
        used, optimum, sharing, reasons = _without_misfits(table, windows, fixed)
    part = _near_the_lines(windows.only(used), table, optimum.parameters)
    return _summary(table, part, sharing, optimum, used=np.flatnonzero(used), excluded=reasons)


# A line may have no Lorentzian beside its Gaussian, or no Gaussian, or no width at all.
_HELD_BEHIND: tuple[dict[str, float], ...] = (
    {"lorentz_width_eV": 0.0},
    {"width_eV": 0.0},
    {"width_eV": 0.0, "lorentz_width_eV": 0.0},
)


def _tail_of(start: SeriesStart) -> dict[str, float]:
    """Return where to hold a tail: a profile without one leaves open where it would be."""
    width_eV = start.shared["width_eV"]
    return {name: _PROFILE_START[name] * width_eV for name in ("tail_offset_eV", "tail_width_eV")}


def _has_widths(table: LineTable, optimum: JointOptimum) -> bool:
    """Return whether the Lorentzian behind the lamp's profile has a width, not less than none."""
    if "lorentz_width_eV" not in table.names:
        return True
    return bool((optimum.parameters[:, table.names.index("lorentz_width_eV")] >= 0.0).all())


# Frames that fit worse than this times the limit are left out first, since they spoil the rest.
_GROSS, _STRICT = 3.0, 1.0


def _without_misfits(
    table: LineTable, windows: FrameWindows, start: SeriesStart
) -> tuple[NDArray[np.bool_], JointOptimum, Sharing, dict[int, str]]:
    """Fit, and leave out the frames that do not belong, the worst first."""
    everything, shared, place = _arranged(table, start)
    optimum = _climb(table, windows, everything, shared=shared, place=place, is_first_look=True)
    used = np.ones(len(place), dtype=np.bool_)
    seen = windows
    reasons: dict[int, str] = {}
    for strictness in (_GROSS, _STRICT):
        found = _misfits(seen, optimum, strictness)
        if strictness is _STRICT and not found:
            break
        index = np.flatnonzero(used)
        reasons |= {int(index[i]): reason for i, reason in found.items()}
        place[np.ix_(used, everything.own)] = optimum.parameters[:, everything.own]
        used[list(reasons)] = False
        fitted = np.array([i not in found for i in range(index.size)])
        seen = _near_the_lines(windows.only(used), table, optimum.parameters[fitted])
        optimum = _climb(
            table, seen, everything.only(used), shared=optimum.shared, place=place[used]
        )
    return used, optimum, everything.only(used), reasons


_MOST_FRAMES_TO_DECIDE = 40


def _most_likely(
    table: LineTable, windows: FrameWindows, starts: Sequence[SeriesStart]
) -> SeriesStart:
    """Return the start from which the brightest frame of each point is described best."""
    light = (windows.counts.electrons * windows.counts.good).sum(axis=1)
    order = np.argsort(-light, kind="stable")
    _, first = np.unique(windows.point[order], return_index=True)
    brightest = np.sort(order[first])
    chosen = brightest[:: -(-brightest.size // _MOST_FRAMES_TO_DECIDE)]
    kept = np.isin(np.arange(light.size), chosen)

    def deviance(start: SeriesStart) -> float:
        sharing, shared, place = _arranged(table, start.only(chosen))
        return _climb(
            table, windows.only(kept), sharing, shared=shared, place=place, is_first_look=True
        ).deviance

    return min(starts, key=deviance)


def _arranged(table: LineTable, start: SeriesStart) -> tuple[Sharing, Array, Array]:
    """Return the sharing, the start of the shared parameters, and c + x of every frame."""
    frames = start.frames["energy_1_eV"].size
    width = start.shared["width_eV"]
    begin: dict[str, float] = dict(start.shared)
    for name, value in _PROFILE_START.items():
        begin[name] = value * width if name.endswith("_eV") else value
    constant = np.ones((frames, 1))
    shared_ones = _PROFILE if table.profile is None else _BEHIND
    if table.profile is not None:
        begin["width_eV"] = _own_width(table, start)
        begin["lorentz_width_eV"] = 0.3 * begin["width_eV"]
    columns = {
        name: constant
        for name in table.names
        if (name in shared_ones or name.startswith("splitting")) and name not in start.fixed
    } | dict(start.laws)
    fixed = {"wing_width_eV": _WING_WIDTH * width, **start.fixed}
    own = [n for n in table.names if n not in columns and n not in fixed]
    sharing = Sharing.of(table.names, columns, own=own, spectra=frames)
    place = np.zeros((frames, len(table.names)))
    for name, constant_value in {"width_eV": width, **fixed}.items():
        if name in table.names and (name in start.fixed or name not in columns):
            place[:, table.names.index(name)] = constant_value
    for name, of_frames in start.frames.items():
        if name in own:
            place[:, table.names.index(name)] = of_frames
    shared = np.concatenate(
        [np.zeros(0)]
        + [
            _law_start(
                column,
                start.frames.get(name, np.full(frames, begin.get(name, 0.0)))
                - place[:, table.names.index(name)],
            )
            for name, column in columns.items()
        ]
    )
    return sharing, shared, place


def _own_width(table: LineTable, start: SeriesStart) -> float:
    """Return what a profile of the instrument leaves of the width that was seen, to begin with."""
    seen = start.shared["width_eV"]
    through = _profile_width(table, start.frames["energy_1_eV"])
    return float(np.sqrt(max(seen**2 - through**2, (_LEAST_OWN_WIDTH * seen) ** 2)))


_LEAST_OWN_WIDTH = 0.3  # of what is seen, to begin with: from none a fit has no way up


def _profile_width(table: LineTable, energy_eV: Array) -> float:
    """Return the width of the instrument's profile at the lines, 0 where none was measured."""
    profile = table.profile
    if profile is None:
        return 0.0
    at = int(np.argmin(np.abs(profile.energy_eV - np.median(energy_eV))))
    part = int(np.argmax(profile.share[at]))
    return float(profile.gauss_fwhm_eV[at, part] + profile.lorentz_fwhm_eV[at, part])


def _law_start(column: Array, wanted: Array) -> Array:
    """Return coefficients whose law is near the values wanted for the frames."""
    return np.asarray(np.linalg.lstsq(column, wanted, rcond=None)[0])


def _climb(
    table: LineTable,
    windows: FrameWindows,
    sharing: Sharing,
    *,
    shared: Array,
    place: Array,
    is_first_look: bool = False,
) -> JointOptimum:
    names = table.names
    width = names.index("width_eV")
    energies = np.array([n.endswith("_eV") for n in names])
    portions = np.array([n in ("tail", "wing") for n in names])

    through = _profile_width(table, place[:, names.index("energy_1_eV")])

    def largest_step(at: Array) -> Array:
        cap = np.full(at.shape, np.inf)
        cap[:, energies] = 0.4 * np.hypot(at[:, [width]], through)
        cap[:, portions] = 0.2
        return cap

    return maximise_jointly(
        slopes_of(table, windows.edges_eV, windows.counts),
        sharing,
        shared=shared,
        start=place,
        largest_step=largest_step,
        # Frames that do not belong would keep the first look from ever ending.
        stragglers=0.1 if is_first_look else 0.02,
        most_steps=30 if is_first_look else 200,
    )


def _near_the_lines(windows: FrameWindows, table: LineTable, parameters: Array) -> FrameWindows:
    """Mask what is farther from the lines than the profile needs: there the replicas begin."""
    of = {name: parameters[:, [i]] for i, name in enumerate(table.names)}
    through = _profile_width(table, of["energy_1_eV"])
    reach = _WIDTHS_AROUND * float(np.median(np.hypot(of["width_eV"], through)))
    lowest = highest = of["energy_1_eV"]
    for name, splitting in of.items():
        if name.startswith("splitting"):
            lowest = np.minimum(lowest, of["energy_1_eV"] + splitting)
            highest = np.maximum(highest, of["energy_1_eV"] + splitting)
    middle = 0.5 * (windows.edges_eV[:, 1:] + windows.edges_eV[:, :-1])
    near = (middle > lowest - reach) & (middle < highest + reach)
    counts = windows.counts
    masked = Counts(counts.electrons, counts.shift, counts.good * near)
    return FrameWindows(windows.edges_eV, masked, windows.point)


_WIDTHS_AROUND = 7.0


def _misfits(windows: FrameWindows, optimum: JointOptimum, strictness: float) -> dict[int, str]:
    """Return the frames that the model does not describe while it describes most others."""
    counts = windows.counts
    variance = np.maximum(optimum.expected, 0.0) + counts.shift
    chi2 = (counts.good * (counts.electrons - optimum.expected) ** 2 / variance).sum(axis=1)
    pixels = counts.good.sum(axis=1)
    typical = max(1.0, float(np.median(chi2 / pixels)))
    limit = typical * (pixels + 5.0 * np.sqrt(2.2 * pixels))
    limit = strictness * limit
    lost = optimum.restless & (optimum.restless.mean() < 0.1)
    return {
        int(i): "lost: its energy, width or brightness does not settle"
        if lost[i]
        else f"does not fit: chi2 per pixel {chi2[i] / pixels[i]:.2f}, usual is {typical:.2f}"
        for i in np.flatnonzero((chi2 > limit) | lost)
    }


def _summary(
    table: LineTable,
    windows: FrameWindows,
    sharing: Sharing,
    optimum: JointOptimum,
    *,
    used: NDArray[np.intp],
    excluded: Mapping[int, str],
) -> SeriesFit:
    names = table.names
    counts = windows.counts
    variance = np.maximum(optimum.expected, 0.0) + counts.shift
    residual = counts.good * (counts.electrons - optimum.expected) / np.sqrt(variance)
    free = sharing.own.size * len(residual) + optimum.shared.size
    photon = optimum.shared_covariance
    scatter_ratio = _scatter_ratio(optimum)
    misfit_ratio = _misfit_ratio(residual, windows, optimum, sharing)
    enlarged = np.sqrt(np.maximum(scatter_ratio, 1.0) ** 2 + misfit_ratio**2 - 1.0)
    own = {names[i]: k for k, i in enumerate(sharing.own)}
    energy = own["energy_1_eV"]
    return SeriesFit(
        names=sharing.shared_names,
        values=optimum.shared,
        photon_covariance=photon,
        covariance=photon * enlarged * enlarged[:, None],
        scatter_ratio=scatter_ratio,
        misfit_ratio=misfit_ratio,
        energy_eV=optimum.parameters[:, names.index("energy_1_eV")],
        energy_error_eV=np.sqrt(optimum.own_covariance[:, energy, energy]),
        width_eV=np.abs(optimum.parameters[:, names.index("width_eV")]),
        brightness_e=optimum.parameters[:, names.index("brightness_e")],
        chi2_per_dof=float((residual**2).sum() / max(1.0, counts.good.sum() - free)),
        used=used,
        excluded=excluded,
        converged=optimum.converged,
        table_names=names,
        own_names=tuple(names[i] for i in sharing.own),
        residual_e=counts.good * (counts.electrons - optimum.expected),
        variance_e2=counts.good * variance,
        optimum=optimum,
        table=table,
        sharing=sharing,
    )


def _scatter_ratio(optimum: JointOptimum) -> Array:
    """Return error from the scatter of the frames over photon error, of each shared parameter.

    Source: P. J. Huber, Proc. 5th Berkeley Symp. 1, 221 (1967).
    """
    moved = optimum.scores @ optimum.shared_covariance
    frames, shared = moved.shape
    variance = (moved**2).sum(axis=0) * frames / max(1, frames - shared)
    ratio: Array = np.sqrt(variance / np.diag(optimum.shared_covariance))
    return ratio


def _misfit_ratio(
    residual: Array, windows: FrameWindows, optimum: JointOptimum, sharing: Sharing
) -> float:
    """Return by how much residuals that repeat from frame to frame exceed the noise, or 1.

    Residuals are collected on the grid of distances from each frame's own line and compared, in
    each of its cells, with every way in which the shared parameters could vary over the sweep.
    """
    first = optimum.parameters[:, 0]
    middle = 0.5 * (windows.edges_eV[:, 1:] + windows.edges_eV[:, :-1])
    pixel = float(np.abs(np.diff(middle, axis=1)).mean())
    cell = np.rint((middle - first[:, None]) / pixel).astype(np.intp)
    cell -= cell.min()
    ways = _ways(sharing)
    good = windows.counts.good > 0
    frame, _ = np.nonzero(good)
    at, basis = cell[good], ways[frame]
    seen = np.bincount(at)
    projected = np.zeros((seen.size, ways.shape[1]))
    squares = np.zeros((seen.size, ways.shape[1], ways.shape[1]))
    np.add.at(projected, at, basis * residual[good][:, None])
    np.add.at(squares, at, basis[:, :, None] * basis[:, None, :])
    enough = seen >= 4 * ways.shape[1]
    inverse = np.linalg.pinv(squares[enough])
    excess = float(np.einsum("cw,cwv,cv->", projected[enough], inverse, projected[enough]))
    dof = int(enough.sum()) * ways.shape[1] - optimum.shared.size - sharing.own.size
    return float(np.sqrt(max(1.0, excess / dof))) if dof > 0 else 1.0


def _ways(sharing: Sharing) -> Array:
    """Return independent columns over the frames that span all laws."""
    constant = np.ones((len(sharing.design), 1))
    columns = np.concatenate([constant, sharing.design.sum(axis=1)], axis=1)
    u, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, singular > 1e-6 * singular[0]] * np.sqrt(len(columns)))

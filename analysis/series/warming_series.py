"""Energy and width of a line over temperature, freed of the phonon replicas beneath it.

Cold replicas stand beside the line and can be measured; warm ones are many, cannot be told from
the line any more, and widen and move it: a single line fitted to all of it follows a softer phonon
than the one that broadens it. So the coldest spectra give coupling and width of every mode, its
occupation follows from the temperature, and each spectrum is fitted with the ladder these make.
What is not known exactly of the modes is an error that all points share, and is carried as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from analysis.estimation.curve_fit import CurveFit, fit_curve
from analysis.estimation.fisher_scoring import Box, Counts, StepCap
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.estimation.table_fit import fit_table
from analysis.estimation.verdict import Verdict
from analysis.spectra.phonon_ladder import Mode, phonon_ladder
from analysis.spectra.spectrum_window import Window
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["WarmPoint", "WarmingSeries", "fit_warming_series"]

Array = NDArray[np.float64]
Values = Mapping[str, float]

_COLD_OCCUPATION = 0.1  # of the softest mode: below it replicas are sent, hardly taken up
_MOST_COLD = 3  # temperatures
_ONE_TEMPERATURE_K = 1.0
_START_COUPLING = 0.05  # a companion must not be taken for a replica
_START_WIDTH = 0.3  # of the softest mode's energy
_SEEN = 4.5  # sigma of a companion's light
_COMPANIONS_EV = {"trion": 15e-3, "biexciton": 30e-3}  # below the exciton, where the search begins


@dataclass(frozen=True, slots=True)
class WarmPoint:
    """One spectrum: the sum of a point's frames in electrons, on a rising axis.

    axis: a number for each setting of the spectrograph, since it has a resolution of its own.
    parts: the spectra that it is the sum of, where it is one.
    """

    temperature_K: float
    sigma_temperature_K: float
    window: Window
    axis: int = 0
    parts: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmingSeries:
    """The line at each point, in rising temperature: (points,) and (points, points).

    energy_eV: of the line without phonons; width_eV: its Lorentzian width, that of the instrument
    and of wandering taken off. covariances: own noise, and what is not known of the modes, which
    all points share; own errors: without the latter, but with the wandering of the line.
    left_out: points whose fit found no optimum.
    """

    temperature_K: Array
    sigma_temperature_K: Array
    energy_eV: Array
    energy_covariance: Array
    own_energy_errors_eV: Array
    width_eV: Array
    width_covariance: Array
    own_width_errors_eV: Array
    modes: tuple[Mode, ...]
    coupling_errors: Array
    mode_width_error_eV: float
    left_out: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the cold spectra tell: names and values that all others share, with covariance."""

    phonons_eV: tuple[float, ...]
    names: tuple[str, ...]
    values: Array
    covariance: Array
    held: Values  # companions' places
    companions: tuple[str, ...]

    def moved(self, name: str, by: float) -> _Known:
        """Return the same with one value changed."""
        values = self.values.copy()
        values[self.names.index(name)] += by
        return replace(self, values=values)

    def modes(self) -> tuple[Mode, ...]:
        of = dict(zip(self.names, self.values.tolist(), strict=True))
        return tuple(
            Mode(energy, of[f"coupling_{k}"], abs(of["mode_width_eV"]))  # may pass through 0
            for k, energy in enumerate(self.phonons_eV, start=1)
        )

    def held_on(self, axis: int) -> dict[str, float]:
        of = dict(zip(self.names, self.values.tolist(), strict=True))
        shares = {name: of[name] for name in of if name.endswith("_share")}
        return {**self.held, **shares, "gauss_width_eV": of[f"gauss_{axis}_width_eV"]}


def fit_warming_series(
    points: Sequence[WarmPoint], *, phonons_eV: Sequence[float], companions: Sequence[str] = ()
) -> WarmingSeries:
    """Fit the line of every spectrum of a temperature sweep with the ladder of these modes.

    companions: "trion" and "biexciton", where they shall be looked for: the trion's light is free
    at every point, the biexciton's a fixed share.
    Raises ValueError where no spectrum is cold enough to show the replicas.
    """
    phonons = tuple(sorted(phonons_eV))
    rising = _by_temperature(points)
    cold = _cold(rising, phonons)
    known, modes_fit = _of_the_cold(cold, phonons, tuple(companions))
    known = _with_other_axes(known, rising, cold[0].axis)
    return _series(rising, known, modes_fit)


def _by_temperature(points: Sequence[WarmPoint]) -> list[WarmPoint]:
    """Return the sum of the spectra of each temperature and axis, in rising order."""
    groups: list[list[WarmPoint]] = []
    for point in sorted(points, key=lambda one: (one.axis, one.temperature_K)):
        last = groups[-1][0] if groups else None
        if (
            last is not None
            and last.axis == point.axis
            and point.temperature_K - last.temperature_K < _ONE_TEMPERATURE_K
        ):
            groups[-1].append(point)
        else:
            groups.append([point])
    return sorted((_summed(group) for group in groups), key=lambda one: one.temperature_K)


def _cold(points: list[WarmPoint], phonons: tuple[float, ...]) -> list[WarmPoint]:
    """Return the coldest spectra, those that show the replicas beside the line."""
    found = [
        point
        for point in points
        if point.axis == points[0].axis
        and thermal_occupation(phonons[0], point.temperature_K) < _COLD_OCCUPATION
    ]
    if not found:
        raise ValueError(
            f"the coldest spectrum, at {points[0].temperature_K:.1f} K, is too warm to show "
            f"replicas of {1e3 * phonons[0]:.1f} meV beside the line"
        )
    return found[:_MOST_COLD]


def _summed(group: list[WarmPoint]) -> WarmPoint:
    counts = [point.window.counts for point in group]
    total = Counts(
        np.sum([one.electrons for one in counts], axis=0),
        np.sum([one.shift for one in counts], axis=0),
        np.min([one.good for one in counts], axis=0),
    )
    return replace(
        group[0],
        temperature_K=float(np.mean([point.temperature_K for point in group])),
        sigma_temperature_K=float(np.mean([point.sigma_temperature_K for point in group])),
        window=Window(group[0].window.edges_eV, total),
        parts=tuple(point.window for point in group) if len(group) > 1 else group[0].parts,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """One spectrum's fit; expected: in electrons. window: with the noise that was seen."""

    names: tuple[str, ...]
    values: Array
    errors: Array
    expected: Array
    window: Window
    converged: bool

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        return float(self.errors[self.names.index(name)])

    def as_start(self) -> dict[str, float]:
        return dict(zip(self.names, self.values.tolist(), strict=True))


def _table(modes: Sequence[Mode], temperature_K: float, companions: Sequence[str]) -> LineTable:
    """Return exciton and companions, all through the ladder and of one width."""

    def row(centre: tuple[tuple[str, float], ...], *area: str) -> Line:
        return Line(centre, "gauss_width_eV", area, Shape.PROFILE, lorentz_width="width_eV")

    exciton = ("energy_eV", 1.0)
    rows = [row((exciton,), "area")]
    if "trion" in companions:
        rows.append(row((exciton, ("trion_binding_eV", -1.0)), "trion_area"))
    if "biexciton" in companions:
        rows.append(row((exciton, ("biexciton_binding_eV", -1.0)), "area", "biexciton_share"))
    return LineTable(rows, background_order=0, profile=phonon_ladder(modes, temperature_K))


def _fit(
    point: WarmPoint,
    modes: Sequence[Mode],
    companions: Sequence[str],
    *,
    held: Values,
    start: Values,
) -> _Fit:
    table = _table(modes, point.temperature_K, companions)
    window, names = point.window, table.names
    low, high = window.limits_eV
    limits = {
        "energy_eV": (low, high),
        "width_eV": (1e-6, high - low),
        "gauss_width_eV": (0.2 * window.pixel_eV, 0.25 * (high - low)),
    } | {f"{name}_binding_eV": (0.4 * place, 1.6 * place) for name, place in _COMPANIONS_EV.items()}
    limits |= {name: (value, value) for name, value in held.items()}
    bounds = np.array([limits.get(name, (-np.inf, np.inf)) for name in names])
    share = np.zeros((len(names), len(names)))
    widths = [names.index("width_eV"), names.index("gauss_width_eV")]
    share[[[i] for i, name in enumerate(names) if name.endswith("_eV")], widths] = 0.5
    at = {**_first_look(window), **start, **held}
    found = fit_table(
        table,
        window.edges_eV,
        window.counts,
        start=np.array([[at.get(name, 0.0) for name in names]]),
        box=Box(bounds[None, :, 0], bounds[None, :, 1], StepCap(share)),
    )
    values = found.parameters[0]
    is_free = (bounds[:, 0] < values) & (values < bounds[:, 1])
    errors = _errors(found.information[0], is_free)
    return _Fit(names, values, errors, found.expected[0], window, bool(found.converged[0]))


def _errors(information: Array, is_free: NDArray[np.bool_]) -> Array:
    """Return the errors of what is free, 0 for the rest, infinite where nothing is determined."""
    errors = np.zeros(is_free.size)
    part = information[np.ix_(is_free, is_free)]
    scale = np.sqrt(np.maximum(np.diag(part), 1e-300))
    try:
        inverse = np.linalg.inv(part / scale / scale[:, None])
    except np.linalg.LinAlgError:
        errors[is_free] = np.inf
        return errors
    errors[is_free] = np.sqrt(np.maximum(np.diag(inverse), 0.0)) / scale
    return errors


def _first_look(window: Window) -> dict[str, float]:
    """Return where a climb may begin in an unknown spectrum."""
    light = window.counts.electrons[0] * window.counts.good[0]
    floor = float(np.median(light))
    middle = 0.5 * (window.edges_eV[1:] + window.edges_eV[:-1])
    smooth = np.convolve(light, np.ones(5) / 5.0, "same")
    above = np.maximum(light - floor, 0.0)
    half = smooth > 0.5 * (smooth.max() + floor)
    width = float(half.sum()) * window.pixel_eV
    return {
        "energy_eV": float(middle[np.argmax(smooth)]),
        "width_eV": 0.8 * width,
        "gauss_width_eV": 0.3 * width,
        "area": float(above.sum()),
        "trion_area": 0.03 * float(above.sum()),
        "biexciton_share": 0.02,
        "background_0": floor,
    } | {f"{name}_binding_eV": place for name, place in _COMPANIONS_EV.items()}


def _noise_as_seen(point: WarmPoint, fit: _Fit) -> WarmPoint:
    """Return the point with as much noise beside that of the light as its residuals show.

    One background is taken off all frames, so that its noise adds up where theirs averages.
    """
    counts = point.window.counts
    good = counts.good[0] > 0
    miss2 = (counts.electrons[0] - fit.expected)[good] ** 2
    light, dark = np.maximum(fit.expected[good], 0.0), counts.shift[0, good]
    dof = max(1, int(good.sum()) - fit.values.size)

    def excess(log_factor: float) -> float:
        return float((miss2 / (light + np.exp(log_factor) * dark)).sum()) - dof

    if excess(0.0) <= 0.0:
        return point
    most = np.log(miss2.sum() / dark.min() + 1.0)
    factor = float(np.exp(brentq(excess, 0.0, most, xtol=1e-2))) if excess(most) < 0 else 1.0
    noisy = Counts(counts.electrons, factor * counts.shift, counts.good)
    return replace(point, window=Window(point.window.edges_eV, noisy))


def _of_the_cold(
    cold: list[WarmPoint], phonons: tuple[float, ...], companions: tuple[str, ...]
) -> tuple[_Known, CurveFit]:
    """Return coupling and width of every mode, and what else the cold spectra tell."""
    names = (*(f"coupling_{k}" for k in range(1, len(phonons) + 1)), "mode_width_eV")
    start = np.array([*(_START_COUPLING for _ in phonons), _START_WIDTH * phonons[0]])
    known = _Known(phonons, names, start, np.zeros((start.size, start.size)), {}, companions)
    fits = [_fit(point, known.modes(), companions, held={}, start={}) for point in cold]
    for _ in range(_COLD_ROUNDS):  # guessed modes let their misfit pass for noise
        noisy = [_noise_as_seen(point, one) for point, one in zip(cold, fits, strict=True)]
        climb = _ColdClimb(known, noisy, companions, fits)
        found = climb.fitted(names)
        known, fits = replace(known, values=found.values), climb.at(found.values)
    return _with_companions(known, found, fits, cold[0].axis), found


_COLD_ROUNDS = 3


def _is_seen(name: str, fits: list[_Fit]) -> bool:
    light = "trion_area" if name == "trion" else "biexciton_share"
    return any(light in fit.names and fit[light] > _SEEN * fit.error(light) for fit in fits)


@dataclass(slots=True)
class _ColdClimb:
    """The cold spectra as a curve over the modes alone, all else being fitted at each place."""

    begin: _Known
    points: list[WarmPoint]
    companions: tuple[str, ...]
    starts: list[_Fit]
    _places: dict[bytes, list[_Fit]] = field(default_factory=dict)

    def at(self, values: Array) -> list[_Fit]:
        key = values.tobytes()
        if key not in self._places:
            modes = replace(self.begin, values=values).modes()
            self._places[key] = [
                _fit(point, modes, self.companions, held={}, start=before.as_start())
                for point, before in zip(self.points, self.starts, strict=True)
            ]
        return self._places[key]

    def fitted(self, names: tuple[str, ...]) -> CurveFit:
        """Fit the modes to all cold spectra."""
        start = self.begin.values
        counts = [point.window.counts for point in self.points]
        good = [one.good[0] > 0 for one in counts]
        sigma = [
            np.sqrt(np.maximum(fit.expected, 0.0) + one.shift[0])[kept]
            for fit, one, kept in zip(self.at(start), counts, good, strict=True)
        ]
        scale = np.abs(start)

        def curve(place: Array) -> Array:
            fits = self.at(place * scale)
            return np.concatenate([f.expected[k] for f, k in zip(fits, good, strict=True)])

        def jacobian(place: Array) -> Array:
            step = 0.02
            ways = step * np.eye(place.size)
            return np.column_stack(
                [(curve(place + way) - curve(place - way)) / (2.0 * step) for way in ways]
            )

        fit = fit_curve(
            curve,
            np.concatenate([one.electrons[0, k] for one, k in zip(counts, good, strict=True)]),
            start=np.ones(start.size),
            names=names,
            sigma=np.concatenate(sigma),
            jacobian=jacobian,
            most_evaluations=_MOST_EVALUATIONS,
        )
        return replace(
            fit,
            values=fit.values * scale,
            errors=fit.errors * scale,
            covariance=fit.covariance * scale * scale[:, None],
        )


_MOST_EVALUATIONS = 8  # each is a fit of all cold spectra; the derivatives are not exact


def _with_companions(known: _Known, fit: CurveFit, cold: list[_Fit], axis: int) -> _Known:
    """Add the Gaussian width of this axis, and where the companions are, as the cold agree."""
    held: dict[str, float] = {
        name: _mean(cold, name)[0]
        for name in ("trion_binding_eV", "biexciton_binding_eV")
        if name in cold[0].names
    }
    shared = ["gauss_width_eV"]
    shared += ["biexciton_share"] if "biexciton" in known.companions else []
    means = [_mean(cold, name) for name in shared]
    names = (*known.names, f"gauss_{axis}_width_eV", *shared[1:])
    covariance = np.zeros((len(names), len(names)))
    size = len(known.names)
    covariance[:size, :size] = fit.covariance
    covariance[range(size, len(names)), range(size, len(names))] = [error**2 for _, error in means]
    values = np.concatenate([known.values, [value for value, _ in means]])
    return replace(known, names=names, values=values, covariance=covariance, held=held)


def _mean(fits: Sequence[_Fit], name: str) -> tuple[float, float]:
    """Return the weighted mean and an error that holds the scatter of the fits.

    A value at its bound, which has no error, is worth a third of itself.
    """
    values = np.array([fit[name] for fit in fits])
    given = np.array([fit.error(name) for fit in fits])
    errors = np.where(np.isfinite(given) & (given > 0), given, 0.3 * np.abs(values) + 1e-12)
    weight = errors**-2.0
    mean = float(weight @ values / weight.sum())
    excess = float(weight @ (values - mean) ** 2) / max(1, values.size - 1)
    return mean, float(weight.sum() ** -0.5 * np.sqrt(max(1.0, excess)))


def _with_other_axes(known: _Known, points: list[WarmPoint], first: int) -> _Known:
    """Add the Gaussian width of every other axis, from its coldest spectrum.

    Wandering goes on there, so that it is no narrower than on the first; an error as large as what
    it is wider by is left to it, since the wings of a broad line tell little of its core.
    """
    least = known.held_on(first)["gauss_width_eV"]
    shares = {k: v for k, v in known.held_on(first).items() if k != "gauss_width_eV"}
    for axis in sorted({point.axis for point in points} - {first}):
        coldest = next(point for point in points if point.axis == axis)
        fit = _fit(coldest, known.modes(), known.companions, held=shares, start={})
        fit = _fit(
            _noise_as_seen(coldest, fit),
            known.modes(),
            known.companions,
            held=shares,
            start=fit.as_start(),
        )
        width = max(fit["gauss_width_eV"], least)
        error = np.hypot(fit.error("gauss_width_eV"), max(width - least, _LEAST_DOUBT * width))
        size = len(known.names)
        covariance = np.zeros((size + 1, size + 1))
        covariance[:size, :size] = known.covariance
        covariance[size, size] = error**2
        known = replace(
            known,
            names=(*known.names, f"gauss_{axis}_width_eV"),
            values=np.append(known.values, width),
            covariance=covariance,
        )
    return known


_LEAST_DOUBT = 0.3  # of a Gaussian width beneath a broader Lorentzian


def _series(points: list[WarmPoint], known: _Known, modes_fit: CurveFit) -> WarmingSeries:
    used: list[WarmPoint] = []
    fits: list[_Fit] = []
    slopes: list[Array] = []
    modes = known.modes()
    for point in points:
        held = known.held_on(point.axis)
        first = _fit(point, modes, known.companions, held=held, start={})
        seen = _noise_as_seen(point, first)
        fit = _fit(seen, modes, known.companions, held=held, start=first.as_start())
        if not fit.converged or not fit.error("width_eV") > 0:
            continue
        slopes.append(_slopes(seen, known, fit))
        used.append(point)
        fits.append(fit)
    if len(fits) < _LEAST_POINTS:
        raise ValueError(f"{len(fits)} of {len(points)} spectra could be fitted with the ladder")
    by = np.array(slopes)
    shared = [by[:, k] @ known.covariance @ by[:, k].T for k in range(2)]
    own = {name: np.array([fit.error(name) for fit in fits]) for name in ("energy_eV", "width_eV")}
    wandering = _with_wandering(used, fits, known)
    own = {name: np.hypot(own[name], by) for name, by in zip(own, wandering, strict=True)}
    shared[0] += _doubt_of_axes(used)
    errors = np.sqrt(np.diag(known.covariance)[: len(modes) + 1])
    return WarmingSeries(
        temperature_K=np.array([point.temperature_K for point in used]),
        sigma_temperature_K=np.array([point.sigma_temperature_K for point in used]),
        energy_eV=np.array([fit["energy_eV"] for fit in fits]),
        energy_covariance=np.diag(own["energy_eV"] ** 2) + shared[0],
        own_energy_errors_eV=own["energy_eV"],
        width_eV=np.array([fit["width_eV"] for fit in fits]),
        width_covariance=np.diag(own["width_eV"] ** 2) + shared[1],
        own_width_errors_eV=own["width_eV"],
        modes=modes,
        coupling_errors=errors[:-1],
        mode_width_error_eV=float(errors[-1]),
        left_out=len(points) - len(fits),
        verdict=_verdict(modes_fit, modes, errors),
        reason=_said(modes, errors, known, len(points) - len(fits)),
    )


_LEAST_POINTS = 4
_DOUBT_PX = 1.0 / 3.0  # of an axis against another that was never compared with it


def _doubt_of_axes(points: list[WarmPoint]) -> Array:
    """Return the covariance of the energies by what their axes may be displaced."""
    total = np.zeros((len(points), len(points)))
    for axis in {point.axis for point in points} - {points[0].axis}:
        there = np.array([point.axis == axis for point in points])
        pixel_eV = next(point for point in points if point.axis == axis).window.pixel_eV
        total += (_DOUBT_PX * pixel_eV) ** 2 * np.outer(there, there)
    return total


def _with_wandering(
    points: list[WarmPoint], fits: list[_Fit], known: _Known
) -> tuple[Array, Array]:
    """Return the errors of energies and widths by how far the spectra of a temperature are apart.

    The energy wanders alike in the whole sweep, so that all temperatures tell of it together, the
    sharpest lines most: of a broad line a trion that comes and goes moves the middle too.
    """
    number = np.array([max(1, len(point.parts)) for point in points])
    excess2 = np.array(
        [
            _excess2(point, fit, known) if parts > 1 else np.zeros(2)
            for point, fit, parts in zip(points, fits, number, strict=True)
        ]
    )
    weight = np.array([fit["width_eV"] for fit in fits]) ** -4.0 * (number > 1)
    pooled = float(weight @ excess2[:, 0] / max(weight.sum(), 1e-300))
    energy2, width2 = max(0.0, pooled), np.maximum(excess2[:, 1], 0.0)
    return np.sqrt(energy2 / number), np.sqrt(width2 / number)


def _excess2(point: WarmPoint, fit: _Fit, known: _Known) -> Array:
    """Return the variance of the spectra's energies and widths beyond their noise.

    Each is compared, to first order of its displacement, with the fit of their sum.
    """
    table = _table(known.modes(), point.temperature_K, known.companions)
    _, jacobian = table.evaluate(fit.values[None], fit.window.edges_eV)
    of = [table.names.index(name) for name in ("energy_eV", "width_eV", "area", "background_0")]
    columns = jacobian[0, of].T
    columns[:, 2] = fit.expected - fit["background_0"]
    moved, noise2 = [], []
    for part in point.parts:
        counts = part.counts
        expected = np.maximum(fit.expected / len(point.parts), 0.0)
        weight = counts.good[0] / (expected + counts.shift[0])
        covariance = np.linalg.inv((columns * weight[:, None]).T @ columns)
        found = covariance @ (columns.T @ (weight * counts.electrons[0]))
        moved.append(found[:2] / found[2])
        noise2.append(np.diag(covariance)[:2] / found[2] ** 2)
    return np.asarray(np.var(moved, axis=0, ddof=1) - np.mean(noise2, axis=0))


def _slopes(point: WarmPoint, known: _Known, fit: _Fit) -> Array:
    """Return how energy and width change with everything that is shared, (2, shared)."""
    slopes = np.zeros((2, len(known.names)))
    start = fit.as_start()
    for k, name in enumerate(known.names):
        step = float(np.sqrt(known.covariance[k, k]))
        if (name.startswith("gauss_") and name != f"gauss_{point.axis}_width_eV") or not step > 0:
            continue
        other = known.moved(name, step)
        held = other.held_on(point.axis)
        there = _fit(point, other.modes(), known.companions, held=held, start=start)
        for row, parameter in enumerate(("energy_eV", "width_eV")):
            slopes[row, k] = (there[parameter] - fit[parameter]) / step
    return slopes


_VAGUE = 0.5


def _verdict(fit: CurveFit, modes: Sequence[Mode], errors: Array) -> Verdict:
    if not np.isfinite(fit.errors).all():
        return Verdict.ILL_DETERMINED
    vague = any(
        error > _VAGUE * abs(mode.coupling) for mode, error in zip(modes, errors[:-1], strict=True)
    )
    return Verdict.ILL_DETERMINED if vague else Verdict.CONVERGED


def _said(modes: Sequence[Mode], errors: Array, known: _Known, left_out: int) -> str:
    said = [
        f"{1e3 * mode.energy_eV:.1f} meV couples by {mode.coupling:.3f} +- {error:.3f}"
        for mode, error in zip(modes, errors[:-1], strict=True)
    ]
    said.append(f"modes {1e3 * modes[0].width_eV:.2f} +- {1e3 * errors[-1]:.2f} meV wide")
    said += [f"{name} seen" for name in known.companions]
    said += [f"{left_out} spectra left out"] if left_out else []
    return "; ".join(said)

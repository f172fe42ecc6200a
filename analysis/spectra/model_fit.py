"""Fit a whole spectrum model without any start values: guess, stages, verdict.

The exciton and its replicas are fitted first, with the pixels of what may be a trion or a biexciton
left out; then these are looked for in what is left, added where they are seen, and everything is
fitted together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.hits import narrow_outliers, spikes
from analysis.estimation.fisher_scoring import MOST_STEPS, Counts, Optimum
from analysis.estimation.line_table import LineTable, Shape
from analysis.estimation.table_fit import fit_table, slopes_of
from analysis.estimation.verdict import Verdict
from analysis.spectra.components import COMPONENTS
from analysis.spectra.emitter import Presence
from analysis.spectra.fit_model import FitModel
from analysis.spectra.matched_filter import floor_of
from analysis.spectra.model_bounds import box_of_model, electrons_per_unit
from analysis.spectra.presence import LEAST_Z, Residual, Sighting, sight_mirrored, sight_single
from analysis.spectra.spectrum_fit import SpectrumFit, inverse_information, pearson_chi2, verdict_of
from analysis.spectra.spectrum_model import Contents, SpectrumModel, prefix_of
from analysis.spectra.spectrum_window import Window, in_electrons
from analysis.spectra.start_values import exciton_values, sighted_values, solve_areas, widths_of
from analysis.spectra.structured_guess import guess_exciton

__all__ = [
    "FAINT_E",
    "HITS_BELOW_PX",
    "ModelFit",
    "ModelFitter",
    "hardly_seen",
    "is_faint",
    "narrowest_fwhm_px",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LOOSE_STEPS = 5
_MASKED_WIDTHS = 1.5  # FWHM to both sides of what is not fitted yet
_LEAST_PIXELS = 11
_PLAIN = {Shape.VOIGT: Shape.LORENTZ, Shape.PROFILE: Shape.GAUSS}
_NOT_GOOD = (Verdict.POOR_FIT, Verdict.AT_A_BOUND, Verdict.FAILED)
_SPLIT_WIDTHS = 0.35  # to both sides, where a line is split in two
_NO_LIGHT = 1e-300
_BY_LINE = ("energy_{}_eV", "area_{}_counts", "biexciton_area_{}_counts")
_ROUNDS = 3  # a hit on a line pulls the fit and shows piece by piece
HITS_BELOW_PX = 2.0  # FWHM that a line has at least, where nothing more is known


@dataclass(frozen=True, slots=True)
class ModelFit:
    """A fit and what it found.

    fit: parameters as named by spectrum_model; those of components that are absent are missing.
    contents: by emitter. seen: z of each component that was looked for, by its name with the
    emitter's prefix. place: the parameters in electrons, to start the next fit from; None where
    there is no fit. residual_sigma: shape (pixels,), 0 where masked; middle_eV, good: of the
    pixels that were fitted, good 0 where masked.
    """

    fit: SpectrumFit
    contents: tuple[Contents, ...]
    seen: Mapping[str, float] = field(default_factory=dict)
    place: Mapping[str, float] | None = None
    residual_sigma: Array = field(default_factory=lambda: np.empty(0))
    middle_eV: Array = field(default_factory=lambda: np.empty(0))
    good: Array = field(default_factory=lambda: np.empty(0))

    def __getitem__(self, name: str) -> float:
        return self.fit[name]

    def error(self, name: str) -> float:
        """Return the photon error of one parameter."""
        return self.fit.error(name)

    def good_pixels(self, whole: Window) -> Window:
        """Return the spectrum that was fitted, without what this fit left out."""
        if not self.middle_eV.size:
            return whole
        rising = whole.between(*self.fit.window_eV)
        return whole if rising is None else _masked(rising.rising(), self.good == 0)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A model at some parameters, in electrons, and the spectrum it is compared with."""

    contents: tuple[Contents, ...]
    table: LineTable
    window: Window
    values: Mapping[str, float]

    @property
    def start(self) -> Array:
        return np.array([self.values.get(name, 0.0) for name in self.table.names])


class ModelFitter:
    """Fits one model to any number of spectra, one at a time."""

    def __init__(self, model: SpectrumModel, noise: DetectorNoise, *, clips: bool = True) -> None:
        """clips: whether pixels that stand out of the fit as cosmic hits do are left out."""
        self.model = model
        self.noise = noise
        self._clips = clips
        self._tables: dict[tuple[Contents, ...], LineTable] = {}
        self._rough: LineTable | None = None

    def fit(
        self, wavelength_nm: ArrayLike, counts: ArrayLike, *, background: ArrayLike | None = None
    ) -> ModelFit:
        """Fit one spectrum of raw counts; arguments and errors as of fit_spectrum."""
        spectrum = np.atleast_2d(np.asarray(counts, dtype=np.float64))
        whole = in_electrons(wavelength_nm, spectrum, noise=self.noise, background=background)
        return self.fit_window(whole)

    def fit_window(self, whole: Window, *, narrowest_fwhm_px: float = HITS_BELOW_PX) -> ModelFit:
        """Fit one spectrum in electrons from a guess of its own.

        narrowest_fwhm_px: what a line has at least; what is narrower is taken for a cosmic hit.
        """
        window = self.cut(whole, narrowest_fwhm_px=narrowest_fwhm_px)
        if isinstance(window, str):
            return self._nothing(Verdict.NO_SIGNAL, window, whole.limits_eV)
        fit = self._from_guess(window)
        if self.model.lines == 1 or not _is_worth_a_second_start(fit):
            return fit
        # Two close lines may have been taken for one, and something else for the other.
        other = self._from_guess(window, is_close=True)
        return min(fit, other, key=lambda one: np.nan_to_num(one.fit.deviance, nan=np.inf))

    def _from_guess(self, window: Window, *, is_close: bool = False) -> ModelFit:
        values = self._guess(window, is_close=is_close)
        if isinstance(values, str):
            return self._nothing(Verdict.NO_SIGNAL, values, window.limits_eV)
        core = _Stage(self.model.core(), self.table(self.model.core()), window, values)
        stage, seen = self._with_components(self._core_fitted(core))
        return self._finished(stage, seen)

    def follow(self, whole: Window, start: ModelFit, *, moved_eV: float = 0.0) -> ModelFit:
        """Fit one spectrum from the result of another, its lines moved; contents stay.

        Raises ValueError where the other has no result.
        """
        if start.place is None:
            raise ValueError("a fit without a result is no start for another")
        window = self.cut(whole, narrowest_fwhm_px=narrowest_fwhm_px(start, whole))
        if isinstance(window, str):
            return self._nothing(Verdict.NO_SIGNAL, window, whole.limits_eV)
        values = {
            name: value + moved_eV * ("energy_" in name) for name, value in start.place.items()
        }
        table = self.table(start.contents)
        return self._finished(_Stage(start.contents, table, window, values), start.seen)

    def split(self, whole: Window, smaller: ModelFit, line: int) -> ModelFit:
        """Fit from a result with one line less, one of its lines (from 1) split in two.

        Raises ValueError where the other has no result.
        """
        if smaller.place is None:
            raise ValueError("a fit without a result is no start for another")
        values = dict(smaller.place)
        apart = _SPLIT_WIDTHS * values["width_eV"]
        for k in range(self.model.lines, line, -1):
            for pattern in _BY_LINE:
                values[pattern.format(k)] = values.get(pattern.format(k - 1), 0.0)
        for pattern in _BY_LINE[1:]:
            for k in (line, line + 1):
                values[pattern.format(k)] = 0.5 * values.get(pattern.format(k), 0.0)
        values[_BY_LINE[0].format(line)] -= apart
        values[_BY_LINE[0].format(line + 1)] += apart
        return self._from_other_lines(whole, smaller, values)

    def merge(self, whole: Window, larger: ModelFit, line: int) -> ModelFit:
        """Fit from a result with one line more, one of its lines (from 1) and the next made one.

        Raises ValueError where the other has no result.
        """
        if larger.place is None:
            raise ValueError("a fit without a result is no start for another")
        values = dict(larger.place)
        energy, area = (
            np.array([values[pattern.format(k)] for k in (line, line + 1)])
            for pattern in _BY_LINE[:2]
        )
        # Areas of lines that are hardly apart may have opposite signs.
        share = np.maximum(area, 0.0) / max(float(np.maximum(area, 0.0).sum()), _NO_LIGHT)
        values[_BY_LINE[0].format(line)] = float(energy[0] + share[1] * (energy[1] - energy[0]))
        for pattern in _BY_LINE[1:]:
            if pattern.format(line) in values:
                values[pattern.format(line)] += values[pattern.format(line + 1)]
        for k in range(line + 1, self.model.lines + 1):
            for pattern in _BY_LINE:
                if pattern.format(k) in values:
                    values[pattern.format(k)] = values[pattern.format(k + 1)]
        return self._from_other_lines(whole, larger, values)

    def _from_other_lines(
        self, whole: Window, other: ModelFit, values: Mapping[str, float]
    ) -> ModelFit:
        window = self.cut(whole)
        if isinstance(window, str):
            return self._nothing(Verdict.NO_SIGNAL, window, whole.limits_eV)
        contents = tuple(replace(one, lines=self.model.lines) for one in other.contents)
        return self._finished(_Stage(contents, self.table(contents), window, values), other.seen)

    def table(self, contents: tuple[Contents, ...]) -> LineTable:
        if contents not in self._tables:
            self._tables[contents] = self.model.table(contents)
        return self._tables[contents]

    def cut(self, whole: Window, *, narrowest_fwhm_px: float = HITS_BELOW_PX) -> Window | str:
        """Return the pixels to fit, energy rising, cosmic hits masked, or why there are none."""
        low, high = self.model.window_eV or whole.limits_eV
        found = whole.between(low, high)
        if found is None:
            return (
                f"the window {low:.6g} to {high:.6g} eV holds fewer than {_LEAST_PIXELS} good "
                f"pixels of the axis from {whole.limits_eV[0]:.6g} to {whole.limits_eV[1]:.6g} eV"
            )
        window = found.rising()
        electrons, shift = window.counts.electrons[0], window.counts.shift[0]
        return _masked(window, spikes(electrons, shift, narrowest_fwhm_px=narrowest_fwhm_px))

    def _guess(self, window: Window, *, is_close: bool) -> dict[str, float] | str:
        """Return start values of the core, or why there is nothing to start from."""
        counts = window.counts
        good = counts.good[0] > 0
        floor = floor_of(counts.electrons[0][good])
        deviation = np.sqrt(counts.shift[0] + max(floor, 0.0))
        left = np.where(good, counts.electrons[0] - floor, 0.0)
        values: dict[str, float] = {"background_0": floor}
        for number in range(len(self.model.emitters)):
            guess = guess_exciton(
                self.model, number, _middle(window), left, deviation, is_close=is_close
            )
            if isinstance(guess, float):
                low, high = window.limits_eV
                which = "no line" if number == 0 else f"no line of emitter {number + 1}"
                return (
                    f"{which} in {low:.6g} to {high:.6g} eV: the best is {guess:.1f} sigma, "
                    "needed are 5"
                )
            values |= exciton_values(self.model, number, guess, _middle(window), left)
            if number + 1 < len(self.model.emitters):
                so_far = replace(self.model, emitters=self.model.emitters[: number + 1])
                stage = _Stage(so_far.core(), so_far.table(so_far.core()), window, values)
                left = np.where(good, counts.electrons[0] - _expected(stage), 0.0)
        return values

    def _core_fitted(self, core: _Stage) -> _Stage:
        """Fit the core loosely, without the pixels of what may belong to something else."""
        mask = np.zeros(core.window.counts.good.shape[1], dtype=np.bool_)
        rough = self._roughly(core)
        solved = solve_areas(rough.table, rough.window, rough.values)
        residual = _residual(replace(rough, values=solved))
        core = replace(core, values={**solved, **widths_of(core.values)})
        for number in range(len(self.model.emitters)):
            for name in self.model.sought(number):
                sighting = self._sighted(residual, core, number, name)
                if sighting is not None and sighting.z > LEAST_Z:
                    mask |= _around(self._places(core, number, name, sighting), core.window)
        masked = replace(core, window=_masked(core.window, mask))
        optimum = self._climb(masked, most_steps=_LOOSE_STEPS)
        if not np.isfinite(optimum.deviance[0]):
            return core
        return replace(core, values=_named(core.table, optimum))

    def _roughly(self, core: _Stage) -> _Stage:
        """Return the stage with lines of a plain shape, as wide as seen: enough to begin with."""
        plain = _PLAIN.get(self.model.shape)
        if plain is None:
            return core
        if self._rough is None:
            self._rough = self.model.with_shape(plain).table(core.contents)
        seen = {
            f"{prefix_of(number)}width_eV": self._fwhm(core, number)
            for number in range(len(self.model.emitters))
        }
        return replace(core, table=self._rough, values={**core.values, **seen})

    def _with_components(self, core: _Stage) -> tuple[_Stage, dict[str, float]]:
        """Add what is seen in the residual, the most significant first."""
        stage, seen, residual = core, dict[str, float](), _residual(core)
        open_questions = [
            (number, name)
            for number in range(len(self.model.emitters))
            for name in self.model.sought(number)
        ]
        while open_questions:
            sightings = {key: self._sighted(residual, core, *key) for key in open_questions}
            found = {key: s for key, s in sightings.items() if s is not None}
            if not found:
                break
            key = max(found, key=lambda k: found[k].z)
            number, name = key
            sighting = found[key]
            seen[prefix_of(number) + name] = sighting.z
            open_questions.remove(key)
            if sighting.z > LEAST_Z or self.model.sought(number)[name] is Presence.ALWAYS:
                stage = self._added(stage, number, name, sighting)
                taken = _around(self._places(core, number, name, sighting), core.window)
                residual = replace(residual, weight=residual.weight * ~taken)
        return stage, seen

    def _added(self, stage: _Stage, number: int, name: str, sighting: Sighting) -> _Stage:
        emitter = self.model.emitters[number]
        along = [other for other in emitter.components if COMPONENTS[other].needs == name]
        contents = list(stage.contents)
        contents[number] = contents[number].with_components((name, *along))
        values = {**stage.values, **sighted_values(self.model, number, name, sighting)}
        return _Stage(tuple(contents), self.table(tuple(contents)), stage.window, values)

    def _sighted(self, residual: Residual, core: _Stage, number: int, name: str) -> Sighting | None:
        energy, fwhm = self._energies(core, number), self._fwhm(core, number)
        window_eV = self.model.window_of(number, name)
        if COMPONENTS[name].is_mirrored:
            return sight_mirrored(residual, energy, window_eV, fwhm)
        return sight_single(residual, float(energy.mean()), window_eV, fwhm)

    def _energies(self, stage: _Stage, number: int) -> Array:
        prefix = prefix_of(number)
        lines = stage.contents[number].lines
        return np.array([self._value(stage, f"{prefix}energy_{k + 1}_eV") for k in range(lines)])

    def _value(self, stage: _Stage, name: str) -> float:
        """Return a parameter, tied or not."""
        tie = self.model.ties.get(name, ((name, 1.0),))
        return sum(factor * stage.values.get(other, 0.0) for other, factor in tie)

    def _fwhm(self, stage: _Stage, number: int) -> float:
        """Return the width of an exciton line as it is seen."""
        prefix = prefix_of(number)
        gauss = self._value(stage, f"{prefix}width_eV")
        lorentz = self._value(stage, f"{prefix}lorentz_width_eV")
        instrument = self.model.instrument_fwhm_eV(number, self._energies(stage, number)[0])
        return 0.5346 * lorentz + float(np.hypot(np.hypot(0.4654 * lorentz, gauss), instrument))

    def _places(self, stage: _Stage, number: int, name: str, sighting: Sighting) -> Array:
        """Return centre and half of what to leave out around each line, shape (lines, 2)."""
        energy = self._energies(stage, number)
        centre = energy.mean() - sighting.binding_eV
        places = centre - (energy - energy.mean() if COMPONENTS[name].is_mirrored else np.zeros(1))
        return np.stack([places, np.full(places.size, _MASKED_WIDTHS * sighting.fwhm_eV)], axis=1)

    def _climb(self, stage: _Stage, *, most_steps: int = MOST_STEPS) -> Optimum:
        return fit_table(
            stage.table,
            stage.window.edges_eV,
            stage.window.counts,
            start=stage.start[None],
            box=box_of_model(self.model, stage.table, stage.window, self.noise),
            most_steps=most_steps,
        )

    def _finished(self, stage: _Stage, seen: Mapping[str, float]) -> ModelFit:
        """Fit everything together; where narrow outliers stand above the fit, without them."""
        optimum = self._climb(stage)
        for _ in range(_ROUNDS):
            hits = narrow_outliers(_residual_sigma(optimum, stage.window)) & self._clips
            if optimum.converged[0] and not hits.any():
                break
            # Where the likelihood is far from a parabola, one climb may end on its way.
            values = _named(stage.table, optimum)
            stage = replace(stage, window=_masked(stage.window, hits), values=values)
            optimum = self._climb(stage)
        return self._judged(stage, optimum, seen)

    def _judged(self, stage: _Stage, optimum: Optimum, seen: Mapping[str, float]) -> ModelFit:
        table, window = stage.table, stage.window
        if not optimum.converged[0] or not np.isfinite(optimum.deviance[0]):
            reason = f"no optimum within {optimum.evaluations} evaluations"
            return self._nothing(Verdict.FAILED, reason, window.limits_eV)
        box = box_of_model(self.model, table, window, self.noise)
        place = optimum.parameters[0]
        fixed = box.lower[0] == box.upper[0]
        at_bound = ~fixed & ((place <= box.lower[0]) | (place >= box.upper[0]))
        covariance, condition = inverse_information(optimum.information[0], ~fixed)
        pixels = int(window.counts.good[0].sum())
        dof = max(1, pixels - int((~fixed).sum()))
        scale = electrons_per_unit(table.names, self.noise)
        order = _rising(table.names, place, stage.contents)
        fit = SpectrumFit(
            names=table.names,
            values=(place / scale)[order],
            errors=np.sqrt(np.maximum(np.diag(covariance), 0.0))[order] / scale,
            covariance=(covariance / scale[:, None] / scale)[np.ix_(order, order)],
            chi2_per_dof=pearson_chi2(optimum.expected[0], window.counts, 0) / dof,
            verdict=Verdict.CONVERGED,
            reason="",
            lines=self.model.lines,
            window_eV=window.limits_eV,
            deviance=float(optimum.deviance[0]),
            pixels=pixels,
            evaluations=optimum.evaluations,
        )
        held = [table.names[i] for i in np.flatnonzero(at_bound)]
        unresolved = [name for name in held if self._may_vanish(name)]
        verdict, reason = verdict_of(
            fit,
            [name for name in held if name not in unresolved],
            condition=condition,
            dof=dof,
            model=None if self.model.shape is Shape.PROFILE else FitModel(),
            instrument_eV=self.model.instrument_fwhm_eV(0, fit["energy_1_eV"]),
        )
        reason += "".join(f"; {name}: none beside the instrument's" for name in unresolved)
        hidden = hardly_seen(fit)
        if hidden and verdict is Verdict.CONVERGED:
            verdict = Verdict.ILL_DETERMINED
            faint = ", ".join(f"{name} ({z:.1f} sigma)" for name, z in hidden.items())
            reason = f"hardly seen, so that its place is not known: {faint}; {reason}"
        return ModelFit(
            fit=replace(
                fit,
                verdict=verdict,
                reason=reason
                + _sightings_in_words(stage, seen)
                + _faintness_in_words(fit, window, self.noise.gain_e_per_count),
            ),
            contents=stage.contents,
            seen=seen,
            place=dict(zip(table.names, place[order].tolist(), strict=True)),
            residual_sigma=_residual_sigma(optimum, window),
            middle_eV=_middle(window),
            good=window.counts.good[0],
        )

    def _may_vanish(self, name: str) -> bool:
        """Return whether this is a width beside which the instrument's remains."""
        return self.model.shape is Shape.PROFILE and name.endswith("width_eV")

    def _nothing(self, verdict: Verdict, reason: str, limits_eV: tuple[float, float]) -> ModelFit:
        core = self.model.core()
        names = self.table(core).names
        nothing = np.full(len(names), np.nan)
        fit = SpectrumFit(
            names=names,
            values=nothing,
            errors=nothing,
            covariance=np.full((len(names), len(names)), np.nan),
            chi2_per_dof=np.nan,
            verdict=verdict,
            reason=reason,
            lines=self.model.lines,
            window_eV=limits_eV,
        )
        return ModelFit(fit, core)


_NARROWEST = 0.7  # of the exciton's width


def narrowest_fwhm_px(fit: ModelFit, window: Window) -> float:
    """Return what a line of this nanocrystal has at least, going by its exciton."""
    widths = [fit[n] for n in ("width_eV", "lorentz_width_eV") if n in fit.fit.names]
    return max(HITS_BELOW_PX, _NARROWEST * sum(widths) / window.pixel_eV)


def _is_worth_a_second_start(fit: ModelFit) -> bool:
    one = fit.fit
    excess = (one.chi2_per_dof - 1.0) * one.pixels
    if one.verdict in _NOT_GOOD or excess > 5.0 * float(np.sqrt(2.2 * one.pixels)):
        return True
    # Where the light is faint, noise beside two close lines may have been taken for one of them.
    areas = [name for name in one.names if name.startswith("area_")]
    return any(one[name] < LEAST_Z * one.error(name) for name in areas)


def _sightings_in_words(stage: _Stage, seen: Mapping[str, float]) -> str:
    there = {
        prefix_of(number) + name
        for number, contents in enumerate(stage.contents)
        for name in contents.components
    }
    absent = [f"no {name} ({z:.1f} sigma)" for name, z in seen.items() if name not in there]
    return "".join(f"; {words}" for words in absent)


def hardly_seen(fit: SpectrumFit) -> dict[str, float]:
    """Return the components with less light than it takes to know where they are, and its z.

    Noise has a place of such light somewhere in the window in which a component is looked for.
    """
    found = {}
    for binding in (n for n in fit.names if n.endswith("_binding_eV") and fit.error(n) > 0):
        name = binding.removesuffix("_binding_eV")
        areas = [i for i, n in enumerate(fit.names) if n.startswith(f"{name}_area")]
        error = float(np.sqrt(fit.covariance[np.ix_(areas, areas)].sum()))
        z = float(fit.values[areas].sum()) / error if error > 0 else np.inf
        if z < LEAST_Z:
            found[name] = z
    return found


FAINT_E = 50.0  # electrons in the highest pixel of the exciton, below which errors are not normal


def is_faint(fit: ModelFit | SpectrumFit, window: Window, gain_e_per_count: float = 1.0) -> bool:
    """Return whether the exciton's highest line has fewer electrons than normal errors need."""
    one = fit.fit if isinstance(fit, ModelFit) else fit
    widths = sum(one[n] for n in ("width_eV", "lorentz_width_eV") if n in one.names)
    areas = [one[n] for n in one.names if n.startswith("area_")]
    if not areas or not widths > 0:
        return False
    return gain_e_per_count * max(areas) * window.pixel_eV / (1.064 * widths) < FAINT_E


def _faintness_in_words(fit: SpectrumFit, window: Window, gain_e_per_count: float) -> str:
    if not is_faint(fit, window, gain_e_per_count):
        return ""
    return f"; fewer than {FAINT_E:g} electrons at the peak: profile intervals tell more"


def _middle(window: Window) -> Array:
    return 0.5 * (window.edges_eV[1:] + window.edges_eV[:-1])


def _masked(window: Window, mask: Mask) -> Window:
    counts = window.counts
    if not mask.any():
        return window
    return Window(
        window.edges_eV, Counts(counts.electrons, counts.shift, counts.good * ~mask[None])
    )


def _around(places: Array, window: Window) -> Mask:
    middle = _middle(window)
    return np.asarray((np.abs(middle - places[:, [0]]) < places[:, [1]]).any(axis=0))


def _named(table: LineTable, optimum: Optimum) -> dict[str, float]:
    return dict(zip(table.names, optimum.parameters[0].tolist(), strict=True))


def _expected(stage: _Stage) -> Array:
    slopes = slopes_of(stage.table, stage.window.edges_eV, stage.window.counts)
    return np.asarray(slopes(stage.start[None])[1][0])


def _residual(stage: _Stage) -> Residual:
    counts, expected = stage.window.counts, _expected(stage)
    weight = counts.good[0] / (np.maximum(expected, 0.0) + counts.shift[0])
    return Residual(_middle(stage.window), counts.electrons[0] - expected, weight)


def _residual_sigma(optimum: Optimum, window: Window) -> Array:
    counts, expected = window.counts, optimum.expected[0]
    deviation = np.sqrt(np.maximum(expected, 0.0) + counts.shift[0])
    return np.asarray(counts.good[0] * (counts.electrons[0] - expected) / deviation)


def _rising(names: tuple[str, ...], place: Array, contents: Sequence[Contents]) -> NDArray[np.intp]:
    """Return the order of the parameters that numbers the exciton lines in rising energy."""
    order = np.arange(len(names))
    for number, what in enumerate(contents):
        prefix = prefix_of(number)
        energies = [f"{prefix}energy_{k + 1}_eV" for k in range(what.lines)]
        if any(name not in names for name in energies):
            continue  # tied to splittings, which keep their order
        rising = np.argsort(place[[names.index(name) for name in energies]], kind="stable")
        for pattern in _BY_LINE:
            group = [prefix + pattern.format(k + 1) for k in range(what.lines)]
            if all(name in names for name in group):
                places = np.array([names.index(name) for name in group])
                order[places] = places[rising]
    return order

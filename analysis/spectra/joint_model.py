"""Fit a whole spectrum model to many spectra at once: frames of a point, a polarization series.

Every spectrum has an energy, a brightness and a background of its own, since lines wander and
blink, and whatever else is asked for; splittings, widths, bindings, couplings and relative areas
are shared, constant or as a law of the sweep. The parameters are those of spectrum_model, but
splitting_k_eV (above line 1) in place of energy_k_eV, and share_k and biexciton_share_k, times
brightness_e, in place of areas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.fisher_scoring import Counts, StepCap
from analysis.estimation.joint_fit import JointOptimum, Sharing, maximise_jointly
from analysis.estimation.line_table import LineTable
from analysis.estimation.table_fit import slopes_of
from analysis.spectra.model_bounds import step_share
from analysis.spectra.spectrum_model import Contents, SpectrumModel, Tie
from analysis.spectra.spectrum_window import Window

__all__ = ["JointModelFit", "JointStart", "fit_model_jointly", "tied_to_first_line"]

Array = NDArray[np.float64]

_OWN = ("energy_1_eV", "brightness_e", "background_0")


@dataclass(frozen=True, slots=True)
class JointModelFit:
    """names, values, covariance: of what is shared; a law's coefficients are numbered NAME[k].

    own, own_errors: by parameter, one value for each spectrum. light_e: of the exciton, all spectra
    together. parameters: free ones in all.
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    own: Mapping[str, Array]
    own_errors: Mapping[str, Array]
    deviance: float
    chi2_per_dof: float
    pixels: int
    parameters: int
    converged: bool
    light_e: float

    @property
    def errors(self) -> Array:
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def error(self, name: str) -> float:
        """Return the photon error of one shared parameter."""
        return float(self.errors[self.names.index(name)])


@dataclass(frozen=True, slots=True)
class JointStart:
    """values: of one spectrum, by the names of the tied table, to begin from. energy_1_eV and
    brightness_e: of each spectrum."""

    values: Mapping[str, float]
    energy_1_eV: Array
    brightness_e: Array


def tied_to_first_line(model: SpectrumModel) -> SpectrumModel:
    """Return the model of one nanocrystal whose lines move and brighten together."""
    ties: dict[str, Tie] = {}
    for k in range(2, model.lines + 1):
        ties[f"energy_{k}_eV"] = (("energy_1_eV", 1.0), (f"splitting_{k}_eV", 1.0))
    for k in range(1, model.lines + 1):
        ties[f"area_{k}_counts"] = (("brightness_e", 1.0), (f"share_{k}", 1.0))
        ties[f"biexciton_area_{k}_counts"] = (
            ("brightness_e", 1.0),
            (f"biexciton_share_{k}", 1.0),
        )
    ties["trion_area_counts"] = (("brightness_e", 1.0), ("trion_share", 1.0))
    return replace(model, ties={**ties, **model.ties})


def fit_model_jointly(
    model: SpectrumModel,
    windows: Sequence[Window],
    start: JointStart,
    *,
    contents: Contents,
    own: Sequence[str] = (),
    laws: Mapping[str, Array] | None = None,
    is_steady: bool = False,
) -> JointModelFit:
    """Fit all spectra together, tied as tied_to_first_line does it.

    windows: equally many pixels each, energy rising. own: further parameters that each spectrum has
    for itself. laws: by shared parameter, the columns it depends on, (spectra, columns); constant
    where there is none. is_steady: whether the nanocrystal neither blinks nor dims, so that shares
    are electrons and their laws those of the light; else share_1 is 1.
    Raises ValueError for more than one emitter, and for replicas of the second order, whose areas
    would be products of four parameters.
    """
    if len(model.emitters) > 1:
        raise ValueError(f"{len(model.emitters)} emitters move each by itself: fit one at a time")
    if model.lines > 1 and model.emitters[0].orders > 1 and "replicas" in contents.components:
        raise ValueError("replicas of the second order can't be fitted jointly: give orders = 1")
    table = tied_to_first_line(model).table((contents,))
    counts, edges = _stacked(windows)
    sharing, shared, place = _arranged(table, start, own=own, laws=laws or {}, is_steady=is_steady)
    cap = StepCap(step_share(table.names))
    optimum = maximise_jointly(
        slopes_of(table, edges, counts),
        sharing,
        shared=shared,
        start=place,
        largest_step=cap,
    )
    return _summary(table, counts, sharing, optimum)


def _stacked(windows: Sequence[Window]) -> tuple[Counts, Array]:
    sizes = {window.edges_eV.size for window in windows}
    if len(sizes) != 1:
        raise ValueError(f"spectra of {sorted(size - 1 for size in sizes)} pixels: all must agree")
    parts = [(w.counts.electrons[0], w.counts.shift[0], w.counts.good[0]) for w in windows]
    electrons, shift, good = (np.stack(of) for of in zip(*parts, strict=True))
    return Counts(electrons, shift, good), np.stack([window.edges_eV for window in windows])


def _arranged(
    table: LineTable,
    start: JointStart,
    *,
    own: Sequence[str],
    laws: Mapping[str, Array],
    is_steady: bool,
) -> tuple[Sharing, Array, Array]:
    """Return the sharing, the start of what is shared, and c + x of every spectrum."""
    spectra = start.energy_1_eV.size
    held = "brightness_e" if is_steady else "share_1"
    own_names = [name for name in table.names if name in (*_OWN, *own) and name != held]
    shared_names = [name for name in table.names if name not in (*own_names, held)]
    columns = {
        name: np.reshape(laws[name], (spectra, -1)) if name in laws else np.ones((spectra, 1))
        for name in shared_names
    }
    sharing = Sharing.of(table.names, columns, own=own_names, spectra=spectra)
    place = np.zeros((spectra, len(table.names)))
    for name in own_names:
        place[:, table.names.index(name)] = start.values.get(name, 0.0)
    place[:, table.names.index("energy_1_eV")] = start.energy_1_eV
    place[:, table.names.index("brightness_e")] = 1.0 if is_steady else start.brightness_e
    if not is_steady:
        place[:, table.names.index("share_1")] = 1.0
    begin = [
        np.linalg.lstsq(column, np.full(spectra, start.values.get(name, 0.0)), rcond=None)[0]
        for name, column in columns.items()
    ]
    return sharing, np.concatenate(begin), place


def _summary(
    table: LineTable, counts: Counts, sharing: Sharing, optimum: JointOptimum
) -> JointModelFit:
    names, own = table.names, sharing.own
    variance = np.maximum(optimum.expected, 0.0) + counts.shift
    chi2 = float((counts.good * (counts.electrons - optimum.expected) ** 2 / variance).sum())
    spectra, pixels = len(counts.electrons), int(counts.good.sum())
    parameters = own.size * spectra + optimum.shared.size
    errors = np.sqrt(np.maximum(np.einsum("fpp->fp", optimum.own_covariance), 0.0))
    at = {name: optimum.parameters[:, i] for i, name in enumerate(names)}
    shares = [at[name] for name in names if name.startswith("share_")]
    return JointModelFit(
        names=sharing.shared_names,
        values=optimum.shared,
        covariance=optimum.shared_covariance,
        own={names[i]: optimum.parameters[:, i] for i in own},
        own_errors={names[i]: errors[:, k] for k, i in enumerate(own)},
        deviance=optimum.deviance,
        chi2_per_dof=chi2 / max(1, pixels - parameters),
        pixels=pixels,
        parameters=parameters,
        converged=optimum.converged,
        light_e=float((at["brightness_e"] * sum(shares)).sum()),
    )

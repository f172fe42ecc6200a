"""Fit a whole series of spectra at once: some parameters shared by all, the rest its own for each.

The parameters of spectrum f are p_f = c_f + D_f s + x_f: c_f given, s shared by all spectra, D_f
what the sweep makes of them (a column of ones for a constant, cos 2t and sin 2t for a polarization,
the field for a slope), x_f free for each spectrum. The normal equations are those of the single
spectra; the own parameters are eliminated from them (Schur complement), so the cost grows linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.fisher_scoring import Slope

__all__ = ["JointOptimum", "Sharing", "maximise_jointly"]

Array = NDArray[np.float64]
Slopes = Callable[[Array], tuple[Slope, Array]]

# Squared distances to the optimum in units of the statistical error: 0.01 sigma for what is
# shared, 0.1 sigma for the worst single spectrum.
_SHARED_DISTANCE2, _OWN_DISTANCE2 = 1e-4, 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-8, 1e8
_LEAST_SCALE = 1e-100  # of a parameter that does nothing


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which parameters of the single spectrum are shared, and how.

    design: shape (spectra, parameters, shared); own: indices of the parameters that each spectrum
    has for itself; a parameter in neither keeps its value.
    shared_names: of the columns of design.
    """

    design: Array
    own: NDArray[np.intp]
    shared_names: tuple[str, ...]

    def only(self, kept: NDArray[np.bool_]) -> Sharing:
        """Return the sharing of some of the spectra."""
        return Sharing(self.design[kept], self.own, self.shared_names)

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        shared: Mapping[str, Array],
        *,
        own: Sequence[str],
        spectra: int,
    ) -> Sharing:
        """Return the sharing in which each name of shared depends on its columns linearly.

        shared: by parameter, columns of shape (spectra, k), or (spectra,) for a single one.
        """
        columns = {name: np.reshape(c, (spectra, -1)) for name, c in shared.items()}
        size = sum(c.shape[1] for c in columns.values())
        design = np.zeros((spectra, len(names), size))
        shared_names: list[str] = []
        for name, column in columns.items():
            first = len(shared_names)
            design[:, names.index(name), first : first + column.shape[1]] = column
            several = column.shape[1] > 1
            shared_names += [f"{name}[{k}]" if several else name for k in range(column.shape[1])]
        return cls(design, np.array([names.index(name) for name in own]), tuple(shared_names))


@dataclass(frozen=True, slots=True)
class JointOptimum:
    """The optimum of a series.

    shared, shared_covariance: (s,), (s, s). parameters: of every spectrum, (spectra, parameters).
    own_covariance: (spectra, own, own), the uncertainty of the shared ones included.
    own_response: (spectra, own, shared): what an error of the shared ones does to the own ones.
    expected: (spectra, pixels). scores: of the shared parameters. restless: the spectra whose own
    parameters had not arrived.
    """

    shared: Array
    shared_covariance: Array
    parameters: Array
    own_covariance: Array
    own_response: Array
    expected: Array
    deviance: float
    scores: Array
    restless: NDArray[np.bool_]
    converged: bool
    condition: float
    evaluations: int


@dataclass(frozen=True, slots=True)
class _Normal:
    """Normal equations in shared and own parameters, scaled so that their diagonals are 1."""

    shared_score: Array
    shared_matrix: Array
    own_score: Array
    own_matrix: Array
    mixed: Array  # (spectra, own, shared)
    shared_scale: Array
    own_scale: Array


# A trial step may leave the numbers' range; its deviance is then infinite and it is not taken.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def maximise_jointly(
    slopes: Slopes,
    sharing: Sharing,
    *,
    shared: Array,
    start: Array,
    largest_step: Callable[[Array], Array],
    stragglers: float = 0.0,
    most_steps: int = 200,
) -> JointOptimum:
    """Climb from the start to the optimum of all spectra together.

    slopes: what gives the likelihood and the expected counts of every spectrum at parameters of
    shape (spectra, parameters), as table_fit.slopes_of returns it.
    stragglers: share of the spectra that need not have arrived, for a first look at a series in
    which some do not belong.
    shared: start values, (s,); start: c_f and the start of x_f, (spectra, parameters).
    largest_step: of all parameters at a place, as in fisher_scoring.Box.
    """
    place = start + sharing.design @ shared
    here, expected = slopes(place)
    # Each spectrum has a damping of its own, so that one that overshoots does not hold up the rest.
    damping, own_damping = 1e-3, np.full(len(place), 1e-3)
    converged, evaluations = False, 1
    restless = np.ones(len(place), dtype=np.bool_)
    while evaluations < most_steps and damping < _MOST_DAMPING and not converged:
        normal = _normal(here.score, here.curvature, sharing)
        shared_step, own_step, distance2 = _solve(normal, damping, own_damping)
        cap = largest_step(place)
        shared_excess = float((np.abs(sharing.design @ shared_step) / cap).max())
        own_excess = (np.abs(own_step) / cap[:, sharing.own]).max(axis=1)
        shared_step = shared_step / max(1.0, shared_excess)
        move = sharing.design @ shared_step
        move[:, sharing.own] += own_step / np.maximum(1.0, own_excess)[:, None]
        there, expected_there = slopes(place + move)
        evaluations += 1
        restless = distance2[1:] > _OWN_DISTANCE2
        arrived = distance2[0] < _SHARED_DISTANCE2 and restless.mean() <= stragglers
        near = bool(arrived) and damping < 1.0
        gain = here.deviance - there.deviance
        is_better = gain.sum() >= 0 or (near and gain.sum() > -_OWN_DISTANCE2)
        if is_better:
            place, shared = place + move, shared + shared_step
            here, expected = there, expected_there
            converged = near
        damping = max(damping * (0.1 if is_better else 10.0), _LEAST_DAMPING)
        own_damping = own_damping * np.where(gain >= 0, 0.1, 10.0)
        own_damping = np.clip(own_damping, _LEAST_DAMPING, _MOST_DAMPING)
    return _finished(here, expected, sharing, place, shared, restless, converged, evaluations)


def _normal(score: Array, matrix: Array, sharing: Sharing) -> _Normal:
    design, own = sharing.design, sharing.own
    half = matrix @ design
    shared_matrix = (design.transpose(0, 2, 1) @ half).sum(axis=0)
    shared_score = (design.transpose(0, 2, 1) @ score[..., None])[..., 0].sum(axis=0)
    own_matrix = matrix[:, own[:, None], own]
    shared_scale = np.sqrt(np.diag(shared_matrix))
    shared_scale = np.where(shared_scale > _LEAST_SCALE, shared_scale, 1.0)
    own_scale = np.sqrt(np.einsum("fpp->fp", own_matrix))
    own_scale = np.where(own_scale > _LEAST_SCALE, own_scale, 1.0)
    return _Normal(
        shared_score / shared_scale,
        shared_matrix / shared_scale / shared_scale[:, None],
        score[:, own] / own_scale,
        own_matrix / own_scale[:, None, :] / own_scale[:, :, None],
        half[:, own, :] / own_scale[:, :, None] / shared_scale,
        shared_scale,
        own_scale,
    )


def _solve(normal: _Normal, damping: float, own_damping: Array) -> tuple[Array, Array, Array]:
    """Return shared step, own steps and squared distances: shared first, then each spectrum."""
    identity = np.eye(normal.own_matrix.shape[1])
    own_matrix = normal.own_matrix + own_damping[:, None, None] * identity
    right = np.concatenate([normal.own_score[..., None], normal.mixed], axis=2)
    solved = np.linalg.solve(own_matrix, right)
    toward, response = solved[..., 0], solved[..., 1:]
    mixed = normal.mixed.transpose(0, 2, 1)
    reduced = normal.shared_matrix - (mixed @ response).sum(axis=0)
    reduced = reduced + damping * np.eye(len(reduced))
    pull = normal.shared_score - (mixed @ toward[..., None])[..., 0].sum(axis=0)
    shared_step = np.linalg.solve(reduced, pull)
    own_step = toward - response @ shared_step
    own_distance2 = (normal.own_score * own_step).sum(axis=1)
    distance2 = np.concatenate([[pull @ shared_step], own_distance2])
    return shared_step / normal.shared_scale, own_step / normal.own_scale, distance2


def _finished(
    here: Slope,
    expected: Array,
    sharing: Sharing,
    place: Array,
    shared: Array,
    restless: NDArray[np.bool_],
    converged: bool,
    evaluations: int,
) -> JointOptimum:
    normal = _normal(here.score, here.information, sharing)
    inverse = np.linalg.inv(normal.own_matrix + _LEAST_DAMPING * np.eye(sharing.own.size))
    response = inverse @ normal.mixed
    reduced = normal.shared_matrix - (normal.mixed.transpose(0, 2, 1) @ response).sum(axis=0)
    is_finite = bool(np.isfinite(reduced).all())
    eigenvalue, vector = np.linalg.eigh(reduced if is_finite else np.zeros_like(reduced))
    covariance = (vector / np.maximum(eigenvalue, 1e-14)) @ vector.T
    own = inverse + response @ covariance @ response.transpose(0, 2, 1)
    shared_scale, own_scale = normal.shared_scale, normal.own_scale
    return JointOptimum(
        shared=shared,
        shared_covariance=covariance / shared_scale / shared_scale[:, None],
        parameters=place,
        own_covariance=own / own_scale[:, None, :] / own_scale[:, :, None],
        own_response=-response / own_scale[:, :, None] * shared_scale,
        expected=expected,
        deviance=float(here.deviance.sum()) if is_finite else np.inf,
        scores=(sharing.design.transpose(0, 2, 1) @ here.score[..., None])[..., 0],
        restless=restless,
        converged=converged and is_finite,
        condition=min(
            float(np.median(np.linalg.eigvalsh(normal.own_matrix)[:, 0])), *eigenvalue[:1], 1.0
        ),
        evaluations=evaluations,
    )

"""Fit line tables to spectra: one, a few, or a night's worth over several threads.

What the kernels do and what numpy does is the same; kernels.py says which of them serves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.fisher_scoring import (
    MOST_STEPS,
    Box,
    Counts,
    Optimum,
    Slope,
    StepCap,
    maximise_likelihood,
    slope_at,
)
from analysis.estimation.kernels import FitCode, code_in_use
from analysis.estimation.line_table import LineTable, background_basis

if TYPE_CHECKING:
    from analysis.estimation.fit_kernel import Climbed

__all__ = ["BatchFit", "Job", "fit_batch", "fit_jobs", "fit_table", "slopes_of"]

Array = NDArray[np.float64]

SPECTRA_PER_CHUNK = 250


def fit_table(
    table: LineTable,
    edges_eV: Array,
    counts: Counts,
    *,
    start: Array,
    box: Box,
    most_steps: int = MOST_STEPS,
) -> Optimum:
    """Climb from each start to the optimum of its spectrum; see maximise_likelihood.

    start: shape (starts, parameters). counts: of one spectrum for each start, or of one for all.
    edges_eV: (pixels + 1,), or (starts, pixels + 1).
    """
    counts = _finite(counts)
    if code_in_use() is FitCode.NUMPY or not isinstance(box.largest_step, StepCap):
        return maximise_likelihood(
            lambda place: table.evaluate(place, edges_eV),
            counts,
            start=start,
            box=box,
            most_steps=most_steps,
        )
    climbed = _climbed(table, edges_eV, counts, start=start, box=box, most_steps=most_steps)
    return Optimum(
        climbed.parameters,
        climbed.deviance,
        climbed.score,
        climbed.information,
        climbed.expected,
        climbed.converged > 0,
        int(climbed.evaluations.max(initial=0)),
    )


def slopes_of(
    table: LineTable, edges_eV: Array, counts: Counts
) -> Callable[[Array], tuple[Slope, Array]]:
    """Return what gives likelihood and expected counts at parameters of every spectrum."""
    counts = _finite(counts)
    if code_in_use() is FitCode.NUMPY:
        return partial(_slopes_by_numpy, table, edges_eV, counts)
    return partial(_slopes_compiled, table, edges_eV, counts)


def _slopes_by_numpy(
    table: LineTable, edges_eV: Array, counts: Counts, place: Array
) -> tuple[Slope, Array]:
    expected, jacobian = table.evaluate(place, edges_eV)
    return slope_at(counts, expected, jacobian), expected


def _slopes_compiled(
    table: LineTable, edges_eV: Array, counts: Counts, place: Array
) -> tuple[Slope, Array]:
    from analysis.estimation import fit_kernel  # noqa: PLC0415 - numba is slow to import

    plain = fit_kernel.plain
    out = fit_kernel.Climbed.of(
        place.shape[0], place.shape[1], counts.electrons.shape[1], expected=True
    )
    out.parameters[:] = place
    curvature = np.zeros_like(out.information)
    fit_kernel.slopes(
        fit_kernel.line_arrays(table),
        plain(np.atleast_2d(edges_eV)),
        _powers(table, counts),
        plain(counts.electrons),
        plain(counts.shift),
        plain(counts.good),
        curvature,
        out,
    )
    return Slope(out.deviance, out.chi2, out.score, out.information, curvature), out.expected


def _climbed(
    table: LineTable,
    edges_eV: Array,
    counts: Counts,
    *,
    start: Array,
    box: Box,
    most_steps: int,
    covariance: bool = False,
) -> Climbed:
    """Run the kernel; with covariances it returns these and not the expected counts."""
    from analysis.estimation import fit_kernel  # noqa: PLC0415 - numba is slow to import

    plain = fit_kernel.plain
    assert isinstance(box.largest_step, StepCap)  # noqa: S101 - who calls has looked
    starts, parameters = start.shape
    pixels = counts.electrons.shape[1]
    out = fit_kernel.Climbed.of(
        starts, parameters, pixels, expected=not covariance, covariance=covariance
    )
    out.parameters[:] = start
    fit_kernel.climb(
        fit_kernel.line_arrays(table),
        plain(np.atleast_2d(edges_eV)),
        _powers(table, counts),
        plain(counts.electrons),
        plain(counts.shift),
        plain(counts.good),
        plain(np.atleast_2d(box.lower)),
        plain(np.atleast_2d(box.upper)),
        plain(box.largest_step.share),
        most_steps,
        out,
    )
    return out


def _powers(table: LineTable, counts: Counts) -> Array:
    return np.array(
        background_basis(counts.electrons.shape[1], len(table.names) - table.first_background)
    )


def _finite(counts: Counts) -> Counts:
    """Mask what is no number: its product with a weight of 0 would be none either."""
    known = np.isfinite(counts.electrons) & np.isfinite(counts.shift)
    if known.all():
        return counts
    return Counts(
        np.where(known, counts.electrons, 0.0),
        np.where(np.isfinite(counts.shift), counts.shift, 1.0),
        counts.good * known,
    )


@dataclass(frozen=True, slots=True)
class BatchFit:
    """Optima of many spectra, first axis, in the table's own order and in electrons.

    covariance: with photon and read noise; 0 for what is fixed or at a bound, NaN where the counts
    do not determine the parameters. chi2: against photon and read noise, over good pixels.
    """

    parameters: Array
    covariance: Array
    deviance: Array
    chi2: Array
    converged: NDArray[np.bool_]
    at_bound: NDArray[np.bool_]
    evaluations: NDArray[np.int64]

    @property
    def errors(self) -> Array:
        return np.asarray(np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2)))


def fit_batch(
    table: LineTable,
    edges_eV: Array,
    counts: Counts,
    *,
    start: Array,
    box: Box,
    threads: int = 1,
    most_steps: int = MOST_STEPS,
) -> BatchFit:
    """Fit many spectra from given starts, in chunks shared out over threads.

    edges_eV, box: one row for all spectra or one for each. Results do not depend on the threads.
    """
    spectra = len(counts.electrons)
    chunks = [
        slice(first, first + SPECTRA_PER_CHUNK) for first in range(0, spectra, SPECTRA_PER_CHUNK)
    ]
    jobs = (
        Job(_rows(edges_eV, k, spectra), _cut(counts, k), start[k], _box(box, k, spectra))
        for k in chunks
    )
    fits = list(fit_jobs(table, jobs, threads=threads, most_steps=most_steps))
    return BatchFit(
        *(
            np.concatenate([getattr(fit, name) for fit in fits])
            for name in BatchFit.__dataclass_fields__
        )
    )


@dataclass(frozen=True, slots=True)
class Job:
    """Some spectra and where to start: what one thread fits in one go."""

    edges_eV: Array
    counts: Counts
    start: Array
    box: Box


def fit_jobs(
    table: LineTable, jobs: Iterable[Job], *, threads: int = 1, most_steps: int = MOST_STEPS
) -> Iterator[BatchFit]:
    """Yield the fits of each job in turn; no more jobs are taken than the threads can begin."""
    fit = partial(_fit_job, table, most_steps)
    if threads == 1:
        yield from map(fit, jobs)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="fit") as pool:
        waiting: deque[Future[BatchFit]] = deque()
        for job in jobs:
            waiting.append(pool.submit(fit, job))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _fit_job(table: LineTable, most_steps: int, job: Job) -> BatchFit:
    counts, box = _finite(job.counts), job.box
    if code_in_use() is FitCode.NUMPY or not isinstance(box.largest_step, StepCap):
        return _by_numpy(table, job, counts, most_steps)
    out = _climbed(
        table,
        job.edges_eV,
        counts,
        start=job.start,
        box=box,
        most_steps=most_steps,
        covariance=True,
    )
    return BatchFit(
        out.parameters,
        out.information,
        out.deviance,
        out.chi2,
        out.converged > 0,
        _at_bound(out.parameters, box),
        out.evaluations,
    )


def _by_numpy(table: LineTable, job: Job, counts: Counts, most_steps: int) -> BatchFit:
    optimum = fit_table(
        table, job.edges_eV, counts, start=job.start, box=job.box, most_steps=most_steps
    )
    variance = np.maximum(optimum.expected, 0.0) + counts.shift
    miss2 = (counts.electrons - optimum.expected) ** 2
    at_bound = _at_bound(optimum.parameters, job.box)
    free = ~at_bound & np.broadcast_to(job.box.lower < job.box.upper, at_bound.shape)
    pairs = zip(optimum.information, free, strict=True)
    return BatchFit(
        optimum.parameters,
        np.array([_inverse(matrix, kept) for matrix, kept in pairs]),
        optimum.deviance,
        (counts.good * miss2 / variance).sum(axis=1),
        optimum.converged,
        at_bound,
        np.full(len(at_bound), optimum.evaluations),
    )


def _at_bound(parameters: Array, box: Box) -> NDArray[np.bool_]:
    at_end = (parameters <= box.lower) | (parameters >= box.upper)
    return np.asarray(at_end & (box.lower < box.upper))


def _inverse(information: Array, free: NDArray[np.bool_]) -> Array:
    covariance = np.zeros_like(information)
    part = np.ix_(free, free)
    scale = np.sqrt(np.diag(information)[free])
    if not (np.isfinite(scale) & (scale > 0)).all():
        return np.full_like(information, np.nan)
    try:
        root = np.linalg.inv(np.linalg.cholesky(information[part] / scale / scale[:, None]))
    except np.linalg.LinAlgError:
        return np.full_like(information, np.nan)
    covariance[part] = root.T @ root / scale / scale[:, None]
    return covariance


def _rows(values: Array, rows: slice, spectra: int) -> Array:
    return values[rows] if values.ndim == 2 and len(values) == spectra > 1 else values


def _cut(counts: Counts, rows: slice) -> Counts:
    electrons = np.asarray(counts.electrons[rows], dtype=np.float64)
    shift, good = (
        np.broadcast_to(np.atleast_2d(of), counts.electrons.shape)[rows]
        for of in (counts.shift, counts.good)
    )
    return Counts(electrons, shift, good)


def _box(box: Box, rows: slice, spectra: int) -> Box:
    lower, upper = (_rows(np.atleast_2d(of), rows, spectra) for of in (box.lower, box.upper))
    return Box(lower, upper, box.largest_step)

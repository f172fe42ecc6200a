"""The fits of files as a table: a row for each, two columns for every parameter."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.fits.fit_files import FileFit
from analysis.spectra.fit_labels import in_words, names_in_words
from analysis.spectra.uneven_response import response_covariance

__all__ = ["FitTable", "csv_text", "fit_table"]

Column = NDArray[np.float64] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FitTable:
    """Columns by name: numbers, NaN where there is none, or texts.

    covariance: (rows, parameters, parameters) in the order of `parameters`, NaN for those that a
    row does not have; like the errors it holds what the model lacks, and what an uneven response
    does to ratios of light, as well as photon noise.
    """

    columns: dict[str, Column]
    parameters: tuple[str, ...]
    covariance: NDArray[np.float64]


def fit_table(fits: Sequence[FileFit]) -> FitTable:
    """Return the table; peak_eV only where every peak was asked for."""
    names = tuple(dict.fromkeys(name for one in fits for name in one.fit.names))
    values = np.full((2, len(fits), len(names)), np.nan)
    covariance = np.full((len(fits), len(names), len(names)), np.nan)
    for row, one in enumerate(fits):
        at = [names.index(name) for name in one.fit.names]
        values[0, row, at] = one.fit.values
        whole = one.fit.covariance * one.fit.misfit_factor**2
        whole = whole + response_covariance(one.fit.names, one.fit.values, one.response_error)
        values[1, row, at] = np.sqrt(np.maximum(np.diag(whole), 0.0))
        covariance[row][np.ix_(at, at)] = whole
    columns: dict[str, Column] = {
        "file": tuple(one.source for one in fits),
        "spectrum": tuple(one.spectrum for one in fits),
        "window_low_eV": np.array([one.fit.window_eV[0] for one in fits]),
        "window_high_eV": np.array([one.fit.window_eV[1] for one in fits]),
    }
    if any(one.peak for one in fits):
        pairs = [(p.energy_eV, p.error_eV) if (p := f.peak) else (np.nan, np.nan) for f in fits]
        columns |= {
            "peak_eV": np.array([pair[0] for pair in pairs]),
            "peak_eV_error": np.array([pair[1] for pair in pairs]),
        }
    columns |= {
        "lines": tuple(str(one.fit.lines) for one in fits),
        "verdict": tuple(one.fit.verdict.value for one in fits),
        "chi2_per_dof": np.array([one.fit.chi2_per_dof for one in fits]),
    }
    for k, name in enumerate(names):
        columns |= {name: values[0, :, k], f"{name}_error": values[1, :, k]}
    if any(one.labels for one in fits):
        columns["labels"] = tuple(names_in_words(one.labels) for one in fits)
    columns["reason"] = tuple(one.fit.reason for one in fits)
    if any(one.labels for one in fits):
        columns["label_reasons"] = tuple(in_words(one.labels) for one in fits)
    return FitTable(columns, names, covariance)


def csv_text(table: FitTable) -> str:
    """Return the columns as comma-separated text, empty cells where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    cells = [
        column if isinstance(column, tuple) else [_written(name, value) for value in column]
        for name, column in table.columns.items()
    ]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def _written(name: str, value: float) -> str:
    digits = 4 if name.endswith("_error") or name == "chi2_per_dof" else 9
    return f"{value:.{digits}g}" if np.isfinite(value) else ""

"""Fits as lines of JSON: how the fit worker hands them to the engine."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import FitRow

__all__ = ["row_from_json", "row_to_json"]


def row_to_json(row: FitRow) -> str:
    """Return the row as one line of JSON; NaN as null."""
    return json.dumps(
        {
            "point": row.point,
            "attempt": row.attempt,
            "model": row.model,
            "version": row.version,
            "verdict": row.verdict,
            "reason": row.reason,
            "names": row.names,
            "values": _nullable(row.values),
            "errors": _nullable(row.errors),
            "covariance": [_nullable(line) for line in row.covariance],
            "chi2_per_dof": None if np.isnan(row.chi2_per_dof) else row.chi2_per_dof,
        }
    )


def row_from_json(line: str) -> FitRow:
    """Return the row that row_to_json wrote."""
    fields: Mapping[str, object] = json.loads(line)
    names = tuple(str(name) for name in fields["names"])  # type: ignore[attr-defined]
    return FitRow(
        point=int(fields["point"]),  # type: ignore[call-overload]
        attempt=int(fields["attempt"]),  # type: ignore[call-overload]
        model=str(fields["model"]),
        version=str(fields["version"]),
        verdict=str(fields["verdict"]),
        reason=str(fields["reason"]),
        names=names,
        values=np.array(fields["values"], dtype=float),
        errors=np.array(fields["errors"], dtype=float),
        covariance=np.array(fields["covariance"], dtype=float).reshape(len(names), len(names)),
        chi2_per_dof=float("nan")
        if fields["chi2_per_dof"] is None
        else float(fields["chi2_per_dof"]),  # type: ignore[arg-type]
    )


def _nullable(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]

"""The stored fits of a run's rows, as columns: some hundred bytes a row, whatever their number."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.journal_columns import FitColumns
from acquisition.storage.record import FitRow

__all__ = ["RowFits"]

Array = NDArray[np.float64]

_T = TypeVar("_T")

_NO_COVARIANCE = np.empty((0, 0))


class _Kind(NamedTuple):
    """What fits of one kind share."""

    model: str
    version: str
    names: tuple[str, ...]


class RowFits(Mapping[int, FitRow]):
    """Row -> its fit, without covariance."""

    def __init__(self, size: int) -> None:
        self._attempt = np.zeros(size, np.int64)  # 0: the row has no fit
        self._kind = np.zeros(size, np.int32)
        self._verdict = np.zeros(size, np.int16)
        self._chi2 = np.full(size, np.nan)
        self._reason: dict[int, str] = {}
        self._parameters: dict[str, Array] = {}  # (rows, 2): value, error
        self._kinds: list[_Kind] = []
        self._verdicts: list[str] = []

    def __len__(self) -> int:
        return int(np.count_nonzero(self._attempt))

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._attempt).tolist())

    def __contains__(self, point: object) -> bool:
        if not isinstance(point, int) or not 0 <= point < self._attempt.size:
            return False
        return bool(self._attempt[point])

    def __getitem__(self, point: int) -> FitRow:
        if point not in self:
            raise KeyError(point)
        kind = self._kinds[self._kind[point]]
        own = [self._parameters[name][point] for name in kind.names]
        values, errors = np.array(own).reshape(-1, 2).T.copy()
        return FitRow(
            point=point,
            attempt=int(self._attempt[point]),
            model=kind.model,
            version=kind.version,
            verdict=self._verdicts[self._verdict[point]],
            reason=self._reason.get(point, ""),
            names=kind.names,
            values=values,
            errors=errors,
            covariance=_NO_COVARIANCE,
            chi2_per_dof=float(self._chi2[point]),
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all fitted parameters."""
        return tuple(self._parameters)

    def parameter(self, name: str) -> tuple[Array, Array]:
        """Return value and error of a parameter in each row, NaN where there is none."""
        column = self._parameters[name]
        return column[:, 0], column[:, 1]

    def has_verdict(self, verdict: str) -> NDArray[np.bool_]:
        """Return for each row whether its fit has this verdict."""
        if verdict not in self._verdicts:
            return np.zeros(self._attempt.size, bool)
        has: NDArray[np.bool_] = (self._attempt > 0) & (
            self._verdict == self._verdicts.index(verdict)
        )
        return has

    def put(self, fits: FitColumns, shown: NDArray[np.int64]) -> list[int]:
        """Take the fits of the attempts that are `shown`, by row; return their rows."""
        taken = np.flatnonzero(shown[fits.point] == fits.attempt)
        rows = fits.point[taken]
        self._forget(rows)
        kind = _Kind(fits.model, fits.version, fits.names)
        self._attempt[rows] = fits.attempt[taken]
        self._kind[rows] = _place(self._kinds, kind)
        self._chi2[rows] = fits.chi2_per_dof[taken]
        for number, name in enumerate(fits.names):
            if name not in self._parameters:
                self._parameters[name] = np.full((self._attempt.size, 2), np.nan)
            self._parameters[name][rows, 0] = fits.values[taken, number]
            self._parameters[name][rows, 1] = fits.errors[taken, number]
        points: list[int] = rows.tolist()
        for place, point in zip(taken.tolist(), points, strict=True):
            self._verdict[point] = _place(self._verdicts, fits.verdict[place])
            if fits.reason[place]:
                self._reason[point] = fits.reason[place]
        return points

    def forget_others(self, rows: NDArray[np.int64], attempt: NDArray[np.int64]) -> None:
        """Forget the fits of these rows that belong to other attempts than these."""
        own = self._attempt[rows]
        self._forget(rows[(own > 0) & (own != attempt)])

    def grown(self, size: int) -> "RowFits":
        """Return the same fits with room for more rows."""
        grown, kept = RowFits(size), slice(0, self._attempt.size)
        for name in ("_attempt", "_kind", "_verdict", "_chi2"):
            getattr(grown, name)[kept] = getattr(self, name)
        for name, column in self._parameters.items():
            grown._parameters[name] = np.full((size, 2), np.nan)
            grown._parameters[name][kept] = column
        grown._kinds, grown._verdicts, grown._reason = self._kinds, self._verdicts, self._reason
        return grown

    def _forget(self, rows: NDArray[np.int64]) -> None:
        had = rows[self._attempt[rows] > 0]
        if not had.size:
            return
        self._attempt[had] = 0
        for column in self._parameters.values():
            column[had] = np.nan
        for point in had.tolist():
            self._reason.pop(point, None)


def _place(known: list[_T], one: _T) -> int:
    """Return where it stands in a short list, to which it is added when it is new."""
    if one not in known:
        known.append(one)
    return known.index(one)

"""How the state of a row and the verdict of a fit look: text, shape and colour."""

from acquisition.storage.record import FitRow
from analysis.estimation.verdict import Verdict
from gui.look.theme import Tone
from gui.shown.run_rows import RowState
from gui.widgets.status_pill import Look, Shape

__all__ = ["DASH", "MARKERS", "NO_RUN", "row_look", "verdict_look"]

DASH = "–"
NO_RUN = "No run is open: start a sweep (F5), or open a run (Ctrl+O)"

MARKERS = {
    RowState.GOOD: "disc",
    RowState.FLAGGED: "triangle",
    RowState.REJECTED: "cross",
    RowState.ABORTED: "cross",
}
"""The marker of a row in plots, by its state."""

_ROWS = {
    RowState.NOT_MEASURED: Look("not measured", Shape.RING, Tone.NEUTRAL),
    RowState.GOOD: Look("accepted", Shape.TICK, Tone.GOOD),
    RowState.FLAGGED: Look("accepted, flagged", Shape.WARNING, Tone.CAUTION),
    RowState.REJECTED: Look("rejected", Shape.CROSS, Tone.BAD),
    RowState.ABORTED: Look("aborted", Shape.SQUARE, Tone.BAD),
}

_VERDICTS = {
    Verdict.CONVERGED: (Shape.TICK, Tone.GOOD),
    Verdict.AT_A_BOUND: (Shape.WARNING, Tone.CAUTION),
    Verdict.ILL_DETERMINED: (Shape.WARNING, Tone.CAUTION),
    Verdict.POOR_FIT: (Shape.DIAMOND, Tone.CAUTION),
    Verdict.NO_SIGNAL: (Shape.RING, Tone.NEUTRAL),
    Verdict.FAILED: (Shape.CROSS, Tone.BAD),
}


def row_look(state: RowState) -> Look:
    return _ROWS[state]


def verdict_look(verdict: str | None) -> Look:
    """Return the look of a verdict; of a fit that is not there for None."""
    if verdict is None:
        return Look("no fit", Shape.RING, Tone.NEUTRAL)
    shape, tone = _VERDICTS[Verdict(verdict)]
    return Look(verdict, shape, tone)


def verdict_of(fit: FitRow | None) -> Look:
    return verdict_look(None if fit is None else fit.verdict)

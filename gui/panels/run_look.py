"""How the engine's state is shown: text, shape, tone, and a line that says what is going on."""

from acquisition.channel.engine_status import EngineState, EngineStatus, FinishReason
from acquisition.channel.messages import Mode, Snapshot
from gui.link.engine_link import Connection
from gui.link.greeting import NO_ENGINE
from gui.link.situation import Situation
from gui.look.theme import Tone
from gui.look.wording import span
from gui.widgets.status_pill import Look, Shape

__all__ = ["explanation", "look_of"]

SILENT_s = 3.0
_START = "Ctrl+Shift+E starts it, "
_WAYS = "Ctrl+Shift+O chooses a station, Ctrl+O opens a run"
_NO_ENGINE = Look("NO ENGINE", Shape.RING, Tone.NEUTRAL)
_SEARCHING = Look("DISCONNECTED", Shape.RING, Tone.CAUTION)
_SILENT = Look("NO ANSWER", Shape.WARNING, Tone.CAUTION)
_OFFLINE = Look("INSTRUMENTS OFF", Shape.CROSS, Tone.CAUTION)
_IDLE = Look("IDLE", Shape.DISC, Tone.NEUTRAL)
_LIVE = Look("LIVE", Shape.PLAY, Tone.GOOD)
_TROUBLE = Look("ATTENTION", Shape.WARNING, Tone.BAD)
_MOVING = Look("MOVING", Shape.DIAMOND, Tone.BUSY)
_STATES = {
    EngineState.IDLE: _IDLE,
    EngineState.PREPARING: Look("CHECKING", Shape.DIAMOND, Tone.BUSY),
    EngineState.SETTLING: Look("SETTLING", Shape.DIAMOND, Tone.BUSY),
    EngineState.MEASURING: Look("RUNNING", Shape.PLAY, Tone.GOOD),
    EngineState.PAUSED: Look("PAUSED", Shape.BARS, Tone.HELD),
    EngineState.FINISHING: Look("STOPPING", Shape.SQUARE, Tone.BUSY),
}
_ENDS = {
    FinishReason.COMPLETED: Look("FINISHED", Shape.TICK, Tone.GOOD),
    FinishReason.COMPLETED_WITH_FLAGS: Look("FINISHED, FLAGGED", Shape.TICK, Tone.CAUTION),
    FinishReason.STOPPED: Look("STOPPED", Shape.SQUARE, Tone.CAUTION),
    FinishReason.INTERLOCK: Look("INTERLOCK", Shape.WARNING, Tone.BAD),
    FinishReason.FAILED: Look("FAILED", Shape.CROSS, Tone.BAD),
}


def look_of(situation: Situation) -> Look:
    """Return how the situation is shown at a glance."""
    snapshot = situation.snapshot
    if snapshot is None:
        return _NO_ENGINE if situation.connection is Connection.NONE else _SEARCHING
    if situation.silent_s > SILENT_s:
        return _SILENT
    match snapshot.mode:
        case Mode.DISCONNECTED:
            return _OFFLINE
        case Mode.RUNNING:
            return _STATES[situation.state or EngineState.PREPARING]
        case Mode.ALIGNING:
            return _look_between_runs(situation, snapshot.status)


def explanation(situation: Situation, trouble: str = "") -> str:
    """Return in words what goes on or is awaited. trouble: why there is no connection."""
    snapshot = situation.snapshot
    if snapshot is None:
        start = _START if situation.can_start_engine else ""
        return f"{trouble}: {start}{_WAYS}" if trouble == NO_ENGINE else trouble
    if situation.silent_s > SILENT_s:
        return f"the engine has said nothing for {span(situation.silent_s)}; the run may go on"
    if snapshot.mode is Mode.DISCONNECTED:
        return snapshot.trouble or "no line is open"
    if snapshot.mode is Mode.RUNNING and snapshot.status is None:
        return snapshot.trouble or "the run takes over the instruments"
    if snapshot.mode is Mode.RUNNING:
        return _awaited(snapshot.status)
    return _between_runs(snapshot)


def _look_between_runs(situation: Situation, last: EngineStatus | None) -> Look:
    if situation.snapshot is not None and situation.snapshot.trouble:
        return _TROUBLE
    if situation.is_moving:
        return _MOVING
    if situation.is_live:
        return _LIVE
    return _ENDS[last.finish] if last is not None and last.finish is not None else _IDLE


def _awaited(status: EngineStatus | None) -> str:
    if status is None or not status.awaited:
        return ""
    waited_s = status.time_s - status.awaited_since_s
    return f"{status.awaited}, for {span(waited_s)}" if waited_s >= 1.0 else status.awaited


def _between_runs(snapshot: Snapshot) -> str:
    if snapshot.trouble:
        return snapshot.trouble
    if snapshot.raster is not None:
        return f"raster: place {snapshot.raster.done} of {snapshot.raster.total}"
    moving = [move.text for move in snapshot.moves if move.state.value == "moving" and move.text]
    if moving:
        return "; ".join(moving)
    last = snapshot.status
    if last is None or last.finish is None:
        return ""
    safe = f"safe state {last.safety.value}"
    return ", ".join(part for part in (last.finish_text, safe) if part)

"""What the window knows at one moment, and what may be done then.

From this table follow the actions that are offered (style and state of every button):

    state       start  pause        resume  stop
    IDLE        yes    -            -       yes: whatever moves
    PREPARING   -      -            -       yes
    SETTLING    -      yes          -       yes
    MEASURING   -      after point  -       yes: the exposure is broken off
    PAUSED      -      -            yes     yes
    FINISHING   -      -            -       - (the safe state can only be watched)
"""

from dataclasses import dataclass

from acquisition.channel.engine_status import EngineState, Safety
from acquisition.channel.messages import Mode, MoveState, Snapshot
from gui.link.engine_link import Connection

__all__ = ["PAUSABLE", "STOPPABLE", "Situation"]

STOPPABLE = frozenset(EngineState) - {EngineState.FINISHING}
PAUSABLE = frozenset({EngineState.SETTLING, EngineState.MEASURING})


@dataclass(frozen=True, slots=True)
class Situation:
    """The engine as last heard of, and what the window itself has open.

    silent_s: how long a connected engine has said nothing.
    """

    connection: Connection = Connection.NONE
    snapshot: Snapshot | None = None
    watcher: str = ""  # our name among the watchers
    silent_s: float = 0.0
    has_run: bool = False  # a run is shown
    can_undo: bool = False
    can_redo: bool = False
    can_start_engine: bool = False  # a station is known, and no engine runs

    @property
    def mode(self) -> Mode | None:
        return self.snapshot.mode if self.snapshot is not None else None

    @property
    def is_running(self) -> bool:
        """Whether a run owns the instruments."""
        return self.mode is Mode.RUNNING

    @property
    def state(self) -> EngineState | None:
        """The run's state; IDLE between runs, None without an engine."""
        if self.snapshot is None or self.mode is Mode.DISCONNECTED:
            return None
        if self.is_running and self.snapshot.status is not None:
            return self.snapshot.status.state
        return EngineState.PREPARING if self.is_running else EngineState.IDLE

    @property
    def is_moving(self) -> bool:
        """Whether something moves that was moved by hand."""
        moves = self.snapshot.moves if self.snapshot is not None else ()
        return any(move.state is MoveState.MOVING for move in moves)

    @property
    def is_live(self) -> bool:
        return self.snapshot is not None and self.snapshot.live is not None

    @property
    def must_acknowledge(self) -> bool:
        """Whether a safe state was not confirmed and nobody has said so far that he knows."""
        return self.snapshot is not None and self.snapshot.unacknowledged is Safety.NOT_CONFIRMED

    # --- why something can't be done; "" where it can

    def no_engine(self) -> str:
        return "" if self.snapshot is not None else "no engine is connected"

    def not_ours(self) -> str:
        """Return who else is in command."""
        commander = self.snapshot.commander if self.snapshot is not None else ""
        if commander in ("", self.watcher):
            return ""
        return f"{commander} is in command"

    def not_in(self, states: frozenset[EngineState], wanted: str) -> str:
        """Return why the run's state does not allow what is wanted."""
        if reason := self.no_engine():
            return reason
        if self.state is None:
            return "the instruments are not connected"
        return "" if self.state in states else f"{wanted} is not possible while {self.state.value}"

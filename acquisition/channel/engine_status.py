"""The engine's state as one frozen, JSON-serialisable snapshot."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum

__all__ = ["TRANSITIONS", "EngineState", "EngineStatus", "FinishReason", "Safety"]


class EngineState(Enum):
    IDLE = "idle"
    PREPARING = "preparing"
    SETTLING = "settling"
    MEASURING = "measuring"
    PAUSED = "paused"
    FINISHING = "finishing"


TRANSITIONS: Mapping[EngineState, frozenset[EngineState]] = {
    EngineState.IDLE: frozenset({EngineState.PREPARING}),
    EngineState.PREPARING: frozenset({EngineState.SETTLING, EngineState.FINISHING}),
    EngineState.SETTLING: frozenset(
        {EngineState.MEASURING, EngineState.PAUSED, EngineState.FINISHING}
    ),
    EngineState.MEASURING: frozenset(
        {EngineState.SETTLING, EngineState.PAUSED, EngineState.FINISHING}
    ),
    EngineState.PAUSED: frozenset({EngineState.SETTLING, EngineState.FINISHING}),
    EngineState.FINISHING: frozenset({EngineState.IDLE}),
}


class FinishReason(Enum):
    COMPLETED = "completed"
    COMPLETED_WITH_FLAGS = "completed with flags"
    STOPPED = "stopped"
    INTERLOCK = "interlock"
    FAILED = "failed"


class Safety(Enum):
    """Whether the safe state was reached and read back."""

    NOT_ASKED = "not asked"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "NOT CONFIRMED"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Everything a door may know of the engine at one moment."""

    state: EngineState
    run: str
    point: int
    done: int
    total: int
    awaited: str  # what is awaited, in words
    awaited_since_s: float  # run time
    time_s: float  # run time
    remaining_s: float
    readings: Mapping[str, float] = field(default_factory=dict)
    latest_fit: str = ""
    finish: FinishReason | None = None
    finish_text: str = ""
    safety: Safety = Safety.NOT_ASKED

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=_enum_value)


def _enum_value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{value!r} is not JSON-serialisable")

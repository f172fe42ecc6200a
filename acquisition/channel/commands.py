"""What a door may ask of a running engine: plain values, JSON-serialisable."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from queue import Empty, SimpleQueue

__all__ = ["Command", "CommandQueue", "Verb"]


class Verb(Enum):
    PAUSE = "pause"  # at the next gate
    RESUME = "resume"
    STOP_AFTER_POINT = "stop after point"
    STOP_NOW = "stop now"  # abort the exposure
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Command:
    """One request; text belongs to a note or is the reason of a stop."""

    verb: Verb
    text: str = ""
    sender: str = ""

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "verb": self.verb.value})

    @classmethod
    def from_json(cls, document: str) -> "Command":
        """Raise ValueError if the document is not a command."""
        fields = json.loads(document)
        if not isinstance(fields, dict):
            raise ValueError(f"a command is a JSON object, not {document[:80]!r}")  # noqa: TRY004
        return cls(Verb(fields["verb"]), str(fields.get("text", "")), str(fields.get("sender", "")))


class CommandQueue:
    """Commands on their way to the engine; safe to fill from any thread or signal handler."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Command] = SimpleQueue()

    def put(self, command: Command) -> None:
        self._queue.put(command)

    def take(self) -> Command | None:
        """Return the oldest command, None if there is none."""
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

"""What an engine and its watchers say to each other: plain values, each one JSON document.

A frame's counts and an axis travel as raw numbers behind their document, described by its `shape`
and `dtype`. Nothing here knows sockets, threads or Qt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from acquisition.channel.engine_status import EngineStatus, Safety
from acquisition.storage.record import Level

__all__ = [
    "PROTOCOL",
    "Answer",
    "Axis",
    "ChannelReading",
    "Committed",
    "Fitted",
    "FrameArrived",
    "FrameSource",
    "Hello",
    "LiveExposure",
    "Message",
    "MessageError",
    "Mode",
    "Movable",
    "MoveState",
    "MoveStatus",
    "QueuedSweep",
    "RasterProgress",
    "Request",
    "Said",
    "Snapshot",
    "Verb",
    "decode",
    "decode_request",
    "encode",
]

PROTOCOL = 1


class MessageError(ValueError):
    """What arrived is not a message of this protocol."""


class Mode(Enum):
    """What the engine's process does with the instruments."""

    DISCONNECTED = "disconnected"  # no line is open; `trouble` of the snapshot says why
    ALIGNING = "aligning"  # lines open, no sweep: live view and moves by hand
    RUNNING = "running"  # a run owns the instruments


class MoveState(Enum):
    RESTING = "resting"
    MOVING = "moving"
    STOPPED = "stopped"  # by hand, short of its target
    FAILED = "failed"


class FrameSource(Enum):
    LIVE = "live"  # alignment: a spectrum, rows summed
    IMAGE = "image"  # alignment: every row of the detector
    RASTER = "raster"  # alignment: one place of a map
    POINT = "point"  # a row of the run, as it was committed


@dataclass(frozen=True, slots=True)
class Movable:
    """Something that may be moved by hand, and how far.

    limits_from: where the limits stand, for the message. choices: the only values, if any, by
    their names (gratings, shutter positions).
    """

    quantity: str  # "temperature_K", "angle_deg", "field_kV_per_cm", "position_x_um", ...
    label: str
    unit: str
    lower: float
    upper: float
    limits_from: str = ""
    choices: Mapping[str, float] = field(default_factory=dict)
    is_relative: bool = False  # a stepper without readback: only jogs


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message to a watcher."""

    kind: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    engine: str = ""  # identity of the process, new with each start
    pid: int = 0
    version: str = ""
    station: str = ""
    station_path: str = ""
    station_toml: str = ""
    is_simulated: bool = False
    time_scale: float = 1.0  # seconds of experiment per second
    watcher: str = ""  # the receiver's own name among the watchers
    movables: tuple[Movable, ...] = ()
    channels: Mapping[str, str] = field(default_factory=dict)  # name -> unit of each reading
    pixels: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ChannelReading:
    """One channel; value is None where it could not be read, and text says why."""

    channel: str
    unit: str
    value: float | None
    utc: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class MoveStatus:
    """One movable: where it shall be, where it is, what it does."""

    quantity: str
    state: MoveState
    target: float | None = None
    readback: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class LiveExposure:
    """The exposure that repeats in alignment."""

    exposure_s: float
    source: FrameSource = FrameSource.LIVE
    first_row: int = 0  # of the sum; the whole detector where last_row is 0
    last_row: int = 0


@dataclass(frozen=True, slots=True)
class RasterProgress:
    """A map of light over the sample, as far as it came; serpentine, x fastest."""

    done: int
    total: int
    columns: int
    rows: int
    left_um: float
    bottom_um: float
    step_um: float


@dataclass(frozen=True, slots=True)
class QueuedSweep:
    """A sweep that waits for its turn."""

    identity: str
    name: str
    points: int
    duration_s: float
    text: str = ""  # a finding that holds it back


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a watcher may know of the engine at one moment; several a second."""

    mode: Mode
    utc: float
    kind: Literal["snapshot"] = "snapshot"
    trouble: str = ""
    run_folder: str = ""
    status: EngineStatus | None = None  # of the run that goes on, or the last one's end
    readings: tuple[ChannelReading, ...] = ()
    moves: tuple[MoveStatus, ...] = ()
    live: LiveExposure | None = None
    raster: RasterProgress | None = None
    queue: tuple[QueuedSweep, ...] = ()
    commander: str = ""  # the one watcher whose moves and starts are taken; "" for nobody
    watchers: int = 0
    unacknowledged: Safety = Safety.NOT_ASKED  # a safe state NOT CONFIRMED until a person says so


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """Counts from the camera follow as a body: frames or rows by pixels, as delivered."""

    source: FrameSource
    number: int  # of this engine, rising
    exposure_s: float
    start_utc: float  # when the exposure began
    utc: float  # when it was read out
    shape: tuple[int, ...]
    kind: Literal["frame"] = "frame"
    dtype: str = "<i4"
    axis: int = 0  # number of the Axis that was sent before
    key: int = 0  # of the attempt in the journal
    point: int = -1  # row of the point table, or place of the map: row by row from below
    is_accepted: bool = True
    position_um: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """Wavelengths in nm follow as a body, one per pixel; NaN where the axis is not known."""

    number: int
    shape: tuple[int, ...]
    kind: Literal["axis"] = "axis"
    medium: str = "vacuum"
    dtype: str = "<f8"


@dataclass(frozen=True, slots=True)
class Committed:
    """A row of the run is in the journal; a watcher reads there what it wants of it."""

    key: int
    point: int
    is_accepted: bool
    done: int
    total: int
    kind: Literal["committed"] = "committed"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The fit of one attempt; values and errors by parameter name."""

    key: int
    point: int
    model: str
    verdict: str
    reason: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    chi2_per_dof: float
    kind: Literal["fitted"] = "fitted"


@dataclass(frozen=True, slots=True)
class Said:
    """Something a person should know: what, which device, what was done, what to do."""

    level: Level
    text: str
    utc: float
    kind: Literal["said"] = "said"
    code: str = ""
    device: str = ""
    done: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request, to the watcher who asked."""

    request: int
    ok: bool
    text: str = ""
    kind: Literal["answer"] = "answer"


class Verb(Enum):
    """What a watcher may ask. Whoever watches may stop; the rest is the commander's."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP_AFTER_POINT = "stop after point"
    STOP_NOW = "stop now"  # the run, or everything that moves
    NOTE = "note"  # text
    ACKNOWLEDGE = "acknowledge"  # a safe state that was not confirmed
    TAKE_COMMAND = "take command"
    RELEASE_COMMAND = "release command"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    LIVE = "live"  # exposure_s, first_row, last_row
    IMAGE = "image"  # exposure_s
    LIVE_STOP = "live stop"
    MOVE = "move"  # quantity, value
    JOG = "jog"  # quantity, value: the step
    STOP_MOVES = "stop moves"  # quantity, or all
    RASTER = "raster"  # columns, rows, step_um, exposure_s, about the present position
    SAVE_NANOCRYSTAL = "save nanocrystal"  # text: its name
    SWEEP = "sweep"  # text: the sweep file; quantity: its folder; starts when its turn comes
    RESUME_RUN = "resume run"  # text: the run folder
    UNQUEUE = "unqueue"  # text: identity
    QUEUE_UP = "queue up"  # text: identity
    QUIT = "quit"  # safe state, then the process ends


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of the engine; numbers by name, as the verb's comment says."""

    number: int
    verb: Verb
    text: str = ""
    quantity: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


Message = Hello | Snapshot | FrameArrived | Axis | Committed | Fitted | Said | Answer


# a reading that is no number stays one: null would be no number to whoever reads it
_NOT_A_NUMBER = ConfigDict(ser_json_inf_nan="constants")
_MESSAGES: TypeAdapter[Message] = TypeAdapter(
    Annotated[Message, Field(discriminator="kind")], config=_NOT_A_NUMBER
)
_TO_JSON = _MESSAGES.serializer.to_json
_REQUESTS = TypeAdapter(Request)


def encode(message: Message | Request) -> bytes:
    """Return the message as one JSON document in UTF-8; a reading may be NaN."""
    if isinstance(message, Request):  # pydantic takes no config for a dataclass by itself
        plain = _REQUESTS.dump_python(message, mode="json")
        return json.dumps(plain, separators=(",", ":")).encode()
    return _TO_JSON(message)


def decode(document: bytes) -> Message:
    """Return the engine's message. Raises MessageError saying what is wrong with it."""
    try:
        return _MESSAGES.validate_json(document)
    except ValidationError as error:
        raise MessageError(_why(error, document)) from error


def decode_request(document: bytes) -> Request:
    """Return a watcher's request. Raises MessageError saying what is wrong with it."""
    try:
        return _REQUESTS.validate_json(document)
    except ValidationError as error:
        raise MessageError(_why(error, document)) from error


def _why(error: ValidationError, document: bytes) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "document"
    return f"not a message of protocol {PROTOCOL}: {place}: {first['msg']} in {document[:80]!r}"

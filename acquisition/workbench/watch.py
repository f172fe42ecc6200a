"""A running engine on the terminal: what goes on, in a few lines, with nothing to press."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from acquisition.alignment.hand_move import Refused
from acquisition.channel.engine_address import EngineAddress, list_engines
from acquisition.channel.engine_status import EngineState, Safety
from acquisition.channel.messages import (
    Fitted,
    FrameArrived,
    Hello,
    Message,
    Mode,
    MoveState,
    Said,
    Snapshot,
    encode,
)
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from acquisition.workbench.progress import status_line, time_text

__all__ = ["Watched", "find_engine", "watch", "watch_once"]

LOOK_S = 0.25
MOST_MESSAGES = 8


@dataclass(slots=True)
class Watched:
    """What a watcher knows of an engine; `take` learns one message."""

    hello: Hello
    snapshot: Snapshot | None = None
    fit: Fitted | None = None
    frame: FrameArrived | None = None
    said: deque[Said] = field(default_factory=lambda: deque(maxlen=MOST_MESSAGES))

    def take(self, message: Message) -> None:
        match message:
            case Snapshot():
                self.snapshot = message
            case Fitted():
                self.fit = message
            case FrameArrived():
                self.frame = message
            case Said():
                self.said.append(message)
            case Hello():
                self.hello = message
            case _:
                pass

    def lines(self) -> Iterator[str]:
        """Yield what to show, the most important first."""
        snapshot = self.snapshot
        simulated = " (SIMULATED)" if self.hello.is_simulated else ""
        yield f"{self.hello.station}{simulated}, engine pid {self.hello.pid}"
        if snapshot is None:
            yield "nothing heard yet"
            return
        yield from _state_lines(snapshot)
        if self.fit is not None:
            yield _fit_line(self.fit)
        if self.frame is not None and snapshot.mode is Mode.ALIGNING:
            frame = self.frame
            yield f"frame {frame.number}: {frame.source.value}, {frame.exposure_s:g} s"


def find_engine(run: Path | None) -> EngineAddress:
    """Return the engine that works on this run, or the youngest one. Raises Refused."""
    engines = list_engines()
    if not engines:
        raise Refused("no engine is running; begin with cryoscan run, or cryoscan engine")
    if run is None:
        return engines[0]
    wanted = str(run.resolve())
    for engine in engines:
        if engine.run_folder == wanted or (not engine.run_folder and _works_on(engine, wanted)):
            return engine
    raise Refused(f"{run}: no engine works on this run; cryoscan show says what it holds")


def watch(address: EngineAddress, console: Console) -> None:
    """Show the engine until it ends or Ctrl-C; the engine does not notice either."""
    link = WatcherLink.connect(address, "terminal")
    watched = Watched(link.hello)
    try:
        with Live(_picture(watched), console=console, auto_refresh=False) as live:
            while True:
                for message, _ in link.receive(LOOK_S):
                    watched.take(message)
                live.update(_picture(watched), refresh=True)
    except LinkLost as end:
        console.print(f"the engine is gone: {end}", markup=False)
    except KeyboardInterrupt:
        console.print("the engine goes on", markup=False)
    finally:
        link.close()


def watch_once(address: EngineAddress, *, as_json: bool) -> str:
    """Return one snapshot as text, or as the JSON of hello and snapshot. Raises LinkLost."""
    link = WatcherLink.connect(address, "terminal")
    watched = Watched(link.hello)
    try:
        while watched.snapshot is None:
            for message, _ in link.receive(LOOK_S):
                watched.take(message)
    finally:
        link.close()
    if not as_json:
        return "\n".join(watched.lines())
    said: tuple[Message, ...] = (watched.hello, watched.snapshot)
    return json.dumps({message.kind: json.loads(encode(message)) for message in said})


def _works_on(engine: EngineAddress, run_folder: str) -> bool:
    try:
        document = json.loads(watch_once(engine, as_json=True))
    except LinkLost:
        return False
    return bool(document["snapshot"]["run_folder"] == run_folder)


def _state_lines(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.unacknowledged is Safety.NOT_CONFIRMED:
        yield "!! the safe state is NOT CONFIRMED: look at the instruments, then acknowledge"
    status = snapshot.status
    yield snapshot.mode.value + (f": {snapshot.trouble}" if snapshot.trouble else "")
    if status is not None and (snapshot.mode is Mode.RUNNING or status.finish is not None):
        yield f"run {status.run}: point {status.done} of {status.total}"
        if status.state is EngineState.IDLE and status.finish is not None:
            yield f"{status.finish.value}: {status.finish_text}; safe state {status.safety.value}"
        else:
            yield status_line(status)
    yield from _reading_lines(snapshot)
    for move in snapshot.moves:
        if move.state is not MoveState.RESTING:
            yield f"{move.quantity} {move.state.value} to {move.target}: {move.text}"
    if snapshot.raster is not None:
        yield f"map: place {snapshot.raster.done} of {snapshot.raster.total}"
    for sweep in snapshot.queue:
        held = f" ({sweep.text})" if sweep.text else ""
        yield f"queued: {sweep.name}, {sweep.points} points, {time_text(sweep.duration_s)}{held}"
    commander = snapshot.commander or "nobody"
    yield f"{snapshot.watchers} watching, {commander} in command"


def _reading_lines(snapshot: Snapshot) -> Iterator[str]:
    readings = [
        f"{reading.channel} {'-' if reading.value is None else f'{reading.value:.6g}'}"
        f"{' ' + reading.unit if reading.value is not None and reading.unit else ''}"
        for reading in snapshot.readings
    ]
    for first in range(0, len(readings), 3):
        yield "   ".join(readings[first : first + 3])


def _fit_line(fit: Fitted) -> str:
    name = next(iter(fit.values), None)
    if name is None:
        return f"last fit: point {fit.point}: {fit.verdict}, {fit.reason}"
    value, error = fit.values[name], fit.errors.get(name, float("nan"))
    return f"last fit: point {fit.point}: {name} {value:.6g} +- {error:.2g}, {fit.verdict}"


def _picture(watched: Watched) -> RenderableType:
    messages = Table.grid(padding=(0, 1))
    for said in watched.said:
        style = {"error": "bold red", "warning": "yellow"}.get(said.level.value, "")
        text = " | ".join(part for part in (said.device, said.text, said.done, said.advice) if part)
        messages.add_row(Text(said.level.value, style), Text(text))
    return Group(*(Text(line) for line in watched.lines()), messages)

"""The window's end of the channel: connects, reconnects, and hands on what arrived in batches.

Greetings happen in a thread (gui.link.greeting); everything else on the main thread, which is
woken by what arrives and never waits. While nobody answers, the search is repeated twice a
second, and an engine that comes back (or another one that takes its place) is greeted without
being asked.
"""

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QSocketNotifier, QTimer, pyqtSignal
from PyQt6.sip import voidptr

from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.messages import (
    Answer,
    Axis,
    Committed,
    Fitted,
    FrameArrived,
    Hello,
    Message,
    Said,
    Snapshot,
    Verb,
)
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from gui.link.greeting import Channel, Connect, Find, Greeting

__all__ = ["Connection", "EngineLink", "Frame"]

BATCH_ms = 33  # from one batch to the next at least; the first of a burst comes at once
GREETED_ms = 15  # between two looks whether the engine has answered
LOOK_AGAIN_ms = 500
GREETING_s = 2.0

Frame = tuple[FrameArrived, NDArray[np.generic], NDArray[np.float64]]


class Connection(Enum):
    """How the window stands to an engine."""

    NONE = "no engine"  # none was asked for
    SEARCHING = "looking for the engine"
    CONNECTED = "connected"


class EngineLink(QObject):
    """One engine as seen from the window."""

    said_hello = pyqtSignal(object)  # Hello
    snapshot = pyqtSignal(object)  # Snapshot, the newest of its batch
    frames = pyqtSignal(list)  # of (FrameArrived, counts, wavelength_nm); empty where unknown
    committed = pyqtSignal(list)
    fitted = pyqtSignal(list)
    said = pyqtSignal(list)
    answered = pyqtSignal(object)  # Answer
    lost = pyqtSignal(str)
    connection_changed = pyqtSignal(object)  # Connection
    trouble_changed = pyqtSignal(str)

    def __init__(
        self, name: str = "window", parent: QObject | None = None, connect: Connect | None = None
    ) -> None:
        super().__init__(parent)
        self._connect = connect or (lambda address: _watch(address, name))
        self._find: Find = _nobody
        self._channel: Channel | None = None
        self._address: EngineAddress | None = None
        self._greeting: Greeting | None = None
        self._refused = 0
        self._trouble = ""
        self._axes: dict[int, NDArray[np.float64]] = {}
        self._hello: Hello | None = None
        self._latest: Snapshot | None = None
        self._connection = Connection.NONE
        self._arrivals: QSocketNotifier | None = None  # enabled where a batch may come
        self._pause = QTimer(self)  # between two batches
        self._pause.setSingleShot(True)
        self._pause.setInterval(BATCH_ms)
        self._pause.timeout.connect(self._listen)
        self._greeted = QTimer(self)
        self._greeted.setInterval(GREETED_ms)
        self._greeted.timeout.connect(self._take_greeting)
        self._looking = QTimer(self)
        self._looking.setInterval(LOOK_AGAIN_ms)
        self._looking.timeout.connect(self._look)

    @property
    def hello(self) -> Hello | None:
        return self._hello

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot; None without a connection."""
        return self._latest

    @property
    def address(self) -> EngineAddress | None:
        return self._address

    @property
    def connection(self) -> Connection:
        return self._connection

    @property
    def trouble(self) -> str:
        """Why the last try to connect failed, in words."""
        return self._trouble

    @property
    def is_commander(self) -> bool:
        """Whether this window's moves and starts are taken."""
        return (
            self._latest is not None
            and self._hello is not None
            and self._latest.commander == self._hello.watcher != ""
        )

    def follow(self, find: Find) -> None:
        """Watch the engine that `find` names, now and whenever it comes back."""
        self.leave()
        self._find = find
        self._turn(Connection.SEARCHING)
        self._looking.start()
        self._look()

    def leave(self) -> None:
        """Stop watching; the engine goes on."""
        self._looking.stop()
        self._hang_up()
        self._find = _nobody
        self._turn(Connection.NONE)

    def ask(self, verb: Verb, text: str = "", quantity: str = "", **numbers: float) -> int:
        """Send a request; its Answer carries the returned number.

        Without a connection the Answer comes from here, and says so.
        """
        if self._channel is not None:
            try:
                return self._channel.request(verb, text=text, quantity=quantity, **numbers)
            except LinkLost as error:
                self._lose(str(error))
        self._refused -= 1
        answer = Answer(self._refused, ok=False, text=f"{verb.value}: no engine is connected")
        QTimer.singleShot(0, lambda: self.answered.emit(answer))
        return self._refused

    def pretend(self, messages: Sequence[Message]) -> None:
        """Hear messages as if they came from the engine, and nothing else until `follow`.

        For pictures and talks: states that need an accident.
        """
        self._turn_deaf()
        self._hand_on([(message, None) for message in messages])

    def _look(self) -> None:
        if self._greeting is None and self._channel is None:
            self._greeting = Greeting(self._find, self._connect)
            self._greeted.start()

    def _take_greeting(self) -> None:
        outcome = None if self._greeting is None else self._greeting.outcome()
        if outcome is None:
            return
        self._greeted.stop()
        self._greeting = None
        if isinstance(outcome, str):
            self._complain(outcome)
            return
        self._trouble = ""
        self._address, self._channel = outcome
        self._looking.stop()
        self._arrivals = QSocketNotifier(
            voidptr(self._channel.fileno()), QSocketNotifier.Type.Read, self
        )
        self._arrivals.activated.connect(self._drain)
        self._hello = self._channel.hello
        self._turn(Connection.CONNECTED)
        self.said_hello.emit(self._hello)
        self._drain()

    def _listen(self) -> None:
        if self._arrivals is not None:
            self._arrivals.setEnabled(True)

    def _turn_deaf(self) -> None:
        self._pause.stop()
        arrivals, self._arrivals = self._arrivals, None
        if arrivals is not None:
            arrivals.setEnabled(False)  # before its socket is closed
            arrivals.deleteLater()

    def _drain(self) -> None:
        if self._channel is None or self._arrivals is None:
            return
        self._arrivals.setEnabled(False)
        self._pause.start()
        try:
            arrived = self._channel.receive(0.0)
        except LinkLost as error:
            self._lose(str(error))
            return
        self._hand_on(arrived)

    def _hand_on(self, arrived: Sequence[tuple[Message, NDArray[np.generic] | None]]) -> None:
        batches: dict[type[Message], list[Any]] = defaultdict(list)
        for message, body in arrived:
            if isinstance(message, Axis):
                self._axes[message.number] = np.asarray(body, dtype=np.float64)
            elif isinstance(message, FrameArrived):
                axis_nm = self._axes.get(message.axis, _NO_AXIS)
                batches[FrameArrived].append((message, body, axis_nm))
            else:
                batches[type(message)].append(message)
        for hello in batches[Hello]:
            self._hello = hello
            self.said_hello.emit(hello)
        if batches[Snapshot]:
            self._latest = batches[Snapshot][-1]
            self.snapshot.emit(self._latest)
        for kind, signal in (
            (FrameArrived, self.frames),
            (Committed, self.committed),
            (Fitted, self.fitted),
            (Said, self.said),
        ):
            if batches[kind]:
                signal.emit(batches[kind])
        for answer in batches[Answer]:
            self.answered.emit(answer)

    def _lose(self, why: str) -> None:
        self._hang_up()
        self._trouble = why
        self.lost.emit(why)
        self._turn(Connection.SEARCHING)
        self._looking.start()

    def _hang_up(self) -> None:
        self._turn_deaf()
        self._greeted.stop()
        greeting, self._greeting = self._greeting, None
        if greeting is not None:
            greeting.give_up()
        self._latest = None
        self._axes.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.trouble_changed.emit(trouble)

    def _turn(self, connection: Connection) -> None:
        if connection is not self._connection:
            self._connection = connection
            self.connection_changed.emit(connection)


_NO_AXIS = np.empty(0)


def _nobody() -> EngineAddress | None:
    return None


def _watch(address: EngineAddress, name: str) -> Channel:
    return WatcherLink.connect(address, name, GREETING_s)

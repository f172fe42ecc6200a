"""One try to find an engine and to greet it: both can wait, so a thread does them.

The thread touches nothing of Qt. Its outcome waits in a queue, so that a window may be closed while
it works.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.messages import Hello, Message, Verb
from acquisition.channel.watcher_link import LinkLost

__all__ = ["NO_ENGINE", "Channel", "Connect", "Find", "Greeting"]

NO_ENGINE = "no engine is running"

logger = logging.getLogger(__name__)


class Channel(Protocol):
    """What a connected watcher can do; WatcherLink, or a stand-in that replays."""

    @property
    def hello(self) -> Hello: ...
    def fileno(self) -> int: ...
    def request(
        self, verb: Verb, *, text: str = "", quantity: str = "", **numbers: float
    ) -> int: ...
    def receive(
        self, timeout_s: float = 0.0
    ) -> Sequence[tuple[Message, NDArray[np.generic] | None]]: ...
    def close(self) -> None: ...


Find = Callable[[], EngineAddress | None]
Connect = Callable[[EngineAddress], Channel]
Outcome = tuple[EngineAddress, Channel] | str


class Greeting:
    """Begins at once. A channel that nobody wants any more is hung up."""

    def __init__(self, find: Find, connect: Connect) -> None:
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._is_unwanted = threading.Event()
        threading.Thread(
            target=self._greet, args=(find, connect), name="greet the engine", daemon=True
        ).start()

    def outcome(self) -> Outcome | None:
        """Return a connected channel, or why there is none; None before that is known."""
        try:
            return self._outcomes.get_nowait()
        except Empty:
            return None

    def give_up(self) -> None:
        """Want no channel any more."""
        self._is_unwanted.set()
        self._hang_up()

    def _greet(self, find: Find, connect: Connect) -> None:
        self._outcomes.put(_outcome(find, connect))
        if self._is_unwanted.is_set():  # looked at after the outcome is where give_up finds it
            self._hang_up()

    def _hang_up(self) -> None:
        outcome = self.outcome()
        if isinstance(outcome, tuple):
            outcome[1].close()


def _outcome(find: Find, connect: Connect) -> Outcome:
    try:
        address = find()
        if address is None:
            return NO_ENGINE
        return address, connect(address)
    except (LinkLost, OSError) as error:
        logger.debug("no greeting: %s", error)
        return str(error)

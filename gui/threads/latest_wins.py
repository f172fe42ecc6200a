"""Work beside the window's own thread, where only the newest question still matters."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

__all__ = ["LatestWins"]

Work = Callable[[], object]
LOOK_ms = 15

_Outcome = tuple[int, object, Exception | None]


class LatestWins(QObject):
    """Runs one piece of work at a time; of those that wait, only the newest is done at all.

    done: its result, on the window's thread; where `tells_overtaken` is not set, only if nothing
    newer was asked meanwhile. What the work raises is raised there too. The thread touches nothing
    of Qt: its result waits in a queue, so that a window may be closed while it works.
    """

    done = pyqtSignal(object)

    def __init__(self, name: str, parent: QObject, *, tells_overtaken: bool = False) -> None:
        super().__init__(parent)
        self._name = name
        self._tells_overtaken = tells_overtaken
        self._asked = 0
        self._forgotten = 0  # the last that nobody wants to hear of
        self._waiting: Work | None = None
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._looking = QTimer(self)
        self._looking.setInterval(LOOK_ms)
        self._looking.timeout.connect(self._look)

    @property
    def is_busy(self) -> bool:
        return self._looking.isActive()

    def ask(self, work: Work) -> None:
        """Do this as soon as possible; what was asked before is forgotten."""
        self._asked += 1
        if self.is_busy:
            self._waiting = work
        else:
            self._start(work)

    def forget(self) -> None:
        """Want no result of what was asked so far."""
        self._forgotten, self._waiting = self._asked, None

    def _start(self, work: Work) -> None:
        self._looking.start()
        number, outcomes = self._asked, self._outcomes

        def run() -> None:
            try:
                outcomes.put((number, work(), None))
            except Exception as error:  # handed to the window's thread
                outcomes.put((number, None, error))

        threading.Thread(target=run, name=self._name, daemon=True).start()

    def _look(self) -> None:
        try:
            number, result, error = self._outcomes.get_nowait()
        except Empty:
            return
        self._looking.stop()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._start(waiting)
        if error is not None:
            raise error
        is_overtaken = number < self._asked and not self._tells_overtaken
        if number > self._forgotten and not is_overtaken:
            self.done.emit(result)

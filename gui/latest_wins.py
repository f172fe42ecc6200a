"""Work beside the window's own thread, where only the newest question still matters."""

import threading
from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

__all__ = ["LatestWins"]

Work = Callable[[], object]


class LatestWins(QObject):
    """Runs one piece of work at a time; of those that wait, only the newest is done at all.

    done: its result, on the window's thread, unless something newer was asked meanwhile. What the
    work raises is raised there too.
    """

    done = pyqtSignal(object)
    _came = pyqtSignal(int, object, object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = name
        self._asked = 0
        self._is_busy = False
        self._waiting: Work | None = None
        self._came.connect(self._take)

    @property
    def is_busy(self) -> bool:
        return self._is_busy

    def ask(self, work: Work) -> None:
        """Do this as soon as possible; what was asked before is forgotten."""
        self._asked += 1
        if self._is_busy:
            self._waiting = work
        else:
            self._start(work)

    def forget(self) -> None:
        """Want no result of what was asked so far."""
        self._asked += 1
        self._waiting = None

    def _start(self, work: Work) -> None:
        self._is_busy = True
        number = self._asked

        def run() -> None:
            result: object = None
            error: Exception | None = None
            try:
                result = work()
            except Exception as raised:
                error = raised
            try:
                self._came.emit(number, result, error)
            except RuntimeError:  # the window was closed meanwhile
                return

        threading.Thread(target=run, name=self._name, daemon=True).start()

    def _take(self, number: int, result: object, error: Exception | None) -> None:
        self._is_busy = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._start(waiting)
        if error is not None:
            raise error
        if number == self._asked:
            self.done.emit(result)

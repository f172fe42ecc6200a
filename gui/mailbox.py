"""What other threads have to say, on the window's own thread, at once."""

import socket
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue

from PyQt6.QtCore import QObject, QSocketNotifier, pyqtSignal
from PyQt6.sip import voidptr

__all__ = ["Mailbox"]


class Mailbox(QObject):
    """came: what a thread has put, one after the other, between which the window answers.

    The threads touch nothing of Qt: a window may be closed while they work.
    """

    came = pyqtSignal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._letters: SimpleQueue[object] = SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._heard = QSocketNotifier(voidptr(self._ear.fileno()), QSocketNotifier.Type.Read)
        self._heard.activated.connect(self._take)
        weakref.finalize(self._heard, _close, self._bell, self._ear)  # not while it listens

    def put(self, what: object) -> None:
        """Hand something over, from whatever thread."""
        self._letters.put(what)
        with suppress(OSError):  # closed: nobody wants it any more; full: it is ringing
            self._bell.send(b"\0")

    def _take(self) -> None:
        with suppress(OSError):
            self._ear.recv(1)  # one for each letter, as long as the bell took all
        with suppress(Empty):
            self.came.emit(self._letters.get_nowait())


def _close(bell: socket.socket, ear: socket.socket) -> None:
    bell.close()
    ear.close()

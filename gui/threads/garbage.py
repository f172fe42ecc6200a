"""Garbage is collected on the window's own thread, and on no other.

What waits for Python's collector may hold objects of Qt. Whichever thread allocates next collects:
one that reads a journal would take apart what the window is painting with, and the process dies.
"""

import gc

from PyQt6.QtCore import QObject, QTimer

__all__ = ["GarbageHere"]

LOOK_ms = 100


class GarbageHere(QObject):
    """Collects now and then, as Python itself would, until it is ended.

    What is there when the first thorough collection is due is left out of it and of later ones,
    which would take a tenth of a second else: modules, and the window itself.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._is_settled = False
        self._looking = QTimer(self)
        self._looking.timeout.connect(self.look)
        self._looking.start(LOOK_ms)
        gc.disable()

    def end(self) -> None:
        """Leave it to Python again."""
        self._looking.stop()
        gc.enable()

    def look(self) -> None:
        """Collect where enough has come since the last time."""
        due = [at > most for at, most in zip(gc.get_count(), gc.get_threshold(), strict=True)]
        if not due[0]:
            return
        generation = 2 if all(due) else 1 if due[1] else 0
        if generation == 2 and not self._is_settled:
            self._is_settled = True
            gc.collect(1)
            gc.freeze()
        else:
            gc.collect(generation)

"""The physics laws for views: loaded by a thread, since that takes a second."""

import importlib
import sys

from PyQt6.QtCore import QObject, pyqtSignal

from gui.threads.latest_wins import LatestWins

__all__ = ["LawsAtHand"]

MODULE = "gui.views.point_law"


class LawsAtHand(QObject):
    """Where they are here, importing gui.views.point_law takes no time; `came` says when."""

    came = pyqtSignal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._loading = LatestWins("load the laws", self)
        self._loading.done.connect(lambda _: self.came.emit())

    @classmethod
    def of(cls, owner: QObject) -> "LawsAtHand":
        """Return what all views of this owner share."""
        return owner.findChild(cls) or cls(owner)

    @property
    def are_here(self) -> bool:
        return MODULE in sys.modules and not self._loading.is_busy

    def load(self) -> None:
        """Load them unless they are here or on the way."""
        if not self.are_here and not self._loading.is_busy:
            self._loading.ask(lambda: importlib.import_module(MODULE))

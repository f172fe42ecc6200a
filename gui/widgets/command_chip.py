"""Who is in command: this window, another, or nobody; and the way to take it."""

from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from gui.link.situation import Situation
from gui.look.theme import Tone
from gui.widgets.status_pill import Look, Shape, StatusPill

__all__ = ["CommandChip"]

_NOBODY = Look("nobody in command", Shape.RING, Tone.NEUTRAL)
_OURS = Look("in command: you", Shape.TICK, Tone.GOOD)


class CommandChip(QWidget):
    """Gone without an engine. Whoever watches may stop, and read everything."""

    def __init__(self, take: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pill = StatusPill()
        self.button = QPushButton("Take c&ommand")
        self.button.clicked.connect(lambda _checked: take.trigger())
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 1, 0, 1)
        line.setSpacing(6)
        line.addWidget(self.pill)
        line.addWidget(self.button)
        self.hide()

    def follow(self, situation: Situation) -> None:
        snapshot = situation.snapshot
        self.setVisible(snapshot is not None)
        if snapshot is None:
            return
        self.button.setVisible(snapshot.commander == "")
        if snapshot.commander == "":
            self.pill.show_look(_NOBODY, "the first who asks for something is")
        elif snapshot.commander == situation.watcher:
            self.pill.show_look(_OURS, f"you are {situation.watcher}")
        else:
            look = Look(f"read only: {snapshot.commander}", Shape.WARNING, Tone.CAUTION)
            hint = f"{snapshot.commander} is in command; you see everything and may stop"
            self.pill.show_look(look, hint)

"""The line that is always there: what runs, how far it is, what it waits for, how to stop it."""

from collections.abc import Mapping

from PyQt6.QtCore import QDateTime
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from acquisition.channel.engine_status import EngineStatus
from gui.link.situation import Situation
from gui.look.theme import Tone
from gui.look.wording import span
from gui.panels.run_look import explanation, look_of
from gui.widgets.action_button import ActionButton
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.status_pill import Shape, StatusPill
from gui.widgets.thin_progress import ThinProgress

__all__ = ["RunBar"]

HALF_A_DAY_s = 43200
ROOM_px = {1: 150, 2: 110}  # of progress and of time, by column


class RunBar(QWidget):
    """Shows a Situation; its buttons are the window's actions."""

    def __init__(self, actions: Mapping[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._actions = actions
        self.pill = StatusPill()
        self.name = ElidedLabel()
        self.name.setAccessibleName("Run")
        self.awaited = ElidedLabel()
        self.awaited.setAccessibleName("What is awaited")
        self.awaited.setForegroundRole(self.awaited.palette().ColorRole.PlaceholderText)
        self.point = QLabel()
        self.point.setAccessibleName("Point")
        self.left = QLabel()
        self.left.setAccessibleName("Time left")
        self.ends = QLabel("")
        self.ends.setForegroundRole(self.ends.palette().ColorRole.PlaceholderText)
        self.progress = ThinProgress()
        self.start = ActionButton(actions["start"], Shape.PLAY, Tone.GOOD)
        self.pause = ActionButton(actions["pause"], Shape.BARS, Tone.HELD)
        self.stop = ActionButton(actions["stop"], Shape.SQUARE, Tone.BAD, is_filled=True)
        self._lay_out()

    def show_situation(
        self, situation: Situation, trouble: str = "", time_scale: float = 1.0
    ) -> None:
        """Show it all. time_scale: seconds of the experiment in one of ours."""
        look = look_of(situation)
        said = explanation(situation, trouble)
        self.pill.show_look(look, said)
        self.awaited.setText(said)
        status = situation.snapshot.status if situation.snapshot is not None else None
        self.name.setText(_name(situation, status))
        self.name.setToolTip(status.run if status is not None else "")
        self._show_progress(status, look.tone, is_running=situation.is_running)
        self._show_time(status if situation.is_running else None, time_scale)
        is_paused = self._actions["resume"].isEnabled()
        self.pause.follow(
            self._actions["resume" if is_paused else "pause"],
            Shape.PLAY if is_paused else Shape.BARS,
        )

    def _show_progress(self, status: EngineStatus | None, tone: Tone, *, is_running: bool) -> None:
        if status is None or not status.total:
            self.point.clear()
            self.progress.hide()
            self._hold_room(is_held=False)
            return
        self.progress.show()
        self._hold_room(is_held=True)
        done, total = status.done, status.total
        current = min(done + 1, total) if is_running else done
        self.point.setText(f"point {current} of {total}")
        self.progress.show_fraction(done / total, tone)

    def _hold_room(self, *, is_held: bool) -> None:
        """Keep the place of progress and time during a run; else the words have it."""
        for column, width_px in ROOM_px.items():
            self._texts.setColumnMinimumWidth(column, width_px if is_held else 0)

    def _show_time(self, status: EngineStatus | None, time_scale: float) -> None:
        if status is None or not status.remaining_s > 0:
            self.left.setText("")
            self.ends.setText("")
            return
        self.left.setText(f"{span(status.remaining_s)} left")
        ours_s = status.remaining_s / time_scale
        end = QDateTime.currentDateTime().addSecs(round(ours_s))
        self.ends.setText(f"ends {end.toString('ddd HH:mm' if ours_s > HALF_A_DAY_s else 'HH:mm')}")

    def _lay_out(self) -> None:
        bold = self.font()
        bold.setBold(True)
        self.name.setFont(bold)
        self.point.setFont(bold)
        self.left.setFont(bold)
        texts = self._texts = QGridLayout()
        texts.setHorizontalSpacing(18)
        texts.setVerticalSpacing(0)
        texts.addWidget(self.name, 0, 0)
        texts.addWidget(self.awaited, 1, 0)
        texts.addWidget(self.point, 0, 1)
        texts.addWidget(self.progress, 1, 1)
        texts.addWidget(self.left, 0, 2)
        texts.addWidget(self.ends, 1, 2)
        texts.setColumnStretch(0, 1)
        line = QHBoxLayout()
        line.setContentsMargins(10, 5, 10, 5)
        line.setSpacing(12)
        line.addWidget(self.pill)
        line.addLayout(texts, 1)
        for button in (self.start, self.pause, self.stop):
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
            line.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(line)


def _name(situation: Situation, status: EngineStatus | None) -> str:
    if status is None or not status.run:
        return "No run" if situation.snapshot is not None else "No engine"
    name = short_name(status.run)
    return name if situation.is_running else f"last run: {name}"


def short_name(folder: str) -> str:
    """Return title and sample out of the name of a run's folder (run_folder.run_folder_name)."""
    parts = folder.split("_")
    return f"{parts[2]}, {parts[1]}" if len(parts) == 4 else folder

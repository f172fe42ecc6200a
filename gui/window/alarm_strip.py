"""What a person must see: messages that affect the run, and a safe state that was not confirmed."""

from collections.abc import Callable

from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from gui.link.situation import Situation
from gui.look.theme import Tone
from gui.panels.message_log import Entry
from gui.widgets.status_pill import Look, Shape
from gui.widgets.strip import Strip

__all__ = ["AlarmStrips"]

UNSAFE = (
    "The safe state was NOT CONFIRMED. Look at the instruments: is the bias at 0 V, the laser "
    "shutter closed, the heater as you want it?"
)


class AlarmStrips(QWidget):
    """Stays until acknowledged; nothing waits for it."""

    def __init__(self, acknowledge: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[Entry] = []
        self.unsafe = Strip(Look("Safe state not confirmed", Shape.WARNING, Tone.BAD))
        self.know_button = self.unsafe.offer(
            "Ac&knowledge: I have looked", acknowledge, "the engine notes it in the journal"
        )
        self.message = Strip(Look("Message", Shape.CROSS, Tone.BAD))
        self.details_button = self.message.offer_details()
        self.copy_button = self.message.offer("Cop&y", self._copy, "copy all of it")
        self.seen_button = self.message.offer("&Dismiss", self._next, "it stays in the log")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.unsafe)
        column.addWidget(self.message)

    @property
    def waiting(self) -> list[Entry]:
        """The messages nobody has acknowledged, the oldest first."""
        return self._waiting

    def block(self, entry: Entry) -> None:
        """Show a message until it is acknowledged; one that repeats is counted."""
        said = entry.said
        for place, waiting in enumerate(self._waiting):
            if (waiting.said.text, waiting.said.device) == (said.text, said.device):
                self._waiting[place] = entry
                break
        else:
            self._waiting.append(entry)
        self._show()

    def follow(self, situation: Situation) -> None:
        """Show or hide what the engine says of the safe state."""
        if situation.must_acknowledge and self.unsafe.isHidden():
            self.unsafe.say(UNSAFE)
        elif not situation.must_acknowledge:
            self.unsafe.hide()
        why_not = situation.not_ours()
        self.know_button.setEnabled(not why_not)
        self.know_button.setToolTip(why_not or "the engine notes it in the journal")

    def _show(self) -> None:
        if not self._waiting:
            self.message.hide()
            return
        entry = self._waiting[0]
        more = len(self._waiting) - 1
        times = f" (×{entry.count})" if entry.count > 1 else ""
        behind = f"   and {more} more" if more else ""
        self.message.say(f"{summary(entry)}{times}{behind}", entry.as_text())

    def _next(self) -> None:
        self._waiting = self._waiting[1:]
        self._show()

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and self._waiting:
            clipboard.setText(self._waiting[0].as_text())


def summary(entry: Entry) -> str:
    """Return what, which device, what was done, what to do, in one line."""
    said = entry.said
    is_named = not said.device or f"{said.device}:" in said.text
    what = said.text if is_named else f"{said.device}: {said.text}"
    return " — ".join(part for part in (what, said.done, said.advice) if part)

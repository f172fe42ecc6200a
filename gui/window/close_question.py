"""Asked in place, once, when the window closes although something goes on without it."""

from collections.abc import Callable

from PyQt6.QtWidgets import QWidget

from gui.link.situation import Situation
from gui.look.theme import Tone
from gui.widgets.status_pill import Look, Shape
from gui.widgets.strip import Strip

__all__ = ["CloseQuestion", "needs_question"]


def needs_question(situation: Situation) -> str:
    """Return what goes on without the window; "" if nothing does."""
    if situation.is_running:
        return "The run goes on without this window; a new one shows everything that happened."
    if situation.snapshot is not None and situation.snapshot.queue:
        return "The queue goes on without this window."
    return ""


class CloseQuestion(Strip):
    """Three answers, each by keyboard; Stay has the focus."""

    def __init__(
        self,
        close: Callable[[], None],
        stop_first: Callable[[], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(Look("Close the window?", Shape.PLAY, Tone.BUSY), parent)
        self.close_button = self.offer("&Close the window", close, "the engine goes on")
        self.stop_button = self.offer(
            "St&op the run, then close", stop_first, "into the safe state"
        )
        self.stay_button = self.offer("St&ay", self.dismiss)

    def ask(self, text: str) -> None:
        self.say(text)
        self.stay_button.setFocus()

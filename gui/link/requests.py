"""What one panel has asked of the engine, each with what to do about the answer."""

from collections.abc import Callable

from PyQt6.QtCore import QObject

from acquisition.channel.messages import Answer, Verb
from gui.link.engine_link import EngineLink

__all__ = ["Requests"]

Then = Callable[[Answer], None]


class Requests(QObject):
    """Hands every answer to whoever asked; a lost engine answers no."""

    def __init__(self, link: EngineLink, parent: QObject) -> None:
        super().__init__(parent)
        self._link = link
        self._awaited: dict[int, Then] = {}
        link.answered.connect(self._on_answer)
        link.lost.connect(self._on_lost)

    def ask(
        self, verb: Verb, then: Then, *, text: str = "", quantity: str = "", **numbers: float
    ) -> None:
        """Ask, and call `then` with the answer."""
        number = self._link.ask(verb, text=text, quantity=quantity, **numbers)
        self._awaited[number] = then

    def _on_answer(self, answer: Answer) -> None:
        then = self._awaited.pop(answer.request, None)
        if then is not None:
            then(answer)

    def _on_lost(self, why: str) -> None:
        awaited, self._awaited = self._awaited, {}
        for number, then in awaited.items():
            then(Answer(number, ok=False, text=f"not answered: {why}"))

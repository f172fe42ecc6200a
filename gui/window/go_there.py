"""Back to the setpoints of a point that was measured: offered, and done only on a second word."""

from collections.abc import Callable, Mapping
from math import isfinite

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QWidget

from acquisition.channel.messages import Answer, Mode, Movable, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.look.theme import Tone
from gui.shown.run_model import RunModel
from gui.widgets.status_pill import Look, Shape
from gui.widgets.strip import Strip

__all__ = ["GoThere"]


class GoThere(Strip):
    """Moves by hand to what a row of the run was set to, each quantity within its limits.

    Nothing moves where one of them may not; a run that goes on is never touched.
    """

    def __init__(
        self,
        link: EngineLink,
        model: RunModel,
        refused: Callable[[str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(Look("Go there", Shape.DIAMOND, Tone.BUSY), parent)
        self._link, self._model, self._refused = link, model, refused
        self._requests = Requests(link, self)
        self.setpoints: dict[str, float] = {}
        self.go_button = self.offer("&Go there", self.go, "each within its limits")
        self.stay_button = self.offer("Sta&y", self.dismiss, "Esc")

    def offer_point(self, point: int) -> None:
        """Offer to go to the setpoints of a row; say why not where that can't be."""
        if self._is_running:
            return  # a double click is a click then
        found = self._setpoints(point)
        why_not = hands_off(self._link) or self._why_not(found)
        if why_not:
            self.dismiss()
            self._refused(f"not there: {why_not}")
            return
        self.setpoints = found
        movables = self._movables()
        where = ", ".join(
            f"{movables[name].label} {value:g} {movables[name].unit}"
            for name, value in found.items()
        )
        self.say(f"Go to point {point + 1} by hand: {where}? Nothing has moved yet.")
        self.go_button.setFocus()

    def go(self) -> None:
        """Ask for every move."""
        self.hide()
        for quantity, value in self.setpoints.items():
            self._requests.ask(Verb.MOVE, self._on_answer, quantity=quantity, value=value)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            super().keyPressEvent(event)

    # --- inside

    @property
    def _is_running(self) -> bool:
        latest = self._link.latest
        return latest is not None and latest.mode is Mode.RUNNING

    def _movables(self) -> Mapping[str, Movable]:
        hello = self._link.hello
        return {} if hello is None else {one.quantity: one for one in hello.movables}

    def _setpoints(self, point: int) -> dict[str, float]:
        """Return what the row was set to, of what the station can move by hand."""
        rows, movables = self._model.rows, self._movables()
        if not 0 <= point < self._model.size:
            return {}
        asked = {axis.quantity for axis in self._model.axes} & movables.keys()
        found = {name: float(rows.setpoint(name)[point]) for name in movables if name in asked}
        return {name: value for name, value in found.items() if isfinite(value)}

    def _why_not(self, setpoints: Mapping[str, float]) -> str:
        if not setpoints:
            return "nothing that this point was set to can be moved by hand here"
        movables = self._movables()
        for name, value in setpoints.items():
            one = movables[name]
            if not one.lower <= value <= one.upper:
                allowed = f"{one.lower:g} to {one.upper:g} {one.unit} ({one.limits_from})"
                return f"{one.label} {value:g} {one.unit}: allowed {allowed}"
        return ""

    def _on_answer(self, answer: Answer) -> None:
        if not answer.ok:
            self._refused(answer.text)

"""One thing that is moved by hand: where it is, where it shall be, and how it is stopped."""

from math import floor, isfinite, log10

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from acquisition.channel.messages import Answer, Movable, MoveState, MoveStatus, Verb
from gui.link.requests import Requests
from gui.look.theme import Tone
from gui.look.wording import DASH, value_text
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.status_pill import Look, Shape, StatusPill
from gui.widgets.text_width import TextWidth

__all__ = ["LOOKS", "UNKNOWN", "MoveRow", "first_step"]

LOOKS = {
    MoveState.RESTING: Look("at rest", Shape.DISC, Tone.NEUTRAL),
    MoveState.MOVING: Look("moving", Shape.DIAMOND, Tone.BUSY),
    MoveState.STOPPED: Look("stopped", Shape.SQUARE, Tone.HELD),
    MoveState.FAILED: Look("failed", Shape.CROSS, Tone.BAD),
}
GAP_px = 6
DIGITS = 9
UNKNOWN = Look("unknown", Shape.RING, Tone.NEUTRAL)


def first_step(movable: Movable) -> float:
    """Return the step of a jog before anybody has set one: small against the range."""
    span = movable.upper - movable.lower
    if movable.is_relative or not isfinite(span) or span <= 0:
        return 1.0
    return float(10.0 ** floor(log10(span / 1000)))


class MoveRow(QObject):
    """Lines of a column: where it is, where it shall be, and what the engine says of that."""

    def __init__(
        self, movable: Movable, requests: Requests, column: QVBoxLayout, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.movable = movable
        self._requests = requests
        self._refusal = ""
        self.name = ElidedLabel(movable.label)
        self.readback = QLabel(DASH)
        self.readback.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.readback.setAccessibleName(f"{movable.label}, readback")
        bold = self.readback.font()
        bold.setBold(True)
        self.readback.setFont(bold)
        self.pill = StatusPill(UNKNOWN)
        self.stop = QPushButton("Stop")
        TextWidth(self.stop, least="Stop", most="Stop")
        self.stop.setAccessibleName(f"stop {movable.label}")
        self.stop.setAutoDefault(False)
        self.stop.clicked.connect(self._ask_stop)
        self.message = Note()
        self.message.setAccessibleName(f"{movable.label}, message")
        self.target: QuantityEdit | None = None
        self.choice: ChoiceBox | None = None
        self.step: QuantityEdit | None = None
        self.jogs: tuple[QToolButton, ...] = ()
        self._lay_out(column)

    # --- what is shown

    def show_status(self, status: MoveStatus | None, why_unknown: str = "") -> None:
        """Show where it is and what it does; None where nothing is known.

        why_unknown: why there is no readback, where there is none."""
        self.readback.setText(self._written(status.readback if status else None))
        self.pill.show_look(LOOKS[status.state] if status else UNKNOWN)
        if status is None:
            self.message.say("")
            return
        if self.target is not None:
            self.target.set_value(_sensible(status.target))
        if self.choice is not None and not self.choice.view().isVisible():  # type: ignore[union-attr]
            shown = status.target if status.state is MoveState.MOVING else status.readback
            self.choice.show_choice(self._choice_text(shown))
        if status.state is MoveState.MOVING:
            self._refusal = ""
        is_bad = bool(self._refusal) or status.state is MoveState.FAILED
        words = self._refusal or status.text or (why_unknown if status.readback is None else "")
        self.message.say(words, Tone.BAD if is_bad else Tone.NEUTRAL)

    def set_usable(self, is_usable: bool) -> None:
        """Let the controls be used or not; stopping is always possible."""
        for control in (self.target, self.choice, self.step, *self.jogs):
            if control is not None:
                control.setEnabled(is_usable)

    def jog(self, way: int) -> None:
        """Ask for one step up (+1) or down (-1)."""
        if self.step is not None and self.step.value is not None:
            self._ask(Verb.JOG, way * self.step.value)

    # --- inside

    def _lay_out(self, column: QVBoxLayout) -> None:
        above, below = QHBoxLayout(), QHBoxLayout()
        above.addWidget(self.name, 1)
        above.addWidget(self.readback)
        above.addWidget(self.pill)
        below.setContentsMargins(12, 0, 0, 0)
        below.setSpacing(4)
        for widget in self._controls():
            below.addWidget(widget, 2 if widget in (self.target, self.choice) else 0)
        below.addWidget(self.stop)
        column.addLayout(above)
        column.addLayout(below)
        column.addWidget(self.message)
        column.addSpacing(GAP_px)

    def _controls(self) -> list[QWidget]:
        if self.movable.choices:
            self.choice = self._choice_box()
            self.name.setBuddy(self.choice)
            return [self.choice]
        self.target, self.step = self._target_edit(), self._step_edit()
        self.name.setBuddy(self.target)
        self.jogs = (self._jog_button("−", -1), self._jog_button("+", +1))
        return [self.target, self.jogs[0], self.step, self.jogs[1]]

    def _choice_box(self) -> ChoiceBox:
        box = ChoiceBox()
        box.addItems(list(self.movable.choices))
        box.setCurrentIndex(-1)
        box.setAccessibleName(f"{self.movable.label}, choice")
        box.activated.connect(lambda _index: self._ask(Verb.MOVE, self._chosen(box.currentText())))
        return box

    def _target_edit(self) -> QuantityEdit:
        movable = self.movable
        edit = QuantityEdit(
            movable.unit, movable.lower, movable.upper, limits_from=movable.limits_from
        )
        edit.setAccessibleName(f"{movable.label}, target")
        edit.setPlaceholderText("target")
        TextWidth(edit, least="518.3")
        edit.applied.connect(lambda value: self._ask(Verb.MOVE, value))
        edit.refused.connect(self._refuse)
        return edit

    def _step_edit(self) -> QuantityEdit:
        edit = QuantityEdit(self.movable.unit, 0.0, value=first_step(self.movable))
        edit.setAccessibleName(f"{self.movable.label}, step")
        TextWidth(edit, least="0.1 kV/cm", most="0.1 kV/cm")
        edit.refused.connect(self._refuse)
        return edit

    def _jog_button(self, text: str, way: int) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setAccessibleName(f"{self.movable.label}, one step {'up' if way > 0 else 'down'}")
        button.setToolTip(button.accessibleName())
        button.clicked.connect(lambda _checked: self.jog(way))
        return button

    def _ask(self, verb: Verb, value: float) -> None:
        self._refusal = ""
        self._requests.ask(verb, self._on_answer, quantity=self.movable.quantity, value=value)

    def _ask_stop(self) -> None:
        self._requests.ask(Verb.STOP_MOVES, self._on_answer, quantity=self.movable.quantity)

    def _on_answer(self, answer: Answer) -> None:
        if not answer.ok:
            self._refuse(answer.text)

    def _refuse(self, why: str) -> None:
        self._refusal = why
        self.message.say(why, Tone.BAD)

    def _written(self, value: float | None) -> str:
        if self.movable.choices:
            return self._choice_text(value) or DASH
        return value_text(value, self.movable.unit)

    def _choice_text(self, value: float | None) -> str:
        return next((text for text, v in self.movable.choices.items() if v == value), "")

    def _chosen(self, text: str) -> float:
        return float(self.movable.choices[text])


def _sensible(value: float | None) -> float | None:
    """Return the target without what only sums of floats leave: 2e-16 is 0."""
    return None if value is None else round(value, DIGITS)

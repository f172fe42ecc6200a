"""Moving the sample by keys while the eyes are on the light, and keeping what was found."""

import re

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.messages import Answer, Hello, Movable, Snapshot, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.look.theme import Tone, theme_of
from gui.look.wording import DASH, value_text
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.text_width import TextWidth

__all__ = ["JogPanel"]

POSITION = re.compile(r"position_(?P<axis>[xyz])_(?P<unit>um|steps)")
FIRST_STEP = {"um": 0.5, "steps": 10.0}
KEYS = {
    Qt.Key.Key_Left: ("x", -1),
    Qt.Key.Key_Right: ("x", +1),
    Qt.Key.Key_Down: ("y", -1),
    Qt.Key.Key_Up: ("y", +1),
    Qt.Key.Key_PageDown: ("z", -1),
    Qt.Key.Key_PageUp: ("z", +1),
}
SCALES = {Qt.Key.Key_Plus: 2.0, Qt.Key.Key_Minus: 0.5}


class JogPanel(QWidget):
    """The pad takes the keys while it has the focus and shows that it does."""

    title = "Position"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._requests = Requests(link, self)
        self._axes: dict[str, Movable] = {}
        self.pad = _Pad(self)
        self.step = QuantityEdit("um", 0.0, value=FIRST_STEP["um"])
        self.places = {axis: QLabel(DASH) for axis in "xyz"}
        self.stop = QPushButton("&Stop")
        self.name = QLineEdit()
        self.save = QPushButton("This is my &nanocrystal")
        self.note, self.kept = Note(always_there=True), Note()
        self._lay_out()
        self._listen()
        self._greet(link.hello or Hello())

    # --- what a user does

    def jog(self, axis: str, way: int) -> None:
        """Ask for one step along an axis."""
        movable = self._axes.get(axis)
        why_not = hands_off(self._link) or ("" if movable else f"there is no axis {axis}")
        if why_not or movable is None:
            self.note.say(f"not moved: {why_not}", Tone.BAD)
            return
        step = way * (self.step.value or 0.0)
        self._requests.ask(Verb.JOG, self._on_answer, quantity=movable.quantity, value=step)

    def scale_step(self, factor: float) -> None:
        """Make the step larger or smaller."""
        self.step.set_value(float(f"{(self.step.value or 1.0) * factor:.3g}"))

    def keep(self) -> None:
        """Save name, place and spectrum of what is in the light now."""
        name = self.name.text().strip()
        if not name:
            self.kept.say("give it a name first", Tone.CAUTION)
            self.name.setFocus()
            return
        self._requests.ask(Verb.SAVE_NANOCRYSTAL, self._on_kept, text=name)

    # --- inside

    def _lay_out(self) -> None:
        self.step.setAccessibleName("step of a key stroke")
        TextWidth(self.step, most="0.125 steps")
        self.name.setAccessibleName("name of the nanocrystal")
        self.name.setPlaceholderText("name, such as CS-03/5")
        for button in (self.stop, self.save):
            button.setAutoDefault(False)
        step_label = QLabel("s&tep")
        step_label.setBuddy(self.step)
        places = QGridLayout()
        for row, (axis, label) in enumerate(self.places.items()):
            label.setAccessibleName(f"position {axis}")
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
            places.addWidget(QLabel(axis), row, 0)
            places.addWidget(label, row, 1)
        places.addWidget(step_label, 3, 0)
        places.addWidget(self.step, 3, 1)
        places.addWidget(self.stop, 4, 0, 1, 2)
        places.setRowStretch(5, 1)
        above = QHBoxLayout()
        above.addWidget(self.pad, 2)
        above.addLayout(places, 1)
        below = QHBoxLayout()
        below.addWidget(self.name, 1)
        below.addWidget(self.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(above, 1)
        column.addWidget(self.note)
        column.addLayout(below)
        column.addWidget(self.kept)

    def _listen(self) -> None:
        self.stop.clicked.connect(lambda _c: self._requests.ask(Verb.STOP_MOVES, self._on_answer))
        self.save.clicked.connect(lambda _c: self.keep())
        self.name.returnPressed.connect(self.keep)
        self.step.refused.connect(lambda why: self.note.say(why, Tone.BAD))
        self.step.applied.connect(lambda _value: self.pad.setFocus())
        self._link.said_hello.connect(self._greet)
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._show_permission)

    def _greet(self, hello: Hello) -> None:
        found = [(POSITION.fullmatch(m.quantity), m) for m in hello.movables]
        self._axes = {match["axis"]: movable for match, movable in found if match}
        unit = next((movable.unit for movable in self._axes.values()), "um")
        if unit != self.step.unit:  # steppers of unknown length count steps
            self.step.set_unit(unit, FIRST_STEP.get(unit, 1.0))
        self._show_permission()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        at = {move.quantity: move.readback for move in snapshot.moves}
        for axis, label in self.places.items():
            movable = self._axes.get(axis)
            label.setText(value_text(at.get(movable.quantity), movable.unit) if movable else DASH)
        self._show_permission()

    def _show_permission(self) -> None:
        why_not = hands_off(self._link)
        if not self._axes and not why_not:
            why_not = "the station has no positioner"
        self.pad.show_permission(why_not)
        self.save.setEnabled(not hands_off(self._link))
        self.stop.setEnabled(self._link.latest is not None)

    def _on_answer(self, answer: Answer) -> None:
        self.note.say("" if answer.ok else answer.text, Tone.NEUTRAL if answer.ok else Tone.BAD)

    def _on_kept(self, answer: Answer) -> None:
        words = f"{self.name.text().strip()} is kept: {answer.text}" if answer.ok else answer.text
        self.kept.say(words, Tone.GOOD if answer.ok else Tone.BAD)


class _Pad(QWidget):
    """A cross of arrows: click it, or Tab to it, then use the keys."""

    def __init__(self, panel: JogPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._why_not = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        TextWidth(self, least="Page Up, Page Down", lines=5)
        self.setAccessibleName("moves the sample: arrows x and y, page up and down z")
        self.setToolTip("arrows: x, y; Page Up and Down: z; + and −: step twice or half as long")

    def show_permission(self, why_not: str) -> None:
        if why_not != self._why_not:
            self._why_not = why_not
            self.setAccessibleDescription(why_not)
            self.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        key = Qt.Key(event.key())
        if key in KEYS and not event.modifiers() & _MODIFIED:
            self._panel.jog(*KEYS[key])
        elif key in SCALES or event.text() in ("+", "-"):
            self._panel.scale_step(2.0 if event.text() == "+" else 0.5)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, _event: QMouseEvent | None) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        colour = theme.accent if self.hasFocus() else theme.border
        painter.setPen(QPen(QColor(colour), 3 if self.hasFocus() else 1))
        painter.setBrush(QColor(theme.base))
        painter.drawRoundedRect(frame, 6, 6)
        painter.setPen(QColor(theme.muted if self._why_not else theme.text))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(frame.adjusted(8, 4, -8, -4), int(flags), self._text())

    def _text(self) -> str:
        if self._why_not:
            return self._why_not
        if self.hasFocus():
            return "← → x     ↑ ↓ y\nPage Up, Page Down: z\n+ and − change the step"
        return "click here, then move the sample\nby the arrow keys"


_MODIFIED = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)

"""Every instrument of the station: what moves, with target and stop, and what is only read."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.channel_readings import AT_POINT
from acquisition.channel.messages import Answer, ChannelReading, Hello, Mode, Snapshot, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.link.silence import Silence
from gui.look.theme import Tone
from gui.look.wording import DASH, ago, at_time, plain_name, span, value_text
from gui.panels.move_row import MoveRow
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.note import Note
from gui.widgets.status_pill import Look, Shape, StatusPill
from gui.widgets.text_width import TextWidth

__all__ = ["InstrumentsPanel"]

GOOD = Look("ok", Shape.TICK, Tone.GOOD)
MISSING = Look("no reading", Shape.CROSS, Tone.BAD)
NOTHING = Look("none", Shape.RING, Tone.NEUTRAL)  # the instrument is well and has no value
STALE = Look("old", Shape.WARNING, Tone.CAUTION)
EARLIER = Look("latest point", Shape.TICK, Tone.NEUTRAL)  # read with each point only
LOST = Look("unknown", Shape.RING, Tone.NEUTRAL)
AWAITED = Look("awaited", Shape.RING, Tone.NEUTRAL)
NOT_HOMED = Look("not homed", Shape.RING, Tone.NEUTRAL)
SHUTTER = ("is_open", "shutter_open")  # 1 where light passes


class InstrumentsPanel(QWidget):
    """Rows come from the engine: what its station has, no more and no less."""

    title = "Instruments"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._requests = Requests(link, self)
        self._silence = Silence(link, self)
        self.moves: dict[str, MoveRow] = {}
        self.readings: dict[str, _ReadingRow] = {}
        self._readings = QVBoxLayout()
        self._shown_hello: Hello | None = None
        self.stop_all = QPushButton("&Stop all moves")
        self.stop_all.setAutoDefault(False)
        self.stop_all.clicked.connect(self._ask_stop)
        self.note = Note(always_there=True)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        own = QSizePolicy.Policy
        self._scroll.setSizePolicy(own.Expanding, own.Ignored)  # else the dock scrolls too
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._lay_out()
        link.said_hello.connect(self._greet)
        link.snapshot.connect(self._show)
        link.lost.connect(self._on_lost)
        self._silence.changed.connect(self._on_silence)
        self._greet(link.hello or Hello())
        if link.latest is not None:
            self._show(link.latest)
        else:
            self._show_permission()

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.note, 1)
        line.addWidget(self.stop_all)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(line)
        column.addWidget(self._scroll, 1)

    def _greet(self, hello: Hello) -> None:
        """Build the rows anew where the station is another one."""
        known = self._shown_hello
        if known and (known.movables, known.channels) == (hello.movables, hello.channels):
            return
        self._shown_hello = hello
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 6, 0)
        moves, readings = QVBoxLayout(), QVBoxLayout()
        moves.setSpacing(2)
        readings.setSpacing(1)
        self.moves = {m.quantity: MoveRow(m, self._requests, moves, page) for m in hello.movables}
        read_utc = {channel: row.read_utc for channel, row in self.readings.items()}
        self._readings, self.readings = readings, {}
        for channel, unit in hello.channels.items():
            self._add_reading(channel, unit)
            self.readings[channel].read_utc = read_utc.get(channel)
        if self.moves:
            column.addWidget(_heading("Moves"))
        column.addLayout(moves)
        if self.readings:
            column.addWidget(_heading("Readings"))
        column.addLayout(readings)
        column.addStretch(1)
        self._scroll.setWidget(page)
        self._show_permission()

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot.mode is Mode.DISCONNECTED:
            self._show_unknown()
            self._show_permission()
            return
        statuses = {status.quantity: status for status in snapshot.moves}
        latest = {reading.channel: reading for reading in snapshot.readings}
        for quantity, row in self.moves.items():
            read = latest.get(quantity)
            row.show_status(statuses.get(quantity), read.text if read is not None else "")
        for channel in [name for name in latest if name not in self.readings]:  # came late
            self._add_reading(channel, latest[channel].unit)
        for channel, reading_row in self.readings.items():
            reading_row.show_reading(latest.get(channel), snapshot.utc)
        self._show_permission()

    def _add_reading(self, channel: str, unit: str) -> None:
        self.readings[channel] = _ReadingRow(channel, unit, self._readings)

    def _show_permission(self) -> None:
        why_not = hands_off(self._link)
        for row in self.moves.values():
            row.set_usable(not why_not)
        self.stop_all.setEnabled(self._link.latest is not None)
        if not self._silence.seconds:
            self.note.say(f"Nothing can be moved: {why_not}" if why_not else "")

    def _on_lost(self, _why: str) -> None:
        self._show_unknown()
        self._show_permission()

    def _show_unknown(self) -> None:
        """Nothing is read: say since when, and no number that may be wrong by now."""
        for row in self.moves.values():
            row.show_status(None)
        for reading in self.readings.values():
            reading.show_lost()

    def _on_silence(self, seconds: float) -> None:
        if seconds:
            self.note.say(f"The engine has said nothing for {span(seconds)}", Tone.CAUTION)
            for row in self.readings.values():
                row.show_stale(seconds)
        else:
            self.note.say("")

    def _ask_stop(self) -> None:
        self._requests.ask(Verb.STOP_MOVES, self._on_stop)

    def _on_stop(self, answer: Answer) -> None:
        if not answer.ok:
            self.note.say(f"not stopped: {answer.text}", Tone.BAD)


class _ReadingRow:
    """One line of the readings."""

    def __init__(self, channel: str, unit: str, column: QVBoxLayout) -> None:
        self._unit = unit
        self._age_s: float | None = None
        self.read_utc: float | None = None
        self._is_shutter = channel in SHUTTER
        name = "laser shutter" if self._is_shutter else plain_name(channel)
        self.value = QLabel(DASH)
        self.value.setAccessibleName(name)
        self.age = QLabel("")
        TextWidth(self.age, least="00 s ago")
        self.pill = StatusPill(AWAITED)
        self.text = Note()
        line = QHBoxLayout()
        line.addWidget(ElidedLabel(name), 1)
        for widget in (self.value, self.pill, self.age):
            line.addWidget(widget)
        column.addLayout(line)
        column.addWidget(self.text)

    def show_reading(self, reading: ChannelReading | None, now_utc: float) -> None:
        """Show value and age; a dash for one that could not be read, never the last good one."""
        if reading is None:
            self._show(DASH, AWAITED, None, "")
            return
        self.read_utc = reading.utc
        age_s = max(0.0, now_utc - reading.utc)
        text = value_text(reading.value, reading.unit or self._unit)
        if self._is_shutter and reading.value is not None:
            text = "open" if reading.value else "closed"
        is_of_point = reading.text == AT_POINT
        why = "" if is_of_point or reading.text == "ok" else reading.text
        sound = EARLIER if is_of_point else GOOD
        look = sound if text != DASH else MISSING if why else NOTHING
        if why.startswith(NOT_HOMED.text):
            look, why = NOT_HOMED, ""
        self._show(text, look, age_s, why)

    def show_lost(self) -> None:
        """Say when it was read last: nobody reads it any more."""
        if self.read_utc is None:
            self._show(DASH, AWAITED, None, "")
            return
        self._show(DASH, LOST, None, "")
        self.age.setText(f"read {at_time(self.read_utc)}")

    def show_stale(self, silent_s: float) -> None:
        """Say that what is shown is older than it was."""
        if self._age_s is not None:
            self.pill.show_look(STALE)
            self.age.setText(ago(self._age_s + silent_s))

    def _show(self, text: str, look: Look, age_s: float | None, why: str) -> None:
        self._age_s = age_s
        self.value.setText(text)
        self.pill.show_look(look, why)
        self.age.setText("" if age_s is None else ago(age_s))
        self.text.say(why, Tone.BAD if look is MISSING else Tone.NEUTRAL)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label

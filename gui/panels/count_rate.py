"""Counts per second in digits to be read from the cryostat, against time, and to be heard."""

from collections.abc import Mapping
from math import isfinite, nan

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.messages import FrameSource, Snapshot
from gui.link.engine_link import EngineLink
from gui.link.silence import Silence
from gui.live.live_frames import live_frames
from gui.live.tone import Tone as Sound
from gui.look.theme import Role, Tone
from gui.look.wording import span
from gui.plotting.plots import Plot
from gui.views.redraw import Redraw
from gui.widgets.big_number import BigNumber
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.text_width import TextWidth

__all__ = ["CountRatePanel"]

SHOWN_s = 120.0
LEAST_DIGITS_px = 90  # to be read from 3 m


class CountRatePanel(QWidget):
    """Counts above the detector's offset, of a window of energies or of the whole spectrum."""

    title = "Count rate"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._frames = live_frames(link)
        self._silence = Silence(link, self)
        self.number = BigNumber("count rate", "counts/s")
        self.number.setMinimumHeight(LEAST_DIGITS_px)
        self.sound = Sound(self)
        self.tone = QCheckBox("&tone")
        self.tone.setToolTip(self.sound.how)
        self.low, self.high = QuantityEdit("eV", 0.1, 10.0), QuantityEdit("eV", 0.1, 10.0)
        self.whole = QPushButton("&Whole spectrum")
        self.note = Note()
        self.plot = Plot("time", "s", "counts/s", name="count rate")
        self._curve = self.plot.curve("count rate", Role.DATA)
        self.plot.invite("The last two minutes, as soon as light is counted")
        self.number.explain("counted as soon as Live is pressed")
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._show_window()

    def memory(self) -> dict[str, object]:
        """Return between which energies was counted."""
        return {"window_eV": self._frames.window_eV}

    def recall(self, remembered: Mapping[str, object]) -> None:
        """Count between these energies again."""
        window_eV = remembered.get("window_eV")
        match window_eV:
            case [float(low), float(high)] if 0 < low < high:
                self._frames.set_window((low, high))

    def _lay_out(self) -> None:
        for edit, name in (
            (self.low, "lowest energy counted"),
            (self.high, "highest energy counted"),
        ):
            edit.setAccessibleName(name)
            edit.setPlaceholderText("all")
            TextWidth(edit, least="2.39", most="2.3921 eV")
        self.whole.setAutoDefault(False)
        label = QLabel("co&unted from")
        label.setBuddy(self.low)
        line = QHBoxLayout()
        for widget in (label, self.low, QLabel("to"), self.high, self.whole, self.tone):
            line.addWidget(widget)
        line.addStretch(1)
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.addWidget(self.number)
        halves.addWidget(self.plot)
        halves.setChildrenCollapsible(False)
        halves.setStretchFactor(0, 2)
        halves.setStretchFactor(1, 3)
        halves.setSizes([200, 300])
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.note)
        column.addWidget(halves, 1)

    def _listen(self) -> None:
        self.tone.toggled.connect(self._on_tone)
        self.whole.clicked.connect(lambda _c: self._frames.set_window(None))
        for edit in (self.low, self.high):
            edit.applied.connect(lambda _value: self._apply_window())
            edit.refused.connect(lambda why: self.note.say(why, Tone.BAD))
        self._frames.spectrum_came.connect(self._on_spectrum)
        self._frames.window_changed.connect(self._show_window)
        self._silence.changed.connect(self._on_silence)
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._rest)

    def _on_tone(self, is_on: bool) -> None:
        self.sound.switch(is_on=is_on)
        self.tone.setToolTip(self.sound.how)
        self.note.say(f"You hear {self.sound.how}" if is_on and self.sound.why_beeps else "")

    def _apply_window(self) -> None:
        self.note.say("")
        if self.low.value is not None and self.high.value is not None:
            self._frames.set_window((self.low.value, self.high.value))

    def _show_window(self) -> None:
        low, high = self._frames.window_eV or (None, None)
        self.low.set_value(low)
        self.high.set_value(high)
        self.whole.setEnabled(low is not None)

    def _on_spectrum(self) -> None:
        _, rate = self._frames.rates[-1]
        self.number.show_value(rate)
        self.sound.follow(rate)
        if not isfinite(rate):
            self.note.say("no pixel lies in this window", Tone.CAUTION)
        elif self.note.tone is Tone.CAUTION:
            self.note.say("")
        self._redraw.soon()

    def _on_silence(self, seconds: float) -> None:
        if seconds:
            self._rest()
            self.note.say(f"The engine has said nothing for {span(seconds)}", Tone.CAUTION)
        else:
            self.note.say("")

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        live = snapshot.live
        if snapshot.raster is None and (live is None or live.source is not FrameSource.LIVE):
            self._rest()

    def _rest(self) -> None:
        """Nothing is counted: the last number would be taken for the present one."""
        self.number.show_value(nan)
        self.sound.follow(0.0)

    def _draw(self) -> None:
        utc, rate = np.array(self._frames.rates).T
        recent = utc > utc[-1] - SHOWN_s
        self._curve.show(utc[recent] - utc[-1], rate[recent])

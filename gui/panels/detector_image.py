"""The whole chip: where light falls, which rows become the spectrum, the way to zero order."""

from math import isfinite

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from acquisition.channel.messages import Answer, FrameSource, Movable, Snapshot, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.live.live_frames import live_frames
from gui.look.theme import Role, Tone, theme_of
from gui.plotting.plots import Plot
from gui.views.redraw import Redraw
from gui.widgets.compact_button import CompactButton
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.text_width import TextWidth

__all__ = ["DetectorImagePanel"]

FIRST_EXPOSURE_s = 1.0
CENTRE = "centre_nm"


class DetectorImagePanel(QWidget):
    """Rows are picked by dragging the band or typed; Enter or the button puts them to use."""

    title = "Detector"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._frames = live_frames(link)
        self._requests = Requests(link, self)
        self._before_zero_nm: float | None = None
        self._rows_in_use = (0, 0)
        self.exposure = QuantityEdit("s", 0.0, value=FIRST_EXPOSURE_s)
        self.image, self.stop = CompactButton("&Image"), CompactButton("Stop")
        self.first, self.last = QuantityEdit("", 0, value=0), QuantityEdit("", 0, value=0)
        self.use = CompactButton("&Use", "make the spectrum of these rows")
        self.zero_order = CompactButton("&Zero order")
        self.note = Note()
        self.plot = Plot("pixel", "", "row", name="detector")
        self.profile = Plot("light", "", "row", name="row profile")
        self.plot.invite("No image yet: press Image to see the whole chip")
        self.profile.invite("sum of each row")
        self._picture = self.plot.image("counts", unit="")
        self._sums = self.profile.curve("sum above the offset", Role.DATA)
        self.bands = tuple(self._band(plot) for plot in (self.plot, self.profile))
        self._dress()
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._show_permission()

    @property
    def rows(self) -> tuple[int, int]:
        """The first and last row that are picked."""
        low, high = self.bands[0].getRegion()
        first = round(low + 0.5)
        return first, max(first, round(high - 0.5))

    @property
    def row_sums(self) -> NDArray[np.float64]:
        """The counts of each row above the offset, over all pixels; empty before an image."""
        return self._sums.x

    # --- what a user does

    def begin(self) -> None:
        """Take images of the whole chip, again and again."""
        self._requests.ask(
            Verb.IMAGE, self._on_answer, exposure_s=self.exposure.value or FIRST_EXPOSURE_s
        )

    def end(self) -> None:
        self._requests.ask(Verb.LIVE_STOP, self._on_answer)

    def pick(self, first: int, last: int) -> None:
        """Mark these rows; they are used only on demand."""
        for band in self.bands:
            band.setRegion((first - 0.5, last + 0.5))

    def use_rows(self) -> None:
        """Make the live spectrum of the marked rows."""
        first, last = self.rows
        live = self._link.latest.live if self._link.latest else None
        exposure_s = live.exposure_s if live else self.exposure.value or FIRST_EXPOSURE_s
        self._requests.ask(
            Verb.LIVE,
            self._on_answer,
            exposure_s=exposure_s,
            first_row=float(first),
            last_row=float(last),
        )

    def go_to_zero_order(self) -> None:
        """Move the spectrograph to 0 nm, or back to where it was before."""
        target_nm = 0.0 if self._before_zero_nm is None else self._before_zero_nm
        here_nm = self._centre_nm()

        def moved(answer: Answer) -> None:
            self._on_answer(answer)
            if answer.ok:
                self._before_zero_nm = here_nm if target_nm == 0.0 else None
                self._name_zero_order()

        self._requests.ask(Verb.MOVE, moved, quantity=CENTRE, value=target_nm)

    # --- inside

    def _lay_out(self) -> None:
        self.exposure.setAccessibleName("exposure of an image")
        TextWidth(self.exposure, least="0.2 s", most="0.001 min")
        for edit, name in ((self.first, "first row"), (self.last, "last row")):
            edit.setAccessibleName(name)
            TextWidth(edit, least="100", most="10000")
        self.plot.offer_log(False)
        self.profile.offer_log(False)
        self.profile.item.getAxis("bottom").setTickDensity(0.4)  # its numbers are long
        self.profile.view.setYLink(self.plot.view)
        line = QHBoxLayout()
        for widget in (
            _label("e&xposure", self.exposure),
            self.exposure,
            self.image,
            self.stop,
            _label("&rows", self.first),
            self.first,
            QLabel("to"),
            self.last,
            self.use,
            self.zero_order,
        ):
            line.addWidget(widget)
        line.addStretch(1)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.addWidget(self.plot)
        halves.addWidget(self.profile)
        halves.setStretchFactor(0, 4)
        halves.setStretchFactor(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.note)
        column.addWidget(halves, 1)

    def _band(self, plot: Plot) -> "pg.LinearRegionItem":
        """Return the band of picked rows, drawn on one of the plots and moved with the other."""
        band = pg.LinearRegionItem(orientation="horizontal", values=(-0.5, 0.5))
        band.setZValue(20)
        plot.item.addItem(band, ignoreBounds=True)
        band.sigRegionChanged.connect(lambda: self._follow(band))
        return band

    def _dress(self) -> None:
        colour = pg.mkColor(theme_of(self).cursor)
        colour.setAlpha(50)
        for band in self.bands:
            band.setBrush(colour)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._dress()

    def _follow(self, moved: "pg.LinearRegionItem") -> None:
        for band in self.bands:
            if band is not moved:
                band.blockSignals(True)
                band.setRegion(moved.getRegion())
                band.blockSignals(False)
        first, last = self.rows
        self.first.set_value(first)
        self.last.set_value(last)

    def _listen(self) -> None:
        self.exposure.applied.connect(lambda _value: self.begin())
        self.image.clicked.connect(lambda _c: self.begin())
        self.stop.clicked.connect(lambda _c: self.end())
        self.use.clicked.connect(lambda _c: self.use_rows())
        self.zero_order.clicked.connect(lambda _c: self.go_to_zero_order())
        self.first.applied.connect(lambda row: self.pick(int(row), max(int(row), self.rows[1])))
        self.last.applied.connect(lambda row: self.pick(min(int(row), self.rows[0]), int(row)))
        for edit in (self.first, self.last):
            edit.refused.connect(lambda why: self.note.say(why, Tone.BAD))
        self._frames.image_came.connect(self._redraw.soon)
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._show_permission)

    def _draw(self) -> None:
        image = self._frames.image
        if image is None:
            return
        rows, pixels = image.shape
        for edit in (self.first, self.last):
            edit.set_limits(0, rows - 1, "the chip")
        values = np.asarray(image, dtype=np.float64)
        self._picture.show(values, (-0.5, pixels - 0.5), (-0.5, rows - 0.5))
        above = values.sum(axis=1) - pixels * self._frames.noise.offset_counts
        self._sums.show(above, np.arange(float(rows)))

    def _on_answer(self, answer: Answer) -> None:
        self.note.say("" if answer.ok else answer.text, Tone.NEUTRAL if answer.ok else Tone.BAD)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._show_permission()
        live = snapshot.live
        in_use = (live.first_row, live.last_row) if live else self._rows_in_use
        if live and live.source is FrameSource.LIVE and in_use != self._rows_in_use:
            self._rows_in_use = in_use
            self.pick(*in_use)

    def _show_permission(self) -> None:
        why_not, latest = hands_off(self._link), self._link.latest
        for widget in (self.exposure, self.image, self.use):
            widget.setEnabled(not why_not)
        self.image.setToolTip(why_not or "take images of the whole chip, again and again")
        self.stop.setEnabled(latest is not None and latest.live is not None)
        centre = self._centre()
        can_zero = centre is not None and centre.lower <= 0.0 and self._centre_nm() is not None
        self.zero_order.setEnabled(not why_not and can_zero)
        self._name_zero_order()

    def _name_zero_order(self) -> None:
        back_nm = self._before_zero_nm
        self.zero_order.setText("&Zero order" if back_nm is None else f"Back to {back_nm:.6g} nm")

    def _centre(self) -> Movable | None:
        movables = self._link.hello.movables if self._link.hello else ()
        return next((m for m in movables if m.quantity == CENTRE), None)

    def _centre_nm(self) -> float | None:
        moves = self._link.latest.moves if self._link.latest else ()
        found = next((m.readback for m in moves if m.quantity == CENTRE), None)
        return found if found is not None and isfinite(found) else None


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    return label

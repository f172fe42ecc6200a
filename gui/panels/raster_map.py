"""A map of light over the sample, and a click that leads to the bright place."""

from collections.abc import Mapping

import pyqtgraph as pg
from PyQt6.QtCore import QEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from acquisition.channel.messages import Answer, MoveState, MoveStatus, Snapshot, Verb
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.live.live_frames import LightMap, live_frames
from gui.look.theme import Tone, theme_of
from gui.plotting.plots import Plot
from gui.views.redraw import Redraw
from gui.widgets.compact_button import CompactButton
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.text_width import TextWidth

__all__ = ["RasterMapPanel"]

X, Y = "position_x_um", "position_y_um"
MOST_PLACES = 1000


class RasterMapPanel(QWidget):
    """A click marks a place, a double click offers to go there; Enter does it, and nothing else."""

    title = "Map of light"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._frames = live_frames(link)
        self._requests = Requests(link, self)
        self.marked_um: tuple[float, float] | None = None
        self._legs: list[tuple[str, float]] = []  # of the way to the marked place
        self._is_asking = False
        self.columns = QuantityEdit("", 1, MOST_PLACES, value=20)
        self.rows = QuantityEdit("", 1, MOST_PLACES, value=20)
        self.step = QuantityEdit("um", 0.0, 1000.0, value=0.5)
        self.exposure = QuantityEdit("s", 0.0, value=0.1)
        self.start, self.stop = CompactButton("&Map"), CompactButton("Stop")
        self.go = CompactButton("&Go there")
        self.note, self.progress = Note(), QLabel()
        self.plot = Plot("x", "um", "y", "um", name="map of light")
        self._picture = self.plot.image("counts/s")
        self.plot.invite("No map yet: choose columns, rows and step, and press Map")
        self._mark, self._here = self._marker("+"), self._marker("o")
        self._dress()
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._show_permission()

    @property
    def map(self) -> LightMap | None:
        """What was measured so far."""
        return self._frames.map

    # --- what a user does

    def begin(self) -> None:
        """Map the light about the present position."""
        self._requests.ask(
            Verb.RASTER,
            self._on_answer,
            columns=self.columns.value or 1.0,
            rows=self.rows.value or 1.0,
            step_um=self.step.value or 0.0,
            exposure_s=self.exposure.value or 0.0,
        )

    def end(self) -> None:
        self._requests.ask(Verb.STOP_MOVES, self._on_answer)

    def mark(self, x_um: float, y_um: float) -> None:
        """Mark a place on the map."""
        self.marked_um = (x_um, y_um)
        self._mark.setData([x_um], [y_um])
        self.go.setText(f"&Go to {x_um:.4g}, {y_um:.4g} um")
        self._show_permission()

    def ask_to_go(self, x_um: float, y_um: float) -> None:
        """Mark a place and offer to go there: the next Enter does, nothing else."""
        self.mark(x_um, y_um)
        self.go.setFocus()

    def go_there(self) -> None:
        """Move to the marked place, one axis after the other."""
        if self.marked_um is not None:
            self._legs = list(zip((X, Y), self.marked_um, strict=True))
            self._begin_leg()

    def memory(self) -> dict[str, object]:
        """Return the size of the map."""
        return {name: edit.value for name, edit in self._edits().items()}

    def recall(self, remembered: Mapping[str, object]) -> None:
        """Offer the same map again."""
        for name, edit in self._edits().items():
            value = remembered.get(name)
            if isinstance(value, float | int) and value > 0:
                edit.set_value(float(value))

    # --- inside

    def _edits(self) -> dict[str, QuantityEdit]:
        return {
            "columns": self.columns,
            "rows": self.rows,
            "step_um": self.step,
            "exposure_s": self.exposure,
        }

    def _marker(self, symbol: str) -> "pg.ScatterPlotItem":
        marker = pg.ScatterPlotItem(symbol=symbol, size=14)
        marker.setBrush(None)
        marker.setZValue(30)
        self.plot.item.addItem(marker, ignoreBounds=True)
        return marker

    def _dress(self) -> None:
        for marker in (self._mark, self._here):
            marker.setPen(pg.mkPen(theme_of(self).cursor, width=2))

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._dress()

    def _lay_out(self) -> None:
        self.plot.offer_log(False)
        self.plot.put_tools_beside()  # it is low on a small screen
        self.plot.view.setAspectLocked(True)
        for edit, name in (
            (self.columns, "columns of the map"),
            (self.rows, "rows of the map"),
            (self.step, "step of the map"),
            (self.exposure, "exposure at each place"),
        ):
            edit.setAccessibleName(name)
            TextWidth(edit, least="100")
        first, second = QHBoxLayout(), QHBoxLayout()
        for text, edit in (("&columns", self.columns), ("&rows", self.rows), ("&step", self.step)):
            first.addWidget(_label(text, edit))
            first.addWidget(edit)
        for widget in (
            _label("e&xposure", self.exposure),
            self.exposure,
            self.start,
            self.stop,
            self.go,
            self.progress,
        ):
            second.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self.note)
        column.addWidget(self.plot, 1)

    def _listen(self) -> None:
        self.start.clicked.connect(lambda _c: self.begin())
        self.stop.clicked.connect(lambda _c: self.end())
        self.go.clicked.connect(lambda _c: self.go_there())
        for edit in (self.columns, self.rows, self.step, self.exposure):
            edit.refused.connect(lambda why: self.note.say(why, Tone.BAD))
        self.plot.clicked.connect(self.mark)
        self.plot.double_clicked.connect(self.ask_to_go)
        self._frames.map_changed.connect(self._redraw.soon)
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._show_permission)

    def _draw(self) -> None:
        shown = self._frames.map
        if shown is not None:
            self._picture.show(shown.rate_per_s, shown.x_um, shown.y_um)

    def _begin_leg(self) -> None:
        """Ask for the next axis: the controller moves one at a time."""
        if not self._legs:
            return
        quantity, place_um = self._legs[0]
        self._is_asking = True
        self._requests.ask(Verb.MOVE, self._on_leg, quantity=quantity, value=place_um)

    def _on_leg(self, answer: Answer) -> None:
        self._is_asking = False
        if not answer.ok:
            self._legs = []
        self._on_answer(answer)

    def _follow_leg(self, moves: Mapping[str, MoveStatus]) -> None:
        """Go on where an axis has arrived; whoever stops one stops the way."""
        if not self._legs or self._is_asking:
            return
        quantity, place_um = self._legs[0]
        status = moves.get(quantity)
        if status is None or status.state in (MoveState.STOPPED, MoveState.FAILED):
            self._legs = []
        elif status.state is MoveState.RESTING and status.target == place_um:
            self._legs.pop(0)
            self._begin_leg()

    def _on_answer(self, answer: Answer) -> None:
        self.note.say("" if answer.ok else answer.text, Tone.NEUTRAL if answer.ok else Tone.BAD)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        moves = {move.quantity: move for move in snapshot.moves}
        here = [moves[axis].readback for axis in (X, Y) if axis in moves]
        known = len(here) == 2 and None not in here
        self._here.setData(*([place] for place in here) if known else ([], []))
        self._follow_leg(moves)
        raster = snapshot.raster
        self.progress.setText(f"{raster.done} of {raster.total}" if raster else "")
        self._show_permission()

    def _show_permission(self) -> None:
        why_not = hands_off(self._link) or self._why_no_map()
        for widget in (self.start, self.columns, self.rows, self.step, self.exposure):
            widget.setEnabled(not why_not)
        self.start.setToolTip(why_not or "map the light about the present position")
        self.go.setEnabled(not why_not and self.marked_um is not None)
        self.go.setToolTip(why_not or "move the sample to the marked place")
        latest = self._link.latest
        self.stop.setEnabled(latest is not None and latest.raster is not None)

    def _why_no_map(self) -> str:
        movables = self._link.hello.movables if self._link.hello else ()
        there = {movable.quantity for movable in movables}
        return "" if {X, Y} <= there else "the station has no positioner that moves in um"


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    return label

"""Temperatures, field and other monitors in time: of the run, and live from the engine."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from acquisition.channel.messages import Snapshot
from acquisition.storage.record import StreamBatch
from gui.link.engine_link import EngineLink
from gui.look.theme import Role
from gui.look.wording import value_text
from gui.plotting.plots import Plot
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel
from gui.shown.stream_log import StreamLog
from gui.views.redraw import Redraw
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.text_width import TextWidth

__all__ = ["StripsView"]

Array = NDArray[np.float64]
Series = tuple[Array, Array]  # time in s, value

# what a person looks at first, in this order; others are a choice away
FIRST = (
    "temperature_K",
    "sample_temperature_K",
    "gap_voltage_V",
    "leakage_A",
    "detector_temperature_C",
)
SHOWN_AT_FIRST = 3
ROW_ms = 50  # within which a row of a quick run brings as much
LONGEST_LIVE_s = 3 * 3600.0
LONGEST_IN_MINUTES_s = 2 * 3600.0
_SUFFIXES = {"degC": "C"}  # in the names of channels, where it is not the unit itself
_SECONDS = {"min": 60.0, "h": 3600.0}


class StripsView(QWidget):
    """One strip below the other over one time axis: hours of run time, or since the window opened.

    A click goes to the row that was measured then. A reading that is not good leaves a gap.
    """

    title = "Monitors"

    def __init__(
        self,
        link: EngineLink | None,
        model: RunModel,
        cursor: Cursor,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._live = _LiveReadings()
        self._rows = StreamLog()  # what came with the rows of a run that goes on
        self._strips: dict[str, _Strip] = {}
        self._chosen: set[str] | None = None  # by a person
        self._unit = "min"
        self._meaning = ElidedLabel("")
        self._menu = QMenu(self)
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        for signal in (model.opened, model.closed):
            signal.connect(self._begin)
        model.streams_changed.connect(self._redraw.soon)
        model.rows_changed.connect(self._on_rows)
        model.loaded.connect(self._redraw.soon)
        # With what is drawn anyway: the cursor of a run follows its rows.
        cursor.point_changed.connect(lambda _: self._redraw.soon(is_awaited=True))
        if link is not None:
            link.snapshot.connect(self._on_snapshot)
            link.said_hello.connect(lambda _: self._live.clear())
        self._begin()

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are shown, from top to bottom."""
        return tuple(self._strips)

    def plot_of(self, channel: str) -> Plot:
        """Return the plot of a channel. Raises KeyError if it is not shown."""
        return self._strips[channel].plot

    def latest_text(self, channel: str) -> str:
        """Return a channel's name and latest value in words, a dash where it was not good."""
        return self._strips[channel].text

    def show_channels(self, channels: set[str]) -> None:
        """Show these channels, as far as they are read."""
        self._chosen = channels
        self._redraw.now()

    # --- inside

    def _lay_out(self) -> None:
        choose = QToolButton()
        choose.setText("Channels")
        choose.setToolTip("Which monitors are shown")
        choose.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        choose.setMenu(self._menu)
        self._menu.aboutToShow.connect(self._fill_menu)
        above = QHBoxLayout()
        above.setContentsMargins(6, 2, 6, 0)
        above.addWidget(choose)
        above.setSpacing(8)
        above.addWidget(self._meaning, 1)
        self._split.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(above)
        column.addWidget(self._split, 1)

    def _begin(self) -> None:
        self._rows = StreamLog()
        for strip in self._strips.values():
            strip.plot.restore_auto()
        self._redraw.soon()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._live.take(snapshot)
        self._redraw.soon(within_ms=ROW_ms if self._model.is_running else 0)

    def _on_rows(self, rows: list[int]) -> None:
        """Take what was read with the newest row: it comes more often than any monitor."""
        if not self._model.is_running:
            return
        held = self._model.rows
        row = rows[-1]
        time_s = held.start_s[row] + held.frames[row] * held.exposure_s[row]
        for (channel, unit), value in zip(
            held.plan.readings.items(), held.readings[row], strict=True
        ):
            before_s, _ = self._rows.of(channel)
            if np.isfinite(value) and not (before_s.size and before_s[-1] >= time_s):
                self._rows.put(StreamBatch(channel, unit, np.array([time_s]), np.array([value])))
        self._rows.forget_before(time_s - LONGEST_LIVE_s)
        self._redraw.soon()

    def _units(self) -> Mapping[str, str]:
        return {**self._live.units, **self._rows.units, **self._model.streams.units}

    def _wanted(self) -> list[str]:
        known = self._units()
        ordered = [c for c in FIRST if c in known] + [c for c in known if c not in FIRST]
        if self._chosen is not None:
            return [channel for channel in ordered if channel in self._chosen]
        return [channel for channel in ordered if channel in FIRST][:SHOWN_AT_FIRST]

    def _draw(self) -> None:
        wanted = self._wanted()
        if tuple(wanted) != self.channels:
            self._rebuild(wanted)
        histories = {channel: self._history(channel) for channel in self._strips}
        self._choose_unit(max((t[-1] for t, _ in histories.values() if t.size), default=0.0))
        for channel, strip in self._strips.items():
            time_s, value = histories[channel]
            strip.show(time_s / _SECONDS[self._unit], value)
        self._meaning.setText("run time" if self._model.is_open else "since the window looks on")
        self._show_cross()

    def _choose_unit(self, last_s: float) -> None:
        """Count long runs in hours; a view that somebody zoomed keeps its unit."""
        unit = "h" if last_s > LONGEST_IN_MINUTES_s else "min"
        if unit != self._unit and all(strip.plot.is_auto for strip in self._strips.values()):
            self._unit = unit
            self._label_time()

    def _label_time(self) -> None:
        """Write what the time axis is under the last strip only."""
        for channel, strip in self._strips.items():
            strip.plot.set_x_axis("time", self._unit)
            strip.plot.hide_x_axis(is_hidden=channel != self.channels[-1])

    def _history(self, channel: str) -> Series:
        """Return the run's readings, and behind them those that came with rows and live since."""
        streams = self._model.streams.of(channel)
        if not self._model.is_open:
            return self._live.since_first(channel)
        if not self._model.is_running or self._model.head is None:
            return streams
        live = self._live.of(channel, self._model.head.utc_s)
        return _continued(_continued(streams, self._rows.of(channel)), live)

    def _rebuild(self, wanted: list[str]) -> None:
        for channel in [c for c in self._strips if c not in wanted]:
            plot = self._strips.pop(channel).plot
            plot.setParent(None)
            plot.deleteLater()
        kept = self._strips
        self._strips = {}
        for place, channel in enumerate(wanted):
            self._strips[channel] = kept.get(channel) or self._new_strip(channel)
            self._split.insertWidget(place, self._strips[channel].plot)
        plots = [strip.plot for strip in self._strips.values()]
        for plot in plots[1:]:
            plot.view.setXLink(plots[0].view)
        self._label_time()

    def _new_strip(self, channel: str) -> "_Strip":
        strip = _Strip(channel, self._units()[channel])
        strip.plot.clicked.connect(lambda x, _: self._on_click(x))
        return strip

    def _show_cross(self) -> None:
        point = self._cursor.point
        at_s = self._model.rows.start_s[point] if self._model.holds(point) else np.nan
        for strip in self._strips.values():
            strip.plot.show_cross(float(at_s / _SECONDS[self._unit]))

    def _on_click(self, time: float) -> None:
        start_s = self._model.rows.start_s
        if np.isfinite(start_s).any():
            self._cursor.set_point(int(np.nanargmin(np.abs(start_s - _SECONDS[self._unit] * time))))

    def _fill_menu(self) -> None:
        self._menu.clear()
        for channel in self._units():
            action = QAction(channel, self._menu)
            action.setCheckable(True)
            action.setChecked(channel in self._strips)
            action.toggled.connect(lambda on, channel=channel: self._toggle(channel, is_on=on))
            self._menu.addAction(action)

    def _toggle(self, channel: str, *, is_on: bool) -> None:
        shown = set(self.channels)
        self.show_channels(shown | {channel} if is_on else shown - {channel})


def _continued(first: Series, then: Series) -> Series:
    """Return the first, and behind it what is newer."""
    (time_s, value), (then_s, then_value) = first, then
    from_s = time_s[-1] if time_s.size else -np.inf
    start = int(np.searchsorted(then_s, from_s, side="right"))
    return np.concatenate([time_s, then_s[start:]]), np.concatenate([value, then_value[start:]])


class _Strip:
    """One channel: its plot, and above it its name and latest value in words."""

    def __init__(self, channel: str, unit: str) -> None:
        self._unit = unit
        self._words = channel.removesuffix(f"_{_SUFFIXES.get(unit, unit)}").replace("_", " ")
        self._latest = ElidedLabel("")
        self.plot = Plot("", "", unit, "", name=channel)
        TextWidth(self.plot, lines=5)
        self.plot.offer_log(False)
        self.plot.tools.insertWidget(0, self._latest, 1)
        self.plot.tools.setContentsMargins(6, 0, 0, 0)
        self._curve = self.plot.curve(channel, Role.DATA)
        self._curve.item.setDownsampling(auto=True, method="peak")
        self._curve.item.setClipToView(True)

    def show(self, time: Array, value: Array) -> None:
        self._curve.show(time, value)
        latest = float(value[-1]) if value.size else None
        self._latest.setText(f"{self._words}   {value_text(latest, self._unit)}")

    @property
    def text(self) -> str:
        return self._latest.text()


class _LiveReadings:
    """Readings of the snapshots, by UTC; of the last hours only."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._log = StreamLog()
        self._last_utc: dict[str, float] = {}
        self._first_utc = np.nan

    @property
    def units(self) -> Mapping[str, str]:
        return self._log.units

    def take(self, snapshot: Snapshot) -> None:
        """Keep what is newer than what is there."""
        for reading in snapshot.readings:
            if reading.utc <= self._last_utc.get(reading.channel, -np.inf):
                continue
            self._last_utc[reading.channel] = reading.utc
            self._first_utc = np.fmin(self._first_utc, reading.utc)
            value = np.nan if reading.value is None else reading.value
            self._log.put(
                StreamBatch(
                    reading.channel, reading.unit, np.array([reading.utc]), np.array([value])
                )
            )
        self._log.forget_before(snapshot.utc - LONGEST_LIVE_s)

    def of(self, channel: str, utc_s: float) -> Series:
        """Return run time and value, where utc_s is run time 0."""
        utc, value = self._log.of(channel)
        return utc - utc_s, value

    def since_first(self, channel: str) -> Series:
        utc, value = self._log.of(channel)
        return utc - self._first_utc, value

"""The panels as docks, and where they stand in each perspective until the user moves them."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from PyQt6.QtCore import QObject, QSize, Qt, QTimer
from PyQt6.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSplitter,
    QWidget,
)

from gui.threads.background_imports import BackgroundImports
from gui.widgets.dock_title import DockTitle

__all__ = ["Panel", "PanelDocks", "Perspective", "Place"]


LOOK_ms = 20
SETTLE_ms, SETTLE_LOOKS = 100, 20
ABOUT = 0.03  # of the window: what a column may differ from its share
SMALLEST_px, USUAL_px = 80, 200


class Perspective(Enum):
    """What the window is used for at the moment."""

    ALIGN = "align"
    SWEEP = "sweep"
    BROWSE = "browse"


class Place(Enum):
    """Where a panel stands; several in one place are tabs, the first in front."""

    LEFT = "left"
    LEFT_LOWER = "left lower"
    CENTRE = "centre"
    CENTRE_LOWER = "centre lower"
    CENTRE_LOWER_RIGHT = "centre lower right"
    RIGHT = "right"
    RIGHT_LOWER = "right lower"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class Panel:
    """One line of the window's table.

    make: "module:Class", within gui. needs: which of link, model, cursor and log its constructor
    takes, in that order. align, sweep, browse: where it stands; without a place it is closed.
    """

    key: str
    title: str
    make: str
    needs: str
    align: Place | None = None
    sweep: Place | None = None
    browse: Place | None = None

    @property
    def module(self) -> str:
        return f"gui.{self.make.split(':')[0]}"

    def load(self) -> Callable[..., QWidget]:
        """Return the panel's class."""
        found: Callable[..., QWidget] = getattr(
            importlib.import_module(self.module), self.make.split(":")[1]
        )
        return found

    @property
    def home(self) -> Place:
        """Where it is put in a perspective in which it has no place."""
        return self.align or self.sweep or self.browse or Place.CENTRE

    def place(self, perspective: Perspective) -> Place | None:
        """Return where it stands in the perspective."""
        return {
            Perspective.ALIGN: self.align,
            Perspective.SWEEP: self.sweep,
            Perspective.BROWSE: self.browse,
        }[perspective]


Build = Callable[[Panel], QWidget]


class PanelDocks(QObject):
    """Docks for every panel; a panel is built when its dock is seen for the first time.

    What it is made of is loaded by a thread, so that the window answers meanwhile: fits and plots
    take seconds to load on a machine that was just switched on.
    """

    def __init__(self, window: QMainWindow, panels: Iterable[Panel], build: Build) -> None:
        super().__init__(window)
        self._window = window
        self._imports = BackgroundImports()
        self._waiting = QTimer(self)
        self._waiting.setInterval(LOOK_ms)
        self._waiting.timeout.connect(self._look)
        self._build = build
        self._columns: Mapping[Place, list[QDockWidget]] = {}
        self._heights = _HEIGHTS
        self._sizing = QTimer(window)  # sizes hold only once the docks are laid out
        self._sizing.setSingleShot(True)
        self._sizing.timeout.connect(self._size)
        self._settling = QTimer(window)  # for a while: tabs that come to the front undo them
        self._settling.setInterval(SETTLE_ms)
        self._settling.timeout.connect(self._settle)
        self._looks_left = 0
        self._wanted: list[str] = []
        self._latest: QDockWidget | None = None  # that had the keyboard
        self.built: dict[str, QWidget] = {}
        self.panels = {panel.key: panel for panel in panels}
        self.docks = {key: self._dock(panel) for key, panel in self.panels.items()}

    def widget(self, key: str) -> QWidget | None:
        """Return a panel that was built already."""
        return self.built.get(key)

    def need(self, key: str) -> QWidget:
        """Return a panel, built now if nobody has seen it yet."""
        self._fill(key)
        return self.built[key]

    def reveal(self, key: str) -> None:
        """Bring a panel to the front and give it the keyboard."""
        dock = self.docks[key]
        self._latest = dock
        dock.show()
        dock.raise_()
        self.need(key).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def float_focused(self) -> None:
        """Let the panel that has the keyboard float, or stand in the window again."""
        if (dock := self._focused()) is not None:
            dock.setFloating(not dock.isFloating())

    def close_focused(self) -> None:
        """Close the panel that has the keyboard."""
        if (dock := self._focused()) is not None:
            dock.close()

    def resize_focused(self, *, width_px: int = 0, height_px: int = 0) -> None:
        """Give the panel that has the keyboard more room, or less, in the window or floating."""
        if (dock := self._focused()) is None:
            return
        if dock.isFloating():
            dock.resize(dock.width() + width_px, dock.height() + height_px)
            return
        self._settling.stop()  # from now on the sizes are the user's
        if width_px:
            self._window.resizeDocks([dock], [dock.width() + width_px], _H)
        if height_px:
            self._window.resizeDocks([dock], [dock.height() + height_px], _V)

    def move_focused(self) -> None:
        """Put the panel that has the keyboard as a tab to the next place: right, then down."""
        if (dock := self._focused()) is None:
            return
        beside = {dock, *self._window.tabifiedDockWidgets(dock)}
        fronts = [
            one
            for one in self.docks.values()
            if one not in beside and not one.isFloating() and not one.visibleRegion().isEmpty()
        ]
        if not fronts:
            return
        self._settling.stop()
        fronts.sort(key=_reading_order)
        onwards = [one for one in fronts if _reading_order(one) > _reading_order(dock)]
        dock.setFloating(False)
        self._window.tabifyDockWidget((onwards or fronts)[0], dock)
        self.reveal(dock.objectName())  # and let it keep the keyboard

    def shift_divider(self, shift_px: int) -> None:
        """Move the divider nearest to the keyboard in the panel that has it."""
        if (dock := self._focused()) is None:
            return
        focus = QApplication.focusWidget()
        splitters = dock.findChildren(QSplitter)
        near = [one for one in splitters if focus is not None and one.isAncestorOf(focus)]
        for splitter in near[-1:] or splitters[:1]:
            sizes = splitter.sizes()
            splitter.setSizes([sizes[0] + shift_px, sizes[1] - shift_px, *sizes[2:]])

    def _focused(self) -> QDockWidget | None:
        focus = QApplication.focusWidget() or self._window.focusWidget()
        docks = self.docks.values()
        found = next((d for d in docks if focus is not None and d.isAncestorOf(focus)), None)
        self._latest = found or self._latest
        return self._latest

    def arrange(self, perspective: Perspective) -> None:
        """Put every panel where it stands in this perspective."""
        for dock in self.docks.values():
            self._window.removeDockWidget(dock)
        columns: dict[Place, list[QDockWidget]] = {place: [] for place in Place}
        for key, panel in self.panels.items():
            place = panel.place(perspective)
            if place is not None:
                columns[place].append(self.docks[key])
        for lower, upper, _ in _SPLITS:
            if not columns[upper]:
                columns[upper], columns[lower] = columns[lower], []
        self._stand(columns)
        for docks in columns.values():
            for dock in docks[1:]:
                self._window.tabifyDockWidget(docks[0], dock)
        for docks in columns.values():
            for dock in docks:
                dock.setFloating(False)
                dock.show()
            if docks:
                docks[0].raise_()
        self._put_away(perspective, columns)
        self._columns = columns
        self._heights = _HEIGHTS_ALIGN if perspective is Perspective.ALIGN else _HEIGHTS
        self._sizing.start()
        self._looks_left = SETTLE_LOOKS
        self._settling.start()

    def leave(self) -> None:
        """Build nothing more: the window closes."""
        for timer in (self._waiting, self._sizing, self._settling):
            timer.stop()
        for dock in self.docks.values():
            dock.visibilityChanged.disconnect()

    def _stand(self, columns: Mapping[Place, list[QDockWidget]]) -> None:
        """Put the first dock of each place where it stands; the others become its tabs.

        The row at the bottom is laid while there is one column only: later it would stand below
        that column instead of below all.
        """
        row = [columns[place][0] for place in _COLUMNS if columns[place]]
        for dock in (*row[:1], *columns[Place.BOTTOM][:1]):
            self._window.addDockWidget(_AREA, dock, _V)
        for left, right in pairwise(row):
            self._window.splitDockWidget(left, right, _H)
        for place, anchor, orientation in _SPLITS:
            if columns[place] and columns[anchor]:
                self._window.splitDockWidget(columns[anchor][0], columns[place][0], orientation)

    def _put_away(
        self, perspective: Perspective, columns: Mapping[Place, list[QDockWidget]]
    ) -> None:
        """Close the panels of other perspectives as tabs where they stand there.

        Left outside they would lie over the others when shown, and a layout that is remembered
        would bring all of them.
        """
        stood = {place: docks for place, docks in columns.items() if docks}
        for key, panel in self.panels.items():
            if panel.place(perspective) is None and stood:
                docks = stood.get(panel.home, next(iter(stood.values())))
                self._window.tabifyDockWidget(docks[0], self.docks[key])
                self.docks[key].hide()

    def _size(self) -> None:
        """Give each column and row its share of the window."""
        for orientation, length, shares in (
            (_H, self._window.width(), _WIDTHS),
            (_V, self._window.height(), self._heights),
        ):
            columns = self._columns
            stood = [(columns[place], share) for place, share in shares if columns[place]]
            sized = [(_front(docks), int(length * share)) for docks, share in stood]
            if sized:
                firsts, sizes = zip(*sized, strict=True)
                self._window.resizeDocks(list(firsts), list(sizes), orientation)

    def _settle(self) -> None:
        """Size them again where they are not: Qt lays them out when it finds the time."""
        self._looks_left -= 1
        width = self._window.width()
        columns = [(self._columns.get(place), share) for place, share in _WIDTHS]
        if any(
            docks and abs(_front(docks).width() - width * share) > ABOUT * width
            for docks, share in columns
        ):
            self._size()
        if not self._looks_left:
            self._settling.stop()

    def _dock(self, panel: Panel) -> QDockWidget:
        dock = QDockWidget(panel.title, self._window)
        dock.setObjectName(panel.key)
        dock.setAccessibleName(panel.title)
        dock.setTitleBarWidget(DockTitle(dock))
        dock.setWidget(_Frame())
        dock.visibilityChanged.connect(lambda seen: self._want(panel.key) if seen else None)
        self._window.addDockWidget(_AREA, dock)
        dock.hide()
        return dock

    def _want(self, key: str) -> None:
        """Build a panel now where its module is there, else as soon as a thread has loaded it."""
        if key in self.built:
            return
        if self._imports.has(self.panels[key].module):
            self._fill(key)
            return
        self._wanted.append(key)
        self._imports.want(self.panels[key].module)
        self._waiting.start()

    def _look(self) -> None:
        """Build one panel whose module has come; the window answers in between."""
        ready = [key for key in self._wanted if self._imports.has(self.panels[key].module)]
        for key in ready[:1]:
            self._wanted.remove(key)
            self._fill(key)
        if not self._wanted:
            self._waiting.stop()

    def _fill(self, key: str) -> None:
        if key in self.built:
            return
        self.built[key] = self._build(self.panels[key])
        frame = self.docks[key].widget()
        assert isinstance(frame, _Frame)  # noqa: S101 - made with the dock
        frame.setWidget(self.built[key])


def _reading_order(dock: QDockWidget) -> tuple[int, int]:
    return dock.y(), dock.x()


def _front(docks: Sequence[QDockWidget]) -> QDockWidget:
    """Return which of the tabs in one place is seen."""
    return next((dock for dock in docks if not dock.visibleRegion().isEmpty()), docks[0])


class _Frame(QScrollArea):
    """Where a panel scrolls if its dock is small; "loading…" until it is there.

    Its size is the dock's alone: a panel that comes, or comes to the front, moves no other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumSize(SMALLEST_px, SMALLEST_px)
        awaited = QLabel("loading…")
        awaited.setAlignment(Qt.AlignmentFlag.AlignCenter)
        awaited.setForegroundRole(awaited.palette().ColorRole.PlaceholderText)
        self.setWidget(awaited)

    def sizeHint(self) -> QSize:
        return QSize(USUAL_px, USUAL_px)


_AREA = Qt.DockWidgetArea.LeftDockWidgetArea  # without a centre, one area is the whole window
_H, _V = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
_COLUMNS = (Place.LEFT, Place.CENTRE, Place.RIGHT)
_SPLITS = (
    (Place.LEFT_LOWER, Place.LEFT, _V),
    (Place.CENTRE_LOWER, Place.CENTRE, _V),
    (Place.CENTRE_LOWER_RIGHT, Place.CENTRE_LOWER, _H),
    (Place.RIGHT_LOWER, Place.RIGHT, _V),
)
_WIDTHS = ((Place.LEFT, 0.28), (Place.CENTRE, 0.42), (Place.RIGHT, 0.30))
_HEIGHTS: tuple[tuple[Place, float], ...] = (
    (Place.LEFT, 0.42),
    (Place.LEFT_LOWER, 0.36),
    (Place.CENTRE, 0.42),
    (Place.CENTRE_LOWER, 0.36),
    (Place.RIGHT, 0.46),
    (Place.RIGHT_LOWER, 0.32),
    (Place.BOTTOM, 0.22),
)
_HEIGHTS_ALIGN = tuple(
    (place, {Place.RIGHT: 0.41, Place.RIGHT_LOWER: 0.37}.get(place, share))
    for place, share in _HEIGHTS
)  # a map needs room, a number less

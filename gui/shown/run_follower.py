"""Which run and which point are looked at: those of the engine, until the user looks elsewhere."""

from pathlib import Path

from PyQt6.QtCore import QObject

from acquisition.channel.messages import Mode, Snapshot
from gui.link.engine_link import EngineLink
from gui.shown.cursor import NOWHERE, Cursor
from gui.shown.run_model import RunModel

__all__ = ["RunFollower"]


class RunFollower(QObject):
    """Opens each run as it begins, and keeps the cursor at its newest point.

    A step of the cursor by hand ends that; `to_latest` begins it again.
    """

    def __init__(
        self, link: EngineLink, model: RunModel, cursor: Cursor, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._link = link
        self._model = model
        self._cursor = cursor
        self._is_following = True
        self._led_to = NOWHERE  # where we have put the cursor ourselves
        self._run = ""
        self._before: tuple[Path, bool, int] | None = None  # shown before what is being opened
        link.snapshot.connect(self._on_snapshot)
        model.opened.connect(self._forget_before)
        model.failed.connect(lambda _: self._go_back())
        model.loaded.connect(self._on_loaded)
        model.rows_changed.connect(self._on_rows)
        cursor.point_changed.connect(self._on_point)

    @property
    def is_following(self) -> bool:
        return self._is_following

    @property
    def shows_run_of_engine(self) -> bool:
        """Whether the run shown is the one the engine has in hand."""
        latest = self._link.latest
        return (
            latest is not None
            and bool(latest.run_folder)
            and self._model.path == Path(latest.run_folder)
        )

    def open(self, path: Path) -> None:
        """Show what the user has chosen; where that can't be read, what was shown goes on."""
        shown = self._model.path
        if shown is not None and self._model.is_open:
            self._before = shown, self._is_following, self._cursor.point
        self._is_following = False
        self._cursor.set_point(NOWHERE)
        self._model.open(path)

    def _forget_before(self) -> None:
        self._before = None

    def _go_back(self) -> None:
        """Show again, once, what was shown: it is no longer read since something else was asked."""
        if self._before is None:
            return
        path, is_following, point = self._before
        self._before = None
        self._model.open(path)
        self._lead(point)
        self._is_following = is_following

    def step(self, by: int) -> None:
        """Move the cursor by hand."""
        self.go(self._cursor.point + by)

    def go(self, point: int) -> None:
        """Put the cursor on a point by hand."""
        if self._model.size:
            self._is_following = False
            self._cursor.set_point(min(max(point, 0), self._model.size - 1))

    def to_latest(self) -> None:
        """Put the cursor on the newest point and keep it there."""
        point = next((p for p in reversed(range(self._model.size)) if self._model.holds(p)), None)
        self._is_following = True
        if point is not None:
            self._lead(point)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        """Open a run of the engine once, when it begins or when we come to it.

        Of one that is over a window that comes later shows what happened, if nothing else is shown.
        """
        is_wanted = self._is_following and self._model.path is None
        is_new = snapshot.run_folder not in ("", self._run)
        if is_new and (snapshot.mode is Mode.RUNNING or is_wanted):
            self._run = snapshot.run_folder
            self._is_following = True
            self._cursor.set_point(NOWHERE)
            self._model.open(Path(snapshot.run_folder))

    def _on_loaded(self) -> None:
        if self._is_following:
            self.to_latest()
        if self._cursor.point == NOWHERE and self._model.size:
            self._lead(0)

    def _on_rows(self, rows: list[int]) -> None:
        held = [row for row in rows if self._model.holds(row)]
        if self._is_following and held:
            self._lead(held[-1])

    def _lead(self, point: int) -> None:
        self._led_to = point
        self._cursor.set_point(point)

    def _on_point(self, point: int) -> None:
        if point not in (self._led_to, NOWHERE):
            self._is_following = False

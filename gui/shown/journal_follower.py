"""A run's journal read along while it grows: one thread, its own read-only connection.

Every query is short and nothing is written: the run does not notice. News go out in pieces that
the window can take between two frames of the screen.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gui.shown.shown_run import Detail, RunHead, RunNews

if TYPE_CHECKING:
    from gui.shown.journal_reading import JournalReading

__all__ = ["JournalFollower"]

logger = logging.getLogger(__name__)

LOOK_S = 0.5  # where nobody says that there is something new
PIECES = 4  # of news on their way: a long run is not read faster than it is shown


class JournalFollower:
    """Hands over the head, then news until it is told to end; `failed` with a text ends it.

    The functions are called in this thread: signals of Qt are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        opened: Callable[[RunHead], None],
        news: Callable[[RunNews], None],
        detail: Callable[[Detail], None],
        failed: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._opened, self._news, self._detail, self._failed = opened, news, detail, failed
        self._on_their_way = threading.Semaphore(PIECES)
        self._wake = threading.Event()
        self._end = threading.Event()
        self._for_old_fits = False
        self._wanted: deque[int] = deque(maxlen=1)
        self._thread = threading.Thread(
            target=self._run, name=f"journal {folder.name}", daemon=True
        )
        self._thread.start()

    def look(self, *, for_old_fits: bool = False) -> None:
        """Look for news at once; for_old_fits: also where fits were missing long ago."""
        self._for_old_fits |= for_old_fits
        self._wake.set()

    def want(self, point: int) -> None:
        """Ask for the detail of one row; of several that wait, the last is read."""
        self._wanted.append(point)
        self._wake.set()

    def took(self) -> None:
        """Say that a piece of news was taken."""
        self._on_their_way.release()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Tell the thread to end."""
        self._end.set()
        self._wake.set()
        self._on_their_way.release()

    def join(self) -> None:
        """Wait until it has ended, which takes one query at most."""
        self._thread.join()

    def _run(self) -> None:
        try:
            # imported here: the window is usable before all of it is loaded
            from acquisition.storage.journal import JournalReader  # noqa: PLC0415
            from gui.shown.journal_reading import JournalReading  # noqa: PLC0415

            with JournalReader(self._folder) as reader:
                self._follow(JournalReading(reader))
        except Exception as error:  # whatever a damaged journal throws is said in its place
            logger.info("%s can't be read", self._folder, exc_info=True)
            if not self._end.is_set():
                self._failed(_sentence(self._folder, error))

    def _follow(self, reading: "JournalReading") -> None:
        self._opened(reading.head())
        while not self._end.is_set():
            self._wake.clear()
            self._look_into(reading)
            if self._for_old_fits:
                self._for_old_fits = False
                reading.look_for_old_fits()
            for news in reading.news():
                self._on_their_way.acquire()
                self._news(news)
                self._look_into(reading)
                if self._end.is_set():
                    return
            self._wake.wait(LOOK_S)

    def _look_into(self, reading: "JournalReading") -> None:
        if self._wanted and (detail := reading.detail(self._wanted.popleft())) is not None:
            self._detail(detail)


def _sentence(folder: Path, error: Exception) -> str:
    text = str(error)
    return text if str(folder) in text else f"{folder}: can't be read: {text}"

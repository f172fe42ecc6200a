"""What was said, in order; what repeats is counted instead of shown again."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from acquisition.channel.messages import Said
from acquisition.storage.record import Level
from gui.look.wording import homely

__all__ = ["Entry", "MessageLog"]

LONGEST = 5000
AT_ONCE = 500  # taken between two frames of the screen; of a burst of thousands, the rest follows
JOINED_WITHIN_s = 600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One message and how often it came."""

    said: Said  # as it came last
    count: int = 1
    first_utc: float = 0.0

    @property
    def is_blocking(self) -> bool:
        """Whether a person must see it: the run is affected, not only the data."""
        return self.said.level is Level.ERROR

    def as_text(self) -> str:
        """Return all of it, to be copied."""
        said = self.said
        lines = [f"{said.level.value}: {said.text}"]
        for label, value in (
            ("device", said.device),
            ("what was done", said.done),
            ("what to do", said.advice),
            ("code", said.code),
        ):
            if value:
                lines.append(f"{label}: {value}")
        if self.count > 1:
            lines.append(f"{self.count} times")
        return "\n".join(lines)


class MessageLog(QObject):
    """The messages of one window.

    added: place of a new entry. repeated: place of an entry whose count rose. blocked: an entry
    that a person must see. cleared: everything before is gone.
    """

    added = pyqtSignal(int)
    repeated = pyqtSignal(int)
    blocked = pyqtSignal(object)
    cleared = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Entry] = []
        self._places: dict[tuple[Level, str, str, str], int] = {}
        self._waiting: deque[tuple[Said, bool]] = deque()  # and whether it is news
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.timeout.connect(self._take_some)

    @property
    def entries(self) -> list[Entry]:
        return self._entries

    def take(self, said: Iterable[Said]) -> None:
        """Add messages as they come."""
        self._waiting.extend((one, True) for one in said)
        self._take_some()

    def recall(self, said: Iterable[Said]) -> None:
        """Add messages of the past: they are listed, and block nothing."""
        self._waiting.extend((one, False) for one in said)
        self._take_some()

    def clear(self) -> None:
        self._waiting.clear()
        self._entries.clear()
        self._places.clear()
        self.cleared.emit()

    def _take_some(self) -> None:
        if self._next.isActive():
            return  # in their order
        for _ in range(min(AT_ONCE, len(self._waiting))):
            said, is_news = self._waiting.popleft()
            self._take(said, is_news=is_news)
        if self._waiting:
            self._next.start(0)

    def _take(self, said: Said, *, is_news: bool) -> None:
        said = replace(said, text=homely(said.text))
        key = (said.level, said.code, said.device, said.text)
        place = self._places.get(key)
        if place is not None and said.utc - self._entries[place].said.utc <= JOINED_WITHIN_s:
            entry = self._entries[place]
            if said.utc == entry.said.utc:
                return  # the same one, heard again from the journal
            self._entries[place] = replace(entry, said=said, count=entry.count + 1)
            self.repeated.emit(place)
        else:
            self._add(key, Entry(said, first_utc=said.utc))
            place = self._places[key]
        if is_news and self._entries[place].is_blocking:
            self.blocked.emit(self._entries[place])

    def _add(self, key: tuple[Level, str, str, str], entry: Entry) -> None:
        if len(self._entries) >= LONGEST:
            self._forget(LONGEST // 5)
        self._entries.append(entry)
        self._places[key] = len(self._entries) - 1
        self.added.emit(len(self._entries) - 1)

    def _forget(self, count: int) -> None:
        del self._entries[:count]
        self._places = {key: at - count for key, at in self._places.items() if at >= count}
        self.cleared.emit()

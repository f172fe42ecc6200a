"""The runs in a station's folder: what each is called, how far it came, what was noted."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from acquisition.channel.engine_status import Safety
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_folder import JOURNAL
from gui.shown.run_phase import phase_of
from gui.shown.shown_run import RunPhase

__all__ = ["Note", "RunEntry", "RunsOnDisk"]


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote into a run, and when (UTC)."""

    utc: float
    text: str


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run folder. phase is None and trouble says why where it can't be read.

    safe: what the last end said of the safe state.
    """

    folder: Path
    title: str = ""
    sample: str = ""
    created_utc: float = 0.0
    planned: int = 0
    accepted: int = 0
    phase: RunPhase | None = None
    ended: str = ""
    safe: str = ""
    notes: tuple[Note, ...] = ()
    trouble: str = ""

    @property
    def is_unsafe(self) -> bool:
        """Return whether the last end could not confirm the safe state."""
        return self.safe.startswith(Safety.NOT_CONFIRMED.value)

    def matches(self, typed: str) -> bool:
        """Return whether every typed word occurs in what is known of the run."""
        known = " ".join(
            (
                self.folder.name,
                self.title,
                self.sample,
                "" if self.phase is None else self.phase.value,
                self.ended,
                self.safe,
                *(note.text for note in self.notes),
            )
        ).lower()
        return all(word in known for word in typed.lower().split())


class RunsOnDisk:
    """Reads what has changed since the last look; not for use from several threads at once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], RunEntry]] = {}

    def look(self, root: Path) -> tuple[RunEntry, ...]:
        """Return the runs below the folder, the newest first; none where there is no folder."""
        folders = sorted(
            (path.parent for path in _journals(root)), key=lambda path: path.name, reverse=True
        )
        return tuple(self._entry(folder) for folder in folders)

    def _entry(self, folder: Path) -> RunEntry:
        stamp = _stamp(folder)
        known = self._known.get(folder)
        may_have_died = known is not None and known[1].phase is RunPhase.RUNNING
        if known is None or known[0] != stamp or may_have_died:
            known = (stamp, _read(folder))
            self._known[folder] = known
        return known[1]


def _journals(root: Path) -> Iterable[Path]:
    # year, day, run; and runs that somebody has copied beside each other
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        yield from root.glob(f"{depth}{JOURNAL}")


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes whenever the journal does."""
    stamps = []
    for name in (JOURNAL, f"{JOURNAL}-wal"):
        try:
            status = (folder / name).stat()
        except OSError:
            continue  # no log beside a sealed journal
        if status.st_size:  # an empty log is left by whoever reads, so by ourselves
            stamps += [status.st_mtime_ns, status.st_size]
    return tuple(stamps)


def _read(folder: Path) -> RunEntry:
    try:
        with JournalReader(folder) as reader:
            events = [event for _, event in reader.events()]
            progress = reader.progress()
            return RunEntry(
                folder=folder,
                title=reader.meta.title,
                sample=reader.meta.sample,
                created_utc=reader.meta.created_utc,
                planned=progress.planned,
                accepted=progress.accepted,
                phase=phase_of(reader),
                ended=next((e.text for e in reversed(events) if e.code == "finished"), ""),
                safe=next((e.text for e in reversed(events) if e.code == "safe state"), ""),
                notes=tuple(Note(e.utc, e.text) for e in events if e.code == "note"),
            )
    except Exception as error:  # one damaged run must not hide the others
        return RunEntry(folder, trouble=str(error))

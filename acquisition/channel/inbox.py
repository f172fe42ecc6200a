"""Commands from other processes: small files that appear whole in the run's folder.

A door writes `inbox/<time>_<number>.json` by rename; the engine takes it, and removes it once it is
in its queue. No socket, no lock, and nothing is lost if nobody listens.
"""

import logging
import uuid
from collections.abc import Sequence
from pathlib import Path

from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.storage.journal import Journal, JournalReader
from acquisition.storage.record import Event, Level
from drivers.clock import Clock, RealClock

__all__ = ["Inbox", "deliver", "post"]

logger = logging.getLogger(__name__)

FOLDER = "inbox"
LOOK_S = 0.5  # of real time
LONGEST_BYTES = 65_536


def post(run_folder: Path, command: Command) -> Path:
    """Leave a command for the run in this folder. Raises OSError if that can't be written."""
    inbox = run_folder / FOLDER
    inbox.mkdir(exist_ok=True)
    microseconds = round(RealClock().utc() * 1e6)
    name = f"{microseconds:020d}_{uuid.uuid4().hex}"
    unfinished, letter = inbox / f".{name}", inbox / f"{name}.json"
    unfinished.write_text(command.to_json(), encoding="utf-8")
    unfinished.rename(letter)
    return letter


def deliver(run_folder: Path, command: Command) -> None:
    """Post the command to a running run; write a note into one that has ended.

    Raises StorageError where there is no run, ValueError where nobody would hear the command.
    """
    with JournalReader(run_folder) as reader:
        events = [event for _, event in reader.events()]
        now_s = reader.last_time_s()
    if not _has_ended(events):
        post(run_folder, command)
    elif command.verb is Verb.NOTE:
        with Journal.open(run_folder) as journal:
            details = {"sender": command.sender, "verb": command.verb.value}
            utc = RealClock().utc()
            journal.note(events=(Event(now_s, utc, Level.INFO, "note", command.text, details),))
    else:
        raise ValueError(f"{run_folder}: has ended: nobody would {command.verb.value}")


def _has_ended(events: Sequence[Event]) -> bool:
    codes = [event.code for event in events if event.code in ("segment", "finished")]
    return codes[-1:] == ["finished"]


class Inbox:
    """The engine's side: looks twice a second of real time. Nothing in it ends a run."""

    def __init__(self, run_folder: Path, queue: CommandQueue, real_clock: Clock) -> None:
        self._folder = run_folder / FOLDER
        self._queue = queue
        self._clock = real_clock
        self._next_s = 0.0
        self._taken: set[str] = set()
        self._folder.mkdir(exist_ok=True)

    def drop_old(self) -> None:
        """Put aside what was meant for an earlier segment, except for notes."""
        for letter in self._letters():
            command = self._read(letter)
            if command is not None and command.verb is not Verb.NOTE:
                logger.warning("%s came too late: %s", letter.name, command.verb.value)
                self._remove(letter)

    def look(self) -> None:
        """Take what has arrived, oldest first; what is not a command is put aside with a reason."""
        now = self._clock.now()
        if now < self._next_s:
            return
        self._next_s = now + LOOK_S
        for letter in self._letters():
            if (command := self._read(letter)) is not None:
                self._queue.put(command)
                self._remove(letter)

    def _letters(self) -> list[Path]:
        try:
            found = sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError as error:
            logger.warning("no commands can be taken: %s", error)
            return []
        return [letter for letter in found if letter.name not in self._taken]

    def _read(self, letter: Path) -> Command | None:
        try:
            with letter.open("rb") as file:
                text = file.read(LONGEST_BYTES).decode("utf-8")
            return Command.from_json(text)
        except (ValueError, KeyError, RecursionError, OSError) as error:
            logger.warning("%s is not a command: %s", letter.name, error)
            self._taken.add(letter.name)
            return None

    def _remove(self, letter: Path) -> None:
        self._taken.add(letter.name)
        try:
            letter.unlink()
        except OSError as error:
            logger.warning("%s can't be removed: %s", letter.name, error)

"""Commands from other processes: small files that appear whole in the run's folder.

A door writes `inbox/<number>.json` by rename; the engine takes it, and removes it once it is in
its queue. No socket, no lock, and nothing is lost if nobody listens.
"""

import logging
import os
import uuid
from pathlib import Path

from acquisition.commands import Command, CommandQueue
from drivers.clock import Clock

__all__ = ["Inbox", "post"]

logger = logging.getLogger(__name__)

FOLDER = "inbox"
LOOK_S = 0.5  # of real time
LONGEST_BYTES = 65_536


def post(run_folder: Path, command: Command) -> Path:
    """Leave a command for the run in this folder. Raises OSError if that can't be written."""
    inbox = run_folder / FOLDER
    inbox.mkdir(exist_ok=True)
    name = uuid.uuid4().hex
    unfinished, letter = inbox / f".{name}", inbox / f"{name}.json"
    unfinished.write_text(command.to_json(), encoding="utf-8")
    unfinished.rename(letter)
    return letter


class Inbox:
    """The engine's side: looks twice a second of real time."""

    def __init__(self, run_folder: Path, queue: CommandQueue, real_clock: Clock) -> None:
        self._folder = run_folder / FOLDER
        self._queue = queue
        self._clock = real_clock
        self._next_s = 0.0
        self._folder.mkdir(exist_ok=True)

    def look(self) -> None:
        """Take what has arrived, oldest first; what is not a command is put aside with a reason."""
        now = self._clock.now()
        if now < self._next_s:
            return
        self._next_s = now + LOOK_S
        letters = [e for e in os.scandir(self._folder) if e.name.endswith(".json")]
        for letter in sorted(letters, key=lambda e: e.stat().st_mtime_ns):
            self._take(Path(letter.path))

    def _take(self, letter: Path) -> None:
        try:
            with letter.open("rb") as file:
                text = file.read(LONGEST_BYTES).decode("utf-8")
            self._queue.put(Command.from_json(text))
        except (ValueError, KeyError) as error:
            logger.warning("%s is not a command: %s", letter.name, error)
            letter.rename(letter.with_suffix(".refused"))
        else:
            letter.unlink()

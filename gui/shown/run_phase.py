"""Whether a run goes on, was broken off or has ended: from its journal and its writer's process."""

import os
import re
import socket
import sys
from pathlib import Path

from acquisition.storage.journal import JournalReader
from gui.shown.shown_run import RunPhase

__all__ = ["TURNS", "is_being_written", "phase_after", "phase_of"]

TURNS = ("segment", "finished")  # the events after which a run goes on, or does not
_WRITER = ".writer"
_HOLDER = re.compile(r"pid (\d+) on (\S+)")


def phase_of(reader: JournalReader) -> RunPhase:
    """Return what became of the run."""
    return phase_after(reader.last_code(*TURNS) or "segment", reader)


def phase_after(code: str, reader: JournalReader) -> RunPhase:
    """Return the same, where `code` is the last of the events in TURNS."""
    if code == "finished":
        progress = reader.progress()
        is_complete = progress.accepted == progress.planned
        return RunPhase.COMPLETE if is_complete else RunPhase.INCOMPLETE
    return RunPhase.RUNNING if is_being_written(reader.folder) else RunPhase.INTERRUPTED


def is_being_written(folder: Path) -> bool:
    """Return whether the process that took the right to write still lives on this machine.

    The lock itself is not tried: for that moment nobody else could take it.
    """
    try:
        with (folder / _WRITER).open("rb") as file:
            found = _HOLDER.match(file.read(200).decode(errors="replace"))
    except OSError:
        return False
    return found is not None and found[2] == socket.gethostname() and _is_alive(int(found[1]))


if sys.platform == "win32":
    import ctypes

    _QUERY_LIMITED, _STILL_ACTIVE = 0x1000, 259  # winnt.h, minwinbase.h

    def _is_alive(pid: int) -> bool:
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_QUERY_LIMITED, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == _STILL_ACTIVE
else:

    def _is_alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

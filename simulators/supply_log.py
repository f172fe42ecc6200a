"""The supply's own account of what it did, for a checker in another process.

One JSON object per line: time_s, programmed_V, terminal_V, event. Every line is handed to the
operating system at once, so that it survives whatever is killed.
"""

import json
from pathlib import Path

from simulators.bias_circuit import BiasLogEntry

__all__ = ["SupplyLog"]


class SupplyLog(list[BiasLogEntry]):
    """Takes the place of the log of a bias circuit, and appends each entry to a file as well."""

    def __init__(self, path: Path, entries: list[BiasLogEntry]) -> None:
        super().__init__()
        self._file = path.open("a", encoding="utf-8", buffering=1)
        for entry in entries:
            self.append(entry)

    def append(self, entry: BiasLogEntry) -> None:
        super().append(entry)
        names = ("time_s", "programmed_V", "terminal_V", "event")
        self._file.write(json.dumps(dict(zip(names, entry, strict=True))) + "\n")

    def close(self) -> None:
        self._file.close()

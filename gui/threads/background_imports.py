"""Load modules beside the window: numbers and plots take seconds on a machine just switched on."""

import importlib
import sys
import threading
from queue import Empty, SimpleQueue

__all__ = ["BackgroundImports"]


class BackgroundImports:
    """One thread at a time that imports, one module after the other, and knows nothing of Qt."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._tried: set[str] = set()
        self._thread: threading.Thread | None = None

    def want(self, module: str) -> None:
        """Import the module soon."""
        self._asked.put(module)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="load panels", daemon=True)
            self._thread.start()

    def has(self, module: str) -> bool:
        """Return whether an import of the module would not wait any more."""
        found = sys.modules.get(module)
        spec = getattr(found, "__spec__", None)
        is_loaded = found is not None and not getattr(spec, "_initializing", False)
        return is_loaded or module in self._tried

    def _work(self) -> None:
        while True:
            try:
                module = self._asked.get_nowait()
            except Empty:
                return
            try:
                importlib.import_module(module)
            finally:  # whoever wants it meets the error himself, and can show it
                self._tried.add(module)

"""pymeasure instruments over any of our lines."""

import re
from collections.abc import Callable
from typing import Any

from pymeasure.adapters import Adapter

from drivers.line import ANYTHING, RETRIES, Line

__all__ = ["FullMatch", "LineAdapter"]


class LineAdapter(Adapter):  # type: ignore[misc] # pymeasure is untyped
    """Let an unmodified pymeasure instrument talk over a Line, with its rules and its errors.

    is_question: which messages have a reply.
    """

    def __init__(
        self, line: Line, is_question: Callable[[str], bool] = lambda message: "?" in message
    ) -> None:
        super().__init__()
        self.line = line
        self._is_question = is_question
        self._unread = b""

    def close(self) -> None:
        self.line.close()

    def __del__(self) -> None:
        """Leave the line open: whoever opened it closes it, not the garbage collector."""

    def _write(self, command: str, **_: Any) -> None:
        if self._is_question(command):
            self.line.start(command)
        else:
            self.line.tell(command)

    def _read(self, reply: re.Pattern[str] = ANYTHING, retries: int = RETRIES, **_: Any) -> str:
        return self.line.finish(reply, retries)

    def _write_bytes(self, content: bytes, **_: Any) -> None:
        self.line.send(content)

    def _read_bytes(self, count: int, break_on_termchar: bool, **_: Any) -> bytes:
        content = self._unread or self.line.receive(self.line.timeout_s) or b""
        end = len(content) if count < 0 else count
        self._unread = content[end:]
        return content[:end]

    def flush_read_buffer(self) -> None:
        self._unread = b""
        self.line.resync()


class FullMatch:
    """Mixin for instruments and channels: a property may state the whole form of its reply.

    `values_kwargs={"reply": PATTERN}`: anything else counts as garbled and is asked again, where
    pymeasure alone would hand on a string in place of a number.
    """

    def ask(self: Any, command: str, query_delay: float | None = None, **how: Any) -> str:
        self.write(command)
        self.wait_for(query_delay)
        reply: str = self.read(**how)
        return reply

"""A link to a process of our own, over its pipes, that can be killed when it hangs."""

import json
import subprocess
import sys
from collections.abc import Sequence
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO

from drivers.errors import LinkClosed

__all__ = ["ProcessLink"]

FAREWELL_S = 2.0  # to close its camera, before it is killed


class ProcessLink:
    """Starts a Python module at the first message; replies are a JSON line and raw bytes behind it.

    A reply is returned as the line, LF, and the bytes. `reset` kills the process, and the next
    message starts it anew.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.address = f"{module} {' '.join(arguments)}"
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: Thread | None = None
        self._replies: Queue[bytes | None] = Queue()

    def send(self, message: bytes) -> None:
        """Send one line. Raises LinkClosed if the process is gone."""
        process = self._process or self._start()
        assert process.stdin is not None  # noqa: S101 - it was started with pipes
        try:
            process.stdin.write(message)
            process.stdin.flush()
        except OSError as error:
            self.reset()
            raise LinkClosed(self.address, f"the process is gone: {error}") from error

    def poll(self, timeout_s: float) -> bytes | None:
        """Return the next reply, or None if none came in time. Raises LinkClosed."""
        try:
            reply = (
                self._replies.get(timeout=timeout_s) if timeout_s else self._replies.get_nowait()
            )
        except Empty:
            return None
        if reply is None:
            self.reset()
            raise LinkClosed(self.address, "the process ended")
        return reply

    def reset(self) -> None:
        """Kill the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self._reap(process)

    def close(self) -> None:
        """Let the process close its camera, and kill it if it doesn't; twice is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        try:
            process.stdin.close()
            process.wait(FAREWELL_S)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
        self._reap(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._replies = Queue()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise LinkClosed(self.address, f"cannot start: {error}") from error
        assert process.stdout is not None  # noqa: S101
        self._reader = Thread(
            target=_read, args=(process.stdout, self._replies), name=self.address, daemon=True
        )
        self._reader.start()
        self._process = process
        return process

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        if self._reader is not None:
            self._reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was never read on the other side
                    continue


def _read(pipe: BinaryIO, replies: "Queue[bytes | None]") -> None:
    """Cut the output into replies; None at its end, or where it is no longer one of ours."""
    try:
        for line in pipe:
            size = int(json.loads(line)["bytes"])
            replies.put(line + pipe.read(size))
    except (ValueError, KeyError, TypeError, OSError):
        pass  # the end that is put below says it
    finally:
        replies.put(None)

"""What all links over a stream of bytes have in common."""

from abc import ABC, abstractmethod

from drivers.clock import RealClock
from drivers.errors import LinkClosed
from drivers.line_lock import LineLock
from drivers.link import Framing

__all__ = ["StreamLink"]

REAL = RealClock()  # timeouts of the operating system are real time, whatever the clock


class StreamLink(ABC):
    """Cut a stream of bytes into replies. Timeouts are real time, the operating system's."""

    def __init__(self, address: str, framing: Framing) -> None:
        self.address = address
        self._framing = framing
        self._received = bytearray()
        self._is_open = False
        self._lock: LineLock | None = None

    def send(self, message: bytes) -> None:
        """Send the bytes. Raises LinkClosed."""
        self._require_open()
        try:
            self._write(message)
        except OSError as error:
            raise self._lost(error) from error

    def poll(self, timeout_s: float) -> bytes | None:
        """Return the next complete reply, or None if none came in time. Raises LinkClosed."""
        self._require_open()
        deadline = REAL.now() + timeout_s
        while (reply := self._framing.split(self._received)) is None:
            try:
                arrived = self._read(max(0.0, deadline - REAL.now()))
            except OSError as error:
                raise self._lost(error) from error
            if not arrived:
                return None
            self._received += arrived
        return reply

    def reset(self) -> None:
        """Forget what was received; connect again if the line was lost. Raises LinkClosed."""
        if not self._is_open:
            self.open()
        while self.poll(0.0) is not None:
            pass
        self._received.clear()

    def open(self) -> None:
        """Connect, for this program alone. Raises LinkClosed, with the holder's name if in use."""
        try:
            lock = LineLock(self._place())
            lock.acquire()
        except OSError as error:
            raise LinkClosed(self.address, f"cannot lock: {error}") from error
        try:
            self._connect()
        except OSError as error:
            lock.release()
            raise LinkClosed(self.address, f"cannot connect: {error}") from error
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        self._is_open = True

    def close(self) -> None:
        """Let go of the line; closing twice is harmless."""
        if self._is_open:
            self._is_open = False
            self._received.clear()
            try:
                self._disconnect()
            finally:
                self._unlock()

    def _place(self) -> str:
        """Return what only one program may hold. Raises OSError if it is not there."""
        return self.address

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _require_open(self) -> None:
        if not self._is_open:
            raise LinkClosed(self.address, "not connected")

    def _lost(self, error: OSError) -> LinkClosed:
        self.close()
        return LinkClosed(self.address, str(error) or type(error).__name__)

    @abstractmethod
    def _connect(self) -> None: ...

    @abstractmethod
    def _disconnect(self) -> None: ...

    @abstractmethod
    def _write(self, message: bytes) -> None: ...

    @abstractmethod
    def _read(self, timeout_s: float) -> bytes:
        """Return what has arrived, b"" if nothing did in time. Raises OSError at the end."""

"""An action that was started and is not yet done."""

from collections.abc import Callable

__all__ = ["Status"]


class Status:
    """The outcome of a started action, named as in bluesky; it advances when polled.

    `advance` asks the instrument and returns True once the action is done; what it raises becomes
    the exception of this status.
    """

    def __init__(self, action: str, advance: Callable[[], bool]) -> None:
        self.action = action
        self._advance = advance
        self._exception: Exception | None = None
        self._callbacks: list[Callable[[Status], None]] = []
        self.done = False

    @classmethod
    def finished(cls, action: str) -> "Status":
        """Return a status that is done and successful."""
        status = cls(action, lambda: True)
        status.poll()
        return status

    @property
    def success(self) -> bool:
        return self.done and self._exception is None

    def exception(self, timeout: float | None = 0.0) -> Exception | None:
        """Return what went wrong, None while running or after success. Never waits."""
        return self._exception

    def add_callback(self, callback: "Callable[[Status], None]") -> None:
        """Call back with this status when it is done; at once if it is already."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def poll(self) -> bool:
        """Advance once without waiting and return whether the action is done."""
        if not self.done:
            try:
                finished = self._advance()
            except Exception as error:  # kept, and raised by check()
                self._exception, finished = error, True
            if finished:
                self._finish()
        return self.done

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._exception is not None:
            raise self._exception

    def _finish(self) -> None:
        self.done = True
        for callback in self._callbacks:
            callback(self)
        self._callbacks.clear()

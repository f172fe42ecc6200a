"""One thing that is moved by hand: where it shall be, where it is, what it does."""

from collections.abc import Callable
from math import isfinite

from acquisition.bias.bias_core import BiasRefused
from acquisition.channel.messages import Movable, MoveState, MoveStatus
from drivers.errors import DeviceError
from drivers.status import Status

__all__ = ["HandMove", "Refused"]

Begin = Callable[[float], Status]
Read = Callable[[], float | None]


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """What was asked is not done, and why."""


class HandMove:
    """Starts, polls and stops one quantity; every call returns within one I/O timeout.

    begin: starts the way to a value, or by a step where `movable` is relative. halt: stops it.
    read: the latest known place, without asking an instrument. device: what moves; one thing at a
    time.
    """

    def __init__(
        self, movable: Movable, device: str, begin: Begin, *, halt: Callable[[], None], read: Read
    ) -> None:
        self.movable = movable
        self.device = device
        self._begin = begin
        self._halt = halt
        self._read = read
        self._status: Status | None = None
        self._state = MoveState.RESTING
        self._target: float | None = None
        self._text = ""

    @property
    def is_moving(self) -> bool:
        return self._status is not None

    @property
    def target(self) -> float | None:
        return self._target

    def go(self, value: float) -> None:
        """Start moving to a value. Raises Refused, DeviceError."""
        self._check(value)
        if self.movable.is_relative:
            place = self._read()
            if place is None:
                raise Refused(f"{self.movable.label}: where it stands is not known; jog it")
            self._start(value - place, value)
        else:
            self._start(value, value)

    def jog(self, step: float) -> None:
        """Start moving by a step from where it is, or from where it is going.

        Raises Refused, DeviceError.
        """
        place = self._target if self.is_moving else self._read()
        if place is None and not self.movable.is_relative:
            raise Refused(f"{self.movable.label}: where it stands is not known")
        if not isfinite(step):
            raise Refused(f"{self.movable.label}: a step of {step} is none")
        if place is not None:
            self._check(place + step)
        self._start(
            step if self.movable.is_relative else (place or 0.0) + step,
            None if place is None else place + step,
        )

    def advance(self) -> bool:
        """Poll once; return whether a move has just ended. Never raises: the status says it."""
        if self._status is None or not self._status.poll():
            return False
        error = self._status.exception()
        self._status = None
        self._state = MoveState.RESTING if error is None else MoveState.FAILED
        self._text = "" if error is None else str(error)
        return True

    def stop(self) -> None:
        """Stop short of the target; harmless at rest. Raises DeviceError."""
        if self._status is not None:
            self._halt()
            self._status, self._state, self._text = None, MoveState.STOPPED, "stopped by hand"

    def report(self) -> MoveStatus:
        """Return how it stands."""
        text = self._status.action if self._status is not None else self._text
        return MoveStatus(self.movable.quantity, self._state, self._target, self._read(), text)

    def _start(self, value: float, target: float | None) -> None:
        try:
            self._status = self._begin(value)
        except (DeviceError, BiasRefused) as error:
            raise Refused(f"{self.movable.label}: {error}") from error
        self._state, self._target, self._text = MoveState.MOVING, target, ""

    def _check(self, value: float) -> None:
        movable = self.movable
        if movable.choices:
            if value not in movable.choices.values():
                allowed = ", ".join(
                    f"{name} ({number:g})" for name, number in movable.choices.items()
                )
                raise Refused(f"{movable.label} {value:g}: allowed {allowed}")
        elif not movable.lower <= value <= movable.upper:  # NaN is outside
            raise Refused(
                f"{movable.label} {value:.6g} {movable.unit}: allowed {movable.lower:.6g} to "
                f"{movable.upper:.6g} {movable.unit} ({movable.limits_from})"
            )

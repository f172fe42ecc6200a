"""Where an axis without an encoder stands: its steps, counted and multiplied by their length."""

from drivers.roles import Positioner
from drivers.status import Status

__all__ = ["DeadReckoning"]

PLACE_DIGITS = 6  # in um: there and back again is 0, not 2e-16


class DeadReckoning:
    """Moves one axis by ways and adds up how far it got, from 0 on.

    forward, backward: length of a step, in the unit of the ways; a piezo's differ.
    """

    def __init__(
        self, positioner: Positioner, axis: str, *, forward: float, backward: float
    ) -> None:
        self._positioner = positioner
        self._axis = axis
        self._forward = forward
        self._backward = backward
        self._place = 0.0
        self._is_under_way = False
        self._length, self._begun = forward, 0.0  # of the latest move: a step, the count before

    @property
    def place(self) -> float | None:
        """Where the axis stands; None while it moves."""
        return None if self._is_under_way else self._place

    def begin(self, way: float) -> Status:
        """Start moving by a way. Raises DeviceError."""
        self._length = self._forward if way > 0 else self._backward
        self._begun = self._count()
        stepping = self._positioner.move_by(self._axis, round(way / self._length))
        self._is_under_way = True

        def is_there() -> bool:
            if stepping.poll():
                stepping.check()
                self._arrive()
                return True
            return False

        return Status(stepping.action, is_there)

    def halt(self) -> None:
        """Stop, and count as many steps as the controller had time for. Raises DeviceError."""
        self._positioner.stop()
        self._arrive()

    def _arrive(self) -> None:
        way = (self._count() - self._begun) * self._length
        self._place = round(self._place + way, PLACE_DIGITS)
        self._is_under_way = False

    def _count(self) -> float:
        return self._positioner.read()[f"steps_{self._axis}"].value

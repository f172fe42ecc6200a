"""One cursor for all views of a window: a row of the point table and a photon energy."""

from math import isfinite

from PyQt6.QtCore import QObject, pyqtSignal

__all__ = ["NOWHERE", "Cursor"]

NOWHERE = -1


class Cursor(QObject):
    """Where the person looks. A signal comes only when the place really changed."""

    point_changed = pyqtSignal(int)
    energy_changed = pyqtSignal(float)
    go_asked = pyqtSignal(int)  # somebody wants to go where this row was measured

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._point = NOWHERE
        self._energy_eV = float("nan")

    @property
    def point(self) -> int:
        """The row of the point table, NOWHERE without one."""
        return self._point

    @property
    def energy_eV(self) -> float:
        """The photon energy, NaN without one."""
        return self._energy_eV

    def set_point(self, point: int) -> None:
        if point != self._point:
            self._point = point
            self.point_changed.emit(point)

    def ask_to_go(self, point: int) -> None:
        """Offer to move the instruments to where this row was measured; nothing moves by this."""
        self.set_point(point)
        self.go_asked.emit(point)

    def set_energy(self, energy_eV: float) -> None:
        if isfinite(energy_eV) and energy_eV != self._energy_eV:
            self._energy_eV = energy_eV
            self.energy_changed.emit(energy_eV)

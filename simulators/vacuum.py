"""The pressure around the sample."""

from math import exp

from simulators.truth import VacuumTruth

__all__ = ["Vacuum"]

ATMOSPHERE_MBAR = 1013.0


class Vacuum:
    """Pumped towards its base pressure; leak_mbar_per_s is a fault that a test sets."""

    def __init__(self, truth: VacuumTruth) -> None:
        self._truth = truth
        self.pressure_mbar = truth.start_mbar
        self.leak_mbar_per_s = 0.0

    def step(self, dt: float) -> None:
        """Advance by one step of the plant: exact for a constant leak."""
        truth = self._truth
        end_mbar = truth.base_mbar + self.leak_mbar_per_s * truth.pump_time_s
        if self.pressure_mbar != end_mbar:
            remains = exp(-dt / truth.pump_time_s)
            pressure_mbar = end_mbar + remains * (self.pressure_mbar - end_mbar)
            self.pressure_mbar = min(pressure_mbar, ATMOSPHERE_MBAR)

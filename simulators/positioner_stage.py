"""The sample on its slip-stick positioners: where it really is, which no instrument measures.

A step is longer at a larger drive and at a higher temperature, longer one way than the other, and
never twice the same; below a threshold the stage does not slip at all. Afterwards it creeps. Each
step leaves a little heat, which the world brings to the sample stage.
"""

from dataclasses import dataclass
from math import exp, log1p

import numpy as np

__all__ = ["PositionerStage", "StageProperties"]

ROOM_K = 300.0


@dataclass(frozen=True, slots=True)
class StageProperties:
    """Of every axis alike.

    step_300K_um: at 60 V and room temperature; cold_share: of that, near 0 K at the same drive.
    threshold_V: at room temperature, and how much more it takes near 0 K.
    """

    step_300K_um: float = 0.5
    cold_share: float = 0.1
    reference_V: float = 60.0
    threshold_V: float = 15.0
    threshold_cold_V: float = 20.0
    asymmetry: float = 0.15  # backward steps are shorter by this
    spread: float = 0.08  # standard deviation of one step
    creep: float = 0.02  # of the last way, per e-fold of time
    creep_time_s: float = 10.0
    capacitance_300K_nF: float = 1000.0
    capacitance_cold_share: float = 0.25


class PositionerStage:
    """One axis."""

    def __init__(self, properties: StageProperties, random: np.random.Generator) -> None:
        self.properties = properties
        self._random = random
        self._position_um = 0.0
        self._last_way_um = 0.0
        self._stopped_s = 0.0

    def position_um(self, now: float) -> float:
        """Return where the axis really stands."""
        properties = self.properties
        since_s = max(now - self._stopped_s, 0.0)
        crept = properties.creep * self._last_way_um * log1p(since_s / properties.creep_time_s)
        return self._position_um + crept

    def step_um(self, voltage_V: float, temperature_K: float) -> float:
        """Return the mean forward step."""
        properties = self.properties
        warmth = 1.0 - exp(-3.0 * temperature_K / ROOM_K)
        threshold_V = properties.threshold_V + properties.threshold_cold_V * (1.0 - warmth)
        share = properties.cold_share + (1.0 - properties.cold_share) * warmth
        drive = (voltage_V - threshold_V) / (properties.reference_V - properties.threshold_V)
        return properties.step_300K_um * share * max(drive, 0.0)

    def step(self, steps: int, voltage_V: float, temperature_K: float, now: float) -> None:
        """Make steps at once; negative ones go backward."""
        mean_um = self.step_um(voltage_V, temperature_K)
        if steps < 0:
            mean_um *= 1.0 - self.properties.asymmetry
        spread_um = mean_um * self.properties.spread * abs(steps) ** 0.5
        way_um = mean_um * steps + spread_um * float(self._random.standard_normal())
        self._position_um = self.position_um(now) + way_um
        self._last_way_um, self._stopped_s = way_um, now

    def capacitance_nF(self, temperature_K: float) -> float:
        """Return what the piezo has at a temperature."""
        properties = self.properties
        warmth = 1.0 - exp(-3.0 * temperature_K / ROOM_K)
        share = properties.capacitance_cold_share
        return properties.capacitance_300K_nF * (share + (1.0 - share) * warmth)

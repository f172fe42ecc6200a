"""What wanders in the nanocrystal while it absorbs light: energy, field, charge, brightness.

Everything runs on the dose, s of excitation at standard power: diffusion and hops are driven by
the light. The trajectory is a function of the dose alone, on a grid of its own and at moments
drawn in advance, so it does not depend on how often anyone looks.
"""

from math import exp, inf, sqrt

import numpy as np

from simulators.noise import Exponentials, Normals
from simulators.truth import FluctuationTruth

__all__ = ["Fluctuations", "Moment", "OrnsteinUhlenbeck", "Telegraph"]

# share of the dose in s, energy shift in meV, extra field in kV/cm, charged, dim
Moment = tuple[float, float, float, bool, bool]
LONGEST_CELL_S = 1.0


class OrnsteinUhlenbeck:
    """A stationary Gaussian process with exponential memory, exact on a grid of cells."""

    def __init__(self, sigma: float, memory: float, random: Normals) -> None:
        self._random = random
        self._memory = memory
        self._kick = sigma * sqrt(1.0 - memory * memory)
        self.value = sigma * next(random)

    def next_cell(self) -> None:
        """Go on by one cell."""
        self.value = self._memory * self.value + self._kick * next(self._random)


class Telegraph:
    """Two states with exponential dwell times; starts in equilibrium."""

    def __init__(
        self, up_rate_per_s: float, down_rate_per_s: float, seed: np.random.SeedSequence
    ) -> None:
        choice, dwell = seed.spawn(2)
        self._rates = (up_rate_per_s, down_rate_per_s)
        self._dwell = Exponentials(dwell)
        total = up_rate_per_s + down_rate_per_s
        draw = float(np.random.default_rng(choice).random())
        self.is_up = total > 0.0 and draw < up_rate_per_s / total
        self.until_s = self._dwell_s()

    def switch(self) -> None:
        """Change the state; it lasts from until_s to the new until_s."""
        self.is_up = not self.is_up
        self.until_s += self._dwell_s()

    def _dwell_s(self) -> float:
        rate = self._rates[1] if self.is_up else self._rates[0]
        wait = next(self._dwell)
        return wait / rate if rate > 0.0 else inf


class Fluctuations:
    """The trajectory of one nanocrystal."""

    def __init__(self, truth: FluctuationTruth, seed: np.random.SeedSequence) -> None:
        energy, field, jump, dim, charge = seed.spawn(5)
        self._truth = truth
        self.cell_s = min(truth.correlation_time_s / 20.0, LONGEST_CELL_S)
        memory = exp(-self.cell_s / truth.correlation_time_s)
        self._energy = OrnsteinUhlenbeck(truth.energy_sigma_meV, memory, Normals(energy))
        self._field = OrnsteinUhlenbeck(truth.field_sigma_kV_per_cm, memory, Normals(field))
        self._jump = Telegraph(truth.jump_rate_per_s, truth.jump_rate_per_s, jump)
        self._dim = Telegraph(truth.dim_rate_per_s, truth.bright_rate_per_s, dim)
        self._charge = Telegraph(*_charging(truth), charge)
        self._telegraphs = (self._jump, self._dim, self._charge)
        self._cell = 0
        self.dose_s = 0.0

    def expose(self, dose_s: float) -> list[Moment]:
        """Absorb a dose; return the pieces of it in which nothing changed."""
        end_s = self.dose_s + dose_s
        moments: list[Moment] = []
        while True:
            cell_end_s = (self._cell + 1) * self.cell_s
            until_s = min(cell_end_s, *(telegraph.until_s for telegraph in self._telegraphs))
            if until_s > end_s:
                break
            moments.append(self._moment(until_s - self.dose_s))
            self.dose_s = until_s
            self._pass(until_s, cell_end_s)
        if end_s > self.dose_s:
            moments.append(self._moment(end_s - self.dose_s))
            self.dose_s = end_s
        return moments

    def _moment(self, share_s: float) -> Moment:
        half_jump_meV = 0.5 * self._truth.jump_meV if self._truth.jump_rate_per_s > 0.0 else 0.0
        energy_meV = self._energy.value + (half_jump_meV if self._jump.is_up else -half_jump_meV)
        return share_s, energy_meV, self._field.value, self._charge.is_up, self._dim.is_up

    def _pass(self, until_s: float, cell_end_s: float) -> None:
        if until_s == cell_end_s:
            self._cell += 1
            self._energy.next_cell()
            self._field.next_cell()
        for telegraph in self._telegraphs:
            if telegraph.until_s == until_s:
                telegraph.switch()


def _charging(truth: FluctuationTruth) -> tuple[float, float]:
    neutralise = 1.0 / truth.trion_episode_s
    return neutralise * truth.trion_fraction / (1.0 - truth.trion_fraction), neutralise

"""What wanders in the nanocrystal while it absorbs light: energy, field, charge, brightness.

Everything runs on the dose, s of excitation at standard power: diffusion and hops are driven by
the light. The trajectory is a function of the dose alone, on a grid of its own and at moments
drawn in advance, so it does not depend on how often anyone looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from math import exp, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from simulators.noise import exponentials, normals
from simulators.truth import FluctuationTruth

__all__ = ["Fluctuations", "Moments", "OrnsteinUhlenbeck", "Telegraph"]

Floats = NDArray[np.float64]
LONGEST_CELL_S = 1.0
CELLS = 256  # drawn at once


@dataclass(frozen=True, slots=True)
class Moments:
    """A stretch of dose in pieces in which nothing changed: n + 1 edges in s, then (n,) each.

    energy_meV and field_kV_per_cm come on top of what they are without fluctuations.
    """

    edges_s: Floats
    energy_meV: Floats
    field_kV_per_cm: Floats
    is_charged: NDArray[np.bool_]
    is_dim: NDArray[np.bool_]


class OrnsteinUhlenbeck:
    """A stationary Gaussian process with exponential memory, exact on a grid of cells."""

    def __init__(self, sigma: float, memory: float, random: Iterator[float]) -> None:
        kick = sigma * sqrt(1.0 - memory * memory)
        self._values = accumulate(
            random, lambda value, draw: memory * value + kick * draw, initial=sigma * next(random)
        )

    def cells(self, number: int) -> Floats:
        """Return the values in the next cells."""
        return np.fromiter(islice(self._values, number), float, number)


class Telegraph:
    """Two states with exponential dwell times; starts in equilibrium."""

    def __init__(
        self, up_rate_per_s: float, down_rate_per_s: float, seed: np.random.SeedSequence
    ) -> None:
        choice, dwell = seed.spawn(2)
        self._rates = (up_rate_per_s, down_rate_per_s)
        self._dwell = exponentials(dwell)
        total = up_rate_per_s + down_rate_per_s
        draw = float(np.random.default_rng(choice).random())
        self.is_up = total > 0.0 and draw < up_rate_per_s / total
        self._until_s = self._dwell_s()

    def switches_until(self, end_s: float) -> list[float]:
        """Go on to a dose and return those at which the state changed on the way."""
        switches = []
        while self._until_s <= end_s:
            switches.append(self._until_s)
            self.is_up = not self.is_up
            self._until_s += self._dwell_s()
        return switches

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
        self._energy = OrnsteinUhlenbeck(truth.energy_sigma_meV, memory, normals(energy))
        self._field = OrnsteinUhlenbeck(truth.field_sigma_kV_per_cm, memory, normals(field))
        self._jump = Telegraph(truth.jump_rate_per_s, truth.jump_rate_per_s, jump)
        self._dim = Telegraph(truth.dim_rate_per_s, truth.bright_rate_per_s, dim)
        self._charge = Telegraph(*_charging(truth), charge)
        self._cells = 0
        self._known = self._next_block()

    def between(self, start_s: float, end_s: float) -> Moments:
        """Return what happens from one dose to another; doses asked for never go back."""
        while self._known.edges_s[-1] < end_s:
            self._known = _joined(_part(self._known, start_s, inf), self._next_block())
        return _part(self._known, start_s, end_s)

    def _next_block(self) -> Moments:
        cells_s = self.cell_s * np.arange(self._cells, self._cells + CELLS + 1)
        self._cells += CELLS
        was_up = [telegraph.is_up for telegraph in (self._jump, self._charge, self._dim)]
        switches = [
            telegraph.switches_until(cells_s[-1])
            for telegraph in (self._jump, self._charge, self._dim)
        ]
        edges_s = np.unique(np.concatenate([cells_s, *switches]))
        starts_s = edges_s[:-1]
        jumped, charged, dim = (
            (np.searchsorted(each, starts_s, "right") + up) % 2 == 1
            for each, up in zip(switches, was_up, strict=True)
        )
        cell = np.searchsorted(cells_s, starts_s, "right") - 1
        half_jump_meV = 0.5 * self._truth.jump_meV if self._truth.jump_rate_per_s > 0.0 else 0.0
        return Moments(
            edges_s,
            self._energy.cells(CELLS)[cell] + np.where(jumped, half_jump_meV, -half_jump_meV),
            self._field.cells(CELLS)[cell],
            charged,
            dim,
        )


def _part(moments: Moments, start_s: float, end_s: float) -> Moments:
    """Return what lies between two doses, both within or beyond the moments."""
    edges_s = moments.edges_s
    first = max(int(np.searchsorted(edges_s, start_s, "right")) - 1, 0)
    last = min(int(np.searchsorted(edges_s, end_s, "left")), edges_s.size - 1)
    kept = slice(first, max(last, first))
    return Moments(
        np.clip(edges_s[first : kept.stop + 1], start_s, end_s),
        moments.energy_meV[kept],
        moments.field_kV_per_cm[kept],
        moments.is_charged[kept],
        moments.is_dim[kept],
    )


def _joined(one: Moments, other: Moments) -> Moments:
    """Return two sets of moments as one, the other beginning where the one ends."""
    return Moments(
        np.concatenate([one.edges_s[:-1], other.edges_s]),
        np.concatenate([one.energy_meV, other.energy_meV]),
        np.concatenate([one.field_kV_per_cm, other.field_kV_per_cm]),
        np.concatenate([one.is_charged, other.is_charged]),
        np.concatenate([one.is_dim, other.is_dim]),
    )


def _charging(truth: FluctuationTruth) -> tuple[float, float]:
    neutralise = 1.0 / truth.trion_episode_s
    return neutralise * truth.trion_fraction / (1.0 - truth.trion_fraction), neutralise

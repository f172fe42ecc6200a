"""The electrical circuit behind the bias supply, and the supply's own log of the truth.

    source -- series resistor --+-- cable capacitance
                                +-- gap: leakage R(T), and an arc once it broke down

The source holds its voltage, or its current limit where that binds. Between two events the gap
voltage is an exponential, so it is evaluated in closed form at any time and nothing is stepped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import exp, inf, log

import numpy as np

from simulators.noise import normals
from simulators.truth import BiasTruth

__all__ = ["BiasCircuit", "BiasLogEntry", "OffState", "leakage_ohm"]

BOLTZMANN_EV_PER_K = 8.617333e-5
REFERENCE_K = 5.5  # until the first step of the plant
ARC_S = 1e-3  # an arc pulls the gap down at once

BiasLogEntry = tuple[float, float, float, str]  # time s, programmed V, terminal V, event


class OffState(Enum):
    """What the supply connects while its output is off."""

    NORMAL = "normal"  # a source of 0 V with the limit in force: it discharges the gap
    HIGH_IMPEDANCE = "high impedance"  # a relay opens: the gap keeps its charge
    GUARD = "guard"  # a source of 0 A: the gap keeps its charge


def leakage_ohm(truth: BiasTruth, temperature_K: float) -> float:
    """Return the resistance of the gap: a cold limit, thermally activated above."""
    scale = truth.leakage_activation_eV / BOLTZMANN_EV_PER_K
    activation = exp(min(scale * (1.0 / max(temperature_K, 1.0) - 1.0 / 300.0), 600.0))
    return 1.0 / (1.0 / truth.leakage_cold_ohm + 1.0 / (truth.leakage_300K_ohm * activation))


@dataclass(frozen=True, slots=True)
class _Source:
    """What drives the circuit: a voltage behind a resistor, limited in current; or nothing."""

    voltage_V: float
    limit_A: float
    is_connected: bool


@dataclass(frozen=True, slots=True)
class _Circuit:
    series_ohm: float
    gap_ohm: float
    cable_F: float

    def gap_after(self, gap_V: float, source: _Source, dt: float) -> float:
        """Return the gap voltage after dt, through the moment where the limit lets go."""
        leak_s = self.gap_ohm * self.cable_F
        if not source.is_connected:
            return gap_V * exp(-dt / leak_s)
        drop_V = source.limit_A * self.series_ohm
        if abs(source.voltage_V - gap_V) > drop_V:
            sign = 1.0 if source.voltage_V > gap_V else -1.0
            towards_V = sign * source.limit_A * self.gap_ohm
            free_V = source.voltage_V - sign * drop_V  # where the limit no longer binds
            free_s = _time_to_reach(gap_V, free_V, towards_V, leak_s)
            if dt <= free_s:
                return towards_V + (gap_V - towards_V) * exp(-dt / leak_s)
            gap_V, dt = free_V, dt - free_s
        final_V = source.voltage_V * self.gap_ohm / (self.gap_ohm + self.series_ohm)
        charge_s = leak_s * self.series_ohm / (self.gap_ohm + self.series_ohm)
        return final_V + (gap_V - final_V) * exp(-dt / charge_s)

    def current_A(self, gap_V: float, source: _Source) -> float:
        """Return the current out of the source, into capacitance and leakage."""
        if not source.is_connected:
            return 0.0
        wanted_A = (source.voltage_V - gap_V) / self.series_ohm
        return min(max(wanted_A, -source.limit_A), source.limit_A)


def _time_to_reach(start_V: float, goal_V: float, towards_V: float, time_s: float) -> float:
    """Return when an exponential from start towards its limit passes a goal; inf if never."""
    if (goal_V - start_V) * (towards_V - goal_V) <= 0.0:
        return 0.0 if goal_V == start_V else inf
    return time_s * log((towards_V - start_V) / (towards_V - goal_V))


class BiasCircuit:
    """Supply terminals and gap. All voltages carry the supply's sign, before the wiring.

    Faults: breakdown_V (None: never), fail_insulation, and ignite for an arc out of nowhere.
    """

    def __init__(
        self,
        truth: BiasTruth,
        seed: np.random.SeedSequence,
        clock: Callable[[], float],
        before_change: Callable[[], None],
    ) -> None:
        self._truth = truth
        self._noise = normals(seed)
        self._clock = clock
        self._before_change = before_change
        self.programmed_V = 0.0
        self.output_on = False
        self.current_limit_A = 105e-6
        self.range_V = 20.0
        self.off_state = OffState.NORMAL
        self.is_arcing = False
        self.breakdown_V = truth.breakdown_V
        self._fault_ohm = inf
        self.log: list[BiasLogEntry] = []
        self._temperature_K = REFERENCE_K
        self._circuit = self._present_circuit()
        self._source = self._present_source()
        self._anchor_s = 0.0
        self._anchor_V = 0.0

    def set_source(
        self,
        voltage_V: float,
        output_on: bool,
        current_limit_A: float,
        range_V: float,
        off_state: OffState = OffState.NORMAL,
    ) -> None:
        """Make this the state of the supply from now on, and log what changed.

        Changing the range with the output on sends a spike through the terminals.
        """
        event = self._event(voltage_V, output_on, current_limit_A, range_V, off_state)
        if not event:
            return
        self._before_change()
        self._anchor(self._clock())
        spike_V = self._spike_V(range_V) if output_on and self.output_on else 0.0
        self.programmed_V = voltage_V
        self.output_on = output_on
        self.current_limit_A = current_limit_A
        self.range_V = range_V
        self.off_state = off_state
        self._source = self._present_source()
        if spike_V:
            self._send_spike(spike_V)
        if abs(self._source.voltage_V) < self._truth.arc_holding_V:
            self.is_arcing = False
            self._circuit = self._present_circuit()
        self._note(event)

    def gap_voltage_V(self) -> float:
        """Return the voltage across the gap, behind the series resistor."""
        return self._gap_V(self._clock())

    def terminal_voltage_V(self) -> float:
        """Return the voltage at the supply's terminals: collapsed where the limit binds."""
        gap_V = self.gap_voltage_V()
        return gap_V + self._circuit.current_A(gap_V, self._source) * self._truth.series_ohm

    def current_A(self) -> float:
        """Return the current out of the supply: C dV/dt and leakage."""
        return self._circuit.current_A(self.gap_voltage_V(), self._source)

    def measured_voltage_V(self) -> float:
        """Return the terminal voltage with the meter's noise."""
        return self.terminal_voltage_V() + self._truth.voltage_noise_V * next(self._noise)

    def measured_current_A(self) -> float:
        """Return the current with the meter's noise."""
        return self.current_A() + self._truth.current_noise_A * next(self._noise)

    def in_compliance(self) -> bool:
        """Return whether the current limit holds the voltage down."""
        source = self._source
        wanted_V = abs(source.voltage_V - self.gap_voltage_V())
        drop_V = source.limit_A * self._truth.series_ohm
        return source.is_connected and wanted_V > drop_V * (1.0 + 1e-9)

    def ignite(self) -> None:
        """Strike an arc across the gap now; it burns while the source holds it."""
        self._before_change()
        self._anchor(self._clock())
        self._strike()

    def fail_insulation(self, resistance_ohm: float) -> None:
        """Put a resistance across the gap from now on; inf takes it away."""
        self._before_change()
        self._anchor(self._clock())
        self._fault_ohm = resistance_ohm
        self._circuit = self._present_circuit()

    def step(self, temperature_K: float) -> None:
        """Follow the temperature of the gap, and break down where the voltage is too high."""
        self._temperature_K = temperature_K
        if self._anchor_V != 0.0 or self._source.voltage_V != 0.0:
            self._anchor(self._clock())

    def _gap_V(self, now: float) -> float:
        return self._circuit.gap_after(self._anchor_V, self._source, now - self._anchor_s)

    def _anchor(self, now: float) -> None:
        self._anchor_V = self._gap_V(now)
        self._anchor_s = now
        self._break_down_beyond_limit()
        self._circuit = self._present_circuit()

    def _break_down_beyond_limit(self) -> None:
        limit_V = self.breakdown_V
        if limit_V is not None and abs(self._anchor_V) > limit_V and not self.is_arcing:
            self._strike()

    def _strike(self) -> None:
        self._note("breakdown")
        self.is_arcing = True
        self._circuit = self._present_circuit()
        self._anchor_V = self._circuit.gap_after(self._anchor_V, self._source, ARC_S)
        self._note("arc")

    def _present_circuit(self) -> _Circuit:
        truth = self._truth
        intact_ohm = truth.arc_ohm if self.is_arcing else leakage_ohm(truth, self._temperature_K)
        gap_ohm = 1.0 / (1.0 / intact_ohm + 1.0 / self._fault_ohm)
        return _Circuit(truth.series_ohm, gap_ohm, truth.cable_F)

    def _present_source(self) -> _Source:
        if self.output_on:
            return _Source(self.programmed_V, self.current_limit_A, True)
        is_connected = self.off_state is OffState.NORMAL
        return _Source(0.0, self.current_limit_A, is_connected)

    def _event(
        self, voltage_V: float, on: bool, limit_A: float, range_V: float, off_state: OffState
    ) -> str:
        changes = {
            "range": range_V != self.range_V,
            "level": voltage_V != self.programmed_V,
            "limit": limit_A != self.current_limit_A,
            "off state": off_state is not self.off_state,
            "output on": on and not self.output_on,
            "output off": self.output_on and not on,
        }
        return ", ".join(name for name, changed in changes.items() if changed)

    def _spike_V(self, range_V: float) -> float:
        if range_V == self.range_V:
            return 0.0
        return self._truth.range_spike_fraction * max(range_V, self.range_V)

    def _send_spike(self, spike_V: float) -> None:
        sign = -1.0 if self.programmed_V < 0.0 else 1.0
        spiked = replace(self._source, voltage_V=self.programmed_V + sign * spike_V)
        self.log.append((self._anchor_s, self.programmed_V, spiked.voltage_V, "range spike"))
        self._anchor_V = self._circuit.gap_after(self._anchor_V, spiked, self._truth.range_spike_s)
        self._break_down_beyond_limit()

    def _note(self, event: str) -> None:
        terminal_V = self._anchor_V + self._truth.series_ohm * self._circuit.current_A(
            self._anchor_V, self._source
        )
        self.log.append((self._anchor_s, self.programmed_V, terminal_V, event))

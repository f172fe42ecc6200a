"""The thermal plant: a cold stage, a copper sample stage on a link, the sample, two sensors.

Heat capacity of copper (Debye 343 K and electrons) spans a factor 2300 between 5 and 200 K, so
each node is stepped implicitly in its enthalpy: stable at any step, and energy is conserved.
"""

from math import exp, inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from simulators.noise import normals
from simulators.truth import CryostatTruth

__all__ = ["Cryostat", "copper_heat_capacity_J_per_kg_K"]

DEBYE_K = 343.0
ELECTRONIC_J_PER_KG_K2 = 0.695e-3 / 0.063546
GAS_CONSTANT_J_PER_KG_K = 8.314463 / 0.063546
TABLE_STEP_K = 0.25
TABLE_TOP_K = 500.0
LOWEST_K, HIGHEST_K = 0.5, TABLE_TOP_K - 1.0
TOLERANCE_K = 1e-7


def copper_heat_capacity_J_per_kg_K(
    temperature_K: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the heat capacity of copper, Debye and electronic, at each temperature above 0."""
    x = DEBYE_K / np.asarray(temperature_K, float)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    top = np.minimum(x, 50.0)  # beyond it the integrand is gone
    y = 0.5 * np.multiply.outer(top, nodes + 1.0)
    integral = 0.5 * top * ((y**4 * np.exp(-y) / np.expm1(-y) ** 2) @ weights)
    debye = 9.0 * GAS_CONSTANT_J_PER_KG_K * integral / x**3
    return np.asarray(debye + ELECTRONIC_J_PER_KG_K2 * temperature_K)


def _capacity_table() -> list[float]:
    temperatures = np.arange(TABLE_STEP_K, TABLE_TOP_K + TABLE_STEP_K / 2, TABLE_STEP_K)
    return [0.0, *copper_heat_capacity_J_per_kg_K(temperatures).tolist()]


def _enthalpy_table(capacity: list[float]) -> list[float]:
    c: NDArray[np.float64] = np.array(capacity)
    steps = 0.5 * (c[1:] + c[:-1]) * TABLE_STEP_K
    return [0.0, *np.cumsum(steps).tolist()]


CAPACITY = _capacity_table()
ENTHALPY = _enthalpy_table(CAPACITY)
SLOPE: list[float] = (np.diff(CAPACITY) / TABLE_STEP_K).tolist()


def copper_enthalpy_J_per_kg(temperature_K: float) -> float:
    """Return the heat that brings copper from 0 K to a temperature."""
    cell = int(temperature_K / TABLE_STEP_K)
    part = temperature_K - cell * TABLE_STEP_K
    return ENTHALPY[cell] + part * (CAPACITY[cell] + 0.5 * SLOPE[cell] * part)


def implicit_step(target_J: float, mass_kg: float, loss_J_per_K: float, guess_K: float) -> float:
    """Solve m h(T) + loss T = target for T, by Newton's method."""
    T = guess_K
    for _ in range(60):
        cell = int(T / TABLE_STEP_K)
        part = T - cell * TABLE_STEP_K
        capacity, slope = CAPACITY[cell], SLOPE[cell]
        enthalpy = ENTHALPY[cell] + part * (capacity + 0.5 * slope * part)
        change = (mass_kg * enthalpy + loss_J_per_K * T - target_J) / (
            mass_kg * (capacity + slope * part) + loss_J_per_K
        )
        T -= change
        if not LOWEST_K <= T <= HIGHEST_K:
            T = min(max(T, LOWEST_K), HIGHEST_K)
        # capacity grows no faster than T^3, so that the next change would be 1.5 change^2 / T
        if change * change < 0.5 * TOLERANCE_K * T:
            break
    return T


class Cryostat:
    """What the temperature controller sees and heats.

    heater_W is the power the controller asks for. Faults: helium_ok, sensor_open, heater_open,
    and disturbance_W, heat from elsewhere on the sample stage. positioner_W: of piezo steps there.
    """

    def __init__(self, truth: CryostatTruth, streams: list[np.random.SeedSequence]) -> None:
        self._truth = truth
        self.heater_W = 0.0
        self.valve_percent = 0.0  # of the helium flow; a closed cycle has none
        self.helium_ok = True
        self.sensor_open = False
        self.heater_open = False
        self.disturbance_W = 0.0
        self.positioner_W = 0.0
        self._drift_noise = normals(streams[0])
        self._control_noise = normals(streams[1])
        self._sample_noise = normals(streams[2])
        self._stage_K = truth.start_K
        self._cold_K = min(truth.start_K, truth.cold_base_K + 0.5)
        self._sample_K = truth.start_K
        self._stage_J = truth.sample_stage_kg * copper_enthalpy_J_per_kg(self._stage_K)
        self._cold_J = truth.cold_stage_kg * copper_enthalpy_J_per_kg(self._cold_K)
        self._drift_K = 0.0
        self._control_error = 0.0
        self._sample_error = 0.0
        memory = exp(-truth.step_s / truth.base_drift_time_s)
        self._drift_memory = memory
        self._drift_kick_K = truth.base_drift_K * sqrt(1.0 - memory * memory)
        self.absorbed_J = 0.0  # by both stages since the start, for the balance of energy

    @property
    def heater_resistance_ohm(self) -> float:
        """The heater as the controller's output stage sees it; infinite when it is open."""
        return inf if self.heater_open else self._truth.heater_ohm

    def control_sensor_K(self) -> float:
        """Return the reading beside the heater; NaN when the sensor is open."""
        if self.sensor_open:
            return nan
        truth = self._truth
        noise_K = truth.sensor_noise_K + truth.sensor_noise_K_per_K * self._stage_K
        offset_K = (
            truth.sensor_offset_K
            + truth.sensor_offset_K_per_K * self._stage_K
            + truth.sensor_offset_K_per_W * self._delivered_W()
        )
        return self._stage_K + offset_K + noise_K * self._control_error

    def sample_sensor_K(self) -> float:
        """Return the reading of the second sensor, at the sample."""
        truth = self._truth
        noise_K = truth.sensor_noise_K + truth.sensor_noise_K_per_K * self._sample_K
        return self._sample_K + noise_K * self._sample_error

    def cold_stage_K(self) -> float:
        """Return the temperature of the cold stage."""
        return self._cold_K

    @property
    def true_sample_K(self) -> float:
        """The temperature of the nanocrystal, for checkers and the emitter only."""
        return self._sample_K

    @property
    def true_stage_K(self) -> float:
        """The temperature of the sample stage, for checkers only."""
        return self._stage_K

    def step(self, laser_power: float) -> None:
        """Advance by one step of the plant; laser_power is the mean over it, 1 = standard."""
        truth = self._truth
        dt = truth.step_s
        self._drift_K = self._drift_memory * self._drift_K + self._drift_kick_K * next(
            self._drift_noise
        )
        stage_K = self._step_stage(truth, dt, laser_power)
        lag_s = truth.sample_lag_s + truth.sample_lag_s_per_K * stage_K
        follow = 1.0 - exp(-dt / lag_s) if lag_s > 0.0 else 1.0
        self._sample_K += follow * (stage_K - self._sample_K)
        self._control_error = next(self._control_noise)
        self._sample_error = next(self._sample_noise)

    def stored_J(self) -> float:
        """Return the heat in both stages, for the balance of energy."""
        return self._stage_J + self._cold_J

    def _delivered_W(self) -> float:
        return 0.0 if self.heater_open else self.heater_W

    def _step_stage(self, truth: CryostatTruth, dt: float, laser_power: float) -> float:
        before_K = self._stage_K
        link_J_per_K = dt * truth.link_W_per_K * before_K / (before_K + truth.link_scale_K)
        inward_J = dt * (
            self._delivered_W()
            + self.disturbance_W
            + self.positioner_W
            + truth.sample_heat_load_W
            + laser_power * truth.laser_heat_W
        )
        target_J = self._stage_J + inward_J + link_J_per_K * self._cold_K
        stage_K = implicit_step(target_J, truth.sample_stage_kg, link_J_per_K, before_K)
        self._stage_J = target_J - link_J_per_K * stage_K
        self._stage_K = stage_K
        self.absorbed_J += inward_J
        self._step_cold_stage(truth, dt, link_J_per_K * (stage_K - self._cold_K))
        return stage_K

    def _step_cold_stage(self, truth: CryostatTruth, dt: float, through_J: float) -> None:
        """The cooling power is a chord of its curve through the base: implicit and stable."""
        cold_K = self._cold_K
        base_K = truth.cold_base_K + self._drift_K
        load_J = dt * truth.cold_heat_load_W
        if self.helium_ok:
            above_K = max(cold_K - base_K, 1e-3)
            power_W = truth.cooling_power_W * (1.0 - exp(-above_K / truth.cooling_scale_K))
            cool_J_per_K = dt * power_W / above_K
        else:
            warmth = (truth.ambient_K - cold_K) / truth.ambient_K
            load_J += dt * truth.warm_leak_W * warmth
            cool_J_per_K = 0.0
        target_J = self._cold_J + load_J + through_J + cool_J_per_K * base_K
        new_K = implicit_step(target_J, truth.cold_stage_kg, cool_J_per_K, cold_K)
        self._cold_J = target_J - cool_J_per_K * new_K
        self._cold_K = new_K
        self.absorbed_J += load_J - cool_J_per_K * (new_K - base_K)

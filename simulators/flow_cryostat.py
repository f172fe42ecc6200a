"""A continuous-flow cryostat: liquid helium boils and warms up on the sample stage's exchanger.

Cooling power of a mass flow m at a stage of temperature T:
    m (L x + e c (T - T0)),  x = 1 - exp(-(T - T0) / 1 K),  e = 1 - exp(-U / (m c))
with the latent heat L and the specific heat c of helium gas, the temperature T0 of the boiling
liquid, and e the effectiveness of a heat exchanger of conductance U. So little flow does not reach
base temperature, and much flow at high temperature asks for more heat than a heater has.
Sources: helium data of NIST (L 20.7 kJ/kg, c 5.19 kJ/(kg K), 0.125 kg/L at 4.2 K); e is the
standard expression for an exchanger with one side at constant temperature.
"""

from math import exp

import numpy as np

from simulators.cryostat import Cryostat, implicit_step
from simulators.truth import CryostatTruth

__all__ = ["FlowCryostat", "cooling_W"]

LATENT_J_PER_KG = 20.7e3
GAS_J_PER_KG_K = 5.19e3
LIQUID_KG_PER_L = 0.125
BOILING_WIDTH_K = 1.0  # over which a stage above the liquid comes to boil all of it


def cooling_W(above_K: float, flow_L_per_h: float, exchange_W_per_K: float) -> float:
    """Return the cooling power of a flow of liquid at so much above its boiling temperature."""
    kg_per_s = flow_L_per_h * LIQUID_KG_PER_L / 3600.0
    if kg_per_s <= 0.0:
        return 0.0
    boiled = 1.0 - exp(-above_K / BOILING_WIDTH_K)
    effectiveness = 1.0 - exp(-exchange_W_per_K / (kg_per_s * GAS_J_PER_KG_K))
    return kg_per_s * (LATENT_J_PER_KG * boiled + effectiveness * GAS_J_PER_KG_K * above_K)


class FlowCryostat(Cryostat):
    """What a temperature controller with a needle valve sees, heats and lets flow.

    valve_percent is how far the valve is open. cold_base_K of the truth is the temperature of
    the boiling liquid. helium_ok False, or an empty dewar: nothing flows.
    """

    def __init__(self, truth: CryostatTruth, streams: list[np.random.SeedSequence]) -> None:
        super().__init__(truth, streams)
        self._flow_truth = truth.flow
        self.valve_percent = truth.flow.start_valve_percent
        self.flow_L_per_h = self._wanted_L_per_h()
        self.dewar_L = truth.flow.dewar_L

    @property
    def helium_used_L(self) -> float:
        return self._flow_truth.dewar_L - self.dewar_L

    def stored_J(self) -> float:
        """Return the heat in the stage, for the balance of energy."""
        return self._stage_J

    def _wanted_L_per_h(self) -> float:
        return self._flow_truth.full_flow_L_per_h * self.valve_percent / 100.0

    def _step_flow(self, dt: float) -> None:
        lag_s = self._flow_truth.lag_s
        follow = 1.0 - exp(-dt / lag_s) if lag_s > 0.0 else 1.0
        self.flow_L_per_h += follow * (self._wanted_L_per_h() - self.flow_L_per_h)
        if not self.helium_ok or self.dewar_L <= 0.0:
            self.flow_L_per_h = 0.0
        self.dewar_L = max(self.dewar_L - self.flow_L_per_h * dt / 3600.0, 0.0)

    def _step_stage(self, truth: CryostatTruth, dt: float, laser_power: float) -> float:
        """The cooling power is a chord of its curve through the liquid: implicit and stable."""
        self._step_flow(dt)
        flow = self._flow_truth
        before_K = self._stage_K
        liquid_K = truth.cold_base_K + self._drift_K
        above_K = max(before_K - liquid_K, 1e-3)
        arriving = max(self.flow_L_per_h - flow.transfer_loss_L_per_h, 0.0)
        cool_J_per_K = dt * cooling_W(above_K, arriving, flow.exchange_W_per_K) / above_K
        leak_J_per_K = dt * flow.leak_W_per_K
        heat_J = dt * (
            self._delivered_W()
            + self.disturbance_W
            + self.positioner_W
            + truth.sample_heat_load_W
            + truth.cold_heat_load_W
            + laser_power * truth.laser_heat_W
        )
        inward_J = heat_J + leak_J_per_K * truth.ambient_K + cool_J_per_K * liquid_K
        loss_J_per_K = cool_J_per_K + leak_J_per_K
        target_J = self._stage_J + inward_J
        stage_K = implicit_step(target_J, truth.sample_stage_kg, loss_J_per_K, before_K)
        self._stage_J = target_J - loss_J_per_K * stage_K
        self._stage_K = stage_K
        self._cold_K = liquid_K if arriving > 0.0 else stage_K
        self.absorbed_J += inward_J - loss_J_per_K * stage_K
        return stage_K

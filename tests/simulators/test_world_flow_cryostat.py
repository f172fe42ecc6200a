"""A helium flow holds a temperature only if it fits it, and costs helium."""

import numpy as np
import pytest

from simulators.cryostat import copper_enthalpy_J_per_kg
from simulators.flow_cryostat import FlowCryostat, cooling_W
from simulators.truth import CryostatTruth, FlowTruth, Truth, VacuumTruth
from simulators.vacuum import Vacuum
from simulators.world import World


def make_cryostat(*, step_s=1.0, **flow):
    truth = CryostatTruth(cooling="helium_flow", step_s=step_s, flow=FlowTruth(**flow))
    return FlowCryostat(truth, np.random.SeedSequence(7).spawn(3))


def pass_s(cryostat, seconds):
    for _ in range(seconds):
        cryostat.step(0.0)


def test_boiling_one_litre_an_hour_cools_by_seven_tenths_of_a_watt():
    # 0.125 kg/L x 20.7 kJ/kg / 3600 s; far above the width, no exchange of the gas
    assert cooling_W(100.0, 1.0, 1e-9) == pytest.approx(0.719, rel=1e-3)


def test_all_the_enthalpy_of_the_gas_is_used_by_a_long_exchanger():
    warm_W = cooling_W(196.0, 1.0, 1e3) - cooling_W(196.0, 1.0, 1e-9)

    # 0.125 kg x 5.19 kJ/(kg K) x 196 K / 3600 s
    assert warm_W == pytest.approx(35.3, rel=1e-3)


@pytest.mark.parametrize("step_s", [0.1, 1.0, 10.0])
def test_heat_taken_up_equals_heat_stored(step_s):
    cryostat = make_cryostat(step_s=step_s)
    before_J = cryostat.stored_J()
    for heater_W, valve_percent in ((0.0, 70.0), (20.0, 10.0), (0.0, 100.0), (3.0, 0.0)):
        cryostat.heater_W, cryostat.valve_percent = heater_W, valve_percent
        pass_s(cryostat, 300)

    stored_J = 0.5 * copper_enthalpy_J_per_kg(cryostat.true_stage_K) - before_J

    assert stored_J == pytest.approx(cryostat.absorbed_J, rel=1e-6, abs=1e-4)


def test_base_temperature_falls_with_the_flow():
    base_K = []
    for percent in (10.0, 20.0, 35.0, 50.0, 70.0, 100.0):
        cryostat = make_cryostat(start_valve_percent=percent, dewar_L=1000.0)
        pass_s(cryostat, 8000)
        base_K.append(cryostat.true_stage_K)

    assert base_K == sorted(base_K, reverse=True)
    assert base_K[1] > 10.0  # a fifth of the flow is not enough for 5.5 K
    assert base_K[4] < 5.5


def test_helium_is_used_as_it_flows_and_an_empty_dewar_cools_no_more():
    cryostat = make_cryostat(start_valve_percent=50.0, lag_s=0.0, dewar_L=1.5)

    pass_s(cryostat, 1800)
    used_L, cold_K = cryostat.helium_used_L, cryostat.true_stage_K
    pass_s(cryostat, 3600)

    assert used_L == pytest.approx(1.0, rel=1e-3)  # 2 L/h for half an hour
    assert cold_K < 6.0
    assert cryostat.helium_used_L == 1.5
    assert cryostat.true_stage_K > 15.0


def test_the_world_has_the_cryostat_that_its_truth_says():
    flow = World(Truth(cryostat=CryostatTruth(cooling="helium_flow")), seed=1)

    assert isinstance(flow.cryostat, FlowCryostat)
    assert not isinstance(World(Truth(), seed=1).cryostat, FlowCryostat)


@pytest.mark.parametrize("step_s", [0.1, 1.0, 7.0])
def test_the_pump_takes_the_pressure_down_exponentially_at_any_step(step_s):
    vacuum = Vacuum(VacuumTruth(base_mbar=1e-6, start_mbar=1.0, pump_time_s=30.0))

    for _ in range(round(70.0 / step_s)):
        vacuum.step(step_s)

    assert vacuum.pressure_mbar == pytest.approx(np.exp(-70.0 / 30.0), rel=1e-4)


def test_a_leak_raises_the_pressure_to_what_the_pump_can_hold_and_never_above_the_air():
    vacuum = Vacuum(VacuumTruth(pump_time_s=10.0))
    vacuum.leak_mbar_per_s = 0.01
    for _ in range(200):
        vacuum.step(1.0)
    assert vacuum.pressure_mbar == pytest.approx(0.1, rel=1e-3)

    vacuum.leak_mbar_per_s = 1e6
    vacuum.step(1000.0)
    assert vacuum.pressure_mbar == 1013.0

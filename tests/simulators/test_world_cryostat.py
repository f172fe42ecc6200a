"""The thermal plant keeps its energy balance and settles as a real one."""

import math
import statistics

import numpy as np
import pytest

from simulators.cryostat import (
    Cryostat,
    copper_enthalpy_J_per_kg,
    copper_heat_capacity_J_per_kg_K,
)
from simulators.truth import CryostatTruth, Truth
from simulators.world import World


def make_cryostat(**changes):
    return Cryostat(CryostatTruth(**changes), np.random.SeedSequence(7).spawn(3))


def pass_s(cryostat, seconds, laser_power=0.0):
    for _ in range(seconds):
        cryostat.step(laser_power)


def test_copper_has_the_heat_capacity_of_the_brief():
    temperatures = np.array([5.0, 10.0, 20.0, 50.0, 100.0, 200.0])

    capacities = copper_heat_capacity_J_per_kg_K(temperatures)

    assert capacities == pytest.approx([0.15, 0.87, 6.3, 79, 233, 343], rel=0.01)


@pytest.mark.parametrize(
    ("from_K", "to_K", "expected"), [(5, 20, 32), (130, 140, 2.9e3), (5, 200, 39e3)]
)
def test_warming_copper_takes_the_enthalpy_of_the_brief(from_K, to_K, expected):
    enthalpy = copper_enthalpy_J_per_kg(to_K) - copper_enthalpy_J_per_kg(from_K)

    assert enthalpy == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("step_s", [0.1, 1.0, 10.0])
def test_heat_taken_up_equals_heat_stored_at_any_step_and_any_power(step_s):
    cryostat = make_cryostat(step_s=step_s)
    before_J = cryostat.stored_J()
    for heater_W in (0.0, 25.0, 0.01, 25.0, 0.0):
        cryostat.heater_W = heater_W
        pass_s(cryostat, 200, laser_power=1.0)

    stored_J = (
        0.5 * copper_enthalpy_J_per_kg(cryostat.true_stage_K)
        + copper_enthalpy_J_per_kg(cryostat.cold_stage_K())
        - before_J
    )

    assert stored_J == pytest.approx(cryostat.absorbed_J, rel=1e-6, abs=1e-4)


def test_the_steady_state_carries_the_heat_through_the_link():
    cryostat = make_cryostat(base_drift_K=0.0)
    cryostat.heater_W = 10.0

    pass_s(cryostat, 20_000)

    stage_K, cold_K = cryostat.true_stage_K, cryostat.cold_stage_K()
    conductance = 0.12 * stage_K / (stage_K + 30.0)
    assert conductance * (stage_K - cold_K) == pytest.approx(10.005, rel=1e-4)
    cooling_W = 40.0 * (1.0 - math.exp(-(cold_K - 3.9) / 60.0))
    assert cooling_W == pytest.approx(10.305, rel=1e-4)


def test_the_base_lies_between_4_2_and_5_K_and_the_laser_raises_it():
    cryostat = make_cryostat(base_drift_K=0.0)
    pass_s(cryostat, 600)
    dark_K, dark_cold_K = cryostat.true_sample_K, cryostat.cold_stage_K()

    pass_s(cryostat, 600, laser_power=1.0)

    lit_K = cryostat.true_sample_K
    assert 4.2 < dark_K < lit_K < 5.0
    conductance = 0.12 * lit_K / (lit_K + 30.0)
    assert lit_K - dark_cold_K == pytest.approx(0.010 / conductance, abs=0.01)


def test_the_two_sensors_differ_by_calibration_and_heater_and_carry_noise():
    cryostat = make_cryostat(base_drift_K=0.0, sample_lag_s=0.0, sample_lag_s_per_K=0.0)
    cryostat.heater_W = 10.0
    pass_s(cryostat, 15_000)
    control, sample = [], []
    for _ in range(400):
        cryostat.step(0.0)
        control.append(cryostat.control_sensor_K())
        sample.append(cryostat.sample_sensor_K())

    stage_K = cryostat.true_stage_K
    offset_K = statistics.mean(control) - statistics.mean(sample)
    assert offset_K == pytest.approx(0.02 + 0.0015 * stage_K + 0.1, abs=0.002)
    noise_K = 0.001 + 2e-5 * stage_K
    assert statistics.stdev(control) == pytest.approx(noise_K, rel=0.15)
    assert np.corrcoef(control, sample)[0, 1] == pytest.approx(0.0, abs=0.2)


def test_faults_open_the_sensor_and_the_heater():
    cryostat = make_cryostat()
    pass_s(cryostat, 300)
    cryostat.sensor_open = cryostat.heater_open = True
    cryostat.heater_W = 25.0

    pass_s(cryostat, 300)

    assert math.isnan(cryostat.control_sensor_K())
    assert cryostat.heater_resistance_ohm == math.inf
    assert cryostat.sample_sensor_K() < 5.0


def test_without_helium_the_stages_warm_up_towards_the_room():
    cryostat = make_cryostat()
    pass_s(cryostat, 300)
    cryostat.helium_ok = False

    pass_s(cryostat, 3600)
    hour_K = cryostat.sample_sensor_K()
    pass_s(cryostat, 20 * 3600)

    assert 50.0 < hour_K < 150.0
    assert 200.0 < cryostat.sample_sensor_K() <= 320.0


def regulated_world(*, proportional_W_per_K, integral_W_per_K_s, full_scale_W):
    """A world with a plain PI controller, its setpoint in a list of one."""
    world = World(Truth(), seed=2)
    setpoint_K, integral_W = [5.5], [0.0]

    def regulate(now, dt):
        error_K = setpoint_K[0] - world.cryostat.control_sensor_K()
        wanted_W = proportional_W_per_K * error_K + integral_W[0]
        if 0.0 < wanted_W < full_scale_W:
            integral_W[0] += integral_W_per_K_s * error_K * dt
        world.cryostat.heater_W = min(max(wanted_W, 0.0), full_scale_W)

    world.every_step(regulate)
    return world, setpoint_K


def settle_s(world, setpoint_K, target_K, *, within_K=0.1, rate_K_per_min=0.05):
    """Time until the control sensor stays within and the sample drifts no faster, for 1 min."""
    setpoint_K[0] = target_K
    start_s, good_since_s = world.now, None
    before_K = world.cryostat.true_sample_K
    while world.now - start_s < 7200:
        world.advance(world.now + 5.0)
        now_K = world.cryostat.true_sample_K
        is_good = (
            abs(world.cryostat.control_sensor_K() - target_K) < within_K
            and abs(now_K - before_K) < rate_K_per_min * 5.0 / 60.0
        )
        before_K = now_K
        if not is_good:
            good_since_s = None
        elif good_since_s is None:
            good_since_s = world.now
        elif world.now - good_since_s >= 60.0:
            return good_since_s - start_s
    return math.inf


def test_below_20_K_it_settles_within_a_minute():
    world, setpoint_K = regulated_world(
        proportional_W_per_K=0.08, integral_W_per_K_s=0.02, full_scale_W=0.25
    )

    times_s = [settle_s(world, setpoint_K, target_K) for target_K in (5.5, 7.0, 10.0)]

    assert max(times_s) <= 60.0


def test_above_100_K_ten_kelvin_take_8_to_20_minutes():
    world, setpoint_K = regulated_world(
        proportional_W_per_K=12.0, integral_W_per_K_s=0.2, full_scale_W=25.0
    )
    first_s = settle_s(world, setpoint_K, 130.0)

    step_s = settle_s(world, setpoint_K, 140.0)

    assert first_s < 3600.0
    assert 8 * 60 < step_s < 20 * 60
    assert world.cryostat.true_sample_K == pytest.approx(140.0, abs=0.5)


def test_the_laser_pushes_a_regulated_stage_no_further_than_the_heater_gives_way():
    world, setpoint_K = regulated_world(
        proportional_W_per_K=0.08, integral_W_per_K_s=0.02, full_scale_W=0.25
    )
    settle_s(world, setpoint_K, 5.5)
    dark_W = world.cryostat.heater_W

    world.optics.shutter_open = True
    world.advance(world.now + 120.0)

    assert world.cryostat.control_sensor_K() == pytest.approx(5.5, abs=0.03)
    assert dark_W - world.cryostat.heater_W == pytest.approx(0.005, abs=0.001)

"""Capacitance, leakage, current limit, spikes and arcs behind the supply follow their laws."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from simulators.bias_circuit import BiasCircuit, OffState, leakage_ohm
from simulators.truth import BiasTruth, Truth, truth_from_mapping
from simulators.world import World

SERIES_OHM, CABLE_F = 1e7, 3e-10
TIME_CONSTANT_S = SERIES_OHM * CABLE_F


class Bench:
    """A circuit on a table with a clock that is turned by hand."""

    def __init__(self, **changes):
        self.now = 0.0
        truth = BiasTruth(**changes)
        self.circuit = BiasCircuit(truth, np.random.SeedSequence(1), lambda: self.now, lambda: None)

    def source(self, voltage_V, *, on=True, limit_A=1e-4, range_V=1000.0, **rest):
        self.circuit.set_source(voltage_V, on, limit_A, range_V, **rest)

    def after(self, seconds):
        self.now += seconds
        return self.circuit


def test_the_gap_charges_through_the_series_resistor():
    bench = Bench()
    bench.source(100.0)

    voltages_V = [bench.after(TIME_CONSTANT_S).gap_voltage_V() for _ in range(4)]

    expected_V = [100.0 * (1.0 - math.exp(-n)) for n in range(1, 5)]
    assert voltages_V == pytest.approx(expected_V, rel=1e-5)


def test_the_current_is_charging_current_then_leakage():
    bench = Bench(leakage_cold_ohm=1e12)
    bench.source(100.0)

    started_A = bench.circuit.current_A()
    settled_A = bench.after(1.0).current_A()

    assert started_A == pytest.approx(100.0 / SERIES_OHM)
    assert settled_A == pytest.approx(100.0 / (1e12 + SERIES_OHM), rel=1e-6)
    assert bench.circuit.terminal_voltage_V() == pytest.approx(100.0)
    assert bench.circuit.gap_voltage_V() == pytest.approx(100.0 - settled_A * SERIES_OHM)


def test_at_the_current_limit_the_gap_charges_linearly_and_the_terminals_collapse():
    bench = Bench()
    bench.source(100.0, limit_A=1e-9)

    slow = bench.after(3.0)

    assert slow.in_compliance()
    assert slow.current_A() == 1e-9
    assert slow.gap_voltage_V() == pytest.approx(1e-9 * 3.0 / CABLE_F, rel=1e-3)
    assert slow.terminal_voltage_V() == pytest.approx(10.0 + 1e-9 * SERIES_OHM, rel=1e-3)
    assert not bench.after(40.0).in_compliance()
    assert bench.circuit.gap_voltage_V() == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize(
    ("start_V", "source_V", "limit_A", "gap_ohm"),
    [(0.0, 100.0, 2e-6, 1e9), (80.0, -60.0, 3e-6, 2e7), (50.0, 0.0, 1e-6, 1e8)],
)
def test_every_transient_agrees_with_a_stepped_integration(start_V, source_V, limit_A, gap_ohm):
    bench = Bench(leakage_cold_ohm=gap_ohm, leakage_300K_ohm=1e18)
    bench.source(start_V * (gap_ohm + SERIES_OHM) / gap_ohm, limit_A=1.0)
    bench.after(10.0 * gap_ohm * CABLE_F)
    bench.source(source_V, limit_A=limit_A)

    def slope(_, gap_V):
        current_A = np.clip((source_V - gap_V) / SERIES_OHM, -limit_A, limit_A)
        return (current_A - gap_V / gap_ohm) / CABLE_F

    times_s = np.linspace(0.0, 0.06, 13)
    stepped_V = solve_ivp(slope, (0.0, 0.06), [start_V], t_eval=times_s, rtol=1e-9, atol=1e-9).y[0]

    start_s = bench.now
    found_V = []
    for time_s in times_s:
        bench.now = start_s + time_s
        found_V.append(bench.circuit.gap_voltage_V())

    assert found_V == pytest.approx(stepped_V.tolist(), abs=2e-5)


def test_a_leaking_gap_holds_the_supply_in_compliance():
    bench = Bench()
    bench.circuit.fail_insulation(1e8)
    bench.source(100.0, limit_A=1e-7)

    held = bench.after(60.0)

    assert held.in_compliance()
    assert held.gap_voltage_V() == pytest.approx(10.0, rel=1e-3)
    assert held.terminal_voltage_V() == pytest.approx(1e-7 * (1e8 + SERIES_OHM), rel=1e-3)


def test_leakage_grows_with_temperature_by_its_activation_energy():
    truth = BiasTruth()

    cold_ohm, warm_ohm, room_ohm = (leakage_ohm(truth, T) for T in (5.5, 200.0, 300.0))

    assert cold_ohm == pytest.approx(1e13)
    assert room_ohm == pytest.approx(1e9, rel=1e-3)
    ratio = math.exp(0.15 / 8.617333e-5 * (1 / 200.0 - 1 / 300.0))
    assert warm_ohm == pytest.approx(1e9 * ratio, rel=0.01)


def test_looking_does_not_disturb_the_transient():
    watched, left_alone = Bench(), Bench()
    for bench in (watched, left_alone):
        bench.source(100.0, limit_A=5e-6)

    for _ in range(50):
        watched.after(1e-4).terminal_voltage_V()
    left_alone.now = watched.now

    assert watched.circuit.gap_voltage_V() == left_alone.circuit.gap_voltage_V()


def test_changing_the_range_with_the_output_on_sends_a_spike_to_the_gap():
    bench = Bench(range_spike_fraction=0.02)
    bench.source(10.0, range_V=20.0)
    bench.after(1.0)

    bench.source(10.0, range_V=1000.0)

    assert [entry for entry in bench.circuit.log if entry[3] == "range spike"] == [
        (1.0, 10.0, 30.0, "range spike")
    ]
    expected_V = 10.0 + 20.0 * (1.0 - math.exp(-1e-3 / TIME_CONSTANT_S))
    assert bench.circuit.gap_voltage_V() == pytest.approx(expected_V, rel=1e-4)


def test_changing_the_range_with_the_output_off_sends_none():
    bench = Bench()
    bench.source(0.0, on=False, range_V=20.0)

    bench.source(0.0, on=False, range_V=1000.0)

    assert bench.circuit.gap_voltage_V() == 0.0
    assert all(entry[3] != "range spike" for entry in bench.circuit.log)


@pytest.mark.parametrize("state", [OffState.GUARD, OffState.HIGH_IMPEDANCE])
def test_an_output_that_lets_go_leaves_the_gap_charged(state):
    bench = Bench()
    bench.source(100.0)
    bench.after(1.0)

    bench.source(100.0, on=False, off_state=state)

    assert bench.after(60.0).gap_voltage_V() == pytest.approx(
        100.0 * math.exp(-60.0 / (1e13 * CABLE_F)), rel=1e-4
    )
    assert bench.circuit.current_A() == 0.0


def test_the_normal_off_state_discharges_the_gap():
    bench = Bench()
    bench.source(100.0)
    bench.after(1.0)

    bench.source(100.0, on=False)

    assert bench.circuit.terminal_voltage_V() == pytest.approx(0.0)
    assert bench.after(10 * TIME_CONSTANT_S).gap_voltage_V() == pytest.approx(0.0, abs=0.01)


def test_the_log_keeps_every_change_with_time_programmed_and_terminal_voltage():
    bench = Bench()
    bench.source(0.0)
    for step in range(1, 4):
        bench.after(1.0)
        bench.source(float(step))
    bench.source(3.0)  # nothing changed

    assert [entry[:3] for entry in bench.circuit.log] == [
        (0.0, 0.0, 0.0),
        (1.0, 1.0, pytest.approx(1.0)),
        (2.0, 2.0, pytest.approx(2.0)),
        (3.0, 3.0, pytest.approx(3.0)),
    ]
    assert bench.circuit.log[0][3] == "range, limit, output on"
    assert bench.circuit.log[-1][3] == "level"


def test_beyond_its_limit_the_gap_breaks_down_and_burns_until_the_source_lets_go():
    world = World(truth_from_mapping({"bias": {"breakdown_V": 156.0}}), seed=1)
    world.bias.set_source(150.0, True, 1e-6, 1000.0)
    world.advance(5.0)
    was_arcing = world.bias.is_arcing

    world.bias.set_source(170.0, True, 1e-6, 1000.0)
    world.advance(10.0)

    assert not was_arcing
    assert world.bias.is_arcing
    assert world.bias.in_compliance()
    assert abs(world.bias.gap_voltage_V()) < 1.0
    assert [event for *_, event in world.log if "level" not in event] == ["breakdown", "arc"]

    world.bias.set_source(0.0, True, 1e-6, 1000.0)
    world.advance(11.0)
    world.bias.set_source(100.0, True, 1e-6, 1000.0)
    world.advance(20.0)

    assert world.bias.gap_voltage_V() == pytest.approx(100.0, rel=1e-3)


def test_the_gap_leaks_more_once_the_sample_is_warm():
    world = World(Truth(), seed=1)
    world.bias.set_source(100.0, True, 1e-6, 1000.0)
    world.cryostat.heater_W = 17.0
    world.advance(3600.0)

    expected_A = 100.0 / leakage_ohm(world.truth.bias, world.cryostat.true_sample_K)

    assert world.cryostat.true_sample_K > 150.0
    assert world.bias.current_A() == pytest.approx(expected_A, rel=0.01)


def test_the_meter_adds_its_noise():
    bench = Bench(current_noise_A=1e-11)
    bench.source(0.0)

    readings_A = [bench.circuit.measured_current_A() for _ in range(400)]

    assert np.std(readings_A) == pytest.approx(1e-11, rel=0.12)
    assert abs(np.mean(readings_A)) < 2e-12

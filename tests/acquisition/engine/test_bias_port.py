"""The port in the engine's process: what is really there, lost replies, silence, reboots."""

import itertools
from math import isnan

import pytest

from acquisition.bias.bias_core import BiasRefused, BiasRules, BiasState
from acquisition.bias.bias_port import LocalBiasPort
from drivers.errors import (
    InstrumentError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)

RULES = BiasRules(100.0, 5e-8, 5.0, 50.0)
GONE = LinkClosed("bias", "gone")


@pytest.fixture
def supply(bench):
    return bench.supply


@pytest.fixture
def port(bench, supply):
    return LocalBiasPort(supply, bench.clock, RULES, None, series_ohm=1e7)


def pass_time(bench, port, seconds: float) -> None:
    end_s = bench.clock.now() + seconds
    while bench.clock.now() < end_s:
        bench.clock.wait(0.1)
        port.advance()


def until_zero(bench, port, within_s: float = 60.0) -> None:
    end_s = bench.clock.now() + within_s
    while not port.status().is_zero:
        assert bench.clock.now() < end_s, port.status()
        bench.clock.wait(0.1)
        port.advance()


def test_nothing_is_known_before_the_supply_was_asked(port):
    status = port.status()

    assert status.state is BiasState.DISARMED
    assert not status.is_zero
    assert isnan(status.voltage_V)
    assert isnan(status.gap_voltage_V)


def test_an_output_found_off_is_zero_without_a_touch(port, supply):
    assert port.take_over() is None

    assert port.status().is_zero
    assert not [entry for entry in supply.log if entry[2] in ("set_level", "switch_output")]


@pytest.mark.parametrize("left_V", [60.0, -35.5, 0.2])
def test_a_voltage_that_was_left_on_is_ramped_from_where_it_is(bench, port, supply, left_V):
    supply.is_on, supply.level_V = True, left_V

    assert port.take_over() == left_V
    until_zero(bench, port)

    assert not supply.is_on
    levels = [left_V, *(volts for _, volts in supply.levels)]
    steps = [abs(b - a) for a, b in itertools.pairwise(levels)]
    assert max(steps) <= 5.0 * 0.2 + 1e-9


def test_the_start_of_a_ramp_is_what_two_readings_agree_upon(bench, port, supply):
    supply.is_on, supply.level_V = True, 50.0
    true_measure = supply.measure
    flipped = iter([90.0])

    def measure():
        found = true_measure()
        return type(found)(next(flipped, found.voltage_V), 0.0, False, False, found.time_s)

    supply.measure = measure

    assert port.take_over() == 50.0


def test_readings_that_never_agree_are_an_error(port, supply):
    supply.is_on = True
    values = iter(range(0, 100, 7))
    true_measure = supply.measure

    def measure():
        found = true_measure()
        return type(found)(float(next(values)), 0.0, False, False, found.time_s)

    supply.measure = measure

    with pytest.raises(ReplyError, match="no two readings"):
        port.take_over()


def test_one_flipped_bit_does_not_make_an_output_off(bench, port, supply):
    supply.is_on, supply.level_V = True, 20.0
    answers = iter([False])
    true_answer = supply.is_output_on
    supply.is_output_on = lambda: next(answers, true_answer())

    assert port.take_over() == 20.0


def test_arming_learns_the_capacitance_of_cable_and_gap(bench, port, supply):
    supply.capacitance_F = 4e-9
    port.take_over()

    capacitance_F = port.arm()

    assert capacitance_F == pytest.approx(4e-9, rel=0.05)
    assert port.status().state is BiasState.AT_TARGET
    assert supply.is_on
    assert supply.level_V == 0.0


def test_a_leak_does_not_pass_for_capacitance(port, supply):
    supply.capacitance_F, supply.resistance_ohm = 2e-9, 1e9
    port.take_over()

    assert port.arm() == pytest.approx(2e-9, rel=0.05)


def test_the_supply_is_configured_with_the_output_off_only(port, supply):
    supply.is_on = True

    with pytest.raises(StateError, match="output on"):
        port.arm()


def test_a_voltage_at_the_terminals_at_0_V_programmed_is_refused(bench, port, supply):
    true_measure = supply.measure

    def measure():
        found = true_measure()
        return type(found)(found.voltage_V + 3.0, 0.0, False, False, found.time_s)

    supply.measure = measure

    with pytest.raises(InstrumentError, match=r"3\.000 V at the terminals"):
        port.arm()
    port.safe()
    until_zero(bench, port)
    assert not supply.is_on


def test_the_gap_sees_the_voltage_without_the_drop_at_the_resistor(bench, port, supply):
    supply.resistance_ohm = 2e10
    port.take_over()
    port.arm()
    for voltage_V in (40.0, -40.0):
        port.ask(voltage_V)
        pass_time(bench, port, 20.0)

        status = port.measure()

        assert status.voltage_V == voltage_V
        assert status.current_A == pytest.approx(voltage_V / 2e10)
        assert status.gap_voltage_V == pytest.approx(voltage_V * (1 - 1e7 / 2e10))


def test_a_lost_reply_to_a_step_is_no_double_step(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(10.0)
    pass_time(bench, port, 1.0)

    supply.fail("set_level", LinkTimeout("bias", "lost"), LinkTimeout("bias", "lost"))
    pass_time(bench, port, 10.0)

    assert port.status().is_settled
    assert supply.level_V == 10.0
    assert supply.largest_step_V() <= 5.0 * 0.2 + 1e-9


def test_a_lost_reply_at_switching_off_leaves_nothing_on(bench, port, supply):
    port.take_over()
    port.arm()

    supply.fail("switch_output", LinkTimeout("bias", "lost"), GONE)
    port.safe()
    until_zero(bench, port)

    assert not supply.is_on


@pytest.mark.parametrize("verb", ["switch_output", "is_output_on", "set_level"])
def test_each_step_of_switching_off_may_fail_once(bench, port, supply, verb):
    port.take_over()
    port.arm()
    port.ask(5.0)
    pass_time(bench, port, 3.0)

    port.safe()
    pass_time(bench, port, 0.5)
    supply.fail(verb, GONE)
    until_zero(bench, port)

    assert not supply.is_on
    assert port.status().state is BiasState.SAFE
    port.confirm_zero()


def test_a_line_lost_for_a_second_is_no_trip(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(20.0)
    pass_time(bench, port, 1.0)

    supply.die(GONE)
    pass_time(bench, port, 1.0)
    supply.die(None)
    pass_time(bench, port, 5.0)

    assert port.status().is_settled
    assert port.status().trip_reason == ""


def test_a_silent_supply_trips_and_is_brought_to_zero_when_it_answers(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(20.0)
    pass_time(bench, port, 5.0)

    supply.die(GONE)
    pass_time(bench, port, 10.0)
    assert "out of touch" in port.status().trip_reason
    assert not port.status().is_zero
    supply.die(None)
    until_zero(bench, port)

    assert not supply.is_on
    with pytest.raises(BiasRefused, match="out of touch"):
        port.ask(1.0)


def test_an_output_that_went_off_by_itself_trips(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(20.0)
    pass_time(bench, port, 5.0)

    supply.is_on, supply.level_V = False, 0.0
    pass_time(bench, port, 0.3)

    assert port.status().state is BiasState.TRIPPED
    assert "went off by itself" in port.status().trip_reason


def test_breakdown_switches_off_within_a_tick(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(50.0)
    pass_time(bench, port, 12.0)

    supply.is_broken = True
    pass_time(bench, port, 0.2)

    assert not supply.is_on
    assert "breakdown" in port.status().trip_reason
    assert [volts for _, volts in supply.levels][-2:] == [0.0, 0.0]


def test_a_measurement_that_fails_is_absent_not_the_last_one(bench, port, supply):
    port.take_over()
    port.arm()

    supply.fail("measure", ReplyError("bias", "garbled"))
    status = port.measure()

    assert isnan(status.voltage_V)
    assert isnan(status.gap_voltage_V)
    assert all(isnan(reading.value) for reading in port.read().values())
    assert port.measure().voltage_V == 0.0


def test_safe_before_anything_is_known_brings_down_what_is_there(bench, port, supply):
    supply.is_on, supply.level_V = True, 30.0
    supply.fail("is_output_on", GONE, GONE)

    port.safe()
    until_zero(bench, port)

    assert not supply.is_on


def test_an_emergency_is_steeper_and_still_a_ramp(bench, port, supply):
    port.take_over()
    port.arm()
    port.ask(100.0)
    pass_time(bench, port, 25.0)
    start_s = bench.clock.now()

    port.safe(emergency=True)
    until_zero(bench, port)

    assert bench.clock.now() - start_s == pytest.approx(100.0 / 50.0, abs=0.7)
    assert supply.largest_step_V() <= 50.0 * 0.2 + 1e-9


def test_zero_is_confirmed_by_asking_the_supply(port, supply):
    port.take_over()
    supply.is_on = True

    with pytest.raises(StateError, match="still on"):
        port.confirm_zero()


def test_a_trip_during_arming_is_an_error_and_ends_off(bench, port, supply):
    supply.resistance_ohm = 1e7  # 200 nA at the test's 2 V
    port.take_over()

    with pytest.raises(InstrumentError, match="leakage"):
        port.arm()
    until_zero(bench, port)

    assert not supply.is_on


def test_a_supply_that_never_arrives_at_arming_is_an_error(bench, port, supply):
    port.take_over()
    supply.fail("set_level", *[ReplyError("bias", "garbled")] * 1)
    true_set = supply.set_level

    def refuse(voltage_V: float) -> None:
        if voltage_V:
            raise InstrumentError("bias", "reads back 0 V")
        true_set(voltage_V)

    supply.set_level = refuse
    with pytest.raises(ReplyError):
        port.arm()
    with pytest.raises(InstrumentError, match=r"does not come to|out of touch"):
        port.arm()

"""The rules of the bias, against a device that loses, delays and repeats."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from acquisition.bias.bias_core import (
    BiasCore,
    BiasRefused,
    BiasRules,
    BiasState,
    Keep,
    SetLevel,
    SwitchOff,
    Terminals,
)

RULES = BiasRules(
    max_voltage_V=100.0,
    current_trip_A=5e-8,
    sweep_slew_V_per_s=5.0,
    emergency_slew_V_per_s=50.0,
    lease_s=5.0,
)
LONGEST_STEP_S = 0.2  # what one step may use up, whatever the delay before it


def armed(**changes: object) -> BiasCore:
    core = BiasCore(BiasRules(**{**asdict_rules(), **changes}))
    core.arm(0.0, 0.0)
    return core


def asdict_rules() -> dict[str, float]:
    return {name: getattr(RULES, name) for name in RULES.__dataclass_fields__}


def at(voltage_V: float, current_A: float = 0.0, *, limited: bool = False) -> Terminals:
    return Terminals(voltage_V, current_A, limited)


def drive(core: BiasCore, until_s: float, start_s: float = 0.0, tick_s: float = 0.1) -> float:
    """Carry out and confirm every action on a perfect supply; return the time."""
    now = start_s
    while now < until_s - 1e-9:
        now += tick_s
        core.renew(now)
        if not isinstance(core.advance(at(core.level_V), now), Keep):
            core.confirm(now)
    return now


@pytest.mark.parametrize(
    "change",
    [
        {"max_voltage_V": 0.0},
        {"max_voltage_V": nan},
        {"current_trip_A": -1.0},
        {"sweep_slew_V_per_s": inf},
        {"lease_s": 0.0},
        {"emergency_slew_V_per_s": 1.0},
    ],
)
def test_rules_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match="bias rules"):
        BiasRules(**{**asdict_rules(), **change})


def test_a_ramp_takes_voltage_over_slew():
    core = armed()

    core.ask(20.0, 0.0)
    drive(core, 3.9)
    assert core.state is BiasState.RAMPING
    assert core.level_V == pytest.approx(19.5)

    drive(core, 4.2, start_s=3.9)
    assert core.state is BiasState.AT_TARGET
    assert core.level_V == 20.0


def test_a_late_tick_makes_the_ramp_slower_never_steeper():
    core = armed()
    core.ask(50.0, 0.0)
    core.renew(30.0)

    action = core.advance(at(0.0), 30.0)

    assert action == SetLevel(pytest.approx(LONGEST_STEP_S * 5.0))


@pytest.mark.parametrize("voltage_V", [100.001, -100.001, inf, -inf, nan])
def test_what_the_sample_does_not_bear_is_refused(voltage_V):
    core = armed()

    with pytest.raises(BiasRefused, match="limit"):
        core.ask(voltage_V, 0.0)
    assert core.target_V == 0.0


def test_nothing_is_taken_unless_armed():
    with pytest.raises(BiasRefused, match="armed"):
        BiasCore(RULES).ask(1.0, 0.0)


def test_a_trip_latches_until_armed_again():
    core = armed()
    core.ask(10.0, 0.0)
    now = drive(core, 1.0)

    for _ in range(2):
        core.advance(at(core.level_V, 6e-8), now)

    assert "leakage" in core.trip_reason
    with pytest.raises(BiasRefused, match="leakage"):
        core.ask(1.0, now)
    now = drive(core, now + 5.0, start_s=now)
    assert core.state is BiasState.TRIPPED
    with pytest.raises(BiasRefused, match="leakage"):
        core.ask(1.0, now)
    core.arm(0.0, now)
    core.ask(1.0, now)


def test_a_leakage_ramps_down_and_does_not_switch_off():
    core = armed()
    core.ask(100.0, 0.0)
    now = drive(core, 25.0)

    actions = []
    while core.state is not BiasState.TRIPPED:
        now += 0.1
        core.renew(now)
        actions.append(core.advance(at(core.level_V, 1e-7), now))
        core.confirm(now)

    levels = [a.voltage_V for a in actions if isinstance(a, SetLevel)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == 0.0
    assert isinstance(actions[-1], SwitchOff)
    assert len(levels) == pytest.approx(100.0 / (50.0 * 0.1), abs=2)


def test_breakdown_switches_off_at_once():
    core = armed()
    core.ask(50.0, 0.0)
    now = drive(core, 15.0)

    action = core.advance(at(0.4, 1e-7, limited=True), now + 0.1)

    assert isinstance(action, SwitchOff)
    assert "breakdown" in action.reason
    core.confirm(now + 0.2)
    assert core.state is BiasState.TRIPPED


def test_a_current_at_its_limit_again_and_again_is_a_breakdown_too():
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 10.0)

    actions = [core.advance(at(20.0, 4e-8, limited=True), now + 0.1 * k) for k in range(1, 8)]

    assert any(isinstance(action, SwitchOff) for action in actions)
    assert "times in a row" in core.trip_reason


def test_a_single_spike_is_forgotten():
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 10.0)

    for k in range(40):
        core.renew(now + 0.1 * k)
        core.advance(at(20.0, 1e-8, limited=k % 4 == 0), now + 0.1 * k)

    assert core.state is BiasState.AT_TARGET


@pytest.mark.parametrize(
    ("terminals", "reason"),
    [
        (at(20.0, nan), "leakage nan"),
        (at(nan, 0.0), "nan V at the terminals"),
        (at(17.0, 0.0), "17.00 V at the terminals"),
        (Terminals(20.0, 0.0, in_compliance=False, over_voltage=True), "over-voltage"),
    ],
)
def test_what_does_not_hold_trips(terminals, reason):
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 10.0)

    for k in (1, 2):
        core.renew(now + k)
        core.advance(terminals, now + k)

    assert reason in core.trip_reason
    assert core.state is BiasState.SAFING


@pytest.mark.parametrize(
    "odd", [at(0.0), at(20.0, 1e-6), at(20.0, nan), Terminals(20.0, 0.0, False, over_voltage=True)]
)
def test_one_odd_measurement_alone_is_no_trip(odd):
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 10.0)

    for k, terminals in enumerate((odd, at(20.0), odd, at(20.0))):
        core.advance(terminals, now + 0.1 * k)

    assert core.state is BiasState.AT_TARGET
    assert core.trip_reason == ""


def test_charging_the_cable_is_no_leakage():
    rules = {"capacitance_F": 2e-8, "current_trip_A": 5e-8}  # 100 nA at 5 V/s
    core = armed(**rules)
    core.ask(10.0, 0.0)
    now = 0.0
    while core.state is not BiasState.AT_TARGET:
        before_V = core.level_V
        now += 0.1
        core.renew(now)
        core.advance(at(before_V, 2e-8 * 5.0 if before_V else 0.0), now)
        core.confirm(now)
        assert core.trip_reason == ""

    core.renew(now + 5.0)
    for _ in range(2):
        core.advance(at(10.0, 1e-7), now + 5.0)  # at rest the same current is one

    assert "leakage" in core.trip_reason


def test_a_leakage_is_seen_during_a_ramp():
    core = armed(capacitance_F=2e-8)
    core.ask(50.0, 0.0)
    core.advance(at(0.0), 0.1)
    core.confirm(0.1)

    core.advance(at(0.5, 1e-7 + 6e-8), 0.2)
    core.confirm(0.2)
    core.advance(at(1.0, 1e-7 + 6e-8), 0.3)

    assert core.trip_reason == "leakage 60 nA is above 50 nA"


def test_silence_of_the_engine_ramps_to_zero():
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 10.0)

    core.advance(at(20.0), now + 5.1)

    assert core.state is BiasState.SAFING
    assert "lease" in core.trip_reason


def test_an_action_that_was_not_confirmed_comes_again_unchanged():
    core = armed()
    core.ask(20.0, 0.0)
    first = core.advance(at(0.0), 0.1)

    again = core.advance(at(0.0), 0.2)

    assert again == first == SetLevel(pytest.approx(0.5))
    core.confirm(0.25)
    assert core.level_V == pytest.approx(0.5)


def test_switching_off_is_asked_for_until_it_is_confirmed():
    core = armed()
    core.safe(0.0)

    actions = [core.advance(at(0.0), 0.1 * k) for k in range(1, 5)]

    assert all(isinstance(action, SwitchOff) for action in actions)
    assert core.state is BiasState.SAFING
    core.confirm(0.5)
    assert core.state is BiasState.SAFE


def test_up_only_with_open_eyes_down_also_blind():
    core = armed()
    core.ask(20.0, 0.0)
    now = drive(core, 2.0)

    assert core.advance(None, now + 0.1) == Keep()
    core.safe(now + 0.1)
    assert isinstance(core.advance(None, now + 0.2), SetLevel)


def test_an_output_at_zero_that_cannot_be_measured_is_switched_off_after_a_while():
    core = armed()
    core.safe(0.0)

    assert core.advance(None, 9.0) == Keep()
    core.renew(11.0)
    assert isinstance(core.advance(None, 11.0), SwitchOff)


def test_a_supply_found_off_is_a_trip_only_with_a_reason():
    core = armed()
    core.found_off("rebooted")
    assert core.state is BiasState.TRIPPED

    core.arm(0.0, 1.0)
    core.found_off()
    assert core.state is BiasState.SAFE


def test_what_was_found_at_the_terminals_is_ramped_from_there():
    core = BiasCore(RULES)
    core.arm(60.0, 0.0)
    core.safe(0.0)

    action = core.advance(at(60.0), 0.1)

    assert action == SetLevel(pytest.approx(59.5))


class Supply:
    """A device whose log is the judge. Requests or replies may be lost."""

    def __init__(self) -> None:
        self.now = 0.0
        self.level_V = 0.0
        self.is_on = True
        self.log: list[tuple[float, float]] = [(0.0, 0.0)]

    def set_level(self, voltage_V: float) -> None:
        self.level_V = voltage_V
        self.log.append((self.now, voltage_V if self.is_on else 0.0))

    def switch_off(self) -> None:
        self.is_on = False
        self.log.append((self.now, 0.0))


class Bias(RuleBasedStateMachine):
    """Whatever is asked, lost or measured, the device's own log keeps the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.core = BiasCore(RULES)
        self.supply = Supply()
        self.breakdown = False
        self.is_emergency = False
        self.tripped = ""

    @initialize()
    def arm(self) -> None:
        self.core.arm(0.0, 0.0)

    @rule(voltage_V=st.floats(-150, 150) | st.just(nan))
    def ask(self, voltage_V: float) -> None:
        try:
            self.core.ask(voltage_V, self.supply.now)
        except BiasRefused:
            return
        assert abs(voltage_V) <= RULES.max_voltage_V

    @rule(emergency=st.booleans())
    def safe(self, emergency: bool) -> None:
        self.core.safe(self.supply.now, emergency=emergency)

    @rule(
        waits_s=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
        lost=st.sampled_from(["", "", "", "request", "reply"]),
        seen=st.booleans(),
        current_A=st.sampled_from([0.0, 0.0, 0.0, 1e-8, 1e-6, nan]),
        limited=st.sampled_from([False, False, False, True]),
        renews=st.sampled_from([True, True, True, False]),
    )
    def ticks(self, waits_s, lost, seen, current_A, limited, renews) -> None:
        for wait_s in waits_s:
            self.supply.now += wait_s
            if renews:
                self.core.renew(self.supply.now)
            self.tick(lost, at(self.supply.level_V, current_A, limited=limited) if seen else None)
            lost = ""

    @precondition(lambda self: abs(self.supply.level_V) > 4.0 and self.supply.is_on)
    @rule()
    def breaks_down(self) -> None:
        self.breakdown = True
        self.tick("", at(0.0, 1e-7, limited=True))
        assert not self.supply.is_on or self.core.is_at_rest

    def tick(self, lost: str, terminals: Terminals | None) -> None:
        action = self.core.advance(terminals, self.supply.now)
        self.is_emergency |= self.core.state is BiasState.SAFING
        if lost != "request":
            if isinstance(action, SetLevel):
                self.supply.set_level(action.voltage_V)
            elif isinstance(action, SwitchOff):
                self.supply.switch_off()
        if not lost and not isinstance(action, Keep):
            self.core.confirm(self.supply.now)
        if self.core.trip_reason:
            self.tripped = self.tripped or self.core.trip_reason

    @invariant()
    def the_limit_holds(self) -> None:
        assert all(abs(volts) <= RULES.max_voltage_V for _, volts in self.supply.log)

    @invariant()
    def no_step_is_steeper_than_the_slew(self) -> None:
        slew = RULES.emergency_slew_V_per_s if self.is_emergency else RULES.sweep_slew_V_per_s
        ramped = [entry for entry in self.supply.log if entry[1] != 0.0 or self.supply.is_on]
        for (_, before_V), (_, after_V) in pairwise(ramped):
            assert abs(after_V - before_V) <= slew * LONGEST_STEP_S + 1e-9

    @invariant()
    def over_half_a_second_the_slew_holds_within_one_step(self) -> None:
        slew = RULES.emergency_slew_V_per_s if self.is_emergency else RULES.sweep_slew_V_per_s
        log = [entry for entry in self.supply.log if entry[1] != 0.0 or self.supply.is_on]
        for k, (start_s, start_V) in enumerate(log):
            for later_s, later_V in log[k:]:
                if later_s - start_s <= 0.5:
                    assert abs(later_V - start_V) <= slew * (0.5 + LONGEST_STEP_S) + 1e-9

    @invariant()
    def a_trip_stays(self) -> None:
        assert not self.tripped or self.core.trip_reason == self.tripped

    @invariant()
    def off_is_claimed_only_when_it_is(self) -> None:
        assert self.core.state is BiasState.DISARMED or not (
            self.core.is_at_rest and self.supply.is_on
        )

    def teardown(self) -> None:
        """From wherever it is, the way to zero ends at 0 V and off."""
        self.core.safe(self.supply.now)
        for _ in range(800):
            if self.core.is_at_rest:
                break
            self.supply.now += 0.1
            self.core.renew(self.supply.now)
            self.tick("", at(self.supply.level_V))
        assert not self.supply.is_on or self.core.state is BiasState.DISARMED


Bias.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestBiasStateMachine = Bias.TestCase


@settings(max_examples=100, deadline=None)
@given(
    target_V=st.floats(-100, 100),
    waits_s=st.lists(st.floats(0.001, 3.0), min_size=20, max_size=60),
    latency_s=st.lists(st.floats(0.0, 0.4), min_size=60, max_size=60),
)
def test_jitter_of_the_line_never_bunches_steps_at_the_device(target_V, waits_s, latency_s):
    core = armed()
    core.ask(target_V, 0.0)
    now, seen = 0.0, [(0.0, 0.0)]

    for wait_s, delay_s in zip(waits_s, latency_s, strict=False):
        now += wait_s
        core.renew(now)
        action = core.advance(at(core.level_V), now)
        if isinstance(action, SetLevel):
            seen.append((now + delay_s / 2, action.voltage_V))  # there, and its reply later
            now += delay_s
            core.confirm(now)

    for k, (start_s, start_V) in enumerate(seen):
        for end_s, end_V in seen[k:]:
            allowed_V = 5.0 * (end_s - start_s + LONGEST_STEP_S)
            assert abs(end_V - start_V) <= allowed_V + 1e-9


def test_a_lease_that_ends_on_the_way_to_zero_makes_the_way_no_steeper():
    core = BiasCore(RULES)
    core.arm(20.0, 0.0)
    core.safe(0.0)

    action = core.advance(None, 2.0 * RULES.lease_s)

    assert action == SetLevel(20.0 - RULES.sweep_slew_V_per_s * LONGEST_STEP_S)
    assert "lease" in core.trip_reason

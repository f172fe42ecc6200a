"""The rules of the bias: ramps, limits, trips and the lease, free of I/O and clocks.

Time and measurements come in, actions go out. The same core runs inside the engine's process and,
for real nights, in the guardian.

Rule 1  The level moves in small steps: a step is slew x elapsed time, and elapsed time is capped,
        so that a late tick makes the ramp slower, never steeper.
Rule 2  Two slews: the sweep's, and a faster one for emergencies. Breakdown alone switches off at
        once; everything else ramps.
Rule 3  A trip latches: the way leads to 0 V and off, and no request is taken until a new arming.
Rule 4  Leakage is what is left of the current after C dV/dt; it is judged during ramps too.
Rule 5  Terminals that twice disagree with the programmed level mean a reboot, a turned knob or a
        broken wire: trip.
Rule 6  No renewal of the lease means that the engine is dead or hangs: ramp to zero.
"""

from dataclasses import dataclass
from enum import Enum
from math import isfinite

__all__ = [
    "Action",
    "BiasCore",
    "BiasRefused",
    "BiasRules",
    "BiasState",
    "Keep",
    "SetLevel",
    "SwitchOff",
    "Terminals",
]

LONGEST_STEP_S = 0.2  # elapsed time that one step may use up, whatever the delay before it
AT_ZERO_V = 1.0  # below this the output may be switched off
SPIKES_TO_BREAKDOWN = 6
DISAGREEMENT_V = 1.0
DISAGREEMENT_FRACTION = 0.05


class BiasRefused(Exception):  # noqa: N818 - a refusal, not a fault
    """The request is outside the rules; nothing was done."""


class BiasState(Enum):
    DISARMED = "disarmed"
    AT_TARGET = "at target"
    RAMPING = "ramping"
    SAFING = "ramping to zero"
    SAFE = "safe"  # output off after a safe() that was asked for
    TRIPPED = "tripped"  # output off after a trip


@dataclass(frozen=True, slots=True)
class BiasRules:
    """Everything the core must know, all positive.

    max_voltage_V: the sample's limit, by field and gas; current_trip_A: leakage at which to ramp
    down; capacitance_F: of cable and gap, measured at arming; lease_s: longest silence of the
    engine.
    """

    max_voltage_V: float
    current_trip_A: float
    sweep_slew_V_per_s: float
    emergency_slew_V_per_s: float
    capacitance_F: float = 0.0
    lease_s: float = 5.0

    def __post_init__(self) -> None:
        for name in (
            "max_voltage_V",
            "current_trip_A",
            "sweep_slew_V_per_s",
            "emergency_slew_V_per_s",
            "lease_s",
        ):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise ValueError(f"bias rules: {name} is {value}, must be positive and finite")
        if self.emergency_slew_V_per_s < self.sweep_slew_V_per_s:
            raise ValueError(
                f"bias rules: emergency slew {self.emergency_slew_V_per_s} V/s is below the "
                f"sweep slew {self.sweep_slew_V_per_s} V/s"
            )


@dataclass(frozen=True, slots=True)
class Terminals:
    """What was measured at the supply's terminals."""

    voltage_V: float
    current_A: float
    in_compliance: bool
    over_voltage: bool = False


@dataclass(frozen=True, slots=True)
class SetLevel:
    voltage_V: float


@dataclass(frozen=True, slots=True)
class SwitchOff:
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Do nothing now."""


Action = SetLevel | SwitchOff | Keep


class BiasCore:
    """Decides the next action on the supply from the requests, the time and the terminals."""

    def __init__(self, rules: BiasRules) -> None:
        self.rules = rules
        self.state = BiasState.DISARMED
        self.trip_reason = ""
        self.level_V = 0.0
        self.target_V = 0.0
        self._slew = rules.sweep_slew_V_per_s
        self._last_s: float | None = None
        self._lease_until_s = 0.0
        self._spikes = 0
        self._disagreements = 0
        self._ramp_V_per_s = 0.0

    @property
    def is_ramping(self) -> bool:
        return self.state in (BiasState.RAMPING, BiasState.SAFING)

    def arm(self, level_V: float, now: float) -> None:
        """Take over an output that is on at this measured level."""
        self.level_V = self.target_V = level_V
        self.state, self.trip_reason = BiasState.AT_TARGET, ""
        self._slew, self._ramp_V_per_s = self.rules.sweep_slew_V_per_s, 0.0
        self._spikes = self._disagreements = 0
        self._last_s, self._lease_until_s = now, now + self.rules.lease_s

    def ask(self, voltage_V: float, now: float) -> None:
        """Make this voltage the target of the sweep's ramp.

        Raises BiasRefused outside the sample's limit, for NaN, and unless armed.
        """
        if self.state not in (BiasState.AT_TARGET, BiasState.RAMPING):
            why = f": {self.trip_reason}" if self.trip_reason else ""
            raise BiasRefused(f"bias is {self.state.value}{why}; it must be armed again")
        if not abs(voltage_V) <= self.rules.max_voltage_V:
            raise BiasRefused(
                f"{voltage_V} V is beyond the sample's limit of {self.rules.max_voltage_V} V"
            )
        self.renew(now)
        self.target_V = voltage_V
        if voltage_V != self.level_V:
            self._start(BiasState.RAMPING, now)

    def renew(self, now: float) -> None:
        """Renew the lease: the engine is alive."""
        self._lease_until_s = now + self.rules.lease_s

    def safe(self, now: float, *, reason: str = "", emergency: bool = False) -> None:
        """Begin the way to 0 V and off; a reason makes it a trip, which latches."""
        if reason and not self.trip_reason:
            self.trip_reason = reason
        if emergency:
            self._slew = self.rules.emergency_slew_V_per_s
        if self.state in (BiasState.AT_TARGET, BiasState.RAMPING):
            self.target_V = 0.0
            self._start(BiasState.SAFING, now)

    def advance(self, terminals: Terminals | None, now: float) -> Action:
        """Judge the terminals (None: could not be measured) and return the next action."""
        if self.state in (BiasState.DISARMED, BiasState.SAFE, BiasState.TRIPPED):
            return Keep()
        if terminals is not None and (breakdown := self._breakdown(terminals)):
            self.trip_reason = self.trip_reason or breakdown
            return self._off()
        self._judge(terminals, now)
        return self._step(terminals, now)

    def leakage_A(self, terminals: Terminals) -> float:
        """Return the current that does not charge the cable."""
        return terminals.current_A - self.rules.capacitance_F * self._ramp_V_per_s

    def _start(self, state: BiasState, now: float) -> None:
        if not self.is_ramping:
            self._last_s = now
        self.state = state

    def _breakdown(self, terminals: Terminals) -> str:
        """Return why the output must go off this instant, or nothing."""
        collapsed = abs(terminals.voltage_V) < 0.5 * abs(self.level_V) - AT_ZERO_V
        if terminals.in_compliance and collapsed:
            return (
                f"breakdown: current at its limit and {terminals.voltage_V:.2f} V "
                f"instead of {self.level_V:.2f} V"
            )
        self._spikes = self._spikes + 1 if terminals.in_compliance else max(0, self._spikes - 1)
        if self._spikes >= SPIKES_TO_BREAKDOWN:
            return f"breakdown: current at its limit {self._spikes} times in a row"
        return ""

    def _judge(self, terminals: Terminals | None, now: float) -> None:
        if now > self._lease_until_s:
            self.safe(now, reason="lease: no sign of life from the engine", emergency=True)
        if terminals is None or self.state is BiasState.SAFING:
            return
        leakage_A = self.leakage_A(terminals)
        if not abs(leakage_A) <= self.rules.current_trip_A:
            self.safe(
                now,
                reason=f"leakage {leakage_A:.3g} A is above {self.rules.current_trip_A:.3g} A",
                emergency=True,
            )
        elif terminals.over_voltage:
            self.safe(now, reason="the supply reports over-voltage", emergency=True)
        elif self._disagrees(terminals):
            self.safe(
                now,
                reason=f"{terminals.voltage_V:.2f} V at the terminals, {self.level_V:.2f} V asked",
                emergency=True,
            )

    def _disagrees(self, terminals: Terminals) -> bool:
        allowed_V = max(DISAGREEMENT_V, DISAGREEMENT_FRACTION * abs(self.level_V))
        agrees = abs(terminals.voltage_V - self.level_V) <= allowed_V
        self._disagreements = 0 if agrees else self._disagreements + 1
        return self._disagreements >= 2

    def _step(self, terminals: Terminals | None, now: float) -> Action:
        elapsed = 0.0 if self._last_s is None else min(now - self._last_s, LONGEST_STEP_S)
        self._last_s = now
        if not self.is_ramping:
            self._ramp_V_per_s = 0.0
            return Keep()
        distance = self.target_V - self.level_V
        if distance == 0.0:
            return self._arrive(terminals)
        step = min(abs(distance), self._slew * elapsed)
        if step <= 0.0:
            return Keep()
        self._ramp_V_per_s = self._slew if distance > 0 else -self._slew
        self.level_V = (
            self.target_V
            if step == abs(distance)
            else self.level_V + (step if distance > 0 else -step)
        )
        return SetLevel(self.level_V)

    def _arrive(self, terminals: Terminals | None) -> Action:
        self._ramp_V_per_s = 0.0
        if self.state is BiasState.RAMPING:
            self.state = BiasState.AT_TARGET
            return Keep()
        if terminals is not None and abs(terminals.voltage_V) < AT_ZERO_V:
            return self._off()
        return Keep()

    def _off(self) -> Action:
        self.state = BiasState.TRIPPED if self.trip_reason else BiasState.SAFE
        self.level_V = self.target_V = 0.0
        return SwitchOff(self.trip_reason or "asked to be safe")

"""The rules of the bias: ramps, limits, trips and the lease, free of I/O and clocks.

Time and measurements come in, actions go out. The same core runs inside the engine's process and,
for real nights, in the guardian.

Rule 1  The level moves in small steps: a step is slew x elapsed time, and elapsed time is capped,
        so that a late tick makes the ramp slower, never steeper. It counts from the moment the
        step before was confirmed, so that a slow line can't bunch steps at the device.
Rule 2  Two slews: the sweep's, and a faster one for emergencies. Breakdown alone switches off at
        once; everything else ramps.
Rule 3  A trip latches: the way leads to 0 V and off, and no request is taken until a new arming.
Rule 4  Leakage is what is left of the current after C dV/dt; it is judged during ramps too.
Rule 5  Leakage, over-voltage, and terminals that disagree with the programmed level (a reboot, a
        turned knob, a broken wire) trip when two measurements in a row show one of them: one
        flipped bit must not end a night.
Rule 6  No renewal of the lease means that the engine is dead or hangs: ramp to zero.
Rule 7  An action counts once it is confirmed. Until then it is asked for again, unchanged: whether
        or not it had arrived, the device moves by that one step.
Rule 8  Without measurements the sweep's ramp stands still; the way to zero goes on.
"""

from dataclasses import dataclass
from enum import Enum
from math import copysign, isfinite

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
BLIND_AT_ZERO_S = 10.0  # at a programmed 0 V, after which it may be without a measurement
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
        self.level_V = 0.0  # programmed and confirmed
        self.target_V = 0.0
        self._slew = rules.sweep_slew_V_per_s
        self._unconfirmed: SetLevel | SwitchOff | None = None
        self._stepped_s = 0.0
        self._last_step_V = 0.0
        self._lease_until_s = 0.0
        self._spikes = 0
        self.is_suspicious = False  # the last measurement showed a fault, the one before none

    @property
    def is_ramping(self) -> bool:
        return self.state in (BiasState.RAMPING, BiasState.SAFING)

    @property
    def is_at_rest(self) -> bool:
        """Return whether there is nothing to drive: never armed, or off."""
        return self.state in (BiasState.DISARMED, BiasState.SAFE, BiasState.TRIPPED)

    @property
    def is_switching_off(self) -> bool:
        return isinstance(self._unconfirmed, SwitchOff)

    def arm(self, level_V: float, now: float) -> None:
        """Take over an output that is on at this measured level."""
        self.level_V = self.target_V = level_V
        self.state, self.trip_reason = BiasState.AT_TARGET, ""
        self._slew, self._last_step_V = self.rules.sweep_slew_V_per_s, 0.0
        self._spikes, self.is_suspicious = 0, False
        self._unconfirmed = None
        self._stepped_s, self._lease_until_s = now, now + self.rules.lease_s

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
        if self.is_at_rest:
            return
        self.trip_reason = self.trip_reason or reason
        if emergency:
            self._slew = self.rules.emergency_slew_V_per_s
        self.target_V = 0.0
        self._start(BiasState.SAFING, now)

    def advance(self, terminals: Terminals | None, now: float) -> Action:
        """Judge the terminals (None: could not be measured) and return the next action.

        What is returned must be confirmed once it was done, else it comes again.
        """
        if self.is_at_rest:
            return Keep()
        self._judge(terminals, now)
        if self._unconfirmed is None:
            self._unconfirmed = self._next(terminals, now)
        return self._unconfirmed or Keep()

    def confirm(self, now: float) -> None:
        """Take note that the action returned last has been done."""
        match self._unconfirmed:
            case SetLevel(voltage_V):
                self._last_step_V = voltage_V - self.level_V
                self.level_V, self._stepped_s = voltage_V, now
            case SwitchOff():
                self.found_off()
        self._unconfirmed = None

    def found_off(self, reason: str = "") -> None:
        """Take note that the output is off; a reason makes it a trip."""
        self.trip_reason = self.trip_reason or reason
        self.state = BiasState.TRIPPED if self.trip_reason else BiasState.SAFE
        self.level_V = self.target_V = 0.0
        self._unconfirmed = None

    def leakage_A(self, terminals: Terminals, now: float) -> float:
        """Return the current that does not charge the cable."""
        since_s = now - self._stepped_s
        rate = abs(self._last_step_V) / since_s if since_s > 0 else self._slew
        charging_A = self.rules.capacitance_F * copysign(min(rate, self._slew), self._last_step_V)
        return terminals.current_A - charging_A

    def _start(self, state: BiasState, now: float) -> None:
        if not self.is_ramping:
            self._stepped_s, self._last_step_V = now, 0.0
        self.state = state

    def _judge(self, terminals: Terminals | None, now: float) -> None:
        if now > self._lease_until_s:
            # a ramp to zero that is under way already needs no haste
            haste = self.state is not BiasState.SAFING
            self.safe(now, reason="lease: no sign of life from the engine", emergency=haste)
        if terminals is None:
            return
        if breakdown := self._breakdown(terminals):
            self.safe(now, reason=breakdown)
            self._unconfirmed = SwitchOff(breakdown)
        elif self.state is not BiasState.SAFING:
            fault = self._fault(terminals, now)
            if fault and self.is_suspicious:
                self.safe(now, reason=fault, emergency=True)
            self.is_suspicious = bool(fault) and not self.trip_reason

    def _breakdown(self, terminals: Terminals) -> str:
        """Return why the output must go off this instant, or nothing."""
        collapsed = abs(terminals.voltage_V) < 0.5 * abs(self.level_V) - AT_ZERO_V
        if terminals.in_compliance and collapsed:
            return (
                f"breakdown: current at its limit and {terminals.voltage_V:.2f} V "
                f"instead of {self.level_V:.2f} V"
            )
        if self.state is BiasState.SAFING:
            return ""  # a cable that discharges fast holds the current at its limit, too
        self._spikes = self._spikes + 1 if terminals.in_compliance else max(0, self._spikes - 1)
        if self._spikes >= SPIKES_TO_BREAKDOWN:
            return f"breakdown: current at its limit {self._spikes} times in a row"
        return ""

    def _fault(self, terminals: Terminals, now: float) -> str:
        """Return why the sample should be brought to zero, or nothing. NaN is a fault."""
        leakage_A = self.leakage_A(terminals, now)
        if not abs(leakage_A) <= self.rules.current_trip_A:
            return f"leakage {_nA(leakage_A)} is above {_nA(self.rules.current_trip_A)}"
        if terminals.over_voltage:
            return "the supply reports over-voltage"
        if self._unconfirmed is None and self._disagrees(terminals):
            return f"{terminals.voltage_V:.2f} V at the terminals, {self.level_V:.2f} V asked"
        return ""

    def _disagrees(self, terminals: Terminals) -> bool:
        allowed_V = max(DISAGREEMENT_V, DISAGREEMENT_FRACTION * abs(self.level_V))
        return not abs(terminals.voltage_V - self.level_V) <= allowed_V

    def _next(self, terminals: Terminals | None, now: float) -> SetLevel | SwitchOff | None:
        if self.state is BiasState.AT_TARGET:
            return None
        distance_V = self.target_V - self.level_V
        if distance_V == 0.0:
            return self._arrive(terminals, now)
        if self.state is BiasState.RAMPING and terminals is None:
            return None
        step_V = self._slew * min(now - self._stepped_s, LONGEST_STEP_S)
        if step_V <= 0.0:
            return None
        if step_V >= abs(distance_V):
            return SetLevel(self.target_V)
        return SetLevel(self.level_V + copysign(step_V, distance_V))

    def _arrive(self, terminals: Terminals | None, now: float) -> SwitchOff | None:
        if self.state is BiasState.RAMPING:
            self.state = BiasState.AT_TARGET
            return None
        is_seen = terminals is not None and abs(terminals.voltage_V) < AT_ZERO_V
        if is_seen or now - self._stepped_s > BLIND_AT_ZERO_S:
            return SwitchOff(self.trip_reason or "asked to be safe")
        return None


def _nA(current_A: float) -> str:
    return f"{1e9 * current_A:.3g} nA"

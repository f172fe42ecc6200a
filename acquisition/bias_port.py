"""The only door to the bias supply: ask for a voltage, look at the status, make it safe.

The port owns the supply and drives its core (acquisition.bias_core) from the engine's loop. The
guardian will offer the same verbs from a process of its own.
"""

import logging
from dataclasses import dataclass, replace
from typing import Protocol

from acquisition.bias_core import (
    BiasCore,
    BiasRules,
    BiasState,
    SetLevel,
    SwitchOff,
    Terminals,
)
from drivers.clock import Clock
from drivers.errors import DeviceError, LinkError, ReplyError
from drivers.roles import BiasMeasurement, BiasSettings, BiasSupply

__all__ = ["BiasPort", "BiasStatus", "LocalBiasPort"]

logger = logging.getLogger(__name__)

TICK_S = 0.1  # of a ramp
SILENCE_TO_TRIP_S = 2.0  # without one good measurement while a voltage is on
AGREEMENT_V = 0.5  # between the two readings that fix where a ramp starts
CAPACITANCE_TEST_V = 2.0
ZERO_MARGIN_S = 30.0  # beyond twice the time of the ramp, before a way to zero counts as stuck


@dataclass(frozen=True, slots=True)
class BiasStatus:
    """What the port knows: state, terminals, and the voltage across the gap, V - I R_series."""

    state: BiasState
    target_V: float
    voltage_V: float
    current_A: float
    leakage_A: float
    gap_voltage_V: float
    trip_reason: str
    time_s: float

    @property
    def is_settled(self) -> bool:
        return self.state is BiasState.AT_TARGET

    @property
    def is_moving(self) -> bool:
        return self.state in (BiasState.RAMPING, BiasState.SAFING)

    @property
    def is_zero(self) -> bool:
        """Return whether 0 V was reached and the output is off."""
        return self.state in (BiasState.SAFE, BiasState.TRIPPED, BiasState.DISARMED)


class BiasPort(Protocol):
    """What the engine may do with the bias."""

    def arm(self) -> float:
        """Bring whatever is on to zero, fix ranges and limits, switch on at 0 V.

        Returns the capacitance in F of cable and gap, measured on a small ramp."""
        ...

    def ask(self, voltage_V: float) -> None:
        """Ramp to this voltage; returns at once. Raises BiasRefused."""
        ...

    def advance(self) -> None:
        """Take the step that is due; called again and again by the engine."""
        ...

    def status(self) -> BiasStatus: ...

    def safe(self, *, emergency: bool = False) -> None:
        """Begin the way to 0 V and off."""
        ...

    def measure(self) -> BiasStatus:
        """Measure the terminals now and return the status."""
        ...

    def bring_to_zero(self) -> float | None:
        """Ramp whatever voltage is really there to 0 V and switch off.

        Returns the voltage that was found, None if the output was off."""
        ...

    def confirm_zero(self) -> None:
        """Read back that the output is off; raise DeviceError if it is not."""
        ...

    def close(self) -> None: ...


class LocalBiasPort:
    """A BiasPort in the engine's own process: for simulations, and up to 20 V."""

    def __init__(
        self,
        supply: BiasSupply,
        clock: Clock,
        rules: BiasRules,
        settings: BiasSettings,
        *,
        series_ohm: float,
    ) -> None:
        self._supply = supply
        self._clock = clock
        self._settings = settings
        self._series_ohm = series_ohm
        self._core = BiasCore(rules)
        self._last: BiasMeasurement | None = None
        self._next_tick_s = 0.0
        self._last_good_s = 0.0

    def arm(self) -> float:
        self.bring_to_zero()
        self._supply.configure(self._settings)
        self._supply.set_level(0.0)
        self._supply.switch_output(True)
        self._take_over(self._agreed_level_V())
        self._measure_capacitance()
        return self._core.rules.capacitance_F

    def bring_to_zero(self) -> float | None:
        """Ramp a voltage that is really there to 0 V and switch off; nothing if the output is off.

        The start of the ramp is what two agreeing measurements say, never what we remember.
        """
        if not self._supply.is_output_on():
            return None
        level_V = self._agreed_level_V()
        logger.warning("bias: found %.3f V at the terminals, ramping to zero", level_V)
        self._take_over(level_V)
        self.safe()
        deadline_s = self._clock.now() + ZERO_MARGIN_S + 2.0 * abs(level_V) / self._slew_V_per_s
        while not self.status().is_zero:
            if self._clock.now() > deadline_s:
                raise DeviceError(self._supply.name, f"does not come to zero: {self.status()}")
            self._clock.wait(TICK_S)
            self.advance()
        return level_V

    def ask(self, voltage_V: float) -> None:
        self._core.ask(voltage_V, self._clock.now())

    def advance(self) -> None:
        now = self._clock.now()
        self._core.renew(now)
        if now < self._next_tick_s or self.status_is_final():
            return
        self._next_tick_s = now + TICK_S
        self._act(self._terminals(now))

    def status_is_final(self) -> bool:
        return self._core.state in (BiasState.DISARMED, BiasState.SAFE, BiasState.TRIPPED)

    def status(self) -> BiasStatus:
        core, last = self._core, self._last
        if last is None or self.status_is_final():
            return BiasStatus(
                core.state, core.target_V, 0.0, 0.0, 0.0, 0.0, core.trip_reason, self._clock.now()
            )
        return BiasStatus(
            state=core.state,
            target_V=core.target_V,
            voltage_V=last.voltage_V,
            current_A=last.current_A,
            leakage_A=core.leakage_A(_terminals(last)),
            gap_voltage_V=last.voltage_V - last.current_A * self._series_ohm,
            trip_reason=core.trip_reason,
            time_s=last.time_s,
        )

    def measure(self) -> BiasStatus:
        """Measure now, whatever the tick, and return the status."""
        if not self.status_is_final():
            self._last = self._supply.measure()
            self._last_good_s = self._clock.now()
        return self.status()

    def safe(self, *, emergency: bool = False) -> None:
        self._core.safe(self._clock.now(), emergency=emergency)

    def confirm_zero(self) -> None:
        if self._supply.is_output_on():
            raise DeviceError(self._supply.name, "the output is still on")

    def close(self) -> None:
        self._supply.close()

    def _take_over(self, level_V: float) -> None:
        now = self._clock.now()
        self._core.arm(level_V, now)
        self._last_good_s = self._next_tick_s = now

    def _agreed_level_V(self) -> float:
        """Return the terminal voltage that two measurements in a row agree upon."""
        first = self._supply.measure()
        for _ in range(5):
            second = self._supply.measure()
            if abs(first.voltage_V - second.voltage_V) <= AGREEMENT_V:
                self._last = second
                return second.voltage_V
            first = second
        raise ReplyError(
            self._supply.name,
            f"measured {first.voltage_V} V and other values: no two readings in a row agree "
            f"within {AGREEMENT_V} V",
        )

    def _terminals(self, now: float) -> Terminals | None:
        try:
            self._last = self._supply.measure()
        except (LinkError, ReplyError) as error:
            logger.warning("bias: not measured: %s", error)
            if now - self._last_good_s > SILENCE_TO_TRIP_S:
                self._core.safe(now, reason=f"no measurement for {SILENCE_TO_TRIP_S} s: {error}")
            return None
        self._last_good_s = now
        return _terminals(self._last)

    def _act(self, terminals: Terminals | None) -> None:
        action = self._core.advance(terminals, self._clock.now())
        if isinstance(action, SetLevel):
            self._supply.set_level(action.voltage_V)
        elif isinstance(action, SwitchOff):
            self._switch_off(action.reason)

    def _switch_off(self, reason: str) -> None:
        self._supply.set_level(0.0)
        self._supply.switch_output(False)
        self.confirm_zero()
        logger.info("bias: output off: %s", reason)

    def _measure_capacitance(self) -> None:
        """Learn C from the currents of a small ramp up and down, at the slew of the sweep."""
        rise_A = self._ramp_current_A(min(CAPACITANCE_TEST_V, self._core.rules.max_voltage_V))
        fall_A = self._ramp_current_A(0.0)
        capacitance_F = max(0.0, (rise_A - fall_A) / (2.0 * self._slew_V_per_s))
        self._core.rules = replace(self._core.rules, capacitance_F=capacitance_F)

    def _ramp_current_A(self, voltage_V: float) -> float:
        currents: list[float] = []
        self.ask(voltage_V)
        while not self.status().is_settled:
            if self.status_is_final():
                raise DeviceError(self._supply.name, f"tripped at arming: {self.trip_reason}")
            self._clock.wait(TICK_S)
            self.advance()
            currents.append(self.status().current_A)
        return sum(currents) / max(1, len(currents))

    @property
    def _slew_V_per_s(self) -> float:
        return self._core.rules.sweep_slew_V_per_s

    @property
    def trip_reason(self) -> str:
        return self._core.trip_reason


def _terminals(measured: BiasMeasurement) -> Terminals:
    return Terminals(
        measured.voltage_V, measured.current_A, measured.in_compliance, measured.over_voltage
    )

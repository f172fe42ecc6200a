"""The only door to the bias supply: ask for a voltage, look at the status, make it safe.

The port owns the supply and drives its core (acquisition.bias.bias_core) from the engine's loop.
The guardian will offer the same verbs from a process of its own.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Protocol

from acquisition.bias.bias_core import (
    AT_ZERO_V,
    Action,
    BiasCore,
    BiasRules,
    BiasState,
    SetLevel,
    SwitchOff,
    Terminals,
)
from drivers.clock import Clock
from drivers.errors import DeviceError, InstrumentError, ReplyError, StateError
from drivers.roles import (
    BiasMeasurement,
    BiasSettings,
    BiasSupply,
    Device,
    Identity,
    Reading,
    Setting,
)

__all__ = ["BiasPort", "BiasStatus", "LocalBiasPort"]

logger = logging.getLogger(__name__)

TICK_S = 0.1  # of a ramp
SILENCE_TO_TRIP_S = 2.0  # from the first failure, without an answer while a voltage is on
AGREEMENT_V = 0.5  # between the two readings that fix where a ramp starts
CAPACITANCE_TEST_V = 2.0
ARMING_MARGIN_S = 30.0  # beyond twice the time of the test ramp


@dataclass(frozen=True, slots=True)
class BiasStatus:
    """What the port knows: state, terminals, and the voltage across the gap, V - I R_series.

    Voltages and currents are NaN where nothing is measured.
    """

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
        """Return whether the output is known to be off."""
        return self.state in (BiasState.SAFE, BiasState.TRIPPED)


class BiasPort(Device, Protocol):
    """What the engine may do with the bias. Channels: voltage_V, gap_voltage_V, current_A,
    leakage_A."""

    def take_over(self) -> float | None:
        """Begin to bring whatever voltage is really there to 0 V and off.

        Returns the voltage that was found, None if the output was off. Raises DeviceError."""
        ...

    def arm(self) -> float:
        """Fix ranges and limits with the output off, and switch on at 0 V.

        Returns the capacitance in F of cable and gap, measured on a small ramp. Raises StateError
        if the output is on."""
        ...

    def ask(self, voltage_V: float) -> None:
        """Ramp to this voltage; returns at once. Raises BiasRefused."""
        ...

    def advance(self) -> None:
        """Take the step that is due; called again and again by the engine. Never raises for a
        supply that is silent: it tries again, and trips in the end."""
        ...

    def status(self) -> BiasStatus: ...

    def measure(self) -> BiasStatus:
        """Measure the terminals now and return the status; NaN where that failed."""
        ...

    def safe(self, *, emergency: bool = False) -> None:
        """Begin the way to 0 V and off; of whatever is there, if nothing is known yet."""
        ...

    def confirm_zero(self) -> None:
        """Read back that the output is off; raise DeviceError if it is not."""
        ...


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
        self.name = supply.name
        self._supply = supply
        self._clock = clock
        self._settings = settings
        self._series_ohm = series_ohm
        self._core = BiasCore(rules)
        self._last: BiasMeasurement | None = None
        self._leakage_A = nan
        self._next_tick_s = 0.0
        self._silent_since_s: float | None = None
        self._wants_zero = False

    def identify(self) -> Identity:
        return self._supply.identify()

    def settings(self) -> Mapping[str, Setting]:
        return self._supply.settings()

    def read(self) -> Mapping[str, Reading]:
        """Return what was measured last, without asking the supply."""
        status = self.status()
        values = {
            "voltage_V": (status.voltage_V, "V"),
            "gap_voltage_V": (status.gap_voltage_V, "V"),
            "current_A": (status.current_A, "A"),
            "leakage_A": (status.leakage_A, "A"),
        }
        return {
            channel: Reading(value, unit, status.time_s)
            for channel, (value, unit) in values.items()
        }

    def take_over(self) -> float | None:
        """Ramp a voltage that is really there to 0 V and off.

        The start of the ramp is what two agreeing measurements say, never what we remember.
        """
        if self._is_off():
            self._core.found_off()
            return None
        level_V = self._agreed_level_V()
        logger.warning("bias: found %.3f V at the terminals, ramping to zero", level_V)
        now = self._clock.now()
        self._core.arm(level_V, now)
        self._core.safe(now)
        return level_V

    def arm(self) -> float:
        self._supply.configure(self._settings)
        self._supply.set_level(0.0)
        self._core.arm(0.0, self._clock.now())  # first, so that any failure after it is ramped
        self._supply.switch_output(True)
        found_V = self._agreed_level_V()
        if not abs(found_V) < AT_ZERO_V:
            raise InstrumentError(self.name, f"{found_V:.3f} V at the terminals, 0 V programmed")
        self._measure_capacitance()
        return self._core.rules.capacitance_F

    def ask(self, voltage_V: float) -> None:
        self._core.ask(voltage_V, self._clock.now())

    def advance(self) -> None:
        now = self._clock.now()
        self._core.renew(now)  # who calls is alive
        if now < self._next_tick_s:
            return
        self._next_tick_s = now + TICK_S
        if not self._core.is_at_rest:
            self._tick()
            if self._core.is_suspicious:
                self._tick()
        elif self._wants_zero and self._core.state is BiasState.DISARMED:
            self._attempt(self.take_over)

    def _tick(self) -> None:
        terminals = None if self._core.is_switching_off else self._measured()
        self._carry_out(self._core.advance(terminals, self._clock.now()))

    def status(self) -> BiasStatus:
        core, last = self._core, None if self._core.is_at_rest else self._last
        volts, amperes = (nan, nan) if last is None else (last.voltage_V, last.current_A)
        time_s = self._clock.now() if last is None else last.time_s
        return BiasStatus(
            state=core.state,
            target_V=core.target_V,
            voltage_V=volts,
            current_A=amperes,
            leakage_A=nan if last is None else self._leakage_A,
            gap_voltage_V=volts - amperes * self._series_ohm,
            trip_reason=core.trip_reason,
            time_s=time_s,
        )

    def measure(self) -> BiasStatus:
        """Measure now, whatever the tick, and return the status."""
        if not (self._core.is_at_rest or self._core.is_switching_off):
            self._measured()
        return self.status()

    def safe(self, *, emergency: bool = False) -> None:
        self._wants_zero = True
        self._core.safe(self._clock.now(), emergency=emergency)

    def confirm_zero(self) -> None:
        if not self._is_off():
            raise StateError(self.name, "the output is still on")

    def close(self) -> None:
        self._supply.close()

    def _is_off(self) -> bool:
        """Return whether the supply says so twice: one flipped bit makes a 0 of a 1."""
        return not any(self._supply.is_output_on() for _ in range(2))

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
            self.name,
            f"measured {first.voltage_V} V and other values: no two readings in a row agree "
            f"within {AGREEMENT_V} V",
        )

    def _measured(self) -> Terminals | None:
        """Measure; return None, and trip after a while, if the supply does not answer."""
        self._last = None
        self._attempt(self._measure)
        return None if self._last is None else _terminals(self._last)

    def _measure(self) -> None:
        try:
            measured = self._supply.measure()
        except StateError as error:
            if not self._is_off():
                raise
            self._core.found_off(f"the output went off by itself ({error})")
        else:
            self._last = measured
            self._leakage_A = self._core.leakage_A(_terminals(measured), measured.time_s)

    def _carry_out(self, action: Action) -> None:
        match action:
            case SetLevel(voltage_V):
                is_done = self._attempt(lambda: self._supply.set_level(voltage_V))
            case SwitchOff(reason):
                is_done = self._attempt(lambda: self._switch_off(reason))
            case _:
                return
        if is_done:
            self._core.confirm(self._clock.now())

    def _switch_off(self, reason: str) -> None:
        self._supply.switch_output(False)
        self.confirm_zero()
        self._supply.set_level(0.0)
        logger.info("bias: output off: %s", reason)

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Return whether the supply did it; what fails is tried again with the next tick."""
        try:
            action()
        except DeviceError as error:
            level = logging.WARNING if self._silent_since_s is None else logging.DEBUG
            logger.log(level, "%s", error)  # once for each time that it falls silent
            self._note_silence(error)
            return False
        self._silent_since_s = None
        return True

    def _note_silence(self, error: DeviceError) -> None:
        now = self._clock.now()
        if self._silent_since_s is None:
            self._silent_since_s = now
        elif now - self._silent_since_s > self._clock.patience_s(SILENCE_TO_TRIP_S):
            self._core.safe(now, reason=f"out of touch for {SILENCE_TO_TRIP_S:g} s: {error}")

    def _measure_capacitance(self) -> None:
        """Learn C from the currents of a small ramp up and down, at the slew of the sweep."""
        rise_A = self._ramp_current_A(min(CAPACITANCE_TEST_V, self._core.rules.max_voltage_V))
        fall_A = self._ramp_current_A(0.0)
        slew_V_per_s = self._core.rules.sweep_slew_V_per_s
        capacitance_F = max(0.0, (rise_A - fall_A) / (2.0 * slew_V_per_s))
        self._core.rules = replace(self._core.rules, capacitance_F=capacitance_F)

    def _ramp_current_A(self, voltage_V: float) -> float:
        """Return the mean current after each step of a ramp."""
        currents: list[float] = []
        slew_V_per_s = self._core.rules.sweep_slew_V_per_s
        end_s = self._clock.now() + self._clock.patience_s(
            ARMING_MARGIN_S + 2.0 * CAPACITANCE_TEST_V / slew_V_per_s
        )
        self.ask(voltage_V)
        while not (status := self.status()).is_settled:
            if status.trip_reason:
                raise InstrumentError(self.name, f"tripped at arming: {status.trip_reason}")
            if self._clock.now() > end_s:
                raise InstrumentError(self.name, f"does not come to {voltage_V} V: {status}")
            self._clock.wait(TICK_S)
            self.advance()
            currents.append(self.status().current_A)
        after_a_step = currents[1:]  # the first was measured before the first step
        return sum(after_a_step) / max(1, len(after_a_step))


def _terminals(measured: BiasMeasurement) -> Terminals:
    return Terminals(
        measured.voltage_V, measured.current_A, measured.in_compliance, measured.over_voltage
    )

"""The way to the safe state, and whether it was confirmed.

Bias first: it alone can destroy the sample in milliseconds, and gas pressure rises when cooling is
lost. Its ramp begins before anything else and goes on during every other step; the wait for 0 V
comes last. Every step has its own failure and its own time, none blocks the next. The heater holds,
the detector stays cold; the heater goes off only for the causes of an interlock or when the sweep
asks for it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite

from acquisition.bias.bias_port import BiasPort
from acquisition.channel.engine_status import Safety
from acquisition.instruments.station import Station
from drivers.clock import Clock
from drivers.errors import DeviceError, InstrumentError
from drivers.roles import Shutter

__all__ = ["SafeReport", "make_safe"]

logger = logging.getLogger(__name__)

STEP_DEADLINE_S = 5.0  # in which a line that was lost may come back
BIAS_DEADLINE_S = 600.0  # 1000 V at the slowest sensible slew
POLL_S = 0.1
RETRY_S = 0.5
SILENT_S = 1.0  # without a measurement, after which a supply on its way to zero counts as silent


@dataclass(frozen=True, slots=True)
class SafeReport:
    """What was confirmed by reading back, and what was not."""

    confirmed: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def safety(self) -> Safety:
        return Safety.NOT_CONFIRMED if self.failed else Safety.CONFIRMED

    def __str__(self) -> str:
        text = "confirmed: " + (", ".join(self.confirmed) or "nothing")
        return text + ("; NOT CONFIRMED: " + ", ".join(self.failed) if self.failed else "")


def make_safe(
    station: Station,
    clock: Clock,
    *,
    emergency: bool = False,
    hold_temperature: bool = False,
    heater_off: bool = False,
    tell: Callable[[str], None] = logger.warning,
) -> SafeReport:
    """Bring the station to its safe state; never raises, reports what could not be confirmed.

    hold_temperature: end a temperature ramp that is under way; the heater goes on regulating.
    tell: hears at once of a step that has to be tried again, and for how long it will be.
    """
    way = _WayToSafety(station.bias, clock, tell)
    way.begin_ramp(emergency=emergency)
    if station.shutter is not None:
        way.take("laser shutter closed", partial(way.close_shutter, station.shutter))
    way.take("exposure ended", station.camera.abort)
    if station.polarizer is not None:
        way.take("polarizer stopped", station.polarizer.stop)
    if station.spectrograph is not None:
        way.take("spectrograph stopped", station.spectrograph.stop)
    if station.cryostat is not None and heater_off:
        way.take("heater off", station.cryostat.heater_off)
    elif station.cryostat is not None and hold_temperature:
        way.take("temperature held", station.cryostat.hold)
    if station.bias is not None:
        way.take("bias 0 V and off", partial(way.await_zero, station.bias))
    return SafeReport(tuple(way.confirmed), tuple(way.failed))


class _WayToSafety:
    """Takes one step after the other, and lets the bias ramp down meanwhile."""

    def __init__(self, bias: BiasPort | None, clock: Clock, tell: Callable[[str], None]) -> None:
        self.confirmed: list[str] = []
        self.failed: list[str] = []
        self._bias = bias
        self._clock = clock
        self._tell = tell
        self._has_complained = False
        self._told: set[str] = set()
        self._silent_since_s: float | None = None
        self._turn_s = 0.0  # from when on the supply is asked again while other steps wait
        self._is_bias_alone = False

    def begin_ramp(self, *, emergency: bool) -> None:
        if self._bias is not None:
            self._shielded(partial(self._bias.safe, emergency=emergency))

    def take(self, name: str, step: Callable[[], None]) -> None:
        """Take one step, again and again for 5 s if an instrument refuses it."""
        end_s = self._clock.now() + self._clock.patience_s(STEP_DEADLINE_S)
        while True:
            try:
                step()
            except Exception as error:  # each step must have its chance, whatever the others did
                is_foreseen = isinstance(error, DeviceError)
                if is_foreseen and self._clock.now() < end_s:
                    self._say_once(name, f"{error}; tried again for {STEP_DEADLINE_S:g} s")
                    self._pass(RETRY_S)
                    continue
                if not is_foreseen and not isinstance(error, TimeoutError):
                    logger.exception("safe state: %s", name)
                self.failed.append(f"{name} ({error})")
            else:
                self.confirmed.append(name)
            self._pass(0.0)
            return

    def close_shutter(self, shutter: Shutter) -> None:
        status = shutter.set(False)
        self._wait_until(status.poll, STEP_DEADLINE_S, status.action)
        status.check()
        found = shutter.read().get("is_open")  # it may have slid back since it answered
        if found is None or not found.is_good or found.value != 0.0:
            raise InstrumentError(shutter.name, f"answered closed, then found: {found}")

    def await_zero(self, bias: BiasPort) -> None:
        self._is_bias_alone = True
        self._wait_until(lambda: bias.status().is_zero, BIAS_DEADLINE_S, "bias to 0 V")
        bias.confirm_zero()

    def _wait_until(self, done: Callable[[], bool], deadline_s: float, what: str) -> None:
        end_s = self._clock.now() + self._clock.patience_s(deadline_s)
        while not done():
            if self._clock.now() > end_s:
                raise TimeoutError(f"{what}: not done after {deadline_s} s")
            self._pass(POLL_S)

    def _pass(self, seconds: float) -> None:
        self._clock.wait(seconds)
        if self._bias is not None and (self._is_bias_alone or self._clock.now() >= self._turn_s):
            begun_s = self._clock.now()
            self._shielded(self._bias.advance)
            self._yield_turn(begun_s)
            self._shielded(partial(self._hear_silence, self._bias, begun_s))

    def _yield_turn(self, begun_s: float) -> None:
        """Leave the other steps as much time as a supply took that does not answer."""
        now = self._clock.now()
        took_s = now - begun_s
        self._turn_s = now + took_s if took_s > self._clock.patience_s(POLL_S) else now

    def _hear_silence(self, bias: BiasPort, begun_s: float) -> None:
        """Say so if a supply that is not at zero says nothing."""
        status = bias.status()
        if status.is_zero or isfinite(status.voltage_V):
            self._silent_since_s = None
            return
        if self._silent_since_s is None:
            self._silent_since_s = begun_s
        if self._clock.now() - self._silent_since_s > self._clock.patience_s(SILENT_S):
            self._say_once(
                "bias 0 V and off",
                f"the supply is silent; asked again for {BIAS_DEADLINE_S:g} s at most; it can be "
                "switched off at its front panel",
            )

    def _say_once(self, name: str, text: str) -> None:
        """Say why a step takes longer, once for each; whoever hears of it can't hinder the way."""
        if name not in self._told:
            self._told.add(name)
            try:
                self._tell(f"on the way to the safe state: {name}: {text}")
            except Exception:
                logger.exception("safe state: %s: %s", name, text)

    def _shielded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # what it did not do is found when 0 V is awaited
            if not self._has_complained:
                logger.exception("safe state: bias")
            self._has_complained = True

"""The way to the safe state, and whether it was confirmed.

Bias first: it alone can destroy the sample in milliseconds, and gas pressure rises when cooling is
lost. Every step has its own failure, none blocks the next. The heater holds, the detector stays
cold; the heater goes off only for the causes of an interlock or when the sweep asks for it.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from acquisition.engine_status import Safety
from acquisition.station import Station
from drivers.clock import Clock
from drivers.roles import Shutter
from drivers.status import Status

__all__ = ["SafeReport", "make_safe"]

logger = logging.getLogger(__name__)

SHUTTER_DEADLINE_S = 5.0
BIAS_DEADLINE_S = 600.0  # 1000 V at the slowest sensible slew
POLL_S = 0.05


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
    station: Station, clock: Clock, *, emergency: bool = False, heater_off: bool = False
) -> SafeReport:
    """Bring the station to its safe state; never raises, reports what could not be confirmed."""
    if station.bias is not None:
        _try_to_begin_ramp(station, emergency=emergency)
    confirmed: list[str] = []
    failed: list[str] = []
    for name, step in _steps(station, clock, heater_off=heater_off):
        try:
            step()
            confirmed.append(name)
        except Exception as error:  # each step must have its chance, whatever the others did
            logger.exception("safe state: %s", name)
            failed.append(f"{name} ({error})")
    return SafeReport(tuple(confirmed), tuple(failed))


def _try_to_begin_ramp(station: Station, *, emergency: bool) -> None:
    assert station.bias is not None  # noqa: S101
    try:
        station.bias.safe(emergency=emergency)
    except Exception:
        logger.exception("safe state: bias did not take the request")


def _steps(
    station: Station, clock: Clock, *, heater_off: bool
) -> Iterator[tuple[str, Callable[[], None]]]:
    if station.shutter is not None:
        yield "laser shutter closed", partial(_close_shutter, station.shutter, clock)
    if station.bias is not None:
        yield "bias 0 V and off", partial(_await_zero_bias, station, clock)
    yield "exposure ended", station.camera.abort
    if station.polarizer is not None:
        yield "polarizer stopped", station.polarizer.stop
    if station.spectrograph is not None:
        yield "spectrograph stopped", station.spectrograph.stop
    if heater_off and station.cryostat is not None:
        yield "heater off", station.cryostat.heater_off


def _close_shutter(shutter: Shutter, clock: Clock) -> None:
    _await(shutter.set(False), clock, SHUTTER_DEADLINE_S)


def _await(status: Status, clock: Clock, deadline_s: float) -> None:
    end_s = clock.now() + deadline_s
    while not status.poll():
        if clock.now() > end_s:
            raise TimeoutError(f"{status.action}: not done after {deadline_s} s")
        clock.wait(POLL_S)
    status.check()


def _await_zero_bias(station: Station, clock: Clock) -> None:
    assert station.bias is not None  # noqa: S101
    end_s = clock.now() + BIAS_DEADLINE_S
    while not station.bias.status().is_zero:
        if clock.now() > end_s:
            raise TimeoutError(f"not at zero after {BIAS_DEADLINE_S} s: {station.bias.status()}")
        station.bias.advance()
        clock.wait(POLL_S)
    station.bias.confirm_zero()

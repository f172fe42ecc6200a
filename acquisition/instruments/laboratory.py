"""Which clock and lines belong to a station: real, simulated elsewhere, or in this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from acquisition.configuration.station_file import InstrumentConfig, StationConfig
from drivers.addresses import OPENERS, Opener
from drivers.clock import Clock, PacedClock, RealClock, ScaledClock, VirtualClock
from drivers.connections import Connections

__all__ = ["Laboratory", "open_laboratory"]

InProcess = Callable[[StationConfig, Clock], Opener]
SIM = "sim"


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Time and lines for one execution."""

    clock: Clock
    connections: Connections
    openers: Mapping[str, Opener]


def open_laboratory(
    station: StationConfig, in_process: InProcess, *, is_lived_in: bool = False
) -> Laboratory:
    """Return real time for real instruments, scaled time for simulators in another process.

    in_process: builds the simulated setup of this process where the station has sim:// addresses;
    its night passes in virtual time. Only a composition root can give it.
    is_lived_in: somebody sits there; the simulated setup then lives in scaled real time as well.
    """
    instruments = _instruments(station)
    if any(instrument.address.startswith(f"{SIM}://") for instrument in instruments):
        clock: Clock = VirtualClock(start_utc=RealClock().utc())
        if is_lived_in:
            clock = PacedClock(station.simulation.scale)
        openers: Mapping[str, Opener] = {**OPENERS, SIM: in_process(station, clock)}
        return Laboratory(clock, Connections(clock, openers), openers)
    scaled = ScaledClock(station.simulation.scale) if _all_simulated(instruments) else RealClock()
    return Laboratory(scaled, Connections(scaled), OPENERS)


def _instruments(station: StationConfig) -> list[InstrumentConfig]:
    sections = (getattr(station, name) for name in type(station).model_fields)
    return [section for section in sections if isinstance(section, InstrumentConfig)]


def _all_simulated(instruments: list[InstrumentConfig]) -> bool:
    return all(instrument.is_simulated for instrument in instruments)

"""What a simulated world must have in common with the station file that describes it."""

import re
from collections.abc import Iterator, Mapping

from acquisition.configuration.config_error import Problem
from acquisition.configuration.station_file import InstrumentConfig, StationConfig

__all__ = ["models_of", "truth_of", "world_problems"]

Truth = dict[str, object]
COOLED_BY_FLOW = ("oxford.mercuryitc",)  # controllers that have a needle valve to open


def truth_of(station: StationConfig, *, pixels: int | None = None) -> Truth:
    """Return the world: hardware as in the station file, [simulation] truth over it.

    pixels: of a replayed camera, which has as many as its spectra.
    """
    hardware: Truth = {"camera": {"pixels": pixels or station.camera.pixels}}
    if station.cryostat is not None and station.cryostat.model in COOLED_BY_FLOW:
        hardware["cryostat"] = {"cooling": "helium_flow"}
    if station.bias is not None:
        hardware["bias"] = {"series_ohm": station.bias.series_ohm}
        hardware["electrodes"] = {"polarity": station.bias.polarity}
    if station.polarizer is not None:
        hardware["optics"] = {
            "rotating_element": station.polarizer.rotates.replace("-", "_").replace(" ", "_"),
            "polarizer_zero_deg": station.polarizer.zero_deg,
            "polarizer_sense": station.polarizer.sense,
        }
    return _merged(hardware, station.simulation.truth)


def models_of(station: StationConfig) -> dict[str, str]:
    """Return which model the station file expects at each sim:// port."""
    sections = (getattr(station, name) for name in type(station).model_fields)
    return {
        section.address.removeprefix("sim://"): section.model
        for section in sections
        if isinstance(section, InstrumentConfig) and section.address.startswith("sim://")
    }


def world_problems(refused: str, *, file: str) -> Iterator[Problem]:
    """Yield what a simulated world refused, a line each, as mistakes of the station file."""
    for line in refused.splitlines():
        key, _, what = line.partition(": ")
        parts = re.split(r"; known are | \(allowed: | is not one of ", what, maxsplit=1)
        allowed = parts[1].rstrip(")") if len(parts) > 1 else "what such a world can be"
        yield Problem(file, f"simulation.truth.{key}", parts[0], allowed)


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> Truth:
    merged: Truth = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        both = isinstance(lower, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(lower, value) if both else value  # type: ignore[arg-type]
    return merged

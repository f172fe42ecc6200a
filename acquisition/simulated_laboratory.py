"""The composition root: the one file that puts simulators behind a station's instruments."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from acquisition.configuration.config_error import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from acquisition.configuration.station_file import StationConfig
    from drivers.addresses import Opener
    from drivers.clock import Clock
    from drivers.link import Framing, Link
    from simulators.replay import Replay
    from simulators.serve import Transport
    from simulators.setup import SimulatedSetup

__all__ = ["in_process", "refuse_impossible_world", "serve_simulated", "simulated_setup"]


def in_process(station: "StationConfig", clock: "Clock") -> "Opener":
    """Open sim:// addresses in the simulated setup of this process."""
    setup = simulated_setup(station)

    def open_sim(address: str, framing: "Framing", _: object) -> "Link":
        return setup.link(address.removeprefix("sim://"), clock, framing)

    return open_sim


def simulated_setup(station: "StationConfig") -> "SimulatedSetup":
    """Build the world that this station file describes, with what [simulation] says otherwise."""
    from acquisition.configuration.simulated_truth import models_of, truth_of  # noqa: PLC0415
    from simulators.setup import (  # noqa: PLC0415 - only where it is wanted
        SimulatedSetup,
        SimulatorSettings,
    )
    from simulators.truth import truth_from_mapping  # noqa: PLC0415

    replay = _replay(station.simulation.replay)
    truth = truth_from_mapping(truth_of(station, pixels=replay.pixels if replay else None))
    settings = SimulatorSettings(models=models_of(station))
    return SimulatedSetup(truth, station.simulation.seed, replay=replay, settings=settings)


def refuse_impossible_world(sweep: Path, station_path: Path | None) -> None:
    """Raise ConfigError for a [simulation.truth] that no simulated world can have."""
    from acquisition.configuration.config import load  # noqa: PLC0415
    from acquisition.configuration.simulated_truth import truth_of, world_problems  # noqa: PLC0415
    from simulators.truth import truth_from_mapping  # noqa: PLC0415 - only where it is wanted

    configuration = load(sweep, station_path)
    if not configuration.station.simulation.truth:
        return
    named = station_path or configuration.sweep.sweep.station
    try:
        truth_from_mapping(truth_of(configuration.station))
    except ValueError as error:
        file = "station" if named is None else named.name
        raise ConfigError(list(world_problems(str(error), file=file))) from error


def serve_simulated(
    station: "StationConfig",
    scale: float,
    *,
    transports: "Mapping[str, str]",
    supply_log: Path | None,
    ready: "Callable[[Mapping[str, str]], None]",
) -> None:
    """Serve the station's simulated instruments on this machine until Ctrl-C.

    scale: seconds of experiment per second. ready: told the address of each, once they answer.
    """
    from simulators.serve import serve  # noqa: PLC0415 - keeps the start fast

    serve(
        simulated_setup(station),
        scale,
        transports=cast("Mapping[str, Transport]", transports),
        supply_log=supply_log,
        ready=ready,
    )


def _replay(path: Path | None) -> "Replay | None":
    """Read measured spectra that the camera shows instead of the nanocrystal."""
    if path is None:
        return None
    import numpy as np  # noqa: PLC0415 - only where it is wanted

    from analysis.readers.bias_series import read_bias_zip  # noqa: PLC0415
    from simulators.replay import Replay  # noqa: PLC0415

    series = read_bias_zip(path)
    counts = np.rint(series.counts)
    if not np.array_equal(counts, series.counts):
        raise ValueError(f"{path}: counts are not whole numbers, a camera can't show them")
    return Replay(series.voltage_V, counts.astype(np.int32), series.wavelength_nm)

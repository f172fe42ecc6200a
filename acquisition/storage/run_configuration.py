"""The configuration that a journal holds."""

from pathlib import Path

from acquisition.configuration.config import Configuration, load_station, load_texts
from acquisition.storage.run_meta import RunMeta

__all__ = ["configuration_of"]


def configuration_of(meta: RunMeta, station_path: Path | None = None) -> Configuration:
    """Return sweep and station as they were frozen with the run; or with another station file.

    Raises ConfigError, also where the sweep doesn't fit the other station.
    """
    if station_path is None:
        text, folder = meta.station_toml, Path(meta.station_folder)
    else:
        load_station(station_path)  # by itself first: its mistakes are named after its file
        text, folder = station_path.read_text(encoding="utf-8"), station_path.parent
    return load_texts(
        meta.sweep_toml,
        text,
        folder=Path(meta.sweep_folder),
        station_folder=folder,
        is_frozen=True,
    )

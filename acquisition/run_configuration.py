"""The configuration that a journal holds."""

from pathlib import Path

from acquisition.config import Configuration, load_texts
from acquisition.run_meta import RunMeta

__all__ = ["configuration_of"]


def configuration_of(meta: RunMeta) -> Configuration:
    """Return sweep and station as they were frozen with the run. Raises ConfigError."""
    return load_texts(
        meta.sweep_toml,
        meta.station_toml,
        folder=Path(meta.sweep_folder),
        station_folder=Path(meta.station_folder),
    )

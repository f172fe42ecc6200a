"""What is known of a run before its first point, besides the point table. Frozen in the journal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import Attempt

__all__ = ["RunMeta"]


@dataclass(frozen=True, slots=True)
class RunMeta:
    """The circumstances of a run; everything in it is JSON-serialisable.

    readings: channel -> unit of the verified conditions, the same for every attempt, in the order
    in which they are stored. pixels and counts_dtype ("i4" or "u2") fix the shape of a spectrum.
    sample_card: field -> text, e.g. chemical_formula, substrate, gap. instruments: role -> who
    answered there. laser_nm and laser_power_W are nominal. lamp_profiles: of the instrument, as
    LampProfile has them, by setting of the spectrograph.
    """

    title: str
    sample: str
    run_uuid: str
    created_utc: float
    pixels: int
    counts_dtype: str
    readings: Mapping[str, str]
    sweep_toml: str
    station_toml: str
    app_version: str
    sweep_folder: str = "."  # where relative paths in the sweep file start
    station_folder: str = "."
    python: str = ""
    host: str = ""
    operator: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    sample_card: Mapping[str, str] = field(default_factory=dict)
    instruments: Mapping[str, str] = field(default_factory=dict)
    lamp_profiles: Sequence[Mapping[str, Any]] = field(default_factory=list)
    laser_nm: float | None = None
    laser_power_W: float | None = None

    def __post_init__(self) -> None:
        if self.counts_dtype not in ("i4", "u2"):
            raise ValueError(f"counts_dtype {self.counts_dtype!r} must be 'i4' or 'u2'")
        if self.pixels < 1:
            raise ValueError(f"pixels {self.pixels} must be at least 1")

    @property
    def dtype(self) -> np.dtype[np.int32] | np.dtype[np.uint16]:
        """The type of raw counts as stored: little endian on every machine."""
        return np.dtype("<" + self.counts_dtype)

    def spectrum(self, attempt: Attempt) -> NDArray[Any]:
        """Return the frames added up, shape (pixels,): as delivered for one frame, else as i8."""
        counts: NDArray[Any] = attempt.counts
        total: NDArray[Any] = counts[0] if len(counts) == 1 else counts.sum(axis=0, dtype=np.int64)
        return total

    def to_rows(self) -> dict[str, str]:
        """Return the fields as key -> JSON."""
        return {
            key: json.dumps(value, sort_keys=key != "readings")
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_rows(cls, rows: Mapping[str, str]) -> "RunMeta":
        """Return what to_rows described; other keys in `rows` are left alone."""
        return cls(**{f.name: json.loads(rows[f.name]) for f in fields(cls) if f.name in rows})

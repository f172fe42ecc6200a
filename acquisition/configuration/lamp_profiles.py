"""The instrument profiles of a sweep: from the lamps that its file names, frozen with the run.

What the run's journal holds is the profile itself, so that whoever resumes the run or fits it again
needs no file of then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.camera_noise import detector_noise
from acquisition.configuration.station_file import CameraConfig
from acquisition.configuration.sweep_file import OpticsConfig, SpectrographZone
from analysis.detector.detector_noise import DetectorNoise

if TYPE_CHECKING:
    from analysis.estimation.instrument_profile import InstrumentProfile

__all__ = ["LampProfile", "lamp_conflicts", "lamp_profiles", "profile_at"]

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class LampProfile:
    """What a lamp says of the instrument at one setting of the spectrograph, JSON-serialisable.

    The rows are as in InstrumentProfile. said: of the lamp, for people.
    """

    grating: int
    centre_nm: float
    lamp: str
    said: str
    energy_eV: tuple[float, ...]
    share: Rows
    offset_eV: Rows
    gauss_fwhm_eV: Rows
    lorentz_fwhm_eV: Rows

    @property
    def profile(self) -> "InstrumentProfile":
        from analysis.estimation.instrument_profile import InstrumentProfile  # noqa: PLC0415

        shape = (self.share, self.offset_eV, self.gauss_fwhm_eV, self.lorentz_fwhm_eV)
        return InstrumentProfile(np.array(self.energy_eV), *map(np.array, shape))

    def as_plain(self) -> dict[str, object]:
        return asdict(self)


def lamp_profiles(optics: OpticsConfig, camera: CameraConfig) -> tuple[LampProfile, ...]:
    """Return the profile of every setting with a lamp.

    Raises OSError, ValueError for files that are no lamp, no list of lines, or show no profile.
    """
    return tuple(_measured(zone, camera) for zone in optics.spectrograph if zone.lamp is not None)


def lamp_conflicts(optics: OpticsConfig, camera: CameraConfig) -> Iterator[tuple[str, str, str]]:
    """Yield key, what was found and what is allowed for every lamp that gives no profile."""
    for number, zone in enumerate(optics.spectrograph, start=1):
        if zone.lamp is None:
            continue
        key = f"optics.spectrograph[{number}].lamp"
        missing = [path for path in (zone.lamp, *zone.lamp_lines) if not path.is_file()]
        if missing:
            yield (
                key if missing[0] == zone.lamp else f"{key}_lines",
                str(missing[0]),
                "a file that exists",
            )
            continue
        try:
            _measured(zone, camera)
        except (OSError, ValueError) as error:
            yield key, str(error), "a lamp spectrum on the camera's pixels that shows its lines"


def profile_at(
    frozen: Sequence[Mapping[str, object]], grating: int, centre_nm: float
) -> "InstrumentProfile | None":
    """Return the profile that the journal holds for a setting, None without one."""
    for one in frozen:
        if (one["grating"], one["centre_nm"]) == (grating, centre_nm):
            return LampProfile(**one).profile  # type: ignore[arg-type] # as as_plain wrote it
    return None


def _measured(zone: SpectrographZone, camera: CameraConfig) -> LampProfile:
    assert zone.lamp is not None  # noqa: S101 - who calls has looked
    stamps = tuple(_stamp(path) for path in (zone.lamp, *zone.lamp_lines))
    return _read(zone, camera.pixels, detector_noise(camera), stamps)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _read(
    zone: SpectrographZone, pixels: int, noise: DetectorNoise, _: tuple[tuple[int, int], ...]
) -> LampProfile:
    """Return the profile; read once as long as the files stay as they are."""
    # scipy takes 0.3 s to import: only for those who have a lamp
    from analysis.lamp.lamp_axis import calibrate_axis  # noqa: PLC0415
    from analysis.lamp.lamp_lines import merged, read_line_list  # noqa: PLC0415
    from analysis.lamp.measured_profile import measured_profile  # noqa: PLC0415
    from analysis.readers.read_any import read_any  # noqa: PLC0415

    assert zone.lamp is not None  # noqa: S101 - who calls has looked
    lamp = read_any(zone.lamp)
    if lamp.wavelength_nm.size != pixels:
        raise ValueError(f"{zone.lamp}: {lamp.wavelength_nm.size} pixels, the camera has {pixels}")
    lists = [read_line_list(path, medium="vacuum") for path in zone.lamp_lines]
    axis = calibrate_axis(lamp, merged(lists))
    profile = measured_profile(lamp, axis, noise)
    return LampProfile(
        grating=zone.grating,
        centre_nm=zone.centre_nm,
        lamp=str(zone.lamp),
        said=axis.described(),
        energy_eV=tuple(profile.energy_eV.tolist()),
        share=_rows(profile.share),
        offset_eV=_rows(profile.offset_eV),
        gauss_fwhm_eV=_rows(profile.gauss_fwhm_eV),
        lorentz_fwhm_eV=_rows(profile.lorentz_fwhm_eV),
    )


def _rows(of: NDArray[np.float64]) -> Rows:
    return tuple(tuple(row) for row in of.tolist())

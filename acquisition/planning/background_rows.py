"""When backgrounds are due, and with which exposures they match the rows around them."""

from dataclasses import dataclass

from acquisition.configuration.sweep_file import BackgroundConfig
from acquisition.planning.point_table import Point, PointKind

__all__ = ["BackgroundSchedule", "DetectorSetting", "background_rows"]


@dataclass(frozen=True, slots=True)
class DetectorSetting:
    """What a background must match; ROI, gain and speed are the station's, the same for all.

    exposures_s: the exposure, or both ends where it is chosen later: offset and dark rate, and so
    the background at any exposure between, follow from two.
    """

    exposures_s: tuple[float, ...]
    grating: int
    centre_nm: float


class BackgroundSchedule:
    """Remembers which settings have a background, and how many temperatures ago."""

    def __init__(self, config: BackgroundConfig) -> None:
        self._config = config
        self._covered: set[DetectorSetting] = set()
        self._temperature_K: float | None = None
        self._temperatures = 0
        self._started = False

    def is_due(self, setting: DetectorSetting, temperature_K: float | None) -> bool:
        """Take note of the next sample row and return whether a background comes before it."""
        if temperature_K != self._temperature_K:
            self._temperature_K = temperature_K
            self._temperatures += 1
        due = self._is_due(setting)
        if due or not self._started:
            self._covered.add(setting)
        self._started = True
        return due

    def _is_due(self, setting: DetectorSetting) -> bool:
        every = self._config.every_temperatures
        if not self._started:
            self._temperatures = 0
            return self._config.at_start
        if every and self._temperatures >= every:
            self._temperatures = 0
            self._covered.clear()
            return True
        return self._config.on_change and setting not in self._covered


def background_rows(
    config: BackgroundConfig,
    setting: DetectorSetting,
    *,
    first_index: int,
    block: int,
    repeats_block: bool,
) -> list[Point]:
    """Return one row per kind and exposure; temperature, bias and angle are left as they are."""
    wanted = [(kind, exposure_s) for kind in config.kinds for exposure_s in setting.exposures_s]
    return [
        Point(
            index=first_index + number,
            kind=PointKind(kind),
            exposure_s=exposure_s,
            frames=config.frames,
            grating=setting.grating,
            centre_nm=setting.centre_nm,
            block=block,
            repeats_block=repeats_block,
        )
        for number, (kind, exposure_s) in enumerate(wanted)
    ]

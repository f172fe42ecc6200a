"""Exposures one after the other without a sweep: started, polled, and stopped within a moment."""

from dataclasses import dataclass

from acquisition.alignment.hand_move import Refused
from acquisition.channel.messages import FrameSource, LiveExposure
from acquisition.configuration.station_file import CameraConfig
from drivers.clock import Clock
from drivers.roles import Camera, ExposureSettings, Frame
from drivers.status import Status

__all__ = ["LiveExposures"]

PATIENCE_S = 3.0  # for the rest of an exposure that nobody wants; aborting restarts the camera


@dataclass(frozen=True, slots=True)
class _Running:
    exposure: LiveExposure
    status: Status
    end_s: float


class LiveExposures:
    """Repeats one exposure as long as it is wanted; no call waits for it."""

    def __init__(self, camera: Camera, config: CameraConfig, clock: Clock) -> None:
        self._camera = camera
        self._config = config
        self._clock = clock
        self._running: _Running | None = None
        self.wanted: LiveExposure | None = None

    def checked(self, exposure: LiveExposure) -> LiveExposure:
        """Return the exposure with its rows; raises Refused for what the camera can't do."""
        config, rows = self._config, self._camera.rows
        if not config.min_exposure_s <= exposure.exposure_s <= config.max_exposure_s:
            raise Refused(
                f"exposure {exposure.exposure_s:g} s: allowed {config.min_exposure_s:g} to "
                f"{config.max_exposure_s:g} s (station file, camera.min_exposure, max_exposure)"
            )
        first, last = exposure.first_row, exposure.last_row or rows - 1
        if not 0 <= first <= last < rows:
            raise Refused(f"rows {first} to {last}: the chip has 0 to {rows - 1}")
        if exposure.source is FrameSource.IMAGE:
            first, last = 0, rows - 1
        return LiveExposure(exposure.exposure_s, exposure.source, first, last)

    def advance(self) -> tuple[LiveExposure, Frame] | None:
        """Start what is due, and return a frame that has come and is wanted. Raises DeviceError."""
        running = self._running
        if running is None:
            if self.wanted is not None:
                self._start(self.wanted)
            return None
        if running.exposure != self.wanted and self._clock.now() < running.end_s - self._patience_s:
            self.abort()
            return None
        if not running.status.poll():
            return None
        self._running = None
        running.status.check()
        (frame,) = self._camera.collect()
        return (running.exposure, frame) if running.exposure == self.wanted else None

    def abort(self) -> None:
        """Break off what runs. Raises DeviceError."""
        if self._running is not None:
            self._running = None
            self._camera.abort()

    @property
    def _patience_s(self) -> float:
        return self._clock.patience_s(PATIENCE_S)

    def _start(self, exposure: LiveExposure) -> None:
        number = exposure.last_row - exposure.first_row + 1
        is_image = exposure.source is FrameSource.IMAGE
        self._camera.arm(
            ExposureSettings(
                exposure_s=exposure.exposure_s,
                rows=None if is_image else (exposure.first_row, number),
                gain=self._config.gain,
                speed=self._config.speed,
            )
        )
        end_s = self._clock.now() + exposure.exposure_s + self._config.readout_s
        self._running = _Running(exposure, self._camera.trigger(), end_s)

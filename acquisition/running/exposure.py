"""One exposure: light only while it is needed, and never while anything moves."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointKind
from acquisition.safety.vigil import Vigil
from drivers.errors import LinkTimeout
from drivers.roles import Counts, ExposureSettings, Frame
from drivers.status import Status

__all__ = ["DetectorSetup", "Exposed", "Exposer", "is_saturated", "peak_rate"]

SHUTTER_POLL_S = 0.002  # once it should be there
SHUTTER_EARLY_S = 0.01  # before it was there at its fastest
READOUT_POLL_S = 0.002  # once the camera should be ready
MEANWHILE_POLL_S = 0.01  # of what moves during the readout
EXPOSURE_MARGIN_S = 30.0  # beyond exposure and readout before the camera counts as stuck


@dataclass(frozen=True, slots=True)
class DetectorSetup:
    """What of the detector is the same for all frames of a run."""

    rows: tuple[int, int] | None
    gain: int
    speed: int
    readout_s: float
    saturation_counts: int
    offset_counts: float


@dataclass(frozen=True, slots=True)
class Exposed:
    """The frames of one exposure: counts (frames, pixels), start times on the clock, the dose.

    laser_open_s is NaN without a laser shutter.
    """

    counts: NDArray[np.int32] | NDArray[np.uint16]
    start_s: NDArray[np.float64]
    laser_open_s: float


class Exposer:
    """Takes the exposures of a run in two halves, so that the next move can overlap readout."""

    def __init__(self, station: Station, detector: DetectorSetup, vigil: Vigil) -> None:
        self._camera = station.camera
        self._shutter = station.shutter
        self._detector = detector
        self._vigil = vigil
        self._reading_out: Status | None = None
        self._expected_s = 0.0  # when every frame should be read out
        self._deadline_s = 0.0
        self._opened_s: float | None = None
        self._laser_open_s = 0.0
        self._shutter_s = 0.0  # what its shortest movement took
        self.is_busy = False

    @property
    def blocks_light(self) -> bool:
        """Return whether a closed laser shutter lets things move during readout."""
        return self._shutter is not None

    @property
    def laser_open_s(self) -> float:
        """Return how long the laser shutter has been open in this exposure; NaN without one."""
        if self._shutter is None:
            return nan
        since_s = 0.0 if self._opened_s is None else self._vigil.clock.now() - self._opened_s
        return self._laser_open_s + since_s

    def expose(
        self, point: Point, exposure_s: float, exposed: Callable[[], None] = lambda: None
    ) -> None:
        """Expose and block the light again; readout may still go on afterwards.

        exposed: called when the exposure is over, while the shutter closes: reads, moves nothing.
        """
        settings = self._settings(point, exposure_s)
        self._laser_open_s, self.is_busy = 0.0, True
        self._camera.arm(settings)
        if point.kind is PointKind.SAMPLE:
            self._move_shutter(True)
        self._reading_out = self._camera.trigger()
        series_s = settings.frames * (exposure_s + self._detector.readout_s)
        self._expected_s = self._vigil.clock.now() + series_s
        margin_s = self._vigil.clock.patience_s(EXPOSURE_MARGIN_S)
        self._deadline_s = self._expected_s + margin_s
        light_s = series_s - self._detector.readout_s
        self._vigil.pass_time(f"exposure {settings.frames} x {exposure_s:g} s", light_s)
        self._vigil.until("end of exposure", self._is_exposed, poll_s=READOUT_POLL_S)
        if self._opened_s is None:
            exposed()
        else:
            self._move_shutter(False, meanwhile=exposed)

    def read_out(self, meanwhile: Callable[[], None]) -> Exposed:
        """Wait for the end of the readout and return the frames.

        meanwhile: called every 10 ms until the frames are expected.
        """
        self._vigil.until("readout", self._is_due(meanwhile), poll_s=MEANWHILE_POLL_S)
        self._vigil.until("readout", self._is_read_out, poll_s=READOUT_POLL_S)
        frames = self._camera.collect()
        self.is_busy = False
        return Exposed(_stack(frames), np.array([f.start_s for f in frames]), self.laser_open_s)

    def block_light(self) -> None:
        """Close the laser shutter and wait until it is closed."""
        if self._opened_s is not None:
            self._move_shutter(False)

    def abort(self) -> None:
        """Break the exposure off, with the light blocked first. The frames are lost."""
        try:
            self.block_light()
        finally:
            self._camera.abort()
            self.is_busy = False

    def _settings(self, point: Point, exposure_s: float) -> ExposureSettings:
        return ExposureSettings(
            exposure_s=exposure_s,
            frames=point.frames,
            rows=self._detector.rows,
            gain=self._detector.gain,
            speed=self._detector.speed,
            open_shutter=point.kind is not PointKind.DARK,
        )

    def _move_shutter(self, is_open: bool, meanwhile: Callable[[], None] = lambda: None) -> None:
        if self._shutter is None:
            return
        clock = self._vigil.clock
        start_s = clock.now()
        if is_open:
            self._opened_s = start_s
        status = self._shutter.set(is_open)
        awaited = f"laser shutter {'opens' if is_open else 'closes'}"
        try:
            meanwhile()
        finally:
            if not status.poll():
                early_s = start_s + self._shutter_s - SHUTTER_EARLY_S
                self._vigil.pass_time(awaited, early_s - clock.now())
            self._vigil.until(awaited, status.poll, poll_s=SHUTTER_POLL_S)
            status.check()
        took_s = clock.now() - start_s
        self._shutter_s = min(self._shutter_s or took_s, took_s)
        if not is_open and self._opened_s is not None:
            self._laser_open_s += clock.now() - self._opened_s
            self._opened_s = None

    def _is_due(self, meanwhile: Callable[[], None]) -> Callable[[], bool]:
        def is_due() -> bool:
            meanwhile()
            return self._vigil.clock.now() >= self._expected_s - MEANWHILE_POLL_S

        return is_due

    def _is_exposed(self) -> bool:
        self._check_deadline("exposure")
        return self._camera.is_exposed()

    def _is_read_out(self) -> bool:
        assert self._reading_out is not None  # noqa: S101
        self._check_deadline("readout")
        done = self._reading_out.poll()
        self._reading_out.check()
        return done

    def _check_deadline(self, what: str) -> None:
        if self._vigil.clock.now() > self._deadline_s:
            raise LinkTimeout(
                self._camera.name, f"{what} not finished {EXPOSURE_MARGIN_S} s after its time"
            )


def is_saturated(counts: Counts, detector: DetectorSetup) -> bool:
    """Return whether any pixel of any frame reached the saturation level."""
    return int(counts.max()) >= detector.saturation_counts


def peak_rate(exposed: Exposed, exposure_s: float, detector: DetectorSetup) -> float:
    """Return the counts per s of the brightest pixel, above the offset; the median over frames.

    A cosmic ray in a single frame makes the next exposure shorter, never longer.
    """
    peak = float(np.median(exposed.counts.max(axis=1))) - detector.offset_counts
    return max(peak, 0.0) / exposure_s


def _stack(frames: tuple[Frame, ...]) -> NDArray[np.int32] | NDArray[np.uint16]:
    if len(frames) == 1:
        return frames[0].counts[np.newaxis]
    return np.stack([frame.counts for frame in frames])  # type: ignore[return-value]

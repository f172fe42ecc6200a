"""Cameras that come with an SDK and no wire: in a process of their own (camera_process.py).

Never tried on hardware; proven against a stand-in only.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.clock import Clock
from drivers.errors import (
    InstrumentError,
    LimitError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)
from drivers.link import Link
from drivers.roles import ExposureSettings, Frame, Identity, Reading, Setting
from drivers.status import Status

__all__ = ["SdkCamera", "SdkCameraConfig", "SdkClient"]

ASK_INTERVAL_S = 0.02
MAX_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class SdkCameraConfig:
    """What the station says about the camera.

    detector_C: opening the camera sets this, because the SDK's own default might warm it up.
    command_timeout_s: of one call into the SDK; beyond it the process counts as hung and is killed.
    """

    serial: str = ""
    timeout_s: float = 0.5
    index: int = 0
    detector_C: float = -70.0
    open_timeout_s: float = 60.0
    command_timeout_s: float = 10.0
    frame_readout_s: float = 0.1
    exposed_margin_s: float = 0.01
    readout_timeout_s: float = 30.0


class SdkClient:
    """Talks to the process; every answer carries the number of its question."""

    def __init__(self, name: str, link: Link, clock: Clock, config: SdkCameraConfig) -> None:
        self.name = name
        self._link = link
        self._clock = clock
        self._config = config
        self._number = 0
        self.identity: dict[str, Any] = {}

    @classmethod
    def configured(
        cls, name: str, link: Link, clock: Clock, config: SdkCameraConfig
    ) -> "SdkClient":
        """Return a client; the process starts at the first question."""
        return cls(name, link, clock, config)

    def open(self) -> dict[str, Any]:
        """Open the camera if it isn't; return who it is. This alone may take a minute."""
        if not self.identity:
            parameters = {
                "index": self._config.index,
                "temperature_C": self._config.detector_C,
            }
            found, _ = self._ask("open", parameters, self._config.open_timeout_s)
            with self.understood("open"):
                found = {
                    **{key: str(found[key]) for key in ("manufacturer", "model", "serial")},
                    **{key: int(found[key]) for key in ("pixels", "rows")},
                }
            if self._config.serial not in ("", found["serial"]):
                self.close()
                raise StateError(
                    self.name, f"serial number {found['serial']}, not {self._config.serial}"
                )
            self.identity = found
        return self.identity

    def ask(self, command: str, **parameters: Any) -> Any:
        """Return the result of a command. Raises InstrumentError, LinkTimeout, LinkClosed."""
        return self.ask_for_bytes(command, **parameters)[0]

    def ask_for_bytes(self, command: str, **parameters: Any) -> tuple[Any, bytes]:
        """Return the result of a command and the bytes behind it."""
        self.open()
        return self._ask(command, parameters, self._config.command_timeout_s)

    @contextmanager
    def understood(self, command: str) -> Iterator[None]:
        """Raise ReplyError where what a command was answered makes no sense."""
        try:
            yield
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ReplyError(self.name, f"{command!r} was answered nonsense: {error!r}") from error

    def close(self) -> None:
        """Let the process close the camera."""
        self.identity = {}
        self._link.close()

    def _ask(
        self, command: str, parameters: Mapping[str, Any], timeout_s: float
    ) -> tuple[Any, bytes]:
        self._number += 1
        request = {"id": self._number, "command": command, "parameters": parameters}
        try:
            self._link.send(json.dumps(request).encode() + b"\n")
            reply = self._await(command, timeout_s)
        except LinkClosed as error:
            self.identity = {}
            raise LinkClosed(self.name, f"{command!r}: {error}") from error
        if "error" in reply[0]:
            raise InstrumentError(self.name, f"{command}: {reply[0]['error']}")
        return reply[0].get("result"), reply[1]

    def _await(self, command: str, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        # The SDK's time is real, whatever the clock of the experiment says
        for _ in range(ceil(timeout_s / self._config.timeout_s)):
            message = self._link.poll(self._config.timeout_s)
            if message is not None:
                line, _, content = message.partition(b"\n")
                with self.understood(command):
                    header = dict(json.loads(line))
                    if header["id"] == self._number:
                        return header, content
        self._link.reset()
        self.identity = {}
        raise LinkTimeout(self.name, f"{command!r} hung for {timeout_s} s; its process was killed")


class SdkCamera:
    """A camera behind an SDK (roles.Camera). Which pixel is which wavelength it can't know."""

    def __init__(self, name: str, client: SdkClient, clock: Clock, config: SdkCameraConfig) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._config = config
        self._armed: ExposureSettings | None = None
        self._exposure: _Exposure | None = None

    @property
    def pixels(self) -> int:
        """Return the number of pixels along the wavelength."""
        return int(self._client.open()["pixels"])

    @property
    def rows(self) -> int:
        """Return the number of rows of the chip."""
        return int(self._client.open()["rows"])

    def identify(self) -> Identity:
        """Ask the SDK which camera this is."""
        found = self._client.open()
        return Identity(found["manufacturer"], found["model"], found["serial"], "")

    def arm(self, settings: ExposureSettings) -> None:
        """Send the settings and verify them. Raises LimitError, StateError, InstrumentError."""
        self._check(settings)
        if self._is_running:
            raise StateError(self.name, "an exposure is running")
        self._armed = None
        found = self._client.ask(
            "arm",
            exposure_s=settings.exposure_s,
            frames=settings.frames,
            rows=settings.rows,
            gain=settings.gain,
            speed=settings.speed,
            open_shutter=settings.open_shutter,
        )
        with self._client.understood("arm"):
            exposure_s = float(found["exposure_s"])
        if not abs(exposure_s - settings.exposure_s) <= max(1e-3, 0.01 * settings.exposure_s):
            raise InstrumentError(
                self.name, f"exposure reads back {exposure_s} s, not {settings.exposure_s}"
            )
        self._armed = settings

    def trigger(self) -> Status:
        """Start the exposure; done when every frame was read out."""
        settings = self._armed
        if settings is None:
            raise StateError(self.name, "not armed")
        if self._is_running:
            raise StateError(self.name, "an exposure is running")
        start_s = self._clock.now()
        self._client.ask("start")
        self._exposure = _Exposure(self._client, self._clock, self._config, settings, start_s)
        return Status(f"{self.name} exposes {settings.exposure_s} s", self._exposure)

    def is_exposed(self) -> bool:
        """Return whether no more light is collected: exposures, readouts between, margin."""
        return self._exposure is None or self._exposure.is_exposed()

    def collect(self) -> tuple[Frame, ...]:
        """Return the frames of the last trigger, in the order of exposure."""
        exposure = self._exposure
        if exposure is None or exposure.counts is None:
            raise StateError(self.name, "no frames: the last exposure is not finished")
        settings = exposure.settings
        return tuple(
            Frame(counts, exposure.frame_start_s(index), settings.exposure_s)
            for index, counts in enumerate(exposure.counts)
        )

    def wavelengths_nm(self) -> NDArray[np.float64]:
        """Raise StateError: the station file's geometry gives the axis of such a camera."""
        raise StateError(
            self.name, "knows no wavelengths: give the geometry of the spectrograph in the station"
        )

    def abort(self) -> None:
        """End a running exposure; harmless when none runs."""
        if self._is_running:
            assert self._exposure is not None  # noqa: S101
            self._exposure.is_over = True
            self._client.ask("abort")

    def read(self) -> Mapping[str, Reading]:
        """Read the detector's temperature; nothing while exposing, when the SDK can't tell."""
        if self._is_running:
            return {}
        found = self._client.ask("temperature")
        with self._client.understood("temperature"):
            temperature_C = float(found)
        if not isfinite(temperature_C):
            raise ReplyError(self.name, f"detector temperature {temperature_C}")
        return {"detector_temperature_C": Reading(temperature_C, "degC", self._clock.now())}

    def settings(self) -> Mapping[str, Setting]:
        """Return what is in force; a process that was started anew has forgotten all of it."""
        return {"is_armed": self._armed is not None and bool(self._client.identity)}

    def close(self) -> None:
        """Let the process close the camera and end."""
        self._client.close()

    @property
    def _is_running(self) -> bool:
        return self._exposure is not None and not self._exposure.is_over

    def _check(self, settings: ExposureSettings) -> None:
        if not 0 < settings.exposure_s < 1e5:  # refuses not-a-number, too
            raise LimitError(self.name, f"exposure {settings.exposure_s} s: allowed up to 1e5 s")
        if not 1 <= settings.frames <= MAX_FRAMES:
            raise LimitError(self.name, f"{settings.frames} frames: allowed 1 to {MAX_FRAMES}")
        rows = int(self._client.open()["rows"])
        first, number = settings.rows or (0, rows)
        if first < 0 or number < 1 or first + number > rows:
            raise LimitError(self.name, f"rows {settings.rows}: the detector has {rows}")


class _Exposure:
    """One series from the trigger to its frames."""

    def __init__(
        self,
        client: SdkClient,
        clock: Clock,
        config: SdkCameraConfig,
        settings: ExposureSettings,
        start_s: float,
    ) -> None:
        self.settings = settings
        self.counts: NDArray[np.int32] | None = None
        self.is_over = False
        self._client = client
        self._clock = clock
        self._start_s = start_s
        self._period_s = settings.exposure_s + config.frame_readout_s
        series_s = settings.frames * self._period_s
        self._exposed_s = start_s + series_s - config.frame_readout_s + config.exposed_margin_s
        self._next_s = self._exposed_s
        self._deadline_s = start_s + series_s + clock.patience_s(config.readout_timeout_s)

    def is_exposed(self) -> bool:
        """Return whether no more light is collected."""
        return self.is_over or self._clock.now() >= self._exposed_s

    def frame_start_s(self, index: int) -> float:
        """Return the clock time at which a frame began."""
        return self._start_s + index * self._period_s

    def __call__(self) -> bool:
        if self.is_over:
            raise StateError(self._client.name, "the exposure was aborted")
        try:
            self.is_over = self._advance()
        except BaseException:
            self.is_over = True
            raise
        return self.is_over

    def _advance(self) -> bool:
        now = self._clock.now()
        if now < self._next_s:
            return False
        self._next_s = now + ASK_INTERVAL_S
        is_acquiring = self._client.ask("is_acquiring")
        if not isinstance(is_acquiring, bool):
            raise ReplyError(self._client.name, f"'is_acquiring' was answered {is_acquiring!r}")
        if is_acquiring:
            if now > self._deadline_s:
                raise LinkTimeout(self._client.name, f"no data {now - self._start_s:.1f} s later")
            return False
        self.counts = self._frames(*self._client.ask_for_bytes("frames"))
        return True

    def _frames(self, result: Mapping[str, Any], content: bytes) -> NDArray[np.int32]:
        """Return the counts, (frames, pixels) where rows are binned, or (frames, rows, pixels)."""
        camera, frames = self._client.open(), self.settings.frames
        rows = camera["rows"] if self.settings.rows is None else 1
        with self._client.understood("frames"):
            counts = np.frombuffer(content, "<i4").astype(np.int32)
            shape = tuple(int(size) for size in result["shape"])
        expected = (frames, rows, camera["pixels"])
        if shape != expected or counts.size != frames * rows * camera["pixels"]:
            raise ReplyError(
                self._client.name, f"{counts.size} counts of shape {shape} instead of {expected}"
            )
        series = counts.reshape(shape)
        return series.reshape(frames, -1) if self.settings.rows is not None else series

"""HORIBA monochromator and CCD through the vendor's ICL server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.clock import Clock
from drivers.errors import InstrumentError, LimitError, LinkTimeout, ReplyError, StateError
from drivers.icl import IclClient, IclError, IclModule
from drivers.link import Whole
from drivers.registry import register
from drivers.roles import (
    Camera,
    Counts,
    ExposureSettings,
    Frame,
    Identity,
    Reading,
    ReadingStatus,
    Setting,
    Spectrograph,
)
from drivers.status import Status

__all__ = [
    "HoribaCamera",
    "HoribaCameraConfig",
    "HoribaMonochromator",
    "HoribaMonochromatorConfig",
]

ACQUIRING = -309
TIMER_TOKENS = {1000: 0, 1: 1}  # microseconds: token
IMAGE_OR_SPECTRA = 1  # acquisition format
FROM_MONOCHROMATOR = 2  # conversion of pixels to wavelengths
START_MOVING_S = 2.0  # until a move that was ordered must show
BUSY_INTERVAL_S = 0.005  # between two questions whether the camera is ready
PLACE_AGE_S = 1.0  # a place read so lately, and not left since, need not be asked for again
RECOVERY_S = 15.0  # of a camera after a restart
RECOVERY_INTERVAL_S = 0.25
MAX_FRAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class HoribaMonochromatorConfig:
    """What the station says about the spectrograph."""

    serial: str = ""
    timeout_s: float = 0.5
    index: int = 0  # among the monochromators that ICL lists
    min_wavelength_nm: float = 0.0
    max_wavelength_nm: float = 1500.0
    gratings: tuple[int, ...] = (0, 1, 2)  # positions of the turret that hold one
    tolerance_nm: float = 0.05
    move_timeout_s: float = 180.0


@dataclass(frozen=True, slots=True)
class HoribaCameraConfig:
    """What the station says about the CCD."""

    serial: str = ""
    timeout_s: float = 0.5
    index: int = 0  # among the cameras that ICL lists
    monochromator_index: int | None = 0  # whose wavelength calibrates the pixels; None: nobody's
    timer_resolution_us: int = 1000  # 1000, or 1 where the camera can
    frame_readout_s: float = 0.1  # from the end of one exposure to the start of the next
    exposed_margin_s: float = 0.005  # before is_exposed believes that no more light is collected
    readout_timeout_s: float = 30.0  # beyond exposures and readouts
    unsigned_16_bit: bool = False  # counts as uint16 instead of int32
    restart_after_abort: bool = True  # as the manual recommends

    def __post_init__(self) -> None:
        if self.timer_resolution_us not in TIMER_TOKENS:
            raise ValueError(f"timer resolution {self.timer_resolution_us} us: allowed 1000 or 1")


@register(
    "horiba.monochromator",
    Spectrograph,
    config=HoribaMonochromatorConfig,
    framing=Whole(),
    line=IclClient.configured,
    shared=True,
)
class HoribaMonochromator:
    """A HORIBA monochromator (roles.Spectrograph).

    mono_setPosition recalibrates the instrument and is never sent; mono_init moves everything and
    is sent only by `initialise`.
    """

    def __init__(
        self, name: str, client: IclClient, clock: Clock, config: HoribaMonochromatorConfig
    ) -> None:
        self.name = name
        self._clock = clock
        self._config = config
        self._module = IclModule(name, client, "mono", config.index, config.serial)

    def identify(self) -> Identity:
        """Ask the server which instrument this is."""
        return self._module.identify()

    def initialise(self) -> Status:
        """Search all references, which moves turret and drive; done when they were found."""
        self._module.ask("init", force=False)
        search = _Move(self, self._is_initialised, self._config.move_timeout_s)
        return Status(f"{self.name} initialise", search)

    def set(self, wavelength_nm: float, grating: int) -> Status:
        """Move the turret if needed and then the centre wavelength; verified when done.

        Raises LimitError, StateError if the monochromator is not initialised or still moving.
        """
        config = self._config
        low_nm, high_nm = config.min_wavelength_nm, config.max_wavelength_nm
        if not (isfinite(wavelength_nm) and low_nm <= wavelength_nm <= high_nm):
            raise LimitError(
                self.name, f"wavelength {wavelength_nm} nm: allowed {low_nm} to {high_nm} nm"
            )
        if grating not in config.gratings:
            raise LimitError(self.name, f"grating {grating}: allowed {config.gratings}")
        if self.is_busy():
            raise StateError(self.name, "still moving")
        if not self._is_initialised():
            raise StateError(self.name, "not initialised: its positions mean nothing yet")
        moves = [self._wavelength_move(wavelength_nm)]
        if self.read_grating() != grating:
            moves.insert(0, self._turret_move(grating))
        action = f"{self.name} to {wavelength_nm} nm, grating {grating}"
        return Status(action, _InTurn(moves))

    def stop(self) -> None:
        """Do nothing: ICL has no command that stops a move, which ends by itself."""

    def is_busy(self) -> bool:
        """Ask whether something moves."""
        return _truth(self._module.ask("isBusy")["busy"])

    def read_wavelength_nm(self) -> float:
        """Read the centre wavelength."""
        return self._module.number("getPosition", "wavelength")

    def read_grating(self) -> int:
        """Read the position of the turret."""
        return int(self._module.number("getGratingPosition", "position"))

    def read(self) -> Mapping[str, Reading]:
        """Read centre wavelength and grating; flagged where they mean nothing after a restart."""
        wavelength_nm, grating = self.read_wavelength_nm(), self.read_grating()
        now, status, note = self._clock.now(), ReadingStatus.OK, ""
        if not self._is_initialised():
            status, note = ReadingStatus.FAULT, "not initialised: its positions mean nothing yet"
        return {
            "wavelength_nm": Reading(wavelength_nm, "nm", now, status, note),
            "grating": Reading(float(grating), "", now, status, note),
        }

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or another client changes."""
        return {
            "wavelength_nm": self.read_wavelength_nm(),
            "grating": self.read_grating(),
            "is_initialised": self._is_initialised(),
        }

    def close(self) -> None:
        """Let go of the connection; nothing moves."""
        self._module.client.close()

    @property
    def clock(self) -> Clock:
        """The clock that times the moves."""
        return self._clock

    def _is_initialised(self) -> bool:
        results = self._module.ask("isInitialized")
        return _truth(results.get("initialized", results.get("isInitialized", False)))

    def _wavelength_move(self, wavelength_nm: float) -> "_Move":
        tolerance_nm = self._config.tolerance_nm
        return _Move(
            self,
            lambda: abs(self.read_wavelength_nm() - wavelength_nm) <= tolerance_nm,
            self._config.move_timeout_s,
            lambda: self._module.ask("moveToPosition", wavelength=wavelength_nm),
        )

    def _turret_move(self, grating: int) -> "_Move":
        return _Move(
            self,
            lambda: self.read_grating() == grating,
            self._config.move_timeout_s,
            lambda: self._module.ask("moveGrating", position=grating),
        )


class _Move:
    """A move that is ordered at the first call, and polled until it has really happened.

    The order returns before anything moves: done is when nothing is busy and the position is the
    target's, wrong is when nothing is busy any more, or never was, and it is not.
    """

    def __init__(
        self,
        mono: HoribaMonochromator,
        is_there: Callable[[], bool],
        timeout_s: float,
        order: Callable[[], object] | None = None,
    ) -> None:
        self._mono = mono
        self._is_there = is_there
        self._timeout_s = timeout_s
        self._order = order
        self._ordered_s: float | None = None
        self._was_busy = False

    def __call__(self) -> bool:
        now = self._mono.clock.now()
        if self._ordered_s is None:
            self._ordered_s = now
            if self._order is not None:
                self._order()
        elapsed_s = now - self._ordered_s
        if self._mono.is_busy():
            self._was_busy = True
            if elapsed_s > self._timeout_s:
                raise LinkTimeout(self._mono.name, f"still busy after {self._timeout_s} s")
            return False
        if self._is_there():
            return True
        if self._was_busy or elapsed_s > self._mono.clock.patience_s(START_MOVING_S):
            raise InstrumentError(self._mono.name, f"did not arrive: {self._mono.settings()}")
        return False


class _InTurn:
    """Several moves, one after the other."""

    def __init__(self, moves: list[_Move]) -> None:
        self._moves = moves

    def __call__(self) -> bool:
        if self._moves[0]():
            self._moves.pop(0)
        return not self._moves


@register(
    "horiba.ccd",
    Camera,
    config=HoribaCameraConfig,
    framing=Whole(),
    line=IclClient.configured,
    shared=True,
)
class HoribaCamera:
    """A HORIBA CCD (roles.Camera).

    The server's only timestamp is the end of all frames, so that frames start, by our clock, at
    the trigger plus a whole number of exposures and readouts.
    """

    def __init__(
        self, name: str, client: IclClient, clock: Clock, config: HoribaCameraConfig
    ) -> None:
        self.name = name
        self._clock = clock
        self._config = config
        self._module = IclModule(name, client, "ccd", config.index, config.serial)
        index = config.monochromator_index
        self._mono = None if index is None else IclModule(name, client, "mono", index, "")
        self._chip: tuple[int, int] | None = None
        self._armed: ExposureSettings | None = None
        self._armed_after = 0  # openings; one more, and it may have restarted
        self._calibrated_at: tuple[float, int] | None = None  # wavelength and grating
        self._acquisition: _Acquisition | None = None
        self._wavelengths_nm: NDArray[np.float64] | None = None

    @property
    def pixels(self) -> int:
        """Return the number of pixels along the wavelength."""
        return self._chip_size()[0]

    @property
    def rows(self) -> int:
        """Return the number of rows of the chip."""
        return self._chip_size()[1]

    def identify(self) -> Identity:
        """Ask the server which camera this is."""
        return self._module.identify()

    def arm(self, settings: ExposureSettings) -> None:
        """Send what differs from the settings in force, and verify.

        Raises LimitError, StateError during an exposure, InstrumentError if something reads back
        differently. After an abort it waits until the camera has restarted.
        """
        self._check(settings)
        if self._is_running:
            raise StateError(self.name, "an exposure is running")
        before, self._armed = self._armed, None
        if before is None:
            self._await(self._is_idle, "idle")
            self._armed_after = self._module.openings
            self._set("TimerResolution", "resolutionToken", self._timer_token)
        if before is None or before.rows != settings.rows:
            self._set_region(settings.rows)
        for name, parameter, wanted in self._wanted(settings):
            if before is None or (name, parameter, wanted) not in self._wanted(before):
                self._set(name, parameter, wanted)
        if before is None:
            self._await(self._is_ready, "ready")
            self._calibrated_at = None
        elif self._was_restarted:
            self.arm(settings)
        self._armed = settings

    def trigger(self) -> Status:
        """Start the exposure; done when every frame was read out and has arrived."""
        settings = self._armed
        if settings is None:
            raise StateError(self.name, "not armed")
        if self._is_running:
            raise StateError(self.name, "an exposure is running")
        self._follow_monochromator()
        start_s = self._clock.now()
        self._start(settings)
        self._acquisition = _Acquisition(self._module, self._clock, self._config, settings, start_s)
        return Status(f"{self.name} exposes {settings.exposure_s} s", self._acquisition)

    def is_exposed(self) -> bool:
        """Return whether no more light is collected: start, exposures, readouts between, margin."""
        return self._acquisition is None or self._acquisition.is_exposed()

    def collect(self) -> tuple[Frame, ...]:
        """Return the frames of the last trigger, in the order of exposure."""
        acquisition = self._acquisition
        if acquisition is None or acquisition.results is None:
            raise StateError(self.name, "no frames: the last exposure is not finished")
        regions = self._regions(acquisition)
        with self._module.understood("getAcquisitionData"):
            wavelengths_nm = _wavelengths(regions[0])
        if wavelengths_nm is not None:
            self._wavelengths_nm = wavelengths_nm[: self.pixels]
        settings = acquisition.settings
        return tuple(
            Frame(self._counts(region, settings), acquisition.frame_start_s(i), settings.exposure_s)
            for i, region in enumerate(regions)
        )

    def wavelengths_nm(self) -> NDArray[np.float64]:
        """Return the wavelength of each pixel, as it came with the frames collected last."""
        if self._wavelengths_nm is None:
            raise StateError(self.name, "the wavelengths come with the first frame")
        return self._wavelengths_nm

    def abort(self) -> None:
        """End a running exposure; harmless when none runs. The frames are lost."""
        if not (self._is_running or self._is_busy()):
            return
        if self._acquisition is not None:
            self._acquisition.is_aborted = True
        self._armed = None
        self._module.ask("acquisitionAbort")
        if self._config.restart_after_abort:
            self._module.ask_slowly("restart")

    def read(self) -> Mapping[str, Reading]:
        """Read the detector's temperature; nothing where the camera can't tell while it exposes."""
        try:
            temperature_C = self._module.number("getChipTemperature", "temperature")
        except IclError as error:
            if error.code != ACQUIRING:
                raise
            return {}
        return {"detector_temperature_C": Reading(temperature_C, "degC", self._clock.now())}

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a restart or another client changes."""
        token = self._module.number("getTimerResolution", "resolutionToken")
        unit_s = 1e-3 if token == 0 else 1e-6
        return {
            "exposure_s": self._module.number("getExposureTime", "time") * unit_s,
            "frames": int(self._module.number("getAcqCount", "count")),
            "gain": int(self._module.number("getGain", "token")),
            "speed": int(self._module.number("getSpeed", "token")),
        }

    def close(self) -> None:
        """Let go of the connection; the detector stays cold."""
        self._module.client.close()

    @property
    def _is_running(self) -> bool:
        return self._acquisition is not None and self._acquisition.is_running

    @property
    def _was_restarted(self) -> bool:
        """Return whether it had to be opened since it was armed: all settings may be lost."""
        return self._module.openings != self._armed_after

    @property
    def _timer_token(self) -> int:
        return TIMER_TOKENS[self._config.timer_resolution_us]

    def _timer_units(self, exposure_s: float) -> int:
        return round(exposure_s * 1e6 / self._config.timer_resolution_us)

    def _check(self, settings: ExposureSettings) -> None:
        unit_us = self._config.timer_resolution_us
        if not (isfinite(settings.exposure_s) and self._timer_units(settings.exposure_s) >= 1):
            raise LimitError(self.name, f"exposure {settings.exposure_s} s: at least {unit_us} us")
        if not 1 <= settings.frames <= MAX_FRAMES:
            raise LimitError(self.name, f"{settings.frames} frames: allowed 1 to {MAX_FRAMES}")
        if settings.rows is not None:
            first, number = settings.rows
            height = self._chip_size()[1]
            if not (first >= 0 and number >= 1 and first + number <= height):
                raise LimitError(self.name, f"rows {settings.rows}: the chip has {height}")

    def _wanted(self, settings: ExposureSettings) -> list[tuple[str, str, int]]:
        return [
            ("ExposureTime", "time", self._timer_units(settings.exposure_s)),
            ("AcqCount", "count", settings.frames),
            ("Gain", "token", settings.gain),
            ("Speed", "token", settings.speed),
        ]

    def _set(self, name: str, parameter: str, wanted: int) -> None:
        self._module.ask(f"set{name}", **{parameter: wanted})
        found = self._module.number(f"get{name}", parameter)
        if found != wanted:
            raise InstrumentError(self.name, f"{name} reads back {found:g}, not {wanted}")

    def _set_region(self, rows: tuple[int, int] | None) -> None:
        width, height = self._chip_size()
        first, number = rows or (0, height)
        self._module.ask("setAcqFormat", format=IMAGE_OR_SPECTRA, numberOfRois=1)
        self._module.ask(
            "setRoi",
            roiIndex=1,
            xOrigin=0,
            yOrigin=first,
            xSize=width,
            ySize=number,
            xBin=1,
            yBin=1 if rows is None else number,
        )

    def _chip_size(self) -> tuple[int, int]:
        if self._chip is None:
            size = self._module.ask("getChipSize")
            with self._module.understood("getChipSize"):
                self._chip = int(size["x"]), int(size["y"])
        return self._chip

    def _follow_monochromator(self) -> None:
        """Tell the camera to take centre and grating as they are now, so that pixels come in nm."""
        if self._mono is None:
            return
        position = self._mono.ask_unless_known("getPosition", PLACE_AGE_S)
        turret = self._mono.ask_unless_known("getGratingPosition", PLACE_AGE_S)
        with self._mono.understood("getPosition"):
            place = float(position["wavelength"]), int(turret["position"])
        if place != self._calibrated_at:
            self._module.ask(
                "setCenterWavelength",
                monoIndex=self._config.monochromator_index,
                wavelength=place[0],
            )
            self._module.ask("setXAxisConversionType", type=FROM_MONOCHROMATOR)
            self._calibrated_at = place

    def _start(self, settings: ExposureSettings) -> None:
        if self._was_restarted:
            self._armed = None
            raise StateError(self.name, "not armed: it was restarted since")
        try:
            self._module.ask_as_it_is("acquisitionStart", openShutter=settings.open_shutter)
        except IclError:
            self._armed = None
            raise
        except LinkTimeout:
            # Whether it arrived shows in whether the camera is busy; to start twice is an error
            if not self._is_busy():
                raise

    def _is_busy(self) -> bool:
        return _truth(self._module.ask("getAcquisitionBusy")["isBusy"])

    def _await(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for a camera that may be restarting, and may answer with errors meanwhile."""
        deadline_s = self._clock.now() + RECOVERY_S
        while True:
            try:
                if is_so():
                    return
                reason = ""
            except (IclError, LinkTimeout) as error:
                reason = f": {error}"
            if self._clock.now() > deadline_s:
                raise StateError(self.name, f"not {what} after {RECOVERY_S} s{reason}")
            self._clock.wait(RECOVERY_INTERVAL_S)

    def _is_idle(self) -> bool:
        return not self._is_busy()

    def _is_ready(self) -> bool:
        return _truth(self._module.ask("getAcquisitionReady")["ready"])

    def _regions(self, acquisition: "_Acquisition") -> list[dict[str, Any]]:
        assert acquisition.results is not None  # noqa: S101
        with self._module.understood("getAcquisitionData"):
            entries = sorted(
                acquisition.results.get("acquisition", []), key=lambda entry: int(entry["acqIndex"])
            )
            regions = [dict(entry["roi"][0]) for entry in entries]
        if len(entries) != acquisition.settings.frames:
            raise ReplyError(
                self.name, f"{len(entries)} frames instead of {acquisition.settings.frames}"
            )
        return regions

    def _counts(self, region: Mapping[str, Any], settings: ExposureSettings) -> Counts:
        with self._module.understood("getAcquisitionData"):
            values = _values(region)
        rows = 1 if settings.rows is not None else self._chip_size()[1]
        if values.size != rows * self.pixels:
            raise ReplyError(self.name, f"{values.size} pixels instead of {rows} x {self.pixels}")
        counts = _exact(values, self._config.unsigned_16_bit)
        if counts is None:
            raise ReplyError(self.name, f"counts are not the integers expected: {values[:5]}...")
        return counts if settings.rows is not None else counts.reshape(rows, self.pixels)


class _Acquisition:
    """One exposure, or a series of them, from the trigger to the data."""

    def __init__(
        self,
        module: IclModule,
        clock: Clock,
        config: HoribaCameraConfig,
        settings: ExposureSettings,
        start_s: float,
    ) -> None:
        self.settings = settings
        self.results: dict[str, Any] | None = None
        self.is_aborted = False
        self._has_failed = False
        self._module = module
        self._clock = clock
        self._start_s = start_s
        self._period_s = settings.exposure_s + config.frame_readout_s
        series_s = settings.frames * self._period_s
        self._exposed_s = start_s + series_s - config.frame_readout_s + config.exposed_margin_s
        self._next_s = start_s + series_s
        self._deadline_s = start_s + series_s + clock.patience_s(config.readout_timeout_s)
        self._request: int | None = None

    @property
    def is_running(self) -> bool:
        """Return whether the data may still come."""
        return self.results is None and not self.is_aborted and not self._has_failed

    def is_exposed(self) -> bool:
        """Return whether no more light is collected."""
        return not self.is_running or self._clock.now() >= self._exposed_s

    def frame_start_s(self, index: int) -> float:
        """Return the clock time at which a frame began."""
        return self._start_s + index * self._period_s

    def __call__(self) -> bool:
        """Return whether all data is here; asks nothing before the end that was foreseen."""
        if self.is_aborted:
            raise StateError(self._module.name, "the exposure was aborted")
        try:
            return self._advance()
        except Exception:
            self._has_failed = True
            raise

    def _advance(self) -> bool:
        now = self._clock.now()
        if self._request is None and now >= self._next_s:
            self._next_s = now + BUSY_INTERVAL_S
            if not _truth(self._module.ask("getAcquisitionBusy")["isBusy"]):
                self._request = self._module.start("getAcquisitionData")
        if self._request is not None:
            self.results = self._module.poll(self._request, "getAcquisitionData")
        if self.results is None and now > self._deadline_s:
            raise LinkTimeout(self._module.name, f"no data {now - self._start_s:.1f} s after start")
        return self.results is not None


def _truth(value: object) -> bool:
    """Return a boolean that may come as a string."""
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def _exact(values: NDArray[np.float64], unsigned_16_bit: bool) -> Counts | None:
    """Return the values as integers, None if they are not or don't fit."""
    bounds = np.iinfo(np.uint16 if unsigned_16_bit else np.int32)
    is_whole = bool(np.all(values == np.floor(values)))
    if not (is_whole and bounds.min <= values.min() and values.max() <= bounds.max):
        return None
    return values.astype(np.uint16) if unsigned_16_bit else values.astype(np.int32)


def _values(region: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the counts of a region, flat, from pairs or from a list of their own."""
    values = region["xyData"][..., 1] if "xyData" in region else region["yData"]
    return np.asarray(values, dtype=np.float64).ravel()


def _wavelengths(region: Mapping[str, Any]) -> NDArray[np.float64] | None:
    values = region["xyData"][..., 0] if "xyData" in region else region.get("xData")
    return None if values is None else np.asarray(values, dtype=np.float64).ravel()

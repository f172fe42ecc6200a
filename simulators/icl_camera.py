"""The camera behind ICL: settings, acquisition, and spectra as JSON.

Source: ICL API manual 2.1, section "CCD Module Commands"; the vendor SDK's recorded answers.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from simulators.icl_device import (
    Command,
    DeviceErrors,
    IclDevice,
    IclError,
    IclSettings,
    Parameters,
    Results,
)
from simulators.optics import grating_wavelengths_nm
from simulators.world import World

__all__ = ["IclCamera", "RawJson"]

ACQUIRING = IclError(-309, "CCD error: acquiring")
NOT_READY = IclError(-311, "CCD error: not ready for acquisition")
NO_SPECTRA = IclError(-312, "CCD error: get spectra failed")
COMMAND_FAILED = IclError(-316, "CCD error: command failed")
BAD_TOKEN = IclError(-317, "CCD error: invalid token")
ALREADY_RUNNING = IclError(-320, "CCD error: acquisition already running")
UNSUPPORTED_FORMAT = IclError(-322, "CCD error: unsupported acquisition format")

GAIN_INFO = ("High Sensitivity", "Best Dynamic Range", "High Light")
SPEED_INFO = ("45 kHz       ", "500 kHz      ", " 1 MHz       ")
MOST_ACQUISITIONS = 10_000
MOST_TIMER_UNITS = 2**31 - 1
MICROSECOND_S = 1e-6
AXIS_DECIMALS = 9  # of nm; all 17 digits only cost time


class RawJson(str):
    """A piece of JSON that is serialised already."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of interest; yBin = ySize makes it a spectrum."""

    x_origin: int
    y_origin: int
    x_size: int
    y_size: int
    x_bin: int
    y_bin: int

    @property
    def is_spectrum(self) -> bool:
        return self.y_bin == self.y_size

    @property
    def values(self) -> int:
        return (self.x_size // self.x_bin) * (self.y_size // self.y_bin)

    def cut(self, frame: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return (rows, columns) binned out of a full frame, or out of one binned spectrum."""
        if frame.ndim == 2:
            rows = frame[self.y_origin : self.y_origin + self.y_size]
            frame = rows.reshape(-1, self.y_bin, rows.shape[1]).sum(axis=1)
        columns = np.atleast_2d(frame)[:, self.x_origin : self.x_origin + self.x_size]
        binned = columns.reshape(columns.shape[0], -1, self.x_bin)
        return np.asarray(binned.sum(axis=2), dtype=np.int32) if self.x_bin > 1 else columns


@dataclass(frozen=True, slots=True)
class _Axis:
    """The axis of a region as JSON: its values, and pairs with room for the counts."""

    values: str
    pairs: str


class IclCamera(IclDevice):
    """A CCD on the camera of the World."""

    prefix = "ccd"
    errors = DeviceErrors(
        already_open=IclError(-301, "CCD error: already open"),
        already_closed=IclError(-302, "CCD error: already closed"),
        not_open=IclError(-305, "CCD error: not open"),
        bad_index=IclError(-307, "CCD error: invalid device index"),
        missing=IclError(-324, "CCD error: missing parameter"),
        bad_value=IclError(-318, "CCD error: invalid value"),
    )

    def __init__(
        self,
        world: World,
        settings: IclSettings,
        measured_nm: NDArray[np.float64] | None,
    ) -> None:
        """measured_nm: the axis of replayed spectra, which stands for every calibration."""
        self._world = world
        self._settings = settings
        self._measured_nm = measured_nm
        self.serial = settings.camera_serial
        self._axis_json: dict[tuple[object, ...], _Axis] = {}
        self._default_settings()
        super().__init__()

    def _default_settings(self) -> None:
        self._gain = self._speed = self._parallel_speed = 0
        self._timer_token = 0
        self._exposure_units = 0
        self._format, self._number_of_rois = 1, 0
        self._rois: dict[int, Roi] = {}
        self._count = 1
        self._axis_type = 0
        self._centre: tuple[float, int] | None = None  # wavelength and grating
        self._fit_parameters = [0.0, 1.0, 0.0, 0.0, 0.0]
        self._clean = {"count": 1, "mode": 1}
        self._trigger_in = {"address": -1, "event": -1, "signalType": -1}
        self._signal_out = {"address": -1, "event": -1, "signalType": -1}
        self._averages = 1
        self._ready_from_s = float("-inf")
        self._held_until_s = float("-inf")
        self._has_spectra = False
        self._is_aborted = False
        self._finished_s = 0.0
        self._taken: tuple[tuple[int, Roi], ...] = ()

    def listing(self) -> Results:
        return {
            "deviceType": "HORIBA Scientific Syncerity",
            "index": 0,
            "productId": 13,
            "serialNumber": self.serial,
        }

    def commands(self) -> dict[str, Command]:
        camera = self._world.camera
        return {
            "restart": self._restart,
            "getConfig": lambda _: {"configuration": self._configuration()},
            "getChipSize": lambda _: {"x": camera.pixels, "y": camera.rows},
            "getChipTemperature": lambda _: {"temperature": self._chip_C()},
            "getGain": lambda _: {"info": GAIN_INFO[self._gain], "token": self._gain},
            "setGain": self._set_gain,
            "getSpeed": lambda _: {"info": SPEED_INFO[self._speed], "token": self._speed},
            "setSpeed": self._set_speed,
            "getParallelSpeed": lambda _: {"token": self._parallel_speed},
            "setParallelSpeed": self._set_parallel_speed,
            "getFitParams": lambda _: {"fitParameters": list(self._fit_parameters)},
            "setFitParams": self._set_fit_parameters,
            "getExposureTime": lambda _: {"time": self._exposure_units},
            "setExposureTime": self._set_exposure,
            "getTimerResolution": lambda _: {"resolutionToken": self._timer_token},
            "setTimerResolution": self._set_timer,
            "setAcqFormat": self._set_format,
            "setRoi": self._set_roi,
            "getXAxisConversionType": lambda _: {"type": self._axis_type},
            "setXAxisConversionType": self._set_axis_type,
            "setCenterWavelength": self._set_centre,
            "getAcqCount": lambda _: {"count": self._count},
            "setAcqCount": self._set_count,
            "getCleanCount": lambda _: dict(self._clean),
            "setCleanCount": self._set_clean,
            "getNumberOfAvgs": lambda _: {"count": self._averages},
            "getDataSize": lambda _: {"size": self._values_expected()},
            "getTriggerIn": lambda _: dict(self._trigger_in),
            "setTriggerIn": self._set_signal(self._trigger_in),
            "getSignalOut": lambda _: dict(self._signal_out),
            "setSignalOut": self._set_signal(self._signal_out),
            "getAcquisitionReady": lambda _: {"ready": self._is_ready},
            "acquisitionStart": self._start,
            "acquisitionAbort": self._abort,
            "getAcquisitionBusy": lambda _: {"isBusy": self.is_busy},
            "getAcquisitionData": self._spectra,
        }

    @property
    def is_busy(self) -> bool:
        return self._world.camera.is_busy() or self._world.now < self._held_until_s

    def stall(self, duration_s: float) -> None:
        """Let the acquisition under way seem to last that much longer."""
        self._held_until_s = self._world.now + duration_s

    def power_cycle(self) -> None:
        self._world.camera.abort()
        self.is_open = self.is_listed = False
        self._default_settings()

    # -- settings ---------------------------------------------------------------------------------

    def _configuration(self) -> Results:
        camera, truth = self._world.camera, self._world.truth.camera
        text = str if self._settings.numbers_as_strings else int
        gains = [
            {"info": info, "token": token}
            for token, info in enumerate(GAIN_INFO[: len(truth.gains_e_per_count)])
        ]
        speeds = [
            {"info": info, "token": token}
            for token, info in enumerate(SPEED_INFO[: len(truth.read_noise_e)])
        ]
        return {
            "centerWavelength": 0,
            "chipHSpacing": text(round(truth.pixel_um * 10)),
            "chipHeight": text(camera.rows),
            "chipName": "CCD30-11-1-275",
            "chipSerialNumber": "20091-22-21",
            "chipVSpacing": text(round(truth.pixel_um * 10)),
            "chipWidth": text(camera.pixels),
            "deviceType": "HORIBA Scientific Syncerity",
            "fitParameters": list(self._fit_parameters),
            "gains": [*gains[1:], *gains[:1]],  # in no particular order, as the real one
            "hardwareAvgAvailable": "false",
            "lineScan": "false",
            "productId": "13",
            "serialNumber": self.serial,
            "signals": [],
            "speeds": [*speeds[1:], *speeds[:1]],
            "supportedFeatures": {"cf_Cleaning": "true", "cf_Image": "true", "cf_Spectra": "true"},
            "triggers": [],
            "version": "Syncerity Ver 1.001.7.1",
        }

    def _chip_C(self) -> float:
        """Return the temperature as the single precision of the firmware has it."""
        return float(np.float32(self._world.camera.detector_temperature_C))

    def _token(self, parameters: Parameters, number: int) -> int:
        token = self.whole(parameters, "token", -(2**31), 2**31)
        if not 0 <= token < number:
            raise BAD_TOKEN
        return token

    def _set_gain(self, parameters: Parameters) -> Results:
        self._check_idle()
        self._gain = self._token(parameters, len(self._world.truth.camera.gains_e_per_count))
        return {}

    def _set_speed(self, parameters: Parameters) -> Results:
        self._check_idle()
        self._speed = self._token(parameters, len(self._world.truth.camera.read_noise_e))
        return {}

    def _set_parallel_speed(self, parameters: Parameters) -> Results:
        self._parallel_speed = self._token(parameters, 3)
        return {}

    def _set_fit_parameters(self, parameters: Parameters) -> Results:
        text = parameters.get("params")
        if not isinstance(text, str):
            raise self.errors.missing
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            raise self.errors.bad_value from None
        if len(values) != 5 or not np.all(np.isfinite(values)):
            raise self.errors.bad_value
        self._fit_parameters = values
        return {}

    def _set_exposure(self, parameters: Parameters) -> Results:
        self._check_idle()
        self._exposure_units = self.whole(parameters, "time", 0, MOST_TIMER_UNITS)
        return {}

    def _set_timer(self, parameters: Parameters) -> Results:
        self._check_idle()
        token = self.whole(parameters, "resolutionToken", -(2**31), 2**31)
        if token not in (0, 1):
            raise BAD_TOKEN
        self._timer_token = token
        return {}

    def _set_format(self, parameters: Parameters) -> Results:
        self._check_idle()
        number = self.whole(parameters, "numberOfRois", 1, self._world.camera.rows)
        if self.whole(parameters, "format", 0, 3) > 1:
            raise UNSUPPORTED_FORMAT
        self._number_of_rois, self._rois = number, {}
        return {}

    def _set_roi(self, parameters: Parameters) -> Results:
        self._check_idle()
        index = self.whole(parameters, "roiIndex", 1, max(self._number_of_rois, 1))
        width, height = self._world.camera.pixels, self._world.camera.rows
        x_origin = self.whole(parameters, "xOrigin", 0, width - 1)
        y_origin = self.whole(parameters, "yOrigin", 0, height - 1)
        x_size = self.whole(parameters, "xSize", 1, width - x_origin)
        y_size = self.whole(parameters, "ySize", 1, height - y_origin)
        x_bin = self.whole(parameters, "xBin", 1, x_size)
        y_bin = self.whole(parameters, "yBin", 1, y_size)
        if x_size % x_bin or y_size % y_bin:
            raise self.errors.bad_value
        self._rois[index] = Roi(x_origin, y_origin, x_size, y_size, x_bin, y_bin)
        return {}

    def _set_axis_type(self, parameters: Parameters) -> Results:
        kind = self.whole(parameters, "type", 0, 2)
        if kind == 2 and self._centre is None:  # setCenterWavelength has to come first
            raise COMMAND_FAILED
        self._axis_type = kind
        return {}

    def _set_centre(self, parameters: Parameters) -> Results:
        """Take a centre and the grating in place now: a later move does not change the axis."""
        if self.whole(parameters, "monoIndex", 0, 100) != 0:
            raise self.errors.bad_value
        centre_nm = self.number(parameters, "wavelength", 0.0, 1e4)
        self._centre = (centre_nm, self._world.optics.grating)
        return {}

    def _set_count(self, parameters: Parameters) -> Results:
        self._check_idle()
        self._count = self.whole(parameters, "count", 1, MOST_ACQUISITIONS)
        return {}

    def _set_clean(self, parameters: Parameters) -> Results:
        count, mode = self.whole(parameters, "count", 0, 100), self.whole(parameters, "mode", 0, 3)
        self._clean = {"count": count, "mode": mode}
        return {}

    def _set_signal(self, target: dict[str, int]) -> Command:
        def set_signal(parameters: Parameters) -> Results:
            for name in target:
                target[name] = self.whole(parameters, name, -1, 100)
            return {}

        return set_signal

    # -- acquisition --------------------------------------------------------------------------

    @property
    def _is_ready(self) -> bool:
        is_set_up = 0 < len(self._rois) == self._number_of_rois
        needs_restart = self._is_aborted and self._settings.abort_needs_restart
        is_started = self._world.now >= self._ready_from_s
        return is_set_up and is_started and not needs_restart and not self.is_busy

    def _check_idle(self) -> None:
        if self.is_busy:
            raise ACQUIRING

    def _values_expected(self) -> int:
        return self._count * sum(roi.values for roi in self._rois.values())

    def _exposure_s(self) -> float:
        unit_s = MICROSECOND_S if self._timer_token else 1000 * MICROSECOND_S
        return max(self._exposure_units * unit_s, MICROSECOND_S)

    def _start(self, parameters: Parameters) -> Results:
        open_shutter = self.flag(parameters, "openShutter")
        if self.is_busy:
            raise ALREADY_RUNNING
        if not self._is_ready:
            raise NOT_READY
        rois = list(self._rois.values())
        is_spectrum = len(rois) == 1 and rois[0].is_spectrum
        rows = (rois[0].y_origin, rois[0].y_size) if is_spectrum else None
        lines = 1 if is_spectrum else sum(roi.y_size // roi.y_bin for roi in rois)
        line_s = self._settings.line_s[min(self._speed, len(self._settings.line_s) - 1)]
        readout_s = self._settings.readout_overhead_s + lines * line_s
        exposure_s = self._exposure_s()
        self._world.camera.start(
            exposure_s,
            self._count,
            rows=rows,
            readout_s=readout_s,
            shutter_open=open_shutter,
            gain=self._gain,
            speed=self._speed,
        )
        self._finished_s = self._world.now + self._count * (exposure_s + readout_s)
        self._taken = tuple(sorted(self._rois.items()))
        self._has_spectra, self._is_aborted = True, False
        return {}

    def _abort(self, _: Parameters) -> Results:
        if self.is_busy:
            self._world.camera.abort()
            self._held_until_s = float("-inf")
            self._has_spectra, self._is_aborted = False, True
        return {}

    def _restart(self, _: Parameters) -> Results:
        self._world.camera.abort()
        self._has_spectra = self._is_aborted = False
        self._held_until_s = float("-inf")
        self._ready_from_s = self._world.now + self._settings.restart_s
        return {}

    def _spectra(self, _: Parameters) -> Results:
        if self.is_busy:
            raise ACQUIRING
        if not self._has_spectra:
            raise NO_SPECTRA
        frames = self._world.camera.frames()
        acquisitions = ",".join(
            f'{{"acqIndex":{index},"roi":[{self._rois_of(counts)}]}}'
            for index, (_, counts) in enumerate(frames, start=1)
        )
        return {"acquisition": RawJson(f"[{acquisitions}]"), "timestamp": self._timestamp()}

    def _timestamp(self) -> str:
        """Return when all acquisitions were done, to the millisecond."""
        moment = datetime.fromtimestamp(self._settings.start_utc_s + self._finished_s, UTC)
        return f"{moment:%Y.%m.%d %H:%M:%S}.{moment.microsecond // 1000:03d}"

    def _rois_of(self, frame: NDArray[np.int32]) -> str:
        return ",".join(self._roi_json(index, roi, frame) for index, roi in self._taken)

    def _roi_json(self, index: int, roi: Roi, frame: NDArray[np.int32]) -> str:
        counts = roi.cut(frame)
        head = (
            f'"roiIndex":{index},"xBinning":{roi.x_bin},"xOrigin":{roi.x_origin},'
            f'"xSize":{roi.x_size},"yBinning":{roi.y_bin},"yOrigin":{roi.y_origin},'
            f'"ySize":{roi.y_size}'
        )
        axis = self._axis(roi)
        if self._settings.axis_and_counts == "xyData":
            pairs = ",".join(axis.pairs % tuple(row) for row in counts.tolist())
            return f'{{{head},"xyData":[{pairs}]}}'
        x_rows = ",".join([f"[{axis.values}]"] * counts.shape[0])
        y_rows = json.dumps(counts.tolist(), separators=(",", ":"))
        return f'{{{head},"xData":[{x_rows}],"yData":{y_rows}}}'

    def _axis(self, roi: Roi) -> _Axis:
        """Return the axis of a region; it is kept, being costly."""
        key = (self._axis_type, self._centre, tuple(self._fit_parameters), roi)
        if key not in self._axis_json:
            if len(self._axis_json) > 64:
                self._axis_json.clear()
            values = [json.dumps(value) for value in self._axis_values(roi)]
            pairs = ",".join(f"[{value},%d]" for value in values)
            self._axis_json[key] = _Axis(",".join(values), pairs)
        return self._axis_json[key]

    def _axis_values(self, roi: Roi) -> list[float] | list[int]:
        first = np.arange(roi.x_origin, roi.x_origin + roi.x_size, roi.x_bin)
        if self._axis_type == 0:
            return [int(pixel) for pixel in first]
        centres = np.asarray(first + (roi.x_bin - 1) / 2.0, dtype=np.float64)
        by_firmware = self._axis_type == 1
        axis = self._fitted_axis(centres) if by_firmware else self._wavelengths_nm(centres)
        return [round(float(value), AXIS_DECIMALS) for value in axis]

    def _fitted_axis(self, pixel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.polynomial.Polynomial(self._fit_parameters)(pixel), dtype=np.float64)

    def _wavelengths_nm(self, pixel: NDArray[np.float64]) -> NDArray[np.float64]:
        measured_nm = self._measured_nm
        if measured_nm is not None:
            return np.interp(pixel, np.arange(measured_nm.size), measured_nm)
        assert self._centre is not None  # noqa: S101 - or type 2 would have been refused
        centre_nm, grating = self._centre
        optics, camera = self._world.truth.optics, self._world.truth.camera
        return grating_wavelengths_nm(
            centre_nm,
            (pixel - (camera.pixels - 1) / 2.0) * camera.pixel_um,
            per_mm=optics.gratings_per_mm[grating],
            focal_length_mm=optics.focal_length_mm,
            half_included_angle_deg=optics.half_included_angle_deg,
        )

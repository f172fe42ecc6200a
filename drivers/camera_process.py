"""A process of its own around a camera's SDK: `python -m drivers.camera_process andor|picam`.

The program starts it, talks to it over its pipes, and kills it when the SDK hangs. Only here is
pylablib imported (GPL, an extra): nothing of it enters the program.

Protocol: one JSON object a line on standard input, {"id", "command", "parameters"}; on standard
output one line {"id", "result" or "error", "bytes"} and then as many raw bytes.

Never tried on hardware: written from pylablib's documentation and the SDKs' manuals. Opening an
Andor camera through pylablib is not neutral: it closes the shutter, sets the fan, and sets the
detector's temperature, which is why the station has to name it. Killing the process may leave an
SDK's resources taken until the computer is restarted.
"""

import json
import signal
import sys
from typing import Any, BinaryIO, Protocol

__all__ = ["serve"]


class Sdk(Protocol):
    """What both makes of camera can do."""

    def identity(self) -> dict[str, Any]: ...
    def temperature_C(self) -> float: ...
    def arm(self, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def start(self) -> None: ...
    def is_acquiring(self) -> bool: ...
    def frames(self) -> Any: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class _Camera:
    """The part that pylablib makes alike."""

    def __init__(self, camera: Any) -> None:
        self.camera = camera
        self.frames_wanted = 1

    def arm(self, parameters: dict[str, Any]) -> dict[str, Any]:
        camera = self.camera
        width, height = camera.get_detector_size()
        first, number = parameters["rows"] or (0, height)
        binned = number if parameters["rows"] else 1
        camera.set_roi(0, width, first, first + number, 1, binned)
        camera.set_exposure(parameters["exposure_s"])
        self.frames_wanted = int(parameters["frames"])
        self.choose(int(parameters["gain"]), int(parameters["speed"]))
        self.set_shutter(bool(parameters["open_shutter"]))
        return {"exposure_s": float(camera.get_exposure()), "roi": list(camera.get_roi())}

    def choose(self, gain: int, speed: int) -> None:
        raise NotImplementedError

    def set_shutter(self, opens: bool) -> None:
        raise NotImplementedError

    def is_acquiring(self) -> bool:
        return bool(self.camera.acquisition_in_progress())

    def frames(self) -> Any:
        images = self.camera.read_multiple_images()
        self.camera.stop_acquisition()
        return images

    def abort(self) -> None:
        self.camera.stop_acquisition()

    def close(self) -> None:
        self.camera.close()


class AndorSdk2(_Camera):
    """Andor cameras of the SDK2 (iDus, Newton, iXon)."""

    def __init__(self, index: int, temperature_C: float) -> None:
        from pylablib.devices import Andor  # noqa: PLC0415

        super().__init__(Andor.AndorSDK2Camera(idx=index, temperature=temperature_C))

    def identity(self) -> dict[str, Any]:
        found = self.camera.get_device_info()
        width, height = self.camera.get_detector_size()
        return {
            "manufacturer": "Andor",
            "model": found.head_model,
            "serial": str(found.serial_number),
            "pixels": width,
            "rows": height,
        }

    def temperature_C(self) -> float:
        return float(self.camera.get_temperature())

    def choose(self, gain: int, speed: int) -> None:
        self.camera.set_amp_mode(preamp=gain, hsspeed=speed)

    def set_shutter(self, opens: bool) -> None:
        self.camera.setup_shutter("auto" if opens else "closed")

    def start(self) -> None:
        self.camera.setup_kinetic_mode(self.frames_wanted)
        self.camera.start_acquisition("kinetic", nframes=self.frames_wanted)


class Picam(_Camera):
    """Princeton Instruments cameras (PIXIS, ProEM, BLAZE)."""

    def __init__(self, index: int, temperature_C: float) -> None:
        from pylablib.devices import PrincetonInstruments  # noqa: PLC0415

        cameras = PrincetonInstruments.list_cameras()
        super().__init__(PrincetonInstruments.PicamCamera(cameras[index].serial_number))
        self.camera.set_attribute_value("Sensor Temperature Set Point", temperature_C)

    def identity(self) -> dict[str, Any]:
        found = self.camera.get_device_info()
        width, height = self.camera.get_detector_size()
        return {
            "manufacturer": "Princeton Instruments",
            "model": found.model,
            "serial": str(found.serial_number),
            "pixels": width,
            "rows": height,
        }

    def temperature_C(self) -> float:
        return float(self.camera.get_attribute_value("Sensor Temperature Reading"))

    def choose(self, gain: int, speed: int) -> None:
        """Gains and speeds are numbered in the order in which the camera lists them."""
        for name, chosen in (("ADC Analog Gain", gain), ("ADC Speed", speed)):
            values = list(self.camera.get_attribute(name).values)
            self.camera.set_attribute_value(name, values[chosen])

    def set_shutter(self, opens: bool) -> None:
        mode = "Normal" if opens else "Always Closed"
        self.camera.set_attribute_value("Shutter Timing Mode", mode)

    def start(self) -> None:
        self.camera.start_acquisition(mode="snap", nframes=self.frames_wanted)


MAKES: dict[str, Any] = {"andor": AndorSdk2, "picam": Picam}


def serve(make: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the input ends; then close the camera."""
    sdk: Sdk | None = None
    try:
        for line in requests:
            request = json.loads(line)
            content = b""
            answer: dict[str, Any] = {"id": request["id"]}
            try:
                if request["command"] == "open":
                    sdk = sdk or MAKES[make](**request["parameters"])
                    answer["result"] = sdk.identity()
                elif sdk is None:
                    answer["error"] = "the camera is not open"
                else:
                    answer["result"], content = _perform(sdk, request)
            except Exception as error:  # told to the program, which decides
                answer["error"] = f"{type(error).__name__}: {error}"
            answer["bytes"] = len(content)
            replies.write(json.dumps(answer).encode() + b"\n" + content)
            replies.flush()
    finally:
        if sdk is not None:
            sdk.close()


def _perform(sdk: Sdk, request: dict[str, Any]) -> tuple[Any, bytes]:
    match request["command"]:
        case "arm":
            return sdk.arm(request["parameters"]), b""
        case "start":
            sdk.start()
            return None, b""
        case "is_acquiring":
            return sdk.is_acquiring(), b""
        case "temperature":
            return sdk.temperature_C(), b""
        case "abort":
            sdk.abort()
            return None, b""
        case "frames":
            return _packed(sdk.frames())
        case unknown:
            raise ValueError(f"no command {unknown!r}")


def _packed(images: Any) -> tuple[Any, bytes]:
    """Return shape and raw bytes of the frames, as 32-bit integers, little endian."""
    import numpy as np  # noqa: PLC0415 - the SDK's own process has it anyway

    frames = np.asarray(images)
    if not np.array_equal(frames, frames.astype("<i4")):
        raise ValueError(f"counts of {frames.dtype} don't fit into 32 bits")
    return {"shape": list(frames.shape)}, frames.astype("<i4").tobytes()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program ends it when it has taken the frames
    # What an SDK prints must not get between the replies
    pipe, sys.stdout = sys.stdout.buffer, sys.stderr
    serve(sys.argv[1], sys.stdin.buffer, pipe)

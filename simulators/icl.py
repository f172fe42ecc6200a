"""HORIBA ICL: the vendor's server in front of monochromator and camera, JSON over a websocket.

Rules (ICL API manual 2.1)
1. A text message {"id", "command", "parameters"} is answered by one message with the same id (0
   where there was none), the command, "results" and "errors", a list of "[E];<code>;<text>".
2. Commands are case-sensitive and begin with icl_, mono_ or ccd_.
3. What takes time answers at once; only isBusy tells the end.
4. Devices are listed only after discovery, and stay open when a client goes.
5. In binary mode "all", binary messages (logs) come in between, unasked.
"""

import json
from collections.abc import Sequence
from struct import pack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.core import InstrumentCore
from simulators.icl_camera import IclCamera, RawJson
from simulators.icl_device import IclDevice, IclError, IclSettings, Json, Parameters, Results
from simulators.icl_mono import Monochromator
from simulators.world import World

__all__ = ["IclServer"]

NO_PARSER = IclError(-1, "ICL error: no parser found")
UNKNOWN_COMMAND = IclError(-2, "ICL error: unknown command")
BAD_BIN_MODE = IclError(-3, "ICL error: invalid bin mode")
NO_SINGLE_CHANNEL_DETECTORS: Final[dict[str, Results]] = {
    "saq3_discover": {"count": 0},
    "saq3_list": {"devices": []},
    "saq3_listCount": {"count": 0},
}
MAX_MESSAGE: Final = 1 << 16
BINARY_MAGIC, BINARY_LOG, BINARY_CHARACTERS = 0x5AA5, 1, 1


class IclServer(InstrumentCore):
    """The server with one monochromator and one camera, both at index 0."""

    def __init__(
        self,
        world: World,
        settings: IclSettings | None = None,
        measured_nm: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(world)
        self.settings = settings or IclSettings()
        self.mono = Monochromator(world, self.settings)
        self.camera = IclCamera(world, self.settings, measured_nm)
        self._devices: dict[str, IclDevice] = {"mono": self.mono, "ccd": self.camera}
        self._sends_binary = False
        self._is_shut_down = False

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        """A websocket delivers whole messages."""
        self.world.advance(now)
        return [fragment]

    def execute(self, request: bytes, now: float) -> bool:
        if self._is_shut_down:
            return False
        if self._sends_binary:
            self.outbox.post(now + self.settings.reply_s, _log_frame(request))
        self.outbox.post(now + self.settings.reply_s, self._answer(_parsed(request)))
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        command = _parsed(request).get("command")
        return (command,) if isinstance(command, str) else ()

    def answers(self, request: bytes, reply: bytes) -> bool:
        return reply.startswith(b'{"id":%d,' % _id_of(_parsed(request)))

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._sends_binary = self._is_shut_down = False
        self.mono.power_cycle()
        self.camera.power_cycle()

    def stall(self, now: float, duration_s: float) -> None:
        if self.camera.is_busy:
            self.camera.stall(duration_s)
        elif self.mono.is_busy:
            self.mono.stall(duration_s)
        else:
            super().stall(now, duration_s)

    def impersonate(self) -> None:
        self.mono.serial, self.camera.serial = "9999Z-2024-iHR320", "Camera SN:  9999"

    def _answer(self, message: Parameters) -> bytes:
        command = message.get("command")
        parameters = message.get("parameters", {})
        try:
            results = self._run(
                command if isinstance(command, str) else "",
                parameters if isinstance(parameters, dict) else {},
            )
            errors: list[str] = []
        except IclError as error:
            # One instance serves for good, and would keep the frames of every raise
            results, errors = {}, [str(error.with_traceback(None))]
        return (
            f'{{"id":{_id_of(message)},"command":{json.dumps(command)},'
            f'"results":{_serialised(results)},"errors":{json.dumps(errors)}}}'
        ).encode()

    def _run(self, command: str, parameters: Parameters) -> Results:
        prefix, _, name = command.partition("_")
        if prefix == "icl":
            return self._run_own(name, parameters)
        if command in NO_SINGLE_CHANNEL_DETECTORS:
            return NO_SINGLE_CHANNEL_DETECTORS[command]
        if prefix not in self._devices:
            raise NO_PARSER
        results = self._devices[prefix].run(name, parameters)
        if results is None:
            raise UNKNOWN_COMMAND
        return results

    def _run_own(self, name: str, parameters: Parameters) -> Results:
        match name:
            case "info":
                return {
                    "nodeAlias": "ICL",
                    "nodeApiVersion": 300,
                    "nodeBuilt": "Dec  5 2023-13:17:00",
                    "nodeDescription": "Instrument Control Library",
                    "nodeId": 1,
                    "nodeVersion": "2.0.0.108.d762232a",
                }
            case "binMode":
                if parameters.get("mode") not in ("all", "none"):
                    raise BAD_BIN_MODE
                self._sends_binary = parameters["mode"] == "all"
                return {}
            case "shutdown":
                self._is_shut_down = True
                return {"state": "Shutting down"}
            case _:
                raise UNKNOWN_COMMAND


def _parsed(request: bytes) -> Parameters:
    """Return the message as a mapping; an empty one for what is no JSON object."""
    if len(request) > MAX_MESSAGE:
        return {}
    try:
        message = json.loads(request)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _id_of(message: Parameters) -> int:
    number = message.get("id", 0)
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def _serialised(results: dict[str, Json]) -> str:
    items = (
        f"{json.dumps(name)}:{value if isinstance(value, RawJson) else json.dumps(value)}"
        for name, value in results.items()
    )
    return f"{{{','.join(items)}}}"


def _log_frame(request: bytes) -> bytes:
    """Return a binary log message: magic, type, element type, count, four tags, payload."""
    text = b"received " + request[:200]
    return (
        pack("<HHHIHHHH", BINARY_MAGIC, BINARY_LOG, BINARY_CHARACTERS, len(text), 0, 0, 0, 0) + text
    )

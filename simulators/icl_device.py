"""What the devices behind an ICL server share: parameters, errors, opening and closing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

__all__ = [
    "Command",
    "DeviceErrors",
    "IclDevice",
    "IclError",
    "IclSettings",
    "Json",
    "Parameters",
    "Results",
]

Json = object
Parameters = Mapping[str, Json]
Results = dict[str, Json]
Command = Callable[[Parameters], Results]


@dataclass(frozen=True, slots=True)
class IclSettings:
    """What differs from installation to installation, and between versions of ICL.

    axis_and_counts: whether a spectrum comes as "xData" and "yData" or as pairs in "xyData".
    numbers_as_strings: whether the configuration writes its numbers as strings (manual 2.1).
    mono_is_initialized: as a laboratory in daily use leaves it; after power-up it is not.
    abort_needs_restart: after an abort the camera is not ready until it was restarted.
    line_s: reading one line of the chip, by speed token.
    """

    reply_s: float = 0.002
    mono_serial: str = "1745B-2017-iHR750"
    camera_serial: str = "Camera SN:  2244"
    axis_and_counts: Literal["xData+yData", "xyData"] = "xData+yData"
    numbers_as_strings: bool = True
    mono_is_initialized: bool = True
    init_s: float = 12.0
    mono_speed_nm_per_s: float = 80.0
    mono_start_s: float = 0.15
    mono_step_nm: float = 0.002
    turret_s: float = 18.0
    mirror_s: float = 1.5
    abort_needs_restart: bool = False
    restart_s: float = 2.0
    readout_overhead_s: float = 0.077
    line_s: tuple[float, ...] = (0.023, 0.0021, 0.00105)
    start_utc_s: float = 1_800_000_000.0  # of the timestamps


class IclError(Exception):
    """An error as it stands in the list of a reply."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"[E];{code};{text}")


@dataclass(frozen=True, slots=True)
class DeviceErrors:
    """The errors every kind of device has under numbers of its own."""

    already_open: IclError
    already_closed: IclError
    not_open: IclError
    bad_index: IclError
    missing: IclError
    bad_value: IclError


class IclDevice(ABC):
    """A device at index 0 of its kind; `prefix` begins its commands."""

    prefix: str
    errors: DeviceErrors

    def __init__(self) -> None:
        self.is_listed = False
        self.is_open = False
        self._always: dict[str, Command] = {
            "discover": self._discover,
            "list": lambda _: {"devices": [self.listing()] if self.is_listed else []},
            "listCount": lambda _: {"count": int(self.is_listed)},
            "open": self._open,
            "close": self._close,
            "isOpen": self._tell_open,
        }
        self._when_open = self.commands()

    @abstractmethod
    def listing(self) -> Results:
        """Return the entry of this device in the list."""

    @abstractmethod
    def commands(self) -> dict[str, Command]:
        """Return the commands that need an open device, without their prefix."""

    def run(self, command: str, parameters: Parameters) -> Results | None:
        """Return the results of a command, None for an unknown one. Raises IclError."""
        if command in self._always:
            return self._always[command](parameters)
        action = self._when_open.get(command)
        if action is None:
            return None
        self._check_index(parameters)
        if not self.is_open:
            raise self.errors.not_open
        return action(parameters)

    def number(self, parameters: Parameters, name: str, low: float, high: float) -> float:
        """Return a number within bounds. Raises IclError."""
        if name not in parameters:
            raise self.errors.missing
        value = parameters[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.errors.bad_value
        if not isfinite(value) or not low <= value <= high:
            raise self.errors.bad_value
        return float(value)

    def whole(self, parameters: Parameters, name: str, low: int, high: int) -> int:
        """Return a whole number within bounds. Raises IclError."""
        value = self.number(parameters, name, low, high)
        if value != int(value):
            raise self.errors.bad_value
        return int(value)

    def flag(self, parameters: Parameters, name: str) -> bool:
        if name not in parameters:
            raise self.errors.missing
        value = parameters[name]
        if not isinstance(value, bool):
            raise self.errors.bad_value
        return value

    def _check_index(self, parameters: Parameters) -> None:
        if "index" not in parameters:
            raise self.errors.missing
        if not self.is_listed or parameters["index"] != 0:
            raise self.errors.bad_index

    def _discover(self, _: Parameters) -> Results:
        self.is_listed = True
        return {"count": 1}

    def _open(self, parameters: Parameters) -> Results:
        self._check_index(parameters)
        if self.is_open:
            raise self.errors.already_open
        self.is_open = True
        return {}

    def _close(self, parameters: Parameters) -> Results:
        self._check_index(parameters)
        if not self.is_open:
            raise self.errors.already_closed
        self.is_open = False
        return {}

    def _tell_open(self, parameters: Parameters) -> Results:
        self._check_index(parameters)
        return {"open": self.is_open}

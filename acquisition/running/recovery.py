"""After an instrument failed: is it still the same one, and are its settings still ours?"""

from collections import defaultdict, deque

from acquisition.instruments.station import Station
from acquisition.running.run_log import RunLog
from acquisition.safety.vigil import Vigil
from acquisition.storage.record import Level
from drivers.errors import DeviceError, InstrumentError, LinkError, ReplyError, StateError
from drivers.roles import Device, Setting

__all__ = ["Recovery"]

BACKOFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)
BUDGET = 20  # failures of one instrument
BUDGET_S = 3600.0  # in that time: endless retry is a hang
HOME_POLL_S = 0.05
OURS = frozenset(
    {
        *("setpoint_K", "ramp_on", "ramp_K_per_min", "heater_range"),
        *("wavelength_nm", "grating", "position", "is_homed"),
        *("exposure_s", "frames", "gain", "speed", "output_on", "level_V"),
    }
)
"""Settings that the run itself changes; every attempt sends them anew."""


class Recovery:
    """What the engine calls when an attempt was broken off by an instrument.

    It returns the names of the instruments that answer again: the one that failed, or all of
    them after the failure of a line that some share. It says which settings are no longer what
    they were. It raises the error again if an instrument stays silent, fails too often, or if the
    error is one that must not be retried.
    """

    def __init__(self, station: Station, vigil: Vigil, log: RunLog) -> None:
        self._station = station
        self._devices = {device.name: device for device in station.devices()}
        self._vigil = vigil
        self._log = log
        self._known: dict[str, dict[str, Setting]] = {}
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)
        self._homed: set[str] = set()  # and to be so again, however often the reference gets lost

    def remember(self, device: Device) -> dict[str, Setting]:
        """Take the settings in force as those to be found again, and return them."""
        self._known[device.name] = dict(device.settings())
        if self._known[device.name].get("is_homed"):
            self._homed.add(device.name)
        return self._known[device.name]

    def __call__(self, error: DeviceError) -> frozenset[str]:
        known = self._devices.get(error.device)
        devices = tuple(self._devices.values()) if known is None else (known,)
        if not self._may_be_mended(known, error):
            raise error
        self._spend(error)
        for device in devices:
            self._compare(device, self._await(device, error))
        self._home_again()
        return frozenset(device.name for device in devices)

    def _may_be_mended(self, device: Device | None, error: DeviceError) -> bool:
        """A line may come back; what moves may have been stuck, or have lost its reference."""
        moves = device is not None and device in (self._station.polarizer, self._station.shutter)
        return isinstance(error, LinkError | ReplyError) or (
            moves and isinstance(error, InstrumentError | StateError)
        )

    def _spend(self, error: DeviceError) -> None:
        now = self._vigil.clock.now()
        failures = self._failures[error.device]
        while failures and failures[0] < now - BUDGET_S:
            failures.popleft()
        failures.append(now)
        if len(failures) > BUDGET:
            raise StateError(
                error.device, f"failed {BUDGET} times within {BUDGET_S:g} s, last: {error}"
            )

    def _await(self, device: Device, error: DeviceError) -> dict[str, Setting]:
        """Return the settings of an instrument that answers again."""
        last: DeviceError = error
        for wait_s in BACKOFF_S:
            self._vigil.pass_time(f"{device.name} to answer again", wait_s)
            try:
                return self._answer(device)
            except DeviceError as silence:
                last = silence
        raise last from error

    def _answer(self, device: Device) -> dict[str, Setting]:
        if device is self._station.polarizer:
            self._station.polarizer.stop()  # the outcome of a movement is not known any more
        settings = dict(device.settings())
        device.identify()
        return settings

    def _home_again(self) -> None:
        polarizer = self._station.polarizer
        if polarizer is None or polarizer.is_homed or polarizer.name not in self._homed:
            return
        status = polarizer.home()
        self._vigil.until("polarizer homes again", status.poll, poll_s=HOME_POLL_S)
        status.check()
        self._log.event(Level.WARNING, "homed", f"{polarizer.name} had lost its reference")

    def _compare(self, device: Device, now: dict[str, Setting]) -> None:
        before = self._known.get(device.name, {})
        self._known[device.name] = now
        changed = {
            key: [before[key], value]
            for key, value in now.items()
            if key not in OURS and before.get(key, value) != value
        }
        text = f"{device.name} answers again" + (
            f"; changed settings: {changed}" if changed else ""
        )
        self._log.event(Level.WARNING, "recovered", text, changed=changed)

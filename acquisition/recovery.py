"""After an instrument failed: is it still the same one, and are its settings still ours?"""

from collections.abc import Callable, Mapping

from acquisition.record import Level
from acquisition.run_log import RunLog
from acquisition.station import Station
from acquisition.vigil import Vigil
from drivers.errors import DeviceError, LinkError, ReplyError
from drivers.roles import Device, Setting

__all__ = ["recovery"]

BACKOFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)


def recovery(station: Station, vigil: Vigil, log: RunLog) -> Callable[[DeviceError], None]:
    """Return what the engine calls when an attempt was broken off by an instrument.

    It returns when the instrument answers again under its name, and says which settings are no
    longer what they were; the next attempt sets them anew. It raises the error again if the
    instrument stays silent, or if the error is not one of the line.
    """
    devices = {device.name: device for device in station.devices()}
    known: dict[str, Mapping[str, Setting]] = {}

    def recover(error: DeviceError) -> None:
        device = devices.get(error.device)
        if device is None or not isinstance(error, LinkError | ReplyError):
            raise error
        for wait_s in BACKOFF_S:
            vigil.clock.wait(wait_s)
            if _answers(device):
                known[device.name] = _compare(device, known.get(device.name), log)
                return
        raise error

    return recover


def _answers(device: Device) -> bool:
    try:
        device.identify()
    except (LinkError, ReplyError):
        return False
    return True


def _compare(
    device: Device, before: Mapping[str, Setting] | None, log: RunLog
) -> Mapping[str, Setting]:
    settings = device.settings()
    changed = {
        key: (before[key], value)
        for key, value in settings.items()
        if before is not None and key in before and before[key] != value
    }
    text = f"{device.name} answers again" + (f"; changed settings: {changed}" if changed else "")
    log.event(Level.WARNING, "recovered", text)
    return settings

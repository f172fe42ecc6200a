"""What can go wrong with an instrument.

DeviceError
|-- LinkError            the line; the request may or may not have arrived
|   |-- LinkTimeout      no complete reply in time: resynchronise, then retry what is idempotent
|   `-- LinkClosed       the peer is gone: reconnect, identify, reconcile the settings
|-- ReplyError           the instrument answered, but not sense: resynchronise, then retry
|-- InstrumentError      the instrument reports an error of its own: do not retry blindly
|-- LimitError           we asked for something forbidden; nothing was sent
`-- StateError           we asked for something the instrument can't do in its present state

Every message names the device, the action, the value and the bound.
"""

__all__ = [
    "DeviceError",
    "InstrumentError",
    "LimitError",
    "LinkClosed",
    "LinkError",
    "LinkTimeout",
    "ReplyError",
    "StateError",
]


class DeviceError(Exception):
    """Something went wrong with one instrument."""

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device


class LinkError(DeviceError):
    """The line failed; whether the request arrived is unknown."""


class LinkTimeout(LinkError):  # noqa: N818 - the field's word
    """No complete reply came in time."""


class LinkClosed(LinkError):  # noqa: N818 - the field's word
    """The peer closed the line, or it could not be opened."""


class ReplyError(DeviceError):
    """The reply is not what the protocol allows."""


class InstrumentError(DeviceError):
    """The instrument reported an error of its own."""


class LimitError(DeviceError):
    """A value outside its limit was refused before the wire."""


class StateError(DeviceError):
    """The instrument can't do that in its present state."""

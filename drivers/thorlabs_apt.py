"""Thorlabs APT: the binary protocol of stages and flippers, and this end of it.

Rules (APT communications protocol, issue 29; pylablib)
- A header of 6 bytes, with data behind it where 0x80 is set in the destination.
- Ends of movements and status updates come unasked at any time: they are kept apart from answers.
- An answer that came before its question belongs to nobody, and a question without an answer
  leaves the line in doubt: then everything is drained, and the unit has to say who it is.
- Noise between messages is skipped up to the next header that can be one.

- Before first use RTS is pulsed and the line purged, with 50 ms before and after (the protocol's
  document; pylablib): SerialLink does, where the port has such a line.
"""

import logging
from collections import deque
from collections.abc import Mapping
from struct import pack, unpack_from
from typing import Any, Protocol

import thorlabs_apt_protocol as apt
from thorlabs_apt_protocol.parsing import id_to_func

from drivers.clock import Clock
from drivers.errors import LinkClosed, LinkError, LinkTimeout, ReplyError
from drivers.known_identity import KnownIdentity
from drivers.link import Link
from drivers.roles import Identity
from drivers.serial_format import SerialFormat

__all__ = [
    "CHANNEL",
    "DEVICE",
    "HOST",
    "REQ_STATUS_BITS",
    "SERIAL",
    "AptClient",
    "AptFraming",
]

logger = logging.getLogger(__name__)

HOST, DEVICE, CHANNEL = 0x01, 0x50, 1
SERIAL = SerialFormat(115200, pulses_rts=True)
HEADER, HAS_DATA = 6, 0x80
RETRIES = 3
MAX_DRAINED = 1000
INFO = 0x0006
REQ_STATUS_BITS = pack("<HBBBB", 0x0429, CHANNEL, 0, DEVICE, HOST)  # the package has no function
# messages to the host: how much data they carry
LENGTHS: Mapping[int, tuple[int, ...]] = {
    0x0006: (84,),
    0x0002: (0,),
    0x0080: (0,),
    0x0081: (68,),
    0x0212: (0,),
    0x040B: (6,),
    0x0412: (6,),
    0x0415: (14,),
    0x0418: (22,),
    0x0425: (16,),
    0x042A: (6,),
    0x043C: (6,),
    0x0442: (14,),
    0x0444: (0,),
    0x0447: (6,),
    0x0452: (6,),
    0x0464: (0, 14),
    0x0466: (0, 14),
    0x0481: (14,),
    0x0491: (14,),
    0x0512: (34, 38),
}
EVENTS = frozenset({0x0002, 0x0080, 0x0081, 0x0444, 0x0464, 0x0466})


class AptFraming:
    """Messages of the length that their header says; what can't be one is skipped."""

    def split(self, buffer: bytearray) -> bytes | None:
        while len(buffer) >= HEADER:
            length = _length(buffer)
            if length is None:
                del buffer[0]
            elif len(buffer) < length:
                return None
            else:
                message = bytes(buffer[:length])
                del buffer[:length]
                return message
        return None


def _length(buffer: bytearray) -> int | None:
    """Return the length of the message that begins here, None if none can."""
    number, second, destination, source = unpack_from("<HHBB", buffer)
    data = second if destination & HAS_DATA else 0
    is_ours = destination & ~HAS_DATA in (0, HOST) and source == DEVICE
    return HEADER + data if is_ours and data in LENGTHS.get(number, ()) else None


class AptConfig(Protocol):
    """What the client needs to know from an instrument's configuration."""

    @property
    def serial(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...


class AptClient:
    """Talk to one APT unit. `anomalies` counts what did not fit."""

    def __init__(
        self, name: str, link: Link, clock: Clock, *, timeout_s: float = 0.5, serial: str = ""
    ) -> None:
        if not 0 < timeout_s <= 0.5:
            raise ValueError(f"{name}: timeout {timeout_s} s must be above 0 and at most 0.5 s")
        self.name = name
        self.timeout_s = timeout_s
        self.anomalies = 0
        self._link = link
        self._clock = clock
        self.known = KnownIdentity(name, serial)
        self._events: deque[dict[str, Any]] = deque(maxlen=MAX_DRAINED)
        self._suspect = False
        self._waits_for = 0

    @classmethod
    def configured(cls, name: str, link: Link, clock: Clock, config: AptConfig) -> "AptClient":
        """Return a client with the timeout and expected serial number of a configuration."""
        return cls(name, link, clock, timeout_s=config.timeout_s, serial=config.serial)

    def tell(self, message: bytes) -> None:
        """Send a message that has no answer, or one that comes by itself. Raises LinkClosed."""
        self._make_ready()
        self._send(message)

    def ask(self, message: bytes, answer: int) -> dict[str, Any]:
        """Return the fields of the answer with that number, asked again if none comes.

        Raises LinkClosed, LinkTimeout, StateError.
        """
        for left in range(RETRIES, -1, -1):
            self._make_ready()
            self._send(message)
            found = self._await(answer)
            if found is not None:
                return found
            self._note_anomaly(f"no {answer:#06x} in {self.timeout_s} s")
            if left == 0:
                break
        raise LinkTimeout(self.name, f"no answer {answer:#06x} in {self.timeout_s} s")

    def take_event(self, *numbers: int) -> dict[str, Any] | None:
        """Return the next of these messages that came unasked, None if none did; never waits."""
        self._collect()
        for event in self._events:
            if event["msgid"] in numbers:
                self._events.remove(event)
                return event
        return None

    def forget_events(self) -> None:
        """Drop what came unasked so far: it belongs to what was before."""
        self._collect()
        self._events.clear()

    def identify(self) -> Identity:
        """Ask who answers. Raises StateError if it is not the unit that was here before."""
        return self._checked(self.ask(apt.hw_req_info(DEVICE, HOST), INFO))

    def resync(self) -> None:
        """Drain the line, reconnect if need be, and hear the unit's name."""
        self._suspect = True
        try:
            self._link.reset()
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error
        self._drain()
        self._send(apt.hw_req_info(DEVICE, HOST))
        found = self._await(INFO)
        if found is None:
            raise LinkTimeout(self.name, f"no identity in {self.timeout_s} s")
        self._checked(found)
        self._suspect = False

    def close(self) -> None:
        """Let go of the line."""
        self._link.close()

    def _make_ready(self) -> None:
        if not self._suspect:
            self._collect()
        if self._suspect:
            self.resync()

    def _collect(self) -> None:
        """Sort what is there already; an answer among it belongs to nobody."""
        while (found := self._receive(0.0)) is not None:
            if not self._keep(found):
                self._note_anomaly(f"{found['msg']} came unasked")

    def _await(self, answer: int) -> dict[str, Any] | None:
        deadline_s = self._clock.now() + self.timeout_s
        while (left_s := deadline_s - self._clock.now()) >= 0:
            found = self._receive(left_s)
            if found is None:
                return None
            if found["msgid"] == answer:
                return found
            if not self._keep(found):
                self._note_anomaly(f"{found['msg']} where {answer:#06x} was due")
        return None

    def _keep(self, found: dict[str, Any]) -> bool:
        if found["msgid"] in EVENTS:
            self._events.append(found)
            return True
        # A status update that somebody started is no surprise
        return bool(found["msgid"] == 0x0481)

    def _drain(self) -> None:
        # An answer may come up to three timeouts after its question, of which one has passed
        for _ in range(MAX_DRAINED):
            found = self._receive(2 * self.timeout_s)
            if found is None:
                return
            self._keep(found)
            if found["msgid"] == 0x0481:  # they would never end
                self._send(apt.hw_stop_updatemsgs(DEVICE, HOST))
        raise ReplyError(self.name, f"still talking after {MAX_DRAINED} messages")

    def _send(self, message: bytes) -> None:
        logger.debug("%s < %s", self.name, message.hex(" "))
        try:
            self._link.send(message)
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            message = self._link.poll(timeout_s)
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error
        if message is None:
            return None
        logger.debug("%s > %s", self.name, message.hex(" "))
        fields: dict[str, Any] = id_to_func[unpack_from("<H", message)[0]](message)
        return fields

    def _checked(self, found: Mapping[str, Any]) -> Identity:
        model = _text(found["model_number"])
        version = ".".join(str(part) for part in found["firmware_version"])
        return self.known.meet(Identity("Thorlabs", model, str(found["serial_number"]), version))

    def _note_anomaly(self, what: str) -> None:
        self.anomalies += 1
        self._suspect = True
        logger.warning("%s: %s; resynchronising", self.name, what)

    def _closed(self, error: Exception) -> LinkClosed:
        self._suspect = True
        return LinkClosed(self.name, f"line lost ({error})")


def _text(value: bytes | str) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.split("\0")[0].strip()

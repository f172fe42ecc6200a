"""The Elliptec bus: several modules on one serial line.

Rules of the wire (Thorlabs ELLx modules protocol manual; elliptec, thorlabs-elliptec, pylablib)
- Host: address (one hex digit), two lower-case letters, upper-case hex; no terminator is needed.
- Device: the same address, two upper-case letters, hex, CR LF.
- Packets of all addresses arrive mixed: each is kept for the address it came from.
- BO and BS packets come unasked, when somebody presses a button of the handset.
"""

import logging
import re
from collections import deque
from typing import Any

from drivers.clock import Clock
from drivers.errors import LinkClosed
from drivers.line import WhoAreYou
from drivers.link import Link
from drivers.roles import Identity

__all__ = ["WHO", "ElliptecBus", "ElliptecLink"]

logger = logging.getLogger(__name__)

PACKET = re.compile(rb"([0-9A-F])([A-Z][A-Z0-9][^\r\n]*)")
UNASKED = (b"BO", b"BS")

# IN type(2) serial(8) year(4) firmware(2) thread and hardware(2) travel(4) pulses(8)
WHO = WhoAreYou(
    "in",
    re.compile(
        r"IN([0-9A-F]{2})(\w{8})(\d{4})([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{4})([0-9A-F]{8})"
    ),
    lambda match: Identity("Thorlabs", f"ELL{int(match[1], 16)}", match[2], match[4]),
)


class ElliptecBus:
    """One line, up to sixteen modules; each sees only its own packets."""

    terminator = b""  # a message ends where its command says

    def __init__(self, name: str, link: Link) -> None:
        self._name = name
        self._link = link
        self._mail: dict[str, deque[bytes]] = {}
        self._pressed: set[str] = set()

    @classmethod
    def configured(cls, name: str, link: Link, clock: Clock, config: Any) -> "ElliptecBus":
        """Return a bus; clock and configuration matter only to its modules."""
        return cls(name, link)

    def link(self, address: str) -> "ElliptecLink":
        """Return the link to the module with that address, 0 to F."""
        if re.fullmatch(r"[0-9A-F]", address) is None:
            raise ValueError(f"{self._name}: bus address {address!r}: expected 0 to F")
        self._mail.setdefault(address, deque())
        return ElliptecLink(self, address)

    def send(self, address: str, message: bytes) -> None:
        """Send a message to one module."""
        self._link.send(address.encode("ascii") + message)

    def poll(self, address: str, timeout_s: float) -> bytes | None:
        """Return the next packet from one module without its address; keep those of others."""
        mail = self._mail[address]
        while not mail:
            packet = self._link.poll(timeout_s)
            if packet is None:
                return None
            self._sort(packet)
        return mail.popleft()

    def reset(self, address: str) -> None:
        """Forget what came from one module; connect again if the line was lost."""
        try:
            while self.poll(address, 0.0) is not None:
                pass
        except (LinkClosed, ConnectionError, EOFError):
            self._link.reset()
        self._mail[address].clear()

    def take_button_press(self, address: str) -> bool:
        """Return whether the handset moved this module since the last time this was asked."""
        pressed = address in self._pressed
        self._pressed.discard(address)
        return pressed

    def close(self) -> None:
        """Let go of the line for every module on it; closing twice is harmless."""
        self._link.close()

    def _sort(self, packet: bytes) -> None:
        match = PACKET.fullmatch(packet)
        address = match[1].decode("ascii") if match else ""
        if match is None or address not in self._mail:
            logger.warning("%s: dropped %r", self._name, packet)
        elif match[2].startswith(UNASKED):
            logger.warning("%s: handset of module %s: %r", self._name, address, packet)
            self._pressed.add(address)
        else:
            self._mail[address].append(match[2])


class ElliptecLink:
    """The bus as one module's Link: its packets only, without the address."""

    def __init__(self, bus: ElliptecBus, address: str) -> None:
        self._bus = bus
        self._address = address

    def send(self, message: bytes) -> None:
        self._bus.send(self._address, message)

    def poll(self, timeout_s: float) -> bytes | None:
        return self._bus.poll(self._address, timeout_s)

    def reset(self) -> None:
        self._bus.reset(self._address)

    def was_moved_by_hand(self) -> bool:
        """Return whether the handset moved the module since the last time this was asked."""
        return self._bus.take_button_press(self._address)

    def close(self) -> None:
        self._bus.close()

"""Thorlabs MFF101 and MFF102: flip mount with two positions.

Never tried on hardware. From memory and not verified: that nothing is said at the end of a move.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import thorlabs_apt_protocol as apt

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings, confirmed_settings
from drivers.errors import LimitError, LinkTimeout
from drivers.registry import register
from drivers.roles import Identity, Reading, ReadingStatus, Selector, Setting
from drivers.status import Status
from drivers.thorlabs_apt import (
    CHANNEL,
    DEVICE,
    HOST,
    REQ_STATUS_BITS,
    SERIAL,
    AptClient,
    AptFraming,
)

__all__ = ["MFF101Config", "MFF101Selector"]

STATUS_BITS = 0x042A
SWITCHES = ("forward_limit_switch", "reverse_limit_switch")
ASK_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class MFF101Config:
    """What the station says about the flip mount; positions: what its two ends let through."""

    serial: str = ""
    timeout_s: float = 0.5
    positions: tuple[str, ...] = ("sample", "calibration")
    move_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if len(self.positions) != 2 or len(set(self.positions)) != 2:
            raise ValueError(f"positions {self.positions}: a flip mount has two, named differently")


@register(
    "thorlabs.mff101",
    Selector,
    config=MFF101Config,
    framing=AptFraming(),
    line=AptClient.configured,
    serial=SERIAL,
)
class MFF101Selector:
    """An MFF101 as selector (roles.Selector). The button on its housing flips it as well."""

    def __init__(self, name: str, client: AptClient, clock: Clock, config: MFF101Config) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._config = config

    @property
    def positions(self) -> tuple[str, ...]:
        """Return the names of the positions."""
        return self._config.positions

    def identify(self) -> Identity:
        """Ask who answers; MFF002 is what an MFF101 or 102 calls itself."""
        identity = self._client.identify()
        is_one = identity.model == "MFF002"
        return replace(identity, model="MFF101 (MFF002)") if is_one else identity

    def set(self, position: str) -> Status:
        """Flip; done when the mount was found at that end. Raises LimitError."""
        if position not in self.positions:
            raise LimitError(self.name, f"position {position!r}: allowed {self.positions}")
        number = self.positions.index(position) + 1
        self._client.tell(apt.mot_move_jog(DEVICE, HOST, CHANNEL, number))
        timeout_s = self._clock.patience_s(self._config.move_timeout_s)
        deadline_s = self._clock.now() + timeout_s
        next_ask_s = self._clock.now()

        def advance() -> bool:
            nonlocal next_ask_s
            now = self._clock.now()
            if now < next_ask_s:
                return False
            next_ask_s = now + ASK_INTERVAL_S
            if all(self.read_position() == position for _ in range(2)):  # one may be garbled
                return True
            if now > deadline_s:
                raise LinkTimeout(self.name, f"not at {position!r} after {timeout_s} s")
            return False

        return Status(f"{self.name} to {position}", advance)

    def stop(self) -> None:
        """Do nothing: a flip ends by itself within a second."""

    def read_position(self) -> str | None:
        """Return the name of the position, None between them."""
        bits = self._client.ask(REQ_STATUS_BITS, STATUS_BITS)
        found = [bool(bits[switch]) for switch in SWITCHES]
        return self.positions[found.index(True)] if sum(found) == 1 else None

    def read(self) -> Mapping[str, Reading]:
        """Read the number of the position, counted from 0."""
        return confirmed_readings(self.name, self._look)

    def settings(self) -> Mapping[str, Setting]:
        """Read back where it stands, which a hand may change."""
        return confirmed_settings(
            self.name, lambda: {"position": self.read_position() or "between"}
        )

    def close(self) -> None:
        """Let go of the line; nothing moves."""
        self._client.close()

    def _look(self) -> Mapping[str, Reading]:
        position, now = self.read_position(), self._clock.now()
        if position is None:
            reading = Reading(float("nan"), "", now, ReadingStatus.FAULT, "between its positions")
        else:
            reading = Reading(float(self.positions.index(position)), "", now, note=position)
        return {"position": reading}

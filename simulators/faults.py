"""What goes wrong on the line between an instrument core and its shell.

A Line passes requests to the core and replies back. Faults strike whole messages: either scripted
for the n-th message with a certain verb, or drawn at a rate. Whether the n-th message of a verb
is struck depends on seed, device, verb and n alone, so taking one fault away leaves the others
where they were.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Final

from simulators.core import InstrumentCore, Outbox

__all__ = ["Fault", "FaultKind", "FaultRate", "Faults", "FiredFault", "Line"]

ANY_VERB: Final = "*"


class FaultKind(Enum):
    """What can happen to a message, its reply, the connection or the instrument."""

    LOST_REQUEST = "lost request"
    LOST_REPLY = "lost reply"
    LATE = "late"
    DUPLICATED = "duplicated"
    GARBLED = "garbled"
    TRUNCATED = "truncated"
    SPLIT = "split"
    DISCONNECT = "disconnect"
    HALF_OPEN = "half-open"
    REBOOT = "reboot"
    WRONG_IDENTITY = "wrong identity"
    STUCK = "stuck"


ON_REPLY: Final = frozenset(
    {
        FaultKind.LOST_REPLY,
        FaultKind.LATE,
        FaultKind.DUPLICATED,
        FaultKind.GARBLED,
        FaultKind.TRUNCATED,
        FaultKind.SPLIT,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and how long it lasts.

    duration_s: delay of a late reply or of the second part of a split one, time until a broken or
    half-open line works again, time for which a stuck instrument hangs.
    position: which byte is garbled, or after how many a reply is cut; counted modulo its length.
    """

    kind: FaultKind
    duration_s: float = 1.0
    position: int = 3


@dataclass(frozen=True, slots=True)
class FiredFault:
    """A fault that really had an effect."""

    time_s: float
    device: str
    verb: str
    nth: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class FaultRate:
    """Faults at random: each message is struck with this probability."""

    seed: int
    probability: float
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    devices: tuple[str, ...] = ()  # empty: all
    duration_s: tuple[float, float] = (0.5, 2.0)

    def draw(self, device: str, verb: str, nth: int) -> Fault | None:
        if self.devices and device not in self.devices:
            return None
        key = f"{self.seed}/{device}/{verb}/{nth}".encode()
        digest = blake2b(key, digest_size=16).digest()
        chance, kind, duration, position = (
            int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)
        )
        if chance >= self.probability * 2**32:
            return None
        low_s, high_s = self.duration_s
        duration_s = low_s + (high_s - low_s) * duration / 2**32
        return Fault(self.kinds[kind % len(self.kinds)], duration_s, position)


@dataclass(slots=True)
class Faults:
    """All faults of a setup: the script, the rate, and the record of what fired."""

    rate: FaultRate | None = None
    fired: list[FiredFault] = field(default_factory=list)
    _script: dict[tuple[str, str, int], Fault] = field(default_factory=dict)

    def script(self, device: str, verb: str, nth: int, fault: Fault) -> None:
        """Let the fault strike the n-th message (from 1) that holds this verb; "*" any verb."""
        if nth < 1:
            raise ValueError(f"fault on {device} {verb}: nth {nth} must be 1 or more")
        self._script[device, verb, nth] = fault

    def count(self, kind: FaultKind, device: str | None = None) -> int:
        """Return how many faults of a kind had an effect."""
        return sum(
            fired.fault.kind is kind and device in (None, fired.device) for fired in self.fired
        )

    def not_fired(self) -> list[tuple[str, str, int]]:
        """Return the scripted (device, verb, nth) that never had an effect."""
        fired = {(each.device, each.verb, each.nth) for each in self.fired}
        return sorted(key for key in self._script if key not in fired)

    @property
    def are_possible(self) -> bool:
        return bool(self._script) or self.rate is not None

    def find(self, device: str, verb: str, nth: int) -> Fault | None:
        """Return the fault that strikes this message, if any."""
        scripted = self._script.get((device, verb, nth))
        if scripted is None and self.rate is not None and verb != ANY_VERB:
            return self.rate.draw(device, verb, nth)
        return scripted


@dataclass(frozen=True, slots=True)
class _Strike:
    """A fault about to strike the reply to a request."""

    request: bytes
    verb: str
    nth: int
    fault: Fault


class Line:
    """The line to one core: a Core itself, with faults; and it can be down."""

    def __init__(self, device: str, core: InstrumentCore, faults: Faults) -> None:
        self.device = device
        self.core = core
        self._faults = faults
        self._counts: Counter[str] = Counter()
        self._struck: list[_Strike] = []
        self._delayed = Outbox()
        self._broken_until = float("-inf")
        self._dead_until = float("-inf")

    def is_open(self, now: float) -> bool:
        """Return False while the connection is broken: shells hang up and refuse until then."""
        return now >= self._broken_until

    def receive(self, message: bytes, now: float) -> None:
        if not self._faults.are_possible:
            self.core.receive(message, now)
        elif self.is_open(now) and now >= self._dead_until:
            for request in self.core.unpack(message, now):
                self._execute(request, now)

    def transmit(self, now: float) -> list[bytes]:
        if not self._faults.are_possible:
            return self.core.transmit(now)
        for due, reply in self.core.arrivals(now):
            self._pass_on(reply, due)
        arrived = self._delayed.take(now)
        is_passing = now >= self._dead_until and self.is_open(now)
        return [reply for _, reply in arrived] if is_passing else []

    def next_due(self) -> float | None:
        times = [due for due in (self.core.next_due(), self._delayed.next_due()) if due is not None]
        return min(times, default=None)

    def hang_up(self) -> None:
        """Tell the instrument that the client is gone."""
        self.core.hang_up()
        self._struck.clear()
        self._delayed.clear()

    def _execute(self, request: bytes, now: float) -> None:
        strike = self._strike(request)
        if strike is None:
            self.core.execute(request, now)
        elif strike.fault.kind in ON_REPLY:
            if self.core.execute(request, now):
                self._struck.append(strike)
        else:
            self._strike_now(strike, now)

    def _strike_now(self, strike: _Strike, now: float) -> None:
        """Strike connection or instrument; only a wrong or a stuck unit still gets the request."""
        fault = strike.fault
        self._note(strike, now)
        match fault.kind:
            case FaultKind.DISCONNECT:
                self._broken_until = now + fault.duration_s
                self._struck.clear()
                self._delayed.clear()
            case FaultKind.HALF_OPEN:
                self._dead_until = now + fault.duration_s
            case FaultKind.REBOOT:
                self.core.power_cycle(now)
            case FaultKind.WRONG_IDENTITY:
                self.core.impersonate()
                self.core.execute(strike.request, now)
            case FaultKind.STUCK:
                self.core.execute(strike.request, now)
                self.core.stall(now, fault.duration_s)
            case _:  # the request is lost
                pass

    def _strike(self, request: bytes) -> _Strike | None:
        found: _Strike | None = None
        for verb in dict.fromkeys((*self.core.verbs(request), ANY_VERB)):
            self._counts[verb] += 1
            nth = self._counts[verb]
            fault = self._faults.find(self.device, verb, nth)
            if fault is not None and found is None:
                found = _Strike(request, verb, nth, fault)
        return found

    def _pass_on(self, reply: bytes, due: float) -> None:
        for strike in self._struck:
            if self.core.answers(strike.request, reply):
                self._struck.remove(strike)
                self._note(strike, due)
                for delay_s, part in _damaged(reply, strike.fault):
                    self._delayed.post(due + delay_s, part)
                return
        self._delayed.post(due, reply)

    def _note(self, strike: _Strike, now: float) -> None:
        self._faults.fired.append(
            FiredFault(now, self.device, strike.verb, strike.nth, strike.fault)
        )


def _damaged(reply: bytes, fault: Fault) -> Sequence[tuple[float, bytes]]:
    """Return what arrives instead of a reply: (delay in s, bytes) each."""
    body = max(len(reply.rstrip(b"\r\n")), 1)
    place = fault.position % body
    match fault.kind:
        case FaultKind.LOST_REPLY:
            return []
        case FaultKind.LATE:
            return [(fault.duration_s, reply)]
        case FaultKind.DUPLICATED:
            return [(0.0, reply), (0.0, reply)]
        case FaultKind.GARBLED:
            return [(0.0, reply[:place] + bytes((reply[place] ^ 0x05,)) + reply[place + 1 :])]
        case FaultKind.TRUNCATED:
            return [(0.0, reply[: max(place, 1)])]
        case _:  # split
            return [(0.0, reply[: max(place, 1)]), (fault.duration_s, reply[max(place, 1) :])]

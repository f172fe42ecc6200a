"""One instrument's end of a link: questions, answers, and what to do when they don't match.

Rules (a link is never used again after an anomaly without resynchronising):
- the instrument's pacing is kept after every message and after every reply;
- a reply that is already there before a question was asked belongs to nobody: resynchronise;
- a reply must match completely what the question allows, else it counts as garbled;
- to resynchronise is to drain the line until it stays silent and then to identify the instrument;
- a question is asked again at most three times, each after a resynchronisation. A command never.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from drivers.clock import Clock
from drivers.errors import LinkClosed, LinkError, LinkTimeout, ReplyError
from drivers.known_identity import KnownIdentity
from drivers.link import Link
from drivers.roles import Identity

__all__ = ["ANYTHING", "IEEE_488_2", "RETRIES", "Line", "LineConfig", "WhoAreYou"]

logger = logging.getLogger(__name__)

ANYTHING = re.compile(r".+", re.DOTALL)
RETRIES = 3
MAX_DRAINED = 100  # replies; an instrument that says more unasked never falls silent


@dataclass(frozen=True, slots=True)
class WhoAreYou:
    """How an instrument is asked for its name, and how it answers."""

    question: str
    reply: re.Pattern[str]
    identity: Callable[[re.Match[str]], Identity]


IEEE_488_2 = WhoAreYou(
    "*IDN?",
    re.compile(r"([A-Za-z][^,]*),([^,]*),([^,]*),([^,]*)"),
    lambda match: Identity(*(field.strip() for field in match.groups())),
)


class LineConfig(Protocol):
    """What the line needs to know from an instrument's configuration."""

    @property
    def serial(self) -> str: ...
    @property
    def pacing_s(self) -> float: ...
    @property
    def timeout_s(self) -> float: ...


class Line:
    """Talk to one instrument over a link.

    `name` is the device in every error. No single wait for a reply is longer than timeout_s; only
    resynchronising, after something went wrong, waits for silence as well.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        clock: Clock,
        *,
        pacing_s: float = 0.0,
        timeout_s: float = 0.5,
        serial: str = "",
        terminator: bytes = b"\n",
        who: WhoAreYou = IEEE_488_2,
    ) -> None:
        if not 0 < timeout_s <= 0.5:
            raise ValueError(f"{name}: timeout {timeout_s} s must be above 0 and at most 0.5 s")
        self.name = name
        self.timeout_s = timeout_s
        self.anomalies = 0  # timeouts, garbled and unasked replies so far
        self._link = link
        self._clock = clock
        self._pacing_s = pacing_s
        self._free_at_s = clock.now()
        self.terminator = terminator
        self._who = who
        self.known = KnownIdentity(name, serial)
        self._suspect = False
        self._question = ""

    @classmethod
    def configured(
        cls, name: str, link: Link, clock: Clock, config: LineConfig, **protocol: Any
    ) -> "Line":
        """Return a line with the pacing, timeout and expected serial number of a configuration.

        protocol: terminator and who.
        """
        return cls(
            name,
            link,
            clock,
            pacing_s=config.pacing_s,
            timeout_s=config.timeout_s,
            serial=config.serial,
            **protocol,
        )

    def tell(self, message: str) -> None:
        """Send a command that has no reply."""
        self._make_ready()
        self.send(message.encode("latin-1") + self.terminator)

    def start(self, message: str) -> None:
        """Send a question, or a command whose reply means done; `poll` or `finish` follows."""
        self.tell(message)
        self._question = message

    def poll(self, timeout_s: float = 0.0) -> str | None:
        """Return the next reply, or None if none came in time."""
        reply = self.receive(timeout_s)
        return None if reply is None else reply.decode("latin-1").strip()

    def finish(self, reply: re.Pattern[str] = ANYTHING, retries: int = RETRIES) -> str:
        """Return the reply to the question started last, asked again if it failed.

        Raises LinkTimeout or ReplyError when all retries failed too.
        """
        for left in range(retries, -1, -1):
            try:
                return self._await(reply)
            except (LinkTimeout, ReplyError) as error:
                self._note_anomaly(str(error))
                if left == 0:
                    raise
            self.start(self._question)
        raise AssertionError("unreachable")

    def ask(self, question: str, reply: re.Pattern[str] = ANYTHING, retries: int = RETRIES) -> str:
        """Return the reply to a question, stripped; it matches `reply` from end to end.

        Raises LinkClosed, LinkTimeout or ReplyError. Set retries to 0 for what may not be asked
        twice.
        """
        self.start(question)
        return self.finish(reply, retries)

    def ask_both(self, question: str, reply: re.Pattern[str]) -> tuple[str, str]:
        """Return the two replies to a question that is put twice in one message, joined by ";".

        For instruments that take several questions at once, on lines without a checksum. Raises
        as `ask` does.
        """
        fields = self.ask(f"{question};{question}", _twice(reply)).split(";")
        half = len(fields) // 2
        return ";".join(fields[:half]), ";".join(fields[half:])

    def ask_twice(self, question: str, reply: re.Pattern[str]) -> str:
        """Return the reply to a question that was answered alike twice in one message."""
        both = self.ask(f"{question};{question}", _alike(reply))
        return both[: len(both) // 2]

    def identify(self) -> Identity:
        """Ask who answers. Raises StateError if it is not the instrument that was here before."""
        return self._checked_identity(self.ask(self._who.question, self._who.reply))

    def resync(self) -> None:
        """Throw away what was received, reconnect if need be, and hear the instrument's name."""
        self._suspect = True
        self.reset()
        self._drain()
        self.send(self._who.question.encode("latin-1") + self.terminator)
        self._checked_identity(self._first_identity())
        self._suspect = False

    def send(self, message: bytes) -> None:
        """Send bytes as they are, when the instrument's pacing allows. Raises LinkClosed."""
        if self._pacing_s:
            self._clock.wait(self._free_at_s - self._clock.now())
        logger.debug("%s < %r", self.name, message)
        try:
            self._link.send(message)
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error
        if self._pacing_s:
            self._free_at_s = self._clock.now() + self._pacing_s

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next reply as it is, or None if none came in time. Raises LinkClosed."""
        try:
            reply = self._link.poll(timeout_s)
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error
        if reply is not None:
            logger.debug("%s > %r", self.name, reply[:300])
            if self._pacing_s:
                self._free_at_s = self._clock.now() + self._pacing_s
        return reply

    def reset(self) -> None:
        """Forget what was received and connect again if the line was lost. Raises LinkClosed."""
        try:
            self._link.reset()
        except (LinkError, ConnectionError, EOFError) as error:
            raise self._closed(error) from error

    def close(self) -> None:
        """Let go of the line."""
        self._link.close()

    def _make_ready(self) -> None:
        if not self._suspect:
            leftover = self.receive(0.0)
            if leftover is None:
                return
            self._note_anomaly(f"reply {leftover!r} came unasked")
        self.resync()

    def _await(self, expected: re.Pattern[str]) -> str:
        reply = self.poll(self.timeout_s)
        if reply is None:
            raise LinkTimeout(self.name, f"no reply to {self._question!r} in {self.timeout_s} s")
        if expected.fullmatch(reply) is None:
            raise ReplyError(
                self.name, f"{self._question!r} was answered {reply!r}, not {expected.pattern!r}"
            )
        return reply

    def _drain(self) -> None:
        # A reply, or the rest of one, may come up to four timeouts after its question, of which one
        # has passed; later, the rest of one may look like the whole answer to the next question
        for _ in range(MAX_DRAINED):
            if self.receive(3 * self.timeout_s) is None:
                return
        raise ReplyError(self.name, f"still talking after {MAX_DRAINED} unasked replies")

    def _first_identity(self) -> str:
        for _ in range(MAX_DRAINED):
            reply = self.poll(self.timeout_s)
            if reply is None:
                break
            if self._who.reply.fullmatch(reply):
                return reply
        raise LinkTimeout(self.name, f"no identity in {self.timeout_s} s")

    def _checked_identity(self, reply: str) -> Identity:
        match = self._who.reply.fullmatch(reply)
        assert match is not None  # noqa: S101 - only matching replies come here
        return self.known.meet(self._who.identity(match))

    def _note_anomaly(self, what: str) -> None:
        self.anomalies += 1
        self._suspect = True
        logger.warning("%s: %s; resynchronising", self.name, what)

    def _closed(self, error: Exception) -> LinkClosed:
        self._suspect = True
        return LinkClosed(self.name, f"line lost ({error})")


@cache
def _twice(reply: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"(?:{reply.pattern});(?:{reply.pattern})", reply.flags)


@cache
def _alike(reply: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"(?P<once>{reply.pattern});(?P=once)", reply.flags)

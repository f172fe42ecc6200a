"""HORIBA's ICL server: JSON over a websocket, one connection for all its instruments.

Rules of the wire (ICL API manual 2.1; the vendor's SDKs)
- {"id", "command", "parameters"} is answered {"id", "command", "results", "errors"}; the id is
  given back, so that a reply that comes late is told from the one that is awaited. The vendor's own
  client takes replies as they come: one timeout there shifts every later reply by one.
- An error is "[E];code;text".
- Binary frames (logs) are sent unless switched off for this connection; we never want them.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf, isfinite
from typing import Any

import numpy as np

from drivers.clock import Clock
from drivers.errors import InstrumentError, LinkClosed, LinkTimeout, ReplyError
from drivers.known_identity import KnownIdentity
from drivers.line import RETRIES, Line
from drivers.link import Link
from drivers.roles import Identity

__all__ = ["IclClient", "IclError", "IclModule"]

logger = logging.getLogger(__name__)

NOT_OPEN = {-305, -506}
NOT_LISTED = {-306, -307, -507, -508}  # before a search, or a wrong index
SLOW_REPLY_S = 5.0  # of the few commands that search for or restart hardware
ERROR = re.compile(r"\[E\];\s*([+-]?\d+)\s*;(.*)", re.DOTALL)


class IclError(InstrumentError):
    """ICL reported an error; code is its own, 0 if it has none."""

    def __init__(self, device: str, command: str, errors: list[str]) -> None:
        super().__init__(device, f"{command}: {'; '.join(errors)}")
        match = ERROR.fullmatch(errors[0])
        self.code = int(match[1]) if match else 0


class IclClient:
    """One connection to the server; requests are matched with their replies by id."""

    terminator = b""  # a frame is a message

    def __init__(self, name: str, link: Link, clock: Clock, timeout_s: float = 0.5) -> None:
        self.timeout_s = timeout_s
        self.dropped = 0  # late replies and frames that are none
        self.doubts = 0  # how often the line was lost or a reply missing: who is there now?
        self._line = Line(name, link, clock, timeout_s=timeout_s)
        self._last_id = 0
        self._awaited: set[int] = set()
        self._replies: dict[int, dict[str, Any]] = {}
        self._in_session = False
        self._clock = clock
        self._answers: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}  # when each came

    @classmethod
    def configured(cls, name: str, link: Link, clock: Clock, config: Any) -> "IclClient":
        """Return a client with the timeout of a configuration."""
        return cls(name, link, clock, config.timeout_s)

    def start(self, command: str, parameters: Mapping[str, Any]) -> int:
        """Send a request and return its id; `result` follows. Raises LinkClosed."""
        if not self._in_session:
            self._begin_session()
        request = self._send(command, parameters)
        self._awaited.add(request)
        return request

    def result(self, request: int, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """Return the reply to a request, or None if it did not come in time."""
        while request not in self._replies:
            message = self._receive(timeout_s)
            if message is None:
                return None
            self._sort(message)
        self._awaited.discard(request)
        return self._replies.pop(request)

    def forget(self, request: int) -> None:
        """Drop the reply to a request whenever it comes; that it did not come is suspicious."""
        self.doubts += 1
        self._awaited.discard(request)
        self._replies.pop(request, None)

    def remember(self, module: str, question: str, results: dict[str, Any]) -> None:
        """Keep an answer for whoever else would ask the same soon."""
        self._answers[module, question] = self._clock.now(), results

    def recall(self, module: str, question: str, age_s: float) -> dict[str, Any] | None:
        """Return an answer that is no older, None if there is none."""
        given_s, results = self._answers.get((module, question), (-inf, {}))
        return results if self._clock.now() - given_s <= age_s else None

    def outdate(self, module: str) -> None:
        """Forget the answers of an instrument: an order may change any of them."""
        for key in [key for key in self._answers if key[0] == module]:
            del self._answers[key]

    def close(self) -> None:
        """Let go of the connection; the instruments stay as they are."""
        self._line.close()

    def _begin_session(self) -> None:
        self._line.reset()
        self._awaited.clear()
        self._replies.clear()
        self._answers.clear()
        self._in_session = True
        self._send("icl_binMode", {"mode": "none"})

    def _send(self, command: str, parameters: Mapping[str, Any]) -> int:
        self._last_id += 1
        request = {"id": self._last_id, "command": command, "parameters": parameters}
        try:
            self._line.send(json.dumps(request).encode())
        except LinkClosed:
            self._in_session = False
            self.doubts += 1
            raise
        return self._last_id

    def _receive(self, timeout_s: float) -> bytes | None:
        try:
            return self._line.receive(timeout_s)
        except LinkClosed:
            self._in_session = False
            self.doubts += 1
            raise

    def _sort(self, message: bytes) -> None:
        try:
            reply = json.loads(message, object_hook=_as_arrays)
            number = reply["id"]
        except (ValueError, KeyError, TypeError):
            self._drop(message, "not a reply")
            return
        if number in self._awaited:
            self._replies[number] = reply
        elif reply.get("command") != "icl_binMode":
            self._drop(message, "nobody waits for it")

    def _drop(self, message: bytes, reason: str) -> None:
        self.dropped += 1
        logger.warning("%s: dropped %r: %s", self._line.name, message[:100], reason)


class _Results(dict[str, Any]):
    """Results of a command; what is missing was garbled on its way."""

    def __init__(self, name: str, command: str, results: Mapping[str, Any]) -> None:
        super().__init__(results)
        self._name = name
        self._command = command

    def __missing__(self, key: str) -> Any:
        raise ReplyError(self._name, f"{self._command} was answered {dict(self)}, without {key!r}")


class IclModule:
    """One instrument behind the server: its commands begin with `prefix`, it has an index."""

    def __init__(self, name: str, client: IclClient, prefix: str, index: int, serial: str) -> None:
        self.name = name
        self.client = client
        self._prefix = prefix
        self._index = index
        self._key = f"{prefix} {index}"
        self._known = KnownIdentity(name, serial)
        self._trusted = -1  # at how many doubts of the client it was identified last
        self.openings = 0  # how often it had to be opened: each time it may have restarted

    def ask(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Return the results of a command of this instrument, opening it if it is not open.

        What only asks (get..., is...) is asked again up to three times; a command never.
        Raises LinkClosed, LinkTimeout, IclError.
        """
        self._make_sure()
        is_question = command.startswith(("get", "is"))
        if not is_question:
            self.client.outdate(self._key)
        tries = 1 + (RETRIES if is_question else 0)
        results = self._ask_open(command, parameters, self.client.timeout_s, tries)
        if is_question and not parameters:
            self.client.remember(self._key, command, results)
        return results

    def ask_unless_known(self, command: str, age_s: float) -> dict[str, Any]:
        """Return what anybody was answered lately on this connection, or ask.

        No answer outlives an order to the instrument.
        """
        known = self.client.recall(self._key, command, age_s)
        return self.ask(command) if known is None else known

    def number(self, question: str, key: str) -> float:
        """Return one number of the results of a question. Raises ReplyError for anything else."""
        found = self.ask(question)[key]
        with self.understood(question):
            number = float(found)
            if not isfinite(number):
                raise ValueError(f"{key} is {found!r}")
        return number

    @contextmanager
    def understood(self, command: str) -> Iterator[None]:
        """Raise ReplyError where what a command was answered makes no sense."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise ReplyError(
                self.name, f"{self._prefix}_{command} was answered nonsense: {error!r}"
            ) from error

    def ask_as_it_is(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Return the results of a command that is refused where the server forgot the instrument,
        which then has forgotten its settings as well."""
        self._make_sure()
        return self._ask(command, parameters, self.client.timeout_s, 1)

    def ask_slowly(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Return the results of a command that takes seconds to reply."""
        self._make_sure()
        self.client.outdate(self._key)
        return self._ask_open(command, parameters, SLOW_REPLY_S, 1)

    def start(self, command: str, **parameters: Any) -> int:
        """Send a command and return its id; `poll` follows."""
        return self.client.start(f"{self._prefix}_{command}", {"index": self._index, **parameters})

    def poll(self, request: int, command: str) -> dict[str, Any] | None:
        """Return the results of a started command, None if they have not come."""
        reply = self.client.result(request)
        return None if reply is None else self._results(command, reply)

    def identify(self) -> Identity:
        """Return what the server's list says about this instrument, after a search if need be."""
        entry = self._entry()
        if entry is None:
            self._ask("discover", {}, SLOW_REPLY_S, 1)
            entry = self._entry()
        if entry is None:
            raise InstrumentError(
                self.name, f"ICL lists no {self._prefix} with index {self._index}"
            )
        serial = str(entry.get("serialNumber", "")).rpartition(":")[2].strip()
        kind = str(entry.get("deviceType", "")).strip()
        identity = self._known.meet(Identity("HORIBA", kind, serial, ""))
        self._trusted = self.client.doubts
        return identity

    def _make_sure(self) -> None:
        """Identify it again after anything odd on the line, as every line does."""
        if self._known.is_known and self._trusted != self.client.doubts:
            self.identify()

    def _entry(self) -> dict[str, Any] | None:
        devices = self._ask("list", {}, self.client.timeout_s, 1 + RETRIES).get("devices", [])
        with self.understood("list"):
            return next((entry for entry in devices if int(entry["index"]) == self._index), None)

    def _ask_open(
        self, command: str, parameters: Mapping[str, Any], patience_s: float, tries: int
    ) -> dict[str, Any]:
        """Ask; where the server forgot the instrument, search and open it and ask again.

        Neither changes anything on the instrument, and a command that was refused did nothing.
        """
        for remedy, codes in (("discover", NOT_LISTED), ("open", NOT_OPEN)):
            try:
                return self._ask(command, parameters, patience_s, tries)
            except IclError as error:
                if error.code not in NOT_LISTED | NOT_OPEN:
                    raise
                if error.code in codes:
                    logger.info("%s: %s in ICL", self.name, remedy)
                    self.openings += 1
                    self._ask(remedy, {}, SLOW_REPLY_S, 1)
        return self._ask(command, parameters, patience_s, tries)

    def _ask(
        self, command: str, parameters: Mapping[str, Any], patience_s: float, tries: int
    ) -> dict[str, Any]:
        for _ in range(tries):
            request = self.start(command, **parameters)
            reply = self._await(request, patience_s)
            if reply is not None:
                return self._results(command, reply)
            self.client.forget(request)
        raise LinkTimeout(
            self.name,
            f"no reply to {self._prefix}_{command} in {tries} x {patience_s} s",
        )

    def _await(self, request: int, patience_s: float) -> dict[str, Any] | None:
        for _ in range(max(1, round(patience_s / self.client.timeout_s))):
            reply = self.client.result(request, self.client.timeout_s)
            if reply is not None:
                return reply
        return None

    def _results(self, command: str, reply: Mapping[str, Any]) -> dict[str, Any]:
        with self.understood(command):
            errors = [str(error) for error in reply.get("errors") or []]
            results = dict(reply.get("results") or {})
        if errors:
            raise IclError(self.name, f"{self._prefix}_{command}", errors)
        return _Results(self.name, f"{self._prefix}_{command}", results)


def _as_arrays(entry: dict[str, Any]) -> dict[str, Any]:
    """Turn the pixels of a region into arrays at once: ten million lists would fill the memory."""
    for key in ("xyData", "xData", "yData"):
        if key in entry:
            entry[key] = np.asarray(entry[key])
    return entry

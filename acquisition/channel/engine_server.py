"""The engine's end of the channel: publishes to whoever watches, and takes what they ask.

A thread of its own waits for the sockets and does what is slow. What a run tells of a row goes out
in the engine's thread, as far as the sockets take it at once: that costs less than to wake another
thread, and the row is seen earlier. No call ever waits. A watcher that reads slowly, or not at all,
gets the latest snapshot, axis and frame of each source once it reads again; history it finds in the
journal.

One watcher is in command: the first that asks for something, or that takes command when it is
free. It is free again when that watcher leaves or has not read for 5 s.
"""

import logging
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.channel import (
    GREETING_BYTES,
    LOOPBACK,
    ChannelAbused,
    ChannelClosed,
    Packet,
    Peer,
    Unpacker,
    listen,
    name_in_greeting,
    new_token,
    pack,
)
from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.messages import (
    Answer,
    Axis,
    FrameArrived,
    FrameSource,
    Hello,
    Message,
    MessageError,
    Mode,
    Request,
    Said,
    Snapshot,
    Verb,
    decode_request,
    encode,
)
from drivers.clock import RealClock

__all__ = ["FOR_EVERYBODY", "EngineServer"]

logger = logging.getLogger(__name__)

FOR_EVERYBODY = frozenset({Verb.STOP_AFTER_POINT, Verb.STOP_NOW, Verb.STOP_MOVES, Verb.LIVE_STOP})
"""What anybody who watches may ask: it makes nothing move."""
SNAPSHOT_S = 0.1
EARLY_S = 0.03  # by which it may go out with something else
RUN_SNAPSHOT_S = 0.1  # of a run, with its rows: one costs a fortieth of a row
RUN_ALONE_S = 0.4  # of a run that says nothing
AT_ONCE_BYTES = 1 << 16  # of counts; more goes out in the server's thread
GREETING_S = 5.0
MOST_STRANGERS = 16  # whose greeting is still awaited
STUCK_S = 5.0  # without reading, after which a commander counts as gone
FAREWELL_S = 0.5
REQUEST_BYTES = 1 << 20  # a sweep file travels in it


_Posted = tuple[str, Message, NDArray[np.generic] | None]


@dataclass(slots=True)
class _Watcher:
    peer: Peer
    since_s: float
    name: str = ""  # empty until its greeting was right
    behind_since_s: float | None = None
    wants_write: bool = False


class EngineServer:
    """Listens on this machine only; `address` says where and with which token.

    hello, snapshot: called in the server's thread, snapshot also in one that publishes. take: a
    watcher's name and what it asks, called in the server's; it must not wait, and whoever carries
    the request out calls `answer`.
    Raises OSError if no port can be opened.
    """

    def __init__(
        self,
        *,
        station: str,
        station_path: str,
        run_folder: str = "",
        hello: Callable[[], Hello],
        snapshot: Callable[[], Snapshot],
        take: Callable[[str, Request], None],
    ) -> None:
        self._clock = RealClock()
        self._listener = listen()
        self.address = EngineAddress(
            host=LOOPBACK,
            port=self._listener.getsockname()[1],
            token=new_token(),
            pid=os.getpid(),
            station=station,
            station_path=station_path,
            run_folder=run_folder,
            started_utc=self._clock.utc(),
        )
        self._hello = hello
        self._snapshot = snapshot
        self._take = take
        self._posted: deque[_Posted] = deque()
        self._at_work = Lock()  # whoever holds it hands out what was posted
        self._watchers: list[_Watcher] = []
        self._leaving: list[_Watcher] = []  # to be dismissed by the server's thread
        self._joined = 0
        self._commander: _Watcher | None = None
        self._axis: bytes = b""  # the latest, for those who come later
        self._snapshot_due_s = 0.0  # from when on it goes out with something else
        self._snapshot_owed_s = 0.0  # by when it goes out by itself
        self._is_rung = False
        self._is_closing = False
        self._has_complained = False
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = Thread(target=self._serve, name="engine server", daemon=True)
        self._thread.start()

    @property
    def watchers(self) -> int:
        """Return how many watch; callable from any thread."""
        return sum(bool(watcher.name) for watcher in tuple(self._watchers))

    @property
    def commander(self) -> str:
        """Return who is in command, "" for nobody; callable from any thread."""
        commander = self._commander
        return "" if commander is None or self._is_stuck(commander) else commander.name

    def publish(self, message: Message, values: NDArray[np.generic] | None = None) -> None:
        """Send to everybody; never waits. Callable from any thread.

        values: counts or wavelengths behind the message; they must not change any more. What is
        not urgent goes out with the next that is, or the next snapshot.
        """
        if not (isinstance(message, Axis) or self._watchers):
            return
        self._posted.append(("", message, values))
        if isinstance(message, FrameArrived):
            is_row = message.source is FrameSource.POINT
            if is_row and (values is None or values.nbytes <= AT_ONCE_BYTES):
                self._send_at_once()
            else:
                self._ring()
        elif isinstance(message, Said):
            self._ring()

    def greet_again(self) -> None:
        """Send everybody a new hello: what can be moved has changed. Callable from any thread."""
        self._post("", self._hello(), None)

    def answer(self, watcher: str, request: int, ok: bool, text: str = "") -> None:
        """Tell one watcher what became of its request. Callable from any thread."""
        self._post(watcher, Answer(request, ok, text), None)

    def close(self) -> None:
        """Say what is still to be said, for half a second at most, and let everybody go."""
        self._is_closing = True
        self._ring()
        self._thread.join()

    def _post(self, to: str, message: Message, values: NDArray[np.generic] | None) -> None:
        self._posted.append((to, message, values))
        self._ring()

    def _ring(self) -> None:
        if not self._is_rung:
            self._is_rung = True
            with suppress(OSError):  # nobody is there any more
                self._bell.send(b"!")

    # -- the server's thread -----------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._is_closing:
                self._turn(self._patience_s())
            self._say_farewell()
        finally:
            for watcher in self._watchers:
                watcher.peer.close()
            for end in (self._listener, self._bell, self._ear):
                end.close()
            self._selector.close()

    def _patience_s(self) -> float | None:
        if self.watchers:
            return max(0.0, self._snapshot_owed_s - self._clock.now())
        return GREETING_S if self._watchers else None

    def _turn(self, timeout_s: float | None) -> None:
        events = self._selector.select(timeout_s)
        with self._at_work:
            for key, event in events:
                if key.fileobj is self._listener:
                    self._welcome()
                elif key.fileobj is self._ear:
                    self._ear.recv(1 << 10)
                    self._is_rung = False  # before the queue is looked at: nothing is left in it
                elif event & selectors.EVENT_READ:
                    self._guarded(key.data, self._listen_to)
            self._hand_out()
            for watcher in tuple(self._watchers):
                self._guarded(watcher, self._send_to)
            self._dismiss_leaving()

    def _hand_out(self) -> None:
        """Put what was posted into the outboxes, and a snapshot if it is time for one."""
        is_news = bool(self._posted)
        self._distribute()
        now = self._clock.now()
        if self.watchers and now >= (self._snapshot_due_s if is_news else self._snapshot_owed_s):
            self._put_snapshot(now)

    def _send_at_once(self) -> None:
        """Send in the caller's thread, unless the server's is at work: then that one sends it."""
        if not self._at_work.acquire(blocking=False):
            self._ring()
            return
        try:
            self._hand_out()
            prompt = [one for one in self._watchers if one.name and not one.wants_write]
            for watcher in prompt:
                with suppress(ChannelClosed):  # the server's thread finds that too
                    watcher.peer.send()
            is_left = bool(self._leaving) or any(one.peer.is_behind for one in prompt)
        finally:
            self._at_work.release()
        if is_left:
            self._ring()

    def _welcome(self) -> None:
        try:
            connection, _ = self._listener.accept()
            peer = Peer(connection, Unpacker(GREETING_BYTES, 0))
        except OSError as error:  # it has left already, or no descriptor is free
            logger.warning("a watcher could not be taken: %s", error)
            return
        strangers = [watcher for watcher in self._watchers if not watcher.name]
        watcher = _Watcher(peer, self._clock.now())
        self._watchers.append(watcher)
        self._selector.register(watcher.peer, selectors.EVENT_READ, watcher)
        if len(strangers) >= MOST_STRANGERS:
            logger.warning("a stranger is sent away: %d others want to be let in", MOST_STRANGERS)
            self._part_with(strangers[0])

    def _guarded(self, watcher: _Watcher, action: Callable[[_Watcher], None]) -> None:
        """Do something with a watcher; whatever goes wrong with it ends it alone."""
        if watcher in self._leaving:
            return
        try:
            action(watcher)
        except (ChannelAbused, MessageError) as why:
            logger.warning("%s is not served any more: %s", watcher.name or "a stranger", why)
            self._part_with(watcher)
        except ChannelClosed as end:
            if watcher.name:  # a stranger has only looked whether anybody is here
                logger.info("%s has left: %s", watcher.name, end)
            self._part_with(watcher)

    def _listen_to(self, watcher: _Watcher) -> None:
        for packet in watcher.peer.receive():
            if watcher.name:
                self._hear(watcher, decode_request(packet.document))
            else:
                self._let_in(watcher, packet)

    def _let_in(self, watcher: _Watcher, packet: Packet) -> None:
        name = name_in_greeting(packet, self.address.token)
        unpacker = watcher.peer.unpacker
        unpacker.document_bytes, unpacker.body_bytes = REQUEST_BYTES, 0
        self._joined += 1
        watcher.name = f"{name} {self._joined}"
        hello = replace(self._hello(), watcher=watcher.name)
        watcher.peer.outbox.put(pack(encode(hello)), is_kept=True)
        if self._axis:
            watcher.peer.outbox.put(self._axis, slot="axis")
        self._snapshot_owed_s = 0.0
        logger.info("%s watches", watcher.name)

    def _hear(self, watcher: _Watcher, request: Request) -> None:
        if (refusal := self._refusal(watcher, request.verb)) is not None:
            self._reply(watcher, request, not refusal, refusal)
            return
        try:
            self._take(watcher.name, request)
        except Exception as error:  # a request never ends the server
            logger.exception("%s of %s", request.verb.value, watcher.name)
            self._reply(watcher, request, False, f"{type(error).__name__}: {error}")

    def _refusal(self, watcher: _Watcher, verb: Verb) -> str | None:
        """Return why a request is not passed on; "" if there is nothing more to do, None if it is.

        Command goes to whoever asks first for what only a commander may do.
        """
        if verb is Verb.RELEASE_COMMAND:
            if watcher is not self._commander:
                return f"{self.commander or 'nobody'} is in command"
            self._commander = None
            return ""
        if verb in FOR_EVERYBODY:
            return None
        if self.commander in ("", watcher.name):
            self._commander = watcher
            return "" if verb is Verb.TAKE_COMMAND else None
        return (
            f"{verb.value}: {self.commander} is in command; whoever watches may stop, and take "
            "command once it is released"
        )

    def _reply(self, watcher: _Watcher, request: Request, ok: bool, text: str) -> None:
        watcher.peer.outbox.put(pack(encode(Answer(request.number, ok, text))), is_kept=True)

    def _distribute(self) -> None:
        for to, message, values in self._newest():
            if isinstance(message, Hello):
                self._greet_all(message)
                continue
            body = b"" if values is None else values.tobytes()
            packet = pack(encode(message), body)
            if isinstance(message, Axis):
                self._axis = packet
            if isinstance(message, Said):  # what happened shows in the state
                self._snapshot_due_s = self._snapshot_owed_s = 0.0
            for watcher in tuple(self._watchers):
                if watcher.name and to in ("", watcher.name):
                    self._put(watcher, message, packet)

    def _newest(self) -> list[_Posted]:
        """Take what was posted, without what is out of date already."""
        newest: dict[str | int, _Posted] = {}
        number = 0
        while self._posted:
            posted = self._posted.popleft()
            number += 1
            key = _slot(posted[1]) or number
            newest.pop(key, None)
            newest[key] = posted
        return list(newest.values())

    def _greet_all(self, hello: Hello) -> None:
        for watcher in tuple(self._watchers):
            if watcher.name:
                own = replace(hello, watcher=watcher.name)
                self._put(watcher, own, pack(encode(own)))

    def _put(self, watcher: _Watcher, message: Message, packet: bytes) -> None:
        def put(to: _Watcher) -> None:
            is_kept = isinstance(message, Answer | Hello)
            to.peer.outbox.put(packet, slot=_slot(message), is_kept=is_kept)

        self._guarded(watcher, put)

    def _put_snapshot(self, now: float) -> None:
        self._snapshot_due_s, self._snapshot_owed_s = now + SNAPSHOT_S - EARLY_S, now + SNAPSHOT_S
        try:
            snapshot = self._snapshot()
        except Exception:  # who watches misses something, nobody else
            if not self._has_complained:
                logger.exception("no snapshot for the watchers")
            self._has_complained = True
            return
        snapshot = replace(snapshot, commander=self.commander, watchers=self.watchers)
        packet = pack(encode(snapshot))
        for watcher in tuple(self._watchers):
            if watcher.name:
                self._put(watcher, snapshot, packet)
        if snapshot.mode is Mode.RUNNING:
            self._snapshot_due_s = now + RUN_SNAPSHOT_S - EARLY_S
            self._snapshot_owed_s = now + RUN_ALONE_S

    def _send_to(self, watcher: _Watcher) -> None:
        now = self._clock.now()
        if not watcher.name and now - watcher.since_s > GREETING_S:
            raise ChannelAbused(f"no greeting within {GREETING_S:g} s")
        if watcher.peer.send() or not watcher.peer.is_behind:
            watcher.behind_since_s = None
        if watcher.peer.is_behind and watcher.behind_since_s is None:
            watcher.behind_since_s = now
        if watcher.wants_write is not watcher.peer.is_behind:
            watcher.wants_write = watcher.peer.is_behind
            write = selectors.EVENT_WRITE if watcher.wants_write else 0
            self._selector.modify(watcher.peer, selectors.EVENT_READ | write, watcher)

    def _is_stuck(self, watcher: _Watcher) -> bool:
        since_s = watcher.behind_since_s
        return since_s is not None and self._clock.now() - since_s > STUCK_S

    def _part_with(self, watcher: _Watcher) -> None:
        """Serve a watcher no more; its socket is the server's thread's to close."""
        if watcher not in self._leaving:
            self._leaving.append(watcher)

    def _dismiss_leaving(self) -> None:
        while self._leaving:
            watcher = self._leaving.pop()
            self._selector.unregister(watcher.peer)
            watcher.peer.close()
            self._watchers.remove(watcher)
            if watcher is self._commander:
                self._commander = None

    def _say_farewell(self) -> None:
        end_s = self._clock.now() + FAREWELL_S
        with self._at_work:
            if self.watchers:
                self._distribute()
                self._put_snapshot(self._clock.now())
            while (left_s := end_s - self._clock.now()) > 0:
                for watcher in tuple(self._watchers):
                    self._guarded(watcher, self._send_to)
                self._dismiss_leaving()
                if not any(watcher.peer.is_behind for watcher in self._watchers):
                    return
                self._selector.select(left_s)


def _slot(message: Message) -> str:
    """Return the slot in which only the latest message counts; "" for history."""
    if isinstance(message, FrameArrived):
        is_place = message.source is FrameSource.RASTER  # of a map, which no journal has
        return f"{message.source.value} {message.point}" if is_place else message.source.value
    return message.kind if isinstance(message, Snapshot | Axis) else ""

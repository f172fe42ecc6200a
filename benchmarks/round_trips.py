"""What every driver adds to a round trip, beside a raw socket, pseudo-terminal or websocket.

    python benchmarks/round_trips.py [--rounds 300] [--model keithley.2410]

First each driver puts its query to the simulated instrument in this process, and what both say is
noted. Then a process of its own plays the instrument from these notes and answers at once: what is
left is the transport (raw: write a message, read its reply, for the same messages) and what the
driver adds to it. Pacing is off. Prints the table of docs/reference/transports.md.

"Set, then query" sends two messages without a pause, on which Nagle's algorithm stalls 40 ms.
"""

import argparse
import json
import os
import socket
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from multiprocessing import Process
from statistics import median
from threading import Thread
from typing import Any

from drivers.addresses import open_link
from drivers.clock import RealClock, VirtualClock
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import Model, known_models, model
from drivers.roles import (
    BiasSupply,
    Positioner,
    PowerMeter,
    PressureGauge,
    TemperatureController,
)
from simulators.setup import MODELS, SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

QUERIES: Mapping[type, str] = {
    TemperatureController: "read_temperature",
    BiasSupply: "read_level",
    PowerMeter: "read_power",
    PressureGauge: "read_pressure",
    Positioner: "settings",
}
PORTS = {
    **{name: port for port, models in MODELS.items() for name in models},
    **dict.fromkeys(("elliptec.ell14", "elliptec.ell6"), "elliptec"),
    **dict.fromkeys(("horiba.ccd", "horiba.monochromator"), "icl"),
}
Ask = Callable[[bytes, bytes], None]
Answers = Mapping[tuple[bytes, bytes], bytes]


@dataclass(frozen=True)
class Notes:
    """What was said: before the query (log-in, first questions), and for the query itself."""

    before: list[tuple[bytes, bytes]]
    query: list[tuple[bytes, bytes]]

    def answers(self) -> "Answers":
        """Return the reply to each message, after each other message where that matters."""
        said = self.before + self.query
        after = {(last, message): reply for (last, _), (message, reply) in pairwise(said)}
        return {**{(b"", message): reply for message, reply in said}, **after}


class NotingLink:
    """A link that notes each message and all bytes of its reply."""

    def __init__(self, link: Any) -> None:
        self.said: list[tuple[bytes, bytes]] = []
        self._link = link

    def send(self, message: bytes) -> None:
        self.said.append((message, b""))
        self._link.send(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


class NotingFraming:
    """A framing that adds what it takes from the buffer to the last note."""

    def __init__(self, framing: Any) -> None:
        self.link: NotingLink | None = None
        self._framing = framing

    def split(self, buffer: bytearray) -> bytes | None:
        before = bytes(buffer)
        reply: bytes | None = self._framing.split(buffer)
        taken = before[: len(before) - len(buffer)]
        if taken and self.link is not None and self.link.said:
            message, so_far = self.link.said[-1]
            self.link.said[-1] = message, so_far + taken
        return reply


def without_pacing(kind: Model) -> Any:
    config = kind.config()
    named = {item.name for item in fields(config)}
    return replace(config, pacing_s=0.0) if "pacing_s" in named else config


def query_of(kind: Model, device: Any) -> Callable[[], object]:
    query: Callable[[], object] = getattr(device, QUERIES.get(kind.role, "read"))
    return query


def note(name: str) -> Notes:
    """Put the query to the simulated instrument twice; the second time it knows all it keeps."""
    kind, port, clock = model(name), PORTS[name], VirtualClock()
    models = {port: name} if port in MODELS else {}
    setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(models=models))
    clock.on_advance.append(setup.world.advance)
    framing = NotingFraming(kind.framing)
    link = framing.link = NotingLink(setup.link(port, clock, framing))
    config = without_pacing(kind)
    device = kind.driver(name, kind.line(name, link, clock, config), clock, config)
    query = query_of(kind, device)
    query()
    clock.wait(1.0)
    before, link.said = link.said, []
    query()
    return Notes(before, link.said)


# -- the far side --------------------------------------------------------------------------------


def answer(answers: Answers, read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    """Answer every message that was noted, at once, until the other end goes."""
    waiting, last = b"", b""
    while chunk := read():
        waiting += chunk
        while message := next((each for _, each in answers if waiting.startswith(each)), b""):
            waiting = waiting[len(message) :]
            reply = answers.get((last, message), answers[b"", message])
            last = message
            if reply:
                write(reply)


def serve_socket(answers: Answers, server: socket.socket) -> None:
    while True:
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read, write = partial(peer.recv, 4096), peer.sendall
        Thread(target=answer, args=(answers, read, write), daemon=True).start()


def serve_terminal(answers: Answers, master: int) -> None:
    answer(answers, lambda: os.read(master, 4096), lambda reply: os.write(master, reply))


def serve_websocket(answers: Answers, server: socket.socket) -> None:
    from websockets.sync.server import serve

    known = {nameless(message): reply for (_, message), reply in answers.items()}

    def talk(peer: Any) -> None:
        for message in peer:
            reply = known[nameless(message)]
            if reply:
                number = json.loads(message)["id"]
                peer.send(json.dumps({**json.loads(reply), "id": number}))

    with serve(talk, sock=server, compression=None) as listening:
        listening.serve_forever()


def nameless(message: bytes | str) -> str:
    """Return a request without its number."""
    return json.dumps({**json.loads(message), "id": 0})


@contextmanager
def far_side(serve: Callable[..., None], *how: object) -> Iterator[None]:
    process = Process(target=serve, args=how, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


# -- this side -----------------------------------------------------------------------------------


def stream(write: Callable[[bytes], object], read: Callable[[], bytes]) -> Ask:
    def ask(message: bytes, reply: bytes) -> None:
        write(message)
        left = len(reply)
        while left > 0:
            left -= len(read())

    return ask


@contextmanager
def over_tcp(answers: Answers, no_delay: bool = True) -> Iterator[tuple[Ask, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server, far_side(serve_socket, answers, server):
        host, port = server.getsockname()
        with socket.create_connection((host, port)) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(no_delay))
            yield stream(peer.sendall, lambda: peer.recv(4096)), f"tcp://{host}:{port}"


@contextmanager
def over_pty(answers: Answers) -> Iterator[tuple[Ask, str]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    with ExitStack() as stack:
        for end in (master, slave):
            stack.callback(os.close, end)
        stack.enter_context(far_side(serve_terminal, answers, master))
        ask = stream(lambda message: os.write(slave, message), lambda: os.read(slave, 4096))
        yield ask, f"serial://{os.ttyname(slave)}?format=8N1"


@contextmanager
def over_websocket(answers: Answers) -> Iterator[tuple[Ask, str]]:
    from websockets.sync.client import connect

    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        uri = f"ws://{host}:{port}"
        with (
            far_side(serve_websocket, answers, server),
            connect(uri, compression=None, proxy=None) as peer,
        ):

            def ask(message: bytes, reply: bytes) -> None:
                peer.send(message, text=True)
                if reply:
                    peer.recv()

            yield ask, uri


def median_us(action: Callable[[], object], rounds: int) -> float:
    """Return the median time of one action in us, after a few to warm up."""
    times = []
    for _ in range(rounds + 20):
        start = time.perf_counter()
        action()
        times.append(1e6 * (time.perf_counter() - start))
    return median(times[20:])


def compare(name: str, transport: str, rounds: int) -> str:
    """Return one row of the table."""
    kind, said, clock = model(name), note(name), RealClock()
    over = {"tcp": over_tcp, "pty": over_pty, "websocket": over_websocket}[transport]
    config = without_pacing(kind)
    with over(said.answers()) as (ask, address):

        def all_of_it() -> None:
            for message, reply in said.query:
                ask(message, reply)

        raw_us = median_us(all_of_it, rounds)
        with closing(open_link(address, kind.framing)) as link:
            device = kind.driver(name, kind.line(name, link, clock, config), clock, config)
            query = query_of(kind, device)
            query()
            driver_us = median_us(query, rounds)
    count = len(said.query)
    added_us = driver_us - raw_us
    return (
        f"| `{name}` | `{QUERIES.get(kind.role, 'read')}` | {transport} | {count} | {raw_us:.0f} "
        f"| {driver_us:.0f} | {added_us:.0f} | {added_us / max(count, 1):.0f} |"
    )


def set_then_query(rounds: int) -> Iterator[str]:
    """Yield the times of two messages in a row over TCP, and of the same with Nagle's algorithm."""
    command, question, reply = b"SETP 1,5.500\n", b"SETP? 1\n", b"+005.500\r\n"
    answers = Notes([], [(command, b""), (question, reply)]).answers()

    def both(ask: Ask) -> None:
        ask(command, b"")
        ask(question, reply)

    for what, no_delay in (("raw, TCP_NODELAY", True), ("raw, with Nagle", False)):
        with over_tcp(answers, no_delay) as (ask, _):
            yield f"| {what} | {median_us(partial(both, ask), min(rounds, 60)):.0f} |"
    for what, prefix in (("`tcp://`", "tcp://"), ("`visa://` through pyvisa-py", "visa://")):
        with over_tcp(answers) as (_, address):
            host, port = address.removeprefix("tcp://").split(":")
            visa = f"visa://TCPIP::{host}::{port}::SOCKET?library=@py"
            where = address if prefix == "tcp://" else visa
            with closing(open_link(where, Terminated(b"\r\n"))) as link:
                line = Line("bench", link, RealClock())

                def tell_and_ask(line: Line = line) -> None:
                    line.tell("SETP 1,5.500")
                    line.ask("SETP? 1")

                yield f"| {what} | {median_us(tell_and_ask, rounds):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--model", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    names = options.model or [name for name in known_models() if name in PORTS]
    print("| model | query | over | messages | raw us | driver us | added us | per message us |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    for name in names:
        for transport in ("websocket",) if PORTS[name] == "icl" else ("tcp", "pty"):
            print(compare(name, transport, options.rounds), flush=True)
    print("\n| set, then query | us |\n|---|--:|")
    for row in set_then_query(options.rounds):
        print(row)


if __name__ == "__main__":
    main()

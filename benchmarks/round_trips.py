"""What a driver adds to a round trip, beside a raw socket or pseudo-terminal.

    python benchmarks/round_trips.py [--rounds 300]

The far side answers at once, in a process of its own: what is left is the transport (raw: write,
then read up to the end of the reply) and what the line of a driver adds to it. Pacing is off.
"Set, then query" sends two messages without a pause, on which Nagle's algorithm would stall 40 ms.
"""

import argparse
import os
import socket
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Process
from statistics import median
from threading import Thread

from drivers.clock import RealClock
from drivers.line import Line
from drivers.link import Link, Terminated
from drivers.registry import model
from drivers.serial_link import SerialLink
from drivers.socket_link import SocketLink

ANSWERS = {
    b"KRDG? A;RDGST? A": b"+005.500;000",
    b":SOUR:VOLT:LEV?": b"+1.000000E+00",
    b"*IDN?": b"LSCI,MODEL336,LSA12AB/#######,2.9",
}
OTHER = b"+1"
QUERIES: dict[str, tuple[str, Callable[..., object]]] = {
    "lakeshore.336": ("read_temperature", lambda device: device.read_temperature()),
    "keithley.2410": ("read_level", lambda device: device.read_level()),
}


def answer(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    """Answer every question at once until the other end goes."""
    waiting = b""
    while chunk := read():
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in lines:
            if b"?" in line:
                write(ANSWERS.get(line.strip(), OTHER) + b"\r\n")


def serve_socket(server: socket.socket) -> None:
    while True:
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read, write = partial(peer.recv, 4096), peer.sendall
        Thread(target=answer, args=(read, write), daemon=True).start()


def serve_terminal(master: int) -> None:
    answer(lambda: os.read(master, 4096), lambda reply: os.write(master, reply))


@contextmanager
def far_side(serve: Callable[..., None], end: object) -> Iterator[None]:
    process = Process(target=serve, args=(end,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def median_us(action: Callable[[], object], rounds: int) -> float:
    """Return the median time of one action in us, after a few to warm up."""
    times = []
    for _ in range(rounds + 20):
        start = time.perf_counter()
        action()
        times.append(1e6 * (time.perf_counter() - start))
    return median(times[20:])


def raw(write: Callable[[bytes], object], read: Callable[[], bytes]) -> Callable[[bytes], None]:
    def ask(message: bytes) -> None:
        write(message)
        reply = b""
        while not reply.endswith(b"\n"):
            reply += read()

    return ask


def table(transport: str, ask: Callable[[bytes], None], link: Link, rounds: int) -> None:
    """Print the rows of one transport: raw, and what line and driver add."""
    clock = RealClock()
    line = Line("bench", link, clock)
    questions = {"lakeshore.336": "KRDG? A;RDGST? A", "keithley.2410": ":SOUR:VOLT:LEV?"}
    for name, (query, call) in QUERIES.items():
        kind = model(name)
        config = kind.config(pacing_s=0.0)
        device = kind.driver(name, line, clock, config)
        message = questions[name].encode() + b"\n"
        bare_us = median_us(partial(ask, message), rounds)
        driver_us = median_us(partial(call, device), rounds)
        print(
            f"{transport:6} {name:14} {query:18} {bare_us:8.0f} {driver_us:8.0f} "
            f"{driver_us - bare_us:8.0f}"
        )

    def set_then_query() -> None:
        line.tell("SETP 1,5.5")
        line.ask(":SOUR:VOLT:LEV?")

    both_us = median_us(set_then_query, rounds)
    print(f"{transport:6} {'':14} {'set, then query':18} {'':8} {both_us:8.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    print(f"{'median in us':40} {'raw':>8} {'driver':>8} {'added':>8}")
    framing = Terminated(b"\r\n")
    with socket.create_server(("127.0.0.1", 0)) as server, far_side(serve_socket, server):
        host, port = server.getsockname()
        with socket.create_connection((host, port)) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask = raw(peer.sendall, lambda: peer.recv(4096))
            table("tcp", ask, SocketLink(host, port, framing), rounds)
    master, slave = os.openpty()
    tty.setraw(slave)
    with far_side(serve_terminal, master):
        ask = raw(lambda message: os.write(slave, message), lambda: os.read(slave, 4096))
        table("pty", ask, SerialLink(os.ttyname(slave), framing), rounds)


if __name__ == "__main__":
    main()

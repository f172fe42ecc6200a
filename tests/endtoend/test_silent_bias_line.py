"""A bias line that falls silent under a voltage and comes back; the supply's log is the judge."""

import json
import re
import socket
import threading
from contextlib import suppress

import pytest

from acquisition.channel.engine_address import list_engines
from acquisition.channel.messages import Answer, Mode, Said, Snapshot, Verb
from acquisition.channel.watcher_link import WatcherLink

SLEW_V_PER_S = 5.0
CARD = """
[[axis]]
quantity = "repeat"
points = 1

[exposure]
time = "1 s"
"""


class Line:
    """A line to a server that can fall silent; what is sent then is lost."""

    def __init__(self, port):
        self.is_silent = False
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends = []
        self._threads = []
        self._run(self._accept)

    def close(self):
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _run(self, work, *of):
        thread = threading.Thread(target=work, args=of)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                self._run(self._pump, near, far)
                self._run(self._pump, far, near)

    def _pump(self, source, target):
        with suppress(OSError):
            while received := source.recv(4096):
                if not self.is_silent:
                    target.sendall(received)


@pytest.fixture
def line(serve):
    """Serve the station in real time; its bias is reached by a line that can fall silent."""
    setup = serve(1.0, "--transport", "bias=tcp")
    text = setup.station.read_text()
    address = re.search(r'\[bias\]\n(?:.+\n)*?address = "tcp://127.0.0.1:(\d+)"', text)
    line = Line(int(address[1]))
    setup.station.write_text(text.replace(f":{address[1]}", f":{line.port}"))
    line.setup = setup
    yield line
    line.close()


def test_a_supply_that_falls_silent_is_told_of_and_brought_to_zero_when_it_is_back(
    line, cryoscan, check_supply, wait_until, heard
):
    card = line.setup.write_sweep(CARD, "card")
    engine = cryoscan.start("engine", line.setup.station, "--sample", card, "--no-fit")
    window = heard(engine)
    window.until(Snapshot, lambda s: s.mode is Mode.ALIGNING)
    window.ask(Verb.MOVE, quantity="voltage_V", value=3.0)
    wait_until(lambda: json.loads(line.setup.last_supply_entry())["programmed_V"] == 3.0)

    line.is_silent = True
    asked = window.link.request(Verb.DISCONNECT)
    window.until(Snapshot, lambda s: s.trouble.startswith("on the way to the safe state"))
    delayed = window.until(Said, lambda s: s.code == "safe state delayed")
    line.is_silent = False
    answer = window.until(Answer, lambda a: a.request == asked)

    assert "the supply is silent; asked again for 600 s at most" in delayed.text
    assert answer.text == "disconnected; safe state confirmed"
    told = [m.text for m in window.heard if isinstance(m, Said) and "safe state" in m.text]
    assert len(told) == 2, told  # the delay, and how it ended
    assert told[1].startswith("safe state: confirmed: ")
    check_supply(line.setup.supply_log, SLEW_V_PER_S)


class Window:
    def __init__(self, address):
        self.link = WatcherLink.connect(address, "window")
        self.heard = []

    def until(self, kind, condition):
        """Return the first message from now on that is as wanted."""
        for _ in range(300):
            arrived = [message for message, _ in self.link.receive(0.2)]
            self.heard += arrived
            found = [m for m in arrived if isinstance(m, kind) and condition(m)]
            if found:
                return found[0]
        raise AssertionError(f"no {kind.__name__} as wanted; last heard {self.heard[-3:]}")

    def ask(self, verb, **what):
        number = self.link.request(verb, **what)
        answer = self.until(Answer, lambda a: a.request == number)
        assert answer.ok, answer.text


@pytest.fixture
def heard(wait_until):
    windows = []

    def attach(engine):
        def ours():
            return [one for one in list_engines() if one.pid == engine.pid]

        wait_until(ours)
        windows.append(Window(ours()[0]))
        return windows[-1]

    yield attach
    for window in windows:
        window.link.close()

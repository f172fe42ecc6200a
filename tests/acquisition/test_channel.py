"""The channel between an engine and its watchers, by its own bytes and by what goes wrong."""

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread

import numpy as np
import pytest

from acquisition.channel.channel import (
    ChannelAbused,
    ChannelClosed,
    Outbox,
    Packet,
    Peer,
    Unpacker,
    listen,
    name_in_greeting,
    new_token,
    pack,
)
from acquisition.channel.engine_address import (
    EngineAddress,
    announced,
    list_engines,
    runtime_folder,
)
from acquisition.channel.engine_server import EngineServer
from acquisition.channel.messages import (
    Answer,
    Axis,
    Committed,
    FrameArrived,
    FrameSource,
    Hello,
    Message,
    Mode,
    Request,
    Snapshot,
    Verb,
)
from acquisition.channel.watcher_link import LinkLost, WatcherLink
from drivers.clock import RealClock

PATIENCE_S = 5.0


class Engine:
    """What the server needs of an engine, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Request]] = []
        self.server = EngineServer(
            station="bench",
            station_path="bench.toml",
            hello=lambda: Hello(station="bench", pixels=8),
            snapshot=lambda: Snapshot(Mode.ALIGNING, 1.0),
            take=self.take,
        )

    def take(self, watcher: str, request: Request) -> None:
        self.asked.append((watcher, request))
        if request.text == "trouble":
            raise ValueError("no such thing")
        self.server.answer(watcher, request.number, True, "done")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.server.close()


@pytest.fixture
def watch(engine: Engine) -> Iterator[Callable[[str], WatcherLink]]:
    links: list[WatcherLink] = []

    def connect(name: str) -> WatcherLink:
        links.append(WatcherLink.connect(engine.server.address, name))
        return links[-1]

    yield connect
    for link in links:
        link.close()


def until(done: Callable[[], bool]) -> None:
    clock = RealClock()
    end_s = clock.now() + PATIENCE_S
    while not done():
        assert clock.now() < end_s, "it does not happen"
        clock.wait(0.005)


def first(link: WatcherLink, kind: type, condition: Callable = lambda _: True):
    """Return the first message of a kind that fulfils a condition, and what came behind it."""
    found: list = []

    def is_there() -> bool:
        arrivals = link.receive(0.1)
        found.extend(a for a in arrivals if isinstance(a[0], kind) and condition(a[0]))
        return bool(found)

    until(is_there)
    return found[0]


def answer(link: WatcherLink, number: int) -> Answer:
    return first(link, Answer, lambda a: a.request == number)[0]


def until_lost(link: WatcherLink) -> list[Message]:
    """Return everything that is heard before the link is lost."""
    heard: list[Message] = []
    with pytest.raises(LinkLost):
        listen_on(link, heard)
    return heard


def listen_on(link: WatcherLink, heard: list[Message]) -> None:
    while True:
        heard += [message for message, _ in link.receive(PATIENCE_S)]


def raw(engine: Engine) -> socket.socket:
    connection = socket.create_connection((engine.server.address.host, engine.server.address.port))
    connection.settimeout(PATIENCE_S)
    return connection


def is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    connection.close()
    return True


# -- bytes -------------------------------------------------------------------------------------


def test_a_packet_is_two_lengths_in_network_order_then_document_and_body() -> None:
    assert pack(b"{}", b"\x01\x02\x03") == b"\0\0\0\x02\0\0\0\x03{}\x01\x02\x03"


def test_packets_come_out_whole_however_the_bytes_are_cut(commit_seed: int) -> None:
    random = np.random.default_rng(commit_seed)
    sent = [
        Packet(random.bytes(int(n)), random.bytes(int(m)))
        for n, m in random.integers(0, 300, (40, 2))
    ]
    stream = b"".join(pack(p.document, p.body) for p in sent)
    cuts = np.sort(random.integers(0, len(stream), 90))
    unpacker, received = Unpacker(), []

    for piece in np.split(np.frombuffer(stream, np.uint8), cuts):
        unpacker.feed(piece.tobytes())
        received.extend(unpacker.packets())

    assert received == sent


@pytest.mark.parametrize("lengths", [(11, 0), (0, 21), (2**32 - 1, 2**32 - 1)])
def test_a_length_beyond_the_caps_is_refused_before_anything_of_it_has_come(lengths) -> None:
    unpacker = Unpacker(10, 20)
    unpacker.feed(struct.pack(">II", *lengths))

    with pytest.raises(ChannelAbused, match=r"allowed 10 \+ 20"):
        next(unpacker.packets())


def test_tokens_are_32_random_bytes() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(bytes.fromhex(token)) == 32 for token in tokens)


@pytest.mark.parametrize("document", [b"", b"\nme", b"TOKEN", b"token1\nme", b"\xff\xfe\nme"])
def test_a_wrong_token_is_refused(document: bytes) -> None:
    with pytest.raises(ChannelAbused, match="token"):
        name_in_greeting(Packet(document), "token")


def test_a_name_is_cleaned_and_cut() -> None:
    assert name_in_greeting(Packet(b"token\nwin\x1b[31mdow\n" + b"x" * 200), "token") == (
        "win[31mdow" + "x" * 70
    )


def test_of_two_packets_in_a_slot_only_the_later_goes_and_in_its_own_place() -> None:
    outbox = Outbox()
    for packet, slot in (
        (b"frame 1", "frame"),
        (b"said", ""),
        (b"axis", "axis"),
        (b"frame 2", "frame"),
    ):
        outbox.put(packet, slot=slot)

    assert outbox.take() == b"saidaxisframe 2"
    assert outbox.take() == b""


def test_what_is_too_much_drops_the_oldest_that_may_be_lost() -> None:
    outbox = Outbox(most=3)
    outbox.put(b"answer", is_kept=True)
    for number in range(4):
        outbox.put(b"%d" % number)

    assert outbox.take() == b"answer23"


def test_large_packets_are_sent_one_by_one_and_small_ones_together() -> None:
    outbox, large = Outbox(), bytes(30_000)
    for packet in (b"a", large, large, b"b", b"c"):
        outbox.put(packet)

    assert [len(outbox.take()) for _ in range(3)] == [30_001, 30_002, 0]


def test_a_client_that_leaves_too_much_unread_that_must_not_be_lost_is_given_up() -> None:
    outbox = Outbox(most=3)
    for _ in range(3):
        outbox.put(b"answer", is_kept=True)

    with pytest.raises(ChannelAbused, match="3 packets"):
        outbox.put(b"answer", is_kept=True)


def test_the_listener_is_on_loopback_only() -> None:
    with listen() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_peer_sends_what_the_kernel_does_not_take_at_once_later() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    one.close()
    other.close()
    with listen() as listener:
        listener.setblocking(True)
        here = Peer(socket.create_connection(listener.getsockname()))
        there = Peer(listener.accept()[0])
    body = np.random.default_rng(1).bytes(20_000_000)
    here.outbox.put(pack(b"big", body))
    here.send()
    assert here.is_behind

    received: list[Packet] = []
    while not received:
        received = there.receive()
        here.send()

    assert received == [Packet(b"big", body)]
    here.close()
    with pytest.raises(ChannelClosed):
        there.receive()
    there.close()


# -- the server and its watchers ---------------------------------------------------------------


def test_a_watcher_gets_hello_with_its_own_name_then_snapshots(engine, watch) -> None:
    link = watch("window")

    assert link.hello == Hello(station="bench", pixels=8, watcher="window 1")
    snapshot, values = first(link, Snapshot)
    assert (snapshot.mode, snapshot.watchers, snapshot.commander) == (Mode.ALIGNING, 1, "")
    assert values is None


def test_counts_and_wavelengths_arrive_as_they_were_sent(engine, watch) -> None:
    link = watch("window")
    counts = np.arange(24, dtype=np.int32).reshape(3, 8) - 5
    wavelength_nm = np.linspace(500, 520, 8)

    engine.server.publish(Axis(1, (8,)), wavelength_nm)
    engine.server.publish(FrameArrived(FrameSource.IMAGE, 1, 0.1, 2.0, 2.1, (3, 8), axis=1), counts)

    axis, found_nm = first(link, Axis)
    assert axis == Axis(1, (8,))
    np.testing.assert_array_equal(found_nm, wavelength_nm)
    engine.server.publish(
        FrameArrived(FrameSource.LIVE, 2, 0.1, 2.0, 2.1, (3, 8), axis=1),
        counts[:, ::2].repeat(2, 1),
    )
    _, found = first(link, FrameArrived, lambda m: m.number == 2)
    np.testing.assert_array_equal(found, counts[:, ::2].repeat(2, 1))


def test_who_comes_later_gets_the_axis_that_is_in_force(engine, watch) -> None:
    engine.server.publish(Axis(3, (2,)), np.array([500.0, 501.0]))
    engine.server.publish(Axis(4, (2,)), np.array([600.0, 601.0]))

    axis, wavelength_nm = first(watch("late"), Axis)

    assert axis.number == 4
    assert list(wavelength_nm) == [600.0, 601.0]


def test_the_first_who_asks_is_in_command_and_others_may_only_stop(engine, watch) -> None:
    one, other = watch("one"), watch("other")

    assert answer(one, one.request(Verb.MOVE, quantity="angle_deg", value=30.0)).ok
    refused = answer(other, other.request(Verb.MOVE, quantity="angle_deg", value=60.0))
    stopped = answer(other, other.request(Verb.STOP_NOW))

    assert not refused.ok
    assert "one 1 is in command" in refused.text
    assert stopped.ok
    assert [(name, r.verb, dict(r.numbers)) for name, r in engine.asked] == [
        ("one 1", Verb.MOVE, {"value": 30.0}),
        ("other 2", Verb.STOP_NOW, {}),
    ]


def test_command_is_released_taken_and_freed_by_leaving(engine, watch) -> None:
    one, other = watch("one"), watch("other")
    assert answer(one, one.request(Verb.TAKE_COMMAND)).ok
    assert not answer(other, other.request(Verb.TAKE_COMMAND)).ok
    assert not answer(other, other.request(Verb.RELEASE_COMMAND)).ok

    assert answer(one, one.request(Verb.RELEASE_COMMAND)).ok
    assert answer(other, other.request(Verb.TAKE_COMMAND)).ok
    assert engine.server.commander == "other 2"

    other.close()
    until(lambda: engine.server.commander == "")
    assert answer(one, one.request(Verb.TAKE_COMMAND)).ok
    assert engine.asked == []


def test_a_request_that_can_not_be_taken_is_answered_and_ends_nothing(engine, watch) -> None:
    link = watch("window")

    refused = answer(link, link.request(Verb.NOTE, text="trouble"))

    assert (refused.ok, refused.text) == (False, "ValueError: no such thing")
    assert answer(link, link.request(Verb.NOTE, text="fine")).ok


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        pack(b"wrong token\nme"),
        pack(b"{}", b"body"),
        b"\0" * 4000,
        os.urandom(64),
    ],
    ids=["http", "wrong token", "a body", "zeros", "noise"],
)
def test_a_stranger_with_garbage_is_closed_with_a_reason_and_hears_nothing(
    engine, watch, garbage, caplog
) -> None:
    link = watch("window")
    stranger = raw(engine)
    stranger.sendall(garbage)

    heard = b""
    try:
        while piece := stranger.recv(4096):
            heard += piece
    except ConnectionResetError:
        pass
    stranger.close()

    assert heard == b""
    until(lambda: any("a stranger is not served any more" in m for m in caplog.messages))
    assert answer(link, link.request(Verb.TAKE_COMMAND)).ok


@pytest.mark.parametrize(
    "document", [b"", b"not json", b"[]", b'{"number": 1, "verb": "explode"}', b"\xff", b"9" * 5000]
)
def test_garbage_behind_the_right_token_closes_that_client_only(
    engine, watch, document, caplog
) -> None:
    link, bad = watch("window"), watch("bad")

    bad._peer.outbox.put(pack(document))
    bad._peer.send()

    until_lost(bad)
    until(lambda: any("bad 2 is not served any more" in m for m in caplog.messages))
    assert answer(link, link.request(Verb.TAKE_COMMAND)).ok


def test_of_a_stranger_no_more_is_read_in_a_row_than_a_greeting_takes() -> None:
    with listen() as listener:
        listener.setblocking(True)
        stranger = socket.create_connection(listener.getsockname())
        peer = Peer(listener.accept()[0], Unpacker(document_bytes=512, body_bytes=0))
    stranger.sendall(bytes(100_000))  # packets of nothing, 8 bytes each

    assert 0 < len(peer.receive()) <= 520 // 8

    stranger.close()
    peer.close()


def test_strangers_who_never_greet_block_nobody(engine, watch) -> None:
    silent = [raw(engine) for _ in range(20)]
    halves = [raw(engine) for _ in range(3)]
    for half in halves:
        half.sendall(pack(f"{engine.server.address.token}\nslow".encode())[:-3])

    link = watch("window")

    assert answer(link, link.request(Verb.TAKE_COMMAND)).ok
    for connection in (*silent, *halves):
        connection.close()


def test_a_stranger_who_never_greets_is_sent_away_in_the_end(monkeypatch, caplog) -> None:
    monkeypatch.setattr("acquisition.channel.engine_server.GREETING_S", 0.05)
    engine = Engine()

    assert is_closed(raw(engine))

    assert any("no greeting within 0.05 s" in message for message in caplog.messages)
    engine.server.close()


def test_a_watcher_that_does_not_read_holds_nothing_up_and_then_gets_the_latest(
    engine, watch
) -> None:
    slow, quick = watch("slow"), watch("quick")
    counts = np.zeros(50_000, np.int32)
    arrived: list[int] = []

    for number in range(200):
        engine.server.publish(
            FrameArrived(FrameSource.LIVE, number, 0.1, 1.0, 1.1, counts.shape), counts
        )
        first(quick, FrameArrived, lambda m, n=number: m.number == n)
    while not arrived or arrived[-1] != 199:
        arrived += [m.number for m, _ in slow.receive(PATIENCE_S) if isinstance(m, FrameArrived)]

    assert len(arrived) < 50
    assert arrived == sorted(arrived)


def _row(number: int, pixels: int = 4) -> tuple[FrameArrived, np.ndarray]:
    counts = np.full((1, pixels), number, "<i4")
    return FrameArrived(FrameSource.POINT, number, 0.02, 1.0, 1.02, counts.shape), counts


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that send something, in order."""
    names: list[str] = []
    send = Peer.send

    def noted(peer: Peer) -> int:
        sent = send(peer)
        if sent:
            names.append(current_thread().name)
        return sent

    monkeypatch.setattr(Peer, "send", noted)
    return names


def test_a_row_of_a_run_goes_out_in_the_thread_that_has_it(engine, watch, senders) -> None:
    link = watch("window")
    first(link, Snapshot)
    senders.clear()

    def is_sent_here() -> bool:  # unless the server is at work just then
        engine.server.publish(*_row(1))
        return current_thread().name in senders

    until(is_sent_here)

    _, counts = first(link, FrameArrived)
    np.testing.assert_array_equal(counts, [[1, 1, 1, 1]])


def test_a_row_too_large_to_be_sent_at_once_is_left_to_the_server(engine, watch, senders) -> None:
    link = watch("window")
    first(link, Snapshot)
    senders.clear()  # our greeting

    engine.server.publish(*_row(1, pixels=100_000))
    _, counts = first(link, FrameArrived)

    assert counts.shape == (1, 100_000)
    assert current_thread().name not in senders


def test_a_row_waits_for_nothing_while_the_server_is_at_work(engine, watch) -> None:
    link, at_work, may_go = watch("window"), Event(), Event()

    def take(_watcher: str, request: Request) -> None:
        at_work.set()
        may_go.wait(PATIENCE_S)

    engine.server._take = take
    link.request(Verb.NOTE)
    assert at_work.wait(PATIENCE_S)
    engine.server.publish(*_row(1))  # comes back although nobody takes it
    assert not [m for m, _ in link.receive(0.05) if isinstance(m, FrameArrived)]
    may_go.set()

    first(link, FrameArrived, lambda m: m.number == 1)


def test_a_watcher_that_has_gone_is_noticed_by_the_row_and_dismissed_by_the_server(
    engine, watch
) -> None:
    gone, there = watch("gone"), watch("there")
    gone.close()

    def is_alone() -> bool:
        engine.server.publish(*_row(1))
        return engine.server.watchers == 1

    until(is_alone)

    engine.server.publish(*_row(2))
    first(there, FrameArrived, lambda m: m.number == 2)


def test_rows_reach_a_watcher_that_stops_reading_for_a_while(engine, watch) -> None:
    link = watch("slow")
    for number in range(3000):
        engine.server.publish(*_row(number, pixels=1024))

    numbers: list[int] = []
    while not numbers or numbers[-1] != 2999:
        numbers += [m.number for m, _ in link.receive(PATIENCE_S) if isinstance(m, FrameArrived)]

    assert numbers == sorted(numbers)
    assert len(numbers) < 1000  # the kernel's buffers hold some, the rest is the latest


def test_a_commander_that_no_longer_reads_can_be_relieved(monkeypatch, engine, watch) -> None:
    monkeypatch.setattr("acquisition.channel.engine_server.STUCK_S", 0.05)
    frozen, other = watch("frozen"), watch("other")
    assert answer(frozen, frozen.request(Verb.TAKE_COMMAND)).ok
    counts = np.zeros(200_000, np.int32)

    def is_relieved() -> bool:
        engine.server.publish(
            FrameArrived(FrameSource.LIVE, 1, 0.1, 1.0, 1.1, counts.shape), counts
        )
        other.receive(0.01)
        return engine.server.commander == ""

    until(is_relieved)

    assert answer(other, other.request(Verb.TAKE_COMMAND)).ok


def test_history_waits_for_a_slow_watcher_in_order(engine, watch) -> None:
    link = watch("slow")
    for key in range(1000):
        engine.server.publish(Committed(key, key, True, key, 1000))

    keys: list[int] = []
    while not keys or keys[-1] != 999:
        keys += [m.key for m, _ in link.receive(PATIENCE_S) if isinstance(m, Committed)]

    assert keys == list(range(1000))


def test_closing_says_the_last_words_and_lets_everybody_go(engine, watch) -> None:
    link = watch("window")
    number = link.request(Verb.QUIT)
    answer(link, number)
    engine.server.publish(Committed(1, 2, True, 3, 4))

    engine.server.close()

    assert Committed(1, 2, True, 3, 4) in until_lost(link)


def test_a_snapshot_that_fails_is_said_once_and_the_rest_goes_on(caplog) -> None:
    server = EngineServer(
        station="",
        station_path="",
        hello=Hello,
        snapshot=lambda: 1 / 0,
        take=lambda *_: None,
    )
    link = WatcherLink.connect(server.address, "window")

    assert answer(link, link.request(Verb.TAKE_COMMAND)).ok
    until(lambda: caplog.messages.count("no snapshot for the watchers") == 1)
    server.publish(Committed(1, 2, True, 3, 4))
    first(link, Committed)
    link.close()
    server.close()


# -- the link and the address ------------------------------------------------------------------


def test_a_link_to_nobody_says_so_at_once(engine) -> None:
    with listen() as listener:
        port = listener.getsockname()[1]
    address = replace(engine.server.address, port=port)

    with pytest.raises(LinkLost, match=f"no engine at 127.0.0.1:{port}"):
        WatcherLink.connect(address, "window")


def test_a_link_with_a_wrong_token_is_not_let_in(engine) -> None:
    with pytest.raises(LinkLost, match="does not let us in"):
        WatcherLink.connect(replace(engine.server.address, token="0" * 64), "window")


def test_an_engine_that_does_not_answer_is_given_up_in_time(engine) -> None:
    with listen() as listener:
        address = replace(engine.server.address, port=listener.getsockname()[1])

        with pytest.raises(LinkLost, match=r"does not answer within 0\.1 s"):
            WatcherLink.connect(address, "window", timeout_s=0.1)


@contextmanager
def an_engine_that_says(document: bytes) -> Iterator[EngineAddress]:
    with listen() as listener:
        listener.setblocking(True)
        port = listener.getsockname()[1]
        address = EngineAddress("127.0.0.1", port, "t", os.getpid(), "", "", "", 0.0)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(pack(document))
                connection.recv(1000)

        thread = Thread(target=serve)
        thread.start()
        yield address
        thread.join()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"<html>", "not a message"),
        (b'{"kind":"committed","key":1,"point":1,"is_accepted":true,"done":1,"total":1}', "hello"),
        (b'{"kind":"hello","protocol":99,"version":"7.0"}', "version 7.0 speaks protocol 99"),
    ],
)
def test_an_engine_of_another_kind_is_refused_with_words(document: bytes, why: str) -> None:
    with an_engine_that_says(document) as address, pytest.raises(LinkLost, match=why):
        WatcherLink.connect(address, "window")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    return tmp_path / "runtime"


def test_an_announced_engine_is_found_until_it_ends_and_its_file_is_the_owners_alone(
    engine, runtime
) -> None:
    address = engine.server.address

    with announced(address) as file:
        assert list_engines() == [address]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list_engines() == []
    assert list(runtime.iterdir()) == []


def test_an_engine_that_was_killed_is_forgotten(runtime, engine) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for address in (
        replace(engine.server.address, pid=dead.pid),
        replace(engine.server.address, port=1),
    ):
        with announced(address) as file:
            assert list_engines() == []
            assert not file.exists()


def test_a_file_that_is_no_address_is_left_out_and_said(runtime, caplog) -> None:
    for number, text in enumerate(("", "[1]", '{"port": 3}', '{"host": "x"')):
        (runtime_folder() / f"engine-{number}-1.json").write_text(text)

    assert list_engines() == []
    assert len([m for m in caplog.messages if "is not the address of an engine" in m]) == 4


def test_the_token_is_neither_in_a_log_nor_in_an_error(engine) -> None:
    assert engine.server.address.token not in repr(engine.server.address)
    assert engine.server.address.token not in f"{engine.server.address}"


def test_a_runtime_folder_of_somebody_else_is_refused(runtime, monkeypatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    with pytest.raises(PermissionError, match="belongs to another user"):
        runtime_folder()


def test_without_a_session_there_is_a_folder_of_our_own_and_no_warning(
    tmp_path, monkeypatch
) -> None:
    for variable in ("CRYOSCAN_RUNTIME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = runtime_folder()

    assert folder.is_dir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_addresses_are_json_and_complete(engine, runtime) -> None:
    with announced(engine.server.address) as file:
        fields = json.loads(file.read_text())

    assert EngineAddress(**fields) == engine.server.address

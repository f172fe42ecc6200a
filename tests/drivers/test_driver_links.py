import os
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.sync.server import serve

from drivers.clock import RealClock
from drivers.errors import LinkClosed
from drivers.link import AnyNewline, Terminated, Whole
from drivers.serial_format import EIGHT_N_ONE, SerialFormat
from drivers.serial_link import SerialLink
from drivers.socket_link import SocketLink
from drivers.visa_link import VisaLink
from drivers.websocket_link import WebsocketLink

LF = Terminated(b"\n")
CRLF = Terminated(b"\r\n")
now = RealClock().now


@contextmanager
def server(serve_one: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections one after the other, each with `serve_one`, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):  # clients may leave rudely
                    serve_one(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def echo(connection: socket.socket) -> None:
    while message := connection.recv(1000):
        connection.sendall(message)


def echo_byte_by_byte(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while message := connection.recv(1000):
        for byte in message:
            connection.sendall(bytes([byte]))


def hang_up(connection: socket.socket) -> None:
    connection.recv(1000)


def answer_questions(connection: socket.socket) -> None:
    """Answer each whole line with a question mark in it, as an instrument does."""
    received = b""
    while chunk := connection.recv(1000):
        received += chunk
        *lines, received = received.split(b"\n")
        for line in lines:
            if b"?" in line:
                connection.sendall(b"+077.350\n")


def open_tcp(port: int) -> SocketLink:
    return SocketLink("127.0.0.1", port, LF)


def open_visa(port: int) -> VisaLink:
    return VisaLink(f"TCPIP::127.0.0.1::{port}::SOCKET", LF, library="@py")


both = pytest.mark.parametrize("open_link", [open_tcp, open_visa])


@both
def test_a_reply_arrives_whole_however_it_was_cut(open_link):
    with server(echo_byte_by_byte) as port:
        link = open_link(port)

        link.send(b"+077.350\n")

        assert link.poll(0.5) == b"+077.350"
        link.close()


@both
def test_two_replies_in_one_piece_are_two_replies(open_link):
    with server(echo) as port:
        link = open_link(port)

        link.send(b"one\ntwo\n")

        assert [link.poll(0.5), link.poll(0.5), link.poll(0.0)] == [b"one", b"two", None]
        link.close()


@both
def test_half_a_reply_is_kept_for_the_next_poll(open_link):
    with server(echo) as port:
        link = open_link(port)

        link.send(b"+077.")
        assert link.poll(0.05) is None
        link.send(b"350\n")

        assert link.poll(0.5) == b"+077.350"
        link.close()


@both
def test_a_poll_without_timeout_never_waits(open_link):
    with server(echo) as port:
        link = open_link(port)
        begin = now()

        assert link.poll(0.0) is None

        assert now() - begin < 0.05
        link.close()


@both
def test_a_peer_that_closes_is_noticed_at_once(open_link):
    with server(hang_up) as port:
        link = open_link(port)
        link.send(b"*IDN?\n")
        begin = now()

        with pytest.raises(LinkClosed, match="closed"):
            link.poll(0.5)

        assert now() - begin < 0.2
        with pytest.raises(LinkClosed, match="not connected"):
            link.send(b"*IDN?\n")


@both
def test_a_reset_connects_again_and_forgets_what_was_received(open_link):
    with server(echo) as port:
        link = open_link(port)
        link.send(b"old\n")
        link.poll(0.5)
        link.send(b"older\nhalf")
        link.close()

        link.reset()
        link.send(b"new\n")

        assert link.poll(0.5) == b"new"
        link.close()


@both
def test_a_command_and_a_question_in_a_row_don_t_wait_for_an_acknowledgement(open_link):
    """Nagle's algorithm makes this 44 ms per round on pyvisa-py as it is."""
    with server(answer_questions) as port:
        link = open_link(port)
        begin = now()
        for _ in range(10):
            link.send(b"SETP 1,10\n")
            link.send(b"KRDG? A\n")
            assert link.poll(0.5) == b"+077.350"

        assert now() - begin < 0.2
        link.close()


@both
def test_a_port_where_nobody_listens_is_refused_when_it_is_opened(open_link):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(LinkClosed, match="cannot connect"):
        open_link(port)


@both
def test_closing_twice_is_harmless(open_link):
    with server(echo) as port:
        link = open_link(port)
        link.close()
        link.close()


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A raw pseudo-terminal: the instrument's end and the name of ours."""
    instrument, ours = os.openpty()
    tty.setraw(instrument)
    tty.setraw(ours)
    yield instrument, os.ttyname(ours)
    for end in (instrument, ours):
        with suppress(OSError):
            os.close(end)


def open_serial(name: str, serial: SerialFormat = EIGHT_N_ONE) -> SerialLink:
    return SerialLink(name, CRLF, serial)


def open_visa_serial(name: str, serial: SerialFormat = EIGHT_N_ONE) -> VisaLink:
    return VisaLink(f"ASRL{name}::INSTR", CRLF, serial, library="@py")


@pytest.mark.parametrize("open_link", [open_serial, open_visa_serial])
def test_a_serial_reply_arrives_at_once_and_whole(terminal, open_link):
    instrument, name = terminal
    link = open_link(name)
    link.send(b"KRDG? A\n")
    assert os.read(instrument, 100) == b"KRDG? A\n"

    os.write(instrument, b"+077.")
    assert link.poll(0.0) is None
    os.write(instrument, b"350\r\n")
    begin = now()

    assert link.poll(0.5) == b"+077.350"
    assert now() - begin < 0.1
    assert link.poll(0.0) is None
    link.close()


def test_seven_bits_and_parity_survive_on_a_pseudo_terminal(terminal):
    instrument, name = terminal
    link = open_serial(name, SerialFormat(57600, 7, "O", 1))

    assert link.poll(0.0) is None
    assert link.poll(0.01) is None
    os.write(instrument, b"+077.350\r\n")

    assert link.poll(0.5) == b"+077.350"
    link.close()


def test_a_port_that_can_t_have_the_format_is_a_closed_link(terminal):
    """A pseudo-terminal takes 7 data bits at its first opening only, and then fails oddly."""
    _, name = terminal
    open_serial(name, SerialFormat(57600, 7, "O", 1)).close()

    with pytest.raises(LinkClosed, match=r"cannot connect: .*data_bits=7"):
        open_serial(name, SerialFormat(57600, 7, "O", 1))

    open_serial(name).close()


def test_a_serial_port_belongs_to_one_program_only(terminal):
    _, name = terminal
    link = open_serial(name)

    with pytest.raises(LinkClosed, match="in use by"):
        open_serial(name)

    link.close()


def test_an_unplugged_serial_port_is_a_closed_link(terminal):
    instrument, name = terminal
    link = open_serial(name)
    os.close(instrument)

    with pytest.raises(LinkClosed):
        link.poll(0.5)
    with pytest.raises(LinkClosed, match="cannot connect"):
        link.reset()


def test_a_serial_port_that_does_not_exist_is_a_closed_link(tmp_path):
    with pytest.raises(LinkClosed, match="cannot connect"):
        open_serial(str(tmp_path / "ttyUSB9"))


class MessageResource:
    """A GPIB instrument as pyvisa shows it: to read where it has nothing to say is an error."""

    timeout = 0.0

    def __init__(self, replies: list[bytes]) -> None:
        self.replies = replies

    def read_stb(self) -> int:
        return 0x10 if self.replies else 0

    def read_raw(self) -> bytes:
        assert self.replies, "query unterminated"
        return self.replies.pop(0)


def test_a_gpib_instrument_is_only_read_when_it_has_something_to_say():
    link = VisaLink.__new__(VisaLink)
    link._resource = MessageResource([b"+077.350\r\n"])

    assert link._read_message(0.0) == b"+077.350\r\n"
    assert link._read_message(0.0) == b""


@contextmanager
def websocket_server(handler: Callable[..., None]) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0, compression=None) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield "ws://{}:{}".format(*listening.socket.getsockname())
        finally:
            listening.shutdown()
            thread.join(5)


def test_websocket_messages_go_as_text_and_arrive_whole():
    kinds = []

    def handler(connection) -> None:
        for message in connection:
            kinds.append(type(message))
            connection.send(message * 1000)

    with websocket_server(handler) as uri:
        link = WebsocketLink(uri)

        link.send(b'{"id": 1}\n')

        assert link.poll(0.5) == b'{"id": 1}\n' * 1000
        assert link.poll(0.0) is None
        link.close()
        link.close()
    assert kinds == [str]


def test_a_websocket_that_closes_is_reopened_by_a_reset():
    def handler(connection) -> None:
        connection.send(connection.recv())

    with websocket_server(handler) as uri:
        link = WebsocketLink(uri)
        link.send(b"one")
        assert link.poll(0.5) == b"one"
        with pytest.raises(LinkClosed):
            link.poll(0.5)

        link.reset()
        link.send(b"two")

        assert link.poll(0.5) == b"two"
        link.close()


def test_a_websocket_server_that_is_not_there_is_a_closed_link():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(LinkClosed, match="cannot connect"):
        WebsocketLink(f"ws://127.0.0.1:{port}")


@pytest.mark.parametrize("newline", [b"\r", b"\n", b"\r\n", b"\n\r"])
def test_any_newline_ends_a_reply(newline):
    buffer = bytearray(b"one" + newline + b"two" + newline + b"thr")
    framing = AnyNewline()

    assert [framing.split(buffer) for _ in range(3)] == [b"one", b"two", None]
    assert buffer == b"thr"


def test_a_whole_message_is_a_reply():
    assert Whole().split(bytearray(b"{}")) == b"{}"
    assert Whole().split(bytearray()) is None

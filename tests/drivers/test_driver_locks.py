"""One program per line, told who holds it; serial ports by the number of their USB adapter."""

import fcntl
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from drivers.addresses import open_link
from drivers.errors import LinkClosed
from drivers.line_lock import LineLock
from drivers.link import Terminated
from drivers.serial_link import SerialLink, refuse_others
from drivers.serial_ports import SerialPort, device_of, serial_ports
from drivers.socket_link import SocketLink

LF = Terminated(b"\n")
HOLDER = """
import sys
from drivers.line_lock import LineLock
lock = LineLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
ADAPTERS = (
    SerialPort("/dev/ttyUSB0", "FT230X Basic UART", "DK0AHAJZ"),
    SerialPort("/dev/ttyUSB1", "CP2102", "0001"),
    SerialPort("/dev/ttyUSB2", "CP2102", "0001"),
    SerialPort("/dev/ttyS0", "", ""),
)


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.line_lock.user_runtime_path", lambda *_, **__: tmp_path)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening


@pytest.fixture
def terminal() -> Iterator[str]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_line_that_another_program_holds_is_refused_with_its_name(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the child has the real folder
    host, port = server.getsockname()
    address = f"tcp://{host}:{port}"
    command = [sys.executable, "-c", HOLDER, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LinkClosed, match=rf"in use by .*\(process {holder.pid}\)"):
            open_link(address, LF)
        holder.kill()
        holder.wait()
    open_link(address, LF).close()


def test_within_one_program_a_line_is_opened_once_too(server: socket.socket) -> None:
    host, port = server.getsockname()
    first = SocketLink(host, port, LF)
    with pytest.raises(LinkClosed, match=rf"process {os.getpid()}"):
        SocketLink(host, port, LF)
    first.close()
    first.close()
    SocketLink(host, port, LF).close()


def test_a_line_that_could_not_be_opened_is_not_kept(server: socket.socket) -> None:
    host, port = server.getsockname()
    server.close()
    for _ in range(2):
        with pytest.raises(LinkClosed, match="cannot connect"):
            SocketLink(host, port, LF)


def test_a_lost_line_is_free_again(server: socket.socket) -> None:
    host, port = server.getsockname()
    link = SocketLink(host, port, LF)
    server.accept()[0].close()
    with pytest.raises(LinkClosed, match="closed"):
        link.poll(1.0)
    other = SocketLink(host, port, LF)
    with pytest.raises(LinkClosed, match="in use by"):
        link.reset()
    other.close()
    link.reset()
    link.close()


def test_a_port_is_one_under_all_its_names(terminal: str, tmp_path: Path) -> None:
    alias = tmp_path / "by-id"
    alias.symlink_to(terminal)
    link = SerialLink(terminal, LF)
    with pytest.raises(LinkClosed, match="in use by"):
        SerialLink(str(alias), LF)
    link.close()
    SerialLink(str(alias), LF).close()


def test_a_program_without_our_lock_is_refused_by_the_port(terminal: str) -> None:
    from serial import Serial, SerialException

    with closing(SerialLink(terminal, LF)), pytest.raises(SerialException, match="exclusive"):
        Serial(terminal, exclusive=True)


def test_the_system_is_asked_to_refuse_all_others() -> None:
    master, slave = pty.openpty()
    refuse_others(slave)
    flag = fcntl.ioctl(slave, getattr(termios, "TIOCGEXCL", 0x80045440), bytes(4))
    os.close(master)
    os.close(slave)
    assert struct.unpack("i", flag) == (1,)


def test_taking_and_giving_back_twice_is_harmless() -> None:
    lock = LineLock("tcp://nowhere:1")
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    LineLock("tcp://nowhere:1").acquire()


def test_a_port_is_found_by_the_serial_number_of_its_adapter() -> None:
    assert device_of("usb:DK0AHAJZ", ADAPTERS) == "/dev/ttyUSB0"
    assert device_of("/dev/ttyACM0", ADAPTERS) == "/dev/ttyACM0"


def test_an_adapter_that_is_absent_or_double_is_named() -> None:
    with pytest.raises(ConnectionError, match="number XYZ: there are DK0AHAJZ, 0001, 0001"):
        device_of("usb:XYZ", ADAPTERS)
    with pytest.raises(ConnectionError, match="no port here has one"):
        device_of("usb:XYZ", ())
    with pytest.raises(ConnectionError, match="at /dev/ttyUSB1 and /dev/ttyUSB2"):
        device_of("usb:0001", ADAPTERS)


def test_the_address_to_write_names_the_adapter_where_it_has_a_number() -> None:
    assert [port.address for port in (ADAPTERS[0], ADAPTERS[3])] == [
        "serial://usb:DK0AHAJZ",
        "serial:///dev/ttyS0",
    ]


def test_an_address_by_usb_number_opens_the_port_wherever_it_is_plugged_in(
    terminal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged = [SimpleNamespace(device=terminal, description="pty", serial_number="A1")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: plugged)
    assert serial_ports() == (SerialPort(terminal, "pty", "A1"),)
    open_link("serial://usb:A1?baud=57600&format=8N1", LF).close()
    plugged.clear()
    with pytest.raises(LinkClosed, match="A1"):
        open_link("serial://usb:A1", LF)

"""Instruments behind any VISA resource: GPIB, USB, VXI-11, serial, socket."""

import select
import socket
from typing import Any

from drivers.clock import RealClock
from drivers.link import Framing
from drivers.serial_format import EIGHT_N_ONE, SerialFormat
from drivers.stream_link import StreamLink

__all__ = ["VisaLink"]

REAL = RealClock()  # timeouts of the operating system are real time, whatever the clock

OPEN_TIMEOUT_MS = 500
SLICE_MS = 20  # timeout of stream resources, set once
MESSAGE_AVAILABLE = 0x10  # in the status byte


class VisaLink(StreamLink):
    """A VISA resource, opened at once. Raises LinkClosed.

    library: "" lets pyvisa choose, "@py" is pyvisa-py, "@ivi" the vendor's.
    """

    def __init__(
        self,
        resource: str,
        framing: Framing,
        serial: SerialFormat = EIGHT_N_ONE,
        library: str = "",
    ) -> None:
        super().__init__(f"visa://{resource}", framing)
        self._name = resource
        self._library = library
        self._format = serial
        self.open()

    def _connect(self) -> None:
        from pyvisa import ResourceManager, errors  # noqa: PLC0415 - only who uses VISA pays for it
        from pyvisa.constants import InterfaceType, StatusCode  # noqa: PLC0415

        self._visa_error = errors.VisaIOError
        self._timeout_code = StatusCode.error_timeout
        try:
            resource: Any = ResourceManager(self._library).open_resource(
                self._name, open_timeout=OPEN_TIMEOUT_MS
            )
        except (errors.Error, ValueError) as error:
            raise ConnectionRefusedError(str(error)) from error
        self._resource = resource
        is_serial = resource.interface_type == InterfaceType.asrl
        self._is_stream = is_serial or resource.resource_class == "SOCKET"
        if is_serial:
            self._set_serial_format()
        if self._is_stream:
            self._resource.read_termination = None
            self._resource.timeout = SLICE_MS
        self._socket = _socket_of(self._resource)
        if self._socket is not None:
            self._prepare(self._socket)

    def _set_serial_format(self) -> None:
        from pyvisa.constants import Parity, StopBits  # noqa: PLC0415

        # One by one is all VISA offers; a pseudo-terminal survives it only with 8N1 (serial://)
        parities = {"N": Parity.none, "E": Parity.even, "O": Parity.odd}
        self._resource.baud_rate = self._format.baud_rate
        self._resource.data_bits = self._format.data_bits
        self._resource.parity = parities[self._format.parity]
        self._resource.stop_bits = StopBits(10 * self._format.stop_bits)

    def _prepare(self, raw: socket.socket) -> None:
        # pyvisa-py 0.8 leaves Nagle on, cannot be told otherwise (40 ms for two short messages),
        # and takes a closed port for an open one
        problem = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise ConnectionRefusedError(problem, "nobody listens")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _disconnect(self) -> None:
        self._resource.close()

    def _write(self, message: bytes) -> None:
        try:
            self._resource.write_raw(message)
        except self._visa_error as error:
            raise ConnectionResetError(str(error)) from error

    def _read(self, timeout_s: float) -> bytes:
        try:
            if self._socket is not None:
                return self._read_socket(self._socket, timeout_s)
            if self._is_stream:
                return self._read_stream(timeout_s)
            return self._read_message(timeout_s)
        except self._visa_error as error:
            if error.error_code == self._timeout_code:
                return b""
            raise ConnectionResetError(str(error)) from error

    def _read_socket(self, raw: socket.socket, timeout_s: float) -> bytes:
        # Look first: pyvisa-py spins until its timeout on a connection that the peer has closed
        if not select.select([raw], [], [], timeout_s)[0]:
            return b""
        there = len(raw.recv(4096, socket.MSG_PEEK))
        if there == 0:
            raise ConnectionResetError("the peer closed the connection")
        arrived: bytes = self._resource.read_bytes(there)
        return arrived

    def _read_stream(self, timeout_s: float) -> bytes:
        deadline = REAL.now() + timeout_s
        while True:
            waiting = getattr(self._resource, "bytes_in_buffer", 0)
            if waiting or REAL.now() < deadline:
                try:
                    first: bytes = self._resource.read_bytes(waiting or 1)
                except self._visa_error as error:
                    if error.error_code != self._timeout_code:
                        raise
                else:
                    return first
            if REAL.now() >= deadline:
                return b""

    def _read_message(self, timeout_s: float) -> bytes:
        # To read where nothing is to be said is itself an error on GPIB (query unterminated)
        if timeout_s == 0 and not self._resource.read_stb() & MESSAGE_AVAILABLE:
            return b""
        self._resource.timeout = max(1, round(1000 * timeout_s))
        message: bytes = self._resource.read_raw()
        return message


def _socket_of(resource: Any) -> socket.socket | None:
    """Return the socket below a SOCKET resource of pyvisa-py, None for everything else."""
    sessions = getattr(resource.visalib, "sessions", {})
    interface = getattr(sessions.get(resource.session), "interface", None)
    return interface if isinstance(interface, socket.socket) else None

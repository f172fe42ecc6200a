"""Instruments on a serial port."""

import os
from typing import TYPE_CHECKING

from drivers.clock import RealClock
from drivers.link import Framing
from drivers.serial_format import EIGHT_N_ONE, SerialFormat
from drivers.serial_ports import device_of
from drivers.stream_link import StreamLink

__all__ = ["SerialLink", "pulse_rts", "refuse_others"]

if TYPE_CHECKING:
    from serial import Serial

REAL = RealClock()  # timeouts of the operating system are real time, whatever the clock

SLICE_S = 0.02  # the port's own timeout, set once
WRITE_TIMEOUT_S = 0.5
DWELL_S = 0.05  # before and after the purge

# They stay exclusive after a killed program, as long as their other end is open; no modem lines
PSEUDO_TERMINALS = "/dev/pts/"


class SerialLink(StreamLink):
    """A serial port, opened at once and for ourselves alone. Raises LinkClosed.

    port: its device, or usb:SERIALNUMBER of its adapter, which is looked for at each opening.

    Everything is set when the port is opened and never again: a pseudo-terminal accepts 7 data
    bits or parity then, but fails at any later change, even of a timeout.
    """

    def __init__(self, port: str, framing: Framing, serial: SerialFormat = EIGHT_N_ONE) -> None:
        super().__init__(f"serial://{port}", framing)
        self._name = port
        self._format = serial
        self.open()

    def _place(self) -> str:
        return f"serial://{os.path.realpath(device_of(self._name))}"

    def _connect(self) -> None:
        from serial import Serial  # noqa: PLC0415 - only who has a serial port pays for it

        device = device_of(self._name)
        try:
            self._port = Serial(
                device,
                baudrate=self._format.baud_rate,
                bytesize=self._format.data_bits,
                parity=self._format.parity,
                stopbits=self._format.stop_bits,
                timeout=SLICE_S,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,  # against programs that ask for it too
            )
        except _refusals() as error:
            raise OSError(f"{self._format}: {error}") from error
        if os.path.realpath(device).startswith(PSEUDO_TERMINALS):
            return
        if os.name == "posix":
            refuse_others(self._port.fileno())
        if self._format.pulses_rts:
            pulse_rts(self._port)

    def _disconnect(self) -> None:
        self._port.close()

    def _write(self, message: bytes) -> None:
        self._port.write(message)

    def _read(self, timeout_s: float) -> bytes:
        deadline = REAL.now() + timeout_s
        while True:
            waiting = self._port.in_waiting
            if waiting or REAL.now() < deadline:
                # Sleeps in the system for one slice at most, until the first byte is there
                arrived: bytes = self._port.read(waiting or 1)
                if arrived:
                    return arrived
            if REAL.now() >= deadline:
                return b""


def pulse_rts(port: "Serial") -> None:
    """Wake what sleeps behind an FTDI adapter, and drop what was in the buffers before."""
    port.rts = True
    REAL.wait(DWELL_S)
    port.reset_input_buffer()
    port.reset_output_buffer()
    REAL.wait(DWELL_S)
    port.rts = False


def _refusals() -> tuple[type[Exception], ...]:
    """Return how a port says that it can't have this format, where that is no OSError."""
    if os.name != "posix":
        return (ValueError,)
    import termios  # noqa: PLC0415 - not on Windows

    return ValueError, termios.error


def refuse_others(terminal: int) -> None:
    """Let the system refuse every other program (but root's) that opens this terminal."""
    import fcntl  # noqa: PLC0415 - not on Windows, where ports are exclusive by themselves
    import termios  # noqa: PLC0415

    fcntl.ioctl(terminal, termios.TIOCEXCL)

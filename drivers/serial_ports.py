"""The serial ports of this computer, by the serial number of their USB adapter.

The number of a port (COM3, ttyUSB0) follows the order of plugging in; the adapter's own serial
number stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BY_USB", "SerialPort", "device_of", "serial_ports"]

BY_USB = "usb:"


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One port; usb_serial is empty where it is not behind USB, or its adapter has no number."""

    device: str
    description: str
    usb_serial: str

    @property
    def address(self) -> str:
        """Return the address for a station file, by USB serial number if there is one."""
        return f"serial://{BY_USB}{self.usb_serial}" if self.usb_serial else self.path_address

    @property
    def path_address(self) -> str:
        return f"serial://{self.device}"


def serial_ports() -> tuple[SerialPort, ...]:
    """Return all ports, sorted; none is opened."""
    from serial.tools import list_ports  # noqa: PLC0415 - only who has a serial port pays for it

    ports = (
        SerialPort(port.device, port.description or "", port.serial_number or "")
        for port in list_ports.comports()
    )
    return tuple(sorted(ports, key=lambda port: port.device))


def device_of(port: str, ports: Iterable[SerialPort] | None = None) -> str:
    """Return the device of a port, which may be given as usb:SERIALNUMBER.

    Raises ConnectionError if no port, or more than one, has this number.
    """
    if not port.startswith(BY_USB):
        return port
    wanted = port.removeprefix(BY_USB)
    there = tuple(serial_ports() if ports is None else ports)
    found = [candidate.device for candidate in there if candidate.usb_serial == wanted]
    if len(found) > 1:
        raise ConnectionError(
            f"USB serial number {wanted} is at {' and '.join(found)}: use serial://DEVICE instead"
        )
    if not found:
        others = [candidate.usb_serial for candidate in there if candidate.usb_serial]
        known = f"there are {', '.join(others)}" if others else "no port here has one"
        raise ConnectionError(f"no port with USB serial number {wanted}: {known}")
    return found[0]

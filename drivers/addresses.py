"""Open the line that an address of the station file names.

    tcp://host:port                    socket
    serial:///dev/ttyUSB0?baud=57600&format=7O1   (serial://COM3 on Windows)
    serial://usb:DK0AHAJZ                          the port whose USB adapter has this serial number
    visa://GPIB0::12::INSTR?library=@py            any VISA resource
    ws://host:port                     websocket
    process://andor                    camera SDK (andor, picam) in a process of its own

What the query leaves out comes from the instrument's factory setting.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from drivers.link import Framing, Link
from drivers.serial_format import EIGHT_N_ONE, SerialFormat

__all__ = ["OPENERS", "AddressError", "Opener", "open_link"]

SDKS = ("andor", "picam")
Opener = Callable[[str, Framing, SerialFormat], Link]


class AddressError(ValueError):
    """The address says nothing that can be opened."""


def open_link(
    address: str,
    framing: Framing,
    serial: SerialFormat = EIGHT_N_ONE,
    openers: Mapping[str, Opener] | None = None,
) -> Link:
    """Open the link. Raises AddressError for what is not an address, LinkClosed for a dead one.

    serial: the factory setting of the instrument, where the address doesn't say.
    openers: a function of (address, framing, serial) for each scheme; OPENERS by default.
    """
    table = OPENERS if openers is None else openers
    scheme = address.partition("://")[0]
    if "://" not in address or scheme not in table:
        raise AddressError(f"address {address!r}: expected {', '.join(f'{s}://' for s in table)}")
    return table[scheme](address, framing, serial)


def _open_tcp(address: str, framing: Framing, _: SerialFormat) -> Link:
    from drivers.socket_link import SocketLink  # noqa: PLC0415

    host, port = _host_and_port(address)
    return SocketLink(host, port, framing)


def _open_websocket(address: str, _: Framing, __: SerialFormat) -> Link:
    from drivers.websocket_link import WebsocketLink  # noqa: PLC0415

    _host_and_port(address)
    return WebsocketLink(address)


def _open_serial(address: str, framing: Framing, serial: SerialFormat) -> Link:
    from drivers.serial_link import SerialLink  # noqa: PLC0415

    port, query = _body_and_query(address, {"baud", "format"})
    return SerialLink(port, framing, _serial_format(address, query, serial))


def _open_visa(address: str, framing: Framing, serial: SerialFormat) -> Link:
    from drivers.visa_link import VisaLink  # noqa: PLC0415

    resource, query = _body_and_query(address, {"baud", "format", "library"})
    serial = _serial_format(address, query, serial)
    return VisaLink(resource, framing, serial, query.get("library", ""))


def _open_process(address: str, _: Framing, __: SerialFormat) -> Link:
    from drivers.process_link import ProcessLink  # noqa: PLC0415

    sdk, _query = _body_and_query(address, set())
    if sdk not in SDKS:
        raise AddressError(f"address {address!r}: expected process:// and {' or '.join(SDKS)}")
    return ProcessLink("drivers.camera_process", [sdk])


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"address {address!r}: {error}") from error
    scheme = parts.scheme
    if not host or not port or parts.path not in ("", "/") or parts.query:
        raise AddressError(f"address {address!r}: expected {scheme}://host:port")
    return host, port


def _body_and_query(address: str, allowed: set[str]) -> tuple[str, dict[str, str]]:
    body, _, query = address.partition("://")[2].partition("?")
    try:
        settings = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise AddressError(f"address {address!r}: {error}") from error
    unknown = sorted(set(settings) - allowed)
    if not body or unknown:
        what = f"unknown {', '.join(unknown)}" if unknown else "names no port"
        raise AddressError(f"address {address!r}: {what}; allowed: {', '.join(sorted(allowed))}")
    return body, settings


def _serial_format(address: str, query: Mapping[str, str], factory: SerialFormat) -> SerialFormat:
    frame = query.get("format", f"{factory.data_bits}{factory.parity}{factory.stop_bits}")
    try:
        chosen = SerialFormat.parse(int(query.get("baud", factory.baud_rate)), frame)
    except ValueError as error:
        raise AddressError(f"address {address!r}: {error}") from error
    return replace(chosen, pulses_rts=factory.pulses_rts)


OPENERS: Mapping[str, Opener] = MappingProxyType(
    {
        "tcp": _open_tcp,
        "serial": _open_serial,
        "visa": _open_visa,
        "ws": _open_websocket,
        "process": _open_process,
    }
)

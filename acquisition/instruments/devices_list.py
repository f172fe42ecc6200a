"""What answers at an address, asked for its name and nothing else, and what to write about it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from acquisition.configuration.station_file import StationConfig
from acquisition.instruments.laboratory import Laboratory
from acquisition.instruments.open_station import answers_as, instruments_of, open_instrument
from drivers.addresses import OPENERS, Opener
from drivers.clock import Clock
from drivers.connections import Connections
from drivers.errors import DeviceError
from drivers.line import Line
from drivers.link import Whole
from drivers.registry import Model, known_models, model
from drivers.roles import Identity
from drivers.sdk_camera import SdkClient
from drivers.serial_ports import serial_ports

__all__ = ["Answer", "port_lines", "station_lines", "told", "who_answers"]

PATIENCE_S = 0.3  # for a name; every instrument here gives it within 50 ms
SECTIONS = {
    "TemperatureController": "cryostat",
    "Spectrograph": "spectrograph",
    "Camera": "camera",
    "RotationStage": "polarizer",
    "Shutter": "shutter",
    "BiasSupply": "bias",
    "PressureGauge": "gauge",
    "PowerMeter": "power_meter",
    "Selector": "selector",
    "Switch": "switch",
    "Positioner": "positioner",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answers, and the model that fits; empty if there is no driver for it."""

    address: str
    identity: Identity
    model: str

    @property
    def entry(self) -> str:
        """Return what to write into a station file, without the section's further keys."""
        if not self.model:
            return "# no driver here answers to this name"
        lines = [
            f"[{SECTIONS[model(self.model).role.__name__]}]",
            f'model = "{self.model}"',
            f'address = "{self.address}"',
        ]
        serial = self.identity.serial.partition("/")[0]
        return "\n".join([*lines, f'serial = "{serial}"'] if serial else lines)


def port_lines() -> Iterator[str]:
    """Yield one line per serial port of this computer; none is opened."""
    ports = serial_ports()
    if not ports:
        yield "no serial ports"
    for port in ports:
        at = "" if port.address == port.path_address else f"  ({port.device})"
        yield f"{port.address}{at}  {port.description}".rstrip()


def station_lines(station: StationConfig, laboratory: Laboratory) -> Iterator[str]:
    """Yield one line per instrument of a station file: who answers, or why nobody does."""
    for name, section in instruments_of(station).items():
        if section.address.startswith("process://"):
            found = "not asked: to open a camera's SDK would set its detector temperature"
        else:
            try:
                found = told(open_instrument(station, name, laboratory.connections).identify())
            except (DeviceError, LookupError, ValueError) as error:
                found = f"{type(error).__name__}: {error}"
        yield f"{name}  {section.model}  {section.address}  {found}"


def told(identity: Identity) -> str:
    """Return an identity as one line."""
    repeated = identity.model.startswith(identity.manufacturer)
    parts = ("" if repeated else identity.manufacturer, identity.model)
    firmware = f", firmware {identity.firmware}" if identity.firmware else ""
    return f"{' '.join(part for part in parts if part)}, serial {identity.serial}{firmware}"


def who_answers(
    address: str, clock: Clock, openers: Mapping[str, Opener] = OPENERS
) -> list[Answer]:
    """Ask for a name in the way of every model that can be at such an address; [] if silent.

    Nothing but the models' own questions for a name is sent. A bus answers for the modules at its
    default addresses. Raises LinkClosed if the line can't be opened, AddressError.
    """
    answers: list[Answer] = []
    asked: dict[tuple[object, ...], Identity | None] = {}
    lines: list[object] = []
    # What *IDN? identifies gets no stranger questions; the sort keeps the order otherwise
    for name in sorted(known_models(), key=lambda name: model(name).line != Line.configured):
        kind = model(name)
        if not _can_be_at(kind, address) or (lines and kind.line not in lines):
            continue
        key = _key(name, kind)
        if key not in asked:
            asked[key] = _identity(name, kind, address, clock, openers)
        identity = asked[key]
        if identity is not None and answers_as(name, identity):
            answers.append(Answer(address, identity, name))
            lines.append(kind.line)
    strangers = (identity for identity in asked.values() if identity is not None)
    return answers or [Answer(address, stranger, "") for stranger in strangers][:1]


def _key(name: str, kind: Model) -> tuple[object, ...]:
    """Return what makes two models ask the same question over the same kind of line."""
    if kind.line != Line.configured:
        return (name,)
    return type(kind.framing), vars(kind.framing).get("terminator"), kind.serial


def _can_be_at(kind: Model, address: str) -> bool:
    scheme = address.partition("://")[0]
    of_messages = isinstance(kind.framing, Whole)
    has_wire = scheme != "process" and kind.line != SdkClient.configured
    return has_wire and (scheme == "sim" or (scheme == "ws") == of_messages)


def _identity(
    name: str, kind: Model, address: str, clock: Clock, openers: Mapping[str, Opener]
) -> Identity | None:
    config: Any = kind.config(timeout_s=PATIENCE_S)
    with closing(Connections(clock, openers)) as connections:
        device = connections.connect(name, name, address, config)
        try:
            return device.identify()
        except DeviceError:
            return None

"""The open lines of a station."""

from collections.abc import Mapping
from typing import Any

from drivers.addresses import OPENERS, Opener, open_link
from drivers.clock import Clock
from drivers.link import Link
from drivers.registry import Model, model
from drivers.roles import Device

__all__ = ["Connections"]


class Connections:
    """Open every address once; the instruments behind one address share its line."""

    def __init__(self, clock: Clock, openers: Mapping[str, Opener] = OPENERS) -> None:
        self._clock = clock
        self._openers = openers
        self._lines: dict[str, tuple[Model, Any]] = {}
        self._links: list[Link] = []

    def connect(self, name: str, model_name: str, address: str, config: Any = None) -> Device:
        """Return the instrument behind an address; nothing on it changes.

        config: an instance of the model's configuration, its defaults if None.
        Raises LookupError, AddressError, LinkClosed, ValueError if two instruments at one address
        don't speak over the same kind of line, TypeError for another model's configuration.
        """
        kind = model(model_name)
        config = kind.config() if config is None else config
        if not isinstance(config, kind.config):
            raise TypeError(f"{name}: {model_name} takes a {kind.config.__name__}, got {config!r}")
        return kind.driver(name, self._line(name, kind, address, config), self._clock, config)

    def close(self) -> None:
        """Close every line; nothing on an instrument changes."""
        for link in self._links:
            link.close()
        self._links.clear()
        self._lines.clear()

    def _line(self, name: str, kind: Model, address: str, config: Any) -> Any:
        if address not in self._lines:
            link = open_link(address, kind.framing, kind.serial, self._openers)
            self._links.append(link)
            owner = address if kind.shared else name
            self._lines[address] = kind, kind.line(owner, link, self._clock, config)
            return self._lines[address][1]
        first, line = self._lines[address]
        if not kind.shared or kind.line != first.line:
            raise ValueError(f"{name}: {address} already belongs to a {first.name}")
        return line

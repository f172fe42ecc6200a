"""Which instrument models there are, found by name.

A driver file registers its models under names that begin with the file's own name, up to an
underscore ("lakeshore.336" in lakeshore.py, "keithley.2470" in keithley_2470.py), so that looking
one up imports that vendor's files and no other.
A model from elsewhere is registered by importing its module first.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

import drivers
from drivers.clock import Clock
from drivers.link import Framing, Link
from drivers.roles import Device
from drivers.serial_format import EIGHT_N_ONE, SerialFormat

__all__ = ["Model", "known_models", "model", "register"]

Line = Any  # an instrument's end of a link: a Line, a bus, a websocket client
Driver = Callable[[str, Any, Clock, Any], Device]
DriverClass = TypeVar("DriverClass", bound=Driver)


@dataclass(frozen=True, slots=True)
class Model:
    """How to drive one instrument model.

    config: a frozen dataclass, every field with a default, units in the names.
    line: makes the instrument's end of a link from (name, link, clock, config); if `shared`, one
    for all instruments at the same address.
    driver: makes the instrument from (name, line, clock, config).
    serial: the factory setting, used where an address is a serial port.
    """

    name: str
    role: type
    config: type
    framing: Framing
    line: Callable[[str, Link, Clock, Any], Line]
    driver: Driver
    shared: bool = False
    serial: SerialFormat = EIGHT_N_ONE


_models: dict[str, Model] = {}


def register(
    name: str,
    role: type,
    *,
    config: type,
    framing: Framing,
    line: Callable[[str, Link, Clock, Any], Line],
    shared: bool = False,
    serial: SerialFormat = EIGHT_N_ONE,
) -> Callable[[DriverClass], DriverClass]:
    """Register the decorated driver class under "vendor.model". Raises ValueError if taken."""

    def add(driver: DriverClass) -> DriverClass:
        if name in _models:
            raise ValueError(f"instrument model {name!r} is registered twice")
        _models[name] = Model(name, role, config, framing, line, driver, shared, serial)
        return driver

    return add


def model(name: str) -> Model:
    """Return the model of that name. Raises LookupError with what was probably meant."""
    if name not in _models:
        _import_driver_files(name.partition(".")[0])
    if name not in _models:
        known = known_models()
        meant = get_close_matches(name, known, n=1)
        hint = f"did you mean {meant[0]!r}?" if meant else f"known: {', '.join(known)}"
        raise LookupError(f"unknown instrument model {name!r}: {hint}")
    return _models[name]


def known_models() -> list[str]:
    """Import every driver file and return the names of all models, sorted."""
    _import_driver_files()
    return sorted(_models)


def _driver_files() -> list[str]:
    # Files named pymeasure_* hold no role, only the instruments' vocabulary, and are slow to import
    names = [module.name for module in pkgutil.iter_modules(drivers.__path__)]
    # and a file named *_process is a program of its own
    others = ("adapter", *(name for name in names if name.endswith("_process")))
    return [name for name in names if not name.startswith("pymeasure_") and name not in others]


def _import_driver_files(vendor: str | None = None) -> None:
    for file in _driver_files():
        if vendor is None or file == vendor or file.startswith(f"{vendor}_"):
            importlib.import_module(f"drivers.{file}")

"""Our pymeasure classes keep the rules by which pymeasure checks its own instruments.

The rules are those of pymeasure's tests/instruments/test_all_instruments.py: a constructor of
adapter and name that hands further keywords on, no traffic while constructing, properties whose
docstring begins with what they do.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from pymeasure.instruments import Channel, Instrument

import drivers

BEGINNINGS = ("Control ", "Measure ", "Get ", "Set ")


def ours() -> Iterator[type]:
    """Yield every pymeasure class that our files define."""
    for file in pkgutil.iter_modules(drivers.__path__):
        if file.name.startswith("pymeasure_"):
            module = importlib.import_module(f"drivers.{file.name}")
            for _, found in inspect.getmembers(module, inspect.isclass):
                is_pymeasure = issubclass(found, Instrument | Channel)
                if is_pymeasure and found.__module__ == module.__name__:
                    yield found


CLASSES = list(ours())
INSTRUMENTS = [found for found in CLASSES if issubclass(found, Instrument)]
PROPERTIES = [
    (found, name, value)
    for found in CLASSES
    for name, value in vars(found).items()
    if isinstance(value, property) and not name.startswith("_")
]


def test_the_classes_are_found() -> None:
    names = {found.__name__ for found in INSTRUMENTS}
    assert {"ELL14", "ELL6", "Keithley2410", "LakeShore336", "MercuryiTC"} <= names
    assert len(PROPERTIES) > 30


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_it_is_constructed_of_an_adapter_and_says_nothing(instrument: Any) -> None:
    adapter = MagicMock()
    found = instrument(adapter)
    assert found.adapter is adapter
    assert found.name
    assert not [call for call in adapter.method_calls if "write" in call[0] or "read" in call[0]]


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_name_and_further_keywords_are_handed_on(instrument: Any) -> None:
    assert instrument(MagicMock(), name="the one").name == "the one"
    parameters = inspect.signature(instrument.__init__).parameters.values()
    assert [p.name for p in parameters][:3] == ["self", "adapter", "name"]
    assert any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


@pytest.mark.parametrize(
    ("owner", "name", "value"), PROPERTIES, ids=[f"{o.__name__}.{n}" for o, n, _ in PROPERTIES]
)
def test_a_property_says_first_what_it_does(owner: type, name: str, value: property) -> None:
    text = value.__doc__ or ""
    assert text.startswith(BEGINNINGS), f"{owner.__name__}.{name}: {text[:60]!r}"
    assert re.match(r"[^.]+\(.*\)|[^.]+\.", text), f"{owner.__name__}.{name} has no first sentence"

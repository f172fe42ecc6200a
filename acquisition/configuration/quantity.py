"""Physical quantities: as a person writes them ("100 kV/cm"), and as floats to compute with.

The unit of a field is the end of its name: `gap_um` is written `gap = "10 um"` in a file and is a
float in micrometres everywhere else. Pint does the conversions and is loaded when the first one
is needed.
"""

import re
from functools import cache
from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from acquisition.configuration.refusal import refusal

__all__ = [
    "NotNegative",
    "Positive",
    "Quantity",
    "key_of",
    "parse_quantity",
    "unit_of",
]

# Unit at the end of a field's name: as it is written, and an example for the error message.
_UNITS = {
    "K_per_min": ("K/min", "2 K/min"),
    "kV_per_cm": ("kV/cm", "100 kV/cm"),
    "deg_per_s": ("deg/s", "430 deg/s"),
    "V_per_s": ("V/s", "5 V/s"),
    "mbar": ("mbar", "1e-5 mbar"),
    "K": ("K", "5.5 K"),
    "C": ("degC", "-70 degC"),
    "V": ("V", "100 V"),
    "A": ("A", "100 nA"),
    "W": ("W", "2 uW"),
    "ohm": ("ohm", "10 Mohm"),
    "deg": ("deg", "30 deg"),
    "eV": ("eV", "2.28 eV"),
    "um": ("um", "10 um"),
    "nm": ("nm", "545 nm"),
    "s": ("s", "50 ms"),
}
_SUFFIX = re.compile("_(" + "|".join(_UNITS) + ")$")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SYMBOL = r"[A-Za-zµμ°Ω]+"
_WRITTEN = re.compile(rf"\s*({_NUMBER})\s*({_SYMBOL}(?:/{_SYMBOL})*)\s*")


def unit_of(field_name: str) -> str:
    """Return the unit in which the field is a float. Raises KeyError if its name carries none."""
    match = _SUFFIX.search(field_name)
    if match is None:
        raise KeyError(f"the field name {field_name} does not end in a unit")
    return _UNITS[match[1]][0]


def key_of(field_name: str) -> str:
    """Return the key under which a file gives the field: its name without the unit."""
    return _SUFFIX.sub("", field_name)


def parse_quantity(written: object, unit: str) -> float:
    """Return the written quantity as a float in that unit.

    Raises PydanticCustomError, which says what is allowed, for a bare number, a unit of another
    dimension, and everything that is not finite.
    """
    match = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise _refusal(unit)
    value = _convert(float(match[1]), match[2], unit)
    if not isfinite(value):
        raise _refusal(unit)
    return value


def _parse_field(written: object, info: ValidationInfo) -> float:
    assert info.field_name is not None  # noqa: S101 - quantities occur in models only
    return parse_quantity(written, unit_of(info.field_name))


Quantity = Annotated[float, BeforeValidator(_parse_field)]
Positive = Annotated[Quantity, Field(gt=0)]
NotNegative = Annotated[Quantity, Field(ge=0)]


def _refusal(unit: str) -> PydanticCustomError:
    example = next((text for symbol, text in _UNITS.values() if symbol == unit), f"1 {unit}")
    return refusal(f'a finite number with a unit that converts to {unit}, such as "{example}"')


def _convert(value: float, written_unit: str, unit: str) -> float:
    if written_unit == unit:
        return value
    registry, pint_error = _pint()
    try:
        converted = registry.Quantity(value, written_unit).to(unit).magnitude
    except pint_error as error:
        raise _refusal(unit) from error
    return float(f"{converted:.12g}")  # 0.1 mm is 100 um, not 100.00000000000001 um


@cache
def _pint() -> tuple[Any, type[Exception]]:
    """Load pint: half a second of which a file that needs no conversion is spared."""
    import pint  # noqa: PLC0415

    return pint.UnitRegistry(), pint.PintError

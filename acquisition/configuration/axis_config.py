"""One axis of a sweep: what is varied, through which values, in which order, settled how.

A new axis is one row of AXIS_KINDS, a setpoint field of Point, and whatever moves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from acquisition.configuration.axis_points import read_points
from acquisition.configuration.config_model import ConfigModel
from acquisition.configuration.quantity import NotNegative, Positive, parse_quantity
from acquisition.configuration.refusal import refusal
from acquisition.configuration.settle import OnTimeout, SettleCriterion

__all__ = ["AXIS_KINDS", "AxisConfig", "AxisKind", "AxisQuantity", "Order", "SettleConfig"]


class AxisQuantity(Enum):
    TEMPERATURE = "temperature"
    FIELD = "field"
    BIAS = "bias"
    POLARIZATION = "polarization"
    REPEAT = "repeat"


class Order(Enum):
    """In which order one pass through the axis takes its values."""

    UP = "up"
    DOWN = "down"
    SNAKE = "snake"  # up and down in turn, so that no pass begins with a jump
    INTERLEAVED = "interleaved"  # every second value, then those left out
    RANDOM = "random"
    RETURN_TO_ZERO = "return to zero"  # 0, +a, 0, -a, 0, +b, ...


@dataclass(frozen=True, slots=True)
class AxisKind:
    """What there is to know about a quantity that can be swept.

    setpoint: the field of Point that it sets. needs: the section of the station that moves it.
    is_series: a pass is measured in one go and ends with its first value once more, unless the
    sweep says otherwise.
    """

    setpoint: str
    unit: str
    settle: SettleCriterion
    needs: str | None = None
    is_series: bool = False
    can_return_to_zero: bool = False


AXIS_KINDS: Mapping[AxisQuantity, AxisKind] = MappingProxyType(
    {
        AxisQuantity.TEMPERATURE: AxisKind(
            "temperature_K", "K", SettleCriterion(0.1, 180.0, 0.05, 900.0), needs="cryostat"
        ),
        AxisQuantity.FIELD: AxisKind(
            "field_kV_per_cm",
            "kV/cm",
            SettleCriterion(0.5, 1.0),
            needs="bias",
            can_return_to_zero=True,
        ),
        AxisQuantity.BIAS: AxisKind(
            "voltage_V", "V", SettleCriterion(0.1, 1.0), needs="bias", can_return_to_zero=True
        ),
        AxisQuantity.POLARIZATION: AxisKind(
            "angle_deg", "deg", SettleCriterion(0.2), needs="polarizer", is_series=True
        ),
        AxisQuantity.REPEAT: AxisKind("repeat", "", SettleCriterion(0.5)),
    }
)


def _tolerance(written: object, info: ValidationInfo) -> float:
    return parse_quantity(written, _axis_unit(info))


def _drift(written: object, info: ValidationInfo) -> float:
    return parse_quantity(written, f"{_axis_unit(info)}/min")


def _axis_unit(info: ValidationInfo) -> str:
    return str((info.context or {})["unit"])


class SettleConfig(ConfigModel):
    """What differs from the kind's criterion; tolerance and drift per minute in its unit."""

    tolerance: Annotated[float, BeforeValidator(_tolerance), Field(gt=0)] | None = None
    drift: Annotated[float, BeforeValidator(_drift), Field(gt=0)] | None = None
    inside_s: NotNegative | None = None
    progress_timeout_s: Positive | None = None
    on_timeout: OnTimeout | None = None


class AxisConfig(ConfigModel):
    """One `[[axis]]`; the first of a file is the outermost.

    points: in the kind's unit, whatever unit the file uses. block: the rows of one pass (of one
    cycle, where it returns to zero) are measured in one go, and again as a whole on resume.
    repeat_first: a pass ends with its first value once more, to see whether anything drifted.
    """

    quantity: AxisQuantity
    unit: str = Field("", validate_default=True)
    points: tuple[float, ...]
    order: Order = Order.UP
    block: bool | None = None
    repeat_first: bool | None = None
    settle: SettleConfig = SettleConfig.model_validate({})

    @property
    def kind(self) -> AxisKind:
        return AXIS_KINDS[self.quantity]

    @property
    def is_block(self) -> bool:
        returns = self.order is Order.RETURN_TO_ZERO
        return (self.kind.is_series or returns) if self.block is None else self.block

    @property
    def repeats_first(self) -> bool:
        return self.kind.is_series if self.repeat_first is None else self.repeat_first

    @property
    def criterion(self) -> SettleCriterion:
        default, own = self.kind.settle, self.settle
        return SettleCriterion(
            tolerance=_given(own.tolerance, default.tolerance),
            inside_s=_given(own.inside_s, default.inside_s),
            drift_per_min=_given(own.drift, default.drift_per_min),
            progress_timeout_s=_given(own.progress_timeout_s, default.progress_timeout_s),
            on_timeout=own.on_timeout or default.on_timeout,
        )

    @field_validator("unit")
    @classmethod
    def _unit_of_the_quantity(cls, unit: str, info: ValidationInfo) -> str:
        kind = _kind(info)
        if kind is not None and kind.unit:
            _check_unit(unit, kind)
        elif unit:
            raise refusal("no unit: this axis only counts")
        return unit

    @field_validator("points", mode="before")
    @classmethod
    def _read_points(cls, written: object, info: ValidationInfo) -> object:
        kind, unit = _kind(info), info.data.get("unit")
        if kind is None or unit is None:
            return ()  # the mistake is there and is reported; here nothing can be said
        points = read_points(written, unit)
        if unit == kind.unit:
            return points
        return tuple(_in_kind_unit(value, unit, kind) for value in points)

    @field_validator("order")
    @classmethod
    def _order_of_the_quantity(cls, order: Order, info: ValidationInfo) -> Order:
        kind = _kind(info)
        if order is Order.RETURN_TO_ZERO and kind is not None and not kind.can_return_to_zero:
            others = ", ".join(o.value for o in Order if o is not Order.RETURN_TO_ZERO)
            raise refusal(f"one of {others}", order.value)
        return order

    @field_validator("settle", mode="before")
    @classmethod
    def _settle_in_the_unit(cls, written: object, info: ValidationInfo) -> object:
        kind = _kind(info)
        if kind is None:
            return SettleConfig.model_validate({})  # the quantity is reported
        return SettleConfig.model_validate(written, context={"unit": kind.unit})


def _kind(info: ValidationInfo) -> AxisKind | None:
    quantity = info.data.get("quantity")
    return AXIS_KINDS[quantity] if quantity else None


def _check_unit(unit: str, kind: AxisKind) -> None:
    try:
        _in_kind_unit(1.0, unit, kind)
    except PydanticCustomError as error:
        raise refusal(f'a unit that converts to {kind.unit}, such as "{kind.unit}"') from error


def _in_kind_unit(value: float, unit: str, kind: AxisKind) -> float:
    return parse_quantity(f"{value!r} {unit}", kind.unit)


def _given(own: float | None, default: float) -> float:
    return default if own is None else own

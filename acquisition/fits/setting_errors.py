"""How exactly what was swept is known: a stage or a supply is content within its tolerance."""

from math import sqrt

from acquisition.configuration.axis_config import AXIS_KINDS, AxisQuantity
from acquisition.configuration.electrodes import electrodes_of
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig

__all__ = ["angle_error_deg", "field_error_kV_per_cm"]

_EVENLY = 1.0 / sqrt(3.0)  # standard deviation of what lies evenly within +-1


def angle_error_deg(station: StationConfig) -> float:
    """Return the error of a polarization angle, 0 without a stage."""
    polarizer = station.polarizer
    if polarizer is None:
        return 0.0
    turned = 1.0 if polarizer.rotates == "analyser" else 2.0
    return _EVENLY * turned * polarizer.tolerance_deg


def field_error_kV_per_cm(station: StationConfig, sweep: SweepConfig) -> float:
    """Return the error of a field, 0 where none is swept."""
    if sweep.axis_of(AxisQuantity.FIELD) is not None:
        return _EVENLY * _tolerance(sweep, AxisQuantity.FIELD)
    electrodes = electrodes_of(sweep.sample, station.bias)
    if sweep.axis_of(AxisQuantity.BIAS) is None or electrodes is None:
        return 0.0
    return _EVENLY * abs(electrodes.field_kV_per_cm(_tolerance(sweep, AxisQuantity.BIAS)))


def _tolerance(sweep: SweepConfig, quantity: AxisQuantity) -> float:
    axis = sweep.axis_of(quantity)
    return AXIS_KINDS[quantity].settle.tolerance if axis is None else axis.criterion.tolerance

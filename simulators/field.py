"""From the voltage across the gap to the field at the nanocrystal."""

from math import pi, sqrt

from simulators.truth import ElectrodesTruth

__all__ = ["field_kV_per_cm"]

KV_PER_CM_IN_V_PER_UM = 10.0


def field_kV_per_cm(electrodes: ElectrodesTruth, gap_voltage_V: float) -> float:
    """Return the nominal applied field, with the sign of the wiring.

    Parallel plates: V/d. Thin coplanar half-planes: V / (pi sqrt((d/2)^2 - x^2)), by conformal
    mapping, 2/pi of V/d at mid-gap and divergent at the edges.
    """
    signed_V = electrodes.polarity * gap_voltage_V
    if electrodes.geometry == "coplanar":
        half_um = electrodes.gap_um / 2.0
        length_um = pi * sqrt(half_um**2 - electrodes.position_um**2)
        return KV_PER_CM_IN_V_PER_UM * signed_V / length_um
    return KV_PER_CM_IN_V_PER_UM * signed_V / electrodes.gap_um

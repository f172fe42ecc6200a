"""From the voltage at the electrodes to the field at the nanocrystal, and what both may be.

Parallel plates: V/d everywhere. Thin coplanar electrodes with gap d: at x from mid-gap
V / (pi sqrt((d/2)^2 - x^2)), which is 0.6366 V/d in the middle and grows towards the edges, where
the edge radius bounds it. Source: conformal map of two half planes.
"""

from dataclasses import dataclass
from math import inf, pi, sqrt

from acquisition.configuration.station_file import BiasConfig
from acquisition.configuration.sweep_file import SampleConfig

__all__ = ["UNGUARDED_V", "Electrodes", "VoltageLimit", "electrodes_of", "voltage_limit"]

KV_PER_CM = 10.0  # of one V/um
UNGUARDED_V = 20.0  # real supply, bias in the engine's own process
GAS_LIMITS_V = {
    "vacuum": inf,
    "helium": 120.0,  # Paschen minimum of helium, about 156 V, with margin
    "unknown": 100.0,
}


@dataclass(frozen=True, slots=True)
class Electrodes:
    """The geometry; polarity is the sign of the field for a positive voltage, as wired."""

    coplanar: bool
    gap_um: float
    position_um: float = 0.0
    edge_radius_um: float = 0.0
    polarity: int = 1

    def field_kV_per_cm(self, voltage_V: float) -> float:
        """Return the nominal field at the nanocrystal."""
        return self.polarity * voltage_V * self._per_volt(self.position_um)

    def voltage_V(self, field_kV_per_cm: float) -> float:
        """Return the voltage that makes this nominal field at the nanocrystal."""
        return self.polarity * field_kV_per_cm / self._per_volt(self.position_um)

    def highest_field_kV_per_cm(self, voltage_V: float) -> float:
        """Return the size of the field where it is highest: at the edges if coplanar."""
        return abs(voltage_V) * self._per_volt(self.gap_um / 2 - self.edge_radius_um)

    def voltage_at_highest_V(self, field_kV_per_cm: float) -> float:
        """Return the voltage at which the highest field reaches this size."""
        return field_kV_per_cm / self._per_volt(self.gap_um / 2 - self.edge_radius_um)

    def _per_volt(self, position_um: float) -> float:
        """Return kV/cm per V at this distance from mid-gap."""
        if not self.coplanar:
            return KV_PER_CM / self.gap_um
        return KV_PER_CM / (pi * sqrt((self.gap_um / 2) ** 2 - position_um**2))


def electrodes_of(sample: SampleConfig, bias: BiasConfig | None) -> Electrodes | None:
    """Return the sample's electrodes as this supply is wired to them; None if it has none."""
    if sample.electrodes == "none" or sample.gap_um is None:
        return None
    return Electrodes(
        coplanar=sample.electrodes == "coplanar",
        gap_um=sample.gap_um,
        position_um=sample.position_um,
        edge_radius_um=sample.edge_radius_um or 0.0,
        polarity=1 if bias is None else bias.polarity,
    )


@dataclass(frozen=True, slots=True)
class VoltageLimit:
    """The largest size of voltage a run may ask for, and what decides it."""

    volts: float
    reason: str


def voltage_limit(sample: SampleConfig, bias: BiasConfig) -> VoltageLimit:
    """Return the lowest of the limits by field, gas, supply and missing guardian."""
    limits = [
        VoltageLimit(bias.max_voltage_V, "the supply's limit in the station file"),
        VoltageLimit(GAS_LIMITS_V[sample.gas], f"the gas around the electrodes: {sample.gas}"),
    ]
    electrodes = electrodes_of(sample, bias)
    if electrodes is not None and sample.max_field_kV_per_cm is not None:
        limits.append(
            VoltageLimit(
                electrodes.voltage_at_highest_V(sample.max_field_kV_per_cm),
                f"the sample's max_field, {sample.max_field_kV_per_cm:g} kV/cm, where the field "
                f"of its {sample.electrodes} electrodes is highest",
            )
        )
    if not bias.is_simulated:
        limits.append(VoltageLimit(UNGUARDED_V, "a real supply without a guardian"))
    return min(limits, key=lambda limit: limit.volts)

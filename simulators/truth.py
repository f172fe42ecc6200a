"""Everything that is true in the simulated world and that the program has to find out.

All parameters with units and bounds, as one frozen tree. Defaults: the CsPbBr3 and FAPbBr3
nanocrystals of the physics brief, section 7; where it marks a value as an assumption, so it is
here: a free parameter, never a literature value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulators.parameter import (
    check,
    choice,
    flag,
    number,
    numbers,
    optional,
    override,
    whole,
)

__all__ = [
    "BiasTruth",
    "CameraTruth",
    "CryostatTruth",
    "ElectrodesTruth",
    "FlowTruth",
    "FluctuationTruth",
    "NanocrystalTruth",
    "OpticsTruth",
    "PhononTruth",
    "ProfileTruth",
    "StarkTruth",
    "TransitionTruth",
    "Truth",
    "VacuumTruth",
    "cspbbr3",
    "fapbbr3",
    "truth_from_mapping",
]


class _Checked:
    __slots__ = ()

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class FlowTruth(_Checked):
    """Liquid helium from a dewar through a needle valve over the sample stage's heat exchanger.

    Typical of continuous-flow microscopy cryostats; free parameters, not those of one make.
    """

    full_flow_L_per_h: float = number(4.0, "L/h", 0.1, 20.0)  # liquid, valve fully open
    start_valve_percent: float = number(70.0, "%", 0.0, 100.0)
    valve_percent_per_s: float = number(5.0, "%/s", 0.1, 100.0)
    lag_s: float = number(20.0, "s", 0.0, 1e3)  # of the transfer line
    transfer_loss_L_per_h: float = number(0.2, "L/h", 0.0, 5.0)  # evaporates on the way
    exchange_W_per_K: float = number(0.6, "W/K", 1e-3, 10.0)  # of the heat exchanger
    leak_W_per_K: float = number(0.004, "W/K", 0.0, 1.0)  # from the surroundings
    dewar_L: float = number(100.0, "L", 0.0, 1e4)


@dataclass(frozen=True, slots=True)
class CryostatTruth(_Checked):
    """A cold stage, a copper sample stage on a thermal link, two sensors.

    Cooled by a closed cycle; or, without a cold stage, by a flow of helium.
    """

    cooling: str = choice("closed_cycle", "helium_flow")
    flow: FlowTruth = field(default_factory=FlowTruth)
    step_s: float = number(1.0, "s", 0.01, 10.0)  # grid of the plant and of the firmware
    sample_stage_kg: float = number(0.5, "kg", 0.001, 100.0)
    cold_stage_kg: float = number(1.0, "kg", 0.001, 100.0)
    start_K: float = number(4.8, "K", 3.0, 320.0)
    cold_base_K: float = number(3.9, "K", 1.5, 10.0)  # where the cooling power vanishes
    cooling_power_W: float = number(40.0, "W", 0.1, 1e3)  # far above the base
    cooling_scale_K: float = number(60.0, "K", 1.0, 1e3)
    base_drift_K: float = number(0.01, "K", 0.0, 1.0)  # slow, from the compressor
    base_drift_time_s: float = number(1800.0, "s", 10.0, 1e5)
    cold_heat_load_W: float = number(0.3, "W", 0.0, 10.0)
    link_W_per_K: float = number(0.12, "W/K", 1e-4, 10.0)  # far above link_scale_K
    link_scale_K: float = number(30.0, "K", 0.1, 1e3)
    sample_heat_load_W: float = number(0.005, "W", 0.0, 10.0)
    laser_heat_W: float = number(0.005, "W", 0.0, 1.0)  # absorbed at standard power
    warm_leak_W: float = number(5.0, "W", 0.0, 100.0)  # on the cold stage without helium
    ambient_K: float = number(295.0, "K", 270.0, 320.0)
    heater_ohm: float = number(25.0, "ohm", 1.0, 1e3)
    sample_lag_s: float = number(0.5, "s", 0.0, 1e3)  # from the stage to the sample, at 0 K
    sample_lag_s_per_K: float = number(0.8, "s/K", 0.0, 10.0)
    sensor_offset_K: float = number(0.02, "K", -2.0, 2.0)  # control sensor minus stage
    sensor_offset_K_per_K: float = number(0.0015, "K/K", -0.05, 0.05)
    sensor_offset_K_per_W: float = number(0.01, "K/W", -1.0, 1.0)  # it sits by the heater
    sensor_noise_K: float = number(0.001, "K", 0.0, 1.0)
    sensor_noise_K_per_K: float = number(2e-5, "K/K", 0.0, 0.01)


@dataclass(frozen=True, slots=True)
class BiasTruth(_Checked):
    """Series resistor, cable capacitance across the gap, leakage through it."""

    series_ohm: float = number(1e7, "ohm", 1.0, 1e9)
    cable_F: float = number(3e-10, "F", 1e-13, 1e-6)
    leakage_cold_ohm: float = number(1e13, "ohm", 1e3, 1e18)
    leakage_300K_ohm: float = number(1e9, "ohm", 1e3, 1e18)
    leakage_activation_eV: float = number(0.15, "eV", 0.0, 2.0)
    breakdown_V: float | None = optional(None, "V", 1.0, 1e5)  # of gas or gap
    arc_ohm: float = number(1e4, "ohm", 1.0, 1e9)
    arc_holding_V: float = number(5.0, "V", 0.0, 1e3)
    range_spike_fraction: float = number(0.01, "", 0.0, 1.0)  # of the larger of the two ranges
    range_spike_s: float = number(1e-3, "s", 0.0, 1.0)
    current_noise_A: float = number(2e-11, "A", 0.0, 1e-3)
    voltage_noise_V: float = number(2e-4, "V", 0.0, 10.0)


@dataclass(frozen=True, slots=True)
class VacuumTruth(_Checked):
    """The gas around the sample, pumped all the time."""

    base_mbar: float = number(2e-6, "mbar", 1e-12, 2e3)  # exchange gas: some 10 mbar
    start_mbar: float = number(2e-6, "mbar", 1e-12, 2e3)
    pump_time_s: float = number(30.0, "s", 0.1, 1e6)


@dataclass(frozen=True, slots=True)
class ElectrodesTruth(_Checked):
    """Between which electrodes the nanocrystal sits, and which way they are wired."""

    geometry: str = choice("parallel_plate", "coplanar")
    gap_um: float = number(10.0, "um", 0.01, 1e4)
    position_um: float = number(0.0, "um", -1e4, 1e4)  # from mid-gap
    polarity: int = whole(1, "", -1, 1)

    def __post_init__(self) -> None:
        check(self)
        if self.polarity == 0:
            raise ValueError("electrodes: polarity 0 is neither +1 nor -1")
        if abs(self.position_um) >= self.gap_um / 2:
            raise ValueError(
                f"electrodes: position_um {self.position_um} is outside the gap "
                f"(+-{self.gap_um / 2} um)"
            )


@dataclass(frozen=True, slots=True)
class OpticsTruth(_Checked):
    """Rotating element, spectrograph, and the light that is not the nanocrystal's."""

    rotating_element: str = choice("analyser", "half_wave_plate")
    polarizer_zero_deg: float = number(0.0, "deg", -360.0, 360.0)
    polarizer_sense: int = whole(1, "", -1, 1)
    grating_anisotropy: float = number(0.0, "", 0.0, 0.9)  # q; 0: a depolariser follows
    grating_axis_deg: float = number(0.0, "deg", -360.0, 360.0)
    gratings_per_mm: tuple[float, ...] = numbers((1800.0, 2400.0, 300.0), "1/mm", 10.0, 6000.0)
    focal_length_mm: float = number(750.0, "mm", 50.0, 5e3)
    half_included_angle_deg: float = number(8.0, "deg", 0.0, 45.0)
    wavelength_error_nm: float = number(0.012, "nm", -5.0, 5.0)  # true minus reported
    in_air: bool = flag(True)
    laser_nm: float = number(405.0, "nm", 200.0, 2e3)
    laser_uW: float = number(1.0, "uW", 1e-6, 1e6)  # standard power, before the shutter
    start_centre_nm: float = number(518.3, "nm", 200.0, 2e3)
    start_grating: int = whole(0, "", 0, 9)
    numerical_aperture: float = number(0.7, "", 0.0, 0.99)
    laser_scatter_e_per_px_s: float = number(0.03, "e-/px/s", 0.0, 1e6)
    stray_e_per_px_s: float = number(0.02, "e-/px/s", 0.0, 1e6)  # the room's, laser or not
    spot_um: float = number(0.6, "um", 0.05, 100.0)  # 1/e^2 radius of the laser on the sample
    depth_um: float = number(1.5, "um", 0.05, 1e3)  # out of focus, after which half is left
    ripple: float = number(0.0, "", 0.0, 0.5)  # of the detector window
    ripple_period_meV: float = number(0.85, "meV", 0.01, 100.0)

    def __post_init__(self) -> None:
        check(self)
        if self.polarizer_sense == 0:
            raise ValueError("optics: polarizer_sense 0 is neither +1 nor -1")
        if not self.start_grating < len(self.gratings_per_mm):
            raise ValueError(
                f"optics: start_grating {self.start_grating} is not one of "
                f"{len(self.gratings_per_mm)} gratings"
            )


@dataclass(frozen=True, slots=True)
class ProfileTruth(_Checked):
    """The image of the slit: a Gaussian core, a coma tail to the red, Lorentzian wings."""

    core_fwhm_um: float = number(60.0, "um", 0.1, 1e4)  # 0.20 meV at 518 nm, 1800/mm, 750 mm
    tail_weight: float = number(0.10, "", 0.0, 0.5)
    tail_length_cores: float = number(1.0, "core FWHM", 0.0, 20.0)
    wings_weight: float = number(0.01, "", 0.0, 0.5)
    wings_fwhm_cores: float = number(10.0, "core FWHM", 0.0, 100.0)


@dataclass(frozen=True, slots=True)
class CameraTruth(_Checked):
    """A cooled CCD behind the spectrograph."""

    pixels: int = whole(1024, "", 8, 8192)
    rows: int = whole(256, "", 1, 8192)
    pixel_um: float = number(20.0, "um", 1.0, 100.0)
    spot_row: float = number(127.5, "row", 0.0, 8191.0)
    spot_fwhm_rows: float = number(4.0, "rows", 0.1, 1e3)
    offset_counts: float = number(1000.0, "counts", 0.0, 6e4)
    gains_e_per_count: tuple[float, ...] = numbers((1.0, 2.0, 4.0), "e-/count", 0.01, 100.0)
    read_noise_e: tuple[float, ...] = numbers((4.0, 8.0, 16.0), "e-", 0.0, 1e3)  # by speed
    full_well_e: float = number(3e5, "e-", 1e3, 1e7)  # one pixel
    register_well_e: float = number(6e5, "e-", 1e3, 1e7)  # rows binned on the chip
    start_C: float = number(-70.0, "C", -150.0, 40.0)
    cooling_time_s: float = number(120.0, "s", 0.1, 1e5)
    ambient_C: float = number(22.0, "C", -20.0, 40.0)
    dark_e_per_px_s: float = number(0.003, "e-/px/s", 0.0, 1e3)  # at -70 C
    dark_doubling_K: float = number(7.0, "K", 1.0, 100.0)
    cosmic_per_min_cm2: float = number(2.4, "1/min/cm2", 0.0, 1e4)
    cosmic_median_e: float = number(1500.0, "e-", 1.0, 1e6)
    cosmic_spread: float = number(0.6, "", 0.0, 3.0)  # of ln(electrons)
    shutter_stays_open_in_readout: bool = flag(True)


@dataclass(frozen=True, slots=True)
class PhononTruth(_Checked):
    """Optical modes and how strongly the excitons couple to them."""

    energies_meV: tuple[float, ...] = numbers((3.5, 6.5, 16.0, 19.5), "meV", 0.1, 200.0)
    huang_rhys: tuple[float, ...] = numbers((0.15, 0.08, 0.03, 0.05), "", 0.0, 5.0)  # at zero field
    mode_fwhm_meV: tuple[float, ...] = numbers((0.5, 0.5, 0.5, 0.5), "meV", 0.0, 50.0)
    trion_ratio: float = number(1.2, "", 0.0, 10.0)  # Huang-Rhys of the trion over the exciton's
    field_coefficient: float = number(5e-6, "1/(kV/cm)2", 0.0, 1e-2)

    def __post_init__(self) -> None:
        check(self)
        if not len(self.energies_meV) == len(self.huang_rhys) == len(self.mode_fwhm_meV):
            raise ValueError(
                f"phonons: {len(self.energies_meV)} energies_meV, {len(self.huang_rhys)} "
                f"huang_rhys and {len(self.mode_fwhm_meV)} mode_fwhm_meV must be equally many"
            )


@dataclass(frozen=True, slots=True)
class StarkTruth(_Checked):
    """E(F) = E_v - (alpha/2) (F - F_v)^2 in the nominal applied field F."""

    vertex_kV_per_cm: float = number(230.0, "kV/cm", -5e3, 5e3)
    half_polarizability_ueV: float = number(0.05, "ueV/(kV/cm)2", 0.0, 10.0)
    trion_ratio: float = number(0.7, "", 0.0, 2.0)  # the trion is less polarizable
    overlap_kV_per_cm: float = number(2000.0, "kV/cm", 10.0, 1e6)


@dataclass(frozen=True, slots=True)
class FluctuationTruth(_Checked):
    """What wanders while light is absorbed; all times are s of excitation at standard power."""

    energy_sigma_meV: float = number(0.10, "meV", 0.0, 10.0)
    field_sigma_kV_per_cm: float = number(9.0, "kV/cm", 0.0, 1e3)
    correlation_time_s: float = number(30.0, "s", 0.01, 1e5)
    jump_meV: float = number(0.3, "meV", 0.0, 10.0)
    jump_rate_per_s: float = number(0.02, "1/s", 0.0, 1e3)
    dim_rate_per_s: float = number(0.02, "1/s", 0.0, 1e3)
    bright_rate_per_s: float = number(0.2, "1/s", 1e-6, 1e3)
    dim_factor: float = number(0.1, "", 0.0, 1.0)
    trion_fraction: float = number(0.05, "", 0.0, 0.95)  # of the time
    trion_episode_s: float = number(5.0, "s", 1e-3, 1e5)


@dataclass(frozen=True, slots=True)
class TransitionTruth(_Checked):
    """The orthorhombic-tetragonal redshift: -depth * smoothstep over a window above onset."""

    depth_meV: float = number(0.0, "meV", 0.0, 200.0)  # 0: none below 200 K
    onset_K: float = number(127.0, "K", 10.0, 400.0)  # on warming
    width_K: float = number(30.0, "K", 0.1, 200.0)
    hysteresis_K: float = number(4.0, "K", 0.0, 50.0)  # cooling comes later by this


@dataclass(frozen=True, slots=True)
class NanocrystalTruth(_Checked):
    """The emitter."""

    material: str = choice("CsPbBr3", "FAPbBr3")
    exciton_eV: float = number(2.392, "eV", 0.5, 5.0)  # centroid at 5.5 K and zero applied field
    splitting_meV: tuple[float, ...] = numbers((-0.8, 0.1, 0.7), "meV", -10.0, 10.0)  # sum 0
    population_K: float = number(10.0, "K", 0.1, 1e3)  # Boltzmann among the lines
    orientation_deg: tuple[float, ...] = numbers(
        (20.0, 35.0, 10.0), "deg", -360.0, 360.0
    )  # z-y-z; (): seeded
    trion_shift_meV: float = number(20.9, "meV", 0.0, 200.0)
    biexciton_shift_meV: float = number(35.9, "meV", -200.0, 200.0)
    rate_e_per_s: float = number(5e3, "e-/s", 0.0, 1e8)  # exciton along the analyser
    trion_rate_ratio: float = number(0.8, "", 0.0, 10.0)
    biexciton_yield: float = number(0.5, "", 0.0, 1.0)
    excitons_per_pulse: float = number(0.1, "", 1e-6, 100.0)  # at standard power
    gamma_0_meV: float = number(0.006, "meV", 0.0, 100.0)  # with sigma_ac: 0.05 at 5.5 K
    sigma_ac_meV_per_K: float = number(0.008, "meV/K", 0.0, 1.0)
    gamma_lo_meV: float = number(45.0, "meV", 0.0, 1e3)
    lo_energy_meV: float = number(16.0, "meV", 0.1, 200.0)
    expansion_meV_per_K: float = number(0.15, "meV/K", -2.0, 2.0)
    electron_phonon_meV: float = number(14.0, "meV", -500.0, 500.0)
    phonon_meV: float = number(16.0, "meV", 0.1, 200.0)  # in E(T)
    phonons: PhononTruth = field(default_factory=PhononTruth)
    stark: StarkTruth = field(default_factory=StarkTruth)
    fluctuations: FluctuationTruth = field(default_factory=FluctuationTruth)
    transition: TransitionTruth = field(default_factory=TransitionTruth)

    def __post_init__(self) -> None:
        check(self)
        if len(self.splitting_meV) != 3:
            raise ValueError(f"nanocrystal: splitting_meV {self.splitting_meV} needs 3 lines")
        if abs(sum(self.splitting_meV)) > 1e-9:
            raise ValueError(f"nanocrystal: splitting_meV {self.splitting_meV} must add up to 0")
        if len(self.orientation_deg) not in {0, 3}:
            raise ValueError(
                f"nanocrystal: orientation_deg {self.orientation_deg} needs 3 angles, or none"
            )


@dataclass(frozen=True, slots=True)
class Truth:
    """The whole world."""

    cryostat: CryostatTruth = field(default_factory=CryostatTruth)
    vacuum: VacuumTruth = field(default_factory=VacuumTruth)
    bias: BiasTruth = field(default_factory=BiasTruth)
    electrodes: ElectrodesTruth = field(default_factory=ElectrodesTruth)
    optics: OpticsTruth = field(default_factory=OpticsTruth)
    profile: ProfileTruth = field(default_factory=ProfileTruth)
    camera: CameraTruth = field(default_factory=CameraTruth)
    nanocrystal: NanocrystalTruth = field(default_factory=NanocrystalTruth)


def cspbbr3() -> Truth:
    """Return the default world, with a CsPbBr3 nanocrystal of 8 nm."""
    return Truth()


def fapbbr3() -> Truth:
    """Return the same laboratory with a FAPbBr3 nanocrystal of 9 nm."""
    nanocrystal = NanocrystalTruth(
        material="FAPbBr3",
        exciton_eV=2.286,
        splitting_meV=(0.0, 0.0, 0.0),
        trion_shift_meV=16.1,
        biexciton_shift_meV=27.6,
        gamma_0_meV=1.945,
        sigma_ac_meV_per_K=0.01,
        gamma_lo_meV=50.0,
        expansion_meV_per_K=0.18,
        electron_phonon_meV=18.0,
        phonons=PhononTruth((4.5, 17.0), (0.3, 0.1), (3.0, 3.0)),
        stark=StarkTruth(vertex_kV_per_cm=150.0),
        fluctuations=FluctuationTruth(energy_sigma_meV=0.3, jump_rate_per_s=0.0),
        transition=TransitionTruth(depth_meV=22.0),
    )
    return replace(Truth(), nanocrystal=nanocrystal, optics=OpticsTruth(start_centre_nm=544.0))


def truth_from_mapping(mapping: Mapping[str, object]) -> Truth:
    """Return the default world with any parameter overridden, as in {"bias": {"cable_F": 1e-9}}.

    nanocrystal.material chooses whose defaults hold for the rest. Raises ValueError naming key,
    value and bound of everything that is wrong, all at once.
    """
    nanocrystal = mapping.get("nanocrystal")
    material = nanocrystal.get("material") if isinstance(nanocrystal, Mapping) else None
    return override(fapbbr3() if material == "FAPbBr3" else cspbbr3(), mapping)

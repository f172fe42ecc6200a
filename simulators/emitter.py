"""The nanocrystal: its lines at a temperature and a field, and the light it sends.

Laws and defaults: physics brief, sections 2 and 7. Energies in meV are relative to the exciton's
centroid at 5.5 K and zero applied field unless a name says eV.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, expm1, nan

import numpy as np
from numpy.typing import NDArray

from simulators.fluctuations import Fluctuations
from simulators.line_profile import (
    EnergyGrid,
    PixelSpectrum,
    instrument_transfer,
    lorentzian_transfer,
)
from simulators.polarization import Axes, axis_deg, dipole_axes, passed, visibility
from simulators.truth import (
    NanocrystalTruth,
    PhononTruth,
    ProfileTruth,
    StarkTruth,
    TransitionTruth,
)

__all__ = [
    "Conditions",
    "Nanocrystal",
    "PhaseTransition",
    "Portion",
    "TrueLine",
    "Window",
    "electrons_on",
    "linewidth_meV",
    "occupation",
    "overlap",
    "phonon_ladder",
    "saturation",
    "stark_shift_meV",
]

BOLTZMANN_MEV_PER_K = 0.0861733
REFERENCE_K = 5.5
# Widths, splittings and replicas are computed anew beyond these; energies follow always.
TEMPERATURE_TOLERANCE = (0.05, 0.001)  # K, and share of T: below 0.2 % of the width
FIELD_TOLERANCE_KV_PER_CM = 1.0
UEV = 1e-3


def occupation(energy_meV: float, temperature_K: float) -> float:
    """Return the Bose occupation of a phonon."""
    exponent = energy_meV / (BOLTZMANN_MEV_PER_K * max(temperature_K, 0.1))
    return 1.0 / expm1(exponent) if exponent < 500.0 else 0.0


def linewidth_meV(
    temperature_K: float,
    *,
    gamma_0_meV: float,
    sigma_ac_meV_per_K: float,
    gamma_lo_meV: float,
    lo_energy_meV: float,
) -> float:
    """Return the homogeneous width (FWHM). Source: Rudin et al., PRB 42, 11218 (1990)."""
    optical = gamma_lo_meV * occupation(lo_energy_meV, temperature_K)
    return gamma_0_meV + sigma_ac_meV_per_K * temperature_K + optical


def stark_shift_meV(stark: StarkTruth, field_kV_per_cm: float) -> float:
    """Return the shift from zero applied field: a parabola about the vertex."""
    vertex = stark.vertex_kV_per_cm
    return -UEV * stark.half_polarizability_ueV * ((field_kV_per_cm - vertex) ** 2 - vertex**2)


def overlap(stark: StarkTruth, field_kV_per_cm: float) -> float:
    """Return the overlap of electron and hole relative to zero applied field."""
    vertex, width = stark.vertex_kV_per_cm, stark.overlap_kV_per_cm
    return exp((vertex**2 - (field_kV_per_cm - vertex) ** 2) / width**2)


def saturation(excitons_per_pulse: float) -> tuple[float, float]:
    """Return the probabilities per pulse that an exciton and a biexciton are there to emit."""
    n = excitons_per_pulse
    return -expm1(-n), -expm1(-n) - n * exp(-n)


def phonon_ladder(
    phonons: PhononTruth, k: NDArray[np.float64], temperature_K: float, strength: float
) -> NDArray[np.complex128]:
    """Return the transform of all replicas, zero-phonon line included, of area 1 in all.

    Each mode sends Poisson numbers of phonons with mean S (n + 1) and takes up S n; expanded, the
    replica m has the weight exp(-S (2n+1)) ((n+1)/n)^(m/2) I_m(2 S sqrt(n (n+1))).
    strength multiplies every Huang-Rhys factor.
    """
    exponent = np.zeros(k.shape, complex)
    modes = zip(phonons.energies_meV, phonons.huang_rhys, phonons.mode_fwhm_meV, strict=True)
    for energy_meV, huang_rhys, fwhm_meV in modes:
        n = occupation(energy_meV, temperature_K)
        loss = np.exp(1j * k * energy_meV) * lorentzian_transfer(k, fwhm_meV)
        gain = n * np.exp(-1j * k * energy_meV) * lorentzian_transfer(k, fwhm_meV) if n else 0.0
        exponent += strength * huang_rhys * ((n + 1.0) * loss + gain - (2.0 * n + 1.0))
    return np.asarray(np.exp(exponent))


class PhaseTransition:
    """The share of the new phase, with hysteresis: warming raises it, cooling lowers it later."""

    def __init__(self, truth: TransitionTruth, start_K: float) -> None:
        self._truth = truth
        self._lowest_K = truth.onset_K - truth.hysteresis_K
        self.fraction = _smoothstep((start_K - truth.onset_K) / truth.width_K)

    def follow(self, temperature_K: float) -> None:
        """Follow the temperature; the share stays between the two branches."""
        if temperature_K <= self._lowest_K:
            self.fraction = 0.0
            return
        truth = self._truth
        warming = _smoothstep((temperature_K - truth.onset_K) / truth.width_K)
        cooling = _smoothstep((temperature_K - self._lowest_K) / truth.width_K)
        self.fraction = min(max(self.fraction, warming), cooling)


def _smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@dataclass(frozen=True, slots=True)
class TrueLine:
    """One zero-phonon line as it truly is, without fluctuations; for checkers only.

    rate_e_per_s: through the analyser at its present angle while bright, replicas included;
    visibility: 0 for light that is not polarized.
    """

    name: str
    energy_eV: float
    lorentzian_fwhm_meV: float
    rate_e_per_s: float
    zero_phonon_share: float
    axis_deg: float
    visibility: float


@dataclass(frozen=True, eq=False)
class Window:
    """What the spectrograph shows: pixel edges in eV, falling, and what blurs and ripples them."""

    edges_eV: NDArray[np.float64]
    profile: ProfileTruth
    pixel_um: float
    ripple: float
    ripple_period_meV: float

    @cached_property
    def pixel_meV(self) -> float:
        """The energy width of the middle pixel."""
        middle = self.edges_eV.size // 2
        return 1e3 * float(self.edges_eV[middle - 1] - self.edges_eV[middle])

    @cached_property
    def core_fwhm_meV(self) -> float:
        """The width of the slit's image in energy."""
        return self.pixel_meV * self.profile.core_fwhm_um / self.pixel_um

    @cached_property
    def response(self) -> NDArray[np.float64]:
        """What each pixel makes of its light: 1, but for interference in the detector window."""
        centres_meV = 500.0 * (self.edges_eV[1:] + self.edges_eV[:-1])
        phase = 2.0 * np.pi * centres_meV / self.ripple_period_meV
        return np.asarray(1.0 + self.ripple * np.cos(phase))


@dataclass(frozen=True, slots=True)
class Portion:
    """Light sent while nothing changed: a spectrum, where it lies, how many electrons it makes."""

    spectrum: PixelSpectrum
    energy_eV: float
    electrons: float


def electrons_on(window: Window, portions: Sequence[Portion]) -> NDArray[np.float64]:
    """Return what each pixel of a window receives from portions of light."""
    by_spectrum: dict[PixelSpectrum, list[Portion]] = {}
    for portion in portions:
        by_spectrum.setdefault(portion.spectrum, []).append(portion)
    total = np.zeros(window.edges_eV.size - 1)
    for spectrum, alike in by_spectrum.items():
        origin_eV = alike[0].energy_eV
        total += spectrum.electrons(
            1e3 * (window.edges_eV - origin_eV),
            np.array([1e3 * (portion.energy_eV - origin_eV) for portion in alike]),
            np.array([portion.electrons for portion in alike]),
        )
    return total * window.response if window.ripple else total


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the rates of the lines depend on."""

    temperature_K: float
    field_kV_per_cm: float
    analyser_deg: float
    excitation: float
    transmission: float


class _Spectra:
    """Spectra at one temperature, field and window; the analyser only changes the weights."""

    def __init__(self, nanocrystal: "Nanocrystal", conditions: Conditions, window: Window) -> None:
        self.temperature_K = conditions.temperature_K
        self.field_kV_per_cm = conditions.field_kV_per_cm
        self.window = window
        width_meV = nanocrystal.linewidth_meV(conditions.temperature_K)
        narrowest_meV = window.core_fwhm_meV + width_meV
        self._grid = EnergyGrid(max(window.pixel_meV / 3.0, narrowest_meV / 12.0))
        k = self._grid.frequencies_per_meV()
        offsets_meV = nanocrystal.neutral_offsets_meV(conditions.field_kV_per_cm)
        self._phases = np.exp(-1j * np.multiply.outer(np.array(offsets_meV), k))
        shape = instrument_transfer(k, window.profile, window.core_fwhm_meV)
        shape *= lorentzian_transfer(k, width_meV)
        phonons = nanocrystal.truth.phonons
        strength = nanocrystal.coupling(conditions.field_kV_per_cm)
        self._shape = shape * phonon_ladder(phonons, k, conditions.temperature_K, strength)
        strength *= phonons.trion_ratio
        trion = shape * phonon_ladder(phonons, k, conditions.temperature_K, strength)
        self.charged = PixelSpectrum(self._grid, trion)
        self._neutral: dict[tuple[float, ...], PixelSpectrum] = {}

    def serves(self, conditions: Conditions, window: Window) -> bool:
        """Return whether widths, splittings and replicas are still right."""
        near_K = max(TEMPERATURE_TOLERANCE[0], TEMPERATURE_TOLERANCE[1] * self.temperature_K)
        return (
            abs(conditions.temperature_K - self.temperature_K) <= near_K
            and abs(conditions.field_kV_per_cm - self.field_kV_per_cm) <= FIELD_TOLERANCE_KV_PER_CM
            and window is self.window
        )

    def neutral(self, shares: tuple[float, ...]) -> PixelSpectrum:
        """Return exciton and biexciton with these shares of the light, adding up to 1."""
        key = tuple(round(share, 5) for share in shares)
        if key not in self._neutral:
            if len(self._neutral) > 64:
                self._neutral.clear()
            mixed = np.array(shares) @ self._phases
            self._neutral[key] = PixelSpectrum(self._grid, mixed * self._shape)
        return self._neutral[key]


class Nanocrystal:
    """The emitter, driven by the world: it absorbs light and returns portions of light."""

    def __init__(
        self,
        truth: NanocrystalTruth,
        numerical_aperture: float,
        seed: np.random.SeedSequence,
        start_K: float,
    ) -> None:
        orientation, wandering = seed.spawn(2)
        self.truth = truth
        self.axes = _oriented(truth, orientation)
        self.transition = PhaseTransition(truth.transition, start_K)
        self._aperture = numerical_aperture
        self._fluctuations = Fluctuations(truth.fluctuations, wandering)
        self._spectra: _Spectra | None = None
        self._passing_at: tuple[float, list[float]] = (nan, [])

    @property
    def dose_s(self) -> float:
        """The light absorbed so far, in s of standard power."""
        return self._fluctuations.dose_s

    def linewidth_meV(self, temperature_K: float) -> float:
        """Return the homogeneous width of every line."""
        truth = self.truth
        return linewidth_meV(
            temperature_K,
            gamma_0_meV=truth.gamma_0_meV,
            sigma_ac_meV_per_K=truth.sigma_ac_meV_per_K,
            gamma_lo_meV=truth.gamma_lo_meV,
            lo_energy_meV=truth.lo_energy_meV,
        )

    def thermal_shift_meV(self, temperature_K: float) -> float:
        """Return the shift from 5.5 K: expansion, phonons, and the share of the new phase."""
        phase_meV = self.truth.transition.depth_meV * self.transition.fraction
        return self._gap_meV(temperature_K) - self._reference_gap_meV - phase_meV

    def neutral_offsets_meV(self, field_kV_per_cm: float) -> list[float]:
        """Return three exciton lines and three biexciton lines about the exciton's centroid."""
        scale = overlap(self.truth.stark, field_kV_per_cm)
        exciton = [scale * delta for delta in self.truth.splitting_meV]
        return exciton + [-self.truth.biexciton_shift_meV - delta for delta in exciton]

    def coupling(self, field_kV_per_cm: float) -> float:
        """Return the factor on every Huang-Rhys factor: it grows with the total field squared."""
        vertex = self.truth.stark.vertex_kV_per_cm
        grown = (field_kV_per_cm - vertex) ** 2 - vertex**2
        return max(0.0, 1.0 + self.truth.phonons.field_coefficient * grown)

    def absorb(self, dose_s: float) -> None:
        """Absorb light that nobody watches."""
        self._fluctuations.expose(dose_s)

    def shine(self, duration_s: float, conditions: Conditions, window: Window) -> list[Portion]:
        """Return the light of a duration in which nothing but the nanocrystal itself changed."""
        spectra = self._spectra
        if spectra is None or not spectra.serves(conditions, window):
            spectra = self._spectra = _Spectra(self, conditions, window)
        rates = self._neutral_rates(conditions)
        total = sum(rates)
        shares = tuple(rate / total for rate in rates) if total > 0.0 else (1.0,) + 5 * (0.0,)
        neutral = spectra.neutral(shares)
        charged_rate = self._charged_rate(conditions)
        exciton_eV = self._exciton_eV(conditions)
        trion_eV = self._trion_eV(conditions)
        slope_meV = self._stark_slope_meV(conditions.field_kV_per_cm)
        portions = []
        for share_s, energy_meV, field, is_charged, is_dim in self._fluctuations.expose(
            duration_s * conditions.excitation
        ):
            rate = charged_rate if is_charged else total
            if is_dim:
                rate *= self.truth.fluctuations.dim_factor
            stark_meV = field * (slope_meV - UEV * self._half_alpha * field)
            if is_charged:
                stark_meV *= self.truth.stark.trion_ratio
            portions.append(
                Portion(
                    spectra.charged if is_charged else neutral,
                    (trion_eV if is_charged else exciton_eV) + 1e-3 * (energy_meV + stark_meV),
                    rate * share_s / conditions.excitation,
                )
            )
        return portions

    def steady(self, conditions: Conditions, window: Window) -> Portion:
        """Return one second of the bright neutral state without fluctuations."""
        rates = self._neutral_rates(conditions)
        total = sum(rates)
        spectra = _Spectra(self, conditions, window)
        shares = tuple(rate / max(total, 1e-300) for rate in rates)
        return Portion(spectra.neutral(shares), self._exciton_eV(conditions), total)

    def true_lines(self, conditions: Conditions) -> list[TrueLine]:
        """Return exciton X1-X3, biexciton B1-B3 and trion T as they are without fluctuations."""
        exciton_eV = self._exciton_eV(conditions)
        width_meV = self.linewidth_meV(conditions.temperature_K)
        share = self._zero_phonon_share(conditions, 1.0)
        axes, contrast = axis_deg(self.axes), visibility(self.axes, self._aperture)
        offsets_meV = self.neutral_offsets_meV(conditions.field_kV_per_cm)
        rates = self._neutral_rates(conditions)
        lines = [
            TrueLine(
                name,
                exciton_eV + 1e-3 * offsets_meV[i],
                width_meV,
                rates[i],
                share,
                float(axes[i % 3]),
                float(contrast[i % 3]),
            )
            for i, name in enumerate(("X1", "X2", "X3", "B1", "B2", "B3"))
        ]
        share = self._zero_phonon_share(conditions, self.truth.phonons.trion_ratio)
        rate = self._charged_rate(conditions)
        return [*lines, TrueLine("T", self._trion_eV(conditions), width_meV, rate, share, 0.0, 0.0)]

    @cached_property
    def _reference_gap_meV(self) -> float:
        return self._gap_meV(REFERENCE_K)

    @property
    def _half_alpha(self) -> float:
        return self.truth.stark.half_polarizability_ueV

    def _gap_meV(self, temperature_K: float) -> float:
        truth = self.truth
        phonons = 2.0 * occupation(truth.phonon_meV, temperature_K) + 1.0
        return truth.expansion_meV_per_K * temperature_K + truth.electron_phonon_meV * phonons

    def _exciton_eV(self, conditions: Conditions) -> float:
        thermal_meV = self.thermal_shift_meV(conditions.temperature_K)
        stark_meV = stark_shift_meV(self.truth.stark, conditions.field_kV_per_cm)
        return self.truth.exciton_eV + 1e-3 * (thermal_meV + stark_meV)

    def _trion_eV(self, conditions: Conditions) -> float:
        stark = self.truth.stark
        thermal_meV = self.thermal_shift_meV(conditions.temperature_K)
        stark_meV = stark.trion_ratio * stark_shift_meV(stark, conditions.field_kV_per_cm)
        shift_meV = thermal_meV + stark_meV - self.truth.trion_shift_meV
        return self.truth.exciton_eV + 1e-3 * shift_meV

    def _stark_slope_meV(self, field_kV_per_cm: float) -> float:
        """dE/dF: field noise broadens least at the vertex."""
        stark = self.truth.stark
        return -2.0 * UEV * self._half_alpha * (field_kV_per_cm - stark.vertex_kV_per_cm)

    def _neutral_rates(self, conditions: Conditions) -> list[float]:
        """Return e-/s of X1-X3 and B1-B3 through the analyser."""
        exciton, biexciton = self._pulses(conditions)
        passing = self._passing(conditions.analyser_deg)
        populations = self._populations(conditions)
        each = self.truth.biexciton_yield * biexciton / 3.0
        return [exciton * passing[i] * populations[i] for i in range(3)] + [
            each * passing[i] for i in range(3)
        ]

    def _charged_rate(self, conditions: Conditions) -> float:
        exciton, _ = self._pulses(conditions)
        passing = self._passing(conditions.analyser_deg)
        return self.truth.trion_rate_ratio * exciton * sum(passing) / 3.0

    def _passing(self, analyser_deg: float) -> list[float]:
        if self._passing_at[0] != analyser_deg:
            shares = passed(self.axes, analyser_deg, self._aperture).tolist()
            self._passing_at = (analyser_deg, shares)
        return self._passing_at[1]

    def _pulses(self, conditions: Conditions) -> tuple[float, float]:
        """Return e-/s of exciton and biexciton, the standard power being rate_e_per_s."""
        standard, _ = saturation(self.truth.excitons_per_pulse)
        exciton, biexciton = saturation(self.truth.excitons_per_pulse * conditions.excitation)
        scale = self.truth.rate_e_per_s / standard * conditions.transmission
        scale *= overlap(self.truth.stark, conditions.field_kV_per_cm)
        return scale * exciton, scale * biexciton

    def _populations(self, conditions: Conditions) -> list[float]:
        thermal_meV = BOLTZMANN_MEV_PER_K * max(self.truth.population_K, conditions.temperature_K)
        factors = [exp(-delta / thermal_meV) for delta in self.truth.splitting_meV]
        return [factor / sum(factors) for factor in factors]

    def _zero_phonon_share(self, conditions: Conditions, ratio: float) -> float:
        phonons = self.truth.phonons
        strength = ratio * self.coupling(conditions.field_kV_per_cm)
        exponent = sum(
            huang_rhys * (2.0 * occupation(energy_meV, conditions.temperature_K) + 1.0)
            for energy_meV, huang_rhys in zip(phonons.energies_meV, phonons.huang_rhys, strict=True)
        )
        return exp(-strength * exponent)


def _oriented(truth: NanocrystalTruth, seed: np.random.SeedSequence) -> Axes:
    if truth.orientation_deg:
        return dipole_axes(*truth.orientation_deg)
    random = np.random.default_rng(seed)
    alpha, cosine, gamma = random.random(3)
    return dipole_axes(
        360.0 * alpha, float(np.degrees(np.arccos(2.0 * cosine - 1.0))), 360.0 * gamma
    )

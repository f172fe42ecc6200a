"""The nanocrystal: its lines at a temperature and a field, and the light it sends.

Laws and defaults: physics brief, sections 2 and 7. Energies in meV are relative to the exciton's
centroid at 5.5 K and zero applied field unless a name says eV.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, expm1, log2, nan
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simulators.fluctuations import Fluctuations
from simulators.line_profile import (
    ONE_COMPONENT,
    EnergyGrid,
    PixelSpectrum,
    instrument_transfer,
    lorentzian_transfer,
)
from simulators.polarization import Axes, axis_deg, dipole_axes, passed, visibility
from simulators.truth import NanocrystalTruth, PhononTruth, StarkTruth, TransitionTruth
from simulators.view import Stretch, Surroundings, View, Window

__all__ = [
    "Nanocrystal",
    "PhaseTransition",
    "Portions",
    "TrueLine",
    "linewidth_meV",
    "occupation",
    "overlap",
    "phonon_ladder",
    "saturation",
    "stark_shift_meV",
]

Floats = NDArray[np.float64]
Quantity = TypeVar("Quantity", float, NDArray[np.float64])
BOLTZMANN_MEV_PER_K = 0.0861733
REFERENCE_K = 5.5
# Widths, splittings and replicas are computed anew beyond these; energies follow always.
TEMPERATURE_TOLERANCE = (0.05, 0.001)  # K, and share of T: below 0.2 % of the width
FIELD_TOLERANCE_KV_PER_CM = 1.0
STEPS_PER_WIDTH = 24.0  # of the energy grid, per FWHM of the narrowest line
STEPS_PER_PIXEL = 3.0
MOST_STEPS = 16384
WINDOWS_PER_GRID = 8.0  # the grid is periodic, and Lorentzians have long wings
UEV = 1e-3


def occupation(energy_meV: float, temperature_K: Quantity) -> Quantity:
    """Return the Bose occupation of a phonon."""
    exponent = energy_meV / (BOLTZMANN_MEV_PER_K * np.maximum(temperature_K, 0.1))
    bose: Quantity = 1.0 / np.expm1(np.minimum(exponent, 700.0))  # beyond, it would overflow
    return bose


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


def stark_shift_meV(stark: StarkTruth, field_kV_per_cm: Quantity) -> Quantity:
    """Return the shift from zero applied field: a parabola about the vertex."""
    vertex = stark.vertex_kV_per_cm
    return -UEV * stark.half_polarizability_ueV * ((field_kV_per_cm - vertex) ** 2 - vertex**2)


def overlap(stark: StarkTruth, field_kV_per_cm: Quantity) -> Quantity:
    """Return the overlap of electron and hole relative to zero applied field."""
    vertex, width = stark.vertex_kV_per_cm, stark.overlap_kV_per_cm
    share: Quantity = np.exp((vertex**2 - (field_kV_per_cm - vertex) ** 2) / width**2)
    return share


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


@dataclass(frozen=True, slots=True)
class Portions:
    """Light in pieces in which nothing at all changed, (n,) each; stretch: in which it was sent."""

    stretch: NDArray[np.intp]
    energy_eV: Floats
    electrons: Floats
    is_charged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Emission:
    """What would be sent in n stretches without fluctuations, through the analyser.

    Rates in e-/s while bright: neutral of X1-X3 and B1-B3, (6, n); charged (n,). The other fields,
    (n,): energies, and the slope of the exciton's energy over the field.
    """

    exciton_eV: Floats
    trion_eV: Floats
    slope_meV_per_kV_per_cm: Floats
    neutral_rates: Floats
    charged_rate: Floats


class _Spectra:
    """Spectra at one temperature, field and window; the analyser only changes the weights.

    neutral: X1-X3 and B1-B3 as components; charged: the trion.
    """

    def __init__(
        self,
        nanocrystal: "Nanocrystal",
        temperature_K: float,
        field_kV_per_cm: float,
        window: Window,
    ) -> None:
        self._temperature_K = temperature_K
        self._field_kV_per_cm = field_kV_per_cm
        self._window = window
        width_meV = nanocrystal.linewidth_meV(temperature_K)
        grid = _grid(window, width_meV)
        k = grid.frequencies_per_meV()
        shape = instrument_transfer(k, window.profile, window.core_fwhm_meV)
        shape *= lorentzian_transfer(k, width_meV)
        phonons = nanocrystal.truth.phonons
        strength = nanocrystal.coupling(field_kV_per_cm)
        offsets_meV = np.array(nanocrystal.neutral_offsets_meV(field_kV_per_cm))
        lines = np.exp(-1j * np.multiply.outer(offsets_meV, k))
        ladder = phonon_ladder(phonons, k, temperature_K, strength)
        self.neutral = PixelSpectrum(grid, lines * (shape * ladder))
        ladder = phonon_ladder(phonons, k, temperature_K, strength * phonons.trion_ratio)
        self.charged = PixelSpectrum(grid, shape * ladder)

    def serves(
        self, temperature_K: Floats, field_kV_per_cm: Floats, window: Window
    ) -> NDArray[np.bool_]:
        """Return where widths, splittings and replicas are still right."""
        near_K = max(TEMPERATURE_TOLERANCE[0], TEMPERATURE_TOLERANCE[1] * self._temperature_K)
        is_near = np.abs(temperature_K - self._temperature_K) <= near_K
        is_near &= np.abs(field_kV_per_cm - self._field_kV_per_cm) <= FIELD_TOLERANCE_KV_PER_CM
        return is_near & (window is self._window)


def _grid(window: Window, width_meV: float) -> EnergyGrid:
    step_meV = max(
        window.pixel_meV / STEPS_PER_PIXEL, (window.core_fwhm_meV + width_meV) / STEPS_PER_WIDTH
    )
    wanted = WINDOWS_PER_GRID * window.span_meV / step_meV
    return EnergyGrid(step_meV, min(2 ** ceil(log2(wanted)), MOST_STEPS))


class Nanocrystal:
    """The emitter, driven by the world: it absorbs light, and tells later what it sent then."""

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
        self._passing_at: tuple[float, Floats] = (nan, np.zeros(3))
        self.dose_s = 0.0  # the light absorbed so far, in s of standard power

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

    def thermal_shift_meV(self, temperature_K: Quantity, new_phase: Quantity) -> Quantity:
        """Return the shift from 5.5 K: expansion, phonons, and the share of the new phase."""
        phase_meV = self.truth.transition.depth_meV * new_phase
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
        """Absorb light."""
        self.dose_s += dose_s

    def electrons(self, view: View, stretches: Sequence[Stretch]) -> Floats:
        """Return what each pixel received in these stretches, in order of dose.

        No later call may ask for an earlier dose.
        """
        window = view.window
        if window.zero_order_px is not None:
            return window.mirrored(float(self.portions(view, stretches).electrons.sum()))
        total = np.zeros(window.edges_eV.size - 1)
        for spectra, run in self._runs(window, np.array(stretches)):
            total += self._laid(view, spectra, run)
        return total * window.response if window.ripple else total

    def portions(self, view: View, stretches: Sequence[Stretch]) -> Portions:
        """Return the light of these stretches, in order of dose, piece by piece."""
        table = np.array(stretches)
        return self._portions(view, table, self._emission(view, Surroundings(*table[:, 2:].T)))

    def steady(self, view: View, surroundings: Surroundings) -> Floats:
        """Return what each pixel receives in one second without fluctuations, bright, neutral.

        surroundings: one stretch.
        """
        window = view.window
        emission = self._emission(view, surroundings)
        rates = emission.neutral_rates.sum(axis=0)
        shares = emission.neutral_rates[:, 0] / np.maximum(rates, 1e-300)
        spectra = _Spectra(
            self,
            float(surroundings.temperature_K[0]),
            float(surroundings.field_kV_per_cm[0]),
            window,
        )
        sent = _copies(spectra.neutral, window, emission.exciton_eV, rates, shares)
        return sent * window.response if window.ripple else sent

    def true_lines(self, view: View, surroundings: Surroundings) -> list[TrueLine]:
        """Return exciton X1-X3, biexciton B1-B3 and trion T as they are without fluctuations.

        surroundings: one stretch.
        """
        temperature_K = float(surroundings.temperature_K[0])
        field_kV_per_cm = float(surroundings.field_kV_per_cm[0])
        emission = self._emission(view, surroundings)
        exciton_eV = float(emission.exciton_eV[0])
        width_meV = self.linewidth_meV(temperature_K)
        coupling = self.coupling(field_kV_per_cm)
        share = self._zero_phonon_share(temperature_K, coupling)
        axes, contrast = axis_deg(self.axes), visibility(self.axes, self._aperture)
        offsets_meV = self.neutral_offsets_meV(field_kV_per_cm)
        rates = emission.neutral_rates[:, 0]
        lines = [
            TrueLine(
                name,
                exciton_eV + 1e-3 * offsets_meV[i],
                width_meV,
                float(rates[i]),
                share,
                float(axes[i % 3]),
                float(contrast[i % 3]),
            )
            for i, name in enumerate(("X1", "X2", "X3", "B1", "B2", "B3"))
        ]
        trion_eV = float(emission.trion_eV[0])
        share = self._zero_phonon_share(temperature_K, coupling * self.truth.phonons.trion_ratio)
        rate = float(emission.charged_rate[0])
        return [*lines, TrueLine("T", trion_eV, width_meV, rate, share, 0.0, 0.0)]

    def _runs(self, window: Window, table: Floats) -> Iterator[tuple[_Spectra, Floats]]:
        """Cut stretches, (n, 5), where the spectra have to be computed anew."""
        while table.size:
            if self._spectra is None or not self._spectra.serves(
                table[:1, 2], table[:1, 3], window
            ):
                self._spectra = _Spectra(self, float(table[0, 2]), float(table[0, 3]), window)
            served = self._spectra.serves(table[:, 2], table[:, 3], window)
            number = len(served) if served.all() else int(served.argmin())
            yield self._spectra, table[:number]
            table = table[number:]

    def _laid(self, view: View, spectra: _Spectra, table: Floats) -> Floats:
        """Lay the light of stretches on pixels; the shares of the lines are those of them all."""
        emission = self._emission(view, Surroundings(*table[:, 2:].T))
        portions = self._portions(view, table, emission)
        total = np.zeros(view.window.edges_eV.size - 1)
        neutral = ~portions.is_charged & (portions.electrons > 0.0)
        if neutral.any():
            electrons = portions.electrons[neutral]
            sent = np.bincount(portions.stretch[neutral], electrons, len(table))
            shares = emission.neutral_rates @ (sent / emission.neutral_rates.sum(axis=0))
            shares /= sent.sum()
            energy_eV = portions.energy_eV[neutral]
            total += _copies(spectra.neutral, view.window, energy_eV, electrons, shares)
        charged = portions.is_charged & (portions.electrons > 0.0)
        if charged.any():
            energy_eV, electrons = portions.energy_eV[charged], portions.electrons[charged]
            total += _copies(spectra.charged, view.window, energy_eV, electrons)
        return total

    def _portions(self, view: View, table: Floats, emission: _Emission) -> Portions:
        truth = self.truth
        start_s, end_s = table[:, 0], table[:, 1]
        moments = self._fluctuations.between(start_s[0], end_s[-1])
        edges_s = np.unique(np.concatenate([moments.edges_s, start_s, end_s]))
        middle_s = 0.5 * (edges_s[1:] + edges_s[:-1])
        stretch = np.searchsorted(start_s, middle_s) - 1
        moment = np.searchsorted(moments.edges_s, middle_s) - 1
        dose_s = np.diff(edges_s) * (middle_s < end_s[stretch])
        is_charged = moments.is_charged[moment]
        rate = np.where(
            is_charged,
            emission.charged_rate[stretch],
            emission.neutral_rates.sum(axis=0)[stretch],
        )
        rate *= np.where(moments.is_dim[moment], truth.fluctuations.dim_factor, 1.0)
        field_kV_per_cm = moments.field_kV_per_cm[moment]
        slope_meV = emission.slope_meV_per_kV_per_cm[stretch]
        stark_meV = field_kV_per_cm * (slope_meV - UEV * self._half_alpha * field_kV_per_cm)
        stark_meV *= np.where(is_charged, truth.stark.trion_ratio, 1.0)
        centre_eV = np.where(is_charged, emission.trion_eV[stretch], emission.exciton_eV[stretch])
        return Portions(
            stretch,
            centre_eV + 1e-3 * (moments.energy_meV[moment] + stark_meV),
            rate * dose_s / view.excitation,
            is_charged,
        )

    @cached_property
    def _reference_gap_meV(self) -> float:
        return self._gap_meV(REFERENCE_K)

    @property
    def _half_alpha(self) -> float:
        return self.truth.stark.half_polarizability_ueV

    def _gap_meV(self, temperature_K: Quantity) -> Quantity:
        truth = self.truth
        phonons = 2.0 * occupation(truth.phonon_meV, temperature_K) + 1.0
        return truth.expansion_meV_per_K * temperature_K + truth.electron_phonon_meV * phonons

    def _emission(self, view: View, surroundings: Surroundings) -> _Emission:
        truth, stark = self.truth, self.truth.stark
        field_kV_per_cm = surroundings.field_kV_per_cm
        thermal_meV = self.thermal_shift_meV(surroundings.temperature_K, surroundings.new_phase)
        stark_meV = stark_shift_meV(stark, field_kV_per_cm)
        trion_meV = thermal_meV + stark.trion_ratio * stark_meV - truth.trion_shift_meV
        exciton, biexciton = self._pulses(field_kV_per_cm, view)
        passing = self._passing(view.analyser_deg)
        populations = self._populations(surroundings.temperature_K)
        each = truth.biexciton_yield * biexciton / 3.0
        return _Emission(
            truth.exciton_eV + 1e-3 * (thermal_meV + stark_meV),
            truth.exciton_eV + 1e-3 * trion_meV,
            -2.0 * UEV * self._half_alpha * (field_kV_per_cm - stark.vertex_kV_per_cm),
            np.concatenate(
                [exciton * populations * passing[:, None], np.multiply.outer(passing, each)]
            ),
            truth.trion_rate_ratio * exciton * float(passing.mean()),
        )

    def _passing(self, analyser_deg: float) -> Floats:
        if self._passing_at[0] != analyser_deg:
            self._passing_at = (analyser_deg, passed(self.axes, analyser_deg, self._aperture))
        return self._passing_at[1]

    def _pulses(self, field_kV_per_cm: Floats, view: View) -> tuple[Floats, Floats]:
        """Return e-/s of exciton and biexciton, the standard power being rate_e_per_s."""
        standard, _ = saturation(self.truth.excitons_per_pulse)
        exciton, biexciton = saturation(self.truth.excitons_per_pulse * view.excitation)
        scale = self.truth.rate_e_per_s / standard * view.transmission
        sent = scale * overlap(self.truth.stark, field_kV_per_cm)
        return sent * exciton, sent * biexciton

    def _populations(self, temperature_K: Floats) -> Floats:
        """Return the shares of X1-X3, (3, n)."""
        thermal_meV = BOLTZMANN_MEV_PER_K * np.maximum(self.truth.population_K, temperature_K)
        factors = np.exp(-np.array(self.truth.splitting_meV)[:, None] / thermal_meV)
        return np.asarray(factors / factors.sum(axis=0))

    def _zero_phonon_share(self, temperature_K: float, strength: float) -> float:
        phonons = self.truth.phonons
        exponent = sum(
            huang_rhys * (2.0 * occupation(energy_meV, temperature_K) + 1.0)
            for energy_meV, huang_rhys in zip(phonons.energies_meV, phonons.huang_rhys, strict=True)
        )
        return exp(-strength * exponent)


def _copies(
    spectrum: PixelSpectrum,
    window: Window,
    energy_eV: Floats,
    electrons: Floats,
    shares: Floats = ONE_COMPONENT,
) -> Floats:
    """Lay copies of a spectrum on the pixels of a window."""
    origin_eV = energy_eV[0]
    return spectrum.electrons(
        1e3 * (window.edges_eV - origin_eV), 1e3 * (energy_eV - origin_eV), electrons, shares
    )


def _oriented(truth: NanocrystalTruth, seed: np.random.SeedSequence) -> Axes:
    if truth.orientation_deg:
        return dipole_axes(*truth.orientation_deg)
    random = np.random.default_rng(seed)
    alpha, cosine, gamma = random.random(3)
    return dipole_axes(
        360.0 * alpha, float(np.degrees(np.arccos(2.0 * cosine - 1.0))), 360.0 * gamma
    )

"""The lines of a calibration lamp: the list of wavelengths, and the peaks on the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from analysis.estimation.curve_fit import fit_curve
from analysis.estimation.lineshapes import PixelShape, gauss_in_pixels
from analysis.wavelength.units import air_from_vacuum_nm, vacuum_from_air_nm

__all__ = [
    "LampLine",
    "LineList",
    "Medium",
    "Pairing",
    "identify_lines",
    "measure_lines",
    "merged",
    "read_line_list",
]

Array = NDArray[np.float64]
Medium = Literal["air", "vacuum"]


@dataclass(frozen=True, slots=True)
class LineList:
    """Wavelengths in nm in a stated medium, rising, with relative strengths."""

    wavelength_nm: Array
    strength: Array
    medium: Medium

    def __post_init__(self) -> None:
        if self.medium not in ("air", "vacuum"):
            raise ValueError(f'medium {self.medium!r} must be "air" or "vacuum"')
        if self.wavelength_nm.shape != self.strength.shape or not self.wavelength_nm.size:
            raise ValueError(
                f"{self.wavelength_nm.shape} wavelengths and {self.strength.shape} strengths"
            )
        if not (np.diff(self.wavelength_nm) >= 0).all():
            raise ValueError("the wavelengths of a line list must rise")

    def to_medium(self, medium: Medium) -> LineList:
        """Return the same lines in air or in vacuum."""
        if medium == self.medium:
            return self
        convert = air_from_vacuum_nm if medium == "air" else vacuum_from_air_nm
        return LineList(convert(self.wavelength_nm), self.strength, medium)


def read_line_list(path: Path | str, *, medium: Medium, nm_per_unit: float = 0.1) -> LineList:
    """Read wavelength and strength from the first two of comma-separated columns; # for comments.

    Neither the medium nor the unit (default: Angstrom) stands in such files, so they are given.
    Raises ValueError naming the line that holds no numbers.
    """
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.split(",")
        try:
            rows.append((float(cells[0]) * nm_per_unit, float(cells[1])))
        except (ValueError, IndexError):
            raise ValueError(
                f"{path}, line {number}: {line!r} is no wavelength, strength"
            ) from None
    if not rows:
        raise ValueError(f"{path}: holds no lines")
    table = np.array(sorted(rows))
    return LineList(table[:, 0], table[:, 1], medium)


def merged(lists: Sequence[LineList]) -> LineList:
    """Return the lines of several lamps as one list, in the medium of the first."""
    same = [one.to_medium(lists[0].medium) for one in lists]
    wavelength = np.concatenate([one.wavelength_nm for one in same])
    order = np.argsort(wavelength, kind="stable")
    strength = np.concatenate([one.strength for one in same])
    return LineList(wavelength[order], strength[order], lists[0].medium)


@dataclass(frozen=True, slots=True)
class LampLine:
    """A peak on the detector; excluded: why it must not be used, or empty."""

    pixel: float
    error_px: float
    fwhm_px: float
    area_counts: float
    excluded: str = ""


_LEAST_SIGMAS = 5.0
_REACH_PX = 4
_MOST_MISFIT = 0.12  # rms, of the height: a blend, or no line at all
_WIDTH_RANGE = (0.55, 1.7)  # of the median width


def measure_lines(counts: ArrayLike, *, saturation_counts: float = np.inf) -> list[LampLine]:
    """Find the peaks of a lamp spectrum and fit a Gaussian, integrated over pixels, to each.

    counts: shape (pixels,), dark subtracted or not. Saturated peaks, those that are wider or
    narrower than the others and those that are no Gaussian are returned too, marked as excluded.
    Raises ValueError for counts that are not one row of finite values.
    """
    raw = np.asarray(counts, dtype=np.float64)
    if raw.ndim != 1 or raw.size < 4 * _REACH_PX or not np.isfinite(raw).all():
        raise ValueError(f"counts of shape {raw.shape} must be one row of finite values")
    net = raw - median_filter(raw, 101, mode="nearest")
    noise = max(1.4826 * float(np.median(np.abs(np.diff(net)))) / np.sqrt(2.0), 1e-9)
    inner = np.arange(_REACH_PX, raw.size - _REACH_PX)
    around = np.lib.stride_tricks.sliding_window_view(net, 2 * _REACH_PX + 1)
    first = np.argmax(around[:, 2:-2], axis=1) == _REACH_PX - 2
    peaks = inner[first & (net[inner] > _LEAST_SIGMAS * noise)]
    lines = [_measured(raw, int(peak), noise, saturation_counts) for peak in peaks]
    return _without_odd_widths(lines)


def _measured(raw: Array, peak: int, noise: float, saturation_counts: float) -> LampLine:
    if (raw[peak - _REACH_PX : peak + _REACH_PX + 1] >= saturation_counts).any():
        return LampLine(float(peak), np.inf, np.nan, np.nan, "saturated")
    first, last = _valleys(raw, peak)
    observed = raw[first : last + 1]
    edges = np.arange(first, last + 2) - 0.5
    floor = float(observed.min())
    height = float(raw[peak]) - floor

    def parts(at: Array) -> PixelShape:
        fwhm = float(np.clip(np.exp(min(at[1], 50.0)), 0.2, 50.0))
        return gauss_in_pixels(edges, centre=float(at[0]), fwhm=fwhm)

    def slopes(at: Array) -> Array:
        one = parts(at)
        by_log_fwhm = one.by_width[0] * np.exp(min(at[1], 50.0))
        return np.column_stack(
            [at[2] * one.by_centre, at[2] * by_log_fwhm, one.part, np.ones_like(one.part)]
        )

    # As if a count were an electron: the scale of the errors comes from the residuals.
    sigma = np.sqrt(noise**2 + np.maximum(observed - floor, 0.0))
    fit = fit_curve(
        lambda at: at[2] * parts(at).part + at[3],
        observed,
        sigma=sigma,
        jacobian=slopes,
        start=[peak, np.log(2.0), 2.0 * height, floor],
        names=("pixel", "log_fwhm", "area", "floor"),
        most_evaluations=200,
    )
    misfit = float(np.linalg.norm(fit.residuals * sigma) / np.sqrt(max(fit.dof, 1)))
    line = LampLine(
        fit["pixel"],
        fit.error("pixel") * float(np.sqrt(fit.chi2 / max(fit.dof, 1))),
        float(np.exp(np.clip(fit["log_fwhm"], -5.0, 5.0))),
        fit["area"],
    )
    if abs(line.pixel - peak) > 1.0 or line.area_counts <= 0 or not np.isfinite(line.error_px):
        return replace(line, pixel=float(peak), error_px=np.inf, excluded="no line")
    if misfit > max(_MOST_MISFIT * height, 2.0 * noise):
        return replace(line, excluded=f"no Gaussian: misses by {misfit / height:.0%} of its height")
    return line


def _valleys(raw: Array, peak: int) -> tuple[int, int]:
    """Return the lowest pixels to both sides, where a neighbour may begin."""
    left = peak - 2 - int(np.argmin(raw[peak - _REACH_PX : peak - 1][::-1]))
    right = peak + 2 + int(np.argmin(raw[peak + 2 : peak + _REACH_PX + 1]))
    return left, right


def _without_odd_widths(lines: list[LampLine]) -> list[LampLine]:
    sound = [line.fwhm_px for line in lines if not line.excluded]
    if not sound:
        return lines
    usual = float(np.median(sound))
    low, high = (factor * usual for factor in _WIDTH_RANGE)
    return [
        line
        if line.excluded or low < line.fwhm_px < high
        else replace(line, excluded=f"{line.fwhm_px:.1f} px wide, usual are {usual:.1f}")
        for line in lines
    ]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Peaks with their wavelengths, shapes (n,); excluded: pixel and why, of all other peaks."""

    pixel: Array
    error_px: Array
    wavelength_nm: Array
    medium: Medium
    excluded: tuple[tuple[float, str], ...]


_BLEND_FWHM = 1.5  # nearer lines than this pull a peak, if they are strong enough
_BLEND_STRENGTH = 0.1


def identify_lines(
    lines: list[LampLine], guess_nm: ArrayLike, references: LineList, *, tolerance_nm: float
) -> Pairing:
    """Give each peak the line of the list that it must be.

    guess_nm: rough wavelength of each pixel in the medium of the list, or of the delivered axis;
    off by up to tolerance_nm. A straight line is fitted to a first pairing and the second is four
    times as strict. Blended lines and peaks with no line, or with one that fits another peak
    better, are excluded. Raises ValueError if fewer than two peaks can be paired.
    """
    guess = np.asarray(guess_nm, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(guess))
    if known.size < 2:
        raise ValueError("guess_nm: no two pixels have a wavelength")
    place = np.array([line.pixel for line in lines])
    rough = np.interp(place, known, guess[known], left=np.nan, right=np.nan)
    excluded = {i: line.excluded for i, line in enumerate(lines) if line.excluded}
    outside = [i for i, guessed in enumerate(rough) if np.isnan(guessed)]
    excluded |= {i: "outside the axis" for i in outside if i not in excluded}
    nm_per_px = abs(float(np.median(np.diff(guess[known]) / np.diff(known))))
    wide = np.median([line.fwhm_px for line in lines if not line.excluded] or [2.0]) * nm_per_px
    usable = [i for i in range(len(lines)) if i not in excluded]
    for tolerance in (tolerance_nm, 0.25 * tolerance_nm):
        found, left_out = _paired(rough, usable, lines, references, tolerance, float(wide))
        if len(found) < 2:
            raise ValueError(
                f"{len(found)} of {len(usable)} peaks have a line within {tolerance} nm of the "
                "guess; is it in the right medium?"
            )
        at = np.array(sorted(found))
        target = np.array([found[i] for i in at])
        slope = np.polyfit(place[at], target - rough[at], 1)
        rough = rough + np.polyval(slope, place)
    excluded |= left_out
    return Pairing(
        pixel=place[at],
        error_px=np.array([lines[i].error_px for i in at]),
        wavelength_nm=target,
        medium=references.medium,
        excluded=tuple((float(place[i]), why) for i, why in sorted(excluded.items())),
    )


def _paired(
    rough: Array,
    usable: list[int],
    lines: list[LampLine],
    references: LineList,
    tolerance_nm: float,
    fwhm_nm: float,
) -> tuple[dict[int, float], dict[int, str]]:
    """Return the wavelength of each peak that has one, and why the others have none."""
    found: dict[int, int] = {}
    left_out: dict[int, str] = {}
    for i in sorted(usable, key=lambda i: -lines[i].area_counts):
        distance = np.abs(references.wavelength_nm - rough[i])
        near = np.flatnonzero(distance < tolerance_nm)
        if not near.size:
            left_out[i] = f"no line of the list within {tolerance_nm:.3g} nm of {rough[i]:.3f} nm"
            continue
        strongest = int(near[np.argmax(references.strength[near])])
        if _is_blended(strongest, references, fwhm_nm):
            left_out[i] = f"blended: {references.wavelength_nm[strongest]:.3f} nm"
        elif strongest in found.values():
            left_out[i] = f"{references.wavelength_nm[strongest]:.3f} nm is a stronger peak"
        else:
            found[i] = strongest
    return {i: float(references.wavelength_nm[k]) for i, k in found.items()}, left_out


def _is_blended(line: int, references: LineList, fwhm_nm: float) -> bool:
    distance = np.abs(references.wavelength_nm - references.wavelength_nm[line])
    strong = references.strength > _BLEND_STRENGTH * references.strength[line]
    strong[line] = False
    return bool((strong & (distance < _BLEND_FWHM * fwhm_nm)).any())

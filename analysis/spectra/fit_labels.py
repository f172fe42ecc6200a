"""Labels for everything a fit found in a spectrum, what it left over included.

The model proposes, the rules decide: a trion that stands where a replica could stand as well is
fitted as a trion and labelled unassigned, with both rivals named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spectra.labels import UNASSIGNED, Label, LineGroup, Rules, label_groups
from analysis.spectra.matched_filter import significance
from analysis.spectra.model_fit import ModelFit
from analysis.spectra.spectrum_model import SpectrumModel

__all__ = [
    "LabelledGroup",
    "Observed",
    "in_words",
    "label_fit",
    "labels_in",
    "names_in_words",
    "rules_of",
]

Array = NDArray[np.float64]

_LEAST_SIGMA = 4.0  # of a component's light, below which it gets no label
_LEFT_OVER = 6.0  # sigma of a line in the residual
_MOST_LEFT_OVER = 5


@dataclass(frozen=True, slots=True)
class Observed:
    """What other measurements say of a component; see LineGroup."""

    axes_deg: Array | None = None
    power_exponent: tuple[float, float] | None = None
    with_exciton: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LabelledGroup:
    """fitted_as: the component of the model, "replica j", or "left over"."""

    fitted_as: str
    group: LineGroup
    label: Label


def label_fit(
    fit: ModelFit, model: SpectrumModel, observed: Mapping[str, Observed] | None = None
) -> tuple[LabelledGroup, ...]:
    """Return the labels of a fit's first nanocrystal, exciton first; none where there is no fit.

    observed: by component ("exciton", "trion", "biexciton", "replica 1", ...).
    """
    if fit.place is None:
        return ()
    groups = {name: _with(group, (observed or {}).get(name)) for name, group in _groups(fit, model)}
    left = _left_over(fit, groups.values(), model)
    named = [*groups.items(), *(("left over", group) for group in left)]
    labels = label_groups([group for _, group in named], rules_of(model))
    return tuple(
        LabelledGroup(name, group, label)
        for (name, group), label in zip(named, labels, strict=True)
    )


def in_words(found: Sequence[LabelledGroup]) -> str:
    """Return each label with its reason, where its lines are, and its rivals."""
    return "; ".join(
        f"{one.label.name} at {one.group.centre_eV:.5f} eV: {one.label.reason}" for one in found
    )


_SAID = re.compile(r"(?:^|; )(\S+) at (\d+\.\d{5}) eV: ")


def labels_in(reason: str) -> tuple[tuple[str, float], ...]:
    """Return the labels that in_words has put into a reason, with their energies in eV."""
    return tuple((name, float(energy)) for name, energy in _SAID.findall(reason))


def names_in_words(found: Sequence[LabelledGroup]) -> str:
    """Return the labels alone; what has none with its place."""
    return "; ".join(
        f"{one.label.name} at {one.group.centre_eV:.5f} eV"
        if one.label.name == UNASSIGNED
        else one.label.name
        for one in found
    )


def rules_of(model: SpectrumModel) -> Rules:
    """Return the rules with the windows and phonons of a model's first nanocrystal."""
    return Rules(
        trion_eV=model.window_of(0, "trion"),
        biexciton_eV=model.window_of(0, "biexciton"),
        phonons_eV=tuple(phonon.energy_eV for phonon in model.emitters[0].phonons),
    )


def _with(group: LineGroup, observed: Observed | None) -> LineGroup:
    if observed is None:
        return group
    return replace(
        group,
        axes_deg=observed.axes_deg,
        power_exponent=observed.power_exponent,
        with_exciton=observed.with_exciton,
    )


def _groups(fit: ModelFit, model: SpectrumModel) -> list[tuple[str, LineGroup]]:
    lines = range(1, model.lines + 1)
    energy = np.array([fit[f"energy_{k}_eV"] for k in lines])
    error = np.array([fit.error(f"energy_{k}_eV") for k in lines])
    area = np.array([fit[f"area_{k}_counts"] for k in lines])
    groups = [("exciton", LineGroup(energy, error, area))]
    centre = float(energy.mean())
    if _is_seen(fit, "trion_area_counts"):
        place, light = centre - fit["trion_binding_eV"], fit["trion_area_counts"]
        trion = _group([place], [fit.error("trion_binding_eV")], [light])
        groups.append(
            ("trion", replace(trion, has_shape=_has_shape(fit, model, trion, energy, area)))
        )
    mirrored = [f"biexciton_area_{k}_counts" for k in lines]
    if any(_is_seen(fit, name) for name in mirrored):
        places = 2.0 * centre - energy - fit["biexciton_binding_eV"]
        errors = np.hypot(error, fit.error("biexciton_binding_eV"))
        light_of = np.array([fit[name] for name in mirrored])
        groups.append(("biexciton", _group(places[::-1], errors[::-1], light_of[::-1])))
    for j, phonon in enumerate(model.emitters[0].phonons, start=1):
        if _is_seen(fit, f"coupling_{j}"):
            free = f"phonon_{j}_eV"
            below = fit[free] if free in fit.fit.names else phonon.energy_eV
            light_of = area * fit[f"coupling_{j}"]
            groups.append((f"replica {j}", _group(energy - below, error, light_of)))
    return groups


def _group(energy: ArrayLike, error: ArrayLike, area: ArrayLike) -> LineGroup:
    return LineGroup(_array(energy), _array(error), _array(area))


def _array(of: ArrayLike) -> Array:
    return np.asarray(of, dtype=np.float64)


def _is_seen(fit: ModelFit, name: str) -> bool:
    return name in fit.fit.names and fit[name] > _LEAST_SIGMA * fit.error(name) > 0


_TELLING = 8.0  # sigma between one line and a copy of the exciton's, whose residual would show
_USUAL_CHI2 = 3.0  # sigma of chi2 about a line that the fit describes


def _has_shape(
    fit: ModelFit, model: SpectrumModel, one: LineGroup, energy: Array, area: Array
) -> bool:
    """Return whether the spectrum tells a single line from a copy of the exciton's lines.

    It does where the fit had both to choose from, or where a copy would have left a residual.
    """
    if "replicas" in model.emitters[0].components:
        return True
    wide = _width_seen(fit, model)
    z = fit["trion_area_counts"] / max(fit.error("trion_area_counts"), 1e-300)
    if z * _unlike(energy - energy.mean(), area, wide) < _TELLING:
        return False
    reach = np.ptp(energy) + wide
    near = (np.abs(fit.middle_eV - one.centre_eV) < reach) & (fit.good > 0)
    chi2, pixels = float((fit.residual_sigma[near] ** 2).sum()), int(near.sum())
    return chi2 - pixels < _USUAL_CHI2 * float(np.sqrt(2.0 * pixels))


def _unlike(offset_eV: Array, area: Array, fwhm_eV: float) -> float:
    """Return what a single line misses of a copy of Gaussians, as a share of the copy's light."""
    sigma2 = fwhm_eV**2 / (8.0 * np.log(2.0))
    share = area / area.sum()
    places = np.linspace(offset_eV.min(), offset_eV.max(), 50)

    def overlap(one: Array, other: Array) -> Array:
        return np.asarray(np.exp(-((one[:, None] - other) ** 2) / (4.0 * sigma2)))

    alike2 = float((overlap(places, offset_eV) @ share).max()) ** 2
    alike2 /= float(share @ overlap(offset_eV, offset_eV) @ share)
    return float(np.sqrt(max(0.0, 1.0 - alike2)))


def _width_seen(fit: ModelFit, model: SpectrumModel) -> float:
    own = sum(fit[name] for name in ("width_eV", "lorentz_width_eV") if name in fit.fit.names)
    return float(np.hypot(own, model.instrument_fwhm_eV(0, fit["energy_1_eV"])))


_OWN_WIDTHS = 1.5  # FWHM around a line: what is left there is its shape, not another line


def _left_over(fit: ModelFit, groups: Iterable[LineGroup], model: SpectrumModel) -> list[LineGroup]:
    """Return lines that stand out of the residual beside the groups', the strongest first."""
    residual = fit.residual_sigma.copy()
    wide = _width_seen(fit, model)
    for place in np.concatenate([group.energy_eV for group in groups]):
        residual[np.abs(fit.middle_eV - place) < _OWN_WIDTHS * wide] = 0.0
    found: list[LineGroup] = []
    pixel_eV = float(np.ptp(fit.middle_eV)) / (fit.middle_eV.size - 1)
    for _ in range(_MOST_LEFT_OVER):
        z, place, fwhm_px = significance(residual, np.ones(residual.size))
        if z < _LEFT_OVER:
            break
        error = 0.6 * fwhm_px * pixel_eV / z
        one = _group([fit.middle_eV[place]], [error], [z])
        found.append(replace(one, has_shape="replicas" in model.emitters[0].components))
        reach = int(np.ceil(fwhm_px))
        residual[max(0, place - reach) : place + reach + 1] = 0.0
    return found

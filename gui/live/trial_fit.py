"""A model tried out on one spectrum: what is fitted, how it came out, and how to keep it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.sweep_file import FitZone
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.line_table import LineTable
from analysis.series.frame_series import PointFit, fit_frames
from analysis.spectra.fit_curve import FitCurve, fit_curve
from analysis.spectra.fit_model import FitModel

__all__ = ["SHAPES", "Limits", "TrialFit", "TrialModel", "fit_toml", "parameter_unit", "try_fit"]

Array = NDArray[np.float64]

SHAPES: tuple[str, ...] = get_args(get_type_hints(FitModel)["shape"])
"""The line shapes that can be fitted."""

LINES: tuple[int | Literal["auto"], ...] = (1, 2, 3, "auto")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a parameter may be; lower == upper holds it fixed."""

    lower: float
    upper: float

    @property
    def is_fixed(self) -> bool:
        return self.lower == self.upper


@dataclass(frozen=True, slots=True)
class TrialModel:
    """What the panel's fields say; limits: of the parameters that are not free, by name."""

    lines: int | Literal["auto"] = 1
    shape: str = "gauss"
    window_eV: tuple[float, float] | None = None
    background_order: int = 1
    limits: Mapping[str, Limits] = field(default_factory=dict)

    @classmethod
    def of(cls, model: FitModel) -> "TrialModel":
        return cls(model.lines, model.shape, model.window_eV, model.background_order)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what is fitted; with "auto", of one line, which there always is."""
        return self.table(1 if self.lines == "auto" else self.lines).names

    def table(self, lines: int) -> LineTable:
        return self.fit_model().table(lines)

    def fit_model(self) -> FitModel:
        """Return the model to fit. Raises ValueError for what is none."""
        known = FitModel(
            lines=self.lines,
            shape=self.shape,  # type: ignore[arg-type]  # FitModel refuses others
            window_eV=self.window_eV,
            background_order=self.background_order,
        )
        names = known.table(1 if self.lines == "auto" else self.lines).names
        own = {name: limit for name, limit in self.limits.items() if name in names}
        return replace(
            known,
            fixed={name: limit.lower for name, limit in own.items() if limit.is_fixed},
            bounds={
                name: (limit.lower, limit.upper)
                for name, limit in own.items()
                if not limit.is_fixed
            },
        )


@dataclass(frozen=True, slots=True)
class TrialFit:
    """How a trial came out; trouble: why there is no fit at all."""

    point: int
    fit: PointFit | None = None
    curve: FitCurve | None = None
    trouble: str = ""


def try_fit(
    point: int,
    wavelength_nm: Array,
    frames: NDArray[np.generic],
    background: Array | None,
    *,
    model: TrialModel,
    noise: DetectorNoise,
) -> TrialFit:
    """Fit the frames of one row as a run would; whatever is wrong is said, not raised."""
    try:
        wanted = model.fit_model()
        fit = fit_frames(wavelength_nm, frames, model=wanted, noise=noise, background=background)
        curve = fit_curve(
            wavelength_nm,
            frames,
            model=wanted,
            noise=noise,
            background=background,
            names=fit.names,
            values=fit.values,
        )
    except ValueError as error:
        return TrialFit(point, trouble=str(error))
    return TrialFit(point, fit, curve)


def parameter_unit(name: str) -> str:
    """Return the unit of a fitted parameter; areas and backgrounds are in counts per frame."""
    return "eV" if name.endswith("_eV") else ""


def fit_toml(model: TrialModel, laws: tuple[str, ...] = ()) -> str:
    """Return the model as [fit] of a sweep file. Raises ValueError where the window is missing.

    What a sweep file can't hold (fixed and bounded parameters, another background) is said in a
    comment.
    """
    if model.window_eV is None:
        raise ValueError("a sweep file needs a window: give its lower and upper energy")
    low, high = model.window_eV
    lines = '"auto"' if model.lines == "auto" else str(model.lines)
    named = ", ".join(f'"{law}"' for law in laws)
    text = [
        "[fit]",
        f"laws = [{named}]",
        "",
        "[fit.model]",
        f"lines = {lines}",
        f'shape = "{model.shape}"',
        f'window = ["{low:.9g} eV", "{high:.9g} eV"]',
        *_only_tried(model),
    ]
    return "\n".join(text) + "\n"


def _only_tried(model: TrialModel) -> list[str]:
    said = [
        f"# tried with {name} {'=' if limit.is_fixed else 'between'} "
        + (f"{limit.lower:.9g}" if limit.is_fixed else f"{limit.lower:.9g} and {limit.upper:.9g}")
        for name, limit in model.limits.items()
    ]
    if model.background_order != FitModel().background_order:
        said.append(f"# tried with a background of order {model.background_order}")
    if model.shape not in get_args(FitZone.model_fields["shape"].annotation):
        said.append(f"# a sweep does not fit the shape {model.shape!r}")
    return said

"""What `cryoscan fit` fits to the spectra of files, and how the command line says it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from analysis.detector.detector_noise import UNEVEN_RESPONSE
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import Shape
from analysis.spectra.components import COMPONENTS
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_model import SpectrumModel
from analysis.wavelength.units import energy_from_wavelength_eV

__all__ = [
    "EVERY_PEAK",
    "FileFitOptions",
    "check_destinations",
    "parse_lines",
    "parse_medium",
    "parse_model",
    "parse_shape",
    "parse_windows",
]

Window = tuple[float, float]
Medium = Literal["air", "vacuum"]
ShapeName = Literal["gauss", "lorentz", "voigt"]
EVERY_PEAK = "peaks"
TABLE_SUFFIXES = (".csv", ".h5", ".hdf5")


@dataclass(frozen=True, slots=True)
class FileFitOptions:
    """What is fitted to every spectrum of every file.

    windows_eV: a fit for each; none: one, around the strongest line; "peaks": around every peak.
    spectra: labels of those to be fitted, none: all. medium: of the wavelengths where the file does
    not say; gain and the others: of the detector, estimated if not given. response_error: rms of
    what a flat field would even out, as a share. lamp: spectrum of a lamp
    on the same pixels, and lamp_lines: its lines (in vacuum), which replace the files' own axis.
    components: what the nanocrystal has beside its exciton; phonons_eV: modes of its replicas;
    temperature_K: of the nanocrystal, for phonons that are taken up. sees_profile: whether the
    lines are seen through the profile that the lamp shows, so that widths are their own.
    """

    lines: int | Literal["auto"] = 1
    shape: ShapeName = "gauss"
    windows_eV: tuple[Window, ...] | Literal["peaks"] = ()
    spectra: tuple[str, ...] = ()
    medium: Medium | None = None
    gain_e_per_count: float = 1.0
    read_noise_e: float | None = None
    offset_counts: float | None = None
    saturation_counts: float = np.inf
    response_error: float = UNEVEN_RESPONSE
    components: tuple[str, ...] = ()
    phonons_eV: tuple[float, ...] = ()
    temperature_K: float = 0.0
    lamp: Path | None = None
    lamp_lines: tuple[Path, ...] = ()
    sees_profile: bool = False

    def __post_init__(self) -> None:
        if (self.lamp is None) != (not self.lamp_lines):
            raise ValueError("a lamp needs both its spectrum (--lamp) and its lines (--lamp-lines)")
        if self.sees_profile and self.lamp is None:
            raise ValueError("the instrument profile (--profile) needs a lamp (--lamp)")
        if not self.saturation_counts > 0:  # NaN is not
            raise ValueError(f"saturation {self.saturation_counts:g}: expected counts above 0")
        if not self.gain_e_per_count < np.inf:
            raise ValueError(f"gain {self.gain_e_per_count:g}: expected a finite number")
        if self.components:
            self.spectrum_model()

    def model(self, window_eV: Window | None = None) -> FitModel:
        """Return the model for a window. Raises ValueError for what no model can be."""
        return FitModel(lines=self.lines, shape=self.shape, window_eV=window_eV)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of lines that are tried."""
        return (1, 2, 3) if self.lines == "auto" else (self.lines,)

    def spectrum_model(
        self, window_eV: Window | None = None, profile: InstrumentProfile | None = None
    ) -> SpectrumModel:
        """Return the model with the components, seen through a profile where there is one.

        Its lines are the fewest that are tried. Raises ValueError for what no model can be.
        """
        emitter = Emitter(
            components={
                name: Presence.IF_SEEN if COMPONENTS[name].window_eV else Presence.ALWAYS
                for name in self.components
            },
            phonons=tuple(Phonon(energy) for energy in self.phonons_eV),
            temperature_K=self.temperature_K,
            shape=Shape(self.shape) if profile is None else Shape.PROFILE,
            behind=Shape(self.shape),
        )
        return SpectrumModel((emitter,), self.numbers[0], window_eV, profile=profile)


def parse_lines(text: str) -> int | Literal["auto"]:
    """Read 1, 2, 3 or auto. Raises ValueError for anything else."""
    if text == "auto":
        return "auto"
    if text not in ("1", "2", "3"):
        raise ValueError(f"lines {text!r}: expected 1, 2, 3 or auto")
    return int(text)


def parse_shape(text: str) -> ShapeName:
    """Read the name of a line shape. Raises ValueError for anything else."""
    known: tuple[ShapeName, ...] = get_args(ShapeName)
    for shape in known:
        if text == shape:
            return shape
    raise ValueError(f"shape {text!r}: expected {', '.join(known[:-1])} or {known[-1]}")


def parse_medium(text: str | None) -> Medium | None:
    """Read air or vacuum, or None for neither. Raises ValueError for anything else."""
    if text is None:
        return None
    if text == "air":
        return "air"
    if text == "vacuum":
        return "vacuum"
    raise ValueError(f"medium {text!r}: expected air or vacuum")


def parse_model(text: str) -> tuple[str, ...]:
    """Read what is there beside the exciton, as in exciton+trion+biexciton+replicas.

    Raises ValueError for a component that is none.
    """
    names = tuple(name.strip() for name in text.split("+"))
    known = [name for name in COMPONENTS if name != "exciton"]
    unknown = [name for name in names if name not in COMPONENTS]
    if names[0] != "exciton" or unknown:
        raise ValueError(
            f"model {text!r}: expected exciton, and after a + each any of {', '.join(known)}"
        )
    return names[1:]


def parse_windows(texts: list[str]) -> tuple[Window, ...] | Literal["peaks"]:
    """Read "peaks", or any number of LOW:HIGH in eV, as in 2.38:2.40, or as in 515nm:525nm.

    Raises ValueError for anything else.
    """
    if texts == [EVERY_PEAK]:
        return "peaks"
    return tuple(_window(text) for text in texts)


def check_destinations(table: Path | None, plots: Path | None) -> None:
    """Raise ValueError, before anything is fitted, where table or plots can't be written."""
    if table is not None and table.suffix not in TABLE_SUFFIXES:
        raise ValueError(
            f"table {str(table)!r}: expected a name ending in {', '.join(TABLE_SUFFIXES)}"
        )
    if table is not None and not table.parent.is_dir():
        raise ValueError(f"table {str(table)!r}: there is no folder {str(table.parent)!r}")
    if plots is not None and plots.exists() and not plots.is_dir():
        raise ValueError(f"plots {str(plots)!r}: expected a folder, found a file")


def _window(text: str) -> Window:
    ends = [re.fullmatch(r"\s*(\d+\.?\d*)\s*(nm|eV)?\s*", end) for end in text.split(":")]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        raise ValueError(
            f"window {text!r}: expected LOW:HIGH in eV, or 515nm:525nm, or {EVERY_PEAK} alone"
        )
    units = {ends[0][2], ends[1][2]}
    if units == {"nm", "eV"}:
        raise ValueError(f"window {text!r}: expected both ends in nm, or both in eV")
    in_nm = "nm" in units
    low, high = (float(end[1]) for end in ends if end is not None)
    if not 0 < low < high:
        raise ValueError(f"window {text!r}: {low:g} must be above 0 and below {high:g}")
    if not in_nm:
        return low, high
    energies = energy_from_wavelength_eV([high, low])
    return float(energies[0]), float(energies[1])

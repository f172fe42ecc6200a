"""The calibration port: a neon-argon lamp with narrow lines, and a white lamp without any.

Wavelengths in air: NIST Atomic Spectra Database. The intensities are only roughly relative.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.line_profile import EnergyGrid, PixelSpectrum, instrument_transfer
from simulators.optics import HC_EV_NM, air_to_vacuum_nm
from simulators.view import Window

__all__ = ["LINES_NM", "line_lamp_e_per_s", "white_lamp_e_per_s"]

Floats = NDArray[np.float64]

NEON: Final = (
    (503.1348, 0.3), (503.7751, 0.6), (508.0383, 0.4), (511.3672, 0.3), (511.6503, 0.3),
    (512.2257, 0.3), (514.4938, 0.6), (515.1961, 0.3), (518.8612, 0.5), (520.3896, 0.5),
    (522.2352, 0.3), (523.4027, 0.3), (527.4039, 0.2), (529.8190, 0.5), (530.4758, 0.3),
    (533.0778, 1.2), (534.1094, 1.5), (536.0012, 0.3), (540.0562, 4.0), (543.3651, 0.5),
    (556.2766, 0.5), (565.6659, 0.7), (571.9225, 0.6), (574.8298, 1.0), (576.4419, 1.5),
    (580.4450, 0.7), (582.0156, 0.9), (585.2488, 10.0), (588.1895, 7.0), (594.4834, 6.0),
    (597.5534, 3.0), (602.9997, 4.0), (607.4338, 6.0), (609.6163, 6.0), (614.3063, 9.0),
    (616.3594, 5.0), (621.7281, 4.0), (626.6495, 7.0), (630.4789, 4.0), (633.4428, 8.0),
    (638.2992, 9.0), (640.2248, 15.0), (650.6528, 9.0), (659.8953, 5.0), (667.8276, 6.0),
    (692.9467, 6.0), (703.2413, 12.0),
)  # fmt: skip
ARGON: Final = (
    (415.8590, 1.0), (420.0674, 1.0), (425.9362, 0.5), (549.5874, 0.3), (560.6733, 0.3),
    (603.2127, 0.4), (696.5431, 8.0), (706.7218, 8.0), (738.3980, 9.0), (750.3869, 15.0),
    (763.5106, 20.0), (772.3761, 10.0), (794.8176, 10.0), (811.5311, 20.0),
)  # fmt: skip
LINES_NM: Final = NEON + ARGON
LINE_E_PER_S: Final = 2e4  # of a line of intensity 1
WHITE_E_PER_PX_S: Final = 500.0  # at 600 nm
STEPS_PER_PIXEL: Final = 4.0
MARGIN: Final = 0.25  # of the window, beyond either end: wings reach in


@lru_cache(maxsize=8)
def line_lamp_e_per_s(window: Window) -> Floats:
    """Return what each column receives from the line lamp."""
    middle_eV = float(window.edges_eV.mean())
    edges_meV = 1e3 * (window.edges_eV - middle_eV)
    air_nm, intensity = np.array(LINES_NM).T
    shifts_meV = 1e3 * (HC_EV_NM / air_to_vacuum_nm(air_nm) - middle_eV)
    margin_meV = MARGIN * window.span_meV
    near = (shifts_meV > edges_meV[-1] - margin_meV) & (shifts_meV < edges_meV[0] + margin_meV)
    if not near.any():
        return np.zeros(edges_meV.size - 1)
    grid = EnergyGrid(window.pixel_meV / STEPS_PER_PIXEL)
    k = grid.frequencies_per_meV()
    transfer = instrument_transfer(k, window.profile, window.core_fwhm_meV)
    spectrum = PixelSpectrum(grid, transfer)
    return spectrum.electrons(edges_meV, shifts_meV[near], LINE_E_PER_S * intensity[near])


@lru_cache(maxsize=8)
def white_lamp_e_per_s(window: Window) -> Floats:
    """Return what each column receives from the white lamp, rising smoothly to the red."""
    centres_nm = 2.0 * HC_EV_NM / (window.edges_eV[1:] + window.edges_eV[:-1])
    return np.asarray(WHITE_E_PER_PX_S * (centres_nm / 600.0) ** 4 * window.response)

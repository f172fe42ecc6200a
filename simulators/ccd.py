"""A cooled CCD: electrons become counts, with everything that spoils them.

counts = (Poisson(light + dark) + cosmic rays + read noise) / gain + offset, whole numbers, clipped
at the full well and at 16 bit. Frames of a series follow one another without a gap: exposure,
read-out, exposure. Light that nothing blocks goes on collecting during the read-out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import erf, exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from simulators.line_profile import FWHM_PER_SIGMA
from simulators.replay import Replay
from simulators.truth import CameraTruth
from simulators.view import Stretch, View

__all__ = ["Camera", "ReadoutMode"]

ADC_MAX = 65535
DARK_REFERENCE_C = -70.0
SECONDS_PER_MINUTE = 60.0
UM_PER_CM = 1e4
Electrons = NDArray[np.float64]
Develop = Callable[[View, list[Stretch]], Electrons]


@dataclass(frozen=True, slots=True)
class ReadoutMode:
    """How each frame of a series is taken; rows: (first, number) binned, None: an image."""

    exposure_s: float
    frames: int
    rows: tuple[int, int] | None
    readout_s: float
    shutter_open: bool
    gain: int
    speed: int


class Phase(Enum):
    """What the detector does."""

    IDLE = "idle"
    EXPOSING = "exposing"
    READING_OUT = "reading out"


@dataclass(slots=True)
class _Light:
    """What fell on the detector since its last clearing: by lines, and evenly on all pixels."""

    stretches: dict[View, list[Stretch]] = field(default_factory=dict)
    even_e_per_px: float = 0.0
    columns: Electrons | None = None  # of lamps, by column

    def add_columns(self, electrons: Electrons) -> None:
        """Take up what lamps brought each column."""
        self.columns = electrons if self.columns is None else self.columns + electrons

    def add(self, other: "_Light") -> None:
        """Take up what came after it, from lines and lamps."""
        if other.columns is not None:
            self.add_columns(other.columns)
        for view, stretches in other.stretches.items():
            self.stretches.setdefault(view, []).extend(stretches)


class Camera:
    """The detector. Cores start it and fetch frames; the world brings it light."""

    def __init__(
        self,
        truth: CameraTruth,
        seed: np.random.SeedSequence,
        clock: Callable[[], float],
        before_change: Callable[[], None],
        *,
        develop: Develop,
        gap_voltage_V: Callable[[], float],
        replay: Replay | None = None,
    ) -> None:
        """develop: returns what each column received from the lines in stretches of one view."""
        shot, read, cosmic = (np.random.default_rng(child) for child in seed.spawn(3))
        self._truth = truth
        self._shot, self._read, self._cosmic = shot, read, cosmic
        self._clock = clock
        self._before_change = before_change
        self._develop = develop
        self._gap_voltage_V = gap_voltage_V
        self._replay = replay
        self._profile = _row_profile(truth)
        self._mode = ReadoutMode(0.0, 0, None, 0.0, False, 0, 0)
        self._phase = Phase.IDLE
        self._frames: list[tuple[float, NDArray[np.int32]]] = []
        self._start_s = 0.0
        self._light = _Light()
        self._smear = _Light()
        self._replay_V = 0.0
        self._cooling_from = (0.0, truth.start_C)
        self._cooling_to_C = truth.start_C
        self.boundary_s = inf  # when the phase ends

    @property
    def pixels(self) -> int:
        """The number of columns."""
        return self._replay.pixels if self._replay else self._truth.pixels

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self._truth.rows

    @property
    def detector_temperature_C(self) -> float:
        """The temperature of the chip now."""
        start_s, start_C = self._cooling_from
        left = exp(-(self._clock() - start_s) / self._truth.cooling_time_s)
        return self._cooling_to_C + (start_C - self._cooling_to_C) * left

    @property
    def cooling_to_C(self) -> float:
        """Where the cooler takes the chip; set it to ambient_C to switch the cooler off."""
        return self._cooling_to_C

    @cooling_to_C.setter
    def cooling_to_C(self, temperature_C: float) -> None:
        self._cooling_from = (self._clock(), self.detector_temperature_C)
        self._cooling_to_C = temperature_C

    def start(
        self,
        exposure_s: float,
        frames: int = 1,
        *,
        rows: tuple[int, int] | None = None,
        readout_s: float = 0.1,
        shutter_open: bool = True,
        gain: int = 0,
        speed: int = 0,
    ) -> None:
        """Start a series now; frames of an earlier series are gone.

        rows: (first, number) binned into one spectrum; None: the whole image. gain and speed are
        indices of the truth's tables. Raises ValueError for what the detector cannot do.
        """
        mode = ReadoutMode(exposure_s, frames, rows, readout_s, shutter_open, gain, speed)
        self._refuse_impossible(mode)
        self._before_change()
        self._mode = mode
        self._frames = []
        self._start_s = self._clock()
        self._begin_exposure()

    def abort(self) -> None:
        """End a series; frames read out so far stay."""
        self._before_change()
        self._phase = Phase.IDLE
        self.boundary_s = inf

    def is_exposing(self) -> bool:
        """Return whether a frame of the series is still to finish its exposure."""
        is_last = len(self._frames) == self._mode.frames - 1
        return self._phase is Phase.EXPOSING or (self._phase is Phase.READING_OUT and not is_last)

    def is_busy(self) -> bool:
        """Return whether the series is not yet exposed and read out."""
        return self._phase is not Phase.IDLE

    def frames_ready(self) -> int:
        """Return how many frames are read out."""
        return len(self._frames)

    def frames(self) -> list[tuple[float, NDArray[np.int32]]]:
        """Return the frames read out: when each exposure began, and its counts.

        Counts have the shape (pixels,), or (rows, pixels) for an image.
        """
        return list(self._frames)

    @property
    def is_collecting(self) -> bool:
        """Whether light that arrives now ends up in a frame."""
        if not self._mode.shutter_open or self._phase is Phase.IDLE:
            return False
        return self._phase is Phase.EXPOSING or self._truth.shutter_stays_open_in_readout

    def collect_evenly(self, e_per_px: float) -> None:
        """Take up electrons on every pixel alike."""
        self._falling.even_e_per_px += e_per_px

    def collect(self, view: View, stretch: Stretch) -> None:
        """Take up light of the lines; only the read-out asks how it is spread over the pixels."""
        self._falling.stretches.setdefault(view, []).append(stretch)

    def collect_columns(self, electrons: Electrons) -> None:
        """Take up what each column received from lamps, in all rows together."""
        self._falling.add_columns(electrons)

    def pass_boundary(self) -> None:
        """Go from exposure to read-out, or from read-out to the next frame."""
        if self._phase is Phase.EXPOSING:
            self._phase = Phase.READING_OUT
            self._replay_V = self._gap_voltage_V()
            self.boundary_s = self._frame_start_s(len(self._frames)) + self._cycle_s
            return
        start_s = self._frame_start_s(len(self._frames))
        self._frames.append((start_s, self._read_out()))
        if len(self._frames) == self._mode.frames:
            self._phase = Phase.IDLE
            self.boundary_s = inf
        else:
            self._begin_exposure()

    @property
    def _falling(self) -> _Light:
        return self._light if self._phase is Phase.EXPOSING else self._smear

    @property
    def _cycle_s(self) -> float:
        return self._mode.exposure_s + self._mode.readout_s

    def _frame_start_s(self, index: int) -> float:
        return self._start_s + index * self._cycle_s

    def _begin_exposure(self) -> None:
        self._phase = Phase.EXPOSING
        self._light = _Light()
        self._smear = _Light()
        self.boundary_s = self._frame_start_s(len(self._frames)) + self._mode.exposure_s

    def _refuse_impossible(self, mode: ReadoutMode) -> None:
        truth = self._truth
        if self._phase is not Phase.IDLE:
            raise ValueError("camera: start while a series is running")
        if not mode.exposure_s > 0.0 or not mode.readout_s >= 0.0 or mode.frames < 1:
            raise ValueError(f"camera: {mode} needs an exposure above 0 s and at least 1 frame")
        if not 0 <= mode.gain < len(truth.gains_e_per_count):
            raise ValueError(f"camera: gain {mode.gain} (0 to {len(truth.gains_e_per_count) - 1})")
        if not 0 <= mode.speed < len(truth.read_noise_e):
            raise ValueError(f"camera: speed {mode.speed} (0 to {len(truth.read_noise_e) - 1})")
        if mode.rows is not None:
            first, number = mode.rows
            if first < 0 or number < 1 or first + number > truth.rows:
                raise ValueError(f"camera: rows {mode.rows} are not within 0 to {truth.rows}")

    def _read_out(self) -> NDArray[np.int32]:
        if self._replay is not None:
            is_lit = bool(self._light.stretches)
            shown = self._replay.counts_at(self._replay_V)
            return shown if is_lit else np.zeros_like(shown)
        if self._mode.rows is None:
            return self._image()
        return self._binned(*self._mode.rows)

    def _binned(self, first: int, number: int) -> NDArray[np.int32]:
        self._light.add(self._smear)
        share = float(self._profile[first : first + number].sum())
        expected = share * self._developed(self._light) + number * self._even_e_per_px()
        electrons = self._shot.poisson(expected).astype(float)
        self._add_cosmic_rays(electrons[None, :], number)
        return self._digitised(electrons, self._truth.register_well_e)

    def _image(self) -> NDArray[np.int32]:
        rows = self._truth.rows
        expected = np.multiply.outer(self._profile, self._developed(self._light))
        expected += self._developed(self._smear) / rows + self._even_e_per_px()
        electrons = self._shot.poisson(expected).astype(float)
        self._add_cosmic_rays(electrons, rows)
        return self._digitised(electrons, self._truth.full_well_e)

    def _developed(self, light: _Light) -> Electrons:
        total = np.zeros(self.pixels) if light.columns is None else light.columns.copy()
        for view, stretches in light.stretches.items():
            total += self._develop(view, stretches)
        return total

    def _even_e_per_px(self) -> float:
        dark = self._dark_e_per_px_s() * self._cycle_s
        return dark + self._light.even_e_per_px + self._smear.even_e_per_px

    def _dark_e_per_px_s(self) -> float:
        truth = self._truth
        warmer_K = self.detector_temperature_C - DARK_REFERENCE_C
        return truth.dark_e_per_px_s * exp(log(2.0) * warmer_K / truth.dark_doubling_K)

    def _add_cosmic_rays(self, electrons: Electrons, rows: int) -> None:
        """Hit 1 to 4 neighbouring pixels of a row; a binned spectrum is its only row."""
        truth = self._truth
        pitch_cm = truth.pixel_um / UM_PER_CM
        area_cm2 = rows * self.pixels * pitch_cm**2
        expected = truth.cosmic_per_min_cm2 * area_cm2 * self._cycle_s / SECONDS_PER_MINUTE
        for _ in range(int(self._cosmic.poisson(expected))):
            row = int(self._cosmic.integers(electrons.shape[0]))
            column = int(self._cosmic.integers(electrons.shape[1]))
            length = int(self._cosmic.integers(1, 5))
            amplitude = truth.cosmic_median_e * exp(
                truth.cosmic_spread * float(self._cosmic.standard_normal())
            )
            electrons[row, column : column + length] += amplitude / length

    def _digitised(self, electrons: Electrons, well_e: float) -> NDArray[np.int32]:
        truth, mode = self._truth, self._mode
        np.minimum(electrons, well_e, out=electrons)
        electrons += truth.read_noise_e[mode.speed] * self._read.standard_normal(electrons.shape)
        electrons /= truth.gains_e_per_count[mode.gain]
        electrons += truth.offset_counts
        np.rint(electrons, out=electrons)
        return np.clip(electrons, 0, ADC_MAX).astype(np.int32)


def _row_profile(truth: CameraTruth) -> NDArray[np.float64]:
    """Return the share of each row of the light: a Gaussian image of the spot."""
    edges = np.arange(truth.rows + 1) - 0.5 - truth.spot_row
    sigma = truth.spot_fwhm_rows / FWHM_PER_SIGMA
    cumulative = np.array([0.5 * (1.0 + erf(edge / (sigma * sqrt(2.0)))) for edge in edges])
    return np.diff(cumulative)

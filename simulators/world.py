"""One simulated laboratory, moved by time alone.

The plant and the controllers' firmware run on a fixed grid of steps; light is collected in
stretches between the moments at which something changes, and spread over pixels when a frame is
read out. Neither depends on how `advance` is sliced, so one
seed and one sequence of commands give one trace.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np
from numpy.typing import NDArray

from simulators.bias_circuit import BiasCircuit, BiasLogEntry
from simulators.ccd import Camera
from simulators.cryostat import Cryostat
from simulators.emitter import Nanocrystal, TrueLine
from simulators.field import field_kV_per_cm
from simulators.flow_cryostat import FlowCryostat
from simulators.lamps import line_lamp_e_per_s, white_lamp_e_per_s
from simulators.optics import Optics
from simulators.replay import Replay
from simulators.truth import Truth
from simulators.vacuum import Vacuum
from simulators.view import Stretch, Surroundings, View, Window

__all__ = ["World"]

Firmware = Callable[[float, float], None]
CLOCK_TOLERANCE_S = 1e-9
LEAST_OVERLAP = 1e-6


class World:
    """Everything physical: cryostat, bias, optics, camera and the nanocrystal.

    Cores call `advance` before they touch anything. `truth`, `log` and the true_* methods are for
    checkers; no instrument reports them.
    """

    def __init__(self, truth: Truth, seed: int, replay: Replay | None = None) -> None:
        streams = np.random.SeedSequence(seed).spawn(4)
        self.truth = truth
        self.now = 0.0
        self._replay = replay
        is_flow = truth.cryostat.cooling == "helium_flow"
        cryostat = FlowCryostat if is_flow else Cryostat
        self.cryostat = cryostat(truth.cryostat, streams[0].spawn(3))
        self.vacuum = Vacuum(truth.vacuum)
        self.bias = BiasCircuit(truth.bias, streams[1], self._clock, self._collect_light)
        self.optics = Optics(truth.optics, truth.camera, self._before_optics_change)
        self._nanocrystal = Nanocrystal(
            truth.nanocrystal,
            truth.optics.numerical_aperture,
            streams[3],
            truth.cryostat.start_K,
        )
        self.camera = Camera(
            truth.camera,
            streams[2],
            self._clock,
            self._collect_light,
            develop=self._nanocrystal.electrons,
            gap_voltage_V=self.bias.gap_voltage_V,
            replay=replay,
        )
        self._firmware: list[Firmware] = []
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._steps = 0
        self._next_step_s = truth.cryostat.step_s
        self._light_until_s = 0.0
        self._dose_before_step = 0.0
        self._window: Window | None = None
        self._view: View | None = None

    def advance(self, now: float) -> None:
        """Bring everything to `now`. Raises ValueError when that lies in the past."""
        if now < self.now - CLOCK_TOLERANCE_S:
            raise ValueError(f"world: cannot go back from {self.now} s to {now} s")
        while True:
            action_s = self._actions[0][0] if self._actions else inf
            moment = min(self._next_step_s, self.camera.boundary_s, action_s)
            if moment > now:
                break
            self.now = max(self.now, moment)
            self._pass(moment)
        self.now = max(self.now, now)

    def every_step(self, firmware: Firmware) -> None:
        """Call firmware(now, dt) after each step of the plant: a controller's own loop."""
        self._firmware.append(firmware)

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Do something at exactly that time, such as a shutter that opens or a stage that moves.

        Raises ValueError for a time in the past.
        """
        if time_s < self.now:
            raise ValueError(f"world: {time_s} s is before {self.now} s")
        heappush(self._actions, (time_s, next(self._order), action))

    def wavelengths_nm(self) -> NDArray[np.float64]:
        """Return the wavelength of each pixel as the spectrograph reports it."""
        if self._replay is not None:
            return self._replay.wavelength_nm
        return self.optics.nominal_wavelengths_nm()

    def field_kV_per_cm(self) -> float:
        """Return the nominal applied field at the nanocrystal."""
        return field_kV_per_cm(self.truth.electrodes, self.bias.gap_voltage_V())

    def laser_W(self) -> float:
        """Return the power of the laser before the shutter."""
        return 1e-6 * self.truth.optics.laser_uW * self.optics.laser_power

    @property
    def log(self) -> list[BiasLogEntry]:
        """What the bias supply truly did: (time_s, programmed_V, terminal_V, event)."""
        return self.bias.log

    @property
    def dose_s(self) -> float:
        """Light absorbed by the nanocrystal, in s of standard power; for checkers."""
        pending_s = self.now - self._light_until_s
        return self._nanocrystal.dose_s + pending_s * self._absorbed

    def true_lines(self) -> list[TrueLine]:
        """Return every zero-phonon line at the present state, without fluctuations."""
        return self._nanocrystal.true_lines(self._true_view(), self._surroundings())

    def true_axes(self) -> NDArray[np.float64]:
        """Return the dipoles of X1-X3 as columns, in the frame of the analyser's zero."""
        return self._nanocrystal.axes.copy()

    def true_electrons_per_s(self) -> NDArray[np.float64]:
        """Return what each column expects from the bright neutral state, without fluctuations.

        Summed over all rows; dark, stray light and offset are not in it.
        """
        return self._nanocrystal.steady(self._true_view(), self._surroundings())

    def _clock(self) -> float:
        return self.now

    def _pass(self, moment: float) -> None:
        if self._actions and self._actions[0][0] <= moment:
            heappop(self._actions)[2]()
        elif self.camera.boundary_s <= moment:
            self._collect_light()
            self.camera.pass_boundary()
        else:
            self._step()

    def _step(self) -> None:
        dt = self.truth.cryostat.step_s
        self._collect_light()
        dose_s = self._nanocrystal.dose_s
        self.cryostat.step((dose_s - self._dose_before_step) / dt)
        self._dose_before_step = dose_s
        sample_K = self.cryostat.true_sample_K
        self._nanocrystal.transition.follow(sample_K)
        self.bias.step(sample_K)
        self.vacuum.step(dt)
        self._steps += 1
        self._next_step_s = (self._steps + 1) * dt
        for firmware in self._firmware:
            firmware(self.now, dt)

    def _before_optics_change(self) -> None:
        self._collect_light()
        self._view = None

    def _collect_light(self) -> None:
        """Bring light and dose to now, with the state that held since the last time."""
        duration_s = self.now - self._light_until_s
        if duration_s <= 0.0:
            return
        self._light_until_s = self.now
        excitation, absorbed = self.optics.excitation, self._absorbed
        dose_s = self._nanocrystal.dose_s
        if absorbed > 0.0:
            self._nanocrystal.absorb(duration_s * absorbed)
        if not self.camera.is_collecting:
            return
        if self.optics.calibration_port:
            self._collect_lamps(duration_s)
            return
        optics = self.truth.optics
        even_e_per_px_s = optics.stray_e_per_px_s + excitation * optics.laser_scatter_e_per_px_s
        self.camera.collect_evenly(duration_s * even_e_per_px_s)
        if absorbed > 0.0:
            if self._view is None:
                self._view = self._seen_with(absorbed)
            self.camera.collect(self._view, self._stretch_since(dose_s))

    @property
    def _absorbed(self) -> float:
        """The power at the nanocrystal; beside the spot it is nothing at all."""
        overlap = self.optics.overlap
        return self.optics.excitation * overlap if overlap > LEAST_OVERLAP else 0.0

    def _collect_lamps(self, duration_s: float) -> None:
        """Bring the light of the calibration port, where no light of the sample arrives."""
        self.camera.collect_evenly(duration_s * self.truth.optics.stray_e_per_px_s)
        window = self._present_window()
        if self.optics.line_lamp_on:
            self.camera.collect_columns(duration_s * line_lamp_e_per_s(window))
        if self.optics.white_lamp_on:
            self.camera.collect_columns(duration_s * white_lamp_e_per_s(window))

    def _stretch_since(self, dose_s: float) -> Stretch:
        return Stretch(
            dose_s,
            self._nanocrystal.dose_s,
            self.cryostat.true_sample_K,
            self.field_kV_per_cm(),
            self._nanocrystal.transition.fraction,
        )

    def _surroundings(self) -> Surroundings:
        now = self._stretch_since(self._nanocrystal.dose_s)
        return Surroundings(*np.array([now[2:]]).T)

    def _true_view(self) -> View:
        return self._seen_with(self.optics.laser_power)

    def _seen_with(self, excitation: float) -> View:
        return View(
            self._present_window(),
            self.optics.analyser_deg(),
            excitation,
            self.optics.transmission() * self.optics.overlap,
        )

    def _present_window(self) -> Window:
        edges_eV = self.optics.edges_eV()
        if self._window is None or self._window.edges_eV is not edges_eV:
            optics = self.truth.optics
            self._window = Window(
                edges_eV,
                self.truth.profile,
                self.truth.camera.pixel_um,
                optics.ripple,
                optics.ripple_period_meV,
            )
        return self._window

"""The spectrum of the calibration lamp: flip to it, light it, expose, and put everything back.

The laser's shutter is closed first. Whatever happens, the lamp ends as it was, and what looked at
the sample looks at it again; the spectrograph stays where the lamp was measured.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.station_file import StationConfig
from acquisition.instruments.open_station import instruments_of, open_instrument
from drivers.clock import Clock
from drivers.connections import Connections
from drivers.errors import LimitError
from drivers.roles import Camera, ExposureSettings, Selector, Shutter, Spectrograph, Switch
from drivers.status import Status

__all__ = ["LampBench", "LampSpectrum", "measure_lamp", "open_lamp_bench"]

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class LampBench:
    """What takes part; a lamp without a switch is always on."""

    camera: Camera
    selector: Selector
    spectrograph: Spectrograph | None = None
    switch: Switch | None = None
    shutter: Shutter | None = None


@dataclass(frozen=True, slots=True)
class LampSpectrum:
    """Counts of the lamp, on the axis that the instrument delivers in that medium."""

    wavelength_nm: NDArray[np.float64]
    counts: NDArray[np.int64]
    medium: str

    def write(self, path: Path) -> None:
        """Write a text file that `cryoscan fit --lamp` reads."""
        rows = (
            f"{nm:.5f}\t{count}\n"
            for nm, count in zip(self.wavelength_nm.tolist(), self.counts.tolist(), strict=True)
        )
        head = f"wavelength in {self.medium} (nm)\tcounts\n"
        path.write_text(head + "".join(rows), encoding="utf-8")


def open_lamp_bench(config: StationConfig, connections: Connections) -> LampBench:
    """Open what takes part, and nothing else of the station.

    Raises DeviceError, AddressError; LookupError without a selector.
    """

    def opened(name: str) -> Any:
        there = name in instruments_of(config)
        return open_instrument(config, name, connections) if there else None

    return LampBench(
        open_instrument(config, "camera", connections),  # type: ignore[arg-type] # by its section
        open_instrument(config, "selector", connections),  # type: ignore[arg-type]
        opened("spectrograph"),
        opened("switch"),
        opened("shutter"),
    )


def measure_lamp(
    bench: LampBench,
    clock: Clock,
    exposure: ExposureSettings,
    *,
    position: str,
    setting: tuple[float, int] | None,
    warm_up_s: float,
    medium: str,
) -> LampSpectrum:
    """Measure the lamp behind a position of the selector.

    setting: centre wavelength in nm and grating; None leaves the spectrograph as it is.
    Raises DeviceError; LimitError for a position that isn't there, before anything moves.
    """
    if position not in bench.selector.positions:
        raise LimitError(
            bench.selector.name, f"position {position!r}: allowed {bench.selector.positions}"
        )
    with ExitStack() as back:
        if bench.shutter is not None:
            _until(bench.shutter.set(False), clock)
        back.enter_context(_selected(bench.selector, position, clock))
        if bench.switch is not None:
            back.enter_context(_lit(bench.switch, clock))
        clock.wait(warm_up_s)
        if bench.spectrograph is not None and setting is not None:
            _until(bench.spectrograph.set(*setting), clock)
        counts = _expose(bench.camera, exposure, clock)
        axis_nm = np.asarray(bench.camera.wavelengths_nm(), dtype=np.float64)
    return LampSpectrum(axis_nm, counts, medium)


@contextmanager
def _selected(selector: Selector, position: str, clock: Clock) -> Iterator[None]:
    reading = selector.read()["position"]
    before = reading.note if reading.is_good else selector.positions[0]
    with _undoing(lambda: _until(selector.set(before), clock)):
        _until(selector.set(position), clock)
        yield


@contextmanager
def _lit(switch: Switch, clock: Clock) -> Iterator[None]:
    reading = switch.read()["is_on"]
    was_on = reading.is_good and reading.value == 1.0
    with _undoing(lambda: _until(switch.set(was_on), clock)):
        _until(switch.set(True), clock)
        yield


@contextmanager
def _undoing(undo: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        undo()


def _expose(camera: Camera, exposure: ExposureSettings, clock: Clock) -> NDArray[np.int64]:
    camera.arm(exposure)
    try:
        _until(camera.trigger(), clock)
    except BaseException:
        camera.abort()
        raise
    (frame,) = camera.collect()
    return np.asarray(np.atleast_2d(frame.counts).sum(axis=0), dtype=np.int64)


def _until(status: Status, clock: Clock) -> None:
    while not status.poll():
        clock.wait(POLL_S)
    status.check()

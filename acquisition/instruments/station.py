"""The instruments of a run, by role. A laboratory without one of them leaves it out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from acquisition.bias.bias_port import BiasPort
from drivers.roles import (
    Camera,
    Device,
    Positioner,
    PowerMeter,
    PressureGauge,
    RotationStage,
    Selector,
    Shutter,
    Spectrograph,
    Switch,
    TemperatureController,
)

__all__ = ["Station"]


@dataclass(frozen=True, slots=True)
class Station:
    """The open instruments. Only the engine's thread talks to them."""

    camera: Camera
    cryostat: TemperatureController | None = None
    spectrograph: Spectrograph | None = None
    polarizer: RotationStage | None = None
    shutter: Shutter | None = None
    bias: BiasPort | None = None
    gauge: PressureGauge | None = None
    power_meter: PowerMeter | None = None
    selector: Selector | None = None
    switch: Switch | None = None
    positioner: Positioner | None = None
    closers: tuple[Callable[[], None], ...] = ()

    def devices(self) -> Iterator[Device]:
        """Yield every instrument that is there; for the supply its port answers."""
        for device in (
            self.camera,
            self.cryostat,
            self.spectrograph,
            self.polarizer,
            self.shutter,
            self.bias,
            self.gauge,
            self.power_meter,
            self.selector,
            self.switch,
            self.positioner,
        ):
            if device is not None:
                yield device

    def close(self) -> None:
        """Let go of every line; nothing changes on any instrument."""
        for device in self.devices():
            device.close()
        for closer in self.closers:
            closer()

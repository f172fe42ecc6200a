"""How each quantity of a row reaches its setpoint: what differs is moved, then settles.

One Mover per quantity. A newcomer's axis is one class here and an entry in the station's movers.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

from acquisition.bias.bias_port import BiasPort
from acquisition.configuration.settle import SettleCriterion, SettleOutcome, Settling
from acquisition.instruments.monitors import Monitors
from acquisition.planning.point_table import Point
from drivers.clock import Clock
from drivers.roles import RotationStage, Spectrograph, TemperatureController
from drivers.status import Status

__all__ = [
    "AngleMover",
    "BiasMover",
    "Mover",
    "SpectrographMover",
    "TemperatureMover",
]

SETTLED = SettleOutcome.SETTLED
PENDING = SettleOutcome.PENDING


class Mover(Protocol):
    """One quantity of a row."""

    quantity: str
    device: str  # name of the instrument that moves
    overlaps_readout: bool  # may start while the last frame is still being read out
    poll_s: float  # how often advance() is worth calling
    criterion: SettleCriterion | None

    def differs(self, point: Point) -> bool:
        """Return whether this row asks for something else than what is set."""
        ...

    def start(self, point: Point) -> None: ...

    def advance(self) -> SettleOutcome:
        """Poll once and return how the move stands. Raises DeviceError."""
        ...

    def awaited(self) -> str:
        """Return what is being waited for, in words."""
        ...

    def forget(self) -> None:
        """Make the next row move this quantity again, whatever it asks."""
        ...


class TemperatureMover:
    """The sample's temperature, judged from the monitor's readings."""

    quantity = "temperature"
    overlaps_readout = False
    poll_s = inf  # each monitor reading is a poll

    def __init__(
        self,
        cryostat: TemperatureController,
        criterion: SettleCriterion,
        monitors: Monitors,
        clock: Clock,
    ) -> None:
        self.criterion: SettleCriterion | None = criterion
        self.device = cryostat.name
        self._cryostat = cryostat
        self._settle = criterion
        self._monitors = monitors
        self._clock = clock
        self._setpoint_K: float | None = None
        self._status = Status.finished("nothing asked")
        self._settling: Settling | None = None
        self._fed_s = -inf

    def differs(self, point: Point) -> bool:
        return point.temperature_K is not None and point.temperature_K != self._setpoint_K

    def start(self, point: Point) -> None:
        assert point.temperature_K is not None  # noqa: S101
        self._setpoint_K = point.temperature_K
        self._status = self._cryostat.set(point.temperature_K)
        self._settling = Settling(self._settle, point.temperature_K, self._clock.now())

    def advance(self) -> SettleOutcome:
        self._status.poll()
        self._status.check()
        reading = self._monitors.latest.get("temperature_K")
        if self._settling is None or reading is None or reading.time_s <= self._fed_s:
            return PENDING
        self._fed_s = reading.time_s
        value = reading.value if reading.is_good else float("nan")
        ramps = not self._status.done
        outcome = self._settling.feed(reading.time_s, value, ramps=ramps)
        return PENDING if ramps and outcome is SETTLED else outcome

    def awaited(self) -> str:
        reason = self._settling.reason if self._settling else ""
        return f"temperature {self._setpoint_K} K{': ' + reason if reason else ''}"

    def forget(self) -> None:
        self._setpoint_K = None


class BiasMover:
    """The voltage at the electrodes, through the port."""

    quantity = "bias"
    overlaps_readout = False
    poll_s = 0.1

    def __init__(self, port: BiasPort, criterion: SettleCriterion, clock: Clock) -> None:
        self.criterion: SettleCriterion | None = criterion
        self.device = port.name
        self._port = port
        self._dwell_s = criterion.inside_s
        self._clock = clock
        self._voltage_V: float | None = None
        self._arrived_s: float | None = None

    def differs(self, point: Point) -> bool:
        return point.voltage_V is not None and point.voltage_V != self._voltage_V

    def start(self, point: Point) -> None:
        assert point.voltage_V is not None  # noqa: S101
        self._port.ask(point.voltage_V)
        self._voltage_V, self._arrived_s = point.voltage_V, None

    def advance(self) -> SettleOutcome:
        if not self._port.status().is_settled:  # a trip is the vigil's business
            self._arrived_s = None
            return PENDING
        if self._arrived_s is None:
            self._arrived_s = self._clock.now()
        return SETTLED if self._clock.now() - self._arrived_s >= self._dwell_s else PENDING

    def awaited(self) -> str:
        return f"bias {self._voltage_V} V"

    def forget(self) -> None:
        self._voltage_V = None


class AngleMover:
    """The polarization angle, always approached from below, through zero, sense and element."""

    quantity = "polarization"
    overlaps_readout = True
    poll_s = 0.002
    criterion: SettleCriterion | None = None

    def __init__(
        self, stage: RotationStage, to_mechanical: Callable[[float], float], *, overshoot_deg: float
    ) -> None:
        self.device = stage.name
        self._stage = stage
        self._to_mechanical = to_mechanical
        self._overshoot_deg = overshoot_deg
        self._angle_deg: float | None = None
        self._mechanical_deg: float | None = None
        self._status = Status.finished("nothing asked")
        self._legs: list[float] = []  # still to go

    def differs(self, point: Point) -> bool:
        return point.angle_deg is not None and point.angle_deg != self._angle_deg

    def start(self, point: Point) -> None:
        """Rotate, at once or as soon as a move under way has ended."""
        assert point.angle_deg is not None  # noqa: S101
        is_moving = not self._status.done
        target_deg = self._to_mechanical(point.angle_deg)
        comes_from_below = self._mechanical_deg is not None and self._mechanical_deg < target_deg
        self._legs = [target_deg]
        if is_moving or not comes_from_below:
            self._legs.insert(0, target_deg - self._overshoot_deg)
        self._angle_deg, self._mechanical_deg = point.angle_deg, target_deg
        if not is_moving:
            self._turn()

    def advance(self) -> SettleOutcome:
        if not self._status.poll():
            return PENDING
        self._status.check()
        if not self._legs:
            return SETTLED
        self._turn()
        return PENDING

    def _turn(self) -> None:
        self._status = self._stage.set(self._legs[0])
        del self._legs[0]

    def awaited(self) -> str:
        return f"polarizer {self._angle_deg} deg"

    def forget(self) -> None:
        self._angle_deg = self._mechanical_deg = None
        self._status = Status.finished("given up")


class SpectrographMover:
    """Grating and centre wavelength."""

    quantity = "spectrograph"
    overlaps_readout = False
    poll_s = 0.05
    criterion: SettleCriterion | None = None

    def __init__(self, spectrograph: Spectrograph) -> None:
        self.device = spectrograph.name
        self._spectrograph = spectrograph
        self._setting: tuple[int, float] | None = None
        self._status = Status.finished("nothing asked")

    def differs(self, point: Point) -> bool:
        return (point.grating, point.centre_nm) != self._setting

    def start(self, point: Point) -> None:
        self._setting = (point.grating, point.centre_nm)
        self._status = self._spectrograph.set(point.centre_nm, point.grating)

    def advance(self) -> SettleOutcome:
        if not self._status.poll():
            return PENDING
        self._status.check()
        return SETTLED

    def awaited(self) -> str:
        grating, centre_nm = self._setting or (0, 0.0)
        return f"spectrograph: grating {grating} at {centre_nm} nm"

    def forget(self) -> None:
        self._setting = None

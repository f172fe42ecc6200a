"""Thorlabs K10CR1: motorised rotation mount.

Never tried on hardware. From memory and not verified: the factory's speed of 10 deg/s.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

import thorlabs_apt_protocol as apt

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings, confirmed_settings
from drivers.errors import InstrumentError, LimitError, LinkTimeout, StateError
from drivers.registry import register
from drivers.roles import Identity, Reading, ReadingStatus, RotationStage, Setting
from drivers.status import Status
from drivers.thorlabs_apt import CHANNEL, DEVICE, HOST, SERIAL, AptClient, AptFraming

__all__ = ["K10CR1Config", "K10CR1Stage"]

logger = logging.getLogger(__name__)

COUNTS_PER_DEG = 409600 / 3
VELOCITY_PER_DEG = 7_329_109.0
ACCELERATION_PER_DEG = 1502.0
MAX_ANGLE_DEG = 15_480.0  # 43 turns: beyond, the counter of 32 bits wraps
HOMED, COMPLETED = 0x0444, 0x0464
STATUS, VELOCITY, BACKLASH = 0x0481, 0x0415, 0x043C
MARGIN_S = 1.0  # beyond the time that a movement should take, before the stage is asked
ASK_INTERVAL_S = 0.5
NOT_HOMED = "not homed: its angles mean nothing yet"
STOP_PROFILED = 2


@dataclass(frozen=True, slots=True)
class K10CR1Config:
    """What the station says about the rotation stage."""

    serial: str = ""
    timeout_s: float = 0.5
    tolerance_deg: float = 0.05  # between target and final position
    move_timeout_s: float = 10.0  # beyond the time that the movement should take
    home_timeout_s: float = 90.0
    speed_deg_per_s: float = 10.0  # expected; the stage's own setting stays as it is


@register(
    "thorlabs.k10cr1",
    RotationStage,
    config=K10CR1Config,
    framing=AptFraming(),
    line=AptClient.configured,
    serial=SERIAL,
)
class K10CR1Stage:
    """A K10CR1 as rotation stage (roles.RotationStage).

    It turns without end, and its angles are not wrapped: -5 deg and 355 deg are a turn apart, so
    that a target is approached from the side its user means. The stage itself would move before it
    was homed; this driver refuses.
    """

    def __init__(self, name: str, client: AptClient, clock: Clock, config: K10CR1Config) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._config = config
        self._is_homed = False
        self._movement: _Movement | None = None

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._client.identify()

    @property
    def is_homed(self) -> bool:
        """Return whether the stage knew its reference when it was asked last."""
        return self._is_homed

    def home(self) -> Status:
        """Search the reference, in the direction that the stage is set to."""
        self._require_rest()
        self._is_homed = False
        self._client.forget_events()
        self._client.tell(apt.mot_move_home(DEVICE, HOST, CHANNEL))
        return self._started(f"{self.name} home", HOMED, 0.0, self._config.home_timeout_s, None)

    def set(self, angle_deg: float) -> Status:
        """Rotate to an angle; done when the stage stands there within the tolerance.

        Raises LimitError, StateError before homing and while still moving.
        """
        if not (isfinite(angle_deg) and abs(angle_deg) <= MAX_ANGLE_DEG):
            raise LimitError(self.name, f"angle {angle_deg} deg: allowed +-{MAX_ANGLE_DEG} deg")
        self._require_rest()
        here_deg = self._read_angle().value
        if not self._is_homed:
            raise StateError(self.name, NOT_HOMED)
        self._client.forget_events()
        target = round(angle_deg * COUNTS_PER_DEG)
        self._client.tell(apt.mot_move_absolute(DEVICE, HOST, CHANNEL, target))
        expected_s = abs(angle_deg - here_deg) / self._config.speed_deg_per_s + MARGIN_S
        return self._started(
            f"{self.name} to {angle_deg} deg",
            COMPLETED,
            expected_s,
            expected_s + self._config.move_timeout_s,
            angle_deg,
        )

    def stop(self) -> None:
        """Stop where it is; harmless when nothing moves."""
        self._client.tell(apt.mot_move_stop(DEVICE, HOST, CHANNEL, STOP_PROFILED))
        if self._movement is not None:
            self._movement.is_done = True

    def read(self) -> Mapping[str, Reading]:
        """Read the mechanical angle, also while moving."""
        return {"angle_deg": self._read_angle()}

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or another program changes."""
        return confirmed_settings(self.name, self._look_at_settings)

    def close(self) -> None:
        """Let go of the line; nothing moves."""
        self._client.close()

    def is_at_rest(self) -> bool:
        """Ask whether nothing moves."""
        return not any(self._ask_status()[bit] for bit in MOVING)

    def check(self, target_deg: float | None) -> None:
        """Raise InstrumentError if the stage isn't homed, or doesn't stand at the target."""
        angle_deg = self._read_angle().value
        if not self._is_homed:
            raise InstrumentError(self.name, "the reference was not found, or is lost")
        if target_deg is not None and abs(angle_deg - target_deg) > self._config.tolerance_deg:
            raise InstrumentError(
                self.name, f"stands at {angle_deg:.4f} deg, not at {target_deg:.4f} deg"
            )

    def _look_at_settings(self) -> Mapping[str, Setting]:
        self._read_angle()
        client = self._client
        motion = client.ask(apt.mot_req_velparams(DEVICE, HOST, CHANNEL), VELOCITY)
        backlash = client.ask(apt.mot_req_genmoveparams(DEVICE, HOST, CHANNEL), BACKLASH)
        return {
            "is_homed": self._is_homed,
            "speed_deg_per_s": round(motion["max_velocity"] / VELOCITY_PER_DEG, 4),
            "acceleration_deg_per_s2": round(motion["acceleration"] / ACCELERATION_PER_DEG, 2),
            "backlash_deg": round(backlash["backlash_distance"] / COUNTS_PER_DEG, 4),
        }

    def _require_rest(self) -> None:
        if self._movement is not None and not self._movement.is_done:
            raise StateError(self.name, "still moving")

    def _started(
        self,
        action: str,
        end: int,
        expected_s: float,
        timeout_s: float,
        target_deg: float | None,
    ) -> Status:
        self._movement = _Movement(
            self,
            self._clock,
            end=lambda: self._client.take_event(end) is not None,
            expected_s=expected_s,
            timeout_s=timeout_s,
            target_deg=target_deg,
        )
        return Status(action, self._movement)

    def _ask_status(self) -> Mapping[str, bool]:
        return self._client.ask(apt.mot_req_statusupdate(DEVICE, HOST, CHANNEL), STATUS)

    def _read_angle(self) -> Reading:
        """Read the angle, and whether it means something."""
        reading = confirmed_readings(self.name, self._look)["angle_deg"]
        if self._is_homed and reading.note == NOT_HOMED:
            logger.warning("%s: the reference is lost, home it again", self.name)
        self._is_homed = reading.is_good
        return reading

    def _look(self) -> Mapping[str, Reading]:
        found, now = self._ask_status(), self._clock.now()
        angle_deg = found["position"] / COUNTS_PER_DEG
        if found["homed"]:
            return {"angle_deg": Reading(angle_deg, "deg", now)}
        note = "searching its reference" if found["homing"] else NOT_HOMED
        return {"angle_deg": Reading(angle_deg, "deg", now, ReadingStatus.FAULT, note)}


MOVING = ("moving_forward", "moving_reverse", "jogging_forward", "jogging_reverse", "homing")


class _Movement:
    """A movement under way: its end is announced, and looked for where the message was lost."""

    def __init__(
        self,
        stage: K10CR1Stage,
        clock: Clock,
        *,
        end: Callable[[], bool],
        expected_s: float,
        timeout_s: float,
        target_deg: float | None,
    ) -> None:
        self.is_done = False
        self._stage = stage
        self._clock = clock
        self._has_ended = end
        self._target_deg = target_deg
        self._timeout_s = timeout_s
        self._next_ask_s = clock.now() + clock.patience_s(max(expected_s, MARGIN_S))
        self._deadline_s = clock.now() + clock.patience_s(timeout_s)

    def __call__(self) -> bool:
        if self.is_done:
            raise StateError(self._stage.name, "the movement was stopped")
        try:
            self.is_done = self._advance()
        except BaseException:
            self.is_done = True
            raise
        return self.is_done

    def _advance(self) -> bool:
        if not self._has_ended():
            now = self._clock.now()
            if now < self._next_ask_s:
                return False
            self._next_ask_s = now + ASK_INTERVAL_S
            if not self._stage.is_at_rest():
                if now > self._deadline_s:
                    raise LinkTimeout(self._stage.name, f"still moving after {self._timeout_s} s")
                return False
        self._stage.check(self._target_deg)
        return True

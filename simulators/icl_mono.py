"""The monochromator behind ICL: everything that moves answers at once and is busy afterwards.

Source: ICL API manual 2.1, section "Monochromator Module Commands".
"""

from collections.abc import Callable
from math import cos, radians

from simulators.icl_device import (
    Command,
    DeviceErrors,
    IclDevice,
    IclError,
    IclSettings,
    Parameters,
    Results,
)
from simulators.world import World

__all__ = ["Monochromator"]

NOT_INITIALIZED = IclError(-505, "MONO error: not initialized")
COMMAND_ERROR = IclError(-519, "MONO error: command error")
USABLE = 0.98  # of the wavelength at which the grating would stand parallel to the light


class Monochromator(IclDevice):
    """An iHR with its turret, on the optics of the World."""

    prefix = "mono"
    errors = DeviceErrors(
        already_open=IclError(-501, "MONO error: already open"),
        already_closed=IclError(-503, "MONO error: already closed"),
        not_open=IclError(-506, "MONO error: not open"),
        bad_index=IclError(-508, "MONO error: invalid device index"),
        missing=IclError(-521, "MONO error: missing parameter"),
        bad_value=IclError(-513, "MONO error: invalid parameter"),
    )

    def __init__(self, world: World, settings: IclSettings) -> None:
        self._world = world
        self._settings = settings
        self.serial = settings.mono_serial
        self.is_initialized = settings.mono_is_initialized
        self.busy_until_s = float("-inf")
        self._recalibrated_nm = 0.0  # what setPosition did to the reported wavelength
        self._positions: dict[str, float] = {}
        super().__init__()

    def listing(self) -> Results:
        return {"deviceType": "HORIBA Scientific iHR", "index": 0, "serialNumber": self.serial}

    def commands(self) -> dict[str, Command]:
        moved = {"FilterWheel": 6, "Mirror": 1}
        table: dict[str, Command] = {
            "isBusy": lambda _: {"busy": self.is_busy},
            "init": self._init,
            "isInitialized": lambda _: {"initialized": self.is_initialized and not self.is_busy},
            "getConfig": lambda _: {"configuration": self._configuration()},
            "getPosition": lambda _: {"wavelength": self._reported_nm()},
            "setPosition": self._recalibrate,
            "moveToPosition": self._move,
            "getGratingPosition": lambda _: {"position": self._reported_grating()},
            "moveGrating": self._turn_turret,
            "shutterOpen": lambda _: self._put("shutter", 1),
            "shutterClose": lambda _: self._put("shutter", 0),
            "getShutterStatus": lambda _: {"position": int(self._positions.get("shutter", 0))},
            "getSlitPositionInMM": self._get("slit"),
            "moveSlitMM": self._move_to("slit", 7.0),
            "getSlitStepPosition": self._get("slit step"),
            "moveSlit": self._move_to("slit step", 10000.0),
        }
        for name, most in moved.items():
            table[f"get{name}Position"] = self._get(name)
            table[f"move{name}"] = self._move_to(name, most)
        return table

    @property
    def is_busy(self) -> bool:
        return self._world.now < self.busy_until_s

    def stall(self, duration_s: float) -> None:
        self.busy_until_s += duration_s

    def power_cycle(self) -> None:
        self.is_open = self.is_listed = self.is_initialized = False
        self.busy_until_s = float("-inf")
        self._recalibrated_nm = 0.0

    def _configuration(self) -> Results:
        gratings = self._world.truth.optics.gratings_per_mm
        return {
            "filterWheels": [{"locationId": 1}, {"locationId": 2}],
            "gratings": [
                {"blaze": 0, "grooveDensity": round(grooves), "positionIndex": index}
                for index, grooves in enumerate(gratings)
            ],
            "mirrors": [{"locationId": 1}, {"locationId": 2}],
            "model": "iHR750",
            "ports": [{"locationId": place, "slitType": 2} for place in (1, 2, 4)],
            "productId": "257" if self._settings.numbers_as_strings else 257,
            "serialNumber": self.serial,
        }

    def _reported_nm(self) -> float:
        return round(self._world.optics.centre_nm + self._recalibrated_nm, 6)

    def _reported_grating(self) -> int:
        """Return the turret position; before initialising it is just the first."""
        return self._world.optics.grating if self.is_initialized else 0

    def _longest_nm(self, grating: int) -> float:
        optics = self._world.truth.optics
        half = radians(optics.half_included_angle_deg)
        return USABLE * 2.0 * cos(half) * 1e6 / optics.gratings_per_mm[grating]

    def _init(self, parameters: Parameters) -> Results:
        if self.is_initialized and not parameters.get("force", False):
            return {}
        self.is_initialized = False
        self._busy_for(self._settings.init_s, self._be_initialized)
        return {}

    def _be_initialized(self) -> None:
        self.is_initialized = True
        self._recalibrated_nm = 0.0

    def _recalibrate(self, parameters: Parameters) -> Results:
        wavelength_nm = self.number(parameters, "wavelength", -1e4, 1e4)
        self._recalibrated_nm = wavelength_nm - self._world.optics.centre_nm
        return {}

    def _move(self, parameters: Parameters) -> Results:
        self._check_can_move()
        step_nm, grating = self._settings.mono_step_nm, self._world.optics.grating
        wanted_nm = self.number(parameters, "wavelength", 0.0, self._longest_nm(grating))
        target_nm = round((wanted_nm - self._recalibrated_nm) / step_nm) * step_nm
        way_nm = abs(target_nm - self._world.optics.centre_nm)
        duration_s = self._settings.mono_start_s + way_nm / self._settings.mono_speed_nm_per_s
        self._busy_for(duration_s, lambda: self._stand_at(target_nm))
        return {}

    def _stand_at(self, wavelength_nm: float) -> None:
        self._world.optics.centre_nm = wavelength_nm

    def _turn_turret(self, parameters: Parameters) -> Results:
        self._check_can_move()
        last = len(self._world.truth.optics.gratings_per_mm) - 1
        grating = self.whole(parameters, "position", 0, last)
        is_there = grating == self._world.optics.grating
        self._busy_for(
            self._settings.mono_start_s if is_there else self._settings.turret_s,
            lambda: self._use_grating(grating),
        )
        return {}

    def _use_grating(self, grating: int) -> None:
        optics = self._world.optics
        optics.centre_nm = min(optics.centre_nm, self._longest_nm(grating))
        optics.grating = grating

    def _check_can_move(self) -> None:
        if not self.is_initialized:
            raise NOT_INITIALIZED
        if self.is_busy:
            raise COMMAND_ERROR

    def _busy_for(self, duration_s: float, then: Callable[[], None]) -> None:
        self.busy_until_s = self._world.now + duration_s
        self._finish_when_due(then)

    def _finish_when_due(self, then: Callable[[], None]) -> None:
        """Arrive when no longer busy, which a stall may put off."""
        due_s = self.busy_until_s

        def arrive() -> None:
            if self.busy_until_s == due_s:
                then()
            elif self.busy_until_s > due_s:
                self._finish_when_due(then)

        self._world.at(due_s, arrive)

    def _place(self, name: str, parameters: Parameters) -> str:
        place = self.whole(parameters, "locationId", 0, 8) if "locationId" in parameters else 0
        return f"{name} {place}"

    def _get(self, name: str) -> Command:
        def get(parameters: Parameters) -> Results:
            position = self._positions.get(self._place(name, parameters), 0.0)
            return {"position": position if name == "slit" else int(position)}

        return get

    def _move_to(self, name: str, most: float) -> Command:
        def move(parameters: Parameters) -> Results:
            self._check_can_move()
            position = self.number(parameters, "position", 0.0, most)
            place = self._place(name, parameters)
            self._busy_for(
                self._settings.mirror_s, lambda: self._positions.update({place: position})
            )
            return {}

        return move

    def _put(self, name: str, position: int) -> Results:
        self._positions[name] = position
        return {}

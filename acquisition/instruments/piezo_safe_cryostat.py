"""The cryostat of a laboratory whose sample sits on piezo steppers.

A drive that is right at 4 K destroys a warm piezo. So before every move of the temperature, whoever
asks for it, the drives are brought below the limits of all temperatures on the way.
"""

from collections.abc import Mapping

from drivers.roles import Identity, Positioner, Reading, Setting, TemperatureController
from drivers.status import Status

__all__ = ["PiezoSafeCryostat"]


class PiezoSafeCryostat:
    """A temperature controller (roles.TemperatureController) that lowers the drives before a move.

    Where the positioner cannot be asked, the temperature does not move: its error is raised.
    """

    def __init__(self, cryostat: TemperatureController, positioner: Positioner) -> None:
        self._cryostat = cryostat
        self._positioner = positioner

    @property
    def name(self) -> str:
        return self._cryostat.name

    def set(self, temperature_K: float) -> Status:
        """Lower what the piezos may not have there, then send the setpoint."""
        self._positioner.limit_drive(temperature_K)
        return self._cryostat.set(temperature_K)

    def identify(self) -> Identity:
        return self._cryostat.identify()

    def settings(self) -> Mapping[str, Setting]:
        return self._cryostat.settings()

    def read(self) -> Mapping[str, Reading]:
        return self._cryostat.read()

    def read_temperature(self) -> Reading:
        return self._cryostat.read_temperature()

    def read_sample_temperature(self) -> Reading:
        return self._cryostat.read_sample_temperature()

    def hold(self) -> None:
        self._cryostat.hold()

    def heater_off(self) -> None:
        self._cryostat.heater_off()

    def close(self) -> None:
        self._cryostat.close()

"""The control loop of a MercuryiTC and the gas flow that goes with it, on one World.

Unverified, since the manual's text on it was not at hand: that 100 % of HSET is the power at
the voltage limit and the output linear in power; how the automatic gas flow chooses (here it
closes while the heater works hard and opens while the stage is too warm without it); that a ramp
switched off on its way leaves the setpoint at the target; that P, I and D of the table (PIDT)
take the place of those set; what a power cycle forgets.
"""

from math import isnan
from typing import Final

from simulators.control_loop import ControlLoop
from simulators.world import World

__all__ = ["MercuryLoop", "PidRow"]

PidRow = tuple[float, float, float, float]  # up to K; P in %/K, I and D in minutes

BUSY_PERCENT: Final = 40.0  # of the heater, above which automatic flow closes the valve
TOO_WARM_K: Final = 0.05
AUTOMATIC_PERCENT_PER_S: Final = 0.2
BOARD_W: Final = 80.0


class MercuryLoop:
    """Sensor, heater and needle valve as the firmware ties them together.

    manual_percent is HSET; flow_percent FSET. The valve is a stepper motor and takes its time.
    """

    def __init__(self, world: World, pid_table: tuple[PidRow, ...], voltage_limit_V: float) -> None:
        cryostat = world.cryostat
        self._world = world
        self._valve_percent_per_s = world.truth.cryostat.flow.valve_percent_per_s
        self.loop = ControlLoop(round(cryostat.true_stage_K, 4))
        self.pid_table = pid_table
        self.takes_pid_from_table = True
        self.pid = pid_table[0][1:]
        self.is_enabled = False
        self.manual_percent = 0.0
        self.voltage_limit_V = voltage_limit_V
        self.resistance_ohm = 25.0
        self.is_flow_automatic = False
        self.flow_percent = cryostat.valve_percent
        self.least_flow_percent = 5.0
        self.heater_percent = 0.0

    @property
    def pid(self) -> tuple[float, float, float]:
        """P in % per K, I and D in minutes."""
        return self._pid

    @pid.setter
    def pid(self, pid: tuple[float, float, float]) -> None:
        if pid == getattr(self, "_pid", None):
            return
        self._pid = pid
        p, i_min, d_min = pid
        # the loop counts as Lake Shore does: integral 1000 s / I, derivative 250 s / I at 100 %
        self.loop.proportional = p
        self.loop.integral = 1000.0 / (60.0 * i_min) if i_min > 0 else 0.0
        self.loop.derivative = 60.0 * d_min * self.loop.integral / 2.5

    @property
    def highest_W(self) -> float:
        """The power at the voltage limit, into the resistance that the unit was told."""
        return min(self.voltage_limit_V**2 / self.resistance_ohm, BOARD_W)

    @property
    def is_load_open(self) -> bool:
        return self._world.cryostat.heater_resistance_ohm == float("inf")

    def voltage_V(self) -> float:
        return float((self.heater_percent / 100.0 * self.highest_W * self.resistance_ohm) ** 0.5)

    def current_A(self) -> float:
        load_ohm = self._world.cryostat.heater_resistance_ohm
        return 0.0 if self.is_load_open else self.voltage_V() / load_ohm

    def regulate(self, now: float, dt: float) -> None:
        """Run the firmware once: the heater, then the valve."""
        if self.takes_pid_from_table:
            self._look_up_pid(self.loop.setpoint_K(now))
        self._regulate_heater(now, dt)
        if self.is_flow_automatic:
            self._choose_flow(now, dt)
        self._move_valve(dt)

    def drive(self) -> None:
        """Put what the output is now on the heater."""
        if not self.is_enabled:
            self.heater_percent = self.manual_percent
        self._world.cryostat.heater_W = self.voltage_V() * self.current_A()

    def power_cycle(self) -> None:
        """Switched on again: nothing heats and the valve is at its lower stop."""
        self.is_enabled = self.is_flow_automatic = False
        self.manual_percent = self.flow_percent = 0.0
        self._world.cryostat.valve_percent = 0.0
        self.loop.ramp_on = self.loop.is_moving = False
        self.loop.switch_off()
        self.drive()

    def _look_up_pid(self, setpoint_K: float) -> None:
        for up_to_K, *pid in self.pid_table:
            if setpoint_K <= up_to_K:
                self.pid = (pid[0], pid[1], pid[2])
                return

    def _regulate_heater(self, now: float, dt: float) -> None:
        temperature_K = self._world.cryostat.control_sensor_K()
        if self.is_enabled and not isnan(temperature_K):
            self.heater_percent = self.loop.regulate(temperature_K, now, dt)
        elif self.is_enabled:  # no reading, no heat
            self.heater_percent = 0.0
            self.loop.integral_percent = 0.0
        self.drive()

    def _choose_flow(self, now: float, dt: float) -> None:
        above_K = self._world.cryostat.control_sensor_K() - self.loop.setpoint_K(now)
        if self.heater_percent > BUSY_PERCENT:
            self.flow_percent -= AUTOMATIC_PERCENT_PER_S * dt
        elif self.heater_percent == 0.0 and above_K > TOO_WARM_K:
            self.flow_percent += AUTOMATIC_PERCENT_PER_S * dt
        self.flow_percent = min(max(self.flow_percent, self.least_flow_percent), 100.0)

    def _move_valve(self, dt: float) -> None:
        cryostat, most = self._world.cryostat, self._valve_percent_per_s * dt
        way = self.flow_percent - cryostat.valve_percent
        cryostat.valve_percent += min(max(way, -most), most)

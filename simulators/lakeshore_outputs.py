"""The outputs of a Lake Shore 33x: control loops, heater ranges, and the heater of the World."""

from typing import Final

from simulators.control_loop import ControlLoop, Mode
from simulators.lakeshore_command import Entry, LakeShoreSettings, integer, number
from simulators.lakeshore_inputs import INPUTS, SensorInputs
from simulators.lakeshore_unit import LakeShoreUnit
from simulators.world import World

__all__ = ["HeaterOutputs"]

COMPLIANCE_V: Final = 50.0
SHORT_OHM: Final = 5.0
OPEN_OHM: Final = 1000.0
INITIAL_ZONE: Final = "+0.00000,+0050.0,+0020.0,+000.0,+000.00,0,1,+000.1"


class HeaterOutputs:
    """Output 1 drives the heater of the cryostat; nothing is connected to the others."""

    def __init__(
        self,
        world: World,
        inputs: SensorInputs,
        settings: LakeShoreSettings,
        unit: LakeShoreUnit,
    ) -> None:
        self._world = world
        self._inputs = inputs
        self._settings = settings
        self._unit = unit
        start_K = round(inputs.read("A")[0], 3)
        gains = settings.proportional, settings.integral, settings.derivative
        self.loops = [ControlLoop(start_K, *gains) for _ in range(unit.outputs)]
        self.loops[0].mode, self.loops[0].input = Mode.CLOSED_LOOP, 1
        self._old_setpoint = [(float("-inf"), start_K)] * unit.outputs
        self._heater_error = [0, 0]
        self._heater_setup = [(1, settings.max_current_code, 0.0, 2), (1, 1, 0.0, 2)]
        self._output_type = [0, 0]  # 0 current, 1 voltage; the 335 alone can choose
        self._zones: dict[tuple[int, int], str] = {}

    def commands(self) -> dict[str, Entry]:
        setup_fields = 6 if self._unit.has_output_type else 5
        return {
            "SETP": (self._set_setpoint, 2, 2),
            "SETP?": (self._setpoint, 1, 1),
            "RAMP": (self._set_ramp, 3, 3),
            "RAMP?": (self._ramp, 1, 1),
            "RAMPST?": (self._ramp_status, 1, 1),
            "RANGE": (self._set_range, 2, 2),
            "RANGE?": (lambda output: str(self._loop(output).heater_range), 1, 1),
            "HTR?": (lambda output: f"{self._loop(output, 1, 2).percent:+06.1f}", 1, 1),
            "AOUT?": (self._voltage_output, 1, 1),
            "HTRST?": (self._read_heater_error, 1, 1),
            "HTRSET": (self._set_heater_setup, setup_fields, setup_fields),
            "HTRSET?": (self._read_heater_setup, 1, 1),
            "OUTMODE": (self._set_mode, 4, 4),
            "OUTMODE?": (self._mode, 1, 1),
            "PID": (self._set_pid, 4, 4),
            "PID?": (self._pid, 1, 1),
            "MOUT": (self._set_manual, 2, 2),
            "MOUT?": (lambda output: f"{self._loop(output).manual_percent:+07.2f}", 1, 1),
            "ATUNE": (lambda output, mode: None, 2, 2),
            "TUNEST?": (lambda: "0,0,0,0", 0, 0),
            "ZONE": (self._set_zone, 9, 9),
            "ZONE?": (self._zone, 2, 2),
        }

    def regulate(self, now: float, dt: float) -> None:
        """Run the firmware's loop once: over-temperature, sensor faults, then the output."""
        if self._inputs.is_over_limit():
            self.switch_off()
            return
        loop = self.loops[0]
        if not loop.heater_range:
            return
        if loop.mode in (Mode.CLOSED_LOOP, Mode.ZONE) and loop.input:
            temperature_K, status = self._inputs.read(INPUTS[loop.input - 1])
            if status:  # no valid reading, no heat
                loop.switch_off()
            else:
                loop.regulate(temperature_K, now, dt)
        self._drive_heater()

    def switch_off(self) -> None:
        """Switch every output off."""
        for loop in self.loops:
            loop.switch_off()
        self._drive_heater()

    def power_cycle(self) -> None:
        self._heater_error = [0, 0]
        for loop in self.loops:
            loop.ramp_on, loop.is_moving = False, False
            if not loop.stays_on_at_power_up:
                loop.switch_off()
        self._drive_heater()

    def has_ramped(self, index: int) -> bool:
        """Return whether ramping is on and has come to its end."""
        return self.loops[index].ramp_on and not self.loops[index].is_ramping(self._world.now)

    def _drive_heater(self) -> None:
        """Put the output of loop 1 on the heater of the cryostat."""
        loop = self.loops[0]
        load_ohm = self._world.cryostat.heater_resistance_ohm
        if loop.heater_range and not SHORT_OHM <= load_ohm <= OPEN_OHM:
            self._heater_error[0] = 1 if load_ohm > OPEN_OHM else 2
            loop.switch_off()
        if loop.mode is Mode.OPEN_LOOP and loop.heater_range:
            loop.open_loop()
        elif loop.mode is Mode.OFF:
            loop.percent = 0.0
        watts = self._full_scale_W(load_ohm) * loop.percent / 100.0 if loop.percent else 0.0
        self._world.cryostat.heater_W = watts

    def _full_scale_W(self, load_ohm: float) -> float:
        _, code, user_A, _ = self._heater_setup[0]
        current_A = min(self._unit.max_current_A.get(code, user_A), COMPLIANCE_V / load_ohm)
        return current_A**2 * load_ohm * self._unit.range_fractions[self.loops[0].heater_range]

    def _loop(self, output: str, first: int = 1, last: int | None = None) -> ControlLoop:
        return self.loops[self._number(output, first, last) - 1]

    def _number(self, output: str, first: int = 1, last: int | None = None) -> int:
        return integer(output, first, self._unit.outputs if last is None else last)

    def _voltage_output(self, output: str) -> str:
        if self._number(output) not in self._unit.voltage_outputs:
            raise ValueError(f"AOUT? {output}")
        return f"{self._loop(output).percent:+06.1f}"

    def _input(self, loop: ControlLoop) -> str:
        return INPUTS[loop.input - 1] if loop.input else ""

    def _set_setpoint(self, output: str, value: str) -> None:
        loop, now = self._loop(output), self._world.now
        target_K = self._inputs.from_preferred(number(value, -1e6, 1e6), self._input(loop))
        if not 0.0 <= target_K <= self._settings.setpoint_limit_K:
            raise ValueError(f"setpoint {target_K} K")
        self._old_setpoint[self._number(output) - 1] = (now, loop.target_K)
        loop.set_target(target_K, now)

    def _setpoint(self, output: str) -> str:
        loop, now = self._loop(output), self._world.now
        changed_s, shown_K = self._old_setpoint[self._number(output) - 1]
        if now >= changed_s + self._settings.setpoint_update_s:
            shows_working = self._settings.setpoint_query == "working"
            shown_K = loop.setpoint_K(now) if shows_working else loop.target_K
        return self._inputs.in_preferred(shown_K, self._input(loop))

    def _set_ramp(self, output: str, on: str, rate: str) -> None:
        loop = self._loop(output)
        rate_K_per_min = number(rate, 0.0, 100.0)
        if 0.0 < rate_K_per_min < self._unit.slowest_ramp_K_per_min:
            raise ValueError(f"ramp {rate} K/min")
        loop.set_ramp(bool(integer(on, 0, 1)), rate_K_per_min, self._world.now)

    def _ramp(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.ramp_on:d},{loop.ramp_rate_K_per_min:{self._unit.ramp_format}}"

    def _ramp_status(self, output: str) -> str:
        return f"{self._loop(output).is_ramping(self._world.now):d}"

    def _set_range(self, output: str, heater_range: str) -> None:
        loop = self._loop(output)
        level = integer(heater_range, 0, self._highest_range(self._number(output)))
        if level == 0:
            loop.switch_off()
        else:
            loop.heater_range = level
        self._drive_heater()

    def _highest_range(self, output: int) -> int:
        is_heater = output <= 2 and not self._output_type[output - 1]
        return len(self._unit.range_fractions) - 1 if is_heater else 1

    def _read_heater_error(self, output: str) -> str:
        index = integer(output, 1, 2) - 1
        error, self._heater_error[index] = self._heater_error[index], 0
        return str(error)

    def _set_heater_setup(self, output: str, *fields: str) -> None:
        place = integer(output, 1, 2) - 1
        kind, ohm, current, user, show = fields if len(fields) == 5 else ("0", *fields)
        output_type = integer(kind, 0, place)  # output 1 is always a current
        self._heater_setup[place] = (
            integer(ohm, 1, 2),
            integer(current, 0, 4),
            number(user, 0.0, 2.0),
            integer(show, 1, 2),
        )
        self._output_type[place] = output_type
        self._drive_heater()

    def _read_heater_setup(self, output: str) -> str:
        place = integer(output, 1, 2) - 1
        ohm, current, user_A, show = self._heater_setup[place]
        kind = f"{self._output_type[place]}," if self._unit.has_output_type else ""
        return f"{kind}{ohm},{current},{user_A:+.3f},{show}"

    def _set_mode(self, output: str, mode: str, channel: str, powerup: str) -> None:
        loop, code = self._loop(output), Mode(int(mode))
        if code in (Mode.MONITOR_OUT, Mode.WARMUP) and not self._can_be_voltage(output):
            raise ValueError(f"mode {mode} at output {output}")
        source, stays_on = integer(channel, 0, len(self._unit.inputs)), bool(integer(powerup, 0, 1))
        loop.mode, loop.input, loop.stays_on_at_power_up = code, source, stays_on
        self._drive_heater()

    def _can_be_voltage(self, output: str) -> bool:
        return self._number(output) in self._unit.voltage_outputs

    def _mode(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.mode:d},{loop.input},{loop.stays_on_at_power_up:d}"

    def _set_pid(self, output: str, p: str, i: str, d: str) -> None:
        loop = self._loop(output)
        gains = number(p, 0.1, 1000.0), number(i, 0.1, 1000.0), number(d, 0.0, 200.0)
        loop.proportional, loop.integral, loop.derivative = gains

    def _pid(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.proportional:+07.1f},{loop.integral:+07.1f},{loop.derivative:+05.0f}"

    def _set_manual(self, output: str, percent: str) -> None:
        self._loop(output).manual_percent = number(percent, 0.0, 100.0)
        self._drive_heater()

    def _set_zone(self, output: str, zone: str, *values: str) -> None:
        key = (integer(output, 1, 2), integer(zone, 1, 10))
        self._zones[key] = ",".join(f"{float(value):g}" for value in values)

    def _zone(self, output: str, zone: str) -> str:
        return self._zones.get((integer(output, 1, 2), integer(zone, 1, 10)), INITIAL_ZONE)

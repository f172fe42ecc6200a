"""Keithley 2470: bias supply up to 1100 V, over LAN (socket 5025), USB or GPIB.

Never tried on hardware. From memory and not verified: the protection's steps above 20 V, the
current that each range can give, whether a fixed measure range bounds the current limit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drivers import keithley_scpi as scpi
from drivers.clock import Clock
from drivers.errors import LimitError, ReplyError, StateError
from drivers.keithley_supply import KeithleySupply
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import register
from drivers.roles import BiasMeasurement, BiasSettings, BiasSupply, Setting

__all__ = ["Keithley2470Config", "Keithley2470Supply"]

NORMAL = "NORM"  # V source at 0 V while off, so that the gap discharges
WITHOUT_INTERLOCK_V = 21.0  # above that, an open interlock limits the output (12-39)
FLAGS = ":SOUR:VOLT:ILIM:TRIP?;:SOUR:VOLT:PROT:TRIP?;:OUTP?"
# :FETC? shows the same reading again, so that no garbled digit passes
READ = f':READ? "defbuffer1",SOUR,READ;{FLAGS};:FETC? "defbuffer1",SOUR,READ;{FLAGS}'
SETTINGS = {
    "command_set": "*LANG?",
    "source_function": ":SOUR:FUNC?",
    "off_state": ":OUTP:VOLT:SMOD?",
    "source_range_V": ":SOUR:VOLT:RANG?",
    "source_auto_range": ":SOUR:VOLT:RANG:AUTO?",
    "source_read_back": ":SOUR:VOLT:READ:BACK?",
    "protection_V": ":SOUR:VOLT:PROT?",
}
MORE_SETTINGS = {
    "measures": ":SENS:FUNC?",
    "current_limit_A": ":SOUR:VOLT:ILIM?",
    "current_range_A": ":SENS:CURR:RANG?",
    "current_auto_range": ":SENS:CURR:RANG:AUTO?",
    "output_on": ":OUTP?",
    "level_V": ":SOUR:VOLT:LEV?",
}


@dataclass(frozen=True, slots=True)
class Keithley2470Config:
    """What the station says about the supply; the sample's own limits come with BiasSettings."""

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    max_voltage_V: float = 1100.0
    integration_plc: float = 1.0  # of a measurement, in periods of the mains; 0.01 to 10

    def __post_init__(self) -> None:
        if not 0 < self.max_voltage_V <= scpi.MAX_VOLTAGE_V:
            raise ValueError(f"{self.max_voltage_V} V: allowed 0 to {scpi.MAX_VOLTAGE_V} V")
        if not 0.01 <= self.integration_plc <= 10:
            raise ValueError(f"integration {self.integration_plc} periods: allowed 0.01 to 10")


@register(
    "keithley.2470",
    BiasSupply,
    config=Keithley2470Config,
    framing=Terminated(b"\n"),
    line=Line.configured,
)
class Keithley2470Supply(KeithleySupply):
    """A Keithley 2470 as bias supply (roles.BiasSupply). Only a BiasPort talks to it."""

    def __init__(self, name: str, line: Line, clock: Clock, config: Keithley2470Config) -> None:
        # pymeasure's keithley package imports pandas: 0.4 s that only a running station pays
        from drivers.adapter import LineAdapter  # noqa: PLC0415
        from drivers.pymeasure_keithley import Keithley2470  # noqa: PLC0415

        super().__init__(name, line, clock, config, Keithley2470(LineAdapter(line), name))

    def measure(self) -> BiasMeasurement:
        """Measure the terminals.

        Raises StateError while the output is off, when the instrument would read something all the
        same. Raises ReplyError for not-a-number.
        """
        try:
            text = self._line.ask(READ, scpi.READING_2470_TWICE)
            found = scpi.parse_reading_2470(text[: len(text) // 2])
        except ValueError as error:
            raise ReplyError(self.name, str(error)) from error
        if not found.is_output_on:
            raise StateError(self.name, "nothing is measured while the output is off")
        return BiasMeasurement(
            voltage_V=found.voltage_V,
            current_A=found.current_A,
            in_compliance=found.is_limiting,
            over_voltage=found.is_protecting,
            time_s=self._clock.now(),
        )

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes; protection_V is "NONE" above 500 V.

        Raises StateError where another command set than SCPI is in force.
        """
        self._check_command_set()
        texts = {**self._ask_all(SETTINGS), **self._ask_all(MORE_SETTINGS)}
        found: dict[str, Setting] = {
            key: text if re.fullmatch(scpi.NUMBER, text) is None else float(text)
            for key, text in texts.items()
        }
        protection_V = self._protection_V(texts["protection_V"])
        found["protection_V"] = "NONE" if protection_V is None else protection_V
        return found

    def _wanted(self, settings: BiasSettings) -> dict[str, Setting]:
        self._check_voltage(settings)
        try:
            source_V = scpi.source_range_V(settings.max_voltage_V, scpi.SOURCE_RANGES_2470_V)
            current_A = scpi.current_range_A(settings.current_limit_A, scpi.CURRENT_RANGES_2470_A)
            protection_V = scpi.protection_step(settings.protection_V)
        except ValueError as error:
            raise LimitError(self.name, str(error)) from error
        self._check_current(settings, source_V, scpi.max_current_2470_A(source_V))
        return {
            "command_set": "SCPI",
            "source_function": "VOLT",
            "off_state": NORMAL,
            "source_range_V": source_V,
            "source_auto_range": 0,
            "source_read_back": 1,
            "protection_V": "NONE" if protection_V is None else protection_V,
            "measures": '"CURR:DC"',
            "current_limit_A": settings.current_limit_A,
            "current_range_A": current_A,
            "current_auto_range": 0,
            "output_on": 0,
            "level_V": 0.0,
        }

    def _send_settings(self, wanted: Mapping[str, Setting]) -> None:
        """Set limit and ranges by way of a limit that every range allows."""
        protection = wanted["protection_V"]
        step = protection if isinstance(protection, str) else scpi.name_protection(protection)
        limit_A, range_A = float(wanted["current_limit_A"]), float(wanted["current_range_A"])
        least_A = min(limit_A, scpi.max_current_2470_A(scpi.SOURCE_RANGES_2470_V[-1]))
        for command in (
            ":SOUR:FUNC VOLT",
            ":SOUR:VOLT:LEV 0.000000",
            f":OUTP:VOLT:SMOD {NORMAL}",
            ":SOUR:VOLT:READ:BACK ON",
            ":SENS:FUNC 'CURR'",
            ":SENS:COUN 1",  # else one :READ? takes several readings
            f":SENS:CURR:NPLC {self._config.integration_plc:.2f}",
            f":SENS:CURR:RANG {scpi.format_current(range_A)}",
            f":SOUR:VOLT:ILIM {scpi.format_current(least_A)}",
            f":SOUR:VOLT:RANG {scpi.format_voltage(float(wanted['source_range_V']))}",
            f":SOUR:VOLT:ILIM {scpi.format_current(limit_A)}",
            f":SOUR:VOLT:PROT {step}",
        ):
            self._instrument.write(command)

    def configure(self, settings: BiasSettings) -> None:
        """As every supply; raises StateError where another command set than SCPI is in force."""
        self._wanted(settings)
        self._check_command_set()
        super().configure(settings)

    def _check_command_set(self) -> None:
        language = self._instrument.command_set
        if language != "SCPI":
            raise StateError(
                self.name,
                f"speaks {language}: choose the command set SCPI in its system settings, reboot it",
            )

    def _check_interlock(self) -> None:
        is_high = (self._configured_V or 0.0) > WITHOUT_INTERLOCK_V
        if is_high and not self._instrument.is_interlock_closed:
            raise StateError(
                self.name,
                f"the interlock is open: no more than {WITHOUT_INTERLOCK_V} V may be switched on",
            )

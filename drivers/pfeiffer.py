"""Pfeiffer TPG 361: vacuum gauge.

Every mnemonic is acknowledged, and its data are then asked for by ENQ (manual of the TPG 261, pages
71 to 79; protocol description of the TPG 361/362).
Never tried on hardware. Unverified, from memory: the fields of AYT, by which a unit tells its
serial number; a TPG 261 does not know AYT.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings, confirmed_settings
from drivers.errors import InstrumentError, LinkTimeout, ReplyError
from drivers.line import RETRIES, Line, WhoAreYou
from drivers.link import Link, Terminated
from drivers.registry import register
from drivers.roles import Identity, PressureGauge, Reading, ReadingStatus, Setting
from drivers.serial_format import SerialFormat

__all__ = ["PfeifferConfig", "PfeifferGauge", "PfeifferLine"]

ETX, ENQ = b"\x03", b"\x05"
ACK, NAK = "\x06", "\x15"
ACKNOWLEDGED = re.compile(f"[{ACK}{NAK}]")
ERROR_WORD = re.compile(r"[01]{4}")
ERRORS = ("controller error", "no hardware", "parameter not allowed", "syntax error")
MEASUREMENT = re.compile(r"([0-6]),([+-]?\d\.\d{1,4}E[+-]\d{2})")
DIGIT = re.compile(r"\d")
IDENTITY = WhoAreYou(
    "AYT",
    re.compile(r"(TPG36[12]),([^,]*),([^,]*),([^,]*),([^,]*)"),
    lambda match: Identity("Pfeiffer Vacuum", match[1], match[3].strip(), match[4].strip()),
)

MBAR_PER_UNIT = {0: 1.0, 1: 1.333224, 2: 0.01, 3: 1.333224e-3, 4: 1.0}
FAULTS = {
    2: (ReadingStatus.OUT_OF_RANGE, "pressure over range"),
    3: (ReadingStatus.FAULT, "sensor error"),
    4: (ReadingStatus.FAULT, "sensor off"),
    5: (ReadingStatus.FAULT, "no sensor"),
    6: (ReadingStatus.FAULT, "identification error"),
}
UNDERRANGE = 1


@dataclass(frozen=True, slots=True)
class PfeifferConfig:
    """What the station says about the gauge. gauge: which input of the controller."""

    serial: str = ""  # refuse any other instrument; empty: take whichever answers
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    gauge: int = 1

    def __post_init__(self) -> None:
        if self.gauge not in (1, 2):
            raise ValueError(f"gauge {self.gauge}: expected 1 or 2")


class PfeifferLine(Line):
    """A line on which every question takes two steps: mnemonic and ACK, ENQ and data."""

    @classmethod
    def configured(
        cls, name: str, link: Link, clock: Clock, config: Any, **protocol: Any
    ) -> "PfeifferLine":
        line = super().configured(
            name, link, clock, config, terminator=b"", who=IDENTITY, **protocol
        )
        assert isinstance(line, PfeifferLine)  # noqa: S101 - what cls is
        return line

    def exchange(self, mnemonic: str, reply: re.Pattern[str]) -> re.Match[str]:
        """Return the data that a mnemonic gives. Raises DeviceError.

        Asked again from the beginning if it failed, after the interface was reset.
        """
        for left in range(RETRIES, -1, -1):
            try:
                return self._exchange(mnemonic, reply)
            except (LinkTimeout, ReplyError):
                if left == 0:
                    raise
        raise AssertionError("unreachable")

    def identify(self) -> Identity:
        """Ask who answers. Raises StateError if it is not the instrument that was here before."""
        return self._checked_identity(self.exchange(IDENTITY.question, IDENTITY.reply)[0])

    def resync(self) -> None:
        """Reset the interface, throw away what was received, and hear the instrument's name."""
        self._suspect = True
        self.reset()
        self.send(ETX)
        self._drain()
        self.send(_line(IDENTITY.question))
        if self.poll(self.timeout_s) != ACK:
            raise LinkTimeout(self.name, f"{IDENTITY.question} is not acknowledged")
        self.send(ENQ)
        self._checked_identity(self._first_identity())
        self._suspect = False

    def _exchange(self, mnemonic: str, reply: re.Pattern[str]) -> re.Match[str]:
        acknowledged = self.ask(_line(mnemonic).decode(), ACKNOWLEDGED, retries=0)
        if acknowledged == NAK:
            word = self.ask(ENQ.decode(), ERROR_WORD, retries=0)
            told = [text for bit, text in zip(word, ERRORS, strict=True) if bit == "1"]
            raise InstrumentError(self.name, f"{mnemonic!r}: {', '.join(told) or word}")
        match = reply.fullmatch(self.ask(ENQ.decode(), reply, retries=0))
        assert match is not None  # noqa: S101 - the line lets nothing else through
        return match


def _line(mnemonic: str) -> bytes:
    return mnemonic.encode() + b"\r\n"


@register(
    "pfeiffer.tpg361",
    PressureGauge,
    config=PfeifferConfig,
    framing=Terminated(b"\r\n"),
    line=PfeifferLine.configured,
    serial=SerialFormat(9600, 8, "N", 1),
)
class PfeifferGauge:
    """One gauge of a TPG 361 or 362 (roles.PressureGauge)."""

    def __init__(self, name: str, line: PfeifferLine, clock: Clock, config: PfeifferConfig) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        self._config = config

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def read_pressure(self) -> Reading:
        """Read the pressure in mbar, whatever unit the controller shows.

        Raises DeviceError. Underrange is a good reading: the pressure is at most that.
        """
        return confirmed_readings(self.name, self._look)["pressure_mbar"]

    def read(self) -> Mapping[str, Reading]:
        """Read the pressure."""
        return {"pressure_mbar": self.read_pressure()}

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes."""
        return confirmed_settings(self.name, self._look_at_settings)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _look(self) -> Mapping[str, Reading]:
        return {"pressure_mbar": self._measure()}

    def _measure(self) -> Reading:
        per_unit_mbar = self._mbar_per_unit()
        measured = self._line.exchange(f"PR{self._config.gauge}", MEASUREMENT)
        status, now = int(measured[1]), self._clock.now()
        if status in FAULTS:
            return Reading(nan, "mbar", now, *FAULTS[status])
        note = "underrange: at most that" if status == UNDERRANGE else ""
        return Reading(float(measured[2]) * per_unit_mbar, "mbar", now, note=note)

    def _look_at_settings(self) -> Mapping[str, Setting]:
        sensors = self._line.exchange("SEN", re.compile(r"\d(?:,\d)?"))[0].split(",")
        gauge = self._config.gauge
        return {
            "unit": int(self._line.exchange("UNI", DIGIT)[0]),
            "sensor_switch": int(sensors[gauge - 1]) if gauge <= len(sensors) else 0,
        }

    def _mbar_per_unit(self) -> float:
        unit = int(self._line.exchange("UNI", DIGIT)[0])
        if unit not in MBAR_PER_UNIT:
            raise InstrumentError(
                self.name, f"unit {unit} of the controller is no pressure, expected 0 to 4"
            )
        return MBAR_PER_UNIT[unit]

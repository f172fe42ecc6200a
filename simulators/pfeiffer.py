"""Pfeiffer TPG 361: vacuum gauge controller with one gauge, mnemonics protocol.

Rules (manual of the TPG 261, pages 71 to 79; protocol description of the TPG 361/362)
1. A mnemonic with its parameters, separated by commas, ends with CR; LF after it is optional. It
   is answered ACK CR LF, or NAK CR LF if it was not understood.
2. Data come only when asked for by ENQ: those of the last mnemonic, afresh each time; after NAK
   the error word. ETX resets the interface.
3. Values are in the unit that is chosen, as sx.xxxxEsxx; the third and fourth decimal of a
   logarithmic gauge are always 0. Before them stands the status: 0 good, 1 underrange, 2
   overrange, 3 sensor error, 4 sensor off, 5 no sensor (with 2.0000E-02), 6 identification error.
4. The error word is cancelled when read: 1000 controller, 0100 no hardware, 0010 parameter, 0001
   syntax.
5. COM sends measurements until the next character is received.
[mem], unverified: the fields of AYT; that the second gauge of a TPG 361 is a syntax error;
hPa as the unit at delivery; the range of the gauge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as regex
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.world import World

__all__ = ["PfeifferSettings", "PfeifferTPG361"]

ETX, ENQ, ACK, NAK = b"\x03", b"\x05", b"\x06", b"\x15"
MAX_LINE: Final = 256
PER_MBAR: Final = (1.0, 0.750062, 100.0, 750.062, 1.0)  # mbar, Torr, Pa, micron, hPa
INTERVALS_S: Final = (0.1, 1.0, 60.0)
CONTROLS: Final = regex(b"([\x03\x05])")
SYNTAX_ERROR, PARAMETER_ERROR = "0001", "0010"
NO_ERROR: Final = "0000"
NO_SENSOR: Final = "5,+2.0000E-02"

# Kept and given back without effect on the simulation: mnemonic -> value at delivery
REMEMBERED: Final = {"FIL": "1", "OFC": "0", "DCD": "2", "LOC": "0", "CAL": "1.000", "WDT": "0"}


@dataclass(frozen=True, slots=True)
class PfeifferSettings:
    """What differs from unit to unit; a full-range gauge, Pirani and cold cathode."""

    serial: str = "44990000"
    firmware: str = "010100"
    unit: int = 4
    gauge_range_mbar: tuple[float, float] = (5e-9, 1000.0)
    reply_s: float = 0.01
    boot_s: float = 5.0


class PfeifferTPG361(InstrumentCore):
    """One unit that looks at the vacuum of the World.

    Faults: sensor_error, sensor_missing.
    """

    def __init__(self, world: World, settings: PfeifferSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or PfeifferSettings()
        self.serial = self.settings.serial
        self.sensor_error = self.sensor_missing = False
        self.is_sensor_on = True
        self.unit = self.settings.unit
        self._lines = LineBuffer(b"\r\n", MAX_LINE)
        self._remembered = dict(REMEMBERED)
        self._asked = "PR1"
        self._error = NO_ERROR
        self._talk = 0  # counts the orders to talk, so that an old one ends
        self._next_talk_s: float | None = None
        self._boot_until = float("-inf")

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        if fragment:
            self._stop_talking()
        requests: list[bytes] = []
        for piece in CONTROLS.split(fragment):
            if piece in (ETX, ENQ):
                self._lines.clear()
                requests.append(piece)
            elif piece:
                requests += self._lines.feed(piece)
        return requests

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        if request == ETX:
            self.outbox.clear()
            self._asked = "PR1"
            return False
        if request == ENQ:
            reply = self._data().encode("latin-1", "replace")
        else:
            reply = ACK if self._order(request.decode("latin-1").strip()) else NAK
        self.outbox.post(now + self.settings.reply_s, reply + b"\r\n")
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        names = {ETX: "ETX", ENQ: "ENQ"}
        name = names.get(request) or request.decode("latin-1").strip().partition(",")[0].upper()
        return [name] if name else []

    def answers(self, request: bytes, reply: bytes) -> bool:
        is_control = reply.rstrip() in (ACK, NAK)
        return is_control != (request == ENQ)

    def next_due(self) -> float | None:
        times = [due for due in (self.outbox.next_due(), self._next_talk_s) if due is not None]
        return min(times, default=None)

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._stop_talking()
        self._asked, self._error = "PR1", NO_ERROR
        self._boot_until = now + self.settings.boot_s

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "99999999"

    # -- mnemonics ------------------------------------------------------------------------------

    def _order(self, message: str) -> bool:
        """Take a mnemonic; return whether it is acknowledged."""
        name, *parameters = (part.strip() for part in message.split(","))
        name = name.upper()
        error = self._carry_out(name, parameters)
        if error != NO_ERROR:
            self._error, self._asked = error, "ERR"
            return False
        self._asked = name
        return True

    def _carry_out(self, name: str, parameters: list[str]) -> str:
        """Set what is to be set and return the error word."""
        if name in ("PR1", "TID", "PNR", "AYT", "ERR", "PRX"):
            return SYNTAX_ERROR if parameters else NO_ERROR
        if name in REMEMBERED:
            self._remembered[name] = ",".join(parameters)[:16] or self._remembered[name]
            return NO_ERROR
        choices = {"UNI": 6, "SEN": 3, "COM": 3, "SAV": 2, "RES": 2}
        if name not in choices or len(parameters) > 1:
            return SYNTAX_ERROR
        if not parameters:
            return self._set(name, None)
        if parameters[0] not in tuple(str(choice) for choice in range(choices[name])):
            return PARAMETER_ERROR
        return self._set(name, int(parameters[0]))

    def _set(self, name: str, choice: int | None) -> str:
        if name == "UNI" and choice is not None:
            if choice >= len(PER_MBAR):
                return PARAMETER_ERROR  # volts: not simulated
            self.unit = choice
        elif name == "SEN" and choice in (1, 2):
            self.is_sensor_on = choice == 2
        elif name == "RES" and choice == 1:
            self._error = NO_ERROR
        elif name == "COM":
            self._start_talking(INTERVALS_S[1 if choice is None else choice])
        return NO_ERROR

    def _data(self) -> str:
        """Return what ENQ asks for."""
        if self._asked in ("ERR", "RES"):
            error, self._error = self._error, NO_ERROR
            return error
        if self._asked in self._remembered:
            return self._remembered[self._asked]
        told = {
            "PR1": self._measurement(),
            "COM": self._measurement(),
            "PRX": f"{self._measurement()},{NO_SENSOR}",
            "UNI": str(self.unit),
            "SEN": "2" if self.is_sensor_on else "1",
            "TID": "noSEn" if self.sensor_missing else "PKR",
            "PNR": self.settings.firmware,
            "AYT": f"TPG361,PTG28040,{self.serial},{self.settings.firmware},010100",
        }
        return told.get(self._asked, "0")

    def _measurement(self) -> str:
        pressure_mbar = self.world.vacuum.pressure_mbar
        low_mbar, high_mbar = self.settings.gauge_range_mbar
        if self.sensor_missing:
            return NO_SENSOR
        if self.sensor_error:
            return f"3,{_exponential(0.0)}"
        if not self.is_sensor_on:
            return f"4,{_exponential(0.0)}"
        status = 1 if pressure_mbar < low_mbar else 2 if pressure_mbar > high_mbar else 0
        shown_mbar = min(max(pressure_mbar, low_mbar), high_mbar)
        return f"{status},{_exponential(shown_mbar * PER_MBAR[self.unit])}"

    # -- talking without being asked --------------------------------------------------------------

    def _start_talking(self, interval_s: float) -> None:
        self._talk += 1
        mine = self._talk

        def say() -> None:
            if mine != self._talk:
                return
            now = self.world.now
            if self._next_talk_s is not None:
                self.outbox.post(now, f"{self._measurement()},{NO_SENSOR}\r\n".encode())
            self._next_talk_s = now + interval_s
            self.world.at(self._next_talk_s, say)

        say()

    def _stop_talking(self) -> None:
        self._talk += 1
        self._next_talk_s = None


def _exponential(value: float) -> str:
    """Return two decimals, and two more that are 0."""
    mantissa, exponent = f"{value:+.2E}".split("E")
    return f"{mantissa}00E{exponent}"

"""Oxford Instruments MercuryiTC, "SCPI" command set: bytes in, bytes out.

Rules of the wire (MercuryiTC manual; where it is silent, what drivers that talk to real units
rely on)
1. Case sensitive keywords of at most four letters joined with ":", in a line of at most 1024
   bytes that ends with LF. On a bus a message may begin with "@n" and is then for unit n only.
2. Every message is answered. READ:DEV:uid:TEMP:SIG:TEMP -> STAT:DEV:uid:TEMP:SIG:TEMP:4.2031K;
   several leaves in one message are answered together; SET repeats name, value and VALID.
3. What is wrong is appended: INVALID, NOT_FOUND (no such device), DENIED (not to be set), N/A.
   What is no command at all is answered <verb>:INVALID or <verb>:<noun>:INVALID.
4. *IDN? is the only common command, and READ:SYS:CAT lists the devices.
5. While the ramp is on, TSET reads back the working setpoint.
Unverified, from memory: that a unit locked by its front panel answers DENIED to every SET; how an
open sensor reads; the spelling of alarms; that too long a line is not answered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.lakeshore_inputs import sensor_ohm
from simulators.mercury_board import Board, Denied, Leaf, parse_number, plain, scaled, switch
from simulators.mercury_loop import MercuryLoop, PidRow
from simulators.world import World

__all__ = ["MercuryITC", "MercurySettings"]

MAX_LINE: Final = 1024
HEATER, CONTROL, SAMPLE, FLOW = "MB0.H1", "MB1.T1", "DB6.T1", "DB4.G1"
EXCITATION_A: Final = 1e-6
SET_TEXT_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class MercurySettings:
    """What differs from unit to unit, and what is disputed about them.

    signals_scaled: whether heater signals and temperatures carry SI prefixes too (12.3mW).
    open_sensor: what is read of an open sensor.
    """

    serial: str = "131450095"
    firmware: str = "2.4.07.000"
    isobus: int = 1
    reply_s: float = 0.02
    boot_s: float = 20.0
    pid_table: tuple[PidRow, ...] = (  # as its user tuned it to the simulated cryostat
        (20.0, 1.0, 0.2, 0.0),
        (60.0, 5.0, 0.3, 0.0),
        (inf, 15.0, 0.5, 0.0),
    )
    voltage_limit_V: float = 28.0
    signals_scaled: bool = False
    open_sensor: str = "infK"


class MercuryITC(InstrumentCore):
    """One unit with heater, two temperature boards and a gas flow board.

    MB1.T1 is beside the heater, DB6.T1 at the sample. is_locked: the front panel has control.
    """

    def __init__(self, world: World, settings: MercurySettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or MercurySettings()
        self.serial = self.settings.serial
        self.is_locked = False
        self.control = MercuryLoop(world, self.settings.pid_table, self.settings.voltage_limit_V)
        self._lines = LineBuffer(b"\n", MAX_LINE)
        self._texts: dict[str, str] = {}
        self._boot_until = float("-inf")
        boards = (
            Board("SYS", self._system()),
            Board(f"DEV:{HEATER}:HTR", self._heater()),
            Board(f"DEV:{CONTROL}:TEMP", self._sensor(CONTROL) | self._loop()),
            Board(f"DEV:{FLOW}:AUX", self._flow()),
            Board(f"DEV:{SAMPLE}:TEMP", self._sensor(SAMPLE)),
        )
        self.boards = {board.address: board for board in boards}
        world.every_step(self.control.regulate)

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        return self._lines.feed(fragment)

    def execute(self, request: bytes, now: float) -> bool:
        message = self._addressed(request.decode("latin-1").rstrip("\r"))
        if now < self._boot_until or message is None:
            return False
        reply = self._answer(message)
        if reply is None:
            return False
        self.outbox.post(now + self.settings.reply_s, reply.encode("latin-1", "replace") + b"\n")
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the verb with the leaf: READ:TEMP, SET:TSET."""
        words = request.decode("latin-1").strip().split(":")
        leaf = -2 if words[0] == "SET" and len(words) > 2 else -1
        return [words[0], f"{words[0]}:{words[leaf]}"] if len(words) > 1 else words

    def answers(self, request: bytes, reply: bytes) -> bool:
        verb, _, rest = request.decode("latin-1").strip().partition(":")
        begin = {"READ": "STAT:", "SET": "STAT:SET:"}.get(verb)
        if begin is None:
            return reply.startswith(b"IDN" if verb == "*IDN?" else verb.encode())
        noun = ":".join(rest.split(":")[:3])
        return reply.decode("latin-1").startswith(begin + noun)

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._boot_until = now + self.settings.boot_s
        self.control.power_cycle()

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "999999999"

    def _addressed(self, message: str) -> str | None:
        """Return the message without bus address; None where another unit is meant."""
        if not message.startswith("@"):
            return message
        return message[2:] if message[1:2] == str(self.settings.isobus) else None

    # -- messages -----------------------------------------------------------------------------

    def _answer(self, message: str) -> str | None:
        if message == "*IDN?":
            return f"IDN:OXFORD INSTRUMENTS:MERCURY iTC:{self.serial}:{self.settings.firmware}"
        verb, *words = message.split(":")
        if verb not in ("READ", "SET"):
            return f"{verb}:INVALID"
        if verb == "READ":
            words = [*words[:-1], words[-1].removesuffix("?")] if words else words
        if not words or words[0] not in ("SYS", "DEV"):
            return ":".join((verb, *words[:1], "INVALID"))
        begin = "STAT" if verb == "READ" else "STAT:SET"
        board, leaves = self._board(words)
        if board is None:
            return ":".join((begin, *words, "NOT_FOUND"))
        try:
            told = self._read(board, leaves) if verb == "READ" else self._set(board, leaves)
        except LookupError:
            told = ":".join((*leaves, "INVALID"))
        return f"{begin}:{board.address}:{told}"

    def _board(self, words: list[str]) -> tuple[Board | None, list[str]]:
        length = 1 if words[0] == "SYS" else 3
        return self.boards.get(":".join(words[:length])), words[length:]

    def _read(self, board: Board, words: list[str]) -> str:
        group, names = board.find(words)
        key = f"{group}:" if group else ""
        told = [f"{name}:{board.leaves[key + name].read()}" for name in names]
        return key + ":".join(told)

    def _set(self, board: Board, words: list[str]) -> str:
        group, pairs = board.pairs(words)
        key = f"{group}:" if group else ""
        told = [self._set_leaf(board.leaves[key + name], name, value) for name, value in pairs]
        return key + ":".join(told)

    def _set_leaf(self, leaf: Leaf, name: str, value: str) -> str:
        if self.is_locked:
            return f"{name}:{value}:DENIED"
        try:
            leaf.set(value)
        except Denied:
            return f"{name}:{value}:DENIED"
        except ValueError:
            return f"{name}:{value}:INVALID"
        return f"{name}:{leaf.read()}:VALID"

    # -- boards ---------------------------------------------------------------------------------

    def _text(self, key: str, initial: str, allowed: tuple[str, ...] = ()) -> Leaf:
        """Return a leaf without effect on the simulation, kept as it was set."""

        def write(text: str) -> None:
            if (allowed and text not in allowed) or not 0 < len(text) <= SET_TEXT_LENGTH:
                raise ValueError(text)
            self._texts[key] = text

        return Leaf(lambda: self._texts.get(key, initial), write)

    def _manufacture(self, serial: Callable[[], str]) -> dict[str, Leaf]:
        return {
            "MAN:HVER": Leaf(lambda: "1"),
            "MAN:FVER": Leaf(lambda: self.settings.firmware),
            "MAN:SERL": Leaf(serial),
        }

    def _system(self) -> dict[str, Leaf]:
        return {
            "CAT": Leaf(lambda: ":".join(a for a in self.boards if a != "SYS")),
            "ALRM": Leaf(self._alarms),
            "FLSH": Leaf(lambda: "15168"),
            "DISP:DIMA": self._text("DIMA", "OFF", ("ON", "OFF")),
            "DISP:DIMT": self._text("DIMT", "30"),
            "DISP:BRIG": self._text("BRIG", "80.0"),
            **self._manufacture(lambda: self.serial),
        }

    def _alarms(self) -> str:
        alarms = []
        if self.world.cryostat.sensor_open:
            alarms.append(f"{CONTROL}\tOpen Circuit;")
        if self.control.is_load_open and self.control.heater_percent:
            alarms.append(f"{HEATER}\tOpen Circuit;")
        return "".join(alarms)

    def _signal(self, value: float, unit: str) -> str:
        return scaled(value, unit) if self.settings.signals_scaled else plain(value, unit)

    def _heater(self) -> dict[str, Leaf]:
        control = self.control

        def limit(text: str) -> None:
            control.voltage_limit_V = parse_number(text, "V", 0.0, 40.0)

        def resistance(text: str) -> None:
            control.resistance_ohm = parse_number(text, "", 10.0, 2000.0)

        return {
            "NICK": self._text(HEATER, HEATER),
            "VLIM": Leaf(lambda: plain(control.voltage_limit_V, "", 1), limit),
            "RES": Leaf(lambda: plain(control.resistance_ohm, "", 1), resistance),
            "PMAX": Leaf(lambda: plain(control.highest_W, "", 2)),
            **self._manufacture(lambda: "62501"),
            "SIG:VOLT": Leaf(lambda: self._signal(control.voltage_V(), "V")),
            "SIG:CURR": Leaf(lambda: self._signal(control.current_A(), "A")),
            "SIG:POWR": Leaf(lambda: self._signal(control.voltage_V() * control.current_A(), "W")),
        }

    def _sensor(self, uid: str) -> dict[str, Leaf]:
        cryostat = self.world.cryostat
        reading_K = cryostat.control_sensor_K if uid == CONTROL else cryostat.sample_sensor_K

        def temperature() -> str:
            kelvin = reading_K()
            return self.settings.open_sensor if isnan(kelvin) else self._signal(kelvin, "K")

        def electrical(unit: str, per_ohm: float) -> str:
            kelvin = reading_K()
            if isnan(kelvin):
                return f"inf{unit}"
            value = per_ohm * sensor_ohm(kelvin)
            return f"{value / 1e-3:.4f}m{unit}" if unit == "V" else scaled(value, unit)

        return {
            "TYPE": self._text(f"{uid} type", "NTC", ("PTC", "NTC", "DDE", "TCE")),
            "NICK": self._text(uid, uid),
            "EXCT:TYPE": self._text(f"{uid} exct", "UNIP", ("UNIP", "BIP", "SOFT")),
            "EXCT:MAG": self._text(f"{uid} mag", "1.0u"),
            "CAL:FILE": self._text(f"{uid} file", "X123456.dat"),
            "CAL:INT": self._text(f"{uid} int", "SPL", ("LIN", "SPL", "LAGR")),
            "CAL:SCAL": self._text(f"{uid} scal", "1.0000"),
            "CAL:OFFS": self._text(f"{uid} offs", "0.0000"),
            "CAL:HOTL": Leaf(lambda: "325.0000K"),
            "CAL:COLDL": Leaf(lambda: "1.4000K"),
            **self._manufacture(lambda: "62502" if uid == CONTROL else "62503"),
            "SIG:TEMP": Leaf(temperature),
            "SIG:RES": Leaf(lambda: electrical("O", 1.0)),
            "SIG:VOLT": Leaf(lambda: electrical("V", EXCITATION_A)),
            "SIG:CURR": Leaf(lambda: scaled(EXCITATION_A, "A")),
        }

    def _loop(self) -> dict[str, Leaf]:
        control, loop = self.control, self.control.loop

        def enable(text: str) -> None:
            control.is_enabled = switch(text)
            loop.integral_percent, loop.last_error_K = 0.0, None
            control.drive()

        def setpoint(text: str) -> None:
            loop.set_target(parse_number(text, "K", 0.0, 2000.0), self.world.now)

        def heater(text: str) -> None:
            control.manual_percent = parse_number(text, "", 0.0, 100.0)
            control.drive()

        def rate(text: str) -> None:
            loop.set_ramp(loop.ramp_on, parse_number(text, "K/m", 0.0, 1e5), self.world.now)

        def ramp(text: str) -> None:
            loop.set_ramp(switch(text), loop.ramp_rate_K_per_min, self.world.now)

        def pid_from_table(text: str) -> None:
            control.takes_pid_from_table = switch(text)

        def flow_automatic(text: str) -> None:
            control.is_flow_automatic = switch(text)

        def flow(text: str) -> None:
            control.flow_percent = parse_number(text, "", 0.0, 100.0)

        return {
            "LOOP:HTR": self._text("loop heater", HEATER, (HEATER, "None")),
            "LOOP:AUX": self._text("loop flow", FLOW, (FLOW, "None")),
            "LOOP:P": self._gain(0),
            "LOOP:I": self._gain(1),
            "LOOP:D": self._gain(2),
            "LOOP:PIDT": Leaf(lambda: _on(control.takes_pid_from_table), pid_from_table),
            "LOOP:ENAB": Leaf(lambda: _on(control.is_enabled), enable),
            "LOOP:TSET": Leaf(lambda: plain(loop.setpoint_K(self.world.now), "K"), setpoint),
            "LOOP:HSET": Leaf(lambda: plain(control.heater_percent), heater),
            "LOOP:RSET": Leaf(lambda: plain(loop.ramp_rate_K_per_min, "K/m"), rate),
            "LOOP:RENA": Leaf(lambda: _on(loop.ramp_on), ramp),
            "LOOP:FAUT": Leaf(lambda: _on(control.is_flow_automatic), flow_automatic),
            "LOOP:FSET": Leaf(lambda: plain(control.flow_percent), flow),
            "LOOP:SWMD": self._text("SWMD", "FIX", ("FIX", "SWP")),
        }

    def _gain(self, place: int) -> Leaf:
        def write(text: str) -> None:
            gains = list(self.control.pid)
            gains[place] = parse_number(text, "", 0.0, 1e5)
            self.control.pid = (gains[0], gains[1], gains[2])

        return Leaf(lambda: plain(self.control.pid[place], "", 1), write)

    def _flow(self) -> dict[str, Leaf]:
        control, cryostat = self.control, self.world.cryostat

        def least(text: str) -> None:
            control.least_flow_percent = parse_number(text, "", 1.0, 100.0)

        return {
            "NICK": self._text(FLOW, FLOW),
            "GMIN": Leaf(lambda: plain(control.least_flow_percent, "", 1), least),
            "GFSF": self._text("GFSF", "1.0"),
            "TES": self._text("TES", "1.0"),
            "TVES": self._text("TVES", "1.0"),
            "GEAR": self._text("GEAR", "0", tuple("01234567")),
            "SPD": self._text("SPD", "1", tuple("012")),
            **self._manufacture(lambda: "62504"),
            "SIG:PERC": Leaf(lambda: plain(cryostat.valve_percent, "%", 1)),
            "SIG:STEP": Leaf(lambda: plain(10.0 * cryostat.valve_percent, "", 0)),
        }


def _on(is_on: bool) -> str:
    return "ON" if is_on else "OFF"

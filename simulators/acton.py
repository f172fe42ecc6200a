"""Acton SpectraPro: a spectrograph with a turret, on the optics of the World.

Rules (IsoPlane and SpectraPro manuals; odemis, ScopeFoundry; [mem]: from memory, not verified)
1. Commands end with CR; parameters stand before the command: "546.070 GOTO". Several words make
   one line, as in "EXIT-MIRROR ?MIRROR", and are carried out in turn.
2. On RS-232 every character is echoed, but not the CR [mem]; NO-ECHO ends that, ECHO brings it
   back. On USB nothing is echoed.
3. The reply comes when the command is completed: "<data> ok" CR LF; a word that is not understood
   ends the line with "<word>? " CR LF. A GOTO or a turret takes up to 20 s.
4. A wavelength beyond the drive is clamped silently; a grating that is not installed is ok, and
   nothing moves.
5. ?GRATINGS marks the one in use with the byte 1A; the reply is no ASCII.
6. ">NM" returns at once; MONO-?DONE tells 1 when it has arrived, MONO-STOP ends it [mem].
7. At power-up it initialises: grating 1, the wavelength kept in its memory.
8. What is sent before the ok waits in the input [mem].
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import cos, isfinite, radians
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.world import World

__all__ = ["ActonSettings", "SpectraPro"]

MAX_LINE: Final = 256
MAX_WAITING: Final = 64
MAX_STACK: Final = 64
IN_USE, NOT_IN_USE = "\x1a", " "
PLACES: Final = 9  # three turrets of three gratings
LONGEST_NM: Final = 1400.0  # of the drive with 1200 lines per mm
MARKED_PER_MM: Final = 1200.0
MIRRORS: Final = ("ENT-MIRROR", "EXIT-MIRROR")
SLITS: Final = ("SIDE-ENT-SLIT", "FRONT-ENT-SLIT", "SIDE-EXIT-SLIT", "FRONT-EXIT-SLIT")


@dataclass(frozen=True, slots=True)
class ActonSettings:
    """What differs from unit to unit.

    echoes: as on RS-232; False as on USB. lower_case_only: as one old 2150i was found.
    """

    model: str = "SP-2-750i"
    serial: str = "27510347"
    echoes: bool = True
    lower_case_only: bool = False
    decimals: int = 3
    has_unit: bool = True  # "nm" after a wavelength
    speed_nm_per_s: float = 100.0
    grating_s: float = 15.0
    settle_s: float = 0.3
    reply_s: float = 0.01
    boot_s: float = 8.0


@dataclass(slots=True)
class _Motion:
    start_nm: float
    end_nm: float
    begin_s: float
    end_s: float

    def wavelength_nm(self, now: float) -> float:
        way = min(max((now - self.begin_s) / max(self.end_s - self.begin_s, 1e-9), 0.0), 1.0)
        return self.start_nm + way * (self.end_nm - self.start_nm)


class _NotUnderstoodError(Exception):
    """Carries the word."""


class SpectraPro(InstrumentCore):
    """A SpectraPro with as many gratings as the world has; the other places are empty."""

    def __init__(self, world: World, settings: ActonSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or ActonSettings()
        self.serial = self.settings.serial
        self._lines = LineBuffer(b"\r\n", MAX_LINE)
        self._words = self._word_table()
        self._stored_nm = world.optics.centre_nm
        self._boot_until = float("-inf")
        self._waiting: deque[bytes] = deque()
        self._start_afresh()

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        if now < self._boot_until:
            return []
        if self._echoes:
            for byte in fragment:
                if byte not in b"\r\n":
                    self.outbox.post(now, bytes((byte,)))
        return self._lines.feed(fragment)

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(request)
        self._work()
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the words of a line in capitals, without the numbers."""
        words = request.decode("latin-1").upper().split()
        return [word for word in words if _number(word) is None]

    def answers(self, request: bytes, reply: bytes) -> bool:
        """An echo is no answer."""
        return reply.endswith(b"\r\n")

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._waiting.clear()
        self._start_afresh()
        self._boot_until = now + self.settings.boot_s
        self.world.optics.grating = 0
        self.world.optics.centre_nm = self._stored_nm

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()
        self._waiting.clear()

    def impersonate(self) -> None:
        self.serial = "27599999"

    def _start_afresh(self) -> None:
        self._echoes = self.settings.echoes
        self._busy_until = float("-inf")
        self._motion: _Motion | None = None
        self._rate_nm_per_min = 100.0
        self._turret = 1
        self._mirrors = dict.fromkeys(MIRRORS, "front")
        self._slits_um = {SLITS[0]: 50}
        self._mirror, self._slit = MIRRORS[0], SLITS[0]
        self._stack: list[float] = []

    def _work(self) -> None:
        """Carry out the lines that wait, up to one that takes time."""
        while self._waiting and self.world.now >= self._busy_until:
            self._busy_until = self.world.now
            text = self._run(self._waiting.popleft().decode("latin-1"))
            self.outbox.post(self._busy_until + self.settings.reply_s, text.encode("latin-1"))
            if self._busy_until > self.world.now:
                self.world.at(self._busy_until, self._work)

    def _run(self, line: str) -> str:
        """Carry out the words of a line and return the reply."""
        self._stack.clear()
        said = ""
        try:
            for word in line.split():
                said += self._perform(word)
        except _NotUnderstoodError as error:
            return f"{said} {error}? \r\n"
        return f"{said} ok\r\n"

    def _perform(self, word: str) -> str:
        number = _number(word)
        if number is not None:
            if len(self._stack) >= MAX_STACK:
                raise _NotUnderstoodError(word)
            self._stack.append(number)
            return ""
        is_known_case = not self.settings.lower_case_only or word == word.lower()
        action = self._words.get(word.upper()) if is_known_case else None
        if action is None:
            raise _NotUnderstoodError(word)
        return action()

    def _pop(self) -> float:
        if not self._stack:
            raise _NotUnderstoodError("empty stack")
        return self._stack.pop()

    # -- wavelength and turret ------------------------------------------------------------------

    @property
    def _grating(self) -> int:
        """The grating in use, from 1."""
        return self.world.optics.grating + 1

    def _wavelength_nm(self) -> float:
        if self._motion is not None:
            return self._motion.wavelength_nm(self.world.now)
        return self.world.optics.centre_nm

    def _clamped_nm(self, wavelength_nm: float, grating: int) -> float:
        optics = self.world.truth.optics
        per_mm = optics.gratings_per_mm[grating - 1]
        half = radians(optics.half_included_angle_deg)
        drive_nm = LONGEST_NM * MARKED_PER_MM / per_mm
        longest_nm = min(drive_nm, 0.98 * 2.0 * cos(half) * 1e6 / per_mm)
        return min(max(wavelength_nm, 0.0), longest_nm)

    def _move(self, wavelength_nm: float, speed_nm_per_s: float) -> float:
        """Begin a move and return when it ends."""
        now, here_nm = self.world.now, self._wavelength_nm()
        target_nm = round(self._clamped_nm(wavelength_nm, self._grating), self.settings.decimals)
        end_s = now + self.settings.settle_s + abs(target_nm - here_nm) / speed_nm_per_s
        motion = self._motion = _Motion(here_nm, target_nm, now, end_s)
        self.world.at(end_s, lambda: self._arrive(motion))
        return end_s

    def _arrive(self, motion: _Motion) -> None:
        if self._motion is motion:
            self._motion = None
            self.world.optics.centre_nm = motion.end_nm

    def _go(self) -> str:
        self._busy_until = self._move(self._pop(), self.settings.speed_nm_per_s)
        return ""

    def _go_at_rate(self) -> str:
        self._busy_until = self._move(self._pop(), self._rate_nm_per_min / 60.0)
        return ""

    def _set_off(self) -> str:
        self._move(self._pop(), self._rate_nm_per_min / 60.0)
        return ""

    def _stop(self) -> str:
        if self._motion is not None:
            here_nm, self._motion = self._wavelength_nm(), None
            self.world.optics.centre_nm = round(here_nm, self.settings.decimals)
        return ""

    def _set_rate(self) -> str:
        self._rate_nm_per_min = min(max(self._pop(), 0.1), 6000.0)
        return ""

    def _use_grating(self) -> str:
        """Turn the turret; a place without a grating is ok and does nothing."""
        wanted = self._pop()
        if wanted in range(1, len(self.world.truth.optics.gratings_per_mm) + 1):
            if wanted != self._grating:
                self._busy_until = self.world.now + self.settings.grating_s
            self.world.at(self._busy_until, lambda: self._mount(int(wanted)))
        return ""

    def _mount(self, grating: int) -> None:
        optics = self.world.optics
        optics.centre_nm = self._clamped_nm(optics.centre_nm, grating)
        optics.grating = grating - 1

    def _set_turret(self) -> str:
        """Say which turret is mounted; nothing moves."""
        turret = self._pop()
        if turret in (1, 2, 3):
            self._turret = int(turret)
        return ""

    def _gratings(self) -> str:
        lines = ["\r\n"]
        known = self.world.truth.optics.gratings_per_mm
        for place in range(1, PLACES + 1):
            mark = IN_USE if place == self._grating else NOT_IN_USE
            if place <= len(known):
                lines.append(f"{mark}{place}  {known[place - 1]:.0f} g/mm BLZ=  500NM \r\n")
            else:
                lines.append(f"{mark}{place}  Not Installed    \r\n")
        return "".join(lines)

    # -- the rest -----------------------------------------------------------------------------

    def _eestatus(self) -> str:
        optics = self.world.truth.optics
        known = optics.gratings_per_mm
        rows = {
            "model": self.settings.model,
            "serial #": self.serial,
            "focal length": f"{optics.focal_length_mm:.1f}",
            "half angle": f"{optics.half_included_angle_deg:.4f}",
            "det angle": "0.0000",
            "g/mm": "  ".join(f"{per_mm:.0f}" for per_mm in known),
            "offset": "  ".join("0" for _ in known),
            "adjust": "  ".join("1000000" for _ in known),
        }
        return "\r\n" + "".join(f" {name:<14}{value}\r\n" for name, value in rows.items())

    def _select_mirror(self, name: str) -> str:
        self._mirror = name
        return ""

    def _turn_mirror(self, place: str) -> str:
        if self._mirrors[self._mirror] != place:
            self._mirrors[self._mirror] = place
            self._busy_until = self.world.now + 2.0
        return ""

    def _select_slit(self, name: str) -> str:
        self._slit = name
        return ""

    def _microns(self) -> str:
        width_um = self._slits_um.get(self._slit)
        return " no motor " if width_um is None else f" {width_um} um "

    def _set_microns(self) -> str:
        width_um = self._pop()
        if self._slit in self._slits_um and 10 <= width_um <= 3000:
            self._slits_um[self._slit] = round(width_um)
            self._busy_until = self.world.now + 1.0
        return ""

    def _set_echo(self, echoes: bool) -> str:
        self._echoes = echoes
        return ""

    def _shown_nm(self, value: float, unit: str = "nm") -> str:
        unit = f" {unit}" if self.settings.has_unit else ""
        return f" {value:.{self.settings.decimals}f}{unit} "

    def _word_table(self) -> dict[str, Callable[[], str]]:
        return {
            "?NM": lambda: self._shown_nm(self._wavelength_nm()),
            "?NM/MIN": lambda: self._shown_nm(self._rate_nm_per_min, "nm/min"),
            "NM/MIN": self._set_rate,
            "NM": self._go_at_rate,
            "GOTO": self._go,
            ">NM": self._set_off,
            "MONO-?DONE": lambda: f" {int(self._motion is None)} ",
            "MONO-STOP": self._stop,
            "?GRATING": lambda: f" {self._grating} ",
            "GRATING": self._use_grating,
            "?GRATINGS": self._gratings,
            "?TURRET": lambda: f" {self._turret} ",
            "TURRET": self._set_turret,
            "MODEL": lambda: f" {self.settings.model} ",
            "SERIAL": lambda: f" {self.serial} ",
            "MONO-EESTATUS": self._eestatus,
            "NO-ECHO": lambda: self._set_echo(False),
            "ECHO": lambda: self._set_echo(True),
            "?MIRROR": lambda: f" {self._mirrors[self._mirror]} ",
            "FRONT": lambda: self._turn_mirror("front"),
            "SIDE": lambda: self._turn_mirror("side"),
            "?MICRONS": self._microns,
            "MICRONS": self._set_microns,
            **{name: partial(self._select_mirror, name) for name in MIRRORS},
            **{name: partial(self._select_slit, name) for name in SLITS},
        }


NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


def _number(word: str) -> float | None:
    """Return the finite number that a word is, None for any other word."""
    if NUMBER.fullmatch(word) is None:
        return None
    number = float(word)
    return number if isfinite(number) else None

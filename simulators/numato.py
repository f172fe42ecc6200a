"""Numato relay module: a text console over a serial line (USB); it switches the lamps of the World.

Rules (Numato's user guide and sample programs; [mem]: from memory, not verified)
1. Lines end with CR; each is echoed. The answer, if any, stands on a line of its own, and the
   prompt ">" follows: "relay read 0" LF CR "on" LF CR ">".
2. relay on|off|read N, relay readall, relay writeall HEX, reset, ver, id get, id set XXXXXXXX.
   Relays beyond 9 are A, B and so on.
3. What is not understood is answered by the prompt alone [mem].
4. All relays are off at power-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as regex
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.world import World

__all__ = ["NumatoRelays", "NumatoSettings"]

MAX_LINE: Final = 64
BREAK, PROMPT = "\n\r", ">"
RELAY = regex(r"relay (on|off|read) ([0-9A-Z])")


@dataclass(frozen=True, slots=True)
class NumatoSettings:
    """What differs from module to module, and which relays the lamps hang on."""

    serial: str = "RELAY001"
    version: str = "00000009"
    relays: int = 4
    line_lamp: int = 0
    white_lamp: int = 1
    reply_s: float = 0.003
    boot_s: float = 1.0


class NumatoRelays(InstrumentCore):
    """The module; its truth are the lamps of world.optics."""

    def __init__(self, world: World, settings: NumatoSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or NumatoSettings()
        self.serial = self.settings.serial
        self._on = [False] * self.settings.relays
        self._boot_until = float("-inf")
        self._lines = LineBuffer(b"\r\n", MAX_LINE)

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        return self._lines.feed(fragment)

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        line = request.decode("latin-1")
        said = self._perform(line.strip())
        text = line + BREAK + (said + BREAK if said else "") + PROMPT
        self.outbox.post(now + self.settings.reply_s, text.encode("latin-1"))
        self._follow()
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the first two words, as in "relay on"."""
        return (" ".join(request.decode("latin-1").split()[:2]),)

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._on = [False] * self.settings.relays
        self._boot_until = now + self.settings.boot_s
        self._follow()

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "RELAY999"

    def _perform(self, line: str) -> str:
        match = RELAY.fullmatch(line)
        if match is not None:
            return self._switch(match[1], int(match[2], 36))
        words = line.split()
        if words[:2] == ["id", "set"] and len(words) == 3 and len(words[2]) == 8:
            self.serial = words[2]
        elif words[:2] == ["relay", "writeall"] and len(words) == 3:
            self._write_all(words[2])
        elif line == "reset":
            self._on = [False] * self.settings.relays
        return {
            "ver": self.settings.version,
            "id get": self.serial,
            "relay readall": f"{sum(on << relay for relay, on in enumerate(self._on)):02x}",
        }.get(line, "")

    def _switch(self, verb: str, relay: int) -> str:
        if relay >= len(self._on):
            return ""
        if verb == "read":
            return "on" if self._on[relay] else "off"
        self._on[relay] = verb == "on"
        return ""

    def _write_all(self, digits: str) -> None:
        try:
            bits = int(digits, 16)
        except ValueError:
            return
        self._on = [bool(bits >> relay & 1) for relay in range(len(self._on))]

    def _follow(self) -> None:
        optics = self.world.optics
        optics.line_lamp_on = self._is_on(self.settings.line_lamp)
        optics.white_lamp_on = self._is_on(self.settings.white_lamp)

    def _is_on(self, relay: int) -> bool:
        return 0 <= relay < len(self._on) and self._on[relay]

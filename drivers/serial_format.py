"""How bytes travel on a serial line."""

import re
from dataclasses import dataclass

__all__ = ["EIGHT_N_ONE", "SerialFormat"]


@dataclass(frozen=True, slots=True)
class SerialFormat:
    """Baud rate, data bits, parity (N, E or O) and stop bits.

    pulses_rts: the instrument wants to be woken by its RTS line when the port was opened.
    """

    baud_rate: int = 9600
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1
    pulses_rts: bool = False

    @classmethod
    def parse(cls, baud_rate: int, frame: str) -> "SerialFormat":
        """Return the format written as "8N1" or "7O1". Raises ValueError."""
        match = re.fullmatch(r"([78])([NEO])([12])", frame)
        if match is None or baud_rate <= 0:
            raise ValueError(f"serial format {baud_rate} baud {frame!r}: expected e.g. 9600 8N1")
        return cls(baud_rate, int(match[1]), match[2], int(match[3]))


EIGHT_N_ONE = SerialFormat()

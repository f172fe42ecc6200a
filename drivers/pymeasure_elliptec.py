"""Thorlabs Elliptec modules in pymeasure's own style.

Over a Line whose link adds and removes the bus address. A movement is only started; its answer
(PO and the position, or GS and an error) comes when it is done. Source: ELLx protocol manual.
"""

import re
from typing import Any

from pymeasure.instruments import Instrument

from drivers.adapter import FullMatch

__all__ = ["ELL6", "ELL14", "decode_position"]

POSITION = re.compile(r"PO[0-9A-F]{8}")
STATUS = re.compile(r"GS[0-9A-F]{2}")
INFORMATION = re.compile(r"IN[0-9A-F]{2}\w{8}\d{4}[0-9A-F]{16}")


def decode_position(packet: str) -> int:
    """Return the pulses of a PO packet: 32 bits, signed, big end first."""
    return int.from_bytes(bytes.fromhex(packet[2:]), "big", signed=True)


class ElliptecModule(FullMatch, Instrument):  # type: ignore[misc] # pymeasure is untyped
    """What all Elliptec modules understand."""

    def __init__(self, adapter: Any, name: str = "Thorlabs Elliptec", **how: Any) -> None:
        super().__init__(adapter, name, includeSCPI=False, **how)

    position = Instrument.measurement(
        "gp",
        """Get the position (int, pulses).""",
        cast=str,
        get_process=decode_position,
        values_kwargs={"reply": POSITION},
    )

    status_code = Instrument.measurement(
        "gs",
        """Get the status and clear it (int, 0 is good, 9 busy).""",
        cast=str,
        get_process=lambda packet: int(packet[2:], 16),
        values_kwargs={"reply": STATUS},
    )

    travel = Instrument.measurement(
        "in",
        """Get the travel (int, degrees or mm).""",
        cast=str,
        get_process=lambda packet: int(packet[20:24], 16),
        values_kwargs={"reply": INFORMATION},
    )

    pulses_per_travel = Instrument.measurement(
        "in",
        """Get the pulses in one travel (int); one turn of a rotation stage.""",
        cast=str,
        get_process=lambda packet: int(packet[24:32], 16),
        values_kwargs={"reply": INFORMATION},
    )


class ELL14(ElliptecModule):
    """The rotation stage: 143360 pulses per turn."""

    def start_home(self, clockwise: bool = True) -> None:
        """Start to search the reference."""
        self.write(f"ho{0 if clockwise else 1}")

    def start_turn(self, pulses: int) -> None:
        """Start to turn by so much from where it is."""
        self.write("mr" + pulses.to_bytes(4, "big", signed=True).hex().upper())


class ELL6(ElliptecModule):
    """The two-position shutter."""

    def start_forward(self) -> None:
        """Start to move to the far end."""
        self.write("fw")

    def start_backward(self) -> None:
        """Start to move to the near end."""
        self.write("bw")

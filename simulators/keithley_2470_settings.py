"""The settings of a Keithley 2470 that are written and read back, with their values after *RST.

Source: 2470-901-01, section 12; ranges and the protection's steps above 20 V from memory, not
verified.
"""

from typing import Final

from simulators.scpi_settings import Choice, Real, Setting, Stored, Switch, Whole

__all__ = ["CURRENT_RANGES_A", "SETTINGS", "VOLTAGE_RANGES_V", "Header", "number"]

VOLTAGE_RANGES_V: Final = (0.2, 2.0, 20.0, 200.0, 1000.0)
CURRENT_RANGES_A: Final = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def number(value: float) -> str:
    """Return a number as the instrument writes it, as in 1.000206E+00."""
    return f"{value:.6E}"


class Number(Real):
    """A real number, shown without a plus sign."""

    def show(self, value: Stored) -> str:
        return number(float(value))


class Header:
    """Declarations that the core refers to by name."""

    SOURCE = ":SOURce[1]:FUNCtion[:MODE]"
    LEVEL = ":SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPlitude]"
    SOURCE_RANGE = ":SOURce[1]:VOLTage:RANGe"
    SOURCE_AUTO = ":SOURce[1]:VOLTage:RANGe:AUTO"
    CURRENT_LIMIT = ":SOURce[1]:VOLTage:ILIMit[:LEVel]"
    PROTECTION = ":SOURce[1]:VOLTage:PROTection[:LEVel]"
    READ_BACK = ":SOURce[1]:VOLTage:READ:BACK"
    CURRENT_LEVEL = ":SOURce[1]:CURRent[:LEVel][:IMMediate][:AMPlitude]"
    VOLTAGE_LIMIT = ":SOURce[1]:CURRent:VLIMit[:LEVel]"
    FUNCTION = ":SENSe[1]:FUNCtion[:ON]"
    COUNT = ":SENSe[1]:COUNt"
    CURRENT_RANGE = ":SENSe[1]:CURRent[:DC]:RANGe[:UPPer]"
    CURRENT_AUTO = ":SENSe[1]:CURRent[:DC]:RANGe:AUTO"
    CURRENT_NPLC = ":SENSe[1]:CURRent[:DC]:NPLCycles"
    VOLTAGE_NPLC = ":SENSe[1]:VOLTage[:DC]:NPLCycles"
    RESISTANCE_NPLC = ":SENSe[1]:RESistance:NPLCycles"
    OUTPUT = ":OUTPut[1][:STATe]"
    OFF_STATE = ":OUTPut[1]:VOLTage:SMODe"
    OFF_STATE_OF_ALL = ":OUTPut[1]:SMODe"
    OFF_STATE_CURRENT = ":OUTPut[1]:CURRent:SMODe"
    TERMINALS = ":ROUTe:TERMinals"
    BUFFER_POINTS = ":TRACe:POINts"


class Function(Choice):
    """What is measured; shown in quotes."""

    def show(self, value: Stored) -> str:
        return '"RES"' if value == "RES" else f'"{value}:DC"'

    def parse(self, text: str) -> str:
        return super().parse(text.strip("\"'").upper().removesuffix(":DC"))


def _off_state() -> Choice:
    return Choice("NORMal", "ZERO", "HIMPedance", "GUARd")


def _measuring(function: str, largest: float) -> dict[str, Setting]:
    """Return the settings that every measuring function has, its range at the largest."""
    path = f":SENSe[1]:{function}"
    return {
        f"{path}:RANGe[:UPPer]": Number(largest, -largest * 1.1, largest * 1.1),
        f"{path}:RANGe:AUTO": Switch(True),
        f"{path}:NPLCycles": Number(1.0, 0.01, 10.0),
        f"{path}:AZERo[:STATe]": Switch(True),
        f"{path}:RSENse": Switch(False),
        f"{path}:AVERage[:STATe]": Switch(False),
        f"{path}:AVERage:COUNt": Whole(10, 1, 100),
        f"{path}:AVERage:TCONtrol": Choice("REPeat", "MOVing"),
    }


SETTINGS: Final[dict[str, Setting]] = {
    Header.SOURCE: Choice("VOLTage", "CURRent"),
    Header.LEVEL: Number(0.0, -1100.0, 1100.0),
    Header.SOURCE_RANGE: Number(0.2, -1100.0, 1100.0),
    Header.SOURCE_AUTO: Switch(True),
    Header.CURRENT_LIMIT: Number(1.05e-4, 1e-9, 1.05),
    Header.PROTECTION: Choice(
        "NONE", "PROT20", "PROT40", "PROT100", "PROT200", "PROT300", "PROT400", "PROT500"
    ),
    Header.READ_BACK: Switch(True),
    ":SOURce[1]:VOLTage:DELay": Number(0.0, 0.0, 1e4),
    ":SOURce[1]:VOLTage:DELay:AUTO": Switch(True),
    Header.CURRENT_LEVEL: Number(0.0, -1.05, 1.05),
    ":SOURce[1]:CURRent:RANGe": Number(1e-8, -1.05, 1.05),
    ":SOURce[1]:CURRent:RANGe:AUTO": Switch(True),
    ":SOURce[1]:CURRent:READ:BACK": Switch(True),
    ":SOURce[1]:CURRent:DELay": Number(0.0, 0.0, 1e4),
    ":SOURce[1]:CURRent:DELay:AUTO": Switch(True),
    Header.VOLTAGE_LIMIT: Number(21.0, -1100.0, 1100.0),
    Header.FUNCTION: Function("CURRent", "VOLTage", "RESistance"),
    Header.COUNT: Whole(1, 1, 300_000),
    **_measuring("CURRent[:DC]", 1.0),
    **_measuring("VOLTage[:DC]", 1000.0),
    **_measuring("RESistance", 2e8),
    Header.OUTPUT: Switch(False),
    Header.OFF_STATE: _off_state(),
    Header.OFF_STATE_CURRENT: _off_state(),
    Header.TERMINALS: Choice("FRONt", "REAR"),
    Header.BUFFER_POINTS: Whole(100_000, 10, 6_875_000),
    ":FORMat[:DATA]": Choice("ASCii", "REAL", "SREal"),
    ":FORMat:ASCii:PRECision": Whole(0, 0, 16),
    ":DISPlay:DIGits": Whole(5, 3, 6),
    ":STATus:OPERation:ENABle": Whole(0, 0, 65535),
    ":STATus:QUEStionable:ENABle": Whole(0, 0, 65535),
}

"""The settings of a Keithley 2410 that are written and read back, with their values after *RST."""

from typing import Final

from simulators.scpi_settings import Choice, Real, Setting, Switch, Whole

__all__ = ["CURRENT_RANGES_A", "SETTINGS", "VOLTAGE_RANGES_V", "Header"]

VOLTAGE_RANGES_V: Final = (0.2, 2.0, 20.0, 1000.0)
CURRENT_RANGES_A: Final = (1e-6, 1e-5, 1e-4, 1e-3, 2e-2, 1e-1, 1.0)


class Header:
    """Declarations that the core refers to by name."""

    SOURCE = ":SOURce[1]:FUNCtion[:MODE]"
    LEVEL = ":SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]"
    SOURCE_RANGE = ":SOURce[1]:VOLTage:RANGe"
    SOURCE_AUTO = ":SOURce[1]:VOLTage:RANGe:AUTO"
    CURRENT_LEVEL = ":SOURce[1]:CURRent[:LEVel][:IMMediate][:AMPLitude]"
    CURRENT_SOURCE_RANGE = ":SOURce[1]:CURRent:RANGe"
    CURRENT_SOURCE_AUTO = ":SOURce[1]:CURRent:RANGe:AUTO"
    CLEAR_AUTO = ":SOURce[1]:CLEar:AUTO"
    DELAY = ":SOURce[1]:DELay"
    DELAY_AUTO = ":SOURce[1]:DELay:AUTO"
    CURRENT_LIMIT = ":SENSe[1]:CURRent[:DC]:PROTection[:LEVel]"
    CURRENT_RANGE = ":SENSe[1]:CURRent[:DC]:RANGe[:UPPer]"
    CURRENT_AUTO = ":SENSe[1]:CURRent[:DC]:RANGe:AUTO"
    CURRENT_NPLC = ":SENSe[1]:CURRent[:DC]:NPLCycles"
    VOLTAGE_LIMIT = ":SENSe[1]:VOLTage[:DC]:PROTection[:LEVel]"
    VOLTAGE_RANGE = ":SENSe[1]:VOLTage[:DC]:RANGe[:UPPer]"
    VOLTAGE_AUTO = ":SENSe[1]:VOLTage[:DC]:RANGe:AUTO"
    VOLTAGE_NPLC = ":SENSe[1]:VOLTage[:DC]:NPLCycles"
    RESISTANCE_NPLC = ":SENSe[1]:RESistance:NPLCycles"
    FILTER = ":SENSe[1]:AVERage[:STATe]"
    FILTER_COUNT = ":SENSe[1]:AVERage:COUNt"
    OUTPUT = ":OUTPut[1][:STATe]"
    OFF_STATE = ":OUTPut[1]:SMODe"
    INTERLOCK = ":OUTPut[1]:INTerlock[:STATe]"
    ENABLE = ":OUTPut[1]:ENABle[:STATe]"
    TERMINALS = ":ROUTe:TERMinals"
    AUTO_ZERO = ":SYSTem:AZERo[:STATe]"
    REMOTE_SENSE = ":SYSTem:RSENse"
    LINE_FREQUENCY = ":SYSTem:LFRequency"
    TRIGGER_COUNT = ":TRIGger[:SEQuence1]:COUNt"
    ARM_COUNT = ":ARM[:SEQuence1][:LAYer1]:COUNt"
    BUFFER_POINTS = ":TRACe:POINts"
    BUFFER_CONTROL = ":TRACe:FEED:CONTrol"
    STATISTIC = ":CALCulate3:FORMat"
    MEASUREMENT_ENABLE = ":STATus:MEASurement:ENABle"


_NPLC = Real(1.0, 0.01, 10.0)

SETTINGS: Final[dict[str, Setting]] = {
    Header.SOURCE: Choice("VOLTage", "CURRent", "MEMory"),
    ":SOURce[1]:FUNCtion:SHAPe": Choice("DC", "PULSe"),
    ":SOURce[1]:VOLTage:MODE": Choice("FIXed", "LIST", "SWEep"),
    ":SOURce[1]:CURRent:MODE": Choice("FIXed", "LIST", "SWEep"),
    Header.LEVEL: Real(0.0, -1100.0, 1100.0),
    Header.SOURCE_RANGE: Real(20.0, -1100.0, 1100.0),
    Header.SOURCE_AUTO: Switch(True),
    Header.CURRENT_LEVEL: Real(0.0, -1.05, 1.05),
    Header.CURRENT_SOURCE_RANGE: Real(1e-4, -1.05, 1.05),
    Header.CURRENT_SOURCE_AUTO: Switch(True),
    Header.CLEAR_AUTO: Switch(False),
    Header.DELAY: Real(0.0, 0.0, 9999.999),
    Header.DELAY_AUTO: Switch(True),
    ":SENSe[1]:FUNCtion:CONCurrent": Switch(True),
    Header.CURRENT_LIMIT: Real(105e-6, -1.05, 1.05),
    Header.CURRENT_RANGE: Real(1.05e-4, -1.05, 1.05),
    Header.CURRENT_AUTO: Switch(True),
    Header.CURRENT_NPLC: _NPLC,
    Header.VOLTAGE_LIMIT: Real(21.0, -1100.0, 1100.0),
    Header.VOLTAGE_RANGE: Real(21.0, -1100.0, 1100.0),
    Header.VOLTAGE_AUTO: Switch(True),
    Header.VOLTAGE_NPLC: _NPLC,
    ":SENSe[1]:RESistance:MODE": Choice("MANual", "AUTO"),
    ":SENSe[1]:RESistance:RANGe[:UPPer]": Real(2.1e5, 0.0, 2.1e8),
    ":SENSe[1]:RESistance:RANGe:AUTO": Switch(True),
    ":SENSe[1]:RESistance:OCOMpensated": Switch(False),
    Header.RESISTANCE_NPLC: _NPLC,
    Header.FILTER: Switch(False),
    ":SENSe[1]:AVERage:TCONtrol": Choice("REPeat", "MOVing"),
    Header.FILTER_COUNT: Whole(10, 1, 100),
    Header.OUTPUT: Switch(False),
    Header.OFF_STATE: Choice("GUARd", "HIMPedance", "NORMal", "ZERO"),
    Header.INTERLOCK: Switch(False),
    Header.ENABLE: Switch(False),
    Header.TERMINALS: Choice("FRONt", "REAR"),
    ":FORMat[:DATA]": Choice("ASCii"),
    ":FORMat:SREGister": Choice("ASCii", "HEXadecimal", "OCTal", "BINary"),
    Header.AUTO_ZERO: Switch(True),
    Header.REMOTE_SENSE: Switch(False),
    ":SYSTem:GUARd": Choice("CABLe", "OHMS"),
    Header.LINE_FREQUENCY: Whole(50, 50, 60),
    ":SYSTem:LFRequency:AUTO": Switch(True),
    ":SYSTem:BEEPer:STATe": Switch(True),
    Header.TRIGGER_COUNT: Whole(1, 1, 2500),
    ":TRIGger[:SEQuence1]:DELay": Real(0.0, 0.0, 999.9999),
    ":TRIGger[:SEQuence1]:SOURce": Choice("IMMediate", "TLINk"),
    ":TRIGger[:SEQuence1]:OUTPut": Choice("NONE", "SOURce", "DELay", "SENSe"),
    ":TRIGger[:SEQuence1]:ILINe": Whole(1, 1, 4),
    ":TRIGger[:SEQuence1]:OLINe": Whole(2, 1, 4),
    Header.ARM_COUNT: Whole(1, 1, 2500),
    ":ARM[:SEQuence1][:LAYer1]:SOURce": Choice(
        "IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest", "BSTest"
    ),
    ":ARM[:SEQuence1][:LAYer1]:TIMer": Real(0.1, 0.001, 99999.99),
    ":ARM[:SEQuence1][:LAYer1]:OUTPut": Choice("NONE", "TENTer", "TEXit"),
    ":ARM[:SEQuence1][:LAYer1]:ILINe": Whole(1, 1, 4),
    ":ARM[:SEQuence1][:LAYer1]:OLINe": Whole(2, 1, 4),
    Header.BUFFER_POINTS: Whole(100, 1, 2500),
    ":TRACe:FEED": Choice("SENSe", "SENSe1", "CALCulate", "CALCulate1", "CALCulate2"),
    Header.BUFFER_CONTROL: Choice("NEVer", "NEXT"),
    Header.STATISTIC: Choice("MEAN", "SDEViation", "MAXimum", "MINimum", "PKPK"),
    ":DISPlay:ENABle": Switch(True),
    ":DISPlay:DIGits": Whole(6, 4, 7),
    Header.MEASUREMENT_ENABLE: Whole(0, 0, 65535),
    ":STATus:OPERation:ENABle": Whole(0, 0, 65535),
    ":STATus:QUEStionable:ENABle": Whole(0, 0, 65535),
}

"""The Oxford MercuryiTC in pymeasure's own style, safe to build on.

pymeasure's MercuryiTC with replies checked: one that belongs to another address counts as garbled,
and INVALID, NOT_FOUND, DENIED and N/A raise, where pymeasure alone takes any reply to a set for a
good one. Values may carry SI prefixes. What it lacks is added: gas flow, several leaves at once.
Source: MercuryiTC manual; the drivers of ISIS, frappy and mercuryitc where it is silent.
"""

from collections.abc import Callable
from typing import Any

from pymeasure.instruments import Channel, Instrument
from pymeasure.instruments.oxfordinstruments.mercuryitc import Heater, TemperatureSensor
from pymeasure.instruments.oxfordinstruments.mercuryitc import MercuryiTC as UncheckedMercuryiTC
from pymeasure.instruments.validators import strict_discrete_set, strict_range

from drivers.errors import InstrumentError, ReplyError
from drivers.mercury_scpi import error_in, expected_reply, quantity

__all__ = ["MercuryiTC"]

SWITCH = {True: "ON", False: "OFF"}


def last_value(unit: str = "") -> Callable[[str], str]:
    """Return what turns a reply into its number, in the unit without prefix."""
    return lambda reply: repr(quantity(reply.rpartition(":")[2], unit))


def last_word(reply: str) -> str:
    return reply.rpartition(":")[2]


class CheckedChannel(Channel):  # type: ignore[misc] # pymeasure is untyped
    """A board whose every reply the instrument below it checks."""

    def check_set_errors(self) -> list[Any]:
        """Read what a set is answered. Raises InstrumentError."""
        self.read()
        return []


class CheckedSensor(CheckedChannel, TemperatureSensor):  # type: ignore[misc] # untyped
    """A temperature board with its control loop."""

    temperature = Channel.measurement(
        "READ:DEV:{ch}:TEMP:SIG:TEMP",
        """Measure the temperature in K (float; inf where the sensor is open).""",
        preprocess_reply=last_value("K"),
    )

    control_loop_temperature_setpoint = Channel.control(
        "READ:DEV:{ch}:TEMP:LOOP:TSET",
        "SET:DEV:{ch}:TEMP:LOOP:TSET:%.4f",
        """Control the setpoint in K (float, 0 to 2000); while it ramps, the working one.""",
        check_set_errors=True,
        preprocess_reply=last_value("K"),
        validator=strict_range,
        values=[0, 2000],
    )

    control_loop_ramp_rate = Channel.control(
        "READ:DEV:{ch}:TEMP:LOOP:RSET",
        "SET:DEV:{ch}:TEMP:LOOP:RSET:%.4f",
        """Control the rate of the ramp in K/min (float, 0 to 100000).""",
        check_set_errors=True,
        preprocess_reply=last_value("K/m"),
        validator=strict_range,
        values=[0, 100_000],
    )

    control_loop_heater_percent = Channel.control(
        "READ:DEV:{ch}:TEMP:LOOP:HSET",
        "SET:DEV:{ch}:TEMP:LOOP:HSET:%.4f",
        """Control the heater in % while the loop is off (float, 0 to 100).""",
        check_set_errors=True,
        preprocess_reply=last_value(),
        validator=strict_range,
        values=[0, 100],
    )

    flow_percent = Channel.control(
        "READ:DEV:{ch}:TEMP:LOOP:FSET",
        "SET:DEV:{ch}:TEMP:LOOP:FSET:%.2f",
        """Control the gas flow in % while it is not automatic (float, 0 to 100).""",
        check_set_errors=True,
        preprocess_reply=last_value(),
        validator=strict_range,
        values=[0, 100],
    )

    flow_is_automatic = Channel.control(
        "READ:DEV:{ch}:TEMP:LOOP:FAUT",
        "SET:DEV:{ch}:TEMP:LOOP:FAUT:%s",
        """Control whether the instrument chooses the gas flow by itself (bool).""",
        check_set_errors=True,
        preprocess_reply=last_word,
        validator=strict_discrete_set,
        values=SWITCH,
        map_values=True,
    )


class CheckedHeater(CheckedChannel, Heater):  # type: ignore[misc] # untyped
    """A heater board."""

    voltage = Channel.measurement(
        "READ:DEV:{ch}:HTR:SIG:VOLT",
        """Measure the voltage in V (float).""",
        preprocess_reply=last_value("V"),
    )

    current = Channel.measurement(
        "READ:DEV:{ch}:HTR:SIG:CURR",
        """Measure the current in A (float).""",
        preprocess_reply=last_value("A"),
    )

    power = Channel.measurement(
        "READ:DEV:{ch}:HTR:SIG:POWR",
        """Measure the power in W (float).""",
        preprocess_reply=last_value("W"),
    )


class CheckedFlow(CheckedChannel):
    """A gas flow board: the stepper motor of a needle valve."""

    valve_percent = Channel.measurement(
        "READ:DEV:{ch}:AUX:SIG:PERC",
        """Measure how far the valve is open in % (float).""",
        preprocess_reply=last_value("%"),
    )


class MercuryiTC(UncheckedMercuryiTC):  # type: ignore[misc] # pymeasure is untyped
    """A MercuryiTC.

    :param bus_address: of ISOBUS, 1 to 9, put before every message; None where the line is its own.
    """

    TS_MB = Instrument.ChannelCreator(CheckedSensor, "MB1.T1", prefix="TS", collection="TS")
    HTR_MB = Instrument.ChannelCreator(CheckedHeater, "MB0.H1", prefix="HTR", collection="HTR")

    def __init__(
        self,
        adapter: Any,
        name: str = "Oxford MercuryiTC",
        bus_address: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(adapter, name, **kwargs)
        self._prefix = "" if bus_address is None else f"@{bus_address}"
        self._message = ""

    alarms = Instrument.measurement(
        "READ:SYS:ALRM",
        """Get the alarms as the instrument tells them (str, empty where there is none).""",
        preprocess_reply=lambda reply: reply.removeprefix("STAT:SYS:ALRM:"),
        cast=str,
        separator="\n",
    )

    def write(self, command: str, **kwargs: Any) -> None:
        """Send a message; everything is answered, sets as well."""
        self._message = command
        super().write(self._prefix + command, **kwargs)

    def read(self, **kwargs: Any) -> str:
        """Return the reply to the last message. Raises ReplyError and InstrumentError."""
        pattern = expected_reply(self._message)
        reply: str = super().read(reply=pattern, **kwargs)
        if pattern.fullmatch(reply) is None:  # a line of pymeasure's own does not look
            raise ReplyError(self.name, f"{self._message!r} was answered {reply!r}")
        error = error_in(reply)
        if error:
            raise InstrumentError(self.name, f"{self._message!r}: {error} ({reply})")
        return reply

    def add_temperature_sensor(self, id: str, prefix: str = "TS", **kwargs: Any) -> None:
        """Add a temperature board by its UID."""
        self.add_child(CheckedSensor, id, collection="TS", prefix=prefix, **kwargs)

    def add_heater(self, id: str, prefix: str = "HTR", **kwargs: Any) -> None:
        """Add a heater board by its UID."""
        self.add_child(CheckedHeater, id, collection="HTR", prefix=prefix, **kwargs)

    def add_flow(self, uid: str) -> None:
        """Add a gas flow board by its UID to the collection .FLOW."""
        self.add_child(CheckedFlow, uid, collection="FLOW", prefix="FLOW_")

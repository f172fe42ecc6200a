"""Error queue and status registers of a Keithley 2410 (2400 series manual, chapter 15)."""

from collections import deque
from typing import Final

from simulators.scpi import ScpiError

__all__ = ["MeasurementEvent", "StatusSystem"]

MAX_ERRORS: Final = 10
NO_ERROR = ScpiError(0, "No error")
QUEUE_OVERFLOW = ScpiError(-350, "Queue overflow")

OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR = 1, 4, 8, 16
COMMAND_ERROR, POWER_ON = 32, 128


class MeasurementEvent:
    """Bits of the measurement event register (15-14)."""

    READING, BUFFER_FULL = 1 << 6, 1 << 9
    INTERLOCK, PROTECTION, COMPLIANCE = 1 << 11, 1 << 13, 1 << 14


class StatusSystem:
    """What went wrong and what happened, until it is asked for."""

    def __init__(self) -> None:
        self.power_up()

    def power_up(self) -> None:
        self._errors: deque[ScpiError] = deque()
        self._events = POWER_ON
        self.measurement_events = 0
        self.event_enable = self.service_enable = 0

    def report(self, error: ScpiError) -> None:
        """Queue an error; the last place says when the queue ran over."""
        self._events |= _event_of(error.number)
        if len(self._errors) < MAX_ERRORS:
            self._errors.append(error)
        else:
            self._errors[-1] = QUEUE_OVERFLOW

    @property
    def number_of_errors(self) -> int:
        return len(self._errors)

    def next_error(self) -> ScpiError:
        """Remove and return the oldest error."""
        return self._errors.popleft() if self._errors else NO_ERROR

    def all_errors(self) -> str:
        """Remove and return all errors in one text."""
        errors = ",".join(map(str, self._errors)) or str(NO_ERROR)
        self._errors.clear()
        return errors

    def clear_errors(self) -> None:
        self._errors.clear()

    def clear(self) -> None:
        """Do what *CLS does."""
        self._errors.clear()
        self._events = self.measurement_events = 0

    def complete_operation(self) -> None:
        self._events |= OPERATION_COMPLETE

    def read_events(self) -> int:
        """Return and clear the standard event register."""
        events, self._events = self._events, 0
        return events

    def read_measurement_events(self) -> int:
        """Return and clear the measurement event register."""
        events, self.measurement_events = self.measurement_events, 0
        return events

    def byte(self, *, measurement_enable: int, has_output: bool) -> int:
        """Return the status byte."""
        byte = 1 if self.measurement_events & measurement_enable else 0
        byte |= 4 if self._errors else 0
        byte |= 16 if has_output else 0
        byte |= 32 if self._events & self.event_enable else 0
        return byte | (64 if byte & self.service_enable else 0)


def _event_of(number: int) -> int:
    """Return the bit of the standard event register that an error sets."""
    if number > 0:
        return DEVICE_ERROR
    kinds = {1: COMMAND_ERROR, 2: EXECUTION_ERROR, 3: DEVICE_ERROR, 4: QUERY_ERROR}
    return kinds.get(-number // 100, 0)

"""Waiting with open eyes: whatever the engine waits for, everything else stays alive.

Each tick lets the clock pass, takes the step of a bias ramp that is due, polls the monitors that
are due, checks the interlocks as levels and takes the commands. Nothing else in the engine waits.
"""

from collections.abc import Callable, Sequence
from math import inf

from acquisition.bias.bias_port import BiasPort
from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.instruments.monitors import Monitors
from acquisition.safety.interlocks import Interlock, Trip, first_trip
from drivers.clock import Clock

__all__ = ["InterlockTripped", "StopRequested", "Vigil"]

RAMP_TICK_S = 0.1
PAUSE_TICK_S = 0.5
_BIAS = Interlock("leakage_A")  # judged by the bias' own core


class StopRequested(Exception):  # noqa: N818 - a request, not an error
    """Someone wants the run to end."""


class InterlockTripped(Exception):  # noqa: N818 - the field's word
    """A level that must hold does not."""

    def __init__(self, trip: Trip) -> None:
        super().__init__(trip.reason)
        self.trip = trip


class Vigil:
    """The engine's only way to wait.

    longest_tick_s: of the clock, so that commands are heard soon enough where time is real.
    """

    def __init__(
        self,
        clock: Clock,
        monitors: Monitors,
        interlocks: Sequence[Interlock],
        commands: CommandQueue,
        *,
        bias: BiasPort | None = None,
        longest_tick_s: float = inf,
    ) -> None:
        self.clock = clock
        self.monitors = monitors
        self._interlocks = tuple(interlocks)
        self._commands = commands
        self._bias = bias
        self._longest_tick_s = longest_tick_s
        self._note: Callable[[Command], None] = lambda _: None
        self._every_tick: tuple[Callable[[], None], ...] = ()
        self._stop_text: str | None = None
        self.is_pause_wanted = False
        self._awaited: str | Callable[[], str] = ""
        self.awaited_since_s = self._since_s = clock.now()

    @property
    def awaited(self) -> str:
        return self._awaited if isinstance(self._awaited, str) else self._awaited()

    def attend(
        self, *, note: Callable[[Command], None], every_tick: Sequence[Callable[[], None]]
    ) -> None:
        """Say who hears of each command, and what else is done once per tick."""
        self._note, self._every_tick = note, tuple(every_tick)

    def until(
        self, awaited: str | Callable[[], str], done: Callable[[], bool], *, poll_s: float
    ) -> None:
        """Tick until done; raises InterlockTripped, StopRequested (only for 'stop now')."""
        self.await_now(awaited)
        while not done():
            self.tick(poll_s)

    def pass_time(self, awaited: str, seconds: float) -> None:
        """Tick for that long."""
        end_s = self.clock.now() + seconds
        self.await_now(awaited)
        while (left_s := end_s - self.clock.now()) > 0:
            self.tick(left_s)

    def tick(self, seconds: float) -> None:
        """Let at most that much time pass, less if a monitor or a ramp step is due."""
        now = self.clock.now()
        wait_s = min(seconds, self.monitors.next_due_s - now, self._longest_tick_s)
        if self._bias is not None and self._bias.status().is_moving:
            wait_s = min(wait_s, RAMP_TICK_S)
        self.clock.wait(wait_s)
        self.look()

    def look(self) -> None:
        """Do everything of a tick but wait."""
        now = self.clock.now()
        if self._bias is not None:
            self._bias.advance()
        self.monitors.poll(now)
        self.check_levels()
        self._take_commands()
        for attend in self._every_tick:
            attend()

    def await_readings(self) -> None:
        """Wait until every interlock has a reading; too long without one is a trip."""
        latest, channels = self.monitors.latest, {lock.channel for lock in self._interlocks}
        self.until("first readings", lambda: channels <= latest.keys(), poll_s=PAUSE_TICK_S)

    def gate(self) -> None:
        """The only place where a pause takes effect."""
        self.look()
        self.check_stop()

    def check_stop(self) -> None:
        """Raise StopRequested if the run is to end after the point; called between points."""
        if self._stop_text is not None:
            raise StopRequested(self._stop_text)

    def wait_while_paused(self) -> None:
        self.await_now("paused: waiting for resume")
        while self.is_pause_wanted:
            self.tick(PAUSE_TICK_S)
            self.check_stop()

    def check_levels(self) -> None:
        """Raise InterlockTripped unless every level holds."""
        if self._bias is not None and (reason := self._bias.status().trip_reason):
            raise InterlockTripped(Trip(_BIAS, f"bias: {reason}"))
        if self._first_trip() is None:
            return
        self.monitors.read_now(self.clock.now())  # one garbled reply must not end a night
        if (trip := self._first_trip()) is not None:
            raise InterlockTripped(trip)

    def _first_trip(self) -> Trip | None:
        now, latest = self.clock.now(), self.monitors.latest
        return first_trip(self._interlocks, latest, now, since_s=self._since_s)

    def await_now(self, awaited: str | Callable[[], str]) -> None:
        """Say what is awaited from now on; text that changes while it is awaited as a function."""
        self._awaited, self.awaited_since_s = awaited, self.clock.now()

    def _take_commands(self) -> None:
        while (command := self._commands.take()) is not None:
            self._note(command)
            match command.verb:
                case Verb.PAUSE:
                    self.is_pause_wanted = True
                case Verb.RESUME:
                    self.is_pause_wanted = False
                case Verb.STOP_AFTER_POINT:
                    self._stop_text = command.text or "asked to stop after the point"
                case Verb.STOP_NOW:
                    raise StopRequested(command.text or "asked to stop now")
                case Verb.NOTE:
                    pass

"""What `cryoscan run` lets others see of its one run: the same channel as an engine's process."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from acquisition.channel.channel_readings import channel_readings
from acquisition.channel.commands import Command, CommandQueue
from acquisition.channel.commands import Verb as RunVerb
from acquisition.channel.engine_address import announced
from acquisition.channel.engine_server import EngineServer
from acquisition.channel.messages import Hello, Mode, Request, Snapshot, Verb
from acquisition.channel.voice import Publish
from acquisition.configuration.config import Configuration
from acquisition.instruments.open_station import instruments_of
from acquisition.running.run import Run
from acquisition.running.verification import read_units
from drivers.clock import Clock, ScaledClock

__all__ = ["COMMANDS", "RunServer", "served"]

logger = logging.getLogger(__name__)

COMMANDS = {
    Verb.PAUSE: (RunVerb.PAUSE, "pauses at the next gate"),
    Verb.RESUME: (RunVerb.RESUME, "goes on"),
    Verb.STOP_AFTER_POINT: (RunVerb.STOP_AFTER_POINT, "stops after this point, then safe"),
    Verb.STOP_NOW: (RunVerb.STOP_NOW, "stops now, then safe"),
    Verb.QUIT: (RunVerb.STOP_NOW, "stops now, then safe, and the program ends"),
    Verb.NOTE: (RunVerb.NOTE, "noted"),
}
"""What a run that goes on understands, and the words of the answer."""


class RunServer:
    """Serves one run; `follow` says which as soon as it exists. Raises OSError."""

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        clock: Clock,
        commands: CommandQueue,
    ) -> None:
        self._configuration = configuration
        self._clock = clock
        self._commands = commands
        self._run: Run | None = None
        self._folder = str(folder.resolve())
        self._units = read_units(configuration.station)
        self._identity = uuid.uuid4().hex
        self.server = EngineServer(
            station=configuration.station.station.name,
            station_path="",
            run_folder=self._folder,
            hello=self._hello,
            snapshot=self._snapshot,
            take=self._take,
        )

    @property
    def publish(self) -> Publish:
        return self.server.publish

    def follow(self, run: Run) -> None:
        self._run = run

    def _hello(self) -> Hello:
        station = self._configuration.station
        return Hello(
            engine=self._identity,
            pid=self.server.address.pid,
            version=version("cryoscan"),
            station=station.station.name,
            station_toml=self._configuration.station_text,
            is_simulated=any(i.is_simulated for i in instruments_of(station).values()),
            time_scale=self._clock.factor if isinstance(self._clock, ScaledClock) else 1.0,
            channels=self._units,
            pixels=station.camera.pixels,
        )

    def _snapshot(self) -> Snapshot:
        status = None if self._run is None else self._run.status()
        latest = {} if self._run is None else self._run.latest_readings()
        return Snapshot(
            mode=Mode.RUNNING,
            utc=self._clock.utc(),
            run_folder=self._folder,
            status=status,
            readings=channel_readings(latest, self._clock),
        )

    def _take(self, watcher: str, request: Request) -> None:
        known = COMMANDS.get(request.verb)
        if known is None:
            text = f"{request.verb.value}: this program measures one run and does nothing else"
            self.server.answer(watcher, request.number, False, text)
            return
        verb, words = known
        self._commands.put(Command(verb, request.text, watcher))
        self.server.answer(watcher, request.number, True, words)


@contextmanager
def served(
    folder: Path, configuration: Configuration, clock: Clock, commands: CommandQueue
) -> Iterator[RunServer | None]:
    """Let others watch a run while the block runs; without a channel it goes on unwatched."""
    try:
        served_run = RunServer(folder, configuration, clock, commands)
    except OSError as error:
        logger.warning("nobody can watch this run: no channel can be opened: %s", error)
        yield None
        return
    try:
        with _announced(served_run):
            yield served_run
    finally:
        served_run.server.close()


@contextmanager
def _announced(served_run: RunServer) -> Iterator[None]:
    announcement = announced(served_run.server.address)
    try:
        announcement.__enter__()
    except OSError as error:
        logger.warning("nobody can find this run to watch it: %s", error)
        yield
        return
    try:
        yield
    finally:
        announcement.__exit__(None, None, None)

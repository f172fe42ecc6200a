"""The engine in a process of its own: a bench, a queue of sweeps, and a channel for watchers.

Three threads: the bench owns the instruments, the server the sockets, and this one, the desk, does
what takes a moment and touches neither: it checks sweeps, fits what is left, builds final files.
"""

import logging
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import current_thread, main_thread
from types import FrameType

from acquisition.alignment.hand_move import Refused
from acquisition.channel.commands import Command
from acquisition.channel.commands import Verb as RunVerb
from acquisition.channel.engine_address import EngineAddress, announced
from acquisition.channel.engine_server import EngineServer
from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.channel.inbox import deliver
from acquisition.channel.messages import Hello, Mode, Request, Said, Snapshot, Verb
from acquisition.channel.station_claim import StationClaim
from acquisition.configuration.config import ConfigError, Configuration, load, load_station
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.laboratory import InProcess, Laboratory, open_laboratory
from acquisition.instruments.open_station import instruments_of
from acquisition.instruments.served_station import with_simulation
from acquisition.running.engine import Outcome
from acquisition.running.run import RunOptions
from acquisition.running.run_server import COMMANDS
from acquisition.storage.record import Level
from acquisition.storage.storage_errors import StorageError
from acquisition.workbench.bench import Bench
from acquisition.workbench.sweep_queue import SweepQueue, resumed_sweep, waiting_sweep
from drivers.clock import ScaledClock
from drivers.errors import DeviceError

__all__ = ["EngineProcess", "StationText", "open_engine"]

logger = logging.getLogger(__name__)

LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class StationText:
    """The station file: as it was read, as it was written, and where."""

    config: StationConfig
    text: str
    path: Path


def open_engine(
    station_path: Path,
    in_process: InProcess,
    *,
    sample: Path | None,
    seed: int | None,
    options: RunOptions,
    final: bool,
    say: Callable[[str], None],
) -> "EngineProcess":
    """Return an engine for this station file; nothing is connected before it runs.

    sample: a sweep file, whose sample card limits the bias by hand. Raises ConfigError; OSError
    if no channel can be opened, StationTaken if another process owns one of its instruments.
    """
    config, text = load_station(station_path), station_path.read_text(encoding="utf-8")
    card = None if sample is None else load(sample, station_path).sweep.sample
    if seed is not None:
        simulation = config.simulation.model_copy(update={"seed": seed})
        config = config.model_copy(update={"simulation": simulation})
        text = with_simulation(text, "seed", seed)
    claim = StationClaim(config, "engine", config.station.name, station_path)
    try:
        laboratory = open_laboratory(config, in_process, is_lived_in=True)
        station = StationText(config, text, station_path)
        return EngineProcess(
            station, laboratory, claim, sample=card, options=options, final=final, say=say
        )
    except BaseException:
        claim.release()
        raise


class EngineProcess:
    """Serves one station until somebody asks it to quit or a signal says so."""

    def __init__(
        self,
        station: StationText,
        laboratory: Laboratory,
        claim: StationClaim,
        *,
        sample: SampleConfig | None = None,
        options: RunOptions | None = None,
        final: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._station = station
        self._options = options or RunOptions()
        self._final = final
        self._say = say
        self._queue = SweepQueue()
        self._desk: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._quits = False
        self._identity = uuid.uuid4().hex
        self._laboratory = laboratory
        self._claim = claim
        self._server = EngineServer(
            station=station.config.station.name,
            station_path=str(station.path.resolve()),
            hello=self._hello,
            snapshot=self._snapshot,
            take=self._take,
        )
        self._deeds: Mapping[Verb, Callable[[Request, str], str]] = {
            Verb.SWEEP: self._queue_sweep,
            Verb.RESUME_RUN: self._queue_resumed,
            Verb.QUEUE_UP: self._move_up,
            Verb.UNQUEUE: self._unqueue,
            Verb.PAUSE: self._hold,
            Verb.RESUME: self._go_on,
            Verb.ACKNOWLEDGE: self._acknowledge,
            Verb.NOTE: self._note,
            Verb.QUIT: self._quit,
        }
        self._bench = Bench(
            station.config,
            laboratory,
            self._queue,
            sample=sample,
            options=self._options,
            publish=self._server.publish,
            answer=self._server.answer,
            commander=lambda: self._server.commander,
            renewed=self._greet_again,
            ended=self._run_ended,
        )

    @property
    def address(self) -> EngineAddress:
        return self._server.address

    def run(self) -> bool:
        """Work until the end; return whether that was asked for and the safe state confirmed."""
        try:
            with announced(self.address), self._signalled():
                self._bench.start()
                self._say(
                    f"engine of {self._station.config.station.name} runs, pid {self.address.pid}"
                )
                while self._bench.is_alive and not self._quits:
                    self._work_at_desk()
        finally:
            self._bench.quit()
            if self._bench.is_alive:
                self._bench.join()
            self._server.close()
            self._claim.release()
        is_safe = self._bench.unacknowledged is not Safety.NOT_CONFIRMED
        return is_safe and not self._bench.has_failed

    def quit(self) -> None:
        """Go to the safe state and end; callable from any thread and from a signal handler."""
        self._quits = True
        self._desk.put(lambda: None)

    @contextmanager
    def _signalled(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the engine in the safe state; a lost terminal ends nothing."""

        if current_thread() is not main_thread():  # signals reach the main thread only
            yield
            return

        def stop(_: int, __: FrameType | None) -> None:
            self.quit()

        handlers: dict[int, Callable[[int, FrameType | None], None]]
        handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = lambda _, __: None
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- the server's thread -----------------------------------------------------------------

    def _snapshot(self) -> Snapshot:
        return self._bench.snapshot()

    def _hello(self) -> Hello:
        station, clock = self._station, self._laboratory.clock
        instruments = instruments_of(station.config).values()
        return Hello(
            engine=self._identity,
            pid=self.address.pid,
            version=version("cryoscan"),
            station=station.config.station.name,
            station_path=self.address.station_path,
            station_toml=station.text,
            is_simulated=any(instrument.is_simulated for instrument in instruments),
            time_scale=clock.factor if isinstance(clock, ScaledClock) else 1.0,
            movables=self._bench.movables,
            channels=self._bench.channels,
            pixels=station.config.camera.pixels,
            rows=self._bench.rows,
        )

    def _take(self, watcher: str, request: Request) -> None:
        """Send a request where it is carried out: to the run, the desk or the bench."""
        verb, is_running = request.verb, self._bench.mode is Mode.RUNNING
        if is_running and verb in COMMANDS and verb is not Verb.QUIT:
            command, words = COMMANDS[verb]
            self._bench.command(Command(command, request.text, watcher))
            self._server.answer(watcher, request.number, True, words)
        elif verb in self._deeds or verb is Verb.STOP_AFTER_POINT:
            self._desk.put(lambda: self._serve(watcher, request))
        elif is_running:
            text = f"{verb.value}: not while a sweep is running; stop it after the point, or now"
            self._server.answer(watcher, request.number, False, text)
        else:
            self._bench.ask(watcher, request)

    # -- the desk ----------------------------------------------------------------------------

    def _work_at_desk(self) -> None:
        try:
            task = self._desk.get(timeout=LOOK_S)
        except Empty:
            return
        task()

    def _serve(self, watcher: str, request: Request) -> None:
        try:
            ok, text = True, self._carry_out(request, watcher)
        except ConfigError as error:
            ok, text = False, str(error)
        except (Refused, StorageError, DeviceError, LookupError, ValueError, OSError) as why:
            ok, text = False, str(why)
        except Exception as error:  # the desk outlives every request
            logger.exception("%s", request.verb.value)
            ok, text = False, f"{type(error).__name__}: {error}"
        self._server.answer(watcher, request.number, ok, text)

    def _carry_out(self, request: Request, watcher: str) -> str:
        deed = self._deeds.get(request.verb)
        if deed is None:
            raise Refused(f"{request.verb.value}: nothing is being measured")
        return deed(request, watcher)

    def _move_up(self, request: Request, _: str) -> str:
        self._queue.move_up(request.text)
        return "one place earlier"

    def _unqueue(self, request: Request, _: str) -> str:
        self._queue.remove(request.text)
        return "no longer queued"

    def _hold(self, _: Request, watcher: str) -> str:
        self._queue.hold_back(f"held by {watcher}")
        return "nothing begins until resume"

    def _go_on(self, _: Request, __: str) -> str:
        self._queue.go_on()
        return "the queue goes on"

    def _acknowledge(self, _: Request, watcher: str) -> str:
        logger.warning("%s acknowledges a safe state that was not confirmed", watcher)
        self._bench.acknowledge()
        return "acknowledged"

    def _quit(self, _: Request, watcher: str) -> str:
        logger.info("%s asks to quit", watcher)
        self.quit()
        return "goes to the safe state and quits"

    def _queue_sweep(self, request: Request, _: str) -> str:
        station, folder = self._station, Path(request.quantity)
        sweep = waiting_sweep(request.text, folder, station.text, station.path.parent)
        self._queue.append(sweep)
        listed = sweep.listed
        return f"{listed.name}: {listed.points} points, queued as {listed.identity}"

    def _queue_resumed(self, request: Request, _: str) -> str:
        sweep = resumed_sweep(Path(request.text), self._station.path)
        self._queue.append(sweep)
        return f"{sweep.listed.name}: {sweep.listed.points} points left, {sweep.listed.identity}"

    def _note(self, request: Request, watcher: str) -> str:
        if not self._bench.run_folder:
            raise Refused("note: there is no run yet that it could belong to")
        deliver(Path(self._bench.run_folder), Command(RunVerb.NOTE, request.text, watcher))
        return "noted with the last run"

    def _greet_again(self) -> None:
        """Hear from the bench that lines were opened or closed."""
        self._server.greet_again()
        if self._options.live_fit:
            self._desk.put(_load_fits)

    def _run_ended(self, folder: Path, configuration: Configuration, outcome: Outcome) -> None:
        """Hear of a run's end from the bench, and finish it here."""
        complete = outcome.reason in (FinishReason.COMPLETED, FinishReason.COMPLETED_WITH_FLAGS)
        self._publish_end(f"{folder.name}: {outcome.reason.value}: {outcome.text}", complete)
        if complete and self._final:
            has_fits = self._options.live_fit and configuration.sweep.fit is not None
            self._desk.put(lambda: self._finish(folder, has_fits=has_fits))

    def _finish(self, folder: Path, *, has_fits: bool) -> None:
        from acquisition.running.doors import finish_run  # noqa: PLC0415 - scipy and h5py take their time

        try:
            final = finish_run(folder, has_fits=has_fits)
        except Exception as error:  # the journal has everything; it can be made again
            logger.exception("no final file of %s", folder)
            self._publish_end(f"no final file of {folder.name}: {error}", False)
        else:
            self._publish_end(f"final file: {final}", True)

    def _publish_end(self, text: str, is_good: bool) -> None:
        level = Level.INFO if is_good else Level.WARNING
        self._server.publish(Said(level, text, self._laboratory.clock.utc(), code="run"))


def _load_fits() -> None:
    """Load what fits, once: a run that begins would keep the bench waiting for it for a second."""
    import_module("acquisition.fits.fit_worker")

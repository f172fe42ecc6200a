"""The bench: one thread that owns the instruments of a station, for alignment or for a run.

DISCONNECTED <-> ALIGNING -> RUNNING -> ALIGNING. Every way out of ALIGNING and out of the process
leads through the safe state; what could not be confirmed stays in view until a person says so.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from acquisition.alignment.alignment import Alignment, AlignmentView
from acquisition.alignment.hand_move import Refused
from acquisition.alignment.hand_moves import has_electrodes
from acquisition.channel.channel_readings import channel_readings
from acquisition.channel.commands import Command, CommandQueue
from acquisition.channel.commands import Verb as RunVerb
from acquisition.channel.engine_status import EngineStatus, FinishReason, Safety
from acquisition.channel.messages import (
    ChannelReading,
    Mode,
    Movable,
    Request,
    Snapshot,
    Verb,
)
from acquisition.channel.voice import Publish, Voice
from acquisition.configuration.config import Configuration
from acquisition.configuration.electrodes import voltage_limit
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.laboratory import Laboratory
from acquisition.instruments.open_station import open_station
from acquisition.instruments.station import Station
from acquisition.running.engine import Outcome
from acquisition.running.run import Run, RunOptions, create_run
from acquisition.running.verification import read_units
from acquisition.storage.journal import JournalReader
from acquisition.storage.record import Level
from acquisition.storage.storage_errors import StorageError
from acquisition.workbench.sweep_queue import SweepQueue, WaitingSweep
from drivers.clock import Clock, RealClock, ScaledClock
from drivers.connections import Connections
from drivers.errors import DeviceError

__all__ = ["Bench"]

logger = logging.getLogger(__name__)

TICK_S = 0.01  # of life
LEASE_S = 60.0  # of life, for which a bias stays on without anybody in command
NOBODY = SampleConfig.model_validate({"name": "nobody's", "material": "unknown"})

Answer = Callable[[str, int, bool, str], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    watcher: str
    request: Request


class Bench:
    """Works in a thread of its own from start() until quit(); everything else is for any thread.

    sample: the card whose limits hold for a bias by hand. commander: who is in command.
    ended: hears of each run that has ended, with its folder.
    """

    def __init__(
        self,
        config: StationConfig,
        laboratory: Laboratory,
        queue: SweepQueue,
        *,
        sample: SampleConfig | None,
        options: RunOptions,
        publish: Publish,
        answer: Answer,
        commander: Callable[[], str],
        renewed: Callable[[], None],
        ended: Callable[[Path, Configuration, Outcome], None],
    ) -> None:
        self._config = config
        self._laboratory = laboratory
        self._queue = queue
        self._sample = sample
        self._options = options
        self._publish = publish
        self._say = Voice(logger, laboratory.clock, publish)
        self._answer = answer
        self._commander = commander
        self._renewed = renewed
        self._ended = ended
        self._requests: SimpleQueue[_Asked] = SimpleQueue()
        self._commands = CommandQueue()
        self._quits = Event()
        self._thread = Thread(target=self._work, name="bench")
        self._station: Station | None = None
        self._alignment: Alignment | None = None
        self._run: Run | None = None
        self._is_measuring = False
        self._rows = 0
        self._last_view = AlignmentView()
        self._last_status: EngineStatus | None = None
        self._run_folder = ""
        self._trouble = "not connected yet"
        self._is_wanted = True  # that the lines are open
        self._frames = 0
        self._alone_since_s: float | None = None
        self._real = RealClock()
        self.unacknowledged = Safety.NOT_ASKED
        self.has_failed = False

    # -- for any thread ----------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        return self._laboratory.clock

    @property
    def mode(self) -> Mode:
        if self._is_measuring:
            return Mode.RUNNING
        return Mode.DISCONNECTED if self._alignment is None else Mode.ALIGNING

    @property
    def run_folder(self) -> str:
        """Return the folder of the run that goes on, or of the last one; "" before the first."""
        return self._run_folder

    @property
    def movables(self) -> tuple[Movable, ...]:
        alignment = self._alignment
        return () if alignment is None else alignment.movables

    @property
    def channels(self) -> dict[str, str]:
        alignment = self._alignment
        return read_units(self._config) if alignment is None else alignment.channels

    @property
    def rows(self) -> int:
        """Return the rows of the chip, 0 as long as it was never asked."""
        return self._rows

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def quit(self) -> None:
        """Ask for the safe state and the end; join() waits for it."""
        self._quits.set()  # first: a run that begins just now looks at it
        self._commands.put(Command(RunVerb.STOP_NOW, "the engine was asked to quit"))

    def join(self, timeout_s: float | None = None) -> None:
        self._thread.join(timeout_s)

    def ask(self, watcher: str, request: Request) -> None:
        """Take a request for the instruments; it is answered from the bench's thread."""
        self._requests.put(_Asked(watcher, request))

    def command(self, command: Command) -> None:
        """Pass a command to the run that goes on."""
        self._commands.put(command)

    def acknowledge(self) -> None:
        """A person has seen that the safe state was not confirmed."""
        self.unacknowledged = Safety.NOT_ASKED

    def snapshot(self) -> Snapshot:
        """Return how everything stands."""
        mode = self.mode  # first: whatever is read after it is not older
        run, alignment = self._run, self._alignment
        if run is not None:
            self._last_status = run.status() or self._last_status
        view = alignment.view() if alignment is not None else self._last_view
        status = self._last_status
        return Snapshot(
            mode=mode,
            utc=self.clock.utc(),
            trouble=self._trouble if mode is Mode.DISCONNECTED else view.trouble,
            run_folder=self._run_folder,
            status=status,
            readings=self._readings(run) if mode is Mode.RUNNING else view.readings,
            moves=view.moves if mode is Mode.ALIGNING else (),
            live=view.live if mode is Mode.ALIGNING else None,
            raster=view.raster if mode is Mode.ALIGNING else None,
            queue=self._queue.listed(),
            unacknowledged=self.unacknowledged,
        )

    def _readings(self, run: Run | None) -> tuple[ChannelReading, ...]:
        return () if run is None else channel_readings(run.latest_readings(), self.clock)

    # -- the bench's thread ------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._connect()
            while not self._quits.is_set():
                self._turn()
        except Exception:  # the sample comes first, whatever it was
            logger.exception("the bench failed")
            self.has_failed = True
        finally:
            self._disconnect("the engine has quit")

    def _turn(self) -> None:
        while (asked := self._next_request()) is not None:
            self._serve(asked)
        alignment = self._alignment
        if alignment is not None:
            self._guarded(alignment)
            self._watch_lease(alignment)
        sweep = self._queue.take()
        if sweep is not None:
            self._measure(sweep)
        factor = self.clock.factor if isinstance(self.clock, ScaledClock) else 1.0
        self.clock.wait(TICK_S * factor)

    def _guarded(self, alignment: Alignment) -> None:
        """Take a turn of the alignment; what nobody foresaw ends it in the safe state."""
        try:
            alignment.advance()
        except Exception as error:
            logger.exception("the alignment failed")
            self._tell_failed(error, self._disconnect(f"the alignment failed: {_words(error)}"))
            return
        self._frames = alignment.frames
        safety = alignment.view().safety
        if safety is Safety.NOT_CONFIRMED and self._last_view.safety is not safety:
            self.unacknowledged = safety
        self._last_view = alignment.view()

    def _next_request(self) -> _Asked | None:
        try:
            return self._requests.get_nowait()
        except Empty:
            return None

    def _serve(self, asked: _Asked) -> None:
        try:
            ok, text = True, self._carry_out(asked.request)
        except (Refused, DeviceError, StorageError, LookupError, ValueError, OSError) as why:
            ok, text = False, str(why)
        except Exception as error:  # a request never ends the bench
            logger.exception("%s of %s", asked.request.verb.value, asked.watcher)
            ok, text = False, f"{type(error).__name__}: {error}"
        self._answer(asked.watcher, asked.request.number, ok, text)

    def _carry_out(self, request: Request) -> str:
        match request.verb:
            case Verb.CONNECT:
                if self._alignment is not None:
                    return "connected already"
                self._is_wanted = True
                if not self._connect():
                    raise Refused(self._trouble)
                return "connected"
            case Verb.DISCONNECT:
                self._is_wanted = False
                safety = self._disconnect("disconnected by hand")
                return f"disconnected; safe state {safety.value}"
        if self._alignment is None:
            raise Refused(f"{request.verb.value}: not connected: {self._trouble}")
        return self._alignment.take(request)

    def _connect(self) -> bool:
        """Open every line, changing nothing on any instrument; return whether it was possible."""
        connections = Connections(self.clock, self._laboratory.openers)
        try:
            station = open_station(
                self._config,
                self._sample or NOBODY,
                connections,
                self.clock,
                largest_voltage_V=self._largest_by_hand_V(),
            )
        except (DeviceError, LookupError, ValueError, OSError) as error:
            self._trouble = str(error)
            self._say(
                Level.ERROR,
                self._trouble,
                code="connect",
                device=_device(error),
                done="no line is open",
                advice="look at the instrument and the station file, then connect again",
            )
            return False
        self._station = station
        try:
            self._rows = station.camera.rows  # asked here: only this thread talks to instruments
            self._alignment = Alignment(
                station,
                self._config,
                self._sample,
                self.clock,
                self._publish,
                first_number=self._frames,
            )
        except BaseException:
            station.close()
            raise
        self._trouble = ""
        self._renewed()
        return True

    def _largest_by_hand_V(self) -> float | None:
        if self._config.bias is None:
            return None
        sample = self._sample
        # 1 V: nothing by hand, but what is found on can be seen and brought to zero
        if not has_electrodes(sample):
            return 1.0
        return voltage_limit(sample, self._config.bias).volts

    def _disconnect(self, trouble: str) -> Safety:
        """Go to the safe state and close every line; return whether it was confirmed."""
        safety = Safety.NOT_ASKED
        station, alignment = self._station, self._alignment
        self._trouble = trouble
        if alignment is not None:
            report = alignment.make_safe()
            safety = report.safety
            self._remember(safety)
            self._tell_safety(safety, str(report))
            self._last_view = alignment.view()
        self._alignment = self._station = None
        if station is not None:
            station.close()
            self._renewed()
        return safety

    def _remember(self, safety: Safety) -> None:
        if safety is Safety.NOT_CONFIRMED:
            self.unacknowledged = safety

    def _tell_failed(self, error: Exception, safety: Safety) -> None:
        self._say(
            Level.ERROR,
            self._trouble,
            code="alignment",
            device=_device(error),
            done=f"live and moves have ended, every line is closed; safe state {safety.value}",
            advice="look at the instruments, then connect again",
        )

    def _tell_safety(self, safety: Safety, text: str) -> None:
        is_safe = safety is not Safety.NOT_CONFIRMED
        self._say(
            Level.INFO if is_safe else Level.ERROR,
            f"safe state: {text}",
            code="safe state",
            advice="" if is_safe else "look at the instruments, then acknowledge",
        )

    def _watch_lease(self, alignment: Alignment) -> None:
        """Bring a bias to zero that somebody has left on by hand."""
        if self._commander() or not alignment.is_bias_on:
            self._alone_since_s = None
            return
        now = self._real.now()
        if self._alone_since_s is None:
            self._alone_since_s = now
        elif now - self._alone_since_s > LEASE_S:
            self._alone_since_s = None
            alignment.bias_to_zero()
            self._say(
                Level.WARNING,
                f"nobody has been in command for {LEASE_S:g} s with the bias on",
                code="lease",
                device="bias",
                done="goes to 0 V and off",
            )

    # -- runs --------------------------------------------------------------------------------

    def _measure(self, sweep: WaitingSweep) -> None:
        """Give the instruments to a run, and take them back when it has ended."""
        self._commands = CommandQueue()
        if self._quits.is_set():  # meanwhile; only the commands before these have heard it
            self._queue.put_back(sweep)
            return
        before = self._run_folder, self._last_status
        self._run_folder, self._last_status = "", None  # from now on those of this run
        self._is_measuring = True
        try:
            self._disconnect("a run begins")
            if self.unacknowledged is Safety.NOT_CONFIRMED:
                self._queue.put_back(sweep)
                self._queue.hold_back("a safe state was NOT CONFIRMED: acknowledge it, then resume")
            else:
                self._execute(sweep)
            if not self._run_folder:  # nothing has begun
                self._run_folder, self._last_status = before
            if self._is_wanted and not self._quits.is_set():
                self._connect()
        finally:
            self._is_measuring = False

    def _execute(self, sweep: WaitingSweep) -> None:
        try:
            folder = sweep.folder or create_run(sweep.configuration, sweep.table, self.clock.utc())
            self._run_folder = str(folder)
            self._run = Run(
                folder,
                sweep.configuration,
                clock=self.clock,
                connections=Connections(self.clock, self._laboratory.openers),
                commands=self._commands,
                options=self._options,
                publish=self._publish,
            )
            outcome = self._run.execute()
        except Exception as error:  # the bench outlives every run
            logger.exception("the run did not begin")
            self._refuse_run(sweep, error)
            return
        finally:
            self._last_status = self._status_now()
            self._run = None
        self._sample = sweep.configuration.sweep.sample
        self._remember(outcome.safe.safety)  # the run itself has said it
        if outcome.reason not in (FinishReason.COMPLETED, FinishReason.COMPLETED_WITH_FLAGS):
            self._queue.hold_back(f"the run before it ended: {outcome.reason.value}")
        self._ended(folder, sweep.configuration, outcome)

    def _status_now(self) -> EngineStatus | None:
        status = None if self._run is None else self._run.status()
        return status or self._last_status

    def _refuse_run(self, sweep: WaitingSweep, error: Exception) -> None:
        self._queue.hold_back(f"{sweep.listed.name} could not begin: {error}")
        self._say(
            Level.ERROR,
            f"{sweep.listed.name}: {error}",
            code="run",
            device=_device(error),
            done="nothing was moved; the queue waits",
            advice="mend it and queue the sweep again",
        )
        if sweep.folder is None and self._run_folder:
            self._remove_if_empty(Path(self._run_folder))

    def _remove_if_empty(self, folder: Path) -> None:
        try:
            with JournalReader(folder) as reader:
                began = bool(reader.segments())
        except StorageError:
            return
        if not began:
            shutil.rmtree(folder, ignore_errors=True)
            self._run_folder = ""


def _words(error: Exception) -> str:
    """Return what an instrument says; of an error that nobody foresaw what it is, too."""
    if isinstance(error, DeviceError):
        return str(error)
    return f"an error of the program, {type(error).__name__}: {error}"


def _device(error: Exception) -> str:
    return error.device if isinstance(error, DeviceError) else ""

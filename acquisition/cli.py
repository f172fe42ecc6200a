"""The command line: one door to the engine, and a composition root."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from acquisition.channel.commands import Command, Verb
from acquisition.configuration.config_error import ConfigError
from acquisition.storage.storage_errors import StorageError
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from acquisition.configuration.station_file import StationConfig
    from acquisition.fits.fit_options import FileFitOptions
    from acquisition.running.doors import Ended, Watcher
    from drivers.addresses import Opener
    from drivers.clock import Clock
    from drivers.link import Framing, Link
    from simulators.replay import Replay
    from simulators.serve import Transport
    from simulators.setup import SimulatedSetup

__all__ = ["app", "main"]

EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_STOPPED = 3

app = typer.Typer(
    help="Single-nanocrystal photoluminescence: sweeps, storage, live fits, simulated instruments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
devices = typer.Typer()
app.add_typer(devices, name="devices")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

SweepFile = Annotated[Path, typer.Argument(help="sweep file (TOML)", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="folder of a run", show_default=False)]
StationFile = Annotated[
    Path | None, typer.Option("--station", help="station file; else the one the sweep names")
]
DeviceName = Annotated[
    str, typer.Argument(help="its section in the station file, such as cryostat")
]
DeviceStation = Annotated[Path, typer.Option("--station", help="station file")]
Fit = Annotated[bool, typer.Option("--fit/--no-fit", help="fit while the run goes on")]
Final = Annotated[bool, typer.Option("--final/--no-final", help="build the final file at the end")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Verbose = Annotated[bool, typer.Option("--verbose", help="show the wire")]


@app.command()
def check(sweep: SweepFile, station: StationFile = None, as_json: AsJson = False) -> None:
    """Report every mistake of both files, and what the sweep costs. Touches no instrument."""
    from acquisition.planning.check import check as check_files  # noqa: PLC0415 - keeps the start fast

    with _told():
        result = check_files(sweep, station)
        _refuse_impossible_world(sweep, station)
    if as_json:
        print(result.to_json())
        return
    lines = result.lines()
    widest = max(len(label) for label, _ in lines)
    for label, text in lines:
        out.print(f"{label:>{widest}}  {text}", markup=False)


@app.command()
def run(
    sweep: SweepFile,
    station: StationFile = None,
    fit: Fit = True,
    final: Final = True,
    seed: Annotated[
        int | None,
        typer.Option(help="seed of the simulated world, instead of the station's", min=0),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure a sweep into a new run folder; safe at the end, resumable whatever happens."""
    from acquisition.running.doors import start  # noqa: PLC0415 - keeps the start fast
    from acquisition.running.run import RunOptions  # noqa: PLC0415

    _log_to_stderr(verbose=verbose)
    with _told(), _watcher() as watcher:
        ended = start(
            sweep,
            station,
            in_process,
            options=RunOptions(live_fit=fit),
            watcher=watcher,
            seed=seed,
            final=final,
        )
    _conclude(ended, as_json=as_json)


@app.command()
def resume(
    folder: RunFolder,
    station: Annotated[
        Path | None, typer.Option("--station", help="station file; else the one of the run")
    ] = None,
    fit: Fit = True,
    final: Final = True,
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="go on although the reference differs")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure what a stopped, failed or killed run lacks. Repeating it is harmless."""
    from acquisition.running.doors import go_on  # noqa: PLC0415 - keeps the start fast
    from acquisition.running.run import RunOptions  # noqa: PLC0415

    _log_to_stderr(verbose=verbose)
    with _told(), _watcher() as watcher:
        ended = go_on(
            folder,
            station,
            in_process,
            options=RunOptions(live_fit=fit, accept_changed=accept_changed),
            watcher=watcher,
            final=final,
        )
    _conclude(ended, as_json=as_json)


@app.command()
def show(
    folder: RunFolder,
    table: Annotated[bool, typer.Option("--table", help="one line per point")] = False,
    laws: Annotated[
        bool, typer.Option("--laws", help="fit the laws of the sweep to all its frames")
    ] = False,
    digest: Annotated[
        bool, typer.Option("--digest", help="checksum of plan, attempts, streams and events")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a run holds, whether it is running, ended or broken off."""
    from acquisition.fits.summary import print_summary, summarise  # noqa: PLC0415

    with _told():
        summary = summarise(folder, with_digest=digest, with_laws=laws)
    if as_json:
        print(json.dumps(summary.to_dict()))
    else:
        print_summary(summary, out, with_table=table)


@app.command()
def fit(
    files: Annotated[
        list[Path],
        typer.Argument(help="folder of a run, or spectra in any known format", show_default=False),
    ],
    lines: Annotated[str, typer.Option(help="1, 2, 3 or auto")] = "1",
    shape: Annotated[str, typer.Option(help="gauss, lorentz or voigt")] = "gauss",
    model: Annotated[
        str, typer.Option(help="exciton, with +trion, +biexciton, +replicas as wanted")
    ] = "exciton",
    phonon: Annotated[
        list[float] | None, typer.Option(help="of the replicas, in meV; may be repeated")
    ] = None,
    temperature: Annotated[float, typer.Option(help="of the nanocrystal, in K", min=0.0)] = 0.0,
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="LOW:HIGH in eV, or 515nm:525nm, may be given several times; or peaks: every peak"
        ),
    ] = None,
    spectrum: Annotated[
        list[str] | None,
        typer.Option(help="only the spectrum of this label; may be given several times"),
    ] = None,
    medium: Annotated[
        str | None, typer.Option(help="air or vacuum, where a file does not say")
    ] = None,
    gain: Annotated[float, typer.Option(help="electrons per count", min=1e-6)] = 1.0,
    saturation: Annotated[
        float | None, typer.Option(help="counts from which on pixels are masked")
    ] = None,
    response_error: Annotated[
        float, typer.Option(help="ripple of a detector without a flat field, rms share", min=0.0)
    ] = 0.0,
    lamp: Annotated[
        Path | None, typer.Option(help="spectrum of a lamp, to calibrate the axis of the files")
    ] = None,
    lamp_lines: Annotated[
        list[Path] | None,
        typer.Option(help="its lines: vacuum wavelength in Angstrom, strength; may be repeated"),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="see the lines through the profile the lamp shows")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--out", help="write the table there (.csv, .h5), not to stdout"),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plot", help="draw every fit into this folder (PNG)")
    ] = None,
) -> None:
    """Fit every accepted point of a run that has no fit yet, as its sweep file says.

    Files are fitted with the model given here, and so is a run where anything is given; a row of
    the table for each spectrum and window. The run itself then stays as it is.
    """
    from acquisition.fits import fit_options  # noqa: PLC0415 - keeps the start fast

    try:
        options = fit_options.FileFitOptions(
            lines=fit_options.parse_lines(lines),
            shape=fit_options.parse_shape(shape),
            components=fit_options.parse_model(model),
            phonons_eV=tuple(1e-3 * energy for energy in phonon or ()),
            temperature_K=temperature,
            windows_eV=fit_options.parse_windows(window or []),
            spectra=tuple(spectrum or ()),
            medium=fit_options.parse_medium(medium),
            gain_e_per_count=gain,
            saturation_counts=float("inf") if saturation is None else saturation,
            response_error=response_error,
            lamp=lamp,
            lamp_lines=tuple(lamp_lines or ()),
            sees_profile=profile,
        )
        fit_options.check_table_name(table)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with _told():
        if (options, table, plots) == (fit_options.FileFitOptions(), None, None):
            _fit_runs([path for path in files if path.is_dir()])
            files = [path for path in files if not path.is_dir()]
        _fit_files(files, options, table, plots)


def _fit_runs(folders: Iterable[Path]) -> None:
    from acquisition.fits.fit_run import fit_run  # noqa: PLC0415 - keeps the start fast

    for folder in folders:
        out.print(f"{fit_run(folder, out)} points fitted")


def _fit_files(
    files: list[Path], options: "FileFitOptions", path: Path | None, plots: Path | None
) -> None:
    """Fit foreign files; exit with a failure if one could not be read, after all others."""
    from acquisition.fits.fit_files import fit_paths  # noqa: PLC0415
    from acquisition.fits.fit_plot import plot_fit  # noqa: PLC0415
    from acquisition.fits.fit_table import csv_text, fit_table  # noqa: PLC0415
    from acquisition.fits.fit_table_file import write_fit_table  # noqa: PLC0415
    from analysis.estimation import kernels  # noqa: PLC0415

    if not files:
        return
    kernels.settle(longest_s=10.0)
    err.print(kernels.status(), markup=False)
    fits, unread = fit_paths(files, options, console=err)
    table = fit_table(fits)
    if path is None:
        print(csv_text(table), end="")
    elif path.suffix == ".csv":
        path.write_text(csv_text(table), encoding="utf-8")
    else:
        write_fit_table(table, path)
    if path is not None:
        out.print(f"{len(fits)} fits written to {path}", markup=False)
    for one in fits if plots else ():
        plot_fit(one, cast("Path", plots))
    for problem in unread:
        err.print(problem, markup=False)
    if unread:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def finalise(folder: RunFolder) -> None:
    """Build the final file of a run, also of one that was broken off."""
    from acquisition.storage.final_file import build_final  # noqa: PLC0415 - keeps the start fast

    with _told():
        out.print(str(build_final(folder)))


@app.command()
def note(folder: RunFolder, text: Annotated[str, typer.Argument(help="what to write")]) -> None:
    """Write a timestamped note into a running run."""
    _post(folder, Command(Verb.NOTE, text, "command line"))


@app.command()
def pause(folder: RunFolder) -> None:
    """Pause a running run at its next gate: light blocked, setpoints held."""
    _post(folder, Command(Verb.PAUSE, sender="command line"))


@app.command("continue")
def go_on_paused(folder: RunFolder) -> None:
    """Let a paused run go on."""
    _post(folder, Command(Verb.RESUME, sender="command line"))


@app.command()
def stop(
    folder: RunFolder,
    now: Annotated[bool, typer.Option("--now", help="abort the exposure")] = False,
) -> None:
    """Stop a running run after its point, in the safe state."""
    verb = Verb.STOP_NOW if now else Verb.STOP_AFTER_POINT
    _post(folder, Command(verb, "stopped from the command line", "command line"))


@app.command()
def engine(
    station: Annotated[Path, typer.Argument(help="station file", show_default=False)],
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="sweep file whose sample card limits the bias by hand"),
    ] = None,
    fit: Fit = True,
    final: Final = True,
    seed: Annotated[
        int | None,
        typer.Option(help="seed of the simulated world, instead of the station's", min=0),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Own the instruments of a station: alignment by hand, and a queue of sweeps.

    Windows and `watch` attach to it and may come and go. Ends in the safe state, with Ctrl-C or
    when a watcher says so.
    """
    from acquisition.running.run import RunOptions  # noqa: PLC0415
    from acquisition.workbench.engine_process import open_engine  # noqa: PLC0415 - keeps the start fast

    _log_to_stderr(verbose=verbose)
    with _told():
        process = open_engine(
            station,
            in_process,
            sample=sample,
            seed=seed,
            options=RunOptions(live_fit=fit),
            final=final,
            say=_say,
        )
        is_safe = process.run()
    if not is_safe:
        err.print("the engine failed, or its safe state is NOT CONFIRMED: look at the instruments")
        raise typer.Exit(EXIT_FAILED)


@app.command()
def watch(
    run: Annotated[
        Path | None, typer.Argument(help="folder of a run; else the engine begun last")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="print one snapshot and end")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a running engine from any terminal; the engine does not notice. Ctrl-C ends it."""
    from acquisition.alignment.hand_move import Refused  # noqa: PLC0415 - keeps the start fast
    from acquisition.channel.watcher_link import LinkLost  # noqa: PLC0415
    from acquisition.workbench.watch import find_engine, watch_once  # noqa: PLC0415
    from acquisition.workbench.watch import watch as watch_engine  # noqa: PLC0415

    try:
        with _told():
            address = find_engine(run)
            if once or as_json:
                print(watch_once(address, as_json=as_json))
            else:
                watch_engine(address, out)
    except (Refused, LinkLost) as why:
        err.print(str(why), markup=False)
        raise typer.Exit(EXIT_FAILED) from None


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def gui(
    context: typer.Context,
    station: Annotated[
        Path | None, typer.Argument(help="station file; else the engine that runs")
    ] = None,
    path: Annotated[Path | None, typer.Argument(help="run folder or file to open")] = None,
) -> None:
    """Open the window: on the engine that runs, or one that it starts, or only on files."""
    import subprocess  # noqa: PLC0415 - only where it is wanted
    from importlib.util import find_spec  # noqa: PLC0415

    missing = [name for name in ("PyQt6", "pyqtgraph") if find_spec(name) is None]
    if missing:
        text = f"the window needs {' and '.join(missing)}: pip install 'cryoscan[gui]'"
        err.print(text, markup=False)
        raise typer.Exit(EXIT_FAILED)
    paths = [str(given) for given in (station, path) if given is not None]
    # -P: a user's own analysis.py in this folder must not stand in for ours
    command = [sys.executable, "-P", "-m", "gui.app", *paths, *context.args]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own


@app.command()
def simulate(
    station: Annotated[
        Path, typer.Argument(help="station file whose sim:// instruments are served")
    ],
    write: Annotated[
        Path | None, typer.Option("--write", help="write the station file here, not to stdout")
    ] = None,
    scale: Annotated[float, typer.Option(help="seconds of experiment per second", min=0.01)] = 1.0,
    seed: Annotated[int | None, typer.Option(help="seed of the world", min=0)] = None,
    transport: Annotated[
        list[str] | None,
        typer.Option(help="other than the default, such as bias=serial or elliptec=tcp"),
    ] = None,
    supply_log: Annotated[
        Path | None, typer.Option(help="the simulated supply's own log (JSON lines)")
    ] = None,
) -> None:
    """Serve simulated instruments on this machine only, and print a station file that reaches them.

    Ends with Ctrl-C. Another terminal runs sweeps with that station file.
    """
    from acquisition.configuration.config import load_station  # noqa: PLC0415
    from acquisition.instruments.served_station import served_station  # noqa: PLC0415
    from simulators.serve import serve  # noqa: PLC0415 - keeps the start fast

    def ready(addresses: Mapping[str, str]) -> None:
        text = served_station(station.read_text(encoding="utf-8"), addresses, scale)
        if write is None:
            print(text, flush=True)
        else:
            write.write_text(text, encoding="utf-8")
        err.print(f"serving {', '.join(addresses.values())}, {scale:g} times real time")

    with _told():
        config = load_station(station)
        if seed is not None:
            simulation = config.simulation.model_copy(update={"seed": seed})
            config = config.model_copy(update={"simulation": simulation})
        serve(
            _simulated_setup(config),
            scale,
            transports=_transports(transport or ()),
            supply_log=supply_log,
            ready=ready,
        )


@devices.callback(invoke_without_command=True)
def devices_of_this_computer(context: typer.Context) -> None:
    """Serial ports, what answers there, how it is, and a console on its line."""
    if context.invoked_subcommand is None:
        list_devices()


@devices.command("list")
def list_devices(
    station: Annotated[
        Path | None, typer.Option("--station", help="ask every instrument of this station file")
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option("--address", help="ask who is there, such as tcp://host:7777"),
    ] = None,
) -> None:
    """List serial ports and what answers; asks for names and sends nothing else."""
    from acquisition.configuration.config import load_station  # noqa: PLC0415
    from acquisition.instruments.devices_list import (  # noqa: PLC0415 - keeps the start fast
        port_lines,
        station_lines,
        told,
        who_answers,
    )
    from acquisition.instruments.laboratory import open_laboratory  # noqa: PLC0415
    from drivers.clock import RealClock  # noqa: PLC0415

    with _told():
        if station is None and not address:
            for line in port_lines():
                out.print(line, markup=False)
        if station is not None:
            config = load_station(station)
            laboratory = open_laboratory(config, in_process)
            with closing(laboratory.connections):
                for line in station_lines(config, laboratory):
                    out.print(line, markup=False)
        for place in address or ():
            answers = who_answers(place, RealClock())
            for answer in answers:
                out.print(f"# {told(answer.identity)}\n{answer.entry}", markup=False)
            if not answers:
                out.print(f"# {place}: silent", markup=False)


@devices.command("test")
def examine_device(
    name: DeviceName,
    station: DeviceStation,
    queries: Annotated[int, typer.Option(help="how often it is asked", min=1)] = 20,
) -> None:
    """Ask one instrument everything it can be asked, and change nothing."""
    from acquisition.configuration.config import load_station  # noqa: PLC0415
    from acquisition.instruments.devices_health import examine  # noqa: PLC0415
    from acquisition.instruments.laboratory import open_laboratory  # noqa: PLC0415
    from acquisition.instruments.open_station import open_instrument  # noqa: PLC0415

    with _told():
        config = load_station(station)
        laboratory = open_laboratory(config, in_process)
        with closing(laboratory.connections):
            device = open_instrument(config, name, laboratory.connections)
            health = examine(device, laboratory.clock, queries)
    for line in health.lines():
        out.print(line, markup=False)
    if not health.is_good:
        raise typer.Exit(EXIT_FAILED)


@devices.command("talk")
def talk_to_device(name: DeviceName, station: DeviceStation) -> None:
    """Type to one instrument and see the wire. Nothing is checked: it does what it is told."""
    from acquisition.configuration.config import load_station  # noqa: PLC0415
    from acquisition.instruments.devices_talk import open_console  # noqa: PLC0415
    from acquisition.instruments.laboratory import open_laboratory  # noqa: PLC0415
    from acquisition.instruments.open_station import section_of  # noqa: PLC0415

    with _told():
        config = load_station(station)
        laboratory = open_laboratory(config, in_process)
        section = section_of(config, name)
        console, link = open_console(name, section, laboratory.clock, _print, laboratory.openers)
        with closing(link):
            err.print(f"{section.model} at {section.address}: type, Ctrl-D ends", markup=False)
            console.talk(line.rstrip("\r\n") for line in iter(sys.stdin.readline, ""))


@devices.command("lamp")
def measure_a_lamp(
    spectrum: Annotated[Path, typer.Argument(help="text file to write")],
    station: DeviceStation,
    centre: Annotated[float, typer.Option(help="of the spectrograph, in nm", min=0.0)],
    grating: Annotated[int, typer.Option(help="by its number", min=0)],
    exposure: Annotated[float, typer.Option(help="in seconds", min=1e-6)] = 1.0,
    position: Annotated[str, typer.Option(help="of the selector")] = "calibration",
    warm_up: Annotated[float, typer.Option(help="of the lamp, in seconds", min=0.0)] = 5.0,
) -> None:
    """Measure the calibration lamp: laser shut, mirror flipped, lamp lit, and all put back."""
    from acquisition.configuration.config import load_station  # noqa: PLC0415
    from acquisition.instruments.laboratory import open_laboratory  # noqa: PLC0415
    from acquisition.instruments.lamp_spectrum import measure_lamp, open_lamp_bench  # noqa: PLC0415
    from drivers.roles import ExposureSettings  # noqa: PLC0415

    with _told():
        config = load_station(station)
        laboratory = open_laboratory(config, in_process)
        camera, mono = config.camera, config.spectrograph
        with closing(laboratory.connections):
            found = measure_lamp(
                open_lamp_bench(config, laboratory.connections),
                laboratory.clock,
                ExposureSettings(exposure, rows=camera.rows, gain=camera.gain, speed=camera.speed),
                position=position,
                setting=(centre, grating),
                warm_up_s=warm_up,
                medium="vacuum" if mono is None else mono.wavelengths,
            )
        found.write(spectrum)
    full = int((found.counts >= camera.saturation_counts).sum())
    out.print(
        f"{spectrum}: {found.counts.size} pixels, up to {found.counts.max()} counts, "
        f"{full} of them saturated",
        markup=False,
    )


def main() -> None:
    """Run the command line."""
    app()


def in_process(station: "StationConfig", clock: "Clock") -> "Opener":
    """Open sim:// addresses in the simulated setup of this process."""
    setup = _simulated_setup(station)

    def open_sim(address: str, framing: "Framing", _: object) -> "Link":
        return setup.link(address.removeprefix("sim://"), clock, framing)

    return open_sim


def _transports(chosen: Iterable[str]) -> "dict[str, Transport]":
    """Read port=transport pairs. Raises ValueError for what is none."""
    pairs = [text.partition("=") for text in chosen]
    wrong = [port for port, sign, _ in pairs if not sign]
    if wrong:
        raise ValueError(f"transport {wrong[0]!r}: expected port=transport, such as bias=serial")
    return {port: cast("Transport", transport) for port, _, transport in pairs}


def _simulated_setup(station: "StationConfig") -> "SimulatedSetup":
    """Build the world that this station file describes, with what [simulation] says otherwise."""
    from acquisition.configuration.simulated_truth import models_of, truth_of  # noqa: PLC0415
    from simulators.setup import (  # noqa: PLC0415 - only where it is wanted
        SimulatedSetup,
        SimulatorSettings,
    )
    from simulators.truth import truth_from_mapping  # noqa: PLC0415

    replay = _replay(station.simulation.replay)
    truth = truth_from_mapping(truth_of(station, pixels=replay.pixels if replay else None))
    settings = SimulatorSettings(models=models_of(station))
    return SimulatedSetup(truth, station.simulation.seed, replay=replay, settings=settings)


def _refuse_impossible_world(sweep: Path, station_path: Path | None) -> None:
    """Raise ConfigError for a [simulation.truth] that no simulated world can have."""
    from acquisition.configuration.config import load  # noqa: PLC0415
    from acquisition.configuration.simulated_truth import truth_of, world_problems  # noqa: PLC0415
    from simulators.truth import truth_from_mapping  # noqa: PLC0415 - only where it is wanted

    configuration = load(sweep, station_path)
    if not configuration.station.simulation.truth:
        return
    named = station_path or configuration.sweep.sweep.station
    try:
        truth_from_mapping(truth_of(configuration.station))
    except ValueError as error:
        file = "station" if named is None else named.name
        raise ConfigError(list(world_problems(str(error), file=file))) from error


def _replay(path: Path | None) -> "Replay | None":
    """Read measured spectra that the camera shows instead of the nanocrystal."""
    if path is None:
        return None
    import numpy as np  # noqa: PLC0415 - only where it is wanted

    from analysis.readers.bias_series import read_bias_zip  # noqa: PLC0415
    from simulators.replay import Replay  # noqa: PLC0415

    series = read_bias_zip(path)
    counts = np.rint(series.counts)
    if not np.array_equal(counts, series.counts):
        raise ValueError(f"{path}: counts are not whole numbers, a camera can't show them")
    return Replay(series.voltage_V, counts.astype(np.int32), series.wavelength_nm)


def _post(folder: Path, command: Command) -> None:
    from acquisition.channel.inbox import deliver  # noqa: PLC0415 - keeps the start fast

    with _told():
        deliver(folder, command)


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line what went wrong, and exit with the code that a script can rely on."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        raise typer.Exit(EXIT_CONFIG) from None
    except (DeviceError, StorageError, OSError, LookupError, ValueError) as error:
        err.print(f"{type(error).__name__}: {error}", markup=False)
        raise typer.Exit(EXIT_FAILED) from None


@contextmanager
def _watcher() -> Iterator["Watcher"]:
    from acquisition.running.doors import Watcher  # noqa: PLC0415 - keeps the start fast
    from acquisition.workbench.progress import RunProgress  # noqa: PLC0415

    with RunProgress(err) as progress:
        yield Watcher(say=_say, show=progress.show)


def _print(text: str) -> None:
    out.print(text, markup=False)


def _say(text: str) -> None:
    err.print(text, markup=False)


def _conclude(ended: "Ended", *, as_json: bool) -> None:
    outcome = ended.outcome
    document = {
        "folder": str(ended.folder),
        "finish": outcome.reason.value,
        "text": outcome.text,
        "safe": str(outcome.safe),
        "safe_confirmed": not outcome.safe.failed,
        "final": str(ended.final) if ended.final else None,
    }
    if as_json:
        print(json.dumps(document))
    else:
        out.print(f"{outcome.reason.value}: {outcome.text}", markup=False)
        out.print(f"safe state: {outcome.safe}", markup=False)
        out.print(f"run folder: {ended.folder}", markup=False)
        if ended.final:
            out.print(f"final file: {ended.final}", markup=False)
    if not ended.is_complete:
        if not as_json:
            out.print(f"resume with: cryoscan resume {ended.folder}", markup=False)
        stopped = outcome.reason.value == "stopped"
        raise typer.Exit(EXIT_STOPPED if stopped else EXIT_FAILED)


def _log_to_stderr(*, verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")

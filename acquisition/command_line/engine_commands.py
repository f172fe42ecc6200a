"""Commands that stay: the engine, who watches it, and instruments that are simulated for it."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from acquisition.command_line.console import (
    EXIT_FAILED,
    err,
    log_to_stderr,
    out,
    refusals_told,
    say,
)
from acquisition.command_line.parameters import AsJson, Final, Fit, Verbose
from acquisition.simulated_laboratory import in_process, serve_simulated

__all__ = ["engine", "gui", "simulate", "watch"]


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

    log_to_stderr(verbose=verbose)
    with refusals_told():
        process = open_engine(
            station,
            in_process,
            sample=sample,
            seed=seed,
            options=RunOptions(live_fit=fit),
            final=final,
            say=say,
        )
        is_safe = process.run()
    if not is_safe:
        err.print("the engine failed, or its safe state is NOT CONFIRMED: look at the instruments")
        raise typer.Exit(EXIT_FAILED)


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
        with refusals_told():
            address = find_engine(run)
            if once or as_json:
                print(watch_once(address, as_json=as_json))
            else:
                watch_engine(address, out)
    except (Refused, LinkLost) as why:
        err.print(str(why), markup=False)
        raise typer.Exit(EXIT_FAILED) from None


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

    def ready(addresses: Mapping[str, str]) -> None:
        text = served_station(station.read_text(encoding="utf-8"), addresses, scale)
        if write is None:
            print(text, flush=True)
        else:
            write.write_text(text, encoding="utf-8")
        err.print(f"serving {', '.join(addresses.values())}, {scale:g} times real time")

    with refusals_told():
        config = load_station(station)
        if seed is not None:
            simulation = config.simulation.model_copy(update={"seed": seed})
            config = config.model_copy(update={"simulation": simulation})
        serve_simulated(
            config,
            scale,
            transports=_transports(transport or ()),
            supply_log=supply_log,
            ready=ready,
        )


def _transports(chosen: Iterable[str]) -> dict[str, str]:
    """Read port=transport pairs. Raises ValueError for what is none."""
    pairs = [text.partition("=") for text in chosen]
    wrong = [port for port, sign, _ in pairs if not sign]
    if wrong:
        raise ValueError(f"transport {wrong[0]!r}: expected port=transport, such as bias=serial")
    return {port: transport for port, _, transport in pairs}

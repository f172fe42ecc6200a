"""Commands about one run: check, measure, look, guide, finish."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acquisition.channel.commands import Command, Verb
from acquisition.command_line.console import (
    EXIT_FAILED,
    EXIT_STOPPED,
    log_to_stderr,
    out,
    progress_bar,
    refusals_told,
)
from acquisition.command_line.parameters import (
    AsJson,
    Final,
    Fit,
    RunFolder,
    StationFile,
    SweepFile,
    Verbose,
)
from acquisition.simulated_laboratory import in_process, refuse_impossible_world

if TYPE_CHECKING:
    from acquisition.running.doors import Ended

__all__ = ["check", "finalise", "go_on_paused", "note", "pause", "resume", "run", "show", "stop"]


def check(sweep: SweepFile, station: StationFile = None, as_json: AsJson = False) -> None:
    """Report every mistake of both files, and what the sweep costs. Touches no instrument."""
    from acquisition.planning.check import check as check_files  # noqa: PLC0415 - keeps the start fast

    with refusals_told():
        result = check_files(sweep, station)
        refuse_impossible_world(sweep, station)
    if as_json:
        print(result.to_json())
        return
    lines = result.lines()
    widest = max(len(label) for label, _ in lines)
    for label, text in lines:
        out.print(f"{label:>{widest}}  {text}", markup=False)


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

    options = RunOptions(live_fit=fit)
    begin = partial(start, sweep, station, in_process, options=options, seed=seed, final=final)
    _measure(begin, as_json=as_json, verbose=verbose)


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

    options = RunOptions(live_fit=fit, accept_changed=accept_changed)
    begin = partial(go_on, folder, station, in_process, options=options, final=final)
    _measure(begin, as_json=as_json, verbose=verbose)


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

    with refusals_told():
        summary = summarise(folder, with_digest=digest, with_laws=laws)
    if as_json:
        print(json.dumps(summary.to_dict()))
    else:
        print_summary(summary, out, with_table=table)


def finalise(folder: RunFolder) -> None:
    """Build the final file of a run, also of one that was broken off."""
    from acquisition.storage.final_file import build_final  # noqa: PLC0415 - keeps the start fast

    with refusals_told():
        out.print(str(build_final(folder)))


def note(folder: RunFolder, text: Annotated[str, typer.Argument(help="what to write")]) -> None:
    """Write a timestamped note into a running run."""
    _post(folder, Command(Verb.NOTE, text, "command line"))


def pause(folder: RunFolder) -> None:
    """Pause a running run at its next gate: light blocked, setpoints held."""
    _post(folder, Command(Verb.PAUSE, sender="command line"))


def go_on_paused(folder: RunFolder) -> None:
    """Let a paused run go on."""
    _post(folder, Command(Verb.RESUME, sender="command line"))


def stop(
    folder: RunFolder,
    now: Annotated[bool, typer.Option("--now", help="abort the exposure")] = False,
) -> None:
    """Stop a running run after its point, in the safe state."""
    verb = Verb.STOP_NOW if now else Verb.STOP_AFTER_POINT
    _post(folder, Command(verb, "stopped from the command line", "command line"))


def _measure(begin: "Callable[..., Ended]", *, as_json: bool, verbose: bool) -> None:
    """Let a run begin or go on, show how it gets on, and say how it ended."""
    log_to_stderr(verbose=verbose)
    with refusals_told(), progress_bar() as watcher:
        ended = begin(watcher=watcher)
    _conclude(ended, as_json=as_json)


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


def _post(folder: Path, command: Command) -> None:
    from acquisition.channel.inbox import deliver  # noqa: PLC0415 - keeps the start fast

    with refusals_told():
        deliver(folder, command)

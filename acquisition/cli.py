"""The command line: one door to the engine."""

import typer

from acquisition.command_line.devices_commands import devices
from acquisition.command_line.engine_commands import engine, gui, simulate, watch
from acquisition.command_line.fit_command import fit
from acquisition.command_line.run_commands import (
    check,
    finalise,
    go_on_paused,
    note,
    pause,
    resume,
    run,
    show,
    stop,
)

__all__ = ["app", "main"]

app = typer.Typer(
    help="Single-nanocrystal photoluminescence: sweeps, storage, live fits, simulated instruments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(check)
app.command()(run)
app.command()(resume)
app.command()(show)
app.command()(fit)
app.command()(finalise)
app.command()(note)
app.command()(pause)
app.command("continue")(go_on_paused)
app.command()(stop)
app.command()(engine)
app.command()(watch)
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(gui)
app.command()(simulate)
app.add_typer(devices, name="devices")


def main() -> None:
    """Run the command line."""
    app()

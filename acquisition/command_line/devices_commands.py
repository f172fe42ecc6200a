"""Commands about single instruments: who answers, how it is, its console, the lamp."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from acquisition.command_line.console import EXIT_FAILED, err, out, refusals_told, tell
from acquisition.command_line.parameters import DeviceName, DeviceStation
from acquisition.simulated_laboratory import in_process

__all__ = ["devices"]

devices = typer.Typer()


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

    with refusals_told():
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

    with refusals_told():
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

    with refusals_told():
        config = load_station(station)
        laboratory = open_laboratory(config, in_process)
        section = section_of(config, name)
        console, link = open_console(name, section, laboratory.clock, tell, laboratory.openers)
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

    with refusals_told():
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

"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "DeviceName",
    "DeviceStation",
    "Final",
    "Fit",
    "RunFolder",
    "StationFile",
    "SweepFile",
    "Verbose",
]

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

"""The command that fits: runs as their sweep files say, and files with a model given."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acquisition.command_line.console import EXIT_FAILED, err, out, refusals_told

if TYPE_CHECKING:
    from acquisition.fits.fit_options import FileFitOptions

__all__ = ["fit"]


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
        float, typer.Option(help="rms of what a flat field would even out, as a share", min=0.0)
    ] = 0.018,  # UNEVEN_RESPONSE, without its import
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
        fit_options.check_destinations(table, plots)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    code = 0
    if (options, table, plots) == (fit_options.FileFitOptions(), None, None):
        code = _fit_runs([path for path in files if path.is_dir()])
        files = [path for path in files if not path.is_dir()]
    with refusals_told():
        _fit_files(files, options, table, plots)
    if code:
        raise typer.Exit(code)


def _fit_runs(folders: Iterable[Path]) -> int:
    """Fit runs; return the exit code of the last that could not be fitted, 0 if all were."""
    from acquisition.fits.fit_run import fit_run  # noqa: PLC0415 - keeps the start fast

    code = 0
    for folder in folders:
        try:
            with refusals_told():
                out.print(f"{fit_run(folder, out)} points fitted")
        except typer.Exit as end:
            code = end.exit_code
    return code


def _fit_files(
    files: list[Path], options: "FileFitOptions", path: Path | None, plots: Path | None
) -> None:
    """Fit foreign files; exit with a failure if one could not be read, after all others."""
    from acquisition.fits.fit_files import fit_paths  # noqa: PLC0415
    from acquisition.fits.fit_plot import plot_fits  # noqa: PLC0415
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
    if plots is not None:
        plot_fits(fits, plots)
    for problem in unread:
        err.print(problem, markup=False)
    if unread:
        raise typer.Exit(EXIT_FAILED)

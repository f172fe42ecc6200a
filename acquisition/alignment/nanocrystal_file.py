""" "This is my nanocrystal": what is needed to find the same one again, as files beside the runs.

    <runs>/nanocrystals/<id>_<UTC>.toml    [nanocrystal] as a sweep file takes it, and [fingerprint]
    <runs>/nanocrystals/<id>_<UTC>.csv     the spectrum: pixel, vacuum wavelength in nm, counts

Neither is ever overwritten.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from acquisition.alignment.hand_move import Refused
from acquisition.alignment.live_spectrum import LiveSpectrum
from acquisition.channel.messages import ChannelReading

__all__ = ["Fingerprint", "write_nanocrystal"]

FOLDER = "nanocrystals"
MOST_OF_ONE_MOMENT = 100


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What was seen there, and under which conditions.

    position_um: by axis, as far as it is known.
    """

    spectrum: LiveSpectrum
    readings: tuple[ChannelReading, ...]
    position_um: Mapping[str, float]


def write_nanocrystal(runs: Path, identity: str, seen: Fingerprint) -> Path:
    """Write both files and return the TOML's path. Raises Refused for a name that is none."""
    if not (identity.strip() and len(identity) <= 100 and identity.isprintable()):
        raise Refused(f"a nanocrystal called {identity[:20]!r}: allowed 1 to 100 printable letters")
    folder = runs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.fromtimestamp(seen.spectrum.utc, UTC).strftime("%Y%m%dT%H%M%SZ")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", identity).strip("-")[:40] or "nanocrystal"
    for name in _names(f"{slug}_{stamp}"):
        card, table = folder / f"{name}.toml", folder / f"{name}.csv"
        try:
            _write_new(card, _card(identity, table.name, seen))
        except FileExistsError:
            continue
        _write_new(table, _table(seen.spectrum))
        return card
    raise Refused(f"{folder / slug}: saved {MOST_OF_ONE_MOMENT} times within a second")


def _names(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name}_{number}" for number in range(2, MOST_OF_ONE_MOMENT))


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _card(identity: str, table: str, seen: Fingerprint) -> str:
    spectrum, exposure = seen.spectrum, seen.spectrum.exposure
    counts = spectrum.counts
    brightest = int(np.argmax(counts))
    lines = [
        "# [nanocrystal] may be copied into a sweep file as it is.",
        "",
        "[nanocrystal]",
        f"id = {_quoted(identity)}",
        *(f'{axis} = "{place:.6g} um"' for axis, place in seen.position_um.items()),
        "",
        "[fingerprint]",
        f'utc = "{datetime.fromtimestamp(spectrum.utc, UTC).isoformat(timespec="milliseconds")}"',
        f"spectrum = {_quoted(table)}",
        f"exposure_s = {exposure.exposure_s:.9g}",
        f"rows = [{exposure.first_row}, {exposure.last_row}]",
        f"brightest_pixel = {brightest}",
        f"brightest_counts = {int(counts[brightest])}",
        *_brightest_nm(float(spectrum.wavelength_nm[brightest])),
        "",
        "[fingerprint.readings]",
        *(
            f"{reading.channel} = {reading.value:.9g}"
            for reading in seen.readings
            if reading.value is not None
        ),
    ]
    return "\n".join(lines) + "\n"


def _brightest_nm(wavelength_nm: float) -> list[str]:
    known = np.isfinite(wavelength_nm)
    return [f"brightest_nm = {wavelength_nm:.6f} # in vacuum"] if known else []


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _table(spectrum: LiveSpectrum) -> str:
    rows = zip(spectrum.wavelength_nm, spectrum.counts, strict=True)
    lines = (f"{pixel},{nm:.6f},{counts}" for pixel, (nm, counts) in enumerate(rows))
    return "\n".join(["pixel,vacuum_wavelength_nm,counts", *lines]) + "\n"

"""The laws of a sweep to be drawn over its parameters, fitted to all frames of its journal.

Run as a process, `python -m acquisition.fits.law_fits RUN` prints them as JSON: a window follows a
run without spending its own time on them.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.fits.law_overlay import LawOverlay, overlays_to_json
from acquisition.fits.point_fitter import PointFitter
from acquisition.fits.run_laws import Series, polarization_of, series_of, stark_of
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of
from analysis.estimation.verdict import Verdict
from analysis.laws.law_curve import law_curve, law_words

__all__ = ["overlays_of"]

NICENESS = 10

SAME = {
    "parabola": ("temperature_K", "angle_deg"),
    "cos2": ("temperature_K", "field_kV_per_cm"),
}


def overlays_of(reader: JournalReader) -> tuple[LawOverlay, ...]:
    """Return those laws the sweep asks for that are fitted to all frames and have a curve."""
    configuration = configuration_of(reader.meta)
    fit, camera = configuration.sweep.fit, configuration.station.camera
    if fit is None:
        return ()
    fitter = PointFitter(reader, configuration.sweep, camera)
    points = reader.table().points
    found: list[LawOverlay] = []
    for law in (law for law in fit.laws if law in SAME):
        for series in series_of(reader, fitter, fit, camera, same=SAME[law]):
            first = points[int(series.point[0])]
            same = {
                name: value for name in SAME[law] if (value := getattr(first, name)) is not None
            }
            found.extend(_overlays(law, series, same))
    return tuple(found)


def _overlays(law: str, series: Series, same: Mapping[str, float]) -> Iterator[LawOverlay]:
    """Yield what one series says; a law that can't be fitted is said, not raised."""
    try:
        yield from (_stark if law == "parabola" else _polarization)(series, same)
    except ValueError as error:
        text = f"not fitted yet: {error}"
        yield LawOverlay(law, same, text, Verdict.NO_SIGNAL.value, str(error))


def _stark(series: Series, same: Mapping[str, float]) -> Iterator[LawOverlay]:
    found = stark_of(series)
    x, y = law_curve("parabola", found.stark, found.field_kV_per_cm, found.energy_eV)
    error = np.hypot(found.photon_errors_eV, found.stark.scatter_eV)
    yield LawOverlay(
        law="parabola",
        same=same,
        text=law_words(found.stark),
        verdict=found.verdict.value,
        reason=found.reason,
        x=_plain(x),
        y=_plain(y),
        at=_plain(found.field_kV_per_cm),
        value=_plain(found.energy_eV),
        error=_plain(error),
    )


def _polarization(series: Series, same: Mapping[str, float]) -> Iterator[LawOverlay]:
    found = polarization_of(series)
    splittings = zip(found.splitting_eV, found.splitting_errors_eV, strict=True)
    above = [f"{1e3 * value:.3f} ± {1e3 * error:.3f} meV" for value, error in splittings]
    for number, line in enumerate(found.lines, start=1):
        x, y = law_curve("cos2", line, series.angle_deg, series.angle_deg)
        where = f", {above[number - 2]} above line 1" if number > 1 else ""
        yield LawOverlay(
            law="cos2",
            same=same,
            text=f"line {number}: {law_words(line)}{where}",
            verdict=found.verdict.value
            if line.verdict is Verdict.CONVERGED
            else line.verdict.value,
            reason=found.reason if line.verdict is Verdict.CONVERGED else line.reason,
            line=number,
            x=_plain(x),
            y=_plain(y),
            is_relative=True,
        )


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def main() -> None:
    """Print the laws of the run in argv[1]; whoever measures comes first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with JournalReader(Path(sys.argv[1])) as reader:
        print(overlays_to_json(overlays_of(reader)))


if __name__ == "__main__":
    main()

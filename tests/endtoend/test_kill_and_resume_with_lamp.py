"""kill -9 in the middle of a sweep with a lamp: whoever goes on sees through the frozen profile."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from acquisition.configuration.camera_noise import detector_noise
from acquisition.configuration.lamp_profiles import profile_at
from acquisition.fits.fit_run import fit_run
from acquisition.fits.run_laws import law_texts
from acquisition.fits.zone_fit import fit_as_scheduled
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_folder import JOURNAL
from analysis.readers.run_file import RunFile
from analysis.readers.run_record import read_record
from simulators.lamps import NEON

SCALE = 50
INDEX_OF_AIR = 1.0002782  # at 519 nm, E. R. Peck and K. Reeder 1972
AIR_NM = np.linspace(511.2, 525.4, 1024)
FWHM_NM = 0.044
ANGLES_DEG = (0, 40, 80, 120, 160)
REST = """
[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 40, 80, 120, 160]
repeat_first = false

[exposure]
time = "2 s"
frames = 3

[background]
frames = 2

[fit]
laws = ["cos2"]

[fit.model]
lines = 3
shape = "gauss"
window = ["2.384 eV", "2.399 eV"]
"""
WITHOUT = 'centre = "518.3 nm" }'
WITH = 'centre = "518.3 nm", lamp = "neon.txt", lamp_lines = "neon.csv" }'


def write_lamp(folder: Path, fwhm_nm: float) -> None:
    """Write what a spectrograph of this resolution sees of neon, and neon's lines."""
    step = AIR_NM[1] - AIR_NM[0]
    edges = np.append(AIR_NM - step / 2, AIR_NM[-1] + step / 2)
    places = np.array([nm for nm, _ in NEON if AIR_NM[0] < nm < AIR_NM[-1]])
    sigma_nm = fwhm_nm / np.sqrt(8.0 * np.log(2.0))
    light = 5e4 * np.diff(ndtr((edges - places[:, None]) / sigma_nm)).sum(axis=0) + 5.0
    counts = np.random.default_rng(1).poisson(light) + 1000
    rows = (f"{nm:.5f}\t{count}\n" for nm, count in zip(AIR_NM, counts, strict=True))
    (folder / "neon.txt").write_text("wavelength in air (nm)\tcounts\n" + "".join(rows))
    lines = (f"{10.0 * INDEX_OF_AIR * nm:.4f},1.0\n" for nm in places)
    (folder / "neon.csv").write_text("".join(lines))


def accepted(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder / JOURNAL}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT count(*) FROM attempt").fetchone()[0])


@pytest.mark.timeout(180)
def test_a_run_killed_in_its_middle_keeps_the_profile_it_began_with(
    serve, cryoscan, wait_until
) -> None:
    setup = serve(SCALE)
    write_lamp(setup.folder, FWHM_NM)
    sweep = setup.write_sweep(REST)
    sweep.write_text(sweep.read_text().replace(WITHOUT, WITH))
    station = ("--station", setup.station, "--no-fit", "--json")

    engine = cryoscan.start("run", sweep, *station)
    folder = engine.run_folder()
    wait_until(lambda: accepted(folder) >= 3 or not engine.is_alive)
    engine.send(signal.SIGKILL)
    assert engine.wait() == -9, engine.err
    with JournalReader(folder) as reader:
        frozen = list(reader.meta.lamp_profiles)
        before = len(reader.accepted())
    assert len(frozen) == 1
    assert before < len(ANGLES_DEG) + 1  # in the middle, background included
    first = fit_run(folder)
    write_lamp(setup.folder, 2.0 * FWHM_NM)  # another spectrograph: nobody may look

    engine = cryoscan("resume", folder, *station)
    assert engine.wait() == 0, engine.err + engine.out
    second = fit_run(folder)

    with JournalReader(folder) as reader:
        assert list(reader.meta.lamp_profiles) == frozen
        fits = {fit.attempt: fit for fit in reader.fits()}
        texts = list(law_texts(reader))
        configuration = configuration_of(reader.meta)
    assert second > 0
    assert first + second == len(fits) >= len(ANGLES_DEG)
    assert {fit.model for fit in fits.values()} == {"exciton: 3 gauss, through the lamp's profile"}
    assert texts
    assert all("through the lamp's profile" in text for text in texts), texts
    assert cryoscan("finalise", folder).wait() == 0
    assert_final_file_gives_the_same_fits(folder, configuration, fits)


def assert_final_file_gives_the_same_fits(folder, configuration, fits) -> None:
    """Fit the frames that the final file holds, through the profile that it holds."""
    final = max(folder.glob("*.nxs"), key=lambda file: file.stat().st_mtime_ns)  # with the fits
    run, record = RunFile.open(final), read_record(final)
    profiles = json.loads(json.loads(record.meta_json)["lamp_profiles"])
    profile = profile_at(profiles, 0, 518.3)
    assert profile is not None
    # as narrow as the lamp that the run began with: 44 pm at 518.3 nm are 0.2 meV
    assert profile.gauss_fwhm_eV.max() < 0.3e-3
    stored = {fit.attempt: fit for fit in record.fits}
    assert stored.keys() == fits.keys()
    for attempt, fit in stored.items():
        earlier = run.backgrounds.attempt[run.backgrounds.attempt < attempt]
        kind = run.backgrounds.is_dark[run.backgrounds.attempt < attempt]
        blocked = earlier[~kind] if (~kind).any() else earlier
        again = fit_as_scheduled(
            configuration.sweep.fit,
            None,
            run.wavelength_nm,
            run.frames_of(attempt).counts,
            noise=detector_noise(configuration.station.camera),
            background=np.median(run.frames_of(blocked.max()).counts, axis=0),
            profile=profile,
        )
        assert again.names == fit.names == fits[attempt].names
        np.testing.assert_allclose(again.values, fit.values, rtol=1e-9)
        np.testing.assert_array_equal(fit.values, fits[attempt].values)

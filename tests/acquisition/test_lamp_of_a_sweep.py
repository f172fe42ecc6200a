"""A lamp in the sweep file: checked beforehand, frozen with the run, seen in the widths.

The lamp is written here: Gaussians at neon's lines of the NIST Atomic Spectra Database.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from acquisition.configuration.config import ConfigError, Configuration, load
from acquisition.configuration.lamp_profiles import lamp_profiles, profile_at
from acquisition.configuration.sweep_file import FitConfig
from acquisition.fits.zone_fit import fit_as_scheduled
from acquisition.planning.expand import expand
from acquisition.running.run import create_run
from acquisition.storage.journal import JournalReader
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_meta import RunMeta
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile

Array = NDArray[np.float64]

EXAMPLES = Path(__file__).parents[2] / "examples"
PLAIN = 'spectrograph = { grating = 0, centre = "518.3 nm" }'
WITH_LAMP = (
    'spectrograph = { grating = 0, centre = "518.3 nm", lamp = "neon.txt", '
    'lamp_lines = "neon.csv" }'
)
NEON_AIR_NM = (514.4938, 515.1961, 518.8612, 520.3896, 522.2352, 523.4027)
INDEX_OF_AIR = 1.0002782  # at 519 nm, E. R. Peck and K. Reeder 1972
AIR_NM = np.linspace(511.2, 525.4, 1024)
FWHM_NM = 0.044
SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
HC_EV_NM = 1239.8419843320026


def line(place_nm: float, area: float, fwhm_nm: float) -> Array:
    step = AIR_NM[1] - AIR_NM[0]
    edges = np.append(AIR_NM - step / 2, AIR_NM[-1] + step / 2)
    return area * np.diff(ndtr((edges - place_nm) * SIGMAS_PER_FWHM / fwhm_nm))


def write_lamp(folder: Path, counts: Array) -> None:
    rows = (f"{nm:.5f}\t{round(count)}\n" for nm, count in zip(AIR_NM, counts, strict=False))
    text = "wavelength in air (nm)\tcounts\n" + "".join(rows)
    (folder / "neon.txt").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("polarization.toml", "station_simulated.toml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    text = (tmp_path / "polarization.toml").read_text()
    assert PLAIN in text
    (tmp_path / "polarization.toml").write_text(text.replace(PLAIN, WITH_LAMP))
    vacuum_A = [10.0 * INDEX_OF_AIR * nm for nm in NEON_AIR_NM]
    (tmp_path / "neon.csv").write_text("".join(f"{nm:.4f},1.0\n" for nm in vacuum_A))
    light = sum((line(nm, 5e4, FWHM_NM) for nm in NEON_AIR_NM), np.zeros(AIR_NM.size))
    write_lamp(tmp_path, np.random.default_rng(1).poisson(light + 5.0) + 1000.0)
    return tmp_path


def loaded(folder: Path) -> Configuration:
    return load(folder / "polarization.toml")


def mistakes(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder)
    return str(caught.value)


def profile_of(configuration: Configuration) -> InstrumentProfile:
    (found,) = lamp_profiles(configuration.sweep.optics, configuration.station.camera)
    return found.profile


def test_the_profile_is_as_wide_as_the_lamps_lines(folder: Path) -> None:
    profile = profile_of(loaded(folder))

    wide = HC_EV_NM / 518.3**2 * FWHM_NM
    core = profile.gauss_fwhm_eV[:, np.argmax(profile.share[0])]
    np.testing.assert_allclose(core, wide, rtol=0.04)
    assert (profile.share[:, np.argmax(profile.share[0])] > 0.95).all()


def test_a_missing_file_is_named_with_its_key(folder: Path) -> None:
    (folder / "neon.csv").unlink()
    assert "optics.spectrograph[1].lamp_lines: found" in mistakes(folder)

    (folder / "neon.txt").unlink()
    assert "neon.txt; allowed: a file" in mistakes(folder)


@pytest.mark.parametrize(
    ("left", "message"),
    [("lamp_lines", "lamp alone"), ("lamp", "lamp_lines alone")],
)
def test_a_lamp_without_its_lines_is_refused(folder: Path, left: str, message: str) -> None:
    path = folder / "polarization.toml"
    given = {"lamp": ', lamp = "neon.txt"', "lamp_lines": ', lamp_lines = "neon.csv"'}
    path.write_text(path.read_text().replace(given[left], ""))

    assert message in mistakes(folder)


def white(_: np.random.Generator) -> Array:
    return np.full(AIR_NM.size, 20000.0)


def without_light(rng: np.random.Generator) -> Array:
    return rng.normal(1000.0, 4.0, AIR_NM.size)


def saturated(_: np.random.Generator) -> Array:
    light = sum((line(nm, 5e6, FWHM_NM) for nm in NEON_AIR_NM), np.zeros(AIR_NM.size))
    return np.minimum(light + 1000.0, 65535.0)


def of_another_camera(_: np.random.Generator) -> Array:
    return sum((line(nm, 5e4, FWHM_NM) for nm in NEON_AIR_NM), np.full(AIR_NM.size, 1e3))[:800]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (white, "peak"),
        (without_light, "peak"),
        (saturated, "peak"),
        (of_another_camera, "800 pixels, the camera has 1024"),
    ],
)
def test_a_lamp_that_shows_no_profile_is_refused_and_said_why(
    folder: Path, counts: object, message: str
) -> None:
    write_lamp(folder, counts(np.random.default_rng(2)))  # type: ignore[operator]

    found = mistakes(folder)

    assert "polarization.toml: optics.spectrograph[1].lamp" in found
    assert message in found


def test_the_run_keeps_the_profile_when_the_files_are_gone(folder: Path) -> None:
    configuration = loaded(folder)
    before = profile_of(configuration)
    table = expand(configuration.sweep, configuration.station)
    run = create_run(configuration, table, 0.0)
    (folder / "neon.txt").unlink()
    (folder / "neon.csv").unlink()

    with JournalReader(run) as reader:
        frozen = reader.meta.lamp_profiles
        again = configuration_of(reader.meta)

    kept = profile_at(frozen, 0, 518.3)
    assert again.sweep.optics.spectrograph[0].lamp == folder / "neon.txt"
    assert kept is not None
    np.testing.assert_array_equal(kept.share, before.share)
    np.testing.assert_array_equal(kept.energy_eV, before.energy_eV)
    assert profile_at(frozen, 1, 518.3) is None
    assert profile_at(frozen, 0, 530.0) is None


def test_a_journal_from_before_has_no_profile() -> None:
    rows = {"title": "t", "sample": "s", "run_uuid": "u", "created_utc": 0.0, "pixels": 8}
    rows |= {"counts_dtype": "i4", "readings": {}, "sweep_toml": "", "station_toml": ""}
    rows |= {"app_version": "0"}

    meta = RunMeta.from_rows({key: json.dumps(value) for key, value in rows.items()})

    assert profile_at(meta.lamp_profiles, 0, 518.3) is None


@pytest.mark.parametrize("shape", ["gauss", "lorentz", "voigt"])
def test_widths_are_the_lines_own_and_nothing_is_said_of_an_unknown_shape(
    folder: Path, shape: str
) -> None:
    profile = profile_of(loaded(folder))
    rng = np.random.default_rng(3)
    own_nm, area, split_nm = 0.05, 4e4, 0.25
    lines = [(518.9, 1.0), (518.9 - split_nm, 0.7)]
    light = sum((_seen(nm, a * area, own_nm, shape) for nm, a in lines), np.full(1024, 5.0))
    frames = rng.poisson(np.tile(light, (5, 1))) + np.rint(rng.normal(600.0, 4.0, (5, 1024)))
    zone = {"lines": 2, "shape": shape, "window": ["2.380 eV", "2.400 eV"]}

    fit = fit_as_scheduled(
        FitConfig.model_validate({"model": zone}),
        5.5,
        AIR_NM * INDEX_OF_AIR,
        frames,
        noise=DetectorNoise(read_noise_e=4.0, offset_counts=600.0),
        background=None,
        profile=replace(profile),
    )

    to_eV = HC_EV_NM / (518.8 * INDEX_OF_AIR) ** 2 * INDEX_OF_AIR
    width = fit["lorentz_width_eV"] if shape == "voigt" else fit["width_eV"]
    assert width == pytest.approx(own_nm * to_eV, rel=0.1)
    assert fit["energy_2_eV"] - fit["energy_1_eV"] == pytest.approx(split_nm * to_eV, rel=0.01)
    assert "shape not known" not in fit.reason
    assert "2 lines with the same splittings and relative areas in every frame" in fit.reason


def _seen(place_nm: float, area: float, own_nm: float, shape: str) -> Array:
    """Return a line of that shape through the instrument; of a Voigt the Lorentzian is own_nm."""
    if shape == "gauss":
        return line(place_nm, area, float(np.hypot(own_nm, FWHM_NM)))
    gauss_nm = float(np.hypot(FWHM_NM, 0.06)) if shape == "voigt" else FWHM_NM
    # A Lorentzian as narrow Gaussians at its quantiles: no Voigt code of the program's
    share = (np.arange(4000) + 0.5) / 4000
    places = place_nm + 0.5 * own_nm * np.tan(np.pi * (share - 0.5))
    step = AIR_NM[1] - AIR_NM[0]
    edges = np.append(AIR_NM - step / 2, AIR_NM[-1] + step / 2)
    below = ndtr((edges - places[:, None]) * SIGMAS_PER_FWHM / gauss_nm).mean(axis=0)
    return area * np.diff(below)

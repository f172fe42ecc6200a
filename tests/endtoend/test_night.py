"""The overnight example in virtual time: one seed is one night, and another seed another."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.storage.journal import JournalReader

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORTER = {
    "5.5, 10..40 step 10, 45, 50..100 step 10, 105..170 step 5, 180..200 step 10": "5.5, 70",
    "0..180 step 30": "0..180 step 90",
    'inside = "3 min"': 'inside = "1 min"',
    "frames = 10": "frames = 2",
    'time = "12 s"': 'time = "2 s"',
    'cryostat = "cool to base"': 'cryostat = "hold"',
}


def short_night() -> str:
    """Return the overnight sweep with two temperatures, three angles and short exposures."""
    text = (EXAMPLES / "overnight.toml").read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    return text


@pytest.fixture
def night(cryoscan, tmp_path):
    """Measure a sweep on the simulated FAPbBr3 station with a seed; returns the run's folder."""
    shutil.copy(EXAMPLES / "station_simulated_fapbbr3.toml", tmp_path)

    def measure(sweep: str, seed: int, *options: str) -> Path:
        (tmp_path / "night.toml").write_text(sweep, encoding="utf-8")
        run = cryoscan.start("run", "night.toml", "--seed", seed, "--no-final", "--json", *options)
        assert run.wait(300.0) == 0, run.err
        assert run.report["finish"] == "completed"
        return tmp_path / run.report["folder"]

    return measure


def digest_of(folder: Path) -> str:
    with JournalReader(folder) as journal:
        return journal.digest()


def test_one_seed_gives_one_night_and_another_seed_another(night, commit_seed):
    seeds = (commit_seed, commit_seed, commit_seed + 1)
    folders = [night(short_night(), seed, "--no-fit") for seed in seeds]

    first, same, other = (digest_of(folder) for folder in folders)
    assert first == same
    assert first != other
    with JournalReader(folders[0]) as journal:
        table = journal.table()
        assert len(journal.accepted()) == len(table.points) > 2 * 3
        assert {point.grating for point in table.points} == {0, 2}


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_whole_night_with_fits_is_the_same_twice(night, commit_seed):
    sweep = (EXAMPLES / "overnight.toml").read_text(encoding="utf-8")

    folders = [night(sweep, commit_seed) for _ in range(2)]

    assert digest_of(folders[0]) == digest_of(folders[1])
    with JournalReader(folders[0]) as one, JournalReader(folders[1]) as other:
        assert len(one.accepted()) == len(one.table().points) > 27 * 8
        assert one.last_time_s() > 12 * 3600.0
        fits = [{(f.point, f.model): f for f in journal.fits()} for journal in (one, other)]
    assert fits[0].keys() == fits[1].keys()
    for key, fit in fits[0].items():
        again = fits[1][key]
        assert (fit.verdict, fit.names) == (again.verdict, again.names)
        closest = 1e-6 * np.nan_to_num(fit.errors)
        assert np.isclose(fit.values, again.values, 0.0, closest, equal_nan=True).all()

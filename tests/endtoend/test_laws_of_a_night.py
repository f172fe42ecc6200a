"""The laws of the overnight example, replicas taken off, give back what is true in the world.

Its short version is test_laws_of_a_warming_run.py. Set CRYOSCAN_KERNELS=compiled: numpy takes long.
"""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from acquisition import start_run
from acquisition.fits.warming_laws import fitted_laws
from acquisition.storage.journal import JournalReader
from analysis.laws.law_fit import LawFit
from analysis.laws.transition_onset import TransitionOnset
from simulators.truth import fapbbr3

EXAMPLES = Path(__file__).parents[2] / "examples"
NIGHTS = 20
LARGEST_PULL = 5.0  # sigma; the profile of the instrument is not known, nor the trion's ladder
TRUTH = fapbbr3().nanocrystal
RUDIN = {
    "gamma_0_eV": TRUTH.gamma_0_meV * 1e-3,
    "sigma_ac_eV_per_K": TRUTH.sigma_ac_meV_per_K * 1e-3,
    "gamma_lo_eV": TRUTH.gamma_lo_meV * 1e-3,
    "energy_lo_eV": TRUTH.lo_energy_meV * 1e-3,
}
ENERGY = {
    "expansion_eV_per_K": TRUTH.expansion_meV_per_K * 1e-3,
    "coupling_eV": TRUTH.electron_phonon_meV * 1e-3,
    "phonon_eV": TRUTH.phonon_meV * 1e-3,
}


def laws_of_a_night(folder: Path, seed: int) -> dict[str, object]:
    examples = copytree(EXAMPLES, folder / str(seed), ignore=lambda *_: {"runs"})
    ended = start_run(examples / "overnight.toml", live_fit=False, final=False, seed=seed)
    assert ended.is_complete
    with JournalReader(ended.folder) as reader:
        return dict(fitted_laws(reader))


def pulls(found: object, true: dict[str, float]) -> np.ndarray:
    assert isinstance(found, LawFit)
    return np.array([(found[name] - value) / found.error(name) for name, value in true.items()])


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_twenty_nights_give_back_the_laws_of_the_world(tmp_path: Path, commit_seed: int) -> None:
    seeds = np.random.SeedSequence(commit_seed).generate_state(NIGHTS)

    rows = []
    for seed in seeds:
        laws = laws_of_a_night(tmp_path, int(seed))
        onset = laws["onset"]
        assert isinstance(onset, TransitionOnset)
        rows.append(
            [
                *pulls(laws["linewidth"], RUDIN),
                *pulls(laws["energy"], ENERGY),
                (onset.onset_K - TRUTH.transition.onset_K) / onset.error_K,
            ]
        )
        print(" ".join(f"{pull:+.2f}" for pull in rows[-1]), flush=True)

    assert np.abs(rows).max() < LARGEST_PULL
    assert (np.abs(rows) < 3.0).mean() > 0.95

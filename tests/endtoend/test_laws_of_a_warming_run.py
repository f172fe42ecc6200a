"""Every law that a temperature sweep can carry, from the sweep file to `cryoscan show --laws`."""

import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from acquisition import start_run
from acquisition.fits.fit_run import fit_run
from acquisition.fits.point_laws import point_law_texts, point_series
from acquisition.fits.run_laws import law_texts
from acquisition.storage.journal import JournalReader
from analysis.laws.laws import LAWS, laws_of_a_run
from simulators.truth import fapbbr3

EXAMPLES = Path(__file__).parents[2] / "examples"
TRUTH = fapbbr3().nanocrystal
ASKED = ("energy", "linewidth", "onset", "diffusion", "huang_rhys", "size_FAPbBr3")


def warming(folder: Path) -> Path:
    """Write a short warming through the transition; return the sweep file."""
    text = (EXAMPLES / "overnight.toml").read_text(encoding="utf-8")
    polarization = text[
        text.index('[[axis]]\nquantity = "polarization"') : text.index("[[exposure]]")
    ]
    laws = ", ".join(f'"{law}"' for law in ASKED)
    for old, new in (
        (polarization, ""),
        ("5.5, 10..40 step 10, 45, 50..100 step 10, 105..170 step 5, 180..200 step 10",
         "10, 30, 60, 90..155 step 5"),
        ("frames = 10", "frames = 7"),
        ('laws = ["energy", "linewidth", "onset"]', f"laws = [{laws}]"),
        ('phonons = ["4.5 meV", "17 meV"]', 'phonons = ["4.5 meV"]\ncomponents = ["replicas"]'),
        ('cryostat = "cool to base"', 'cryostat = "hold"'),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1 if old.startswith("[[fit") else -1)
    path = folder / "warming.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copytree(EXAMPLES, tmp_path_factory.mktemp("laws") / "e", ignore=lambda *_: {"runs"})
    ended = start_run(warming(folder), live_fit=False, final=False, seed=7)
    assert ended.is_complete
    return ended.folder


@pytest.fixture(scope="module")
def texts(run: Path) -> tuple[str, ...]:
    with JournalReader(run) as reader:
        unfitted = law_texts(reader)
    assert any("no point has a fit yet" in text for text in unfitted)
    fit_run(run)
    with JournalReader(run) as reader:
        return law_texts(reader)


def text_of(texts: tuple[str, ...], law: str) -> list[str]:
    return [text for text in texts if text.startswith(LAWS[law].title)]


def test_every_law_says_something_with_a_verdict_or_why_it_cannot(texts: tuple[str, ...]) -> None:
    for law in ASKED:
        said = text_of(texts, law)
        fitted = [text for text in said if "not fitted" not in text]
        assert len(fitted) > 0.7 * len(said), said
        assert all(re.search("converged|poor fit|ill-determined|no signal", t) for t in fitted)


def test_the_onset_is_where_the_world_has_it(texts: tuple[str, ...]) -> None:
    (said,) = text_of(texts, "onset")
    found = re.search(r"onset (\S+) \+- (\S+) K", said)

    assert found is not None, said
    onset, error = float(found[1]), float(found[2])
    assert error >= 2.5  # half of the step
    half_hysteresis = 0.5 * TRUTH.transition.hysteresis_K
    assert abs(onset - TRUTH.transition.onset_K - half_hysteresis) < 2.0 * error


def test_energies_and_widths_are_gathered_with_errors_of_both_axes(
    run: Path, texts: tuple[str, ...]
) -> None:
    del texts  # fitted
    with JournalReader(run) as reader:
        (energies,) = point_series(reader, sweep="temperature_K", observable="energy_eV")
        (widths,) = point_series(reader, sweep="temperature_K", observable="width_eV")

    assert (np.diff(energies.x) > 0).all()
    assert energies.x.size + energies.left_out == 17
    assert (energies.sigma > 0).all()
    assert (energies.sigma_x >= 0).all()
    assert energies.sigma_x.max() < 0.2
    below_60_K = energies.y[energies.x < 70.0]
    assert below_60_K == pytest.approx(TRUTH.exciton_eV, abs=15e-3)
    assert widths.y[-1] > 4.0 * widths.y[0]


def test_the_size_has_the_error_of_its_map(texts: tuple[str, ...]) -> None:
    (said,) = text_of(texts, "size_FAPbBr3")
    found = re.search(r"(\S+) \+- (\S+) nm from", said)

    assert found is not None, said
    # 2.286 eV is 9.0 nm; 30 meV over 20 meV/nm
    assert float(found[1]) == pytest.approx(9.0, abs=0.7)
    assert 1.0 < float(found[2]) < 2.0


def test_widths_are_freed_of_the_replicas_whose_phonons_are_named(texts: tuple[str, ...]) -> None:
    (said,) = text_of(texts, "linewidth")

    coupling = re.search(r"freed of replicas: 4\.5 meV couples by (\S+) \+- (\S+);", said)
    assert coupling is not None, said
    assert 0.1 < float(coupling[1]) < 0.6
    assert "energy_lo" in said


def test_mixed_line_shapes_and_replicas_beneath_a_peak_are_remarked(
    run: Path, texts: tuple[str, ...]
) -> None:
    del texts  # fitted
    with JournalReader(run) as reader:
        (said,) = point_law_texts(reader, "linewidth", shapes={"gauss", "lorentz"})

    assert "widths of gauss and lorentz are mixed" in said
    assert "replicas beneath it make the phonon look softer than it is" in said


def test_the_cold_point_wanders_and_has_replicas(texts: tuple[str, ...]) -> None:
    wandering = text_of(texts, "diffusion")
    replicas = text_of(texts, "huang_rhys")

    assert len(wandering) == 17
    assert "at temperature 10" in wandering[0]
    assert 1 <= len(replicas) <= 2  # below 45 K the sweep file has replicas
    factor = re.search(r"coupling_1 (\S+) \+- (\S+);", replicas[0])
    assert factor is not None, replicas
    assert 0.05 < float(factor[1]) < 0.5


def test_a_run_carries_what_can_be_swept_in_it() -> None:
    others = {"parabola", "cos2", "size_CsPbBr3", "size_CsPbI3"}
    assert set(laws_of_a_run()) == {*others, *ASKED}

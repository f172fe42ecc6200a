"""Laws to be drawn over the parameters of a run, as a process of its own prints them."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from acquisition import start_run
from acquisition.fits.law_overlay import LawOverlay, overlays_from_json, overlays_to_json

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the process says of a polarization series of 7 angles."""
    folder = tmp_path_factory.mktemp("laws") / "examples"
    copytree(EXAMPLES, folder, ignore=lambda *_: {"runs"})
    sweep = folder / "polarization.toml"
    text = sweep.read_text().replace('"0..180 step 10"', '"0..150 step 30"')
    sweep.write_text(text.replace("frames = 10", "frames = 3"))
    run = start_run(sweep, live_fit=False, final=False).folder
    command = [sys.executable, "-P", "-m", "acquisition.fits.law_fits", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return overlays_from_json(done.stdout)


def test_each_line_has_a_law_of_the_angle_with_its_words(printed):
    assert [overlay.line for overlay in printed] == [1, 2, 3]
    for overlay in printed:
        assert overlay.law == "cos2"
        assert overlay.same == {"temperature_K": 5.5}
        assert overlay.text.startswith(f"line {overlay.line}: axis ")
        assert overlay.is_relative
        assert overlay.verdict
        assert (overlay.x[0], overlay.x[-1]) == (0.0, 360.0)


def test_a_law_of_the_angle_repeats_after_half_a_turn_and_is_largest_on_its_axis(printed):
    for overlay in printed:
        x, y = np.array(overlay.x), np.array(overlay.y)
        np.testing.assert_allclose(np.interp(x[:100] + 180.0, x, y), y[:100], atol=2e-3 * y.max())
        axis = float(overlay.text.split("axis ")[1].split()[0])
        assert abs((x[np.argmax(y)] - axis + 90.0) % 180.0 - 90.0) < 1.0


def test_an_overlay_comes_back_from_json_as_it_was():
    overlay = LawOverlay(
        "parabola", {"temperature_K": 5.5}, "said", "converged", "why", x=(1.0,), y=(float("nan"),)
    )

    (again,) = overlays_from_json(overlays_to_json((overlay,)))

    assert again.text == "said"
    assert again.same == {"temperature_K": 5.5}
    assert np.isnan(again.y[0])


@pytest.mark.parametrize("document", ["", "[1]", '[{"law": "x"}]', "nonsense"])
def test_what_is_no_overlay_is_refused(document):
    with pytest.raises(ValueError, match="validation error"):
        overlays_from_json(document)

"""Zips of text files over a voltage, and the refusal of those that are no series."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.readers.bias_series import read_bias_zip


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_a_zip_is_sorted_by_the_voltage_in_the_names(tmp_path: Path) -> None:
    files = {
        f"data/I15_V1={volt}V.txt": f"nm\tcounts\n500\t{i}\n501\t{10 * i}\n"
        for i, volt in enumerate(("0.000", "0.100", "-0.100", "-10.5"))
    }

    series = read_bias_zip(zipped(tmp_path / "z.zip", files))

    np.testing.assert_array_equal(series.voltage_V, [-10.5, -0.1, 0.0, 0.1])
    np.testing.assert_array_equal(series.counts[:, 1], [30.0, 20.0, 0.0, 10.0])
    assert series.notes == ()


SPECTRUM = "500\t1\n501\t2\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": SPECTRUM}, "the name a.txt holds 0 voltages"),
        ({"1V_2V.txt": SPECTRUM}, "holds 2 voltages"),
        ({"1V.txt": SPECTRUM, "x/1.0V.txt": SPECTRUM}, "second spectrum at 1.0 V"),
        ({"1V.txt": SPECTRUM, "2V.txt": "500\t1\n501\t2\n502\t3\n"}, "axis at 2.0 V"),
        ({"1V.txt": SPECTRUM, "2V.txt": "500\t1\n501.1\t2\n"}, "axis at 2.0 V"),
        ({"1V.txt": "500\t1\n501\tx\n502\t3\n"}, "1V.txt, line 2"),
        ({"1V.txt": "500\t1\t2\n501\t3\t4\n502\t5\t6\n"}, "1V.txt: holds 2 spectra"),
        ({}, "holds no spectrum"),
    ],
)
def test_a_zip_that_is_no_series_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_bias_zip(zipped(tmp_path / "z.zip", files))

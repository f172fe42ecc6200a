"""Zips of text files over a voltage, and the refusal of those that are no series."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.readers.bias_series import read_bias_zip


def zipped(path: Path, files: dict[str, str], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
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


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("in the numbers", 0, "1V.txt cannot be unpacked: "),
        ("flags", 1, "1V.txt cannot be unpacked: .*encrypted"),
        ("method", 99, "1V.txt cannot be unpacked: .*compression method"),
        ("list of files", 0, "its list of files cannot be unpacked: "),
    ],
)
def test_a_zip_that_was_damaged_or_encrypted_is_refused_naming_the_file(
    tmp_path: Path, field: str, value: int, message: str
) -> None:
    path = zipped(tmp_path / "z.zip", {"1V.txt": SPECTRUM * 9}, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    listed = content.index(b"PK\1\2")  # APPNOTE.TXT 4.3.7 and 4.3.12: both headers say it
    match field:
        case "in the numbers":
            content[40] ^= 255
        case "flags":
            content[6] = content[listed + 8] = value
        case "method":
            content[8] = content[listed + 10] = value
        case _:
            content[listed] = value
    path.write_bytes(content)

    with pytest.raises(ValueError, match=f"z.zip: {message}"):
        read_bias_zip(path)

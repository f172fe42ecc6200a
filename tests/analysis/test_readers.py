"""Text files in the dialects people have, and the refusal of what is broken."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.readers import parse_spectrum, read_bias_zip, read_spectrum


@pytest.mark.parametrize(
    "text",
    [
        "500.0\t1\n500.5\t-2.5\n501.0\t3e2\n",
        "Wavelength (nm)\tCounts\n500.0\t1\n500.5\t-2.5\n501.0\t3e2\n",
        "500,0;1\n500,5;-2,5\n501,0;300\n",
        "500.0;1;\n500.5;-2.5;\n501.0;300;\n",
        "nm,counts\n500.0,1\n500.5,-2.5\n501.0,300\n",
        "  500.0   1\n  500.5  -2.5\n\n  501.0   300\n",
        "500,0  1\n500,5  -2,5\n501,0  300\n",
        "\ufeff500.0\t1\r\n500.5\t-2.5\r\n501.0\t300\r\n",
        "501.0\t300\n500.5\t-2.5\n500.0\t1\n",
    ],
    ids=[
        "tabs", "header", "semicolon and decimal comma", "separator at the end", "commas",
        "blanks", "blanks and decimal comma", "byte-order mark and CRLF", "falling",
    ],
)  # fmt: skip
def test_every_dialect_gives_the_same_spectrum_in_rising_wavelength(text: str) -> None:
    spectrum = parse_spectrum(text.encode(), name="s.txt")

    np.testing.assert_array_equal(spectrum.wavelength_nm, [500.0, 500.5, 501.0])
    np.testing.assert_array_equal(spectrum.counts, [1.0, -2.5, 300.0])


def test_the_header_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("sample 7\nWavelength\tCounts\n500\t1\n501\t2\n")

    assert read_spectrum(path).header == "sample 7\nWavelength\tCounts"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("500\t1\n501\t2\n502\tnan\n", r"s.txt, line 3: 502.0, nan is not finite"),
        ("500\t1\n501\n502\t3\n", r"s.txt, line 2: '501' is not two numbers"),
        ("500\t1\n501\t2\t9\n502\t3\n", r"s.txt, line 2: .* is not two numbers"),
        ("h\n500\t1\nbroken\n502\t3\n", r"s.txt, line 3: 'broken' is not two numbers"),
        ("500\t1\n501\t2\n501\t3\n", r"s.txt, lines 1 to 3: .*pixels 1 and 2"),
        ("-500\t1\n-499\t2\n", r"s.txt, lines 1 to 2: .*pixel 0 is -500"),
        ("500\t1\n", r"2 or more pixels"),
        ("nothing here\n", r"s.txt: holds no line of two numbers"),
        ("", r"s.txt: holds no line of two numbers"),
    ],
)
def test_a_broken_file_is_refused_naming_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_spectrum(text.encode(), name="s.txt")


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


SPECTRUM = "500\t1\n501\t2\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": SPECTRUM}, "the name a.txt holds 0 voltages"),
        ({"1V_2V.txt": SPECTRUM}, "holds 2 voltages"),
        ({"1V.txt": SPECTRUM, "x/1.0V.txt": SPECTRUM}, "second spectrum at 1.0 V"),
        ({"1V.txt": SPECTRUM, "2V.txt": "500\t1\n501\t2\n502\t3\n"}, "axis at 2.0 V"),
        ({"1V.txt": SPECTRUM, "2V.txt": "500\t1\n501.1\t2\n"}, "axis at 2.0 V"),
        ({"1V.txt": "500\t1\n501\tx\n"}, "1V.txt, line 2"),
        ({}, "holds no spectrum"),
    ],
)
def test_a_zip_that_is_no_series_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_bias_zip(zipped(tmp_path / "z.zip", files))

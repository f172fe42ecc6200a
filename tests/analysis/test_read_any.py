"""Foreign files: recognised by their content, read alike, and refused where they are broken."""

import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.readers.read_any import read_any
from analysis.readers.text_spectra import parse_text_spectra

HC = 1239.8419843320026  # eV nm
AXIS, COUNTS = [500.0, 500.5, 501.0, 501.5], [[1.0, -2.5, 300.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TWO_COLUMNS = {
    "tabs": "500.0\t1\n500.5\t-2.5\n501.0\t3e2\n501.5\t4\n",
    "semicolons, decimal comma, header": "Probe;7\nWellenlänge/nm;Counts\n500,0;1\n500,5;-2,5\n"
    "501,0;300\n501,5;4\n",
    "blanks, decimal comma": "500,0 1,0\n500,5 -2,5\n501,0 300,0\n501,5 4,0\n",
    "commas, CRLF": "nm,counts\r\n500.0,1\r\n500.5,-2.5\r\n501.0,300\r\n501.5,4\r\n",
    "semicolons, one at the end": "500.0;1;\n500.5;-2.5;\n501.0;300;\n501.5;4;\n",
    "blanks around, an empty line": "  500.0   1\n  500.5  -2.5\n\n  501.0   300\n  501.5 4\n",
    "byte-order mark": "\ufeff500.0\t1\r\n500.5\t-2.5\r\n501.0\t300\r\n501.5\t4\r\n",
    "numpy.savetxt": "# wavelength_nm counts\n500 1\n500.5 -2.5\n501 300\n501.5 4\n",
    "falling": "501.5\t4\n501.0\t300\n500.5\t-2.5\n500.0\t1\n",
    "energy": "Energy (eV)\tCounts\n"
    + "".join(f"{HC / nm:.12f}\t{c}\n" for nm, c in zip(AXIS, COUNTS[0], strict=True)),
    "open ends": "Pixel;Wavelength;Raw;Dark Subtracted #1\n0; ;9;9\n1;500;9;1\n2;500.5;9;-2.5\n"
    "3;501;9;300\n4;501.5;9;4\n5; ;9;9\n",
}  # fmt: skip


ENCODING = {"byte-order mark": "utf-8"}


@pytest.mark.parametrize("dialect", list(TWO_COLUMNS))
def test_one_spectrum_in_any_dialect(tmp_path: Path, dialect: str) -> None:
    found = read_any(
        written(tmp_path, "s.dat", TWO_COLUMNS[dialect].encode(ENCODING.get(dialect, "latin-1")))
    )

    np.testing.assert_allclose(found.wavelength_nm, AXIS, rtol=1e-11)
    np.testing.assert_array_equal(found.counts, COUNTS[:1])


def matrix(corner: str, *, by_rows: bool, labels: bool) -> str:
    rows = [["", *AXIS]] + [[v, *c] for v, c in zip((-1.5, 2.0), COUNTS, strict=True)]
    if not labels:
        rows = [row[1:] for row in rows]
    else:
        rows[0][0] = corner
    if not by_rows:
        rows = [list(column) for column in zip(*rows, strict=True)]
    return "".join("\t".join(str(cell) for cell in row) + "\n" for row in rows)


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("labels", [True, False])
def test_a_matrix_is_read_either_way_round(tmp_path: Path, by_rows: bool, labels: bool) -> None:
    text = matrix("nan", by_rows=by_rows, labels=labels)

    found = read_any(written(tmp_path, "m.txt", text))

    np.testing.assert_array_equal(found.wavelength_nm, AXIS)
    np.testing.assert_array_equal(found.counts, COUNTS)
    if labels:
        assert found.labels == ("-1.5", "2")


def test_repairs_and_choices_are_noted(tmp_path: Path) -> None:
    found = read_any(written(tmp_path, "s.txt", TWO_COLUMNS["open ends"]))

    assert "columns not used: Pixel, Raw" in found.notes
    assert "2 pixels at the ends have no wavelength and are left out" in found.notes
    holes = read_any(written(tmp_path, "h.txt", "500\t1\n501\tnan\n502\t3\n"))
    assert holes.notes == (
        "no column is named: the first is taken as the wavelength in nm",
        "1 counts are no finite numbers and are left out of fits",
    )
    cut = read_any(written(tmp_path, "c.txt", "nm\tA\n500\n501\t2\n502\t3\n"))
    assert cut.notes == ("line 2 holds numbers, but not as many: left out",)
    strange = read_any(written(tmp_path, "u.txt", "lambdo\tA\n500\t1\n501\t2\n502\t3\n"))
    assert strange.notes == ("the column named 'lambdo' is taken as the wavelength in nm",)
    both = written(tmp_path, "b.txt", "Energy (eV)\tnm\tA\n2.48\t500\t1\n2.47\t501\t2\n")
    assert read_any(both).labels == ("A",)
    assert read_any(both).notes == ("columns not used: Energy (eV)",)


def test_the_medium_is_only_what_a_file_says(tmp_path: Path) -> None:
    said = written(tmp_path, "a.txt", "Wavelength in air (nm)\tCounts\n500\t1\n501\t2\n")

    assert read_any(said).medium == "air"
    assert read_any(written(tmp_path, "b.txt", TWO_COLUMNS["tabs"])).medium == "unknown"
    assert read_any(written(tmp_path, "c.txt", TWO_COLUMNS["energy"])).medium == "vacuum"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("nothing here\n", "holds no table of numbers"),
        ("500\t1\n501\n502\t3\n503\t3\n", "line 2: '501' is no row"),
        ("500\t1\n501\t2\t9\n502\t3\n", "line 2: .* is no row"),
        ("500\t1\n501\t2\n502\n", "line 3: '502' is no row"),
        ("500\t1\n501\t2\n501\t3\n", "pixels 1 and 2"),
        ("500\t1\nnan\t2\n502\t3\n", "pixel 1 is nan"),
        ("-500\t1\n-499\t2\n", "pixel 0 is -500"),
        ("500\tnan\n501\tnan\n", "no count is a finite number"),
        ("Raman shift (cm-1)\tCounts\n100\t1\n101\t2\n", "neither a wavelength nor an energy"),
        ("Wavelength (um)\tCounts\n0.5\t1\n0.51\t2\n", "needed is one in nm or eV"),
        ("Energy (meV)\tCounts\n2400\t1\n2401\t2\n", "needed is one in nm or eV"),
        ("Wavelength (A)\tCounts\n5180\t1\n5181\t2\n", "needed is one in nm or eV"),
        ("Frequency (THz)\tCounts\n578\t1\n579\t2\n", "neither a wavelength nor an energy"),
        ("2.40\t1\n2.41\t2\n2.42\t3\n", "an axis from 2.4 to 2.42 is none in nm"),
        ("0\t1\n1\t2\n2\t3\n", "pixel 0 is 0"),
        ("Wavelength\tDark\n500\t1\n501\t2\n", "none of the columns Wavelength, Dark holds counts"),
        ("Wavelength\tCounts\n\t1\n \t2\n", "no table|no pixel has a wavelength"),
        ("1\t2\t3\n", "single row of numbers"),
        ("<?xml version='1.0'?><LSX_Data/>", "LabSpec"),
        (bytes(range(256)) * 4, "binary file of unknown format"),
        (b"\x89HDF\r\n\x1a\nbroken", "an HDF5 file that cannot be opened"),
        (b"Andor Technology Multi-Channel File\n65538 1\n", "SIF header of unknown layout"),
    ],
)
def test_what_cannot_be_read_is_refused_naming_the_file(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, "broken.dat", content)

    with pytest.raises((ValueError, OSError), match=message) as refusal:
        read_any(path)
    assert "broken.dat" in str(refusal.value)


LABSPEC = "#Acq. time (s)=\t0.15\n#Accumulations=\t20\n{unit}#Title=\tdot 7\n"


@pytest.mark.parametrize(
    ("unit", "medium", "told"),
    [
        ("#AxisUnit[0]=\tCnt\n#AxisUnit[1]=\tnm\n", "unknown", False),
        ("#Range (nm)=\t454...467\n", "unknown", False),
        ("#AxisUnit[1]=\teV\n", "vacuum", False),
        ("", "unknown", True),
    ],
)
def test_a_labspec_spectrum(tmp_path: Path, unit: str, medium: str, told: bool) -> None:
    axis = [HC / nm for nm in AXIS] if medium == "vacuum" else AXIS
    rows = "".join(f"{a:.10f}\t{c}\n" for a, c in zip(axis, COUNTS[0], strict=True))

    found = read_any(written(tmp_path, "s.txt", LABSPEC.format(unit=unit) + rows))

    assert found.format == "LabSpec text"
    np.testing.assert_allclose(found.wavelength_nm, AXIS, rtol=1e-9)
    np.testing.assert_array_equal(found.counts, COUNTS[:1])
    assert (found.medium, found.settings["exposure_s"]) == (medium, "0.15")
    assert bool(found.notes) == told


def test_a_labspec_map_has_a_place_for_every_spectrum(tmp_path: Path) -> None:
    head = LABSPEC.format(unit="#AxisUnit[1]=\tnm\n")
    rows = "\t\t500\t500.5\t501\t501.5\n-1\t0\t1\t-2.5\t300\t4\n-1\t2\t5\t6\t7\t8\n"

    found = read_any(written(tmp_path, "map.txt", head + rows))

    assert found.labels == ("-1, 0", "-1, 2")
    np.testing.assert_array_equal(found.wavelength_nm, AXIS)
    np.testing.assert_array_equal(found.counts, COUNTS)


@pytest.mark.parametrize(
    ("unit", "rows", "message"),
    [
        ("#AxisUnit[1]=\t1/cm\n", "100\t1\n101\t2\n", "in '1/cm', neither a wavelength"),
        ("#AxisUnit[1]=\teV\n", "-1\t1\n2\t2\n", "energy_eV"),
        ("#AxisUnit[1]=\tnm\n", "500\t1\n501\n502\t3\n503\t3\n", "is no row"),
        ("#AxisUnit[1]=\tnm\n", "", "holds no table of numbers"),
        (
            "#AxisUnit[1]=\tnm\n",
            "\t\tnan\t501\t502\n1\t1\t4\t5\t6\n1\t2\t4\t5\t6\n",
            "begins with 3 empty cells, at most 2",
        ),
    ],
)
def test_a_labspec_export_that_is_no_spectrum_is_refused(
    tmp_path: Path, unit: str, rows: str, message: str
) -> None:
    path = written(tmp_path, "broken.txt", LABSPEC.format(unit=unit) + rows)

    with pytest.raises(ValueError, match=message) as refusal:
        read_any(path)
    assert "broken.txt" in str(refusal.value)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_otherwise(tmp_path_factory, content: bytes) -> None:
    path = written(tmp_path_factory.mktemp("fuzz"), "f", content)

    try:
        found = read_any(path)
    except (ValueError, OSError):
        return
    assert (np.diff(found.wavelength_nm) > 0).all()


@given(st.text(alphabet="0123456789.,;\t \n-+eEna", max_size=120))
def test_no_numbers_make_the_text_reader_fail_otherwise(text: str) -> None:
    try:
        found = parse_text_spectra(text, source="s")
    except ValueError:
        return
    assert (np.diff(found.wavelength_nm) > 0).all()
    assert found.counts.shape == (len(found.labels), found.wavelength_nm.size)


def sif(**changed: bytes) -> bytes:
    """Return a file of 2 frames of 3 columns, axis 500 + 0.5 p, as the software lays it out."""
    part = {
        "polynomial": b"500 0.5 0 0",
        "label": b"10\nWavelength",
        "sizes": b"65541 1 1 3 1 2 1 6 3",
        "area": b"65538 1 1 3 1 1 1 0",
        "stamps": b"         0\n         5\n",
        "flag": b"0\n",
        "frames": struct.pack("<6f", 1, 2, 3, 4, 5, 6),
    } | changed
    return (
        b"Andor Technology Multi-Channel File\n65538 1\n65567 0 0 1 1504875832 -50 \0 \0 \0 \0 \0 0"
        b" 0.1 0.1 0.1 1 \nDU888_BV \n 3 1 1\nC:\\a.sif \n65538 4\nab\n\nx\n65538 \0\0 0 0\n65540 "
        b"\2 \0 \1 \0 \1 \0\n" + part["polynomial"] + b"\n0 1 0 0\n0 1 0 0\n0\n13\n13\n1\n"
        + part["label"] + b"6\nCounts12\nPixel number" + part["sizes"] + b"\n"
        + part["area"] + b"\n" + part["stamps"] + part["flag"] + part["frames"]
    )  # fmt: skip


def test_a_sif_file_of_two_frames(tmp_path: Path) -> None:
    found = read_any(written(tmp_path, "a.sif", sif()))

    np.testing.assert_array_equal(found.wavelength_nm, [500.5, 501.0, 501.5])
    np.testing.assert_array_equal(found.counts, [[1, 2, 3], [4, 5, 6]])
    assert found.settings["detector"] == "DU888_BV"
    twice = read_any(written(tmp_path, "b.sif", sif(flag=b"1\n  12345\n  23456\n")))
    np.testing.assert_array_equal(twice.counts, found.counts)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"polynomial": b"0 1 0 0"}, "not calibrated"),
        ({"polynomial": b"here 1 0 0"}, "no four coefficients"),
        ({"polynomial": b"500 -1.5 0.5 0"}, "must rise or fall"),
        ({"label": b"11\nRaman shift"}, "the axis is 'Raman shift'"),
        ({"sizes": b"65541 1 1 3 1 2 1 8 4"}, "are announced, and a length of 8"),
        ({"area": b"65538 1 1"}, "the size of a sub-image is missing"),
        ({"area": b"65538 1 1 3 1 0 1 0"}, "the size of a sub-image is missing, or none"),
        ({"area": b"65538 1 1 3 1 1 0 0"}, "the size of a sub-image is missing, or none"),
        ({"area": b"65538 1 1 %s 1 1 1 0" % (b"3" * 5000)}, "the size of a sub-image"),
        ({"sizes": b"65541 1 1 3 1 %s 1 6 3" % (b"2" * 5000)}, "header of unknown layout"),
        ({"stamps": b"here\n"}, "fewer time stamps than frames"),
        ({"frames": struct.pack("<5f", 1, 2, 3, 4, 5)}, "6 values are announced, 5 are there"),
        ({"frames": struct.pack("<6f", 1, 2, 3, 4, 5, np.nan)}, "counts are not finite"),
        ({"sizes": b"nothing"}, "header of unknown layout"),
    ],
)
def test_a_sif_file_that_is_not_as_known_is_refused(
    tmp_path: Path, changed: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_any(written(tmp_path, "a.sif", sif(**changed)))


def spe2(**changed: object) -> bytes:
    """Return a version 2.5 file of 2 frames of 4 columns and 1 row, 16 bits."""
    value = {"columns": 4, "rows": 1, "frames": 2, "type": 3, "order": 1, "unit": b"nm"} | changed
    head = bytearray(4100)
    struct.pack_into("<f", head, 10, 1.5)
    struct.pack_into("<H", head, 42, value["columns"])
    struct.pack_into("<h", head, 108, value["type"])
    struct.pack_into("<H", head, 656, value["rows"])
    struct.pack_into("<i", head, 1446, value["frames"])
    struct.pack_into("<f", head, 1992, 2.5)
    struct.pack_into("<i", head, 2996, 0x01234567)
    head[3016 : 3016 + len(value["unit"])] = value["unit"]
    head[3101] = value["order"]
    struct.pack_into("<2d", head, 3263, 499.5, 0.5)
    return bytes(head) + struct.pack("<8H", 1, 2, 3, 4, 5, 6, 7, 60000)


def test_a_winspec_file(tmp_path: Path) -> None:
    found = read_any(written(tmp_path, "a.spe", spe2()))

    np.testing.assert_array_equal(found.wavelength_nm, [500.0, 500.5, 501.0, 501.5])
    np.testing.assert_array_equal(found.counts, [[1, 2, 3, 4], [5, 6, 7, 60000]])
    assert found.format == "Princeton SPE 2.5"
    assert found.settings == {"exposure_s": "1.5"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames": 3}, "3 frames of 4 values do not fit"),
        ({"columns": 0}, "do not fit"),
        ({"type": 7}, "number format 7 is not known"),
        ({"order": 0}, "no wavelength calibration"),
        ({"unit": b"rel. cm-1"}, "not a wavelength in nm"),
    ],
)
def test_a_winspec_file_that_is_not_as_known_is_refused(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_any(written(tmp_path, "a.spe", spe2(**changed)))


def spe3(footer: str, frames: bytes = struct.pack("<4f", 1, 2, 3, 4)) -> bytes:
    head = bytearray(4100)
    struct.pack_into("<f", head, 1992, 3.0)
    struct.pack_into("<i", head, 2996, 0x01234567)
    struct.pack_into("<Q", head, 678, 4100 + len(frames))
    return bytes(head) + frames + footer.encode()


FOOTER = (
    '<SpeFormat version="3.0" xmlns="http://www.princetoninstruments.com/spe/2009"><DataFormat>'
    '<DataBlock type="Frame" count="1" pixelFormat="MonochromeFloating32" size="16" stride="16">'
    '<DataBlock type="Region" width="4" height="1"/></DataBlock></DataFormat><Calibrations>'
    "<WavelengthMapping><Wavelength>500,500.5,501,501.5</Wavelength></WavelengthMapping>"
    '<SensorMapping x="2" width="4"/></Calibrations></SpeFormat>'
)


def test_a_lightfield_file(tmp_path: Path) -> None:
    found = read_any(written(tmp_path, "a.spe", spe3(FOOTER)))
    whole = FOOTER.replace(">500,500.5", ">499,499.5,500,500.5")

    np.testing.assert_array_equal(found.wavelength_nm, AXIS)
    np.testing.assert_array_equal(found.counts, [[1, 2, 3, 4]])
    of_sensor = read_any(written(tmp_path, "b.spe", spe3(whole)))
    np.testing.assert_array_equal(of_sensor.wavelength_nm, AXIS)


REGION = '<DataBlock type="Region" width="4" height="1"/>'


@pytest.mark.parametrize(
    ("footer", "message"),
    [
        (FOOTER.replace("501.5", "500.2"), "pixels 2 and 3"),
        (FOOTER.replace(",501.5", ""), "3 wavelengths for 4 pixels"),
        (FOOTER.replace("Floating32", "Complex64"), "MonochromeComplex64 is not known"),
        (FOOTER.replace(REGION, 2 * REGION), "2 regions of interest"),
        (FOOTER.replace('count="1"', 'count="9"'), "9 frames of 4 values do not fit"),
        (FOOTER.replace("Wavelength>", "W>"), "no wavelength calibration"),
        (FOOTER.replace('width="4" height', "height"), "width of DataBlock is 'nothing'"),
        (FOOTER.replace('height="1"', 'height="0"'), "height of DataBlock is '0'"),
        (FOOTER.replace('width="4" h', 'width="-4" h'), "width of DataBlock is '-4'"),
        (FOOTER.replace('count="1"', ""), "count of DataBlock is 'nothing'"),
        (FOOTER.replace('stride="16"', 'stride="x"'), "stride of DataBlock is 'x'"),
        (FOOTER.replace(">500,", ">499,500,").replace('x="2"', 'x="-1"'), "x of SensorMapping"),
        (FOOTER.replace("500.5,", "500;5,"), "the wavelengths of the footer: .*'500;5'"),
        (FOOTER[:-9], "XML footer is broken"),
        ("<!DOCTYPE a>" + FOOTER, "footer that can be trusted"),
    ],
)
def test_a_lightfield_file_that_is_not_as_known_is_refused(
    tmp_path: Path, footer: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_any(written(tmp_path, "a.spe", spe3(footer)))


def test_a_zip_of_texts_over_a_voltage(tmp_path: Path) -> None:
    path = tmp_path / "sweep.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("V1=1.0V.txt", "500\t3\n501\t4\n")
        archive.writestr("V1=-1.0V.txt", "500\t1\n501\t2\n")

    found = read_any(path)

    assert found.labels == ("-1 V", "1 V")
    np.testing.assert_array_equal(found.counts, [[1, 2], [3, 4]])


def sound(kind: str, folder: Path) -> bytes:
    """Return a file of two spectra or more that can be read."""
    if kind == "zip":
        with zipfile.ZipFile(folder / "z", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("V1=1.0V.txt", 20 * "500\t3\n501\t4\n502\t5\n")
        return (folder / "z").read_bytes()
    return {"sif": sif(), "winspec": spe2(), "lightfield": spe3(FOOTER)}[kind]


@given(
    kind=st.sampled_from(["zip", "sif", "winspec", "lightfield"]),
    damage=st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.one_of(st.just(1.0), st.floats(0.0, 1.0)),
)
def test_no_damage_makes_the_reader_fail_otherwise(
    tmp_path_factory, kind: str, damage: list[tuple[float, int]], length: float
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(sound(kind, folder))
    for place, byte in damage:
        content[min(int(place * len(content)), len(content) - 1)] = byte
    path = written(folder, "f", bytes(content[: int(length * len(content))]))

    said, rises = str(path), True
    try:
        rises = bool((np.diff(read_any(path).wavelength_nm) > 0).all())
    except ValueError as error:
        said = str(error)

    assert str(path) in said
    assert rises


@pytest.mark.parametrize("medium", ["air", "vacuum", "unknown"])
def test_a_run_of_our_own(tmp_path: Path, medium: str) -> None:
    path = tmp_path / "run.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry["title"] = "night"
        data = entry.create_group("data")
        data.attrs.update(axes=["temperature", "wavelength"], readings=[])
        data["spectra"] = np.array([[1, 2, 3], [0, 0, 0], [7, 8, 9]], np.int32)
        data["temperature"] = [5.5, 10.0, 20.0]
        data["wavelength"], data["pixel"] = [500.0, 501.0, 502.0], [0, 1, 2]
        data["wavelength"].attrs["medium"] = medium
        data["attempt"], data["frames"] = [1, 0, 2], [1, 0, 1]
        data["exposure"], data["time"] = np.ones(3), np.arange(3.0)

    found = read_any(path)

    assert found.labels == ("temperature 5.5", "temperature 20")
    assert found.medium == medium
    np.testing.assert_array_equal(found.counts, [[1, 2, 3], [7, 8, 9]])

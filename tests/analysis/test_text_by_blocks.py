"""A long text is read by the block: the same table, and nothing that takes long at a time."""

import numpy as np
import pytest

from analysis.readers import text_table
from analysis.readers.text_table import parse_table

TEXT = """Instrument: none
1
wavelength;counts;time
500,5;10;1
501,5;;2

502,5;12;3
503,5;13;4
taken at night
"""


@pytest.mark.parametrize("block", [1, 7, 20, 40, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_the_same_wherever_the_blocks_end(
    monkeypatch: pytest.MonkeyPatch, block: int, end: str
) -> None:
    monkeypatch.setattr(text_table, "_BLOCK", block)

    table = parse_table(TEXT.replace("\n", end), source="x")

    assert table.names == ("wavelength", "counts", "time")
    np.testing.assert_array_equal(
        table.numbers,
        [[500.5, 10, 1], [501.5, np.nan, 2], [502.5, 12, 3], [503.5, 13, 4]],
    )
    assert table.other == ("Instrument: none", "1", "wavelength;counts;time", "taken at night")
    assert table.lines == (4, 5, 7, 8)
    assert table.left_out == (2,)


@pytest.mark.parametrize("block", [1, 15, 1000])
def test_a_broken_line_is_named_whatever_block_it_is_in(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text_table, "_BLOCK", block)

    with pytest.raises(ValueError, match=r"x, line 5: '501,5;broken;2' is no row of it"):
        parse_table(TEXT.replace("501,5;;2", "501,5;broken;2"), source="x")


def test_no_more_than_a_block_of_a_long_text_is_taken_apart_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = 60_000
    x = np.arange(rows) / 100 + 400
    text = "".join(f"{at:.2f}\t{i % 997}\n" for i, at in enumerate(x.tolist()))
    most = 0
    lines_of = text_table._Block.lines

    def lines(block: text_table._Block) -> list[str]:
        nonlocal most
        most = max(most, len(block.text))
        return lines_of(block)

    monkeypatch.setattr(text_table._Block, "lines", lines)

    table = parse_table(text, source="x")

    assert len(text) > 2 * text_table._BLOCK
    assert most <= text_table._BLOCK + len("1000.00\t996\n")
    np.testing.assert_allclose(table.numbers[:, 0], x, atol=1e-9)
    assert table.numbers[:, 1].tolist() == [float(i % 997) for i in range(rows)]
    assert table.lines == tuple(range(1, rows + 1))

"""Parquet files, read as the same table in CSV would be."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.peer.learning.table_models.survey import summary
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.tables.schema import Schema, Wishes
from coterie.peer.learning.tables.table import Table, TableError, read_table

pa = pytest.importorskip("pyarrow", reason="reads Parquet: pip install 'coterie[parquet]'")
pq = pytest.importorskip("pyarrow.parquet")
GAP = float("nan")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.parquet"


def write(file: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def read(file: Path, columns: dict[str, Any], **options: Any) -> Table:
    return read_table(write(file, columns), "y", **options)


def test_numbers_of_all_types_are_read_to_the_last_digit(file: Path) -> None:
    table = read(
        file,
        {
            "a": [0.1, -1e-300],
            "b": pa.array([1, 2**53], pa.int64()),
            "c": [Decimal("1.50"), Decimal("-2.25")],
            "d": [True, False],
            "e": pa.array([0.5, 0.25], pa.float32()),
            "y": pa.array([3, 4], pa.uint8()),
        },
    )
    assert table.inputs.tolist() == [[0.1, 1, 1.5, 1, 0.5], [-1e-300, 2**53, -2.25, 0, 0.25]]
    assert table.values is not None
    assert table.values.tolist() == [3, 4]


def test_categories_dates_and_gaps_are_what_they_are_in_csv(file: Path) -> None:
    nanos = pa.array([1_704_110_400_000_000_001] * 12, pa.timestamp("ns"))
    columns = {
        "at": nanos,
        "bmi": pa.array([None, GAP, *([22.5] * 10)]),
        "day": [date(1970, 1, 1 + row) for row in range(12)],
        "seen": pa.array([datetime(1970, 1, 2, 12)] * 12, pa.timestamp("us", tz="UTC")),
        "sex": pa.array(["f", "m"] * 6).dictionary_encode(),
        "y": list(range(12)),
    }
    table = read(file, columns, plan=Wishes(gaps=("bmi",)))
    assert table.schema == Schema((("sex", ("f", "m")),), ("at", "day", "seen"), ("bmi",))
    np.testing.assert_allclose(table.inputs[0], [19723.5, GAP, 0, 1.5, 0])
    np.testing.assert_allclose(table.inputs[11], [19723.5, 22.5, 11, 1.5, 1])


def test_what_is_wrong_is_told_by_its_row(file: Path) -> None:
    with pytest.raises(TableError, match="data.parquet, row 2, column 'a': the value is missing; fill it in"):
        read(file, {"a": [1.0, None], "y": [1, 2]})
    with pytest.raises(TableError, match="row 2, column 'a': 'yes' among numbers, such as 37.5 in row 1"):
        read(file, {"a": ["37.5", "yes"], "y": [1, 2]})


def test_an_unknown_level_and_a_typing_error_are_told_by_their_rows(file: Path) -> None:
    columns = {
        "sex": ["f", "m"] * 20,
        "z": [float(row % 7) for row in range(40)],
        "y": [float(row) for row in range(40)],
    }
    founder = TableApp.found(write(file, columns), "y", "linear")
    columns["sex"][6], columns["z"][8] = "x", 9999.0
    told = summary(TableApp.adopt(founder.describe(), write(file, columns)))
    assert "data.parquet, row 7, column 'sex': 'x' (1 row) is none of the levels agreed on (f, m)" in told
    assert "data.parquet, row 9, column 'z': 9999 is " in told


def test_lists_and_bytes_are_refused_by_their_column(file: Path) -> None:
    columns = {"a": [1, 2], "b": [[1], [2, 3]], "c": [b"x", b"z"], "y": [1, 2]}
    with pytest.raises(TableError) as caught:
        read(file, columns)
    told = str(caught.value)
    assert "column 'b': it holds values of the type list<" in told
    assert "column 'c': it holds values of the type binary" in told
    assert "--ignore b" in told
    assert read(file, columns, ignore=["b", "c"]).columns == ("a",)


def test_an_index_of_pandas_is_told_as_a_row_number(file: Path) -> None:
    with pytest.raises(TableError, match="its name is '__index_level_0__' and it looks like a row number"):
        read(file, {"a": [1.5, 2.5], "__index_level_0__": [4, 7], "y": [1, 2]})


def test_more_rows_than_a_batch_are_all_read(file: Path) -> None:
    assert read(file, {"a": np.arange(10_000.0), "y": np.arange(10_000.0)}).inputs.sum() == sum(range(10_000))


@pytest.mark.parametrize("keep", [4, 40, -20])
def test_a_damaged_file_is_told(file: Path, keep: int) -> None:
    write(file, {"a": [1.0] * 100, "y": [1.0] * 100})
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(
        TableError, match="data.parquet: this is a Parquet file that cannot be read .* write the Parquet"
    ):
        read_table(file, "y")

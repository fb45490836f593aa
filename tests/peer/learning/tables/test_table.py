"""Reading tables: what is accepted, and what each message says about what is not."""

import contextlib
import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.learning.tables.table import TableError, held_out, normal_label, read_inputs, read_table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def test_a_table_is_read_with_its_columns_in_alphabetical_order(file: Path) -> None:
    file.write_text("b,y,a\n1,2,3\n-4.5,5e3,6\n")
    table = read_table(file, "y")
    assert table.columns == ("a", "b")
    assert table.inputs.tolist() == [[3, 1], [6, -4.5]]
    assert table.values is not None
    assert table.values.tolist() == [2, 5000]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa,y\n1,2\n",
        b'"a","y"\n"1","2"\n',
        b" a , y \r\n 1 , 2 \r\n\r\n",
        b"a;y\n1;2",
        b"a\ty\n1\t2\n",
        b'"a",y\n\n1,"2"\n',
    ],
)
def test_the_usual_ways_of_writing_csv_read_the_same(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    table = read_table(file, "y")
    assert table.columns == ("a",)
    assert table.inputs.tolist() == [[1]]
    assert table.values is not None
    assert table.values.tolist() == [2]


def test_quoted_names_may_hold_separators_quotes_and_line_ends(file: Path) -> None:
    file.write_text('"income, net","say ""hi""",y\n1,2,3\n')
    assert read_table(file, "y").columns == ("income, net", 'say "hi"')


def test_labels_are_numbered_in_the_order_of_their_appearance(file: Path) -> None:
    file.write_text("a,y\n1,yes\n2,no\n3, yes\n")
    table = read_table(file, "y", labelled=True)
    assert table.labels == ("yes", "no")
    assert table.codes is not None
    assert table.codes.tolist() == [0, 1, 0]


def test_numeric_labels_have_one_spelling() -> None:
    assert [normal_label(text) for text in ("1", "1.0", " 1e0 ", "01", "1.5", "one")] == [
        "1", "1", "1", "1", "1.5", "one",
    ]  # fmt: skip


def test_chosen_columns_alone_are_read(file: Path) -> None:
    file.write_text("name,b,a,y\nbob,1,2,3\n")
    assert read_table(file, "y", columns=["b", "a"]).inputs.tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.csv: the file is empty"),
        ("\na,y\n", "its first line is"),
        ("a,y\n", "there is no row below the header"),
        ("a,b\n1,2\n", "there is no column 'y'; there are 'a', 'b'"),
        ("a,a,y\n1,2,3\n", "the first line names 'a' more than once"),
        ("a,,y\n1,2,3\n", "column 2 has no name"),
        ("1,2,3\n4,5,6\n", "the first line holds numbers; it must name the columns"),
        ("y\n1\n", "there is no column besides the target 'y'"),
        ("a,y\n1,2\n1,2,3\n", "line 3: 3 fields, but the header names 2 columns"),
        ("a,y\n1\n", "line 2: 1 fields"),
        (
            "a,sex,y\n1,2,3\n1,male,3\n",
            "line 3, column 'sex': 'male' is not a number; turn categories into numbers",
        ),
        ("a,b,y\n1,,3\n", "line 2, column 'b': the value is missing"),
        ("a,b,y\n1,,3\n", "or leave the column out: --columns a$"),
        ("b,y\n,3\n", "or leave the column out: --columns A,B,… names the inputs to use"),
        ("a,b,y\n1,red,3\n", "or leave the column out: --columns a$"),
        ("a,b,y\n1,2,\n", "line 2, column 'y': the value is missing; fill it in, or remove the row"),
        ("a,b,y\n1,NA,3\n", "line 2, column 'b': the value is missing"),
        ("a,b,y\n1, nan ,3\n", "line 2, column 'b': the value is missing"),
        ("a,b,y\n1,-inf,3\n", "line 2, column 'b': '-inf' is not a finite number"),
        ('a,b,y\n1,"2,5",3\n', "line 2, column 'b': '2,5' is not a number; write it with a decimal point"),
        ("a;b;y\n1;2,500;3\n", "line 2, column 'b': '2,500' is not a number; write it with a decimal point"),
        ("a,b,y\n1,1_000,3\n", "line 2, column 'b': '1_000' is not a number"),
        ("a,y\n1,cat\n", "line 2, column 'y': 'cat' is not a number; to predict a class"),
        ("z,a,y\n1,x,w\n", "column 'a': 'x'"),
        ('a,y\n"1,2\n', "not CSV"),
        ('a,y\n"1"2,3\n', "line 2: not CSV"),
    ],
)
def test_a_bad_table_is_refused_with_line_and_column(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(TableError, match=message):
        read_table(file, "y")


def test_lines_are_counted_as_an_editor_does(file: Path) -> None:
    file.write_text('"a\nb",y\n1,2\n\n1,x\n')
    with pytest.raises(TableError, match="line 5"):
        read_table(file, "y")


MISSING = (
    "", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "#NV", "<NA>", "NaN", "-nan", "-1.#IND", "1.#QNAN", "NaT",
    "NULL", "null", "(null)", "None", "\\N", "NA_real_", ".", "._", ".A", ".z", "?", "-", "--", "—", "missing",
    "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#WERT!", "#####", "<missing>", "<undefined>",
    "Err:502", "#N/B", "#I/T", "#YOK", "#Н/Д", "#SAKNAS!", "k.A.", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}",
)  # fmt: skip


@pytest.mark.parametrize("spelling", MISSING)
def test_every_spelling_of_a_missing_value_is_told_as_that(file: Path, spelling: str) -> None:
    file.write_text(f"a,b,y\n1,2,3\n1,{spelling},3\n")
    with pytest.raises(TableError, match="line 3, column 'b': the value is missing.*remove the row, or leave"):
        read_table(file, "y")
    file.write_text(f"a,y\n1,2\n1,{spelling}\n")
    with pytest.raises(TableError, match="line 3, column 'y': the value is missing.*fill it in, or remove the row$"):
        read_table(file, "y")


@pytest.mark.parametrize("spelling", MISSING)
def test_no_spelling_of_a_missing_class_becomes_a_class(file: Path, spelling: str) -> None:
    file.write_text(f"a,y\n1,yes\n1,{spelling}\n")
    with pytest.raises(TableError, match="line 3, column 'y': the class is missing"):
        read_table(file, "y", labelled=True)


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("2024-01-31", "looks like a date or time; turn it into a number, such as days"),
        ("31.01.2024", "looks like a date"),
        ("13:45", "looks like a date or time"),
        ("12%", "write the number alone, without sign or unit"),
        ("€ 30", "write the number alone"),
        ("<0.5", "write the number alone"),
        ("5 mg", "write the number alone"),
        ("1 234", "decimal point and no thousands separators"),
        ("1.234,5", "decimal point and no thousands separators"),
        ("x" * 90, f"'{'x' * 39}…' is not a number; turn categories into numbers"),
    ],
)
def test_what_to_do_about_a_cell_follows_from_what_it_holds(file: Path, cell: str, advice: str) -> None:
    file.write_text(f'a,b,y\n1,2,3\n1,"{cell}",3\n')
    with pytest.raises(TableError, match=f"line 3, column 'b': .*{advice}"):
        read_table(file, "y")


def refusal(file: Path, text: str, **options: Any) -> list[str]:
    file.write_text(text)
    with pytest.raises(TableError) as caught:
        read_table(file, "y", **options)
    return str(caught.value).splitlines()


CATEGORIES = "turn categories into numbers (one column of 0 and 1 for each), correct a typing error"


def test_all_that_is_wrong_is_told_at_once_with_what_to_do_about_each_kind(file: Path) -> None:
    assert refusal(file, "a,b,c,y\n1,NA,2,3\n1,2,3\nx,,1,3\n1,2,3,male\n") == [
        "data.csv: 5 things to mend",
        "  line 2, column 'b': the value is missing ('NA')",
        "  line 3: 3 fields, but the header names 4 columns",
        "  line 4, column 'a': 'x' is not a number",
        "  line 4, column 'b': the value is missing",
        "  line 5, column 'y': 'male' is not a number",
        "  what to do: fill it in, remove the row, or leave the column out: --columns c",
        "  what to do: quote fields that hold the separator, and give each column a field",
        f"  what to do: {CATEGORIES}, or leave the column out: --columns c",
        "  what to do: to predict a class, use --model logistic, or --classes",
    ]


def test_twenty_are_told_and_the_others_counted(file: Path) -> None:
    rows = "".join(f"{'' if row % 2 else 1},{'' if row % 3 else 1},1,3\n" for row in range(30))
    told = refusal(file, "a,b,c,y\n" + rows)
    assert told[0] == "data.csv: 35 things to mend"
    assert len([line for line in told if line.startswith("  line")]) == 20
    assert "  … and 15 more" in told


def test_a_column_that_is_wrong_from_top_to_bottom_hides_no_other_trouble(file: Path) -> None:
    told = refusal(file, "a,sex,y\n" + "1,male,3\n" * 5000 + "1,,3\n,male,3\n")
    assert told[1:4] == [
        "  line 2, column 'sex': 'male' is not a number (and 5,000 more like it in this column)",
        "  line 5002, column 'sex': the value is missing",
        "  line 5003, column 'a': the value is missing",
    ]


def test_words_for_yes_and_no_become_one_and_zero(file: Path) -> None:
    file.write_text("a,b,y\nTrue,no,3\nfalse,YES,3\n1,no,4\n")
    table = read_table(file, "y")
    assert table.inputs.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert table.booleans == ("a", "b")


def test_yes_among_other_numbers_is_refused(file: Path) -> None:
    told = refusal(file, "a,b,y\n37.5,1,3\nyes,1,3\n")
    wrong = "data.csv, line 3, column 'a': 'yes' among numbers, such as 37.5 in line 2"
    assert told == [f"{wrong}; write one or the other, or leave the column out: --columns b"]


def test_a_word_beside_yes_and_no_is_refused_with_what_may_stand_there(file: Path) -> None:
    (told,) = refusal(file, "a,b,y\n1,1,3\nno,1,3\nmaybe,1,3\n")
    assert told.startswith("data.csv, line 4, column 'a': 'maybe' is neither yes nor no, as the others in this column")
    assert "write yes or no (or true or false, or 1 or 0)" in told


def test_a_word_beside_yes_and_other_numbers_is_no_third_answer(file: Path) -> None:
    told = refusal(file, "a,b,y\n37.5,1,3\nno,1,3\nmaybe,1,3\n")
    assert "  line 4, column 'a': 'maybe' is not a number" in told


def test_a_gzipped_table_is_read_as_it_is(file: Path) -> None:
    file.write_bytes(gzip.compress(b"a,y\n1,2\n"))
    assert read_table(file, "y").inputs.tolist() == [[1]]
    file.write_bytes(gzip.compress(b"a,y\n1,2\n1,\xff\n"))
    with pytest.raises(TableError, match="line 3: not UTF-8 text"):
        read_table(file, "y")
    file.write_bytes(gzip.compress(b"a,y\n1,2\n" * 50)[:-9])
    with pytest.raises(TableError, match=r"compression is damaged .* make the .gz file anew"):
        read_table(file, "y")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04...", "a workbook"),
        (b"PAR1...", "a Parquet file"),
        (b'{"a": 1}\n', "JSON"),
        (b"<html>", "a web page"),
    ],
)
def test_a_file_of_another_kind_is_named(file: Path, data: bytes, what: str) -> None:
    file.write_bytes(data)
    with pytest.raises(TableError, match=f"this is {what}.* and no CSV file; export the table as CSV UTF-8"):
        read_table(file, "y")


@pytest.mark.parametrize(("mark", "name"), [("|", r"'\|'"), (":", "a colon"), (" ", "a space"), ("^", r"'\^'")])
def test_an_unknown_separator_is_named(file: Path, mark: str, name: str) -> None:
    file.write_text("age,bmi,y\n1,2,3\n".replace(",", mark))
    with pytest.raises(TableError, match=f"separated by {name}, which is none of a comma, a semicolon or a tab"):
        read_table(file, "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1;2;3\n", "line 2: 1 fields, .* this line is separated by semicolons and the header is not"),
        ("a,b,y\n51,2,20,9,3\n", "line 2: 5 fields, .* do decimal commas split numbers. write them with a decimal"),
        ("a,b,y\n1,2,3,4\n", "line 2: 4 fields, .* begin with a row number .R: row.names=FALSE"),
        ("a,b,y\n1,2,3\n,,\n", "line 3: all cells are empty; remove the line"),
        ("sep=;\na;y\n1;2\n", "line 1: 'sep=;' is a line for Excel; remove it"),
        ("a,Y\n1,2\n", "no column 'y'; there are 'a', 'Y'; for 'y', was 'Y' meant?"),
        (
            "a,y,\n1,2,\n3,4,\n",
            "line 1: column 3 has no name and holds nothing; remove it, or leave it out: --columns a",
        ),
    ],
)
def test_a_table_of_another_shape_is_refused_with_what_to_do(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(TableError, match=message):
        read_table(file, "y")


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (1, 2, 3, 4), (500, 501, 502, 503), (7, 3, 12, 0)])
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_column_of_row_numbers_is_told_and_may_be_left_out(file: Path, name: str, numbers: tuple[int, ...]) -> None:
    file.write_text(f"{name},a,b,y\n" + "".join(f"{number},1.5,2,3\n" for number in numbers))
    with pytest.raises(TableError, match=r"looks like a row number \(pandas: index=False.* out: --columns a,b"):
        read_table(file, "y")
    assert read_table(file, "y", columns=["a", "b"]).columns == ("a", "b")


def test_a_class_that_is_named_may_look_like_a_gap(file: Path) -> None:
    file.write_text("a,y\n1,high\n2,None\n")
    with pytest.raises(
        TableError, match=r"line 3, .* missing \('None'\); .* if it is a class, name all with --classes"
    ):
        read_table(file, "y", labelled=True)
    assert read_table(file, "y", labelled=True, classes=["None", "high"]).labels == ("high", "None")


def test_a_missing_class_is_refused_with_its_line(file: Path) -> None:
    file.write_text("a,y\n1,yes\n2,\n")
    with pytest.raises(TableError, match="line 3, column 'y': the class is missing"):
        read_table(file, "y", labelled=True)


def test_a_bad_input_beside_a_class_is_named(file: Path) -> None:
    file.write_text("y,a\nyes,1\nno,big\n")
    with pytest.raises(TableError, match="line 3, column 'a': 'big'"):
        read_table(file, "y", labelled=True)


def test_a_numeric_target_taken_for_classes_is_recognised(file: Path) -> None:
    file.write_text("a,y\n" + "".join(f"1,{i}.5\n" for i in range(1001)))
    with pytest.raises(TableError, match="line 1002, column 'y': more than 1000 different classes"):
        read_table(file, "y", labelled=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "q"], "no column 'q'; there are 'a', 'y'"),
        (["q", "a", "r"], "there are no columns 'q', 'r'; there are 'a', 'y'"),
        (["y"], "'y' cannot be an input"),
        ([], "besides the target"),
    ],
)
def test_a_bad_choice_of_columns_is_refused(file: Path, columns: list[str], message: str) -> None:
    file.write_text("a,y\n1,2\n")
    with pytest.raises(TableError, match=message):
        read_table(file, "y", columns=columns)


def test_to_predict_from_the_wanted_columns_alone_have_to_be_in_order(file: Path) -> None:
    file.write_text(",b,x,a,x\n0,2,?,1,text\n1,4,,3,\n")
    table = read_inputs(file, ("a", "b"))
    assert table.inputs.tolist() == [[1, 2], [3, 4]]
    assert (table.columns, table.unread) == (("a", "b"), ("", "x", "x"))
    assert table.values is None


def test_a_table_says_which_columns_were_not_read(file: Path) -> None:
    file.write_text("z,a,y,b\nid,2,3,4\n")
    assert read_table(file, "y", columns=["a"]).unread == ("z", "b")


def test_a_file_that_is_not_there_or_not_text_is_refused(file: Path) -> None:
    with pytest.raises(TableError, match="data.csv: cannot be read: No such file"):
        read_table(file, "y")
    file.write_bytes("a,y\n1,2\n".encode("utf-16"))
    with pytest.raises(TableError, match="line 1: not UTF-8 text"):
        read_table(file, "y")
    file.write_bytes(b"a,y\n" + b"1,2\n" * 5000 + b"3,\xff\n")
    with pytest.raises(TableError, match="line 5002: not UTF-8 text"):
        read_table(file, "y")


@given(
    rows=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=20,
    )
)
def test_numbers_are_read_as_they_were_written(rows: list[list[float]], tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.mktemp("numbers") / "data.csv"
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b", "y"], *rows])
    path.write_text(text.getvalue())
    table = read_table(path, "y")
    assert table.values is not None
    assert np.array_equal(np.column_stack([table.inputs, table.values]), np.array(rows))


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_otherwise(tmp_path_factory: object, text: str) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.mktemp("any") / "data.csv"
    path.write_bytes(b"a,y\n" + text.encode("utf-8", "replace"))
    for labelled in (False, True):
        with contextlib.suppress(TableError):
            assert read_table(path, "y", labelled=labelled).rows > 0


@given(rows=st.integers(0, 300), fraction=st.floats(0, 0.999), seed=st.integers(0, 2**64))
def test_the_held_out_rows_follow_from_the_seed_and_leave_rows_to_train(rows: int, fraction: float, seed: int) -> None:
    chosen = held_out(rows, fraction, seed)
    assert np.array_equal(chosen, held_out(rows, fraction, seed))
    assert chosen.shape == (rows,)
    if rows > 1 and fraction > 0:
        assert 1 <= chosen.sum() <= rows - 1
        assert abs(chosen.sum() - rows * fraction) <= 1
    else:
        assert chosen.sum() == 0


def test_the_held_out_rows_are_these_on_every_machine() -> None:
    assert np.flatnonzero(held_out(20, 0.25, 7)).tolist() == [0, 3, 10, 11, 13]
    assert not np.array_equal(held_out(100, 0.2, 1), held_out(100, 0.2, 2))


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_test_fraction_that_leaves_nothing_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and less than 1"):
        held_out(10, fraction, 0)

"""What a founder's columns are taken for, and how all members read them."""

import contextlib
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.learning.tables.columns import looks_like_an_id
from coterie.peer.learning.tables.schema import Schema, Wishes
from coterie.peer.learning.tables.table import Table, TableError, read_inputs, read_table

GAP = float("nan")
FOUNDER = Wishes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def read(file: Path, text: str, plan: Schema | Wishes = FOUNDER, **options: Any) -> Table:
    file.write_text(text)
    return read_table(file, "y", plan=plan, **options)


def refusal(file: Path, text: str, plan: Schema | Wishes = FOUNDER, **options: Any) -> str:
    with pytest.raises(TableError) as caught:
        read(file, text, plan, **options)
    return str(caught.value)


def columns(name: str, cells: list[str]) -> str:
    """A table with this column and a number."""
    return f"a,{name},y\n" + "".join(f"{row},{cell},1\n" for row, cell in enumerate(cells))


# Categories


def test_words_of_a_founder_s_table_become_levels(file: Path) -> None:
    table = read(file, columns("sex", ["f", "m"] * 6 + [""]))
    assert table.schema == Schema((("sex", ("f", "m")),))
    np.testing.assert_array_equal(table.inputs[:, 1], [0, 1] * 6 + [GAP])
    assert table.unagreed == ()


def test_levels_of_fewer_than_five_rows_are_not_published(file: Path) -> None:
    table = read(file, columns("ward", ["A"] * 5 + ["B"] * 5 + ["Smith"] * 4))
    assert table.schema.levels == (("ward", ("A", "B")),)
    assert table.inputs[:, 1].tolist() == [0] * 5 + [1] * 5 + [2] * 4
    (rare,) = table.unagreed
    assert (rare.column, rare.level, rare.line, rare.rows) == ("ward", "Smith", 12, 4)


def test_levels_that_a_founder_names_are_all_published_in_one_order(file: Path) -> None:
    wishes = Wishes({"ward": ("C", "B", "none", "C")})
    table = read(file, columns("ward", ["B", "D", "none", "?"]), wishes)
    assert table.schema.levels == (("ward", ("B", "C", "none")),)
    np.testing.assert_array_equal(table.inputs[:, 1], [0, 3, 2, GAP])


def test_a_founder_may_have_numbers_read_as_levels(file: Path) -> None:
    cells = ["1", "2.0", "02", "1.50", "x"] * 5
    assert read(file, columns("code", cells), Wishes({"code": ()})).schema.levels == (("code", ("1", "1.5", "2", "x")),)
    table = read(file, columns("code", cells), Wishes({"code": ("2", "1")}))
    assert table.inputs[:5, 1].tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([f"patient {row}" for row in range(12)], "it holds another text in each row: an id, or free text"),
        (["x", "z"] * 3, "it holds 2 different texts, none of them in 5 rows"),
        (
            [f"w{row % 51}" for row in range(255)],
            "it holds 51 different texts, each of which would stand in the genesis",
        ),
    ],
)
def test_texts_that_make_no_category_are_refused_with_what_to_do(file: Path, cells: list[str], told: str) -> None:
    message = refusal(file, columns("note", cells))
    assert message.startswith(f"data.csv, column 'note': {told}")
    assert message.endswith("leave the column out: --ignore note; or name its levels: --levels 'note=A,B,…'")


def test_a_word_among_numbers_is_a_typing_error_unless_the_founder_says_otherwise(file: Path) -> None:
    message = refusal(file, columns("code", ["1", "2", "x", "3"]))
    assert "line 4, column 'code': 'x' is not a number; correct a typing error" in message
    assert "read the column as categories: --levels code" in message


@pytest.mark.parametrize("cell", ["5 mg", "<3", "12:30", "-inf"])
def test_what_is_nearly_a_number_makes_no_category(file: Path, cell: str) -> None:
    assert "line 2, column 'dose': " in refusal(file, columns("dose", [cell] * 9))


def test_groups_of_numbers_are_levels_where_the_founder_says_so(file: Path) -> None:
    text = columns("group", ["<18", "18-64", "65+"] * 5)
    assert "write the number alone, without sign or unit, read the column as categories: --levels group" in refusal(
        file, text
    )
    assert read(file, text, Wishes({"group": ()})).schema.levels == (("group", ("18-64", "65+", "<18")),)


def test_a_joiner_s_unknown_level_counts_as_other_and_is_told(file: Path) -> None:
    agreed = Schema((("ward", ("A", "B")),))
    table = read(file, columns("ward", ["B", "Z", "A", "Z", "7", "NA"]), agreed)
    np.testing.assert_array_equal(table.inputs[:, 1], [1, 2, 0, 2, 2, GAP])
    told = {(one.level, one.line, one.rows) for one in table.unagreed}
    assert told == {("Z", 3, 2), ("7", 6, 1)}
    assert table.schema == agreed


def test_a_column_of_numbers_agreed_on_as_a_category_is_read_as_one(file: Path) -> None:
    table = read(file, columns("code", ["1", "2.0", "3"]), Schema((("code", ("1", "2")),)))
    assert table.inputs[:, 1].tolist() == [0, 1, 2]


def test_yes_and_no_may_be_levels_among_others(file: Path) -> None:
    table = read(file, columns("smokes", ["Yes", "no", "former"] * 5))
    assert table.schema.levels == (("smokes", ("former", "no", "yes")),)


# Gaps


def test_gaps_are_refused_until_the_founder_allows_them(file: Path) -> None:
    text = columns("bmi", ["20", "", "30"])
    assert "let it stand as the mean of all members (--gaps bmi)" in refusal(file, text)
    for wishes, schema in (
        (Wishes(gaps=("bmi",)), Schema(gaps=("bmi",))),
        (Wishes(gaps_anywhere=True), Schema(gaps_anywhere=True)),
    ):
        table = read(file, text, wishes)
        assert table.schema == schema
        np.testing.assert_array_equal(table.inputs[:, 1], [20, GAP, 30])


def test_a_joiner_has_gaps_only_where_they_are_agreed_on(file: Path) -> None:
    text = "a,b,y\n1,,1\n,2,1\n"
    assert "line 3, column 'a': the value is missing" in refusal(file, text, Schema(gaps=("b",)))
    np.testing.assert_array_equal(read(file, text, Schema(gaps=("a", "b"))).inputs, [[1, GAP], [GAP, 2]])


def test_a_target_has_no_gaps(file: Path) -> None:
    message = refusal(file, "a,y\n1,\n", Wishes(gaps_anywhere=True))
    assert message == "data.csv, line 2, column 'y': the value is missing; fill it in, or remove the row"


def test_yes_and_no_may_have_gaps(file: Path) -> None:
    table = read(file, columns("smokes", ["yes", "", "no"]), Wishes(gaps_anywhere=True))
    np.testing.assert_array_equal(table.inputs[:, 1], [1, GAP, 0])
    assert table.booleans == ("smokes",)


# Dates


def test_dates_become_days(file: Path) -> None:
    table = read(file, columns("seen", ["1970-01-02", "31.01.1970", "1970/02/01 12:00"]))
    assert table.schema == Schema(dates=("seen",))
    assert table.inputs[:, 1].tolist() == [1, 30, 31.5]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("03/04/2024", "'03/04/2024' does not show which part is the day and which the month; write it as 2024-01-31"),
        ("2023-02-29", "'2023-02-29' is a day that does not exist"),
        ("", "the value is missing"),
        ("soon", "'soon' is no date, as the others in this column are"),
        ("45000", "45000 is a number where the federation has dates; write dates such as 2024-01-31"),
    ],
)
def test_what_is_no_clear_date_among_dates_is_refused(file: Path, cell: str, told: str) -> None:
    message = refusal(file, columns("seen", ["2024-01-31", cell]), Schema(dates=("seen",)))
    assert message.startswith(f"data.csv, line 3, column 'seen': {told}")


def test_dates_among_numbers_are_refused(file: Path) -> None:
    assert "looks like a date or time" in refusal(file, columns("seen", ["2024-01-31", "7"]))


# Decimal commas


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_read_where_commas_separate_nothing(file: Path, separator: str) -> None:
    text = "a|b|y\n1,5|1.234,25|-0,125\n2|3 000,5|,5\n".replace("|", separator)
    table = read(file, text, Schema())
    assert table.inputs.tolist() == [[1.5, 1234.25], [2, 3000.5]]
    assert table.values is not None
    assert table.values.tolist() == [-0.125, 0.5]


def test_a_comma_that_may_stand_between_thousands_is_refused(file: Path) -> None:
    assert "'1,234' is not a number; write it with a decimal point" in refusal(file, "a;y\n1,234;1\n2;2\n", Schema())
    assert read(file, "a;b;y\n1,234;0,5;1\n", Schema()).inputs.tolist() == [[1.234, 0.5]]


def test_a_decimal_comma_in_a_number_beyond_all_bounds_is_refused(file: Path) -> None:
    assert "is not a number" in refusal(file, f"a;b;y\n0,5;{'9' * 400},5;1\n", Schema())


def test_points_among_decimal_commas_are_refused(file: Path) -> None:
    message = refusal(file, "a;b;y\n7;1,5;1\n1.234;2;2\n", Schema())
    told = "data.csv, line 3, column 'a': '1.234' has a point, and '1,5' in line 2 a decimal comma; write all numbers"
    assert message.startswith(told)


# Ids, and columns to ignore


@pytest.mark.parametrize(
    "name", ["id", "ID", "patient_id", "patientId", "PatientID", "sample id", "MRN", "Nr.", "uuid"]
)
def test_another_whole_number_in_each_row_under_such_a_name_is_an_id(name: str) -> None:
    assert looks_like_an_id(name, np.arange(10.0) * 7)
    assert not looks_like_an_id(name, np.arange(9.0))
    assert not looks_like_an_id(name, np.arange(10.0) / 4)
    assert not looks_like_an_id(name, np.zeros(10))


@pytest.mark.parametrize("name", ["age", "idle", "acid", "width", "paid", "price_index", "number_of_children", "ts"])
def test_numbers_under_other_names_are_no_ids(name: str) -> None:
    assert not looks_like_an_id(name, np.arange(100.0))


def test_an_id_is_refused_unless_it_is_named_as_an_input(file: Path) -> None:
    text = columns("patient_id", [str(1000 + row * 3) for row in range(20)])
    message = refusal(file, text)
    assert message == (
        "data.csv, column 'patient_id': it looks like an id: it is called so, and holds another whole number in each"
        " row; leave the column out: --ignore patient_id; or use it all the same: name all inputs with --columns"
    )
    assert read(file, text, ignore=["patient_id"]).columns == ("a",)
    assert read(file, text, columns=["a", "patient_id"]).columns == ("a", "patient_id")
    assert read(file, text, Schema()).columns == ("a", "patient_id")


def test_ignored_columns_may_hold_anything(file: Path) -> None:
    table = read(file, "Unnamed: 0,note,note,a,y\n0,x,,1,2\n1,z,?,3,4\n", ignore=["note", "Unnamed: 0"])
    assert (table.columns, table.unread) == (("a",), ("Unnamed: 0", "note", "note"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ignore": ["q"]}, "there is no column 'q'; there are 'a', 'y'"),
        ({"ignore": ["y"]}, "'y' cannot be the target and be ignored"),
        ({"ignore": ["a"]}, "there is no column besides the target 'y'"),
        ({"plan": Wishes({"A": ()})}, "there is no column 'A'; there are 'a'; for 'A', was 'a' meant?"),
        ({"plan": Wishes(gaps=("b",))}, "there is no column 'b'; there are 'a'"),
    ],
)
def test_columns_that_are_named_have_to_be_there(file: Path, options: Any, told: str) -> None:
    assert told in refusal(file, "a,y\n1,2\n", **options)


def test_to_predict_from_the_same_schema_holds(file: Path) -> None:
    file.write_text("seen,sex,bmi\n1970-01-02,f,\n1970-01-03,x,20\n")
    table = read_inputs(file, ("bmi", "seen", "sex"), Schema((("sex", ("f", "m")),), ("seen",), ("bmi",)))
    np.testing.assert_array_equal(table.inputs, [[GAP, 1, 0], [20, 2, 2]])


CELLS = st.sampled_from(["1", "2,5", "1.5", "x", "Yes", "NA", "", "2024-01-31", "3/4/2024", "5 mg", "(other)", "inf"])


@given(
    rows=st.lists(st.tuples(CELLS, st.text(max_size=5), CELLS), min_size=1, max_size=12),
    separator=st.sampled_from(",;"),
)
def test_whatever_a_founder_s_table_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], separator: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "data.csv"
    with path.open("w", newline="", errors="replace") as file:
        csv.writer(file, delimiter=separator).writerows([("a", "b", "y"), *(rows * 3)])
    for plan in (
        FOUNDER,
        Wishes({"a": ()}, gaps_anywhere=True),
        Schema((("a", ("1", "x")),), ("b",), gaps_anywhere=True),
    ):
        with contextlib.suppress(TableError):
            table = read_table(path, "y", labelled=True, plan=plan)
            features = table.schema.features(table.columns)
            assert table.features.shape == (table.rows, len(features))
            assert not np.isnan(table.features[:, [feature.kind != "value" for feature in features]]).any()
            assert read_table(path, "y", labelled=True, plan=table.schema).inputs.tobytes() == table.inputs.tobytes()

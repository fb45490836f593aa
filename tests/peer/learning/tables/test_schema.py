"""What the columns hold besides numbers: how it is written down, and which numbers a model gets for it."""

import json
from typing import Any

import numpy as np
import pytest

from coterie.peer.learning.table_models.task import Task, TaskMismatch, not_negative, schema_of, standard_from, sums_of
from coterie.peer.learning.tables.schema import Schema, read_schema

MIXED = Schema((("sex", ("f", "m")),), ("admitted",), ("age",))
COLUMNS = ("admitted", "age", "bmi", "sex")
GAP = float("nan")


def test_plain_numbers_go_into_the_model_as_they_are() -> None:
    inputs = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert Schema().encode(("a", "b"), inputs) is inputs
    assert [feature.name for feature in Schema().features(("a", "b"))] == ["a", "b"]


def test_a_category_becomes_a_column_for_each_level_for_others_and_for_gaps() -> None:
    schema = Schema((("sex", ("f", "m")),))
    names = [feature.name for feature in schema.features(("sex",))]
    assert names == ["sex=f", "sex=m", "sex=(other)", "sex=(missing)"]
    assert schema.encode(("sex",), np.array([[0.0], [1.0], [2.0], [GAP]])).tolist() == np.eye(4).tolist()


def test_a_number_that_may_be_missing_is_followed_by_a_mark_of_its_gaps() -> None:
    schema = Schema(gaps=("a",))
    assert [feature.name for feature in schema.features(("a", "b"))] == ["a", "a=(missing)", "b"]
    assert schema.gap_places(("a", "b")) == {0: 1}
    encoded = schema.encode(("a", "b"), np.array([[5.0, 1.0], [GAP, 2.0]]))
    np.testing.assert_array_equal(encoded, [[5, 0, 1], [GAP, 1, 2]])


def test_gaps_anywhere_are_marked_for_all_numbers_and_dates() -> None:
    schema = Schema((("sex", ("f", "m")),), ("admitted",), gaps_anywhere=True)
    assert schema.gap_places(COLUMNS) == {0: 1, 2: 3, 4: 5}


def test_a_schema_survives_its_own_text() -> None:
    for schema in (MIXED, Schema(gaps_anywhere=True), Schema(dates=("x",)), Schema((("a", ("1",)), ("b", ("x",))))):
        assert read_schema(json.loads(json.dumps(schema.fields()))) == schema


def test_plain_tables_are_described_as_they_always_were() -> None:
    text = '{"classes":[],"columns":["a","b"],"hidden":[],"kind":"linear","target":"y"}'
    assert Task("linear", "y", ("a", "b")).describe() == text
    assert Task("linear", "y", ("a", "b"), schema=Schema()).describe() == text


def test_a_mixed_table_is_described_with_its_levels() -> None:
    task = Task("linear", "y", COLUMNS, schema=MIXED)
    fields = json.loads(task.describe())
    assert fields["schema"] == {"dates": ["admitted"], "gaps": ["age"], "levels": {"sex": ["f", "m"]}}
    assert Task.adopt(task.describe(), COLUMNS, "b.csv") == task


@pytest.mark.parametrize(
    "fields",
    [
        {},
        [],
        {"unknown": []},
        {"levels": []},
        {"levels": {"sex": "fm"}},
        {"levels": {"sex": [1, 2]}},
        {"levels": {"sex": []}},
        {"levels": {"sex": ["f", "f"]}},
        {"levels": {"sex": ["f", "(other)"]}},
        {"dates": "admitted"},
        {"dates": [7]},
        {"dates": ["b", "a"]},
        {"gaps": False},
        {"gaps": ["a", "a"]},
        {"levels": {"sex": ["f"]}, "gaps": ["sex"]},
        {"gaps": ["a"], "medians": [1.0, 2.0]},
        {"gaps": ["a"], "medians": {"a": [1, 2]}},
        {"gaps": ["a"], "medians": {"a": [1.0]}},
        {"gaps": ["a"], "medians": {"a": [2.0, 1.0]}},
        {"gaps": ["a"], "medians": {"a": [1.0, 1.0]}},
        {"gaps": ["a"], "medians": {"a": [1.0, GAP]}},
        {"gaps": ["a"], "medians": {"a": [1.0, float("inf")]}},
        {"gaps": ["a"], "medians": {"a": [float(edge) for edge in range(33)]}},
        {"medians": {"a": [1.0, 2.0]}},
        {"dates": ["a"], "gaps": ["a"], "medians": {"a": [1.0, 2.0]}},
        {"levels": {"a": ["f"]}, "gaps": True, "medians": {"a": [1.0, 2.0]}},
    ],
)
def test_a_schema_that_is_none_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match="column"):
        read_schema(fields)
    with pytest.raises(TaskMismatch, match="cannot be used"):
        schema_of({"schema": fields})


def test_a_median_of_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="columns that the task does not have: b"):
        Task("linear", "y", ("a",), schema=Schema(gaps_anywhere=True, medians=(("b", (1.0, 2.0)),)))


def test_medians_survive_the_description_of_a_task() -> None:
    schema = Schema(gaps=("a", "b"), medians=(("b", (0.5, 1e9)),))
    task = Task("linear", "y", ("a", "b"), schema=schema)
    assert json.loads(task.describe())["schema"] == {"gaps": ["a", "b"], "medians": {"b": [0.5, 1e9]}}
    assert Task.adopt(task.describe(), ("a", "b"), "t.csv") == task


def test_edges_without_room_in_the_setup_sums_are_refused_with_the_room_there_is() -> None:
    names = tuple(sorted(f"c{number}" for number in range(1021)))
    schema = Schema(gaps=names[:1], medians=((names[0], tuple(map(float, range(8)))),))
    with pytest.raises(
        ValueError, match="--median: the bins have 8 edges, and beside 1022 numbers there is room for 7"
    ):
        Task("linear", "y", names, schema=schema)
    Task("linear", "y", names, schema=Schema(gaps=names[:1], medians=((names[0], tuple(map(float, range(7)))),)))


def test_a_schema_of_columns_that_are_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="columns that the task does not have: sex"):
        Task("linear", "y", ("a",), schema=Schema((("sex", ("f", "m")),)))


def test_more_numbers_than_a_model_takes_are_refused_with_what_to_do() -> None:
    columns = tuple(sorted(f"c{number}" for number in range(2500)))
    with pytest.raises(ValueError, match="2500 columns become 5000 numbers.*--gaps.*--ignore"):
        Task("linear", "y", columns, schema=Schema(gaps_anywhere=True))


@pytest.mark.parametrize("columns", [1, 1500])
def test_the_mean_and_the_spread_are_those_of_the_values_that_are_there(columns: int) -> None:
    """With 1500 columns the sums are floats, no exact digits."""
    names = tuple(sorted(f"c{number}" for number in range(columns)))
    task = Task("linear", "y", names, schema=Schema(gaps=names[:1]))
    random = np.random.default_rng(0)
    tables = [random.normal(40, 5, size=(rows, columns)) for rows in (30, 50)]
    for table in tables:
        table[random.random(len(table)) < 0.4, 0] = GAP
    parts = [sums_of(task, task.schema.encode(names, table), np.ones(len(table))) for table in tables]
    standard = standard_from(task, np.sum(parts, axis=0).tolist())
    first = np.concatenate(tables)[:, 0]
    known = first[~np.isnan(first)]
    assert standard.mean[0] == pytest.approx(known.mean(), rel=1e-9)
    assert standard.scale[0] == pytest.approx(known.std(), rel=1e-6)
    assert standard.mean[1] == pytest.approx(np.isnan(first).mean())


def test_a_gap_stands_as_the_mean_of_all_members() -> None:
    task = Task("linear", "y", ("a",), schema=Schema(gaps=("a",)))
    raw = task.schema.encode(("a",), np.array([[1.0], [GAP], [5.0]]))
    standard = standard_from(task, sums_of(task, raw, np.array([1.0, 2.0, 3.0])))
    assert standard.mean[0] == 3
    assert standard.inputs(raw)[:, 0].tolist() == [-1, 0, 1]


def test_a_gap_stands_as_the_median_of_all_members_and_nothing_else_changes() -> None:
    edges = (0.0, 2.0, 4.0, 100.0)
    task = Task("linear", "y", ("a",), schema=Schema(gaps=("a",), medians=(("a", edges),)))
    tables = [np.array([[1.0], [GAP], [3.0]]), np.array([[3.5], [92.5]])]
    parts = [task.schema.encode(("a",), table) for table in tables]
    totals = np.sum([sums_of(task, part, np.arange(len(part))) for part in parts], axis=0).tolist()
    assert totals[-4:] == [0, 1, 3, 4]
    standard = standard_from(task, totals)
    assert standard.mean[0] == 25
    assert standard.fill is not None
    assert standard.fill.tolist() == [3, standard.mean[1]]  # two of four values are in the bins below 4: half of 2 to 4
    known = standard.inputs(parts[0])
    assert known[1, 0] * standard.scale[0] + standard.mean[0] == pytest.approx(3)
    plain = Task("linear", "y", ("a",), schema=Schema(gaps=("a",)))
    same = standard_from(plain, totals[:-4]).inputs(parts[0])
    np.testing.assert_array_equal(known[[0, 2]], same[[0, 2]])
    np.testing.assert_array_equal(known[:, 1], same[:, 1])


@pytest.mark.parametrize("lie", [[3, 2], [-1, 2], [1, 5], [0.5, 2]])
def test_numbers_of_rows_in_bins_that_no_rows_have_are_refused(lie: list[float]) -> None:
    task = Task("linear", "y", ("a",), schema=Schema(gaps=("a",), medians=(("a", (1.0, 2.0)),)))
    sums = sums_of(task, task.schema.encode(("a",), np.array([[1.0], [2.0], [3.0]])), np.arange(3.0))
    assert sums[-2:] == [0, 1]
    with pytest.raises(ValueError, match="no rows can have these setup sums"):
        standard_from(task, [*sums[:-2], *lie])
    with pytest.raises(ValueError, match="setup sums do not belong"):
        standard_from(task, sums[:-1])


def test_counts_in_bins_are_proved_not_to_be_negative() -> None:
    task = Task("linear", "y", ("a",), schema=Schema(gaps=("a",), medians=(("a", (1.0, 2.0)),)))
    sums = sums_of(task, task.schema.encode(("a",), np.array([[1.0], [2.0]])), np.arange(2.0))
    assert not_negative(task)[-2:] == [len(sums) - 2, len(sums) - 1]


def test_a_column_of_nothing_but_gaps_is_ignored() -> None:
    task = Task("linear", "y", ("a",), schema=Schema(gaps=("a",)))
    raw = task.schema.encode(("a",), np.full((3, 1), GAP))
    standard = standard_from(task, sums_of(task, raw, np.array([1.0, 2.0, 3.0])))
    assert standard.scale.tolist() == [0, 0]
    assert standard.inputs(raw).tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("gaps", [-1, 4, 3, 0.5])
def test_numbers_of_gaps_that_no_rows_have_are_refused(gaps: float) -> None:
    task = Task("logistic", "y", ("a",), classes=("n", "y"), schema=Schema(gaps=("a",)))
    marks = np.array([[1.0, gaps], [2.0, 0.0], [3.0, 0.0]])
    with pytest.raises(ValueError, match="no rows can have these setup sums"):
        standard_from(task, sums_of(task, marks, None))


def test_a_rare_level_stands_as_at_most_ten() -> None:
    task = Task("linear", "y", ("sex",), schema=Schema((("sex", ("f", "m")),)))
    codes = np.zeros((100_000, 1))
    codes[7] = 1
    raw = task.schema.encode(("sex",), codes)
    standard = standard_from(task, sums_of(task, raw, np.arange(100_000.0)))
    assert np.abs(standard.inputs(raw)).max() == pytest.approx(10, rel=1e-3)

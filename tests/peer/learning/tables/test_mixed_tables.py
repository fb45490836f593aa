"""Tables with categories, gaps and dates: what is agreed on, what joiners are told, and what is learned."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from averaging import evaluated, federate

from coterie.peer.learning.arrays import unflatten
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.survey import summary
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import TaskMismatch
from coterie.peer.learning.tables.schema import Schema, Wishes
from coterie.peer.learning.tables.table import TableError

HEADER = "age,ward,seen,y\n"
EFFECTS = {"A": 0.0, "B": 40.0, "C": -40.0}


def site(path: Path, seed: int, wards: Sequence[str] = "ABC", rows: int = 200, gaps: float = 0.2) -> Path:
    """A table of which the ward says most, the age something where it is known, and the day a little."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(rows):
        age, ward, day = random.integers(20, 90), wards[int(random.integers(len(wards)))], random.integers(1, 29)
        value = EFFECTS.get(ward, 0.0) + 0.5 * age + 0.1 * day + random.normal(0, 1)
        lines.append(f"{'' if random.random() < gaps else age},{ward},2024-01-{day:02},{value:.3f}\n")
    path.write_text(HEADER + "".join(lines))
    return path


@pytest.fixture
def founder(tmp_path: Path) -> TableApp:
    return TableApp.found(site(tmp_path / "1.csv", 1), "y", "linear", wishes=Wishes(gaps=("age",)))


def test_the_founder_s_table_says_for_all_what_each_column_is(founder: TableApp, tmp_path: Path) -> None:
    expected = Schema((("ward", ("A", "B", "C")),), ("seen",), ("age",))
    assert founder.task.schema == expected
    assert json.loads(founder.describe())["schema"]["levels"] == {"ward": ["A", "B", "C"]}
    joiner = TableApp.adopt(founder.describe(), site(tmp_path / "2.csv", 2, "AB"))
    assert joiner.task == founder.task
    assert joiner.describe() == founder.describe()
    assert Learner(joiner).shapes == Learner(founder).shapes == ((8, 1), (1,))
    assert len(joiner.setup()) == len(founder.setup())


def test_levels_that_only_one_site_has_and_gaps_are_learned_from(founder: TableApp, tmp_path: Path) -> None:
    apps = [founder]
    apps += [TableApp.adopt(founder.describe(), site(tmp_path / f"{n}.csv", n, "AB")) for n in (2, 3)]
    weights, _ = federate(apps, 30)
    loss, *_ = evaluated(apps, weights)
    values = np.concatenate([app.table.values for app in apps if app.table.values is not None])
    # A gap costs what the age says: 0.5 * 20 years, in a fifth of the rows.
    assert loss < 0.2 * 10.5**2 + 3
    assert values.var() > 400
    rows = np.array([[50.0, 2.0, 19737.0], [50.0, 1.0, 19737.0], [np.nan, 0.0, 19737.0]])
    first, second, third = founder.predict(unflatten(weights, Learner(founder).shapes), rows[:, [0, 2, 1]])
    assert second - first == pytest.approx(80, abs=3)
    assert third == pytest.approx(0.5 * 55 + 1.4, abs=4)


def test_the_model_with_categories_is_as_good_as_on_the_pooled_rows(tmp_path: Path) -> None:
    paths = [site(tmp_path / f"{n}.csv", n, wards, gaps=0) for n, wards in ((1, "ABC"), (2, "AB"), (3, "C"))]
    one = TableApp.found(paths[0], "y", "linear")
    apps = [one, *(TableApp.adopt(one.describe(), path) for path in paths[1:])]
    federated = evaluated(apps, federate(apps, 30)[0])[0]
    lines = [path.read_text().splitlines()[1:] for path in paths]
    kept = [
        line
        for app, each in zip(apps, lines, strict=True)
        for line, tested in zip(each, app.tested, strict=True)
        if not tested
    ]
    (tmp_path / "all.csv").write_text(HEADER + "\n".join(kept) + "\n")
    pooled = TableApp.found(tmp_path / "all.csv", "y", "linear", test_fraction=0)
    assert pooled.task.schema == one.task.schema
    weights, _ = federate([pooled], 30)
    for app in apps:
        app.prepare(pooled.setup())
    assert federated < 1.05 * evaluated(apps, weights)[0]


def test_a_joiner_with_an_unknown_level_takes_part_and_is_told_what_to_do(founder: TableApp, tmp_path: Path) -> None:
    joiner = TableApp.adopt(founder.describe(), site(tmp_path / "2.csv", 2, ("A", "Ward B", "b"), rows=50))
    federate([founder, joiner], 1)
    told = summary(joiner).splitlines()
    lines = [line for line in told if "none of the levels agreed on (A, B, C) and counts as any other" in line]
    assert len(lines) == 2
    spelling = next(line for line in lines if "'b'" in line)
    assert spelling.startswith("2.csv, line ")
    assert "column 'ward': 'b' (" in spelling
    assert spelling.endswith("counts as any other (was 'B' meant?)")
    (option,) = [line for line in told if "--levels" in line]
    assert option.startswith("2.csv: correct them, or found the federation with --levels 'ward=A,B,C,")
    assert sorted(option.rpartition("=")[2].strip("'").split(",")) == ["A", "B", "C", "Ward B", "b"]


def test_a_joiner_sees_what_was_agreed_on(founder: TableApp, tmp_path: Path) -> None:
    told = summary(TableApp.adopt(founder.describe(), site(tmp_path / "2.csv", 2)))
    assert "column 'ward' is a category of 3 levels (A, B, C), which all members read in the genesis" in told
    assert "dates, as days since 1970-01-01: seen" in told
    assert "a gap stands as the mean of all members, and is marked for the model, in age" in told


def test_a_joiner_sees_the_median_that_the_founder_chose_and_shares_it(tmp_path: Path) -> None:
    wishes = Wishes(medians={"age": (20.0, 40.0, 60.0, 90.0)})
    founder = TableApp.found(site(tmp_path / "1.csv", 1), "y", "linear", wishes=wishes)
    joiner = TableApp.adopt(founder.describe(), site(tmp_path / "2.csv", 2))
    assert joiner.task == founder.task
    told = "a gap stands as the median of all members, and is marked for the model, in column 'age'; all members learn"
    for app in (founder, joiner):
        assert f"{told} how many of all rows are below each of 20, 40, 60, 90" in summary(app)
        assert "as the mean of all members" not in summary(app)
    totals = np.sum([app.setup() for app in (founder, joiner)], axis=0).tolist()
    for app in (founder, joiner):
        app.prepare(totals)
        assert app.standard is not None
        assert app.standard.fill is not None
    ages = np.concatenate([app.table.inputs[~app.tested, 0] for app in (founder, joiner)])
    assert founder.standard is not None
    assert founder.standard.fill is not None
    assert founder.standard.fill[0] == pytest.approx(np.nanmedian(ages), abs=2)
    weights, _, _ = founder.fit(founder.initial(), 1)
    assert all(np.isfinite(array).all() for array in weights)


@pytest.mark.parametrize(("column", "what"), [("seen", "dates"), ("ward", "a category")])
def test_a_median_of_what_is_no_number_is_refused_by_name(tmp_path: Path, column: str, what: str) -> None:
    told = f"1.csv, column '{column}': it holds {what}, and only numbers have a median; leave it out of --median"
    with pytest.raises(TableError, match=told):
        TableApp.found(site(tmp_path / "1.csv", 1, gaps=0), "y", "linear", wishes=Wishes(medians={column: (1.0, 2.0)}))


def test_a_joiner_s_gap_where_none_is_agreed_on_is_refused_with_its_place(tmp_path: Path) -> None:
    founder = TableApp.found(site(tmp_path / "1.csv", 1, gaps=0), "y", "linear")
    (tmp_path / "2.csv").write_text(f"{HEADER}50,A,2024-01-01,1\n,B,2024-01-02,2\n")
    told = "2.csv, line 3, column 'age': the value is missing; fill it in, or remove the row; only a founder can allow"
    with pytest.raises(TableError, match=told):
        TableApp.adopt(founder.describe(), tmp_path / "2.csv")


@pytest.mark.parametrize("cell", ["old", "2024-01-31"])
def test_a_joiner_s_text_where_all_have_numbers_is_refused_with_what_was_agreed_on(tmp_path: Path, cell: str) -> None:
    founder = TableApp.found(site(tmp_path / "1.csv", 1, gaps=0), "y", "linear")
    (tmp_path / "2.csv").write_text(f"{HEADER}50,A,2024-01-01,1\n{cell},B,2024-01-02,2\n")
    told = (
        f"line 3, column 'age': '{cell}' is not a number.*; write a number, as all members agreed to do in this column"
    )
    with pytest.raises(TableError, match=told):
        TableApp.adopt(founder.describe(), tmp_path / "2.csv")


def test_a_joiner_s_word_beside_yes_and_no_is_refused_with_what_may_stand_there(tmp_path: Path) -> None:
    founder = TableApp.found(site(tmp_path / "1.csv", 1, gaps=0), "y", "linear")
    (tmp_path / "2.csv").write_text(f"{HEADER}yes,A,2024-01-01,1\nmaybe,B,2024-01-02,2\n0,B,2024-01-02,2\n")
    told = "line 3, column 'age': 'maybe' is neither yes nor no, .*; write yes or no .*, or remove the row$"
    with pytest.raises(TableError, match=told):
        TableApp.adopt(founder.describe(), tmp_path / "2.csv")


def test_columns_that_the_federation_lacks_are_named_once_whatever_they_hold(tmp_path: Path) -> None:
    founder = TableApp.found(site(tmp_path / "1.csv", 1, gaps=0), "y", "linear")
    (tmp_path / "2.csv").write_text("age,note,seen,ward,y\n" + "50,any text,2024-01-01,A,1\n60,,2024-01-02,B,2\n" * 4)
    with pytest.raises(TaskMismatch, match="2.csv has 'note' that the federation lacks: --ignore note$"):
        TableApp.adopt(founder.describe(), tmp_path / "2.csv")
    assert TableApp.adopt(founder.describe(), tmp_path / "2.csv", ignore=["note"]).task == founder.task


def test_a_joiner_without_a_category_of_the_federation_is_refused(founder: TableApp, tmp_path: Path) -> None:
    (tmp_path / "2.csv").write_text("age,seen,y\n50,2024-01-01,1\n60,2024-01-02,2\n")
    with pytest.raises(TaskMismatch, match="the federation has 'ward' that 2.csv lacks"):
        TableApp.adopt(founder.describe(), tmp_path / "2.csv")


def test_a_level_that_nobody_has_and_gaps_that_nobody_has_are_no_constant_columns(tmp_path: Path) -> None:
    founder = TableApp.found(site(tmp_path / "1.csv", 1, "AB", gaps=0), "y", "linear", wishes=Wishes(gaps=("age",)))
    founder.prepare(founder.setup())
    assert founder.constant_columns == ()
    (tmp_path / "2.csv").write_text(HEADER + "50,A,2024-01-01,1\n60,A,2024-01-01,2\n" * 5)
    same = TableApp.found(tmp_path / "2.csv", "y", "linear")
    same.prepare(same.setup())
    assert same.constant_columns == ("seen", "ward")


def test_a_typing_error_beside_gaps_is_found(tmp_path: Path) -> None:
    path = site(tmp_path / "1.csv", 1)
    path.write_text(path.read_text() + "99999,A,2024-01-03,50\n")
    app = TableApp.found(path, "y", "linear", wishes=Wishes(gaps=("age",)))
    (own,) = app.own_outliers()
    assert own.startswith("line 202, column 'age': 99999 is ")
    app.prepare(app.setup())
    assert len(app.outliers) == 1


def test_a_date_far_from_the_others_is_told_as_a_date_and_no_date_as_an_id(tmp_path: Path) -> None:
    days = [f"{date(2024, 1, 1) + timedelta(days=row)},{row % 7},{row}\n" for row in range(120)]
    (tmp_path / "1.csv").write_text("seen,a,y\n" + "".join(days) + "2204-01-03,3,50\n")
    told = summary(TableApp.found(tmp_path / "1.csv", "y", "linear"))
    assert "1.csv, line 122, column 'seen': 2204-01-03 is " in told
    assert "standard deviations from the mean of the other rows, 2024-02-29: a typing error?" in told
    assert "an id?" not in told


def test_a_column_with_gaps_that_is_too_large_to_sum_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,y\n,1\n3,2\n1e19,3\n")
    with pytest.raises(TableError, match="line 4, column 'a': 1e\\+19 is too large to sum"):
        TableApp.found(tmp_path / "1.csv", "y", "linear", wishes=Wishes(gaps=("a",)))


def test_too_many_levels_for_the_genesis_are_refused_with_what_to_do(tmp_path: Path) -> None:
    levels = tuple(f"a rather long name of level {number}" for number in range(200))
    with pytest.raises(ValueError, match="over 4096; .* name fewer levels of categories with --levels"):
        TableApp.found(site(tmp_path / "1.csv", 1), "y", "linear", wishes=Wishes({"ward": levels}, gaps_anywhere=True))

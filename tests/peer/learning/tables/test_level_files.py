"""Levels of other sites: what a site's file holds, what a founder makes of it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from coterie.peer.errors import PeerError
from coterie.peer.home.settings import Settings
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.tables.level_files import MAX_LEVEL_LETTERS, level_file, read_level_file
from coterie.peer.learning.tables.schema import MIN_LEVEL_ROWS
from coterie.peer.learning.tables.sharing_levels import shared_levels
from coterie.peer.learning.tables.troubles import TableError
from coterie.peer.training.trainer import founder_learner


def table(path: Path, wards: dict[str, int]) -> Path:
    """A table with so many rows of each ward."""
    each = [ward for ward, rows in wards.items() for _ in range(rows)]
    path.write_text("age,ward,y\n" + "".join(f"{20 + row},{ward},{row / 7}\n" for row, ward in enumerate(each)))
    return path


def file_of(path: Path, levels: Any) -> Path:
    path.write_text(json.dumps({"coterie": "levels", "version": 1, "levels": levels}))
    return path


def test_a_file_holds_names_of_frequent_levels_and_nothing_else(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {"B": 5, "A": 12, "rare": 4, "": 6})
    text, notes = shared_levels(str(path), ["ward"], MIN_LEVEL_ROWS)
    assert json.loads(text) == {"coterie": "levels", "version": 1, "levels": {"ward": ["A", "B"]}}
    assert notes == [
        "t.csv, column 'ward': the founder would read 2 levels: A, B; 1 in fewer than 5 rows is left out",
    ]
    assert json.loads(shared_levels(str(path), ["ward"], 6)[0])["levels"] == {"ward": ["A"]}


def test_numbers_are_shared_as_levels_in_their_one_spelling(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {"1.0": 5, "02": 6, "x": 1})
    assert json.loads(shared_levels(str(path), ["ward"], 5)[0])["levels"] == {"ward": ["1", "2"]}


def test_a_file_survives_being_read(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(level_file({"ward": ("A", "Århus"), "sex": ("f",)}), "utf-8")
    assert read_level_file(path) == {"ward": ("A", "Århus"), "sex": ("f",)}


@pytest.mark.parametrize("ward", ["two\nlines", "x" * (MAX_LEVEL_LETTERS + 1), "bell\x07"])
def test_a_level_that_cannot_be_shared_is_refused_by_its_column(tmp_path: Path, ward: str) -> None:
    path = table(tmp_path / "t.csv", {"A": 9, f'"{ward}"': 9})
    with pytest.raises(TableError, match="column 'ward': .* cannot be shared as the name of a level") as refused:
        shared_levels(str(path), ["ward"], 5)
    assert "\n" not in str(refused.value)
    assert "\x07" not in str(refused.value)


def test_a_column_of_free_text_is_not_shared(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", {f"note {number}": 1 for number in range(30)})
    with pytest.raises(TableError, match="column 'ward': it holds another text in each row"):
        shared_levels(str(path), ["ward"], 5)


# The founder


def founded(tmp_path: Path, *files: Path, **options: Any) -> Learner:
    path = table(tmp_path / "founder.csv", {"A": 20, "B": 9, "C": 1})
    settings = Settings(data=str(path), target="y", levels_from=tuple(map(str, files)), **options)
    return founder_learner(settings)


def test_the_levels_of_all_sites_stand_in_the_genesis_and_decide_the_shapes(tmp_path: Path) -> None:
    files = [file_of(tmp_path / f"{name}.json", {"ward": levels}) for name, levels in (("n", ["D", "A"]), ("s", ["E"]))]
    learner = founded(tmp_path, *files)
    assert json.loads(learner.descriptor)["schema"]["levels"] == {"ward": ["A", "B", "D", "E"]}
    assert learner.shapes == ((7, 1), (1,))
    assert founded(tmp_path, *reversed(files)).descriptor == learner.descriptor
    joiner = TableApp.adopt(learner.descriptor, table(tmp_path / "j.csv", {"D": 9, "E": 4, "F": 2}))
    assert joiner.task == learner.app.task
    assert [one.level for one in joiner.table.unagreed] == ["F"]


def test_codes_are_categories_once_a_site_shares_them_as_levels(tmp_path: Path) -> None:
    path = table(tmp_path / "founder.csv", {"1": 20, "2": 9})
    file = file_of(tmp_path / "n.json", {"ward": ["3"]})
    learner = founder_learner(Settings(data=str(path), target="y", levels_from=(str(file),)))
    assert json.loads(learner.descriptor)["schema"]["levels"] == {"ward": ["1", "2", "3"]}


def test_levels_named_for_a_column_and_collected_ones_are_refused_together(tmp_path: Path) -> None:
    file = file_of(tmp_path / "n.json", {"ward": ["D"]})
    with pytest.raises(PeerError, match="--levels ward=….*leave one of the two out"):
        founded(tmp_path, file, levels=("ward=A,B",))
    same = founded(tmp_path, file, levels=("ward",))
    assert json.loads(same.descriptor)["schema"]["levels"] == {"ward": ["A", "B", "D"]}


def test_levels_of_a_column_that_the_founder_lacks_are_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="there is no column 'drug'"):
        founded(tmp_path, file_of(tmp_path / "n.json", {"drug": ["D"]}))


def test_more_levels_than_a_column_has_room_for_are_refused_with_what_to_do(tmp_path: Path) -> None:
    files = [
        file_of(tmp_path / f"{site}.json", {"ward": [f"{site}{number}" for number in range(40)]}) for site in ("n", "s")
    ]
    with pytest.raises(PeerError, match="column 'ward': with those of --levels-from it has 82 levels, and at most 50"):
        founded(tmp_path, *files)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([], "these are no names of levels of version 1"),
        ({}, "1 to 100 are possible"),
        ({f"c{number}": ["A"] for number in range(101)}, "1 to 100 are possible"),
        ({"a\nb": ["A"]}, r"'a\nb' cannot be the name of a column"),
        ({"": ["A"]}, "'' cannot be the name of a column"),
        ({"ward": "A"}, "n.json, column 'ward': a list of 1 to 50 levels is needed"),
        ({"ward": []}, "a list of 1 to 50 levels is needed"),
        ({"ward": [str(number) for number in range(51)]}, "a list of 1 to 50 levels is needed"),
        ({"ward": [1]}, "1 is no level: it is no text"),
        ({"ward": [["A"]]}, "is no level: it is no text"),
        ({"ward": ["A", "A"]}, "a level stands twice"),
        ({"ward": [""]}, "'' is no level: it is empty"),
        ({"ward": ["x\ny"]}, r"'x\ny' is no level: it is empty, or holds a line break"),
        ({"ward": ["\u202eevil"]}, "is no level: it is empty, or holds a line break or control character"),
        ({"ward": ["x" * 201]}, "it is longer than 200 letters"),
        ({"ward": ["NA"]}, "'NA' is no level: it stands for a gap"),
        ({"ward": ["(other)"]}, "it stands for a gap, or for all other levels"),
        ({"ward": ["1.0"]}, "'1.0' is no level: it is written '1'"),
        ({"ward": [" A"]}, "' A' is no level: it is written 'A'"),
    ],
)
def test_what_is_no_list_of_levels_is_refused_with_file_column_and_level(
    tmp_path: Path, levels: Any, told: str
) -> None:
    file = file_of(tmp_path / "n.json", levels)
    with pytest.raises(TableError) as refused:
        read_level_file(file)
    assert told in str(refused.value)
    assert str(refused.value).startswith("n.json")
    assert "\n" not in str(refused.value)
    with pytest.raises(PeerError, match="--levels-from n.json"):
        founded(tmp_path, file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age,ward\n1,A\n",
        "[]",
        "[" * 100_000,
        '{"levels": {"ward": ["A"]}}',
        '{"coterie": "levels", "version": 2, "levels": {"ward": ["A"]}}',
        '{"coterie": "levels", "version": 1, "levels": {"ward": ["A"]}, "rows": 7}',
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "n.json").write_text(text)
    with pytest.raises(TableError, match="n.json: these are no names of levels of version 1"):
        read_level_file(tmp_path / "n.json")


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    file_of(tmp_path / "n.json", {"ward": ["A" * 300_000]})
    with pytest.raises(TableError, match="it has more than 262,144 bytes"):
        read_level_file(tmp_path / "n.json")
    with pytest.raises(TableError, match="cannot be read"):
        read_level_file(tmp_path / "none.json")

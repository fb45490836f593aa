"""`peer data check`: all that would be refused and what each column becomes, without a home or a federation."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from members import identity, make_genesis

from coterie.peer.cli.main import main
from coterie.peer.errors import Exit
from coterie.peer.federation.invites import new_invite
from coterie.peer.federation.preview import genesis_of
from coterie.peer.home.facts import GENESIS
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store
from coterie.peer.learning.tables.level_files import read_level_file
from coterie.peer.learning.tables.schema import MIN_LEVEL_ROWS
from coterie.peer.training.trainer import founder_learner

Check = Callable[..., tuple[int, list[str]]]

GOOD = "age,smokes,site,y\n" + "".join(f"{20 + row},{('yes', 'no')[row % 2]},7,{row / 4}\n" for row in range(20))
TARGET = "target 'y', a number from 0 to 4.75"


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Write a table, check it, and return the exit code and the lines."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *words: str) -> tuple[int, list[str]]:
        Path("t.csv").write_text(text)
        code = main(("data", "check", "t.csv", *words))
        return code, capsys.readouterr().out.splitlines()

    return run


def test_a_good_table_is_summed_up_with_what_each_column_becomes(check: Check) -> None:
    assert check(GOOD, "--target", "y") == (
        Exit.OK,
        [
            f"t.csv: 20 rows, 16 to train on and 4 to test; 3 inputs (age, site, smokes); {TARGET}; model linear",
            "  age: 20 to 39, mean 29.5",
            "  site: 7 in all rows: ignored unless other members have other values",
            "  smokes: yes or no, as 1 and 0; 0 to 1, mean 0.5",
            f"  {TARGET}",
        ],
    )


def test_all_troubles_are_listed_beside_what_the_other_columns_become(check: Check) -> None:
    code, lines = check("a,b,y\n1,x,3\n2,NA,4\n3,5,?\n", "--target", "y")
    assert code == Exit.DATA
    assert lines[:4] == [
        "t.csv: 3 things to mend",
        "  line 2, column 'b': 'x' is not a number",
        "  line 3, column 'b': the value is missing ('NA')",
        "  line 4, column 'y': the value is missing ('?')",
    ]
    assert lines[-3:] == [
        "  a: 1 to 3, mean 2",
        "  b: refused for 2 of 3 cells",
        "  target 'y': refused for 1 of 3 cells",
    ]


def test_without_a_target_all_columns_are_read_as_inputs(check: Check) -> None:
    code, lines = check("a,y\n1,2\n3,4\n")
    assert code == Exit.OK
    assert "to check the column to predict as well, add --target COLUMN" in lines[0]
    assert lines[1:] == ["  a: 1 to 3, mean 2", "  y: 2 to 4, mean 3"]


def test_what_a_founder_would_be_asked_is_told(check: Check) -> None:
    code, lines = check("a,y\n" + "1,0\n2,1\n" * 9, "--target", "y")
    assert code == Exit.DATA
    assert "to predict a class, give --model logistic" in lines[0]
    assert check("a,y\n" + "1,0\n2,1\n" * 9, "--target", "y", "--model", "logistic")[0] == Exit.OK


def test_a_file_that_is_no_table_is_told_so(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    told = "t.csv: this is a Parquet file and no CSV file; export the table as CSV UTF-8, or install what reads it: "
    assert check("PAR1", "--target", "y") == (Exit.DATA, [f"{told}pip install 'coterie[parquet]'"])


def test_scripts_get_the_same_as_json(check: Check) -> None:
    code, lines = check("a,y\n1,2\n,4\n", "--target", "y", "--json")
    told = json.loads("\n".join(lines))
    assert code == Exit.DATA
    assert not told["usable"]
    assert told["refused"][1] == "  line 3, column 'a': the value is missing"
    assert told["columns"] == ["a: refused for 1 of 2 cells", "target 'y', a number from 2 to 4"]


def test_with_a_home_the_table_is_compared_with_its_federation(check: Check, tmp_path: Path) -> None:
    (tmp_path / "founder.csv").write_text(GOOD)
    learner = founder_learner(Settings(data=str(tmp_path / "founder.csv"), target="y"))
    genesis = make_genesis(model=learner.descriptor, shapes=learner.shapes, setup_sums=len(learner.setup()))
    (tmp_path / "home").mkdir(mode=0o700)
    with Store.open(tmp_path / "home") as store:
        store.keep(GENESIS, genesis.encode())
    assert check(GOOD, "--home", "home")[0] == Exit.OK
    code, lines = check(GOOD.replace("smokes", "drinks"), "--home", "home")
    assert code == Exit.MODEL
    assert "the federation has 'smokes' that t.csv lacks; t.csv has 'drinks' that the federation lacks" in lines[0]


def test_an_invite_whose_members_do_not_answer_is_told(
    check: Check, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coterie.peer.federation.preview.genesis_of", functools.partial(genesis_of, seconds=0.5))
    expires = time.time_ns() // 1_000_000 + 60_000
    invite = new_invite(identity(0), b"f" * 32, ["/ip4/127.0.0.1/tcp/1"], expires, 1)
    assert main(("data", "check", "t.csv", "--invite", invite)) == Exit.UNREACHABLE
    assert "no member could be reached within 0.5 s, at /ip4/127.0.0.1/tcp/1" in capsys.readouterr().err
    assert main(("data", "check", "t.csv", "--invite", invite[:-3])) == Exit.INVITE
    assert main(("data", "check", "t.csv", "--invite", invite, "--home", "home")) == Exit.USAGE


MIXED = "age,sex,seen,bmi,y\n" + "".join(
    f"{20 + row % 30},{'fm'[row % 2]},2024-01-{1 + row % 28:02},{'' if row % 3 == 0 else 20 + row / 8},{row / 4}\n"
    for row in range(30)
)


def test_what_becomes_of_categories_dates_and_gaps_is_told(check: Check) -> None:
    code, lines = check(MIXED, "--target", "y", "--gaps")
    assert code == Exit.OK
    assert lines[-5:] == [
        "  age: 20 to 49, mean 34.5",
        "  bmi: 20.125 to 23.625, mean 21.875; 10 gaps stand as the mean of all members, and are marked",
        "  seen: dates from 2024-01-01 to 2024-01-28, as days since 1970-01-01",
        "  sex: a category of 2 levels (f, m), a column of 0 and 1 for each",
        "  target 'y', a number from 0 to 7.25",
    ]
    code, lines = check(MIXED.replace("m,", "male,", 3), "--target", "y")
    assert code == Exit.DATA
    assert lines[0] == "t.csv: 10 things to mend"
    told = "  what to do: fill it in, remove the row, let it stand as the mean of all members (--gaps bmi), or leave"
    assert f"{told} the column out: --columns age,seen,sex" in lines
    sex = "  sex: a category of 2 levels (f, m), a column of 0 and 1 for each"
    assert f"{sex}; 3 rows of other levels count as one" in lines


def test_gaps_that_stand_as_the_median_are_told_to_founder_and_joiner(check: Check, tmp_path: Path) -> None:
    code, lines = check(MIXED, "--target", "y", "--median", "bmi=18.5,22,25,30")
    assert code == Exit.OK
    marked = "10 gaps stand as the median of all members, and are marked"
    assert f"  bmi: 20.125 to 23.625, mean 21.875; {marked}" in lines
    told = "in column 'bmi'; all members learn how many of all rows are below each of 18.5, 22, 25, 30"
    assert told in "\n".join(lines)
    learner = founder_learner(Settings(data="t.csv", target="y", median=("bmi=18.5,22,25,30",)))
    genesis = make_genesis(model=learner.descriptor, shapes=learner.shapes, setup_sums=len(learner.setup()))
    (tmp_path / "home").mkdir(mode=0o700)
    with Store.open(tmp_path / "home") as store:
        store.keep(GENESIS, genesis.encode())
    code, lines = check(MIXED, "--home", "home")
    assert code == Exit.OK
    assert told in "\n".join(lines)
    assert f"  bmi: 20.125 to 23.625, mean 21.875; {marked}" in lines
    assert check(MIXED, "--home", "home", "--median", "bmi=1,2")[0] == Exit.USAGE


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("bmi",), "'bmi': COLUMN=A,B,… is needed, with the edges of the bins"),
        (("bmi=1",), "'bmi=1': COLUMN=A,B,… is needed, with the edges of the bins"),
        (("bmi=1,x",), "'x': a number from"),
        (("bmi=2,1",), "--median bmi=2,1: the median of column 'bmi' needs bins with 2 to 32 edges"),
        (("bmi=1,2", "--median", "bmi=1,3"), "--median bmi=1,3: name each column once"),
    ],
)
def test_bins_that_are_none_are_refused_with_the_option(
    check: Check, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], told: str
) -> None:
    Path("t.csv").write_text(MIXED)
    try:
        code = main(("data", "check", "t.csv", "--target", "y", "--median", *option))
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == Exit.USAGE
    assert told in capsys.readouterr().err


def test_a_median_of_a_column_that_is_not_there_is_refused(check: Check) -> None:
    code, lines = check(MIXED, "--target", "y", "--gaps", "--median", "bmj=1,2")
    assert code == Exit.DATA
    assert "there is no column 'bmj'" in lines[1]


def test_levels_are_shown_written_and_added_by_a_founder(
    check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(MIXED, "--target", "y", "--gaps")[0] == Exit.OK
    assert main(("data", "levels", "t.csv", "--columns", "sex")) == Exit.OK
    shown = capsys.readouterr()
    told = "t.csv, column 'sex': the founder would read 2 levels: f, m"
    assert told in shown.err
    assert not Path("l.json").exists()
    assert main(("data", "levels", "t.csv", "--columns", "sex", "--out", "l.json")) == Exit.OK
    assert capsys.readouterr().out.splitlines() == [told]
    assert Path("l.json").read_text() == shown.out
    rows = "".join(f"{row},d,{row}\n" for row in range(9))
    code, lines = check(f"age,sex,y\n{rows}", "--target", "y", "--levels-from", "l.json")
    assert code == Exit.OK
    assert "  sex: a category of 3 levels (d, f, m), a column of 0 and 1 for each" in lines
    assert main(("data", "levels", "t.csv", "--columns", "sex", "--out", "t.csv")) == Exit.USAGE
    assert "this is the file of the table" in capsys.readouterr().err
    assert check(MIXED, "--target", "y", "--levels-from", "t.csv")[0] == Exit.DATA


def test_by_default_as_many_rows_make_a_shared_level_as_a_founder_s(check: Check) -> None:
    rows = "".join(f"{row},{'a' * 7 if row < MIN_LEVEL_ROWS else 'b'},{row}\n" for row in range(2 * MIN_LEVEL_ROWS - 1))
    Path("t.csv").write_text(f"age,sex,y\n{rows}")
    assert main(("data", "levels", "t.csv", "--columns", "sex", "--out", "l.json")) == Exit.OK
    assert read_level_file(Path("l.json")) == {"sex": ("aaaaaaa",)}


def test_columns_can_be_left_out_and_named_levels_are_taken(check: Check) -> None:
    code, lines = check(MIXED, "--target", "y", "--ignore", "bmi,seen", "--levels", "sex=f", "--levels", "age")
    assert code == Exit.DATA
    assert lines[:2] == [
        "t.csv: 1 thing to mend",
        "  column 'age': it holds another text in each row: an id, or free text",
    ]
    assert "  age: refused" in lines
    code, lines = check(MIXED, "--target", "y", "--ignore", "bmi,seen", "--levels", "sex=f")
    assert code == Exit.OK
    assert "2 inputs (age, sex)" in lines[0]
    assert "line 3, column 'sex': 'm' (15 rows) is none of the levels agreed on (f)" in lines[2]


def test_a_joiner_s_table_is_read_by_the_schema_of_its_federation(check: Check, tmp_path: Path) -> None:
    (tmp_path / "founder.csv").write_text(MIXED)
    learner = founder_learner(Settings(data=str(tmp_path / "founder.csv"), target="y", gaps="bmi"))
    genesis = make_genesis(model=learner.descriptor, shapes=learner.shapes, setup_sums=len(learner.setup()))
    (tmp_path / "home").mkdir(mode=0o700)
    with Store.open(tmp_path / "home") as store:
        store.keep(GENESIS, genesis.encode())
    code, lines = check(MIXED.replace(",f,", ",female,", 1), "--home", "home")
    assert code == Exit.OK
    told = (
        "t.csv, line 2, column 'sex': 'female' (1 row) is none of the levels agreed on (f, m) and counts as any other"
    )
    assert f"{told}; correct it, or found the federation with --levels sex=f,m,female" in lines
    code, lines = check(MIXED.replace("20,f,", ",f,", 1), "--home", "home")
    assert code == Exit.DATA
    assert "line 2, column 'age': the value is missing" in lines[1]
    assert check(MIXED, "--home", "home", "--gaps")[0] == Exit.USAGE
    text = "\n".join(f"{line},text" if number else f"{line},note" for number, line in enumerate(MIXED.splitlines()))
    code, lines = check(text, "--home", "home")
    assert code == Exit.MODEL
    assert lines[0].endswith("t.csv has 'note' that the federation lacks: --ignore note")
    assert "  note: none of the federation's columns" in lines


FORGED = "x\n18:00:00 the federation has ended; type peer leave"


def test_a_column_name_with_a_line_break_is_refused_and_forges_no_line(check: Check) -> None:
    table = f'"{FORGED}",b,y\n' + "".join(f"{row},{row % 7},{row}\n" for row in range(30))
    code, lines = check(table, "--target", "y")
    assert code == Exit.DATA
    assert not any(line.startswith("18:00:00") for line in lines)
    assert any("line 1: the name of column 1, 'x\\n18:00:00" in line for line in lines)
    code, lines = check(table, "--target", "y", "--columns", "b")
    assert code == Exit.OK


def test_levels_and_classes_with_line_breaks_stay_on_their_lines(check: Check) -> None:
    rows = "".join(f'"{FORGED if row % 2 else "a"}",{row},"{FORGED if row % 3 else "b"}"\n' for row in range(60))
    code, lines = check(f"ward,b,y\n{rows}", "--target", "y", "--model", "logistic")
    assert code == Exit.OK
    assert not any(line.lstrip().startswith("18:00:00") for line in lines)
    assert sum("x\\n18:00:00" in line for line in lines) >= 3


def test_a_task_of_another_member_forges_no_line(check: Check, tmp_path: Path) -> None:
    wards = "".join(f'"{FORGED if row % 2 else "a"}",{row},{row}\n' for row in range(60))
    (tmp_path / "founder.csv").write_text(f"ward,b,y\n{wards}")
    learner = founder_learner(Settings(data=str(tmp_path / "founder.csv"), target="y", model="linear"))
    genesis = make_genesis(model=learner.descriptor, shapes=learner.shapes, setup_sums=len(learner.setup()))
    (tmp_path / "home").mkdir(mode=0o700)
    with Store.open(tmp_path / "home") as store:
        store.keep(GENESIS, genesis.encode())
    code, lines = check(f"ward,b,y\n{wards}".replace('a"', 'c"'), "--home", "home")
    assert code == Exit.OK
    assert not any(line.lstrip().startswith("18:00:00") for line in lines)


@pytest.mark.parametrize(("classes", "shown"), [((), "no, yes"), (("--classes", "yes,no"), "yes, no")])
def test_classes_are_told_in_one_order_of_which_the_second_is_the_positive_one(
    check: Check, classes: tuple[str, ...], shown: str
) -> None:
    rows = "".join(f"{row},{'no' if row % 3 else 'yes'}\n" for row in range(30))
    code, lines = check(f"a,died\n{rows}", "--target", "died", "--model", "logistic", *classes)
    assert code == Exit.OK
    told = [line for line in lines if "target 'died'" in line]
    assert len(told) == 2
    assert all(f"one of 2 classes ({shown})" in line for line in told)


def test_a_pipe_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    found = ("start", "--home", "home", "--data", "pipe", "--target", "y")
    join = ("start", "--home", "home", "--data", "pipe", "--bootstrap", "127.0.0.1:1", "--listen", "127.0.0.1:0")
    for words in (("data", "check", "pipe"), found, join):
        assert main(words) == Exit.DATA
        told = capsys.readouterr()
        assert "pipe: a pipe or device, which can be read only once; save the table to a file" in told.out + told.err


def test_all_levels_that_nobody_agreed_on_stand_in_one_command(check: Check) -> None:
    rows = "".join(f"{'ABCD'[row % 4]},{'fmxf'[row % 4]},{row}\n" for row in range(40))
    code, lines = check(f"ward,sex,y\n{rows}", "--target", "y", "--levels", "ward=A,B", "--levels", "sex=f,m")
    assert code == Exit.OK
    told = "t.csv: correct them, or found the federation with --levels sex=f,m,x --levels ward=A,B,C,D"
    assert [line for line in lines if "--levels" in line] == [told]
    assert sum("is none of the levels agreed on" in line for line in lines) == 3


def test_a_single_gap_level_or_class_is_told_in_the_singular(check: Check) -> None:
    rows = "".join(f"{'AB'[row % 2]},{row},{row}\n" for row in range(40))
    table = f"ward,b,y\n{rows}C,40,40\n,,41\n"
    code, lines = check(table, "--target", "y", "--gaps")
    assert code == Exit.OK
    assert any(line.endswith("; 1 row of other levels counts as one; 1 gap counts as one") for line in lines)
    assert any("; 1 gap stands as the mean of all members, and is marked" in line for line in lines)
    code, lines = check("a,y\n" + "1,x\n" * 9, "--target", "y", "--model", "logistic")
    assert code == Exit.DATA
    assert "  target 'y', 1 class only (x)" in lines

"""`peer metrics`: the rounds of a home or of an exported ledger, and what this site's own rows say of them."""

import csv
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chains import Chain
from members import identity, make_genesis
from signing import signed
from table_homes import fill
from table_sites import Sites

from coterie.crypto.identity.identity import peer_id
from coterie.peer.errors import Exit
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.sqlite import StoreError
from coterie.peer.home.store import Reader, Store
from coterie.peer.learning.metrics import Measured
from coterie.peer.runtime.contributing import Contributing
from coterie.protocol.ledger.blocks import Join, Membership
from coterie.protocol.messages.kinds import JoinRequest

Run = Callable[..., tuple[int, str, str]]

B, C = (identity(number).public for number in (1, 2))


@pytest.fixture(params=["two", "three", "linear"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Sites:
    """Three tables, trained on for three rounds; the home keeps what its own rows said."""
    made = Sites(tmp_path, request.param)
    with Store.open(made.home) as store:
        for round, measured in made.measured.items():
            store.keep_measured(round, measured)
    return made


def keep(folder: Path, chain: Chain, own: dict[int, Measured] | None = None) -> Path:
    """Make the home of a member with this ledger."""
    folder.mkdir(mode=0o700)
    fill(folder, chain.genesis, chain.blocks, bytes(24), Settings())
    with Store.open(folder) as store:
        for round, measured in (own or {}).items():
            store.keep_measured(round, measured)
    return folder


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A home whose ledger has rounds with a result, without one, and without a member."""
    chain = Chain(4)
    chain.round()
    chain.append(chain.void(B))
    chain.append(chain.contributors(dealers=[0, 1, 2]))
    chain.append(chain.model())
    chain.append(chain.contributors())
    chain.append(chain.void(B, C))
    keep(tmp_path / "home", chain, {1: Measured(7, 1.5, {}), 2: Measured(7, 1.25, {})})
    return chain


def told(peer: Run, *words: str) -> list[dict[str, Any]]:
    code, out, err = peer("metrics", "--json", *words)
    assert (code, err) == (Exit.OK, "")
    rounds: list[dict[str, Any]] = json.loads(out)["rounds"]
    return rounds


def test_the_figures_of_each_round_are_those_of_the_ledger_and_of_one_s_own_rows(sites: Sites, peer: Run) -> None:
    rounds = told(peer)
    ledger = [row for row in json.loads(peer("ledger", "show", "--json")[1]) if row["kind"] == "model"]
    assert [row["kind"] for row in rounds] == ["setup", "train", "train", "train", "evaluate"]
    for mine, row in zip(rounds, ledger, strict=True):
        assert (mine["round"], mine["height"], mine["examples"]) == (row["round"], row["height"], row["examples"])
        for name, other in (("loss", "loss"), ("metrics", "metrics"), ("measures", "measures"), ("rows", "evaluated")):
            assert mine[name] == row.get(other, mine[name] if row["round"] == 0 else None)
    assert rounds[0]["own"] is None, "nobody measures a model in the setup round"
    assert {row["round"]: row["own"]["loss"] for row in rounds[1:]} == sites.own_losses
    assert all(row["own"]["rows"] == 20 for row in rounds[1:])


def test_the_last_round_has_all_figures_over_both_s_rows(sites: Sites, peer: Run) -> None:
    figures = json.loads(peer("model", "show", "--json")[1])
    last = told(peer)[-1]
    assert last["figures"] == figures["members"]["numbers"]
    assert last["own"]["figures"] == figures["own"]["numbers"]


def test_csv_holds_the_same_numbers_bit_by_bit(sites: Sites, peer: Run) -> None:
    code, out, err = peer("metrics", "--csv")
    assert (code, err) == (Exit.OK, "")
    rounds = told(peer)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(out.splitlines()) == 1 + len(rounds)
    for row, whole in zip(rows, rounds, strict=True):
        for start, part in (("", whole), ("own_", whole["own"] or {"rows": None, "loss": None, "figures": {}})):
            expected = {"rows": part["rows"], "loss": part["loss"]}
            expected |= {f"figure_{name}": value for name, value in part["figures"].items() if name != "loss"}
            found = {name: row[start + name] for name in expected}
            assert {name: float(text) if text else None for name, text in found.items()} == expected
            given = {
                name.removeprefix(start) for name, text in row.items() if text and name.startswith(f"{start}figure_")
            }
            assert given <= expected.keys()
        assert int(row["contributors"]) == len(whole["contributors"]) == 3


def test_people_read_the_federation_s_figures_and_their_own_side_by_side(sites: Sites, peer: Run) -> None:
    code, out, err = peer("metrics")
    assert (code, err) == (Exit.OK, "")
    lines = out.splitlines()
    first, name = ("RMSE", "rmse") if "RMSE" in lines[2] else ("loss", "loss")
    assert lines[0].endswith(": 5 rounds, 0 without a result")
    assert lines[2].startswith("round  kind      updates")
    assert lines[2].endswith(f"own {first}")
    for line, row in zip(lines[3:8], told(peer), strict=True):
        cells = line.split()
        assert cells[:5] == [str(row["round"]), row["kind"], "3", "of", "3"]
        own = "-" if row["own"] is None else f"{row['own']['figures'][name]:.6g}"
        assert (cells[5], cells[-1]) == (f"{row['figures'][name]:.6g}" if row["figures"] else "-", own)


def test_rounds_without_a_result_say_why_and_who_was_missing(chain: Chain, peer: Run) -> None:
    names = [name for one in (B, C) if (name := chain.states[1].member(one).name)]  # type: ignore[union-attr]
    rounds = told(peer)
    assert [(row["round"], row["result"], row["reason"]) for row in rounds] == [
        (1, "model", None),
        (2, "void", "shares"),
        (3, "model", None),
        (4, "void", "sum"),
    ]
    away = chain.states[1].committee.members[3]
    ids = [[one["id"] for one in row["missing"]] for row in rounds]
    assert [*map(set, ids)] == [set(), {peer_id(B)}, {peer_id(away)}, {peer_id(B), peer_id(C)}]
    assert [row["contributors"] and len(row["contributors"]) for row in rounds] == [4, None, 3, 4]
    assert [None if row["own"] is None else row["own"]["loss"] for row in rounds] == [1.5, 1.25, None, None]

    lines = peer("metrics")[1].splitlines()
    assert lines[0].endswith("4 rounds, 2 without a result")
    assert lines[4].endswith(f"1.25  no result: too few updates could be summed; missed: {names[0]}")
    assert lines[5].startswith("    3  train   3 of 4")
    assert "  without " in lines[5]
    assert "no result: the sum could not be opened; missed: " in lines[6]
    tally = next(line for line in lines if line.startswith("Missing from a round: "))
    assert f"{names[0]} ({2 + (away == B)}×)" in tally

    rows = list(csv.DictReader(io.StringIO(peer("metrics", "--csv")[1])))
    assert [row["missing"].split() for row in rows] == ids
    assert [row["reason"] for row in rows] == ["", "shares", "", "sum"]
    assert rows[1]["note"] == f"no result: too few updates could be summed; missed: {names[0]}"


def test_a_ledger_in_a_file_tells_the_same_but_for_one_s_own_rows(chain: Chain, peer: Run) -> None:
    assert peer("ledger", "export", "--out", "ledger")[0] == Exit.OK
    rounds = told(peer)
    assert told(peer, "--file", "ledger", "--home", "nowhere") == [row | {"own": None} for row in rounds]
    assert "own loss" not in peer("metrics", "--file", "ledger")[1]


def test_it_begins_where_it_is_told_to(chain: Chain, peer: Run) -> None:
    assert [row["round"] for row in told(peer, "--from", "3")] == [3, 4]
    assert peer("metrics", "--from", "9")[1].endswith(": no round from 9 on has ended yet\n")
    assert peer("metrics", "--csv", "--from", "9")[1].count("\n") == 1


def test_a_federation_without_a_round_has_none(tmp_path: Path, peer: Run) -> None:
    keep(tmp_path / "home", Chain(3))
    assert told(peer) == []
    assert peer("metrics")[1].endswith(": no round has ended yet\n")


def test_a_name_is_no_formula_and_breaks_no_line(tmp_path: Path, peer: Run) -> None:
    genesis = make_genesis(min_peers=3, rounds=0, metrics=("=1+1", '-2,"x"\''), name="$x^$")
    chain = Chain(1, genesis)
    joins = []
    for number, name in ((1, '=HYPERLINK("http://x")'), (2, "@a, b\\")):
        request = JoinRequest(name, genesis.model, b"", b"")
        joins.append(Join(signed(identity(number), request, 1, federation=chain.state.federation).raw))
    chain.append(Membership(tuple(joins)))
    chain.append(chain.contributors())
    chain.append(chain.model())
    chain.append(chain.void(B, C))
    keep(tmp_path / "home", chain)
    lines = peer("metrics", "--csv")[1].splitlines()
    assert len(lines) == 3
    cells = [cell for row in csv.reader(lines) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert any('=HYPERLINK("http://x")' in cell for cell in cells), "it is told all the same"
    if importlib.util.find_spec("matplotlib") is not None:
        assert peer("metrics", "--plot", "x.svg")[0] == Exit.OK


def test_a_departed_member_keeps_its_name(tmp_path: Path, peer: Run) -> None:
    chain = Chain(5, min_peers=3)
    name = chain.state.member(B).name  # type: ignore[union-attr]
    chain.append(Membership((chain.leave(identity(1)),)))
    chain.append(chain.void(B))
    keep(tmp_path / "home", chain)
    assert told(peer)[0]["missing"] == [{"id": peer_id(B), "name": name}]


def test_a_home_from_before_tells_the_federation_s_figures_and_keeps_its_own_from_then_on(
    chain: Chain, tmp_path: Path, peer: Run
) -> None:
    with Store.open(tmp_path / "home") as store:
        store._link.execute("DROP TABLE measured")
    assert [row["own"] for row in told(peer)] == [None] * 4
    with Store.open(tmp_path / "home") as store:
        store.keep_measured(3, Measured(7, 2.0, {}))
    assert [row["own"] and row["own"]["loss"] for row in told(peer)] == [None, None, 2.0, None]


def test_a_round_that_is_trained_for_again_is_measured_by_the_last_time(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.keep_measured(1, Measured(7, 2.0, {"brier": 0.1}))
        store.keep_measured(1, Measured(8, 3.0, {"brier": 0.3}))
    with Reader.open(tmp_path) as reader:
        assert reader.measured() == {1: Measured(8, 3.0, {"brier": 0.3})}


def test_a_full_disk_keeps_no_member_out_of_a_round_for_what_it_measured() -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    store: Any = SimpleNamespace(keep_measured=full)
    trainer: Any = SimpleNamespace(measured=lambda round: Measured(7, 2.0, {}))
    unused: Any = None
    Contributing(unused, unused, trainer, unused, store)._keep_measured(1)


# What cannot be told is refused in one line.


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--home", "nowhere"), Exit.FEDERATION, "nowhere: there is no store"),
        (("--file", "nowhere"), Exit.CHECK_FAILED, "nowhere: cannot be read (No such file or directory)"),
        (("--file", "home"), Exit.CHECK_FAILED, "home: not a regular file"),
        (("--file", "text"), Exit.CHECK_FAILED, "text: not an exported ledger"),
        (("--file", ""), Exit.USAGE, "the name of the file or folder is empty"),
        (("--csv", "--json"), Exit.USAGE, "--json: not allowed with argument --csv"),
        (("--csv", "--plot", "x.png"), Exit.USAGE, "--plot: not allowed with argument --csv"),
        (("--from", "-1"), Exit.USAGE, "'-1': a whole number from 0 to"),
        (("--from", "one"), Exit.USAGE, "'one': a whole number from 0 to"),
        (("--plot", "x.bmp"), Exit.USAGE, "--plot x.bmp: the name has to end in .png, .svg or .pdf"),
        (("--plot", "home"), Exit.USAGE, "--plot home: the name has to end in .png, .svg or .pdf"),
        (("--plot", "a.png"), Exit.USAGE, "--plot a.png: this is a folder"),
        (("--plot", ""), Exit.USAGE, "the name of the file or folder is empty"),
        (("surplus",), Exit.USAGE, "unrecognized arguments: surplus"),
    ],
)
def test_a_bad_input_is_refused_in_one_line(
    chain: Chain, tmp_path: Path, peer: Run, words: tuple[str, ...], code: Exit, said: str
) -> None:
    (tmp_path / "text").write_text("round,loss\n")
    (tmp_path / "a.png").mkdir()
    found, out, err = peer("metrics", *words)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("peer: error: ")
    assert said in err


def test_a_picture_without_matplotlib_is_refused_with_what_to_install(
    chain: Chain, tmp_path: Path, peer: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = peer("metrics", "--plot", "x.png")
    assert (code, err.count("\n")) == (Exit.USAGE, 1)
    assert "--plot needs matplotlib: pip install 'coterie[pictures]'" in err
    assert not (tmp_path / "x.png").exists()


# The picture.


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_drawn_as_its_name_says(chain: Chain, tmp_path: Path, peer: Run, form: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib")
    code, out, err = peer("metrics", "--plot", f"x.{form}")
    assert (code, out, err) == (Exit.OK, f"x.{form}: 4 rounds, 2 without a result\n", "")
    assert (tmp_path / f"x.{form}").read_bytes().startswith(magic)


def test_a_picture_shows_every_number_and_every_round_without_a_result(chain: Chain, peer: Run) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from coterie.peer.reporting.rounds_picture import _figure
    from coterie.peer.reporting.rounds_text import History

    rounds = told(peer)
    figure = _figure(pyplot, History(chain.genesis, rounds))
    (axes,) = figure.axes
    lines = {line.get_label(): [*zip(*map(list, line.get_data()), strict=True)] for line in axes.get_lines()}
    (void,) = axes.collections
    losses = {row["round"]: row["loss"] for row in rounds}
    assert lines == {
        "all members' test rows": [(1, losses[1]), (3, losses[3])],
        "this site's own": [(1, 1.5), (2, 1.25)],
    }
    assert [int(place) for place, _ in void.get_offsets()] == [2, 4]
    assert axes.get_xlim() == (0.5, 4.5), "all of them are inside"
    pyplot.close(figure)


def test_a_picture_of_nothing_is_refused(tmp_path: Path, peer: Run) -> None:
    pytest.importorskip("matplotlib")
    chain = Chain(4)
    chain.append(chain.void(B))
    keep(tmp_path / "home", chain)
    code, _, err = peer("metrics", "--plot", "x.png")
    assert code == Exit.STORE
    assert "--plot: no round has a loss yet" in err
    assert not (tmp_path / "x.png").exists()


def test_a_picture_that_cannot_be_written_is_named(chain: Chain, peer: Run) -> None:
    pytest.importorskip("matplotlib")
    code, _, err = peer("metrics", "--plot", "none/x.png")
    assert code == Exit.USAGE
    assert "--plot none/x.png: cannot be written (No such file or directory)" in err


def test_a_home_of_another_user_is_refused(chain: Chain, tmp_path: Path, peer: Run) -> None:
    Home(tmp_path / "home").folder.chmod(0o777)
    assert peer("metrics")[0] == Exit.HOME

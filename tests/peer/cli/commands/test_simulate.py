"""`peer simulate`, as people type it: what it prints and writes, and what it says when it cannot."""

import json
import re
import runpy
from pathlib import Path

import pytest

from coterie.peer.cli.main import main

QUICK = ["--topology", "complete", "--peers", "4", "--rounds", "1", "--ideal-crypto"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says instead of simulating."""
    assert main(["simulate", *QUICK, *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_it_prints_a_line_a_round_and_a_table_and_writes_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *QUICK]) == 0
    said = capsys.readouterr().out
    for wanted in ("round   1: decided", "1 decided, 0 void", "seconds a round", "rounds a minute", "views", "named"):
        assert wanted in said
    assert "written: simulation.json" in said
    assert json.loads(Path("simulation.json").read_text())["finished"]


def test_who_lies_is_named_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *QUICK, "--rounds", "2", "--byzantine", "3=wrong-share"]) == 0
    said = capsys.readouterr().out
    assert "including 1 liar: 3 (wrong-share)" in said
    assert "3: a wrong sum share" in said


def test_pictures_and_the_same_json_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        arguments = ["--peers", "4", "--rounds", "2", "--learn", "iris", "--out", str(folder), "--quiet"]
        assert main(["simulate", *arguments]) == 0
        written.append((folder / "simulation.json").read_bytes() + (folder / "simulation.html").read_bytes())
        pictures = sorted(path.name for path in folder.glob("*.png"))
        assert pictures == ["learning.png", "network.png", "resilience.png", "round.png", "rounds.png"]
    assert written[0] == written[1]
    found = json.loads((tmp_path / "one" / "simulation.json").read_bytes())
    assert found["finished"]
    assert {trial["dead"] for trial in found["resilience"]} == {0, 1, 2, 3}
    assert "2 decided, 0 void" in capsys.readouterr().out


def test_the_json_holds_no_figure_of_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    assert main(["simulate", *QUICK, "--json", "before.json"]) == 0
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "perf_counter", lambda: later)
    assert main(["simulate", *QUICK, "--json", "after.json"]) == 0
    assert Path("before.json").read_bytes() == Path("after.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--latency", "soon"], "such as 80ms"),
        (["--topology", "torus"], "there are complete, ring"),
        (["--byzantine", "2:silent"], "take at most 1, or 7 peers"),
        (["--byzantine", "x=silent"], "no site 'x'"),
        (["--down", "Rome at 3s"], "there is no such site; there are 0, 1, 2, 3"),
        (["--down", "0 3s"], "site at 10s for 30s"),
        (["--partition", "thirds"], "there are halves"),
        (["--threshold", "4"], "4 peers take 2 to 3, or 0"),
        (["--norm", "auto", "--scheme", "plain"], "dealings of plain prove nothing"),
        (["--norm", "2", "--peers", "41"], "at most 40 members can prove their updates"),
        (["--parameters", "0"], "at least one"),
        (["--limit", "0s"], "for example 1h"),
        (["--churn", "95%"], "from 0 to 0.9"),
        (["--learn", "faces"], "there are digits"),
        (["--parameters", "300000000"], "no more than 200,000,000"),
        (["--seed", "-1", "--learn", "iris"], "seed -1: seeds are whole numbers from 0"),
        (["--skew", "0.5"], "skew is of labels, and without learn there are none"),
        (["--learn", "iris", "--parameters", "50"], "--parameters and --learn: "),
        (["--graph", "sites.csv"], "--topology and --graph: "),
        (["--degree", "2"], "complete has none to choose; regular and small-world have"),
        (["--topology", "regular", "--degree", "4"], "4 peers can have 2 to 3 links each"),
        (["--topology", "small-world", "--degree", "3"], "take an even one"),
        (["--topology", "regular", "--peers", "5", "--degree", "3"], "an even number of links each"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_what_could(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--learn" in arguments and "--parameters" not in arguments:
        pytest.importorskip("sklearn")
    assert advice in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("missing.graphml", None, "No such file"),
        ("sites.pdf", "", "a graph file ends with .graphml"),
        ("sites.graphml", "no graph", "networkx cannot read it as graphml"),
        ("sites.edgelist", "a b 5\nb c 7\n", 'a line of it joins two sites, such as: Lyon Paris {"latency_ms": 20}'),
        ("sites.csv", "a,b,5\nb,c,7\n", "a bare number is not read, because it does not say of what"),
        (
            "sites.txt",
            "a b {'loss': 0.1}\nb c\nb a\n",
            "between a and b there are links, or directions of one, that differ",
        ),
        ("sites.txt", "", "the graph has 0 peers: a federation trains with 3 to"),
        ("sites.csv", "a,b\nb,c\nd,e\n", "in 2 parts that no link joins (one of them: d, e): add a link"),
        ("sites.txt", 'a b {"latency_ms": -4}\nb c\n', "the link between a and b: latency_ms is -4"),
    ],
)
def test_a_graph_file_that_is_no_network_is_refused_with_what_would_be(
    name: str, text: str | None, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path(name).write_text(text)
    assert main(["simulate", "--graph", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert advice in said.err


def test_a_graph_file_without_attributes_is_run_and_the_defaults_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sites.csv").write_text("Lyon,Paris\nParis,Lille\nLille,Lyon\n")
    assert main(["simulate", "--graph", "sites.csv", "--rounds", "1", "--ideal-crypto"]) == 0
    said = capsys.readouterr().out
    assert "sites.csv: 3 peers, 3 links" in said
    assert "defaults for bandwidth_mbit on 3 links, jitter_ms on 3 links" in said


def test_of_a_graph_file_names_lose_blanks_and_what_nobody_reads_or_is_there_twice_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sites.csv").write_text(
        "\ufeffLyon, Paris,{'latency': 5}\nParis ,Lille\nLille,Lyon\nLyon,Lille\n", encoding="utf-8"
    )
    assert main(["simulate", "--graph", "sites.csv", "--rounds", "1", "--ideal-crypto"]) == 0
    said = capsys.readouterr().out
    assert "sites.csv: 3 peers, 3 links" in said
    assert "attributes of links in the file that are not used: latency" in said
    assert "1 links are there twice; each counts as one" in said
    found = json.loads(Path("simulation.json").read_text())
    assert [site["name"] for site in found["sites"]] == ["Lyon", "Paris", "Lille"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sites.adjlist", "Lyon Paris Lille\nParis Lille\n"),
        ("sites.net", "*Vertices 3\n1 Lyon\n2 Paris\n3 Lille\n*Edges\n1 2\n2 3\n3 1\n"),
    ],
)
def test_an_adjacency_list_and_a_pajek_file_are_networks(
    name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text(text)
    assert main(["simulate", "--graph", name, "--rounds", "1", "--ideal-crypto"]) == 0
    assert f"{name}: 3 peers, 3 links" in capsys.readouterr().out


def test_a_large_model_with_real_shares_is_announced_with_what_does_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coterie.peer.cli.commands.simulate.LARGE_BYTES", 4_000)
    arguments = ["simulate", "--topology", "complete", "--peers", "4", "--rounds", "1", "--parameters", "100"]
    assert main(arguments) == 0
    assert "GB of memory; --ideal-crypto does without them" in capsys.readouterr().out
    assert main([*arguments, "--ideal-crypto"]) == 0
    assert "GB of memory" not in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_said_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert "choose another --out or --json" in refusal(capsys, "--out", "file/below")


def test_a_view_needs_a_page_and_a_site_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--view: the page that shows the run goes into --out" in refusal(capsys, "--view", "3")
    pytest.importorskip("matplotlib")
    assert "no site 'Lyon' to view; there are 0, 1, 2, 3" in refusal(capsys, "--out", "folder", "--view", "Lyon")
    assert main(["simulate", *QUICK, "--out", "folder", "--view", "3", "--quiet"]) == 0
    assert "written: folder/simulation.html" in capsys.readouterr().out
    assert '"name":"3","uptime_seconds"' in Path("folder/simulation.html").read_text()


def test_alone_it_shows_crashes_a_liar_and_learning_and_says_how_to_ask_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate"]) == 0
    said = capsys.readouterr().out
    assert "this is the same as peer simulate --churn 20% --byzantine 1:wrong-share" in said
    assert "10 decided, 0 void, of 10" in said
    assert "including 1 liar" in said


def test_the_example_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    guide = Path(__file__).parents[4] / "docs" / "guide.md"
    part = guide.read_text(encoding="utf-8").split("## Ask before you found")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    exec(compile(example, "guide.md", "exec"), {})
    assert "'decided'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "critical_sites",
            ["without Lille A  5 of 5 rounds   cuts off Lille B", "without Lyon A   1 of 5 rounds   critical"],
        ),
        ("how_many_liars", ["4 of 10: 0 of 4 rounds decided, 4 void", "4 of 10: 0 of 4 rounds decided, 0 void"]),
    ],
)
def test_the_examples_show_what_they_say(name: str, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[4] / "examples" / f"{name}.py"
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert [line for line in said if line not in printed] == []

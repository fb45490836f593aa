"""What is written down of a run: when its rounds ended, what was sent, what broke, and why it did not finish."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coterie.peer.cli.main import main
from coterie.protocol.jobs import SumShares
from coterie.topology import simulate
from coterie.topology.engine.simulation import Simulation
from coterie.topology.faults.faults import Outage
from coterie.topology.network import graph_files, graphs
from coterie.topology.options import Options, build
from coterie.topology.reporting.recorder import RoundRow
from coterie.topology.reporting.result import Result


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def spans(result: Result) -> Iterator[float]:
    """Seconds of each round that has ended."""
    return (row["seconds"] for row in result.table() if row["outcome"] != "open")


@pytest.mark.parametrize("for_ms", [40_000, None], ids=["back after 40 s", "gone for good"])
def test_a_round_that_f_liars_are_in_does_not_wait_for_a_member_that_is_down(for_ms: int | None) -> None:
    result = simulate(
        topology="complete",
        peers=7,
        rounds=8,
        ideal_crypto=True,
        byzantine=("2:wrong-share",),
        outages=(Outage("0", 5_000, for_ms),),
    )
    assert result.finished
    assert len(list(spans(result))) == 8
    assert max(spans(result)) < 5


def test_rounds_end_and_are_told_in_their_order_with_more_than_f_liars() -> None:
    told: list[RoundRow] = []
    result = simulate(
        progress=told.append,
        topology="complete",
        peers=12,
        rounds=2,
        ideal_crypto=True,
        byzantine=("5:withhold",),
        beyond_f=True,
    )
    assert [row.outcome for row in result.rounds] == ["void", "void"]
    assert all(row.ended_ms >= 0 for row in result.rounds)
    assert [row.round for row in told] == [1, 2]


def test_a_round_that_only_some_had_decided_when_the_time_was_up_has_ended() -> None:
    whole = simulate(topology="complete", peers=4, rounds=1, ideal_crypto=True).rounds[0].ended_ms
    cut_short = [
        simulate(topology="complete", peers=4, rounds=1, ideal_crypto=True, limit_ms=limit_ms)
        for limit_ms in range(whole - 60, whole, 5)
    ]
    some = [result.rounds[0] for result in cut_short if result.rounds[0].outcome == "decided"]
    assert some
    assert all(0 <= row.ended_ms < whole for row in some)


def test_a_standstill_counts_in_the_rounds_a_minute_and_waiting_after_the_last_round_does_not() -> None:
    quick = simulate(topology="complete", peers=4, rounds=3, ideal_crypto=True)
    late = simulate(
        topology="complete", peers=4, rounds=3, ideal_crypto=True, outages=(Outage("0", 200, 60_000),), seed=1
    )
    stuck = simulate(
        topology="complete",
        peers=4,
        rounds=3,
        ideal_crypto=True,
        outages=(Outage("0", 1_700, None), Outage("1", 1_700, None)),
        limit_ms=120_000,
    )
    assert late.finished
    assert late.decided_a_minute > quick.decided_a_minute / 8
    assert (stuck.decided, stuck.decided_a_minute) == (1, 0.5)


def test_what_more_than_f_liars_break_is_a_finding_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--topology", "complete", "--peers", "4", "--rounds", "1", "--parameters", "6", "--quiet"]
    assert main(["simulate", *arguments, "--byzantine", "2:invalid-value", "--beyond-f"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "secrecy BROKEN" in said
    assert "2 lie, but only f = 1 are tolerated: no invariant is promised" in said


def test_a_wrong_sum_without_a_liar_is_told_as_a_bug_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add = SumShares.run
    twice = lambda self: add(SumShares(self.round, self.contributors, (*self.rows[:-1], self.rows[0])))  # noqa: E731
    monkeypatch.setattr(SumShares, "run", twice)
    arguments = ["--topology", "complete", "--peers", "4", "--rounds", "2", "--parameters", "6"]
    assert main(["simulate", *arguments]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "exact sum BROKEN" in said
    assert "this is a bug in Coterie" in said
    assert "round 2: decided" in said


def test_secrecy_is_not_watched_where_nothing_is_shared() -> None:
    shared = simulate(topology="complete", peers=4, rounds=1, parameters=6)
    plain = simulate(topology="complete", peers=4, rounds=1, parameters=6, scheme="plain")
    assert {"agreement", "exact sum", "secrecy"} <= set(shared.invariants)
    assert set(shared.invariants) - set(plain.invariants) == {"secrecy"}


def test_in_a_large_federation_what_is_decided_is_watched_still() -> None:
    _, recorder = build(None, Options(peers=31, ideal_crypto=True))
    assert recorder.watch is not None
    assert {"agreement", "exact sum", "secrecy"} <= set(recorder.watch.invariants)
    assert len(recorder.watch.invariants) < len(simulate(peers=4, rounds=1, ideal_crypto=True).invariants)


def test_the_file_describes_the_network_of_a_graph_down_to_what_was_filled_in() -> None:
    rows = ["Lyon Paris {'latency_ms': 7}", "Paris Lille {'loss': 0.01}", "Lille Lyon", "Lille Nice"]
    Path("sites.edgelist").write_text("\n".join(rows))
    graph = graph_files.read("sites.edgelist", seed=3)
    graph.nodes["Paris"]["speed"] = 0.5
    graph.nodes["Lille"]["peer"] = False
    found = json.loads(simulate(graph, rounds=1, ideal_crypto=True, seed=3).to_json())
    assert (found["options"]["topology"], found["options"]["peers"]) == ("sites.edgelist", 3)
    assert found["routers"] == ["Lille"]
    assert {site["name"]: site["speed"] for site in found["sites"]} == {"Lyon": 1.0, "Paris": 0.5, "Nice": 1.0}
    described = {
        (link["from"], link["to"]): {name: link[name] for name in graphs.LINK_ATTRIBUTES} for link in found["links"]
    }
    assert described == {(a, b): graph.edges[a, b] for one in graph.edges for a, b in (one, one[::-1])}
    assert described["Lyon", "Paris"]["latency_ms"] == 7


def test_what_the_hub_of_a_star_passes_on_is_counted_and_makes_it_the_one_that_sends_most() -> None:
    result = simulate(topology="star", peers=6, rounds=2, ideal_crypto=True)
    relayed = {site["name"]: site["relayed_bytes"] for site in result.sites}
    leaves = sum(site["sent_bytes"] for site in result.sites if site["name"] != "0")
    assert leaves / 2 < relayed["0"] < leaves
    assert set(relayed.values()) == {relayed["0"], 0}
    assert "most by 0: " in dict(result.summary())["sent a peer and round"]
    assert "passed on for others" in dict(result.summary())["sent a peer and round"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outages": (Outage("1", 1_000, None), Outage("3", 1_000, None))}, "3 are running, and 4 votes of 5"),
        ({"topology": "star", "outages": (Outage("0", 1_000, None),)}, "no more than 1 reach each other"),
        ({"byzantine": ("2:silent",), "beyond_f": True}, "3 honest ones reach each other, and 4 votes"),
        ({"limit_ms": 1_000}, "before these sites finished the last round: 0, 1, 2, 3, 4"),
    ],
)
def test_a_run_that_did_not_finish_says_what_was_missing(changes: dict[str, Any], why: str) -> None:
    options = Options(topology="complete", peers=5, rounds=3, ideal_crypto=True, limit_ms=60_000)
    result = simulate(options=options, **changes)
    assert not result.finished
    assert why in dict(result.summary())["not finished"]


def test_the_exit_code_says_that_a_run_did_not_finish() -> None:
    arguments = ["--topology", "complete", "--peers", "4", "--rounds", "2", "--ideal-crypto", "--limit", "20s"]
    assert main(["simulate", *arguments]) == 0
    assert main(["simulate", *arguments, "--down", "1 at 1s", "--down", "2 at 1s"]) == 1


@pytest.mark.parametrize("before", [None, "a file of another run"])
def test_ctrl_c_shows_what_there_is_and_leaves_the_file_as_it_was(
    before: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Path("simulation.json")
    if before:
        place.write_text(before)
    start = Simulation.start_work

    def interrupted(self: Simulation, *arguments: Any) -> None:
        if self.clock.elapsed_ms > 2_000:
            raise KeyboardInterrupt
        start(self, *arguments)

    monkeypatch.setattr(Simulation, "start_work", interrupted)
    assert main(["simulate", "--topology", "complete", "--peers", "4", "--rounds", "9", "--ideal-crypto"]) == 130
    said = " ".join(capsys.readouterr().out.split())
    assert "1 decided, 0 void, of 9" in said
    assert "not finished interrupted" in said
    assert (place.read_text() if place.exists() else None) == before

"""A film holds a run as one peer saw it. Played back, it ends where the run ended; making it changes nothing."""

import base64
import hashlib
import json
import re
from itertools import pairwise
from typing import Any

import pytest

from coterie.crypto.identity.identity import peer_id
from coterie.peer.page import film as module
from coterie.peer.page.document import film_document
from coterie.peer.page.film import IS_DOWN, Film
from coterie.peer.reporting.ledger_rows import genesis_row, row_after
from coterie.protocol.ledger.state import genesis_state
from coterie.protocol.messages.kinds import CertifiedBlock
from coterie.topology.engine.simulation import Simulation
from coterie.topology.faults.faults import Outage
from coterie.topology.options import Options, build
from coterie.topology.viewpoint import Viewpoint, site_to_view

Json = dict[str, Any]

PEERS = Options(topology="complete", peers=4, rounds=3, parameters=10, seed=4)


def filmed(options: Options = PEERS, label: str | None = None) -> tuple[Simulation, Json]:
    """Run a simulation and return it with the film of one of its sites."""
    simulation, _ = build(None, options)
    site = site_to_view(simulation, label)
    labels = {one.key: str(one.label) for one in simulation.sites}
    film = Film(simulation.setup.genesis, site.disk.blocks, site.key, labels)
    simulation.watch(Viewpoint(simulation, site, film))
    assert simulation.run(options.limit_ms)
    lies = [(one.key, "+".join(bend.name for bend in one.adversaries)) for one in simulation.sites if one.adversaries]
    return simulation, film.json(simulation.clock.elapsed_ms, lies, [("peers", "4")])


def played(film: Json, until_ms: int) -> Json:
    """The status at a moment, as the page's script makes it."""
    status: Json = json.loads(json.dumps(film["status"]))
    for at_ms, what, value in film["changes"]:
        if at_ms > until_ms:
            break
        if what == "status":
            status |= value
        elif what == "members":
            for row in status["members"]:
                row |= value.get(row["id"], {})
    return status


@pytest.fixture(scope="module")
def run() -> tuple[Simulation, Json]:
    return filmed()


def of_kind(film: Json, what: str) -> list[tuple[int, Json]]:
    return [(at_ms, value) for at_ms, kind, value in film["changes"] if kind == what]


def test_it_ends_where_the_run_ended(run: tuple[Simulation, Json]) -> None:
    simulation, film = run
    site = simulation.sites[0]
    assert site.node is not None
    state = site.node.state
    status = played(film, film["end_ms"])
    assert (status["height"], status["head"], status["phase"]) == (state.height, state.head.hex(), str(state.phase))
    assert (status["trained"], status["weights"]) == (3, state.weights_hash.hex())
    assert [row["name"] for row in status["members"] if row["me"]] == [str(site.label)]
    assert all(row["connected"] for row in status["members"])


def test_its_ledger_is_that_of_the_site(run: tuple[Simulation, Json]) -> None:
    simulation, film = run
    state = genesis_state(simulation.setup.genesis)
    wanted = [genesis_row(simulation.setup.genesis)]
    for block in simulation.sites[0].disk.blocks:
        row, state = row_after(state, CertifiedBlock(block.block, block.certificate))
        wanted.append(row)
    rows = [*film["rows"], *(row for _, row in of_kind(film, "row"))]
    assert [(row["height"], row["kind"], row["hash"]) for row in rows] == [
        (row["height"], row["kind"], row["hash"]) for row in wanted
    ]
    assert len(film["rows"]) == 2  # the genesis, and the block that admitted everybody before the beginning


def test_times_never_go_back_and_rounds_have_the_seconds_of_virtual_time(run: tuple[Simulation, Json]) -> None:
    _, film = run
    times = [at_ms for at_ms, _, _ in film["changes"]]
    assert times == sorted(times)
    assert times[-1] <= film["end_ms"]
    rounds = of_kind(film, "round")
    assert [row["round"] for _, row in rounds] == [1, 2, 3]
    for (before_ms, _), (at_ms, row) in pairwise(rounds):
        assert row["time"] == at_ms / 1000
        assert 0 < row["seconds"] <= (at_ms - before_ms) / 1000 + 0.001
        assert row["sent_bytes"] > 1000
        assert row["received_bytes"] > 1000


def test_members_are_called_by_their_labels_wherever_they_are_named() -> None:
    options = Options(topology="complete", peers=4, rounds=3, parameters=10, seed=4, byzantine=("3=wrong-share",))
    simulation, film = filmed(options)
    told = json.dumps(film)
    assert '"name": "peer' not in told
    assert not re.search(r"\bpeer (was|left|joins|…)", told)
    assert "3 was evicted: it sent a wrong sum" in [row["text"] for _, row in of_kind(film, "notice")]
    assert {"3"} == {row["who"] for _, row in of_kind(film, "notice") if row["kind"] == "fault"}
    assert "3 is evicted; 3 members" in [row["text"] for _, row in of_kind(film, "row")]
    assert film["lies"] == {peer_id(simulation.sites[3].key): "wrong-share"}


def test_whoever_is_down_or_away_is_shown_as_that_and_then_no_more() -> None:
    outages = (Outage("0", at_ms=1_000, for_ms=3_000), Outage("2", at_ms=10, for_ms=4_000))
    _, film = filmed(Options(topology="complete", peers=4, rounds=3, parameters=10, seed=4, outages=outages), "0")
    down = played(film, 1_500)
    assert (down["running"], down["stalled"]) == (False, IS_DOWN)
    assert not any(row["connected"] for row in down["members"] if not row["me"])
    again = played(film, film["end_ms"])
    assert (again["running"], again["stalled"]) == (True, None)
    without = next(row for row in played(film, 990)["members"] if row["name"] == "2")
    assert not without["connected"]
    told = [(at_ms, row["text"]) for at_ms, row in of_kind(film, "notice") if row["kind"] == "network"]
    assert told[:3] == [(10, "2 goes down"), (1_000, "0 goes down"), (4_000, "0 is started again")]


def test_to_be_watched_changes_nothing_of_the_run(run: tuple[Simulation, Json]) -> None:
    simulation, _ = build(None, PEERS)
    assert simulation.run(PEERS.limit_ms)
    assert simulation.trace == run[0].trace


def test_the_same_options_give_the_same_film(run: tuple[Simulation, Json]) -> None:
    assert json.dumps(filmed()[1]) == json.dumps(run[1])


def test_what_others_do_at_once_is_one_change() -> None:
    _, film = filmed(Options(topology="complete", peers=20, rounds=1, parameters=10, seed=4))
    rows = [len(value) for _, value in of_kind(film, "members")]
    assert max(rows) > 5
    assert sum(rows) > 3 * len(rows)


def test_more_than_is_kept_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHANGES", 30)
    _, film = filmed()
    assert len(film["changes"]) == 31
    assert film["changes"][-1][1:] == ("cut", None)


def test_a_site_that_is_not_there_is_refused_by_name() -> None:
    simulation, _ = build(None, PEERS)
    with pytest.raises(ValueError, match="no site 'Lyon' to view; there are 0, 1, 2, 3"):
        site_to_view(simulation, "Lyon")


def test_nothing_in_a_film_ends_the_script_or_is_fetched(run: tuple[Simulation, Json]) -> None:
    film = run[1] | {"summary": [["</script><script>own()</script>", "<!-- <script>"]]}
    text = film_document(film).decode()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert text.count("</script") == 1
    assert script.count("own()") == 1
    (data,) = re.findall(r"^const FILM = (\{.*\}); //", script, re.MULTILINE)
    assert json.loads(data)["summary"] == film["summary"]
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "connect-src 'none'" in policy
    assert not any(word in policy for word in ("unsafe", "*", "http:", "https:"))

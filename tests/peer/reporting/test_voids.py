"""Rounds without a result: how many in a row, why, and who was missed, from a running peer and from its home."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chains import Chain
from members import identity

from coterie.crypto.identity.identity import peer_id
from coterie.peer.home.folder import Home
from coterie.peer.home.store import Reader, Store
from coterie.peer.reporting.status import ledger_status, lines, stored_status
from coterie.peer.reporting.voids import VoidRounds, newest_voids
from coterie.peer.runtime.round_troubles import RoundTroubles
from coterie.peer.training.late_training import LateTraining
from coterie.protocol.records import BlockDecided

A, B, C = (identity(number).public for number in range(3))


def records(chain: Chain) -> list[BlockDecided]:
    return [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)]


def name(chain: Chain, key: bytes) -> str:
    member = chain.state.member(key)
    assert member is not None
    return member.name


@pytest.fixture
def chain() -> Chain:
    """A round with a result, and three without."""
    chain = Chain(4)
    chain.append(chain.void(B))
    chain.round()
    for missed in ((C,), (B, C), (C,)):
        chain.append(chain.void(*missed))
    return chain


def test_the_void_rounds_since_the_last_result_are_counted_with_whom_they_missed(chain: Chain) -> None:
    voids = newest_voids(records(chain))
    last = chain.state.round - 1
    voids.said[C] = "AppError: no label"
    assert voids.text(chain.state) == (
        f"the last 3 rounds ({last - 2} to {last}) had no result, because too few updates could be summed;"
        f" missed: {name(chain, C)} (3×, and said: AppError: no label), {name(chain, B)} (1×)"
    )
    assert voids.facts(chain.state) == {
        "first": last - 2,
        "last": last,
        "rounds": 3,
        "reason": "shares",
        "missed": {peer_id(C): 3, peer_id(B): 1},
        "said": {peer_id(C): "AppError: no label"},
    }


def test_one_void_round_is_told_in_the_singular(chain: Chain) -> None:
    chain.round()
    chain.append(chain.contributors())
    chain.append(chain.void())
    text = newest_voids(records(chain)).text(chain.state)
    assert text == f"round {chain.state.round - 1} had no result, because the sum could not be opened"


def test_a_result_ends_the_count(chain: Chain) -> None:
    voids = newest_voids(records(chain))
    chain.round()
    assert (voids.text(chain.state), voids.facts(chain.state)) == (None, None)
    assert newest_voids(records(chain)).text(chain.state) is None
    last = chain.state.round
    chain.append(chain.void(B))
    voids.add(last, "shares", (B,))
    facts = voids.facts(chain.state)
    assert facts is not None
    assert (facts["rounds"], facts["missed"]) == (1, {peer_id(B): 1})


def test_a_new_federation_has_none() -> None:
    assert VoidRounds().text(Chain(1, min_peers=3).state) is None


def test_the_status_of_a_stopped_peer_and_of_a_running_one_tells_of_them(
    chain: Chain, tmp_path: Path, peer: Callable[..., tuple[int, str, str]]
) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with Store.open(home.folder) as store:
        store.persist(records(chain))
        store.keep("genesis", chain.genesis.encode())
    with Reader.open(home.folder) as reader:
        told = stored_status(reader, A)["voids"]
    assert "the last 3 rounds" in told
    assert f"voids       {told}\n" in peer("status")[1]
    running = {"running": True, **ledger_status(chain.state), "members": [], "voids": told, "left_out": "sat out: why"}
    assert [line for line in lines(running) if line.startswith(("voids", "left out"))] == [
        f"voids       {told}",
        "left out    sat out: why",
    ]


def test_a_running_peer_keeps_what_those_said_who_sat_out_and_who_was_late(chain: Chain) -> None:
    round = chain.state.round
    sharing = SimpleNamespace(round=round, committee=SimpleNamespace(members=[A, B, C]), sat_out={2: "no label"})
    node: Any = SimpleNamespace(state=chain.state, ctx=SimpleNamespace(sharing=sharing, me=A))
    told: list[tuple[str, str]] = []
    voids, lateness = newest_voids(records(chain)), LateTraining(5.0)
    rounds = RoundTroubles(node, {}, voids, lateness, lambda kind, text, facts: told.append((kind, text)))

    rounds.note("round", {"round": round})
    node.ctx.sharing = None  # the next round's is another one
    lateness.begin(round, 0.0)
    lateness.end(round, 12.0)
    chain.append(chain.void(A, C))
    rounds.note("void", {"round": round, "reason": "shares", "members": (A, C)})
    assert f"{name(chain, C)} (4×, and said: no label)" in (voids.text(chain.state) or "")
    rounds._look_for_lateness()
    ((kind, text),) = told
    assert (kind, rounds.left_out) == ("late", text)
    assert f"training for round {round} took 12 s" in text

    rounds.note("sitting-out", {"round": round + 1, "reason": "no label"})
    assert rounds.left_out == f"sat out round {round + 1}: no label"
    rounds.note("contributors", {"round": round + 2, "members": (A, B)})
    assert rounds.left_out is None

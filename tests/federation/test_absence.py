"""Members freeze, come late, come back from a backup and leave, while the rounds of the others go on."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from harness import Federation, Peer, assert_alike, assert_nobody_is_accused, proofs

from coterie.peer.errors import Exit

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation(tmp_path_factory.mktemp("absence"), obedient=True) as running:
        running.found("--min-peers", "5", "--round-interval", "0.3", "--share-deadline", "60")
        running.grow(5)
        yield running


def changes(peer: Peer) -> list[dict[str, Any]]:
    """The changes of the membership that are in the ledger of a home."""
    return [change for row in peer.ask("ledger", "show") for change in row.get("changes", [])]


@pytest.mark.parametrize(
    ("moment", "who"),
    [("training", "aggregator"), ("summing", "aggregator"), ("dealing", "peer-3"), ("releasing", "peer-1")],
)
def test_rounds_go_on_without_a_frozen_member_and_with_it_when_it_thaws(
    five: Federation, moment: str, who: str
) -> None:
    frozen = five.order("freeze", moment, who)
    agreed = five.go_on(peer for peer in five.peers if peer is not frozen)
    frozen.thaw()
    frozen.contributes(after_round=agreed)
    assert_nobody_is_accused(five.peers)


def test_a_latecomer_takes_the_ledger_from_genesis_and_trains_from_the_next_round_on(five: Federation) -> None:
    five.go_on(five.peers)
    late = five.join()
    joined = late.wait("joined", lambda event: event["name"] == late.home.name)
    late.contributes(after_round=0)
    heights = [event["height"] for event in late.events if "height" in event and event["event"] != "synced"]
    assert heights[0] == 1
    assert joined["height"] in heights
    proof = late.ask("ledger", "verify")
    assert proof["members"] == 6
    blocks = late.ask("ledger", "show")
    assert [row["height"] for row in blocks] == list(range(len(blocks)))


def test_a_home_put_back_from_an_old_backup_votes_again_only_past_what_it_forgot(five: Federation) -> None:
    peer = five.peers[3]
    others = [other for other in five.peers if other is not peer]
    backup = peer.home.with_name("backup")
    assert peer.stop() == Exit.OK
    shutil.copytree(peer.home, backup)
    peer.restart()
    peer.contributes(after_round=five.go_on(others))
    assert peer.stop() == Exit.OK
    shutil.rmtree(peer.home)
    backup.rename(peer.home)
    resumed = peer.wait("resuming", after=peer.restart())
    assert resumed["copied"]
    peer.contributes(after_round=five.go_on(others))
    assert_nobody_is_accused(five.peers)


def test_a_home_put_back_in_the_same_round_neither_votes_nor_deals_twice(five: Federation) -> None:
    """One is away, so the quorum needs the very vote that the copy does not know of."""
    peer, away = five.peers[3], five.peers[-1]
    others = [other for other in five.peers if other not in (peer, away)]
    assert away.stop() == Exit.OK
    five.order("freeze", "training", peer.home.name)
    copy = shutil.copytree(peer.home, peer.home.with_name("copy"), ignore=shutil.ignore_patterns("*.sock"))
    peer.thaw()
    five.order("kill", "precommitting", peer.home.name)
    shutil.rmtree(peer.home)
    copy.rename(peer.home)
    place = peer.restart()
    assert peer.wait("resuming", after=place)["copied"]
    away.restart()
    agreed = five.go_on(others)
    peer.contributes(after_round=agreed)
    assert_nobody_is_accused(five.peers)


def test_a_copy_that_is_started_beside_its_home_ends_before_it_votes(five: Federation) -> None:
    peer, others = five.peers[3], [one for one in five.peers if one is not five.peers[3]]
    assert peer.stop() == Exit.OK
    copy = shutil.copytree(peer.home, peer.home.with_name("twin"), ignore=shutil.ignore_patterns("*.sock"))
    peer.restart()
    peer.contributes(after_round=five.go_on(others))
    twin = Peer(copy, "--listen", "127.0.0.1:0", command=five.command)
    try:
        assert twin.exit_code() == Exit.HOME, twin.story()
    finally:
        twin.destroy()
    assert "another peer with the key of this home is running, at /ip4/127.0.0.1/tcp/" in twin.errors
    assert "looking-for-double" in [event["event"] for event in twin.events]
    peer.contributes(after_round=five.go_on(others))
    assert_nobody_is_accused(five.peers)


def test_whoever_leaves_is_let_go_by_the_ledger_and_the_others_go_on(five: Federation) -> None:
    leaver, others = five.peers[2], [peer for peer in five.peers if peer is not five.peers[2]]
    answer = leaver.ask("leave")
    assert answer["left"] is True
    assert leaver.exit_code() == Exit.OK, leaver.story()
    assert leaver.told("stopped")[-1]["text"] == "left the federation"
    for peer in others:
        assert peer.wait("left", lambda event: event["member"] == leaver.id)["evicted"] is False
    five.go_on(others)
    last = changes(others[0])[-1]
    assert (last["change"], last["peer"]) == ("leave", leaver.id)
    assert leaver.id not in [row["id"] for row in others[0].ask("status")["members"] if row["member"]]

    place = leaver.restart()
    assert leaver.exit_code() == Exit.REMOVED
    assert "left its federation" in leaver.errors
    assert "--invite TOKEN" in leaver.errors

    invite = others[0].ask("invite")["invite"]
    seen = others[0].mark()
    leaver.restart("--invite", invite)
    for peer, after in ((leaver, place), (others[0], seen)):
        peer.wait("joined", lambda event: event["name"] == leaver.home.name, after=after)
    leaver.contributes(after_round=five.round)
    assert [one["change"] for one in changes(others[0])[-2:]] == ["leave", "join"]


def test_after_all_that_every_home_holds_the_same_ledger_and_model(five: Federation) -> None:
    five.go_on(five.peers)
    stayed = five.rest(5)
    assert_alike(stayed)
    proofs(five.peers)
    assert_nobody_is_accused(five.peers)


def test_whoever_was_evicted_while_it_was_stopped_is_told_so_and_comes_back_with_an_invite(
    federation: Federation,
) -> None:
    """Its own ledger still says that it is a member, so it must learn better from those for whom it is a stranger."""
    federation.found("--evict-after", "2", "--round-interval", "0.4")
    *others, away = federation.grow(4)
    # A committee of three decides nothing without it: it stays until there are four.
    away.wait("contributors", lambda event: len(event["members"]) == 4)
    assert away.stop() == Exit.OK
    told = set()
    for one in others:
        left = one.wait("left", lambda event: event["member"] == away.id)
        assert left["reason"] == "silent"
        told.update(re.findall(r"it missed (\d+) rounds in a row", left["text"]))
    # Two, or more where it was the turn of the one that is away: evictions for silence are proposed in view 0 only.
    (missed,) = told
    assert int(missed) >= 2
    unaware = shutil.copytree(away.home, away.home.with_name("unaware"))

    away.restart()
    assert away.exit_code() == Exit.REMOVED, away.story()
    assert f"was evicted: it missed {missed} rounds in a row" in away.told("stopped")[-1]["text"]
    assert "--invite TOKEN" in away.told("stopped")[-1]["text"]

    shutil.rmtree(away.home)
    unaware.rename(away.home)
    away.restart("--invite", others[0].ask("invite")["invite"])
    away.contributes(after_round=federation.round)
    assert_nobody_is_accused(federation.peers)

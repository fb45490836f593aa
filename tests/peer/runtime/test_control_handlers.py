"""What a running peer answers to those who ask it on its control socket."""

import base64
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from chains import Chain
from members import identity

from coterie.peer.errors import Exit, PeerError
from coterie.peer.federation.invites import new_invite, open_invite
from coterie.peer.runtime.control_handlers import answer
from coterie.peer.runtime.run_end import RunEnd
from coterie.protocol.ledger.tickets import read_invite


def session(members: int, number: int) -> Any:
    """What there is of a session for who asks to leave; the driver must not be reached."""
    return SimpleNamespace(
        driver=object(),
        node=SimpleNamespace(state=Chain(members, min_peers=3).state),
        identity=identity(number),
        ending=RunEnd(identity(number).public),
    )


@pytest.mark.parametrize("expires_ms", [None, [], "9" * 5_000, 1e999, float("nan"), True, 0, -1, 10**30])
@pytest.mark.parametrize("uses", [None, 0, 1.5, 100_001, 10**30])
def test_an_invite_is_made_of_whole_numbers_only(expires_ms: object, uses: object) -> None:
    """Each of these ended the peer, or could have: `int` raises more than one kind of error."""
    member = session(3, 0)
    member.genesis, member.network = member.node.state.genesis, SimpleNamespace(addresses=list)
    for wrong in ({"expires_ms": expires_ms, "uses": 1}, {"expires_ms": 1_000, "uses": uses}, {}):
        with pytest.raises(PeerError, match="has to be a whole number from 1 to"):
            trio.run(answer, member, {"do": "invite", **wrong})
    assert trio.run(answer, member, {"do": "invite", "expires_ms": 1_000, "uses": 1})["note"] == ""


@pytest.mark.parametrize("seconds", [None, "1", True, -1, 1e9, float("nan")])
def test_a_leave_waits_for_a_bounded_time_only(seconds: object) -> None:
    with pytest.raises(PeerError, match="wait_seconds has to be a number"):
        trio.run(answer, session(3, 0), {"do": "leave", "wait_seconds": seconds})


@pytest.mark.parametrize("what", [None, [], {"a": 1}, 7])
def test_a_request_of_no_kind_is_refused(what: object) -> None:
    with pytest.raises(PeerError, match="there is no request"):
        trio.run(answer, session(3, 0), {"do": what})


@pytest.mark.parametrize(
    ("members", "number", "told"), [(1, 0, "this peer is the only member"), (3, 9, "no member yet")]
)
def test_who_has_nobody_to_leave_is_told_so_at_once(members: int, number: int, told: str) -> None:
    with pytest.raises(PeerError, match=f"{told}.*peer stop") as caught:
        trio.run(answer, session(members, number), {"do": "leave"})
    assert caught.value.code is Exit.FEDERATION


def test_of_an_invite_that_cannot_be_read_it_says_what_to_do() -> None:
    good = new_invite(identity(0), bytes(32), [], 2**50, 1)
    data = base64.urlsafe_b64decode(good.removeprefix("coterie1-") + "==")
    forged = data.replace(read_invite(good).ticket[-64:], bytes(64))
    texts = (
        "coterie1-" + base64.urlsafe_b64encode(forged).decode().rstrip("="),
        good[:-9],
        good.removeprefix("coterie1-"),
    )
    for text in texts:
        with pytest.raises(PeerError, match="damaged or cut off.*; copy it whole") as caught:
            open_invite(text, 0)
        assert caught.value.code is Exit.INVITE

"""Whoever is gone is told so, with why and with the way back, and is not let in again by a mere restart."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from chains import Chain
from cluster import identity

from coterie.peer.ending import Ending
from coterie.peer.exits import Exit, PeerError
from coterie.peer.home import Home
from coterie.peer.parting import check_not_gone
from coterie.protocol.blocks import Change, Evict, Membership
from coterie.protocol.events import Notice
from coterie.protocol.records import BlockDecided

D = identity(3)


def check(chain: Chain, admit: str = "invite", departed: bytes | None = None) -> bool:
    blocks = [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)]
    state = replace(chain.state, genesis=msgspec.structs.replace(chain.genesis, admit=admit))
    return check_not_gone(state, D.public, blocks, Home(Path("/where it is")), departed)


def gone(change: Change | None = None) -> Chain:
    """A ledger in which D has missed a round, and then leaves or is evicted in the middle of another one."""
    chain = Chain(5, min_peers=3, evict_after_rounds=1)
    place = chain.state.committee.index(D.public)
    chain.append(chain.contributors(dealers=[one for one in range(5) if one != place]))
    chain.append(chain.model())
    chain.append(Membership((change or chain.leave(D),)))
    return chain


def test_a_member_is_not_gone() -> None:
    assert not check(Chain(5, min_peers=3))


def test_who_left_still_belongs_to_its_round_and_after_it_is_shown_the_way_back() -> None:
    chain = gone()
    assert check(chain)
    with pytest.raises(PeerError, match=r"left its federation \(height 4\)"):
        check(chain, departed=b"4")  # nobody needs it any more
    assert check(chain, departed=b"3")  # it had left before, and come back
    chain.round()
    words = r"left its federation \(height 4\); .*--home '/where it is' --invite TOKEN"
    with pytest.raises(PeerError, match=words) as told:
        check(chain)
    assert told.value.code is Exit.REMOVED


def test_who_was_evicted_for_its_silence_is_told_so_at_once() -> None:
    with pytest.raises(PeerError, match=r"evicted from its federation for its silence \(height 4\); .*--invite TOKEN"):
        check(gone(Evict(D.public, "silent", ())))


def test_where_no_invite_is_needed_none_is_asked_for() -> None:
    with pytest.raises(PeerError, match="--bootstrap ADDRESS"):
        check(gone(Evict(D.public, "silent", ())), admit="open")


@pytest.mark.parametrize(
    ("rejoins", "reason", "ends"),
    [(False, "silent", True), (False, None, True), (True, "silent", False), (True, "wrong-sum", True)],
)
def test_who_is_removed_while_it_runs_ends_unless_it_was_started_to_come_back(
    rejoins: bool, reason: str | None, ends: bool
) -> None:
    ending = Ending(D.public, rejoins=rejoins)
    ending.on_notice(Notice("left", "D is gone", {"member": D.public, "reason": reason}), Chain(4).state)
    assert ending.over.is_set() == ends
    assert ending.code is (Exit.REMOVED if ends else Exit.OK)


@pytest.mark.parametrize(
    ("admit", "has_invite", "reason", "told"),
    [
        ("invite", False, "the invite is malformed", "this federation needs an invite, and this peer was given none"),
        ("invite", True, "the invite was for 1 use(s), and all are spent", "all are spent"),
        ("roster", False, "a join of somebody who is not on the roster", "not on the roster"),
    ],
)
def test_a_refused_newcomer_is_told_how_to_get_an_invite_where_one_is_needed(
    admit: str, has_invite: bool, reason: str, told: str
) -> None:
    chain = Chain(4)
    state = replace(chain.state, genesis=msgspec.structs.replace(chain.genesis, admit=admit))
    ending = Ending(identity(9).public, has_invite=has_invite, join_again="peer start --home /h")
    for member in state.keys[:2]:
        ending.on_notice(Notice("refused", reason, {"member": member, "reason": reason}), state)
    assert ending.code is Exit.INVITE
    assert told in ending.reason
    way = "ask a member for one (`peer invite`), then type: peer start --home /h --invite TOKEN"
    assert (way in ending.reason) == (admit == "invite")
    assert "malformed" not in ending.reason


def test_who_is_back_is_not_let_in_a_second_time() -> None:
    ending = Ending(D.public, rejoins=True)
    ending.on_notice(Notice("joined", "D joined", {"member": D.public}), Chain(4).state)
    ending.on_notice(Notice("left", "D is gone", {"member": D.public, "reason": "silent"}), Chain(4).state)
    assert ending.code is Exit.REMOVED

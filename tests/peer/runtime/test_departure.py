"""Whoever is gone is told so, with why and with the way back, and is not let in again by a mere restart."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import trio
import trio.testing
from bench import Bench
from chains import Chain
from members import identity

from coterie.peer.errors import Exit, PeerError
from coterie.peer.home.folder import Home
from coterie.peer.runtime.departure import check_not_gone, withdraw
from coterie.peer.runtime.end_tasks import wait_for_admission
from coterie.peer.runtime.run_end import RunEnd
from coterie.protocol.events import Notice, PeerDown, PeerUp, Started, Withdraw
from coterie.protocol.ledger.blocks import Change, Evict, Membership
from coterie.protocol.node import Newcomer
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
    ending = RunEnd(D.public, rejoins=rejoins)
    ending.on_notice(Notice("left", "D is gone", {"member": D.public, "reason": reason}), Chain(4).state)
    assert ending.over.is_set() == ends
    assert ending.code is (Exit.REMOVED if ends else Exit.OK)


@pytest.mark.parametrize(
    ("admit", "has_invite", "reason", "told"),
    [
        ("invite", False, "the invite is malformed", "this federation needs an invite, and this peer was given none"),
        ("invite", True, "the invite was for 1 use(s), and all are spent", "all are spent"),
        ("invite", True, "the invite has expired: ask a member for a new one (`peer invite`)", "has expired: ask"),
        ("roster", False, "a join of somebody who is not on the roster", "not on the roster"),
    ],
)
def test_a_refused_newcomer_is_told_how_to_get_an_invite_where_one_is_needed(
    admit: str, has_invite: bool, reason: str, told: str
) -> None:
    chain = Chain(4)
    state = replace(chain.state, genesis=msgspec.structs.replace(chain.genesis, admit=admit))
    ending = RunEnd(identity(9).public, has_invite=has_invite, join_again="peer start --home /h")
    for member in state.keys[:2]:
        ending.on_notice(Notice("refused", reason, {"member": member, "reason": reason}), state)
    assert ending.code is Exit.INVITE
    assert told in ending.reason
    way = "then type: peer start --home /h --invite TOKEN"
    assert (way in ending.reason) == (admit == "invite")
    assert ending.reason.count("ask a member for") == (admit == "invite")
    assert "malformed" not in ending.reason


def test_who_is_back_is_not_let_in_a_second_time() -> None:
    ending = RunEnd(D.public, rejoins=True)
    ending.on_notice(Notice("joined", "D joined", {"member": D.public}), Chain(4).state)
    ending.on_notice(Notice("left", "D is gone", {"member": D.public, "reason": "silent"}), Chain(4).state)
    assert ending.code is Exit.REMOVED


class Stopping:
    """What a session has that gives up: a node that is a newcomer, and a driver that hands in what it is asked."""

    def __init__(self, linked: int, is_running: bool = True, admits: bool = False) -> None:
        self.chain = Chain(2, min_peers=3)
        self.bench = Bench(self.chain, 9, newcomer=Newcomer("newcomer", "test model"))
        self.bench.hand(Started())
        for one in (identity(0), identity(1)):
            self.bench.hand(PeerUp(one.public))
        for one in (identity(0), identity(1))[linked:]:
            self.bench.hand(PeerDown(one.public))
        self.node, self.identity, self.home = self.bench.node, identity(9), Home(Path("/where it is"))
        self.ending = RunEnd(identity(9).public)
        self.settings = SimpleNamespace(join_timeout=2.0)
        self.driver = SimpleNamespace(is_running=is_running, withdraw=self.withdraw)
        self.asked = 0
        self._admits = admits

    def withdraw(self) -> None:
        self.asked += 1
        if self._admits:  # while this is on its way
            self.node.ctx.state = self.chain.append(Membership((self.chain.join(identity(9)),)))
        for notice in self.bench.hand(Withdraw()).notify:
            self.ending.on_notice(notice, self.node.state)


def given_up(session: Stopping) -> str:
    """Why a session ends that is not admitted in time."""

    async def main() -> None:
        await wait_for_admission(session)  # type: ignore[arg-type]
        await withdraw(session.node, session.driver, session.ending)  # type: ignore[arg-type]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return session.ending.reason


def test_who_is_not_admitted_in_time_says_who_was_told_that_it_gives_up() -> None:
    session = Stopping(linked=2)
    text = "not admitted within 2 s: too few members were reachable; the request was taken back, and 2 linked peer(s)"
    assert given_up(session) == f"{text} were told"
    assert session.ending.code is Exit.UNREACHABLE
    assert session.asked == 1


def test_who_can_tell_nobody_that_it_gives_up_says_what_may_come_of_it() -> None:
    session = Stopping(linked=0)
    told = given_up(session)
    assert "taken back" not in told
    assert "Members that have its request may still admit it" in told
    assert told.endswith("start it again with `peer start --home '/where it is'`")
    assert session.asked == 1


def test_who_is_not_admitted_in_time_names_the_members_that_it_could_not_reach() -> None:
    session = Stopping(linked=1)
    told = given_up(session)
    member = session.node.state.member(identity(1).public)
    assert member is not None
    start = f"not admitted within 2 s: too few members were reachable; {member.name} could not be reached; the request"
    assert told.startswith(start)


def test_who_never_got_the_ledger_says_so_when_it_gives_up() -> None:
    session = Stopping(linked=2)
    session.node.ctx.state = session.chain.states[0]
    assert "(the ledger, which says who the members are, never came)" in given_up(session)


def test_who_never_asked_is_warned_of_nothing() -> None:
    session = Stopping(linked=2)
    session.bench.node._membership._has_asked = False
    assert given_up(session) == "not admitted within 2 s: too few members were reachable"
    assert session.asked == 0


def test_who_is_admitted_at_the_last_moment_goes_on() -> None:
    session = Stopping(linked=2, admits=True)
    assert given_up(session) == ""
    assert not session.ending.over.is_set()


def test_nobody_waits_for_a_driver_that_has_stopped() -> None:
    session = Stopping(linked=2, is_running=False)
    assert "may still admit it" in given_up(session)
    assert session.asked == 0

"""When agreement cannot go on, people are told why, for whom it waits and what to do, and once only."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from bench import Bench
from chains import Chain
from members import identity
from notices import make_notices

from coterie.peer.home.folder import Home
from coterie.peer.reporting.quorum_watch import Held, Lack, Watch, abstention, joining, kept_out, pause, shortage
from coterie.peer.reporting.voids import VoidRounds
from coterie.peer.runtime.notice_teller import STUCK_SECONDS
from coterie.peer.runtime.round_troubles import RoundTroubles
from coterie.peer.runtime.run_end import RunEnd
from coterie.peer.runtime.situation import Situation
from coterie.peer.runtime.trouble_watch import ADMISSION_SECONDS, TroubleWatch
from coterie.peer.training.late_training import LateTraining
from coterie.protocol.events import Notice, PeerUp
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.genesis import Stopping
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.messages.kinds import JoinRequest
from coterie.protocol.node import Newcomer
from coterie.protocol.timers import ResumeWait
from coterie.protocol.vote_guard import VoteGuard

A, B, C, D = (identity(number).public for number in range(4))
HOME = Home(Path("/my home"))


def name(state: LedgerState, key: bytes) -> str:
    member = state.member(key)
    assert member is not None
    return member.name


def test_too_few_reachable_members_are_told_with_who_is_missing_and_the_way_out() -> None:
    state = Chain(4).state
    assert shortage(state, A, [B, C], HOME) is None
    text = shortage(state, A, [B], HOME)
    assert text is not None
    assert "3 votes are needed, and 2 of 4 members can be reached" in text
    assert name(state, C) in text
    assert name(state, D) in text
    assert name(state, B) not in text
    assert "peer refound --home '/my home' --to DIR" in text


def test_who_can_reach_nobody_is_told_where_it_looks_and_how_to_name_a_new_address() -> None:
    state = Chain(4).state
    text = shortage(state, A, [], HOME, sought={D: ("/ip4/10.8.0.4/tcp/4001", "/ip4/192.0.2.4/tcp/4001")})
    assert text is not None
    assert "(sought at /ip4/10.8.0.4/tcp/4001, /ip4/192.0.2.4/tcp/4001)" in text
    way = "then peer start --home '/my home' --bootstrap HOST:PORT of one of them"
    assert "If they have new addresses: peer stop --home '/my home', " + way in text
    assert text.index(way) < text.index("peer refound"), "which gives the federation up"
    assert "sought" not in (shortage(state, A, [], HOME) or "")


def test_members_that_may_have_finished_are_asked_to_stay_before_anybody_refounds() -> None:
    for rounds in (0, 12):
        text = shortage(Chain(4, rounds=rounds).state, A, [], HOME)
        assert text is not None
        hint = "If they have finished the 12 rounds and stopped, ask one of them to run `peer start --stay --home …`"
        assert (hint in text) == bool(rounds), "who trains without end has not finished"
        assert not rounds or text.index("If they have new addresses") < text.index(hint) < text.index("peer refound")


def test_members_that_may_have_stopped_early_are_asked_to_stay_too() -> None:
    for rounds in (0, 12):
        text = shortage(Chain(4, rounds=rounds, stopping=Stopping(patience=2)).state, A, [], HOME)
        assert text is not None
        assert "If they have finished the training and stopped, ask one of them to run `peer start --stay" in text


def test_strangers_do_not_count_and_nothing_is_missed_by_who_has_no_part() -> None:
    state = Chain(4).state
    assert shortage(state, A, [B, identity(9).public, identity(8).public], HOME) is not None
    assert shortage(state, identity(9).public, [], HOME) is None
    assert shortage(replace(state, phase=Phase.FINISHED), A, [], HOME) is None
    assert shortage(Chain(1, min_peers=3).state, A, [], HOME) is None


def test_one_that_left_is_missed_by_its_name() -> None:
    chain = Chain(3, min_peers=3)
    names = {C: name(chain.state, C)}
    chain.append(Membership((chain.leave(identity(2)),)))
    text = shortage(chain.state, A, [], HOME, names)
    assert text is not None
    assert f"{names[C]} (left)" in text
    assert shortage(chain.state, C, [], HOME, names) is None, "it refounds nothing"
    assert C.hex()[:16] not in text


def test_a_newcomer_that_nobody_can_admit_is_told_of_with_who_is_to_be_started_again() -> None:
    state = Chain(2, min_peers=3).state
    assert kept_out(state, A, [], []) is None
    assert kept_out(state, A, [B], ["Carol"]) is None
    text = kept_out(state, A, [], ["Carol"])
    assert text is not None
    assert "no newcomer can be admitted (Carol waits): 2 votes are needed, and" in text
    assert f"{name(state, B)} cannot be reached. Start it again there: peer start --home …" in text
    many = kept_out(state, A, [], [f"n{number}" for number in range(9)])
    assert many is not None
    assert "(n0, n1, n2 and 6 more wait)" in many


def test_that_newcomers_wait_is_told_once_a_standstill_and_after_its_reason() -> None:
    bench = Bench(Chain(2, min_peers=3), 0)
    bench.begin()
    told: list[str] = []
    linked = [bench.others[0].public]
    network: Any = SimpleNamespace(connected=lambda: linked)
    unused: Any = None
    situation = Situation(bench.node, network, HOME, unused, {})
    watch = TroubleWatch(situation, unused, unused, lambda kind, text, facts: told.append(kind), 1)

    def look(trouble: str | None, now: float) -> None:
        watch._standstill.look(trouble, now)
        watch._look_for_newcomers(trouble)

    bench.hear(identity(9), JoinRequest("Carol", "test model", b"", b""))
    look(None, 0)
    linked.clear()
    look("few", 1)
    assert told == [], "that may be over in a moment"
    for now in (2, 3, 4):
        look("few", now)
    assert told == ["kept-out"]
    look(None, 5)
    look("few", 6)
    look("few", 7)
    assert told == ["kept-out"] * 2


def test_a_newcomer_is_told_for_whom_its_admission_waits() -> None:
    newcomer, state = identity(9).public, Chain(2, min_peers=3).state
    assert joining(state, A, []) is None, "a member"
    wait = joining(state, newcomer, [A])
    assert wait is not None
    assert wait.lack is Lack.VOTES
    assert wait.text == (
        f"not admitted yet: 2 vote(s) are needed, and {name(state, B)} cannot be reached by this peer; start it again"
        " there: peer start --home …"
    )
    both = joining(state, newcomer, [D])
    assert both is not None
    assert "start them again there" in both.text
    assert name(state, A) in both.text


def test_a_newcomer_that_reaches_enough_members_waits_for_their_decision() -> None:
    wait = joining(Chain(4).state, identity(9).public, [A, B, C])
    assert wait is not None
    assert wait.lack is Lack.DECISION
    assert "this peer reaches 3 of 4 member(s), and 3 vote(s) are needed; they decide on it" in wait.text


def test_a_newcomer_without_the_ledger_names_nobody() -> None:
    state = Chain(1, min_peers=3).state
    for linked, links in (([], "no peer is linked"), ([B], "1 peer(s) are linked")):
        wait = joining(state, identity(9).public, linked)
        assert wait is not None
        assert wait.lack is Lack.LEDGER
        assert wait.text.endswith(f"is not known here yet ({links})")


async def admission_lines() -> list[str]:
    """What the session of a newcomer tells that links one of two members, then both, and is admitted."""
    chain, told = Chain(2, min_peers=3), []
    bench = Bench(chain, 9, newcomer=Newcomer("newcomer", "test model"))
    linked = [A]
    network: Any = SimpleNamespace(connected=lambda: linked)
    unused: Any = None
    situation = Situation(bench.node, network, HOME, RunEnd(identity(9).public), {})
    watch = TroubleWatch(
        situation, unused, unused, lambda kind, text, facts: told.append(f"{kind}: {facts['lacks']}"), 1
    )
    for change in ("few", "enough", "admitted"):
        if change == "enough":
            linked.append(B)
        elif change == "admitted":
            bench.node.ctx.state = chain.append(Membership((chain.join(identity(9)),)))
        watch._look_for_admission()
        assert len(told) == (0 if change == "few" else 1 if change == "enough" else 2), "that may be over in a moment"
        for _ in range(3):
            await trio.sleep(ADMISSION_SECONDS)
            watch._look_for_admission()
    return told


def test_a_newcomer_tells_once_for_each_reason_why_it_is_not_admitted() -> None:
    told = trio.run(admission_lines, clock=trio.testing.MockClock(autojump_threshold=0))
    assert told == ["not-admitted: votes", "not-admitted: decision"]


def paused(least: int = 4, stay: int = 3) -> LedgerState:
    """The state after so many members left that training has to wait."""
    chain = Chain(4, min_peers=least)
    leavers = sorted((identity(number) for number in range(stay, 4)), key=lambda one: one.public)
    chain.append(Membership(tuple(map(chain.leave, leavers))))
    chain.append(chain.void())
    return chain.state


def test_below_min_peers_people_are_told_that_training_waits_and_what_to_do() -> None:
    assert pause(Chain(4, min_peers=4).state, HOME) is None
    state = paused()
    text = pause(replace(state, genesis=msgspec.structs.replace(state.genesis, admit="invite")), HOME)
    assert text is not None
    assert "training waits: 3 member(s) are below --min-peers 4; 1 more must join" in text
    assert "peer invite --home '/my home'" in text
    assert "peer refound --home '/my home' --to DIR --min-peers 3" in text


def test_with_fewer_than_three_members_nobody_is_told_to_go_on_with_fewer() -> None:
    text = pause(paused(least=3, stay=2), HOME)
    assert text is not None
    assert "refound" not in text


@pytest.mark.parametrize("admit", ["open", "roster"])
def test_where_no_invite_is_needed_nobody_is_told_to_make_one(admit: str) -> None:
    state = paused()
    text = pause(replace(state, genesis=msgspec.structs.replace(state.genesis, admit=admit)), HOME)
    assert text is not None
    assert "peer invite" not in text


def test_it_is_told_once_after_a_while_and_so_is_its_end() -> None:
    watch = Watch(patience_seconds=10)
    looks = [
        ("few", 0),
        ("few", 9),
        (None, 10),
        ("few", 11),
        ("few", 20),
        ("few", 21),
        ("few", 40),
        (None, 41),
        (None, 42),
    ]
    told = [watch.look(trouble, now) for trouble, now in looks]
    assert told == [None, None, None, None, None, "few", None, "enough members can be reached again", None]


def test_a_stuck_sum_is_told_only_once_it_has_stood_for_a_while() -> None:
    held, first, second = Held(patience_seconds=5), Notice("stuck", "one", {}), Notice("stuck", "two", {})
    assert held.look(True, 0) is None, "nothing is held"
    held.hold(first, 1)
    assert held.look(True, 5) is None
    assert held.look(False, 6) is None, "it was over before"
    assert held.look(True, 7) is None
    held.hold(first, 10)
    held.hold(second, 13)
    assert held.look(True, 17) is None, "the newest counts"
    assert held.look(True, 18) == second
    assert held.look(True, 30) is None, "once"


async def stuck_lines(is_over: bool) -> list[str]:
    """What a session tells whose node says that a sum waits, and then either goes on or not."""
    chain, told = Chain(5, threshold=4), []
    chain.append(chain.contributors())
    bench = Bench(chain, 0)
    bench.begin(connected=bench.others[:3])
    bench.fire(ResumeWait())
    network: Any = SimpleNamespace(connected=lambda: [one.public for one in bench.others], peers=list)
    ending: Any = SimpleNamespace(on_notice=lambda *_: None)

    def tell(kind: str, text: str, facts: dict[str, Any]) -> None:
        told.append(text)

    rounds = RoundTroubles(bench.node, {}, VoidRounds(), LateTraining(), tell)
    notices = make_notices(bench.node, tell, home=HOME, ending=ending, rounds=rounds)
    watch = TroubleWatch(Situation(bench.node, network, HOME, ending, {}), rounds, notices, tell, 1)
    (notice,) = [one for one in bench.notices if one.kind == "stuck"]
    notices.on_notice(notice)
    watch.look()
    assert not told
    if is_over:
        bench.hand(PeerUp(bench.others[3].public))
    await trio.sleep(STUCK_SECONDS)
    watch.look()
    watch.look()
    return told


@pytest.mark.parametrize("is_over", [True, False])
def test_a_sum_that_waits_for_a_moment_is_not_told(is_over: bool) -> None:
    told = trio.run(stuck_lines, is_over, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(told) == (0 if is_over else 1)
    for text in told:
        assert "the sum of its updates opens once enough of its holders are here; waiting for" in text
        assert "type: peer refound --home '/my home' --to DIR, which says whose numbers" in text
        assert "--disclose" not in text, "that option needs names, which refound tells"


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        (VoteGuard(), None),
        (VoteGuard(abstain_through=6), None),
        (VoteGuard(abstain_through=7), "this home casts no votes up to height 7: it is an older copy"),
        (VoteGuard(resuming=True), "until the other members have said which of its votes they saw"),
        (
            VoteGuard(resuming=True, copied=True),
            "until every other member has said which of its votes it saw, or the others have decided two more",
        ),
    ],
)
def test_who_may_not_vote_says_why_and_for_how_long(guard: VoteGuard, told: str | None) -> None:
    text = abstention(guard, 7)
    assert (text is None) if told is None else (text is not None and told in text)
    assert abstention(guard, 7, is_finished=True) is None, "nothing is left to vote on"

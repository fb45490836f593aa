"""Catching up: nobody is believed, one question is under way at a time, and strangers learn nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bench import Bench
from chains import Chain, digest
from cluster import Cluster
from members import identity
from signing import dealing, prevote, signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.early_messages import EarlyMessages
from coterie.protocol.events import Fetch, HeadSeen, PeerDown, PeerUp, Started, TimerFired, WorkDone
from coterie.protocol.jobs import ReadBlocks, SumShares, Train
from coterie.protocol.ledger.blocks import Block, Join, Membership, block_hash, read_block
from coterie.protocol.ledger.certificates import extend
from coterie.protocol.ledger.state import LedgerError, LedgerState, genesis_state
from coterie.protocol.limits import (
    INLINE_BLOB_BYTES,
    MAX_FETCHES_PER_MEMBER,
    MAX_FUTURE_MESSAGE_BYTES,
    MAX_FUTURE_MESSAGES_PER_MEMBER,
    SYNC_BATCH_BLOCKS,
    SYNC_BATCH_BYTES,
    SYNC_RETRY_MS,
)
from coterie.protocol.messages.kinds import (
    Blocks,
    CertifiedBlock,
    GetBlocks,
    GetStatus,
    GetWeights,
    JoinRequest,
    Precommit,
    Prevote,
    SumShare,
    Weights,
)
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import BlockDecided, Memory, ModelSaved
from coterie.protocol.schemes.shamir import CheckShare, JudgeComplaint
from coterie.protocol.sync import forks
from coterie.protocol.timers import ResumeWait, RetryBlocks, RetryJoin, RetryWeights

STRANGER = identity(30)
A, B, C, D = (identity(number) for number in range(4))


def grown(rounds: int = 3, **changes: object) -> Chain:
    """The ledger of four members after some rounds."""
    chain = Chain(4, **changes)
    for _ in range(rounds):
        chain.round()
    return chain


def behind(chain: Chain, at: int = 1, number: int = 0) -> Bench:
    """A member that knows the first blocks of the chain only, and is connected to the others."""
    blocks = [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks[:at], 1)]
    weights = np.zeros(chain.genesis.parameters, "<f4").tobytes()
    bench = Bench(chain, number, Memory(blocks=blocks, model=ModelSaved(chain.genesis.weights_hash, weights)))
    bench.begin()
    return bench


def asked(bench: Bench) -> list[tuple[bytes | None, int]]:
    """Whom it asked for blocks, and from which height on."""
    return [(send.to, one.message.height) for send in bench.sent for one in bench.said_in(send, GetBlocks)]


def reading(bench: Bench) -> list[tuple[bytes, int]]:
    """For whom it reads blocks, and from which height on."""
    return [(work.to, work.start) for work in bench.work if isinstance(work, ReadBlocks)]


# Asking.


def test_a_member_that_hears_of_a_higher_head_asks_who_has_it_for_what_it_lacks() -> None:
    bench = behind(grown())
    bench.hand(HeadSeen(C.public, 7))
    assert asked(bench) == [(C.public, 2)]


def test_one_question_is_under_way_at_a_time_however_many_are_ahead() -> None:
    bench = behind(grown())
    for one in (B, C, D):
        bench.hand(HeadSeen(one.public, 7))
    assert len(asked(bench)) == 1


def test_an_unanswered_question_is_asked_again_of_somebody_else() -> None:
    bench = behind(grown())
    for one in (B, C, D):
        bench.hand(HeadSeen(one.public, 7))
    for _ in range(5):
        bench.fire(RetryBlocks(1))
    assert {to for to, _ in asked(bench)} == {one.public for one in (B, C, D)}


def test_who_has_nothing_to_give_is_passed_over() -> None:
    bench = behind(grown())
    for one in (B, C, D):
        bench.hand(HeadSeen(one.public, 7))
    for _ in range(3):
        bench.hear(next(one for one in (B, C, D) if one.public == asked(bench)[-1][0]), Blocks(()))
    assert len({to for to, _ in asked(bench)}) == 3
    assert len(asked(bench)) == 3, "and then nobody is asked until the timer"


def test_who_is_gone_is_not_asked() -> None:
    bench = behind(grown())
    bench.hand(PeerDown(C.public))
    bench.hand(HeadSeen(C.public, 7))
    assert asked(bench) == []


@pytest.mark.parametrize("height", [0, 1])
def test_nobody_asks_for_what_it_has(height: int) -> None:
    bench = behind(grown())
    bench.hand(HeadSeen(C.public, height))
    assert asked(bench) == []


# Being answered.


def test_good_blocks_are_taken_made_durable_and_followed_to_the_end() -> None:
    chain = grown()
    bench = behind(chain)
    step = bench.hear(C, Blocks(tuple(chain.blocks)))
    assert bench.node.state == chain.state
    heights = [record.height for record in step.persist if isinstance(record, BlockDecided)]
    assert heights == list(range(2, chain.state.height + 1))


def test_blocks_that_are_known_already_are_skipped() -> None:
    chain = grown()
    bench = behind(chain, at=4)
    bench.hear(C, Blocks(tuple(chain.blocks[:5])))
    assert bench.node.state.height == 5
    assert bench.faults() == []


def test_blocks_from_further_on_are_not_taken_and_those_between_are_asked_for() -> None:
    chain = grown()
    bench = behind(chain)
    bench.hear(C, Blocks(tuple(chain.blocks[3:])))
    assert bench.node.state.height == 1
    assert asked(bench) == [(C.public, 2)]


def stripped(block: CertifiedBlock) -> CertifiedBlock:
    return CertifiedBlock(block.block, block.certificate[:2])


def flipped(block: CertifiedBlock) -> CertifiedBlock:
    return CertifiedBlock(block.block[:-1] + bytes([block.block[-1] ^ 1]), block.certificate)


def garbled(block: CertifiedBlock) -> CertifiedBlock:
    return CertifiedBlock(b"block", block.certificate)


@pytest.mark.parametrize("spoil", [stripped, flipped, garbled])
@pytest.mark.parametrize("height", [2, 4, 7])
def test_a_false_block_is_named_with_its_sender_and_what_is_before_it_is_taken(
    spoil: Callable[[CertifiedBlock], CertifiedBlock], height: int
) -> None:
    chain = grown()
    bench = behind(chain)
    blocks = list(chain.blocks)
    blocks[height - 1] = spoil(blocks[height - 1])
    bench.hear(C, Blocks(tuple(blocks)))
    assert bench.node.state == chain.states[height - 1]
    assert [text.startswith(f"sent a wrong ledger: height {height}: ") for text in bench.faults(C)] == [True]


def test_a_long_false_ledger_with_certificates_of_its_own_convinces_no_newcomer() -> None:
    """Who forges a ledger from genesis on has the founder's word for it, or nothing."""
    chain = Chain(1, min_peers=3)
    joins = Membership(tuple(chain.join(identity(number)) for number in (21, 22, 23)))
    forged = chain.certify(chain.block(joins), [identity(21)])
    node = Bench(chain, 5, Memory(), Newcomer("peer 5", "test model"))
    node.hand(Started())
    node.hand(PeerUp(identity(21).public))
    node.hear(identity(21), Blocks((forged,)))
    assert node.node.state.height == 0
    assert "a signer is not of the committee" in node.faults(identity(21))[0]


def test_what_strangers_send_that_are_not_even_connected_changes_nothing() -> None:
    chain = grown()
    bench = behind(chain)
    for number in range(30, 60):
        bench.hear(identity(number), Blocks(()))
        bench.hear(identity(number), Blocks(tuple(chain.blocks[3:])))
        bench.hear(identity(number), Prevote(None, None), height=2**40)
        bench.hear(identity(number), SumShare(2**40, digest("u"), digest("s")), b"x")
    assert len(bench.node.catchup.heads) <= 4
    assert len(bench.node.catchup._refused) == 0
    assert len(bench.node.ctx.early._kept) == 0


def test_what_a_connected_stranger_said_early_is_forgotten_when_it_goes() -> None:
    """Or one that comes again and again under new keys would fill the memory."""
    bench = behind(grown())
    for number in range(30, 60):
        bench.hand(PeerUp(identity(number).public))
        bench.hear(identity(number), Prevote(None, None), height=2**40)
        bench.hand(PeerDown(identity(number).public))
    assert len(bench.node.ctx.early._kept) == 0


# Answering.


def test_members_get_the_blocks_they_ask_for_and_strangers_get_none() -> None:
    bench = behind(grown(), at=5)
    bench.hear(B, GetBlocks(2))
    assert reading(bench) == [(B.public, 2)]
    for height in (0, 1):
        bench.hear(STRANGER, GetBlocks(height))
    assert len(reading(bench)) == 1
    assert [message.message for message in bench.said(Blocks, STRANGER.public)] == [Blocks(())] * 2


def test_a_newcomer_whose_request_is_good_may_read_and_so_may_who_is_on_the_roster() -> None:
    bench = behind(grown(), at=5)
    bench.hear(STRANGER, JoinRequest("newcomer", "test model", b"", b""))
    bench.hear(STRANGER, GetBlocks(1))
    assert reading(bench) == [(STRANGER.public, 1)]

    roster = tuple(identity(number).public for number in (0, 1, 9))
    chain = Chain(2, admit="roster", roster=roster, min_peers=3)
    bench = Bench(chain, 0)
    bench.begin()
    bench.hear(identity(9), GetBlocks(1))
    bench.hear(identity(8), GetBlocks(1))
    assert reading(bench) == [(identity(9).public, 1)]


def test_one_answer_to_a_member_is_under_way_at_a_time_however_often_it_asks() -> None:
    bench = behind(grown(), at=5)
    for _ in range(50):
        bench.hear(B, GetBlocks(2))
    assert len(reading(bench)) == 1
    bench.hand(WorkDone(bench.work[-1], tuple(bench.chain.blocks[1:])))
    bench.hear(B, GetBlocks(2))
    assert len(reading(bench)) == 2


def test_an_answer_is_bounded_in_blocks_and_bytes_and_has_one_block_at_least() -> None:
    bench = behind(grown(), at=5)
    small = CertifiedBlock(bytes(100), ())
    large = CertifiedBlock(bytes(SYNC_BATCH_BYTES // 3), ())
    huge = CertifiedBlock(bytes(200_000), (bytes(SYNC_BATCH_BYTES),))
    for blocks, expected in (
        ([small] * (SYNC_BATCH_BLOCKS + 9), SYNC_BATCH_BLOCKS),
        ([large] * 9, 3),
        ([huge] * 2, 1),
        ([], None),
    ):
        bench.sent.clear()
        bench.hear(B, GetBlocks(2))
        bench.hand(WorkDone(bench.work[-1], tuple(blocks)))
        answers = [len(message.message.blocks) for message in bench.said(Blocks, B.public)]
        assert answers == ([] if expected is None else [expected])


def left(rounds: int = 2) -> Chain:
    """The ledger of four members of whom one, D, left at height 4, in the round that ends at height 6."""
    chain = grown(rounds=1, min_peers=3)
    chain.append(Membership((chain.leave(D),)))
    for _ in range(rounds):
        chain.round()
    return chain


def given(bench: Bench, asker: Identity, height: int) -> list[int | None]:
    """The heights of the blocks that it gives to who asks for those from ``height`` on."""
    bench.sent.clear()
    bench.hear(asker, GetBlocks(height))
    for work in [one for one in bench.work if isinstance(one, ReadBlocks)]:
        bench.work.remove(work)
        bench.hand(WorkDone(work, tuple(bench.chain.blocks[work.start - 1 :])))
    (answer,) = bench.said(Blocks, asker.public)
    return [read_block(one.block).height for one in answer.message.blocks]


def test_who_was_removed_while_it_was_away_learns_so_and_nothing_that_came_after() -> None:
    bench = Bench(left(), 0)
    bench.begin()
    assert given(bench, D, 2) == [2, 3, 4]
    assert given(bench, D, 4) == [4]
    assert given(bench, D, 5) == []
    assert given(bench, STRANGER, 1) == []


def test_who_left_may_read_to_the_end_of_the_round_that_it_belonged_to() -> None:
    chain = left()
    bench = behind(chain, at=3)
    bench.hear(C, Blocks(tuple(chain.blocks[3:])))
    assert bench.node.state == chain.state
    bench.work.clear()
    bench.node.catchup._reading.clear()  # the farewell, which was lost
    assert given(bench, D, 4) == [4, 5, 6]
    assert given(bench, D, 7) == []


def returning(chain: Chain, newcomer: Newcomer) -> Bench:
    """D, started again with a ledger that does not know yet that it is gone."""
    blocks = [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks[:3], 1)]
    bench = Bench(chain, 3, Memory(blocks=blocks), newcomer)
    bench.hand(Started())
    for one in (A, B, C):
        bench.hand(PeerUp(one.public))
    return bench


def test_who_was_removed_asks_to_be_let_in_again_only_if_people_want_it() -> None:
    chain = left()
    bench = returning(chain, Newcomer("D", "test model", returns=False))
    bench.hear(C, Blocks(tuple(chain.blocks[3:6])))
    bench.fire(RetryJoin(7))
    assert not bench.node.ctx.is_member
    assert bench.said(JoinRequest) == []


def test_who_was_removed_while_it_was_away_asks_to_be_let_in_again_and_votes_only_when_the_others_answered() -> None:
    chain = left()
    bench = returning(chain, Newcomer("D", "test model"))
    assert bench.said(JoinRequest) == []
    bench.hear(C, Blocks(tuple(chain.blocks[3:6])))
    requests = bench.said(JoinRequest)
    assert {one.height for one in requests} == {7}
    bench.fire(RetryJoin(7))
    assert len(bench.said(JoinRequest)) == 2 * len(requests)

    chain.append(Membership((Join(requests[0].raw),)))
    chain.round()
    bench.hear(C, Blocks(tuple(chain.blocks[6:])))
    assert bench.node.state.committee.index(D.public) is not None
    assert bench.node.ctx.guard.resuming
    bench.sent.clear()
    bench.fire(ResumeWait())
    assert bench.said(GetStatus)


def test_a_failed_reading_is_not_answered_and_may_be_asked_for_again() -> None:
    bench = behind(grown(), at=5)
    bench.hear(B, GetBlocks(2))
    bench.hand(WorkDone(bench.work[-1], error="the disk is gone"))
    assert bench.said(Blocks, B.public) == []
    bench.hear(B, GetBlocks(2))
    assert len(reading(bench)) == 2


def test_a_member_that_votes_at_a_decided_height_is_given_the_block_once() -> None:
    bench = behind(grown(), at=5)
    for _ in range(5):
        bench.hear(B, Prevote(None, None), height=3)
    bench.hear(STRANGER, Prevote(None, None), height=3)
    assert reading(bench) == [(B.public, 3)]


def test_who_left_is_forgotten_with_the_blocks_that_it_was_given() -> None:
    bench = behind(grown(), at=5)
    bench.hear(B, Prevote(None, None), height=3)
    bench.node.catchup._helped |= {identity(number).public: 3 for number in range(30, 60)}
    bench.hear(C, Prevote(None, None), height=3)
    assert bench.node.catchup._helped.keys() == {B.public, C.public}


# The model.


def without_model(parameters: int = 6) -> Bench:
    bench = Bench(Chain(4, parameters=parameters), 1, Memory())
    bench.begin()
    return bench


def test_a_member_without_the_model_asks_all_for_it_and_takes_the_one_that_the_ledger_names() -> None:
    bench = without_model()
    weights = np.zeros(6, "<f4").tobytes()
    wanted = bench.node.state.weights_hash
    assert {send.to for send in bench.sent if any(bench.said_in(send, GetWeights))} == {A.public, C.public, D.public}
    step = bench.hear(C, Weights(wanted), weights)
    assert ModelSaved(wanted, weights) in step.persist
    assert "synced" in [notice.kind for notice in step.notify]


@pytest.mark.parametrize("blob", [bytes(4), b"\1" * 24, bytes(28)])
def test_another_model_is_refused_and_its_sender_named(blob: bytes) -> None:
    bench = without_model()
    bench.hear(C, Weights(bench.node.state.weights_hash), blob)
    assert bench.node.ctx.weights is None
    assert bench.faults(C) == ["sent a model with another hash"]


def test_a_model_that_nobody_asked_for_is_ignored() -> None:
    bench = without_model()
    bench.hear(C, Weights(digest("another")), bytes(24))
    assert bench.node.ctx.weights is None
    assert bench.faults() == []


def test_a_large_model_is_fetched_from_one_member_at_a_time_with_its_exact_size() -> None:
    bench = without_model(parameters=40_000)
    wanted = bench.node.state.weights_hash
    for one in (A, C, D):
        bench.hear(one, Weights(wanted))
    assert [(fetch.source, fetch.digest, fetch.size_bytes) for fetch in bench.fetches] == [(A.public, wanted, 160_000)]
    assert bench.fetches[0].size_bytes > INLINE_BLOB_BYTES


def test_a_source_of_which_too_much_is_being_fetched_already_does_not_keep_the_model_from_coming_from_another() -> None:
    bench = without_model(parameters=40_000)
    wanted = bench.node.state.weights_hash
    for number in range(MAX_FETCHES_PER_MEMBER):
        other = Fetch(A.public, digest(f"blob {number}"), 1, signed(A, Weights(digest(f"blob {number}"))))
        bench.node.ctx.out.fetch(other)
    bench.hear(A, Weights(wanted))
    bench.hear(C, Weights(wanted))
    assert [fetch.source for fetch in bench.fetches if fetch.digest == wanted] == [C.public]


def test_strangers_do_not_take_the_places_of_those_that_the_model_is_fetched_from() -> None:
    bench = without_model(parameters=40_000)
    wanted = bench.node.state.weights_hash
    for number in range(100, 110):
        bench.hear(Identity.from_seed(bytes([number]) * 32), Weights(wanted))
    assert bench.fetches == []
    bench.hear(C, Weights(wanted))
    assert [fetch.source for fetch in bench.fetches] == [C.public]


def test_a_model_that_does_not_come_is_fetched_from_one_more_member_each_time_up_to_f_plus_one() -> None:
    bench = without_model(parameters=40_000)
    wanted = bench.node.state.weights_hash
    sources = []
    for _ in range(4):
        for one in (A, C, D):
            bench.hear(one, Weights(wanted))
        sources.append([fetch.source for fetch in bench.fetches])
        bench.hand(TimerFired(RetryWeights(wanted)))
    assert sources == [[A.public], [A.public, C.public], [A.public, C.public], [A.public, C.public]]


def test_the_model_is_given_to_members_only() -> None:
    bench = behind(grown(rounds=0))
    wanted = bench.node.state.weights_hash
    bench.hear(B, GetWeights(wanted))
    bench.hear(STRANGER, GetWeights(wanted))
    bench.hear(C, GetWeights(digest("another")))
    assert [send.to for send in bench.sent if any(bench.said_in(send, Weights))] == [B.public]


def test_a_model_is_not_sent_to_the_same_member_again_before_an_honest_one_would_ask_again() -> None:
    bench = behind(grown(rounds=0))
    wanted = bench.node.state.weights_hash

    def given(who: Identity) -> int:
        return len(bench.said(Weights, who.public))

    for _ in range(50):
        bench.hear(B, GetWeights(wanted))
    bench.hear(C, GetWeights(wanted))
    assert (given(B), given(C)) == (1, 1)
    bench.now_ms += SYNC_RETRY_MS
    bench.hear(B, GetWeights(wanted))
    assert given(B) == 2
    bench.hand(PeerDown(B.public))
    bench.hear(B, GetWeights(wanted))
    assert given(B) == 3, "who has come back may have lost it"


# Liars.


def forged(chain: Chain, height: int, signer: Identity = B) -> CertifiedBlock:
    """Another block than the one that was decided, with one vote over and over."""
    data = Block(height, digest("previous"), chain.void()).encode()
    vote = signed(signer, Precommit(block_hash(data)), height, 0, chain.state.federation).raw
    return CertifiedBlock(data, (vote,) * 3)


def certain(bench: Bench) -> list[bool]:
    return [bool(notice.facts.get("certain")) for notice in bench.notices if notice.kind == "fault"]


def test_a_certificate_that_no_honest_member_has_is_a_certain_fault_of_its_sender() -> None:
    chain = grown()
    bench = behind(chain)
    bench.hear(B, Blocks((forged(chain, 2),)))
    assert certain(bench) == [True]


def test_a_certificate_that_another_ledger_could_have_is_none() -> None:
    chain = grown()
    bench = behind(chain)
    short = CertifiedBlock(chain.blocks[1].block, chain.blocks[1].certificate[:2])
    bench.hear(B, Blocks((short,)))
    assert certain(bench) == [False]


def checks_of_the_past(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many certificates are checked where two members send second blocks of a past height over and over."""
    chain = grown()
    bench = behind(chain, at=1)
    bench.hear(C, Blocks(tuple(chain.blocks[1:])))
    checked: list[int] = []
    check = forks.check_certificate

    def counted(state: LedgerState, certified: CertifiedBlock) -> None:
        checked.append(state.height)
        check(state, certified)

    monkeypatch.setattr(forks, "check_certificate", counted)
    for sender in (B, D):
        for _ in range(20):
            bench.hear(sender, Blocks(tuple(forged(chain, height, sender) for height in (4, 5))))
    monkeypatch.undo()
    return len(checked)


def test_second_blocks_of_the_past_are_checked_once_a_sender_and_height(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks_of_the_past(monkeypatch) == 4

    with pytest.MonkeyPatch.context() as weakened:
        weakened.setattr("coterie.protocol.sync.catchup.Forks", Weakened)
        assert checks_of_the_past(monkeypatch) == 80


def test_of_second_blocks_that_strangers_show_a_bounded_number_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be any number of strangers, and each is remembered."""
    monkeypatch.setattr(forks, "MAX_COMPARED_BLOCKS", 5)
    chain = grown()
    bench = behind(chain, at=1)
    bench.hear(C, Blocks(tuple(chain.blocks[1:])))
    for number in range(100, 120):
        stranger = Identity.from_seed(bytes([number]) * 32)
        bench.hand(PeerUp(stranger.public))
        bench.hear(stranger, Blocks((forged(chain, 5, B),)))
    assert len(bench.node.catchup.forks._looked_at) == 5
    bench.hear(B, Blocks((forged(chain, 5, B),)))
    assert len(bench.node.catchup.forks._looked_at) == 6


class Weakened(forks.Forks):
    """A build that checks whatever it is sent."""

    def compare(self, *given: Any) -> None:
        self._looked_at.clear()
        super().compare(*given)


def test_what_a_member_decides_itself_has_a_certificate_in_its_one_form() -> None:
    cluster = Cluster(5)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    for site in cluster.sites:
        state = genesis_state(cluster.genesis)
        for record in site.disk.records:
            if isinstance(record, BlockDecided):
                state = extend(state, CertifiedBlock(record.block, record.certificate))
        assert state.height > 2


# Early messages.


def test_early_messages_of_a_member_are_bounded_in_number_and_bytes_and_push_out_only_its_own() -> None:
    inbox = EarlyMessages()
    inbox.keep(prevote(A, 0, None, height=9), None)
    for view in range(10 * MAX_FUTURE_MESSAGES_PER_MEMBER):
        inbox.keep(prevote(B, view, None, height=9), None)
    assert len(inbox._kept[B.public]) == MAX_FUTURE_MESSAGES_PER_MEMBER
    for number in range(9):
        inbox.keep(signed(B, SumShare(9, digest("u"), digest(f"{number}"))), bytes(MAX_FUTURE_MESSAGE_BYTES // 2))
    assert len(inbox._kept[B.public]) == 1
    assert len(inbox._kept[A.public]) == 1


def test_early_messages_come_out_at_their_height_or_round_and_the_old_are_dropped() -> None:
    inbox = EarlyMessages()
    votes = {height: prevote(A, 0, None, height=height) for height in (4, 5, 6)}
    deals = {number: signed(B, dealing(number)) for number in (1, 2, 3)}
    for one in (*votes.values(), *deals.values()):
        inbox.keep(one, None)
    assert [kept[0] for kept in inbox.take(height=5, round_=2)] == [votes[5], deals[2]]
    assert [kept[0] for kept in inbox.take(height=6, round_=3)] == [votes[6], deals[3]]
    assert inbox._kept == {}


# Work that fails here.


def test_work_that_fails_here_is_reported_and_blames_nobody() -> None:
    bench = behind(grown(rounds=0))
    node = bench.node
    assert node.ctx.sharing is not None
    terms, committee = node.ctx.sharing.terms, node.state.committee
    for work in (
        CheckShare(terms, committee, bench.me, 1, dealing(), b""),
        JudgeComplaint(terms, committee, 1, 2, dealing(), bytes(32), bytes(64), b""),
        Train(node.state.round, "train", b"", None),
    ):
        bench.hand(WorkDone(work, error="MemoryError"))
    without = [place for place in range(4) if place != node.ctx.sharing.me]  # it did not deal, ack or vote
    bench.chain.append(bench.chain.contributors(without, without), bench.others)
    bench.hear(B, Blocks((bench.chain.blocks[-1],)))
    assert node.ctx.summing is not None
    bench.hand(WorkDone(SumShares(node.state.round, node.ctx.summing.body.digest(), ()), error="MemoryError"))
    assert bench.faults() == []
    assert [notice.kind for notice in bench.notices if "MemoryError" in notice.text] == ["work", "sitting-out", "work"]


def test_a_memory_that_is_no_ledger_of_this_federation_is_refused() -> None:
    chain, other = grown(), grown(name="another")
    blocks = [BlockDecided(1, other.blocks[0].block, other.blocks[0].certificate)]
    with pytest.raises(LedgerError, match="height 1"):
        Node(A, chain.genesis, Memory(blocks=blocks))

"""Deciding a block: what a proposal needs to be voted for, what a hostile proposer can make a member hold, restarts."""

from dataclasses import dataclass

import numpy as np
import pytest
from bench import Bench
from chains import Chain, digest
from members import START_MS, identity
from signing import signed

from coterie.crypto.field import P
from coterie.crypto.identity.identity import Identity
from coterie.crypto.vectors import add_into
from coterie.protocol.agreement import open_sum as sums
from coterie.protocol.agreement import validity, voting
from coterie.protocol.agreement.choosing import Choosing
from coterie.protocol.agreement.sum_votes import SumVotes
from coterie.protocol.agreement.tendermint import Stage
from coterie.protocol.events import Received
from coterie.protocol.jobs import CheckVector, Contribution, Encode
from coterie.protocol.ledger.blocks import Evict, Join, Membership, Model, block_hash, wide_bytes
from coterie.protocol.ledger.contribution import layout_of
from coterie.protocol.ledger.tickets import make_invite, read_invite
from coterie.protocol.limits import MAX_CHECKED_VECTORS, MAX_MEMBERS, VIEW_HISTORY, VIEW_WINDOW
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import GetBlocks, GetStatus, Precommit, Prevote, Proposal, Status
from coterie.protocol.records import Memory, ModelSaved, ValueSeen, VoteCast, VoteKind
from coterie.protocol.round.summing import Summing
from coterie.protocol.timers import ShareDeadline, StageTimeout


def other_than_the_proposer(chain: Chain) -> int:
    """A member whose turn it is not in view 0."""
    return next(number for number in range(4) if identity(number).public != chain.state.proposer(0))


def idle() -> Bench:
    """A member of a federation that waits for more members: only membership changes can be proposed."""
    chain = Chain(4, min_peers=5)
    bench = Bench(chain, other_than_the_proposer(chain))
    bench.begin()
    return bench


def join_of(bench: Bench, newcomer: int) -> Proposal:
    """A proposal to admit a test peer."""
    data = bench.chain.block(Membership((bench.chain.join(identity(newcomer)),)))
    return Proposal(data, -1, (), (), None)


def views_of(bench: Bench, *, others: bool) -> list[int]:
    """Views of the window in which it is, or is not, this member's turn."""
    return [view for view in range(VIEW_WINDOW) if (bench.proposer(view) != bench.me) == others]


def prevoted(bench: Bench) -> list[bytes | None]:
    """The blocks that this member prevoted, in order."""
    return [vote.message.block_hash for vote in bench.said(Prevote) if isinstance(vote.message, Prevote)]


# What a proposal needs.


def test_a_good_proposal_is_prevoted_and_the_vote_is_durable_in_the_same_step() -> None:
    bench = idle()
    view = views_of(bench, others=True)[0]
    proposal = join_of(bench, 9)
    move_to(bench, view)
    step = bench.hear(bench.proposer(view), proposal, view=view)
    assert prevoted(bench) == [block_hash(proposal.block)]
    assert [type(record) for record in step.persist] == [VoteCast]


def move_to(bench: Bench, view: int) -> None:
    """Everybody else says it is in this view already."""
    if view:
        for one in bench.others:
            bench.hear(one, Prevote(digest("something else"), None), view=view)
    assert bench.node.view == view


def test_a_proposal_of_somebody_whose_turn_it_is_not_is_ignored() -> None:
    bench = idle()
    wrong = next(one for one in bench.others if one != bench.proposer(0))
    bench.hear(wrong, join_of(bench, 9))
    assert prevoted(bench) == []


def test_an_invalid_block_is_named_and_answered_with_a_nil_prevote() -> None:
    bench = idle()
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    proposal = Proposal(bench.chain.block(Membership((bench.chain.join(identity(1)),))), -1, (), (), None)
    bench.hear(bench.proposer(view), proposal, view=view)
    assert prevoted(bench) == [None]
    assert "a join of somebody who is a member" in bench.faults(bench.proposer(view))[0]


def by_invite(chain: Chain, newcomer: int, expires_ms: int) -> Join:
    """A request of a test peer with an invite of the founder, made for it alone."""
    token = make_invite(identity(0), chain.state.federation, digest(f"seed {newcomer}"), expires_ms, 1)
    invite = read_invite(token)
    who = identity(newcomer)
    return chain.join(who, ticket=invite.ticket, proof=invite.prove(who.public))


def admits(late_ms: int) -> bool:
    """Whether a member votes to admit a newcomer whose invite ended so long ago."""
    chain = Chain(1, min_peers=5, admit="invite")
    for number in (1, 2, 3):
        chain.append(Membership((by_invite(chain, number, START_MS),)))
    bench = Bench(chain, other_than_the_proposer(chain))
    bench.begin()
    data = chain.block(Membership((by_invite(chain, 9, START_MS - late_ms),)))
    bench.hear(bench.proposer(0), Proposal(data, -1, (), (), None))
    (vote,) = prevoted(bench)
    return vote == block_hash(data)


def test_a_proposer_that_admits_on_an_outlived_invite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger knows no time. The clocks of honest members may differ by a minute."""
    assert admits(60_000)
    assert not admits(60_001)
    monkeypatch.setattr(validity, "invite_expired", lambda state, request, now_ms, skew_ms: False)
    assert admits(10**9)


def test_a_block_that_a_quorum_decided_and_that_never_came_is_asked_for() -> None:
    bench = idle()
    unknown = digest("a block")
    for one in bench.others:
        bench.hear(one, Precommit(unknown))
    assert [ask.message for ask in bench.said(GetBlocks)] == [GetBlocks(bench.node.state.height + 1)]


def test_in_a_later_view_no_eviction_is_proposed_that_some_would_refuse_for_what_they_hear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would take along those that stand beside it, and in a repetition these are proposed in each view."""
    bench = idle()
    member = bench.others[0].public
    found = (Evict(member, "silent", ()), Evict(member, "bad-dealing", (b"a complaint",)))
    monkeypatch.setattr(Choosing, "_changes", lambda self, only_provable=False: found)
    agreement = bench.node.heights.agreement
    assert agreement is not None
    assert agreement.proposing._value(0) == Membership(found)
    assert agreement.proposing._value(1) == Membership(found[1:])


# What a hostile proposer can do.


def test_of_all_that_a_proposer_signs_for_a_view_one_block_is_kept_and_it_is_named() -> None:
    bench = idle()
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    for newcomer in range(10, 30):
        bench.hear(bench.proposer(view), join_of(bench, newcomer), view=view)
    assert bench.node.heights.agreement is not None
    assert len(bench.node.heights.agreement.candidates) == 1
    assert bench.faults(bench.proposer(view))[0] == f"proposed two blocks in view {view}"
    assert len(prevoted(bench)) == 1


def test_a_proposal_that_brings_thousands_of_votes_costs_no_more_checks_than_a_real_one_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = idle()
    proposer = bench.proposer(0)
    vote = signed(proposer, Prevote(digest("x"), None), 9, federation=bench.node.state.federation).raw
    looked_at: list[bytes] = []

    def counting(raw: bytes, federation: bytes) -> object:
        looked_at.append(raw)
        return verify(raw, federation)

    monkeypatch.setattr(voting, "verify", counting)
    crowded = Proposal(join_of(bench, 9).block, -1, (), (vote,) * (2 * MAX_MEMBERS), None)
    bench.hear(proposer, crowded)
    assert len(looked_at) == 2 * 4, "a polka and a proof of four members"


def test_proposals_for_views_far_ahead_are_not_kept() -> None:
    bench = idle()
    for view in range(VIEW_WINDOW, 20 * VIEW_WINDOW):
        if bench.proposer(view) != bench.me:
            bench.hear(bench.proposer(view), join_of(bench, 9 + view % 20), view=view)
    assert bench.node.heights.agreement is not None
    assert len(bench.node.heights.agreement.candidates) <= 1


def test_proposals_of_forgotten_views_are_forgotten_with_them() -> None:
    bench = idle()
    for view in range(3 * VIEW_HISTORY):
        if bench.proposer(view) != bench.me:
            bench.hear(bench.proposer(view), join_of(bench, 9 + view % 20), view=view)
        bench.fire(StageTimeout(bench.node.state.height + 1, view, int(Stage.PRECOMMIT)))
    assert bench.node.heights.agreement is not None
    assert len(bench.node.heights.agreement.candidates._proposed) <= VIEW_HISTORY


# A sum that is open.


@dataclass
class OpenSum:
    """A node, this member, in the second half of a round; W and the one Model block that follows from it."""

    bench: Bench
    vector: bytes
    body: Model

    def proposal(self, valid_view: int = -1, polka: tuple[bytes, ...] = ()) -> Proposal:
        data = self.bench.chain.block(self.body)
        return Proposal(data, valid_view, (), polka, self.body.vector_hash)

    def well_formed(self, number: int) -> tuple[Proposal, bytes]:
        """One whose W could be a sum of this round's updates, and is not; and that W."""
        vector, body = sum_of_updates(self.bench.chain, f"other {number}")
        return Proposal(self.bench.chain.block(body), -1, (), (), body.vector_hash), vector

    def false_proposal(self, view: int) -> Proposal:
        """One whose W nobody has."""
        body = self.bench.chain.model()
        data = self.bench.chain.block(Model(body.round, digest(f"{view}"), body.sums, body.weights_hash, body.beacon))
        return Proposal(data, -1, (), (), digest(f"{view}"))


def sum_of_updates(chain: Chain, name: str = "entropy") -> tuple[bytes, Model]:
    """Return the sum of four updates, whose random elements have this name, and what follows from it."""
    state = chain.state
    layout = layout_of(chain.genesis, state.kind)
    base = np.zeros(chain.genesis.parameters, "<f4").tobytes()
    total = np.zeros(layout.columns, dtype=np.uint64)
    for number in range(4):
        update = np.full(chain.genesis.parameters, 0.5, dtype=np.float32)
        given = Contribution(10, (4.0, 2.0), digest(f"{name} {number}"), update)
        encoded = Encode(state.round, layout, given, 4.0, 4, chain.genesis.examples_ref).run()
        add_into(total, np.frombuffer(encoded.vector, dtype=np.uint64))
    vector = total.tobytes()
    job = CheckVector(
        state.round, digest(""), vector, layout, 4, bytes(32), 4.0, 4, chain.genesis.examples_ref, base, own_sum=None
    )
    checked = job.run()
    body = Model(
        state.round,
        digest_of(vector),
        tuple(wide_bytes(one) for one in checked.sums),
        checked.weights_hash,
        checked.beacon,
    )
    return vector, body


def open_sum(memory: Memory | None = None, chain: Chain | None = None) -> OpenSum:
    chain = chain or summing_chain()
    base = np.zeros(chain.genesis.parameters, "<f4").tobytes()
    bench = Bench(
        chain, other_than_the_proposer(chain), memory or Memory(model=ModelSaved(chain.genesis.weights_hash, base))
    )
    bench.begin()
    return OpenSum(bench, *sum_of_updates(chain))


def summing_chain() -> Chain:
    chain = Chain(4)
    chain.append(chain.contributors())
    return chain


def test_a_model_is_voted_for_once_its_sum_was_checked() -> None:
    case = open_sum()
    bench = case.bench
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    bench.hear(bench.proposer(view), case.proposal(), case.vector, view=view)
    assert prevoted(bench) == []
    bench.compute()
    assert prevoted(bench) == [block_hash(case.proposal().block)]


def test_a_model_whose_sum_did_not_come_along_is_voted_for_once_it_was_fetched() -> None:
    case = open_sum()
    bench = case.bench
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    proposer = bench.proposer(view)
    bench.hear(proposer, case.proposal(), view=view)
    assert [(fetch.source, fetch.digest) for fetch in bench.fetches] == [(proposer.public, case.body.vector_hash)]
    assert bench.fetches[0].size_bytes == len(case.vector)
    bench.hear(proposer, case.proposal(), case.vector, view=view)
    bench.compute()
    assert prevoted(bench) == [block_hash(case.proposal().block)]


def test_late_votes_do_not_go_on_with_a_height_that_a_certificate_has_closed() -> None:
    case = open_sum()
    bench = case.bench
    view, height = views_of(bench, others=True)[0], bench.node.state.height + 1
    move_to(bench, view)
    bench.hear(bench.proposer(view), case.proposal(), view=view)
    bench.fire(StageTimeout(height, view, int(Stage.PROPOSE)))
    for one in bench.others:
        bench.hear(one, Precommit(block_hash(case.proposal().block)), view=view)
    assert bench.node.state.height == height, "decided, though its sum has not come"
    closed = bench.node.heights.previous
    assert closed is not None
    assert closed.consensus.decided == block_hash(case.proposal().block)
    for one in bench.others:
        bench.hear(one, Prevote(None, None), view=view, height=height)
    assert closed.consensus.prevotes_for(view, None) == 4
    assert closed.consensus.stage is Stage.PREVOTE, "a quorum of nil prevotes would be answered"


@pytest.mark.parametrize("repeats", [1, 50])
def test_proposers_whose_sums_never_come_cannot_keep_a_good_one_out(repeats: int) -> None:
    case = open_sum()
    bench = case.bench
    *bad, good = views_of(bench, others=True)[:6]
    for view in bad:
        for _ in range(repeats):
            bench.hear(bench.proposer(view), case.false_proposal(view), view=view)
    move_to(bench, good)
    bench.hear(bench.proposer(good), case.proposal(), case.vector, view=good)
    bench.compute()
    assert prevoted(bench) == [None, block_hash(case.proposal().block)], "nil in the view that was left"


def test_a_sum_that_is_none_of_encodings_gets_a_nil_prevote() -> None:
    case = open_sum()
    bench = case.bench
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    case.vector = b"\xff" * len(case.vector)
    case.body = Model(case.body.round, digest_of(case.vector), case.body.sums, case.body.weights_hash, case.body.beacon)
    bench.hear(bench.proposer(view), case.proposal(), case.vector, view=view)
    bench.compute()
    assert prevoted(bench) == [None]


@pytest.mark.parametrize("field", ["sums", "weights_hash", "beacon"])
def test_a_model_that_does_not_follow_from_its_sum_gets_a_nil_prevote(field: str) -> None:
    case = open_sum()
    bench = case.bench
    view = views_of(bench, others=True)[0]
    move_to(bench, view)
    wrong = {"sums": bench.chain.model().sums, "weights_hash": digest("w"), "beacon": digest("b")}[field]
    values = {name: getattr(case.body, name) for name in case.body.__struct_fields__} | {field: wrong}
    case.body = Model(**values)
    bench.hear(bench.proposer(view), case.proposal(), case.vector, view=view)
    bench.compute()
    assert prevoted(bench) == [None]


def flooded_while_it_checks(case: OpenSum) -> list[bytes | None]:
    """While a good sum is being checked, the next proposer proposes others, in all of its views. What is voted for."""
    bench = case.bench
    good, bad = views_of(bench, others=True)[:2]
    move_to(bench, good)
    bench.hear(bench.proposer(good), case.proposal(), case.vector, view=good)
    for number, view in enumerate(range(bad, VIEW_WINDOW + 1, 4)):
        bench.hear(bench.proposer(bad), *case.well_formed(number), view=view)
    bench.compute()
    return prevoted(bench)


def test_sums_proposed_in_many_views_at_once_do_not_crowd_out_the_one_that_is_voted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = open_sum()
    assert flooded_while_it_checks(case) == [block_hash(case.proposal().block)]

    def at_once(self: sums.OpenSum, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        self._waiting[proposal.view] = (proposal, digest)
        self._examine(proposal, digest, blob)

    def anyhow(self: Summing, vector_hash: bytes) -> bool:
        if len(self.checked) + len(self._running) >= MAX_CHECKED_VECTORS:
            self.checked.clear()
            self._running.clear()
        return True

    monkeypatch.setattr(sums.OpenSum, "on_claim", at_once)
    monkeypatch.setattr(Summing, "_make_room", anyhow)
    assert flooded_while_it_checks(open_sum()) == []


def test_sums_of_views_to_come_are_checked_when_these_have_come() -> None:
    case = open_sum()
    bench = case.bench
    ahead = views_of(bench, others=True)[1:6]
    for number, view in enumerate(ahead):
        bench.hear(bench.proposer(view), *case.well_formed(number), view=view)
    assert [job for job in bench.work if isinstance(job, CheckVector)] == []
    for number, view in enumerate(ahead):
        move_to(bench, view)
        assert [job.vector for job in bench.work if isinstance(job, CheckVector)] == [case.well_formed(number)[1]]
        bench.compute()
        assert prevoted(bench)[-1] == block_hash(case.well_formed(number)[0].block)


def test_a_sum_that_was_checked_before_ones_own_shares_were_there_is_voted_for_with_them_later() -> None:
    case = open_sum()
    bench = case.bench
    first, second = views_of(bench, others=True)[:2]
    move_to(bench, first)
    bench.hear(bench.proposer(first), case.proposal(), case.vector, view=first)
    summing = bench.node.ctx.summing
    assert summing is not None
    summing.release(None, {dealer: bytes(len(case.vector)) for dealer, _ in summing.body.dealers}, None)
    bench.compute()
    assert [bool(vote.message.z) for vote in bench.said(Prevote) if isinstance(vote.message, Prevote)] == [True]
    move_to(bench, second)
    bench.hear(bench.proposer(second), case.proposal(), case.vector, view=second)
    assert [vote.message.z for vote in bench.said(Prevote) if isinstance(vote.message, Prevote)] == [(0, 0), (0, 0)]


def wait_for(bench: Bench, view: int) -> None:
    """Let views pass in which the others say nothing."""
    while bench.node.view < view:
        bench.fire(StageTimeout(bench.node.state.height + 1, bench.node.view, int(Stage.PRECOMMIT)))


def proposed_again(case: OpenSum) -> tuple[Verified, bytes]:
    """What a member proposes whose sum was proved in one view, and has a polka without the proof from a later one."""
    bench = case.bench
    proved, again = views_of(bench, others=True)[:2]
    value = block_hash(case.proposal().block)
    wait_for(bench, proved)
    bench.hear(bench.proposer(proved), case.proposal(), case.vector, view=proved)
    bench.compute()
    summing = bench.node.ctx.summing
    assert summing is not None
    (one, other), committee = summing.checked[case.body.vector_hash].secret, bench.node.state.committee
    for voter in bench.others:
        place = committee.index(voter.public)
        assert place is not None
        bench.hear(voter, Prevote(value, ((one + 7 * (place + 1)) % P, other)), view=proved)
    polka = tuple(vote.raw for vote in bench.node.heights.agreement.consensus.prevotes(proved).values())  # type: ignore[union-attr]
    wait_for(bench, again)
    bench.hear(bench.proposer(again), case.proposal(proved, polka), case.vector, view=again)
    for voter in bench.others:
        bench.hear(voter, Prevote(value, None), view=again)
    before = len(bench.said(Proposal))
    wait_for(bench, next(view for view in range(again + 1, VIEW_WINDOW) if bench.proposer(view) == bench.me))
    message = bench.said(Proposal)[before]
    assert isinstance(message.message, Proposal)
    assert message.message.valid_view == again
    return message, case.vector


def prevoted_by_another(case: OpenSum, proposal: Verified, vector: bytes) -> bytes | None:
    """What a member prevotes that never saw the proof."""
    chain = case.bench.chain
    number = next(one for one in range(4) if identity(one).public not in (case.bench.me.public, proposal.sender))
    other = Bench(chain, number)
    other.begin()
    wait_for(other, proposal.view)
    already = len(prevoted(other))
    other.hand(Received(proposal, vector))
    other.compute()
    other.fire(StageTimeout(chain.state.height + 1, proposal.view, int(Stage.PROPOSE)))
    return prevoted(other)[already]


def test_a_proposal_brings_the_prevotes_that_proved_its_sum_in_an_earlier_view() -> None:
    case = open_sum()
    assert prevoted_by_another(case, *proposed_again(case)) == block_hash(case.proposal().block)


def test_a_proof_that_does_not_travel_with_the_proposal_leaves_the_others_unconvinced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SumVotes, "proof", lambda self, digest: ())
    case = open_sum()
    assert prevoted_by_another(case, *proposed_again(case)) is None


# Restarts.


def locked_memory(view: int, locked_first: bool) -> tuple[OpenSum, Memory]:
    """What a member remembers that crashed after it precommitted the Model in ``view``."""
    case = open_sum()
    chain, data = case.bench.chain, case.proposal().block
    height, value = chain.state.height + 1, block_hash(case.proposal().block)

    def cast(who: Identity, vote: Prevote | Precommit) -> bytes:
        return signed(who, vote, height, view, chain.state.federation).raw

    me = case.bench.me
    voters = [me, *(one for one in chain.committee if one.public != me.public)][: chain.state.committee.quorum]
    polka = tuple(cast(one, Prevote(value, None)) for one in voters)
    own = (cast(case.bench.me, Prevote(value, None)), cast(case.bench.me, Precommit(value)))
    values = [
        ValueSeen(height, view, False, data, case.vector, polka),
        ValueSeen(height, view, True, data, None, ()),
    ]
    memory = Memory(
        model=ModelSaved(chain.genesis.weights_hash, np.zeros(chain.genesis.parameters, "<f4").tobytes()),
        votes=[VoteCast(height, view, kind, raw) for kind, raw in zip(VoteKind, own, strict=True)],
        values=values[::-1] if locked_first else values,
    )
    return case, memory


@pytest.mark.parametrize("locked_first", [False, True])
@pytest.mark.parametrize("view", [0, VIEW_WINDOW + 5, VIEW_HISTORY + 5])
def test_after_a_restart_the_valid_value_is_proposed_again_with_its_sum_and_its_polka(
    view: int, locked_first: bool
) -> None:
    case, memory = locked_memory(view, locked_first)
    bench = Bench(case.bench.chain, other_than_the_proposer(case.bench.chain), memory)
    bench.begin()
    while not bench.said(Proposal):
        bench.fire(StageTimeout(bench.node.state.height + 1, bench.node.view, int(Stage.PRECOMMIT)))
    proposed = bench.said(Proposal)[0].message
    assert isinstance(proposed, Proposal)
    assert (proposed.block, proposed.valid_view, len(proposed.polka)) == (case.proposal().block, view, 3)
    assert case.vector in [one.blob for one in bench.sent]


def test_a_member_that_must_not_vote_does_not_propose_either() -> None:
    """What it proposed before it lost its journal is unknown to it."""
    chain = Chain(4)
    number = next(number for number in range(4) if identity(number).public == chain.state.proposer(0))
    bench = Bench(chain, number)
    bench.begin(connected=())
    nonce = bench.said(GetStatus)[0].message.nonce
    lost = signed(bench.me, Prevote(None, None), chain.state.height + 1, 0, chain.state.federation)
    for one in bench.others:
        bench.hear(one, Status(nonce, chain.state.height, lost.raw, None, None))
    bench.fire(ShareDeadline(chain.state.round))
    bench.fire(StageTimeout(chain.state.height + 1, 0, int(Stage.PROPOSE)))
    assert "abstaining" in [notice.kind for notice in bench.notices]
    assert bench.said(Proposal) == []
    assert bench.said(Prevote) == []

"""The ledger as a fold: what each block makes of the state, and every reason for which a block is refused."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from chains import Chain, digest
from cluster import identity
from nacl import bindings
from signing import signed

from coterie.crypto.identity import Identity
from coterie.protocol.admission import make_invite, read_invite
from coterie.protocol.blocks import (
    Body,
    Contributors,
    Depart,
    Evict,
    Join,
    Membership,
    Void,
    block_hash,
    wide_bytes,
)
from coterie.protocol.committee import Committee
from coterie.protocol.contribution import WIDE_UNIT
from coterie.protocol.ledger import LedgerError, LedgerState, Member, Phase, apply, extend, genesis_state
from coterie.protocol.limits import MAX_MEMBERS
from coterie.protocol.messages import CertifiedBlock, Complaint, Deal, JoinRequest, Message, Precommit, Prevote

OUTSIDER = identity(20)


def sharing(**changes: object) -> Chain:
    """Four members, in the first half of a round."""
    return Chain(4, **changes)


def summing(**changes: object) -> Chain:
    """Four members, in the second half of a round to which all contribute."""
    chain = Chain(4, **changes)
    chain.append(chain.contributors())
    return chain


def waiting(members: int = 2) -> Chain:
    """Too few members for a round."""
    return Chain(members, min_peers=members + 1)


def finished() -> Chain:
    """Four members that have trained all their rounds."""
    chain = Chain(4, rounds=1)
    chain.round()
    chain.round()
    assert chain.state.phase is Phase.FINISHED
    return chain


def key(number: int) -> bytes:
    return identity(number).public


def changed(body: Body, **fields: object) -> Body:
    """The body with other fields."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return type(body)(**values | fields)  # type: ignore[no-any-return]


def joined(chain: Chain, *numbers: int) -> Membership:
    return Membership(tuple(chain.join(identity(number)) for number in numbers))


# What each block makes of the state.


def test_at_height_0_there_is_the_founder_alone_and_the_ids_are_those_of_the_genesis() -> None:
    chain = Chain(1)
    state = chain.state
    assert (state.height, state.head, state.federation) == (0, chain.genesis.federation, chain.genesis.federation)
    assert (state.keys, state.phase, state.round) == ((key(0),), Phase.WAITING, 1)


def test_a_round_before_training_is_round_0() -> None:
    assert [Chain(1, setup_sums=sums).state.round for sums in (0, 3)] == [1, 0]


def test_a_join_adds_a_member_and_keeps_the_order_of_the_keys() -> None:
    chain = waiting(4)
    assert list(chain.state.keys) == sorted(key(number) for number in range(4))
    assert {member.joined for member in chain.state.members} == {0, 1}


def test_enough_members_begin_a_round_with_a_committee_of_all_of_them() -> None:
    chain = waiting(2)
    assert (chain.state.phase, chain.state.committee.n) == (Phase.WAITING, 2)
    state = chain.append(joined(chain, 5))
    assert (state.phase, state.round, state.committee) == (Phase.SHARING, 1, Committee(state.keys))


def test_members_that_join_during_a_round_belong_to_the_next() -> None:
    chain = sharing()
    state = chain.append(joined(chain, 5))
    assert (len(state.keys), state.committee.n, state.phase) == (5, 4, Phase.SHARING)
    assert chain.append(chain.void()).committee.n == 5


def test_members_that_leave_during_a_round_belong_to_it_to_its_end() -> None:
    chain = Chain(4, min_peers=3)
    state = chain.append(Membership((chain.leave(identity(2)),)))
    assert (len(state.keys), state.committee.n) == (3, 4)
    state = chain.round()
    assert (state.committee.n, state.phase) == (3, Phase.SHARING)


def test_too_few_members_wait_after_the_round() -> None:
    chain = sharing()
    chain.append(Membership((chain.leave(identity(2)),)))
    assert chain.append(chain.void()).phase is Phase.WAITING


def test_contributors_open_the_sum() -> None:
    chain = sharing()
    body = chain.contributors(dealers=(0, 1, 3), holders=(0, 2, 3))
    state = chain.append(body)
    assert (state.phase, state.contributors, state.round) == (Phase.SUMMING, body, 1)


def test_a_model_ends_the_round_with_its_weights_its_beacon_and_its_sums() -> None:
    chain = summing()
    body = chain.model(30, 30, 1, 2)
    state = chain.append(body)
    assert (state.phase, state.round, state.trained, state.contributors) == (Phase.SHARING, 2, 1, None)
    assert (state.weights, state.beacon) == (body.weights, body.beacon)
    assert state.sums == tuple(WIDE_UNIT * one for one in (30, 30, 1, 2))


@pytest.mark.parametrize(
    "sums", [(3.5, 40), (4_096.5, 10**6), (50, 40)], ids=["too few", "above the cap", "more than all"]
)
def test_a_model_with_an_example_count_that_four_contributors_cannot_have_is_refused(sums: tuple[float, float]) -> None:
    chain = summing(examples_ref=1_024)
    with pytest.raises(LedgerError, match="impossible example count"):
        chain.append(chain.model(*sums, 1, 2))
    assert chain.append(chain.model(4_096, 10**6, 1, 2)).trained == 1


def test_a_void_round_leaves_the_model_alone_and_the_next_begins() -> None:
    chain = sharing()
    before = chain.state
    state = chain.append(chain.void(key(2)))
    assert (state.phase, state.round, state.trained) == (Phase.SHARING, 2, 0)
    assert (state.weights, state.sums, state.beacon) == (before.weights, None, before.beacon)
    chain.append(chain.contributors())
    state = chain.append(chain.void())
    assert (state.phase, state.round, state.contributors) == (Phase.SHARING, 3, None)


def test_a_setup_round_gives_totals_and_trains_nothing() -> None:
    chain = summing(setup_sums=2)
    assert chain.state.kind == "setup"
    before = chain.state.weights
    state = chain.append(chain.model(40, 40, 5, 6))
    assert (state.kind, state.trained, state.round, state.weights) == ("train", 0, 1, before)
    assert state.totals == (5 * WIDE_UNIT, 6 * WIDE_UNIT)
    chain.round()
    assert chain.state.totals == state.totals


def test_a_round_that_evaluates_the_last_model_finishes_the_training() -> None:
    chain = Chain(4, rounds=2)
    assert [(chain.state.kind, chain.round().phase) for _ in range(3)] == [
        ("train", Phase.SHARING),
        ("train", Phase.SHARING),
        ("evaluate", Phase.FINISHED),
    ]
    assert chain.state.trained == 2


def test_without_a_number_of_rounds_training_never_finishes() -> None:
    chain = Chain(4, rounds=0)
    for _ in range(5):
        assert chain.state.kind == "train"
        assert chain.round().phase is Phase.SHARING


def test_after_the_training_members_still_come_and_go_and_decide_about_it_at_once() -> None:
    chain = finished()
    assert chain.append(joined(chain, 5)).committee.n == 5
    assert chain.append(Membership((chain.leave(identity(1)),))).committee.n == 4
    assert chain.state.phase is Phase.FINISHED


def test_rounds_are_missed_by_who_is_not_among_the_contributors_and_counted_in_a_row() -> None:
    chain = sharing()
    absent = chain.state.committee.members[2]
    for missed in (1, 2):
        chain.append(chain.contributors(dealers=(0, 1, 3)))
        chain.append(chain.model())
        assert [member.missed for member in chain.state.members] == [0, 0, missed, 0]
    chain.append(chain.void(absent))
    assert chain.state.members[2].missed == 2, "a void round has no contributors to be missing from"
    chain.round()
    assert {member.missed for member in chain.state.members} == {0}


def test_who_joined_during_a_round_has_not_missed_it() -> None:
    chain = sharing()
    chain.append(joined(chain, 5))
    chain.round()
    assert {member.missed for member in chain.state.members} == {0}


def test_every_member_proposes_once_in_as_many_views_as_there_are_members() -> None:
    state = sharing().state
    for start in (0, 1, 7):
        assert {state.proposer(view) for view in range(start, start + 4)} == set(state.keys)


def test_the_turns_go_on_from_height_to_height_and_the_beacon_shuffles_them() -> None:
    chain = sharing()
    state = chain.state
    assert replace(state, height=state.height + 1).proposer(0) == state.proposer(1)
    orders = {state.committee.order(digest(f"{number}")) for number in range(40)}
    assert len(orders) > 15


def test_silent_members_may_come_back_and_cheats_may_not() -> None:
    chain = sharing(evict_after_rounds=1)
    silent = chain.state.committee.members[2]
    number = next(number for number in range(4) if key(number) == silent)
    chain.append(chain.contributors(dealers=(0, 1, 3)))
    chain.append(chain.model())
    chain.append(Membership((Evict(silent, "silent", ()),)))
    assert chain.state.member(silent) is None
    state = chain.append(joined(chain, number))
    assert state.member(silent) == Member(silent, f"peer {silent[:2].hex()}", 0, state.height)

    chain = sharing()
    chain.append(Membership((double_vote(chain, 2),)))
    with pytest.raises(LedgerError, match="a join of somebody who was evicted for cheating"):
        chain.append(joined(chain, 2))


def test_a_member_that_left_may_come_back_with_a_new_request() -> None:
    chain = sharing()
    chain.append(Membership((chain.leave(identity(2)),)))
    assert key(2) in chain.append(joined(chain, 2)).keys
    chain.append(Membership((chain.leave(identity(2)),)))
    assert key(2) not in chain.state.keys


# Evidence.


def vote(chain: Chain, number: int, message: Message, view: int = 0, height: int = 1) -> bytes:
    return signed(identity(number), message, height, view, chain.state.federation).raw


def double_vote(chain: Chain, number: int) -> Evict:
    both = tuple(vote(chain, number, Precommit(digest(text))) for text in "ab")
    return Evict(key(number), "double-vote", both)


def wrong_sum(chain: Chain, liar: int, points: int = 4) -> Evict:
    """Prevotes for the last Model whose z's lie on a line, for K is 2, but for the one of the liar."""
    settled = chain.state.settled
    assert settled is not None
    evidence = []
    for index, one in enumerate(chain.committee[:points]):
        wrong = 1 if index == liar else 0
        z = (5 + 7 * (index + 1) + wrong, 11 + 13 * (index + 1))
        evidence.append(signed(one, Prevote(settled.block, z), settled.height, 0, chain.state.federation).raw)
    return Evict(settled.committee.members[liar], "wrong-sum", tuple(evidence))


def bad_dealing(chain: Chain, dealer: int, holder: int) -> Evict:
    deal = vote(chain, dealer, Deal(1, chain.state.weights, digest("root"), b"", ()))
    complaint = Complaint(1, 0, deal, digest("share"))
    return Evict(key(dealer), "bad-dealing", (vote(chain, holder, complaint),))


def settled() -> Chain:
    """One round is over, so that there is a sum to judge."""
    chain = sharing()
    chain.round()
    return chain


@pytest.mark.parametrize(
    "evidence",
    [
        lambda chain: Evict(key(1), "double-vote", tuple(vote(chain, 1, Prevote(digest(t), None)) for t in "ab")),
        lambda chain: Evict(key(1), "double-vote", tuple(vote(chain, 1, Precommit(b)) for b in (None, digest("a")))),
        lambda chain: double_vote(chain, 1),
        lambda chain: wrong_sum(chain, 3),
        lambda chain: bad_dealing(chain, 1, 2),
    ],
    ids=["two prevotes", "nil and a block", "two precommits", "a z off the polynomial", "a complaint"],
)
def test_a_proof_of_cheating_evicts_and_bars(evidence: Callable[[Chain], Evict]) -> None:
    chain = settled()
    evict = evidence(chain)
    state = chain.append(Membership((evict,)))
    assert evict.member not in state.keys
    assert [(gone.key, gone.barred) for gone in state.gone] == [(evict.member, True)]


# Every reason for which a block is refused, one at a time.


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a block, and what is said about it."""

    name: str
    chain: Callable[[], Chain]
    body: Callable[[Chain], Body]
    error: str


def fault_tests(faults: list[Fault]):  # type: ignore[no-untyped-def]
    return pytest.mark.parametrize("fault", faults, ids=[fault.name for fault in faults])


def refusal(fault: Fault) -> None:
    chain = fault.chain()
    data = chain.block(fault.body(chain))
    with pytest.raises(LedgerError) as caught:
        apply(chain.state, data)
    assert re.search(fault.error, str(caught.value))
    assert str(caught.value).startswith(f"height {chain.state.height + 1}: ")
    with pytest.raises(LedgerError, match=fault.error):
        extend(chain.state, chain.certify(data))


CONTRIBUTORS = [
    Fault("while waiting", waiting, lambda c: replaced(sharing().contributors(), c), "contributors while waiting"),
    Fault("while a sum is open", summing, lambda c: c.contributors(), "contributors while summing"),
    Fault("after the end", finished, lambda c: c.contributors(), "contributors while finished"),
    Fault("of the last round", settled, lambda c: changed(c.contributors(), round=1), "of round 1 in round 2"),
    Fault("of the next round", sharing, lambda c: changed(c.contributors(), round=2), "of round 2 in round 1"),
    Fault("other base", sharing, lambda c: changed(c.contributors(), base=digest("x")), "another base model"),
    Fault("other scheme", sharing, lambda c: changed(c.contributors(), scheme="plain"), "scheme plain is not"),
    Fault("dealers unordered", sharing, lambda c: c.contributors(dealers=(0, 2, 1)), "not in order"),
    Fault("a dealer twice", sharing, lambda c: c.contributors(dealers=(0, 1, 1, 2)), "not in order"),
    Fault("holders unordered", sharing, lambda c: c.contributors(holders=(3, 1, 2)), "not in order"),
    Fault("a holder twice", sharing, lambda c: c.contributors(holders=(0, 0, 1)), "not in order"),
    Fault("unknown dealer", sharing, lambda c: c.contributors(dealers=(0, 1, 4)), "not of the round"),
    Fault("unknown holder", sharing, lambda c: c.contributors(holders=(0, 1, 4)), "not of the round"),
    Fault("K dealers", sharing, lambda c: c.contributors(dealers=(0, 1)), r"2 contributors, but at least 3 .*\(K\+1\)"),
    Fault("K+f-1 holders", sharing, lambda c: c.contributors(holders=(0, 1)), r"2 holders, but at least 3 .*\(K\+f\)"),
]


def replaced(body: Contributors, chain: Chain) -> Body:
    """The same body in another federation."""
    return changed(body, base=chain.state.weights)


@fault_tests(CONTRIBUTORS)
def test_contributors_are_refused(fault: Fault) -> None:
    refusal(fault)


def sums(*values: float) -> tuple[bytes, ...]:
    return tuple(wide_bytes(int(value * WIDE_UNIT)) for value in values)


MODELS = [
    Fault("while shares go round", sharing, lambda c: changed(summing().model(), round=1), "model while sharing"),
    Fault("after the end", finished, lambda c: changed(summing().model(), round=3), "model while finished"),
    Fault("of another round", summing, lambda c: changed(c.model(), round=2), "of round 2 in round 1"),
    Fault("a sum too many", summing, lambda c: c.model(40, 40, 1, 1, 1), "wrong number of sums"),
    Fault("a sum too few", summing, lambda c: c.model(40, 40, 1), "wrong number of sums"),
    Fault(
        "metrics in a setup round",
        lambda: summing(setup_sums=3, metrics=("m",)),
        lambda c: c.model(40, 40, 1, 1),
        "wrong number of sums",
    ),
    Fault(
        "new weights in a setup round",
        lambda: summing(setup_sums=1),
        lambda c: c.model(weights=digest("x")),
        "a setup round changes the weights",
    ),
    Fault(
        "new weights in the last round",
        lambda: evaluating(),
        lambda c: c.model(weights=digest("x")),
        "an? evaluate round changes the weights",
    ),
    Fault("no examples", summing, lambda c: c.model(0, 40, 1, 1), "impossible example count"),
    Fault("less than no examples", summing, lambda c: c.model(-1, 40, 1, 1), "impossible example count"),
    Fault("more than there are", summing, lambda c: c.model(41, 40, 1, 1), "impossible example count"),
]


def evaluating() -> Chain:
    chain = Chain(4, rounds=1)
    chain.round()
    chain.append(chain.contributors())
    return chain


@fault_tests(MODELS)
def test_a_model_is_refused(fault: Fault) -> None:
    refusal(fault)


VOIDS = [
    Fault("while waiting", waiting, lambda c: Void(1, "shares", ()), "void while waiting"),
    Fault("after the end", finished, lambda c: c.void(), "void while finished"),
    Fault("of another round", sharing, lambda c: changed(c.void(), round=2), "of round 2 in round 1"),
    Fault(
        "for a sum that is not open", sharing, lambda c: changed(c.void(), reason="sum"), "void for sum while sharing"
    ),
    Fault(
        "for shares too late", summing, lambda c: changed(c.void(), reason="shares"), "void for shares while summing"
    ),
    Fault("names unordered", sharing, lambda c: changed(c.void(), names=c.state.keys[::-1]), "not in order"),
    Fault("a name twice", sharing, lambda c: changed(c.void(), names=c.state.keys[:1] * 2), "not in order"),
    Fault("names an outsider", sharing, lambda c: c.void(OUTSIDER.public), "somebody outside the round"),
]


@fault_tests(VOIDS)
def test_a_void_is_refused(fault: Fault) -> None:
    refusal(fault)


def request_of(chain: Chain, message: Message, who: Identity = OUTSIDER, federation: bytes | None = None) -> bytes:
    federation = federation or chain.state.federation
    return signed(who, message, chain.state.height + 1, 0, federation).raw


def tampered(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def after_leaving() -> Chain:
    """Peer 2 left, came back, and there are still its old requests."""
    chain = sharing()
    chain.append(Membership((chain.leave(identity(2)),)))
    return chain


JOIN = JoinRequest("peer", "test model", b"", b"")
REQUESTS = [
    Fault("while a sum is open", summing, lambda c: joined(c, 5), "membership changes while a sum is open"),
    Fault("of a member", sharing, lambda c: joined(c, 1), "a join of somebody who is a member"),
    Fault("twice in a block", sharing, lambda c: joined(c, 5, 5), "a join of somebody who is a member"),
    Fault("other model", sharing, lambda c: Membership((c.join(OUTSIDER, "x"),)), "a join with another model"),
    Fault(
        "unprintable name",
        sharing,
        lambda c: Membership((Join(request_of(c, JoinRequest("a\nb", "test model", b"", b""))),)),
        "a name that cannot be printed",
    ),
    Fault(
        "forged",
        sharing,
        lambda c: Membership((Join(tampered(request_of(c, JOIN))),)),
        "request: bad signature",
    ),
    Fault(
        "for another federation",
        sharing,
        lambda c: Membership((Join(request_of(c, JOIN, federation=digest("x"))),)),
        "request: another federation",
    ),
    Fault(
        "a leave instead of a join",
        sharing,
        lambda c: Membership((Join(c.leave(OUTSIDER).request),)),
        "the request is of another kind",
    ),
    Fault(
        "a join instead of a leave",
        sharing,
        lambda c: Membership((Depart(c.join(OUTSIDER).request),)),
        "the request is of another kind",
    ),
    Fault("leave of an outsider", sharing, lambda c: Membership((c.leave(OUTSIDER),)), "who is no member"),
    Fault(
        "leave twice in a block",
        sharing,
        lambda c: Membership((c.leave(identity(1)), c.leave(identity(1)))),
        "who is no member",
    ),
    Fault(
        "leave of the last member",
        lambda: Chain(1),
        lambda c: Membership((c.leave(identity(0)),)),
        "the last member cannot be removed",
    ),
    Fault(
        "a join from before its sender left",
        after_leaving,
        lambda c: Membership((c.join(identity(2), height=1),)),
        "a join request from before its sender left",
    ),
    Fault(
        "a join from the very height of the leave",
        after_leaving,
        lambda c: Membership((c.join(identity(2), height=c.state.height),)),
        "a join request from before its sender left",
    ),
]


@fault_tests(REQUESTS)
def test_a_request_is_refused(fault: Fault) -> None:
    refusal(fault)


def test_an_old_leave_cannot_be_replayed_after_its_sender_came_back() -> None:
    chain = sharing()
    old = chain.leave(identity(2))
    chain.append(Membership((old,)))
    chain.append(joined(chain, 2))
    with pytest.raises(LedgerError, match="a leave of somebody who is no member"):
        chain.append(Membership((old,)))


def test_a_full_federation_admits_nobody() -> None:
    chain = sharing()
    crowd = tuple(Member(hashlib.sha256(b"%d" % number).digest(), "x") for number in range(MAX_MEMBERS - 1))
    members = sorted((chain.state.members[0], *crowd), key=lambda member: member.key)
    state = replace(chain.state, members=tuple(members))
    with pytest.raises(LedgerError, match=f"the federation has its {MAX_MEMBERS} members"):
        apply(state, chain.block(joined(chain, 5)))


def test_a_key_of_mixed_order_is_refused_because_no_share_can_be_sealed_for_it() -> None:
    chain = sharing()
    with pytest.raises(LedgerError, match="a key for which no share can be sealed"):
        chain.append(Membership((Join(request_of(chain, JOIN, MixedOrder())),)))


class MixedOrder(Identity):
    """A key with a component of order 2: its signatures pass wherever the challenge is even."""

    def __init__(self) -> None:
        super().__init__(bytes(range(32)))
        order_2 = (2**255 - 20).to_bytes(32, "little")  # (0, -1)
        self.secret = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"secret").digest())
        self.public = bindings.crypto_core_ed25519_add(self._times_base(self.secret), order_2)  # type: ignore[misc]

    @staticmethod
    def _times_base(scalar: bytes) -> bytes:
        return bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)

    def sign(self, message: bytes) -> bytes:
        for attempt in range(100):
            nonce = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"%d" % attempt + message).digest())
            point = self._times_base(nonce)
            challenge = bindings.crypto_core_ed25519_scalar_reduce(
                hashlib.sha512(point + self.public + message).digest()
            )
            if challenge[0] % 2 == 0:
                product = bindings.crypto_core_ed25519_scalar_mul(challenge, self.secret)
                return point + bindings.crypto_core_ed25519_scalar_add(nonce, product)
        raise AssertionError("half of the challenges are even")


# Who is admitted.


def by_invite() -> Chain:
    chain = Chain(1, admit="invite")
    for number in (1, 2):
        chain.append(Membership((invited(chain, identity(number), seed=bytes([number]) * 32),)))
    return chain


def invited(
    chain: Chain,
    who: Identity,
    inviter: Identity | None = None,
    federation: bytes | None = None,
    uses: int = 1,
    seed: bytes = b"s" * 32,
    proved_for: Identity | None = None,
) -> Join:
    """A join with an invite."""
    token = make_invite(inviter or identity(0), federation or chain.state.federation, seed, 10**13, uses)
    invite = read_invite(token)
    return chain.join(who, ticket=invite.ticket, proof=invite.prove((proved_for or who).public))


def spent() -> Chain:
    chain = by_invite()
    chain.append(Membership((invited(chain, identity(5)),)))
    return chain


def forged(chain: Chain) -> Body:
    """An invite with a bit of its signature changed."""
    invite = read_invite(make_invite(identity(0), chain.state.federation, b"s" * 32, 10**13, 1))
    return Membership((chain.join(OUTSIDER, ticket=tampered(invite.ticket), proof=invite.prove(OUTSIDER.public)),))


INVITES = [
    Fault("none", by_invite, lambda c: Membership((c.join(OUTSIDER),)), "the invite is malformed"),
    Fault(
        "garbage",
        by_invite,
        lambda c: Membership((c.join(OUTSIDER, ticket=b"ticket", proof=bytes(64)),)),
        "the invite is malformed",
    ),
    Fault("forged", by_invite, forged, "the invite's signature is wrong"),
    Fault(
        "for another federation",
        by_invite,
        lambda c: Membership((invited(c, OUTSIDER, federation=digest("x")),)),
        "the invite is for another federation",
    ),
    Fault(
        "by an outsider",
        by_invite,
        lambda c: Membership((invited(c, OUTSIDER, inviter=identity(21)),)),
        "the invite was made by somebody who is no member",
    ),
    Fault(
        "read in the ledger by somebody else",
        by_invite,
        lambda c: Membership((invited(c, OUTSIDER, proved_for=identity(5)),)),
        "the invite is not proved by the newcomer",
    ),
    Fault("spent", spent, lambda c: Membership((invited(c, OUTSIDER),)), r"for 1 use\(s\), and all are spent"),
    Fault(
        "spent in the same block",
        by_invite,
        lambda c: Membership((invited(c, identity(5)), invited(c, OUTSIDER))),
        "all are spent",
    ),
    Fault(
        "not on the roster",
        lambda: Chain(1, admit="roster", roster=(key(0), key(1))),
        lambda c: joined(c, 2),
        "a join of somebody who is not on the roster",
    ),
]


@fault_tests(INVITES)
def test_a_newcomer_is_refused(fault: Fault) -> None:
    refusal(fault)


def test_an_invite_admits_as_many_as_it_says() -> None:
    chain = by_invite()
    chain.append(Membership((invited(chain, identity(5), uses=2),)))
    chain.append(Membership((invited(chain, identity(6), uses=2),)))
    with pytest.raises(LedgerError, match="2 use"):
        chain.append(Membership((invited(chain, identity(7), uses=2),)))


def test_any_member_may_invite_and_an_invite_dies_with_the_membership_of_who_made_it() -> None:
    chain = by_invite()
    chain.append(Membership((invited(chain, identity(5), inviter=identity(2)),)))
    chain.append(Membership((chain.leave(identity(2)),)))
    with pytest.raises(LedgerError, match="by somebody who is no member"):
        chain.append(Membership((invited(chain, identity(6), inviter=identity(2), seed=b"t" * 32),)))


def test_the_roster_admits_whom_it_names_and_nobody_needs_an_invite_where_all_are_welcome() -> None:
    chain = Chain(1, admit="roster", roster=(key(0), key(1)))
    assert key(1) in chain.append(joined(chain, 1)).keys
    chain = Chain(1, admit="open")
    assert OUTSIDER.public in chain.append(Membership((chain.join(OUTSIDER),))).keys


# Who is evicted.


def missed(rounds: int, **changes: object) -> Chain:
    """Peer 1 has missed this many rounds."""
    chain = sharing(**changes)
    members = tuple(replace(one, missed=rounds if one.key == key(1) else 0) for one in chain.state.members)
    return chain.with_(members=members)


def evicting(evict: Callable[[Chain], Evict]) -> Callable[[Chain], Body]:
    return lambda chain: Membership((evict(chain),))


def with_evidence(*evidence: Callable[[Chain], bytes], member: int = 1) -> Callable[[Chain], Body]:
    """A claim of a double vote."""
    return lambda chain: Membership((Evict(key(member), "double-vote", tuple(one(chain) for one in evidence)),))


def precommit(text: str, number: int = 1, view: int = 0, height: int = 1) -> Callable[[Chain], bytes]:
    return lambda chain: vote(chain, number, Precommit(digest(text)), view, height)


NO_DOUBLE_VOTE = "the evidence shows no double vote of this member"
EVICTIONS = [
    Fault("of an outsider", sharing, lambda c: Membership((double_vote(c, 20),)), "who is no member"),
    Fault(
        "silence too short",
        lambda: missed(4, evict_after_rounds=5),
        lambda c: Membership((Evict(key(1), "silent", ()),)),
        "silent for 4 rounds, and 5 are needed",
    ),
    Fault(
        "silence where nobody is evicted for it",
        lambda: missed(400, evict_after_rounds=0),
        lambda c: Membership((Evict(key(1), "silent", ()),)),
        "silent for 400 rounds, and 0 are needed",
    ),
    Fault(
        "proof where nobody is evicted for it",
        lambda: sharing(evict_on_proof=False),
        lambda c: Membership((double_vote(c, 1),)),
        "does not evict on proof",
    ),
    Fault("no evidence", sharing, with_evidence(), NO_DOUBLE_VOTE),
    Fault("one vote", sharing, with_evidence(precommit("a")), NO_DOUBLE_VOTE),
    Fault("the same vote twice", sharing, with_evidence(precommit("a"), precommit("a")), NO_DOUBLE_VOTE),
    Fault("three votes", sharing, with_evidence(*map(precommit, "abc")), NO_DOUBLE_VOTE),
    Fault("of two views", sharing, with_evidence(precommit("a"), precommit("b", view=1)), NO_DOUBLE_VOTE),
    Fault("of two heights", sharing, with_evidence(precommit("a"), precommit("b", height=2)), NO_DOUBLE_VOTE),
    Fault("of two members", sharing, with_evidence(precommit("a"), precommit("b", number=2)), NO_DOUBLE_VOTE),
    Fault("of somebody else", sharing, with_evidence(precommit("a", 2), precommit("b", 2)), NO_DOUBLE_VOTE),
    Fault(
        "a prevote and a precommit",
        sharing,
        with_evidence(precommit("a"), lambda c: vote(c, 1, Prevote(digest("b"), None))),
        NO_DOUBLE_VOTE,
    ),
    Fault(
        "two prevotes for one block that differ in z",
        sharing,
        with_evidence(*(lambda c, z=z: vote(c, 1, Prevote(digest("b"), (z, z))) for z in (1, 2))),
        NO_DOUBLE_VOTE,
    ),
    Fault(
        "a forged vote",
        sharing,
        with_evidence(precommit("a"), lambda c: tampered(vote(c, 1, Precommit(None)))),
        "evidence: bad signature",
    ),
    Fault("no sum yet", sharing, lambda c: Membership((unsettled_wrong_sum(c),)), "there is no sum to judge"),
    Fault(
        "a right sum",
        settled,
        lambda c: Membership((changed_member(wrong_sum(c, 3), c.state.committee.members[0]),)),
        "no wrong sum of this member",
    ),
    Fault("K+f points, one of them off", settled, evicting(lambda c: wrong_sum(c, 2, points=3)), "no wrong sum"),
    Fault("points for another block", settled, evicting(lambda c: about_another_block(c)), "no wrong sum"),
    Fault("no points", settled, lambda c: Membership((Evict(key(1), "wrong-sum", ()),)), "no wrong sum"),
    Fault(
        "no complaint",
        sharing,
        lambda c: Membership((Evict(key(1), "bad-dealing", (vote(c, 2, Precommit(None)),)),)),
        "the evidence is no complaint",
    ),
    Fault(
        "nothing", sharing, lambda c: Membership((Evict(key(1), "bad-dealing", ()),)), "the evidence is no complaint"
    ),
    Fault(
        "two complaints",
        sharing,
        lambda c: Membership((Evict(key(1), "bad-dealing", bad_dealing(c, 1, 2).evidence * 2),)),
        "the evidence is no complaint",
    ),
    Fault(
        "a complaint about somebody else",
        sharing,
        lambda c: Membership((changed_member(bad_dealing(c, 1, 2), key(3)),)),
        "the complaint is about no dealing of this member",
    ),
    Fault(
        "a complaint about a message that is no dealing",
        sharing,
        lambda c: Membership((about_no_dealing(c),)),
        "the complaint is about no dealing of this member",
    ),
    Fault(
        "a complaint of somebody who is no member",
        sharing,
        lambda c: Membership((bad_dealing(c, 1, 20),)),
        "the complaint is of somebody who is no member",
    ),
]


def unsettled_wrong_sum(chain: Chain) -> Evict:
    return Evict(key(1), "wrong-sum", (vote(chain, 1, Prevote(digest("x"), (1, 2))),))


def changed_member(evict: Evict, member: bytes) -> Evict:
    return Evict(member, evict.reason, evict.evidence)


def about_another_block(chain: Chain) -> Evict:
    assert chain.state.settled is not None
    another = replace(chain.state.settled, block=digest("another"))
    return wrong_sum(Chain(4).with_(settled=another, federation=chain.state.federation), 3)


def about_no_dealing(chain: Chain) -> Evict:
    complaint = Complaint(1, 0, vote(chain, 1, Precommit(None)), digest("share"))
    return Evict(key(1), "bad-dealing", (vote(chain, 2, complaint),))


@fault_tests(EVICTIONS)
def test_an_eviction_is_refused(fault: Fault) -> None:
    refusal(fault)


@pytest.mark.parametrize("z", [2**64 - 1, 2**64 - 2**32 + 1])
def test_a_z_that_is_no_field_element_is_off_the_polynomial_and_crashes_nobody(z: int) -> None:
    chain = settled()
    good, settled_at = wrong_sum(chain, 3), chain.state.settled
    assert settled_at is not None
    liar = chain.committee[3]
    bad = signed(liar, Prevote(settled_at.block, (z, 0)), settled_at.height, 0, chain.state.federation).raw
    evict = Evict(liar.public, "wrong-sum", (*good.evidence[:3], bad))
    assert liar.public not in chain.append(Membership((evict,))).keys


# Where a block stands.


def test_a_block_of_another_height_is_refused() -> None:
    chain = sharing()
    for height in (0, 1, 3):
        with pytest.raises(LedgerError, match=f"height 2: the block says height {height}"):
            apply(chain.state, chain.block(chain.contributors(), height=height))


def test_a_block_after_another_block_is_refused() -> None:
    chain = sharing()
    with pytest.raises(LedgerError, match="height 2: the block does not follow from the block before it"):
        apply(chain.state, chain.block(chain.contributors(), previous=digest("another")))


@pytest.mark.parametrize("spoil", [lambda data: data + b"\0", lambda data: data[:-1], lambda data: b""])
def test_bytes_that_are_no_block_are_refused_with_the_height(spoil: Callable[[bytes], bytes]) -> None:
    chain = sharing()
    with pytest.raises(LedgerError, match="height 2: "):
        apply(chain.state, spoil(chain.block(chain.contributors())))


# Certificates.


def votes_of(chain: Chain, data: bytes, count: int) -> list[bytes]:
    return [chain.vote(one, block_hash(data)) for one in chain.committee[:count]]


def other_views(chain: Chain, data: bytes) -> list[bytes]:
    return [chain.vote(one, block_hash(data), view) for view, one in enumerate(chain.committee)]


def cast(chain: Chain, who: Identity, message: Message, federation: bytes | None = None, height: int = 0) -> bytes:
    height = height or chain.state.height + 1
    return signed(who, message, height, 0, federation or chain.state.federation).raw


CERTIFICATES: dict[str, tuple[Callable[[Chain, bytes], list[bytes]], str]] = {
    "none": (lambda c, d: [], "0 signers, but 3 are needed"),
    "too few": (lambda c, d: votes_of(c, d, 2), "2 signers, but 3 are needed"),
    "a signer twice": (lambda c, d: votes_of(c, d, 2) + votes_of(c, d, 1), "2 signers, but 3 are needed"),
    "one signer many times": (lambda c, d: votes_of(c, d, 1) * 9, "1 signers, but 3 are needed"),
    "an outsider": (
        lambda c, d: [*votes_of(c, d, 2), c.vote(OUTSIDER, block_hash(d))],
        "a signer is not of the committee",
    ),
    "different views": (other_views, "the votes are of different views"),
    "another block": (
        lambda c, d: [*votes_of(c, d, 2), c.vote(c.committee[2], digest("x"))],
        "a vote is not for this block",
    ),
    "a nil vote": (lambda c, d: [*votes_of(c, d, 2), c.vote(c.committee[2], None)], "a vote is not for this block"),
    "another height": (
        lambda c, d: [*votes_of(c, d, 2), c.vote(c.committee[2], block_hash(d), height=1)],
        "a vote is not for this block",
    ),
    "a prevote": (
        lambda c, d: [*votes_of(c, d, 2), cast(c, c.committee[2], Prevote(block_hash(d), None))],
        "a vote is not for this block",
    ),
    "another federation": (
        lambda c, d: [*votes_of(c, d, 2), cast(c, c.committee[2], Precommit(block_hash(d)), digest("x"))],
        "another federation",
    ),
    "a bad signature": (
        lambda c, d: [*votes_of(c, d, 2), tampered(c.vote(c.committee[2], block_hash(d)))],
        "bad signature",
    ),
    "garbage": (lambda c, d: [*votes_of(c, d, 3), b"garbage"], "_Envelope"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_is_refused(name: str) -> None:
    make, error = CERTIFICATES[name]
    chain = sharing()
    data = chain.block(chain.contributors())
    with pytest.raises(LedgerError, match=f"height 2: certificate: .*{error}"):
        extend(chain.state, CertifiedBlock(data, tuple(make(chain, data))))


@pytest.mark.parametrize("signers", [3, 4])
def test_a_quorum_of_any_distinct_members_is_a_certificate(signers: int) -> None:
    chain = sharing()
    data = chain.block(chain.contributors())
    votes = votes_of(chain, data, 4)[::-1][:signers]
    assert extend(chain.state, CertifiedBlock(data, tuple(votes))).height == 2


def test_members_that_joined_during_the_round_do_not_certify_it() -> None:
    chain = sharing()
    chain.append(joined(chain, 5))
    data = chain.block(chain.contributors())
    with pytest.raises(LedgerError, match="a signer is not of the committee"):
        extend(chain.state, chain.certify(data, [*chain.committee[:3], identity(5)]))


# From genesis on.


def long_chain() -> Chain:
    """A ledger with every kind of block and change."""
    chain = Chain(5, min_peers=3, setup_sums=1, rounds=2, evict_after_rounds=1)
    chain.round()
    chain.append(joined(chain, 6))
    chain.append(chain.void(key(1)))
    silent = chain.state.committee.members.index(key(1))
    chain.append(chain.contributors(dealers=[index for index in range(6) if index != silent]))
    chain.append(chain.model())
    chain.append(Membership((Evict(key(1), "silent", ()),)))
    chain.append(Membership((chain.leave(identity(2)), double_vote(chain, 6))))
    chain.append(chain.contributors())
    chain.append(chain.void())
    chain.round()
    chain.round()
    assert chain.state.phase is Phase.FINISHED
    return chain


LONG = long_chain()


def verified(blocks: list[CertifiedBlock]) -> LedgerState:
    """What anybody does who was given a ledger: check it from genesis on."""
    state = genesis_state(LONG.genesis)
    for block in blocks:
        state = extend(state, block)
    return state


def test_the_whole_ledger_is_verified_from_genesis() -> None:
    assert verified(LONG.blocks) == LONG.state


@pytest.mark.parametrize("height", range(1, len(LONG.blocks) + 1))
def test_a_flipped_bit_at_any_place_of_a_block_or_its_certificate_is_found_at_its_height(height: int) -> None:
    before, good = LONG.states[height - 1], LONG.blocks[height - 1]
    for place in range(len(good.block)):
        assert_refused_at(height, before, CertifiedBlock(flipped(good.block, place), good.certificate))
    for which, envelope in enumerate(good.certificate):
        for place in range(len(envelope)):
            votes = list(good.certificate)
            votes[which] = flipped(envelope, place)
            assert_refused_at(height, before, CertifiedBlock(good.block, tuple(votes)))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]


def assert_refused_at(height: int, state: LedgerState, block: CertifiedBlock) -> None:
    with pytest.raises(LedgerError, match=f"^height {height}: "):
        extend(state, block)


@pytest.mark.parametrize("height", range(1, len(LONG.blocks)))
def test_a_block_left_out_is_missed_at_its_height(height: int) -> None:
    with pytest.raises(LedgerError, match=f"^height {height}: "):
        verified(LONG.blocks[: height - 1] + LONG.blocks[height:])


@pytest.mark.parametrize("height", range(1, len(LONG.blocks)))
def test_a_block_that_was_decided_later_is_refused_at_the_height_it_is_put_to(height: int) -> None:
    with pytest.raises(LedgerError, match=f"^height {height}: "):
        verified([*LONG.blocks[: height - 1], LONG.blocks[height]])


def test_the_ledger_of_another_federation_is_refused_at_its_first_block() -> None:
    other = Chain(5, min_peers=3, name="another")
    with pytest.raises(LedgerError, match=r"^height 1: certificate: another federation"):
        extend(genesis_state(other.genesis), LONG.blocks[0])


def test_the_fold_does_not_change_a_state_that_it_was_given() -> None:
    state = genesis_state(LONG.genesis)
    before = repr(state)
    extend(state, LONG.blocks[0])
    assert repr(state) == before

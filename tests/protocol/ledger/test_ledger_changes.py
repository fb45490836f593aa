"""Changes of the membership in the ledger: what justifies them, and every reason for which one is refused."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from chains import Chain, digest
from ledgers import (
    OUTSIDER,
    Fault,
    bad_dealing,
    double_ack,
    double_deal,
    double_vote,
    false_vector,
    fault_tests,
    joined,
    key,
    plain_deal,
    refusal,
    request_of,
    settled,
    sharing,
    summing,
    tampered,
    vote,
    wrong_sum,
)
from members import identity
from nacl import bindings
from signing import dealing, signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger.blocks import Body, Depart, Evict, Join, Membership
from coterie.protocol.ledger.state import LedgerError, Member, apply
from coterie.protocol.ledger.tickets import make_invite, read_invite
from coterie.protocol.limits import MAX_MEMBERS
from coterie.protocol.messages.kinds import Ack, Complaint, JoinRequest, Precommit, Prevote, SumShare

# A proof of cheating.


@pytest.mark.parametrize(
    "evidence",
    [
        lambda chain: Evict(key(1), "double-vote", tuple(vote(chain, 1, Prevote(digest(t), None)) for t in "ab")),
        lambda chain: Evict(key(1), "double-vote", tuple(vote(chain, 1, Precommit(b)) for b in (None, digest("a")))),
        lambda chain: double_vote(chain, 1),
        lambda chain: double_deal(chain, 1),
        lambda chain: double_ack(chain, 1),
        lambda chain: false_vector(chain, 1),
        lambda chain: wrong_sum(chain, 3),
        lambda chain: bad_dealing(chain, 1, 2),
    ],
    ids=[
        "two prevotes",
        "nil and a block",
        "two precommits",
        "two dealings",
        "two acks",
        "a vector that was not dealt",
        "a z off the polynomial",
        "a complaint",
    ],
)
def test_a_proof_of_cheating_evicts_and_bars(evidence: Callable[[Chain], Evict]) -> None:
    chain = settled()
    evict = evidence(chain)
    state = chain.append(Membership((evict,)))
    assert evict.member not in state.keys
    assert [(gone.key, gone.barred) for gone in state.gone.values()] == [(evict.member, True)]


@pytest.mark.parametrize("proved", [False, True], ids=["a model", "a proved void"])
def test_a_wrong_sum_evicts_a_member_outside_j_too(proved: bool) -> None:
    """It may have got its boxes later, and then its z counts like everybody's."""
    chain = sharing()
    chain.append(chain.contributors(holders=(0, 1, 2)))
    chain.append(chain.refuted() if proved else chain.model())
    liar = wrong_sum(chain, 3)
    assert liar.member == chain.states[1].committee.members[3]
    assert liar.member not in chain.append(Membership((liar,))).keys


def two(first: bytes, second: bytes, reason: str, member: int = 1) -> Membership:
    return Membership((Evict(key(member), reason, (first, second)),))  # type: ignore[arg-type]


def test_acks_that_name_one_dealing_of_a_dealer_contradict_each_other_in_nothing() -> None:
    """A later ack holds more, keeps other boxes, or was signed at another height: all that honest members do."""
    chain = sharing()
    acks = [
        Ack(1, ((0, digest("a")),)),
        Ack(1, ((0, digest("a")), (2, digest("b")))),
        Ack(1, ((2, digest("b")), (3, digest("c"))), ((2, 0),)),
        Ack(2, ((0, digest("z")),)),
    ]
    said = [vote(chain, 1, one, height=height) for height, one in enumerate(acks, 1)]
    for first in said:
        for second in said:
            with pytest.raises(LedgerError, match="the evidence shows no double-ack of this member"):
                apply(chain.state, chain.block(two(first, second, "double-ack")))


def test_one_dealing_sent_twice_or_of_two_rounds_contradicts_nothing() -> None:
    chain = sharing()
    deals = [dealing(1), dealing(2)]
    said = [vote(chain, 1, one, height=height) for one in deals for height in (1, 2)]
    for first in said:
        for second in said:
            with pytest.raises(LedgerError, match="the evidence shows no double-deal of this member"):
                apply(chain.state, chain.block(two(first, second, "double-deal")))


def test_a_vector_that_was_dealt_a_sum_of_shares_and_one_of_another_round_contradict_nothing() -> None:
    chain = sharing()
    plain = vote(chain, 1, plain_deal(chain, "a vector"))
    shared = vote(chain, 1, dealing(1, chain.state.weights_hash, digest("root"), (digest("box"),) * 4))
    sent = {
        plain: [(1, "a vector"), (2, "another vector")],
        shared: [(1, "root"), (1, "a sum of shares"), (2, "another")],
    }
    for deal, sums in sent.items():
        for round_, text in sums:
            share = vote(chain, 1, SumShare(round_, digest("contributors"), digest(text)))
            for both in ((deal, share), (share, deal)):
                with pytest.raises(LedgerError, match="the evidence shows no false-vector of this member"):
                    apply(chain.state, chain.block(two(*both, "false-vector")))


@pytest.mark.parametrize("reason", ["double-vote", "double-deal", "double-ack", "false-vector"])
def test_a_contradiction_is_proof_of_what_it_is_and_of_nothing_else(reason: str) -> None:
    chain = sharing()
    for proof in (double_vote(chain, 1), double_deal(chain, 1), double_ack(chain, 1), false_vector(chain, 1)):
        body = two(*proof.evidence, reason)
        if proof.reason == reason:
            assert key(1) not in apply(chain.state, chain.block(body)).keys
        else:
            with pytest.raises(LedgerError, match=f"the evidence shows no {reason} of this member"):
                apply(chain.state, chain.block(body))


# Requests.


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
    *(
        Fault(
            what,
            sharing,
            lambda c, name=name: Membership((Join(request_of(c, JoinRequest(name, "test model", b"", b""))),)),
            "a name that .* is blank at an end",
        )
        for what, name in (("no name", ""), ("blank name", "   "), ("blank at an end", "north "))
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


def test_an_old_join_cannot_be_replayed_after_its_sender_left() -> None:
    chain = sharing()
    old = chain.join(identity(5))
    chain.append(Membership((old,)))
    chain.append(Membership((chain.leave(identity(5)),)))
    with pytest.raises(LedgerError, match="a join request from before its sender left"):
        chain.append(Membership((old,)))
    assert chain.append(joined(chain, 5)).member(identity(5).public), "a new request is granted"


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


NO_DOUBLE_VOTE = "the evidence shows no double-vote of this member"
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
        "silence with evidence",
        lambda: missed(5, evict_after_rounds=5),
        lambda c: Membership((Evict(key(1), "silent", (b"x",)),)),
        "silence is proved by the ledger, not by evidence",
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
    complaint = Complaint(1, 0, vote(chain, 1, Precommit(None)), digest("box"), digest("secret"), bytes(64))
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

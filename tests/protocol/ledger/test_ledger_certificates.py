"""Certificates, and the whole ledger from genesis on: what is accepted, and at which height what is wrong is found."""

from collections.abc import Callable

import pytest
from chains import Chain, digest
from ledgers import OUTSIDER, double_vote, joined, key, sharing, tampered
from members import identity
from signing import signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger import certificates
from coterie.protocol.ledger.blocks import Evict, Membership, block_hash
from coterie.protocol.ledger.certificates import Forged, extend
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, LedgerState, genesis_state
from coterie.protocol.limits import MAX_QUORUM
from coterie.protocol.messages.encoding import decode
from coterie.protocol.messages.envelope import Rejected, Verified, _Body, _Envelope, verify
from coterie.protocol.messages.kinds import CertifiedBlock, Message, Precommit, Prevote

# Certificates.


def votes_of(chain: Chain, data: bytes, count: int) -> list[bytes]:
    return [chain.vote(one, block_hash(data)) for one in chain.committee[:count]]


def other_views(chain: Chain, data: bytes) -> list[bytes]:
    return [chain.vote(one, block_hash(data), view) for view, one in enumerate(chain.committee)]


def by_key(signers: list[Identity]) -> list[Identity]:
    return sorted(signers, key=lambda one: one.public)


def in_order(votes: list[bytes]) -> list[bytes]:
    """The votes as a certificate has them, whoever signed them."""
    return sorted(votes, key=lambda raw: decode(decode(raw, _Envelope, 10**4).body, _Body, 10**4).sender)


def cast(chain: Chain, who: Identity, message: Message, federation: bytes | None = None, height: int = 0) -> bytes:
    height = height or chain.state.height + 1
    return signed(who, message, height, 0, federation or chain.state.federation).raw


CERTIFICATES: dict[str, tuple[Callable[[Chain, bytes], list[bytes]], str]] = {
    "none": (lambda c, d: [], "0 votes, but exactly 3 are needed"),
    "too few": (lambda c, d: votes_of(c, d, 2), "2 votes, but exactly 3 are needed"),
    "one too many": (lambda c, d: votes_of(c, d, 4), "4 votes, but exactly 3 are needed"),
    "a signer twice": (lambda c, d: votes_of(c, d, 2) + votes_of(c, d, 1), "not in order, or one of them signs twice"),
    "one signer many times": (lambda c, d: votes_of(c, d, 1) * 9, "not in order, or one of them signs twice"),
    "a quorum in another order": (lambda c, d: votes_of(c, d, 3)[::-1], "not in order"),
    "an outsider": (
        lambda c, d: in_order([*votes_of(c, d, 2), c.vote(OUTSIDER, block_hash(d))]),
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
    "garbage": (lambda c, d: [*votes_of(c, d, 2), b"garbage"], "_Envelope"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_is_refused(name: str) -> None:
    make, error = CERTIFICATES[name]
    chain = sharing()
    data = chain.block(chain.contributors())
    with pytest.raises(LedgerError, match=f"height 2: certificate: .*{error}"):
        extend(chain.state, CertifiedBlock(data, tuple(make(chain, data))))


@pytest.mark.parametrize("absent", range(4))
def test_a_quorum_of_any_distinct_members_is_a_certificate(absent: int) -> None:
    chain = sharing()
    data = chain.block(chain.contributors())
    votes = votes_of(chain, data, 4)
    del votes[absent]
    assert extend(chain.state, CertifiedBlock(data, tuple(votes))).height == 2


def any_quorum_will_do(state: LedgerState, certified: CertifiedBlock) -> None:
    """A build that verifies every vote and counts signers, as many votes as there are."""
    votes = [verify(raw, state.federation) for raw in certified.certificate]
    assert len({vote.sender for vote in votes if isinstance(vote, Verified)}) >= state.committee.quorum


def test_a_padded_certificate_is_kept_only_where_any_votes_that_hold_a_quorum_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = sharing()
    data = chain.block(chain.contributors())
    votes = votes_of(chain, data, 3)
    padded = CertifiedBlock(data, (*votes, *votes[:1] * 500))
    with pytest.raises(LedgerError, match="503 votes, but exactly 3 are needed"):
        extend(chain.state, padded)
    monkeypatch.setattr(certificates, "check_certificate", any_quorum_will_do)
    assert extend(chain.state, padded).height == 2


COSTLY: dict[str, tuple[Callable[[Chain, bytes], list[bytes]], int]] = {
    "one vote of its own, over and over": (lambda c, d: votes_of(c, d, 1) * MAX_QUORUM, 0),
    "good votes and one for another block": (
        lambda c, d: [*votes_of(c, d, 2), c.vote(c.committee[2], digest("x"))],
        0,
    ),
    "good votes of two views": (other_views, 0),
    "good votes and an outsider": (lambda c, d: in_order([*votes_of(c, d, 2), c.vote(OUTSIDER, block_hash(d))]), 0),
    "a wrong signature first": (lambda c, d: [tampered(one) for one in votes_of(c, d, 3)], 1),
    "a wrong signature last": (lambda c, d: [*votes_of(c, d, 2), tampered(votes_of(c, d, 3)[2])], 3),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_wrong_certificate_costs_no_more_signatures_than_it_must(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, most = COSTLY[name]
    chain = sharing()
    data = chain.block(chain.contributors())
    bad = CertifiedBlock(data, tuple(make(chain, data)))
    checked: list[bytes] = []

    def counted(raw: bytes, federation: bytes) -> Verified | Rejected:
        checked.append(raw)
        return verify(raw, federation)

    monkeypatch.setattr(certificates, "verify", counted)
    with pytest.raises(LedgerError):
        certificates.check_certificate(chain.state, bad)
    assert len(checked) == most


FORGED = {
    "a signer twice": True,
    "different views": True,
    "another block": True,
    "a bad signature": True,
    "garbage": True,
    "too few": False,
    "an outsider": False,
}


@pytest.mark.parametrize("name", FORGED)
def test_what_no_honest_member_shows_is_told_from_what_another_ledger_may_hold(name: str) -> None:
    chain = sharing()
    data = chain.block(chain.contributors())
    with pytest.raises(LedgerError) as caught:
        extend(chain.state, CertifiedBlock(data, tuple(CERTIFICATES[name][0](chain, data))))
    assert isinstance(caught.value, Forged) is FORGED[name]


def test_members_that_joined_during_the_round_do_not_certify_it() -> None:
    chain = sharing()
    chain.append(joined(chain, 5))
    data = chain.block(chain.contributors())
    with pytest.raises(LedgerError, match="a signer is not of the committee"):
        extend(chain.state, chain.certify(data, by_key([*chain.committee[:2], identity(5)])))


# From genesis on.


def long_chain() -> Chain:
    """A ledger with every kind of block and change."""
    chain = Chain(7, min_peers=3, setup_sums=1, rounds=2, evict_after_rounds=1)
    chain.round()
    chain.append(joined(chain, 7))
    chain.append(chain.void(key(1)))
    silent = chain.state.committee.members.index(key(1))
    chain.append(chain.contributors(dealers=[index for index in range(8) if index != silent]))
    chain.append(chain.refuted())
    chain.append(chain.contributors(dealers=[index for index in range(8) if index != silent]))
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

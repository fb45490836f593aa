"""Claims add up for the sum of all contributions and for no other, and only who encrypted can claim."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import identity, members

from coterie.crypto.paillier import claims as claims_module
from coterie.crypto.paillier.arithmetic import Draws
from coterie.crypto.paillier.claims import (
    FINGERPRINT_BITS,
    Claim,
    Contributors,
    Proved,
    ProvedSum,
    adds_up,
    check_claim,
    claim_fingerprint,
    claim_proof_bytes,
    fingerprint,
    prove_sum,
    sum_of,
)
from coterie.crypto.paillier.encryption import Encrypted, add, decrypt, encrypt
from coterie.crypto.paillier.errors import BadCiphertext, BadEncoding, BadProof, NotAgreed, NotProved, WrongKey
from coterie.crypto.paillier.group import Group, KeyShare, deal
from coterie.crypto.paillier.keys import PrivateKey, PublicKey
from coterie.crypto.paillier.proofs import Knowledge, prove_knowledge
from coterie.crypto.paillier.threshold import Agreed, open_sum, partial_decrypt

SEED = b"thirty-two secret random bytes.."
FEDERATION = bytes(32)
PLAINTEXTS = ([10, 20], [11, 21], [12, 22], [13, 23])
AGGREGATOR, VICTIM = 0, 2


def seed(member: int) -> bytes:
    return bytes([member] * 32)


@lru_cache(maxsize=4)
def dealt(private: PrivateKey) -> tuple[Group, tuple[KeyShare, ...]]:
    """Two of four hold the key."""
    return deal(private, 2, 4, SEED)


def contributors(private: PrivateKey, count: int = 4, round: int = 7, epoch: int = 1) -> Contributors:
    dealings = {member: member[::-1] for member in members(count)}
    return Contributors(FEDERATION, round, epoch, dealt(private)[0], dealings)


def sender(private: PrivateKey, member: int) -> bytes:
    return contributors(private).context_of(members(4)[member])


def contributions(key: PublicKey) -> list[Encrypted]:
    return [encrypt(key, row, seed(i)) for i, row in enumerate(PLAINTEXTS)]


def challenge_of(private: PrivateKey, total: Encrypted) -> bytes:
    return contributors(private).challenge(total)


def claims_of(private: PrivateKey, sent: Sequence[Encrypted], total: Encrypted) -> list[Claim]:
    """What all members honestly claim."""
    challenge = challenge_of(private, total)
    return [claim_fingerprint(c, PLAINTEXTS[i], seed(i), challenge, sender(private, i)) for i, c in enumerate(sent)]


def checked(private: PrivateKey, total: Encrypted, claims: Sequence[Claim]) -> dict[bytes, Proved]:
    """What a holder makes of these claims, one of each member. Raises BadProof."""
    challenge = challenge_of(private, total)
    return {members(4)[i]: check_claim(claim, challenge, sender(private, i)) for i, claim in enumerate(claims)}


def is_taken(private: PrivateKey, total: Encrypted, claims: Sequence[Claim]) -> bool:
    """Whether a holder that was sent these claims helps to open the sum. Raises BadProof."""
    return adds_up(total, checked(private, total, claims), contributors(private))


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 2**511), st.integers(0, 2**511)), min_size=3, max_size=4))
def test_proved_claims_of_all_contributors_add_up_for_their_sum(
    private: PrivateKey, rows: list[tuple[int, int]]
) -> None:
    sent = [encrypt(private.public, row, seed(i)) for i, row in enumerate(rows)]
    total, who = add(sent), contributors(private, len(rows))
    challenge = who.challenge(total)
    proved = {}
    for i, member in enumerate(members(len(rows))):
        claim = claim_fingerprint(sent[i], rows[i], seed(i), challenge, who.context_of(member))
        proved[member] = check_claim(claim, challenge, who.context_of(member))
    assert adds_up(total, proved, who)
    made = prove_sum(total, proved, who)
    assert (made.total, made.epoch, made.contributors) == (total, 1, tuple(sorted(members(len(rows)))))


def test_claims_do_not_add_up_for_a_sum_without_or_with_twice_somebodys_contribution(private: PrivateKey) -> None:
    sent = contributions(private.public)
    for false in (add([c for i, c in enumerate(sent) if i != VICTIM]), add([*sent, sent[VICTIM]]), sent[VICTIM]):
        claims = claims_of(private, sent, false)
        assert not is_taken(private, false, claims)
        with pytest.raises(NotProved, match="do not add up"):
            prove_sum(false, checked(private, false, claims), contributors(private))


def forged(private: PrivateKey) -> tuple[Encrypted, list[Claim]]:
    """The victim's contribution alone, blinded anew, as the sum; the aggregator claims whatever makes claims add up."""
    key, sent = private.public, contributions(private.public)
    false = add([sent[VICTIM], encrypt(key, [0, 0], SEED)])
    claims = claims_of(private, sent, false)
    own = fingerprint(false, challenge_of(private, false))
    for member, claim in enumerate(claims):
        if member != AGGREGATOR:
            own = own * pow(claim.fingerprint.values[0], -1, key.square) % key.square
    claims[AGGREGATOR] = replace(claims[AGGREGATOR], fingerprint=Encrypted.received(key, [own]))
    return false, claims


def test_claims_without_proofs_would_have_one_contribution_opened(
    private: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    false, claims = forged(private)
    monkeypatch.setattr(Knowledge, "check", lambda self, proof: None)  # the attack: nobody asks for proof
    assert is_taken(private, false, claims)
    assert decrypt(private, false) == PLAINTEXTS[VICTIM]


def test_a_claim_that_is_all_that_the_others_leave_open_cannot_be_proved(private: PrivateKey) -> None:
    false, claims = forged(private)
    own, challenge = claims[AGGREGATOR], challenge_of(private, false)
    powers = Draws(challenge, b"fingerprint")
    known = sum(powers.bits(FINGERPRINT_BITS) * m for m in PLAINTEXTS[AGGREGATOR])
    statement = claims_module._statement(own.fingerprint, challenge, sender(private, AGGREGATOR))
    attempt = statement.prove([known], [0], SEED)
    for proof in (own.proof, *(claim.proof for claim in claims), attempt, bytes(len(own.proof))):
        with pytest.raises(BadProof):
            is_taken(private, false, [replace(own, proof=proof), *claims[1:]])


def test_anothers_claim_is_not_ones_own_and_does_not_hold_in_another_round(private: PrivateKey) -> None:
    sent = contributions(private.public)
    total, who, victim = add(sent), contributors(private), members(4)[VICTIM]
    claim = claims_of(private, sent, total)[VICTIM]
    check_claim(claim, who.challenge(total), who.context_of(victim))
    others = (
        contributors(private, 3),
        contributors(private, round=8),
        contributors(private, epoch=2),
        replace(who, federation=bytes([1] * 32)),
        replace(who, dealings={**who.dealings, members(4)[0]: bytes(32)}),
        replace(who, group=deal(private, 3, 4, SEED)[0]),
    )
    for challenge, context in (
        (who.challenge(total), who.context_of(members(4)[AGGREGATOR])),
        (who.challenge(sent[0]), who.context_of(victim)),
        *((other.challenge(total), who.context_of(victim)) for other in others),
        *((who.challenge(total), other.context_of(victim)) for other in others),
    ):
        with pytest.raises(BadProof, match="does not know"):
            check_claim(claim, challenge, context)


# One claim of each contributor


def test_a_claim_twice_or_none_at_all_is_no_claim_of_each(private: PrivateKey) -> None:
    sent = contributions(private.public)
    false = add([sent[VICTIM], *sent[1:3]])  # without the first and the last one, and twice with the victim's
    proved = checked(private, false, claims_of(private, sent, false))
    first, second, victim, last = members(4)
    for claims, why in (
        ({second: proved[second], victim: proved[victim]}, "not one claim of each"),
        ({**proved, identity(9).public: proved[victim]}, "not one claim of each"),
        ({}, "not one claim of each"),
        ({**proved, first: proved[victim]}, "another member"),
        ({**proved, first: proved[victim], last: proved[second]}, "another member"),
    ):
        with pytest.raises(NotProved, match=why):
            adds_up(false, claims, contributors(private))


def in_a_list(total: Encrypted, claims: Sequence[Proved], challenge: bytes) -> bool:
    """The weakened build: claims in a list, and who the contributors are is left to the caller."""
    product = 1
    for claim in claims:
        product = product * claim.fingerprint % total.key.square
    return all(claim.challenge == challenge for claim in claims) and product == fingerprint(total, challenge)


def test_claims_in_a_list_would_have_one_contribution_opened_where_a_caller_counts_them_alone(
    private: PrivateKey,
) -> None:
    sent = contributions(private.public)
    false = add([sent[VICTIM]] * 4)
    proved = checked(private, false, claims_of(private, sent, false))
    victims = [proved[members(4)[VICTIM]]] * 4  # the attack: as many claims as contributors
    assert in_a_list(false, victims, challenge_of(private, false))
    assert decrypt(private, false) == [4 * m for m in PLAINTEXTS[VICTIM]]
    for claims in (dict(zip(members(4), victims, strict=True)), {members(4)[VICTIM]: victims[0]}):
        with pytest.raises(NotProved):
            adds_up(false, claims, contributors(private))


def test_a_sum_of_so_few_that_the_colluders_know_all_but_one_is_refused(private: PrivateKey) -> None:
    for few in (0, 1, 2):
        with pytest.raises(ValueError, match="at least 3 contributors"):
            contributors(private, few)
    who = contributors(private)
    one = {member: bytes(32) for member in members(4)}
    for bad in ({"federation": b"short"}, {"dealings": one}, {"dealings": dict.fromkeys(members(4), b"short")}):
        with pytest.raises(ValueError, match=r"dealing"):
            replace(who, **bad)
    with pytest.raises(ValueError, match="Ed25519"):
        replace(who, dealings={b"%d" % i: bytes([i] * 32) for i in range(4)})
    with pytest.raises(NotProved, match="no contributor"):
        who.context_of(identity(9).public)


def test_contributors_stay_what_they_were_when_the_callers_table_changes(private: PrivateKey) -> None:
    dealings = {member: member[::-1] for member in members(4)}
    who = replace(contributors(private), dealings=dealings)
    context = who.context
    dealings.popitem()
    assert who.context == context


def test_a_claim_is_added_up_only_after_its_check_and_under_its_challenge(private: PrivateKey) -> None:
    sent = contributions(private.public)
    total, who = add(sent), contributors(private)
    proved = checked(private, total, claims_of(private, sent, total))
    first = proved[members(4)[0]]
    assert (first.challenge, first.context) == (who.challenge(total), who.context_of(members(4)[0]))
    with pytest.raises(NotProved, match="another challenge"):
        adds_up(total, proved, contributors(private, round=8))
    with pytest.raises(NotProved, match="another challenge"):
        adds_up(add(sent[:2]), proved, who)
    for made in (lambda: Proved(1, b"", b"", object()), lambda: ProvedSum(total, b"", 1, b"", (), object())):
        with pytest.raises(TypeError, match="only"):
            made()
    with pytest.raises(ValueError, match="witness"):
        replace(first, fingerprint=1)


def test_a_sum_under_another_key_is_refused(private: PrivateKey, other: PrivateKey) -> None:
    with pytest.raises(WrongKey, match="another key"):
        adds_up(encrypt(other.public, [1, 2], SEED), {}, contributors(private))


# Opening


def test_a_proved_sum_is_opened_and_only_where_it_belongs(private: PrivateKey) -> None:
    sent = contributions(private.public)
    total, (group, shares) = add(sent), dealt(private)
    proved = prove_sum(total, checked(private, total, claims_of(private, sent, total)), contributors(private))
    agreed = Agreed(FEDERATION, 1, total.digest)
    parts = [partial_decrypt(group, share, proved, agreed, SEED) for share in shares[:2]]
    assert open_sum(group, total, agreed, parts).plaintexts == (46, 86)
    for other in (replace(agreed, epoch=2), replace(agreed, federation=bytes([1] * 32))):
        with pytest.raises(NotAgreed, match="another federation, epoch or group"):
            partial_decrypt(group, shares[0], proved, other, SEED)
    again, renewed = deal(private, 2, 5, SEED)
    with pytest.raises(NotAgreed, match="another federation, epoch or group"):
        partial_decrypt(again, renewed[0], proved, agreed, SEED)


def test_what_only_looks_like_a_checked_thing_is_refused(private: PrivateKey) -> None:
    total, (group, shares) = contributions(private.public)[0], dealt(private)
    alike = SimpleNamespace(total=total, federation=FEDERATION, epoch=1, group_id=group.group_id)
    for unproved in (total, alike):
        with pytest.raises(TypeError, match="a ProvedSum and nothing else"):
            partial_decrypt(group, shares[0], unproved, Agreed(FEDERATION, 1, total.digest), SEED)  # type: ignore[arg-type]
    unchecked = dict(zip(members(4), claims_of(private, [total] * 4, total), strict=True))
    with pytest.raises(TypeError, match="checked before"):
        adds_up(total, unchecked, contributors(private))  # type: ignore[arg-type]


def test_contributions_that_are_all_at_hand_are_summed_with_a_proof_for_each(private: PrivateKey) -> None:
    sent, who = contributions(private.public), contributors(private)
    rows: Mapping[bytes, tuple[Encrypted, bytes]] = {
        member: (sent[i], prove_knowledge(sent[i], PLAINTEXTS[i], seed(i), who.context_of(member)))
        for i, member in enumerate(members(4))
    }
    assert decrypt(private, sum_of(rows, who).total) == [46, 86]
    first, second, victim, _ = members(4)
    with pytest.raises(BadProof):
        sum_of({**rows, first: rows[victim]}, who)
    with pytest.raises(BadProof):
        sum_of(rows, contributors(private, round=8))
    for few in ({member: row for member, row in rows.items() if member != second}, {}):
        with pytest.raises(NotProved, match="not one contribution of each"):
            sum_of(few, who)


def test_claims_survive_their_encoding_and_show_no_more_than_one_ciphertext(private: PrivateKey) -> None:
    sent = contributions(private.public)
    claim = claims_of(private, sent, add(sent))[0]
    data = claim.to_bytes()
    assert Claim.from_bytes(private.public, data) == claim
    assert len(data) == 37 + 128 + claim_proof_bytes(private.public)
    two = sent[0].to_bytes() + claim.proof
    for bad in (data[:-1], data + b"\0", two, b""):
        with pytest.raises(BadEncoding):
            Claim.from_bytes(private.public, bad)


@given(st.binary(max_size=600))
def test_no_bytes_crash_the_decoder(private: PrivateKey, data: bytes) -> None:
    for given_bytes in (data, b"\x01" + private.public.key_id + data):
        with pytest.raises((BadEncoding, WrongKey, BadCiphertext)):
            Claim.from_bytes(private.public, given_bytes)


# Fingerprints


def test_the_product_of_fingerprints_is_that_of_the_sum(private: PrivateKey) -> None:
    summands = [encrypt(private.public, [i, 2 * i, 3 * i], SEED) for i in range(1, 4)]
    product = 1
    for summand in summands:
        product = product * fingerprint(summand, b"challenge") % private.public.square
    assert product == fingerprint(add(summands), b"challenge")


def test_a_changed_ciphertext_changes_the_fingerprint(private: PrivateKey) -> None:
    sound = encrypt(private.public, [1, 2, 3], SEED)
    swapped = Encrypted(private.public, (sound.values[1], sound.values[0], sound.values[2]))
    assert fingerprint(sound, b"challenge") != fingerprint(swapped, b"challenge")


def test_a_challenge_known_beforehand_would_let_a_false_sum_pass(private: PrivateKey) -> None:
    key = private.public
    draws = Draws(b"foreseen", b"fingerprint")
    first, second = (draws.bits(FINGERPRINT_BITS) for _ in range(2))
    sound = encrypt(key, [5, 6], SEED)
    shift = encrypt(key, [1], SEED).values[0]
    false = (sound.values[0] * pow(shift, second, key.square), sound.values[1] * pow(shift, -first, key.square))
    changed = Encrypted.received(key, [value % key.square for value in false])
    assert fingerprint(changed, b"foreseen") == fingerprint(sound, b"foreseen")  # the attack
    assert fingerprint(changed, b"unforeseen") != fingerprint(sound, b"unforeseen")
    assert decrypt(private, changed) != [5, 6]

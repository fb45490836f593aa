"""Claims add up for the sum of all contributions and for no other, and only who encrypted can claim."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.paillier import claims as claims_module
from coterie.crypto.paillier.arithmetic import Draws
from coterie.crypto.paillier.claims import (
    FINGERPRINT_BITS,
    Claim,
    Proved,
    adds_up,
    challenge_for,
    check_claim,
    claim_fingerprint,
    claim_proof_bytes,
    fingerprint,
)
from coterie.crypto.paillier.encryption import Encrypted, add, decrypt, encrypt
from coterie.crypto.paillier.errors import BadCiphertext, BadEncoding, BadProof, WrongKey
from coterie.crypto.paillier.keys import PrivateKey, PublicKey
from coterie.crypto.paillier.proofs import Knowledge

SEED = b"thirty-two secret random bytes.."
ROUND = b"federation, round, contributors"
PLAINTEXTS = ([10, 20], [11, 21], [12, 22], [13, 23])
AGGREGATOR, VICTIM = 0, 2


def seed(member: int) -> bytes:
    return bytes([member] * 32)


def sender(member: int) -> bytes:
    return b"federation, round, member %d" % member


def contributions(key: PublicKey) -> list[Encrypted]:
    return [encrypt(key, row, seed(i)) for i, row in enumerate(PLAINTEXTS)]


def claims_of(sent: Sequence[Encrypted], challenge: bytes) -> list[Claim]:
    """What all members honestly claim."""
    return [claim_fingerprint(c, PLAINTEXTS[i], seed(i), challenge, sender(i)) for i, c in enumerate(sent)]


def is_taken(total: Encrypted, challenge: bytes, claims: Sequence[Claim]) -> bool:
    """Whether a holder that was sent these claims helps to open the sum. Raises BadProof."""
    return adds_up(total, challenge, [check_claim(claim, challenge, sender(i)) for i, claim in enumerate(claims)])


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 2**511), st.integers(0, 2**511)), min_size=1, max_size=3))
def test_proved_claims_of_all_contributors_add_up_for_their_sum(
    private: PrivateKey, rows: list[tuple[int, int]]
) -> None:
    sent = [encrypt(private.public, row, seed(i)) for i, row in enumerate(rows)]
    total = add(sent)
    challenge = challenge_for(ROUND, total)
    claims = [claim_fingerprint(c, rows[i], seed(i), challenge, sender(i)) for i, c in enumerate(sent)]
    assert is_taken(total, challenge, claims)


def test_claims_do_not_add_up_for_a_sum_without_or_with_twice_somebodys_contribution(private: PrivateKey) -> None:
    sent = contributions(private.public)
    for false in (add([c for i, c in enumerate(sent) if i != VICTIM]), add([*sent, sent[VICTIM]]), sent[VICTIM]):
        challenge = challenge_for(ROUND, false)
        assert not is_taken(false, challenge, claims_of(sent, challenge))


def forged(private: PrivateKey) -> tuple[Encrypted, bytes, list[Claim]]:
    """The victim's contribution alone, blinded anew, as the sum; the aggregator claims whatever makes claims add up."""
    key, sent = private.public, contributions(private.public)
    false = add([sent[VICTIM], encrypt(key, [0, 0], SEED)])
    challenge = challenge_for(ROUND, false)
    claims = claims_of(sent, challenge)
    own = fingerprint(false, challenge)
    for member, claim in enumerate(claims):
        if member != AGGREGATOR:
            own = own * pow(claim.fingerprint.values[0], -1, key.square) % key.square
    claims[AGGREGATOR] = replace(claims[AGGREGATOR], fingerprint=Encrypted.received(key, [own]))
    return false, challenge, claims


def test_claims_without_proofs_would_have_one_contribution_opened(
    private: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    false, challenge, claims = forged(private)
    monkeypatch.setattr(Knowledge, "check", lambda self, proof: None)  # the attack: nobody asks for proof
    assert is_taken(false, challenge, claims)
    assert decrypt(private, false) == PLAINTEXTS[VICTIM]


def test_a_claim_that_is_all_that_the_others_leave_open_cannot_be_proved(private: PrivateKey) -> None:
    false, challenge, claims = forged(private)
    own = claims[AGGREGATOR]
    powers = Draws(challenge, b"fingerprint")
    known = sum(powers.bits(FINGERPRINT_BITS) * m for m in PLAINTEXTS[AGGREGATOR])
    statement = claims_module._statement(own.fingerprint, challenge, sender(AGGREGATOR))
    attempt = statement.prove([known], [0], SEED)
    for proof in (own.proof, *(claim.proof for claim in claims), attempt, bytes(len(own.proof))):
        with pytest.raises(BadProof):
            is_taken(false, challenge, [replace(own, proof=proof), *claims[1:]])


def test_anothers_claim_is_not_ones_own_and_does_not_hold_in_another_round(private: PrivateKey) -> None:
    sent = contributions(private.public)
    challenge = challenge_for(ROUND, add(sent))
    claim = claims_of(sent, challenge)[VICTIM]
    check_claim(claim, challenge, sender(VICTIM))
    for bad_challenge, context in (
        (challenge, sender(AGGREGATOR)),
        (challenge_for(ROUND, sent[0]), sender(VICTIM)),
        (challenge_for(b"the next round", add(sent)), sender(VICTIM)),
    ):
        with pytest.raises(BadProof, match="does not know"):
            check_claim(claim, bad_challenge, context)


def test_a_claim_is_added_up_only_after_its_check_and_under_its_challenge(private: PrivateKey) -> None:
    sent = contributions(private.public)
    total = add(sent)
    challenge = challenge_for(ROUND, total)
    proved = check_claim(claims_of(sent, challenge)[0], challenge, sender(0))
    with pytest.raises(ValueError, match="another challenge"):
        adds_up(total, challenge_for(b"the next round", total), [proved])
    with pytest.raises(TypeError, match="only check_claim"):
        Proved(proved.fingerprint, challenge, object())
    with pytest.raises(ValueError, match="witness"):
        replace(proved, fingerprint=1)


def test_claims_survive_their_encoding_and_show_no_more_than_one_ciphertext(private: PrivateKey) -> None:
    sent = contributions(private.public)
    challenge = challenge_for(ROUND, add(sent))
    claim = claims_of(sent, challenge)[0]
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

"""Who sends ciphertexts knows what is in them; who copies them does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.paillier.encryption import Encrypted, add, encrypt
from coterie.crypto.paillier.errors import BadProof
from coterie.crypto.paillier.keys import PrivateKey
from coterie.crypto.paillier.proofs import check_knowledge, knowledge_bytes, prove_knowledge

SEED = b"thirty-two secret random bytes.."
CONTEXT = b"federation, round, sender"


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**511), max_size=4))
def test_whoever_encrypted_can_prove_it(private: PrivateKey, plaintexts: list[int]) -> None:
    encrypted = encrypt(private.public, plaintexts, SEED)
    proof = prove_knowledge(encrypted, plaintexts, SEED, CONTEXT)
    assert len(proof) == knowledge_bytes(private.public)
    check_knowledge(encrypted, proof, CONTEXT)


def test_a_copy_of_anothers_ciphertext_is_refused_whether_blinded_anew_or_not(private: PrivateKey) -> None:
    victim = encrypt(private.public, [5, 6], SEED)
    proof = prove_knowledge(victim, [5, 6], SEED, CONTEXT)
    with pytest.raises(BadProof, match="does not know"):
        check_knowledge(victim, proof, b"federation, round, copier")
    blinded = add([victim, encrypt(private.public, [0, 0], SEED)])
    assert blinded.values != victim.values
    for guess in (proof, prove_knowledge(blinded, [0, 0], SEED, CONTEXT)):
        with pytest.raises(BadProof, match="does not know"):
            check_knowledge(blinded, guess, CONTEXT)


def test_a_copy_would_be_counted_twice_where_nobody_asks_for_proof(private: PrivateKey) -> None:
    victim = encrypt(private.public, [5], SEED)
    copy = add([victim, encrypt(private.public, [0], SEED)])
    assert private.decrypt(list(add([victim, copy]).values)) == [10]  # the attack


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_proof_with_a_bit_changed_does_not_hold(private: PrivateKey, at: int, bit: int) -> None:
    encrypted = encrypt(private.public, [5, 6], SEED)
    proof = bytearray(prove_knowledge(encrypted, [5, 6], SEED, CONTEXT))
    proof[at % len(proof)] ^= 1 << bit
    with pytest.raises(BadProof):
        check_knowledge(encrypted, bytes(proof), CONTEXT)


def test_ciphertexts_in_another_order_or_number_are_not_covered(private: PrivateKey) -> None:
    encrypted = encrypt(private.public, [5, 6], SEED)
    proof = prove_knowledge(encrypted, [5, 6], SEED, CONTEXT)
    first, second = encrypted.values
    for values in ((second, first), (first,), (first, second, second)):
        with pytest.raises(BadProof):
            check_knowledge(Encrypted(private.public, values), proof, CONTEXT)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_check(private: PrivateKey, proof: bytes) -> None:
    encrypted = encrypt(private.public, [5], SEED)
    for attempt in (proof, proof.ljust(knowledge_bytes(private.public), b"\xff")):
        with pytest.raises(BadProof):
            check_knowledge(encrypted, attempt, CONTEXT)

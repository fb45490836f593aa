"""t correct parts always open a sum, fewer never do, and what is wrong names its holder."""

import copy
import itertools
import pickle  # noqa: TID251
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.paillier import arithmetic, claims, keys, proofs, threshold
from coterie.crypto.paillier.claims import ProvedSum
from coterie.crypto.paillier.encryption import Encrypted, add, decrypt, encrypt
from coterie.crypto.paillier.errors import (
    BadEncoding,
    BadGroup,
    BadModulus,
    BadPartial,
    BadProof,
    NotAgreed,
    TooFewPartials,
    WrongKey,
)
from coterie.crypto.paillier.group import Group, KeyShare, deal
from coterie.crypto.paillier.keys import PrivateKey, generate
from coterie.crypto.paillier.threshold import (
    Agreed,
    Checked,
    Partial,
    check_partial,
    combine,
    open_sum,
    partial_decrypt,
)

SEED = b"thirty-two secret random bytes.."
FEDERATION = bytes(32)


@lru_cache(maxsize=8)
def dealt(threshold_: int = 3, holders: int = 5) -> tuple[Group, tuple[KeyShare, ...]]:
    """A key of 512 bits in shares."""
    return deal(generate(SEED, 512), threshold_, holders, SEED)


def opening(encrypted: Encrypted, epoch: int = 1) -> Agreed:
    return Agreed(FEDERATION, epoch, encrypted.digest)


def part_of(group: Group, share: KeyShare, encrypted: Encrypted, agreed: Agreed, seed: bytes, **how: Any) -> Partial:
    """A holder's part of opening what it takes for a sum whose claims it has checked."""
    vouched = ProvedSum(encrypted, agreed.federation, agreed.epoch, group.group_id, (), claims._WITNESS)
    return partial_decrypt(group, share, vouched, agreed, seed, **how)


@lru_cache(maxsize=1)
def case() -> tuple[Group, Encrypted, Agreed, tuple[Partial, ...]]:
    """A sum and the honest parts of all five holders."""
    group, shares = dealt()
    encrypted = encrypt(group.key, [5, 6, 2**500], SEED)
    agreed = opening(encrypted)
    return group, encrypted, agreed, tuple(part_of(group, s, encrypted, agreed, SEED) for s in shares)


@pytest.mark.parametrize(("needed", "holders"), [(2, 2), (2, 3), (3, 4), (4, 5), (7, 10)])
def test_every_choice_of_enough_holders_opens_the_same(private: PrivateKey, needed: int, holders: int) -> None:
    group, shares = dealt(needed, holders)
    plaintexts = [0, 1, int(group.key.modulus) - 1]
    encrypted = encrypt(group.key, plaintexts, SEED)
    agreed = opening(encrypted)
    parts = [part_of(group, share, encrypted, agreed, SEED) for share in shares]
    checked = [check_partial(group, encrypted, agreed, part) for part in parts]
    choices = list(itertools.combinations(checked, needed))
    for chosen in choices[:: max(1, len(choices) // 12)]:
        assert combine(group, chosen) == plaintexts
        assert combine(group, chosen[::-1]) == plaintexts


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 2**300), st.integers(0, 2**300)), min_size=1, max_size=3))
def test_the_holders_open_what_the_key_opens(private: PrivateKey, pairs: list[tuple[int, int]]) -> None:
    group, shares = dealt()
    total = add([encrypt(group.key, column, SEED) for column in zip(*pairs, strict=True)])
    agreed = opening(total)
    parts = [part_of(group, share, total, agreed, SEED) for share in shares[1:4]]
    assert list(open_sum(group, total, agreed, parts).plaintexts) == decrypt(private, total) == [sum(p) for p in pairs]


def test_fewer_parts_than_the_threshold_open_nothing() -> None:
    group, encrypted, agreed, parts = case()
    for few in ([], parts[:2], [parts[0]] * 5):
        with pytest.raises(TooFewPartials, match="3 are needed"):
            open_sum(group, encrypted, agreed, few)
    with pytest.raises(TooFewPartials):
        combine(group, [check_partial(group, encrypted, agreed, parts[0])] * 3)


@settings(max_examples=15)
@given(st.sets(st.integers(0, 4), max_size=2), st.integers(0, 2), st.integers(2, 2**64))
def test_liars_are_named_and_the_others_still_open(liars: set[int], position: int, factor: int) -> None:
    group, encrypted, agreed, parts = case()
    sent = []
    for part in parts:
        values = list(part.values)
        if part.holder in liars:
            values[position] = values[position] * factor % group.key.square
        sent.append(replace(part, values=tuple(values)))
    opened = open_sum(group, encrypted, agreed, sent)
    assert opened.plaintexts == (5, 6, 2**500)
    assert {liar.holder for liar in opened.liars} == liars


def test_too_many_liars_are_all_named() -> None:
    group, encrypted, agreed, parts = case()
    sent = [replace(part, proof=bytes(len(part.proof))) for part in parts[:3]] + list(parts[3:])
    with pytest.raises(TooFewPartials) as caught:
        open_sum(group, encrypted, agreed, sent)
    assert [liar.holder for liar in caught.value.liars] == [0, 1, 2]


@pytest.mark.parametrize("bad", [0, -1, "square", "modulus"])
def test_values_that_are_no_units_are_refused(bad: int | str) -> None:
    group, encrypted, agreed, parts = case()
    value = {"square": group.key.square, "modulus": group.key.modulus}.get(bad, bad)  # type: ignore[call-overload]
    with pytest.raises(BadPartial, match=r"holder 2: a value (is not between|has a factor)"):
        check_partial(group, encrypted, agreed, replace(parts[2], values=(value, *parts[2].values[1:])))


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_proof_with_a_bit_changed_does_not_hold(at: int, bit: int) -> None:
    group, encrypted, agreed, parts = case()
    proof = bytearray(parts[0].proof)
    proof[at % len(proof)] ^= 1 << bit
    with pytest.raises(BadPartial, match="holder 0"):
        check_partial(group, encrypted, agreed, replace(parts[0], proof=bytes(proof)))


def test_a_proof_does_not_hold_for_another_federation_epoch_sender_or_ciphertext() -> None:
    group, encrypted, agreed, parts = case()
    others = encrypt(group.key, [5, 6, 2**500], SEED[::-1])
    with pytest.raises(BadPartial, match="proof does not hold"):
        check_partial(group, encrypted, replace(agreed, federation=bytes([1] * 32)), parts[0])
    with pytest.raises(BadPartial, match="proof does not hold"):
        check_partial(group, encrypted, replace(agreed, epoch=2), parts[0])
    with pytest.raises(BadPartial, match="proof does not hold"):
        check_partial(group, others, opening(others), parts[0])
    with pytest.raises(BadPartial, match="holder 1: the proof does not hold"):
        check_partial(group, encrypted, agreed, replace(parts[0], holder=1))
    with pytest.raises(BadPartial, match="not a holder"):
        check_partial(group, encrypted, agreed, replace(parts[0], holder=5))
    with pytest.raises(BadPartial, match="holder 0: 2 values for 3 ciphertexts"):
        check_partial(group, encrypted, agreed, replace(parts[0], values=parts[0].values[:2]))


def test_who_opens_other_ciphertexts_than_agreed_or_under_another_key_blames_no_holder(other: PrivateKey) -> None:
    group, _, agreed, parts = case()
    with pytest.raises(NotAgreed):
        open_sum(group, encrypt(group.key, [5, 6, 2**500], SEED[::-1]), agreed, parts)
    foreign = encrypt(other.public, [5, 6, 2**500], SEED)
    with pytest.raises(WrongKey, match="under another key"):
        open_sum(group, foreign, opening(foreign), parts)


def test_a_replayed_proof_would_hold_if_the_context_were_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Agreed, "context", lambda self, group, holder: b"")  # the attack
    group, shares = dealt()
    encrypted = encrypt(group.key, [5], SEED)
    part = part_of(group, shares[0], encrypted, opening(encrypted, epoch=1), SEED)
    check_partial(group, encrypted, opening(encrypted, epoch=2), part)


def test_a_part_of_another_group_is_refused(other: PrivateKey) -> None:
    group, encrypted, agreed, parts = case()
    substituted, shares = deal(other, 3, 5, SEED)
    with pytest.raises(WrongKey):
        part_of(substituted, shares[0], encrypted, agreed, SEED)
    with pytest.raises(WrongKey):
        part_of(group, shares[0], encrypted, agreed, SEED)
    with pytest.raises(WrongKey):
        check_partial(substituted, encrypted, agreed, parts[0])
    substitute = encrypt(other.public, [5, 6, 2**500], SEED)
    with pytest.raises(WrongKey, match="by another group"):
        check_partial(substituted, substitute, opening(substitute), parts[0])
    with pytest.raises(WrongKey):
        Partial.from_bytes(substituted, parts[0].to_bytes(group), 0)


def test_ciphertexts_under_a_key_substituted_for_the_groups_are_refused(other: PrivateKey) -> None:
    group, _ = dealt()
    misled = encrypt(other.public, [7], SEED)
    with pytest.raises(WrongKey):
        Encrypted.from_bytes(group.key, misled.to_bytes())


def test_a_substituted_key_would_spoil_sums_unnoticed_if_ciphertexts_did_not_carry_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "digest", lambda domain, *parts: bytes(32))  # the attack: one id for all keys
    group, shares = deal(generate(b"of the federation: 32 bytes seed", 512), 3, 5, SEED)
    theirs = generate(b"of whoever misleads: a seed too.", 512)  # given to one member as that of the new epoch
    sent = encrypt(theirs.public, [7], SEED)
    assert decrypt(theirs, sent) == [7]
    total = add([encrypt(group.key, [8], SEED), Encrypted.from_bytes(group.key, sent.to_bytes())])
    parts = [part_of(group, share, total, opening(total), SEED) for share in shares[:3]]
    opened = open_sum(group, total, opening(total), parts)
    assert opened.liars == ()
    assert opened.plaintexts != (15,)


def test_nobody_sends_a_part_in_the_name_of_another_holder() -> None:
    group, encrypted, agreed, parts = case()
    false = replace(parts[1], holder=0).to_bytes(group)
    with pytest.raises(BadPartial) as caught:
        Partial.from_bytes(group, false, sender=1)
    assert caught.value.holder == 1
    framed = Partial.from_bytes(group, false, sender=0)  # the attack: the word of the part taken for who sent it
    assert [liar.holder for liar in open_sum(group, encrypted, agreed, [*parts, framed]).liars] == [0]


def test_a_single_contribution_is_not_opened() -> None:
    group, shares = dealt()
    first, second = (encrypt(group.key, [m], SEED) for m in (7, 8))
    agreed = opening(add([first, second]))
    with pytest.raises(NotAgreed):
        part_of(group, shares[0], first, agreed, SEED)


def test_a_single_contribution_would_be_opened_by_holders_who_take_the_askers_word() -> None:
    group, shares = dealt()
    victim = encrypt(group.key, [7], SEED)
    parts = [part_of(group, share, victim, opening(victim), SEED) for share in shares[:3]]  # the attack
    assert open_sum(group, victim, opening(victim), parts).plaintexts == (7,)


def test_parts_of_different_sums_or_another_group_are_not_combined(other: PrivateKey) -> None:
    group, encrypted, agreed, parts = case()
    checked = [check_partial(group, encrypted, agreed, part) for part in parts[:3]]
    second = encrypt(group.key, [7, 8, 9], SEED)
    stray = part_of(group, dealt()[1][2], second, opening(second), SEED)
    with pytest.raises(WrongKey, match="different sums"):
        combine(group, [*checked[:2], check_partial(group, second, opening(second), stray)])
    with pytest.raises(WrongKey, match="another group"):
        combine(deal(other, 3, 5, SEED)[0], checked)


def test_only_the_check_makes_a_checked_part() -> None:
    group, encrypted, agreed, parts = case()
    with pytest.raises(TypeError, match="only check_partial"):
        Checked(0, group.group_id, agreed.digest, parts[0].values, object())
    with pytest.raises(ValueError, match="witness"):
        replace(check_partial(group, encrypted, agreed, parts[0]), values=())


def test_parts_that_do_not_combine_open_nothing_even_where_nobody_checked_their_proofs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group, encrypted, agreed, parts = case()
    monkeypatch.setattr(proofs.SameExponent, "check", lambda self, proof: None)  # the fault
    false = replace(parts[0], values=(parts[0].values[0] * 2 % group.key.square, *parts[0].values[1:]))
    with pytest.raises(BadProof, match="do not combine"):
        open_sum(group, encrypted, agreed, [false, *parts[1:]])


def test_coefficients_without_their_signs_would_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    group, encrypted, agreed, parts = case()
    checked = [check_partial(group, encrypted, agreed, part) for part in parts[:3]]

    def unsigned(points: Sequence[int], target: int, holders: int) -> list[int]:
        return [abs(c) for c in arithmetic.integer_lagrange(points, target, holders)]

    monkeypatch.setattr(threshold, "integer_lagrange", unsigned)  # the fault
    with pytest.raises(BadProof, match="do not combine"):
        combine(group, checked)


def test_folding_with_equal_exponents_would_let_two_errors_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    def forged() -> None:
        group, shares = dealt()
        encrypted = encrypt(group.key, [5, 6], SEED)
        agreed = opening(encrypted)
        honest = part_of(group, shares[0], encrypted, agreed, SEED)
        error = 1 + group.key.modulus
        first, second = honest.values
        values = (first * error % group.key.square, second * pow(error, -1, group.key.square) % group.key.square)
        statement = threshold._statement(group, 0, encrypted.values, values, agreed.context(group, 0))
        proof = statement.prove(group.delta * shares[0].value, SEED)
        check_partial(group, encrypted, agreed, replace(honest, values=values, proof=proof))

    with pytest.raises(BadPartial, match="does not hold"):
        forged()

    class Equal(arithmetic.Draws):
        def bits(self, count: int) -> int:
            return 1 if count == proofs.CHALLENGE_BITS else super().bits(count)

    monkeypatch.setattr(proofs, "Draws", Equal)  # the attack
    forged()


def test_an_element_of_small_order_would_pass_with_the_chance_of_its_order(private: PrivateKey) -> None:
    """Only who knows the factors of N finds one: this is what soundness rests on (docs/crypto-paillier.md)."""
    group, shares = dealt()
    p, q = int(private._p), int(private._q)
    order = next(r for r in range(3, 2000, 2) if (p - 1) % r == 0)
    root = next(r for r in (pow(g, (p - 1) // order, p) for g in range(2, 2000)) if r != 1)
    root = pow(root, p, p * p)  # of the same order mod p²
    low = root * q * q * pow(q * q, -1, p * p) + p * p * pow(p * p, -1, q * q)
    encrypted = encrypt(group.key, [5], SEED)
    agreed = opening(encrypted)
    honest = part_of(group, shares[0], encrypted, agreed, SEED)
    values = (honest.values[0] * low % group.key.square,)
    statement = threshold._statement(group, 0, encrypted.values, values, agreed.context(group, 0))
    passed = 0
    for attempt in range(8 * order):
        try:
            statement.check(statement.prove(group.delta * shares[0].value, b"%d" % attempt))
        except BadProof:
            continue
        passed += 1
    assert passed >= 1


def test_no_chunk_of_work_takes_a_share_of_the_key_to_another_process(private: PrivateKey) -> None:
    group, encrypted, agreed, _ = case()

    def elsewhere(function: Any, jobs: Any) -> Any:
        pickle.dumps(function)
        return map(function, jobs)

    with pytest.raises(TypeError, match="not pickled"):
        part_of(group, dealt()[1][0], encrypted, agreed, SEED, spread=elsewhere)
    with pytest.raises(TypeError, match="not pickled"):
        decrypt(private, encrypt(private.public, [1], SEED), spread=elsewhere)


# Groups and shares


def test_groups_shares_and_parts_survive_their_encodings() -> None:
    group, _, _, parts = case()
    assert Group.from_bytes(group.to_bytes()) == group
    for share in dealt()[1]:
        again = KeyShare.from_bytes(group, share.to_bytes(group))
        assert (again.holder, again.value) == (share.holder, share.value)
    for part in parts:
        assert Partial.from_bytes(group, part.to_bytes(group), part.holder) == part


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_decoders(data: bytes) -> None:
    group = dealt()[0]
    for given_bytes in (data, b"\x01" + data, b"\x01" + group.group_id + data):
        with pytest.raises((BadEncoding, WrongKey, BadPartial)):
            Partial.from_bytes(group, given_bytes, 0)
        with pytest.raises((BadEncoding, BadModulus, BadGroup)):
            Group.from_bytes(given_bytes)
        with pytest.raises((BadEncoding, WrongKey)):
            KeyShare.from_bytes(group, given_bytes)


def test_a_group_whose_keys_do_not_belong_together_is_refused(private: PrivateKey) -> None:
    group, _ = dealt()
    first, second, *rest = group.verification_keys
    for false in ((second, first, *rest), (first, second, *rest[:-1], first), (0, second, *rest), (1,) * 5):
        with pytest.raises(BadGroup):
            replace(group, verification_keys=false)
    for threshold_ in (1, 2, 6):
        with pytest.raises(BadGroup):
            replace(group, threshold=threshold_)
    for bits in (0, 1 << 20):
        with pytest.raises(BadGroup, match="shares of"):
            replace(group, share_bits=bits)


def test_a_share_that_is_not_the_holders_does_not_match() -> None:
    group, shares = dealt()
    for bad in (KeyShare(0, shares[1].value), KeyShare(5, shares[0].value), KeyShare(0, shares[0].value << 999)):
        assert not bad.matches(group)
    data = bytearray(shares[0].to_bytes(group))
    data[-1] ^= 1
    with pytest.raises(WrongKey, match="does not match"):
        KeyShare.from_bytes(group, bytes(data))


def test_a_key_share_is_not_shown_pickled_or_copied() -> None:
    share = dealt()[1][0]
    assert repr(share) == "<KeyShare of holder 0 (secret)>"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(share)


def test_parts_are_made_on_threads_with_progress() -> None:
    group, shares = dealt()
    encrypted = encrypt(group.key, list(range(130)), SEED)
    agreed = opening(encrypted)
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as threads:
        parts = [
            part_of(group, share, encrypted, agreed, SEED, spread=threads.map, progress=lambda *at: seen.append(at))
            for share in shares[:3]
        ]
    assert seen[:3] == [(64, 130), (128, 130), (130, 130)]
    assert list(open_sum(group, encrypted, agreed, parts).plaintexts) == list(range(130))

"""The key of a masked sum, opened by holders: what a round does with both libraries, and what nobody can see in it."""

from functools import lru_cache

import numpy as np
import pytest
from parties import members

from coterie.crypto.field import Vector
from coterie.crypto.masks import blame
from coterie.crypto.masks.keys import Key, unpack_sum
from coterie.crypto.masks.mask import mask, unmask
from coterie.crypto.masks.parameters import MaskParameters
from coterie.crypto.paillier.claims import Contributors, check_claim, claim_fingerprint, prove_sum
from coterie.crypto.paillier.encryption import add, encrypt
from coterie.crypto.paillier.group import Group, KeyShare, deal
from coterie.crypto.paillier.keys import generate
from coterie.crypto.paillier.threshold import Agreed, open_sum, partial_decrypt
from coterie.crypto.sharing.fixed_point import EncodingError
from coterie.crypto.vectors import add_into, fingerprint

MEMBERS = 4
LENGTH = 64
FEDERATION = bytes(32)
PUBLIC_SEED = b"a" * 32
PARAMETERS = MaskParameters(MEMBERS, 1.0)


@lru_cache(maxsize=1)
def dealt() -> tuple[Group, tuple[KeyShare, ...]]:
    """Two of four, 512 bits."""
    return deal(generate(b"thirty-two secret random bytes..", 512), 2, MEMBERS, bytes(32))


def updates() -> list[Vector]:
    rng = np.random.default_rng(3)
    drawn = [(rng.standard_normal(2 * LENGTH) * 0.01).astype(np.float32) for _ in range(MEMBERS)]
    return [PARAMETERS.encoding.encode(update, 1.0, bytes([i]) * 32)[0] for i, update in enumerate(drawn)]


def masked() -> tuple[list[Key], list[Vector], Vector]:
    """The keys, the masked updates and their sum."""
    rows = [
        mask(PARAMETERS, PUBLIC_SEED, words, bytes([i + 1]) * 32, b"round|%d" % i) for i, words in enumerate(updates())
    ]
    total = np.zeros(LENGTH, dtype=np.uint64)
    for _, sent in rows:
        add_into(total, sent)
    return [key for key, _ in rows], [sent for _, sent in rows], total


def opened(plaintexts: list[list[int]]) -> tuple[Vector, tuple[object, ...]]:
    """The sum of the keys that members encrypted, through claims and partial decryptions; and who lied."""
    group, shares = dealt()
    seeds = [bytes([i + 9]) * 32 for i in range(MEMBERS)]
    sent = [encrypt(group.key, row, seeds[i]) for i, row in enumerate(plaintexts)]
    total = add(sent)
    who = Contributors(FEDERATION, 7, 1, group, {member: member[::-1] for member in members(MEMBERS)})
    challenge, claims = who.challenge(total), {}
    for i, member in enumerate(members(MEMBERS)):
        claim = claim_fingerprint(sent[i], plaintexts[i], seeds[i], challenge, who.context_of(member))
        claims[member] = check_claim(claim, challenge, who.context_of(member))
    agreed = Agreed(FEDERATION, 1, total.digest)
    proved = prove_sum(total, claims, who)
    result = open_sum(
        group, total, agreed, [partial_decrypt(group, share, proved, agreed, bytes(32)) for share in shares[1:3]]
    )
    return unpack_sum(result.plaintexts, group.key.modulus, MEMBERS, MEMBERS), result.liars


def in_plaintexts(keys: list[Key]) -> list[list[int]]:
    return [list(key.plaintexts(dealt()[0].key.modulus, MEMBERS)) for key in keys]


def test_the_sum_of_the_masks_keys_comes_out_of_a_fallback_and_opens_the_sum() -> None:
    keys, _, total = masked()
    summed, liars = opened(in_plaintexts(keys))
    assert liars == ()
    together = np.zeros(LENGTH, dtype=np.uint64)
    for words in updates():
        add_into(together, words)
    assert np.array_equal(unmask(PARAMETERS, PUBLIC_SEED, total, summed, MEMBERS), together)


def test_a_contributor_that_encrypts_another_key_spoils_the_sum_and_nobody_can_be_named() -> None:
    """Why masked rounds do not promise that each failure has a name, and go on by sharing after one."""
    keys, sent, total = masked()
    plaintexts = in_plaintexts(keys)
    plaintexts[3][0] += 1  # the attack: one coefficient is off by one
    summed, liars = opened(plaintexts)
    assert liars == ()
    with pytest.raises(EncodingError):
        unmask(PARAMETERS, PUBLIC_SEED, total, summed, MEMBERS)
    seed = blame.challenge(b"federation|round|contributors", b"root of the sum")
    claims = {i: fingerprint(seed, vector) for i, vector in enumerate(sent)}
    assert blame.judge(seed, total, claims, dict(enumerate(sent))) == blame.Verdict((), sum_is_false=False)

"""Attacks on masks, each shown to work where a defence is taken away, and to fail where it is in place."""

import numpy as np
import pytest

from coterie.crypto import cosets, ntt
from coterie.crypto.field import P, Vector, inverses
from coterie.crypto.masks import blame
from coterie.crypto.masks import keys as keys_module
from coterie.crypto.masks.contents import Contents
from coterie.crypto.masks.mask import mask, unmask
from coterie.crypto.masks.parameters import BOUND, DIMENSION, MaskParameters
from coterie.crypto.masks.ring import values_of
from coterie.crypto.masks.sampling import Gaussian, Samples
from coterie.crypto.prng import stream
from coterie.crypto.sharing.fixed_point import EncodingError
from coterie.crypto.vectors import add_into, fingerprint

PUBLIC = bytes(range(32))
PARAMETERS = MaskParameters(4, 1.0)


def words_of(member: int, length: int = 2 * DIMENSION) -> Vector:
    update = np.random.default_rng(member).normal(0, 0.3, length).astype(np.float32)
    return PARAMETERS.encoding.encode(update, 1.0, bytes([member]) * 32)[0]


def centred(elements: list[int]) -> list[int]:
    return [x - P if x > P // 2 else x for x in elements]


def message(words: Vector) -> list[int]:
    """What stands beside the mask when the error is 0."""
    low, high = words & np.uint64(2**31 - 1), words >> np.uint64(31)
    return [
        (PARAMETERS.scale * (int(a) + PARAMETERS.radix * int(b)) + BOUND) % P for a, b in zip(low, high, strict=True)
    ]


def solve_for_key(masked: Vector, known: Vector) -> list[int]:
    """(c - x) / a: the key of whoever masked a known vector, if there were no errors."""
    rest = np.array([(int(c) - x) % P for c, x in zip(masked, message(known), strict=True)], dtype=np.uint64)
    public = inverses(stream(PUBLIC, b"ring element", DIMENSION).tolist())
    quotient = [int(v) * a % P for v, a in zip(values_of(rest), public, strict=True)]
    coset = cosets.coset(DIMENSION, cosets.root_of_unity(2 * DIMENSION))
    found = ntt.interpolate(coset, np.array(quotient, dtype=np.uint64)[:, None])
    return [int(s) for s in found[:, 0]]


class NoErrors(Gaussian):
    """The weakened build: keys are drawn, errors are all zero."""

    def __init__(self, key: bytes, label: bytes) -> None:
        super().__init__(key, label)
        self._factor = np.int32(label == b"secret")

    def draw(self, count: int) -> Samples:
        return super().draw(count) * self._factor


def test_without_errors_a_known_vector_gives_the_key_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "Gaussian", NoErrors)
    key, masked = mask(PARAMETERS, PUBLIC, words_of(1), bytes(32), b"")
    assert solve_for_key(masked, words_of(1)) == key.vector.tolist()


def test_with_errors_a_known_vector_gives_nothing_like_a_key() -> None:
    key, masked = mask(PARAMETERS, PUBLIC, words_of(1), bytes(32), b"")
    found = solve_for_key(masked, words_of(1))
    assert not set(zip(found, range(DIMENSION), strict=True)) & set(
        zip(key.vector.tolist(), range(DIMENSION), strict=True)
    )
    assert sum(abs(s) <= BOUND for s in centred(found)) == 0


def difference_of(first: Vector, second: Vector) -> Vector:
    """Rounded to whole units: what an eavesdropper makes of two masked vectors."""
    units = [
        round(d / PARAMETERS.scale)
        for d in centred([(int(a) - int(b)) % P for a, b in zip(first, second, strict=True)])
    ]
    return np.array(units, dtype=object)


def true_difference(first: Vector, second: Vector) -> Vector:
    messages = [(a - b) // PARAMETERS.scale for a, b in zip(message(first), message(second), strict=True)]
    return np.array(messages, dtype=object)


def numbers_left_out(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A key that does not depend on some of what it should."""
    if "contents" in names:
        monkeypatch.setattr(Contents, "digest", bytes(32))
        monkeypatch.setattr(Contents, "differ_at", lambda self, first, words: None)
    if "parameters" in names:
        monkeypatch.setattr(keys_module, "_numbers", lambda parameters: b"")


def masked_with(words: Vector, parameters: MaskParameters = PARAMETERS) -> Vector:
    return mask(parameters, PUBLIC, words, bytes(32), b"the same")[1]


def test_a_key_used_twice_gives_the_difference_of_its_vectors_away(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers_left_out(monkeypatch, "contents")
    masked = [masked_with(words_of(member)) for member in (1, 2)]
    assert np.array_equal(difference_of(*masked), true_difference(words_of(1), words_of(2)))


def test_a_seed_used_twice_by_mistake_does_not() -> None:
    masked = [masked_with(words_of(member)) for member in (1, 2)]
    assert not (difference_of(*masked) == true_difference(words_of(1), words_of(2))).any()


def read_from_two_sizes(words: Vector) -> Vector:
    """What an eavesdropper reads of words that were masked for four and, when a member had left, for three."""
    three = MaskParameters(3, 1.0, PARAMETERS.bits)
    differences = [(int(a) - int(b)) % P for a, b in zip(masked_with(words), masked_with(words, three), strict=True)]
    of_low, of_high = PARAMETERS.scale - three.scale, PARAMETERS.scale * PARAMETERS.radix - three.scale * three.radix
    slots = [((one % of_high) // of_low, one // of_high) for one in differences]
    return np.array([(low | high << 31) % 2**64 for low, high in slots], dtype=np.uint64)


def test_a_key_for_two_sizes_of_committee_gives_the_vector_away(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers_left_out(monkeypatch, "parameters")
    assert np.array_equal(read_from_two_sizes(words_of(1)), words_of(1))


def test_two_sizes_of_committee_have_two_keys() -> None:
    assert not (read_from_two_sizes(words_of(1)) == words_of(1)).any()


def key_from_two_elements(words: Vector) -> tuple[list[int], list[int]]:
    """What an eavesdropper makes of words that were masked under two public elements, and the first key."""
    others = bytes(reversed(PUBLIC))
    key, first = mask(PARAMETERS, PUBLIC, words, bytes(32), b"")
    _, second = mask(PARAMETERS, others, words, bytes(32), b"")
    differences = np.array([(int(a) - int(b)) % P for a, b in zip(first, second, strict=True)], dtype=np.uint64)
    elements = [stream(public, b"ring element", DIMENSION).tolist() for public in (PUBLIC, others)]
    factors = inverses([(a - b) % P for a, b in zip(*elements, strict=True)])
    quotient = [int(v) * a % P for v, a in zip(values_of(differences), factors, strict=True)]
    coset = cosets.coset(DIMENSION, cosets.root_of_unity(2 * DIMENSION))
    found = ntt.interpolate(coset, np.array(quotient, dtype=np.uint64)[:, None])
    return [int(s) for s in found[:, 0]], key.vector.tolist()


def test_a_key_for_two_public_elements_is_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = keys_module.derive

    def leaving_out(seed: bytes, label: bytes) -> bytes:
        for public in (PUBLIC, bytes(reversed(PUBLIC))):
            label = label.replace(public, b"")
        return honest(seed, label)

    monkeypatch.setattr(keys_module, "derive", leaving_out)
    found, key = key_from_two_elements(words_of(1))
    assert found == key


def test_two_public_elements_have_two_keys() -> None:
    found, key = key_from_two_elements(words_of(1))
    assert not set(enumerate(found)) & set(enumerate(key))


def test_all_keys_but_one_open_nothing() -> None:
    total, keys = np.zeros(DIMENSION, dtype=np.uint64), np.zeros(DIMENSION, dtype=np.uint64)
    for member in range(3):
        key, masked = mask(PARAMETERS, PUBLIC, words_of(member), bytes([member]) * 32, b"")
        add_into(total, masked)
        if member:
            add_into(keys, key.vector)
    with pytest.raises(EncodingError):
        unmask(PARAMETERS, PUBLIC, total, keys, 3)


def masked_by(members: tuple[int, ...]) -> tuple[Vector, Vector, dict[int, Vector]]:
    """The sum of these members' masked vectors, the sum of their keys, and what each masked."""
    total, keys = np.zeros(DIMENSION, dtype=np.uint64), np.zeros(DIMENSION, dtype=np.uint64)
    for member in members:
        key, masked = mask(PARAMETERS, PUBLIC, words_of(member), bytes([member]) * 32, b"")
        add_into(total, masked)
        add_into(keys, key.vector)
    return total, keys, {member: words_of(member) for member in members}


def moved(total: Vector, source: Vector, target: Vector) -> Vector:
    """A sum that unmasks to `target` where `total` unmasks to `source`."""
    steps = [b - a for a, b in zip(message(source), message(target), strict=True)]
    return np.array([(int(t) + step) % P for t, step in zip(total, steps, strict=True)], dtype=np.uint64)


def test_whoever_proposes_the_sum_after_the_keys_have_opened_chooses_what_comes_out() -> None:
    """The order that is not allowed: fingerprints let it pass if the proposer contributes (`test_blame.py`)."""
    total, keys, _ = masked_by((0, 1, 2))
    opened = unmask(PARAMETERS, PUBLIC, total, keys, 3)
    wanted = sum(words_of(member) for member in (7, 8, 9))
    assert np.array_equal(unmask(PARAMETERS, PUBLIC, moved(total, opened, wanted), keys, 3), wanted)


@pytest.mark.parametrize("others", [(1, 2), (3, 4)])
def test_a_sum_fixed_before_the_keys_open_holds_all_others_whatever_they_masked(others: tuple[int, int]) -> None:
    """Blind, proposer 0 can only put another vector of its own in its place."""
    total, keys, words = masked_by((0, *others))
    false = moved(total, words[0], words_of(9))
    assert np.array_equal(unmask(PARAMETERS, PUBLIC, false, keys, 3), sum(words_of(m) for m in (9, *others)))


def test_a_key_off_by_one_in_one_coefficient_opens_nothing() -> None:
    key, masked = mask(PARAMETERS, PUBLIC, words_of(1), bytes(32), b"")
    wrong = key.vector
    wrong[17] = (int(wrong[17]) + 1) % P
    with pytest.raises(EncodingError):
        unmask(PARAMETERS, PUBLIC, masked, wrong, 1)


def test_masks_of_another_round_open_nothing() -> None:
    key, masked = mask(PARAMETERS, PUBLIC, words_of(1), bytes(32), b"")
    with pytest.raises(EncodingError):
        unmask(PARAMETERS, bytes(32), masked, key.vector, 1)


def test_a_sum_of_more_members_than_agreed_is_refused() -> None:
    key, masked = mask(PARAMETERS, PUBLIC, words_of(1), bytes(32), b"")
    for added in (0, 5):
        with pytest.raises(ValueError, match="1 to 4 are agreed"):
            unmask(PARAMETERS, PUBLIC, masked, key.vector, added)


# What nobody can see: these attacks work, and the documents say so.


def shifted(masked: Vector, low: int) -> Vector:
    """What a liar adds to the first value of its own masked vector."""
    out = masked.copy()
    out[0] = (int(out[0]) + PARAMETERS.scale * low) % P
    return out


def opened(contributions: list[Vector], keys: list[keys_module.Key]) -> Vector:
    """The sum, as everybody unmasks it."""
    total, summed = np.zeros(DIMENSION, dtype=np.uint64), np.zeros(DIMENSION, dtype=np.uint64)
    for vector in contributions:
        add_into(total, vector)
    for key in keys:
        add_into(summed, key.vector)
    return unmask(PARAMETERS, PUBLIC, total, summed, PARAMETERS.summands)


def contributed() -> tuple[list[keys_module.Key], list[Vector]]:
    """Four members' keys and masked vectors."""
    rows = [mask(PARAMETERS, PUBLIC, words_of(i), bytes([i]) * 32, b"round") for i in range(PARAMETERS.summands)]
    return [key for key, _ in rows], [masked for _, masked in rows]


def decoded(words: Vector) -> Vector:
    return PARAMETERS.encoding.decode_sum(words, 2 * DIMENSION, PARAMETERS.summands)


def test_one_contribution_has_the_room_of_all_and_nobody_sees_it() -> None:
    keys, sent = contributed()
    honest, limit = decoded(opened(sent, keys)), PARAMETERS.encoding.limit
    room = PARAMETERS.summands * limit - int(honest[0])
    moved = decoded(opened([*sent[:-1], shifted(sent[-1], room)], keys)) - honest
    assert int(moved[0]) > 2 * limit  # an honest member moves it from -limit to limit at most
    assert not moved[1:].any()


def test_a_slot_pushed_beyond_its_range_moves_its_neighbour_by_one_and_nobody_sees_it() -> None:
    keys, sent = contributed()
    honest = opened(sent, keys)
    low = int(honest[0]) & (2**31 - 1)
    moved = opened([*sent[:-1], shifted(sent[-1], PARAMETERS.radix - low)], keys)
    assert int(moved[0]) >> 31 == (int(honest[0]) >> 31) + 1
    assert np.array_equal(moved[1:], honest[1:])


def test_a_contribution_that_is_no_encoding_spoils_the_sum_and_nobody_can_be_named() -> None:
    keys, sent = contributed()
    sent[-1] = stream(b"anything", b"at all", DIMENSION)
    with pytest.raises(EncodingError):
        opened(sent, keys)
    total = np.zeros(DIMENSION, dtype=np.uint64)
    for vector in sent:
        add_into(total, vector)
    seed = blame.challenge(b"federation, round, contributors", bytes(32))
    claims = {i: fingerprint(seed, vector) for i, vector in enumerate(sent)}
    assert blame.judge(seed, total, claims, dict(enumerate(sent))) == blame.Verdict((), sum_is_false=False)

"""Masked sums are exact, however they are cut, and nothing else comes out of them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.field import P, Vector
from coterie.crypto.masks.contents import Contents
from coterie.crypto.masks.keys import Key
from coterie.crypto.masks.mask import PIECE, Masker, OtherWords, Unmasker, mask, unmask
from coterie.crypto.masks.parameters import DIMENSION, MaskParameters
from coterie.crypto.sharing.fixed_point import EncodingError
from coterie.crypto.vectors import add_into

PUBLIC = b"beacon of round 6".ljust(32, b".")


def encoded(parameters: MaskParameters, length: int, member: int) -> tuple[Vector, np.ndarray]:  # type: ignore[type-arg]
    """A member's words, and the integers in them."""
    update = np.random.default_rng(member).normal(0, parameters.clip / 2, length).astype(np.float32)
    words, _ = parameters.encoding.encode(update, 1.0, bytes([member]) * 32)
    return words, parameters.encoding.decode_sum(words, length, 1)


def key_for(parameters: MaskParameters, words: Vector) -> Key:
    return Key(bytes(32), b"", PUBLIC, parameters, Contents.of(words))


def contributions(parameters: MaskParameters, length: int, members: int) -> tuple[Vector, Vector, np.ndarray]:  # type: ignore[type-arg]
    """The sum of masked vectors, the sum of keys, and the integers that should come out."""
    total = np.zeros(parameters.encoding.columns(length), dtype=np.uint64)
    keys = np.zeros(DIMENSION, dtype=np.uint64)
    plain = np.zeros(length, dtype=np.int64)
    for member in range(members):
        words, values = encoded(parameters, length, member)
        key, masked = mask(parameters, PUBLIC, words, bytes([member + 1]) * 32, b"round 7")
        add_into(total, masked)
        add_into(keys, key.vector)
        plain += values
    return total, keys, plain


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(0, 3), st.integers(1, 2 * 3 * DIMENSION), st.sampled_from([0, 8, 16]))
def test_a_masked_sum_is_the_sum_to_the_last_bit(members: int, absent: int, length: int, bits: int) -> None:
    parameters = MaskParameters(members + absent, 1.0, bits)
    total, keys, plain = contributions(parameters, length, members)
    words = unmask(parameters, PUBLIC, total, keys, members)
    assert np.array_equal(parameters.encoding.decode_sum(words, length, members), plain)


@pytest.mark.parametrize("summands", [512, 5000])
def test_many_summands_leave_fewer_bits_and_an_exact_sum(summands: int) -> None:
    parameters = MaskParameters(summands, 1.0)
    total, keys, plain = contributions(parameters, 100, 6)
    words = unmask(parameters, PUBLIC, total, keys, 6)
    assert np.array_equal(parameters.encoding.decode_sum(words, 100, 6), plain)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 3), max_size=4), st.integers(0, DIMENSION))
def test_how_a_vector_is_cut_changes_nothing(blocks: list[int], rest: int) -> None:
    parameters = MaskParameters(2, 1.0)
    sizes = [*(count * DIMENSION for count in blocks), rest]
    words, _ = encoded(parameters, 2 * sum(sizes), 1)
    key = key_for(parameters, words)
    whole = Masker(key).mask(words)
    masker = Masker(key)
    unmasker = Unmasker(parameters, PUBLIC, key.vector, 1)
    start = 0
    for size in sizes:
        piece = words[start : start + size]
        masked = masker.mask(piece)
        assert np.array_equal(masked, whole[start : start + size])
        assert np.array_equal(unmasker.unmask(masked), piece)
        assert np.array_equal(Masker(key, start // DIMENSION).mask(piece), masked), "whoever goes on in the middle"
        assert np.array_equal(Unmasker(parameters, PUBLIC, key.vector, 1, start // DIMENSION).unmask(masked), piece)
        start += size


def test_a_vector_of_many_pieces_takes_the_memory_of_a_few_blocks() -> None:
    """Made, masked and dropped piece by piece: 50 pieces are 26 MB, and 8 pieces are 4 MB."""
    parameters = MaskParameters(2, 1.0)
    words, _ = encoded(parameters, 2 * PIECE, 1)
    contents = Contents()
    for _ in range(51):
        contents.add(words)
    masker = Masker(Key(bytes(32), b"", PUBLIC, parameters, contents))
    masker.mask(words)
    tracemalloc.start()
    for _ in range(50):
        masker.mask(words)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * words.nbytes


def test_a_masked_vector_is_no_longer_than_the_encoded_one() -> None:
    parameters = MaskParameters(2, 1.0)
    words, _ = encoded(parameters, 10_001, 1)
    _, masked = mask(parameters, PUBLIC, words, bytes(32), b"")
    assert masked.nbytes == words.nbytes == 8 * 5001


def test_an_empty_vector_is_masked_and_unmasked() -> None:
    parameters = MaskParameters(2, 1.0)
    nothing = np.empty(0, dtype=np.uint64)
    key, masked = mask(parameters, PUBLIC, nothing, bytes(32), b"")
    assert unmask(parameters, PUBLIC, masked, key.vector, 1).size == 0


def test_one_seed_gives_two_vectors_two_keys() -> None:
    parameters = MaskParameters(2, 1.0)
    first, second = encoded(parameters, 100, 1)[0], encoded(parameters, 100, 2)[0]
    keys = [mask(parameters, PUBLIC, words, bytes(32), b"round 7")[0] for words in (first, second, first)]
    assert not np.array_equal(keys[0].vector, keys[1].vector)
    assert np.array_equal(keys[0].vector, keys[2].vector)


def test_context_and_digest_cannot_run_into_each_other() -> None:
    parameters = MaskParameters(2, 1.0)
    words, _ = encoded(parameters, 100, 1)
    keys = [mask(parameters, PUBLIC, words, bytes(32), context)[0] for context in (b"", b"\0", b"1|")]
    assert len({key.vector.tobytes() for key in keys}) == 3


@pytest.mark.parametrize("block", [0, 1])
def test_a_key_masks_no_other_words(block: int) -> None:
    """Such as those of an update that was rounded anew after a restart: their difference would be seen."""
    parameters = MaskParameters(2, 1.0)
    words, _ = encoded(parameters, 2 * 2 * DIMENSION, 1)
    key = key_for(parameters, words)
    other = words.copy()
    other[block * DIMENSION + 5] ^= np.uint64(1)
    with pytest.raises(OtherWords, match=f"block {block} is not what the key was made for"):
        Masker(key).mask(other)
    for elsewhere in (words[DIMENSION:], words[: DIMENSION - 1], np.append(words, np.uint64(0))):
        with pytest.raises(OtherWords):
            Masker(key).mask(elsewhere)
    assert np.array_equal(Masker(key).mask(words), Masker(key).mask(words))


def test_nothing_follows_a_piece_that_does_not_end_with_a_block() -> None:
    parameters = MaskParameters(2, 1.0)
    words, _ = encoded(parameters, 2 * DIMENSION + 2, 1)
    key = key_for(parameters, words)
    unmasker = Unmasker(parameters, PUBLIC, key.vector, 1)
    unmasker.unmask(Masker(key).mask(words))
    for again in (lambda: unmasker.unmask(words), lambda: key.contents.add(words)):
        with pytest.raises(ValueError, match="did not end with a block"):
            again()


def test_there_is_no_block_before_the_first() -> None:
    parameters = MaskParameters(2, 1.0)
    with pytest.raises(ValueError, match="no block -1"):
        Masker(key_for(parameters, encoded(parameters, 2, 1)[0]), -1)


def test_a_refused_piece_uses_nothing_up() -> None:
    parameters = MaskParameters(2, 1.0, 8)
    words, _ = encoded(parameters, 10, 1)
    masker = Masker(key_for(parameters, words))
    with pytest.raises(EncodingError, match="8 bits"):
        masker.mask(words | np.uint64(1 << 9))
    with pytest.raises(OtherWords):
        masker.mask(words ^ np.uint64(1))
    assert np.array_equal(masker.mask(words), Masker(key_for(parameters, words)).mask(words))


@pytest.mark.parametrize("added", [1, 10, 16])
def test_what_was_never_masked_is_hardly_ever_taken_for_a_sum(added: int) -> None:
    """Its errors have to lie within ten standard deviations of what honest ones add up to."""
    parameters = MaskParameters(16, 1.0)
    random = np.random.default_rng(added).integers(0, P, 4000, dtype=np.uint64)
    taken = 0
    for element in random:
        try:
            Unmasker(parameters, PUBLIC, np.zeros(DIMENSION, dtype=np.uint64), added).unmask(element[None])
            taken += 1
        except EncodingError:
            pass
    assert taken / random.size < 0.2


def test_the_first_element_that_is_no_sum_is_named() -> None:
    parameters = MaskParameters(3, 1.0, 8)
    total, keys, _ = contributions(parameters, 4 * PIECE, 3)
    total[PIECE + 7] ^= np.uint64(1 << 62)
    with pytest.raises(EncodingError, match=f"element {PIECE + 7} is not a sum of 3"):
        unmask(parameters, PUBLIC, total, keys, 3)


def test_maskers_show_neither_keys_nor_values() -> None:
    parameters = MaskParameters(2, 1.0)
    masker = Masker(key_for(parameters, np.empty(0, dtype=np.uint64)))
    assert repr(masker) == f"Masker({parameters}, done=0)"
    unmasker = Unmasker(parameters, PUBLIC, np.full(DIMENSION, 123456789, dtype=np.uint64), 1)
    assert "123456789" not in repr(unmasker)

"""The stream of pseudorandom elements: deterministic, unbiased, however it is cut."""

import hashlib
import pickle  # noqa: TID251 - to show that it does not work

import numpy as np
import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import prng
from coterie.crypto.field import P, Vector


def words_by_another_library(seed: bytes, label: bytes, count: int) -> list[int]:
    """The raw words of a stream, from PyCryptodome's AES instead."""
    key = hashlib.sha256(b"coterie/1/stream|" + str(len(seed)).encode() + b"|" + seed + b"|" + label).digest()
    data = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(8 * count))
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]


@pytest.mark.parametrize("count", [0, 1, 7, prng.BLOCK - 1, prng.BLOCK, 2 * prng.BLOCK + 3])
def test_the_stream_is_aes_in_counter_mode_under_a_hash_of_seed_and_label(count: int) -> None:
    expected = words_by_another_library(b"seed", b"label", count)
    assert all(word < P for word in expected)
    assert prng.stream(b"seed", b"label", count).tolist() == expected


def test_the_stream_of_a_seed_never_changes() -> None:
    assert prng.stream(bytes(32), b"known answer", 3).tolist() == [
        13786616917182072266,
        13036274627246459875,
        13192916468061225474,
    ]


@given(st.lists(st.integers(0, 3 * prng.BLOCK), max_size=4))
def test_reading_in_pieces_gives_the_same_stream(sizes: list[int]) -> None:
    stream = prng.Stream(b"seed", b"label")
    pieces = [np.empty(size, dtype=np.uint64) for size in sizes]
    for piece in pieces:
        stream.fill(piece)
    whole = prng.stream(b"seed", b"label", sum(sizes))
    assert np.array_equal(np.concatenate([*pieces, whole[:0]]), whole)


class ScriptedStream(prng.Stream):
    """A stream whose words are given, to show what becomes of rare ones."""

    __slots__ = ("words",)

    def __init__(self, words: list[int]) -> None:
        super().__init__(b"", b"")
        self.words = words

    def _words(self, count: int) -> Vector:
        taken, self.words = self.words[:count], self.words[count:]
        return np.array(taken, dtype=np.uint64)


def test_words_beyond_the_prime_are_dropped_and_not_reduced() -> None:
    out = np.empty(4, dtype=np.uint64)
    ScriptedStream([5, P, 2**64 - 1, P - 1, P + 1, 6, 2**64 - 2, 0]).fill(out)
    assert out.tolist() == [5, P - 1, 6, 0]


def test_dropping_words_does_not_depend_on_how_the_stream_is_cut() -> None:
    script = [5, P, 6, P + 1, P + 2, 7, 8, P, 9, 10]
    for cut in range(6):
        stream, out = ScriptedStream(script), np.empty(6, dtype=np.uint64)
        stream.fill(out[:cut])
        stream.fill(out[cut:])
        assert out.tolist() == [5, 6, 7, 8, 9, 10]


def test_raw_words_are_not_filtered() -> None:
    out = np.empty(3, dtype=np.uint64)
    ScriptedStream([P, 2**64 - 1, 1]).fill_words(out)
    assert out.tolist() == [P, 2**64 - 1, 1]


def test_seed_and_label_cannot_be_shifted_into_each_other() -> None:
    keys = {
        prng.derive(b"ab", b"c"),
        prng.derive(b"a", b"bc"),
        prng.derive(b"a|", b"c"),
        prng.derive(b"a", b"|c"),
    }
    assert len(keys) == 4


def test_elements_spread_evenly_over_the_field() -> None:
    counts = np.bincount((prng.stream(b"seed", b"spread", 160_000) >> np.uint64(60)).astype(np.int64), minlength=16)
    chi_square = float(((counts - 10_000) ** 2 / 10_000).sum())
    assert chi_square < 37.7  # 15 degrees of freedom, one in a thousand; the seed is fixed


def test_a_stream_shows_no_key_and_is_not_pickled() -> None:
    stream = prng.Stream(b"secret seed", b"label")
    assert repr(stream) == "Stream(<secret>)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(stream)


def test_each_block_has_a_stream_of_its_own_wherever_one_comes_from() -> None:
    whole = [np.empty(100, dtype=np.uint64) for _ in range(3)]
    reader = prng.Stream(b"seed", b"label")
    for block in (2, 0, 1):
        reader.seek(block)
        reader.fill(whole[block])
    assert np.array_equal(whole[0], prng.stream(b"seed", b"label", 100))
    assert len({row.tobytes() for row in whole}) == 3
    other = prng.Stream(b"seed", b"label")
    other.fill(np.empty(17, dtype=np.uint64))
    again = np.empty(100, dtype=np.uint64)
    other.seek(2)
    other.fill(again)
    assert np.array_equal(again, whole[2])

"""Known answers, and files with one fault each.

The answers were made without this library: samples by interval arithmetic, products by FLINT, randomness by another
implementation of AES.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.crypto.field import P, Vector, to_bytes
from coterie.crypto.masks.contents import Contents
from coterie.crypto.masks.keys import Key, unpack_sum
from coterie.crypto.masks.mask import mask, unmask
from coterie.crypto.masks.parameters import BOUND, DIMENSION, SIGMA, MaskParameters
from coterie.crypto.masks.sampling import thresholds
from coterie.crypto.prng import Stream
from coterie.crypto.sharing.fixed_point import EncodingError

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "masks"
ANSWERS = sorted(VECTORS.glob("answer-*.json"))
FAULTS = sorted(VECTORS.glob("fault-*.json"))
FOUR = MaskParameters(4, 1.0)


def words_of(label: int, bits: int, count: int) -> Vector:
    """Pseudorandom words that an encoding with that many bits could have made."""
    random = np.empty(2 * count, dtype=np.uint64)
    Stream(b"test words", b"%d" % label).fill_words(random)
    slots = random % np.uint64(2**bits - 1)
    return slots[0::2] | slots[1::2] << np.uint64(31)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_known_answers_are_masked_and_unmasked(path: Path) -> None:
    case = json.loads(path.read_text())
    parameters = MaskParameters(case["summands"], 1.0, case["bits"])
    words = words_of(case["words_label"], case["bits"], case["elements"])
    assert words[:4].tolist() == case["first_words"]
    public, seed, context = (bytes.fromhex(case[name]) for name in ("public_seed", "seed", "context"))
    key, masked = mask(parameters, public, words, seed, context)
    assert key.vector[:8].tolist() == [k % P for k in case["first_of_key"]]
    assert masked[:4].tolist() == case["first_masked"]
    assert hashlib.sha256(to_bytes(key.vector)).hexdigest() == case["key_sha256"]
    assert hashlib.sha256(to_bytes(masked)).hexdigest() == case["masked_sha256"]
    assert np.array_equal(unmask(parameters, public, masked, key.vector, 1), words)


def test_the_distribution_is_the_one_on_file() -> None:
    case = json.loads((VECTORS / "distribution.json").read_text())
    assert (case["sigma"], case["bound"]) == (SIGMA, BOUND)
    assert [f"{threshold:032x}" for threshold in thresholds()] == case["thresholds"]


def _key(seed: bytes = bytes(32)) -> Key:
    return Key(seed, b"", bytes(32), FOUR, Contents())


def _mask(public_seed: str, words: list[int]) -> object:
    return mask(FOUR, bytes.fromhex(public_seed), np.array(words, dtype=np.uint64), bytes(32), b"")


def _unmask(total: list[int], keys: int, added: int) -> object:
    return unmask(FOUR, bytes(32), np.array(total, dtype=np.uint64), np.zeros(keys, dtype=np.uint64), added)


def _unpack(modulus_bits: int, summands: int, added: int, plaintexts: dict[str, Any]) -> object:
    """All coefficients zero, except in the first plaintext if the case gives one."""
    zero = np.zeros(DIMENSION, dtype=np.int32)
    key = _key()
    key._small = zero
    numbers = list(key.plaintexts(2**modulus_bits - 1, summands))[: plaintexts["count"]]
    if "first" in plaintexts:
        numbers[0] = int(plaintexts["first"])
    return unpack_sum(numbers, 2**modulus_bits - 1, summands, added)


CALLS: dict[str, Callable[..., object]] = {
    "parameters": lambda summands, bits: MaskParameters(summands, 1.0, bits),
    "key": lambda seed: _key(bytes.fromhex(seed)),
    "mask": _mask,
    "unmask": _unmask,
    "plaintexts": lambda modulus, summands: _key().plaintexts(modulus, summands),
    "unpack": _unpack,
}


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_a_file_with_one_fault_raises_the_error_that_it_names(path: Path) -> None:
    case = json.loads(path.read_text())
    error = {"EncodingError": EncodingError, "ValueError": ValueError}[case["error"]]
    with pytest.raises(error, match=case["reason"]) as raised:
        CALLS[case["call"]](**case["arguments"])
    assert type(raised.value) is error


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ANSWERS) >= 4
    assert len(FAULTS) >= 15

"""One encoding of every value: what is encoded is decoded to the same, and nothing else is decoded at all."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import values

from coterie.protocol.ledger.blocks import Block, wide_bytes, wide_value
from coterie.protocol.ledger.genesis import GENESIS_BYTES, Genesis
from coterie.protocol.limits import MAX_BLOCK_BYTES
from coterie.protocol.messages.encoding import DecodeError, decode, encode
from coterie.protocol.messages.kinds import (
    KIND_OF,
    KINDS,
    CertifiedBlock,
    GetBlocks,
    GetWeights,
    Message,
    Precommit,
    Prevote,
    SitOut,
)

STRUCTURES = [*(kind for kind, _, _ in KINDS), Block, Genesis]
LIMITS = {kind: limit for kind, limit, _ in KINDS} | {Block: MAX_BLOCK_BYTES, Genesis: GENESIS_BYTES}

each_structure = pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)


def refused(data: bytes, kind: type, limit_bytes: int = 10**6) -> str:
    """Why these bytes are not decoded."""
    with pytest.raises(DecodeError) as caught:
        decode(data, kind, limit_bytes)
    assert str(caught.value).startswith(f"{kind.__name__}: ")
    return str(caught.value)


@each_structure
@settings(max_examples=40)
@given(st.data())
def test_what_is_encoded_is_decoded_to_the_same(kind: type, data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert decode(encode(value), kind, 10**7) == value


@each_structure
@settings(max_examples=15)
@given(st.data())
def test_bytes_after_the_end_are_refused(kind: type, data: st.DataObject) -> None:
    encoded = encode(data.draw(values(kind)))
    refused(encoded + data.draw(st.binary(min_size=1, max_size=9)), kind)


@each_structure
@settings(max_examples=15)
@given(st.data())
def test_every_truncation_is_refused(kind: type, data: st.DataObject) -> None:
    encoded = encode(data.draw(values(kind)))
    refused(encoded[: data.draw(st.integers(0, len(encoded) - 1))], kind)


@each_structure
@settings(max_examples=15)
@given(st.data())
def test_a_field_too_many_or_too_few_is_refused(kind: type, data: st.DataObject) -> None:
    fields = msgspec.msgpack.decode(encode(data.draw(values(kind))))
    refused(encode([*fields, None]), kind)
    refused(encode(fields[:-1]), kind)


@each_structure
@settings(max_examples=15)
@given(st.data())
def test_whatever_is_decoded_from_other_bytes_is_another_value(kind: type, data: st.DataObject) -> None:
    """A hash of the bytes is a hash of the value, for no two byte strings mean the same."""
    value = data.draw(values(kind))
    encoded = bytearray(encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(encoded), kind, 10**7)
    except DecodeError:
        return
    assert other != value
    assert encode(other) == encoded


@each_structure
@settings(max_examples=15)
@given(st.data())
def test_what_is_longer_than_its_limit_is_refused_before_it_is_looked_at(kind: type, data: st.DataObject) -> None:
    size = data.draw(st.integers(LIMITS[kind] + 1, LIMITS[kind] + 100))
    assert "exceed the limit" in refused(bytes(size), kind, LIMITS[kind])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x91\xcc\x07", "a number below 128 in two bytes"),
        (b"\x91\xcd\x00\x07", "in three"),
        (b"\x91\xce\x00\x00\x00\x07", "in five"),
        (b"\x91\xcf" + bytes(7) + b"\x07", "in nine"),
        (b"\x91\xd0\x07", "a signed one"),
        (b"\x91\xcb" + b"\x40\x1c" + bytes(6), "a float"),
        (b"\xdc\x00\x01\x07", "a longer array header"),
        (b"\xdd\x00\x00\x00\x01\x07", "an even longer one"),
        (b"\x81\xa6height\x07", "a map"),
        (b"\x91\xff", "below the bound"),
        (b"\x91\xcf\x00\x20" + bytes(5) + b"\x01", "above the bound"),
        (b"\x91\xc3", "true"),
        (b"\x91\xa17", "a text"),
        (b"\x07", "no array"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_another_form_of_a_number_or_an_array_is_refused(data: bytes, why: str) -> None:
    assert decode(b"\x91\x07", GetBlocks, 64) == GetBlocks(7)
    refused(data, GetBlocks)


def test_a_longer_header_of_bytes_or_text_is_refused() -> None:
    good = encode(GetWeights(bytes(32)))
    assert good[:3] == b"\x91\xc4\x20"
    refused(b"\x91\xc5\x00\x20" + bytes(32), GetWeights)
    refused(b"\x91\xa0" + bytes(32), GetWeights)
    assert encode(SitOut(1, "x")) == b"\x92\x01\xa1x"
    refused(b"\x92\x01\xd9\x01x", SitOut)
    refused(b"\x92\x01\xc4\x01x", SitOut)


def test_text_that_is_no_unicode_is_refused() -> None:
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80"):
        refused(b"\x92\x01" + bytes([0xA0 + len(bad)]) + bad, SitOut)


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1x", b"\xdd\x00\x00\x00\x01", b"\x92\xc0"])
def test_a_nested_bomb_is_refused(opening: bytes, depth: int) -> None:
    for kind in STRUCTURES:
        refused(opening * depth + b"\xc0", kind, 10**7)


@pytest.mark.parametrize("header", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"])
def test_a_length_that_is_a_lie_is_refused_and_takes_no_memory(header: bytes) -> None:
    for kind in STRUCTURES:
        refused(header + bytes(20), kind)
        refused(b"\x95\x00" + header + bytes(20), kind)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_the_one_error(data: bytes) -> None:
    for kind in STRUCTURES:
        with suppress(DecodeError):
            assert encode(decode(data, kind, 10**6)) == data


def test_a_vote_for_nothing_and_a_vote_for_a_block_differ() -> None:
    assert decode(encode(Precommit(None)), Precommit, 64).block_hash is None
    assert decode(encode(Prevote(bytes(32), (0, 2**64 - 1))), Prevote, 128).z == (0, 2**64 - 1)
    refused(encode([b""]), Precommit)
    refused(encode([bytes(31)]), Precommit)
    refused(encode([bytes(32), [1]]), Prevote)
    refused(encode([bytes(32), [1, 2, 3]]), Prevote)
    refused(encode([bytes(32), [-1, 2]]), Prevote)


def test_every_message_has_a_kind_of_its_own() -> None:
    part_of_another = {CertifiedBlock}
    assert {kind for kind, _, _ in KINDS} == set(KIND_OF) == set(Message.__subclasses__()) - part_of_another
    assert sorted(KIND_OF.values()) == list(range(len(KINDS)))


@given(st.integers(-(2**159), 2**159 - 1))
def test_an_exact_sum_survives_the_ledger(value: int) -> None:
    assert wide_value(wide_bytes(value)) == value

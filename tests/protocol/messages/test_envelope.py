"""Signed envelopes: whatever arrives, verify answers, and lets through only what its sender signed for here."""

import copy
import hashlib
import random
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import msgspec
import pytest
from chains import digest
from hypothesis import given
from hypothesis import strategies as st
from members import identity
from signing import FEDERATION, dealing, signed
from strategies import messages

from coterie.protocol.limits import MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES
from coterie.protocol.messages import envelope
from coterie.protocol.messages.encoding import encode
from coterie.protocol.messages.envelope import Rejected, Verified, blob_digest, seal, verify, verify_all
from coterie.protocol.messages.kinds import (
    KIND_OF,
    KINDS,
    Ack,
    Complaint,
    Deal,
    GetBlocks,
    HandBox,
    Message,
    Precommit,
    Prevote,
    Proposal,
    SumShare,
    Weights,
)

ME = identity(0)
DOMAIN = b"coterie/envelope/2\x00"


def signed_by_hand(
    payload: bytes,
    kind: int,
    federation: bytes = FEDERATION,
    height: object = 1,
    view: object = 0,
    sender: bytes = ME.public,
    domain: bytes = DOMAIN,
) -> bytes:
    """An envelope with any contents and a good signature of peer 0 over them."""
    body = encode([federation, kind, height, view, sender, payload])
    return encode([body, ME.sign(domain + body)])


def reason(data: bytes, federation: bytes = FEDERATION) -> str:
    answer = verify(data, federation)
    assert isinstance(answer, Rejected)
    return answer.reason


GOOD = GetBlocks(7)
GOOD_KIND = KIND_OF[GetBlocks]


@given(messages(), st.integers(0, 2**53), st.integers(0, 2**31))
def test_what_is_sealed_is_verified_with_its_sender_height_and_view(message: Message, height: int, view: int) -> None:
    data = seal(ME, FEDERATION, height, view, message)
    answer = verify(data, FEDERATION)
    assert isinstance(answer, Verified)
    assert (answer.message, answer.sender, answer.height, answer.view) == (message, ME.public, height, view)
    assert answer.raw == data


def test_an_envelope_made_by_hand_is_the_same_bytes() -> None:
    assert signed_by_hand(encode(GOOD), GOOD_KIND) == seal(ME, FEDERATION, 1, 0, GOOD)


# Refused by name.


def test_another_federation_is_refused() -> None:
    assert reason(seal(ME, digest("another"), 1, 0, GOOD)) == "another federation"
    assert reason(seal(ME, FEDERATION, 1, 0, GOOD), digest("another")) == "another federation"


@pytest.mark.parametrize("domain", [b"coterie/envelope/1\x00", b"coterie/envelope/2", b"", b"coterie/ticket/2\x00"])
def test_a_signature_for_another_version_or_purpose_is_refused(domain: bytes) -> None:
    assert reason(signed_by_hand(encode(GOOD), GOOD_KIND, domain=domain)) == "bad signature"


@pytest.mark.parametrize("kind", [len(KINDS), 255])
def test_an_unknown_kind_is_refused(kind: int) -> None:
    assert reason(signed_by_hand(encode(GOOD), kind)) == f"unknown kind {kind}"


def test_a_signature_of_somebody_else_is_refused() -> None:
    assert reason(signed_by_hand(encode(GOOD), GOOD_KIND, sender=identity(1).public)) == "bad signature"


def test_a_wrong_signature_is_refused_and_the_claimed_sender_is_told() -> None:
    body, signature = msgspec.msgpack.decode(seal(ME, FEDERATION, 1, 0, GOOD))
    for place in range(64):
        wrong = bytearray(signature)
        wrong[place] ^= 1
        assert verify(encode([body, bytes(wrong)]), FEDERATION) == Rejected("bad signature", ME.public)


@pytest.mark.parametrize("sender", [bytes(32), b"\xff" * 32, (1).to_bytes(32, "little")])
def test_a_key_that_is_none_is_refused(sender: bytes) -> None:
    assert reason(signed_by_hand(encode(GOOD), GOOD_KIND, sender=sender)) == "bad signature"


@pytest.mark.parametrize(("height", "view"), [(-1, 0), (2**53 + 1, 0), (0, -1), (0, 2**31 + 1), (None, 0), (0, "x")])
def test_a_height_or_view_out_of_bounds_is_refused(height: object, view: object) -> None:
    assert "_Body" in reason(signed_by_hand(encode(GOOD), GOOD_KIND, height=height, view=view))


@given(messages(), st.integers(0, len(KINDS) - 1))
def test_a_payload_of_another_kind_is_refused_unless_it_is_one_of_that_kind_too(message: Message, kind: int) -> None:
    answer = verify(signed_by_hand(encode(message), kind), FEDERATION)
    if isinstance(answer, Verified):
        assert type(answer.message) is KINDS[kind][0]
        assert encode(answer.message) == encode(message)
    else:
        assert answer.reason.startswith(f"{KINDS[kind][0].__name__}: ")


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[kind.__name__ for kind, _, _ in KINDS])
def test_a_payload_above_the_limit_of_its_kind_is_refused(kind: int) -> None:
    message, limit, _ = KINDS[kind]
    size = min(limit + 1, MAX_PAYLOAD_BYTES)
    expected = f"{message.__name__}: " + (f"{size} bytes exceed the limit" if size > limit else "")
    assert reason(signed_by_hand(bytes(size), kind)).startswith(expected)


def test_no_limit_of_a_kind_is_above_what_an_envelope_holds() -> None:
    assert all(limit <= MAX_PAYLOAD_BYTES for _, limit, _ in KINDS)
    data = signed_by_hand(bytes(MAX_PAYLOAD_BYTES), KIND_OF[Proposal], height=2**53, view=2**31)
    assert len(data) <= MAX_ENVELOPE_BYTES
    assert "Proposal" in reason(data)


def test_an_envelope_above_the_limit_is_refused_before_anything_is_read() -> None:
    assert "exceed the limit" in reason(bytes(MAX_ENVELOPE_BYTES + 1))


def test_one_bad_envelope_spoils_a_sequence() -> None:
    good, bad = signed(ME, GOOD).raw, signed(ME, GOOD).raw[:-1]
    assert verify_all((), FEDERATION) == ()
    assert verify_all((good, good), FEDERATION) == (verify(good, FEDERATION),) * 2
    assert isinstance(verify_all((good, bad, good), FEDERATION), Rejected)


# Verified is a type of its own.


def test_only_verify_makes_a_verified_message() -> None:
    for witness in ({}, {"witness": None}, {"witness": object()}, {"witness": True}):
        with pytest.raises(TypeError):
            Verified(GOOD, ME.public, 1, 0, b"", **witness)  # type: ignore[arg-type]


def test_a_verified_message_is_not_made_into_another_one() -> None:
    one = signed(ME, GOOD)
    with pytest.raises((TypeError, ValueError)):
        replace(one, sender=identity(1).public)
    with pytest.raises(FrozenInstanceError):
        one.sender = identity(1).public  # type: ignore[misc]
    assert copy.copy(one) == one


def test_nothing_of_a_verified_message_leads_to_what_proves_it() -> None:
    one = signed(ME, GOOD)
    witness = envelope._WITNESS
    names = set(dir(one)) - {"__weakref__"}  # which Python 3.11.2 lists and cannot read
    assert not any(getattr(one, name, None) is witness for name in names)


# Blobs.


def test_the_blob_of_a_message_is_the_one_it_names() -> None:
    boxes = tuple(digest(f"{holder}") for holder in range(3))
    deal = signed(ME, dealing(1, boxes=boxes))
    assert [blob_digest(deal, holder) for holder in (0, 2, 3, None)] == [boxes[0], boxes[2], None, None]
    named = digest("blob")
    for message in (
        SumShare(1, digest("U"), named),
        Complaint(1, 0, b"", named, digest("secret"), bytes(64)),
        HandBox(1, 0, digest("id"), 1, named),
        Weights(named),
        Proposal(b"", -1, (), (), named),
    ):
        assert blob_digest(signed(ME, message), None) == named
    for message in (Proposal(b"", -1, (), (), None), Precommit(named), Ack(1, ())):
        assert blob_digest(signed(ME, message), 0) is None


# Whatever arrives.


def mutations(rnd: random.Random, data: bytes) -> bytes:
    """The bytes with a few random changes."""
    changed = bytearray(data)
    for _ in range(rnd.randint(1, 4)):
        place = rnd.randrange(len(changed) + 1)
        match rnd.randrange(6):
            case 0 if place < len(changed):
                changed[place] ^= 1 << rnd.randrange(8)
            case 1:
                changed[place:place] = rnd.randbytes(rnd.choice((1, 2, 40)))
            case 2:
                del changed[place : place + rnd.choice((1, 2, 40))]
            case 3:
                changed[place:place] = changed[place : place + 30]
            case 4 if place < len(changed):
                changed[place] = rnd.choice((0x00, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xC4, 0xC6, 0xDC, 0xDD, 0xDF, 0xFF))
            case _:
                del changed[place:]
    return bytes(changed)


SAMPLES = [
    Deal(3, digest("base"), digest("root"), b"fingerprints", bytes(96), (1, 511), (digest("a"), digest("b"))),
    Ack(3, ((0, digest("a")), (511, digest("b"))), ((0, 7), (511, 3))),
    HandBox(3, 4, digest("id"), 511, digest("box")),
    Proposal(b"block", 3, (b"ack", b"ack"), (b"vote",), digest("W")),
    Prevote(digest("block"), (2**63, 1)),
    Precommit(None),
    GOOD,
]


def hostile_inputs(seed: int, count: int) -> Iterator[tuple[bytes, bool]]:
    """Bytes, and whether they are a sealed envelope as it was made.

    Random ones; sealed ones with changes; changed bodies and payloads with a good signature over them.
    """
    rnd = random.Random(seed)
    for _ in range(count):
        message = rnd.choice(SAMPLES)
        sealed = seal(ME, FEDERATION, rnd.randrange(2**20), rnd.randrange(9), message)
        match rnd.randrange(5):
            case 0:
                yield rnd.randbytes(rnd.randrange(300)), False
            case 1:
                yield sealed, True
            case 2:
                changed = mutations(rnd, sealed)
                yield changed, changed == sealed
            case 3:
                body = mutations(rnd, msgspec.msgpack.decode(sealed)[0])
                yield encode([body, ME.sign(DOMAIN + body)]), False
            case _:
                yield signed_by_hand(mutations(rnd, encode(message)), KIND_OF[type(message)]), False


def survive(seed: int, count: int) -> None:
    verified = 0
    for number, (data, is_whole) in enumerate(hostile_inputs(seed, count)):
        where = f"seed {seed}, input {number}: {data.hex()}"
        try:
            answer = verify(data, FEDERATION)
        except Exception as error:
            raise AssertionError(where) from error
        if is_whole:
            assert isinstance(answer, Verified), where
        elif isinstance(answer, Verified):
            # What was changed was signed again: then it is a message in its only form.
            body, signature = msgspec.msgpack.decode(data)
            _, kind, height, view, sender, payload = msgspec.msgpack.decode(body)
            assert (answer.sender, answer.height, answer.view) == (sender, height, view) == (ME.public, height, view)
            assert (type(answer.message), encode(answer.message)) == (KINDS[kind][0], payload), where
            assert signature == ME.sign(DOMAIN + body), where
            verified += 1
    assert verified > 0, "or the changes never reach the messages"


def test_no_input_crashes_verify_or_is_let_through_without_a_signature() -> None:
    survive(seed=0, count=4_000)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 11))
def test_no_input_crashes_verify_or_is_let_through_without_a_signature_soak(seed: int) -> None:
    survive(seed, count=20_000)


@given(st.binary(max_size=400), st.binary(min_size=32, max_size=32))
def test_random_bytes_are_rejected(data: bytes, federation: bytes) -> None:
    assert isinstance(verify(data, federation), Rejected)


def test_signatures_are_deterministic_so_that_a_resent_message_is_the_same_message() -> None:
    first, second = (seal(ME, FEDERATION, 4, 2, SAMPLES[0]) for _ in range(2))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()

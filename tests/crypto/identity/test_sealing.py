"""Boxes that can be judged: what opens, what a complaint proves, and what nobody can fake or learn."""

import copy
import hashlib
import json
import pickle  # noqa: TID251 - to show that it does not work
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from nacl.exceptions import CryptoError

from coterie.crypto.identity import identity as identities
from coterie.crypto.identity import sealing
from coterie.crypto.identity.identity import GROUP_ORDER, BoxError, Identity, is_usable
from coterie.crypto.identity.sealing import (
    BOX_OVERHEAD_BYTES,
    KEY_BYTES,
    PROOF_BYTES,
    DealingKey,
    Ephemeral,
    Opening,
    check_ephemeral,
    dealing_key,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "sealing"
SEED = b"thirty-two secret random bytes.."
CONTEXT = b"federation, round, dealer, model"
OTHER_CONTEXT = b"federation, round, DEALER, model"
ROOT = hashlib.sha256(b"the shares").digest()
ALICE, BOB, EVE = (Identity.from_seed(letter * 32) for letter in (b"a", b"b", b"e"))
SHARE = b"a share of twenty..."
DEALER = Ephemeral(SEED, CONTEXT, ROOT)
POINT, PROOF = DEALER.key[:32], DEALER.key[32:]
BOX = DEALER.seal(BOB.public, SHARE)

P25519 = 2**255 - 19
D = -121665 * pow(121666, -1, P25519) % P25519
BASE = bytes([0x58]) + bytes([0x66]) * 31
ORDER_TWO = (P25519 - 1).to_bytes(32, "little")  # (0, -1)
# The canonical encodings of the eight points of small order.
SMALL_ORDER = [
    bytes.fromhex(text)
    for text in (
        "01" + "00" * 31,
        "00" * 32,
        "00" * 31 + "80",
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
MIXED_ORDER = [bindings.crypto_core_ed25519_add(ALICE.public, point) for point in SMALL_ORDER[1:]]
NON_CANONICAL = [
    ((y + P25519) | sign << 255).to_bytes(32, "little") for y in range(19) for sign in (0, 1)
]  # y >= p: every such encoding that there is
BAD_POINTS = [*SMALL_ORDER, *MIXED_ORDER, *NON_CANONICAL, b"", bytes(31), ALICE.public + b"\0", b"\xff" * 32]


def checked() -> DealingKey:
    """The honest dealer's key, as each member has it."""
    key = dealing_key(DEALER.key, CONTEXT)
    assert key is not None
    return key


KEY = checked()
OPENING = KEY.reveal(BOB)


def scalar(number: int) -> bytes:
    return number.to_bytes(32, "little")


def flipped(data: bytes, place: int, by: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ by]) + data[place + 1 :]


# Plain arithmetic on the curve, written from RFC 8032 section 5.1.4, without any check


def decode(encoded: bytes) -> tuple[int, int]:
    number = int.from_bytes(encoded, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P25519) % P25519
    x = pow(x2, (P25519 + 3) // 8, P25519)
    if (x * x - x2) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    assert (x * x - x2) % P25519 == 0, "not on the curve"
    return (P25519 - x if x & 1 != sign else x), y


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P25519)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P25519)
    return x % P25519, y % P25519


def plain_multiply(factor: bytes, encoded: bytes) -> bytes:
    """factor·point for any point on the curve: a library without a test for the subgroup."""
    total, double, rest = (0, 1), decode(encoded), int.from_bytes(factor, "little")
    while rest:
        if rest & 1:
            total = add(total, double)
        double, rest = add(double, double), rest >> 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


# What is sealed opens, for its holder and with its opening for everybody


@settings(max_examples=30)
@given(seed=st.binary(min_size=32, max_size=32), holder=st.binary(min_size=32, max_size=32), share=st.binary())
def test_a_box_opens_for_its_holder_and_by_its_opening(seed: bytes, holder: bytes, share: bytes) -> None:
    dealer, identity = Ephemeral(seed, CONTEXT, ROOT), Identity.from_seed(holder)
    sealed = dealer.seal(identity.public, share)
    key = dealing_key(dealer.key, CONTEXT)
    assert key is not None
    assert key.open(identity, sealed) == share
    opening = key.reveal(identity)
    assert key.judge(identity.public, opening)
    assert key.open_with(identity.public, opening, sealed) == share
    assert len(sealed) == len(share) + BOX_OVERHEAD_BYTES
    assert (len(dealer.key), len(opening.proof)) == (KEY_BYTES, PROOF_BYTES)


def test_the_box_is_a_secretbox_under_the_key_that_the_documentation_says() -> None:
    a = bytearray(hashlib.sha512(b"b" * 32).digest()[:32])
    a[0], a[31] = a[0] & 248, a[31] & 127 | 64  # RFC 8032, section 5.1.5
    shared = plain_multiply(bytes(a), POINT)
    y = decode(shared)[1]
    u = (1 + y) * pow(1 - y, -1, P25519) % P25519  # RFC 7748, section 4.1
    box_key = hashlib.sha256(b"coterie/box/3\0" + CONTEXT + POINT + BOB.public + scalar(u)).digest()
    assert bindings.crypto_secretbox_easy(SHARE, bytes(24), box_key) == BOX
    assert OPENING.shared == shared


def hashed(*parts: bytes) -> bytes:
    return scalar(int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % GROUP_ORDER)


def commitment(proof: bytes, challenge: bytes, base: bytes, public: bytes) -> bytes:
    """response·base - challenge·public, in plain integers."""
    minus = scalar(GROUP_ORDER - int.from_bytes(challenge, "little"))
    x, y = add(decode(plain_multiply(proof[32:], base)), decode(plain_multiply(minus, public)))
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_proofs_satisfy_their_equations_in_plain_integers() -> None:
    challenge = hashed(PROOF[:32], POINT, b"coterie/box/3 knowledge\0" + CONTEXT)  # RFC 8032, section 5.1.7
    assert PROOF[:32] == commitment(PROOF, challenge, BASE, POINT)
    challenge = OPENING.proof[:32]
    pairs = [(BASE, BOB.public), (POINT, OPENING.shared)]
    commitments = b"".join(commitment(OPENING.proof, challenge, *pair) for pair in pairs)
    statement = BASE + POINT + BOB.public + OPENING.shared
    assert challenge == hashed(b"coterie/box/3 equality\0", statement, commitments, CONTEXT)


def test_a_restarted_dealer_and_a_restarted_holder_make_the_same_bytes() -> None:
    again = Ephemeral(SEED, CONTEXT, ROOT)
    assert (again.key, again.seal(BOB.public, SHARE)) == (DEALER.key, BOX)
    assert KEY.reveal(Identity.from_seed(b"b" * 32)) == OPENING


def test_a_seed_used_twice_never_gives_the_same_key_for_two_messages() -> None:
    others = [
        Ephemeral(SEED, CONTEXT, hashlib.sha256(b"other shares").digest()),
        Ephemeral(SEED, OTHER_CONTEXT, ROOT),
        Ephemeral(SEED[::-1], CONTEXT, ROOT),
    ]
    assert len({other.key[:32] for other in [DEALER, *others]}) == 4


def test_two_messages_under_one_key_would_show_their_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dealer with an old copy of its state deals other shares with the same seed in the same context."""

    def difference() -> bytes:
        first, second = Ephemeral(SEED, CONTEXT, ROOT), Ephemeral(SEED, CONTEXT, ROOT[::-1])
        boxes = first.seal(BOB.public, SHARE), second.seal(BOB.public, SHARE[::-1])
        return bytes(a ^ b for a, b in zip(*(box[BOX_OVERHEAD_BYTES:] for box in boxes), strict=True))

    shown = bytes(a ^ b for a, b in zip(SHARE, SHARE[::-1], strict=True))
    assert difference() != shown
    derive = sealing._own_seed
    weakened = lambda seed, context, _: derive(seed, context, b"")  # noqa: E731 - r does not follow from the commitment
    monkeypatch.setattr(sealing, "_own_seed", weakened)
    assert difference() == shown


# What is altered or meant for another is refused


@pytest.mark.parametrize("place", range(len(BOX)))
def test_a_box_with_any_byte_changed_does_not_open(place: int) -> None:
    for by in (1, 0x80, 0xFF):
        with pytest.raises(BoxError, match="altered"):
            KEY.open(BOB, flipped(BOX, place, by))
        with pytest.raises(BoxError, match="altered"):
            KEY.open_with(BOB.public, OPENING, flipped(BOX, place, by))


@pytest.mark.parametrize("place", range(KEY_BYTES))
def test_a_dealers_key_with_any_byte_changed_is_refused(place: int) -> None:
    for by in (1, 0x80, 0xFF):
        assert dealing_key(flipped(DEALER.key, place, by), CONTEXT) is None


@pytest.mark.parametrize("place", range(32 + PROOF_BYTES))
def test_an_opening_with_any_byte_changed_is_refused(place: int) -> None:
    for by in (1, 0x80, 0xFF):
        changed = flipped(OPENING.shared + OPENING.proof, place, by)
        assert not KEY.judge(BOB.public, Opening(changed[:32], changed[32:]))


@pytest.mark.parametrize("place", range(32))
def test_an_opening_for_a_changed_point_holder_or_context_is_refused(place: int) -> None:
    assert not KEY.judge(flipped(BOB.public, place), OPENING)
    assert not DealingKey(POINT, flipped(CONTEXT, place)).judge(BOB.public, OPENING)
    other = Ephemeral(SEED, CONTEXT, flipped(ROOT, place))
    assert not DealingKey(other.key[:32], CONTEXT).judge(BOB.public, OPENING)


def test_a_box_opens_for_no_other_holder_context_or_dealing() -> None:
    other = dealing_key(Ephemeral(SEED, OTHER_CONTEXT, ROOT).key, OTHER_CONTEXT)
    assert other is not None
    for key, holder in ((KEY, EVE), (other, BOB), (DealingKey(POINT, OTHER_CONTEXT), BOB)):
        with pytest.raises(BoxError, match="another key"):
            key.open(holder, BOX)
        with pytest.raises(BoxError, match="another key"):
            key.open_with(holder.public, key.reveal(holder), BOX)


def test_what_is_too_short_or_has_trailing_bytes_is_no_box() -> None:
    for sealed in (b"", BOX[:15], BOX[:16], BOX[:-1], BOX + b"\0"):
        with pytest.raises(BoxError, match="does not open"):
            KEY.open(BOB, sealed)


def test_a_holder_cannot_open_a_good_box_falsely() -> None:
    """Whatever S a holder shows, with whatever proof it can make: the honest algorithm on a false S, proofs for
    another holder, another dealing, and proofs of which one equation holds.
    """
    eve = KEY.reveal(EVE)
    other_key = dealing_key(Ephemeral(SEED, CONTEXT, ROOT[::-1]).key, CONTEXT)
    assert other_key is not None
    other = other_key.reveal(BOB)
    for shared in (eve.shared, other.shared, POINT, BOB.public, BASE):
        for proof in (OPENING.proof, eve.proof, other.proof):
            assert not KEY.judge(BOB.public, Opening(shared, proof))
        # Chaum and Pedersen's prover, run on the false statement.
        k = scalar(7)
        first, second = plain_multiply(k, BASE), plain_multiply(k, POINT)
        challenge = KEY._equality_challenge(BOB.public, shared, first, second)
        forged = Opening(shared, challenge + sealing._response(k, challenge, BOB._scalar))
        assert not KEY.judge(BOB.public, forged)


@given(st.binary(max_size=40), st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=100))
def test_no_bytes_make_a_judge_raise(point: bytes, proof: bytes, holder: bytes, key: bytes) -> None:
    assert not KEY.judge(holder, OPENING)
    assert not KEY.judge(BOB.public, Opening(point, OPENING.proof))
    assert not KEY.judge(BOB.public, Opening(OPENING.shared, proof))
    assert not check_ephemeral(point, PROOF, CONTEXT)
    assert not check_ephemeral(POINT, proof, CONTEXT)
    assert not check_ephemeral(POINT, PROOF, holder)
    assert dealing_key(key, CONTEXT) is None
    with pytest.raises(BoxError):
        KEY.open(BOB, proof)


# Points and scalars at the edges


@pytest.mark.parametrize("point", BAD_POINTS, ids=lambda point: point.hex()[:8] + ".." + point.hex()[-2:])
def test_a_point_that_is_not_of_prime_order_in_its_one_encoding_is_refused(point: bytes) -> None:
    assert not is_usable(point)
    assert dealing_key(point + PROOF, CONTEXT) is None
    assert not KEY.judge(point, OPENING)
    assert not KEY.judge(BOB.public, Opening(point, OPENING.proof))
    with pytest.raises(BoxError, match="prime order"):
        DEALER.seal(point, SHARE)


def test_the_bad_points_are_what_they_are_called() -> None:
    for point in SMALL_ORDER[1:]:
        assert plain_multiply(scalar(8), point) == SMALL_ORDER[0]
    for point in MIXED_ORDER:
        assert plain_multiply(scalar(GROUP_ORDER), point) in SMALL_ORDER[1:]


@pytest.mark.parametrize("half", [0, 32], ids=["challenge", "response"])
@pytest.mark.parametrize("number", [0, GROUP_ORDER, GROUP_ORDER + 1, 2**255 - 1, 2**256 - 1])
def test_a_scalar_that_is_zero_or_not_below_the_order_is_refused(half: int, number: int) -> None:
    for proof, judged in (
        (PROOF, lambda proof: check_ephemeral(POINT, proof, CONTEXT)),
        (OPENING.proof, lambda proof: KEY.judge(BOB.public, Opening(OPENING.shared, proof))),
    ):
        assert judged(proof)
        assert not judged(proof[:half] + scalar(number) + proof[half + 32 :])


@pytest.mark.parametrize("half", [0, 32], ids=["challenge", "response"])
def test_a_proof_has_one_encoding_only(half: int) -> None:
    same = int.from_bytes(OPENING.proof[half : half + 32], "little") + GROUP_ORDER
    again = OPENING.proof[:half] + scalar(same) + OPENING.proof[half + 32 :]
    assert not KEY.judge(BOB.public, Opening(OPENING.shared, again))


def test_a_proof_of_knowledge_has_one_encoding_only() -> None:
    same = scalar(int.from_bytes(PROOF[32:], "little") + GROUP_ORDER)
    assert not check_ephemeral(POINT, PROOF[:32] + same, CONTEXT)


@pytest.mark.parametrize("small", SMALL_ORDER[1:], ids=lambda point: point.hex()[:4])
def test_a_proof_whose_commitment_has_a_part_of_small_order_is_refused(small: bytes) -> None:
    """A dealer that knows r can make one, and libraries that multiply the equation by eight take it: members that
    have different ones would not agree on a dealing. This tells that ours has changed its mind.
    """
    r = bindings.crypto_core_ed25519_scalar_reduce(DEALER._exchange + bytes(32))
    k = scalar(12345)
    plain = bindings.crypto_scalarmult_ed25519_base_noclamp(k)
    for first, accepted in ((plain, True), (bindings.crypto_core_ed25519_add(plain, small), False)):
        challenge = hashed(first, POINT, sealing._KNOWLEDGE + CONTEXT)
        assert check_ephemeral(POINT, first + sealing._response(k, challenge, r), CONTEXT) == accepted


def test_a_proof_without_a_nonce_is_refused() -> None:
    """k = 0: the response gives r away, and libraries differ."""
    r = bindings.crypto_core_ed25519_scalar_reduce(DEALER._exchange + bytes(32))
    challenge = hashed(SMALL_ORDER[0], POINT, sealing._KNOWLEDGE + CONTEXT)
    response = bindings.crypto_core_ed25519_scalar_mul(challenge, r)
    assert not check_ephemeral(POINT, SMALL_ORDER[0] + response, CONTEXT)


def permissive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A libsodium that does not test for the subgroup (before December 2025 it let P + (0, -1) pass)."""

    def multiply(factor: bytes, point: bytes) -> bytes:
        if len(point) != 32:
            raise CryptoError
        return plain_multiply(factor, point)

    monkeypatch.setattr(bindings, "crypto_scalarmult_ed25519_noclamp", multiply)
    identities._is_of_prime_order.cache_clear()  # what the library at hand said of these points


def second_opening(holder: Identity, key: DealingKey) -> Opening | None:
    """A false S = a·R + (0, -1) with the proof that a cheating holder finds in a few tries: the challenge has to
    be even, then the part of small order vanishes.
    """
    shared = bindings.crypto_core_ed25519_add(key.reveal(holder).shared, ORDER_TWO)
    for number in range(1, 20):
        k = scalar(number)
        first, second = plain_multiply(k, BASE), plain_multiply(k, key.point)
        challenge = key._equality_challenge(holder.public, shared, first, second)
        if challenge[0] % 2 == 0:
            return Opening(shared, challenge + sealing._response(k, challenge, holder._scalar))
    return None


def test_without_the_test_for_the_subgroup_a_holder_could_frame_a_dealer(monkeypatch: pytest.MonkeyPatch) -> None:
    false = second_opening(BOB, KEY)
    assert false is not None
    assert not KEY.judge(BOB.public, false)
    permissive(monkeypatch)
    assert not KEY.judge(BOB.public, false)  # ours does not rest on the library's test
    monkeypatch.setattr(sealing, "is_usable", lambda _: True)
    assert KEY.judge(BOB.public, false)  # the good box of an honest dealer now "does not open"
    with pytest.raises(BoxError):
        KEY.open_with(BOB.public, false, BOX)


def test_a_key_of_mixed_order_is_refused_also_with_an_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    permissive(monkeypatch)
    assert identities.is_usable(ALICE.public)
    assert not any(identities.is_usable(point) for point in MIXED_ORDER)


# A dealer knows its scalar: otherwise a holder that complains would open the boxes of others


def test_a_point_copied_from_another_dealer_opens_that_dealers_box_without_the_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eve deals under the R of the honest dealer. Her box does not open, so Bob complains, and everybody reads
    what the honest dealer sealed for Bob.
    """
    eves = POINT + PROOF
    garbage = bytes(60)
    assert dealing_key(eves, OTHER_CONTEXT) is None  # refused by all, and so nobody's complaint
    monkeypatch.setattr(sealing, "check_ephemeral", lambda *_: True)  # the weakened build
    key = dealing_key(eves, OTHER_CONTEXT)
    assert key is not None
    with pytest.raises(BoxError):
        key.open(BOB, garbage)
    complaint = key.reveal(BOB)
    assert key.judge(BOB.public, complaint)
    assert KEY.open_with(BOB.public, complaint, BOX) == SHARE


def test_a_members_key_as_point_would_open_that_members_static_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With A_i for R the complaint of j is the Diffie-Hellman value of the two members' long-term keys."""
    eves = ALICE.public + PROOF
    assert dealing_key(eves, CONTEXT) is None
    monkeypatch.setattr(sealing, "check_ephemeral", lambda *_: True)
    key = dealing_key(eves, CONTEXT)
    assert key is not None
    between = plain_multiply(ALICE._scalar, BOB.public)
    assert key.reveal(BOB).shared == between


def test_a_proof_of_knowledge_serves_no_other_context_or_point() -> None:
    assert check_ephemeral(POINT, PROOF, CONTEXT)
    assert not check_ephemeral(POINT, PROOF, OTHER_CONTEXT)
    other = Ephemeral(SEED, CONTEXT, ROOT[::-1]).key
    assert not check_ephemeral(POINT, other[32:], CONTEXT)
    assert not check_ephemeral(other[:32], PROOF, CONTEXT)
    # The sum of an honest point and one's own, for which a proof by parts would have to exist.
    both = bindings.crypto_core_ed25519_add(POINT, other[:32])
    assert not check_ephemeral(both, PROOF, CONTEXT)


def test_a_dealer_could_have_made_the_revealed_value_itself() -> None:
    """S = r·A: the dealer learns nothing from a complaint."""
    assert plain_multiply(DEALER._exchange, BOB.public) == OPENING.shared


def test_nonces_differ_for_any_two_statements() -> None:
    """A nonce that serves two challenges gives the secret away: k = z - e·a."""

    def nonce(key: DealingKey, holder: Identity) -> int:
        proof = key.reveal(holder).proof
        e, z = int.from_bytes(proof[:32], "little"), int.from_bytes(proof[32:], "little")
        return (z - e * int.from_bytes(holder._scalar, "little")) % GROUP_ORDER

    other = Ephemeral(SEED, CONTEXT, ROOT[::-1]).key[:32]
    keys = [KEY, DealingKey(POINT, OTHER_CONTEXT), DealingKey(other, CONTEXT)]
    assert len({nonce(key, holder) for key in keys for holder in (BOB, EVE)}) == 6


# What the caller must not do, and what must not show


@pytest.mark.parametrize("sizes", [(31, 32, 32), (32, 31, 32), (32, 32, 0), (33, 32, 32)])
def test_arguments_of_another_length_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="32 bytes each"):
        Ephemeral(*(b"s" * size for size in sizes))


def test_an_ephemeral_and_an_opening_show_no_secret_and_are_not_pickled_or_copied() -> None:
    shown = f"{DEALER!r} {DEALER} {OPENING!r} {OPENING}"
    for secret in (DEALER._exchange, OPENING.shared, OPENING.proof):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds a secret"):
            attempt(DEALER)


def test_a_traceback_with_all_local_variables_shows_no_key() -> None:
    secrets = [
        BOB._scalar,
        DEALER._exchange,
        OPENING.shared,
        sealing._u_coordinate(OPENING.shared),
        sealing._box_key(CONTEXT, POINT, BOB.public, sealing._u_coordinate(OPENING.shared)),
        b"PLAINTEXT",
    ]
    failures: list[Any] = [
        lambda: KEY.open(BOB, BOX[:-1]),
        lambda: DEALER.seal(SMALL_ORDER[1], b"PLAINTEXT"),
        lambda: Ephemeral(b"PLAINTEXT", CONTEXT, ROOT),
    ]
    for failure in failures:
        with pytest.raises(ValueError, match="box|bytes") as caught:
            failure()
        assert caught.value.__context__ is None
        frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if "test_" not in frame.f_code.co_filename]
        assert {Path(frame.f_code.co_filename).name for frame in frames} == {"sealing.py"}  # none of PyNaCl's
        held = [value for frame in frames for value in frame.f_locals.values()]
        assert not [value for value in held if isinstance(value, bytes) and value in secrets]
        assert not [secret for secret in secrets if repr(secret)[2:-1] in repr(held)]


# Known answers


@pytest.mark.parametrize("path", sorted(VECTORS.glob("answer-*.json")), ids=lambda path: path.stem)
def test_known_boxes_and_proofs_are_made_again(path: Path) -> None:
    case = {name: bytes.fromhex(value) for name, value in json.loads(path.read_text()).items()}
    dealer = Ephemeral(case["seed"], case["context"], case["commitment"])
    holder = Identity.from_seed(case["holder_seed"])
    assert dealer.key == case["key"]
    assert dealer.seal(holder.public, case["plaintext"]) == case["box"]
    key = dealing_key(case["key"], case["context"])
    assert key is not None
    assert key.open(holder, case["box"]) == case["plaintext"]
    opening = key.reveal(holder)
    assert (opening.shared, opening.proof) == (case["shared"], case["proof"])
    assert key.judge(holder.public, opening)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("fault-*.json")), ids=lambda path: path.stem)
def test_a_file_with_one_fault_is_refused_where_it_says(path: Path) -> None:
    case = json.loads(path.read_text())
    key = dealing_key(bytes.fromhex(case["key"]), bytes.fromhex(case["context"]))
    if case["refused_by"] == "dealing_key":
        assert key is None
        return
    assert key is not None
    opening = Opening(bytes.fromhex(case["shared"]), bytes.fromhex(case["proof"]))
    holder = bytes.fromhex(case["holder"])
    assert key.judge(holder, opening) == (case["refused_by"] != "judge")
    if case["refused_by"] == "open_with":
        with pytest.raises(BoxError):
            key.open_with(holder, opening, bytes.fromhex(case["box"]))


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(list(VECTORS.glob("answer-*.json"))) >= 3
    assert len(list(VECTORS.glob("fault-*.json"))) >= 10

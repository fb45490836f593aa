"""A peer's identity: one 32-byte seed gives its Ed25519 key, its libp2p PeerId and its X25519 key for boxes.

PyNaCl (libsodium) is the only implementation of Ed25519 used for anything that members agree on. Libraries differ in
the malformed signatures that they accept, and a signature that only some members accept would split the federation.

Assumptions: signatures are unforgeable if discrete logarithms in Ed25519's group are hard and SHA-512 is a random
oracle. Boxes are secret and authentic if gap Diffie-Hellman on Curve25519 is hard, HSalsa20 is a random oracle, and
XSalsa20-Poly1305 is secure. Both are at about 128 bits.

Sources: Ed25519, RFC 8032; X25519, RFC 7748; boxes, D. J. Bernstein, "Cryptography in NaCl" (X25519,
HSalsa20, XSalsa20-Poly1305); the birational map from Ed25519 to X25519 keys, RFC 7748, section 4.1, as
libsodium implements it; one key for signatures and key agreement, E. Thormarker, "On using the same key pair for
Ed25519 and an X25519 based KEM" (2021); PeerIds, the libp2p specification "Peer IDs and Keys" (identity multihash of
the protobuf-encoded public key).
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from hashlib import sha512
from typing import Final, NoReturn

from nacl import bindings
from nacl.exceptions import CryptoError

__all__ = [
    "GROUP_ORDER",
    "MAX_CACHED_BOXES",
    "MAX_CACHED_POINTS",
    "NONCE_BYTES",
    "PUBLIC_BYTES",
    "SEALED_OVERHEAD_BYTES",
    "SEED_BYTES",
    "SIGNATURE_BYTES",
    "BadPeerId",
    "Box",
    "BoxError",
    "Identity",
    "is_usable",
    "peer_id",
    "public_of",
    "verify",
]

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 24
SEALED_OVERHEAD_BYTES: Final = NONCE_BYTES + 16
"""A sealed message is this much longer than its plaintext: the nonce in front and the Poly1305 tag."""

GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The prime order of the subgroup that Ed25519 keys are in (RFC 8032, section 5.1)."""

MAX_CACHED_BOXES: Final = 1024
"""Number of precomputed boxes that one identity keeps: twice the members of the largest federation."""

MAX_CACHED_POINTS: Final = 2048
"""Number of points of which a process remembers whether they are usable.

Enough for the members of the largest federation and the keys of their dealings.
"""

_ORDER_PLUS_ONE: Final = (GROUP_ORDER + 1).to_bytes(32, "little")

# An identity multihash (0x00) of 36 bytes, the protobuf of the public key: field 1, the type (Ed25519 = 1); field 2,
# the 32 bytes of the key.
_PEER_ID_PREFIX: Final = bytes((0x00, 36, 0x08, 0x01, 0x12, 32))
_PEER_ID_LENGTH: Final = 52
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class BoxError(ValueError):
    """A box that cannot be made or does not open; the message names the reason and no secret."""


class BadPeerId(ValueError):
    """A text that is not the PeerId of an Ed25519 key in its one form."""


class _Secret:
    """Keeps what a subclass holds out of reprs, pickles and copies."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} (secret)>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and can be neither pickled nor copied")


class Box(_Secret):
    """The precomputed NaCl box of two keys.

    Both sides compute the same symmetric key, so no nonce may be used twice, whatever the direction. An opened message
    convinces each of the two that the other one sealed it, or itself; it proves nothing to a third party, because
    either of the two could have sealed it.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: bytes, public: bytes) -> None:
        """Agree on a key from an X25519 `secret` and an X25519 `public` (32 bytes each).

        Raises:
            BoxError: the public key is malformed, or of low order: everybody would then know the box's key.
        """
        self._key = b""
        with suppress(CryptoError, ValueError, TypeError):
            self._key = bindings.crypto_box_beforenm(public, secret)
        if not self._key:
            raise BoxError("no box with this key: it is malformed or of low order")

    def seal(self, plaintext: bytes, nonce: bytes) -> bytes:
        """Return the nonce followed by the ciphertext. The nonce, 24 bytes, must be new for these two keys.

        Raises:
            BoxError: the nonce has another length.
        """
        if len(nonce) != NONCE_BYTES:
            raise BoxError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        return nonce + bindings.crypto_box_easy_afternm(plaintext, nonce, self._key)

    def open(self, sealed: bytes) -> bytes:
        """Return the plaintext of a message that `seal` made.

        Raises:
            BoxError: the message is too short, altered, or of another box.
        """
        if len(sealed) < SEALED_OVERHEAD_BYTES:
            raise BoxError(f"a sealed message has at least {SEALED_OVERHEAD_BYTES} bytes, this one {len(sealed)}")
        try:
            return bindings.crypto_box_open_easy_afternm(sealed[NONCE_BYTES:], sealed[:NONCE_BYTES], self._key)
        except CryptoError:
            pass
        # Raised outside of the handler, so that the exception does not keep the library's frames, which hold the key.
        raise BoxError("the box does not open: it was altered, or belongs to another key")


class Identity(_Secret):
    """A peer's secret seed with all that follows from it.

    Compares in constant time, prints only its PeerId, and cannot be pickled or copied.
    """

    __slots__ = ("_box", "_exchange", "_nonce_secret", "_scalar", "_signing", "public")

    public: Final[bytes]
    """The Ed25519 public key, 32 bytes: the member's id."""

    def __init__(self, seed: bytes) -> None:
        length = len(seed)
        if length != SEED_BYTES:
            del seed
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {length}")
        self.public, self._signing = bindings.crypto_sign_seed_keypair(bytes(seed))
        self._exchange = bindings.crypto_sign_ed25519_sk_to_curve25519(self._signing)
        # RFC 8032, section 5.1.5: the scalar is the first half of SHA-512(seed), clamped, and so is the X25519 key.
        # Nonces are derived from the second half. `sealing` uses both.
        self._scalar = bindings.crypto_core_ed25519_scalar_reduce(self._exchange + bytes(32))
        self._nonce_secret = sha512(bytes(seed)).digest()[32:]
        self._box = lru_cache(maxsize=MAX_CACHED_BOXES)(self._make_box)

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """The identity of a 32-byte seed.

        Raises:
            ValueError: the seed has another length.
        """
        return cls(seed)

    @property
    def peer_id(self) -> str:
        """The libp2p PeerId in base58 ("12D3KooW…")."""
        return peer_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`, 64 bytes; deterministic."""
        return bindings.crypto_sign(message, self._signing)[:SIGNATURE_BYTES]

    def box_for(self, public: bytes) -> Box:
        """The box between this identity and the holder of the Ed25519 key `public`; computed once (0.1 ms) and kept.

        Raises:
            BoxError: `public` is no point of the prime-order subgroup; see `is_usable`.
        """
        return self._box(bytes(public))

    def seal(self, to: bytes, plaintext: bytes, nonce: bytes) -> bytes:
        """Seal `plaintext` for the holder of the Ed25519 key `to`: the nonce (24 bytes) followed by the ciphertext.

        The nonce must be new for this pair of identities in both directions: random, or derived from the sender too.

        Raises:
            BoxError: a bad key, or a nonce of another length.
        """
        return self.box_for(to).seal(plaintext, nonce)

    def open(self, sender: bytes, sealed: bytes) -> bytes:
        """The plaintext that the holder of the Ed25519 key `sender` sealed for this identity.

        Raises:
            BoxError: a bad key, or a message that does not open.
        """
        return self.box_for(sender).open(sealed)

    def _make_box(self, public: bytes) -> Box:
        exchange = _exchange_key(public)
        if exchange is None:
            raise BoxError("no box with this key: it is no Ed25519 point of prime order")
        return Box(self._exchange, exchange)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return bindings.sodium_memcmp(self._signing, other._signing)

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return f"<Identity {self.peer_id}>"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is a signature of `message` under the Ed25519 key `public` (32 bytes).

    Bytes of any content and length give False and raise nothing. Refuses keys of low order, and S >= the group's order
    (RFC 8032, section 5.1.7), so a third party cannot turn one valid signature into another.
    """
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except CryptoError:
        return False
    return True


def is_usable(public: bytes) -> bool:
    """Whether boxes can be made for `public`: it is an Ed25519 point of prime order in its one encoding.

    Some keys of mixed order verify signatures, but nothing can be sealed for them. So a new member's key is checked
    before the member is admitted. Bytes of any content and length give an answer and raise nothing.
    """
    return _is_of_prime_order(bytes(public))


@lru_cache(maxsize=MAX_CACHED_POINTS)
def _is_of_prime_order(point: bytes) -> bool:
    """As `is_usable`. Cached: a dealer asks for the same members in each round, a holder three times for one key."""
    # (L+1)·P = P shows both. The result is in the one encoding. A part T of small order would become (L+1)·T = 6·T,
    # which is T only if T is the neutral element. libsodium's own test let P + (0, -1) pass before December 2025
    # (CVE-2025-69277), and members must agree whatever version they have.
    with suppress(CryptoError):
        return bindings.crypto_scalarmult_ed25519_noclamp(_ORDER_PLUS_ONE, point) == point
    return False


def peer_id(public: bytes) -> str:
    """The libp2p PeerId of a 32-byte Ed25519 public key, in base58.

    Raises:
        ValueError: the key has another length.
    """
    if len(public) != PUBLIC_BYTES:
        raise ValueError(f"an Ed25519 public key has {PUBLIC_BYTES} bytes, not {len(public)}")
    number = int.from_bytes(_PEER_ID_PREFIX + public, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    return "1" + "".join(reversed(digits))  # the one leading zero byte of the prefix


def public_of(text: str) -> bytes:
    """The Ed25519 public key inside a base58 PeerId: the inverse of `peer_id`.

    Raises:
        BadPeerId: `peer_id` makes no such text.
    """
    # The length first: turning a long text into an integer takes quadratic time.
    if len(text) != _PEER_ID_LENGTH or not text.startswith("1") or text.strip(_BASE58):
        raise BadPeerId(f"not the PeerId of an Ed25519 key: {text[:64]!r}")
    number = 0
    for letter in text[1:]:
        number = number * 58 + _BASE58.index(letter)
    data = number.to_bytes(len(text), "big").lstrip(b"\0")
    public = data[-PUBLIC_BYTES:]
    # The prefix begins with a zero byte, which the number does not show.
    if b"\0" + data != _PEER_ID_PREFIX + public or peer_id(public) != text:
        raise BadPeerId(f"not the PeerId of an Ed25519 key: {text!r}")
    return public


def _exchange_key(public: bytes) -> bytes | None:
    """The X25519 public key that belongs to an Ed25519 key, or None if there is none."""
    try:
        return bindings.crypto_sign_ed25519_pk_to_curve25519(public)
    except (CryptoError, ValueError, TypeError):
        return None

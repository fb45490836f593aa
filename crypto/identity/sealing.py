"""Boxes that a third party can judge: a holder can show what a dealer sealed for it, and cannot lie about it.

A NaCl box between two members convinces only these two. Both know its key, so a holder that shows an opened box may
have made it. Here each dealing has its own scalar r and publishes R = r·B, where B is Ed25519's base point. The box
for the holder with the Ed25519 key A = a·B is a NaCl secretbox under a hash of S = r·A = a·R:

    key = SHA-256("coterie/box/3" 0x00 || context || R || A || u(S))

Both sides compute u(S), the coordinate of S on Curve25519, by X25519. A holder that complains reveals S with a proof
that log_B(A) = log_R(S). There is exactly one such S, so every member opens the same bytes, which the dealer signed,
and comes to the same verdict. So all that a dealer can do wrong in a box can be proved: a wrong share, and a box that
does not open.

**The nonce is zero**, because each key seals one message: the key is bound to the dealing, the holder and the context.
`Ephemeral` derives r also from the commitment to the shares. So a dealer that deals twice under one seed (from an old
copy of its state) has two keys, and not one key stream over two messages.

**What a reveal would tell.** S is a Diffie-Hellman value under the holder's long-term key. Without the next
paragraph, a holder that complains would compute a·R for any R that a dealer chooses. A dealer that copies the R' = r'·B
of an honest dealer's message would learn r'·A, and with it the key of the honest dealer's box for that holder. The
context in the hash does not prevent this, because S itself is revealed. A dealer that publishes the member key of a
third party as its R would learn the static shared secret of two members.

**So a dealer proves that it knows r**: it signs the context, which names the dealer, by the Ed25519 key R. This
signature is a Schnorr proof. Everybody checks it before opening anything. All members alike refuse a message without
it, and it is no ground for a complaint.

**What a reveal tells.** A dealer that knows r computes S = r·A without the holder, so a reveal tells it nothing: a
simulator that has r makes the same complaint without a, because S = r·A and the proof is zero-knowledge. To everybody
else, S is one Diffie-Hellman value for an R that no other box depends on. So a holder is no Diffie-Hellman oracle, and
the other boxes for it stay as hard to open as computational Diffie-Hellman problems with a test for solutions (gap-CDH,
in the random oracle model). The simulator has to extract r while other proofs are made. That works in the algebraic
group model with a random oracle; with the random oracle alone, the argument loses a factor for rewinding.

**Points.** R, A and S are accepted only as points of the prime-order subgroup in their one encoding. If S could have a
part of small order, a holder could try nonces until the proof passes for a second S, and so make a good box of an
honest dealer look bad.

Sources: Diffie-Hellman boxes as in ECIES and libsodium's sealed boxes; X25519 and the map between the curves, RFC
7748; C. P. Schnorr, "Efficient signature generation by smart cards" (1991), in the form of Ed25519, RFC 8032; D.
Chaum and T. P. Pedersen, "Wallet databases with observers" (1992), section 3.2; challenges by A. Fiat and A.
Shamir (1986), with the whole statement hashed (D. Bernhard, O. Pereira, B. Warinschi, "How not to prove yourself",
2012); extraction: G. Fuchsbauer, A. Plouviez, Y. Seurin, "Blind Schnorr signatures and signed ElGamal encryption
in the algebraic group model" (2020); nonces as in RFC 8032, in separate domains; one key for signatures and key
agreement: E. Thormarker, "On using the same key pair for Ed25519 and an X25519 based KEM" (2021).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from .identity import (
    GROUP_ORDER,
    MAX_CACHED_POINTS,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    BoxError,
    Identity,
    _Secret,
    is_usable,
    verify,
)

__all__ = [
    "BOX_OVERHEAD_BYTES",
    "CONTEXT_BYTES",
    "KEY_BYTES",
    "PROOF_BYTES",
    "DealingKey",
    "Ephemeral",
    "Opening",
    "check_ephemeral",
    "dealing_key",
]

CONTEXT_BYTES: Final = 32
PROOF_BYTES: Final = 64
"""Length of an opening's proof: a challenge and a response, 32 bytes each, both below the group's order."""

KEY_BYTES: Final = PUBLIC_BYTES + SIGNATURE_BYTES
"""Length of the key that a dealer publishes: R followed by the signature that proves that the dealer knows r."""

BOX_OVERHEAD_BYTES: Final = 16
"""A box is this much longer than its plaintext, by the Poly1305 tag."""

MAX_CACHED_KEYS: Final = 1024
"""Number of dealings' keys of which a process remembers whether the proof is good.

Enough for one round of the largest federation.
"""

_KEY: Final = b"coterie/box/3\0"
_SEED: Final = b"coterie/box/3 seed\0"
_KNOWLEDGE: Final = b"coterie/box/3 knowledge\0"
_EQUALITY: Final = b"coterie/box/3 equality\0"
_NONCE: Final = b"nonce\0"  # stands after a domain and before a secret

_BASE: Final = b"\x58" + b"\x66" * 31  # the encoding of B
_ZERO_NONCE: Final = bytes(24)
_PRIME: Final = 2**255 - 19  # of the field that both curves are over


class Ephemeral(_Secret):
    """The key pair of one dealing, which seals its boxes. It cannot be pickled, copied or printed."""

    __slots__ = ("_exchange", "context", "key")

    context: Final[bytes]
    """32 bytes that no other dealing has: a hash of federation, round, base model, members and dealer."""

    key: Final[bytes]
    """R and the proof of knowledge of r (`KEY_BYTES`), to be published."""

    def __init__(self, seed: bytes, context: bytes, commitment: bytes) -> None:
        """Derive r from a secret seed (32 bytes), the context (32 bytes) and the commitment (32 bytes).

        The same arguments give the same r, so a restarted dealer seals the same bytes. `commitment` is the Merkle
        root of the shares, which fixes every plaintext that will be sealed.

        Raises:
            ValueError: an argument has another length.
        """
        sizes = tuple(map(len, (seed, context, commitment)))
        if sizes != (32, CONTEXT_BYTES, 32):
            del seed
            raise ValueError(f"seed, context and commitment have 32 bytes each, not {sizes}")
        self.context = bytes(context)
        point, signing = bindings.crypto_sign_seed_keypair(_own_seed(seed, context, commitment))
        self._exchange = bindings.crypto_sign_ed25519_sk_to_curve25519(signing)
        self.key = point + bindings.crypto_sign(_KNOWLEDGE + self.context, signing)[:SIGNATURE_BYTES]

    def seal(self, to: bytes, plaintext: bytes) -> bytes:
        """Seal for the holder of the Ed25519 key `to`. Seal one plaintext only for each holder: the nonce is fixed.

        Raises:
            BoxError: `to` is no point of prime order (see `identity.is_usable`).
        """
        box_key = None
        if is_usable(to):
            shared = bindings.crypto_scalarmult(self._exchange, _u_coordinate(to))
            box_key = _box_key(self.context, self.key[:PUBLIC_BYTES], to, shared)
            del shared
        if box_key is None:
            del plaintext
            raise BoxError("no box with this key: it is no Ed25519 point of prime order")
        return bindings.crypto_secretbox_easy(plaintext, _ZERO_NONCE, box_key)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a holder reveals of one box: S, which opens this box only, and the proof that it is the right S.

    It is secret until its holder publishes it, so a repr does not show it.
    """

    shared: bytes = field(repr=False)
    """S, an encoded Ed25519 point, 32 bytes."""

    proof: bytes = field(repr=False)
    """Challenge and response of the proof that log_B(A) = log_R(S) (`PROOF_BYTES`)."""


@dataclass(frozen=True, slots=True)
class DealingKey:
    """A dealer's R whose proof of knowledge was checked under `context`. Only `dealing_key` makes it.

    R must come from the dealer's signed message: an R from elsewhere proves nothing about this dealer.
    """

    point: bytes
    context: bytes

    def open(self, identity: Identity, sealed: bytes) -> bytes:
        """The plaintext that the dealer sealed for this identity.

        Raises:
            BoxError: the box does not open.
        """
        return _opened(self._own_box_key(identity), sealed)

    def reveal(self, identity: Identity) -> Opening:
        """The opening of this identity's box for everybody, with its proof (Chaum and Pedersen).

        It tells the dealer nothing, and others nothing about any other box; the module's docstring says why. The same
        arguments give the same bytes. The proof's nonce is a hash of a secret of the identity and of the statement,
        as in Ed25519, so it never serves two statements.
        """
        a, public = identity._scalar, identity.public
        shared = _multiply(a, self.point)
        k = _hash_to_scalar(_EQUALITY, _NONCE, identity._nonce_secret, _BASE, self.point, public, shared, self.context)
        first = bindings.crypto_scalarmult_ed25519_base_noclamp(k)
        second = _multiply(k, self.point)
        challenge = self._equality_challenge(public, shared, first, second)
        return Opening(shared, challenge + _response(k, challenge, a))

    def judge(self, holder: bytes, opening: Opening) -> bool:
        """Whether `opening` is the right one for the box of the holder with this Ed25519 key.

        Sound in the random oracle model: a false S passes with a probability of about 2^-252 for each hash that its
        maker computes. Hostile bytes give False and raise nothing.
        """
        shared = opening.shared
        parts = _proof_parts(opening.proof)
        if parts is None or not is_usable(holder) or not is_usable(shared):
            return False
        challenge, response = parts
        first = _commitment(response, _BASE, challenge, holder)
        second = _commitment(response, self.point, challenge, shared)
        return challenge == self._equality_challenge(holder, shared, first, second)

    def open_with(self, holder: bytes, opening: Opening, sealed: bytes) -> bytes:
        """The plaintext of this holder's box, by an opening that passed `judge`.

        Raises:
            BoxError: the box does not open, so the dealer signed bytes that are no box.
        """
        return _opened(_box_key(self.context, self.point, holder, _u_coordinate(opening.shared)), sealed)

    def _own_box_key(self, identity: Identity) -> bytes:
        shared = bindings.crypto_scalarmult(identity._exchange, _u_coordinate(self.point))
        return _box_key(self.context, self.point, identity.public, shared)

    def _equality_challenge(self, holder: bytes, shared: bytes, first: bytes, second: bytes) -> bytes:
        return _hash_to_scalar(_EQUALITY, _BASE, self.point, holder, shared, first, second, self.context)


def dealing_key(key: bytes, context: bytes) -> DealingKey | None:
    """The checked form of the key that a dealer published, or None if it is not good.

    None for a point that is not of prime order or not in its one encoding, and for a proof that does not show that the
    dealer knows r for this context. Every member comes to the same answer from the dealer's signed message alone.
    Hostile bytes give None and raise nothing.
    """
    point, proof = bytes(key[:PUBLIC_BYTES]), bytes(key[PUBLIC_BYTES:])
    return DealingKey(point, bytes(context)) if check_ephemeral(point, proof, context) else None


def check_ephemeral(point: bytes, proof: bytes, context: bytes) -> bool:
    """Whether `proof` shows that the maker of R = `point` knows its scalar, for this context."""
    return _knows_scalar(bytes(point), bytes(proof), bytes(context))


@lru_cache(maxsize=MAX_CACHED_KEYS)
def _knows_scalar(point: bytes, proof: bytes, context: bytes) -> bool:
    """As `check_ephemeral`. Cached: a member asks when the dealing comes, when it opens its box, for each complaint."""
    return len(context) == CONTEXT_BYTES and verify(point, _KNOWLEDGE + context, proof) and is_usable(point)


def _own_seed(seed: bytes, context: bytes, commitment: bytes) -> bytes:
    """The seed of a dealing's key pair, from which Ed25519 takes r and the nonce of its signature."""
    return hashlib.sha256(_SEED + seed + context + commitment).digest()


@lru_cache(maxsize=MAX_CACHED_POINTS)
def _u_coordinate(point: bytes) -> bytes:
    """The X25519 key that belongs to a checked Ed25519 point (RFC 7748, section 4.1): u = (1 + y) / (1 - y).

    libsodium's own map would test for the subgroup again, at twice the cost of X25519 itself.
    """
    y = int.from_bytes(point, "little") & (1 << 255) - 1  # without the sign of x
    return ((1 + y) * pow(1 - y, -1, _PRIME) % _PRIME).to_bytes(32, "little")


def _box_key(context: bytes, point: bytes, holder: bytes, shared: bytes) -> bytes:
    return hashlib.sha256(_KEY + context + point + holder + shared).digest()


def _opened(box_key: bytes, sealed: bytes) -> bytes:
    with suppress(CryptoError):
        return bindings.crypto_secretbox_open_easy(bytes(sealed), _ZERO_NONCE, box_key)
    # Raised outside of the handler, so that the exception does not keep the library's frames; the key is deleted from
    # this frame, which it does keep.
    del box_key
    raise BoxError("the box does not open: it was altered, or belongs to another key")


def _hash_to_scalar(*parts: bytes) -> bytes:
    """A scalar whose distance from uniform is below 2^-256. All parts but the first, a domain, have fixed lengths."""
    return bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"".join(parts)).digest())


def _response(k: bytes, challenge: bytes, secret: bytes) -> bytes:
    """The response of a proof: k + challenge·secret, modulo the group's order."""
    return bindings.crypto_core_ed25519_scalar_add(k, bindings.crypto_core_ed25519_scalar_mul(challenge, secret))


def _proof_parts(proof: bytes) -> tuple[bytes, bytes] | None:
    """Challenge and response, or None if they are not two non-zero scalars in their one encoding."""
    if len(proof) != PROOF_BYTES:
        return None
    parts = bytes(proof[:32]), bytes(proof[32:])
    if all(0 < int.from_bytes(part, "little") < GROUP_ORDER for part in parts):
        return parts
    return None  # also for zero, which the library refuses: an honest proof has it with probability 2^-251


def _commitment(response: bytes, base: bytes, challenge: bytes, public: bytes) -> bytes:
    """The commitment that goes with this challenge and response: response·base - challenge·public."""
    left = bindings.crypto_scalarmult_ed25519_base_noclamp(response) if base == _BASE else _multiply(response, base)
    return bindings.crypto_core_ed25519_sub(left, _multiply(challenge, public))


def _multiply(scalar: bytes, point: bytes) -> bytes:
    """The product scalar·point, for a checked point and a scalar that is not zero modulo the group's order."""
    return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)

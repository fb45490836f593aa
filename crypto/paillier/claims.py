"""Whether a sum is that of all contributions, for those who see the sum alone.

Ciphertexts go to an aggregator only, who makes the sum T. Before anybody helps to open T, each contributor *claims* a
fingerprint of its own ciphertexts, under a challenge that follows from T: the product of the ciphertexts to 128-bit
powers ρ_j. Claims multiply to the fingerprint of T, if T is the product of the contributions.

The converse needs more. Whoever claims last, and the aggregator may be a contributor, can claim fp(T) divided by what
the others claimed, for any T: one contribution of somebody else, say, blinded anew. So a claim comes with a proof that
its sender knows what it holds, M = Σ ρ_j·m_j and Σ ρ_j·a_j, which is all but the fingerprint of its plaintexts.

Let D_j be T_j divided by the product of what the honest ones sent, all fixed before ρ was known. If every claim is
proved and they multiply to fp(T), then others knew a plaintext of Π D_j^ρ_j. Rewound to another ρ_j alone, they know
one of D_j^(ρ_j - ρ_j'), and so that of D_j: T holds every honest contribution exactly once, and besides only what its
makers know themselves. (They may choose that part late, but without knowing what it is added to.)

Fingerprints: the small-exponent test of Bellare, Garay and Rabin (Eurocrypt 1998). docs/crypto-paillier.md has the
argument for N that is not made of safe primes.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Final

from .arithmetic import Draws, digest
from .encryption import Encrypted, blinding_bits, blinding_exponent, blinding_root
from .errors import BadEncoding
from .keys import PublicKey
from .powers import product_of_powers
from .proofs import COUNT_BITS, Knowledge

FINGERPRINT_BITS: Final = 128

_WITNESS: Final = object()


@dataclass(frozen=True, slots=True)
class Claim:
    """A contributor's fingerprint of its own ciphertexts, itself one ciphertext, and the proof: not checked yet.

    Nobody helps to open a fingerprint.
    """

    fingerprint: Encrypted
    proof: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """The fingerprint as a vector of one ciphertext, then the proof."""
        return self.fingerprint.to_bytes() + self.proof

    @classmethod
    def from_bytes(cls, key: PublicKey, data: bytes) -> "Claim":
        """What `to_bytes` wrote. Raises BadEncoding, WrongKey or BadCiphertext."""
        end = max(0, len(data) - claim_proof_bytes(key))
        claim = cls(Encrypted.from_bytes(key, data[:end]), data[end:])
        if len(claim.fingerprint.values) != 1:
            raise BadEncoding("a fingerprint is one ciphertext")
        return claim


@dataclass(frozen=True, slots=True)
class Proved:
    """A fingerprint whose sender knows what it holds, under that challenge. Only `check_claim` makes one."""

    fingerprint: int
    challenge: bytes
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only check_claim makes a Proved fingerprint")


def challenge_for(context: bytes, total: Encrypted) -> bytes:
    """The challenge for that sum: 32 bytes, unknown before the sum is fixed.

    context: federation, round and contributors, the same for all members.
    """
    return digest(b"fingerprint challenge", context, total.digest)


def fingerprint(encrypted: Encrypted, challenge: bytes) -> int:
    """The product of the ciphertexts to 128-bit powers that follow from the challenge: a number mod N².

    The product of the summands' fingerprints is that of their sum. Two vectors that were fixed before the challenge was
    known have the same fingerprint with probability 2^-128 if they are not equal, up to factors of low order (see
    docs/crypto-paillier.md).
    """
    return product_of_powers(encrypted.values, _exponents(challenge, len(encrypted.values)), encrypted.key.square)


def claim_fingerprint(
    encrypted: Encrypted, plaintexts: Sequence[int], seed: bytes, challenge: bytes, context: bytes
) -> Claim:
    """The claim about ciphertexts that `encrypt(key, plaintexts, seed)` made, by who made them.

    context: federation, round and sender, which the proof is bound to. Raises as `encrypt` does.
    """
    key = encrypted.key
    root = blinding_root(key, plaintexts, seed)
    powers = _exponents(challenge, len(plaintexts))
    plain = sum(power * m for power, m in zip(powers, plaintexts, strict=True)) % key.modulus
    hiding = sum(power * blinding_exponent(key, root, i) for i, power in enumerate(powers))
    claimed = Encrypted.received(key, [fingerprint(encrypted, challenge)])
    return Claim(claimed, _statement(claimed, challenge, context).prove([plain], [hiding], root))


def check_claim(claim: Claim, challenge: bytes, context: bytes) -> Proved:
    """The fingerprint, if its sender knows what it holds. Raises BadProof."""
    _statement(claim.fingerprint, challenge, context).check(claim.proof)
    return Proved(claim.fingerprint.values[0], challenge, _WITNESS)


def adds_up(total: Encrypted, challenge: bytes, claims: Sequence[Proved]) -> bool:
    """Whether the claims, one of each contributor, multiply to the fingerprint of the sum.

    Raises ValueError for a claim that was made under another challenge.
    """
    if any(claim.challenge != challenge for claim in claims):
        raise ValueError("a claim was made under another challenge")
    product = 1
    for claim in claims:
        product = product * claim.fingerprint % total.key.square
    return product == fingerprint(total, challenge)


def claim_proof_bytes(key: PublicKey) -> int:
    """The exact length of the proof in a claim."""
    return _statement(Encrypted(key, ()), b"", b"").proof_bytes


def _exponents(challenge: bytes, count: int) -> list[int]:
    draws = Draws(challenge, b"fingerprint")
    return [draws.bits(FINGERPRINT_BITS) for _ in range(count)]


def _statement(fingerprint: Encrypted, challenge: bytes, context: bytes) -> Knowledge:
    exponent_bits = blinding_bits(fingerprint.key) + FINGERPRINT_BITS + COUNT_BITS
    return Knowledge(fingerprint, exponent_bits, digest(b"claim", context, challenge))

"""Whether a sum is that of all contributions, for members that see only the sum.

Contributors send their ciphertexts only to an aggregator, which makes the sum T. Before a holder helps to open T, each
contributor *claims* a fingerprint of its own ciphertexts, under a challenge that follows from T: the product of the
ciphertexts to 128-bit powers ρ_j. Claims multiply to the fingerprint of T if T is the product of the contributions.

The converse needs more. The contributor that claims last, which may be the aggregator, can claim fp(T) divided by the
other claims, for any T: for example one contribution of another member, blinded anew. So a claim comes with a proof
that its sender knows the plaintext of the fingerprint, M = Σ ρ_j·m_j, and its blinding, Σ ρ_j·a_j.

Let D_j be T_j divided by the product of the honest contributions, all fixed before ρ was known. If every claim is
proved and they multiply to fp(T), then the other contributors knew a plaintext of Π D_j^ρ_j. Rewound to another ρ_j
alone, they know one of D_j^(ρ_j - ρ_j'), and so one of D_j. T therefore holds every honest contribution exactly once,
and beside these only contributions whose makers know them. (They may choose theirs late, but without knowing the sum of
the rest.)

All of this says something about a sum only with one proved claim of *each* contributor, each under its own context. So
claims are added up for a set of contributors (`Contributors`), which makes all contexts, and a holder helps to open
only a `ProvedSum`.

Fingerprints: the small-exponent test of Bellare, Garay and Rabin (Eurocrypt 1998). docs/crypto-paillier.md has the
argument for N that is not made of safe primes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import Final

from ..identity.identity import PUBLIC_BYTES
from .arithmetic import Draws, digest, join
from .encryption import Encrypted, add, blinding_bits, blinding_exponent, blinding_root
from .errors import BadEncoding, NotProved, WrongKey
from .group import Group
from .keys import PublicKey
from .powers import product_of_powers
from .proofs import COUNT_BITS, Knowledge, check_knowledge

FINGERPRINT_BITS: Final = 128

_ID_BYTES: Final = 32
_WITNESS: Final = object()


@dataclass(frozen=True, slots=True)
class Contributors:
    """The contributors of one sum, and where it belongs: all that challenges, claims and proofs are bound to.

    Every member takes these from decided blocks, and never from a peer.

    federation: its 32-byte id; round: in which the sum is opened; epoch: of the key; group: the key in force; dealings:
    for each contributor, by its Ed25519 key, the 32-byte id of what it dealt in this round.

    Raises ValueError for ids of other lengths, for a dealing that stands twice, and for fewer than K + 1 contributors:
    K - 1 curious members among them would learn the contribution of the last one.
    """

    federation: bytes
    round: int
    epoch: int
    group: Group
    dealings: Mapping[bytes, bytes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dealings", MappingProxyType(dict(self.dealings)))
        ids = list(self.dealings.values())
        if any(len(x) != _ID_BYTES for x in (self.federation, *ids)):
            raise ValueError(f"a federation and a dealing are named by {_ID_BYTES} bytes")
        if any(len(member) != PUBLIC_BYTES for member in self.dealings):
            raise ValueError(f"a contributor is named by an Ed25519 key of {PUBLIC_BYTES} bytes")
        if len(set(ids)) != len(ids):
            raise ValueError("two contributors have one dealing")
        if len(ids) <= self.group.threshold:
            raise ValueError(f"a sum has at least {self.group.threshold + 1} contributors, not {len(ids)}")

    @property
    def context(self) -> bytes:
        """What all contributors have in common: 32 bytes."""
        place = join([self.round, self.epoch], 8)
        rows = [member + dealing for member, dealing in sorted(self.dealings.items())]
        return digest(b"contributors", self.federation, place, self.group.group_id, *rows)

    def context_of(self, member: bytes) -> bytes:
        """What a contributor's proofs are bound to: 32 bytes. Raises NotProved for a member that is none."""
        if member not in self.dealings:
            raise NotProved("that member is no contributor")
        return digest(b"contributor", self.context, member, self.dealings[member])

    def challenge(self, total: Encrypted) -> bytes:
        """The challenge of claims about this sum."""
        return challenge_for(self.context, total)


@dataclass(frozen=True, slots=True)
class Claim:
    """A contributor's fingerprint of its own ciphertexts, itself one ciphertext, and the proof; not checked yet.

    The fingerprint itself is never opened.
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
    """A fingerprint whose sender knows what it holds. Only `check_claim` makes one.

    challenge, context: what it was checked for.
    """

    fingerprint: int
    challenge: bytes
    context: bytes
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only check_claim makes a Proved fingerprint")


@dataclass(frozen=True, slots=True)
class ProvedSum:
    """A sum that holds every contribution once: what holders help to open.

    Only `prove_sum` and `sum_of` make one. federation, epoch, group_id: where it belongs; contributors: their Ed25519
    keys.
    """

    total: Encrypted
    federation: bytes
    epoch: int
    group_id: bytes
    contributors: tuple[bytes, ...] = field(repr=False)
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only prove_sum and sum_of make a ProvedSum")


def challenge_for(context: bytes, total: Encrypted) -> bytes:
    """The challenge for that sum: 32 bytes, unknown before the sum is fixed.

    context: `Contributors.context`, the same for all members.
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
    """The claim about ciphertexts that `encrypt(key, plaintexts, seed)` made, by the member that made them.

    context: `Contributors.context_of` this member, which the proof is bound to. Raises as `encrypt` does.
    """
    key = encrypted.key
    root = blinding_root(key, plaintexts, seed)
    powers = _exponents(challenge, len(plaintexts))
    plain = sum(power * m for power, m in zip(powers, plaintexts, strict=True)) % key.modulus
    hiding = sum(power * blinding_exponent(key, root, i) for i, power in enumerate(powers))
    claimed = Encrypted.received(key, [fingerprint(encrypted, challenge)])
    return Claim(claimed, _statement(claimed, challenge, context).prove([plain], [hiding], root))


def check_claim(claim: Claim, challenge: bytes, context: bytes) -> Proved:
    """The fingerprint, if its sender knows what it holds. Raises BadProof.

    challenge: `Contributors.challenge` of the sum; context: `Contributors.context_of` the member that sent the claim,
    as the channel proved. Takes 20 to 30 ms: not for an event loop.
    """
    _statement(claim.fingerprint, challenge, context).check(claim.proof)
    return Proved(claim.fingerprint.values[0], challenge, context, _WITNESS)


def adds_up(total: Encrypted, claims: Mapping[bytes, Proved], contributors: Contributors) -> bool:
    """Whether the claims multiply to the fingerprint of the sum.

    claims: by the Ed25519 key of the contributor, one of each.

    Raises:
        NotProved: a contributor has no claim, a claim is of no contributor, or was checked for another member, sum,
            round or set of contributors.
        WrongKey: the sum is under another key than the group's.
        TypeError: a claim was not checked.
    """
    if any(type(claim) is not Proved for claim in claims.values()):
        raise TypeError("claims are checked before they are added up")
    _check_key(total, contributors)
    if claims.keys() != contributors.dealings.keys():
        raise NotProved("there is not one claim of each contributor and of nobody besides")
    challenge = contributors.challenge(total)
    if any(claim.challenge != challenge for claim in claims.values()):
        raise NotProved("a claim was made under another challenge")
    if any(claim.context != contributors.context_of(member) for member, claim in claims.items()):
        raise NotProved("a claim is of another member than the one that it stands for")
    product = 1
    for claim in claims.values():
        product = product * claim.fingerprint % total.key.square
    return product == fingerprint(total, challenge)


def prove_sum(total: Encrypted, claims: Mapping[bytes, Proved], contributors: Contributors) -> ProvedSum:
    """The sum, if the claims of all contributors add up for it. Raises NotProved otherwise, and as `adds_up` does."""
    if not adds_up(total, claims, contributors):
        raise NotProved("the claims do not add up for this sum")
    return _proved(total, contributors)


def sum_of(contributions: Mapping[bytes, tuple[Encrypted, bytes]], contributors: Contributors) -> ProvedSum:
    """The sum of contributions that are all at hand, each with its `prove_knowledge`: for few ciphertexts.

    contributions: by the Ed25519 key of the contributor, proved under its `Contributors.context_of`. Raises NotProved
    where they are not one of each contributor, BadProof for one whose sender does not know its plaintexts, and as `add`
    does.
    """
    if contributions.keys() != contributors.dealings.keys():
        raise NotProved("there is not one contribution of each contributor and of nobody besides")
    for member, (encrypted, proof) in contributions.items():
        check_knowledge(encrypted, proof, contributors.context_of(member))
    total = add([contributions[member][0] for member in sorted(contributions)])
    _check_key(total, contributors)
    return _proved(total, contributors)


def claim_proof_bytes(key: PublicKey) -> int:
    """The exact length of the proof in a claim."""
    return _statement(Encrypted(key, ()), b"", b"").proof_bytes


def _check_key(total: Encrypted, contributors: Contributors) -> None:
    if total.key != contributors.group.key:
        raise WrongKey("the sum is under another key")


def _proved(total: Encrypted, contributors: Contributors) -> ProvedSum:
    members = tuple(sorted(contributors.dealings))
    group_id = contributors.group.group_id
    return ProvedSum(total, contributors.federation, contributors.epoch, group_id, members, _WITNESS)


def _exponents(challenge: bytes, count: int) -> list[int]:
    draws = Draws(challenge, b"fingerprint")
    return [draws.bits(FINGERPRINT_BITS) for _ in range(count)]


def _statement(fingerprint: Encrypted, challenge: bytes, context: bytes) -> Knowledge:
    exponent_bits = blinding_bits(fingerprint.key) + FINGERPRINT_BITS + COUNT_BITS
    return Knowledge(fingerprint, exponent_bits, digest(b"claim", context, challenge))

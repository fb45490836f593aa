"""Proofs about ciphertexts that anybody can check: of the right exponent, and of knowledge of the plaintexts.

Both are Σ-protocols made non-interactive by a hash (Fiat and Shamir, Crypto 1986). A proof consists of the challenge
and the response, from which the verifier computes the prover's commitment. The hash covers a context that the caller
gives (federation, epoch, sender), so a proof says nothing in another context. Challenges have 128 bits; responses are
blinded by numbers 128 bits longer than the numbers that they hide.

`SameExponent` is the proof of correct decryption of Shoup ("Practical threshold signatures", Eurocrypt 2000) and
Fouque, Poupard and Stern ("Sharing decryption in the context of voting or lotteries", FC 2000), for many ciphertexts at
once: their powers to 128-bit exponents ρ_j that follow from the whole statement are multiplied, and one equality of
exponents is shown for the product (small-exponent test of Bellare, Garay and Rabin, Eurocrypt 1998). N is not a product
of safe primes here; docs/crypto-paillier.md argues why the proof still holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .arithmetic import STATISTICAL_BITS, Draws, digest, inverse, join, power, size_of
from .encryption import Encrypted, blinding_bits, blinding_exponent, blinding_root
from .errors import BadProof
from .keys import PublicKey
from .powers import FixedBase, product_of_powers

CHALLENGE_BITS: Final = 128
COUNT_BITS: Final = 24  # more than `MAX_CIPHERTEXTS` challenges never add up
_CHALLENGE_BYTES: Final = CHALLENGE_BITS // 8


@dataclass(frozen=True, slots=True)
class SameExponent:
    """The statement: one x with public = v^x, and results[j]² = ciphertexts[j]^(4x) for all j, mod N².

    table: powers of v; exponent_bits: |x| is below 2^this; context: the bytes that the proof is bound to.
    """

    key: PublicKey
    table: FixedBase
    public: int
    ciphertexts: tuple[int, ...]
    results: tuple[int, ...]
    exponent_bits: int
    context: bytes

    @property
    def response_bits(self) -> int:
        """The length of a response: that of the blinding, and one bit for the carry."""
        return self.exponent_bits + CHALLENGE_BITS + STATISTICAL_BITS + 1

    @property
    def proof_bytes(self) -> int:
        """The exact length of a proof."""
        return _CHALLENGE_BYTES + size_of(1 << self.response_bits)

    def prove(self, exponent: int, seed: bytes) -> bytes:
        """The proof, by the party that knows x. The seed is secret and random; draws depend on the statement."""
        transcript = self._transcript()
        draws = Draws(seed, b"same exponent|" + transcript)
        blinding = draws.bits(self.response_bits - 1)
        folded, _ = self._folded(transcript)
        challenge = self._challenge(transcript, power(folded, blinding, self.key.square), self.table.power(blinding))
        response = blinding + challenge * exponent
        return join([challenge], _CHALLENGE_BYTES) + join([response], size_of(1 << self.response_bits))

    def check(self, proof: bytes) -> None:
        """Raise BadProof unless the proof holds."""
        if len(proof) != self.proof_bytes:
            raise BadProof(f"a proof of {len(proof)} bytes where {self.proof_bytes} are due")
        challenge = int.from_bytes(proof[:_CHALLENGE_BYTES], "big")
        response = int.from_bytes(proof[_CHALLENGE_BYTES:], "big")
        if response.bit_length() > self.response_bits:
            raise BadProof("the response is out of range")
        square, transcript = self.key.square, self._transcript()
        folded, folded_results = self._folded(transcript)
        first = power(folded, response, square) * power(folded_results, -challenge, square) % square
        second = self.table.power(response) * power(self.public, -challenge, square) % square
        if self._challenge(transcript, first, second) != challenge:
            raise BadProof("the proof does not hold")

    def _transcript(self) -> bytes:
        width = self.key.ciphertext_bytes
        statement = (join([self.public], width), join(self.ciphertexts, width), join(self.results, width))
        return digest(b"same exponent", self.key.key_id, self.context, *statement)

    def _folded(self, transcript: bytes) -> tuple[int, int]:
        """Π c_j^(4ρ_j) and Π d_j^(2ρ_j) for results d_j."""
        draws = Draws(transcript, b"fold")
        exponents = [draws.bits(CHALLENGE_BITS) for _ in self.ciphertexts]
        square = self.key.square
        base = product_of_powers(self.ciphertexts, exponents, square)
        result = product_of_powers(self.results, exponents, square)
        return power(base, 4, square), power(result, 2, square)

    def _challenge(self, transcript: bytes, first: int, second: int) -> int:
        hashed = digest(b"same exponent challenge", transcript, join([first, second], self.key.ciphertext_bytes))
        return int.from_bytes(hashed[:_CHALLENGE_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The statement: the prover knows m_i and a_i with ciphertexts[i] = (1 + N)^m_i · h^(N·a_i) mod N², for all i.

    exponent_bits: each a_i of an honest prover is below 2^this; context: the bytes that the proof is bound to. One
    proof is for all ciphertexts, with a challenge for each. Source: Cramer, Damgård and Nielsen, "Multiparty
    computation from threshold homomorphic encryption" (Eurocrypt 2001), section 8.
    """

    encrypted: Encrypted
    exponent_bits: int
    context: bytes

    @property
    def proof_bytes(self) -> int:
        """The exact length of a proof."""
        return _CHALLENGE_BYTES + size_of(self.encrypted.key.modulus) + size_of(2 << self._hiding_bits)

    def prove(self, plaintexts: Sequence[int], exponents: Sequence[int], root: bytes) -> bytes:
        """The proof, by the party that knows all m_i and a_i. The root is secret; draws depend on the statement."""
        modulus, transcript = self.encrypted.key.modulus, self._transcript()
        draws = Draws(root, b"knowledge|" + transcript)
        plain, hiding = draws.below(modulus), draws.bits(self._hiding_bits)
        challenge = self._challenge(transcript, self._encryption_of(plain, hiding))
        for factor, plaintext, exponent in zip(self._factors(challenge), plaintexts, exponents, strict=True):
            plain = (plain + factor * plaintext) % modulus
            hiding += factor * exponent
        return challenge + join([plain], size_of(modulus)) + join([hiding], size_of(2 << self._hiding_bits))

    def check(self, proof: bytes) -> None:
        """Raise BadProof unless the proof holds."""
        key = self.encrypted.key
        wide = size_of(key.modulus)
        if len(proof) != self.proof_bytes:
            raise BadProof(f"a proof of {len(proof)} bytes where {self.proof_bytes} are due")
        challenge, rest = proof[:_CHALLENGE_BYTES], proof[_CHALLENGE_BYTES:]
        plain, hiding = int.from_bytes(rest[:wide], "big"), int.from_bytes(rest[wide:], "big")
        if plain >= key.modulus:
            raise BadProof("the response is out of range")
        product = product_of_powers(self.encrypted.values, self._factors(challenge), key.square)
        commitment = self._encryption_of(plain, hiding) * inverse(product, key.square) % key.square
        if self._challenge(self._transcript(), commitment) != challenge:
            raise BadProof("the sender does not know the plaintexts")

    @property
    def _hiding_bits(self) -> int:
        return self.exponent_bits + CHALLENGE_BITS + COUNT_BITS + STATISTICAL_BITS

    def _encryption_of(self, plain: int, hiding: int) -> int:
        key = self.encrypted.key
        blinding = power(power(key.generator(), key.modulus, key.square), hiding, key.square)
        return (1 + plain * key.modulus) * blinding % key.square

    def _transcript(self) -> bytes:
        return digest(b"knowledge", self.context, self.encrypted.to_bytes())

    def _challenge(self, transcript: bytes, commitment: int) -> bytes:
        hashed = join([commitment], self.encrypted.key.ciphertext_bytes)
        return digest(b"knowledge challenge", transcript, hashed)[:_CHALLENGE_BYTES]

    def _factors(self, challenge: bytes) -> list[int]:
        """A challenge for each ciphertext, all from the one that was hashed."""
        draws = Draws(challenge, b"knowledge exponents|" + self.encrypted.key.key_id)
        return [draws.bits(CHALLENGE_BITS) for _ in self.encrypted.values]


def prove_knowledge(encrypted: Encrypted, plaintexts: Sequence[int], seed: bytes, context: bytes) -> bytes:
    """A proof that the sender knows the plaintexts of ciphertexts that `encrypt(key, plaintexts, seed)` made.

    The sender of a copy of another member's ciphertexts, blinded anew or not, cannot prove this.
    """
    root = blinding_root(encrypted.key, plaintexts, seed)
    exponents = [blinding_exponent(encrypted.key, root, i) for i in range(len(plaintexts))]
    return _knowledge(encrypted, context).prove(plaintexts, exponents, root)


def check_knowledge(encrypted: Encrypted, proof: bytes, context: bytes) -> None:
    """Raise BadProof unless the author of the proof, for this context, knew the plaintexts."""
    _knowledge(encrypted, context).check(proof)


def knowledge_bytes(key: PublicKey) -> int:
    """The exact length of a proof of knowledge."""
    return _knowledge(Encrypted(key, ()), b"").proof_bytes


def _knowledge(encrypted: Encrypted, context: bytes) -> Knowledge:
    return Knowledge(encrypted, blinding_bits(encrypted.key), context)

"""A threshold key: its public part, and one holder's share of the exponent that decrypts.

The exponent is S = Δ·w with w a multiple of φ(N), and holder j (from 0) has the value s_j at j + 1 of an integer
polynomial of degree t - 1 with S at 0 (`integer_sharing`). After resharing S has further factorials as factors, which
changes nothing below. The holder's verification key is v_j = v^(Δ·s_j) mod N², Δ = n!. With integer Lagrange
coefficients λ_j (times Δ):

    Π v_j^λ_j = v^(Δ²·S) = 1 + N·(2Δ²·S)  mod N²

because v is a ciphertext of 2 (`sharing.verification_base`) and S a multiple of φ(N). So the verification keys give the
number by which decryption has to divide. A group whose keys do not combine to 1 mod N is refused, as its S decrypts
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import factorial
from typing import Final, NoReturn

from .arithmetic import (
    STATISTICAL_BITS,
    Draws,
    digest,
    gcd,
    integer_lagrange,
    inverse,
    join,
    number,
    power,
    powers,
    split,
)
from .errors import BadEncoding, BadGroup, WrongKey
from .integer_sharing import Terms, deal_integer, evaluate_commitments, signed_power, verification_table
from .keys import PrivateKey, PublicKey
from .powers import FixedBase, signed_product
from .proofs import CHALLENGE_BITS

MAX_HOLDERS: Final = 58  # the primes in Δ are then at most 53, which joint keys keep out of φ(N)
MAX_SHARE_BITS: Final = 16384  # each resharing makes shares longer and decryption slower (docs/crypto-paillier.md)
MAX_KEPT_GROUPS: Final = 4  # of those that were read: the one in force, the next one, and two more
GROUP_ID_BYTES: Final = 32

_VERSION: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Group:
    """The public part of a threshold key: N, t, a verification key for each holder, and the length of shares.

    Raises BadGroup if these do not belong together.
    """

    key: PublicKey
    threshold: int
    verification_keys: tuple[int, ...] = field(repr=False)
    share_bits: int
    group_id: bytes = field(init=False, compare=False)  # 32 bytes
    divisor: int = field(init=False, repr=False, compare=False)  # 1 / (4Δ²·S) mod N

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.holders <= MAX_HOLDERS:
            raise BadGroup(f"a threshold of {self.threshold} among {self.holders} holders")
        if not 0 < self.share_bits <= MAX_SHARE_BITS:
            raise BadGroup(f"shares of {self.share_bits} bits")
        square = self.key.square
        if any(not 0 < v < square or gcd(v, self.key.modulus) != 1 for v in self.verification_keys):
            raise BadGroup("a verification key is not a unit mod N²")
        points = list(range(1, self.threshold + 1))
        for holder in range(self.threshold, self.holders):
            combined = self._combined(points, holder + 1)
            if combined != power(self.verification_keys[holder], self.delta, square):
                raise BadGroup(f"the verification key of holder {holder} lies on no polynomial with the first ones")
        at_zero = self._combined(points, 0)
        factor = (at_zero - 1) // self.key.modulus
        if at_zero % self.key.modulus != 1 or gcd(factor, self.key.modulus) != 1:
            raise BadGroup("the shared exponent does not decrypt")
        object.__setattr__(self, "divisor", inverse(2 * factor, self.key.modulus))
        object.__setattr__(self, "group_id", digest(b"group", self.to_bytes()))

    def _combined(self, points: Sequence[int], target: int) -> int:
        """v^(Δ·Δ·f(target)) from the verification keys at the points."""
        coefficients = integer_lagrange(points, target, self.holders)
        return signed_product([self.verification_keys[x - 1] for x in points], coefficients, self.key.square)

    @property
    def holders(self) -> int:
        """The number of holders, n."""
        return len(self.verification_keys)

    @property
    def delta(self) -> int:
        """Δ = n!."""
        return factorial(self.holders)

    @property
    def exponent_bits(self) -> int:
        """The length of Δ·s_j."""
        return self.share_bits + self.delta.bit_length()

    def table(self) -> FixedBase:
        """The table of powers of v, for exponents as long as proofs have."""
        return verification_table(self.key, self.exponent_bits + CHALLENGE_BITS + STATISTICAL_BITS + 1)

    def to_bytes(self) -> bytes:
        """A version byte, threshold and holders (2 bytes each), share_bits (4), N, then the verification keys."""
        numbers = join([self.threshold, self.holders], 2) + join([self.share_bits], 4)
        return _VERSION + numbers + self.key.to_bytes() + join(self.verification_keys, self.key.ciphertext_bytes)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Group":
        """What `to_bytes` wrote; the last groups are remembered. Raises BadEncoding, BadModulus or BadGroup.

        The first time it costs 0.7 s for 58 holders: not for an event loop.
        """
        return _read(bytes(data))


@lru_cache(maxsize=MAX_KEPT_GROUPS)
def _read(data: bytes) -> Group:
    if data[:1] != _VERSION:
        raise BadEncoding("not a threshold key of a known version")
    threshold, holders, share_bits = (int.from_bytes(data[i:j], "big") for i, j in ((1, 3), (3, 5), (5, 9)))
    # A key has 1 + b bytes and a verification key 2·b.
    key_bytes, rest = divmod(len(data) - 10, 1 + 2 * holders)
    if rest or key_bytes < 1:
        raise BadEncoding(f"{len(data)} bytes for {holders} holders")
    key = PublicKey.from_bytes(data[9 : 10 + key_bytes])
    return Group(key, threshold, tuple(split(data[10 + key_bytes :], key.ciphertext_bytes, key.square)), share_bits)


class KeyShare:
    """One holder's share of the exponent. It is never printed or pickled; `to_bytes` is for the holder's own vault."""

    __slots__ = ("holder", "value")

    def __init__(self, holder: int, value: int) -> None:
        self.holder: Final = holder
        self.value: Final = number(value)

    def __repr__(self) -> str:
        return f"<KeyShare of holder {self.holder} (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key share is not pickled")

    def matches(self, group: Group) -> bool:
        """Whether this share belongs to the holder's verification key."""
        if not 0 <= self.holder < group.holders or abs(self.value).bit_length() > group.share_bits:
            return False
        return signed_power(group.table(), group.delta * self.value) == group.verification_keys[self.holder]

    def decrypt(self, group: Group, values: Sequence[int]) -> list[int]:
        """This holder's parts of opening valid ciphertexts, without a proof. Lets other threads run meanwhile."""
        square, exponent = group.key.square, 2 * group.delta * self.value
        bases = values if exponent >= 0 else [inverse(c, square) for c in values]
        return powers(bases, abs(exponent), square)

    def to_bytes(self, group: Group) -> bytes:
        """The group's id, the holder in 2 bytes, then the share with its sign. Secret."""
        size = group.share_bits // 8 + 1
        return group.group_id + join([self.holder], 2) + int(self.value).to_bytes(size, "big", signed=True)

    @classmethod
    def from_bytes(cls, group: Group, data: bytes) -> "KeyShare":
        """What `to_bytes` wrote. Raises BadEncoding, or WrongKey for a share of another group."""
        header = GROUP_ID_BYTES + 2
        if len(data) != header + group.share_bits // 8 + 1:
            raise BadEncoding("not a key share of this group's length")
        if data[:GROUP_ID_BYTES] != group.group_id:
            raise WrongKey("the key share belongs to another group")
        holder = int.from_bytes(data[GROUP_ID_BYTES:header], "big")
        share = cls(holder, int.from_bytes(data[header:], "big", signed=True))
        if not share.matches(group):
            raise WrongKey("the key share does not match its verification key")
        return share


def deal(private: PrivateKey, threshold: int, holders: int, seed: bytes) -> tuple[Group, tuple[KeyShare, ...]]:
    """Share the key of one owner, which must then forget it: for tests, and where a dealer is trusted.

    `joint` makes such a key without a dealer. Raises ValueError for a threshold that is not between 2 and holders.
    """
    key = private.public
    terms = Terms(holders, threshold, 2 * key.bits)
    draws = Draws(seed, b"threshold deal|" + key.key_id)
    dealing = deal_integer(key, terms, draws.below(key.modulus) * private.totient(), draws)
    keys = tuple(
        power(evaluate_commitments(key, dealing.commitments, j + 1), terms.delta, key.square) for j in range(holders)
    )
    group = Group(key, threshold, keys, terms.share_bits(1))
    return group, tuple(KeyShare(j, share) for j, share in enumerate(dealing.shares))

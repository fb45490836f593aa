"""Threshold decryption: any t of n holders open a sum, fewer learn nothing, and a wrong part names its holder.

With S, s_j, v, Δ and λ_j as in `group`:

    partial decryption   c_j = c^(2Δ·s_j)                            mod N²
    combination          Π c_j^(2λ_j) = c^(4Δ²·S) = 1 + N·(4Δ²·S·m)  mod N²

Sources: Shoup, "Practical threshold signatures" (Eurocrypt 2000), for Δ and the squares; Fouque, Poupard and Stern,
"Sharing decryption in the context of voting or lotteries" (FC 2000), for Paillier; Fouque and Stern, "Fully distributed
threshold RSA under standard assumptions" (Asiacrypt 2001), for moduli that are not made of safe primes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from functools import partial as applied
from typing import Final

from .arithmetic import digest, gcd, integer_lagrange, join, number, split
from .claims import ProvedSum
from .encryption import CHUNK, Encrypted, Progress, Spread
from .errors import BadEncoding, BadPartial, BadProof, NotAgreed, TooFewPartials, WrongKey
from .group import GROUP_ID_BYTES, Group, KeyShare
from .powers import signed_product
from .proofs import SameExponent

_VERSION: Final = b"\x01"
_WITNESS: Final = object()


@dataclass(frozen=True, slots=True)
class Agreed:
    """The sum that may be opened, and for whom: every proof is bound to it.

    federation: its 32-byte id; epoch: of the key; digest: `Encrypted.digest` of the one sum that was decided. A holder
    takes the digest from a decided block, never from the peer that asks. It opens one sum in a round: two sums that
    differ by one member show that member's contribution.
    """

    federation: bytes
    epoch: int
    digest: bytes

    def context(self, group: Group, holder: int) -> bytes:
        """The bytes that the proof of one holder is bound to."""
        place = join([self.epoch], 8) + join([holder], 2)
        return digest(b"agreed", self.federation, self.digest, group.group_id, place)


@dataclass(frozen=True, slots=True)
class Partial:
    """One holder's part of an opening, as it travels: not checked yet."""

    holder: int
    group_id: bytes
    values: tuple[int, ...] = field(repr=False)
    proof: bytes = field(repr=False)

    def to_bytes(self, group: Group) -> bytes:
        """A version byte, the group's id, the holder (2 bytes), how many values (4), the values, the proof."""
        header = _VERSION + self.group_id + join([self.holder], 2) + join([len(self.values)], 4)
        return header + join(self.values, group.key.ciphertext_bytes) + self.proof

    @classmethod
    def from_bytes(cls, group: Group, data: bytes, sender: int) -> "Partial":
        """What `to_bytes` wrote. sender: the holder that sent it, as the channel proved.

        Raises BadEncoding, WrongKey for a part of another group or epoch, and BadPartial, which names the sender, for a
        part in the name of another holder, which would otherwise be blamed for it.
        """
        header = 1 + GROUP_ID_BYTES + 6
        if data[:1] != _VERSION or len(data) < header:
            raise BadEncoding("not a partial decryption of a known version")
        if data[1 : 1 + GROUP_ID_BYTES] != group.group_id:
            raise WrongKey("the partial decryption is by another group")
        holder = int.from_bytes(data[header - 6 : header - 4], "big")
        if holder != sender:
            raise BadPartial(sender, f"a part in the name of holder {holder}")
        end = header + int.from_bytes(data[header - 4 : header], "big") * group.key.ciphertext_bytes
        if len(data) != end + proof_bytes(group):
            raise BadEncoding(f"a partial decryption of {len(data)} bytes")
        values = split(data[header:end], group.key.ciphertext_bytes, 1 << (8 * group.key.ciphertext_bytes))
        return cls(holder, group.group_id, tuple(values), data[end:])


@dataclass(frozen=True, slots=True)
class Checked:
    """A partial decryption of the sum of that digest whose proof held. Only `check_partial` makes one."""

    holder: int
    group_id: bytes
    digest: bytes
    values: tuple[int, ...] = field(repr=False)
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only check_partial makes a Checked part")


@dataclass(frozen=True, slots=True)
class Opened:
    """The plaintexts of a sum, and the fault of each part that was wrong."""

    plaintexts: tuple[int, ...]
    liars: tuple[BadPartial, ...]


def proof_bytes(group: Group) -> int:
    """The exact length of the proof in a partial decryption."""
    return _statement(group, 0, (), (), b"").proof_bytes


def partial_decrypt(
    group: Group,
    share: KeyShare,
    proved: ProvedSum,
    agreed: Agreed,
    seed: bytes,
    *,
    spread: Spread = map,
    progress: Progress | None = None,
) -> Partial:
    """This holder's part of opening the sum, with its proof; lets other threads run meanwhile.

    Args:
        group: the key in force, from the ledger.
        share: this holder's.
        proved: the sum, with the claims of all its contributors checked (`claims.prove_sum`).
        agreed: the sum that the federation decided to open. A holder opens one in a round.
        seed: 32 secret random bytes.
        spread: runs the chunks of the work.
        progress: called after each chunk.

    Raises:
        NotAgreed: the sum that was proved is not the one that was agreed on, or of another federation or epoch.
        WrongKey: the sum is under another key, or the share of another group.
        TypeError: the sum is no ProvedSum.
    """
    if type(proved) is not ProvedSum:  # nothing else stands for checked claims, whatever attributes it has
        raise TypeError("holders help to open a ProvedSum and nothing else")
    encrypted = proved.total
    _check_agreed(group, encrypted, agreed)
    if (proved.federation, proved.epoch, proved.group_id) != (agreed.federation, agreed.epoch, group.group_id):
        raise NotAgreed("the claims about this sum were made for another federation, epoch or group")
    if not share.matches(group):
        raise WrongKey("the key share belongs to another group")
    chunks = [encrypted.values[i : i + CHUNK] for i in range(0, len(encrypted.values), CHUNK)]
    values: list[int] = []
    for part in spread(applied(share.decrypt, group), chunks):
        values += part
        if progress is not None:
            progress(len(values), len(encrypted.values))
    context = agreed.context(group, share.holder)
    statement = _statement(group, share.holder, encrypted.values, tuple(values), context)
    proof = statement.prove(group.delta * share.value, seed)
    return Partial(share.holder, group.group_id, tuple(values), proof)


def check_partial(group: Group, encrypted: Encrypted, agreed: Agreed, partial: Partial) -> Checked:
    """The part, if it is right; one proof covers all its values. Takes some 70 ms: not for an event loop.

    Raises:
        BadPartial: the part is wrong; it names the holder.
        NotAgreed: the ciphertexts are others than those agreed on, which is the caller's mistake.
        WrongKey: the ciphertexts are under another key, or the part was read as one of another group; the caller's
            mistake, too.
    """
    _check_agreed(group, encrypted, agreed)
    if partial.group_id != group.group_id:
        raise WrongKey("the partial decryption is by another group")
    holder, square = partial.holder, group.key.square
    if not 0 <= holder < group.holders:
        raise BadPartial(holder, "not a holder of this group")
    if len(partial.values) != len(encrypted.values):
        raise BadPartial(holder, f"{len(partial.values)} values for {len(encrypted.values)} ciphertexts")
    product = number(1)
    for value in partial.values:
        if not 0 < value < square:
            raise BadPartial(holder, "a value is not between 0 and N²")
        product = product * value % group.key.modulus
    if gcd(product, group.key.modulus) != 1:
        raise BadPartial(holder, "a value has a factor in common with N")
    statement = _statement(group, holder, encrypted.values, partial.values, agreed.context(group, holder))
    try:
        statement.check(partial.proof)
    except BadProof as error:
        raise BadPartial(holder, str(error)) from None
    return Checked(holder, group.group_id, agreed.digest, partial.values, _WITNESS)


def combine(group: Group, checked: Sequence[Checked]) -> list[int]:
    """The plaintexts, from checked parts of distinct holders; the first t are used.

    Raises TooFewPartials, WrongKey for parts of another group or of different sums, and BadProof if the parts do not
    combine although all their proofs held.
    """
    if any(part.group_id != group.group_id or part.digest != checked[0].digest for part in checked):
        raise WrongKey("the parts are of another group or of different sums")
    distinct = list({part.holder: part for part in checked}.values())[: group.threshold]
    if len(distinct) < group.threshold:
        raise TooFewPartials(len(distinct), group.threshold, ())
    key = group.key
    coefficients = integer_lagrange([part.holder + 1 for part in distinct], 0, group.holders)
    plaintexts = []
    for column in zip(*(part.values for part in distinct), strict=True):
        opened = signed_product(column, [2 * coefficient for coefficient in coefficients], key.square)
        if opened % key.modulus != 1:
            raise BadProof("parts whose proofs held do not combine to a plaintext")
        plaintexts.append((opened - 1) // key.modulus * group.divisor % key.modulus)
    return plaintexts


def open_sum(group: Group, encrypted: Encrypted, agreed: Agreed, partials: Iterable[Partial]) -> Opened:
    """Check every part and open the sum with the correct ones.

    Raises TooFewPartials, which lists the liars, and NotAgreed or WrongKey as `check_partial` does.
    """
    correct, liars = [], []
    for part in partials:
        try:
            correct.append(check_partial(group, encrypted, agreed, part))
        except BadPartial as error:
            liars.append(error)
    holders = {part.holder for part in correct}
    if len(holders) < group.threshold:
        raise TooFewPartials(len(holders), group.threshold, tuple(liars))
    return Opened(tuple(combine(group, correct)), tuple(liars))


def _check_agreed(group: Group, encrypted: Encrypted, agreed: Agreed) -> None:
    if encrypted.key != group.key:
        raise WrongKey("the ciphertexts are under another key")
    if encrypted.digest != agreed.digest:
        raise NotAgreed("these are not the ciphertexts whose opening was agreed on")


def _statement(
    group: Group, holder: int, ciphertexts: tuple[int, ...], results: tuple[int, ...], context: bytes
) -> SameExponent:
    public = group.verification_keys[holder]
    return SameExponent(group.key, group.table(), public, ciphertexts, results, group.exponent_bits, context)

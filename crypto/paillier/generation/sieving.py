"""Candidates for a modulus whose factors nobody knows: drawn jointly, free of small factors from the start.

Each of n parties ends with shares p_i and q_i, and all know N = pq for p = Σ p_i and q = Σ q_i. All know, too, that p
and q are -1 mod K, K = 4·3·5·...·53, and prime to M, the product of the next primes up to 690 or so (at 2048 bits).
Hence p and q are 3 mod 4, and no odd prime up to 53 divides φ(N).

1. *Draw.* All parties together share two random numbers mod M, a and r, by Shamir's scheme with a degree d below half
   the number of parties, for every candidate.
2. *Sieve.* They open shares of a·r, hidden by shares of zero. A prime l of M that does not divide a·r does not divide
a;
   r, which is used only here, hides the rest. If l divides a·r, the residue of a mod l is taken from a spare. So a is a
   random unit mod M: p = a (mod M).
3. *Share.* Each party turns its share of a into an integer p_i, with random high bits, and shares that again, modulo an
   integer F far above N.
4. *Multiply.* They open shares of p·q, hidden by shares of zero: N. A false share makes it random mod F, which exceeds
   any N by 2^64, so that all see it. All commit to their shares before any is seen (`openings`), or the party that
   speaks last could choose N.

Boneh and Franklin, "Efficient generation of shared RSA keys" (J. ACM 2001), for everything but step 2; Malkin, Wu and
Boneh, "Experimenting with shared generation of RSA keys" (NDSS 1999), for sieving; products of shares by Ben-Or,
Goldwasser and Wigderson (STOC 1988). Secure against d parties that follow the protocol and pool what they see.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NoReturn

from ...prng import derive
from ..arithmetic import Draws, digest, gcd, inverse, join, number, primes, primorial, size_of, split
from ..errors import BadEncoding, BadGroup
from ..group import Group
from ..integer_sharing import deal_modular, lagrange_at_zero
from ..keys import check_bits
from ..rounds.scripts import Fault, Fits, Inbox, Outgoing, Script
from ..rounds.seats import SESSION_BYTES, check_members
from .audit import Inconsistent
from .openings import openly

MIN_PARTIES: Final = 3
MAX_PARTIES: Final = 10
MAX_KEYS: Final = 16  # in one generation
MAX_BATCH: Final = 4096  # candidates: at most 3.3 MB in a message, of the 8 MiB that `lockstep` takes
FIXED_LIMIT: Final = 53  # p and q are -1 modulo all primes up to here
SLACK_BITS: Final = 64  # of a share beyond what the sieve fixes, and of F beyond N
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parties agree on beforehand.

    session: 32 bytes that name this generation (a hash of federation, epoch and the number of the attempt); parties: n,
    3 to 10; threshold: t, how many holders will open a sum, at most d + 1; bits: of N; batch: candidates tried at a
    time, as many as fit into a message; keys: how many keys are made, of which a coin chooses the one that is used
    (`joint`); members: the Ed25519 keys of the parties, holder 0 first.

    More than d curious parties can pool what they saw during the generation and factor N. With t - 1 > d, fewer than t
    holders could decrypt.

    Raises BadModulus for a size of N that is not accepted, and ValueError.
    """

    session: bytes
    parties: int
    threshold: int
    bits: int = 2048
    batch: int = 192
    keys: int = 2
    members: tuple[bytes, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        if len(self.session) != SESSION_BYTES:
            raise ValueError(f"a session has {SESSION_BYTES} bytes, not {len(self.session)}")
        if not MIN_PARTIES <= self.parties <= MAX_PARTIES:
            raise ValueError(f"a key is made by {MIN_PARTIES} to {MAX_PARTIES} parties, not {self.parties}")
        if not 2 <= self.threshold <= self.degree + 1:
            raise ValueError(
                f"a threshold of {self.threshold} among {self.parties} parties: it is from 2 to {self.degree + 1}, as "
                f"{self.degree + 1} of them can factor N by what they saw when it was made"
            )
        if not 1 <= self.batch <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} candidates, not {self.batch}")
        if not 1 <= self.keys <= MAX_KEYS:
            raise ValueError(f"a generation makes 1 to {MAX_KEYS} keys, not {self.keys}")
        if len(self.members) != self.parties:
            raise ValueError(f"{len(self.members)} members for {self.parties} parties")
        check_members(self.members)
        check_bits(self.bits)

    def lockstep_session(self) -> bytes:
        """The session of the run: bound to the whole plan.

        Parties with different plans so do not blame each other for what each did right by its own plan.
        """
        numbers = join([self.parties, self.threshold, self.bits, self.batch, self.keys], 4)
        return digest(b"joint key", self.session, numbers, *self.members)

    @property
    def holder_keys(self) -> tuple[bytes, ...]:
        """The holders of the key are the parties that make it."""
        return self.members

    @property
    def needed(self) -> int:
        """How many holders have to confirm the key: all."""
        return self.parties

    @property
    def before(self) -> tuple[tuple[bytes, ...], ...]:
        """The holders of epochs before: there are none of a new N."""
        return ()

    def check_group(self, group: Group) -> None:
        """Raise BadGroup for a group that no generation by this plan makes."""
        check_joint(group)
        made = (group.holders, group.threshold, group.key.bits)
        if made != (self.parties, self.threshold, self.bits):
            raise BadGroup(f"a key of {made[0]} holders, threshold {made[1]} and {made[2]} bits was not planned")

    @property
    def patience(self) -> int:
        """How many attempts may fail: 20 times the expected number, which chance exceeds once in 10^8 keys.

        A number of that size without factors up to l is prime with probability 1.78·ln(l) / ln(number).
        """
        sieved = sieve_of(self.bits, self.parties).primes[-1]
        candidates = (self.bits / 2 * math.log(2) / (1.78 * math.log(sieved))) ** 2
        return math.ceil(20 * candidates / self.batch)

    @property
    def degree(self) -> int:
        """d, the number of parties that may pool what they see: fewer than half."""
        return (self.parties - 1) // 2


@dataclass(frozen=True, slots=True)
class Sieve:
    """The moduli that follow from a plan."""

    fixed: int  # K
    primes: tuple[int, ...]  # those of M
    modulus: int  # M
    idempotents: Mapping[int, int]  # for each prime l of M, the number that is 1 mod l and 0 mod M / l
    free_bits: int  # of the random high part of p_i
    top: int  # a multiple of M·K that sets the two top bits of p
    field: int  # F


def fixed_modulus() -> int:
    """K = 4·3·5·...·53."""
    return 2 * primorial(FIXED_LIMIT)


def check_joint(group: Group) -> None:
    """Raise BadGroup for a modulus that no joint generation makes: it is not 1 mod K."""
    if group.key.modulus % fixed_modulus() != 1:
        raise BadGroup("no joint generation made this modulus: it is not 1 mod K")


@cache
def sieve_of(bits: int, parties: int) -> Sieve:
    """The moduli for keys of that size: M as large as leaves 64 free bits in every share."""
    fixed = fixed_modulus()
    prime_bits = bits // 2
    room = prime_bits - 3 - SLACK_BITS - parties.bit_length()
    chosen, modulus = [], number(1)
    for prime in primes(FIXED_LIMIT + 1, 4000):
        if (modulus * prime * fixed).bit_length() > room:
            break
        chosen.append(prime)
        modulus *= prime
    idempotents = {r: modulus // r * inverse(modulus // r % r, r) % modulus for r in chosen}
    whole = modulus * fixed
    top = -(-(number(3) << (prime_bits - 2)) // whole) * whole
    free_bits = prime_bits - 3 - whole.bit_length() - parties.bit_length()
    return Sieve(fixed, tuple(chosen), modulus, idempotents, free_bits, top, ring_above(bits + SLACK_BITS))


def ring_above(bits: int) -> int:
    """The smallest number from 2^bits on that no prime up to 53 divides: Shamir's scheme works modulo it."""
    modulus = number(1) << bits
    while gcd(modulus, primorial(FIXED_LIMIT)) != 1:
        modulus += 1
    return modulus


@dataclass(frozen=True, slots=True, repr=False)
class Candidate:
    """N, which all know, and one party's shares of its factors."""

    modulus: int
    p: int
    q: int

    def __repr__(self) -> str:
        return f"<Candidate of {self.modulus.bit_length()} bits (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a candidate holds shares of its factors and is not pickled")


class Masks:
    """Shares of zero, from keys that each two parties have in common: random numbers that add up to zero."""

    __slots__ = ("_keys", "_me")

    def __init__(self, me: int, keys: Mapping[int, bytes]) -> None:
        self._me = me
        self._keys = keys

    def __repr__(self) -> str:
        return "Masks(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("masks hold keys and are not pickled")

    def zeros(self, label: bytes, modulus: int, count: int) -> list[int]:
        """This party's shares of that many zeros mod modulus. A label is used once."""
        total = [number(0)] * count
        for party, key in self._keys.items():
            sign = 1 if party > self._me else -1
            drawn = Draws(key, b"zeros|" + label).many_below(modulus, count)
            total = [(a + sign * b) % modulus for a, b in zip(total, drawn, strict=True)]
        return total


def draw_candidates(plan: Plan, me: int, seed: bytes, commitment: bytes) -> Script[tuple[list[Candidate], Masks]]:
    """Six rounds; gives a batch of candidates, and masks for later rounds. `commitment` is published in the first."""
    sieve = sieve_of(plan.bits, plan.parties)
    draws = Draws(seed, b"candidates")
    masks, residues = yield from _draw_units(plan, me, seed, commitment, draws)
    lifts = [_lift(plan, me, residue, draws) for residue in residues]

    shares = [deal_modular(x, plan.degree, plan.parties, sieve.field, draws) for x in lifts]
    inbox = yield Outgoing(private=columns(shares, sieve.field), fits=numbers_of(sieve.field, len(lifts)))
    mine = summed(inbox, sieve.field, len(lifts))

    count = len(lifts) // 2
    own = lagrange_at_zero(plan.parties, sieve.field)[me]
    zeros = masks.zeros(b"moduli", sieve.field, count)
    products = [own * mine[2 * k] * mine[2 * k + 1] + zeros[k] for k in range(count)]
    inbox = yield from openly(
        plan.lockstep_session(), me, seed, b"moduli", join((x % sieve.field for x in products), size_of(sieve.field))
    )
    moduli = opened(inbox, sieve.field, count)
    for modulus in moduli:
        if modulus.bit_length() != plan.bits or modulus % sieve.fixed != 1:
            raise Inconsistent("a modulus is not the product of two numbers that passed the sieve")
    return [Candidate(n, lifts[2 * k], lifts[2 * k + 1]) for k, n in enumerate(moduli)], masks


def _draw_units(plan: Plan, me: int, seed: bytes, commitment: bytes, draws: Draws) -> Script[tuple[Masks, list[int]]]:
    """Steps 1 and 2: this party's additive shares of random units mod M, an even number of them."""
    sieve = sieve_of(plan.bits, plan.parties)
    wanted = 2 * plan.batch
    count = wanted + _spares(wanted, sieve.primes[0])
    drawn = draws.many_below(sieve.modulus, 2 * count)
    shares = [deal_modular(x, plan.degree, plan.parties, sieve.modulus, draws) for x in drawn]
    private = columns(shares, sieve.modulus)
    keys = {party: derive(seed, b"mask %d" % party) for party in range(me + 1, plan.parties)}
    parts = {j: keys.get(j, b"") + data for j, data in private.items()}
    inbox = yield Outgoing(commitment, parts, _keys_and_numbers(sieve.modulus, 2 * count))

    for party in range(me):
        keys[party] = inbox.private[party][:_KEY_BYTES]
    rest = tuple(data[_KEY_BYTES * (party < me) :] for party, data in enumerate(inbox.private))
    masks = Masks(me, keys)
    mine = summed(Inbox(inbox.public, rest), sieve.modulus, 2 * count)
    own = lagrange_at_zero(plan.parties, sieve.modulus)[me]
    zeros = masks.zeros(b"units", sieve.modulus, count)
    products = [own * mine[k] * mine[count + k] + zeros[k] for k in range(count)]
    inbox = yield from openly(
        plan.lockstep_session(), me, seed, b"units", join((x % sieve.modulus for x in products), size_of(sieve.modulus))
    )
    products = opened(inbox, sieve.modulus, count)

    hidden = masks.zeros(b"additive", sieve.modulus, count)
    additive = [(own * a + zero) % sieve.modulus for a, zero in zip(mine[:count], hidden, strict=True)]
    return masks, _repaired(sieve, products, additive, wanted)


def _spares(wanted: int, smallest: int) -> int:
    """The number of spares: four standard deviations more than the smallest prime of M makes unusable on average."""
    expected = 2 * wanted // smallest + 1
    return expected + 4 * math.isqrt(expected) + 4


def _repaired(sieve: Sieve, products: Sequence[int], additive: Sequence[int], wanted: int) -> list[int]:
    """Replace residues of zero by those of spares, each used once; drop values for which no spare is left.

    The opened products say which residues are zero, so all parties replace the same ones by the same spares.
    """
    next_spare = dict.fromkeys(sieve.primes, wanted)
    units = []
    for product, share in zip(products[:wanted], additive[:wanted], strict=True):
        common = gcd(product, sieve.modulus)
        unit: int | None = share
        for prime in sieve.primes if common != 1 else ():
            if common % prime or unit is None:
                continue
            spare = next((s for s in range(next_spare[prime], len(products)) if products[s] % prime), None)
            if spare is None:
                unit = None
            else:
                next_spare[prime] = spare + 1
                unit = (unit + sieve.idempotents[prime] * (additive[spare] - unit)) % sieve.modulus
        if unit is not None:
            units.append(unit)
    return units[: len(units) // 2 * 2]


def _lift(plan: Plan, me: int, residue: int, draws: Draws) -> int:
    """An integer share of a factor: the given residue mod M, 0 mod K (party 0: -1), and random high bits."""
    sieve = sieve_of(plan.bits, plan.parties)
    whole = sieve.modulus * sieve.fixed
    share = residue * sieve.fixed * inverse(sieve.fixed, sieve.modulus)
    if me == 0:
        share += (sieve.fixed - 1) * sieve.modulus * inverse(sieve.modulus, sieve.fixed)
    share = share % whole + whole * draws.bits(sieve.free_bits)
    return share + sieve.top if me == 0 else share


def columns(shares: Sequence[Sequence[int]], modulus: int) -> dict[int, bytes]:
    """For each party, its share of every value."""
    return {party: join(column, size_of(modulus)) for party, column in enumerate(zip(*shares, strict=True))}


def summed(inbox: Inbox, modulus: int, count: int) -> list[int]:
    """This party's shares of the sums: the values that all parties sent it in private, added up."""
    return _added(inbox.private, modulus, count)


def opened(inbox: Inbox, modulus: int, count: int) -> list[int]:
    """The values whose additive shares all parties published."""
    return _added(inbox.public, modulus, count)


def _added(rows: Sequence[bytes], modulus: int, count: int) -> list[int]:
    total = [number(0)] * count
    for party, data in enumerate(rows):
        values = numbers(party, data, modulus, count)
        total = [a + b for a, b in zip(total, values, strict=True)]
    return [x % modulus for x in total]


def numbers_of(modulus: int, count: int) -> Fits:
    """What the private parts of a round are where each party deals shares of that many values."""

    def fits(sender: int, _receiver: int, _public: bytes, private: bytes) -> None:
        numbers(sender, private, modulus, count)

    return fits


def _keys_and_numbers(modulus: int, count: int) -> Fits:
    """The same, with a key in front where the sender comes before the receiver."""

    def fits(sender: int, receiver: int, _public: bytes, private: bytes) -> None:
        numbers(sender, private[_KEY_BYTES * (sender < receiver) :], modulus, count)

    return fits


def numbers(party: int, data: bytes, modulus: int, count: int) -> list[int]:
    """That many numbers below modulus, from one party's message. Raises Fault, naming it, for anything else."""
    if len(data) != count * size_of(modulus):
        raise Fault(party, f"{len(data)} bytes where {count} numbers take {count * size_of(modulus)}")
    try:
        return split(data, size_of(modulus), modulus)
    except BadEncoding as error:
        raise Fault(party, str(error)) from None

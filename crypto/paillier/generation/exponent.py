"""Shares of the exponent that decrypts, and verification keys, for a modulus whose factors are shared.

1. *Multiply.* Each party draws β_i below N; all share β = Σ β_i and φ(N) = Σ φ_i, φ_0 = N + 1 - p_0 - q_0 and
   φ_i = -(p_i + q_i), modulo a number R far above w = βφ(N), and hold x_i with Σ x_i = w + k·R for a k below n.
2. *Deal.* Each party shares its x_i over the integers, with commitments; a share that does not fit names its dealer.
   The product of the commitments to the x_i is v^(Δ(w + kR)), and w is a multiple of φ(N). The k for which v^(Δw) is 1
   mod N is found by trying. If there is none, a party did not follow the protocol.

All parties that saw the same commitments compute the same verification keys. That all of them did, and have their
shares durably, they confirm outside of this protocol (`epochs`).

The verification keys tell w mod N = βφ(N) mod N, which is random because β is. The commitments to the x_i are powers of
v to random numbers with a given sum.

Sources: Fouque, Poupard and Stern (FC 2000) for an exponent that is a random multiple of φ(N); Damgård and Koprowski
(Eurocrypt 2001) for its shares without a dealer.
"""

from collections.abc import Sequence

from ..arithmetic import STATISTICAL_BITS, Draws, join, number, power, size_of
from ..errors import BadDealing, BadGroup
from ..group import Group, KeyShare
from ..integer_sharing import (
    Terms,
    check_integer,
    deal_integer,
    deal_modular,
    evaluate_commitments,
    lagrange_at_zero,
    signed_power,
    verification_table,
)
from ..keys import PublicKey
from ..rounds.scripts import Fault, Fits, Outgoing, Script
from .audit import Inconsistent
from .sieving import Candidate, Masks, Plan, columns, numbers, numbers_of, ring_above, summed


def share_exponent(
    plan: Plan, me: int, seed: bytes, candidate: Candidate, masks: Masks
) -> Script[tuple[Group, KeyShare]]:
    """Two rounds: the key, and this party's share of it. Raises BadModulus if the candidate is no modulus after all."""
    key = PublicKey(candidate.modulus)
    ring = ring_above(2 * key.bits + STATISTICAL_BITS + plan.parties.bit_length())
    terms = Terms(plan.parties, plan.threshold, ring.bit_length())
    draws = Draws(seed, b"exponent")
    x = yield from _multiply(plan, me, candidate, ring, draws, masks)

    dealing = deal_integer(key, terms, x, draws)
    bound = 1 << terms.exponent_bits
    private = {party: join([share], size_of(bound)) for party, share in enumerate(dealing.shares)}
    inbox = yield Outgoing(join(dealing.commitments, key.ciphertext_bytes), private, _shares(key, terms))
    commitments = [numbers(i, data, key.square, plan.threshold) for i, data in enumerate(inbox.public)]
    total = sum((numbers(i, data, bound, 1)[0] for i, data in enumerate(inbox.private)), number(0))

    excess = _excess(key, terms, ring, commitments)
    return _group(key, terms, commitments, excess), KeyShare(me, total - excess)


def _shares(key: PublicKey, terms: Terms) -> Fits:
    """What the private parts are where each party deals its number: a share that fits the dealer's commitments."""

    def fits(dealer: int, receiver: int, public: bytes, private: bytes) -> None:
        commitments = numbers(dealer, public, key.square, terms.threshold)
        share = numbers(dealer, private, 1 << terms.exponent_bits, 1)[0]
        try:
            check_integer(key, terms, dealer, receiver, commitments, share)
        except BadDealing as error:
            raise Fault(dealer, error.reason) from None

    return fits


def _multiply(plan: Plan, me: int, candidate: Candidate, ring: int, draws: Draws, masks: Masks) -> Script[int]:
    """Step 1: this party's x_i."""
    n = candidate.modulus
    phi = (n + 1 if me == 0 else 0) - candidate.p - candidate.q
    secrets = (draws.below(n), phi % ring)
    shares = [deal_modular(secret, plan.degree, plan.parties, ring, draws) for secret in secrets]
    inbox = yield Outgoing(private=columns(shares, ring), fits=numbers_of(ring, 2))
    beta_share, phi_share = summed(inbox, ring, 2)
    own = lagrange_at_zero(plan.parties, ring)[me]
    return (own * beta_share * phi_share + masks.zeros(b"exponent", ring, 1)[0]) % ring


def _excess(key: PublicKey, terms: Terms, ring: int, commitments: Sequence[Sequence[int]]) -> int:
    """Δ·k·R, the excess of the shared number over Δ·w. Raises Inconsistent if no k makes w a multiple of φ(N)."""
    product = number(1)
    for row in commitments:
        product = product * row[0] % key.modulus
    table = verification_table(key, terms.exponent_bits)
    for k in range(terms.holders):
        excess = terms.delta * k * ring
        if product == signed_power(table, excess) % key.modulus:
            return excess
    raise Inconsistent("the shared exponent does not decrypt")


def _group(key: PublicKey, terms: Terms, commitments: Sequence[Sequence[int]], excess: int) -> Group:
    """The public part of the key, the same for all parties."""
    added = [number(1)] * terms.threshold
    for row in commitments:
        added = [a * b % key.square for a, b in zip(added, row, strict=True)]
    shift = signed_power(verification_table(key, terms.exponent_bits), -excess)
    shared = [evaluate_commitments(key, added, j + 1) * shift % key.square for j in range(terms.holders)]
    keys = tuple(power(value, terms.delta, key.square) for value in shared)
    try:
        return Group(key, terms.threshold, keys, terms.share_bits(terms.holders))
    except BadGroup as error:
        raise Inconsistent(str(error)) from None

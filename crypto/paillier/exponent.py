"""Shares of the exponent that decrypts, and verification keys, for a modulus whose factors are shared.

1. *Multiply.* Each party draws β_i below N; all share β = Σ β_i and φ(N) = Σ φ_i, φ_0 = N + 1 - p_0 - q_0 and
   φ_i = -(p_i + q_i), modulo a number R far above w = βφ(N), and hold x_i with Σ x_i = w + k·R for a k below n.
2. *Deal.* Each party shares its x_i over the integers, with commitments; a share that does not fit names its dealer.
   The product of the commitments to the x_i is v^(Δ(w + kR)), and w is a multiple of φ(N): so the k for which v^(Δw)
   is 1 mod N is found by trying, and if there is none, somebody did not follow the protocol.
3. *Confirm.* All compute the same verification keys, and say so.

The verification keys tell w mod N = βφ(N) mod N, which is random because β is; the commitments to the x_i are powers of
v to random numbers with a given sum.

The exponent as a multiple of φ(N) by a random factor: Fouque, Poupard and Stern (FC 2000); its shares without a dealer:
Damgård and Koprowski (Eurocrypt 2001).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .arithmetic import STATISTICAL_BITS, Draws, join, number, power, size_of
from .audit import Inconsistent
from .errors import BadDealing, BadGroup
from .group import Group, KeyShare
from .keys import PublicKey
from .rounds import Fault, Outgoing, Script
from .sharing import (
    Terms,
    check_integer,
    deal_integer,
    deal_modular,
    evaluate_commitments,
    lagrange_at_zero,
    signed_power,
    verification_table,
)
from .sieving import Candidate, Masks, Plan, columns, numbers, ring_above, summed


@dataclass(frozen=True, slots=True)
class JointKey:
    """The key that all parties made, and this party's share of it."""

    group: Group
    share: KeyShare


def share_exponent(plan: Plan, me: int, seed: bytes, candidate: Candidate, masks: Masks) -> Script[JointKey]:
    """Three rounds. Raises BadModulus where the candidate is no modulus after all."""
    key = PublicKey(candidate.modulus)
    ring = ring_above(2 * key.bits + STATISTICAL_BITS + plan.parties.bit_length())
    terms = Terms(plan.parties, plan.threshold, ring.bit_length())
    draws = Draws(seed, b"exponent")
    x = yield from _multiply(plan, me, candidate, ring, draws, masks)

    dealing = deal_integer(key, terms, x, draws)
    bound = 1 << terms.exponent_bits
    private = {party: join([share], size_of(bound)) for party, share in enumerate(dealing.shares)}
    inbox = yield Outgoing(join(dealing.commitments, key.ciphertext_bytes), private)
    commitments = [numbers(i, data, key.square, plan.threshold) for i, data in enumerate(inbox.public)]
    total = number(0)
    for dealer, data in enumerate(inbox.private):
        share = numbers(dealer, data, bound, 1)[0]
        try:
            check_integer(key, terms, dealer, me, commitments[dealer], share)
        except BadDealing as error:
            raise Fault(dealer, error.reason) from None
        total += share

    excess = _excess(key, terms, ring, commitments)
    group = _group(key, terms, commitments, excess)
    inbox = yield Outgoing(group.group_id)
    for party, group_id in enumerate(inbox.public):
        # Not `Inconsistent`: others may have ended with this key by now, so no seed may be published any more. All who
        # saw the same commitments compute the same group, and that they saw the same is checked with each message.
        if group_id != group.group_id:
            raise Fault(party, "it computed other verification keys")
    return JointKey(group, KeyShare(me, total - excess))


def _multiply(plan: Plan, me: int, candidate: Candidate, ring: int, draws: Draws, masks: Masks) -> Script[int]:
    """Step 1: this party's x_i."""
    n = candidate.modulus
    phi = (n + 1 if me == 0 else 0) - candidate.p - candidate.q
    secrets = (draws.below(n), phi % ring)
    shares = [deal_modular(secret, plan.degree, plan.parties, ring, draws) for secret in secrets]
    inbox = yield Outgoing(private=columns(shares, ring))
    beta_share, phi_share = summed(inbox, ring, 2)
    own = lagrange_at_zero(plan.parties, ring)[me]
    return (own * beta_share * phi_share + masks.zeros(b"exponent", ring, 1)[0]) % ring


def _excess(key: PublicKey, terms: Terms, ring: int, commitments: Sequence[Sequence[int]]) -> int:
    """Δ·k·R: what the shared number is more than Δ·w. Raises Inconsistent where no k makes w a multiple of φ(N)."""
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
    """The public part of the key, which all compute alike."""
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

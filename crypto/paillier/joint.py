"""A threshold Paillier key without a dealer: nobody ever holds p, q, φ(N) or the exponent that decrypts.

Attempt after attempt, until one succeeds, the parties draw a batch of candidates (`sieving`), look for a product of two
primes among them (`biprimality`), and share the exponent (`exponent`). In each attempt a party draws all it needs from
one seed, and publishes a hash of it first; if what was published does not fit together, or too many attempts fail, an
`audit` of the seeds of that attempt, or of all of them, shows who did not follow the protocol, and the generation ends
with an `Aborted` that names it.

Secure against fewer than half of the parties who follow the protocol and pool what they see, however high the threshold
of the key is: so they erase what they saw when it ends. Against parties that deviate it promises only what is checked:
docs/crypto-paillier.md says what those can do.
"""

from functools import partial
from typing import Final

from ..prng import derive
from .arithmetic import digest, join
from .audit import Attempt, Inconsistent, audit, logged
from .biprimality import find_biprime
from .errors import BadGroup, BadModulus
from .exponent import JointKey, share_exponent
from .group import Group
from .rounds import Lockstep, Script, Stopped
from .sieving import Plan, draw_candidates, fixed_modulus

SEED_BYTES: Final = 32

__all__ = ["JointKey", "Plan", "joint_key", "read_group"]


def joint_key(plan: Plan, me: int, seed: bytes) -> Lockstep[JointKey]:
    """One party's part in the generation.

    seed: 32 secret random bytes, used for nothing else, and for no second run: one of the same session shows q to a
    party that changes its p_i.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return Lockstep(plan.lockstep_session(), plan.parties, me, _generate(plan, me, seed))


def read_group(data: bytes) -> Group:
    """The public part of a joint key, or of one reshared from it, as others sent it or a ledger keeps it.

    p = q = -1 mod K in a joint key, so N is 1 mod K: the proofs rest on p and q, and this much of it anybody can see.
    Raises BadGroup for another N, and what `Group.from_bytes` raises.
    """
    group = Group.from_bytes(data)
    if group.key.modulus % fixed_modulus() != 1:
        raise BadGroup("no joint generation made this modulus: it is not 1 mod K")
    return group


def _generate(plan: Plan, me: int, seed: bytes) -> Script[JointKey]:
    attempts: list[Attempt] = []
    while len(attempts) <= plan.patience:
        number = len(attempts)
        own = derive(seed, b"attempt %d|" % number + plan.lockstep_session())
        attempts.append(Attempt(own, partial(_attempt, plan, number), partial(_commitment, plan, number), []))
        try:
            made: JointKey | None = yield from logged(_attempt(plan, number, me, own), attempts[-1].log)
        except Inconsistent as fault:
            raise Stopped((yield from audit(attempts[-1:], me, str(fault)))) from None
        if made is not None:
            return made
    # Any of them may have been spoiled: one who sees a good modulus coming has to spoil that attempt alone.
    raise Stopped((yield from audit(attempts, me, f"no modulus in {len(attempts)} attempts")))


def _attempt(plan: Plan, number: int, me: int, seed: bytes) -> Script[JointKey | None]:
    """One batch of candidates, and the key if one of them is good. All that is drawn comes from the seed."""
    found, masks = yield from draw_candidates(plan, me, seed, _commitment(plan, number, me, seed))
    candidate = yield from find_biprime(plan, me, seed, found, masks)
    if candidate is None:
        return None
    try:
        return (yield from share_exponent(plan, me, seed, candidate, masks))
    except BadModulus as error:
        raise Inconsistent(f"the modulus passed all tests, but: {error}") from None


def _commitment(plan: Plan, number: int, party: int, seed: bytes) -> bytes:
    return digest(b"attempt", plan.lockstep_session(), join([number, party], 8), seed)

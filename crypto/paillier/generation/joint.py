"""A threshold Paillier key without a dealer: nobody ever holds p, q, φ(N) or the exponent that decrypts.

Attempt after attempt, until one succeeds, the parties draw a batch of candidates (`sieving`), look for a product of two
primes among them (`biprimality`), and share the exponent (`exponent`). In each attempt a party draws all it needs from
one seed, and publishes a hash of it first. If what was published does not fit together, or too many attempts fail, an
`audit` of the seeds of that attempt, or of all of them, shows who did not follow the protocol, and the generation ends
with an `Aborted` that names it.

**Cut and choose.** The parties make several keys (`Plan.keys`), then draw a coin together, and audit all attempts but
the one that made the key that the coin chose. A party that did not follow the protocol while m keys were made is named
unless all its deviations were in the attempt of the chosen key: with probability 1 - 1/m at least, for a deviation that
a replay shows.

The result is a `JointKey` that is not in force yet: `epochs` says how it comes into force.

Secure against fewer than half of the parties that follow the protocol and pool what they see. The threshold is at most
one more than that number, so that fewer holders than decrypt cannot factor N either. Parties erase what they saw when
the generation ends. Against parties that deviate it promises only what is checked: docs/crypto-paillier.md says what
those can do.
"""

from functools import partial
from typing import Final

from ...prng import derive
from ..arithmetic import digest, join
from ..errors import BadModulus
from ..group import Group, KeyShare
from ..rounds.lockstep import Lockstep
from ..rounds.scripts import Script, Stopped
from ..rounds.seats import Seat
from ..rounds.statements import GREETING, Run
from .audit import Attempt, Inconsistent, audit, logged
from .biprimality import find_biprime
from .epochs import Pending
from .exponent import share_exponent
from .openings import openly
from .sieving import Plan, check_joint, draw_candidates

SEED_BYTES: Final = 32
_COIN_BYTES: Final = 32

__all__ = ["JointKey", "Plan", "joint_key", "read_group"]


class JointKey(Pending):
    """The key that all parties made, and this party's share of it, which `Pending.share` gives once it is in force."""

    __slots__ = ()


def joint_key(plan: Plan, me: int, seed: bytes, seat: Seat) -> Lockstep[JointKey]:
    """One party's part in the generation.

    Args:
        plan: what all parties agreed on.
        me: which of the plan's members this party is.
        seed: 32 secret random bytes, fresh from the operating system, used for nothing else and never stored.
        seat: from `take_seat(plan.lockstep_session(), plan.members, ...)`.

    Raises:
        RunBefore: the seat has been used.
        ValueError: the seed has another length, or the seat is another one.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    if (seat.session, seat.members, seat.me) != (plan.lockstep_session(), plan.members, me):
        raise ValueError(f"the seat is not that of party {me} in this plan")
    return Lockstep(seat, derive(seed, b"greeting"), partial(_generate, plan, me, seed))


def read_group(data: bytes) -> Group:
    """The public part of a joint key, or of one reshared from it.

    p = q = -1 mod K in a joint key, so N is 1 mod K: the proofs rest on p and q, and this much of it anybody can see.
    It says nothing about whether the key is in force: `read_epoch` reads the record in a decided block, and calls this.
    Raises BadGroup for another N, and what `Group.from_bytes` raises.
    """
    group = Group.from_bytes(data)
    check_joint(group)
    return group


def _generate(plan: Plan, me: int, seed: bytes, run: Run) -> Script[JointKey]:
    attempts: list[Attempt] = []
    made: list[tuple[Attempt, Group, KeyShare]] = []
    for _ in range(plan.keys):
        group, share = yield from _one_key(plan, me, seed, run, attempts)
        made.append((attempts[-1], group, share))
    if len(made) > 1:
        coins = yield from openly(plan.lockstep_session(), me, seed, b"coin", derive(seed, b"coin|" + run.name))
        chosen = made[int.from_bytes(digest(b"coin", *coins.public), "big") % plan.keys]
        # The seeds of the chosen key's own attempt stay secret; every other attempt is lost or will not be used.
        verdict = yield from audit([a for a in attempts if a is not chosen[0]], me, run, "a key that was not chosen")
        if verdict.culprits:
            raise Stopped(verdict)
    else:
        chosen = made[0]
    return JointKey(plan.lockstep_session(), run.name, chosen[1], chosen[2])


def _one_key(plan: Plan, me: int, seed: bytes, run: Run, attempts: list[Attempt]) -> Script[tuple[Group, KeyShare]]:
    """Attempts until one of them makes a key; they are added to those before."""
    first = len(attempts)
    while len(attempts) - first <= plan.patience:
        number, begun = len(attempts), GREETING + 1 + sum(len(attempt.log) for attempt in attempts)
        own = derive(seed, b"attempt %d|" % number + run.name)
        attempts.append(Attempt(own, partial(_attempt, plan, number), partial(_commitment, plan, number), [], begun))
        try:
            made: tuple[Group, KeyShare] | None = yield from logged(_attempt(plan, number, me, own), attempts[-1].log)
        except Inconsistent as fault:
            raise Stopped((yield from audit(attempts[-1:], me, run, str(fault)))) from None
        if made is not None:
            return made
    # Any of them may have been spoiled: one who sees a good modulus coming has to spoil that attempt alone.
    failed = attempts[first:]
    raise Stopped((yield from audit(failed, me, run, f"no modulus in {len(failed)} attempts")))


def _attempt(plan: Plan, number: int, me: int, seed: bytes) -> Script[tuple[Group, KeyShare] | None]:
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
